//! Refusals: everything in one text.

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::json;

use crate::client::{done, newest_message, post, refused};

roots_testkit::on_both! {
    invalid_arguments_are_refused_with_every_error,
    arguments_are_judged_byte_for_byte_like_bodies,
    refusals_say_what_to_do_next,
}

async fn invalid_arguments_are_refused_with_every_error(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let todos = json!({"todos": [
        {"title": "", "prority": 1},
        {"title": "fine", "priority": 4, "due_at": "tomorrow"},
        "no object"
    ], "requestId": "x"});
    let text = refused(&app, "add_todos", &todos).await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.first().copied(), Some("invalid-body: The arguments are not valid."));
    let is_named = |start: &str| lines.iter().any(|line| line.starts_with(start));
    for start in [
        "- todos[0].title must ",
        "- todos[0].prority is not a known field: did you mean priority?",
        "- todos[1].priority must ",
        "- todos[1].due_at must ",
        "- todos[2] must be an object, not a string",
        "- requestId is not a known field: did you mean request_id?",
    ] {
        assert!(is_named(start), "{start}: {text}");
    }
    assert!(text.ends_with("and call the tool again."), "{text}");
    for (tool, arguments, error) in [
        ("get_item", json!({}), "- kind is required\n- id is required"),
        (
            "get_item",
            json!({"kind": "todos", "id": 1}),
            "- kind must be one of todo, session, activity",
        ),
        ("add_todos", json!({"todos": []}), "- todos must be a list of 1 to 20 todos"),
        ("add_todos", json!({"todos": {}}), "- todos must be an array, not an object"),
        (
            "log_activity",
            json!({"description": "x", "type": "question"}),
            "did you mean activity_type?",
        ),
        (
            "update_todo",
            json!({"todo_id": 1, "clear": ["titel"]}),
            "- clear holds an item that must be one of ",
        ),
        (
            "update_todo",
            json!({"todo_id": 1, "clear": ["due_at"], "due_at": "2026-04-10"}),
            "- clear must not name due_at, which has a new value",
        ),
        (
            "end_session",
            json!({"session_id": "1"}),
            "- session_id must be an integer, not a string",
        ),
        (
            "start_session",
            json!({"request_id": "with blank"}),
            "- request_id must be 1 to 255 visible ASCII",
        ),
        (
            "work_brief",
            json!({"max_tokens": 1}),
            "- max_tokens must be an integer from 500 to 8000",
        ),
    ] {
        let text = refused(&app, tool, &arguments).await;
        assert!(text.contains(error), "{tool}: {text}");
    }
    assert_eq!(app.get("/credits").await.expect(200)["balance"], 10);
}

async fn arguments_are_judged_byte_for_byte_like_bodies(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    for (arguments, error) in [
        (r#"{"notes": "a", "notes": "b"}"#, "- notes is given more than once"),
        (r#"{"notes": "\ud800"}"#, "- notes must be text without lone surrogates"),
        (
            r#"{"actor_id": 99999999999999999999}"#,
            "- actor_id must be an integer of at most 63 bits",
        ),
        ("[1]", "- arguments must be a JSON object, not an array"),
        ("7", "- arguments must be a JSON object, not an integer"),
    ] {
        let message =
            newest_message("tools/call", &json!({"name": "start_session", "arguments": "HERE"}));
        let message = message.to_string().replace("\"HERE\"", arguments);
        let request = post(&app, &json!(null)).body(message);
        let request = request
            .header("mcp-protocol-version", crate::client::NEWEST)
            .header("mcp-method", "tools/call")
            .header("mcp-name", "start_session");
        let answer = roots_testkit::app::send(request).await.expect(200);
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(error), "{text}");
    }
}

async fn refusals_say_what_to_do_next(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    done(&app, "add_todos", &json!({"todos": [{"title": "one"}]})).await;
    done(&app, "claim_todo", &json!({"todo_id": 1})).await;
    let held = refused(&app, "claim_todo", &json!({"todo_id": 1})).await;
    assert!(held.starts_with("conflict: Todo 1 is claimed until 20"), "{held}");
    let lost = refused(&app, "update_todo", &json!({"todo_id": 1, "claim_token": 2})).await;
    assert!(lost.starts_with("claim-lost: "), "{lost}");
    assert!(lost.contains("Stop working on this todo"), "{lost}");
    let none = refused(&app, "get_item", &json!({"kind": "activity", "id": 7})).await;
    assert!(none.starts_with("not-found: There is no such activity."), "{none}");
    assert!(none.contains("search_work"), "{none}");
    let nothing = refused(&app, "update_todo", &json!({"todo_id": 1})).await;
    assert!(nothing.contains("\n- arguments: The patch changes nothing"), "{nothing}");
    let session = refused(
        &app,
        "add_todos",
        &json!({"todos": [
            {"title": "one"}, {"title": "two", "session_id": 9}
        ]}),
    )
    .await;
    assert!(session.contains("- todos[1].session_id: There is no session "), "{session}");
}
