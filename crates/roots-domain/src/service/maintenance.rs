//! What is done from time to time, whoever calls or not.

use std::sync::Arc;

use super::outcome::WriteError;
use crate::command::{Action, Command, SystemAction};
use crate::model::id::AccountId;
use crate::model::idempotency::oldest_kept;
use crate::port::clock::Clock;
use crate::port::store::{ApplyError, CommandStore, IdempotencyReader};

/// Sweeps up what has had its time.
#[derive(Clone)]
pub struct Maintenance {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Finds what is due.
    pub reader: Arc<dyn IdempotencyReader>,
    /// Tells what is.
    pub clock: Arc<dyn Clock>,
}

impl Maintenance {
    /// Forgets the answers that are kept no longer. Each step is a command of its own and small, so
    /// that writes pass between them, and accounts take turns.
    ///
    /// # Errors
    /// A database error. What was forgotten by then stays so.
    pub async fn forget_idempotency_records(&self) -> Result<(), WriteError> {
        let before = oldest_kept(self.clock.now());
        let mut from = AccountId(0);
        loop {
            let Some(account) = self.reader.account_with_idempotency_records(before, from).await?
            else {
                if from == AccountId(0) {
                    return Ok(());
                }
                from = AccountId(0);
                continue;
            };
            let action = SystemAction::ForgetIdempotencyRecords { account, before };
            let command = Command::uncharged(Action::System(action), self.clock.now());
            match self.commands.apply(command).await {
                // An account that was erased meanwhile took its answers along.
                Ok(_) | Err(ApplyError::Refused(_)) => from = AccountId(account.0 + 1),
                Err(ApplyError::Store(error)) => return Err(error.into()),
            }
        }
    }
}
