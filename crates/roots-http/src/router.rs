//! The router: all routes of the API.

use std::collections::{HashMap, HashSet};
use std::future;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Request;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use roots_domain::service::Services;
use roots_http_core::auth::caller_cache::Callers;
use roots_http_core::auth::client_context::signups;
use roots_http_core::auth::rate_limit::{Limits, RouteLimit};
use roots_http_core::middleware::compression::compression_layer;
use roots_http_core::middleware::cors::cors_layer;
use roots_http_core::middleware::fair_permits::FairPermits;
use roots_http_core::middleware::large_bodies::LargeBodies;
use roots_http_core::middleware::pipeline::{Pipeline, by_key, other_method, pass};
use roots_http_core::problem::Problem;
use roots_http_core::state::HttpState;
use roots_http_core::wire::NO_STORE;
use utoipa_axum::router::OpenApiRouter;

use crate::app::{App, AppState};
use crate::long_requests::LongRequests;
use crate::meta::pages::Document;
use crate::meta::pinger::Pinger;
use crate::openapi::{complete, methods};
use crate::preconditions::{misplaced, only_reads};
use crate::settings::HttpSettings;
use crate::wire::{FILE_PATH, HEALTH_PATH, IMPORT_PATH, READY_PATH};
use crate::{
    accounts, activities, actors, audit, brief, claims, erasures, export, import, keys, meta,
    operators, search, sessions, todos, usage,
};

/// The whole API as one service. Serve it with the peers' addresses ([`axum::extract::ConnectInfo`]
/// in each request): without them, all clients share the limits of one.
pub fn router(services: Services, settings: &HttpSettings) -> Router {
    let uids = Arc::clone(&services.uids);
    let Routes { all, private, limits } = routes();
    let (routes, description) = all.split_for_parts();
    let shared = Arc::new(HttpState::new(
        &services,
        Callers::new(settings.caller_ttl),
        settings.large_answers.clone(),
        settings.shutdown.clone(),
    ));
    let app = App(Arc::new(AppState {
        shared,
        signup: settings.signup,
        export_permits: FairPermits::new(export::CHUNKS_READ),
        pinger: Pinger::new(Arc::clone(&services.readiness)),
        imports: LongRequests::new("imports"),
        exports: LongRequests::new("exports"),
        // Built now, not by the first request.
        description: LazyLock::force(&DESCRIPTION),
        services,
    }));
    let has_pages = !settings.cors_origins.is_empty();
    let pipeline = Arc::new(Pipeline {
        uids,
        cors: has_pages.then(|| cors_layer(&settings.cors_origins)),
        limits: Arc::new(Limits::new(&settings.limits, settings.trusted_proxies.clone(), limits)),
        compression: compression_layer(),
        large_bodies: LargeBodies::new(settings.large_bodies, settings.trusted_proxies.clone()),
        private,
        methods: methods(&description),
        endless: HashSet::from([IMPORT_PATH.to_owned()]),
        only_reads,
        misplaced,
    });
    routes
        .fallback(|| future::ready(Problem::no_such_path()))
        .method_not_allowed_fallback(|request: Request| future::ready(other_method(&request)))
        .with_state(app)
        .layer(from_fn_with_state(pipeline, pass))
}

/// The API as an `OpenAPI` 3.1 document. It is the same for every server.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    complete(routes().all.into_openapi())
}

/// The document is the same for all routers of a process, so they share one.
static DESCRIPTION: LazyLock<Document> = LazyLock::new(|| {
    // A document of strings, numbers and lists always serializes.
    Document::json(openapi().to_json().unwrap_or_default())
});

/// All routes.
struct Routes {
    /// The routes in the OpenAPI document, and the pages that render it.
    all: OpenApiRouter<App>,
    /// The paths whose answers depend on the caller.
    private: HashSet<String>,
    /// The limits of the routes that have one of their own.
    limits: HashMap<String, RouteLimit>,
}

/// The only place that merges routers; a test checks this in the source.
fn routes() -> Routes {
    let keyed = OpenApiRouter::default()
        .merge(sessions::routes())
        .merge(todos::routes())
        .merge(claims::routes())
        .merge(activities::routes())
        .merge(brief::routes())
        .merge(search::routes())
        .merge(actors::routes())
        .merge(keys::routes())
        .merge(accounts::routes())
        .merge(audit::routes())
        .merge(operators::routes())
        .merge(usage::routes());
    let paths = |routes: &OpenApiRouter<App>| routes.get_openapi().paths.paths.clone().into_keys();
    let private: HashSet<_> = paths(&keyed).collect();
    let signup = accounts::signup_routes().layer(from_fn(signups)).layer(map_response(secret));
    let recovery = accounts::recovery_routes().layer(map_response(secret));
    let keyed_secrets = export::routes()
        .merge(import::routes())
        .merge(erasures::routes())
        .layer(map_response(secret))
        .layer(map_response(|response| future::ready(by_key(response))));
    let needs_key = paths(&keyed_secrets).chain(private.iter().cloned());
    let open = [
        (HEALTH_PATH, RouteLimit::Probe),
        (READY_PATH, RouteLimit::Probe),
        (FILE_PATH, RouteLimit::Static),
    ];
    let limits = needs_key
        .map(|path| (path, RouteLimit::Caller))
        .chain(open.map(|(path, limit)| (path.to_owned(), limit)))
        .collect();
    let all = meta::routes()
        .merge(keyed)
        .merge(signup)
        .merge(recovery)
        .merge(keyed_secrets)
        .merge(meta::description_routes())
        .merge(OpenApiRouter::from(meta::docs()));
    Routes { all, private, limits }
}

/// Forbids to store answers that hold secrets.
async fn secret(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}
