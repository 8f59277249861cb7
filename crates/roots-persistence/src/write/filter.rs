//! Filters that find rows with as few statements as the limit of bound values allows. A list may
//! have any length.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, DbBackend, EntityTrait, Statement, Value};

use super::sql::{VALUES_MAX, array, listed, quoted, unnested};
use crate::table::shown::Shown;

/// Most values of one list, padding included.
const LIST_MAX: usize = 4_096;
/// Most values that a condition binds in addition to its list.
const BESIDE_LIST: usize = 8;
/// Most conditions of one statement: SQLite takes 1,000 that are joined by OR.
const CONDITIONS_MAX: usize = 512;

/// Conditions that each find some of the wanted rows, packed into as few statements as possible.
#[derive(Default)]
pub(super) struct ChunkedFilter(Vec<(usize, Condition)>);

impl ChunkedFilter {
    /// Adds a condition that binds few values.
    pub(super) fn add(&mut self, these: Condition) {
        self.0.push((BESIDE_LIST, these));
    }

    /// Adds the rows of `of` that have one of these values in that column.
    pub(super) fn add_list<V: Into<Value> + Clone>(
        &mut self,
        of: impl Fn() -> Condition,
        column: impl ColumnTrait,
        list: Vec<V>,
    ) {
        for list in cut(list) {
            self.0.push((BESIDE_LIST + list.len(), of().add(column.is_in(list))));
        }
    }

    /// Adds the rows of `of` with those accounts and ids: one index look-up for each account.
    pub(super) fn add_ids<C: ColumnTrait>(
        &mut self,
        (account, id): (C, C),
        rows: impl Iterator<Item = (i64, i64)>,
        of: impl Fn() -> Condition,
    ) {
        let mut grouped = BTreeMap::<i64, BTreeSet<i64>>::new();
        for (of, row) in rows {
            grouped.entry(of).or_default().insert(row);
        }
        for (owner, ids) in grouped {
            let of = || of().add(account.eq(owner));
            self.add_list(of, id, ids.into_iter().collect());
        }
    }

    /// One condition for each statement, and as few as possible; none if nothing was added.
    pub(super) fn packed(self) -> Vec<Condition> {
        let mut packed = Vec::new();
        let (mut open, mut values) = (Condition::any(), 0);
        for (more, these) in self.0 {
            if values + more > VALUES_MAX || open.len() == CONDITIONS_MAX {
                packed.push(std::mem::replace(&mut open, Condition::any()));
                values = 0;
            }
            open = open.add(these);
            values += more;
        }
        if !open.is_empty() {
            packed.push(open);
        }
        packed
    }
}

/// The conditions, one for each statement, that find the rows with one of these values in that
/// column.
pub(super) fn one_of(
    backend: DbBackend,
    column: impl ColumnTrait,
    list: Vec<i64>,
) -> Vec<Condition> {
    if backend == DbBackend::Postgres && !list.is_empty() {
        let text = format!("{} = ANY($1::bigint[])", quoted(column));
        return vec![Condition::all().add(Expr::cust_with_values(text, [array(list)]))];
    }
    cut(list).into_iter().map(|list| Condition::all().add(column.is_in(list))).collect()
}

/// The statements that read the rows with these values in these columns, each looked up separately.
/// There are few statement texts: on PostgreSQL one, with an array for each column, where `OFFSET
/// 0` keeps the planner, which may have no statistics of the table yet, from a full scan; on SQLite
/// one for each power of two.
pub(crate) fn look_ups<E: Shown, const N: usize>(
    backend: DbBackend,
    columns: [E::Column; N],
    rows: &[[Value; N]],
) -> Vec<Statement> {
    if rows.is_empty() {
        return Vec::new();
    }
    if backend == DbBackend::Postgres {
        let of = |column: usize| {
            let list: Vec<_> = rows.iter().map(|row| row[column].clone()).collect();
            Value::Array(list[0].array_type(), Some(Box::new(list)))
        };
        let arrays: [Value; N] = std::array::from_fn(of);
        let given = format!("SELECT {}", unnested(&arrays));
        let text = format!(
            "SELECT found.* FROM ({given}) AS given, LATERAL (SELECT {} FROM {} AS t WHERE {} OFFSET 0) AS found",
            E::selected("t"),
            table::<E>(),
            equal(columns, "c"),
        );
        return vec![Statement::from_sql_and_values(backend, text, arrays)];
    }
    let place = format!("({})", listed([const { "?" }; N].into_iter()));
    let statements = rows.chunks(LIST_MAX).map(|rows| {
        let mut rows = rows.to_vec();
        // NULL equals nothing.
        rows.resize(rows.len().next_power_of_two(), [const { Value::BigInt(None) }; N]);
        // In SQLite, CROSS JOIN fixes the order: the given values come first.
        let text = format!(
            "SELECT {} FROM (VALUES {}) AS given CROSS JOIN {} AS t WHERE {}",
            E::selected("t"),
            listed(std::iter::repeat_n(&place, rows.len())),
            table::<E>(),
            equal(columns, "column"),
        );
        Statement::from_sql_and_values(DbBackend::Sqlite, text, rows.into_iter().flatten())
    });
    statements.collect()
}

fn table<E: EntityTrait>() -> String {
    format!("\"{}\"", E::default().table_name())
}

/// The condition that the columns of a table equal the given, numbered ones.
fn equal<C: ColumnTrait, const N: usize>(columns: [C; N], given: &str) -> String {
    let equal = (1..).zip(columns).map(|(number, column)| {
        let column = quoted(column);
        format!("t.{column} = given.{given}{number}")
    });
    equal.collect::<Vec<_>>().join(" AND ")
}

/// Splits a list into parts for one statement each, [padded].
fn cut<T: Clone>(mut list: Vec<T>) -> Vec<Vec<T>> {
    let mut parts = Vec::new();
    while !list.is_empty() {
        let rest = list.split_off(LIST_MAX.min(list.len()));
        parts.push(padded(list));
        list = rest;
    }
    parts
}

/// Repeats the last value up to the next power of two, so that lists of every length share a few
/// statement texts, which the database has prepared.
pub(crate) fn padded<T: Clone>(mut list: Vec<T>) -> Vec<T> {
    if let Some(last) = list.last().cloned() {
        list.resize(list.len().next_power_of_two(), last);
    }
    list
}

/// The filter for those rows.
pub(super) fn by_id<C: ColumnTrait>(
    columns: (C, C),
    rows: impl Iterator<Item = (i64, i64)>,
) -> Vec<Condition> {
    let mut these = ChunkedFilter::default();
    these.add_ids(columns, rows, Condition::all);
    these.packed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::sessions::Column::{AccountId, SessionId, Version};
    use crate::table::sessions::Entity;
    use sea_orm::{EntityTrait, QueryFilter, QueryTrait};

    /// The number of values that each statement binds.
    fn bound(filter: ChunkedFilter) -> Vec<usize> {
        let select = |these| Entity::find().filter(these).as_query().clone();
        let values = |these| {
            let (_, values) = select(these).build(sea_orm::sea_query::PostgresQueryBuilder);
            values.0.len()
        };
        filter.packed().into_iter().map(values).collect()
    }

    #[test]
    fn short_id_lists_share_one_statement_and_a_few_statement_texts() {
        let found = |rows: &[(i64, i64)]| {
            let mut filter = ChunkedFilter::default();
            filter.add_ids((AccountId, SessionId), rows.iter().copied(), Condition::all);
            filter.add_ids((AccountId, SessionId), rows.iter().copied(), || {
                Condition::all().add(Version.gt(1))
            });
            bound(filter)
        };
        assert_eq!(found(&[]), [0_usize; 0]);
        assert_eq!(found(&[(1, 1)]), [2 + 3]);
        assert_eq!(found(&[(1, 1), (1, 2), (1, 3), (2, 9)]), [(5 + 2) + (6 + 3)]);
        assert_eq!(cut(vec![1, 2, 3]), [[1, 2, 3, 3]]);
    }

    #[test]
    fn row_lookups_have_few_statement_texts() {
        let of = |backend, rows: i64| -> Vec<(String, usize)> {
            let rows: Vec<_> = (1..=rows).map(|id| [7.into(), id.into()]).collect();
            look_ups::<Entity, 2>(backend, [AccountId, SessionId], &rows)
                .into_iter()
                .map(|found| (found.sql, found.values.map_or(0, |values| values.0.len())))
                .collect()
        };
        let text = |rows: &str| {
            format!(
                "SELECT t.* FROM (VALUES {rows}) AS given CROSS JOIN \"sessions\" AS t \
                 WHERE t.\"account_id\" = given.column1 AND t.\"session_id\" = given.column2"
            )
        };
        assert_eq!(of(DbBackend::Sqlite, 0), []);
        assert_eq!(of(DbBackend::Sqlite, 1), [(text("(?, ?)"), 2)]);
        let four = text("(?, ?), (?, ?), (?, ?), (?, ?)");
        assert_eq!(
            [of(DbBackend::Sqlite, 3), of(DbBackend::Sqlite, 4)].concat(),
            [(four.clone(), 8), (four, 8)]
        );
        assert_eq!(of(DbBackend::Sqlite, 5_000).len(), 2);

        let text = "SELECT found.* FROM (SELECT UNNEST($1::bigint[]) AS c1, UNNEST($2::bigint[]) AS c2) AS given, \
            LATERAL (SELECT t.* FROM \"sessions\" AS t WHERE t.\"account_id\" = given.c1 \
            AND t.\"session_id\" = given.c2 OFFSET 0) AS found";
        assert_eq!(of(DbBackend::Postgres, 0), []);
        assert_eq!(of(DbBackend::Postgres, 5_000), [(text.to_owned(), 2)]);
    }

    #[test]
    fn no_statement_binds_more_than_the_maximum_of_values() {
        for accounts in [1, 7, 2_000] {
            let mut filter = ChunkedFilter::default();
            let rows = (0..100_000).map(|id| (id % accounts, id));
            filter.add_ids((AccountId, SessionId), rows, Condition::all);
            let bound = bound(filter);
            assert!(bound.len() < 12, "{bound:?}");
            assert!(bound.iter().all(|values| *values <= VALUES_MAX), "{bound:?}");
            assert!(bound.iter().sum::<usize>() >= 100_000, "{bound:?}");
        }
    }
}
