//! Importing export files.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use roots_domain::service::accounts::Grant;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::database::{TestDatabase, until};
use roots_testkit::members::add_member;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{assert_answer, assert_ledger_matches, balance};

roots_testkit::on_both! {
    an_export_is_imported_unchanged,
    a_repeated_import_writes_nothing,
    an_import_that_was_cut_off_can_be_resumed,
    a_second_import_updates_rows_that_changed_in_the_source,
    an_import_keeps_later_changes_and_deletions,
    a_repeated_id_with_another_text_is_an_error_of_its_line,
    missing_rows_are_reported_only_for_whole_readable_files,
    a_line_with_errors_is_reported_and_the_others_are_imported,
    an_import_without_a_valid_header_type_or_parameter_is_refused,
    an_import_can_give_every_row_to_one_actor,
    an_account_does_not_import_its_own_rows,
    an_owners_import_is_in_the_audit_log,
    a_members_import_is_403,
    each_new_row_costs_a_credit_and_a_batch_has_one_ledger_entry,
    an_import_without_credits_left_can_be_resumed_later,
    a_dry_run_writes_nothing,
    a_dry_run_is_refused_with_the_same_error_as_the_import,
    an_import_ends_when_its_key_ends,
    an_import_limits_its_lines_but_not_its_size,
}

pub(crate) async fn import(app: &TestApp, query: &str, file: impl Into<String>) -> ApiResponse {
    let request = app.request(Method::POST, &format!("/import{query}"));
    send(request.header("content-type", "application/x-ndjson").body(file.into())).await
}

pub(crate) async fn exported(app: &TestApp) -> String {
    let answer = app.get("/export").await;
    assert_eq!(answer.status, 200);
    answer.text
}

pub(crate) fn lines(file: &str) -> Vec<Value> {
    file.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The rows of a file, with the ids that a new account would give: 1, 2, … for each kind.
pub(crate) fn renumbered(file: &str) -> Vec<Value> {
    let mut ids: BTreeMap<(String, i64), i64> = BTreeMap::new();
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    let mut rows = Vec::new();
    for mut line in lines(file) {
        let kind = line["kind"].as_str().unwrap().to_owned();
        if matches!(kind.as_str(), "export" | "actor") {
            continue;
        }
        let own = match kind.as_str() {
            "todo_log" => "log_id".to_owned(),
            kind => format!("{kind}_id"),
        };
        let members = line.as_object_mut().unwrap();
        for (name, value) in members.iter_mut() {
            let Some(id) = value.as_i64().filter(|_| name.ends_with("_id") && name != "actor_id")
            else {
                continue;
            };
            let key = (name.clone(), id);
            if *name == own {
                let count = last.entry(name.clone()).or_insert(0);
                *count += 1;
                ids.insert(key.clone(), *count);
            }
            *value = ids[&key].into();
        }
        rows.push(line);
    }
    rows
}

/// Writes rows of all kinds: with gaps between ids, links, logs, ended sessions and odd characters.
async fn write_rows(app: &TestApp) {
    for number in 1..=70 {
        app.post("/sessions", &json!({ "notes": format!("session {number} \u{1f980}\u{1}\n") }))
            .await
            .expect(201);
        let todo = json!({
            "title": format!("todo {number}"), "session_id": number, "priority": number % 4,
            "due_at": "2026-04-10T00:00:00.000001Z"
        });
        app.post("/todos", &todo).await.expect(201);
        let activity = json!({
            "description": format!("activity {number}"), "session_id": number,
            "activity_type": if number % 3 == 0 { "deploy" } else { "general" },
            "logged_at": format!("2025-01-{:02}T23:59:59.999999Z", number % 28 + 1)
        });
        app.post("/activities", &activity).await.expect(201);
        app.context.clock.advance_seconds(61);
    }
    app.post("/sessions", &json!({})).await.expect(201);
    for (id, status) in
        [(3, "in_progress"), (3, "done"), (3, "open"), (9, "cancelled"), (64, "done")]
    {
        app.context.clock.advance_seconds(7);
        let change = json!({ "status": status, "note": format!("to {status}") });
        app.patch(&format!("/todos/{id}"), &change).await.expect(200);
    }
    app.patch("/sessions/5", &json!({ "status": "ended", "notes": null })).await.expect(200);
    for path in ["/sessions/2", "/todos/7", "/todos/69", "/activities/1", "/sessions/70"] {
        app.delete(path).await.expect(200);
    }
}

async fn an_export_is_imported_unchanged(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    write_rows(&app).await;
    let file = exported(&app).await;
    let other = app.as_another(1_000).await;
    let report = import(&other, "", file.clone()).await.expect(200);
    let counts = json!({ "sessions": 69, "todos": 68, "todo_logs": 5, "activities": 69 });
    assert_eq!(report["imported"], counts, "{report}");
    assert_eq!((&report["faulty"], &report["is_whole"]), (&json!(0), &json!(true)));
    assert_eq!(report["lines"], lines(&file).len());

    let again = exported(&other).await;
    assert_eq!(renumbered(&again), renumbered(&file));
    assert_eq!(balance(&other).await, 1_000 - 211, "1 credit a row");
    for path in ["/activities/stats", "/activities/stats?since=2025-01-03&until=2025-01-20"] {
        assert_eq!(other.get(path).await.expect(200), app.get(path).await.expect(200));
    }
    assert_eq!(other.get("/todos?status=done").await.expect(200)["total"], 1);
    assert_ledger_matches(&other).await;
}

async fn a_repeated_import_writes_nothing(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    write_rows(&app).await;
    let file = exported(&app).await;
    let other = app.as_another(1_000).await;
    import(&other, "", file.clone()).await.expect(200);
    let first = exported(&other).await;
    // A row that was deleted after the first import counts as already imported.
    other.delete("/sessions/1").await.expect(200);
    let report = import(&other, "", file.clone()).await.expect(200);
    assert_eq!(report["already_imported"], 69 + 68 + 5 + 69);
    assert_eq!(report["faulty"], 0);
    assert_eq!(lines(&exported(&other).await).len(), lines(&first).len() - 1);
    // A later row of the source is imported, with a link to a row of the first import.
    let link = json!({ "title": "later", "session_id": 6 });
    app.post("/todos", &link).await.expect(201);
    let report = import(&other, "", exported(&app).await).await.expect(200);
    assert_eq!(report["imported"]["todos"], 1);
    let newest = other.get("/todos/69").await.expect(200);
    assert_eq!((&newest["title"], &newest["session_id"]), (&json!("later"), &json!(5)));
}

async fn a_second_import_updates_rows_that_changed_in_the_source(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    for number in 1..=3 {
        app.post("/sessions", &json!({ "notes": format!("s{number}") })).await.expect(201);
    }
    for number in 1..=4 {
        let todo = json!({ "title": format!("t{number}"), "session_id": (number + 1) / 2 });
        app.post("/todos", &todo).await.expect(201);
        let activity = json!({ "description": format!("a{number}"), "session_id": 2 });
        app.post("/activities", &activity).await.expect(201);
    }
    let other = app.as_another(1_000).await;
    import(&other, "", exported(&app).await).await.expect(200);

    app.context.clock.advance_seconds(60);
    let ended = json!({ "status": "ended", "notes": "all done" });
    app.patch("/sessions/1", &ended).await.expect(200);
    app.patch("/sessions/3", &json!({ "notes": null })).await.expect(200);
    let changed = json!({
        "title": "new", "description": "long", "priority": 3, "due_at": "2027-01-01T00:00:00Z",
        "session_id": 3
    });
    app.patch("/todos/1", &changed).await.expect(200);
    for status in ["in_progress", "done"] {
        app.context.clock.advance_seconds(60);
        app.patch("/todos/1", &json!({ "status": status, "note": status })).await.expect(200);
    }
    app.patch("/todos/3", &json!({ "status": "cancelled" })).await.expect(200);
    for path in ["/todos/2", "/sessions/2", "/activities/4"] {
        app.delete(path).await.expect(200);
    }
    app.post("/todos", &json!({ "title": "later" })).await.expect(201);

    let file = exported(&app).await;
    let dry_run = import(&other, "?dry_run=true", file.clone()).await.expect(200);
    let report = import(&other, "", file.clone()).await.expect(200);
    for same in ["imported", "already_imported", "updated", "unchanged", "missing", "cost"] {
        assert_eq!(report[same], dry_run[same], "{same}");
    }
    let new = json!({ "sessions": 0, "todos": 1, "todo_logs": 3, "activities": 0 });
    assert_eq!(report["imported"], new);
    // Updated are sessions 1 and 3, and todos 1 and 3. Todo 3 lost its session in the source.
    let counts = ["updated", "unchanged", "already_imported", "deleted", "faulty", "cost"];
    assert_eq!(counts.map(|name| report[name].as_i64().unwrap()), [4, 4, 8, 0, 0, 4 + 4]);
    let missing = json!({
        "sessions": 1, "todos": 1, "activities": 1,
        "rows": [
            { "kind": "activity", "id": 4, "source_id": 4 },
            { "kind": "todo", "id": 2, "source_id": 2 },
            { "kind": "session", "id": 2, "source_id": 2 },
        ]
    });
    assert_eq!(report["missing"], missing);
    for path in ["/todos/1", "/todos/1/logs", "/todos/4", "/sessions/1", "/sessions/3"] {
        let (there, mut here) =
            (app.get(path).await.expect(200), other.get(path).await.expect(200));
        if path == "/todos/4" {
            // The source has deleted session 2. Here it still exists.
            assert_eq!(here["session_id"].take(), json!(2));
        }
        assert_eq!(here, there, "{path}");
    }
    other.get("/todos/2").await.expect(200);

    // Importing the same file again changes nothing.
    let again = import(&other, "", file.clone()).await.expect(200);
    assert_eq!(counts.map(|name| again[name].as_i64().unwrap()), [0, 12, 12, 0, 0, 0]);
    assert_eq!(again["missing"], missing);

    let before = balance(&other).await;
    let dry_run = import(&other, "?delete_missing=true&dry_run=true", file.clone()).await;
    let deleting = import(&other, "?delete_missing=true", file.clone()).await;
    assert_eq!(credits_of(&deleting), [Some("3"), Some(&*(before - 3).to_string())]);
    let (dry_run, deleting) = (dry_run.expect(200), deleting.expect(200));
    for report in [dry_run, deleting] {
        let counts = counts.map(|name| report[name].as_i64().unwrap());
        assert_eq!((counts, &report["missing"]), ([0, 12, 12, 3, 0, 3], &missing));
    }
    assert_eq!(renumbered(&exported(&other).await), renumbered(&file));
    let none = json!({ "sessions": 0, "todos": 0, "activities": 0, "rows": [] });
    let again = import(&other, "?delete_missing=true", file).await.expect(200);
    assert_eq!((&again["missing"], &again["deleted"]), (&none, &json!(0)));
    assert_eq!(balance(&other).await, before - 3);
    assert_ledger_matches(&app).await;
}

async fn an_import_keeps_later_changes_and_deletions(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    for number in 1..=2 {
        app.post("/sessions", &json!({ "notes": format!("s{number}") })).await.expect(201);
        app.post("/todos", &json!({ "title": format!("t{number}") })).await.expect(201);
        app.post("/activities", &json!({ "description": "a" })).await.expect(201);
    }
    let other = app.as_another(100).await;
    import(&other, "", exported(&app).await).await.expect(200);
    app.context.clock.advance_seconds(60);
    app.patch("/todos/1", &json!({ "title": "there" })).await.expect(200);
    app.patch("/sessions/1", &json!({ "notes": "there" })).await.expect(200);
    app.patch("/todos/2", &json!({ "title": "lost" })).await.expect(200);
    app.context.clock.advance_seconds(60);
    other.patch("/todos/1", &json!({ "title": "here" })).await.expect(200);
    let ended = json!({ "status": "ended", "notes": "here" });
    other.patch("/sessions/1", &ended).await.expect(200);
    for path in ["/todos/2", "/sessions/2", "/activities/2"] {
        other.delete(path).await.expect(200);
    }
    let before = exported(&other).await;
    let report = import(&other, "?delete_missing=true", exported(&app).await).await.expect(200);
    let counts = ["updated", "unchanged", "already_imported", "deleted", "faulty", "cost"];
    assert_eq!(counts.map(|name| report[name].as_i64().unwrap()), [0, 3, 6, 0, 0, 0]);
    let rows = |file: &str| renumbered(file);
    assert_eq!(rows(&exported(&other).await), rows(&before));
    assert_ledger_matches(&app).await;
}

async fn a_repeated_id_with_another_text_is_an_error_of_its_line(database: TestDatabase) {
    let app = TestApp::start(database, 200).await;
    let session = json!({
        "kind": "session", "session_id": 1, "status": "active", "notes": "x",
        "started_at": "2026-01-01", "actor_id": 5
    });
    let activity = json!({
        "kind": "activity", "activity_id": 1, "description": "x", "logged_at": "2026-01-01",
        "actor_id": 5
    });
    let step = with(step(1, 1, "open", "done"), "note", "x");
    let rows = [session.clone(), todo(1), step.clone(), activity.clone()];
    let others = [
        with(session, "notes", "y"),
        with(with(todo(1), "title", "u"), "updated_at", "2026-01-05"),
        with(step, "note", "y"),
        with(activity, "description", "y"),
    ];
    // The second file is longer than a batch of 64 rows, so the copies are in another batch.
    let together: Vec<_> = rows.iter().chain(&rows).chain(&others).cloned().collect();
    let apart: Vec<_> =
        rows.iter().cloned().chain((2..=70).map(todo)).chain(others.clone()).collect();
    for (file, unchanged) in [(file(&together), 4), (file(&apart), 4)] {
        let report = import(&app, "", file).await.expect(200);
        assert_eq!(
            (&report["faulty"], &report["unchanged"]),
            (&json!(4), &json!(unchanged)),
            "{report}"
        );
        let fields: Vec<_> = report["faults"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["errors"][0]["field"].clone())
            .collect();
        assert_eq!(fields, ["session_id", "todo_id", "log_id", "activity_id"]);
    }
    assert_eq!(app.get("/todos/1").await.expect(200)["title"], "t");
    let report = import(&app, "", file(&others)).await.expect(200);
    // In another file, a session and a newer todo are updates. A log entry and an activity never
    // change, so they are errors.
    assert_eq!((&report["updated"], &report["faulty"]), (&json!(2), &json!(2)), "{report}");
    let report = import(&app, "", file(&[with(todo(2), "title", "u")])).await.expect(200);
    assert_eq!((&report["updated"], &report["faulty"]), (&json!(0), &json!(1)), "{report}");
    assert_ledger_matches(&app).await;
}

async fn missing_rows_are_reported_only_for_whole_readable_files(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let owner = app.context.admit(&app.credentials).await;
    add_member(&app.database, &owner, 2).await;
    for number in 1..=3 {
        app.post("/todos", &json!({ "title": format!("t{number}") })).await.expect(201);
    }
    let other = app.as_another(100).await;
    import(&other, "?actor_id=1", exported(&app).await).await.expect(200);
    app.delete("/todos/1").await.expect(200);
    let file = exported(&app).await;
    let end = file.lines().last().unwrap();
    for (what, file) in [
        ("cut", file.replace(end, "")),
        ("unreadable", file.replace("t2", "")),
        ("miscounted", file.replace("\"todos\":2", "\"todos\":3")),
    ] {
        let report = import(&other, "?delete_missing=true", file).await.expect(200);
        assert_eq!((&report["missing"], &report["deleted"]), (&Value::Null, &json!(0)), "{what}");
    }
    let of_one = app.get("/export?actor_id=1").await;
    assert_eq!(of_one.status, 200);
    let report = import(&other, "", of_one.text.clone()).await.expect(200);
    assert_eq!(report["missing"], Value::Null);
    let refused = import(&other, "?delete_missing=true", of_one.text).await.expect(422);
    assert_eq!(refused["errors"][0]["field"], "actor_id");
    // Lines before `from_line` are not imported, but count as present in the file.
    let report = import(&other, "?delete_missing=true&from_line=9", file).await.expect(200);
    assert_eq!(report["missing"]["rows"], json!([{ "kind": "todo", "id": 1, "source_id": 1 }]));
    assert_eq!(other.get("/todos").await.expect(200)["total"], 2);
}

async fn an_import_that_was_cut_off_can_be_resumed(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    write_rows(&app).await;
    let file = exported(&app).await;
    let whole = app.as_another(1_000).await;
    import(&whole, "", file.clone()).await.expect(200);
    let other = app.as_another(1_000).await;
    let count = lines(&file).len();
    for cut in [2, 5, 71, 80, 100, 140, 150, count - 1] {
        let part: Vec<_> = file.lines().take(cut).collect();
        let report = import(&other, "", part.join("\n")).await.expect(200);
        assert_eq!(
            (&report["faulty"], &report["is_whole"]),
            (&json!(0), &json!(false)),
            "{cut}: {report}"
        );
    }
    let report =
        import(&other, &format!("?from_line={}", count - 30), file.clone()).await.expect(200);
    assert_eq!(report["is_whole"], true);
    assert_eq!(renumbered(&exported(&other).await), renumbered(&exported(&whole).await));
}

const HEADER: &str =
    r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}"#;
const OWNER: &str =
    r#"{"kind":"actor","actor_id":5,"name":"x","actor_type":"agent","role":"owner"}"#;

fn file(rows: &[Value]) -> String {
    let rows: Vec<_> = rows.iter().map(Value::to_string).collect();
    format!("{HEADER}\n{OWNER}\n{}\n", rows.join("\n"))
}

fn todo(id: i64) -> Value {
    json!({
        "kind": "todo", "todo_id": id, "title": "t", "status": "open", "actor_id": 5,
        "created_at": "2026-01-01"
    })
}

fn step(id: i64, todo: i64, old: &str, new: &str) -> Value {
    json!({
        "kind": "todo_log", "log_id": id, "todo_id": todo, "old_status": old, "new_status": new,
        "logged_at": "2026-01-02", "actor_id": 5
    })
}

fn with(mut row: Value, name: &str, value: impl Into<Value>) -> Value {
    row[name] = value.into();
    row
}

async fn a_line_with_errors_is_reported_and_the_others_are_imported(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let session = |id: i64| {
        json!({
            "kind": "session", "session_id": id, "status": "active", "started_at": "2026-01-01",
            "actor_id": 5
        })
    };
    let answer = import(
        &app,
        "",
        file(&[
            session(1),
            with(with(session(2), "status", "ended"), "ended_at", "2025-12-31"),
            with(session(3), "ended_at", "2026-02-01"),
            with(todo(1), "session_id", 1),
            with(todo(2), "session_id", 2),
            with(with(with(todo(3), "title", ""), "priority", 9), "prio", 1),
            step(1, 1, "open", "done"),
            step(2, 1, "open", "cancelled"),
            step(3, 1, "done", "cancelled"),
            step(4, 2, "open", "done"),
            with(todo(4), "actor_id", 6),
            json!({ "kind": "activity", "activity_id": 1, "logged_at": "2026-01-01", "actor_id": 5 }),
            json!({ "kind": "thing" }),
            json!([]),
            json!({ "kind": "export", "format": 1, "source": "019d728c-2e80-7000-8000-0000000000aa" }),
        ]) + "{\"kind\":\n\n" + todo(5).to_string().as_str(),
    )
    .await;
    assert_answer!(answer, "every_error_of_an_import");
    assert_eq!(app.get("/todos").await.expect(200)["total"], 2);
    let done = app.get("/todos/1").await.expect(200);
    assert_eq!((&done["status"], &done["session_id"]), (&json!("done"), &json!(1)));
}

async fn an_import_without_a_valid_header_type_or_parameter_is_refused(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let no_header = todo(1).to_string();
    assert_answer!(import(&app, "", no_header).await, @r#"
    422 Unprocessable Entity
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "kind must be export on the first line.",
      "request_id": "a-test",
      "error": "kind must be export on the first line.",
      "errors": [{"field": "kind", "message": "must be export on the first line"}]
    }
    "#);
    let another_format = HEADER.replace(":1,", ":2,");
    assert_answer!(import(&app, "", another_format).await, @r#"
    422 Unprocessable Entity
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "format must be 1.",
      "request_id": "a-test",
      "error": "format must be 1.",
      "errors": [{"field": "format", "message": "must be 1"}]
    }
    "#);
    assert_answer!(import(&app, "", String::new()).await, @r#"
    422 Unprocessable Entity
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "kind must be export on the first line.",
      "request_id": "a-test",
      "error": "kind must be export on the first line.",
      "errors": [{"field": "kind", "message": "must be export on the first line"}]
    }
    "#);
    let request = app.request(Method::POST, "/import").json(&json!({}));
    assert_answer!(send(request).await, @r#"
    415 Unsupported Media Type
    accept-post: application/x-ndjson
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#unsupported-media-type",
      "title": "Unsupported media type",
      "status": 415,
      "detail": "The body must be application/x-ndjson in UTF-8, uncompressed, and Content-Type must say so.",
      "request_id": "a-test",
      "error": "The body must be application/x-ndjson in UTF-8, uncompressed, and Content-Type must say so."
    }
    "#);
    assert_answer!(import(&app, "?from=3&actor_id=x", HEADER).await, @r#"
    400 Bad Request
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#invalid-parameters",
      "title": "Invalid query parameters",
      "status": 400,
      "detail": "actor_id must be a positive integer; from is not a known parameter: did you mean from_line?",
      "request_id": "a-test",
      "error": "actor_id must be a positive integer; from is not a known parameter: did you mean from_line?",
      "errors": [
        {"field": "actor_id", "message": "must be a positive integer"},
        {"field": "from", "message": "is not a known parameter: did you mean from_line?"}
      ]
    }
    "#);
    assert_answer!(import(&app, "?actor_id=9", HEADER).await, @r#"
    422 Unprocessable Entity
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "There is no actor 9.",
      "request_id": "a-test",
      "error": "There is no actor 9.",
      "errors": [{"field": "actor_id", "message": "There is no actor 9."}]
    }
    "#);
}

async fn an_import_can_give_every_row_to_one_actor(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let owner = app.context.admit(&app.credentials).await;
    add_member(&app.database, &owner, 2).await;
    let report = import(&app, "?actor_id=2", file(&[todo(1)])).await.expect(200);
    assert_eq!(report["imported"]["todos"], 1);
    assert_eq!(app.get("/todos/1").await.expect(200)["actor_id"], 2);
}

async fn an_account_does_not_import_its_own_rows(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({ "title": "mine" })).await.expect(201);
    let file = exported(&app).await;
    for query in ["", "?actor_id=1"] {
        let refused = import(&app, query, file.clone()).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], "source");
    }
    assert_eq!(app.get("/todos").await.expect(200)["total"], 1);
}

async fn an_owners_import_is_in_the_audit_log(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let owner = app.context.admit(&app.credentials).await;
    add_member(&app.database, &owner, 2).await;
    import(&app, "", file(&[todo(1)])).await.expect(200);
    import(&app, "?actor_id=2", file(&[])).await.expect(200);
    // A refused import is not in the audit log.
    import(&app, "?actor_id=9", file(&[todo(2)])).await.expect(422);
    import(&app, "", todo(2).to_string()).await.expect(422);
    let audit_log = app.get("/audit").await.expect(200);
    let entries = audit_log["entries"].as_array().unwrap().iter();
    let brief = |it: &Value| json!([it["action"], it["actor_id"], it["subject_actor_id"]]);
    let noted: Vec<_> = entries.map(brief).collect();
    assert_eq!(noted, [json!(["imported", 1, 2]), json!(["imported", 1, null])]);
    assert_ledger_matches(&app).await;
}

async fn a_members_import_is_403(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let owner = app.context.admit(&app.credentials).await;
    let member = add_member(&app.database, &owner, 2).await;
    import(&app, "", file(&[todo(1)])).await.expect(200);
    let as_member = app
        .unauthenticated(Method::POST, "/api/v1/import")
        .header("X-API-Key", member.expose_secret())
        .header("X-Request-Id", "a-test")
        .header("content-type", "application/x-ndjson");
    assert_answer!(send(as_member.body(file(&[todo(2)]))).await, @r#"
    403 Forbidden
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#owner-only",
      "title": "Only the owner may do this",
      "status": 403,
      "detail": "Only the account's owner may do this: a member reads and writes only its own data.",
      "request_id": "a-test",
      "error": "Only the account's owner may do this: a member reads and writes only its own data."
    }
    "#);
    app.database.execute("UPDATE accounts SET status = 'suspended'").await;
    assert_answer!(import(&app, "", file(&[todo(2)])).await, @r#"
    403 Forbidden
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#account-suspended",
      "title": "The account is suspended",
      "status": 403,
      "detail": "This account is suspended: it is read-only.",
      "request_id": "a-test",
      "error": "This account is suspended: it is read-only."
    }
    "#);
    assert_eq!(app.get("/todos").await.expect(200)["total"], 1);
}

async fn grant(app: &TestApp, amount: i64) {
    let amount = Grant::parse(amount).unwrap();
    app.context.accounts.grant(app.credentials.account, amount, None).await.unwrap();
}

fn credits_of(answer: &ApiResponse) -> [Option<&str>; 2] {
    [answer.header("X-Credits-Cost"), answer.header("X-Credits-Remaining")]
}

async fn each_new_row_costs_a_credit_and_a_batch_has_one_ledger_entry(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let rows: Vec<_> = (1..=70).map(todo).chain([step(1, 1, "open", "done")]).collect();
    let imported = import(&app, "", file(&rows)).await;
    assert_eq!(credits_of(&imported), [Some("71"), Some("29")]);
    let report = imported.expect(200);
    assert_eq!((&report["cost"], &report["balance"]), (&json!(71), &json!(29)));
    let ledger = app.get("/credits/ledger?reason=import").await.expect(200);
    let entries = ledger["entries"].as_array().unwrap().iter();
    let entries: Vec<_> = entries
        .map(|it| json!([it["delta"], it["balance_after"], it["related_endpoint"]]))
        .collect();
    let expected = [json!([-7, 29, "POST /import"]), json!([-64, 36, "POST /import"])];
    assert_eq!(entries, expected);
    // Rows that exist, lines with errors and actors cost nothing.
    let mut again = rows.clone();
    again.push(with(todo(71), "title", ""));
    again.push(step(2, 99, "open", "done"));
    let imported = import(&app, "", file(&again)).await;
    assert_eq!(credits_of(&imported), [Some("0"), Some("29")]);
    assert_eq!(imported.expect(200)["faulty"], 2);
    assert_eq!(app.get("/credits/ledger").await.expect(200)["total"], 3);
    assert_ledger_matches(&app).await;
}

async fn an_import_without_credits_left_can_be_resumed_later(database: TestDatabase) {
    let app = TestApp::start(database, 70).await;
    let file = file(&(1..=100).map(todo).collect::<Vec<_>>());
    let stopped = import(&app, "", file.clone()).await;
    assert_eq!(credits_of(&stopped), [Some("70"), Some("0")]);
    assert_answer!(stopped, @r#"
    402 Payment Required
    cache-control: no-store
    vary: authorization
    vary: x-api-key
    x-credits-cost: 70
    x-credits-remaining: 0

    {
      "type": "/docs/problems#insufficient-credits",
      "title": "Insufficient credits",
      "status": 402,
      "detail": "The balance of 0 credits does not cover the cost of 1. Lines up to 72 are imported. Send the file again: they are not written or charged twice.",
      "request_id": "a-test",
      "error": "The balance of 0 credits does not cover the cost of 1. Lines up to 72 are imported. Send the file again: they are not written or charged twice.",
      "balance": 0,
      "cost": 1,
      "import": {
        "dry_run": false,
        "lines": 72,
        "imported": {"sessions": 0, "todos": 70, "todo_logs": 0, "activities": 0},
        "already_imported": 0,
        "updated": 0,
        "unchanged": 0,
        "deleted": 0,
        "faulty": 0,
        "faults": [],
        "is_whole": false,
        "cost": 70,
        "balance": 0,
        "from_line": 73
      }
    }
    "#);
    let so_far = &stopped.json()["import"];
    assert_eq!((&so_far["imported"]["todos"], &so_far["from_line"]), (&json!(70), &json!(73)));
    assert_eq!(app.get("/todos").await.expect(200)["total"], 70);
    assert_ledger_matches(&app).await;

    grant(&app, 20).await;
    let stopped = import(&app, "?from_line=73", file.clone()).await.expect(402);
    assert_eq!(stopped["import"]["from_line"], 93);
    grant(&app, 20).await;
    let report = import(&app, "", file.clone()).await.expect(200);
    assert_eq!((&report["cost"], &report["already_imported"]), (&json!(10), &json!(90)));
    let report = import(&app, "", file).await.expect(200);
    assert_eq!((&report["cost"], &report["already_imported"]), (&json!(0), &json!(100)));
    assert_eq!(
        (balance(&app).await, app.get("/todos").await.expect(200)["total"].clone()),
        (10, json!(100))
    );
    assert_ledger_matches(&app).await;
}

async fn a_dry_run_writes_nothing(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    write_rows(&app).await;
    let mut file = exported(&app).await;
    file.push_str(&with(step(900, 9, "done", "cancelled"), "actor_id", 1).to_string());
    let other = app.as_another(10).await;
    other.get("/credits").await.expect(200);
    let before = app.database.dump().await;
    let dry_run = import(&other, "?dry_run=true", file.clone()).await;
    assert_eq!(credits_of(&dry_run), [Some("0"), Some("10")]);
    let dry_run = dry_run.expect(200);
    assert_eq!(app.database.dump().await, before);
    assert_eq!((&dry_run["cost"], &dry_run["is_covered"]), (&json!(211), &json!(false)));
    assert_eq!((&dry_run["balance"], &dry_run["dry_run"]), (&json!(10), &json!(true)));

    grant(&other, 201).await;
    let report = import(&other, "", file.clone()).await.expect(200);
    for same in ["lines", "imported", "already_imported", "faulty", "faults", "is_whole", "cost"] {
        assert_eq!(report[same], dry_run[same], "{same}");
    }
    assert_eq!((balance(&other).await, &report["faulty"]), (0, &json!(1)));
    let again = import(&other, "?dry_run=true", file).await.expect(200);
    assert_eq!((&again["cost"], &again["already_imported"]), (&json!(0), &json!(211)));
    assert_eq!(again["is_covered"], true);
    assert_ledger_matches(&app).await;
}

async fn a_dry_run_is_refused_with_the_same_error_as_the_import(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let own = exported(&app).await;
    assert_eq!(
        import(&app, "?dry_run=true", own).await.expect(422)["errors"][0]["field"],
        "source"
    );
    let typo = import(&app, "?dry_run=1", file(&[])).await.expect(400);
    assert_eq!(typo["errors"][0]["field"], "dry_run");
    app.database.execute("UPDATE accounts SET status = 'suspended'").await;
    import(&app, "?dry_run=true", file(&[todo(1)])).await.expect(403);
}

/// An import whose file is sent in pieces.
struct SlowImport(TcpStream);

impl SlowImport {
    async fn begin(app: &TestApp, key: &str) -> Self {
        let address = app.address.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /api/v1/import HTTP/1.1\r\nHost: roots\r\nX-API-Key: {key}\r\n\
             Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(stream)
    }

    async fn send(&mut self, text: &str) {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.0.write_all(chunk.as_bytes()).await.unwrap();
    }

    /// Ends the file and returns the raw answer. Panics after two minutes.
    async fn answer(mut self) -> String {
        self.0.write_all(b"0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let reading = self.0.read_to_string(&mut answer);
        timeout(Duration::from_mins(2), reading).await.expect("an answer in time").unwrap();
        answer
    }
}

async fn an_import_ends_when_its_key_ends(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let rows = |ids: std::ops::RangeInclusive<i64>| {
        ids.map(|id| todo(id).to_string() + "\n").collect::<String>()
    };
    let made = |expires_at: Value| {
        let app = &app;
        async move {
            let new = json!({ "actor_id": 1, "expires_at": expires_at });
            app.post("/keys", &new).await.expect(201)
        }
    };
    let count = async || app.get("/todos").await.expect(200)["total"].as_i64().unwrap();
    let (revoked, expired) = (made(Value::Null).await, made(json!(app.context.clock_in(60))).await);
    for (first, key, how) in [(1, revoked, "revoked"), (1_001, expired, "expired")] {
        let before = count().await;
        let mut sending = SlowImport::begin(&app, key["api_key"].as_str().unwrap()).await;
        sending.send(&format!("{HEADER}\n{OWNER}\n")).await;
        sending.send(&rows(first..=first + 63)).await;
        until("the first batch is in", async || count().await == before + 64).await;
        if how == "revoked" {
            app.delete(&format!("/keys/{}", key["key_id"])).await.expect(200);
        } else {
            app.context.clock.advance_seconds(60);
        }
        sending.send(&rows(first + 64..=first + 200)).await;
        let answer = sending.answer().await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{how}: {answer}");
        assert!(answer.contains("\"from_line\":67"), "{how}: {answer}");
        assert_eq!(count().await, before + 64, "{how}");
    }
    assert_ledger_matches(&app).await;
}

async fn an_import_limits_its_lines_but_not_its_size(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let long = "\u{1}".repeat(65_536);
    let mut rows: Vec<_> =
        (1..=20).map(|id| with(todo(id), "description", long.as_str())).collect();
    rows.insert(3, with(todo(99), "description", "x".repeat(1024 * 1024)));
    let report = import(&app, "", file(&rows)).await.expect(200);
    assert_eq!((&report["imported"]["todos"], &report["faulty"]), (&json!(20), &json!(1)));
    assert_eq!(report["faults"][0]["line"], 6);
    assert_eq!(app.get("/todos/20").await.expect(200)["description"], long.as_str());
}
