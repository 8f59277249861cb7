//! The end of an account.

use super::*;

const CODE: LookupHash = LookupHash([2; 32]);

fn key(status: KeyStatus) -> ApiKey {
    ApiKey {
        id: KEY,
        actor: ME,
        lookup: LookupHash([1; 32]),
        prefix: "roots_1_abc".into(),
        label: None,
        created_at: at(0),
        last_used: None,
        expires_at: None,
        status,
        succession: None,
        first_used_at: None,
    }
}

/// A working set with all rows that an erasure depends on.
fn ready() -> WorkingSet {
    let mut working_set = working_set();
    working_set.load_key(HOME, key(KeyStatus::Current));
    working_set.load_code(
        HOME,
        RecoveryCode { id: RecoveryId(1), lookup: CODE, created_at: at(0), comes_with: None },
    );
    working_set
}

fn erase(role: Role, code: LookupHash) -> Command {
    let bearer = KeyBearer { role, ..bearer(ME) };
    uncharged(Action::Manage(bearer, ManageAction::EraseAccount { code }))
}

#[test]
fn an_erasure_requires_the_owner_its_code_a_key_outside_grace_and_no_suspension() {
    let mut working_set = ready();
    assert_refused(&mut working_set, erase(Role::Member, CODE), &Refusal::OwnerOnly);
    let wrong = LookupHash([9; 32]);
    assert_refused(&mut working_set, erase(Role::Owner, wrong), &Refusal::WrongRecoveryCode);
    let until = at(i64::from(u16::MAX) * DAY_SECONDS);
    working_set.load_key(HOME, key(KeyStatus::InGrace { until }));
    assert_refused(&mut working_set, erase(Role::Owner, CODE), &Refusal::KeyInGrace);
    let mut suspended = ready();
    suspended.load_account(Account { status: AccountStatus::Suspended, ..account(HOME) });
    assert_refused(&mut suspended, erase(Role::Owner, CODE), &Refusal::Suspended);
}

#[test]
fn an_erasure_ends_the_account_and_writes_nothing_else() {
    let mut working_set = ready();
    let applied = working_set.decide(erase(Role::Owner, CODE)).unwrap();
    assert_eq!(
        applied,
        Applied { row: AppliedRow::Deleted, cost: 0, balance: 0, is_replay: false }
    );
    // A later command in the same working set finds no account.
    assert_refused(&mut working_set, mine(start()), &Refusal::KeyNotInForce);
    assert_refused(&mut working_set, erase(Role::Owner, CODE), &Refusal::KeyNotInForce);
    assert_refused(
        &mut working_set,
        by_command_line(grant(HOME, 1)),
        &Refusal::NoSuchAccount(HOME),
    );
    let directory =
        Some(Directory { last_account: Some(AccountId(2)), accounts: 1, installation: None });
    let write_set = WriteSet { directory, erased: vec![(HOME, now())], ..WriteSet::default() };
    assert_eq!(working_set.into_write_set(), write_set);
}

#[test]
fn the_account_of_the_last_operator_cannot_be_erased() {
    let mut working_set = ready();
    working_set.load_account(Account { kind: AccountKind::Operator, ..account(HOME) });
    assert_refused(&mut working_set, erase(Role::Owner, CODE), &Refusal::LastOperator);
    working_set.load_other_operator(true);
    working_set.decide(erase(Role::Owner, CODE)).unwrap();
}

#[test]
fn an_existing_account_is_never_swept() {
    let mut working_set = ready();
    let sweep = |account| program(SystemAction::SweepErased(account));
    assert_refused(&mut working_set, sweep(HOME), &Refusal::AccountExists(HOME));
    let gone = AccountId(7);
    working_set.decide(sweep(gone)).unwrap();
    let write_set = WriteSet { swept: vec![(gone, now())], ..WriteSet::default() };
    assert_eq!(working_set.into_write_set(), write_set);
}

#[test]
fn the_read_set_of_an_erasure_has_the_directory_its_key_and_its_codes() {
    let read_set = ReadSet::of([&erase(Role::Owner, CODE)]);
    let expected = ReadSet {
        directory: true,
        accounts: BTreeSet::from([HOME]),
        other_operator_than: Some(HOME),
        keys: BTreeSet::from([(HOME, KEY)]),
        codes: BTreeSet::from([HOME]),
        ..ReadSet::default()
    };
    assert_eq!(read_set, expected);
    let sweep = program(SystemAction::SweepErased(HOME));
    let expected = ReadSet { accounts: BTreeSet::from([HOME]), ..ReadSet::default() };
    assert_eq!(ReadSet::of([&sweep]), expected);
    assert!(sweep.action.stands_alone() && erase(Role::Owner, CODE).action.stands_alone());
}
