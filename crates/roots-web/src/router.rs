//! The paths of the pages.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use roots_domain::service::Services;
use roots_http_core::auth::rate_limit::RouteLimit;
use roots_http_core::middleware::route_traits::RouteTraits;
use roots_http_core::settings::HttpSettings;
use roots_http_core::state::SharedState;
use roots_http_core::surface::Surface;
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::app::{App, AppState};
use crate::assets::{self, ASSETS_PATH};
use crate::guard::{check, of_another_site};
use crate::once;
use crate::pages::{
    access, accounts, activity, agents, credits, live, now, sessions, sign_in, theme, todos,
};
use crate::problem_page;
use crate::settings::Dashboard;
use crate::viewer::SIGN_IN_PATH;

/// The pages, on these services. None if they are off.
#[must_use]
pub fn surface(
    services: &Services,
    settings: &HttpSettings,
    shared: SharedState,
    dashboard: Dashboard,
) -> Option<Surface> {
    if dashboard == Dashboard::Off {
        return None;
    }
    let (services, hosts) = (services.clone(), settings.hosts.clone());
    let rules = settings.dashboard;
    let app =
        App(Arc::new(AppState { services, shared, hosts, same_forms: once::places(), rules }));
    let mut traits = HashMap::new();
    let mut routes = Router::new();
    for (path, limit, methods, route) in pages() {
        let page = RouteTraits {
            methods,
            limit,
            write_problem: Some(problem_page::write),
            ..RouteTraits::default()
        };
        traits.insert(path.to_owned(), page);
        routes = routes.route(path, route);
    }
    let refuse: fn(ProtectionError) -> Response = |_| of_another_site().into_response();
    let routes = routes
        .layer(CsrfLayer::new().with_rejection_response(refuse))
        .layer(from_fn_with_state(app.clone(), check));
    let asset = RouteTraits { limit: Some(RouteLimit::Static), ..RouteTraits::default() };
    traits.insert(ASSETS_PATH.to_owned(), asset);
    let routes = routes.route(ASSETS_PATH, get(assets::get)).with_state(app);
    Some(Surface { routes, traits, no_such_page: Some(problem_page::write) })
}

/// A path, what its requests count against, its methods and its handlers.
type PageRoute = (&'static str, Option<RouteLimit>, Vec<Method>, MethodRouter<App>);

/// A page that is read.
fn read(path: &'static str, route: MethodRouter<App>) -> PageRoute {
    (path, Some(RouteLimit::Caller), vec![Method::GET, Method::HEAD], route)
}

/// A page that is read, and a form's target.
fn read_write(path: &'static str, route: MethodRouter<App>) -> PageRoute {
    let methods = vec![Method::GET, Method::HEAD, Method::POST];
    (path, Some(RouteLimit::Caller), methods, route)
}

/// A form's target.
fn write(path: &'static str, route: MethodRouter<App>) -> PageRoute {
    (path, Some(RouteLimit::Caller), vec![Method::POST], route)
}

/// A page that needs no sign-in. It counts against the client's address.
fn open(path: &'static str, methods: Vec<Method>, route: MethodRouter<App>) -> PageRoute {
    (path, None, methods, route)
}

/// All pages.
fn pages() -> Vec<PageRoute> {
    vec![
        read("/", get(now::show)),
        read("/activity", get(activity::show)),
        read("/activity.csv", get(activity::download)),
        read("/activity/{id}", get(activity::show_one)),
        read("/agents", get(agents::show)),
        read("/agents/{id}", get(agents::show_one)),
        read("/credits", get(credits::show)),
        read("/sessions", get(sessions::list::show)),
        read("/sessions/{id}", get(sessions::item::show)),
        write("/sessions/{id}/end", post(sessions::change::end)),
        write("/sessions/{id}/notes", post(sessions::change::notes)),
        read("/accounts", get(accounts::list)),
        read("/accounts/{id}", get(accounts::show)),
        write("/accounts/{id}/credits", post(accounts::grant)),
        write("/accounts/{id}/suspend", post(accounts::suspend)),
        write("/accounts/{id}/resume", post(accounts::resume)),
        read_write("/todos", get(todos::board::show).post(todos::create::create)),
        read("/todos/new", get(todos::create::form)),
        read_write("/todos/{id}", get(todos::item::show).post(todos::edit::save)),
        read("/todos/{id}/edit", get(todos::edit::form)),
        write("/todos/{id}/status", post(todos::step::step)),
        write("/todos/{id}/delete", post(todos::step::delete)),
        read("/access", get(access::page::show)),
        read("/access/audit", get(access::audit::show)),
        write("/access/keys", post(access::key_forms::add)),
        write("/access/keys/rotate", post(access::key_forms::rotate)),
        write("/access/keys/{id}/revoke", post(access::key_forms::revoke)),
        write("/access/export", post(access::export::download)),
        write("/access/recovery-code", post(access::key_forms::recovery_code)),
        write("/access/sign-ins/end", post(access::sign_ins::end_all)),
        write("/access/sign-ins/{id}/end", post(access::sign_ins::end)),
        read("/events", get(live::events)),
        read_write(SIGN_IN_PATH, get(sign_in::form).post(sign_in::sign_in)),
        write("/sign-out", post(sign_in::sign_out)),
        open("/theme", vec![Method::POST], post(theme::choose)),
    ]
}
