//! The routes of the API.

use std::collections::{HashMap, HashSet};
use std::future;
use std::sync::{Arc, LazyLock};

use axum::http::header::CACHE_CONTROL;
use axum::middleware::{from_fn, map_response};
use axum::response::Response;
use roots_domain::service::Services;
use roots_http_core::auth::client_context::signups;
use roots_http_core::auth::rate_limit::RouteLimit;
use roots_http_core::middleware::long_requests::LongRequests;
use roots_http_core::middleware::pipeline::by_key;
use roots_http_core::middleware::route_traits::RouteTraits;
use roots_http_core::state::SharedState;
use roots_http_core::surface::Surface;
use roots_http_core::wire::{API_PATH, NO_STORE};
use utoipa_axum::router::OpenApiRouter;

use crate::app::{App, AppState};
use crate::meta::pages::Document;
use crate::meta::pinger::Pinger;
use crate::openapi::{complete, methods};
use crate::preconditions::{is_idempotent, is_tagged, only_reads};
use crate::settings::Signup;
use crate::wire::{FILE_PATH, HEALTH_PATH, IMPORT_PATH, READY_PATH};
use crate::{
    accounts, activities, actors, audit, brief, claims, erasures, events, export, import, keys,
    meta, operators, search, sessions, todos, usage, work,
};

/// The whole API, on these services.
#[must_use]
pub fn surface(services: Services, signup: Signup, shared: SharedState) -> Surface {
    let Routes { all, private, limits } = routes();
    let (routes, description) = all.split_for_parts();
    let app = App(Arc::new(AppState {
        shared,
        signup,
        pinger: Pinger::new(Arc::clone(&services.readiness)),
        imports: LongRequests::new("imports"),
        // Built now, not by the first request.
        description: LazyLock::force(&DESCRIPTION),
        services,
    }));
    let mut traits: HashMap<_, _> = methods(&description)
        .into_iter()
        .map(|(path, methods)| {
            let route = path.strip_prefix(API_PATH).unwrap_or_default();
            let traits = RouteTraits {
                methods,
                limit: None,
                is_private: private.contains(&path),
                is_endless: path == IMPORT_PATH,
                is_tagged: is_tagged(route),
                is_idempotent: is_idempotent(route),
                only_reads: only_reads(&path),
                write_problem: None,
            };
            (path, traits)
        })
        .collect();
    for (path, limit) in limits {
        traits.entry(path).or_default().limit = Some(limit);
    }
    Surface { routes: routes.with_state(app), traits, no_such_page: None }
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
        .merge(events::routes())
        .merge(operators::routes())
        .merge(usage::routes())
        .merge(work::routes());
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
