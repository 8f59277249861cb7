//! Streams of events over HTTP: each write is told once and in order, to whom it concerns, and a
//! stream ends with its key.

use std::time::Duration;

use reqwest::{Method, Response};
use roots_testkit::app::TestApp;
use roots_testkit::database::{TestDatabase, until};
use roots_testkit::members::add_member;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::client::assert_ledger_matches;
use crate::imports::import;
use crate::keys::Holder;

roots_testkit::on_both! {
    each_kind_of_write_is_told_in_its_order,
    a_stream_that_is_cut_again_and_again_misses_and_repeats_nothing,
    a_reader_that_is_too_far_behind_is_told_to_begin_anew,
    a_member_is_told_of_its_own_rows_alone,
    what_other_processes_write_is_told,
    a_stream_ends_when_another_process_revokes_its_key,
    a_stream_ends_when_its_key_expires_or_its_grace_ends,
    a_stream_ends_with_its_account,
    opening_a_stream_is_no_use_of_the_key,
    what_pages_show_of_keys_raises_the_version,
    streams_are_limited_by_actor_and_by_process,
}

/// A file with a session, a todo and its step.
const FILE: &str = r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}
{"kind":"actor","actor_id":1,"name":"docs-agent","actor_type":"agent","role":"owner"}
{"kind":"session","session_id":1,"status":"active","started_at":"2026-04-09","actor_id":1}
"#;

/// An open stream.
pub(crate) struct EventStream {
    response: Response,
    text: String,
    /// The id that a client would come back with.
    pub(crate) last_id: Option<String>,
}

impl EventStream {
    async fn answer(app: &TestApp, key: &str, last_id: Option<&str>) -> Response {
        let mut request = app.unauthenticated(Method::GET, "/api/v1/events");
        request = request.header("X-API-Key", key);
        if let Some(id) = last_id {
            request = request.header("Last-Event-ID", id);
        }
        request.send().await.unwrap()
    }

    async fn open(app: &TestApp, key: &str, last_id: Option<&str>) -> Self {
        let response = Self::answer(app, key, last_id).await;
        assert_eq!(response.status(), 200);
        let mut stream = Self { response, text: String::new(), last_id: None };
        // Its first block tells where it begins.
        while stream.last_id.is_none() {
            stream.block().await.unwrap();
        }
        stream
    }

    /// The name and the data of the next block; `None` at the end of the stream.
    async fn block(&mut self) -> Option<(Option<String>, Option<Value>)> {
        while !self.text.contains("\n\n") {
            let piece = self.response.chunk().await.ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
        let (block, rest) = self.text.split_once("\n\n").unwrap();
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::to_owned)
        };
        let (id, name, data) = (field("id: "), field("event: "), field("data: "));
        self.text = rest.to_owned();
        self.last_id = id.or(self.last_id.take());
        Some((name, data.map(|data| serde_json::from_str(&data).unwrap())))
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let (None, Some(event)) = self.block().await? {
                assert_eq!(event["id"], self.last_id.clone().unwrap());
                return Some(event);
            }
        }
    }

    async fn take(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.next().await.unwrap());
        }
        events
    }

    /// Waits for the end of the stream.
    pub(crate) async fn end(mut self) {
        let ended = async { while self.block().await.is_some() {} };
        tokio::time::timeout(Duration::from_mins(2), ended).await.unwrap();
    }
}

/// What an event tells, in short.
fn brief(event: &Value) -> String {
    let text = |field: &str| match &event[field] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let fields = [
        "kind",
        "action",
        "actor_id",
        "subject_id",
        "subject_actor_id",
        "rows",
        "status",
        "credits",
    ];
    fields.map(text).join(" ")
}

async fn each_kind_of_write_is_told_in_its_order(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let owner = app.context.admit(&app.credentials).await;
    add_member(&app.database, &owner, 2).await;
    let mut stream = EventStream::open(&app, app.key(), None).await;
    // The order between the two logs follows from the time.
    let call = async |method: Method, path: &str, body: Value| {
        app.context.clock.advance_seconds(1);
        let body = (!body.is_null()).then_some(&body);
        app.call(method, path, body).await
    };
    let post = async |path: &str, body: Value| {
        let answer = call(Method::POST, path, body).await;
        assert!([200, 201].contains(&answer.status), "{path}: {}", answer.text);
        answer.json()
    };
    let patch = async |path: &str, body: Value| {
        call(Method::PATCH, path, body).await.expect(200);
    };
    let delete = async |path: &str| {
        call(Method::DELETE, path, Value::Null).await.expect(200);
    };
    post("/sessions", json!({})).await;
    post("/sessions", json!({ "actor_id": 2 })).await;
    patch("/sessions/1", json!({ "notes": "n" })).await;
    post("/todos", json!({ "title": "a" })).await;
    post("/todos", json!({ "title": "b", "session_id": 1 })).await;
    patch("/todos/1", json!({ "status": "in_progress" })).await;
    patch("/todos/1", json!({ "title": "c" })).await;
    patch("/todos/1", json!({ "status": "done" })).await;
    let claimed = post("/todos/claim", json!({})).await;
    post("/todos/2/release", json!({ "claim_token": claimed["claim"]["token"] })).await;
    delete("/todos/2").await;
    post("/activities", json!({ "description": "d", "session_id": 1 })).await;
    delete("/activities/1").await;
    // Its links are no events of their own.
    delete("/sessions/1").await;
    post("/activities", json!({ "description": "d" })).await;
    let actor = post("/actors", json!({ "name": "Ada", "actor_type": "agent" })).await;
    let key = post("/keys", json!({ "actor_id": 1 })).await["key_id"].to_string();
    delete(&format!("/keys/{key}")).await;
    delete(&format!("/actors/{}", actor["actor_id"])).await;
    app.context.clock.advance_seconds(1);
    import(&app, "?actor_id=1", FILE).await;
    app.context.clock.advance_seconds(3 * 86_400);
    app.context.idle_sessions.end_silent(86_400).await.unwrap();
    // A refused write is none.
    call(Method::PATCH, "/todos/99", json!({ "status": "done" })).await.expect(404);
    post("/todos", json!({ "title": "last" })).await;

    let mut told = Vec::new();
    loop {
        let event = stream.next().await.unwrap();
        told.push(brief(&event));
        if event["kind"] == "todo" && event["subject_id"] == 3 {
            break;
        }
    }
    insta::allow_duplicates! { insta::assert_snapshot!(told.join("\n")) }
    assert_ledger_matches(&app).await;
}

async fn a_stream_that_is_cut_again_and_again_misses_and_repeats_nothing(database: TestDatabase) {
    const WRITES: usize = 260;
    let app = TestApp::start(database, 1_000).await;
    let begin = EventStream::open(&app, app.key(), None).await.last_id;
    let writing = async {
        for number in 0..WRITES {
            app.post("/todos", &json!({ "title": number.to_string() })).await.expect(201);
        }
    };
    let reading = async {
        let (mut last, mut told) = (begin, Vec::new());
        for number in 0.. {
            let mut stream = EventStream::open(&app, app.key(), last.as_deref()).await;
            let count = (number % 7 * 11).min(WRITES - told.len());
            told.extend(stream.take(count).await);
            last = stream.last_id.clone();
            if told.len() == WRITES {
                return told;
            }
        }
        unreachable!("it goes on until all are told")
    };
    let (told, ()) = tokio::join!(reading, writing);
    let told: Vec<_> = told.iter().map(|event| event["subject_id"].as_i64().unwrap()).collect();
    assert_eq!(told, (1..=260).collect::<Vec<_>>());
    // Everything at once, in several reads, and then what is new.
    let mut stream = EventStream::open(&app, app.key(), Some("1.0")).await;
    assert_eq!(stream.take(WRITES).await.len(), WRITES);
    app.post("/todos", &json!({ "title": "new" })).await.expect(201);
    assert_eq!(stream.next().await.unwrap()["subject_id"], 261);
}

async fn a_reader_that_is_too_far_behind_is_told_to_begin_anew(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    // As if 10,001 rows had been written.
    app.database.execute("UPDATE accounts SET last_ledger_id = 10002").await;
    for last in ["1.0", "10003.0", "10002.1"] {
        let response = EventStream::answer(&app, app.key(), Some(last)).await;
        let mut stream = EventStream { response, text: String::new(), last_id: None };
        stream.block().await.unwrap();
        let (name, _) = stream.block().await.unwrap();
        assert_eq!(name.as_deref(), Some("reset"), "after {last}");
        assert_eq!(stream.last_id.as_deref(), Some("10002.0"));
    }
    let stream = EventStream::open(&app, app.key(), Some("2.0")).await;
    assert_eq!(stream.last_id.as_deref(), Some("2.0"), "10,000 rows are read");
}

async fn a_member_is_told_of_its_own_rows_alone(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let owner = app.context.admit(&app.credentials).await;
    let key = add_member(&app.database, &owner, 2).await;
    add_member(&app.database, &owner, 3).await;
    let member = Holder { app: &app, key: key.expose_secret().to_owned() };
    let mut stream = EventStream::open(&app, &member.key, None).await;
    let later = || app.context.clock.advance_seconds(1);
    for actor in [1, 2, 3] {
        later();
        let todo = json!({ "title": "t", "actor_id": actor });
        app.post("/todos", &todo).await.expect(201);
    }
    for actor in [3, 2] {
        later();
        app.post("/keys", &json!({ "actor_id": actor })).await.expect(201);
    }
    later();
    member.post("/todos", json!({ "title": "mine" })).await.expect(201);
    let told: Vec<_> = stream.take(3).await.iter().map(brief).collect();
    assert_eq!(
        told,
        [
            "todo created 1 2 2 1 - -1".to_owned(),
            "key created 1 5 2 1 - -".to_owned(),
            "todo created 2 4 2 1 - -1".to_owned(),
        ]
    );
}

async fn what_other_processes_write_is_told(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let other = app.another().await;
    let mut stream = EventStream::open(&app, app.key(), None).await;
    for id in 1..=3 {
        other.post("/todos", &json!({ "title": "t" })).await.expect(201);
        assert_eq!(stream.next().await.unwrap()["subject_id"], id);
    }
}

async fn a_stream_ends_when_another_process_revokes_its_key(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let other = app.another().await;
    let made = app.post("/keys", &json!({ "actor_id": 1 })).await.expect(201);
    let key = made["api_key"].as_str().unwrap();
    let ending = EventStream::open(&app, key, None).await;
    let mut staying = EventStream::open(&app, app.key(), None).await;
    other.delete(&format!("/keys/{}", made["key_id"])).await.expect(200);
    ending.end().await;
    assert_eq!(EventStream::answer(&app, key, None).await.status(), 401);
    // That another key has ended does not end it.
    assert_eq!(staying.next().await.unwrap()["action"], "revoked");
    app.post("/todos", &json!({ "title": "t" })).await.expect(201);
    assert_eq!(staying.next().await.unwrap()["kind"], "todo");
}

async fn a_stream_ends_when_its_key_expires_or_its_grace_ends(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let expires = json!({ "actor_id": 1, "expires_at": app.context.clock_in(60) });
    let made = app.post("/keys", &expires).await.expect(201);
    let stream = EventStream::open(&app, made["api_key"].as_str().unwrap(), None).await;
    app.context.clock.advance_seconds(60);
    stream.end().await;

    let made = app.post("/keys", &json!({ "actor_id": 1 })).await.expect(201);
    let rotated = Holder { app: &app, key: made["api_key"].as_str().unwrap().to_owned() };
    let next = rotated.post("/keys/rotate", json!({ "grace_seconds": 60 })).await.expect(201);
    let mut stream = EventStream::open(&app, &rotated.key, None).await;
    let next = Holder { app: &app, key: next["api_key"].as_str().unwrap().to_owned() };
    next.get("/whoami").await.expect(200);
    // The grace has begun, and the stream goes on.
    assert_eq!(stream.next().await.unwrap()["action"], "replaced");
    app.context.clock.advance_seconds(60);
    stream.end().await;
}

async fn a_stream_ends_with_its_account(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let stream = EventStream::open(&app, app.key(), None).await;
    let code = app.credentials.recovery_code.expose_secret();
    let body = json!({ "recovery_code": code });
    app.call(Method::DELETE, "/accounts/me", Some(&body)).await.expect(200);
    stream.end().await;
}

async fn opening_a_stream_is_no_use_of_the_key(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let made = app.post("/keys", &json!({ "actor_id": 1 })).await.expect(201);
    let key = made["api_key"].as_str().unwrap();
    let mut stream = EventStream::open(&app, key, None).await;
    app.post("/todos", &json!({ "title": "t" })).await.expect(201);
    stream.next().await.unwrap();
    app.context.key_usage.flush().await.unwrap();
    let used = async || {
        let of_key = format!("SELECT last_used FROM api_keys WHERE key_id = {}", made["key_id"]);
        app.database.rows::<(Option<i64>,)>(&of_key).await[0].0
    };
    assert_eq!(used().await, None);
    Holder { app: &app, key: key.to_owned() }.get("/whoami").await.expect(200);
    app.context.key_usage.flush().await.unwrap();
    assert_ne!(used().await, None);
}

async fn what_pages_show_of_keys_raises_the_version(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let version = async || app.database.rows::<(i64,)>("SELECT version FROM accounts").await[0].0;
    let expires = json!({ "actor_id": 1, "expires_at": app.context.clock_in(60) });
    app.post("/keys", &expires).await.expect(201);
    let before = version().await;
    app.context.key_usage.flush().await.unwrap();
    let used = version().await;
    assert!(used > before, "a key was used");
    app.context.key_usage.flush().await.unwrap();
    assert_eq!(version().await, used, "nothing is new");
    app.context.clock.advance_seconds(60);
    app.context.key_usage.maintain().await.unwrap();
    assert!(version().await > used, "a key has expired");
}

async fn streams_are_limited_by_actor_and_by_process(database: TestDatabase) {
    let app = TestApp::start_with(database, 1_000, |settings| settings.streams = 12).await;
    let other = app.as_another(1_000).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(EventStream::open(&app, app.key(), None).await);
    }
    let eleventh = EventStream::answer(&app, app.key(), None).await;
    assert_eq!(eleventh.status().as_u16(), 503);
    assert_eq!(eleventh.headers()["retry-after"], "15");
    let others = [
        EventStream::open(&other, other.key(), None).await,
        EventStream::open(&other, other.key(), None).await,
    ];
    assert_eq!(EventStream::answer(&other, other.key(), None).await.status(), 503, "the 13th");
    // A place is free once the server sees that its client has gone.
    open.pop();
    until("the place of a closed stream is free", async || {
        EventStream::answer(&other, other.key(), None).await.status() == 200
    })
    .await;
    drop((open, others));
    // Nothing of this holds up other requests.
    app.get("/whoami").await.expect(200);
}
