//! What is ours: a database that is away, a text that does not open, a handler that panics. The
//! caller learns what it can do, and nothing of the inside.

use std::time::Duration;

use insta::assert_snapshot;
use roots_domain::port::store::StoreError;

use crate::fixture::{DAMAGED, MockedApi, TestResponse, ask, get, patch, post};

const INSIDE: &str = "SELECT title FROM todos";

async fn of(error: &StoreError, ask: crate::fixture::TestRequest) -> TestResponse {
    let answer = ask.of(&MockedApi::failing(error).router()).await;
    assert!(!answer.told().contains(INSIDE));
    answer
}

#[tokio::test]
async fn a_database_that_is_away() {
    let error = StoreError::Unavailable(INSIDE.into());
    assert_snapshot!("away_to_a_read", of(&error, get("/api/v1/sessions/1")).await.told());
    let written = of(&error, ask("POST", "/api/v1/sessions")).await;
    assert_eq!((written.status.as_u16(), written.header("retry-after")), (503, "5"));
    let ready = of(&error, get("/ready").without_key()).await;
    assert_eq!((ready.status.as_u16(), ready.header("retry-after")), (503, "5"));
    assert_eq!(of(&error, get("/health").without_key()).await.status, 200);
}

#[tokio::test]
async fn a_database_that_is_away_when_the_key_is_looked_up() {
    let mut api = MockedApi::bare();
    let away = || StoreError::Unavailable(INSIDE.into());
    api.accounts.expect_credentials().returning(move |_| Err(away()));
    let answer = get("/api/v1/sessions/1").of(&api.router()).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
    assert!(!answer.told().contains(INSIDE));
}

#[tokio::test]
async fn a_full_queue() {
    assert_snapshot!(of(&StoreError::Busy, ask("POST", "/api/v1/sessions")).await.told());
}

#[tokio::test]
async fn an_unknown_outcome() {
    let error = StoreError::OutcomeUnknown(INSIDE.into());
    assert_snapshot!(of(&error, ask("POST", "/api/v1/sessions")).await.told());
}

#[tokio::test]
async fn a_broken_database() {
    let error = StoreError::Broken(INSIDE.into());
    assert_snapshot!(of(&error, ask("POST", "/api/v1/sessions")).await.told());
}

#[tokio::test]
async fn a_text_that_does_not_open() {
    let router = MockedApi::whole().router();
    let damaged = |kind: &str| get(&format!("/api/v1/{kind}/{DAMAGED}"));
    assert_snapshot!(damaged("todos").of(&router).await.told());
    for kind in ["sessions", "activities"] {
        assert_eq!(damaged(kind).of(&router).await.status, 500);
    }
    // Overwritten, it opens again.
    let path = format!("/api/v1/sessions/{DAMAGED}");
    assert_eq!(patch(&path, r#"{"notes": "anew"}"#).of(&router).await.status, 200);
}

#[tokio::test]
async fn another_text_that_does_not_open_after_a_change() {
    let router = MockedApi::whole().router();
    let path = format!("/api/v1/todos/{DAMAGED}");
    assert_snapshot!(patch(&path, r#"{"priority": 1}"#).of(&router).await.told());
}

#[tokio::test]
async fn a_panic() {
    let mut api = MockedApi::keyed();
    api.sessions.expect_session().returning(|_, _| panic!("{INSIDE}"));
    let answer = get("/api/v1/sessions/1").of(&api.router()).await;
    assert_snapshot!(answer.told());
}

#[tokio::test(start_paused = true)]
async fn a_database_that_neither_answers_nor_fails() {
    let router = MockedApi { is_stuck: true, ..MockedApi::keyed() }.router();
    assert_snapshot!("overdue_read", get("/api/v1/sessions/1").of(&router).await.told());
    assert_snapshot!("overdue_write", ask("POST", "/api/v1/sessions").of(&router).await.told());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming() {
    let started = tokio::time::Instant::now();
    let answer = post("/api/v1/sessions", "").cut_off(&MockedApi::whole().router()).await;
    assert_snapshot!(answer.told());
    assert!(started.elapsed() < Duration::from_secs(30));
}
