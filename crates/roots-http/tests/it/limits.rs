//! How often may be asked, and what is said of it. Time stands still until it is moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use insta::assert_snapshot;
use roots_domain::model::id::KeyId;
use roots_domain::model::key::{LookupHash, Succession};
use roots_domain::model::unit::{Applied, Refusal, UnitOfWork};
use roots_domain::port::store::{ApplyError, UnitStore};
use roots_http::{RateLimits, Signup, TrustedProxy};
use tokio::sync::{Barrier, Notify};
use tokio::time::advance;

use crate::world::{
    ANOTHERS, Answer, Ask, CODE, NEW_ACCOUNT, UNKNOWN_CODE, UNKNOWN_KEY, World, applied, ask,
    credentials, delete, get, post,
};

/// How many requests without a key one address may make a minute.
const STRANGERS: usize = 60;
/// How many wrong keys one address may show a minute.
const GUESSES: u8 = 60;

fn limited(requests_per_minute: u32, signups_per_hour: u32) -> World {
    let mut world = World::whole();
    world.settings.limits = RateLimits { requests_per_minute, signups_per_hour, ..RateLimits::OFF };
    world
}

async fn statuses(router: &Router, ask: &Ask, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(ask.clone().of(router).await.status.as_u16());
    }
    statuses
}

#[tokio::test(start_paused = true)]
async fn a_key_has_so_many_requests_a_minute() {
    let router = limited(2, 0).router();
    let read = get("/api/v1/sessions/1");
    assert_snapshot!("a_request_within_the_limit", read.clone().of(&router).await.told());
    // What fails counts as well.
    assert_eq!(
        post("/api/v1/sessions", "[]").of(&router).await.header("ratelimit"),
        r#""key";r=0;t=60"#
    );
    assert_snapshot!("a_request_beyond_the_limit", read.clone().of(&router).await.told());
    advance(Duration::from_millis(29_001)).await;
    let soon = read.clone().of(&router).await;
    assert_eq!((soon.status.as_u16(), soon.header("retry-after")), (429, "1"));
    advance(Duration::from_millis(999)).await;
    assert_eq!(statuses(&router, &read, 2).await, [200, 429]);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_goes_on_where_the_one_before_it_stood() {
    let mut world = limited(4, 0);
    world.accounts.checkpoint();
    world.accounts.expect_credentials().returning(|lookup| {
        let mut found = credentials(lookup);
        if let (LookupHash([3, ..]), Some(found)) = (lookup.hash, &mut found) {
            let succession = Succession::Rotation { replaces: KeyId(1), grace_seconds: 60 };
            found.key.succession = Some(succession);
            found.key.first_used_at = Some(found.key.created_at);
        }
        Ok(found)
    });
    let router = world.router();
    let old = get("/api/v1/sessions/1");
    // The member's key stands for the one that the other was rotated to.
    let new = old.clone().by_the_member();
    assert_eq!(statuses(&router, &old, 2).await, [200; 2]);
    assert_eq!(new.clone().of(&router).await.header("ratelimit"), r#""key";r=1;t=45"#);
    assert_eq!(statuses(&router, &old, 1).await, [200]);
    assert_eq!(statuses(&router, &new, 1).await, [429]);
    assert_eq!(statuses(&router, &old, 1).await, [429]);
}

/// A store that applies nothing until it is let.
#[derive(Default)]
struct Held {
    has_begun: Notify,
    may_go_on: Notify,
}

#[async_trait]
impl UnitStore for Held {
    async fn apply(&self, unit: UnitOfWork) -> Result<Applied, ApplyError> {
        self.has_begun.notify_one();
        self.may_go_on.notified().await;
        Ok(applied(unit))
    }
}

/// Has every good key be one that was never used: its first use is noted, which takes its time.
fn unseen(world: &mut World) {
    world.accounts.checkpoint();
    world.accounts.expect_credentials().returning(|lookup| {
        let mut found = credentials(lookup);
        if let Some(found) = &mut found {
            found.key.succession = Some(Succession::Recovery);
        }
        Ok(found)
    });
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_while_a_good_key_is_let_in_does_not_count_as_wrong() {
    let mut world = limited(1_000, 0);
    unseen(&mut world);
    let held = Arc::new(Held::default());
    world.store = Some(held.clone());
    let router = world.router();
    tokio::select! {
        _ = get("/api/v1/sessions/1").of(&router) => unreachable!("it was answered"),
        () = held.has_begun.notified() => {}
    }
    // As long as it is not known whether the key is good, it counts.
    assert_eq!(guess(1).of(&router).await.header("ratelimit"), r#""guesses";r=58;t=2"#);
    held.may_go_on.notify_one();
    tokio::task::yield_now().await;
    assert_eq!(guess(2).of(&router).await.header("ratelimit"), r#""guesses";r=58;t=2"#);
}

/// A store that refuses two units once it is asked for both.
struct Together(Barrier);

#[async_trait]
impl UnitStore for Together {
    async fn apply(&self, _: UnitOfWork) -> Result<Applied, ApplyError> {
        self.0.wait().await;
        Err(ApplyError::Refused(Refusal::KeyNotInForce))
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_is_one_guess_however_many_show_it_at_once() {
    let mut world = limited(1_000, 0);
    unseen(&mut world);
    world.store = Some(Arc::new(Together(Barrier::new(2))));
    let router = world.router();
    let ask = || get("/api/v1/sessions/1").of(&router);
    let (one, other) = tokio::join!(ask(), ask());
    assert_eq!([one.status.as_u16(), other.status.as_u16()], [401; 2]);
    let mut told = [one.header("ratelimit"), other.header("ratelimit")];
    told.sort_unstable();
    assert_eq!(told, [r#""guesses";r=58;t=2"#, r#""strangers";r=59;t=1"#]);
    assert_eq!(guess(1).of(&router).await.header("ratelimit"), r#""guesses";r=58;t=2"#);
}

#[tokio::test(start_paused = true)]
async fn every_answer_to_a_key_tells_its_limit() {
    let router = limited(1_000, 0).router();
    let document = serde_json::to_value(roots_http::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().leak();
            let answer = ask(method, &path.replace("{id}", "1")).of(&router).await;
            let policy = answer.header("ratelimit-policy");
            if operation.get("security").is_none() {
                assert_eq!(policy, r#""key";q=1000;w=60"#, "{method} {path}");
                assert!(answer.header("ratelimit").starts_with(r#""key";r=9"#));
            } else {
                assert_eq!(policy, "", "{method} {path}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_key_is_not_limited() {
    let router = limited(1, 1).router();
    for path in ["/health", "/ready", "/docs/problems", "/docs/", "/api/v1/openapi.json"] {
        assert_eq!(statuses(&router, &get(path).without_key(), 5).await, [200; 5], "{path}");
    }
}

/// A world that counts how often a key is looked up.
fn counting_lookups() -> (World, Arc<AtomicUsize>) {
    let mut world = limited(1_000, 0);
    let lookups = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&lookups);
    world.accounts.checkpoint();
    world.accounts.expect_credentials().returning(move |lookup| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(credentials(lookup))
    });
    (world, lookups)
}

fn with_wrong_key() -> Ask {
    with_wrong_key_instead(get("/api/v1/sessions/1"))
}

/// One of many wrong keys.
fn guess(count: u8) -> Ask {
    get("/api/v1/sessions/1").without_key().header("x-api-key", &format!("{UNKNOWN_KEY}{count}"))
}

/// Uses up an address' guesses.
async fn guess_until_refused(router: &Router) {
    for count in 0..GUESSES {
        assert_eq!(statuses(router, &guess(count), 1).await, [401]);
    }
    assert_eq!(statuses(router, &guess(GUESSES), 1).await, [429]);
}

/// Uses up what an address may ask without a key.
async fn ask_without_key_until_refused(router: &Router) {
    let keyless = get("/api/v1/sessions/1").without_key();
    assert_eq!(statuses(router, &keyless, STRANGERS).await, [401; STRANGERS]);
    assert_eq!(statuses(router, &keyless, 10).await, [429; 10]);
}

#[tokio::test(start_paused = true)]
async fn wrong_keys_are_limited_before_they_are_looked_up() {
    let (world, lookups) = counting_lookups();
    let router = world.router();
    assert_snapshot!("a_wrong_key_within_the_limit", guess(0).of(&router).await.told());
    for count in 1..GUESSES {
        assert_eq!(statuses(&router, &guess(count), 1).await, [401]);
    }
    assert_snapshot!("a_wrong_key_beyond_the_limit", guess(GUESSES).of(&router).await.told());
    for count in GUESSES..2 * GUESSES {
        assert_eq!(statuses(&router, &guess(count), 1).await, [429]);
    }
    assert_eq!(lookups.load(Ordering::SeqCst), usize::from(GUESSES));
    // What needs no look-up is told apart.
    let malformed = get("/api/v1/sessions/1").without_key().header("x-api-key", "roots_1_typo");
    let missing = get("/api/v1/sessions/1").without_key();
    for no_guess in [malformed, missing, guess(0)] {
        assert_eq!(statuses(&router, &no_guess, 2).await, [401; 2]);
    }
    // A key that was not seen here before has to wait with them; the next one a second brings.
    let good = get("/api/v1/sessions/1");
    assert_eq!(statuses(&router, &good, 1).await, [429]);
    advance(Duration::from_secs(1)).await;
    assert_eq!(statuses(&router, &good, 3).await, [200; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_not_seen_is_let_in_beside_many_requests_without_one() {
    let (world, _) = counting_lookups();
    let router = world.router();
    ask_without_key_until_refused(&router).await;
    let keyless = get("/api/v1/sessions/1").without_key();
    assert_snapshot!("no_key_beyond_the_limit", keyless.clone().of(&router).await.told());
    let malformed = keyless.header("x-api-key", "roots_1_typo");
    assert_eq!(statuses(&router, &malformed, 2).await, [429; 2]);
    assert_eq!(statuses(&router, &get("/api/v1/sessions/1"), 2).await, [200; 2]);
    // Nor does a new wrong one count with them.
    assert_eq!(guess(0).of(&router).await.header("ratelimit"), r#""guesses";r=59;t=1"#);
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_on_asking_with_a_wrong_key_uses_up_one_guess() {
    let (world, lookups) = counting_lookups();
    let router = world.router();
    let wrong = with_wrong_key();
    assert_eq!(statuses(&router, &wrong, STRANGERS + 1).await, [401; STRANGERS + 1]);
    assert_eq!(statuses(&router, &wrong, 100).await, [429; 100]);
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    let members = get(&format!("/api/v1/sessions/{ANOTHERS}")).by_the_member();
    for unseen in [get("/api/v1/sessions/1"), members] {
        assert_eq!(statuses(&router, &unseen, 2).await, [200; 2]);
    }
    assert_eq!(guess(0).of(&router).await.header("ratelimit"), r#""guesses";r=58;t=2"#);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_is_looked_up_at_most_once_in_five_seconds_and_within_the_limit() {
    let (world, lookups) = counting_lookups();
    let router = world.router();
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
async fn a_wrong_key_that_is_good_after_all_is_let_in_five_seconds_later() {
    let mut world = limited(1_000, 0);
    let is_good = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_good);
    world.accounts.checkpoint();
    world
        .accounts
        .expect_credentials()
        .returning(move |lookup| Ok(credentials(lookup).filter(|_| told.load(Ordering::SeqCst))));
    let router = world.router();
    let ask = get("/api/v1/sessions/1");
    assert_eq!(statuses(&router, &ask, 2).await, [401; 2]);
    for count in 1..GUESSES {
        assert_eq!(statuses(&router, &guess(count), 1).await, [401]);
    }
    is_good.store(true, Ordering::SeqCst);
    advance(Duration::from_millis(4_999)).await;
    assert_eq!(statuses(&router, &ask, 1).await, [401]);
    advance(Duration::from_millis(1)).await;
    // It counts neither as a guess, of which there were none left five seconds ago, nor as a stranger,
    // as it did a moment before.
    assert_eq!(statuses(&router, &ask, 3).await, [200; 3]);
    assert_eq!(guess(GUESSES).of(&router).await.header("ratelimit"), r#""guesses";r=4;t=56"#);
    let keyless = get("/api/v1/sessions/1").without_key();
    assert_eq!(keyless.of(&router).await.header("ratelimit"), r#""strangers";r=58;t=2"#);
}

#[tokio::test(start_paused = true)]
async fn a_good_key_is_not_counted_as_wrong_nor_held_up_by_wrong_ones() {
    let (world, _) = counting_lookups();
    let router = world.router();
    let good = get("/api/v1/sessions/1");
    assert_eq!(statuses(&router, &good, 2).await, [200; 2]);
    guess_until_refused(&router).await;
    ask_without_key_until_refused(&router).await;
    assert_eq!(statuses(&router, &good, 2).await, [200; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_write_was_refused_is_looked_up_again_whoever_guesses_beside_it() {
    let (mut world, lookups) = counting_lookups();
    world.units.checkpoint();
    let refusal = || Err(ApplyError::Refused(Refusal::KeyNotInForce));
    world.units.expect_apply().returning(move |_| refusal());
    let router = world.router();
    assert_eq!(statuses(&router, &post("/api/v1/sessions", "{}"), 1).await, [401]);
    guess_until_refused(&router).await;
    let before = lookups.load(Ordering::SeqCst);
    assert_eq!(statuses(&router, &get("/api/v1/sessions/1"), 2).await, [200; 2]);
    assert_eq!(lookups.load(Ordering::SeqCst), before + 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_has_limits_of_its_own() {
    let (mut world, _) = counting_lookups();
    world.settings.trusted_proxies = vec![TrustedProxy::parse("10.0.0.0/8").unwrap()];
    let router = world.router();
    let keyless = |from: &str| get("/api/v1/sessions/1").without_key().from(from);
    let exhausted = async |ask: Ask| {
        statuses(&router, &ask, STRANGERS + 1).await[STRANGERS - 1..] == [401, 429]
    };
    assert!(exhausted(keyless("203.0.113.7")).await);
    assert!(exhausted(keyless("203.0.113.8")).await);
    // A name that a stranger gives itself is nobody's.
    let named = keyless("203.0.113.7").header("x-forwarded-for", "203.0.113.9");
    assert_eq!(statuses(&router, &named, 1).await, [429]);
    // A trusted proxy's word is taken.
    let told = |told: &str| keyless("10.0.0.1").header("x-forwarded-for", told);
    assert!(exhausted(told("203.0.113.9")).await);
    assert_eq!(statuses(&router, &told("198.51.100.1, 203.0.113.7"), 1).await, [429]);
    assert_eq!(statuses(&router, &told("203.0.113.10"), 1).await, [401]);
    // Of IPv6, a network of 64 bits is one client.
    assert!(exhausted(keyless("2001:db8::1")).await);
    assert_eq!(statuses(&router, &keyless("2001:db8::ffff:1"), 1).await, [429]);
    assert_eq!(statuses(&router, &keyless("2001:db8:0:1::1"), 1).await, [401]);
    // And so it is with guesses.
    guess_until_refused(&router).await;
    assert_eq!(statuses(&router, &guess(GUESSES + 1).from("203.0.113.11"), 1).await, [401]);
}

fn sign_up(from: &str) -> Ask {
    post("/api/v1/bootstrap", NEW_ACCOUNT).without_key().from(from)
}

#[tokio::test(start_paused = true)]
async fn an_address_makes_so_many_accounts_an_hour() {
    let router = limited(0, 3).router();
    let one = sign_up("203.0.113.7");
    assert_snapshot!("a_signup_within_the_limit", one.clone().of(&router).await.told());
    // What made no account does not count.
    let faulty = post("/api/v1/bootstrap", "[]").without_key().from("203.0.113.7");
    assert_eq!(faulty.clone().of(&router).await.header("ratelimit"), r#""signups";r=2;t=1200"#);
    assert_eq!(statuses(&router, &faulty, 20).await, [422; 20]);
    assert_eq!(statuses(&router, &one, 2).await, [201; 2]);
    assert_snapshot!("a_signup_beyond_the_limit", one.clone().of(&router).await.told());
    assert_eq!(statuses(&router, &sign_up("203.0.113.8"), 1).await, [201]);
    advance(Duration::from_mins(20)).await;
    assert_eq!(statuses(&router, &one, 2).await, [201, 429]);
}

#[tokio::test(start_paused = true)]
async fn closed_signup_is_not_limited() {
    let mut world = limited(0, 1);
    world.settings.signup = Signup::Closed;
    let router = world.router();
    assert_eq!(statuses(&router, &sign_up("203.0.113.7"), 3).await, [403; 3]);
}

fn recovery(code: &str) -> String {
    format!(r#"{{"recovery_code": "{code}"}}"#)
}

#[tokio::test(start_paused = true)]
async fn every_recovery_that_is_tried_counts() {
    let mut world = World::whole();
    world.settings.limits = RateLimits { recovers_per_hour: 2, ..RateLimits::OFF };
    let router = world.router();
    let attempt = post("/api/v1/recover", &recovery(UNKNOWN_CODE)).without_key();
    // What is no attempt does not count.
    assert_eq!(statuses(&router, &ask("OPTIONS", "/api/v1/recover"), 5).await, [204; 5]);
    assert_eq!(statuses(&router, &attempt, 2).await, [401; 2]);
    assert_snapshot!("a_recovery_beyond_the_limit", attempt.clone().of(&router).await.told());
    advance(Duration::from_mins(30)).await;
    assert_eq!(statuses(&router, &attempt, 2).await, [401, 429]);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_counts_as_an_attempt_once_its_key_is_known_to_be_good() {
    let mut world = World::whole();
    let recovers_per_hour = 2;
    world.settings.limits = RateLimits { recovers_per_hour, ..RateLimits::OFF };
    let router = world.router();
    let erase = |code| delete("/api/v1/accounts/me").json(&recovery(code));
    // Strangers use up nobody's attempts.
    for stranger in [erase(CODE).without_key(), with_wrong_key_instead(erase(CODE))] {
        assert_eq!(statuses(&router, &stranger, 5).await, [401; 5]);
    }
    assert_eq!(statuses(&router, &erase(UNKNOWN_CODE), 2).await, [200; 2]);
    assert_eq!(statuses(&router, &erase(CODE), 1).await, [429]);
}

fn with_wrong_key_instead(ask: Ask) -> Ask {
    ask.without_key().header("x-api-key", UNKNOWN_KEY)
}

#[tokio::test(start_paused = true)]
async fn without_limits_nothing_is_said_of_them() {
    let router = World::whole().router();
    let answers = [get("/api/v1/sessions/1"), with_wrong_key(), sign_up("203.0.113.7")];
    for ask in answers {
        let answer: Answer = ask.of(&router).await;
        assert_eq!(answer.header("ratelimit"), "");
        assert_eq!(answer.header("ratelimit-policy"), "");
    }
}
