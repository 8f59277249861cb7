//! A batch of commands in one transaction: lock and load, decide, write the difference.
//!
//! The rules are in [`roots_domain::decide`]; this module has only the statements. Their number
//! depends on the tables that a batch touches, not on the number of its commands, unless it binds
//! more values than a statement may.

use std::sync::Arc;

use roots_domain::command::{Applied, Command, Refusal};
use roots_domain::decide::ReadSet;
use roots_domain::model::id::AccountId;
use roots_domain::port::clock::Clock;
use sea_orm::{DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait};

use super::load::load;
use super::lock::{Wait, lock};
use super::memory::AccountMemory;
use super::store::store;
use super::transaction::BatchTransaction;
use crate::connect::shard::Shard;
use crate::connect::source::Dialect;
use crate::errors::{self, BatchError};

/// The reply to each command of a batch, once the batch is durable.
pub(super) type Decisions = Vec<Result<Applied, Refusal>>;

/// Commands that are decided together, in their order: all of a batch, or on a cluster those of
/// accounts of one shard.
pub(super) struct Part<'a> {
    pub(super) commands: &'a [Command],
    /// The shard whose tables they use, instead of those of all accounts.
    pub(super) shard: Option<Arc<Shard>>,
}

/// Applies the parts of a batch, which have no account in common, in one transaction. The replies
/// are in the order of the parts. On failure nothing was written, except possibly with
/// [`BatchError::OutcomeUnknown`]. Before COMMIT is sent, `committing` is set to the accounts whose
/// keys may end: while it is `None`, nothing was written.
///
/// All commands of a part are decided at one time, read after the locks are held and the rows are
/// loaded, so after every wait.
pub(super) async fn apply(
    (db, dialect): (&DatabaseConnection, Dialect),
    memory: &mut AccountMemory,
    clock: &dyn Clock,
    committing: &mut Option<Vec<AccountId>>,
    parts: &[Part<'_>],
    wait: Wait,
) -> Result<Decisions, BatchError> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(options).await?;
    let mut tx = BatchTransaction::new(transaction, dialect);
    let read_sets: Vec<_> = parts.iter().map(|part| ReadSet::of(part.commands)).collect();
    let shards: Vec<_> = parts.iter().filter_map(|part| part.shard.as_deref()).collect();
    let locked_at = lock(&tx, &shards, &read_sets, wait).await?;
    memory.check(&tx).await?;
    let shared_now = clock.shared_now(locked_at);
    let (mut answers, mut ended, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for (part, read_set) in parts.iter().zip(read_sets) {
        tx.use_shard(part.shard.clone());
        let mut working_set = load(&tx, memory, part.commands, read_set, shared_now).await?;
        let now = clock.now();
        let decided = part.commands.iter().map(|one| working_set.decide_at(one.clone(), now));
        answers.extend(decided);
        let rest = working_set.take_unchanged();
        let write_set = working_set.into_write_set();
        store(&tx, &write_set).await?;
        ended.extend(&write_set.auth_epochs_moved);
        ended.extend(write_set.erased.iter().map(|(account, _)| *account));
        written.push((write_set, rest));
    }
    *committing = Some(ended);
    tx.transaction.commit().await.map_err(errors::of_commit)?;
    for (write_set, rest) in written {
        memory.learn(write_set, rest);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests;
