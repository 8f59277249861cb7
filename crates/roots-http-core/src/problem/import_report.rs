//! What became of an imported file. It stands in a problem as well, where an import ended early.

use axum::http::{HeaderName, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use crate::request::fields::InvalidField;
use crate::wire::credit_headers;

/// What became of a file, or would become of it.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = Import)]
pub struct ImportBody {
    /// Whether nothing was written or charged: the counts say what an import would do.
    pub dry_run: bool,
    /// How many lines were read.
    pub lines: u64,
    /// The rows that were written.
    pub imported: ImportedCounts,
    /// Rows that had come in before: those that are `updated` and `unchanged`, and those that were
    /// deleted here since, which stay deleted.
    pub already_imported: u64,
    /// Rows that had come in before and took on what was changed in the source since.
    pub updated: u64,
    /// Rows that had come in before and have not changed in the source, or have changed later here.
    pub unchanged: u64,
    /// Rows that came in from the source before, stand here, and are no longer in the file. Told of an
    /// export of a whole account that came whole, and of which each row could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub missing: Option<MissingCounts>,
    /// How many of the missing rows were deleted.
    pub deleted: u64,
    /// Lines with errors. Nothing of them was written.
    pub faulty: u64,
    /// The first of them, at most 100.
    pub faults: Vec<LineErrors>,
    /// Whether the file is a whole export: its last line counts the lines of each kind, and as many
    /// came. False for a file that holds only what was left of one.
    pub is_whole: bool,
    /// What the rows that were written cost, in credits; of a dry run, what they would cost.
    pub cost: i64,
    /// What the account has left. Missing where an import ended before it was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub balance: Option<i64>,
    /// Whether the balance covers the cost. Told by a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub is_covered: Option<bool>,
    /// The line to go on with. Told where an import ended before the end of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub from_line: Option<u64>,
}

impl ImportBody {
    /// Whether nothing was written.
    #[must_use]
    pub const fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// What was charged and what is left, as far as it is known.
    #[must_use]
    pub fn credit_headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let cost = if self.dry_run { 0 } else { self.cost };
        self.balance.map(|balance| credit_headers(cost, balance)).into_iter().flatten().collect()
    }
}

/// Rows that were written.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ImportedCounts {
    /// Sessions.
    pub sessions: u64,
    /// Todos.
    pub todos: u64,
    /// Steps of the logs of todos.
    pub todo_logs: u64,
    /// Activities.
    pub activities: u64,
}

/// Rows that are no longer in the file.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct MissingCounts {
    /// Sessions.
    pub sessions: u64,
    /// Todos.
    pub todos: u64,
    /// Activities.
    pub activities: u64,
    /// The first of them, at most 100.
    pub rows: Vec<MissingLine>,
}

/// A row that is no longer in the file.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MissingLine {
    /// What it is: `session`, `todo` or `activity`.
    pub kind: &'static str,
    /// Its id here.
    pub id: i64,
    /// Its id in the source.
    pub source_id: i64,
}

/// Everything that is wrong with a line.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LineErrors {
    /// Counted from 1.
    pub line: u64,
    /// Every error, field by field.
    pub errors: Vec<InvalidField>,
}
