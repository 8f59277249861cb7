//! The documented inputs of programs, replayed.

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use super::fake_server::{FakeServer, Reply, Request};
use super::world::{World, run, text};

/// The inputs at a session's start, as the documentation of each program shows them.
fn starts(id: &str, folder: &str) -> Vec<(&'static str, Value)> {
    let claude = |source: &str| {
        json!({
            "session_id": id, "transcript_path": "/home/me/.claude/projects/p/x.jsonl",
            "cwd": folder, "hook_event_name": "SessionStart", "source": source,
            "model": "claude-sonnet-4-6",
        })
    };
    let codex = |source: &str| {
        json!({
            "session_id": id, "transcript_path": null, "cwd": folder, "source": source,
            "hook_event_name": "SessionStart", "model": "gpt-5.2", "permission_mode": "default",
        })
    };
    let gemini = |source: &str| {
        json!({
            "session_id": id, "transcript_path": "/tmp/t.json", "cwd": folder, "source": source,
            "hook_event_name": "SessionStart", "timestamp": "2026-11-29T12:00:00.000Z",
        })
    };
    let cursor = json!({
        "conversation_id": id, "generation_id": "g", "model": "default", "session_id": id,
        "hook_event_name": "sessionStart", "cursor_version": "2.4.21", "user_email": null,
        "workspace_roots": [folder], "is_background_agent": false, "composer_mode": "agent",
        "transcript_path": null,
    });
    let mut inputs: Vec<_> =
        ["startup", "resume", "clear", "compact"].map(|source| ("claude", claude(source))).into();
    inputs.extend(["startup", "resume", "clear", "compact"].map(|it| ("codex", codex(it))));
    inputs.extend(["startup", "resume", "clear"].map(|source| ("gemini", gemini(source))));
    inputs.push(("cursor", cursor));
    inputs
}

fn end(id: &str, folder: &str) -> Value {
    json!({
        "session_id": id, "transcript_path": "/x.jsonl", "cwd": folder,
        "hook_event_name": "SessionEnd", "reason": "prompt_input_exit",
    })
}

fn session(id: i64, status: &str) -> Value {
    json!({
        "session_id": id, "status": status, "notes": null, "started_at": "2026-11-29T12:00:00Z",
        "ended_at": null, "ended_reason": null, "duration_seconds": null, "actor_id": 1,
    })
}

fn brief() -> Value {
    json!({
        "at": "2026-11-29T12:00:00Z", "since": null,
        "session": {"session_id": 41, "status": "ended", "notes": "Stopped at the form."},
        "in_progress": [], "left_behind": [], "overdue": [],
        "next": [{"todo_id": 7, "title": "Write the docs", "priority": 2}],
        "waiting": [], "activities": [], "status_changes": [],
        "counts": {"todos": {"open": 1, "in_progress": 0}, "overdue": 0},
        "has_work": true,
        "next_action": {"action": "claim", "todo": {"todo_id": 7, "title": "Write the docs"}},
        "omitted": [], "cut": [],
    })
}

/// A server whose sessions begin at 42.
fn server() -> FakeServer {
    let next = AtomicI64::new(42);
    let ended = AtomicI64::new(0);
    FakeServer::start(move |request| match request.route().as_str() {
        "GET /api/v1/brief" => Reply::json(200, &brief()),
        "POST /api/v1/sessions" => {
            Reply::json(201, &session(next.fetch_add(1, Ordering::SeqCst), "active"))
        }
        route => {
            let id: i64 = route.rsplit('/').next().unwrap().parse().unwrap();
            if request.method == "PATCH" {
                ended.store(id, Ordering::SeqCst);
            }
            let has_ended = ended.load(Ordering::SeqCst) == id;
            Reply::json(200, &session(id, if has_ended { "ended" } else { "active" }))
        }
    })
}

/// The hook with a deadline that a busy machine does not miss.
const PATIENT: [&str; 3] = ["hook", "--deadline-ms", "60000"];

/// What the hook prints: nothing else, and it exits with 0.
fn hook(world: &World, url: &str, input: &str) -> String {
    let output = run(&mut world.roots(url, &PATIENT), input);
    assert_eq!(output.status.code(), Some(0), "{input}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The text for the agent in the answer to a program.
fn context(answer: &str) -> String {
    assert_eq!(answer.trim_end().lines().count(), 1, "one document: {answer}");
    let answer: Value = serde_json::from_str(answer).unwrap();
    let nested = answer.get("hookSpecificOutput");
    let text = match nested {
        Some(nested) => {
            assert_eq!(answer.as_object().unwrap().len(), 1);
            assert_eq!(nested["hookEventName"], "SessionStart");
            &nested["additionalContext"]
        }
        None => &answer["additional_context"],
    };
    text.as_str().unwrap().to_owned()
}

#[test]
fn each_program_gets_the_brief_and_one_session() {
    for (program, input) in starts("0199-abc", "/nowhere") {
        let (world, server) = (World::new(), server());
        let answer = hook(&world, &server.url, &input.to_string());
        let told = context(&answer);
        assert_eq!(answer.contains("additional_context"), program == "cursor");
        for part in ["session in it is 42, new", "Next: claim todo 7", "Stopped at the form"] {
            assert!(told.contains(part), "{program}: {told}");
        }
        assert_eq!(
            server.routes(),
            ["GET /api/v1/brief", "POST /api/v1/sessions"],
            "in this order"
        );
    }
}

#[test]
fn a_session_is_found_again_by_its_id() {
    let (world, server) = (World::new(), server());
    let project = world.project().display().to_string();
    let inputs = starts("one", &project);
    hook(&world, &server.url, &inputs[0].1.to_string());
    // Resumed, cleared, compacted, and started from another folder of the work tree.
    for (_, input) in &inputs {
        let told = context(&hook(&world, &server.url, &input.to_string()));
        assert!(told.contains("session in it is 42; it goes on"), "{told}");
    }
    let posts = server.requests().into_iter().filter(|request| request.method == "POST");
    assert_eq!(posts.count(), 1);
    let other = starts("two", &project)[0].1.to_string();
    assert!(context(&hook(&world, &server.url, &other)).contains("session in it is 43, new"));
}

#[test]
fn an_end_ends_the_session_and_a_resumed_one_gets_another() {
    let (world, server) = (World::new(), server());
    let project = world.project().display().to_string();
    let start = starts("one", &project)[0].1.to_string();
    hook(&world, &server.url, &start);
    assert_eq!(hook(&world, &server.url, &end("one", &project).to_string()), "");
    let last = server.requests().pop().unwrap();
    assert_eq!(
        (last.route().as_str(), &last.body),
        ("PATCH /api/v1/sessions/42", &json!({"status": "ended"}))
    );
    let told = context(&hook(&world, &server.url, &start));
    assert!(told.contains("session in it is 43, new"), "{told}");
    let keys: Vec<_> = server
        .requests()
        .iter()
        .filter(|request| request.method == "POST")
        .map(|request| request.header("idempotency-key").unwrap().to_owned())
        .collect();
    assert_ne!(keys[0], keys[1]);
    // Nothing is known of this one.
    let before = server.requests().len();
    assert_eq!(hook(&world, &server.url, &end("unknown", &project).to_string()), "");
    assert_eq!(server.requests().len(), before);
}

#[test]
fn a_lost_answer_starts_no_second_session() {
    let (world, project) = (World::new(), "/nowhere");
    let server = FakeServer::start(|request| match request.route().as_str() {
        "GET /api/v1/brief" => Reply::json(200, &brief()),
        _ => Reply::hang_up(),
    });
    let start = starts("one", project)[0].1.to_string();
    for _ in 0..2 {
        hook(&world, &server.url, &start);
    }
    let key = |request: &Request| request.header("idempotency-key").map(str::to_owned);
    let mut keys: Vec<_> = server.requests().iter().filter_map(key).collect();
    assert!(keys.len() >= 2);
    keys.dedup();
    assert_eq!(keys.len(), 1);
}

#[test]
fn subagents_other_events_and_nonsense_get_nothing() {
    let (world, server) = (World::new(), server());
    for input in [
        json!({"hook_event_name": "SubagentStart", "session_id": "s", "agent_id": "a", "cwd": "/"})
            .to_string(),
        json!({"hook_event_name": "SessionStart", "session_id": "s", "agent_id": "a"}).to_string(),
        json!({"hook_event_name": "PreCompact", "session_id": "s", "trigger": "auto"}).to_string(),
        json!({"hook_event_name": "Stop", "session_id": "s"}).to_string(),
        String::new(),
        "{\"hook_event_name\": \"SessionStart\", \"session_id\"".to_owned(),
        "\u{0}".repeat(100_000),
    ] {
        assert_eq!(hook(&world, &server.url, &input), "");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_server_that_is_away_or_refuses_is_one_line() {
    let world = World::new();
    let refusing = FakeServer::start(|_| Reply::problem(401, "unauthorized", "the key is unknown"));
    let broken = FakeServer::start(|_| Reply::empty(502));
    // Nothing listens at port 1.
    for url in ["http://127.0.0.1:1", &refusing.url, &broken.url] {
        let start = starts("one", "/nowhere")[0].1.to_string();
        let told = context(&hook(&world, url, &start));
        assert!(told.starts_with("Roots, which keeps account"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(!told.contains("roots_test"), "{told}");
        assert_eq!(hook(&world, url, &end("one", "/nowhere").to_string()), "");
    }
    let output = run(&mut world.bare(&PATIENT), &starts("one", "/")[0].1.to_string());
    assert_eq!(output.status.code(), Some(0));
    assert!(context(&text(&output.stdout)).contains("no API key"));
}

#[test]
fn a_server_that_says_nothing_does_not_hold_the_program() {
    let (world, server) = (World::new(), FakeServer::silent());
    let start = starts("one", "/nowhere")[0].1.to_string();
    let output = run(&mut world.roots(&server.url, &["hook"]), &start);
    assert_eq!(output.status.code(), Some(0));
    // A machine that is so busy that even the input comes late gives no answer at all.
    let answer = text(&output.stdout);
    assert!(answer.is_empty() || context(&answer).starts_with("Roots, which keeps account"));
    let output = run(&mut world.roots(&server.url, &["hook"]), &end("one", "/").to_string());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
}

#[test]
fn without_credits_there_is_a_brief_and_no_session() {
    let world = World::new();
    let server = FakeServer::start(|request| match request.route().as_str() {
        "GET /api/v1/brief" => Reply::json(200, &brief()),
        _ => Reply::problem(402, "insufficient-credits", "no credits are left"),
    });
    let told = context(&hook(&world, &server.url, &starts("one", "/nowhere")[0].1.to_string()));
    assert!(told.contains("no session in it") && told.contains("no credits are left"), "{told}");
    assert!(told.contains("Next: claim todo 7"), "{told}");
}

#[test]
fn an_older_server_without_a_brief_gets_its_session() {
    let world = World::new();
    let server = FakeServer::start(|request| match request.route().as_str() {
        "GET /api/v1/brief" => Reply::problem(404, "not-found", "there is nothing at this path"),
        _ => Reply::json(201, &session(42, "active")),
    });
    let told = context(&hook(&world, &server.url, &starts("one", "/nowhere")[0].1.to_string()));
    assert!(told.contains("is 42, new") && told.contains("gives no brief"), "{told}");
}

#[test]
fn commands_of_the_agent_work_in_the_session_of_the_hook() {
    let (world, server) = (World::new(), server());
    let start = starts("one", &world.project().display().to_string())[0].1.to_string();
    hook(&world, &server.url, &start);
    let output = run(&mut world.roots(&server.url, &["end"]), "");
    assert!(text(&output.stdout).contains("42"), "{}", text(&output.stderr));
    assert_eq!(server.routes().last().unwrap(), "PATCH /api/v1/sessions/42");
}
