//! A batch of commands in one transaction: lock and load, decide, write the difference.
//!
//! The rules are in [`roots_domain::decide`]; this module has only the statements. Their number
//! depends on the tables that a batch touches, not on the number of its commands, unless it binds
//! more values than a statement may.

use roots_domain::command::{Applied, Command, Refusal};
use roots_domain::model::id::AccountId;
use roots_domain::port::clock::Clock;
use sea_orm::{DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait};

use super::load::{Wait, load};
use super::memory::AccountMemory;
use super::store::store;
use super::transaction::BatchTransaction;
use crate::connect::source::Dialect;
use crate::errors::{self, BatchError};

/// The reply to each command of a batch, once the batch is durable.
pub(super) type Decisions = Vec<Result<Applied, Refusal>>;

/// Applies the commands in order in one transaction. On failure nothing was written, except
/// possibly with [`BatchError::OutcomeUnknown`]. Before COMMIT is sent, `committing` is set to the
/// accounts whose keys may end: while it is `None`, nothing was written.
///
/// All commands are decided at one time, read after the locks are held and the rows are loaded, so
/// after every wait.
pub(super) async fn apply(
    (db, dialect): (&DatabaseConnection, Dialect),
    memory: &mut AccountMemory,
    clock: &dyn Clock,
    committing: &mut Option<Vec<AccountId>>,
    commands: &[Command],
    wait: Wait,
) -> Result<Decisions, BatchError> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(options).await?;
    let tx = BatchTransaction { transaction, dialect };
    let mut working_set = load(&tx, memory, clock, commands, wait).await?;
    let now = clock.now();
    let answers: Decisions =
        commands.iter().map(|command| working_set.decide_at(command.clone(), now)).collect();
    let rest = working_set.take_unchanged();
    let write_set = working_set.into_write_set();
    store(&tx, &write_set).await?;
    let erased = write_set.erased.iter().map(|(account, _)| *account);
    *committing = Some(write_set.auth_epochs_moved.iter().copied().chain(erased).collect());
    tx.transaction.commit().await.map_err(errors::of_commit)?;
    memory.learn(write_set, rest);
    Ok(answers)
}

#[cfg(test)]
mod tests;
