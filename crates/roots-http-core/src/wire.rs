//! The headers, media types and sizes that several files use, and the paths that every surface
//! shares.

use axum::http::{HeaderName, HeaderValue, Method};

/// The prefix of the API's paths.
pub const API_PATH: &str = "/api/v1";
/// The media type of JSON lines.
pub const NDJSON: &str = "application/x-ndjson";
/// The page that explains the kinds of problems, which every problem links to.
pub const PROBLEMS_PATH: &str = "/docs/problems";

/// The header that carries an API key.
pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The header with a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header with a write's idempotency key.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that marks a replayed answer.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The header with the state of each limit.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The header with the policy of each limit.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The header with the media types that a path takes in a PATCH (RFC 5789).
pub const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// The header with the media types that a path takes in a POST.
pub const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
/// The header with the id of the last event that a client has handled.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The header with the cost of a write.
pub const CREDITS_COST: HeaderName = HeaderName::from_static("x-credits-cost");
/// The header with the account's balance.
pub const CREDITS_REMAINING: HeaderName = HeaderName::from_static("x-credits-remaining");

/// The header with the revision of MCP that a request follows.
pub const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The header with the method of an MCP request.
pub const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// The header with the name of the tool that an MCP request calls.
pub const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The `Cache-Control` of an answer with a secret.
pub const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The largest body, in bytes.
pub const BODY_MAX_BYTES: usize = 1024 * 1024;
/// A body up to this size needs no place: the longest text and everything beside it fit.
pub const SMALL_BODY_MAX_BYTES: usize = 128 * 1024;

/// The name of a method. Unknown methods share one name, since each would be a metric of its own.
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
