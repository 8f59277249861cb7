//! What is done from time to time while the server serves.

use std::time::Duration;

use roots_domain::usecase::upkeep::Upkeep;
use tokio::time::{self, MissedTickBehavior};
use tracing::warn;

/// How often what has had its time is swept up.
const PERIOD: Duration = Duration::from_mins(10);

/// Sweeps, from the start on, until it is dropped. What fails is done the next time.
pub(crate) async fn run(upkeep: Upkeep) {
    let mut ticks = time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = upkeep.forget_answers().await {
            warn!(cause = %error, "answers that are kept no longer were not all forgotten");
        }
    }
}
