//! Erasing an account: first its keys, then its rows.

use std::sync::Arc;

use secrecy::SecretString;

use super::access::Caller;
use super::outcome::WriteError;
use crate::command::{Action, Command, ManageAction, Refusal};
use crate::port::clock::Clock;
use crate::port::crypto::Locksmith;
use crate::port::store::CommandStore;

/// Erasures.
#[derive(Clone)]
pub struct Erasures {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Reads recovery codes.
    pub locksmith: Arc<dyn Locksmith>,
    /// Tells the time of a write.
    pub clock: Arc<dyn Clock>,
}

impl Erasures {
    /// Erases the caller's account, confirmed by its recovery code. From then on nothing opens it.
    /// Its remaining rows are swept in [steps](super::leftovers).
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`], [`Refusal::WrongRecoveryCode`], [`Refusal::LastOperator`], or the
    /// database error.
    pub async fn erase(&self, caller: &Caller, code: &SecretString) -> Result<(), WriteError> {
        let presented = self.locksmith.parse_code(code).map(|code| code.lookup);
        let own = presented.filter(|lookup| lookup.account == caller.account.id);
        let code = own.ok_or(Refusal::WrongRecoveryCode)?.hash;
        let action = Action::Manage(caller.bearer(), ManageAction::EraseAccount { code });
        self.commands.apply(Command::uncharged(action, self.clock.now())).await?;
        Ok(())
    }
}
