//! The cost of writes, and the ledger of it.

use std::sync::Arc;

use reqwest::Method;
use roots_domain::port::store::Verifier;
use roots_domain::service::accounts::Grant;
use roots_testkit::app::{TestApp, send};
use roots_testkit::context::name;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::{assert_answer, balance, ids};

roots_testkit::on_both! {
    each_write_costs_one_and_reads_cost_nothing,
    a_refused_write_costs_nothing,
    an_account_without_credits_reads_but_does_not_write,
    the_ledger_lists_every_reason,
    concurrent_writers_spend_each_credit_once,
}

async fn each_write_costs_one_and_reads_cost_nothing(database: TestDatabase) {
    let app = TestApp::start(database, 20).await;
    let writes = [
        (Method::POST, "/sessions", json!({ "notes": "x" }), "POST /sessions"),
        (Method::PATCH, "/sessions/1", json!({ "notes": "y" }), "PATCH /sessions/{id}"),
        (Method::POST, "/todos", json!({ "title": "x", "session_id": 1 }), "POST /todos"),
        (Method::PATCH, "/todos/1", json!({ "status": "done", "note": "z" }), "PATCH /todos/{id}"),
        (Method::POST, "/activities", json!({ "description": "x" }), "POST /activities"),
        (Method::DELETE, "/activities/1", Value::Null, "DELETE /activities/{id}"),
        (Method::DELETE, "/todos/1", Value::Null, "DELETE /todos/{id}"),
        (Method::DELETE, "/sessions/1", Value::Null, "DELETE /sessions/{id}"),
    ];
    let reads = [
        "/sessions",
        "/sessions/1",
        "/todos",
        "/todos/1",
        "/todos/1/logs",
        "/activities",
        "/activities/1",
        "/activities/stats",
        "/credits",
        "/credits/ledger",
        "/whoami",
    ];
    let mut left = 20;
    let mut expected = vec![json!({
        "ledger_id": 1,
        "delta": 20,
        "balance_after": 20,
        "reason": "bootstrap_grant",
        "related_endpoint": null,
        "created_at": "2026-04-09T14:00:00Z"
    })];
    for (method, path, body, endpoint) in writes {
        app.context.clock.advance_seconds(1);
        let body = Some(&body).filter(|body| !body.is_null());
        let answer = app.call(method, path, body).await;
        left -= 1;
        assert!(matches!(answer.status, 200 | 201), "{endpoint}: {}", answer.text);
        assert_eq!(answer.header("x-credits-cost"), Some("1"), "{endpoint}");
        let remaining = answer.header("x-credits-remaining").unwrap();
        assert_eq!(remaining, left.to_string(), "{endpoint}");
        let id = expected.len() + 1;
        expected.insert(
            0,
            json!({
                "ledger_id": id,
                "delta": -1,
                "balance_after": left,
                "reason": "api_write",
                "related_endpoint": endpoint,
                "created_at": format!("2026-04-09T14:00:{:02}Z", id - 1)
            }),
        );
        for read in reads {
            let answer = app.get(read).await;
            assert_eq!(answer.header("x-credits-cost"), None, "{read}");
        }
    }
    let credits = app.get("/credits").await.expect(200);
    let expected = Value::from(expected);
    assert_eq!(
        credits,
        json!({
            "balance": left,
            "cost_model": { "reads": 0, "writes": 1 },
            "recent_ledger": expected
        })
    );
    let ledger = app.get("/credits/ledger").await.expect(200);
    let page = json!({
        "entries": expected,
        "total": 9,
        "limit": 20,
        "offset": 0,
        "next_cursor": null
    });
    assert_eq!(ledger, page);
    assert_eq!(app.context.store.verify().await.unwrap(), (1, vec![]));
}

async fn a_refused_write_costs_nothing(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    app.patch("/sessions/1", &json!({ "status": "ended" })).await.expect(200);
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    let before = app.get("/credits").await.expect(200);
    for (status, method, path, body) in [
        (400, Method::POST, "/sessions?x=1", json!({})),
        (404, Method::PATCH, "/sessions/2", json!({ "notes": "x" })),
        (404, Method::DELETE, "/sessions/2", Value::Null),
        (404, Method::DELETE, "/todos/9", Value::Null),
        (404, Method::DELETE, "/activities/1", Value::Null),
        (404, Method::DELETE, "/activities/0", Value::Null),
        (409, Method::PATCH, "/sessions/1", json!({ "status": "ended" })),
        (409, Method::POST, "/todos", json!({ "title": "x", "session_id": 1 })),
        (409, Method::POST, "/activities", json!({ "description": "x", "session_id": 1 })),
        (422, Method::POST, "/todos", json!({})),
        (422, Method::POST, "/todos", json!({ "title": "x", "session_id": 7 })),
        (422, Method::PATCH, "/todos/1", json!({})),
        (422, Method::PATCH, "/todos/1", json!({ "note": "x" })),
        (405, Method::PUT, "/todos/1", json!({ "title": "x" })),
    ] {
        let body = Some(&body).filter(|body| !body.is_null());
        let answer = app.call(method, path, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert_eq!(answer.header("x-credits-cost"), None, "{path}");
        assert_eq!(app.get("/credits").await.expect(200), before, "{path}");
    }
}

async fn an_account_without_credits_reads_but_does_not_write(database: TestDatabase) {
    let app = TestApp::start(database, 2).await;
    app.post("/sessions", &json!({ "notes": "kept" })).await.expect(201);
    let last = app.post("/todos", &json!({ "title": "kept", "session_id": 1 })).await;
    assert_eq!(last.header("x-credits-remaining"), Some("0"));
    assert_answer!(app.post("/sessions", &json!({})).await, @r#"
    402 Payment Required

    {
      "type": "/docs/problems#insufficient-credits",
      "title": "Insufficient credits",
      "status": 402,
      "detail": "The balance of 0 credits does not cover the cost of 1.",
      "request_id": "a-test",
      "error": "The balance of 0 credits does not cover the cost of 1.",
      "balance": 0,
      "cost": 1
    }
    "#);
    for (method, path, body) in [
        (Method::POST, "/todos", json!({ "title": "x" })),
        (Method::POST, "/activities", json!({ "description": "x" })),
        (Method::PATCH, "/sessions/1", json!({ "notes": "x" })),
        (Method::PATCH, "/todos/1", json!({ "status": "done" })),
        (Method::DELETE, "/todos/1", Value::Null),
        (Method::DELETE, "/sessions/1", Value::Null),
    ] {
        let body = Some(&body).filter(|body| !body.is_null());
        let refusal = app.call(method, path, body).await.expect(402);
        assert_eq!((&refusal["balance"], &refusal["cost"]), (&json!(0), &json!(1)), "{path}");
    }
    // Reads still work, and the refused writes changed nothing.
    assert_eq!(app.get("/sessions/1").await.expect(200)["notes"], "kept");
    let todo = app.get("/todos/1").await.expect(200);
    assert_eq!((&todo["status"], &todo["session_id"]), (&json!("open"), &json!(1)));
    assert_eq!(app.get("/todos/1/logs").await.expect(200)["logs"], json!([]));
    for path in ["/todos", "/sessions", "/activities", "/activities/stats", "/credits/ledger"] {
        app.get(path).await.expect(200);
    }
    assert_eq!(app.get("/whoami").await.expect(200)["credits_remaining"], 0);
    // After a grant of one credit, one write succeeds.
    let grant = Grant::parse(1).unwrap();
    app.context.accounts.grant(app.credentials.account, grant, None).await.unwrap();
    app.post("/sessions", &json!({})).await.expect(201);
    assert_eq!(app.post("/sessions", &json!({})).await.status, 402);
}

async fn the_ledger_lists_every_reason(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    for _ in 0..3 {
        app.post("/sessions", &json!({})).await.expect(201);
    }
    let grant = Grant::parse(5).unwrap();
    let note = Some(name("a gift"));
    app.context.accounts.grant(app.credentials.account, grant, note).await.unwrap();
    assert_answer!(app.get("/credits/ledger").await, "the_ledger_of_every_reason");
    for (reason, expected) in
        [("api_write", &[4, 3, 2][..]), ("operator_grant", &[5]), ("bootstrap_grant", &[1])]
    {
        let path = format!("/credits/ledger?reason={reason}");
        let page = app.get(&path).await.expect(200);
        assert_eq!(ids(&page, "entries", "ledger_id"), expected);
        assert_eq!(page["total"], expected.len());
    }
    let second = app.get("/credits/ledger?reason=api_write&limit=1&offset=1").await.expect(200);
    assert_eq!(ids(&second, "entries", "ledger_id"), [3]);
    assert_eq!((&second["total"], &second["limit"]), (&json!(3), &json!(1)));
}

/// The writers use two processes on one database.
async fn concurrent_writers_spend_each_credit_once(database: TestDatabase) {
    const WRITERS: usize = 32;
    const WRITES: usize = 5;
    let app = TestApp::start(database, 100).await;
    let apps = [Arc::new(app.another().await), Arc::new(app)];
    let writers = (0..WRITERS).map(|writer| {
        let app = Arc::clone(&apps[writer % apps.len()]);
        tokio::spawn(async move {
            let mut outcomes = Vec::new();
            for _ in 0..WRITES {
                let body = json!({ "description": format!("by writer {writer}") });
                let answer = send(app.request(Method::POST, "/activities").json(&body)).await;
                let remaining = answer.header("x-credits-remaining").map(str::to_owned);
                outcomes.push((answer.status, remaining));
            }
            outcomes
        })
    });
    let mut outcomes = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        outcomes.extend(writer.await.unwrap());
    }
    let (made, refused): (Vec<_>, Vec<_>) =
        outcomes.into_iter().partition(|(status, _)| *status == 201);
    assert_eq!((made.len(), refused.len()), (100, WRITERS * WRITES - 100));
    assert!(refused.iter().all(|(status, left)| *status == 402 && left.is_none()));
    // Each successful write left a different balance.
    let mut balances: Vec<i64> =
        made.iter().map(|(_, left)| left.as_ref().unwrap().parse().unwrap()).collect();
    balances.sort_unstable();
    assert_eq!(balances, (0..100).collect::<Vec<_>>());
    for app in &apps {
        assert_eq!(balance(app).await, 0);
        assert_eq!(app.get("/activities").await.expect(200)["total"], 100);
        assert_eq!(app.get("/credits/ledger").await.expect(200)["total"], 101);
        assert_eq!(app.context.store.verify().await.unwrap(), (1, vec![]));
    }
}
