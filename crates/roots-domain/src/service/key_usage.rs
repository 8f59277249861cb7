//! Records when keys were last used, outside of requests, and ends expired keys: those whose expiry
//! or whose grace has passed, and sign-ins whose time is over. "Keys" are browser keys too.
//!
//! Uses are noted in memory and written together at intervals. The shown times may lag by an
//! interval, and uses that were not written are lost if the process is killed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;

use super::access::Caller;
use super::write_behind::WriteBehind;
use crate::command::{Action, Command, SystemAction};
use crate::model::api_key::AnyKeyId;
use crate::model::id::AccountId;
use crate::model::time::Timestamp;
use crate::port::clock::Clock;
use crate::port::store::{AccountReader, ApplyError, CommandStore, StoreError};

/// Most keys whose use is noted between two writes. Uses of further keys are not noted.
pub const NOTED_MAX: usize = 100_000;

/// Most keys in one command, so that it does not delay the writes behind it.
const COMMAND_MAX_KEYS: usize = 500;
/// Most accounts whose commands are submitted together. One batch takes all of them, and the
/// store's queue has 512 places.
const ACCOUNTS_AT_ONCE: usize = 64;
/// Most turns of an account in one call.
const TURNS_MAX: u32 = 10;
/// After this many commands failed because the database is unavailable, the rest are not tried.
const AWAY_MAX: u32 = 3;

/// Notes uses of keys, and ends expired keys.
#[derive(Clone)]
pub struct KeyUsage {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Finds expired keys.
    pub reader: Arc<dyn AccountReader>,
    /// Tells the time of a use.
    pub clock: Arc<dyn Clock>,
    /// The pending work.
    pub backlog: Backlog,
}

/// The uses that are not written yet, and the position of the sweep. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    uses: WriteBehind<(AccountId, AnyKeyId), Timestamp, NOTED_MAX>,
    /// The last account that was swept, `None` before the first.
    swept: Arc<Mutex<Option<AccountId>>>,
}

impl Backlog {
    fn swept(&self) -> Option<AccountId> {
        *self.swept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sweep_after(&self, account: Option<AccountId>) {
        *self.swept.lock().unwrap_or_else(PoisonError::into_inner) = account;
    }
}

/// The pending work for an account.
#[derive(Default)]
struct Due {
    /// Uses that were not written yet.
    used: Vec<(AnyKeyId, Timestamp)>,
    /// Whether it may have expired keys.
    has_over: bool,
}

/// A command that does a part of the work, if there is any, and the remaining work.
type MaintenanceStep = (Option<Command>, Due);

impl KeyUsage {
    /// Notes that the caller used its key. For the bearer of a browser key that is its sign-in, not
    /// the API key that opened it.
    pub fn note(&self, caller: &Caller) {
        let key = (caller.account.id, caller.bearer().used_key());
        self.backlog.uses.note(key, self.clock.now(), |last, now| *last = now);
    }

    /// Writes the noted uses, and ends expired keys, so that their wraps are deleted. Accounts take
    /// turns with one small command each, and several commands are submitted together. What an
    /// account still has after 10 turns is left for the next call. A failing account does not block
    /// others.
    ///
    /// # Errors
    /// The last database error. Uses that were not written stay noted.
    pub async fn maintain(&self) -> Result<(), StoreError> {
        let at = self.clock.now();
        let after = self.backlog.swept();
        let found = self.reader.accounts_with_keys_over(at, after).await?;
        self.backlog.sweep_after(found.last);
        let mut due = self.take_used();
        for account in found.accounts {
            due.entry(account).or_default().has_over = true;
        }
        self.maintain_all(due, at, after).await
    }

    /// Only writes the noted uses, for the shutdown. It reads and ends nothing. For N accounts it
    /// takes N / 64 batches.
    ///
    /// # Errors
    /// As [`Self::maintain`].
    pub async fn flush(&self) -> Result<(), StoreError> {
        let after = self.backlog.swept();
        self.maintain_all(self.take_used(), self.clock.now(), after).await
    }

    fn take_used(&self) -> BTreeMap<AccountId, Due> {
        let mut due = BTreeMap::<AccountId, Due>::new();
        for ((account, key), last) in self.backlog.uses.take() {
            due.entry(account).or_default().used.push((key, last));
        }
        due
    }

    async fn maintain_all(
        &self,
        mut due: BTreeMap<AccountId, Due>,
        at: Timestamp,
        after: Option<AccountId>,
    ) -> Result<(), StoreError> {
        let (mut outcome, mut away) = (Ok(()), 0);
        for turn in 1.. {
            let mut left = BTreeMap::new();
            let mut accounts = due.into_iter().peekable();
            while accounts.peek().is_some() {
                let some: Vec<_> = accounts.by_ref().take(ACCOUNTS_AT_ONCE).collect();
                let noted: Vec<_> =
                    some.iter().map(|(account, due)| (*account, due.used.clone())).collect();
                let maintained = if away < AWAY_MAX {
                    self.maintain_some(some, at).await
                } else {
                    some.iter().map(|_| Err(None)).collect()
                };
                for ((account, before), maintained) in noted.into_iter().zip(maintained) {
                    match maintained {
                        Ok(rest)
                            if rest.used.is_empty() && (!rest.has_over || turn >= TURNS_MAX) => {}
                        Ok(rest) => _ = left.insert(account, rest),
                        Err(error) => {
                            self.put_back(account, &before);
                            if let Some(error) = error {
                                away += u32::from(!matches!(error, StoreError::Broken(_)));
                                outcome = Err(error);
                            } else {
                                // The next call searches expired keys again.
                                self.backlog.sweep_after(after);
                            }
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

    /// Runs one command for each of these accounts, submitted together so that they form batches.
    /// Returns for each the remaining work, a database error, or `None` if it was not tried.
    async fn maintain_some(
        &self,
        accounts: Vec<(AccountId, Due)>,
        at: Timestamp,
    ) -> Vec<Result<Due, Option<StoreError>>> {
        let mut steps = Vec::with_capacity(accounts.len());
        let mut is_away = false;
        for (account, due) in accounts {
            let step = if is_away { Err(None) } else { self.next(account, due, at).await };
            is_away |= matches!(&step, Err(Some(error)) if !matches!(error, StoreError::Broken(_)));
            steps.push(step);
        }
        let apply = |step: Result<MaintenanceStep, _>| async move {
            let (command, rest) = step?;
            let Some(command) = command else { return Ok(rest) };
            match self.commands.apply(command).await {
                Ok(_) => Ok(rest),
                Err(ApplyError::Store(error)) => Err(Some(error)),
                // It was erased meanwhile.
                Err(ApplyError::Refused(_)) => Ok(Due::default()),
            }
        };
        join_all(steps.into_iter().map(apply)).await
    }

    /// The next command of an account, if there is any work, and the remaining work.
    async fn next(
        &self,
        account: AccountId,
        mut due: Due,
        at: Timestamp,
    ) -> Result<MaintenanceStep, Option<StoreError>> {
        let used: Vec<_> = due.used.drain(..COMMAND_MAX_KEYS.min(due.used.len())).collect();
        let room = COMMAND_MAX_KEYS - used.len();
        let mut over = Vec::new();
        if due.has_over && room > 0 {
            let most = u32::try_from(room).unwrap_or(u32::MAX);
            over = self.reader.keys_over(account, at, most).await.map_err(Some)?;
            due.has_over = over.len() == room;
        }
        if used.is_empty() && over.is_empty() {
            return Ok((None, due));
        }
        let action = SystemAction::MaintainKeys { account, used, over };
        Ok((Some(Command::uncharged(Action::System(action), at)), due))
    }

    fn put_back(&self, account: AccountId, used: &[(AnyKeyId, Timestamp)]) {
        for (key, last) in used {
            // A use that was noted meanwhile is later.
            self.backlog.uses.note((account, *key), *last, |_, _| {});
        }
    }
}
