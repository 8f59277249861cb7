//! The statements of a dashboard, made as those of a brief are: each finds keys by ranges of
//! indexes with a limit, and looks their rows up one by one.

use roots_domain::model::brief::{WAITING_TYPES, WaitingSessions};
use roots_domain::model::dashboard::DashboardSpans;
use roots_domain::model::id::ActorId;
use roots_domain::model::time::{QuarterHour, Timestamp};
use roots_domain::port::store::{
    AGENTS_MAX, EXPIRING_KEYS_MAX, IN_PROGRESS_MAX, LANE_SESSIONS_MAX, LATEST_MAX,
    OPEN_SESSIONS_MAX, OVERDUE_MAX, WAITING_SESSIONS_MAX,
};
use sea_orm::{DbBackend, Statement};

use super::brief_statements::{
    ACTIVITIES, AT, AUTH_EPOCH, DUE_TODOS, LAST_ACTIVE_AT, PART, SESSIONS, Statements, UNTIL_AT,
    until,
};
use super::queries::{columns, first};
use crate::table::activities;
use crate::table::shown::Shown;
use crate::table::todos;

/// The columns of the results that no table has.
pub(super) const BALANCE: &str = "balance";
pub(super) const LAST_ENTRY_AT: &str = "last_entry_at";
pub(super) const WORK_SESSION: &str = "work_session";
pub(super) const WORK_STATUS: &str = "work_status";
pub(super) const WORK_ENDED_AT: &str = "work_ended_at";
pub(super) const NEXT_DUE_AT: &str = "next_due_at";
pub(super) const SPENT_WHOLE_DAYS: &str = "spent_whole_days";
pub(super) const SPENT_LAST_DAY: &str = "spent_last_day";
/// The values of the column [`PART`] of todos.
const IN_PROGRESS: i64 = 0;
pub(super) const OVERDUE: i64 = 1;
pub(super) const NEXT: i64 = 2;
/// The values of the column [`PART`] of activities.
pub(super) const WAITS: i64 = 0;
const LATEST: i64 = 1;

/// The indexes of the parts: over an actor, and over an account.
const IN_PROGRESS_TODOS: [&str; 2] = ["todos_in_progress", "todos_in_progress_of_account"];
const SESSIONS_BY_START: [&str; 2] = ["sessions_by_start", "sessions_of_account"];
const SESSIONS_BY_WINDOW: [&str; 2] = ["sessions_by_window", "sessions_of_account_by_window"];
/// The `end_at` of active sessions.
const NEVER: i64 = i64::MAX;
/// Most sessions that ended in a range or after it among which the earlier ones are found.
const ENDED_SEEN_MAX: u32 = 1_000;

impl Statements {
    /// The auth epoch and the balance of the caller's account, and the time of the database if it
    /// has a clock that all processes share.
    pub(super) fn dashboard_head(&self) -> Statement {
        let clock = match self.backend {
            DbBackend::Postgres => {
                "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
            }
            _ => "NULL",
        };
        let sql = format!(
            "SELECT {clock} AS {AT}, a.auth_epoch AS {AUTH_EPOCH}, a.balance AS {BALANCE} \
             FROM accounts AS a WHERE a.account_id = :account"
        );
        self.statement(&sql, &[])
    }

    /// The first active actors after one, and one more, and when the newest entry of each was
    /// written. An actor that is chosen need not be active.
    pub(super) fn agents(&self, after: Option<ActorId>) -> Statement {
        let newest = self.indexed("activities AS x", "activities_by_time");
        let sql = format!(
            "SELECT a.*, (SELECT x.created_at FROM {newest} WHERE x.account_id = :account \
             AND x.actor_id = a.actor_id ORDER BY x.logged_at DESC, x.activity_id DESC LIMIT 1) \
             AS {LAST_ENTRY_AT} FROM ({}) AS a",
            self.first_actors("*")
        );
        self.statement(&sql, &[("after", after.map_or(0, |actor| actor.0))])
    }

    fn first_actors(&self, columns: &str) -> String {
        let whose = match self.actor {
            Some(_) => "actor_id = :actor",
            None => "actor_id > :after AND is_active = 1",
        };
        format!(
            "SELECT {columns} FROM actors WHERE account_id = :account AND {whose} \
             ORDER BY actor_id LIMIT {}",
            AGENTS_MAX + 1
        )
    }

    /// Active sessions: those that have been silent longest or were written to last, and the newest
    /// one of each agent.
    pub(super) fn open_sessions(&self, after: Option<ActorId>) -> Statement {
        let of_agent = self.indexed("sessions AS t", SESSIONS[0]);
        let of_agents = format!(
            "SELECT (SELECT t.session_id FROM {of_agent} WHERE t.account_id = :account \
             AND t.actor_id = a.actor_id AND t.status = 'active' \
             ORDER BY t.started_at DESC, t.session_id DESC LIMIT 1) AS session_id \
             FROM ({}) AS a",
            self.first_actors("actor_id")
        );
        let by_silence = |order| self.sessions_by_silence(order, OPEN_SESSIONS_MAX);
        let keys = [by_silence("ASC"), by_silence("DESC"), of_agents];
        let keys = keys.map(|part| columns("session_id", &part));
        let sql = self.of_keys(
            &keys.join(" UNION "),
            &format!(
                "t.session_id AS session_id, t.actor_id AS actor_id, t.started_at AS started_at, \
                 (SELECT a.last_active_at FROM session_activity AS a \
                 WHERE a.account_id = :account AND a.session_id = t.session_id) AS {LAST_ACTIVE_AT}"
            ),
            "sessions AS t WHERE t.account_id = :account AND t.session_id = k.session_id \
             AND t.status = 'active'",
        );
        self.statement(&sql, &[("after", after.map_or(0, |actor| actor.0))])
    }

    /// Active sessions by their last write. Those of one actor are in the order of their start:
    /// it has few.
    fn sessions_by_silence(&self, order: &str, most: u32) -> String {
        if self.actor.is_none() {
            let source = self.indexed("session_activity AS a", "session_activity_open");
            return format!(
                "SELECT a.session_id FROM {source} WHERE a.account_id = :account \
                 AND a.is_open = 1 ORDER BY a.last_active_at {order}, a.session_id {order} \
                 LIMIT {most}"
            );
        }
        let source = self.indexed("sessions AS t", SESSIONS[0]);
        format!(
            "SELECT t.session_id FROM {source} WHERE t.account_id = :account \
             AND t.actor_id = :actor AND t.status = 'active' \
             ORDER BY t.started_at {order}, t.session_id {order} LIMIT {most}"
        )
    }

    /// Todos in progress and todos past their due date, the oldest of both, and the first open ones
    /// in the order of claims. `self.rows` is how many of the last ones.
    pub(super) fn dashboard_todos(&self, now: Timestamp) -> Statement {
        let in_progress = self.parts("todos", IN_PROGRESS_TODOS).map(|[source, whose]| {
            format!(
                "SELECT t.todo_id, t.status_since FROM {source} WHERE t.account_id = :account \
                 AND {whose} AND t.status = 'in_progress' \
                 ORDER BY t.status_since, t.todo_id LIMIT {IN_PROGRESS_MAX}"
            )
        });
        let overdue = self.parts("todos", DUE_TODOS).map(|[source, whose]| {
            format!(
                "SELECT t.todo_id, t.due_at FROM {source} WHERE t.account_id = :account \
                 AND {whose} AND t.due_at IS NOT NULL AND t.status <> 'done' \
                 AND t.status <> 'cancelled' AND t.due_at < :now \
                 ORDER BY t.due_at, t.todo_id LIMIT {}",
                OVERDUE_MAX + 1
            )
        });
        let in_claim_order = |range: &str| {
            let keys = self.open(range);
            columns(&format!("CAST({NEXT} AS BIGINT) AS {PART}, todo_id"), &keys)
        };
        let of_part = |part: i64, keys: &str| {
            columns(&format!("CAST({part} AS BIGINT) AS {PART}, todo_id"), keys)
        };
        let keys = [
            of_part(IN_PROGRESS, &first(in_progress, "status_since, todo_id", IN_PROGRESS_MAX)),
            of_part(OVERDUE, &first(overdue, "due_at, todo_id", OVERDUE_MAX + 1)),
            in_claim_order("<"),
            in_claim_order(">="),
        ];
        let bytes = if self.backend == DbBackend::Postgres { "BYTEA" } else { "BLOB" };
        let none = format!("CAST(NULL AS {bytes}) AS description");
        let todo =
            todos::Entity::selected("t", ":account").replace("t.description AS description", &none);
        let rows = self.of_keys(
            &keys.join(" UNION ALL "),
            &format!("k.{PART} AS {PART}, {todo}, {} AS {UNTIL_AT}", until()),
            "todos AS t WHERE t.account_id = :account AND t.todo_id = k.todo_id",
        );
        let of_work = |column: &str| {
            format!(
                "(SELECT s.{column} FROM sessions AS s WHERE s.account_id = :account \
                 AND s.session_id = w.{WORK_SESSION})"
            )
        };
        let sql = format!(
            "SELECT w.*, {} AS {WORK_STATUS}, {} AS {WORK_ENDED_AT} FROM (SELECT r.*, \
             COALESCE(r.claim_session_id, r.session_id) AS {WORK_SESSION} FROM ({rows}) AS r) AS w",
            of_work("status"),
            of_work("ended_at"),
        );
        self.statement(&sql, &[("now", now.micros())])
    }

    /// Activities by which sessions say that they wait, and the newest ones.
    ///
    /// The newest activities of the waiting types are looked at, as in a brief. A session that has
    /// waited for long may have asked before all of them, so the latest entries of the sessions
    /// that have been silent longest are looked at too.
    pub(super) fn dashboard_activities(&self) -> Statement {
        let active = WaitingSessions::Active;
        let newest = WAITING_TYPES.into_iter().flat_map(|name| self.waiting(name, active));
        let newest = newest.map(|part| columns("activity_id", &part));
        let long_ago = columns("activity_id", &self.unanswered(&self.latest_entries(), active));
        let waiting = newest.chain([long_ago]).collect::<Vec<_>>().join(" UNION ");
        let latest = self.parts("activities", ACTIVITIES).map(|[source, whose]| {
            format!(
                "SELECT t.activity_id, t.logged_at FROM {source} \
                 WHERE t.account_id = :account AND {whose} \
                 ORDER BY t.logged_at DESC, t.activity_id DESC LIMIT {LATEST_MAX}"
            )
        });
        let latest = first(latest, "logged_at DESC, activity_id DESC", LATEST_MAX);
        let keys = [(WAITS, waiting), (LATEST, latest)].map(|(part, keys)| {
            columns(&format!("CAST({part} AS BIGINT) AS {PART}, activity_id"), &keys)
        });
        let sql = self.of_keys(
            &keys.join(" UNION ALL "),
            &format!("k.{PART} AS {PART}, {}", self.with_short_texts::<activities::Entity>()),
            "activities AS t WHERE t.account_id = :account AND t.activity_id = k.activity_id",
        );
        self.statement(&sql, &[])
    }

    /// The entries of a waiting type among the latest ones of the sessions that have been silent
    /// longest. The latest has the largest id: it is the newest by its time, or it was logged for
    /// another time.
    fn latest_entries(&self) -> String {
        let by_time = self.indexed("activities AS n", "activities_by_session");
        let of_other_times = self.indexed("activities AS n", "activities_of_other_times");
        let of_session = "n.account_id = :account AND n.session_id = s.session_id";
        let ids = format!(
            "SELECT COALESCE((SELECT n.activity_id FROM {by_time} WHERE {of_session} \
             ORDER BY n.logged_at DESC, n.activity_id DESC LIMIT 1), 0) AS newest, \
             COALESCE((SELECT n.activity_id FROM {of_other_times} WHERE {of_session} \
             AND n.session_id IS NOT NULL AND n.logged_at <> n.created_at \
             ORDER BY n.activity_id DESC LIMIT 1), 0) AS other FROM ({}) AS s",
            self.sessions_by_silence("ASC", WAITING_SESSIONS_MAX)
        );
        let ids = format!(
            "SELECT CASE WHEN newest > other THEN newest ELSE other END AS activity_id \
             FROM ({ids}) AS i"
        );
        let types = WAITING_TYPES.map(|name| format!("'{name}'")).join(", ");
        self.of_keys(
            &ids,
            "t.activity_id, t.session_id, t.logged_at, t.created_at",
            &format!(
                "activities AS t WHERE t.account_id = :account AND t.activity_id = k.activity_id \
                 AND t.activity_type IN ({types})"
            ),
        )
    }

    /// The sessions that overlap a range: those that started in it, those that started earlier and
    /// ended in it or after, by their ends, and those that are active. One more than are drawn.
    pub(super) fn lane_sessions(&self, since: Timestamp, until: Timestamp) -> Statement {
        let most = LANE_SESSIONS_MAX + 1;
        let started = self.parts("sessions", SESSIONS_BY_START).map(|[source, whose]| {
            format!(
                "SELECT t.session_id FROM {source} WHERE t.account_id = :account AND {whose} \
                 AND t.started_at BETWEEN :since AND :until \
                 ORDER BY t.started_at DESC, t.session_id DESC LIMIT {most}"
            )
        });
        let ended = self.parts("sessions", SESSIONS_BY_WINDOW).map(|[source, whose]| {
            format!(
                "SELECT e.session_id FROM (SELECT t.session_id, t.started_at FROM {source} \
                 WHERE t.account_id = :account AND {whose} AND t.end_at >= :since \
                 AND t.end_at < {NEVER} ORDER BY t.end_at, t.started_at, t.session_id \
                 LIMIT {ENDED_SEEN_MAX}) AS e WHERE e.started_at < :since"
            )
        });
        let active = self.parts("sessions", SESSIONS_BY_WINDOW).map(|[source, whose]| {
            format!(
                "SELECT t.session_id FROM {source} WHERE t.account_id = :account AND {whose} \
                 AND t.end_at = {NEVER} AND t.started_at < :since \
                 ORDER BY t.started_at DESC, t.session_id DESC LIMIT {most}"
            )
        });
        let parts = started.chain(ended).chain(active).map(|part| columns("session_id", &part));
        let sql = self.of_keys(
            &parts.collect::<Vec<_>>().join(" UNION "),
            &format!(
                "t.session_id AS session_id, t.actor_id AS actor_id, t.started_at AS started_at, \
                 t.ended_at AS ended_at, (SELECT a.last_active_at FROM session_activity AS a \
                 WHERE a.account_id = :account AND a.session_id = t.session_id) AS {LAST_ACTIVE_AT}"
            ),
            "sessions AS t WHERE t.account_id = :account AND t.session_id = k.session_id",
        );
        self.statement(&sql, &[("since", since.micros()), ("until", until.micros())])
    }

    /// Keys that expire before `soon`, the first one first.
    pub(super) fn expiring_keys(&self, now: Timestamp, soon: Timestamp) -> Statement {
        let source = self.indexed("api_keys AS t", "api_keys_by_expiry");
        let whose = if self.actor.is_some() { " AND t.actor_id = :actor" } else { "" };
        let sql = format!(
            "SELECT t.key_id AS key_id, t.actor_id AS actor_id, t.prefix AS prefix, \
             t.label AS label, t.expires_at AS expires_at FROM {source} \
             WHERE t.account_id = :account{whose} AND t.expires_at IS NOT NULL AND t.is_ended = 0 \
             AND t.ends_at IS NULL AND t.expires_at > :now AND t.expires_at < :soon \
             ORDER BY t.expires_at, t.key_id LIMIT {}",
            EXPIRING_KEYS_MAX + 1
        );
        self.statement(&sql, &[("now", now.micros()), ("soon", soon.micros())])
    }

    /// The activities of some quarter hours, by actor and type.
    pub(super) fn activities_by_actor(
        &self,
        (since, until): (QuarterHour, QuarterHour),
    ) -> Statement {
        let whose = self.counted_of();
        let sql = format!(
            "SELECT c.actor_id AS actor_id, c.activity_type AS activity_type, \
             CAST(SUM(c.count) AS BIGINT) AS count FROM activity_quarter_hours AS c \
             WHERE c.account_id = :account AND {whose} AND c.quarter BETWEEN :first AND :last \
             GROUP BY c.actor_id, c.activity_type"
        );
        self.statement(&sql, &[("first", since.0), ("last", until.0)])
    }

    /// The activities of each of some quarter hours.
    pub(super) fn activities_by_quarter_hour(
        &self,
        (since, until): (QuarterHour, QuarterHour),
    ) -> Statement {
        let whose = self.counted_of();
        let sql = format!(
            "SELECT c.quarter AS quarter, CAST(SUM(c.count) AS BIGINT) AS count \
             FROM activity_quarter_hours AS c WHERE c.account_id = :account AND {whose} \
             AND c.quarter BETWEEN :first AND :last GROUP BY c.quarter"
        );
        self.statement(&sql, &[("first", since.0), ("last", until.0)])
    }

    /// The next due date, and the credits that the account spent in two spans.
    pub(super) fn dashboard_numbers(&self, now: Timestamp, spans: &DashboardSpans) -> Statement {
        let due = self.parts("todos", DUE_TODOS).map(|[source, whose]| {
            let part = format!(
                "SELECT t.due_at FROM {source} WHERE t.account_id = :account AND {whose} \
                 AND t.due_at IS NOT NULL AND t.status <> 'done' AND t.status <> 'cancelled' \
                 AND t.due_at >= :now ORDER BY t.due_at LIMIT 1"
            );
            columns("due_at", &part)
        });
        let due = due.collect::<Vec<_>>().join(" UNION ALL ");
        let spent = |from: &str, to: &str| {
            format!(
                "(SELECT CAST(COALESCE(SUM(c.credits_spent), 0) AS BIGINT) \
                 FROM work_quarter_hours AS c WHERE c.account_id = :account \
                 AND c.quarter BETWEEN :{from} AND :{to})"
            )
        };
        let sql = format!(
            "SELECT (SELECT MIN(d.due_at) FROM ({due}) AS d) AS {NEXT_DUE_AT}, \
             {} AS {SPENT_WHOLE_DAYS}, {} AS {SPENT_LAST_DAY}",
            spent("whole_first", "whole_last"),
            spent("day_first", "day_last"),
        );
        let (whole, day) = (spans.whole_days, spans.last_day);
        let given = [
            ("now", now.micros()),
            ("whole_first", whole.0.0),
            ("whole_last", whole.1.0),
            ("day_first", day.0.0),
            ("day_last", day.1.0),
        ];
        self.statement(&sql, &given)
    }
}
