//! The store: an open database with its readers and writer queues.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use roots_domain::command::{Applied, Command};
use roots_domain::model::id::AccountId;
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{
    ApplyError, AuthEpochs, CommandStore, EpochListener, Readiness, StoreResult,
};
use roots_migrations::Migrator;
#[cfg(test)]
use sea_orm::DatabaseConnection;
use sea_orm::{
    ConnectionTrait, DbErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use tokio::sync::{Mutex, oneshot, watch};

use crate::connect::reader_pool::ReaderPool;
use crate::connect::readers::Readers;
use crate::connect::source::{OpenError, Source};
use crate::connect::url::DatabaseUrl;
use crate::connect::write_health::WriteHealth;
use crate::connect::{postgres, sqlite};
use crate::distribute::tables;
use crate::read::admission::KeyLookups;
use crate::read::stats_cache::StatsCache;
use crate::write::connection::Listeners;
use crate::write::in_flight::InFlight;
use crate::write::queue::{self, WriterQueue};
use crate::write::thread;
use crate::write::worker::writer_queue;

/// A database. Clones are cheap and share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    source: Source,
    readers: Arc<Readers>,
    key_lookups: KeyLookups,
    stats_cache: StatsCache,
    queues: Vec<WriterQueue>,
    /// The queue of commands that form a batch by themselves, or that another process blocks.
    blocked_queue: Option<WriterQueue>,
    closing: watch::Sender<bool>,
    listeners: Listeners,
    write_health: WriteHealth,
    stopped: Mutex<Vec<oneshot::Receiver<()>>>,
}

/// The threads of a process that work with a store.
#[derive(Clone, Default)]
pub struct Threads {
    /// The number of serving threads, each of which [takes a slot](crate::take_reader_slot).
    pub serving: usize,
    /// Called first on each writer thread.
    pub at_writer: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// Why no backup was made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has its own tools for backups.
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
    /// [Opens](Self::open_for) a database for a process without serving threads.
    ///
    /// # Errors
    /// As [`Self::open_for`].
    pub async fn open(url: &DatabaseUrl, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_for(url, clock, &Threads::default()).await
    }

    /// Opens a database and starts its writers. Creates the SQLite file, readable only by its
    /// owner, if the URL allows it. Does not change the schema: see [`Store::migrate`]. The clock
    /// tells when a write is decided; keys are checked against that time.
    ///
    /// # Errors
    /// The file can't be created, read or written to, or the database can't be reached.
    pub async fn open_for(
        url: &DatabaseUrl,
        clock: Arc<dyn Clock>,
        threads: &Threads,
    ) -> Result<Self, OpenError> {
        let source = Source::find(url)?;
        Self::start(&source, clock, threads).await.map_err(|error| source.explain(error))
    }

    async fn start(
        source: &Source,
        clock: Arc<dyn Clock>,
        threads: &Threads,
    ) -> Result<Self, OpenError> {
        let (closing, closed) = watch::channel(false);
        let (listeners, write_health) = (Listeners::default(), WriteHealth::default());
        let in_flight = InFlight::default();
        let queue = |blocked| writer_queue(closed.clone(), in_flight.clone(), blocked);
        let (blocked_queue, its_worker) = source.has_blocked_queue().then(|| queue(None)).unzip();
        let (queues, workers): (Vec<_>, Vec<_>) = (0..source.writer_queues(threads.serving))
            .map(|_| queue(blocked_queue.as_ref()))
            .unzip();
        let mut stopped = Vec::new();
        for worker in workers.into_iter().chain(its_worker) {
            let first = threads.at_writer.clone();
            let (source, clock) = (source.clone(), clock.clone());
            let (listeners, health) = (listeners.clone(), write_health.clone());
            stopped.push(thread::start(source, clock, listeners, health, worker, first).await?);
        }
        let readers = Arc::new(Readers::open(source, threads.serving).await?);
        let inner = Inner {
            source: source.clone(),
            key_lookups: KeyLookups::new(Arc::clone(&readers)),
            readers,
            stats_cache: StatsCache::new(),
            queues,
            blocked_queue,
            closing,
            listeners,
            write_health,
            stopped: Mutex::new(stopped),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Migrates the schema to the newest version. If two processes do it at once, one waits for the
    /// other. If the tables are spread over machines, new ones are spread with them.
    ///
    /// # Errors
    /// A database error, or the schema is newer than this program.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        self.bring_to_newest().await.map_err(|error| self.inner.source.explain(error))
    }

    async fn bring_to_newest(&self) -> Result<(), OpenError> {
        let db = self.inner.source.writer().await?;
        if let Source::Sqlite { .. } = self.inner.source {
            db.execute_unprepared(sqlite::WAIT_FOR_MIGRATION).await?;
        }
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let tx = db.begin_with_options(options).await?;
        let mut is_spread = false;
        if let Source::Postgres { .. } = self.inner.source {
            postgres::lock_for_migration(&tx).await?;
            is_spread = tables::prepare(&tx).await?;
        }
        Migrator::up(&tx, None).await?;
        let spread = if is_spread { tables::spread(&tx, None).await? } else { Vec::new() };
        tx.commit().await?;
        if !spread.is_empty() {
            tables::remove_local_rows(&db).await?;
        }
        db.close().await?;
        Ok(())
    }

    /// Copies a SQLite database into a new file, readable only by its owner, while the database is
    /// in use.
    ///
    /// # Errors
    /// The file exists or can't be created, a database error, or the database is PostgreSQL.
    pub async fn backup(&self, file: &Path) -> Result<(), BackupError> {
        let Source::Sqlite { .. } = self.inner.source else { return Err(BackupError::Postgres) };
        let failed = |cause| BackupError::File { file: file.to_owned(), cause };
        // SQLite accepts an empty file, so it can get its mode before it has any content.
        let made = sqlite::make_new_file(file).map_err(failed)?;
        let copied = self.copy_to(file).await;
        if copied.is_err() {
            std::fs::remove_file(file).map_err(failed)?;
        }
        copied?;
        // VACUUM INTO does not sync the file.
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

    /// Accepts no more writes, finishes those it has, and closes the database.
    pub async fn close(&self) {
        self.inner.closing.send_replace(true);
        for worker in self.inner.stopped.lock().await.drain(..) {
            // An error means that the worker has already stopped.
            let _ = worker.await;
        }
        self.inner.readers.close().await;
    }

    /// Checks that writes are possible: the file is still in its place, and every writer queue has
    /// its worker.
    fn check(&self) -> StoreResult<()> {
        if self.inner.queues.iter().chain(&self.inner.blocked_queue).any(WriterQueue::is_closed) {
            return Err(queue::gone());
        }
        self.inner.source.check()
    }

    /// The pool of this thread.
    pub(crate) fn readers(&self) -> &ReaderPool {
        self.inner.readers.here()
    }

    pub(crate) fn key_lookups(&self) -> &KeyLookups {
        &self.inner.key_lookups
    }

    pub(crate) fn stats_cache(&self) -> &StatsCache {
        &self.inner.stats_cache
    }
}

#[cfg(test)]
impl Store {
    /// A store that reads through these connections and does not write.
    pub(crate) fn reading(readers: DatabaseConnection, url: &str) -> Self {
        let readers = Arc::new(Readers::only(readers));
        Self {
            inner: Arc::new(Inner {
                source: Source::Postgres { url: url.to_owned() },
                key_lookups: KeyLookups::new(Arc::clone(&readers)),
                readers,
                stats_cache: StatsCache::new(),
                queues: Vec::new(),
                blocked_queue: None,
                closing: watch::channel(false).0,
                listeners: Listeners::default(),
                write_health: WriteHealth::default(),
                stopped: Mutex::default(),
            }),
        }
    }

    pub(crate) fn all_readers(&self) -> &Readers {
        &self.inner.readers
    }
}

impl AuthEpochs for Store {
    fn listen(&self, listener: EpochListener) {
        self.inner.listeners.add(listener);
    }
}

#[async_trait]
impl Readiness for Store {
    async fn ping(&self) -> StoreResult<()> {
        self.check()?;
        self.inner.readers.ping(&self.inner.source).await?;
        self.inner.write_health.check(&self.inner.source).await
    }
}

#[async_trait]
impl CommandStore for Store {
    async fn apply(&self, command: Command) -> Result<Applied, ApplyError> {
        if let Some(blocked_queue) = &self.inner.blocked_queue
            && command.action.is_batch()
        {
            return blocked_queue.apply(command).await;
        }
        // An account always uses the same queue, so that its commands share batches. Commands
        // without an account use the first queue.
        let queues = &self.inner.queues;
        let queue_of = |account: AccountId| account.0.unsigned_abs() % queues.len() as u64;
        let index = usize::try_from(command.account().map_or(0, queue_of)).unwrap_or(0);
        queues[index].apply(command).await
    }
}
