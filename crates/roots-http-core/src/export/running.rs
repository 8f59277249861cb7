//! How many exports run.

use roots_domain::model::id::AccountId;

use crate::middleware::fair_permits::{FairPermits, PermitLimits};
use crate::middleware::long_requests::{LongRequestPermit, LongRequests};
use crate::problem::Problem;
use crate::shutdown::Shutdown;

/// How many exports read a chunk of rows at the same time. Exports are few, so all may wait.
const CHUNKS_READ: PermitLimits =
    PermitLimits { at_once: 2, at_once_each: 1, waiting: 1_024, waiting_each: 1_024 };

/// The exports of this process: how many run, and which reads its next chunk.
#[derive(Clone)]
pub struct RunningExports {
    running: LongRequests,
    /// Accounts take turns to read the next chunk.
    pub(super) permits: FairPermits,
    pub(super) shutdown: Shutdown,
}

impl RunningExports {
    /// None, until the server shuts down.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        let permits = FairPermits::new(CHUNKS_READ);
        Self { running: LongRequests::new("exports"), permits, shutdown }
    }

    /// Takes a place for one more export of that account. It does not wait for one.
    ///
    /// # Errors
    /// 429: the account or the process has reached its limit.
    pub fn begin(&self, account: AccountId) -> Result<LongRequestPermit, Problem> {
        self.running.begin(account)
    }
}
