//! The client of a request, and the limits that the request counts against.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use roots_domain::model::id::AccountId;
use roots_domain::port::crypto::Lookup;
use roots_domain::service::access::Caller;
use tokio::sync::watch;

use super::caller_cache::Callers;
use super::client_ip;
use super::rate_limit::{
    Allowance, LimitKind, LimitState, Limits, RouteLimit, Subject, whole_seconds,
};
use crate::problem::Problem;
use crate::wire::{RATE_LIMIT, RATE_LIMIT_POLICY};

/// Counts a request that needs no key against its address, unless its route has a limit of its own,
/// and adds the state of each limit that it counted against to the answer.
pub async fn track<F: Future<Output = Response>>(
    client: &ClientContext,
    limit: Option<RouteLimit>,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let counted = match limit {
        Some(RouteLimit::Caller) => Ok(()),
        Some(RouteLimit::Probe) if client.is_here => Ok(()),
        Some(RouteLimit::Probe) => client.count_by_address(LimitKind::Probes),
        Some(RouteLimit::Static) => client.count_static(),
        None => client.count_unauthenticated(),
    };
    let mut response = match counted {
        Ok(()) => next(request).await,
        Err(problem) => problem.into_response(),
    };
    if response.status().is_client_error() {
        client.refused();
    }
    response.headers_mut().extend(client.headers());
    response
}

/// Limits how many accounts are made. Rejected sign-ups do not count.
pub async fn signups(request: Request, next: Next) -> Response {
    let client = match ClientContext::of(request.extensions()) {
        Ok(client) => client.clone(),
        Err(problem) => return problem.into_response(),
    };
    if let Err(problem) = client.count_by_address(LimitKind::Signups) {
        return problem.into_response();
    }
    let response = next.run(request).await;
    if response.status().is_client_error() {
        client.take_back(LimitKind::Signups);
    }
    response
}

/// Counts an attempt with a recovery code. Every attempt counts, so handlers extract it last.
pub struct Attempt;

impl<S: Sync> FromRequestParts<S> for Attempt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        ClientContext::of(&parts.extensions)?.count_by_address(LimitKind::Recoveries)?;
        Ok(Self)
    }
}

/// The result of counting an unknown key.
pub enum UnknownKey {
    /// It may be looked up. The attempt runs until this is dropped.
    Counted(RunningAttempt),
    /// The address has used up its limit, but some of its attempts are still running. Count the key
    /// again once one of them has ended.
    Wait(watch::Receiver<usize>),
}

/// An attempt with an unknown key whose look-up has not ended.
pub struct RunningAttempt {
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

/// The client of a request, and the limits that the request counted against.
#[derive(Clone)]
pub struct ClientContext {
    limits: Arc<Limits>,
    /// The address. For IPv6 it is the network of 64 bits, which one client usually has.
    address: IpAddr,
    /// Whether the peer is the loopback address of this machine.
    is_here: bool,
    noted: Arc<Mutex<Noted>>,
}

/// What is recorded of a request before it is handled.
#[derive(Default)]
struct Noted {
    counts: Vec<Count>,
    /// The caller, if it was found in the cache.
    remembered: Option<(Callers, Lookup)>,
    /// The account of the caller.
    account: Option<AccountId>,
}

/// A limit that a request counted against, and its state after that.
#[derive(Clone, Copy)]
struct Count {
    kind: LimitKind,
    subject: Subject,
    state: LimitState,
}

impl Count {
    /// The problem of a request that the limit refuses.
    fn limit_reached(&self) -> Option<Problem> {
        let LimitState { wait, allowance, .. } = self.state;
        let (most, kind) = (allowance.most.get(), self.kind);
        let seconds = whole_seconds(wait?);
        Some(Problem::too_many_requests(most, kind.what(), kind.raised_by(), seconds))
    }
}

impl ClientContext {
    /// Determines the client of a request and adds it to the request's extensions.
    pub fn arrive(limits: &Arc<Limits>, request: &mut Request) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        // Without a known peer, all clients are counted as one.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        let client = client_ip::of_client(peer, request.headers(), &limits.trusted);
        let (address, is_here) = (client_ip::client_network(client), client.is_loopback());
        let client = Self { limits: Arc::clone(limits), address, is_here, noted: Arc::default() };
        request.extensions_mut().insert(client.clone());
        client
    }

    /// The context of a request.
    ///
    /// # Errors
    /// 500 if [`ClientContext::arrive`] was not called.
    pub fn of(extensions: &Extensions) -> Result<&Self, Problem> {
        extensions.get().ok_or_else(|| Problem::internal("a request passed by the limits"))
    }

    /// Records that the request's caller was found in the cache.
    pub(super) fn note_remembered(&self, callers: &Callers, lookup: Lookup) {
        self.noted().remembered = Some((callers.clone(), lookup));
    }

    /// Records that the request's caller belongs to that account.
    pub(super) fn note_account(&self, account: AccountId) {
        self.noted().account = Some(account);
    }

    /// The account of the request's caller, if one was admitted.
    pub(crate) fn account(&self) -> Option<AccountId> {
        self.noted().account
    }

    /// Forgets the cached caller of a refused request, so that it is looked up again. Otherwise a
    /// key that another process has ended could go on sending requests that are refused without
    /// asking the database, and use up its account's limits.
    fn refused(&self) {
        if let Some((callers, lookup)) = self.noted().remembered.take() {
            callers.forget_refused(&lookup);
        }
    }

    /// Counts a request of that caller, who has shown an API key, against the limits of its actor
    /// and its account.
    ///
    /// # Errors
    /// A limit is reached. The others do not count the request.
    pub fn count_request(&self, caller: &Caller) -> Result<(), Problem> {
        let (account, actor) = (caller.account.id, caller.actor.id);
        self.count(LimitKind::Actor, Subject::Actor(account, actor))?;
        self.count(LimitKind::Account, Subject::Account(account))
    }

    /// Counts a request with that browser key against the allowance of its sign-in.
    ///
    /// # Errors
    /// The limit is reached. The others do not count the request.
    pub(super) fn count_of_sign_in(&self, browser_key: Lookup) -> Result<(), Problem> {
        self.count(LimitKind::SignIn, Subject::SignIn(browser_key))
    }

    /// The same client, for a further part of a long answer, which counts by itself: if it is
    /// refused, what counted before stays counted.
    pub(super) fn again(&self) -> Self {
        Self { noted: Arc::default(), ..self.clone() }
    }

    /// Counts a request of that caller that changes keys: also against the limit on key changes.
    ///
    /// # Errors
    /// A limit is reached. The others do not count the request.
    pub fn count_key_change(&self, caller: &Caller) -> Result<(), Problem> {
        self.count_request(caller)?;
        self.count_noted(caller.account.id)
    }

    /// Counts an entry of the audit log that costs nothing, against the limit on key changes.
    ///
    /// # Errors
    /// The limit is reached. The others do not count the request.
    pub fn count_noted(&self, account: AccountId) -> Result<(), Problem> {
        self.count(LimitKind::KeyChanges, Subject::Account(account))
    }

    /// Counts a search of that caller, who has shown that key. On pages each sign-in has the limit
    /// for itself.
    ///
    /// # Errors
    /// The limit is reached. The others do not count the request.
    pub(super) fn count_search(&self, caller: &Caller, key: Lookup) -> Result<(), Problem> {
        let actor = Subject::Actor(caller.account.id, caller.actor.id);
        let of = caller.sign_in.map_or(actor, |_| Subject::SignIn(key));
        self.count(LimitKind::Searches, of)
    }

    /// Counts a sign-in with the API key of that caller.
    ///
    /// # Errors
    /// The limit is reached.
    pub fn count_sign_in(&self, caller: &Caller) -> Result<(), Problem> {
        self.count(LimitKind::SignIns, Subject::Actor(caller.account.id, caller.actor.id))
    }

    /// Counts a request without a key or with a wrong one.
    ///
    /// # Errors
    /// Too many of them came from this address.
    pub fn count_unauthenticated(&self) -> Result<(), Problem> {
        self.count_by_address(LimitKind::Unauthenticated)
    }

    /// Counts a request that was refused before its key was looked at, unless it was counted
    /// already.
    ///
    /// # Errors
    /// Too many of them came from this address.
    pub fn count_unless_counted(&self) -> Result<(), Problem> {
        if self.noted().counts.is_empty() { self.count_unauthenticated() } else { Ok(()) }
    }

    /// Counts a refused request that goes on to cost something against its address, unless it was
    /// counted so already.
    ///
    /// # Errors
    /// A limit of its address is reached.
    pub fn count_by_address_at_least(&self) -> Result<(), Problem> {
        let is_by_address = |count: &&Count| matches!(count.subject, Subject::Address(_));
        let counted = self.noted().counts.iter().find(is_by_address).copied();
        match counted {
            Some(count) => count.limit_reached().map_or(Ok(()), Err),
            None => self.count_unauthenticated(),
        }
    }

    /// Takes the count back: the key is not wrong any more.
    pub fn take_back_unauthenticated(&self) {
        self.take_back(LimitKind::Unauthenticated);
    }

    /// Counts an unknown key before it is looked up.
    ///
    /// A running attempt may succeed, and its count is then taken back. So while this address has
    /// one, a key beyond the limit waits for it instead of being refused.
    ///
    /// # Errors
    /// Too many keys of this address were wrong.
    pub fn count_unknown_key(&self) -> Result<UnknownKey, Problem> {
        let (kind, subject) = (LimitKind::UnknownKeys, Subject::Address(self.address));
        let mut running = self.limits.running_attempts.lock();
        if let Some(limit) = self.limits.get(kind) {
            let state = limit.count(&subject);
            if state.wait.is_some()
                && let Some(attempts) = running.get(&self.address)
            {
                return Ok(UnknownKey::Wait(attempts.subscribe()));
            }
            self.settle(kind, subject, state)?;
        }
        let attempts = running.entry(self.address).or_default();
        attempts.send_if_modified(|count| {
            *count += 1;
            // Nothing waits for an attempt to begin.
            false
        });
        let limits = Arc::clone(&self.limits);
        Ok(UnknownKey::Counted(RunningAttempt { limits, address: self.address }))
    }

    /// Takes back the count of an unknown key that was not found to be wrong.
    pub fn take_back_unknown_key(&self) {
        self.take_back(LimitKind::UnknownKeys);
    }

    /// Counts a request for a static file or the form to sign in, or a preflight of a browser.
    ///
    /// # Errors
    /// Too many of them came from this address.
    pub fn count_static(&self) -> Result<(), Problem> {
        self.count_by_address(LimitKind::Static)
    }

    fn count_by_address(&self, kind: LimitKind) -> Result<(), Problem> {
        self.count(kind, Subject::Address(self.address))
    }

    /// Counts the request against a limit. If that is reached, the counts of the request against
    /// other limits are taken back: a refused request uses up nothing.
    fn count(&self, kind: LimitKind, subject: Subject) -> Result<(), Problem> {
        let Some(limit) = self.limits.get(kind) else { return Ok(()) };
        self.settle(kind, subject, limit.count(&subject))
    }

    fn settle(&self, kind: LimitKind, subject: Subject, state: LimitState) -> Result<(), Problem> {
        let counts = &mut self.noted().counts;
        let counted = Count { kind, subject, state };
        let Some(problem) = counted.limit_reached() else {
            counts.push(counted);
            return Ok(());
        };
        for count in counts.iter_mut() {
            if let Some(limit) = self.limits.get(count.kind) {
                limit.take_back(&count.subject);
                count.state.left += 1;
            }
        }
        counts.push(counted);
        Err(problem)
    }

    /// Takes back what was counted against a limit, and drops it from the headers.
    fn take_back(&self, kind: LimitKind) {
        let counts = &mut self.noted().counts;
        let Some(at) = counts.iter().position(|count| count.kind == kind) else { return };
        let count = counts.remove(at);
        if let Some(limit) = self.limits.get(kind) {
            limit.take_back(&count.subject);
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The headers of draft 10 of the IETF's `RateLimit` header fields: two lists (RFC 9651), with
    /// one item for each limit.
    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let (mut policies, mut left_of_each) = (Vec::new(), Vec::new());
        for Count { state: LimitState { allowance, left, .. }, .. } in &self.noted().counts {
            let Allowance { name, most, within } = allowance;
            let back_after = whole_seconds(allowance.each_after() * (most.get() - left));
            policies.push(format!("\"{name}\";q={most};w={}", within.as_secs()));
            left_of_each.push(format!("\"{name}\";r={left};t={back_after}"));
        }
        let lists = [(RATE_LIMIT_POLICY, policies), (RATE_LIMIT, left_of_each)];
        let valid = |(name, items): (_, Vec<String>)| {
            let is_sent = !items.is_empty();
            is_sent.then(|| Some((name, HeaderValue::from_str(&items.join(", ")).ok()?))).flatten()
        };
        lists.into_iter().filter_map(valid)
    }
}
