//! Permits: a semaphore that is fair between accounts, or between addresses.
//!
//! Permits go to accounts in rotation, whatever the number of requests that each has waiting. An
//! account with 64 waiting requests delays an account with one by at most one permit. Where
//! addresses share permits instead, "account" means address here.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roots_domain::model::id::{AccountId, ActorId};
use tokio::sync::oneshot;

/// How many permits there are, and how many requests may wait for one.
#[derive(Debug, Clone, Copy)]
pub struct PermitLimits {
    /// Most permits in use at once.
    pub at_once: usize,
    /// Most permits in use by one account.
    pub at_once_each: usize,
    /// Most waiting requests.
    pub waiting: usize,
    /// Most waiting requests of one account.
    pub waiting_each: usize,
}

/// The queue of waiting requests is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

/// The parties that share permits: accounts, actors or addresses.
pub trait Party: Copy + Eq + Hash {}

impl Party for AccountId {}
impl Party for (AccountId, ActorId) {}
impl Party for IpAddr {}

/// Permits that accounts get in rotation. Clones share them.
#[derive(Debug, Clone)]
pub struct FairPermits<P: Party = AccountId>(Arc<Mutex<PermitState<P>>>);

#[derive(Debug)]
struct PermitState<P> {
    limits: PermitLimits,
    taken: usize,
    waiting: usize,
    /// Accounts that have a permit or wait for one.
    accounts: HashMap<P, PartyQueue>,
    /// Waiting accounts, each once. The first one that may have another permit is next.
    rotation: VecDeque<P>,
    last_ticket: u64,
}

/// The permits of an account, and its waiting requests in the order of their arrival.
#[derive(Debug, Default)]
struct PartyQueue {
    taken: usize,
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl<P: Party> FairPermits<P> {
    /// Permits with these limits, all free.
    #[must_use]
    pub fn new(limits: PermitLimits) -> Self {
        Self(Arc::new(Mutex::new(PermitState {
            limits,
            taken: 0,
            waiting: 0,
            accounts: HashMap::new(),
            rotation: VecDeque::new(),
            last_ticket: 0,
        })))
    }

    /// A permit for that account, if one is available without waiting.
    pub fn try_take(&self, account: P) -> Option<FairPermit<P>> {
        self.lock().take(account).then(|| self.permit(account))
    }

    /// Waits for a permit for that account. A caller that stops waiting leaves the queue.
    ///
    /// # Errors
    /// [`QueueFull`], without waiting.
    pub async fn take(&self, account: P) -> Result<FairPermit<P>, QueueFull> {
        let mut waiting = {
            let mut state = self.lock();
            if state.take(account) {
                return Ok(self.permit(account));
            }
            let (ticket, given) = state.queue(account)?;
            PermitWaiter { permits: self.clone(), account, ticket, given, is_over: false }
        };
        // The sender lives as long as the state, which this request holds.
        let _ = (&mut waiting.given).await;
        waiting.is_over = true;
        Ok(self.permit(account))
    }

    fn permit(&self, account: P) -> FairPermit<P> {
        FairPermit { permits: self.clone(), account }
    }

    fn lock(&self) -> MutexGuard<'_, PermitState<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Party> PermitState<P> {
    /// Takes a permit, if there is one. A free permit means that no waiting request may have it.
    fn take(&mut self, account: P) -> bool {
        let has = self.accounts.get(&account).map_or(0, |queue| queue.taken);
        if self.taken >= self.limits.at_once || has >= self.limits.at_once_each {
            return false;
        }
        self.taken += 1;
        self.accounts.entry(account).or_default().taken += 1;
        true
    }

    fn queue(&mut self, account: P) -> Result<(u64, oneshot::Receiver<()>), QueueFull> {
        let queue = self.accounts.entry(account).or_default();
        if self.waiting >= self.limits.waiting || queue.waiting.len() >= self.limits.waiting_each {
            self.forget_idle(account);
            return Err(QueueFull);
        }
        self.last_ticket += 1;
        let (give, given) = oneshot::channel();
        if queue.waiting.is_empty() {
            self.rotation.push_back(account);
        }
        queue.waiting.push_back((self.last_ticket, give));
        self.waiting += 1;
        Ok((self.last_ticket, given))
    }

    /// Frees a permit, and hands free permits to the accounts that are next.
    fn give_back(&mut self, account: P) {
        self.taken -= 1;
        if let Some(queue) = self.accounts.get_mut(&account) {
            queue.taken -= 1;
        }
        self.forget_idle(account);
        while self.taken < self.limits.at_once && self.give_next() {}
    }

    /// Gives a permit to the account that is next, which then goes to the end of the rotation.
    /// Returns whether there is such an account.
    fn give_next(&mut self) -> bool {
        let each = self.limits.at_once_each;
        let may = |account: &P| self.accounts.get(account).is_some_and(|of| of.taken < each);
        let Some(index) = self.rotation.iter().position(may) else { return false };
        let Some(account) = self.rotation.remove(index) else { return false };
        let Some(queue) = self.accounts.get_mut(&account) else { return false };
        let Some((_, give)) = queue.waiting.pop_front() else { return false };
        if !queue.waiting.is_empty() {
            self.rotation.push_back(account);
        }
        queue.taken += 1;
        self.taken += 1;
        self.waiting -= 1;
        // A receiver that is dropped leaves the queue first, or gives its permit back.
        let _ = give.send(());
        true
    }

    /// Removes a request from the queue. Returns whether it was there.
    fn leave(&mut self, account: P, ticket: u64) -> bool {
        let Some(queue) = self.accounts.get_mut(&account) else { return false };
        let Some(index) = queue.waiting.iter().position(|(of, _)| *of == ticket) else {
            return false;
        };
        queue.waiting.remove(index);
        self.waiting -= 1;
        if queue.waiting.is_empty() {
            self.rotation.retain(|waiting| *waiting != account);
        }
        self.forget_idle(account);
        true
    }

    fn forget_idle(&mut self, account: P) {
        let queue = self.accounts.get(&account);
        if queue.is_some_and(|queue| queue.taken == 0 && queue.waiting.is_empty()) {
            self.accounts.remove(&account);
        }
    }
}

/// A permit in use. Dropping it gives it back.
#[derive(Debug)]
pub struct FairPermit<P: Party = AccountId> {
    permits: FairPermits<P>,
    account: P,
}

impl<P: Party> Drop for FairPermit<P> {
    fn drop(&mut self) {
        self.permits.lock().give_back(self.account);
    }
}

/// A request in the queue.
struct PermitWaiter<P: Party> {
    permits: FairPermits<P>,
    account: P,
    ticket: u64,
    given: oneshot::Receiver<()>,
    is_over: bool,
}

impl<P: Party> Drop for PermitWaiter<P> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut state = self.permits.lock();
        if !state.leave(self.account, self.ticket) {
            // It was given a permit that it can't use any more.
            state.give_back(self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    const ONE: AccountId = AccountId(1);
    const TWO: AccountId = AccountId(2);

    type Asking = Pin<Box<dyn Future<Output = Result<FairPermit, QueueFull>>>>;

    fn permits(at_once: usize, at_once_each: usize) -> FairPermits {
        FairPermits::new(PermitLimits { at_once, at_once_each, waiting: 6, waiting_each: 4 })
    }

    /// A request that has been polled once.
    fn ask(
        permits: &FairPermits,
        account: AccountId,
    ) -> Result<FairPermit, Result<Asking, QueueFull>> {
        let permits = permits.clone();
        let mut asking: Asking = Box::pin(async move { permits.take(account).await });
        match (&mut asking).now_or_never() {
            Some(Ok(permit)) => Ok(permit),
            Some(Err(full)) => Err(Err(full)),
            None => Err(Ok(asking)),
        }
    }

    fn waits(permits: &FairPermits, account: AccountId) -> Asking {
        ask(permits, account).unwrap_err().unwrap()
    }

    fn is_empty(permits: &FairPermits) -> bool {
        let state = permits.lock();
        (state.taken, state.waiting) == (0, 0)
            && state.accounts.is_empty()
            && state.rotation.is_empty()
    }

    /// Takes the request out of the queue whose turn it is by now.
    fn served(queue: &mut Vec<(AccountId, Asking)>) -> Option<(AccountId, FairPermit)> {
        for index in 0..queue.len() {
            let (account, asking) = &mut queue[index];
            if let Some(permit) = asking.now_or_never() {
                let found = (*account, permit.unwrap());
                drop(queue.remove(index));
                return Some(found);
            }
        }
        None
    }

    #[test]
    fn accounts_take_turns_however_many_requests_each_has_waiting() {
        let permits = permits(1, 1);
        let mut held = Some((ONE, ask(&permits, ONE).ok().unwrap()));
        let mut queue: Vec<_> =
            [ONE, ONE, ONE, ONE, TWO, TWO].map(|of| (of, waits(&permits, of))).into();
        let mut order = Vec::new();
        while let Some((account, permit)) = held.take() {
            order.push(account.0);
            assert!(served(&mut queue).is_none());
            drop(permit);
            held = served(&mut queue);
        }
        assert_eq!(order, [1, 1, 2, 1, 2, 1, 1]);
        assert!(queue.is_empty() && is_empty(&permits));
    }

    #[test]
    fn an_account_cannot_take_every_permit() {
        let permits = permits(3, 2);
        let own = [ask(&permits, ONE).ok().unwrap(), ask(&permits, ONE).ok().unwrap()];
        let mut third = waits(&permits, ONE);
        assert!(permits.try_take(ONE).is_none());
        let other = permits.try_take(TWO).unwrap();
        // It may not take a permit that is free for others.
        drop(other);
        assert!((&mut third).now_or_never().is_none());
        drop(own);
        assert!((&mut third).now_or_never().unwrap().is_ok());
        assert!(is_empty(&permits));
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let permits = permits(1, 1);
        let held = ask(&permits, ONE).ok().unwrap();
        let own: Vec<_> = (0..4).map(|_| waits(&permits, ONE)).collect();
        assert!(matches!(ask(&permits, ONE), Err(Err(QueueFull))));
        let others: Vec<_> = (0..2).map(|_| waits(&permits, TWO)).collect();
        for account in [TWO, AccountId(3)] {
            assert!(matches!(ask(&permits, account), Err(Err(QueueFull))), "{account}");
        }
        assert!(!permits.lock().accounts.contains_key(&AccountId(3)));
        drop(others);
        drop(waits(&permits, TWO));
        drop((own, held));
        assert!(is_empty(&permits));
    }

    proptest! {
        #[test]
        fn random_requests_neither_lose_nor_invent_permits(
            steps in prop::collection::vec((0..3_u8, 1..4_i64, any::<prop::sample::Index>()), 0..80),
        ) {
            let permits = permits(3, 2);
            let (mut held, mut queue) = (Vec::new(), Vec::new());
            for (step, account, pick) in steps {
                match step {
                    0 => match ask(&permits, AccountId(account)) {
                        Ok(permit) => held.push(permit),
                        Err(Ok(asking)) => queue.push((AccountId(account), asking)),
                        Err(Err(QueueFull)) => {}
                    },
                    1 if !held.is_empty() => drop(held.remove(pick.index(held.len()))),
                    // It may have received a permit meanwhile.
                    2 if !queue.is_empty() => drop(queue.remove(pick.index(queue.len()))),
                    _ => {}
                }
                if pick.index(2) == 0 {
                    held.extend(std::iter::from_fn(|| served(&mut queue)).map(|(_, permit)| permit));
                }
                let state = permits.lock();
                prop_assert!(state.taken <= 3 && state.waiting <= 6);
                for (account, queue) in &state.accounts {
                    prop_assert!(queue.taken <= 2 && queue.waiting.len() <= 4);
                    // A permit that may be given is given at once.
                    let may = queue.taken < 2 && state.taken < 3;
                    prop_assert!(!may || queue.waiting.is_empty(), "{account}");
                }
            }
            drop((held, queue));
            prop_assert!(is_empty(&permits));
        }
    }
}
