//! `POST /mcp`: who may call it, and how rmcp is asked.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRef, FromRequestParts, MatchedPath, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use http_body_util::{BodyExt, Collected, Full};
use rmcp::ErrorData;
use rmcp::model::JsonRpcError;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use roots_domain::service::Services;
use roots_http_core::auth::authenticate::UncountedBearer;
use roots_http_core::auth::client_context::ClientContext;
use roots_http_core::auth::rate_limit::RouteLimit;
use roots_http_core::middleware::cors::{CorsOrigin, check_origin};
use roots_http_core::middleware::hosts::Hosts;
use roots_http_core::middleware::pipeline::OwnBody;
use roots_http_core::middleware::route_traits::RouteTraits;
use roots_http_core::problem::Problem;
use roots_http_core::request::json::receive;
use roots_http_core::settings::HttpSettings;
use roots_http_core::state::SharedState;
use roots_http_core::surface::Surface;
use roots_http_core::wire::BODY_MAX_BYTES;
use serde::de::IgnoredAny;

use crate::message::{MCP_PATH, Message, own_endpoint};
use crate::server::{AnswerSlot, Context, Server};
use crate::splice;
use crate::tools::Answer;

/// What rmcp wants to read in `Accept`. It answers with JSON only, so a client that takes only JSON
/// is served as well.
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
/// What a client hears whose message says twice what it calls.
const AMBIGUOUS: &str = "The message has two members of one name: send each member of the message and \
                         of its params once.";
/// The media type of every answer.
const JSON: &str = "application/json";

/// The state of the handler.
#[derive(Clone)]
struct Mcp(Arc<McpState>);

struct McpState {
    hosts: Hosts,
    origins: Vec<CorsOrigin>,
    shared: SharedState,
    service: StreamableHttpService<Server, NeverSessionManager>,
}

impl FromRef<Mcp> for SharedState {
    fn from_ref(mcp: &Mcp) -> Self {
        Arc::clone(&mcp.0.shared)
    }
}

/// MCP, on these services.
#[must_use]
pub fn surface(services: &Services, settings: &HttpSettings, shared: SharedState) -> Surface {
    let server = Server { services: Arc::new(services.clone()), shared: Arc::clone(&shared) };
    // Hosts and origins are checked here, for every answer to be a problem.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .with_max_request_body_bytes(BODY_MAX_BYTES);
    let make = move || Ok::<_, io::Error>(server.clone());
    let service = StreamableHttpService::new(make, Arc::default(), config);
    let (hosts, origins) = (settings.hosts.clone(), settings.cors_origins.clone());
    let mcp = Mcp(Arc::new(McpState { hosts, origins, shared, service }));
    let traits = RouteTraits {
        methods: vec![Method::POST],
        limit: Some(RouteLimit::Caller),
        is_private: true,
        ..RouteTraits::default()
    };
    Surface {
        routes: Router::new().route(MCP_PATH, post(handle)).with_state(mcp),
        traits: HashMap::from([(MCP_PATH.to_owned(), traits)]),
        no_such_page: None,
    }
}

/// Answers one message.
async fn handle(
    State(mcp): State<Mcp>,
    path: MatchedPath,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    mcp.0.check(&parts)?;
    let UncountedBearer(bearer) = UncountedBearer::from_request_parts(&mut parts, &mcp).await?;
    let body = receive(&parts, body).await?;
    let Ok(Message { rest, arguments, endpoint }) = Message::split(body.clone()) else {
        bearer.count_call(own_endpoint());
        return Ok(refused(ErrorData::invalid_request(AMBIGUOUS, None)));
    };
    bearer.count_call(endpoint);
    let slot = AnswerSlot::default();
    parts.extensions.insert(Context { bearer, path, arguments, answer: slot.clone() });
    parts.headers.insert(ACCEPT, ACCEPTED);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    let answer = mcp.0.service.handle(Request::from_parts(parts, Full::new(rest))).await;
    let answer = answer.map(Body::new);
    if !answer.status().is_success() {
        return failed(answer, &body).await;
    }
    match slot.take() {
        Some(told) => with_document(answer, told).await,
        None => Ok(answer),
    }
}

/// The answer with the document of its tool.
async fn with_document(answer: Response, told: Answer) -> Result<Response, Problem> {
    let Answer { document, room } = told;
    let (parts, body) = answer.into_parts();
    let written = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let whole = splice::put(&written, &document)
        .ok_or_else(|| Problem::internal("an answer has no place for its document"))?;
    Ok(room.hold(Response::from_parts(parts, Body::from(whole))).await)
}

impl McpState {
    /// Refuses requests of other hosts and of web pages. They count against the client's address,
    /// because their key was not looked at.
    fn check(&self, parts: &Parts) -> Result<(), Problem> {
        let checked = self.hosts.check(&parts.uri, &parts.headers);
        checked.and_then(|()| check_origin(&self.origins, &parts.headers)).or_else(|problem| {
            ClientContext::of(&parts.extensions)?.count_unauthenticated()?;
            Err(problem)
        })
    }
}

/// The answer to a message that rmcp refused: always an error of JSON-RPC.
async fn failed(answer: Response, body: &[u8]) -> Result<Response, Problem> {
    let status = answer.status();
    if answer.headers().get(CONTENT_TYPE).is_some_and(|given| given == JSON) {
        return Ok((Extension(OwnBody), answer).into_response());
    }
    let whole = answer.into_body().collect().await.map(Collected::to_bytes);
    let text = String::from_utf8_lossy(&whole.unwrap_or_default()).into_owned();
    if status.is_server_error() {
        return Err(Problem::internal(text));
    }
    let error = match status {
        // rmcp could not read the message.
        StatusCode::UNSUPPORTED_MEDIA_TYPE => unread(body),
        _ => ErrorData::invalid_request(text, None),
    };
    Ok(refused(error))
}

/// The answer to a message that was not read.
fn refused(error: ErrorData) -> Response {
    let error = Json(JsonRpcError::new(None, error));
    (StatusCode::BAD_REQUEST, Extension(OwnBody), error).into_response()
}

/// Why a message could not be read.
fn unread(body: &[u8]) -> ErrorData {
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => ErrorData::invalid_request(
            "The body must be one JSON-RPC 2.0 message of MCP: a method with an id and its params.",
            None,
        ),
        Err(error) => {
            let place = format!("line {}, column {}", error.line(), error.column());
            ErrorData::parse_error(format!("The body is not JSON: it breaks at {place}."), None)
        }
    }
}
