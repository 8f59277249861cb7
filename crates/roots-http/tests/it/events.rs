//! Streams of events: what they tell, where they begin, and when they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::response::Response;
use futures_util::StreamExt;
use insta::assert_snapshot;
use roots_domain::model::event::EventPosition;
use roots_domain::model::id::{AccountId, AuditId, LedgerId};
use roots_domain::port::store::{AccountState, MockAccountReader, MockEventReader, StoreError};
use roots_http_core::shutdown::Shutdown;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::fixture::{MockedApi, TestResponse, account_state, ask, at, credentials, get};

const STREAM: &str = "/api/v1/events";
const UP_TO_NOW: &str = "/api/v1/events?follow=false";

/// A stream, piece by piece.
struct Pieces(BodyDataStream);

impl Pieces {
    async fn open(router: &Router) -> Self {
        let response = Self::answer(router).await;
        assert_eq!(response.status(), 200);
        Self(response.into_body().into_data_stream())
    }

    async fn answer(router: &Router) -> Response<Body> {
        router.clone().oneshot(get(STREAM).request()).await.unwrap()
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let piece = self.0.next().await?.unwrap();
        Some(String::from_utf8(piece.to_vec()).unwrap())
    }

    /// Skips what comes until the end.
    async fn end(mut self) {
        while self.next().await.is_some() {}
    }
}

#[tokio::test]
async fn everything_up_to_now_is_told_in_its_order() {
    let answer = get(UP_TO_NOW).header("last-event-id", "0.0").of_the_whole_api().await;
    assert_snapshot!(answer.summary());
}

#[tokio::test]
async fn a_member_is_told_of_less_and_its_position_moves_on() {
    let asked = get(UP_TO_NOW).by_the_member().header("last-event-id", "0.0");
    assert_snapshot!(asked.of_the_whole_api().await.body);
}

#[tokio::test]
async fn a_stream_without_a_last_event_begins_now() {
    let answer = get(UP_TO_NOW).of_the_whole_api().await;
    let now = account_state().position;
    assert_eq!(answer.body, format!("retry: 2000\n\nid: {now}\n\n"));
}

#[tokio::test]
async fn a_reader_with_an_unknown_position_is_told_to_begin_anew() {
    let answer = get(UP_TO_NOW).header("last-event-id", "99.1").of_the_whole_api().await;
    let now = account_state().position;
    assert_eq!(answer.body, format!("retry: 2000\n\nid: {now}\nevent: reset\ndata: {{}}\n\n"));
}

#[tokio::test]
async fn a_last_event_that_is_no_id_is_refused() {
    for wrong in ["1", "1.x", "", "-1.0"] {
        let answer = get(STREAM).header("last-event-id", wrong).of_the_whole_api().await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(
            answer.json()["detail"],
            "The header last-event-id must be the id of an event of this account, such as 118.42."
        );
    }
    let twice = get(STREAM).header("last-event-id", "1.1").header("last-event-id", "1.1");
    assert_eq!(twice.of_the_whole_api().await.status, 400);
}

#[tokio::test]
async fn a_stream_is_not_stored_buffered_or_compressed() {
    let headers = ["cache-control", "content-type", "x-accel-buffering", "content-encoding"];
    for method in ["GET", "HEAD"] {
        let asked = ask(method, UP_TO_NOW).header("accept-encoding", "gzip");
        let answer = asked.header("last-event-id", "0.0").of_the_whole_api().await;
        let found = headers.map(|name| answer.header(name));
        assert_eq!(found, ["no-store", "text/event-stream", "no", ""], "{method}");
        assert_eq!(answer.body.is_empty(), method == "HEAD");
    }
}

/// An account that comes to more versions and rows as a test says.
#[derive(Clone, Default)]
struct Growing {
    rows: Arc<AtomicI64>,
    auth_epoch: Arc<AtomicI64>,
}

impl Growing {
    fn mocked(&self) -> MockedApi {
        let mut api = MockedApi::whole();
        api.events = MockEventReader::new();
        let growing = self.clone();
        api.events.expect_account_states().returning(move |_| {
            let rows = growing.rows.load(Ordering::SeqCst);
            let auth_epoch = 1 + growing.auth_epoch.load(Ordering::SeqCst);
            let position = EventPosition { ledger: LedgerId(rows), audit: AuditId(0) };
            Ok(vec![AccountState { version: rows, auth_epoch, position, ..account_state() }])
        });
        api
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_shows_each_15_seconds_that_it_lives() {
    let mut pieces = Pieces::open(&Growing::default().mocked().router()).await;
    assert_eq!(pieces.next().await.unwrap(), "retry: 2000\n\nid: 0.0\n\n");
    let begun = Instant::now();
    assert_eq!(pieces.next().await.unwrap(), ":\n\n");
    let first = Instant::now();
    assert!(first - begun < Duration::from_secs(16), "{:?}", first - begun);
    assert_eq!(pieces.next().await.unwrap(), ":\n\n");
    assert_eq!(first.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_after_an_hour() {
    let begun = Instant::now();
    Pieces::open(&Growing::default().mocked().router()).await.end().await;
    assert_eq!(begun.elapsed().as_secs(), 3_600);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_within_a_second_of_its_key() {
    let growing = Growing::default();
    let mut api = growing.mocked();
    api.accounts = MockAccountReader::new();
    let epoch = Arc::clone(&growing.auth_epoch);
    api.accounts.expect_credentials().returning(move |lookup| {
        // An act under epoch 2 leaves the key in force, one under epoch 3 ends it.
        let epoch = epoch.load(Ordering::SeqCst);
        let mut found = credentials(lookup).filter(|_| epoch < 2);
        if let Some(found) = &mut found {
            found.account.auth_epoch = 1 + epoch;
        }
        Ok(found)
    });
    let mut pieces = Pieces::open(&api.router()).await;
    pieces.next().await.unwrap();
    growing.auth_epoch.store(1, Ordering::SeqCst);
    assert_eq!(pieces.next().await.unwrap(), ":\n\n", "another key has ended");
    growing.auth_epoch.store(2, Ordering::SeqCst);
    let ended = Instant::now();
    pieces.end().await;
    assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_within_a_second_when_its_key_expires() {
    let mut api = Growing::default().mocked();
    api.accounts = MockAccountReader::new();
    api.accounts.expect_credentials().returning(|lookup| {
        let mut found = credentials(lookup);
        if let Some(found) = &mut found {
            found.key.expires_at = Some(at("2026-04-09T14:00:10Z"));
        }
        Ok(found)
    });
    let clock = api.clock.clone();
    let mut pieces = Pieces::open(&api.router()).await;
    pieces.next().await.unwrap();
    assert_eq!(pieces.next().await.unwrap(), ":\n\n");
    clock.set("2026-04-09T14:00:10Z");
    let expired = Instant::now();
    pieces.end().await;
    assert!(expired.elapsed() < Duration::from_secs(1), "{:?}", expired.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_shutdown() {
    let mut api = Growing::default().mocked();
    let (stop, stopped) = oneshot::channel::<()>();
    api.settings.shutdown = Shutdown::when(async { stopped.await.unwrap() });
    let mut pieces = Pieces::open(&api.router()).await;
    pieces.next().await.unwrap();
    stop.send(()).unwrap();
    let told = Instant::now();
    pieces.end().await;
    assert!(told.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_for_its_turn_lives_and_ends_as_any_other() {
    let growing = Growing::default();
    let mut api = growing.mocked();
    api.events.expect_ledger_between().returning(|_, _, _| Err(StoreError::Busy));
    let (router, shared) = api.router_and_state();
    let mut pieces = Pieces::open(&router).await;
    let to_the_end = Pieces::open(&router).await;
    let begun = Instant::now();
    let turn = shared.stream_turns.take(AccountId(99)).await.unwrap();
    pieces.next().await.unwrap();
    growing.rows.store(1, Ordering::SeqCst);
    for _ in 0..4 {
        assert_eq!(pieces.next().await.unwrap(), ":\n\n");
    }
    assert_eq!(begun.elapsed().as_secs(), 60);
    to_the_end.end().await;
    assert_eq!(begun.elapsed().as_secs(), 3_600);

    let mut pieces = Pieces::open(&router).await;
    pieces.next().await.unwrap();
    growing.rows.store(2, Ordering::SeqCst);
    assert_eq!(pieces.next().await.unwrap(), ":\n\n");
    drop(turn);
    assert_eq!(pieces.next().await, None, "its events can't be read");
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_events_cant_be_read_ends() {
    let growing = Growing::default();
    let mut api = growing.mocked();
    api.events
        .expect_ledger_between()
        .returning(|_, _, _| Err(StoreError::Broken("a damaged row".to_owned())));
    let mut pieces = Pieces::open(&api.router()).await;
    pieces.next().await.unwrap();
    growing.rows.store(1, Ordering::SeqCst);
    assert_eq!(pieces.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn the_eleventh_stream_of_an_actor_is_refused_until_one_is_closed() {
    let router = Growing::default().mocked().router();
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(Pieces::open(&router).await);
    }
    let refused = TestResponse::of(Pieces::answer(&router).await).await;
    assert_snapshot!(refused.summary());
    open.pop();
    Pieces::open(&router).await;
    let member = get(STREAM).by_the_member().request();
    assert_eq!(router.clone().oneshot(member).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_server_has_as_many_streams_as_it_is_set_to() {
    let mut api = Growing::default().mocked();
    api.settings.streams = 1;
    let router = api.router();
    let first = Pieces::open(&router).await;
    assert_eq!(Pieces::answer(&router).await.status(), 503);
    drop(first);
    assert_eq!(Pieces::answer(&router).await.status(), 200);
}
