//! Answers while the database is unavailable, locked or damaged.

use reqwest::Method;
use roots_domain::port::store::Verifier;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::connection::connect;
use roots_testkit::database::{TestDatabase, until};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::{assert_answer, balance};

roots_testkit::on_both! {
    reads_go_on_while_a_write_waits,
    a_text_that_does_not_open_is_reported_with_its_id,
}

/// A connection to the PostgreSQL server, outside of the test's database.
async fn postgres_server() -> DatabaseConnection {
    connect(&roots_testkit::postgres::server_url()).await
}

/// Forbids new connections to a database and ends the open ones, waiting until they have ended.
async fn lock_out(server: &DatabaseConnection, name: &str) {
    let deny = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
    server.execute_unprepared(&deny).await.unwrap();
    let end = format!(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '{name}'"
    );
    server.execute_unprepared(&end).await.unwrap();
}

fn assert_unavailable(answer: &ApiResponse, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {}", answer.text);
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{what}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    // The answer reveals nothing about the implementation.
    let text = answer.text.to_lowercase();
    for inside in ["postgres", "sql", "connection", "database", "roots_", "127.0.0.1"] {
        assert!(!text.contains(inside), "{what}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unavailable_database_is_503_until_it_is_back() {
    let app = TestApp::start(TestDatabase::postgres().await, 100).await;
    app.post("/sessions", &json!({ "notes": "before" })).await.expect(201);
    let (_, name) = app.database.url.rsplit_once('/').unwrap();
    let server = postgres_server().await;
    for _ in 0..2 {
        let before = balance(&app).await;
        lock_out(&server, name).await;
        let (todo, notes) = (json!({ "title": "x" }), json!({ "notes": "x" }));
        let (list, get, post, patch, delete, health) = tokio::join!(
            app.get("/sessions"),
            app.get("/sessions/1"),
            app.post("/todos", &todo),
            app.patch("/sessions/1", &notes),
            app.delete("/sessions/1"),
            send(app.unauthenticated(Method::GET, "/health")),
        );
        for (what, answer) in [
            ("list", &list),
            ("get", &get),
            ("post", &post),
            ("patch", &patch),
            ("delete", &delete),
        ] {
            assert_unavailable(answer, what);
        }
        assert_eq!(health.status, 200);
        // `/ready` may answer from a check that is up to a second old.
        until("it is not ready", async || {
            let ready = send(app.unauthenticated(Method::GET, "/ready")).await;
            if ready.status != 200 {
                assert_unavailable(&ready, "ready");
            }
            ready.status == 503
        })
        .await;
        // A well-formed key that this process has not admitted before needs the database. A
        // malformed key does not.
        assert_unavailable(&app.another_caller().await, "another caller");
        let request =
            app.unauthenticated(Method::GET, "/api/v1/todos").header("X-API-Key", "roots_1_x");
        assert_eq!(send(request).await.status, 401);

        let allow = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
        server.execute_unprepared(&allow).await.unwrap();
        until("it is ready again", async || {
            send(app.unauthenticated(Method::GET, "/ready")).await.status == 200
        })
        .await;
        until("it reads again", async || app.get("/sessions/1").await.status == 200).await;
        // None of the refused writes was applied.
        assert_eq!(app.get("/sessions/1").await.expect(200)["notes"], "before");
        assert_eq!(app.get("/todos").await.expect(200)["total"], 0);
        assert_eq!(balance(&app).await, before);
        let mut failed = 0;
        until("it writes again", async || {
            let answer = app.post("/activities", &json!({ "description": "after" })).await;
            failed += i32::from(answer.status != 201);
            if answer.status != 201 {
                assert_unavailable(&answer, "a first write");
            }
            answer.status == 201
        })
        .await;
        assert_eq!(balance(&app).await, before - 1, "after {failed} failures");
    }
    assert_eq!(app.get("/activities").await.expect(200)["total"], 2);
    let (accounts, errors) = app.context.store.verify().await.unwrap();
    assert_eq!((accounts, errors), (1, vec![]));
}

trait Unauthenticated {
    /// A well-formed key that this process has not met.
    async fn another_caller(&self) -> ApiResponse;
}

impl Unauthenticated for TestApp {
    async fn another_caller(&self) -> ApiResponse {
        let elsewhere = TestApp::start(TestDatabase::sqlite().await, 1).await;
        let request = self.unauthenticated(Method::GET, "/api/v1/sessions");
        send(request.header("X-API-Key", elsewhere.key())).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_file_is_503_until_it_is_released() {
    let app = TestApp::start(TestDatabase::sqlite().await, 100).await;
    app.post("/sessions", &json!({ "notes": "before" })).await.expect(201);
    let hold = app.database.hold(app.credentials.account).await;
    let notes = json!({ "notes": "meanwhile" });
    let (post, patch) =
        tokio::join!(app.post("/sessions", &notes), app.patch("/sessions/1", &notes));
    assert_unavailable(&post, "post");
    assert_unavailable(&patch, "patch");
    assert_eq!(app.get("/sessions/1").await.expect(200)["notes"], "before");
    assert_eq!(send(app.unauthenticated(Method::GET, "/ready")).await.status, 200);
    hold.release().await;
    // The refused writes are not applied after the lock is released.
    assert_eq!(app.post("/sessions", &notes).await.expect(201)["session_id"], 2);
    assert_eq!(app.get("/sessions/1").await.expect(200)["notes"], "before");
    assert_eq!(balance(&app).await, 98);
    assert_eq!(app.context.store.verify().await.unwrap(), (1, vec![]));
}

async fn reads_go_on_while_a_write_waits(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "first" })).await.expect(201);
    let hold = app.database.hold(app.credentials.account).await;
    let mut writes = JoinSet::new();
    for _ in 0..2 {
        let request = app.request(Method::POST, "/sessions").header("Idempotency-Key", "second");
        writes.spawn(send(request.json(&json!({ "notes": "second" }))));
    }
    // The 409 of one request says that the other one waits for the lock.
    writes.join_next().await.unwrap().unwrap().expect(409);
    assert_eq!(app.get("/sessions").await.expect(200)["total"], 1);
    assert_eq!(balance(&app).await, 99);
    assert!(writes.try_join_next().is_none());
    hold.release().await;
    let waited = writes.join_next().await.unwrap().unwrap();
    assert_eq!(waited.expect(201)["session_id"], 2);
    assert_eq!(balance(&app).await, 98);
}

async fn a_text_that_does_not_open_is_reported_with_its_id(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "lost" })).await.expect(201);
    app.post("/sessions", &json!({ "notes": "kept" })).await.expect(201);
    app.post("/todos", &json!({ "title": "lost", "description": "kept" })).await.expect(201);
    app.post("/activities", &json!({ "description": "lost" })).await.expect(201);
    let damaged = if app.database.is_postgres() { "'\\x0100'" } else { "x'0100'" };
    for (table, column) in
        [("sessions", "notes"), ("todos", "title"), ("activities", "description")]
    {
        let id = if table == "activities" { "activity" } else { &table[..table.len() - 1] };
        let sql = format!("UPDATE {table} SET {column} = {damaged} WHERE {id}_id = 1");
        assert_eq!(app.database.execute(&sql).await, 1);
    }
    assert_answer!(app.get("/sessions/1").await, @r#"
    500 Internal Server Error

    {
      "type": "/docs/problems#unreadable-text",
      "title": "A stored text can't be read",
      "status": 500,
      "detail": "The text of session 1 can't be read. It can still be deleted or overwritten.",
      "request_id": "a-test",
      "error": "The text of session 1 can't be read. It can still be deleted or overwritten."
    }
    "#);
    assert_answer!(app.get("/todos").await, @r#"
    500 Internal Server Error

    {
      "type": "/docs/problems#unreadable-text",
      "title": "A stored text can't be read",
      "status": 500,
      "detail": "The text of todo 1 can't be read. It can still be deleted or overwritten.",
      "request_id": "a-test",
      "error": "The text of todo 1 can't be read. It can still be deleted or overwritten."
    }
    "#);
    assert_eq!(app.get("/activities/1").await.status, 500);
    assert_eq!(app.get("/sessions").await.status, 500);
    // Other rows can be read, and statistics count the damaged rows.
    assert_eq!(app.get("/sessions/2").await.expect(200)["notes"], "kept");
    assert_eq!(app.get("/activities/stats").await.expect(200)["total_activities"], 1);
    // Damaged texts can be overwritten, and their rows deleted.
    let mended = app.patch("/sessions/1", &json!({ "notes": "new" })).await.expect(200);
    assert_eq!(mended["notes"], "new");
    let saved = app.patch("/todos/1", &json!({ "priority": 3 })).await;
    assert_answer!(saved, @r#"
    500 Internal Server Error
    x-credits-cost: 1
    x-credits-remaining: 94

    {
      "type": "/docs/problems#unreadable-text",
      "title": "A stored text can't be read",
      "status": 500,
      "detail": "The change was saved, but another text of todo 1 can't be read. It can still be deleted or overwritten.",
      "request_id": "a-test",
      "error": "The change was saved, but another text of todo 1 can't be read. It can still be deleted or overwritten."
    }
    "#);
    let mended = app.patch("/todos/1", &json!({ "title": "new" })).await.expect(200);
    assert_eq!((&mended["priority"], &mended["description"]), (&json!(3), &json!("kept")));
    app.delete("/activities/1").await.expect(200);
    assert_eq!(app.get("/activities").await.expect(200)["total"], 0);
}
