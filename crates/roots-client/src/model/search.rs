//! Searches and what they find.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::actor::ActorFilter;
use super::todo::TodoStatus;
use super::words::words;
use crate::time::DateOrTime;

words! {
    /// A kind of item.
    SearchKind {
        /// A session.
        Session = "session",
        /// A todo, with the notes of its log.
        Todo = "todo",
        /// An activity.
        Activity = "activity",
    }
}

words! {
    /// A text of an item.
    SearchField {
        /// The notes of a session.
        Notes = "notes",
        /// The title of a todo.
        Title = "title",
        /// The description of a todo or of an activity.
        Description = "description",
        /// A note of a todo's log.
        Note = "note",
    }
}

/// What to search for, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Search {
    /// 1 to 8 terms: words, phrases in double quotes, and beginnings of words that end in `*`.
    pub q: String,
    /// Only items of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SearchKind>,
    /// The start of the range, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateOrTime>,
    /// The end of the range, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateOrTime>,
    /// Only this session, and the items that are linked to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<i64>,
    /// Only todos with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TodoStatus>,
    /// The actors whose items to search: the caller by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<ActorFilter>,
    /// The maximum number of results of a page, 1 to 100: 20 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// The `next_cursor` of the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A page of found items, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchResults {
    /// The items.
    pub results: Vec<SearchResult>,
    /// The cursor of the next page, which may be empty; absent on the last page.
    pub next_cursor: Option<String>,
    /// Whether the call came to its end. Otherwise it read as many texts as it may, and the next
    /// page goes on.
    pub complete: bool,
    /// The number of texts that can't be read.
    pub unreadable: i64,
}

/// A found item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchResult {
    /// Its kind.
    pub kind: SearchKind,
    /// Its id.
    pub id: i64,
    /// When the session started, the todo was created or the activity happened.
    pub at: DateTime<Utc>,
    /// The text that has the most of the terms.
    pub field: SearchField,
    /// The part of that text around the first match, at most 200 characters.
    pub excerpt: String,
    /// The title of a todo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The actor that it belongs to.
    pub actor_id: i64,
}
