//! Authentication: the API key of a request, the callers admitted a moment ago, and the keys found
//! to be wrong.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, MatchedPath};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use axum::response::{IntoResponseParts, ResponseParts};
use futures_util::FutureExt;
use roots_domain::command::Refusal;
use roots_domain::model::usage::Endpoint;
use roots_domain::port::crypto::{Lookup, PresentedKey};
use roots_domain::port::store::StoreError;
use roots_domain::service::access::Caller;
use roots_domain::service::{ReadError, WriteError, Written};
use secrecy::SecretString;
use tokio::sync::{oneshot, watch};
use tracing::Instrument;

use super::caller_cache::{KeyHistory, LookUp, Running, UntilItEnds};
use super::client_context::{ClientContext, RunningAttempt, UnknownKey};
use super::key_header::key_text;
use crate::middleware::fair_permits::FairPermit;
use crate::middleware::list_permits::{FoundRows, Room};
use crate::problem::Problem;
use crate::state::SharedState;
use crate::wire::{API_PATH, IDEMPOTENT_REPLAYED, credit_headers, known_method};

/// The bearer of a key in force.
#[derive(Clone)]
pub struct Bearer {
    caller: Arc<Caller>,
    key: PresentedKey,
    client: ClientContext,
    state: SharedState,
}

impl Deref for Bearer {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Bearer {
    /// Admits the bearer of a key that was read. The request counts by address if the key is wrong,
    /// and as nothing else yet.
    pub(super) async fn admit(
        key: PresentedKey,
        client: ClientContext,
        state: SharedState,
    ) -> Result<Self, NotAdmitted> {
        let caller = admitted(&state, &client, &key).await?;
        client.note_account(caller.account.id);
        Ok(Self { caller, key, client, state })
    }

    /// Admits the bearer of an API key that was typed, and records its use.
    pub(super) async fn of_text(
        text: SecretString,
        client: ClientContext,
        state: SharedState,
    ) -> Result<Self, Problem> {
        let key = match state.access.parse_key(&text) {
            Ok(key) => key,
            Err(error) => {
                client.count_unauthenticated()?;
                return Err(error.into());
            }
        };
        let bearer = Self::admit(key, client, state).await?;
        bearer.note_use();
        Ok(bearer)
    }

    /// The bearer of an API key that was typed in the same request.
    pub(super) async fn typed(&self, text: SecretString) -> Result<Self, Problem> {
        Self::of_text(text, self.client.clone(), Arc::clone(&self.state)).await
    }

    /// Records that its key was used.
    pub(super) fn note_use(&self) {
        self.state.key_usage.note(&self.caller);
    }

    /// The caller, for work that outlasts the handler.
    #[must_use]
    pub fn caller(&self) -> Arc<Caller> {
        Arc::clone(&self.caller)
    }

    /// The look-up hash of its key.
    #[must_use]
    pub const fn lookup(&self) -> Lookup {
        self.key.lookup
    }

    /// The state that it was admitted by.
    pub(crate) const fn state(&self) -> &SharedState {
        &self.state
    }

    /// Looks up whether its key is still in force.
    ///
    /// # Errors
    /// 401 if it is not, or a database error.
    pub(super) async fn check_again(&self) -> Result<(), Problem> {
        self.state.access.check_again(self.key.lookup).await?;
        Ok(())
    }

    /// Counts a further part of a long answer to a request with a browser key.
    ///
    /// # Errors
    /// 429 if the sign-in has reached its limit.
    pub(super) fn count_of_sign_in_again(&self) -> Result<(), Problem> {
        self.client.again().count_of_sign_in(self.key.lookup)
    }

    /// Counts this request as one that adds an entry to the audit log at no cost. A request that is
    /// taken with a [`KeyChanger`] is counted already.
    ///
    /// # Errors
    /// 429 if the account has reached its limit of such entries.
    pub fn count_noted(&self) -> Result<(), Problem> {
        self.client.count_noted(self.caller.account.id)
    }

    /// Counts a call of that endpoint as usage.
    pub fn count_call(&self, endpoint: Endpoint) {
        self.state.usage.count(&self.caller, endpoint);
    }

    /// Counts this request as a search.
    ///
    /// # Errors
    /// 429 if the actor has reached its limit of searches.
    pub fn count_search(&self) -> Result<(), Problem> {
        self.client.count_search(&self.caller, self.key.lookup)
    }

    /// Runs a read. If the account's auth epoch has moved since the bearer was admitted, which the
    /// read checks first, the bearer is admitted again and the read is repeated once.
    ///
    /// # Errors
    /// What the read failed with, or 401 if the key is no longer in force.
    pub async fn read<T, F>(&mut self, read: impl Fn(Arc<Caller>) -> F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, ReadError>>,
    {
        match read(self.caller()).await {
            Err(ReadError::Store(StoreError::EpochMoved)) => {}
            found => return Ok(found?),
        }
        self.admit_anew().await?;
        Ok(read(self.caller()).await?)
    }

    /// Runs a read of many rows, as [`Self::read`] does, in the account's turn: a list whose rows
    /// have no texts, or statistics. Do not call it while you hold a [`Room`], which may hold a
    /// turn: requests that hold one and wait for another could all wait for each other.
    ///
    /// # Errors
    /// As [`Self::read`], and 503 if too many requests of the account wait.
    pub async fn read_in_turn<T, F>(
        &mut self,
        read: impl Fn(Arc<Caller>) -> F,
    ) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, ReadError>>,
    {
        let _permit = self.state.list_permits.of(self).permit(self.caller.account.id).await?;
        self.read(read).await
    }

    /// Reads rows, as [`Self::read`] does, and reserves room for the answer.
    ///
    /// # Errors
    /// What the read failed with; 401 if the key is no longer in force; what
    /// [`ReadPermits::read`](crate::middleware::list_permits::ReadPermits::read) is refused with.
    pub async fn read_rows<T, E, F>(
        &mut self,
        find: impl Fn(Arc<Caller>) -> F,
    ) -> Result<(T, Room), Problem>
    where
        T: FoundRows,
        F: Future<Output = Result<T, E>>,
        ReadError: From<E>,
    {
        let (state, account, find) = (Arc::clone(&self.state), self.caller.account.id, &find);
        let permits = state.list_permits.of(&self.caller);
        let read = |caller: Arc<Caller>| permits.read(account, move || find(Arc::clone(&caller)));
        self.read(read).await?
    }

    /// Reads further rows of an answer that has this room. Keep the permit while they are
    /// decrypted.
    ///
    /// # Errors
    /// As [`Self::read_rows`], and 503 if no memory is left for them.
    pub async fn read_rows_on<T, E, F>(
        &mut self,
        room: &Room,
        find: impl Fn(Arc<Caller>) -> F,
    ) -> Result<(T, FairPermit), Problem>
    where
        T: FoundRows,
        F: Future<Output = Result<T, E>>,
        ReadError: From<E>,
    {
        let (state, account, find) = (Arc::clone(&self.state), self.caller.account.id, &find);
        let permits = state.list_permits.of(&self.caller);
        let read =
            |caller: Arc<Caller>| permits.read_on(account, room, move || find(Arc::clone(&caller)));
        self.read(read).await?
    }

    /// Looks the key up again: its caller was remembered from before the account's auth epoch
    /// moved.
    async fn admit_anew(&mut self) -> Result<(), Problem> {
        self.state.callers.forget(&self.key.lookup);
        self.caller = admitted(&self.state, &self.client, &self.key).await?;
        Ok(())
    }

    /// The result of this caller's write, and the headers with its cost.
    ///
    /// # Errors
    /// What the write failed with.
    pub fn settle<T>(
        &self,
        outcome: Result<Written<T>, WriteError>,
    ) -> Result<(T, CreditHeaders), Problem> {
        let Written { value, cost, balance, is_replay } = self.checked(outcome)?;
        Ok((value, CreditHeaders { cost, balance, is_replay }))
    }

    /// Learns from the result of a caller's write. A key that has ended meanwhile is forgotten, and
    /// so is a caller whose account was renewed: the next request with the key looks it up again.
    ///
    /// # Errors
    /// What the write failed with.
    pub fn checked<T>(&self, outcome: Result<T, WriteError>) -> Result<T, Problem> {
        if let Err(
            WriteError::Refused(Refusal::KeyNotInForce | Refusal::KeysRenewed(_))
            | WriteError::Store(StoreError::EpochMoved),
        ) = outcome
        {
            self.state.callers.forget(&self.key.lookup);
        }
        Ok(outcome?)
    }
}

/// What a write cost, the balance, and whether it is a replay of an earlier write.
pub struct CreditHeaders {
    cost: i64,
    balance: i64,
    is_replay: bool,
}

impl IntoResponseParts for CreditHeaders {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.headers_mut().extend(credit_headers(self.cost, self.balance));
        if self.is_replay {
            parts.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(parts)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Bearer
where
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, from: &S) -> Result<Self, Problem> {
        let state = SharedState::from_ref(from);
        let bearer = bearer(parts, state, ClientContext::count_request).await?;
        bearer.count_call(called(parts));
        Ok(bearer)
    }
}

/// The bearer of a key in force on a path that does not tell what is called. Its call is not
/// counted as usage yet: the handler does so with [`Bearer::count_call`].
pub struct UncountedBearer(pub Bearer);

impl<S: Send + Sync> FromRequestParts<S> for UncountedBearer
where
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, from: &S) -> Result<Self, Problem> {
        let state = SharedState::from_ref(from);
        bearer(parts, state, ClientContext::count_request).await.map(Self)
    }
}

/// The bearer of a key in force that opens a stream. That counts as a request, and not as a use of
/// the key: a stream is opened again by itself, for as long as a program runs that nobody needs.
pub struct StreamBearer(pub Bearer);

impl<S: Send + Sync> FromRequestParts<S> for StreamBearer
where
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, from: &S) -> Result<Self, Problem> {
        let state = SharedState::from_ref(from);
        let bearer = unnoted(parts, state, ClientContext::count_request).await?;
        bearer.count_call(called(parts));
        Ok(Self(bearer))
    }
}

/// The bearer of a key in force whose request changes keys, actors or recovery codes. The request
/// counts against the account's limit on key changes before its body is read, and so even if it
/// fails.
///
/// Requests that only end some do not count: there is no more to end than was created, and a member
/// or a thief that uses up the limit must not keep the owner from ending its keys.
pub struct KeyChanger(pub Bearer);

impl<S: Send + Sync> FromRequestParts<S> for KeyChanger
where
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, from: &S) -> Result<Self, Problem> {
        let state = SharedState::from_ref(from);
        let bearer = bearer(parts, state, ClientContext::count_key_change).await?;
        bearer.count_call(called(parts));
        Ok(Self(bearer))
    }
}

/// Admits the bearer of a request's key, counts the request with `count` against the limits of the
/// caller, and records the use of the key.
async fn bearer(
    parts: &mut Parts,
    state: SharedState,
    count: fn(&ClientContext, &Caller) -> Result<(), Problem>,
) -> Result<Bearer, Problem> {
    let bearer = unnoted(parts, state, count).await?;
    bearer.state.key_usage.note(&bearer.caller);
    Ok(bearer)
}

/// The same, without recording the use of the key.
async fn unnoted(
    parts: &mut Parts,
    state: SharedState,
    count: fn(&ClientContext, &Caller) -> Result<(), Problem>,
) -> Result<Bearer, Problem> {
    let client = ClientContext::of(&parts.extensions)?.clone();
    let access = &state.access;
    let presented = key_text(&mut parts.headers).and_then(|text| Ok(access.parse_key(&text)?));
    let key = match presented {
        Ok(key) => key,
        Err(problem) => {
            client.count_unauthenticated()?;
            return Err(problem);
        }
    };
    let bearer = Bearer::admit(key, client, state).await?;
    count(&bearer.client, &bearer)?;
    Ok(bearer)
}

/// The endpoint that a request calls. Only requests that match a route are authenticated.
fn called(parts: &Parts) -> Endpoint {
    let path = parts.extensions.get().map_or("", MatchedPath::as_str);
    let route = path.strip_prefix(API_PATH).unwrap_or(path).to_owned();
    Endpoint { route, method: known_method(&parts.method).to_owned() }
}

/// Why the bearer of a key is not admitted.
#[derive(Debug)]
pub(super) enum NotAdmitted {
    /// Too many wrong keys came from its address.
    Limited(Problem),
    /// Its key is wrong, or that could not be told.
    Refused(ReadError),
}

impl From<Problem> for NotAdmitted {
    fn from(problem: Problem) -> Self {
        Self::Limited(problem)
    }
}

impl From<ReadError> for NotAdmitted {
    fn from(error: ReadError) -> Self {
        Self::Refused(error)
    }
}

impl From<NotAdmitted> for Problem {
    fn from(error: NotAdmitted) -> Self {
        match error {
            NotAdmitted::Limited(problem) => problem,
            NotAdmitted::Refused(error) => error.into(),
        }
    }
}

/// Whether the key itself is wrong.
const fn is_wrong<T>(admitted: &Result<T, ReadError>) -> bool {
    matches!(admitted, Err(ReadError::Refused(Refusal::KeyNotInForce | Refusal::SignInEnded(_))))
}

/// Whether the key is that of a sign-in of which is known why it ended.
const fn says_why<T>(admitted: &Result<T, ReadError>) -> bool {
    matches!(admitted, Err(ReadError::Refused(Refusal::SignInEnded(_))))
}

/// Admits the bearer of a key, from the cache or by a look-up.
async fn admitted(
    state: &SharedState,
    client: &ClientContext,
    key: &PresentedKey,
) -> Result<Arc<Caller>, NotAdmitted> {
    let (shared, has_counted) = loop {
        match find(state, client, key)? {
            KeyLookup::Remembered(caller) => {
                client.note_remembered(&state.callers, key.lookup);
                return Ok(caller);
            }
            KeyLookup::LookUp { shared, has_counted } => break (shared, has_counted),
            KeyLookup::Wait(mut attempts) => {
                // An error says that the last of them has ended.
                let _ = attempts.changed().await;
            }
        }
    };
    let admitted = shared.await;
    if is_wrong(&admitted) && !has_counted {
        client.count_unauthenticated()?;
    }
    let caller = admitted?;
    // It may have expired while its look-up ran.
    state.access.check_expiry(&caller)?;
    Ok(caller)
}

/// The state of a request's key in the cache.
enum KeyLookup {
    /// Its caller is cached.
    Remembered(Arc<Caller>),
    /// Its look-up, and whether the request has already counted as an attempt with a wrong key.
    LookUp { shared: LookUp, has_counted: bool },
    /// Other keys of the address are being looked up. Until one of them is found valid, this one
    /// has to wait.
    Wait(watch::Receiver<usize>),
}

/// Finds a key's cached caller or its running look-up, or begins a look-up, unless the key was
/// found to be wrong a moment ago.
///
/// An unknown key counts as an unknown-key attempt until it is found valid. So an address never has
/// more look-ups running than it may try unknown keys a minute. Each key is counted once. Later, a
/// wrong key counts as an unauthenticated request before it is looked up again. A request that
/// shares a running look-up counts nothing, or an unauthenticated request once the key is found to
/// be wrong; so does a request with a key that was valid lately.
fn find(
    state: &SharedState,
    client: &ClientContext,
    key: &PresentedKey,
) -> Result<KeyLookup, NotAdmitted> {
    let (callers, lookup) = (&state.callers, key.lookup);
    if let Some(caller) = callers.get(&lookup) {
        state.access.check_expiry(&caller).inspect_err(|_| callers.forget(&lookup))?;
        return Ok(KeyLookup::Remembered(caller));
    }
    let generation = callers.generation(lookup.account);
    // Held until the look-up is registered, so that only one begins for each key.
    let mut running = callers.running();
    if let Some(found) = running.get(&lookup)
        && found.generation == generation
    {
        return Ok(KeyLookup::LookUp { shared: found.shared.clone(), has_counted: false });
    }
    let known = callers.known(&lookup);
    let attempt = match known {
        KeyHistory::Good => None,
        KeyHistory::Wrong => {
            client.count_unauthenticated()?;
            if !callers.may_look_again(lookup) {
                return Err(ReadError::from(Refusal::KeyNotInForce).into());
            }
            None
        }
        KeyHistory::Not => match client.count_unknown_key()? {
            UnknownKey::Counted(attempt) => Some(attempt),
            UnknownKey::Wait(attempts) => return Ok(KeyLookup::Wait(attempts)),
        },
    };
    let number = callers.next_number();
    let until = UntilItEnds { callers: callers.clone(), lookup, number };
    let (state, client, key) = (Arc::clone(state), client.clone(), key.clone());
    let (tell, outcome) = oneshot::channel();
    let panicked = |_| StoreError::Broken("the look-up of a key panicked".to_owned());
    let shared = outcome.map(move |outcome| outcome.map_err(panicked)?).boxed().shared();
    running.insert(lookup, Running { shared: shared.clone(), generation, number });
    drop(running);
    // It continues if its client hangs up: nothing else would take back what was counted.
    let admission = async move {
        let _until = until;
        let admitted = admit(&state, &client, &key, generation, known, attempt).await;
        // Nobody may be left to tell.
        let _ = tell.send(admitted);
    };
    tokio::spawn(admission.in_current_span());
    Ok(KeyLookup::LookUp { shared, has_counted: known != KeyHistory::Good })
}

/// Looks a key up, caches the result, and takes back what was counted unless the key is wrong.
async fn admit(
    state: &SharedState,
    client: &ClientContext,
    key: &PresentedKey,
    generation: u64,
    known: KeyHistory,
    attempt: Option<RunningAttempt>,
) -> Result<Arc<Caller>, ReadError> {
    let access = &state.access;
    let (admitted, lookup) = (access.admit(key).await, key.lookup);
    match (is_wrong(&admitted), known) {
        // It is looked up again each time, to say why it ended: the first request to learn that may
        // be one that shows nothing, such as a stream.
        (true, _) if says_why(&admitted) => state.callers.forget_history(&lookup),
        (true, _) => state.callers.remember_wrong(lookup),
        (_, KeyHistory::Good) => {}
        (_, KeyHistory::Wrong) => client.take_back_unauthenticated(),
        (_, KeyHistory::Not) => client.take_back_unknown_key(),
    }
    let caller = Arc::new(admitted?);
    if caller.sign_in.is_some() {
        // What ends a sign-in does not move the auth epoch, so no read would notice.
        state.callers.note_good(lookup);
    } else {
        let lasts = access.lasts(&caller);
        state.callers.remember(lookup, Arc::clone(&caller), lasts, generation);
    }
    // Requests that wait for it find the cached result.
    drop(attempt);
    Ok(caller)
}
