//! The statements of a brief.
//!
//! Each first finds keys, by parts: a part is a range of one index, in its order, with a limit. So
//! a statement takes as long in a large account as in a small one. The rows of the keys that are
//! left are then looked up by their keys, one by one.

use roots_domain::command::NewAccount;
use roots_domain::model::brief::{COUNTED_MAX, WAITING_TYPES, WaitingSessions};
use roots_domain::model::id::{AccountId, ActorId, SessionId};
use roots_domain::model::session::HEARTBEAT_EVERY_SECONDS;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::Priority;
use roots_domain::port::store::SHORT_TEXTS_MAX_BYTES;
use sea_orm::{DbBackend, Statement, Value};

pub(super) use super::epoch::AUTH_EPOCH;
use super::queries::{columns, first};
use crate::table::shown::Shown;
use crate::table::{activities, todos};

/// The columns of the results that no table has.
pub(super) const AT: &str = "read_at";
pub(super) const PART: &str = "part";
pub(super) const UNTIL_AT: &str = "until_at";
pub(super) const LAST_ACTIVE_AT: &str = "last_active_at";
pub(super) const TODO_TITLE: &str = "todo_title";
pub(super) const TODO_UID: &str = "todo_uid";
/// Whether the session of a todo's claim is active.
pub(super) const IS_CLAIM_OPEN: &str = "is_claim_open";
/// The values of the column [`PART`] of activities.
pub(super) const WAITING: i64 = 0;
pub(super) const REPORTED: i64 = 1;
/// The values of the column [`PART`] of sessions: the one that the reader names, the active one
/// that started last, and the one that ended last.
pub(super) const NAMED: i64 = 0;
pub(super) const STARTED: i64 = 1;
pub(super) const ENDED: i64 = 2;

/// The due date in the order of claims: todos without one come last.
pub(super) const DUE: &str = "COALESCE(t.due_at, 9223372036854775807)";
/// Most claims of each priority, and of a session, that are looked at to find those that no session
/// keeps alive, or those that live and belong to no active session.
const CLAIMS_MAX: u32 = 1_000;
/// Most activities of each waiting type that are looked at, the newest ones.
const QUESTIONS_MAX: u32 = 100;
/// How far the clocks of two processes may be apart.
const CLOCKS_APART_MICROS: i64 = 60_000_000;

/// The indexes of the parts: over an actor, and over an account.
pub(super) const SESSIONS: [&str; 2] = ["sessions_by_status", "sessions_of_account_by_status"];
const ENDED_SESSIONS: [&str; 2] = ["sessions_by_end", "sessions_of_account_by_end"];
const OPEN: [&str; 2] = ["todos_to_claim", "todos_to_claim_of_account"];
const UNCLAIMED: [&str; 2] = ["todos_unclaimed", "todos_unclaimed_of_account"];
pub(super) const DUE_TODOS: [&str; 2] = ["todos_due", "todos_due_of_account"];
pub(super) const ACTIVITIES: [&str; 2] = ["activities_by_time", "activities_of_account"];
const ACTIVITIES_BY_TYPE: [&str; 2] = ["activities_by_type", "activities_of_account_by_type"];
const STATUS_CHANGES: [&str; 2] = ["todo_logs_by_time", "todo_logs_of_account"];

/// What the statements of one brief have in common.
pub(super) struct Statements {
    pub(super) backend: DbBackend,
    pub(super) account: AccountId,
    pub(super) actor: Option<ActorId>,
    /// The session that the reader works in, if it names one.
    pub(super) reader: Option<SessionId>,
    /// Most rows of a list.
    pub(super) rows: u32,
}

/// The values of a statement, by their names in its text.
type Given<'a> = &'a [(&'a str, i64)];

impl Statements {
    /// The auth epoch of the caller's account, and the time of the database if it has a clock that
    /// all processes share.
    pub(super) fn head(&self) -> Statement {
        let clock = match self.backend {
            DbBackend::Postgres => {
                "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
            }
            _ => "NULL",
        };
        let sql = format!(
            "SELECT {clock} AS {AT}, (SELECT a.auth_epoch FROM accounts AS a \
             WHERE a.account_id = :account) AS {AUTH_EPOCH}"
        );
        self.statement(&sql, &[])
    }

    /// The stored counts of todos and sessions by their labels, and of all activities.
    pub(super) fn counts(&self) -> Statement {
        let whose = self.counted_of();
        let label = "CASE WHEN c.subject = 'activities' THEN '' ELSE c.label END";
        let sql = format!(
            "SELECT c.subject AS subject, {label} AS label, CAST(SUM(c.count) AS BIGINT) AS count \
             FROM counters AS c WHERE c.account_id = :account AND {whose} \
             AND c.subject IN ('sessions', 'todos', 'activities') GROUP BY c.subject, {label}"
        );
        self.statement(&sql, &[])
    }

    /// That stored counts `c` belong to the actor, or to any actor of the account. All actors are
    /// named, so that they are looked up one after the other.
    pub(super) const fn counted_of(&self) -> &'static str {
        match self.actor {
            Some(_) => "c.actor_id = :actor",
            None => {
                "c.actor_id IN (SELECT a.actor_id FROM actors AS a WHERE a.account_id = :account)"
            }
        }
    }

    /// The session that the reader names, the active one that started last, and the one that ended
    /// last.
    pub(super) fn sessions(&self) -> Statement {
        let whose = if self.actor.is_some() { " AND t.actor_id = :actor" } else { "" };
        let named = format!(
            "SELECT t.session_id FROM sessions AS t WHERE t.account_id = :account{whose} \
             AND t.session_id = :reader"
        );
        let started = self.parts("sessions", SESSIONS).map(|[source, whose]| {
            format!(
                "SELECT t.session_id, t.started_at FROM {source} \
                 WHERE t.account_id = :account AND {whose} AND t.status = 'active' \
                 ORDER BY t.started_at DESC, t.session_id DESC LIMIT 1"
            )
        });
        let ended = self.parts("sessions", ENDED_SESSIONS).map(|[source, whose]| {
            format!(
                "SELECT t.session_id, t.ended_at FROM {source} \
                 WHERE t.account_id = :account AND {whose} AND t.ended_at IS NOT NULL \
                 ORDER BY t.ended_at DESC, t.session_id DESC LIMIT 1"
            )
        });
        let keys = [
            (NAMED, named),
            (STARTED, first(started, "started_at DESC, session_id DESC", 1)),
            (ENDED, first(ended, "ended_at DESC, session_id DESC", 1)),
        ];
        let keys = keys.map(|(part, keys)| {
            columns(&format!("CAST({part} AS BIGINT) AS {PART}, session_id"), &keys)
        });
        let columns = format!(
            "t.*, k.{PART} AS {PART}, (SELECT a.last_active_at FROM session_activity AS a \
             WHERE a.account_id = :account AND a.session_id = t.session_id) AS {LAST_ACTIVE_AT}"
        );
        let sql = self.of_keys(
            &keys.join(" UNION ALL "),
            &columns,
            "sessions AS t WHERE t.account_id = :account AND t.session_id = k.session_id",
        );
        self.statement(&sql, &[])
    }

    /// The first todos of every list, some of them twice, and for each in progress whether the
    /// session of its claim is active. Among those in progress are the claims of `session`.
    pub(super) fn todos(&self, session: Option<SessionId>, now: Timestamp) -> Statement {
        let lists = [
            self.claims_of_session(),
            self.claims_left_over(),
            self.unclaimed(),
            self.claims_by_deadline(),
            self.lapsed_claims(),
            self.claims_by_session(),
            self.open("<"),
            self.open(">="),
        ];
        let columns_of_todo = format!(
            "{}, {} AS {UNTIL_AT}, \
             (SELECT a.is_open FROM session_activity AS a WHERE a.account_id = :account \
             AND a.session_id = t.claim_session_id) AS {IS_CLAIM_OPEN}",
            self.with_short_texts::<todos::Entity>(),
            until(),
        );
        let sql = self.of_keys(
            &lists.map(|list| columns("todo_id", &list)).join(" UNION ALL "),
            &columns_of_todo,
            "todos AS t WHERE t.account_id = :account AND t.todo_id = k.todo_id",
        );
        let sql = format!("WITH claims AS MATERIALIZED ({}) {sql}", self.claims());
        // Ids count from 1.
        let session = session.map_or(0, |session| session.0);
        self.statement(&sql, &[("session", session), ("now", now.micros())])
    }

    /// Todos whose claim lives and belongs to a session.
    fn claims_of_session(&self) -> String {
        let last_write = self.last_write();
        format!(
            "SELECT e.todo_id FROM (SELECT c.todo_id, c.priority, c.until_at, c.session_id, \
             c.lease_seconds FROM claim_deadlines AS c WHERE c.account_id = :account \
             AND c.session_id = :session LIMIT {CLAIMS_MAX}) AS e {last_write} \
             WHERE e.until_at > :now OR {} > :now \
             ORDER BY e.priority DESC, e.todo_id LIMIT {}",
            session_until("e"),
            self.rows
        )
    }

    /// The claims `c` that are looked at: of each priority those whose own deadline is ahead, the
    /// last ones first, and those that are past it, the oldest first. With each is whether its
    /// session is active, and until when the last write of its session keeps it alive.
    fn claims(&self) -> String {
        let [source, whose] = self.deadlines();
        let last_write = self.last_write();
        let parts = Priority::ALL.into_iter().flat_map(|priority| {
            let [source, whose] = [&source, &whose];
            [("> :now", "DESC"), ("<= :now", "ASC")].map(|(range, order)| {
                format!(
                    "SELECT e.todo_id, e.priority, e.until_at, e.session_id, a.is_open, {} \
                     AS session_until FROM (SELECT c.todo_id, c.priority, c.until_at, \
                     c.session_id, c.lease_seconds FROM {source} WHERE {whose} \
                     AND c.priority = {} AND c.until_at {range} \
                     ORDER BY c.until_at {order} LIMIT {CLAIMS_MAX}) AS e {last_write}",
                    session_until("e"),
                    priority.level(),
                )
            })
        });
        parts.collect::<Vec<_>>().join(" UNION ALL ")
    }

    /// The first todos of those claims for which `condition` holds.
    fn claims_where(&self, condition: &str, order: &str) -> String {
        format!(
            "SELECT c.todo_id FROM claims AS c WHERE {condition} \
             ORDER BY c.priority DESC, {order}c.todo_id LIMIT {}",
            self.rows
        )
    }

    /// Todos whose claim lives and belongs to no active session. Without a named session, a claim
    /// without a session is one of these.
    fn claims_left_over(&self) -> String {
        let has_session = match self.reader {
            Some(_) => " AND c.session_id IS NOT NULL",
            None => "",
        };
        let condition = format!(
            "(c.is_open IS NULL OR c.is_open = 0) \
             AND (c.until_at > :now OR c.session_until > :now){has_session}"
        );
        self.claims_where(&condition, "")
    }

    /// Todos whose claim lives by the writes with its token, those with the last deadline first.
    fn claims_by_deadline(&self) -> String {
        self.claims_where("c.until_at > :now", "c.until_at DESC, ")
    }

    /// Todos whose claim has lapsed.
    fn lapsed_claims(&self) -> String {
        self.claims_where(
            "c.until_at <= :now AND (c.session_until IS NULL OR c.session_until <= :now)",
            "c.until_at, ",
        )
    }

    /// Todos whose claim is past its own deadline, but lives by the writes of its session.
    fn claims_by_session(&self) -> String {
        self.claims_where("c.until_at <= :now AND c.session_until > :now", "c.until_at, ")
    }

    /// Todos in progress that nobody has claimed, in the order of claims.
    fn unclaimed(&self) -> String {
        let parts = self.parts("todos", UNCLAIMED).map(|[source, whose]| {
            format!(
                "SELECT t.todo_id, t.priority, {DUE} AS due_at, t.created_at FROM {source} \
                 WHERE t.account_id = :account AND {whose} AND t.status = 'in_progress' \
                 AND t.claimed_at IS NULL \
                 ORDER BY t.priority DESC, {DUE}, t.created_at, t.todo_id LIMIT {}",
                self.rows
            )
        });
        first(parts, "priority DESC, due_at, created_at, todo_id", self.rows)
    }

    /// Open todos in the order of claims: `<` for those past their due date, or `>=` for the
    /// others.
    pub(super) fn open(&self, compared: &str) -> String {
        let parts = Priority::ALL.into_iter().rev().flat_map(|priority| {
            self.parts("todos", OPEN).map(move |[source, whose]| {
                format!(
                    "SELECT t.todo_id, t.priority, {DUE} AS due_at, t.created_at FROM {source} \
                     WHERE t.account_id = :account AND {whose} AND t.status = 'open' \
                     AND t.priority = {} AND {DUE} {compared} :now \
                     ORDER BY {DUE}, t.created_at, t.todo_id LIMIT {}",
                    priority.level(),
                    self.rows
                )
            })
        });
        first(parts, "priority DESC, due_at, created_at, todo_id", self.rows)
    }

    /// The counts that are not stored, each up to [`COUNTED_MAX`], in this order: sessions that
    /// wait, older activities of these types, todos past their due date, those of them that are
    /// open, activities and status changes of the reported time.
    pub(super) fn numbers(&self, since: i64, now: Timestamp) -> Statement {
        let counted = |parts: Vec<String>| {
            let parts = parts.iter().map(|part| {
                format!("(SELECT COUNT(*) FROM ({part} LIMIT {COUNTED_MAX}) AS counted)")
            });
            parts.collect::<Vec<_>>().join(" + ")
        };
        let due = self.parts("todos", DUE_TODOS).map(|[source, whose]| {
            let part = format!(
                "SELECT t.status FROM {source} WHERE t.account_id = :account AND {whose} \
                 AND t.due_at IS NOT NULL AND t.status <> 'done' AND t.status <> 'cancelled' \
                 AND t.due_at < :now LIMIT {COUNTED_MAX}"
            );
            columns("status", &part)
        });
        let due = due.collect::<Vec<_>>().join(" UNION ALL ");
        let reported = |table: &str, indexes| {
            let parts = self.parts(table, indexes).map(|[source, whose]| {
                format!(
                    "SELECT t.logged_at FROM {source} WHERE t.account_id = :account \
                     AND {whose} AND t.logged_at >= :since"
                )
            });
            counted(parts.collect())
        };
        let activities = reported("activities", ACTIVITIES);
        let changes = reported("todo_logs", STATUS_CHANGES);
        let [questions, blocked] =
            WAITING_TYPES.map(|name| counted(self.waiting(name, Self::WAITING).collect()));
        let [older_questions, older_blocked] =
            WAITING_TYPES.map(|name| self.not_looked_at(name).collect::<Vec<_>>().join(" + "));
        let sql = format!(
            "SELECT {questions} AS questions, {blocked} AS blocked, \
             {older_questions} AS older_questions, {older_blocked} AS older_blocked, \
             due.overdue, due.overdue_open, {activities} AS activities, \
             {changes} AS status_changes FROM (SELECT COUNT(*) AS overdue, \
             COUNT(CASE WHEN status = 'open' THEN 1 END) AS overdue_open FROM ({due}) AS t) AS due"
        );
        self.statement(&sql, &[("since", since), ("now", now.micros())])
    }

    /// The sessions that a brief tells.
    const WAITING: WaitingSessions = WaitingSessions::ActiveOrIdle;

    /// The newest activities of a type that are [unanswered](Self::unanswered).
    pub(super) fn waiting(
        &self,
        name: &str,
        sessions: WaitingSessions,
    ) -> impl Iterator<Item = String> {
        self.parts("activities", ACTIVITIES_BY_TYPE).map(move |[source, whose]| {
            let newest = format!(
                "SELECT t.activity_id, t.session_id, t.logged_at, t.created_at FROM {source} \
                 WHERE t.account_id = :account AND {whose} AND t.activity_type = '{name}' \
                 ORDER BY t.logged_at DESC, t.activity_id DESC LIMIT {QUESTIONS_MAX}"
            );
            self.unanswered(&newest, sessions)
        })
    }

    /// Those of some activities after which nothing was logged in their session, if that is one of
    /// these sessions.
    ///
    /// What is later has the larger id. No index over a session is in the order of ids. So what was
    /// logged for the time at which it was created is found from that time on, and the rest by an
    /// index of its own.
    pub(super) fn unanswered(&self, activities: &str, sessions: WaitingSessions) -> String {
        // As `WaitingSessions::has` says.
        let is_waiting = match sessions {
            WaitingSessions::Active => "s.status = 'active'",
            WaitingSessions::ActiveOrIdle => "(s.status = 'active' OR s.is_idle = 1)",
        };
        let by_time = self.indexed("activities AS newer", "activities_by_session");
        let of_other_times = self.indexed("activities AS newer", "activities_of_other_times");
        let newer = "newer.account_id = :account AND newer.session_id = q.session_id \
                     AND newer.activity_id > q.activity_id";
        format!(
            "SELECT q.activity_id, q.logged_at FROM ({activities}) AS q \
             CROSS JOIN sessions AS s WHERE s.account_id = :account \
             AND s.session_id = q.session_id AND {is_waiting} \
             AND NOT EXISTS (SELECT 1 FROM {by_time} WHERE {newer} \
             AND newer.logged_at >= q.created_at - {CLOCKS_APART_MICROS}) \
             AND NOT EXISTS (SELECT 1 FROM {of_other_times} WHERE {newer} \
             AND newer.session_id IS NOT NULL AND newer.logged_at <> newer.created_at)"
        )
    }

    /// The numbers of activities of a type that are not looked at, up to [`COUNTED_MAX`].
    fn not_looked_at(&self, name: &str) -> impl Iterator<Item = String> {
        self.parts("activities", ACTIVITIES_BY_TYPE).map(move |[source, whose]| {
            format!(
                "(SELECT CASE WHEN COUNT(*) > {QUESTIONS_MAX} THEN COUNT(*) - {QUESTIONS_MAX} \
                 ELSE 0 END FROM (SELECT t.logged_at FROM {source} \
                 WHERE t.account_id = :account AND {whose} AND t.activity_type = '{name}' LIMIT {}) \
                 AS counted)",
                COUNTED_MAX + i64::from(QUESTIONS_MAX)
            )
        })
    }

    /// Activities by which sessions say that they wait, and the newest ones.
    pub(super) fn activities(&self, since: i64) -> Statement {
        let waiting = WAITING_TYPES.into_iter().flat_map(|name| self.waiting(name, Self::WAITING));
        let waiting = waiting.map(|part| {
            format!("{part} ORDER BY q.logged_at DESC, q.activity_id DESC LIMIT {}", self.rows)
        });
        let reported = self.parts("activities", ACTIVITIES).map(|[source, whose]| {
            format!(
                "SELECT t.activity_id, t.logged_at FROM {source} \
                 WHERE t.account_id = :account AND {whose} AND t.logged_at >= :since \
                 ORDER BY t.logged_at DESC, t.activity_id DESC LIMIT {}",
                self.rows
            )
        });
        let order = "logged_at DESC, activity_id DESC";
        let waiting = first(waiting, order, self.rows);
        let reported = first(reported, order, self.rows);
        let keys = [(WAITING, waiting), (REPORTED, reported)].map(|(part, keys)| {
            columns(&format!("CAST({part} AS BIGINT) AS {PART}, activity_id"), &keys)
        });
        let columns_of_activity =
            format!("k.{PART} AS {PART}, {}", self.with_short_texts::<activities::Entity>());
        let sql = self.of_keys(
            &keys.join(" UNION ALL "),
            &columns_of_activity,
            "activities AS t WHERE t.account_id = :account AND t.activity_id = k.activity_id",
        );
        self.statement(&sql, &[("since", since)])
    }

    /// The newest status changes, with their todos.
    pub(super) fn status_changes(&self, since: i64) -> Statement {
        let parts = self.parts("todo_logs", STATUS_CHANGES).map(|[source, whose]| {
            format!(
                "SELECT t.todo_id, t.log_id, t.logged_at FROM {source} \
                 WHERE t.account_id = :account AND {whose} AND t.logged_at >= :since \
                 ORDER BY t.logged_at DESC, t.log_id DESC LIMIT {}",
                self.rows
            )
        });
        let keys = first(parts, "logged_at DESC, log_id DESC", self.rows);
        let sql = self.of_keys(
            &keys,
            &format!("l.*, t.title AS {TODO_TITLE}, t.uid AS {TODO_UID}"),
            "todo_logs AS l CROSS JOIN todos AS t WHERE l.account_id = :account \
             AND l.todo_id = k.todo_id AND l.log_id = k.log_id AND t.account_id = :account \
             AND t.todo_id = k.todo_id",
        );
        self.statement(&sql, &[("since", since)])
    }

    /// The descriptions of these rows of a table, with their ids.
    pub(super) fn descriptions<const N: usize>(
        &self,
        table: &str,
        id: &str,
        ids: [i64; N],
    ) -> Statement {
        let names: Vec<_> = (0..N).map(|number| format!("id{number}")).collect();
        let listed = names.iter().map(|name| format!(":{name}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT t.{id} AS id, t.description AS description FROM {table} AS t \
             WHERE t.account_id = :account AND t.{id} IN ({listed})"
        );
        let given: Vec<_> = names.iter().map(String::as_str).zip(ids).collect();
        self.statement(&sql, &given)
    }

    /// What `columns` are of the rows `t` that `rows` finds by the keys `k`, each looked up
    /// separately: a join would scan all rows of the account when the planner has no statistics.
    pub(super) fn of_keys(&self, keys: &str, columns: &str, rows: &str) -> String {
        match self.backend {
            // In SQLite, CROSS JOIN fixes the order: the keys come first.
            DbBackend::Sqlite => {
                format!("SELECT {columns} FROM ({keys}) AS k CROSS JOIN {rows}")
            }
            _ => format!(
                "SELECT found.* FROM ({keys}) AS k, \
                 LATERAL (SELECT {columns} FROM {rows} OFFSET 0) AS found"
            ),
        }
    }

    /// Joins the last write `a` to the session of each claim `e`, looked up separately too.
    const fn last_write(&self) -> &'static str {
        match self.backend {
            DbBackend::Sqlite => {
                "LEFT JOIN session_activity AS a \
                 ON a.account_id = :account AND a.session_id = e.session_id"
            }
            _ => {
                "LEFT JOIN LATERAL (SELECT w.last_active_at, w.is_open FROM session_activity AS w \
                 WHERE w.account_id = :account AND w.session_id = e.session_id OFFSET 0) AS a \
                 ON TRUE"
            }
        }
    }

    /// The columns to read rows of a table `t` as they are shown, with an empty description instead
    /// of a long one.
    pub(super) fn with_short_texts<E: Shown>(&self) -> String {
        let empty =
            if self.backend == DbBackend::Postgres { r"CAST('\x' AS BYTEA)" } else { "x''" };
        let short = format!(
            "CASE WHEN LENGTH(t.description) > {SHORT_TEXTS_MAX_BYTES} THEN {empty} \
             ELSE t.description END AS description"
        );
        E::selected("t", ":account").replace("t.description AS description", &short)
    }

    /// The rows `t` of a table in the order of an index, as a source and a condition: those of the
    /// actor in that of the first index. For all actors those are the owner's, and the others are
    /// in the order of the second one, over the account.
    pub(super) fn parts(
        &self,
        table: &str,
        [own, of_account]: [&str; 2],
    ) -> std::vec::IntoIter<[String; 2]> {
        let source = |index| self.indexed(&format!("{table} AS t"), index);
        let owner = NewAccount::OWNER.0;
        let parts = match self.actor {
            Some(_) => vec![[source(own), "t.actor_id = :actor".to_owned()]],
            None => vec![
                [source(own), format!("t.actor_id = {owner}")],
                [source(of_account), format!("t.actor_id <> {owner}")],
            ],
        };
        parts.into_iter()
    }

    /// A table of which an index is used. SQLite has no statistics here: it would choose an index
    /// that matches more columns, and then sort all that it finds.
    pub(super) fn indexed(&self, table: &str, index: &str) -> String {
        match self.backend {
            DbBackend::Sqlite => format!("{table} INDEXED BY {index}"),
            _ => table.to_owned(),
        }
    }

    /// Deadlines `c` by their end, as a source and a condition.
    fn deadlines(&self) -> [String; 2] {
        let (index, condition) = match self.actor {
            Some(_) => ("claim_deadlines_by_end", " AND c.actor_id = :actor"),
            None => ("claim_deadlines_of_account", ""),
        };
        let source = self.indexed("claim_deadlines AS c", index);
        [source, format!("c.account_id = :account{condition}")]
    }

    /// A statement with the values of its names, of which each begins with a colon. SQLite counts
    /// values in the order in which a text names them first.
    pub(super) fn statement(&self, text: &str, given: Given<'_>) -> Statement {
        let mut names = Vec::<&str>::new();
        let mut values = Vec::<Value>::new();
        let mut parts = text.split(':');
        let mut sql = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let length = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, rest) = part.split_at(length.unwrap_or(part.len()));
            let place = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                values.push(self.value(name, given).into());
                names.len() - 1
            });
            sql.push('$');
            sql.push_str(&(place + 1).to_string());
            sql.push_str(rest);
        }
        Statement::from_sql_and_values(self.backend, sql, values)
    }

    fn value(&self, name: &str, given: Given<'_>) -> i64 {
        match name {
            "account" => self.account.0,
            "reader" => self.reader.map_or(0, |session| session.0),
            "actor" => self.actor.map_or(0, |actor| actor.0),
            _ => given.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value),
        }
    }
}

/// Until when the claim of a todo `t` lives.
pub(super) fn until() -> String {
    let by_session = session_until("c");
    format!(
        "(SELECT CASE WHEN {by_session} > c.until_at THEN {by_session} \
         ELSE c.until_at END FROM claim_deadlines AS c LEFT JOIN session_activity AS a \
         ON a.account_id = :account AND a.session_id = c.session_id \
         WHERE c.account_id = :account AND c.todo_id = t.todo_id)"
    )
}

/// Until when the last write `a` of its session keeps this claim alive, if it has a session.
fn session_until(claim: &str) -> String {
    format!("a.last_active_at + ({claim}.lease_seconds + {HEARTBEAT_EVERY_SECONDS}) * 1000000")
}
