//! The source of a store's connections.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use roots_domain::model::id::AccountId;
use roots_domain::port::store::StoreError;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

use super::postgres::{PostgresServer, Role};
use super::presence::Presence;
use super::shard::Shard;
use super::sqlite_file::{self, FileError, FileErrorKind};
use super::tls::TlsError;
use super::url::{DatabaseTarget, DatabaseUrl};
use super::{postgres, sqlite};
use crate::errors::{self, BatchError};

/// Longest time for closing a connection that is given up.
const CLOSE_MAX_TIME: Duration = Duration::from_secs(1);

/// A database that exists.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A file and its identity: another file that gets the same name later is not this database.
    Sqlite { file: PathBuf, identity: FileIdentity },
    /// A server.
    Postgres(PostgresServer),
}

/// The identity of a file: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity(u64, u64);

impl FileIdentity {
    pub(crate) fn of(file: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(file).map(|found| Self(found.dev(), found.ino()))
    }
}

impl Source {
    /// Finds the database, and creates the SQLite file if that is allowed.
    pub(crate) fn find(url: &DatabaseUrl) -> Result<Self, OpenError> {
        match &url.0 {
            DatabaseTarget::Postgres { url } => {
                Ok(Self::Postgres(PostgresServer::alone(url.clone())))
            }
            DatabaseTarget::Sqlite { file, may_create } => {
                sqlite_file::prepare(file, *may_create)?;
                let failed =
                    |error| FileError { file: file.clone(), kind: FileErrorKind::System(error) };
                let identity = FileIdentity::of(file).map_err(failed)?;
                Ok(Self::Sqlite { file: file.clone(), identity })
            }
        }
    }

    /// Turns an error into what it says about the file, if it says something.
    pub(crate) fn explain(&self, error: OpenError) -> OpenError {
        match (self, error) {
            (Self::Sqlite { file, .. }, OpenError::Database(error)) => {
                FileError::of_error(file, error).map_or_else(OpenError::Database, OpenError::File)
            }
            (_, error) => error,
        }
    }

    /// The number of writer queues for `serving` threads.
    pub(crate) fn writer_queues(&self, serving: usize) -> usize {
        match self {
            Self::Sqlite { .. } => sqlite::WRITER_QUEUES,
            Self::Postgres(PostgresServer { role: Role::Coordinator, .. }) => 1,
            Self::Postgres(_) => (serving / postgres::SERVING_THREADS_PER_QUEUE).max(1),
        }
    }

    /// Whether it has a blocked queue. SQLite has only one writer at a time, so it needs none.
    pub(crate) fn has_blocked_queue(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// A connection to write through.
    pub(crate) async fn writer(&self) -> Result<DatabaseConnection, DbErr> {
        match self {
            Self::Sqlite { file, .. } => sqlite::writer(file).await,
            Self::Postgres(server) => postgres::writer(server).await,
        }
    }

    /// A pool of readers, one of `pools`. It connects when it is first used.
    pub(crate) async fn readers(&self, pools: usize) -> Result<DatabaseConnection, DbErr> {
        match self {
            Self::Sqlite { file, .. } => sqlite::readers(file).await,
            Self::Postgres(server) => postgres::readers(server, pools).await,
        }
    }

    /// The database of a URL as one of this role.
    pub(crate) fn in_role(&self, role: Role) -> Self {
        match self {
            Self::Postgres(server) => Self::Postgres(PostgresServer { role, ..server.clone() }),
            file @ Self::Sqlite { .. } => file.clone(),
        }
    }

    /// Of a node of a cluster, the tables of its shards.
    pub(crate) fn shards(&self) -> Option<Self> {
        let Self::Postgres(PostgresServer { role: Role::Node { address, presence, .. }, .. }) =
            self
        else {
            return None;
        };
        let (address, presence) = (address.clone(), presence.clone());
        Some(self.in_role(Role::Shards { address, presence }))
    }

    /// Of a node of a cluster, the shard of all these accounts, if one has them.
    pub(crate) fn shard_of(&self, accounts: impl Iterator<Item = AccountId>) -> Option<Arc<Shard>> {
        match self {
            Self::Postgres(PostgresServer { role: Role::Node { address, routes, .. }, .. }) => {
                routes.shard_on(address, accounts)
            }
            _ => None,
        }
    }

    /// Notes that a shard was not on the node any more.
    pub(crate) fn note_moved(&self) {
        if let Self::Postgres(PostgresServer { role: Role::Node { routes, .. }, .. }) = self {
            routes.note_outdated();
        }
    }

    /// Whether the node answers, if it is one of a cluster.
    pub(crate) fn presence(&self) -> Option<&Presence> {
        match self {
            Self::Postgres(PostgresServer {
                role: Role::Node { presence, .. } | Role::Shards { presence, .. },
                ..
            }) => Some(presence),
            _ => None,
        }
    }

    /// The forms of its statements.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres(PostgresServer { role: Role::Alone, .. }) => Dialect::Postgres,
            Self::Postgres(PostgresServer { role: Role::Shards { .. }, .. }) => Dialect::CitusShard,
            Self::Postgres(PostgresServer { role: Role::Node { .. }, .. }) => Dialect::CitusNode,
            Self::Postgres(PostgresServer { role: Role::Coordinator, .. }) => {
                Dialect::CitusCoordinator
            }
        }
    }

    /// Whether there is certainly enough disk space. A server does not report this.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Sqlite { file, .. } => sqlite_file::has_room(file),
            Self::Postgres(_) => true,
        }
    }

    /// Writes something and removes it in one transaction. Both reach the disk. A node of a cluster
    /// only notes that there was a transaction: it has no row of its own.
    pub(super) async fn try_to_write(&self) -> Result<(), BatchError> {
        let db = self.writer().await?;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let written = async {
            let tx = db.begin_with_options(options).await?;
            if self.dialect() == Dialect::CitusNode {
                tx.execute_unprepared("SELECT pg_current_xact_id()").await?;
            } else {
                for change in ["accounts + 1", "accounts - 1"] {
                    let write = format!("UPDATE directory SET accounts = {change}");
                    tx.execute_unprepared(&write).await?;
                }
            }
            tx.commit().await.map_err(errors::of_commit)
        };
        let written = written.await;
        close(db).await;
        written
    }

    /// Checks that the file is still in its place: writes to a moved or deleted file would be lost
    /// with the process. Of a node of a cluster it checks that it answered last.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(PostgresServer {
                role: Role::Node { address, presence, .. } | Role::Shards { address, presence },
                ..
            }) if presence.is_away() => {
                Err(StoreError::Unavailable(format!("the database server {address} is away")))
            }
            Self::Sqlite { file, identity } if FileIdentity::of(file).ok() != Some(*identity) => {
                let cause = "the database file was moved, deleted or replaced";
                Err(StoreError::Unavailable(cause.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// The forms of the statements that a database takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
    /// On a node of a Citus cluster, for the tables of a shard, which are those of PostgreSQL.
    CitusShard,
    /// On a node of a Citus cluster, for accounts that the node holds.
    CitusNode,
    /// On the coordinator of a Citus cluster, for accounts of any nodes.
    CitusCoordinator,
}

impl Dialect {
    /// The kind of database.
    pub(crate) const fn backend(self) -> DbBackend {
        match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::Postgres | Self::CitusShard | Self::CitusNode | Self::CitusCoordinator => {
                DbBackend::Postgres
            }
        }
    }

    /// Whether Citus plans its statements.
    pub(crate) const fn is_citus(self) -> bool {
        matches!(self, Self::CitusNode | Self::CitusCoordinator)
    }
}

/// Closes a connection. If closing fails or takes too long, the connection is closed when it is
/// dropped.
pub(crate) async fn close(db: DatabaseConnection) {
    let _ = tokio::time::timeout(CLOSE_MAX_TIME, db.close()).await;
}

/// Why a database could not be opened or brought to the newest schema.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file of a SQLite database.
    #[error(transparent)]
    File(#[from] FileError),
    /// The writer's thread.
    #[error("the writer could not be started: {0}")]
    Writer(std::io::Error),
    /// A cluster whose coordinator the URL does not name.
    #[error(
        "the tables are spread over a cluster: name the coordinator by its host in the URL, not by a socket"
    )]
    ClusterBySocket,
    /// The tables were spread while the process started.
    #[error("the tables were spread over a cluster while this process started: start it again")]
    Spread,
    /// A cluster with more nodes than a process connects to.
    #[error("the cluster has had more than {0} nodes since this process started: start it again")]
    TooManyNodes(usize),
    /// The encryption of the connection.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database.
    #[error("the database can't be opened: {0}")]
    Database(DbErr),
}

impl From<DbErr> for OpenError {
    fn from(error: DbErr) -> Self {
        TlsError::of(&error).map_or_else(|| Self::Database(error), Self::Tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_serving_threads_share_a_writer_queue_and_sqlite_has_one() {
        let server = Source::Postgres(PostgresServer::alone(String::new()));
        assert_eq!([0, 1, 4, 7, 8].map(|serving| server.writer_queues(serving)), [1, 1, 1, 1, 2]);
        let identity = FileIdentity(0, 0);
        let file = Source::Sqlite { file: PathBuf::new(), identity };
        assert_eq!(
            (file.writer_queues(8), file.has_blocked_queue(), server.has_blocked_queue()),
            (1, false, true)
        );
    }
}
