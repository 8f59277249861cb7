//! What the database tells for a brief.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::model::activity::Activity;
use crate::model::id::{ActorId, SessionId, Uid};
use crate::model::session::{EndReason, ListedSession, SessionStatus, SessionStatusKind};
use crate::model::time::Timestamp;
use crate::model::todo::{ListedTodo, Priority, StatusChange, Todo, TodoStatus};

/// Rows that have no stored count are counted up to this number.
pub const COUNTED_MAX: i64 = 1_000;

/// The types of the activities by which an agent says that it waits for a person, until a later
/// activity of its session.
pub const WAITING_TYPES: [&str; 2] = ["question", "blocked"];

/// The sessions that wait if their latest entry has a [waiting type](WAITING_TYPES).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingSessions {
    /// Active ones: a dashboard tells who waits now.
    Active,
    /// Also those that were ended for their silence: a brief tells what was never answered.
    ActiveOrIdle,
}

impl WaitingSessions {
    /// Whether a session of that status is one of them. No session waits that a caller has ended.
    #[must_use]
    pub const fn has(self, status: SessionStatus) -> bool {
        match (self, status) {
            (_, SessionStatus::Active)
            | (Self::ActiveOrIdle, SessionStatus::Ended { reason: EndReason::Idle, .. }) => true,
            (_, SessionStatus::Ended { .. }) => false,
        }
    }
}

/// The rows of a brief, of one snapshot, and the counts in it. `T` is the type of their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BriefRows<T> {
    /// When they were read, by the clock that judges deadlines.
    pub at: Timestamp,
    /// The start of what is reported: what was asked for, or else the end of the last session that
    /// ended; `None` for everything.
    pub since: Option<Timestamp>,
    /// The session that the reader works in: the one that the query names, if there is such one.
    pub reader: Option<SessionId>,
    /// The session that [`BriefSessions::shown`] chooses.
    pub session: Option<ListedSession<T>>,
    /// Todos that are in progress or open, each once, in any order: the first ones of every list.
    pub todos: Vec<ListedTodo<T>>,
    /// Those sessions of the todos' claims that are active.
    pub working: BTreeSet<SessionId>,
    /// Activities of a [waiting type](WAITING_TYPES), if their session has no later one (by id) and
    /// is one of [`WaitingSessions::ActiveOrIdle`]. The newest first.
    pub waiting: Vec<Activity<T>>,
    /// Activities, the newest first.
    pub activities: Vec<Activity<T>>,
    /// Status changes, the newest first.
    pub status_changes: Vec<BriefChange<T>>,
    /// How many rows there are.
    pub counts: BriefCounts,
}

/// The sessions among which a brief shows one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BriefSessions<T> {
    /// The session that the reader names.
    pub named: Option<ListedSession<T>>,
    /// The active session that started last.
    pub started: Option<ListedSession<T>>,
    /// The session that ended last.
    pub ended: Option<ListedSession<T>>,
}

impl<T> Default for BriefSessions<T> {
    fn default() -> Self {
        Self { named: None, started: None, ended: None }
    }
}

impl<T> BriefSessions<T> {
    /// The end of the session that ended last.
    #[must_use]
    pub fn last_end(&self) -> Option<Timestamp> {
        self.ended.as_ref().and_then(|ended| ended.session.status.ended_at())
    }

    /// The session to show. A reader that names one without notes has just started it: the notes of
    /// the session that ended last tell it more.
    #[must_use]
    pub fn shown(self) -> Option<ListedSession<T>> {
        match self.named {
            Some(named) if named.session.notes.is_some() => Some(named),
            Some(named) => self.ended.or(Some(named)),
            None => self.started.or(self.ended),
        }
    }
}

/// A status change with its todo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BriefChange<T> {
    /// The actor of the todo.
    pub actor: ActorId,
    /// The identity of the todo.
    pub todo_uid: Uid,
    /// The todo's title.
    pub title: T,
    /// The change.
    pub change: StatusChange<T>,
}

/// Todos by their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TodoCounts {
    /// Not begun.
    pub open: i64,
    /// Begun.
    pub in_progress: i64,
    /// Finished.
    pub done: i64,
    /// Given up.
    pub cancelled: i64,
}

impl TodoCounts {
    /// Counts `count` more todos of that status.
    pub const fn add(&mut self, status: TodoStatus, count: i64) {
        match status {
            TodoStatus::Open => self.open += count,
            TodoStatus::InProgress => self.in_progress += count,
            TodoStatus::Done => self.done += count,
            TodoStatus::Cancelled => self.cancelled += count,
        }
    }
}

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BriefCounts {
    /// All todos.
    pub todos: TodoCounts,
    /// Active sessions.
    pub sessions_active: i64,
    /// Ended sessions.
    pub sessions_ended: i64,
    /// All activities.
    pub activities: i64,
    /// Todos past their due date, open or in progress, up to [`COUNTED_MAX`].
    pub overdue: i64,
    /// Those of them that are open, up to [`COUNTED_MAX`].
    pub overdue_open: i64,
    /// Sessions that wait, by the type of the activity, as far as they are looked at.
    pub waiting: [i64; WAITING_TYPES.len()],
    /// Activities of the waiting types that are too old to be looked at, up to [`COUNTED_MAX`].
    pub older_questions: [i64; WAITING_TYPES.len()],
    /// Activities in the reported time, up to [`COUNTED_MAX`].
    pub activities_since: i64,
    /// Status changes in the reported time, up to [`COUNTED_MAX`].
    pub status_changes_since: i64,
}

impl BriefCounts {
    /// Counts `count` more sessions of that status.
    pub const fn add_sessions(&mut self, status: SessionStatusKind, count: i64) {
        match status {
            SessionStatusKind::Active => self.sessions_active += count,
            SessionStatusKind::Ended => self.sessions_ended += count,
        }
    }
}

/// The order in which todos are claimed: by priority, then by due date, none last, then by age.
#[must_use]
pub fn claim_order<T>(
    todo: &Todo<T>,
) -> (Reverse<Priority>, bool, Option<Timestamp>, Timestamp, i64) {
    let due_at = todo.content.due_at;
    (Reverse(todo.content.priority), due_at.is_none(), due_at, todo.created_at, todo.id.0)
}

impl<T> BriefRows<T> {
    /// The texts of all rows, each with the actor of its row.
    pub fn texts(&self) -> impl Iterator<Item = (ActorId, &T)> {
        fn of<'a, T: 'a>(
            actor: ActorId,
            texts: impl Iterator<Item = &'a T>,
        ) -> impl Iterator<Item = (ActorId, &'a T)> {
            texts.map(move |text| (actor, text))
        }
        let session = self.session.iter().map(|listed| &listed.session);
        let session = session.flat_map(|session| of(session.actor, session.texts()));
        let todos = self.todos.iter().map(|listed| &listed.todo);
        let todos = todos.flat_map(|todo| of(todo.actor, todo.texts()));
        let activities = self.waiting.iter().chain(&self.activities);
        let activities = activities.flat_map(|entry| of(entry.actor, entry.texts()));
        let changes =
            self.status_changes.iter().flat_map(|BriefChange { actor, title, change, .. }| {
                of(*actor, std::iter::once(title).chain(&change.note))
            });
        session.chain(todos).chain(activities).chain(changes)
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        let activities = self.waiting.len() + self.activities.len();
        usize::from(self.session.is_some())
            + self.todos.len()
            + activities
            + self.status_changes.len()
    }
}
