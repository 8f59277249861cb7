//! Whose keys open and seal a row: those of the actor that it belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::access::Caller;
use crate::model::account::Role;
use crate::model::api_key::{KeyEpoch, Wrap, WrapHolder, WrapSubject};
use crate::model::id::{AccountId, ActorId};
use crate::model::sealed::Sealed;
use crate::port::crypto::{ActorIdentity, CryptoError, Keyring};
use crate::port::store::{AccountReader, HeldActor, StoreError, StoreResult};

/// How often keys are read that do not go with their actors.
const LOOKS_MAX: u32 = 3;

/// The keys of the actors whose rows are at hand, in a caller's hands.
#[derive(Debug)]
pub struct Keyrings {
    account: AccountId,
    held: BTreeMap<ActorId, Arc<dyn Keyring>>,
}

/// Why the keys of an actor are not to be had: the caller's own may be of before a renewal.
async fn unopened(
    reader: &dyn AccountReader,
    caller: &Caller,
    actor: ActorId,
    error: CryptoError,
) -> StoreError {
    let account = caller.account.id;
    match reader.check(caller.admission()).await {
        Ok(()) => {
            StoreError::Broken(format!("the keys of actor {actor} of account {account}: {error}"))
        }
        Err(error) => error,
    }
}

impl Keyrings {
    /// The caller's own keys, and those of the actors of these rows that there are in its account, which
    /// it must [reach](Caller::reaches): of each the key in force, and those of the earlier epochs that
    /// the rows' texts name. Nothing is read for the caller's own key in force. The keys of another actor
    /// are read afresh, so that they are right after a renewal: read them once the rows to open are read.
    ///
    /// # Errors
    /// A database error. Wraps that do not open are that too, and so are those of a key in force that
    /// are missing: no key is ever made in their stead.
    pub async fn of<'a, T: IntoIterator<Item = &'a Sealed>>(
        reader: &dyn AccountReader,
        caller: &Caller,
        rows: impl IntoIterator<Item = (ActorId, T)>,
    ) -> StoreResult<Self> {
        let mut needed = BTreeMap::<ActorId, BTreeSet<KeyEpoch>>::new();
        for (actor, texts) in rows {
            let epochs = texts.into_iter().filter_map(|text| caller.keys.epoch_of(text));
            needed.entry(actor).or_default().extend(epochs);
        }
        Self::of_epochs(reader, caller, needed).await
    }

    /// [`Self::of`] one actor, without any row.
    ///
    /// # Errors
    /// As there.
    pub async fn in_force(
        reader: &dyn AccountReader,
        caller: &Caller,
        actor: ActorId,
    ) -> StoreResult<Self> {
        Self::of_epochs(reader, caller, BTreeMap::from([(actor, BTreeSet::new())])).await
    }

    /// The caller's own keys, with so many epochs before the one in force.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub async fn own_before(
        reader: &dyn AccountReader,
        caller: &Caller,
        most: usize,
    ) -> StoreResult<Arc<dyn Keyring>> {
        let in_force = caller.actor.key_epoch.0;
        let epochs = (1..in_force).rev().take(most).map(KeyEpoch).collect();
        let needed = BTreeMap::from([(caller.actor.id, epochs)]);
        Ok(Arc::clone(Self::of_epochs(reader, caller, needed).await?.of_row(caller.actor.id)?))
    }

    /// Actors are read before their wraps, so a renewal in between shows a key of an epoch that seems to
    /// be ahead of the one in force. Then both are read again.
    async fn of_epochs(
        reader: &dyn AccountReader,
        caller: &Caller,
        needed: BTreeMap<ActorId, BTreeSet<KeyEpoch>>,
    ) -> StoreResult<Self> {
        let mut looks = 1;
        loop {
            match Self::look(reader, caller, needed.clone()).await? {
                Ok(keys) => return Ok(keys),
                Err((_, CryptoError::EpochWentBack)) if looks < LOOKS_MAX => looks += 1,
                Err((actor, error)) => {
                    return Err(unopened(reader, caller, actor, error).await);
                }
            }
        }
    }

    /// One look, and whose keys did not open, if any did not.
    async fn look(
        reader: &dyn AccountReader,
        caller: &Caller,
        mut needed: BTreeMap<ActorId, BTreeSet<KeyEpoch>>,
    ) -> StoreResult<Result<Self, (ActorId, CryptoError)>> {
        let (account, me) = (caller.account.id, caller.actor.id);
        let mut own = needed.remove(&me).unwrap_or_default();
        own.retain(|epoch| {
            *epoch >= KeyEpoch::FIRST && caller.keys.lacks(WrapSubject::Actor(me, *epoch))
        });
        let others: Vec<_> = needed.keys().copied().collect();
        let others = if others.is_empty() {
            Vec::new()
        } else {
            reader.held_actors(account, &others).await?
        };
        let earlier = |held: &HeldActor| -> Vec<_> {
            let (id, in_force) = (held.actor.id, held.actor.key_epoch);
            let epochs = needed.get(&id).into_iter().flatten().copied();
            let earlier = epochs.filter(|epoch| (KeyEpoch::FIRST..in_force).contains(epoch));
            earlier.map(|epoch| (id, epoch)).collect()
        };
        let mut earlier: Vec<_> = others.iter().flat_map(earlier).collect();
        let mut wraps = match (own.first(), caller.actor.role) {
            (Some(first), Role::Member) => {
                let range = (*first, caller.actor.key_epoch.before());
                reader.earlier_wraps(account, Some(me), range).await?
            }
            (Some(_), Role::Owner) => {
                // The account's key holds each epoch of every actor's, its owner's too.
                earlier.extend(own.iter().map(|epoch| (me, *epoch)));
                Vec::new()
            }
            (None, _) => Vec::new(),
        };
        if !earlier.is_empty() {
            wraps.extend(reader.wraps_under_account(account, &earlier).await?);
        }
        let all = others.iter().flat_map(|held| &held.wraps).chain(&wraps);
        let lacking = all.filter_map(|wrap| match wrap.holder {
            WrapHolder::Account(epoch) if caller.keys.lacks(WrapSubject::Account(epoch)) => {
                Some(epoch)
            }
            _ => None,
        });
        if let Some(first) = lacking.min() {
            let range = (Ord::max(first, KeyEpoch::FIRST), caller.account.epoch.before());
            wraps.extend(reader.earlier_wraps(account, None, range).await?);
        }
        let mine = if wraps.is_empty() {
            Arc::clone(&caller.keys)
        } else {
            match caller.keys.with_earlier(&wraps) {
                Ok(keys) => keys,
                Err(error) => return Ok(Err((me, error))),
            }
        };
        let mut held = BTreeMap::new();
        for HeldActor { actor, wraps: in_force } in others {
            let mut its = in_force;
            let is_its =
                |wrap: &&Wrap| matches!(wrap.subject, WrapSubject::Actor(id, _) if id == actor.id);
            its.extend(wraps.iter().filter(is_its).cloned());
            match mine.for_actor(ActorIdentity::from(&actor), &its) {
                Ok(keys) => _ = held.insert(actor.id, keys),
                Err(error) => return Ok(Err((actor.id, error))),
            }
        }
        held.insert(me, mine);
        Ok(Ok(Self { account, held }))
    }

    /// The keys of that actor, if there is such an actor.
    #[must_use]
    pub fn find(&self, actor: ActorId) -> Option<&Arc<dyn Keyring>> {
        self.held.get(&actor)
    }

    /// The keys of the actor of a row.
    ///
    /// # Errors
    /// [`StoreError::Broken`]: there is no such actor.
    pub fn of_row(&self, actor: ActorId) -> StoreResult<&Arc<dyn Keyring>> {
        let account = self.account;
        let gone = || StoreError::Broken(format!("actor {actor} of account {account} is gone"));
        self.find(actor).ok_or_else(gone)
    }
}
