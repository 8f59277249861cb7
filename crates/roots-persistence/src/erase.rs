//! Erases an account: first its keys, then its other rows, some at a time.

use roots_domain::model::id::AccountId;
use roots_domain::model::time::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, Iterable, PrimaryKeyToColumn, QueryFilter};

use crate::errors::BatchError;
use crate::table::{
    accounts, activities, activity_daily, activity_quarter_hours, actors, api_keys, audit_log,
    claim_deadlines, counters, erasures, idempotency, imports, key_wraps, ledger, recovery_codes,
    session_activity, session_deletions, sessions, sign_ins, todo_logs, todos, usage,
    work_quarter_hours,
};
use crate::write::transaction::BatchTransaction;

/// Most rows that one command sweeps.
const SWEEP_MAX_ROWS: u64 = 1_000;

/// The tables whose rows are deleted at once.
#[cfg(test)]
const ENDED: &[&str] = &["recovery_codes", "sign_ins", "accounts"];

/// Deletes at most `most` rows of an account from the named tables, in that order, and defines the
/// list of these tables.
macro_rules! tables {
    ($(#[$doc:meta])* $name:ident, $clear:ident: $($table:ident),+ $(,)?) => {
        $(#[$doc])*
        #[cfg(test)]
        const $name: &[&str] = &[$(stringify!($table)),+];

        async fn $clear(
            tx: &BatchTransaction,
            account: AccountId,
            most: u64,
        ) -> Result<u64, BatchError> {
            let mut left = most;
            $(
                if left > 0 {
                    left = left.saturating_sub(delete_some::<$table::Entity>(tx, account, left).await?);
                }
            )+
            Ok(most - left)
        }
    };
}

tables! {
    /// The tables that are swept afterwards. Rows that refer to others come before those.
    SWEPT, clear_rest:
    key_wraps, api_keys, actors, activities, todo_logs, claim_deadlines, todos, sessions, session_activity,
    session_deletions, ledger,
    counters, activity_daily, activity_quarter_hours, work_quarter_hours, idempotency, usage,
    audit_log, imports
}

/// Ends an account: deletes its recovery codes, its sign-ins, all wraps under its keys and codes,
/// and its own row. Everything that opens a text begins with one of these wraps, and nobody is
/// admitted to an account that does not exist. So the remaining rows, including its keys' hashes
/// and the wraps under its own keys, open nothing.
pub(crate) async fn end(
    tx: &BatchTransaction,
    account: AccountId,
    at: Timestamp,
) -> Result<(), BatchError> {
    key_wraps::Entity::delete_many()
        .filter(key_wraps::Column::AccountId.eq(account.0))
        .filter(
            key_wraps::Column::HolderKind
                .is_in([key_wraps::HOLDER_API_KEY, key_wraps::HOLDER_RECOVERY]),
        )
        .exec(tx)
        .await?;
    recovery_codes::Entity::delete_many()
        .filter(recovery_codes::Column::AccountId.eq(account.0))
        .exec(tx)
        .await?;
    sign_ins::Entity::delete_many()
        .filter(sign_ins::Column::AccountId.eq(account.0))
        .exec(tx)
        .await?;
    accounts::Entity::delete_by_id(account.0).exec(tx).await?;
    let erasure = erasures::ActiveModel {
        account_id: ActiveValue::Set(account.0),
        erased_at: ActiveValue::Set(at.micros()),
        swept_at: ActiveValue::Set(None),
    };
    erasures::Entity::insert(erasure).exec_without_returning(tx).await?;
    Ok(())
}

/// Deletes some of the remaining rows of an erased account, and notes when there are none.
pub(crate) async fn sweep(
    tx: &BatchTransaction,
    account: AccountId,
    at: Timestamp,
) -> Result<(), BatchError> {
    if clear_rest(tx, account, SWEEP_MAX_ROWS).await? < SWEEP_MAX_ROWS {
        erasures::Entity::update_many()
            .col_expr(erasures::Column::SweptAt, Expr::value(at.micros()))
            .filter(erasures::Column::AccountId.eq(account.0))
            .filter(erasures::Column::SweptAt.is_null())
            .exec(tx)
            .await?;
    }
    Ok(())
}

/// Deletes at most `most` rows of an account, found by primary key.
async fn delete_some<E: EntityTrait>(
    tx: &BatchTransaction,
    account: AccountId,
    most: u64,
) -> Result<u64, BatchError> {
    let key = || E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column);
    let Some(tenant) = key().next() else { return Ok(0) };
    let mut these = Query::select();
    these.columns(key()).from(E::default()).and_where(tenant.eq(account.0)).limit(most);
    let place = Expr::tuple(key().map(Expr::col).collect::<Vec<_>>());
    let deleted = E::delete_many()
        .filter(tenant.eq(account.0))
        .filter(place.in_subquery(these))
        .exec(tx)
        .await?;
    Ok(deleted.rows_affected)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use roots_testkit::database::TestDatabase;

    use super::*;

    roots_testkit::on_both! { every_table_of_a_tenant_is_erased }

    /// A table that a later migration adds must be in [`ENDED`] or [`SWEPT`], or this fails.
    async fn every_table_of_a_tenant_is_erased(database: TestDatabase) {
        let of_tenants = if database.is_postgres() {
            "SELECT CAST(table_name AS TEXT) FROM information_schema.columns \
                WHERE table_schema = 'public' AND column_name = 'account_id'"
        } else {
            "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                WHERE m.type = 'table' AND c.name = 'account_id'"
        };
        let found: Vec<(String,)> = database.rows(of_tenants).await;
        let mut found: BTreeSet<_> = found.into_iter().map(|(table,)| table).collect();
        assert!(found.remove("erasures"), "what is kept");
        let erased: BTreeSet<_> =
            ENDED.iter().chain(SWEPT).map(|name| (*name).to_owned()).collect();
        assert_eq!(found, erased);
    }
}
