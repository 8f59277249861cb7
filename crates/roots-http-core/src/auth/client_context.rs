//! Where a request comes from, and what it counts against.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use roots_domain::model::id::AccountId;
use roots_domain::model::usage::Endpoint;
use roots_domain::port::crypto::Lookup;
use roots_domain::service::access::Caller;
use tokio::sync::watch;

use super::caller_cache::Callers;
use super::client_ip;
use super::rate_limit::{
    Allowance, LimitKind, Limits, Standing, Subject, changes_keys, whole_seconds,
};
use crate::problem::Problem;
use crate::wire::{FILE_PATH, HEALTH_PATH, RATE_LIMIT, RATE_LIMIT_POLICY, READY_PATH};

/// Counts a request that needs no key against its address, and says in the answer how that stands with
/// each limit that it counted against.
///
/// `/health` and `/ready` have an allowance of their own, which nothing else that a neighbour of a
/// supervisor asks for can use up. From this machine itself they count for nothing: there supervisors are,
/// and its address is everyone's who is there.
pub async fn track<F: Future<Output = Response>>(
    client: &ClientContext,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let counted = match route {
        Some(HEALTH_PATH | READY_PATH) if client.is_here => Ok(()),
        Some(HEALTH_PATH | READY_PATH) => client.count_by_address(LimitKind::Probes),
        Some(FILE_PATH) => client.count_static(),
        Some(route) if client.limits.keyed.contains(route) => Ok(()),
        _ => client.count_unauthenticated(),
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

/// Limits how many accounts are made. Whoever is refused for an error of the request has made none.
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

/// A recovery code is tried. Every attempt counts, so a handler asks for it once nothing else keeps the
/// caller from trying.
pub struct Attempt;

impl<S: Sync> FromRequestParts<S> for Attempt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        ClientContext::of(&parts.extensions)?.count_by_address(LimitKind::Recoveries)?;
        Ok(Self)
    }
}

/// What came of counting a key that is not known.
pub enum UnknownKey {
    /// It may be looked up, and runs until this is dropped.
    Counted(RunningAttempt),
    /// The address has used up its limit, but attempts of it are still running. Once one of them has
    /// ended, the key is to be counted again.
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

/// Where a request comes from, and what it counted against.
#[derive(Clone)]
pub struct ClientContext {
    limits: Arc<Limits>,
    /// Of IPv6 the network of 64 bits, which is what one client has.
    address: IpAddr,
    /// Whether it comes from this machine, by its loopback address.
    is_here: bool,
    noted: Arc<Mutex<Noted>>,
}

/// What is noted of a request on its way in.
#[derive(Default)]
struct Noted {
    counts: Vec<Count>,
    /// The caller that it came from, where it is one that was remembered.
    remembered: Option<(Callers, Lookup)>,
}

/// That a request counted against a limit, and how it then stood.
#[derive(Clone, Copy)]
struct Count {
    kind: LimitKind,
    subject: Subject,
    standing: Standing,
}

impl ClientContext {
    /// Learns where a request comes from, and hands that on with it.
    pub fn arrive(limits: &Arc<Limits>, request: &mut Request) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        // Where nobody says who asks, all are one.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        let client = client_ip::of_client(peer, request.headers(), &limits.trusted);
        let (address, is_here) = (client_ip::client_network(client), client.is_loopback());
        let client = Self { limits: Arc::clone(limits), address, is_here, noted: Arc::default() };
        request.extensions_mut().insert(client.clone());
        client
    }

    /// The one that a request comes with.
    ///
    /// # Errors
    /// Ours, where [`ClientContext::arrive`] was left out.
    pub fn of(extensions: &Extensions) -> Result<&Self, Problem> {
        extensions.get().ok_or_else(|| Problem::internal("a request passed by the limits"))
    }

    /// Notes that the request comes from a remembered caller.
    pub(super) fn note_remembered(&self, callers: &Callers, lookup: Lookup) {
        self.noted().remembered = Some((callers.clone(), lookup));
    }

    /// Has the remembered caller of a refused request looked up again. A key that another process has
    /// ended could otherwise go on asking for what is refused without a look at the database, and use
    /// up the limits of its account.
    fn refused(&self) {
        if let Some((callers, lookup)) = self.noted().remembered.take() {
            callers.forget_refused(&lookup);
        }
    }

    /// Counts a request of that caller against its actor's limit and its account's, and against the
    /// account's limit on changes of keys where it is one.
    ///
    /// # Errors
    /// One of the limits is met. The others are as if it had not been asked.
    pub fn count_request(&self, caller: &Caller, endpoint: &Endpoint) -> Result<(), Problem> {
        let (account, actor) = (caller.account.id, caller.actor.id);
        self.count(LimitKind::Actor, Subject::Actor(account, actor))?;
        self.count(LimitKind::Account, Subject::Account(account))?;
        if changes_keys(endpoint) {
            self.count(LimitKind::KeyChanges, Subject::Account(account))?;
        }
        Ok(())
    }

    /// Counts what is noted in the account's audit log at no cost, though it changes no key: together
    /// with the changes of keys, which are noted too.
    ///
    /// # Errors
    /// The limit is met. The others are as if it had not been asked.
    pub fn count_noted(&self, account: AccountId) -> Result<(), Problem> {
        self.count(LimitKind::KeyChanges, Subject::Account(account))
    }

    /// Counts a request without a key, or with one that is wrong.
    ///
    /// # Errors
    /// Too many of them came from this address.
    pub fn count_unauthenticated(&self) -> Result<(), Problem> {
        self.count_by_address(LimitKind::Unauthenticated)
    }

    /// Counts a request that was refused before anyone looked at its key, unless it counted already.
    ///
    /// # Errors
    /// Too many of them came from this address.
    pub fn count_unless_counted(&self) -> Result<(), Problem> {
        if self.noted().counts.is_empty() { self.count_unauthenticated() } else { Ok(()) }
    }

    /// Takes back that it was counted: the key is not wrong any more.
    pub fn take_back_unauthenticated(&self) {
        self.take_back(LimitKind::Unauthenticated);
    }

    /// Counts a key that is not known, before it is looked up.
    ///
    /// An attempt that is still running may turn out good and be taken back. So while this address has
    /// one, a key beyond the limit waits for it and is not refused.
    ///
    /// # Errors
    /// Too many of this address' keys were found wrong.
    pub fn count_unknown_key(&self) -> Result<UnknownKey, Problem> {
        let (kind, subject) = (LimitKind::UnknownKeys, Subject::Address(self.address));
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
    pub fn take_back_unknown_key(&self) {
        self.take_back(LimitKind::UnknownKeys);
    }

    /// Counts a request for a static file, or for what browsers are told before they ask.
    ///
    /// # Errors
    /// Too many of them came from this address.
    pub fn count_static(&self) -> Result<(), Problem> {
        self.count_by_address(LimitKind::Static)
    }

    fn count_by_address(&self, kind: LimitKind) -> Result<(), Problem> {
        self.count(kind, Subject::Address(self.address))
    }

    /// Counts the request against a limit. Where that is met, everything is taken back that the request
    /// counted against others: what is refused uses up nothing.
    fn count(&self, kind: LimitKind, subject: Subject) -> Result<(), Problem> {
        let Some(limit) = self.limits.get(kind) else { return Ok(()) };
        self.settle(kind, subject, limit.count(&subject))
    }

    fn settle(&self, kind: LimitKind, subject: Subject, standing: Standing) -> Result<(), Problem> {
        let counts = &mut self.noted().counts;
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

    /// As draft 10 of the IETF's `RateLimit` header fields has them: two lists (RFC 9651), with an item
    /// a limit.
    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let (mut policies, mut left_of_each) = (Vec::new(), Vec::new());
        for Count { standing: Standing { allowance, left, .. }, .. } in &self.noted().counts {
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
