//! Connections to read by: a pool for each thread that serves, and one for all others.
//!
//! A connection belongs to the thread that opened it: there its runtime waits for it, and the system
//! mostly keeps what works for it near. To hand a statement over to another processor and its rows back
//! costs more than most statements.

use std::cell::Cell;

use sea_orm::{DatabaseConnection, DbBackend, DbErr};

use crate::source::Source;

thread_local! {
    /// The number of this thread among those that serve.
    static SEAT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Has this thread read by connections of its own from now on, of any store that was opened for as many
/// threads: they are numbered from 0. No two threads of a process have the same number.
pub fn take_seat(number: usize) {
    SEAT.set(Some(number));
}

/// The pools.
pub(crate) struct Readers {
    of_seats: Vec<DatabaseConnection>,
    of_all: DatabaseConnection,
}

impl Readers {
    /// Prepares a pool for each of so many seats, and connects for all others.
    pub(crate) async fn open(source: &Source, seats: usize) -> Result<Self, DbErr> {
        let mut of_seats = Vec::new();
        for _ in 0..seats {
            of_seats.push(source.readers(seats).await?);
        }
        let of_all = source.readers(1).await?;
        of_all.ping().await?;
        Ok(Self { of_seats, of_all })
    }

    /// One pool for all.
    #[cfg(test)]
    pub(crate) fn only(of_all: DatabaseConnection) -> Self {
        Self { of_seats: Vec::new(), of_all }
    }

    /// The pool of this thread, as long as it has a connection to give: whoever reads something that
    /// takes long must not hold up all others on the thread.
    pub(crate) fn here(&self) -> &DatabaseConnection {
        let own = SEAT.get().and_then(|seat| self.of_seats.get(seat));
        own.filter(|pool| can_give(pool)).unwrap_or(&self.of_all)
    }

    /// Lets all connections go.
    pub(crate) async fn close(&self) {
        for pool in self.of_seats.iter().chain([&self.of_all]) {
            // What fails to close is closed with the process.
            let _ = pool.clone().close().await;
        }
    }
}

/// Whether a pool has a connection that nobody uses, or may open another.
fn can_give(pool: &DatabaseConnection) -> bool {
    if pool.get_database_backend() == DbBackend::Postgres {
        let pool = pool.get_postgres_connection_pool();
        return pool.num_idle() > 0 || pool.size() < pool.options().get_max_connections();
    }
    let pool = pool.get_sqlite_connection_pool();
    pool.num_idle() > 0 || pool.size() < pool.options().get_max_connections()
}

#[cfg(test)]
mod tests {
    use std::ptr;
    use std::thread;

    use roots_testkit::database::TestDatabase;
    use sea_orm::TransactionTrait;

    use super::*;
    use crate::source::FileIdentity;

    #[tokio::test]
    async fn a_thread_with_a_seat_reads_by_a_pool_of_its_own() {
        let db = TestDatabase::sqlite().await;
        let file = db.folder.path().join("roots.db");
        let identity = FileIdentity::of(&file).unwrap();
        let readers = Readers::open(&Source::Sqlite { file, identity }, 2).await.unwrap();
        let pool_of = |seat| {
            let here = || {
                take_seat(seat);
                ptr::from_ref(readers.here()).addr()
            };
            thread::scope(|scope| scope.spawn(here).join().unwrap())
        };
        let all = ptr::from_ref(readers.here()).addr();
        let own = [pool_of(0), pool_of(1)];
        assert!(own[0] != own[1] && !own.contains(&all));
        assert_eq!(pool_of(2), all);

        // What takes long on one thread sends the rest of it to the others' pool.
        let mut taken = Vec::new();
        for _ in 0..readers.of_seats[0].get_sqlite_connection_pool().options().get_max_connections()
        {
            assert_eq!(pool_of(0), own[0]);
            taken.push(readers.of_seats[0].begin().await.unwrap());
        }
        assert_eq!((pool_of(0), pool_of(1)), (all, own[1]));
        drop(taken);
        readers.close().await;
    }
}
