//! The store: an open database with its readers and writer queues.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use roots_domain::command::{Action, Applied, Command, SystemAction};
use roots_domain::model::id::AccountId;
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{
    ApplyError, AuthEpochs, CommandStore, EpochListener, Placement, Readiness, StoreError,
    StoreResult,
};
use roots_migrations::Migrator;
#[cfg(test)]
use sea_orm::DatabaseConnection;
use sea_orm::{
    ConnectionTrait, DbErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use tokio::sync::{Mutex, oneshot, watch};

use crate::cluster::{self, Cluster};
use crate::connect::account_reader::AccountReader;
use crate::connect::cluster_map::ClusterMap;
use crate::connect::postgres::{self, Role};
use crate::connect::reader_pool::ReaderPool;
#[cfg(test)]
use crate::connect::readers::Readers;
use crate::connect::source::{OpenError, Source, close};
use crate::connect::url::DatabaseUrl;
use crate::connect::{sqlite, tls};
use crate::distribute::tables;
use crate::node::{Node, NodeContext, Threads};
use crate::read::stats_cache::StatsCache;
use crate::write::connection::Listeners;
use crate::write::in_flight::InFlight;

/// A database. Clones are cheap and share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// The server of the URL: the only one, or the coordinator of a cluster.
    main: Node,
    /// The nodes that hold the accounts, if they are spread.
    cluster: Option<Arc<Cluster>>,
    stats_cache: StatsCache,
    closing: watch::Sender<bool>,
    listeners: Listeners,
    /// Ends with the monitor of the cluster.
    monitor: Mutex<Option<oneshot::Receiver<()>>>,
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
        let (sender, closing) = watch::channel(false);
        let context = NodeContext {
            clock,
            threads: threads.clone(),
            closing,
            in_flight: InFlight::default(),
            listeners: Listeners::default(),
        };
        let map = map_of(source).await?;
        let role = if map.is_some() { Role::Coordinator } else { Role::Alone };
        let main = Node::start(source.in_role(role), &context).await?;
        let (mut cluster, mut monitor) = (None, None);
        if let Some(map) = map {
            let nodes = Cluster::start(map, source, &context).await?;
            monitor = Some(cluster::watch(nodes.clone(), source.clone(), context.clone())?);
            cluster = Some(nodes);
        }
        let inner = Inner {
            main,
            cluster,
            stats_cache: StatsCache::new(),
            closing: sender,
            listeners: context.listeners,
            monitor: Mutex::new(monitor),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Migrates the schema to the newest version. If two processes do it at once, one waits for the
    /// other. If the tables are spread over machines, new ones are spread with them.
    ///
    /// # Errors
    /// A database error, the schema is newer than this program, or the tables were spread over a
    /// cluster since the store was opened.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        self.bring_to_newest().await.map_err(|error| self.source().explain(error))
    }

    async fn bring_to_newest(&self) -> Result<(), OpenError> {
        let db = self.source().writer().await?;
        if let Source::Sqlite { .. } = self.source() {
            db.execute_unprepared(sqlite::WAIT_FOR_MIGRATION).await?;
        }
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let tx = db.begin_with_options(options).await?;
        let mut is_spread = false;
        if let Source::Postgres(_) = self.source() {
            postgres::lock_for_migration(&tx).await?;
            is_spread = tables::prepare(&tx).await?;
        }
        Migrator::up(&tx, None).await?;
        let spread = if is_spread { tables::spread(&tx, None).await? } else { Vec::new() };
        tx.commit().await?;
        if !spread.is_empty() {
            tables::remove_local_rows(&db).await?;
            if let Some(cluster) = &self.inner.cluster {
                cluster.note_outdated();
            }
        }
        // Another process may have spread them since this one has looked.
        let is_spread = ClusterMap::read(&db).await?.is_some();
        db.close().await?;
        if is_spread == self.inner.cluster.is_some() { Ok(()) } else { Err(OpenError::Spread) }
    }

    /// Copies a SQLite database into a new file, readable only by its owner, while the database is
    /// in use.
    ///
    /// # Errors
    /// The file exists or can't be created, a database error, or the database is PostgreSQL.
    pub async fn backup(&self, file: &Path) -> Result<(), BackupError> {
        let Source::Sqlite { .. } = self.source() else { return Err(BackupError::Postgres) };
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
        let db = self.source().writer().await?;
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
        if let Some(monitor) = self.inner.monitor.lock().await.take() {
            // An error means that it has already stopped.
            let _ = monitor.await;
        }
        for (_, node) in self.inner.cluster.iter().flat_map(|cluster| cluster.all()) {
            node.close().await;
        }
        self.inner.main.close().await;
    }

    fn source(&self) -> &Source {
        self.inner.main.source()
    }

    /// The server that holds an account.
    pub(crate) fn node_of(&self, account: AccountId) -> &Node {
        let Some(cluster) = &self.inner.cluster else { return &self.inner.main };
        cluster.node(cluster.number_of(account)).unwrap_or(&self.inner.main)
    }

    /// The server that applies a command: on a cluster the node that holds all of its accounts, or
    /// else the coordinator.
    fn node_for(&self, command: &Command) -> &Node {
        let main = &self.inner.main;
        let Some(cluster) = &self.inner.cluster else { return main };
        if command.action.uses_directory() {
            return main;
        }
        let counts = match &command.action {
            Action::System(SystemAction::CountCalls(counts)) => counts.as_slice(),
            _ => &[],
        };
        let counted = counts.iter().map(|(calls, _)| calls.account);
        let mut numbers = command.accounts().chain(counted).map(|id| cluster.number_of(id));
        match numbers.next() {
            Some(first) if numbers.all(|number| number == first) => {
                cluster.node(first).unwrap_or(main)
            }
            _ => main,
        }
    }

    /// Reads the rows of an account.
    pub(crate) fn readers(&self, account: AccountId) -> AccountReader<'_> {
        let cluster = self.inner.cluster.as_ref();
        let of_shard = cluster.and_then(|cluster| cluster.account_reader(account));
        of_shard.unwrap_or_else(|| AccountReader::of_server(self.inner.main.readers()))
    }

    /// The pool of this thread to read rows of any accounts.
    pub(crate) fn readers_of_all(&self) -> &ReaderPool {
        self.inner.main.readers()
    }

    pub(crate) fn stats_cache(&self) -> &StatsCache {
        &self.inner.stats_cache
    }
}

/// Where the accounts lie, if they are spread over a cluster.
async fn map_of(source: &Source) -> Result<Option<ClusterMap>, OpenError> {
    let Source::Postgres(server) = source else { return Ok(None) };
    let db = source.readers(1).await?;
    let map = ClusterMap::read(&db).await;
    close(db).await;
    let map = map?;
    if map.is_some() && tls::is_socket(&server.url) {
        return Err(OpenError::ClusterBySocket);
    }
    Ok(map)
}

#[cfg(test)]
impl Store {
    /// A store that reads through these connections and does not write.
    pub(crate) fn reading(readers: DatabaseConnection, url: &str) -> Self {
        let readers = Arc::new(Readers::only(readers));
        let url = DatabaseUrl::parse(url).expect("a database URL");
        let source = Source::find(&url).expect("an existing database");
        Self {
            inner: Arc::new(Inner {
                main: Node::reading(readers, source),
                cluster: None,
                stats_cache: StatsCache::new(),
                closing: watch::channel(false).0,
                listeners: Listeners::default(),
                monitor: Mutex::default(),
            }),
        }
    }

    pub(crate) fn all_readers(&self) -> &Readers {
        self.inner.main.all_readers()
    }
}

impl AuthEpochs for Store {
    fn listen(&self, listener: EpochListener) {
        self.inner.listeners.add(listener);
    }
}

impl Placement for Store {
    fn server_of(&self, account: AccountId) -> usize {
        self.inner.cluster.as_ref().map_or(0, |cluster| cluster.number_of(account))
    }
}

#[async_trait]
impl Readiness for Store {
    async fn ping(&self) -> StoreResult<Vec<String>> {
        self.inner.main.ping().await?;
        let Some(cluster) = &self.inner.cluster else { return Ok(Vec::new()) };
        let (mut away, mut serving) = (Vec::new(), 0);
        for (address, node) in cluster.serving() {
            serving += 1;
            if node.is_degraded() {
                away.push(address.to_string());
            }
        }
        if away.len() == serving {
            let away = away.join(", ");
            return Err(StoreError::Unavailable(format!("all its servers are away: {away}")));
        }
        Ok(away)
    }
}

#[async_trait]
impl CommandStore for Store {
    async fn apply(&self, command: Command) -> Result<Applied, ApplyError> {
        self.node_for(&command).apply(command).await
    }
}
