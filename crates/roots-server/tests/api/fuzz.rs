//! Random requests: each is answered, none with 5xx, and no write is half applied. The seed is
//! fixed, so each run is the same.

use std::time::Duration;

use roots_domain::port::store::Verifier;
use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::balance;
use crate::wire::{self, WireReply};

roots_testkit::on_both! { no_input_is_answered_with_5xx }

/// The number of requests.
const REQUESTS: usize = 2_000;
/// How long the test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_mins(1);
/// A text in the requests that no problem may repeat.
const SECRET: &str = "Pfauenaugenflimmern";

/// Random numbers, from a seed (xorshift64*).
pub(crate) struct FuzzRng(pub(crate) u64);

impl FuzzRng {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % sides
    }

    pub(crate) fn one_of(&mut self, all: &[&'static str]) -> &'static str {
        all[self.roll(all.len())]
    }

    pub(crate) fn is_one_in(&mut self, chances: usize) -> bool {
        self.roll(chances) == 0
    }
}

/// A route, the methods that it takes, and the fields that it knows.
type Route = (&'static str, &'static [&'static str], &'static [&'static str]);

const ROUTES: [Route; 28] = [
    ("/api/v1/sessions", &["POST"], &["notes"]),
    ("/api/v1/sessions/{}", &["PATCH", "PATCH", "PATCH", "DELETE"], &["notes", "status"]),
    ("/api/v1/todos", &["POST"], &["title", "description", "session_id", "priority", "due_at"]),
    ("/api/v1/todos/{}", &["PATCH"], &["title", "status", "session_id", "due_at"]),
    ("/api/v1/todos/{}", &["PATCH"], &["status", "note"]),
    ("/api/v1/todos/{}", &["PATCH"], &["description", "priority"]),
    ("/api/v1/activities", &["POST"], &["description", "activity_type", "session_id", "logged_at"]),
    ("/api/v1/search", &["POST"], &["q", "kind", "since", "status", "limit", "cursor"]),
    ("/api/v1/bootstrap", &["POST"], &["account_name", "actor_name", "actor_type"]),
    ("/api/v1/recover", &["POST"], &["recovery_code", "account_id"]),
    ("/api/v1/sessions", &["GET", "HEAD"], &[]),
    ("/api/v1/todos", &["GET"], &[]),
    ("/api/v1/activities", &["GET"], &[]),
    ("/api/v1/activities/stats", &["GET", "HEAD"], &[]),
    ("/api/v1/todos/stats", &["GET", "HEAD"], &[]),
    ("/api/v1/credits/stats", &["GET"], &[]),
    ("/api/v1/credits/ledger", &["GET"], &[]),
    ("/api/v1/audit", &["GET"], &[]),
    ("/api/v1/accounts", &["GET"], &[]),
    ("/api/v1/accounts/{}", &["GET"], &[]),
    ("/api/v1/accounts/{}/credits", &["POST"], &["amount", "note"]),
    ("/api/v1/sessions/{}", &["GET"], &[]),
    ("/api/v1/todos/{}", &["GET", "DELETE"], &[]),
    ("/api/v1/todos/{}/logs", &["GET"], &[]),
    ("/api/v1/activities/{}", &["GET", "DELETE"], &[]),
    ("/api/v1/{}", &["GET", "POST"], &["notes"]),
    ("/docs/{}", &["GET"], &[]),
    ("/{}", &["GET"], &[]),
];
const OTHER_METHODS: [&str; 6] = ["GET", "PUT", "HEAD", "OPTIONS", "BREW", "patch"];
/// The ids of existing rows.
const PLAIN_IDS: [&str; 9] = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
/// Queries that at least one list accepts.
const QUERIES: [&str; 7] = [
    "status=open",
    "status=active&limit=1",
    "limit=100&offset=3",
    "session_id=2",
    "type=deploy&since=2026-04-01",
    "since=2026-04-09&until=2026-04-09T14:00:00%2B02:00",
    "reason=api_write",
];
const ODD_IDS: [&str; 24] = [
    "1",
    "2",
    "1",
    "2",
    "3",
    "0",
    "-1",
    "01",
    "1e3",
    "%31",
    "%00",
    "%ff",
    "%",
    "%2",
    "..",
    "%2e%2e",
    "1%2F2",
    "9223372036854775807",
    "9223372036854775808",
    "{id}",
    ":id",
    "*",
    "stats",
    "%F0%9F%A6%80",
];
const PARAMETERS: [&str; 16] = [
    "status",
    "priority",
    "session_id",
    "limit",
    "offset",
    "type",
    "since",
    "until",
    "reason",
    "cursor",
    "actor_id",
    "Status",
    "",
    "%00",
    "limit%5B%5D",
    "%F0%9F%A6%80",
];
const VALUES: [&str; 34] = [
    "active",
    "open",
    "done",
    "deploy",
    "api_write",
    "0",
    "1",
    "2",
    "3",
    "20",
    "100",
    "101",
    "-1",
    "9223372036854775807",
    "9223372036854775808",
    "2026-04-09",
    "2026-04-09T14:00:00Z",
    "2026-04-09T14:00:00+02:00",
    "9999-12-31",
    "1970-01-01",
    "0000-00-00",
    "2026-02-29T24:60:60Z",
    "",
    "%",
    "%zz",
    "%00",
    "%ff",
    "%EF%BB%BF",
    "'%20OR%201=1--",
    "null",
    "true",
    "NaN",
    "1e9",
    "all",
];
const HEADERS: [&str; 20] = [
    "Content-Type: application/json",
    "Content-Type: application/merge-patch+json",
    "Content-Type: application/json; charset=utf-8",
    "Content-Type: text/plain",
    "Content-Type: ;;;",
    "Content-Encoding: gzip",
    "Accept: text/html",
    "Accept-Encoding: br, gzip",
    "If-None-Match: *",
    "If-Match: \"x\"",
    "Idempotency-Key: x",
    "X-Request-Id: ../../etc",
    "X-Request-Id: \u{e9}",
    "Authorization: Bearer x",
    "Authorization: Basic eDp5",
    "Range: bytes=0-0",
    "Origin: null",
    "X-HTTP-Method-Override: DELETE",
    "Expect: something",
    "X-Forwarded-For: ::1, 999.999.1.1",
];
const FIELDS: [&str; 15] = [
    "notes",
    "status",
    "title",
    "description",
    "priority",
    "session_id",
    "due_at",
    "note",
    "activity_type",
    "logged_at",
    "account_name",
    "actor_name",
    "actor_type",
    "",
    "\\u0000",
];
const LITERALS: [&str; 36] = [
    "null",
    "true",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-0",
    "1.5",
    "1e2",
    "1e400",
    "-1e-400",
    "9223372036854775807",
    "9223372036854775808",
    "123456789012345678901234567890",
    "\"\"",
    "\"x\"",
    "\"ended\"",
    "\"active\"",
    "\"open\"",
    "\"done\"",
    "\"cancelled\"",
    "\"in_progress\"",
    "\"deploy\"",
    "\"agent\"",
    "\"2026-04-09\"",
    "\"2026-04-09T14:00:00.1234567+05:30\"",
    "\"9999-12-31T23:59:59.999999Z\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\ud83e\\udd80\"",
    "\"\u{1f980}\u{202e}\u{feff}\"",
    "[]",
    "{}",
    "[[[[null]]]]",
    "{\"notes\": {\"notes\": 1}}",
];

/// A valid value of a field.
fn fitting(rng: &mut FuzzRng, field: &str) -> &'static str {
    match field {
        "title" | "description" | "notes" | "note" => "\"Pfauenaugenflimmern\"",
        "status" => rng.one_of(&["\"ended\"", "\"in_progress\"", "\"done\"", "\"open\""]),
        "session_id" => rng.one_of(&["1", "2", "3", "null"]),
        "priority" => rng.one_of(&["0", "3"]),
        "activity_type" => "\"deploy\"",
        "actor_type" => "\"agent\"",
        "due_at" | "logged_at" => "\"2026-04-09T14:00:00.25+02:00\"",
        _ => "\"x\"",
    }
}

fn body(rng: &mut FuzzRng, fields: &[&str]) -> Vec<u8> {
    let mut members = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        // The first field is usually required, so it is rarely left out.
        if rng.is_one_in(if at == 0 { 20 } else { 3 }) {
            continue;
        }
        let value = if rng.is_one_in(12) { rng.one_of(&LITERALS) } else { fitting(rng, field) };
        members.push(format!("\"{field}\": {value}"));
    }
    if rng.is_one_in(12) {
        members.push(format!("\"{}\": {}", rng.one_of(&FIELDS), rng.one_of(&LITERALS)));
    }
    if rng.is_one_in(30) {
        let length = rng.roll(150_000);
        members.push(format!("\"notes\": \"{}\"", "\u{e9}".repeat(length)));
    }
    let mut text = format!("{{{}}}", members.join(", ")).into_bytes();
    if rng.is_one_in(40) {
        text = b"[".repeat(1 + rng.roll(100_000));
    }
    if rng.is_one_in(12) {
        for _ in 0..=rng.roll(4) {
            let at = rng.roll(text.len());
            match rng.roll(3) {
                0 => text[at] = u8::try_from(rng.roll(256)).unwrap(),
                1 => text.truncate(at.max(1)),
                _ => text.insert(at, u8::try_from(rng.roll(256)).unwrap()),
            }
        }
    }
    text
}

/// A random request with a well-formed head.
fn request(rng: &mut FuzzRng, key: &str) -> Vec<u8> {
    let (route, methods, fields) = ROUTES[rng.roll(ROUTES.len())];
    let id = if rng.is_one_in(4) { rng.one_of(&ODD_IDS) } else { rng.one_of(&PLAIN_IDS) };
    let mut query = String::new();
    if fields.is_empty() && rng.is_one_in(3) {
        query = format!("?{}", rng.one_of(&QUERIES));
    } else if rng.is_one_in(6) {
        let pairs = [(); 2].map(|()| [rng.one_of(&PARAMETERS), rng.one_of(&VALUES)].join("="));
        query = format!("?{}", pairs.join("&"));
    } else if rng.is_one_in(40) {
        query = format!("?{}", "x".repeat(rng.roll(20_000)));
    }
    let method = if rng.is_one_in(12) {
        rng.one_of(&OTHER_METHODS)
    } else {
        methods[rng.roll(methods.len())]
    };
    let mut head = vec![
        format!("{method} {}{query} HTTP/1.1", route.replace("{}", id)),
        "Host: x".to_owned(),
        "Connection: close".to_owned(),
    ];
    if !rng.is_one_in(15) {
        head.push(format!("X-API-Key: {key}"));
    }
    if rng.is_one_in(5) {
        head.push(rng.one_of(&HEADERS).to_owned());
    }
    let body = if fields.is_empty() && !rng.is_one_in(10) || rng.is_one_in(20) {
        Vec::new()
    } else {
        body(rng, fields)
    };
    if !body.is_empty() {
        if !rng.is_one_in(15) {
            head.push("Content-Type: application/json".to_owned());
        }
        head.push(format!("Content-Length: {}", body.len()));
    }
    [head.join("\r\n").as_bytes(), b"\r\n\r\n", &body].concat()
}

/// Asserts that an answer is no 5xx, and that a refusal is a problem document.
fn validate(reply: &WireReply, asked: &str) {
    assert!(reply.status < 500, "{asked}: {reply:?}");
    let is_head = asked.starts_with("HEAD");
    // hyper refuses malformed HTTP itself, without a request id and a problem document.
    let is_ours = reply.head.contains("\r\nx-request-id: ");
    if reply.status < 400 || is_head || !is_ours {
        assert!(is_ours || reply.status == 400 || reply.status == 431, "{asked}: {reply:?}");
        return;
    }
    assert!(
        reply.head.contains("\r\ncontent-type: application/problem+json"),
        "{asked}: {reply:?}"
    );
    let problem: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(problem["status"], reply.status, "{asked}");
    for field in ["type", "title", "detail", "error", "request_id"] {
        assert!(problem[field].is_string(), "{asked}: {problem}");
    }
    assert!(!problem.to_string().contains(SECRET), "{asked}: {problem}");
}

async fn no_input_is_answered_with_5xx(database: TestDatabase) {
    let app = TestApp::start(database, 1_000_000).await;
    for _ in PLAIN_IDS {
        app.post("/sessions", &json!({})).await.expect(201);
        app.post("/todos", &json!({ "title": "x" })).await.expect(201);
        app.post("/activities", &json!({ "description": "x" })).await.expect(201);
    }
    app.patch("/sessions/1", &json!({ "status": "ended" })).await.expect(200);
    let before = balance(&app).await;
    let mut rng = FuzzRng(0x2026_0409_1400);
    let (mut writes, mut statuses) = (0, std::collections::BTreeMap::<u16, u32>::new());
    for number in 0..REQUESTS {
        let request = request(&mut rng, app.key());
        let shown = String::from_utf8_lossy(&request[..request.len().min(600)]).into_owned();
        let asked = shown.replace(app.key(), "KEY");
        let reply = tokio::time::timeout(PATIENCE, wire::send(&app, request)).await;
        let reply = reply.unwrap_or_else(|_| unreachable!("{number}: no answer to {asked}"));
        let reply = reply.unwrap_or_else(|| unreachable!("{number}: hung up on {asked}"));
        validate(&reply, &asked);
        writes += i64::from(reply.head.contains("\r\nx-credits-cost: 1") && reply.status < 300);
        *statuses.entry(reply.status).or_default() += 1;
    }
    // The requests reach all kinds of answers.
    for status in [200, 201, 204, 400, 401, 404, 405, 409, 415, 422] {
        assert!(statuses.get(&status).is_some_and(|count| *count > 0), "{status}: {statuses:?}");
    }
    assert!(writes > 100, "{writes} of {statuses:?}");
    assert_eq!(balance(&app).await, before - writes, "{statuses:?}");
    let (_, errors) = app.context.store.verify().await.unwrap();
    assert_eq!(errors, []);
    // The random rows can be read.
    for path in ["/sessions?limit=100", "/todos?limit=100", "/activities?limit=100"] {
        app.get(path).await.expect(200);
    }
}
