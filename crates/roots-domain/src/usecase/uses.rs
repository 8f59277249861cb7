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
/// Most turns that an account gets in one call.
const TURNS_MAX: u32 = 10;
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

#[derive(Debug)]
struct Pending {
    uses: HashMap<(AccountId, KeyId), Timestamp>,
    swept: AccountId,
}

impl Default for Pending {
    fn default() -> Self {
        Self { uses: HashMap::new(), swept: AccountId(0) }
    }
}

/// What is to be done for an account.
#[derive(Default)]
struct Due {
    /// Uses that are not written yet.
    used: Vec<(KeyId, Timestamp)>,
    /// Whether keys of it may be over.
    has_over: bool,
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

    /// Writes the uses that were noted, and ends keys that are over, so that their wraps go. Accounts
    /// take turns, with one small unit each; what an account still has after so many turns is left for
    /// the next call. An account that fails does not keep others from being tended.
    ///
    /// # Errors
    /// The database's fault: of several, the last. Uses that were not written then are noted still.
    pub async fn tend(&self) -> Result<(), StoreFault> {
        let at = self.clock.now();
        let after = self.pending().swept;
        let found = self.reader.accounts_with_keys_over(at, after).await?;
        let mut due = BTreeMap::<AccountId, Due>::new();
        for account in found.accounts {
            due.entry(account).or_default().has_over = true;
        }
        let uses = {
            let mut pending = self.pending();
            pending.swept = found.last.unwrap_or(AccountId(0));
            std::mem::take(&mut pending.uses)
        };
        for ((account, key), last) in uses {
            due.entry(account).or_default().used.push((key, last));
        }
        let (mut outcome, mut away) = (Ok(()), 0);
        for turn in 1.. {
            let mut left = BTreeMap::new();
            for (account, due) in due {
                let before = due.used.clone();
                let tended = if away < AWAY_MAX {
                    self.tend_some(account, due, at).await
                } else {
                    // What was to be ended is looked for again.
                    self.pending().swept = after;
                    Err(None)
                };
                match tended {
                    Ok(rest) if rest.used.is_empty() && (!rest.has_over || turn >= TURNS_MAX) => {}
                    Ok(rest) => _ = left.insert(account, rest),
                    Err(fault) => {
                        self.put_back(account, &before);
                        if let Some(fault) = fault {
                            away += u32::from(!matches!(fault, StoreFault::Broken(_)));
                            outcome = Err(fault);
                        }
                    }
                }
            }
            if left.is_empty() {
                break;
            }
            due = left;
        }
        outcome
    }

    /// One unit's worth of it; answers what is left.
    async fn tend_some(
        &self,
        account: AccountId,
        mut due: Due,
        at: Timestamp,
    ) -> Result<Due, Option<StoreFault>> {
        let used: Vec<_> = due.used.drain(..UNIT_MAX_KEYS.min(due.used.len())).collect();
        let room = UNIT_MAX_KEYS - used.len();
        let mut over = Vec::new();
        if due.has_over && room > 0 {
            let most = u32::try_from(room).unwrap_or(u32::MAX);
            over = self.reader.keys_over(account, at, most).await.map_err(Some)?;
            due.has_over = over.len() == room;
        }
        if used.is_empty() && over.is_empty() {
            return Ok(due);
        }
        let intent = Intent::TendKeys { account, used, over };
        match self.units.apply(UnitOfWork::free(Author::Program, intent, at)).await {
            Ok(_) => Ok(due),
            Err(ApplyError::Fault(fault)) => Err(Some(fault)),
            // It was erased meanwhile.
            Err(ApplyError::Refused(_)) => Ok(Due::default()),
        }
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
