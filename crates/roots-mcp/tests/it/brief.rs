//! The brief.

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::{done, without_credits};

roots_testkit::on_both! {
    the_brief_is_that_of_the_api,
    the_brief_fits_into_its_tokens_and_names_calls_for_the_rest,
    an_agent_that_waits_is_shown,
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
