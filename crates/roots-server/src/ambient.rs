//! The system's clock and UUIDs, for the ports of the domain.

use std::time::SystemTime;

use roots_domain::model::id::Uid;
use roots_domain::model::time::Timestamp;
use roots_domain::port::clock::{Clock, Uids};
use uuid::Uuid;

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that everyone else asks")]
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// `UUIDv7` from the system's clock and randomness.
pub(crate) struct TimedUids;

impl Uids for TimedUids {
    #[expect(clippy::disallowed_methods, reason = "these are the Uids that everyone else asks")]
    fn next(&self) -> Uid {
        Uid(Uuid::now_v7())
    }
}
