//! Idempotency: a write that its caller has named by a key is done once, however often it is sent.
//! Each repeat gets the first answer.

use std::fmt;

use super::id::{AccountId, ActorId};
use super::time::Timestamp;

/// How long an answer is kept. After that the key counts as new.
pub const KEPT_SECONDS: i64 = 24 * 60 * 60;
/// How many epochs of the caller's key before the one in force are searched for a name. A caller
/// that renews its key more often than that within [`KEPT_SECONDS`] has its earlier writes done
/// again.
pub const EPOCHS_BEFORE_MAX: usize = 8;
/// Most answers that one command deletes, so that it does not delay the writes behind it.
pub const FORGET_MAX_ROWS: u32 = 500;

/// A MAC, stored instead of a caller's idempotency key or its request. Without the caller's key
/// nobody can verify a guess with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 32]);

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(…)")
    }
}

/// The MACs of an idempotent request under one epoch of its caller's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyMacs {
    /// The MAC of the idempotency key.
    pub key: Mac,
    /// The MAC of the request's fingerprint.
    pub request: Mac,
}

/// The idempotency of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The MACs under the epoch of its caller's key that is in force.
    pub now: IdempotencyMacs,
    /// The MACs under the latest earlier epochs, at most [`EPOCHS_BEFORE_MAX`]: the record may be
    /// from before a renewal.
    pub before: Vec<IdempotencyMacs>,
}

impl Idempotency {
    /// The MACs under each of these epochs, the one in force first.
    pub fn all(&self) -> impl Iterator<Item = &IdempotencyMacs> {
        std::iter::once(&self.now).chain(&self.before)
    }
}

/// The key of an idempotency record. Idempotency keys belong to an actor: another one may use the
/// same.
pub type IdempotencyRecordKey = (AccountId, ActorId, Mac);

/// The time before which answers are no longer kept at `at`.
#[must_use]
pub fn oldest_kept(at: Timestamp) -> Timestamp {
    at.plus_seconds(-KEPT_SECONDS)
}
