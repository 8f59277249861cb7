//! Rate limits: their policies, and what they remember of each client.
//!
//! The limits use GCRA: an allowance that may be used at once and refills evenly. Each process
//! counts by itself. The memory of a limit is bounded: beyond it, the clients that have been idle
//! for longest are forgotten and have their full allowance again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::port::crypto::Lookup;
use tokio::sync::watch;
use tokio::time::Instant;

use super::client_ip::TrustedProxy;

/// How many requests a minute one address may make without a key or with a known wrong one.
const UNAUTHENTICATED_PER_MINUTE: u32 = 60;
/// How many unknown keys a minute are looked up for one address, not counting those found valid. It
/// covers a fleet of agents that start at once, but bounds the load of guessing.
const UNKNOWN_KEYS_PER_MINUTE: u32 = 60;
/// How many static files and preflights one address may request a minute.
const STATIC_PER_MINUTE: u32 = 600;
/// How many health probes a minute one address may make: ten a second.
const PROBES_PER_MINUTE: u32 = 600;
/// How many requests a minute one sign-in may make: ten a second.
const SIGN_IN_PER_MINUTE: u32 = 600;
/// How many keys or addresses a limit remembers.
const REMEMBERED_MAX: u64 = 20_000;
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// The configurable rate limits. `None` is no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests a minute of one actor, by all its keys. If it is `None`, requests without a valid
    /// key are not limited by address either.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Requests a minute of one account, by all its actors.
    pub account_requests_per_minute: Option<NonZeroU32>,
    /// Changes an hour of one account's keys, actors and recovery code, including imports and its
    /// owner's exports: everything that adds an entry to the audit log at no cost.
    pub key_changes_per_hour: Option<NonZeroU32>,
    /// Searches a minute of one actor, by all its keys.
    pub searches_per_minute: Option<NonZeroU32>,
    /// Sign-ins an hour of one actor.
    pub sign_ins_per_hour: Option<NonZeroU32>,
    /// Accounts created an hour from one address.
    pub signups_per_hour: Option<NonZeroU32>,
    /// Recovery attempts an hour from one address.
    pub recovers_per_hour: Option<NonZeroU32>,
}

impl RateLimits {
    /// No limit at all.
    pub const OFF: Self = Self {
        requests_per_minute: None,
        account_requests_per_minute: None,
        key_changes_per_hour: None,
        searches_per_minute: None,
        sign_ins_per_hour: None,
        signups_per_hour: None,
        recovers_per_hour: None,
    };
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            requests_per_minute: NonZeroU32::new(1_200),
            account_requests_per_minute: NonZeroU32::new(12_000),
            key_changes_per_hour: NonZeroU32::new(1_000),
            searches_per_minute: NonZeroU32::new(30),
            sign_ins_per_hour: NonZeroU32::new(30),
            signups_per_hour: NonZeroU32::new(3),
            recovers_per_hour: NonZeroU32::new(10),
        }
    }
}

/// The kinds of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LimitKind {
    Actor,
    Account,
    KeyChanges,
    Searches,
    SignIn,
    SignIns,
    Unauthenticated,
    UnknownKeys,
    Static,
    Probes,
    Signups,
    Recoveries,
}

impl LimitKind {
    const ALL: [Self; 12] = [
        Self::Actor,
        Self::Account,
        Self::KeyChanges,
        Self::Searches,
        Self::SignIn,
        Self::SignIns,
        Self::Unauthenticated,
        Self::UnknownKeys,
        Self::Static,
        Self::Probes,
        Self::Signups,
        Self::Recoveries,
    ];

    /// Its allowance; `None` if it is off.
    fn allowance(self, limits: &RateLimits) -> Option<Allowance> {
        let unless_off = |most| limits.requests_per_minute.and(NonZeroU32::new(most));
        let (name, most, within) = match self {
            Self::Actor => ("actor", limits.requests_per_minute, MINUTE),
            Self::Account => ("account", limits.account_requests_per_minute, MINUTE),
            Self::KeyChanges => ("key-changes", limits.key_changes_per_hour, HOUR),
            Self::Searches => ("searches", limits.searches_per_minute, MINUTE),
            Self::SignIn => ("sign-in", unless_off(SIGN_IN_PER_MINUTE), MINUTE),
            Self::SignIns => ("sign-ins", limits.sign_ins_per_hour, HOUR),
            Self::Unauthenticated => {
                ("unauthenticated", unless_off(UNAUTHENTICATED_PER_MINUTE), MINUTE)
            }
            Self::UnknownKeys => ("unknown-keys", unless_off(UNKNOWN_KEYS_PER_MINUTE), MINUTE),
            Self::Static => ("static", unless_off(STATIC_PER_MINUTE), MINUTE),
            Self::Probes => ("probes", unless_off(PROBES_PER_MINUTE), MINUTE),
            Self::Signups => ("signups", limits.signups_per_hour, HOUR),
            Self::Recoveries => ("recoveries", limits.recovers_per_hour, HOUR),
        };
        Some(Allowance { name, most: most?, within })
    }

    /// What it counts, in words.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Actor => "requests a minute of one actor, by all its keys",
            Self::Account => "requests a minute of one account, by all its actors",
            Self::KeyChanges => {
                "changes an hour of one account's keys, actors and recovery code, its imports and its owner's exports included"
            }
            Self::Searches => "searches a minute of one actor, by all its keys",
            Self::SignIn => "requests a minute of one sign-in",
            Self::SignIns => "sign-ins an hour of one actor",
            Self::Unauthenticated => "requests a minute without a valid key from one address",
            Self::UnknownKeys => "unknown keys a minute from one address",
            Self::Static => "static files and forms to sign in a minute for one address",
            Self::Probes => "health probes a minute from one address",
            Self::Signups => "accounts an hour from one address",
            Self::Recoveries => "recoveries an hour from one address",
        }
    }

    /// The setting that raises it, in a sentence.
    pub(super) const fn raised_by(self) -> &'static str {
        match self {
            Self::Actor => "ROOTS_RATE_LIMIT_PER_MINUTE raises it.",
            Self::Account => "ROOTS_ACCOUNT_RATE_LIMIT_PER_MINUTE raises it.",
            Self::KeyChanges => "ROOTS_KEY_CHANGES_PER_HOUR raises it.",
            Self::Searches => "ROOTS_SEARCHES_PER_MINUTE raises it.",
            Self::SignIns => "ROOTS_SIGN_INS_PER_HOUR raises it.",
            Self::SignIn
            | Self::Unauthenticated
            | Self::UnknownKeys
            | Self::Static
            | Self::Probes => "No setting raises it; ROOTS_RATE_LIMIT_PER_MINUTE=0 turns it off.",
            Self::Signups => "ROOTS_SIGNUPS_PER_HOUR raises it.",
            Self::Recoveries => "ROOTS_RECOVERS_PER_HOUR raises it.",
        }
    }
}

/// The subject that a limit counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Actor(AccountId, ActorId),
    Account(AccountId),
    /// A sign-in, by its browser key.
    SignIn(Lookup),
    Address(IpAddr),
}

/// The limit that a request to a route counts against before it is handled. Requests to other
/// routes count as requests without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteLimit {
    /// None yet: the route needs a key, and a request counts once its caller is known.
    Caller,
    /// The limit on static files of one address.
    Static,
    /// The limit on health probes of one address, so that other requests from a supervisor's
    /// address can't use it up. From the server's own machine they are not counted: supervisors run
    /// there, and all of them share its address.
    Probe,
}

/// The limits, and what each remembers.
pub struct Limits {
    /// The active limits, in the order of [`LimitKind::ALL`].
    by_kind: [Option<Limit>; LimitKind::ALL.len()],
    pub(super) running_attempts: RunningAttempts,
    pub(super) trusted: Vec<TrustedProxy>,
}

impl Limits {
    /// The limits of these settings, with nothing counted yet.
    #[must_use]
    pub fn new(limits: &RateLimits, trusted: Vec<TrustedProxy>) -> Self {
        let limit = |kind: LimitKind| kind.allowance(limits).and_then(Limit::new);
        let running_attempts = RunningAttempts::default();
        Self { by_kind: LimitKind::ALL.map(limit), running_attempts, trusted }
    }

    pub(super) fn get(&self, kind: LimitKind) -> Option<&Limit> {
        self.by_kind[kind as usize].as_ref()
    }
}

/// The number of running attempts with unknown keys of each address that has any. It wakes waiting
/// requests when one ends.
#[derive(Default)]
pub(super) struct RunningAttempts(Mutex<HashMap<IpAddr, watch::Sender<usize>>>);

impl RunningAttempts {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, watch::Sender<usize>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds, rounded up: after waiting that long, the next attempt is allowed.
pub(super) fn whole_seconds(time: Duration) -> u32 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// An allowance: `most` requests at once, which refill evenly over `within`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    pub(super) name: &'static str,
    pub(super) most: NonZeroU32,
    pub(super) within: Duration,
}

impl Allowance {
    pub(super) fn each_after(self) -> Duration {
        self.within / self.most.get()
    }
}

/// The state of a limit for one subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct LimitState {
    pub(super) allowance: Allowance,
    /// The requests that are left.
    pub(super) left: u32,
    /// The time until the next request is allowed, if this one was not.
    pub(super) wait: Option<Duration>,
}

/// A limit, and its state for each subject.
pub(super) struct Limit {
    allowance: Allowance,
    gcra: RateLimiter<Subject, LimiterStates, Ticks, StateInformationMiddleware>,
    /// The states that `gcra` uses.
    remembered: LimiterStates,
}

impl Limit {
    /// `None` if the allowance refills by more than one a nanosecond.
    fn new(allowance: Allowance) -> Option<Self> {
        let quota = Quota::with_period(allowance.each_after())?.allow_burst(allowance.most);
        let states = Cache::builder()
            .max_capacity(REMEMBERED_MAX)
            .eviction_policy(EvictionPolicy::lru())
            // A client that made no attempt for this long has its full allowance back.
            .time_to_idle(allowance.within)
            .build();
        let remembered = LimiterStates(states);
        let gcra = RateLimiter::new(quota, remembered.clone(), Ticks(Instant::now()));
        Some(Self { allowance, gcra, remembered })
    }

    pub(super) fn count(&self, who: &Subject) -> LimitState {
        let allowance = self.allowance;
        match self.gcra.check_key(who) {
            Ok(granted) => {
                LimitState { allowance, left: granted.remaining_burst_capacity(), wait: None }
            }
            Err(refused) => {
                let wait = refused.wait_time_from(self.gcra.clock().now());
                LimitState { allowance, left: 0, wait: Some(wait) }
            }
        }
    }

    pub(super) fn take_back(&self, who: &Subject) {
        let one = Nanos::from(self.allowance.each_after()).as_u64();
        let earlier = |at: Option<Nanos>| at.map_or(0, |at| at.as_u64().saturating_sub(one));
        let Ok(()) = self.remembered.measure_and_replace(who, |at| {
            Ok::<_, std::convert::Infallible>(((), earlier(at).into()))
        });
    }
}

/// The state of each subject.
#[derive(Clone)]
struct LimiterStates(Cache<Subject, Arc<InMemoryState>>);

impl StateStore for LimiterStates {
    type Key = Subject;

    fn measure_and_replace<T, F, E>(&self, who: &Subject, decide: F) -> Result<T, E>
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

    const fn who(id: i64) -> Subject {
        Subject::Account(AccountId(id))
    }

    fn limit(most: u32) -> Limit {
        let most = NonZeroU32::new(most).unwrap();
        Limit::new(Allowance { name: "test", most, within: MINUTE }).unwrap()
    }

    fn waits(limit: &Limit, id: i64) -> Option<u64> {
        limit.count(&who(id)).wait.map(|wait| u64::try_from(wait.as_millis()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_allowance_can_be_used_at_once_and_refills_evenly() {
        let limit = limit(120);
        for left in (0..120).rev() {
            assert_eq!(limit.count(&who(1)).left, left);
        }
        assert_eq!(waits(&limit, 1), Some(500));
        // A refused request costs nothing.
        assert_eq!(waits(&limit, 1), Some(500));
        assert_eq!(waits(&limit, 2), None);
        advance(Duration::from_millis(499)).await;
        assert_eq!(waits(&limit, 1), Some(1));
        advance(Duration::from_millis(1)).await;
        assert_eq!(waits(&limit, 1), None);
        assert_eq!(waits(&limit, 1), Some(500));
        advance(MINUTE).await;
        assert_eq!(limit.count(&who(1)).left, 119);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_taken_back_does_not_count() {
        let limit = limit(2);
        for _ in 0..10 {
            assert_eq!(limit.count(&who(1)).left, 1);
            limit.take_back(&who(1));
        }
        limit.take_back(&who(2));
        assert_eq!([waits(&limit, 2), waits(&limit, 2)], [None, None]);
        assert_eq!(waits(&limit, 2), Some(30_000));
        limit.take_back(&who(2));
        assert_eq!(waits(&limit, 2), None);
    }

    #[test]
    fn without_a_limit_of_requests_the_limits_of_addresses_are_off_too() {
        let on = |limits: &RateLimits| {
            LimitKind::ALL.into_iter().filter(|kind| kind.allowance(limits).is_some()).count()
        };
        assert_eq!(on(&RateLimits::OFF), 0);
        assert_eq!(on(&RateLimits::default()), LimitKind::ALL.len());
        let requests_per_minute = NonZeroU32::new(1);
        assert_eq!(on(&RateLimits { requests_per_minute, ..RateLimits::OFF }), 6);
        let others = RateLimits { requests_per_minute: None, ..RateLimits::default() };
        assert_eq!(on(&others), 6);
    }

    #[test]
    fn very_many_clients_do_not_fill_the_memory_of_a_limit() {
        let limit = Arc::new(limit(1));
        let asking = (0..4_i64).map(|thread| {
            let limit = Arc::clone(&limit);
            std::thread::spawn(move || {
                let mut most = 0;
                for id in thread * 25_000..(thread + 1) * 25_000 {
                    assert_eq!(limit.count(&who(id)).wait, None);
                    if id % 1_000 == 0 {
                        most = most.max(limit.remembered.0.iter().count());
                    }
                }
                most
            })
        });
        let most = asking.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap());
        // The latest entries may not have been evicted yet.
        let bound = usize::try_from(REMEMBERED_MAX * 11 / 10).unwrap();
        let most = most.max().unwrap();
        assert!(most <= bound, "{most} remembered");
        // Makes it certain which client asked last: the threads end in any order.
        assert_eq!(limit.count(&who(100_000)).wait, None);
        assert!(limit.count(&who(100_000)).wait.is_some());
    }
}
