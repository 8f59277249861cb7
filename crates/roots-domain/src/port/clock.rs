//! Time and identities, so that tests can set them.

use crate::model::id::Uid;
use crate::model::time::Timestamp;

/// Tells the time.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Makes identities.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Uids: Send + Sync {
    /// A new one (`UUIDv7`, RFC 9562). No two are the same.
    fn next(&self) -> Uid;
}
