//! Totals as parts of a statement: counted rows, and sums of stored counts.

use roots_domain::model::id::{AccountId, ActorId};
use sea_orm::sea_query::{Expr, ExprTrait, Func, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select};

use crate::table::{actors, counters};

/// Adds up stored counts, as a part of a statement.
pub(super) fn sum<E: EntityTrait>(counts: Select<E>, count: E::Column) -> Expr {
    // In PostgreSQL the sum of BIGINTs is a NUMERIC, and the sum of no rows is NULL.
    let sum = Expr::col(count).sum().cast_as("BIGINT");
    number(counts.select_only().expr(Func::coalesce([sum, Expr::value(0_i64)])))
}

/// Counts rows by an index scan, as a part of a statement.
pub(super) fn count<E: EntityTrait>(rows: Select<E>) -> Expr {
    number(rows.select_only().expr(Expr::cust("COUNT(*)")))
}

/// A query's only number.
pub(super) fn number<E: EntityTrait>(query: Select<E>) -> Expr {
    Expr::SubQuery(None, Box::new(query.into_query().into()))
}

/// The counts of one actor, or of all actors of the account.
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

/// The condition that a stored count belongs to the actor, or to any actor of the account. Stored
/// counts are sorted by actor: all actors are named, so that they are looked up one after the other
/// and other counts are not read.
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
