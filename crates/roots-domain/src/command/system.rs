//! What the program does by itself.

use crate::model::account::{AccountKind, ActorKind, Role};
use crate::model::api_key::{LookupHash, Wrap};
use crate::model::id::{AccountId, ActorId, KeyId, RecoveryId, Uid};
use crate::model::text::Name;

/// An account to found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its id: a reserved one, or that of the very first account. Once an id was given, even to an
    /// account that was erased since, the first one is not to be had without it.
    pub id: AccountId,
    /// Its identity.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub kind: AccountKind,
    /// Its owner's identity.
    pub owner_uid: Uid,
    /// Its owner's name.
    pub owner_name: Name,
    /// What its owner is.
    pub owner_kind: ActorKind,
    /// The first key's look-up hash.
    pub key_lookup: LookupHash,
    /// The first key's first characters.
    pub key_prefix: String,
    /// The recovery code's look-up hash.
    pub code_lookup: LookupHash,
    /// Every wrap of the new hierarchy.
    pub wraps: Vec<Wrap>,
    /// The credits it starts with.
    pub credits: i64,
    /// Whether it must be the database's only account.
    pub must_be_first: bool,
}

impl NewAccount {
    /// The id of a new account's owner.
    pub const OWNER: ActorId = ActorId(1);
    /// The role of a new account's owner.
    pub const OWNER_ROLE: Role = Role::Owner;
    /// The id of a new account's first key.
    pub const KEY: KeyId = KeyId(1);
    /// The id of a new account's recovery code.
    pub const CODE: RecoveryId = RecoveryId(1);
    /// The id of the first account of a database that has given none yet.
    pub const FIRST: AccountId = AccountId(1);
}
