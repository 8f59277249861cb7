//! The results of the tools: the documents of the REST API, with what the call cost.

use roots_domain::model::activity::Activity;
use roots_domain::model::claim::Claims;
use roots_domain::model::search::SearchHit;
use roots_domain::model::session::{EndReason, Session};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{ListedTodo, StatusChange, Todo};
use serde::Serialize;
use serde_json::value::RawValue;

/// A result and what it cost.
#[derive(Serialize)]
pub(crate) struct Credited<T> {
    #[serde(flatten)]
    pub(crate) document: T,
    pub(crate) cost: i64,
    pub(crate) credits_left: i64,
    /// Whether an earlier answer is repeated.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) replayed: bool,
}

/// A todo.
#[derive(Serialize)]
pub(crate) struct TodoDocument {
    todo_id: i64,
    session_id: Option<i64>,
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    status: &'static str,
    priority: i16,
    due_at: Option<String>,
    created_at: String,
    updated_at: String,
    status_since: String,
    claim: Option<ClaimDocument>,
    actor_id: i64,
}

impl From<Todo> for TodoDocument {
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
            claim: ClaimDocument::of(&todo.claims),
            actor_id: todo.actor.0,
        }
    }
}

/// The claim of a todo.
#[derive(Serialize)]
pub(crate) struct ClaimDocument {
    token: i64,
    session_id: Option<i64>,
    claimed_at: String,
    lease_seconds: i64,
}

impl ClaimDocument {
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

/// A todo with the end of its claim.
#[derive(Serialize)]
pub(crate) struct ListedTodoDocument {
    #[serde(flatten)]
    pub(crate) todo: TodoDocument,
    until: Option<String>,
}

impl ListedTodoDocument {
    pub(crate) fn new(todo: Todo, until: Option<Timestamp>) -> Self {
        Self { todo: todo.into(), until: until.map(|until| until.to_string()) }
    }
}

impl From<ListedTodo> for ListedTodoDocument {
    fn from(ListedTodo { todo, until }: ListedTodo) -> Self {
        Self::new(todo, until)
    }
}

/// The result of a claim.
#[derive(Serialize)]
pub(crate) struct ClaimResult {
    /// Whether there was a todo to claim.
    pub(crate) claimed: bool,
    #[serde(flatten)]
    pub(crate) todo: Option<ListedTodoDocument>,
}

/// A todo with the log of its status changes.
#[derive(Serialize)]
pub(crate) struct LoggedTodo {
    #[serde(flatten)]
    pub(crate) todo: TodoDocument,
    pub(crate) logs: Vec<StatusChangeDocument>,
    pub(crate) omitted: Vec<Omitted>,
}

/// A change of a todo's status.
#[derive(Serialize)]
pub(crate) struct StatusChangeDocument {
    log_id: i64,
    old_status: &'static str,
    new_status: &'static str,
    note: Option<String>,
    logged_at: String,
}

impl From<StatusChange> for StatusChangeDocument {
    fn from(change: StatusChange) -> Self {
        Self {
            log_id: change.id.0,
            old_status: change.old_status.name(),
            new_status: change.new_status.name(),
            note: change.note,
            logged_at: change.logged_at.to_string(),
        }
    }
}

/// Several todos that were created.
#[derive(Serialize)]
pub(crate) struct CreatedTodos {
    pub(crate) todos: Vec<TodoDocument>,
}

/// A session.
#[derive(Serialize)]
pub(crate) struct SessionDocument {
    session_id: i64,
    status: &'static str,
    notes: Option<String>,
    started_at: String,
    ended_at: Option<String>,
    ended_reason: Option<&'static str>,
    duration_seconds: Option<i64>,
    actor_id: i64,
}

impl From<Session> for SessionDocument {
    fn from(session: Session) -> Self {
        Self {
            session_id: session.id.0,
            status: session.status.kind().name(),
            started_at: session.started_at.to_string(),
            ended_at: session.status.ended_at().map(|at| at.to_string()),
            ended_reason: session.status.end_reason().map(EndReason::name),
            duration_seconds: session.duration_seconds(),
            notes: session.notes,
            actor_id: session.actor.0,
        }
    }
}

/// An activity.
#[derive(Serialize)]
pub(crate) struct ActivityDocument {
    activity_id: i64,
    session_id: Option<i64>,
    activity_type: String,
    description: String,
    logged_at: String,
    created_at: String,
    actor_id: i64,
}

impl From<Activity> for ActivityDocument {
    fn from(activity: Activity) -> Self {
        Self {
            activity_id: activity.id.0,
            session_id: activity.session.map(|session| session.0),
            activity_type: activity.activity_type.into_string(),
            description: activity.description,
            logged_at: activity.logged_at.to_string(),
            created_at: activity.created_at.to_string(),
            actor_id: activity.actor.0,
        }
    }
}

/// A page of todos.
#[derive(Serialize)]
pub(crate) struct TodoPage {
    pub(crate) todos: Vec<Box<RawValue>>,
    pub(crate) total: i64,
    pub(crate) limit: u32,
    pub(crate) next_cursor: Option<String>,
    pub(crate) omitted: Vec<Omitted>,
    pub(crate) cut: Vec<String>,
}

/// A page of found items.
#[derive(Serialize)]
pub(crate) struct SearchPage {
    pub(crate) results: Vec<Box<RawValue>>,
    pub(crate) next_cursor: Option<String>,
    pub(crate) complete: bool,
    pub(crate) unreadable: u64,
    pub(crate) omitted: Vec<Omitted>,
    pub(crate) cut: Vec<String>,
}

/// A found item.
#[derive(Serialize)]
pub(crate) struct SearchResult {
    kind: &'static str,
    id: i64,
    at: String,
    field: &'static str,
    pub(crate) excerpt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    actor_id: i64,
}

impl From<SearchHit> for SearchResult {
    fn from(hit: SearchHit) -> Self {
        Self {
            kind: hit.kind.name(),
            id: hit.id,
            at: hit.at.to_string(),
            field: hit.field.column(),
            excerpt: hit.excerpt,
            title: hit.title,
            actor_id: hit.actor.0,
        }
    }
}

/// What a result leaves out, and how to get it.
#[derive(Serialize)]
pub(crate) struct Omitted {
    pub(crate) what: &'static str,
    /// How much of it, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<usize>,
    pub(crate) request: String,
}
