//! Maintenance that runs at intervals, with or without calls.

use std::sync::Arc;

use super::outcome::WriteError;
use crate::command::{Action, Command, SystemAction};
use crate::model::idempotency::oldest_kept;
use crate::port::clock::Clock;
use crate::port::store::{ApplyError, CommandStore, IdempotencyReader};

/// Deletes what has expired.
#[derive(Clone)]
pub struct Maintenance {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Finds expired records.
    pub reader: Arc<dyn IdempotencyReader>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Maintenance {
    /// Deletes expired idempotency records. Each step is a small command of its own, so that other
    /// writes run between steps, and accounts take turns.
    ///
    /// # Errors
    /// A database error. Records deleted until then stay deleted.
    pub async fn forget_idempotency_records(&self) -> Result<(), WriteError> {
        let before = oldest_kept(self.clock.now());
        let mut after = None;
        loop {
            let Some(account) = self.reader.account_with_idempotency_records(before, after).await?
            else {
                if after.take().is_none() {
                    return Ok(());
                }
                continue;
            };
            let action = SystemAction::ForgetIdempotencyRecords { account, before };
            let command = Command::uncharged(Action::System(action), self.clock.now());
            match self.commands.apply(command).await {
                // The records of an account that was erased meanwhile are gone.
                Ok(_) | Err(ApplyError::Refused(_)) => after = Some(account),
                Err(ApplyError::Store(error)) => return Err(error.into()),
            }
        }
    }
}
