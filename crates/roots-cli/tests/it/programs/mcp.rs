//! The MCP server on standard input and output.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixListener;
use std::sync::{Condvar, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::fake_server::{FakeServer, Reply};
use super::mcp_client::{PATIENCE, PATIENT, Running, call, exchange, result};
use super::world::{World, run, text};

#[test]
fn messages_are_posted_with_headers_made_from_them() {
    let server = FakeServer::start(|request| result(request, &json!({"todos": []})));
    let answers = exchange(&World::new(), &server.url, &[call(1, "list_todos", &json!({}))]);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["result"]["structuredContent"], json!({"todos": []}));
    let request = &server.requests()[0];
    assert_eq!(request.route(), "POST /mcp");
    for (name, value) in [
        ("x-api-key", "roots_test"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "list_todos"),
        ("mcp-protocol-version", "2026-07-28"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(request.header("origin"), None);
}

#[test]
fn the_revision_of_a_handshake_is_sent_with_what_follows() {
    let server = FakeServer::start(|request| match request.body["method"].as_str().unwrap() {
        "initialize" => Reply::json(
            200,
            &json!({"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}),
        ),
        "tools/list" => {
            Reply::json(200, &json!({"jsonrpc": "2.0", "id": 2, "result": {"tools": []}}))
        }
        _ => Reply::empty(202),
    });
    let world = World::new();
    let mut running = Running::start(&world, &server.url);
    running.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}}}));
    assert_eq!(running.next()["id"], 1);
    running.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    running.send(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}));
    assert_eq!(running.next()["id"], 2);
    assert_eq!(running.finish(), Vec::<Value>::new(), "a notification is not answered");
    for request in server.requests() {
        let expected = (request.body["method"] != "initialize").then_some("2025-11-25");
        assert_eq!(request.header("mcp-protocol-version"), expected, "{}", request.body);
    }
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn several_requests_are_in_flight_at_once_and_all_are_answered_at_the_end() {
    static SECOND_IS_HERE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
    // The first is answered only once the second has come.
    let server = FakeServer::start(|request| {
        let (lock, condition) = &SECOND_IS_HERE;
        if request.body["id"] == 2 {
            *lock.lock().unwrap() = true;
            condition.notify_all();
        }
        let here = lock.lock().unwrap();
        let waited = condition.wait_timeout_while(here, PATIENCE, |here| !*here).unwrap();
        assert!(!waited.1.timed_out());
        result(request, &json!({}))
    });
    let lines = [1, 2].map(|id| call(id, "list_todos", &json!({})));
    let answers = exchange(&World::new(), &server.url, &lines);
    let ids: BTreeSet<_> = answers.iter().map(|answer| answer["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, BTreeSet::from([1, 2]));
}

#[test]
fn a_server_that_is_away_is_an_error_that_says_what_to_do() {
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let lines =
        [call(1, "list_todos", &json!({})), notification, call(2, "claim_todo", &json!({}))];
    // Nothing listens at port 1.
    let answers = exchange(&World::new(), "http://127.0.0.1:1", &lines);
    assert_eq!(answers.len(), 2, "{answers:?}");
    for answer in answers {
        assert_eq!(answer["error"]["code"], -32_000, "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("Check that the server runs"), "{message}");
    }
}

#[test]
fn without_a_key_each_request_says_how_to_get_one() {
    let input = format!("{}\n", call(1, "list_todos", &json!({})));
    let output = run(&mut World::new().bare(&PATIENT), &input);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("roots login"), "{message}");
}

#[test]
fn refusals_of_http_become_errors_of_the_request() {
    for (reply, part) in [
        (Reply::problem as fn(u16, &str, &str) -> Reply, "the key is unknown"),
        (|_, _, _| Reply::empty(404), "has no /mcp"),
        (|_, _, _| Reply::empty(502), "502"),
        (|_, _, _| Reply::empty(202), "without an answer"),
        (|_, _, _| Reply::stream("data: {\"jsonrpc\":\"2.0\"}\n\ndata: {"), "without an answer"),
        (|_, _, _| Reply::json(200, &json!("nonsense")), "200"),
    ] {
        let server = FakeServer::start(move |_| reply(401, "unauthorized", "the key is unknown"));
        let answers = exchange(&World::new(), &server.url, &[call(7, "list_todos", &json!({}))]);
        assert_eq!(answers.last().unwrap()["id"], 7);
        let message = answers.last().unwrap()["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
        assert!(!message.contains("roots_test"));
    }
}

#[test]
fn an_error_of_the_protocol_goes_through_with_the_id() {
    let server = FakeServer::start(|_| {
        Reply::json(400, &json!({"jsonrpc": "2.0", "error": {"code": -32_020, "message": "no"}}))
    });
    let answers = exchange(&World::new(), &server.url, &[call(7, "list_todos", &json!({}))]);
    let expected = json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32_020, "message": "no"}});
    assert_eq!(answers, [expected]);
}

#[test]
fn a_stream_is_written_as_lines() {
    let server = FakeServer::start(|_| {
        Reply::stream(
            ": keep-alive\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\
             \"notifications/progress\"}\n\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"id\":1,\"result\":\
             {\"text\":\"a\\nb\"}}\n\n",
        )
    });
    let answers = exchange(&World::new(), &server.url, &[call(1, "list_todos", &json!({}))]);
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0]["method"], "notifications/progress");
    assert_eq!(answers[1]["result"]["text"], "a\nb");
}

#[test]
fn a_cancelled_request_is_not_answered() {
    static CAME: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
    let server = FakeServer::start(|request| {
        if request.body["id"] == 1 {
            *CAME.0.lock().unwrap() = true;
            CAME.1.notify_all();
            loop {
                thread::park();
            }
        }
        result(request, &json!({}))
    });
    let world = World::new();
    let mut running = Running::start(&world, &server.url);
    running.send(&call(1, "list_todos", &json!({})));
    let came = CAME.0.lock().unwrap();
    let waited = CAME.1.wait_timeout_while(came, PATIENCE, |came| !*came).unwrap();
    assert!(!waited.1.timed_out());
    running.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 1}}));
    running.send(&call(2, "list_todos", &json!({})));
    assert_eq!(running.next()["id"], 2);
    assert_eq!(running.finish(), Vec::<Value>::new());
    assert_eq!(server.requests().len(), 2, "the cancellation is not posted");
}

#[test]
fn nonsense_is_an_error_of_the_protocol_and_the_next_line_works() {
    let server = FakeServer::start(|request| result(request, &json!({})));
    let input = format!("nonsense\n\n[]\n{}\n", call(3, "list_todos", &json!({})));
    let output = run(&mut World::new().roots(&server.url, &PATIENT), &input);
    let answers: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers[0]["error"]["code"], -32_700);
    assert_eq!(answers[1]["error"]["code"], -32_600);
    assert_eq!(answers[2]["id"], 3);
}

#[test]
fn a_broken_message_is_refused_under_its_id() {
    let server = FakeServer::start(|request| result(request, &json!({})));
    let input = "{\"id\":1,\"method\":\"tools/list\"\n{\"id\":2,\"id\":2,\"method\":\"ping\"}\n";
    let output = run(&mut World::new().roots(&server.url, &PATIENT), input);
    let answers: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&answers[0]["id"], &answers[0]["error"]["code"]), (&json!(1), &json!(-32_700)));
    assert_eq!((&answers[1]["id"], &answers[1]["error"]["code"]), (&json!(null), &json!(-32_600)));
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_keyring_that_says_nothing_holds_nobody() {
    let world = World::new();
    let url = "http://127.0.0.1:1";
    let logins = json!({"current": url, "servers": {url: {"kept_in": "keyring"}}});
    let folder = world.home().join(".config").join("roots");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("logins.json"), logins.to_string()).unwrap();
    let socket = world.home().join("keyring");
    // It takes connections, and never answers.
    let _keyring = UnixListener::bind(&socket).unwrap();
    let mut command = world.bare(&["mcp", "--away-after-ms", "200"]);
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", socket.display()));
    let lines: String =
        [1, 2].map(|id| call(id, "list_todos", &json!({})).to_string() + "\n").concat();
    let output = run(&mut command, &lines);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let answers = text(&output.stdout);
    assert_eq!(answers.lines().count(), 2);
    for answer in answers.lines() {
        assert!(answer.contains("keyring does not answer"), "{answer}");
    }
}
