//! Whether the database answers.

use std::sync::Arc;
use std::time::Duration;

use roots_domain::port::store::{Readiness, StoreError};
use roots_http_core::problem::Problem;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::Instrument;

/// Longest time that the database may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum age of a ping's result.
const PING_MAX_AGE: Duration = Duration::from_secs(1);

/// Pings the database at most once a second, and once at a time, for any number of callers.
#[derive(Clone)]
pub(crate) struct Pinger {
    readiness: Arc<dyn Readiness>,
    latest: Arc<Mutex<Option<Pinged>>>,
}

/// The time and the result of a ping.
type Pinged = (Instant, Result<Vec<String>, Problem>);

impl Pinger {
    pub(crate) fn new(readiness: Arc<dyn Readiness>) -> Self {
        Self { readiness, latest: Arc::default() }
    }

    /// The result of a ping, at most [`PING_MAX_AGE`] old: the names of the database servers that
    /// are away although the database serves others' accounts.
    pub(crate) async fn latest(&self) -> Result<Vec<String>, Problem> {
        let pinger = self.clone();
        // The ping goes on if a caller hangs up, for the others that wait for it.
        let asked = async move {
            let mut latest = pinger.latest.lock().await;
            if let Some((at, result)) = &*latest
                && at.elapsed() < PING_MAX_AGE
            {
                return result.clone();
            }
            let answered = tokio::time::timeout(PING_TIMEOUT, pinger.readiness.ping()).await;
            let silent = || Err(StoreError::Unavailable("it does not answer a ping".into()));
            let result = answered.unwrap_or_else(|_| silent()).map_err(Problem::from);
            *latest = Some((Instant::now(), result.clone()));
            result
        };
        let asked = tokio::spawn(asked.in_current_span());
        asked.await.unwrap_or_else(|_| Err(Problem::panicked()))
    }
}
