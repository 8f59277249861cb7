//! A store on a cluster: each account is served by its node, and a lost node harms only its own.
//!
//! The nodes are proxies to one PostgreSQL whose catalogue looks like that of Citus.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use roots_domain::command::{Action, Command, SystemAction};
use roots_domain::model::id::{AccountId, SessionId};
use roots_domain::model::page::PageRequest;
use roots_domain::model::session::SessionWindow;
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::port::store::{
    AccountReader, Admission, ApplyError, CommandStore, EventReader, Placement, Readiness,
    SessionQuery, SessionReader, StoreError, Verifier, by_server,
};
use roots_testkit::commands::Issuer;
use roots_testkit::database::{TestDatabase, until};

/// Accounts on each of two nodes, the first node's first.
async fn accounts_of_two_nodes(db: &TestDatabase) -> [Vec<Issuer>; 2] {
    let mut found = [Vec::new(), Vec::new()];
    while found.iter().any(|of_node| of_node.len() < 2) {
        let issuer = Issuer::new(&db.store, 100).await;
        found[db.store.server_of(issuer.account)].push(issuer);
    }
    found
}

async fn write(db: &TestDatabase, issuer: &Issuer) -> Result<(), ApplyError> {
    db.store.apply(issuer.create_todo("a")).await.map(|_| ())
}

fn is_away<T>(answer: &Result<T, ApplyError>) -> bool {
    matches!(
        answer,
        Err(ApplyError::Store(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)))
    )
}

/// The statements with parameters that a node was sent.
fn prepared(db: &TestDatabase, node: usize) -> usize {
    db.nodes[node].statements().iter().filter(|sql| sql.contains("$1")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_and_reads_of_an_account_go_to_its_node() {
    let db = TestDatabase::as_if_spread(2).await;
    let [first, _] = accounts_of_two_nodes(&db).await;
    for node in &db.nodes {
        node.forget();
    }
    db.sql_proxy.as_ref().unwrap().forget();
    write(&db, &first[0]).await.unwrap();
    assert!(db.store.account(first[0].account).await.unwrap().is_some());
    assert!(prepared(&db, 0) > 3, "{:?}", db.nodes[0].statements());
    assert_eq!(prepared(&db, 1), 0, "{:?}", db.nodes[1].statements());
    let central = db.sql_proxy.as_ref().unwrap().statements();
    assert!(central.iter().all(|sql| sql.contains("pg_dist_")), "{central:?}");
    assert_eq!(db.store.ping().await, Ok(Vec::new()));
    assert_eq!(db.store.verify().await.unwrap().1, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_node_harms_its_own_accounts_alone_until_it_is_back() {
    let db = TestDatabase::as_if_spread(2).await;
    let [ours, lost] = accounts_of_two_nodes(&db).await;
    db.nodes[1].cut(true);
    let name = format!("127.0.0.1:{}", db.nodes[1].port);
    until("the node is known to be away", async || db.store.ping().await == Ok(vec![name.clone()]))
        .await;
    for issuer in &lost {
        assert!(is_away(&write(&db, issuer).await));
        assert!(db.store.account(issuer.account).await.is_err());
    }
    for issuer in &ours {
        write(&db, issuer).await.unwrap();
        assert!(db.store.account(issuer.account).await.unwrap().is_some());
    }
    // The states of all accounts are asked for server by server, and so are counts of calls.
    let all: Vec<_> = ours.iter().chain(&lost).map(|issuer| issuer.account).collect();
    let groups = by_server(&db.store, all, |account| *account);
    let mut told = Vec::new();
    for group in &groups {
        told.push(db.store.account_states(group).await.is_ok());
    }
    assert_eq!(told, [true, false]);
    db.nodes[1].cut(false);
    until("the node is back", async || db.store.ping().await == Ok(Vec::new())).await;
    for issuer in &lost {
        write(&db, issuer).await.unwrap();
    }
    assert_eq!(db.store.verify().await.unwrap().1, []);
}

/// The statements on tables of shards that a node was sent.
fn on_shards(db: &TestDatabase, node: usize) -> usize {
    let of_shard = |sql: &&String| sql.contains("pg_dist_placement AS place");
    db.nodes[node].statements().iter().filter(of_shard).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_read_from_the_tables_of_its_shard_as_long_as_that_is_there() {
    let db = TestDatabase::as_if_spread(2).await;
    let [ours, theirs] = accounts_of_two_nodes(&db).await;
    for issuer in ours.iter().chain(&theirs) {
        write(&db, issuer).await.unwrap();
        db.store.apply(issuer.start_session()).await.unwrap();
    }
    let (actor, status) = (None, None);
    let window = SessionWindow::Started(TimeRange::default());
    let page = PageRequest::skipping(0, 10);
    let read = async |issuer: &Issuer| {
        let by = Admission { account: issuer.account, auth_epoch: Some(issuer.auth_epoch) };
        let one = db.store.session(by, SessionId(1)).await.unwrap();
        let all =
            db.store.sessions(&SessionQuery { by, actor, status, window, page }).await.unwrap();
        (one.unwrap().id, all.total, all.items.len())
    };
    for (node, accounts) in [(0, &ours), (1, &theirs)] {
        db.nodes[node].forget();
        for issuer in accounts {
            assert_eq!(read(issuer).await, (SessionId(1), 1, 1));
        }
        let sent = db.nodes[node].statements();
        assert!(on_shards(&db, node) >= 2, "{sent:?}");
        assert_eq!(prepared(&db, node), on_shards(&db, node), "{sent:?}");
    }
    // The store learns of a move by the map, at most 2 s later. Until then it asks Citus.
    db.move_shard(ours[0].account, 1).await;
    db.nodes[0].forget();
    let by = Admission { account: ours[0].account, auth_epoch: Some(ours[0].auth_epoch) };
    let found = db.store.session(by, SessionId(1)).await.unwrap();
    assert_eq!(found.unwrap().id, SessionId(1));
    // The node may not have been asked at all, if the map was read just now.
    let sent = db.nodes[0].statements();
    let by_citus = |sql: &&String| sql.contains(r#"FROM "sessions" WHERE"#);
    let asked = sent.iter().filter(|sql| sql.contains("sessions")).collect::<Vec<_>>();
    assert!(asked.is_empty() || asked.iter().any(by_citus), "{asked:?}");

    assert_eq!(db.store.session(by, SessionId(9)).await, Ok(None));
    let by = Admission { auth_epoch: Some(ours[0].auth_epoch + 1), ..by };
    assert_eq!(db.store.session(by, SessionId(1)).await, Err(StoreError::EpochMoved));
}

/// Which tables a node has inserted todos into: that of all accounts, by Citus, or those of shards.
fn inserted_into(db: &TestDatabase, node: usize) -> BTreeSet<bool> {
    let sent = db.nodes[node].statements();
    let of_all = |sql: &&String| sql.contains(r#"INSERT INTO "todos""#);
    let of_shards = |sql: &&String| sql.contains("INSERT INTO todos_");
    let by_citus = sent.iter().find(of_all).map(|_| false);
    by_citus.into_iter().chain(sent.iter().find(of_shards).map(|_| true)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_written_in_the_tables_of_its_shard_as_long_as_that_is_there() {
    let db = TestDatabase::as_if_spread(2).await;
    let [ours, theirs] = accounts_of_two_nodes(&db).await;
    for (node, accounts) in [(0, &ours), (1, &theirs)] {
        db.nodes[node].forget();
        let written = join_all(accounts.iter().map(|issuer| write(&db, issuer))).await;
        assert!(written.iter().all(Result::is_ok), "{written:?}");
        assert_eq!(inserted_into(&db, node), [true].into(), "{:?}", db.nodes[node].statements());
    }
    // The store learns of a move by the map, at most 2 s later. Until then it writes by Citus.
    db.move_shard(ours[0].account, 1).await;
    for node in &db.nodes {
        node.forget();
    }
    write(&db, &ours[0]).await.unwrap();
    let into = inserted_into(&db, 0);
    // The node may not have been asked at all, if the map was read just now.
    assert!(into == [false].into() || into.is_empty(), "{:?}", db.nodes[0].statements());
    assert_eq!(db.store.verify().await.unwrap().1, []);
}

/// The limit is far above what it takes: it tells a refusal from a time-out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_of_a_node_that_is_away_are_refused_at_once() {
    let db = TestDatabase::as_if_spread(2).await;
    let [_, lost] = accounts_of_two_nodes(&db).await;
    db.nodes[1].cut(true);
    until("the node is known to be away", async || db.store.ping().await != Ok(Vec::new())).await;
    let begun = Instant::now();
    for _ in 0..200 {
        assert!(is_away(&write(&db, &lost[0]).await));
        assert!(db.store.account(lost[0].account).await.is_err());
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_node_or_without_the_coordinator_the_database_is_not_ready() {
    let db = TestDatabase::as_if_spread(2).await;
    let [ours, _] = accounts_of_two_nodes(&db).await;
    let coordinator = db.sql_proxy.as_ref().unwrap();
    coordinator.cut(true);
    until("the coordinator is away", async || db.store.ping().await.is_err()).await;
    // Accounts need it only to be made.
    write(&db, &ours[0]).await.unwrap();
    let reserve = Action::System(SystemAction::ReserveAccount);
    let reserved = db.store.apply(Command::uncharged(reserve, Timestamp::FIRST)).await;
    assert!(is_away(&reserved), "{reserved:?}");
    coordinator.cut(false);
    until("it is back", async || db.store.ping().await == Ok(Vec::new())).await;
    Issuer::new(&db.store, 1).await;
    for node in &db.nodes {
        node.cut(true);
    }
    until("all nodes are away", async || db.store.ping().await.is_err()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_accounts_of_a_moved_shard_are_served_by_its_new_node() {
    let db = TestDatabase::as_if_spread(2).await;
    let [ours, _] = accounts_of_two_nodes(&db).await;
    let moved = ours[0].account;
    assert_eq!(db.store.server_of(moved), 0);
    db.move_shard(moved, 1).await;
    until("the store knows the new node", async || db.store.server_of(moved) == 1).await;
    db.nodes[0].cut(true);
    write(&db, &ours[0]).await.unwrap();
    assert_eq!(db.store.verify().await.unwrap().1, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_starts_while_a_node_is_away() {
    let db = TestDatabase::as_if_spread(2).await;
    let [ours, lost] = accounts_of_two_nodes(&db).await;
    db.nodes[1].cut(true);
    let other = db.another_store().await;
    other.apply(ours[0].create_todo("a")).await.unwrap();
    assert!(is_away(&other.apply(lost[0].create_todo("a")).await));
    db.nodes[1].cut(false);
    until("the node is back", async || other.ping().await == Ok(Vec::new())).await;
    other.apply(lost[0].create_todo("a")).await.unwrap();
    other.close().await;
}

/// Batches of several accounts use the forms of statements that Citus takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_stores_on_a_cluster_write_the_same_accounts() {
    let db = TestDatabase::as_if_spread(2).await;
    crate::processes::several_stores_write_the_same_accounts_without_errors_or_deadlocks(db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_stores_on_a_cluster_spend_each_credit_once() {
    let db = TestDatabase::as_if_spread(3).await;
    crate::processes::several_stores_spend_each_credit_of_a_balance_once(db).await;
}

/// Grants concern the operator's account and another one, which may be on another node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_grant_suspend_and_erase_across_nodes() {
    let db = TestDatabase::as_if_spread(2).await;
    let context = db.context();
    let operator = context
        .admit(&context.found_of(roots_domain::model::account::AccountKind::Operator, 0).await)
        .await;
    let mut servers = BTreeSet::new();
    while servers.len() < 2 {
        let founded = context.found(10).await;
        let account: AccountId = founded.account;
        servers.insert(db.store.server_of(account));
        let page = roots_domain::model::page::PageRequest::default();
        let listed = context.operators.list(&operator, page).await.unwrap();
        assert_eq!(listed.items[0].account.id, account);
    }
    assert_eq!(db.store.verify().await.unwrap().1, []);
}
