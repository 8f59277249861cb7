//! The beginning and the end of an account.

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{AccountErased, Bootstrapped, Erasure, NewAccount};
use crate::operation::Operation;

impl Client {
    /// Creates an account, where sign-up is open. It needs no key. It is not repeated if its answer
    /// is lost.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn bootstrap(&self, account: &NewAccount) -> Result<Bootstrapped, Error> {
        self.send(&Call::new(Operation::Bootstrap).with_json(account)?).await?.json()
    }

    /// Erases the account for good. Only the owner may. It is not repeated if its answer is lost:
    /// if the key has ended, the account is erased.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn erase_account(&self, erasure: &Erasure) -> Result<AccountErased, Error> {
        self.send(&Call::new(Operation::EraseAccount).with_json(erasure)?).await?.json()
    }
}
