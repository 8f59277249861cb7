//! Reading todos.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use super::work::WorkQuery;
use crate::model::id::{ActorId, LogId, SessionId, TodoId};
use crate::model::page::{Page, PageRequest};
use crate::model::sealed::Sealed;
use crate::model::time::Timestamp;
use crate::model::todo::{ListedTodo, Priority, StatusChange, Todo, TodoStatus};
use crate::model::todo_list::FinishedStatus;
use crate::model::work::TodoStats;
use crate::model::zone::Zone;

/// A query for todos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoQuery {
    /// The admission of the caller.
    pub by: Admission,
    /// Only rows of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// Only this status.
    pub status: Option<TodoStatus>,
    /// Only this priority.
    pub priority: Option<Priority>,
    /// Only rows linked to this session.
    pub session: Option<SessionId>,
    /// The page.
    pub page: PageRequest,
}

/// A query for the todos of a session, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTodos {
    /// The admission of the caller.
    pub by: Admission,
    /// Only rows of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// Only rows linked to this session.
    pub session: SessionId,
    /// The page.
    pub page: PageRequest,
}

/// A query for finished todos, the latest change of status first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedTodos {
    /// The admission of the caller.
    pub by: Admission,
    /// Only rows of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// Only this status.
    pub status: FinishedStatus,
    /// Only this priority.
    pub priority: Option<Priority>,
    /// The page.
    pub page: PageRequest,
}

/// A query for todos that are open or in progress and past their due date, the earliest due date
/// first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverdueTodos {
    /// The admission of the caller.
    pub by: Admission,
    /// Only rows of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// Only todos that were due before.
    pub now: Timestamp,
    /// The page.
    pub page: PageRequest,
}

/// Most steps of a todo's history in one read: up to 0.5 MiB of notes.
pub const LOG_CHUNK_STEPS: u16 = 64;

/// A todo and a part of its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoLog {
    /// The todo.
    pub todo: Todo<Sealed>,
    /// Status changes, ascending, at most [`LOG_CHUNK_STEPS`].
    pub steps: Vec<StatusChange<Sealed>>,
    /// The last of them, if more follow.
    pub next: Option<LogId>,
}

/// Reads todos.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait TodoReader: Send + Sync {
    /// The todo with that id, of any actor of the account.
    async fn todo(&self, by: Admission, id: TodoId) -> StoreResult<Option<Todo<Sealed>>>;

    /// Until when the claim of that todo lives, by the writes with its token and by those of its
    /// session. `None` if no claim stands on it.
    async fn claim_until(&self, by: Admission, id: TodoId) -> StoreResult<Option<Timestamp>>;

    /// A page, descending by priority, then by creation, then by id. The total MUST NOT scan; with
    /// a session it may scan that session's rows.
    async fn todos(&self, query: &TodoQuery) -> StoreResult<Page<ListedTodo<Sealed>>>;

    /// A page, descending by creation, then by id. The total MUST NOT count more than
    /// [`TOTAL_COUNTED_MAX`](crate::model::page::TOTAL_COUNTED_MAX) rows.
    async fn session_todos(&self, query: &SessionTodos) -> StoreResult<Page<ListedTodo<Sealed>>>;

    /// A page, descending by the last change of status, then by id. The total MUST NOT scan.
    async fn finished_todos(&self, query: &FinishedTodos) -> StoreResult<Page<ListedTodo<Sealed>>>;

    /// The earliest due date at or after a time, of the todos of an actor or of all that are open
    /// or in progress. MUST NOT scan.
    async fn next_due(
        &self,
        by: Admission,
        actor: Option<ActorId>,
        now: Timestamp,
    ) -> StoreResult<Option<Timestamp>>;

    /// A page, ascending by due date, then by id. The total MUST NOT count more than
    /// [`TOTAL_COUNTED_MAX`](crate::model::page::TOTAL_COUNTED_MAX) rows.
    async fn overdue_todos(&self, query: &OverdueTodos) -> StoreResult<Page<ListedTodo<Sealed>>>;

    /// Todos made, done and cancelled in a window, by actor and by the days of a zone. MUST read no
    /// more than the stored counts of the window's quarter hours.
    async fn todo_stats(&self, query: &WorkQuery, zone: &Zone) -> StoreResult<TodoStats>;

    /// A todo, and its first [`LOG_CHUNK_STEPS`] status changes, ascending: those after `after`, or
    /// from the start. MUST NOT read further.
    async fn todo_log(
        &self,
        by: Admission,
        id: TodoId,
        after: Option<LogId>,
    ) -> StoreResult<Option<TodoLog>>;
}
