//! Reading todos.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::id::{ActorId, LogId, SessionId, TodoId};
use crate::model::page::{Page, PageRequest};
use crate::model::sealed::Sealed;
use crate::model::todo::{Priority, StatusChange, Todo, TodoStatus};

/// Which todos are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoQuery {
    /// On whose behalf.
    pub by: Admission,
    /// Of which actor; of every one of the account where none is named.
    pub actor: Option<ActorId>,
    /// Of which status.
    pub status: Option<TodoStatus>,
    /// Of which priority.
    pub priority: Option<Priority>,
    /// Linked to which session.
    pub session: Option<SessionId>,
    /// Which part.
    pub page: PageRequest,
}

/// Most steps of a todo's history that are read at a time: up to 0.5 MiB of notes.
pub const LOG_CHUNK_STEPS: u16 = 64;

/// A todo and a part of its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoLog {
    /// The todo.
    pub todo: Todo<Sealed>,
    /// Status changes, ascending, at most [`LOG_CHUNK_STEPS`].
    pub steps: Vec<StatusChange<Sealed>>,
    /// The last of them, where more follow.
    pub next: Option<LogId>,
}

/// Reads todos.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait TodoReader: Send + Sync {
    /// The todo of that id, whosever it is in the account.
    async fn todo(&self, by: Admission, id: TodoId) -> StoreResult<Option<Todo<Sealed>>>;

    /// A page, descending by priority, then by creation, then by id. The total MUST NOT scan; by
    /// session it may scan that session's.
    async fn todos(&self, query: &TodoQuery) -> StoreResult<Page<Todo<Sealed>>>;

    /// A todo's first [`LOG_CHUNK_STEPS`] status changes after that one, ascending, and the todo,
    /// which tells whose it is. MUST NOT read further.
    async fn todo_log(
        &self,
        by: Admission,
        id: TodoId,
        after: LogId,
    ) -> StoreResult<Option<TodoLog>>;
}
