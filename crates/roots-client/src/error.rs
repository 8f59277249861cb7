//! What can go wrong with a request.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};

use crate::model::ErrorLine;
use crate::operation::{Operation, Repeat};
use crate::problem::Problem;

/// Why there is no answer, or none of use. No error holds a key, a code or a text of a row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused the request and says why.
    #[error("{problem}")]
    Refused {
        /// What it says.
        problem: Box<Problem>,
        /// How long to wait before the next attempt.
        retry_after: Option<Duration>,
    },
    /// An answer that is not of the API. A proxy made it, or the URL is of another server.
    #[error("the answer {status} is not one of a Roots server; check the URL, or its proxy")]
    Status {
        /// Its status.
        status: StatusCode,
        /// How long to wait before the next attempt.
        retry_after: Option<Duration>,
    },
    /// The server is elsewhere. The client does not follow, since it would take the key there.
    #[error("the server redirects to {location}; use the URL of the server that answers there")]
    Redirected {
        /// Where to.
        location: String,
    },
    /// The server was not reached, so nothing was done.
    #[error("the server can't be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The connection ended before the whole answer was there. A write may have been done.
    #[error("the connection broke before the answer was complete")]
    Broken(#[source] reqwest::Error),
    /// The answer did not come in time. A write may have been done.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The answer is of another form than this version of the client knows.
    #[error("the answer to {operation} can't be read, at line {line}, column {column}", operation = .operation.id())]
    Unreadable {
        /// What was asked for.
        operation: Operation,
        /// The line of the answer, counted from 1.
        line: usize,
        /// The column of the answer, counted from 1.
        column: usize,
    },
    /// An export ended without its last line, so rows are missing.
    #[error("the export was cut off: its last line is missing")]
    ExportCutOff,
    /// An export failed on the way. The lines before it are correct but incomplete.
    #[error("the export failed: {}", .0.error)]
    ExportFailed(ErrorLine),
    /// The request can't be written: a value has no place in a header or in JSON.
    #[error("the request can't be written: {0}")]
    Request(&'static str),
}

impl Error {
    /// The problem that the server reports.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// The name of that kind of problem, such as `precondition-failed`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.problem().map(Problem::code)
    }

    /// How long the server asks to wait before the next attempt.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the request may be sent again: the trouble passes, and it is not done twice.
    pub(crate) fn allows_repeat(&self, repeat: Repeat) -> bool {
        let may_be_done = repeat != Repeat::Never;
        match self {
            Self::Refused { problem, .. } => match (problem.status, problem.code()) {
                (429, _) | (_, "still-in-flight") => true,
                (503, "outcome-unknown") => may_be_done,
                (status, _) => status == 503,
            },
            Self::Status { status, .. } => match *status {
                StatusCode::TOO_MANY_REQUESTS => true,
                status => status == StatusCode::SERVICE_UNAVAILABLE && may_be_done,
            },
            Self::Unreachable(error) => !is_about_certificates(error),
            Self::Broken(_) => may_be_done,
            _ => false,
        }
    }

    /// Of a request that got no answer, or not all of it.
    pub(crate) fn of_transport(error: reqwest::Error) -> Self {
        // The URL has nothing that the caller does not know, and makes the text long.
        let error = error.without_url();
        if error.is_connect() {
            Self::Unreachable(error)
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Broken(error)
        }
    }

    /// Of an answer that is no success.
    pub(crate) fn of_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if status.is_redirection() {
            let location = text(LOCATION).unwrap_or("an unknown place").to_owned();
            return Self::Redirected { location };
        }
        let seconds = text(RETRY_AFTER).and_then(|value| value.trim().parse().ok());
        let retry_after = seconds.map(Duration::from_secs);
        let is_problem =
            text(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/problem+json"));
        match serde_json::from_slice(body) {
            Ok(problem) if is_problem => Self::Refused { problem: Box::new(problem), retry_after },
            _ => Self::Status { status, retry_after },
        }
    }

    /// Of an answer that is not what the operation answers. The text of the cause could hold what
    /// it is about, so only its place is kept.
    pub(crate) fn unreadable(operation: Operation, error: &serde_json::Error) -> Self {
        Self::Unreadable { operation, line: error.line(), column: error.column() }
    }
}

/// Whether the server was reached, but could not prove its name. It will not on the next attempt.
fn is_about_certificates(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        // The source of an I/O error is that of what it holds, so what it holds would be left out.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    false
}
