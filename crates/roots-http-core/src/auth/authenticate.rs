//! Who asks: the API key of a request, the callers that were admitted a moment ago, and the keys that
//! were found wrong.

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
use roots_domain::service::access::{AccessError, Caller};
use roots_domain::service::{WriteError, Written};
use tokio::sync::{oneshot, watch};
use tracing::Instrument;

use super::caller_cache::{KeyHistory, LookUp, Running, UntilItEnds};
use super::client_context::{ClientContext, RunningAttempt, UnknownKey};
use super::key_header::key_text;
use crate::problem::Problem;
use crate::state::SharedState;
use crate::wire::{API_PATH, IDEMPOTENT_REPLAYED, credit_headers, known_method};

/// The bearer of a key in force.
pub struct Bearer {
    caller: Arc<Caller>,
    key: PresentedKey,
    client: ClientContext,
    state: SharedState,
}

/// What a read on behalf of a [`Bearer`] comes to. Where the auth epoch of its account has moved since it
/// was admitted, which the read tells before all else, it is admitted anew and the read done once more.
#[macro_export]
macro_rules! reading {
    ($caller:ident, $read:expr) => {
        match $read.await {
            Err(roots_domain::service::ReadError::Store(
                roots_domain::port::store::StoreError::EpochMoved,
            )) => {
                $caller.admit_anew().await?;
                $read.await
            }
            read => read,
        }
    };
}

impl Deref for Bearer {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Bearer {
    /// The caller, for what goes on after the request.
    #[must_use]
    pub fn caller(&self) -> Arc<Caller> {
        Arc::clone(&self.caller)
    }

    /// Where its key is looked up again.
    #[must_use]
    pub const fn lookup(&self) -> Lookup {
        self.key.lookup
    }

    /// Counts that this request is noted in the account's audit log at no cost.
    ///
    /// # Errors
    /// 429 where the account may have no more of that noted yet.
    pub fn count_noted(&self) -> Result<(), Problem> {
        self.client.count_noted(self.caller.account.id)
    }

    /// Looks the key up again, whose caller was remembered from before the account's auth epoch moved.
    ///
    /// # Errors
    /// 401 where it is no longer in force.
    pub async fn admit_anew(&mut self) -> Result<(), Problem> {
        self.state.callers.forget(&self.key.lookup);
        self.caller = admitted(&self.state, &self.client, &self.key).await?;
        Ok(())
    }

    /// What a write of this caller came to, and cost.
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

    /// What a write of this caller came to. A key that has ended meanwhile is forgotten, and so is
    /// what was known of one whose account was renewed: whoever tries again is looked up again.
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

/// What a write cost and what is left, and whether it was done and paid for before.
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
        let caller = admitted(&state, &client, &key).await?;
        let endpoint = called(parts);
        client.count_request(&caller, &endpoint)?;
        state.usage.count(&caller, endpoint);
        state.key_usage.note(&caller);
        Ok(Self { caller, key, client, state })
    }
}

/// What a request calls. Only what has a route asks for a key.
fn called(parts: &Parts) -> Endpoint {
    let path = parts.extensions.get().map_or("", MatchedPath::as_str);
    let route = path.strip_prefix(API_PATH).unwrap_or(path).to_owned();
    Endpoint { route, method: known_method(&parts.method).to_owned() }
}

/// Admits the bearer of a key, by what is remembered of it or by a look-up.
async fn admitted(
    state: &SharedState,
    client: &ClientContext,
    key: &PresentedKey,
) -> Result<Arc<Caller>, Problem> {
    let (shared, has_counted) = loop {
        match find(state, client, key)? {
            KeyLookup::Remembered(caller) => {
                client.note_remembered(&state.callers, key.lookup);
                return Ok(caller);
            }
            KeyLookup::LookUp { shared, has_counted } => break (shared, has_counted),
            KeyLookup::Wait(mut attempts) => {
                // An error is that the last of them has ended.
                let _ = attempts.changed().await;
            }
        }
    };
    let admitted = shared.await;
    if matches!(admitted, Err(AccessError::NotAdmitted)) && !has_counted {
        client.count_unauthenticated()?;
    }
    let caller = admitted?;
    // It may have expired while its look-up ran.
    state.access.check_expiry(&caller)?;
    Ok(caller)
}

/// What a request finds of the key that it brings.
enum KeyLookup {
    /// Its caller, remembered.
    Remembered(Arc<Caller>),
    /// Its look-up, and whether the request has counted for what may be found wrong.
    LookUp { shared: LookUp, has_counted: bool },
    /// Other keys of the address are being looked up, and until one of them is found good, this one may
    /// not be.
    Wait(watch::Receiver<usize>),
}

/// Finds what is remembered of a key or the look-up of it that is running, or begins one, unless the key
/// was found wrong a moment ago.
///
/// A key that is not known counts as an unknown-key attempt until it is found good, so no more look-ups
/// run at once for an address than it may show unknown keys a minute. It is counted once a key. Afterwards
/// a wrong key counts as unauthenticated, before it is looked up again. A request that shares a running
/// look-up costs none, and counts as unauthenticated once the key is found wrong; so does one with a key that
/// was good lately.
fn find(
    state: &SharedState,
    client: &ClientContext,
    key: &PresentedKey,
) -> Result<KeyLookup, Problem> {
    let (callers, lookup) = (&state.callers, key.lookup);
    if let Some(caller) = callers.get(&lookup) {
        state.access.check_expiry(&caller).inspect_err(|_| callers.forget(&lookup))?;
        return Ok(KeyLookup::Remembered(caller));
    }
    let generation = callers.generation(lookup.account);
    // Held until it is among them, so that no two of a key begin.
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
                return Err(AccessError::NotAdmitted.into());
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
    let (tell, told) = oneshot::channel();
    let panicked = |_| StoreError::Broken("the look-up of a key panicked".to_owned());
    let shared = told.map(move |told| told.map_err(panicked)?).boxed().shared();
    running.insert(lookup, Running { shared: shared.clone(), generation, number });
    drop(running);
    // Clients that hang up leave it running: nothing else would take back what was counted.
    let admission = async move {
        let _until = until;
        let admitted = admit(&state, &client, &key, generation, known, attempt).await;
        // Nobody may be left to tell.
        let _ = tell.send(admitted);
    };
    tokio::spawn(admission.in_current_span());
    Ok(KeyLookup::LookUp { shared, has_counted: known != KeyHistory::Good })
}

/// Looks a key up, remembers what was found, and takes back what it counted unless it is wrong.
async fn admit(
    state: &SharedState,
    client: &ClientContext,
    key: &PresentedKey,
    generation: u64,
    known: KeyHistory,
    attempt: Option<RunningAttempt>,
) -> Result<Arc<Caller>, AccessError> {
    let access = &state.access;
    let (admitted, lookup) = (access.admit(key).await, key.lookup);
    match (&admitted, known) {
        (Err(AccessError::NotAdmitted), _) => state.callers.remember_wrong(lookup),
        (_, KeyHistory::Good) => {}
        (_, KeyHistory::Wrong) => client.take_back_unauthenticated(),
        (_, KeyHistory::Not) => client.take_back_unknown_key(),
    }
    let caller = Arc::new(admitted?);
    let lasts = access.lasts(&caller);
    state.callers.remember(lookup, Arc::clone(&caller), lasts, generation);
    // Those that wait for it find what was remembered.
    drop(attempt);
    Ok(caller)
}
