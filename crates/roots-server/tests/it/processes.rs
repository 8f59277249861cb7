//! Three servers on one PostgreSQL database agree with each other.

use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use roots_testkit::database::until;
use roots_testkit::http_writes::assert_servers_agree;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::program::{Api, Server, WorkFolder, text};

const SERVERS: usize = 3;
fn servers(folder: &WorkFolder) -> Vec<Server> {
    (0..SERVERS).map(|_| folder.serve()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_on_one_database_agree_with_the_reference_model() {
    let folder = WorkFolder::on_postgres().await;
    let servers = servers(&folder);
    assert_servers_agree(&folder, servers).await;
}

/// Reads and writes with the key are refused at once on all servers. A server also forgets the key
/// if no request of the key needs the database.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_revoked_on_one_server_ends_on_all_servers() {
    let folder = WorkFolder::on_postgres().await;
    let servers = servers(&folder);
    let owner = servers[0].client(&folder.operator_key());
    let member = json!({ "name": "Member", "actor_type": "agent" });
    let member = owner.post("/api/v1/actors", &member).send().await.unwrap();
    let member: Value = serde_json::from_str(&member.text().await.unwrap()).unwrap();
    let body = json!({ "actor_id": member["actor_id"] });
    let made = owner.post("/api/v1/keys", &body).send().await.unwrap();
    let made: Value = serde_json::from_str(&made.text().await.unwrap()).unwrap();
    let key = made["api_key"].as_str().unwrap();
    let theirs: Vec<_> = servers.iter().map(|server| server.client(key)).collect();
    for api in &theirs {
        api.read("/api/v1/whoami").await;
    }
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status();
    let read = async |api: &Api| status(api.get("/api/v1/whoami")).await;
    let write =
        async |api: &Api| status(api.post("/api/v1/todos", &json!({ "title": "late" }))).await;
    assert_eq!(write(&theirs[1]).await, StatusCode::CREATED);

    let revoke = owner.ask(Method::DELETE, &format!("/api/v1/keys/{}", made["key_id"]));
    assert_eq!(status(revoke).await, StatusCode::OK);
    assert_eq!(read(&theirs[0]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(write(&theirs[1]).await, StatusCode::UNAUTHORIZED);
    // The server that refused a write with the key also refuses its reads.
    assert_eq!(read(&theirs[1]).await, StatusCode::UNAUTHORIZED);
    // The third server gets only requests that it refuses without the database.
    let bad = async |api: &Api| status(api.get("/api/v1/todos?bogus=1")).await;
    until("the third server has forgotten the key", async || {
        bad(&theirs[2]).await == StatusCode::UNAUTHORIZED
    })
    .await;
    assert_eq!(read(&theirs[2]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(write(&theirs[2]).await, StatusCode::UNAUTHORIZED);
    let todos = folder.count("todos").await;
    assert_eq!(todos, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_counted_by_three_servers_adds_up() {
    const CALLS: i64 = 10;
    let folder = WorkFolder::on_postgres().await;
    let servers = servers(&folder);
    let key = folder.operator_key();
    for server in &servers {
        let api = server.client(&key);
        for _ in 0..CALLS {
            api.read("/api/v1/sessions").await;
        }
    }
    for server in servers {
        server.stop();
    }
    let db = folder.database().await;
    let sql = "SELECT CAST(SUM(calls) AS BIGINT) FROM usage WHERE account_id = 1";
    let sum = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(sum).await.unwrap().unwrap();
    let calls: i64 = row.try_get_by_index(0).unwrap();
    assert_eq!(calls, CALLS * i64::try_from(SERVERS).unwrap());
    db.close().await.unwrap();
}

/// Claims todos until nothing is left or its server is gone, and answers which ones, each with the
/// token of its claim. An answer that was lost is asked for again, by its idempotency key.
async fn claim_until_nothing_is_left(apis: Vec<Api>, caller: usize) -> Vec<(i64, i64)> {
    let mut mine = Vec::new();
    let mut at = caller % apis.len();
    for number in 0.. {
        let answer = loop {
            let request = apis[at].post("/api/v1/todos/claim", &json!({ "lease_seconds": 600 }));
            let name = format!("{caller}-{number}");
            let answer = async {
                let answer = request.header("Idempotency-Key", name).send().await?;
                Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
            };
            match answer.await {
                Ok((status, body)) if status.is_success() => break (status, body),
                Ok((status, body)) => {
                    assert!(status.is_server_error() || status == 409, "{status} {body}");
                }
                // Its server was killed: another one is asked.
                Err(_) => at = (at + 1) % apis.len(),
            }
        };
        let (status, body) = answer;
        if status == StatusCode::NO_CONTENT {
            return mine;
        }
        let todo: Value = serde_json::from_str(&body).unwrap();
        let token = todo["claim"]["token"].as_i64().unwrap();
        mine.push((todo["todo_id"].as_i64().unwrap(), token));
    }
    mine
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_three_servers_claim_each_todo_once_though_one_server_is_killed() {
    const TODOS: i64 = 1_000;
    const CLAIMERS: usize = 64;
    let folder = WorkFolder::on_postgres().await;
    let mut servers = servers(&folder);
    let key = folder.operator_key();
    let apis: Vec<_> = servers.iter().map(|server| server.client(&key)).collect();
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let apis = apis.clone();
        callers.spawn(async move {
            for _ in 0..TODOS / 8 {
                let api = &apis[caller % apis.len()];
                let body = json!({ "title": "one of many" });
                let made = api.post("/api/v1/todos", &body).send().await.unwrap();
                assert_eq!(made.status(), StatusCode::CREATED);
            }
        });
    }
    callers.join_all().await;

    let mut claimers = JoinSet::new();
    for caller in 0..CLAIMERS {
        claimers.spawn(claim_until_nothing_is_left(apis.clone(), caller));
    }
    until("some are claimed", async || {
        let claimed = apis[0].read("/api/v1/todos?status=in_progress&limit=1").await;
        claimed["total"].as_i64().unwrap() >= TODOS / 4
    })
    .await;
    let mut killed = servers.pop().unwrap();
    killed.signal(Signal::SIGKILL);
    killed.end();
    let mut claimed: Vec<_> = claimers.join_all().await.into_iter().flatten().collect();
    claimed.sort_unstable();
    assert_eq!(claimed, (1..=TODOS).map(|id| (id, 1)).collect::<Vec<_>>());

    // Their leases end, by the clock of the database.
    let db = folder.database().await;
    let end = "UPDATE claim_deadlines SET until_at = until_at - 800000000";
    db.execute_unprepared(end).await.unwrap();
    let mut claimers = JoinSet::new();
    for caller in CLAIMERS..2 * CLAIMERS {
        claimers.spawn(claim_until_nothing_is_left(apis[..2].to_vec(), caller));
    }
    let mut claimed: Vec<_> = claimers.join_all().await.into_iter().flatten().collect();
    claimed.sort_unstable();
    assert_eq!(claimed, (1..=TODOS).map(|id| (id, 2)).collect::<Vec<_>>());
    db.close().await.unwrap();
    drop(servers);
    let verified = folder.run(&["verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}
