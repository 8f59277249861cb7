//! A JSON-RPC message of the client, and the request that it becomes.
//!
//! The text of the client goes to the server as it stands. What is filled in is put between.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use data_encoding::BASE64;
use roots_client::{Error, RawRequest};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::mcp_proxy::call::{Call, EMPTY, Gap, start, value};
use crate::mcp_proxy::members::{Member, Twice, has, members, only};
use crate::mcp_proxy::tools::{TakesSession, tool};

/// Where the server answers.
const PATH: &str = "/mcp";
/// The method that calls a tool.
const CALL: &str = "tools/call";
/// Where a message of revision 2026-07-28 and later names its revision.
const VERSION_FIELD: &str = "io.modelcontextprotocol/protocolVersion";
/// The first revision in which each message names its revision.
const FIRST_WITH_VERSION_FIELD: &str = "2026-07-28";

/// The code of an error that the proxy itself reports.
const FAILED: i32 = -32_000;
/// JSON-RPC's code for what is no JSON.
const PARSE_ERROR: i32 = -32_700;
/// JSON-RPC's code for what is no message.
const INVALID_REQUEST: i32 = -32_600;

/// A message.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    text: String,
    method: String,
    id: Option<Value>,
    /// What the method is about, as `Mcp-Name` has it.
    subject: Option<String>,
    /// The revision that the message names.
    version: Option<String>,
    cancels: Option<Value>,
    call: Option<Call>,
}

/// A message with what was filled in.
#[derive(Debug)]
pub(crate) struct Filled {
    text: String,
    /// The session that was filled in.
    pub(crate) session: Option<i64>,
    /// The name of the write, if the proxy gave it.
    pub(crate) request_id: Option<String>,
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
        let text = String::from_utf8_lossy(line);
        let (found, read) = members(&text);
        // The id of an answer is that of a request of the server, and no request of the client.
        let may_be_answer = has(&found, "result")
            || has(&found, "error")
            || (read.is_err() && !has(&found, "method"));
        let id = only(&found, "id").ok().flatten().and_then(value::<Value>);
        let refuse = |code, fault: &str| {
            let id = id.clone().filter(|_| !may_be_answer).unwrap_or_default();
            Refused::With(error(&id, code, fault, None))
        };
        if let Cow::Owned(_) = text {
            return Err(refuse(PARSE_ERROR, "the message is not UTF-8"));
        }
        match read {
            Err(fault) if fault.is_data() => {
                let fault = "a message is one JSON object, not a batch";
                return Err(refuse(INVALID_REQUEST, fault));
            }
            Err(fault) => {
                return Err(refuse(PARSE_ERROR, &format!("the message is no JSON: {fault}")));
            }
            Ok(()) => {}
        }
        if may_be_answer && !has(&found, "method") {
            return Err(Refused::Silently);
        }
        Self::of_members(&text, &found).map_err(|fault| refuse(INVALID_REQUEST, &fault))
    }

    /// The message with these members, or why it is none.
    fn of_members(text: &str, found: &[Member<'_>]) -> Result<Self, String> {
        let one = |name| only(found, name).map_err(|twice| twice.to_string());
        let method: Option<String> = one("method")?.and_then(value);
        let method = method.ok_or("a message names its `method`")?;
        let id = match one("id")? {
            Some(id) => Some(value(id).ok_or("the `id` can't be read")?),
            None => None,
        };
        let mut message = Self {
            text: text.to_owned(),
            method,
            id,
            subject: None,
            version: None,
            cancels: None,
            call: None,
        };
        if let Some(params) = one("params")? {
            let read = message.read_params(text, params);
            read.map_err(|twice| format!("in `params`, {twice}"))?;
        }
        Ok(message)
    }

    /// Reads the parameters, which stand in this text. What is no object is left to the server.
    fn read_params(&mut self, text: &str, params: &RawValue) -> Result<(), Twice> {
        let (found, Ok(())) = members(params.get()) else { return Ok(()) };
        let subject = match self.method.as_str() {
            CALL | "prompts/get" => only(&found, "name")?,
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                only(&found, "uri")?
            }
            "tasks/get" | "tasks/update" | "tasks/cancel" => only(&found, "taskId")?,
            _ => None,
        };
        self.subject = subject.and_then(value);
        if let Some(meta) = only(&found, "_meta")? {
            self.version = only(&members(meta.get()).0, VERSION_FIELD)?.and_then(value);
        }
        if self.method == "notifications/cancelled" {
            self.cancels = only(&found, "requestId")?.and_then(value);
        }
        let arguments = only(&found, "arguments")?;
        let called = self.subject.as_deref().filter(|_| self.method == CALL);
        if let Some(tool) = called.and_then(tool).filter(|tool| tool.takes_what_is_filled_in()) {
            let place = match arguments {
                Some(arguments) => {
                    let at = start(text, arguments.get());
                    at..at + arguments.get().len()
                }
                None => self.add_arguments(start(text, params.get()) + 1),
            };
            self.call = Some(Call::new(tool, &mut self.text, place));
        }
        Ok(())
    }

    /// Puts arguments before the parameters that begin here.
    fn add_arguments(&mut self, at: usize) -> Range<usize> {
        const NAME: &str = r#""arguments":"#;
        self.text.insert_str(at, &format!("{NAME}{{}},"));
        at + NAME.len()..at + NAME.len() + EMPTY.len()
    }

    /// The id to answer to. A notification has none.
    pub(crate) const fn id(&self) -> Option<&Value> {
        self.id.as_ref()
    }

    /// The id of the request that this notification cancels.
    pub(crate) const fn cancels(&self) -> Option<&Value> {
        self.cancels.as_ref()
    }

    /// Whether this begins the handshake of revisions before 2026-07-28.
    pub(crate) fn is_handshake(&self) -> bool {
        self.method == "initialize"
    }

    /// Whether this asks for the tools.
    pub(crate) fn is_for_tools(&self) -> bool {
        self.method == "tools/list"
    }

    /// The name of the tool that is called.
    pub(crate) fn tool_name(&self) -> Option<&str> {
        self.subject.as_deref().filter(|_| self.method == CALL)
    }

    /// Whether it may be sent again: it is answered, and writes nothing or has a name.
    pub(crate) fn is_repeatable(&self) -> bool {
        let is_known = self.tool_name().is_none_or(|name| tool(name).is_some());
        self.id.is_some() && is_known
    }

    /// What a session is to the tool, if the client left it out.
    pub(crate) fn lacks_session(&self) -> Option<TakesSession> {
        let call = self.call.as_ref().filter(|call| !call.sessions.is_empty())?;
        Some(call.tool.session)
    }

    /// The session that the client named, for a tool that works in it.
    pub(crate) fn named_session(&self) -> Option<i64> {
        let takes = self.call.as_ref()?.tool.session;
        matches!(takes, TakesSession::Own | TakesSession::OwnIfListed)
            .then(|| self.argument("session_id"))?
    }

    /// The name that the client gave to the write.
    pub(crate) fn given_request_id(&self) -> Option<String> {
        self.call.as_ref()?.tool.writes.then(|| self.argument("request_id"))?
    }

    /// An argument of the tool, if it is there once and of this type.
    pub(crate) fn argument<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let place = self.call.as_ref()?.arguments.clone();
        only(&members(self.text.get(place)?).0, name).ok()?.and_then(value)
    }

    /// The message with this session, where one can be put, and with this name of the write, if the
    /// client gave none.
    pub(crate) fn filled(&self, session: Option<i64>, request_id: &str) -> Filled {
        // What is put where, and whether members follow.
        let mut pieces: BTreeMap<usize, (Vec<String>, bool)> = BTreeMap::new();
        let mut put = |gap: &Gap, member: String| {
            let (members, is_followed) = pieces.entry(gap.at).or_default();
            members.push(member);
            *is_followed = gap.is_followed;
        };
        let gaps = self.call.iter().flat_map(|call| &call.sessions);
        let session = session.filter(|_| self.lacks_session().is_some());
        if let Some(session) = session {
            gaps.for_each(|gap| put(gap, format!("\"session_id\":{session}")));
        }
        let name = self.call.as_ref().and_then(|call| call.name.as_ref());
        if let Some(gap) = name {
            put(gap, format!("\"request_id\":{}", Value::from(request_id)));
        }
        let mut text = String::with_capacity(self.text.len() + 128);
        let mut rest = 0;
        for (at, (members, is_followed)) in pieces {
            text.extend(self.text.get(rest..at));
            text.push_str(&members.join(","));
            if is_followed {
                text.push(',');
            }
            rest = at;
        }
        text.extend(self.text.get(rest..));
        Filled { text, session, request_id: name.map(|_| request_id.to_owned()) }
    }

    /// The request that posts the message. `agreed` is the revision that a handshake agreed on.
    ///
    /// # Errors
    ///
    /// If a value can't stand in a header.
    pub(crate) fn request(
        &self,
        filled: &Filled,
        agreed: Option<&str>,
    ) -> Result<RawRequest, Error> {
        let mut request = RawRequest::post(PATH, filled.text.clone())
            .header("Accept", "application/json, text/event-stream")?
            .header("Mcp-Method", &self.method)?;
        if let Some(subject) = &self.subject {
            request = request.header("Mcp-Name", &header_value(subject))?;
        }
        let agreed =
            agreed.filter(|agreed| !self.is_handshake() && *agreed < FIRST_WITH_VERSION_FIELD);
        match self.version.as_deref().or(agreed) {
            Some(version) => request.header("MCP-Protocol-Version", version),
            None => Ok(request),
        }
    }

    /// The answer that the request failed.
    pub(crate) fn failure(&self, text: &str, problem: Option<Value>) -> Option<Value> {
        self.id().map(|id| error(id, FAILED, text, problem))
    }
}

impl Filled {
    /// The name of the write, given by the client or by the proxy.
    pub(crate) fn name_of_write(&self, message: &Message) -> Option<String> {
        self.request_id.clone().or_else(|| message.given_request_id())
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

    fn sent(message: &Message, session: Option<i64>) -> Value {
        let sent: Value = serde_json::from_str(&message.filled(session, "made").text).unwrap();
        sent["params"]["arguments"].clone()
    }

    fn headers(line: &Value, agreed: Option<&str>) -> Vec<(String, String)> {
        let message = Message::parse(line.to_string().as_bytes()).unwrap();
        let request = message.request(&message.filled(None, "made"), agreed).unwrap();
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
        let message = call("log_activity", json!({"type": "note"}));
        assert_eq!(message.lacks_session(), Some(TakesSession::Own));
        let expected = json!({"type": "note", "session_id": 7, "request_id": "made"});
        assert_eq!(sent(&message, Some(7)), expected);
        assert_eq!(message.filled(Some(7), "made").session, Some(7));
        assert_eq!(message.filled(None, "made").session, None);

        let message = call("add_todos", json!({"todos": [{"title": "a"}, {}, {"session_id": 2}]}));
        let todos = json!([{"title": "a", "session_id": 7}, {"session_id": 7}, {"session_id": 2}]);
        assert_eq!(sent(&message, Some(7))["todos"], todos);
        let todos = json!([{"title": "a"}, {}, {"session_id": 2}]);
        assert_eq!(sent(&message, None)["todos"], todos);

        assert_eq!(call("work_brief", json!({})).lacks_session(), Some(TakesSession::OwnIfListed));
        for (tool, given) in [
            ("claim_todo", json!({"session_id": 2, "request_id": "r"})),
            ("claim_todo", json!({"session_id": null, "request_id": null})),
            ("work_brief", json!({"actor_id": "all"})),
            ("list_todos", json!({})),
            ("search_work", json!({"q": "x"})),
            ("update_todo", json!({"todo_id": 1, "request_id": "r"})),
            ("start_session", json!({"request_id": "r"})),
            ("add_todos", json!({"todos": [{"session_id": 2}], "request_id": "r"})),
            ("add_todos", json!({"todos": "none", "request_id": "r"})),
            ("log_activity", json!([1])),
            ("a_newer_tool", json!({})),
        ] {
            let message = call(tool, given.clone());
            assert_eq!(message.lacks_session(), None, "{tool}");
            assert_eq!(sent(&message, Some(7)), given);
            let filled = message.filled(Some(7), "made");
            assert_eq!((filled.session, filled.request_id), (None, None));
        }
    }

    #[test]
    fn what_the_client_wrote_goes_on_byte_for_byte() {
        let line = r#"{"id":1.0, "method":"tools/call","params":{ "name":"log_activity","arguments": { "type":"a","type":"b", "description":"\ud800 \/" } ,"_meta":{}}}"#;
        let message = Message::parse(line.as_bytes()).unwrap();
        let filled = message.filled(Some(7), "a\"b");
        let put = r#"{"session_id":7,"request_id":"a\"b", "type""#;
        assert_eq!(filled.text, line.replace(r#"{ "type""#, put));

        let line = r#"{"method":"tools/call","id":1,"params":{"name":"end_session"}}"#;
        let message = Message::parse(line.as_bytes()).unwrap();
        let put = r#"{"arguments":{"session_id":7,"request_id":"m"},"name""#;
        assert_eq!(message.filled(Some(7), "m").text, line.replace(r#"{"name""#, put));

        let line = r#"{"method":"tools/call","params":{"name":"claim_todo","arguments":null}}"#;
        let message = Message::parse(line.as_bytes()).unwrap();
        let put = r#"{"request_id":"m"}"#;
        assert_eq!(message.filled(None, "m").text, line.replace("null", put));
    }

    #[test]
    fn each_write_has_a_name() {
        for name in ["claim_todo", "add_todos", "update_todo", "start_session", "end_session"] {
            let filled = call(name, json!({})).filled(None, "made");
            assert_eq!(filled.request_id.as_deref(), Some("made"), "{name}");
        }
        let message = call("claim_todo", json!({"request_id": "mine"}));
        assert_eq!(message.given_request_id().as_deref(), Some("mine"));
        assert_eq!(message.filled(None, "made").request_id, None);
        assert_eq!(call("list_todos", json!({})).filled(None, "made").request_id, None);
    }

    #[test]
    fn a_call_that_may_write_without_a_name_is_not_repeated() {
        assert!(call("claim_todo", json!({})).is_repeatable());
        assert!(call("list_todos", json!({})).is_repeatable());
        assert!(!call("a_newer_tool", json!({})).is_repeatable());
        let parse = |line: &str| Message::parse(line.as_bytes()).unwrap();
        assert!(parse(r#"{"id":1,"method":"tools/list"}"#).is_repeatable());
        assert!(!parse(r#"{"method":"notifications/initialized"}"#).is_repeatable());
    }

    #[test]
    fn the_session_that_the_client_named_is_told() {
        let named = |tool, arguments| call(tool, arguments).named_session();
        assert_eq!(named("log_activity", json!({"session_id": 3})), Some(3));
        assert_eq!(named("log_activity", json!({"session_id": "3"})), None);
        assert_eq!(named("list_todos", json!({"session_id": 3})), None);
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
            (r#"{"id":"a","method":"x","params":{"#, json!("a"), PARSE_ERROR),
            (r#"{"id":4,"method":"\ud800"}"#, json!(4), INVALID_REQUEST),
            (r#"{"id":4,"id":5,"method":"x"}"#, Value::Null, INVALID_REQUEST),
            (r#"{"id":4,"method":"x","method":"y"}"#, json!(4), INVALID_REQUEST),
            (
                r#"{"id":4,"method":"tools/call","params":{"arguments":{},"arguments":{}}}"#,
                json!(4),
                INVALID_REQUEST,
            ),
            (r#"{"id":4,"result":1,"#, Value::Null, PARSE_ERROR),
            (r#"{"id":4,"result":{"#, Value::Null, PARSE_ERROR),
        ] {
            let Err(Refused::With(answer)) = Message::parse(line.as_bytes()) else {
                panic!("{line}")
            };
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(code)), "{line}");
        }
        let Err(Refused::With(answer)) = Message::parse(b"{\"id\":4,\"method\":\"\xff\"}") else {
            panic!("a text that is not UTF-8")
        };
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(4), &json!(PARSE_ERROR)));
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
