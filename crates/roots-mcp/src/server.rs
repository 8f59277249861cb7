//! The server as rmcp drives it.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::MatchedPath;
use axum::http::request::Parts;
use futures_util::FutureExt;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
    DiscoverResult, Implementation, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use roots_domain::service::Services;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::middleware::list_permits::Room;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::Fields;
use roots_http_core::state::SharedState;
use serde_json::Value;

use crate::catalog::TOOLS;
use crate::instructions::INSTRUCTIONS;
use crate::refusal;
use crate::tools::{self, Answer, Call, Kind};

/// How long a client may keep the list of tools and what it was told of the server.
const TTL_MS: u64 = 60 * 60 * 1_000;

/// The server. rmcp makes one for each message; all of them share their state.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) services: Arc<Services>,
    pub(crate) shared: SharedState,
}

/// What a message brings beside itself: its caller, and the arguments that were taken out of it.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) bearer: Bearer,
    pub(crate) path: MatchedPath,
    pub(crate) arguments: Bytes,
    /// Takes what is reserved for the answer until it is sent.
    pub(crate) room: RoomSlot,
}

/// Where a tool leaves what is reserved for its answer.
#[derive(Clone, Default)]
pub(crate) struct RoomSlot(Arc<Mutex<Option<Room>>>);

impl RoomSlot {
    fn put(&self, room: Room) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(room);
    }

    pub(crate) fn take(&self) -> Option<Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let server = Implementation::new("roots", env!("CARGO_PKG_VERSION")).with_title("Roots");
        ServerConfig::new(capabilities).with_server_info(server).with_instructions(INSTRUCTIONS)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        let found = DiscoverResult::from_server_info(versions, self.get_info());
        Ok(found.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let list = ListToolsResult::with_all_items(TOOLS.clone());
        let version = context.protocol_version();
        if version.is_none_or(|version| version < ProtocolVersion::V_2026_07_28) {
            return Ok(list);
        }
        Ok(list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let kind = tools::kind(&request.name).ok_or_else(|| unknown_tool(&request.name))?;
        let parts = context.extensions.get::<Parts>();
        let found = parts.and_then(|parts| parts.extensions.get::<Context>());
        let Some(Context { bearer, path, arguments, room }) = found.cloned() else {
            return Err(ErrorData::internal_error("The message has no caller.", None));
        };
        let (services, shared) = (Arc::clone(&self.services), Arc::clone(&self.shared));
        let call = Call { services, shared, bearer, path, arguments };
        let running = AssertUnwindSafe(tools::run(&request.name, call)).catch_unwind();
        let outcome = match kind {
            Kind::Write => running.await,
            Kind::Read => tokio::select! {
                biased;
                outcome = running => outcome,
                () = context.ct.cancelled() => {
                    return Err(ErrorData::internal_error("The client has hung up.", None));
                }
            },
        };
        let outcome = outcome.unwrap_or_else(|_| Err(Problem::panicked()));
        Ok(CallToolResponse::Complete(match outcome {
            Ok(Answer { document, room: reserved }) => {
                room.put(reserved);
                told(document)
            }
            Err(problem) => refused(&request.name, &problem),
        }))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        TOOLS.iter().find(|tool| tool.name == name).cloned()
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2026_07_28))
    }
}

/// A result: as JSON, and the same JSON as text, since clients show one or the other.
fn told(document: String) -> CallToolResult {
    let structured: Value = serde_json::from_str(&document).unwrap_or_default();
    let mut result = CallToolResult::success(vec![ContentBlock::text(document)]);
    result.structured_content = Some(structured);
    result
}

/// A refusal.
fn refused(tool: &str, problem: &Problem) -> CallToolResult {
    if let Some(cause) = problem.cause() {
        tracing::error!(tool, cause, "a tool failed");
    }
    CallToolResult::error(vec![ContentBlock::text(refusal::text(problem))])
}

/// There is no such tool. The words are those for an unknown field.
fn unknown_tool(name: &str) -> ErrorData {
    let mut names = Fields::new("tool", vec![(name.to_owned(), ())]);
    for tool in TOOLS.iter() {
        if let Cow::Borrowed(known) = tool.name {
            let _ = names.take(known, Ok);
        }
    }
    let listed = names.finish().listed;
    let text = listed.first().map(|error| format!("{} {}", error.field, error.message));
    ErrorData::invalid_params(text.unwrap_or_default(), None)
}
