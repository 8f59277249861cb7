//! An error in the form of JSON.

use std::fmt;

/// An error in the form of JSON. It displays as the end of a sentence whose subject is the JSON. It
/// gives only line and column, since a parser's message may repeat the text.
#[derive(Debug)]
pub enum InvalidJson {
    /// It can't be read.
    Json {
        /// The error.
        what: &'static str,
        /// Counted from 1.
        line: u64,
        /// Counted from 1; 0 at the end of the line before.
        column: usize,
    },
    /// It is not an object but something else.
    NoObject(&'static str),
}

impl InvalidJson {
    /// The same error with the line's number, if the JSON is a line of a file.
    #[must_use]
    pub fn at_line(self, number: u64) -> Self {
        match self {
            Self::Json { what, column, .. } => Self::Json { what, line: number, column },
            other @ Self::NoObject(_) => other,
        }
    }
}

impl fmt::Display for InvalidJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { what, line, column } => {
                // The parser reports the end of a line as column 0 of the next one; columns are
                // counted from 1.
                write!(f, "{what} at line {line}, column {}", (*column).max(1))
            }
            Self::NoObject(kind) => write!(f, "must be a JSON object, not {kind}"),
        }
    }
}
