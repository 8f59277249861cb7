//! Documents: those of the API, with what the call cost.

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::{done, refused, without_credits};

roots_testkit::on_both! {
    items_are_those_of_the_api,
    a_todo_comes_with_its_whole_log,
    every_result_tells_what_it_cost_and_what_is_left,
}

async fn items_are_those_of_the_api(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let notes = "Grüße \u{1f331} \"quoted\" \\ \t\r\n end ";
    let session = done(&app, "start_session", &json!({"notes": notes})).await;
    let activity = json!({
        "description": notes, "activity_type": "deploy", "session_id": 1,
        "logged_at": "2026-04-09T10:00:00+02:00"
    });
    let activity = done(&app, "log_activity", &activity).await;
    let todo = json!({
        "title": "one", "description": notes, "priority": 3, "due_at": "2026-04-10", "session_id": 1
    });
    let todos = done(&app, "add_todos", &json!({"todos": [todo, {"title": "two"}]})).await;
    let by_api = app.get("/sessions/1").await.expect(200);
    assert_eq!(without_credits(session), by_api);
    assert_eq!(
        without_credits(done(&app, "get_item", &json!({"kind": "session", "id": 1})).await),
        by_api
    );
    let by_api = app.get("/activities/1").await.expect(200);
    assert_eq!(without_credits(activity), by_api);
    let got = done(&app, "get_item", &json!({"kind": "activity", "id": 1})).await;
    assert_eq!(without_credits(got), by_api);
    for id in [1, 2] {
        let mut by_api = app.get(&format!("/todos/{id}")).await.expect(200);
        assert_eq!(todos["todos"][id - 1], by_api);
        let got = done(&app, "get_item", &json!({"kind": "todo", "id": id})).await;
        by_api["logs"] = json!([]);
        by_api["omitted"] = json!([]);
        assert_eq!(without_credits(got), by_api);
    }
    let claimed = done(&app, "claim_todo", &json!({"session_id": 1, "lease_seconds": 600})).await;
    let listed = app.get("/todos").await.expect(200);
    let mut by_api = listed["todos"][0].clone();
    by_api["claimed"] = true.into();
    assert_eq!(without_credits(claimed), by_api);
    let list = done(&app, "list_todos", &json!({})).await;
    for member in ["todos", "total", "limit", "next_cursor"] {
        assert_eq!(list[member], listed[member], "{member}");
    }
    assert_eq!((&list["omitted"], &list["cut"]), (&json!([]), &json!([])));
    let found = done(&app, "search_work", &json!({"q": "quoted"})).await;
    let by_api = app.post("/search", &json!({"q": "quoted"})).await.expect(200);
    for member in ["results", "next_cursor", "complete", "unreadable"] {
        assert_eq!(found[member], by_api[member], "{member}");
    }
    assert_eq!(found["results"].as_array().unwrap().len(), 3);
}

async fn a_todo_comes_with_its_whole_log(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    done(&app, "add_todos", &json!({"todos": [{"title": "one"}]})).await;
    // More than one chunk of the log.
    for step in 0..140 {
        let status = if step % 2 == 0 { "in_progress" } else { "open" };
        let change = json!({"todo_id": 1, "status": status, "note": format!("step {step}")});
        done(&app, "update_todo", &change).await;
    }
    let item = done(&app, "get_item", &json!({"kind": "todo", "id": 1})).await;
    let by_api = app.get("/todos/1/logs").await.expect(200);
    assert_eq!(item["logs"], by_api["logs"]);
    assert_eq!(item["logs"].as_array().unwrap().len(), 140);
    assert_eq!(item["omitted"], json!([]));
    // A very long log is cut, and the result says how to get the rest.
    let note = "n".repeat(8_000);
    for step in 0..40 {
        let status = if step % 2 == 0 { "in_progress" } else { "open" };
        let change = json!({"todo_id": 1, "status": status, "note": note});
        done(&app, "update_todo", &change).await;
    }
    let item = done(&app, "get_item", &json!({"kind": "todo", "id": 1})).await;
    let logs = item["logs"].as_array().unwrap();
    assert!(logs.len() < 180 || item["omitted"] == json!([]), "{}", logs.len());
    if logs.len() < 180 {
        let rest = json!([{"what": "logs", "request": "GET /api/v1/todos/1/logs"}]);
        assert_eq!(item["omitted"], rest);
    }
}

async fn every_result_tells_what_it_cost_and_what_is_left(database: TestDatabase) {
    let app = TestApp::start(database, 6).await;
    let told = |document: &Value| (document["cost"].as_i64(), document["credits_left"].as_i64());
    let todos = json!({"todos": [{"title": "one"}, {"title": "two"}]});
    assert_eq!(told(&done(&app, "add_todos", &todos).await), (Some(2), Some(4)));
    assert_eq!(told(&done(&app, "list_todos", &json!({})).await), (Some(0), Some(4)));
    assert_eq!(told(&done(&app, "search_work", &json!({"q": "one"})).await), (Some(0), Some(4)));
    assert_eq!(told(&done(&app, "start_session", &json!({})).await), (Some(1), Some(3)));
    let item = json!({"kind": "session", "id": 1});
    assert_eq!(told(&done(&app, "get_item", &item).await), (Some(0), Some(3)));
    assert_eq!(told(&done(&app, "claim_todo", &json!({})).await), (Some(1), Some(2)));
    assert_eq!(told(&done(&app, "claim_todo", &json!({})).await), (Some(1), Some(1)));
    let nothing = done(&app, "claim_todo", &json!({})).await;
    assert_eq!(told(&nothing), (Some(0), Some(1)));
    assert_eq!(nothing["claimed"], false);
    let text = refused(&app, "add_todos", &todos).await;
    assert!(text.starts_with("insufficient-credits: "), "{text}");
    assert_eq!(told(&done(&app, "list_todos", &json!({})).await), (Some(0), Some(1)));
}
