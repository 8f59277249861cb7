//! `roots-server distribute`, and its check.

use std::time::Duration;

use roots_migrations::Migrator;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, TransactionTrait};
use sea_orm_migration::MigratorTrait;

use super::finding::Finding;
use super::{catalog, rules, tables};
use crate::connect::postgres;
use crate::connect::source::{self, OpenError};
use crate::connect::url::DatabaseUrl;

/// The connections of Roots processes to this database, but for those of this command.
const OTHERS: &str = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'roots' \
    AND datname = current_database()";
/// A process that has just stopped may still be seen for a moment.
const OTHERS_MAX_WAIT: Duration = Duration::from_secs(2);
/// How often to look.
const OTHERS_INTERVAL: Duration = Duration::from_millis(200);

/// Why tables were not spread, or could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum DistributeError {
    /// SQLite is one file.
    #[error(
        "a SQLite database is one file and can't be spread over machines: use PostgreSQL with Citus"
    )]
    Sqlite,
    /// Something that the program can't do itself. Nothing was changed.
    #[error("nothing was changed, because the cluster is not ready")]
    NotReady(Vec<Finding>),
    /// Other processes would go on as if the tables were not spread.
    #[error(
        "nothing was changed, because other Roots processes use this database (open connections: {0}): stop them first, and start them after"
    )]
    InUse(i64),
    /// The database can't be reached.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database refused a step. Nothing was changed.
    #[error("nothing was changed: {0}")]
    Refused(DbErr),
    /// The tables are spread, but the coordinator still has its copy of their rows.
    #[error(
        "the tables are spread, but the rows that the coordinator had are still there; run this command again: {0}"
    )]
    CopyLeft(DbErr),
}

/// Spreads all tables that are not spread, after migrating them, and returns the names of those
/// that it has spread. It may be run again. Rows are moved.
///
/// This is not a method of a store, since an open store has read whether its tables are spread.
///
/// # Errors
/// The database is SQLite, its cluster is not ready, other processes use it, or it refuses a step.
pub async fn distribute(
    url: &DatabaseUrl,
    shard_count: u32,
) -> Result<Vec<String>, DistributeError> {
    let db = connect(url).await?;
    let done = distribute_on(&db, shard_count).await;
    source::close(db).await;
    done
}

async fn distribute_on(
    db: &DatabaseConnection,
    shard_count: u32,
) -> Result<Vec<String>, DistributeError> {
    let mut missing = findings(db).await.map_err(DistributeError::Refused)?;
    missing.retain(Finding::must_come_first);
    if !missing.is_empty() {
        return Err(DistributeError::NotReady(missing));
    }
    let others = others(db).await.map_err(DistributeError::Refused)?;
    if others > 0 {
        return Err(DistributeError::InUse(others));
    }
    let spread = spread(db, shard_count).await.map_err(DistributeError::Refused)?;
    tables::remove_local_rows(db).await.map_err(DistributeError::CopyLeft)?;
    Ok(spread)
}

/// In one transaction, so that no process ever finds some tables spread and others not.
async fn spread(db: &DatabaseConnection, shard_count: u32) -> Result<Vec<String>, DbErr> {
    let tx = db.begin().await?;
    postgres::lock_for_migration(&tx).await?;
    tables::prepare(&tx).await?;
    Migrator::up(&tx, None).await?;
    let spread = tables::spread(&tx, Some(shard_count)).await?;
    tx.commit().await?;
    Ok(spread)
}

/// Finds what a database lacks to be spread, in the order in which to mend it.
///
/// # Errors
/// The database is SQLite, or it can't be read.
pub async fn check_distribution(url: &DatabaseUrl) -> Result<Vec<Finding>, DistributeError> {
    let db = connect(url).await?;
    let found = findings(&db).await;
    source::close(db).await;
    found.map_err(|error| OpenError::from(error).into())
}

async fn connect(url: &DatabaseUrl) -> Result<DatabaseConnection, DistributeError> {
    let url = url.postgres().ok_or(DistributeError::Sqlite)?;
    Ok(postgres::operator(url).await.map_err(OpenError::from)?)
}

async fn findings(db: &DatabaseConnection) -> Result<Vec<Finding>, DbErr> {
    let tx = db.begin().await?;
    tx.execute_unprepared(postgres::NO_TIME_LIMIT).await?;
    let cluster = catalog::read(&tx).await?;
    tx.rollback().await?;
    Ok(rules::findings(&cluster))
}

/// The number of connections of other processes, after those that are about to end have ended.
async fn others(db: &DatabaseConnection) -> Result<i64, DbErr> {
    let mut waited = Duration::ZERO;
    loop {
        let asked = Statement::from_string(db.get_database_backend(), OTHERS);
        let row = db.query_one_raw(asked).await?;
        let others = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
        if others == 0 || waited >= OTHERS_MAX_WAIT {
            return Ok(others);
        }
        tokio::time::sleep(OTHERS_INTERVAL).await;
        waited += OTHERS_INTERVAL;
    }
}

#[cfg(test)]
mod tests {
    use roots_testkit::database::TestDatabase;

    use super::*;

    #[tokio::test]
    async fn a_sqlite_database_is_refused_and_no_file_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("roots.db").display());
        let url = DatabaseUrl::parse(&url).unwrap();
        assert!(matches!(distribute(&url, 4).await, Err(DistributeError::Sqlite)));
        assert!(matches!(check_distribution(&url).await, Err(DistributeError::Sqlite)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_server_without_the_extension_is_told_to_create_it_and_is_left_as_it_is() {
        let test = TestDatabase::postgres().await;
        let before = test.dump().await;
        let url = DatabaseUrl::parse(&test.url).unwrap();
        let missing = check_distribution(&url).await.unwrap();
        assert!(matches!(missing[..], [Finding::NoExtension { node: None, .. }]), "{missing:?}");
        let refused = distribute(&url, 4).await.unwrap_err();
        assert!(
            matches!(refused, DistributeError::NotReady(ref found) if *found == missing),
            "{refused}"
        );
        assert_eq!(test.dump().await, before);
    }

    #[tokio::test]
    async fn connections_of_other_processes_are_seen() {
        let test = TestDatabase::postgres().await;
        let url = DatabaseUrl::parse(&test.url).unwrap();
        let db = connect(&url).await.unwrap();
        assert!(others(&db).await.unwrap() > 0, "the store of the test is open");
        test.store.close().await;
        assert_eq!(others(&db).await.unwrap(), 0);
        source::close(db).await;
    }
}
