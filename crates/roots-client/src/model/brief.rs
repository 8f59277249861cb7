//! The brief.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::activity::Activity;
use super::actor::ActorFilter;
use super::claim::Claim;
use super::paging::Query;
use super::session::ListedSession;
use super::todo::TodoStatus;
use super::words::open_words;
use crate::time::DateOrTime;

open_words! {
    /// What to do next.
    Action {
        /// Go on with a todo in progress that is yours, or that nobody works on.
        Resume = "resume",
        /// Claim a todo whose claim has lapsed.
        TakeOver = "take_over",
        /// Claim an open todo.
        Claim = "claim",
        /// There is nothing to do, or others are doing it.
        None = "none",
    }
}

open_words! {
    /// A list of a brief, or its session.
    BriefList {
        /// The session.
        Session = "session",
        /// Todos in progress.
        InProgress = "in_progress",
        /// Todos whose claim has lapsed.
        LeftBehind = "left_behind",
        /// Open todos past their due date.
        Overdue = "overdue",
        /// Other open todos.
        Next = "next",
        /// Sessions that wait for a person.
        Waiting = "waiting",
        /// Activities.
        Activities = "activities",
        /// Status changes.
        StatusChanges = "status_changes",
    }
}

/// What a brief is about, and how long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BriefQuery {
    /// The size, 500 to 8,000: the answer has at most 4 bytes for each token. The server takes
    /// 2,000 by default.
    pub max_tokens: Option<u32>,
    /// The start of the time whose activities and status changes are reported: the end of the last
    /// session by default.
    pub since: Option<DateOrTime>,
    /// The actors: the caller by default.
    pub actor: Option<ActorFilter>,
    /// The session that you work in: the brief then tells your claims from those of other workers.
    pub session_id: Option<i64>,
}

impl BriefQuery {
    pub(crate) fn query(&self) -> Query {
        let parameters = [
            self.max_tokens.map(|tokens| ("max_tokens", tokens.to_string())),
            self.since.map(|since| ("since", since.to_string())),
            self.actor.map(|actor| ("actor_id", actor.to_string())),
            self.session_id.map(|id| ("session_id", id.to_string())),
        ];
        parameters.into_iter().flatten().collect()
    }
}

/// What an agent has to know when it wakes. Each todo is in one list only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// When it was read.
    pub at: DateTime<Utc>,
    /// The start of the time that is reported; none for everything.
    pub since: Option<DateTime<Utc>>,
    /// The named session if it has notes, else the one that ended last. If no session is named, the
    /// active one that started last, else the one that ended last.
    pub session: Option<ListedSession>,
    /// Todos in progress whose claim lives, or that nobody has claimed.
    pub in_progress: Vec<BriefTodo>,
    /// Todos in progress whose claim has lapsed.
    pub left_behind: Vec<BriefTodo>,
    /// Open todos past their due date.
    pub overdue: Vec<BriefTodo>,
    /// The other open todos, in the order of claims.
    pub next: Vec<BriefTodo>,
    /// What sessions wait for, the newest first.
    pub waiting: Vec<Activity>,
    /// Activities since then, the newest first.
    pub activities: Vec<Activity>,
    /// Status changes since then, the newest first.
    pub status_changes: Vec<BriefChange>,
    /// How many rows there are.
    pub counts: BriefCounts,
    /// Whether any todo is open or in progress.
    pub has_work: bool,
    /// What to do next.
    pub next_action: NextAction,
    /// What was left out, and the request that shows it.
    pub omitted: Vec<Omitted>,
    /// JSON pointers to the texts that were shortened.
    pub cut: Vec<String>,
}

/// A todo of a brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefTodo {
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
    /// The claim that stands, alive or lapsed.
    pub claim: Option<Claim>,
    /// The actor that it belongs to.
    pub actor_id: i64,
    /// Until when nobody else can claim it, if nothing more is written; none without a claim.
    pub until: Option<DateTime<Utc>>,
}

/// A status change of a brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefChange {
    /// The todo.
    pub todo_id: i64,
    /// The todo's title.
    pub title: String,
    /// The status before it.
    pub old_status: TodoStatus,
    /// The status after it.
    pub new_status: TodoStatus,
    /// A note on it.
    pub note: Option<String>,
    /// When it happened.
    pub logged_at: DateTime<Utc>,
}

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefCounts {
    /// Todos.
    pub todos: TodoCounts,
    /// Sessions.
    pub sessions: BriefSessionCounts,
    /// Activities.
    pub activities: i64,
    /// Todos past their due date, open or in progress. 1,000 also stands for more.
    pub overdue: i64,
}

/// Todos by their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TodoCounts {
    /// Nobody works on them.
    pub open: i64,
    /// Somebody works on them.
    pub in_progress: i64,
    /// They are done.
    pub done: i64,
    /// They will not be done.
    pub cancelled: i64,
}

/// Sessions by their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefSessionCounts {
    /// They go on.
    pub active: i64,
    /// They have ended.
    pub ended: i64,
}

/// What to do next, as the rows tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextAction {
    /// The action.
    pub action: Action,
    /// The todo, unless there is nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub todo: Option<NextTodo>,
}

/// The todo of the next action. It is also the first one of its list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextTodo {
    /// Its id.
    pub todo_id: i64,
    /// What is to be done.
    pub title: String,
    /// 0 (lowest) to 3 (highest).
    pub priority: u8,
    /// When it is due.
    pub due_at: Option<DateTime<Utc>>,
    /// To resume it, the token of the claim that stands, if there is one.
    pub claim_token: Option<i64>,
    /// The actor that it belongs to.
    pub actor_id: i64,
}

/// Rows that a brief leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omitted {
    /// The list, or the session.
    pub what: BriefList,
    /// How many. For what waits, older activities of its type count, answered or not.
    pub count: i64,
    /// The request that shows them.
    pub request: String,
}
