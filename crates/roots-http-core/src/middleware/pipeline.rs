//! The middleware that every request passes. It gives the request an id, enforces its time limit,
//! writes problems as JSON, and keeps the log and the metrics.
//!
//! It is one layer of functions that call each other. For each request, a router clones and boxes
//! everything below a layer, so each further layer costs more than the one before.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, VARY,
};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use roots_domain::port::clock::Uids;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tracing::Instrument;

use super::compression::{Compressible, compress};
use super::cors::cors;
use super::drain::lend_body;
use super::large_bodies::LargeBodies;
use super::large_pages::LargePages;
use super::route_traits::{Asked, RouteTable, RouteTraits, WriteProblem};
use crate::auth::client_context::{ClientContext, track};
use crate::auth::rate_limit::Limits;
use crate::problem::Problem;
use crate::request::secrets::may_hold_secret;
use crate::wire::{API_KEY, API_PATH, PROBLEM_JSON, REQUEST_ID, known_method};

/// Longest time that a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest id that a request may bring.
const REQUEST_ID_MAX_CHARS: usize = 128;

/// Marks an error that is answered in a form of its own. It is not replaced by a problem.
#[derive(Debug, Clone, Copy)]
pub struct OwnBody;

/// What the answer to a request carries whose handler panics or takes too long: the page of such an
/// error needs what was typed as others do. Requests to routes that write their own problems have
/// it.
#[derive(Clone, Default)]
pub struct KeptForProblem(Arc<Mutex<Extensions>>);

impl KeptForProblem {
    /// Keeps a value for the answer to the request with these extensions.
    pub fn keep<T: Clone + Send + Sync + 'static>(extensions: &Extensions, value: T) {
        if let Some(Self(kept)) = extensions.get() {
            kept.lock().unwrap_or_else(PoisonError::into_inner).insert(value);
        }
    }

    /// The answer to the request, with what was kept for it.
    fn answer(kept: Option<Self>, problem: Problem) -> Response {
        let mut response = problem.into_response();
        if let Some(Self(kept)) = kept {
            let kept = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
            response.extensions_mut().extend(kept);
        }
        response
    }
}

/// The state of the middleware.
pub struct Pipeline {
    /// Makes ids for requests that bring none.
    pub uids: Arc<dyn Uids>,
    /// The CORS layer, if pages of any origin may call.
    pub cors: Option<CorsLayer>,
    /// The rate limits.
    pub limits: Arc<Limits>,
    /// Which answers are compressed.
    pub compression: CompressionLayer<Compressible>,
    /// The places for large bodies.
    pub large_bodies: LargeBodies,
    /// The memory of large pages.
    pub large_pages: LargePages,
    /// What it knows of the routes.
    pub routes: RouteTable,
    /// How browsers are told that a path does not exist; as everybody if absent.
    pub no_such_page: Option<WriteProblem>,
}

/// Runs a request through the whole middleware, from the outside in.
pub async fn pass(
    State(pipeline): State<Arc<Pipeline>>,
    mut request: Request,
    next: Next,
) -> Response {
    let client = ClientContext::arrive(&pipeline.limits, &mut request);
    let limit = pipeline.routes.of(&request).and_then(|traits| traits.limit);
    let answer = |request| keep_private(&pipeline, request, |request| next.run(request));
    let body = |request| pipeline.large_bodies.hold(request, answer);
    let guarded = |request| guard(&pipeline, request, body);
    let compressed = |request| compress(&pipeline.compression, request, guarded);
    let tracked = |request| track(&client, limit, request, compressed);
    let shared = |request| cors(pipeline.cors.as_ref(), &client, request, tracked);
    observe(&pipeline, &client, request, shared).await
}

/// Outermost: gives the request an id, drains the rest of its body, writes a problem as JSON or as
/// its route says, logs and counts. Log and metrics never hold a URI, a key or a text.
async fn observe<F: Future<Output = Response>>(
    pipeline: &Pipeline,
    client: &ClientContext,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers()).unwrap_or_else(|| pipeline.uids.next().to_string());
    let (method, version) = (known_method(request.method()), request.version());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);

    let traits = pipeline.routes.of(&request);
    let is_piecemeal = traits.is_some_and(|traits| traits.is_endless);
    let write_problem = match traits {
        Some(traits) => traits.write_problem,
        None => pipeline.no_such_page.filter(|_| is_of_browser(&request)),
    };
    let cookie = write_problem.and_then(|_| request.headers().get(COOKIE).cloned());
    let unread = lend_body(&mut request);
    let span = tracing::info_span!("request", request_id = %id);
    let mut response = next(request).instrument(span).await;
    let status = response.status();
    // A body read piece by piece that timed out has stopped arriving: there is nothing to drain.
    let is_silent = is_piecemeal && status == StatusCode::REQUEST_TIMEOUT;
    let is_cut_off = match unread {
        Some(unread) if is_silent => !unread.has_ended(),
        Some(unread) => !unread.drain().await,
        None => false,
    };

    let is_error = status.is_client_error() || status.is_server_error();
    let has_own_body = response.extensions_mut().remove::<OwnBody>().is_some();
    let problem = response.extensions_mut().remove::<Problem>();
    let mut problem =
        problem.or_else(|| (is_error && !has_own_body).then(|| Problem::of_status(status)));
    if let Some(write) = write_problem {
        let asked = Asked { request_id: &id, cookie: cookie.as_ref() };
        if let Some(problem) = &problem {
            write(problem, &asked, &mut response);
        }
        response = match pipeline.large_pages.hold(client.account(), response).await {
            Ok(page) => page,
            Err(refused) => {
                let mut response = refused.into_response();
                problem = response.extensions_mut().remove::<Problem>();
                if let Some(problem) = &problem {
                    write(problem, &asked, &mut response);
                }
                response
            }
        };
    } else if let Some(problem) = &problem {
        write_out(problem, &id, &mut response);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    // Unread bytes make the connection unusable. HTTP/2 closes only the stream.
    if is_cut_off && version <= Version::HTTP_11 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }

    let (status, took) = (response.status().as_u16(), started.elapsed());
    let latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let cause = problem.as_ref().and_then(Problem::cause);
    // A 503 without a cause is a request refused because too many wait. Nothing has failed, and
    // since there may be many of them they must cost little.
    if status >= 500 && (status != 503 || cause.is_some()) {
        let cause = cause.unwrap_or("unknown");
        tracing::error!(request_id = %id, method, route, status, latency_us, cause, "request failed");
    } else {
        tracing::info!(request_id = %id, method, route, status, latency_us, "request");
    }
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.to_string()),
    ];
    metrics::counter!("roots_http_requests_total", &labels).increment(1);
    metrics::histogram!("roots_http_request_seconds", &labels).record(took);
    response
}

/// Innermost: enforces the time limit and turns a panic into an answer. Refuses headers that would
/// change the meaning of a request that does not support them, since ignoring them would mislead
/// the caller.
async fn guard<F: Future<Output = Response>>(
    pipeline: &Pipeline,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let traits = pipeline.routes.of(&request);
    let misplaced =
        |it: &RouteTraits| it.misplaced(request.method(), request.uri(), request.headers());
    if let Some(header) = traits.and_then(misplaced) {
        let counted =
            ClientContext::of(request.extensions()).and_then(ClientContext::count_unless_counted);
        return counted.err().unwrap_or_else(|| Problem::misplaced_header(&header)).into_response();
    }
    let (method, uri) = (request.method(), request.uri());
    let is_write = match traits {
        Some(traits) => !traits.writes_nothing(method, uri),
        None => !method.is_safe(),
    };
    // The time limit of an endless body applies to each piece of it.
    let is_endless = traits.is_some_and(|traits| traits.is_endless);
    let limit = if is_endless { Duration::MAX } else { REQUEST_TIMEOUT };
    let kept = traits.and_then(|traits| traits.write_problem).map(|_| KeptForProblem::default());
    if let Some(kept) = kept.clone() {
        request.extensions_mut().insert(kept);
    }
    // The call is inside, so that a panic before the first poll is caught too.
    let running = AssertUnwindSafe(async { next(request).await }).catch_unwind();
    match tokio::time::timeout(limit, running).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => KeptForProblem::answer(kept, Problem::panicked()),
        Err(_) => KeptForProblem::answer(kept, Problem::overdue(is_write)),
    }
}

/// Answers that depend on the caller must not be cached for others.
async fn keep_private<F: Future<Output = Response>>(
    pipeline: &Pipeline,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    if !pipeline.routes.of(&request).is_some_and(|traits| traits.is_private) {
        return next(request).await;
    }
    let asks_methods = request.method() == Method::OPTIONS;
    let mut response = next(request).await;
    // The methods of a path are the same for everyone.
    if asks_methods || response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    by_key(response)
}

/// Adds `Vary` to an answer that depends on the caller's key.
pub fn by_key(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.append(VARY, API_KEY.into());
    headers.append(VARY, AUTHORIZATION.into());
    response
}

/// Answers methods that a path does not have. The answer to `OPTIONS` lists in `Allow` those it
/// has.
#[must_use]
pub fn other_method(request: &Request) -> Response {
    let counted =
        ClientContext::of(request.extensions()).and_then(ClientContext::count_unless_counted);
    if let Err(problem) = counted {
        problem.into_response()
    } else if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        Problem::method_not_allowed().into_response()
    }
}

/// Answers unknown paths.
#[must_use]
pub fn no_such_path() -> Problem {
    Problem::no_such_path()
}

/// Whether a browser asks for a page. A program takes JSON or anything.
fn is_of_browser(request: &Request) -> bool {
    let accepted = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let takes_pages = accepted.is_some_and(|accepted| accepted.contains("text/html"));
    takes_pages && !request.uri().path().starts_with(API_PATH)
}

fn write_out(problem: &Problem, id: &str, response: &mut Response) {
    let body = serde_json::to_vec(&problem.body(id)).unwrap_or_default();
    *response.status_mut() = problem.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, body.len().into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    *response.body_mut() = Body::from(body);
}

/// The id that a request brings, if it is valid. An id that could hold a key or a code, sent there
/// by mistake, is neither repeated nor logged.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let mut given = headers.get_all(REQUEST_ID).iter();
    let (Some(only), None) = (given.next(), given.next()) else {
        return None;
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let id = only.to_str().ok()?;
    let is_sane = (1..=REQUEST_ID_MAX_CHARS).contains(&id.len())
        && id.bytes().all(plain)
        && !may_hold_secret(id);
    is_sane.then(|| id.to_owned())
}
