//! Rows survive a restart, and two processes see the same rows.

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

roots_testkit::on_both! {
    a_restart_loses_nothing,
    two_processes_see_each_others_writes,
}

/// The answers of all kinds of reads.
async fn read_all(app: &TestApp) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [
        "/sessions",
        "/sessions/1",
        "/sessions?status=ended",
        "/todos",
        "/todos/1",
        "/todos/1/logs",
        "/todos?session_id=1",
        "/activities",
        "/activities/2",
        "/activities/stats",
        "/credits",
        "/credits/ledger",
        "/whoami",
    ] {
        all.push(app.get(path).await.expect(200));
    }
    all
}

/// Writes sessions, todos and activities, and changes and deletes some.
async fn write_rows(app: &TestApp) {
    app.post("/sessions", &json!({ "notes": "the first" })).await.expect(201);
    app.post("/sessions", &json!({ "notes": "the second" })).await.expect(201);
    app.patch("/sessions/2", &json!({ "status": "ended", "notes": "over" })).await.expect(200);
    let todo = json!({ "title": "a todo", "description": "of some words", "session_id": 1 });
    app.post("/todos", &todo).await.expect(201);
    let step = json!({ "status": "in_progress", "note": "begun" });
    app.patch("/todos/1", &step).await.expect(200);
    for kind in ["deploy", "review"] {
        let activity = json!({ "description": "done", "activity_type": kind, "session_id": 1 });
        app.post("/activities", &activity).await.expect(201);
    }
    app.post("/todos", &json!({ "title": "a short one" })).await.expect(201);
    app.delete("/todos/2").await.expect(200);
}

async fn a_restart_loses_nothing(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    write_rows(&app).await;
    let before = read_all(&app).await;
    app.context.store.close().await;
    assert_eq!(app.post("/sessions", &json!({})).await.status, 503, "the store is closed");

    let app = app.another().await;
    assert_eq!(read_all(&app).await, before);
    // New ids follow the last ones. The id of deleted todo 2 is not used again.
    assert_eq!(app.post("/sessions", &json!({})).await.expect(201)["session_id"], 3);
    assert_eq!(app.post("/todos", &json!({ "title": "x" })).await.expect(201)["todo_id"], 3);
    let step = json!({ "status": "done" });
    app.patch("/todos/1", &step).await.expect(200);
    let logs = app.get("/todos/1/logs").await.expect(200);
    assert_eq!(
        (&logs["logs"][0]["note"], &logs["logs"][1]["log_id"]),
        (&json!("begun"), &json!(2))
    );
}

async fn two_processes_see_each_others_writes(database: TestDatabase) {
    let one = TestApp::start(database, 100).await;
    let other = one.another().await;
    write_rows(&one).await;
    assert_eq!(read_all(&other).await, read_all(&one).await);
    other.patch("/todos/1", &json!({ "status": "done", "title": "by another" })).await.expect(200);
    let read = one.get("/todos/1").await.expect(200);
    assert_eq!((&read["status"], &read["title"]), (&json!("done"), &json!("by another")));
    // The processes give ids in turn.
    for id in 3..9 {
        let app = if id % 2 == 0 { &one } else { &other };
        let made = app.post("/sessions", &json!({})).await.expect(201);
        assert_eq!(made["session_id"], id);
    }
    one.delete("/sessions/1").await.expect(200);
    assert_eq!(other.get("/sessions/1").await.status, 404);
    assert_eq!(other.get("/todos/1").await.expect(200)["session_id"], Value::Null);
    assert_eq!(read_lists(&other).await, read_lists(&one).await);
}

async fn read_lists(app: &TestApp) -> [Value; 3] {
    [
        app.get("/sessions").await.expect(200),
        app.get("/credits/ledger").await.expect(200),
        app.get("/activities/stats").await.expect(200),
    ]
}
