//! Work sessions.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::actor::ActorFilter;
use super::paging::{Query, page};
use super::words::{open_words, words};
use crate::patch::Patch;
use crate::time::DateOrTime;

words! {
    /// The status of a session.
    SessionStatus {
        /// It goes on.
        Active = "active",
        /// It has ended, for good.
        Ended = "ended",
    }
}

open_words! {
    /// Why a session has ended.
    EndReason {
        /// A caller ended it.
        Ended = "ended",
        /// The server ended it, because nothing was written to it for too long. It takes no more
        /// writes.
        Idle = "idle",
    }
}

/// A work session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id, numbered per account.
    pub session_id: i64,
    /// Whether it goes on.
    pub status: SessionStatus,
    /// The agent's notes.
    pub notes: Option<String>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it ended; none while it goes on.
    #[serde(default)]
    pub ended_reason: Option<EndReason>,
    /// How long it lasted, in whole seconds; none while it goes on.
    #[serde(default)]
    pub duration_seconds: Option<u64>,
    /// The actor that it belongs to.
    pub actor_id: i64,
}

/// A session in a list, which alone tells when it was last active. The [`ETag`](crate::ETag) of the
/// session does not change with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSession {
    /// The session. Its fields stand beside `last_active_at` on the wire.
    #[serde(flatten)]
    pub session: Session,
    /// Its start, or the last write that named it while it was active. It may be up to a minute
    /// behind.
    pub last_active_at: DateTime<Utc>,
}

page! {
    /// A page of sessions, in the order of their filter. With a bound of time they are counted up
    /// to 1,000.
    SessionPage { sessions: ListedSession }
}

/// A session to start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewSession {
    /// Notes, up to 65,536 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The actor that it will belong to: the caller by default. Only an owner may name another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<i64>,
}

/// A change to a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionChange {
    /// `Ended` ends it for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SessionStatus>,
    /// Notes, up to 65,536 bytes.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub notes: Patch<String>,
}

/// A session that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDeleted {
    /// `deleted`
    pub status: String,
    /// Its id.
    pub session_id: i64,
}

/// Which sessions to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionFilter {
    /// Only sessions with this status.
    pub status: Option<SessionStatus>,
    /// Only sessions that started at this time or later.
    pub since: Option<DateOrTime>,
    /// Only sessions that started at this time or earlier.
    pub until: Option<DateOrTime>,
    /// Only sessions that were active at this time or later, however long ago they started: active
    /// ones, and then the latest end first. It does not go with `since` or `until`.
    pub active_since: Option<DateOrTime>,
    /// The actor whose sessions these are: the caller by default.
    pub actor: Option<ActorFilter>,
}

impl SessionFilter {
    pub(crate) fn query(&self) -> Query {
        let parameters = [
            self.status.map(|status| ("status", status.to_string())),
            self.since.map(|since| ("since", since.to_string())),
            self.until.map(|until| ("until", until.to_string())),
            self.active_since.map(|since| ("active_since", since.to_string())),
            self.actor.map(|actor| ("actor_id", actor.to_string())),
        ];
        parameters.into_iter().flatten().collect()
    }
}
