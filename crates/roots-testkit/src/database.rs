//! A database per test, migrated and empty.

use roots_persistence::{DatabaseUrl, Store};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use tempfile::TempDir;

use crate::postgres;

/// A database of one test's own. SQLite's is gone with it; PostgreSQL's goes with its server.
pub struct TestDatabase {
    /// The store, open and migrated.
    pub store: Store,
    /// The URL, to open it again or from elsewhere.
    pub url: String,
    /// Where its files lie; on PostgreSQL, a folder for the test to use.
    pub folder: TempDir,
}

impl TestDatabase {
    /// A SQLite database in a file.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("roots.db").display());
        Self::open(url, folder).await
    }

    /// A PostgreSQL database on the server that the tests run on.
    pub async fn postgres() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = postgres::server_url();
        #[expect(clippy::disallowed_methods, reason = "a name that no other test has")]
        let name = format!("roots_{}", uuid::Uuid::now_v7().simple());
        let admin = connect(&server).await;
        admin
            .execute_unprepared(&format!("CREATE DATABASE {name}"))
            .await
            .expect("a new database on the test server");
        admin.close().await.expect("closing the connection to the test server");
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        Self::open(format!("{base}/{name}"), folder).await
    }

    async fn open(url: String, folder: TempDir) -> Self {
        let store = open(&url).await;
        store.migrate().await.expect("the newest schema");
        Self { store, url, folder }
    }

    /// Another store on the same database, as another process has.
    pub async fn another_store(&self) -> Store {
        open(&self.url).await
    }

    /// A connection past the store, to look at or to break what it keeps.
    pub async fn connection(&self) -> DatabaseConnection {
        connect(&self.url).await
    }

    /// Whether it is PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }

    /// Runs a statement past the store, and answers how many rows it met.
    pub async fn execute(&self, sql: &str) -> u64 {
        let db = self.connection().await;
        let met = db.execute_unprepared(sql).await.expect("a statement that runs").rows_affected();
        db.close().await.expect("closing the connection");
        met
    }
}

async fn open(url: &str) -> Store {
    let url = DatabaseUrl::parse(url).expect("a database URL");
    Store::open(&url).await.expect("an open database")
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.expect("a connection to the test database")
}
