//! Files that come in again.

use std::collections::BTreeMap;

use reqwest::Method;
use roots_testkit::app::{Answer, App, send};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::client::{balance, confirm};

roots_testkit::on_both! {
    what_was_exported_comes_in_as_it_was,
    what_comes_in_again_is_not_written_again,
    a_file_that_was_cut_goes_on_where_it_was,
    a_line_with_faults_is_told_and_leaves_the_others_alone,
    everything_may_become_one_actors,
    what_an_account_has_does_not_come_in_again,
    what_an_owner_imports_stands_in_the_trail,
    an_import_is_the_owners_and_costs_nothing,
    lines_are_bounded_and_a_body_is_not,
}

pub(crate) async fn import(app: &App, query: &str, file: impl Into<String>) -> Answer {
    let request = app.request(Method::POST, &format!("/import{query}"));
    send(request.header("content-type", "application/x-ndjson").body(file.into())).await
}

pub(crate) async fn exported(app: &App) -> String {
    let answer = app.get("/export").await;
    assert_eq!(answer.status, 200);
    answer.text
}

pub(crate) fn lines(file: &str) -> Vec<Value> {
    file.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// A file as it would be, had its ids been given in another account: each kind counted from 1.
pub(crate) fn renumbered(file: &str) -> Vec<Value> {
    let mut ids: BTreeMap<(String, i64), i64> = BTreeMap::new();
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    let mut told = Vec::new();
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
        told.push(line);
    }
    told
}

/// A life of some variety: gaps in the ids, links, logs, ends, texts of every kind.
async fn live(app: &App) {
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
        app.world.clock.advance_seconds(61);
    }
    app.post("/sessions", &json!({})).await.expect(201);
    for (id, status) in
        [(3, "in_progress"), (3, "done"), (3, "open"), (9, "cancelled"), (64, "done")]
    {
        app.world.clock.advance_seconds(7);
        let change = json!({ "status": status, "note": format!("to {status}") });
        app.patch(&format!("/todos/{id}"), &change).await.expect(200);
    }
    app.patch("/sessions/5", &json!({ "status": "ended", "notes": null })).await.expect(200);
    for path in ["/sessions/2", "/todos/7", "/todos/69", "/activities/1", "/sessions/70"] {
        app.delete(path).await.expect(200);
    }
}

async fn what_was_exported_comes_in_as_it_was(database: TestDatabase) {
    let app = App::start(database, 1_000).await;
    live(&app).await;
    let file = exported(&app).await;
    let other = app.as_another(10).await;
    let told = import(&other, "", file.clone()).await.expect(200);
    let counts = json!({ "sessions": 69, "todos": 68, "todo_logs": 5, "activities": 69 });
    assert_eq!(told["imported"], counts, "{told}");
    assert_eq!((&told["faulty"], &told["is_whole"]), (&json!(0), &json!(true)));
    assert_eq!(told["lines"], lines(&file).len());

    let again = exported(&other).await;
    assert_eq!(renumbered(&again), renumbered(&file));
    assert_eq!(balance(&other).await, 10);
    for path in ["/activities/stats", "/activities/stats?since=2025-01-03&until=2025-01-20"] {
        assert_eq!(other.get(path).await.expect(200), app.get(path).await.expect(200));
    }
    assert_eq!(other.get("/todos?status=done").await.expect(200)["total"], 1);
    let (_, faults) = roots_domain::port::store::Auditor::audit(&other.world.store).await.unwrap();
    assert_eq!(faults, []);
}

async fn what_comes_in_again_is_not_written_again(database: TestDatabase) {
    let app = App::start(database, 1_000).await;
    live(&app).await;
    let file = exported(&app).await;
    let other = app.as_another(10).await;
    import(&other, "", file.clone()).await.expect(200);
    let first = exported(&other).await;
    // What was deleted since does not come back, and nothing finds fault with that.
    other.delete("/sessions/1").await.expect(200);
    let told = import(&other, "", file.clone()).await.expect(200);
    assert_eq!(told["already_imported"], 69 + 68 + 5 + 69);
    assert_eq!(told["faulty"], 0);
    assert_eq!(lines(&exported(&other).await).len(), lines(&first).len() - 1);
    // What is new since comes in beside it, linked to what came before.
    let link = json!({ "title": "later", "session_id": 6 });
    app.post("/todos", &link).await.expect(201);
    let told = import(&other, "", exported(&app).await).await.expect(200);
    assert_eq!(told["imported"]["todos"], 1);
    let newest = other.get("/todos/69").await.expect(200);
    assert_eq!((&newest["title"], &newest["session_id"]), (&json!("later"), &json!(5)));
}

async fn a_file_that_was_cut_goes_on_where_it_was(database: TestDatabase) {
    let app = App::start(database, 1_000).await;
    live(&app).await;
    let file = exported(&app).await;
    let whole = app.as_another(10).await;
    import(&whole, "", file.clone()).await.expect(200);
    let other = app.as_another(10).await;
    let count = lines(&file).len();
    for cut in [2, 5, 71, 80, 100, 140, 150, count - 1] {
        let part: Vec<_> = file.lines().take(cut).collect();
        let told = import(&other, "", part.join("\n")).await.expect(200);
        assert_eq!(
            (&told["faulty"], &told["is_whole"]),
            (&json!(0), &json!(false)),
            "{cut}: {told}"
        );
    }
    let told =
        import(&other, &format!("?from_line={}", count - 30), file.clone()).await.expect(200);
    assert_eq!(told["is_whole"], true);
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

async fn a_line_with_faults_is_told_and_leaves_the_others_alone(database: TestDatabase) {
    let app = App::start(database, 10).await;
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
        ]) + "{\"kind\":\n\n" + &todo(5).to_string(),
    )
    .await;
    confirm("an_import_with_faults", &answer);
    assert_eq!(app.get("/todos").await.expect(200)["total"], 2);
    let done = app.get("/todos/1").await.expect(200);
    assert_eq!((&done["status"], &done["session_id"]), (&json!("done"), &json!(1)));
    for (what, body) in [
        ("no_header", todo(1).to_string()),
        ("another_format", HEADER.replace(":1,", ":2,")),
        ("no_lines", String::new()),
    ] {
        confirm(&format!("an_import_with_{what}"), &import(&app, "", body).await);
    }
    let request = app.request(Method::POST, "/import").json(&json!({}));
    confirm("an_import_of_another_type", &send(request).await);
    confirm("an_import_with_a_typo", &import(&app, "?from=3&actor_id=x", HEADER).await);
    confirm("an_import_for_nobody", &import(&app, "?actor_id=9", HEADER).await);
}

async fn everything_may_become_one_actors(database: TestDatabase) {
    let app = App::start(database, 100).await;
    let owner = app.world.admit(&app.credentials).await;
    add_member(&app.database, &owner, 2).await;
    let told = import(&app, "?actor_id=2", file(&[todo(1)])).await.expect(200);
    assert_eq!(told["imported"]["todos"], 1);
    assert_eq!(app.get("/todos/1").await.expect(200)["actor_id"], 2);
}

async fn what_an_account_has_does_not_come_in_again(database: TestDatabase) {
    let app = App::start(database, 10).await;
    app.post("/todos", &json!({ "title": "mine" })).await.expect(201);
    let file = exported(&app).await;
    for query in ["", "?actor_id=1"] {
        let refused = import(&app, query, file.clone()).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], "source");
    }
    assert_eq!(app.get("/todos").await.expect(200)["total"], 1);
}

async fn what_an_owner_imports_stands_in_the_trail(database: TestDatabase) {
    let app = App::start(database, 10).await;
    let owner = app.world.admit(&app.credentials).await;
    add_member(&app.database, &owner, 2).await;
    import(&app, "", file(&[todo(1)])).await.expect(200);
    import(&app, "?actor_id=2", file(&[])).await.expect(200);
    // What is refused is not noted.
    import(&app, "?actor_id=9", file(&[todo(2)])).await.expect(422);
    import(&app, "", todo(2).to_string()).await.expect(422);
    let trail = app.get("/audit").await.expect(200);
    let entries = trail["entries"].as_array().unwrap().iter();
    let told = |it: &Value| json!([it["action"], it["actor_id"], it["subject_actor_id"]]);
    let noted: Vec<_> = entries.map(told).collect();
    assert_eq!(noted, [json!(["imported", 1, 2]), json!(["imported", 1, null])]);
    let (_, faults) = roots_domain::port::store::Auditor::audit(&app.world.store).await.unwrap();
    assert_eq!(faults, []);
}

async fn an_import_is_the_owners_and_costs_nothing(database: TestDatabase) {
    let app = App::start(database, 0).await;
    let owner = app.world.admit(&app.credentials).await;
    let member = add_member(&app.database, &owner, 2).await;
    import(&app, "", file(&[todo(1)])).await.expect(200);
    assert_eq!(app.get("/credits/ledger").await.expect(200)["total"], 0);
    let as_member = app
        .stranger(Method::POST, "/api/v1/import")
        .header("X-API-Key", member.expose_secret())
        .header("X-Request-Id", "a-test")
        .header("content-type", "application/x-ndjson");
    confirm("a_members_import", &send(as_member.body(file(&[todo(2)]))).await);
    app.database.execute("UPDATE accounts SET status = 'suspended'").await;
    confirm("a_suspended_accounts_import", &import(&app, "", file(&[todo(2)])).await);
    assert_eq!(app.get("/todos").await.expect(200)["total"], 1);
}

async fn lines_are_bounded_and_a_body_is_not(database: TestDatabase) {
    let app = App::start(database, 0).await;
    let long = "\u{1}".repeat(65_536);
    let mut rows: Vec<_> =
        (1..=20).map(|id| with(todo(id), "description", long.as_str())).collect();
    rows.insert(3, with(todo(99), "description", "x".repeat(1024 * 1024)));
    let told = import(&app, "", file(&rows)).await.expect(200);
    assert_eq!((&told["imported"]["todos"], &told["faulty"]), (&json!(20), &json!(1)));
    assert_eq!(told["faults"][0]["line"], 6);
    assert_eq!(app.get("/todos/20").await.expect(200)["description"], long.as_str());
}
