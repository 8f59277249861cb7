//! What operators do to accounts.

use super::super::super::unit::Management;
use super::*;

/// A third account, of operators.
const OPERATORS: AccountId = AccountId(3);
const SUSPENDED: AccountStatus = AccountStatus::Suspended;

fn operators() -> Account {
    Account { kind: AccountKind::Operator, ..account(OPERATORS) }
}

fn with_operators() -> Books {
    let mut books = books();
    books.load_account(operators());
    books
}

/// By any actor of theirs.
fn by_operator(intent: Intent) -> UnitOfWork {
    let author = Author::Key(KeyBearer { account: OPERATORS, ..bearer(PEER) });
    UnitOfWork { author, charge: Some(Charge::nothing(ROUTE)), ..program(intent) }
}

fn decided(books: &mut Books, intent: Intent) -> Account {
    let applied = books.decide(by_operator(intent)).unwrap();
    let AppliedRow::Account(account) = applied.row else { unreachable!("another row") };
    assert_eq!((applied.cost, applied.balance), (0, account.balance));
    *account
}

/// Their account after that many acts of theirs.
fn having_done(acts: i64) -> Account {
    let before = operators();
    let counters = Counters { audit: before.counters.audit + acts, ..before.counters };
    Account { counters, version: 8, ..before }
}

fn own_deed(act: Act, subject: AccountId) -> Deed {
    let bearer = KeyBearer { account: OPERATORS, ..bearer(PEER) };
    Deed::of(act, bearer).to_account(subject)
}

#[test]
fn a_grant_moves_one_account_and_stands_in_both_trails() {
    for status in [AccountStatus::Active, SUSPENDED] {
        let mut books = with_operators();
        let before = Account { status, ..account(HOME) };
        books.load_account(before.clone());
        let granted = decided(&mut books, grant(HOME, 40));
        let counters = Counters { ledger: 51, audit: 61, ..before.counters };
        assert_eq!(granted, Account { balance: BALANCE + 40, counters, ..before });
        let entry = LedgerEntry {
            id: LedgerId(51),
            delta: 40,
            balance_after: BALANCE + 40,
            reason: Reason::OperatorGrant,
            endpoint: Some(ROUTE.into()),
            actor: None,
            note: Some("refill".into()),
            created_at: now(),
        };
        let act = Act::CreditsGranted;
        let expected = Changes {
            accounts_changed: vec![Account { version: 8, ..granted }, having_done(1)],
            ledger: vec![(HOME, entry)],
            trail: vec![
                (HOME, noted(61, Deed::of_operator(act, OPERATORS))),
                (OPERATORS, noted(61, own_deed(act, HOME))),
            ],
            tallies: tallies([(Tally::Ledger(Reason::OperatorGrant), 1)]),
            ..Changes::default()
        };
        assert_eq!(books.into_changes(), expected);
    }
}

#[test]
fn a_grant_to_their_own_account_is_noted_once() {
    let mut books = with_operators();
    let granted = decided(&mut books, grant(OPERATORS, 1));
    assert_eq!(granted.balance, BALANCE + 1);
    let noted = noted(61, own_deed(Act::CreditsGranted, OPERATORS));
    assert_eq!(books.into_changes().trail, [(OPERATORS, noted)]);
}

#[test]
fn a_suspension_moves_the_auth_epoch_and_a_resumption_does_not() {
    let mut books = with_operators();
    let suspended = decided(&mut books, set_status(HOME, SUSPENDED));
    assert_eq!((suspended.status, suspended.auth_epoch), (SUSPENDED, EPOCH + 1));
    assert_refused(&mut books, stale_of(EPOCH + 1), &Refusal::Suspended);
    let resumed = decided(&mut books, set_status(HOME, AccountStatus::Active));
    assert_eq!((resumed.status, resumed.auth_epoch), (AccountStatus::Active, EPOCH + 1));
    assert!(books.decide(stale_of(EPOCH + 1)).is_ok());
    // Whoever was admitted before is looked at again.
    assert_refused(&mut books, mine(start()), &Refusal::KeyNotInForce);
    let acts: Vec<_> = books.into_changes().trail;
    let (suspended, resumed) = (Act::AccountSuspended, Act::AccountResumed);
    let expected = [
        (HOME, noted(61, Deed::of_operator(suspended, OPERATORS))),
        (OPERATORS, noted(61, own_deed(suspended, HOME))),
        (HOME, noted(62, Deed::of_operator(resumed, OPERATORS))),
        (OPERATORS, noted(62, own_deed(resumed, HOME))),
    ];
    assert_eq!(acts, expected);
}

fn stale_of(auth_epoch: i64) -> UnitOfWork {
    UnitOfWork { author: Author::Key(KeyBearer { auth_epoch, ..bearer(ME) }), ..mine(start()) }
}

#[test]
fn what_is_so_already_changes_nothing() {
    let mut books = with_operators();
    decided(&mut books, set_status(HOME, AccountStatus::Active));
    decided(&mut books, set_status(OPERATORS, AccountStatus::Active));
    assert_eq!(books.clone().into_changes(), Changes::default());
    decided(&mut books, set_status(HOME, SUSPENDED));
    let once = books.clone().into_changes();
    decided(&mut books, set_status(HOME, SUSPENDED));
    assert_eq!(books.into_changes(), once);
}

#[test]
fn operators_suspend_each_other_and_not_themselves() {
    let mut books = with_operators();
    let own = by_operator(set_status(OPERATORS, SUSPENDED));
    assert_refused(&mut books, own, &Refusal::OwnAccount);
    books.load_account(Account { kind: AccountKind::Operator, ..account(ABROAD) });
    decided(&mut books, set_status(ABROAD, SUSPENDED));
    // Which then does nothing more.
    let author = Author::Key(KeyBearer { account: ABROAD, auth_epoch: EPOCH + 1, ..bearer(ME) });
    for intent in [set_status(OPERATORS, SUSPENDED), set_status(ABROAD, AccountStatus::Active)] {
        let unit = UnitOfWork { author, ..by_operator(intent) };
        assert_refused(&mut books, unit, &Refusal::Suspended);
    }
}

#[test]
fn only_operators_do_what_operators_do() {
    for intent in [
        grant(HOME, 1),
        grant(ABROAD, 1),
        grant(AccountId(9), 1),
        set_status(HOME, SUSPENDED),
        set_status(ABROAD, SUSPENDED),
        set_status(AccountId(9), SUSPENDED),
    ] {
        assert_refused(&mut with_operators(), mine(intent), &Refusal::OperatorOnly);
    }
}

#[test]
fn an_operator_s_key_has_to_be_in_force() {
    let author = Author::Key(KeyBearer { account: OPERATORS, auth_epoch: 1, ..bearer(PEER) });
    for intent in [grant(HOME, 1), set_status(HOME, SUSPENDED)] {
        let unit = UnitOfWork { author, ..by_operator(intent) };
        assert_refused(&mut with_operators(), unit, &Refusal::KeyNotInForce);
    }
}

#[test]
fn an_account_that_is_not_there_is_not_done_to() {
    let nobody = AccountId(9);
    for intent in [grant(nobody, 1), set_status(nobody, SUSPENDED)] {
        let unit = by_operator(intent);
        assert_refused(&mut with_operators(), unit, &Refusal::NoSuchAccount(nobody));
    }
    let mut books = with_operators();
    books.load_account(Account { balance: i64::MAX, ..account(HOME) });
    assert_refused(&mut books, by_operator(grant(HOME, 1)), &Refusal::BalanceTooHigh);
}

#[test]
fn a_unit_of_operators_needs_their_account_and_the_other() {
    for intent in [grant(HOME, 1), set_status(HOME, SUSPENDED)] {
        let unit = by_operator(intent);
        let accounts = BTreeSet::from([HOME, OPERATORS]);
        // Which operators are left is decided one after the other.
        let directory = matches!(unit.intent, Intent::SetAccountStatus { .. });
        assert_eq!(Needs::of([&unit]), Needs { directory, accounts, ..Needs::default() });
        assert_eq!(unit.account(), Some(HOME), "it goes where the other account's units go");
    }
}

#[test]
fn what_the_owner_does_to_actors_and_keys_is_noted_where_it_changes_something() {
    let owner = KeyBearer { role: Role::Owner, ..bearer(ME) };
    let manage = |management| program(Intent::Manage(Box::new(management)));
    let actor = |id, role| Actor {
        id,
        uid: uid(70),
        name: name("ada"),
        kind: ActorKind::Human,
        role,
        is_active: true,
        key_epoch: KeyEpoch::FIRST,
        renewals: Renewals::NONE,
        created_at: at(0),
    };
    let key = |id, actor| ApiKey {
        id,
        actor,
        lookup: LookupHash([1; 32]),
        prefix: "roots_1_abc".into(),
        label: None,
        created_at: at(0),
        last_used: None,
        expires_at: None,
        ends_at: None,
        succession: None,
        first_used_at: None,
    };
    let theirs = KeyId(2);
    let mut books = books();
    books.load_actor(HOME, actor(ME, Role::Owner));
    books.load_actor(HOME, actor(PEER, Role::Member));
    books.load_key(HOME, key(KEY, ME));
    books.load_key(HOME, key(theirs, PEER));
    let patch = |new: &str, is_active| Management::PatchActor {
        id: PEER,
        name: Some(name(new)),
        is_active,
    };
    // Twice each: what is so already is no act.
    for management in [
        Management::RevokeKey(theirs),
        Management::RevokeKey(theirs),
        patch("eve", None),
        patch("eve", Some(false)),
        patch("eve", Some(false)),
        patch("eve", Some(true)),
    ] {
        let author =
            Author::Key(KeyBearer { auth_epoch: books.account(HOME).unwrap().auth_epoch, ..owner });
        books.decide(UnitOfWork { author, ..manage(management) }).unwrap();
    }
    let done: Vec<_> = books.into_changes().trail.into_iter().map(|(_, it)| it.deed).collect();
    let to_peer = |act| Deed::of(act, owner).to_actor(PEER);
    let expected = [
        Deed::of(Act::KeyRevoked, owner).to_key(PEER, theirs),
        to_peer(Act::ActorRenamed),
        to_peer(Act::ActorDeactivated),
        to_peer(Act::ActorActivated),
    ];
    assert_eq!(done, expected);
}

#[test]
fn what_an_owner_exports_is_noted_also_while_its_account_is_suspended() {
    let owner = KeyBearer { role: Role::Owner, ..bearer(ME) };
    for status in [AccountStatus::Active, SUSPENDED] {
        let mut books = books();
        books.load_account(Account { status, ..account(HOME) });
        let export = |actor| {
            let unit = program(Intent::NoteExport { actor });
            UnitOfWork { author: Author::Key(owner), ..unit }
        };
        books.decide(export(None)).unwrap();
        books.decide(export(Some(PEER))).unwrap();
        let deed = Deed::of(Act::Exported, owner);
        let expected = [(HOME, noted(61, deed)), (HOME, noted(62, deed.to_actor(PEER)))];
        assert_eq!(books.into_changes().trail, expected);
    }
    let by_member = mine(Intent::NoteExport { actor: Some(ME) });
    assert_refused(&mut books(), by_member, &Refusal::OwnerOnly);
}

#[test]
fn what_an_owner_imports_is_noted_and_is_of_another_account() {
    let owner = KeyBearer { role: Role::Owner, ..bearer(ME) };
    let import = |source, actor| {
        let unit = program(Intent::NoteImport { source, actor });
        UnitOfWork { author: Author::Key(owner), ..unit }
    };
    let mut books = books();
    books.decide(import(uid(7), None)).unwrap();
    books.decide(import(uid(7), Some(PEER))).unwrap();
    let own = account(HOME).uid;
    assert_refused(&mut books, import(own, None), &Refusal::OwnExport);
    let by_member = mine(Intent::NoteImport { source: uid(7), actor: None });
    assert_refused(&mut books, by_member, &Refusal::OwnerOnly);
    books.load_account(Account { status: SUSPENDED, ..account(HOME) });
    assert_refused(&mut books, import(uid(7), None), &Refusal::Suspended);
    let trail = books.into_changes().trail;
    let deed = Deed::of(Act::Imported, owner);
    let expected = [deed, deed.to_actor(PEER)];
    assert_eq!(trail.iter().map(|(_, entry)| entry.deed).collect::<Vec<_>>(), expected);
}
