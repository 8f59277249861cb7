//! The statements that a tenant's request may make: they name the tenant for every table they use.
//! So they need only one shard where tables are distributed by tenant, and never reach another
//! tenant's rows.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use sqlparser::ast::{
    BinaryOperator, ConflictTarget, Expr, FromTable, Insert, Join, JoinConstraint, JoinOperator,
    ObjectName, OnConflict, OnInsert, Query, Select, Statement, TableFactor, TableObject,
    TableWithJoins, UpdateTableFromKind, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// The column that names the tenant, by which tables are distributed.
pub const TENANT: &str = "account_id";

/// The tables that belong to no tenant.
pub const SHARED_TABLES: [&str; 2] = ["directory", "seaql_migrations"];

/// The allowed statements over all tenants, with the names that `docs/operations.md` lists. `…`
/// matches any text.
pub const OVER_ALL_TENANTS: [(&str, &str); 10] = [
    (
        "list of accounts",
        r#"SELECT …FROM "accounts" …ORDER BY "accounts"."account_id" DESC LIMIT …"#,
    ),
    (
        "another operator",
        r#"SELECT …FROM "accounts" WHERE "accounts"."account_id" <> $1 AND "accounts"."kind" = $2 AND "accounts"."status" = $3 LIMIT $4"#,
    ),
    (
        "sweep of keys",
        "SELECT account_id FROM accounts WHERE account_id > $1 AND account_id <= $2 AND (EXISTS (SELECT 1 FROM api_keys …",
    ),
    (
        "sweep of idempotency records",
        "SELECT account_id FROM accounts WHERE account_id > $1 AND EXISTS (SELECT 1 FROM idempotency …",
    ),
    (
        "silent sessions",
        "SELECT account_id FROM accounts WHERE account_id > $1 AND (SELECT last_active_at FROM session_activity …",
    ),
    (
        "accounts that streams follow",
        "SELECT account_id, version, auth_epoch, sign_in_epoch, last_ledger_id, last_audit_id FROM accounts WHERE account_id = ANY($1)",
    ),
    (
        "sweep of erased accounts",
        r#"SELECT …FROM "erasures" WHERE "erasures"."account_id" > $1 AND "erasures"."swept_at" IS NULL …"#,
    ),
    (
        "links to deleted sessions",
        r#"SELECT …FROM "session_deletions" WHERE "session_deletions"."account_id" > $1 ORDER BY …"#,
    ),
    (
        "verify, account by account",
        r#"SELECT …FROM "accounts" WHERE "accounts"."account_id" > $1 ORDER BY "accounts"."account_id" ASC LIMIT $2"#,
    ),
    (
        "verify, rows of no account",
        "SELECT account_id, COUNT(*) FROM …WHERE account_id NOT IN (SELECT account_id FROM accounts) …",
    ),
];

/// Checks a statement.
///
/// # Errors
///
/// Names a table that it uses without naming the tenant.
pub fn check(sql: &str) -> Result<(), String> {
    static GOOD: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let mut good = GOOD.lock().unwrap_or_else(PoisonError::into_inner);
    let good = good.get_or_insert_default();
    if good.contains(sql) || over_all(sql).is_some() {
        return Ok(());
    }
    match parse(sql)?.visit(&mut StatementChecker::default()) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => {
            good.insert(sql.to_owned());
            Ok(())
        }
    }
}

/// The statements of a text. The parser does not know the weaker locks of rows, so they are read as
/// the stronger ones.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>, String> {
    let known =
        sql.replace("FOR NO KEY UPDATE", "FOR UPDATE").replace("FOR KEY SHARE", "FOR SHARE");
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, &known);
    statements.map_err(|error| format!("unreadable ({error})"))
}

/// The name of a statement over all tenants, if it is an allowed one.
#[must_use]
pub fn over_all(sql: &str) -> Option<&'static str> {
    OVER_ALL_TENANTS.iter().find(|(_, form)| is_of_form(sql, form)).map(|(name, _)| *name)
}

fn is_of_form(sql: &str, form: &str) -> bool {
    let Some((start, rest)) = form.split_once('…') else { return sql == form };
    let Some(sql) = sql.strip_prefix(start) else { return false };
    let next = rest.split('…').next().unwrap_or(rest);
    rest.is_empty() || sql.match_indices(next).any(|(at, _)| is_of_form(&sql[at..], rest))
}

/// Visits a statement and all of its queries.
#[derive(Default)]
struct StatementChecker {
    /// The names of the statement's common table expressions.
    named: BTreeSet<String>,
}

impl Visitor for StatementChecker {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        self.named.extend(named.map(|one| one.alias.name.value.clone()));
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        self.check(&select.from, select.selection.as_ref())
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<String> {
        match statement {
            Statement::Insert(insert) => check_insert(insert),
            Statement::Update(update) => {
                let mut from = vec![update.table.clone()];
                match &update.from {
                    Some(
                        UpdateTableFromKind::BeforeSet(more) | UpdateTableFromKind::AfterSet(more),
                    ) => from.extend(more.iter().cloned()),
                    None => {}
                }
                self.check(&from, update.selection.as_ref())
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) =
                    &delete.from;
                let mut from = from.clone();
                from.extend(delete.using.iter().flatten().cloned());
                self.check(&from, delete.selection.as_ref())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl StatementChecker {
    /// Checks that each tenant's table is bound to a tenant, by a value or by another bound table.
    fn check(&self, from: &[TableWithJoins], selection: Option<&Expr>) -> ControlFlow<String> {
        let mut conditions: Vec<&Expr> = selection.into_iter().collect();
        let mut open = BTreeSet::new();
        for one in from {
            open.extend(self.tenants_table(&one.relation));
            for join in &one.joins {
                open.extend(self.tenants_table(&join.relation));
                conditions.extend(on(join));
            }
        }
        loop {
            let is_bound =
                |table: &String| conditions.iter().any(|condition| binds(condition, table, &open));
            let bound: Vec<_> = open.iter().filter(|table| is_bound(table)).cloned().collect();
            if bound.is_empty() {
                break;
            }
            open.retain(|table| !bound.contains(table));
        }
        match open.first() {
            Some(table) => ControlFlow::Break(format!("{table} without {TENANT}")),
            None => ControlFlow::Continue(()),
        }
    }

    /// The name or alias of a tenant's table in its query.
    fn tenants_table(&self, relation: &TableFactor) -> Option<String> {
        let TableFactor::Table { name, alias, args: None, .. } = relation else { return None };
        let table = last(name);
        if !is_tenants(name) || self.named.contains(&table) {
            return None;
        }
        Some(alias.as_ref().map_or(table, |alias| alias.name.value.clone()))
    }
}

fn check_insert(insert: &Insert) -> ControlFlow<String> {
    let TableObject::TableName(name) = &insert.table else {
        return ControlFlow::Break("a table without a name".to_owned());
    };
    let table = last(name);
    if SHARED_TABLES.contains(&table.as_str()) {
        return ControlFlow::Continue(());
    }
    if !insert.columns.iter().any(|column| last(column) == TENANT) {
        return ControlFlow::Break(format!("{table} without {TENANT}"));
    }
    match &insert.on {
        Some(OnInsert::OnConflict(OnConflict {
            conflict_target: Some(ConflictTarget::Columns(columns)),
            ..
        })) if columns.first().is_none_or(|column| column.value != TENANT) => {
            ControlFlow::Break(format!("ON CONFLICT of {table} without {TENANT}"))
        }
        _ => ControlFlow::Continue(()),
    }
}

/// Whether a name is that of a tenant's table, and not of one that the tenants share or of the
/// database's own.
pub(crate) fn is_tenants(name: &ObjectName) -> bool {
    let table = last(name);
    let is_catalog = ["pg_", "citus_"].iter().any(|prefix| table.starts_with(prefix));
    !is_catalog && !SHARED_TABLES.contains(&table.as_str())
}

/// The last part of a name.
pub(crate) fn last(name: &ObjectName) -> String {
    let part = name.0.last().and_then(|part| part.as_ident());
    part.map_or_else(|| name.to_string(), |ident| ident.value.clone())
}

/// The condition of a join.
pub(crate) fn on(join: &Join) -> Option<&Expr> {
    match &join.join_operator {
        JoinOperator::Join(JoinConstraint::On(on))
        | JoinOperator::Inner(JoinConstraint::On(on))
        | JoinOperator::Left(JoinConstraint::On(on))
        | JoinOperator::LeftOuter(JoinConstraint::On(on)) => Some(on),
        _ => None,
    }
}

/// Whether a condition binds a table to tenants. `open` are the tables of the same query that are
/// not bound yet. A table of an outer query is checked there.
fn binds(condition: &Expr, table: &str, open: &BTreeSet<String>) -> bool {
    let names = |expr: &Expr| match expr {
        Expr::Tuple(parts) => parts.iter().any(|part| is_tenant_of(part, table)),
        expr => is_tenant_of(expr, table),
    };
    let is_known = |expr: &Expr| !open.iter().any(|open| is_tenant_of(expr, open));
    match condition {
        Expr::Nested(inner) => binds(inner, table, open),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            binds(left, table, open) || binds(right, table, open)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
            binds(left, table, open) && binds(right, table, open)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            names(left) && is_known(right) || names(right) && is_known(left)
        }
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, .. } => names(left),
        Expr::InList { expr, negated: false, .. }
        | Expr::InSubquery { expr, negated: false, .. } => names(expr),
        _ => false,
    }
}

/// Whether an expression is, or may be, the tenant column of that table.
fn is_tenant_of(expr: &Expr, table: &str) -> bool {
    match expr {
        Expr::Nested(inner) => is_tenant_of(inner, table),
        Expr::Identifier(column) => column.value == TENANT,
        Expr::CompoundIdentifier(parts) => match &parts[..] {
            [.., of, column] => column.value == TENANT && of.value == table,
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ellipsis_in_a_statement_form_matches_any_text() {
        for (sql, form) in
            [("ab", "ab"), ("ab", "a…"), ("a", "a…"), ("abcbd", "a…b…"), ("abcbd", "a…bd")]
        {
            assert!(is_of_form(sql, form), "{sql} {form}");
        }
        for (sql, form) in [("abc", "ab"), ("ba", "a…"), ("abc", "a…b"), ("ac", "a…b…")] {
            assert!(!is_of_form(sql, form), "{sql} {form}");
        }
    }

    #[test]
    fn every_statement_over_all_tenants_is_documented() {
        let documented = include_str!("../../../docs/operations.md");
        for (name, _) in OVER_ALL_TENANTS {
            assert!(documented.contains(&format!("| {name} |")), "{name}");
        }
    }

    #[test]
    fn a_statement_must_name_the_account_for_every_table() {
        for good in [
            "SELECT 1",
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0",
            "SELECT accounts FROM directory",
            "SELECT * FROM todos WHERE account_id = $1 AND (todo_id = $2 OR todo_id = $3)",
            "SELECT * FROM todos WHERE (account_id = $1 AND todo_id = 1) OR (account_id = $2)",
            "SELECT * FROM todos WHERE (\"todos\".\"account_id\", todo_id) IN (($1, $2), ($3, $4))",
            "SELECT * FROM todos t JOIN sessions s ON s.account_id = t.account_id AND s.session_id = 1 \
             WHERE t.account_id = $1",
            "SELECT a.account_id, (SELECT COUNT(*) FROM ledger l WHERE l.account_id = a.account_id) \
             FROM accounts a WHERE a.account_id IN ($1, $2)",
            "SELECT * FROM accounts WHERE \"account_id\" = ANY($1::bigint[])",
            "SELECT f.* FROM (SELECT UNNEST($1::bigint[]) AS a) AS g, \
             LATERAL (SELECT * FROM todos AS t WHERE t.account_id = g.a OFFSET 0) AS f",
            "SELECT pg_advisory_xact_lock(k), CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT) \
             FROM unnest($1::bigint[]) AS k",
            "WITH mine AS (SELECT * FROM todos WHERE account_id = $1) SELECT * FROM mine",
            "INSERT INTO todos (account_id, todo_id) VALUES ($1, $2), ($3, $4) \
             ON CONFLICT (account_id, todo_id) DO UPDATE SET todo_id = excluded.todo_id",
            "UPDATE accounts SET balance = v.b FROM (VALUES ($1, $2)) AS v (id, b) \
             WHERE accounts.account_id = v.id",
            "DELETE FROM todos WHERE account_id = $1 AND todo_id IN ($2)",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "SELECT * FROM todos",
            "SELECT * FROM todos WHERE todo_id = $1",
            "SELECT * FROM todos WHERE account_id > $1",
            "SELECT * FROM todos WHERE account_id <> $1 AND todo_id = 1",
            "SELECT * FROM todos WHERE account_id = $1 OR todo_id = 1",
            "SELECT * FROM todos WHERE NOT account_id = $1",
            "SELECT * FROM todos WHERE account_id NOT IN ($1)",
            "SELECT * FROM todos WHERE account_id > ANY($1)",
            "SELECT f.* FROM (SELECT 1) AS g, LATERAL (SELECT * FROM todos AS t OFFSET 0) AS f",
            "SELECT * FROM todos WHERE todo_id = ANY($1)",
            "SELECT * FROM todos t JOIN sessions s ON s.session_id = t.session_id WHERE t.account_id = $1",
            "SELECT * FROM todos t JOIN sessions s ON s.account_id = t.account_id",
            "SELECT (SELECT COUNT(*) FROM todos) FROM accounts WHERE account_id = $1",
            "SELECT * FROM accounts WHERE account_id = $1 AND EXISTS (SELECT 1 FROM todos)",
            "WITH every AS (SELECT * FROM todos) SELECT * FROM every",
            "INSERT INTO todos (todo_id) VALUES ($1)",
            "INSERT INTO todos (account_id, uid) VALUES ($1, $2) ON CONFLICT (uid) DO NOTHING",
            "UPDATE todos SET status = 'done' WHERE todo_id = $1",
            "UPDATE todos SET session_id = NULL",
            "DELETE FROM todos WHERE todo_id = $1",
            "SELECT FROM WHERE",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
