//! Writes the changes of a batch, with one statement for each table.

use std::collections::{BTreeMap, BTreeSet};

use roots_domain::decide::{Directory, RowKey, WriteSet};
use roots_domain::model::api_key::WrapHolder;
use roots_domain::model::idempotency::FORGET_MAX_ROWS;
use roots_domain::model::sign_in::OpenerEnd;
use roots_domain::model::time::QuarterHour;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityName, EntityTrait, ModelTrait,
    QueryFilter, Statement,
};

use super::filter::{ChunkedFilter, by_id};
use super::transaction::{BatchTransaction, Insert, expect_rows};
use super::upsert::OnConflict::{self, Adding, InPlace, New, NewerBy};
use super::{idempotency_record, unlink, upsert};
use crate::connect::postgres;
use crate::erase;
use crate::errors::BatchError;
use crate::table::{
    accounts, activities, activity_daily, activity_quarter_hours, actors, api_keys, audit_log,
    claim_deadlines, counters, directory, idempotency, imports, key_wraps, ledger, recovery_codes,
    session_activity, sessions, sign_ins, todo_logs, todos, usage, work_quarter_hours,
};

/// Writes the changes of a batch.
pub(super) async fn store(tx: &BatchTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    let is_usual =
        write_set.forgotten.is_empty() && write_set.erased.is_empty() && write_set.swept.is_empty();
    if !is_usual && tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(postgres::PLAN_ANEW).await?;
    }
    for (account, at) in &write_set.erased {
        erase::end(tx, *account, *at).await?;
    }
    for (account, at) in &write_set.swept {
        erase::sweep(tx, *account, *at).await?;
    }
    write_accounts(tx, write_set).await?;
    put(
        tx,
        write_set.sessions.written().map(sessions::Model::from),
        NewerBy(sessions::Column::Version),
    )
    .await?;
    put(tx, write_set.session_activity.written().map(session_activity::Model::from), InPlace)
        .await?;
    put(tx, write_set.todos.written().map(todos::Model::from), NewerBy(todos::Column::Version))
        .await?;
    put(tx, write_set.deadlines.written().map(claim_deadlines::Model::from), InPlace).await?;
    put(tx, write_set.logs.iter().map(todo_logs::Model::from), New).await?;
    put(tx, write_set.activities.written().map(activities::Model::from), New).await?;
    put(tx, write_set.ledger.iter().map(ledger::Model::from), New).await?;
    put(tx, write_set.imported.iter().map(imports::Model::from), New).await?;
    put(tx, write_set.audit_log.iter().map(audit_log::Model::from), New).await?;
    let records = write_set
        .idempotency_records
        .iter()
        .map(idempotency_record::row)
        .collect::<Result<Vec<_>, _>>()?;
    // A newer record overwrites an expired one.
    put(tx, records.into_iter(), NewerBy(idempotency::Column::CreatedAt)).await?;
    for (account, before) in &write_set.forgotten {
        forget_idempotency_records(tx, account.0, before.micros()).await?;
    }
    write_counters(tx, write_set).await?;
    write_spans(tx, write_set).await?;
    put(tx, write_set.work.iter().map(work_quarter_hours::Model::from), Adding).await?;
    put(tx, write_set.calls.iter().map(usage::Model::from), Adding).await?;
    unlink::write(tx, write_set).await?;
    let deleted = write_set.activities.deleted.iter().map(|(account, id)| (account.0, id.0));
    let columns = (activities::Column::AccountId, activities::Column::ActivityId);
    delete::<activities::Entity>(tx, columns, deleted).await?;
    let deleted = write_set.deadlines.deleted.iter().map(|(account, id)| (account.0, id.0));
    let columns = (claim_deadlines::Column::AccountId, claim_deadlines::Column::TodoId);
    delete::<claim_deadlines::Entity>(tx, columns, deleted).await?;
    let deleted = write_set.todos.deleted.iter().map(|(account, id)| (account.0, id.0));
    let columns = (todos::Column::AccountId, todos::Column::TodoId);
    delete::<todos::Entity>(tx, columns, deleted).await?;
    let deleted = write_set.sessions.deleted.iter().map(|(account, id)| (account.0, id.0));
    let columns = (sessions::Column::AccountId, sessions::Column::SessionId);
    delete::<sessions::Entity>(tx, columns, deleted).await?;
    tx.finish().await
}

async fn write_accounts(tx: &BatchTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    if let Some(Directory { last_account, accounts, installation }) = write_set.directory {
        let updated = directory::Entity::update_many()
            .col_expr(directory::Column::LastAccountId, Expr::value(last_account.map(|id| id.0)))
            .col_expr(directory::Column::Accounts, Expr::value(accounts))
            .col_expr(directory::Column::Installation, Expr::value(installation.map(|id| id.0)))
            .exec(tx)
            .await?;
        expect_rows("directory", 1, updated.rows_affected)?;
    }
    put(tx, write_set.accounts_founded.iter().map(accounts::Model::from), New).await?;
    let moved = write_set.accounts_changed.iter().map(accounts::Model::from);
    put(tx, moved, NewerBy(accounts::Column::Version)).await?;
    write_keys(tx, write_set).await
}

async fn write_keys(tx: &BatchTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    put(tx, write_set.actors.written().map(actors::Model::from), InPlace).await?;
    let deleted = write_set.keys.deleted.iter().map(|(account, id)| (account.0, id.0));
    let columns = (api_keys::Column::AccountId, api_keys::Column::KeyId);
    delete::<api_keys::Entity>(tx, columns, deleted).await?;
    put(tx, write_set.keys.written().map(api_keys::Model::from), InPlace).await?;
    let deleted = write_set.codes.deleted.iter().map(|(account, id)| (account.0, id.0));
    let columns = (recovery_codes::Column::AccountId, recovery_codes::Column::RecoveryId);
    delete::<recovery_codes::Entity>(tx, columns, deleted).await?;
    put(tx, write_set.codes.written().map(recovery_codes::Model::from), InPlace).await?;
    write_sign_ins(tx, write_set).await?;
    empty_holders(tx, &write_set.holders_emptied).await?;
    put(tx, write_set.wraps.iter().map(key_wraps::Model::from), New).await
}

async fn write_sign_ins(tx: &BatchTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    use sign_ins::Column::{AccountId, OpenerId, SignInId};
    let deleted = write_set.sign_ins.deleted.iter().map(|(account, id)| (account.0, id.0));
    delete::<sign_ins::Entity>(tx, (AccountId, SignInId), deleted).await?;
    put(tx, write_set.sign_ins.written().map(sign_ins::Model::from), InPlace).await?;
    // What an ended key has opened was not loaded.
    for how in [OpenerEnd::Rotated, OpenerEnd::Ended] {
        let ended = write_set.openers_ended.iter().filter(|(_, end)| **end == how);
        let mut these = ChunkedFilter::default();
        let not_ended = || Condition::all().add(sign_ins::Column::Ended.is_null());
        these.add_ids((AccountId, OpenerId), ended.map(|((a, id), _)| (a.0, id.0)), not_ended);
        for these in these.packed() {
            sign_ins::ended_by(how).filter(these).exec(tx).await?;
        }
    }
    Ok(())
}

/// Deletes all wraps of those holders.
async fn empty_holders(
    tx: &BatchTransaction,
    holders: &BTreeSet<RowKey<WrapHolder>>,
) -> Result<(), BatchError> {
    use key_wraps::Column::{AccountId as Account, HolderEpoch, HolderId, HolderKind};
    let mut ids = BTreeMap::<_, Vec<i64>>::new();
    for (account, holder) in holders {
        let (kind, id, epoch) = key_wraps::holder(*holder);
        ids.entry((account.0, kind, epoch)).or_default().push(id);
    }
    let mut these = ChunkedFilter::default();
    for ((account, kind, epoch), ids) in ids {
        let of = || {
            let of = Condition::all().add(Account.eq(account)).add(HolderKind.eq(kind));
            of.add(HolderEpoch.eq(epoch))
        };
        these.add_list(of, HolderId, ids);
    }
    for these in these.packed() {
        key_wraps::Entity::delete_many().filter(these).exec(tx).await?;
    }
    Ok(())
}

/// Writes rows. Before the transaction is finished, it checks that each was written.
pub(super) async fn put<M: ModelTrait>(
    tx: &BatchTransaction,
    rows: impl Iterator<Item = M>,
    on_conflict: OnConflict<<M::Entity as EntityTrait>::Column>,
) -> Result<(), BatchError> {
    let rows: Vec<_> = rows.collect();
    let backend = tx.get_database_backend();
    for rows in rows.chunks(upsert::rows_max::<M>(backend)) {
        let statement = upsert::statement(tx.dialect, rows, on_conflict);
        let table = M::Entity::default().table_name();
        tx.insert(Insert { statement, table, rows: rows.len() as u64 }).await?;
    }
    Ok(())
}

async fn write_counters(tx: &BatchTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    use counters::Column::{AccountId as Account, ActorId, Count, Label, Subject};
    let moves = || write_set.counters.iter();
    let rows =
        moves().map(|((account, counter), moved)| counters::Model::of(*account, counter, *moved));
    put(tx, rows, Adding).await?;
    // Counters of activity types are deleted at zero, since types come and go; the others are few.
    let mut emptied = ChunkedFilter::default();
    for ((account, counter), _) in moves().filter(|(_, moved)| **moved < 0) {
        let row = counters::Model::of(*account, counter, 0);
        if row.subject == counters::SUBJECT_ACTIVITIES {
            emptied.add(
                Condition::all()
                    .add(Account.eq(row.account_id))
                    .add(ActorId.eq(row.actor_id))
                    .add(Subject.eq(row.subject))
                    .add(Label.eq(row.label)),
            );
        }
    }
    sweep::<counters::Entity>(tx, emptied, Count).await
}

/// Writes the counts by quarter hour, and their sums by day, which most queries use.
async fn write_spans(tx: &BatchTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    let rows = || {
        write_set
            .quarter_hours
            .iter()
            .map(|((of, it), moved)| activity_quarter_hours::Model::of(*of, it, *moved))
    };
    put(tx, rows(), Adding).await?;
    let mut emptied = ChunkedFilter::default();
    for row in rows().filter(|row| row.count < 0) {
        use activity_quarter_hours::Column::{AccountId, ActivityType, ActorId, Quarter};
        emptied.add(
            Condition::all()
                .add(AccountId.eq(row.account_id))
                .add(ActorId.eq(row.actor_id))
                .add(Quarter.eq(row.quarter))
                .add(ActivityType.eq(row.activity_type)),
        );
    }
    sweep::<activity_quarter_hours::Entity>(tx, emptied, activity_quarter_hours::Column::Count)
        .await?;

    let mut days = BTreeMap::new();
    for row in rows() {
        let day = QuarterHour(row.quarter).day().0;
        *days.entry((row.account_id, row.actor_id, day, row.activity_type)).or_insert(0) +=
            row.count;
    }
    days.retain(|_, moved| *moved != 0);
    let rows = || {
        days.iter().map(|((account_id, actor_id, day, activity_type), count)| {
            activity_daily::Model {
                account_id: *account_id,
                actor_id: *actor_id,
                day: *day,
                activity_type: activity_type.clone(),
                count: *count,
            }
        })
    };
    put(tx, rows(), Adding).await?;
    let mut emptied = ChunkedFilter::default();
    for row in rows().filter(|row| row.count < 0) {
        use activity_daily::Column::{AccountId, ActivityType, ActorId, Day};
        emptied.add(
            Condition::all()
                .add(AccountId.eq(row.account_id))
                .add(ActorId.eq(row.actor_id))
                .add(Day.eq(row.day))
                .add(ActivityType.eq(row.activity_type)),
        );
    }
    sweep::<activity_daily::Entity>(tx, emptied, activity_daily::Column::Count).await
}

async fn sweep<E: EntityTrait>(
    tx: &BatchTransaction,
    emptied: ChunkedFilter,
    count: E::Column,
) -> Result<(), BatchError> {
    for emptied in emptied.packed() {
        E::delete_many().filter(count.eq(0)).filter(emptied).exec(tx).await?;
    }
    Ok(())
}

/// Deletes the oldest idempotency records of an account from before that time, at most
/// [`FORGET_MAX_ROWS`].
async fn forget_idempotency_records(
    tx: &BatchTransaction,
    account: i64,
    before: i64,
) -> Result<(), BatchError> {
    let sql = "DELETE FROM idempotency WHERE account_id = $1 AND (actor_id, key_mac) IN \
               (SELECT actor_id, key_mac FROM idempotency \
               WHERE account_id = $1 AND created_at < $2 ORDER BY created_at LIMIT $3)";
    let values = [account.into(), before.into(), i64::from(FORGET_MAX_ROWS).into()];
    tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
    Ok(())
}

async fn delete<E: EntityTrait>(
    tx: &BatchTransaction,
    columns: (E::Column, E::Column),
    rows: impl ExactSizeIterator<Item = (i64, i64)>,
) -> Result<(), BatchError> {
    let expected = rows.len() as u64;
    let mut met = 0;
    for these in by_id(columns, rows) {
        met += E::delete_many().filter(these).exec(tx).await?.rows_affected;
    }
    expect_rows(E::default().table_name(), expected, met)
}
