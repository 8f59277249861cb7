//! The edge: what every request passes, whatever it asks for. It names the request, holds it to
//! its time, writes problems out, and keeps the log and the metrics.
//!
//! It is one layer, of functions that call each other: a router clones and boxes all that is below a
//! layer for each request, so that each layer more costs more than the one before.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH,
    CONTENT_TYPE, ETAG, EXPECT, IF_MATCH, IF_NONE_MATCH, LINK, LOCATION, ORIGIN, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt, Stream, StreamExt};
use roots_domain::port::ambient::Uids;
use tower::{Layer, Service, ServiceExt};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;
use tower_http::cors::CorsLayer;
use tracing::Instrument;

use crate::Origin;
use crate::answers::AtLeast;
use crate::auth::API_KEY;
use crate::body::BODY_MAX_BYTES;
use crate::conditional::{IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED, misplaced};
use crate::imports::IMPORT_PATH;
use crate::large_bodies::LargeBodies;
use crate::limits::{self, Limits, RATE_LIMIT, RATE_LIMIT_POLICY, Visitor};
use crate::problem::{PROBLEM_JSON, Problem};
use crate::secrets::may_hold_secret;

/// Longest time that a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes that are read off beyond the largest body, so that whoever sends them sees the answer.
const DRAIN_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Longest time spent on reading them off.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest name of its own that a request may bring.
const REQUEST_ID_MAX_CHARS: usize = 128;
/// Below that, compressing gains nothing.
const COMPRESSED_MIN_BYTES: u64 = 1_024;
/// How long a browser may remember what a preflight said.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(1);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What requests pass.
pub(crate) struct Edge {
    pub(crate) uids: Arc<dyn Uids>,
    /// What browsers are told, where pages of any origin may call.
    pub(crate) cors: Option<CorsLayer>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) compression: CompressionLayer<Compressible>,
    pub(crate) large_bodies: LargeBodies,
    /// The routes whose answers depend on who asks.
    pub(crate) private: HashSet<String>,
}

/// Everything that a request passes, from the outside in.
pub(crate) async fn pass(
    State(edge): State<Arc<Edge>>,
    mut request: Request,
    next: Next,
) -> Response {
    let visitor = Visitor::arrive(&edge.limits, &mut request);
    let answer = |request| keep_private(&edge, request, |request| next.run(request));
    let body = |request| edge.large_bodies.hold(request, answer);
    let guarded = |request| guard(request, body);
    let compressed = |request| compress(&edge.compression, request, guarded);
    let tracked = |request| limits::track(&visitor, request, compressed);
    let shared = |request| cors(edge.cors.as_ref(), &visitor, request, tracked);
    observe(&*edge.uids, request, shared).await
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
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);

    let is_piecemeal = takes_its_time(&request);
    let rest = lend_body(&mut request);
    let span = tracing::info_span!("request", request_id = %id);
    let mut response = next(request).instrument(span).await;
    let status = response.status();
    // What comes piece by piece and is given up has stopped coming: there is nothing to read off.
    let is_silent = is_piecemeal && status == StatusCode::REQUEST_TIMEOUT;
    if let Some(rest) = rest.filter(|_| !is_silent) {
        rest.drain().await;
    }

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
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    if let Some(route) = request.extensions().get::<MatchedPath>()
        && let Some(header) = misplaced(request.method(), route.as_str(), request.headers())
    {
        let counted = Visitor::of(request.extensions()).and_then(Visitor::count_unless_counted);
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
    edge: &Edge,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    if !route.is_some_and(|route| edge.private.contains(route.as_str())) {
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
    by_key(response).await
}

/// What depends on who asks varies by it.
pub(crate) async fn by_key(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.append(VARY, API_KEY.into());
    headers.append(VARY, AUTHORIZATION.into());
    response
}

/// Whether a request is held to a time piece by piece, for its body is as long as it likes.
pub(crate) fn takes_its_time(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>();
    route.is_some_and(|route| route.as_str() == IMPORT_PATH)
}

/// Answers the methods that a path does not have: `OPTIONS` learns from `Allow` those it does.
pub(crate) async fn other_method(request: Request) -> Response {
    let counted = Visitor::of(request.extensions()).and_then(Visitor::count_unless_counted);
    if let Err(problem) = counted {
        problem.into_response()
    } else if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        Problem::method_not_allowed().into_response()
    }
}

/// Answers paths that there are not.
pub(crate) async fn no_such_path() -> Problem {
    Problem::no_such_path()
}

/// What browsers are told about pages of these origins.
pub(crate) fn cors_layer(origins: &[Origin]) -> CorsLayer {
    let exposed = ["x-credits-cost", "x-credits-remaining"].map(HeaderName::from_static);
    let limits = [RATE_LIMIT, RATE_LIMIT_POLICY];
    CorsLayer::new()
        .allow_origin(origins.iter().map(|origin| origin.0.clone()).collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            API_KEY,
            AUTHORIZATION,
            CONTENT_TYPE,
            IDEMPOTENCY_KEY,
            IF_MATCH,
            IF_NONE_MATCH,
            REQUEST_ID,
        ])
        .expose_headers(
            exposed
                .into_iter()
                .chain(limits)
                .chain([
                    REQUEST_ID,
                    ETAG,
                    IDEMPOTENT_REPLAYED,
                    LINK,
                    LOCATION,
                    RETRY_AFTER,
                    WWW_AUTHENTICATE,
                ])
                .collect::<Vec<_>>(),
        )
        .max_age(PREFLIGHT_MAX_AGE)
}

/// Tells browsers what pages may read of an answer, and answers their preflights. An `OPTIONS` that is
/// no preflight is answered like everyone's.
async fn cors<F: Future<Output = Response>>(
    layer: Option<&CorsLayer>,
    visitor: &Visitor,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let Some(layer) = layer else { return next(request).await };
    let is_options = request.method() == Method::OPTIONS;
    let is_preflight = request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if is_options && is_preflight {
        if let Err(problem) = visitor.count_static() {
            return problem.into_response();
        }
        return look_over(layer, request, Response::default()).await;
    }
    if is_options {
        return next(request).await;
    }
    let asked = same_headers(&request, &ORIGIN);
    look_over(layer, asked, next(request).await).await
}

/// Has a layer look over an answer that is there already. It sees `asked` of its request.
async fn look_over<L>(layer: &L, asked: Request, response: Response) -> Response
where
    L: Layer<Ready>,
    L::Service: Service<Request, Error = Infallible>,
    <L::Service as Service<Request>>::Response: IntoResponse,
{
    match layer.layer(Ready(Some(response))).oneshot(asked).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

/// A request that has only those headers of another.
fn same_headers(request: &Request, name: &HeaderName) -> Request {
    let mut asked = Request::default();
    for value in request.headers().get_all(name) {
        asked.headers_mut().append(name, value.clone());
    }
    asked
}

/// A service that gives the answer which it holds.
struct Ready(Option<Response>);

impl Service<Request> for Ready {
    type Response = Response;
    type Error = Infallible;
    type Future = future::Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        future::ready(Ok(self.0.take().unwrap_or_default()))
    }
}

/// What is compressed: what is long enough to gain by it, has no `ETag` (which names the bytes as they
/// are), is not kept from being stored (as what holds a secret is), and is known to be so long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compressible;

impl Predicate for Compressible {
    fn should_compress<B: HttpBody>(&self, response: &axum::http::Response<B>) -> bool {
        let headers = response.headers();
        let is_secret = headers.get(CACHE_CONTROL).is_some_and(|control| control == "no-store");
        // A HEAD has no body left by now, but says how long it would be, or at least.
        let told =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let at_least = || response.extensions().get().map(|AtLeast(bytes)| *bytes);
        let length = told.or_else(at_least).unwrap_or_else(|| response.body().size_hint().lower());
        length >= COMPRESSED_MIN_BYTES && !headers.contains_key(ETAG) && !is_secret
    }
}

pub(crate) fn compression_layer() -> CompressionLayer<Compressible> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(Compressible)
}

/// Compresses what is read, where that gains anything and the caller takes it. The layer refuses whoever
/// forbids it to answer plainly, so who speaks of that is answered plainly.
async fn compress<F: Future<Output = Response>>(
    layer: &CompressionLayer<Compressible>,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let is_head = request.method() == Method::HEAD;
    if request.method() != Method::GET && !is_head {
        return next(request).await;
    }
    let mut asked = same_headers(&request, &ACCEPT_ENCODING);
    let is_choosy = |value: &HeaderValue| {
        let text = value.to_str().map(str::to_ascii_lowercase);
        text.map_or(true, |text| text.contains('*') || text.contains("identity"))
    };
    // There is nothing of a HEAD to compress, but its answer varies as that of the GET does.
    if is_head || asked.headers().get_all(ACCEPT_ENCODING).iter().any(is_choosy) {
        asked.headers_mut().remove(ACCEPT_ENCODING);
    }
    let response = next(request).await;
    if Compressible.should_compress(&response) {
        return look_over(layer, asked, response).await;
    }
    response
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

/// A method by name; those that anybody can make up share one, for each would be a metric.
pub(crate) fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Gives the handler a body whose rest comes back.
fn lend_body(request: &mut Request) -> Option<Rest> {
    if request.body().is_end_stream() {
        return None;
    }
    let awaits_leave = request.headers().contains_key(EXPECT);
    let body = std::mem::take(request.body_mut()).into_data_stream();
    let shared =
        Arc::new(Mutex::new(Shared { body, has_begun: false, has_ended: false, read_bytes: 0 }));
    *request.body_mut() = Body::from_stream(Lent(Arc::clone(&shared)));
    Some(Rest { shared: Lent(shared), awaits_leave })
}

struct Shared {
    body: BodyDataStream,
    has_begun: bool,
    has_ended: bool,
    read_bytes: usize,
}

struct Lent(Arc<Mutex<Shared>>);

impl Stream for Lent {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.has_begun = true;
        let polled = shared.body.poll_next_unpin(cx);
        match &polled {
            Poll::Ready(Some(Ok(bytes))) => shared.read_bytes += bytes.len(),
            Poll::Ready(_) => shared.has_ended = true,
            Poll::Pending => {}
        }
        polled
    }
}

/// What is left of a body once it has been answered. A connection that is closed while the other
/// side still sends takes the answer with it.
struct Rest {
    shared: Lent,
    /// The caller sends nothing before it is told to go on, and need not be.
    awaits_leave: bool,
}

impl Rest {
    async fn drain(mut self) {
        let is_over = |rest: &Self| {
            let shared = rest.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            shared.has_ended
                || shared.read_bytes > BODY_MAX_BYTES + DRAIN_MAX_BYTES
                || rest.awaits_leave && !shared.has_begun
        };
        let drained = async {
            while !is_over(&self) {
                let _ = self.shared.next().await;
            }
        };
        // In vain when it takes too long: then the connection is closed on whoever sends.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, drained).await;
    }
}
