//! Where a store's connections come from, and the connection that a writer queue's worker uses.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roots_domain::command::Command;
use roots_domain::model::id::AccountId;
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{EpochListener, StoreError};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};

use crate::batch::{self, AccountMemory, Decisions, Wait};
use crate::errors::{self, BatchError};
use crate::{postgres, sqlite, sqlite_file};

/// Longest that a batch may take before its connection is given up.
const BATCH_MAX_TIME: Duration = Duration::from_secs(20);
/// Longest that a connection which is given up may take to close.
const CLOSE_MAX_TIME: Duration = Duration::from_secs(1);

/// A database that was found.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A file, and which one it was: another that takes its name later is not this database.
    Sqlite { file: PathBuf, identity: FileIdentity },
    /// A server.
    Postgres { url: String },
}

/// Which file it is, whatever its name: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity(u64, u64);

impl FileIdentity {
    pub(crate) fn of(file: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(file).map(|found| Self(found.dev(), found.ino()))
    }
}

impl Source {
    /// How many writer queues it has, beside so many threads that serve.
    pub(crate) fn writer_queues(&self, serving: usize) -> usize {
        match self {
            Self::Sqlite { .. } => sqlite::WRITER_QUEUES,
            Self::Postgres { .. } => (serving / postgres::SERVING_THREADS_PER_QUEUE).max(1),
        }
    }

    /// Whether a blocked queue beside those is of use: SQLite has one writer at a time.
    pub(crate) fn has_blocked_queue(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// A connection to write through.
    pub(crate) async fn writer(&self) -> Result<DatabaseConnection, DbErr> {
        match self {
            Self::Sqlite { file, .. } => sqlite::writer(file).await,
            Self::Postgres { url } => postgres::writer(url).await,
        }
    }

    /// A pool to read from, of so many. It connects once it is used.
    pub(crate) async fn readers(&self, pools: usize) -> Result<DatabaseConnection, DbErr> {
        match self {
            Self::Sqlite { file, .. } => sqlite::readers(file).await,
            Self::Postgres { url } => postgres::readers(url, pools).await,
        }
    }

    /// Whether it is certain that there is room to write. A server does not tell.
    fn has_room(&self) -> bool {
        match self {
            Self::Sqlite { file, .. } => sqlite_file::has_room(file),
            Self::Postgres { .. } => true,
        }
    }

    /// Writes something and takes it back, in one transaction. Both reach the disk.
    async fn try_to_write(&self) -> Result<(), BatchError> {
        let db = self.writer().await?;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let written = async {
            let tx = db.begin_with_options(options).await?;
            for change in ["accounts + 1", "accounts - 1"] {
                tx.execute_unprepared(&format!("UPDATE directory SET accounts = {change}")).await?;
            }
            tx.commit().await.map_err(errors::of_commit)
        };
        let written = written.await;
        close(db).await;
        written
    }

    /// Whether the file still lies in its place: what is written to one that was moved away or
    /// deleted would be gone with the process.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite { file, identity } if FileIdentity::of(file).ok() != Some(*identity) => {
                let cause = "the database file was moved, deleted or replaced";
                Err(StoreError::Unavailable(cause.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// Whether the last batch failed for a reason that the next one may meet as well.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteHealth(Arc<AtomicBool>);

impl WriteHealth {
    fn note<T>(&self, applied: &Result<T, BatchError>) {
        match applied {
            Ok(_) => self.0.store(false, Ordering::Relaxed),
            Err(BatchError::Away(_) | BatchError::OutcomeUnknown(_)) => {
                self.0.store(true, Ordering::Relaxed);
            }
            // The database is there, and has judged what was asked of it.
            Err(BatchError::Contended(_) | BatchError::Locked(_) | BatchError::Data(_)) => {}
        }
    }

    /// Whether a write would go. The database is written to, and left as it was, where there is
    /// reason to doubt it: the last batch failed, or its disk is nearly full.
    pub(crate) async fn check(&self, source: &Source) -> Result<(), StoreError> {
        if !self.0.load(Ordering::Relaxed) && source.has_room() {
            return Ok(());
        }
        let tried = source.try_to_write().await;
        self.note(&tried);
        match tried {
            // It was busy with another write.
            Ok(()) | Err(BatchError::Contended(_) | BatchError::Locked(_)) => Ok(()),
            Err(
                BatchError::Away(cause)
                | BatchError::OutcomeUnknown(cause)
                | BatchError::Data(cause),
            ) => Err(StoreError::Unavailable(format!("it can't be written to: {cause}"))),
        }
    }
}

/// Who is told of accounts whose auth epoch has moved.
#[derive(Clone, Default)]
pub(crate) struct Listeners(Arc<Mutex<Vec<EpochListener>>>);

impl Listeners {
    pub(crate) fn add(&self, listener: EpochListener) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    fn tell(&self, moved: &[AccountId]) {
        if moved.is_empty() {
            return;
        }
        for listener in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            moved.iter().copied().for_each(listener);
        }
    }
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listeners(…)")
    }
}

/// The connection that a worker writes through. When a batch fails it is given up, whatever the
/// failure: a COMMIT that fails may leave its transaction open, and the next one on that connection
/// would be a part of it, and never be committed.
pub(crate) struct WriterConnection {
    source: Source,
    listeners: Listeners,
    /// Tells when a batch is decided.
    clock: Arc<dyn Clock>,
    health: WriteHealth,
    /// Not there while a batch is at work on it.
    spare: Mutex<Option<Writer>>,
}

/// A connection that writes, and what it remembers of what it wrote.
#[derive(Debug)]
struct Writer {
    db: DatabaseConnection,
    memory: AccountMemory,
}

impl Writer {
    async fn open(source: &Source) -> Result<Self, DbErr> {
        Ok(Self { db: source.writer().await?, memory: AccountMemory::default() })
    }
}

impl WriterConnection {
    /// Connects.
    pub(crate) async fn open(
        source: Source,
        clock: Arc<dyn Clock>,
        listeners: Listeners,
        health: WriteHealth,
    ) -> Result<Self, DbErr> {
        let spare = Mutex::new(Some(Writer::open(&source).await?));
        Ok(Self { source, listeners, clock, health, spare })
    }

    /// Most commands of a batch.
    pub(crate) fn batch_max(&self) -> usize {
        match self.source {
            Source::Sqlite { .. } => sqlite::BATCH_MAX_COMMANDS,
            Source::Postgres { .. } => postgres::BATCH_MAX_COMMANDS,
        }
    }

    /// Applies a batch.
    pub(crate) async fn apply(
        &self,
        commands: &[Command],
        wait: Wait,
    ) -> Result<Decisions, BatchError> {
        let applied = self.apply_once(commands, wait).await;
        self.health.note(&applied);
        applied
    }

    async fn apply_once(&self, commands: &[Command], wait: Wait) -> Result<Decisions, BatchError> {
        self.source.check().map_err(|error| BatchError::Away(error.to_string()))?;
        let spare = self.spare().take();
        let mut writer = match spare {
            Some(writer) => writer,
            None => Writer::open(&self.source).await?,
        };
        let mut committing = None;
        let applied =
            apply_in_time(&mut writer, &*self.clock, &mut committing, commands, wait).await;
        if let Ok(_) | Err(BatchError::OutcomeUnknown(_)) = applied {
            self.listeners.tell(&committing.unwrap_or_default());
        }
        if applied.is_ok() {
            *self.spare() = Some(writer);
        } else {
            close(writer.db).await;
        }
        applied
    }

    /// Lets the connection go.
    pub(crate) async fn close(&self) {
        let spare = self.spare().take();
        if let Some(writer) = spare {
            close(writer.db).await;
        }
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Option<Writer>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What fails to close, or takes too long to, is closed when it is dropped.
async fn close(db: DatabaseConnection) {
    let _ = tokio::time::timeout(CLOSE_MAX_TIME, db.close()).await;
}

/// A connection that does not answer must not hold up its queue for ever. The outcome is unknown only
/// where COMMIT was sent.
async fn apply_in_time(
    writer: &mut Writer,
    clock: &dyn Clock,
    committing: &mut Option<Vec<AccountId>>,
    commands: &[Command],
    wait: Wait,
) -> Result<Decisions, BatchError> {
    let applied = batch::apply(&writer.db, &mut writer.memory, clock, committing, commands, wait);
    if let Ok(applied) = tokio::time::timeout(BATCH_MAX_TIME, applied).await {
        return applied;
    }
    let cause = "a batch took too long".to_owned();
    Err(if committing.is_some() {
        BatchError::OutcomeUnknown(cause)
    } else {
        BatchError::Away(cause)
    })
}

#[cfg(test)]
mod tests {
    use roots_testkit::ambient::TestClock;
    use roots_testkit::commands::Issuer;
    use roots_testkit::database::TestDatabase;
    use sea_orm::{ConnectionTrait, Statement};

    use super::*;

    /// The clock jumps to the time-out while the batch waits for another process.
    #[tokio::test]
    async fn a_batch_that_hangs_before_its_commit_is_reported_as_not_applied() {
        let db = TestDatabase::sqlite().await;
        let issuer = Issuer::new(&db.store, 100).await;
        let file = db.folder.path().join("roots.db");
        let identity = FileIdentity::of(&file).unwrap();
        let source = Source::Sqlite { file, identity };
        let clock = Arc::<TestClock>::default();
        let connection =
            WriterConnection::open(source, clock, Listeners::default(), WriteHealth::default())
                .await
                .unwrap();
        let hold = db.hold(issuer.account).await;
        let before = db.dump().await;
        tokio::time::pause();
        let applied = connection.apply(&[issuer.log_activity("a")], Wait::Out).await;
        tokio::time::resume();
        assert_eq!(applied, Err(BatchError::Away("a batch took too long".to_owned())));
        hold.release().await;
        connection.close().await;
        assert_eq!(db.dump().await, before);
    }

    /// PostgreSQL sleeps in COMMIT, for a trigger that is deferred to it.
    #[tokio::test]
    async fn a_batch_that_hangs_in_its_commit_is_reported_as_unknown() {
        let db = TestDatabase::postgres().await;
        let issuer = Issuer::new(&db.store, 100).await;
        db.execute(
            "CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;",
        )
        .await;
        db.execute(
            "CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON activities \
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nap()",
        )
        .await;
        let source = Source::Postgres { url: db.url.clone() };
        let mut writer = Writer::open(&source).await.unwrap();
        let commands = [issuer.log_activity("a")];
        let (clock, mut committing) = (TestClock::default(), None);
        let mut applied = std::pin::pin!(apply_in_time(
            &mut writer,
            &clock,
            &mut committing,
            &commands,
            Wait::Out
        ));
        let server = db.connection().await;
        let asleep = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                      AND wait_event = 'PgSleep'";
        loop {
            let asleep = Statement::from_string(server.get_database_backend(), asleep);
            tokio::select! {
                biased;
                applied = &mut applied => panic!("it did not hang: {applied:?}"),
                found = server.query_one_raw(asleep) => {
                    if found.unwrap().is_some() {
                        break;
                    }
                }
            }
        }
        tokio::time::pause();
        let applied = applied.await;
        tokio::time::resume();
        assert_eq!(applied, Err(BatchError::OutcomeUnknown("a batch took too long".to_owned())));
    }

    #[test]
    fn four_serving_threads_share_a_writer_queue_and_sqlite_has_one() {
        let server = Source::Postgres { url: String::new() };
        assert_eq!([0, 1, 4, 7, 8].map(|serving| server.writer_queues(serving)), [1, 1, 1, 1, 2]);
        let identity = FileIdentity(0, 0);
        let file = Source::Sqlite { file: PathBuf::new(), identity };
        assert_eq!(
            (file.writer_queues(8), file.has_blocked_queue(), server.has_blocked_queue()),
            (1, false, true)
        );
    }
}
