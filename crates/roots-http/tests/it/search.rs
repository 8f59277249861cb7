//! Searches: their answers, their errors, and how many run at once.

use std::num::NonZeroU32;
use std::sync::{Mutex, mpsc};

use axum::http::StatusCode;
use roots_domain::model::search::SearchKind;
use roots_domain::port::store::{ItemFilter, ItemSource, StoreError};
use roots_http_core::auth::rate_limit::RateLimits;
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

use crate::fixture::{MockedApi, TestRequest, at, post};

const PATH: &str = "/api/v1/search";

fn search(body: &str) -> TestRequest {
    post(PATH, body)
}

#[tokio::test]
async fn every_item_is_one_result_with_its_best_text() {
    let answer = search(r#"{"q": "DOCS page*"}"#).of(&MockedApi::whole().router()).await;
    assert_eq!(
        answer.json(),
        json!({
            "results": [
                {
                    "kind": "activity",
                    "id": 1,
                    "at": "2026-04-09T14:00:00Z",
                    "field": "description",
                    "excerpt": "Deployed docs pages for sessions, todos, activities",
                    "actor_id": 1
                },
                {
                    "kind": "todo",
                    "id": 1,
                    "at": "2026-04-09T10:00:00Z",
                    "field": "note",
                    "excerpt": "All three docs pages deployed",
                    "title": "Write API docs",
                    "actor_id": 1
                }
            ],
            "next_cursor": null,
            "complete": true,
            "unreadable": 1
        })
    );
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert_eq!(answer.header("x-credits-cost"), "");
}

#[tokio::test]
async fn every_field_restricts_what_is_read() {
    let mut api = MockedApi::keyed();
    api.search.expect_items_before().times(4).returning(|filter, source, before, _| {
        let ItemFilter { actor, session, since, .. } = filter;
        assert_eq!(actor.map(|id| id.0), Some(2));
        assert_eq!(session.map(|id| id.0), Some(7));
        assert_eq!(*since, Some(at("2026-04-01T00:00:00Z")));
        assert_eq!(before.at.to_string(), "2026-04-09T23:59:59.999999Z");
        assert_eq!(source.kind(), SearchKind::Todo);
        Ok(Vec::new())
    });
    let body = r#"{"q": "a", "kind": "todo", "since": "2026-04-01", "until": "2026-04-09",
        "session_id": 7, "status": "in_progress", "actor_id": 2, "limit": 1000}"#;
    let answer = search(body).of(&api.router()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn every_error_of_a_search_is_reported_at_once() {
    let router = MockedApi::keyed().router();
    let body = r#"{"q": "\"open", "kind": "note", "since": "soon", "session_id": 0,
        "status": "paused", "actor_id": "none", "limit": 0, "cursor": "x", "query": "a"}"#;
    let answer = search(body).of(&router).await;
    assert_eq!(answer.status, 422);
    let answer = answer.json();
    let fields: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|e| &e["field"]).collect();
    let expected =
        ["q", "kind", "since", "session_id", "status", "actor_id", "limit", "cursor", "query"];
    assert_eq!(fields, expected);
    for (body, message) in [
        (r#"{"q": " "}"#, "q must have 1 to 8 terms"),
        (r#"{"q": "a b c d e f g h i"}"#, "q must have 1 to 8 terms"),
        (r#"{"q": "a *"}"#, "q has a term without a letter or digit"),
        ("{}", "q is required"),
        (r#"{"q": "a", "kind": "session", "status": "open"}"#, "status must be left out with"),
    ] {
        let answer = search(body).of(&router).await;
        assert_eq!(answer.status, 422, "{body}");
        assert!(answer.json()["detail"].as_str().unwrap().starts_with(message), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_search_and_its_caller() {
    let router = MockedApi::whole().router();
    let with = |cursor: &str, rest: &str| {
        search(&format!(r#"{{"q": "docs", "limit": 1, "cursor": "{cursor}"{rest}}}"#))
    };
    let first = search(r#"{"q": "docs", "limit": 1}"#).of(&router).await.json();
    assert_eq!(first["results"][0]["kind"], "activity");
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(with(cursor, "").of(&router).await.status, 200);
    for rest in [r#", "kind": "todo""#, r#", "status": "open""#, r#", "actor_id": 1"#] {
        let answer = with(cursor, rest).of(&router).await;
        assert_eq!(answer.status, 422, "{rest}");
        assert_eq!(answer.json()["errors"][0]["field"], "cursor");
    }
    let other = search(&format!(r#"{{"q": "doc", "cursor": "{cursor}"}}"#)).of(&router).await;
    assert_eq!(other.status, 422);
    assert_eq!(with(cursor, "").by_the_member().of(&router).await.status, 422);
    // The limit may change.
    let more = search(&format!(r#"{{"q": "docs", "limit": 9, "cursor": "{cursor}"}}"#));
    assert_eq!(more.of(&router).await.status, 200);
}

#[tokio::test]
async fn a_member_searches_its_own_texts_only() {
    let router = MockedApi::whole().router();
    for scope in [r#""all""#, "1"] {
        let body = format!(r#"{{"q": "docs", "actor_id": {scope}}}"#);
        assert_eq!(search(&body).by_the_member().of(&router).await.status, 403);
        assert_eq!(search(&body).of(&router).await.status, 200);
    }
}

#[tokio::test]
async fn a_search_is_repeated_when_the_auth_epoch_has_moved() {
    let mut api = MockedApi::keyed();
    let mut reads = 0;
    api.search.expect_items_before().returning(move |_, _, _, _| {
        reads += 1;
        if reads == 1 { Err(StoreError::EpochMoved) } else { Ok(Vec::new()) }
    });
    assert_eq!(search(r#"{"q": "docs"}"#).of(&api.router()).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_actor_has_a_limit_of_searches_a_minute() {
    let mut api = MockedApi::whole();
    api.settings.limits = RateLimits { searches_per_minute: NonZeroU32::new(2), ..RateLimits::OFF };
    let router = api.router();
    let ask = search(r#"{"q": "docs"}"#);
    // A rejected body does not count.
    assert_eq!(search("{}").of(&router).await.status, 422);
    for _ in 0..2 {
        let answer = ask.clone().of(&router).await;
        let policy = answer.header("ratelimit-policy").to_owned();
        assert_eq!((answer.status.as_u16(), policy.as_str()), (200, r#""searches";q=2;w=60"#));
    }
    let refused = ask.clone().of(&router).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "30"));
    let detail = "The limit is 2 searches a minute of one actor, by all its keys. \
                  Try again in 30 s. ROOTS_SEARCHES_PER_MINUTE raises it.";
    assert_eq!(refused.json()["detail"], detail);
    assert_eq!(ask.by_the_member().of(&router).await.status, 200);
}

#[tokio::test]
async fn a_second_search_of_an_actor_waits_for_the_first_and_then_gets_503() {
    let (started, mut has_started) = unbounded_channel();
    let (go_on, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let mut api = MockedApi::whole();
    api.search.checkpoint();
    api.search.expect_items_before().returning(move |_, source, _, _| {
        if source == ItemSource::Sessions {
            started.send(()).unwrap();
            // An error means that the test has dropped the sender and releases the search.
            let _ = held.lock().unwrap().recv();
        }
        Ok(Vec::new())
    });
    let router = api.router();
    let ask = search(r#"{"q": "docs", "kind": "session"}"#);
    let (first, of) = (ask.clone(), router.clone());
    let first = tokio::spawn(async move { first.of(&of).await });
    has_started.recv().await.unwrap();
    // The search does not block the thread, so the second request is answered.
    let refused = ask.clone().of(&router).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "1");
    go_on.send(()).unwrap();
    assert_eq!(first.await.unwrap().status, 200);

    // A search whose client is gone frees its place when its current read ends.
    let (given_up, of) = (ask.clone(), router.clone());
    let given_up = tokio::spawn(async move { given_up.of(&of).await });
    has_started.recv().await.unwrap();
    given_up.abort();
    drop(go_on);
    assert_eq!(ask.of(&router).await.status, 200);
}
