//! Who asks: the API key of a request, the callers that were admitted a moment ago, and the keys that
//! were found wrong.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::time::{Duration, Instant as Moment};

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponseParts, ResponseParts};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use moka::Expiry;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use roots_domain::model::id::AccountId;
use roots_domain::model::unit::Refusal;
use roots_domain::model::usage::Endpoint;
use roots_domain::port::keys::Lookup;
use roots_domain::port::store::{AuthEpochs, StoreFault};
use roots_domain::usecase::access::{AccessError, Caller};
use roots_domain::usecase::{WriteError, Written};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tracing::Instrument;

use crate::conditional::IDEMPOTENT_REPLAYED;
use crate::limits::{RunningAttempt, UnknownKey, Visitor};
use crate::problem::{Problem, credit_headers};
use crate::{API_PATH, App, edge};

/// The header that carries an API key.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// How often callers that are remembered no longer are dropped, and their unlocked keys with them.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);
/// Most callers that are remembered.
const CALLERS_MAX: u64 = 10_000;
/// How often, at most, a key that is remembered as wrong is looked up again.
const WRONG_LOOK_PERIOD: Duration = Duration::from_secs(5);
/// Generations that accounts share: where two share one, a caller is now and then not remembered.
const GENERATIONS: usize = 1_024;
/// How long a key that was good is looked up whatever else comes from its address, so that one
/// neighbour's wrong keys lock nobody out.
const KNOWN_TTL: Duration = Duration::from_hours(1);
/// How long after it was last looked up a key is remembered as wrong, so that whoever goes on asking
/// with one uses up no guesses of its address.
const WRONG_TTL: Duration = Duration::from_mins(5);
/// Most keys that are remembered as wrong. Beyond it, those that were not shown for the longest time
/// are forgotten.
const WRONG_MAX: u64 = 20_000;

/// What was found of keys lately, by where each is looked up: of one that was good, for a while, its
/// caller, with its keys unlocked.
#[derive(Clone)]
pub(crate) struct Callers(Arc<Remembered>);

struct Remembered {
    cache: Cache<Lookup, Admitted>,
    /// How often keys of accounts have ended in this process: an account's is found by its id.
    generations: [AtomicU64; GENERATIONS],
    /// Where keys that were good lately are looked up.
    known: Cache<Lookup, ()>,
    /// When keys were last looked up that were found wrong.
    wrong: Cache<Lookup, Instant>,
    /// The look-ups that are running, one a key.
    running: Mutex<HashMap<Lookup, Running>>,
    /// How many look-ups have begun.
    begun: AtomicU64,
    /// For how long a key that was found wrong is not looked up again.
    wrong_stands: Duration,
    sweep_period: Duration,
    sweeper: Once,
}

/// The look-up of a key. Every request that comes with the key while it runs awaits the same one.
type LookUp = Shared<BoxFuture<'static, Result<Arc<Caller>, AccessError>>>;

/// A look-up that is running.
struct Running {
    shared: LookUp,
    /// That of the account when it began. What began before a key ended says nothing of it afterwards.
    generation: u64,
    number: u64,
}

/// A caller that is remembered.
#[derive(Clone)]
struct Admitted {
    caller: Arc<Caller>,
    /// Until its key ends by itself.
    lasts: Option<Duration>,
}

/// Remembers nobody for longer than its key lasts.
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

/// What a key is known as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Good,
    Wrong,
    Not,
}

impl Callers {
    /// Remembers nobody yet, and later each for that long.
    pub(crate) fn new(ttl: Duration) -> Self {
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
        Self(Arc::new(Remembered {
            cache,
            generations: std::array::from_fn(|_| AtomicU64::new(0)),
            known,
            wrong,
            running: Mutex::default(),
            begun: AtomicU64::new(0),
            wrong_stands: Ord::min(ttl, WRONG_LOOK_PERIOD),
            sweep_period,
            sweeper: Once::new(),
        }))
    }

    /// Forgets everyone of an account once it is told that keys of it may have ended.
    pub(crate) fn listen(&self, epochs: &dyn AuthEpochs) {
        let remembered = Arc::downgrade(&self.0);
        epochs.listen(Box::new(move |account| {
            if let Some(remembered) = remembered.upgrade() {
                Self(remembered).end_generation(account);
            }
        }));
    }

    /// In this order: whoever is remembered in between is found by the second.
    fn end_generation(&self, account: AccountId) {
        self.generation_of(account).fetch_add(1, Ordering::SeqCst);
        // It fails where closures are not supported; then reads find out by the auth epoch.
        let _ = self.0.cache.invalidate_entries_if(move |lookup, _| lookup.account == account);
    }

    /// To be taken before a key is looked up.
    fn generation(&self, account: AccountId) -> u64 {
        self.generation_of(account).load(Ordering::SeqCst)
    }

    fn generation_of(&self, account: AccountId) -> &AtomicU64 {
        let index = usize::try_from(account.0.unsigned_abs() % GENERATIONS as u64).unwrap_or(0);
        &self.0.generations[index]
    }

    fn get(&self, lookup: &Lookup) -> Option<Arc<Caller>> {
        self.0.cache.get(lookup).map(|admitted| admitted.caller)
    }

    fn known(&self, lookup: &Lookup) -> Known {
        if self.0.known.contains_key(lookup) {
            Known::Good
        } else if self.0.wrong.contains_key(lookup) {
            Known::Wrong
        } else {
            Known::Not
        }
    }

    /// Whether a key that is remembered as wrong is to be looked up again. Of all who ask so at once,
    /// one is told to.
    fn may_look_again(&self, lookup: Lookup) -> bool {
        let stands = self.0.wrong_stands;
        let looked = self.0.wrong.entry(lookup).and_compute_with(|found| match found {
            Some(last) if last.value().elapsed() >= stands => Op::Put(Instant::now()),
            _ => Op::Nop,
        });
        matches!(looked, CompResult::ReplacedWith(_))
    }

    /// Remembers a caller for as long as its key lasts, unless keys of its account have ended since its
    /// own was about to be looked up. The first one starts the sweeper, for a router may be made where
    /// nothing runs yet.
    fn remember(
        &self,
        lookup: Lookup,
        caller: Arc<Caller>,
        lasts: Option<Duration>,
        generation: u64,
    ) {
        self.0.cache.insert(lookup, Admitted { caller, lasts });
        if self.generation(lookup.account) != generation {
            self.0.cache.invalidate(&lookup);
        }
        self.0.known.insert(lookup, ());
        if self.0.wrong.contains_key(&lookup) {
            self.0.wrong.invalidate(&lookup);
        }
        self.0.sweeper.call_once(|| {
            tokio::spawn(sweep(Arc::downgrade(&self.0), self.0.sweep_period));
        });
    }

    /// Remembers a key as wrong.
    fn remember_wrong(&self, lookup: Lookup) {
        self.0.cache.invalidate(&lookup);
        self.0.known.invalidate(&lookup);
        self.0.wrong.insert(lookup, Instant::now());
    }

    /// Has a caller looked up again when it next asks, by a look-up that begins after this.
    fn forget(&self, lookup: &Lookup) {
        self.running().remove(lookup);
        self.0.cache.invalidate(lookup);
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Lookup, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a look-up out of those that are running once it has ended, however it ends.
struct UntilItEnds {
    callers: Callers,
    lookup: Lookup,
    number: u64,
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

/// Drops expired callers for as long as there is a cache. By itself it would keep them until it is
/// used again.
async fn sweep(remembered: Weak<Remembered>, period: Duration) {
    loop {
        tokio::time::sleep(period).await;
        let Some(remembered) = remembered.upgrade() else {
            return;
        };
        remembered.cache.run_pending_tasks();
    }
}

/// The bearer of a key in force.
pub(crate) struct Bearer {
    caller: Arc<Caller>,
    lookup: Lookup,
    presented: SecretString,
    visitor: Visitor,
    app: App,
}

/// What a read on behalf of a [`Bearer`] comes to. Where the auth epoch of its account has moved since it
/// was admitted, which the read tells before all else, it is admitted anew and the read done once more.
macro_rules! reading {
    ($caller:ident, $read:expr) => {
        match $read.await {
            Err(roots_domain::usecase::ReadError::Store(
                roots_domain::port::store::StoreFault::EpochMoved,
            )) => {
                $caller.admit_anew().await?;
                $read.await
            }
            read => read,
        }
    };
}
pub(crate) use reading;

impl Deref for Bearer {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Bearer {
    /// The caller, for what goes on after the request.
    pub(crate) fn caller(&self) -> Arc<Caller> {
        Arc::clone(&self.caller)
    }

    /// Where its key is looked up again.
    pub(crate) const fn lookup(&self) -> Lookup {
        self.lookup
    }

    /// Counts that this request is noted in the account's audit log at no cost.
    ///
    /// # Errors
    /// 429 where the account may have no more of that noted yet.
    pub(crate) fn count_noted(&self) -> Result<(), Problem> {
        self.visitor.count_noted(self.caller.account.id)
    }

    /// Looks the key up again, whose caller was remembered from before the account's auth epoch moved.
    ///
    /// # Errors
    /// 401 where it is no longer in force.
    pub(crate) async fn admit_anew(&mut self) -> Result<(), Problem> {
        self.app.callers.forget(&self.lookup);
        self.caller = admitted(&self.app, &self.visitor, &self.presented, self.lookup).await?;
        Ok(())
    }

    /// What a write of this caller came to, and cost.
    pub(crate) fn settle<T>(
        &self,
        outcome: Result<Written<T>, WriteError>,
    ) -> Result<(T, Credits), Problem> {
        let Written { value, cost, balance, is_replay } = self.checked(outcome)?;
        Ok((value, Credits { cost, balance, is_replay }))
    }

    /// What a write of this caller came to. A key that has ended meanwhile is forgotten, and so is
    /// what was known of one whose account was renewed: whoever tries again is looked up again.
    pub(crate) fn checked<T>(&self, outcome: Result<T, WriteError>) -> Result<T, Problem> {
        if let Err(
            WriteError::Refused(Refusal::KeyNotInForce | Refusal::KeysRenewed(_))
            | WriteError::Store(StoreFault::EpochMoved),
        ) = outcome
        {
            self.app.callers.forget(&self.lookup);
        }
        Ok(outcome?)
    }
}

/// What a write cost and what is left, and whether it was done and paid for before.
pub(crate) struct Credits {
    cost: i64,
    balance: i64,
    is_replay: bool,
}

impl IntoResponseParts for Credits {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.headers_mut().extend(credit_headers(self.cost, self.balance));
        if self.is_replay {
            parts.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(parts)
    }
}

impl FromRequestParts<App> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let visitor = Visitor::of(&parts.extensions)?.clone();
        let access = &app.services.access;
        let recognized = presented_key(&mut parts.headers)
            .and_then(|presented| Ok((access.recognize(&presented)?, presented)));
        let (lookup, presented) = match recognized {
            Ok(recognized) => recognized,
            Err(problem) => {
                visitor.count_stranger()?;
                return Err(problem);
            }
        };
        let caller = admitted(app, &visitor, &presented, lookup).await?;
        let endpoint = called(parts);
        visitor.count_request(&caller, &endpoint)?;
        app.services.usage.count(&caller, endpoint);
        app.services.uses.note(&caller);
        Ok(Self { caller, lookup, presented, visitor, app: Arc::clone(app) })
    }
}

/// What a request calls. Only what has a route asks for a key.
fn called(parts: &Parts) -> Endpoint {
    let path = parts.extensions.get().map_or("", MatchedPath::as_str);
    let route = path.strip_prefix(API_PATH).unwrap_or(path).to_owned();
    Endpoint { route, method: edge::known(&parts.method).to_owned() }
}

/// Admits the bearer of a key, by what is remembered of it or by a look-up.
async fn admitted(
    app: &App,
    visitor: &Visitor,
    presented: &SecretString,
    lookup: Lookup,
) -> Result<Arc<Caller>, Problem> {
    let (shared, has_counted) = loop {
        match find(app, visitor, presented, lookup)? {
            Found::Remembered(caller) => return Ok(caller),
            Found::LookUp { shared, has_counted } => break (shared, has_counted),
            Found::Wait(mut attempts) => {
                // An error is that the last of them has ended.
                let _ = attempts.changed().await;
            }
        }
    };
    let admitted = shared.await;
    if matches!(admitted, Err(AccessError::NotAdmitted)) && !has_counted {
        visitor.count_stranger()?;
    }
    let caller = admitted?;
    // It may have expired while its look-up ran.
    app.services.access.check_expiry(&caller)?;
    Ok(caller)
}

/// What a request finds of the key that it brings.
enum Found {
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
/// a wrong key counts as a stranger, before it is looked up again. A request that shares a running
/// look-up costs none, and counts as a stranger once the key is found wrong; so does one with a key that
/// was good lately.
fn find(
    app: &App,
    visitor: &Visitor,
    presented: &SecretString,
    lookup: Lookup,
) -> Result<Found, Problem> {
    let callers = &app.callers;
    if let Some(caller) = callers.get(&lookup) {
        app.services.access.check_expiry(&caller).inspect_err(|_| callers.forget(&lookup))?;
        return Ok(Found::Remembered(caller));
    }
    let generation = callers.generation(lookup.account);
    // Held until it is among them, so that no two of a key begin.
    let mut running = callers.running();
    if let Some(found) = running.get(&lookup)
        && found.generation == generation
    {
        return Ok(Found::LookUp { shared: found.shared.clone(), has_counted: false });
    }
    let known = callers.known(&lookup);
    let attempt = match known {
        Known::Good => None,
        Known::Wrong => {
            visitor.count_stranger()?;
            if !callers.may_look_again(lookup) {
                return Err(AccessError::NotAdmitted.into());
            }
            None
        }
        Known::Not => match visitor.count_unknown_key()? {
            UnknownKey::Counted(attempt) => Some(attempt),
            UnknownKey::Wait(attempts) => return Ok(Found::Wait(attempts)),
        },
    };
    let number = callers.0.begun.fetch_add(1, Ordering::Relaxed);
    let until = UntilItEnds { callers: callers.clone(), lookup, number };
    let (app, visitor, presented) = (Arc::clone(app), visitor.clone(), presented.clone());
    let (tell, told) = oneshot::channel();
    let panicked = |_| StoreFault::Broken("the look-up of a key panicked".to_owned());
    let shared = told.map(move |told| told.map_err(panicked)?).boxed().shared();
    running.insert(lookup, Running { shared: shared.clone(), generation, number });
    drop(running);
    // Clients that hang up leave it running: nothing else would take back what was counted.
    let admission = async move {
        let _until = until;
        let admitted = admit(&app, &visitor, &presented, lookup, generation, known, attempt).await;
        // Nobody may be left to tell.
        let _ = tell.send(admitted);
    };
    tokio::spawn(admission.in_current_span());
    Ok(Found::LookUp { shared, has_counted: known != Known::Good })
}

/// Looks a key up, remembers what was found, and takes back what it counted unless it is wrong.
async fn admit(
    app: &App,
    visitor: &Visitor,
    presented: &SecretString,
    lookup: Lookup,
    generation: u64,
    known: Known,
    attempt: Option<RunningAttempt>,
) -> Result<Arc<Caller>, AccessError> {
    let access = &app.services.access;
    let admitted = access.admit(presented, lookup).await;
    match (&admitted, known) {
        (Err(AccessError::NotAdmitted), _) => app.callers.remember_wrong(lookup),
        (_, Known::Good) => {}
        (_, Known::Wrong) => visitor.take_back_stranger(),
        (_, Known::Not) => visitor.take_back_unknown_key(),
    }
    let caller = Arc::new(admitted?);
    let lasts = access.lasts(&caller);
    app.callers.remember(lookup, Arc::clone(&caller), lasts, generation);
    // Those that wait for it find what was remembered.
    drop(attempt);
    Ok(caller)
}

/// Takes the key out of the headers, so that nothing further on can print it.
fn presented_key(headers: &mut HeaderMap) -> Result<SecretString, Problem> {
    let ambiguous = || Problem::unauthorized("Several API keys were sent: send one.", true);
    let mut keys = Vec::new();
    for value in headers.get_all(API_KEY) {
        keys.push(secret(value.as_bytes()));
    }
    for value in headers.get_all(AUTHORIZATION) {
        keys.extend(bearer_token(value).map(secret));
    }
    headers.remove(API_KEY);
    headers.remove(AUTHORIZATION);
    let mut keys = keys.into_iter();
    let Some(key) = keys.next() else {
        let how = "An API key is needed, in X-API-Key or as Authorization: Bearer.";
        return Err(Problem::unauthorized(how, false));
    };
    if keys.any(|other| other.expose_secret() != key.expose_secret()) {
        return Err(ambiguous());
    }
    Ok(key)
}

/// What is not text is no key either.
fn secret(bytes: &[u8]) -> SecretString {
    SecretString::from(std::str::from_utf8(bytes).unwrap_or_default().trim())
}

/// The token of a `Bearer`. Another scheme is not ours: a proxy in front may have its own.
fn bearer_token(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use roots_domain::model::account::{AccountKind, Actor, ActorKind, Role};
    use roots_domain::model::id::{ActorId, KeyId, Uid};
    use roots_domain::model::key::{KeyEpoch, LookupHash};
    use roots_domain::model::quota::Renewals;
    use roots_domain::model::text::Name;
    use roots_domain::model::time::Timestamp;
    use roots_domain::port::keys::{AccountIdentity, MockKeyring};

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
            key: KeyId(1),
            auth_epoch: 1,
            ends_at: None,
            keys: Arc::new(MockKeyring::new()),
        }
    }

    const LOOKUP: Lookup = Lookup { account: AccountId(1), hash: LookupHash([1; 32]) };
    const MOMENT: Duration = Duration::from_millis(100);
    const NEVER: Duration = Duration::from_hours(1);

    /// Whether it comes to hold soon.
    async fn soon(holds: impl Fn() -> bool) -> bool {
        for _ in 0..100 {
            if holds() {
                return true;
            }
            tokio::time::sleep(MOMENT / 2).await;
        }
        false
    }

    #[tokio::test]
    async fn a_caller_is_remembered_for_a_moment_only() {
        let callers = Callers::remembered_for(MOMENT, NEVER);
        callers.remember(LOOKUP, Arc::new(caller()), None, 0);
        assert!(callers.get(&LOOKUP).is_some());
        std::thread::sleep(2 * MOMENT);
        assert!(callers.get(&LOOKUP).is_none());
        // That its key was good is remembered for longer, but not once it was found to have ended.
        assert_eq!(callers.known(&LOOKUP), Known::Good);
        callers.forget(&LOOKUP);
        assert_eq!(callers.known(&LOOKUP), Known::Good);
        callers.remember_wrong(LOOKUP);
        assert_eq!(callers.known(&LOOKUP), Known::Wrong);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_key_is_looked_up_again_by_one_at_a_time() {
        let callers = Callers::new(MOMENT);
        assert!(!callers.may_look_again(LOOKUP));
        assert_eq!(callers.known(&LOOKUP), Known::Not);
        callers.remember_wrong(LOOKUP);
        assert!(!callers.may_look_again(LOOKUP));
        tokio::time::advance(MOMENT).await;
        assert_eq!([callers.may_look_again(LOOKUP), callers.may_look_again(LOOKUP)], [true, false]);
        tokio::time::advance(MOMENT).await;
        callers.remember_wrong(LOOKUP);
        assert!(!callers.may_look_again(LOOKUP));
        callers.remember(LOOKUP, Arc::new(caller()), None, 0);
        assert_eq!(callers.known(&LOOKUP), Known::Good);
        callers.remember_wrong(LOOKUP);
        assert!(callers.get(&LOOKUP).is_none());
    }

    #[test]
    fn many_wrong_keys_do_not_fill_the_memory() {
        let callers = Callers::new(MOMENT);
        let most = usize::try_from(WRONG_MAX).unwrap();
        for count in 0..4 * WRONG_MAX {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&count.to_le_bytes());
            callers.remember_wrong(Lookup { account: AccountId(1), hash: LookupHash(hash) });
        }
        callers.0.wrong.run_pending_tasks();
        assert!(callers.0.wrong.iter().count() <= most);
    }

    #[tokio::test]
    async fn the_keys_of_an_expired_caller_are_dropped_though_nobody_asks() {
        let callers = Callers::remembered_for(MOMENT, MOMENT);
        let caller = Arc::new(caller());
        let kept = Arc::downgrade(&caller);
        callers.remember(LOOKUP, caller, None, 0);
        assert!(kept.upgrade().is_some());
        assert!(soon(|| kept.upgrade().is_none()).await);
    }

    #[tokio::test]
    async fn a_caller_that_keys_of_its_account_have_ended_since_is_forgotten_or_not_remembered() {
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
        let callers = Callers::remembered_for(NEVER, MOMENT);
        let caller = Arc::new(caller());
        let kept = Arc::downgrade(&caller);
        callers.remember(LOOKUP, caller, Some(MOMENT), 0);
        assert!(soon(|| kept.upgrade().is_none()).await);
    }

    #[tokio::test]
    async fn the_sweeper_is_one_and_ends_with_the_cache() {
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let callers = Callers::remembered_for(NEVER, MOMENT);
        let caller = Arc::new(caller());
        let kept = Arc::downgrade(&caller);
        callers.remember(LOOKUP, Arc::clone(&caller), None, 0);
        callers.remember(LOOKUP, caller, None, 0);
        assert_eq!(tasks(), 1);
        drop(callers);
        assert!(soon(|| kept.upgrade().is_none() && tasks() == 0).await);
    }
}
