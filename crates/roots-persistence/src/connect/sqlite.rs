//! SQLite: one writer, and a pool of readers beside it (WAL).

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous,
};
use sea_orm::{ConnectOptions, DatabaseConnection, DbErr};
use tokio::time::{Instant, sleep};

use crate::errors::BatchError;

/// Writer queues: SQLite has one writer at a time.
pub(super) const WRITER_QUEUES: usize = 1;
/// Most commands in a batch. Each number of rows has its own statement, so a larger maximum needs
/// more prepared statements.
pub(crate) const BATCH_MAX_COMMANDS: usize = 64;
/// Connections of a pool that reads.
const READERS: u32 = 4;
/// How long a connection waits for another process that writes. A batch tries several times.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Lets a connection wait while another process migrates the schema, even on a slow machine.
pub(crate) const WAIT_FOR_MIGRATION: &str = "PRAGMA busy_timeout = 30000";
/// How often to retry where SQLite does not wait by itself.
const RETRY_EVERY: Duration = Duration::from_millis(20);
/// How long a read waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements per connection: texts differ by the number of rows.
const PREPARED_STATEMENTS: usize = 512;
/// Rows that a connection's thread may be ahead of their reader. All of them are read anyway, and
/// if the thread has to wait for the reader, the two wake each other for every row.
const ROWS_IN_HAND: usize = 1_024;
/// The page cache in KiB, which SQLite writes as a negative number.
const READER_CACHE_KIB: &str = "-2048";
const WRITER_CACHE_KIB: &str = "-8192";
/// How many pages of 4 KiB the log gets before they are moved into the file. Pages that every batch
/// writes are moved only once.
const MOVED_AFTER_PAGES: &str = "12000";

/// Creates the file and its folder if they are missing, readable only by the owner. SQLite gives
/// the same mode to the files beside it.
pub(crate) fn make_file(file: &Path) -> io::Result<()> {
    make_folder_of(file)?;
    match create_new(file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// As [`make_file`], but fails if there is already a file or a link.
pub(crate) fn make_new_file(file: &Path) -> io::Result<fs::File> {
    make_folder_of(file)?;
    create_new(file)
}

fn make_folder_of(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::DirBuilder::new().recursive(true).mode(0o700).create(folder),
        None => Ok(()),
    }
}

fn create_new(file: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
}

fn options(file: &Path) -> ConnectOptions {
    // The file's name is set apart from the URL, in which it would need escaping.
    let file = file.to_owned();
    let mut options = ConnectOptions::new("sqlite://");
    options
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire(false)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .map_sqlx_sqlite_opts(move |_| base(&file));
    options
}

fn base(file: &Path) -> SqliteConnectOptions {
    use sea_orm::sqlx::ConnectOptions;
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .locking_mode(SqliteLockingMode::Normal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("secure_delete", "ON")
        .statement_cache_capacity(PREPARED_STATEMENTS)
        .row_buffer_size(ROWS_IN_HAND)
        .disable_statement_logging()
}

/// A connection that writes.
pub(crate) async fn writer(file: &Path) -> Result<DatabaseConnection, DbErr> {
    let path = file.to_owned();
    let mut options = options(file);
    options.max_connections(1).min_connections(1).map_sqlx_sqlite_opts(move |_| {
        base(&path)
            .pragma("cache_size", WRITER_CACHE_KIB)
            // What undoes a failed statement of a batch is kept in memory, not in a file.
            .pragma("temp_store", "MEMORY")
            .pragma("wal_autocheckpoint", MOVED_AFTER_PAGES)
    });
    connect(options).await
}

/// A pool of readers. It connects when it is first used.
pub(crate) async fn readers(file: &Path) -> Result<DatabaseConnection, DbErr> {
    let path = file.to_owned();
    let mut options = options(file);
    options.max_connections(READERS).connect_lazy(true).map_sqlx_sqlite_opts(move |_| {
        base(&path).pragma("cache_size", READER_CACHE_KIB).pragma("query_only", "ON")
    });
    connect(options).await
}

/// Connects. Two processes that switch a new file to WAL at once would deadlock, so SQLite refuses
/// one of them without waiting.
async fn connect(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match super::open_pool(options.clone()).await {
            Err(error) if Instant::now() < deadline && is_busy(&error) => sleep(RETRY_EVERY).await,
            done => return done,
        }
    }
}

fn is_busy(error: &DbErr) -> bool {
    matches!(BatchError::from(error.clone()), BatchError::Contended(_))
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement, TransactionTrait};

    use super::*;

    async fn pragma(db: &DatabaseConnection, name: &str) -> String {
        let sql = format!("SELECT CAST(\"{name}\" AS TEXT) FROM pragma_{name}");
        let statement = Statement::from_string(db.get_database_backend(), sql);
        db.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    /// `.cargo/config.toml` gives the reason for each.
    #[tokio::test]
    async fn sqlite_is_compiled_with_the_expected_options() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.db");
        make_file(&file).unwrap();
        let db = writer(&file).await.unwrap();
        let sql = "SELECT GROUP_CONCAT(compile_options, ' ') FROM pragma_compile_options";
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let found = db.query_one_raw(statement).await.unwrap().unwrap();
        let options: String = found.try_get_by_index(0).unwrap();
        let has = |option| options.split(' ').any(|one| one == option);
        for wanted in ["ENABLE_QPSG", "DEFAULT_MEMSTATUS=0"] {
            assert!(has(wanted), "{wanted} is not among {options}");
        }
        assert!(!has("ENABLE_MEMORY_MANAGEMENT"), "{options}");
    }

    /// "What was answered 2xx is durable" depends on this, and so do the promises about deletion.
    #[tokio::test]
    async fn sqlite_connections_sync_commits_and_overwrite_deleted_data() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.db");
        make_file(&file).unwrap();
        let db = writer(&file).await.unwrap();
        for (name, expected) in [
            ("synchronous", "2"),
            ("journal_mode", "wal"),
            ("secure_delete", "1"),
            ("foreign_keys", "1"),
        ] {
            assert_eq!(pragma(&db, name).await, expected, "{name}");
        }
        let readers = readers(&file).await.unwrap();
        assert_eq!(pragma(&readers, "query_only").await, "1");
    }
    /// `.cargo/config.toml` says when it is kept in a file.
    #[tokio::test]
    async fn a_failed_statement_that_changed_many_pages_is_rolled_back_whole() {
        const ROWS: i64 = 2_000;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.db");
        make_file(&file).unwrap();
        let db = writer(&file).await.unwrap();
        let setup = format!(
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, kept TEXT NOT NULL CHECK (kept <> 'no'), page BLOB); \
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) \
            INSERT INTO rows SELECT i, 'yes', zeroblob(3000) FROM n"
        );
        db.execute_unprepared(&setup).await.unwrap();
        let kept = async |tx: &DatabaseTransaction, what: &str| -> i64 {
            let sql = format!("SELECT COUNT(*) FROM rows WHERE kept = '{what}'");
            let statement = Statement::from_string(tx.get_database_backend(), sql);
            tx.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
        };
        let tx = db.begin().await.unwrap();
        let last_fails = format!("UPDATE rows SET kept = IIF(id = {ROWS}, 'no', 'moved')");
        let error = BatchError::from(tx.execute_unprepared(&last_fails).await.unwrap_err());
        assert!(matches!(error, BatchError::Data(_)), "{error:?}");
        assert_eq!(kept(&tx, "yes").await, ROWS);
        tx.execute_unprepared("UPDATE rows SET kept = 'moved'").await.unwrap();
        assert_eq!(kept(&tx, "moved").await, ROWS);
        tx.commit().await.unwrap();
    }
}
