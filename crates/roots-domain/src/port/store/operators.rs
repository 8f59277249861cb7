//! Reading what operators see of all accounts.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::account::Account;
use crate::model::id::AccountId;
use crate::model::page::{Page, PageRequest};
use crate::model::time::Timestamp;

/// An account, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountOverview {
    /// The account.
    pub account: Account,
    /// How many writes it has paid for, one by one. Rows of imports are not among them.
    pub writes: i64,
    /// When it last paid for a write, one by one or in an import.
    pub last_write_at: Option<Timestamp>,
}

/// Reads what operators see of all accounts: nothing that belongs to an actor.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AccountsReader: Send + Sync {
    /// A page of all accounts, newest first. The total MUST NOT scan.
    async fn accounts(
        &self,
        by: Admission,
        page: PageRequest,
    ) -> StoreResult<Page<AccountOverview>>;

    /// One of them.
    async fn account_overview(
        &self,
        by: Admission,
        id: AccountId,
    ) -> StoreResult<Option<AccountOverview>>;
}
