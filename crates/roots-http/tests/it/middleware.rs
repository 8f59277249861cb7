//! What the middleware does for every request.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use insta::assert_snapshot;
use metrics_exporter_prometheus::PrometheusBuilder;
use roots_domain::port::store::StoreError;
use roots_http_core::middleware::cors::CorsOrigin;
use tower::ServiceExt;

use crate::description::{document, operations};
use crate::fixture::{
    KEY, LogCapture, MockedApi, TestRequest, TestResponse, ask, get, over_the_wire, patch, post,
};

#[tokio::test]
async fn an_unknown_path_is_404() {
    let router = MockedApi::bare().router();
    assert_snapshot!(get("/api/v1/nothing").of(&router).await.summary(), @r#"
    404 Not Found
    cache-control: no-store

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such path.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "There is no such path."
    }
    "#);
    for path in [
        "/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/sessions/",
        "/api/v2/sessions",
        "/sessions",
        "/api/v1/sessions/1/logs",
    ] {
        let answer = get(path).of(&router).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn an_unsupported_method_is_405_and_lists_those_allowed() {
    let router = MockedApi::bare().router();
    assert_snapshot!(ask("PUT", "/api/v1/sessions").of(&router).await.summary(), @r#"
    405 Method Not Allowed
    allow: GET,HEAD,POST
    cache-control: no-store

    {
      "type": "/docs/problems#method-not-allowed",
      "title": "Method not allowed",
      "status": 405,
      "detail": "This path does not support this method: see Allow.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This path does not support this method: see Allow."
    }
    "#);
    for (path, allow) in [
        ("/api/v1/sessions", "GET,HEAD,POST"),
        ("/api/v1/sessions/1", "GET,HEAD,PATCH,DELETE"),
        ("/api/v1/activities/stats", "GET,HEAD"),
        ("/api/v1/todos/stats", "GET,HEAD"),
        ("/api/v1/activities/1", "GET,HEAD,DELETE"),
        ("/api/v1/bootstrap", "POST"),
        ("/health", "GET,HEAD"),
        ("/docs/", "GET,HEAD"),
    ] {
        let answer = ask("TRACE", path).of(&router).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allow), "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(ask("BREW", "/api/v1/todos").of(&router).await.status, 405);
}

#[tokio::test]
async fn options_lists_the_allowed_methods() {
    let router = MockedApi::bare().router();
    let answer = ask("OPTIONS", "/api/v1/todos/1").without_key().of(&router).await;
    assert_snapshot!(answer.summary(), @"
    204 No Content
    allow: GET,HEAD,PATCH,DELETE
    cache-control: no-store
    ");
    assert_eq!(ask("OPTIONS", "/api/v1/nothing").of(&router).await.status, 404);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let router = MockedApi::whole().router();
    for path in ["/api/v1/sessions/1", "/api/v1/todos", "/api/v1/todos/7", "/health", "/nothing"] {
        let (head, get) = (ask("HEAD", path).of(&router).await, get(path).of(&router).await);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.body, "");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn a_valid_request_id_is_kept_and_any_other_is_replaced() {
    let router = MockedApi::whole().router();
    let long = "f".repeat(128);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for id in ["a", "019d.Run_7-b", "roots-run", "01ARZ3NDEKTSV4RRFFQ69G5FAV", trace, &long] {
        let answer = get("/health").header("x-request-id", id).of(&router).await;
        assert_eq!(answer.header("x-request-id"), id);
    }
    let (longer, many) = ("f".repeat(129), "x".repeat(37));
    for id in ["", " ", "a b", "a\"b", "<x>", "é", KEY, &many, &longer] {
        let answer = get("/nothing").header("x-request-id", id).of(&router).await;
        assert!(answer.header("x-request-id").starts_with("019d728c-"), "{id}");
        assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
    }
    let two = get("/health").header("x-request-id", "a").header("x-request-id", "b");
    assert!(two.of(&router).await.header("x-request-id").starts_with("019d728c-"));
}

fn with_origins(origins: &[&str]) -> MockedApi {
    let mut api = MockedApi::whole();
    api.settings.cors_origins =
        origins.iter().map(|text| CorsOrigin::parse(text).unwrap()).collect();
    api
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_call() {
    let router = with_origins(&["https://app.example", "http://localhost:3000"]).router();
    let preflight = ask("OPTIONS", "/api/v1/sessions")
        .without_key()
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-api-key,content-type");
    assert_snapshot!(preflight.clone().of(&router).await.summary(), @"
    200 OK
    access-control-allow-headers: x-api-key,authorization,content-type,idempotency-key,if-match,if-none-match,last-event-id,x-request-id,mcp-protocol-version,mcp-method,mcp-name
    access-control-allow-methods: GET,POST,PATCH,DELETE
    access-control-allow-origin: https://app.example
    access-control-max-age: 3600
    allow: GET,HEAD,POST
    cache-control: no-store
    vary: origin
    ");
    let call = get("/api/v1/sessions/1").header("origin", "http://localhost:3000");
    assert_snapshot!(call.of(&router).await.summary(), @r#"
    200 OK
    access-control-allow-origin: http://localhost:3000
    access-control-expose-headers: x-credits-cost,x-credits-remaining,ratelimit,ratelimit-policy,x-request-id,accept-patch,accept-post,allow,content-disposition,etag,idempotent-replayed,link,location,retry-after,www-authenticate
    cache-control: private, no-cache
    etag: "00000000000000000000000000000000-1"
    vary: authorization
    vary: origin
    vary: x-api-key

    {
      "session_id": 1,
      "status": "active",
      "notes": "Working on API docs",
      "started_at": "2026-04-09T10:00:00Z",
      "ended_at": null,
      "ended_reason": null,
      "duration_seconds": null,
      "actor_id": 1
    }
    "#);
    let refused = get("/api/v1/sessions/7").header("origin", "http://localhost:3000");
    let refused = refused.of(&router).await;
    assert_eq!(refused.header("access-control-allow-origin"), "http://localhost:3000");
    let unauthenticated = get("/api/v1/sessions/1").header("origin", "https://evil.example");
    assert_eq!(unauthenticated.of(&router).await.header("access-control-allow-origin"), "");
    let plain = ask("OPTIONS", "/api/v1/sessions").of(&router).await;
    assert_eq!((plain.status.as_u16(), plain.header("allow")), (204, "GET,HEAD,POST"));
    let off = preflight.of(&MockedApi::whole().router()).await;
    assert_eq!(off.header("access-control-allow-origin"), "");
}

/// The headers that every page may read, according to the Fetch standard.
const SAFELISTED: [&str; 7] = [
    "cache-control",
    "content-language",
    "content-length",
    "content-type",
    "expires",
    "last-modified",
    "pragma",
];

#[tokio::test]
async fn a_page_may_read_every_header_of_the_api() {
    let router = with_origins(&["https://app.example"]).router();
    let call = |ask: TestRequest| ask.header("origin", "https://app.example");
    let answer = call(get("/api/v1/sessions/1")).of(&router).await;
    let exposed = answer.header("access-control-expose-headers").to_lowercase();
    let readable: Vec<_> = exposed.split(',').map(str::trim).chain(SAFELISTED).collect();

    let document = document();
    let mut named: BTreeSet<String> = BTreeSet::new();
    let described = operations().into_iter().map(|operation| operation.value["responses"].clone());
    for responses in described.chain([document["components"]["responses"].clone()]) {
        for response in responses.as_object().unwrap().values() {
            named.extend(
                response["headers"].as_object().into_iter().flatten().map(|it| it.0.to_lowercase()),
            );
        }
    }
    assert!(named.len() > 8, "{named:?}");
    // Requests whose answers have headers that the document does not list.
    for ask in [
        get("/api/v1/export"),
        get("/api/v1/todos?limit=1"),
        post("/api/v1/todos", r#"{"title": "x"}"#).header("idempotency-key", "a"),
        post("/api/v1/todos", "x").without("content-type"),
        patch("/api/v1/todos/1", "x").without("content-type"),
        ask("PUT", "/api/v1/todos"),
        get("/api/v1/todos").without_key(),
    ] {
        let answer = call(ask).of(&router).await;
        named.extend(answer.headers.keys().map(|name| name.as_str().to_owned()));
    }
    for name in ["content-disposition", "ratelimit", "x-credits-cost", "retry-after"] {
        assert!(named.contains(name), "{name}");
    }
    // Browsers and caches use these headers; pages do not.
    let is_for_pages = |name: &&String| {
        !name.starts_with("access-control-")
            && !["vary", "content-encoding", "connection"].contains(&name.as_str())
    };
    for name in named.iter().filter(is_for_pages) {
        assert!(readable.contains(&name.as_str()), "{name} is not exposed: {exposed}");
    }
}

#[test]
fn an_origin_must_have_the_form_that_browsers_send() {
    for good in ["https://example.org", "http://localhost:3000", "http://[::1]:8080"] {
        assert!(CorsOrigin::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "*",
        "null",
        "example.org",
        "https://",
        "https://example.org/",
        "https://a/b",
        "https://A.org",
        "ftp://a",
        "https://a b",
    ] {
        assert!(CorsOrigin::parse(bad).is_err(), "{bad}");
    }
}

/// A chunked body that counts the bytes that were read.
fn in_pieces(pieces: usize, read: &Arc<Mutex<usize>>) -> Body {
    let read = Arc::clone(read);
    let piece = Bytes::from(vec![b' '; 64 * 1024]);
    Body::from_stream(futures_util::stream::iter(0..pieces).map(move |_| {
        *read.lock().unwrap() += piece.len();
        Ok::<_, std::io::Error>(piece.clone())
    }))
}

#[tokio::test]
async fn the_rest_of_a_body_is_drained_up_to_5_mib() {
    const MIB: usize = 1024 * 1024;
    let router = MockedApi::whole().router();
    for (ask, pieces, status, expected, connection) in [
        (post("/api/v1/sessions", ""), 2 * 16, 413, 2 * MIB, ""),
        (post("/api/v1/sessions", ""), 100 * 16, 413, 5 * MIB, "close"),
        (post("/api/v1/sessions", "").without_key(), 16, 401, MIB, ""),
        (post("/api/v1/sessions", "").without_key(), 100 * 16, 401, 5 * MIB, "close"),
        (post("/nothing", ""), 16, 404, MIB, ""),
        (ask("PUT", "/api/v1/sessions"), 100 * 16, 405, 5 * MIB, "close"),
        (
            post("/api/v1/sessions", "").header("expect", "100-continue").without_key(),
            16,
            401,
            0,
            "close",
        ),
    ] {
        let read = Arc::new(Mutex::new(0));
        let mut request = ask.request();
        *request.body_mut() = in_pieces(pieces, &read);
        let answer = TestResponse::of(router.clone().oneshot(request).await.unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.header("connection")), (status, connection));
        let read = *read.lock().unwrap();
        assert!((expected..=expected + 64 * 1024).contains(&read), "{status}: {read}");
    }
}

#[tokio::test]
async fn a_client_that_sends_too_much_receives_the_answer() {
    let body = vec![b' '; 4 * 1024 * 1024];
    for (key, status) in [(KEY, "413"), ("roots_1_typo", "401")] {
        let head = format!(
            "POST /api/v1/sessions HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len(),
        );
        let answer = over_the_wire(&head, &body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("\"request_id\""), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_with_an_unread_body_is_closed() {
    // The server drains 5 MiB. The body is longer, so the client is still sending when it is
    // answered.
    let most = vec![b' '; 5 * 1024 * 1024 + 1];
    let json = "content-type: application/json\r\n";
    for (rest, body, status) in [
        (format!("{json}content-length: 100000000\r\n"), &most[..], "413"),
        (format!("{json}content-length: 2000000\r\nexpect: 100-continue\r\n"), b"", "413"),
        ("content-length: 2\r\nexpect: 100-continue\r\n".to_owned(), b"", "401"),
    ] {
        let key = if status == "401" { "roots_1_typo" } else { KEY };
        let head =
            format!("POST /api/v1/sessions HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n{rest}\r\n");
        // Reads until the connection is closed.
        let answer = over_the_wire(&head, body).await.to_lowercase();
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{answer}");
        assert_eq!(answer.matches("\r\nconnection: close\r\n").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_204_has_no_content_length() {
    let head = "OPTIONS /api/v1/sessions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = over_the_wire(head, b"").await.to_lowercase();
    assert!(answer.starts_with("http/1.1 204"), "{answer}");
    assert!(answer.contains("allow: get,head,post"), "{answer}");
    assert!(!answer.contains("content-length"), "{answer}");
}

#[tokio::test]
async fn the_log_and_the_metrics_hold_routes_and_causes_but_no_key_and_no_text() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let router = MockedApi::whole().router();
    LogCapture::begin();
    let secret = r#"{"title": "a-secret-title", "a-secret-name": 1}"#;
    post("/api/v1/todos", secret).of(&router).await;
    get("/api/v1/todos/1234512345123451?a-secret=1").of(&router).await;
    get("/a-secret-path").header("x-request-id", KEY).of(&router).await;
    ask("BREW", "/api/v1/todos").of(&router).await;
    let failing = MockedApi::failing(&StoreError::Broken("the cause".into())).router();
    get("/api/v1/sessions/4711471147114711").of(&failing).await;

    let log = LogCapture::end();
    let metrics = recorder.handle().render();
    // Ids of so many digits are in no duration or request id by chance.
    for hidden in ["secret", KEY, "1234512345123451", "4711471147114711", "BREW"] {
        assert!(!log.contains(hidden), "{hidden} in {log}");
        assert!(!metrics.contains(hidden), "{hidden} in {metrics}");
    }
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields = &line["fields"];
        for field in ["request_id", "method", "route", "status", "latency_us"] {
            assert!(!fields[field].is_null(), "{field} in {line}");
        }
        let is_error = fields["status"].as_u64() >= Some(500);
        assert_eq!(line["level"], if is_error { "ERROR" } else { "INFO" });
        assert_eq!(fields["cause"].is_string(), is_error);
    }
    assert_eq!(log.lines().count(), 5, "{log}");
    assert!(log.contains("the database failed: the cause"));
    let counted =
        r#"roots_http_requests_total{method="GET",route="/api/v1/todos/{id}",status="400"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains(r#"route="none",status="404""#), "{metrics}");
}

#[tokio::test]
async fn a_code_or_a_key_in_the_wrong_place_is_neither_echoed_nor_logged() {
    let code = "04GQ2-V7XQT-3CDEM-8JKNP-RSTWY-Z0123-45678-9ABCD";
    let forms = [
        code.to_owned(),
        code.to_lowercase(),
        code.replace('-', ""),
        code.replace('-', "_"),
        format!("run.{code}"),
        KEY.to_owned(),
        KEY.to_uppercase(),
    ];
    let router = MockedApi::whole().router();
    LogCapture::begin();
    for form in &forms {
        let mut answers = Vec::new();
        answers.push(get("/nothing").header("x-request-id", form).of(&router).await);
        answers.push(get("/api/v1/todos").header("if-match", form).of(&router).await);
        answers.push(get(&format!("/api/v1/todos?{form}=1")).of(&router).await);
        answers.push(get(&format!("/api/v1/todos?cursor={form}")).of(&router).await);
        answers.push(get(&format!("/api/v1/todos/{form}")).of(&router).await);
        answers.push(get(&format!("/{form}")).header("host", form).of(&router).await);
        let body = format!(r#"{{"title": "a", "{form}": "{form}"}}"#);
        answers.push(post("/api/v1/todos", &body).of(&router).await);
        for answer in answers {
            assert!(answer.status.is_client_error(), "{}", answer.summary());
            assert!(!answer.summary().contains(form.as_str()), "{}", answer.summary());
        }
    }
    let log = LogCapture::end();
    for form in forms {
        assert!(!log.contains(&form), "{form} in {log}");
    }
}

#[tokio::test]
async fn an_unsupported_method_is_405_with_any_header() {
    let router = MockedApi::whole().router();
    for (method, path, header) in [
        ("PUT", "/api/v1/todos/1", "if-none-match"),
        ("TRACE", "/api/v1/todos", "idempotency-key"),
        ("PATCH", "/api/v1/actors", "if-match"),
        ("PUT", "/docs/problems", "if-none-match"),
        ("POST", "/docs/", "if-match"),
    ] {
        let answer = ask(method, path).header(header, "*").of(&router).await;
        assert_eq!(answer.status, 405, "{method} {path}");
    }
}
