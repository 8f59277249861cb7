//! New keys: an id is reserved first, then the key is made for it.

use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::command::{KeyOrigin, ManageAction, NewActor, NewCode, NewKey, Reservation};
use crate::model::account::ActorKind;
use crate::model::api_key::{ApiKey, KeyStatus, LookupHash, Wrap, WrapHolder, WrapSubject};
use crate::model::id::RecoveryId;
use crate::port::crypto::{AccountRenewal, Keyring, MintedCode, MintedKey, Renewal};
use crate::port::store::{HeldActor, ListedKey, MockAccountReader};
use crate::service::keys::{Grace, KeyDraft, KeyEntry, Keys};

const NEXT: KeyId = KeyId(8);
const NEXT_CODE: RecoveryId = RecoveryId(5);

fn wrap(holder: WrapHolder) -> Wrap {
    Wrap { subject: WrapSubject::Actor(ME, KeyEpoch(3)), holder, sealed: sealed("wrap") }
}

fn minted(id: KeyId) -> MintedKey {
    MintedKey {
        secret: SecretString::from(format!("the secret of key {id}")),
        prefix: "roots_1_new".into(),
        lookup: LookupHash([8; 32]),
        wraps: vec![wrap(WrapHolder::ApiKey(id))],
    }
}

/// A keyring that makes keys with different wraps for each purpose.
fn making() -> MockKeyring {
    let mut keys = in_one_epoch();
    keys.expect_mint_key().returning(|id| Ok(minted(id)));
    keys.expect_add_actor().returning(|_| Ok(vec![wrap(WrapHolder::Account(KeyEpoch(2)))]));
    keys.expect_renew().returning(|id| {
        let wraps = vec![wrap(WrapHolder::Actor(PEER, KeyEpoch(4)))];
        Ok(Renewal { epoch: KeyEpoch(4), key: minted(id), wraps })
    });
    keys.expect_renew_account().returning(|id, code| {
        Ok(AccountRenewal {
            account_epoch: KeyEpoch(3),
            owner_epoch: KeyEpoch(4),
            key: minted(id),
            code: MintedCode {
                secret: "the code".into(),
                lookup: LookupHash([9; 32]),
                wraps: vec![wrap(WrapHolder::Recovery(code))],
            },
            wraps: vec![wrap(WrapHolder::Account(KeyEpoch(3)))],
        })
    });
    keys.expect_for_actor().returning(|_, _| Ok(Arc::new(making()) as Arc<dyn Keyring>));
    keys
}

fn owner() -> Caller {
    let actor = Actor { role: Role::Owner, ..actor(ME) };
    Caller { actor, keys: Arc::new(making()), ..caller() }
}

/// The actions that the store got, in order.
#[derive(Clone, Default)]
struct AppliedManagement(Arc<Mutex<Vec<ManageAction>>>);

/// Keys over a store that reserves ids and stores every action, and a reader that knows the peer.
fn keys() -> (Keys, AppliedManagement) {
    let asked = AppliedManagement::default();
    let seen = asked.clone();
    let mut commands = MockCommandStore::new();
    commands.expect_apply().returning(move |command| {
        assert_eq!((command.charge, command.at), (None, now()));
        let Action::Manage(bearer, action) = command.action else { panic!("{:?}", command.action) };
        assert_eq!(bearer, owner().bearer());
        seen.0.lock().unwrap_or_else(PoisonError::into_inner).push(action.clone());
        let row = match action {
            ManageAction::ReserveIds(_) => {
                let last_ids =
                    LastIds { actor: 7, key: NEXT.0, recovery: NEXT_CODE.0, ..LastIds::default() };
                AppliedRow::Account(Box::new(Account { last_ids, ..account() }))
            }
            ManageAction::AddKey { new, .. } => AppliedRow::Key(key(new.id)),
            ManageAction::RevokeKey(id) => AppliedRow::Key(key(id)),
            ManageAction::AddActor(_) | ManageAction::PatchActor { .. } => {
                AppliedRow::Actor(actor(PEER))
            }
            other @ (ManageAction::RenewCode(_) | ManageAction::EraseAccount { .. }) => {
                panic!("{other:?} is not asked for here")
            }
        };
        Ok(Applied { row, cost: 0, balance: LEFT, is_replay: false })
    });
    let mut reader = MockAccountReader::new();
    reader.expect_check().returning(|_| Ok(()));
    reader.expect_held_actors().returning(|_, ids| {
        let held = HeldActor { actor: actor(PEER), wraps: Vec::new() };
        Ok(if *ids == [PEER] { vec![held] } else { Vec::new() })
    });
    let keys = Keys {
        commands: Arc::new(commands),
        reader: Arc::new(reader),
        clock: clock(),
        uids: uids(70),
    };
    (keys, asked)
}

fn key(id: KeyId) -> ApiKey {
    ApiKey {
        id,
        actor: ME,
        lookup: LookupHash([8; 32]),
        prefix: "roots_1_new".into(),
        label: None,
        created_at: now(),
        last_used: None,
        expires_at: None,
        status: KeyStatus::Current,
        succession: None,
        first_used_at: None,
    }
}

fn new_key(actor: ActorId, epoch: i32, wraps: Vec<Wrap>) -> NewKey {
    NewKey {
        id: NEXT,
        actor,
        account_epoch: KeyEpoch(2),
        epoch: KeyEpoch(epoch),
        lookup: LookupHash([8; 32]),
        prefix: "roots_1_new".into(),
        label: None,
        expires_at: None,
        wraps,
    }
}

#[track_caller]
fn assert_applied(asked: &AppliedManagement, kinds: Reservation, then: ManageAction) {
    let asked = asked.0.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*asked, [ManageAction::ReserveIds(kinds), then]);
}

#[test]
fn a_new_key_is_wrapped_for_the_id_reserved_before() {
    let draft = |actor, renew| KeyDraft { actor, label: None, expires_at: None, renew };
    let own = wrap(WrapHolder::ApiKey(NEXT));

    let (keys, asked) = keys();
    let made = ready(keys.rotate(&owner(), None, Grace::parse(60).unwrap(), None)).unwrap().value;
    assert_eq!(made.api_key.expose_secret(), "the secret of key 8");
    let (new, origin) =
        (new_key(ME, 3, vec![own.clone()]), KeyOrigin::Rotation { grace_seconds: 60 });
    assert_applied(&asked, Reservation::OwnKey, ManageAction::AddKey { new, origin });

    for actor in [ME, PEER] {
        let (keys, asked) = self::keys();
        ready(keys.add(&owner(), draft(actor, false), None)).unwrap();
        let (new, origin) = (new_key(actor, 3, vec![own.clone()]), KeyOrigin::Beside);
        assert_applied(&asked, Reservation::Key, ManageAction::AddKey { new, origin });
    }

    let (keys, asked) = self::keys();
    ready(keys.add(&owner(), draft(PEER, true), None)).unwrap();
    let wraps = vec![own.clone(), wrap(WrapHolder::Actor(PEER, KeyEpoch(4)))];
    let (new, origin) = (new_key(PEER, 4, wraps), KeyOrigin::Renewal);
    assert_applied(&asked, Reservation::Renewal(PEER), ManageAction::AddKey { new, origin });

    let (keys, asked) = self::keys();
    let made = ready(keys.add(&owner(), draft(ME, true), None)).unwrap().value;
    assert_eq!(made.recovery_code.unwrap().expose_secret(), "the code");
    let wraps =
        vec![own, wrap(WrapHolder::Recovery(NEXT_CODE)), wrap(WrapHolder::Account(KeyEpoch(3)))];
    let code = NewCode { id: NEXT_CODE, lookup: LookupHash([9; 32]) };
    let new = NewKey { account_epoch: KeyEpoch(3), ..new_key(ME, 4, wraps) };
    let origin = KeyOrigin::AccountRenewal { code };
    assert_applied(&asked, Reservation::AccountRenewal(ME), ManageAction::AddKey { new, origin });

    let (keys, _) = self::keys();
    let nobody = ready(keys.add(&owner(), draft(ActorId(9), false), None)).map(drop);
    assert_eq!(nobody, Err(WriteError::Refused(Refusal::NoSuchActor(ActorId(9)))));
}

#[test]
fn a_new_actor_gets_a_key_wrapped_under_the_account_key() {
    let (keys, asked) = keys();
    ready(keys.add_actor(&owner(), name("peer"), ActorKind::Human)).unwrap();
    let new = NewActor {
        id: ActorId(7),
        uid: uid(70),
        name: name("peer"),
        kind: ActorKind::Human,
        account_epoch: KeyEpoch(2),
        wraps: vec![wrap(WrapHolder::Account(KeyEpoch(2)))],
    };
    assert_applied(&asked, Reservation::Actor, ManageAction::AddActor(new));
}

#[test]
fn an_empty_actor_patch_is_refused() {
    let (keys, asked) = keys();
    let empty = ready(keys.patch_actor(&owner(), PEER, None, None));
    assert_eq!(empty, Err(WriteError::EmptyPatch));
    assert!(asked.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty());
    assert!(ready(keys.patch_actor(&owner(), PEER, None, Some(false))).is_ok());
}

#[test]
fn an_owner_lists_every_key_and_a_member_only_its_own() {
    let member = Actor { role: Role::Member, ..actor(ME) };
    for (caller, actor) in [(owner(), None), (Caller { actor: member, ..owner() }, Some(ME))] {
        let mut reader = MockAccountReader::new();
        let listed =
            |key, actor_is_active| ListedKey { key, actor_name: name("ada"), actor_is_active };
        let over = ApiKey { expires_at: Some(now()), ..key(KEY) };
        let rows = [listed(key(KEY), true), listed(over, true), listed(key(KEY), false)];
        let found = rows.clone();
        reader
            .expect_keys()
            .withf(move |query| (query.by, query.actor, query.page) == (BY, actor, PAGE))
            .returning(move |_| Ok(page(found.to_vec())));
        let (keys, _) = keys();
        let keys = Keys { reader: Arc::new(reader), ..keys };
        let entries = rows.into_iter().zip([true, false, false]);
        let entries = entries.map(|(listed, is_active)| KeyEntry { listed, is_active }).collect();
        assert_eq!(ready(keys.keys(&caller, PAGE)), Ok(page(entries)));
    }
}

#[test]
fn a_grace_is_at_most_a_week() {
    assert_eq!(Grace::parse(0), Ok(Grace::default()));
    assert!(Grace::parse(604_800).is_ok());
    for bad in [-1, 604_801, i64::MAX, i64::MIN] {
        assert!(Grace::parse(bad).is_err(), "{bad}");
    }
}
