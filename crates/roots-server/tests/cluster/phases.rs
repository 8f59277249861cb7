//! Which writes are committed in two phases.

use reqwest::Method;
use roots_testkit::connection::connect;
use roots_testkit::database::until;
use roots_testkit::program::Api;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::installation::Installation;

/// The first lines of an export of another installation.
const IMPORT_HEAD: &str = concat!(
    r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}"#,
    "\n",
    r#"{"kind":"actor","actor_id":1,"name":"x","actor_type":"agent","role":"owner"}"#,
    "\n",
);

/// How many parts of transactions in two phases the nodes have begun: each notes one in its
/// `pg_dist_transaction` before it asks another node to prepare. A connection has told what it
/// counted before it is gone.
async fn prepared(all: &Installation) -> i64 {
    const COUNTED: &str =
        "SELECT n_tup_ins FROM pg_stat_all_tables WHERE relname = 'pg_dist_transaction'";
    const CONNECTED: &str = "SELECT COUNT(*) FROM pg_stat_activity \
        WHERE application_name = 'roots' AND datname = current_database()";
    let mut sum = 0;
    for node in all.cluster().nodes() {
        let db = connect(&all.cluster().url_on(node)).await;
        let number = async |sql: &str| -> i64 {
            let statement = Statement::from_string(db.get_database_backend(), sql);
            db.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
        };
        until("all connections are gone", async || number(CONNECTED).await == 0).await;
        sum += number(COUNTED).await;
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
    let row = |id| {
        let row = json!({
            "kind": "activity", "activity_id": id, "actor_id": 1,
            "description": "b", "logged_at": "2026-04-09T14:00:00Z"
        });
        format!("{row}\n")
    };
    let file = IMPORT_HEAD.to_owned() + &(1..=200).map(row).collect::<String>();
    assert!(api.import(file).await.is_some());
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
