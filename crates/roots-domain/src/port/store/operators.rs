//! The port for what operators see of accounts.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::account::Account;
use crate::model::id::AccountId;
use crate::model::page::{Page, PageRequest};
use crate::model::time::Timestamp;

/// An account and its usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountOverview {
    /// The account.
    pub account: Account,
    /// The number of single writes that it has paid for. Imported rows are not counted.
    pub writes: i64,
    /// When it last paid for a write, single or in an import.
    pub last_write_at: Option<Timestamp>,
}

/// Reads what operators see of accounts: no data of actors.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AccountsReader: Send + Sync {
    /// A page of all accounts, newest first. The total MUST NOT scan.
    async fn accounts(
        &self,
        by: Admission,
        page: PageRequest,
    ) -> StoreResult<Page<AccountOverview>>;

    /// One account.
    async fn account_overview(
        &self,
        by: Admission,
        id: AccountId,
    ) -> StoreResult<Option<AccountOverview>>;
}
