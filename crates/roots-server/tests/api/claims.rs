//! Claims over HTTP, and sessions that are silent.

use reqwest::Method;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::client::balance;

roots_testkit::on_both! {
    a_claimed_todo_is_answered_flat_with_its_deadline_and_shown_without_it,
    a_claim_that_finds_nothing_is_204_and_free,
    a_held_todo_is_409_with_the_time_until_which_it_is_held,
    a_lost_claim_is_409_free_and_says_what_happened,
    a_write_with_the_token_or_of_the_session_keeps_a_claim_alive_and_moves_no_etag,
    a_lapsed_claim_is_told_in_the_log_of_its_todo,
    a_repeated_claim_is_replayed_with_its_first_deadline,
    an_owner_claims_for_a_member,
    claims_are_not_exported,
    a_faulty_claim_is_refused_with_every_error,
    an_idle_session_says_why_it_takes_no_writes,
}

async fn todos(app: &TestApp, count: usize) {
    for _ in 0..count {
        app.post("/todos", &json!({ "title": "Write the tests" })).await.expect(201);
    }
}

async fn claim(app: &TestApp, body: Value) -> ApiResponse {
    app.post("/todos/claim", &body).await
}

/// The deadline of a claim that is made now.
fn until(app: &TestApp, lease_seconds: i64) -> Value {
    app.context.clock_in(lease_seconds + 60).into()
}

fn kind(answer: &ApiResponse) -> String {
    answer.json()["type"].as_str().unwrap().to_owned()
}

async fn a_claimed_todo_is_answered_flat_with_its_deadline_and_shown_without_it(
    database: TestDatabase,
) {
    let app = TestApp::start(database, 100).await;
    todos(&app, 1).await;
    app.post("/sessions", &json!({})).await.expect(201);
    let opened = app.get("/todos/1").await.expect(200);
    assert_eq!(opened["claim"], Value::Null);
    app.context.clock.advance_seconds(30);
    let answer = claim(&app, json!({ "session_id": 1 })).await;
    assert_eq!(answer.header("x-credits-cost"), Some("1"));
    let tag = answer.header("etag").unwrap().to_owned();
    let mut claimed = answer.expect(200);
    assert_eq!(claimed["until"], until(&app, 7_200));
    assert_eq!(claimed["status"], "in_progress");
    assert_eq!(claimed["session_id"], 1);
    let shown = json!({
        "token": 1,
        "session_id": 1,
        "claimed_at": app.context.clock_in(0),
        "lease_seconds": 7200
    });
    assert_eq!(claimed["claim"], shown);
    let listed = app.get("/todos").await.expect(200);
    assert_eq!(listed["todos"][0], claimed);
    claimed.as_object_mut().unwrap().remove("until");
    let got = app.get("/todos/1").await;
    assert_eq!(got.header("etag"), Some(tag.as_str()));
    assert_eq!(got.expect(200), claimed);
    let log = app.get("/todos/1/logs").await.expect(200);
    assert_eq!(log["logs"].as_array().unwrap().len(), 1);
    assert_eq!(log["logs"][0]["new_status"], "in_progress");
    let done = json!({ "status": "done", "claim_token": 1 });
    let done = app.patch("/todos/1", &done).await.expect(200);
    assert_eq!((&done["status"], &done["claim"]), (&json!("done"), &Value::Null));
    assert_eq!(app.get("/todos").await.expect(200)["todos"][0]["until"], Value::Null);
}

async fn a_claim_that_finds_nothing_is_204_and_free(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let answer = app.call(Method::POST, "/todos/claim", None).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(answer.header("x-credits-cost"), Some("0"));
    assert_eq!(answer.header("x-credits-remaining"), Some("100"));
    let entries = app.get("/credits/ledger").await.expect(200);
    assert_eq!(entries["total"], 1);
}

async fn a_held_todo_is_409_with_the_time_until_which_it_is_held(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    todos(&app, 3).await;
    claim(&app, json!({ "todo_id": 1, "lease_seconds": 60 })).await.expect(200);
    let before = balance(&app).await;
    let held = claim(&app, json!({ "todo_id": 1 })).await;
    assert_eq!((held.status, kind(&held).as_str()), (409, "/docs/problems#conflict"));
    assert_eq!(held.json()["until"], until(&app, 60));
    app.patch("/todos/2", &json!({ "status": "done" })).await.expect(200);
    let done = claim(&app, json!({ "todo_id": 2 })).await;
    assert_eq!((done.status, kind(&done).as_str()), (409, "/docs/problems#conflict"));
    assert_eq!(done.json().get("until"), None);
    claim(&app, json!({ "todo_id": 9 })).await.expect(404);
    assert_eq!(balance(&app).await, before - 1);
    // Without a claim it may be in progress, and is then taken by its name alone.
    app.patch("/todos/3", &json!({ "status": "in_progress" })).await.expect(200);
    assert_eq!(claim(&app, json!({})).await.status, 204);
    let taken = claim(&app, json!({ "todo_id": 3 })).await.expect(200);
    assert_eq!(taken["claim"]["token"], 1);
    let log = app.get("/todos/3/logs").await.expect(200);
    assert_eq!(log["logs"].as_array().unwrap().len(), 1);
}

async fn a_lost_claim_is_409_free_and_says_what_happened(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    todos(&app, 1).await;
    claim(&app, json!({ "lease_seconds": 60 })).await.expect(200);
    app.context.clock.advance_seconds(120);
    assert_eq!(claim(&app, json!({})).await.expect(200)["claim"]["token"], 2);
    let before = balance(&app).await;
    for token in [1, 3] {
        let patch = json!({ "status": "done", "claim_token": token });
        let refused = [
            app.patch("/todos/1", &patch).await,
            app.delete(&format!("/todos/1?claim_token={token}")).await,
            app.post("/todos/1/release", &json!({ "claim_token": token })).await,
        ];
        for answer in refused {
            assert_eq!((answer.status, kind(&answer).as_str()), (409, "/docs/problems#claim-lost"));
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            let fate = if token == 1 { "claim 2 stands now" } else { "claims so far: 2" };
            assert!(detail.contains(fate), "{detail}");
        }
    }
    assert_eq!(balance(&app).await, before);
    let released = app.post("/todos/1/release", &json!({ "claim_token": 2 })).await.expect(200);
    assert_eq!((&released["status"], &released["claim"]), (&json!("open"), &Value::Null));
    let again = app.post("/todos/1/release", &json!({ "claim_token": 2 })).await;
    assert!(again.json()["detail"].as_str().unwrap().contains("the todo is open"));
    assert_eq!(claim(&app, json!({})).await.expect(200)["claim"]["token"], 3);
    app.delete("/todos/1?claim_token=3").await.expect(200);
}

async fn a_write_with_the_token_or_of_the_session_keeps_a_claim_alive_and_moves_no_etag(
    database: TestDatabase,
) {
    let app = TestApp::start(database, 100).await;
    todos(&app, 1).await;
    app.post("/sessions", &json!({})).await.expect(201);
    let body = json!({ "session_id": 1, "lease_seconds": 60 });
    let tag = claim(&app, body).await.header("etag").unwrap().to_owned();
    // It has lapsed, and lives again.
    app.context.clock.advance_seconds(600);
    let alone = app.patch("/todos/1", &json!({ "claim_token": 1 })).await;
    assert_eq!((alone.status, alone.header("etag")), (200, Some(tag.as_str())));
    assert_eq!(claim(&app, json!({})).await.status, 204);
    let listed = app.get("/todos").await.expect(200);
    assert_eq!(listed["todos"][0]["until"], until(&app, 60));
    app.context.clock.advance_seconds(600);
    let worked = json!({ "description": "Wrote one", "session_id": 1 });
    app.post("/activities", &worked).await.expect(201);
    assert_eq!(claim(&app, json!({})).await.status, 204);
    let listed = app.get("/todos").await.expect(200);
    assert_eq!(listed["todos"][0]["until"], until(&app, 60));
    assert_eq!(app.get("/todos/1").await.header("etag"), Some(tag.as_str()));
    let sessions = app.get("/sessions").await.expect(200);
    assert_eq!(sessions["sessions"][0]["last_active_at"], app.context.clock_in(0));
    let session = app.get("/sessions/1").await.expect(200);
    assert_eq!(session.get("last_active_at"), None);
    // Without its session it lives on for its lease.
    app.delete("/sessions/1").await.expect(200);
    app.context.clock.advance_seconds(119);
    assert_eq!(claim(&app, json!({})).await.status, 204);
    app.context.clock.advance_seconds(1);
    let taken = claim(&app, json!({})).await.expect(200);
    assert_eq!(taken["claim"]["token"], 2);
}

async fn a_lapsed_claim_is_told_in_the_log_of_its_todo(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    todos(&app, 1).await;
    claim(&app, json!({ "lease_seconds": 60 })).await.expect(200);
    app.context.clock.advance_seconds(120);
    claim(&app, json!({})).await.expect(200);
    let log = app.get("/todos/1/logs").await.expect(200);
    let steps: Vec<_> = log["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| json!([step["old_status"], step["new_status"], step["note"]]))
        .collect();
    let expected = [
        json!(["open", "in_progress", null]),
        json!(["in_progress", "open", "claim lapsed"]),
        json!(["open", "in_progress", null]),
    ];
    assert_eq!(steps, expected);
}

async fn a_repeated_claim_is_replayed_with_its_first_deadline(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let ask = async || {
        let request = app.request(Method::POST, "/todos/claim");
        send(request.header("Idempotency-Key", "mine").json(&json!({}))).await
    };
    assert_eq!(ask().await.status, 204);
    todos(&app, 2).await;
    let first = ask().await;
    assert_eq!(first.header("idempotent-replayed"), None, "an empty answer is not kept");
    app.context.clock.advance_seconds(300);
    app.patch("/todos/1", &json!({ "claim_token": 1, "priority": 3 })).await.expect(200);
    let again = ask().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(200), first.expect(200));
}

async fn an_owner_claims_for_a_member(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let owner = app.context.admit(&app.credentials).await;
    let key = add_member(&app.database, &owner, 2).await;
    for _ in 0..2 {
        let todo = json!({ "title": "theirs", "actor_id": 2 });
        app.post("/todos", &todo).await.expect(201);
    }
    assert_eq!(claim(&app, json!({})).await.status, 204);
    assert_eq!(claim(&app, json!({ "actor_id": 2 })).await.expect(200)["todo_id"], 1);
    assert_eq!(
        claim(&app, json!({ "todo_id": 2, "lease_seconds": 60 })).await.expect(200)["actor_id"],
        2
    );
    claim(&app, json!({ "todo_id": 2, "actor_id": 1 })).await.expect(404);
    app.context.clock.advance_seconds(120);
    let by_member = |path: &str| {
        let request = app.unauthenticated(Method::POST, &format!("/api/v1{path}"));
        request.header("X-API-Key", key.expose_secret())
    };
    let theirs = send(by_member("/todos/claim").json(&json!({}))).await.expect(200);
    assert_eq!((&theirs["todo_id"], &theirs["claim"]["token"]), (&json!(2), &json!(2)));
    let refused = send(by_member("/todos/claim").json(&json!({ "actor_id": 1 }))).await;
    assert_eq!(kind(&refused), "/docs/problems#owner-only");
    // The note of the lapse opens to both.
    let log = app.get("/todos/2/logs").await.expect(200);
    assert_eq!(log["logs"][1]["note"], "claim lapsed");
}

async fn claims_are_not_exported(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    todos(&app, 1).await;
    claim(&app, json!({})).await.expect(200);
    let exported = app.get("/export").await.text;
    let todo = exported.lines().find(|line| line.contains(r#""kind":"todo""#)).unwrap();
    assert!(todo.contains(r#""status":"in_progress""#) && !todo.contains("claim"), "{todo}");
}

async fn a_faulty_claim_is_refused_with_every_error(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let body = json!({
        "todo_id": 0, "session_id": "1", "min_priority": 4, "lease_seconds": 59, "actor_id": -1,
        "todo": 1,
    });
    let errors = claim(&app, body).await.expect(422)["errors"].clone();
    let mut fields: Vec<_> =
        errors.as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        ["actor_id", "lease_seconds", "min_priority", "session_id", "todo", "todo_id"]
    );
    app.post("/todos/1/release", &json!({})).await.expect(422);
    app.delete("/todos/1?claim_token=x").await.expect(400);
    claim(&app, json!({ "session_id": 7 })).await.expect(422);
}

async fn an_idle_session_says_why_it_takes_no_writes(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "Begun" })).await.expect(201);
    app.context.clock.advance_seconds(20);
    let worked = json!({ "description": "Wrote one", "session_id": 1 });
    app.post("/activities", &worked).await.expect(201);
    let ended_at = app.context.clock_in(0);
    let version = app.get("/sessions/1").await.header("etag").unwrap().to_owned();
    app.context.clock.advance_seconds(3_600);
    app.context.idle_sessions.end_silent(300).await.unwrap();
    let ended = app.get("/sessions/1").await;
    assert_ne!(ended.header("etag"), Some(version.as_str()));
    let ended = ended.expect(200);
    assert_eq!((&ended["status"], &ended["ended_reason"]), (&json!("ended"), &json!("idle")));
    // Not before its newest entry, though the stored heartbeat is older.
    assert_eq!((&ended["ended_at"], &ended["duration_seconds"]), (&json!(ended_at), &json!(20)));
    let before = balance(&app).await;
    for answer in [
        app.patch("/sessions/1", &json!({ "notes": "late" })).await,
        app.patch("/sessions/1", &json!({ "status": "ended" })).await,
        app.post("/activities", &worked).await,
        app.post("/todos", &json!({ "title": "late", "session_id": 1 })).await,
    ] {
        let detail = answer.expect(409)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("nothing was written to it for too long"), "{detail}");
    }
    assert_eq!(balance(&app).await, before);
    let audit = app.get("/audit").await.expect(200);
    assert_eq!(audit["entries"][0]["action"], "session_idled");
    assert_eq!(audit["entries"][0]["subject_actor_id"], 1);
    let exported = app.get("/export").await.text;
    assert!(exported.contains(r#""ended_reason":"idle""#), "{exported}");
    app.delete("/sessions/1").await.expect(200);
}
