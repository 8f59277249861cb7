//! Running imports and exports. They may take long, so their number is limited.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roots_domain::model::id::AccountId;

use crate::problem::Problem;

/// Most requests of one kind that an account may have running.
const ACCOUNT_MAX: u32 = 2;
/// Most requests of one kind that may run in this process.
const PROCESS_MAX: u32 = 16;
/// Seconds until a retry is worth it. How long the running ones will take is not known.
const RETRY_SECONDS: u32 = 10;

/// The running long requests of one kind in this process.
#[derive(Clone)]
pub struct LongRequests {
    /// Their name: `imports`.
    what: &'static str,
    /// The number of running requests of each account that has any.
    under_way: Arc<Mutex<HashMap<AccountId, u32>>>,
}

/// A running long request. Dropping it frees its place.
pub struct LongRequestPermit {
    of: LongRequests,
    account: AccountId,
}

impl LongRequests {
    /// Long requests of that kind, none of them running.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self { what, under_way: Arc::default() }
    }

    /// Takes a place for one more request of that account. It does not wait for one.
    ///
    /// # Errors
    /// 429: the account or the process has reached its limit. The answer says which.
    pub fn begin(&self, account: AccountId) -> Result<LongRequestPermit, Problem> {
        let mut under_way = self.lock();
        if under_way.get(&account).is_some_and(|count| *count >= ACCOUNT_MAX) {
            return Err(Problem::too_many_at_once(
                ACCOUNT_MAX,
                self.what,
                "account",
                RETRY_SECONDS,
            ));
        }
        if under_way.values().sum::<u32>() >= PROCESS_MAX {
            return Err(Problem::too_many_at_once(PROCESS_MAX, self.what, "server", RETRY_SECONDS));
        }
        *under_way.entry(account).or_default() += 1;
        Ok(LongRequestPermit { of: self.clone(), account })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, u32>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LongRequestPermit {
    fn drop(&mut self) {
        let mut under_way = self.of.lock();
        if let Some(count) = under_way.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_two_places_and_gets_them_back() {
        let imports = LongRequests::new("imports");
        let begin = |account| imports.begin(AccountId(account));
        let (first, second) = (begin(1).unwrap(), begin(1).unwrap());
        let refused = begin(1).err().unwrap();
        assert_eq!(
            refused.detail(),
            "An account may have at most 2 imports under way at once. Try again in 10 s. No setting raises this limit."
        );
        assert!(begin(2).is_ok(), "another account has places of its own");
        drop(first);
        let third = begin(1);
        assert!(third.is_ok() && begin(1).is_err());
        drop((second, third));
        assert!(imports.lock().is_empty(), "nothing is kept of an account that has none");
    }

    #[test]
    fn a_process_has_sixteen_places() {
        let exports = LongRequests::new("exports");
        let begin = |account| exports.begin(AccountId(account));
        let mut places: Vec<_> = (0..16).map(|number| begin(number / 2).unwrap()).collect();
        let refused = begin(100).err().unwrap();
        assert_eq!(
            refused.detail(),
            "A server may have at most 16 exports under way at once. Try again in 10 s. No setting raises this limit."
        );
        places.pop();
        assert!(begin(100).is_ok());
    }
}
