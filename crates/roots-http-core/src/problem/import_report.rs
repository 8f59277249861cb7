//! The result of an import. It is part of the problem if an import ended early.

use axum::http::{HeaderName, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use crate::request::fields::InvalidField;
use crate::wire::credit_headers;

/// The result of an import, or of its dry run.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = Import)]
pub struct ImportBody {
    /// Whether it was a dry run: nothing was written or charged, and the counts say what an import
    /// would do.
    pub dry_run: bool,
    /// The number of lines that were read.
    pub lines: u64,
    /// The rows that were written.
    pub imported: ImportedCounts,
    /// Rows that an earlier import wrote: `updated` and `unchanged` ones, and those deleted here
    /// since, which stay deleted.
    pub already_imported: u64,
    /// Rows that an earlier import wrote, updated with changes in the source.
    pub updated: u64,
    /// Rows that an earlier import wrote and that have not changed in the source, or have changed
    /// later here.
    pub unchanged: u64,
    /// Rows that an earlier import wrote from this source, exist here, and are missing in the file.
    /// Present only if the file is a complete export of a whole account and all its rows could be
    /// read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub missing: Option<MissingCounts>,
    /// The number of missing rows that were deleted.
    pub deleted: u64,
    /// Lines with errors. They were not written.
    pub faulty: u64,
    /// The first 100 of them.
    pub faults: Vec<LineErrors>,
    /// Whether the file is a complete export: it has as many lines of each kind as its last line
    /// counts. False for a file with only a part of an export.
    pub is_whole: bool,
    /// The cost of the written rows in credits; in a dry run, what they would cost.
    pub cost: i64,
    /// The account's balance. Absent if an import ended before it was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub balance: Option<i64>,
    /// Whether the balance covers the cost. Only in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub is_covered: Option<bool>,
    /// The line to continue from, if the import ended before the end of the file.
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

    /// The headers with the cost and the balance, if they are known.
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
    /// Steps of todo logs.
    pub todo_logs: u64,
    /// Activities.
    pub activities: u64,
}

/// Rows that are missing in the file.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct MissingCounts {
    /// Sessions.
    pub sessions: u64,
    /// Todos.
    pub todos: u64,
    /// Activities.
    pub activities: u64,
    /// The first 100 of them.
    pub rows: Vec<MissingLine>,
}

/// A row that is missing in the file.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MissingLine {
    /// `session`, `todo` or `activity`.
    pub kind: &'static str,
    /// Its id here.
    pub id: i64,
    /// Its id in the source.
    pub source_id: i64,
}

/// The errors of a line.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LineErrors {
    /// The number of the line, counted from 1.
    pub line: u64,
    /// Every error, field by field.
    pub errors: Vec<InvalidField>,
}
