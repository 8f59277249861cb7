//! Which API keys are admitted, and how long a caller is cached.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use insta::assert_snapshot;
use roots_domain::command::Refusal;
use roots_domain::model::id::AccountId;
use roots_domain::port::store::{ApplyError, StoreError};

use crate::fixture::{KEY, MockedApi, UNKNOWN_KEY, ask, at, credentials, get, session};

#[tokio::test]
async fn a_key_comes_in_either_header() {
    let router = MockedApi::whole().router();
    let bare = get("/api/v1/sessions/1").without_key();
    for (name, value) in [
        ("x-api-key", KEY.to_owned()),
        ("x-api-key", format!(" {KEY} ")),
        ("authorization", format!("Bearer {KEY}")),
        ("authorization", format!("bEARER   {KEY}")),
    ] {
        let answer = bare.clone().header(name, &value).of(&router).await;
        assert_eq!(answer.status, 200, "{name}: {value}");
    }
    let both = get("/api/v1/sessions/1").header("authorization", &format!("Bearer {KEY}"));
    assert_eq!(both.of(&router).await.status, 200);
    // A proxy may use another scheme in the same header.
    let beside = get("/api/v1/sessions/1").header("authorization", "Basic dXNlcjpwYXNz");
    assert_eq!(beside.of(&router).await.status, 200);
}

#[tokio::test]
async fn a_request_without_a_key_is_401() {
    let answer = get("/api/v1/whoami").without_key().of(&MockedApi::bare().router()).await;
    assert_snapshot!(answer.summary(), @r#"
    401 Unauthorized
    www-authenticate: Bearer realm="roots"

    {
      "type": "/docs/problems#unauthorized",
      "title": "Invalid or missing API key",
      "status": 401,
      "detail": "An API key is required, in X-API-Key or as Authorization: Bearer.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "An API key is required, in X-API-Key or as Authorization: Bearer."
    }
    "#);
}

#[tokio::test]
async fn an_unknown_key_is_401() {
    let unknown = get("/api/v1/whoami").without_key().header("x-api-key", UNKNOWN_KEY);
    assert_snapshot!(unknown.of(&MockedApi::keyed().router()).await.summary(), @r#"
    401 Unauthorized
    www-authenticate: Bearer realm="roots", error="invalid_token"

    {
      "type": "/docs/problems#unauthorized",
      "title": "Invalid or missing API key",
      "status": 401,
      "detail": "The API key is not valid.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The API key is not valid."
    }
    "#);
}

#[tokio::test]
async fn a_malformed_key_is_401_without_a_lookup() {
    // No mock expects a look-up, so one would fail the test.
    let router = MockedApi::bare().router();
    let bare = get("/api/v1/sessions").without_key();
    for (name, value) in [
        ("x-api-key", ""),
        ("x-api-key", "roots_1_typo"),
        ("x-api-key", "é"),
        ("authorization", "Bearer"),
        ("authorization", "Bearer "),
        ("authorization", "Bearer roots_1_typo"),
        ("authorization", "Basic dXNlcjpwYXNz"),
        ("authorization", ""),
    ] {
        let answer = bare.clone().header(name, value).of(&router).await;
        assert_eq!(answer.status, 401, "{name}: {value}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        assert!(!answer.body.contains("typo"));
    }
}

#[tokio::test]
async fn an_empty_key_header_is_ignored() {
    let router = MockedApi::whole().router();
    let bare = get("/api/v1/sessions").without_key();
    let (bearer, blank) = (format!("Bearer {KEY}"), "Bearer   ");
    for (key, authorization) in
        [("", bearer.as_str()), (" \t", &bearer), (KEY, ""), (KEY, "Bearer"), (KEY, blank)]
    {
        let ask = bare.clone().header("x-api-key", key).header("authorization", authorization);
        assert_eq!(ask.of(&router).await.status, 200, "{key:?}, {authorization:?}");
    }
    let twice = bare.clone().header("x-api-key", "").header("x-api-key", KEY);
    assert_eq!(twice.of(&router).await.status, 200);
    let none = bare.clone().header("x-api-key", "").header("authorization", blank);
    let none = none.of(&router).await;
    assert_eq!(none.status, 401);
    assert_eq!(none.json()["detail"], bare.of(&router).await.json()["detail"]);
}

#[tokio::test]
async fn two_different_keys_are_401() {
    let router = MockedApi::bare().router();
    let two = get("/api/v1/sessions").header("authorization", "Bearer roots_1_other");
    assert_eq!(two.of(&router).await.status, 401);
    let twice = get("/api/v1/sessions").header("x-api-key", UNKNOWN_KEY);
    assert_eq!(twice.of(&router).await.status, 401);
}

#[test]
fn a_router_can_be_made_outside_a_runtime() {
    let _ = MockedApi::bare().router();
}

#[tokio::test]
async fn an_admitted_caller_is_not_looked_up_again() {
    let mut api = MockedApi::whole();
    api.accounts.checkpoint();
    api.accounts.expect_credentials().once().returning(|lookup| Ok(credentials(lookup)));
    let router = api.router();
    for _ in 0..3 {
        assert_eq!(get("/api/v1/sessions/1").of(&router).await.status, 200);
    }
}

#[tokio::test]
async fn a_cached_caller_whose_key_expires_is_refused() {
    let mut api = MockedApi::whole();
    api.accounts.checkpoint();
    api.accounts.expect_credentials().once().returning(|lookup| {
        Ok(credentials(lookup).map(|mut found| {
            found.key.expires_at = Some(at("2026-04-09T14:00:01Z"));
            found
        }))
    });
    let clock = api.clock.clone();
    let router = api.router();
    assert_eq!(get("/api/v1/sessions/1").of(&router).await.status, 200);
    clock.set("2026-04-09T14:00:01Z");
    assert_eq!(get("/api/v1/sessions/1").of(&router).await.status, 401);
}

#[tokio::test]
async fn a_key_that_a_write_finds_revoked_is_dropped_from_the_cache() {
    let mut api = MockedApi::bare();
    let lookups = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&lookups);
    api.accounts.expect_credentials().returning(move |lookup| {
        let is_first = seen.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(credentials(lookup).filter(|_| is_first))
    });
    api.sessions.expect_session().returning(|_, id| Ok(session(id.0)));
    api.commands
        .expect_apply()
        .once()
        .returning(|_| Err(ApplyError::Refused(Refusal::KeyNotInForce)));
    let router = api.router();
    assert_eq!(get("/api/v1/sessions/1").of(&router).await.status, 200);
    let write = ask("POST", "/api/v1/sessions").of(&router).await;
    assert_snapshot!(write.summary(), @r#"
    401 Unauthorized
    www-authenticate: Bearer realm="roots", error="invalid_token"

    {
      "type": "/docs/problems#unauthorized",
      "title": "Invalid or missing API key",
      "status": 401,
      "detail": "The API key is not valid.",
      "request_id": "019d728c-2e80-7000-8000-000000000002",
      "error": "The API key is not valid."
    }
    "#);
    let read = get("/api/v1/sessions/1").of(&router).await;
    assert_eq!(read.status, 401);
    // The detail of the refused write is that of the refused read.
    assert_eq!(write.json()["detail"], read.json()["detail"]);
    assert_eq!(lookups.load(Ordering::SeqCst), 2);
}

/// The key ends while its caller is being looked up, so the caller must not be cached.
#[tokio::test]
async fn a_caller_whose_key_ends_while_it_is_looked_up_is_not_cached() {
    let mut api = MockedApi::whole();
    api.accounts.checkpoint();
    let (epochs, looks) = (Arc::clone(&api.epochs), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&looks);
    api.accounts.expect_credentials().returning(move |lookup| {
        let is_first = seen.fetch_add(1, Ordering::SeqCst) == 0;
        let found = credentials(lookup).filter(|_| is_first);
        epochs.moved(lookup.account);
        Ok(found)
    });
    let router = api.router();
    assert_eq!(get("/api/v1/sessions/1").of(&router).await.status, 200);
    assert_eq!(get("/api/v1/sessions/1").of(&router).await.status, 401);
    assert_eq!(looks.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn cached_callers_are_dropped_once_keys_of_their_account_have_ended() {
    let mut api = MockedApi::whole();
    api.accounts.checkpoint();
    api.accounts.expect_credentials().times(2).returning(|lookup| Ok(credentials(lookup)));
    let epochs = Arc::clone(&api.epochs);
    let router = api.router();
    for _ in 0..2 {
        assert_eq!(get("/api/v1/sessions/1").of(&router).await.status, 200);
        assert_eq!(get("/api/v1/sessions/1").of(&router).await.status, 200);
        epochs.moved(AccountId(1));
    }
}

#[tokio::test]
async fn a_caller_is_looked_up_again_when_the_epoch_has_moved() {
    let mut api = MockedApi::bare();
    let looks = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&looks);
    api.accounts.expect_credentials().returning(move |lookup| {
        let is_in_force = seen.fetch_add(1, Ordering::SeqCst) < 2;
        Ok(credentials(lookup).filter(|_| is_in_force))
    });
    let reads = AtomicUsize::new(0);
    api.sessions.expect_session().returning(move |_, id| {
        match reads.fetch_add(1, Ordering::SeqCst) {
            1 | 3 => Err(StoreError::EpochMoved),
            _ => Ok(session(id.0)),
        }
    });
    let router = api.router();
    for (status, looked) in [(200, 1), (200, 2), (401, 3)] {
        assert_eq!(get("/api/v1/sessions/1").of(&router).await.status, status);
        assert_eq!(looks.load(Ordering::SeqCst), looked);
    }
}

#[tokio::test]
async fn every_endpoint_but_six_needs_a_key() {
    let router = MockedApi::bare().router();
    let document = serde_json::to_value(roots_http::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_open = operation.get("security").is_some();
            let named = [
                "/health",
                "/ready",
                "/docs/problems",
                "/api/v1/openapi.json",
                "/api/v1/bootstrap",
                "/api/v1/recover",
            ];
            assert_eq!(is_open, named.contains(&path.as_str()), "{path}");
            if !is_open {
                let method = method.to_uppercase().leak();
                let answer = ask(method, path).without_key().of(&router).await;
                assert_eq!(answer.status, 401, "{method} {path}");
            }
        }
    }
}
