//! What is done from time to time, whoever calls or not.

use std::sync::Arc;

use super::WriteError;
use crate::model::id::AccountId;
use crate::model::idempotency::oldest_kept;
use crate::model::unit::{Author, Intent, UnitOfWork};
use crate::port::ambient::Clock;
use crate::port::store::{AnswerReader, ApplyError, UnitStore};

/// Sweeps up what has had its time.
#[derive(Clone)]
pub struct Upkeep {
    /// Applies writes.
    pub units: Arc<dyn UnitStore>,
    /// Finds what is due.
    pub reader: Arc<dyn AnswerReader>,
    /// Tells what is.
    pub clock: Arc<dyn Clock>,
}

impl Upkeep {
    /// Forgets the answers that are kept no longer. Each step is a unit of its own and small, so that
    /// writes pass between them, and accounts take turns.
    ///
    /// # Errors
    /// The database's fault. What was forgotten by then stays so.
    pub async fn forget_answers(&self) -> Result<(), WriteError> {
        let before = oldest_kept(self.clock.now());
        let mut from = AccountId(0);
        loop {
            let Some(account) = self.reader.account_with_answers(before, from).await? else {
                if from == AccountId(0) {
                    return Ok(());
                }
                from = AccountId(0);
                continue;
            };
            let unit = UnitOfWork::free(
                Author::Program,
                Intent::ForgetAnswers { account, before },
                self.clock.now(),
            );
            match self.units.apply(unit).await {
                // An account that was erased meanwhile took its answers along.
                Ok(_) | Err(ApplyError::Refused(_)) => from = AccountId(account.0 + 1),
                Err(ApplyError::Fault(fault)) => return Err(fault.into()),
            }
        }
    }
}
