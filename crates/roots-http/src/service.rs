//! The service itself: whether it serves, and what describes it. Nothing here needs a key.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{Redirect, Response};
use axum::routing::get;
use roots_domain::port::store::{Readiness, StoreFault};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::Instrument;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::pages::{DOCS_PATH, Document, FILE_PATH, Pages};
use crate::problem::{Kind, PROBLEMS_PATH, Problem};
use crate::query::{NoParams, Query};

/// The path that says whether the process serves.
pub(crate) const HEALTH_PATH: &str = "/health";
/// The path that says whether the database answers.
pub(crate) const READY_PATH: &str = "/ready";
/// Longest time that the database may take to say that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How old the result of a ping may be that is told.
const PING_MAX_AGE: Duration = Duration::from_secs(1);

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

/// The page that renders the description, from inside the program: it asks no other host.
pub(crate) fn docs() -> Router<App> {
    Router::default()
        .route(DOCS_PATH, get(Redirect::to("/docs/")))
        .route("/docs/", get(page))
        .route(FILE_PATH, get(file))
}

static PAGES: LazyLock<Pages> = LazyLock::new(Pages::new);

async fn page(headers: HeaderMap) -> Response {
    PAGES.page().answer(&headers)
}

async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let file = PAGES.file(&name).ok_or_else(Problem::no_such_path)?;
    Ok(file.answer(&headers))
}

/// Whether the database answers, asked at most once at a time and once a second, by however many.
#[derive(Clone)]
pub(crate) struct Pinger {
    readiness: Arc<dyn Readiness>,
    latest: Arc<Mutex<Option<Pinged>>>,
}

/// When a ping ended, and how.
type Pinged = (Instant, Result<(), Problem>);

impl Pinger {
    pub(crate) fn new(readiness: Arc<dyn Readiness>) -> Self {
        Self { readiness, latest: Arc::default() }
    }

    /// The result of a ping that is at most [`PING_MAX_AGE`] old.
    async fn latest(&self) -> Result<(), Problem> {
        let pinger = self.clone();
        // A caller that hangs up leaves the ping running, for those that wait with it.
        let asked = async move {
            let mut latest = pinger.latest.lock().await;
            if let Some((at, result)) = &*latest
                && at.elapsed() < PING_MAX_AGE
            {
                return result.clone();
            }
            let answered = tokio::time::timeout(PING_TIMEOUT, pinger.readiness.ping()).await;
            let silent = || Err(StoreFault::Unavailable("it does not answer a ping".into()));
            let result = answered.unwrap_or_else(|_| silent()).map_err(Problem::from);
            *latest = Some((Instant::now(), result.clone()));
            result
        };
        let asked = tokio::spawn(asked.in_current_span());
        asked.await.unwrap_or_else(|_| Err(Problem::panicked()))
    }
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
/// 200 only when the database answers. The answer is at most 1 s old: many that ask at once cost one
/// query.
#[utoipa::path(
    get, path = "/ready", operation_id = "ready", tag = "service", security(()),
    responses((status = 200, description = "The database answers.", body = Ready, example = json!({
        "status": "ready"
    })))
)]
async fn ready(State(app): State<App>, _: Query<NoParams>) -> Result<axum::Json<Ready>, Problem> {
    app.pinger.latest().await?;
    Ok(axum::Json(Ready { status: "ready" }))
}

/// This description
#[utoipa::path(
    get, path = "/api/v1/openapi.json", operation_id = "openapi", tag = "service", security(()),
    responses((status = 200, description = "OpenAPI 3.1.", content_type = "application/json", body = Object))
)]
async fn description(_: Query<NoParams>, headers: HeaderMap) -> Response {
    DESCRIPTION.answer(&headers)
}

/// The description depends on nothing that runs, so that all routers of a process share one.
pub(crate) static DESCRIPTION: LazyLock<Document> = LazyLock::new(|| {
    // A document of strings, numbers and lists: there is nothing in it that can't be written.
    Document::json(crate::openapi().to_json().unwrap_or_default())
});

/// Problems, explained
///
/// Where the `type` of a problem leads: what it means and how to get out of it.
#[utoipa::path(
    get, path = PROBLEMS_PATH, operation_id = "problems", tag = "service", security(()),
    responses((status = 200, description = "A page for people.", content_type = "text/html", body = String))
)]
async fn problems(_: Query<NoParams>, headers: HeaderMap) -> Response {
    static PAGE: LazyLock<Document> = LazyLock::new(|| Document::page(problems_page()));
    PAGE.answer(&headers)
}

fn problems_page() -> String {
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
    page
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
