//! What the API tells of itself: whether it serves, and what describes it. Nothing here needs a
//! key.

pub(crate) mod pages;
pub(crate) mod pinger;

use std::fmt::Write;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{Redirect, Response};
use axum::routing::get;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::pages::{Document, Pages};
use crate::app::App;
use crate::wire::{DOCS_PATH, FILE_PATH, HEALTH_PATH, READY_PATH};
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::request::preconditions::IfNoneMatch;
use roots_http_core::request::query::{NoParams, Query};
use roots_http_core::wire::PROBLEMS_PATH;

/// The routes outside the API's path.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(health))
        .routes(routes!(ready))
        .routes(routes!(problems))
}

/// The route of the OpenAPI document.
pub(crate) fn description_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(description))
}

/// The page that renders the OpenAPI document. Its files are part of the program: it contacts no
/// other host.
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

/// The state of the process.
#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
    /// The version of the program.
    version: &'static str,
}

/// The state of the process and its database.
#[derive(Serialize, ToSchema)]
#[schema(as = Ready)]
struct ReadyBody {
    /// `degraded` if the database is spread over servers and some of them are away.
    status: ReadyStatus,
    /// The servers that are away. Requests of the accounts whose rows they hold get 503.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    away: Vec<String>,
}

/// Whether the process serves every account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReadyStatus {
    /// It does.
    Ready,
    /// It does not serve those of the servers that are away.
    Degraded,
}

/// Health
///
/// Answers 200 as long as the process serves requests. It does not ask the database.
#[utoipa::path(
    get, path = HEALTH_PATH, operation_id = "health", tag = "service", security(()),
    responses((status = 200, description = "The process serves requests.", body = Health, example = json!({
        "status": "ok",
        "version": "0.1.0"
    })))
)]
async fn health(_: Query<NoParams>) -> axum::Json<Health> {
    axum::Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Readiness
///
/// Answers 200 only if the database answers and can be written to. The result is at most 1 s old:
/// many requests at once cost one query.
///
/// A database that is spread over servers can lose some of them. Then the answer is 200 with
/// `degraded` and their names, since every process would lose the same ones.
#[utoipa::path(
    get, path = READY_PATH, operation_id = "ready", tag = "service", security(()),
    responses((status = 200, description = "The database answers and can be written to.", body = ReadyBody, example = json!({
        "status": "ready"
    })))
)]
async fn ready(
    State(app): State<App>,
    _: Query<NoParams>,
) -> Result<axum::Json<ReadyBody>, Problem> {
    let away = app.pinger.latest().await?;
    let status = if away.is_empty() { ReadyStatus::Ready } else { ReadyStatus::Degraded };
    Ok(axum::Json(ReadyBody { status, away }))
}

/// OpenAPI document
#[utoipa::path(
    get, path = "/api/v1/openapi.json", operation_id = "openapi", tag = "service", security(()),
    responses((status = 200, description = "The OpenAPI 3.1 document.", content_type = "application/json", body = Object))
)]
async fn description(
    State(app): State<App>,
    _: Query<NoParams>,
    _: IfNoneMatch,
    headers: HeaderMap,
) -> Response {
    app.description.answer(&headers)
}

/// Problem types
///
/// The page that the `type` of a problem links to: what each kind means and what to do.
#[utoipa::path(
    get, path = PROBLEMS_PATH, operation_id = "problems", tag = "service", security(()),
    responses((status = 200, description = "An HTML page.", content_type = "text/html", body = String))
)]
async fn problems(_: Query<NoParams>, _: IfNoneMatch, headers: HeaderMap) -> Response {
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
    for kind in ProblemKind::ALL {
        let (slug, title, status) = (kind.slug(), kind.title(), kind.status().as_u16());
        let way_out = marked_up(kind.way_out());
        // Writing to a string does not fail.
        let _ = writeln!(page, "<h2 id=\"{slug}\">{title} ({status})</h2>\n<p>{way_out}</p>");
    }
    page
}

/// Turns text between backticks into `code` elements.
fn marked_up(text: &str) -> String {
    let mut parts = text.split('`');
    let mut html = parts.next().unwrap_or_default().to_owned();
    for (part, tag) in parts.zip(["<code>", "</code>"].into_iter().cycle()) {
        html.push_str(tag);
        html.push_str(part);
    }
    html
}
