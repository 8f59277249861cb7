//! Recovery of an account by its code.

use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::command::{ManageAction, NewCode, NewKey, RecoverAction, RenewedCode, Reservation};
use crate::model::api_key::{
    ApiKey, KeyStatus, LookupHash, RecoveryCode, Succession, Wrap, WrapHolder, WrapSubject,
};
use crate::model::bearer::CodeBearer;
use crate::model::id::RecoveryId;
use crate::port::crypto::{
    ActorIdentity, Lookup, LookupKind, MintedCode, MintedKey, MockLocksmith, PresentedCode,
};
use crate::port::store::Recoverable;
use crate::service::accounts::Accounts;

const LOOKUP: Lookup =
    Lookup { account: HOME, hash: LookupHash([7; 32]), kind: LookupKind::RecoveryCode };
const CODE: RecoveryId = RecoveryId(5);
const NEXT: KeyId = KeyId(8);
const NEXT_CODE: RecoveryId = RecoveryId(9);

fn wrap(holder: WrapHolder) -> Wrap {
    Wrap { subject: WrapSubject::Account(KeyEpoch(2)), holder, sealed: sealed("wrap") }
}

fn came_with(succession: Succession, first_used_at: Option<Timestamp>) -> ApiKey {
    ApiKey {
        id: KEY,
        actor: ME,
        lookup: LOOKUP.hash,
        prefix: "roots_1_old".into(),
        label: None,
        created_at: at(1),
        last_used: None,
        expires_at: None,
        status: KeyStatus::Current,
        succession: Some(succession),
        first_used_at,
    }
}

fn recoverable(came_with: Option<ApiKey>) -> Recoverable {
    Recoverable {
        account: account(),
        owner: actor(ME),
        code: RecoveryCode {
            id: CODE,
            lookup: LOOKUP.hash,
            created_at: at(1),
            comes_with: came_with.as_ref().map(|key| key.id),
        },
        came_with,
        wraps: vec![wrap(WrapHolder::Recovery(CODE))],
    }
}

fn minting() -> MockKeyring {
    let mut keys = MockKeyring::new();
    keys.expect_mint_key().withf(|id| *id == NEXT).returning(|id| {
        Ok(MintedKey {
            secret: "roots_1_new".into(),
            prefix: "roots_1_ne".into(),
            lookup: LookupHash([8; 32]),
            wraps: vec![wrap(WrapHolder::ApiKey(id))],
        })
    });
    keys.expect_mint_code().withf(|id| *id == NEXT_CODE).returning(|id| {
        Ok(MintedCode {
            secret: "the-new-code".into(),
            lookup: LookupHash([9; 32]),
            wraps: vec![wrap(WrapHolder::Recovery(id))],
        })
    });
    keys
}

/// The actions that the store got, in order.
#[derive(Clone, Default)]
struct AppliedCommands(Arc<Mutex<Vec<Action>>>);

fn presented() -> PresentedCode {
    PresentedCode { lookup: LOOKUP, secret: b"the secret".to_vec().into() }
}

/// Accounts whose look-ups return `looks`, one after the other. A recovery in these epochs of the
/// account and its owner returns `unlocked`.
fn accounts(
    looks: Vec<Option<Recoverable>>,
    epochs: (i32, i32),
    unlocked: Result<MockKeyring, CryptoError>,
) -> (Accounts, AppliedCommands) {
    let asked = AppliedCommands::default();
    let seen = asked.clone();
    let mut commands = MockCommandStore::new();
    commands.expect_apply().returning(move |command| {
        assert_eq!((command.charge, command.at), (None, now()));
        seen.0.lock().unwrap_or_else(PoisonError::into_inner).push(command.action);
        let last_ids = LastIds { key: NEXT.0, recovery: NEXT_CODE.0, ..LastIds::default() };
        let row = AppliedRow::Account(Box::new(Account { last_ids, ..account() }));
        Ok(Applied { row, cost: 0, balance: LEFT, is_replay: false })
    });
    let mut locksmith = MockLocksmith::new();
    locksmith
        .expect_parse_code()
        .returning(|code| (code.expose_secret() == "the-code").then(presented));
    locksmith
        .expect_recover()
        .withf(move |code, account, owner, id, wraps| {
            let home = AccountIdentity { id: HOME, uid: uid(90), epoch: KeyEpoch(epochs.0) };
            let me = ActorIdentity { id: ME, uid: uid(91), epoch: KeyEpoch(epochs.1) };
            code.secret.expose_secret() == b"the secret"
                && (*account, *owner, *id) == (home, me, CODE)
                && wraps == [wrap(WrapHolder::Recovery(CODE))]
        })
        .return_once(|_, _, _, _, _| unlocked.map(|keys| Arc::new(keys) as _));
    let mut reader = MockAccountReader::new();
    let mut order = mockall::Sequence::new();
    for found in looks {
        let look = reader.expect_recoverable().times(1).in_sequence(&mut order);
        look.withf(|lookup| *lookup == LOOKUP).return_once(|_| Ok(found));
    }
    let accounts = Accounts {
        commands: Arc::new(commands),
        reader: Arc::new(reader),
        locksmith: Arc::new(locksmith),
        clock: clock(),
        uids: uids(70),
    };
    (accounts, asked)
}

fn code() -> SecretString {
    "the-code".into()
}

#[test]
fn a_recovery_makes_a_key_and_a_code_in_the_epochs_its_code_puts_in_force() {
    for (with, epochs) in [
        (None, (2, 3)),
        (Some(came_with(Succession::Recovery, None)), (2, 3)),
        (Some(came_with(Succession::Renewal, Some(at(2)))), (2, 3)),
        (Some(came_with(Succession::Renewal, None)), (3, 4)),
    ] {
        let (accounts, asked) = accounts(vec![Some(recoverable(with))], epochs, Ok(minting()));
        let made = ready(accounts.recover(&code(), Some(HOME))).unwrap();
        assert_eq!((made.account, made.owner, made.key), (HOME, ME, NEXT));
        assert_eq!(made.api_key.expose_secret(), "roots_1_new");
        assert_eq!(made.recovery_code.expose_secret(), "the-new-code");
        let bearer = CodeBearer { account: HOME, code: CODE };
        let code = NewCode { id: NEXT_CODE, lookup: LookupHash([9; 32]) };
        let new = NewKey {
            id: NEXT,
            actor: ME,
            account_epoch: KeyEpoch(epochs.0),
            epoch: KeyEpoch(epochs.1),
            lookup: LookupHash([8; 32]),
            prefix: "roots_1_ne".into(),
            label: None,
            expires_at: None,
            wraps: vec![wrap(WrapHolder::ApiKey(NEXT)), wrap(WrapHolder::Recovery(NEXT_CODE))],
        };
        let expected = [
            Action::Recover(bearer, RecoverAction::ReserveIds),
            Action::Recover(bearer, RecoverAction::AddKey { new, code }),
        ];
        assert_eq!(*asked.0.lock().unwrap(), expected);
    }
}

#[test]
fn every_code_not_in_force_is_refused_in_the_same_way() {
    let refused = |looks, presented: &str, account| {
        let (accounts, asked) = accounts(looks, (2, 3), Err(CryptoError::WrapMissing));
        let refused = ready(accounts.recover(&presented.into(), account)).map(drop);
        assert_eq!(*asked.0.lock().unwrap(), []);
        refused
    };
    let not_in_force = Err(WriteError::Refused(Refusal::CodeNotInForce));
    // A malformed code, or one of another account, is refused without a look-up.
    assert_eq!(refused(vec![], "nonsense", None), not_in_force);
    assert_eq!(refused(vec![], "the-code", Some(AccountId(2))), not_in_force);
    assert_eq!(refused(vec![None], "the-code", None), not_in_force);
    // The code ended between its look-up and the next read.
    let found = || Some(recoverable(None));
    assert_eq!(refused(vec![found(), None], "the-code", None), not_in_force);
    // A code in force that opens nothing is damaged, and no key is made for it.
    let broken = refused(vec![found(), found()], "the-code", None);
    assert!(matches!(broken, Err(WriteError::Store(StoreError::Broken(_)))), "{broken:?}");
}

#[test]
fn a_renewed_code_wraps_the_account_key_in_force() {
    let (accounts, asked) = accounts(vec![], (2, 3), Err(CryptoError::WrapMissing));
    let caller = Caller { keys: Arc::new(minting()), ..caller() };
    let made = ready(accounts.renew_code(&caller, None)).unwrap();
    assert_eq!(made.expose_secret(), "the-new-code");
    let code = NewCode { id: NEXT_CODE, lookup: LookupHash([9; 32]) };
    let wraps = vec![wrap(WrapHolder::Recovery(NEXT_CODE))];
    let renewed = RenewedCode { code, account_epoch: caller.account.epoch, wraps };
    let expected = [
        Action::Manage(caller.bearer(), ManageAction::ReserveIds(Reservation::Code)),
        Action::Manage(caller.bearer(), ManageAction::RenewCode(renewed)),
    ];
    assert_eq!(*asked.0.lock().unwrap(), expected);
}
