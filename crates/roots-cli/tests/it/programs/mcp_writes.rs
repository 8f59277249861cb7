//! Writes by way of the MCP server: answers that are lost, and claims that are remembered.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::fake_server::{FakeServer, Reply};
use super::mcp_client::{Running, arguments, call, exchange, refused, result, tool};
use super::world::{World, run};
use crate::program::user_of_api;

#[test]
fn a_broken_connection_sends_the_same_write_once_more() {
    static FIRST: Mutex<bool> = Mutex::new(true);
    let server = FakeServer::start(|request| {
        if std::mem::take(&mut *FIRST.lock().unwrap()) {
            return Reply::hang_up();
        }
        result(request, &json!({}))
    });
    let answers = exchange(&World::new(), &server.url, &[call(1, "claim_todo", &json!({}))]);
    assert!(answers[0].get("result").is_some(), "{}", answers[0]);
    let bodies: Vec<_> = server.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
    assert!(bodies[0]["params"]["arguments"]["request_id"].is_string());
}

#[test]
fn a_server_that_is_busy_is_asked_again_for_the_same_write() {
    static TRIES: Mutex<usize> = Mutex::new(0);
    let server = FakeServer::start(|request| {
        let mut tries = TRIES.lock().unwrap();
        *tries += 1;
        match *tries {
            1 => Reply::problem(503, "unavailable", "the server is busy"),
            2 => refused(request, "still-in-flight: wait\nNothing was done. Call again in 1 s."),
            _ => result(request, &json!({"claimed": false})),
        }
    });
    let answers = exchange(&World::new(), &server.url, &[call(1, "claim_todo", &json!({}))]);
    assert_eq!(answers[0]["result"]["structuredContent"], json!({"claimed": false}));
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.body == requests[0].body));
}

#[test]
fn a_write_in_doubt_tells_the_agent_how_to_repeat_it() {
    static ANSWERS: Mutex<bool> = Mutex::new(false);
    let server = FakeServer::start(|request| match tool(request) {
        _ if *ANSWERS.lock().unwrap() => result(request, &json!({"activity_id": 1})),
        "claim_todo" => refused(request, "outcome-unknown: it took too long"),
        _ => Reply::hang_up(),
    });
    let world = World::new();
    let mut agent = Running::start(&world, &server.url);
    let answer = agent.call("log_activity", &json!({"description": "x"}));
    let first = server.requests()[0].clone();
    let name = arguments(&first)["request_id"].as_str().unwrap().to_owned();
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(&format!("request_id \"{name}\"")), "{message}");

    let refused = agent.call("claim_todo", &json!({}));
    let claim = server.requests().pop().unwrap();
    let claim = arguments(&claim)["request_id"].as_str().unwrap().to_owned();
    let content = refused["result"]["content"].to_string();
    assert!(content.contains(&claim), "{content}");

    *ANSWERS.lock().unwrap() = true;
    let answer = agent.call("log_activity", &json!({"description": "x", "request_id": name}));
    assert_eq!(answer["result"]["structuredContent"], json!({"activity_id": 1}));
    assert_eq!(arguments(&server.requests().pop().unwrap()), arguments(&first));
    agent.finish();
}

#[test]
fn a_read_that_fails_speaks_of_no_write() {
    let server = FakeServer::start(|_| Reply::hang_up());
    let answers = exchange(&World::new(), &server.url, &[call(1, "list_todos", &json!({}))]);
    let message = answers[0]["error"]["message"].as_str().unwrap();
    assert!(!message.contains("request_id"), "{message}");
}

#[test]
fn other_commands_of_the_work_tree_know_the_claims() {
    let server = FakeServer::start(|request| {
        let todo = |id: i64, claim: Value| json!({"todo_id": id, "claim": claim, "claimed": true});
        match tool(request) {
            "claim_todo" => result(request, &todo(5, json!({"token": 77}))),
            "update_todo" => {
                let id = arguments(request)["todo_id"].as_i64().unwrap();
                let is_done = arguments(request)["status"] == "done";
                let claim = if is_done { Value::Null } else { json!({"token": 88}) };
                result(request, &todo(id, claim))
            }
            _ => Reply::problem(404, "not-found", "there is no such todo"),
        }
    });
    let world = World::new();
    let through_mcp = |tool: &str, arguments: Value| {
        exchange(&world, &server.url, &[call(1, tool, &arguments)]);
    };
    // The token that `roots todo done` sends.
    let token = |id: &str| {
        run(&mut world.roots(&server.url, &["todo", "edit", id, "--priority", "1"]), "");
        let request = server.requests().pop().unwrap();
        assert_eq!(request.route(), format!("PATCH /api/v1/todos/{id}"));
        request.body["claim_token"].as_i64()
    };
    through_mcp("claim_todo", json!({}));
    assert_eq!(token("5"), Some(77));
    through_mcp("update_todo", json!({"todo_id": 6, "status": "in_progress"}));
    assert_eq!(token("6"), Some(88));
    // The claim may be another worker's.
    through_mcp("update_todo", json!({"todo_id": 7, "title": "x"}));
    assert_eq!(token("7"), None);
    through_mcp("claim_todo", json!({}));
    through_mcp("update_todo", json!({"todo_id": 5, "status": "done", "claim_token": 77}));
    assert_eq!(token("5"), None);
}

#[tokio::test]
async fn the_server_judges_what_the_client_wrote() {
    let (app, user) = user_of_api(100).await;
    let send = async |arguments: &str| {
        // The texts of JSON would not survive a `Value`.
        let line = call(1, "log_activity", &json!("ARGUMENTS")).to_string();
        let line = line.replace("\"ARGUMENTS\"", arguments) + "\n";
        let run = user.run_with(&["mcp", "--away-after-ms", "60000"], &line).await;
        assert_eq!(run.code, 0, "{run:?}");
        serde_json::from_str::<Value>(&run.stdout).unwrap()
    };
    let done = send(r#"{"description":"found \u00e9"}"#).await;
    let id = done["result"]["structuredContent"]["activity_id"].as_i64().unwrap();
    let activity = app.get(&format!("/activities/{id}")).await.expect(200);
    assert_eq!(activity["description"], "found é");
    for (arguments, part) in [
        (r#"{"description":"a","description":"b"}"#, "description"),
        (r#"{"description":"\ud800"}"#, "arguments"),
    ] {
        let answer = send(arguments).await;
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(part) && text.contains("Nothing was done"), "{text}");
    }
}
