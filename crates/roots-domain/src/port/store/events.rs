//! Reading what has happened to accounts.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::audit::AuditEntry;
use crate::model::credit::LedgerEntry;
use crate::model::event::EventPosition;
use crate::model::id::{AccountId, AuditId, LedgerId};

/// Most accounts that one [`EventReader::account_states`] asks about.
pub const STATES_MAX: usize = 500;

/// How far an account has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountState {
    /// The account.
    pub account: AccountId,
    /// Rises with each batch of changes.
    pub version: i64,
    /// Rises with every write that may end a key.
    pub auth_epoch: i64,
    /// Rises with every write that may end a sign-in and no key.
    pub sign_in_epoch: i64,
    /// The last row of its ledger and the last entry of its audit log.
    pub position: EventPosition,
}

/// Reads how far accounts have come, and the rows that tell their events.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait EventReader: Send + Sync {
    /// The states of those accounts that exist, in any order. There are at most [`STATES_MAX`]. It
    /// MUST be one statement whose text does not depend on their number, and each state one
    /// consistent read.
    async fn account_states(&self, accounts: &[AccountId]) -> StoreResult<Vec<AccountState>>;

    /// The rows of a ledger behind `after`, up to and with `until`, which exists, by id. MUST read
    /// no others.
    async fn ledger_between(
        &self,
        by: Admission,
        after: LedgerId,
        until: LedgerId,
    ) -> StoreResult<Vec<LedgerEntry>>;

    /// The entries of an audit log behind `after`, up to and with `until`, which exists, by id.
    /// MUST read no others.
    async fn audit_between(
        &self,
        by: Admission,
        after: AuditId,
        until: AuditId,
    ) -> StoreResult<Vec<AuditEntry>>;
}
