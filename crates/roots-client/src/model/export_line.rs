//! The lines of an export.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExportLine {
    /// The first line.
    Export(HeaderLine),
    /// An actor.
    Actor(ActorLine),
    /// A session.
    Session(SessionLine),
    /// A todo. Its log follows it.
    Todo(TodoLine),
    /// A step of the log of the preceding todo.
    TodoLog(StepLine),
    /// An activity.
    Activity(ActivityLine),
    /// The last line of a complete export.
    End(EndLine),
    /// The last line of an export that failed.
    Error(ErrorLine),
    /// A kind of line that this version of the client does not know.
    #[serde(other)]
    Unknown,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderLine {
    /// The version of the format: 1.
    pub format: u32,
    /// It identifies the account that was exported, also on other servers.
    pub source: Uuid,
    /// The account's id.
    pub account_id: i64,
    /// Its name.
    pub account_name: String,
    /// The only actor whose rows are in the file; none for all actors.
    pub actor_id: Option<i64>,
    /// When the export began. Newer rows are not in it.
    pub exported_at: DateTime<Utc>,
}

/// An actor. Its line comes before its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorLine {
    /// Its id.
    pub actor_id: i64,
    /// Its name.
    pub name: String,
    /// What it is.
    pub actor_type: String,
    /// What it is in the account.
    pub role: String,
    /// Whether its keys are valid.
    pub is_active: bool,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// A session. Its line comes before the rows that are linked to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLine {
    /// Its id.
    pub session_id: i64,
    /// Its status.
    pub status: String,
    /// The agent's notes.
    pub notes: Option<String>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it ended: `ended` or `idle`; none while it goes on. Exports of older versions lack it.
    #[serde(default)]
    pub ended_reason: Option<String>,
    /// The actor that it belongs to.
    pub actor_id: i64,
    /// The names of the texts that can't be read; they are none in this line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// A todo. Its log follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TodoLine {
    /// Its id.
    pub todo_id: i64,
    /// The session that it is linked to.
    pub session_id: Option<i64>,
    /// What is to be done; none if it can't be read.
    pub title: Option<String>,
    /// What there is to say about it.
    pub description: Option<String>,
    /// Its current status.
    pub status: String,
    /// Its status before the first step of its log.
    pub first_status: String,
    /// 0 (lowest) to 3 (highest).
    pub priority: i32,
    /// When it is due.
    pub due_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When a patch last changed it, or it was claimed.
    pub updated_at: DateTime<Utc>,
    /// The actor that it belongs to.
    pub actor_id: i64,
    /// The names of the texts that can't be read; they are none in this line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// A step of the log of the preceding todo. Steps are in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLine {
    /// Its id.
    pub log_id: i64,
    /// The todo's id.
    pub todo_id: i64,
    /// The status before it.
    pub old_status: String,
    /// The status after it.
    pub new_status: String,
    /// A note on it.
    pub note: Option<String>,
    /// When it happened.
    pub logged_at: DateTime<Utc>,
    /// The actor that the todo belongs to.
    pub actor_id: i64,
    /// The names of the texts that can't be read; they are none in this line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// An activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityLine {
    /// Its id.
    pub activity_id: i64,
    /// The session that it is linked to.
    pub session_id: Option<i64>,
    /// The category.
    pub activity_type: String,
    /// What happened; none if it can't be read.
    pub description: Option<String>,
    /// When it happened.
    pub logged_at: DateTime<Utc>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// The actor that it belongs to.
    pub actor_id: i64,
    /// The names of the texts that can't be read; they are none in this line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// The last line of a complete export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndLine {
    /// The number of lines of each kind.
    pub counts: Counts,
    /// The number of lines of all kinds.
    pub total: u64,
    /// The number of lines with a text that can't be read.
    pub unreadable: u64,
}

/// The number of lines of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Actors.
    pub actors: u64,
    /// Sessions.
    pub sessions: u64,
    /// Todos.
    pub todos: u64,
    /// Steps of todo logs.
    pub todo_logs: u64,
    /// Activities.
    pub activities: u64,
}

/// The last line of an export that failed. The lines before it are correct but incomplete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorLine {
    /// The kind of problem: a link to its explanation.
    #[serde(rename = "type")]
    pub kind: String,
    /// What went wrong.
    pub error: String,
}
