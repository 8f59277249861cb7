//! Credits, usage and the audit log.

use futures_util::Stream;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{
    AuditEntry, AuditPage, CreditStats, Credits, LedgerEntry, LedgerFilter, LedgerPage, Paging,
    Query, Usage, UsageHistory, WindowFilter,
};
use crate::operation::Operation;
use crate::pages::{page, rows};

impl Client {
    /// The account's balance and its newest ledger entries.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_credits(&self) -> Result<Credits, Error> {
        self.send(&Call::new(Operation::GetCredits)).await?.json()
    }

    /// Counts the credits that were spent and granted in a window, by actor and by day, with the
    /// balance at the end of each day.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_credit_stats(&self, filter: &WindowFilter) -> Result<CreditStats, Error> {
        let call = Call::new(Operation::GetCreditStats).with_query(filter.query());
        self.send(&call).await?.json()
    }

    /// A page of the ledger, newest first.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn list_ledger(
        &self,
        filter: &LedgerFilter,
        paging: &Paging,
    ) -> Result<LedgerPage, Error> {
        page(self, Operation::ListLedger, filter.query(), paging).await
    }

    /// All entries of the ledger, newest first, page by page as they are taken.
    pub fn ledger<'c>(
        &'c self,
        filter: &LedgerFilter,
    ) -> impl Stream<Item = Result<LedgerEntry, Error>> + use<'c> {
        rows::<LedgerPage>(self, Operation::ListLedger, filter.query())
    }

    /// The account's calls in a month such as `2026-04`, of UTC: the present one by default.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_usage(&self, month: Option<&str>) -> Result<Usage, Error> {
        self.send(&Call::new(Operation::GetUsage).with_query(of_month(month))).await?.json()
    }

    /// The account's calls by day, in a month such as `2026-04`, of UTC: the present one by
    /// default.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_usage_history(&self, month: Option<&str>) -> Result<UsageHistory, Error> {
        self.send(&Call::new(Operation::GetUsageHistory).with_query(of_month(month))).await?.json()
    }

    /// A page of the audit log, newest first. Only the owner may read it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn list_audit(&self, paging: &Paging) -> Result<AuditPage, Error> {
        page(self, Operation::ListAudit, Query::new(), paging).await
    }

    /// The whole audit log, newest first, page by page as it is taken.
    pub fn audit(&self) -> impl Stream<Item = Result<AuditEntry, Error>> {
        rows::<AuditPage>(self, Operation::ListAudit, Query::new())
    }
}

fn of_month(month: Option<&str>) -> Query {
    month.map(|month| ("period", month.to_owned())).into_iter().collect()
}
