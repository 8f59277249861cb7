//! Todos: their fields, statuses and log.

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::{assert_answer, balance};

roots_testkit::on_both! {
    a_todo_is_created_with_defaults,
    a_forbidden_change_of_status_is_409,
    each_change_of_status_is_logged,
    fields_are_merged_as_a_patch,
    due_dates_are_read_in_every_form,
}

async fn a_todo_is_created_with_defaults(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let bare = app.post("/todos", &json!({ "title": "bare" })).await;
    assert_answer!(bare, @r#"
    201 Created
    location: /api/v1/todos/1
    x-credits-cost: 1
    x-credits-remaining: 99

    {
      "todo_id": 1,
      "session_id": null,
      "title": "bare",
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
    let explicit = json!({
        "title": "bare",
        "description": null,
        "session_id": null,
        "priority": null,
        "due_at": null
    });
    let mut same = app.post("/todos", &explicit).await.expect(201);
    same["todo_id"] = 1.into();
    assert_eq!(same, bare.json());
    assert_eq!(app.get("/todos/1/logs").await.expect(200), json!({ "logs": [], "todo_id": 1 }));
}

/// For each status, whether a todo can change to `open`, `in_progress`, `done` and `cancelled`.
const STEPS: [(&str, [bool; 4]); 4] = [
    ("open", [true, true, true, true]),
    ("in_progress", [true, true, true, true]),
    ("done", [true, true, true, false]),
    ("cancelled", [true, true, false, true]),
];

async fn a_forbidden_change_of_status_is_409(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let (mut number, mut refused) = (0, Vec::new());
    for (from, allowed) in STEPS {
        for ((to, _), allowed) in STEPS.into_iter().zip(allowed) {
            number += 1;
            let path = format!("/todos/{number}");
            app.post("/todos", &json!({ "title": "moved" })).await.expect(201);
            if from != "open" {
                app.patch(&path, &json!({ "status": from })).await.expect(200);
            }
            let before = app.get(&path).await.expect(200);
            let logged = app.get(&format!("{path}/logs")).await.expect(200);
            app.context.clock.advance_seconds(1);
            let answer = app.patch(&path, &json!({ "status": to })).await;
            let after = app.get(&path).await.expect(200);
            let logs = app.get(&format!("{path}/logs")).await.expect(200);
            if !allowed {
                refused.push(answer);
                assert_eq!((after, logs), (before, logged));
                continue;
            }
            assert_eq!(answer.expect(200), after);
            assert_eq!(after["status"], to);
            let steps = logs["logs"].as_array().unwrap();
            if from == to {
                assert_eq!((after, logs), (before, logged), "nothing changed");
            } else {
                assert_ne!(after["updated_at"], before["updated_at"]);
                let last = steps.last().unwrap();
                assert_eq!((&last["old_status"], &last["new_status"]), (&from.into(), &to.into()));
                assert_eq!(last["note"], Value::Null);
                assert_eq!(last["logged_at"], after["updated_at"]);
                assert_eq!(last["logged_at"], after["status_since"]);
            }
        }
    }
    assert_eq!(refused.len(), 2);
    assert_answer!(refused[0], @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "A todo can't go from done to cancelled; it can go to open or in_progress.",
      "request_id": "a-test",
      "error": "A todo can't go from done to cancelled; it can go to open or in_progress."
    }
    "#);
    assert_answer!(refused[1], @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "A todo can't go from cancelled to done; it can go to open or in_progress.",
      "request_id": "a-test",
      "error": "A todo can't go from cancelled to done; it can go to open or in_progress."
    }
    "#);
}

async fn each_change_of_status_is_logged(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/todos", &json!({ "title": "first" })).await.expect(201);
    app.post("/todos", &json!({ "title": "second" })).await.expect(201);
    for (path, patch) in [
        ("/todos/1", json!({ "status": "in_progress", "note": "Los geht's" })),
        ("/todos/2", json!({ "status": "done" })),
        ("/todos/1", json!({ "title": "renamed" })),
        ("/todos/1", json!({ "status": "in_progress", "title": "again" })),
        ("/todos/1", json!({ "status": "done", "note": "" })),
        ("/todos/1", json!({ "status": "open", "note": null })),
    ] {
        app.context.clock.advance_seconds(60);
        app.patch(path, &patch).await.expect(200);
    }
    assert_answer!(app.get("/todos/1/logs").await, "the_log_of_a_todo");
    let before = balance(&app).await;
    // A note belongs to a log entry, so a patch without a change of status can't have one.
    assert_answer!(app.patch("/todos/1", &json!({ "note": "lost" })).await, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "A note needs a change of status, and this patch does not change it.",
      "request_id": "a-test",
      "error": "A note needs a change of status, and this patch does not change it.",
      "errors": [
        {
          "field": "note",
          "message": "A note needs a change of status, and this patch does not change it."
        }
      ]
    }
    "#);
    for lost in [
        json!({ "note": "lost", "title": "x" }),
        json!({ "note": "lost", "status": "open" }),
        json!({ "note": "", "status": "open" }),
    ] {
        let refusal = app.patch("/todos/1", &lost).await.expect(422);
        assert_eq!(refusal["errors"][0]["field"], "note", "{lost}");
    }
    assert_eq!(app.get("/todos/1").await.expect(200)["title"], "again");
    assert_eq!(balance(&app).await, before);
    // Deleting a todo deletes its log, and no other.
    app.delete("/todos/1").await.expect(200);
    assert_answer!(app.get("/todos/1/logs").await, @r#"
    404 Not Found

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such todo.",
      "request_id": "a-test",
      "error": "There is no such todo."
    }
    "#);
    let other = app.get("/todos/2/logs").await.expect(200);
    assert_eq!(other["logs"].as_array().unwrap().len(), 1);
}

async fn fields_are_merged_as_a_patch(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let first = json!({
        "title": "title",
        "description": "description",
        "priority": 2,
        "due_at": "2026-04-10T00:00:00Z"
    });
    let mut expected = app.post("/todos", &first).await.expect(201);
    for (patch, changes) in [
        (json!({ "title": "title" }), false),
        (json!({ "title": "new" }), true),
        (json!({ "description": null }), true),
        (json!({ "description": null }), false),
        (json!({ "description": "" }), true),
        (json!({ "priority": 3, "due_at": null }), true),
        (json!({ "due_at": "2026-04-10T02:00:00+02:00" }), true),
        (json!({ "due_at": "2026-04-10" }), false),
        (json!({ "priority": 0, "title": "0", "description": "0", "status": "done" }), true),
    ] {
        app.context.clock.advance_seconds(1);
        let answer = app.patch("/todos/1", &patch).await;
        assert_eq!(answer.header("x-credits-cost"), Some("1"));
        let patched = answer.expect(200);
        for (field, value) in patch.as_object().unwrap() {
            let shown = if field == "due_at" && !value.is_null() {
                json!("2026-04-10T00:00:00Z")
            } else {
                value.clone()
            };
            expected[field] = shown;
        }
        let was_updated = patched["updated_at"] != expected["updated_at"];
        assert_eq!(was_updated, changes, "{patch}");
        expected["updated_at"] = patched["updated_at"].clone();
        if patch.get("status").is_some() {
            expected["status_since"] = patched["updated_at"].clone();
        }
        assert_eq!(patched, expected, "{patch}");
        assert_eq!(app.get("/todos/1").await.expect(200), expected);
    }
    let emptied = json!({ "title": null, "status": null, "priority": null });
    assert_answer!(app.patch("/todos/1", &emptied).await, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "title can't be emptied: it must not be null; status can't be emptied: it must not be null; priority can't be emptied: it must not be null.",
      "request_id": "a-test",
      "error": "title can't be emptied: it must not be null; status can't be emptied: it must not be null; priority can't be emptied: it must not be null.",
      "errors": [
        {"field": "title", "message": "can't be emptied: it must not be null"},
        {"field": "status", "message": "can't be emptied: it must not be null"},
        {"field": "priority", "message": "can't be emptied: it must not be null"}
      ]
    }
    "#);
    assert_answer!(app.patch("/todos/2", &json!({ "title": "x" })).await, @r#"
    404 Not Found

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such todo.",
      "request_id": "a-test",
      "error": "There is no such todo."
    }
    "#);
    assert_eq!(app.get("/todos/1").await.expect(200), expected);
}

async fn due_dates_are_read_in_every_form(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    for (due, shown) in [
        ("2026-04-10", "2026-04-10T00:00:00Z"),
        ("2026-04-10T00:00:00", "2026-04-10T00:00:00Z"),
        ("2026-04-10T00:00:00Z", "2026-04-10T00:00:00Z"),
        ("2026-04-10 05:30:00+0530", "2026-04-10T00:00:00Z"),
        ("2026-04-10T00:00:00.25Z", "2026-04-10T00:00:00.250000Z"),
        ("2026-04-10T00:00:00.1234567Z", "2026-04-10T00:00:00.123456Z"),
        ("1970-01-01", "1970-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ] {
        let todo = app.post("/todos", &json!({ "title": "due", "due_at": due })).await.expect(201);
        assert_eq!(todo["due_at"], shown, "{due}");
        let id = &todo["todo_id"];
        assert_eq!(app.get(&format!("/todos/{id}")).await.expect(200), todo);
    }
    for bad in ["tomorrow", "2026-02-30", "10000-01-01", "1969-12-31", "", "2026-04-10T25:00Z"] {
        let answer = app.post("/todos", &json!({ "title": "due", "due_at": bad })).await;
        assert_eq!(answer.expect(422)["errors"][0]["field"], "due_at", "{bad}");
    }
}
