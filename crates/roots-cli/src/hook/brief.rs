//! The parts of the brief that the hook tells. Each may be missing, so that older and newer servers
//! are understood.

use chrono::{DateTime, Utc};
use roots_client::{Client, Error, RawRequest};
use serde::Deserialize;

/// The brief, of at most 8,000 bytes.
const PATH: &str = "/api/v1/brief?max_tokens=2000";

/// What to know on waking.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Brief {
    /// When it was read.
    pub(crate) at: Option<DateTime<Utc>>,
    /// The start of the span that changes are told for.
    pub(crate) since: Option<DateTime<Utc>>,
    /// The open session, or the last one.
    pub(crate) session: Option<Session>,
    /// Todos that somebody works on.
    pub(crate) in_progress: Vec<Item>,
    /// Todos whose claims have lapsed.
    pub(crate) left_behind: Vec<Item>,
    /// Open todos that should be done by now.
    pub(crate) overdue: Vec<Item>,
    /// The open todos that come next.
    pub(crate) next: Vec<Item>,
    /// Questions that sessions wait with.
    pub(crate) waiting: Vec<Activity>,
    /// What was done.
    pub(crate) activities: Vec<Activity>,
    /// Which todos changed their status.
    pub(crate) status_changes: Vec<StatusChange>,
    /// How many there are in all.
    pub(crate) counts: Counts,
    /// Whether any todo is open or in progress.
    pub(crate) has_work: Option<bool>,
    /// What to do next.
    pub(crate) next_action: Option<NextAction>,
    /// What has no room in the brief.
    pub(crate) omitted: Vec<Omitted>,
}

/// A session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    pub(crate) session_id: i64,
    pub(crate) status: String,
    pub(crate) notes: Option<String>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    pub(crate) last_active_at: Option<DateTime<Utc>>,
}

/// A todo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Item {
    pub(crate) todo_id: i64,
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    pub(crate) priority: u8,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) session_id: Option<i64>,
    pub(crate) until: Option<DateTime<Utc>>,
    /// Given for the next todo alone.
    pub(crate) claim_token: Option<i64>,
}

/// An activity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Activity {
    pub(crate) session_id: Option<i64>,
    pub(crate) activity_type: String,
    pub(crate) description: String,
    pub(crate) logged_at: Option<DateTime<Utc>>,
}

/// A change of a todo's status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct StatusChange {
    pub(crate) todo_id: i64,
    pub(crate) title: String,
    pub(crate) old_status: Option<String>,
    pub(crate) new_status: String,
    pub(crate) note: Option<String>,
    pub(crate) logged_at: Option<DateTime<Utc>>,
}

/// How many rows there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    pub(crate) todos: TodoCounts,
    pub(crate) overdue: u64,
}

/// How many todos there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct TodoCounts {
    pub(crate) open: u64,
    pub(crate) in_progress: u64,
}

/// What to do next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct NextAction {
    pub(crate) action: String,
    pub(crate) todo: Option<Item>,
}

/// Rows without room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Omitted {
    pub(crate) what: String,
    pub(crate) count: u64,
    pub(crate) request: String,
}

/// Reads the brief. `None` if the server has none, or one of a form that is not known.
///
/// # Errors
///
/// If the server can't be reached, or refuses.
pub(crate) async fn read(client: &Client) -> Result<Option<Brief>, Error> {
    let answer = client.send_raw(RawRequest::get(PATH)).await?;
    match answer.status.as_u16() {
        200 => Ok(serde_json::from_slice(&answer.body).ok()),
        404 => Ok(None),
        _ => Err(answer.into_error()),
    }
}
