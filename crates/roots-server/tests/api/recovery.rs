//! Recovering an account with its recovery code: no text is lost, and ended keys and codes are
//! refused.

use std::num::NonZeroU32;

use reqwest::Method;
use roots_http_core::auth::rate_limit::RateLimits;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::database::TestDatabase;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::client::{assert_ledger_matches, faulty};
use crate::keys::{Holder, member, owner, secret, texts_of};

roots_testkit::on_both! {
    a_recovery_loses_nothing_and_ends_the_owners_keys,
    a_lost_answer_to_a_recovery_locks_nobody_out,
    a_renewed_account_is_recovered_by_its_new_code,
    the_code_of_an_unused_renewal_puts_it_in_force,
    a_code_outlasts_the_key_that_it_came_with,
    every_wrong_code_is_the_same_401,
    a_new_code_ends_the_old_at_once,
    recovery_costs_nothing_and_works_for_a_suspended_account,
    racing_recoveries_leave_one_key,
    a_key_epoch_set_back_in_the_database_is_500_and_writes_nothing,
    recoveries_are_limited_by_address,
}

async fn recover(app: &TestApp, body: &Value) -> ApiResponse {
    let request =
        app.unauthenticated(Method::POST, "/api/v1/recover").header("X-Request-Id", "a-test");
    send(request.json(body)).await
}

async fn recover_by(app: &TestApp, code: &str) -> ApiResponse {
    recover(app, &json!({ "recovery_code": code })).await
}

/// The recovery code that the account was created with.
fn first_code(app: &TestApp) -> String {
    app.credentials.recovery_code.expose_secret().to_owned()
}

fn code(made: &Value) -> String {
    made["recovery_code"].as_str().unwrap().to_owned()
}

fn holder<'a>(app: &'a TestApp, made: &Value) -> Holder<'a> {
    Holder { app, key: secret(made) }
}

async fn count(app: &TestApp, what: &str) -> i64 {
    app.database.rows::<(i64,)>(&format!("SELECT COUNT(*) FROM {what}")).await[0].0
}

const OWNERS_WRAPS: &str = "key_wraps WHERE holder_kind IN ('api_key', 'recovery')";

async fn a_recovery_loses_nothing_and_ends_the_owners_keys(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let other = app.another().await;
    let boss = owner(&app);
    let peer = member(&app).await;
    let text = "before \u{1f980} \u{e9}\r\n";
    boss.write(text).await;
    peer.write(text).await;
    let second = boss.post("/keys", json!({ "actor_id": 1 })).await.expect(201);
    let rotated = boss.post("/keys/rotate", json!({})).await.expect(201);
    let second_there = holder(&other, &second);
    second_there.post("/sessions", json!({ "notes": "there notes" })).await.expect(201);
    let boss_there = Holder { app: &other, key: boss.key.clone() };
    assert!(boss_there.is_admitted().await);

    let answer = recover_by(&app, &first_code(&app)).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-credits-cost"), None);
    let made = answer.expect(201);
    assert_eq!(json!([made["account_id"], made["actor_id"], made["key_id"]]), json!([1, 1, 5]),);
    assert!(secret(&made).starts_with(made["key_prefix"].as_str().unwrap()));
    // The owner's keys end at once. Another process that has a key in its cache refuses its first
    // write.
    assert!(!boss.is_admitted().await && !holder(&app, &rotated).is_admitted().await);
    for ended in [&boss_there, &second_there] {
        assert_eq!(ended.post("/sessions", json!({})).await.status, 401);
        assert_eq!(ended.get("/sessions").await.status, 401);
    }
    assert_eq!(peer.read().await, texts_of(&[text]), "a member's key and data are untouched");
    peer.write("meanwhile").await;

    let next = holder(&app, &made);
    let read = next.read().await;
    assert!(texts_of(&[text]).iter().all(|text| read.contains(text)));
    assert!(read.contains(&"there notes".to_owned()));
    assert_eq!(recover_by(&app, &first_code(&app)).await.status, 401, "the code is used");
    assert_eq!(count(&app, "recovery_codes").await, 1);
    // Two wraps of the owner's key, one of its code and one of the member's key.
    assert_eq!(count(&app, OWNERS_WRAPS).await, 4);
    // The owner reads the rows of the member, and renews its key.
    let theirs = next.get("/sessions?actor_id=2&limit=100").await.expect(200);
    assert_eq!(theirs["total"], 2);
    let made = next.post("/keys", json!({ "actor_id": 2, "renew": true })).await.expect(201);
    assert_eq!(holder(&app, &made).read().await, texts_of(&[text, "meanwhile"]));
    let audit_log = next.get("/audit").await.expect(200);
    let entries = audit_log["entries"].as_array().unwrap();
    for action in ["recovery_used", "key_succeeded"] {
        let noted = entries.iter().filter(|entry| entry["action"] == action).count();
        assert_eq!(noted, 1, "{action}: {audit_log}");
    }
    assert_ledger_matches(&app).await;
}

async fn a_lost_answer_to_a_recovery_locks_nobody_out(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let boss = owner(&app);
    let peer = member(&app).await;
    boss.write("before").await;
    peer.write("before").await;
    let lost = recover_by(&app, &first_code(&app)).await.expect(201);
    let wraps = count(&app, OWNERS_WRAPS).await;
    assert!(!boss.is_admitted().await);
    let again = recover_by(&app, &first_code(&app)).await.expect(201);
    assert_eq!(
        count(&app, OWNERS_WRAPS).await,
        wraps,
        "the wraps of the first recovery are deleted"
    );
    assert_eq!(count(&app, "recovery_codes").await, 2);
    assert!(!holder(&app, &lost).is_admitted().await);
    assert_eq!(recover_by(&app, &code(&lost)).await.status, 401);
    let next = holder(&app, &again);
    assert_eq!(next.read().await, texts_of(&["before"]));
    assert_eq!(peer.read().await, texts_of(&["before"]));
    assert_eq!(recover_by(&app, &first_code(&app)).await.status, 401);
    next.write("after").await;
    // Recovery with the code of an unused recovery ends the recovery before that one too.
    let unused = recover_by(&app, &code(&again)).await.expect(201);
    let latest = recover_by(&app, &code(&unused)).await.expect(201);
    assert_eq!(recover_by(&app, &code(&again)).await.status, 401);
    assert!(!holder(&app, &unused).is_admitted().await && !next.is_admitted().await);
    assert_eq!(holder(&app, &latest).read().await, texts_of(&["before", "after"]));
    assert_eq!(count(&app, "recovery_codes").await, 1);
    assert_ledger_matches(&app).await;
}

async fn a_renewed_account_is_recovered_by_its_new_code(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let mut boss = owner(&app);
    let mut peer = member(&app).await;
    let mut written = vec!["first"];
    boss.write(written[0]).await;
    peer.write(written[0]).await;
    for text in ["renewed", "renewed again"] {
        let renew = json!({ "actor_id": 1, "renew": true });
        let renewed = boss.post("/keys", renew).await.expect(201);
        boss.key = secret(&renewed);
        boss.write(text).await;
        let renew = json!({ "actor_id": 2, "renew": true });
        peer.key = secret(&boss.post("/keys", renew).await.expect(201));
        peer.write(text).await;
        written.push(text);
        let recovered = recover_by(&app, &code(&renewed)).await.expect(201);
        boss.key = secret(&recovered);
        assert_eq!(boss.read().await, texts_of(&written));
        assert_eq!(peer.read().await, texts_of(&written));
        peer.key = secret(&boss.post("/keys", json!({ "actor_id": 2 })).await.expect(201));
        assert_eq!(peer.read().await, texts_of(&written));
    }
    assert_eq!(recover_by(&app, &first_code(&app)).await.status, 401);
    assert_ledger_matches(&app).await;
}

async fn the_code_of_an_unused_renewal_puts_it_in_force(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let boss = owner(&app);
    boss.write("before").await;
    let renew = json!({ "actor_id": 1, "renew": true });
    let renewed = boss.post("/keys", renew.clone()).await.expect(201);
    boss.write("meanwhile").await;
    let recovered = recover_by(&app, &code(&renewed)).await.expect(201);
    assert!(!boss.is_admitted().await && !holder(&app, &renewed).is_admitted().await);
    assert_eq!(recover_by(&app, &first_code(&app)).await.status, 401);
    let next = holder(&app, &recovered);
    assert_eq!(next.read().await, texts_of(&["before", "meanwhile"]));
    let epochs: Vec<(i64, i64)> = app
        .database
        .rows("SELECT a.key_epoch, o.key_epoch FROM accounts a, actors o WHERE o.actor_id = 1")
        .await;
    assert_eq!(epochs, [(2, 2)]);
    // The code from before an unused renewal discards the renewal.
    next.write("after").await;
    let renewed = next.post("/keys", renew).await.expect(201);
    let recovered = recover_by(&app, &code(&recovered)).await.expect(201);
    assert_eq!(recover_by(&app, &code(&renewed)).await.status, 401);
    let last = holder(&app, &recovered);
    assert_eq!(last.read().await, texts_of(&["before", "meanwhile", "after"]));
    assert_ledger_matches(&app).await;
}

async fn a_code_outlasts_the_key_that_it_came_with(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let boss = owner(&app);
    boss.write("before").await;
    let soon = app.context.clock_in(60);
    let renew = json!({ "actor_id": 1, "renew": true, "expires_at": soon });
    let renewed = boss.post("/keys", renew).await.expect(201);
    app.context.clock.advance_seconds(60);
    app.context.key_usage.maintain().await.unwrap();
    assert!(!holder(&app, &renewed).is_admitted().await);
    let key = renewed["key_id"].to_string();
    let held = format!("key_wraps WHERE holder_kind = 'api_key' AND holder_id = {key}");
    assert_eq!(count(&app, &held).await, 0, "the wraps of the expired key are deleted");
    boss.write("meanwhile").await;

    let recovered = recover_by(&app, &code(&renewed)).await.expect(201);
    assert!(!boss.is_admitted().await);
    let next = holder(&app, &recovered);
    assert_eq!(next.read().await, texts_of(&["before", "meanwhile"]));
    assert_eq!(recover_by(&app, &first_code(&app)).await.status, 401);
    assert_ledger_matches(&app).await;
}

async fn every_wrong_code_is_the_same_401(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let good = first_code(&app);
    let strange = app.context.found(0).await;
    let mut typo = good.clone();
    let last = typo.pop().unwrap();
    typo.push(if last == 'A' { 'B' } else { 'A' });
    let refused = recover_by(&app, "no code").await;
    assert_eq!(refused.expect(401)["type"], "/docs/problems#invalid-recovery-code");
    for body in [
        json!({ "recovery_code": typo }),
        json!({ "recovery_code": "" }),
        json!({ "recovery_code": "\u{1f980}".repeat(1_000) }),
        json!({ "recovery_code": app.key() }),
        json!({ "recovery_code": good, "account_id": strange.account.0 }),
        json!({ "recovery_code": good, "account_id": 99 }),
        json!({ "recovery_code": strange.recovery_code.expose_secret(), "account_id": 1 }),
    ] {
        let answer = recover(&app, &body).await;
        assert_eq!((answer.status, &answer.text), (401, &refused.text), "{body}");
    }
    for (body, fields) in [
        (json!({}), &["recovery_code"][..]),
        (json!({ "recovery_code": null }), &["recovery_code"]),
        (json!({ "recovery_code": 7, "account_id": "1" }), &["recovery_code", "account_id"]),
        (json!({ "recovery_code": good, "account_id": 0 }), &["account_id"]),
        (json!({ "recovery_code": good, "code": 1 }), &["code"]),
    ] {
        let answer = recover(&app, &body).await;
        assert!(!answer.text.contains(&good[5..]), "an answer shows no code");
        assert_eq!(faulty(&answer.expect(422)), fields, "{body}");
    }
    // The refused recoveries ended neither a key nor the code.
    assert!(owner(&app).is_admitted().await);
    let agreeing = json!({ "recovery_code": good, "account_id": 1 });
    recover(&app, &agreeing).await.expect(201);
}

async fn a_new_code_ends_the_old_at_once(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let boss = owner(&app);
    let peer = member(&app).await;
    boss.write("before").await;
    let refused = peer.call(Method::POST, "/recovery-code", None).await;
    assert_eq!(refused.expect(403)["type"], "/docs/problems#owner-only");
    let answer = boss.call(Method::POST, "/recovery-code", None).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let made = answer.expect(201);
    assert_eq!(made["account_id"], 1);
    assert!(boss.is_admitted().await);
    assert_eq!(recover_by(&app, &first_code(&app)).await.status, 401);
    assert_eq!(count(&app, "recovery_codes").await, 1);
    assert_eq!(count(&app, "key_wraps WHERE holder_kind = 'recovery'").await, 1);
    let recovered = recover_by(&app, &code(&made)).await.expect(201);
    assert_eq!(holder(&app, &recovered).read().await, texts_of(&["before"]));
    assert_eq!(recover_by(&app, &code(&made)).await.status, 401);
    assert_ledger_matches(&app).await;
}

async fn recovery_costs_nothing_and_works_for_a_suspended_account(database: TestDatabase) {
    let app = TestApp::start(database, 0).await;
    let boss = owner(&app);
    let made = boss.call(Method::POST, "/recovery-code", None).await.expect(201);
    let suspend = "UPDATE accounts SET status = 'suspended', auth_epoch = auth_epoch + 1";
    app.database.execute(suspend).await;
    let refused = boss.call(Method::POST, "/recovery-code", None).await;
    assert_eq!(refused.expect(403)["type"], "/docs/problems#account-suspended");
    let recovered = recover_by(&app, &code(&made)).await.expect(201);
    let next = holder(&app, &recovered);
    assert!(next.is_admitted().await);
    assert_eq!(next.post("/sessions", json!({})).await.status, 403);
    assert_eq!(next.get("/credits/ledger").await.expect(200)["total"], 0);
}

async fn racing_recoveries_leave_one_key(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let other = app.another().await;
    owner(&app).write("before").await;
    let code = first_code(&app);
    let (a, b, c, d) = tokio::join!(
        recover_by(&app, &code),
        recover_by(&other, &code),
        recover_by(&app, &code),
        recover_by(&other, &code)
    );
    let mut good = Vec::new();
    for answer in [a, b, c, d] {
        let made = answer.expect(201);
        if holder(&app, &made).is_admitted().await {
            good.push(made);
        }
    }
    assert_eq!(good.len(), 1);
    assert_eq!(holder(&other, &good[0]).read().await, texts_of(&["before"]));
    assert_eq!(recover_by(&other, &code).await.status, 401);
    assert_ledger_matches(&app).await;
}

async fn recoveries_are_limited_by_address(database: TestDatabase) {
    let app = TestApp::start_with(database, 10, |settings| {
        settings.limits = RateLimits { recovers_per_hour: NonZeroU32::new(2), ..RateLimits::OFF };
    })
    .await;
    let answer = recover_by(&app, "wrong").await;
    assert!(answer.header("ratelimit").unwrap().contains("r=1;"));
    assert_eq!(answer.status, 401);
    recover_by(&app, &first_code(&app)).await.expect(201);
    let refused = recover_by(&app, &first_code(&app)).await;
    assert_eq!(refused.expect(429)["type"], "/docs/problems#too-many-requests");
    assert!(refused.header("retry-after").is_some());
}

async fn a_key_epoch_set_back_in_the_database_is_500_and_writes_nothing(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let boss = owner(&app);
    let peer = member(&app).await;
    peer.write("before").await;
    let renewed = boss.post("/keys", json!({ "actor_id": 1, "renew": true })).await.expect(201);
    let boss = holder(&app, &renewed);
    let theirs = boss.post("/keys", json!({ "actor_id": 2, "renew": true })).await.expect(201);
    let peer = holder(&app, &theirs);
    peer.write("after").await;
    let code = code(&renewed);
    let made = async || {
        let counted = ["sessions", "api_keys", "recovery_codes", "key_wraps"];
        let mut found = Vec::new();
        for what in counted {
            found.push(count(&app, what).await);
        }
        found
    };
    let before = made().await;
    let fresh = async || app.another().await;

    for (back, forth) in [
        ("accounts SET key_epoch = 1", "accounts SET key_epoch = 2"),
        (
            "actors SET key_epoch = 1 WHERE actor_id = 1",
            "actors SET key_epoch = 2 WHERE actor_id = 1",
        ),
    ] {
        app.database.execute(&format!("UPDATE {back}")).await;
        let answer = recover_by(&app, &code).await;
        assert_eq!(answer.status, 500, "{back}: {}", answer.text);
        let there = fresh().await;
        let boss = Holder { app: &there, key: boss.key.clone() };
        assert_eq!(boss.get("/sessions").await.status, 500, "{back}");
        app.database.execute(&format!("UPDATE {forth}")).await;
    }

    app.database.execute("UPDATE actors SET key_epoch = 1 WHERE actor_id = 2").await;
    let there = fresh().await;
    let own = Holder { app: &there, key: peer.key.clone() };
    assert_eq!(own.get("/sessions").await.status, 500);
    let boss_there = Holder { app: &there, key: boss.key.clone() };
    for (path, body) in [
        ("/sessions", json!({ "actor_id": 2, "notes": "for it" })),
        ("/keys", json!({ "actor_id": 2 })),
        ("/keys", json!({ "actor_id": 2, "renew": true })),
    ] {
        let answer = boss_there.post(path, body.clone()).await;
        assert_eq!(answer.status, 500, "{path} {body}: {}", answer.text);
    }
    assert_eq!(boss_there.get("/sessions?actor_id=2").await.status, 500);
    app.database.execute("UPDATE actors SET key_epoch = 2 WHERE actor_id = 2").await;

    assert_eq!(made().await, before);
    assert_eq!(peer.read().await, texts_of(&["before", "after"]));
    recover_by(&app, &code).await.expect(201);
}
