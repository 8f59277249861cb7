//! A shard of a Citus cluster, whose tables are read by name.
//!
//! On its node, each table of a shard is a table of PostgreSQL, such as `sessions_102008`. Reading
//! it spares what Citus takes to plan the same statement (ADR 59).
//!
//! A shard may move. Its tables then stay on the old node for a while, and no longer change. So a
//! statement on them must show that the shard was still there in the snapshot that it read: without
//! that, it does not find the row of the account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The column of a result with the auth epoch of the caller's account, which a statement reads from
/// the row of the account.
pub(crate) const AUTH_EPOCH: &str = "caller_auth_epoch";
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
    /// Texts of statements, and what they are on the shard.
    texts: Mutex<HashMap<String, Option<Arc<str>>>>,
}

impl Shard {
    pub(crate) fn new(group: i32, parts: Vec<(String, i64)>) -> Self {
        Self { group, parts, texts: Mutex::default() }
    }

    /// The text of a statement on the tables of this shard. `None` if its result would not show
    /// that the shard is still there.
    pub(crate) fn text(&self, sql: &str) -> Option<Arc<str>> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.get(sql) {
            return known.clone();
        }
        let shows = sql.contains(AUTH_EPOCH);
        let text = shows.then(|| Arc::from(on_tables(sql, |table| self.table(table))));
        if texts.len() >= TEXTS_MAX {
            texts.clear();
        }
        texts.insert(sql.to_owned(), text.clone());
        text
    }

    /// What the rows of a table are read from.
    fn table(&self, name: &str) -> Option<String> {
        let (_, part) = self.parts.iter().find(|(table, _)| table == name)?;
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

/// The statement, with what `stands_for` a table wherever the rows of a table are read.
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
            "FROM" | "JOIN" => Some(true),
            "SELECT" | "WHERE" | "GROUP" | "ORDER" | "LIMIT" | "UNION" | "HAVING" => Some(false),
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
        assert_eq!(shard.text("SELECT 1 FROM todos WHERE account_id = $1"), None);
        let sql = "SELECT (SELECT auth_epoch FROM accounts WHERE account_id = $1) AS \
                   caller_auth_epoch FROM todos";
        let text = shard.text(sql).unwrap();
        assert_eq!(
            &*text,
            "SELECT (SELECT auth_epoch FROM (SELECT * FROM accounts_5 WHERE EXISTS (SELECT 1 FROM \
             pg_dist_placement AS place WHERE place.shardid = 5 AND place.groupid = 3)) AS accounts \
             WHERE account_id = $1) AS caller_auth_epoch FROM todos_9 AS todos"
        );
        assert!(Arc::ptr_eq(&text, &shard.text(sql).unwrap()), "it is built once");
        for number in 0..=TEXTS_MAX {
            shard.text(&number.to_string());
        }
        assert!(shard.texts.lock().unwrap().len() <= TEXTS_MAX);
    }
}
