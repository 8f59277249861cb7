//! Counts of requests by endpoint and day.

use roots_domain::port::clock::Clock;
use roots_testkit::app::TestApp;
use roots_testkit::database::{TestDatabase, until};
use roots_testkit::on_both;
use serde_json::{Value, json};

on_both! {
    usage_is_counted_by_endpoint_and_day,
    usage_of_several_processes_adds_up,
    usage_of_an_account_is_hidden_from_others,
    usage_of_3000_endpoints_is_written,
}

async fn usage(app: &TestApp, period: &str) -> Value {
    app.get(&format!("/usage{period}")).await.expect(200)
}

async fn usage_is_counted_by_endpoint_and_day(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let period = app.context.clock.now().to_string()[..7].to_owned();
    let day = app.context.clock.now().to_string()[..10].to_owned();
    app.post("/todos", &json!({"title": "one"})).await.expect(201);
    for _ in 0..2 {
        app.get("/todos/1").await.expect(200);
    }
    // A refused request counts too. A request of an unknown path does not.
    app.get("/todos/2").await.expect(404);
    app.post("/todos", &json!({"titel": "two"})).await.expect(422);
    app.get("/nothing").await.expect(404);
    app.context.usage.flush().await.unwrap();
    let found = usage(&app, "").await;
    let expected = json!({
        "period": period,
        "used": 5,
        "top_endpoints": [
            {"endpoint": "/todos/{id}", "method": "GET", "calls": 3},
            {"endpoint": "/todos", "method": "POST", "calls": 2},
        ],
    });
    assert_eq!(found, expected);
    app.context.usage.flush().await.unwrap();
    assert_eq!(usage(&app, &format!("?period={period}")).await["used"], 6);
    let history = app.get("/usage/history").await.expect(200);
    assert_eq!(history, json!({"period": period, "daily": [{"day": day, "calls": 6}]}));
    let empty = app.get("/usage/history?period=1970-01").await.expect(200);
    assert_eq!(empty, json!({"period": "1970-01", "daily": []}));
    assert_eq!(app.get("/usage?period=2026-4").await.status, 400);
}

async fn usage_of_several_processes_adds_up(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let another = app.another().await;
    for app in [&app, &another, &app] {
        app.get("/whoami").await.expect(200);
        app.context.usage.flush().await.unwrap();
    }
    let (one, two) = tokio::join!(another.get("/whoami"), app.get("/whoami"));
    one.expect(200);
    two.expect(200);
    // On PostgreSQL a flush that waits half a second for the other's lock fails and is repeated.
    let flush = async |app: &TestApp| {
        until("the counts are written", async || app.context.usage.flush().await.is_ok()).await;
    };
    tokio::join!(flush(&app), flush(&another));
    // A process that has just started reads the sum.
    let third = app.another().await;
    let called = json!([{"endpoint": "/whoami", "method": "GET", "calls": 5}]);
    assert_eq!(usage(&third, "").await["top_endpoints"], called);
}

async fn usage_of_an_account_is_hidden_from_others(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let other = app.context.found(10).await;
    app.get("/whoami").await.expect(200);
    app.context.usage.flush().await.unwrap();
    let request = app.unauthenticated(reqwest::Method::GET, "/api/v1/usage");
    let key = secrecy::ExposeSecret::expose_secret(&other.api_key);
    let found = roots_testkit::app::send(request.header("X-API-Key", key)).await.expect(200);
    assert_eq!(found["used"], 0);
}

async fn usage_of_3000_endpoints_is_written(database: TestDatabase) {
    use roots_domain::model::usage::Endpoint;
    let app = TestApp::start(database, 10).await;
    let caller = app.context.caller(10).await;
    for number in 0..3_000 {
        let endpoint = Endpoint { route: format!("/{number}"), method: "GET".to_owned() };
        app.context.usage.count(&caller, endpoint);
    }
    app.context.usage.flush().await.unwrap();
    let (_, found) = app.context.usage.of_month(&caller, None).await.unwrap();
    assert_eq!((found.used, found.top.len()), (3_000, 10));
}
