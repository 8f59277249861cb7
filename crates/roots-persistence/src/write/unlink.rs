//! Removes links to deleted sessions, some rows in each batch.
//!
//! `session_deletions` has the sessions with remaining links; [`crate::table::shown`] hides these
//! links from readers.

use roots_domain::decide::{RowKey, WriteSet};
use roots_domain::model::id::SessionId;
use roots_domain::model::session::{HEARTBEAT_EVERY_SECONDS, UNLINKED_AT_ONCE_MAX};
use roots_domain::model::time::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement,
};

use super::transaction::BatchTransaction;
use crate::errors::BatchError;
use crate::table::{session_activity, session_deletions};

/// Unlinks some rows from the sessions that a batch deletes, and records the sessions to which
/// others may still be linked. Claims that were made for a session are left to their leases in the
/// same way. Until all are, the session's activity tells when it was deleted.
pub(super) async fn write(tx: &BatchTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    let mut left = UNLINKED_AT_ONCE_MAX.into();
    for of in &write_set.sessions.deleted {
        if let Some(at) = write_set.claims_left.get(of) {
            note_deletion(tx, *of, *at).await?;
        }
        left -= unlink(tx, *of, left).await?;
        if left == 0 {
            let row = session_deletions::ActiveModel {
                account_id: ActiveValue::Set(of.0.0),
                session_id: ActiveValue::Set(of.1.0),
            };
            session_deletions::Entity::insert(row).exec_without_returning(tx).await?;
        } else {
            session_activity::Entity::delete_by_id((of.0.0, of.1.0)).exec(tx).await?;
        }
    }
    for (of, rows) in &write_set.unlinked {
        let noted = || session_deletions::Entity::find_by_id((of.0.0, of.1.0));
        let rows = u64::from(*rows);
        // Another process may have finished it.
        if noted().one(tx).await?.is_some() && unlink(tx, *of, rows).await? < rows {
            session_deletions::Entity::delete_by_id((of.0.0, of.1.0)).exec(tx).await?;
            session_activity::Entity::delete_by_id((of.0.0, of.1.0)).exec(tx).await?;
        }
    }
    Ok(())
}

/// Notes when a session was deleted: that was the last write of it.
async fn note_deletion(
    tx: &BatchTransaction,
    (account, session): RowKey<SessionId>,
    at: Timestamp,
) -> Result<(), BatchError> {
    use session_activity::Column::{AccountId, IsOpen, LastActiveAt, SessionId};
    session_activity::Entity::update_many()
        .col_expr(LastActiveAt, Expr::value(at.micros()))
        .col_expr(IsOpen, Expr::value(0_i16))
        .filter(AccountId.eq(account.0))
        .filter(SessionId.eq(session.0))
        .exec(tx)
        .await?;
    Ok(())
}

/// Unlinks at most `most` rows from a session, and returns their number.
async fn unlink(
    tx: &BatchTransaction,
    (account, session): RowKey<SessionId>,
    most: u64,
) -> Result<u64, BatchError> {
    let backend = tx.get_database_backend();
    // The array is built first and then looked up row by row, whatever statistics the planner has.
    let (before, after) = match backend {
        DbBackend::Postgres => ("= ANY (ARRAY(", "))"),
        _ => ("IN (", ")"),
    };
    let mut unlinked = 0;
    for (table, id) in [("todos", "todo_id"), ("activities", "activity_id")] {
        if unlinked == most {
            break;
        }
        let sql = format!(
            "UPDATE {table} SET session_id = NULL, version = version + 1 WHERE account_id = $1 \
             AND {id} {before}SELECT {id} FROM {table} WHERE account_id = $1 AND session_id = $2 \
             LIMIT $3{after}"
        );
        let room = i64::try_from(most - unlinked).unwrap_or(i64::MAX);
        let values = [account.0.into(), session.0.into(), room.into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        unlinked += tx.execute_raw(statement).await?.rows_affected();
    }
    if unlinked < most {
        unlinked += leave_claims(tx, (account, session), most - unlinked).await?;
    }
    Ok(unlinked)
}

/// Leaves at most `most` claims of a deleted session to their leases, which count from its
/// deletion, and returns their number.
async fn leave_claims(
    tx: &BatchTransaction,
    (account, session): RowKey<SessionId>,
    most: u64,
) -> Result<u64, BatchError> {
    let backend = tx.get_database_backend();
    let (before, after) = match backend {
        DbBackend::Postgres => ("= ANY (ARRAY(", "))"),
        _ => ("IN (", ")"),
    };
    let deadline = format!(
        "(SELECT last_active_at FROM session_activity WHERE account_id = $1 AND session_id = $2) \
         + (lease_seconds + {HEARTBEAT_EVERY_SECONDS}) * 1000000"
    );
    let sql = format!(
        "UPDATE claim_deadlines SET session_id = NULL, \
         until_at = CASE WHEN {deadline} > until_at THEN {deadline} ELSE until_at END \
         WHERE account_id = $1 AND todo_id {before}SELECT todo_id FROM claim_deadlines \
         WHERE account_id = $1 AND session_id = $2 LIMIT $3{after}"
    );
    let room = i64::try_from(most).unwrap_or(i64::MAX);
    let values = [account.0.into(), session.0.into(), room.into()];
    let statement = Statement::from_sql_and_values(backend, sql, values);
    Ok(tx.execute_raw(statement).await?.rows_affected())
}
