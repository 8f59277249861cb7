//! Behaviour that all paths share: methods, request ids, caching and problems.

use reqwest::Method;
use roots_testkit::app::{TestApp, send};
use roots_testkit::database::TestDatabase;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::client::assert_answer;
use crate::wire;

roots_testkit::on_both! {
    head_answers_as_get_without_a_body,
    every_path_lists_its_methods,
    unknown_paths_and_methods_are_problems,
    every_answer_has_a_request_id,
    private_answers_are_not_kept_by_shared_caches,
    health_readiness_and_openapi_need_no_key,
    a_header_without_effect_is_400,
}

const PATHS: [(&str, &str); 17] = [
    ("/health", "GET,HEAD"),
    ("/ready", "GET,HEAD"),
    ("/api/v1/openapi.json", "GET,HEAD"),
    ("/api/v1/bootstrap", "POST"),
    ("/api/v1/recover", "POST"),
    ("/api/v1/recovery-code", "POST"),
    ("/api/v1/whoami", "GET,HEAD"),
    ("/api/v1/credits", "GET,HEAD"),
    ("/api/v1/credits/ledger", "GET,HEAD"),
    ("/api/v1/sessions", "GET,HEAD,POST"),
    ("/api/v1/sessions/1", "DELETE,GET,HEAD,PATCH"),
    ("/api/v1/todos", "GET,HEAD,POST"),
    ("/api/v1/todos/1", "DELETE,GET,HEAD,PATCH"),
    ("/api/v1/todos/1/logs", "GET,HEAD"),
    ("/api/v1/activities", "GET,HEAD,POST"),
    ("/api/v1/activities/1", "DELETE,GET,HEAD"),
    ("/api/v1/activities/stats", "GET,HEAD"),
];

fn sorted(allow: &str) -> String {
    let mut methods: Vec<_> = allow.split(',').map(str::trim).collect();
    methods.sort_unstable();
    methods.join(",")
}

async fn head_answers_as_get_without_a_body(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    app.post("/activities", &json!({ "description": "x" })).await.expect(201);
    for (path, methods) in PATHS.iter().chain(&[("/api/v1/sessions/2", "GET"), ("/no", "GET")]) {
        if !methods.contains("GET") {
            continue;
        }
        let request = |method| {
            app.unauthenticated(method, path)
                .header("X-API-Key", app.key())
                .header("X-Request-Id", "h")
        };
        let (get, head) = (send(request(Method::GET)).await, send(request(Method::HEAD)).await);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text, "", "{path}");
        for name in ["content-type", "cache-control", "x-request-id", "vary"] {
            assert_eq!(head.headers.get(name), get.headers.get(name), "{path} {name}");
        }
    }
}

async fn every_path_lists_its_methods(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    for (path, methods) in PATHS {
        // OPTIONS and 405 need no API key.
        let options = send(app.unauthenticated(Method::OPTIONS, path)).await;
        assert_eq!((options.status, options.text.as_str()), (204, ""), "{path}");
        assert_eq!(sorted(options.header("allow").unwrap()), methods, "{path}");
        for method in ["PUT", "TRACE", "BREW", "PROPFIND"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let refused = send(app.unauthenticated(method.clone(), path)).await;
            assert_eq!(refused.status, 405, "{method} {path}");
            assert_eq!(sorted(refused.header("allow").unwrap()), methods, "{path}");
            assert_eq!(refused.header("content-type"), Some("application/problem+json"));
            assert_eq!(refused.json()["status"], 405);
        }
    }
}

async fn unknown_paths_and_methods_are_problems(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    assert_answer!(app.get("/session").await, @r#"
    404 Not Found
    cache-control: no-store

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such path.",
      "request_id": "a-test",
      "error": "There is no such path."
    }
    "#);
    assert_answer!(app.call(Method::PUT, "/todos/1", None).await, @r#"
    405 Method Not Allowed
    allow: GET,HEAD,PATCH,DELETE
    cache-control: no-store

    {
      "type": "/docs/problems#method-not-allowed",
      "title": "Method not allowed",
      "status": 405,
      "detail": "This path does not support this method: see Allow.",
      "request_id": "a-test",
      "error": "This path does not support this method: see Allow."
    }
    "#);
    for path in [
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/sessions",
        "/api/v1/sessions/",
        "/api/v1/sessions/1/",
        "/api/v1//sessions",
        "/api/v1/todos/1/logs/1",
        "/api/v1/Sessions",
        "/API/v1/sessions",
        "/api/v1/sessions/1/notes",
        "/api/v1/sessions%2F1",
        "/favicon.ico",
    ] {
        let request = app.unauthenticated(Method::GET, path).header("X-API-Key", app.key());
        let answer = send(request).await;
        assert_eq!(answer.status, 404, "{path}");
        let problem = answer.json();
        assert_eq!(
            (&problem["status"], &problem["type"]),
            (&json!(404), &json!("/docs/problems#not-found"))
        );
        assert_eq!(problem["error"], problem["detail"]);
    }
}

async fn every_answer_has_a_request_id(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let paths = ["/api/v1/sessions", "/health", "/no", "/api/v1/sessions/9"];
    for path in paths {
        let named = |id: &str| {
            let request = app.unauthenticated(Method::GET, path).header("X-Request-Id", id);
            send(request.header("X-API-Key", app.key()))
        };
        for sane in ["a", "4bf92f35-77b3.4da6_a3ce", &"f".repeat(128)] {
            let answer = named(sane).await;
            assert_eq!(answer.header("x-request-id"), Some(sane), "{path}");
            if answer.status != 200 {
                assert_eq!(answer.json()["request_id"], sane);
            }
        }
        let mut own = Vec::new();
        // The server never repeats an API key or a recovery code as a request id.
        let code = app.credentials.recovery_code.expose_secret();
        let (bare, lower) = (code.replace('-', ""), code.to_lowercase());
        let long = "f".repeat(129);
        let insane = ["", "a b", "<script>", "a;b", &long, app.key(), code, &bare, &lower];
        for insane in insane {
            let answer = named(insane).await;
            let id = answer.header("x-request-id").unwrap().to_owned();
            assert_ne!(id, insane);
            assert_eq!(id.len(), 36, "{id}");
            if answer.status != 200 {
                assert_eq!(answer.json()["request_id"], id);
            }
            own.push(id);
        }
        own.sort_unstable();
        own.dedup();
        assert_eq!(own.len(), insane.len(), "each request gets its own id");
    }
    // A header value that is no UTF-8 is replaced too.
    let request =
        b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: \xff\xfe\r\nConnection: close\r\n\r\n";
    let reply = wire::send(&app, request.to_vec()).await.unwrap();
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("\r\nx-request-id: 0"), "{}", reply.head);
}

async fn private_answers_are_not_kept_by_shared_caches(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let private = |answer: &roots_testkit::app::ApiResponse| {
        let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
        let vary = vary.iter().map(|value| value.to_str().unwrap().to_lowercase());
        let vary: Vec<_> = vary.collect();
        (
            answer.header("cache-control").unwrap_or_default().to_owned(),
            vary.join(", ").contains("x-api-key") && vary.join(", ").contains("authorization"),
        )
    };
    let expected = ("private, no-cache".to_owned(), true);
    for answer in [
        app.post("/sessions", &json!({})).await,
        app.get("/sessions").await,
        app.get("/sessions/1").await,
        app.get("/sessions/9").await,
        app.patch("/sessions/1", &json!({ "status": "ended" })).await,
        app.patch("/sessions/1", &json!({ "status": "ended" })).await,
        app.get("/credits").await,
        app.get("/todos?limit=0").await,
        app.delete("/sessions/1").await,
        send(app.unauthenticated(Method::GET, "/api/v1/whoami")).await,
    ] {
        assert_eq!(private(&answer), expected, "{}", answer.text);
    }
}

async fn health_readiness_and_openapi_need_no_key(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let get = |path: &str| send(app.unauthenticated(Method::GET, path));
    let health = get("/health").await.expect(200);
    assert_eq!(health["status"], "ok");
    assert_eq!(get("/ready").await.expect(200)["status"], "ready");
    let description = get("/api/v1/openapi.json").await.expect(200);
    assert_eq!(description["openapi"].as_str().unwrap().split_at(4).0, "3.1.");
    for (path, _) in PATHS {
        let template = path.strip_prefix("/api/v1").map_or(path.to_owned(), |_| {
            path.replace("/1", "/{id}").replacen("/api/v/{id}", "/api/v1", 1)
        });
        let paths = description["paths"].as_object().unwrap();
        let is_described = paths
            .keys()
            .any(|known| known == path || known.replace("{id}", "1") == path || *known == template);
        assert!(is_described, "{path}");
    }
    for path in ["/docs", "/docs/", "/docs/problems"] {
        let page = get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text.contains("<html"), "{path}");
    }
}

async fn a_header_without_effect_is_400(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    for (method, path, header) in [
        (Method::POST, "/sessions", "If-Match"),
        (Method::POST, "/sessions", "If-None-Match"),
        (Method::GET, "/sessions", "If-Match"),
        (Method::POST, "/bootstrap", "Idempotency-Key"),
    ] {
        let request = app.request(method, path).json(&json!({}));
        let refused = send(request.header(header, "\"x\"")).await;
        assert_eq!(refused.status, 400, "{header}");
    }
    assert_eq!(app.get("/sessions").await.expect(200)["total"], 0);
}
