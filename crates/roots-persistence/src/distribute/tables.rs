//! Spreads tables that are not spread.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, TransactionTrait};

use super::catalog;
use super::cluster::{self, DIRECTORY, FIRST_TABLE, Placement, TENANT, Table};
use super::order::in_order;

/// Makes the statements of a transaction use one connection a node, which needs one prepared
/// transaction there and not one a shard, and lets a change of foreign keys follow one of tables.
/// The workers get the time limits too: copying rows takes as long as it takes.
const ONE_CONNECTION: &str = "SET LOCAL citus.multi_shard_modify_mode = 'sequential'; \
    SET LOCAL citus.propagate_set_commands = 'local'; \
    SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
    SET LOCAL citus.propagate_set_commands = 'none'";

const BY_SHARDS: &str = "SELECT create_distributed_table(CAST(quote_ident($1) AS regclass), $2, \
    colocate_with => 'none', shard_count => $3)";
const WITH_ACCOUNTS: &str = "SELECT create_distributed_table(CAST(quote_ident($1) AS regclass), $2, \
    colocate_with => $3)";
const KNOWN_TO_ALL: &str =
    "SELECT citus_add_local_table_to_metadata(CAST(quote_ident($1) AS regclass))";
const WITHOUT_COPY: &str =
    "SELECT truncate_local_data_after_distributing_table(CAST(quote_ident($1) AS regclass))";

/// Prepares a transaction that changes the schema, or moves rows, if the tables are spread.
/// Returns whether they are.
pub(crate) async fn prepare(tx: &impl ConnectionTrait) -> Result<bool, DbErr> {
    if catalog::extension(tx).await?.is_none() {
        return Ok(false);
    }
    tx.execute_unprepared(ONE_CONNECTION).await?;
    Ok(cluster::colocation(&catalog::tables(tx).await?).is_some())
}

/// Spreads the tables that are not spread, in a [prepared](prepare) transaction, and returns their
/// names. A shard count is for a database whose accounts are not spread.
pub(crate) async fn spread(
    tx: &impl ConnectionTrait,
    shard_count: Option<u32>,
) -> Result<Vec<String>, DbErr> {
    let tables = catalog::tables(tx).await?;
    let plain = |table: &&Table| table.placement == Placement::Plain;
    let tenants = tables.iter().filter(plain).filter(|table| table.is_tenants);
    let tenants = tenants.map(|table| table.name.clone()).collect();
    let mut spread = in_order(tenants, &catalog::foreign_keys(tx).await?);
    let backend = tx.get_database_backend();
    for table in &spread {
        let (sql, last) = if table == FIRST_TABLE {
            let count = shard_count.and_then(|count| i32::try_from(count).ok());
            (BY_SHARDS, count.into())
        } else {
            (WITH_ACCOUNTS, FIRST_TABLE.into())
        };
        let values = [table.as_str().into(), TENANT.into(), last];
        tx.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    }
    if tables.iter().filter(plain).any(|table| table.name == DIRECTORY) {
        let values = [DIRECTORY.into()];
        tx.query_all_raw(Statement::from_sql_and_values(backend, KNOWN_TO_ALL, values)).await?;
        spread.push(DIRECTORY.to_owned());
    }
    Ok(spread)
}

/// Removes the rows that remain on the coordinator after their table was distributed. All tables
/// that lead to them must be distributed.
pub(crate) async fn remove_local_rows(db: &DatabaseConnection) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    prepare(&tx).await?;
    let backend = tx.get_database_backend();
    for table in catalog::tables(&tx).await?.iter().filter(|table| table.has_local_rows) {
        let values = [table.name.as_str().into()];
        tx.query_all_raw(Statement::from_sql_and_values(backend, WITHOUT_COPY, values)).await?;
    }
    tx.commit().await
}
