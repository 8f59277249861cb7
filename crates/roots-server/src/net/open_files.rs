//! The limit on open files.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use tracing::info;

use super::connections::{ENDING_MAX, SPARE_PLACES};
use super::listen::WAITING_MAX;

/// Open files that are not connections: the database's (up to 30 connections, or about 60 files of
/// SQLite), those of each thread, the metrics' connections, and the log.
const OTHER_FILES: usize = 128;
/// Open files to reserve beside the places for connections, including those for new connections
/// while others end.
const FILES_BESIDE: usize = OTHER_FILES + ENDING_MAX + SPARE_PLACES + WAITING_MAX;

/// The system allows too few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilesError {
    /// The limit can't be raised so far.
    #[error(
        "ROOTS_CONNECTIONS (--connections) is {connections}, which takes {needed} open files, and the \
         system allows {allowed}: raise that limit (ulimit -n, or LimitNOFILE of systemd){}",
        or_lower(*.allowed)
    )]
    TooFew {
        /// The setting.
        connections: usize,
        /// The needed number.
        needed: u64,
        /// The maximum.
        allowed: u64,
    },
    /// The limit can't be read or raised.
    #[error("the limit of open files can't be read or raised: {0}")]
    System(#[from] Errno),
}

fn or_lower(allowed: u64) -> String {
    match usize::try_from(allowed).unwrap_or(usize::MAX).checked_sub(FILES_BESIDE) {
        Some(connections @ 1..) => format!(", or set {connections} connections"),
        _ => String::new(),
    }
}

/// Makes sure that enough files may be open for that many connections and everything else: raises
/// the soft limit as far as needed, up to the hard one.
///
/// # Errors
/// The hard limit is too low.
pub(crate) fn allow(connections: usize) -> Result<(), FilesError> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if let Some(raised) = raise(connections, soft, hard)? {
        setrlimit(Resource::RLIMIT_NOFILE, raised, hard)?;
        info!(from = soft, to = raised, "the limit of open files was raised");
    }
    Ok(())
}

/// The value to raise the soft limit to, if it is too low.
fn raise(connections: usize, soft: rlim_t, hard: rlim_t) -> Result<Option<rlim_t>, FilesError> {
    let needed = (connections + FILES_BESIDE) as rlim_t;
    if needed > hard {
        return Err(FilesError::TooFew { connections, needed, allowed: hard });
    }
    Ok((needed > soft).then_some(needed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_only_as_far_as_needed() {
        let needed = 900 + FILES_BESIDE as rlim_t;
        assert_eq!(raise(900, needed, needed), Ok(None));
        assert_eq!(raise(900, needed - 1, needed), Ok(Some(needed)));
        assert_eq!(raise(900, 0, rlim_t::MAX), Ok(Some(needed)));
    }

    #[test]
    fn more_connections_than_the_hard_limit_has_files_for_are_refused() {
        let message = raise(900, 1_024, 1_024).unwrap_err().to_string();
        assert!(
            message.contains("900") && message.contains("1188") && message.contains("1024"),
            "{message}"
        );
        assert!(message.ends_with("or set 736 connections"), "{message}");
        let message = raise(1, 64, 64).unwrap_err().to_string();
        assert!(message.ends_with("of systemd)"), "{message}");
    }
}
