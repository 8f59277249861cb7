//! What the server says when it refuses a request (RFC 9457).

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::{Import, InvalidField};

/// What went wrong, as the server says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind of problem: a link to its explanation, relative to the server. [`Self::code`] is
    /// its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The title of the kind of problem.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong in this case, and what to do.
    pub detail: String,
    /// The id of the request, as in the server's log.
    pub request_id: String,
    /// The same as `detail`.
    pub error: String,
    /// Every error, field by field (400 and 422).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<InvalidField>,
    /// The account's balance (402).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<i64>,
    /// The cost of the write (402).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<i64>,
    /// Until when the todo is claimed, if nothing is written meanwhile (409).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// The result of an import until it ended: rows that it wrote stay and are paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<Box<Import>>,
}

impl Problem {
    /// The name of the kind of problem: `still-in-flight` of `/docs/problems#still-in-flight`.
    #[must_use]
    pub fn code(&self) -> &str {
        self.kind.rsplit_once('#').map_or(self.kind.as_str(), |(_, code)| code)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}
