//! What the bearer of an API key does about actors, keys and recovery codes, and what the bearer of
//! a recovery code does.

use crate::model::account::ActorKind;
use crate::model::api_key::{KeyEpoch, LookupHash, Wrap};
use crate::model::id::{ActorId, KeyId, RecoveryId, Uid};
use crate::model::text::Name;
use crate::model::time::Timestamp;

/// A change of actors, keys or recovery codes, or the end of the account. It costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManageAction {
    /// Reserve the next ids, to make keys for. Ids that are not used then stay unused.
    ReserveIds(Reservation),
    /// Add a member.
    AddActor(NewActor),
    /// Change an actor.
    PatchActor {
        /// The actor.
        id: ActorId,
        /// Its new name.
        name: Option<Name>,
        /// Whether its keys are valid. `false` ends its keys.
        is_active: Option<bool>,
    },
    /// Make a key.
    AddKey {
        /// The key.
        new: NewKey,
        /// Why it is made.
        origin: KeyOrigin,
    },
    /// Revoke a key, and with it unused keys that were to succeed it.
    RevokeKey(KeyId),
    /// Make a recovery code, and end all others.
    RenewCode(RenewedCode),
    /// End the caller's account for good.
    EraseAccount {
        /// The look-up hash of its recovery code, which confirms the erasure.
        code: LookupHash,
    },
}

/// An action that a recovery code allows. It costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecoverAction {
    /// Take the next id of a key and of a recovery code. An id stays unused if the recovery fails.
    ReserveIds,
    /// Make a key, the owner's only one from now on. The code that was shown ends once the key is
    /// used.
    AddKey {
        /// The key.
        new: NewKey,
        /// The recovery code that replaces the earlier ones.
        code: NewCode,
    },
}

/// The ids to reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// One for an actor.
    Actor,
    /// One for a key, for the caller's own rotation.
    OwnKey,
    /// One for a key, for any actor.
    Key,
    /// One for a key, to renew that actor's. It is refused if the actor may not be renewed once
    /// more.
    Renewal(ActorId),
    /// One for a key and one for a recovery code, for an owner that renews its account. It is
    /// refused as a renewal is.
    AccountRenewal(ActorId),
    /// One for a recovery code.
    Code,
}

impl ManageAction {
    /// Whether only the account's owner may do it.
    #[must_use]
    pub const fn is_owners(&self) -> bool {
        match self {
            Self::AddActor(_)
            | Self::PatchActor { .. }
            | Self::RenewCode(_)
            | Self::EraseAccount { .. } => true,
            Self::ReserveIds(kinds) => !matches!(kinds, Reservation::OwnKey),
            Self::AddKey { origin, .. } => !matches!(origin, KeyOrigin::Rotation { .. }),
            Self::RevokeKey(_) => false,
        }
    }

    /// Whether a browser key may not do it. It may add actors, which have no keys, rename and
    /// activate them.
    #[must_use]
    pub const fn needs_api_key(&self) -> bool {
        match self {
            Self::ReserveIds(kinds) => !matches!(kinds, Reservation::Actor),
            Self::AddActor(_) => false,
            Self::PatchActor { is_active, .. } => matches!(is_active, Some(false)),
            Self::AddKey { .. }
            | Self::RevokeKey(_)
            | Self::RenewCode(_)
            | Self::EraseAccount { .. } => true,
        }
    }

    /// Whether a suspended account may do it.
    #[must_use]
    pub const fn is_open_to_suspended(&self) -> bool {
        matches!(self, Self::RevokeKey(_))
    }
}

/// A member to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewActor {
    /// Its reserved id.
    pub id: ActorId,
    /// Its identity.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: ActorKind,
    /// The epoch of the account's key that wraps its key.
    pub account_epoch: KeyEpoch,
    /// The wraps of its key under the account's key.
    pub wraps: Vec<Wrap>,
}

/// A key to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its reserved id.
    pub id: KeyId,
    /// The actor that the key belongs to.
    pub actor: ActorId,
    /// The epoch of the account's key under which it was made, or which it opens.
    pub account_epoch: KeyEpoch,
    /// The epoch of the actor's key that it opens.
    pub epoch: KeyEpoch,
    /// The hash it is looked up by.
    pub lookup: LookupHash,
    /// Its first characters.
    pub prefix: String,
    /// Its label.
    pub label: Option<Name>,
    /// The time from which it is refused.
    pub expires_at: Option<Timestamp>,
    /// All wraps that were made with it.
    pub wraps: Vec<Wrap>,
}

/// The reason for making a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOrigin {
    /// An additional key.
    Beside,
    /// The new key replaces the key of the request on its first use. It inherits the expiry, and
    /// the label if it has none.
    Rotation {
        /// How many seconds that key then stays valid.
        grace_seconds: i64,
    },
    /// A member's key has leaked: the next epoch of its key comes into force, and its other keys
    /// end.
    Renewal,
    /// The owner's key has leaked: on the first use of the new key, the next epochs of the owner's
    /// and of the account's keys come into force, and the owner's other keys end.
    AccountRenewal {
        /// The recovery code that replaces the earlier ones.
        code: NewCode,
    },
}

/// A recovery code to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCode {
    /// Its reserved id.
    pub id: RecoveryId,
    /// The hash it is looked up by.
    pub lookup: LookupHash,
}

/// A recovery code that replaces all others at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewedCode {
    /// The code.
    pub code: NewCode,
    /// The epoch of the account's key that it opens.
    pub account_epoch: KeyEpoch,
    /// The wraps that were made with it.
    pub wraps: Vec<Wrap>,
}
