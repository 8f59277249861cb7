//! The documented inputs of programs, replayed.

use std::fs;
use std::sync::atomic::{AtomicI64, Ordering};

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use super::fake_server::{FakeServer, Reply, Request};
use super::world::{World, run, text};
use crate::program::User;

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
        "session": {
            "session_id": 41, "status": "ended", "notes": "Stopped at the form.",
            "started_at": "2026-11-28T12:00:00Z", "ended_at": "2026-11-28T13:00:00Z",
            "last_active_at": "2026-11-28T13:00:00Z", "actor_id": 1,
        },
        "in_progress": [], "left_behind": [], "overdue": [],
        "next": [{"todo_id": 7, "title": "Write the docs", "description": null, "status": "open",
            "priority": 2, "due_at": null, "session_id": null, "actor_id": 1, "claim": null,
            "until": null}],
        "waiting": [], "activities": [], "status_changes": [],
        "counts": {"todos": {"open": 1, "in_progress": 0, "done": 0, "cancelled": 0},
            "sessions": {"active": 0, "ended": 41}, "activities": 0, "overdue": 0},
        "has_work": true,
        "next_action": {"action": "claim", "todo": {"todo_id": 7, "title": "Write the docs",
            "priority": 2, "due_at": null, "claim_token": null, "actor_id": 1}},
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
        for part in [
            "session is 42: it is new",
            "`--session 42`",
            "Next: claim todo 7",
            "Stopped at the form",
        ] {
            assert!(told.contains(part), "{program}: {told}");
        }
        assert_eq!(
            server.routes(),
            ["POST /api/v1/sessions", "GET /api/v1/brief"],
            "the brief is for the session"
        );
        assert!(server.requests()[1].path.ends_with("&session_id=42"));
    }
}

#[test]
fn a_session_is_found_again_by_its_id() {
    let (world, server) = (World::new(), server());
    let project = world.project().display().to_string();
    let mut inputs = starts("one", &project);
    hook(&world, &server.url, &inputs[0].1.to_string());
    // The program may resume its session in another folder, which is no work tree.
    inputs.extend(starts("one", &world.home().display().to_string()));
    // Resumed, cleared, compacted, and started from another folder of the work tree.
    for (_, input) in &inputs {
        let told = context(&hook(&world, &server.url, &input.to_string()));
        assert!(told.contains("session is 42: it goes on"), "{told}");
    }
    let posts = server.requests().into_iter().filter(|request| request.method == "POST");
    assert_eq!(posts.count(), 1);
    let other = starts("two", &project)[0].1.to_string();
    assert!(context(&hook(&world, &server.url, &other)).contains("session is 43: it is new"));
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
    assert!(told.contains("session is 43: it is new"), "{told}");
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
    assert!(told.contains("is 42: it is new"), "{told}");
    assert!(told.contains("no brief: the server gives none"), "{told}");
}

#[test]
fn an_older_server_is_asked_for_a_brief_without_a_session() {
    let world = World::new();
    let server = FakeServer::start(|request| match request.route().as_str() {
        "GET /api/v1/brief" if request.path.contains("session_id") => {
            Reply::problem(400, "invalid-query", "session_id is no parameter")
        }
        "GET /api/v1/brief" => Reply::json(200, &brief()),
        _ => Reply::json(201, &session(42, "active")),
    });
    let told = context(&hook(&world, &server.url, &starts("one", "/nowhere")[0].1.to_string()));
    assert!(told.contains("is 42: it is new") && told.contains("Next: claim todo 7"), "{told}");
}

#[test]
fn a_brief_of_another_form_or_none_at_all_is_one_line_and_the_session_is_told() {
    for (reply, reason) in [
        (Reply::json(200, &json!({"has_work": true})), "doesn't understand"),
        (Reply::problem(503, "overloaded", "too much to do"), "too much to do"),
    ] {
        let world = World::new();
        let reply = std::sync::Mutex::new(Some(reply));
        let server = FakeServer::start(move |request| match request.route().as_str() {
            "GET /api/v1/brief" => reply.lock().unwrap().take().unwrap(),
            _ => Reply::json(201, &session(42, "active")),
        });
        let start = starts("one", &world.project().display().to_string())[0].1.to_string();
        let told = context(&hook(&world, &server.url, &start));
        let lines = told.lines().filter(|line| line.contains("There is no brief: "));
        assert_eq!(lines.count(), 1, "{told}");
        assert!(told.contains(reason) && told.contains("is 42: it is new"), "{told}");
    }
}

#[test]
fn claude_code_runs_each_command_in_the_session() {
    let (world, server) = (World::new(), server());
    let file = world.home().join("environment");
    fs::write(&file, "export THEIRS=1\n").unwrap();
    for (program, input) in starts("one", &world.project().display().to_string()) {
        let mut command = world.roots(&server.url, &PATIENT);
        let output = run(command.env("CLAUDE_ENV_FILE", &file), &input.to_string());
        assert_eq!(output.status.code(), Some(0));
        if program != "claude" {
            break;
        }
    }
    let lines = fs::read_to_string(&file).unwrap();
    assert!(lines.starts_with("export THEIRS=1\nexport ROOTS_SESSION=42\n"), "{lines}");
    let mut command = world.roots(&server.url, &["end"]);
    run(command.env("ROOTS_SESSION", "7"), "");
    assert_eq!(server.routes().last().unwrap(), "PATCH /api/v1/sessions/7");
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

/// An agent that works against the real API.
struct Agent {
    app: TestApp,
    user: User,
}

impl Agent {
    async fn new(database: TestDatabase) -> Self {
        let app = TestApp::start(database, 50).await;
        let user = User::of(&app);
        Self { app, user }
    }

    /// Starts a session of the program, or goes on with it. What the agent is told.
    async fn start(&self, id: &str) -> String {
        let folder = self.user.folder.display().to_string();
        let run = self.user.run_with(&PATIENT, &starts(id, &folder)[0].1.to_string()).await;
        assert_eq!(run.code, 0, "{run:?}");
        context(&run.stdout)
    }

    async fn end(&self, id: &str) {
        let folder = self.user.folder.display().to_string();
        let run = self.user.run_with(&PATIENT, &end(id, &folder).to_string()).await;
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
    }
}

async fn an_agent_goes_on_with_its_own_todo(database: TestDatabase) {
    let agent = Agent::new(database).await;
    let told = agent.start("one").await;
    assert!(told.contains("Your session is 1: it is new"), "{told}");
    assert!(told.contains("Next: nothing is pending."), "{told}");
    agent.user.done(&["todo", "add", "Write the docs", "--no-session"]).await;
    let claimed = agent.user.json(&["todo", "claim"]).await;
    assert_eq!((&claimed["session_id"], &claimed["claim"]["token"]), (&json!(1), &json!(1)));
    agent.user.done(&["note", "The half is written."]).await;
    let told = agent.start("one").await;
    assert!(told.contains("Your session is 1: it goes on"), "{told}");
    assert!(told.contains("Next: resume todo 1") && told.contains("claim_token 1"), "{told}");
    agent.end("one").await;
    assert_eq!(agent.app.get("/sessions/1").await.json()["status"], "ended");
    assert_eq!(agent.app.get("/todos/1").await.json()["status"], "in_progress");

    let told = agent.start("two").await;
    assert!(told.contains("Your session is 2: it is new"), "{told}");
    assert!(told.contains("Next: resume todo 1") && told.contains("claim_token 1"), "{told}");
    assert!(told.contains("The half is written."), "{told}");
    agent.user.done(&["todo", "done", "1"]).await;
    agent.end("two").await;

    // Without its memory, the hook gets the first session as a replay. It has ended.
    fs::remove_dir_all(agent.user.home().join(".local/state/roots")).unwrap();
    let told = agent.start("one").await;
    assert!(told.contains("Your session is 3: it is new"), "{told}");
    assert_eq!(agent.user.json(&["log", "again"]).await["session_id"], 3);
}

async fn two_agents_at_once_keep_their_own(database: TestDatabase) {
    let mut agents = Agent::new(database).await;
    agents.start("one").await;
    let told = agents.start("two").await;
    assert!(told.contains("Your session is 2: it is new"), "{told}");
    agents.user.done(&["todo", "add", "Write the docs", "--no-session"]).await;
    agents.user.done(&["todo", "claim", "--session", "1"]).await;

    let told = agents.start("two").await;
    assert!(told.contains("Your session is 2: it goes on"), "{told}");
    assert!(told.contains("Next: 1 todo is in progress by others; nothing is left"), "{told}");
    assert!(!told.contains("claim_token"), "{told}");
    let told = agents.start("one").await;
    assert!(told.contains("Next: resume todo 1"), "{told}");

    // The work tree stays with the first. The other names its session.
    assert_eq!(agents.user.json(&["log", "by one"]).await["session_id"], 1);
    agents.user.set("ROOTS_SESSION", "2");
    assert_eq!(agents.user.json(&["log", "by two"]).await["session_id"], 2);
    agents.end("two").await;
    let run = agents.user.run(&["log", "too late", "--json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("which ROOTS_SESSION names, has ended"), "{run:?}");
    let logged: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(logged["session_id"], Value::Null);
    agents.user.set("ROOTS_SESSION", "two");
    let told = agents.user.refused(2, &["log", "x"]).await;
    assert!(told.contains("ROOTS_SESSION has to be the id of a session"), "{told}");
    agents.user.unset("ROOTS_SESSION");
    assert_eq!(agents.user.json(&["log", "by one"]).await["session_id"], 1);

    // Once the first has ended, the tree is free.
    agents.end("one").await;
    agents.start("three").await;
    assert_eq!(agents.user.json(&["log", "by three"]).await["session_id"], 3);
}

mod sqlite {
    use super::TestDatabase;

    #[tokio::test]
    async fn an_agent_goes_on_with_its_own_todo() {
        super::an_agent_goes_on_with_its_own_todo(TestDatabase::sqlite().await).await;
    }

    #[tokio::test]
    async fn two_agents_at_once_keep_their_own() {
        super::two_agents_at_once_keep_their_own(TestDatabase::sqlite().await).await;
    }
}

mod postgres {
    use super::TestDatabase;

    #[tokio::test]
    async fn an_agent_goes_on_with_its_own_todo() {
        super::an_agent_goes_on_with_its_own_todo(TestDatabase::postgres().await).await;
    }

    #[tokio::test]
    async fn two_agents_at_once_keep_their_own() {
        super::two_agents_at_once_keep_their_own(TestDatabase::postgres().await).await;
    }
}
