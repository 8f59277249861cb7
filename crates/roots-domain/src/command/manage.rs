//! What the bearer of an API key does about actors, keys and recovery codes, and what the bearer of a
//! recovery code does.

use crate::model::account::ActorKind;
use crate::model::api_key::{KeyEpoch, LookupHash, Wrap};
use crate::model::id::{ActorId, KeyId, RecoveryId, Uid};
use crate::model::text::Name;
use crate::model::time::Timestamp;

/// A change of actors, keys or recovery codes, or the end of the account. It costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManageAction {
    /// Take the next ids, to make keys for. Those of which nothing comes stay unused.
    ReserveIds(Reservation),
    /// Make an actor, a member.
    AddActor(NewActor),
    /// Change an actor.
    PatchActor {
        /// Which.
        id: ActorId,
        /// Its new name.
        name: Option<Name>,
        /// Whether its keys are good from now on. Those that it has end with `false`.
        is_active: Option<bool>,
    },
    /// Make a key.
    AddKey {
        /// The key.
        new: NewKey,
        /// What it is made for.
        origin: KeyOrigin,
    },
    /// End a key, and with it those that were to succeed it and were never used.
    RevokeKey(KeyId),
    /// Make a recovery code, and end all others.
    RenewCode(RenewedCode),
    /// End the caller's account for good.
    EraseAccount {
        /// What its recovery code is found by, which confirms it.
        code: LookupHash,
    },
}

/// What a recovery code is good for. It costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecoverAction {
    /// Take the next id of a key and of a recovery code. Those of which nothing comes stay unused.
    ReserveIds,
    /// Make a key, the owner's only one from now on. The code that was shown ends once the key is
    /// used.
    AddKey {
        /// The key.
        new: NewKey,
        /// The recovery code that takes the place of those before.
        code: NewCode,
    },
}

/// Which ids are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// One of an actor.
    Actor,
    /// One of a key, for the caller's own rotation.
    OwnKey,
    /// One of a key, for any actor.
    Key,
    /// One of a key, to renew that actor's. It is refused where the actor may not be renewed once more.
    Renewal(ActorId),
    /// One of a key and one of a recovery code, for an owner that renews its account. It is refused as a
    /// renewal is.
    AccountRenewal(ActorId),
    /// One of a recovery code.
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

    /// Whether a suspended account may do it.
    #[must_use]
    pub const fn is_open_to_suspended(&self) -> bool {
        matches!(self, Self::RevokeKey(_))
    }
}

/// An actor to make, a member of its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewActor {
    /// Its id, which was reserved.
    pub id: ActorId,
    /// Its identity.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: ActorKind,
    /// The epoch of the account's key that holds its key.
    pub account_epoch: KeyEpoch,
    /// The wraps by which the account holds its key.
    pub wraps: Vec<Wrap>,
}

/// A key to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its id, which was reserved.
    pub id: KeyId,
    /// The actor that the key belongs to.
    pub actor: ActorId,
    /// The epoch of the account's key that it was made under, or that it opens.
    pub account_epoch: KeyEpoch,
    /// The epoch of the actor's key that it opens.
    pub epoch: KeyEpoch,
    /// What it is found by.
    pub lookup: LookupHash,
    /// Its first characters.
    pub prefix: String,
    /// What its owner calls it.
    pub label: Option<Name>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Every wrap that was made with it.
    pub wraps: Vec<Wrap>,
}

/// What a key is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOrigin {
    /// To have one more.
    Beside,
    /// To take the place of the key that asks for it, once it is used. It inherits the expiry, and
    /// the label where it brings none.
    Rotation {
        /// How much longer that one then stays in force, in seconds.
        grace_seconds: i64,
    },
    /// A member's key has leaked: the next epoch of its key comes into force, and its other keys end.
    Renewal,
    /// The owner's key has leaked: the same for it and for the account, once the new key is used.
    AccountRenewal {
        /// The recovery code that takes the place of those before.
        code: NewCode,
    },
}

/// A recovery code to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCode {
    /// Its id, which was reserved.
    pub id: RecoveryId,
    /// What it is found by.
    pub lookup: LookupHash,
}

/// A recovery code that takes the place of all others at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewedCode {
    /// The code.
    pub code: NewCode,
    /// The epoch of the account's key that it opens.
    pub account_epoch: KeyEpoch,
    /// The wraps that were made with it.
    pub wraps: Vec<Wrap>,
}
