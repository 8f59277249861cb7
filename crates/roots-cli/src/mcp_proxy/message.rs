//! A JSON-RPC message of the client, and the headers that its request needs.

use data_encoding::BASE64;
use roots_client::{Error, IdempotencyKey, RawRequest};
use serde_json::{Map, Value, json};

/// Where the server answers.
const PATH: &str = "/mcp";
/// Where a message of revision 2026-07-28 and later names its revision.
const VERSION_FIELD: &str = "io.modelcontextprotocol/protocolVersion";
/// The first revision in which each message names its revision.
const FIRST_WITH_VERSION_FIELD: &str = "2026-07-28";
/// Tools that write. Each write gets a name, so that it may be sent again.
const WRITES: [&str; 6] =
    ["claim_todo", "add_todos", "update_todo", "log_activity", "start_session", "end_session"];
/// Tools that work in a session. Elsewhere a session is a filter, or a change of what is there.
const IN_SESSION: [&str; 3] = ["claim_todo", "log_activity", "end_session"];
/// The tool whose todos each may have a session.
const ADDS_TODOS: &str = "add_todos";

/// The code of an error that the proxy itself reports.
const FAILED: i32 = -32_000;
/// JSON-RPC's code for what is no JSON.
const PARSE_ERROR: i32 = -32_700;
/// JSON-RPC's code for what is no message.
const INVALID_REQUEST: i32 = -32_600;

/// A message.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    value: Map<String, Value>,
    method: String,
    /// What was filled in that the client did not say.
    filled: Filled,
}

/// What was filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Filled {
    /// The session of the work tree.
    pub(crate) session: Option<i64>,
    request_id: bool,
}

/// Something on a line that is no request and no notification.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    /// Nothing is to be answered: an empty line, or an answer.
    Silently,
    /// This is to be answered.
    With(Value),
}

impl Message {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Refused> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Err(Refused::Silently);
        }
        let refuse = |code, text: &str| Refused::With(error(&Value::Null, code, text, None));
        let value = serde_json::from_slice(line)
            .map_err(|fault| refuse(PARSE_ERROR, &format!("the message is no JSON: {fault}")))?;
        let Value::Object(value) = value else {
            return Err(refuse(INVALID_REQUEST, "a message is one JSON object, not a batch"));
        };
        match value.get("method") {
            Some(Value::String(method)) => {
                let method = method.clone();
                Ok(Self { value, method, filled: Filled::default() })
            }
            None if value.contains_key("result") || value.contains_key("error") => {
                Err(Refused::Silently)
            }
            _ => Err(Refused::With(error(
                value.get("id").unwrap_or(&Value::Null),
                INVALID_REQUEST,
                "a message names its `method`",
                None,
            ))),
        }
    }

    /// The id to answer to. A notification has none.
    pub(crate) fn id(&self) -> Option<&Value> {
        self.value.get("id")
    }

    /// The id of the request that this notification cancels.
    pub(crate) fn cancels(&self) -> Option<&Value> {
        let is_cancellation = self.method == "notifications/cancelled";
        self.param("requestId").filter(|_| is_cancellation)
    }

    /// Whether this begins the handshake of revisions before 2026-07-28.
    pub(crate) fn is_handshake(&self) -> bool {
        self.method == "initialize"
    }

    /// The tool that is called.
    pub(crate) fn tool(&self) -> Option<&str> {
        self.param("name").and_then(Value::as_str).filter(|_| self.method == "tools/call")
    }

    /// What was filled in.
    pub(crate) const fn filled(&self) -> Filled {
        self.filled
    }

    /// Whether the tool works in a session that the client left out.
    pub(crate) fn lacks_session(&self) -> bool {
        let mut probe = self.clone();
        probe.fill_session(0);
        probe.filled.session.is_some()
    }

    /// Gives the tool the session of the work tree, where it takes one and the client named none.
    pub(crate) fn fill_session(&mut self, session: i64) {
        let Some(tool) = self.tool().map(str::to_owned) else { return };
        let Some(arguments) = self.arguments() else { return };
        let mut is_filled = false;
        let mut fill = |object: &mut Map<String, Value>| {
            if !object.contains_key("session_id") {
                object.insert("session_id".to_owned(), session.into());
                is_filled = true;
            }
        };
        if IN_SESSION.contains(&tool.as_str()) {
            fill(arguments);
        } else if tool == ADDS_TODOS
            && let Some(Value::Array(todos)) = arguments.get_mut("todos")
        {
            todos.iter_mut().filter_map(Value::as_object_mut).for_each(fill);
        }
        if is_filled {
            self.filled.session = Some(session);
        }
    }

    /// The same without the session that was filled in: that one takes no more writes.
    pub(crate) fn without_session(&self) -> Option<Self> {
        let session = self.filled.session?;
        // To end another session than the one meant is no help.
        let tool = self.tool().filter(|tool| *tool != "end_session")?.to_owned();
        let mut message = self.clone();
        message.filled.session = None;
        let is_named = message.filled.request_id;
        let arguments = message.arguments()?;
        let unfill = |object: &mut Map<String, Value>| {
            if object.get("session_id").and_then(Value::as_i64) == Some(session) {
                object.remove("session_id");
            }
        };
        if tool == ADDS_TODOS {
            let todos = arguments.get_mut("todos").and_then(Value::as_array_mut)?;
            todos.iter_mut().filter_map(Value::as_object_mut).for_each(unfill);
        } else {
            unfill(arguments);
        }
        if is_named {
            // It is another write now.
            arguments.remove("request_id");
            message.name_write();
        }
        Some(message)
    }

    /// Gives a write a name of its own, if the client gave none. An answer that is lost can then be
    /// asked for again.
    pub(crate) fn name_write(&mut self) {
        if !self.tool().is_some_and(|tool| WRITES.contains(&tool)) {
            return;
        }
        let Some(arguments) = self.arguments() else { return };
        if !arguments.contains_key("request_id") {
            let name = IdempotencyKey::unique().as_str().to_owned();
            arguments.insert("request_id".to_owned(), name.into());
            self.filled.request_id = true;
        }
    }

    /// The request that posts the message. `agreed` is the revision that a handshake agreed on.
    ///
    /// # Errors
    ///
    /// If a value can't stand in a header.
    pub(crate) fn request(&self, agreed: Option<&str>) -> Result<RawRequest, Error> {
        let body = Value::Object(self.value.clone()).to_string();
        let mut request = RawRequest::post(PATH, body)
            .header("Accept", "application/json, text/event-stream")?
            .header("Mcp-Method", &self.method)?;
        if let Some(name) = self.subject() {
            request = request.header("Mcp-Name", &header_value(name))?;
        }
        let named = self.param("_meta").and_then(|meta| meta.get(VERSION_FIELD));
        let agreed =
            agreed.filter(|agreed| !self.is_handshake() && *agreed < FIRST_WITH_VERSION_FIELD);
        match named.and_then(Value::as_str).or(agreed) {
            Some(version) => request.header("MCP-Protocol-Version", version),
            None => Ok(request),
        }
    }

    /// What the method is about, as `Mcp-Name` has it.
    fn subject(&self) -> Option<&str> {
        let field = match self.method.as_str() {
            "tools/call" | "prompts/get" => "name",
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "uri",
            "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
            _ => return None,
        };
        self.param(field).and_then(Value::as_str)
    }

    fn param(&self, name: &str) -> Option<&Value> {
        self.value.get("params")?.get(name)
    }

    /// The arguments of the tool, which may be left out.
    fn arguments(&mut self) -> Option<&mut Map<String, Value>> {
        let params = self.value.get_mut("params")?.as_object_mut()?;
        params.entry("arguments").or_insert_with(|| json!({})).as_object_mut()
    }

    /// The answer that the request failed.
    pub(crate) fn failure(&self, text: &str, problem: Option<Value>) -> Option<Value> {
        self.id().map(|id| error(id, FAILED, text, problem))
    }
}

fn error(id: &Value, code: i32, text: &str, problem: Option<Value>) -> Value {
    let mut error = json!({ "code": code, "message": text });
    if let Some(problem) = problem {
        error["data"] = problem;
    }
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}

/// The text as the value of a header: as it is, or else encoded as revision 2026-07-28 tells.
fn header_value(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
        && text.trim_matches(' ') == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    if is_plain {
        text.to_owned()
    } else {
        format!("=?base64?{}?=", BASE64.encode(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(tool: &str, arguments: Value) -> Message {
        let mut line = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool },
        });
        line["params"]["arguments"] = arguments;
        Message::parse(line.to_string().as_bytes()).unwrap()
    }

    fn arguments(message: &Message) -> Value {
        message.value["params"]["arguments"].clone()
    }

    fn headers(line: &Value, agreed: Option<&str>) -> Vec<(String, String)> {
        let message = Message::parse(line.to_string().as_bytes()).unwrap();
        let request = message.request(agreed).unwrap();
        let named = ["mcp-method", "mcp-name", "mcp-protocol-version"];
        named
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), request.header_text(name)?.to_owned())))
            .collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn headers_are_made_from_the_body() {
        let meta = json!({ VERSION_FIELD: "2026-07-28" });
        assert_eq!(
            headers(
                &json!({"id": 1, "method": "tools/call", "params": {
                    "name": "list_todos", "arguments": {}, "_meta": meta,
                }}),
                None
            ),
            pairs(&[
                ("mcp-method", "tools/call"),
                ("mcp-name", "list_todos"),
                ("mcp-protocol-version", "2026-07-28"),
            ])
        );
        assert_eq!(
            headers(&json!({"id": 1, "method": "tools/list", "params": {"_meta": meta}}), None),
            pairs(&[("mcp-method", "tools/list"), ("mcp-protocol-version", "2026-07-28")])
        );
    }

    #[test]
    fn after_a_handshake_the_revision_is_that_which_was_agreed_on() {
        let list = json!({"id": 2, "method": "tools/list"});
        assert_eq!(
            headers(&list, Some("2025-11-25")),
            pairs(&[("mcp-method", "tools/list"), ("mcp-protocol-version", "2025-11-25")])
        );
        // The handshake itself has none, and a later revision stands in each message.
        let initialize = json!({"id": 1, "method": "initialize",
            "params": {"protocolVersion": "2025-06-18"}});
        assert_eq!(
            headers(&initialize, Some("2025-11-25")),
            pairs(&[("mcp-method", "initialize")])
        );
        assert_eq!(headers(&list, Some("2026-07-28")), pairs(&[("mcp-method", "tools/list")]));
    }

    #[test]
    fn names_that_no_header_takes_are_encoded() {
        for (name, value) in [
            ("us-west1", "us-west1"),
            ("a b", "a b"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ] {
            assert_eq!(header_value(name), value);
        }
    }

    #[test]
    fn the_session_goes_to_tools_that_work_in_one() {
        let mut message = call("log_activity", json!({"type": "note"}));
        assert!(message.lacks_session());
        message.fill_session(7);
        assert_eq!(arguments(&message), json!({"type": "note", "session_id": 7}));
        assert_eq!(message.filled().session, Some(7));

        let mut message = call("add_todos", json!({"todos": [{"title": "a"}, {"session_id": 2}]}));
        message.fill_session(7);
        let filled = json!({"todos": [{"title": "a", "session_id": 7}, {"session_id": 2}]});
        assert_eq!(arguments(&message), filled);

        for (tool, given) in [
            ("claim_todo", json!({"session_id": 2})),
            ("list_todos", json!({})),
            ("search_work", json!({"q": "x"})),
            ("update_todo", json!({"todo_id": 1})),
            ("start_session", json!({})),
            ("add_todos", json!({"todos": [{"session_id": 2}]})),
            ("add_todos", json!({"todos": "none"})),
            ("log_activity", json!([1])),
        ] {
            let mut message = call(tool, given.clone());
            assert!(!message.lacks_session(), "{tool}");
            message.fill_session(7);
            assert_eq!(arguments(&message), given);
            assert_eq!(message.filled(), Filled::default());
        }
    }

    #[test]
    fn each_write_has_a_name_of_its_own() {
        let name = |message: &Message| arguments(message)["request_id"].as_str().map(str::to_owned);
        let mut names = Vec::new();
        for tool in WRITES {
            let mut message = call(tool, json!({}));
            message.name_write();
            names.push(name(&message).unwrap());
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), WRITES.len());

        let mut message = call("claim_todo", json!({"request_id": "mine"}));
        message.name_write();
        assert_eq!(name(&message).as_deref(), Some("mine"));
        let mut message = call("list_todos", json!({}));
        message.name_write();
        assert_eq!(name(&message), None);
        let line = br#"{"id":1,"method":"tools/call","params":{"name":"claim_todo"}}"#;
        let mut message = Message::parse(line).unwrap();
        message.name_write();
        assert!(name(&message).is_some());
    }

    #[test]
    fn a_write_without_its_session_is_another_write() {
        let mut message = call("add_todos", json!({"todos": [{}, {"session_id": 2}]}));
        message.name_write();
        message.fill_session(7);
        let other = message.without_session().unwrap();
        assert_eq!(arguments(&other)["todos"], json!([{}, {"session_id": 2}]));
        assert_ne!(arguments(&other)["request_id"], arguments(&message)["request_id"]);
        assert_eq!(other.filled().session, None);

        let mut message = call("log_activity", json!({"request_id": "mine"}));
        message.fill_session(7);
        let other = message.without_session().unwrap();
        assert_eq!(arguments(&other), json!({"request_id": "mine"}));

        let mut message = call("end_session", json!({}));
        message.fill_session(7);
        assert!(message.without_session().is_none());
        assert!(call("log_activity", json!({"session_id": 7})).without_session().is_none());
    }

    #[test]
    fn lines_that_are_no_messages_are_answered_or_ignored() {
        for line in ["", "  \r", r#"{"id":1,"result":{}}"#, r#"{"id":1,"error":{}}"#] {
            assert_eq!(Message::parse(line.as_bytes()).unwrap_err(), Refused::Silently, "{line}");
        }
        for (line, id, code) in [
            ("{", Value::Null, PARSE_ERROR),
            ("\u{feff}", Value::Null, PARSE_ERROR),
            ("[]", Value::Null, INVALID_REQUEST),
            ("{\"id\":4}", json!(4), INVALID_REQUEST),
            ("{\"id\":4,\"method\":1}", json!(4), INVALID_REQUEST),
        ] {
            let Err(Refused::With(answer)) = Message::parse(line.as_bytes()) else {
                panic!("{line}")
            };
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(code)), "{line}");
        }
    }

    #[test]
    fn a_cancellation_names_a_request() {
        let parse = |line: Value| Message::parse(line.to_string().as_bytes()).unwrap();
        let message =
            parse(json!({"method": "notifications/cancelled", "params": {"requestId": "a"}}));
        assert_eq!(message.cancels(), Some(&json!("a")));
        assert_eq!(message.id(), None);
        let message = parse(json!({"method": "x", "params": {"requestId": "a"}}));
        assert_eq!(message.cancels(), None);
    }
}
