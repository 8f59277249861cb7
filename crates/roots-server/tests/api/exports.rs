//! Exporting all rows of an account as a file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reqwest::Method;
use roots_domain::command::Refusal;
use roots_domain::model::todo::TodoStatus;
use roots_domain::service::ReadError;
use roots_domain::service::exports::{Export, Record};
use roots_testkit::app::{TestApp, send};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::client::balance;

roots_testkit::on_both! {
    an_export_holds_every_row,
    a_row_that_exists_throughout_is_exported_once,
    an_export_crosses_wide_gaps_between_ids,
    a_damaged_text_does_not_end_an_export,
    an_export_with_a_missing_wrap_holds_other_texts_and_an_error_line,
    an_owners_export_is_in_the_audit_log,
    an_unread_export_blocks_no_other_request,
    a_revoked_key_ends_its_export,
    a_suspended_account_without_credits_is_exported,
}

fn lines(file: &str) -> Vec<Value> {
    assert!(file.ends_with('\n'), "the last line is complete");
    file.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

async fn an_export_holds_every_row(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let owner = app.context.admit(&app.credentials).await;
    let member = add_member(&app.database, &owner, 2).await;
    let as_member = |path: &str| {
        app.unauthenticated(Method::GET, &format!("/api/v1{path}"))
            .header("X-API-Key", member.expose_secret())
    };
    for number in 0..130 {
        app.post("/sessions", &json!({ "notes": format!("session {number} \u{1f980}") })).await;
        let link = json!({ "title": format!("todo {number}"), "session_id": number + 1 });
        app.post("/todos", &link).await.expect(201);
        app.post("/activities", &json!({ "description": format!("activity {number}") })).await;
    }
    for (status, note) in [("in_progress", "begun"), ("done", "done"), ("open", "not quite")] {
        app.patch("/todos/7", &json!({ "status": status, "note": note })).await.expect(200);
    }
    app.patch("/sessions/3", &json!({ "status": "ended" })).await.expect(200);
    let as_its_own = send(
        app.unauthenticated(Method::POST, "/api/v1/todos")
            .header("X-API-Key", member.expose_secret())
            .json(&json!({ "title": "the member's" })),
    );
    as_its_own.await.expect(201);
    let left = balance(&app).await;

    let answer = app.get("/export").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("etag"), None);
    let account = app.credentials.account;
    let name = format!("attachment; filename=\"roots-{account}-20260409T140000Z.jsonl\"");
    assert_eq!(answer.header("content-disposition"), Some(name.as_str()));
    let file = lines(&answer.text);
    assert_eq!(file[0]["kind"], "export");
    let end = file.last().unwrap();
    let counts = json!({
        "actors": 2, "sessions": 130, "todos": 131, "todo_logs": 3, "activities": 130
    });
    assert_eq!(*end, json!({ "kind": "end", "counts": counts, "total": 396, "unreadable": 0 }));
    assert_eq!(file.len(), 398);
    assert_eq!(balance(&app).await, left, "an export costs nothing");

    // Each line is the answer of the API for the row, plus its kind.
    for (kind, path, id) in [
        ("session", "/sessions", "session_id"),
        ("todo", "/todos", "todo_id"),
        ("activity", "/activities", "activity_id"),
    ] {
        let mut last = 0;
        for line in of_kind(&file, kind) {
            let at = line[id].as_i64().unwrap();
            assert!(at > last, "{kind} {at} comes after {last}");
            last = at;
            if [1, 3, 7, 64, 65, 130].contains(&at) {
                let mut listed = line.clone();
                listed
                    .as_object_mut()
                    .unwrap()
                    .retain(|name, _| name != "kind" && name != "first_status");
                let mut shown = app.get(&format!("{path}/{at}")).await.expect(200);
                // Claims are not exported; a duration and the time of a status follow from others.
                for name in ["claim", "duration_seconds", "status_since"] {
                    shown.as_object_mut().unwrap().remove(name);
                }
                assert_eq!(listed, shown);
            }
        }
    }
    let logs: Vec<_> =
        of_kind(&file, "todo_log").into_iter().map(|log| log["note"].clone()).collect();
    assert_eq!(logs, ["begun", "done", "not quite"]);

    let own = lines(&send(as_member("/export")).await.text);
    assert_eq!(own[0]["actor_id"], 2);
    assert_eq!(of_kind(&own, "todo").len(), 1);
    assert_eq!(own.len(), 4);
    let named = lines(&app.get("/export?actor_id=2").await.text);
    assert_eq!(named[1..], own[1..]);
    assert_eq!(send(as_member("/export?actor_id=1")).await.status, 403);
    assert_eq!(lines(&app.get("/export?actor_id=9").await.text).len(), 2, "there is no such actor");
}

async fn begin(app: &TestApp) -> Export {
    let caller = app.context.admit(&app.credentials).await;
    let lookup = app.context.access.parse_key(&app.credentials.api_key).unwrap().lookup;
    app.context.exports.begin(Arc::new(caller), lookup, None).await.unwrap()
}

/// Writes a row of each kind.
async fn write_rows(app: &TestApp, text: &str) {
    app.post("/sessions", &json!({})).await.expect(201);
    app.post("/todos", &json!({ "title": text })).await.expect(201);
    app.post("/activities", &json!({ "description": text })).await.expect(201);
}

/// Between the pieces of the export, rows are created, changed and deleted.
async fn a_row_that_exists_throughout_is_exported_once(database: TestDatabase) {
    let app = TestApp::start(database, 10_000).await;
    for _ in 0..150 {
        write_rows(&app, "x").await;
    }
    let mut export = begin(&app).await;
    let mut ids_by_kind: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut steps: BTreeMap<i64, Vec<(TodoStatus, TodoStatus)>> = BTreeMap::new();
    let mut round = 0;
    while let Some(records) = export.next().await.unwrap() {
        for record in records {
            let (kind, id) = match record {
                Record::Actor(_) => continue,
                Record::Session(session) => ("session", session.id.0),
                Record::Todo(todo, first) => {
                    steps.insert(todo.id.0, vec![(first, first)]);
                    ("todo", todo.id.0)
                }
                Record::Step(_, step) => {
                    let so_far =
                        steps.get_mut(&step.todo.0).expect("the todo comes before its log");
                    so_far.push((step.old_status, step.new_status));
                    continue;
                }
                Record::Activity(activity) => ("activity", activity.id.0),
            };
            ids_by_kind.entry(kind).or_default().push(id);
        }
        round += 1;
        // Even ids are deleted and odd ones changed, from both ends of the rows.
        for id in [2 * round, 150 - 2 * (round - 1)] {
            app.patch(&format!("/sessions/{}", id - 1), &json!({ "status": "ended" })).await;
            app.patch(&format!("/todos/{}", id - 1), &json!({ "status": "done" })).await;
            for path in ["sessions", "todos", "activities"] {
                app.delete(&format!("/{path}/{id}")).await.expect(200);
            }
        }
        write_rows(&app, "new").await;
    }
    assert!(round > 8, "the export has several pieces");
    for (kind, ids) in ids_by_kind {
        assert!(ids.is_sorted_by(|one, next| one < next), "{kind}: {ids:?}");
        assert!(
            ids.iter().all(|id| *id <= 150),
            "{kind}: rows created after the start are left out"
        );
        let odd: BTreeSet<_> = ids.iter().copied().filter(|id| id % 2 == 1).collect();
        assert_eq!(odd, (1..150).step_by(2).collect(), "{kind}");
    }
    for (todo, steps) in steps {
        assert!(steps.windows(2).all(|pair| pair[0].1 == pair[1].0), "{todo}: {steps:?}");
    }
}

async fn an_export_crosses_wide_gaps_between_ids(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    write_rows(&app, "x").await;
    // The next ids are far higher, as if the rows between had been deleted.
    app.database
        .execute("UPDATE accounts SET last_session_id = 34567, last_todo_id = 1234567")
        .await;
    write_rows(&app, "x").await;
    let file = lines(&app.get("/export").await.text);
    let ids = |kind, id: &str| -> Vec<_> {
        of_kind(&file, kind).into_iter().map(|line| line[id].as_i64().unwrap()).collect()
    };
    assert_eq!(ids("session", "session_id"), [1, 34_568]);
    assert_eq!(ids("todo", "todo_id"), [1, 1_234_568]);
    let own = lines(&app.get("/export?actor_id=1").await.text);
    assert_eq!(own.len(), file.len());
}

async fn a_damaged_text_does_not_end_an_export(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    for number in 1..=3 {
        app.post("/sessions", &json!({ "notes": format!("secret {number}") })).await.expect(201);
        app.post("/todos", &json!({ "title": "t", "description": "d" })).await.expect(201);
        app.post("/activities", &json!({ "description": "a" })).await.expect(201);
    }
    app.patch("/todos/2", &json!({ "status": "done", "note": "n" })).await.expect(200);
    let other_row = |table: &str, column: &str, id: &str| {
        format!(
            "UPDATE {table} SET {column} = (SELECT o.{column} FROM {table} o WHERE o.{id} = 1) WHERE {id} = 2"
        )
    };
    app.database.execute(&other_row("sessions", "notes", "session_id")).await;
    app.database.execute(&other_row("todos", "title", "todo_id")).await;
    app.database.execute(&other_row("activities", "description", "activity_id")).await;
    app.database
        .execute("UPDATE todo_logs SET note = (SELECT notes FROM sessions WHERE session_id = 1)")
        .await;
    let file = lines(&app.get("/export").await.text);
    let damaged: Vec<_> = file
        .iter()
        .filter(|line| line["unreadable"].is_array())
        .map(|line| (line["kind"].as_str().unwrap(), line["unreadable"].to_string()))
        .collect();
    let expected = [
        ("session", r#"["notes"]"#),
        ("todo", r#"["title"]"#),
        ("todo_log", r#"["note"]"#),
        ("activity", r#"["description"]"#),
    ];
    assert_eq!(damaged, expected.map(|(kind, fields)| (kind, fields.to_owned())));
    let end = file.last().unwrap();
    assert_eq!((&end["total"], &end["unreadable"]), (&json!(11), &json!(4)));
    let todo = of_kind(&file, "todo")[1].clone();
    assert_eq!((&todo["title"], &todo["description"]), (&Value::Null, &json!("d")));
}

async fn an_export_with_a_missing_wrap_holds_other_texts_and_an_error_line(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let owner = app.context.admit(&app.credentials).await;
    add_member(&app.database, &owner, 2).await;
    let theirs = json!({ "description": "theirs", "actor_id": 2 });
    app.post("/activities", &theirs).await.expect(201);
    app.post("/activities", &json!({ "description": "own" })).await.expect(201);
    app.database
        .execute("DELETE FROM key_wraps WHERE holder_kind = 'account' AND subject_id = 2")
        .await;
    let file = lines(&app.get("/export").await.text);
    let texts: Vec<_> =
        of_kind(&file, "activity").iter().map(|line| line["description"].clone()).collect();
    assert_eq!(texts, [Value::Null, json!("own")]);
    let end = file.last().unwrap();
    assert_eq!(
        (&end["kind"], &end["type"]),
        (&json!("error"), &json!("/docs/problems#internal-error"))
    );
    assert!(of_kind(&file, "end").is_empty(), "an incomplete export has no end line");
    // An export that does not need the missing wrap is complete.
    let own = lines(&app.get("/export?actor_id=1").await.text);
    assert_eq!(own.last().unwrap()["kind"], "end");
}

async fn an_owners_export_is_in_the_audit_log(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let owner = app.context.admit(&app.credentials).await;
    let member = add_member(&app.database, &owner, 2).await;
    app.get("/export").await;
    app.get("/export?actor_id=2").await;
    assert_eq!(send(app.request(Method::HEAD, "/export")).await.status, 200);
    let as_member = app.unauthenticated(Method::GET, "/api/v1/export");
    assert_eq!(send(as_member.header("X-API-Key", member.expose_secret())).await.status, 200);
    let audit_log = app.get("/audit").await.expect(200);
    let noted: Vec<_> = audit_log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["action"], it["actor_id"], it["key_id"], it["subject_actor_id"]]))
        .collect();
    assert_eq!(noted, [json!(["exported", 1, 1, 2]), json!(["exported", 1, 1, null])]);
}

async fn an_unread_export_blocks_no_other_request(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let long = "x".repeat(60_000);
    for _ in 0..200 {
        app.post("/activities", &json!({ "description": long })).await.expect(201);
    }
    let mut unread = Vec::new();
    for _ in 0..2 {
        let response = app.request(Method::GET, "/export").send().await.unwrap();
        assert_eq!(response.status(), 200);
        unread.push(response);
    }
    let refused = app.get("/export").await;
    assert_eq!((refused.status, refused.header("Retry-After")), (429, Some("10")));
    app.get("/activities?limit=1").await.expect(200);
    app.post("/activities", &json!({ "description": "meanwhile" })).await.expect(201);
    let file = unread.pop().unwrap().text().await.unwrap();
    assert_eq!(lines(&file).last().unwrap()["counts"]["activities"], 200);
}

async fn a_revoked_key_ends_its_export(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let mut export = begin(&app).await;
    assert!(export.next().await.unwrap().is_some());
    // If another key of the account ends, the export goes on.
    app.database.execute("UPDATE accounts SET auth_epoch = auth_epoch + 1").await;
    assert!(export.next().await.unwrap().is_some());
    app.database.execute("UPDATE api_keys SET ends_at = 1").await;
    app.database.execute("UPDATE accounts SET auth_epoch = auth_epoch + 1").await;
    assert_eq!(export.next().await, Err(ReadError::Refused(Refusal::KeyNotInForce)));
}

async fn a_suspended_account_without_credits_is_exported(database: TestDatabase) {
    let app = TestApp::start(database, 1).await;
    app.post("/todos", &json!({ "title": "the last credit" })).await.expect(201);
    app.database.execute("UPDATE accounts SET status = 'suspended'").await;
    let file = lines(&app.get("/export").await.text);
    assert_eq!(file.last().unwrap()["total"], 2);
}
