//! Silent sessions are ended in turns.

use mockall::Sequence;
use mockall::predicate::eq;

use super::*;
use crate::model::session::IDLE_ENDED_AT_ONCE_MAX;
use crate::port::store::{MockSilenceReader, SilentSessions};
use crate::service::idle_sessions::IdleSessions;

const IDLE_SECONDS: i64 = 300;

/// A look at the store: the account after which it looks, and what it finds (an account, how many
/// sessions, and how many of them are then ended).
type Look = (Option<i64>, Option<(i64, u32, u32)>);

/// Ends silent sessions, with those looks.
fn end_silent(looks: &[Look]) -> Result<(), WriteError> {
    let mut order = Sequence::new();
    let (mut reader, mut commands) = (MockSilenceReader::new(), MockCommandStore::new());
    // The minute that a heartbeat may be behind counts for the session.
    let before = now().plus_seconds(-IDLE_SECONDS - 60);
    for (after, found) in looks.iter().copied() {
        let silent = found.map(|(account, sessions, _)| SilentSessions {
            account: AccountId(account),
            sessions: (1..=i64::from(sessions)).map(SessionId).collect(),
        });
        let found_now = silent.clone();
        reader
            .expect_silent_sessions()
            .times(1)
            .in_sequence(&mut order)
            .with(eq(before), eq(after.map(AccountId)), eq(IDLE_ENDED_AT_ONCE_MAX))
            .return_once(move |_, _, _| Ok(found_now));
        if let (Some(SilentSessions { account, sessions }), Some((.., ended))) = (silent, found) {
            let idle_seconds = IDLE_SECONDS;
            let action = SystemAction::EndIdleSessions { account, sessions, idle_seconds };
            let expected = Command::uncharged(Action::System(action), now());
            commands
                .expect_apply()
                .times(1)
                .in_sequence(&mut order)
                .withf(move |command| *command == expected)
                .return_once(move |_| {
                    let row = AppliedRow::SessionsEnded(ended);
                    Ok(Applied { row, cost: 0, balance: 0, is_replay: false })
                });
        }
    }
    let (commands, reader) = (Arc::new(commands), Arc::new(reader));
    ready(IdleSessions { commands, reader, clock: clock() }.end_silent(IDLE_SECONDS))
}

#[test]
fn accounts_take_turns_until_no_session_is_silent() {
    let most = IDLE_ENDED_AT_ONCE_MAX;
    let ended = end_silent(&[
        (None, Some((3, most, most))),
        (Some(3), Some((8, 2, 2))),
        (Some(8), None),
        (None, Some((3, 1, 1))),
        (Some(3), None),
    ]);
    assert_eq!(ended, Ok(()));
}

#[test]
fn a_clock_that_is_ahead_does_not_look_for_ever() {
    let most = IDLE_ENDED_AT_ONCE_MAX;
    assert_eq!(end_silent(&[(None, Some((3, most, 0))), (Some(3), None)]), Ok(()));
}

#[test]
fn an_unavailable_database_ends_the_search_with_its_error() {
    let mut reader = MockSilenceReader::new();
    reader.expect_silent_sessions().times(1).returning(|_, _, _| Err(away()));
    let reader = Arc::new(reader);
    let idle_sessions = IdleSessions { commands: no_commands(), reader, clock: clock() };
    assert_eq!(ready(idle_sessions.end_silent(IDLE_SECONDS)), Err(WriteError::Store(away())));
}
