//! Todos as the API shows them.

use roots_domain::model::Invalid;
use roots_domain::model::claim::Claims;
use roots_domain::model::todo::{ListedTodo, Todo, TodoStatus};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::listed::Listed;
use crate::openapi::choice;
use roots_http_core::request::fields::one_of;

/// The todo of the examples.
pub(crate) fn example() -> Value {
    json!({
        "todo_id": 1,
        "session_id": null,
        "title": "Write API docs",
        "description": "Document sessions, todos, and activities endpoints",
        "status": "open",
        "priority": 2,
        "due_at": "2026-04-10T00:00:00Z",
        "created_at": "2026-04-09T10:00:00Z",
        "updated_at": "2026-04-09T10:00:00Z",
        "status_since": "2026-04-09T10:00:00Z",
        "claim": null,
        "actor_id": 1
    })
}

/// A todo.
#[derive(Serialize, ToSchema)]
#[schema(as = Todo)]
pub(crate) struct TodoBody {
    /// Numbered per account.
    todo_id: i64,
    /// The session it is linked to.
    #[schema(required)]
    session_id: Option<i64>,
    /// Encrypted at rest.
    title: String,
    /// Encrypted at rest.
    #[schema(required)]
    description: Option<String>,
    #[schema(value_type = TodoStatusName)]
    status: &'static str,
    /// 0 (lowest) to 3 (highest).
    #[schema(minimum = 0, maximum = 3)]
    priority: i16,
    #[schema(required, format = DateTime)]
    due_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// When a patch last changed the todo, or it was claimed.
    #[schema(format = DateTime)]
    updated_at: String,
    /// When the status last changed; `created_at` if it never has.
    #[schema(format = DateTime)]
    status_since: String,
    /// The claim that stands, alive or lapsed.
    #[schema(required)]
    claim: Option<ClaimBody>,
    /// The actor that the todo belongs to.
    actor_id: i64,
}

impl From<Todo> for TodoBody {
    fn from(todo: Todo) -> Self {
        Self {
            todo_id: todo.id.0,
            session_id: todo.content.session.map(|session| session.0),
            title: todo.content.title,
            description: todo.content.description,
            status: todo.status.name(),
            priority: todo.content.priority.level(),
            due_at: todo.content.due_at.map(|at| at.to_string()),
            created_at: todo.created_at.to_string(),
            updated_at: todo.updated_at.to_string(),
            status_since: todo.status_since.to_string(),
            claim: ClaimBody::of(&todo.claims),
            actor_id: todo.actor.0,
        }
    }
}

/// The claim of a todo.
#[derive(Serialize, ToSchema)]
#[schema(as = Claim)]
pub(crate) struct ClaimBody {
    /// It counts the claims of the todo. Send it as `claim_token`.
    #[schema(minimum = 1)]
    token: i64,
    /// The session that it was made for; it may be deleted since.
    #[schema(required)]
    session_id: Option<i64>,
    #[schema(format = DateTime)]
    claimed_at: String,
    /// How long it lives after the last write with its token or of its session.
    #[schema(minimum = 60, maximum = 86400)]
    lease_seconds: i64,
}

impl ClaimBody {
    pub(crate) fn of(claims: &Claims) -> Option<Self> {
        let (claim, token) = claims.standing.zip(claims.token())?;
        Some(Self {
            token: token.0,
            session_id: claim.session.map(|session| session.0),
            claimed_at: claim.claimed_at.to_string(),
            lease_seconds: claim.lease.seconds(),
        })
    }
}

/// A todo with the end of its claim: in a list, and where it is claimed. The `ETag` of a todo does
/// not change with it.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedTodo)]
pub(crate) struct ClaimEnd {
    /// Until when nobody else can claim it, if nothing more is written; `null` without a claim. A
    /// claim whose `until` is past has lapsed.
    #[schema(required, format = DateTime)]
    until: Option<String>,
}

pub(crate) type ListedTodoBody = Listed<TodoBody, ClaimEnd>;

impl From<ListedTodo> for ListedTodoBody {
    fn from(ListedTodo { todo, until }: ListedTodo) -> Self {
        let until = until.map(|until| until.to_string());
        Self { row: todo.into(), more: ClaimEnd { until } }
    }
}

pub(crate) fn status(name: &str) -> Result<TodoStatus, Invalid> {
    one_of(&TodoStatus::ALL, TodoStatus::name, name)
}

choice!(pub(crate) TodoStatusName, "TodoStatus", TodoStatus::ALL.map(TodoStatus::name));
