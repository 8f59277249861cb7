//! Files of JSON lines, and how they end.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use insta::assert_snapshot;
use roots_domain::model::account::AccountStatus;
use roots_domain::port::archive::Piece;
use roots_domain::port::store::StoreFault;
use roots_http::Ending;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::world::{Answer, World, account, applied, ask, credentials, get, piece, session};

fn lines(body: &str) -> Vec<Value> {
    body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn last(answer: &Answer) -> Value {
    lines(&answer.body).pop().unwrap()
}

#[tokio::test]
async fn an_account_is_exported() {
    assert_snapshot!(get("/api/v1/export").of_the_whole_world().await.told());
}

#[tokio::test]
async fn an_actor_is_exported() {
    assert_snapshot!(get("/api/v1/export?actor_id=2").of_the_whole_world().await.told());
}

#[tokio::test]
async fn who_asks_for_the_head_alone_exports_nothing() {
    let mut world = World::keyed();
    world.units.expect_apply().never();
    world.accounts.expect_account().returning(|_| Ok(Some(account())));
    assert_snapshot!(ask("HEAD", "/api/v1/export").of(&world.router()).await.told());
}

#[tokio::test]
async fn every_parameter_that_is_wrong_is_named() {
    let answer = get("/api/v1/export?actor_id=0&actor=1").of_the_whole_world().await;
    assert_snapshot!(answer.told());
}

#[tokio::test]
async fn a_database_that_goes_away_ends_it_with_a_line_that_says_so() {
    let mut world = World::keyed();
    world.units.expect_apply().returning(|unit| Ok(applied(unit)));
    world.accounts.expect_account().returning(|_| Ok(Some(account())));
    world.accounts.expect_actors().returning(|_| Ok(Vec::new()));
    world.accounts.expect_check().returning(|_| Ok(()));
    world.archive.expect_sessions_after().returning(|_, after| match after {
        0 => Ok(Piece { next: Some(13), ..piece(session) }),
        _ => Err(StoreFault::Unavailable("a secret of the database".into())),
    });
    assert_snapshot!(get("/api/v1/export").of(&world.router()).await.told());
}

#[tokio::test]
async fn a_database_that_is_away_from_the_start_is_a_problem() {
    let mut world = World::keyed();
    world.units.expect_apply().returning(|unit| Ok(applied(unit)));
    let away = || StoreFault::Unavailable("a secret of the database".into());
    world.accounts.expect_account().returning(move |_| Err(away()));
    assert_snapshot!(get("/api/v1/export").of(&world.router()).await.told());
}

/// [`endless_of`] an account whose auth epoch does not move.
fn endless() -> World {
    let mut world = endless_of();
    world.accounts.expect_check().returning(|_| Ok(()));
    world
}

/// Rows without end.
fn endless_of() -> World {
    let mut world = World::bare();
    world.units.expect_apply().returning(|unit| Ok(applied(unit)));
    world.accounts.expect_account().returning(|_| Ok(Some(account())));
    world.accounts.expect_actors().returning(|_| Ok(Vec::new()));
    world
        .archive
        .expect_sessions_after()
        .returning(|_, after| Ok(Piece { next: Some(after + 1), ..piece(session) }));
    world
}

#[tokio::test]
async fn a_key_that_ends_on_the_way_ends_it() {
    let mut world = endless_of();
    // It is revoked once the first rows have been read.
    let looks = AtomicI64::new(0);
    world.accounts.expect_credentials().returning(move |lookup| {
        let is_first = looks.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(credentials(lookup).filter(|_| is_first))
    });
    let checks = AtomicI64::new(0);
    world.accounts.expect_check().returning(move |_| {
        let is_early = checks.fetch_add(1, Ordering::SeqCst) < 2;
        if is_early { Ok(()) } else { Err(StoreFault::EpochMoved) }
    });
    let answer = get("/api/v1/export").of(&world.router()).await;
    assert_eq!(answer.status, 200);
    let end = last(&answer);
    assert_eq!(end["kind"], "error");
    assert_eq!(end["type"], "/docs/problems#unauthorized");
}

#[tokio::test]
async fn a_key_is_looked_up_again_before_the_last_line() {
    let mut world = World::whole();
    let looks = AtomicI64::new(0);
    world.accounts.checkpoint();
    world.accounts.expect_account().returning(|_| Ok(Some(account())));
    world.accounts.expect_actors().returning(|_| Ok(Vec::new()));
    world.accounts.expect_check().returning(|_| Ok(()));
    world.accounts.expect_credentials().returning(move |lookup| {
        let is_first = looks.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(credentials(lookup).filter(|_| is_first))
    });
    let answer = get("/api/v1/export").of(&world.router()).await;
    assert_eq!(last(&answer)["type"], "/docs/problems#unauthorized");
}

#[tokio::test]
async fn the_end_of_the_service_ends_it() {
    let mut world = endless();
    world.accounts.expect_credentials().returning(|lookup| Ok(credentials(lookup)));
    let (tell, told) = oneshot::channel();
    world.settings.ending = Ending::when(async {
        let _ = told.await;
    });
    let request: Request<Body> = get("/api/v1/export").request();
    let mut body = world.router().oneshot(request).await.unwrap().into_body();
    // It has begun, and would never end.
    let head = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(head.starts_with(b"{\"kind\":\"export\""));
    let mut told_lines = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(told_lines.starts_with(b"{\"kind\":\"session\""));
    tell.send(()).unwrap();
    while let Some(frame) = body.frame().await {
        // What is at hand is never waited for: others have to be let in.
        tokio::task::yield_now().await;
        told_lines = frame.unwrap().into_data().unwrap();
    }
    let end = lines(std::str::from_utf8(&told_lines).unwrap()).pop().unwrap();
    assert_eq!(
        (&end["kind"], &end["type"]),
        (&"error".into(), &"/docs/problems#unavailable".into())
    );
}

/// An export without end that has begun, and its head.
async fn begun(router: &Router) -> Body {
    let response = router.clone().oneshot(get("/api/v1/export").request()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let head = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(head.starts_with(b"{\"kind\":\"export\""));
    body
}

/// The lines of the next piece.
async fn next(body: &mut Body) -> Option<Vec<Value>> {
    let piece = body.frame().await?.unwrap().into_data().unwrap();
    Some(lines(std::str::from_utf8(&piece).unwrap()))
}

fn endless_router() -> Router {
    let mut world = endless();
    world.accounts.expect_credentials().returning(|lookup| Ok(credentials(lookup)));
    world.router()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_too_little_is_told_so_on_the_last_line() {
    let mut body = begun(&endless_router()).await;
    let began = Instant::now();
    let mut last = Vec::new();
    // A piece has some 500 bytes.
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
async fn a_client_that_takes_enough_may_go_on() {
    let mut body = begun(&endless_router()).await;
    for _ in 0..180 * 8 {
        assert_eq!(next(&mut body).await.unwrap()[0]["kind"], "session");
        tokio::time::sleep(Duration::from_millis(125)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_has_two_exports_at_once_and_one_that_is_not_read_ends() {
    let router = endless_router();
    let mut held = [begun(&router).await, begun(&router).await];
    assert_snapshot!("a_third_export", get("/api/v1/export").of(&router).await.told());
    // The head alone holds nothing.
    assert_eq!(ask("HEAD", "/api/v1/export").of(&router).await.status, 200);
    // Nobody asks for their bodies, which therefore can't look after themselves.
    tokio::time::sleep(Duration::from_secs(66)).await;
    let others = [begun(&router).await, begun(&router).await];
    let last = next(&mut held[0]).await.unwrap();
    assert_eq!(last[0]["type"], "/docs/problems#request-timeout");
    assert_eq!(next(&mut held[0]).await, None);
    // Whoever hangs up gives its place back at once.
    assert_eq!(get("/api/v1/export").of(&router).await.status, 429);
    drop(others);
    assert!(next(&mut begun(&router).await).await.is_some());
}

#[tokio::test]
async fn a_suspended_account_is_exported() {
    let mut world = World::whole();
    world.accounts.checkpoint();
    let suspended = || roots_domain::model::account::Account {
        status: AccountStatus::Suspended,
        balance: 0,
        ..account()
    };
    world.accounts.expect_account().returning(move |_| Ok(Some(suspended())));
    world.accounts.expect_actors().returning(|_| Ok(Vec::new()));
    world.accounts.expect_check().returning(|_| Ok(()));
    world.accounts.expect_credentials().returning(|lookup| Ok(credentials(lookup)));
    let answer = get("/api/v1/export").of(&world.router()).await;
    assert_eq!(last(&answer)["kind"], "end");
}
