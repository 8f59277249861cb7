//! Whose keys open and seal a row: those of the actor that it belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::access::Caller;
use crate::model::id::{AccountId, ActorId};
use crate::port::keys::{ActorIdentity, Keyring};
use crate::port::store::{AccountReader, StoreFault, StoreResult};

/// The keys of the actors whose rows are at hand, in a caller's hands.
#[derive(Debug)]
pub struct Keyrings {
    account: AccountId,
    held: BTreeMap<ActorId, Arc<dyn Keyring>>,
}

impl Keyrings {
    /// The caller's own keys, and those of the `actors` that there are in its account, which it must
    /// [reach](Caller::reaches). Nothing is read for its own. The keys of another actor are read
    /// afresh, so that they are right after a renewal: read them once the rows to open are read.
    ///
    /// # Errors
    /// The database's fault. Wraps that are missing or do not open are that too: no key is ever
    /// made in their stead.
    pub async fn of(
        reader: &dyn AccountReader,
        caller: &Caller,
        actors: BTreeSet<ActorId>,
    ) -> StoreResult<Self> {
        let account = caller.account.id;
        let mut held = BTreeMap::from([(caller.actor.id, Arc::clone(&caller.keys))]);
        let others: Vec<_> = actors.into_iter().filter(|id| *id != caller.actor.id).collect();
        if others.is_empty() {
            return Ok(Self { account, held });
        }
        for found in reader.held_actors(caller.account, &others).await? {
            let actor = ActorIdentity::from(&found.actor);
            let keys = caller.keys.for_actor(actor, &found.wraps).map_err(|error| {
                let cause = format!("the keys of actor {} of account {account}: {error}", actor.id);
                StoreFault::Broken(cause)
            })?;
            held.insert(actor.id, keys);
        }
        Ok(Self { account, held })
    }

    /// The keys of that actor, if there is such an actor.
    #[must_use]
    pub fn find(&self, actor: ActorId) -> Option<&Arc<dyn Keyring>> {
        self.held.get(&actor)
    }

    /// The keys of the actor of a row.
    ///
    /// # Errors
    /// [`StoreFault::Broken`]: there is no such actor.
    pub fn of_row(&self, actor: ActorId) -> StoreResult<&Arc<dyn Keyring>> {
        let account = self.account;
        let gone = || StoreFault::Broken(format!("actor {actor} of account {account} is gone"));
        self.find(actor).ok_or_else(gone)
    }
}
