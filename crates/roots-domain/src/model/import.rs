//! Rows that were exported elsewhere and come in here, with their times and their links.
//!
//! A row is known for good by where it comes from: the account that it was exported from, and the id
//! that it has there. The account remembers each with the id that it was given here, so that a link
//! finds its end, and what comes in again is not written again.
//!
//! Each row that an import writes costs 1 credit, as any write does.

use std::collections::BTreeMap;
use std::fmt;

use super::Invalid;
use super::activity::Activity;
use super::credit::WRITE_COST;
use super::id::{ActivityId, ActorId, LogId, SessionId, TodoId, Uid};
use super::sealed::Sealed;
use super::session::{Session, SessionStatus};
use super::time::Timestamp;
use super::todo::{StatusChange, Todo, TodoStatus};

/// Most rows of one unit: others' writes come in between two.
pub const IMPORT_MAX_ROWS: usize = 64;
/// The route that the ledger names.
pub const IMPORT_ENDPOINT: &str = "POST /import";

/// A row by its id where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// An actor.
    Actor(ActorId),
    /// A session.
    Session(SessionId),
    /// A todo.
    Todo(TodoId),
    /// A step of a todo's log.
    Step(LogId),
    /// An activity.
    Activity(ActivityId),
}

impl Origin {
    /// Every kind, by its name in the store.
    pub const KINDS: [&'static str; 5] = ["actor", "session", "todo", "log", "activity"];

    /// The name of its kind in the store.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Actor(_) => "actor",
            Self::Session(_) => "session",
            Self::Todo(_) => "todo",
            Self::Step(_) => "log",
            Self::Activity(_) => "activity",
        }
    }

    /// Its id there.
    #[must_use]
    pub const fn id(self) -> i64 {
        match self {
            Self::Actor(id) => id.0,
            Self::Session(id) => id.0,
            Self::Todo(id) => id.0,
            Self::Step(id) => id.0,
            Self::Activity(id) => id.0,
        }
    }

    /// The origin of that kind and id.
    #[must_use]
    pub fn from_parts(kind: &str, id: i64) -> Option<Self> {
        Some(match kind {
            "actor" => Self::Actor(ActorId(id)),
            "session" => Self::Session(SessionId(id)),
            "todo" => Self::Todo(TodoId(id)),
            "log" => Self::Step(LogId(id)),
            "activity" => Self::Activity(ActivityId(id)),
            _ => return None,
        })
    }
}

/// The name of what it is of, and its id there: `todo 7`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.id())
    }
}

/// A row to import. Its actor is one of the account; every other id in it is where it comes from, and
/// its texts are sealed for its uid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportRow {
    /// A session.
    Session(Session<Sealed>),
    /// A todo, as it stood before the first step of its log; the steps that follow take it on.
    Todo(Todo<Sealed>),
    /// A step of a todo of that actor.
    Step(ActorId, StatusChange<Sealed>),
    /// An activity.
    Activity(Activity<Sealed>),
}

impl ImportRow {
    /// What it is known by.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        match self {
            Self::Session(session) => Origin::Session(session.id),
            Self::Todo(todo) => Origin::Todo(todo.id),
            Self::Step(_, step) => Origin::Step(step.id),
            Self::Activity(activity) => Origin::Activity(activity.id),
        }
    }

    /// The actor here whose row it becomes.
    #[must_use]
    pub const fn actor(&self) -> ActorId {
        match self {
            Self::Session(session) => session.actor,
            Self::Todo(todo) => todo.actor,
            Self::Step(actor, _) => *actor,
            Self::Activity(activity) => activity.actor,
        }
    }

    /// What it rests on.
    #[must_use]
    pub fn link(&self) -> Option<Origin> {
        match self {
            Self::Session(_) => None,
            Self::Todo(todo) => todo.session.map(Origin::Session),
            Self::Step(_, step) => Some(Origin::Todo(step.todo)),
            Self::Activity(activity) => activity.session.map(Origin::Session),
        }
    }
}

/// Some rows of one source, each imported whole or not at all, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The account that they come from.
    pub source: Uid,
    /// The actor there that each actor here stands for. It is remembered with the first row that is
    /// written of it, so that nothing is written that is not paid for.
    pub actors: BTreeMap<ActorId, ActorId>,
    /// The rows, at most [`IMPORT_MAX_ROWS`].
    pub rows: Vec<ImportRow>,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It was written, under this id.
    New(i64),
    /// It had come in before, and has this id, or had it until it was deleted.
    Known(i64),
}

/// What an import does with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportEffect {
    /// Nothing: it had come in before.
    Unchanged,
    /// It is written anew.
    Added,
}

impl ImportEffect {
    /// What it costs, in credits. A row that is refused has no effect and costs nothing.
    #[must_use]
    pub const fn cost(self) -> i64 {
        match self {
            Self::Unchanged => 0,
            Self::Added => WRITE_COST,
        }
    }
}

impl Imported {
    /// What was done for it.
    #[must_use]
    pub const fn effect(self) -> ImportEffect {
        match self {
            Self::New(_) => ImportEffect::Added,
            Self::Known(_) => ImportEffect::Unchanged,
        }
    }
}

/// Whether a session can have stood so.
///
/// # Errors
/// Says what `ended_at` must be.
pub fn check_session_end(
    status: SessionStatus,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
) -> Result<(), Invalid> {
    match (status, ended_at) {
        (SessionStatus::Active, Some(_)) => Err(Invalid::new("must be null while it is active")),
        (SessionStatus::Ended, None) => Err(Invalid::new("is required once it has ended")),
        (SessionStatus::Ended, Some(end)) if end < started_at => {
            Err(Invalid::new("must not be before started_at"))
        }
        (SessionStatus::Active, None) | (SessionStatus::Ended, Some(_)) => Ok(()),
    }
}

/// A step that does not go on from where its todo stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepFault {
    /// It begins elsewhere.
    Elsewhere,
    /// No todo goes so.
    Forbidden,
}

impl<T: Clone + PartialEq> Todo<T> {
    /// The todo after a step of its own past. When it was changed last is told by itself.
    ///
    /// # Errors
    /// The step begins elsewhere, or there is no such step.
    pub fn relive(&self, from: TodoStatus, to: TodoStatus) -> Result<Self, StepFault> {
        if from != self.status {
            return Err(StepFault::Elsewhere);
        }
        if !from.next().contains(&to) {
            return Err(StepFault::Forbidden);
        }
        Ok(Self { status: to, version: self.version + 1, ..self.clone() })
    }
}
