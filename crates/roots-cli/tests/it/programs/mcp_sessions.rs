//! The session that the MCP server works in.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use super::fake_server::{FakeServer, Reply};
use super::mcp_client::{PATIENT, Running, arguments, call, exchange, refused, result, tool};
use super::world::World;

/// A server whose sessions begin at 9. Those that end take no more writes.
fn server() -> FakeServer {
    let next = AtomicI64::new(9);
    let ended = Mutex::new(BTreeSet::new());
    FakeServer::start(move |request| {
        let mut ended = ended.lock().unwrap();
        if request.method == "GET" {
            let id: i64 = request.path.rsplit('/').next().unwrap().parse().unwrap();
            let status = if ended.contains(&id) { "ended" } else { "active" };
            return Reply::json(
                200,
                &json!({
                    "session_id": id, "status": status, "notes": null, "actor_id": 1,
                    "started_at": "2026-11-29T12:00:00Z", "ended_at": null,
                }),
            );
        }
        let session = arguments(request)["session_id"].as_i64();
        match (tool(request), session) {
            ("start_session", _) => {
                let session = next.fetch_add(1, Ordering::SeqCst);
                result(request, &json!({"session_id": session, "status": "active"}))
            }
            (_, Some(session)) if ended.contains(&session) => {
                refused(request, "conflict: the session has ended")
            }
            ("end_session", Some(session)) => {
                ended.insert(session);
                result(request, &json!({"session_id": session, "status": "ended"}))
            }
            _ => result(request, &json!({})),
        }
    })
}

/// The sessions of the activities that were logged, in their order.
fn logged(server: &FakeServer) -> Vec<Option<i64>> {
    let requests = server.requests();
    let logged = requests.iter().filter(|request| tool(request) == "log_activity");
    logged.map(|request| arguments(request)["session_id"].as_i64()).collect()
}

fn another_agent_starts_a_session(world: &World, server: &FakeServer) -> i64 {
    let answers = exchange(world, &server.url, &[call(1, "start_session", &json!({}))]);
    answers[0]["result"]["structuredContent"]["session_id"].as_i64().unwrap()
}

#[test]
fn the_session_that_an_agent_started_stays_its_own() {
    let (world, server) = (World::new(), server());
    let mut agent = Running::start(&world, &server.url);
    agent.call("start_session", &json!({}));
    assert_eq!(another_agent_starts_a_session(&world, &server), 10);
    agent.call("log_activity", &json!({}));
    agent.finish();
    assert_eq!(logged(&server), [Some(9)]);
}

#[test]
fn the_first_session_that_is_used_stays() {
    let (world, server) = (World::new(), server());
    another_agent_starts_a_session(&world, &server);
    let mut agent = Running::start(&world, &server.url);
    agent.call("log_activity", &json!({}));
    another_agent_starts_a_session(&world, &server);
    agent.call("log_activity", &json!({}));
    agent.finish();
    assert_eq!(logged(&server), [Some(9), Some(9)]);

    // An agent that names a session works in it.
    let mut agent = Running::start(&world, &server.url);
    agent.call("claim_todo", &json!({"session_id": 5}));
    agent.call("log_activity", &json!({}));
    agent.finish();
    assert_eq!(logged(&server)[2..], [Some(5)]);
}

#[test]
fn the_session_of_the_environment_is_used() {
    let (world, server) = (World::new(), server());
    another_agent_starts_a_session(&world, &server);
    for (variable, session) in [("30", 30), ("", 9), ("none", 9)] {
        let mut command = world.roots(&server.url, &PATIENT);
        command.env("ROOTS_SESSION", variable);
        let mut agent = Running::of(command);
        agent.call("log_activity", &json!({}));
        agent.finish();
        assert_eq!(logged(&server).last(), Some(&Some(session)), "{variable:?}");
    }
}

#[test]
fn after_the_end_of_its_session_an_agent_goes_on_in_that_of_the_work_tree() {
    let (world, server) = (World::new(), server());
    let mut agent = Running::start(&world, &server.url);
    agent.call("start_session", &json!({}));
    // As hooks do when a program clears its context.
    exchange(&world, &server.url, &[call(1, "end_session", &json!({}))]);
    another_agent_starts_a_session(&world, &server);
    let answer = agent.call("log_activity", &json!({}));
    assert_eq!(answer["result"]["structuredContent"], json!({}), "{answer}");
    agent.call("log_activity", &json!({}));
    agent.finish();
    assert_eq!(logged(&server), [Some(9), Some(10), Some(10)]);
}

#[test]
fn a_write_that_is_repeated_has_the_session_of_its_first_try() {
    let (world, server) = (World::new(), server());
    let mut agent = Running::start(&world, &server.url);
    let write = json!({"description": "x", "request_id": "mine"});
    agent.call("log_activity", &write);
    agent.call("start_session", &json!({}));
    agent.call("log_activity", &write);
    agent.call("claim_todo", &json!({"request_id": "claim"}));
    agent.call("start_session", &json!({}));
    agent.call("claim_todo", &json!({"request_id": "claim"}));
    agent.call("claim_todo", &json!({"request_id": "another"}));
    agent.finish();
    assert_eq!(logged(&server), [None, None]);
    let requests = server.requests();
    let claims = requests.iter().filter(|request| tool(request) == "claim_todo");
    let claims: Vec<_> = claims.map(|request| arguments(request)["session_id"].as_i64()).collect();
    assert_eq!(claims, [Some(9), Some(9), Some(10)]);
}

#[test]
fn the_brief_gets_the_session_once_the_server_lists_that_it_takes_one() {
    let list = json!({"tools": [{
        "name": "work_brief", "inputSchema": {"properties": {"session_id": {"type": "integer"}}},
    }]});
    let server = FakeServer::start(move |request| match tool(request) {
        "start_session" => result(request, &json!({"session_id": 9})),
        "work_brief" => result(request, &json!({})),
        _ => Reply::json(200, &json!({"jsonrpc": "2.0", "id": 1, "result": list})),
    });
    let world = World::new();
    let mut agent = Running::start(&world, &server.url);
    agent.call("start_session", &json!({}));
    agent.call("work_brief", &json!({}));
    agent.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}));
    agent.next();
    agent.call("work_brief", &json!({}));
    agent.call("work_brief", &json!({"actor_id": "all"}));
    agent.finish();
    let requests = server.requests();
    let briefs = requests.iter().filter(|request| tool(request) == "work_brief");
    let briefs: Vec<Value> = briefs.map(|request| arguments(request).clone()).collect();
    assert_eq!(briefs, [json!({}), json!({"session_id": 9}), json!({"actor_id": "all"})]);
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
        refused(request, "conflict: the session has ended")
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
