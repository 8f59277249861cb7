//! Reading accounts, their keys and their ledgers.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use super::work::WorkQuery;
use crate::model::account::{Account, AccountKind, Actor};
use crate::model::api_key::{AnyKeyId, ApiKey, KeyEpoch, KeyValidity, RecoveryCode, Wrap};
use crate::model::audit::AuditEntry;
use crate::model::credit::{LedgerEntry, Reason};
use crate::model::id::{AccountId, ActorId, SignInId, Uid};
use crate::model::page::{Page, PageRequest};
use crate::model::sign_in::SignIn;
use crate::model::text::Name;
use crate::model::time::Timestamp;
use crate::model::work::CreditStats;
use crate::model::zone::Zone;
use crate::port::crypto::{AccountIdentity, Lookup};

/// The result of looking up an API key, or the browser key of a sign-in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account.
    pub account: KeyAccount,
    /// The actor that the key belongs to.
    pub actor: Actor,
    /// The API key, in force or not. Of a sign-in it is the one that opened it.
    pub key: KeyValidity,
    /// The sign-in whose browser key was looked up, in force or not.
    pub sign_in: Option<SignIn>,
    /// The wraps under the key that was looked up: they lead to the keys in force of the actor and,
    /// for an owner, of the account.
    pub wraps: Vec<Wrap>,
}

impl Credentials {
    /// The key that was looked up.
    #[must_use]
    pub fn used_key(&self) -> AnyKeyId {
        self.sign_in.as_ref().map_or(AnyKeyId::Api(self.key.id), SignIn::key)
    }
}

/// The data of a key's account that is needed to admit the bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAccount {
    /// Its id.
    pub id: AccountId,
    /// Its identity.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: AccountKind,
    /// Rises with every write that may end a key.
    pub auth_epoch: i64,
    /// The newest epoch of its key.
    pub key_epoch: KeyEpoch,
}

impl KeyAccount {
    /// The identity of the account to which keys are bound.
    #[must_use]
    pub const fn identity(&self) -> AccountIdentity {
        AccountIdentity { id: self.id, uid: self.uid, epoch: self.key_epoch }
    }
}

/// The result of looking up a recovery code.
#[derive(Debug, Clone)]
pub struct Recoverable {
    /// The account.
    pub account: Account,
    /// Its owner.
    pub owner: Actor,
    /// The code. Ended codes are not found.
    pub code: RecoveryCode,
    /// The key that it came with, if any.
    pub came_with: Option<ApiKey>,
    /// The wraps that lead from the code to the keys in force of the account and of its owner.
    pub wraps: Vec<Wrap>,
}

/// A query for keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyQuery {
    /// The admission of the caller.
    pub by: Admission,
    /// Only keys of this actor.
    pub actor: Option<ActorId>,
    /// The page.
    pub page: PageRequest,
}

/// A key of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// The key.
    pub key: ApiKey,
    /// The name of its actor.
    pub actor_name: Name,
    /// Whether its actor is active.
    pub actor_is_active: bool,
}

/// A query for sign-ins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInQuery {
    /// The admission of the caller.
    pub by: Admission,
    /// Only sign-ins of this actor.
    pub actor: Option<ActorId>,
    /// Only sign-ins that began before this one.
    pub before: Option<SignInId>,
    /// The most to read.
    pub most: u32,
}

/// A sign-in of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSignIn {
    /// The sign-in.
    pub sign_in: SignIn,
    /// The key that opened it.
    pub opener: ApiKey,
    /// The name of its actor.
    pub actor_name: Name,
}

/// The result of looking at some accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysOver {
    /// Accounts with expired keys or sign-ins, by id.
    pub accounts: Vec<AccountId>,
    /// The last account that was looked at; `None` after all accounts.
    pub last: Option<AccountId>,
}

/// An actor and its wraps under the account's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldActor {
    /// The actor.
    pub actor: Actor,
    /// The wraps of the actor's key in force under the account's keys.
    pub wraps: Vec<Wrap>,
}

/// Reads accounts, keys and the ledger.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AccountReader: Send + Sync {
    /// Whether there is any account yet.
    async fn has_accounts(&self) -> StoreResult<bool>;

    /// The last account id that was assigned, even if the account was erased since.
    async fn last_account(&self) -> StoreResult<Option<AccountId>>;

    /// The API key or browser key with that look-up hash, whichever the look-up is of, with
    /// everything needed to admit its bearer. MUST be one consistent read whose size does not
    /// depend on the number of renewals.
    async fn credentials(&self, lookup: Lookup) -> StoreResult<Option<Credentials>>;

    /// The recovery code with that look-up hash, with what it opens. MUST read the account first
    /// and the wraps last.
    async fn recoverable(&self, lookup: Lookup) -> StoreResult<Option<Recoverable>>;

    /// Checks that the caller's account still has the auth epoch under which it was admitted.
    async fn check(&self, by: Admission) -> StoreResult<()>;

    /// The account in its current state.
    async fn account(&self, id: AccountId) -> StoreResult<Option<Account>>;

    /// Its actors, by id.
    async fn actors(&self, account: AccountId) -> StoreResult<Vec<Actor>>;

    /// The first of its actors, by id, at most `most`.
    async fn first_actors(&self, account: AccountId, most: u32) -> StoreResult<Vec<Actor>>;

    /// Those of its actors that have these ids, in any order. MUST NOT read others.
    async fn actors_of_ids(&self, account: AccountId, ids: &[ActorId]) -> StoreResult<Vec<Actor>>;

    /// A page of its actors, descending by id.
    async fn actor_page(&self, by: Admission, page: PageRequest) -> StoreResult<Page<Actor>>;

    /// A page of its keys, descending by id, ended ones included.
    async fn keys(&self, query: &KeyQuery) -> StoreResult<Page<ListedKey>>;

    /// Sign-ins that have not ended with their openers, each with its opener, the latest first. The
    /// time of some may be over.
    async fn sign_ins(&self, query: &SignInQuery) -> StoreResult<Vec<ListedSignIn>>;

    /// Looks at some thousands of accounts, by id: those after `after`, or the first ones. Returns
    /// those with keys that are no longer in force at that time and have not ended for good, and
    /// those with sign-ins whose time is over.
    async fn accounts_with_keys_over(
        &self,
        at: Timestamp,
        after: Option<AccountId>,
    ) -> StoreResult<KeysOver>;

    /// The ids of such keys and sign-ins of an account, at most `most`. MUST NOT read others.
    async fn keys_over(
        &self,
        account: AccountId,
        at: Timestamp,
        most: u32,
    ) -> StoreResult<Vec<AnyKeyId>>;

    /// The actors among these that exist, in any order, each with the wraps of its key in force,
    /// and of its key of the next epoch, under the account's keys. The latter exists only if the
    /// epoch was set back, or the key was renewed between the two reads. MUST read the actors
    /// before the wraps.
    async fn held_actors(
        &self,
        account: AccountId,
        actors: &[ActorId],
    ) -> StoreResult<Vec<HeldActor>>;

    /// The wraps of these actors' keys under the account's keys. MUST look up each one separately.
    async fn wraps_under_account(
        &self,
        account: AccountId,
        keys: &[(ActorId, KeyEpoch)],
    ) -> StoreResult<Vec<Wrap>>;

    /// The wraps of earlier keys of an actor under its own later keys, or those of the account if
    /// no actor is named, from the first to the last epoch. MUST be one statement, whose text does
    /// not depend on the range.
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

    /// Credits spent and granted in a window, by actor and by the days of a zone, and the balance,
    /// all of one snapshot. MUST read no more than the stored counts of quarter hours since the
    /// window begins.
    async fn credit_stats(&self, query: &WorkQuery, zone: &Zone) -> StoreResult<CreditStats>;

    /// A page of its audit log, newest first. The total MUST NOT scan.
    async fn audit_log(&self, by: Admission, page: PageRequest) -> StoreResult<Page<AuditEntry>>;
}
