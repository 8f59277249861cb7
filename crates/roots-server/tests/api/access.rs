//! API keys that are admitted or refused, and rows of other actors and accounts.

use reqwest::Method;
use roots_domain::model::account::{AccountKind, ActorKind};
use roots_domain::service::accounts::AccountDraft;
use roots_testkit::app::{TestApp, send};
use roots_testkit::context::name;
use roots_testkit::database::TestDatabase;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::client::{assert_answer, faulty, ids};
use crate::keys::Holder;
use crate::moved_ciphertexts;

roots_testkit::on_both! {
    a_key_is_sent_in_either_header,
    a_request_without_a_valid_key_is_401,
    a_key_that_ends_is_refused_at_once,
    a_key_ended_by_another_process_stops_reading_at_once,
    rows_of_another_account_are_404,
    rows_of_another_actor_are_404_to_a_member,
    a_signup_creates_an_account,
    whoami_describes_the_caller,
    a_suspended_account_reads_but_does_not_write,
}

/// Paths that need an API key, each with a method that it allows.
const KEYED: [(Method, &str); 33] = [
    (Method::GET, "/sessions"),
    (Method::POST, "/sessions"),
    (Method::GET, "/sessions/1"),
    (Method::PATCH, "/sessions/1"),
    (Method::DELETE, "/sessions/1"),
    (Method::GET, "/todos"),
    (Method::POST, "/todos"),
    (Method::GET, "/todos/1"),
    (Method::PATCH, "/todos/1"),
    (Method::DELETE, "/todos/1"),
    (Method::GET, "/todos/1/logs"),
    (Method::GET, "/activities"),
    (Method::GET, "/activities/stats"),
    (Method::DELETE, "/activities/1"),
    (Method::GET, "/whoami"),
    (Method::GET, "/credits"),
    (Method::GET, "/credits/ledger"),
    (Method::GET, "/actors"),
    (Method::POST, "/actors"),
    (Method::GET, "/actors/1"),
    (Method::PATCH, "/actors/1"),
    (Method::DELETE, "/actors/1"),
    (Method::GET, "/keys"),
    (Method::POST, "/keys"),
    (Method::POST, "/keys/rotate"),
    (Method::DELETE, "/keys/1"),
    (Method::POST, "/recovery-code"),
    (Method::GET, "/audit"),
    (Method::GET, "/accounts"),
    (Method::GET, "/accounts/1"),
    (Method::POST, "/accounts/1/credits"),
    (Method::POST, "/accounts/1/suspend"),
    (Method::POST, "/accounts/1/resume"),
];

async fn a_key_is_sent_in_either_header(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let key = app.key();
    for headers in [
        &[("X-API-Key", key.to_owned())][..],
        &[("x-api-key", format!(" {key} "))],
        &[("Authorization", format!("Bearer {key}"))],
        &[("authorization", format!("bearer {key}"))],
        &[("X-API-Key", key.to_owned()), ("Authorization", format!("Bearer {key}"))],
        // A proxy in front of the server may need its own Authorization.
        &[("X-API-Key", key.to_owned()), ("Authorization", "Basic cHJveHk6cHc=".to_owned())],
    ] {
        let mut request = app.unauthenticated(Method::GET, "/api/v1/whoami");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        assert_eq!(send(request).await.status, 200, "{:?}", headers[0].0);
    }
}

async fn a_request_without_a_valid_key_is_401(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let key = app.key().to_owned();
    // A key whose checksum is wrong, and a well-formed key of another database.
    let typo = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
    let other = TestApp::start(TestDatabase::sqlite().await, 1).await;
    let unknown = other.key().to_owned();
    assert_ne!(unknown, key);
    for (method, path) in KEYED {
        let request = app.unauthenticated(method.clone(), &format!("/api/v1{path}"));
        let refused = send(request).await;
        assert_eq!(refused.header("www-authenticate"), Some(r#"Bearer realm="roots""#), "{path}");
        assert_eq!(refused.status, 401, "{method} {path}");
        for wrong in [&typo, &unknown] {
            let request = app.unauthenticated(method.clone(), &format!("/api/v1{path}"));
            assert_eq!(send(request.header("X-API-Key", wrong)).await.status, 401, "{path}");
        }
    }
    let ask = |headers: &[(&str, &str)]| {
        let mut request = app.unauthenticated(Method::GET, "/api/v1/sessions");
        for (name, value) in headers.iter().chain(&[("X-Request-Id", "a-test")]) {
            request = request.header(*name, *value);
        }
        send(request)
    };
    assert_answer!(ask(&[]).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer realm="roots"

    {
      "type": "/docs/problems#unauthorized",
      "title": "Invalid or missing API key",
      "status": 401,
      "detail": "An API key is required, in X-API-Key or as Authorization: Bearer.",
      "request_id": "a-test",
      "error": "An API key is required, in X-API-Key or as Authorization: Bearer."
    }
    "#);
    assert_answer!(ask(&[("X-API-Key", &typo)]).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer realm="roots", error="invalid_token"

    {
      "type": "/docs/problems#unauthorized",
      "title": "Invalid or missing API key",
      "status": 401,
      "detail": "The API key is not valid.",
      "request_id": "a-test",
      "error": "The API key is not valid."
    }
    "#);
    assert_answer!(ask(&[("Authorization", &format!("Bearer {unknown}"))]).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer realm="roots", error="invalid_token"

    {
      "type": "/docs/problems#unauthorized",
      "title": "Invalid or missing API key",
      "status": 401,
      "detail": "The API key is not valid.",
      "request_id": "a-test",
      "error": "The API key is not valid."
    }
    "#);
    assert_answer!(ask(&[("X-API-Key", &key), ("Authorization", "Bearer other")]).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer realm="roots", error="invalid_token"

    {
      "type": "/docs/problems#unauthorized",
      "title": "Invalid or missing API key",
      "status": 401,
      "detail": "The request has several API keys: send one.",
      "request_id": "a-test",
      "error": "The request has several API keys: send one."
    }
    "#);
    let code = app.credentials.recovery_code.expose_secret();
    for wrong in ["", " ", "roots_", "roots_1_", "Bearer", code, &key[..20], &key.to_uppercase()] {
        assert_eq!(ask(&[("X-API-Key", wrong)]).await.status, 401, "{wrong}");
        assert_eq!(ask(&[("Authorization", &format!("Bearer {wrong}"))]).await.status, 401);
    }
    assert_eq!(ask(&[("Authorization", &key)]).await.status, 401);
    assert_eq!(ask(&[("X-API-Key", &key), ("X-API-Key", "another")]).await.status, 401);
    // A key in the query is not accepted, because proxies log URLs.
    let request = app.unauthenticated(Method::GET, &format!("/api/v1/sessions?api_key={key}"));
    assert_eq!(send(request).await.status, 401);
}

async fn a_key_that_ends_is_refused_at_once(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "x" })).await.expect(201);
    // Another process revokes the key while it is in the cache of this one.
    let ends =
        format!("UPDATE api_keys SET ends_at = 1 WHERE account_id = {}", app.credentials.account);
    assert_eq!(app.database.execute(&ends).await, 1);
    app.database.execute("UPDATE accounts SET auth_epoch = auth_epoch + 1").await;
    assert_eq!(app.post("/sessions", &json!({})).await.status, 401);
    // The refused write has dropped the key from the cache, so reads are refused too.
    assert_eq!(app.get("/sessions").await.status, 401);
    assert_eq!(app.another().await.get("/sessions").await.status, 401);
    let rows: Vec<(i64,)> = app.database.rows("SELECT balance FROM accounts").await;
    assert_eq!(rows, [(99,)]);

    // The expiry of a key in the cache is checked on every use.
    let expiring = TestApp::start(TestDatabase::sqlite().await, 100).await;
    let at = "UPDATE api_keys SET expires_at = 1775743210000000";
    assert_eq!(expiring.database.execute(at).await, 1);
    expiring.context.clock.advance_seconds(9);
    assert_eq!(expiring.get("/sessions").await.status, 200);
    assert_eq!(expiring.post("/sessions", &json!({})).await.status, 201);
    expiring.context.clock.advance_seconds(1);
    assert_eq!(expiring.get("/sessions").await.status, 401);
    assert_eq!(expiring.post("/sessions", &json!({})).await.status, 401);
}

/// For every kind of read: the first process revokes a key that the second one has in its cache.
async fn a_key_ended_by_another_process_stops_reading_at_once(database: TestDatabase) {
    const READS: [&str; 18] = [
        "/sessions",
        "/sessions/1",
        "/todos",
        "/todos/1",
        "/todos/1/logs",
        "/activities",
        "/activities?since=2020-01-01",
        "/activities/1",
        "/activities/stats",
        "/whoami",
        "/credits",
        "/credits/ledger",
        "/actors",
        "/actors/1",
        "/keys",
        "/audit",
        "/usage",
        "/export",
    ];
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "x" })).await.expect(201);
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    app.post("/activities", &json!({ "description": "x" })).await.expect(201);
    let elsewhere = app.another().await;
    for path in READS {
        let made = app.post("/keys", &json!({ "actor_id": 1 })).await.expect(201);
        let key = made["api_key"].as_str().unwrap().to_owned();
        let ending = Holder { app: &elsewhere, key };
        let first = ending.get(path).await;
        assert_eq!(first.status, 200, "{path}");
        assert_eq!(elsewhere.get(path).await.status, 200, "{path}");
        let revoked = app.delete(&format!("/keys/{}", made["key_id"])).await;
        assert_eq!(revoked.status, 200);
        // If-None-Match with the ETag of the earlier answer gets 401 too, and not 304.
        let mut again = elsewhere.unauthenticated(Method::GET, &format!("/api/v1{path}"));
        if let Some(tag) = first.header("etag") {
            again = again.header("If-None-Match", tag);
        }
        assert_eq!(send(again.header("X-API-Key", &ending.key)).await.status, 401, "{path}");
        // Other keys of the account still work.
        assert_eq!(elsewhere.get(path).await.status, 200, "{path}");
    }
}

async fn rows_of_another_account_are_404(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let other = app.context.found(100).await;
    let body = |path: &str| match path {
        "/sessions" => json!({ "notes": "mine" }),
        "/todos" => json!({ "title": "mine" }),
        _ => json!({ "description": "mine" }),
    };
    for path in ["/sessions", "/todos", "/activities"] {
        for _ in 0..2 {
            app.post(path, &body(path)).await.expect(201);
        }
    }
    let as_other = async |method: Method, path: &str, body: Option<Value>| {
        let request = app
            .unauthenticated(method, &format!("/api/v1{path}"))
            .header("X-API-Key", other.api_key.expose_secret());
        send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    };
    for (path, change) in [
        ("/sessions/1", Some(json!({ "notes": "theirs", "status": "ended" }))),
        ("/todos/1", Some(json!({ "title": "theirs", "status": "done" }))),
        ("/activities/1", None),
    ] {
        assert_eq!(as_other(Method::GET, path, None).await.status, 404, "{path}");
        assert_eq!(as_other(Method::DELETE, path, None).await.status, 404, "{path}");
        if let Some(change) = change {
            assert_eq!(as_other(Method::PATCH, path, Some(change)).await.status, 404, "{path}");
        }
    }
    assert_eq!(as_other(Method::GET, "/todos/1/logs", None).await.status, 404);
    for path in ["/sessions", "/todos", "/activities"] {
        assert_eq!(as_other(Method::GET, path, None).await.expect(200)["total"], 0);
        // Each account counts its ids from 1.
        let made = as_other(Method::POST, path, Some(body(path))).await.expect(201);
        assert!(made.to_string().contains("_id\":1"), "{made}");
        assert_eq!(as_other(Method::GET, path, None).await.expect(200)["total"], 1);
        assert_eq!(app.get(path).await.expect(200)["total"], 2);
    }
    assert_eq!(app.get("/sessions/1").await.expect(200)["notes"], "mine");
    assert_eq!(app.get("/todos/1").await.expect(200)["status"], "open");
    let stats = as_other(Method::GET, "/activities/stats", None).await.expect(200);
    assert_eq!(stats["total_activities"], 1);
    assert_eq!(as_other(Method::GET, "/credits", None).await.expect(200)["balance"], 97);

    // A malformed id is 404 too.
    let odd = [
        "0",
        "-1",
        "01",
        "1.0",
        "one",
        "%31x",
        "9223372036854775808",
        "18446744073709551617",
        "%00",
        "%ff",
        "1%2F2",
        "%20",
        "+1",
    ];
    for path in ["/sessions", "/todos", "/activities"] {
        for id in odd {
            assert_eq!(app.get(&format!("{path}/{id}")).await.status, 404, "{path}/{id}");
            assert_eq!(app.delete(&format!("{path}/{id}")).await.status, 404, "{path}/{id}");
        }
    }
    assert_answer!(app.get("/activities/3").await, @r#"
    404 Not Found

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such activity.",
      "request_id": "a-test",
      "error": "There is no such activity."
    }
    "#);
}

async fn rows_of_another_actor_are_404_to_a_member(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let owner = app.context.admit(&app.credentials).await;
    let (_, _, key) = moved_ciphertexts::member(&app.context, &app.database, &owner).await;
    let call = async |method: Method, path: &str, body: Value| {
        let request = app
            .unauthenticated(method, &format!("/api/v1{path}"))
            .header("X-API-Key", key.expose_secret())
            .header("X-Request-Id", "a-test");
        send(if body.is_null() { request } else { request.json(&body) }).await
    };
    app.post("/sessions", &json!({ "notes": "the owner's" })).await.expect(201);
    app.post("/todos", &json!({ "title": "the owner's" })).await.expect(201);
    app.post("/activities", &json!({ "description": "the owner's" })).await.expect(201);
    for path in ["/sessions/1", "/todos/1", "/todos/1/logs", "/activities/1"] {
        assert_eq!(call(Method::GET, path, Value::Null).await.status, 404, "{path}");
    }
    for (method, path, body) in [
        (Method::PATCH, "/sessions/1", json!({ "notes": "mine" })),
        (Method::PATCH, "/sessions/1", json!({ "status": "ended" })),
        (Method::PATCH, "/todos/1", json!({ "title": "mine" })),
        (Method::PATCH, "/todos/1", json!({ "status": "done", "note": "mine" })),
        (Method::DELETE, "/sessions/1", Value::Null),
        (Method::DELETE, "/todos/1", Value::Null),
        (Method::DELETE, "/activities/1", Value::Null),
    ] {
        assert_eq!(call(method, path, body).await.status, 404, "{path}");
    }
    // A row can't link to a session of another actor.
    let linked = json!({ "title": "mine", "session_id": 1 });
    assert_eq!(faulty(&call(Method::POST, "/todos", linked).await.expect(422)), ["session_id"]);
    let linked = json!({ "description": "mine", "session_id": 1 });
    assert_eq!(
        faulty(&call(Method::POST, "/activities", linked).await.expect(422)),
        ["session_id"]
    );
    for path in ["/sessions", "/todos", "/activities", "/todos?session_id=1"] {
        assert_eq!(call(Method::GET, path, Value::Null).await.expect(200)["total"], 0, "{path}");
    }
    let stats = call(Method::GET, "/activities/stats?session_id=1", Value::Null).await.expect(200);
    assert_eq!(stats["sessions"], json!({ "total": 0, "active": 0 }));

    // Both actors share the ids and the balance of the account.
    let mine = call(Method::POST, "/sessions", json!({ "notes": "mine" })).await;
    assert_eq!(mine.header("x-credits-remaining"), Some("96"));
    let mine = mine.expect(201);
    assert_eq!((&mine["session_id"], &mine["actor_id"]), (&json!(2), &json!(2)));
    // The owner reads the row of the member by id, but does not see it in its lists.
    assert_eq!(app.get("/sessions/2").await.expect(200)["notes"], "mine");
    assert_eq!(ids(&app.get("/sessions").await.expect(200), "sessions", "session_id"), [1]);
    assert_answer!(call(Method::GET, "/whoami", Value::Null).await, @r#"
    200 OK

    {
      "actor_id": 2,
      "actor_name": "Member 2",
      "actor_type": "agent",
      "role": "member",
      "account_id": 1,
      "account_name": "Test account",
      "account_type": "customer",
      "other_actors": [
        {
          "actor_id": 1,
          "name": "Test agent",
          "actor_type": "agent",
          "role": "owner",
          "is_active": true,
          "created_at": "2026-04-09T14:00:00Z"
        }
      ],
      "other_actors_total": 1,
      "credits_remaining": 96
    }
    "#);
    assert_eq!(app.get("/sessions/1").await.expect(200)["notes"], "the owner's");
}

async fn a_signup_creates_an_account(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let wanted =
        json!({ "account_name": "Chatforest", "actor_name": "docs-agent", "actor_type": "agent" });
    let request = app.unauthenticated(Method::POST, "/api/v1/bootstrap").json(&wanted);
    let answer = send(request).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut made = answer.expect(201);
    let [key, code] = ["api_key", "recovery_code"].map(|field| made[field].take());
    let key = key.as_str().unwrap();
    let prefix = made["key_prefix"].take();
    assert!(key.starts_with(prefix.as_str().unwrap()), "{prefix}");
    assert!(key.starts_with("roots_2_") && key.len() == "roots_2_".len() + 43 + 6, "{}", key.len());
    assert!(code.as_str().unwrap().len() > 32);
    let warning = made["warning"].take();
    assert!(warning.as_str().unwrap().contains("only this once"));
    assert_eq!(
        made,
        json!({
            "account_id": 2,
            "actor_id": 1,
            "actor_name": "docs-agent",
            "actor_type": "agent",
            "api_key": null,
            "key_prefix": null,
            "credits": 100,
            "recovery_code": null,
            "warning": null
        })
    );
    let with_key = |method, path: &str| {
        app.unauthenticated(method, &format!("/api/v1{path}"))
            .header("X-API-Key", key)
            .header("X-Request-Id", "a-test")
    };
    assert_answer!(send(with_key(Method::GET, "/whoami")).await, @r#"
    200 OK

    {
      "actor_id": 1,
      "actor_name": "docs-agent",
      "actor_type": "agent",
      "role": "owner",
      "account_id": 2,
      "account_name": "Chatforest",
      "account_type": "customer",
      "other_actors": [],
      "other_actors_total": 0,
      "credits_remaining": 100
    }
    "#);
    let mine = send(with_key(Method::POST, "/sessions").json(&json!({ "notes": "first" }))).await;
    assert_eq!(mine.expect(201)["session_id"], 1);
    assert_eq!(send(with_key(Method::GET, "/credits")).await.expect(200)["balance"], 99);

    for (bad, fields) in [
        (json!({}), &["account_name", "actor_name", "actor_type"][..]),
        (
            json!({ "account_name": " ", "actor_name": "a\nb", "actor_type": "owner" }),
            &["account_name", "actor_name", "actor_type"],
        ),
        (
            json!({ "account_name": "a".repeat(101), "actor_name": "a", "actor_type": "human" }),
            &["account_name"],
        ),
    ] {
        let refused = send(app.unauthenticated(Method::POST, "/api/v1/bootstrap").json(&bad)).await;
        assert_eq!(faulty(&refused.expect(422)), fields, "{bad}");
    }
    // Names of the maximum length come back unchanged.
    let long = "\u{1f980}".repeat(100);
    let wanted = json!({ "account_name": long, "actor_name": long, "actor_type": "human" });
    let made = send(app.unauthenticated(Method::POST, "/api/v1/bootstrap").json(&wanted)).await;
    let made = made.expect(201);
    assert_eq!((&made["account_id"], &made["actor_name"]), (&json!(3), &json!(long)));
    assert_eq!(made["actor_type"], "human");
}

async fn whoami_describes_the_caller(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    let account = app.credentials.account;
    for (actor, name, kind) in [(2, "Ada", "human"), (3, "Hal", "agent")] {
        let uid = if app.database.is_postgres() {
            "CAST('00000000-0000-0000-0000-000000000001' AS UUID)"
        } else {
            "x'00000000000000000000000000000001'"
        };
        let sql = format!(
            "INSERT INTO actors (account_id, actor_id, uid, name, kind, role, is_active, \
             key_epoch, created_at) VALUES ({account}, {actor}, {uid}, '{name}', '{kind}', \
             'member', {}, 1, 1775743200000000)",
            i32::from(actor == 2)
        );
        app.database.execute(&sql).await;
    }
    app.database.execute("UPDATE accounts SET last_actor_id = 3").await;
    assert_answer!(app.get("/whoami").await, "whoami_in_an_account_with_members");
    let draft = AccountDraft {
        name: name("The house"),
        kind: AccountKind::Operator,
        owner_name: name("Root"),
        owner_kind: ActorKind::Human,
        credits: 0,
    };
    let operator = app.context.accounts.bootstrap(draft).await.unwrap();
    let request = app
        .unauthenticated(Method::GET, "/api/v1/whoami")
        .header("X-API-Key", operator.api_key.expose_secret());
    assert_eq!(
        send(request).await.expect(200),
        json!({
            "actor_id": 1,
            "actor_name": "Root",
            "actor_type": "human",
            "role": "owner",
            "account_id": 2,
            "account_name": "The house",
            "account_type": "operator",
            "other_actors": [],
            "other_actors_total": 0,
            "credits_remaining": 0
        })
    );
}

async fn a_suspended_account_reads_but_does_not_write(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "kept" })).await.expect(201);
    let suspend = "UPDATE accounts SET status = 'suspended', auth_epoch = auth_epoch + 1";
    app.database.execute(suspend).await;
    assert_answer!(app.post("/sessions", &json!({})).await, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#account-suspended",
      "title": "The account is suspended",
      "status": 403,
      "detail": "This account is suspended: it is read-only.",
      "request_id": "a-test",
      "error": "This account is suspended: it is read-only."
    }
    "#);
    assert_eq!(app.delete("/sessions/1").await.status, 403);
    assert_eq!(app.get("/sessions/1").await.expect(200)["notes"], "kept");
    let credits = app.get("/credits").await.expect(200);
    assert_eq!(credits["balance"], 99);
    app.database.execute("UPDATE accounts SET status = 'active'").await;
    app.delete("/sessions/1").await.expect(200);
}
