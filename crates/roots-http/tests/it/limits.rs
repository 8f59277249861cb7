//! Rate limits and their headers. The clock is paused and moved by the tests.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use futures_util::future::join_all;
use insta::assert_snapshot;
use roots_domain::command::{Action, Applied, Command, Refusal, SystemAction};
use roots_domain::model::api_key::{LookupHash, Succession};
use roots_domain::model::id::{AccountId, KeyId};
use roots_domain::port::crypto::Lookup;
use roots_domain::port::store::{ApplyError, CommandStore, StoreError};
use roots_http::Signup;
use roots_http_core::auth::client_ip::TrustedProxy;
use roots_http_core::auth::rate_limit::RateLimits;
use roots_http_core::middleware::cors::CorsOrigin;
use tokio::sync::{Notify, Semaphore};
use tokio::time::advance;

use crate::fixture::{
    ANOTHERS, CODE, MockedApi, NEW_ACCOUNT, TestRequest, TestResponse, UNKNOWN_CODE, UNKNOWN_KEY,
    applied, ask, credentials, delete, get, post,
};

/// The limit of requests a minute without a key from one address.
const UNAUTHENTICATED: usize = 60;
/// The limit of unknown keys a minute from one address.
const UNKNOWN_KEYS: u8 = 60;

/// An API with these limits; 0 means no limit.
fn limited(requests_per_minute: u32, signups_per_hour: u32) -> MockedApi {
    let mut api = MockedApi::whole();
    api.settings.limits = RateLimits {
        requests_per_minute: NonZeroU32::new(requests_per_minute),
        signups_per_hour: NonZeroU32::new(signups_per_hour),
        ..RateLimits::OFF
    };
    api
}

async fn statuses(router: &Router, ask: &TestRequest, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(ask.clone().of(router).await.status.as_u16());
    }
    statuses
}

#[tokio::test(start_paused = true)]
async fn a_request_over_the_limit_of_its_actor_is_429() {
    let router = limited(2, 0).router();
    let read = get("/api/v1/sessions/1");
    assert_snapshot!(read.clone().of(&router).await.summary(), @r#"
    200 OK
    etag: "00000000000000000000000000000000-1"
    ratelimit-policy: "actor";q=2;w=60
    ratelimit: "actor";r=1;t=30

    {
      "session_id": 1,
      "status": "active",
      "notes": "Working on API docs",
      "started_at": "2026-04-09T10:00:00Z",
      "ended_at": null,
      "ended_reason": null,
      "duration_seconds": null,
      "actor_id": 1
    }
    "#);
    // A failed request counts too.
    assert_eq!(
        post("/api/v1/sessions", "[]").of(&router).await.header("ratelimit"),
        r#""actor";r=0;t=60"#
    );
    assert_snapshot!(read.clone().of(&router).await.summary(), @r#"
    429 Too Many Requests
    ratelimit-policy: "actor";q=2;w=60
    ratelimit: "actor";r=0;t=60
    retry-after: 30

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "The limit is 2 requests a minute of one actor, by all its keys. Try again in 30 s. ROOTS_RATE_LIMIT_PER_MINUTE raises it.",
      "request_id": "019d728c-2e80-7000-8000-000000000003",
      "error": "The limit is 2 requests a minute of one actor, by all its keys. Try again in 30 s. ROOTS_RATE_LIMIT_PER_MINUTE raises it."
    }
    "#);
    advance(Duration::from_millis(29_001)).await;
    let soon = read.clone().of(&router).await;
    assert_eq!((soon.status.as_u16(), soon.header("retry-after")), (429, "1"));
    advance(Duration::from_millis(999)).await;
    assert_eq!(statuses(&router, &read, 2).await, [200, 429]);
}

/// Makes the member's key a second key of the owner, and the unknown key one of the member.
fn with_two_keys_of_the_owner(api: &mut MockedApi) {
    api.accounts.checkpoint();
    api.accounts.expect_credentials().returning(|lookup| {
        let LookupHash(hash) = lookup.hash;
        let of = |first: u8| credentials(Lookup { hash: LookupHash([first; 32]), ..lookup });
        let mut found = match hash[0] {
            3 => of(1),
            2 => of(3),
            _ => credentials(lookup),
        };
        if let Some(found) = &mut found {
            found.key.id = KeyId(i64::from(hash[0]));
        }
        Ok(found)
    });
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_an_actor_share_its_limit_and_actors_do_not() {
    let mut api = limited(4, 0);
    with_two_keys_of_the_owner(&mut api);
    let router = api.router();
    let one = get("/api/v1/sessions/1");
    let other = one.clone().by_the_member();
    assert_eq!(statuses(&router, &one, 2).await, [200; 2]);
    assert_eq!(other.clone().of(&router).await.header("ratelimit"), r#""actor";r=1;t=45"#);
    assert_eq!(statuses(&router, &one, 2).await, [200, 429]);
    assert_eq!(statuses(&router, &other, 1).await, [429]);
    let another_actor = with_wrong_key();
    assert_eq!(another_actor.of(&router).await.header("ratelimit"), r#""actor";r=3;t=15"#);
}

#[tokio::test(start_paused = true)]
async fn the_actors_of_an_account_share_its_limit() {
    let mut api = MockedApi::whole();
    let (requests_per_minute, account_requests_per_minute) =
        (NonZeroU32::new(4), NonZeroU32::new(6));
    api.settings.limits =
        RateLimits { requests_per_minute, account_requests_per_minute, ..RateLimits::OFF };
    let router = api.router();
    let owner = get("/api/v1/sessions/1");
    let member = get(&format!("/api/v1/sessions/{ANOTHERS}")).by_the_member();
    let first = owner.clone().of(&router).await;
    assert_eq!(first.header("ratelimit-policy"), r#""actor";q=4;w=60, "account";q=6;w=60"#);
    assert_eq!(first.header("ratelimit"), r#""actor";r=3;t=15, "account";r=5;t=10"#);
    assert_eq!(statuses(&router, &owner, 4).await, [200, 200, 200, 429]);
    // A request that the actor's limit refused does not count against the account's.
    assert_eq!(statuses(&router, &member, 3).await, [200, 200, 429]);
    let refused = member.clone().of(&router).await;
    assert_snapshot!(refused.summary(), @r#"
    429 Too Many Requests
    ratelimit-policy: "actor";q=4;w=60, "account";q=6;w=60
    ratelimit: "actor";r=2;t=30, "account";r=0;t=60
    retry-after: 10

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "The limit is 6 requests a minute of one account, by all its actors. Try again in 10 s. ROOTS_ACCOUNT_RATE_LIMIT_PER_MINUTE raises it.",
      "request_id": "019d728c-2e80-7000-8000-000000000009",
      "error": "The limit is 6 requests a minute of one account, by all its actors. Try again in 10 s. ROOTS_ACCOUNT_RATE_LIMIT_PER_MINUTE raises it."
    }
    "#);
    // A request that the account's limit refused does not count against the actor's.
    advance(Duration::from_secs(20)).await;
    assert_eq!(statuses(&router, &member, 3).await, [200, 200, 429]);
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_actors_and_accounts_are_switched_off_by_themselves() {
    let five = NonZeroU32::new(5);
    for (requests_per_minute, account_requests_per_minute, policy) in [
        (None, five, r#""account";q=5;w=60"#),
        (five, None, r#""actor";q=5;w=60"#),
        (None, None, ""),
    ] {
        let mut api = MockedApi::whole();
        api.settings.limits =
            RateLimits { requests_per_minute, account_requests_per_minute, ..RateLimits::OFF };
        let answer = get("/api/v1/sessions/1").of(&api.router()).await;
        assert_eq!(answer.header("ratelimit-policy"), policy);
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_keys_actors_and_codes_share_an_hourly_limit_of_the_account() {
    let mut api = MockedApi::whole();
    let key_changes_per_hour = NonZeroU32::new(3);
    api.settings.limits = RateLimits { key_changes_per_hour, ..RateLimits::OFF };
    let router = api.router();
    let make = post("/api/v1/keys", r#"{"actor_id": 1}"#);
    let answer = make.clone().of(&router).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("ratelimit-policy")),
        (201, r#""key-changes";q=3;w=3600"#)
    );
    // A request that fails counts too, because it is counted before it is handled.
    assert_eq!(statuses(&router, &post("/api/v1/actors", "[]"), 1).await, [422]);
    assert_eq!(
        statuses(&router, &post("/api/v1/keys/rotate", "{}").by_the_member(), 1).await,
        [201]
    );
    for ask in [
        make.clone(),
        post("/api/v1/keys/rotate", "{}"),
        post("/api/v1/actors", r#"{"name": "a", "actor_type": "agent"}"#),
        ask("PATCH", "/api/v1/actors/2").json(r#"{"name": "b"}"#),
        post("/api/v1/recovery-code", "{}"),
    ] {
        assert_eq!(statuses(&router, &ask, 1).await, [429]);
    }
    assert_snapshot!(make.of(&router).await.summary(), @r#"
    429 Too Many Requests
    ratelimit-policy: "key-changes";q=3;w=3600
    ratelimit: "key-changes";r=0;t=3600
    retry-after: 1200

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "The limit is 3 changes an hour of one account's keys, actors and recovery code, its imports and its owner's exports included. Try again in 1200 s. ROOTS_KEY_CHANGES_PER_HOUR raises it.",
      "request_id": "019d728c-2e80-7000-8000-000000000009",
      "error": "The limit is 3 changes an hour of one account's keys, actors and recovery code, its imports and its owner's exports included. Try again in 1200 s. ROOTS_KEY_CHANGES_PER_HOUR raises it."
    }
    "#);
    for read in ["/api/v1/keys", "/api/v1/actors"] {
        assert_eq!(statuses(&router, &get(read), 5).await, [200; 5]);
    }
    // The limit does not keep the owner from revoking a key or deactivating an actor.
    for end in ["/api/v1/keys/1", "/api/v1/actors/2"] {
        assert_eq!(statuses(&router, &delete(end), 5).await, [200; 5]);
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_that_makes_or_changes_keys_or_actors_counts_as_a_change_of_keys() {
    let mut api = MockedApi::whole();
    api.settings.limits =
        RateLimits { key_changes_per_hour: NonZeroU32::new(1_000), ..RateLimits::OFF };
    let router = api.router();
    let document = serde_json::to_value(roots_http::openapi()).unwrap();
    let mut counted = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            // A body that no operation takes: what is refused counts too.
            let call = ask(method.to_uppercase().leak(), &path.replace("{id}", "1")).json("[]");
            let has_counted = !call.of(&router).await.header("ratelimit-policy").is_empty();
            if has_counted {
                counted.push(format!("{method} {path}"));
            } else if operation["tags"][0] == "keys" {
                assert!(["get", "delete"].contains(&method.as_str()), "{method} {path}");
            }
        }
    }
    counted.sort();
    let expected = [
        "get /api/v1/export",
        "patch /api/v1/actors/{id}",
        "post /api/v1/actors",
        "post /api/v1/keys",
        "post /api/v1/keys/rotate",
        "post /api/v1/recovery-code",
    ];
    assert_eq!(counted, expected);
}

#[tokio::test(start_paused = true)]
async fn imports_and_owners_exports_share_the_hourly_limit_of_key_changes() {
    let mut api = MockedApi::whole();
    let key_changes_per_hour = NonZeroU32::new(4);
    api.settings.limits = RateLimits { key_changes_per_hour, ..RateLimits::OFF };
    let router = api.router();
    let header = r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}"#;
    let import = |query: &str| {
        let import = ask("POST", &format!("/api/v1/import{query}"));
        import.header("content-type", "application/x-ndjson").body(header)
    };
    let export = get("/api/v1/export");
    // These leave no audit entry, or only end a key. They don't count and are never refused.
    let free = [
        import("?dry_run=true"),
        ask("HEAD", "/api/v1/export"),
        export.clone().by_the_member(),
        delete("/api/v1/keys/1"),
    ];
    for ask in &free {
        assert_eq!(statuses(&router, ask, 5).await, [200; 5]);
    }
    let answer = import("").of(&router).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("ratelimit")),
        (200, r#""key-changes";r=3;t=900"#)
    );
    assert_eq!(statuses(&router, &export, 2).await, [200; 2]);
    let make = post("/api/v1/keys", r#"{"actor_id": 1}"#);
    assert_eq!(statuses(&router, &make, 2).await, [201, 429]);
    assert_eq!(statuses(&router, &export, 1).await, [429]);
    assert_snapshot!(import("").of(&router).await.summary(), @r#"
    429 Too Many Requests
    cache-control: no-store
    ratelimit-policy: "key-changes";q=4;w=3600
    ratelimit: "key-changes";r=0;t=3600
    retry-after: 900
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "The limit is 4 changes an hour of one account's keys, actors and recovery code, its imports and its owner's exports included. Try again in 900 s. ROOTS_KEY_CHANGES_PER_HOUR raises it.",
      "request_id": "019d728c-2e80-7000-8000-00000000001b",
      "error": "The limit is 4 changes an hour of one account's keys, actors and recovery code, its imports and its owner's exports included. Try again in 900 s. ROOTS_KEY_CHANGES_PER_HOUR raises it."
    }
    "#);
    for ask in &free {
        assert_eq!(statuses(&router, ask, 5).await, [200; 5]);
    }
}

/// A store that holds every command until the test releases it.
#[derive(Default)]
struct Held {
    has_begun: Notify,
    may_go_on: Notify,
}

#[async_trait]
impl CommandStore for Held {
    async fn apply(&self, command: Command) -> Result<Applied, ApplyError> {
        self.has_begun.notify_one();
        self.may_go_on.notified().await;
        Ok(applied(command))
    }
}

/// Makes every good key one that was never used, so that its look-up must record its first use.
fn unseen(api: &mut MockedApi) {
    api.accounts.checkpoint();
    api.accounts.expect_credentials().returning(|lookup| {
        let mut found = credentials(lookup);
        if let Some(found) = &mut found {
            found.key.succession = Some(Succession::Recovery);
        }
        Ok(found)
    });
}

#[tokio::test(start_paused = true)]
async fn hanging_up_during_the_look_up_of_a_good_key_does_not_count_as_an_unknown_key() {
    let mut api = limited(1_000, 0);
    unseen(&mut api);
    let held = Arc::new(Held::default());
    api.store = Some(held.clone());
    let router = api.router();
    tokio::select! {
        _ = get("/api/v1/sessions/1").of(&router) => unreachable!("it was answered"),
        () = held.has_begun.notified() => {}
    }
    // The request counts while it is unknown whether its key is good.
    assert_eq!(unknown_key(1).of(&router).await.header("ratelimit"), r#""unknown-keys";r=58;t=2"#);
    held.may_go_on.notify_one();
    tokio::task::yield_now().await;
    assert_eq!(unknown_key(2).of(&router).await.header("ratelimit"), r#""unknown-keys";r=58;t=2"#);
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_with_one_wrong_key_count_once() {
    let (api, lookups) = counting_lookups();
    let router = api.router();
    let ask = || with_wrong_key().of(&router);
    let (one, other) = tokio::join!(ask(), ask());
    assert_eq!([one.status.as_u16(), other.status.as_u16()], [401; 2]);
    let mut headers = [one.header("ratelimit"), other.header("ratelimit")];
    headers.sort_unstable();
    assert_eq!(headers, [r#""unauthenticated";r=59;t=1"#, r#""unknown-keys";r=59;t=1"#]);
    assert_eq!(unknown_key(1).of(&router).await.header("ratelimit"), r#""unknown-keys";r=58;t=2"#);
    assert_eq!(lookups.load(Ordering::SeqCst), 2);
}

/// A store that holds the first use of a key until the test releases it. Then it refuses the keys
/// with an odd id.
struct Stalled {
    begun: AtomicUsize,
    may_go_on: Semaphore,
}

#[async_trait]
impl CommandStore for Stalled {
    async fn apply(&self, command: Command) -> Result<Applied, ApplyError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.may_go_on.acquire().await.unwrap().forget();
        match command.action {
            Action::System(SystemAction::UseKey { key, .. }) if key.0 % 2 == 1 => {
                Err(ApplyError::Refused(Refusal::KeyNotInForce))
            }
            _ => Ok(applied(command)),
        }
    }
}

/// An API in which every key is the owner's and was never used, on a [`Stalled`] store.
fn stalling_lookups() -> (MockedApi, Arc<Stalled>) {
    let mut api = limited(1_000, 0);
    api.accounts.checkpoint();
    api.accounts.expect_credentials().returning(|lookup| {
        let mut found = credentials(Lookup { hash: LookupHash([1; 32]), ..lookup });
        if let Some(found) = &mut found {
            let LookupHash(hash) = lookup.hash;
            found.key.id = KeyId(i64::from(hash[1]));
            found.key.succession = Some(Succession::Recovery);
        }
        Ok(found)
    });
    let stalled = Arc::new(Stalled { begun: AtomicUsize::new(0), may_go_on: Semaphore::new(0) });
    api.store = Some(stalled.clone());
    (api, stalled)
}

/// Sends the requests at once, runs `meanwhile`, which releases the look-ups, and returns the
/// statuses.
async fn at_once(
    router: &Router,
    asks: Vec<TestRequest>,
    meanwhile: impl AsyncFnOnce(),
) -> Vec<u16> {
    let asks = asks.into_iter().map(|ask| {
        let router = router.clone();
        tokio::spawn(async move { ask.of(&router).await.status.as_u16() })
    });
    let asks = asks.collect::<Vec<_>>();
    settled().await;
    meanwhile().await;
    join_all(asks).await.into_iter().map(Result::unwrap).collect()
}

/// Runs all tasks until they wait for something.
async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_with_one_key_share_its_look_up() {
    let (api, stalled) = stalling_lookups();
    let router = api.router();
    let answered = at_once(&router, vec![unknown_key(0); 200], async || {
        assert_eq!(stalled.begun.load(Ordering::SeqCst), 1);
        stalled.may_go_on.add_permits(2);
    })
    .await;
    assert_eq!(answered, [200; 200]);
    assert_eq!(stalled.begun.load(Ordering::SeqCst), 1);
    assert_eq!(unknown_key(1).of(&router).await.header("ratelimit"), r#""unknown-keys";r=59;t=1"#);
}

#[tokio::test(start_paused = true)]
async fn good_keys_beyond_the_limit_wait_for_the_look_ups_before_them() {
    let (api, stalled) = stalling_lookups();
    let router = api.router();
    let asks = (0..80).map(|count| unknown_key(2 * count)).collect();
    let answered = at_once(&router, asks, async || {
        assert_eq!(stalled.begun.load(Ordering::SeqCst), usize::from(UNKNOWN_KEYS));
        stalled.may_go_on.add_permits(80);
    })
    .await;
    assert_eq!(answered, [200; 80]);
}

#[tokio::test(start_paused = true)]
async fn wrong_keys_beyond_the_limit_are_429_without_a_look_up() {
    let (api, stalled) = stalling_lookups();
    let router = api.router();
    let asks = (0..100).map(|count| unknown_key(2 * count + 1)).chain([unknown_key(0)]).collect();
    let answered = at_once(&router, asks, async || {
        assert_eq!(stalled.begun.load(Ordering::SeqCst), usize::from(UNKNOWN_KEYS));
        stalled.may_go_on.add_permits(1_000);
    })
    .await;
    let count_of = |wanted| answered.iter().filter(|status| **status == wanted).count();
    assert_eq!((count_of(401), count_of(429)), (60, 41));
    assert_eq!(stalled.begun.load(Ordering::SeqCst), usize::from(UNKNOWN_KEYS));
    // The look-ups of one address do not delay another.
    assert_eq!(statuses(&router, &unknown_key(0).from("203.0.113.11"), 1).await, [200]);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_begun_before_a_key_ended_admits_no_later_request() {
    let (api, stalled) = stalling_lookups();
    let epochs = Arc::clone(&api.epochs);
    let router = api.router();
    let ask = || {
        let router = router.clone();
        tokio::spawn(async move { unknown_key(0).of(&router).await.status.as_u16() })
    };
    let before = ask();
    settled().await;
    epochs.moved(AccountId(1));
    let after = ask();
    settled().await;
    assert_eq!(stalled.begun.load(Ordering::SeqCst), 2);
    stalled.may_go_on.add_permits(2);
    assert_eq!([before.await.unwrap(), after.await.unwrap()], [200; 2]);
}

#[tokio::test(start_paused = true)]
async fn every_answer_to_a_key_carries_its_limit() {
    let router = limited(1_000, 0).router();
    let document = serde_json::to_value(roots_http::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().leak();
            let answer = ask(method, &path.replace("{id}", "1")).of(&router).await;
            let policy = answer.header("ratelimit-policy");
            if operation.get("security").is_none() {
                assert_eq!(policy, r#""actor";q=1000;w=60"#, "{method} {path}");
                assert!(answer.header("ratelimit").starts_with(r#""actor";r=9"#));
            } else if ["/health", "/ready"].contains(&path.as_str()) {
                assert_eq!(policy, r#""probes";q=600;w=60"#, "{method} {path}");
            } else {
                assert_eq!(policy, r#""unauthenticated";q=60;w=60"#, "{method} {path}");
            }
        }
    }
}

/// Requests that need no key, or are refused before their key is read.
fn keyless() -> Vec<TestRequest> {
    let keyless = [
        get("/docs/problems"),
        get("/docs/"),
        get("/docs"),
        get("/docs/a/b"),
        get("/api/v1/openapi.json"),
        get("/api/v1/openapi.json?x=1"),
        get("/nothing"),
        ask("PUT", "/api/v1/sessions"),
        ask("OPTIONS", "/api/v1/sessions"),
        ask("DELETE", "/docs/"),
        get("/api/v1/sessions").header("if-match", "*"),
        get("/api/v1/sessions/x"),
        get("/api/v1/sessions?x=1"),
        post("/api/v1/sessions", "["),
        post("/api/v1/import", ""),
        get("/api/v1/export"),
        post("/api/v1/bootstrap", "["),
        delete("/api/v1/accounts/me"),
    ];
    let keyless = keyless.map(TestRequest::without_key);
    let with_a_key = keyless.clone().map(|ask| ask.header("x-api-key", "roots_1_typo"));
    keyless.into_iter().chain(with_a_key).collect()
}

#[tokio::test(start_paused = true)]
async fn every_request_without_a_key_counts_against_its_address() {
    for ask in keyless() {
        let uri = format!("{:?}", ask.clone().request().uri());
        let router = limited(1_000, 0).router();
        let first = ask.clone().of(&router).await;
        assert_eq!(first.header("ratelimit"), r#""unauthenticated";r=59;t=1"#, "{uri}");
        assert_eq!(
            statuses(&router, &ask, UNAUTHENTICATED).await[UNAUTHENTICATED - 2..],
            [first.status.as_u16(), 429],
            "{uri}"
        );
        // An IPv6 network of 64 bits counts as one client.
        let (near, far) = ("2001:db8::1", "2001:db8:0:1::1");
        assert_eq!(statuses(&router, &ask.clone().from(near), 60).await[59], first.status.as_u16());
        assert_eq!(statuses(&router, &ask.clone().from("2001:db8::2"), 1).await, [429], "{uri}");
        assert_eq!(statuses(&router, &ask.from(far), 1).await, [first.status.as_u16()], "{uri}");
        // The limit does not affect a request with a good key.
        assert_eq!(statuses(&router, &get("/api/v1/sessions/1"), 2).await, [200; 2], "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_on_actors_nothing_is_limited_by_address() {
    let router = limited(0, 0).router();
    for path in ["/docs/problems", "/nothing", "/api/v1/sessions"] {
        let answers = statuses(&router, &get(path).without_key(), UNAUTHENTICATED + 1).await;
        assert!(!answers.contains(&429), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn static_files_and_preflights_have_an_allowance_of_their_own() {
    let mut api = limited(1, 0);
    api.settings.cors_origins = vec![CorsOrigin::parse("https://app.example").unwrap()];
    let router = api.router();
    ask_without_key_until_refused(&router).await;
    let preflight = ask("OPTIONS", "/api/v1/sessions")
        .without_key()
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST");
    assert_eq!(statuses(&router, &preflight, 300).await, [200; 300]);
    let file = get(&crate::docs::files(&router.clone(), "203.0.113.9").await[0]).without_key();
    let answer = file.clone().of(&router).await;
    assert_eq!(answer.header("ratelimit-policy"), r#""static";q=600;w=60"#);
    assert_eq!(statuses(&router, &file, 300).await[298..], [200, 429]);
    assert_eq!(statuses(&router, &get("/docs/nothing.js").without_key(), 1).await, [429]);
    assert_eq!(statuses(&router, &preflight, 1).await, [429]);
    assert_eq!(statuses(&router, &file.from("203.0.113.8"), 1).await, [200]);
}

#[tokio::test(start_paused = true)]
async fn probes_have_an_allowance_of_their_own_by_address() {
    let router = limited(1, 1).router();
    ask_without_key_until_refused(&router).await;
    let (health, ready) = (get("/health").without_key(), get("/ready").without_key());
    assert_eq!(statuses(&router, &health, 300).await, [200; 300]);
    assert_eq!(statuses(&router, &ready, 300).await, [200; 300]);
    assert_eq!(statuses(&router, &ready, 1).await, [429]);
    assert_eq!(statuses(&router, &health.from("203.0.113.8"), 1).await, [200]);
}

#[tokio::test(start_paused = true)]
async fn probes_from_the_loopback_address_are_never_refused() {
    let mut api = limited(1, 1);
    api.settings.trusted_proxies = vec![TrustedProxy::parse("127.0.0.2").unwrap()];
    let router = api.router();
    let unauthenticated = get("/nothing").without_key();
    for here in ["127.0.0.1", "127.9.9.9", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
        for path in ["/health", "/ready"] {
            let probe = get(path).without_key().from(here);
            assert_eq!(statuses(&router, &probe, 700).await, [200; 700], "{path} from {here}");
        }
    }
    // Other requests from the loopback address are limited.
    assert_eq!(
        statuses(&router, &unauthenticated.from("::1"), UNAUTHENTICATED + 1).await[UNAUTHENTICATED],
        429
    );
    // Clients of a local proxy are limited by their own address. The header of an untrusted client
    // is ignored.
    for named in ["203.0.113.7", "127.0.0.1, 203.0.113.8"] {
        let probe = get("/health").without_key().from("127.0.0.2");
        let through = probe.header("x-forwarded-for", named);
        assert_eq!(statuses(&router, &through, 601).await[599..], [200, 429], "{named}");
    }
    let elsewhere = get("/health").without_key().header("x-forwarded-for", "127.0.0.1");
    assert_eq!(statuses(&router, &elsewhere.from("203.0.113.9"), 601).await[599..], [200, 429]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_concurrent_readiness_probes_cost_one_ping() {
    let mut api = limited(0, 1);
    let pings = Arc::new(AtomicUsize::new(0));
    let (counter, is_away) = (Arc::clone(&pings), Arc::new(AtomicBool::new(false)));
    let away = Arc::clone(&is_away);
    api.readiness.checkpoint();
    api.readiness.expect_ping().returning(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        if away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("away".into()));
        }
        Ok(Vec::new())
    });
    let router = api.router();
    let ready = get("/ready").without_key();
    let at_once = async || {
        let asks = (0..1_000).map(|_| ready.clone().of(&router));
        let mut statuses: Vec<_> =
            join_all(asks).await.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.dedup();
        statuses
    };
    assert_eq!((at_once().await, pings.load(Ordering::SeqCst)), (vec![200], 1));
    is_away.store(true, Ordering::SeqCst);
    advance(Duration::from_millis(999)).await;
    assert_eq!((at_once().await, pings.load(Ordering::SeqCst)), (vec![200], 1));
    advance(Duration::from_millis(1)).await;
    assert_eq!((at_once().await, pings.load(Ordering::SeqCst)), (vec![503], 2));
}

/// An API that counts the look-ups of keys.
fn counting_lookups() -> (MockedApi, Arc<AtomicUsize>) {
    let mut api = limited(1_000, 0);
    let lookups = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&lookups);
    api.accounts.checkpoint();
    api.accounts.expect_credentials().returning(move |lookup| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(credentials(lookup))
    });
    (api, lookups)
}

fn with_wrong_key() -> TestRequest {
    with_wrong_key_instead(get("/api/v1/sessions/1"))
}

/// One of 256 unknown keys.
fn unknown_key(count: u8) -> TestRequest {
    get("/api/v1/sessions/1").without_key().header("x-api-key", &format!("{UNKNOWN_KEY}{count}"))
}

/// Uses up the unknown keys that an address may send.
async fn show_unknown_keys_until_refused(router: &Router) {
    for count in 0..UNKNOWN_KEYS {
        assert_eq!(statuses(router, &unknown_key(count), 1).await, [401]);
    }
    assert_eq!(statuses(router, &unknown_key(UNKNOWN_KEYS), 1).await, [429]);
}

/// Uses up the requests that an address may send without a key.
async fn ask_without_key_until_refused(router: &Router) {
    let keyless = get("/api/v1/sessions/1").without_key();
    assert_eq!(statuses(router, &keyless, UNAUTHENTICATED).await, [401; UNAUTHENTICATED]);
    assert_eq!(statuses(router, &keyless, 10).await, [429; 10]);
}

#[tokio::test(start_paused = true)]
async fn wrong_keys_are_limited_before_they_are_looked_up() {
    let (api, lookups) = counting_lookups();
    let router = api.router();
    assert_snapshot!(unknown_key(0).of(&router).await.summary(), @r#"
    401 Unauthorized
    ratelimit-policy: "unknown-keys";q=60;w=60
    ratelimit: "unknown-keys";r=59;t=1
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
    for count in 1..UNKNOWN_KEYS {
        assert_eq!(statuses(&router, &unknown_key(count), 1).await, [401]);
    }
    assert_snapshot!(unknown_key(UNKNOWN_KEYS).of(&router).await.summary(), @r#"
    429 Too Many Requests
    ratelimit-policy: "unknown-keys";q=60;w=60
    ratelimit: "unknown-keys";r=0;t=60
    retry-after: 1

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "The limit is 60 unknown keys a minute from one address. Try again in 1 s. No setting raises it; ROOTS_RATE_LIMIT_PER_MINUTE=0 turns it off.",
      "request_id": "019d728c-2e80-7000-8000-00000000003d",
      "error": "The limit is 60 unknown keys a minute from one address. Try again in 1 s. No setting raises it; ROOTS_RATE_LIMIT_PER_MINUTE=0 turns it off."
    }
    "#);
    for count in UNKNOWN_KEYS..2 * UNKNOWN_KEYS {
        assert_eq!(statuses(&router, &unknown_key(count), 1).await, [429]);
    }
    assert_eq!(lookups.load(Ordering::SeqCst), usize::from(UNKNOWN_KEYS));
    // Requests that need no look-up, or repeat a known wrong key, are still answered 401.
    let invalid = get("/api/v1/sessions/1").without_key().header("x-api-key", "roots_1_typo");
    let missing = get("/api/v1/sessions/1").without_key();
    for no_attempt in [invalid, missing, unknown_key(0)] {
        assert_eq!(statuses(&router, &no_attempt, 2).await, [401; 2]);
    }
    // A good key that is new here must wait too, until the limit allows one more after a second.
    let good = get("/api/v1/sessions/1");
    assert_eq!(statuses(&router, &good, 1).await, [429]);
    advance(Duration::from_secs(1)).await;
    assert_eq!(statuses(&router, &good, 3).await, [200; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_admitted_beside_many_requests_without_one() {
    let (api, _) = counting_lookups();
    let router = api.router();
    ask_without_key_until_refused(&router).await;
    let keyless = get("/api/v1/sessions/1").without_key();
    assert_snapshot!(keyless.clone().of(&router).await.summary(), @r#"
    429 Too Many Requests
    ratelimit-policy: "unauthenticated";q=60;w=60
    ratelimit: "unauthenticated";r=0;t=60
    retry-after: 1

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "The limit is 60 requests a minute without a valid key from one address. Try again in 1 s. No setting raises it; ROOTS_RATE_LIMIT_PER_MINUTE=0 turns it off.",
      "request_id": "019d728c-2e80-7000-8000-000000000047",
      "error": "The limit is 60 requests a minute without a valid key from one address. Try again in 1 s. No setting raises it; ROOTS_RATE_LIMIT_PER_MINUTE=0 turns it off."
    }
    "#);
    let invalid = keyless.header("x-api-key", "roots_1_typo");
    assert_eq!(statuses(&router, &invalid, 2).await, [429; 2]);
    assert_eq!(statuses(&router, &get("/api/v1/sessions/1"), 2).await, [200; 2]);
    // An unknown key does not count against the limit of requests without a key.
    assert_eq!(unknown_key(0).of(&router).await.header("ratelimit"), r#""unknown-keys";r=59;t=1"#);
}

#[tokio::test(start_paused = true)]
async fn repeating_one_wrong_key_counts_once() {
    let (api, lookups) = counting_lookups();
    let router = api.router();
    let wrong = with_wrong_key();
    assert_eq!(statuses(&router, &wrong, UNAUTHENTICATED + 1).await, [401; UNAUTHENTICATED + 1]);
    assert_eq!(statuses(&router, &wrong, 100).await, [429; 100]);
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    let members = get(&format!("/api/v1/sessions/{ANOTHERS}")).by_the_member();
    for unseen in [get("/api/v1/sessions/1"), members] {
        assert_eq!(statuses(&router, &unseen, 2).await, [200; 2]);
    }
    assert_eq!(unknown_key(0).of(&router).await.header("ratelimit"), r#""unknown-keys";r=58;t=2"#);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_is_looked_up_at_most_once_in_five_seconds() {
    let (api, lookups) = counting_lookups();
    let router = api.router();
    let wrong = with_wrong_key();
    for seconds in 0..12 {
        assert_eq!(statuses(&router, &wrong, 4).await, [401; 4]);
        assert_eq!(lookups.load(Ordering::SeqCst), 1 + seconds / 5, "after {seconds} s");
        advance(Duration::from_secs(1)).await;
    }
    let keyless = get("/api/v1/sessions/1").without_key();
    while keyless.clone().of(&router).await.status == 401 {}
    advance(Duration::from_millis(900)).await;
    assert_eq!(statuses(&router, &wrong, 2).await, [429; 2]);
    assert_eq!(lookups.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_that_became_good_is_admitted_five_seconds_later() {
    let mut api = limited(1_000, 0);
    let is_good = Arc::new(AtomicBool::new(false));
    let good = Arc::clone(&is_good);
    api.accounts.checkpoint();
    api.accounts
        .expect_credentials()
        .returning(move |lookup| Ok(credentials(lookup).filter(|_| good.load(Ordering::SeqCst))));
    let router = api.router();
    let ask = get("/api/v1/sessions/1");
    assert_eq!(statuses(&router, &ask, 2).await, [401; 2]);
    for count in 1..UNKNOWN_KEYS {
        assert_eq!(statuses(&router, &unknown_key(count), 1).await, [401]);
    }
    is_good.store(true, Ordering::SeqCst);
    advance(Duration::from_millis(4_999)).await;
    assert_eq!(statuses(&router, &ask, 1).await, [401]);
    advance(Duration::from_millis(1)).await;
    // The key is good now, so these requests count neither as unknown keys nor as unauthenticated.
    assert_eq!(statuses(&router, &ask, 3).await, [200; 3]);
    assert_eq!(
        unknown_key(UNKNOWN_KEYS).of(&router).await.header("ratelimit"),
        r#""unknown-keys";r=4;t=56"#
    );
    let keyless = get("/api/v1/sessions/1").without_key();
    assert_eq!(keyless.of(&router).await.header("ratelimit"), r#""unauthenticated";r=58;t=2"#);
}

#[tokio::test(start_paused = true)]
async fn a_known_good_key_is_admitted_when_the_limit_of_unknown_keys_is_used_up() {
    let (api, _) = counting_lookups();
    let router = api.router();
    let good = get("/api/v1/sessions/1");
    assert_eq!(statuses(&router, &good, 2).await, [200; 2]);
    show_unknown_keys_until_refused(&router).await;
    ask_without_key_until_refused(&router).await;
    assert_eq!(statuses(&router, &good, 2).await, [200; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_known_key_is_looked_up_again_when_the_limit_of_unknown_keys_is_used_up() {
    let (mut api, lookups) = counting_lookups();
    api.commands.checkpoint();
    let refusal = || Err(ApplyError::Refused(Refusal::KeyNotInForce));
    api.commands.expect_apply().returning(move |_| refusal());
    let router = api.router();
    assert_eq!(statuses(&router, &post("/api/v1/sessions", "{}"), 1).await, [401]);
    show_unknown_keys_until_refused(&router).await;
    let before = lookups.load(Ordering::SeqCst);
    assert_eq!(statuses(&router, &get("/api/v1/sessions/1"), 2).await, [200; 2]);
    assert_eq!(lookups.load(Ordering::SeqCst), before + 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_has_limits_of_its_own() {
    let (mut api, _) = counting_lookups();
    api.settings.trusted_proxies = vec![TrustedProxy::parse("10.0.0.0/8").unwrap()];
    let router = api.router();
    let keyless = |from: &str| get("/api/v1/sessions/1").without_key().from(from);
    let exhausted = async |ask: TestRequest| {
        statuses(&router, &ask, UNAUTHENTICATED + 1).await[UNAUTHENTICATED - 1..] == [401, 429]
    };
    assert!(exhausted(keyless("203.0.113.7")).await);
    assert!(exhausted(keyless("203.0.113.8")).await);
    // The forwarded address of an untrusted client is ignored.
    let named = keyless("203.0.113.7").header("x-forwarded-for", "203.0.113.9");
    assert_eq!(statuses(&router, &named, 1).await, [429]);
    // The forwarded address of a trusted proxy is used.
    let forwarded = |addresses: &str| keyless("10.0.0.1").header("x-forwarded-for", addresses);
    assert!(exhausted(forwarded("203.0.113.9")).await);
    assert_eq!(statuses(&router, &forwarded("198.51.100.1, 203.0.113.7"), 1).await, [429]);
    assert_eq!(statuses(&router, &forwarded("203.0.113.10"), 1).await, [401]);
    // An IPv6 network of 64 bits counts as one client.
    assert!(exhausted(keyless("2001:db8::1")).await);
    assert_eq!(statuses(&router, &keyless("2001:db8::ffff:1"), 1).await, [429]);
    assert_eq!(statuses(&router, &keyless("2001:db8:0:1::1"), 1).await, [401]);
    // Unknown keys are limited by address too.
    show_unknown_keys_until_refused(&router).await;
    assert_eq!(
        statuses(&router, &unknown_key(UNKNOWN_KEYS + 1).from("203.0.113.11"), 1).await,
        [401]
    );
}

fn sign_up(from: &str) -> TestRequest {
    post("/api/v1/bootstrap", NEW_ACCOUNT).without_key().from(from)
}

#[tokio::test(start_paused = true)]
async fn a_signup_over_the_hourly_limit_of_its_address_is_429() {
    let router = limited(0, 3).router();
    let one = sign_up("203.0.113.7");
    assert_snapshot!(one.clone().of(&router).await.summary(), @r#"
    201 Created
    cache-control: no-store
    ratelimit-policy: "signups";q=3;w=3600
    ratelimit: "signups";r=2;t=1200

    {
      "account_id": 2,
      "actor_id": 1,
      "actor_name": "docs-agent",
      "actor_type": "agent",
      "api_key": "roots_2_secret",
      "key_prefix": "roots_2_sec",
      "credits": 100,
      "recovery_code": "00002-CODE",
      "warning": "Store the API key and the recovery code now: they are shown only this once. Anybody who has either of them can read everything in this account."
    }
    "#);
    // A rejected sign-up does not count.
    let faulty = post("/api/v1/bootstrap", "[]").without_key().from("203.0.113.7");
    assert_eq!(faulty.clone().of(&router).await.header("ratelimit"), "");
    assert_eq!(statuses(&router, &faulty, 20).await, [422; 20]);
    assert_eq!(statuses(&router, &one, 2).await, [201; 2]);
    assert_snapshot!(one.clone().of(&router).await.summary(), @r#"
    429 Too Many Requests
    cache-control: no-store
    ratelimit-policy: "signups";q=3;w=3600
    ratelimit: "signups";r=0;t=3600
    retry-after: 1200

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "The limit is 3 accounts an hour from one address. Try again in 1200 s. ROOTS_SIGNUPS_PER_HOUR raises it.",
      "request_id": "019d728c-2e80-7000-8000-00000000001f",
      "error": "The limit is 3 accounts an hour from one address. Try again in 1200 s. ROOTS_SIGNUPS_PER_HOUR raises it."
    }
    "#);
    assert_eq!(statuses(&router, &sign_up("203.0.113.8"), 1).await, [201]);
    advance(Duration::from_mins(20)).await;
    assert_eq!(statuses(&router, &one, 2).await, [201, 429]);
}

#[tokio::test(start_paused = true)]
async fn closed_signup_is_not_limited() {
    let mut api = limited(0, 1);
    api.signup = Signup::Closed;
    let router = api.router();
    assert_eq!(statuses(&router, &sign_up("203.0.113.7"), 3).await, [403; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_request_refused_by_one_limit_does_not_use_up_another() {
    let mut api = MockedApi::whole();
    let (requests_per_minute, recovers_per_hour) = (NonZeroU32::new(5), NonZeroU32::new(1));
    let signups_per_hour = NonZeroU32::new(1);
    api.settings.limits =
        RateLimits { requests_per_minute, recovers_per_hour, signups_per_hour, ..RateLimits::OFF };
    let router = api.router();
    let recover = post("/api/v1/recover", &recovery(UNKNOWN_CODE)).without_key();
    let erase = delete("/api/v1/accounts/me").json(&recovery(CODE));
    assert_eq!(statuses(&router, &recover, 1).await, [401]);
    assert_eq!(statuses(&router, &sign_up("0.0.0.0"), 1).await, [201]);
    for refused in [&recover, &sign_up("0.0.0.0"), &erase] {
        assert_eq!(statuses(&router, refused, 10).await, [429; 10]);
    }
    let unauthenticated = get("/nothing").without_key();
    assert_eq!(
        unauthenticated.of(&router).await.header("ratelimit"),
        r#""unauthenticated";r=57;t=3"#
    );
    assert_eq!(
        get("/api/v1/sessions/1").of(&router).await.header("ratelimit"),
        r#""actor";r=4;t=12"#
    );
}

fn recovery(code: &str) -> String {
    format!(r#"{{"recovery_code": "{code}"}}"#)
}

#[tokio::test(start_paused = true)]
async fn every_attempted_recovery_counts() {
    let mut api = MockedApi::whole();
    api.settings.limits = RateLimits { recovers_per_hour: NonZeroU32::new(2), ..RateLimits::OFF };
    let router = api.router();
    let attempt = post("/api/v1/recover", &recovery(UNKNOWN_CODE)).without_key();
    // A preflight is no attempt and does not count.
    assert_eq!(statuses(&router, &ask("OPTIONS", "/api/v1/recover"), 5).await, [204; 5]);
    assert_eq!(statuses(&router, &attempt, 2).await, [401; 2]);
    assert_snapshot!(attempt.clone().of(&router).await.summary(), @r#"
    429 Too Many Requests
    cache-control: no-store
    ratelimit-policy: "recoveries";q=2;w=3600
    ratelimit: "recoveries";r=0;t=3600
    retry-after: 1800

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "The limit is 2 recoveries an hour from one address. Try again in 1800 s. ROOTS_RECOVERS_PER_HOUR raises it.",
      "request_id": "019d728c-2e80-7000-8000-000000000008",
      "error": "The limit is 2 recoveries an hour from one address. Try again in 1800 s. ROOTS_RECOVERS_PER_HOUR raises it."
    }
    "#);
    advance(Duration::from_mins(30)).await;
    assert_eq!(statuses(&router, &attempt, 2).await, [401, 429]);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_with_a_good_key_counts_as_a_recovery_attempt() {
    let mut api = MockedApi::whole();
    let recovers_per_hour = NonZeroU32::new(2);
    api.settings.limits = RateLimits { recovers_per_hour, ..RateLimits::OFF };
    let router = api.router();
    let erase = |code| delete("/api/v1/accounts/me").json(&recovery(code));
    // Requests that fail authentication do not count as attempts.
    for unauthenticated in [erase(CODE).without_key(), with_wrong_key_instead(erase(CODE))] {
        assert_eq!(statuses(&router, &unauthenticated, 5).await, [401; 5]);
    }
    assert_eq!(statuses(&router, &erase(UNKNOWN_CODE), 2).await, [200; 2]);
    assert_eq!(statuses(&router, &erase(CODE), 1).await, [429]);
}

fn with_wrong_key_instead(ask: TestRequest) -> TestRequest {
    ask.without_key().header("x-api-key", UNKNOWN_KEY)
}

#[tokio::test(start_paused = true)]
async fn without_limits_answers_carry_no_ratelimit_headers() {
    let router = MockedApi::whole().router();
    let answers = [get("/api/v1/sessions/1"), with_wrong_key(), sign_up("203.0.113.7")];
    for ask in answers {
        let answer: TestResponse = ask.of(&router).await;
        assert_eq!(answer.header("ratelimit"), "");
        assert_eq!(answer.header("ratelimit-policy"), "");
    }
}
