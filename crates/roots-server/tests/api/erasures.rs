//! Erasing an account.

use std::collections::BTreeSet;

use reqwest::Method;
use roots_domain::command::{Action, Command, SystemAction};
use roots_domain::model::time::Timestamp;
use roots_domain::port::store::{CommandStore, LeftoverReader, Verifier};
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::database::{TestDatabase, until};
use roots_testkit::members::add_member;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::client::assert_answer;
use crate::text_search::Search;

roots_testkit::on_both! {
    nothing_is_left_of_an_erased_account,
    every_process_refuses_the_keys_of_an_erased_account,
    an_interrupted_erasure_is_finished_later,
    an_erasure_needs_the_owner_and_the_code,
    the_last_operators_account_cannot_be_erased,
}

async fn erase(app: &TestApp, code: &str) -> ApiResponse {
    app.call(Method::DELETE, "/accounts/me", Some(&json!({ "recovery_code": code }))).await
}

/// Waits until all rows of erased accounts are deleted.
async fn wait_until_swept(app: &TestApp) {
    until("nothing is left", async || app.context.store.left_over(None).await.unwrap().is_none())
        .await;
}

/// Writes a session, a todo with a log entry and an activity.
async fn write_rows(app: &TestApp) {
    app.post("/sessions", &json!({ "notes": "Quittenzwirbelei" })).await.expect(201);
    let todo = json!({ "title": "Drosselklappenpoesie", "session_id": 1 });
    app.post("/todos", &todo).await.expect(201);
    let change = json!({ "status": "done", "note": "Purpurschneckenrennen" });
    app.patch("/todos/1", &change).await.expect(200);
    app.post("/todos", &json!({ "title": "Pflaumenmusbrigade" })).await.expect(201);
    app.post("/todos/claim", &json!({})).await.expect(200);
    let activity = json!({ "description": "Nebelkrähenflüsterer", "session_id": 1 });
    app.post("/activities", &activity).await.expect(201);
}

/// The number of rows of an account in each table.
async fn rows_of(database: &TestDatabase, account: i64) -> Vec<(String, i64)> {
    let of_tenants = if database.is_postgres() {
        "SELECT CAST(table_name AS TEXT) FROM information_schema.columns \
            WHERE table_schema = 'public' AND column_name = 'account_id' ORDER BY 1"
    } else {
        "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
            WHERE m.type = 'table' AND c.name = 'account_id' ORDER BY 1"
    };
    let mut found = Vec::new();
    for (table,) in database.rows::<(String,)>(of_tenants).await {
        let count = format!("SELECT COUNT(*) FROM {table} WHERE account_id = {account}");
        let rows: Vec<(i64,)> = database.rows(&count).await;
        found.push((table, rows[0].0));
    }
    found
}

async fn nothing_is_left_of_an_erased_account(database: TestDatabase) {
    let app = TestApp::start(database, 5_000).await;
    let owner = app.context.admit(&app.credentials).await;
    add_member(&app.database, &owner, 2).await;
    write_rows(&app).await;
    // A step of the sweep deletes 1,000 rows, so this takes more than one step.
    for _ in 0..1_200 {
        app.post("/activities", &json!({ "description": "Heidelbeerzentrifuge" }))
            .await
            .expect(201);
    }
    let other = app.as_another(100).await;
    write_rows(&other).await;
    let others = other.credentials.account.0;
    let before = rows_of(&app.database, others).await;
    let id = app.credentials.account.0;
    let own = rows_of(&app.database, id).await;
    let empty: BTreeSet<_> =
        own.iter().filter(|(_, rows)| *rows == 0).map(|(table, _)| table.as_str()).collect();
    assert!(empty.contains("erasures") && empty.len() <= 7, "nothing to erase: {empty:?}");
    // The bytes that only this account has: sealed texts, wraps, and lookups of keys and codes.
    let sealed: Vec<(Vec<u8>,)> = app
        .database
        .rows(&format!(
            "SELECT notes FROM sessions WHERE account_id = {id} \
             UNION ALL SELECT title FROM todos WHERE account_id = {id} \
             UNION ALL SELECT note FROM todo_logs WHERE account_id = {id} AND note IS NOT NULL \
             UNION ALL SELECT description FROM activities WHERE account_id = {id} \
             UNION ALL SELECT sealed FROM key_wraps WHERE account_id = {id} \
             UNION ALL SELECT lookup FROM api_keys WHERE account_id = {id} \
             UNION ALL SELECT lookup FROM recovery_codes WHERE account_id = {id}"
        ))
        .await;
    let code = app.credentials.recovery_code.expose_secret().to_owned();
    assert_answer!(erase(&app, &code).await, @r#"
    200 OK
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {"status": "erased", "account_id": 1}
    "#);
    wait_until_swept(&app).await;

    let left = rows_of(&app.database, id).await;
    let left: Vec<_> = left.into_iter().filter(|(_, rows)| *rows > 0).collect();
    assert_eq!(left, [("erasures".to_owned(), 1)]);
    assert_eq!(rows_of(&app.database, others).await, before);
    assert_eq!(other.get("/todos/1").await.expect(200)["title"], "Drosselklappenpoesie");
    let (_, errors) = app.context.store.verify().await.unwrap();
    assert_eq!(errors, []);
    // The id of an erased account is not used again.
    assert!(app.context.found(0).await.account.0 > others);

    if !app.database.is_postgres() {
        // With secure_delete, SQLite overwrites deleted rows with zeros. The checkpoint moves them
        // from the WAL to the file.
        app.database.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
        let files = std::fs::read_dir(app.database.folder.path()).unwrap();
        for file in files.map(Result::unwrap) {
            let bytes = std::fs::read(file.path()).unwrap();
            for (needle,) in &sealed {
                let is_found = bytes.windows(needle.len()).any(|window| window == needle);
                assert!(!is_found, "a ciphertext in {}", file.path().display());
            }
            let names = Search::of(["Member 2"]).found_in(&bytes);
            assert_eq!(names, BTreeSet::new(), "a name in {}", file.path().display());
        }
    }
}

async fn every_process_refuses_the_keys_of_an_erased_account(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let owner = app.context.admit(&app.credentials).await;
    let member = add_member(&app.database, &owner, 2).await;
    let elsewhere = app.another().await;
    let as_member = async |app: &TestApp, method: Method| {
        let request = app
            .unauthenticated(method, "/api/v1/todos")
            .header("X-API-Key", member.expose_secret())
            .json(&json!({ "title": "x" }));
        send(request).await.status
    };
    for process in [&app, &elsewhere] {
        process.get("/todos").await.expect(200);
        assert_eq!(as_member(process, Method::POST).await, 201);
    }
    let code = app.credentials.recovery_code.expose_secret().to_owned();
    erase(&app, &code).await.expect(200);
    assert_eq!(app.get("/todos").await.status, 401);
    assert_eq!(as_member(&app, Method::GET).await, 401);
    assert_eq!(erase(&app, &code).await.status, 401);
    // The other process has the keys in its cache, but the store refuses their writes.
    assert_eq!(as_member(&elsewhere, Method::POST).await, 401);
    assert_eq!(elsewhere.post("/todos", &json!({ "title": "x" })).await.status, 401);
    assert_eq!(elsewhere.get("/todos").await.status, 401);
    let (_, errors) = app.context.store.verify().await.unwrap();
    assert_eq!(errors, [], "during the sweep");
    wait_until_swept(&app).await;
}

async fn an_interrupted_erasure_is_finished_later(database: TestDatabase) {
    let app = TestApp::start(database, 5_000).await;
    for _ in 0..1_500 {
        app.post("/activities", &json!({ "description": "x" })).await.expect(201);
    }
    let caller = app.context.admit(&app.credentials).await;
    app.context.erasures.erase(&caller, &app.credentials.recovery_code).await.unwrap();
    let sweep = Action::System(SystemAction::SweepErased(app.credentials.account));
    app.context.store.apply(Command::uncharged(sweep, Timestamp::FIRST)).await.unwrap();
    let left: Vec<(i64,)> = app.database.rows("SELECT COUNT(*) FROM activities").await;
    // A step deletes 1,000 rows: one wrap, one key and one actor, and then 997 activities.
    assert_eq!(left, [(503,)], "a step is bounded");
    let (_, errors) = app.context.store.verify().await.unwrap();
    assert_eq!(errors, []);
    // Another process finishes the sweep.
    let elsewhere = app.another().await;
    elsewhere.context.leftovers.work_off().await.unwrap();
    let left: Vec<(i64,)> = app.database.rows("SELECT COUNT(*) FROM activities").await;
    assert_eq!(left, [(0,)]);
    assert_eq!(app.context.store.left_over(None).await, Ok(None));
}

async fn an_erasure_needs_the_owner_and_the_code(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let owner = app.context.admit(&app.credentials).await;
    let member = add_member(&app.database, &owner, 2).await;
    let code = app.credentials.recovery_code.expose_secret().to_owned();
    let other = app.context.found(0).await;
    let typo =
        format!("{}{}", &code[..code.len() - 1], if code.ends_with('0') { '1' } else { '0' });
    assert_answer!(erase(&app, &typo).await, @r#"
    403 Forbidden
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#wrong-recovery-code",
      "title": "Not the recovery code of this account",
      "status": 403,
      "detail": "This is not the recovery code of this account.",
      "request_id": "a-test",
      "error": "This is not the recovery code of this account."
    }
    "#);
    let others = other.recovery_code.expose_secret();
    for wrong in ["", "x", others, app.key()] {
        assert_eq!(erase(&app, wrong).await.status, 403, "{wrong}");
    }
    assert_answer!(app.delete("/accounts/me").await, @r#"
    422 Unprocessable Entity
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "recovery_code is required.",
      "request_id": "a-test",
      "error": "recovery_code is required.",
      "errors": [{"field": "recovery_code", "message": "is required"}]
    }
    "#);
    let as_member = app
        .unauthenticated(Method::DELETE, "/api/v1/accounts/me")
        .header("X-API-Key", member.expose_secret())
        .header("X-Request-Id", "a-test")
        .json(&json!({ "recovery_code": code }));
    assert_answer!(send(as_member).await, @r#"
    403 Forbidden
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#owner-only",
      "title": "Only the owner may do this",
      "status": 403,
      "detail": "Only the account's owner may do this: a member reads and writes only its own data.",
      "request_id": "a-test",
      "error": "Only the account's owner may do this: a member reads and writes only its own data."
    }
    "#);
    app.database.execute("UPDATE accounts SET status = 'suspended'").await;
    assert_answer!(erase(&app, &code).await, @r#"
    403 Forbidden
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#account-suspended",
      "title": "The account is suspended",
      "status": 403,
      "detail": "This account is suspended: it is read-only.",
      "request_id": "a-test",
      "error": "This account is suspended: it is read-only."
    }
    "#);
    app.database.execute("UPDATE accounts SET status = 'active'").await;
    app.get("/whoami").await.expect(200);
    erase(&app, &code.to_lowercase()).await.expect(200);
}

async fn the_last_operators_account_cannot_be_erased(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let id = app.credentials.account;
    let code = app.credentials.recovery_code.expose_secret().to_owned();
    let make = format!("UPDATE accounts SET kind = 'operator' WHERE account_id = {id}");
    app.database.execute(&make).await;
    app.context.found(0).await;
    assert_answer!(erase(&app, &code).await, @r#"
    409 Conflict
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "This is the last operator's account: make another one first.",
      "request_id": "a-test",
      "error": "This is the last operator's account: make another one first."
    }
    "#);
    app.database.execute("UPDATE accounts SET kind = 'operator'").await;
    erase(&app, &code).await.expect(200);
}
