//! Filters that find rows with as few statements as the limit of bound values allows. A list may
//! have any length.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, DbBackend, EntityTrait, Statement, Value};

use super::sql::{VALUES_MAX, array, listed, quoted, unnested};
use crate::connect::source::Dialect;
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
/// The columns begin a key of the table, the account first.
///
/// On PostgreSQL, each row is found by the whole key, whatever the statistics say. A plan is made
/// once, often for an empty table, and kept until the table is analyzed. With `column IN (…)`, such
/// a plan reads all rows that have the columns before it, and filters them. With a join it scans
/// the whole table, unless `OFFSET 0` forbids it. Columns at the front in which all rows agree are
/// bound as single values: the statement then names the account, by which tables may be
/// distributed, and a single row is planned faster. So there are few statement texts. On SQLite
/// there is one for each power of two.
///
/// Citus refuses `OFFSET 0` for accounts of several shards, and joins the given values on each
/// shard that the list of accounts names. Its writers have no joins but nested loops, which find
/// each row by its key.
pub(crate) fn look_ups<E: Shown, const N: usize>(
    dialect: Dialect,
    columns: [E::Column; N],
    rows: &[[Value; N]],
) -> Vec<Statement> {
    if rows.is_empty() {
        return Vec::new();
    }
    if dialect != Dialect::Sqlite {
        let is_single = |column: &usize| rows.iter().all(|row| row[*column] == rows[0][*column]);
        let singles = (0..N).take_while(is_single).count();
        let of = |column: usize| {
            if column < singles {
                return rows[0][column].clone();
            }
            let list: Vec<_> = rows.iter().map(|row| row[column].clone()).collect();
            Value::Array(list[0].array_type(), Some(Box::new(list)))
        };
        let values: [Value; N] = std::array::from_fn(of);
        let place = |number: usize| {
            if number <= singles { format!("${number}") } else { format!("given.c{number}") }
        };
        let found = format!(
            "SELECT {} FROM {} AS t WHERE {}",
            E::selected("t", &place(1)),
            table::<E>(),
            equal(columns, place),
        );
        let text = if singles == N {
            found
        } else if singles == 0 && dialect.is_citus() {
            let given = unnested(&values);
            format!(
                "SELECT {} FROM (SELECT {given}) AS given, {} AS t WHERE {} \
                 AND t.{} = ANY($1::bigint[])",
                E::selected("t", "t.account_id"),
                table::<E>(),
                equal(columns, place),
                quoted(columns[0]),
            )
        } else {
            let given = unnested(&values);
            format!(
                "SELECT found.* FROM (SELECT {given}) AS given, LATERAL ({found} OFFSET 0) AS found"
            )
        };
        return vec![Statement::from_sql_and_values(DbBackend::Postgres, text, values)];
    }
    let place = format!("({})", listed([const { "?" }; N].into_iter()));
    let statements = rows.chunks(LIST_MAX).map(|rows| {
        let mut rows = rows.to_vec();
        // NULL equals nothing.
        rows.resize(rows.len().next_power_of_two(), [const { Value::BigInt(None) }; N]);
        // In SQLite, CROSS JOIN fixes the order: the given values come first.
        let text = format!(
            "SELECT {} FROM (VALUES {}) AS given CROSS JOIN {} AS t WHERE {}",
            E::selected("t", "given.column1"),
            listed(std::iter::repeat_n(&place, rows.len())),
            table::<E>(),
            equal(columns, |number| format!("given.column{number}")),
        );
        Statement::from_sql_and_values(DbBackend::Sqlite, text, rows.into_iter().flatten())
    });
    statements.collect()
}

fn table<E: EntityTrait>() -> String {
    format!("\"{}\"", E::default().table_name())
}

/// The condition that the columns of a table equal those at these places, numbered from 1.
fn equal<C: ColumnTrait, const N: usize>(
    columns: [C; N],
    place: impl Fn(usize) -> String,
) -> String {
    let equal = (1..)
        .zip(columns)
        .map(|(number, column)| format!("t.{} = {}", quoted(column), place(number)));
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
    use roots_domain::model::id::Uid;
    use roots_domain::model::import::OriginKind;
    use roots_testkit::database::TestDatabase;
    use sea_orm::{
        ConnectionTrait, DatabaseTransaction, EntityTrait, IdenStatic, QueryFilter, QueryTrait,
        TransactionTrait,
    };

    use super::*;
    use crate::connect::postgres;
    use crate::table::sessions::Column::{AccountId, SessionId, Version};
    use crate::table::sessions::Entity;
    use crate::table::{activities, idempotency, imports, todo_logs, todos};

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
        assert_eq!(of(Dialect::Sqlite, 0), []);
        assert_eq!(of(Dialect::Sqlite, 1), [(text("(?, ?)"), 2)]);
        let four = text("(?, ?), (?, ?), (?, ?), (?, ?)");
        assert_eq!(
            [of(Dialect::Sqlite, 3), of(Dialect::Sqlite, 4)].concat(),
            [(four.clone(), 8), (four, 8)]
        );
        assert_eq!(of(Dialect::Sqlite, 5_000).len(), 2);

        let text = "SELECT found.* FROM (SELECT UNNEST($2::bigint[]) AS c2) AS given, \
            LATERAL (SELECT t.* FROM \"sessions\" AS t WHERE t.\"account_id\" = $1 \
            AND t.\"session_id\" = given.c2 OFFSET 0) AS found";
        assert_eq!(of(Dialect::Postgres, 0), []);
        assert_eq!(of(Dialect::Postgres, 5_000), [(text.to_owned(), 2)]);
        let text = "SELECT t.* FROM \"sessions\" AS t WHERE t.\"account_id\" = $1 \
            AND t.\"session_id\" = $2";
        assert_eq!(of(Dialect::Postgres, 1), [(text.to_owned(), 2)]);
        let rows = [(7, 1), (8, 1)].map(|(account, id): (i64, i64)| [account.into(), id.into()]);
        let of_accounts = look_ups::<Entity, 2>(Dialect::Postgres, [AccountId, SessionId], &rows);
        let text = "SELECT found.* FROM (SELECT UNNEST($1::bigint[]) AS c1, UNNEST($2::bigint[]) AS c2) AS given, \
            LATERAL (SELECT t.* FROM \"sessions\" AS t WHERE t.\"account_id\" = given.c1 \
            AND t.\"session_id\" = given.c2 OFFSET 0) AS found";
        assert_eq!(of_accounts[0].sql, text);
    }

    /// Checks that PostgreSQL finds each of these rows by a key of all the columns.
    async fn assert_found_by_key<E: Shown, const N: usize>(
        tx: &DatabaseTransaction,
        columns: [E::Column; N],
        rows: &[[Value; N]],
    ) {
        let backend = DbBackend::Postgres;
        let sql = look_ups::<E, N>(Dialect::Postgres, columns, rows).remove(0).sql;
        tx.execute_unprepared(&format!("PREPARE looked_up AS {sql}")).await.unwrap();
        let explain = format!("EXPLAIN EXECUTE looked_up({})", ["NULL"; N].join(", "));
        let lines = tx.query_all_raw(Statement::from_string(backend, explain)).await.unwrap();
        tx.execute_unprepared("DEALLOCATE looked_up").await.unwrap();
        let lines: Vec<String> =
            lines.iter().map(|line| line.try_get_by_index(0).unwrap()).collect();
        let is_by_key = |line: &String| {
            line.contains("Index Cond:")
                && columns.iter().all(|column| line.contains(&format!("({} = ", column.as_str())))
        };
        let plan = lines.join("\n");
        assert!(lines.iter().any(is_by_key) && !plan.contains("Filter:"), "{plan}");
    }

    /// Such a plan is kept while the table fills, until it is analyzed.
    #[tokio::test]
    async fn a_plan_for_an_empty_table_finds_each_row_by_its_key() {
        use idempotency::Column as Record;
        use todo_logs::Column as Log;

        let test = TestDatabase::postgres().await;
        let tx =
            postgres::writer(&crate::connect::postgres::PostgresServer::alone(test.url.clone()))
                .await
                .unwrap()
                .begin()
                .await
                .unwrap();
        let rows: [[Value; 2]; 2] = [1, 2].map(|id: i64| [7_i64.into(), id.into()]);
        for rows in [&rows[..1], &rows[..]] {
            assert_found_by_key::<Entity, 2>(&tx, [AccountId, SessionId], rows).await;
            let columns = [todos::Column::AccountId, todos::Column::TodoId];
            assert_found_by_key::<todos::Entity, 2>(&tx, columns, rows).await;
            let columns = [activities::Column::AccountId, activities::Column::ActivityId];
            assert_found_by_key::<activities::Entity, 2>(&tx, columns, rows).await;
        }
        let account = roots_domain::model::id::AccountId(7);
        let rows = [1, 2].map(|id| (account, Uid::NIL, OriginKind::Todo.row(id)));
        let rows = rows.map(|key| imports::values(&key));
        assert_found_by_key::<imports::Entity, 4>(&tx, imports::KEY, &rows).await;
        let columns = [Log::AccountId, Log::TodoId, Log::LogId];
        let rows = [1, 2].map(|id: i64| [7_i64.into(), id.into(), id.into()]);
        assert_found_by_key::<todo_logs::Entity, 3>(&tx, columns, &rows).await;
        let columns = [Record::AccountId, Record::ActorId, Record::KeyMac];
        let rows = [1, 2].map(|mac: u8| [7_i64.into(), 1_i64.into(), vec![mac].into()]);
        assert_found_by_key::<idempotency::Entity, 3>(&tx, columns, &rows).await;
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
