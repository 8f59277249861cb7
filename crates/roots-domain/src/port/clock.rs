//! Ports for time and identities, so that tests can control them.

use crate::model::id::Uid;
use crate::model::time::Timestamp;

/// The clock.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// The time by which silence and leases are judged, so that all processes judge alike: that of
    /// the database, where processes share one, and else the current time.
    fn shared_now(&self, database: Option<Timestamp>) -> Timestamp {
        database.unwrap_or_else(|| self.now())
    }
}

/// The generator of identities.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Uids: Send + Sync {
    /// A new uid (`UUIDv7`, RFC 9562). No two are equal.
    fn next(&self) -> Uid;
}
