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
    /// go: one unit an account.
    ///
    /// # Errors
    /// The database's fault. What was not written then is noted still.
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
        let mut fault = None;
        for (account, Due { used, over }) in due {
            if fault.is_some() {
                self.put_back(account, &used);
                continue;
            }
            let intent = Intent::TendKeys { account, used: used.clone(), over };
            let unit = UnitOfWork::free(Author::Program, intent, at);
            if let Err(ApplyError::Fault(failed)) = self.units.apply(unit).await {
                self.put_back(account, &used);
                fault = Some(failed);
            }
        }
        fault.map_or(Ok(()), Err)
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
