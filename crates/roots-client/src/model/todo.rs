//! Todos and their logs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::actor::ActorFilter;
use super::claim::Claim;
use super::paging::{Query, page};
use super::words::words;
use crate::patch::Patch;
use crate::time::DateOrTime;

words! {
    /// The status of a todo.
    TodoStatus {
        /// Nobody works on it.
        Open = "open",
        /// Somebody works on it.
        InProgress = "in_progress",
        /// It is done.
        Done = "done",
        /// It will not be done.
        Cancelled = "cancelled",
    }
}

words! {
    /// The order of a list of todos.
    TodoSort {
        /// The highest priority first, then the newest.
        Priority = "priority",
        /// The latest change of status first. Only for todos that are done or cancelled, and
        /// not with a session.
        StatusSince = "status_since",
    }
}

/// A todo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// Its id, numbered per account.
    pub todo_id: i64,
    /// The session that it is linked to.
    pub session_id: Option<i64>,
    /// What is to be done.
    pub title: String,
    /// What there is to say about it.
    pub description: Option<String>,
    /// Its status.
    pub status: TodoStatus,
    /// 0 (lowest) to 3 (highest).
    pub priority: u8,
    /// When it is due.
    pub due_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When a patch last changed it, or it was claimed.
    pub updated_at: DateTime<Utc>,
    /// When its status last changed; `created_at` if it never has.
    pub status_since: DateTime<Utc>,
    /// The claim that stands, alive or lapsed.
    #[serde(default)]
    pub claim: Option<Claim>,
    /// The actor that it belongs to.
    pub actor_id: i64,
}

/// A todo with the end of its claim: in a list, and where it is claimed. The [`ETag`](crate::ETag)
/// of the todo does not change with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedTodo {
    /// The todo. Its fields stand beside `until` on the wire.
    #[serde(flatten)]
    pub todo: Todo,
    /// Until when nobody else can claim it, if nothing more is written; none without a claim. A
    /// claim whose time is past has lapsed.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
}

page! {
    /// A page of todos, in the order of their filter. Overdue todos are counted up to 1,000.
    TodoPage { todos: ListedTodo }
}

/// A todo to create.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewTodo {
    /// What is to be done, 1 to 500 characters.
    pub title: String,
    /// What there is to say about it, up to 65,536 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The active session to link to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<i64>,
    /// 0 (lowest, the default) to 3 (highest).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// When it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<DateOrTime>,
    /// The actor that it will belong to: the caller by default. Only an owner may name another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<i64>,
}

/// A change to a todo.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TodoChange {
    /// The new title, 1 to 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What there is to say about it, up to 65,536 bytes.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub description: Patch<String>,
    /// The new status. The change is logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TodoStatus>,
    /// 0 (lowest) to 3 (highest).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// When it is due.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub due_at: Patch<DateOrTime>,
    /// The session to link to, active or ended. `Clear` unlinks.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub session_id: Patch<i64>,
    /// A note on the change of status, up to 8,192 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The token of the claim that you hold. If that claim does not stand, the error's code is
    /// `claim-lost`. Otherwise the change keeps the claim alive, also without any other field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_token: Option<i64>,
}

/// A todo that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TodoDeleted {
    /// `deleted`
    pub status: String,
    /// Its id.
    pub todo_id: i64,
}

/// The complete status history of a todo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TodoLog {
    /// The changes, oldest first.
    pub logs: Vec<StatusChange>,
    /// The todo's id.
    pub todo_id: i64,
}

/// One change of a todo's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChange {
    /// Its id, numbered per account.
    pub log_id: i64,
    /// The status before it.
    pub old_status: TodoStatus,
    /// The status after it.
    pub new_status: TodoStatus,
    /// A note on it.
    pub note: Option<String>,
    /// When it happened.
    pub logged_at: DateTime<Utc>,
}

/// Which todos to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TodoFilter {
    /// Only todos with this status.
    pub status: Option<TodoStatus>,
    /// Only todos of this priority.
    pub priority: Option<u8>,
    /// Only todos linked to this session.
    pub session_id: Option<i64>,
    /// Only todos that are open or in progress and past their due date, the earliest due date
    /// first. It goes with no other filter but the actor.
    pub overdue: bool,
    /// The order: by priority and then by age by default, highest and newest first.
    pub sort: Option<TodoSort>,
    /// The actor whose todos these are: the caller by default.
    pub actor: Option<ActorFilter>,
}

impl TodoFilter {
    pub(crate) fn query(&self) -> Query {
        let parameters = [
            self.status.map(|status| ("status", status.to_string())),
            self.priority.map(|priority| ("priority", priority.to_string())),
            self.session_id.map(|id| ("session_id", id.to_string())),
            self.overdue.then(|| ("overdue", true.to_string())),
            self.sort.map(|sort| ("sort", sort.to_string())),
            self.actor.map(|actor| ("actor_id", actor.to_string())),
        ];
        parameters.into_iter().flatten().collect()
    }
}
