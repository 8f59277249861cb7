//! Actors and their keys.
//!
//! A key's wraps are bound to its id. So a first command reserves an id, then the key is made, and
//! a second command puts it in force. If the process stops in between, only an id is lost.

use std::sync::Arc;

use secrecy::SecretString;

use super::access::{ActorScope, Caller};
use super::keyrings::Keyrings;
use super::outcome::{ReadError, WriteError, Written};
use super::write::{IdempotentRequest, idempotency};
use crate::command::{
    Action, AppliedRow, Command, Conditions, KeyOrigin, ManageAction, NewActor, NewCode, NewKey,
    Refusal, Reservation,
};
use crate::model::Invalid;
use crate::model::account::{Actor, ActorKind, LastIds, Role};
use crate::model::api_key::{ApiKey, KeyEpoch};
use crate::model::id::{ActorId, KeyId, RecoveryId};
use crate::model::idempotency::Idempotency;
use crate::model::page::{Page, PageRequest};
use crate::model::text::Name;
use crate::model::time::Timestamp;
use crate::port::clock::{Clock, Uids};
use crate::port::crypto::{AccountRenewal, ActorIdentity, Keyring, MintedKey, Renewal};
use crate::port::store::{AccountReader, CommandStore, KeyQuery, ListedKey};

/// Longest grace of a rotated key, in seconds: a week.
pub const GRACE_MAX_SECONDS: i64 = 604_800;

/// Actors and keys.
#[derive(Clone)]
pub struct Keys {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Reads.
    pub reader: Arc<dyn AccountReader>,
    /// Tells the time of a write.
    pub clock: Arc<dyn Clock>,
    /// Makes the uids of new actors.
    pub uids: Arc<dyn Uids>,
}

/// A key that the owner requests.
#[derive(Debug, Clone)]
pub struct KeyDraft {
    /// The actor.
    pub actor: ActorId,
    /// Its label.
    pub label: Option<Name>,
    /// The time from which it is refused.
    pub expires_at: Option<Timestamp>,
    /// Whether the actor's key is renewed, after a leak.
    pub renew: bool,
}

/// How many seconds a rotated key stays valid after the first use of the new one: 0 to
/// [`GRACE_MAX_SECONDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grace(i64);

impl Grace {
    /// A grace of `seconds`.
    ///
    /// # Errors
    /// Says the range.
    pub fn parse(seconds: i64) -> Result<Self, Invalid> {
        if (0..=GRACE_MAX_SECONDS).contains(&seconds) {
            return Ok(Self(seconds));
        }
        Err(Invalid::new("must be 0 to 604800"))
    }
}

/// A new key, with the secrets that are shown only this once.
#[derive(Debug)]
pub struct ShownKey {
    /// The key as it is stored.
    pub key: ApiKey,
    /// The key itself.
    pub api_key: SecretString,
    /// The recovery code that came with it.
    pub recovery_code: Option<SecretString>,
}

/// A key of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// The key and its actor.
    pub listed: ListedKey,
    /// Whether it admits its bearer now.
    pub is_active: bool,
}

/// A new key, before it is stored.
struct Made {
    account_epoch: KeyEpoch,
    epoch: KeyEpoch,
    key: MintedKey,
    origin: KeyOrigin,
    recovery_code: Option<SecretString>,
}

impl Keys {
    /// A page of the actors of the caller's account, latest first.
    ///
    /// # Errors
    /// A database error.
    pub async fn actors(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Page<Actor>, ReadError> {
        Ok(self.reader.actor_page(caller.admission(), page).await?)
    }

    /// An actor of the caller's account.
    ///
    /// # Errors
    /// A database error.
    pub async fn actor(&self, caller: &Caller, id: ActorId) -> Result<Option<Actor>, ReadError> {
        self.reader.check(caller.admission()).await?;
        let found = self.reader.held_actors(caller.account.id, &[id]).await?;
        Ok(found.into_iter().next().map(|held| held.actor))
    }

    /// Adds a member. It has no key yet.
    ///
    /// # Errors
    /// The refusal, a database error, or no randomness.
    pub async fn add_actor(
        &self,
        caller: &Caller,
        name: Name,
        kind: ActorKind,
    ) -> Result<Written<Actor>, WriteError> {
        let taken = self.reserve(caller, Reservation::Actor).await?;
        let (id, uid) = (ActorId(taken.actor), self.uids.next());
        let wraps = caller.keys.add_actor(ActorIdentity { id, uid, epoch: KeyEpoch::FIRST })?;
        let account_epoch = caller.account.epoch;
        let new = NewActor { id, uid, name, kind, account_epoch, wraps };
        self.manage_actor(caller, ManageAction::AddActor(new)).await
    }

    /// Changes an actor. Its keys end when it is deactivated; its data stays.
    ///
    /// # Errors
    /// [`WriteError::EmptyPatch`], the refusal, or a database error.
    pub async fn patch_actor(
        &self,
        caller: &Caller,
        id: ActorId,
        name: Option<Name>,
        is_active: Option<bool>,
    ) -> Result<Written<Actor>, WriteError> {
        if name.is_none() && is_active.is_none() {
            return Err(WriteError::EmptyPatch);
        }
        self.manage_actor(caller, ManageAction::PatchActor { id, name, is_active }).await
    }

    /// A page of the keys that the caller may see, latest first: all keys of the account for the
    /// owner, its own for a member.
    ///
    /// # Errors
    /// A database error.
    pub async fn keys(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Page<KeyEntry>, ReadError> {
        let actor = match caller.actor.role {
            Role::Owner => None,
            Role::Member => Some(caller.actor.id),
        };
        self.listed(KeyQuery { by: caller.admission(), actor, page }).await
    }

    /// The same of one actor, which the caller must reach.
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`], or a database error.
    pub async fn keys_of_actor(
        &self,
        caller: &Caller,
        actor: ActorId,
        page: PageRequest,
    ) -> Result<Page<KeyEntry>, ReadError> {
        let actor = caller.choose(ActorScope::Of(actor))?;
        self.listed(KeyQuery { by: caller.admission(), actor, page }).await
    }

    async fn listed(&self, query: KeyQuery) -> Result<Page<KeyEntry>, ReadError> {
        let now = self.clock.now();
        let entry = |listed: ListedKey| {
            let is_active = listed.actor_is_active && listed.key.in_force(now);
            Ok(KeyEntry { listed, is_active })
        };
        self.reader.keys(&query).await?.try_map(entry)
    }

    /// Makes a key for an actor of the owner's account, or renews its key after a leak: a member's
    /// other keys end at once, the owner's once the new one is used. A repeat with the same
    /// idempotency key is [`Refusal::ShownOnce`].
    ///
    /// # Errors
    /// The refusal, a database error, or no randomness.
    pub async fn add(
        &self,
        caller: &Caller,
        draft: KeyDraft,
        idempotent: Option<IdempotentRequest>,
    ) -> Result<Written<ShownKey>, WriteError> {
        let idempotency = idempotency(&*self.reader, caller, idempotent).await?;
        let actor = draft.actor;
        let of_owner = actor == caller.actor.id;
        let renews_account = draft.renew && of_owner;
        let kinds = match (draft.renew, of_owner) {
            (true, true) => Reservation::AccountRenewal(actor),
            (true, false) => Reservation::Renewal(actor),
            (false, _) => Reservation::Key,
        };
        let taken = self.reserve(caller, kinds).await?;
        let id = KeyId(taken.key);
        let made = if renews_account {
            renew_account(&*caller.keys, id, RecoveryId(taken.recovery))?
        } else {
            let account_epoch = caller.account.epoch;
            let (epoch, keys) = self.keys_of(caller, actor).await?;
            if draft.renew {
                let Renewal { epoch, mut key, wraps } = keys.renew(id)?;
                key.wraps.extend(wraps);
                Made { account_epoch, epoch, key, origin: KeyOrigin::Renewal, recovery_code: None }
            } else {
                let key = keys.mint_key(id)?;
                Made { account_epoch, epoch, key, origin: KeyOrigin::Beside, recovery_code: None }
            }
        };
        let (label, expires_at) = (draft.label, draft.expires_at);
        self.store(caller, (id, actor), made, (label, expires_at), idempotency).await
    }

    /// Rotates the caller's key: makes one that replaces it once it is used. A repeat with the same
    /// idempotency key is [`Refusal::ShownOnce`].
    ///
    /// # Errors
    /// The refusal, a database error, or no randomness.
    pub async fn rotate(
        &self,
        caller: &Caller,
        label: Option<Name>,
        grace: Grace,
        idempotent: Option<IdempotentRequest>,
    ) -> Result<Written<ShownKey>, WriteError> {
        let idempotency = idempotency(&*self.reader, caller, idempotent).await?;
        let taken = self.reserve(caller, Reservation::OwnKey).await?;
        let id = KeyId(taken.key);
        let made = Made {
            account_epoch: caller.account.epoch,
            epoch: caller.actor.key_epoch,
            key: caller.keys.mint_key(id)?,
            origin: KeyOrigin::Rotation { grace_seconds: grace.0 },
            recovery_code: None,
        };
        self.store(caller, (id, caller.actor.id), made, (label, None), idempotency).await
    }

    /// Revokes a key: one of the caller's or, for the owner, any of the account.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn revoke(&self, caller: &Caller, id: KeyId) -> Result<Written<KeyId>, WriteError> {
        match self.manage(caller, ManageAction::RevokeKey(id)).await? {
            Written { value: AppliedRow::Key(key), cost, balance, is_replay } => {
                Ok(Written { value: key.id, cost, balance, is_replay })
            }
            _ => Err(WriteError::mismatched()),
        }
    }

    /// The keys of an actor, opened by the owner, and their epoch in force.
    async fn keys_of(
        &self,
        caller: &Caller,
        actor: ActorId,
    ) -> Result<(KeyEpoch, Arc<dyn Keyring>), WriteError> {
        if actor == caller.actor.id {
            return Ok((caller.actor.key_epoch, Arc::clone(&caller.keys)));
        }
        let found = Keyrings::in_force(&*self.reader, caller, actor).await?;
        let keys = found.find(actor).ok_or(Refusal::NoSuchActor(actor))?;
        Ok((keys.epoch(), Arc::clone(keys)))
    }

    async fn store(
        &self,
        caller: &Caller,
        (id, actor): (KeyId, ActorId),
        made: Made,
        (label, expires_at): (Option<Name>, Option<Timestamp>),
        idempotency: Option<Idempotency>,
    ) -> Result<Written<ShownKey>, WriteError> {
        let Made { account_epoch, epoch, key, origin, recovery_code } = made;
        let MintedKey { secret: api_key, prefix, lookup, wraps } = key;
        let new =
            NewKey { id, actor, account_epoch, epoch, lookup, prefix, label, expires_at, wraps };
        match self.manage_once(caller, ManageAction::AddKey { new, origin }, idempotency).await? {
            Written { value: AppliedRow::Key(key), cost, balance, is_replay } => Ok(Written {
                value: ShownKey { key, api_key, recovery_code },
                cost,
                balance,
                is_replay,
            }),
            _ => Err(WriteError::mismatched()),
        }
    }

    async fn reserve(&self, caller: &Caller, kinds: Reservation) -> Result<LastIds, WriteError> {
        match self.manage(caller, ManageAction::ReserveIds(kinds)).await?.value {
            AppliedRow::Account(account) => Ok(account.last_ids),
            _ => Err(WriteError::mismatched()),
        }
    }

    async fn manage_actor(
        &self,
        caller: &Caller,
        action: ManageAction,
    ) -> Result<Written<Actor>, WriteError> {
        match self.manage(caller, action).await? {
            Written { value: AppliedRow::Actor(actor), cost, balance, is_replay } => {
                Ok(Written { value: actor, cost, balance, is_replay })
            }
            _ => Err(WriteError::mismatched()),
        }
    }

    async fn manage(
        &self,
        caller: &Caller,
        action: ManageAction,
    ) -> Result<Written<AppliedRow>, WriteError> {
        self.manage_once(caller, action, None).await
    }

    async fn manage_once(
        &self,
        caller: &Caller,
        action: ManageAction,
        idempotency: Option<Idempotency>,
    ) -> Result<Written<AppliedRow>, WriteError> {
        let action = Action::Manage(caller.bearer(), action);
        let conditions = Conditions { idempotency, ..Conditions::default() };
        let command = Command::uncharged(action, self.clock.now());
        let applied = self.commands.apply(Command { conditions, ..command }).await?;
        Ok(Written {
            value: applied.row,
            cost: applied.cost,
            balance: applied.balance,
            is_replay: applied.is_replay,
        })
    }
}

/// The next epochs of the account's key and of its owner's.
fn renew_account(keys: &dyn Keyring, id: KeyId, code_id: RecoveryId) -> Result<Made, WriteError> {
    let AccountRenewal { account_epoch, owner_epoch, mut key, code, wraps } =
        keys.renew_account(id, code_id)?;
    key.wraps.extend(code.wraps);
    key.wraps.extend(wraps);
    let new_code = NewCode { id: code_id, lookup: code.lookup };
    Ok(Made {
        account_epoch,
        epoch: owner_epoch,
        key,
        origin: KeyOrigin::AccountRenewal { code: new_code },
        recovery_code: Some(code.secret),
    })
}
