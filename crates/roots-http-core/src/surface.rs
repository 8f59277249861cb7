//! Surfaces, such as the REST API, and the one router that serves all of them.

use std::collections::HashMap;
use std::future;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use roots_domain::port::clock::Uids;

use crate::auth::rate_limit::Limits;
use crate::middleware::compression::compression_layer;
use crate::middleware::cors::cors_layer;
use crate::middleware::large_bodies::LargeBodies;
use crate::middleware::large_pages::LargePages;
use crate::middleware::pipeline::{Pipeline, other_method, pass};
use crate::middleware::route_traits::{RouteTable, RouteTraits, WriteProblem};
use crate::problem::Problem;
use crate::settings::HttpSettings;

/// The routes of one surface.
pub struct Surface {
    /// The routes. It has no fallback: [`router`] answers unknown paths and methods.
    pub routes: Router,
    /// What the middleware must know of each route. One that is not named has the default traits.
    pub traits: HashMap<String, RouteTraits>,
    /// How browsers are told that a path does not exist, if this surface has pages.
    pub no_such_page: Option<WriteProblem>,
}

/// All surfaces as one service, behind the middleware. Serve it with the peers' addresses
/// ([`axum::extract::ConnectInfo`] in each request): without them, all clients share the limits of
/// one.
pub fn router(
    surfaces: impl IntoIterator<Item = Surface>,
    settings: &HttpSettings,
    uids: Arc<dyn Uids>,
) -> Router {
    let (mut routes, mut traits, mut no_such_page) = (Router::new(), HashMap::new(), None);
    for surface in surfaces {
        routes = routes.merge(surface.routes);
        traits.extend(surface.traits);
        no_such_page = no_such_page.or(surface.no_such_page);
    }
    let has_pages = !settings.cors_origins.is_empty();
    let pipeline = Arc::new(Pipeline {
        uids,
        cors: has_pages.then(|| cors_layer(&settings.cors_origins)),
        limits: Arc::new(Limits::new(&settings.limits, settings.trusted_proxies.clone())),
        compression: compression_layer(),
        large_bodies: LargeBodies::new(settings.large_bodies, settings.trusted_proxies.clone()),
        large_pages: LargePages::new(settings.large_answers.clone()),
        routes: RouteTable::new(traits),
        no_such_page,
    });
    routes
        .fallback(|| future::ready(Problem::no_such_path()))
        .method_not_allowed_fallback(|request: Request| future::ready(other_method(&request)))
        .layer(from_fn_with_state(pipeline, pass))
}
