//! The three seed documents that specify the API: each of their `curl` commands is sent unchanged,
//! and must get the answer that the document shows.

use reqwest::Method;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::as_documented;

roots_testkit::on_both! {
    the_examples_of_the_sessions_document_hold,
    the_examples_of_the_todos_document_hold,
    the_examples_of_the_activities_document_hold,
    the_statistics_of_the_activities_document_hold,
}

/// The commands and answers in a seed document.
struct SeedDocument {
    curls: Vec<Curl>,
    answers: Vec<Value>,
}

/// A `curl` command.
#[derive(Debug, PartialEq)]
struct Curl {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

impl SeedDocument {
    fn read(text: &str) -> Self {
        let curls = text.match_indices("curl ").map(|(at, _)| Curl::read(&text[at..])).collect();
        let mut answers = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("\n{\n") {
            rest = &rest[at..];
            let mut read = serde_json::Deserializer::from_str(rest).into_iter();
            answers.push(read.next().unwrap().unwrap());
            rest = &rest[read.byte_offset()..];
        }
        Self { curls, answers }
    }

    fn sessions() -> Self {
        Self::read(include_str!("seeds/sessions.txt"))
    }

    fn todos() -> Self {
        Self::read(include_str!("seeds/todos.txt"))
    }

    fn activities() -> Self {
        Self::read(include_str!("seeds/activities.txt"))
    }
}

impl Curl {
    fn read(text: &str) -> Self {
        let words = words(text);
        let mut curl =
            Self { method: "GET".to_owned(), url: String::new(), headers: Vec::new(), body: None };
        let mut words = words.into_iter().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "-X" => curl.method = words.next().unwrap(),
                "-H" => {
                    let header = words.next().unwrap();
                    let (name, value) = header.split_once(": ").unwrap();
                    curl.headers.push((name.to_owned(), value.to_owned()));
                }
                "-d" => curl.body = words.next(),
                _ => {
                    assert!(curl.url.is_empty(), "{word}");
                    curl.url = word;
                }
            }
        }
        curl
    }

    async fn send(&self, app: &TestApp) -> ApiResponse {
        let path = self.url.strip_prefix("https://roots.chatforest.com").unwrap();
        let method = Method::from_bytes(self.method.as_bytes()).unwrap();
        let mut request = app.unauthenticated(method, path);
        for (name, value) in &self.headers {
            request = request.header(name, value.replace("$ROOTS_API_KEY", app.key()));
        }
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let answer = send(request).await;
        let cost = if self.method == "GET" { None } else { Some("1") };
        assert_eq!(answer.header("x-credits-cost"), cost, "{self:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{self:?}");
        answer
    }
}

/// The words of a shell command. A backslash continues the command on the next line. One document
/// has lost some line ends after backslashes, so any character after a backslash is skipped.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (Some(_), inside) => word.get_or_insert_with(String::new).push(inside),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_with(String::new);
            }
            (None, '\\') => {
                characters.next();
                words.extend(word.take());
            }
            (None, '\n') => break,
            (None, ' ') => words.extend(word.take()),
            (None, plain) => word.get_or_insert_with(String::new).push(plain),
        }
    }
    words.extend(word);
    words
}

#[test]
fn the_commands_of_the_seed_documents_are_parsed() {
    let calls_of = |document: SeedDocument| -> Vec<String> {
        let curls = document.curls.iter();
        curls.map(|curl| format!("{} {}", curl.method, curl.url)).collect()
    };
    let base = "https://roots.chatforest.com/api/v1";
    assert_eq!(
        calls_of(SeedDocument::sessions()),
        [
            format!("GET {base}/sessions?status=active"),
            format!("GET {base}/sessions/1"),
            format!("POST {base}/sessions"),
            format!("PATCH {base}/sessions/2"),
            format!("DELETE {base}/sessions/2"),
        ]
    );
    assert_eq!(
        calls_of(SeedDocument::todos()),
        [
            format!("GET {base}/todos?status=open&priority=2"),
            format!("GET {base}/todos/1"),
            format!("POST {base}/todos"),
            format!("PATCH {base}/todos/1"),
            format!("DELETE {base}/todos/1"),
            format!("GET {base}/todos/1/logs"),
        ]
    );
    assert_eq!(
        calls_of(SeedDocument::activities()),
        [
            format!("GET {base}/activities?type=deploy&since=2026-04-01"),
            format!("GET {base}/activities/1"),
            format!("POST {base}/activities"),
            format!("DELETE {base}/activities/1"),
            format!("GET {base}/activities/stats?since=2026-04-07"),
        ]
    );
    let curl = &SeedDocument::sessions().curls[2];
    assert_eq!(curl.headers[0], ("X-API-Key".to_owned(), "$ROOTS_API_KEY".to_owned()));
    assert_eq!(curl.headers[1], ("Content-Type".to_owned(), "application/json".to_owned()));
    let body: Value = serde_json::from_str(curl.body.as_deref().unwrap()).unwrap();
    assert_eq!(body, json!({ "notes": "Starting morning review" }));
    let answers = [SeedDocument::sessions(), SeedDocument::todos(), SeedDocument::activities()];
    assert_eq!(answers.map(|document| document.answers.len()), [3, 2, 2]);
}

/// Starts the API at 10:00, the time of the first rows in the documents. The test clock starts at
/// 14:00.
async fn at_ten(database: TestDatabase) -> TestApp {
    let app = TestApp::start(database, 100).await;
    app.context.clock.advance_seconds(-4 * 3_600);
    app
}

async fn the_examples_of_the_sessions_document_hold(database: TestDatabase) {
    let SeedDocument { curls, answers } = SeedDocument::sessions();
    let app = at_ten(database).await;
    let [list, get, start, update, delete] = <[Curl; 5]>::try_from(curls).unwrap();
    app.post("/sessions", &json!({ "notes": "Working on API docs" })).await.expect(201);
    assert_eq!(as_documented(list.send(&app).await.expect(200)), answers[0]);
    assert_eq!(as_documented(get.send(&app).await.expect(200)), answers[1]);

    app.context.clock.advance_seconds(4 * 3_600);
    let started = start.send(&app).await;
    assert_eq!(started.header("location"), Some("/api/v1/sessions/2"));
    assert_eq!(as_documented(started.expect(201)), answers[2]);

    app.context.clock.advance_seconds(5_400);
    let mut ended = answers[2].clone();
    ended["status"] = "ended".into();
    ended["notes"] = "Finished morning review. Deployed docs.".into();
    ended["ended_at"] = "2026-04-09T15:30:00Z".into();
    assert_eq!(as_documented(update.send(&app).await.expect(200)), ended);
    assert_eq!(as_documented(app.get("/sessions/2").await.expect(200)), ended);
    assert_eq!(
        as_documented(list.send(&app).await.expect(200)),
        answers[0],
        "the ended session is not listed"
    );

    let gone = delete.send(&app).await.expect(200);
    assert_eq!(gone, json!({ "status": "deleted", "session_id": 2 }));
    assert_eq!(app.get("/sessions/2").await.status, 404);
}

async fn the_examples_of_the_todos_document_hold(database: TestDatabase) {
    let SeedDocument { curls, answers } = SeedDocument::todos();
    let app = at_ten(database).await;
    let [list, get, create, update, delete, logs] = <[Curl; 6]>::try_from(curls).unwrap();
    let first = json!({
        "title": "Write API docs",
        "description": "Document sessions, todos, and activities endpoints",
        "priority": 2,
        "due_at": "2026-04-10T00:00:00Z"
    });
    app.post("/todos", &first).await.expect(201);
    assert_eq!(as_documented(list.send(&app).await.expect(200)), answers[0]);
    assert_eq!(as_documented(get.send(&app).await.expect(200)), answers[0]["todos"][0]);

    app.context.clock.advance_seconds(3_600);
    let begun = json!({ "status": "in_progress", "note": "Starting work" });
    app.patch("/todos/1", &begun).await.expect(200);
    app.context.clock.advance_seconds(3 * 3_600);
    let created = create.send(&app).await;
    assert_eq!(created.header("location"), Some("/api/v1/todos/2"));
    let expected = json!({
        "todo_id": 2,
        "session_id": null,
        "title": "Deploy docs pages",
        "description": "Sessions, todos, and activities docs",
        "status": "open",
        "priority": 2,
        "due_at": "2026-04-10T00:00:00Z",
        "created_at": "2026-04-09T14:00:00Z",
        "updated_at": "2026-04-09T14:00:00Z"
    });
    assert_eq!(as_documented(created.expect(201)), expected);

    let mut done = answers[0]["todos"][0].clone();
    done["status"] = "done".into();
    done["updated_at"] = "2026-04-09T14:00:00Z".into();
    assert_eq!(as_documented(update.send(&app).await.expect(200)), done);
    assert_eq!(logs.send(&app).await.expect(200), answers[1]);

    let gone = delete.send(&app).await.expect(200);
    assert_eq!(gone, json!({ "status": "deleted", "todo_id": 1 }));
    assert_eq!(app.get("/todos/1").await.status, 404);
    assert_eq!(app.get("/todos/1/logs").await.status, 404);
}

async fn the_examples_of_the_activities_document_hold(database: TestDatabase) {
    let SeedDocument { curls, answers } = SeedDocument::activities();
    let app = TestApp::start(database, 100).await;
    let [list, get, log, delete, _] = <[Curl; 5]>::try_from(curls).unwrap();
    app.post("/sessions", &json!({})).await.expect(201);
    let first = json!({
        "description": "Deployed docs pages for sessions, todos, activities",
        "activity_type": "deploy",
        "session_id": 1
    });
    app.post("/activities", &first).await.expect(201);
    assert_eq!(as_documented(list.send(&app).await.expect(200)), answers[0]);
    assert_eq!(as_documented(get.send(&app).await.expect(200)), answers[0]["activities"][0]);

    let logged = log.send(&app).await;
    assert_eq!(logged.header("location"), Some("/api/v1/activities/2"));
    let expected = json!({
        "activity_id": 2,
        "session_id": 1,
        "activity_type": "deploy",
        "description": "Deployed sessions, todos, and activities docs",
        "logged_at": "2026-04-09T14:00:00Z",
        "created_at": "2026-04-09T14:00:00Z"
    });
    assert_eq!(as_documented(logged.expect(201)), expected);

    let gone = delete.send(&app).await.expect(200);
    assert_eq!(gone, json!({ "status": "deleted", "activity_id": 1 }));
    assert_eq!(app.get("/activities/1").await.status, 404);
    assert_eq!(app.get("/activities").await.expect(200)["total"], 1);
}

async fn the_statistics_of_the_activities_document_hold(database: TestDatabase) {
    let SeedDocument { curls, answers } = SeedDocument::activities();
    let app = TestApp::start(database, 100).await;
    for number in 1..=5 {
        app.post("/sessions", &json!({})).await.expect(201);
        if number < 5 {
            let end = json!({ "status": "ended" });
            app.patch(&format!("/sessions/{number}"), &end).await.expect(200);
        }
    }
    let log = async |activity_type: &str, logged_at: String| {
        let activity = json!({
            "description": "as documented",
            "activity_type": activity_type,
            "logged_at": logged_at
        });
        app.post("/activities", &activity).await.expect(201);
    };
    let types = [("deploy", 12), ("review", 8), ("general", 27)];
    let days = [("2026-04-07", 15), ("2026-04-08", 18), ("2026-04-09", 14)];
    let types = types.into_iter().flat_map(|(name, count)| vec![name; count]);
    let days = days.into_iter().flat_map(|(day, count)| vec![day; count]);
    for (number, (activity_type, day)) in types.zip(days).enumerate() {
        log(activity_type, format!("{day}T{:02}:30:00Z", number % 24)).await;
    }
    // This activity is from the day before `since`, so it must not be counted.
    log("deploy", "2026-04-06T23:59:59.999999Z".to_owned()).await;

    let stats = curls[4].send(&app).await.expect(200);
    let mut expected = answers[1].clone();
    // The answer has two more fields than the document.
    expected["by_type_omitted"] = json!(0);
    expected["by_day_omitted"] = json!(0);
    // The document lists the types in no order. The answer sorts them by falling count.
    expected["by_type"].as_array_mut().unwrap().sort_by_key(|row| -row["count"].as_i64().unwrap());
    assert_eq!(stats, expected);
    let all = app.get("/activities/stats").await.expect(200);
    assert_eq!(all["total_activities"], 48);
    assert_eq!(all["by_day"][0], json!({ "day": "2026-04-06", "count": 1 }));
}
