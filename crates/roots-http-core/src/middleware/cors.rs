//! Cross-origin requests from browsers (CORS).

use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG,
    IF_MATCH, IF_NONE_MATCH, LINK, LOCATION, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use roots_domain::model::Invalid;
use tower_http::cors::CorsLayer;

use super::apply_layer::{apply_layer, same_headers};
use crate::auth::client_context::ClientContext;
use crate::problem::Problem;
use crate::wire::{
    ACCEPT_PATCH, ACCEPT_POST, API_KEY, CREDITS_COST, CREDITS_REMAINING, IDEMPOTENCY_KEY,
    IDEMPOTENT_REPLAYED, LAST_EVENT_ID, MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, RATE_LIMIT,
    RATE_LIMIT_POLICY, REQUEST_ID,
};

/// How long a browser may cache the answer to a preflight.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(1);

/// The origin of a web page: `https://example.org`, `http://localhost:3000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOrigin(HeaderValue);

impl CorsOrigin {
    /// Parses an origin in the form that browsers send.
    ///
    /// # Errors
    /// Says the form.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let form = || Invalid::new("must be an origin such as https://example.org, without a path");
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = host
            .filter(|host| {
                host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            })
            .ok_or_else(form)?;
        let plain = |b: u8| {
            b.is_ascii_lowercase()
                || b.is_ascii_digit()
                || matches!(b, b'.' | b'-' | b':' | b'[' | b']')
        };
        if !host.bytes().all(plain) {
            return Err(form());
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| form())
    }
}

/// The CORS layer for pages of these origins.
pub fn cors_layer(origins: &[CorsOrigin]) -> CorsLayer {
    let exposed = [CREDITS_COST, CREDITS_REMAINING];
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
            LAST_EVENT_ID,
            REQUEST_ID,
            MCP_PROTOCOL_VERSION,
            MCP_METHOD,
            MCP_NAME,
        ])
        .expose_headers(
            exposed
                .into_iter()
                .chain(limits)
                .chain([
                    REQUEST_ID,
                    ACCEPT_PATCH,
                    ACCEPT_POST,
                    ALLOW,
                    CONTENT_DISPOSITION,
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

/// Refuses a request of a web page of another origin, for surfaces that act with a key that the
/// page does not send itself. A program sends no `Origin`.
///
/// # Errors
/// 403: the origin is none of these.
pub fn check_origin(origins: &[CorsOrigin], headers: &HeaderMap) -> Result<(), Problem> {
    let is_known = |given: &HeaderValue| origins.iter().any(|origin| origin.0 == given);
    if headers.get_all(ORIGIN).iter().all(is_known) {
        return Ok(());
    }
    Err(Problem::foreign_origin())
}

/// Adds the CORS headers to answers, and answers preflights. An `OPTIONS` request that is no
/// preflight is handled like any other request.
pub(super) async fn cors<F: Future<Output = Response>>(
    layer: Option<&CorsLayer>,
    client: &ClientContext,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let Some(layer) = layer else { return next(request).await };
    let is_options = request.method() == Method::OPTIONS;
    let is_preflight = request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if is_options && is_preflight {
        if let Err(problem) = client.count_static() {
            return problem.into_response();
        }
        return apply_layer(layer, request, Response::default()).await;
    }
    if is_options {
        return next(request).await;
    }
    let asked = same_headers(&request, &ORIGIN);
    apply_layer(layer, asked, next(request).await).await
}
