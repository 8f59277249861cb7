//! The leftovers of deletions are worked off in turns, even if some of them fail.

use super::*;
use crate::model::session::UNLINKED_AT_ONCE_MAX;
use crate::port::store::{Leftover, MockLeftoverReader};
use crate::service::leftovers::{Leftovers, SingleFlight, StillLeft};

fn leftovers(commands: MockCommandStore, reader: MockLeftoverReader) -> Leftovers {
    let (commands, reader) = (Arc::new(commands), Arc::new(reader));
    Leftovers { commands, reader, clock: clock(), single_flight: SingleFlight::default() }
}

/// The leftover of an account. The accounts 1 to 4 were erased; others have deleted a session.
const fn of(id: i64) -> Leftover {
    match id {
        1..=4 => Leftover::Erased(AccountId(id)),
        _ => Leftover::Linked(AccountId(id), SessionId(7)),
    }
}

/// Works off the leftovers of accounts: `left` has each account and its number of steps. The steps
/// of the accounts in `stuck` fail with `error`.
fn work_off(
    left: &[(i64, u32)],
    stuck: &'static [i64],
    error: &StoreError,
) -> (Result<(), StillLeft>, Vec<i64>) {
    let left = Arc::new(Mutex::new(left.to_vec()));
    let steps = Arc::new(Mutex::new(Vec::new()));
    let (mut reader, mut commands) = (MockLeftoverReader::new(), MockCommandStore::new());
    let known = left.clone();
    reader.expect_left_over().returning(move |after| {
        let left = known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = left.iter().find(|(id, steps)| Some(AccountId(*id)) > after && *steps > 0);
        Ok(found.map(|(id, _)| of(*id)))
    });
    let (known, seen, error) = (left, steps.clone(), error.clone());
    commands.expect_apply().returning(move |command| {
        assert_eq!((command.charge, command.at), (None, now()));
        let id = match command.action {
            Action::System(SystemAction::SweepErased(AccountId(id))) => id,
            Action::System(SystemAction::UnlinkSession {
                account: AccountId(id),
                session,
                rows,
            }) => {
                assert_eq!((session, rows), (SessionId(7), UNLINKED_AT_ONCE_MAX));
                id
            }
            other => panic!("{other:?}"),
        };
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        if stuck.contains(&id) {
            return Err(error.clone().into());
        }
        let mut left = known.lock().unwrap_or_else(PoisonError::into_inner);
        left.iter_mut().filter(|(of, _)| *of == id).for_each(|(_, steps)| *steps -= 1);
        Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance: 0, is_replay: false })
    });
    let ended = ready(leftovers(commands, reader).work_off());
    let steps = steps.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (ended, steps)
}

fn broken() -> StoreError {
    StoreError::Broken("a row".into())
}

#[test]
fn accounts_take_turns_until_no_leftovers_remain() {
    assert_eq!(work_off(&[], &[], &broken()), (Ok(()), vec![]));
    let (ended, steps) = work_off(&[(2, 3), (5, 1), (9, 2)], &[], &broken());
    assert_eq!((ended, steps), (Ok(()), vec![2, 5, 9, 2, 9, 2]));
}

#[test]
fn an_account_that_fails_does_not_delay_others_and_is_reported() {
    let (ended, steps) = work_off(&[(2, 1), (3, 2), (7, 1), (9, 2)], &[2, 7], &broken());
    assert_eq!(steps, [2, 3, 7, 9, 3, 9], "each that fails is tried once");
    let left = ended.unwrap_err();
    assert_eq!(left, StillLeft { account: Some(AccountId(2)), error: broken().into() });
    assert_eq!(left.to_string(), "account 2: the database failed: a row");
}

#[test]
fn a_command_refused_by_a_full_queue_is_tried_40_times_and_then_left() {
    let (ended, steps) = work_off(&[(5, 1), (9, 1)], &[5], &StoreError::Busy);
    assert_eq!(steps.iter().filter(|id| **id == 5).count(), 40);
    assert_eq!(steps.last(), Some(&9));
    assert_eq!(ended.unwrap_err().error, StoreError::Busy.into());
}

#[test]
fn an_unavailable_database_ends_the_work_on_leftovers() {
    let mut reader = MockLeftoverReader::new();
    reader.expect_left_over().times(1).returning(|_| Err(away()));
    let expected = StillLeft { account: None, error: away().into() };
    assert_eq!(ready(leftovers(MockCommandStore::new(), reader).work_off()), Err(expected));
}

#[test]
fn a_concurrent_call_returns_at_once_and_makes_the_running_pass_look_again() {
    let mut reader = MockLeftoverReader::new();
    let other = Arc::new(Mutex::new(None::<Leftovers>));
    let asks = other.clone();
    let mut looks = 0;
    reader.expect_left_over().times(3).returning(move |_| {
        looks += 1;
        if looks == 1 {
            // A call during the pass returns at once without a read.
            let other = asks.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap();
            ready(other.work_off()).unwrap();
        }
        Ok(None)
    });
    let leftovers = leftovers(MockCommandStore::new(), reader);
    *other.lock().unwrap_or_else(PoisonError::into_inner) = Some(leftovers.clone());
    ready(leftovers.work_off()).unwrap();
    // A call after the pass starts a new one.
    ready(leftovers.work_off()).unwrap();
    *other.lock().unwrap_or_else(PoisonError::into_inner) = None;
}
