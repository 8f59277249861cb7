//! Keyrings: a row is opened and sealed with the keys of the actor that it belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::access::Caller;
use crate::model::account::Role;
use crate::model::api_key::{KeyEpoch, Wrap, WrapHolder, WrapSubject};
use crate::model::id::{AccountId, ActorId};
use crate::model::sealed::Sealed;
use crate::port::crypto::{ActorIdentity, CryptoError, Keyring};
use crate::port::store::{AccountReader, HeldActor, StoreError, StoreResult};

/// How often keys are read if they do not match their actors.
const LOOKS_MAX: u32 = 3;

/// The keys that a caller has of the actors of some rows.
#[derive(Debug)]
pub struct Keyrings {
    account: AccountId,
    held: BTreeMap<ActorId, Arc<dyn Keyring>>,
}

/// The error if the keys of an actor do not open: the caller's own keys may be from before a
/// renewal.
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
    /// The caller's own keys, and those of the existing actors of these rows, which it must
    /// [reach](Caller::reaches): for each, the key in force and those of the earlier epochs of the
    /// rows' texts. The caller's own key in force needs no read. The keys of another actor are
    /// always read, so that they are right after a renewal: call this after the rows to open were
    /// read.
    ///
    /// # Errors
    /// A database error. Wraps that do not open, and missing wraps of a key in force, are database
    /// errors too: no key is ever made to replace them.
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

    /// [`Self::of`], except that actors whose keys can't be read are left out: their texts are
    /// unreadable, but those of others can still be read. Also returns the error of such keys.
    ///
    /// # Errors
    /// A database error other than [`StoreError::Broken`].
    pub async fn of_readable<'a>(
        reader: &dyn AccountReader,
        caller: &Caller,
        rows: impl IntoIterator<Item = (ActorId, Vec<&'a Sealed>)>,
    ) -> StoreResult<(Self, Option<StoreError>)> {
        let mut of_actors = BTreeMap::<_, Vec<_>>::new();
        for (actor, texts) in rows {
            of_actors.entry(actor).or_default().extend(texts);
        }
        let all = of_actors.iter().map(|(actor, texts)| (*actor, texts.iter().copied()));
        let error = match Self::of(reader, caller, all).await {
            Err(error @ StoreError::Broken(_)) => error,
            outcome => return outcome.map(|keys| (keys, None)),
        };
        let mut readable = Self { account: caller.account.id, held: BTreeMap::new() };
        for of_actor in of_actors {
            match Self::of(reader, caller, [of_actor]).await {
                Ok(keys) => readable.held.extend(keys.held),
                Err(StoreError::Broken(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((readable, Some(error)))
    }

    /// [`Self::of`] for one actor, without rows.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub async fn in_force(
        reader: &dyn AccountReader,
        caller: &Caller,
        actor: ActorId,
    ) -> StoreResult<Self> {
        Self::of_epochs(reader, caller, BTreeMap::from([(actor, BTreeSet::new())])).await
    }

    /// The caller's own keys, with at most `most` earlier epochs.
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

    /// Actors are read before their wraps, so after a renewal in between a key seems to be of a
    /// later epoch than the one in force. Then both are read again.
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

    /// One read, and the actor whose keys did not open, if any.
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
                // The account's keys wrap each epoch of every actor's key, the owner's too.
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

    /// The keys of that actor, if it exists.
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
