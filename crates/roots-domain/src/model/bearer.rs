//! The authenticated caller.

use super::account::Role;
use super::api_key::AnyKeyId;
use super::id::{AccountId, ActorId, KeyId, RecoveryId, SignInId};
use super::time::Timestamp;

/// The authenticated bearer of an API key, or of a browser key that an API key has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyBearer {
    /// Its account.
    pub account: AccountId,
    /// The actor.
    pub actor: ActorId,
    /// The actor's role, which never changes.
    pub role: Role,
    /// The API key that it used, or that opened its sign-in.
    pub key: KeyId,
    /// The sign-in, for the bearer of a browser key. It does not manage keys.
    pub sign_in: Option<SignInId>,
    /// The account's auth epoch at that time. If it has moved since, the key is checked again.
    pub auth_epoch: i64,
    /// The time from which the key is refused, as known then: its expiry or the end of its grace,
    /// whichever comes first. Time passing does not move the auth epoch, so each command carries
    /// it.
    pub ends_at: Option<Timestamp>,
}

impl KeyBearer {
    /// The key that it used.
    #[must_use]
    pub fn used_key(&self) -> AnyKeyId {
        self.sign_in.map_or(AnyKeyId::Api(self.key), AnyKeyId::Browser)
    }

    /// Whether its key has ended by `now`.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }
}

/// The bearer of a recovery code. Each command checks whether the code is still valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeBearer {
    /// Its account.
    pub account: AccountId,
    /// The code.
    pub code: RecoveryId,
}
