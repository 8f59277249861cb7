//! The port to verify ledgers and counters.

use async_trait::async_trait;

use super::commands::StoreResult;
use crate::model::credit::LedgerMismatch;
use crate::model::id::{AccountId, LedgerId, LogId, SessionId, SignInId, TodoId};

/// An inconsistency in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// The account; `None` if it concerns all accounts together.
    pub account: Option<AccountId>,
    /// The inconsistency.
    pub mismatch: Mismatch,
}

/// What the verification finds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The ledger and the balance do not match.
    #[error("{0}")]
    Ledger(LedgerMismatch),
    /// A ledger row whose reason or step is malformed.
    #[error("ledger row {0} has a reason or a step that can't be read")]
    Unreadable(LedgerId),
    /// Rows of an account that does not exist.
    #[error("{rows} rows of {table} belong to this account, which does not exist")]
    Ownerless {
        /// Their table.
        table: &'static str,
        /// The number of rows.
        rows: i64,
    },
    /// An id that the account has not assigned yet.
    #[error("{table} holds the id {found}, but the last one given is {given}")]
    IdNotGiven {
        /// Its table.
        table: &'static str,
        /// The last assigned id.
        given: i64,
        /// The highest id found.
        found: i64,
    },
    /// Rows that are linked to a session that does not exist and was not deleted.
    #[error("{rows} rows of {table} are linked to session {session}, which does not exist")]
    LinkedToNothing {
        /// Their table.
        table: &'static str,
        /// The session.
        session: SessionId,
        /// The number of rows.
        rows: i64,
    },
    /// The stored activity of a session is missing, belongs to no session, or says otherwise than
    /// the session whether it is active.
    #[error("the stored activity of session {0} does not fit the session")]
    SessionActivity(SessionId),
    /// A sign-in outlived the key that opened it, or its actor's activity.
    #[error("sign-in {0} is in force, but the key that opened it is not")]
    SignIn(SignInId),
    /// The claim of a todo does not fit its status, or its deadline is missing or does not fit it.
    #[error("the claim of todo {0} or its deadline does not fit the todo")]
    Claim(TodoId),
    /// The actor that a status change is kept with is not that of its todo.
    #[error("the status change {0} is kept with an actor that its todo does not belong to")]
    StatusChange(LogId),
    /// The time since when a todo has its status is not that of the last entry of its log.
    #[error("the time of the last status change of todo {0} does not fit its log")]
    StatusSince(TodoId),
    /// A stored counter differs from a recount.
    #[error("the count of {what} is kept as {kept}, but there are {counted}")]
    Count {
        /// The name of the counter.
        what: String,
        /// The stored count.
        kept: i64,
        /// The recount.
        counted: i64,
    },
}

/// Verifies ledgers and counters.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Verifier: Send + Sync {
    /// Recounts ledgers and balances, counters, and counts by day and by quarter hour. Returns the
    /// number of accounts that it checked, and all inconsistencies.
    async fn verify(&self) -> StoreResult<(u64, Vec<Discrepancy>)>;
}
