//! Looks at the two databases before anything is written: is one of them an empty database of a
//! cluster, and can the two be compared?

use std::path::Path;
use std::process::Command;

use crate::process::{self, ProcessError};

/// The versions, as PostgreSQL tells them: none without the extension.
const CITUS: &str = "SELECT extversion FROM pg_extension WHERE extname = 'citus'";
/// One row: the group of the node, the workers that may hold accounts, and the database's tables.
const STATE: &str = "SELECT \
    (SELECT groupid FROM pg_dist_local_group), \
    (SELECT count(*) FROM pg_dist_node \
        WHERE groupid <> 0 AND noderole = 'primary' AND isactive AND shouldhaveshards), \
    (SELECT count(*) FROM pg_tables WHERE schemaname = ANY (current_schemas(false)))";
const SERVER_VERSION: &str = "SELECT split_part(current_setting('server_version'), ' ', 1)";
const FSYNC: &str = "SHOW fsync";
const FSYNC_OF_NODES: &str = "SELECT string_agg(DISTINCT result, ' or ') \
    FROM run_command_on_all_nodes('SHOW fsync')";

/// Why a database can't be measured as a cluster.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClusterError {
    #[error(
        "the database of --cluster does not have the extension citus; create it on all nodes, and \
         add the workers"
    )]
    NoExtension,
    #[error("the database of --cluster is on a worker; give the URL of the coordinator")]
    Worker,
    #[error(
        "the coordinator of --cluster knows no worker that may hold accounts; add one with \
         citus_add_node"
    )]
    NoWorkers,
    #[error(
        "the database of --cluster has {0} tables; the benchmark fills an empty one, so create \
         another database on all nodes"
    )]
    NotEmpty(usize),
    #[error("psql printed an unexpected answer about the cluster: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// What the results tell of the two databases.
#[derive(Debug)]
pub(super) struct Databases {
    pub(super) workers: usize,
    /// The versions of Citus, of the coordinator and of the plain PostgreSQL.
    pub(super) citus: String,
    pub(super) coordinator: String,
    pub(super) plain: String,
    /// A remark, if the two can't be compared or do not keep what they confirm.
    pub(super) remark: Option<String>,
}

/// Looks at the database of a cluster, and at the plain one that it is compared with.
///
/// # Errors
/// The first is no empty database of a cluster, or a database does not answer.
pub(super) fn look(programs: &Path, cluster: &str, plain: &str) -> Result<Databases, ClusterError> {
    let ask = |statement: &str, url: &str| {
        let mut psql = Command::new(programs.join("psql"));
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", statement, url]);
        Ok::<_, ProcessError>(process::output("psql", &mut psql)?.trim().to_owned())
    };
    let citus = ask(CITUS, cluster)?;
    if citus.is_empty() {
        return Err(ClusterError::NoExtension);
    }
    let workers = workers_of_empty(&ask(STATE, cluster)?)?;
    Ok(Databases {
        workers,
        citus,
        coordinator: ask(SERVER_VERSION, cluster)?,
        plain: ask(SERVER_VERSION, plain)?,
        remark: fsync_remark(&ask(FSYNC, plain)?, &ask(FSYNC_OF_NODES, cluster)?),
    })
}

/// Reads the answer to [`STATE`]. Returns the number of workers.
fn workers_of_empty(state: &str) -> Result<usize, ClusterError> {
    let numbers: Vec<usize> = state.split('|').filter_map(|text| text.parse().ok()).collect();
    match numbers[..] {
        [0, 0, _] => Err(ClusterError::NoWorkers),
        [0, workers, 0] => Ok(workers),
        [0, _, tables] => Err(ClusterError::NotEmpty(tables)),
        [_, _, _] => Err(ClusterError::Worker),
        _ => Err(ClusterError::Unreadable(state.to_owned())),
    }
}

/// A remark on servers that do not wait for their disk.
fn fsync_remark(plain: &str, cluster: &str) -> Option<String> {
    match (plain, cluster) {
        ("on", "on") => None,
        _ if plain == cluster => {
            Some(format!("fsync is {plain} on both sides, so no write was durable."))
        }
        _ => Some(format!(
            "fsync is {plain} on the plain PostgreSQL and {cluster} on the nodes of the cluster. \
             The ratios mean nothing."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_database_on_a_coordinator_with_workers_is_measured() {
        assert_eq!(workers_of_empty("0|2|0").unwrap(), 2);
        let refused = |state| workers_of_empty(state).unwrap_err().to_string();
        assert!(refused("0|0|0").contains("citus_add_node"));
        assert!(refused("0|2|25").contains("has 25 tables"));
        assert!(refused("3|2|0").contains("the URL of the coordinator"));
        assert!(refused("0||0").ends_with(": 0||0"));
    }

    #[test]
    fn servers_that_do_not_wait_for_their_disk_give_a_remark() {
        assert_eq!(fsync_remark("on", "on"), None);
        assert!(fsync_remark("off", "off").unwrap().contains("on both sides"));
        let remark = fsync_remark("off", "on").unwrap();
        assert!(remark.starts_with("fsync is off on the plain PostgreSQL and on on"), "{remark}");
        assert!(fsync_remark("on", "off or on").unwrap().ends_with("mean nothing."));
    }
}
