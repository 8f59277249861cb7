//! Statistics of todos and credits over HTTP.

use roots_domain::port::store::Verifier;
use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::json;

use crate::client::assert_answer;

roots_testkit::on_both! {
    todos_are_counted_as_they_are_made_done_cancelled_and_deleted,
    credits_are_counted_with_the_balance_of_each_day,
}

async fn todos_are_counted_as_they_are_made_done_cancelled_and_deleted(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    assert_answer!(app.get("/todos/stats").await, @r#"
    200 OK

    {
      "since": "2026-03-10T14:00:00Z",
      "until": "2026-04-09T14:14:59.999999Z",
      "made": 0,
      "done": 0,
      "cancelled": 0,
      "by_actor": [],
      "by_actor_omitted": 0,
      "by_day": []
    }
    "#);
    for title in ["one", "two", "three"] {
        app.post("/todos", &json!({ "title": title })).await.expect(201);
    }
    app.patch("/todos/1", &json!({ "status": "done" })).await.expect(200);
    app.context.clock.advance_seconds(11 * 3600);
    app.patch("/todos/2", &json!({ "status": "cancelled" })).await.expect(200);
    app.delete("/todos/1").await.expect(200);
    assert_answer!(app.get("/todos/stats?since=2026-04-09").await, @r#"
    200 OK

    {
      "since": "2026-04-09T00:00:00Z",
      "until": "2026-04-10T01:14:59.999999Z",
      "made": 3,
      "done": 1,
      "cancelled": 1,
      "by_actor": [{"actor_id": 1, "made": 3, "done": 1, "cancelled": 1}],
      "by_actor_omitted": 0,
      "by_day": [
        {"day": "2026-04-09", "made": 3, "done": 1, "cancelled": 0},
        {"day": "2026-04-10", "made": 0, "done": 0, "cancelled": 1}
      ]
    }
    "#);
    // In Kiritimati it was the same day, in the morning and in the afternoon.
    let zoned = app.get("/todos/stats?tz=Pacific/Kiritimati").await.expect(200);
    let day = |day: &str, made: i64, done: i64, cancelled: i64| json!({ "day": day, "made": made, "done": done, "cancelled": cancelled });
    assert_eq!(zoned["by_day"], json!([day("2026-04-10", 3, 1, 1)]));
    let (_, errors) = app.context.store.verify().await.unwrap();
    assert_eq!(errors, []);
}

async fn credits_are_counted_with_the_balance_of_each_day(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    app.context.clock.advance_seconds(86_400);
    app.post("/todos", &json!({ "title": "one" })).await.expect(201);
    assert_answer!(app.get("/credits/stats?since=2026-04-08").await, @r#"
    200 OK

    {
      "since": "2026-04-08T00:00:00Z",
      "until": "2026-04-10T14:14:59.999999Z",
      "spent": 2,
      "granted": 100,
      "balance_before": 0,
      "balance_after": 98,
      "balance": 98,
      "by_actor": [{"actor_id": 1, "spent": 2}],
      "by_actor_omitted": 0,
      "by_day": [
        {"day": "2026-04-09", "spent": 1, "granted": 100, "balance": 99},
        {"day": "2026-04-10", "spent": 1, "granted": 0, "balance": 98}
      ]
    }
    "#);
    // It reaches 366 days back, and does not go beyond now.
    let widest = app.get("/credits/stats?since=2020-01-01&until=2030-01-01").await.expect(200);
    assert_eq!(widest["since"], "2025-04-09T14:15:00Z");
    assert_eq!(widest["until"], "2026-04-10T14:14:59.999999Z");
}
