//! How often may be asked, and against whom a request counts.
//!
//! The limits are GCRA: an allowance that may be used at once and comes back evenly. Each process
//! counts for itself. What a limit remembers is bounded: where more ask than that, it forgets those
//! that have not asked for the longest time, who then have their whole allowance again.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request};
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
use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::model::usage::Endpoint;
use roots_domain::usecase::access::Caller;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::address::{self, TrustedProxy};
use crate::pages::FILE_PATH;
use crate::problem::Problem;
use crate::service::{HEALTH_PATH, READY_PATH};

/// How many requests a minute one address may make without a key, or with one that is known to be wrong.
const STRANGERS_PER_MINUTE: u32 = 60;
/// How many keys a minute that are not known yet are looked up for one address, but for those that are
/// found good. It covers a fleet of agents that start at once, and no guessing.
const GUESSES_PER_MINUTE: u32 = 60;
/// How many files of the pages, and preflights of browsers, one address may ask for a minute.
const STATIC_PER_MINUTE: u32 = 600;
/// How often a minute one address may ask `/health` and `/ready`: ten times a second.
const PROBES_PER_MINUTE: u32 = 600;
/// How many keys or addresses a limit remembers.
const REMEMBERED_MAX: u64 = 20_000;
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How often may be asked. 0 is no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests a minute of one actor, by all its keys. Without it, requests without a good key are not
    /// limited by address either.
    pub requests_per_minute: u32,
    /// Requests a minute of one account, by all its actors.
    pub account_requests_per_minute: u32,
    /// Changes an hour of one account's keys, actors and recovery code, its imports and its owner's exports
    /// included: what leaves an entry in the audit log without a credit.
    pub key_changes_per_hour: u32,
    /// Accounts made an hour from one address.
    pub signups_per_hour: u32,
    /// Recoveries tried an hour from one address.
    pub recovers_per_hour: u32,
}

impl RateLimits {
    /// No limit at all.
    pub const OFF: Self = Self {
        requests_per_minute: 0,
        account_requests_per_minute: 0,
        key_changes_per_hour: 0,
        signups_per_hour: 0,
        recovers_per_hour: 0,
    };
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            requests_per_minute: 1_200,
            account_requests_per_minute: 12_000,
            key_changes_per_hour: 1_000,
            signups_per_hour: 3,
            recovers_per_hour: 10,
        }
    }
}

/// The limits that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Actor,
    Account,
    KeyChanges,
    Strangers,
    Guesses,
    Static,
    Probes,
    Signups,
    Recoveries,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Actor,
        Self::Account,
        Self::KeyChanges,
        Self::Strangers,
        Self::Guesses,
        Self::Static,
        Self::Probes,
        Self::Signups,
        Self::Recoveries,
    ];

    /// What it grants. 0 requests are no limit.
    fn policy(self, limits: &RateLimits) -> (&'static str, u32, Duration) {
        let unless_off = |most| if limits.requests_per_minute == 0 { 0 } else { most };
        match self {
            Self::Actor => ("actor", limits.requests_per_minute, MINUTE),
            Self::Account => ("account", limits.account_requests_per_minute, MINUTE),
            Self::KeyChanges => ("key-changes", limits.key_changes_per_hour, HOUR),
            Self::Strangers => ("strangers", unless_off(STRANGERS_PER_MINUTE), MINUTE),
            Self::Guesses => ("guesses", unless_off(GUESSES_PER_MINUTE), MINUTE),
            Self::Static => ("static", unless_off(STATIC_PER_MINUTE), MINUTE),
            Self::Probes => ("probes", unless_off(PROBES_PER_MINUTE), MINUTE),
            Self::Signups => ("signups", limits.signups_per_hour, HOUR),
            Self::Recoveries => ("recoveries", limits.recovers_per_hour, HOUR),
        }
    }

    /// What it counts.
    const fn what(self) -> &'static str {
        match self {
            Self::Actor => "requests a minute of one actor, by all its keys",
            Self::Account => "requests a minute of one account, by all its actors",
            Self::KeyChanges => {
                "changes an hour of one account's keys, actors and recovery code, its imports and its owner's exports included"
            }
            Self::Strangers => "requests a minute without a valid key from one address",
            Self::Guesses => "unknown keys a minute from one address",
            Self::Static => "static files a minute for one address",
            Self::Probes => "probes of /health and /ready a minute from one address",
            Self::Signups => "accounts an hour from one address",
            Self::Recoveries => "recoveries an hour from one address",
        }
    }

    /// The setting that raises it, in a sentence.
    const fn raised_by(self) -> &'static str {
        match self {
            Self::Actor => "ROOTS_RATE_LIMIT_PER_MINUTE raises it.",
            Self::Account => "ROOTS_ACCOUNT_RATE_LIMIT_PER_MINUTE raises it.",
            Self::KeyChanges => "ROOTS_KEY_CHANGES_PER_HOUR raises it.",
            Self::Strangers | Self::Guesses | Self::Static | Self::Probes => {
                "No setting raises it; ROOTS_RATE_LIMIT_PER_MINUTE=0 turns it off."
            }
            Self::Signups => "ROOTS_SIGNUPS_PER_HOUR raises it.",
            Self::Recoveries => "ROOTS_RECOVERS_PER_HOUR raises it.",
        }
    }
}

/// Of whom a limit counts the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Actor(AccountId, ActorId),
    Account(AccountId),
    Address(IpAddr),
}

/// The limits, and what each remembers.
pub(crate) struct Limits {
    /// Those that are on, in the order of [`Kind::ALL`].
    by_kind: [Option<Limit>; Kind::ALL.len()],
    running_attempts: RunningAttempts,
    trusted: Vec<TrustedProxy>,
    /// The routes that demand a key, and count once it is known whose it is.
    keyed: HashSet<String>,
}

impl Limits {
    pub(crate) fn new(
        limits: &RateLimits,
        trusted: Vec<TrustedProxy>,
        keyed: HashSet<String>,
    ) -> Self {
        let limit = |kind: Kind| {
            let (name, most, within) = kind.policy(limits);
            Limit::new(name, most, within)
        };
        let running_attempts = RunningAttempts::default();
        Self { by_kind: Kind::ALL.map(limit), running_attempts, trusted, keyed }
    }

    fn get(&self, kind: Kind) -> Option<&Limit> {
        self.by_kind[kind as usize].as_ref()
    }
}

/// Counts a request that needs no key against its address, and says in the answer how that stands with
/// each limit that it counted against.
///
/// `/health` and `/ready` have an allowance of their own, which nothing else that a neighbour of a
/// supervisor asks for can use up. From this machine itself they count for nothing: there supervisors are,
/// and its address is everyone's who is there.
pub(crate) async fn track<F: Future<Output = Response>>(
    visitor: &Visitor,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let counted = match route {
        Some(HEALTH_PATH | READY_PATH) if visitor.is_here => Ok(()),
        Some(HEALTH_PATH | READY_PATH) => visitor.count_by_address(Kind::Probes),
        Some(FILE_PATH) => visitor.count_static(),
        Some(route) if visitor.limits.keyed.contains(route) => Ok(()),
        _ => visitor.count_stranger(),
    };
    let mut response = match counted {
        Ok(()) => next(request).await,
        Err(problem) => problem.into_response(),
    };
    response.headers_mut().extend(visitor.headers());
    response
}

/// Limits how many accounts are made. Whoever is refused for a fault of the request has made none.
pub(crate) async fn signups(request: Request, next: Next) -> Response {
    let visitor = match Visitor::of(request.extensions()) {
        Ok(visitor) => visitor.clone(),
        Err(problem) => return problem.into_response(),
    };
    if let Err(problem) = visitor.count_by_address(Kind::Signups) {
        return problem.into_response();
    }
    let response = next.run(request).await;
    if response.status().is_client_error() {
        visitor.take_back(Kind::Signups);
    }
    response
}

/// A recovery code is tried. Every attempt counts, so a handler asks for it once nothing else keeps the
/// caller from trying.
pub(crate) struct Attempt;

impl<S: Sync> FromRequestParts<S> for Attempt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Visitor::of(&parts.extensions)?.count_by_address(Kind::Recoveries)?;
        Ok(Self)
    }
}

/// What came of counting a key that is not known.
pub(crate) enum UnknownKey {
    /// It may be looked up, and runs until this is dropped.
    Counted(RunningAttempt),
    /// The address has used up its limit, but attempts of it are still running. Once one of them has
    /// ended, the key is to be counted again.
    Wait(watch::Receiver<usize>),
}

/// An attempt with an unknown key whose look-up has not ended.
pub(crate) struct RunningAttempt {
    limits: Arc<Limits>,
    address: IpAddr,
}

impl Drop for RunningAttempt {
    fn drop(&mut self) {
        let mut running = self.limits.running_attempts.lock();
        let Some(attempts) = running.get(&self.address) else { return };
        attempts.send_modify(|count| *count = count.saturating_sub(1));
        let is_last = *attempts.borrow() == 0;
        if is_last {
            running.remove(&self.address);
        }
    }
}

/// How many attempts with unknown keys each address has running. It holds those that have one, and tells
/// those that wait when one ends.
#[derive(Default)]
struct RunningAttempts(Mutex<HashMap<IpAddr, watch::Sender<usize>>>);

impl RunningAttempts {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, watch::Sender<usize>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a request comes from, and what it counted against.
#[derive(Clone)]
pub(crate) struct Visitor {
    limits: Arc<Limits>,
    /// Of IPv6 the network of 64 bits, which is what one client has.
    address: IpAddr,
    /// Whether it comes from this machine, by its loopback address.
    is_here: bool,
    counts: Arc<Mutex<Vec<Count>>>,
}

/// That a request counted against a limit, and how it then stood.
#[derive(Clone, Copy)]
struct Count {
    kind: Kind,
    subject: Subject,
    standing: Standing,
}

impl Visitor {
    /// Learns where a request comes from, and hands that on with it.
    pub(crate) fn arrive(limits: &Arc<Limits>, request: &mut Request) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        // Where nobody says who asks, all are one.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        let client = address::of_client(peer, request.headers(), &limits.trusted);
        let (address, is_here) = (address::client_network(client), client.is_loopback());
        let visitor = Self { limits: Arc::clone(limits), address, is_here, counts: Arc::default() };
        request.extensions_mut().insert(visitor.clone());
        visitor
    }

    /// The one that a request comes with.
    ///
    /// # Errors
    /// Ours, where [`Visitor::arrive`] was left out.
    pub(crate) fn of(extensions: &Extensions) -> Result<&Self, Problem> {
        extensions.get().ok_or_else(|| Problem::internal("a request passed by the limits"))
    }

    /// Counts a request of that caller against its actor's limit and its account's, and against the
    /// account's limit on changes of keys where it is one.
    ///
    /// # Errors
    /// One of the limits is met. The others are as if it had not been asked.
    pub(crate) fn count_request(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
    ) -> Result<(), Problem> {
        let (account, actor) = (caller.account.id, caller.actor.id);
        self.count(Kind::Actor, Subject::Actor(account, actor))?;
        self.count(Kind::Account, Subject::Account(account))?;
        if changes_keys(endpoint) {
            self.count(Kind::KeyChanges, Subject::Account(account))?;
        }
        Ok(())
    }

    /// Counts what is noted in the account's audit log at no cost, though it changes no key: together
    /// with the changes of keys, which are noted too.
    ///
    /// # Errors
    /// The limit is met. The others are as if it had not been asked.
    pub(crate) fn count_noted(&self, account: AccountId) -> Result<(), Problem> {
        self.count(Kind::KeyChanges, Subject::Account(account))
    }

    /// Counts a request without a key, or with one that is wrong.
    ///
    /// # Errors
    /// Too many of them came from this address.
    pub(crate) fn count_stranger(&self) -> Result<(), Problem> {
        self.count_by_address(Kind::Strangers)
    }

    /// Counts a request that was refused before anyone looked at its key, unless it counted already.
    ///
    /// # Errors
    /// Too many of them came from this address.
    pub(crate) fn count_unless_counted(&self) -> Result<(), Problem> {
        if self.counts().is_empty() { self.count_stranger() } else { Ok(()) }
    }

    /// Takes back that it was counted: the key is not wrong any more.
    pub(crate) fn take_back_stranger(&self) {
        self.take_back(Kind::Strangers);
    }

    /// Counts a key that is not known, before it is looked up.
    ///
    /// An attempt that is still running may turn out good and be taken back. So while this address has
    /// one, a key beyond the limit waits for it and is not refused.
    ///
    /// # Errors
    /// Too many of this address' keys were found wrong.
    pub(crate) fn count_unknown_key(&self) -> Result<UnknownKey, Problem> {
        let (kind, subject) = (Kind::Guesses, Subject::Address(self.address));
        let mut running = self.limits.running_attempts.lock();
        if let Some(limit) = self.limits.get(kind) {
            let standing = limit.count(&subject);
            if standing.wait.is_some()
                && let Some(attempts) = running.get(&self.address)
            {
                return Ok(UnknownKey::Wait(attempts.subscribe()));
            }
            self.settle(kind, subject, standing)?;
        }
        let attempts = running.entry(self.address).or_default();
        attempts.send_if_modified(|count| {
            *count += 1;
            // Nobody waits for an attempt to begin.
            false
        });
        let limits = Arc::clone(&self.limits);
        Ok(UnknownKey::Counted(RunningAttempt { limits, address: self.address }))
    }

    /// Takes back that an unknown key was counted: it was not found wrong.
    pub(crate) fn take_back_unknown_key(&self) {
        self.take_back(Kind::Guesses);
    }

    /// Counts a request for a static file, or for what browsers are told before they ask.
    ///
    /// # Errors
    /// Too many of them came from this address.
    pub(crate) fn count_static(&self) -> Result<(), Problem> {
        self.count_by_address(Kind::Static)
    }

    fn count_by_address(&self, kind: Kind) -> Result<(), Problem> {
        self.count(kind, Subject::Address(self.address))
    }

    /// Counts the request against a limit. Where that is met, everything is taken back that the request
    /// counted against others: what is refused uses up nothing.
    fn count(&self, kind: Kind, subject: Subject) -> Result<(), Problem> {
        let Some(limit) = self.limits.get(kind) else { return Ok(()) };
        self.settle(kind, subject, limit.count(&subject))
    }

    fn settle(&self, kind: Kind, subject: Subject, standing: Standing) -> Result<(), Problem> {
        let mut counts = self.counts();
        let Some(wait) = standing.wait else {
            counts.push(Count { kind, subject, standing });
            return Ok(());
        };
        for count in counts.iter_mut() {
            if let Some(limit) = self.limits.get(count.kind) {
                limit.take_back(&count.subject);
                count.standing.left += 1;
            }
        }
        counts.push(Count { kind, subject, standing });
        let most = standing.allowance.most.get();
        let seconds = whole_seconds(wait);
        Err(Problem::too_many_requests(most, kind.what(), kind.raised_by(), seconds))
    }

    /// Takes back what was counted against a limit, and tells no more of it.
    fn take_back(&self, kind: Kind) {
        let mut counts = self.counts();
        let Some(at) = counts.iter().position(|count| count.kind == kind) else { return };
        let count = counts.remove(at);
        if let Some(limit) = self.limits.get(kind) {
            limit.take_back(&count.subject);
        }
    }

    fn counts(&self) -> MutexGuard<'_, Vec<Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As draft 10 of the IETF's `RateLimit` header fields has them: two lists (RFC 9651), with an item
    /// a limit.
    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let (mut policies, mut left_of_each) = (Vec::new(), Vec::new());
        for Count { standing: Standing { allowance, left, .. }, .. } in self.counts().iter() {
            let Allowance { name, most, within } = allowance;
            let back_after = whole_seconds(allowance.each_after() * (most.get() - left));
            policies.push(format!("\"{name}\";q={most};w={}", within.as_secs()));
            left_of_each.push(format!("\"{name}\";r={left};t={back_after}"));
        }
        let lists = [(RATE_LIMIT_POLICY, policies), (RATE_LIMIT, left_of_each)];
        let valid = |(name, items): (_, Vec<String>)| {
            let is_told = !items.is_empty();
            is_told.then(|| Some((name, HeaderValue::from_str(&items.join(", ")).ok()?))).flatten()
        };
        lists.into_iter().filter_map(valid)
    }
}

/// Whether a call changes keys, actors or recovery codes, but for those that only end some. There is no more
/// to end than was made, and a member or a thief that uses up the limit keeps no owner from ending its keys.
fn changes_keys(Endpoint { route, method }: &Endpoint) -> bool {
    let is_write = matches!(method.as_str(), "POST" | "PATCH");
    let first = route.split('/').nth(1);
    is_write && matches!(first, Some("keys" | "actors" | "recovery-code"))
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

/// A limit, and what it remembers of each.
struct Limit {
    allowance: Allowance,
    gcra: RateLimiter<Subject, Remembered, Ticks, StateInformationMiddleware>,
    /// The same as `gcra` has.
    remembered: Remembered,
}

impl Limit {
    /// None where `most` is 0.
    fn new(name: &'static str, most: u32, within: Duration) -> Option<Self> {
        let allowance = Allowance { name, most: NonZeroU32::new(most)?, within };
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

    fn count(&self, who: &Subject) -> Standing {
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

    fn take_back(&self, who: &Subject) {
        let one = Nanos::from(self.allowance.each_after()).as_u64();
        let earlier = |at: Option<Nanos>| at.map_or(0, |at| at.as_u64().saturating_sub(one));
        let Ok(()) = self.remembered.measure_and_replace(who, |at| {
            Ok::<_, std::convert::Infallible>(((), earlier(at).into()))
        });
    }
}

/// What is remembered of each.
#[derive(Clone)]
struct Remembered(Cache<Subject, Arc<InMemoryState>>);

impl StateStore for Remembered {
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
        Limit::new("test", most, MINUTE).unwrap()
    }

    fn waits(limit: &Limit, id: i64) -> Option<u64> {
        limit.count(&who(id)).wait.map(|wait| u64::try_from(wait.as_millis()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_allowance_may_be_used_at_once_and_comes_back_evenly() {
        let limit = limit(120);
        for left in (0..120).rev() {
            assert_eq!(limit.count(&who(1)).left, left);
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
        assert_eq!(limit.count(&who(1)).left, 119);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_back_was_never_counted() {
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
    fn changes_of_keys_are_told_by_their_routes() {
        let changes = |method: &str, route: &str| {
            changes_keys(&Endpoint { route: route.to_owned(), method: method.to_owned() })
        };
        for (method, route) in [
            ("POST", "/keys"),
            ("POST", "/keys/rotate"),
            ("POST", "/actors"),
            ("PATCH", "/actors/{id}"),
            ("POST", "/recovery-code"),
        ] {
            assert!(changes(method, route), "{method} {route}");
        }
        for (method, route) in [
            ("GET", "/keys"),
            ("HEAD", "/actors"),
            ("POST", "/todos"),
            ("DELETE", "/keys/{id}"),
            ("DELETE", "/actors/{id}"),
            ("DELETE", "/accounts/me"),
        ] {
            assert!(!changes(method, route), "{method} {route}");
        }
    }

    #[test]
    fn zero_is_no_limit() {
        assert!(Limit::new("test", 0, MINUTE).is_none());
    }

    #[test]
    fn however_many_ask_they_do_not_fill_the_memory() {
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
        // What was asked last may not have been tidied up yet.
        let bound = usize::try_from(REMEMBERED_MAX * 11 / 10).unwrap();
        let most = most.max().unwrap();
        assert!(most <= bound, "{most} remembered");
        // Who asked last is known. The threads end in any order: none of them surely asked last.
        assert_eq!(limit.count(&who(100_000)).wait, None);
        assert!(limit.count(&who(100_000)).wait.is_some());
    }
}
