//! Messages of JSON-RPC, as far as they are looked at before rmcp reads them.
//!
//! The arguments of a tool are taken out and judged by the code that judges bodies. rmcp would keep
//! only the last of two members of one name, and would copy long texts several times.

use std::borrow::Cow;

use axum::body::Bytes;
use roots_domain::model::usage::Endpoint;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// The path of MCP.
pub const MCP_PATH: &str = "/mcp";
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

/// A message has two members of one name. Two readers might each take another one of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// A message. A member that is named here and comes twice is an error.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "jsonrpc")]
    _version: Option<IgnoredAny>,
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
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
    ///
    /// # Errors
    /// What it calls is ambiguous.
    pub(crate) fn split(body: Bytes) -> Result<Self, Ambiguous> {
        let found = Self::call(&body)?;
        let Some((name, arguments)) = found else {
            return Ok(Self { rest: body, arguments: Bytes::new(), endpoint: own_endpoint() });
        };
        let endpoint = endpoint(&name, arguments);
        let Some(arguments) = arguments.map(str::as_bytes) else {
            return Ok(Self { rest: body, arguments: Bytes::new(), endpoint });
        };
        let start = arguments.as_ptr().addr() - body.as_ptr().addr();
        let rest = [&body[..start], b"{}", &body[start + arguments.len()..]].concat();
        let arguments = body.slice(start..start + arguments.len());
        Ok(Self { rest: rest.into(), arguments, endpoint })
    }

    /// The name and the arguments of the tool that a message calls.
    fn call(body: &[u8]) -> Result<Option<Call<'_>>, Ambiguous> {
        let envelope = unambiguous::<Envelope<'_>>(serde_json::from_slice(body))?;
        let called = envelope.filter(|message| message.method.as_deref() == Some(CALL));
        let Some(params) = called.and_then(|message| message.params) else { return Ok(None) };
        let params = unambiguous::<Params<'_>>(serde_json::from_str(params.get()))?;
        Ok(params.and_then(|Params { name, arguments }| {
            let arguments = arguments.map(RawValue::get).filter(|raw| *raw != "null");
            Some((name?, arguments))
        }))
    }
}

/// The name of a tool, and the JSON text of its arguments.
type Call<'a> = (Cow<'a, str>, Option<&'a str>);

/// What was read; none if it has another form.
fn unambiguous<T>(read: serde_json::Result<T>) -> Result<Option<T>, Ambiguous> {
    match read {
        Ok(read) => Ok(Some(read)),
        // serde has no kind of error for it, but its words are fixed.
        Err(error) if error.to_string().starts_with("duplicate field") => Err(Ambiguous),
        Err(_) => Ok(None),
    }
}

/// The endpoint of messages that call no tool.
pub(crate) fn own_endpoint() -> Endpoint {
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
    use crate::catalog::TOOLS;

    fn split(body: &'static str) -> (String, String, String) {
        let Message { rest, arguments, endpoint } =
            Message::split(Bytes::from_static(body.as_bytes())).unwrap();
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
            r#"{"method":"tools/list","id":1,"params":{"name":"add_todos","name":"add_todos"}}"#,
            r#"{"method":"tools/call","id":1,"params":{"name":7}}"#,
            r#"{"method":"tools/call","id":1,"params":[]}"#,
            r#"{"id":1,"result":{}}"#,
            "[]",
            "{",
            "",
        ] {
            assert_eq!(split(body), (body.into(), String::new(), "POST /mcp".into()), "{body}");
        }
    }

    #[test]
    fn a_message_that_says_twice_what_it_calls_is_refused() {
        for body in [
            r#"{"method":"tools/call","params":{"name":"add_todos","arguments":{},"arguments":{}}}"#,
            r#"{"method":"tools/call","params":{"name":"add_todos","name":"list_todos"}}"#,
            r#"{"method":"tools/call","params":{},"params":{"name":"list_todos"}}"#,
            r#"{"method":"tools/list","method":"tools/call","params":{"name":"list_todos"}}"#,
            r#"{"id":1,"method":"tools/call","id":2,"params":{"name":"list_todos"}}"#,
        ] {
            let split = Message::split(Bytes::from_static(body.as_bytes()));
            assert!(split.is_err(), "{body}");
        }
    }

    #[test]
    fn every_tool_stands_for_an_endpoint_of_the_api() {
        for tool in TOOLS.iter() {
            assert_ne!(endpoint(&tool.name, None), own_endpoint(), "{}", tool.name);
        }
    }

    #[test]
    fn a_call_without_arguments_counts_as_the_route_of_its_tool() {
        for arguments in ["", r#","arguments":null"#] {
            let body =
                format!(r#"{{"method":"tools/call","params":{{"name":"work_brief"{arguments}}}}}"#);
            let message = Message::split(body.clone().into()).unwrap();
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
