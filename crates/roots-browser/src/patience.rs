//! Waiting until something can be observed.

use std::time::{Duration, Instant};

/// How long to wait for an event before the test fails. A busy machine takes less.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Calls `look` every 20 ms until it returns a value.
///
/// # Panics
///
/// Panics after two minutes.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
