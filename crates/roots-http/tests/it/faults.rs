//! What is ours: a database that is away, a text that does not open, a handler that panics. The
//! caller learns what it can do, and nothing of the inside.

use std::time::Duration;

use insta::assert_snapshot;
use roots_domain::port::store::StoreFault;

use crate::world::{Answer, DAMAGED, World, ask, get, patch, post};

const INSIDE: &str = "SELECT title FROM todos";

async fn of(fault: &StoreFault, ask: crate::world::Ask) -> Answer {
    let answer = ask.of(&World::failing(fault).router()).await;
    assert!(!answer.told().contains(INSIDE));
    answer
}

#[tokio::test]
async fn a_database_that_is_away() {
    let fault = StoreFault::Unavailable(INSIDE.into());
    assert_snapshot!("away_to_a_read", of(&fault, get("/api/v1/sessions/1")).await.told());
    let written = of(&fault, ask("POST", "/api/v1/sessions")).await;
    assert_eq!((written.status.as_u16(), written.header("retry-after")), (503, "5"));
    let ready = of(&fault, get("/ready").without_key()).await;
    assert_eq!((ready.status.as_u16(), ready.header("retry-after")), (503, "5"));
    assert_eq!(of(&fault, get("/health").without_key()).await.status, 200);
}

#[tokio::test]
async fn a_database_that_is_away_when_the_key_is_looked_up() {
    let mut world = World::bare();
    let away = || StoreFault::Unavailable(INSIDE.into());
    world.accounts.expect_credentials().returning(move |_| Err(away()));
    let answer = get("/api/v1/sessions/1").of(&world.router()).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
    assert!(!answer.told().contains(INSIDE));
}

#[tokio::test]
async fn a_full_queue() {
    assert_snapshot!(of(&StoreFault::Busy, ask("POST", "/api/v1/sessions")).await.told());
}

#[tokio::test]
async fn an_unknown_outcome() {
    let fault = StoreFault::OutcomeUnknown(INSIDE.into());
    assert_snapshot!(of(&fault, ask("POST", "/api/v1/sessions")).await.told());
}

#[tokio::test]
async fn a_database_at_fault() {
    let fault = StoreFault::Broken(INSIDE.into());
    assert_snapshot!(of(&fault, ask("POST", "/api/v1/sessions")).await.told());
}

#[tokio::test]
async fn a_text_that_does_not_open() {
    let router = World::whole().router();
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
    let router = World::whole().router();
    let path = format!("/api/v1/todos/{DAMAGED}");
    assert_snapshot!(patch(&path, r#"{"priority": 1}"#).of(&router).await.told());
}

#[tokio::test]
async fn a_panic() {
    let mut world = World::keyed();
    world.sessions.expect_session().returning(|_, _| panic!("{INSIDE}"));
    let answer = get("/api/v1/sessions/1").of(&world.router()).await;
    assert_snapshot!(answer.told());
}

#[tokio::test(start_paused = true)]
async fn a_database_that_neither_answers_nor_fails() {
    let router = World { is_stuck: true, ..World::keyed() }.router();
    assert_snapshot!("overdue_read", get("/api/v1/sessions/1").of(&router).await.told());
    assert_snapshot!("overdue_write", ask("POST", "/api/v1/sessions").of(&router).await.told());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming() {
    let started = tokio::time::Instant::now();
    let answer = post("/api/v1/sessions", "").cut_off(&World::whole().router()).await;
    assert_snapshot!(answer.told());
    assert!(started.elapsed() < Duration::from_secs(30));
}
