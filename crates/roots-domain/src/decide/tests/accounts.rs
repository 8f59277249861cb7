//! Commands of accounts and credits.

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
        sign_in_epoch: 0,
        key_epoch: KeyEpoch::FIRST,
        last_ids: LastIds {
            actor: 1,
            key: 1,
            recovery: 1,
            sign_in: 0,
            ledger: i64::from(credits > 0),
            ..LastIds::default()
        },
        keys: 1,
        created_at: now(),
        version: 1,
    }
}

/// The write set of founding the only account, whose id was the last one assigned.
fn founding_changes(id: AccountId, credits: i64) -> WriteSet {
    let key = ApiKey {
        id: KeyId(1),
        actor: ActorId(1),
        lookup: LookupHash([1; 32]),
        prefix: "roots_3_abc".into(),
        label: None,
        created_at: now(),
        last_used: None,
        expires_at: None,
        status: KeyStatus::Current,
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
        subject: None,
        steps: Steps::default(),
        created_at: now(),
    };
    let counter = ((id, Counter::Ledger(Reason::BootstrapGrant)), 1);
    let ledger = (credits > 0).then_some((id, entry));
    WriteSet {
        directory: Some(Directory { last_account: Some(id), accounts: 1, installation: None }),
        accounts_founded: vec![founded(id, credits)],
        actors: Difference { inserted: vec![(id, owner())], ..Difference::default() },
        keys: Difference { inserted: vec![(id, key)], ..Difference::default() },
        codes: Difference { inserted: vec![(id, code)], ..Difference::default() },
        wraps: vec![(id, wrap())],
        counters: ledger.iter().map(|_| counter.clone()).collect(),
        work: ledger
            .iter()
            .flat_map(|_| work(None, granted(credits)))
            .map(|((_, counter), counts)| ((id, counter), counts))
            .collect(),
        ledger: ledger.into_iter().collect(),
        ..WriteSet::default()
    }
}

fn directory(last: Option<i64>) -> WorkingSet {
    let mut working_set = WorkingSet::default();
    let last_account = last.map(AccountId);
    working_set.load_directory(Directory { last_account, accounts: 0, installation: None });
    working_set
}

fn free(row: AppliedRow, balance: i64) -> Applied {
    Applied { row, cost: 0, balance, is_replay: false }
}

#[test]
fn each_reservation_takes_the_next_account_id() {
    let mut working_set = working_set();
    for id in [3, 4] {
        let decided = working_set.decide(program(SystemAction::ReserveAccount));
        assert_eq!(decided, Ok(free(AppliedRow::Reserved(AccountId(id)), 0)));
    }
    let directory =
        Some(Directory { last_account: Some(AccountId(4)), accounts: 2, installation: None });
    let expected = WriteSet { directory, ..WriteSet::default() };
    assert_eq!(working_set.into_write_set(), expected);
}

#[test]
fn founding_an_account_writes_its_owner_key_code_wrap_and_ledger() {
    let mut working_set = directory(Some(3));
    let decided = working_set.decide(program(found(founding(AccountId(3)))));
    let account = founded(AccountId(3), 25);
    assert_eq!(decided, Ok(free(AppliedRow::Account(Box::new(account)), 25)));
    assert_eq!(working_set.into_write_set(), founding_changes(AccountId(3), 25));
}

#[test]
fn founding_an_account_without_credits_writes_no_ledger_entry() {
    let mut working_set = directory(Some(3));
    let new = NewAccount { credits: 0, ..founding(AccountId(3)) };
    let decided = working_set.decide(program(found(new)));
    let account = founded(AccountId(3), 0);
    assert_eq!(decided, Ok(free(AppliedRow::Account(Box::new(account)), 0)));
    assert_eq!(working_set.into_write_set(), founding_changes(AccountId(3), 0));
}

#[test]
fn the_first_account_needs_no_reservation_and_takes_the_first_id() {
    let mut working_set = directory(None);
    let new = NewAccount { must_be_first: true, ..founding(NewAccount::FIRST) };
    let decided = working_set.decide(program(found(new)));
    let account = founded(AccountId(1), 25);
    assert_eq!(decided, Ok(free(AppliedRow::Account(Box::new(account)), 25)));
    assert_eq!(working_set.into_write_set(), founding_changes(AccountId(1), 25));
}

#[test]
fn a_first_account_takes_only_a_new_or_reserved_id_in_an_empty_installation() {
    // Id 1 was assigned: its account was erased, or is about to be founded by another command.
    for last in [1, 3] {
        let first = NewAccount { must_be_first: true, ..founding(NewAccount::FIRST) };
        let exists = Refusal::AccountExists(AccountId(1));
        assert_refused(&mut directory(Some(last)), program(found(first)), &exists);
    }
    // An id that was reserved for it.
    let id = AccountId(3);
    let new = NewAccount { must_be_first: true, ..founding(id) };
    let mut working_set = directory(Some(3));
    let decided = working_set.decide(program(found(new.clone())));
    assert_eq!(decided, Ok(free(AppliedRow::Account(Box::new(founded(id, 25))), 25)));
    assert_eq!(working_set.into_write_set(), founding_changes(id, 25));
    // It is refused beside another account.
    let mut working_set = directory(Some(3));
    working_set.load_directory(Directory {
        last_account: Some(AccountId(3)),
        accounts: 1,
        installation: None,
    });
    assert_refused(&mut working_set, program(found(new)), &Refusal::AccountExists(id));
}

#[test]
fn the_first_reservation_after_the_first_account_gets_id_2() {
    let mut working_set = directory(None);
    let new = NewAccount { must_be_first: true, ..founding(NewAccount::FIRST) };
    working_set.decide(program(found(new))).unwrap();
    let decided = working_set.decide(program(SystemAction::ReserveAccount));
    assert_eq!(decided, Ok(free(AppliedRow::Reserved(AccountId(2)), 0)));
    let directory = Directory { last_account: Some(AccountId(2)), accounts: 1, installation: None };
    assert_eq!(working_set.into_write_set().directory, Some(directory));
}

#[test]
fn founding_the_first_account_is_refused_after_an_earlier_account() {
    let new = NewAccount { must_be_first: true, ..founding(NewAccount::FIRST) };
    let exists = Refusal::AccountExists(AccountId(1));
    assert_refused(&mut directory(Some(2)), program(found(new.clone())), &exists);
    let mut working_set = directory(Some(1));
    working_set.load_account(account(HOME));
    assert_refused(&mut working_set, program(found(new.clone())), &exists);
    let mut working_set = directory(None);
    working_set.decide(program(found(new.clone()))).unwrap();
    assert_refused(&mut working_set, program(found(new)), &exists);
}

#[test]
fn an_installation_is_named_once_and_only_before_its_first_account() {
    let mut working_set = directory(None);
    for new in [uid(1), uid(2)] {
        let decided = working_set.decide(program(SystemAction::NameInstallation(new)));
        assert_eq!(decided, Ok(free(AppliedRow::Installation(uid(1)), 0)));
    }
    let mut named = Directory { installation: Some(uid(1)), ..Directory::default() };
    assert_eq!(working_set.clone().into_write_set().directory, Some(named));

    // Founding the account keeps the installation's id, and it can't be set after that.
    let new = NewAccount { must_be_first: true, ..founding(NewAccount::FIRST) };
    working_set.decide(program(found(new))).unwrap();
    let exists = Refusal::AccountExists(AccountId(1));
    assert_refused(&mut working_set, program(SystemAction::NameInstallation(uid(3))), &exists);
    (named.last_account, named.accounts) = (Some(AccountId(1)), 1);
    assert_eq!(working_set.into_write_set().directory, Some(named));

    // An installation that has an id is not written again.
    let mut working_set = WorkingSet::default();
    working_set.load_directory(Directory { accounts: 0, ..named });
    let decided = working_set.decide(program(SystemAction::NameInstallation(uid(2))));
    assert_eq!(decided, Ok(free(AppliedRow::Installation(uid(1)), 0)));
    assert_eq!(working_set.into_write_set(), WriteSet::default());
}

#[test]
fn founding_an_account_requires_a_reserved_and_unused_id() {
    let given = program(found(founding(HOME)));
    assert_refused(&mut working_set(), given, &Refusal::AccountExists(HOME));
    let beyond = program(found(founding(AccountId(3))));
    assert_refused(&mut working_set(), beyond, &Refusal::AccountExists(AccountId(3)));
    let mut working_set = working_set();
    working_set.decide(program(SystemAction::ReserveAccount)).unwrap();
    working_set.decide(program(found(founding(AccountId(3))))).unwrap();
    let twice = program(found(founding(AccountId(3))));
    assert_refused(&mut working_set, twice, &Refusal::AccountExists(AccountId(3)));
}

#[test]
fn a_grant_writes_a_ledger_and_an_audit_entry_and_costs_nothing() {
    for status in [AccountStatus::Active, AccountStatus::Suspended] {
        let mut working_set = working_set();
        let before = Account { status, ..account(HOME) };
        working_set.load_account(before.clone());
        let last_ids = LastIds { ledger: 51, audit: 61, ..before.last_ids };
        let granted = Account { balance: BALANCE + 40, last_ids, ..before };
        let decided = working_set.decide(by_command_line(grant(HOME, 40)));
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
            subject: None,
            steps: Steps::default(),
            created_at: now(),
        };
        let expected = WriteSet {
            accounts_changed: vec![Account { version: 8, ..granted }],
            ledger: vec![(HOME, entry)],
            audit_log: vec![(HOME, noted(61, AuditEvent::of_program(AuditAction::CreditsGranted)))],
            counters: counters([(Counter::Ledger(Reason::OperatorGrant), 1)]),
            work: work(None, super::granted(40)),
            ..WriteSet::default()
        };
        assert_eq!(working_set.into_write_set(), expected);
    }
}

#[test]
fn a_grant_to_an_account_founded_in_the_same_batch_is_part_of_its_insert() {
    let mut working_set = directory(Some(3));
    working_set.decide(program(found(founding(AccountId(3))))).unwrap();
    working_set.decide(by_command_line(grant(AccountId(3), 5))).unwrap();
    let write_set = working_set.into_write_set();
    assert_eq!(write_set.accounts_changed, []);
    assert_eq!(write_set.accounts_founded[0].balance, 30);
    assert_eq!(write_set.accounts_founded[0].version, 1);
    let after: Vec<_> = write_set.ledger.iter().map(|(_, row)| row.balance_after).collect();
    assert_eq!(after, [25, 30]);
}

#[test]
fn a_grant_to_an_unknown_account_is_refused() {
    let nobody = AccountId(9);
    let command = by_command_line(grant(nobody, 1));
    assert_refused(&mut working_set(), command, &Refusal::NoSuchAccount(nobody));
}

#[test]
fn a_grant_that_would_overflow_the_balance_is_refused() {
    let mut working_set = with_balance(i64::MAX - 1);
    assert_refused(&mut working_set, by_command_line(grant(HOME, 2)), &Refusal::BalanceTooHigh);
    let granted = working_set.decide(by_command_line(grant(HOME, 1))).unwrap();
    assert_eq!(granted.balance, i64::MAX);
}

#[test]
fn counting_calls_changes_no_account_and_drops_calls_of_unknown_accounts() {
    let mut working_set = working_set();
    let counts = vec![called(HOME, 2), called(AccountId(9), 5)];
    for counts in [counts, vec![called(HOME, 3)]] {
        let counted = working_set.decide(program(SystemAction::CountCalls(counts))).unwrap();
        assert_eq!(
            counted,
            Applied { row: AppliedRow::Counted, cost: 0, balance: 0, is_replay: false }
        );
    }
    let write_set = working_set.into_write_set();
    assert_eq!(write_set.calls, BTreeMap::from([called(HOME, 5)]));
    assert!(write_set.accounts_changed.is_empty(), "nothing else is written");
}
