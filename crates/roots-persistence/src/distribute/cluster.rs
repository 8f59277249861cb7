//! A cluster, as its catalogue and its machines describe it.

use std::collections::BTreeMap;
use std::fmt;

/// The column by which tenants' tables are distributed.
pub(super) const TENANT: &str = "account_id";
/// The table that the others are colocated with.
pub(super) const FIRST_TABLE: &str = "accounts";
/// The shared table, which stays on the coordinator but is known to all nodes.
pub(super) const DIRECTORY: &str = "directory";

/// How the nodes of a cluster reach a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeName {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: i32,
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A database, and the cluster that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cluster {
    /// The role that asks.
    pub(super) role: String,
    /// The name of the database.
    pub(super) database: String,
    /// The version of the extension here, if it was created.
    pub(super) extension: Option<String>,
    /// Whether this is the coordinator and not a worker.
    pub(super) is_coordinator: bool,
    pub(super) nodes: Vec<Node>,
    pub(super) tables: Vec<Table>,
    pub(super) shards: Shards,
    /// Pairs of nodes of which the first does not reach the second.
    pub(super) apart: Vec<(NodeName, NodeName)>,
}

/// A machine of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: NodeName,
    pub(super) is_coordinator: bool,
    pub(super) state: NodeState,
    /// Whether new shards may be placed on it.
    pub(super) takes_shards: bool,
    /// What it said of itself.
    pub(super) report: Report,
}

/// How far a node is part of its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeState {
    Inactive,
    /// It does not know where all shards are.
    WithoutMetadata,
    Ready,
}

/// What a node said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    /// Nobody asked: inactive nodes are not asked.
    None,
    /// It was not reached.
    Unreachable(String),
    /// The version of its extension and its settings, in PostgreSQL's base units.
    Answered { extension: Option<String>, settings: BTreeMap<String, String> },
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    /// Whether it has the column of tenants.
    pub(super) is_tenants: bool,
    pub(super) placement: Placement,
    /// Whether rows remain on the coordinator, from before it was distributed.
    pub(super) has_local_rows: bool,
}

/// Where the rows of a table are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Placement {
    /// On this machine, and no other knows it.
    Plain,
    /// On the coordinator, and all nodes know it.
    Local,
    /// A copy on each node.
    Reference,
    /// Spread by a column.
    Distributed { column: String, colocation: i32 },
}

/// The shards of accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shards {
    pub(super) all: i64,
    pub(super) on_coordinator: i64,
}

impl Cluster {
    /// The nodes that hold accounts.
    pub(super) fn workers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| !node.is_coordinator)
    }

    /// The group of tables that accounts belong to, if they are spread.
    pub(super) fn colocation(&self) -> Option<i32> {
        colocation(&self.tables)
    }
}

/// The group of tables that accounts belong to, if they are spread.
pub(super) fn colocation(tables: &[Table]) -> Option<i32> {
    let accounts = tables.iter().find(|table| table.name == FIRST_TABLE)?;
    match accounts.placement {
        Placement::Distributed { colocation, .. } => Some(colocation),
        _ => None,
    }
}
