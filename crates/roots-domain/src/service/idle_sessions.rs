//! Ends the sessions to which nothing was written for a time that the operator has set.

use std::sync::Arc;

use super::outcome::WriteError;
use crate::command::{Action, AppliedRow, Command, SystemAction};
use crate::model::session::{HEARTBEAT_EVERY_SECONDS, IDLE_ENDED_AT_ONCE_MAX};
use crate::port::clock::Clock;
use crate::port::store::{ApplyError, CommandStore, SilenceReader};

/// Ends silent sessions.
#[derive(Clone)]
pub struct IdleSessions {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Finds silent sessions.
    pub reader: Arc<dyn SilenceReader>,
    /// Tells the time of a step.
    pub clock: Arc<dyn Clock>,
}

impl IdleSessions {
    /// Ends the active sessions of all accounts that have been silent for `idle_seconds`. Each step
    /// is a small command of its own, so that other writes run between steps, and accounts take
    /// turns.
    ///
    /// # Errors
    /// A database error. Sessions that were ended until then stay ended.
    pub async fn end_silent(&self, idle_seconds: i64) -> Result<(), WriteError> {
        let silence = idle_seconds + HEARTBEAT_EVERY_SECONDS;
        let (mut after, mut is_more) = (None, false);
        loop {
            let before = self.clock.now().plus_seconds(-silence);
            let found = self.reader.silent_sessions(before, after, IDLE_ENDED_AT_ONCE_MAX).await?;
            let Some(found) = found else {
                if !std::mem::take(&mut is_more) {
                    return Ok(());
                }
                after = None;
                continue;
            };
            after = Some(found.account);
            let is_full = found.sessions.len() >= IDLE_ENDED_AT_ONCE_MAX as usize;
            let (account, sessions) = (found.account, found.sessions);
            let action = SystemAction::EndIdleSessions { account, sessions, idle_seconds };
            let command = Command::uncharged(Action::System(action), self.clock.now());
            match self.commands.apply(command).await {
                // By the clock that decides, none of them may be silent yet.
                Ok(applied) => is_more |= is_full && applied.row != AppliedRow::SessionsEnded(0),
                // The account was erased meanwhile.
                Err(ApplyError::Refused(_)) => {}
                Err(ApplyError::Store(error)) => return Err(error.into()),
            }
        }
    }
}
