//! What was written stays, over restarts and between processes.

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

roots_testkit::on_both! {
    a_restart_loses_nothing,
    two_processes_see_each_others_writes,
}

/// One answer of each kind, to be compared later.
async fn everything(app: &TestApp) -> Vec<Value> {
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

async fn something_of_everything(app: &TestApp) {
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
    something_of_everything(&app).await;
    let before = everything(&app).await;
    app.context.store.close().await;
    assert_eq!(app.post("/sessions", &json!({})).await.status, 503, "it has stopped");

    let app = app.another().await;
    assert_eq!(everything(&app).await, before);
    // Ids go on from where they were, and none is used again.
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
    something_of_everything(&one).await;
    assert_eq!(everything(&other).await, everything(&one).await);
    other.patch("/todos/1", &json!({ "status": "done", "title": "by another" })).await.expect(200);
    let read = one.get("/todos/1").await.expect(200);
    assert_eq!((&read["status"], &read["title"]), (&json!("done"), &json!("by another")));
    // Each goes on from what the other left.
    for id in 3..9 {
        let app = if id % 2 == 0 { &one } else { &other };
        let made = app.post("/sessions", &json!({})).await.expect(201);
        assert_eq!(made["session_id"], id);
    }
    one.delete("/sessions/1").await.expect(200);
    assert_eq!(other.get("/sessions/1").await.status, 404);
    assert_eq!(other.get("/todos/1").await.expect(200)["session_id"], Value::Null);
    assert_eq!(everything_but_session_1(&other).await, everything_but_session_1(&one).await);
}

async fn everything_but_session_1(app: &TestApp) -> [Value; 3] {
    [
        app.get("/sessions").await.expect(200),
        app.get("/credits/ledger").await.expect(200),
        app.get("/activities/stats").await.expect(200),
    ]
}
