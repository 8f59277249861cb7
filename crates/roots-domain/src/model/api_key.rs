//! API keys, recovery codes, and the wraps that tie the key hierarchy together.
//!
//! ```text
//! API key ──HKDF──► key-encryption key ──wraps──► actor key ◄──wraps── account key
//! recovery code ──HKDF──► key-encryption key ──wraps──► account key ◄──wraps── owner's API keys
//! ```
//!
//! A lost key loses nothing: each key of the hierarchy is wrapped under several holders, and a new
//! API key is a new wrap. No row of text is ever rewritten for it.

use std::fmt;

use super::id::{ActorId, KeyId, RecoveryId};
use super::page::{Listed, SortKey};
use super::text::Name;
use super::time::Timestamp;

/// Most keys of an actor that are in force: what ends all of them at once stays quick.
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

/// What an API key or a recovery code is found by: an HKDF output that opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LookupHash(pub [u8; 32]);

impl fmt::Debug for LookupHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupHash(…)")
    }
}

/// Whose key a wrap holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WrapSubject {
    /// The account key of an epoch.
    Account(KeyEpoch),
    /// An actor's key of an epoch.
    Actor(ActorId, KeyEpoch),
}

/// What opens a wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WrapHolder {
    /// An API key.
    ApiKey(KeyId),
    /// The account key of an epoch.
    Account(KeyEpoch),
    /// A recovery code.
    Recovery(RecoveryId),
    /// An actor's key of an epoch.
    Actor(ActorId, KeyEpoch),
}

/// One key encrypted under another. Bound to account, subject and holder: in another place it does
/// not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrap {
    /// The key inside.
    pub subject: WrapSubject,
    /// What opens it.
    pub holder: WrapHolder,
    /// The bytes.
    pub sealed: super::sealed::Sealed,
}

/// An API key as the store keeps it. The key itself is shown once and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id within the account.
    pub id: KeyId,
    /// Whose key it is.
    pub actor: ActorId,
    /// What it is found by.
    pub lookup: LookupHash,
    /// Its first characters, for people to tell keys apart.
    pub prefix: String,
    /// What its owner calls it.
    pub label: Option<Name>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, give or take the time between two flushes.
    pub last_used: Option<Timestamp>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// From when on it is refused though it has not expired: the end of its grace, or
    /// [`ApiKey::ENDED`].
    pub ends_at: Option<Timestamp>,
    /// What its first use puts an end to, if it succeeds others.
    pub succession: Option<Succession>,
    /// When it was first used. Noted of keys that succeed others alone.
    pub first_used_at: Option<Timestamp>,
}

/// What the first use of a key puts an end to. Until then it shows nothing but that it was made: the
/// answer that carried it may have been lost, so what it succeeds stays in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// Of another key of its actor, which its bearer rotated.
    Rotation {
        /// The key that ends.
        replaces: KeyId,
        /// How much longer that one stays in force, in seconds.
        grace_seconds: i64,
    },
    /// Of every recovery code but the one that came with it, by one of which it was made. The owner's
    /// other keys ended when it was.
    Recovery,
    /// Of every other key of the owner, and of every recovery code but the one that came with it; and the next epoch of the account's key and of its owner's comes
    /// into force.
    Renewal,
}

impl ApiKey {
    /// When a key has ended that was revoked, or whose wraps are swept: before all time, so that no
    /// command that was waiting slips in, nor one of a process whose clock is behind.
    pub const ENDED: Timestamp = Timestamp::FIRST;

    /// What decides whether it admits its bearer.
    #[must_use]
    pub const fn validity(&self) -> KeyValidity {
        KeyValidity {
            id: self.id,
            expires_at: self.expires_at,
            ends_at: self.ends_at,
            succession: self.succession,
            first_used_at: self.first_used_at,
        }
    }

    /// Whether it admits its bearer at that time.
    #[must_use]
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.validity().in_force(at)
    }

    /// Whether it succeeds others and was never used: its bearer may never have got it.
    #[must_use]
    pub const fn is_unseen(&self) -> bool {
        self.validity().is_unseen()
    }

    /// Whether it was ended for good and nothing rests on it: a recovery code that came with a key which
    /// was never used opens what that key says.
    #[must_use]
    pub const fn may_be_forgotten(&self) -> bool {
        let is_codes = matches!(self.succession, Some(Succession::Recovery | Succession::Renewal));
        self.has_ended() && !(is_codes && self.first_used_at.is_none())
    }

    /// Whether it was ended for good, and opens nothing any more.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.ends_at, Some(end) if end.micros() == Self::ENDED.micros())
    }
}

/// What decides whether an API key admits its bearer: the fields of an [`ApiKey`] of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyValidity {
    /// Its id within the account.
    pub id: KeyId,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// From when on it is refused though it has not expired.
    pub ends_at: Option<Timestamp>,
    /// What its first use puts an end to.
    pub succession: Option<Succession>,
    /// When it was first used, if it succeeds others.
    pub first_used_at: Option<Timestamp>,
}

impl KeyValidity {
    /// Whether the key admits its bearer at that time.
    #[must_use]
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.end().is_none_or(|end| at < end)
    }

    /// From when on the key admits nobody: the first of its ends.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        [self.expires_at, self.ends_at].into_iter().flatten().min()
    }

    /// Whether the key succeeds others and was never used: its bearer may never have got it.
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

/// A recovery code as the store keeps it. One that has ended is kept no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryCode {
    /// Its id within the account.
    pub id: RecoveryId,
    /// What it is found by.
    pub lookup: LookupHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// The key that it was made and shown with, if there was one. The first use of that key ends
    /// every other code; to use this code tells as much as to use that key.
    pub comes_with: Option<KeyId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_force_until_its_first_end_and_deletable_once_ended() {
        let at = |seconds| Timestamp::FIRST.plus_seconds(seconds);
        let key = |expires_at, ends_at| ApiKey {
            id: KeyId(1),
            actor: ActorId(1),
            lookup: LookupHash([0; 32]),
            prefix: String::new(),
            label: None,
            created_at: at(0),
            last_used: None,
            expires_at,
            ends_at,
            succession: None,
            first_used_at: None,
        };
        assert!(key(None, None).in_force(at(9)));
        assert!(key(Some(at(10)), None).in_force(at(9)));
        assert!(!key(Some(at(10)), None).in_force(at(10)));
        assert!(!key(Some(at(10)), Some(at(5))).in_force(at(9)));
        assert!(key(None, Some(at(10))).in_force(at(9)));
        let ended = key(None, Some(ApiKey::ENDED));
        assert!(ended.may_be_forgotten() && !key(None, Some(at(5))).may_be_forgotten());
        // Its code may be all that the owner has.
        let with_a_code = ApiKey { succession: Some(Succession::Renewal), ..ended.clone() };
        assert!(!with_a_code.may_be_forgotten());
        assert!(ApiKey { first_used_at: Some(at(1)), ..with_a_code }.may_be_forgotten());
        let rotation = Succession::Rotation { replaces: KeyId(2), grace_seconds: 0 };
        assert!(ApiKey { succession: Some(rotation), ..ended }.may_be_forgotten());
    }
}
