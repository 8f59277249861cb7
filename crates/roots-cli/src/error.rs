//! What can go wrong, what to do about it, and the exit codes.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use roots_client::model::ErrorLine;
use roots_client::{BuildError, Error};
use serde_json::{Value, json};

/// It failed, and no other code says why.
const FAILED: u8 = 1;
/// The arguments are wrong, here or for the server.
const USAGE: u8 = 2;
/// What was asked for is not there.
const NOT_THERE: u8 = 3;
/// There is no key, or the key may not do this.
const NO_GOOD_KEY: u8 = 4;
/// The present state does not allow it.
const CONFLICT: u8 = 5;
/// The account's credits do not suffice.
const NO_CREDITS: u8 = 6;
/// It may work later, unchanged.
const TRY_LATER: u8 = 7;

/// Why a command is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The server refused, or there is no answer.
    #[error(transparent)]
    Api(#[from] Error),
    /// The URL or the key can't be used.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// What was asked for is not there.
    #[error("{0}")]
    NotThere(String),
    /// There is no API key.
    #[error("{0}")]
    NoKey(String),
    /// The present state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// It failed for another reason.
    #[error("{0}")]
    Failed(String),
    /// A file can't be used.
    #[error("{path}: {what}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The system's keyring failed.
    #[error("the system's keyring failed")]
    Keyring(#[from] keyring::Error),
    /// The program that reads the output has ended, as `head` does. The rest is not wanted.
    #[error("the output was closed")]
    OutputClosed,
    /// The output can't be written.
    #[error("the output can't be written")]
    Output(#[source] io::Error),
    /// The system refuses what the program needs.
    #[error("{what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl CliError {
    /// A file that can't be used.
    pub(crate) fn file(path: impl Into<PathBuf>, what: &'static str, source: io::Error) -> Self {
        Self::File { path: path.into(), what, source }
    }

    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Api(error) => code_of(error),
            Self::Client(BuildError::Url(_)) | Self::Usage(_) => USAGE,
            Self::Client(BuildError::ApiKey) | Self::NoKey(_) => NO_GOOD_KEY,
            Self::NotThere(_) => NOT_THERE,
            Self::Conflict(_) => CONFLICT,
            Self::OutputClosed => 0,
            Self::Client(_)
            | Self::Failed(_)
            | Self::File { .. }
            | Self::Keyring(_)
            | Self::Output(_)
            | Self::System { .. } => FAILED,
        }
    }

    /// Whether it may work later, unchanged.
    pub(crate) fn may_pass(&self) -> bool {
        self.code() == TRY_LATER
    }

    /// What is wrong, with its causes.
    pub(crate) fn sentence(&self) -> String {
        let mut sentence = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors repeat their source in their own text.
            if !sentence.contains(&text) {
                sentence.push_str(": ");
                sentence.push_str(&text);
            }
            cause = error.source();
        }
        sentence
    }

    /// What to do next, where the error itself does not say it.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        let Self::Api(error) = self else { return None };
        Some(match (error, error.code()) {
            (_, Some("unauthorized")) => {
                "Run `roots login` with a valid key, or set ROOTS_API_KEY. `roots status` shows \
                 which key is used."
            }
            (_, Some("owner-only" | "operator-only" | "key-in-grace")) => {
                "Use another key: set ROOTS_API_KEY, or run `roots login`."
            }
            (_, Some("insufficient-credits")) => {
                "Reads still work. Ask the operator of the server for credits."
            }
            (_, Some("claim-lost")) => {
                "Stop working on this todo: another worker may have it. Claim another one with \
                 `roots todo claim`. A person who wants it done all the same gives \
                 --without-claim."
            }
            (_, Some("precondition-failed")) => "Read it again, then repeat the command.",
            (_, Some("method-not-allowed")) => {
                "The server may be older than this program: `roots status` tells what it lacks."
            }
            (Error::Unreachable(_), _) => {
                "Nothing was done. Check that the server runs, and its URL (`roots status`)."
            }
            (Error::Broken(_) | Error::TimedOut, _) | (_, Some("outcome-unknown")) => {
                "A write may have been done. Look before you repeat it."
            }
            (Error::Unreadable { .. }, _) => {
                "The server may be of another version than this program: see `roots status`."
            }
            _ => return None,
        })
    }

    /// The problem as JSON: what the server said, or an object of the same form.
    pub(crate) fn problem(&self) -> Value {
        if let Self::Api(Error::Refused { problem, .. }) = self
            && let Ok(problem) = serde_json::to_value(problem)
        {
            return problem;
        }
        json!({"type": "about:blank", "title": self.title(), "detail": self.with_advice()})
    }

    /// What is wrong, and what to do next.
    pub(crate) fn with_advice(&self) -> String {
        let sentence = self.sentence();
        match self.advice() {
            // The words of a server may end in a full stop.
            Some(advice) => format!("{}. {advice}", sentence.trim_end_matches('.')),
            None => sentence,
        }
    }

    fn title(&self) -> &'static str {
        match self.code() {
            USAGE => "Wrong usage",
            NOT_THERE => "Not there",
            NO_GOOD_KEY => "No good key",
            CONFLICT => "Conflict",
            NO_CREDITS => "No credits",
            TRY_LATER => "Try later",
            _ => "Failed",
        }
    }
}

/// Whether an export failed for a reason that passes: the server stops, or is too busy, or the
/// connection was too slow.
fn is_passing(failure: &ErrorLine) -> bool {
    let code = failure.kind.rsplit_once('#').map(|(_, code)| code);
    matches!(code, Some("unavailable" | "request-timeout" | "too-many-requests"))
}

fn code_of(error: &Error) -> u8 {
    match error {
        Error::Refused { problem, .. } => match (problem.status, problem.code()) {
            (_, "still-in-flight") => TRY_LATER,
            (401, _) | (_, "owner-only" | "operator-only" | "key-in-grace") => NO_GOOD_KEY,
            (400 | 413 | 422, _) => USAGE,
            (402, _) => NO_CREDITS,
            (404, _) => NOT_THERE,
            (409 | 412, _) => CONFLICT,
            (408 | 429 | 503, _) => TRY_LATER,
            _ => FAILED,
        },
        Error::Status { status, .. } => match status.as_u16() {
            429 | 502..=504 => TRY_LATER,
            _ => FAILED,
        },
        Error::Unreachable(_) | Error::Broken(_) | Error::TimedOut | Error::ExportCutOff => {
            TRY_LATER
        }
        Error::ExportFailed(failure) if is_passing(failure) => TRY_LATER,
        Error::Request(_) => USAGE,
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> CliError {
        let problem = json!({
            "type": format!("/docs/problems#{code}"), "title": "t", "status": status,
            "detail": "d.", "request_id": "r", "error": "d.",
        });
        let problem = Box::new(serde_json::from_value(problem).unwrap());
        CliError::Api(Error::Refused { problem, retry_after: None })
    }

    #[test]
    fn each_kind_of_problem_has_its_exit_code() {
        for (status, code, exit) in [
            (400, "invalid-parameters", 2),
            (401, "unauthorized", 4),
            (402, "insufficient-credits", 6),
            (403, "account-suspended", 1),
            (403, "owner-only", 4),
            (403, "operator-only", 4),
            (403, "key-in-grace", 4),
            (404, "not-found", 3),
            (405, "method-not-allowed", 1),
            (409, "conflict", 5),
            (409, "claim-lost", 5),
            (409, "still-in-flight", 7),
            (412, "precondition-failed", 5),
            (413, "body-too-large", 2),
            (422, "invalid-body", 2),
            (429, "too-many-requests", 7),
            (500, "internal-error", 1),
            (503, "unavailable", 7),
            (503, "outcome-unknown", 7),
        ] {
            assert_eq!(refused(status, code).code(), exit, "{status} {code}");
        }
        assert_eq!(CliError::Api(Error::TimedOut).code(), 7);
        assert_eq!(CliError::Usage(String::new()).code(), 2);
        assert_eq!(CliError::NotThere(String::new()).code(), 3);
        assert_eq!(CliError::NoKey(String::new()).code(), 4);
        assert_eq!(CliError::Conflict(String::new()).code(), 5);
        assert_eq!(CliError::OutputClosed.code(), 0);
    }

    #[test]
    fn the_problem_is_that_of_the_server_where_it_says_one() {
        assert_eq!(refused(409, "conflict").problem()["type"], "/docs/problems#conflict");
        let unknown = refused(401, "unauthorized").with_advice();
        assert!(unknown.starts_with("d. Run `roots login`"), "{unknown}");
        let own = CliError::NoKey("no key".to_owned()).problem();
        assert_eq!(own, json!({"type": "about:blank", "title": "No good key", "detail": "no key"}));
    }
}
