//! Why the program failed.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use roots_domain::port::store::StoreError;
use roots_domain::service::WriteError;
use roots_persistence::{BackupError, DatabaseUrl, DistributeError, OpenError};

use crate::cli::settings::InvalidSetting;
use crate::first_start::FirstStartError;
use crate::log::LogError;
use crate::metrics::MetricsError;
use crate::net::open_files::FilesError;

/// Why the program failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    /// A setting can't be used.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The log can't be started.
    #[error("the log can't be started: {0}")]
    Log(#[from] LogError),
    /// The system can't start threads or handle signals.
    #[error("the operating system does not let the program start: {0}")]
    System(#[source] io::Error),
    /// The address can't be served on.
    #[error("{setting} names {address}, which can't be served on: {error}")]
    Bind {
        /// The setting.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// The system allows too few open files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The database can't be opened or migrated.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no operator account.
    #[error(transparent)]
    FirstStart(#[from] FirstStartError),
    /// The metrics can't be started.
    #[error("the metrics can't be started: {0}")]
    Metrics(#[from] MetricsError),
    /// A database error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The write was refused.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// There is nothing to copy.
    #[error("the database {0} holds no account, so there is nothing to copy")]
    NothingToCopy(DatabaseUrl),
    /// The copy was not made.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The answer could not be printed.
    #[error("the answer can't be printed: {0}")]
    Print(#[source] io::Error),
    /// The output can't be serialized.
    #[error("the output can't be serialized: {0}")]
    Serialize(#[source] serde_json::Error),
    /// The accounting is wrong; the mismatches were printed.
    #[error("the accounting does not add up")]
    DoesNotAddUp,
    /// The tables were not spread, or not checked.
    #[error(transparent)]
    Distribute(#[from] DistributeError),
    /// Something that the cluster lacks; it was printed.
    #[error("the tables are not spread as they should be")]
    NotSpread,
    /// The database did not close in time.
    #[error("the database did not close in time; every answered write is safe")]
    NotDrained,
}

impl ProgramError {
    /// The error as one sentence on one line.
    pub(crate) fn sentence(&self) -> String {
        let message = self.to_string().replace(['\n', '\r'], " ");
        let mut chars = message.trim_end_matches('.').chars();
        let first = chars.next().map(char::to_uppercase);
        first.into_iter().flatten().chain(chars).chain(['.']).collect()
    }

    /// 2 for invalid settings, 1 for everything else.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Setting(_) | Self::Files(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_command_is_printed_as_one_line() {
        let error = StoreError::Unavailable("gone.\nReally".to_owned());
        assert_eq!(
            ProgramError::from(error).sentence(),
            "The database is unavailable: gone. Really."
        );
        let error = io::Error::other("émile.");
        assert_eq!(ProgramError::Print(error).sentence(), "The answer can't be printed: émile.");
    }
}
