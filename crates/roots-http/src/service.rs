//! The service itself: whether it serves, and what describes it. Nothing here needs a key.

use std::fmt::Write;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use roots_domain::port::store::StoreFault;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::problem::{Kind, PROBLEMS_PATH, Problem};
use crate::query::{NoParams, Query};
use crate::{API_PATH, App};

/// Longest time that the database may take to say that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The routes beside the API's own.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(health))
        .routes(routes!(ready))
        .routes(routes!(problems))
}

/// The route of the API that describes it.
pub(crate) fn description_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(description))
}

/// The pages that render the description, from inside the program: they ask no other host.
pub(crate) fn docs() -> Router<App> {
    let config = Config::from(format!("{API_PATH}/openapi.json")).validator_url("none");
    Router::from(SwaggerUi::new("/docs").config(config)).layer(map_response(kept_inside))
}

/// Tells browsers to load nothing from elsewhere, and to ask again after an upgrade.
async fn kept_inside(mut response: Response) -> Response {
    let policy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'";
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// That the service is there.
#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
    /// The program's.
    version: &'static str,
}

/// That the service and its database are there.
#[derive(Serialize, ToSchema)]
struct Ready {
    status: &'static str,
}

/// Health
///
/// 200 while the process serves.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "service", security(()),
    responses((status = 200, description = "It serves.", body = Health, example = json!({
        "status": "ok",
        "version": "0.1.0"
    })))
)]
async fn health(_: Query<NoParams>) -> axum::Json<Health> {
    axum::Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Readiness
///
/// 200 only when the database answers.
#[utoipa::path(
    get, path = "/ready", operation_id = "ready", tag = "service", security(()),
    responses((status = 200, description = "The database answers.", body = Ready, example = json!({
        "status": "ready"
    })))
)]
async fn ready(State(app): State<App>, _: Query<NoParams>) -> Result<axum::Json<Ready>, Problem> {
    match tokio::time::timeout(PING_TIMEOUT, app.services.readiness.ping()).await {
        Ok(answer) => answer?,
        Err(_) => return Err(StoreFault::Unavailable("it does not answer a ping".into()).into()),
    }
    Ok(axum::Json(Ready { status: "ready" }))
}

/// This description
#[utoipa::path(
    get, path = "/api/v1/openapi.json", operation_id = "openapi", tag = "service", security(()),
    responses((status = 200, description = "OpenAPI 3.1.", content_type = "application/json", body = Object))
)]
async fn description(State(app): State<App>, _: Query<NoParams>) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
    (headers, app.description.clone()).into_response()
}

/// Problems, explained
///
/// Where the `type` of a problem leads: what it means and how to get out of it.
#[utoipa::path(
    get, path = PROBLEMS_PATH, operation_id = "problems", tag = "service", security(()),
    responses((status = 200, description = "A page for people.", content_type = "text/html", body = String))
)]
async fn problems(_: Query<NoParams>) -> Response {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Problems · Roots</title>\n\
         <style>body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 44rem; \
         padding: 0 1rem } h2 { font-size: 1.1rem; margin: 2rem 0 0 } p { margin: 0.25rem 0 }</style>\n\
         <h1>Problems</h1>\n",
    );
    for kind in Kind::ALL {
        let (slug, title, status) = (kind.slug(), kind.title(), kind.status().as_u16());
        let way_out = marked_up(kind.way_out());
        // Writing to a string does not fail.
        let _ = writeln!(page, "<h2 id=\"{slug}\">{title} ({status})</h2>\n<p>{way_out}</p>");
    }
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let headers = [(CACHE_CONTROL, "no-cache"), (CONTENT_SECURITY_POLICY, policy)];
    (headers, Html(page)).into_response()
}

/// What stands between backticks is code.
fn marked_up(text: &str) -> String {
    let mut parts = text.split('`');
    let mut html = parts.next().unwrap_or_default().to_owned();
    for (part, tag) in parts.zip(["<code>", "</code>"].into_iter().cycle()) {
        html.push_str(tag);
        html.push_str(part);
    }
    html
}
