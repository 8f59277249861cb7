//! Commands of the program itself.

use crate::model::account::{AccountKind, ActorKind, Role};
use crate::model::api_key::{AnyKeyId, LookupHash, Wrap};
use crate::model::id::{AccountId, ActorId, KeyId, RecoveryId, SessionId, Uid};
use crate::model::text::Name;
use crate::model::time::Timestamp;
use crate::model::usage::Calls;

/// A write of the program itself. It costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemAction {
    /// Reserve the next account id. Ids of accounts that are not founded then stay unused.
    ReserveAccount,
    /// Set the id of the installation, unless it has one, before its first account is founded.
    NameInstallation(Uid),
    /// Make an account, its owner, its first key and its recovery code.
    FoundAccount(NewAccount),
    /// Record the first use of a key, which ends the keys and codes that it replaces.
    UseKey {
        /// Its account.
        account: AccountId,
        /// The actor that the key belongs to.
        actor: ActorId,
        /// The key.
        key: KeyId,
    },
    /// Record when keys and sign-ins of an account were used, and end those that are no longer in
    /// force.
    MaintainKeys {
        /// The account.
        account: AccountId,
        /// When each was last used.
        used: Vec<(AnyKeyId, Timestamp)>,
        /// Keys that may have expired, or whose grace may have ended, and sign-ins whose time may
        /// be over.
        over: Vec<AnyKeyId>,
    },
    /// Unlink some of the rows that are still linked to a deleted session.
    UnlinkSession {
        /// The account.
        account: AccountId,
        /// The session, which is deleted.
        session: SessionId,
        /// How many rows at most.
        rows: u32,
    },
    /// Delete some of the remaining rows of an erased account.
    SweepErased(AccountId),
    /// Add to the counts of accounts' calls. Counts of accounts that do not exist are dropped.
    CountCalls(Vec<(Calls, i64)>),
    /// End those of these sessions that are active and silent.
    EndIdleSessions {
        /// The account.
        account: AccountId,
        /// The sessions, at most
        /// [`IDLE_ENDED_AT_ONCE_MAX`](crate::model::session::IDLE_ENDED_AT_ONCE_MAX).
        sessions: Vec<SessionId>,
        /// How long a session may be silent.
        idle_seconds: i64,
    },
    /// Delete some of an account's idempotency records.
    ForgetIdempotencyRecords {
        /// The account.
        account: AccountId,
        /// Those from before this time.
        before: Timestamp,
    },
}

impl SystemAction {
    /// The account that it writes in; `None` if it writes in none, or in many.
    #[must_use]
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::ReserveAccount | Self::NameInstallation(_) | Self::CountCalls(_) => None,
            Self::FoundAccount(new) => Some(new.id),
            Self::UseKey { account, .. }
            | Self::MaintainKeys { account, .. }
            | Self::SweepErased(account)
            | Self::UnlinkSession { account, .. }
            | Self::EndIdleSessions { account, .. }
            | Self::ForgetIdempotencyRecords { account, .. } => Some(*account),
        }
    }
}

/// An account to found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its id: a reserved one, or that of the very first account. After an id was assigned, even to
    /// an account that was erased since, only reserved ids are accepted.
    pub id: AccountId,
    /// Its identity.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: AccountKind,
    /// Its owner's identity.
    pub owner_uid: Uid,
    /// Its owner's name.
    pub owner_name: Name,
    /// Its owner's kind.
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
    /// The id of the first account of a database that has not assigned any yet.
    pub const FIRST: AccountId = AccountId(1);
}
