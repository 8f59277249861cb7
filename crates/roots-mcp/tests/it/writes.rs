//! Writes that are repeated, and clients that hang up.

use roots_testkit::app::TestApp;
use roots_testkit::database::{TestDatabase, until};
use serde_json::{Value, json};

use crate::client::{done, message, refused, unauthenticated};

roots_testkit::on_both! {
    a_write_with_the_same_request_id_is_done_once,
    a_request_id_of_another_call_is_refused,
    add_todos_creates_all_or_none,
    a_claim_is_kept_released_and_lost,
    null_is_the_same_as_absent_and_clear_empties,
    an_agent_that_waits_says_so,
    a_client_that_hangs_up_undoes_nothing,
}

async fn a_write_with_the_same_request_id_is_done_once(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    done(&app, "start_session", &json!({})).await;
    done(&app, "add_todos", &json!({"todos": [{"title": "first"}]})).await;
    let writes = [
        ("add_todos", json!({"todos": [{"title": "a"}, {"title": "b"}], "request_id": "k1"})),
        ("claim_todo", json!({"session_id": 1, "request_id": "k2"})),
        ("update_todo", json!({"todo_id": 1, "priority": 2, "request_id": "k3"})),
        ("log_activity", json!({"description": "x", "request_id": "k4"})),
        ("start_session", json!({"request_id": "k5"})),
        ("end_session", json!({"session_id": 1, "notes": "over", "request_id": "k6"})),
    ];
    for (tool, arguments) in writes {
        let first = done(&app, tool, &arguments).await;
        assert_eq!(first.get("replayed"), None, "{tool}");
        // Another order of the members is the same call.
        let members = arguments.as_object().unwrap().clone();
        let reversed: serde_json::Map<_, _> = members.into_iter().rev().collect();
        let mut again = done(&app, tool, &Value::Object(reversed)).await;
        let members = again.as_object_mut().unwrap();
        assert_eq!(members.remove("replayed"), Some(true.into()), "{tool}");
        assert_eq!(again["credits_left"], first["credits_left"], "{tool}");
        for (name, value) in first.as_object().unwrap() {
            if name != "cost" {
                assert_eq!(&again[name], value, "{tool}: {name}");
            }
        }
    }
    assert_eq!(done(&app, "list_todos", &json!({})).await["total"], 3);
}

async fn a_request_id_of_another_call_is_refused(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    done(&app, "start_session", &json!({"notes": "a", "request_id": "k"})).await;
    for (tool, arguments) in [
        ("start_session", json!({"notes": "b", "request_id": "k"})),
        ("log_activity", json!({"description": "a", "request_id": "k"})),
    ] {
        let text = refused(&app, tool, &arguments).await;
        assert!(text.starts_with("idempotency-key-reused: "), "{text}");
        assert!(text.contains("new request_id"), "{text}");
    }
}

async fn add_todos_creates_all_or_none(database: TestDatabase) {
    let app = TestApp::start(database, 3).await;
    let four: Vec<_> = (0..4).map(|number| json!({"title": number.to_string()})).collect();
    let text = refused(&app, "add_todos", &json!({ "todos": four })).await;
    assert!(text.starts_with("insufficient-credits: "), "{text}");
    let text = refused(
        &app,
        "add_todos",
        &json!({"todos": [
            {"title": "fine"}, {"title": "not", "session_id": 5}
        ]}),
    )
    .await;
    assert!(text.starts_with("invalid-body: "), "{text}");
    assert_eq!(done(&app, "list_todos", &json!({})).await["total"], 0);
    let three: Vec<_> = (0..3).map(|number| json!({"title": number.to_string()})).collect();
    let added = done(&app, "add_todos", &json!({ "todos": three })).await;
    let titles: Vec<_> =
        added["todos"].as_array().unwrap().iter().map(|todo| &todo["title"]).collect();
    assert_eq!(titles, ["0", "1", "2"]);
    assert_eq!((&added["cost"], &added["credits_left"]), (&json!(3), &json!(0)));
}

async fn a_claim_is_kept_released_and_lost(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    done(&app, "add_todos", &json!({"todos": [{"title": "one"}]})).await;
    let claimed = done(&app, "claim_todo", &json!({"lease_seconds": 600})).await;
    assert_eq!((&claimed["claimed"], &claimed["claim"]["token"]), (&json!(true), &json!(1)));
    // The token alone keeps it alive.
    let kept = done(&app, "update_todo", &json!({"todo_id": 1, "claim_token": 1})).await;
    assert_eq!(kept["status"], "in_progress");
    let back = json!({"todo_id": 1, "status": "open", "claim_token": 1, "note": "not mine"});
    let back = done(&app, "update_todo", &back).await;
    assert_eq!((&back["status"], &back["claim"]), (&json!("open"), &Value::Null));
    assert_eq!(done(&app, "claim_todo", &json!({})).await["claim"]["token"], 2);
    let late = json!({"todo_id": 1, "status": "done", "claim_token": 1});
    let text = refused(&app, "update_todo", &late).await;
    assert!(text.starts_with("claim-lost: "), "{text}");
}

async fn null_is_the_same_as_absent_and_clear_empties(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let todo = json!({"title": "one", "description": "text", "due_at": "2026-04-10"});
    done(&app, "add_todos", &json!({ "todos": [todo] })).await;
    let nulls = json!({"todo_id": 1, "priority": 1, "description": null, "due_at": null});
    let kept = done(&app, "update_todo", &nulls).await;
    assert_eq!(kept["description"], "text");
    let cleared = json!({"todo_id": 1, "clear": ["description", "due_at", "session_id"]});
    let cleared = done(&app, "update_todo", &cleared).await;
    assert_eq!((&cleared["description"], &cleared["due_at"]), (&Value::Null, &Value::Null));
}

async fn an_agent_that_waits_says_so(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    done(&app, "start_session", &json!({})).await;
    let waits = json!({"activity_type": "question", "description": "Which port?", "session_id": 1});
    let waits = done(&app, "log_activity", &waits).await;
    assert_eq!(waits["activity_type"], "question");
}

async fn a_client_that_hangs_up_undoes_nothing(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let add =
        json!({"name": "add_todos", "arguments": {"todos": [{"title": "a"}, {"title": "b"}]}});
    let request = unauthenticated(&app).bearer_auth(app.key()).json(&message("tools/call", &add));
    let hold = app.database.hold(app.credentials.account).await;
    let sent = tokio::spawn(request.send());
    // From the moment that a call is counted, its write goes on.
    until("the call is counted", async || {
        format!("{:?}", app.context.usage.pending).contains("/todos")
    })
    .await;
    sent.abort();
    assert!(sent.await.unwrap_err().is_cancelled());
    hold.release().await;
    until("the write is applied", async || {
        done(&app, "list_todos", &json!({})).await["total"] == 2
    })
    .await;
}
