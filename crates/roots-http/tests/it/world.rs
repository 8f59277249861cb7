//! A world of mocks around the API, in which time stands still, and requests to it.

use std::cell::RefCell;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use roots_domain::model::account::{
    Account, AccountKind, AccountStatus, Actor, ActorKind, Counters, Role,
};
use roots_domain::model::activity::{Activity, ActivityStats, SessionCounts};
use roots_domain::model::books::Books;
use roots_domain::model::credit::{LedgerEntry, Reason};
use roots_domain::model::id::{
    AccountId, ActivityId, ActorId, AuditId, KeyId, LedgerId, LogId, RecoveryId, SessionId, TodoId,
    Uid,
};
use roots_domain::model::import::Imported;
use roots_domain::model::key::{ApiKey, KeyEpoch, LookupHash, RecoveryCode};
use roots_domain::model::page::Page;
use roots_domain::model::quota::Renewals;
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{Session, SessionPatch, SessionStatus};
use roots_domain::model::text::{ActivityType, Name};
use roots_domain::model::time::{Day, Timestamp};
use roots_domain::model::todo::{Priority, StatusChange, Todo, TodoPatch, TodoStatus};
use roots_domain::model::trail::{Act, Deed, TrailEntry};
use roots_domain::model::unit::{
    Applied, AppliedRow, Intent, KeyBearer, Management, Refusal, Resealed, UnitOfWork,
};
use roots_domain::model::usage::Endpoint;
use roots_domain::port::ambient::{Clock, Uids};
use roots_domain::port::archive::{MockArchiveReader, MockImportReader, Piece};
use roots_domain::port::keys::{
    AccountRenewal, Founding, KeyError, Keyring, Lookup, MacPurpose, MintedCode, MintedKey,
    MockKeyring, MockLocksmith, Renewal,
};
use roots_domain::port::store::{
    AccountOverview, Admission, ApplyError, AuthEpochs, Credentials, EpochListener, HeldActor,
    KeyAccount, ListedKey, MockAccountReader, MockAccountsReader, MockActivityReader,
    MockLeftoverReader, MockReadiness, MockSessionReader, MockTodoReader, MockUnitStore,
    MockUsageReader, Recoverable, SessionQuery, SessionReader, StoreFault, StoreResult, TodoLog,
    UnitStore,
};
use roots_domain::usecase::access::Access;
use roots_domain::usecase::accounts::Accounts;
use roots_domain::usecase::activities::Activities;
use roots_domain::usecase::erasures::Erasures;
use roots_domain::usecase::exports::Exports;
use roots_domain::usecase::imports::Imports;
use roots_domain::usecase::keys::Keys;
use roots_domain::usecase::leftovers::{Leftovers, Turn};
use roots_domain::usecase::operators::Operators;
use roots_domain::usecase::sessions::Sessions;
use roots_domain::usecase::todos::Todos;
use roots_domain::usecase::usage::Usage;
use roots_domain::usecase::uses::{Backlog, Uses};
use roots_http::{HttpSettings, RateLimits, Services, Signup};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// The key in force.
pub(crate) const KEY: &str = "roots_1_key";
/// A key of the account's other actor, a member.
pub(crate) const MEMBERS_KEY: &str = "roots_1_members";
/// The recovery code in force.
pub(crate) const CODE: &str = "00001-CODE";
/// A code of good form that is none any more.
pub(crate) const UNKNOWN_CODE: &str = "00001-USED";
/// A key of good form that nobody has. So is each that a number up to 255 makes of it.
pub(crate) const UNKNOWN_KEY: &str = "roots_1_unknown";
/// An account to make.
pub(crate) const NEW_ACCOUNT: &str =
    r#"{"account_name": "Acme", "actor_name": "docs-agent", "actor_type": "agent"}"#;
/// The row of each kind whose text does not open.
pub(crate) const DAMAGED: i64 = 13;
/// The row of each kind that is the member's.
pub(crate) const ANOTHERS: i64 = 9;

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A clock that is set by hand; it starts at the seeds' 2026-04-09T14:00:00Z.
#[derive(Clone)]
pub(crate) struct HandClock(Arc<AtomicI64>);

impl HandClock {
    pub(crate) fn set(&self, text: &str) {
        self.0.store(at(text).micros(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

struct Counted(AtomicU64);

impl Uids for Counted {
    fn next(&self) -> Uid {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        Uid(uuid::Uuid::from_u64_pair(0x019d_728c_2e80_7000, 0x8000_0000_0000_0000 + count))
    }
}

/// The mocks. Those of the readers know one row of each kind by id 1 and 2; the store applies
/// whatever it is asked to such rows.
pub(crate) struct World {
    pub(crate) units: MockUnitStore,
    pub(crate) sessions: MockSessionReader,
    pub(crate) todos: MockTodoReader,
    pub(crate) activities: MockActivityReader,
    pub(crate) accounts: MockAccountReader,
    pub(crate) operators: MockAccountsReader,
    pub(crate) archive: MockArchiveReader,
    pub(crate) imports: MockImportReader,
    pub(crate) leftovers: MockLeftoverReader,
    pub(crate) locksmith: MockLocksmith,
    pub(crate) usage: MockUsageReader,
    pub(crate) readiness: MockReadiness,
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) settings: HttpSettings,
    pub(crate) clock: HandClock,
    /// Whether the store and the reader of sessions never answer.
    pub(crate) is_stuck: bool,
    /// What applies units instead of `units`.
    pub(crate) store: Option<Arc<dyn UnitStore>>,
}

/// Tells listeners what a test says that has moved.
#[derive(Default)]
pub(crate) struct Epochs(Mutex<Vec<EpochListener>>);

impl AuthEpochs for Epochs {
    fn listen(&self, listener: EpochListener) {
        self.0.lock().unwrap().push(listener);
    }
}

impl Epochs {
    pub(crate) fn moved(&self, account: AccountId) {
        self.0.lock().unwrap().iter().for_each(|listener| listener(account));
    }
}

/// A database that neither answers nor fails.
struct Stuck;

#[async_trait]
impl UnitStore for Stuck {
    async fn apply(&self, _: UnitOfWork) -> Result<Applied, ApplyError> {
        std::future::pending().await
    }
}

#[async_trait]
impl SessionReader for Stuck {
    async fn session(&self, _: Admission, _: SessionId) -> StoreResult<Option<Session<Sealed>>> {
        std::future::pending().await
    }

    async fn sessions(&self, _: &SessionQuery) -> StoreResult<Page<Session<Sealed>>> {
        std::future::pending().await
    }
}

impl World {
    /// Only the caller is known; whatever else is asked for fails the test.
    pub(crate) fn bare() -> Self {
        Log::prepare();
        let mut locksmith = MockLocksmith::new();
        locksmith.expect_recognize_key().returning(|key| {
            let hash = match key.expose_secret() {
                KEY => [1; 32],
                UNKNOWN_KEY => [2; 32],
                MEMBERS_KEY => [3; 32],
                another => {
                    let count = another.strip_prefix(UNKNOWN_KEY)?.parse().ok()?;
                    let mut hash = [count; 32];
                    hash[0] = 4;
                    hash
                }
            };
            Some(Lookup { account: AccountId(1), hash: LookupHash(hash) })
        });
        locksmith.expect_unlock().returning(|_, _, _, _, _| Ok(keyring()));
        locksmith.expect_recognize_code().returning(|code| {
            let hash = match code.expose_secret() {
                // What the description shows.
                CODE | "…" => 1,
                UNKNOWN_CODE => 2,
                _ => return None,
            };
            Some(Lookup { account: AccountId(1), hash: LookupHash([hash; 32]) })
        });
        locksmith.expect_recover().returning(|_, _, _, _, _| Ok(keyring()));
        Self {
            units: MockUnitStore::new(),
            sessions: MockSessionReader::new(),
            todos: MockTodoReader::new(),
            activities: MockActivityReader::new(),
            accounts: MockAccountReader::new(),
            operators: MockAccountsReader::new(),
            archive: MockArchiveReader::new(),
            imports: MockImportReader::new(),
            leftovers: MockLeftoverReader::new(),
            locksmith,
            usage: MockUsageReader::new(),
            readiness: MockReadiness::new(),
            epochs: Arc::default(),
            settings: HttpSettings { limits: RateLimits::OFF, ..HttpSettings::default() },
            clock: HandClock(Arc::new(AtomicI64::new(at("2026-04-09T14:00:00Z").micros()))),
            is_stuck: false,
            store: None,
        }
    }

    /// The caller is known and can be looked up.
    pub(crate) fn keyed() -> Self {
        let mut world = Self::bare();
        world.accounts.expect_credentials().returning(|lookup| Ok(credentials(lookup)));
        world.accounts.expect_recoverable().returning(|lookup| Ok(recoverable(lookup)));
        world
    }

    fn keyed_of(kind: AccountKind) -> Self {
        let mut world = Self::bare();
        world.accounts.expect_credentials().returning(move |lookup| {
            let mut found = credentials(lookup);
            if let Some(found) = &mut found {
                found.account.kind = kind;
            }
            Ok(found)
        });
        world
    }

    /// All that there is can be read and written.
    pub(crate) fn whole() -> Self {
        Self::whole_of(AccountKind::Customer)
    }

    /// The same, and the caller's account is for that.
    pub(crate) fn whole_of(kind: AccountKind) -> Self {
        let mut world = Self::keyed_of(kind);
        world.units.expect_apply().returning(|unit| Ok(applied(unit)));
        world.sessions.expect_session().returning(|_, id| Ok(session(id.0)));
        world.sessions.expect_sessions().returning(|query| {
            Ok(Page {
                items: session(1).into_iter().collect(),
                total: 1,
                request: query.page,
                next: None,
            })
        });
        world.todos.expect_todo().returning(|_, id| Ok(todo(id.0)));
        world.todos.expect_todos().returning(|query| {
            Ok(Page {
                items: todo(1).into_iter().collect(),
                total: 1,
                request: query.page,
                next: None,
            })
        });
        world.todos.expect_todo_log().returning(|_, id, _| {
            Ok(todo(id.0).map(|todo| TodoLog { todo, steps: log(), next: None }))
        });
        world.activities.expect_activity().returning(|_, id| Ok(activity(id.0)));
        world.activities.expect_activities().returning(|_, page| {
            Ok(Page {
                items: activity(1).into_iter().collect(),
                total: 1,
                request: page,
                next: None,
            })
        });
        world.activities.expect_activity_stats().returning(|_, _| Ok(figures()));
        world.accounts.expect_recoverable().returning(|lookup| Ok(recoverable(lookup)));
        world.accounts.expect_account().returning(|_| Ok(Some(account())));
        world.accounts.expect_actors().returning(|_| Ok(vec![owner(), member()]));
        world.accounts.expect_check().returning(|_| Ok(()));
        world.accounts.expect_first_actors().returning(|_, _| Ok(vec![owner(), member()]));
        world.accounts.expect_actor_page().returning(|_, page| {
            Ok(Page { items: vec![owner(), member()], total: 2, request: page, next: None })
        });
        world.accounts.expect_held_actors().returning(|_, ids| {
            let actors = [owner(), member()].into_iter().filter(|actor| ids.contains(&actor.id));
            Ok(actors.map(|actor| HeldActor { actor, wraps: Vec::new() }).collect())
        });
        world.accounts.expect_keys().returning(|query| {
            Ok(Page { items: listed_keys(), total: 3, request: query.page, next: None })
        });
        world.accounts.expect_ledger().returning(|_, reason, page| {
            let mut items = ledger();
            items.retain(|entry| reason.is_none_or(|reason| entry.reason == reason));
            let total = i64::try_from(items.len()).unwrap();
            Ok(Page { items, total, request: page, next: None })
        });
        world.archive.expect_sessions_after().returning(|_, _| Ok(piece(session)));
        world.archive.expect_todos_after().returning(|_, _| Ok(piece(todo)));
        world.archive.expect_activities_after().returning(|_, _| Ok(piece(activity)));
        world.archive.expect_steps_of().returning(|_, _, _| Ok(log()));
        world.usage.expect_calls().returning(|_, _, _| Ok(calls()));
        world.accounts.expect_trail().returning(|_, page| {
            let items = trail();
            let total = i64::try_from(items.len()).unwrap();
            Ok(Page { items, total, request: page, next: None })
        });
        world.operators.expect_accounts().returning(|_, page| {
            let items = vec![overview(2).unwrap(), overview(1).unwrap()];
            Ok(Page { items, total: 2, request: page, next: None })
        });
        world.operators.expect_account_overview().returning(|_, id| Ok(overview(id.0)));
        world.imports.expect_imported_actors().returning(|_, _| Ok(Vec::new()));
        world.imports.expect_books_for().returning(|_| Ok(books()));
        world.leftovers.expect_left_over().returning(|_| Ok(None));
        world.readiness.expect_ping().returning(|| Ok(()));
        world.locksmith.expect_found().returning(|_, _, _, _| Ok(founding()));
        world.settings.signup = Signup::Open { credits: 100 };
        world
    }

    /// The store refuses every unit.
    pub(crate) fn refusing(refusal: Refusal) -> Self {
        let mut world = Self::keyed();
        world.sessions.expect_session().returning(|_, id| Ok(session(id.0)));
        world.todos.expect_todo().returning(|_, id| Ok(todo(id.0)));
        world.accounts.expect_held_actors().returning(|_, _| Ok(Vec::new()));
        world.imports.expect_imported_actors().returning(|_, _| Ok(Vec::new()));
        world.units.expect_apply().returning(move |unit| match &unit.intent {
            // What comes after it is what is refused.
            Intent::Manage(management) if matches!(**management, Management::ReserveIds(_)) => {
                Ok(applied(unit))
            }
            _ => Err(ApplyError::Refused(refusal.clone())),
        });
        world
    }

    /// The database is away, or whatever else is at fault. Only who calls is found.
    pub(crate) fn failing(fault: &StoreFault) -> Self {
        macro_rules! fail {
            ($world:ident: $($mock:ident.$expect:ident($($any:pat),*);)+) => {$({
                let fault = fault.clone();
                $world.$mock.$expect().returning(move |$($any),*| Err(fault.clone().into()));
            })+};
        }
        let mut world = Self::keyed_of(AccountKind::Operator);
        world.accounts.expect_recoverable().returning(|lookup| Ok(recoverable(lookup)));
        world.settings.signup = Signup::Open { credits: 100 };
        fail! { world:
            units.expect_apply(_);
            sessions.expect_session(_, _);
            sessions.expect_sessions(_);
            todos.expect_todo(_, _);
            todos.expect_todos(_);
            todos.expect_todo_log(_, _, _);
            activities.expect_activity(_, _);
            activities.expect_activities(_, _);
            activities.expect_activity_stats(_, _);
            accounts.expect_account(_);
            accounts.expect_actors(_);
            accounts.expect_first_actors(_, _);
            accounts.expect_actor_page(_, _);
            accounts.expect_check(_);
            accounts.expect_held_actors(_, _);
            accounts.expect_keys(_);
            accounts.expect_ledger(_, _, _);
            accounts.expect_trail(_, _);
            archive.expect_sessions_after(_, _);
            operators.expect_accounts(_, _);
            operators.expect_account_overview(_, _);
            imports.expect_imported_actors(_, _);
            usage.expect_calls(_, _, _);
            readiness.expect_ping();
        }
        world
    }

    pub(crate) fn router(self) -> Router {
        let clock: Arc<dyn Clock> = Arc::new(self.clock);
        let uids: Arc<dyn Uids> = Arc::new(Counted(AtomicU64::new(1)));
        let units: Arc<dyn UnitStore> = match self.store {
            Some(store) => store,
            None if self.is_stuck => Arc::new(Stuck),
            None => Arc::new(self.units),
        };
        let sessions: Arc<dyn SessionReader> =
            if self.is_stuck { Arc::new(Stuck) } else { Arc::new(self.sessions) };
        let locksmith = Arc::new(self.locksmith);
        let accounts = Arc::new(self.accounts);
        let access = Access {
            locksmith: locksmith.clone(),
            reader: accounts.clone(),
            units: units.clone(),
            clock: clock.clone(),
        };
        let services = Services {
            exports: Exports { access: access.clone(), reader: Arc::new(self.archive) },
            access,
            keys: Keys {
                units: units.clone(),
                reader: accounts.clone(),
                clock: clock.clone(),
                uids: uids.clone(),
            },
            uses: Uses {
                units: units.clone(),
                reader: accounts.clone(),
                clock: clock.clone(),
                backlog: Backlog::default(),
            },
            sessions: Sessions {
                units: units.clone(),
                reader: sessions,
                accounts: accounts.clone(),
                clock: clock.clone(),
                uids: uids.clone(),
            },
            todos: Todos {
                units: units.clone(),
                reader: Arc::new(self.todos),
                accounts: accounts.clone(),
                clock: clock.clone(),
                uids: uids.clone(),
            },
            activities: Activities {
                units: units.clone(),
                reader: Arc::new(self.activities),
                accounts: accounts.clone(),
                clock: clock.clone(),
                uids: uids.clone(),
            },
            imports: Imports {
                units: units.clone(),
                accounts: accounts.clone(),
                reader: Arc::new(self.imports),
                clock: clock.clone(),
                uids: uids.clone(),
            },
            erasures: Erasures {
                units: units.clone(),
                locksmith: locksmith.clone(),
                clock: clock.clone(),
            },
            leftovers: Leftovers {
                units: units.clone(),
                reader: Arc::new(self.leftovers),
                clock: clock.clone(),
                turn: Turn::default(),
            },
            usage: Usage {
                units: units.clone(),
                reader: Arc::new(self.usage),
                clock: clock.clone(),
                pending: Arc::default(),
            },
            operators: Operators {
                units: units.clone(),
                reader: Arc::new(self.operators),
                clock: clock.clone(),
            },
            accounts: Accounts { units, reader: accounts, locksmith, clock, uids: uids.clone() },
            readiness: Arc::new(self.readiness),
            epochs: self.epochs,
            uids,
        };
        roots_http::router(services, &self.settings)
    }
}

// The log.

thread_local! {
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// What this thread logs from here on.
pub(crate) struct Log;

impl Log {
    /// There is one log of all tests, set up before anything is logged: what was found to interest
    /// nobody would never be asked again.
    fn prepare() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let wanted = dynamic_filter_fn(|_, _| LINES.with_borrow(Option::is_some));
            let layer = tracing_subscriber::fmt::layer().json().with_writer(|| Self);
            let log = tracing_subscriber::registry().with(layer.with_filter(wanted));
            tracing::subscriber::set_global_default(log).unwrap();
        });
    }

    pub(crate) fn begin() {
        LINES.set(Some(Vec::new()));
    }

    pub(crate) fn end() -> String {
        String::from_utf8(LINES.take().unwrap_or_default()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.get_or_insert_default().extend(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// Requests.

/// A request to come. It carries the key in force unless told otherwise.
#[derive(Clone)]
pub(crate) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    peer: Option<SocketAddr>,
}

pub(crate) fn ask(method: &'static str, path: &str) -> Ask {
    let key = ("x-api-key", KEY.to_owned());
    Ask { method, path: path.to_owned(), headers: vec![key], body: Vec::new(), peer: None }
}

pub(crate) fn get(path: &str) -> Ask {
    ask("GET", path)
}

pub(crate) fn delete(path: &str) -> Ask {
    ask("DELETE", path)
}

pub(crate) fn post(path: &str, body: &str) -> Ask {
    ask("POST", path).json(body)
}

pub(crate) fn patch(path: &str, body: &str) -> Ask {
    ask("PATCH", path).json(body)
}

impl Ask {
    pub(crate) fn json(self, body: &str) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Comes from that address.
    pub(crate) fn from(mut self, ip: &str) -> Self {
        self.peer = Some(SocketAddr::new(ip.parse().unwrap(), 4711));
        self
    }

    pub(crate) fn without(mut self, header: &str) -> Self {
        self.headers.retain(|(name, _)| *name != header);
        self
    }

    pub(crate) fn without_key(self) -> Self {
        self.without("x-api-key")
    }

    pub(crate) fn by_the_member(self) -> Self {
        self.without_key().header("x-api-key", MEMBERS_KEY)
    }

    pub(crate) fn request(self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(peer) = self.peer {
            request = request.extension(ConnectInfo(peer));
        }
        request.body(Body::from(self.body)).unwrap()
    }

    /// Asks once, in a world that knows everything.
    pub(crate) async fn of_the_whole_world(self) -> Answer {
        self.of(&World::whole().router()).await
    }

    /// The same, by a body that begins and does not go on.
    pub(crate) async fn cut_off(self, router: &Router) -> Answer {
        let begun = stream::once(async { Ok::<_, std::io::Error>(Bytes::from("{")) });
        let mut request = self.request();
        *request.body_mut() = Body::from_stream(begun.chain(stream::pending()));
        Answer::of(router.clone().oneshot(request).await.unwrap()).await
    }

    /// The same, by a body of no announced length, which brings nothing.
    pub(crate) async fn streamed(self, router: &Router) -> Answer {
        let mut request = self.request();
        *request.body_mut() = Body::from_stream(stream::empty::<std::io::Result<Bytes>>());
        Answer::of(router.clone().oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn of(self, router: &Router) -> Answer {
        Answer::of(router.clone().oneshot(self.request()).await.unwrap()).await
    }
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The faults as `field message`.
    pub(crate) fn faults(&self) -> Vec<String> {
        let json = self.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let faults = json["errors"].as_array().cloned().unwrap_or_default();
        faults
            .iter()
            .map(|fault| format!("{} {}", text(&fault["field"]), text(&fault["message"])))
            .collect()
    }

    /// The answer as it would read on the wire, one member a line.
    pub(crate) fn told(&self) -> String {
        let mut told = format!("{}\n", self.status);
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        for header in headers {
            writeln!(told, "{header}").unwrap();
        }
        writeln!(told, "\n{}", spread(&self.body)).unwrap();
        told
    }
}

/// JSON with a line for each member, in the order it has on the wire.
fn spread(json: &str) -> String {
    let (mut told, mut depth, mut quoted, mut escaped) = (String::new(), 0, false, false);
    for c in json.chars() {
        if quoted {
            told.push(c);
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => {
                quoted = true;
                told.push(c);
            }
            '{' | '[' => {
                depth += 1;
                told.push(c);
                told.push('\n');
                told.push_str(&"  ".repeat(depth));
            }
            '}' | ']' => {
                depth -= 1;
                told.push('\n');
                told.push_str(&"  ".repeat(depth));
                told.push(c);
            }
            ',' => {
                told.push_str(",\n");
                told.push_str(&"  ".repeat(depth));
            }
            ':' => told.push_str(": "),
            c => told.push(c),
        }
    }
    told
}

/// Sends bytes to a running server and reads what it answers until it closes.
pub(crate) async fn over_the_wire(head: &str, body: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, World::whole().router()).into_future());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    serving.abort();
    answer
}

// Rows.

fn sealed(text: &str) -> Sealed {
    Sealed(text.as_bytes().to_vec())
}

/// What a damaged text looks like at rest.
fn damaged() -> Sealed {
    sealed("\u{fffd}")
}

fn keyring() -> Arc<dyn Keyring> {
    let mut keys = MockKeyring::new();
    keys.expect_epoch().returning(|| KeyEpoch::FIRST);
    keys.expect_epoch_of().returning(|_| Some(KeyEpoch::FIRST));
    keys.expect_lacks().returning(|_| false);
    keys.expect_add_actor().returning(|_| Ok(Vec::new()));
    keys.expect_mint_key().returning(|_| Ok(founding().key));
    keys.expect_for_actor().returning(|_, _| Ok(keyring()));
    keys.expect_mint_code().returning(|_| Ok(founding().code));
    keys.expect_renew()
        .returning(|_| Ok(Renewal { epoch: KeyEpoch(2), key: founding().key, wraps: Vec::new() }));
    keys.expect_renew_account().returning(|_, _| {
        let Founding { key, code, wraps } = founding();
        let epoch = KeyEpoch(2);
        Ok(AccountRenewal { account_epoch: epoch, owner_epoch: epoch, key, code, wraps })
    });
    keys.expect_seal().returning(|_, text| Ok(sealed(text)));
    keys.expect_open().returning(|_, sealed| {
        if *sealed == damaged() {
            return Err(KeyError::DoesNotOpen);
        }
        String::from_utf8(sealed.0.clone()).map_err(|_| KeyError::DoesNotOpen)
    });
    keys.expect_for_actor().returning(|_, _| Ok(keyring()));
    keys.expect_mac().returning(|purpose, bytes| Ok(mac(2, purpose, bytes)));
    keys.expect_earlier_macs().returning(|purpose, bytes, _| Ok(vec![mac(1, purpose, bytes)]));
    Arc::new(keys)
}

/// Differs wherever what it stands for differs.
fn mac(epoch: u8, purpose: MacPurpose, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = DefaultHasher::new();
    (epoch, purpose, bytes).hash(&mut hasher);
    let mut mac = [0; 32];
    mac[..8].copy_from_slice(&hasher.finish().to_be_bytes());
    mac
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn owner() -> Actor {
    Actor {
        id: ActorId(1),
        uid: Uid::NIL,
        name: name("docs-agent"),
        kind: ActorKind::Agent,
        role: Role::Owner,
        is_active: true,
        key_epoch: KeyEpoch::FIRST,
        renewals: Renewals::NONE,
        created_at: at("2026-04-09T09:00:00Z"),
    }
}

fn member() -> Actor {
    Actor {
        id: ActorId(2),
        name: name("Ada"),
        kind: ActorKind::Human,
        role: Role::Member,
        ..owner()
    }
}

pub(crate) fn account() -> Account {
    Account {
        id: AccountId(1),
        uid: Uid::NIL,
        name: name("Acme"),
        kind: AccountKind::Customer,
        status: AccountStatus::Active,
        balance: 99,
        auth_epoch: 1,
        key_epoch: KeyEpoch::FIRST,
        counters: Counters { actor: 2, session: DAMAGED, ..Counters::default() },
        keys: 2,
        created_at: at("2026-04-09T09:00:00Z"),
        version: 1,
    }
}

pub(crate) fn credentials(lookup: Lookup) -> Option<Credentials> {
    let actor = match lookup.hash {
        LookupHash([1, ..]) => owner(),
        LookupHash([3, ..]) => member(),
        _ => return None,
    };
    let key = api_key(&actor).validity();
    let Account { id, uid, name, kind, auth_epoch, key_epoch, .. } = account();
    let account = KeyAccount { id, uid, name, kind, auth_epoch, key_epoch };
    Some(Credentials { account, actor, key, wraps: Vec::new() })
}

/// The key of an actor.
fn api_key(actor: &Actor) -> ApiKey {
    ApiKey {
        id: KeyId(actor.id.0),
        actor: actor.id,
        lookup: LookupHash([1; 32]),
        prefix: "roots_1_".into(),
        label: None,
        created_at: at("2026-04-09T09:00:00Z"),
        last_used: None,
        expires_at: None,
        ends_at: None,
        succession: None,
        first_used_at: None,
    }
}

fn recoverable(lookup: Lookup) -> Option<Recoverable> {
    let code = RecoveryCode {
        id: RecoveryId(1),
        lookup: lookup.hash,
        created_at: at("2026-04-09T09:00:00Z"),
        comes_with: None,
    };
    (lookup.hash == LookupHash([1; 32])).then(|| Recoverable {
        account: account(),
        owner: owner(),
        code,
        came_with: None,
        wraps: Vec::new(),
    })
}

pub(crate) fn founding() -> Founding {
    let secret = |text: &str| SecretString::from(text);
    Founding {
        key: MintedKey {
            secret: secret("roots_2_secret"),
            prefix: "roots_2_sec".into(),
            lookup: LookupHash([2; 32]),
            wraps: Vec::new(),
        },
        code: MintedCode {
            secret: secret("00002-CODE"),
            lookup: LookupHash([3; 32]),
            wraps: Vec::new(),
        },
        wraps: Vec::new(),
    }
}

fn of_id<T>(id: i64, row: impl FnOnce(ActorId, Option<Sealed>) -> T) -> Option<T> {
    match id {
        1 | 2 => Some(row(ActorId(1), None)),
        ANOTHERS => Some(row(ActorId(2), None)),
        DAMAGED => Some(row(ActorId(1), Some(damaged()))),
        _ => None,
    }
}

/// All that there is of a kind.
pub(crate) fn piece<T>(of_id: fn(i64) -> Option<T>) -> Piece<T> {
    Piece { rows: [1, DAMAGED].into_iter().filter_map(of_id).collect(), next: None }
}

pub(crate) fn session(id: i64) -> Option<Session<Sealed>> {
    of_id(id, |actor, text| Session {
        id: SessionId(id),
        uid: Uid::NIL,
        actor,
        status: SessionStatus::Active,
        notes: Some(text.unwrap_or_else(|| sealed("Working on API docs"))),
        started_at: at("2026-04-09T10:00:00Z"),
        ended_at: None,
        version: 1,
    })
}

pub(crate) fn todo(id: i64) -> Option<Todo<Sealed>> {
    of_id(id, |actor, text| Todo {
        id: TodoId(id),
        uid: Uid::NIL,
        actor,
        session: None,
        title: text.unwrap_or_else(|| sealed("Write API docs")),
        description: Some(sealed("Document sessions, todos, and activities endpoints")),
        status: TodoStatus::Open,
        priority: Priority::parse(2).unwrap(),
        due_at: Some(at("2026-04-10T00:00:00Z")),
        created_at: at("2026-04-09T10:00:00Z"),
        updated_at: at("2026-04-09T10:00:00Z"),
        version: 1,
    })
}

fn log() -> Vec<StatusChange<Sealed>> {
    let step = |id, old_status, new_status, note, logged_at| StatusChange {
        id: LogId(id),
        uid: Uid::NIL,
        todo: TodoId(1),
        old_status,
        new_status,
        note: Some(sealed(note)),
        logged_at: at(logged_at),
    };
    let (open, begun, done) = (TodoStatus::Open, TodoStatus::InProgress, TodoStatus::Done);
    vec![
        step(1, open, begun, "Starting work", "2026-04-09T11:00:00Z"),
        step(2, begun, done, "All three docs pages deployed", "2026-04-09T14:00:00Z"),
    ]
}

pub(crate) fn activity(id: i64) -> Option<Activity<Sealed>> {
    let told = "Deployed docs pages for sessions, todos, activities";
    of_id(id, |actor, text| Activity {
        id: ActivityId(id),
        uid: Uid::NIL,
        actor,
        session: Some(SessionId(1)),
        activity_type: ActivityType::parse("deploy").unwrap(),
        description: text.unwrap_or_else(|| sealed(told)),
        logged_at: at("2026-04-09T14:00:00Z"),
        created_at: at("2026-04-09T14:00:00Z"),
        version: 1,
    })
}

/// As the seed has them.
fn figures() -> ActivityStats {
    let day = |text: &str| at(text).day();
    let kind = |text: &str| ActivityType::parse(text).unwrap();
    ActivityStats {
        total: 47,
        by_type: vec![(kind("general"), 27), (kind("deploy"), 12), (kind("review"), 8)],
        by_type_omitted: 0,
        by_day: vec![(day("2026-04-07"), 15), (day("2026-04-08"), 18), (day("2026-04-09"), 14)],
        by_day_omitted: 0,
        sessions: SessionCounts { total: 5, active: 1 },
    }
}

/// As the contract counts them.
fn calls() -> Vec<(Day, Endpoint, i64)> {
    let called = |day: &str, method: &str, route: &str, calls| {
        let endpoint = Endpoint { route: route.to_owned(), method: method.to_owned() };
        (at(day).day(), endpoint, calls)
    };
    vec![
        called("2026-04-08", "GET", "/todos", 12),
        called("2026-04-09", "GET", "/todos", 18),
        called("2026-04-09", "POST", "/activities", 12),
    ]
}

fn ledger() -> Vec<LedgerEntry> {
    vec![
        LedgerEntry {
            id: LedgerId(2),
            delta: -1,
            balance_after: 99,
            reason: Reason::ApiWrite,
            endpoint: Some("PATCH /todos/{id}".into()),
            actor: Some(ActorId(1)),
            note: None,
            created_at: at("2026-04-09T10:00:00Z"),
        },
        LedgerEntry {
            id: LedgerId(1),
            delta: 100,
            balance_after: 100,
            reason: Reason::BootstrapGrant,
            endpoint: None,
            actor: None,
            note: None,
            created_at: at("2026-04-09T09:00:00Z"),
        },
    ]
}

fn trail() -> Vec<TrailEntry> {
    let entry =
        |id, deed, created_at| TrailEntry { id: AuditId(id), deed, created_at: at(created_at) };
    let bearer = KeyBearer {
        account: AccountId(1),
        actor: ActorId(1),
        role: Role::Owner,
        key: KeyId(1),
        auth_epoch: 1,
        ends_at: None,
    };
    vec![
        entry(
            3,
            Deed::of(Act::CreditsGranted, bearer).to_account(AccountId(2)),
            "2026-04-09T13:00:00Z",
        ),
        entry(
            2,
            Deed::of(Act::KeyRevoked, bearer).to_key(ActorId(2), KeyId(5)),
            "2026-04-09T12:00:00Z",
        ),
        entry(1, Deed::of_operator(Act::AccountResumed, AccountId(7)), "2026-04-09T11:00:00Z"),
    ]
}

fn overview(id: i64) -> Option<AccountOverview> {
    let counters = Counters { actor: 3, ..Counters::default() };
    let account = Account { id: AccountId(id), counters, ..account() };
    match id {
        1 => Some(AccountOverview {
            account: Account { kind: AccountKind::Operator, ..account },
            writes: 0,
            last_write_at: None,
        }),
        2 => Some(AccountOverview {
            account: Account { status: AccountStatus::Suspended, ..account },
            writes: 7,
            last_write_at: Some(at("2026-04-09T13:30:00Z")),
        }),
        _ => None,
    }
}

/// The books of an account that has nothing but credits.
pub(crate) fn books() -> Books {
    let mut books = Books::default();
    books.load_account(account());
    books
}

/// Applies a unit to the rows above.
pub(crate) fn applied(unit: UnitOfWork) -> Applied {
    let at = unit.at;
    let cost = match &unit.intent {
        Intent::Import(import) => Some(i64::try_from(import.rows.len()).unwrap()),
        _ => None,
    };
    let row = match unit.intent {
        Intent::StartSession { actor, uid, notes } => AppliedRow::Session(Session {
            id: SessionId(2),
            uid,
            actor,
            notes,
            started_at: at,
            ..session(2).unwrap()
        }),
        Intent::PatchSession(row) => {
            let before = session(row.id.0).unwrap();
            let notes = row.patch.notes.against(before.notes.as_ref());
            let patch = SessionPatch { status: row.patch.status, notes };
            AppliedRow::Session(before.patch(patch, at).unwrap())
        }
        Intent::CreateTodo(new) => AppliedRow::Todo(Todo {
            id: TodoId(2),
            uid: new.uid,
            actor: new.actor,
            session: new.session,
            title: new.title,
            description: new.description,
            status: TodoStatus::Open,
            priority: new.priority,
            due_at: new.due_at,
            created_at: at,
            updated_at: at,
            version: 1,
        }),
        Intent::PatchTodo { row, .. } => {
            let before = todo(row.id.0).unwrap();
            let plain = |new: Resealed| new.sealed;
            let patch = TodoPatch {
                title: row.patch.title.map(plain),
                description: row.patch.description.against(before.description.as_ref()),
                status: row.patch.status,
                priority: row.patch.priority,
                due_at: row.patch.due_at,
                session: row.patch.session,
                note: row.patch.note.map(plain),
            };
            // A note without a change is the true store's to refuse.
            let patch = TodoPatch { note: patch.note.filter(|_| patch.status.is_some()), ..patch };
            AppliedRow::Todo(before.patch(patch, at).unwrap_or(before))
        }
        Intent::LogActivity(new) => AppliedRow::Activity(Activity {
            id: ActivityId(2),
            uid: new.uid,
            actor: new.actor,
            session: new.session,
            activity_type: new.activity_type,
            description: new.description,
            logged_at: new.logged_at.unwrap_or(at),
            created_at: at,
            version: 1,
        }),
        Intent::DeleteSession(_)
        | Intent::DeleteTodo(_)
        | Intent::DeleteActivity(_)
        | Intent::EraseAccount { .. }
        | Intent::SweepErased(_)
        | Intent::UnlinkSession { .. }
        | Intent::ForgetAnswers { .. } => AppliedRow::Deleted,
        Intent::Import(import) => AppliedRow::Imported(
            import.rows.iter().map(|row| Ok(Imported::New(row.origin().id()))).collect(),
        ),
        Intent::ReserveAccount => AppliedRow::Reserved(AccountId(2)),
        Intent::CountCalls(_) => AppliedRow::Counted,
        Intent::Manage(management) => managed(*management, at),
        Intent::FoundAccount(_)
        | Intent::NoteExport { .. }
        | Intent::NoteImport { .. }
        | Intent::UseKey { .. }
        | Intent::TendKeys { .. } => AppliedRow::Account(Box::new(account())),
        Intent::GrantCredits { account: id, amount, .. } => {
            AppliedRow::Account(Box::new(Account { id, balance: 99 + amount, ..account() }))
        }
        Intent::SetAccountStatus { account: id, status } => {
            AppliedRow::Account(Box::new(Account { id, status, ..account() }))
        }
    };
    Applied {
        row,
        cost: cost.unwrap_or_else(|| unit.charge.map_or(0, |charge| charge.cost)),
        balance: 98,
        is_replay: false,
    }
}

/// A key in use, one that has expired, and one of an actor that is not active.
fn listed_keys() -> Vec<ListedKey> {
    let key = api_key(&owner());
    let of = |actor: Actor, key: ApiKey| ListedKey {
        key: ApiKey { actor: actor.id, ..key },
        actor_name: actor.name,
        actor_is_active: actor.is_active,
    };
    let used = ApiKey { last_used: Some(at("2026-04-09T13:59:00Z")), ..key.clone() };
    let over = ApiKey {
        id: KeyId(2),
        label: Some(name("laptop")),
        expires_at: Some(at("2026-04-09T14:00:00Z")),
        ..key.clone()
    };
    let idle = ApiKey { id: KeyId(3), ..key };
    let inactive = Actor { is_active: false, ..member() };
    vec![of(owner(), used), of(owner(), over), of(inactive, idle)]
}

/// Applies a unit of actors and keys to the rows above.
fn managed(management: Management, at: Timestamp) -> AppliedRow {
    match management {
        Management::ReserveIds(_) => {
            let taken = account();
            let counters = Counters { actor: 3, key: 2, recovery: 2, ..taken.counters };
            AppliedRow::Account(Box::new(Account { counters, ..taken }))
        }
        Management::AddActor(new) => AppliedRow::Actor(Actor {
            id: new.id,
            uid: new.uid,
            name: new.name,
            kind: new.kind,
            role: Role::Member,
            is_active: true,
            key_epoch: KeyEpoch::FIRST,
            renewals: Renewals::NONE,
            created_at: at,
        }),
        Management::PatchActor { id, name, is_active } => {
            let before = owner();
            AppliedRow::Actor(Actor {
                id,
                name: name.unwrap_or(before.name),
                is_active: is_active.unwrap_or(before.is_active),
                ..before
            })
        }
        Management::AddKey(new) => AppliedRow::Key(ApiKey {
            id: new.id,
            actor: new.actor,
            lookup: new.lookup,
            prefix: new.prefix,
            label: new.label,
            created_at: at,
            last_used: None,
            expires_at: new.expires_at,
            ends_at: None,
            succession: None,
            first_used_at: None,
        }),
        Management::RenewCode(_) => AppliedRow::Account(Box::new(account())),
        Management::RevokeKey(id) => {
            AppliedRow::Key(ApiKey { id, ends_at: Some(ApiKey::ENDED), ..api_key(&owner()) })
        }
    }
}
