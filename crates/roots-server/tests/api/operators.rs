//! Operations of operators on accounts, and their entries in the audit log.

use std::sync::Arc;

use reqwest::Method;
use roots_domain::model::account::AccountKind;
use roots_domain::port::store::Verifier;
use roots_domain::service::accounts::Grant;
use roots_testkit::app::{TestApp, send};
use roots_testkit::context::name;
use roots_testkit::database::TestDatabase;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::client::{assert_answer, balance, faulty, ids};

roots_testkit::on_both! {
    operators_see_every_account,
    operations_on_accounts_are_403_to_customers,
    a_grant_is_in_the_ledger_and_costs_nothing,
    a_grant_with_an_idempotency_key_is_done_once,
    racing_grants_of_two_operators_add_up,
    a_suspension_stops_writes_at_once_in_every_process,
    an_operator_suspends_others_but_not_itself,
    racing_suspensions_and_erasures_leave_an_operator_that_can_act,
    the_audit_log_holds_only_ids_and_actions,
}

/// The API, called with the key of a new operator's account.
async fn operator(app: &TestApp) -> TestApp {
    app.by(app.context.found_of(AccountKind::Operator, 0).await)
}

async fn account_state(app: &TestApp, account: i64) -> Value {
    app.get(&format!("/accounts/{account}")).await.expect(200)
}

async fn operators_see_every_account(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let operator = operator(&app).await;
    app.context.clock.advance_seconds(60);
    app.post("/sessions", &json!({ "notes": "not for operators" })).await.expect(201);
    app.context.clock.advance_seconds(60);
    app.post("/todos", &json!({ "title": "not for operators" })).await.expect(201);
    operator.post("/accounts/1/credits", &json!({ "amount": 2 })).await.expect(201);
    assert_answer!(operator.get("/accounts").await, "the_accounts_that_an_operator_lists");
    assert_answer!(operator.get("/accounts/1").await, @r#"
    200 OK

    {
      "account_id": 1,
      "name": "Test account",
      "account_type": "customer",
      "status": "active",
      "balance": 100,
      "actors": 1,
      "writes": 2,
      "last_write_at": "2026-04-09T14:02:00Z",
      "created_at": "2026-04-09T14:00:00Z"
    }
    "#);
    assert_answer!(operator.get("/accounts/3").await, @r#"
    404 Not Found

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such account.",
      "request_id": "a-test",
      "error": "There is no such account."
    }
    "#);
    for _ in 0..3 {
        app.context.found(0).await;
    }
    for (query, expected) in [
        ("", &[5, 4, 3, 2, 1][..]),
        ("?limit=2", &[5, 4]),
        ("?limit=2&offset=3", &[2, 1]),
        ("?offset=9", &[]),
    ] {
        let page = operator.get(&format!("/accounts{query}")).await.expect(200);
        assert_eq!(ids(&page, "accounts", "account_id"), expected, "{query}");
        assert_eq!(page["total"], 5, "{query}");
    }
    for bad in ["0", "-1", "x", "01", "9223372036854775808"] {
        operator.get(&format!("/accounts/{bad}")).await.expect(404);
    }
    operator.get("/accounts?status=active").await.expect(400);
    assert_eq!(app.context.store.verify().await.unwrap(), (5, vec![]));
}

async fn operations_on_accounts_are_403_to_customers(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let other = app.context.found(100).await.account;
    let mut answers = Vec::new();
    for (method, path, body) in [
        (Method::GET, "/accounts".to_owned(), None),
        (Method::GET, "/accounts/1".to_owned(), None),
        (Method::GET, format!("/accounts/{other}"), None),
        (Method::GET, "/accounts/77".to_owned(), None),
        (Method::POST, "/accounts/1/credits".to_owned(), Some(json!({ "amount": 1 }))),
        (Method::POST, format!("/accounts/{other}/credits"), Some(json!({ "amount": 1 }))),
        (Method::POST, "/accounts/77/credits".to_owned(), Some(json!({ "amount": 0 }))),
        (Method::POST, "/accounts/1/suspend".to_owned(), None),
        (Method::POST, format!("/accounts/{other}/suspend"), None),
        (Method::POST, "/accounts/77/resume".to_owned(), None),
    ] {
        let answer = app.call(method, &path, body.as_ref()).await;
        assert_eq!(answer.status, 403, "{path}");
        answers.push(answer);
    }
    assert_answer!(answers[0], @r#"
    403 Forbidden

    {
      "type": "/docs/problems#operator-only",
      "title": "Only operators may do this",
      "status": 403,
      "detail": "Only an operator's account may do this.",
      "request_id": "a-test",
      "error": "Only an operator's account may do this."
    }
    "#);
    assert!(
        answers.iter().all(|answer| answer.text == answers[0].text),
        "a 403 reveals nothing about the account"
    );
    assert_eq!(balance(&app).await, 100);
    assert_eq!(app.get("/audit").await.expect(200)["total"], 0);
    app.post("/sessions", &json!({})).await.expect(201);
}

async fn a_grant_is_in_the_ledger_and_costs_nothing(database: TestDatabase) {
    let app = TestApp::start(database, 0).await;
    let operator = operator(&app).await;
    app.post("/sessions", &json!({})).await.expect(402);
    let grant = json!({ "amount": 7, "note": "April" });
    let granted = operator.post("/accounts/1/credits", &grant).await;
    assert_answer!(granted, @r#"
    201 Created

    {"account_id": 1, "balance": 7}
    "#);
    assert_eq!(granted.header("x-credits-cost"), None);
    assert_answer!(app.get("/credits/ledger").await, @r#"
    200 OK

    {
      "entries": [
        {
          "ledger_id": 1,
          "delta": 7,
          "balance_after": 7,
          "reason": "operator_grant",
          "related_endpoint": "POST /accounts/{id}/credits",
          "created_at": "2026-04-09T14:00:00Z"
        }
      ],
      "total": 1,
      "limit": 20,
      "offset": 0,
      "next_cursor": null
    }
    "#);
    app.post("/sessions", &json!({})).await.expect(201);
    // An operator may grant its own account credits. The largest grant is a billion.
    let most = json!({ "amount": 1_000_000_000 });
    let own = operator.post("/accounts/2/credits", &most).await.expect(201);
    assert_eq!(own, json!({ "account_id": 2, "balance": 1_000_000_000 }));
    for (bad, fields) in [
        (json!({}), &["amount"][..]),
        (json!({ "amount": 0 }), &["amount"]),
        (json!({ "amount": -1 }), &["amount"]),
        (json!({ "amount": 1_000_000_001 }), &["amount"]),
        (json!({ "amount": 1.5 }), &["amount"]),
        (json!({ "amount": "7", "note": "" }), &["amount", "note"]),
        (json!({ "amount": 7, "note": "a\nb" }), &["note"]),
        (json!({ "amount": 7, "account": 1 }), &["account"]),
    ] {
        let refused = operator.post("/accounts/1/credits", &bad).await.expect(422);
        assert_eq!(faulty(&refused), fields, "{bad}");
    }
    operator.post("/accounts/9/credits", &grant).await.expect(404);
    operator.post("/accounts/x/credits", &grant).await.expect(404);
    app.database.execute("UPDATE accounts SET balance = 9223372036854775800").await;
    operator.post("/accounts/1/credits", &json!({ "amount": 8 })).await.expect(409);
    app.database.execute("UPDATE accounts SET balance = 6 WHERE account_id = 1").await;
    app.database.execute("UPDATE accounts SET balance = 1000000000 WHERE account_id = 2").await;
    assert_eq!(balance(&app).await, 6);
    assert_eq!(app.context.store.verify().await.unwrap(), (2, vec![]));
}

async fn a_grant_with_an_idempotency_key_is_done_once(database: TestDatabase) {
    let app = TestApp::start(database, 0).await;
    let (one, other) = (operator(&app).await, operator(&app).await);
    let path = "/accounts/1/credits";
    let grant = |by: &TestApp, amount: i64| {
        let request = by.request(Method::POST, path).header("Idempotency-Key", "april");
        send(request.json(&json!({ "amount": amount })))
    };
    let first = grant(&one, 5).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, None), "{}", first.text);
    one.post(path, &json!({ "amount": 1 })).await.expect(201);
    // The answer is that of then.
    for again in [grant(&one, 5).await, grant(&one.another().await, 5).await] {
        assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
        assert_eq!(again.text, first.text);
    }
    grant(&one, 6).await.expect(422);
    // Another operator may use the same key.
    grant(&other, 5).await.expect(201);
    assert_eq!(balance(&app).await, 11);
    let entries = app.get("/credits/ledger").await.expect(200);
    assert_eq!(entries["total"], 3);
}

/// The grants come from two processes, while the account writes through both.
async fn racing_grants_of_two_operators_add_up(database: TestDatabase) {
    const GRANTS: i64 = 32;
    let app = TestApp::start(database, 100).await;
    let customers = [Arc::new(app.another().await), Arc::new(app)];
    let operators = [operator(&customers[0]).await, operator(&customers[1]).await].map(Arc::new);
    let target = customers[0].credentials.account.0;
    let mut racing = Vec::new();
    for number in 0..GRANTS {
        let which = usize::from(number % 2 == 0);
        let (operator, customer) = (operators[which].clone(), customers[which].clone());
        racing.push(tokio::spawn(async move {
            let grant = json!({ "amount": number * number + 1 });
            let path = format!("/accounts/{target}/credits");
            operator.post(&path, &grant).await.status
        }));
        racing.push(tokio::spawn(async move {
            customer.post("/activities", &json!({ "description": "meanwhile" })).await.status
        }));
    }
    for task in racing {
        assert_eq!(task.await.unwrap(), 201);
    }
    let granted: i64 = (0..GRANTS).map(|number| number * number + 1).sum();
    for app in &customers {
        assert_eq!(balance(app).await, 100 + granted - GRANTS);
        let ledger = app.get("/credits/ledger?reason=operator_grant").await.expect(200);
        assert_eq!(ledger["total"], GRANTS);
        assert_eq!(app.get("/audit").await.expect(200)["total"], GRANTS);
        let (_, errors) = app.context.store.verify().await.unwrap();
        assert_eq!(errors, []);
    }
    for operator in &operators {
        assert_eq!(operator.get("/audit").await.expect(200)["total"], GRANTS / 2);
    }
}

async fn a_suspension_stops_writes_at_once_in_every_process(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let there = app.another().await;
    let operator = operator(&app).await;
    // Both processes admit the account, and keep it in their caches.
    for here in [&app, &there] {
        here.post("/sessions", &json!({ "notes": "kept" })).await.expect(201);
    }
    let suspended = operator.call(Method::POST, "/accounts/1/suspend", None).await;
    assert_answer!(suspended, @r#"
    200 OK

    {"status": "suspended", "account_id": 1}
    "#);
    for here in [&there, &app] {
        for (method, path, body) in [
            (Method::POST, "/sessions", json!({})),
            (Method::POST, "/todos", json!({ "title": "x" })),
            (Method::POST, "/activities", json!({ "description": "x" })),
            (Method::PATCH, "/sessions/1", json!({ "notes": "x" })),
            (Method::DELETE, "/sessions/1", Value::Null),
        ] {
            let body = Some(&body).filter(|body| !body.is_null());
            let refused = here.call(method, path, body).await;
            assert_eq!(refused.status, 403, "{path}");
            assert_eq!(refused.header("x-credits-cost"), None);
            assert_eq!(refused.json()["type"], "/docs/problems#account-suspended");
        }
        for path in ["/sessions", "/todos", "/activities", "/activities/stats", "/audit"] {
            here.get(path).await.expect(200);
        }
        assert_eq!(here.get("/sessions/1").await.expect(200)["notes"], "kept");
        assert_eq!(balance(here).await, 98);
    }
    // A second suspension succeeds too. A suspended account can be granted credits.
    operator.call(Method::POST, "/accounts/1/suspend", None).await.expect(200);
    operator.post("/accounts/1/credits", &json!({ "amount": 1 })).await.expect(201);
    assert_eq!(account_state(&operator, 1).await["status"], "suspended");
    assert_answer!(operator.call(Method::POST, "/accounts/1/resume", None).await, @r#"
    200 OK

    {"status": "active", "account_id": 1}
    "#);
    operator.call(Method::POST, "/accounts/1/resume", None).await.expect(200);
    for here in [&there, &app] {
        here.patch("/sessions/1", &json!({ "notes": "written" })).await.expect(200);
    }
    assert_eq!(balance(&app).await, 97);
    assert_answer!(app.get("/audit").await, "the_audit_log_of_a_suspended_account");
    assert_answer!(operator.get("/audit").await, "the_audit_log_of_an_operator");
    assert_eq!(app.context.store.verify().await.unwrap(), (2, vec![]));
}

async fn an_operator_suspends_others_but_not_itself(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let one = operator(&app).await;
    let other = operator(&app).await;
    let (own, theirs) = (one.credentials.account.0, other.credentials.account.0);
    let suspend = format!("/accounts/{own}/suspend");
    assert_answer!(one.call(Method::POST, &suspend, None).await, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "An account can't suspend itself: another operator's account may.",
      "request_id": "a-test",
      "error": "An account can't suspend itself: another operator's account may."
    }
    "#);
    one.call(Method::POST, &format!("/accounts/{own}/resume"), None).await.expect(200);
    one.call(Method::POST, &format!("/accounts/{theirs}/suspend"), None).await.expect(200);
    for path in [suspend, format!("/accounts/{theirs}/resume"), "/accounts/1/suspend".to_owned()] {
        let refused = other.call(Method::POST, &path, None).await.expect(403);
        assert_eq!(refused["type"], "/docs/problems#account-suspended");
    }
    other.post("/accounts/1/credits", &json!({ "amount": 1 })).await.expect(403);
    // A suspended operator may still read.
    other.get("/accounts").await.expect(200);
    assert_eq!(balance(&app).await, 100);
    assert_eq!(account_state(&one, own).await["status"], "active");
    for nobody in ["9", "x"] {
        for act in ["suspend", "resume"] {
            let path = format!("/accounts/{nobody}/{act}");
            one.call(Method::POST, &path, None).await.expect(404);
        }
    }
}

/// Four operators suspend each other and erase themselves, through two processes.
async fn racing_suspensions_and_erasures_leave_an_operator_that_can_act(database: TestDatabase) {
    const OPERATORS: usize = 4;
    let app = TestApp::start(database, 100).await;
    let there = app.another().await;
    for round in 0..4 {
        let mut operators = Vec::new();
        for number in 0..OPERATORS {
            let process = if number % 2 == 0 { &app } else { &there };
            operators.push(Arc::new(operator(process).await));
        }
        let ids: Vec<_> = operators.iter().map(|it| it.credentials.account.0).collect();
        // Suspend the operators that earlier rounds left active.
        let others: Vec<(i64,)> = app
            .database
            .rows(
                "SELECT account_id FROM accounts WHERE kind = 'operator' AND status = 'active' \
                 ORDER BY account_id",
            )
            .await;
        for (id,) in others.into_iter().filter(|(id,)| !ids.contains(id)) {
            let path = format!("/accounts/{id}/suspend");
            operators[0].call(Method::POST, &path, None).await.expect(200);
        }
        let mut racing = Vec::new();
        for number in 0..OPERATORS {
            for step in 1..OPERATORS {
                let path = format!("/accounts/{}/suspend", ids[(number + step) % OPERATORS]);
                let one = operators[number].clone();
                racing.push(tokio::spawn(async move {
                    one.call(Method::POST, &path, None).await.status
                }));
            }
            let one = operators[number].clone();
            racing.push(tokio::spawn(async move {
                let code =
                    json!({ "recovery_code": one.credentials.recovery_code.expose_secret() });
                one.call(Method::DELETE, "/accounts/me", Some(&code)).await.status
            }));
        }
        for task in racing {
            let status = task.await.unwrap();
            assert!([200, 401, 403, 404, 409].contains(&status), "{status}");
        }
        let left: Vec<(i64,)> = app
            .database
            .rows("SELECT COUNT(*) FROM accounts WHERE kind = 'operator' AND status = 'active'")
            .await;
        assert!(left[0].0 >= 1, "no active operator is left in round {round}");
    }
    let (_, errors) = app.context.store.verify().await.unwrap();
    assert_eq!(errors, []);
}

async fn the_audit_log_holds_only_ids_and_actions(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let operator = operator(&app).await;
    let note = json!({ "amount": 5, "note": "a noted word" });
    operator.post("/accounts/1/credits", &note).await.expect(201);
    let grant = Grant::parse(5).unwrap();
    let noted = Some(name("a noted word"));
    app.context.accounts.grant(app.credentials.account, grant, noted).await.unwrap();
    for act in ["suspend", "resume"] {
        operator.call(Method::POST, &format!("/accounts/1/{act}"), None).await.expect(200);
    }
    let audit_log = app.get("/audit").await;
    let actions: Vec<_> = audit_log.json()["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap().to_owned(), entry["by_account_id"].clone()))
        .collect();
    let expected = [
        ("account_resumed", json!(2)),
        ("account_suspended", json!(2)),
        ("credits_granted", Value::Null),
        ("credits_granted", json!(2)),
    ];
    assert_eq!(actions, expected.map(|(action, by)| (action.to_owned(), by)));
    for text in [audit_log.text, operator.get("/audit").await.text] {
        for word in ["noted", "Test", "roots_"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
    let second = app.get("/audit?limit=1&offset=1").await.expect(200);
    assert_eq!(ids(&second, "entries", "audit_id"), [3]);
    assert_eq!(second["total"], 4);
}
