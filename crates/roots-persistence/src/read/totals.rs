//! Totals as parts of a statement: counted rows, and the sums of counts that are kept.

use roots_domain::model::id::{AccountId, ActorId};
use sea_orm::sea_query::{Expr, ExprTrait, Func, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select};

use crate::table::{actors, counters};

/// Adds up kept counts, as a part of a statement.
pub(super) fn sum<E: EntityTrait>(counts: Select<E>, count: E::Column) -> Expr {
    // PostgreSQL adds BIGINTs up to a NUMERIC, and a sum of no rows is NULL.
    let sum = Expr::col(count).sum().cast_as("BIGINT");
    number(counts.select_only().expr(Func::coalesce([sum, Expr::value(0_i64)])))
}

/// Counts rows by an index scan, as a part of a statement.
pub(super) fn count<E: EntityTrait>(rows: Select<E>) -> Expr {
    number(rows.select_only().expr(Expr::cust("COUNT(*)")))
}

/// The one number that a query finds.
pub(super) fn number<E: EntityTrait>(query: Select<E>) -> Expr {
    Expr::SubQuery(None, Box::new(query.into_query().into()))
}

/// The counts of one actor, or of all that the account has.
pub(super) fn counters_of(
    account: AccountId,
    actor: Option<ActorId>,
    subject: &str,
) -> Select<counters::Entity> {
    counters::Entity::find()
        .filter(counters::Column::AccountId.eq(account.0))
        .filter(kept_of(counters::Column::ActorId, account, actor))
        .filter(counters::Column::Subject.eq(subject))
}

/// That a kept count is of the actor, or of any that the account has. Kept counts are ordered by
/// actor: where all are named they are looked up one after the other, and what is kept of other
/// things is not read.
pub(super) fn kept_of<C: ColumnTrait>(
    column: C,
    account: AccountId,
    actor: Option<ActorId>,
) -> SimpleExpr {
    if let Some(actor) = actor {
        return column.eq(actor.0);
    }
    let all = actors::Entity::find()
        .select_only()
        .column(actors::Column::ActorId)
        .filter(actors::Column::AccountId.eq(account.0));
    column.in_subquery(all.into_query())
}
