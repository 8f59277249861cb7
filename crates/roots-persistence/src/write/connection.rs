//! The connection that the worker of a writer queue writes through.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roots_domain::command::Command;
use roots_domain::model::id::AccountId;
use roots_domain::port::clock::Clock;
use roots_domain::port::store::EpochListener;
use sea_orm::{DatabaseConnection, DbErr};

use super::batch::{self, Decisions, Part};
use super::by_shard::ByShard;
use super::lock::Wait;
use super::memory::AccountMemory;
use crate::connect::postgres::{PostgresServer, Role};
use crate::connect::source::{Dialect, Source, close};
use crate::connect::write_health::WriteHealth;
use crate::connect::{postgres, sqlite};
use crate::errors::BatchError;

/// Longest that a batch may take before its connection is given up.
const BATCH_MAX_TIME: Duration = Duration::from_secs(20);

/// Listeners for accounts whose auth epoch has moved.
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

/// The connection that a worker writes through. After any failure of a batch it is given up: a
/// failed COMMIT may leave its transaction open, and the next batch on the connection would become
/// a part of it and never be committed.
pub(super) struct WriterConnection {
    source: Source,
    /// The tables of the shards of the source, if that is a node of a cluster.
    shards: Option<Source>,
    listeners: Listeners,
    /// Tells the time at which a batch is decided.
    clock: Arc<dyn Clock>,
    health: WriteHealth,
    /// `None` while a batch uses it.
    spare: Spare,
    spare_of_shards: Spare,
}

/// A connection for the next batch.
#[derive(Default)]
struct Spare(Mutex<Option<Writer>>);

impl Spare {
    fn slot(&self) -> MutexGuard<'_, Option<Writer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Writer> {
        self.slot().take()
    }
}

/// A connection that writes, and its memory of the rows that it wrote.
struct Writer {
    db: DatabaseConnection,
    dialect: Dialect,
    memory: AccountMemory,
}

impl Writer {
    async fn open(source: &Source) -> Result<Self, DbErr> {
        let (db, dialect) = (source.writer().await?, source.dialect());
        Ok(Self { db, dialect, memory: AccountMemory::default() })
    }
}

impl WriterConnection {
    /// Connects, except to a node of a cluster, which may be away.
    pub(super) async fn open(
        source: Source,
        clock: Arc<dyn Clock>,
        listeners: Listeners,
        health: WriteHealth,
    ) -> Result<Self, DbErr> {
        let spare = match source.presence() {
            Some(_) => None,
            None => Some(Writer::open(&source).await?),
        };
        let (spare, spare_of_shards) = (Spare(Mutex::new(spare)), Spare::default());
        let shards = source.shards();
        Ok(Self { source, shards, listeners, clock, health, spare, spare_of_shards })
    }

    /// Most commands of a batch.
    pub(super) fn batch_max(&self) -> usize {
        match self.source {
            Source::Sqlite { .. } => sqlite::BATCH_MAX_COMMANDS,
            // Each of its commands is a commit in two phases on several nodes.
            Source::Postgres(PostgresServer { role: Role::Coordinator, .. }) => 1,
            Source::Postgres(_) => postgres::BATCH_MAX_COMMANDS,
        }
    }

    /// Applies a batch.
    pub(super) async fn apply(
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
        if let Some(shards) = &self.shards
            && let Some(by_shard) = ByShard::of(&self.source, commands)
        {
            let by = (shards, &self.spare_of_shards);
            match self.apply_by(by, &by_shard.parts(), wait).await {
                Err(BatchError::Moved) => self.source.note_moved(),
                applied => return applied.map(|answers| by_shard.in_order(answers)),
            }
        }
        // Citus passes the commands of a shard that was moved on to its new node. Together with
        // those of others they would be committed in two phases.
        if self.shards.is_some() && have_several_accounts(commands) {
            return Err(BatchError::Moved);
        }
        let whole = Part { commands, shard: None };
        self.apply_by((&self.source, &self.spare), &[whole], wait).await
    }

    async fn apply_by(
        &self,
        (source, spare): (&Source, &Spare),
        parts: &[Part<'_>],
        wait: Wait,
    ) -> Result<Decisions, BatchError> {
        let kept = spare.take();
        let mut writer = match kept {
            Some(writer) => writer,
            None => Writer::open(source).await?,
        };
        let mut committing = None;
        let applied = apply_in_time(&mut writer, &*self.clock, &mut committing, parts, wait).await;
        if let Ok(_) | Err(BatchError::OutcomeUnknown(_)) = applied {
            self.listeners.tell(&committing.unwrap_or_default());
        }
        if applied.is_ok() {
            *spare.slot() = Some(writer);
        } else {
            close(writer.db).await;
        }
        applied
    }

    /// Closes the connection.
    pub(super) async fn close(&self) {
        for spare in [&self.spare, &self.spare_of_shards] {
            let kept = spare.take();
            if let Some(writer) = kept {
                close(writer.db).await;
            }
        }
    }
}

/// Whether not all commands concern the same accounts.
fn have_several_accounts(commands: &[Command]) -> bool {
    let mut accounts = commands.iter().map(|command| command.accounts().collect::<BTreeSet<_>>());
    let first = accounts.next();
    accounts.any(|others| Some(&others) != first.as_ref())
}

/// Applies a batch with a time limit: a connection that does not answer must not block its queue
/// for ever. The outcome is unknown only if COMMIT was sent.
async fn apply_in_time(
    writer: &mut Writer,
    clock: &dyn Clock,
    committing: &mut Option<Vec<AccountId>>,
    parts: &[Part<'_>],
    wait: Wait,
) -> Result<Decisions, BatchError> {
    let database = (&writer.db, writer.dialect);
    let applied = batch::apply(database, &mut writer.memory, clock, committing, parts, wait);
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
    use crate::connect::source::FileIdentity;

    /// The paused clock jumps to the time limit while the batch waits for another process.
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

    /// PostgreSQL sleeps in COMMIT, in a deferred trigger.
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
        let source = Source::Postgres(PostgresServer::alone(db.url.clone()));
        let mut writer = Writer::open(&source).await.unwrap();
        let commands = [issuer.log_activity("a")];
        let parts = [Part { commands: &commands, shard: None }];
        let (clock, mut committing) = (TestClock::default(), None);
        let mut applied =
            std::pin::pin!(apply_in_time(&mut writer, &clock, &mut committing, &parts, Wait::Out));
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
}
