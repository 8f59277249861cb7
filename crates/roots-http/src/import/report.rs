//! The result of an import. If an import ended early, it is a member of the problem.

use axum::http::{HeaderName, HeaderValue};
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidField;
use roots_http_core::wire::credit_headers;
use serde::Serialize;
use utoipa::ToSchema;

/// The member of a problem that has the result.
pub(crate) const IMPORT_MEMBER: &str = "import";
/// The words of a problem that occurred before anything was done.
const NOTHING_DONE: &str = "Nothing was done";

/// The result of an import, or of its dry run.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = Import)]
pub(crate) struct ImportBody {
    /// Whether it was a dry run: nothing was written or charged, and the counts say what an import
    /// would do.
    pub(crate) dry_run: bool,
    /// The number of lines that were read.
    pub(crate) lines: u64,
    /// The rows that were written.
    pub(crate) imported: ImportedCounts,
    /// Rows that an earlier import wrote: `updated` and `unchanged` ones, and those deleted here
    /// since, which stay deleted.
    pub(crate) already_imported: u64,
    /// Rows that an earlier import wrote, updated with changes in the source.
    pub(crate) updated: u64,
    /// Rows that an earlier import wrote and that have not changed in the source, or have changed
    /// later here.
    pub(crate) unchanged: u64,
    /// Rows that an earlier import wrote from this source, exist here, and are missing in the file.
    /// Present only if the file is a complete export of a whole account and all its rows could be
    /// read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) missing: Option<MissingCounts>,
    /// The number of missing rows that were deleted.
    pub(crate) deleted: u64,
    /// Lines with errors. They were not written.
    pub(crate) faulty: u64,
    /// The first 100 of them.
    pub(crate) faults: Vec<LineErrors>,
    /// Whether the file is a complete export: it has as many lines of each kind as its last line
    /// counts. False for a file with only a part of an export.
    pub(crate) is_whole: bool,
    /// The cost of the written rows in credits; in a dry run, what they would cost.
    pub(crate) cost: i64,
    /// The account's balance. Absent if an import ended before it was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) balance: Option<i64>,
    /// Whether the balance covers the cost. Only in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) is_covered: Option<bool>,
    /// The line to continue from, if the import ended before the end of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) from_line: Option<u64>,
}

impl ImportBody {
    /// The headers with the cost and the balance, if they are known.
    pub(crate) fn credit_headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let cost = if self.dry_run { 0 } else { self.cost };
        self.balance.map(|balance| credit_headers(cost, balance)).into_iter().flatten().collect()
    }

    /// Adds the result to the problem that ended the import early. `line` is the last line that was
    /// processed; the import continues with the next.
    pub(crate) fn ended_after(mut self, line: u64, mut problem: Problem) -> Problem {
        self.lines = line;
        self.from_line = Some(line + 1);
        // After the header, which writes nothing.
        if line > 1 && !self.dry_run {
            let detail = problem.detail().replace(NOTHING_DONE, "Nothing more was done");
            let goes_on = "Send the file again: they are not written or charged twice.";
            let detail = format!("{detail} Lines up to {line} are imported. {goes_on}");
            problem = problem.with_detail(detail);
        }
        problem.with_headers(self.credit_headers()).with_member(IMPORT_MEMBER, &self)
    }
}

/// Rows that were written.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct ImportedCounts {
    /// Sessions.
    pub(crate) sessions: u64,
    /// Todos.
    pub(crate) todos: u64,
    /// Steps of todo logs.
    pub(crate) todo_logs: u64,
    /// Activities.
    pub(crate) activities: u64,
}

/// Rows that are missing in the file.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct MissingCounts {
    /// Sessions.
    pub(crate) sessions: u64,
    /// Todos.
    pub(crate) todos: u64,
    /// Activities.
    pub(crate) activities: u64,
    /// The first 100 of them.
    pub(crate) rows: Vec<MissingLine>,
}

/// A row that is missing in the file.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct MissingLine {
    /// `session`, `todo` or `activity`.
    pub(crate) kind: &'static str,
    /// Its id here.
    pub(crate) id: i64,
    /// Its id in the source.
    pub(crate) source_id: i64,
}

/// The errors of a line.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LineErrors {
    /// The number of the line, counted from 1.
    pub(crate) line: u64,
    /// Every error, field by field.
    pub(crate) errors: Vec<InvalidField>,
}
