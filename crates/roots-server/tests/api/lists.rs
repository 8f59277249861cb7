//! Lists and statistics: order, filters and pages.

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::{assert_answer, faulty, ids};

roots_testkit::on_both! {
    sessions_are_listed_by_their_start,
    todos_are_listed_by_priority_and_then_by_time,
    sessions_are_chosen_by_their_start_and_by_their_end,
    finished_todos_are_listed_by_their_last_change_of_status,
    overdue_todos_are_listed_by_their_due_date,
    activities_are_listed_by_their_logged_at,
    statistics_count_the_selected_activities,
    statistics_of_a_session_count_its_linked_activities,
    pages_make_up_the_whole_list,
    a_cursor_of_another_list_or_account_is_400,
    every_invalid_parameter_of_a_list_is_400,
}

async fn sessions_are_listed_by_their_start(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    // Sessions 1 and 2 start at the same time. Session 3 starts earlier than both.
    for seconds in [0, 0, -60, 120] {
        app.context.clock.advance_seconds(seconds);
        app.post("/sessions", &json!({ "notes": "one of them" })).await.expect(201);
    }
    app.patch("/sessions/2", &json!({ "status": "ended" })).await.expect(200);
    for (path, expected) in [
        ("/sessions", &[4, 2, 1, 3][..]),
        ("/sessions?status=active", &[4, 1, 3]),
        ("/sessions?status=ended", &[2]),
        ("/sessions?limit=2", &[4, 2]),
        ("/sessions?limit=2&offset=1&status=active", &[1, 3]),
        ("/sessions?offset=4", &[]),
    ] {
        let list = app.get(path).await.expect(200);
        assert_eq!(ids(&list, "sessions", "session_id"), expected, "{path}");
        let total = if path.contains("active") {
            3
        } else if path.contains("ended") {
            1
        } else {
            4
        };
        assert_eq!(list["total"], total, "{path}");
    }
    assert_answer!(app.get("/sessions?limit=1").await, @r#"
    200 OK
    link: </api/v1/sessions?limit=1&cursor=Af06dUYAAAAAAAAAAAAGTwdyOX8AAAAAAAAAAAQ>; rel="next"

    {
      "sessions": [
        {
          "session_id": 4,
          "status": "active",
          "notes": "one of them",
          "started_at": "2026-04-09T14:01:00Z",
          "ended_at": null,
          "ended_reason": null,
          "duration_seconds": null,
          "actor_id": 1,
          "last_active_at": "2026-04-09T14:01:00Z"
        }
      ],
      "total": 4,
      "limit": 1,
      "offset": 0,
      "next_cursor": "Af06dUYAAAAAAAAAAAAGTwdyOX8AAAAAAAAAAAQ"
    }
    "#);
}

/// The ids of all pages of a list, with `limit` rows on each, and its total.
async fn walked(app: &TestApp, path: &str, limit: usize, [rows, id]: [&str; 2]) -> Vec<i64> {
    let mut found = Vec::new();
    let mut next = format!("{path}&limit={limit}");
    loop {
        let page = app.get(&next).await.expect(200);
        found.extend(ids(&page, rows, id));
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(page["total"], found.len(), "{path}");
            return found;
        };
        next = format!("{path}&limit={limit}&cursor={cursor}");
    }
}

async fn sessions_are_chosen_by_their_start_and_by_their_end(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    // They start at 14:00, 14:01 and so on.
    for _ in 0..6 {
        app.post("/sessions", &json!({})).await.expect(201);
        app.context.clock.advance_seconds(60);
    }
    // They end at 14:06, 14:07, 14:08. Sessions 3, 5 and 6 go on.
    for session in [4, 1, 2] {
        let end = json!({ "status": "ended" });
        app.patch(&format!("/sessions/{session}"), &end).await.expect(200);
        app.context.clock.advance_seconds(60);
    }
    let names = ["sessions", "session_id"];
    for (query, expected) in [
        ("since=2026-04-09T14:02:00Z", &[6, 5, 4, 3][..]),
        ("until=2026-04-09T14:02:00Z", &[3, 2, 1]),
        ("since=2026-04-09T14:01:00Z&until=2026-04-09T14:03:00Z", &[4, 3, 2]),
        ("since=2026-04-09T14:01:00Z&status=active", &[6, 5, 3]),
        ("since=2026-04-09&until=2026-04-09", &[6, 5, 4, 3, 2, 1]),
        ("since=2026-04-10", &[]),
        ("active_since=2026-04-09T14:07:00Z", &[6, 5, 3, 2, 1]),
        ("active_since=2026-04-09T14:08:30Z", &[6, 5, 3]),
        ("active_since=2026-04-09T14:00:00Z&status=ended", &[2, 1, 4]),
        ("active_since=2026-04-09T14:07:30Z&status=ended", &[2]),
        ("active_since=2026-04-09T14:07:00Z&status=active", &[6, 5, 3]),
        ("active_since=2026-04-09T14:07:00Z&actor_id=all", &[6, 5, 3, 2, 1]),
    ] {
        for limit in [1, 2, 100] {
            let path = format!("/sessions?{query}");
            assert_eq!(walked(&app, &path, limit, names).await, expected, "{query}, {limit}");
        }
    }
    // A cursor belongs to one window.
    let first = app.get("/sessions?active_since=2026-04-09T14:00:00Z&limit=1").await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    for query in ["", "active_since=2026-04-09T14:00:01Z&", "since=2026-04-09T14:00:00Z&"] {
        let answer = app.get(&format!("/sessions?{query}cursor={cursor}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

async fn finished_todos_are_listed_by_their_last_change_of_status(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    for priority in [0, 3, 1, 2, 0] {
        app.post("/todos", &json!({ "title": "t", "priority": priority })).await.expect(201);
    }
    let mut since = Vec::new();
    for (todo, status) in [(2, "done"), (1, "done"), (5, "cancelled"), (4, "done"), (3, "done")] {
        app.context.clock.advance_seconds(60);
        let done = app.patch(&format!("/todos/{todo}"), &json!({ "status": status })).await;
        since.push(done.expect(200)["status_since"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        (since[0].as_str(), since[4].as_str()),
        ("2026-04-09T14:01:00Z", "2026-04-09T14:05:00Z")
    );
    // Other changes move no todo in the list, and a todo that is reopened leaves it.
    app.context.clock.advance_seconds(60);
    app.patch("/todos/2", &json!({ "title": "later" })).await.expect(200);
    let reopened = app.patch("/todos/1", &json!({ "status": "open" })).await.expect(200);
    assert_eq!(reopened["status_since"], "2026-04-09T14:06:00Z");
    let names = ["todos", "todo_id"];
    for (query, expected) in [
        ("status=done", &[3, 4, 2][..]),
        ("status=cancelled", &[5]),
        ("status=done&actor_id=all", &[3, 4, 2]),
    ] {
        for limit in [1, 2, 100] {
            let path = format!("/todos?sort=status_since&{query}");
            assert_eq!(walked(&app, &path, limit, names).await, expected, "{query}, {limit}");
        }
    }
    let first = app.get("/todos?sort=status_since&status=done&limit=1").await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let answer = app.get(&format!("/todos?status=done&cursor={cursor}")).await;
    assert_eq!(answer.status, 400, "a cursor of another order");
}

async fn overdue_todos_are_listed_by_their_due_date(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    // It is 14:00. Todos 1, 2, 4 and 5 are overdue, but 5 is done.
    for due_at in ["13:00:00", "12:00:00", "14:00:00", "12:00:00", "11:00:00"] {
        let due_at = format!("2026-04-09T{due_at}Z");
        app.post("/todos", &json!({ "title": "t", "due_at": due_at })).await.expect(201);
    }
    app.post("/todos", &json!({ "title": "no due date" })).await.expect(201);
    app.patch("/todos/5", &json!({ "status": "done" })).await.expect(200);
    app.patch("/todos/2", &json!({ "status": "in_progress" })).await.expect(200);
    let names = ["todos", "todo_id"];
    for query in ["overdue=true", "overdue=true&actor_id=all"] {
        for limit in [1, 2, 100] {
            let path = format!("/todos?{query}");
            assert_eq!(walked(&app, &path, limit, names).await, [2, 4, 1], "{query}, {limit}");
        }
    }
    app.context.clock.advance_seconds(1);
    assert_eq!(walked(&app, "/todos?overdue=true", 100, names).await, [2, 4, 1, 3]);
}

async fn todos_are_listed_by_priority_and_then_by_time(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    for (priority, session, seconds) in [
        (0, json!(1), 0),
        (3, Value::Null, 10),
        (1, json!(1), 0),
        (3, json!(1), 0),
        (1, Value::Null, -60),
        (0, Value::Null, 120),
    ] {
        app.context.clock.advance_seconds(seconds);
        let todo = json!({ "title": "one", "priority": priority, "session_id": session });
        app.post("/todos", &todo).await.expect(201);
    }
    app.patch("/todos/4", &json!({ "status": "done" })).await.expect(200);
    app.patch("/todos/1", &json!({ "status": "cancelled" })).await.expect(200);
    app.patch("/todos/5", &json!({ "status": "in_progress" })).await.expect(200);
    for (path, expected) in [
        ("/todos", &[4, 2, 3, 5, 6, 1][..]),
        ("/todos?status=open", &[2, 3, 6]),
        ("/todos?status=in_progress", &[5]),
        ("/todos?status=done", &[4]),
        ("/todos?status=cancelled", &[1]),
        ("/todos?priority=3", &[4, 2]),
        ("/todos?priority=0", &[6, 1]),
        ("/todos?priority=2", &[]),
        ("/todos?session_id=1", &[4, 3, 1]),
        ("/todos?session_id=2", &[]),
        ("/todos?session_id=9223372036854775807", &[]),
        ("/todos?status=open&priority=3", &[2]),
        ("/todos?status=open&priority=1&session_id=1", &[3]),
        ("/todos?status=done&session_id=1", &[4]),
        ("/todos?priority=1&session_id=1", &[3]),
    ] {
        let list = app.get(path).await.expect(200);
        assert_eq!(ids(&list, "todos", "todo_id"), expected, "{path}");
        assert_eq!(list["total"], expected.len(), "{path}");
        for todo in list["todos"].as_array().unwrap() {
            let alone = app.get(&format!("/todos/{}", todo["todo_id"])).await.expect(200);
            let mut listed = todo.clone();
            assert_eq!(listed.as_object_mut().unwrap().remove("until"), Some(Value::Null));
            assert_eq!(listed, alone, "a list shows the whole todo");
        }
    }
}

/// Logs six activities of different types, days and sessions.
async fn log_activities(app: &TestApp) {
    app.post("/sessions", &json!({})).await.expect(201);
    app.post("/sessions", &json!({})).await.expect(201);
    app.patch("/sessions/2", &json!({ "status": "ended" })).await.expect(200);
    for (activity_type, session, logged_at) in [
        ("deploy", json!(1), "2026-04-07T00:00:00Z"),
        ("review", Value::Null, "2026-04-08T12:00:00Z"),
        ("deploy", Value::Null, "2026-04-08T23:59:59.999999Z"),
        ("general", json!(1), "2026-04-09T02:00:00+02:00"),
        ("general", Value::Null, "2026-04-08T12:00:00Z"),
        ("deploy", json!(1), "2026-04-01"),
    ] {
        let activity = json!({
            "description": "one",
            "activity_type": activity_type,
            "session_id": session,
            "logged_at": logged_at
        });
        app.post("/activities", &activity).await.expect(201);
    }
}

async fn activities_are_listed_by_their_logged_at(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    log_activities(&app).await;
    let now = app.post("/activities", &json!({ "description": "now" })).await;
    assert_answer!(now, @r#"
    201 Created
    location: /api/v1/activities/7
    x-credits-cost: 1
    x-credits-remaining: 90

    {
      "activity_id": 7,
      "session_id": null,
      "activity_type": "general",
      "description": "now",
      "logged_at": "2026-04-09T14:00:00Z",
      "created_at": "2026-04-09T14:00:00Z",
      "actor_id": 1
    }
    "#);
    for (path, expected) in [
        ("/activities", &[7, 4, 3, 5, 2, 1, 6][..]),
        ("/activities?type=deploy", &[3, 1, 6]),
        ("/activities?type=general", &[7, 4, 5]),
        ("/activities?type=unheard-of", &[]),
        ("/activities?session_id=1", &[4, 1, 6]),
        ("/activities?session_id=2", &[]),
        ("/activities?session_id=1&type=deploy", &[1, 6]),
        ("/activities?since=2026-04-08", &[7, 4, 3, 5, 2]),
        ("/activities?since=2026-04-08T12:00:00Z&until=2026-04-08T12:00:00Z", &[5, 2]),
        ("/activities?since=2026-04-08&until=2026-04-08", &[3, 5, 2]),
        ("/activities?until=2026-04-07", &[1, 6]),
        ("/activities?until=2026-04-07T00:00:00Z", &[1, 6]),
        ("/activities?until=2026-04-06T23:59:59.999999Z", &[6]),
        ("/activities?since=2026-04-09&until=2026-04-08", &[]),
        ("/activities?since=2026-04-09T01:00:00%2B01:00", &[7, 4]),
        ("/activities?since=2026-04-09T01:00:00+01:00", &[7, 4]),
        ("/activities?type=deploy&session_id=1&since=2026-04-02&until=2026-04-30", &[1]),
        ("/activities?type=deploy&limit=1&offset=1", &[1]),
    ] {
        let list = app.get(path).await.expect(200);
        assert_eq!(ids(&list, "activities", "activity_id"), expected, "{path}");
        let total = if path.contains("limit") { 3 } else { expected.len() };
        assert_eq!(list["total"], total, "{path}");
    }
}

async fn statistics_count_the_selected_activities(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    assert_answer!(app.get("/activities/stats").await, @r#"
    200 OK

    {
      "total_activities": 0,
      "by_type": [],
      "by_type_omitted": 0,
      "by_day": [],
      "by_day_omitted": 0,
      "sessions": {"total": 0, "active": 0}
    }
    "#);
    log_activities(&app).await;
    assert_answer!(app.get("/activities/stats").await, @r#"
    200 OK

    {
      "total_activities": 6,
      "by_type": [
        {"activity_type": "deploy", "count": 3},
        {"activity_type": "general", "count": 2},
        {"activity_type": "review", "count": 1}
      ],
      "by_type_omitted": 0,
      "by_day": [
        {"day": "2026-04-01", "count": 1},
        {"day": "2026-04-07", "count": 1},
        {"day": "2026-04-08", "count": 3},
        {"day": "2026-04-09", "count": 1}
      ],
      "by_day_omitted": 0,
      "sessions": {"total": 2, "active": 1}
    }
    "#);
    let narrow = "/activities/stats?since=2026-04-08T12:00:00Z&until=2026-04-08";
    assert_answer!(app.get(narrow).await, @r#"
    200 OK

    {
      "total_activities": 3,
      "by_type": [
        {"activity_type": "deploy", "count": 1},
        {"activity_type": "general", "count": 1},
        {"activity_type": "review", "count": 1}
      ],
      "by_type_omitted": 0,
      "by_day": [{"day": "2026-04-08", "count": 3}],
      "by_day_omitted": 0,
      "sessions": {"total": 2, "active": 1}
    }
    "#);
    // In a time zone 5:45 ahead of UTC, two activities are on a later day.
    let zoned = "/activities/stats?tz=Asia/Kathmandu";
    assert_answer!(app.get(zoned).await, @r#"
    200 OK

    {
      "total_activities": 6,
      "by_type": [
        {"activity_type": "deploy", "count": 3},
        {"activity_type": "general", "count": 2},
        {"activity_type": "review", "count": 1}
      ],
      "by_type_omitted": 0,
      "by_day": [
        {"day": "2026-04-01", "count": 1},
        {"day": "2026-04-07", "count": 1},
        {"day": "2026-04-08", "count": 2},
        {"day": "2026-04-09", "count": 2}
      ],
      "by_day_omitted": 0,
      "sessions": {"total": 2, "active": 1}
    }
    "#);
    for (days, expected) in [
        ("since=2026-04-08&until=2026-04-08", 2),
        ("since=2026-04-09", 2),
        ("until=2026-04-07", 2),
        ("since=2026-04-08T23:59:59.999999&until=2026-04-09T00:00", 2),
    ] {
        let stats = app.get(&format!("{zoned}&{days}")).await.expect(200);
        assert_eq!(stats["total_activities"], expected, "{days}");
        let list = app.get(&format!("/activities?tz=Asia/Kathmandu&{days}")).await.expect(200);
        assert_eq!(list["total"], expected, "{days}");
    }
}

async fn statistics_of_a_session_count_its_linked_activities(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    log_activities(&app).await;
    assert_answer!(app.get("/activities/stats?session_id=1").await, @r#"
    200 OK

    {
      "total_activities": 3,
      "by_type": [
        {"activity_type": "deploy", "count": 2},
        {"activity_type": "general", "count": 1}
      ],
      "by_type_omitted": 0,
      "by_day": [
        {"day": "2026-04-01", "count": 1},
        {"day": "2026-04-07", "count": 1},
        {"day": "2026-04-09", "count": 1}
      ],
      "by_day_omitted": 0,
      "sessions": {"total": 1, "active": 1}
    }
    "#);
    let both = "/activities/stats?session_id=1&since=2026-04-07&until=2026-04-07";
    assert_eq!(app.get(both).await.expect(200)["total_activities"], 1);
    let ended = app.get("/activities/stats?session_id=2").await.expect(200);
    assert_eq!(ended["sessions"], json!({ "total": 1, "active": 0 }));
    let none = app.get("/activities/stats?session_id=3").await.expect(200);
    assert_eq!(none["sessions"], json!({ "total": 0, "active": 0 }));
    // Deleting an activity and a session changes the counts.
    app.delete("/activities/6").await.expect(200);
    app.delete("/sessions/1").await.expect(200);
    let after = app.get("/activities/stats").await.expect(200);
    assert_eq!(after["total_activities"], 5);
    assert_eq!(after["by_day"].as_array().unwrap().len(), 3);
    assert_eq!(after["sessions"], json!({ "total": 1, "active": 0 }));
    let unlinked = app.get("/activities/stats?session_id=1").await.expect(200);
    assert_eq!(unlinked["total_activities"], 0);
}

async fn pages_make_up_the_whole_list(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    for number in 0..105 {
        let activity = json!({ "description": format!("number {number}") });
        app.post("/activities", &activity).await.expect(201);
    }
    for (path, items, id, total) in [
        ("/activities", "activities", "activity_id", 105),
        ("/credits/ledger", "entries", "ledger_id", 106),
    ] {
        let list = app.get(path).await.expect(200);
        assert_eq!((&list["limit"], &list["offset"]), (&json!(20), &json!(0)));
        assert_eq!(ids(&list, items, id), (total - 19..=total).rev().collect::<Vec<_>>());
        // A limit above 100 reads as 100, and the answer shows 100.
        for above in ["101", "100", "18446744073709551616", "000100"] {
            let list = app.get(&format!("{path}?limit={above}")).await.expect(200);
            assert_eq!(list["limit"], 100, "{above}");
            assert_eq!(list["total"], total);
            assert_eq!(ids(&list, items, id).len(), 100);
        }
        let mut seen = Vec::new();
        for page in 0..20 {
            let at = page * 7;
            let list = app.get(&format!("{path}?limit=7&offset={at}")).await.expect(200);
            assert_eq!((&list["limit"], &list["offset"]), (&json!(7), &json!(at)));
            assert_eq!(list["total"], total);
            seen.extend(ids(&list, items, id));
        }
        assert_eq!(seen, (1..=total).rev().collect::<Vec<_>>());
        assert_eq!(ids_of_pages(&app, &format!("{path}?limit=7"), items, id).await, seen);
        assert_eq!(
            ids_of_pages(&app, &format!("{path}?limit=50&offset=3"), items, id).await,
            seen[3..]
        );
        let beyond = app.get(&format!("{path}?offset=9223372036854775807")).await.expect(200);
        assert_eq!(beyond[items], json!([]));
        assert_eq!(beyond["offset"], i64::MAX);
        assert_eq!(beyond["total"], total);
    }
}

/// The ids on all pages of a list, from the page at `path` on.
async fn ids_of_pages(app: &TestApp, path: &str, items: &str, id: &str) -> Vec<i64> {
    let (mut path, mut seen) = (path.to_owned(), Vec::new());
    loop {
        let answer = app.get(&path).await;
        let list = answer.expect(200);
        seen.extend(ids(&list, items, id));
        let Some(cursor) = list["next_cursor"].as_str() else {
            assert_eq!(answer.header("link"), None);
            return seen;
        };
        let link = answer.header("link").unwrap().strip_prefix("</api/v1").unwrap();
        link.strip_suffix(">; rel=\"next\"").unwrap().clone_into(&mut path);
        assert!(path.ends_with(&format!("&cursor={cursor}")), "{path}");
    }
}

async fn a_cursor_of_another_list_or_account_is_400(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    for priority in [1, 2, 1, 3, 1] {
        let todo = json!({ "title": "one", "priority": priority });
        app.post("/todos", &todo).await.expect(201);
    }
    assert_eq!(ids_of_pages(&app, "/todos?limit=2", "todos", "todo_id").await, [4, 2, 5, 3, 1]);
    let walk = ids_of_pages(&app, "/todos?priority=1&limit=1", "todos", "todo_id").await;
    assert_eq!(walk, [5, 3, 1]);
    let list = app.get("/todos?priority=1&limit=1").await.expect(200);
    let cursor = list["next_cursor"].as_str().unwrap();
    // The cursor works after the row that it points to is deleted.
    app.delete("/todos/5").await.expect(200);
    let path = format!("/todos?priority=1&cursor={cursor}");
    assert_eq!(ids(&app.get(&path).await.expect(200), "todos", "todo_id"), [3, 1]);
    for other in ["/todos?", "/todos?priority=2&", "/sessions?", "/credits/ledger?priority=1&"] {
        let refusal = app.get(&format!("{other}cursor={cursor}")).await.expect(400);
        assert!(faulty(&refusal).contains(&"cursor") || other.contains("ledger"), "{other}");
    }
    let theirs = app.context.found(100).await;
    let request = app
        .unauthenticated(reqwest::Method::GET, &format!("/api/v1{path}"))
        .header("X-API-Key", secrecy::ExposeSecret::expose_secret(&theirs.api_key));
    assert_eq!(faulty(&roots_testkit::app::send(request).await.expect(400)), ["cursor"]);
}

async fn every_invalid_parameter_of_a_list_is_400(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let lists = ["/sessions", "/todos", "/activities", "/credits/ledger"];
    for list in lists {
        for bad in ["0", "-1", "1.5", "ten", "", "%201", "+1", "0x10", "1e2"] {
            let refusal = app.get(&format!("{list}?limit={bad}")).await.expect(400);
            assert_eq!(faulty(&refusal), ["limit"], "{list} {bad}");
        }
        for bad in ["-1", "ten", "", "1.0", "9223372036854775808"] {
            let refusal = app.get(&format!("{list}?offset={bad}")).await.expect(400);
            assert_eq!(faulty(&refusal), ["offset"], "{list} {bad}");
        }
        let refusal = app.get(&format!("{list}?limit=1&limit=1&ofset=2&x=1")).await.expect(400);
        assert_eq!(faulty(&refusal), ["limit", "ofset", "x"], "{list}");
        assert_eq!(app.get(&format!("{list}?%ff=1")).await.status, 400);
    }
    let answer = app.get(
        "/todos?status=finished&priority=4&session_id=0&limit=0&offset=-1&Status=open&sessionid=1",
    ).await;
    assert_answer!(answer, @r#"
    400 Bad Request

    {
      "type": "/docs/problems#invalid-parameters",
      "title": "Invalid query parameters",
      "status": 400,
      "detail": "status must be one of open, in_progress, done, cancelled; priority must be 0 (lowest) to 3 (highest); session_id must be a positive integer; and 4 more errors.",
      "request_id": "a-test",
      "error": "status must be one of open, in_progress, done, cancelled; priority must be 0 (lowest) to 3 (highest); session_id must be a positive integer; and 4 more errors.",
      "errors": [
        {"field": "status", "message": "must be one of open, in_progress, done, cancelled"},
        {"field": "priority", "message": "must be 0 (lowest) to 3 (highest)"},
        {"field": "session_id", "message": "must be a positive integer"},
        {"field": "limit", "message": "must be an integer from 1 (above 100 reads as 100)"},
        {"field": "offset", "message": "must be an integer from 0"},
        {"field": "Status", "message": "is not a known parameter: did you mean status?"},
        {"field": "sessionid", "message": "is not a known parameter: did you mean session_id?"}
      ]
    }
    "#);
    let answer = app.get(
        "/activities?type=De%20ploy&session_id=one&since=yesterday&until=2026-13-01&activity_type=x",
    ).await;
    assert_answer!(answer, @r#"
    400 Bad Request

    {
      "type": "/docs/problems#invalid-parameters",
      "title": "Invalid query parameters",
      "status": 400,
      "detail": "type must be 1 to 50 of the characters a-z, 0-9, '_', '.' and '-'; session_id must be a positive integer; since must be a date or time of RFC 3339, such as 2026-04-09 or 2026-04-09T14:00:00Z; and 2 more errors.",
      "request_id": "a-test",
      "error": "type must be 1 to 50 of the characters a-z, 0-9, '_', '.' and '-'; session_id must be a positive integer; since must be a date or time of RFC 3339, such as 2026-04-09 or 2026-04-09T14:00:00Z; and 2 more errors.",
      "errors": [
        {
          "field": "type",
          "message": "must be 1 to 50 of the characters a-z, 0-9, '_', '.' and '-'"
        },
        {"field": "session_id", "message": "must be a positive integer"},
        {
          "field": "since",
          "message": "must be a date or time of RFC 3339, such as 2026-04-09 or 2026-04-09T14:00:00Z"
        },
        {
          "field": "until",
          "message": "must be a date or time of RFC 3339, such as 2026-04-09 or 2026-04-09T14:00:00Z"
        },
        {"field": "activity_type", "message": "is not a known parameter: did you mean type?"}
      ]
    }
    "#);
    for (path, field) in [
        ("/sessions?status=Active", "status"),
        ("/sessions?status=", "status"),
        ("/todos?priority=-1", "priority"),
        ("/todos?priority=02", "priority"),
        ("/todos?session_id=01", "session_id"),
        ("/activities?since=1969-12-31", "since"),
        ("/activities?until=10000-01-01", "until"),
        ("/activities/stats?type=deploy", "type"),
        ("/activities/stats?limit=1", "limit"),
        ("/activities/stats?tz=Nowhere", "tz"),
        ("/credits/ledger?reason=gift", "reason"),
        ("/credits?limit=1", "limit"),
        ("/whoami?verbose=1", "verbose"),
        ("/sessions/1?fields=notes", "fields"),
        ("/todos/1/logs?limit=1", "limit"),
    ] {
        let refusal = app.get(path).await.expect(400);
        assert_eq!(faulty(&refusal), [field], "{path}");
    }
    // A write with an unknown parameter is refused too.
    let refusal = app.post("/sessions?notes=x", &json!({})).await.expect(400);
    assert_eq!(faulty(&refusal), ["notes"]);
    assert_eq!(app.delete("/sessions/1?force=1").await.status, 400);
    assert_eq!(app.get("/sessions").await.expect(200)["total"], 0);
}
