//! Roots on SQLite and PostgreSQL, through SeaORM.
//!
//! [`Store`] implements every port that the core has to a database. Reads go to a pool; writes go to
//! lanes, which apply them in batches. The two databases differ in how a lane is started and how an
//! account is locked, and in nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use roots_domain::model::unit::{Applied, UnitOfWork};
use roots_domain::port::ambient::Clock;
use roots_domain::port::store::{ApplyError, AuthEpochs, EpochListener, StoreResult, UnitStore};
use roots_migrations::Migrator;
use sea_orm::{
    ConnectionTrait, DbErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use tokio::sync::{Mutex, oneshot, watch};

mod admission;
mod answer;
mod archive;
mod audit;
mod batch;
mod entity;
mod erase;
mod fault;
mod figures;
mod lane;
mod postgres;
mod queue;
mod read;
mod reader_pool;
mod readers;
mod row;
mod source;
mod sqlite;
mod tls;
mod unlink;
mod url;
mod writer;

pub use readers::take_seat;
pub use tls::TlsFault;
pub use url::{DatabaseUrl, UrlFault};

use figures::Figures;
use lane::{InFlight, LaneHandle};
use reader_pool::ReaderPool;
use readers::Readers;
use source::{FileIdentity, Listeners, Source};
use url::Target;

/// A database. Cheap to clone; all clones share one.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    source: Source,
    readers: Readers,
    figures: Figures,
    lanes: Vec<LaneHandle>,
    /// The lane of what comes in batches already, or waits for other processes.
    aside: Option<LaneHandle>,
    closing: watch::Sender<bool>,
    listeners: Listeners,
    stopped: Mutex<Vec<oneshot::Receiver<()>>>,
}

/// The threads of a process that work with a store.
#[derive(Clone, Default)]
pub struct Threads {
    /// How many serve, each of which [takes a seat](take_seat).
    pub serving: usize,
    /// What each thread that writes does before all else. One that it starts works for it alone.
    pub at_writer: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// Why a database could not be opened or brought to the newest schema.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file, or the folder that it is to lie in.
    #[error("the database file {} can't be opened: {cause}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The writer's thread.
    #[error("the writer could not be started: {0}")]
    Writer(std::io::Error),
    /// The encryption of the way to it.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The database.
    #[error("the database can't be opened: {0}")]
    Database(DbErr),
}

impl From<DbErr> for OpenError {
    fn from(error: DbErr) -> Self {
        TlsFault::of(&error).map_or_else(|| Self::Database(error), Self::Tls)
    }
}

/// Why no backup was made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has tools of its own for it.
    #[error("a backup of PostgreSQL is made with pg_dump")]
    Postgres,
    /// The file, which is never overwritten.
    #[error("the backup file {} can't be made: {cause}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The database.
    #[error("the backup failed: {0}")]
    Database(#[from] DbErr),
}

impl Store {
    /// [Opens](Self::open_for) a database for a process that has no threads of its own to serve by.
    ///
    /// # Errors
    /// As there.
    pub async fn open(url: &DatabaseUrl, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_for(url, clock, &Threads::default()).await
    }

    /// Opens a database and starts what writes to it. Makes the SQLite file, for its owner alone to
    /// read, where the URL says so. Does not touch the schema: see [`Store::migrate`]. The clock tells
    /// when a write is decided, by which keys are judged.
    ///
    /// # Errors
    /// The file can't be made or opened, or the database can't be reached.
    pub async fn open_for(
        url: &DatabaseUrl,
        clock: Arc<dyn Clock>,
        threads: &Threads,
    ) -> Result<Self, OpenError> {
        let (closing, told) = watch::channel(false);
        let (source, listeners) = (find(url)?, Listeners::default());
        let in_flight = InFlight::default();
        let lane = |aside| lane::lane(told.clone(), in_flight.clone(), aside);
        let (aside, aside_far) = source.has_aside().then(|| lane(None)).unzip();
        let (lanes, far): (Vec<_>, Vec<_>) =
            (0..source.lanes(threads.serving)).map(|_| lane(aside.as_ref())).unzip();
        let mut stopped = Vec::new();
        for far in far.into_iter().chain(aside_far) {
            let first = threads.at_writer.clone();
            stopped.push(
                writer::start(source.clone(), clock.clone(), listeners.clone(), far, first).await?,
            );
        }
        let readers = Readers::open(&source, threads.serving).await?;
        let (stopped, figures) = (Mutex::new(stopped), Figures::new());
        let inner = Inner { source, readers, figures, lanes, aside, closing, listeners, stopped };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Brings the schema to the newest. Two processes may do it at once: one waits for the other.
    ///
    /// # Errors
    /// The database's, or that its schema is newer than this program.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        let db = self.inner.source.writer().await?;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let tx = db.begin_with_options(options).await?;
        if let Source::Postgres { .. } = self.inner.source {
            tx.execute_unprepared(postgres::NO_TIME_LIMIT).await?;
            let sql = "SELECT pg_advisory_xact_lock($1)";
            let lock = [postgres::MIGRATION_LOCK.into()];
            tx.query_all_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, lock))
                .await?;
        }
        Migrator::up(&tx, None).await?;
        tx.commit().await?;
        db.close().await?;
        Ok(())
    }

    /// Copies a SQLite database into a new file, for its owner alone to read, while it is in use.
    ///
    /// # Errors
    /// The file exists or can't be made, the database's, or that it is PostgreSQL.
    pub async fn backup(&self, file: &Path) -> Result<(), BackupError> {
        let Source::Sqlite { .. } = self.inner.source else { return Err(BackupError::Postgres) };
        let failed = |cause| BackupError::File { file: file.to_owned(), cause };
        // SQLite fills an empty file, so that it has its mode before it holds anything.
        let made = sqlite::make_new_file(file).map_err(failed)?;
        let copied = self.copy_to(file).await;
        if copied.is_err() {
            std::fs::remove_file(file).map_err(failed)?;
        }
        copied?;
        // VACUUM INTO does not wait for the disk.
        made.sync_all().map_err(failed)
    }

    async fn copy_to(&self, file: &Path) -> Result<(), BackupError> {
        let db = self.inner.source.writer().await?;
        let path = file.to_string_lossy().into_owned();
        let copy = "VACUUM INTO $1";
        db.execute_raw(Statement::from_sql_and_values(
            db.get_database_backend(),
            copy,
            [path.into()],
        ))
        .await?;
        db.close().await?;
        Ok(())
    }

    /// Takes no more writes, finishes those it has, and lets the database go.
    pub async fn close(&self) {
        self.inner.closing.send_replace(true);
        for lane in self.inner.stopped.lock().await.drain(..) {
            // An error is a lane that stopped without saying so.
            let _ = lane.await;
        }
        self.inner.readers.close().await;
    }

    /// Whether it can be written to: the database lies where it was found, and every lane is at work.
    fn check(&self) -> StoreResult<()> {
        if self.inner.lanes.iter().chain(&self.inner.aside).any(LaneHandle::is_closed) {
            return Err(lane::gone());
        }
        self.inner.source.check()
    }

    fn readers(&self) -> &ReaderPool {
        self.inner.readers.here()
    }
}

/// Finds the database, and makes the SQLite file where it may be made.
fn find(url: &DatabaseUrl) -> Result<Source, OpenError> {
    match &url.0 {
        Target::Postgres { url } => Ok(Source::Postgres { url: url.clone() }),
        Target::Sqlite { file, may_create } => {
            let failed = |cause| OpenError::File { file: file.clone(), cause };
            if *may_create {
                sqlite::make_file(file).map_err(failed)?;
            }
            let identity = FileIdentity::of(file).map_err(failed)?;
            Ok(Source::Sqlite { file: file.clone(), identity })
        }
    }
}

impl AuthEpochs for Store {
    fn listen(&self, listener: EpochListener) {
        self.inner.listeners.add(listener);
    }
}

#[async_trait]
impl UnitStore for Store {
    async fn apply(&self, unit: UnitOfWork) -> Result<Applied, ApplyError> {
        if let Some(aside) = &self.inner.aside
            && unit.intent.is_batch()
        {
            return aside.apply(unit).await;
        }
        // An account is always on the same lane, so that its units meet in one batch.
        let account = unit.account().map_or(0, |account| account.0.unsigned_abs());
        let lanes = &self.inner.lanes;
        let index = usize::try_from(account % lanes.len() as u64).unwrap_or(0);
        lanes[index].apply(unit).await
    }
}
