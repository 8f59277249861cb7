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
    /// Forgets the answers that are kept no longer, account by account. Each step is a unit of its
    /// own and small, so that writes pass between them.
    ///
    /// # Errors
    /// The database's fault. What was forgotten by then stays so.
    pub async fn forget_answers(&self) -> Result<(), WriteError> {
        let before = oldest_kept(self.clock.now());
        let mut from = AccountId(0);
        while let Some(account) = self.reader.account_with_answers(before, from).await? {
            let unit = UnitOfWork::free(
                Author::Program,
                Intent::ForgetAnswers { account, before },
                self.clock.now(),
            );
            from = match self.units.apply(unit).await {
                // An account that was erased meanwhile took its answers along.
                Err(ApplyError::Refused(_)) => AccountId(account.0 + 1),
                applied => applied.map(|_| account)?,
            };
        }
        Ok(())
    }
}
