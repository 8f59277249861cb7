//! Writes with an idempotency key can be repeated safely.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use roots_domain::command::{Applied, Refusal};
use roots_domain::model::account::AccountKind;
use roots_domain::model::idempotency::{Idempotency, Mac};

use crate::description::operations;
use crate::fixture::{MockedApi, TestRequest, applied, ask, delete, get, patch, post};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";
const NEW_TODO: &str = r#"{"title": "Deploy docs pages"}"#;

fn idempotent(ask: TestRequest) -> TestRequest {
    ask.header("idempotency-key", KEY)
}

/// An API where every write is a replay.
fn replaying() -> MockedApi {
    let mut api = MockedApi::keyed();
    api.todos.expect_todo().returning(|_, _| Ok(None));
    api.commands
        .expect_apply()
        .returning(|command| Ok(Applied { is_replay: true, ..applied(command) }));
    api
}

#[tokio::test]
async fn a_repeated_creation_replays_its_answer() {
    let router = replaying().router();
    assert_snapshot!(idempotent(post("/api/v1/todos", NEW_TODO)).of(&router).await.summary(), @r#"
    201 Created
    etag: "019d728c2e8070008000000000000002-1"
    idempotent-replayed: true
    location: /api/v1/todos/2
    x-credits-cost: 1
    x-credits-remaining: 98

    {
      "todo_id": 2,
      "session_id": null,
      "title": "Deploy docs pages",
      "description": null,
      "status": "open",
      "priority": 0,
      "due_at": null,
      "created_at": "2026-04-09T14:00:00Z",
      "updated_at": "2026-04-09T14:00:00Z",
      "status_since": "2026-04-09T14:00:00Z",
      "claim": null,
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn a_repeated_change_replays_its_answer_though_the_row_is_gone() {
    let router = replaying().router();
    let change = patch("/api/v1/todos/1", r#"{"title": "Deploy docs pages"}"#);
    assert_snapshot!(idempotent(change).of(&router).await.summary(), @r#"
    200 OK
    etag: "00000000000000000000000000000000-2"
    idempotent-replayed: true
    x-credits-cost: 1
    x-credits-remaining: 98

    {
      "todo_id": 1,
      "session_id": null,
      "title": "Deploy docs pages",
      "description": "Document sessions, todos, and activities endpoints",
      "status": "open",
      "priority": 2,
      "due_at": "2026-04-10T00:00:00Z",
      "created_at": "2026-04-09T10:00:00Z",
      "updated_at": "2026-04-09T14:00:00Z",
      "status_since": "2026-04-09T10:00:00Z",
      "claim": null,
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn a_repeated_deletion_replays_its_answer() {
    let router = replaying().router();
    assert_snapshot!(idempotent(delete("/api/v1/sessions/2")).of(&router).await.summary(), @r#"
    200 OK
    idempotent-replayed: true
    x-credits-cost: 1
    x-credits-remaining: 98

    {"status": "deleted", "session_id": 2}
    "#);
}

#[tokio::test]
async fn a_duplicate_in_flight_is_409() {
    let router = MockedApi::refusing(Refusal::StillInFlight).router();
    assert_snapshot!(idempotent(post("/api/v1/todos", NEW_TODO)).of(&router).await.summary(), @r#"
    409 Conflict
    retry-after: 1

    {
      "type": "/docs/problems#still-in-flight",
      "title": "Still in progress",
      "status": 409,
      "detail": "A request with this Idempotency-Key is still in progress: retry shortly.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "A request with this Idempotency-Key is still in progress: retry shortly."
    }
    "#);
}

#[tokio::test]
async fn an_idempotency_key_of_another_request_is_422() {
    let router = MockedApi::refusing(Refusal::KeyOfAnotherRequest).router();
    assert_snapshot!(idempotent(post("/api/v1/todos", NEW_TODO)).of(&router).await.summary(), @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#idempotency-key-reused",
      "title": "The Idempotency-Key was used for another request",
      "status": 422,
      "detail": "This Idempotency-Key was used for a different request in the last 24 hours: use a new one.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This Idempotency-Key was used for a different request in the last 24 hours: use a new one."
    }
    "#);
}

/// The idempotency key and fingerprint of the command that the store gets for a request.
async fn idempotency_of(ask: TestRequest) -> Option<Idempotency> {
    let seen = Arc::new(Mutex::new(None));
    let mut api = MockedApi::keyed();
    let asked = Arc::clone(&seen);
    api.commands.expect_apply().times(1).returning(move |command| {
        asked.lock().unwrap().clone_from(&command.conditions.idempotency);
        Ok(applied(command))
    });
    let answer = ask.of(&api.router()).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    assert_eq!(answer.header("idempotent-replayed"), "");
    seen.lock().unwrap().take()
}

async fn macs(ask: TestRequest) -> (Mac, Mac) {
    let idempotency = idempotency_of(ask).await.unwrap();
    assert_eq!(idempotency.before.len(), 1, "the api's keys were renewed once");
    assert_ne!(idempotency.before[0], idempotency.now);
    (idempotency.now.key, idempotency.now.request)
}

#[tokio::test]
async fn an_idempotent_request_is_its_key_method_path_and_body() {
    assert_eq!(idempotency_of(post("/api/v1/todos", NEW_TODO)).await, None);
    let quoted = format!("\"{KEY}\"");
    let todo = post("/api/v1/todos", NEW_TODO);
    let (key, request) = macs(idempotent(todo.clone())).await;
    assert_eq!(macs(todo.clone().header("idempotency-key", &quoted)).await, (key, request));
    let (other, same) = macs(todo.header("idempotency-key", "another")).await;
    assert!(other != key && same == request);

    let mut requests = BTreeSet::from([request]);
    for other in [
        post("/api/v1/todos", r#"{"title": "Deploy docs page"}"#),
        post("/api/v1/todos", r#"{"title":"Deploy docs pages"}"#),
        post("/api/v1/sessions", "{}"),
        ask("POST", "/api/v1/sessions"),
        patch("/api/v1/sessions/1", r#"{"status": "active"}"#),
        patch("/api/v1/sessions/2", r#"{"status": "active"}"#),
        delete("/api/v1/sessions/1"),
        delete("/api/v1/todos/1"),
        delete("/api/v1/activities/1"),
        delete("/api/v1/activities/1").json("{}"),
    ] {
        let (same, request) = macs(idempotent(other)).await;
        assert_eq!(same, key);
        assert!(requests.insert(request), "another request");
    }
    // The request's authentication and its conditions are not part of it.
    let tied = idempotent(delete("/api/v1/todos/1")).header("if-match", "\"x\"");
    let plain = idempotent(delete("/api/v1/todos/1")).without_key();
    let bearer = plain.header("authorization", &format!("Bearer {}", crate::fixture::KEY));
    assert_eq!(macs(tied).await, macs(bearer).await);
    // Nor is the host, which a proxy may write into the request line.
    let whole = idempotent(post("http://roots.example/api/v1/todos", NEW_TODO));
    let origin = idempotent(post("/api/v1/todos", NEW_TODO));
    assert_eq!(macs(whole).await, macs(origin).await);
}

#[tokio::test]
async fn a_malformed_idempotency_key_is_400() {
    let router = MockedApi::keyed().router();
    let empty = post("/api/v1/todos", NEW_TODO).header("idempotency-key", "");
    assert_snapshot!(empty.of(&router).await.summary(), @r#"
    400 Bad Request

    {
      "type": "/docs/problems#bad-request",
      "title": "Bad request",
      "status": 400,
      "detail": "The header idempotency-key must be one of 1 to 255 visible ASCII characters, bare or quoted.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The header idempotency-key must be one of 1 to 255 visible ASCII characters, bare or quoted."
    }
    "#);
    let long = "x".repeat(256);
    for key in ["a b", "\"a", "\"\"", &long] {
        for write in [post("/api/v1/todos", NEW_TODO), delete("/api/v1/todos/1")] {
            let refused = write.header("idempotency-key", key).of(&router).await;
            assert_eq!(refused.status, 400, "{key}");
        }
    }
    let twice = idempotent(idempotent(post("/api/v1/todos", NEW_TODO))).of(&router).await;
    assert_eq!(twice.status, 400);
}

#[tokio::test]
async fn an_idempotency_key_without_effect_is_400() {
    let router = MockedApi::bare().router();
    let add_actor = post("/api/v1/actors", r#"{"name": "b", "actor_type": "agent"}"#);
    assert_snapshot!(idempotent(add_actor).of(&router).await.summary(), @r#"
    400 Bad Request
    cache-control: no-store

    {
      "type": "/docs/problems#bad-request",
      "title": "Bad request",
      "status": 400,
      "detail": "The header idempotency-key is not supported here: send the request without it.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The header idempotency-key is not supported here: send the request without it."
    }
    "#);
    for ask in [
        post("/api/v1/bootstrap", crate::fixture::NEW_ACCOUNT).without_key(),
        post("/api/v1/keys", "{}"),
        ask("POST", "/api/v1/keys/rotate"),
        ask("POST", "/api/v1/recovery-code"),
        delete("/api/v1/keys/1"),
        delete("/api/v1/accounts/me"),
        ask("POST", "/api/v1/import"),
        ask("POST", "/api/v1/import?dry_run=false"),
        ask("POST", "/api/v1/import?from_line=2"),
    ] {
        assert_eq!(idempotent(ask).of(&router).await.status, 400);
    }
}

#[tokio::test]
async fn a_read_ignores_an_idempotency_key() {
    let router = MockedApi::whole_of(AccountKind::Operator).router();
    let file = r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}"#;
    let dry_run = |query: &str| {
        let import = ask("POST", &format!("/api/v1/import?{query}")).body(file);
        import.header("content-type", "application/x-ndjson")
    };
    let reads = operations().into_iter().filter(|operation| operation.method == "GET");
    let mut asks: Vec<_> = reads.map(|read| get(&read.path.replace("{id}", "1"))).collect();
    assert!(asks.len() > 15);
    asks.extend([
        post("/api/v1/search", r#"{"q": "docs"}"#),
        ask("HEAD", "/api/v1/todos"),
        ask("OPTIONS", "/api/v1/todos"),
        dry_run("dry_run=true"),
        dry_run("from_line=1&dry%5Frun=tru%65"),
    ]);
    for ask in asks {
        let plain = ask.clone().of(&router).await;
        for key in ["8e03978e-40d5-43dd-bc93-6894a57f9324", "a b", ""] {
            let answer = ask.clone().header("idempotency-key", key).of(&router).await;
            assert_eq!(answer.status, plain.status);
            assert!(answer.status.is_success(), "{}", answer.summary());
        }
    }
}

#[tokio::test]
async fn an_invalid_body_is_refused_with_any_idempotency_key() {
    let router = MockedApi::keyed().router();
    let faulty = idempotent(post("/api/v1/todos", r#"{"titel": "x"}"#)).of(&router).await;
    assert_eq!(faulty.json()["type"], "/docs/problems#invalid-body");
    let large = "x".repeat(2 * 1024 * 1024);
    let large = idempotent(delete("/api/v1/todos/1")).body(large).of(&router).await;
    assert_eq!(large.status, 413);
}
