//! The HTTP API of Roots.
//!
//! [`router`] is the whole of it, over the core's use cases; [`openapi`] describes it. Nothing here
//! decides anything about sessions, todos, activities or credits: a handler reads a request, asks
//! the core, and words its answer.

mod accounts;
mod activities;
mod actors;
mod address;
mod answers;
mod auth;
mod body;
mod budget;
mod conditional;
mod edge;
mod ending;
mod erasures;
mod exports;
mod fields;
mod imports;
mod keys;
mod large_bodies;
mod limits;
mod list;
mod long_requests;
mod openapi;
mod operators;
mod pages;
mod path;
mod problem;
mod progress;
mod query;
mod secrets;
mod service;
mod sessions;
mod todos;
mod trail;
mod turns;
mod usage;

pub use accounts::Bootstrapped;
pub use address::{TrustedProxy, client_network, is_trusted};
pub use budget::Budget;
pub use ending::Ending;
pub use limits::RateLimits;
pub use progress::{Pace, Progress, WINDOW as PROGRESS_WINDOW};

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use roots_domain::model::Invalid;
use roots_domain::port::ambient::Uids;
use roots_domain::port::store::{AuthEpochs, Readiness};
use roots_domain::usecase::access::Access;
use roots_domain::usecase::accounts::Accounts;
use roots_domain::usecase::activities::Activities;
use roots_domain::usecase::erasures::Erasures;
use roots_domain::usecase::exports::Exports;
use roots_domain::usecase::imports::Imports;
use roots_domain::usecase::keys::Keys;
use roots_domain::usecase::leftovers::Leftovers;
use roots_domain::usecase::operators::Operators;
use roots_domain::usecase::sessions::Sessions;
use roots_domain::usecase::todos::Todos;
use roots_domain::usecase::usage::Usage;
use roots_domain::usecase::uses::Uses;
use utoipa_axum::router::OpenApiRouter;

use edge::Edge;
use large_bodies::LargeBodies;
use limits::Limits;
use long_requests::LongRequests;

/// Where the API's own paths begin.
const API_PATH: &str = "/api/v1";

/// What the API serves.
#[derive(Clone)]
pub struct Services {
    /// Admits callers.
    pub access: Access,
    /// Work sessions.
    pub sessions: Sessions,
    /// Todos and their logs.
    pub todos: Todos,
    /// Activities and their statistics.
    pub activities: Activities,
    /// Accounts and their credits.
    pub accounts: Accounts,
    /// What operators do to accounts.
    pub operators: Operators,
    /// Exports.
    pub exports: Exports,
    /// How often accounts call what.
    pub usage: Usage,
    /// Actors and keys.
    pub keys: Keys,
    /// When keys were last used.
    pub uses: Uses,
    /// Imports.
    pub imports: Imports,
    /// Erasures.
    pub erasures: Erasures,
    /// Tells of keys that have ended.
    pub epochs: Arc<dyn AuthEpochs>,
    /// What deletions have left.
    pub leftovers: Leftovers,
    /// Whether the database answers.
    pub readiness: Arc<dyn Readiness>,
    /// Names requests that come without a name.
    pub uids: Arc<dyn Uids>,
}

/// How the API is served. The default is closed to strangers.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Who may make an account.
    pub signup: Signup,
    /// The web pages that may call the API from a browser: none unless named.
    pub cors_origins: Vec<Origin>,
    /// How often may be asked.
    pub limits: RateLimits,
    /// The proxies that are believed when they say whom they ask for: none unless named.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// When it is to end.
    pub ending: Ending,
    /// What large answers hold together until they are sent.
    pub large_answers: Budget,
    /// How many bodies of requests above 128 KiB are held at once, 1 MiB each at most. One address has
    /// at most a quarter of them. By default 64.
    pub large_bodies: usize,
    /// How long a caller is remembered, with its keys unlocked. One whose key has ended stops at once all
    /// the same: each read tells whether the account's auth epoch has moved, and each write is checked
    /// by the store. One that was found wrong is not looked up again for that long, or for 5 s.
    pub caller_ttl: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            signup: Signup::default(),
            cors_origins: Vec::new(),
            limits: RateLimits::default(),
            trusted_proxies: Vec::new(),
            ending: Ending::default(),
            large_answers: Budget::default(),
            large_bodies: 64,
            caller_ttl: Duration::from_mins(10),
        }
    }
}

/// Who may make an account by `POST /bootstrap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signup {
    /// Nobody: 403.
    #[default]
    Closed,
    /// Anybody.
    Open {
        /// The credits a new account starts with, not negative.
        credits: i64,
    },
}

/// The origin of a web page: `https://example.org`, `http://localhost:3000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl Origin {
    /// Reads an origin as browsers send it.
    ///
    /// # Errors
    /// Says the form.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let form = || Invalid::new("must be an origin such as https://example.org, without a path");
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = host
            .filter(|host| {
                host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            })
            .ok_or_else(form)?;
        let plain = |b: u8| {
            b.is_ascii_lowercase()
                || b.is_ascii_digit()
                || matches!(b, b'.' | b'-' | b':' | b'[' | b']')
        };
        if !host.bytes().all(plain) {
            return Err(form());
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| form())
    }
}

/// What handlers share.
type App = Arc<Shared>;

struct Shared {
    services: Services,
    signup: Signup,
    callers: auth::Callers,
    ending: Ending,
    answers: answers::Answers,
    export_turns: turns::Turns,
    pinger: service::Pinger,
    imports: LongRequests,
    exports: LongRequests,
}

impl Shared {
    /// Has what a deletion has left be done. Nobody waits for it, and where it is cut off, this or another
    /// process goes on later.
    fn work_off(&self) {
        let leftovers = self.services.leftovers.clone();
        let working = async move {
            if let Err(fault) = leftovers.work_off().await {
                tracing::warn!(%fault, "a deletion is left for later");
            }
        };
        tokio::spawn(working);
    }
}

/// The whole API as one service. It has to be served with the peers' addresses
/// ([`axum::extract::ConnectInfo`] in each request): where they are missing, all share the limits of one.
pub fn router(services: Services, settings: &HttpSettings) -> Router {
    let uids = Arc::clone(&services.uids);
    let callers = auth::Callers::new(settings.caller_ttl);
    callers.listen(&*services.epochs);
    let Routes { all, private, keyed } = routes();
    let (routes, _) = all.split_for_parts();
    // Now rather than for the first that asks.
    std::sync::LazyLock::force(&service::DESCRIPTION);
    let pinger = service::Pinger::new(Arc::clone(&services.readiness));
    let app = Arc::new(Shared {
        services,
        signup: settings.signup,
        callers,
        ending: settings.ending.clone(),
        answers: answers::Answers::new(settings.large_answers.clone()),
        export_turns: turns::Turns::new(exports::PIECES_READ),
        pinger,
        imports: LongRequests::new("imports"),
        exports: LongRequests::new("exports"),
    });
    let has_pages = !settings.cors_origins.is_empty();
    let edge = Arc::new(Edge {
        uids,
        cors: has_pages.then(|| edge::cors_layer(&settings.cors_origins)),
        limits: Arc::new(Limits::new(&settings.limits, settings.trusted_proxies.clone(), keyed)),
        compression: edge::compression_layer(),
        large_bodies: LargeBodies::new(settings.large_bodies, settings.trusted_proxies.clone()),
        private,
    });
    routes
        .fallback(edge::no_such_path)
        .method_not_allowed_fallback(edge::other_method)
        .with_state(app)
        .layer(from_fn_with_state(edge, edge::pass))
}

/// The API as an `OpenAPI` 3.1 document. It depends on nothing that runs.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    openapi::complete(routes().all.into_openapi())
}

/// Every route there is.
struct Routes {
    /// Those that the description lists, and the pages that render it.
    all: OpenApiRouter<App>,
    /// The paths of those whose answers depend on who asks.
    private: HashSet<String>,
    /// The paths of those that demand a key.
    keyed: HashSet<String>,
}

/// Routers are put together here and nowhere else, to which a test holds the source.
fn routes() -> Routes {
    let keyed = OpenApiRouter::default()
        .merge(sessions::routes())
        .merge(todos::routes())
        .merge(activities::routes())
        .merge(actors::routes())
        .merge(keys::routes())
        .merge(accounts::routes())
        .merge(trail::routes())
        .merge(operators::routes())
        .merge(usage::routes());
    let paths = |routes: &OpenApiRouter<App>| routes.get_openapi().paths.paths.clone().into_keys();
    let private: HashSet<_> = paths(&keyed).collect();
    let signup =
        accounts::signup_routes().layer(from_fn(limits::signups)).layer(map_response(secret));
    let recovery = accounts::recovery_routes().layer(map_response(secret));
    let keyed_secrets = exports::routes()
        .merge(imports::routes())
        .merge(erasures::routes())
        .layer(map_response(secret))
        .layer(map_response(edge::by_key));
    let needs_key = paths(&keyed_secrets).chain(private.iter().cloned()).collect();
    let all = service::routes()
        .merge(keyed)
        .merge(signup)
        .merge(recovery)
        .merge(keyed_secrets)
        .merge(service::description_routes())
        .merge(OpenApiRouter::from(service::docs()));
    Routes { all, private, keyed: needs_key }
}

/// What holds a secret is nobody's to keep.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

async fn secret(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}
