//! What operators do.

use futures_util::Stream;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{Account, AccountPage, AccountState, CreditsGranted, NewCredits, Paging, Query};
use crate::operation::Operation;
use crate::pages::{page, rows};

impl Client {
    /// A page of accounts. Only operators may list them.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn list_accounts(&self, paging: &Paging) -> Result<AccountPage, Error> {
        page(self, Operation::ListAccounts, Query::new(), paging).await
    }

    /// All accounts, page by page as they are taken.
    pub fn accounts(&self) -> impl Stream<Item = Result<Account, Error>> {
        rows::<AccountPage>(self, Operation::ListAccounts, Query::new())
    }

    /// One account. Only operators may see it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_account(&self, id: i64) -> Result<Account, Error> {
        self.send(&Call::of_row(Operation::GetAccount, id)).await?.json()
    }

    /// Gives credits to an account. Only operators may. If its answer is lost, it is repeated with
    /// the same idempotency key, so it is done once.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn grant_credits(
        &self,
        id: i64,
        credits: &NewCredits,
    ) -> Result<CreditsGranted, Error> {
        self.send(&Call::of_row(Operation::GrantCredits, id).with_json(credits)?).await?.json()
    }

    /// Stops an account's writes. Only operators may.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn suspend_account(&self, id: i64) -> Result<AccountState, Error> {
        self.send(&Call::of_row(Operation::SuspendAccount, id)).await?.json()
    }

    /// Lets an account write again. Only operators may.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn resume_account(&self, id: i64) -> Result<AccountState, Error> {
        self.send(&Call::of_row(Operation::ResumeAccount, id)).await?.json()
    }
}
