//! The headers, media types, paths and sizes that several files speak of.

use axum::http::{HeaderName, HeaderValue, Method};

/// Where the API's own paths begin.
pub const API_PATH: &str = "/api/v1";
/// Where files come in.
pub const IMPORT_PATH: &str = "/api/v1/import";
/// The path that says whether the process serves.
pub const HEALTH_PATH: &str = "/health";
/// The path that says whether the database answers.
pub const READY_PATH: &str = "/ready";
/// Where the pages are that describe the API.
pub const DOCS_PATH: &str = "/docs";
/// The route of the files that these pages refer to.
pub const FILE_PATH: &str = "/docs/{file}";
/// Where the kinds of problems are explained, one by one.
pub const PROBLEMS_PATH: &str = "/docs/problems";

/// The header that carries an API key.
pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The header that names a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header that names a write.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that tells an answer which was given before.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The header that tells what is left of each limit.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The header that tells what the limits are.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The header that tells which media types a path takes in a PATCH (RFC 5789).
pub const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// The header that tells which media types a path takes in a POST.
pub const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
/// The header that tells what a write cost.
pub const CREDITS_COST: HeaderName = HeaderName::from_static("x-credits-cost");
/// The header that tells what the account has left.
pub const CREDITS_REMAINING: HeaderName = HeaderName::from_static("x-credits-remaining");

/// The `Cache-Control` of an answer that holds a secret.
pub const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The media type of JSON lines.
pub const NDJSON: &str = "application/x-ndjson";
/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Most bytes of a body.
pub const BODY_MAX_BYTES: usize = 1024 * 1024;
/// A body up to this needs no place: the longest text with all that stands beside it.
pub const SMALL_BODY_MAX_BYTES: usize = 128 * 1024;

/// A method by name; those that anybody can make up share one, for each would be a metric.
#[must_use]
pub fn known_method(method: &Method) -> &'static str {
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

/// `X-Credits-Cost` and `X-Credits-Remaining`.
#[must_use]
pub fn credit_headers(cost: i64, balance: i64) -> [(HeaderName, HeaderValue); 2] {
    [(CREDITS_COST, cost.into()), (CREDITS_REMAINING, balance.into())]
}
