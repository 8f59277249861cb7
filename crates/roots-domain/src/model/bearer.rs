//! Who asks, as it was authenticated.

use super::account::Role;
use super::id::{AccountId, ActorId, KeyId, RecoveryId};
use super::time::Timestamp;

/// The bearer of an API key, as it was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyBearer {
    /// Its account.
    pub account: AccountId,
    /// Itself.
    pub actor: ActorId,
    /// What it may do. An actor's role never changes.
    pub role: Role,
    /// The key it showed.
    pub key: KeyId,
    /// The account's auth epoch then. Where it has moved since, the key is checked again.
    pub auth_epoch: i64,
    /// From when on the key is refused, as it stood then: its expiry or the end of its grace,
    /// whichever comes first. Time alone moves no auth epoch, so each command carries it.
    pub ends_at: Option<Timestamp>,
}

impl KeyBearer {
    /// Whether its key has come to its end by `now`.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }
}

/// The bearer of a recovery code. Whether it is still good is looked at whenever it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeBearer {
    /// Its account.
    pub account: AccountId,
    /// The code.
    pub code: RecoveryId,
}
