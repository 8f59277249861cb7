//! A write with an idempotency key is applied once, however often it is sent.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use roots_domain::model::idempotency::{EPOCHS_BEFORE_MAX, KEPT_SECONDS};
use roots_domain::port::store::Verifier;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::balance;
use crate::keys::{Holder, member, owner, secret};

roots_testkit::on_both! {
    a_write_is_replayed_though_its_row_changed_or_is_gone,
    a_delete_and_an_end_can_be_retried,
    another_request_with_the_same_key_is_422,
    a_duplicate_in_flight_is_409,
    a_caller_that_hung_up_gets_the_answer_on_retry,
    a_write_for_the_last_credit_is_replayed,
    a_replay_comes_before_preconditions_and_rules,
    a_refusal_is_not_replayed,
    sixteen_duplicates_are_charged_once,
    sixteen_duplicates_of_two_processes_are_charged_once,
    an_idempotency_key_expires_after_a_day,
    a_new_api_key_of_the_actor_replays_its_writes,
    an_owners_write_for_a_member_is_replayed_to_the_owner,
}

const DUPLICATES: usize = 16;
/// How long a test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_mins(2);

async fn idempotent(
    app: &TestApp,
    key: &str,
    method: Method,
    path: &str,
    body: &Value,
) -> ApiResponse {
    let request = app.request(method, path).header("Idempotency-Key", key);
    send(if body.is_null() { request } else { request.json(body) }).await
}

async fn post(app: &TestApp, key: &str, path: &str, body: &Value) -> ApiResponse {
    idempotent(app, key, Method::POST, path, body).await
}

/// Sends a todo, again and again while the answer is 409. Panics after two minutes.
async fn post_until_answered(app: &TestApp, key: &str, body: &Value) -> ApiResponse {
    let answering = async {
        loop {
            let answer = post(app, key, "/todos", body).await;
            if answer.status != 409 {
                return answer;
            }
            assert_eq!(answer.header("retry-after"), Some("1"));
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, answering).await.expect("an answer other than 409 in time")
}

fn is_replay(answer: &ApiResponse) -> bool {
    let header = answer.header("idempotent-replayed");
    assert!(header.is_none_or(|header| header == "true"));
    header.is_some()
}

/// Asserts that an answer repeats the first one, except for the balance, which is the current one.
fn assert_replay(again: &ApiResponse, first: &ApiResponse, left: i64) {
    assert!(!is_replay(first) && is_replay(again), "{again:?}");
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    for header in ["etag", "location", "content-type", "x-credits-cost"] {
        assert_eq!(again.header(header), first.header(header), "{header}");
    }
    assert_eq!(again.header("x-credits-remaining"), Some(left.to_string().as_str()));
}

async fn a_write_is_replayed_though_its_row_changed_or_is_gone(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let writes = [
        (Method::POST, "/sessions", json!({ "notes": "the first" })),
        (Method::POST, "/todos", json!({ "title": "a todo", "session_id": 1 })),
        (Method::POST, "/activities", json!({ "description": "done", "session_id": 1 })),
        (Method::PATCH, "/todos/1", json!({ "title": "another", "status": "done", "note": "x" })),
        (Method::PATCH, "/sessions/1", json!({ "notes": "later" })),
    ];
    let mut firsts = Vec::new();
    for (number, (method, path, body)) in writes.iter().enumerate() {
        let first = idempotent(&app, &format!("key-{number}"), method.clone(), path, body).await;
        assert!(matches!(first.status, 200 | 201), "{}", first.text);
        firsts.push(first);
    }
    let changes = [
        (Method::PATCH, "/todos/1", json!({ "title": "changed", "session_id": null })),
        (Method::PATCH, "/sessions/1", json!({ "status": "ended", "notes": "changed" })),
        (Method::DELETE, "/sessions/1", Value::Null),
        (Method::DELETE, "/todos/1", Value::Null),
        (Method::DELETE, "/activities/1", Value::Null),
    ];
    for (method, path, body) in changes {
        let body = if body.is_null() { None } else { Some(&body) };
        app.call(method, path, body).await.expect(200);
        let left = balance(&app).await;
        for (number, (method, path, body)) in writes.iter().enumerate() {
            let again =
                idempotent(&app, &format!("key-{number}"), method.clone(), path, body).await;
            assert_replay(&again, &firsts[number], left);
        }
        assert_eq!(balance(&app).await, left, "nothing was charged");
    }
    assert_eq!(app.get("/todos").await.expect(200)["total"], 0, "no replay was applied");
    // Another process replays the answer too. The key may be quoted.
    let other = app.another().await;
    let (method, path, body) = &writes[1];
    let again = idempotent(&other, "\"key-1\"", method.clone(), path, body).await;
    assert_replay(&again, &firsts[1], 90);
    assert_eq!(app.context.store.verify().await.unwrap(), (1, vec![]));
}

async fn a_delete_and_an_end_can_be_retried(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    let end = json!({ "status": "ended" });
    let ended = idempotent(&app, "end", Method::PATCH, "/sessions/1", &end).await;
    ended.expect(200);
    assert_replay(&idempotent(&app, "end", Method::PATCH, "/sessions/1", &end).await, &ended, 98);
    app.patch("/sessions/1", &end).await.expect(409);
    let gone = idempotent(&app, "delete", Method::DELETE, "/sessions/1", &Value::Null).await;
    assert_eq!(gone.expect(200), json!({ "status": "deleted", "session_id": 1 }));
    let again = idempotent(&app, "delete", Method::DELETE, "/sessions/1", &Value::Null).await;
    assert_replay(&again, &gone, 97);
    app.delete("/sessions/1").await.expect(404);
    assert_replay(&idempotent(&app, "end", Method::PATCH, "/sessions/1", &end).await, &ended, 97);
}

async fn another_request_with_the_same_key_is_422(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let body = json!({ "title": "x" });
    post(&app, "key", "/todos", &body).await.expect(201);
    for (method, path, body) in [
        (Method::POST, "/todos", json!({ "title": "y" })),
        (Method::POST, "/sessions", json!({})),
        (Method::PATCH, "/todos/1", body.clone()),
        (Method::DELETE, "/todos/1", Value::Null),
    ] {
        let refused = idempotent(&app, "key", method, path, &body).await;
        assert_eq!(refused.expect(422)["type"], "/docs/problems#idempotency-key-reused", "{path}");
        assert_eq!(refused.header("x-credits-cost"), None);
    }
    // A body with other bytes is another request, even with the same members. An unknown query
    // parameter is refused before the key is looked up.
    let spaced = app.request(Method::POST, "/todos").header("Idempotency-Key", "key");
    let spaced = spaced.header("Content-Type", "application/json").body(r#"{ "title": "x" }"#);
    send(spaced).await.expect(422);
    post(&app, "key", "/todos?x=1", &body).await.expect(400);
    assert_eq!(balance(&app).await, 99);
    post(&app, "other", "/todos", &body).await.expect(201);
    assert!(is_replay(&post(&app, "key", "/todos", &body).await));
}

/// Sends the same write twice while a lock holds the account's writers. Returns the answer of the
/// request that came second, and the other request, which is in flight.
async fn send_twice(app: &Arc<TestApp>, body: &Value) -> (ApiResponse, JoinSet<ApiResponse>) {
    let mut requests = JoinSet::new();
    for _ in 0..2 {
        let (app, body) = (Arc::clone(app), body.clone());
        requests.spawn(async move { post(&app, "key", "/todos", &body).await });
    }
    let answered = timeout(PATIENCE, requests.join_next()).await.expect("an answer in time");
    let refused = answered.unwrap().unwrap();
    (refused, requests)
}

async fn a_duplicate_in_flight_is_409(database: TestDatabase) {
    let app = Arc::new(TestApp::start(database, 100).await);
    let body = json!({ "title": "x" });
    let hold = app.database.hold(app.credentials.account).await;
    let (refused, mut in_flight) = send_twice(&app, &body).await;
    assert_eq!(refused.expect(409)["type"], "/docs/problems#still-in-flight");
    assert_eq!(refused.header("retry-after"), Some("1"));
    hold.release().await;
    let first = in_flight.join_next().await.unwrap().unwrap();
    first.expect(201);
    assert_replay(&post(&app, "key", "/todos", &body).await, &first, 99);
}

/// The caller closes the connection while the write waits for the lock.
async fn a_caller_that_hung_up_gets_the_answer_on_retry(database: TestDatabase) {
    let app = Arc::new(TestApp::start(database, 100).await);
    let body = json!({ "title": "x" });
    let hold = app.database.hold(app.credentials.account).await;
    let (refused, mut in_flight) = send_twice(&app, &body).await;
    refused.expect(409);
    in_flight.shutdown().await;
    hold.release().await;
    let found = post_until_answered(&app, "key", &body).await;
    assert_eq!(found.expect(201)["todo_id"], 1);
    assert!(is_replay(&found));
    assert_eq!(balance(&app).await, 99);
    assert_eq!(app.get("/todos").await.expect(200)["total"], 1);
}

async fn a_write_for_the_last_credit_is_replayed(database: TestDatabase) {
    let app = TestApp::start(database, 1).await;
    let body = json!({ "title": "x" });
    let first = post(&app, "key", "/todos", &body).await;
    first.expect(201);
    assert_replay(&post(&app, "key", "/todos", &body).await, &first, 0);
    post(&app, "other", "/todos", &body).await.expect(402);
    app.context.store.verify().await.unwrap();
}

async fn a_replay_comes_before_preconditions_and_rules(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    let stands = app.get("/todos/1").await.header("etag").unwrap().to_owned();
    let done = json!({ "status": "done" });
    let tied = async || {
        let request = app.request(Method::PATCH, "/todos/1").header("If-Match", &stands);
        send(request.header("Idempotency-Key", "done").json(&done)).await
    };
    let first = tied().await;
    first.expect(200);
    // The write itself has changed the ETag, so If-Match no longer matches.
    assert_replay(&tied().await, &first, 98);
    app.patch("/todos/1", &json!({ "status": "open" })).await.expect(200);
    app.patch("/todos/1", &json!({ "status": "cancelled" })).await.expect(200);
    app.patch("/todos/1", &done).await.expect(409);
    assert_replay(&tied().await, &first, 96);
}

async fn a_refusal_is_not_replayed(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let todo = json!({ "title": "x", "session_id": 1 });
    post(&app, "key", "/todos", &todo).await.expect(422);
    app.post("/sessions", &json!({})).await.expect(201);
    let first = post(&app, "key", "/todos", &todo).await;
    first.expect(201);
    assert!(!is_replay(&first));
    post(&app, "key", "/todos", &json!({ "titel": "x" })).await.expect(422);
    assert_eq!(balance(&app).await, 98);
}

/// Sends 16 duplicates of a write, each until it is answered. One must be applied, and all others
/// must replay its answer.
async fn race(apps: [Arc<TestApp>; 2]) {
    let mut duplicates = JoinSet::new();
    for duplicate in 0..DUPLICATES {
        let app = Arc::clone(&apps[duplicate % 2]);
        duplicates.spawn(async move {
            let body = json!({ "title": "one and the same", "description": "of many" });
            post_until_answered(&app, "race", &body).await
        });
    }
    let answers = duplicates.join_all().await;
    let first = answers[0].expect(201);
    assert_eq!(first["todo_id"], 1);
    assert!(answers.iter().all(|answer| answer.expect(201) == first));
    assert_eq!(answers.iter().filter(|answer| !is_replay(answer)).count(), 1);
    let app = &apps[0];
    assert_eq!(balance(app).await, 99, "one write was charged");
    assert_eq!(app.get("/credits/ledger?reason=api_write").await.expect(200)["total"], 1);
    assert_eq!(app.get("/todos").await.expect(200)["total"], 1);
    assert_eq!(app.context.store.verify().await.unwrap(), (1, vec![]));
}

async fn sixteen_duplicates_are_charged_once(database: TestDatabase) {
    let app = Arc::new(TestApp::start(database, 100).await);
    race([app.clone(), app]).await;
}

async fn sixteen_duplicates_of_two_processes_are_charged_once(database: TestDatabase) {
    let app = Arc::new(TestApp::start(database, 100).await);
    let other = Arc::new(app.another().await);
    race([app, other]).await;
}

/// Creates a todo with the idempotency key `key`.
async fn todo_by(holder: &Holder<'_>, body: &Value) -> ApiResponse {
    let request = holder.app.unauthenticated(Method::POST, "/api/v1/todos");
    let request = request.header("X-API-Key", &holder.key).header("X-Request-Id", "a-test");
    send(request.header("Idempotency-Key", "key").json(body)).await
}

async fn a_new_api_key_of_the_actor_replays_its_writes(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let mut boss = owner(&app);
    let mut peer = member(&app).await;
    let body = json!({ "title": "once" });
    let firsts = [todo_by(&boss, &body).await, todo_by(&peer, &body).await];
    assert!(firsts.iter().all(|first| first.status == 201), "{firsts:?}");
    let assert_replayed = async |boss: &Holder<'_>, peer: &Holder<'_>| {
        for (holder, first) in [boss, peer].into_iter().zip(&firsts) {
            assert_replay(&todo_by(holder, &body).await, first, 98);
            let other = todo_by(holder, &json!({ "title": "another" })).await.expect(422);
            assert_eq!(other["type"], "/docs/problems#idempotency-key-reused");
        }
    };
    for holder in [&mut boss, &mut peer] {
        holder.key = secret(&holder.post("/keys/rotate", json!({})).await.expect(201));
    }
    assert_replayed(&boss, &peer).await;
    // A renewal starts a new key epoch of the actor. The records are stored under the first one.
    for _ in 0..2 {
        let renewed = json!({ "actor_id": 2, "renew": true });
        peer.key = secret(&boss.post("/keys", renewed).await.expect(201));
        assert_replayed(&boss, &peer).await;
        let renewed = json!({ "actor_id": 1, "renew": true });
        boss.key = secret(&boss.post("/keys", renewed).await.expect(201));
        assert_replayed(&boss, &peer).await;
    }
    let made = json!({ "actor_id": 2 });
    peer.key = secret(&boss.post("/keys", made).await.expect(201));
    assert_replayed(&boss, &peer).await;
    let totals = [boss.get("/todos").await, peer.get("/todos").await];
    assert!(
        totals.iter().all(|list| list.expect(200)["total"] == 1),
        "each write was applied once"
    );
    // Records are looked up in a limited number of earlier epochs. One more renewal goes beyond.
    for left in (0..EPOCHS_BEFORE_MAX - 2).rev() {
        let renewed = json!({ "actor_id": 2, "renew": true });
        peer.key = secret(&boss.post("/keys", renewed).await.expect(201));
        assert!(is_replay(&todo_by(&peer, &body).await), "{left}");
    }
    let renewed = json!({ "actor_id": 2, "renew": true });
    peer.key = secret(&boss.post("/keys", renewed).await.expect(201));
    assert!(!is_replay(&todo_by(&peer, &body).await));
    assert_eq!(app.context.store.verify().await.unwrap(), (1, vec![]));
}

/// An idempotency key belongs to its caller, even if the row belongs to another actor.
async fn an_owners_write_for_a_member_is_replayed_to_the_owner(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let (boss, peer) = (owner(&app), member(&app).await);
    let body = json!({ "title": "for the member", "actor_id": 2 });
    let first = todo_by(&boss, &body).await;
    assert_eq!(first.expect(201)["actor_id"], 2);
    assert_replay(&todo_by(&boss, &body).await, &first, 99);
    // Without `actor_id` it is another request. Sent by the member, it is a new write.
    let own = todo_by(&boss, &json!({ "title": "for the member" })).await.expect(422);
    assert_eq!(own["type"], "/docs/problems#idempotency-key-reused");
    let theirs = todo_by(&peer, &body).await;
    assert!(!is_replay(&theirs), "{}", theirs.text);
    assert_eq!(theirs.expect(201)["todo_id"], 2);
    assert_replay(&todo_by(&peer, &body).await, &theirs, 98);
    assert_replay(&todo_by(&boss, &body).await, &first, 98);
    // The replay has the texts of the first answer after the row is changed and deleted.
    let path = format!("/todos/{}", first.json()["todo_id"]);
    peer.call(Method::PATCH, &path, Some(json!({ "title": "changed" }))).await.expect(200);
    peer.call(Method::DELETE, &path, None).await.expect(200);
    assert_replay(&todo_by(&boss, &body).await, &first, 96);
    assert_eq!(app.context.store.verify().await.unwrap(), (1, vec![]));
}

async fn an_idempotency_key_expires_after_a_day(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let body = json!({ "title": "x" });
    let first = post(&app, "key", "/todos", &body).await;
    first.expect(201);
    app.context.clock.advance_seconds(KEPT_SECONDS);
    app.context.maintenance.forget_idempotency_records().await.unwrap();
    assert_replay(&post(&app, "key", "/todos", &body).await, &first, 99);
    app.context.clock.advance_seconds(1);
    let late = post(&app, "key", "/todos", &body).await;
    assert_eq!(late.expect(201)["todo_id"], 2);
    assert!(!is_replay(&late));
    app.context.clock.advance_seconds(KEPT_SECONDS + 1);
    app.context.maintenance.forget_idempotency_records().await.unwrap();
    let left = "SELECT COUNT(*) FROM idempotency";
    assert_eq!(app.database.rows::<(i64,)>(left).await, [(0,)]);
}
