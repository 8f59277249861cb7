//! What the server answers, as lines for the client.

use std::time::Duration;

use roots_client::RawAnswer;
use serde_json::{Value, json};

/// The codes of refusals after which the same call may succeed.
const PASSING: [&str; 4] =
    ["unavailable", "too-many-requests", "still-in-flight", "outcome-unknown"];
/// Those of them after which the call may have been done.
const IN_DOUBT: [&str; 2] = ["still-in-flight", "outcome-unknown"];

/// The messages in an answer of the server. `None` if it is none of MCP.
pub(crate) fn messages(answer: &RawAnswer) -> Option<Vec<Value>> {
    match answer.media_type() {
        Some("application/json") => {
            let message = serde_json::from_slice(&answer.body).ok().filter(is_message)?;
            Some(vec![message])
        }
        Some("text/event-stream") => {
            let stream = String::from_utf8_lossy(&answer.body);
            let messages = events(&stream).into_iter();
            Some(messages.filter_map(|data| serde_json::from_str(&data).ok()).collect())
        }
        // A notification is accepted without a word.
        _ if answer.status.is_success() && answer.body.is_empty() => Some(Vec::new()),
        _ => None,
    }
}

/// The message with the id of the request, if it is an error that names none.
pub(crate) fn addressed(mut message: Value, id: Option<&Value>) -> Value {
    if let (Some(id), true) = (id, message.get("error").is_some())
        && message.get("id").is_none_or(Value::is_null)
    {
        message["id"] = id.clone();
    }
    message
}

/// What a tool gave, if it did not fail.
pub(crate) fn result_of_tool(message: &Value) -> Option<&Value> {
    let result = message.get("result")?;
    (result.get("isError") != Some(&Value::Bool(true))).then_some(result)?.get("structuredContent")
}

/// Whether a tool was called and refused.
pub(crate) fn is_refusal_of_tool(message: &Value) -> bool {
    message.pointer("/result/isError") == Some(&Value::Bool(true))
}

/// How long to wait at least before the same call, if a tool refused it for a while.
pub(crate) fn passing_refusal(message: &Value) -> Option<Duration> {
    let text = refusal(message)?;
    PASSING.contains(&code(text)).then_some(())?;
    let (_, wait) = text.rsplit_once("Call again in ").unwrap_or_default();
    let seconds = wait.split(' ').next().and_then(|seconds| seconds.parse().ok());
    Some(Duration::from_secs(seconds.unwrap_or_default()))
}

/// Whether a tool was called and may have done what it should, although no answer says so.
pub(crate) fn is_in_doubt(message: &Value) -> bool {
    refusal(message).is_some_and(|text| IN_DOUBT.contains(&code(text)))
}

/// Adds a text for the agent to what the tool answered.
pub(crate) fn add_text(message: &mut Value, text: &str) {
    if let Some(Value::Array(content)) = message.pointer_mut("/result/content") {
        content.push(json!({ "type": "text", "text": text }));
    }
}

/// Whether this list of tools has the tool with an argument `session_id`.
pub(crate) fn takes_session(message: &Value, tool: &str) -> bool {
    let tools = message.pointer("/result/tools").and_then(Value::as_array);
    tools.into_iter().flatten().any(|listed| {
        listed.get("name").is_some_and(|name| name == tool)
            && listed.pointer("/inputSchema/properties/session_id").is_some()
    })
}

/// The text of a refusal.
fn refusal(message: &Value) -> Option<&str> {
    message.pointer("/result/content/0/text").filter(|_| is_refusal_of_tool(message))?.as_str()
}

/// The code that the text of a refusal begins with.
fn code(refusal: &str) -> &str {
    refusal.split(':').next().unwrap_or_default()
}

fn is_message(value: &Value) -> bool {
    value.get("jsonrpc").is_some()
}

/// The data of the events of a stream. An event that the end cuts off is none.
fn events(stream: &str) -> Vec<String> {
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let mut data: Vec<&str> = Vec::new();
    for line in stream.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some("") => {
                if !data.is_empty() {
                    events.push(data.join("\n"));
                }
                data.clear();
            }
            Some(line) => {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                if field == "data" {
                    data.push(value.strip_prefix(' ').unwrap_or(value));
                }
            }
            None => {}
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_an_event_for_each_empty_line() {
        let stream = ": hello\r\n\r\nevent: message\r\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n\
                      data\n\ndata:x\n\ndata: cut off";
        assert_eq!(events(stream), ["{\"a\":\n1}", "", "x"]);
    }

    #[test]
    fn an_error_without_an_id_gets_that_of_its_request() {
        let id = json!(5);
        let error = json!({"jsonrpc": "2.0", "id": null, "error": {}});
        assert_eq!(addressed(error, Some(&id))["id"], 5);
        let result = json!({"jsonrpc": "2.0", "id": 6, "result": {}});
        assert_eq!(addressed(result, Some(&id))["id"], 6);
        let notification = json!({"jsonrpc": "2.0", "method": "notifications/message"});
        assert_eq!(addressed(notification.clone(), Some(&id)), notification);
    }

    #[test]
    fn a_refused_tool_has_no_result() {
        let done = json!({"result": {"structuredContent": {"session_id": 1}}});
        assert_eq!(result_of_tool(&done), Some(&json!({"session_id": 1})));
        assert!(!is_refusal_of_tool(&done));
        let refused = json!({"result": {"isError": true, "structuredContent": {}}});
        assert_eq!(result_of_tool(&refused), None);
        assert!(is_refusal_of_tool(&refused));
    }

    #[test]
    fn a_refusal_that_passes_says_how_long_to_wait() {
        let refused =
            |text: &str| json!({"result": {"isError": true, "content": [{"text": text}]}});
        for (text, seconds, in_doubt) in [
            ("unavailable: busy\nNothing was done. Call again in 3 s.", Some(3), false),
            ("still-in-flight: wait\nNothing was done. Call again in 1 s.", Some(1), true),
            ("outcome-unknown: gone\nIt may have been done or not.", Some(0), true),
            ("conflict: it is done\nNothing was done. Call again in 3 s.", None, false),
            ("unavailable", Some(0), false),
        ] {
            let message = refused(text);
            assert_eq!(passing_refusal(&message), seconds.map(Duration::from_secs), "{text}");
            assert_eq!(is_in_doubt(&message), in_doubt, "{text}");
        }
        let done = json!({"result": {"isError": false, "content": [{"text": "unavailable: x"}]}});
        assert_eq!(passing_refusal(&done), None);
        let mut message = refused("a");
        add_text(&mut message, "b");
        assert_eq!(message["result"]["content"][1], json!({"type": "text", "text": "b"}));
    }

    #[test]
    fn a_list_of_tools_tells_whether_one_takes_a_session() {
        let list = json!({"result": {"tools": [
            {"name": "a", "inputSchema": {"properties": {"session_id": {}}}},
            {"name": "b", "inputSchema": {"properties": {}}},
        ]}});
        assert!(takes_session(&list, "a"));
        assert!(!takes_session(&list, "b"));
        assert!(!takes_session(&json!({"error": {}}), "a"));
    }
}
