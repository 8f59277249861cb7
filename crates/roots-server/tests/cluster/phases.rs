//! Which writes are committed in two phases.

use reqwest::{Method, StatusCode};
use roots_testkit::database::connect;
use roots_testkit::program::Api;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::installation::Installation;

/// How many parts of transactions in two phases the nodes have begun: each notes one before it asks
/// another to prepare. Statistics are complete once the connections are closed.
async fn prepared(all: &Installation) -> i64 {
    let mut sum = 0;
    for node in all.cluster().nodes() {
        let db = connect(&all.cluster().url_on(node)).await;
        let counted =
            "SELECT n_tup_ins FROM pg_stat_all_tables WHERE relname = 'pg_dist_transaction'";
        let counted = Statement::from_string(db.get_database_backend(), counted);
        let row = db.query_one_raw(counted).await.unwrap().unwrap();
        sum += row.try_get_by_index::<i64>(0).unwrap();
        db.close().await.unwrap();
    }
    sum
}

/// Sends a request and expects 2xx.
async fn ask(api: &Api, method: Method, path: &str, body: Value) -> Value {
    let answer = api.ask(method, &format!("/api/v1/{path}")).json(&body).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

/// Every kind of write of an account.
async fn write_everything(api: &Api) {
    use Method as M;
    let session = ask(api, M::POST, "sessions", json!({ "notes": "a" })).await;
    let session = session["session_id"].clone();
    ask(api, M::PATCH, &format!("sessions/{session}"), json!({ "notes": "b" })).await;
    let todo = json!({ "title": "a", "session_id": session });
    let todo = ask(api, M::POST, "todos", todo).await["todo_id"].clone();
    ask(api, M::POST, "todos", json!({ "title": "b" })).await;
    ask(api, M::PATCH, &format!("todos/{todo}"), json!({ "status": "in_progress" })).await;
    let claim = ask(api, M::POST, "todos/claim", json!({ "lease_seconds": 600 })).await;
    assert!(claim["todo"].is_object() || claim["todo_id"].is_i64(), "{claim}");
    let activity = json!({ "description": "a", "session_id": session });
    let activity = ask(api, M::POST, "activities", activity).await["activity_id"].clone();
    ask(api, M::DELETE, &format!("activities/{activity}"), json!({})).await;
    let member = json!({ "name": "Member", "actor_type": "agent" });
    let member = ask(api, M::POST, "actors", member).await["actor_id"].clone();
    let key = ask(api, M::POST, "keys", json!({ "actor_id": member })).await["key_id"].clone();
    ask(api, M::DELETE, &format!("keys/{key}"), json!({})).await;
    ask(api, M::PATCH, &format!("sessions/{session}"), json!({ "status": "ended" })).await;
    ask(api, M::DELETE, &format!("todos/{todo}"), json!({})).await;
    ask(api, M::DELETE, &format!("sessions/{session}"), json!({})).await;
    let exported = api.get("/api/v1/export").send().await.unwrap();
    assert_eq!(exported.status(), StatusCode::OK);
    let imported = api.import(exported.text().await.unwrap()).await;
    assert!(imported.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_of_one_account_is_committed_in_two_phases() {
    let mut all = Installation::with_accounts().await;
    let before = prepared(&all).await;
    all.folder.bootstrap(&[]);
    let founded = prepared(&all).await;
    assert!(founded > before, "the directory and the account are on two nodes");

    all.servers = (0..2).map(|_| all.folder.serve()).collect();
    let mut writers = tokio::task::JoinSet::new();
    for account in &all.accounts {
        for api in all.clients(account) {
            writers.spawn(async move { write_everything(&api).await });
        }
    }
    writers.join_all().await;
    all.end();
    let after = prepared(&all).await;
    println!(
        "two phases: {} parts for a new account, {} for all writes",
        founded - before,
        after - founded
    );
    assert_eq!(after, founded);
}
