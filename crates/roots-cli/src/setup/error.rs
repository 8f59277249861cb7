//! Why a setup is refused.

use std::io;
use std::path::PathBuf;

/// Why nothing was set up. No file was changed, except where [`SetupError::Halfway`] names them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// The file's text can't be understood, so it can't be changed safely.
    #[error(
        "{path} can't be read as {format}: {reason}. Nothing was changed; fix the file and repeat \
         the command"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it should be.
        format: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The file has something of another kind where the entry belongs.
    #[error("{path}: {reason}. Nothing was changed; change it by hand and repeat the command")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What stands in the way.
        reason: String,
    },
    /// The file may not be written.
    #[error("{path} is read-only. Nothing was changed; make it writable and repeat the command")]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file is a symbolic link to nothing.
    #[error(
        "{path} is a link to a file that isn't there. Nothing was changed; create that file or \
         delete the link, and repeat the command"
    )]
    Dangling {
        /// The link.
        path: PathBuf,
    },
    /// A link leads out of the project, so its files could name any other file of the user.
    #[error(
        "{path} is in fact {real}, which is outside the project. Nothing was changed; replace the \
         link by a file, or set the program up for yourself with --user"
    )]
    Outside {
        /// The file, as the project names it.
        path: PathBuf,
        /// Where it is.
        real: PathBuf,
    },
    /// Another program wrote the file after its changes were shown.
    #[error("{path} was changed meanwhile; repeat the command to see the new difference")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The system refused to read or write the file.
    #[error("{path} can't be {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// `read`, `written`, …
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written after others were.
    #[error("{source}. Written before that: {}", names(.written))]
    Halfway {
        /// The files that were written.
        written: Vec<PathBuf>,
        /// Why the next one was not.
        source: Box<SetupError>,
    },
    /// The program has no file of its own for this scope.
    #[error("{0}")]
    NoSuchScope(&'static str),
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
