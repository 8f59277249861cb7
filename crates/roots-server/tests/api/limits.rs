//! Rate limits and the limits of actors and keys.

use std::num::NonZeroU32;

use reqwest::Method;
use roots_http_core::auth::client_ip::TrustedProxy;
use roots_http_core::auth::rate_limit::RateLimits;
use roots_testkit::app::{TestApp, send};
use roots_testkit::database::TestDatabase;
use roots_testkit::on_both;
use serde_json::json;

on_both! {
    a_write_beyond_the_limit_is_neither_done_nor_charged,
    signups_are_limited_by_the_address_that_a_trusted_proxy_names,
    invalid_keys_of_an_address_do_not_limit_its_valid_keys,
    renewals_of_an_actor_are_limited_by_day_in_every_process,
    the_10001st_actor_of_an_account_is_409,
    new_keys_of_a_full_account_replace_ended_ones,
}

async fn renewals_of_an_actor_are_limited_by_day_in_every_process(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let member = json!({"name": "builder", "actor_type": "agent"});
    let actor = app.post("/actors", &member).await.expect(201)["actor_id"].clone();
    let renewal = json!({ "actor_id": actor, "renew": true });
    for _ in 0..24 {
        app.post("/keys", &renewal).await.expect(201);
    }
    let another = app.another().await;
    let total = async || app.get("/keys").await.expect(200)["total"].clone();
    let before = total().await;
    for app in [&app, &another] {
        let refused = app.post("/keys", &renewal).await;
        let problem = refused.expect(429);
        assert_eq!(problem["type"], "/docs/problems#too-many-requests");
        assert!(problem["detail"].as_str().unwrap().contains("24 times today (UTC)"), "{problem}");
        let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=86_400).contains(&wait), "{wait}");
    }
    assert_eq!(total().await, before);
    // Another key of the actor can still be made. The owner's renewals are counted separately.
    app.post("/keys", &json!({ "actor_id": actor })).await.expect(201);
    app.post("/keys", &json!({"actor_id": 1, "renew": true})).await.expect(201);
}

async fn the_10001st_actor_of_an_account_is_409(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let account = app.credentials.account;
    let given = format!("UPDATE accounts SET last_actor_id = 9999 WHERE account_id = {account}");
    app.database.execute(&given).await;
    let member = json!({"name": "builder", "actor_type": "agent"});
    let last = app.post("/actors", &member).await;
    assert_eq!(last.expect(201)["actor_id"], 10_000);
    let deactivated = app.delete("/actors/10000").await;
    deactivated.expect(200);
    let refused = app.post("/actors", &member).await;
    assert_eq!(refused.expect(409)["type"], "/docs/problems#conflict");
    assert_eq!(app.get("/actors").await.expect(200)["total"], 2);
}

async fn new_keys_of_a_full_account_replace_ended_ones(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let account = app.credentials.account;
    let beside = json!({"actor_id": 1});
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(app.post("/keys", &beside).await.expect(201)["key_id"].as_i64().unwrap());
    }
    for ended in [ids[1], ids[0]] {
        app.delete(&format!("/keys/{ended}")).await.expect(200);
    }
    let full = format!("UPDATE accounts SET keys = 50000 WHERE account_id = {account}");
    app.database.execute(&full).await;
    let kept = async || {
        let page = app.get("/keys").await.expect(200).clone();
        let ids = page["keys"].as_array().unwrap().iter();
        ids.map(|key| key["key_id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    app.post("/keys", &beside).await.expect(201);
    assert!(!kept().await.contains(&ids[0]) && kept().await.contains(&ids[1]));
    app.post("/keys", &beside).await.expect(201);
    assert!(!kept().await.contains(&ids[1]) && kept().await.contains(&ids[2]));
    let refused = app.post("/keys", &beside).await;
    let problem = refused.expect(409);
    assert!(problem["detail"].as_str().unwrap().contains("50000 keys"), "{problem}");
    // A key of a full account can still be rotated.
    app.post("/keys/rotate", &json!({})).await.expect(201);
    let counted = format!(
        "UPDATE accounts SET keys = (SELECT COUNT(*) FROM api_keys WHERE account_id = {account}) \
         WHERE account_id = {account}"
    );
    app.database.execute(&counted).await;
}

async fn a_write_beyond_the_limit_is_neither_done_nor_charged(database: TestDatabase) {
    let app = TestApp::start_with(database, 10, |settings| {
        settings.limits = RateLimits { requests_per_minute: NonZeroU32::new(2), ..RateLimits::OFF };
    })
    .await;
    for left in ["1", "0"] {
        let answer = app.post("/sessions", &json!({})).await;
        answer.expect(201);
        assert!(answer.header("ratelimit").unwrap().contains(&format!("r={left};")));
    }
    let refused = app.post("/sessions", &json!({})).await;
    let problem = refused.expect(429);
    assert_eq!(problem["type"], "/docs/problems#too-many-requests");
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(refused.header("x-credits-cost"), None);

    // Each process counts its own requests.
    let another = app.another().await;
    assert_eq!(another.get("/credits").await.expect(200)["balance"], 8);
    assert_eq!(another.get("/sessions").await.expect(200)["total"], 2);
}

async fn signups_are_limited_by_the_address_that_a_trusted_proxy_names(database: TestDatabase) {
    let app = TestApp::start_with(database, 10, |settings| {
        settings.limits = RateLimits { signups_per_hour: NonZeroU32::new(1), ..RateLimits::OFF };
        settings.trusted_proxies = vec![TrustedProxy::parse("127.0.0.1").unwrap()];
    })
    .await;
    let new = json!({"account_name": "Acme", "actor_name": "a", "actor_type": "agent"});
    let sign_up = async |from: &str| {
        let request = app.unauthenticated(Method::POST, "/api/v1/bootstrap");
        send(request.header("X-Forwarded-For", from).json(&new)).await
    };
    sign_up("203.0.113.7").await.expect(201);
    sign_up("203.0.113.8").await.expect(201);
    sign_up("203.0.113.7").await.expect(429);
    sign_up("198.51.100.1, 203.0.113.7").await.expect(429);
}

async fn invalid_keys_of_an_address_do_not_limit_its_valid_keys(database: TestDatabase) {
    let limits = RateLimits { requests_per_minute: NonZeroU32::new(1_000), ..RateLimits::OFF };
    let app = TestApp::start_with(database, 10, |settings| settings.limits = limits).await;
    let member = json!({"name": "builder", "actor_type": "agent"});
    let actor = app.post("/actors", &member).await.expect(201)["actor_id"].clone();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let made = app.post("/keys", &json!({ "actor_id": actor })).await;
        keys.push(made.expect(201).clone());
    }
    let [revoked, good] = [&keys[0], &keys[1]];
    app.delete(&format!("/keys/{}", revoked["key_id"])).await.expect(200);
    // This process has not admitted any of the keys.
    let another = app.another().await;
    let ask = |key: Option<&str>| {
        let request = another.unauthenticated(Method::GET, "/api/v1/sessions");
        send(key.into_iter().fold(request, |request, key| request.header("X-API-Key", key)))
    };
    let mut refused = 0;
    for round in 0..120 {
        let key = if round % 2 == 0 { revoked["api_key"].as_str() } else { None };
        let answer = ask(key).await;
        assert!(matches!(answer.status, 401 | 429), "{}", answer.status);
        refused += i32::from(answer.status == 429);
    }
    assert!(refused > 0);
    ask(good["api_key"].as_str()).await.expect(200);
    another.get("/sessions").await.expect(200);
}
