//! The MCP server on standard input and output.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::fake_server::{FakeServer, Reply, Request};
use super::world::{World, run, text};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_mins(1);
/// The command with a patience that a busy machine does not exhaust.
const PATIENT: [&str; 3] = ["mcp", "--away-after-ms", "60000"];
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

fn call(id: i64, tool: &str, arguments: &Value) -> Value {
    json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {
            "name": tool, "arguments": arguments,
            "_meta": { VERSION: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} },
        },
    })
}

fn result(request: &Request, content: &Value) -> Reply {
    Reply::json(
        200,
        &json!({
            "jsonrpc": "2.0", "id": request.body["id"],
            "result": { "content": [], "structuredContent": content },
        }),
    )
}

/// Feeds all lines at once and takes all answers. Anything that is no message fails the test.
fn exchange(world: &World, url: &str, lines: &[Value]) -> Vec<Value> {
    let input: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    let output = run(&mut world.roots(url, &PATIENT), &input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let answers = text(&output.stdout);
    answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The command while it runs.
struct Running {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Running {
    fn start(world: &World, url: &str) -> Self {
        let mut command = world.roots(url, &PATIENT);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").unwrap();
    }

    fn next(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).unwrap()).unwrap()
    }

    /// Ends the input, and takes what is still answered.
    fn finish(self) -> Vec<Value> {
        let Self { mut child, stdin, lines } = self;
        drop(stdin);
        let rest = lines.iter().map(|line| serde_json::from_str(&line).unwrap()).collect();
        assert!(child.wait().unwrap().success());
        rest
    }
}

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
fn the_session_of_the_work_tree_is_filled_in_and_followed() {
    let server = FakeServer::start(|request| {
        let content = match request.body["params"]["name"].as_str().unwrap() {
            "start_session" => json!({"session_id": 9, "status": "active", "cost": 1}),
            "end_session" => json!({"session_id": 9, "status": "ended", "cost": 1}),
            _ => json!({}),
        };
        result(request, &content)
    });
    let world = World::new();
    let mut running = Running::start(&world, &server.url);
    for (id, tool) in [
        (1, "log_activity"),
        (2, "start_session"),
        (3, "log_activity"),
        (4, "list_todos"),
        (5, "end_session"),
        (6, "log_activity"),
    ] {
        running.send(&call(id, tool, &json!({})));
        assert_eq!(running.next()["id"], id);
        if id == 3 {
            // Another process of the work tree knows it too.
            exchange(&world, &server.url, &[call(1, "claim_todo", &json!({}))]);
        }
    }
    running.finish();
    let sessions: Vec<_> = server
        .requests()
        .iter()
        .map(|request| {
            let params = &request.body["params"];
            let session = params["arguments"]["session_id"].as_i64();
            (params["name"].as_str().unwrap().to_owned(), session)
        })
        .collect();
    let expected = [
        ("log_activity", None),
        ("start_session", None),
        ("log_activity", Some(9)),
        ("claim_todo", Some(9)),
        ("list_todos", None),
        ("end_session", Some(9)),
        ("log_activity", None),
    ];
    assert_eq!(sessions, expected.map(|(tool, session)| (tool.to_owned(), session)));
}

#[test]
fn a_session_that_has_ended_is_forgotten_and_the_write_done_without_it() {
    let server = FakeServer::start(|request| {
        if request.method == "GET" {
            return Reply::json(
                200,
                &json!({
                    "session_id": 9, "status": "ended", "notes": null, "actor_id": 1,
                    "started_at": "2026-11-29T12:00:00Z", "ended_at": "2026-11-29T13:00:00Z",
                }),
            );
        }
        let params = &request.body["params"];
        if params["name"] == "start_session" {
            return result(request, &json!({"session_id": 9}));
        }
        if params["arguments"].get("session_id").is_none() {
            return result(request, &json!({"activity_id": 1}));
        }
        let refused = json!({"content": [{"type": "text", "text": "conflict"}], "isError": true});
        Reply::json(200, &json!({"jsonrpc": "2.0", "id": request.body["id"], "result": refused}))
    });
    let world = World::new();
    exchange(&world, &server.url, &[call(1, "start_session", &json!({}))]);
    let answers = exchange(&world, &server.url, &[call(1, "log_activity", &json!({}))]);
    assert_eq!(answers[0]["result"]["structuredContent"], json!({"activity_id": 1}));
    // A session that the agent named is its own affair.
    let named = call(1, "log_activity", &json!({"session_id": 9}));
    let answers = exchange(&world, &server.url, &[named]);
    assert_eq!(answers[0]["result"]["isError"], true);
    let answers = exchange(&world, &server.url, &[call(1, "log_activity", &json!({}))]);
    assert_eq!(answers[0]["result"]["structuredContent"], json!({"activity_id": 1}));
    let routes = server.routes();
    assert_eq!(routes.iter().filter(|route| route.starts_with("GET")).count(), 1, "{routes:?}");
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
