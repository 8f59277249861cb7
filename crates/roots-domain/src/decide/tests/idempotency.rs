//! Requests that are named, to be repeated safely.

use proptest::prelude::*;

use super::*;
use crate::model::credit::LedgerVerifier;
use crate::model::idempotency::{Idempotency, IdempotencyMacs, KEPT_SECONDS, Mac};

const NAME: u8 = 7;

fn named_request(key: u8, request: u8) -> IdempotencyMacs {
    IdempotencyMacs { key: Mac([key; 32]), request: Mac([request; 32]) }
}

/// The conditions of a command with this idempotency key and request, in the first epoch of its
/// caller's key.
pub(super) fn name_of(key: u8, request: u8) -> Conditions {
    let now = named_request(key, request);
    Conditions { idempotency: Some(Idempotency { now, before: vec![] }), ..Conditions::default() }
}

fn idempotent(key: u8, request: u8, action: ResourceAction) -> Command {
    Command { conditions: name_of(key, request), ..mine(action) }
}

/// Every kind of write that a caller may name.
fn writes() -> [ResourceAction; 9] {
    [
        start(),
        end(ACTIVE),
        ResourceAction::DeleteSession(ACTIVE),
        new_todo(Some(ACTIVE)),
        new_todos([Some(ACTIVE)]),
        step(TODO, TodoStatus::Done),
        ResourceAction::DeleteTodo { id: TODO, claim_token: None },
        log("deploy", Some(ACTIVE)),
        ResourceAction::DeleteActivity(ACTIVITY),
    ]
}

fn replayed(first: &Applied, balance: i64) -> Applied {
    Applied { balance, is_replay: true, ..first.clone() }
}

#[test]
fn a_repeated_idempotent_request_is_applied_once_and_replayed_from_its_record() {
    for action in writes() {
        let mut working_set = working_set();
        let first = working_set.decide(idempotent(NAME, 1, action.clone())).unwrap();
        assert!(!first.is_replay);
        let before = stands(&working_set);
        for _ in 0..2 {
            assert_eq!(
                working_set.decide(idempotent(NAME, 1, action.clone())),
                Ok(replayed(&first, 99))
            );
        }
        assert_eq!(stands(&working_set), before, "nothing was done or charged");
        let kept = working_set.into_write_set().idempotency_records;
        let answer = IdempotencyRecord {
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
fn a_stored_idempotency_record_is_replayed_even_if_its_row_has_changed_or_gone() {
    for action in writes() {
        let mut yesterday = working_set();
        let first = yesterday.decide(idempotent(NAME, 1, action.clone())).unwrap();
        let kept = yesterday.into_write_set().idempotency_records.into_values().next().unwrap();
        // The rows are unchanged, changed or deleted.
        let mut empty = WorkingSet::default();
        empty.load_account(Account { balance: 5, ..account(HOME) });
        for (mut working_set, balance) in
            [(working_set(), BALANCE), (with_balance(0), 0), (empty, 5)]
        {
            working_set.load_idempotency_record(HOME, kept.clone());
            let before = stands(&working_set);
            let again = working_set.decide(idempotent(NAME, 1, action.clone()));
            assert_eq!(again, Ok(replayed(&first, balance)));
            assert_eq!(stands(&working_set), before);
        }
    }
}

#[test]
fn an_idempotency_key_belongs_to_one_request_and_one_actor() {
    let mut working_set = working_set();
    working_set.decide(idempotent(NAME, 1, start())).unwrap();
    let other = idempotent(NAME, 2, new_todo(None));
    assert_refused(&mut working_set, other, &Refusal::KeyOfAnotherRequest);
    assert!(!working_set.decide(idempotent(NAME + 1, 1, start())).unwrap().is_replay);
    let of_peer = Command { conditions: name_of(NAME, 1), ..by(PEER, start()) };
    assert!(!working_set.decide(of_peer).unwrap().is_replay);
    let abroad = KeyBearer { account: ABROAD, ..bearer(ME) };
    let abroad = borne_by(abroad, idempotent(NAME, 1, start()));
    assert!(!working_set.decide(abroad).unwrap().is_replay);
}

#[test]
fn an_idempotency_record_is_checked_before_everything_but_the_api_key() {
    let mut working_set = working_set();
    let first = working_set.decide(idempotent(NAME, 1, end(ACTIVE))).unwrap();
    let account = working_set.account_mut(HOME).unwrap();
    account.status = AccountStatus::Suspended;
    account.balance = 0;
    let mut again = idempotent(NAME, 1, end(ACTIVE));
    again.conditions.if_match = Some(Vec::new());
    assert_eq!(working_set.decide(again.clone()), Ok(replayed(&first, 0)));
    let other = Command { conditions: name_of(NAME, 2), ..again.clone() };
    assert_refused(&mut working_set, other, &Refusal::KeyOfAnotherRequest);
    let new = Command { conditions: name_of(NAME + 1, 1), ..again.clone() };
    assert_refused(&mut working_set, new, &Refusal::Suspended);
    // An ended API key gets neither the replay nor the refusal of a reused idempotency key.
    for bearer in [
        KeyBearer { auth_epoch: EPOCH - 1, ..bearer(ME) },
        KeyBearer { ends_at: Some(now()), ..bearer(ME) },
    ] {
        for request in [1, 2] {
            let asked = Command { conditions: name_of(NAME, request), ..again.clone() };
            assert_refused(&mut working_set, borne_by(bearer, asked), &Refusal::KeyNotInForce);
        }
    }
}

#[test]
fn a_replay_requested_within_a_day_is_answered_although_decided_later() {
    let mut working_set = working_set();
    let first = Command { at: at(1), ..idempotent(NAME, 1, start()) };
    working_set.decide(first.clone()).unwrap();
    let again = Command { at: at(1 + KEPT_SECONDS), ..first };
    assert!(working_set.decide_at(again, at(9 + KEPT_SECONDS)).unwrap().is_replay);
}

#[test]
fn a_refused_request_leaves_its_idempotency_key_free() {
    let mut working_set = with_balance(0);
    let too_little = Refusal::InsufficientCredits { balance: 0, cost: 1 };
    assert_refused(&mut working_set, idempotent(NAME, 1, start()), &too_little);
    working_set.account_mut(HOME).unwrap().balance = 1;
    let done = working_set.decide(idempotent(NAME, 2, new_todo(None))).unwrap();
    assert!(!done.is_replay);
    assert_eq!(working_set.decide(idempotent(NAME, 2, new_todo(None))), Ok(replayed(&done, 0)));
}

#[test]
fn an_idempotency_key_is_free_after_a_day_even_if_its_record_is_not_swept() {
    let mut working_set = working_set();
    let at_once = Command { at: at(1), ..idempotent(NAME, 1, start()) };
    working_set.decide(at_once.clone()).unwrap();
    let in_time = Command { at: at(1 + KEPT_SECONDS), ..at_once.clone() };
    assert!(working_set.decide(in_time).unwrap().is_replay);
    let late = Command { at: at(2 + KEPT_SECONDS), ..at_once };
    let other = Command { conditions: name_of(NAME, 2), ..late.clone() };
    assert!(!working_set.decide(other.clone()).unwrap().is_replay);
    assert!(working_set.decide(other).unwrap().is_replay);
    assert_refused(&mut working_set, late, &Refusal::KeyOfAnotherRequest);
    // The new record replaces the expired one.
    let kept = working_set.into_write_set().idempotency_records;
    let times: Vec<_> = kept.values().map(|answer| answer.created_at).collect();
    assert_eq!(times, [at(2 + KEPT_SECONDS)]);
}

#[test]
fn an_idempotency_record_outlives_a_renewal_of_its_actors_key() {
    let mut working_set = working_set();
    let first = working_set.decide(idempotent(NAME, 1, start())).unwrap();
    let (now, before) =
        (named_request(50, 51), vec![named_request(60, 61), named_request(NAME, 1)]);
    let renewed = |before| {
        let idempotency = Some(Idempotency { now, before });
        let conditions = Conditions { idempotency, ..Conditions::default() };
        Command { conditions, ..mine(start()) }
    };
    let command = renewed(before);
    assert_eq!(command.idempotency_record_keys().count(), 3);
    assert_eq!(
        ReadSet::of([&command]).idempotency_records,
        command.idempotency_record_keys().collect()
    );
    assert_eq!(working_set.decide(command), Ok(replayed(&first, 99)));
    let other = renewed(vec![named_request(NAME, 2)]);
    assert_refused(&mut working_set, other, &Refusal::KeyOfAnotherRequest);
    // What is new is kept under the key in force.
    working_set.decide(renewed(vec![named_request(60, 61)])).unwrap();
    assert!(working_set.write_set.idempotency_records.contains_key(&(HOME, ME, Mac([50; 32]))));
}

#[test]
fn expired_idempotency_records_are_deleted_only_in_an_existing_account() {
    let mut working_set = working_set();
    let forget = |account| SystemAction::ForgetIdempotencyRecords { account, before: at(9) };
    let command = program(forget(HOME));
    assert_eq!(command.account(), Some(HOME));
    assert_eq!(working_set.decide(command).unwrap().cost, 0);
    let nowhere = AccountId(9);
    assert_refused(&mut working_set, program(forget(nowhere)), &Refusal::NoSuchAccount(nowhere));
    let expected = WriteSet { forgotten: vec![(HOME, at(9))], ..WriteSet::default() };
    assert_eq!(working_set.into_write_set(), expected);
}

/// Requests of a caller: some have an idempotency key, and few keys differ.
fn asked() -> impl Strategy<Value = (Option<u8>, usize, i64)> {
    (proptest::option::weighted(0.8, 0..4_u8), 0..8_usize, 0..3 * DAY_SECONDS)
}

proptest! {
    #[test]
    fn random_repeated_requests_are_charged_once_and_the_ledger_adds_up(
        mut script in proptest::collection::vec(asked(), 1..60),
        balance in 0..20_i64,
    ) {
        script.sort_by_key(|(_, _, second)| *second);
        let mut working_set = with_balance(balance);
        working_set.account_mut(HOME).unwrap().last_ids.ledger = 0;
        let mut firsts = BTreeMap::new();
        let mut charged = 0;
        for (name, choice, second) in script {
            let request = u8::try_from(choice).unwrap();
            let mut command = mine(writes()[choice].clone());
            command.at = at(second);
            if let Some(name) = name {
                command.conditions = name_of(name, request);
            }
            let left = working_set.account(HOME).unwrap().balance;
            let known = name.and_then(|name| firsts.get(&name).cloned());
            let known = known.filter(|(_, _, since)| second - since <= KEPT_SECONDS);
            let answer = working_set.decide(command);
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
        let left = working_set.account(HOME).unwrap().balance;
        prop_assert_eq!(left, balance - charged);
        let mut ledger = LedgerVerifier::default();
        ledger.push(LedgerId(1), balance, balance);
        for (_, entry) in working_set.into_write_set().ledger {
            ledger.push(LedgerId(entry.id.0 + 1), entry.delta, entry.balance_after);
        }
        prop_assert_eq!(ledger.finish(left, charged + 1), []);
    }
}
