//! Which accounts have commands in the blocked queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roots_domain::model::id::AccountId;

/// How many commands of each account wait in the blocked queue. All of one account come from one
/// writer queue.
#[derive(Clone, Default)]
pub(super) struct BlockedAccounts(Arc<Mutex<HashMap<AccountId, usize>>>);

impl BlockedAccounts {
    pub(super) fn waiting(&self) -> MutexGuard<'_, HashMap<AccountId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a command of those accounts as waiting, until the mark is dropped.
    pub(super) fn mark(&self, accounts: impl Iterator<Item = AccountId>) -> BlockedMark {
        let accounts: Vec<_> = accounts.collect();
        let mut waiting = self.waiting();
        for account in &accounts {
            *waiting.entry(*account).or_default() += 1;
        }
        drop(waiting);
        BlockedMark { of: self.clone(), accounts }
    }
}

/// A command that waits in the blocked queue.
pub(super) struct BlockedMark {
    of: BlockedAccounts,
    accounts: Vec<AccountId>,
}

impl Drop for BlockedMark {
    fn drop(&mut self) {
        let mut waiting = self.of.waiting();
        for account in &self.accounts {
            if let Some(commands) = waiting.get_mut(account) {
                *commands -= 1;
                if *commands == 0 {
                    waiting.remove(account);
                }
            }
        }
    }
}
