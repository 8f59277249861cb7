//! The brief.

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::{done, without_credits};

roots_testkit::on_both! {
    the_brief_is_that_of_the_api,
    the_brief_fits_into_its_tokens_and_names_calls_for_the_rest,
    every_request_for_what_was_left_out_works,
    a_named_session_is_told_its_own_claims,
    an_agent_that_waits_is_shown,
    a_question_without_a_session_comes_with_a_warning,
}

async fn fill(app: &TestApp) {
    done(app, "start_session", &json!({"notes": "before"})).await;
    done(app, "end_session", &json!({"session_id": 1, "notes": "n".repeat(3_000)})).await;
    done(app, "start_session", &json!({"notes": "now"})).await;
    let todos: Vec<_> = (0..20)
        .map(|number| json!({"title": format!("todo {number}"), "description": "d".repeat(600)}))
        .collect();
    done(app, "add_todos", &json!({ "todos": todos })).await;
    done(app, "claim_todo", &json!({"session_id": 2})).await;
    let past = json!({"todos": [{"title": "late", "due_at": "2026-01-01"}]});
    done(app, "add_todos", &past).await;
    done(app, "log_activity", &json!({"description": "work", "session_id": 2})).await;
}

async fn the_brief_is_that_of_the_api(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let brief = without_credits(done(&app, "work_brief", &json!({})).await);
    assert_eq!(
        (&brief["has_work"], &brief["next_action"]["action"]),
        (&json!(false), &json!("none"))
    );
    fill(&app).await;
    let mut brief = without_credits(done(&app, "work_brief", &json!({"max_tokens": 8_000})).await);
    let mut by_api = app.get("/brief?max_tokens=8000").await.expect(200);
    for document in [&mut brief, &mut by_api] {
        // On PostgreSQL the database tells the time.
        document.as_object_mut().unwrap().remove("at").unwrap();
        for omitted in document["omitted"].as_array_mut().unwrap() {
            omitted.as_object_mut().unwrap().remove("request").unwrap();
        }
    }
    assert_eq!(brief, by_api);
    assert_ne!(brief["next_action"]["action"], "none");
}

async fn the_brief_fits_into_its_tokens_and_names_calls_for_the_rest(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    fill(&app).await;
    for max_tokens in [500, 1_000, 2_000] {
        let brief = done(&app, "work_brief", &json!({ "max_tokens": max_tokens })).await;
        let bytes = brief.to_string().len();
        assert!(bytes <= 4 * max_tokens, "{bytes} of {max_tokens}");
        let omitted = brief["omitted"].as_array().unwrap();
        let of_next = omitted.iter().find(|one| one["what"] == "next");
        if max_tokens == 500 {
            assert_eq!(of_next.unwrap()["request"], "list_todos status=open", "{brief}");
        }
        assert!(brief["cut"].is_array());
    }
}

/// The call of a tool that a text names.
fn named_call(request: &str) -> (String, Value) {
    let mut words = request.split(' ');
    let tool = words.next().unwrap().to_owned();
    let mut arguments = json!({});
    for word in words {
        let (name, value) = word.split_once('=').unwrap();
        arguments[name] = match (name, value.parse::<i64>()) {
            ("id", Ok(id)) => id.into(),
            _ => value.into(),
        };
    }
    (tool, arguments)
}

async fn every_request_for_what_was_left_out_works(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    fill(&app).await;
    for session in 3..13 {
        done(&app, "start_session", &json!({})).await;
        for activity_type in ["blocked", "question"] {
            let asked = json!({
                "activity_type": activity_type, "description": "Why?", "session_id": session
            });
            done(&app, "log_activity", &asked).await;
        }
    }
    for _ in 0..8 {
        done(&app, "claim_todo", &json!({})).await;
    }
    let mut lists = std::collections::BTreeSet::new();
    for actor in [json!({}), json!({"actor_id": "1"}), json!({"actor_id": "all"})] {
        let mut arguments = actor;
        arguments["max_tokens"] = 500.into();
        let brief = done(&app, "work_brief", &arguments).await;
        for one in brief["omitted"].as_array().unwrap() {
            let request = one["request"].as_str().unwrap();
            lists.insert(one["what"].as_str().unwrap().to_owned());
            if let Some(path) = request.strip_prefix("GET /api/v1") {
                let answer = app.get(path).await;
                assert_eq!(answer.status, 200, "{request}: {}", answer.text);
            } else {
                let (tool, arguments) = named_call(request);
                done(&app, &tool, &arguments).await;
            }
        }
    }
    for list in ["in_progress", "next", "waiting", "activities", "status_changes"] {
        assert!(lists.contains(list), "{list} of {lists:?}");
    }
}

async fn a_named_session_is_told_its_own_claims(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    for session in 1..3 {
        done(&app, "start_session", &json!({})).await;
        let todos = json!({"todos": [{"title": format!("of {session}")}]});
        done(&app, "add_todos", &todos).await;
        done(&app, "claim_todo", &json!({"session_id": session})).await;
    }
    for session in 1..3 {
        let brief = done(&app, "work_brief", &json!({ "session_id": session })).await;
        let todo = &brief["next_action"]["todo"];
        assert_eq!((&todo["todo_id"], &todo["claim_token"]), (&json!(session), &json!(1)));
    }
    let brief = done(&app, "work_brief", &json!({})).await;
    assert_eq!(brief["next_action"], json!({"action": "none"}));
}

async fn a_question_without_a_session_comes_with_a_warning(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    done(&app, "start_session", &json!({})).await;
    let mut question = json!({"activity_type": "question", "description": "Why?"});
    let logged = done(&app, "log_activity", &question).await;
    assert!(logged["warning"].as_str().unwrap().contains("session_id"), "{logged}");
    question["session_id"] = 1.into();
    assert_eq!(done(&app, "log_activity", &question).await.get("warning"), None);
    let logged = done(&app, "log_activity", &json!({"description": "Done"})).await;
    assert_eq!(logged.get("warning"), None);
}

async fn an_agent_that_waits_is_shown(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    done(&app, "start_session", &json!({})).await;
    let question = json!({"activity_type": "question", "description": "Why?", "session_id": 1});
    done(&app, "log_activity", &question).await;
    let waiting = done(&app, "work_brief", &json!({})).await["waiting"].clone();
    assert_eq!(waiting[0]["description"], "Why?");
    app.context.clock.advance_seconds(1);
    done(&app, "log_activity", &json!({"description": "Answered", "session_id": 1})).await;
    assert_eq!(done(&app, "work_brief", &json!({})).await["waiting"], Value::Array(vec![]));
}
