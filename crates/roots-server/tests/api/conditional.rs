//! Requests with If-Match and If-None-Match, alone and concurrently.

use std::sync::Arc;

use reqwest::Method;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::balance;

roots_testkit::on_both! {
    an_etag_is_of_one_version_of_one_resource,
    a_change_of_a_stale_version_is_412,
    a_delete_of_a_stale_version_is_412,
    concurrent_conditional_moves_leave_a_log_without_gaps,
    concurrent_unconditional_moves_leave_a_log_without_gaps,
    one_of_many_concurrent_claims_succeeds_and_is_charged,
}

const AGENTS: usize = 64;

fn tag(answer: &ApiResponse) -> String {
    answer.header("etag").expect("an ETag").to_owned()
}

async fn with_if_match(
    app: &TestApp,
    method: Method,
    path: &str,
    tag: &str,
    body: &Value,
) -> ApiResponse {
    send(app.request(method, path).header("If-Match", tag).json(body)).await
}

async fn get_if_changed(app: &TestApp, path: &str, tag: &str) -> ApiResponse {
    send(app.request(Method::GET, path).header("If-None-Match", tag)).await
}

async fn an_etag_is_of_one_version_of_one_resource(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let mut seen = Vec::new();
    for (path, body) in [
        ("/sessions", json!({})),
        ("/todos", json!({ "title": "x", "session_id": 1 })),
        ("/activities", json!({ "description": "x", "session_id": 1 })),
    ] {
        let made = app.post(path, &body).await;
        let path = made.header("location").unwrap().strip_prefix("/api/v1").unwrap().to_owned();
        let read = app.get(&path).await;
        assert_eq!(tag(&read), tag(&made), "a read has the ETag of the write");
        assert_eq!(get_if_changed(&app, &path, &tag(&made)).await.status, 304);
        seen.push((path, tag(&made)));
    }
    // A patch that changes nothing keeps the ETag. A patch that changes something replaces it.
    let same = app.patch("/todos/1", &json!({ "title": "x", "status": "open" })).await;
    assert_eq!((same.status, tag(&same)), (200, seen[1].1.clone()));
    let other = app.patch("/todos/1", &json!({ "title": "y" })).await;
    assert_ne!(tag(&other), seen[1].1);
    assert_eq!(get_if_changed(&app, "/todos/1", &seen[1].1).await.expect(200)["title"], "y");
    seen[1].1 = tag(&other);
    // Deleting the session changes `session_id` of the linked rows, and so their ETags.
    app.delete("/sessions/1").await.expect(200);
    for (path, before) in &seen[1..] {
        let unlinked = get_if_changed(&app, path, before).await;
        assert_eq!(unlinked.expect(200)["session_id"], Value::Null);
        assert_ne!(&tag(&unlinked), before);
    }
    let another = app.post("/todos", &json!({ "title": "x" })).await;
    assert_ne!(tag(&another), seen[1].1);
}

async fn a_change_of_a_stale_version_is_412(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    let first = tag(&app.get("/todos/1").await);
    let done = json!({ "status": "done", "title": "y" });
    let moved = with_if_match(&app, Method::PATCH, "/todos/1", &first, &done).await;
    moved.expect(200);
    let left = balance(&app).await;
    for stale in [&first, &format!("W/{}", tag(&moved)), "\"x\""] {
        let refused =
            with_if_match(&app, Method::PATCH, "/todos/1", stale, &json!({ "title": "z" })).await;
        assert_eq!(refused.expect(412)["type"], "/docs/problems#precondition-failed", "{stale}");
        assert_eq!(refused.header("x-credits-cost"), None);
    }
    assert_eq!(balance(&app).await, left, "nothing was charged");
    assert_eq!(tag(&app.get("/todos/1").await), tag(&moved), "nothing was changed");
    // The precondition is checked before the rules of the status: 412 comes before 409.
    let cancel = json!({ "status": "cancelled" });
    with_if_match(&app, Method::PATCH, "/todos/1", &first, &cancel).await.expect(412);
    with_if_match(&app, Method::PATCH, "/todos/1", &tag(&moved), &cancel).await.expect(409);
    with_if_match(&app, Method::PATCH, "/todos/1", "*", &json!({ "title": "z" })).await.expect(200);
    with_if_match(&app, Method::PATCH, "/todos/9", &first, &cancel).await.expect(404);
    with_if_match(&app, Method::PATCH, "/todos/9", "*", &cancel).await.expect(404);
}

async fn a_delete_of_a_stale_version_is_412(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    app.post("/todos", &json!({ "title": "x", "session_id": 1 })).await.expect(201);
    app.post("/activities", &json!({ "description": "x" })).await.expect(201);
    let left = balance(&app).await;
    let stale = "\"00000000000000000000000000000001-1\"";
    for path in ["/sessions/1", "/todos/1", "/activities/1"] {
        with_if_match(&app, Method::DELETE, path, stale, &json!({})).await.expect(412);
    }
    assert_eq!(app.get("/todos/1").await.expect(200)["session_id"], 1, "still linked");
    assert_eq!(balance(&app).await, left);
    for path in ["/sessions/1", "/todos/1", "/activities/1"] {
        let stands = tag(&app.get(path).await);
        with_if_match(&app, Method::DELETE, path, &stands, &json!({})).await.expect(200);
        with_if_match(&app, Method::DELETE, path, &stands, &json!({})).await.expect(404);
    }
    assert_eq!(balance(&app).await, left - 3);
}

/// The status to which an agent moves a todo of this status. The rules allow each of these moves.
fn next(status: &str, agent: usize) -> &'static str {
    match (status, agent % 3) {
        ("open" | "in_progress", 0) => "done",
        ("open" | "in_progress", 1) => "cancelled",
        ("in_progress" | "done" | "cancelled", 2) => "open",
        _ => "in_progress",
    }
}

/// Asserts that each entry of the log starts from the status that the entry before it set, and that
/// the last one set the todo's status. Returns the number of entries.
async fn log_without_gaps(app: &TestApp) -> usize {
    let todo = app.get("/todos/1").await.expect(200);
    let logs = app.get("/todos/1/logs").await.expect(200);
    let steps = logs["logs"].as_array().unwrap();
    let mut stands = json!("open");
    for step in steps {
        assert_eq!(step["old_status"], stands, "{logs}");
        stands = step["new_status"].clone();
    }
    assert_eq!(todo["status"], stands);
    steps.len()
}

async fn each_agent<F, T: Send + 'static>(
    app: &Arc<TestApp>,
    work: impl Fn(Arc<TestApp>, usize) -> F,
) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let mut agents = JoinSet::new();
    for agent in 0..AGENTS {
        agents.spawn(work(Arc::clone(app), agent));
    }
    agents.join_all().await
}

/// Each agent reads the todo and moves it with If-Match, until no other agent was faster.
async fn concurrent_conditional_moves_leave_a_log_without_gaps(database: TestDatabase) {
    let app = Arc::new(TestApp::start(database, 10_000).await);
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    each_agent(&app, |app, agent| async move {
        // Each 412 means that another agent has moved the todo, and each agent moves it only once.
        for _ in 0..AGENTS {
            let read = app.get("/todos/1").await;
            let status = read.expect(200)["status"].as_str().unwrap().to_owned();
            let to = json!({ "status": next(&status, agent), "note": format!("by {agent}") });
            let moved = with_if_match(&app, Method::PATCH, "/todos/1", &tag(&read), &to).await;
            assert!(matches!(moved.status, 200 | 412), "{agent}: {}", moved.text);
            if moved.status == 200 {
                return;
            }
        }
        unreachable!("{agent} got 412 more often than others moved the todo");
    })
    .await;
    assert_eq!(log_without_gaps(&app).await, AGENTS);
    assert_eq!(balance(&app).await, 10_000 - 1 - i64::try_from(AGENTS).unwrap());
}

async fn concurrent_unconditional_moves_leave_a_log_without_gaps(database: TestDatabase) {
    let app = Arc::new(TestApp::start(database, 10_000).await);
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    each_agent(&app, |app, agent| async move {
        for to in ["in_progress", "done", "open", "cancelled"] {
            let moved = app.patch("/todos/1", &json!({ "status": to })).await;
            assert!(matches!(moved.status, 200 | 409), "{agent} {to}: {}", moved.text);
        }
    })
    .await;
    assert!(log_without_gaps(&app).await > 0);
}

async fn one_of_many_concurrent_claims_succeeds_and_is_charged(database: TestDatabase) {
    let app = Arc::new(TestApp::start(database, 100).await);
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    let begun = json!({ "status": "in_progress" });
    let open = app.get("/todos/1").await;
    let (open_tag, claim) = (tag(&open), begun.clone());
    // Each agent sends the claim twice, with the ETag of the open todo and one idempotency key.
    let claims = each_agent(&app, move |app, agent| {
        let (tag, claim) = (open_tag.clone(), claim.clone());
        async move {
            let mut statuses = Vec::new();
            for _ in 0..2 {
                let request = app.request(Method::PATCH, "/todos/1").json(&claim);
                let request = request.header("If-Match", &tag);
                let name = format!("agent-{agent}");
                statuses.push(send(request.header("Idempotency-Key", name)).await.status);
            }
            statuses
        }
    });
    let statuses = claims.await;
    assert_eq!(statuses.iter().filter(|both| **both == [200, 200]).count(), 1, "{statuses:?}");
    let refused = statuses.iter().filter(|both| **both == [412, 412]).count();
    assert_eq!(refused, AGENTS - 1, "{statuses:?}");
    assert_eq!(balance(&app).await, 98);
    assert_eq!(log_without_gaps(&app).await, 1);
    // Without If-Match, a change to the same status succeeds and is charged.
    app.patch("/todos/1", &begun).await.expect(200);
    assert_eq!(balance(&app).await, 97);
}
