//! What a cluster lacks, and the words for it: what to type, and as whom.

use std::fmt;

use super::cluster::NodeName;

/// Something that a cluster lacks. A node that is `None` is the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The extension was not created.
    NoExtension {
        /// The machine.
        node: Option<NodeName>,
        /// The database.
        database: String,
    },
    /// The extension is too old.
    OldExtension {
        /// The machine.
        node: Option<NodeName>,
        /// The database.
        database: String,
        /// Its version.
        version: String,
    },
    /// The URL leads to a worker.
    NotCoordinator,
    /// The workers do not know the coordinator.
    CoordinatorUnknown,
    /// The coordinator knows no worker.
    NoWorkers {
        /// The role that each worker needs.
        role: String,
        /// The database that each worker needs.
        database: String,
    },
    /// A node is not in use.
    Inactive {
        /// The machine.
        node: NodeName,
    },
    /// The coordinator does not reach a node.
    Unreachable {
        /// The machine.
        node: NodeName,
        /// The role.
        role: String,
        /// The database.
        database: String,
        /// What Citus said.
        cause: String,
    },
    /// A node does not reach another.
    Apart {
        /// The machine that tries.
        from: NodeName,
        /// The machine that it does not reach.
        to: NodeName,
        /// The role.
        role: String,
    },
    /// A node does not know where all shards are.
    NoMetadata {
        /// The machine.
        node: NodeName,
    },
    /// New shards may be placed on the coordinator.
    CoordinatorTakesShards {
        /// The coordinator.
        node: NodeName,
    },
    /// Shards are on the coordinator.
    ShardsOnCoordinator {
        /// The coordinator.
        node: NodeName,
        /// The number of shards of accounts there.
        shards: i64,
    },
    /// There is no schema yet.
    NoTables,
    /// A table is not spread.
    NotSpread {
        /// The table.
        table: String,
    },
    /// A table is spread in another way.
    SpreadOtherwise {
        /// The table.
        table: String,
    },
    /// The coordinator still has the rows of a table that is spread.
    CopyLeft {
        /// The table.
        table: String,
    },
    /// Some workers can't hold accounts.
    TooFewShards {
        /// The number of shards.
        shards: i64,
        /// The number of workers.
        workers: usize,
    },
    /// A setting that a node needs.
    Setting {
        /// The machine.
        node: Option<NodeName>,
        /// The setting.
        name: &'static str,
        /// Its value, with its unit, if it is known.
        value: Option<String>,
        /// What it should be.
        wanted: &'static str,
        /// Why.
        reason: &'static str,
        /// Whether PostgreSQL reads it only when it starts.
        needs_restart: bool,
        /// Whether Roots works without it.
        is_advice: bool,
    },
}

impl Finding {
    /// Whether all works without it.
    #[must_use]
    pub fn is_advice(&self) -> bool {
        matches!(self, Self::Setting { is_advice: true, .. })
    }

    /// Whether no table can be spread before it is mended, and the program can't mend it.
    pub(super) fn must_come_first(&self) -> bool {
        match self {
            Self::NoExtension { .. }
            | Self::OldExtension { .. }
            | Self::NotCoordinator
            | Self::CoordinatorUnknown
            | Self::NoWorkers { .. }
            | Self::Inactive { .. }
            | Self::Unreachable { .. }
            | Self::NoMetadata { .. }
            | Self::CoordinatorTakesShards { .. } => true,
            Self::Apart { .. }
            | Self::ShardsOnCoordinator { .. }
            | Self::NoTables
            | Self::NotSpread { .. }
            | Self::SpreadOtherwise { .. }
            | Self::CopyLeft { .. }
            | Self::TooFewShards { .. }
            | Self::Setting { .. } => false,
        }
    }
}

/// The name of a machine in a sentence.
struct Place<'a>(Option<&'a NodeName>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("The coordinator"),
            Some(node) => write!(f, "Node {node}"),
        }
    }
}

/// A statement that names a node.
struct Call<'a>(&'a str, &'a NodeName, &'a str);

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(function, NodeName { host, port }, more) = self;
        write!(f, "SELECT {function}('{}', {port}{more});", host.replace('\'', "''"))
    }
}

const ON_COORDINATOR: &str = "As a superuser, in psql on the coordinator's database";

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoExtension { node, database } => write!(
                f,
                "{} has no extension citus in the database {database}. As a superuser, in psql on that database of that machine: CREATE EXTENSION citus;",
                Place(node.as_ref())
            ),
            Self::OldExtension { node, database, version } => write!(
                f,
                "{} has the extension citus {version} in the database {database}, and Roots needs 13.2 or newer. Install the newer packages there and restart PostgreSQL. Then as a superuser, in psql on that database: ALTER EXTENSION citus UPDATE;",
                Place(node.as_ref())
            ),
            Self::NotCoordinator => f.write_str(
                "ROOTS_DATABASE_URL leads to a worker. Set it to the address of the coordinator.",
            ),
            Self::CoordinatorUnknown => write!(
                f,
                "The workers do not know the coordinator. {ON_COORDINATOR}: SELECT citus_set_coordinator_host('NAME', 5432); with the name and the port by which the workers and Roots reach it."
            ),
            Self::NoWorkers { role, database } => write!(
                f,
                "The coordinator has no workers. As a superuser, in psql on each worker: CREATE ROLE {role} LOGIN; CREATE DATABASE {database} OWNER {role}; and, in that database: CREATE EXTENSION citus; Then as a superuser, in psql on the coordinator's database, for each worker: SELECT citus_add_node('NAME', 5432); with the name by which the nodes and Roots reach it."
            ),
            Self::Inactive { node } => write!(
                f,
                "Node {node} is inactive. {ON_COORDINATOR}: {}",
                Call("citus_activate_node", node, "")
            ),
            Self::Unreachable { node, role, database, cause } => write!(
                f,
                "Node {node} can't be reached by the coordinator as {role} in the database {database} ({cause}). See that PostgreSQL runs there, that the role, the database and its extension citus exist, and that pg_hba.conf there and the password file here let the coordinator in."
            ),
            Self::Apart { from, to, role } => write!(
                f,
                "Node {from} does not reach node {to} as {role}. See that its network, pg_hba.conf there and the password file here let it in."
            ),
            Self::NoMetadata { node } => write!(
                f,
                "Node {node} does not know where all shards are. {ON_COORDINATOR}: SELECT start_metadata_sync_to_all_nodes();"
            ),
            Self::CoordinatorTakesShards { node } => write!(
                f,
                "The coordinator may be given shards, and its loss would then harm all accounts at once. {ON_COORDINATOR}: {}",
                Call("citus_set_node_property", node, ", 'shouldhaveshards', false")
            ),
            Self::ShardsOnCoordinator { node, shards } => write!(
                f,
                "The coordinator holds {shards} shards of accounts. {ON_COORDINATOR}: {}",
                Call("citus_drain_node", node, "")
            ),
            Self::NoTables => {
                f.write_str("The database has no tables yet. Run: roots-server distribute")
            }
            Self::NotSpread { table } => write!(
                f,
                "The table {table} is not spread. Stop all Roots processes and run: roots-server distribute"
            ),
            Self::SpreadOtherwise { table } => write!(
                f,
                "The table {table} is spread in another way than Roots needs. Stop all Roots processes. As the owner of the tables, in psql on the coordinator's database: SELECT undistribute_table('{table}', cascade_via_foreign_keys => true); Then run: roots-server distribute"
            ),
            Self::CopyLeft { table } => write!(
                f,
                "The coordinator still has a copy of the rows that the table {table} had before it was spread. Stop all Roots processes and run: roots-server distribute"
            ),
            Self::TooFewShards { shards, workers } => write!(
                f,
                "There are {shards} shards for {workers} workers, so some hold no accounts. Stop all Roots processes. As the owner of the tables, in psql on the coordinator's database: SELECT alter_distributed_table('accounts', shard_count => 32, cascade_to_colocated => true);"
            ),
            Self::Setting { node, name, value, wanted, reason, needs_restart, .. } => {
                let then = if *needs_restart { "restart" } else { "reload" };
                write!(f, "{} has {name}", Place(node.as_ref()))?;
                match value {
                    Some(value) => write!(f, " = {value}")?,
                    None => f.write_str(" not set")?,
                }
                write!(
                    f,
                    ". {reason} Set it to {wanted} in postgresql.conf there and {then} PostgreSQL."
                )
            }
        }
    }
}
