//! Verifying what is counted as it is written.

use async_trait::async_trait;

use super::commands::StoreResult;
use crate::model::credit::LedgerMismatch;
use crate::model::id::{AccountId, SessionId};

/// What does not add up in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// The account; `None` where it is of all of them together.
    pub account: Option<AccountId>,
    /// What is wrong with it.
    pub mismatch: Mismatch,
}

/// What the verification finds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The ledger does not prove the balance.
    #[error("{0}")]
    Ledger(LedgerMismatch),
    /// Rows of an account that does not exist.
    #[error("{rows} rows of {table} belong to this account, which does not exist")]
    Ownerless {
        /// Where they stand.
        table: &'static str,
        /// How many.
        rows: i64,
    },
    /// An id beyond those that the account has given.
    #[error("{table} holds the id {found}, but the last one given is {given}")]
    IdNotGiven {
        /// Where it stands.
        table: &'static str,
        /// The last id given.
        given: i64,
        /// The highest id found.
        found: i64,
    },
    /// Rows that are linked to a session that does not exist, and was not deleted either.
    #[error("{rows} rows of {table} are linked to session {session}, which does not exist")]
    LinkedToNothing {
        /// Where they stand.
        table: &'static str,
        /// The session.
        session: SessionId,
        /// How many.
        rows: i64,
    },
    /// A count that is kept differs from a recount.
    #[error("the count of {what} is kept as {kept}, but there are {counted}")]
    Count {
        /// What is counted.
        what: String,
        /// The count that is kept.
        kept: i64,
        /// The recount.
        counted: i64,
    },
}

/// Verifies what is counted as it is written.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Verifier: Send + Sync {
    /// Recounts everything that is counted as it is written: ledgers and balances, counters, counts
    /// by day and by quarter hour. Answers how many accounts it proved, and what does not add up.
    async fn verify(&self) -> StoreResult<(u64, Vec<Discrepancy>)>;
}
