//! An owner reads and writes the rows of its members. A member does so only for itself.

use reqwest::Method;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::client::{assert_answer, faulty, ids};

roots_testkit::on_both! {
    an_owner_and_a_member_read_what_the_other_wrote_byte_for_byte,
    linked_rows_belong_to_one_actor,
    lists_and_stats_of_all_actors_combine_those_of_each,
    a_ciphertext_of_another_actor_does_not_open_to_the_owner,
}

/// A text with characters of two and four bytes, combining characters, quotes and line ends.
const TEXT: &str = "Grüße \u{1f331} e\u{301} \"quoted\" \\ \t\r\n end ";

/// An account with the owner, actor 1, and the members 2 and 3.
struct ThreeActors {
    app: TestApp,
    keys: [SecretString; 2],
}

impl ThreeActors {
    async fn new(database: TestDatabase) -> Self {
        let app = TestApp::start(database, 1_000).await;
        let owner = app.context.admit(&app.credentials).await;
        let two = add_member(&app.database, &owner, 2).await;
        let three = add_member(&app.database, &owner, 3).await;
        Self { app, keys: [two, three] }
    }

    /// Sends a request with the key of an actor.
    async fn call(&self, actor: usize, method: Method, path: &str, body: Value) -> ApiResponse {
        let key = match actor {
            1 => self.app.key(),
            member => self.keys[member - 2].expose_secret(),
        };
        let request = self
            .app
            .unauthenticated(method, &format!("/api/v1{path}"))
            .header("X-API-Key", key)
            .header("X-Request-Id", "a-test");
        send(if body.is_null() { request } else { request.json(&body) }).await
    }

    async fn get(&self, actor: usize, path: &str) -> ApiResponse {
        self.call(actor, Method::GET, path, Value::Null).await
    }

    async fn post(&self, actor: usize, path: &str, body: Value) -> ApiResponse {
        self.call(actor, Method::POST, path, body).await
    }
}

async fn an_owner_and_a_member_read_what_the_other_wrote_byte_for_byte(database: TestDatabase) {
    let account = ThreeActors::new(database).await;
    for (writer, reader) in [(1, 2), (2, 1)] {
        let text = format!("{TEXT}by {writer}");
        let body = json!({ "notes": text, "actor_id": 2 });
        let session = account.post(writer, "/sessions", body).await.expect(201);
        let body = json!({ "title": text, "description": text, "actor_id": 2 });
        let todo = account.post(writer, "/todos", body).await.expect(201);
        let body = json!({ "description": text, "actor_id": 2 });
        let activity = account.post(writer, "/activities", body).await.expect(201);
        let session = format!("/sessions/{}", session["session_id"]);
        let todo = format!("/todos/{}", todo["todo_id"]);
        let activity = format!("/activities/{}", activity["activity_id"]);
        for path in [&session, &todo, &activity] {
            let (written, read) =
                (account.get(writer, path).await, account.get(reader, path).await);
            assert_eq!(written.expect(200), read.expect(200), "{path}");
            assert_eq!(read.json()["actor_id"], 2);
            assert_eq!(account.get(3, path).await.status, 404, "{path}");
        }
        assert_eq!(account.get(reader, &session).await.json()["notes"], *text);
        assert_eq!(account.get(reader, &activity).await.json()["description"], *text);

        // The reader changes the rows, and the writer reads the changes.
        let changed = format!("{TEXT}changed by {reader}");
        let patch = async |path: &str, body: Value| {
            account.call(reader, Method::PATCH, path, body).await.expect(200)
        };
        patch(&session, json!({ "notes": changed, "status": "ended" })).await;
        patch(&todo, json!({ "status": "in_progress" })).await;
        patch(&todo, json!({ "status": "done", "note": changed })).await;
        patch(&todo, json!({ "description": changed })).await;
        assert_eq!(account.get(writer, &session).await.expect(200)["notes"], *changed);
        let found = account.get(writer, &todo).await.expect(200);
        assert_eq!((&found["title"], &found["description"]), (&json!(text), &json!(changed)));
        let logs = format!("{todo}/logs");
        let log = account.get(writer, &logs).await.expect(200);
        assert_eq!(log["logs"][1]["note"], *changed);
        assert_eq!(log, account.get(reader, &logs).await.expect(200));
        assert_eq!(account.get(3, &logs).await.status, 404);
        for path in [&session, &todo, &activity] {
            let delete = |actor| account.call(actor, Method::DELETE, path, Value::Null);
            assert_eq!(delete(3).await.status, 404);
            delete(reader).await.expect(200);
            assert_eq!(account.get(writer, path).await.status, 404);
        }
    }
    // The ledger names the actor that sent the write. Each made three rows, patched four times and
    // deleted three rows.
    let asked = "SELECT actor_id, COUNT(*) FROM ledger WHERE reason = 'api_write' \
        GROUP BY actor_id ORDER BY actor_id";
    let asked = account.app.database.rows::<(i64, i64)>(asked).await;
    assert_eq!(asked, [(1, 10), (2, 10)]);
    let nobody = json!({ "title": "x", "actor_id": 9 });
    assert_answer!(account.post(1, "/todos", nobody).await, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "There is no actor 9.",
      "request_id": "a-test",
      "error": "There is no actor 9.",
      "errors": [{"field": "actor_id", "message": "There is no actor 9."}]
    }
    "#);
    let others = json!({ "notes": "x", "actor_id": 3 });
    assert_answer!(account.post(2, "/sessions", others).await, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#owner-only",
      "title": "Only the owner may do this",
      "status": 403,
      "detail": "Only the account's owner may do this: a member reads and writes only its own data.",
      "request_id": "a-test",
      "error": "Only the account's owner may do this: a member reads and writes only its own data."
    }
    "#);
    assert_answer!(account.get(2, "/activities?actor_id=3").await, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#owner-only",
      "title": "Only the owner may do this",
      "status": 403,
      "detail": "Only the account's owner may do this: a member reads and writes only its own data.",
      "request_id": "a-test",
      "error": "Only the account's owner may do this: a member reads and writes only its own data."
    }
    "#);
}

async fn linked_rows_belong_to_one_actor(database: TestDatabase) {
    let account = ThreeActors::new(database).await;
    account.post(1, "/sessions", json!({})).await.expect(201);
    account.post(1, "/sessions", json!({ "actor_id": 2 })).await.expect(201);
    account.post(1, "/todos", json!({ "title": "mine", "session_id": 1 })).await.expect(201);
    let theirs = json!({ "title": "theirs", "session_id": 2, "actor_id": 2 });
    account.post(1, "/todos", theirs).await.expect(201);
    for (path, body) in [
        ("/todos", json!({ "title": "x", "session_id": 2 })),
        ("/todos", json!({ "title": "x", "session_id": 1, "actor_id": 2 })),
        ("/activities", json!({ "description": "x", "session_id": 2 })),
        ("/activities", json!({ "description": "x", "session_id": 1, "actor_id": 2 })),
    ] {
        let refused = account.post(1, path, body.clone()).await.expect(422);
        assert_eq!(faulty(&refused), ["session_id"], "{body}");
    }
    for (todo, session) in [("/todos/1", 2), ("/todos/2", 1)] {
        let body = json!({ "session_id": session });
        let refused = account.call(1, Method::PATCH, todo, body).await.expect(422);
        assert_eq!(faulty(&refused), ["session_id"], "{todo}");
    }
    let linked = account.get(1, "/todos?actor_id=all&session_id=2").await.expect(200);
    assert_eq!(ids(&linked, "todos", "todo_id"), [2]);
    // A filter by a session of another actor matches nothing.
    assert_eq!(account.get(1, "/todos?session_id=2").await.expect(200)["total"], 0);
    let stats = account.get(1, "/activities/stats?actor_id=all&session_id=2").await.expect(200);
    assert_eq!(stats["sessions"], json!({ "total": 1, "active": 1 }));
}

async fn lists_and_stats_of_all_actors_combine_those_of_each(database: TestDatabase) {
    let account = ThreeActors::new(database).await;
    let day = 86_400;
    for turn in 0..9 {
        let actor = turn % 3 + 1;
        account.app.context.clock.advance_seconds(day / 4);
        account.post(actor, "/sessions", json!({ "notes": format!("{turn}") })).await.expect(201);
        let todo = json!({ "title": format!("{turn}"), "priority": turn % 2 });
        account.post(actor, "/todos", todo).await.expect(201);
        let activity = json!({
            "description": format!("{turn}"),
            "activity_type": (["deploy", "review"][turn % 2])
        });
        account.post(actor, "/activities", activity).await.expect(201);
    }
    let of = async |path: &str, items: &str| {
        let (mut texts, mut next) = (Vec::new(), format!("{path}&limit=2"));
        loop {
            let page = account.get(1, &next).await.expect(200);
            for item in page[items].as_array().unwrap() {
                let mut fields = ["notes", "title", "description"].into_iter();
                let text = fields.find_map(|field| item[field].as_str()).unwrap();
                let turn: usize = text.parse().unwrap();
                assert_eq!(item["actor_id"], turn % 3 + 1);
                texts.push(turn);
            }
            let Some(cursor) = page["next_cursor"].as_str() else {
                assert_eq!(page["total"], texts.len());
                return texts;
            };
            next = format!("{path}&limit=2&cursor={cursor}");
        }
    };
    let falling = [8, 7, 6, 5, 4, 3, 2, 1, 0];
    assert_eq!(of("/sessions?actor_id=all", "sessions").await, falling);
    assert_eq!(of("/sessions?actor_id=all&status=active", "sessions").await, falling);
    assert_eq!(of("/activities?actor_id=all", "activities").await, falling);
    assert_eq!(of("/activities?actor_id=all&type=deploy", "activities").await, [8, 6, 4, 2, 0]);
    assert_eq!(of("/todos?actor_id=all", "todos").await, [7, 5, 3, 1, 8, 6, 4, 2, 0]);
    assert_eq!(of("/todos?actor_id=all&priority=1", "todos").await, [7, 5, 3, 1]);
    assert_eq!(of("/sessions?actor_id=2", "sessions").await, [7, 4, 1]);
    assert_eq!(of("/sessions?actor_id=1", "sessions").await, [6, 3, 0]);
    assert_eq!(account.get(1, "/todos?actor_id=9").await.expect(200)["total"], 0);

    // A cursor is valid only in the list of the same actors.
    let page = account.get(1, "/sessions?actor_id=all&limit=1").await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    for of in ["", "actor_id=1&", "actor_id=2&"] {
        let other = format!("/sessions?{of}limit=1&cursor={cursor}");
        assert_eq!(account.get(1, &other).await.status, 400, "{other}");
    }

    let mut sums = (0, 0, 0);
    let numbers = |stats: &Value| {
        let number = |value: &Value| value.as_i64().unwrap();
        (
            number(&stats["total_activities"]),
            number(&stats["sessions"]["total"]),
            stats["by_day"]
                .as_array()
                .unwrap()
                .iter()
                .map(|day| number(&day["count"]))
                .sum::<i64>(),
        )
    };
    for actor in 1..=3 {
        let path = format!("/activities/stats?actor_id={actor}");
        let one = numbers(&account.get(1, &path).await.expect(200));
        assert_eq!(one, numbers(&account.get(actor, "/activities/stats").await.expect(200)));
        sums = (sums.0 + one.0, sums.1 + one.1, sums.2 + one.2);
    }
    let all = account.get(1, "/activities/stats?actor_id=all").await;
    assert_eq!(numbers(&all.expect(200)), sums);
    assert_answer!(all, @r#"
    200 OK

    {
      "total_activities": 9,
      "by_type": [{"activity_type": "deploy", "count": 5}, {"activity_type": "review", "count": 4}],
      "by_type_omitted": 0,
      "by_day": [
        {"day": "2026-04-09", "count": 1},
        {"day": "2026-04-10", "count": 4},
        {"day": "2026-04-11", "count": 4}
      ],
      "by_day_omitted": 0,
      "sessions": {"total": 9, "active": 9}
    }
    "#);
    assert_answer!(
        account.get(1, "/sessions?actor_id=all&limit=3").await,
        "a_page_of_the_sessions_of_all_actors"
    );
}

async fn a_ciphertext_of_another_actor_does_not_open_to_the_owner(database: TestDatabase) {
    let account = ThreeActors::new(database).await;
    for actor in 1..=3 {
        account.post(actor, "/sessions", json!({ "notes": TEXT })).await.expect(201);
    }
    let db = &account.app.database;
    let swap = |to: i64, from: i64| {
        format!(
            "UPDATE sessions SET notes = (SELECT notes FROM sessions WHERE session_id = {from}) \
                WHERE session_id = {to}"
        )
    };
    for (to, from) in [(2, 1), (3, 2)] {
        db.execute(&swap(to, from)).await;
        let read = account.get(1, &format!("/sessions/{to}")).await.expect(500);
        assert!(read["detail"].as_str().unwrap().contains(&format!("session {to}")), "{read}");
    }
    assert_eq!(account.get(1, "/sessions?actor_id=all").await.status, 500);
    // A row that is moved to another actor can't be read either.
    account.post(2, "/sessions", json!({ "notes": TEXT })).await.expect(201);
    assert_eq!(account.get(1, "/sessions/4").await.expect(200)["notes"], TEXT);
    db.execute("UPDATE sessions SET actor_id = 3 WHERE session_id = 4").await;
    assert_eq!(account.get(1, "/sessions/4").await.status, 500);
    assert_eq!(account.get(3, "/sessions/4").await.status, 500);
}
