//! What a call needs: a key, a host and an origin.

use std::num::NonZeroU32;

use reqwest::Method;
use roots_http_core::middleware::cors::CorsOrigin;
use roots_http_core::middleware::hosts::{HostName, Hosts};
use roots_testkit::app::{TestApp, send};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::client::{call, call_by, done, legacy, message, post, refused, unauthenticated};

roots_testkit::on_both! {
    every_message_needs_a_key,
    only_post_is_served,
    a_foreign_host_is_403_and_names_the_setting,
    a_web_page_of_a_foreign_origin_is_403,
    no_client_finds_a_way_to_start_oauth,
    calls_count_against_the_limits_of_the_actor,
    searches_count_against_their_own_limit,
    calls_count_as_the_routes_that_they_stand_for,
    a_member_works_with_its_own_rows_only,
}

async fn every_message_needs_a_key(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    for method in ["initialize", "server/discover", "tools/list", "ping", "tools/call"] {
        let answer = send(unauthenticated(&app).json(&message(method, &json!({})))).await;
        assert_eq!(answer.status, 401, "{method}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{method}");
    }
    let wrong = unauthenticated(&app).bearer_auth("wrong").json(&message("ping", &json!({})));
    assert_eq!(send(wrong).await.status, 401);
    let by_header = unauthenticated(&app).header("x-api-key", app.key());
    assert_eq!(send(by_header.json(&message("ping", &json!({})))).await.status, 200);
}

async fn only_post_is_served(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    for method in [Method::GET, Method::DELETE, Method::PUT, Method::PATCH] {
        let request = app.unauthenticated(method, "/mcp").bearer_auth(app.key());
        let answer = send(request.header("accept", "text/event-stream")).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    }
}

async fn a_foreign_host_is_403_and_names_the_setting(database: TestDatabase) {
    let app = TestApp::start_with(database, 10, |settings| {
        settings.hosts = Hosts::Named(vec![HostName::parse("roots.example.org").unwrap()]);
    })
    .await;
    let with_host = async |host: &str| {
        send(post(&app, &message("ping", &json!({}))).header("host", host)).await
    };
    assert_eq!(with_host("roots.example.org").await.status, 200);
    assert_eq!(with_host("ROOTS.example.org:8443").await.status, 200);
    for foreign in ["127.0.0.1", "localhost", "evil.example", "roots.example.org.evil.example"] {
        let answer = with_host(foreign).await;
        assert_eq!(answer.status, 403, "{foreign}");
        let problem = answer.json();
        assert_eq!(problem["type"], "/docs/problems#foreign-host");
        assert!(problem["detail"].as_str().unwrap().contains("ROOTS_HOSTS"));
    }
    // The REST API is called by any name.
    app.get("/whoami").await.expect(200);
}

async fn a_web_page_of_a_foreign_origin_is_403(database: TestDatabase) {
    let app = TestApp::start_with(database, 10, |settings| {
        settings.cors_origins = vec![CorsOrigin::parse("https://app.example.org").unwrap()];
    })
    .await;
    let from = async |origin: &str| {
        send(post(&app, &message("ping", &json!({}))).header("origin", origin)).await
    };
    assert_eq!(from("https://app.example.org").await.status, 200);
    for foreign in ["https://evil.example", "http://app.example.org", "null", ""] {
        let answer = from(foreign).await;
        assert_eq!(answer.status, 403, "{foreign}");
        assert_eq!(answer.json()["type"], "/docs/problems#foreign-origin");
    }
}

async fn no_client_finds_a_way_to_start_oauth(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/register",
        "/authorize",
    ] {
        assert_eq!(send(app.unauthenticated(Method::GET, path)).await.status, 404, "{path}");
    }
}

async fn calls_count_against_the_limits_of_the_actor(database: TestDatabase) {
    let app = TestApp::start_with(database, 10, |settings| {
        settings.limits.requests_per_minute = NonZeroU32::new(3);
    })
    .await;
    for _ in 0..2 {
        assert_eq!(legacy(&app, "ping", &json!({})).await.status, 200);
    }
    app.get("/whoami").await.expect(200);
    let answer = legacy(&app, "tools/list", &json!({})).await;
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").is_some());
}

async fn searches_count_against_their_own_limit(database: TestDatabase) {
    let app = TestApp::start_with(database, 10, |settings| {
        settings.limits.searches_per_minute = NonZeroU32::new(1);
    })
    .await;
    done(&app, "search_work", &json!({"q": "anything"})).await;
    let text = refused(&app, "search_work", &json!({"q": "anything"})).await;
    assert!(text.starts_with("too-many-requests: "), "{text}");
    assert!(text.contains("Call again in "), "{text}");
    // Invalid arguments are told first, and do not count.
    let text = refused(&app, "search_work", &json!({"q": ""})).await;
    assert!(text.starts_with("invalid-body: "), "{text}");
    app.post("/search", &json!({"q": "anything"})).await.expect(429);
}

async fn calls_count_as_the_routes_that_they_stand_for(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    done(&app, "start_session", &json!({})).await;
    done(&app, "add_todos", &json!({"todos": [{"title": "one"}, {"title": "two"}]})).await;
    done(&app, "claim_todo", &json!({"session_id": 1})).await;
    done(&app, "get_item", &json!({"kind": "session", "id": 1})).await;
    call(&app, "get_item", &json!({"kind": "todo", "id": 99})).await;
    legacy(&app, "tools/list", &json!({})).await.expect(200);
    app.context.usage.flush().await.unwrap();
    let usage = app.get("/usage").await.expect(200);
    let mut called: Vec<_> = usage["top_endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            format!("{} {}", it["method"].as_str().unwrap(), it["endpoint"].as_str().unwrap())
        })
        .collect();
    called.sort();
    let expected = [
        "GET /sessions/{id}",
        "GET /todos/{id}",
        "POST /mcp",
        "POST /sessions",
        "POST /todos",
        "POST /todos/claim",
    ];
    assert_eq!(called, expected);
    let ledger = app.get("/credits/ledger").await.expect(200);
    let entries = ledger["entries"].as_array().unwrap().iter();
    let mut charged: Vec<_> = entries.filter_map(|it| it["related_endpoint"].as_str()).collect();
    charged.sort_unstable();
    assert_eq!(charged, ["POST /sessions", "POST /todos", "POST /todos/claim"]);
}

async fn a_member_works_with_its_own_rows_only(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({"title": "the owner's"})).await.expect(201);
    let owner = app.context.admit(&app.credentials).await;
    let member = add_member(&app.database, &owner, 2).await;
    let by_member = async |tool: &str, arguments: Value| {
        call_by(&app, member.expose_secret(), tool, &arguments).await
    };
    let list = by_member("list_todos", json!({})).await;
    assert_eq!(list["structuredContent"]["todos"], json!([]), "{list}");
    for (tool, arguments, code) in [
        ("get_item", json!({"kind": "todo", "id": 1}), "not-found: "),
        ("update_todo", json!({"todo_id": 1, "title": "mine"}), "not-found: "),
        ("list_todos", json!({"actor_id": "all"}), "owner-only: "),
        ("add_todos", json!({"todos": [{"title": "x", "actor_id": 1}]}), "owner-only: "),
    ] {
        let refused = by_member(tool, arguments).await;
        let text = refused["content"][0]["text"].as_str().unwrap();
        assert!(refused["isError"] == true && text.starts_with(code), "{tool}: {text}");
    }
    assert_eq!(done(&app, "list_todos", &json!({"actor_id": "all"})).await["total"], 1);
    assert_eq!(done(&app, "list_todos", &json!({"actor_id": "2"})).await["total"], 0);
}
