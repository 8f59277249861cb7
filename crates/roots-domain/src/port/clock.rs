//! Ports for time and identities, so that tests can control them.

use crate::model::id::Uid;
use crate::model::time::Timestamp;

/// The clock.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The generator of identities.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Uids: Send + Sync {
    /// A new uid (`UUIDv7`, RFC 9562). No two are equal.
    fn next(&self) -> Uid;
}
