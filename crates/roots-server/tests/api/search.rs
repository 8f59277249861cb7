//! Searches over HTTP: matches in every kind of text, pages and cost.

use reqwest::Method;
use roots_testkit::app::{TestApp, send};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::client::balance;

roots_testkit::on_both! {
    a_search_finds_every_kind_of_text_and_costs_nothing,
    pages_of_a_search_hold_every_match_once,
    a_suspended_account_searches,
    owner_and_member_find_what_the_other_wrote_for_the_member,
    a_damaged_text_is_counted_and_the_others_are_found,
}

/// The kind, id and field of each match.
fn found(answer: &Value) -> Vec<(&str, i64, &str)> {
    let results = answer["results"].as_array().unwrap();
    results
        .iter()
        .map(|result| {
            let (kind, field) = (result["kind"].as_str(), result["field"].as_str());
            (kind.unwrap(), result["id"].as_i64().unwrap(), field.unwrap())
        })
        .collect()
}

async fn search(app: &TestApp, body: Value) -> Value {
    app.post("/search", &body).await.expect(200)
}

async fn a_search_finds_every_kind_of_text_and_costs_nothing(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let session = json!({ "notes": "The Straße is closed" });
    app.post("/sessions", &session).await.expect(201);
    let todo = |title: &str, description: &str| json!({ "title": title, "description": description, "session_id": 1 });
    app.post("/todos", &todo("STRASSE by title", "none")).await.expect(201);
    app.post("/todos", &todo("none", "by description: straße")).await.expect(201);
    app.post("/todos", &todo("none", "none")).await.expect(201);
    let done = json!({ "status": "done", "note": "by note: Strasse" });
    app.patch("/todos/3", &done).await.expect(200);
    let activity = json!({ "description": "an activity in the strasse", "session_id": 1 });
    app.post("/activities", &activity).await.expect(201);
    app.post("/activities", &json!({ "description": "another strasse" })).await.expect(201);
    let left = balance(&app).await;

    let all = search(&app, json!({ "q": "straße" })).await;
    assert_eq!(
        found(&all),
        [
            ("activity", 2, "description"),
            ("activity", 1, "description"),
            ("todo", 3, "note"),
            ("todo", 2, "description"),
            ("todo", 1, "title"),
            ("session", 1, "notes"),
        ]
    );
    assert_eq!(
        all["results"][3],
        json!({
            "kind": "todo",
            "id": 2,
            "at": "2026-04-09T14:00:00Z",
            "field": "description",
            "excerpt": "by description: straße",
            "title": "none",
            "actor_id": 1
        })
    );
    for (body, expected) in [
        (json!({ "q": "straße", "kind": "session" }), vec![("session", 1, "notes")]),
        (json!({ "q": "straße", "status": "done" }), vec![("todo", 3, "note")]),
        (
            json!({ "q": "straße", "session_id": 1, "kind": "activity" }),
            vec![("activity", 1, "description")],
        ),
        (json!({ "q": "straße", "session_id": 99 }), vec![]),
        (json!({ "q": "straße", "until": "2026-04-08" }), vec![]),
        (json!({ "q": "straße \"by note\"" }), vec![("todo", 3, "note")]),
        (json!({ "q": "\"strasse by\"" }), vec![("todo", 1, "title")]),
        (json!({ "q": "stra" }), vec![]),
    ] {
        assert_eq!(found(&search(&app, body.clone()).await), expected, "{body}");
    }
    assert_eq!(found(&search(&app, json!({ "q": "stra*" })).await).len(), 6);
    assert_eq!(balance(&app).await, left);
}

async fn pages_of_a_search_hold_every_match_once(database: TestDatabase) {
    let app = TestApp::start(database, 200).await;
    for number in 0..40 {
        let text = if number % 2 == 0 { "needle" } else { "hay" };
        app.post("/activities", &json!({ "description": text })).await.expect(201);
        let todo = json!({ "title": text, "priority": number % 4 });
        app.post("/todos", &todo).await.expect(201);
    }
    let all = search(&app, json!({ "q": "needle", "limit": 100 })).await;
    assert_eq!((found(&all).len(), &all["next_cursor"]), (40, &Value::Null));
    let (mut pages, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = search(&app, json!({ "q": "needle", "limit": 7, "cursor": cursor })).await;
        assert_eq!(page["complete"], true);
        pages.extend(page["results"].as_array().unwrap().clone());
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(Value::from(pages), all["results"]);
}

async fn a_suspended_account_searches(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "kept" })).await.expect(201);
    let suspend = "UPDATE accounts SET status = 'suspended', auth_epoch = auth_epoch + 1";
    app.database.execute(suspend).await;
    let answer = search(&app, json!({ "q": "kept" })).await;
    assert_eq!(found(&answer), [("session", 1, "notes")]);
}

async fn owner_and_member_find_what_the_other_wrote_for_the_member(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let owner = app.context.admit(&app.credentials).await;
    let key = add_member(&app.database, &owner, 2).await;
    let by_member = async |path: &str, body: Value| {
        let request = app.unauthenticated(Method::POST, &format!("/api/v1{path}"));
        send(request.header("X-API-Key", key.expose_secret()).json(&body)).await
    };
    by_member("/activities", json!({ "description": "a needle" })).await.expect(201);
    let for_member = json!({ "description": "another needle", "actor_id": 2 });
    app.post("/activities", &for_member).await.expect(201);
    app.post("/activities", &json!({ "description": "the owner's needle" })).await.expect(201);
    let of_member = [("activity", 2, "description"), ("activity", 1, "description")];
    let own = by_member("/search", json!({ "q": "needle" })).await.expect(200);
    assert_eq!(found(&own), of_member);
    let by_owner = search(&app, json!({ "q": "needle", "actor_id": 2 })).await;
    assert_eq!(found(&by_owner), of_member);
    let own = search(&app, json!({ "q": "needle" })).await;
    assert_eq!(found(&own), [("activity", 3, "description")]);
    let all = search(&app, json!({ "q": "needle", "actor_id": "all" })).await;
    assert_eq!(found(&all).len(), 3);
    by_member("/search", json!({ "q": "needle", "actor_id": "all" })).await.expect(403);
}

async fn a_damaged_text_is_counted_and_the_others_are_found(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    for text in ["needle one", "needle two"] {
        app.post("/activities", &json!({ "description": text })).await.expect(201);
    }
    let damage = "UPDATE activities SET description = \
                  (SELECT description FROM activities WHERE activity_id = 1) WHERE activity_id = 2";
    app.database.execute(damage).await;
    let answer = search(&app, json!({ "q": "needle" })).await;
    assert_eq!(
        (found(&answer), &answer["unreadable"]),
        (vec![("activity", 1, "description")], &json!(1))
    );
}
