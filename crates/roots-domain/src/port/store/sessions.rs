//! Reading sessions.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::id::{AccountId, ActorId, SessionId};
use crate::model::page::{Page, PageRequest};
use crate::model::sealed::Sealed;
use crate::model::session::{ListedSession, Session, SessionStatusKind, SessionWindow};
use crate::model::time::Timestamp;

/// A query for sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionQuery {
    /// The admission of the caller.
    pub by: Admission,
    /// Only rows of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// Only this status.
    pub status: Option<SessionStatusKind>,
    /// Only sessions of this window, in its order.
    pub window: SessionWindow,
    /// The page.
    pub page: PageRequest,
}

/// Reads sessions.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait SessionReader: Send + Sync {
    /// The session with that id, of any actor of the account.
    async fn session(&self, by: Admission, id: SessionId) -> StoreResult<Option<Session<Sealed>>>;

    /// The same with the time of its last activity.
    async fn listed_session(
        &self,
        by: Admission,
        id: SessionId,
    ) -> StoreResult<Option<ListedSession<Sealed>>>;

    /// A page, descending by start, then by id; of sessions that were active since some time,
    /// descending by end, then by start, then by id, with active ones first. The total MUST NOT
    /// scan, and with a bound of time it MUST NOT count more than
    /// [`TOTAL_COUNTED_MAX`](crate::model::page::TOTAL_COUNTED_MAX) rows.
    async fn sessions(&self, query: &SessionQuery) -> StoreResult<Page<ListedSession<Sealed>>>;
}

/// Active sessions of an account to which nothing was written for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilentSessions {
    /// The account.
    pub account: AccountId,
    /// The sessions, those that have been silent longest first.
    pub sessions: Vec<SessionId>,
}

/// Finds silent sessions.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait SilenceReader: Send + Sync {
    /// Active sessions, at most `most`, with no write since `before`, of the first account after
    /// `after`, by id, or the first of all, that has any. MUST NOT scan sessions.
    async fn silent_sessions(
        &self,
        before: Timestamp,
        after: Option<AccountId>,
        most: u32,
    ) -> StoreResult<Option<SilentSessions>>;
}
