//! Where a store's connections come from, and the connection that a lane writes through.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roots_domain::model::id::AccountId;
use roots_domain::model::unit::UnitOfWork;
use roots_domain::port::ambient::Clock;
use roots_domain::port::store::{EpochListener, StoreFault};
use sea_orm::{DatabaseConnection, DbErr};

use crate::batch::{self, Answers, Memory, Wait};
use crate::fault::Failure;
use crate::{postgres, sqlite};

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
    /// How many lanes write to it, beside so many threads that serve.
    pub(crate) fn lanes(&self, serving: usize) -> usize {
        match self {
            Self::Sqlite { .. } => sqlite::LANES,
            Self::Postgres { .. } => (serving / postgres::SERVING_OF_LANE).max(1),
        }
    }

    /// Whether a lane beside those is of use: SQLite has one writer at a time.
    pub(crate) fn has_aside(&self) -> bool {
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

    /// Whether the file still lies in its place: what is written to one that was moved away or
    /// deleted would be gone with the process.
    pub(crate) fn check(&self) -> Result<(), StoreFault> {
        match self {
            Self::Sqlite { file, identity } if FileIdentity::of(file).ok() != Some(*identity) => {
                let cause = "the database file was moved, deleted or replaced";
                Err(StoreFault::Unavailable(cause.to_owned()))
            }
            _ => Ok(()),
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

/// What a lane writes through. A connection on which a batch has failed is given up, whatever the
/// failure: a COMMIT that fails may leave its transaction open, and the next one on that connection
/// would be a part of it, and never be committed.
pub(crate) struct Link {
    source: Source,
    listeners: Listeners,
    /// Tells when a batch is decided.
    clock: Arc<dyn Clock>,
    /// Not there while a batch is at work on it.
    spare: Mutex<Option<Writer>>,
}

/// A connection that writes, and what it remembers of what it wrote.
#[derive(Debug)]
struct Writer {
    db: DatabaseConnection,
    memory: Memory,
}

impl Writer {
    async fn open(source: &Source) -> Result<Self, DbErr> {
        Ok(Self { db: source.writer().await?, memory: Memory::default() })
    }
}

impl Link {
    /// Connects.
    pub(crate) async fn open(
        source: Source,
        clock: Arc<dyn Clock>,
        listeners: Listeners,
    ) -> Result<Self, DbErr> {
        let spare = Mutex::new(Some(Writer::open(&source).await?));
        Ok(Self { source, listeners, clock, spare })
    }

    /// Most units of a batch.
    pub(crate) fn batch_max(&self) -> usize {
        match self.source {
            Source::Sqlite { .. } => sqlite::BATCH_MAX_UNITS,
            Source::Postgres { .. } => postgres::BATCH_MAX_UNITS,
        }
    }

    /// Applies a batch.
    pub(crate) async fn apply(&self, units: &[UnitOfWork], wait: Wait) -> Result<Answers, Failure> {
        self.source.check().map_err(|fault| Failure::Away(fault.to_string()))?;
        let spare = self.spare().take();
        let mut writer = match spare {
            Some(writer) => writer,
            None => Writer::open(&self.source).await?,
        };
        let mut moved = Vec::new();
        let applied = apply_in_time(&mut writer, &*self.clock, &mut moved, units, wait).await;
        if let Ok(_) | Err(Failure::OutcomeUnknown(_)) = applied {
            self.listeners.tell(&moved);
        }
        if applied.is_ok() {
            *self.spare() = Some(writer);
        } else {
            give_up(writer).await;
        }
        applied
    }

    /// Lets the connection go.
    pub(crate) async fn close(&self) {
        let spare = self.spare().take();
        if let Some(writer) = spare {
            give_up(writer).await;
        }
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Option<Writer>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What fails to close, or takes too long to, is closed when it is dropped.
async fn give_up(writer: Writer) {
    let _ = tokio::time::timeout(CLOSE_MAX_TIME, writer.db.close()).await;
}

/// A connection that does not answer must not hold up its lane for ever. Where in the transaction it
/// hangs is not known, so nor is the outcome.
async fn apply_in_time(
    writer: &mut Writer,
    clock: &dyn Clock,
    moved: &mut Vec<AccountId>,
    units: &[UnitOfWork],
    wait: Wait,
) -> Result<Answers, Failure> {
    let applied = batch::apply(&writer.db, &mut writer.memory, clock, moved, units, wait);
    let in_time = tokio::time::timeout(BATCH_MAX_TIME, applied).await;
    in_time.unwrap_or_else(|_| Err(Failure::OutcomeUnknown("a batch took too long".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_threads_share_a_lane_and_a_file_has_one() {
        let server = Source::Postgres { url: String::new() };
        assert_eq!([0, 1, 4, 7, 8].map(|serving| server.lanes(serving)), [1, 1, 1, 1, 2]);
        let identity = FileIdentity(0, 0);
        let file = Source::Sqlite { file: PathBuf::new(), identity };
        assert_eq!((file.lanes(8), file.has_aside(), server.has_aside()), (1, false, true));
    }
}
