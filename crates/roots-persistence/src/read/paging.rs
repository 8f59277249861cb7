//! Pages: rows in order, their total number, and the start of the next page.

use roots_domain::command::NewAccount;
use roots_domain::model::id::ActorId;
use roots_domain::model::page::{Listed, Page, PageRequest, SortKey, Start, TOTAL_COUNTED_MAX};
use roots_domain::port::store::{Admission, StoreError, StoreResult};
use sea_orm::sea_query::{Alias, Asterisk, Expr, ExprTrait, Query, SelectStatement, UnionType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, Order, QueryFilter,
    QuerySelect, QueryTrait, Select, Value,
};

use super::epoch::{AUTH_EPOCH, auth_epoch_of, expect_epoch};
use crate::errors::of_read;
use crate::store::Store;
use crate::table::InvalidRow;
use crate::table::shown::is;

/// The column with the number of all rows.
pub(super) const TOTAL: &str = "total";

impl Store {
    /// A page of `rows` and their total number, in one statement: a second one would double the
    /// cost and read another snapshot.
    pub(super) async fn page<E, T, const N: usize>(
        &self,
        by: Admission,
        rows: MergedQuery<E>,
        order: [E::Column; N],
        total: Expr,
        request: PageRequest,
    ) -> StoreResult<Page<T>>
    where
        E: EntityTrait,
        T: TryFrom<E::Model, Error = InvalidRow> + Listed,
    {
        self.page_of::<E, E::Model, T, N>(by, rows, order, total, request).await
    }

    /// The same for rows that are read with more columns than their table has.
    pub(super) async fn page_of<E, M, T, const N: usize>(
        &self,
        by: Admission,
        rows: MergedQuery<E>,
        order: impl Into<ListOrder<T, N>>,
        total: Expr,
        request: PageRequest,
    ) -> StoreResult<Page<T>>
    where
        E: EntityTrait,
        M: FromQueryResult,
        T: TryFrom<M, Error = InvalidRow>,
    {
        let numbers = [(TOTAL, total)];
        let (items, next, [total]) =
            self.rows_of::<E, M, T, N, 1>(by, rows, order.into(), numbers, request).await?;
        Ok(Page { items, total, request, next })
    }

    /// The rows of a page, the start of the next page, and some numbers read with them. The parts
    /// are merged in the order. One row more than the page has tells whether another page follows.
    pub(super) async fn rows<E, T, const N: usize, const K: usize>(
        &self,
        by: Admission,
        rows: MergedQuery<E>,
        order: [E::Column; N],
        numbers: [(&'static str, Expr); K],
        request: PageRequest,
    ) -> StoreResult<(Vec<T>, Option<SortKey>, [i64; K])>
    where
        E: EntityTrait,
        T: TryFrom<E::Model, Error = InvalidRow> + Listed,
    {
        self.rows_of::<E, E::Model, T, N, K>(by, rows, order.into(), numbers, request).await
    }

    pub(super) async fn rows_of<E, M, T, const N: usize, const K: usize>(
        &self,
        by: Admission,
        rows: MergedQuery<E>,
        order: ListOrder<T, N>,
        numbers: [(&'static str, Expr); K],
        request: PageRequest,
    ) -> StoreResult<(Vec<T>, Option<SortKey>, [i64; K])>
    where
        E: EntityTrait,
        M: FromQueryResult,
        T: TryFrom<M, Error = InvalidRow>,
    {
        let (take, skip) = (u64::from(request.limit) + 1, request.offset().unsigned_abs());
        let ordered = |mut rows: SelectStatement| {
            for (name, _) in &order.columns {
                // By its name in the result: merged rows have no table.
                rows.order_by(Alias::new(*name), order.direction.clone());
            }
            rows
        };
        let part = |rows: Select<E>| {
            let rows = match request.start {
                Start::Offset(_) => rows,
                Start::After(sort_key) => rows.filter(order.after(sort_key)),
            };
            rows.into_query()
        };
        // Bound as a BIGINT.
        let most = skip.saturating_add(take).clamp(0, i64::MAX.unsigned_abs());
        let rows =
            rows.merged(self.readers(by.account).get_database_backend(), most, part, ordered);
        let mut asked = ordered(rows).limit(take).offset(skip).to_owned();
        let beside = |asked: &mut SelectStatement| {
            asked.expr_as(auth_epoch_of(by.account), AUTH_EPOCH);
            for (name, number) in &numbers {
                asked.expr_as(number.clone(), *name);
            }
        };
        beside(&mut asked);
        let found = self.readers(by.account).query_all(&asked).await.map_err(of_read)?;
        let alone;
        let carrier = if let Some(row) = found.first() {
            row
        } else {
            let mut asked = Query::select();
            beside(&mut asked);
            alone = self.readers(by.account).query_one(&asked).await.map_err(of_read)?;
            alone.as_ref().ok_or_else(|| StoreError::Broken("a total of nothing".to_owned()))?
        };
        expect_epoch(by, carrier.try_get("", AUTH_EPOCH).map_err(of_read)?)?;
        let mut values = [0; K];
        for ((name, _), value) in numbers.iter().zip(&mut values) {
            *value = carrier.try_get("", name).map_err(of_read)?;
        }
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let has_more = found.len() > limit;
        // Each raw row is dropped once it is converted, so that texts are not held twice.
        let read = |row| M::from_query_result(&row, "").map_err(of_read);
        let items = found.into_iter().take(limit).map(|row| Ok(T::try_from(read(row)?)?));
        let items = items.collect::<StoreResult<Vec<T>>>()?;
        let last = items.last().filter(|_| has_more);
        let next = last.map(order.sort_key);
        Ok((items, next, values))
    }
}

/// A page of rows that are counted only up to [`TOTAL_COUNTED_MAX`], for lack of a stored count.
pub(super) fn counted_to_max<T>(page: Page<T>) -> Page<T> {
    Page { total: Ord::min(page.total, TOTAL_COUNTED_MAX), ..page }
}

/// The order of a list.
pub(super) struct ListOrder<T, const N: usize> {
    /// The columns that it is sorted by, the id last: each with its name in the result and with its
    /// expression in the table.
    columns: [(&'static str, Expr); N],
    direction: Order,
    /// The position of a row: the values of those columns.
    sort_key: fn(&T) -> SortKey,
}

impl<C: ColumnTrait, T: Listed, const N: usize> From<[C; N]> for ListOrder<T, N> {
    fn from(columns: [C; N]) -> Self {
        let columns = columns.map(sorted_by);
        Self { columns, direction: Order::Desc, sort_key: Listed::sort_key }
    }
}

impl<T, const N: usize> ListOrder<T, N> {
    /// A descending order.
    pub(super) const fn descending(
        columns: [(&'static str, Expr); N],
        sort_key: fn(&T) -> SortKey,
    ) -> Self {
        Self { columns, direction: Order::Desc, sort_key }
    }

    /// An ascending order.
    pub(super) const fn ascending(
        columns: [(&'static str, Expr); N],
        sort_key: fn(&T) -> SortKey,
    ) -> Self {
        Self { columns, direction: Order::Asc, sort_key }
    }

    /// The condition that a row is after a position.
    fn after(&self, sort_key: SortKey) -> Expr {
        let (columns, numbers) = compared(self.columns.clone().map(|(_, column)| column), sort_key);
        match self.direction {
            Order::Asc => columns.gt(numbers),
            _ => columns.lt(numbers),
        }
    }
}

/// A column as part of an order.
pub(super) fn sorted_by<C: ColumnTrait>(column: C) -> (&'static str, Expr) {
    (column.as_str(), Expr::col(column.as_column_ref()))
}

/// The rows of one or more selects, each in the order of an index, to be merged.
pub(super) struct MergedQuery<E: EntityTrait> {
    first: Select<E>,
    rest: Vec<Select<E>>,
}

impl<E: EntityTrait> From<Select<E>> for MergedQuery<E> {
    fn from(rows: Select<E>) -> Self {
        Self { first: rows, rest: Vec::new() }
    }
}

impl<E: EntityTrait> MergedQuery<E> {
    /// The rows of each of these values of a column.
    pub(super) fn of_each<V: Into<Value>>(
        rows: &Select<E>,
        column: E::Column,
        first: V,
        rest: impl IntoIterator<Item = V>,
    ) -> Self {
        let of = |value: V| rows.clone().filter(column.eq(value));
        Self { first: of(first), rest: rest.into_iter().map(of).collect() }
    }

    /// The number of its rows as a part of a statement. Each select is counted up to
    /// [`TOTAL_COUNTED_MAX`].
    pub(super) fn counted(&self) -> Expr {
        let most = TOTAL_COUNTED_MAX.unsigned_abs();
        let number = |rows: &Select<E>| {
            let rows = rows.clone().select_only().expr_as(Expr::value(1_i32), "one").limit(most);
            let counted = Query::select()
                .expr(Expr::cust("COUNT(*)"))
                .from_subquery(rows.into_query(), "counted")
                .to_owned();
            Expr::SubQuery(None, Box::new(counted.into()))
        };
        self.rest.iter().fold(number(&self.first), |sum, rows| sum.add(number(rows)))
    }

    /// The rows of all parts as one statement, still to be ordered and limited. `part` makes the
    /// statement of a part, `ordered` orders one, and no more than `most` rows of a part are
    /// needed.
    pub(super) fn merged(
        self,
        backend: DbBackend,
        most: u64,
        part: impl Fn(Select<E>) -> SelectStatement,
        ordered: impl Fn(SelectStatement) -> SelectStatement,
    ) -> SelectStatement {
        if self.rest.is_empty() {
            return part(self.first);
        }
        let made = |rows| {
            if backend != DbBackend::Postgres {
                return part(rows);
            }
            // PostgreSQL would sort the whole part if it expects few rows in it.
            let rows = ordered(part(rows)).limit(most).to_owned();
            Query::select().column(Asterisk).from_subquery(rows, "part").to_owned()
        };
        union(made(self.first), self.rest.into_iter().map(made))
    }
}

/// The rows of an actor, or of the whole account: then the owner's rows in the order of the actor's
/// index, and the others in that of the account's index. Rows that are `linked` to one session are
/// in the order of that session, for any actor.
pub(super) fn of_actor<E: EntityTrait>(
    rows: Select<E>,
    column: E::Column,
    actor: Option<ActorId>,
    linked: bool,
) -> MergedQuery<E> {
    match actor {
        Some(actor) => rows.filter(is(column, actor.0, linked)).into(),
        None if linked => rows.into(),
        None => MergedQuery {
            first: rows.clone().filter(column.eq(NewAccount::OWNER.0)),
            rest: vec![rows.filter(Expr::cust(IN_ORDER_OF_ACCOUNT))],
        },
    }
}

/// The condition of the indexes over an account, word for word, so that the database sees that it
/// can use them. They leave out the owner's rows, which have their own order.
const IN_ORDER_OF_ACCOUNT: &str = "actor_id <> 1";

/// The rows of all.
fn union(
    mut some: SelectStatement,
    others: impl Iterator<Item = SelectStatement>,
) -> SelectStatement {
    for rows in others {
        some.union(UnionType::All, rows);
    }
    let all = some;
    Query::select().column(("all", Asterisk)).from_subquery(all, "all").to_owned()
}

/// The condition that a row is after a position in a descending order.
pub(super) fn behind<C: ColumnTrait, const N: usize>(order: [C; N], sort_key: SortKey) -> Expr {
    let columns = order.map(|column| Expr::col(column.as_column_ref()));
    let (columns, numbers) = compared(columns, sort_key);
    columns.lt(numbers)
}

/// The columns of an order and the numbers of a position. They are compared as one value each, so
/// an index that ends with the columns is used. Rows written meanwhile do not shift the following
/// ones.
fn compared<const N: usize>(columns: [Expr; N], sort_key: SortKey) -> (Expr, Expr) {
    let numbers = &sort_key.0[sort_key.0.len().saturating_sub(N)..];
    (Expr::tuple(columns), Expr::tuple(numbers.iter().copied().map(Expr::value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_of_the_account_indexes_excludes_the_owners_actor_id() {
        assert_eq!(IN_ORDER_OF_ACCOUNT, format!("actor_id <> {}", NewAccount::OWNER));
    }
}
