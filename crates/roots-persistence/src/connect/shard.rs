//! A shard of a Citus cluster, whose tables are read and written by name.
//!
//! On its node, each table of a shard is a table of PostgreSQL, such as `sessions_102008`. Using
//! it spares what Citus takes to plan the same statement (ADR 59).
//!
//! A shard may move. Its tables then stay on the old node for a while, and no longer change. So a
//! statement that reads them must show that the shard was still there in the snapshot that it read:
//! without that, it does not find the row of the account. A transaction that writes to them first
//! [keeps](KEEP) the shard where it is.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::Statement;

/// The column of a result with the auth epoch of the caller's account, which a statement reads from
/// the row of the account.
pub(crate) const AUTH_EPOCH: &str = "caller_auth_epoch";
/// Keeps shards on their nodes until the transaction ends: the last step of moving one waits for
/// this lock. 5 is the number of the mode that Citus' own writes take (`ShareLock`).
pub(crate) const KEEP: &str = "SELECT lock_shard_metadata(5, $1::bigint[])";
/// As [`KEEP`], but it waits for this and all other locks as briefly as
/// [`postgres::LOCK_BRIEFLY`](super::postgres::LOCK_BRIEFLY).
pub(crate) const KEEP_BRIEFLY: &str = "SELECT set_config('lock_timeout', '500ms', true), \
    lock_shard_metadata(5, $1::bigint[])";
/// What the rows of an insert are selected from, if it is to be done with others.
pub(crate) const GIVEN: &str = " AS given";
/// The condition that the first of several inserts has written all of its rows.
const IF_FIRST: &str = " WHERE (SELECT COUNT(*) FROM i0) = cardinality($1::bigint[])";
/// Most statement texts that are kept.
const TEXTS_MAX: usize = 256;
/// The table with the row of an account.
const ACCOUNTS: &str = "accounts";

/// A shard, and the names of its tables.
#[derive(Debug)]
pub(crate) struct Shard {
    /// The number of its tables' node in the catalogue.
    pub(crate) group: i32,
    /// Each table, and the number of its part in this shard.
    pub(crate) parts: Vec<(String, i64)>,
    /// Texts of statements that read, and what they are on the shard.
    reads: Texts<Option<Arc<str>>>,
    /// The same for those of transactions that keep the shard.
    kept: Texts<Arc<str>>,
}

/// Statements by their texts on the tables of all shards.
type Texts<T> = Mutex<HashMap<String, T>>;

impl Shard {
    pub(crate) fn new(group: i32, parts: Vec<(String, i64)>) -> Self {
        Self { group, parts, reads: Mutex::default(), kept: Mutex::default() }
    }

    /// The number of the accounts' part, which stands for all of the shard.
    pub(crate) fn number(&self) -> i64 {
        self.part(ACCOUNTS).unwrap_or_default()
    }

    /// The text of a statement that reads the tables of this shard. `None` if its result would not
    /// show that the shard is still there.
    pub(crate) fn read(&self, sql: &str) -> Option<Arc<str>> {
        find_or_make(&self.reads, sql, || {
            let shows = sql.contains(AUTH_EPOCH);
            shows.then(|| Arc::from(on_tables(sql, |table| self.shown(table))))
        })
    }

    /// The text of a statement of a transaction that [keeps](KEEP) the shard.
    pub(crate) fn in_kept(&self, sql: &str) -> Arc<str> {
        find_or_make(&self.kept, sql, || Arc::from(self.on_parts(sql)))
    }

    /// The text of one statement that does what these do, which each insert the rows [`GIVEN`] into
    /// another table, in a transaction that [keeps](KEEP) the shard. Its row has the number of rows
    /// of each. The values are those of the first statement, then those of the second one, and so
    /// on. Unless the first one writes all of its rows, which its first value lists, the others
    /// write none.
    pub(crate) fn together(&self, inserts: &[Statement]) -> Arc<str> {
        let texts: Vec<_> = inserts.iter().map(|insert| insert.sql.as_str()).collect();
        find_or_make(&self.kept, &texts.join(";"), || {
            let mut values = 0;
            let inserts = inserts.iter().enumerate().map(|(number, insert)| {
                let mut text = renumbered(&self.on_parts(&insert.sql), values);
                if number > 0 {
                    text = text.replacen(GIVEN, &format!("{GIVEN}{IF_FIRST}"), 1);
                }
                values += insert.values.as_ref().map_or(0, |values| values.0.len());
                format!("i{number} AS ({text} RETURNING 1)")
            });
            let inserts = inserts.collect::<Vec<_>>().join(", ");
            let counts = (0..texts.len()).map(|number| format!("(SELECT COUNT(*) FROM i{number})"));
            let counts = counts.collect::<Vec<_>>().join(", ");
            format!("WITH {inserts} SELECT {counts}").into()
        })
    }

    fn on_parts(&self, sql: &str) -> String {
        on_tables(sql, |table| self.part(table).map(|part| format!("{table}_{part}")))
    }

    fn part(&self, name: &str) -> Option<i64> {
        self.parts.iter().find(|(table, _)| table == name).map(|(_, part)| *part)
    }

    /// What a table's rows are read from: those of the account only while the shard is there.
    fn shown(&self, name: &str) -> Option<String> {
        let part = self.part(name)?;
        if name != ACCOUNTS {
            return Some(format!("{name}_{part}"));
        }
        let group = self.group;
        Some(format!(
            "(SELECT * FROM {name}_{part} WHERE EXISTS (SELECT 1 FROM pg_dist_placement AS place \
             WHERE place.shardid = {part} AND place.groupid = {group}))"
        ))
    }
}

/// What is kept for a statement, or is made now.
fn find_or_make<T: Clone>(texts: &Texts<T>, sql: &str, make: impl FnOnce() -> T) -> T {
    let mut texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(sql) {
        return known.clone();
    }
    let text = make();
    if texts.len() >= TEXTS_MAX {
        texts.clear();
    }
    texts.insert(sql.to_owned(), text.clone());
    text
}

/// The statement, whose text has no `$` in quotes, with parameters of numbers so much higher.
fn renumbered(sql: &str, by: usize) -> String {
    let mut pieces = sql.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let (number, rest) = piece.split_at(digits);
        let number = number.parse::<usize>().unwrap_or_default() + by;
        // Writing to a string does not fail.
        let _ = write!(text, "${number}{rest}");
    }
    text
}

/// A piece of a statement.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A name or a keyword, as it is written, and without quotes.
    Word(&'a str, &'a str),
    /// Anything else.
    Other(&'a str),
}

/// Cuts a statement into pieces.
fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let quoted = |quote: char| rest[1..].find(quote).map_or(rest.len(), |end| end + 2);
        let until = |ends: fn(char) -> bool| rest.find(ends).unwrap_or(rest.len());
        let end = match first {
            '"' | '\'' => quoted(first),
            c if c.is_alphabetic() || c == '_' => until(|c| !(c.is_alphanumeric() || c == '_')),
            c if c.is_whitespace() => until(|c| !c.is_whitespace()),
            c => c.len_utf8(),
        };
        let (piece, others) = rest.split_at(end);
        found.push(match first {
            '"' => Token::Word(piece, piece.trim_matches('"')),
            c if c.is_alphabetic() || c == '_' => Token::Word(piece, piece),
            _ => Token::Other(piece),
        });
        rest = others;
    }
    found
}

/// The statement, with what `stands_for` a table wherever the rows of a table are read or written.
fn on_tables(sql: &str, stands_for: impl Fn(&str) -> Option<String>) -> String {
    let tokens = tokens(sql);
    let mut text = String::with_capacity(2 * sql.len());
    // For each open parenthesis, whether a comma is followed by more rows.
    let mut in_from = vec![false];
    let mut is_next = false;
    for (at, token) in tokens.iter().enumerate() {
        let (raw, name) = match token {
            Token::Word(raw, name) => (*raw, *name),
            Token::Other(other) => {
                match *other {
                    "(" => {
                        in_from.push(false);
                        is_next = false;
                    }
                    ")" => _ = in_from.pop(),
                    "," => is_next = in_from.last() == Some(&true),
                    _ => {}
                }
                text.push_str(other);
                continue;
            }
        };
        // Before a dot it is a column's, as in `IS DISTINCT FROM todos.title`.
        let is_table = is_next && tokens.get(at + 1) != Some(&Token::Other("."));
        let table = if is_table { stands_for(name) } else { None };
        let begins = match raw.to_ascii_uppercase().as_str() {
            "FROM" | "JOIN" | "INTO" | "UPDATE" => Some(true),
            "SELECT" | "SET" | "VALUES" | "WHERE" | "GROUP" | "ORDER" | "LIMIT" | "UNION"
            | "HAVING" => Some(false),
            _ => None,
        };
        is_next = begins == Some(true);
        if let (Some(begins), Some(here)) = (begins, in_from.last_mut()) {
            *here = begins;
        }
        let Some(table) = table else {
            text.push_str(raw);
            continue;
        };
        text.push_str(&table);
        let is_word = |token: &&Token<'_>| matches!(token, Token::Word(..));
        let has_name = match tokens[at + 1..].first() {
            Some(Token::Other(space)) if space.trim().is_empty() => {
                let next = tokens[at + 2..].first().filter(is_word);
                matches!(next, Some(Token::Word(raw, _)) if raw.eq_ignore_ascii_case("AS"))
            }
            _ => false,
        };
        if !has_name {
            text.push_str(" AS ");
            text.push_str(raw);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use sea_orm::{DbBackend, Value};

    use super::*;

    fn on_shard(sql: &str) -> String {
        on_tables(sql, |table| ["todos", "gone"].contains(&table).then(|| format!("{table}_7")))
    }

    #[test]
    fn tables_are_replaced_wherever_their_rows_are_read() {
        for (sql, expected) in [
            (
                r#"SELECT "todos"."id", 'FROM todos' FROM "todos" WHERE "todos"."id" = $1"#,
                r#"SELECT "todos"."id", 'FROM todos' FROM todos_7 AS "todos" WHERE "todos"."id" = $1"#,
            ),
            (
                "SELECT todos.gone, todos FROM (SELECT unnest($1, $2) AS todos) AS given, todos AS t \
                 JOIN gone ON t.a = gone.a, LATERAL (SELECT 1 FROM gone) AS more ORDER BY todos, gone",
                "SELECT todos.gone, todos FROM (SELECT unnest($1, $2) AS todos) AS given, todos_7 AS t \
                 JOIN gone_7 AS gone ON t.a = gone.a, LATERAL (SELECT 1 FROM gone_7 AS gone) AS more \
                 ORDER BY todos, gone",
            ),
            (
                "SELECT CASE WHEN EXISTS (SELECT 1 FROM gone AS g WHERE g.a = 1) THEN NULL ELSE a END \
                 FROM todos UNION ALL SELECT todos, gone FROM other",
                "SELECT CASE WHEN EXISTS (SELECT 1 FROM gone_7 AS g WHERE g.a = 1) THEN NULL ELSE a \
                 END FROM todos_7 AS todos UNION ALL SELECT todos, gone FROM other",
            ),
            (
                r#"INSERT INTO "todos" ("a", "gone") SELECT c1 FROM (SELECT 1) AS given ON CONFLICT ("a") DO UPDATE SET "gone" = "todos"."gone""#,
                r#"INSERT INTO todos_7 AS "todos" ("a", "gone") SELECT c1 FROM (SELECT 1) AS given ON CONFLICT ("a") DO UPDATE SET "gone" = "todos"."gone""#,
            ),
            (
                r#"UPDATE "todos" SET "gone" = 1, "a" = 2 WHERE "todos"."gone" = 3"#,
                r#"UPDATE todos_7 AS "todos" SET "gone" = 1, "a" = 2 WHERE "todos"."gone" = 3"#,
            ),
            ("DELETE FROM todos WHERE a = 1", "DELETE FROM todos_7 AS todos WHERE a = 1"),
            ("SELECT EXTRACT(EPOCH FROM now()), 'é'", "SELECT EXTRACT(EPOCH FROM now()), 'é'"),
            ("SELECT a IS DISTINCT FROM todos.b", "SELECT a IS DISTINCT FROM todos.b"),
            ("SELECT 'open", "SELECT 'open"),
        ] {
            assert_eq!(on_shard(sql), expected);
        }
    }

    #[test]
    fn a_statement_is_for_a_shard_if_it_reads_the_auth_epoch_and_hides_it_once_the_shard_is_gone() {
        let parts = vec![("accounts".to_owned(), 5), ("todos".to_owned(), 9)];
        let shard = Shard::new(3, parts);
        assert_eq!(shard.read("SELECT 1 FROM todos WHERE account_id = $1"), None);
        let sql = "SELECT (SELECT auth_epoch FROM accounts WHERE account_id = $1) AS \
                   caller_auth_epoch FROM todos";
        let text = shard.read(sql).unwrap();
        assert_eq!(
            &*text,
            "SELECT (SELECT auth_epoch FROM (SELECT * FROM accounts_5 WHERE EXISTS (SELECT 1 FROM \
             pg_dist_placement AS place WHERE place.shardid = 5 AND place.groupid = 3)) AS accounts \
             WHERE account_id = $1) AS caller_auth_epoch FROM todos_9 AS todos"
        );
        assert!(Arc::ptr_eq(&text, &shard.read(sql).unwrap()), "it is built once");
        for number in 0..=TEXTS_MAX {
            shard.read(&number.to_string());
        }
        assert!(shard.reads.lock().unwrap().len() <= TEXTS_MAX);
    }

    #[test]
    fn inserts_into_several_tables_are_one_statement_that_counts_their_rows() {
        let shard = Shard::new(3, vec![("accounts".to_owned(), 5), ("todos".to_owned(), 9)]);
        let insert = |sql: &str, values: &[i64]| {
            let values = values.iter().map(|value| Value::from(*value));
            Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
        };
        let inserts = [
            insert(
                r#"INSERT INTO "accounts" ("a") SELECT c1 FROM (SELECT unnest($1::bigint[])) AS given"#,
                &[3],
            ),
            insert(
                r#"INSERT INTO "todos" ("a", "b") SELECT c1, c2 FROM (SELECT unnest($1, $2)) AS given ON CONFLICT ("a") DO UPDATE SET "b" = 1"#,
                &[1, 2],
            ),
            insert(
                r#"INSERT INTO "todos" ("a") SELECT c1 FROM (SELECT unnest($1)) AS given"#,
                &[4],
            ),
        ];
        assert_eq!(
            &*shard.together(&inserts),
            r#"WITH i0 AS (INSERT INTO accounts_5 AS "accounts" ("a") SELECT c1 FROM (SELECT unnest($1::bigint[])) AS given RETURNING 1), i1 AS (INSERT INTO todos_9 AS "todos" ("a", "b") SELECT c1, c2 FROM (SELECT unnest($2, $3)) AS given WHERE (SELECT COUNT(*) FROM i0) = cardinality($1::bigint[]) ON CONFLICT ("a") DO UPDATE SET "b" = 1 RETURNING 1), i2 AS (INSERT INTO todos_9 AS "todos" ("a") SELECT c1 FROM (SELECT unnest($4)) AS given WHERE (SELECT COUNT(*) FROM i0) = cardinality($1::bigint[]) RETURNING 1) SELECT (SELECT COUNT(*) FROM i0), (SELECT COUNT(*) FROM i1), (SELECT COUNT(*) FROM i2)"#
        );
    }
}
