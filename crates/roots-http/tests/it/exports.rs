//! Exports as JSON lines, and how they end.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use insta::assert_snapshot;
use roots_domain::model::account::AccountStatus;
use roots_domain::port::archive::ExportChunk;
use roots_domain::port::store::StoreError;
use roots_http_core::shutdown::Shutdown;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::fixture::{
    MockedApi, TestResponse, account, applied, ask, chunk, credentials, get, session,
};

fn lines(body: &str) -> Vec<Value> {
    body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn last(answer: &TestResponse) -> Value {
    lines(&answer.body).pop().unwrap()
}

#[tokio::test]
async fn an_account_is_exported() {
    assert_snapshot!(get("/api/v1/export").of_the_whole_api().await.summary());
}

#[tokio::test]
async fn an_actor_is_exported() {
    assert_snapshot!(get("/api/v1/export?actor_id=2").of_the_whole_api().await.summary());
}

#[tokio::test]
async fn a_head_request_exports_nothing() {
    let mut api = MockedApi::keyed();
    api.commands.expect_apply().never();
    api.accounts.expect_account().returning(|_| Ok(Some(account())));
    assert_snapshot!(ask("HEAD", "/api/v1/export").of(&api.router()).await.summary(), @r#"
    200 OK
    cache-control: no-store
    content-disposition: attachment; filename="roots-1-20260409T140000Z.jsonl"
    content-type: application/x-ndjson
    vary: authorization
    vary: x-api-key
    "#);
}

#[tokio::test]
async fn every_invalid_parameter_of_an_export_is_reported() {
    let answer = get("/api/v1/export?actor_id=0&actor=1").of_the_whole_api().await;
    assert_snapshot!(answer.summary(), @r#"
    400 Bad Request
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#invalid-parameters",
      "title": "Invalid query parameters",
      "status": 400,
      "detail": "actor_id must be a positive integer; actor is not a known parameter: did you mean actor_id?",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "actor_id must be a positive integer; actor is not a known parameter: did you mean actor_id?",
      "errors": [
        {"field": "actor_id", "message": "must be a positive integer"},
        {"field": "actor", "message": "is not a known parameter: did you mean actor_id?"}
      ]
    }
    "#);
}

#[tokio::test]
async fn a_lost_database_ends_an_export_with_an_error_line() {
    let mut api = MockedApi::keyed();
    api.commands.expect_apply().returning(|command| Ok(applied(command)));
    api.accounts.expect_account().returning(|_| Ok(Some(account())));
    api.accounts.expect_actors().returning(|_| Ok(Vec::new()));
    api.accounts.expect_check().returning(|_| Ok(()));
    api.archive.expect_sessions_after().returning(|_, after| match after {
        None => Ok(ExportChunk { next: Some(13), ..chunk(session) }),
        _ => Err(StoreError::Unavailable("a secret of the database".into())),
    });
    assert_snapshot!(get("/api/v1/export").of(&api.router()).await.summary());
}

#[tokio::test]
async fn an_export_without_a_database_is_503() {
    let mut api = MockedApi::keyed();
    api.commands.expect_apply().returning(|command| Ok(applied(command)));
    let away = || StoreError::Unavailable("a secret of the database".into());
    api.accounts.expect_account().returning(move |_| Err(away()));
    assert_snapshot!(get("/api/v1/export").of(&api.router()).await.summary(), @r#"
    503 Service Unavailable
    cache-control: no-store
    retry-after: 5
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#unavailable",
      "title": "Temporarily unavailable",
      "status": 503,
      "detail": "The service is temporarily unavailable. Nothing was done: try again shortly.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The service is temporarily unavailable. Nothing was done: try again shortly."
    }
    "#);
}

/// [`endless_of`] with an auth epoch that does not move.
fn endless() -> MockedApi {
    let mut api = endless_of();
    api.accounts.expect_check().returning(|_| Ok(()));
    api
}

/// An account whose export never ends.
fn endless_of() -> MockedApi {
    let mut api = MockedApi::bare();
    api.commands.expect_apply().returning(|command| Ok(applied(command)));
    api.accounts.expect_account().returning(|_| Ok(Some(account())));
    api.accounts.expect_actors().returning(|_| Ok(Vec::new()));
    api.archive.expect_sessions_after().returning(|_, after| {
        let next = Some(after.unwrap_or(0) + 1);
        Ok(ExportChunk { next, ..chunk(session) })
    });
    api
}

#[tokio::test]
async fn a_key_that_ends_midway_ends_the_export() {
    let mut api = endless_of();
    // The key is revoked after the first rows are read.
    let looks = AtomicI64::new(0);
    api.accounts.expect_credentials().returning(move |lookup| {
        let is_first = looks.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(credentials(lookup).filter(|_| is_first))
    });
    let checks = AtomicI64::new(0);
    api.accounts.expect_check().returning(move |_| {
        let is_early = checks.fetch_add(1, Ordering::SeqCst) < 2;
        if is_early { Ok(()) } else { Err(StoreError::EpochMoved) }
    });
    let answer = get("/api/v1/export").of(&api.router()).await;
    assert_eq!(answer.status, 200);
    let end = last(&answer);
    assert_eq!(end["kind"], "error");
    assert_eq!(end["type"], "/docs/problems#unauthorized");
}

#[tokio::test]
async fn a_key_is_looked_up_again_before_the_last_line() {
    let mut api = MockedApi::whole();
    let looks = AtomicI64::new(0);
    api.accounts.checkpoint();
    api.accounts.expect_account().returning(|_| Ok(Some(account())));
    api.accounts.expect_actors().returning(|_| Ok(Vec::new()));
    api.accounts.expect_check().returning(|_| Ok(()));
    api.accounts.expect_credentials().returning(move |lookup| {
        let is_first = looks.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(credentials(lookup).filter(|_| is_first))
    });
    let answer = get("/api/v1/export").of(&api.router()).await;
    assert_eq!(last(&answer)["type"], "/docs/problems#unauthorized");
}

#[tokio::test]
async fn a_shutdown_ends_an_export_with_an_error_line() {
    let mut api = endless();
    api.accounts.expect_credentials().returning(|lookup| Ok(credentials(lookup)));
    let (tell, signal) = oneshot::channel();
    api.settings.shutdown = Shutdown::when(async {
        let _ = signal.await;
    });
    let request: Request<Body> = get("/api/v1/export").request();
    let mut body = api.router().oneshot(request).await.unwrap().into_body();
    // The export has begun, and has no end.
    let head = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(head.starts_with(b"{\"kind\":\"export\""));
    let mut last_lines = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(last_lines.starts_with(b"{\"kind\":\"session\""));
    tell.send(()).unwrap();
    while let Some(frame) = body.frame().await {
        // The rows come from memory, so the body never waits. Yielding lets the shutdown task run.
        tokio::task::yield_now().await;
        last_lines = frame.unwrap().into_data().unwrap();
    }
    let end = lines(std::str::from_utf8(&last_lines).unwrap()).pop().unwrap();
    assert_eq!(
        (&end["kind"], &end["type"]),
        (&"error".into(), &"/docs/problems#unavailable".into())
    );
}

/// Begins an export without end, and reads its header line.
async fn begun(router: &Router) -> Body {
    let response = router.clone().oneshot(get("/api/v1/export").request()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let head = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(head.starts_with(b"{\"kind\":\"export\""));
    body
}

/// The lines of the next chunk.
async fn next(body: &mut Body) -> Option<Vec<Value>> {
    let piece = body.frame().await?.unwrap().into_data().unwrap();
    Some(lines(std::str::from_utf8(&piece).unwrap()))
}

fn endless_router() -> Router {
    let mut api = endless();
    api.accounts.expect_credentials().returning(|lookup| Ok(credentials(lookup)));
    api.router()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_too_slowly_gets_an_error_line() {
    let mut body = begun(&endless_router()).await;
    let began = Instant::now();
    let mut last = Vec::new();
    // A chunk has about 500 bytes, so the client reads 500 bytes a second.
    while let Some(lines) = next(&mut body).await {
        last = lines;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!((60..63).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(last.len(), 1);
    assert_eq!(last[0]["kind"], "error");
    assert_eq!(last[0]["type"], "/docs/problems#request-timeout");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_fast_enough_gets_the_whole_export() {
    let mut body = begun(&endless_router()).await;
    for _ in 0..180 * 8 {
        assert_eq!(next(&mut body).await.unwrap()[0]["kind"], "session");
        tokio::time::sleep(Duration::from_millis(125)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_third_export_at_once_is_429_and_an_unread_one_ends() {
    let router = endless_router();
    let mut held = [begun(&router).await, begun(&router).await];
    assert_snapshot!(get("/api/v1/export").of(&router).await.summary(), @r#"
    429 Too Many Requests
    cache-control: no-store
    retry-after: 10
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "An account may have at most 2 exports under way at once. Try again in 10 s. No setting raises this limit.",
      "request_id": "019d728c-2e80-7000-8000-000000000003",
      "error": "An account may have at most 2 exports under way at once. Try again in 10 s. No setting raises this limit."
    }
    "#);
    // A HEAD request takes no place.
    assert_eq!(ask("HEAD", "/api/v1/export").of(&router).await.status, 200);
    // Nothing polls the two bodies, so the server must end them by itself.
    tokio::time::sleep(Duration::from_secs(66)).await;
    let others = [begun(&router).await, begun(&router).await];
    let last = next(&mut held[0]).await.unwrap();
    assert_eq!(last[0]["type"], "/docs/problems#request-timeout");
    assert_eq!(next(&mut held[0]).await, None);
    // A client that hangs up frees its place at once.
    assert_eq!(get("/api/v1/export").of(&router).await.status, 429);
    drop(others);
    assert!(next(&mut begun(&router).await).await.is_some());
}

#[tokio::test]
async fn a_suspended_account_is_exported() {
    let mut api = MockedApi::whole();
    api.accounts.checkpoint();
    let suspended = || roots_domain::model::account::Account {
        status: AccountStatus::Suspended,
        balance: 0,
        ..account()
    };
    api.accounts.expect_account().returning(move |_| Ok(Some(suspended())));
    api.accounts.expect_actors().returning(|_| Ok(Vec::new()));
    api.accounts.expect_check().returning(|_| Ok(()));
    api.accounts.expect_credentials().returning(|lookup| Ok(credentials(lookup)));
    let answer = get("/api/v1/export").of(&api.router()).await;
    assert_eq!(last(&answer)["kind"], "end");
}
