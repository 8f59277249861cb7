//! Sessions, and the todos and activities linked to them.

use roots_domain::service::Preconditions;
use roots_domain::service::sessions::SessionDraft;
use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::{assert_answer, balance};

roots_testkit::on_both! {
    a_session_starts_without_a_body_or_with_one,
    a_session_ends_once,
    notes_are_merged_as_a_patch,
    new_rows_link_to_active_sessions_and_patches_to_any,
    deleting_a_session_unlinks_its_todos_and_activities,
}

async fn a_session_starts_without_a_body_or_with_one(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let bare = app.call(reqwest::Method::POST, "/sessions", None).await;
    assert_answer!(bare, @r#"
    201 Created
    location: /api/v1/sessions/1
    x-credits-cost: 1
    x-credits-remaining: 99

    {
      "session_id": 1,
      "status": "active",
      "notes": null,
      "started_at": "2026-04-09T14:00:00Z",
      "ended_at": null,
      "ended_reason": null,
      "duration_seconds": null,
      "actor_id": 1
    }
    "#);
    for (body, notes) in [
        (json!({}), Value::Null),
        (json!({ "notes": null }), Value::Null),
        (json!({ "notes": "" }), "".into()),
    ] {
        let session = app.post("/sessions", &body).await.expect(201);
        assert_eq!(session["notes"], notes);
        let id = &session["session_id"];
        assert_eq!(app.get(&format!("/sessions/{id}")).await.expect(200), session);
    }
    // A request of length 0 has no body.
    let empty = app.request(reqwest::Method::POST, "/sessions").header("Content-Length", "0");
    assert_eq!(roots_testkit::app::send(empty).await.status, 201);
}

async fn a_session_ends_once(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "first" })).await.expect(201);
    app.context.clock.advance_seconds(90);
    let same = app.patch("/sessions/1", &json!({ "status": "active" })).await.expect(200);
    assert_eq!((&same["status"], &same["ended_at"]), (&"active".into(), &Value::Null));
    let ended = app.patch("/sessions/1", &json!({ "status": "ended" })).await.expect(200);
    assert_eq!(ended["status"], "ended");
    assert_eq!(ended["notes"], "first");
    assert_eq!(ended["started_at"], "2026-04-09T14:00:00Z");
    assert_eq!(ended["ended_at"], "2026-04-09T14:01:30Z");
    let before = balance(&app).await;
    let twice = app.patch("/sessions/1", &json!({ "status": "ended" })).await;
    assert_answer!(twice, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "Session 1 has already ended.",
      "request_id": "a-test",
      "error": "Session 1 has already ended."
    }
    "#);
    let again = app.patch("/sessions/1", &json!({ "status": "active", "notes": "x" })).await;
    assert_answer!(again, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "Session 1 has ended and can't be reopened: start a new one.",
      "request_id": "a-test",
      "error": "Session 1 has ended and can't be reopened: start a new one."
    }
    "#);
    assert_eq!(app.get("/sessions/1").await.expect(200), ended);
    assert_eq!(balance(&app).await, before);
    // The notes of an ended session can still change.
    let noted = app.patch("/sessions/1", &json!({ "notes": "after" })).await.expect(200);
    assert_eq!((&noted["notes"], &noted["ended_at"]), (&"after".into(), &ended["ended_at"]));
}

async fn notes_are_merged_as_a_patch(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "kept" })).await.expect(201);
    for (patch, notes) in [
        (json!({ "status": "active" }), json!("kept")),
        (json!({ "notes": "changed" }), json!("changed")),
        (json!({ "notes": "changed" }), json!("changed")),
        (json!({ "notes": null }), Value::Null),
        (json!({ "notes": null }), Value::Null),
        (json!({ "notes": "" }), json!("")),
    ] {
        let request = app.request(reqwest::Method::PATCH, "/sessions/1");
        let merge =
            request.header("Content-Type", "application/merge-patch+json").body(patch.to_string());
        let answer = roots_testkit::app::send(merge).await;
        assert_eq!(
            answer.header("x-credits-cost"),
            Some("1"),
            "a patch that changes nothing costs too"
        );
        assert_eq!(answer.expect(200)["notes"], notes, "{patch}");
        assert_eq!(app.get("/sessions/1").await.expect(200)["notes"], notes);
    }
    assert_answer!(app.patch("/sessions/1", &json!({})).await, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "The patch changes nothing: name at least one field.",
      "request_id": "a-test",
      "error": "The patch changes nothing: name at least one field.",
      "errors": [
        {"field": "body", "message": "The patch changes nothing: name at least one field."}
      ]
    }
    "#);
    let cleared = app.patch("/sessions/1", &json!({ "status": null })).await;
    assert_answer!(cleared, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "status can't be emptied: it must not be null.",
      "request_id": "a-test",
      "error": "status can't be emptied: it must not be null.",
      "errors": [{"field": "status", "message": "can't be emptied: it must not be null"}]
    }
    "#);
}

/// Makes session 1, which is active, and session 2, which has ended. There is no session 3.
async fn two_sessions(app: &TestApp) {
    app.post("/sessions", &json!({})).await.expect(201);
    app.post("/sessions", &json!({})).await.expect(201);
    app.patch("/sessions/2", &json!({ "status": "ended" })).await.expect(200);
}

async fn new_rows_link_to_active_sessions_and_patches_to_any(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    two_sessions(&app).await;
    let before = balance(&app).await;
    let todo = |session: Value| json!({ "title": "linked", "session_id": session });
    let activity = |session: Value| json!({ "description": "linked", "session_id": session });
    assert_answer!(app.post("/todos", &todo(json!(2))).await, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "Session 2 has ended: only an active session can be linked to.",
      "request_id": "a-test",
      "error": "Session 2 has ended: only an active session can be linked to."
    }
    "#);
    assert_answer!(app.post("/activities", &activity(json!(2))).await, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "Session 2 has ended: only an active session can be linked to.",
      "request_id": "a-test",
      "error": "Session 2 has ended: only an active session can be linked to."
    }
    "#);
    assert_answer!(app.post("/todos", &todo(json!(3))).await, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "There is no session 3.",
      "request_id": "a-test",
      "error": "There is no session 3.",
      "errors": [{"field": "session_id", "message": "There is no session 3."}]
    }
    "#);
    assert_answer!(app.post("/activities", &activity(json!(3))).await, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "There is no session 3.",
      "request_id": "a-test",
      "error": "There is no session 3.",
      "errors": [{"field": "session_id", "message": "There is no session 3."}]
    }
    "#);
    assert_eq!(balance(&app).await, before);
    assert_eq!(app.get("/todos").await.expect(200)["total"], 0);
    assert_eq!(app.get("/activities").await.expect(200)["total"], 0);

    let made = app.post("/todos", &todo(json!(1))).await.expect(201);
    assert_eq!((&made["todo_id"], &made["session_id"]), (&json!(1), &json!(1)));
    let made = app.post("/todos", &todo(Value::Null)).await.expect(201);
    assert_eq!((&made["todo_id"], &made["session_id"]), (&json!(2), &Value::Null));
    let made = app.post("/activities", &activity(json!(1))).await.expect(201);
    assert_eq!((&made["activity_id"], &made["session_id"]), (&json!(1), &json!(1)));

    // A patch may also link to an ended session of the actor.
    for session in [json!(2), json!(1), Value::Null, json!(2)] {
        let patched = app.patch("/todos/2", &json!({ "session_id": session })).await.expect(200);
        assert_eq!(patched["session_id"], session);
    }
    let refused = app.patch("/todos/2", &json!({ "session_id": 3, "title": "no" })).await;
    assert_answer!(refused, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "There is no session 3.",
      "request_id": "a-test",
      "error": "There is no session 3.",
      "errors": [{"field": "session_id", "message": "There is no session 3."}]
    }
    "#);
    assert_eq!(app.get("/todos/2").await.expect(200)["title"], "linked");
    // Session 3 of another account does not count.
    let other = app.context.caller(10).await;
    for _ in 0..3 {
        app.context
            .sessions
            .start(&other, SessionDraft::default(), Preconditions::default())
            .await
            .unwrap();
    }
    assert_eq!(app.post("/todos", &todo(json!(3))).await.status, 422);
    assert_eq!(app.patch("/todos/2", &json!({ "session_id": 3 })).await.status, 422);
}

async fn deleting_a_session_unlinks_its_todos_and_activities(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    two_sessions(&app).await;
    for session in [1, 1, 1] {
        let todo = json!({ "title": "stays", "session_id": session });
        app.post("/todos", &todo).await.expect(201);
        let activity = json!({ "description": "stays", "session_id": session });
        app.post("/activities", &activity).await.expect(201);
    }
    app.patch("/todos/3", &json!({ "session_id": 2 })).await.expect(200);
    let before = balance(&app).await;
    let gone = app.delete("/sessions/1").await;
    assert_answer!(gone, @r#"
    200 OK
    x-credits-cost: 1
    x-credits-remaining: 89

    {"status": "deleted", "session_id": 1}
    "#);
    assert_eq!(balance(&app).await, before - 1, "one write, however many rows were linked");
    for (path, session) in [
        ("/todos/1", Value::Null),
        ("/todos/2", Value::Null),
        ("/todos/3", json!(2)),
        ("/activities/1", Value::Null),
        ("/activities/3", Value::Null),
    ] {
        let row = app.get(path).await.expect(200);
        assert_eq!(row["session_id"], session, "{path}");
        if path.starts_with("/todos") {
            assert_eq!(row["title"], "stays");
        }
    }
    assert_eq!(app.get("/todos?session_id=1").await.expect(200)["total"], 0);
    assert_eq!(app.get("/activities?session_id=1").await.expect(200)["total"], 0);
    assert_answer!(app.delete("/sessions/1").await, @r#"
    404 Not Found

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such session.",
      "request_id": "a-test",
      "error": "There is no such session."
    }
    "#);
    assert_eq!(app.patch("/sessions/1", &json!({ "notes": "late" })).await.status, 404);
    assert_eq!(balance(&app).await, before - 1);
    // The id of a deleted session is not used again.
    assert_eq!(app.post("/sessions", &json!({})).await.expect(201)["session_id"], 3);
}
