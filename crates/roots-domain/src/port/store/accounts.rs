//! Reading accounts, their keys and their ledgers.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::account::{Account, AccountKind, Actor};
use crate::model::api_key::{ApiKey, KeyEpoch, KeyValidity, RecoveryCode, Wrap};
use crate::model::audit::AuditEntry;
use crate::model::credit::{LedgerEntry, Reason};
use crate::model::id::{AccountId, ActorId, KeyId, Uid};
use crate::model::page::{Page, PageRequest};
use crate::model::text::Name;
use crate::model::time::Timestamp;
use crate::port::crypto::{AccountIdentity, Lookup};

/// What a look-up of an API key finds.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account.
    pub account: KeyAccount,
    /// Whose key it is.
    pub actor: Actor,
    /// The key, in force or not.
    pub key: KeyValidity,
    /// The wraps that it holds: they lead to the keys in force of the actor, and, for an owner, of the
    /// account.
    pub wraps: Vec<Wrap>,
}

/// The account of a key, as far as its bearer's admission needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAccount {
    /// Its id.
    pub id: AccountId,
    /// Its identity.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub kind: AccountKind,
    /// Rises with whatever may end a key.
    pub auth_epoch: i64,
    /// The newest epoch of its key.
    pub key_epoch: KeyEpoch,
}

impl KeyAccount {
    /// The account, as keys are bound to it.
    #[must_use]
    pub const fn identity(&self) -> AccountIdentity {
        AccountIdentity { id: self.id, uid: self.uid, epoch: self.key_epoch }
    }
}

/// What a look-up of a recovery code finds.
#[derive(Debug, Clone)]
pub struct Recoverable {
    /// The account.
    pub account: Account,
    /// Its owner.
    pub owner: Actor,
    /// The code. One that has ended is not found.
    pub code: RecoveryCode,
    /// The key that it came with, if it came with one.
    pub came_with: Option<ApiKey>,
    /// The wraps that lead from the code to the keys in force of the account and of its owner.
    pub wraps: Vec<Wrap>,
}

/// Which keys are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyQuery {
    /// On whose behalf.
    pub by: Admission,
    /// Of which actor alone.
    pub actor: Option<ActorId>,
    /// Which part.
    pub page: PageRequest,
}

/// A key of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// The key.
    pub key: ApiKey,
    /// What its actor is called.
    pub actor_name: Name,
    /// Whether its actor is active.
    pub actor_is_active: bool,
}

/// What a look at some accounts found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysOver {
    /// Accounts that have keys that are over, by id.
    pub accounts: Vec<AccountId>,
    /// The last account that was looked at; `None` at the end of all.
    pub last: Option<AccountId>,
}

/// An actor as its account holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldActor {
    /// The actor.
    pub actor: Actor,
    /// The wraps by which the account's keys hold the actor's key in force.
    pub wraps: Vec<Wrap>,
}

/// Reads accounts, keys and the ledger.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AccountReader: Send + Sync {
    /// Whether there is any account yet.
    async fn has_accounts(&self) -> StoreResult<bool>;

    /// The last account id that was given, whatever became of the account; 0 if none was.
    async fn last_account(&self) -> StoreResult<AccountId>;

    /// The key found there, with all that admits its bearer. MUST be one read of one moment, and no
    /// longer for a key that was renewed often.
    async fn credentials(&self, lookup: Lookup) -> StoreResult<Option<Credentials>>;

    /// The recovery code found there, with what it opens. MUST read the account first and the wraps
    /// last.
    async fn recoverable(&self, lookup: Lookup) -> StoreResult<Option<Recoverable>>;

    /// That the caller's account has the auth epoch under which it was admitted.
    async fn check(&self, by: Admission) -> StoreResult<()>;

    /// The account as it stands.
    async fn account(&self, id: AccountId) -> StoreResult<Option<Account>>;

    /// Its actors, by id.
    async fn actors(&self, account: AccountId) -> StoreResult<Vec<Actor>>;

    /// The first of its actors, by id, at most so many.
    async fn first_actors(&self, account: AccountId, most: u32) -> StoreResult<Vec<Actor>>;

    /// A page of its actors, descending by id.
    async fn actor_page(&self, by: Admission, page: PageRequest) -> StoreResult<Page<Actor>>;

    /// A page of its keys, descending by id, those that have ended included.
    async fn keys(&self, query: &KeyQuery) -> StoreResult<Page<ListedKey>>;

    /// Looks at some thousands of accounts, by id, above that one: which of them have keys that are no
    /// longer in force at that time, and have not ended for good.
    async fn accounts_with_keys_over(
        &self,
        at: Timestamp,
        after: AccountId,
    ) -> StoreResult<KeysOver>;

    /// The ids of such keys of an account, so many at most. MUST NOT read other keys of it.
    async fn keys_over(
        &self,
        account: AccountId,
        at: Timestamp,
        most: u32,
    ) -> StoreResult<Vec<KeyId>>;

    /// Those of these actors that there are, in any order, each with the wraps by which the account's
    /// keys hold its key in force, and its key of the next epoch. There is none of that unless the epoch
    /// was set back, or the key was renewed between the two reads. MUST read the actors before the wraps.
    async fn held_actors(
        &self,
        account: AccountId,
        actors: &[ActorId],
    ) -> StoreResult<Vec<HeldActor>>;

    /// The wraps by which the account's keys hold these keys of its actors. MUST look up each by itself.
    async fn wraps_under_account(
        &self,
        account: AccountId,
        keys: &[(ActorId, KeyEpoch)],
    ) -> StoreResult<Vec<Wrap>>;

    /// The wraps by which the keys of an actor, or of the account where none is named, hold those of
    /// their own earlier epochs, from the first to the last. MUST be one statement, whose text does not
    /// depend on the range.
    async fn earlier_wraps(
        &self,
        account: AccountId,
        actor: Option<ActorId>,
        epochs: (KeyEpoch, KeyEpoch),
    ) -> StoreResult<Vec<Wrap>>;

    /// A page of its ledger, newest first. The total MUST NOT scan.
    async fn ledger(
        &self,
        by: Admission,
        reason: Option<Reason>,
        page: PageRequest,
    ) -> StoreResult<Page<LedgerEntry>>;

    /// A page of its audit log, newest first. The total MUST NOT scan.
    async fn audit_log(&self, by: Admission, page: PageRequest) -> StoreResult<Page<AuditEntry>>;
}
