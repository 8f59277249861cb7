//! Conditional requests: `ETag`, `If-None-Match` and `If-Match`.

use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use roots_domain::command::{Conditions, Refusal};

use crate::fixture::{
    MockedApi, TestRequest, applied, ask, delete, get, over_the_wire, patch, post,
};

/// The `ETag` of each row of the mocks, and that of its next version.
const TAG: &str = "\"00000000000000000000000000000000-1\"";
const LATER: &str = "\"00000000000000000000000000000000-2\"";

const RESOURCES: [&str; 3] = ["/api/v1/sessions/1", "/api/v1/todos/1", "/api/v1/activities/1"];

#[tokio::test]
async fn a_matching_if_none_match_is_304() {
    let known = get("/api/v1/todos/1").header("if-none-match", TAG);
    assert_snapshot!(known.of_the_whole_api().await.summary(), @r#"
    304 Not Modified
    etag: "00000000000000000000000000000000-1"
    "#);
}

#[tokio::test]
async fn if_none_match_compares_weakly() {
    let router = MockedApi::whole().router();
    for path in RESOURCES {
        let plain = get(path).of(&router).await;
        assert_eq!(plain.header("etag"), TAG);
        for given in ["*", TAG, &format!("W/{TAG}"), &format!("\"x\", {TAG}")] {
            for method in ["GET", "HEAD"] {
                let known = ask(method, path).header("if-none-match", given).of(&router).await;
                assert_eq!((known.status.as_u16(), known.body.as_str()), (304, ""), "{given}");
                for header in ["etag", "cache-control", "vary"] {
                    assert_eq!(known.header(header), plain.header(header), "{header}");
                }
            }
        }
        for given in ["\"x\"", LATER, &format!("W/{LATER}")] {
            let other = get(path).header("if-none-match", given).of(&router).await;
            assert_eq!((other.status.as_u16(), &other.body), (200, &plain.body), "{given}");
        }
        let two = get(path).header("if-none-match", "\"x\"").header("if-none-match", TAG);
        assert_eq!(two.of(&router).await.status, 304);
    }
}

#[tokio::test]
async fn if_none_match_has_no_effect_without_an_etag() {
    let router = MockedApi::whole().router();
    for (path, status) in [
        ("/api/v1/todos/7", 404),
        ("/api/v1/todos", 200),
        ("/api/v1/todos/1/logs", 200),
        ("/api/v1/activities/stats", 200),
        ("/api/v1/todos/stats", 200),
        ("/api/v1/credits/stats", 200),
        ("/api/v1/whoami", 200),
        ("/health", 200),
    ] {
        let answer = get(path).header("if-none-match", "*").of(&router).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("etag"), "", "{path}");
    }
}

#[tokio::test]
async fn a_304_has_no_content_length_on_the_wire() {
    let head = format!(
        "GET /api/v1/todos/1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: roots_1_key\r\n\
         if-none-match: {TAG}\r\n\r\n"
    );
    let answer = over_the_wire(&head, b"").await.to_lowercase();
    assert!(answer.starts_with("http/1.1 304"), "{answer}");
    assert!(!answer.contains("content-length"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn every_write_answers_with_the_new_etag() {
    let router = MockedApi::whole().router();
    for (ask, tag) in [
        (patch("/api/v1/sessions/1", r#"{"status": "ended"}"#), LATER),
        (patch("/api/v1/todos/1", r#"{"status": "done"}"#), LATER),
        (patch("/api/v1/todos/1", r#"{"status": "open"}"#), TAG),
    ] {
        assert_eq!(ask.of(&router).await.header("etag"), tag);
    }
    for (path, body) in [
        ("/api/v1/sessions", "{}"),
        ("/api/v1/todos", r#"{"title": "x"}"#),
        ("/api/v1/activities", r#"{"description": "x"}"#),
    ] {
        let made = post(path, body).of(&router).await;
        let tag = made.header("etag");
        assert!(tag.starts_with("\"019d728c2e80700080") && tag.ends_with("-1\""), "{tag}");
    }
    for path in RESOURCES {
        assert_eq!(delete(path).of(&router).await.header("etag"), "");
    }
}

/// The conditions of the command that the store gets for a request.
async fn conditions(ask: TestRequest) -> Conditions {
    let seen = Arc::new(Mutex::new(None));
    let mut api = MockedApi::keyed();
    let asked = Arc::clone(&seen);
    api.commands.expect_apply().times(1).returning(move |command| {
        *asked.lock().unwrap() = Some(command.conditions.clone());
        Ok(applied(command))
    });
    let answer = ask.of(&api.router()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    seen.lock().unwrap().take().unwrap()
}

fn writes() -> [TestRequest; 5] {
    [
        patch(RESOURCES[0], r#"{"status": "ended"}"#),
        patch(RESOURCES[1], r#"{"status": "done"}"#),
        delete(RESOURCES[0]),
        delete(RESOURCES[1]),
        delete(RESOURCES[2]),
    ]
}

#[tokio::test]
async fn if_match_compares_strongly() {
    for write in writes() {
        let named = async |given: &str| {
            let tags = conditions(write.clone().header("if-match", given)).await.if_match;
            tags.map(|tags| tags.iter().map(|tag| format!("\"{tag}\"")).collect::<Vec<_>>())
        };
        assert_eq!(conditions(write.clone()).await.if_match, None);
        assert_eq!(named("*").await, None);
        assert_eq!(named(TAG).await.unwrap(), [TAG]);
        assert_eq!(named(&format!("{TAG}, \"x\", W/{TAG}, {LATER}")).await.unwrap(), [TAG, LATER]);
        // These match no version.
        assert_eq!(named("\"x\"").await.unwrap(), [""; 0]);
        assert_eq!(named(&format!("W/{TAG}")).await.unwrap(), [""; 0]);
    }
}

#[tokio::test]
async fn a_write_to_a_changed_todo_is_412() {
    let router = MockedApi::refusing(Refusal::HasChanged("todo")).router();
    let write = patch("/api/v1/todos/1", r#"{"status": "done"}"#).header("if-match", TAG);
    assert_snapshot!(write.of(&router).await.summary(), @r#"
    412 Precondition Failed

    {
      "type": "/docs/problems#precondition-failed",
      "title": "Changed since it was read",
      "status": 412,
      "detail": "The todo has changed since you read it: read it again, then decide.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The todo has changed since you read it: read it again, then decide."
    }
    "#);
}

#[tokio::test]
async fn a_malformed_etag_is_400() {
    let router = MockedApi::keyed().router();
    let unquoted = patch("/api/v1/todos/1", "{}").header("if-match", "1");
    assert_snapshot!(unquoted.of(&router).await.summary(), @r#"
    400 Bad Request

    {
      "type": "/docs/problems#bad-request",
      "title": "Bad request",
      "status": 400,
      "detail": "The header if-match must be * or entity tags as ETag gives them, quotes included.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The header if-match must be * or entity tags as ETag gives them, quotes included."
    }
    "#);
    for given in ["", "\"1", "*, \"1\""] {
        for write in writes() {
            let refused = write.header("if-match", given).of(&router).await;
            assert_eq!(refused.status, 400, "{given}");
        }
        let documents = ["/docs/problems", "/api/v1/openapi.json"];
        for path in RESOURCES.into_iter().chain(documents) {
            let refused = get(path).header("if-none-match", given).of(&router).await;
            assert_eq!(refused.status, 400, "{given}");
        }
    }
}

#[tokio::test]
async fn a_condition_without_effect_is_400() {
    let router = MockedApi::bare().router();
    let made = post("/api/v1/todos", "{}").header("if-match", TAG);
    assert_snapshot!(made.of(&router).await.summary(), @r#"
    400 Bad Request
    cache-control: no-store

    {
      "type": "/docs/problems#bad-request",
      "title": "Bad request",
      "status": 400,
      "detail": "The header if-match is not supported here: send the request without it.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The header if-match is not supported here: send the request without it."
    }
    "#);
    for write in writes() {
        let refused = write.header("if-none-match", "*").of(&router).await;
        assert_eq!(refused.status, 400);
    }
    for path in RESOURCES {
        assert_eq!(get(path).header("if-match", TAG).of(&router).await.status, 400);
    }
}
