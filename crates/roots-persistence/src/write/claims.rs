//! Finds the todos that claims of a batch may take.
//!
//! A claim takes the first open todo of an actor, or the first one whose claim has lapsed. Commands
//! before it in the batch may change or take the first ones of the database, so the working set
//! says how many candidates it needs. It chooses among them and the other todos of the batch.

use std::collections::BTreeSet;

use roots_domain::command::Command;
use roots_domain::decide::{ClaimScope, ReadSet, RowKey, WorkingSet};
use roots_domain::model::id::{SessionId, TodoId};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::HEARTBEAT_EVERY_SECONDS;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{Priority, Todo};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, Value};

use super::transaction::BatchTransaction;
use crate::errors::BatchError;
use crate::table::shown::Shown;
use crate::table::todos;

/// Most lapsed candidates of an actor. Only a batch that writes to many sessions with many lapsed
/// claims each has more; a claim may then be told that nothing is left.
const LAPSED_MAX: usize = 512;

/// Loads the open candidates of all claims of a batch, once the todos that it names are loaded, and
/// finds those whose claim has lapsed.
pub(super) async fn load_candidates(
    tx: &BatchTransaction,
    working_set: &mut WorkingSet,
    read_set: &ReadSet,
    commands: &[Command],
    now: Timestamp,
) -> Result<BTreeSet<RowKey<TodoId>>, BatchError> {
    let mut lapsed = BTreeSet::new();
    let candidates = working_set.claim_candidates(commands, read_set);
    if candidates.is_empty() {
        return Ok(lapsed);
    }
    let named = working_set.sessions_to_touch(read_set);
    for (scope, most) in candidates {
        let open = first_open(tx, scope, most).await?;
        let above = match open.last() {
            // Lapsed todos come after the open ones of their priority.
            Some(last) if open.len() as u64 >= most => Some(last.content.priority),
            _ => None,
        };
        for todo in open {
            working_set.load_todo(scope.account, todo);
        }
        let mut room = LAPSED_MAX;
        for priority in priorities_with_lapsed(tx, scope, above, now).await? {
            let of_account = named.iter().filter(|(account, _)| *account == scope.account);
            let named: Vec<_> = of_account.map(|(_, session)| *session).collect();
            let mut found =
                first_lapsed(tx, scope, priority, Of::Others(&named), most, now).await?;
            if !named.is_empty() {
                // The batch may revive all claims of a session at once by a write of it.
                let of_each = Of::Each(&named);
                found.extend(first_lapsed(tx, scope, priority, of_each, most, now).await?);
            }
            found.truncate(room);
            room -= found.len();
            lapsed.extend(found);
        }
    }
    Ok(lapsed)
}

async fn all(
    tx: &BatchTransaction,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<sea_orm::QueryResult>, DbErr> {
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    tx.query_all_raw(statement).await
}

fn limit(most: u64) -> Value {
    i64::try_from(most).unwrap_or(i64::MAX).into()
}

/// The first open todos, in the order of the index `todos_to_claim`.
async fn first_open(
    tx: &BatchTransaction,
    ClaimScope { account, actor, min_priority }: ClaimScope,
    most: u64,
) -> Result<Vec<Todo<Sealed>>, BatchError> {
    let sql = format!(
        "SELECT {} FROM todos AS t WHERE t.account_id = $1 AND t.actor_id = $2 \
         AND t.status = 'open' AND t.priority >= $3 ORDER BY t.priority DESC, \
         COALESCE(t.due_at, 9223372036854775807), t.created_at, t.todo_id LIMIT $4",
        todos::Entity::selected("t", "$1")
    );
    let values = [account.0.into(), actor.0.into(), min_priority.level().into(), limit(most)];
    let mut found = Vec::new();
    for row in all(tx, &sql, values).await? {
        found.push(Todo::try_from(todos::Model::from_query_result(&row, "")?)?);
    }
    Ok(found)
}

/// The priorities of a claim, above that of the last open candidate, that may have lapsed todos:
/// one look at the index `claim_deadlines_by_end` for each.
async fn priorities_with_lapsed(
    tx: &BatchTransaction,
    ClaimScope { account, actor, min_priority }: ClaimScope,
    above: Option<Priority>,
    now: Timestamp,
) -> Result<Vec<Priority>, BatchError> {
    let wanted = Priority::ALL.into_iter().filter(|priority| {
        *priority >= min_priority && above.is_none_or(|above| *priority > above)
    });
    let looks = wanted.map(|priority| {
        let level = priority.level();
        format!(
            "SELECT CAST({level} AS BIGINT) WHERE (SELECT until_at FROM claim_deadlines \
             WHERE account_id = $1 AND actor_id = $2 AND priority = {level} \
             ORDER BY until_at LIMIT 1) <= $3"
        )
    });
    let sql = looks.collect::<Vec<_>>().join(" UNION ALL ");
    if sql.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for row in all(tx, &sql, [account.0.into(), actor.0.into(), now.micros().into()]).await? {
        let level: i64 = row.try_get_by_index(0)?;
        found.extend(Priority::parse(level));
    }
    Ok(found)
}

/// The sessions that lapsed claims were made for.
#[derive(Clone, Copy)]
enum Of<'a> {
    /// Any but these, or none: the first claims of all together.
    Others(&'a [SessionId]),
    /// These: the first claims of each.
    Each(&'a [SessionId]),
}

/// The first lapsed todos of a priority, in the order of the index `claim_deadlines_in_order`.
async fn first_lapsed(
    tx: &BatchTransaction,
    ClaimScope { account, actor, .. }: ClaimScope,
    priority: Priority,
    sessions: Of<'_>,
    most: u64,
    now: Timestamp,
) -> Result<Vec<RowKey<TodoId>>, BatchError> {
    const ORDER: &str = "COALESCE(c.due_at, 9223372036854775807), c.created_at, c.todo_id";
    let listed = |sessions: &[SessionId]| {
        sessions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    // The plus keeps SQLite from the index by the deadline, after which it would sort.
    let lapsed = format!(
        "FROM claim_deadlines AS c LEFT JOIN session_activity AS a \
         ON a.account_id = $1 AND a.session_id = c.session_id \
         WHERE c.account_id = $1 AND c.actor_id = $2 AND c.priority = $3 AND +c.until_at <= $4 \
         AND (a.last_active_at IS NULL OR a.last_active_at \
         + (c.lease_seconds + {HEARTBEAT_EVERY_SECONDS}) * 1000000 <= $4)"
    );
    let sql = match sessions {
        Of::Others([]) => format!("SELECT c.todo_id {lapsed} ORDER BY {ORDER} LIMIT $5"),
        Of::Others(named) => format!(
            "SELECT c.todo_id {lapsed} AND (c.session_id IS NULL OR c.session_id NOT IN ({})) \
             ORDER BY {ORDER} LIMIT $5",
            listed(named)
        ),
        Of::Each(named) => format!(
            "SELECT todo_id FROM (SELECT c.todo_id, ROW_NUMBER() OVER (PARTITION BY c.session_id \
             ORDER BY {ORDER}) AS place {lapsed} AND c.session_id IN ({})) AS of_session \
             WHERE place <= $5",
            listed(named)
        ),
    };
    let values = [
        account.0.into(),
        actor.0.into(),
        priority.level().into(),
        now.micros().into(),
        limit(most),
    ];
    let mut found = Vec::new();
    for row in all(tx, &sql, values).await? {
        found.push((account, TodoId(row.try_get_by_index(0)?)));
    }
    Ok(found)
}
