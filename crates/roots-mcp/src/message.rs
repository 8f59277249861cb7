//! Messages of JSON-RPC, as far as they are looked at before rmcp reads them.
//!
//! The arguments of a tool are taken out and judged by the code that judges bodies. rmcp would keep
//! only the last of two members of one name, and would copy long texts several times.

use std::borrow::Cow;

use axum::body::Bytes;
use roots_domain::model::usage::Endpoint;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::surface::MCP_PATH;

/// The method that calls a tool.
const CALL: &str = "tools/call";

/// A message whose arguments were taken out.
pub(crate) struct Message {
    /// The message without the arguments.
    pub(crate) rest: Bytes,
    /// The arguments of the tool that it calls, as JSON; empty without any.
    pub(crate) arguments: Bytes,
    /// The endpoint that it stands for in the account's usage.
    pub(crate) endpoint: Endpoint,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
}

impl Message {
    /// Splits a message. One that is no call of a tool, or can't be read, stays whole.
    pub(crate) fn split(body: Bytes) -> Self {
        let found = Self::call(&body);
        let Some((name, arguments)) = found else {
            return Self { rest: body, arguments: Bytes::new(), endpoint: own_endpoint() };
        };
        let endpoint = endpoint(&name, arguments);
        let Some(arguments) = arguments.map(str::as_bytes) else {
            return Self { rest: body, arguments: Bytes::new(), endpoint };
        };
        let start = arguments.as_ptr().addr() - body.as_ptr().addr();
        let rest = [&body[..start], b"{}", &body[start + arguments.len()..]].concat();
        let arguments = body.slice(start..start + arguments.len());
        Self { rest: rest.into(), arguments, endpoint }
    }

    /// The name and the arguments of the tool that a message calls.
    fn call(body: &[u8]) -> Option<(Cow<'_, str>, Option<&str>)> {
        let Envelope { method, params } = serde_json::from_slice(body).ok()?;
        let Params { name, arguments } = params.filter(|_| method == CALL)?;
        let arguments = arguments.map(RawValue::get).filter(|raw| *raw != "null");
        Some((name?, arguments))
    }
}

/// The endpoint of messages that call no tool.
fn own_endpoint() -> Endpoint {
    Endpoint { route: MCP_PATH.to_owned(), method: "POST".to_owned() }
}

/// The endpoint of the REST API that a tool stands for.
fn endpoint(tool: &str, arguments: Option<&str>) -> Endpoint {
    let (method, route) = match tool {
        "work_brief" => ("GET", "/brief"),
        "claim_todo" => ("POST", "/todos/claim"),
        "list_todos" => ("GET", "/todos"),
        "get_item" => ("GET", item_route(arguments)),
        "add_todos" => ("POST", "/todos"),
        "update_todo" => ("PATCH", "/todos/{id}"),
        "log_activity" => ("POST", "/activities"),
        "start_session" => ("POST", "/sessions"),
        "end_session" => ("PATCH", "/sessions/{id}"),
        "search_work" => ("POST", "/search"),
        _ => return own_endpoint(),
    };
    Endpoint { route: route.to_owned(), method: method.to_owned() }
}

fn item_route(arguments: Option<&str>) -> &'static str {
    let kind = arguments.and_then(|raw| serde_json::from_str::<Kind>(raw).ok()?.kind);
    match kind.as_deref() {
        Some("session") => "/sessions/{id}",
        Some("activity") => "/activities/{id}",
        _ => "/todos/{id}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(body: &'static str) -> (String, String, String) {
        let Message { rest, arguments, endpoint } =
            Message::split(Bytes::from_static(body.as_bytes()));
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        (text(rest), text(arguments), format!("{} {}", endpoint.method, endpoint.route))
    }

    #[test]
    fn the_arguments_of_a_call_are_taken_out_byte_for_byte() {
        let body = r#"{"method":"tools/call","id":1,"params":{"name":"add_todos","arguments": {"a": "é\ud800", "a":1} ,"_meta":{"x":1}}}"#;
        let rest = r#"{"method":"tools/call","id":1,"params":{"name":"add_todos","arguments": {} ,"_meta":{"x":1}}}"#;
        let arguments = r#"{"a": "é\ud800", "a":1}"#;
        assert_eq!(split(body), (rest.into(), arguments.into(), "POST /todos".into()));
    }

    #[test]
    fn other_messages_stay_whole_and_count_as_the_surface() {
        for body in [
            r#"{"method":"tools/list","id":1,"params":{"name":"add_todos","arguments":{}}}"#,
            r#"{"method":"initialize","id":1}"#,
            r#"{"method":"tools/call","id":1,"params":{"name":"no_tool"}}"#,
            r#"{"method":"tools/call","id":1}"#,
            r#"{"method":"tools/call","params":{"name":"add_todos","arguments":{},"arguments":{}}}"#,
            "[]",
            "{",
            "",
        ] {
            assert_eq!(split(body), (body.into(), String::new(), "POST /mcp".into()), "{body}");
        }
    }

    #[test]
    fn a_call_without_arguments_counts_as_the_route_of_its_tool() {
        for arguments in ["", r#","arguments":null"#] {
            let body =
                format!(r#"{{"method":"tools/call","params":{{"name":"work_brief"{arguments}}}}}"#);
            let message = Message::split(body.clone().into());
            assert_eq!((message.rest, message.arguments), (body.into(), Bytes::new()));
            assert_eq!(message.endpoint.route, "/brief");
        }
        for (kind, route) in [
            ("todo", "/todos/{id}"),
            ("session", "/sessions/{id}"),
            ("activity", "/activities/{id}"),
        ] {
            let arguments = format!(r#"{{"id":1,"kind":"{kind}"}}"#);
            assert_eq!(endpoint("get_item", Some(&arguments)).route, route);
        }
    }
}
