//! Reads a cluster from the catalogue of its coordinator, and from each node over Citus'
//! connections.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, TryGetableMany};

use super::cluster::{
    Cluster, FIRST_TABLE, Node, NodeName, NodeState, Placement, Report, Shards, TENANT, Table,
};

/// The version of the extension, if it was created.
const EXTENSION: &str = "SELECT CAST(extversion AS TEXT) FROM pg_extension WHERE extname = 'citus'";

const IDENTITY: &str = "SELECT CAST(current_user AS TEXT), CAST(current_database() AS TEXT)";

const IS_COORDINATOR: &str = "SELECT groupid = 0 FROM pg_dist_local_group";

const NODES: &str = "SELECT nodeid, nodename, nodeport, groupid = 0, isactive, \
    hasmetadata AND metadatasynced, shouldhaveshards \
    FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid";

/// Each node's answer has a line for each setting and one for the extension.
const REPORTS: &str = "SELECT nodeid, success, COALESCE(result, '') AS result \
    FROM run_command_on_all_nodes($cmd$ \
        SELECT string_agg(name || '=' || setting, E'\\n') FROM ( \
            SELECT name, setting FROM pg_settings WHERE name IN ('max_prepared_transactions', \
                'wal_level', 'citus.recover_2pc_interval', 'citus.node_connection_timeout') \
            UNION ALL SELECT 'extension', extversion FROM pg_extension WHERE extname = 'citus' \
        ) AS told $cmd$)";

const APART: &str = "SELECT from_nodename, from_nodeport, to_nodename, to_nodeport \
    FROM citus_check_cluster_node_health() WHERE NOT result";

/// A node that does not answer by then counts as unreachable. Citus waits for 30 s by default, and
/// warns of what is told as a finding.
const BRIEFLY: &str =
    "SET LOCAL citus.node_connection_timeout = '5s'; SET LOCAL client_min_messages = 'error'";

const SHARDS: &str = "SELECT COUNT(*), COUNT(*) FILTER (WHERE p.groupid = 0) \
    FROM pg_dist_shard s JOIN pg_dist_placement p ON p.shardid = s.shardid \
    WHERE s.logicalrelid = to_regclass($1)";

/// The foreign keys of this schema: a table and the one that it leads to.
const FOREIGN_KEYS: &str = "SELECT CAST(c.relname AS TEXT), CAST(f.relname AS TEXT) \
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid \
    JOIN pg_class f ON f.oid = k.confrelid \
    WHERE k.contype = 'f' AND c.relnamespace = CAST(current_schema() AS regnamespace)";

/// The tables of this schema, without shards.
const TABLES: &str = "SELECT CAST(c.relname AS TEXT) AS name, \
    EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = $1 \
        AND NOT a.attisdropped) AS is_tenants, \
    CAST(p.partmethod AS TEXT) AS method, CAST(p.repmodel AS TEXT) AS model, \
    p.colocationid AS colocation, \
    column_to_column_name(p.logicalrelid, p.partkey) AS by_column, \
    p.partmethod = 'h' AND pg_relation_size(c.oid) > 0 AS has_local_rows \
    FROM pg_class c LEFT JOIN pg_dist_partition p ON p.logicalrelid = c.oid \
    WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND c.relkind IN ('r', 'p') \
    AND NOT relation_is_a_known_shard(c.oid) ORDER BY 1";

/// The tables of tenants on a database without the extension.
#[cfg(test)]
pub(super) const PLAIN_TENANTS_TABLES: &str = "SELECT CAST(c.relname AS TEXT) FROM pg_class c \
    WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND c.relkind IN ('r', 'p') \
    AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid \
        AND a.attname = 'account_id' AND NOT a.attisdropped)";

/// A row of [`NODES`].
type NodeRow = (i32, String, i32, bool, bool, bool, bool);

#[derive(FromQueryResult)]
struct TableRow {
    name: String,
    is_tenants: bool,
    method: Option<String>,
    model: Option<String>,
    colocation: Option<i32>,
    by_column: Option<String>,
    has_local_rows: Option<bool>,
}

async fn rows<T: TryGetableMany>(db: &impl ConnectionTrait, sql: &str) -> Result<Vec<T>, DbErr> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let found = db.query_all_raw(statement).await?;
    found.iter().map(|row| Ok(T::try_get_many_by_index(row)?)).collect()
}

/// The version of the extension, if it was created.
pub(super) async fn extension(db: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
    Ok(rows::<(String,)>(db, EXTENSION).await?.into_iter().next().map(|(version,)| version))
}

/// The foreign keys: a table and the one that it leads to.
pub(super) async fn foreign_keys(
    db: &impl ConnectionTrait,
) -> Result<Vec<(String, String)>, DbErr> {
    rows(db, FOREIGN_KEYS).await
}

/// The tables of a database with the extension.
pub(super) async fn tables(db: &impl ConnectionTrait) -> Result<Vec<Table>, DbErr> {
    let backend = db.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, TABLES, [TENANT.into()]);
    let found = TableRow::find_by_statement(statement).all(db).await?;
    Ok(found.into_iter().map(Table::from).collect())
}

/// Reads the cluster, in a transaction.
pub(super) async fn read(tx: &impl ConnectionTrait) -> Result<Cluster, DbErr> {
    let (role, database) = rows(tx, IDENTITY).await?.into_iter().next().unwrap_or_default();
    let extension = extension(tx).await?;
    let mut cluster = Cluster {
        role,
        database,
        is_coordinator: true,
        nodes: Vec::new(),
        tables: Vec::new(),
        shards: Shards::default(),
        apart: Vec::new(),
        extension,
    };
    if cluster.extension.is_none() {
        return Ok(cluster);
    }
    cluster.is_coordinator = rows::<(bool,)>(tx, IS_COORDINATOR)
        .await?
        .into_iter()
        .all(|(is_coordinator,)| is_coordinator);
    if !cluster.is_coordinator {
        return Ok(cluster);
    }
    tx.execute_unprepared(BRIEFLY).await?;
    cluster.nodes = nodes(tx).await?;
    cluster.tables = tables(tx).await?;
    cluster.shards = shards(tx).await?;
    let apart = rows::<(String, i32, String, i32)>(tx, APART).await?;
    let name = |host, port| NodeName { host, port };
    cluster.apart =
        apart.into_iter().map(|(from, at, to, port)| (name(from, at), name(to, port))).collect();
    Ok(cluster)
}

async fn nodes(tx: &impl ConnectionTrait) -> Result<Vec<Node>, DbErr> {
    let found = rows::<NodeRow>(tx, NODES).await?;
    let mut reports: BTreeMap<i32, Report> = rows::<(i32, bool, String)>(tx, REPORTS)
        .await?
        .into_iter()
        .map(|(node, answered, result)| {
            (node, if answered { report(&result) } else { Report::Unreachable(result) })
        })
        .collect();
    let node =
        |(id, host, port, is_coordinator, is_active, has_metadata, takes_shards): NodeRow| {
            let state = match (is_active, has_metadata) {
                (false, _) => NodeState::Inactive,
                (true, false) => NodeState::WithoutMetadata,
                (true, true) => NodeState::Ready,
            };
            let report = reports.remove(&id).unwrap_or(Report::None);
            Node { name: NodeName { host, port }, is_coordinator, state, takes_shards, report }
        };
    Ok(found.into_iter().map(node).collect())
}

/// Parses what a node said of itself.
fn report(said: &str) -> Report {
    let lines = said.lines().filter_map(|line| line.split_once('='));
    let mut settings: BTreeMap<String, String> =
        lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Report::Answered { extension: settings.remove("extension"), settings }
}

async fn shards(tx: &impl ConnectionTrait) -> Result<Shards, DbErr> {
    let backend = tx.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, SHARDS, [FIRST_TABLE.into()]);
    let Some(row) = tx.query_one_raw(statement).await? else { return Ok(Shards::default()) };
    Ok(Shards { all: row.try_get_by_index(0)?, on_coordinator: row.try_get_by_index(1)? })
}

impl From<TableRow> for Table {
    fn from(row: TableRow) -> Self {
        let placement = match (row.method.as_deref(), row.by_column, row.colocation) {
            (None, _, _) => Placement::Plain,
            (Some(_), Some(column), Some(colocation)) => {
                Placement::Distributed { column, colocation }
            }
            _ if row.model.as_deref() == Some("t") => Placement::Reference,
            _ => Placement::Local,
        };
        Self {
            name: row.name,
            is_tenants: row.is_tenants,
            placement,
            has_local_rows: row.has_local_rows.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use roots_testkit::database::TestDatabase;

    use super::super::order::in_order;
    use super::*;

    #[test]
    fn a_node_tells_its_extension_and_its_settings_line_by_line() {
        let read = report("max_prepared_transactions=400\nextension=13.2-1\nwal_level=replica");
        let settings = [("max_prepared_transactions", "400"), ("wal_level", "replica")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(read, Report::Answered { extension: Some("13.2-1".to_owned()), settings });
        assert_eq!(report(""), Report::Answered { extension: None, settings: BTreeMap::new() });
    }

    #[tokio::test]
    async fn the_order_of_the_schema_respects_its_foreign_keys_and_has_all_tables_of_tenants() {
        let test = TestDatabase::postgres().await;
        let db = test.connection().await;
        let names = rows::<(String,)>(&db, PLAIN_TENANTS_TABLES).await.unwrap();
        let names: Vec<_> = names.into_iter().map(|(name,)| name).collect();
        let keys = foreign_keys(&db).await.unwrap();
        let order = in_order(names.clone(), &keys);
        assert_eq!(order[0], FIRST_TABLE);
        let all: BTreeSet<_> = order.iter().collect();
        assert!(all.len() == names.len() && all.len() >= 18, "{order:?}");
        let place = |name: &String| order.iter().position(|one| one == name);
        assert!(keys.len() >= 3, "{keys:?}");
        for (table, target) in &keys {
            assert!(place(target) < place(table), "{target} comes before {table}");
        }
        db.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_plain_server_is_read_as_one_without_the_extension() {
        let test = TestDatabase::postgres().await;
        let db = test.connection().await;
        let cluster = read(&db).await.unwrap();
        assert_eq!(
            (cluster.extension, cluster.nodes, cluster.is_coordinator),
            (None, vec![], true)
        );
        assert!(test.url.ends_with(&cluster.database));
        db.close().await.unwrap();
    }
}
