//! Rows as the file of another account, the source, tells them.

use super::account::{ActorKind, Role};
use super::claim::Claims;
use super::id::{ActivityId, ActorId, LogId, SessionId, TodoId, Uid};
use super::import::Origin;
use super::sealed::Sealed;
use super::session::{Session, SessionStatus};
use super::text::{ActivityText, ActivityType, LogNote, LongText, Name, Title};
use super::time::Timestamp;
use super::todo::{Todo, TodoContent, TodoStatus};

/// An actor of the source.
#[derive(Debug, Clone)]
pub struct SourceActor {
    /// Its id in the source.
    pub id: ActorId,
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: ActorKind,
    /// Its role in the source.
    pub role: Role,
}

/// A row of the source, with its ids there.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceRow {
    /// A session.
    Session(SourceSession),
    /// A todo.
    Todo(SourceTodo),
    /// A step of the log of a todo.
    Step(SourceStep),
    /// An activity.
    Activity(SourceActivity),
}

/// A session of the source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSession {
    /// Its id.
    pub id: SessionId,
    /// The actor that it belongs to.
    pub actor: ActorId,
    /// Its status.
    pub status: SessionStatus,
    /// The agent's notes.
    pub notes: Option<LongText>,
    /// When it started.
    pub started_at: Timestamp,
}

/// A todo of the source, as it was before the first step of its log.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTodo {
    /// Its id.
    pub id: TodoId,
    /// The actor that it belongs to.
    pub actor: ActorId,
    /// What it says.
    pub content: TodoContent<Title, LongText>,
    /// Its status.
    pub status: TodoStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A step of the log of a todo of the source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceStep {
    /// Its id.
    pub id: LogId,
    /// The actor that the todo belongs to.
    pub actor: ActorId,
    /// The todo.
    pub todo: TodoId,
    /// The status before.
    pub old_status: TodoStatus,
    /// The status after.
    pub new_status: TodoStatus,
    /// The note on it.
    pub note: Option<LogNote>,
    /// When.
    pub logged_at: Timestamp,
}

/// An activity of the source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceActivity {
    /// Its id.
    pub id: ActivityId,
    /// The actor that it belongs to.
    pub actor: ActorId,
    /// The session it is linked to.
    pub session: Option<SessionId>,
    /// Its category.
    pub activity_type: ActivityType,
    /// What happened.
    pub description: ActivityText,
    /// When it happened.
    pub logged_at: Timestamp,
    /// When it was stored.
    pub created_at: Timestamp,
}

impl SourceSession {
    /// The row to store for it.
    #[must_use]
    pub fn stored(&self, uid: Uid, actor: ActorId, notes: Option<Sealed>) -> Session<Sealed> {
        let Self { id, status, started_at, .. } = *self;
        Session { id, uid, actor, status, notes, started_at, version: 1 }
    }
}

impl SourceTodo {
    /// The row to store for it.
    #[must_use]
    pub fn stored(&self, uid: Uid, actor: ActorId, content: TodoContent<Sealed>) -> Todo<Sealed> {
        let Self { id, status, created_at, updated_at, .. } = *self;
        Todo {
            id,
            uid,
            actor,
            content,
            status,
            claims: Claims::NONE,
            created_at,
            updated_at,
            // The steps of its log follow and change it.
            status_since: created_at,
            version: 1,
        }
    }
}

impl SourceRow {
    /// Its identity in the source.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::Session(session) => Origin::Session(session.id),
            Self::Todo(todo) => Origin::Todo(todo.id),
            Self::Step(step) => Origin::Step(step.id),
            Self::Activity(activity) => Origin::Activity(activity.id),
        }
    }

    /// The actor of the source that the row belongs to.
    #[must_use]
    pub fn actor(&self) -> ActorId {
        match self {
            Self::Session(session) => session.actor,
            Self::Todo(todo) => todo.actor,
            Self::Step(step) => step.actor,
            Self::Activity(activity) => activity.actor,
        }
    }
}
