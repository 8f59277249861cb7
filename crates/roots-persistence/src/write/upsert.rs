//! Upserts: rows written by one statement. Its text is long and depends on few parameters, so it is
//! built once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;

use sea_orm::sea_query::ArrayType;
use sea_orm::{
    ColumnTrait, DbBackend, EntityName, EntityTrait, Iterable, ModelTrait, PrimaryKeyToColumn,
    Statement, Value,
};

use super::sql::{self, VALUES_MAX, listed, quoted};
use crate::connect::shard::GIVEN;
use crate::connect::source::Dialect;
use crate::connect::sqlite;

/// Texts for more rows are not cached: few batches have more.
const KEPT_ROWS_MAX: usize = 64;
/// Most rows of one statement on SQLite, where each number of rows has a text of its own: two for
/// each command of a batch. A batch with more, as of commands that create many todos, takes more
/// statements. Large ones would push those that every batch needs out of the prepared ones.
const SQLITE_ROWS_MAX: usize = 2 * sqlite::BATCH_MAX_COMMANDS;

/// What to do if a row with the same primary key exists.
#[derive(Clone, Copy)]
pub(super) enum OnConflict<C> {
    /// It is an error.
    New,
    /// Overwrite it if its version, in that column, is lower.
    NewerBy(C),
    /// Overwrite it: it was loaded under the account's lock.
    InPlace,
    /// Add each number outside of the key to the existing one.
    Adding,
}

type Entity<M> = <M as ModelTrait>::Entity;
type Column<M> = <Entity<M> as EntityTrait>::Column;

/// Most rows of one statement.
pub(super) fn rows_max<M: ModelTrait>(backend: DbBackend) -> usize {
    let most = VALUES_MAX / Column::<M>::iter().count();
    if backend == DbBackend::Sqlite { most.min(SQLITE_ROWS_MAX) } else { most }
}

/// The statement that inserts these rows, at least one.
///
/// Citus divides rows among shards if they are listed. It would commit rows from a query in two
/// phases, even those of one account. The tables of a shard each have one text.
pub(super) fn statement<M: ModelTrait>(
    dialect: Dialect,
    rows: &[M],
    on_conflict: OnConflict<Column<M>>,
) -> Statement {
    if dialect == Dialect::CitusShard || dialect == Dialect::Postgres && rows.len() > 1 {
        return of_arrays(rows, on_conflict);
    }
    let backend = dialect.backend();
    let values = rows.iter().flat_map(|row| Column::<M>::iter().map(|column| row.get(column)));
    let text = kept::<M>(backend, rows.len(), on_conflict, || {
        // SQLite keeps a journal to undo a statement that fails halfway, unless it is told to leave
        // that to the transaction. With ON CONFLICT it keeps the journal anyway.
        let or = if backend == DbBackend::Sqlite { " OR FAIL" } else { "" };
        let mut number = 0;
        let mut place = || match backend {
            DbBackend::Postgres => {
                number += 1;
                format!("${number}")
            }
            // A numbered parameter has a name, which is looked up whenever it is bound.
            _ => "?".to_owned(),
        };
        let rows = rows.iter().map(|_| {
            let places = Column::<M>::iter().map(|_| place());
            format!("({})", listed(places))
        });
        let rows = format!("VALUES {}", listed(rows));
        around::<M>(or, &rows, on_conflict)
    });
    Statement::from_sql_and_values(backend, text, values)
}

/// Rows in the form that suits PostgreSQL best: one array for each column. For any number of rows
/// the statement has one text, which is planned once, and few values to bind.
fn of_arrays<M: ModelTrait>(rows: &[M], on_conflict: OnConflict<Column<M>>) -> Statement {
    let mut arrays = Vec::new();
    for column in Column::<M>::iter() {
        let mut array: Vec<_> = rows.iter().map(|row| row.get(column)).collect();
        if is_nullable(column) {
            // The library's arrays can't hold NULL, so a second array marks the NULLs.
            arrays.push(sql::array(array.iter().map(is_null)));
            for value in array.iter_mut().filter(|value| is_null(value)) {
                *value = value.dummy_value();
            }
        }
        let of = array.first().map_or(ArrayType::BigInt, Value::array_type);
        arrays.push(Value::Array(of, Some(Box::new(array))));
    }
    let text = kept::<M>(DbBackend::Postgres, 0, on_conflict, || {
        let unnested = sql::unnested(&arrays);
        let mut number = 0;
        let mut next = || {
            number += 1;
            format!("c{number}")
        };
        let selected = Column::<M>::iter().map(|column| {
            if is_nullable(column) {
                format!("CASE WHEN {} THEN NULL ELSE {} END", next(), next())
            } else {
                next()
            }
        });
        let rows = format!("SELECT {} FROM (SELECT {unnested}){GIVEN}", listed(selected));
        around::<M>("", &rows, on_conflict)
    });
    Statement::from_sql_and_values(DbBackend::Postgres, text, arrays)
}

fn is_nullable(column: impl ColumnTrait) -> bool {
    column.def().is_null()
}

fn is_null(value: &Value) -> bool {
    *value == value.as_null()
}

/// The whole statement text around those rows.
fn around<M: ModelTrait>(or: &str, rows: &str, on_conflict: OnConflict<Column<M>>) -> String {
    let table = Entity::<M>::default().table_name();
    let columns = listed(Column::<M>::iter().map(quoted));
    let mut text = format!("INSERT{or} INTO \"{table}\" ({columns}) {rows}");
    let keys =
        || <Entity<M> as EntityTrait>::PrimaryKey::iter().map(|key| quoted(key.into_column()));
    // Setting a key column, even to the same value, makes the database look up all rows that refer
    // to it.
    let others =
        || Column::<M>::iter().map(quoted).filter(|column| keys().all(|key| key != *column));
    let moved = || listed(others().map(|column| format!("{column} = excluded.{column}")));
    let action = match on_conflict {
        OnConflict::New => return text,
        OnConflict::InPlace => moved(),
        OnConflict::NewerBy(version) => {
            format!("{} WHERE \"{table}\".{1} < excluded.{1}", moved(), quoted(version))
        }
        OnConflict::Adding => listed(
            others().map(|count| format!("{count} = \"{table}\".{count} + excluded.{count}")),
        ),
    };
    // Writing to a string can't fail.
    let _ = write!(text, " ON CONFLICT ({}) DO UPDATE SET {action}", listed(keys()));
    text
}

/// The parameters of a text: PostgreSQL or not, the table, the conflict, the number of rows.
type Shape = (bool, &'static str, u8, usize);

thread_local! {
    static TEXTS: RefCell<HashMap<Shape, String>> = RefCell::default();
}

/// The text of that shape, from the cache or newly built.
fn kept<M: ModelTrait>(
    backend: DbBackend,
    rows: usize,
    on_conflict: OnConflict<Column<M>>,
    put_together: impl FnOnce() -> String,
) -> String {
    if rows > KEPT_ROWS_MAX {
        return put_together();
    }
    let on_conflict = match on_conflict {
        OnConflict::New => 0,
        OnConflict::NewerBy(_) => 1,
        OnConflict::InPlace => 2,
        OnConflict::Adding => 3,
    };
    let table = Entity::<M>::default().table_name();
    let shape = (backend == DbBackend::Postgres, table, on_conflict, rows);
    TEXTS.with_borrow_mut(|texts| texts.entry(shape).or_insert_with(put_together).clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::counters::{self, Column};
    use crate::table::todos;

    fn text(dialect: Dialect, rows: usize, on_conflict: OnConflict<Column>) -> String {
        let row = counters::Model {
            account_id: 1,
            actor_id: 2,
            subject: "todos".to_owned(),
            label: "open/2".to_owned(),
            count: 3,
        };
        let statement = statement(dialect, &vec![row; rows], on_conflict);
        let values = statement.values.as_ref().map_or(0, |values| values.0.len());
        format!("{} -- {values} values", statement.sql)
    }

    #[test]
    fn upserts_have_the_expected_statement_texts_on_both_databases() {
        const COLUMNS: &str = r#""account_id", "actor_id", "subject", "label", "count""#;
        const KEY: &str = r#""account_id", "actor_id", "subject", "label""#;
        assert_eq!(
            text(Dialect::Sqlite, 2, OnConflict::Adding),
            format!(
                r#"INSERT OR FAIL INTO "counters" ({COLUMNS}) VALUES (?, ?, ?, ?, ?), (?, ?, ?, ?, ?) ON CONFLICT ({KEY}) DO UPDATE SET "count" = "counters"."count" + excluded."count" -- 10 values"#
            )
        );
        assert_eq!(
            text(Dialect::Postgres, 1, OnConflict::NewerBy(Column::Count)),
            format!(
                r#"INSERT INTO "counters" ({COLUMNS}) VALUES ($1, $2, $3, $4, $5) ON CONFLICT ({KEY}) DO UPDATE SET "count" = excluded."count" WHERE "counters"."count" < excluded."count" -- 5 values"#
            )
        );
        assert_eq!(
            text(Dialect::Postgres, 3, OnConflict::New),
            format!(
                r#"INSERT INTO "counters" ({COLUMNS}) SELECT c1, c2, c3, c4, c5 FROM (SELECT UNNEST($1::bigint[]) AS c1, UNNEST($2::bigint[]) AS c2, UNNEST($3::text[]) AS c3, UNNEST($4::text[]) AS c4, UNNEST($5::bigint[]) AS c5) AS given -- 5 values"#
            )
        );
    }

    #[test]
    fn as_many_rows_as_a_statement_takes_bind_no_more_than_the_maximum_of_values() {
        let row = todos::Model::default();
        for (dialect, rows, values) in [
            // 18 columns, all of them bound for each row.
            (Dialect::Sqlite, 128, 128 * 18),
            // An array for each column, and another one for each of 6 that may be NULL.
            (Dialect::Postgres, 1_666, 18 + 6),
        ] {
            assert_eq!(rows_max::<todos::Model>(dialect.backend()), rows);
            let statement = statement(dialect, &vec![row.clone(); rows], OnConflict::New);
            let bound = statement.values.map_or(0, |values| values.0.len());
            assert_eq!(bound, values);
            assert!(bound <= VALUES_MAX);
        }
    }

    #[test]
    fn each_shape_of_an_upsert_has_its_own_statement_text() {
        let of = |rows| text(Dialect::Sqlite, rows, OnConflict::New);
        let all: std::collections::BTreeSet<_> = [1, 2, 64, 65, 2, 66].map(of).into();
        assert_eq!(all.len(), 5);
        assert_eq!(text(Dialect::Sqlite, 2, OnConflict::New), of(2));
        assert_ne!(text(Dialect::Sqlite, 2, OnConflict::InPlace), of(2));
        assert_ne!(text(Dialect::Postgres, 2, OnConflict::New), of(2));
    }
}
