//! Verifies the accounting: recounts ledgers and counters.
//!
//! It reads one snapshot, so it may run beside a server that writes.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roots_domain::model::account::Account;
use roots_domain::model::counter::{WorkCounter, WorkCounts};
use roots_domain::model::credit::{LedgerEntry, LedgerVerifier};
use roots_domain::model::id::{AccountId, LedgerId, LogId, SessionId, SignInId, TodoId};
use roots_domain::model::time::{DAY_MICROS, Day, QUARTER_HOUR_MICROS, QuarterHour};
use roots_domain::port::store::{Discrepancy, Mismatch, StoreResult, Verifier};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    FromQueryResult, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Statement,
};

use crate::connect::postgres;
use crate::errors::of_read;
use crate::store::Store;
use crate::table::{
    accounts, activities, activity_daily, activity_quarter_hours, api_keys, audit_log, counters,
    directory, ledger, sessions, todos, work_quarter_hours,
};

/// Ledger rows read at a time.
const LEDGER_CHUNK_ROWS: u64 = 10_000;

/// The name of the count of the audit log's entries.
const AUDIT_LOG: &str = "audit log entries";
/// The name of the count of an account's keys.
const KEYS: &str = "keys";

/// A count, with its name.
type NamedCounts = BTreeMap<String, i64>;

#[derive(FromQueryResult)]
struct LabelCount {
    actor: i64,
    label: String,
    count: i64,
}

#[async_trait]
impl Verifier for Store {
    async fn verify(&self) -> StoreResult<(u64, Vec<Discrepancy>)> {
        // On a cluster its nodes share no snapshot.
        let tx = self.readers_of_all().begin().await.map_err(of_read)?;
        if tx.get_database_backend() == DbBackend::Postgres {
            tx.execute_unprepared(postgres::NO_TIME_LIMIT).await.map_err(of_read)?;
        }
        let mut discrepancies = Vec::new();
        let mut verified = 0;
        // Ids count from 1.
        let mut after = 0;
        while let Some(row) = next_account(&tx, after).await.map_err(of_read)? {
            after = row.account_id;
            let account = Account::try_from(row)?;
            let errors = verify_account(&tx, &account).await.map_err(of_read)?;
            let of_account = |mismatch| Discrepancy { account: Some(account.id), mismatch };
            discrepancies.extend(errors.into_iter().map(of_account));
            verified += 1;
        }
        let counted = i64::try_from(verified).unwrap_or(i64::MAX);
        let kept = directory::Entity::find().one(&tx).await.map_err(of_read)?;
        let kept = kept.map_or(0, |directory| directory.accounts);
        if kept != counted {
            let mismatch = Mismatch::Count { what: "accounts".to_owned(), kept, counted };
            discrepancies.push(Discrepancy { account: None, mismatch });
        }
        discrepancies.extend(ownerless(&tx).await.map_err(of_read)?);
        Ok((verified, discrepancies))
    }
}

/// The tables whose rows have an id that the account assigned, the id's column, and the last
/// assigned id.
fn given_ids(account: &Account) -> [(&'static str, &'static str, i64); 9] {
    let given = account.last_ids;
    [
        ("actors", "actor_id", given.actor),
        ("api_keys", "key_id", given.key),
        ("recovery_codes", "recovery_id", given.recovery),
        ("sign_ins", "sign_in_id", given.sign_in),
        ("sessions", "session_id", given.session),
        ("todos", "todo_id", given.todo),
        ("activities", "activity_id", given.activity),
        ("todo_logs", "log_id", given.log),
        ("audit_log", "audit_id", given.audit),
    ]
}

/// Rows of accounts that do not exist, except erased ones that are not swept yet. A foreign key
/// would cost a check for every written row.
async fn ownerless(tx: &DatabaseTransaction) -> Result<Vec<Discrepancy>, DbErr> {
    const TABLES: [&str; 21] = [
        "actors",
        "api_keys",
        "recovery_codes",
        "sign_ins",
        "key_wraps",
        "claim_deadlines",
        "session_activity",
        "session_deletions",
        "imports",
        "sessions",
        "todos",
        "todo_logs",
        "activities",
        "ledger",
        "counters",
        "activity_daily",
        "audit_log",
        "usage",
        "activity_quarter_hours",
        "work_quarter_hours",
        "idempotency",
    ];
    let mut found = Vec::new();
    for table in TABLES {
        let sql = format!(
            "SELECT account_id, COUNT(*) FROM {table} WHERE account_id NOT IN \
             (SELECT account_id FROM accounts) AND account_id NOT IN \
             (SELECT account_id FROM erasures WHERE swept_at IS NULL) GROUP BY account_id ORDER BY account_id"
        );
        for (account, rows) in numbers(tx, &sql).await? {
            let mismatch = Mismatch::Ownerless { table, rows };
            found.push(Discrepancy { account: Some(AccountId(account)), mismatch });
        }
    }
    Ok(found)
}

/// The result of a query with two numbers in each row.
async fn numbers(tx: &DatabaseTransaction, sql: &str) -> Result<Vec<(i64, i64)>, DbErr> {
    let statement = Statement::from_string(tx.get_database_backend(), sql);
    let rows = tx.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}

async fn next_account(
    tx: &DatabaseTransaction,
    after: i64,
) -> Result<Option<accounts::Model>, DbErr> {
    accounts::Entity::find()
        .filter(accounts::Column::AccountId.gt(after))
        .order_by(accounts::Column::AccountId, Order::Asc)
        .one(tx)
        .await
}

async fn verify_account(
    tx: &DatabaseTransaction,
    account: &Account,
) -> Result<Vec<Mismatch>, DbErr> {
    let mut ledger = LedgerVerifier::default();
    let (mut work, mut unreadable) = (BTreeMap::<_, WorkCounts>::new(), Vec::new());
    // Ids count from 1.
    let mut after = 0;
    loop {
        let chunk = ledger::Entity::find()
            .filter(ledger::Column::AccountId.eq(account.id.0))
            .filter(ledger::Column::LedgerId.gt(after))
            .order_by(ledger::Column::LedgerId, Order::Asc)
            .limit(LEDGER_CHUNK_ROWS)
            .all(tx)
            .await?;
        let Some(last) = chunk.last() else { break };
        after = last.ledger_id;
        for row in chunk {
            let id = LedgerId(row.ledger_id);
            ledger.push(id, row.delta, row.balance_after);
            match LedgerEntry::try_from(row) {
                Ok(entry) => {
                    for (counter, counts) in WorkCounts::of(&entry) {
                        work.entry(counter).or_default().add(counts);
                    }
                }
                Err(_) => unreadable.push(Mismatch::Unreadable(id)),
            }
        }
    }
    let errors = ledger.finish(account.balance, account.last_ids.ledger);
    let mut errors: Vec<_> = errors.into_iter().map(Mismatch::Ledger).collect();
    errors.extend(unreadable);
    for (table, column, given) in given_ids(account) {
        let of = account.id;
        let sql = format!(
            "SELECT COALESCE(MAX({column}), 0), COUNT(*) FROM {table} WHERE account_id = {of}"
        );
        let highest = numbers(tx, &sql).await?.into_iter().map(|(highest, _)| highest);
        let beyond = highest.filter(|found| *found > given);
        errors.extend(beyond.map(|found| Mismatch::IdNotGiven { table, given, found }));
    }
    for table in ["todos", "activities"] {
        let of = account.id;
        let sql = format!(
            "SELECT session_id, COUNT(*) FROM {table} WHERE account_id = {of} AND session_id IS NOT NULL \
             AND session_id NOT IN (SELECT session_id FROM sessions WHERE account_id = {of}) \
             AND session_id NOT IN (SELECT session_id FROM session_deletions WHERE account_id = {of}) \
             GROUP BY session_id ORDER BY session_id"
        );
        let found = numbers(tx, &sql).await?.into_iter();
        errors.extend(found.map(|(id, rows)| Mismatch::LinkedToNothing {
            table,
            session: SessionId(id),
            rows,
        }));
    }
    errors.extend(verify_activity(tx, account.id).await?);
    errors.extend(verify_sign_ins(tx, account.id).await?);
    errors.extend(verify_claims(tx, account.id).await?);
    errors.extend(verify_status_changes(tx, account.id).await?);
    errors.extend(verify_status_times(tx, account.id).await?);
    let mut kept = kept_counts(tx, account.id).await?;
    // Its last id is its count: entries are never deleted.
    kept.insert(AUDIT_LOG.to_owned(), account.last_ids.audit);
    kept.insert(KEYS.to_owned(), account.keys);
    let mut counted = recount(tx, account.id).await?;
    kept.extend(named_work(kept_work(tx, account.id).await?));
    counted.extend(named_work(work));
    for what in kept.keys().chain(counted.keys().filter(|what| !kept.contains_key(*what))) {
        let (kept, counted) = (count_of(&kept, what), count_of(&counted, what));
        if kept != counted {
            errors.push(Mismatch::Count { what: what.clone(), kept, counted });
        }
    }
    Ok(errors)
}

/// Sessions whose stored activity is missing or says otherwise than they do whether they are
/// active, and activity of no session.
async fn verify_activity(
    tx: &DatabaseTransaction,
    account: AccountId,
) -> Result<Vec<Mismatch>, DbErr> {
    let sql = format!(
        "SELECT s.session_id, CAST(1 AS BIGINT) FROM sessions AS s LEFT JOIN session_activity AS a \
         ON a.account_id = s.account_id AND a.session_id = s.session_id \
         WHERE s.account_id = {account} AND (a.is_open IS NULL \
         OR a.is_open <> CASE WHEN s.status = 'active' THEN 1 ELSE 0 END) \
         UNION ALL SELECT a.session_id, CAST(1 AS BIGINT) FROM session_activity AS a WHERE a.account_id = {account} \
         AND NOT EXISTS (SELECT 1 FROM sessions AS s WHERE s.account_id = {account} \
         AND s.session_id = a.session_id) AND NOT EXISTS (SELECT 1 FROM session_deletions AS d \
         WHERE d.account_id = {account} AND d.session_id = a.session_id) ORDER BY 1"
    );
    let found = numbers(tx, &sql).await?.into_iter();
    Ok(found.map(|(id, _)| Mismatch::SessionActivity(SessionId(id))).collect())
}

/// Sign-ins that outlived the key that opened them, or their actor.
async fn verify_sign_ins(
    tx: &DatabaseTransaction,
    account: AccountId,
) -> Result<Vec<Mismatch>, DbErr> {
    let sql = format!(
        "SELECT s.sign_in_id, s.opener_id FROM sign_ins AS s WHERE s.account_id = {account} \
         AND s.ended IS NULL AND NOT EXISTS (SELECT 1 FROM api_keys AS k \
         INNER JOIN actors AS o ON o.account_id = k.account_id AND o.actor_id = k.actor_id \
         WHERE k.account_id = {account} AND k.key_id = s.opener_id AND k.actor_id = s.actor_id \
         AND k.is_ended = 0 AND o.is_active = 1) ORDER BY s.sign_in_id"
    );
    let found = numbers(tx, &sql).await?.into_iter();
    Ok(found.map(|(id, _)| Mismatch::SignIn(SignInId(id))).collect())
}

/// Todos whose claim does not fit their status or has no deadline that fits it, and deadlines of no
/// claim.
async fn verify_claims(
    tx: &DatabaseTransaction,
    account: AccountId,
) -> Result<Vec<Mismatch>, DbErr> {
    let sql = format!(
        "SELECT t.todo_id, CAST(1 AS BIGINT) FROM todos AS t LEFT JOIN claim_deadlines AS c \
         ON c.account_id = t.account_id AND c.todo_id = t.todo_id \
         WHERE t.account_id = {account} AND t.claimed_at IS NOT NULL AND (c.until_at IS NULL \
         OR t.status <> 'in_progress' OR t.claims < 1 OR c.actor_id <> t.actor_id \
         OR c.priority <> t.priority OR COALESCE(c.due_at, -1) <> COALESCE(t.due_at, -1) \
         OR c.created_at <> t.created_at OR c.lease_seconds <> t.lease_seconds) \
         UNION ALL SELECT c.todo_id, CAST(1 AS BIGINT) FROM claim_deadlines AS c WHERE c.account_id = {account} \
         AND NOT EXISTS (SELECT 1 FROM todos AS t WHERE t.account_id = {account} \
         AND t.todo_id = c.todo_id AND t.claimed_at IS NOT NULL) ORDER BY 1"
    );
    let found = numbers(tx, &sql).await?.into_iter();
    Ok(found.map(|(id, _)| Mismatch::Claim(TodoId(id))).collect())
}

/// Status changes that are kept with another actor than that of their todo.
async fn verify_status_changes(
    tx: &DatabaseTransaction,
    account: AccountId,
) -> Result<Vec<Mismatch>, DbErr> {
    let sql = format!(
        "SELECT l.log_id, l.todo_id FROM todo_logs AS l INNER JOIN todos AS t \
         ON t.account_id = l.account_id AND t.todo_id = l.todo_id \
         WHERE l.account_id = {account} AND l.actor_id <> t.actor_id ORDER BY l.log_id"
    );
    let found = numbers(tx, &sql).await?.into_iter();
    Ok(found.map(|(id, _)| Mismatch::StatusChange(LogId(id))).collect())
}

/// Todos whose time of the last change of status is not that of the last entry of their log.
async fn verify_status_times(
    tx: &DatabaseTransaction,
    account: AccountId,
) -> Result<Vec<Mismatch>, DbErr> {
    let sql = format!(
        "SELECT t.todo_id, t.status_since FROM todos AS t WHERE t.account_id = {account} \
         AND t.status_since <> COALESCE((SELECT l.logged_at FROM todo_logs AS l \
         WHERE l.account_id = {account} AND l.todo_id = t.todo_id \
         ORDER BY l.log_id DESC LIMIT 1), t.created_at) ORDER BY t.todo_id"
    );
    let found = numbers(tx, &sql).await?.into_iter();
    Ok(found.map(|(id, _)| Mismatch::StatusSince(TodoId(id))).collect())
}

/// A missing count is 0.
fn count_of(counts: &NamedCounts, what: &str) -> i64 {
    counts.get(what).copied().unwrap_or(0)
}

fn counter_name(actor: i64, subject: &str, label: &str) -> String {
    if actor == counters::NO_ACTOR {
        return format!("{subject} {label}");
    }
    format!("actor {actor}'s {subject} {label}")
}

fn daily_name(actor: i64, day: i64, activity_type: &str) -> String {
    format!("actor {actor}'s activities {activity_type} on {}", Day(day))
}

fn quarter_hour_name(actor: i64, quarter: i64, activity_type: &str) -> String {
    let from = QuarterHour(quarter).first_instant();
    format!("actor {actor}'s activities {activity_type} in the quarter hour from {from}")
}

/// Counts of todos and credits, with their names. Those of 0 are left out.
fn named_work(
    work: impl IntoIterator<Item = (WorkCounter, WorkCounts)>,
) -> impl Iterator<Item = (String, i64)> {
    work.into_iter().flat_map(|(WorkCounter { quarter_hour, actor }, counts)| {
        let whose = actor.map_or_else(|| "the account's".to_owned(), |id| format!("actor {id}'s"));
        let from = quarter_hour.first_instant();
        let all = [
            ("todos made", counts.todos_made),
            ("todos done", counts.todos_done),
            ("todos cancelled", counts.todos_cancelled),
            ("credits spent", counts.credits_spent),
            ("credits granted", counts.credits_granted),
        ];
        let named =
            move |(what, count)| (format!("{whose} {what} in the quarter hour from {from}"), count);
        all.into_iter().filter(|(_, count)| *count != 0).map(named)
    })
}

async fn kept_work(
    tx: &DatabaseTransaction,
    account: AccountId,
) -> Result<Vec<(WorkCounter, WorkCounts)>, DbErr> {
    use work_quarter_hours::{Column, Entity};
    let rows = Entity::find().filter(Column::AccountId.eq(account.0)).all(tx).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

async fn kept_counts(tx: &DatabaseTransaction, account: AccountId) -> Result<NamedCounts, DbErr> {
    let counters = counters::Entity::find()
        .filter(counters::Column::AccountId.eq(account.0))
        .all(tx)
        .await?
        .into_iter()
        .map(|row| (counter_name(row.actor_id, &row.subject, &row.label), row.count));
    let daily = activity_daily::Entity::find()
        .filter(activity_daily::Column::AccountId.eq(account.0))
        .all(tx)
        .await?
        .into_iter()
        .map(|row| (daily_name(row.actor_id, row.day, &row.activity_type), row.count));
    let quarters = activity_quarter_hours::Entity::find()
        .filter(activity_quarter_hours::Column::AccountId.eq(account.0))
        .all(tx)
        .await?
        .into_iter()
        .map(|row| (quarter_hour_name(row.actor_id, row.quarter, &row.activity_type), row.count));
    Ok(counters.chain(daily).chain(quarters).collect())
}

/// Counts the rows of `select` by actor and label.
async fn count_by<Q>(
    tx: &DatabaseTransaction,
    select: Q,
    actor: &str,
    label: &str,
) -> Result<Vec<LabelCount>, DbErr>
where
    Q: QuerySelect + QueryTrait<QueryStatement = sea_orm::sea_query::SelectStatement>,
{
    let statement = select
        .select_only()
        .column_as(Expr::cust(actor.to_owned()), "actor")
        .column_as(Expr::cust(label.to_owned()), "label")
        .column_as(Expr::cust("COUNT(*)"), "count")
        .group_by(Expr::cust(actor.to_owned()))
        .group_by(Expr::cust(label.to_owned()))
        .into_query();
    let rows = tx.query_all(&statement).await?;
    rows.iter().map(|row| LabelCount::from_query_result(row, "")).collect()
}

async fn recount(tx: &DatabaseTransaction, account: AccountId) -> Result<NamedCounts, DbErr> {
    let mut counts = NamedCounts::new();
    let mut counter = |subject, rows: Vec<LabelCount>| {
        for row in rows {
            counts.insert(counter_name(row.actor, subject, &row.label), row.count);
        }
    };
    let of = account.0;
    let rows = sessions::Entity::find().filter(sessions::Column::AccountId.eq(of));
    counter(counters::SUBJECT_SESSIONS, count_by(tx, rows, "actor_id", "status").await?);
    let rows = todos::Entity::find().filter(todos::Column::AccountId.eq(of));
    let label = "status || '/' || CAST(priority AS TEXT)";
    counter(counters::SUBJECT_TODOS, count_by(tx, rows, "actor_id", label).await?);
    let rows = activities::Entity::find().filter(activities::Column::AccountId.eq(of));
    counter(
        counters::SUBJECT_ACTIVITIES,
        count_by(tx, rows.clone(), "actor_id", "activity_type").await?,
    );
    let entries = ledger::Entity::find().filter(ledger::Column::AccountId.eq(of));
    let nobody = "CAST(0 AS BIGINT)";
    counter(counters::SUBJECT_LEDGER, count_by(tx, entries, nobody, "reason").await?);
    let audit_log = audit_log::Entity::find().filter(audit_log::Column::AccountId.eq(of));
    let entries = audit_log.count(tx).await?;
    counts.insert(AUDIT_LOG.to_owned(), i64::try_from(entries).unwrap_or(i64::MAX));
    let keys = api_keys::Entity::find().filter(api_keys::Column::AccountId.eq(of));
    let keys = keys.count(tx).await?;
    counts.insert(KEYS.to_owned(), i64::try_from(keys).unwrap_or(i64::MAX));
    for (micros, name) in [
        (DAY_MICROS, daily_name as fn(i64, i64, &str) -> String),
        (QUARTER_HOUR_MICROS, quarter_hour_name),
    ] {
        let label = format!("CAST(logged_at / {micros} AS TEXT) || ' ' || activity_type");
        for row in count_by(tx, rows.clone(), "actor_id", &label).await? {
            let parts = row.label.split_once(' ').and_then(|(span, kind)| {
                span.parse().ok().map(|span: i64| name(row.actor, span, kind))
            });
            let unreadable = || DbErr::Type("a span that is no number".to_owned());
            counts.insert(parts.ok_or_else(unreadable)?, row.count);
        }
    }
    Ok(counts)
}
