//! Units of accounts and credits.

use super::*;

pub(super) fn owner() -> Actor {
    Actor {
        id: ActorId(1),
        uid: uid(51),
        name: name("ada"),
        kind: ActorKind::Human,
        role: Role::Owner,
        is_active: true,
        key_epoch: KeyEpoch::FIRST,
        renewals: Renewals::NONE,
        created_at: now(),
    }
}

fn founded(id: AccountId, credits: i64) -> Account {
    Account {
        id,
        uid: uid(50),
        name: name("Acme"),
        kind: AccountKind::Customer,
        status: AccountStatus::Active,
        balance: credits,
        auth_epoch: 1,
        key_epoch: KeyEpoch::FIRST,
        counters: Counters {
            actor: 1,
            key: 1,
            recovery: 1,
            ledger: i64::from(credits > 0),
            ..Counters::default()
        },
        keys: 1,
        created_at: now(),
        version: 1,
    }
}

/// What founding leaves in a directory that counted no account, and gave that id last.
fn founding_changes(id: AccountId, credits: i64) -> Changes {
    let key = ApiKey {
        id: KeyId(1),
        actor: ActorId(1),
        lookup: LookupHash([1; 32]),
        prefix: "roots_3_abc".into(),
        label: None,
        created_at: now(),
        last_used: None,
        expires_at: None,
        ends_at: None,
        succession: None,
        first_used_at: None,
    };
    let code = RecoveryCode {
        id: RecoveryId(1),
        lookup: LookupHash([2; 32]),
        created_at: now(),
        comes_with: None,
    };
    let entry = LedgerEntry {
        id: LedgerId(1),
        delta: credits,
        balance_after: credits,
        reason: Reason::BootstrapGrant,
        endpoint: None,
        actor: None,
        note: None,
        created_at: now(),
    };
    let tally = ((id, Tally::Ledger(Reason::BootstrapGrant)), 1);
    let ledger = (credits > 0).then_some((id, entry));
    Changes {
        directory: Some(Directory { last_account: id.0, accounts: 1 }),
        accounts_founded: vec![founded(id, credits)],
        actors: Difference { inserted: vec![(id, owner())], ..Difference::default() },
        keys: Difference { inserted: vec![(id, key)], ..Difference::default() },
        codes: Difference { inserted: vec![(id, code)], ..Difference::default() },
        wraps: vec![(id, wrap())],
        tallies: ledger.iter().map(|_| tally.clone()).collect(),
        ledger: ledger.into_iter().collect(),
        ..Changes::default()
    }
}

fn directory(last: i64) -> Books {
    let mut books = Books::default();
    books.load_directory(Directory { last_account: last, accounts: 0 });
    books
}

fn free(row: AppliedRow, balance: i64) -> Applied {
    Applied { row, cost: 0, balance, is_replay: false }
}

#[test]
fn each_reserved_id_is_the_next() {
    let mut books = books();
    for id in [3, 4] {
        let decided = books.decide(program(Intent::ReserveAccount));
        assert_eq!(decided, Ok(free(AppliedRow::Reserved(AccountId(id)), 0)));
    }
    let directory = Some(Directory { last_account: 4, accounts: 2 });
    let expected = Changes { directory, ..Changes::default() };
    assert_eq!(books.into_changes(), expected);
}

#[test]
fn an_account_is_founded_with_all_that_lets_its_owner_in() {
    let mut books = directory(3);
    let decided = books.decide(program(found(founding(AccountId(3)))));
    let account = founded(AccountId(3), 25);
    assert_eq!(decided, Ok(free(AppliedRow::Account(Box::new(account)), 25)));
    assert_eq!(books.into_changes(), founding_changes(AccountId(3), 25));
}

#[test]
fn an_account_without_credits_has_an_empty_ledger() {
    let mut books = directory(3);
    let new = NewAccount { credits: 0, ..founding(AccountId(3)) };
    let decided = books.decide(program(found(new)));
    let account = founded(AccountId(3), 0);
    assert_eq!(decided, Ok(free(AppliedRow::Account(Box::new(account)), 0)));
    assert_eq!(books.into_changes(), founding_changes(AccountId(3), 0));
}

#[test]
fn the_first_account_needs_no_reservation_and_takes_the_first_id() {
    let mut books = directory(0);
    let new = NewAccount { must_be_first: true, ..founding(NewAccount::FIRST) };
    let decided = books.decide(program(found(new)));
    let account = founded(AccountId(1), 25);
    assert_eq!(decided, Ok(free(AppliedRow::Account(Box::new(account)), 25)));
    assert_eq!(books.into_changes(), founding_changes(AccountId(1), 25));
}

#[test]
fn an_id_that_was_ever_given_is_not_founded_anew_as_the_first() {
    // 1 was erased, or is about to be founded by whoever took it.
    for last in [1, 3] {
        let first = NewAccount { must_be_first: true, ..founding(NewAccount::FIRST) };
        let exists = Refusal::AccountExists(AccountId(1));
        assert_refused(&mut directory(last), program(found(first)), &exists);
    }
    // One that was taken for it.
    let id = AccountId(3);
    let new = NewAccount { must_be_first: true, ..founding(id) };
    let mut books = directory(3);
    let decided = books.decide(program(found(new.clone())));
    assert_eq!(decided, Ok(free(AppliedRow::Account(Box::new(founded(id, 25))), 25)));
    assert_eq!(books.into_changes(), founding_changes(id, 25));
    // It is the only one, or none.
    let mut books = directory(3);
    books.load_directory(Directory { last_account: 3, accounts: 1 });
    assert_refused(&mut books, program(found(new)), &Refusal::AccountExists(id));
}

#[test]
fn after_the_first_account_the_next_id_is_the_second() {
    let mut books = directory(0);
    let new = NewAccount { must_be_first: true, ..founding(NewAccount::FIRST) };
    books.decide(program(found(new))).unwrap();
    let decided = books.decide(program(Intent::ReserveAccount));
    assert_eq!(decided, Ok(free(AppliedRow::Reserved(AccountId(2)), 0)));
    let directory = Directory { last_account: 2, accounts: 1 };
    assert_eq!(books.into_changes().directory, Some(directory));
}

#[test]
fn the_first_account_is_refused_where_another_was_before_it() {
    let new = NewAccount { must_be_first: true, ..founding(NewAccount::FIRST) };
    let exists = Refusal::AccountExists(AccountId(1));
    assert_refused(&mut directory(2), program(found(new.clone())), &exists);
    let mut books = directory(1);
    books.load_account(account(HOME));
    assert_refused(&mut books, program(found(new.clone())), &exists);
    let mut books = directory(0);
    books.decide(program(found(new.clone()))).unwrap();
    assert_refused(&mut books, program(found(new)), &exists);
}

#[test]
fn an_account_takes_only_an_id_that_was_reserved_and_is_free() {
    let given = program(found(founding(HOME)));
    assert_refused(&mut books(), given, &Refusal::AccountExists(HOME));
    let beyond = program(found(founding(AccountId(3))));
    assert_refused(&mut books(), beyond, &Refusal::AccountExists(AccountId(3)));
    let mut books = books();
    books.decide(program(Intent::ReserveAccount)).unwrap();
    books.decide(program(found(founding(AccountId(3))))).unwrap();
    let twice = program(found(founding(AccountId(3))));
    assert_refused(&mut books, twice, &Refusal::AccountExists(AccountId(3)));
}

#[test]
fn a_grant_is_entered_with_its_note_and_costs_nothing() {
    for status in [AccountStatus::Active, AccountStatus::Suspended] {
        let mut books = books();
        let before = Account { status, ..account(HOME) };
        books.load_account(before.clone());
        let counters = Counters { ledger: 51, audit: 61, ..before.counters };
        let granted = Account { balance: BALANCE + 40, counters, ..before };
        let decided = books.decide(program(grant(HOME, 40)));
        let row = AppliedRow::Account(Box::new(granted.clone()));
        assert_eq!(decided, Ok(free(row, BALANCE + 40)));
        let entry = LedgerEntry {
            id: LedgerId(51),
            delta: 40,
            balance_after: BALANCE + 40,
            reason: Reason::OperatorGrant,
            endpoint: None,
            actor: None,
            note: Some("refill".into()),
            created_at: now(),
        };
        let expected = Changes {
            accounts_changed: vec![Account { version: 8, ..granted }],
            ledger: vec![(HOME, entry)],
            trail: vec![(HOME, noted(61, Deed::of_program(Act::CreditsGranted)))],
            tallies: tallies([(Tally::Ledger(Reason::OperatorGrant), 1)]),
            ..Changes::default()
        };
        assert_eq!(books.into_changes(), expected);
    }
}

#[test]
fn a_grant_to_an_account_of_the_same_batch_is_part_of_its_founding() {
    let mut books = directory(3);
    books.decide(program(found(founding(AccountId(3))))).unwrap();
    books.decide(program(grant(AccountId(3), 5))).unwrap();
    let changes = books.into_changes();
    assert_eq!(changes.accounts_changed, []);
    assert_eq!(changes.accounts_founded[0].balance, 30);
    assert_eq!(changes.accounts_founded[0].version, 1);
    let after: Vec<_> = changes.ledger.iter().map(|(_, row)| row.balance_after).collect();
    assert_eq!(after, [25, 30]);
}

#[test]
fn a_grant_to_no_account_is_refused() {
    let nobody = AccountId(9);
    let unit = program(grant(nobody, 1));
    assert_refused(&mut books(), unit, &Refusal::NoSuchAccount(nobody));
}

#[test]
fn a_grant_beyond_what_can_be_counted_is_refused() {
    let mut books = with_balance(i64::MAX - 1);
    assert_refused(&mut books, program(grant(HOME, 2)), &Refusal::BalanceTooHigh);
    let granted = books.decide(program(grant(HOME, 1))).unwrap();
    assert_eq!(granted.balance, i64::MAX);
}

#[test]
fn no_key_makes_accounts() {
    for intent in [Intent::ReserveAccount, found(founding(AccountId(2)))] {
        assert_refused(&mut books(), mine(intent), &Refusal::KeyNotInForce);
    }
}

#[test]
fn the_program_writes_for_no_actor() {
    for intent in [
        start(),
        end(ACTIVE),
        Intent::DeleteSession(ACTIVE),
        new_todo(None),
        step(TODO, TodoStatus::Done),
        Intent::DeleteTodo(TODO),
        log("deploy", None),
        Intent::DeleteActivity(ACTIVITY),
        set_status(HOME, AccountStatus::Suspended),
    ] {
        assert_refused(&mut books(), program(intent), &Refusal::KeyNotInForce);
    }
}

#[test]
fn calls_are_counted_beside_the_books_and_dropped_where_there_is_no_account() {
    let mut books = books();
    let counts = vec![called(HOME, 2), called(AccountId(9), 5)];
    for counts in [counts, vec![called(HOME, 3)]] {
        let counted = books.decide(program(Intent::CountCalls(counts))).unwrap();
        assert_eq!(
            counted,
            Applied { row: AppliedRow::Counted, cost: 0, balance: 0, is_replay: false }
        );
    }
    let changes = books.into_changes();
    assert_eq!(changes.calls, BTreeMap::from([called(HOME, 5)]));
    assert!(changes.accounts_changed.is_empty(), "nothing else is written");
}

#[test]
fn no_key_counts_calls() {
    let unit = mine(Intent::CountCalls(vec![called(HOME, 1)]));
    assert_refused(&mut books(), unit, &Refusal::KeyNotInForce);
}
