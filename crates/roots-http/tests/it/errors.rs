//! Server errors: an unavailable database, a text that does not open, a handler that panics. The
//! answer says what the caller can do and no internal details.

use std::time::Duration;

use insta::assert_snapshot;
use roots_domain::port::store::StoreError;

use crate::fixture::{DAMAGED, MockedApi, TestResponse, ask, get, patch, post};

const INSIDE: &str = "SELECT title FROM todos";

async fn of(error: &StoreError, ask: crate::fixture::TestRequest) -> TestResponse {
    let answer = ask.of(&MockedApi::failing(error).router()).await;
    assert!(!answer.full_text().contains(INSIDE));
    answer
}

#[tokio::test]
async fn an_unavailable_database_is_503() {
    let error = StoreError::Unavailable(INSIDE.into());
    assert_snapshot!(of(&error, get("/api/v1/sessions/1")).await.summary(), @r#"
    503 Service Unavailable
    retry-after: 5

    {
      "type": "/docs/problems#unavailable",
      "title": "Temporarily unavailable",
      "status": 503,
      "detail": "The service is temporarily unavailable. Nothing was done: try again shortly.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The service is temporarily unavailable. Nothing was done: try again shortly."
    }
    "#);
    let written = of(&error, ask("POST", "/api/v1/sessions")).await;
    assert_eq!((written.status.as_u16(), written.header("retry-after")), (503, "5"));
    let ready = of(&error, get("/ready").without_key()).await;
    assert_eq!((ready.status.as_u16(), ready.header("retry-after")), (503, "5"));
    assert_eq!(of(&error, get("/health").without_key()).await.status, 200);
}

#[tokio::test]
async fn an_unavailable_database_at_the_look_up_of_a_key_is_503() {
    let mut api = MockedApi::bare();
    let away = || StoreError::Unavailable(INSIDE.into());
    api.accounts.expect_credentials().returning(move |_| Err(away()));
    let answer = get("/api/v1/sessions/1").of(&api.router()).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
    assert!(!answer.full_text().contains(INSIDE));
}

#[tokio::test]
async fn a_full_write_queue_is_503() {
    assert_snapshot!(of(&StoreError::Busy, ask("POST", "/api/v1/sessions")).await.summary(), @r#"
    503 Service Unavailable
    retry-after: 1

    {
      "type": "/docs/problems#unavailable",
      "title": "Temporarily unavailable",
      "status": 503,
      "detail": "The service is busy. Nothing was done: try again shortly.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The service is busy. Nothing was done: try again shortly."
    }
    "#);
}

#[tokio::test]
async fn a_commit_of_unknown_outcome_is_503() {
    let error = StoreError::OutcomeUnknown(INSIDE.into());
    assert_snapshot!(of(&error, ask("POST", "/api/v1/sessions")).await.summary(), @r#"
    503 Service Unavailable
    retry-after: 5

    {
      "type": "/docs/problems#outcome-unknown",
      "title": "The outcome is unknown",
      "status": 503,
      "detail": "It is unknown whether this was done: check before you repeat it.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "It is unknown whether this was done: check before you repeat it."
    }
    "#);
}

#[tokio::test]
async fn a_failed_statement_is_500() {
    let error = StoreError::Broken(INSIDE.into());
    assert_snapshot!(of(&error, ask("POST", "/api/v1/sessions")).await.summary(), @r#"
    500 Internal Server Error

    {
      "type": "/docs/problems#internal-error",
      "title": "Internal error",
      "status": 500,
      "detail": "The server failed; the log has the cause under this request_id.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The server failed; the log has the cause under this request_id."
    }
    "#);
}

#[tokio::test]
async fn a_text_that_does_not_open_is_500() {
    let router = MockedApi::whole().router();
    let damaged = |kind: &str| get(&format!("/api/v1/{kind}/{DAMAGED}"));
    assert_snapshot!(damaged("todos").of(&router).await.summary(), @r#"
    500 Internal Server Error

    {
      "type": "/docs/problems#unreadable-text",
      "title": "A stored text can't be read",
      "status": 500,
      "detail": "The text of todo 13 can't be read. It can still be deleted or overwritten.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The text of todo 13 can't be read. It can still be deleted or overwritten."
    }
    "#);
    for kind in ["sessions", "activities"] {
        assert_eq!(damaged(kind).of(&router).await.status, 500);
    }
    // An overwritten text can be read again.
    let path = format!("/api/v1/sessions/{DAMAGED}");
    assert_eq!(patch(&path, r#"{"notes": "anew"}"#).of(&router).await.status, 200);
}

#[tokio::test]
async fn a_saved_change_beside_a_text_that_does_not_open_is_500() {
    let router = MockedApi::whole().router();
    let path = format!("/api/v1/todos/{DAMAGED}");
    assert_snapshot!(patch(&path, r#"{"priority": 1}"#).of(&router).await.summary(), @r#"
    500 Internal Server Error
    x-credits-cost: 1
    x-credits-remaining: 98

    {
      "type": "/docs/problems#unreadable-text",
      "title": "A stored text can't be read",
      "status": 500,
      "detail": "The change was saved, but another text of todo 13 can't be read. It can still be deleted or overwritten.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The change was saved, but another text of todo 13 can't be read. It can still be deleted or overwritten."
    }
    "#);
}

#[tokio::test]
async fn a_panicking_handler_is_500() {
    let mut api = MockedApi::keyed();
    api.sessions.expect_session().returning(|_, _| panic!("{INSIDE}"));
    let answer = get("/api/v1/sessions/1").of(&api.router()).await;
    assert_snapshot!(answer.summary(), @r#"
    500 Internal Server Error
    cache-control: no-store

    {
      "type": "/docs/problems#internal-error",
      "title": "Internal error",
      "status": 500,
      "detail": "The server failed; the log has the cause under this request_id.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The server failed; the log has the cause under this request_id."
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_never_answers_is_503() {
    let router = MockedApi { is_stuck: true, ..MockedApi::keyed() }.router();
    assert_snapshot!(get("/api/v1/sessions/1").of(&router).await.summary(), @r#"
    503 Service Unavailable
    cache-control: no-store
    retry-after: 5

    {
      "type": "/docs/problems#unavailable",
      "title": "Temporarily unavailable",
      "status": 503,
      "detail": "This took too long. Try again shortly.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This took too long. Try again shortly."
    }
    "#);
    assert_snapshot!(ask("POST", "/api/v1/sessions").of(&router).await.summary(), @r#"
    503 Service Unavailable
    cache-control: no-store
    retry-after: 5

    {
      "type": "/docs/problems#outcome-unknown",
      "title": "The outcome is unknown",
      "status": 503,
      "detail": "This took too long, and it is unknown whether it was done: check before you repeat it.",
      "request_id": "019d728c-2e80-7000-8000-000000000002",
      "error": "This took too long, and it is unknown whether it was done: check before you repeat it."
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_body_is_408() {
    let started = tokio::time::Instant::now();
    let answer = post("/api/v1/sessions", "").cut_off(&MockedApi::whole().router()).await;
    assert_snapshot!(answer.summary(), @r#"
    408 Request Timeout
    connection: close

    {
      "type": "/docs/problems#request-timeout",
      "title": "The request took too long to arrive",
      "status": 408,
      "detail": "The body did not arrive in time. Nothing was done.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The body did not arrive in time. Nothing was done."
    }
    "#);
    assert!(started.elapsed() < Duration::from_secs(30));
}
