//! Documents, put into the answers that rmcp writes.
//!
//! A result holds its document twice, as JSON and as text. rmcp would want a tree of it, which
//! costs more than to read the rows. So the tool leaves a mark, and the document takes its places
//! once rmcp has written the answer around it.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::json;

/// What stands for a document.
const MARK: &str = "roots-document";
/// The mark as the text of a result.
const TEXT: &str = r#""text":"roots-document""#;
/// The mark as the structured content of a result. It is an object, as every document is.
const STRUCTURED: &str = r#"{"roots-document":true}"#;

/// A result without its document.
pub(crate) fn marked() -> CallToolResult {
    let mut result = CallToolResult::success(vec![ContentBlock::text(MARK)]);
    result.structured_content = Some(json!({ MARK: true }));
    result
}

/// The answer of rmcp with the document in its places; `None` if it has not both of them.
pub(crate) fn put(answer: &[u8], document: &str) -> Option<Vec<u8>> {
    let answer = std::str::from_utf8(answer).ok()?;
    // The last ones: a client may send the mark as the id of its message, which comes before.
    let structured = answer.rfind(STRUCTURED)?;
    let text = answer.get(..structured)?.rfind(TEXT)?;
    let mut whole = Vec::with_capacity(answer.len() + document.len() * 5 / 2);
    whole.extend(answer.get(..text)?.as_bytes());
    whole.extend(b"\"text\":");
    serde_json::to_writer(&mut whole, document).ok()?;
    whole.extend(answer.get(text + TEXT.len()..structured)?.as_bytes());
    whole.extend(document.as_bytes());
    whole.extend(answer.get(structured + STRUCTURED.len()..)?.as_bytes());
    Some(whole)
}

#[cfg(test)]
mod tests {
    use rmcp::model::{JsonRpcMessage, RequestId, ServerJsonRpcMessage, ServerResult};
    use serde_json::Value;

    use super::*;

    fn written(id: &str) -> Vec<u8> {
        let result = ServerResult::CallToolResult(marked());
        let message: ServerJsonRpcMessage =
            JsonRpcMessage::response(result, RequestId::String(id.into()));
        serde_json::to_vec(&message).unwrap()
    }

    #[test]
    fn a_document_is_put_in_as_json_and_as_text() {
        let document = r#"{"title":"\"é\" \u0001 \\","cost":0}"#;
        for id in ["1", MARK, TEXT, STRUCTURED] {
            let whole: Value =
                serde_json::from_slice(&put(&written(id), document).unwrap()).unwrap();
            assert_eq!(whole["id"], id);
            assert_eq!(whole["result"]["content"][0]["text"], document);
            let parsed: Value = serde_json::from_str(document).unwrap();
            assert_eq!(whole["result"]["structuredContent"], parsed);
            assert_eq!(whole["result"]["isError"], false);
        }
    }

    #[test]
    fn an_answer_without_its_marks_is_found_out() {
        for answer in
            ["{}", STRUCTURED, TEXT, "{\"roots-document\":true,\"text\":\"roots-document\"}"]
        {
            assert_eq!(put(answer.as_bytes(), "{}"), None, "{answer}");
        }
    }
}
