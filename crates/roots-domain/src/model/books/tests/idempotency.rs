//! Requests that are named, to be repeated safely.

use proptest::prelude::*;

use super::super::super::credit::LedgerAudit;
use super::super::super::idempotency::{Idempotency, KEPT_SECONDS, Mac, NamedRequest};
use super::*;

const NAME: u8 = 7;

fn named_request(key: u8, request: u8) -> NamedRequest {
    NamedRequest { key: Mac([key; 32]), request: Mac([request; 32]) }
}

/// What names a unit so, in the first epoch of its caller's key.
fn name_of(key: u8, request: u8) -> Conditions {
    let now = named_request(key, request);
    Conditions { idempotency: Some(Idempotency { now, before: vec![] }), ..Conditions::default() }
}

fn named(key: u8, request: u8, intent: Intent) -> UnitOfWork {
    UnitOfWork { conditions: name_of(key, request), ..mine(intent) }
}

/// Every kind of write that a caller may name.
fn writes() -> [Intent; 8] {
    [
        start(),
        end(ACTIVE),
        Intent::DeleteSession(ACTIVE),
        new_todo(Some(ACTIVE)),
        step(TODO, TodoStatus::Done),
        Intent::DeleteTodo(TODO),
        log("deploy", Some(ACTIVE)),
        Intent::DeleteActivity(ACTIVITY),
    ]
}

fn replayed(first: &Applied, balance: i64) -> Applied {
    Applied { balance, is_replay: true, ..first.clone() }
}

#[test]
fn a_named_write_is_done_once_and_answered_as_often_as_it_is_asked_for() {
    for intent in writes() {
        let mut books = books();
        let first = books.decide(named(NAME, 1, intent.clone())).unwrap();
        assert!(!first.is_replay);
        let before = stands(&books);
        for _ in 0..2 {
            assert_eq!(books.decide(named(NAME, 1, intent.clone())), Ok(replayed(&first, 99)));
        }
        assert_eq!(stands(&books), before, "nothing was done or charged");
        let kept = books.into_changes().answers;
        let answer = KeptAnswer {
            actor: ME,
            request: named_request(NAME, 1),
            row: first.row,
            cost: 1,
            created_at: now(),
        };
        assert_eq!(kept, BTreeMap::from([((HOME, ME, Mac([NAME; 32])), answer)]));
    }
}

#[test]
fn an_answer_that_was_kept_before_is_told_again_whatever_became_of_its_row() {
    for intent in writes() {
        let mut yesterday = books();
        let first = yesterday.decide(named(NAME, 1, intent.clone())).unwrap();
        let kept = yesterday.into_changes().answers.into_values().next().unwrap();
        // The rows are as they were, changed, or gone.
        let mut empty = Books::default();
        empty.load_account(Account { balance: 5, ..account(HOME) });
        for (mut books, balance) in [(books(), BALANCE), (with_balance(0), 0), (empty, 5)] {
            books.load_answer(HOME, kept.clone());
            let before = stands(&books);
            let again = books.decide(named(NAME, 1, intent.clone()));
            assert_eq!(again, Ok(replayed(&first, balance)));
            assert_eq!(stands(&books), before);
        }
    }
}

#[test]
fn a_name_is_taken_by_one_request_and_by_one_actor() {
    let mut books = books();
    books.decide(named(NAME, 1, start())).unwrap();
    let other = named(NAME, 2, new_todo(None));
    assert_refused(&mut books, other, &Refusal::KeyOfAnotherRequest);
    assert!(!books.decide(named(NAME + 1, 1, start())).unwrap().is_replay);
    let of_peer = UnitOfWork { conditions: name_of(NAME, 1), ..by(PEER, start()) };
    assert!(!books.decide(of_peer).unwrap().is_replay);
    let abroad = Author::Key(KeyBearer { account: ABROAD, ..bearer(ME) });
    let abroad = UnitOfWork { author: abroad, ..named(NAME, 1, start()) };
    assert!(!books.decide(abroad).unwrap().is_replay);
}

#[test]
fn a_name_comes_before_everything_but_the_key() {
    let mut books = books();
    let first = books.decide(named(NAME, 1, end(ACTIVE))).unwrap();
    let account = books.account_mut(HOME).unwrap();
    account.status = AccountStatus::Suspended;
    account.balance = 0;
    let mut again = named(NAME, 1, end(ACTIVE));
    again.conditions.if_match = Some(Vec::new());
    assert_eq!(books.decide(again.clone()), Ok(replayed(&first, 0)));
    let other = UnitOfWork { conditions: name_of(NAME, 2), ..again.clone() };
    assert_refused(&mut books, other, &Refusal::KeyOfAnotherRequest);
    let new = UnitOfWork { conditions: name_of(NAME + 1, 1), ..again.clone() };
    assert_refused(&mut books, new, &Refusal::Suspended);
    // A key that has ended hears nothing, neither its answer nor that the name is taken.
    for bearer in [
        KeyBearer { auth_epoch: EPOCH - 1, ..bearer(ME) },
        KeyBearer { ends_at: Some(now()), ..bearer(ME) },
    ] {
        for request in [1, 2] {
            let author = Author::Key(bearer);
            let asked = UnitOfWork { author, conditions: name_of(NAME, request), ..again.clone() };
            assert_refused(&mut books, asked, &Refusal::KeyNotInForce);
        }
    }
}

#[test]
fn a_replay_asked_for_within_the_day_is_answered_though_it_is_decided_after_it() {
    let mut books = books();
    let first = UnitOfWork { at: at(1), ..named(NAME, 1, start()) };
    books.decide(first.clone()).unwrap();
    let again = UnitOfWork { at: at(1 + KEPT_SECONDS), ..first };
    assert!(books.decide_at(again, at(9 + KEPT_SECONDS)).unwrap().is_replay);
}

#[test]
fn what_was_refused_leaves_its_name_free() {
    let mut books = with_balance(0);
    let too_little = Refusal::InsufficientCredits { balance: 0, cost: 1 };
    assert_refused(&mut books, named(NAME, 1, start()), &too_little);
    books.account_mut(HOME).unwrap().balance = 1;
    let done = books.decide(named(NAME, 2, new_todo(None))).unwrap();
    assert!(!done.is_replay);
    assert_eq!(books.decide(named(NAME, 2, new_todo(None))), Ok(replayed(&done, 0)));
}

#[test]
fn a_name_is_new_again_after_a_day_swept_or_not() {
    let mut books = books();
    let at_once = UnitOfWork { at: at(1), ..named(NAME, 1, start()) };
    books.decide(at_once.clone()).unwrap();
    let in_time = UnitOfWork { at: at(1 + KEPT_SECONDS), ..at_once.clone() };
    assert!(books.decide(in_time).unwrap().is_replay);
    let late = UnitOfWork { at: at(2 + KEPT_SECONDS), ..at_once };
    let other = UnitOfWork { conditions: name_of(NAME, 2), ..late.clone() };
    assert!(!books.decide(other.clone()).unwrap().is_replay);
    assert!(books.decide(other).unwrap().is_replay);
    assert_refused(&mut books, late, &Refusal::KeyOfAnotherRequest);
    // The young one takes the place of the old one.
    let kept = books.into_changes().answers;
    let times: Vec<_> = kept.values().map(|answer| answer.created_at).collect();
    assert_eq!(times, [at(2 + KEPT_SECONDS)]);
}

#[test]
fn a_name_outlives_a_renewal_of_its_callers_key() {
    let mut books = books();
    let first = books.decide(named(NAME, 1, start())).unwrap();
    let (now, before) =
        (named_request(50, 51), vec![named_request(60, 61), named_request(NAME, 1)]);
    let renewed = |before| {
        let idempotency = Some(Idempotency { now, before });
        let conditions = Conditions { idempotency, ..Conditions::default() };
        UnitOfWork { conditions, ..mine(start()) }
    };
    let unit = renewed(before);
    assert_eq!(unit.answer_keys().count(), 3);
    assert_eq!(Needs::of([&unit]).answers, unit.answer_keys().collect());
    assert_eq!(books.decide(unit), Ok(replayed(&first, 99)));
    let other = renewed(vec![named_request(NAME, 2)]);
    assert_refused(&mut books, other, &Refusal::KeyOfAnotherRequest);
    // What is new is kept under the key in force.
    books.decide(renewed(vec![named_request(60, 61)])).unwrap();
    assert!(books.changes.answers.contains_key(&(HOME, ME, Mac([50; 32]))));
}

#[test]
fn answers_are_forgotten_by_the_program_alone() {
    let mut books = books();
    let forget = |account| Intent::ForgetAnswers { account, before: at(9) };
    let unit = program(forget(HOME));
    assert_eq!(unit.account(), Some(HOME));
    assert_eq!(books.decide(unit).unwrap().cost, 0);
    assert_refused(&mut books, mine(forget(HOME)), &Refusal::KeyNotInForce);
    let nowhere = AccountId(9);
    assert_refused(&mut books, program(forget(nowhere)), &Refusal::NoSuchAccount(nowhere));
    let expected = Changes { forgotten: vec![(HOME, at(9))], ..Changes::default() };
    assert_eq!(books.into_changes(), expected);
}

/// A caller that names some of its writes, few names among them.
fn asked() -> impl Strategy<Value = (Option<u8>, usize, i64)> {
    (proptest::option::weighted(0.8, 0..4_u8), 0..8_usize, 0..3 * DAY_SECONDS)
}

proptest! {
    #[test]
    fn whatever_is_repeated_is_charged_once_and_the_books_add_up(
        mut script in proptest::collection::vec(asked(), 1..60),
        balance in 0..20_i64,
    ) {
        script.sort_by_key(|(_, _, second)| *second);
        let mut books = with_balance(balance);
        books.account_mut(HOME).unwrap().counters.ledger = 0;
        let mut firsts = BTreeMap::new();
        let mut charged = 0;
        for (name, choice, second) in script {
            let request = u8::try_from(choice).unwrap();
            let mut unit = mine(writes()[choice].clone());
            unit.at = at(second);
            if let Some(name) = name {
                unit.conditions = name_of(name, request);
            }
            let left = books.account(HOME).unwrap().balance;
            let known = name.and_then(|name| firsts.get(&name).cloned());
            let known = known.filter(|(_, _, since)| second - since <= KEPT_SECONDS);
            let answer = books.decide(unit);
            match (known, answer) {
                (Some((of, first, _)), Ok(again)) => {
                    prop_assert_eq!(of, request);
                    prop_assert_eq!(again, replayed(&first, left));
                }
                (Some((of, ..)), Err(refusal)) => {
                    prop_assert_ne!(of, request);
                    prop_assert_eq!(refusal, Refusal::KeyOfAnotherRequest);
                }
                (None, Ok(first)) => {
                    prop_assert!(!first.is_replay);
                    charged += 1;
                    if let Some(name) = name {
                        firsts.insert(name, (request, first, second));
                    }
                }
                (None, Err(_)) => {}
            }
        }
        let left = books.account(HOME).unwrap().balance;
        prop_assert_eq!(left, balance - charged);
        let mut audit = LedgerAudit::default();
        audit.push(LedgerId(1), balance, balance);
        for (_, entry) in books.into_changes().ledger {
            audit.push(LedgerId(entry.id.0 + 1), entry.delta, entry.balance_after);
        }
        prop_assert_eq!(audit.finish(left, charged + 1), []);
    }
}
