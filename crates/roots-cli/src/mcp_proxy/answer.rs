//! What the server answers, as lines for the client.

use roots_client::RawAnswer;
use serde_json::Value;

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
    use serde_json::json;

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
}
