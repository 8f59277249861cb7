//! Accounts and their credits.

use mockall::Sequence;
use secrecy::ExposeSecret;

use super::*;
use crate::command::NewAccount;
use crate::model::api_key::{LookupHash, Wrap, WrapHolder, WrapSubject};
use crate::model::credit::{GRANT_MAX, LedgerEntry, Reason};
use crate::model::id::{LedgerId, RecoveryId};
use crate::model::step::Steps;
use crate::port::crypto::{
    ActorIdentity, Founding, Lookup, LookupKind, MintedCode, MintedKey, MockLocksmith,
};
use crate::port::store::MockAccountReader;
use crate::service::accounts::{AccountDraft, Accounts, Grant, NewCredentials};

const FIRST: KeyEpoch = KeyEpoch::FIRST;

fn accounts(
    commands: MockCommandStore,
    reader: MockAccountReader,
    locksmith: MockLocksmith,
) -> Accounts {
    Accounts {
        commands: Arc::new(commands),
        reader: Arc::new(reader),
        locksmith: Arc::new(locksmith),
        clock: clock(),
        uids: uids(50),
    }
}

fn draft() -> AccountDraft {
    AccountDraft {
        name: name("Acme"),
        kind: AccountKind::Customer,
        owner_name: name("ada"),
        owner_kind: ActorKind::Human,
        credits: 100,
    }
}

fn wrap(holder: WrapHolder) -> Wrap {
    Wrap { subject: WrapSubject::Account(FIRST), holder, sealed: sealed("wrap") }
}

/// The wraps for the account, for the key and for the code.
fn wraps() -> [Wrap; 3] {
    [
        wrap(WrapHolder::Account(FIRST)),
        wrap(WrapHolder::ApiKey(KeyId(1))),
        wrap(WrapHolder::Recovery(RecoveryId(1))),
    ]
}

/// A locksmith that makes the keys of that account once.
fn founding(id: AccountId) -> MockLocksmith {
    let mut locksmith = MockLocksmith::new();
    locksmith
        .expect_found()
        .times(1)
        .withf(move |account, owner, key, code| {
            let home = AccountIdentity { id, uid: uid(50), epoch: FIRST };
            let me = ActorIdentity { id: ActorId(1), uid: uid(51), epoch: FIRST };
            (*account, *owner, *key, *code) == (home, me, KeyId(1), RecoveryId(1))
        })
        .return_once(|_, _, _, _| {
            let [by_account, by_key, by_code] = wraps();
            Ok(Founding {
                key: MintedKey {
                    secret: "the key".into(),
                    prefix: "roots_3_abc".into(),
                    lookup: LookupHash([1; 32]),
                    wraps: vec![by_key],
                },
                code: MintedCode {
                    secret: "the code".into(),
                    lookup: LookupHash([2; 32]),
                    wraps: vec![by_code],
                },
                wraps: vec![by_account],
            })
        });
    locksmith
}

fn new_account(id: AccountId, must_be_first: bool) -> NewAccount {
    NewAccount {
        id,
        uid: uid(50),
        name: name("Acme"),
        kind: AccountKind::Customer,
        owner_uid: uid(51),
        owner_name: name("ada"),
        owner_kind: ActorKind::Human,
        key_lookup: LookupHash([1; 32]),
        key_prefix: "roots_3_abc".into(),
        code_lookup: LookupHash([2; 32]),
        wraps: wraps().into(),
        credits: 100,
        must_be_first,
    }
}

const RESERVE: Action = Action::System(SystemAction::ReserveAccount);

/// A store that is given these system commands, one after the other.
fn answering<const N: usize>(
    steps: [(Action, Result<AppliedRow, ApplyError>); N],
) -> MockCommandStore {
    let (mut commands, mut order) = (MockCommandStore::new(), Sequence::new());
    for (action, answer) in steps {
        let expected = Command::uncharged(action, now());
        commands
            .expect_apply()
            .times(1)
            .in_sequence(&mut order)
            .withf(move |command| *command == expected)
            .return_once(|_| {
                answer.map(|row| Applied { row, cost: 0, balance: 100, is_replay: false })
            });
    }
    commands
}

fn founded() -> AppliedRow {
    AppliedRow::Account(Box::new(account()))
}

fn no_reads() -> MockAccountReader {
    MockAccountReader::new()
}

#[track_caller]
fn assert_credentials(made: &NewCredentials, id: AccountId) {
    assert_eq!((made.account, made.owner), (id, ActorId(1)));
    assert_eq!((made.owner_name.as_str(), made.owner_kind), ("ada", ActorKind::Human));
    assert_eq!(made.api_key.expose_secret(), "the key");
    assert_eq!(made.key_prefix, "roots_3_abc");
    assert_eq!(made.recovery_code.expose_secret(), "the code");
    assert_eq!(made.credits, 100);
}

#[test]
fn a_sign_up_reserves_an_id_and_then_founds_the_account_with_every_wrap() {
    let id = AccountId(3);
    let found = Action::System(SystemAction::FoundAccount(new_account(id, false)));
    let commands = answering([(RESERVE, Ok(AppliedRow::Reserved(id))), (found, Ok(founded()))]);
    let made = ready(accounts(commands, no_reads(), founding(id)).bootstrap(draft())).unwrap();
    assert_credentials(&made, id);
}

#[test]
fn a_sign_up_makes_no_keys_if_no_id_can_be_reserved() {
    for (answer, expected) in failures() {
        let commands = answering([(RESERVE, Err(answer))]);
        let accounts = accounts(commands, no_reads(), MockLocksmith::new());
        assert_eq!(ready(accounts.bootstrap(draft())).unwrap_err(), expected);
    }
    let commands = answering([(RESERVE, Ok(AppliedRow::Deleted))]);
    assert_mismatched(ready(
        accounts(commands, no_reads(), MockLocksmith::new()).bootstrap(draft()),
    ));
}

#[test]
fn a_sign_up_founds_no_account_if_no_keys_can_be_made() {
    let mut locksmith = MockLocksmith::new();
    locksmith.expect_found().return_once(|_, _, _, _| Err(CryptoError::NoRandomness));
    let commands = answering([(RESERVE, Ok(AppliedRow::Reserved(AccountId(3))))]);
    let made = ready(accounts(commands, no_reads(), locksmith).bootstrap(draft()));
    assert_eq!(made.unwrap_err(), WriteError::Seal(CryptoError::NoRandomness));
}

#[test]
fn a_sign_up_returns_no_secrets_if_the_account_was_not_founded() {
    for (answer, expected) in failures() {
        let id = AccountId(3);
        let found = Action::System(SystemAction::FoundAccount(new_account(id, false)));
        let commands = answering([(RESERVE, Ok(AppliedRow::Reserved(id))), (found, Err(answer))]);
        let made = ready(accounts(commands, no_reads(), founding(id)).bootstrap(draft()));
        assert_eq!(made.unwrap_err(), expected);
    }
}

#[test]
fn preparing_the_first_account_reserves_an_id_only_if_an_id_was_given_before() {
    for (last, id) in [(None, AccountId(1)), (Some(1), AccountId(2)), (Some(6), AccountId(7))] {
        let commands = match last {
            None => MockCommandStore::new(),
            Some(_) => answering([(RESERVE, Ok(AppliedRow::Reserved(id)))]),
        };
        let mut reader = no_reads();
        reader.expect_last_account().times(1).return_once(move || Ok(last.map(AccountId)));
        let prepared =
            ready(accounts(commands, reader, founding(id)).prepare_first(draft())).unwrap();
        assert_credentials(&prepared.credentials, id);
        assert!(!format!("{prepared:?}").contains("the key"));

        let found = Action::System(SystemAction::FoundAccount(new_account(id, true)));
        let commands = answering([(found, Ok(founded()))]);
        let founder = accounts(commands, no_reads(), MockLocksmith::new());
        assert_credentials(&ready(founder.found(prepared)).unwrap(), id);
    }
}

#[test]
fn a_lost_race_for_the_first_account_differs_from_other_errors() {
    let exists = WriteError::Refused(Refusal::AccountExists(AccountId(1)));
    assert!(exists.is_account_exists());
    for (_, other) in failures() {
        assert!(!other.is_account_exists(), "{other}");
    }
}

#[test]
fn a_grant_returns_the_new_balance() {
    let grant = |amount, answer| {
        let note = Some(name("refill"));
        let action = OperatorAction::GrantCredits { account: HOME, amount, note: note.clone() };
        let action = Action::Operate(Operator::CommandLine, action);
        let accounts = accounts(answering([(action, answer)]), no_reads(), MockLocksmith::new());
        ready(accounts.grant(HOME, Grant::parse(amount).unwrap(), note))
    };
    assert_eq!(grant(5, Ok(founded())), Ok(LEFT));
    assert_mismatched(grant(5, Ok(AppliedRow::Deleted)));
    let nobody = Refusal::NoSuchAccount(HOME);
    assert_eq!(grant(5, Err(nobody.clone().into())), Err(WriteError::Refused(nobody)));
}

#[test]
fn a_grant_is_1_to_1_000_000_000_credits() {
    for good in [1, 2, GRANT_MAX] {
        assert!(Grant::parse(good).is_ok(), "{good}");
    }
    for bad in [i64::MIN, -1, 0, GRANT_MAX + 1, i64::MAX] {
        assert_eq!(Grant::parse(bad).unwrap_err().to_string(), "must be 1 to 1000000000");
    }
}

fn reading(found: Option<Account>, others: Vec<Actor>) -> MockAccountReader {
    let mut reader = MockAccountReader::new();
    reader.expect_account().withf(|id| *id == HOME).return_once(|_| Ok(found));
    let asked = reader.expect_first_actors().withf(|id, most| (*id, *most) == (HOME, 101));
    asked.return_once(|_, _| Ok(others));
    reader
}

#[test]
fn whoami_reports_the_other_actors_and_the_remaining_credits() {
    let everyone = vec![actor(ME), actor(PEER), actor(ActorId(3))];
    let last_ids = LastIds { actor: 3, ..LastIds::default() };
    let reader = reading(Some(Account { last_ids, ..account() }), everyone);
    let accounts = accounts(MockCommandStore::new(), reader, MockLocksmith::new());
    let whoami = ready(accounts.whoami(&caller())).unwrap();
    assert_eq!(whoami.other_actors, [actor(PEER), actor(ActorId(3))]);
    assert_eq!((whoami.other_actors_total, whoami.credits_remaining), (2, LEFT));
}

#[test]
fn whoami_lists_the_first_100_other_actors_and_reports_their_total() {
    let caller_among_them = (1..=101).map(|id| actor(ActorId(id)));
    let caller_behind_them = (2..=102).map(|id| actor(ActorId(id)));
    for found in [caller_among_them.collect(), caller_behind_them.collect::<Vec<_>>()] {
        let last_ids = LastIds { actor: 10_000, ..LastIds::default() };
        let reader = reading(Some(Account { last_ids, ..account() }), found);
        let accounts = accounts(MockCommandStore::new(), reader, MockLocksmith::new());
        let whoami = ready(accounts.whoami(&caller())).unwrap();
        let ids: Vec<_> = whoami.other_actors.iter().map(|actor| actor.id.0).collect();
        assert_eq!(ids, (2..=101).collect::<Vec<_>>());
        assert_eq!(whoami.other_actors_total, 9_999);
    }
}

#[test]
fn whoami_on_an_erased_account_fails_with_a_moved_epoch() {
    let reader = reading(None, vec![]);
    let accounts = accounts(MockCommandStore::new(), reader, MockLocksmith::new());
    let error = ready(accounts.whoami(&caller())).unwrap_err();
    // The caller is looked up again, and then not found.
    assert_eq!(error, StoreError::EpochMoved.into());
}

fn entry(id: i64, balance_after: i64) -> LedgerEntry {
    LedgerEntry {
        id: LedgerId(id),
        delta: -1,
        balance_after,
        reason: Reason::ApiWrite,
        endpoint: Some("POST /todos".into()),
        actor: Some(ME),
        note: None,
        subject: None,
        steps: Steps::default(),
        created_at: at(1),
    }
}

/// A reader that is asked once for that page of the ledger.
fn ledger(
    reason: Option<Reason>,
    request: PageRequest,
    items: Vec<LedgerEntry>,
) -> MockAccountReader {
    let mut reader = MockAccountReader::new();
    reader
        .expect_ledger()
        .times(1)
        .withf(move |by, asked, page| (*by, *asked, *page) == (BY, reason, request))
        .return_once(move |_, _, _| Ok(Page { items, total: 30, request, next: None }));
    reader
}

#[test]
fn the_balance_is_taken_from_the_newest_of_20_ledger_entries() {
    for (items, balance) in [(vec![], 0), (vec![entry(9, 7), entry(8, 8)], 7)] {
        let first_twenty = PageRequest::skipping(0, 20);
        let reader = ledger(None, first_twenty, items.clone());
        let accounts = accounts(MockCommandStore::new(), reader, MockLocksmith::new());
        let credits = ready(accounts.credits(&caller())).unwrap();
        assert_eq!((credits.balance, credits.recent), (balance, items));
    }
}

#[test]
fn a_ledger_page_is_read_from_the_callers_account() {
    let reason = Some(Reason::OperatorGrant);
    let reader = ledger(reason, PAGE, vec![entry(9, 7)]);
    let accounts = accounts(MockCommandStore::new(), reader, MockLocksmith::new());
    let found = ready(accounts.ledger(&caller(), reason, PAGE));
    assert_eq!(found, Ok(Page { items: vec![entry(9, 7)], total: 30, request: PAGE, next: None }));
}

#[test]
fn whether_any_account_exists_is_read_from_the_store() {
    for answer in [Ok(true), Ok(false), Err(away())] {
        let expected = answer.clone().map_err(ReadError::Store);
        let mut reader = MockAccountReader::new();
        reader.expect_has_accounts().times(1).return_once(|| answer);
        let accounts = accounts(MockCommandStore::new(), reader, MockLocksmith::new());
        assert_eq!(ready(accounts.any()), expected);
    }
}

#[test]
fn debug_output_of_a_key_lookup_hides_its_hash() {
    let lookup =
        Lookup { account: HOME, hash: LookupHash([171; 32]), kind: LookupKind::RecoveryCode };
    assert!(!format!("{lookup:?}").contains("171"));
}
