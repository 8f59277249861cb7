//! When keys were last used, off the way of requests, and the sweep of keys that are over.
//!
//! Uses are noted in memory and written together now and then. What is shown of them may be as old as
//! that, and what was noted since is lost where a process is killed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::access::Caller;
use crate::model::id::{AccountId, KeyId};
use crate::model::time::Timestamp;
use crate::model::unit::{Author, Intent, UnitOfWork};
use crate::port::ambient::Clock;
use crate::port::store::{AccountReader, ApplyError, StoreFault, UnitStore};

/// Most keys whose use is noted between two writes; the use of others goes unnoted.
pub const NOTED_MAX: usize = 100_000;

/// Most keys that one unit tends, so that none holds up the writes behind it.
const UNIT_MAX_KEYS: usize = 500;
/// How many units may fail because the database is away, until it is taken to be away for all.
const AWAY_MAX: u32 = 3;

/// Notes uses, and tends keys.
#[derive(Clone)]
pub struct Uses {
    /// Applies writes.
    pub units: Arc<dyn UnitStore>,
    /// Finds keys that are over.
    pub reader: Arc<dyn AccountReader>,
    /// Tells the time of a use.
    pub clock: Arc<dyn Clock>,
    /// What is still to be done.
    pub backlog: Backlog,
}

/// The uses that are not written yet, and how far the sweep has come. All clones share one.
#[derive(Debug, Clone, Default)]
pub struct Backlog(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    uses: HashMap<(AccountId, KeyId), Timestamp>,
    swept: Option<(AccountId, KeyId)>,
}

/// What is to be written of the keys of an account.
#[derive(Default)]
struct Due {
    used: Vec<(KeyId, Timestamp)>,
    over: Vec<KeyId>,
}

impl Due {
    /// The same in parts, each for one unit.
    fn cut(mut self) -> Vec<Self> {
        let mut parts = Vec::new();
        while !self.used.is_empty() || !self.over.is_empty() {
            let used = self.used.drain(..UNIT_MAX_KEYS.min(self.used.len())).collect::<Vec<_>>();
            let room = UNIT_MAX_KEYS - used.len();
            let over = self.over.drain(..room.min(self.over.len())).collect();
            parts.push(Self { used, over });
        }
        parts
    }
}

impl Uses {
    /// Notes that the caller used its key.
    pub fn note(&self, caller: &Caller) {
        let key = (caller.account.id, caller.key);
        let now = self.clock.now();
        let uses = &mut self.pending().uses;
        if uses.len() < NOTED_MAX || uses.contains_key(&key) {
            uses.insert(key, now);
        }
    }

    /// Writes the uses that were noted, and ends some of the keys that are over, so that their wraps
    /// go, account by account. One that fails does not keep others from being tended.
    ///
    /// # Errors
    /// The database's fault: of several, the last. Uses that were not written then are noted still.
    pub async fn tend(&self) -> Result<(), StoreFault> {
        let at = self.clock.now();
        let swept = self.pending().swept;
        let found = self.reader.keys_over(at, swept).await?;
        let mut due = BTreeMap::<AccountId, Due>::new();
        for (account, key) in found.keys {
            due.entry(account).or_default().over.push(key);
        }
        let uses = {
            let mut pending = self.pending();
            pending.swept = found.last;
            std::mem::take(&mut pending.uses)
        };
        for ((account, key), last) in uses {
            due.entry(account).or_default().used.push((key, last));
        }
        let mut outcome = Ok(());
        let mut away = 0;
        let parts = due
            .into_iter()
            .flat_map(|(account, due)| due.cut().into_iter().map(move |part| (account, part)));
        for (account, Due { used, over }) in parts {
            if away == AWAY_MAX {
                self.put_back(account, &used);
                // What was to be ended is looked for again.
                self.pending().swept = swept;
                continue;
            }
            let intent = Intent::TendKeys { account, used: used.clone(), over };
            let unit = UnitOfWork::free(Author::Program, intent, at);
            if let Err(ApplyError::Fault(fault)) = self.units.apply(unit).await {
                self.put_back(account, &used);
                away += u32::from(!matches!(fault, StoreFault::Broken(_)));
                outcome = Err(fault);
            }
        }
        outcome
    }

    fn put_back(&self, account: AccountId, used: &[(KeyId, Timestamp)]) {
        let mut pending = self.pending();
        for (key, last) in used {
            pending.uses.entry((account, *key)).or_insert(*last);
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.backlog.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
