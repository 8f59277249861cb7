//! What is wrong with the form of JSON.

use std::fmt;

/// What is wrong with the form of JSON. It displays as the end of a sentence whose subject is the JSON,
/// and tells by line and column alone: a parser's own words may repeat the text.
#[derive(Debug)]
pub enum InvalidJson {
    /// It can't be read.
    Json {
        /// In what way.
        what: &'static str,
        /// Counted from 1.
        line: u64,
        /// Counted from 1; 0 where the line before has ended.
        column: usize,
    },
    /// It is something else.
    NoObject(&'static str),
}

impl InvalidJson {
    /// The same, where the JSON is a line by itself: that one.
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
                // What ends with a line ends at column 0 of the next one, where people count from 1.
                write!(f, "{what} at line {line}, column {}", (*column).max(1))
            }
            Self::NoObject(kind) => write!(f, "must be a JSON object, not {kind}"),
        }
    }
}
