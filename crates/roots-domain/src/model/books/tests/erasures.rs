//! The end of an account.

use super::*;

const CODE: LookupHash = LookupHash([2; 32]);

fn key(ends_at: Option<Timestamp>) -> ApiKey {
    ApiKey {
        id: KEY,
        actor: ME,
        lookup: LookupHash([1; 32]),
        prefix: "roots_1_abc".into(),
        label: None,
        created_at: at(0),
        last_used: None,
        expires_at: None,
        ends_at,
        succession: None,
        first_used_at: None,
    }
}

/// The books with what an erasure rests on.
fn ready() -> Books {
    let mut books = books();
    books.load_key(HOME, key(None));
    books.load_code(
        HOME,
        RecoveryCode { id: RecoveryId(1), lookup: CODE, created_at: at(0), comes_with: None },
    );
    books
}

fn erase(role: Role, code: LookupHash) -> UnitOfWork {
    let author = Author::Key(KeyBearer { role, ..bearer(ME) });
    UnitOfWork { author, charge: None, ..mine(Intent::EraseAccount { code }) }
}

#[test]
fn it_takes_the_owner_and_the_code_of_this_account() {
    let mut books = ready();
    assert_refused(&mut books, erase(Role::Member, CODE), &Refusal::OwnerOnly);
    let wrong = LookupHash([9; 32]);
    assert_refused(&mut books, erase(Role::Owner, wrong), &Refusal::WrongRecoveryCode);
    books.load_key(HOME, key(Some(at(i64::from(u16::MAX) * DAY_SECONDS))));
    assert_refused(&mut books, erase(Role::Owner, CODE), &Refusal::KeyInGrace);
    let mut suspended = ready();
    suspended.load_account(Account { status: AccountStatus::Suspended, ..account(HOME) });
    assert_refused(&mut suspended, erase(Role::Owner, CODE), &Refusal::Suspended);
}

#[test]
fn an_account_ends_and_nothing_else_is_changed() {
    let mut books = ready();
    let applied = books.decide(erase(Role::Owner, CODE)).unwrap();
    assert_eq!(
        applied,
        Applied { row: AppliedRow::Deleted, cost: 0, balance: 0, is_replay: false }
    );
    // Whoever comes after it in the same books finds no account.
    assert_refused(&mut books, mine(start()), &Refusal::KeyNotInForce);
    assert_refused(&mut books, erase(Role::Owner, CODE), &Refusal::KeyNotInForce);
    assert_refused(&mut books, program(grant(HOME, 1)), &Refusal::NoSuchAccount(HOME));
    let directory = Some(Directory { last_account: 2, accounts: 1 });
    let changes = Changes { directory, erased: vec![(HOME, now())], ..Changes::default() };
    assert_eq!(books.into_changes(), changes);
}

#[test]
fn the_last_operators_account_stays() {
    let mut books = ready();
    books.load_account(Account { kind: AccountKind::Operator, ..account(HOME) });
    assert_refused(&mut books, erase(Role::Owner, CODE), &Refusal::LastOperator);
    books.load_other_operator(true);
    books.decide(erase(Role::Owner, CODE)).unwrap();
}

#[test]
fn what_there_is_is_never_swept() {
    let mut books = ready();
    let sweep = |account| program(Intent::SweepErased(account));
    assert_refused(&mut books, sweep(HOME), &Refusal::AccountExists(HOME));
    let gone = AccountId(7);
    books.decide(sweep(gone)).unwrap();
    let by_key = mine(Intent::SweepErased(gone));
    assert_refused(&mut books, by_key, &Refusal::KeyNotInForce);
    let changes = Changes { swept: vec![(gone, now())], ..Changes::default() };
    assert_eq!(books.into_changes(), changes);
}

#[test]
fn it_needs_the_directory_its_key_and_its_codes() {
    let needs = Needs::of([&erase(Role::Owner, CODE)]);
    let expected = Needs {
        directory: true,
        accounts: BTreeSet::from([HOME]),
        other_operator_than: Some(HOME),
        keys: BTreeSet::from([(HOME, KEY)]),
        codes: BTreeSet::from([HOME]),
        ..Needs::default()
    };
    assert_eq!(needs, expected);
    let sweep = program(Intent::SweepErased(HOME));
    let expected = Needs { accounts: BTreeSet::from([HOME]), ..Needs::default() };
    assert_eq!(Needs::of([&sweep]), expected);
    assert!(sweep.intent.stands_alone() && erase(Role::Owner, CODE).intent.stands_alone());
}
