//! The end of an account: what opens it first, then all that it had.

use std::sync::Arc;

use secrecy::SecretString;

use super::WriteError;
use super::access::Caller;
use crate::model::id::AccountId;
use crate::model::unit::{Author, Intent, Refusal, UnitOfWork};
use crate::port::ambient::Clock;
use crate::port::keys::Locksmith;
use crate::port::store::{ErasureReader, UnitStore};

/// Why something of erased accounts is left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {error}", .account.map_or_else(|| "erased accounts".to_owned(), |id| format!("erased account {id}")))]
pub struct Unswept {
    /// The account, where it is known.
    pub account: Option<AccountId>,
    /// What came in between.
    pub error: WriteError,
}

/// Erasures.
#[derive(Clone)]
pub struct Erasures {
    /// Applies writes.
    pub units: Arc<dyn UnitStore>,
    /// Tells what is still to be swept.
    pub reader: Arc<dyn ErasureReader>,
    /// Reads recovery codes.
    pub locksmith: Arc<dyn Locksmith>,
    /// Tells the time of a write.
    pub clock: Arc<dyn Clock>,
}

impl Erasures {
    /// Erases the caller's account, which its recovery code confirms: from here on nothing opens it.
    /// The rows that it leaves behind are [swept](Self::sweep).
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`], [`Refusal::WrongRecoveryCode`], [`Refusal::LastOperator`], or the
    /// database's fault.
    pub async fn erase(&self, caller: &Caller, code: &SecretString) -> Result<(), WriteError> {
        let found = self.locksmith.recognize_code(code);
        let own = found.filter(|lookup| lookup.account == caller.account.id);
        let code = own.ok_or(Refusal::WrongRecoveryCode)?.hash;
        self.apply(caller.author(), Intent::EraseAccount { code }).await
    }

    /// Sweeps what erased accounts have left behind, some rows at a time, so that others' writes come
    /// in between. Where it is cut off, the next call goes on, in whatever process. An account that
    /// can't be swept holds up no other.
    ///
    /// # Errors
    /// The first fault met, once everything else is swept.
    pub async fn sweep(&self) -> Result<(), Unswept> {
        let (mut from, mut failed) = (AccountId(0), None);
        loop {
            let found = self.reader.unswept(from).await;
            let found = found.map_err(|fault| Unswept { account: None, error: fault.into() })?;
            let Some(account) = found else { break };
            from = match self.apply(Author::Program, Intent::SweepErased(account)).await {
                Ok(()) => account,
                Err(error) => {
                    failed = failed.or(Some(Unswept { account: Some(account), error }));
                    AccountId(account.0 + 1)
                }
            };
        }
        failed.map_or(Ok(()), Err)
    }

    async fn apply(&self, author: Author, intent: Intent) -> Result<(), WriteError> {
        let at = self.clock.now();
        let unit = UnitOfWork::free(author, intent, at);
        self.units.apply(unit).await?;
        Ok(())
    }
}
