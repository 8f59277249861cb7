//! The protocol, in revision 2026-07-28 and in those with `initialize`.

use roots_testkit::app::{TestApp, send};
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::{LEGACY, NEWEST, legacy, message, newest, post};

roots_testkit::on_both! {
    both_eras_are_served_without_sessions,
    nothing_but_tools_is_advertised,
    the_newest_revision_may_be_cached_for_an_hour,
    what_is_no_message_is_an_error_of_json_rpc,
    an_unknown_tool_is_refused_with_the_nearest_name,
}

async fn both_eras_are_served_without_sessions(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let hello = json!({
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}
    });
    let answer = send(post(&app, &message("initialize", &hello))).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("mcp-session-id"), None);
    let begun = answer.expect(200);
    assert_eq!(begun["result"]["protocolVersion"], LEGACY);
    let notified = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let notified = send(post(&app, &notified).header("mcp-protocol-version", LEGACY)).await;
    assert_eq!((notified.status, notified.text.as_str()), (202, ""));
    assert_eq!(legacy(&app, "ping", &json!({})).await.expect(200)["result"], json!({}));
    let add = json!({"name": "add_todos", "arguments": {"todos": [{"title": "one"}]}});
    let added = legacy(&app, "tools/call", &add).await.expect(200);
    assert_eq!(added["result"]["structuredContent"]["todos"][0]["todo_id"], 1, "{added}");
    assert_eq!(added["result"].get("resultType"), None);
    let added = newest(&app, "tools/call", &add).await.expect(200);
    assert_eq!(added["result"]["structuredContent"]["todos"][0]["todo_id"], 2, "{added}");
    assert_eq!(added["result"]["resultType"], "complete");
    // Old revisions are negotiated too.
    for version in ["2024-11-05", "2025-03-26", "2025-06-18"] {
        let mut hello = hello.clone();
        hello["protocolVersion"] = version.into();
        let begun = send(post(&app, &message("initialize", &hello))).await.expect(200);
        assert_eq!(begun["result"]["protocolVersion"], version);
    }
}

async fn nothing_but_tools_is_advertised(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let hello = json!({
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}
    });
    let begun = send(post(&app, &message("initialize", &hello))).await.expect(200);
    let found = newest(&app, "server/discover", &json!({})).await.expect(200);
    for told in [&begun["result"], &found["result"]] {
        let offered: Vec<_> = told["capabilities"].as_object().unwrap().keys().collect();
        assert_eq!(offered, ["tools"], "{told}");
        let instructions = told["instructions"].as_str().unwrap();
        assert!(instructions.contains("question") && instructions.contains("blocked"));
    }
    assert_eq!(begun["result"]["serverInfo"]["name"], "roots");
    assert!(found["result"]["supportedVersions"].as_array().unwrap().contains(&NEWEST.into()));
    for method in ["resources/list", "prompts/list", "logging/setLevel", "completion/complete"] {
        let params = json!({"level": "info", "ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": "b"}});
        let answer = newest(&app, method, &params).await;
        assert!(answer.json().get("error").is_some(), "{method}: {}", answer.text);
    }
    // An error of the protocol is answered in its own form.
    let answer = newest(&app, "no/such", &json!({})).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &json!(-32601)));
}

async fn the_newest_revision_may_be_cached_for_an_hour(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    for method in ["tools/list", "server/discover"] {
        let result = newest(&app, method, &json!({})).await.expect(200);
        assert_eq!(result["result"]["ttlMs"], 3_600_000, "{method}");
        assert_eq!(result["result"]["cacheScope"], "public", "{method}");
    }
    let newer = newest(&app, "tools/list", &json!({})).await.expect(200);
    let older = legacy(&app, "tools/list", &json!({})).await.expect(200);
    assert_eq!(older["result"].get("ttlMs"), None);
    assert_eq!(older["result"]["tools"], newer["result"]["tools"]);
    assert_eq!(older["result"]["tools"].as_array().unwrap().len(), 10);
    assert!(newer["result"].to_string().len() <= 16_000);
}

async fn what_is_no_message_is_an_error_of_json_rpc(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let send_raw = async |body: &'static str| {
        let request = post(&app, &Value::Null).body(body);
        let answer = send(request).await;
        assert_eq!(answer.header("content-type"), Some("application/json"), "{body}");
        (answer.status, answer.json()["error"]["code"].clone())
    };
    for body in ["{", "nonsense", "{\"a\":1,}"] {
        assert_eq!(send_raw(body).await, (400, json!(-32700)), "{body}");
    }
    for body in ["[]", "1", "{}", r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#] {
        assert_eq!(send_raw(body).await, (400, json!(-32600)), "{body}");
    }
    // The newest revision must describe itself.
    let bare =
        post(&app, &message("tools/list", &json!({}))).header("mcp-protocol-version", NEWEST);
    let bare = send(bare.header("mcp-method", "tools/list")).await;
    assert_eq!((bare.status, &bare.json()["error"]["code"]), (400, &json!(-32602)));
}

async fn an_unknown_tool_is_refused_with_the_nearest_name(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let unknown = json!({"name": "claimTodo", "arguments": {}});
    let answer = newest(&app, "tools/call", &unknown).await.json();
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("claim_todo"), "{message}");
}
