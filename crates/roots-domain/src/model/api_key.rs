//! API keys, recovery codes, and the wraps that tie the key hierarchy together.
//!
//! ```text
//! API key ──HKDF──► key-encryption key ──wraps──► actor key ◄──wraps── account key
//! recovery code ──HKDF──► key-encryption key ──wraps──► account key ◄──wraps── owner's API keys
//! ```
//!
//! Losing a key loses no data: each key of the hierarchy is wrapped under several holders, and a
//! new API key is a new wrap. No text is ever rewritten for it.

use std::fmt;

use super::id::{ActorId, KeyId, RecoveryId, SignInId};
use super::page::{Listed, SortKey};
use super::text::Name;
use super::time::Timestamp;

/// Most valid keys of an actor, so that ending all of them at once stays quick.
pub const KEYS_MAX: usize = 1_000;

/// Generation of an actor's or an account's key, from 1. A renewal makes the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyEpoch(pub i32);

impl KeyEpoch {
    /// The epoch a key is born with.
    pub const FIRST: Self = Self(1);

    /// The one before.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The one after; the last of all has none.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The hash that an API key or a recovery code is looked up by: an HKDF output that opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LookupHash(pub [u8; 32]);

impl fmt::Debug for LookupHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupHash(…)")
    }
}

/// The owner of the key that a wrap holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WrapSubject {
    /// The account key of an epoch.
    Account(KeyEpoch),
    /// An actor's key of an epoch.
    Actor(ActorId, KeyEpoch),
}

/// A key with which a bearer is admitted, of either kind. Neither kind is recognized where the
/// other is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnyKeyId {
    /// An API key.
    Api(KeyId),
    /// The browser key of a sign-in.
    Browser(SignInId),
}

impl AnyKeyId {
    /// The holder of its wraps.
    #[must_use]
    pub const fn holder(self) -> WrapHolder {
        match self {
            Self::Api(id) => WrapHolder::ApiKey(id),
            Self::Browser(id) => WrapHolder::Browser(id),
        }
    }
}

impl From<KeyId> for AnyKeyId {
    fn from(id: KeyId) -> Self {
        Self::Api(id)
    }
}

impl From<SignInId> for AnyKeyId {
    fn from(id: SignInId) -> Self {
        Self::Browser(id)
    }
}

/// What opens a wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WrapHolder {
    /// An API key.
    ApiKey(KeyId),
    /// The account key of an epoch.
    Account(KeyEpoch),
    /// A browser key.
    Browser(SignInId),
    /// A recovery code.
    Recovery(RecoveryId),
    /// An actor's key of an epoch.
    Actor(ActorId, KeyEpoch),
}

/// A key encrypted under another one. It is bound to account, subject and holder: in another place
/// it does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrap {
    /// The key inside.
    pub subject: WrapSubject,
    /// What opens it.
    pub holder: WrapHolder,
    /// The bytes.
    pub sealed: super::sealed::Sealed,
}

/// An API key as it is stored. The key itself is shown once and stored nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id within the account.
    pub id: KeyId,
    /// The actor that the key belongs to.
    pub actor: ActorId,
    /// The hash it is looked up by.
    pub lookup: LookupHash,
    /// Its first characters, to tell keys apart.
    pub prefix: String,
    /// Its label.
    pub label: Option<Name>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, as of the last flush.
    pub last_used: Option<Timestamp>,
    /// The time from which it is refused.
    pub expires_at: Option<Timestamp>,
    /// Its status, apart from its expiry.
    pub status: KeyStatus,
    /// What its first use ends, if it succeeds others.
    pub succession: Option<Succession>,
    /// When it was first used. Only recorded for keys that succeed others.
    pub first_used_at: Option<Timestamp>,
}

/// The status of a key, apart from its expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// It was neither rotated nor revoked.
    Current,
    /// Another key has taken its place; it stays valid for a while.
    InGrace {
        /// The time from which it is refused.
        until: Timestamp,
    },
    /// It was revoked, or its wraps were swept. It is refused whatever the clock says, so that
    /// neither a waiting command nor one of a process whose clock is behind is admitted.
    Ended,
}

impl KeyStatus {
    /// The status after a rotation: in grace until `end` at most. An ended key stays ended.
    #[must_use]
    pub fn in_grace_until(self, end: Timestamp) -> Self {
        match self {
            Self::Current => Self::InGrace { until: end },
            Self::InGrace { until } => Self::InGrace { until: until.min(end) },
            Self::Ended => Self::Ended,
        }
    }
}

/// What the first use of a key ends. Until then it is not known whether the answer with the key has
/// arrived, so what it succeeds stays in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// Another key of its actor, which was rotated.
    Rotation {
        /// The key that ends.
        replaces: KeyId,
        /// How long that key stays in force after that, in seconds.
        grace_seconds: i64,
    },
    /// All recovery codes but the one that came with it. It was made with one of them, and the
    /// owner's other keys ended then.
    Recovery,
    /// All other keys of the owner, and all recovery codes but the one that came with it. The next
    /// epochs of the account's key and of its owner's come into force.
    Renewal,
}

impl ApiKey {
    /// The fields that decide whether it admits its bearer.
    #[must_use]
    pub const fn validity(&self) -> KeyValidity {
        KeyValidity {
            id: self.id,
            expires_at: self.expires_at,
            status: self.status,
            succession: self.succession,
            first_used_at: self.first_used_at,
        }
    }

    /// Whether it admits its bearer at that time.
    #[must_use]
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.validity().in_force(at)
    }

    /// Whether it succeeds others and was never used: its bearer may never have received it.
    #[must_use]
    pub const fn is_unseen(&self) -> bool {
        self.validity().is_unseen()
    }

    /// Whether it has ended for good and nothing depends on it. A recovery code that came with an
    /// unused key opens the epochs that the key names.
    #[must_use]
    pub const fn may_be_forgotten(&self) -> bool {
        let is_codes = matches!(self.succession, Some(Succession::Recovery | Succession::Renewal));
        self.has_ended() && !(is_codes && self.first_used_at.is_none())
    }

    /// Whether it has ended for good and opens nothing any more.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.status, KeyStatus::Ended)
    }
}

/// The fields that decide whether an API key admits its bearer. They are those of [`ApiKey`] with
/// the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyValidity {
    /// Its id within the account.
    pub id: KeyId,
    /// The time from which it is refused.
    pub expires_at: Option<Timestamp>,
    /// Its status, apart from its expiry.
    pub status: KeyStatus,
    /// What its first use ends.
    pub succession: Option<Succession>,
    /// When it was first used, if it succeeds others.
    pub first_used_at: Option<Timestamp>,
}

impl KeyValidity {
    /// Whether the key admits its bearer at that time.
    #[must_use]
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.status != KeyStatus::Ended && self.end().is_none_or(|end| at < end)
    }

    /// The time from which a key that has not ended admits nobody: the earlier of its two ends.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        let grace = match self.status {
            KeyStatus::InGrace { until } => Some(until),
            KeyStatus::Current | KeyStatus::Ended => None,
        };
        [self.expires_at, grace].into_iter().flatten().min()
    }

    /// Whether the key succeeds others and was never used: its bearer may never have received it.
    #[must_use]
    pub const fn is_unseen(&self) -> bool {
        self.succession.is_some() && self.first_used_at.is_none()
    }
}

impl Listed for ApiKey {
    fn sort_key(&self) -> SortKey {
        SortKey([0, 0, self.id.0])
    }
}

/// A recovery code as it is stored. Ended codes are deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryCode {
    /// Its id within the account.
    pub id: RecoveryId,
    /// The hash it is looked up by.
    pub lookup: LookupHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// The key that it was made and shown with, if any. The first use of that key ends all other
    /// codes. Using this code has the same effect as using that key.
    pub comes_with: Option<KeyId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_is_only_ever_cut_short() {
        let until = |second| KeyStatus::InGrace { until: Timestamp::FIRST.plus_seconds(second) };
        let in_grace = |status: KeyStatus, second| {
            status.in_grace_until(Timestamp::FIRST.plus_seconds(second))
        };
        assert_eq!(in_grace(KeyStatus::Current, 5), until(5));
        assert_eq!(in_grace(until(5), 4), until(4));
        assert_eq!(in_grace(until(5), 6), until(5));
        assert_eq!(in_grace(KeyStatus::Ended, 5), KeyStatus::Ended);
    }

    #[test]
    fn a_key_is_in_force_until_its_first_end() {
        let at = |seconds| Timestamp::FIRST.plus_seconds(seconds);
        let key = |expires_at, status| ApiKey {
            id: KeyId(1),
            actor: ActorId(1),
            lookup: LookupHash([0; 32]),
            prefix: String::new(),
            label: None,
            created_at: at(0),
            last_used: None,
            expires_at,
            status,
            succession: None,
            first_used_at: None,
        };
        let (current, grace) = (KeyStatus::Current, |end| KeyStatus::InGrace { until: at(end) });
        assert!(key(None, current).in_force(at(9)));
        assert!(key(Some(at(10)), current).in_force(at(9)));
        assert!(!key(Some(at(10)), current).in_force(at(10)));
        assert!(!key(Some(at(10)), grace(5)).in_force(at(9)));
        assert!(key(None, grace(10)).in_force(at(9)));
        let ended = key(None, KeyStatus::Ended);
        assert!(!ended.in_force(Timestamp::FIRST), "no clock is so far behind");
        assert!(ended.may_be_forgotten() && !key(None, grace(5)).may_be_forgotten());
        // Its code may be all that the owner has left.
        let with_a_code = ApiKey { succession: Some(Succession::Renewal), ..ended.clone() };
        assert!(!with_a_code.may_be_forgotten());
        assert!(ApiKey { first_used_at: Some(at(1)), ..with_a_code }.may_be_forgotten());
        let rotation = Succession::Rotation { replaces: KeyId(2), grace_seconds: 0 };
        assert!(ApiKey { succession: Some(rotation), ..ended }.may_be_forgotten());
    }
}
