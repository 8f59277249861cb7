//! The statements that a cluster takes whose tables are distributed by account: a plain PostgreSQL
//! takes more.
//!
//! Each rule stands for a statement that Citus 13.2 refuses, or commits in two phases, on the
//! coordinator or on a worker. A statement whose tables are all bound to one account is planned for
//! one shard, and nearly everything is allowed in it. A statement over several accounts is split
//! into one for each shard, which must be able to answer it alone.
//!
//! Two things are not seen: a subquery that names a column of an outer query without its table, and
//! whether the accounts of a write over several of them live on one worker.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use sqlparser::ast::{
    AssignmentTarget, BinaryOperator, Expr, Query, SelectItem, SetExpr, Statement, TableObject,
    Value, Visit, Visitor,
};

use crate::connection_settings::{ConnectionSettings, Node, PlanCacheMode};
use crate::statement_tables::{Classes, Functions, Place, StatementTables, Subquery, Term, value};
use crate::tenant_lint::{TENANT, is_tenants, last, parse};

/// Functions that a write may not call: each shard would get a result of its own.
const VOLATILE: [&str; 6] =
    ["clock_timestamp", "gen_random_uuid", "nextval", "random", "set_config", "timeofday"];

const GENERIC: &str = "force_generic_plan allows parameters only in INSERT … VALUES, and in a \
    statement on one table with `account_id = $n` once";
const LOCKS: &str = "rows of several accounts are locked; lock by `account_id = $n`";
const SETS_KEY: &str = "an UPDATE sets account_id";
const INSERT_SELECT: &str =
    "INSERT … SELECT is committed in two phases unless it copies rows of one account; use VALUES";
const WRITE_READS_ALL: &str = "a write reads several accounts in a subquery";
const JOINS: &str = "tables of several accounts are not joined by account_id";
const LATERAL: &str = "a LATERAL subquery over several accounts has LIMIT, OFFSET or groups, or is \
    optional, and is not joined by account_id to a tenant's table";
const CORRELATED: &str =
    "a correlated subquery is not joined by account_id to a tenant's table of the outer query";

/// Checks a statement that a connection with these settings runs.
///
/// # Errors
///
/// Says what a cluster would refuse, or commit in two phases.
pub fn check(sql: &str, settings: ConnectionSettings) -> Result<(), String> {
    static GOOD: Mutex<Option<HashSet<(String, ConnectionSettings)>>> = Mutex::new(None);
    let known = (sql.to_owned(), settings);
    let mut good = GOOD.lock().unwrap_or_else(PoisonError::into_inner);
    let good = good.get_or_insert_default();
    if good.contains(&known) {
        return Ok(());
    }
    for statement in parse(sql)? {
        Judgement { statement: &statement, tables: &StatementTables::of(&statement) }
            .judge(settings)?;
    }
    good.insert(known);
    Ok(())
}

/// A statement and what it does with tables.
struct Judgement<'a> {
    statement: &'a Statement,
    tables: &'a StatementTables,
}

impl Judgement<'_> {
    fn judge(&self, settings: ConnectionSettings) -> Result<(), String> {
        let tables = self.tables;
        let accounts = self.accounts();
        let is_one = !accounts.is_empty();
        let inserts = inserts_selected_rows(self.statement);
        let is_generic = settings.plan_cache_mode == PlanCacheMode::ForceGeneric
            && has_parameters(self.statement)
            && (inserts || !tables.tables.is_empty());
        let is_literal = accounts.iter().any(|account| matches!(account, Term::Literal(_)));
        if is_generic && !is_literal && (inserts || !self.is_simple()) {
            return Err(GENERIC.to_owned());
        }
        if tables.writes && !tables.tables.is_empty() {
            self.judge_write()?;
        }
        if inserts {
            self.judge_insert(&accounts, settings.node)?;
        }
        if is_one || tables.tables.is_empty() {
            return Ok(());
        }
        if tables.locks_rows {
            return Err(LOCKS.to_owned());
        }
        if tables.writes && tables.subqueries.iter().any(stands_alone) {
            return Err(WRITE_READS_ALL.to_owned());
        }
        self.judge_joins()?;
        self.judge_subqueries()
    }

    fn judge_write(&self) -> Result<(), String> {
        let called = Functions::of(self.statement);
        if let Some(function) = VOLATILE.iter().find(|name| called.0.contains(**name)) {
            return Err(format!("a write calls {function}, which is volatile"));
        }
        let Statement::Update(update) = self.statement else { return Ok(()) };
        let is_key = |target: &AssignmentTarget| match target {
            AssignmentTarget::ColumnName(column) => last(column) == TENANT,
            AssignmentTarget::Tuple(columns) => columns.iter().any(|one| last(one) == TENANT),
        };
        let sets_key = update.assignments.iter().any(|one| is_key(&one.target));
        if sets_key { Err(SETS_KEY.to_owned()) } else { Ok(()) }
    }

    /// The coordinator pulls the rows of an INSERT … SELECT and writes them in two phases, unless
    /// they come from the shard that they go to. A worker writes its own rows in one.
    fn judge_insert(&self, accounts: &BTreeSet<&Term>, node: Node) -> Result<(), String> {
        let is_pulled = match node {
            Node::Coordinator => accounts.is_empty() || !selects_account(self.statement, accounts),
            Node::Worker => accounts.is_empty() && !self.tables.tables.is_empty(),
        };
        if is_pulled { Err(INSERT_SELECT.to_owned()) } else { Ok(()) }
    }

    /// All tables of a query must be of the same account in each row.
    fn judge_joins(&self) -> Result<(), String> {
        let StatementTables { tables, levels, subqueries, .. } = self.tables;
        let all = Classes::of(levels.iter().flat_map(|level| &level.equalities));
        for level in 0..levels.len() {
            let inlined =
                subqueries.iter().filter(|one| one.outer == Some(level) && is_inlined(one));
            let inlined: Vec<_> = inlined.flat_map(|one| one.tables.clone()).collect();
            let is_own = |place: &usize| tables[*place] == level || inlined.contains(place);
            let own: Vec<_> = (0..tables.len()).filter(is_own).map(Term::Table).collect();
            if own.iter().any(|table| !all.are_equal(&own[0], table)) {
                return Err(JOINS.to_owned());
            }
        }
        Ok(())
    }

    /// A subquery that uses columns of an outer query must itself compare the account of its tables
    /// with that of an outer table.
    fn judge_subqueries(&self) -> Result<(), String> {
        let StatementTables { tables, levels, subqueries, .. } = self.tables;
        for one in subqueries {
            if one.place == Place::From || !one.is_correlated || is_inlined(one) {
                continue;
            }
            let levels = &levels[one.levels.clone()];
            let own = Classes::of(levels.iter().flat_map(|level| &level.equalities));
            let outer = (0..tables.len()).filter(|place| !one.tables.contains(place));
            let outer: Vec<_> = outer.map(Term::Table).collect();
            let is_joined =
                |place| outer.iter().any(|outer| own.are_equal(outer, &Term::Table(place)));
            if !one.tables.clone().all(is_joined) {
                let is_lateral = one.place != Place::Expression;
                return Err(if is_lateral { LATERAL } else { CORRELATED }.to_owned());
            }
        }
        Ok(())
    }

    /// The values to which all tables are bound: none if the statement is over several accounts.
    fn accounts(&self) -> BTreeSet<&Term> {
        let equalities = || self.tables.levels.iter().flat_map(|level| &level.equalities);
        let classes = Classes::of(equalities());
        let values = equalities().flat_map(|(left, right)| [left, right]);
        let values = values.filter(|term| matches!(term, Term::Parameter(_) | Term::Literal(_)));
        let places = 0..self.tables.tables.len();
        let binds = |value: &&Term| {
            !places.is_empty()
                && places.clone().all(|place| classes.are_equal(value, &Term::Table(place)))
        };
        values.filter(binds).collect()
    }

    /// Whether the shard of a statement can be chosen after it is planned.
    fn is_simple(&self) -> bool {
        let StatementTables { levels, subqueries, named, .. } = self.tables;
        let [level] = &levels[..] else { return false };
        if level.sources.len() != 1 || !subqueries.is_empty() || !named.is_empty() {
            return false;
        }
        let mut mentions = Mentions::default();
        let _ = level.conditions.visit(&mut mentions);
        let names_account = level.conditions.iter().any(is_account_equal_to_value);
        let unnests = Functions::of(self.statement).0.contains("unnest");
        names_account && mentions.0 == 1 && !unnests
    }
}

/// Whether it is in an expression and uses no columns of an outer query.
fn stands_alone(one: &Subquery) -> bool {
    one.place == Place::Expression && !one.is_correlated && !one.tables.is_empty()
}

/// Whether the planner makes it a part of the outer query.
fn is_inlined(one: &Subquery) -> bool {
    one.place == Place::Lateral && one.is_plain
}

/// Whether a condition compares the account with a parameter or a number.
fn is_account_equal_to_value(condition: &Expr) -> bool {
    let is_value = |expr: &Expr| value(expr).is_some();
    let pair = |left: &Expr, right: &Expr| {
        is_account(left) && is_value(right) || is_account(right) && is_value(left)
    };
    let both = |left: &Expr, right: &Expr| match (left, right) {
        (Expr::Tuple(left), Expr::Tuple(right)) => left.iter().zip(right).any(|(a, b)| pair(a, b)),
        _ => pair(left, right),
    };
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => both(left, right),
        Expr::InList { expr, list, negated: false } => {
            matches!(&list[..], [only] if both(expr, only))
        }
        _ => false,
    }
}

fn is_account(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => name.value == TENANT,
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|name| name.value == TENANT),
        _ => false,
    }
}

/// Whether a statement inserts the rows of a SELECT into a tenant's table.
fn inserts_selected_rows(statement: &Statement) -> bool {
    let Statement::Insert(insert) = statement else { return false };
    let TableObject::TableName(name) = &insert.table else { return false };
    let is_values = |query: &Query| matches!(*query.body, SetExpr::Values(_));
    is_tenants(name) && insert.source.as_ref().is_some_and(|source| !is_values(source))
}

/// Whether the inserted account is a column of the selected tables, or a value that they are bound
/// to. The rows then stay in their shard.
fn selects_account(statement: &Statement, accounts: &BTreeSet<&Term>) -> bool {
    let Statement::Insert(insert) = statement else { return false };
    let Some(select) = insert.source.as_ref().and_then(|source| source.body.as_select()) else {
        return false;
    };
    let place = insert.columns.iter().position(|column| last(column) == TENANT).unwrap_or(0);
    match select.projection.get(place) {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            is_account(expr) || value(expr).is_some_and(|value| accounts.contains(&value))
        }
        item => item.is_some(),
    }
}

fn has_parameters(statement: &Statement) -> bool {
    struct Parameters;
    impl Visitor for Parameters {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    statement.visit(&mut Parameters).is_break()
}

/// How often the account is mentioned.
#[derive(Default)]
struct Mentions(usize);

impl Visitor for Mentions {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.0 += usize::from(is_account(expr));
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTO: ConnectionSettings =
        ConnectionSettings { plan_cache_mode: PlanCacheMode::Auto, node: Node::Coordinator };
    const WORKER: ConnectionSettings = ConnectionSettings { node: Node::Worker, ..AUTO };
    const GENERIC_PLAN: ConnectionSettings =
        ConnectionSettings { plan_cache_mode: PlanCacheMode::ForceGeneric, ..AUTO };

    /// A cluster took each of these on the coordinator and on a worker, and none in two phases.
    const TAKEN: [&str; 33] = [
        "SELECT 1",
        "SELECT accounts FROM directory WHERE one = $1",
        "SELECT nodename FROM citus_shards JOIN pg_dist_node USING (nodename)",
        "SELECT * FROM todos WHERE account_id = $1 AND todo_id = $2 ORDER BY todo_id LIMIT $3",
        "SELECT * FROM accounts WHERE account_id = $1 FOR UPDATE",
        "SELECT * FROM accounts WHERE account_id IN ($1) FOR UPDATE",
        "SELECT * FROM accounts a JOIN todos t ON t.account_id = a.account_id \
         WHERE a.account_id = $1 FOR UPDATE",
        "SELECT * FROM todos WHERE (account_id, todo_id) IN (($1, $2), ($3, $4))",
        "SELECT * FROM todos WHERE (account_id = $1 AND todo_id = 1) OR (account_id = $2)",
        "SELECT f.* FROM (SELECT UNNEST($2::bigint[]) AS c2) AS g, LATERAL (SELECT t.* FROM todos AS t \
         WHERE t.account_id = $1 AND t.todo_id = g.c2 OFFSET 0) AS f",
        "SELECT t.* FROM (SELECT UNNEST($1::bigint[]) AS c1, UNNEST($2::bigint[]) AS c2) AS g, todos AS t \
         WHERE t.account_id = g.c1 AND t.todo_id = g.c2 AND t.account_id = ANY($1)",
        "SELECT f.* FROM (SELECT UNNEST($1::bigint[]) AS a) AS g, \
         LATERAL (SELECT * FROM todos t WHERE t.account_id = g.a ORDER BY todo_id) AS f",
        "SELECT s.* FROM (SELECT UNNEST($1::bigint[]) AS a) AS g \
         LEFT JOIN sessions s ON s.account_id = g.a AND s.account_id = ANY($1)",
        "SELECT * FROM (SELECT UNNEST($1::bigint[]) AS a) AS g, accounts t, sessions s \
         WHERE t.account_id = g.a AND s.account_id = g.a AND t.account_id = ANY($1)",
        "SELECT f.* FROM accounts a, LATERAL (SELECT * FROM sessions s \
         WHERE s.account_id = a.account_id ORDER BY started_at LIMIT 1) AS f WHERE a.account_id = ANY($1)",
        "SELECT f.* FROM accounts a LEFT JOIN LATERAL (SELECT * FROM sessions s \
         WHERE s.account_id = a.account_id LIMIT 1) AS f ON TRUE WHERE a.account_id = ANY($1)",
        "SELECT a.account_id, (SELECT COUNT(*) FROM todos t WHERE t.account_id = a.account_id) FROM accounts a",
        "SELECT account_id FROM accounts WHERE account_id > $1 AND EXISTS \
         (SELECT 1 FROM idempotency AS i WHERE i.account_id = accounts.account_id AND created_at < $2)",
        "SELECT account_id FROM accounts ORDER BY account_id LIMIT $1 OFFSET $2",
        "SELECT account_id, (SELECT accounts FROM directory) FROM accounts LIMIT $1",
        "SELECT account_id, COUNT(*) FROM todos \
         WHERE account_id NOT IN (SELECT account_id FROM accounts) GROUP BY account_id",
        "SELECT account_id FROM accounts WHERE account_id = ANY($1) \
         UNION ALL SELECT account_id FROM todos WHERE account_id = $2",
        "WITH m AS (SELECT * FROM todos WHERE account_id = ANY($1)) \
         SELECT * FROM m JOIN accounts a ON a.account_id = m.account_id",
        "SELECT g.a, (SELECT title FROM todos t WHERE t.account_id = $1 AND g.a = t.todo_id) \
         FROM UNNEST($2::bigint[]) AS g (a)",
        "INSERT INTO counters (account_id, actor_id, subject, label, count) \
         VALUES ($1, $2, 'todos', '', 1), ($1, $3, 'todos', '', 1) \
         ON CONFLICT (account_id, actor_id, subject, label) DO UPDATE SET count = excluded.count",
        "INSERT INTO counters (account_id, actor_id, subject, label, count) \
         SELECT account_id, 7, 'todos', name, 1 FROM accounts WHERE account_id = $1",
        "INSERT INTO counters (account_id, actor_id, subject, label, count) \
         SELECT $1, 9, 'todos', name, 1 FROM accounts WHERE account_id = $1",
        "UPDATE todos SET version = $2 WHERE account_id = $1 AND todo_id = $3",
        "UPDATE todos SET version = v.b FROM (SELECT UNNEST($2::bigint[]) AS id, UNNEST($3::bigint[]) AS b) AS v \
         WHERE todos.account_id = $1 AND todo_id = v.id",
        "UPDATE counters SET count = (SELECT COUNT(*) FROM todos WHERE account_id = $1) WHERE account_id = $1",
        "UPDATE directory SET accounts = accounts + $1 RETURNING accounts",
        "DELETE FROM todos WHERE account_id = $1 AND todo_id IN \
         (SELECT todo_id FROM todos WHERE account_id = $1 ORDER BY todo_id LIMIT $2)",
        "WITH d AS (DELETE FROM todos WHERE account_id = $1 RETURNING *) SELECT * FROM d",
    ];

    /// A cluster refused each of these, or committed it in two phases.
    const REFUSED: [(&str, &str); 26] = [
        (
            LATERAL,
            "SELECT f.* FROM (SELECT UNNEST($1::bigint[]) AS c1, UNNEST($2::bigint[]) AS c2) AS given, \
          LATERAL (SELECT t.* FROM \"sessions\" AS t WHERE t.\"account_id\" = given.c1 \
          AND t.\"session_id\" = given.c2 OFFSET 0) AS f",
        ),
        (
            LATERAL,
            "SELECT f.* FROM (VALUES (1), (6)) AS g (a), \
          LATERAL (SELECT * FROM todos t WHERE t.account_id = g.a LIMIT 1) AS f",
        ),
        (
            LATERAL,
            "SELECT f.* FROM UNNEST($1::bigint[]) AS g (a), LATERAL (SELECT * FROM todos t \
          WHERE t.account_id = g.a AND t.account_id = ANY($1) OFFSET 0) AS f",
        ),
        (
            LATERAL,
            "SELECT f.* FROM (SELECT UNNEST($1::bigint[]) AS a) AS g, \
          LATERAL (SELECT COUNT(*) FROM todos t WHERE t.account_id = g.a) AS f",
        ),
        (
            LATERAL,
            "SELECT f.* FROM (SELECT UNNEST($1::bigint[]) AS a) AS g, \
          LATERAL (SELECT DISTINCT status FROM todos t WHERE t.account_id = g.a) AS f",
        ),
        (
            LATERAL,
            "SELECT f.* FROM (SELECT UNNEST($1::bigint[]) AS a) AS g \
          LEFT JOIN LATERAL (SELECT * FROM todos t WHERE t.account_id = g.a) AS f ON TRUE",
        ),
        (
            LATERAL,
            "SELECT f.* FROM (SELECT UNNEST($1::bigint[]) AS a) AS g, accounts t, LATERAL \
          (SELECT * FROM todos s WHERE s.account_id = g.a LIMIT 1) AS f \
          WHERE t.account_id = g.a AND t.account_id = ANY($1)",
        ),
        (
            CORRELATED,
            "SELECT a.account_id, (SELECT COUNT(*) FROM todos t WHERE t.todo_id = a.last_todo_id) \
          FROM accounts a",
        ),
        (
            CORRELATED,
            "SELECT account_id FROM accounts WHERE EXISTS \
          (SELECT 1 FROM sessions s WHERE s.session_id = accounts.last_session_id)",
        ),
        (
            CORRELATED,
            "SELECT account_id FROM todos t WHERE t.account_id = $1 AND EXISTS \
          (SELECT 1 FROM accounts a WHERE a.account_id = $2 AND a.last_todo_id = t.todo_id)",
        ),
        (
            CORRELATED,
            "SELECT g.a, (SELECT balance FROM accounts t WHERE t.account_id = g.a) \
          FROM (SELECT UNNEST($1::bigint[]) AS a) AS g",
        ),
        (
            CORRELATED,
            "SELECT (SELECT COUNT(*) FROM todos s WHERE s.account_id = g.a) FROM \
          (SELECT UNNEST($1::bigint[]) AS a) AS g, accounts t WHERE t.account_id = g.a AND t.account_id = ANY($1)",
        ),
        (JOINS, "SELECT * FROM accounts a JOIN todos t ON t.todo_id = a.last_todo_id"),
        (
            JOINS,
            "SELECT * FROM accounts a, todos t WHERE a.account_id = ANY($1) AND t.account_id = ANY($1) \
          AND t.todo_id = a.last_todo_id",
        ),
        (JOINS, "SELECT * FROM accounts a, todos t WHERE a.account_id = $1 AND t.account_id = $2"),
        (
            JOINS,
            "UPDATE counters c SET count = a.balance FROM accounts a \
          WHERE a.last_todo_id = c.actor_id AND c.account_id = $1",
        ),
        (LOCKS, "SELECT * FROM accounts WHERE account_id = ANY($1) FOR UPDATE"),
        (LOCKS, "SELECT * FROM accounts WHERE account_id IN (1, 6) FOR SHARE"),
        (LOCKS, "SELECT * FROM accounts FOR KEY SHARE"),
        (
            INSERT_SELECT,
            "INSERT INTO \"counters\" (\"account_id\", \"actor_id\", subject, label, count) \
             SELECT c1, c2, 'todos', '', 1 FROM \
             (SELECT UNNEST($1::bigint[]) AS c1, UNNEST($2::bigint[]) AS c2) AS given",
        ),
        (
            INSERT_SELECT,
            "INSERT INTO counters (account_id, actor_id, subject, label, count) \
             SELECT $1, UNNEST($2::bigint[]), 'todos', '1', 1",
        ),
        (
            INSERT_SELECT,
            "INSERT INTO counters (account_id, actor_id, subject, label, count) \
             SELECT account_id, 8, 'todos', name, 1 FROM accounts",
        ),
        (SETS_KEY, "UPDATE counters SET account_id = $2 WHERE account_id = $1"),
        (
            WRITE_READS_ALL,
            "UPDATE counters SET count = (SELECT COUNT(*) FROM accounts) WHERE account_id = $1",
        ),
        (
            WRITE_READS_ALL,
            "DELETE FROM counters WHERE account_id = $1 AND account_id NOT IN \
          (SELECT account_id FROM accounts)",
        ),
        (
            "a write calls clock_timestamp, which is volatile",
            "UPDATE counters SET count = EXTRACT(EPOCH FROM clock_timestamp()) WHERE account_id = $1",
        ),
    ];

    #[test]
    fn statements_that_a_cluster_takes_are_allowed() {
        for sql in TAKEN {
            assert_eq!(check(sql, AUTO), Ok(()), "{sql}");
            assert_eq!(check(sql, WORKER), Ok(()), "{sql}");
        }
    }

    #[test]
    fn statements_that_a_cluster_refuses_are_errors() {
        for (error, sql) in REFUSED {
            assert_eq!(check(sql, AUTO), Err(error.to_owned()), "{sql}");
        }
        assert!(check("SELECT )", AUTO).is_err());
    }

    #[test]
    fn a_worker_inserts_selected_rows_of_its_own_in_one_phase() {
        for (sql, is_allowed) in [
            ("INSERT INTO counters (account_id) SELECT UNNEST($1::bigint[])", true),
            (
                "INSERT INTO counters (account_id, label) SELECT account_id, name FROM accounts",
                false,
            ),
        ] {
            assert_eq!(check(sql, WORKER).is_ok(), is_allowed, "{sql}");
        }
    }

    #[test]
    fn a_generic_plan_needs_the_account_as_the_one_parameter_of_one_table() {
        for sql in [
            "SELECT accounts FROM directory WHERE one = $1",
            "SELECT k FROM UNNEST($1::bigint[]) AS k",
            "SELECT * FROM accounts LIMIT 1",
            "SELECT * FROM todos WHERE account_id = $1 AND (todo_id = $2 OR todo_id = ANY($3))",
            "SELECT status, COUNT(*) FROM todos WHERE $1 = account_id GROUP BY status LIMIT $2",
            "SELECT * FROM todos WHERE (account_id, todo_id) = ($1, $2) FOR UPDATE",
            "SELECT * FROM todos WHERE (account_id, todo_id) IN (($1, $2))",
            "SELECT * FROM todos WHERE account_id = $1::bigint",
            "SELECT * FROM accounts WHERE account_id IN (1, 6)",
            "SELECT * FROM accounts a JOIN todos t ON t.account_id = a.account_id \
             WHERE a.account_id = 1 AND t.account_id = 1 AND t.todo_id = $1",
            "INSERT INTO counters (account_id, actor_id, subject, label, count) \
             VALUES ($1, $2, 'todos', '', 1), ($3, $4, 'todos', '', 1)",
            "UPDATE todos SET version = $2 WHERE account_id = $1",
            "DELETE FROM todos WHERE account_id = $1 AND todo_id = $2 RETURNING *",
        ] {
            assert_eq!(check(sql, GENERIC_PLAN), Ok(()), "{sql}");
        }
        for sql in [
            "SELECT \"accounts\".\"account_id\" FROM \"accounts\" LIMIT $1",
            "SELECT * FROM accounts WHERE account_id = ANY($1)",
            "SELECT * FROM accounts WHERE account_id IN ($1, $2)",
            "SELECT * FROM accounts WHERE account_id IN (1, 6) AND kind = $1",
            "SELECT * FROM todos WHERE (account_id = $1 AND todo_id = 1) OR (account_id = $2 AND todo_id = 1)",
            "SELECT * FROM todos WHERE account_id = $1 AND todo_id = 1 OR account_id = $1 AND todo_id = 2",
            "SELECT * FROM accounts a JOIN todos t ON t.account_id = a.account_id WHERE a.account_id = $1",
            "SELECT COUNT(*) FROM (SELECT * FROM todos WHERE account_id = $1) AS t",
            "WITH m AS (SELECT * FROM todos WHERE account_id = $1) SELECT * FROM m",
            "SELECT account_id FROM todos WHERE account_id = $1 \
             UNION ALL SELECT account_id FROM accounts WHERE account_id = $1",
            "SELECT UNNEST($2::bigint[]), account_id FROM accounts WHERE account_id = $1",
            "SELECT * FROM todos WHERE account_id = $1 AND todo_id IN (SELECT UNNEST($2::bigint[]))",
            "INSERT INTO counters (account_id, label) SELECT account_id, name FROM accounts WHERE account_id = $1",
            "UPDATE todos SET version = v.b FROM (VALUES ($2::bigint, $3::bigint)) AS v (id, b) \
             WHERE account_id = $1 AND todo_id = v.id",
            "DELETE FROM todos WHERE account_id = ANY($1)",
        ] {
            assert_eq!(check(sql, GENERIC_PLAN), Err(GENERIC.to_owned()), "{sql}");
        }
    }
}
