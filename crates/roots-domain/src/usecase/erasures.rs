//! The end of an account: what opens it first, then all that it had.

use std::sync::Arc;

use secrecy::SecretString;

use super::WriteError;
use super::access::Caller;
use crate::model::unit::{Intent, Refusal, UnitOfWork};
use crate::port::ambient::Clock;
use crate::port::keys::Locksmith;
use crate::port::store::UnitStore;

/// Erasures.
#[derive(Clone)]
pub struct Erasures {
    /// Applies writes.
    pub units: Arc<dyn UnitStore>,
    /// Reads recovery codes.
    pub locksmith: Arc<dyn Locksmith>,
    /// Tells the time of a write.
    pub clock: Arc<dyn Clock>,
}

impl Erasures {
    /// Erases the caller's account, which its recovery code confirms: from here on nothing opens it.
    /// The rows that it leaves behind are swept in [steps](super::leftovers).
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`], [`Refusal::WrongRecoveryCode`], [`Refusal::LastOperator`], or the
    /// database's fault.
    pub async fn erase(&self, caller: &Caller, code: &SecretString) -> Result<(), WriteError> {
        let found = self.locksmith.recognize_code(code);
        let own = found.filter(|lookup| lookup.account == caller.account.id);
        let code = own.ok_or(Refusal::WrongRecoveryCode)?.hash;
        let (intent, at) = (Intent::EraseAccount { code }, self.clock.now());
        self.units.apply(UnitOfWork::free(caller.author(), intent, at)).await?;
        Ok(())
    }
}
