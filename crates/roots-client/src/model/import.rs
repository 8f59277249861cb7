//! Imports, and the errors of fields that they and problems report.

use serde::{Deserialize, Serialize};

use super::paging::Query;

/// How to import a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportOptions {
    /// The actor that all rows will belong to. By default, actors are matched by name.
    pub actor_id: Option<i64>,
    /// Skip rows before this line, counted from 1. The header and the actors are still read.
    pub from_line: Option<u64>,
    /// Delete rows that were imported from the same account before and are missing in the file.
    pub deletes_missing: bool,
    /// Only check the file and say what the import would cost.
    pub is_dry_run: bool,
}

impl ImportOptions {
    pub(crate) fn query(&self) -> Query {
        let parameters = [
            self.actor_id.map(|id| ("actor_id", id.to_string())),
            self.from_line.map(|line| ("from_line", line.to_string())),
            self.deletes_missing.then(|| ("delete_missing", true.to_string())),
            self.is_dry_run.then(|| ("dry_run", true.to_string())),
        ];
        parameters.into_iter().flatten().collect()
    }
}

/// The result of an import, or of its dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Whether it was a dry run: nothing was written, and the counts say what an import would do.
    pub dry_run: bool,
    /// The number of lines that were read.
    pub lines: u64,
    /// The rows that were written.
    pub imported: ImportedCounts,
    /// Rows that an earlier import wrote: updated and unchanged ones, and those deleted here since.
    pub already_imported: u64,
    /// Rows that an earlier import wrote, updated with changes in the source.
    pub updated: u64,
    /// Rows that an earlier import wrote and that have not changed in the source, or have changed
    /// later here.
    pub unchanged: u64,
    /// Rows that an earlier import wrote from this source and that are missing in the file. It is
    /// known only if the file is a complete export of a whole account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingCounts>,
    /// The number of missing rows that were deleted.
    pub deleted: u64,
    /// Lines with errors. They were not written.
    pub faulty: u64,
    /// The first 100 of them.
    pub faults: Vec<LineErrors>,
    /// Whether the file is a complete export.
    pub is_whole: bool,
    /// The cost of the written rows in credits; in a dry run, what they would cost.
    pub cost: i64,
    /// The account's balance. Absent if an import ended before it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<i64>,
    /// Whether the balance covers the cost. Only in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_covered: Option<bool>,
    /// The line to continue from, if the import ended before the end of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_line: Option<u64>,
}

/// Rows that were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingLine {
    /// `session`, `todo` or `activity`.
    pub kind: String,
    /// Its id here.
    pub id: i64,
    /// Its id in the source.
    pub source_id: i64,
}

/// The errors of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineErrors {
    /// The number of the line, counted from 1.
    pub line: u64,
    /// Every error, field by field.
    pub errors: Vec<InvalidField>,
}

/// An error of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidField {
    /// The field of the body, or the parameter of the query.
    pub field: String,
    /// The error. It continues a sentence that begins with the field's name.
    pub message: String,
}
