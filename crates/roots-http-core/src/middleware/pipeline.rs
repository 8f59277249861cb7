//! The middleware: what every request passes, whatever it asks for. It names the request, holds it to
//! its time, writes problems out, and keeps the log and the metrics.
//!
//! It is one layer, of functions that call each other: a router clones and boxes all that is below a
//! layer for each request, so that each layer more costs more than the one before.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
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
use crate::auth::client_context::{ClientContext, track};
use crate::auth::rate_limit::Limits;
use crate::problem::Problem;
use crate::request::preconditions::misplaced;
use crate::request::secrets::may_hold_secret;
use crate::wire::{API_KEY, IMPORT_PATH, PROBLEM_JSON, REQUEST_ID, known_method};

/// Longest time that a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest name of its own that a request may bring.
const REQUEST_ID_MAX_CHARS: usize = 128;

/// What requests pass.
pub struct Pipeline {
    /// Names requests that come without a name.
    pub uids: Arc<dyn Uids>,
    /// What browsers are told, where pages of any origin may call.
    pub cors: Option<CorsLayer>,
    /// How often may be asked.
    pub limits: Arc<Limits>,
    /// Which answers are compressed.
    pub compression: CompressionLayer<Compressible>,
    /// The places for large bodies.
    pub large_bodies: LargeBodies,
    /// The routes whose answers depend on who asks.
    pub private: HashSet<String>,
    /// The methods of each route that is described.
    pub methods: HashMap<String, Vec<Method>>,
}

impl Pipeline {
    /// Whether a route has a method. One that is not described is a page: it has `GET`.
    fn has_method(&self, route: &str, method: &Method) -> bool {
        match self.methods.get(route) {
            Some(methods) => methods.contains(method),
            None => matches!(*method, Method::GET | Method::HEAD),
        }
    }
}

/// Everything that a request passes, from the outside in.
pub async fn pass(
    State(pipeline): State<Arc<Pipeline>>,
    mut request: Request,
    next: Next,
) -> Response {
    let client = ClientContext::arrive(&pipeline.limits, &mut request);
    let answer = |request| keep_private(&pipeline, request, |request| next.run(request));
    let body = |request| pipeline.large_bodies.hold(request, answer);
    let guarded = |request| guard(&pipeline, request, body);
    let compressed = |request| compress(&pipeline.compression, request, guarded);
    let tracked = |request| track(&client, request, compressed);
    let shared = |request| cors(pipeline.cors.as_ref(), &client, request, tracked);
    observe(&*pipeline.uids, request, shared).await
}

/// Outermost: names the request, reads off what is left of its body, writes a problem out, logs and
/// counts. Neither log nor metrics ever hold a URI, a key or a text.
async fn observe<F: Future<Output = Response>>(
    uids: &dyn Uids,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers()).unwrap_or_else(|| uids.next().to_string());
    let (method, version) = (known_method(request.method()), request.version());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);

    let is_piecemeal = takes_its_time(&request);
    let rest = lend_body(&mut request);
    let span = tracing::info_span!("request", request_id = %id);
    let mut response = next(request).instrument(span).await;
    let status = response.status();
    // What comes piece by piece and is given up has stopped coming: there is nothing to read off.
    let is_silent = is_piecemeal && status == StatusCode::REQUEST_TIMEOUT;
    let is_cut_off = match rest {
        Some(rest) if is_silent => !rest.has_ended(),
        Some(rest) => !rest.drain().await,
        None => false,
    };

    let is_error = status.is_client_error() || status.is_server_error();
    let problem = response.extensions_mut().remove::<Problem>();
    let problem = problem.or_else(|| is_error.then(|| Problem::of_status(status)));
    if let Some(problem) = &problem {
        write_out(problem, &id, &mut response);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    // What is left unread makes the connection useless. HTTP/2 closes the stream alone.
    if is_cut_off && version <= Version::HTTP_11 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }

    let (status, took) = (response.status().as_u16(), started.elapsed());
    let latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let cause = problem.as_ref().and_then(Problem::cause);
    // A 503 without a cause is a write that is refused since too many wait: nothing has failed, and
    // where there are many of them they must cost little.
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

/// Innermost: holds a request to its time and turns a panic into an answer. Refuses headers that
/// change what a request means where they have no meaning, for ignoring them would be a lie.
async fn guard<F: Future<Output = Response>>(
    pipeline: &Pipeline,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    if let Some(route) = request.extensions().get::<MatchedPath>()
        && pipeline.has_method(route.as_str(), request.method())
        && let Some(header) =
            misplaced(request.method(), route.as_str(), request.uri(), request.headers())
    {
        let counted =
            ClientContext::of(request.extensions()).and_then(ClientContext::count_unless_counted);
        return counted.err().unwrap_or_else(|| Problem::misplaced_header(&header)).into_response();
    }
    let is_write = !request.method().is_safe();
    let limit = if takes_its_time(&request) { Duration::MAX } else { REQUEST_TIMEOUT };
    // What fails before it is polled fails within, too.
    let running = AssertUnwindSafe(async { next(request).await }).catch_unwind();
    match tokio::time::timeout(limit, running).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Problem::panicked().into_response(),
        Err(_) => Problem::overdue(is_write).into_response(),
    }
}

/// What depends on who asks is nobody else's.
async fn keep_private<F: Future<Output = Response>>(
    pipeline: &Pipeline,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    if !route.is_some_and(|route| pipeline.private.contains(route.as_str())) {
        return next(request).await;
    }
    let asks_methods = request.method() == Method::OPTIONS;
    let mut response = next(request).await;
    // Which methods a path has is the same for all.
    if asks_methods || response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    by_key(response)
}

/// What depends on who asks varies by it.
pub fn by_key(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.append(VARY, API_KEY.into());
    headers.append(VARY, AUTHORIZATION.into());
    response
}

/// Whether a request is held to a time piece by piece, for its body is as long as it likes.
pub fn takes_its_time(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>();
    route.is_some_and(|route| route.as_str() == IMPORT_PATH)
}

/// Answers the methods that a path does not have: `OPTIONS` learns from `Allow` those it does.
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

/// Answers paths that there are not.
#[must_use]
pub fn no_such_path() -> Problem {
    Problem::no_such_path()
}

fn write_out(problem: &Problem, id: &str, response: &mut Response) {
    let body = serde_json::to_vec(&problem.body(id)).unwrap_or_default();
    *response.status_mut() = problem.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, body.len().into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    *response.body_mut() = Body::from(body);
}

/// The name that a request brings, if it is a sane one. One that could hold a key or a code, sent there by
/// mistake, is neither repeated nor logged.
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
