//! The places for streams: how many may be open at once, and the turns in which they read.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::gauge;
use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::port::crypto::Lookup;

use crate::middleware::fair_permits::{FairPermits, PermitLimits};
use crate::problem::Problem;

/// Most streams of one actor by its API keys, and of one sign-in.
pub const HOLDER_STREAMS_MAX: usize = 10;
/// The part of a process's streams that one account may hold: a third, but at least as many as one
/// holder may have.
const ACCOUNT_PART: usize = 3;
/// Seconds in `Retry-After`. Streams stay open long, and a page that has none asks by itself.
const RETRY_SECONDS: u32 = 15;

/// Streams read one at a time. All of a process read within a round of the watch: 300 reads take
/// about 100 ms.
const TURNS: PermitLimits =
    PermitLimits { at_once: 1, at_once_each: 1, waiting: usize::MAX, waiting_each: usize::MAX };

/// The turns of streams that read what they tell, shared fairly by accounts.
#[must_use]
pub fn turns() -> FairPermits {
    FairPermits::new(TURNS)
}

/// The owner of streams that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamHolder {
    /// An actor, with all of its API keys.
    Actor(AccountId, ActorId),
    /// A sign-in, by the key that it made.
    SignIn(AccountId, Lookup),
}

impl StreamHolder {
    const fn account(&self) -> AccountId {
        match self {
            Self::Actor(account, _) | Self::SignIn(account, _) => *account,
        }
    }

    const fn what(&self) -> &'static str {
        match self {
            Self::Actor(..) => "of one actor",
            Self::SignIn(..) => "of one sign-in",
        }
    }
}

/// The places for the streams of this process. Clones share them.
#[derive(Clone)]
pub struct StreamPlaces {
    most: usize,
    open: Arc<Mutex<OpenStreams>>,
}

#[derive(Default)]
struct OpenStreams {
    all: usize,
    of_account: HashMap<AccountId, usize>,
    of_holder: HashMap<StreamHolder, usize>,
}

/// The place of an open stream. Dropping it frees the place.
pub struct StreamPlace {
    places: StreamPlaces,
    holder: StreamHolder,
}

impl StreamPlaces {
    /// Room for `most` streams.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// Takes a place. It does not wait for one.
    ///
    /// # Errors
    /// 503: the holder, its account or the process has as many as it may.
    pub fn take(&self, holder: StreamHolder) -> Result<StreamPlace, Problem> {
        let account = holder.account();
        let of_account = (self.most / ACCOUNT_PART).max(HOLDER_STREAMS_MAX);
        let mut open = self.lock();
        let has = |count: Option<&usize>, most| count.is_some_and(|count| *count >= most);
        let refused = |most, whose| Err(Problem::too_many_streams(most, whose, RETRY_SECONDS));
        if has(open.of_holder.get(&holder), HOLDER_STREAMS_MAX) {
            return refused(HOLDER_STREAMS_MAX, holder.what());
        }
        if has(open.of_account.get(&account), of_account) {
            return refused(of_account, "of one account");
        }
        if open.all >= self.most {
            return refused(self.most, "of all accounts");
        }
        open.all += 1;
        *open.of_account.entry(account).or_default() += 1;
        *open.of_holder.entry(holder).or_default() += 1;
        open.tell();
        drop(open);
        Ok(StreamPlace { places: self.clone(), holder })
    }

    fn lock(&self) -> MutexGuard<'_, OpenStreams> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenStreams {
    fn tell(&self) {
        gauge!("roots_streams").set(u32::try_from(self.all).unwrap_or(u32::MAX));
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = self.places.lock();
        open.all = open.all.saturating_sub(1);
        one_less(&mut open.of_account, &self.holder.account());
        one_less(&mut open.of_holder, &self.holder);
        open.tell();
    }
}

/// Counts one less, and forgets what has none.
fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    let Some(count) = counts.get_mut(key) else { return };
    *count = count.saturating_sub(1);
    if *count == 0 {
        counts.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn actor(account: i64, actor: i64) -> StreamHolder {
        StreamHolder::Actor(AccountId(account), ActorId(actor))
    }

    fn refusal(places: &StreamPlaces, holder: StreamHolder) -> String {
        let problem = places.take(holder).err().unwrap();
        assert_eq!((problem.status().as_u16(), problem.retry_seconds()), (503, Some("15")));
        problem.detail().to_owned()
    }

    #[test]
    fn the_eleventh_stream_of_an_actor_is_refused_until_one_ends() {
        let places = StreamPlaces::new(300);
        let mut open: Vec<_> = (0..10).map(|_| places.take(actor(1, 1)).unwrap()).collect();
        assert_eq!(
            refusal(&places, actor(1, 1)),
            "The limit is 10 streams of one actor at once. Close one, or try again in 15 s."
        );
        let another = places.take(actor(1, 2)).unwrap();
        open.pop();
        open.push(places.take(actor(1, 1)).unwrap());
        drop((open, another));
        let left = places.lock();
        assert!(left.all == 0 && left.of_account.is_empty() && left.of_holder.is_empty());
    }

    #[test]
    fn the_301st_stream_of_a_process_is_refused_and_an_account_holds_a_third() {
        let places = StreamPlaces::new(300);
        let mut open = Vec::new();
        for account in 1..=3 {
            for number in 0..100 {
                open.push(places.take(actor(account, number % 10)).unwrap());
            }
            let full = refusal(&places, actor(account, 99));
            assert!(full.starts_with("The limit is 100 streams of one account at once."), "{full}");
        }
        let full = refusal(&places, actor(4, 1));
        assert!(full.starts_with("The limit is 300 streams of all accounts at once."), "{full}");
        open.pop();
        assert!(places.take(actor(4, 1)).is_ok());
    }
}
