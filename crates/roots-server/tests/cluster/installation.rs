//! Servers on a cluster, with accounts on each worker.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;
use roots_domain::model::id::AccountId;
use roots_testkit::cluster::{ClusterDatabase, ClusterNode, node_of};
use roots_testkit::connection::connect;
use roots_testkit::program::{Api, Server, WorkFolder, text};
use sea_orm::ConnectionTrait;
use serde_json::Value;

/// More than a test spends.
const CREDITS: &str = "1000000";
/// How many accounts each worker holds at least.
const ACCOUNTS_PER_WORKER: usize = 2;
/// So many accounts do not all miss one of a few workers.
const ACCOUNTS_MAX: usize = 40;
/// How soon a loss is told, and how soon all is well after a return.
pub(crate) const SOON: Duration = Duration::from_secs(2);

/// An account and the worker that holds it.
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) key: String,
    pub(crate) node: ClusterNode,
}

/// A new database on the cluster, and servers on it.
pub(crate) struct Installation {
    pub(crate) folder: WorkFolder,
    pub(crate) servers: Vec<Server>,
    pub(crate) accounts: Vec<Account>,
}

impl Installation {
    /// A database with accounts and no servers.
    pub(crate) async fn with_accounts() -> Self {
        let folder = WorkFolder::on_postgres().await;
        let first = folder.serve();
        let mut accounts = Vec::new();
        loop {
            let workers = workers(cluster(&folder));
            let has_enough = |node: &ClusterNode| {
                let on_it = accounts.iter().filter(|account: &&Account| account.node == *node);
                on_it.count() >= ACCOUNTS_PER_WORKER
            };
            if workers.iter().all(has_enough) {
                break;
            }
            assert!(accounts.len() < ACCOUNTS_MAX, "a worker without shards");
            let (key, _) = folder.bootstrap(&[]);
            let caller = first.client(&key).read("/api/v1/whoami").await;
            let id = AccountId(caller["account_id"].as_i64().unwrap());
            let granted = id.to_string();
            let grant = ["credits", "grant", "--account", &granted, "--amount", CREDITS];
            let granted = folder.run(&grant);
            assert!(granted.status.success(), "{}", text(&granted.stderr));
            let node = node_of(&folder.database_url(), id).await;
            accounts.push(Account { id, key, node });
        }
        first.stop();
        Self { folder, servers: Vec::new(), accounts }
    }

    /// The same with that many servers.
    pub(crate) async fn start(servers: usize) -> Self {
        let mut all = Self::with_accounts().await;
        all.servers = (0..servers).map(|_| all.folder.serve()).collect();
        all
    }

    pub(crate) fn cluster(&self) -> &ClusterDatabase {
        cluster(&self.folder)
    }

    pub(crate) fn coordinator(&self) -> &ClusterNode {
        &self.cluster().nodes()[0]
    }

    pub(crate) fn workers(&self) -> &[ClusterNode] {
        workers(self.cluster())
    }

    /// A client of each server for an account.
    pub(crate) fn clients(&self, account: &Account) -> Vec<Api> {
        self.servers.iter().map(|server| server.client(&account.key)).collect()
    }

    /// Waits until all servers answer `/ready` with this status and these fields, and returns how
    /// long that took. Panics if it took longer than `limit`.
    pub(crate) async fn until_ready_is(
        &self,
        status: StatusCode,
        fields: &Value,
        limit: Duration,
    ) -> Duration {
        let begun = Instant::now();
        let told = self.servers.iter().map(|server| until_ready_is(server, status, fields, limit));
        join_all(told).await;
        begun.elapsed()
    }

    /// Runs a statement on the coordinator.
    pub(crate) async fn run_on_coordinator(&self, sql: &str) {
        let db = connect(&self.folder.database_url()).await;
        db.execute_unprepared(sql).await.unwrap();
        db.close().await.unwrap();
    }

    /// Stops the servers and checks the database.
    pub(crate) fn end(&mut self) {
        for server in self.servers.drain(..) {
            server.stop();
        }
        let verified = self.folder.run(&["verify"]);
        assert!(verified.status.success(), "{}", text(&verified.stdout));
    }
}

async fn until_ready_is(server: &Server, status: StatusCode, fields: &Value, limit: Duration) {
    let begun = Instant::now();
    loop {
        let answer = server.client("").get("/ready").send().await.unwrap();
        let told = (answer.status(), answer.json::<Value>().await.unwrap());
        let mut fields = fields.as_object().unwrap().iter();
        let took = begun.elapsed();
        assert!(took < limit, "{told:?} after {took:?}");
        if told.0 == status && fields.all(|(name, value)| told.1[name] == *value) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn cluster(folder: &WorkFolder) -> &ClusterDatabase {
    folder.cluster.as_ref().expect("`cargo xtask test --cluster URL` runs these tests")
}

fn workers(cluster: &ClusterDatabase) -> &[ClusterNode] {
    &cluster.nodes()[1..]
}
