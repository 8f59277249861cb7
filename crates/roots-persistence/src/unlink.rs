//! Links to deleted sessions.
//!
//! Where more rows were linked to a session than one transaction unlinks, `session_deletions` names it
//! until the last link is gone. Every read of a todo or an activity goes through [`Shown`], which makes of
//! such a row what unlinking will make of it, so that no reader can tell the two apart.

use roots_domain::decide::{RowKey, WriteSet};
use roots_domain::model::id::SessionId;
use roots_domain::model::session::UNLINKED_AT_ONCE_MAX;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait,
    IdenStatic, Iterable, QueryFilter, QuerySelect, QueryTrait, Select, Statement,
};

use crate::entity::{activities, actors, session_deletions, sessions, tallies, todos};
use crate::errors::BatchError;

/// Rows as they are shown.
pub(crate) trait Shown: EntityTrait {
    /// Whether a row is linked to a session, by a column `session_id`, and counts its changes, in a
    /// column `version`.
    const IS_LINKED: bool = false;

    /// Every row. To be read by this and not by `find`.
    fn shown() -> Select<Self> {
        if !Self::IS_LINKED {
            return Self::find();
        }
        let name = Self::default();
        let columns = Self::Column::iter();
        columns.fold(Self::find().select_only(), |rows, column| {
            match instead(column.as_str(), name.table_name()) {
                Some(text) => rows.expr_as(Expr::cust(text), column.as_str()),
                None => rows.column(column),
            }
        })
    }

    /// What a statement selects to read the rows of a table that it calls so.
    fn selected(table: &str) -> String {
        if !Self::IS_LINKED {
            return format!("{table}.*");
        }
        let columns = Self::Column::iter().map(|column| {
            let column = column.as_str();
            let text = instead(column, table).unwrap_or_else(|| format!("{table}.{column}"));
            format!("{text} AS {column}")
        });
        columns.collect::<Vec<_>>().join(", ")
    }
}

impl Shown for todos::Entity {
    const IS_LINKED: bool = true;
}

impl Shown for activities::Entity {
    const IS_LINKED: bool = true;
}

impl Shown for sessions::Entity {}
impl Shown for actors::Entity {}
impl Shown for tallies::Entity {}

/// What is read in place of a column, where a link may be one to a deleted session.
fn instead(column: &str, table: &str) -> Option<String> {
    let is_deleted = format!(
        "{table}.session_id IS NOT NULL AND EXISTS (SELECT 1 FROM session_deletions AS gone \
         WHERE gone.account_id = {table}.account_id AND gone.session_id = {table}.session_id)"
    );
    match column {
        "session_id" => {
            Some(format!("CASE WHEN {is_deleted} THEN NULL ELSE {table}.session_id END"))
        }
        "version" => Some(format!(
            "CASE WHEN {is_deleted} THEN {table}.version + 1 ELSE {table}.version END"
        )),
        _ => None,
    }
}

/// Of `rows` those that are linked to a session: none, where it is deleted.
pub(crate) fn linked_to<E: Shown>(
    rows: Select<E>,
    column: E::Column,
    account: i64,
    session: SessionId,
) -> Select<E> {
    let deleted = session_deletions::Entity::find_by_id((account, session.0))
        .select_only()
        .expr(Expr::value(1_i32));
    rows.filter(column.eq(session.0)).filter(Expr::exists(deleted.into_query()).not())
}

/// Unlinks what was linked to the sessions that a batch deletes, some rows in all, and notes those to
/// which some may be left.
pub(crate) async fn write(
    tx: &DatabaseTransaction,
    write_set: &WriteSet,
) -> Result<(), BatchError> {
    let mut left = UNLINKED_AT_ONCE_MAX.into();
    for of in &write_set.sessions.deleted {
        left -= unlink(tx, *of, left).await?;
        if left == 0 {
            let row = session_deletions::ActiveModel {
                account_id: ActiveValue::Set(of.0.0),
                session_id: ActiveValue::Set(of.1.0),
            };
            session_deletions::Entity::insert(row).exec_without_returning(tx).await?;
        }
    }
    for (of, rows) in &write_set.unlinked {
        let noted = || session_deletions::Entity::find_by_id((of.0.0, of.1.0));
        let rows = u64::from(*rows);
        // Another process may have come to the end of it.
        if noted().one(tx).await?.is_some() && unlink(tx, *of, rows).await? < rows {
            session_deletions::Entity::delete_by_id((of.0.0, of.1.0)).exec(tx).await?;
        }
    }
    Ok(())
}

/// Takes the link from so many rows at most that are linked to a session, and tells how many those are.
async fn unlink(
    tx: &DatabaseTransaction,
    (account, session): RowKey<SessionId>,
    most: u64,
) -> Result<u64, BatchError> {
    let backend = tx.get_database_backend();
    // An array is found first and then looked up row by row, whatever the planner knows of the table.
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
    Ok(unlinked)
}
