//! Credits and their ledger.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::paging::{Query, page};
use super::words::open_words;

open_words! {
    /// Why a balance changed.
    LedgerReason {
        /// The credits that an account starts with.
        BootstrapGrant = "bootstrap_grant",
        /// An operator granted credits.
        OperatorGrant = "operator_grant",
        /// A write was paid for.
        ApiWrite = "api_write",
        /// Rows of an import were paid for.
        Import = "import",
    }
}

/// The account's balance and its newest ledger entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credits {
    /// The account's credits.
    pub balance: i64,
    /// What requests cost.
    pub cost_model: CostModel,
    /// The newest 20 ledger entries.
    pub recent_ledger: Vec<LedgerEntry>,
}

/// What requests cost, in credits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostModel {
    /// A read.
    pub reads: i64,
    /// A write.
    pub writes: i64,
}

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Its id, numbered per account, without gaps.
    pub ledger_id: i64,
    /// The change of the balance.
    pub delta: i64,
    /// The balance after it.
    pub balance_after: i64,
    /// Why it changed.
    pub reason: LedgerReason,
    /// The route of the write: `PATCH /todos/{id}`.
    pub related_endpoint: Option<String>,
    /// When it changed.
    pub created_at: DateTime<Utc>,
}

page! {
    /// A page of the ledger, newest first.
    LedgerPage { entries: LedgerEntry }
}

/// Which entries of the ledger to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LedgerFilter {
    /// Only entries with this reason.
    pub reason: Option<LedgerReason>,
}

impl LedgerFilter {
    pub(crate) fn query(&self) -> Query {
        self.reason.iter().map(|reason| ("reason", reason.to_string())).collect()
    }
}

/// Credits to give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCredits {
    /// How many: 1 to 1,000,000,000.
    pub amount: i64,
    /// A note for the ledger, 1 to 100 characters without control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The credits that were granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditsGranted {
    /// The account that has them.
    pub account_id: i64,
    /// Its new balance.
    pub balance: i64,
}
