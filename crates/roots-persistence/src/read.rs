//! Readers. Every query demands the account; totals come from what is counted as it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use async_trait::async_trait;
use roots_domain::command::NewAccount;
use roots_domain::model::account::{Account, Actor};
use roots_domain::model::activity::{
    Activity, ActivityStats, DayCounter, STATS_TYPES_MAX, SessionCounts,
};
use roots_domain::model::api_key::{ApiKey, KeyEpoch, RecoveryCode, Wrap, WrapSubject};
use roots_domain::model::audit::AuditEntry;
use roots_domain::model::credit::{LedgerEntry, Reason};
use roots_domain::model::id::{AccountId, ActivityId, ActorId, KeyId, LogId, SessionId, TodoId};
use roots_domain::model::page::{Listed, Page, PageRequest, SortKey, Start};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{Session, SessionStatus};
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::{DAY_MICROS, Day, Split, TimeRange, Timestamp};
use roots_domain::model::todo::{Priority, StatusChange, Todo, TodoStatus};
use roots_domain::model::usage::Endpoint;
use roots_domain::model::zone::{Cut, Zone};
use roots_domain::port::crypto::Lookup;
use roots_domain::port::store::{
    AccountOverview, AccountReader, AccountsReader, ActivityFilter, ActivityReader, Admission,
    Credentials, HeldActor, IdempotencyReader, KeyQuery, KeysOver, LOG_CHUNK_STEPS, ListedKey,
    Readiness, Recoverable, SessionQuery, SessionReader, StoreError, StoreResult, TodoLog,
    TodoQuery, TodoReader, UsageReader,
};
use sea_orm::sea_query::{
    Asterisk, Expr, ExprTrait, Func, Query, SelectStatement, SimpleExpr, UnionType,
};
use sea_orm::{
    AccessMode, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend,
    EntityTrait, FromQueryResult, IsolationLevel, JoinType, Order, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, Statement, Value,
};

use crate::admission;
use crate::entity::{
    accounts, activities, activity_daily, activity_quarters, actors, api_keys, audit_trail,
    directory, key_wraps, ledger, recovery_codes, sessions, tallies, todo_logs, todos, usage,
};
use crate::errors::of_read;
use crate::row::{self, InvalidRow};
use crate::unlink::{Shown, linked_to};
use crate::{Store, batch};

/// How many account ids one look for keys that are over takes in.
const ACCOUNTS_SWEPT: i64 = 10_000;

/// The column that holds how many rows there are in all.
const TOTAL: &str = "total";
/// The column that holds the auth epoch of the caller's account.
const AUTH_EPOCH: &str = "caller_auth_epoch";
/// What stands for the version of an account that there is not, and of which nothing is kept.
const NO_VERSION: i64 = 0;
/// The column that holds the version of the account as of which that was counted.
const AS_OF: &str = "as_of";

/// Most UTC days that are counted at a time, and most days of actors that are looked at for it.
const DAYS_AT_A_TIME: u64 = 4_096;

/// Activities counted on a UTC day.
#[derive(FromQueryResult)]
struct OfDay {
    day: i64,
    count: i64,
}

/// Activities counted by type, and how many types and activities there are in all.
#[derive(FromQueryResult)]
struct OfType {
    activity_type: String,
    count: i64,
    types: i64,
    total: i64,
}

/// Activities counted within a [`CountWindow`].
#[derive(FromQueryResult)]
struct WindowCount {
    since: i64,
    count: i64,
}

/// A part of a UTC day whose counts belong to another date, in quarter hours or in microseconds.
struct CountWindow {
    actor: i64,
    since: i64,
    until: i64,
    /// Where they were counted, and where they are to be. A UTC day's parts are the same for every
    /// actor.
    moved: (Option<Day>, Option<Day>),
}

/// A statement that finds a row by its id, for each database: put together once.
struct ById(OnceLock<String>, OnceLock<String>);

impl ById {
    const fn new() -> Self {
        Self(OnceLock::new(), OnceLock::new())
    }

    fn text<E: Shown>(&self, backend: DbBackend, [account, id]: [E::Column; 2]) -> &str {
        let known = if backend == DbBackend::Postgres { &self.0 } else { &self.1 };
        known.get_or_init(|| {
            // No LIMIT: there is one at most.
            let row = E::shown().filter(account.eq(0_i64)).filter(id.eq(0_i64));
            row.expr_as(auth_epoch_of(AccountId(0)), AUTH_EPOCH).build(backend).sql
        })
    }
}

impl Store {
    /// The row of that account and id.
    async fn by_id<E, T>(
        &self,
        statement: &ById,
        columns: [E::Column; 2],
        by: Admission,
        id: i64,
    ) -> StoreResult<Option<T>>
    where
        E: Shown,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let db = self.readers();
        let backend = db.get_database_backend();
        let text = statement.text::<E>(backend, columns);
        let account: Value = by.account.0.into();
        let values = [account.clone(), account, id.into()];
        let asked = Statement::from_sql_and_values(backend, text, values);
        let Some(row) = db.query_one_raw(asked).await.map_err(of_read)? else {
            self.check_epoch(by).await?;
            return Ok(None);
        };
        proved(by, row.try_get("", AUTH_EPOCH).map_err(of_read)?)?;
        let row = E::Model::from_query_result(&row, "").map_err(of_read)?;
        Ok(Some(T::try_from(row)?))
    }

    /// That the account of a caller has the auth epoch under which it was admitted.
    async fn check_epoch(&self, by: Admission) -> StoreResult<()> {
        if by.auth_epoch.is_none() {
            return Ok(());
        }
        let epoch = auth_epoch_query(by.account).into_tuple::<i64>();
        proved(by, epoch.one(self.readers()).await.map_err(of_read)?)
    }

    async fn one<E, T>(&self, query: Select<E>) -> StoreResult<Option<T>>
    where
        E: EntityTrait,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let found = query.one(self.readers()).await.map_err(of_read)?;
        Ok(found.map(T::try_from).transpose()?)
    }

    pub(crate) async fn all<E, T>(&self, query: Select<E>) -> StoreResult<Vec<T>>
    where
        E: EntityTrait,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let found = query.all(self.readers()).await.map_err(of_read)?;
        Ok(found.into_iter().map(T::try_from).collect::<Result<_, _>>()?)
    }

    /// The rows that have such values in these columns, each looked up by itself.
    async fn look_up<E, T, const N: usize>(
        &self,
        columns: [E::Column; N],
        rows: &[[Value; N]],
    ) -> StoreResult<Vec<T>>
    where
        E: Shown,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let db = self.readers();
        let mut found = Vec::new();
        for statement in batch::look_ups::<E, N>(db.get_database_backend(), columns, rows) {
            for row in E::find().from_raw_sql(statement).all(db).await.map_err(of_read)? {
                found.push(T::try_from(row)?);
            }
        }
        Ok(found)
    }

    async fn wraps(&self, asked: Statement) -> StoreResult<Vec<Wrap>> {
        let found = key_wraps::Entity::find().from_raw_sql(asked).all(self.readers()).await;
        let found = found.map_err(of_read)?.into_iter();
        Ok(found.map(Wrap::try_from).collect::<Result<_, _>>()?)
    }

    /// A page of `rows` and how many there are in all, by one statement: a second one would cost as much
    /// again, and tell of another moment.
    async fn page<E, T, const N: usize>(
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
        let (items, next, [total]) = self.rows(by, rows, order, [(TOTAL, total)], request).await?;
        Ok(Page { items, total, request, next })
    }

    /// The rows of a page, whose parts are merged in their order, which descends by columns that end with
    /// the id, the place where the next page starts, and some numbers beside them. One row more than the
    /// page holds tells whether any follows.
    async fn rows<E, T, const N: usize, const M: usize>(
        &self,
        by: Admission,
        rows: MergedQuery<E>,
        order: [E::Column; N],
        numbers: [(&'static str, Expr); M],
        request: PageRequest,
    ) -> StoreResult<(Vec<T>, Option<SortKey>, [i64; M])>
    where
        E: EntityTrait,
        T: TryFrom<E::Model, Error = InvalidRow> + Listed,
    {
        let (take, skip) = (u64::from(request.limit) + 1, request.offset().unsigned_abs());
        let ordered = |mut rows: SelectStatement| {
            for column in order {
                // By its name in the result, which is all that a merged row has.
                rows.order_by(column, Order::Desc);
            }
            rows
        };
        let part = |rows: Select<E>| {
            let rows = match request.start {
                Start::Offset(_) => rows,
                Start::After(sort_key) => rows.filter(behind(order, sort_key)),
            };
            rows.into_query()
        };
        let rows = match (rows.rest, self.readers().get_database_backend()) {
            (None, _) => part(rows.first),
            (Some(rest), DbBackend::Postgres) => {
                // It would sort all of a part of which it expects few rows.
                let first = |rows| {
                    // Bound as a BIGINT.
                    let most = skip.saturating_add(take).clamp(0, i64::MAX.unsigned_abs());
                    let rows = ordered(part(rows)).limit(most).to_owned();
                    Query::select().column(Asterisk).from_subquery(rows, "part").to_owned()
                };
                union(first(rows.first), first(rest))
            }
            (Some(rest), _) => union(part(rows.first), part(rest)),
        };
        let mut asked = ordered(rows).limit(take).offset(skip).to_owned();
        let beside = |asked: &mut SelectStatement| {
            asked.expr_as(auth_epoch_of(by.account), AUTH_EPOCH);
            for (name, number) in &numbers {
                asked.expr_as(number.clone(), *name);
            }
        };
        beside(&mut asked);
        let found = self.readers().query_all(&asked).await.map_err(of_read)?;
        let alone;
        let carrier = if let Some(row) = found.first() {
            row
        } else {
            let mut asked = Query::select();
            beside(&mut asked);
            alone = self.readers().query_one(&asked).await.map_err(of_read)?;
            alone.as_ref().ok_or_else(|| StoreError::Broken("a total of nothing".to_owned()))?
        };
        proved(by, carrier.try_get("", AUTH_EPOCH).map_err(of_read)?)?;
        let mut told = [0; M];
        for ((name, _), told) in numbers.iter().zip(&mut told) {
            *told = carrier.try_get("", name).map_err(of_read)?;
        }
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let has_more = found.len() > limit;
        // Each row goes once it is read, so that texts are not held twice.
        let read = |row| E::Model::from_query_result(&row, "").map_err(of_read);
        let items = found.into_iter().take(limit).map(|row| Ok(T::try_from(read(row)?)?));
        let items = items.collect::<StoreResult<Vec<T>>>()?;
        let last = items.last().filter(|_| has_more);
        let next = last.map(Listed::sort_key);
        Ok((items, next, told))
    }
}

/// The auth epoch of an account, as a part of a statement.
fn auth_epoch_of(account: AccountId) -> Expr {
    number(auth_epoch_query(account))
}

fn auth_epoch_query(account: AccountId) -> Select<accounts::Entity> {
    accounts::Entity::find_by_id(account.0).select_only().column(accounts::Column::AuthEpoch)
}

/// That the auth epoch which was found is the one that a caller was admitted under.
fn proved(by: Admission, found: Option<i64>) -> StoreResult<()> {
    if by.auth_epoch.is_none() || by.auth_epoch == found {
        return Ok(());
    }
    Err(StoreError::EpochMoved)
}

/// Rows that one or two selects find, each in the order of an index, to be merged.
struct MergedQuery<E: EntityTrait> {
    first: Select<E>,
    rest: Option<Select<E>>,
}

impl<E: EntityTrait> From<Select<E>> for MergedQuery<E> {
    fn from(rows: Select<E>) -> Self {
        Self { first: rows, rest: None }
    }
}

/// Of `rows` those of an actor, or of all that the account has: then what its owner has, in that
/// actor's own order, and the rest, in the account's. Where rows are `linked` to one session, its order
/// holds them whosever they are.
fn of_actor<E: EntityTrait>(
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
            rest: Some(rows.filter(Expr::cust(IN_ORDER_OF_ACCOUNT))),
        },
    }
}

/// What the indexes of all that an account has hold, in their own words, so that they are known to hold
/// what is looked for: an owner's rows are in its own.
const IN_ORDER_OF_ACCOUNT: &str = "actor_id <> 1";

/// The rows of both.
fn union(mut some: SelectStatement, others: SelectStatement) -> SelectStatement {
    let all = some.union(UnionType::All, others).to_owned();
    Query::select().column(("all", Asterisk)).from_subquery(all, "all").to_owned()
}

/// That a row stands behind a place. Compared as one value, the columns are sought in an index that
/// ends with them; a row that was written in the meantime moves none of those behind.
fn behind<C: ColumnTrait, const N: usize>(order: [C; N], sort_key: SortKey) -> Expr {
    let numbers = &sort_key.0[sort_key.0.len().saturating_sub(N)..];
    let columns = order.map(|column| Expr::col(column.as_column_ref()));
    Expr::tuple(columns).lt(Expr::tuple(numbers.iter().copied().map(Expr::value)))
}

/// Adds up kept counts, as a part of a statement.
fn sum<E: EntityTrait>(counts: Select<E>, count: E::Column) -> Expr {
    // PostgreSQL adds BIGINTs up to a NUMERIC, and a sum of no rows is NULL.
    let sum = Expr::col(count).sum().cast_as("BIGINT");
    number(counts.select_only().expr(Func::coalesce([sum, Expr::value(0_i64)])))
}

/// Counts rows by an index scan, as a part of a statement.
fn count<E: EntityTrait>(rows: Select<E>) -> Expr {
    number(rows.select_only().expr(Expr::cust("COUNT(*)")))
}

/// The one number that a query finds.
fn number<E: EntityTrait>(query: Select<E>) -> Expr {
    Expr::SubQuery(None, Box::new(query.into_query().into()))
}

/// The counts of one actor, or of all that the account has.
fn counters_of(
    account: AccountId,
    actor: Option<ActorId>,
    subject: &str,
) -> Select<tallies::Entity> {
    tallies::Entity::find()
        .filter(tallies::Column::AccountId.eq(account.0))
        .filter(kept_of(tallies::Column::ActorId, account, actor))
        .filter(tallies::Column::Subject.eq(subject))
}

/// That a kept count is of the actor, or of any that the account has. Kept counts are ordered by
/// actor: where all are named they are looked up one after the other, and what is kept of other things
/// is not read.
fn kept_of<C: ColumnTrait>(column: C, account: AccountId, actor: Option<ActorId>) -> SimpleExpr {
    if let Some(actor) = actor {
        return column.eq(actor.0);
    }
    let all = actors::Entity::find()
        .select_only()
        .column(actors::Column::ActorId)
        .filter(actors::Column::AccountId.eq(account.0));
    column.in_subquery(all.into_query())
}

#[async_trait]
impl SessionReader for Store {
    async fn session(&self, by: Admission, id: SessionId) -> StoreResult<Option<Session<Sealed>>> {
        use sessions::Column::{AccountId, SessionId};
        static BY_ID: ById = ById::new();
        self.by_id::<sessions::Entity, _>(&BY_ID, [AccountId, SessionId], by, id.0).await
    }

    async fn sessions(&self, query: &SessionQuery) -> StoreResult<Page<Session<Sealed>>> {
        use sessions::Column::{AccountId, ActorId, SessionId, StartedAt, Status};
        let mut rows = sessions::Entity::find().filter(AccountId.eq(query.by.account.0));
        let mut counts = counters_of(query.by.account, query.actor, row::COUNTER_SESSIONS);
        if let Some(status) = query.status {
            rows = rows.filter(Status.eq(status.name()));
            counts = counts.filter(tallies::Column::Label.eq(status.name()));
        }
        let total = sum(counts, tallies::Column::Count);
        let rows = of_actor(rows, ActorId, query.actor, false);
        self.page(query.by, rows, [StartedAt, SessionId], total, query.page).await
    }
}

#[async_trait]
impl TodoReader for Store {
    async fn todo(&self, by: Admission, id: TodoId) -> StoreResult<Option<Todo<Sealed>>> {
        use todos::Column::{AccountId, TodoId};
        static BY_ID: ById = ById::new();
        self.by_id::<todos::Entity, _>(&BY_ID, [AccountId, TodoId], by, id.0).await
    }

    async fn todos(&self, query: &TodoQuery) -> StoreResult<Page<Todo<Sealed>>> {
        use todos::Column::{AccountId, ActorId, CreatedAt, Priority, SessionId, Status, TodoId};
        let linked = query.session.is_some();
        let mut rows = todos::Entity::shown().filter(AccountId.eq(query.by.account.0));
        if let Some(status) = query.status {
            rows = rows.filter(is(Status, status.name(), linked));
        }
        if let Some(priority) = query.priority {
            rows = rows.filter(is(Priority, priority.level(), linked));
        }
        if let Some(session) = query.session {
            rows = linked_to(rows, SessionId, query.by.account.0, session);
        }
        let total = if linked {
            let of_actor = query.actor.map(|actor| is(ActorId, actor.0, linked));
            count(rows.clone().filter(Condition::all().add_option(of_actor)))
        } else {
            let labels = todo_labels(query.status, query.priority);
            let counts = counters_of(query.by.account, query.actor, row::COUNTER_TODOS)
                .filter(tallies::Column::Label.is_in(labels));
            sum(counts, tallies::Column::Count)
        };
        let rows = of_actor(rows, ActorId, query.actor, linked);
        if query.priority.is_some() && !linked {
            // An index that is entered by the priority orders what it finds by the rest.
            return self.page(query.by, rows, [CreatedAt, TodoId], total, query.page).await;
        }
        self.page(query.by, rows, [Priority, CreatedAt, TodoId], total, query.page).await
    }

    async fn todo_log(
        &self,
        by: Admission,
        id: TodoId,
        after: LogId,
    ) -> StoreResult<Option<TodoLog>> {
        let Some(todo) = self.todo(by, id).await? else { return Ok(None) };
        // One more than is told, which tells whether any follows.
        let log = todo_logs::Entity::find()
            .filter(todo_logs::Column::AccountId.eq(by.account.0))
            .filter(todo_logs::Column::TodoId.eq(id.0))
            .filter(todo_logs::Column::LogId.gt(after.0))
            .order_by(todo_logs::Column::LogId, Order::Asc)
            .limit(u64::from(LOG_CHUNK_STEPS) + 1);
        let mut steps: Vec<StatusChange<Sealed>> = self.all(log).await?;
        let is_last = steps.len() <= usize::from(LOG_CHUNK_STEPS);
        steps.truncate(LOG_CHUNK_STEPS.into());
        let next = steps.last().filter(|_| !is_last).map(|step| step.id);
        Ok(Some(TodoLog { todo, steps, next }))
    }
}

/// The labels of the counts of todos of a status and a priority.
fn todo_labels(status: Option<TodoStatus>, priority: Option<Priority>) -> Vec<String> {
    let every = |status| {
        let levels = Priority::ALL.into_iter();
        levels
            .filter(move |level| priority.is_none_or(|wanted| wanted == *level))
            .map(move |level| row::todo_label(status, level))
    };
    TodoStatus::ALL
        .into_iter()
        .filter(|one| status.is_none_or(|wanted| wanted == *one))
        .flat_map(every)
        .collect()
}

/// `column = value`. Where the rows are `linked` to one session they are found by that alone: SQLite
/// keeps no statistics here, and would take an index that matches more columns and far more rows.
pub(crate) fn is<C: ColumnTrait>(
    column: C,
    value: impl Into<Value> + Clone,
    linked: bool,
) -> SimpleExpr {
    if linked {
        // No index is looked up for an expression; the column is never NULL.
        return Func::coalesce([Expr::col(column), Expr::value(value.clone())]).eq(value);
    }
    column.eq(value)
}

/// The activities that a filter selects, whosever they are.
fn selected(filter: &ActivityFilter) -> Select<activities::Entity> {
    use activities::Column::{AccountId, ActivityType, LoggedAt, SessionId};
    let linked = filter.session.is_some();
    let mut rows = activities::Entity::shown().filter(AccountId.eq(filter.by.account.0));
    if let Some(kind) = &filter.activity_type {
        rows = rows.filter(is(ActivityType, kind.as_str(), linked));
    }
    if let Some(session) = filter.session {
        rows = linked_to(rows, SessionId, filter.by.account.0, session);
    }
    if let Some(since) = filter.range.since {
        rows = rows.filter(LoggedAt.gte(since.micros()));
    }
    if let Some(until) = filter.range.until {
        rows = rows.filter(LoggedAt.lte(until.micros()));
    }
    rows
}

/// The activities that a filter selects, to be counted: those of all actors by one look for each.
fn counted(filter: &ActivityFilter) -> Select<activities::Entity> {
    use activities::Column::ActorId;
    let rows = selected(filter);
    if filter.session.is_none() {
        return rows.filter(kept_of(ActorId, filter.by.account, filter.actor));
    }
    let of_actor = filter.actor.map(|actor| is(ActorId, actor.0, true));
    rows.filter(Condition::all().add_option(of_actor))
}

/// The same filter over another range. Each part of a range is asked for by itself: of a choice between
/// two, or within the whole range, SQLite scans all that lies between.
fn within(filter: &ActivityFilter, range: TimeRange) -> ActivityFilter {
    ActivityFilter { range, ..filter.clone() }
}

/// The kept counts of whole days.
fn daily(filter: &ActivityFilter, (first, last): (i64, i64)) -> Select<activity_daily::Entity> {
    use activity_daily::Column::{AccountId, ActivityType, ActorId, Day};
    let mut counts = activity_daily::Entity::find()
        .filter(AccountId.eq(filter.by.account.0))
        .filter(kept_of(ActorId, filter.by.account, filter.actor))
        .filter(Day.between(first, last));
    if let Some(kind) = &filter.activity_type {
        counts = counts.filter(ActivityType.eq(kind.as_str()));
    }
    counts
}

/// The kept counts of whole quarter hours.
fn quarter_hours(
    filter: &ActivityFilter,
    (first, last): (i64, i64),
) -> Select<activity_quarters::Entity> {
    use activity_quarters::Column::{AccountId, ActivityType, ActorId, Quarter};
    let mut counts = activity_quarters::Entity::find()
        .filter(AccountId.eq(filter.by.account.0))
        .filter(kept_of(ActorId, filter.by.account, filter.actor))
        .filter(Quarter.between(first, last));
    if let Some(kind) = &filter.activity_type {
        counts = counts.filter(ActivityType.eq(kind.as_str()));
    }
    counts
}

/// How many activities a filter selects, as a part of a statement.
fn total_of(filter: &ActivityFilter) -> Expr {
    if filter.session.is_some() {
        return count(counted(filter));
    }
    if filter.range.is_open() {
        let mut counts = counters_of(filter.by.account, filter.actor, row::COUNTER_ACTIVITIES);
        if let Some(kind) = &filter.activity_type {
            counts = counts.filter(tallies::Column::Label.eq(kind.as_str()));
        }
        return sum(counts, tallies::Column::Count);
    }
    let split = filter.range.by_day();
    let days = split.whole.map(|days| sum(daily(filter, days), activity_daily::Column::Count));
    let ends = split.ends.into_iter().flat_map(|end| {
        let split = end.by_quarter_hour();
        let whole = split
            .whole
            .map(|quarters| sum(quarter_hours(filter, quarters), activity_quarters::Column::Count));
        let ends = split.ends.into_iter().map(|end| count(counted(&within(filter, end))));
        whole.into_iter().chain(ends).collect::<Vec<_>>()
    });
    days.into_iter().chain(ends).reduce(ExprTrait::add).unwrap_or_else(|| Expr::value(0_i64))
}

/// Looks up the version of an account.
fn version_of(account: AccountId) -> Select<accounts::Entity> {
    accounts::Entity::find_by_id(account.0).select_only().column(accounts::Column::Version)
}

/// Counts by type, from the counts that are kept: the types that have the most, how many more there
/// are, and the total.
async fn count_types(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
) -> StoreResult<(Vec<(ActivityType, i64)>, i64, i64)> {
    let mut parts = parts_by_type(filter).into_iter();
    let Some(mut all) = parts.next() else { return Ok((Vec::new(), 0, 0)) };
    for part in parts {
        all.union(UnionType::All, part);
    }
    let sum = || Expr::cust("CAST(SUM(count) AS BIGINT)");
    let asked = Query::select()
        .column("activity_type")
        .expr_as(sum(), "count")
        .expr_as(Expr::cust("COUNT(*) OVER ()"), "types")
        .expr_as(Expr::cust("CAST(SUM(SUM(count)) OVER () AS BIGINT)"), "total")
        .from_subquery(all, "part")
        .group_by_col("activity_type")
        .and_having(sum().ne(0_i64))
        .order_by_expr(sum(), Order::Desc)
        .order_by("activity_type", Order::Asc)
        .limit(STATS_TYPES_MAX as u64)
        .to_owned();
    let (mut by_type, mut types, mut total) = (Vec::new(), 0, 0);
    for row in db.query_all(&asked).await.map_err(of_read)? {
        let row = OfType::from_query_result(&row, "").map_err(of_read)?;
        by_type.push((row::activity_type(row.activity_type)?, row.count));
        (types, total) = (row.types, row.total);
    }
    // A database may order names in its own way.
    by_type.sort_by(|(one, of_one), (other, of_other)| {
        of_other.cmp(of_one).then_with(|| one.cmp(other))
    });
    let told = i64::try_from(by_type.len()).unwrap_or(i64::MAX);
    Ok((by_type, types - told, total))
}

/// What a filter selects, counted by type in parts.
fn parts_by_type(filter: &ActivityFilter) -> Vec<SelectStatement> {
    let of_rows = |filter: &ActivityFilter| {
        // SQLite would go through all that an actor has in an index that holds every column asked for,
        // or orders by them. None holds the version, which is never below 1.
        let rows = counted(filter).select_only();
        let rows = rows.expr_as(Expr::cust("activity_type || ''"), "activity_type");
        let one = "CASE WHEN version > 0 THEN 1 ELSE 0 END";
        rows.expr_as(Expr::cust(one), "count").into_query()
    };
    if filter.session.is_some() {
        return vec![of_rows(filter)];
    }
    if filter.range.is_open() {
        let mut counts = counters_of(filter.by.account, filter.actor, row::COUNTER_ACTIVITIES);
        if let Some(kind) = &filter.activity_type {
            counts = counts.filter(tallies::Column::Label.eq(kind.as_str()));
        }
        let label = Expr::col(tallies::Column::Label);
        let counts = counts.select_only().expr_as(label, "activity_type");
        return vec![counts.column(tallies::Column::Count).into_query()];
    }
    let split = filter.range.by_day();
    let mut parts = Vec::new();
    parts.extend(split.whole.map(|days| {
        use activity_daily::Column::{ActivityType, Count};
        daily(filter, days).select_only().columns([ActivityType, Count]).into_query()
    }));
    for end in split.ends {
        let split = end.by_quarter_hour();
        parts.extend(split.whole.map(|quarters| {
            use activity_quarters::Column::{ActivityType, Count};
            quarter_hours(filter, quarters)
                .select_only()
                .columns([ActivityType, Count])
                .into_query()
        }));
        parts.extend(split.ends.into_iter().map(|end| of_rows(&within(filter, end))));
    }
    parts
}

/// The newest UTC days before one on which a filter selects anything, descending, at most
/// [`DAYS_AT_A_TIME`]. All of the first and the last day of its range are counted.
async fn days_before(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
    end: Day,
) -> StoreResult<Vec<OfDay>> {
    let first = filter.range.since.unwrap_or(Timestamp::FIRST).day();
    let last = Day(end.0 - 1);
    if first > last {
        return Ok(Vec::new());
    }
    let days = if filter.session.is_some() {
        let (since, until) = (Some(first.first_instant()), Some(last.last_instant()));
        let day = Expr::cust(format!("logged_at / {DAY_MICROS}"));
        counted(&within(filter, TimeRange { since, until }))
            .select_only()
            .expr_as(day.clone(), "day")
            .expr_as(Expr::cust("COUNT(*)"), "count")
            .group_by(day.clone())
            .order_by(day, Order::Desc)
            .limit(DAYS_AT_A_TIME)
            .into_model::<OfDay>()
            .all(db)
            .await
    } else {
        use activity_daily::Column::{Count, Day};
        let count = Expr::col(Count).sum().cast_as("BIGINT");
        daily(filter, (first.0, last.0))
            .select_only()
            .column(Day)
            .expr_as(count, "count")
            .group_by(Day)
            .order_by(Day, Order::Desc)
            .limit(DAYS_AT_A_TIME)
            .into_model::<OfDay>()
            .all(db)
            .await
    };
    days.map_err(of_read)
}

/// Days of actors of which something is kept, after a place, by actor and then by day, at most
/// [`DAYS_AT_A_TIME`].
async fn days_of_actors(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
    (first, last): (Day, Day),
    after: (i64, i64),
) -> StoreResult<Vec<(i64, i64)>> {
    use activity_daily::Column::{ActorId, Day};
    let place = Expr::tuple([Expr::col(ActorId), Expr::col(Day)]);
    daily(filter, (first.0, last.0))
        .filter(place.gt(Expr::tuple([Expr::value(after.0), Expr::value(after.1)])))
        .select_only()
        .columns([ActorId, Day])
        .distinct()
        .order_by(ActorId, Order::Asc)
        .order_by(Day, Order::Asc)
        .limit(DAYS_AT_A_TIME)
        .into_tuple()
        .all(db)
        .await
        .map_err(of_read)
}

/// Counts within windows of whole quarters, from what is kept of each.
fn count_quarter_hours(
    filter: &ActivityFilter,
    windows: &[CountWindow],
    backend: DbBackend,
) -> SelectStatement {
    use activity_quarters::Column::{AccountId, ActivityType, ActorId, Count, Quarter};
    let mut kept = activity_quarters::Entity::find().filter(AccountId.eq(filter.by.account.0));
    if let Some(kind) = &filter.activity_type {
        kept = kept.filter(ActivityType.eq(kind.as_str()));
    }
    let count = Expr::col(Count.as_column_ref()).sum().cast_as("BIGINT");
    let counts = kept.select_only().expr_as(count, "count");
    by_window(counts, Quarter, Some(ActorId), windows, backend)
}

/// Counts within windows of any length, by an index scan of each.
fn count_rows(
    filter: &ActivityFilter,
    windows: &[CountWindow],
    backend: DbBackend,
) -> SelectStatement {
    use activities::Column::{ActorId, LoggedAt};
    let all = within(filter, TimeRange::default());
    // Windows are an actor's, but for those of a session.
    let (rows, actor) = match filter.session {
        Some(_) => (counted(&all), None),
        None => (selected(&all), Some(ActorId)),
    };
    let counts = rows.select_only().expr_as(Expr::cust("COUNT(*)"), "count");
    by_window(counts, LoggedAt, actor, windows, backend)
}

/// Asks a query for each of the windows of a column, which are an actor's where there is a column for
/// it. However many windows there are, this is one statement, of one text: a list is one value.
fn by_window<E: EntityTrait>(
    counts: Select<E>,
    column: E::Column,
    actor: Option<E::Column>,
    windows: &[CountWindow],
    backend: DbBackend,
) -> SelectStatement {
    let part = |name| Expr::col(("part", name));
    let time = Expr::col(column.as_column_ref());
    let mut these = Condition::all().add(time.between(part("since"), part("until")));
    if let Some(actor) = actor {
        these = these.add(Expr::col(actor.as_column_ref()).eq(part("whose")));
    }
    let mut counts = counts.into_query().cond_where(these).to_owned();
    // What has nothing is left out.
    counts.and_having(Expr::cust("COUNT(*) > 0"));
    if backend == DbBackend::Postgres {
        let numbers = |number: fn(&CountWindow) -> i64| {
            let numbers = windows.iter().map(number).collect::<Vec<_>>();
            Func::cust("UNNEST").arg(Expr::value(numbers).cast_as("BIGINT[]"))
        };
        let list = Query::select()
            .expr_as(numbers(|window| window.actor), "whose")
            .expr_as(numbers(|window| window.since), "since")
            .expr_as(numbers(|window| window.until), "until")
            .to_owned();
        // Lateral, so that an index is sought for each window: it would rather go through all that
        // an account has.
        return Query::select()
            .columns([("part", "since"), ("of", "count")])
            .from_subquery(list, "part")
            .join_lateral(JoinType::InnerJoin, counts, "of", Expr::cust("TRUE"))
            .to_owned();
    }
    let one =
        |window: &CountWindow| format!("[{},{},{}]", window.actor, window.since, window.until);
    let list = windows.iter().map(one).collect::<Vec<_>>().join(",");
    let list = Query::select()
        .expr_as(Expr::cust("value ->> 0"), "whose")
        .expr_as(Expr::cust("value ->> 1"), "since")
        .expr_as(Expr::cust("value ->> 2"), "until")
        .from_function(Func::cust("json_each").arg(format!("[{list}]")), "list")
        .to_owned();
    // For the same reason a cross join: SQLite keeps its order.
    counts
        .expr(part("since"))
        .from_clear()
        .from_subquery(list, "part")
        .cross_join(E::default())
        .add_group_by([part("since")])
        .to_owned()
}

/// What is counted within windows, taken away from where it was counted and added where it belongs.
async fn add_moved(
    db: &impl ConnectionTrait,
    asked: SelectStatement,
    windows: &[CountWindow],
    days: &mut DayCounter,
) -> StoreResult<()> {
    let moves: BTreeMap<_, _> = windows.iter().map(|one| (one.since, one.moved)).collect();
    for row in db.query_all(&asked).await.map_err(of_read)? {
        let row = WindowCount::from_query_result(&row, "").map_err(of_read)?;
        let Some((from, to)) = moves.get(&row.since) else { continue };
        if let Some(day) = from {
            days.add(*day, -row.count);
        }
        if let Some(day) = to {
            days.add(*day, row.count);
        }
    }
    Ok(())
}

/// Counts by the days that a clock shows: those by UTC days, less the parts of those that show another
/// date. Only days on which there is anything are looked at, from the newest on, some thousands at a
/// time.
async fn count_shown(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
    zone: &Zone,
) -> StoreResult<(Vec<(Day, i64)>, i64)> {
    let mut days = DayCounter::default();
    let mut end = Day(filter.range.until.unwrap_or(Timestamp::LAST).day().0 + 1);
    loop {
        let of_days = days_before(db, filter, end).await?;
        let is_last = (of_days.len() as u64) < DAYS_AT_A_TIME;
        let Some(oldest) = of_days.last().map(|row| Day(row.day)) else { break };
        let ascending = of_days.iter().rev().map(|row| Day(row.day));
        let mut rest = BTreeMap::new();
        for (cut, row) in zone.cut(ascending, filter.range).zip(of_days.iter().rev()) {
            if let Some(day) = cut.most {
                days.add(day, row.count);
            }
            if !cut.rest.is_empty() {
                rest.insert(cut.day, cut);
            }
        }
        if !rest.is_empty() {
            move_rest(db, filter, &rest, &mut days).await?;
        }
        if is_last {
            break;
        }
        // What is older than these shows no date after the oldest of them.
        days.settle_after(oldest);
        end = oldest;
    }
    Ok(days.finish())
}

/// Moves what is counted in the pieces of days that show another date than most of the day.
async fn move_rest(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
    rest: &BTreeMap<Day, Cut>,
    days: &mut DayCounter,
) -> StoreResult<()> {
    let named = match (filter.session, filter.actor) {
        (None, None) => None,
        // By session nothing is kept, and rows are looked for whosever they are.
        (Some(_), _) => Some(ActorId(0)),
        (None, Some(actor)) => Some(actor),
    };
    if let Some(actor) = named {
        let cuts = rest.values().map(|cut| (actor.0, cut));
        return move_pieces(db, filter, cuts, days).await;
    }
    let Some((first, last)) = rest.keys().next().zip(rest.keys().next_back()) else {
        return Ok(());
    };
    let mut after = (0, 0);
    loop {
        let found = days_of_actors(db, filter, (*first, *last), after).await?;
        let cuts = found.iter().filter_map(|(actor, day)| Some((*actor, rest.get(&Day(*day))?)));
        move_pieces(db, filter, cuts, days).await?;
        match found.last() {
            Some(last) if found.len() as u64 == DAYS_AT_A_TIME => after = *last,
            _ => return Ok(()),
        }
    }
}

/// The same of some days of actors.
async fn move_pieces<'a>(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
    cuts: impl Iterator<Item = (i64, &'a Cut)>,
    days: &mut DayCounter,
) -> StoreResult<()> {
    let (mut quarters, mut rows) = (Vec::new(), Vec::new());
    for (actor, cut) in cuts {
        for piece in &cut.rest {
            let moved = (cut.most, piece.shown);
            let split = match filter.session {
                Some(_) => Split { whole: None, ends: vec![piece.range] },
                None => piece.range.by_quarter_hour(),
            };
            let whole = split.whole.into_iter();
            quarters.extend(whole.map(|(since, until)| CountWindow { actor, since, until, moved }));
            let ends = split.ends.iter().filter_map(|end| end.since.zip(end.until));
            let ends = ends.map(|(since, until)| (since.micros(), until.micros()));
            rows.extend(ends.map(|(since, until)| CountWindow { actor, since, until, moved }));
        }
    }
    let backend = db.get_database_backend();
    if !quarters.is_empty() {
        let asked = count_quarter_hours(filter, &quarters, backend);
        add_moved(db, asked, &quarters, days).await?;
    }
    if !rows.is_empty() {
        add_moved(db, count_rows(filter, &rows, backend), &rows, days).await?;
    }
    Ok(())
}

impl Store {
    /// A transaction in which every statement reads the same moment.
    pub(crate) async fn snapshot(&self) -> StoreResult<DatabaseTransaction> {
        let (isolation, access) = match self.readers().get_database_backend() {
            // A SQLite transaction reads one snapshot as it is.
            DbBackend::Sqlite => (None, None),
            _ => (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)),
        };
        self.readers().begin_with_config(isolation, access).await.map_err(of_read)
    }

    /// The version of an account, which every write of it raises.
    async fn version(&self, by: Admission) -> StoreResult<Option<i64>> {
        let found = version_of(by.account).column(accounts::Column::AuthEpoch);
        let found = found.into_tuple::<(i64, i64)>().one(self.readers()).await.map_err(of_read)?;
        let (version, epoch) = found.unzip();
        proved(by, epoch)?;
        Ok(version)
    }

    async fn session_counts(&self, filter: &ActivityFilter) -> StoreResult<SessionCounts> {
        let mut counts = SessionCounts::default();
        if let Some(id) = filter.session {
            let session = self.session(filter.by, id).await?;
            let asked = |session: &Session<_>| filter.actor.is_none_or(|one| one == session.actor);
            if let Some(found) = session.filter(asked) {
                counts.add(found.status, 1);
            }
            return Ok(counts);
        }
        let kept = counters_of(filter.by.account, filter.actor, row::COUNTER_SESSIONS);
        for counter in kept.all(self.readers()).await.map_err(of_read)? {
            let status = SessionStatus::from_name(&counter.label);
            let unknown = || StoreError::Broken("a counter of sessions of no status".to_owned());
            counts.add(status.ok_or_else(unknown)?, counter.count);
        }
        Ok(counts)
    }
}

#[async_trait]
impl ActivityReader for Store {
    async fn activity(
        &self,
        by: Admission,
        id: ActivityId,
    ) -> StoreResult<Option<Activity<Sealed>>> {
        use activities::Column::{AccountId, ActivityId};
        static BY_ID: ById = ById::new();
        let columns = [AccountId, ActivityId];
        self.by_id::<activities::Entity, _>(&BY_ID, columns, by, id.0).await
    }

    async fn activities(
        &self,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Activity<Sealed>>> {
        use activities::Column::{ActivityId, ActorId, LoggedAt};
        let mut rest = filter.clone();
        // What stands behind a place is no later than it: of two bounds SQLite seeks one, and reads
        // from there.
        if let (Start::After(SortKey([_, at, _])), Some(until)) = (page.start, filter.range.until)
            && at <= until.micros()
        {
            rest.range.until = None;
        }
        let rows = of_actor(selected(&rest), ActorId, filter.actor, filter.session.is_some());
        let (order, total) = ([LoggedAt, ActivityId], total_of(filter));
        if filter.range.is_open() || filter.session.is_some() {
            return self.page(filter.by, rows, order, total, page).await;
        }
        // Of a range there are many counts to add up.
        let version = number(version_of(filter.by.account));
        let version = Expr::from(Func::coalesce([version, Expr::value(NO_VERSION)]));
        let total = match self.inner.stats_cache.total(filter) {
            Some((as_of, known)) => {
                Expr::case(version.clone().eq(as_of), known).finally(total).into()
            }
            None => total,
        };
        let numbers = [(TOTAL, total), (AS_OF, version)];
        let (items, next, [total, as_of]) =
            self.rows(filter.by, rows, order, numbers, page).await?;
        if as_of != NO_VERSION {
            self.inner.stats_cache.remember_total(filter, as_of, total);
        }
        Ok(Page { items, total, request: page, next })
    }

    async fn activity_stats(
        &self,
        filter: &ActivityFilter,
        zone: &Zone,
    ) -> StoreResult<ActivityStats> {
        // Read first: what is counted after it is no older.
        let version = self.version(filter.by).await?;
        if let Some(known) = self.inner.stats_cache.get(filter, zone, version) {
            return Ok(known);
        }
        // What is taken away must be what was counted before.
        let tx = self.snapshot().await?;
        let (by_type, by_type_omitted, total) = count_types(&tx, filter).await?;
        let (by_day, by_day_omitted) = count_shown(&tx, filter, zone).await?;
        tx.commit().await.map_err(of_read)?;
        let sessions = self.session_counts(filter).await?;
        let stats =
            ActivityStats { total, by_type, by_type_omitted, by_day, by_day_omitted, sessions };
        self.inner.stats_cache.remember(filter, zone, version, &stats);
        Ok(stats)
    }
}

/// That a key has expired, or come to its end, and has not ended for good, in the words of the indexes that
/// hold those.
const KEY_IS_EXPIRED: &str = "expires_at <= $at AND (ends_at IS NULL OR ends_at <> 0)";
const KEY_HAS_ENDED: &str = "ends_at <= $at AND ends_at > 0";

impl Store {
    /// The ids that a statement finds.
    async fn ids(&self, sql: &str, values: [Value; 3]) -> StoreResult<Vec<i64>> {
        let db = self.readers();
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
        let rows = db.query_all_raw(statement).await.map_err(of_read)?;
        rows.iter().map(|row| row.try_get_by_index(0).map_err(of_read)).collect()
    }
}

#[async_trait]
impl AccountReader for Store {
    async fn has_accounts(&self) -> StoreResult<bool> {
        let any = accounts::Entity::find().limit(1);
        Ok(self.one::<_, Account>(any).await?.is_some())
    }

    async fn last_account(&self) -> StoreResult<AccountId> {
        let row = directory::Entity::find().one(self.readers()).await.map_err(of_read)?;
        Ok(AccountId(row.map_or(0, |row| row.last_account_id)))
    }

    async fn credentials(&self, lookup: Lookup) -> StoreResult<Option<Credentials>> {
        admission::find(self, lookup).await
    }

    async fn recoverable(&self, lookup: Lookup) -> StoreResult<Option<Recoverable>> {
        let account_id = lookup.account.0;
        // First of all: the port says so.
        let Some(account) = self.account(lookup.account).await? else { return Ok(None) };
        let code = recovery_codes::Entity::find()
            .filter(recovery_codes::Column::AccountId.eq(account_id))
            .filter(recovery_codes::Column::Lookup.eq(lookup.hash.0.to_vec()));
        let Some(code) = self.one::<_, RecoveryCode>(code).await? else { return Ok(None) };
        let came_with = match code.comes_with {
            Some(key) => self.one(api_keys::Entity::find_by_id((account_id, key.0))).await?,
            None => None,
        };
        let owner = actors::Entity::find_by_id((account_id, NewAccount::OWNER.0));
        let Some(owner) = self.one::<_, Actor>(owner).await? else { return Ok(None) };
        let of_code = key_wraps::Entity::find()
            .filter(key_wraps::Column::AccountId.eq(account_id))
            .filter(key_wraps::Column::HolderKind.eq(row::HOLDER_RECOVERY))
            .filter(key_wraps::Column::HolderId.eq(code.id.0));
        let mut wraps = self.all::<_, Wrap>(of_code).await?;
        // The code may have come with a renewal that it puts in force.
        let of_owner = [(owner.id, owner.key_epoch), (owner.id, owner.key_epoch.next())];
        wraps.extend(self.wraps_under_account(lookup.account, &of_owner).await?);
        Ok(Some(Recoverable { account, owner, code, came_with, wraps }))
    }

    async fn check(&self, by: Admission) -> StoreResult<()> {
        self.check_epoch(by).await
    }

    async fn account(&self, id: AccountId) -> StoreResult<Option<Account>> {
        self.one(accounts::Entity::find_by_id(id.0)).await
    }

    async fn actors(&self, account: AccountId) -> StoreResult<Vec<Actor>> {
        let rows = actors::Entity::find()
            .filter(actors::Column::AccountId.eq(account.0))
            .order_by(actors::Column::ActorId, Order::Asc);
        self.all(rows).await
    }

    async fn first_actors(&self, account: AccountId, most: u32) -> StoreResult<Vec<Actor>> {
        let rows = actors::Entity::find()
            .filter(actors::Column::AccountId.eq(account.0))
            .order_by(actors::Column::ActorId, Order::Asc)
            .limit(u64::from(most));
        self.all(rows).await
    }

    async fn actor_page(&self, by: Admission, page: PageRequest) -> StoreResult<Page<Actor>> {
        let rows = actors::Entity::find().filter(actors::Column::AccountId.eq(by.account.0));
        let total = count(rows.clone());
        self.page(by, rows.into(), [actors::Column::ActorId], total, page).await
    }

    async fn keys(&self, query: &KeyQuery) -> StoreResult<Page<ListedKey>> {
        use api_keys::Column::{AccountId, ActorId, KeyId};
        let mut rows = api_keys::Entity::find().filter(AccountId.eq(query.by.account.0));
        if let Some(actor) = query.actor {
            rows = rows.filter(ActorId.eq(actor.0));
        }
        let total = count(rows.clone());
        let page =
            self.page::<_, ApiKey, 1>(query.by, rows.into(), [KeyId], total, query.page).await?;
        let theirs = actors::Entity::find()
            .filter(actors::Column::AccountId.eq(query.by.account.0))
            .filter(actors::Column::ActorId.is_in(page.items.iter().map(|key| key.actor.0)));
        let theirs = self.all::<_, Actor>(theirs).await?;
        let theirs: BTreeMap<_, _> = theirs.iter().map(|actor| (actor.id, actor)).collect();
        page.try_map(|key| {
            let nobody = || StoreError::Broken(format!("key {} is nobody's", key.id));
            let actor = theirs.get(&key.actor).ok_or_else(nobody)?;
            let (actor_name, actor_is_active) = (actor.name.clone(), actor.is_active);
            Ok(ListedKey { key, actor_name, actor_is_active })
        })
    }

    async fn accounts_with_keys_over(
        &self,
        at: Timestamp,
        after: AccountId,
    ) -> StoreResult<KeysOver> {
        // Two looks at an index for each account.
        let sql = format!(
            "SELECT account_id FROM accounts WHERE account_id > $1 AND account_id <= $2 AND \
             (EXISTS (SELECT 1 FROM api_keys WHERE api_keys.account_id = accounts.account_id AND {EXPIRED}) \
             OR EXISTS (SELECT 1 FROM api_keys WHERE api_keys.account_id = accounts.account_id AND {ENDED})) \
             ORDER BY account_id",
            EXPIRED = KEY_IS_EXPIRED.replace("$at", "$3"),
            ENDED = KEY_HAS_ENDED.replace("$at", "$3"),
        );
        let upto = after.0.saturating_add(ACCOUNTS_SWEPT);
        let given = self.last_account().await?;
        let values = [after.0.into(), upto.into(), at.micros().into()];
        let accounts = self.ids(&sql, values).await?.into_iter().map(AccountId).collect();
        Ok(KeysOver { accounts, last: (upto < given.0).then_some(AccountId(upto)) })
    }

    async fn keys_over(
        &self,
        account: AccountId,
        at: Timestamp,
        most: u32,
    ) -> StoreResult<Vec<KeyId>> {
        let mut found = BTreeSet::new();
        for is_over in [KEY_IS_EXPIRED, KEY_HAS_ENDED] {
            let is_over = is_over.replace("$at", "$2");
            let sql =
                format!("SELECT key_id FROM api_keys WHERE account_id = $1 AND {is_over} LIMIT $3");
            let values = [account.0.into(), at.micros().into(), i64::from(most).into()];
            found.extend(self.ids(&sql, values).await?);
        }
        Ok(found.into_iter().take(most as usize).map(KeyId).collect())
    }

    async fn held_actors(
        &self,
        account: AccountId,
        actors: &[ActorId],
    ) -> StoreResult<Vec<HeldActor>> {
        use actors::Column::{AccountId, ActorId};
        let ids: Vec<_> = actors.iter().map(|id| [account.0.into(), id.0.into()]).collect();
        // First of all: the port says why.
        let found = self.look_up::<actors::Entity, Actor, 2>([AccountId, ActorId], &ids).await?;
        let epochs = |actor: &Actor| [actor.key_epoch, actor.key_epoch.next()];
        let of = |actor: &Actor| epochs(actor).map(|epoch| (actor.id, epoch));
        let wanted: Vec<_> = found.iter().flat_map(of).collect();
        let mut wraps = BTreeMap::<_, Vec<_>>::new();
        for wrap in self.wraps_under_account(account, &wanted).await? {
            if let WrapSubject::Actor(id, _) = wrap.subject {
                wraps.entry(id).or_default().push(wrap);
            }
        }
        let held = |actor: Actor| {
            let wraps = wraps.remove(&actor.id).unwrap_or_default();
            HeldActor { actor, wraps }
        };
        Ok(found.into_iter().map(held).collect())
    }

    async fn wraps_under_account(
        &self,
        account: AccountId,
        keys: &[(ActorId, KeyEpoch)],
    ) -> StoreResult<Vec<Wrap>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let db = self.readers();
        let backend = db.get_database_backend();
        let ids = keys.iter().map(|(actor, _)| actor.0);
        let epochs = keys.iter().map(|(_, epoch)| i64::from(epoch.0));
        let asked = if backend == DbBackend::Postgres {
            let numbers = |numbers: Vec<i64>| -> Value { numbers.into() };
            let values = [account.0.into(), numbers(ids.collect()), numbers(epochs.collect())];
            Statement::from_sql_and_values(backend, WRAPS_UNDER_ACCOUNT, values)
        } else {
            let pairs: Vec<_> =
                ids.zip(epochs).map(|(id, epoch)| format!("[{id},{epoch}]")).collect();
            let values = [account.0.into(), format!("[{}]", pairs.join(",")).into()];
            Statement::from_sql_and_values(backend, WRAPS_UNDER_ACCOUNT_ON_SQLITE, values)
        };
        self.wraps(asked).await
    }

    async fn earlier_wraps(
        &self,
        account: AccountId,
        actor: Option<ActorId>,
        (first, last): (KeyEpoch, KeyEpoch),
    ) -> StoreResult<Vec<Wrap>> {
        let (kind, id) = actor.map_or((row::PARTY_ACCOUNT, 0), |actor| (row::PARTY_ACTOR, actor.0));
        let backend = self.readers().get_database_backend();
        let (first, last) = (i64::from(first.0), i64::from(last.0));
        let values = [account.0.into(), kind.into(), id.into(), first.into(), last.into()];
        let hint = if backend == DbBackend::Sqlite { BY_SUBJECT } else { "" };
        let sql = format!(
            "SELECT w.* FROM key_wraps AS w {hint} WHERE w.account_id = $1 AND w.subject_kind = $2 \
             AND w.subject_id = $3 AND w.holder_kind = $2 AND w.subject_epoch BETWEEN $4 AND $5"
        );
        self.wraps(Statement::from_sql_and_values(backend, sql, values)).await
    }

    async fn ledger(
        &self,
        by: Admission,
        reason: Option<Reason>,
        page: PageRequest,
    ) -> StoreResult<Page<LedgerEntry>> {
        let mut rows = ledger::Entity::find().filter(ledger::Column::AccountId.eq(by.account.0));
        let mut counts = counters_of(by.account, Some(ActorId(row::NO_ACTOR)), row::COUNTER_LEDGER);
        if let Some(reason) = reason {
            rows = rows.filter(ledger::Column::Reason.eq(reason.name()));
            if reason != Reason::ApiWrite {
                rows = rows.filter(Expr::cust(IN_LEDGER_BY_REASON));
            }
            counts = counts.filter(tallies::Column::Label.eq(reason.name()));
        }
        let total = sum(counts, tallies::Column::Count);
        self.page(by, rows.into(), [ledger::Column::LedgerId], total, page).await
    }

    async fn audit_log(&self, by: Admission, page: PageRequest) -> StoreResult<Page<AuditEntry>> {
        let account = by.account;
        let rows = audit_trail::Entity::find().filter(audit_trail::Column::AccountId.eq(account.0));
        // Its ids are without gaps: the last one given is how many there are.
        let given = accounts::Entity::find_by_id(account.0)
            .select_only()
            .column(accounts::Column::LastAuditId);
        self.page(by, rows.into(), [audit_trail::Column::AuditId], number(given), page).await
    }
}

/// What the index of the ledger by reason holds, in its own words, so that it is known to hold what is
/// looked for.
const IN_LEDGER_BY_REASON: &str = "reason <> 'api_write'";

/// How an account is used.
#[derive(FromQueryResult)]
struct UsageRow {
    account_id: i64,
    writes: Option<i64>,
    last_write_at: Option<i64>,
}

impl Store {
    /// How those accounts are used, by a few index look-ups each, and a walk back over the grants since
    /// the last write, one by one or by an import.
    async fn with_usage(&self, accounts: Vec<Account>) -> StoreResult<Vec<AccountOverview>> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let account = || Expr::col((accounts::Entity, accounts::Column::AccountId));
        let (write, import) = (Reason::ApiWrite.name(), Reason::Import.name());
        let writes = tallies::Entity::find()
            .select_only()
            .column(tallies::Column::Count)
            .filter(Expr::col((tallies::Entity, tallies::Column::AccountId)).eq(account()))
            .filter(tallies::Column::ActorId.eq(row::NO_ACTOR))
            .filter(tallies::Column::Subject.eq(row::COUNTER_LEDGER))
            .filter(tallies::Column::Label.eq(write));
        let last = ledger::Entity::find()
            .select_only()
            .column(ledger::Column::CreatedAt)
            .filter(Expr::col((ledger::Entity, ledger::Column::AccountId)).eq(account()))
            .filter(ledger::Column::Reason.is_in([write, import]))
            .order_by(ledger::Column::LedgerId, Order::Desc)
            .limit(1);
        let ids = accounts.iter().map(|account| account.id.0);
        let found = accounts::Entity::find()
            .select_only()
            .column(accounts::Column::AccountId)
            .expr_as(number(writes), "writes")
            .expr_as(number(last), "last_write_at")
            .filter(accounts::Column::AccountId.is_in(ids))
            .into_model::<UsageRow>()
            .all(self.readers())
            .await
            .map_err(of_read)?;
        let mut usage: BTreeMap<_, _> =
            found.into_iter().map(|one| (one.account_id, one)).collect();
        let overview = |account: Account| {
            let used = usage.remove(&account.id.0);
            AccountOverview {
                writes: used.as_ref().and_then(|used| used.writes).unwrap_or(0),
                last_write_at: used.and_then(|used| used.last_write_at).map(Timestamp::from_micros),
                account,
            }
        };
        Ok(accounts.into_iter().map(overview).collect())
    }
}

#[async_trait]
impl AccountsReader for Store {
    async fn accounts(
        &self,
        by: Admission,
        page: PageRequest,
    ) -> StoreResult<Page<AccountOverview>> {
        let rows = accounts::Entity::find();
        let kept = directory::Entity::find().select_only().column(directory::Column::Accounts);
        let order = [accounts::Column::AccountId];
        let Page { items, total, request, next } =
            self.page(by, rows.into(), order, number(kept), page).await?;
        Ok(Page { items: self.with_usage(items).await?, total, request, next })
    }

    async fn account_overview(
        &self,
        by: Admission,
        id: AccountId,
    ) -> StoreResult<Option<AccountOverview>> {
        self.check_epoch(by).await?;
        let Some(account) = self.account(id).await? else { return Ok(None) };
        Ok(self.with_usage(vec![account]).await?.pop())
    }
}

/// The index that leads from a key to the wraps that hold it. SQLite, which keeps no statistics, would
/// rather go through all that the account's key holds.
const BY_SUBJECT: &str = "INDEXED BY key_wraps_by_subject";

/// The wraps by which the account's key holds those of actors, each looked up by itself. `OFFSET 0` keeps
/// the planner, who may know nothing of the table yet, from another order.
const WRAPS_UNDER_ACCOUNT: &str = "SELECT found.* \
    FROM (SELECT UNNEST($2::bigint[]) AS id, UNNEST($3::bigint[]) AS epoch) AS given, \
    LATERAL (SELECT * FROM key_wraps AS w WHERE w.account_id = $1 AND w.subject_kind = 'actor' \
    AND w.subject_id = given.id AND w.holder_kind = 'account' AND w.subject_epoch = given.epoch \
    OFFSET 0) AS found";

/// The same for SQLite, which takes a list as one value too, and keeps the order of a cross join.
const WRAPS_UNDER_ACCOUNT_ON_SQLITE: &str = "SELECT w.* FROM json_each($2) AS given \
    CROSS JOIN key_wraps AS w INDEXED BY key_wraps_by_subject WHERE w.account_id = $1 \
    AND w.subject_kind = 'actor' AND w.subject_id = given.value ->> 0 \
    AND w.holder_kind = 'account' AND w.subject_epoch = given.value ->> 1";

#[async_trait]
impl UsageReader for Store {
    async fn calls(
        &self,
        by: Admission,
        first: Day,
        last: Day,
    ) -> StoreResult<Vec<(Day, Endpoint, i64)>> {
        self.check_epoch(by).await?;
        let rows = usage::Entity::find()
            .filter(usage::Column::AccountId.eq(by.account.0))
            .filter(usage::Column::Day.between(first.0, last.0));
        let rows = rows.all(self.readers()).await.map_err(of_read)?;
        let calls = rows.into_iter().map(|row| {
            (Day(row.day), Endpoint { route: row.route, method: row.method }, row.calls)
        });
        Ok(calls.collect())
    }
}

#[async_trait]
impl IdempotencyReader for Store {
    async fn account_with_idempotency_records(
        &self,
        before: Timestamp,
        from: AccountId,
    ) -> StoreResult<Option<AccountId>> {
        // One look at the index of the answers' ages for each account.
        let sql = "SELECT account_id FROM accounts WHERE account_id >= $1 AND EXISTS \
                   (SELECT 1 FROM idempotency WHERE idempotency.account_id = accounts.account_id \
                   AND idempotency.created_at < $2) ORDER BY account_id LIMIT 1";
        let db = self.readers();
        let values = [from.0.into(), before.micros().into()];
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
        let found = db.query_one_raw(statement).await.map_err(of_read)?;
        let id = found.map(|row| row.try_get_by_index(0)).transpose().map_err(of_read)?;
        Ok(id.map(AccountId))
    }
}

#[async_trait]
impl Readiness for Store {
    async fn ping(&self) -> StoreResult<()> {
        self.check()?;
        self.inner.readers.ping(&self.inner.source).await?;
        self.inner.write_health.check(&self.inner.source).await
    }
}

#[cfg(test)]
mod tests;
