//! A Citus cluster that the tests run on instead of one PostgreSQL server, and its nodes.
//!
//! `ROOTS_TEST_CLUSTER` is the URL of a database on the coordinator, as a superuser. That database
//! has the extension, and knows the nodes.

use std::env;

use roots_domain::model::id::AccountId;
use roots_persistence::DatabaseUrl;
use sea_orm::ConnectionTrait;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::connection::{connect, rows};

/// Shards for each worker. Making a database takes longer with more.
const SHARDS_PER_WORKER: usize = 2;

/// A server of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its host, as the other nodes know it.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Whether it is the coordinator.
    pub is_coordinator: bool,
}

impl ClusterNode {
    /// The name by which `/ready` tells of it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The URL of a database on this node, from the URL of a database on another one.
    #[must_use]
    pub fn url(&self, url: &str, database: &str) -> String {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (authority, path) = rest.split_once('/').expect("a URL with a database");
        let user = authority.rsplit_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
        let parameters = path.split_once('?').map_or(String::new(), |(_, all)| format!("?{all}"));
        format!("{scheme}://{user}{}/{database}{parameters}", self.name())
    }
}

/// The cluster of the tests.
#[derive(Debug)]
pub struct Cluster {
    url: String,
    /// Its nodes. The coordinator is the first one.
    pub nodes: Vec<ClusterNode>,
}

impl Cluster {
    /// The cluster that the tests run on, if they do not run on one server.
    pub async fn of_tests() -> Option<&'static Self> {
        static CLUSTER: OnceCell<Option<Cluster>> = OnceCell::const_new();
        CLUSTER.get_or_init(Self::find).await.as_ref()
    }

    async fn find() -> Option<Self> {
        let url = env::var("ROOTS_TEST_CLUSTER").ok()?;
        let nodes = nodes(&url).await;
        assert!(
            nodes.first().is_some_and(|node| node.is_coordinator) && nodes.len() > 1,
            "{url} must know its coordinator and a worker, but it knows {nodes:?}"
        );
        Some(Self { url, nodes })
    }

    /// Makes an empty database on each node, of which the nodes know each other.
    pub(crate) async fn create(&'static self, name: String) -> ClusterDatabase {
        let mut made = JoinSet::new();
        for node in &self.nodes {
            let (server, database) = (node.url(&self.url, "postgres"), node.url(&self.url, &name));
            let create = format!("CREATE DATABASE {name}");
            made.spawn(async move {
                run(&server, &[&create]).await;
                run(&database, &["CREATE EXTENSION citus"]).await;
            });
        }
        made.join_all().await;
        let database = ClusterDatabase { cluster: self, name };
        let [coordinator, workers @ ..] = &self.nodes[..] else { return database };
        let at = |node: &ClusterNode| format!("'{}', {}", node.host, node.port);
        let mut steps = vec![format!("SELECT citus_set_coordinator_host({})", at(coordinator))];
        steps.extend(workers.iter().map(|node| format!("SELECT citus_add_node({})", at(node))));
        run(&database.url(), &steps.iter().map(String::as_str).collect::<Vec<_>>()).await;
        database
    }
}

/// The nodes that a database knows, the coordinator first.
async fn nodes(url: &str) -> Vec<ClusterNode> {
    let db = connect(url).await;
    let known = "SELECT CAST(nodename AS TEXT), CAST(nodeport AS INTEGER), groupid = 0 \
        FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid";
    let found = rows::<(String, i32, bool)>(&db, known).await;
    db.close().await.expect("closing the connection");
    let node = |(host, port, is_coordinator)| ClusterNode { host, port, is_coordinator };
    found.into_iter().map(node).collect()
}

/// The node that holds an account.
pub async fn node_of(url: &str, account: AccountId) -> ClusterNode {
    let db = connect(url).await;
    let placed = format!(
        "SELECT CAST(n.nodename AS TEXT), CAST(n.nodeport AS INTEGER), n.groupid = 0 \
         FROM pg_dist_placement AS p JOIN pg_dist_node AS n ON n.groupid = p.groupid \
         WHERE n.noderole = 'primary' \
         AND p.shardid = get_shard_id_for_distribution_column('accounts', {account})"
    );
    let mut found = rows::<(String, i32, bool)>(&db, &placed).await;
    db.close().await.expect("closing the connection");
    let (host, port, is_coordinator) = found.pop().expect("a placement of the account's shard");
    ClusterNode { host, port, is_coordinator }
}

async fn run(url: &str, statements: &[&str]) {
    let db = connect(url).await;
    for statement in statements {
        db.execute_unprepared(statement).await.expect("a step of making a database");
    }
    db.close().await.expect("closing the connection");
}

/// A database on each node. It is dropped with this value, which the caller's cluster outlives.
#[derive(Debug)]
pub struct ClusterDatabase {
    cluster: &'static Cluster,
    name: String,
}

impl ClusterDatabase {
    /// Its URL on the coordinator.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_on(&self.cluster.nodes[0])
    }

    /// Its URL on a node.
    #[must_use]
    pub fn url_on(&self, node: &ClusterNode) -> String {
        node.url(&self.cluster.url, &self.name)
    }

    /// Its nodes, the coordinator first.
    #[must_use]
    pub fn nodes(&self) -> &'static [ClusterNode] {
        &self.cluster.nodes
    }

    /// Makes the tables and spreads them.
    pub(crate) async fn distribute(&self) {
        let url = DatabaseUrl::parse(&self.url()).expect("a database URL");
        let shards = SHARDS_PER_WORKER * (self.nodes().len() - 1);
        let shards = u32::try_from(shards).expect("a few workers");
        roots_persistence::distribute(&url, shards).await.expect("tables that are spread");
    }
}

impl Drop for ClusterDatabase {
    /// A node that is away keeps its database.
    fn drop(&mut self) {
        let drop_it = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let (url, nodes) = (self.cluster.url.clone(), self.nodes());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                for node in nodes {
                    let server = node.url(&url, "postgres");
                    let statement = drop_it.clone();
                    // It fails in a task of its own.
                    let _ = tokio::spawn(async move { run(&server, &[&statement]).await }).await;
                }
            });
        });
        // The test is over.
        let _ = dropped.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_node_keeps_the_user_and_the_parameters() {
        let node = ClusterNode { host: "b".to_owned(), port: 2, is_coordinator: false };
        for (url, expected) in [
            ("postgres://u:p@a:1/one", "postgres://u:p@b:2/two"),
            ("postgres://a/one?sslmode=disable", "postgres://b:2/two?sslmode=disable"),
        ] {
            assert_eq!(node.url(url, "two"), expected);
        }
    }
}
