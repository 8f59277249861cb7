//! Events: what happens to an account.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::paging::Query;
use super::todo::TodoStatus;
use super::words::open_words;

open_words! {
    /// What an event is about.
    EventKind {
        /// A session.
        Session = "session",
        /// A todo, or several that were created together.
        Todo = "todo",
        /// An activity.
        Activity = "activity",
        /// The balance of the account.
        Credits = "credits",
        /// Rows of another account that came in.
        Import = "import",
        /// An actor.
        Actor = "actor",
        /// An API key.
        Key = "key",
        /// The recovery code.
        RecoveryCode = "recovery_code",
        /// The account itself, or another one that an operator manages.
        Account = "account",
    }
}

open_words! {
    /// What was done.
    EventAction {
        /// It was created.
        Created = "created",
        /// It was changed.
        Updated = "updated",
        /// It was deleted.
        Deleted = "deleted",
        /// A todo was claimed.
        Claimed = "claimed",
        /// A claim was given back.
        Released = "released",
        /// A silent session was ended.
        Idled = "idled",
        /// Credits were given.
        Granted = "granted",
        /// An import began.
        Started = "started",
        /// A batch of rows was imported.
        Imported = "imported",
        /// An actor was activated again.
        Activated = "activated",
        /// An actor was deactivated.
        Deactivated = "deactivated",
        /// A key was made to replace another one.
        Rotated = "rotated",
        /// A key was replaced by the first use of another one.
        Replaced = "replaced",
        /// A key was revoked.
        Revoked = "revoked",
        /// An encryption key or a recovery code was renewed.
        Renewed = "renewed",
        /// The recovery code was used.
        Used = "used",
        /// The account was exported.
        Exported = "exported",
        /// The account was suspended.
        Suspended = "suspended",
        /// The account may write again.
        Resumed = "resumed",
    }
}

/// Something that has happened to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its id, from which a stream goes on.
    pub id: String,
    /// What it is about.
    pub kind: EventKind,
    /// What was done.
    pub action: EventAction,
    /// The actor that did it; none if it was not an actor of this account.
    pub actor_id: Option<i64>,
    /// The id of what it was done to, within its kind.
    pub subject_id: Option<i64>,
    /// The actor that the subject belongs to.
    pub subject_actor_id: Option<i64>,
    /// The number of rows that were written.
    pub rows: i64,
    /// The new status of the todo, if it has changed.
    pub status: Option<TodoStatus>,
    /// The change of the account's balance, if it changed.
    pub credits: Option<i64>,
    /// When it was done.
    pub created_at: DateTime<Utc>,
}

/// What a stream of events tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventUpdate {
    /// Something has happened.
    Event(Box<Event>),
    /// Events were missed: read what you need anew. Those behind this id follow.
    Reset {
        /// The id from which the stream goes on.
        id: String,
    },
}

/// Where a stream of events begins, and when it ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventOptions {
    /// The id of the last event that was handled. Without it the stream begins now.
    pub last_event_id: Option<String>,
    /// Whether the stream ends once everything up to now is told.
    pub ends_now: bool,
}

impl EventOptions {
    pub(crate) fn query(&self) -> Query {
        if self.ends_now { vec![("follow", "false".to_owned())] } else { Query::new() }
    }
}
