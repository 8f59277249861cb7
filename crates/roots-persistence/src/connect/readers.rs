//! Connections for reads: a pool for each serving thread, and one for all others.
//!
//! A connection belongs to the thread that opened it: its runtime polls it there, and the system
//! mostly keeps its server process on a near processor. Handing a statement to another processor
//! and its rows back costs more than most statements.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use roots_domain::port::store::{StoreError, StoreResult};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};

use super::reader_pool::ReaderPool;
use super::source::Source;
use crate::errors::of_read;

thread_local! {
    /// The number of this thread among the serving threads.
    static READER_SLOT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Lets this thread read with its own connections from now on, in every store that was opened for
/// enough threads. Numbers start at 0. No two threads of a process may have the same number.
pub fn take_reader_slot(number: usize) {
    READER_SLOT.set(Some(number));
}

/// The pools.
pub(crate) struct Readers {
    of_slots: Vec<ReaderPool>,
    of_all: ReaderPool,
    /// A connection only for pings: long reads may hold all others although the database is
    /// available. `None` during a ping, and before the first one.
    pings: Mutex<Option<DatabaseConnection>>,
}

impl Readers {
    /// Prepares a pool for each slot, and connects the shared one, except to a node of a cluster,
    /// which may be away.
    pub(crate) async fn open(source: &Source, slots: usize) -> Result<Self, DbErr> {
        let presence = || source.presence().cloned();
        let mut of_slots = Vec::new();
        for _ in 0..slots {
            of_slots.push(ReaderPool::new(source.readers(slots).await?, presence()));
        }
        let of_all = source.readers(1).await?;
        if presence().is_none() {
            of_all.ping().await?;
        }
        let of_all = ReaderPool::new(of_all, presence());
        Ok(Self { of_slots, of_all, pings: Mutex::default() })
    }

    /// A single pool for all threads.
    #[cfg(test)]
    pub(crate) fn only(of_all: DatabaseConnection) -> Self {
        let of_all = ReaderPool::watched(of_all);
        Self { of_slots: Vec::new(), of_all, pings: Mutex::default() }
    }

    /// The number of pools.
    pub(crate) fn pools(&self) -> usize {
        self.of_slots.len() + 1
    }

    /// The number of this thread's pool. The last one belongs to all threads without a slot.
    pub(crate) fn number(&self) -> usize {
        let of_all = self.of_slots.len();
        READER_SLOT.get().filter(|slot| *slot < of_all).unwrap_or(of_all)
    }

    /// The pool of this thread, or the shared one if that has no free connection: slow reads must
    /// not block all others on the thread.
    pub(crate) fn here(&self) -> &ReaderPool {
        let own = READER_SLOT.get().and_then(|slot| self.of_slots.get(slot));
        own.filter(|pool| pool.can_give()).unwrap_or(&self.of_all)
    }

    /// Checks that the database answers and says that it accepts writes. If a ping fails or the
    /// caller gives up before the answer, its connection is dropped, and the next ping opens
    /// another one.
    pub(crate) async fn ping(&self, source: &Source) -> StoreResult<()> {
        let kept = self.pings().take();
        let db = match kept {
            Some(db) => db,
            None => source.readers(1).await.map_err(of_read)?,
        };
        let sql = match source {
            Source::Sqlite { .. } => "SELECT 'off'",
            // It is on in a standby.
            Source::Postgres(_) => "SHOW transaction_read_only",
        };
        let ping = Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(ping).await.map_err(of_read)?;
        let is_read_only = row.map(|row| row.try_get_by_index::<String>(0)).transpose();
        if is_read_only.map_err(of_read)?.as_deref() == Some("on") {
            return Err(StoreError::Unavailable("it is read-only".to_owned()));
        }
        *self.pings() = Some(db);
        Ok(())
    }

    fn pings(&self) -> MutexGuard<'_, Option<DatabaseConnection>> {
        self.pings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all connections.
    pub(crate) async fn close(&self) {
        let pings = self.pings().take();
        for pool in self.of_slots.iter().chain([&self.of_all]) {
            pool.close().await;
        }
        if let Some(pings) = pings {
            // Connections that fail to close are closed with the process.
            let _ = pings.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;
    use std::sync::Arc;
    use std::thread;

    use roots_domain::port::store::Readiness;
    use roots_testkit::ambient::TestClock;
    use roots_testkit::database::TestDatabase;

    use super::*;
    use crate::connect::source::FileIdentity;
    use crate::{DatabaseUrl, Store};

    #[tokio::test]
    async fn a_database_answers_a_ping_while_reads_hold_every_connection() {
        for test in [TestDatabase::sqlite().await, TestDatabase::postgres().await] {
            let url = DatabaseUrl::parse(&test.url).unwrap();
            let store = Store::open(&url, Arc::<TestClock>::default()).await.unwrap();
            let readers = store.all_readers();
            let mut taken = Vec::new();
            while readers.of_all.can_give() {
                taken.push(readers.of_all.begin().await.unwrap());
            }
            for _ in 0..2 {
                assert_eq!(store.ping().await, Ok(Vec::new()), "{} taken", taken.len());
                assert!(readers.pings().is_some());
            }
            drop(taken);
            store.close().await;
        }
    }

    #[tokio::test]
    async fn a_thread_with_a_slot_reads_by_a_pool_of_its_own() {
        let db = TestDatabase::sqlite().await;
        let file = db.folder.path().join("roots.db");
        let identity = FileIdentity::of(&file).unwrap();
        let readers = Readers::open(&Source::Sqlite { file, identity }, 2).await.unwrap();
        let pool_of = |slot| {
            let here = || {
                take_reader_slot(slot);
                ptr::from_ref(readers.here()).addr()
            };
            thread::scope(|scope| scope.spawn(here).join().unwrap())
        };
        let all = ptr::from_ref(readers.here()).addr();
        let own = [pool_of(0), pool_of(1)];
        assert!(own[0] != own[1] && !own.contains(&all));
        assert_eq!(pool_of(2), all);

        // Long reads of a thread move its other reads to the shared pool.
        let mut taken = Vec::new();
        while readers.of_slots[0].can_give() {
            assert_eq!(pool_of(0), own[0]);
            taken.push(readers.of_slots[0].begin().await.unwrap());
        }
        assert_eq!((pool_of(0), pool_of(1)), (all, own[1]));
        drop(taken);
        readers.close().await;
    }
}
