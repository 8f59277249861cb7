//! How often may be asked, and against whom a request counts.
//!
//! The limits are GCRA: an allowance that may be used at once and comes back evenly. Each process
//! counts for itself. What a limit remembers is bounded: where more ask than that, it forgets those
//! that have not asked for the longest time, who then have their whole allowance again.

use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use roots_domain::model::id::{AccountId, KeyId};
use roots_domain::usecase::access::Caller;
use tokio::time::Instant;

use crate::address::{self, TrustedProxy};
use crate::problem::Problem;

/// How many requests a minute one address may make without a key, or with one that is known to be wrong.
const STRANGERS_PER_MINUTE: u32 = 60;
/// How many keys a minute that are not known yet are looked up for one address, but for those that are
/// found good. It covers a fleet of agents that start at once, and no guessing.
const GUESSES_PER_MINUTE: u32 = 60;
/// How many keys or addresses a limit remembers.
const REMEMBERED_MAX: u64 = 20_000;
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// How long a line of rotated keys is remembered without a use: as long as a grace may last.
const LINE_TTL: Duration = Duration::from_hours(7 * 24);

pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How often may be asked. 0 is no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests a minute with one key, and with those it was rotated to. Without it, wrong keys are not limited either.
    pub requests_per_minute: u32,
    /// Accounts made an hour from one address.
    pub signups_per_hour: u32,
    /// Recoveries tried an hour from one address.
    pub recovers_per_hour: u32,
}

impl RateLimits {
    /// No limit at all.
    pub const OFF: Self =
        Self { requests_per_minute: 0, signups_per_hour: 0, recovers_per_hour: 0 };
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { requests_per_minute: 120, signups_per_hour: 3, recovers_per_hour: 10 }
    }
}

/// The limits, and what each remembers.
pub(crate) struct Limits {
    keys: Option<Limit<(AccountId, KeyId)>>,
    lines: Lines,
    strangers: Option<Limit<IpAddr>>,
    guesses: Option<Limit<IpAddr>>,
    signups: Option<Limit<IpAddr>>,
    recoveries: Option<Limit<IpAddr>>,
    trusted: Vec<TrustedProxy>,
}

impl Limits {
    pub(crate) fn new(limits: &RateLimits, trusted: Vec<TrustedProxy>) -> Self {
        let unless_off = |most| if limits.requests_per_minute == 0 { 0 } else { most };
        Self {
            keys: Limit::new(
                "key",
                "requests a minute with one key",
                limits.requests_per_minute,
                MINUTE,
            ),
            lines: Lines::new(),
            strangers: Limit::new(
                "strangers",
                "requests a minute without a valid key from one address",
                unless_off(STRANGERS_PER_MINUTE),
                MINUTE,
            ),
            guesses: Limit::new(
                "guesses",
                "unknown keys a minute from one address",
                unless_off(GUESSES_PER_MINUTE),
                MINUTE,
            ),
            signups: Limit::new(
                "signups",
                "accounts an hour from one address",
                limits.signups_per_hour,
                HOUR,
            ),
            recoveries: Limit::new(
                "recoveries",
                "recoveries an hour from one address",
                limits.recovers_per_hour,
                HOUR,
            ),
            trusted,
        }
    }
}

/// Learns where a request comes from, hands it on as a [`Visitor`], and says in the answer how that
/// stands with the limit that it counted against.
pub(crate) async fn track<F: Future<Output = Response>>(
    limits: &Arc<Limits>,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    // Where nobody says who asks, all are one.
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
    let address = address::of_client(peer, request.headers(), &limits.trusted);
    let limits = Arc::clone(limits);
    let visitor = Visitor { limits, address, standing: Arc::default() };
    request.extensions_mut().insert(visitor.clone());
    let mut response = next(request).await;
    response.headers_mut().extend(visitor.headers());
    response
}

/// Limits how many accounts are made. Whoever is refused for a fault of the request has made none.
pub(crate) async fn signups(request: Request, next: Next) -> Response {
    let visitor = match Visitor::of(request.extensions()) {
        Ok(visitor) => visitor.clone(),
        Err(problem) => return problem.into_response(),
    };
    let limit = visitor.limits.signups.as_ref();
    if let Err(problem) = visitor.count(limit, &visitor.address) {
        return problem.into_response();
    }
    let response = next.run(request).await;
    if response.status().is_client_error() {
        visitor.take_back(limit, &visitor.address);
    }
    response
}

/// A recovery code is tried. Every attempt counts, so a handler asks for it once nothing else keeps the
/// caller from trying.
pub(crate) struct Attempt;

impl<S: Sync> FromRequestParts<S> for Attempt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let visitor = Visitor::of(&parts.extensions)?;
        visitor.count(visitor.limits.recoveries.as_ref(), &visitor.address)?;
        Ok(Self)
    }
}

/// Where a request comes from, and how it stands with the limits.
#[derive(Clone)]
pub(crate) struct Visitor {
    limits: Arc<Limits>,
    address: IpAddr,
    /// With the limit that was counted against last.
    standing: Arc<Mutex<Option<Standing>>>,
}

impl Visitor {
    /// The one that a request comes with.
    ///
    /// # Errors
    /// Ours, where [`track`] was left out.
    pub(crate) fn of(extensions: &Extensions) -> Result<&Self, Problem> {
        extensions.get().ok_or_else(|| Problem::internal("a request passed by the limits"))
    }

    /// Counts a request of that caller, against the first key of the line that its own is of.
    ///
    /// # Errors
    /// Its key is over its limit.
    pub(crate) fn count_request(&self, caller: &Caller) -> Result<(), Problem> {
        let account = caller.account.id;
        let first = self.limits.lines.first_of(account, caller.key, caller.replaces);
        self.count(self.limits.keys.as_ref(), &(account, first))
    }

    /// Counts a request without a key, or with one that is wrong.
    ///
    /// # Errors
    /// Too many of them came from this address.
    pub(crate) fn count_stranger(&self) -> Result<(), Problem> {
        self.count(self.limits.strangers.as_ref(), &self.address)
    }

    /// Takes back that it was counted: the key is not wrong any more.
    pub(crate) fn take_back_stranger(&self) {
        self.take_back(self.limits.strangers.as_ref(), &self.address);
    }

    /// Counts a key that is not known, before it is looked up.
    ///
    /// # Errors
    /// Too many of them came from this address.
    pub(crate) fn count_guess(&self) -> Result<(), Problem> {
        self.count(self.limits.guesses.as_ref(), &self.address)
    }

    /// Takes back that it was counted: the key was not found wrong.
    pub(crate) fn take_back_guess(&self) {
        self.take_back(self.limits.guesses.as_ref(), &self.address);
    }

    fn count<K: Who>(&self, limit: Option<&Limit<K>>, who: &K) -> Result<(), Problem> {
        let Some(limit) = limit else { return Ok(()) };
        let standing = limit.count(who);
        *self.standing() = Some(standing);
        match standing.wait {
            None => Ok(()),
            Some(wait) => {
                let Allowance { what, most, .. } = limit.allowance;
                Err(Problem::too_many_requests(most.get(), what, whole_seconds(wait)))
            }
        }
    }

    fn take_back<K: Who>(&self, limit: Option<&Limit<K>>, who: &K) {
        if let Some(limit) = limit {
            limit.take_back(who);
            if let Some(standing) = self.standing().as_mut() {
                standing.left += 1;
            }
        }
    }

    fn standing(&self) -> MutexGuard<'_, Option<Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As draft 10 of the IETF's `RateLimit` header fields has them.
    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let standing = *self.standing();
        let headers = standing.map(|Standing { allowance, left, .. }| {
            let Allowance { name, most, within, .. } = allowance;
            let back_after = whole_seconds(allowance.each_after() * (most.get() - left));
            let policy = format!("\"{name}\";q={most};w={}", within.as_secs());
            [
                (RATE_LIMIT_POLICY, policy),
                (RATE_LIMIT, format!("\"{name}\";r={left};t={back_after}")),
            ]
        });
        let valid = |(name, text): (_, String)| Some((name, HeaderValue::from_str(&text).ok()?));
        headers.into_iter().flatten().filter_map(valid)
    }
}

/// Seconds, rounded up: whoever waits for so long has waited long enough.
fn whole_seconds(time: Duration) -> u32 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// What a limit grants: so many at once, which come back evenly within that time.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    name: &'static str,
    what: &'static str,
    most: NonZeroU32,
    within: Duration,
}

impl Allowance {
    fn each_after(self) -> Duration {
        self.within / self.most.get()
    }
}

/// How someone stands with a limit.
#[derive(Debug, Clone, Copy)]
struct Standing {
    allowance: Allowance,
    /// What is left of it.
    left: u32,
    /// Until the next is granted, where this one was not.
    wait: Option<Duration>,
}

/// Keys that were rotated, and the first of the line that each is of: whoever rotates has no more than
/// it had, nor more with those that are in their grace.
struct Lines(Cache<(AccountId, KeyId), KeyId>);

impl Lines {
    fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(REMEMBERED_MAX)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(LINE_TTL)
            .build();
        Self(cache)
    }

    /// The first key of its line, as far as it is remembered.
    fn first_of(&self, account: AccountId, key: KeyId, before: Option<KeyId>) -> KeyId {
        let Some(before) = before else { return key };
        let first = self.0.get(&(account, before)).unwrap_or(before);
        self.0.insert((account, key), first);
        first
    }
}

/// Someone to count for.
trait Who: Hash + Eq + Clone + Send + Sync + 'static {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Who for K {}

/// A limit, and what it remembers of each.
struct Limit<K: Who> {
    allowance: Allowance,
    gcra: RateLimiter<K, Remembered<K>, Ticks, StateInformationMiddleware>,
    /// The same as `gcra` has.
    remembered: Remembered<K>,
}

impl<K: Who> Limit<K> {
    /// None where `most` is 0.
    fn new(name: &'static str, what: &'static str, most: u32, within: Duration) -> Option<Self> {
        let allowance = Allowance { name, what, most: NonZeroU32::new(most)?, within };
        let quota = Quota::with_period(allowance.each_after())?.allow_burst(allowance.most);
        let states = Cache::builder()
            .max_capacity(REMEMBERED_MAX)
            .eviction_policy(EvictionPolicy::lru())
            // Whoever has not asked for so long has everything back.
            .time_to_idle(within)
            .build();
        let remembered = Remembered(states);
        let gcra = RateLimiter::new(quota, remembered.clone(), Ticks(Instant::now()));
        Some(Self { allowance, gcra, remembered })
    }

    fn count(&self, who: &K) -> Standing {
        let allowance = self.allowance;
        match self.gcra.check_key(who) {
            Ok(granted) => {
                Standing { allowance, left: granted.remaining_burst_capacity(), wait: None }
            }
            Err(refused) => {
                let wait = refused.wait_time_from(self.gcra.clock().now());
                Standing { allowance, left: 0, wait: Some(wait) }
            }
        }
    }

    fn take_back(&self, who: &K) {
        let one = Nanos::from(self.allowance.each_after()).as_u64();
        let earlier = |at: Option<Nanos>| at.map_or(0, |at| at.as_u64().saturating_sub(one));
        let Ok(()) = self.remembered.measure_and_replace(who, |at| {
            Ok::<_, std::convert::Infallible>(((), earlier(at).into()))
        });
    }
}

/// What is remembered of each.
#[derive(Clone)]
struct Remembered<K: Who>(Cache<K, Arc<InMemoryState>>);

impl<K: Who> StateStore for Remembered<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, who: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let state = self.0.get_with_by_ref(who, Arc::default);
        state.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

/// The time since the limits were set up, by the runtime's clock, which never goes back and which
/// tests can stop.
#[derive(Debug, Clone)]
struct Ticks(Instant);

impl Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn limit(most: u32) -> Limit<u32> {
        Limit::new("test", "tests", most, MINUTE).unwrap()
    }

    fn waits(limit: &Limit<u32>, who: u32) -> Option<u64> {
        limit.count(&who).wait.map(|wait| u64::try_from(wait.as_millis()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_allowance_may_be_used_at_once_and_comes_back_evenly() {
        let limit = limit(120);
        for left in (0..120).rev() {
            assert_eq!(limit.count(&1).left, left);
        }
        assert_eq!(waits(&limit, 1), Some(500));
        // To ask in vain costs nothing.
        assert_eq!(waits(&limit, 1), Some(500));
        assert_eq!(waits(&limit, 2), None);
        advance(Duration::from_millis(499)).await;
        assert_eq!(waits(&limit, 1), Some(1));
        advance(Duration::from_millis(1)).await;
        assert_eq!(waits(&limit, 1), None);
        assert_eq!(waits(&limit, 1), Some(500));
        advance(MINUTE).await;
        assert_eq!(limit.count(&1).left, 119);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_back_was_never_counted() {
        let limit = limit(2);
        for _ in 0..10 {
            assert_eq!(limit.count(&1).left, 1);
            limit.take_back(&1);
        }
        limit.take_back(&2);
        assert_eq!([waits(&limit, 2), waits(&limit, 2)], [None, None]);
        assert_eq!(waits(&limit, 2), Some(30_000));
        limit.take_back(&2);
        assert_eq!(waits(&limit, 2), None);
    }

    #[test]
    fn a_line_of_keys_is_known_by_its_first() {
        let lines = Lines::new();
        let first = |key, before: Option<i64>| {
            lines.first_of(AccountId(1), KeyId(key), before.map(KeyId)).0
        };
        assert_eq!(first(1, None), 1);
        assert_eq!([first(2, Some(1)), first(3, Some(1)), first(4, Some(3))], [1, 1, 1]);
        // Where what came before was not seen here, what is known of it counts.
        assert_eq!([first(8, Some(7)), first(7, Some(6)), first(8, Some(7))], [7, 6, 6]);
        assert_eq!(lines.first_of(AccountId(2), KeyId(5), Some(KeyId(4))), KeyId(4));
    }

    #[test]
    fn zero_is_no_limit() {
        assert!(Limit::<u32>::new("test", "tests", 0, MINUTE).is_none());
    }

    #[test]
    fn however_many_ask_they_do_not_fill_the_memory() {
        let limit = Arc::new(limit(1));
        let asking = (0..4_u32).map(|thread| {
            let limit = Arc::clone(&limit);
            std::thread::spawn(move || {
                let mut most = 0;
                for who in thread * 25_000..(thread + 1) * 25_000 {
                    assert_eq!(limit.count(&who).wait, None);
                    if who % 1_000 == 0 {
                        most = most.max(limit.remembered.0.iter().count());
                    }
                }
                most
            })
        });
        let most = asking.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap());
        // What was asked last may not have been tidied up yet.
        let bound = usize::try_from(REMEMBERED_MAX * 11 / 10).unwrap();
        let most = most.max().unwrap();
        assert!(most <= bound, "{most} remembered");
        // Who asked last is known. The threads end in any order: none of them surely asked last.
        assert_eq!(limit.count(&100_000).wait, None);
        assert!(limit.count(&100_000).wait.is_some());
    }
}
