//! The tenants' tables of a statement, and how they are joined and bound to accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, FromTable, Function, GroupByExpr, Insert, Join, JoinOperator,
    Query, Select, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins,
    UpdateTableFromKind, Value, Visit, Visitor,
};

use crate::tenant_lint::{TENANT, is_tenants, last, on};

/// What an account's id is compared with. Equal terms are of the same account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Term {
    /// The account of a tenant's table, by the table's place in [`StatementTables`].
    Table(usize),
    /// A column that holds no row of a tenant: its level, source and name.
    Column(usize, String, String),
    /// A parameter, such as `$1`.
    Parameter(String),
    /// A number.
    Literal(String),
}

type Equalities = BTreeSet<(Term, Term)>;

/// What a name in FROM stands for.
#[derive(Clone)]
pub(crate) enum Source {
    Table(usize),
    /// A subquery, and the accounts in its columns.
    Columns(BTreeMap<String, Term>),
}

/// A SELECT, an UPDATE or a DELETE. `parent` is the one whose columns it may use.
pub(crate) struct Level {
    parent: Option<usize>,
    pub(crate) sources: BTreeMap<String, Source>,
    /// The conditions of its WHERE and of its joins, which must all hold.
    pub(crate) conditions: Vec<Expr>,
    pub(crate) equalities: Equalities,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In FROM, or in WITH.
    From,
    Lateral,
    /// LATERAL on the optional side of a join.
    OptionalLateral,
    Expression,
}

/// A query within another one.
pub(crate) struct Subquery {
    pub(crate) place: Place,
    /// The level that it belongs to.
    pub(crate) outer: Option<usize>,
    pub(crate) levels: Range<usize>,
    pub(crate) tables: Range<usize>,
    /// Whether it uses columns of an outer query.
    pub(crate) is_correlated: bool,
    /// Whether it only selects, so that its tables become those of the outer query.
    pub(crate) is_plain: bool,
}

/// The tables of a statement and how they are joined.
#[derive(Default)]
pub(crate) struct StatementTables {
    /// The level of each tenant's table.
    pub(crate) tables: Vec<usize>,
    pub(crate) levels: Vec<Level>,
    pub(crate) subqueries: Vec<Subquery>,
    /// The accounts in the columns of its common table expressions.
    pub(crate) named: BTreeMap<String, BTreeMap<String, Term>>,
    /// Whether it says FOR UPDATE or FOR SHARE.
    pub(crate) locks_rows: bool,
    /// Whether it is an UPDATE or a DELETE, or contains one.
    pub(crate) writes: bool,
}

impl StatementTables {
    /// Reads a statement.
    pub(crate) fn of(statement: &Statement) -> Self {
        let mut tables = Self::default();
        tables.add_statement(statement);
        tables
    }

    fn add_statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Query(query) => {
                self.add_query(query, None, Place::From);
            }
            Statement::Insert(Insert { source: Some(source), .. }) => {
                self.add_query(source, None, Place::From);
            }
            Statement::Update(update) => {
                let mut from = vec![update.table.clone()];
                if let Some(
                    UpdateTableFromKind::BeforeSet(more) | UpdateTableFromKind::AfterSet(more),
                ) = &update.from
                {
                    from.extend(more.iter().cloned());
                }
                self.writes = true;
                let level = self.add_level(None, &from, update.selection.as_ref());
                self.add_expressions(level, &update.assignments);
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) =
                    &delete.from;
                let mut from = from.clone();
                from.extend(delete.using.iter().flatten().cloned());
                self.writes = true;
                self.add_level(None, &from, delete.selection.as_ref());
            }
            _ => {}
        }
    }

    /// Adds a query. Returns the accounts in its columns.
    fn add_query(
        &mut self,
        query: &Query,
        outer: Option<usize>,
        place: Place,
    ) -> BTreeMap<String, Term> {
        let (levels, tables) = (self.levels.len(), self.tables.len());
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let columns = self.add_query(&table.query, outer, Place::From);
            self.named.insert(table.alias.name.value.clone(), columns);
        }
        self.locks_rows |= !query.locks.is_empty();
        let columns = self.add_body(&query.body, outer);
        let (levels, tables) = (levels..self.levels.len(), tables..self.tables.len());
        let is_plain = query.with.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.body.as_select().is_some_and(is_plain);
        let is_correlated = self.is_correlated(query, outer, &levels);
        if outer.is_some() {
            let subquery = Subquery { place, outer, levels, tables, is_correlated, is_plain };
            self.subqueries.push(subquery);
        }
        columns
    }

    fn add_body(&mut self, body: &SetExpr, outer: Option<usize>) -> BTreeMap<String, Term> {
        match body {
            SetExpr::Select(select) => {
                let level = self.add_level(outer, &select.from, select.selection.as_ref());
                self.add_expressions(level, &select.projection);
                self.add_expressions(level, &select.having);
                self.columns(level, &select.projection)
            }
            SetExpr::Query(query) => self.add_query(query, outer, Place::From),
            SetExpr::SetOperation { left, right, .. } => {
                let columns = self.add_body(left, outer);
                self.add_body(right, outer);
                columns
            }
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement) => {
                self.add_statement(statement);
                BTreeMap::new()
            }
            _ => BTreeMap::new(),
        }
    }

    fn add_level(
        &mut self,
        parent: Option<usize>,
        from: &[TableWithJoins],
        selection: Option<&Expr>,
    ) -> usize {
        let level = self.levels.len();
        let conditions = selection.into_iter().flat_map(conjuncts).cloned().collect();
        let (sources, equalities) = (BTreeMap::new(), Equalities::new());
        self.levels.push(Level { parent, sources, conditions, equalities });
        for one in from {
            self.add_source(level, &one.relation, false);
            for join in &one.joins {
                self.add_source(level, &join.relation, is_optional(join));
                if let Some(on) = on(join) {
                    self.levels[level].conditions.extend(conjuncts(on).into_iter().cloned());
                }
            }
        }
        let conditions = self.levels[level].conditions.clone();
        for condition in &conditions {
            let equal = self.equalities(level, condition);
            self.levels[level].equalities.extend(equal);
        }
        self.add_expressions(level, &conditions);
        level
    }

    fn add_source(&mut self, level: usize, factor: &TableFactor, is_optional: bool) {
        let (name, source) = match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let table = last(name);
                let of_query = self.named.get(&table).cloned();
                let source = match of_query {
                    Some(columns) => Source::Columns(columns),
                    None if is_tenants(name) => {
                        self.tables.push(level);
                        Source::Table(self.tables.len() - 1)
                    }
                    None => Source::Columns(BTreeMap::new()),
                };
                (alias.as_ref().map_or(table, |alias| alias.name.value.clone()), source)
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let place = match (lateral, is_optional) {
                    (false, _) => Place::From,
                    (true, false) => Place::Lateral,
                    (true, true) => Place::OptionalLateral,
                };
                let columns = self.add_query(subquery, Some(level), place);
                let Some(alias) = alias else { return };
                (alias.name.value.clone(), Source::Columns(columns))
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.add_source(level, &table_with_joins.relation, is_optional);
                for join in &table_with_joins.joins {
                    self.add_source(level, &join.relation, is_optional || self::is_optional(join));
                    if let Some(on) = on(join) {
                        self.levels[level].conditions.extend(conjuncts(on).into_iter().cloned());
                    }
                }
                return;
            }
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. } => {
                (alias.name.value.clone(), Source::Columns(BTreeMap::new()))
            }
            _ => return,
        };
        self.levels[level].sources.insert(name, source);
    }

    /// Adds the subqueries in expressions.
    fn add_expressions(&mut self, level: usize, expressions: &impl Visit) {
        for query in subqueries(expressions) {
            self.add_query(&query, Some(level), Place::Expression);
        }
    }

    /// The accounts in the columns of a SELECT.
    fn columns(&self, level: usize, projection: &[SelectItem]) -> BTreeMap<String, Term> {
        let column = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = match expr {
                    Expr::Identifier(name) => Some(name),
                    Expr::CompoundIdentifier(parts) => parts.last(),
                    _ => None,
                };
                Some((name?.value.clone(), self.term(level, expr)?))
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                Some((alias.value.clone(), self.term(level, expr)?))
            }
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                Some((TENANT.to_owned(), self.only_account(level)?))
            }
            SelectItem::ExprWithAliases { .. } => None,
        };
        projection.iter().filter_map(column).collect()
    }

    /// What `account_id` without a table is: the account of the first source that has one.
    fn only_account(&self, level: usize) -> Option<Term> {
        let place = self.tables.iter().position(|of| *of == level).map(Term::Table);
        place.or_else(|| {
            let of = |source: &Source| match source {
                Source::Columns(columns) => columns.get(TENANT).cloned(),
                Source::Table(_) => None,
            };
            self.levels[level].sources.values().find_map(of)
        })
    }

    fn term(&self, level: usize, expr: &Expr) -> Option<Term> {
        match expr {
            Expr::Nested(inner) => self.term(level, inner),
            Expr::Identifier(name) if name.value == TENANT => self.only_account(level),
            Expr::CompoundIdentifier(parts) => {
                let [.., source, column] = &parts[..] else { return None };
                let (at, found) = self.source(Some(level), &source.value)?;
                let column = &column.value;
                match found {
                    Source::Table(place) => (column == TENANT).then_some(Term::Table(*place)),
                    Source::Columns(columns) => {
                        Some(columns.get(column).cloned().unwrap_or_else(|| {
                            Term::Column(at, source.value.clone(), column.clone())
                        }))
                    }
                }
            }
            expr => value(expr),
        }
    }

    /// What a name stands for, in this level or in those around it.
    fn source(&self, level: Option<usize>, name: &str) -> Option<(usize, &Source)> {
        let at = level?;
        let level = &self.levels[at];
        let found = level.sources.get(name).map(|source| (at, source));
        found.or_else(|| self.source(level.parent, name))
    }

    /// The terms that are equal wherever a condition holds.
    fn equalities(&self, level: usize, condition: &Expr) -> Equalities {
        let pair = |left: &Expr, right: &Expr| match (left, right) {
            (Expr::Tuple(left), Expr::Tuple(right)) => {
                let pairs = left.iter().zip(right);
                pairs
                    .filter_map(|(a, b)| Some((self.term(level, a)?, self.term(level, b)?)))
                    .collect()
            }
            _ => self.term(level, left).zip(self.term(level, right)).into_iter().collect(),
        };
        match condition {
            Expr::Nested(inner) => self.equalities(level, inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                &self.equalities(level, left) | &self.equalities(level, right)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                &self.equalities(level, left) & &self.equalities(level, right)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => pair(left, right),
            Expr::InList { expr, list, negated: false } => {
                let pairs = list.iter().map(|one| pair(expr, one));
                pairs.reduce(|all, one| &all & &one).unwrap_or_default()
            }
            _ => Equalities::new(),
        }
    }

    /// Whether a query uses a column of an outer one.
    fn is_correlated(&self, query: &Query, outer: Option<usize>, levels: &Range<usize>) -> bool {
        let own = |name: &String| {
            levels.clone().any(|level| self.levels[level].sources.contains_key(name))
        };
        let mut names = Qualifiers::default();
        let _ = query.visit(&mut names);
        names.0.iter().any(|name| !own(name) && self.source(outer, name).is_some())
    }
}

/// Sets of equal terms.
pub(crate) struct Classes(Vec<BTreeSet<Term>>);

impl Classes {
    pub(crate) fn of<'a>(equalities: impl Iterator<Item = &'a (Term, Term)>) -> Self {
        let mut classes: Vec<BTreeSet<Term>> = Vec::new();
        for (left, right) in equalities {
            let mut joined = BTreeSet::from([left.clone(), right.clone()]);
            classes.retain(|class| {
                let is_apart = class.is_disjoint(&joined);
                if !is_apart {
                    joined.extend(class.iter().cloned());
                }
                is_apart
            });
            classes.push(joined);
        }
        Self(classes)
    }

    pub(crate) fn are_equal(&self, left: &Term, right: &Term) -> bool {
        left == right || self.0.iter().any(|class| class.contains(left) && class.contains(right))
    }
}

/// A parameter or a number.
pub(crate) fn value(expr: &Expr) -> Option<Term> {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => value(inner),
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => Some(Term::Parameter(name.clone())),
            Value::Number(number, _) => Some(Term::Literal(number.clone())),
            _ => None,
        },
        _ => None,
    }
}

fn is_optional(join: &Join) -> bool {
    matches!(
        join.join_operator,
        JoinOperator::Left(_)
            | JoinOperator::LeftOuter(_)
            | JoinOperator::Right(_)
            | JoinOperator::RightOuter(_)
            | JoinOperator::FullOuter(_)
    )
}

/// The conditions that must all hold.
fn conjuncts(condition: &Expr) -> Vec<&Expr> {
    match condition {
        Expr::Nested(inner) => conjuncts(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            [conjuncts(left), conjuncts(right)].concat()
        }
        one => vec![one],
    }
}

/// Whether a SELECT neither groups its rows nor drops duplicates.
fn is_plain(select: &Select) -> bool {
    let called = Functions::of(&select.projection);
    let aggregates = ["avg", "bool_and", "bool_or", "count", "max", "min", "sum"];
    let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty())
        || select.having.is_some()
        || aggregates.iter().any(|name| called.0.contains(*name));
    let drops = matches!(select.distinct, Some(Distinct::Distinct | Distinct::On(_)));
    !is_grouped && !drops
}

/// The queries in expressions, without those within them.
fn subqueries(expressions: &impl Visit) -> Vec<Query> {
    #[derive(Default)]
    struct Queries {
        depth: usize,
        found: Vec<Query>,
    }
    impl Visitor for Queries {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if self.depth == 0 {
                self.found.push(query.clone());
            }
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut queries = Queries::default();
    let _ = expressions.visit(&mut queries);
    queries.found
}

/// The names before the columns of a query.
#[derive(Default)]
struct Qualifiers(BTreeSet<String>);

impl Visitor for Qualifiers {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [.., source, _] = &parts[..]
        {
            self.0.insert(source.value.clone());
        }
        ControlFlow::Continue(())
    }
}

/// The names of the functions that are called.
#[derive(Default)]
pub(crate) struct Functions(pub(crate) BTreeSet<String>);

impl Functions {
    pub(crate) fn of(sql: &impl Visit) -> Self {
        let mut called = Self::default();
        let _ = sql.visit(&mut called);
        called
    }
}

impl Visitor for Functions {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(Function { name, .. }) = expr {
            self.0.insert(last(name).to_lowercase());
        }
        ControlFlow::Continue(())
    }
}
