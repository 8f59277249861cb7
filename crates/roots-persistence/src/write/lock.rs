//! Locks the accounts of a batch.

use std::collections::BTreeSet;

use roots_domain::decide::ReadSet;
use roots_domain::model::time::Timestamp;
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::transaction::BatchTransaction;
use crate::connect::postgres;
use crate::connect::shard::{KEEP, KEEP_BRIEFLY, Shard};
use crate::connect::source::Dialect;
use crate::errors::{self, BatchError};

/// How long to wait for a lock that another process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// As long as callers can wait: no other command is delayed.
    Out,
    /// 500 ms, since commands that do not need the lock wait too.
    Briefly,
}

/// Only the holder of an account's lock writes to the account. SQLite has one writer in all, which
/// BEGIN IMMEDIATE guarantees. PostgreSQL takes advisory locks in the order of the ids, so that no
/// two batches wait for each other, and tells the time at which it had them all. On a cluster, an
/// account's lock is on the node that holds the account.
///
/// A batch that uses the tables of shards keeps these on the node first, since a move waits for all
/// batches that hold an account.
pub(super) async fn lock(
    tx: &BatchTransaction,
    shards: &[&Shard],
    read_sets: &[ReadSet],
    wait: Wait,
) -> Result<Option<Timestamp>, BatchError> {
    let backend = tx.get_database_backend();
    if backend != DbBackend::Postgres {
        return Ok(None);
    }
    let directory = read_sets.iter().any(|read_set| read_set.directory).then_some(0);
    let accounts = read_sets.iter().flat_map(|read_set| &read_set.accounts);
    let mut accounts: BTreeSet<_> = accounts.map(|id| id.0).collect();
    if tx.dialect == Dialect::CitusCoordinator {
        if wait == Wait::Briefly {
            tx.execute_unprepared(postgres::WAIT_BRIEFLY).await?;
        }
        // An account that does not exist has no lock, and nobody else can write to it.
        for id in std::mem::take(&mut accounts) {
            let values = [id.into(), postgres::lock_key(id).into()];
            let asked = Statement::from_sql_and_values(backend, postgres::LOCK_ON_NODE, values);
            tx.query_all_raw(asked).await?;
        }
    }
    let ids = directory.into_iter().chain(accounts);
    let mut values: Vec<Value> = vec![ids.map(postgres::lock_key).collect::<Vec<_>>().into()];
    let sql = if let Some(first) = shards.first() {
        let numbers: Vec<_> = shards.iter().map(|shard| shard.number()).collect();
        keep(tx, numbers.clone(), wait).await?;
        values.extend([first.group.into(), numbers.into()]);
        postgres::LOCK_ON_SHARDS
    } else {
        match wait {
            Wait::Out => postgres::LOCK,
            Wait::Briefly => postgres::LOCK_BRIEFLY,
        }
    };
    let locked = tx.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    let Some(last) = locked.last() else { return Ok(None) };
    if !shards.is_empty() {
        let here: i64 = last.try_get("", postgres::SHARDS_HERE)?;
        if here.unsigned_abs() < shards.len() as u64 {
            return Err(BatchError::Moved);
        }
    }
    Ok(Some(Timestamp::from_micros(last.try_get("", postgres::LOCKED_AT)?)))
}

/// PostgreSQL's code for an internal error, which Citus gives for a shard that does not exist.
const INTERNAL_ERROR: &str = "XX000";

/// Keeps shards on their node.
async fn keep(tx: &BatchTransaction, numbers: Vec<i64>, wait: Wait) -> Result<(), BatchError> {
    let sql = match wait {
        Wait::Out => KEEP,
        Wait::Briefly => KEEP_BRIEFLY,
    };
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql, [numbers.into()]);
    match tx.query_all_raw(asked).await {
        Ok(_) => Ok(()),
        Err(error) if errors::code(&error).as_deref() == Some(INTERNAL_ERROR) => {
            Err(BatchError::Moved)
        }
        Err(error) => Err(error.into()),
    }
}
