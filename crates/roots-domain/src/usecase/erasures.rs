//! The end of an account: what opens it first, then all that it had.

use std::sync::Arc;

use secrecy::SecretString;

use super::WriteError;
use super::access::Caller;
use crate::model::unit::{Author, Intent, Refusal, UnitOfWork};
use crate::port::ambient::Clock;
use crate::port::keys::Locksmith;
use crate::port::store::{ErasureReader, UnitStore};

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
    /// in between. Where it is cut off, the next call goes on, in whatever process.
    ///
    /// # Errors
    /// The database's fault.
    pub async fn sweep(&self) -> Result<(), WriteError> {
        while let Some(account) = self.reader.unswept().await? {
            self.apply(Author::Program, Intent::SweepErased(account)).await?;
        }
        Ok(())
    }

    async fn apply(&self, author: Author, intent: Intent) -> Result<(), WriteError> {
        let at = self.clock.now();
        let unit = UnitOfWork::free(author, intent, at);
        self.units.apply(unit).await?;
        Ok(())
    }
}
