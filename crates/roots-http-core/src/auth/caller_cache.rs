//! The cache of recently admitted callers, and of keys found to be wrong.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::time::{Duration, Instant as Moment};

use futures_util::future::{BoxFuture, Shared};
use moka::Expiry;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use roots_domain::model::id::AccountId;
use roots_domain::port::crypto::Lookup;
use roots_domain::port::store::AuthEpochs;
use roots_domain::service::ReadError;
use roots_domain::service::access::Caller;
use tokio::time::Instant;

/// How often expired callers are dropped, and their unlocked keys with them.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);
/// Most callers in the cache.
const CALLERS_MAX: u64 = 10_000;
/// How long a look-up is trusted after a request of its caller was refused. Another process may
/// have ended the key, and a refusal may be decided without asking the database.
const LOOK_UP_STANDS: Duration = Duration::from_secs(1);
/// Shortest time between two look-ups of a key that is remembered as wrong.
const WRONG_LOOK_PERIOD: Duration = Duration::from_secs(5);
/// The number of generation counters. If two accounts share one, a caller is sometimes not cached.
const GENERATIONS: usize = 1_024;
/// How long a key that was valid is looked up regardless of other requests from its address, so
/// that a neighbour's wrong keys lock nobody out.
const KNOWN_TTL: Duration = Duration::from_hours(1);
/// How long a key is remembered as wrong after its last look-up, so that a client that goes on
/// using one does not use up the attempts of its address.
const WRONG_TTL: Duration = Duration::from_mins(5);
/// Most keys that are remembered as wrong. Beyond that, the least recently used are forgotten.
const WRONG_MAX: u64 = 20_000;

/// The results of recent key look-ups, by look-up hash. For a valid key, the cache holds its caller
/// with unlocked keys for a while.
#[derive(Clone)]
pub struct Callers(Arc<RememberedCallers>);

struct RememberedCallers {
    cache: Cache<Lookup, Admitted>,
    /// Counts how often keys of accounts have ended in this process. An account's counter is found
    /// by its id.
    generations: [AtomicU64; GENERATIONS],
    /// The look-up hashes of keys that were valid lately.
    known: Cache<Lookup, ()>,
    /// When each wrong key was last looked up.
    wrong: Cache<Lookup, Instant>,
    /// The running look-ups, at most one for each key.
    running: Mutex<HashMap<Lookup, Running>>,
    /// The number of look-ups that have begun.
    begun: AtomicU64,
    /// How long a wrong key is not looked up again.
    wrong_look_period: Duration,
    sweep_period: Duration,
    sweeper: Once,
}

/// The look-up of a key. All requests that bring the key while it runs await the same one.
pub(super) type LookUp = Shared<BoxFuture<'static, Result<Arc<Caller>, ReadError>>>;

/// A look-up that is running.
pub(super) struct Running {
    pub(super) shared: LookUp,
    /// The account's generation when it began. A look-up that began before a key ended is not
    /// trusted afterwards.
    pub(super) generation: u64,
    pub(super) number: u64,
}

/// A cached caller.
#[derive(Clone)]
struct Admitted {
    caller: Arc<Caller>,
    since: Instant,
    /// The time until its key expires.
    lasts: Option<Duration>,
}

/// Expires each caller no later than its key.
struct UntilItsKeyEnds;

impl Expiry<Lookup, Admitted> for UntilItsKeyEnds {
    fn expire_after_create(&self, _: &Lookup, admitted: &Admitted, _: Moment) -> Option<Duration> {
        admitted.lasts
    }

    fn expire_after_update(
        &self,
        _: &Lookup,
        admitted: &Admitted,
        _: Moment,
        _: Option<Duration>,
    ) -> Option<Duration> {
        admitted.lasts
    }
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyHistory {
    Good,
    Wrong,
    Not,
}

impl Callers {
    /// An empty cache that remembers each caller for that long.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self::remembered_for(ttl, SWEEP_PERIOD)
    }

    fn remembered_for(ttl: Duration, sweep_period: Duration) -> Self {
        let cache = Cache::builder()
            .max_capacity(CALLERS_MAX)
            .time_to_live(ttl)
            .expire_after(UntilItsKeyEnds)
            .support_invalidation_closures()
            .build();
        let known = Cache::builder().max_capacity(CALLERS_MAX).time_to_live(KNOWN_TTL).build();
        let wrong = Cache::builder()
            .max_capacity(WRONG_MAX)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(WRONG_TTL)
            .build();
        Self(Arc::new(RememberedCallers {
            cache,
            generations: std::array::from_fn(|_| AtomicU64::new(0)),
            known,
            wrong,
            running: Mutex::default(),
            begun: AtomicU64::new(0),
            wrong_look_period: Ord::min(ttl, WRONG_LOOK_PERIOD),
            sweep_period,
            sweeper: Once::new(),
        }))
    }

    /// Forgets all callers of an account when it is told that keys of it may have ended.
    pub fn listen(&self, epochs: &dyn AuthEpochs) {
        let remembered = Arc::downgrade(&self.0);
        epochs.listen(Box::new(move |account| {
            if let Some(remembered) = remembered.upgrade() {
                Self(remembered).end_generation(account);
            }
        }));
    }

    /// In this order: an entry added in between is found by the second.
    fn end_generation(&self, account: AccountId) {
        self.generation_of(account).fetch_add(1, Ordering::SeqCst);
        // It fails if closures are not supported; then reads notice by the auth epoch.
        let _ = self.0.cache.invalidate_entries_if(move |lookup, _| lookup.account == account);
    }

    /// The generation of an account. Read it before a key is looked up.
    pub(super) fn generation(&self, account: AccountId) -> u64 {
        self.generation_of(account).load(Ordering::SeqCst)
    }

    fn generation_of(&self, account: AccountId) -> &AtomicU64 {
        let index = usize::try_from(account.0.unsigned_abs() % GENERATIONS as u64).unwrap_or(0);
        &self.0.generations[index]
    }

    pub(super) fn get(&self, lookup: &Lookup) -> Option<Arc<Caller>> {
        self.0.cache.get(lookup).map(|admitted| admitted.caller)
    }

    pub(super) fn known(&self, lookup: &Lookup) -> KeyHistory {
        if self.0.known.contains_key(lookup) {
            KeyHistory::Good
        } else if self.0.wrong.contains_key(lookup) {
            KeyHistory::Wrong
        } else {
            KeyHistory::Not
        }
    }

    /// Whether a key was valid lately.
    pub(super) fn was_good(&self, lookup: &Lookup) -> bool {
        self.known(lookup) == KeyHistory::Good
    }

    /// Whether a key that is remembered as wrong should be looked up again. Of several callers at
    /// once, one gets `true`.
    pub(super) fn may_look_again(&self, lookup: Lookup) -> bool {
        let period = self.0.wrong_look_period;
        let looked = self.0.wrong.entry(lookup).and_compute_with(|found| match found {
            Some(last) if last.value().elapsed() >= period => Op::Put(Instant::now()),
            _ => Op::Nop,
        });
        matches!(looked, CompResult::ReplacedWith(_))
    }

    /// Caches a caller no longer than its key lasts, unless keys of its account have ended since
    /// its look-up began. The first call starts the sweeper, since a router may be built where no
    /// runtime runs yet.
    pub(super) fn remember(
        &self,
        lookup: Lookup,
        caller: Arc<Caller>,
        lasts: Option<Duration>,
        generation: u64,
    ) {
        self.0.cache.insert(lookup, Admitted { caller, since: Instant::now(), lasts });
        if self.generation(lookup.account) != generation {
            self.0.cache.invalidate(&lookup);
        }
        self.note_good(lookup);
        self.0.sweeper.call_once(|| {
            tokio::spawn(sweep(Arc::downgrade(&self.0), self.0.sweep_period));
        });
    }

    /// Remembers that a key is valid, but not its caller.
    pub(super) fn note_good(&self, lookup: Lookup) {
        self.0.known.insert(lookup, ());
        if self.0.wrong.contains_key(&lookup) {
            self.0.wrong.invalidate(&lookup);
        }
    }

    /// Forgets that a key was valid. Nothing else is remembered of it: it counts as unknown, and is
    /// looked up again.
    pub(super) fn forget_history(&self, lookup: &Lookup) {
        self.0.known.invalidate(lookup);
    }

    /// Remembers a key as wrong.
    pub(super) fn remember_wrong(&self, lookup: Lookup) {
        self.0.cache.invalidate(&lookup);
        self.0.known.invalidate(&lookup);
        self.0.wrong.insert(lookup, Instant::now());
    }

    /// Forgets a caller: its next request looks it up, with a look-up that begins after this.
    pub(super) fn forget(&self, lookup: &Lookup) {
        self.running().remove(lookup);
        self.0.cache.invalidate(lookup);
    }

    /// Forgets a caller whose request was refused, unless it was looked up less than 1 s ago.
    pub(super) fn forget_refused(&self, lookup: &Lookup) {
        let found = self.0.cache.get(lookup);
        if found.is_some_and(|admitted| admitted.since.elapsed() >= LOOK_UP_STANDS) {
            self.0.cache.invalidate(lookup);
        }
    }

    /// The number of a look-up that begins.
    pub(super) fn next_number(&self) -> u64 {
        self.0.begun.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn running(&self) -> MutexGuard<'_, HashMap<Lookup, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a look-up from the running ones when it ends, however it ends.
pub(super) struct UntilItEnds {
    pub(super) callers: Callers,
    pub(super) lookup: Lookup,
    pub(super) number: u64,
}

impl Drop for UntilItEnds {
    fn drop(&mut self) {
        let mut running = self.callers.running();
        // Another one may have taken its place.
        if running.get(&self.lookup).is_some_and(|found| found.number == self.number) {
            running.remove(&self.lookup);
        }
    }
}

/// Drops expired callers as long as the cache exists. The cache itself would keep them until its
/// next use.
async fn sweep(remembered: Weak<RememberedCallers>, period: Duration) {
    loop {
        tokio::time::sleep(period).await;
        let Some(remembered) = remembered.upgrade() else {
            return;
        };
        remembered.cache.run_pending_tasks();
    }
}

#[cfg(test)]
mod tests {
    use roots_domain::model::account::{AccountKind, Actor, ActorKind, Role};
    use roots_domain::model::api_key::{KeyEpoch, LookupHash};
    use roots_domain::model::id::{ActorId, KeyId, Uid};
    use roots_domain::model::quota::Renewals;
    use roots_domain::model::text::Name;
    use roots_domain::model::time::Timestamp;
    use roots_domain::port::crypto::{AccountIdentity, LookupKind, MockKeyring};

    use super::*;

    fn caller() -> Caller {
        let name = Name::parse("docs-agent").unwrap();
        Caller {
            account: AccountIdentity { id: AccountId(1), uid: Uid::NIL, epoch: KeyEpoch::FIRST },
            account_name: name.clone(),
            account_kind: AccountKind::Customer,
            actor: Actor {
                id: ActorId(1),
                uid: Uid::NIL,
                name,
                kind: ActorKind::Agent,
                role: Role::Owner,
                is_active: true,
                key_epoch: KeyEpoch::FIRST,
                renewals: Renewals::NONE,
                created_at: Timestamp::FIRST,
            },
            sign_in: None,
            key: KeyId(1),
            auth_epoch: 1,
            ends_at: None,
            keys: Arc::new(MockKeyring::new()),
        }
    }

    const LOOKUP: Lookup =
        Lookup { account: AccountId(1), hash: LookupHash([1; 32]), kind: LookupKind::ApiKey };
    const SHORT_TIME: Duration = Duration::from_millis(100);
    const NEVER: Duration = Duration::from_hours(1);

    /// Whether `holds` becomes true in time.
    async fn comes(holds: impl Fn() -> bool) -> bool {
        let looking = async {
            while !holds() {
                tokio::time::sleep(SHORT_TIME / 2).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), looking).await.is_ok()
    }

    #[tokio::test]
    async fn a_caller_is_remembered_only_for_its_time_and_its_key_as_good_for_longer() {
        let callers = Callers::remembered_for(NEVER, NEVER);
        callers.remember(LOOKUP, Arc::new(caller()), None, 0);
        assert!(callers.get(&LOOKUP).is_some());
        let callers = Callers::remembered_for(Duration::ZERO, NEVER);
        callers.remember(LOOKUP, Arc::new(caller()), None, 0);
        assert!(callers.get(&LOOKUP).is_none());
        // The key is remembered as valid for longer, but not after it was found to have ended.
        assert_eq!(callers.known(&LOOKUP), KeyHistory::Good);
        callers.forget(&LOOKUP);
        assert_eq!(callers.known(&LOOKUP), KeyHistory::Good);
        callers.remember_wrong(LOOKUP);
        assert_eq!(callers.known(&LOOKUP), KeyHistory::Wrong);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_caller_is_looked_up_again_once_its_lookup_is_a_second_old() {
        let callers = Callers::new(NEVER);
        callers.forget_refused(&LOOKUP);
        callers.remember(LOOKUP, Arc::new(caller()), None, 0);
        tokio::time::advance(LOOK_UP_STANDS / 2).await;
        callers.forget_refused(&LOOKUP);
        assert!(callers.get(&LOOKUP).is_some());
        tokio::time::advance(LOOK_UP_STANDS / 2).await;
        callers.forget_refused(&LOOKUP);
        assert!(callers.get(&LOOKUP).is_none());
        // It was valid, so it does not count as an unknown key.
        assert_eq!(callers.known(&LOOKUP), KeyHistory::Good);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_key_is_looked_up_again_by_one_request_at_a_time() {
        let callers = Callers::new(SHORT_TIME);
        assert!(!callers.may_look_again(LOOKUP));
        assert_eq!(callers.known(&LOOKUP), KeyHistory::Not);
        callers.remember_wrong(LOOKUP);
        assert!(!callers.may_look_again(LOOKUP));
        tokio::time::advance(SHORT_TIME).await;
        assert_eq!([callers.may_look_again(LOOKUP), callers.may_look_again(LOOKUP)], [true, false]);
        tokio::time::advance(SHORT_TIME).await;
        callers.remember_wrong(LOOKUP);
        assert!(!callers.may_look_again(LOOKUP));
        callers.remember(LOOKUP, Arc::new(caller()), None, 0);
        assert_eq!(callers.known(&LOOKUP), KeyHistory::Good);
        callers.remember_wrong(LOOKUP);
        assert!(callers.get(&LOOKUP).is_none());
    }

    #[test]
    fn many_wrong_keys_do_not_fill_the_memory() {
        let callers = Callers::new(SHORT_TIME);
        let most = usize::try_from(WRONG_MAX).unwrap();
        for count in 0..4 * WRONG_MAX {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&count.to_le_bytes());
            callers.remember_wrong(Lookup { hash: LookupHash(hash), ..LOOKUP });
        }
        callers.0.wrong.run_pending_tasks();
        assert!(callers.0.wrong.iter().count() <= most);
    }

    #[tokio::test]
    async fn the_keys_of_an_expired_caller_are_dropped_without_another_request() {
        let callers = Callers::remembered_for(SHORT_TIME, SHORT_TIME);
        let caller = Arc::new(caller());
        let kept = Arc::downgrade(&caller);
        callers.remember(LOOKUP, caller, None, 0);
        assert!(kept.upgrade().is_some());
        assert!(comes(|| kept.upgrade().is_none()).await);
    }

    #[tokio::test]
    async fn a_caller_looked_up_before_a_key_of_its_account_ended_is_not_remembered() {
        let callers = Callers::new(NEVER);
        let taken = callers.generation(LOOKUP.account);
        callers.remember(LOOKUP, Arc::new(caller()), None, taken);
        assert!(callers.get(&LOOKUP).is_some());
        callers.end_generation(AccountId(2));
        assert!(callers.get(&LOOKUP).is_some());
        callers.end_generation(LOOKUP.account);
        assert!(callers.get(&LOOKUP).is_none());
        callers.remember(LOOKUP, Arc::new(caller()), None, taken);
        assert!(callers.get(&LOOKUP).is_none());
        callers.remember(LOOKUP, Arc::new(caller()), None, callers.generation(LOOKUP.account));
        assert!(callers.get(&LOOKUP).is_some());
    }

    #[tokio::test]
    async fn the_keys_of_a_caller_are_dropped_once_its_key_has_ended() {
        let callers = Callers::remembered_for(NEVER, SHORT_TIME);
        let caller = Arc::new(caller());
        let kept = Arc::downgrade(&caller);
        callers.remember(LOOKUP, caller, Some(SHORT_TIME), 0);
        assert!(comes(|| kept.upgrade().is_none()).await);
    }

    #[tokio::test]
    async fn a_cache_has_one_sweeper_that_ends_with_the_cache() {
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let callers = Callers::remembered_for(NEVER, SHORT_TIME);
        let caller = Arc::new(caller());
        let kept = Arc::downgrade(&caller);
        callers.remember(LOOKUP, Arc::clone(&caller), None, 0);
        callers.remember(LOOKUP, caller, None, 0);
        assert_eq!(tasks(), 1);
        drop(callers);
        assert!(comes(|| kept.upgrade().is_none() && tasks() == 0).await);
    }
}
