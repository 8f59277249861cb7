//! Idempotency: a write that its caller has named by a key is done once, however often it is asked
//! for. Whoever asks again is answered what was answered first.

use std::fmt;

use super::id::{AccountId, ActorId};
use super::time::Timestamp;

/// How long an answer is kept. A key that comes back later is as good as new.
pub const KEPT_SECONDS: i64 = 24 * 60 * 60;
/// In how many epochs of its caller's key before the one in force a name is looked up. Who renews a key
/// more often than that within [`KEPT_SECONDS`] has the answers from before done anew.
pub const EPOCHS_BEFORE_MAX: usize = 8;
/// Most answers that one command forgets, so that none holds up the writes behind it.
pub const FORGET_MAX_ROWS: u32 = 500;

/// What stands for a caller's key, or for its request, in the store. It does not confirm a guess.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 32]);

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(…)")
    }
}

/// An idempotent request, as one epoch of its caller's key has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyMacs {
    /// What stands for the name.
    pub key: Mac,
    /// What stands for all that makes the request this one and no other.
    pub request: Mac,
}

/// What makes a command safe to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The request, in the epoch of its caller's key that is in force.
    pub now: IdempotencyMacs,
    /// The same in the latest epochs before, [`EPOCHS_BEFORE_MAX`] at most: it may have been kept
    /// before a renewal.
    pub before: Vec<IdempotencyMacs>,
}

impl Idempotency {
    /// The request in each of these epochs, the one in force first.
    pub fn all(&self) -> impl Iterator<Item = &IdempotencyMacs> {
        std::iter::once(&self.now).chain(&self.before)
    }
}

/// What an idempotency record is found by. A key is its caller's own: another actor may use the same.
pub type IdempotencyRecordKey = (AccountId, ActorId, Mac);

/// Answers from before then are not kept at `at`.
#[must_use]
pub fn oldest_kept(at: Timestamp) -> Timestamp {
    at.plus_seconds(-KEPT_SECONDS)
}
