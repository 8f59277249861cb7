//! Calls of tools.

use reqwest::{Method, RequestBuilder};
use roots_testkit::app::{ApiResponse, TestApp, send};
use serde_json::{Value, json};

/// The revision without sessions.
pub(crate) const NEWEST: &str = "2026-07-28";
/// The last revision with `initialize`.
pub(crate) const LEGACY: &str = "2025-11-25";

/// A message with the key of the account's owner.
pub(crate) fn post(app: &TestApp, message: &Value) -> RequestBuilder {
    unauthenticated(app).bearer_auth(app.key()).json(message)
}

/// A request to MCP without a key or a body.
pub(crate) fn unauthenticated(app: &TestApp) -> RequestBuilder {
    app.unauthenticated(Method::POST, "/mcp")
        .header("accept", "application/json, text/event-stream")
}

/// The message that calls a method in a revision with `initialize`.
pub(crate) fn message(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// The same in the revision without sessions.
pub(crate) fn newest_message(method: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": NEWEST,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    message(method, &params)
}

/// Calls a method in the revision without sessions.
pub(crate) async fn newest(app: &TestApp, method: &str, params: &Value) -> ApiResponse {
    newest_by(app, app.key(), method, params).await
}

async fn newest_by(app: &TestApp, key: &str, method: &str, params: &Value) -> ApiResponse {
    let message = newest_message(method, params);
    let mut request = unauthenticated(app)
        .bearer_auth(key)
        .json(&message)
        .header("mcp-protocol-version", NEWEST)
        .header("mcp-method", method);
    if let Some(name) = params["name"].as_str() {
        request = request.header("mcp-name", name);
    }
    send(request).await
}

/// Calls a method in a revision with `initialize`.
pub(crate) async fn legacy(app: &TestApp, method: &str, params: &Value) -> ApiResponse {
    send(post(app, &message(method, params)).header("mcp-protocol-version", LEGACY)).await
}

/// Calls a tool, and returns its result.
pub(crate) async fn call(app: &TestApp, tool: &str, arguments: &Value) -> Value {
    call_by(app, app.key(), tool, arguments).await
}

/// Calls a tool with another key, and returns its result.
pub(crate) async fn call_by(app: &TestApp, key: &str, tool: &str, arguments: &Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    let answer = newest_by(app, key, "tools/call", &params).await;
    let mut answer = answer.expect(200);
    answer["result"].take()
}

/// Calls a tool that must do what it is asked for, and returns the document.
pub(crate) async fn done(app: &TestApp, tool: &str, arguments: &Value) -> Value {
    let mut result = call(app, tool, arguments).await;
    assert_eq!(result["isError"], false, "{result}");
    let text = result["content"][0]["text"].as_str().unwrap();
    let structured = &result["structuredContent"];
    assert_eq!(&serde_json::from_str::<Value>(text).unwrap(), structured);
    assert_eq!(result["content"].as_array().unwrap().len(), 1);
    result["structuredContent"].take()
}

/// Calls a tool that must refuse, and returns the text.
pub(crate) async fn refused(app: &TestApp, tool: &str, arguments: &Value) -> String {
    let result = call(app, tool, arguments).await;
    assert_eq!(result["isError"], true, "{result}");
    assert_eq!(result.get("structuredContent"), None, "{result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// A document without what the call cost.
pub(crate) fn without_credits(mut document: Value) -> Value {
    let members = document.as_object_mut().unwrap();
    members.remove("cost").unwrap();
    members.remove("credits_left").unwrap();
    document
}
