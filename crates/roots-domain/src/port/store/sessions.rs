//! Reading sessions.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::id::{ActorId, SessionId};
use crate::model::page::{Page, PageRequest};
use crate::model::sealed::Sealed;
use crate::model::session::{Session, SessionStatus};

/// Which sessions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionQuery {
    /// On whose behalf.
    pub by: Admission,
    /// Of which actor; of every one of the account where none is named.
    pub actor: Option<ActorId>,
    /// Of which status.
    pub status: Option<SessionStatus>,
    /// Which part.
    pub page: PageRequest,
}

/// Reads sessions.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait SessionReader: Send + Sync {
    /// The session of that id, whosever it is in the account.
    async fn session(&self, by: Admission, id: SessionId) -> StoreResult<Option<Session<Sealed>>>;

    /// A page, descending by start, then by id. The total MUST NOT scan.
    async fn sessions(&self, query: &SessionQuery) -> StoreResult<Page<Session<Sealed>>>;
}
