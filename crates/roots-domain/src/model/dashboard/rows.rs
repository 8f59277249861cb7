//! What the database tells for a dashboard.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::account::Actor;
use crate::model::activity::Activity;
use crate::model::brief::TodoCounts;
use crate::model::forecast::Spending;
use crate::model::id::{ActorId, KeyId, SessionId, TodoId, Uid};
use crate::model::session::SessionActivity;
use crate::model::text::{ActivityType, Name};
use crate::model::time::Timestamp;
use crate::model::todo::{Priority, TodoStatus};

/// Most actors whose activities of today are told one by one.
pub const BUSIEST_MAX: usize = 12;

/// The rows of a dashboard, of one snapshot. `T` is the type of their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardRows<T> {
    /// When they were read, by the clock that judges deadlines.
    pub at: Timestamp,
    /// Active actors, by id: the first ones, or those after one that the query names.
    pub agents: Vec<AgentRow>,
    /// Whether more active actors follow.
    pub has_more_agents: bool,
    /// Active sessions: those that have been silent longest, those that were written to last, and
    /// the newest of each of the agents, each once, in any order.
    pub sessions: Vec<OpenSession>,
    /// Activities of a waiting type after which nothing was logged in their session, if that is one
    /// of [`WaitingSessions::Active`](crate::model::brief::WaitingSessions::Active). Each once, in
    /// any order.
    pub waiting: Vec<Activity<T>>,
    /// Todos in progress and todos past their due date, the oldest of both, each once.
    pub todos: Vec<DashboardTodo<T>>,
    /// Whether more todos are past their due date than are read.
    pub has_more_overdue: bool,
    /// The first open todos in the order of claims.
    pub next_up: Vec<DashboardTodo<T>>,
    /// The next due date of a todo that is open or in progress.
    pub next_due_at: Option<Timestamp>,
    /// The newest activities, the newest first.
    pub latest: Vec<Activity<T>>,
    /// Keys that expire soon, the first one first.
    pub keys: Vec<ExpiringKey>,
    /// Whether more keys expire soon than are read.
    pub has_more_keys: bool,
    /// The activities of today, by actor and type.
    pub today: Vec<(ActorId, ActivityType, i64)>,
    /// The credits of the account.
    pub spending: Spending,
    /// How many rows there are.
    pub counts: DashboardCounts,
}

/// What an operator sets for the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DashboardRules {
    /// An active session is quiet after so many seconds without a write; `None` for never.
    pub quiet_after_seconds: Option<i64>,
}

/// An agent, or a person who works like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRow {
    /// The actor.
    pub actor: Actor,
    /// When its newest entry was written.
    pub last_entry_at: Option<Timestamp>,
}

/// An active session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSession {
    /// Its id.
    pub id: SessionId,
    /// Its actor.
    pub actor: ActorId,
    /// When it started.
    pub started_at: Timestamp,
    /// The last write that named it, up to a minute behind.
    pub last_active_at: Timestamp,
}

impl OpenSession {
    /// Its signs of life.
    #[must_use]
    pub const fn activity(&self) -> SessionActivity {
        SessionActivity { session: self.id, last_active_at: self.last_active_at, is_open: true }
    }
}

/// The session in which a todo is worked on: that of its claim, or else the one it is linked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TodoSession {
    /// It has none.
    None,
    /// An active one.
    Active(SessionId),
    /// One that has ended.
    Ended {
        /// Its id.
        id: SessionId,
        /// When it ended.
        at: Timestamp,
    },
    /// One that was deleted.
    Deleted,
}

/// A todo of a dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardTodo<T> {
    /// Its id.
    pub id: TodoId,
    /// Its identity.
    pub uid: Uid,
    /// Its actor.
    pub actor: ActorId,
    /// Its title.
    pub title: T,
    /// Its status.
    pub status: TodoStatus,
    /// Since when it has that status.
    pub status_since: Timestamp,
    /// Its priority.
    pub priority: Priority,
    /// When it is due.
    pub due_at: Option<Timestamp>,
    /// The session in which it is worked on.
    pub session: TodoSession,
    /// When it was claimed, if a claim stands.
    pub claimed_at: Option<Timestamp>,
    /// Until when that claim lives.
    pub claim_until: Option<Timestamp>,
}

impl<T> DashboardTodo<T> {
    /// Whether its claim has lapsed.
    #[must_use]
    pub fn is_lapsed(&self, now: Timestamp) -> bool {
        self.claim_until.is_some_and(|until| until <= now)
    }

    /// The instant from which it is past its due date, as a brief and the filter `overdue` judge.
    #[must_use]
    pub fn overdue_from(&self) -> Option<Timestamp> {
        self.status.overdue_from(self.due_at)
    }
}

impl<T> DashboardTodo<T> {
    /// The same with another title.
    #[must_use]
    pub fn with_title<U>(self, title: U) -> DashboardTodo<U> {
        let Self { id, uid, actor, status, status_since, priority, due_at, .. } = self;
        let Self { session, claimed_at, claim_until, .. } = self;
        DashboardTodo {
            id,
            uid,
            actor,
            title,
            status,
            status_since,
            priority,
            due_at,
            session,
            claimed_at,
            claim_until,
        }
    }
}

/// A key that expires soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringKey {
    /// Its id.
    pub id: KeyId,
    /// Its actor.
    pub actor: ActorId,
    /// Its first characters.
    pub prefix: String,
    /// Its label.
    pub label: Option<Name>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DashboardCounts {
    /// All todos.
    pub todos: TodoCounts,
    /// Active sessions.
    pub sessions_active: i64,
    /// Ended sessions.
    pub sessions_ended: i64,
    /// Activities.
    pub activities: i64,
}

impl<T> DashboardRows<T> {
    /// Whether nothing was ever written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let DashboardCounts { todos, sessions_active, sessions_ended, activities } = self.counts;
        let todos = todos.open + todos.in_progress + todos.done + todos.cancelled;
        todos + sessions_active + sessions_ended + activities == 0
    }

    /// The number of todos in progress that are not read: the newest ones.
    #[must_use]
    pub fn todos_left_out(&self) -> i64 {
        let read = self.todos.iter().filter(|todo| todo.status == TodoStatus::InProgress).count();
        let read = i64::try_from(read).unwrap_or(i64::MAX);
        self.counts.todos.in_progress.saturating_sub(read).max(0)
    }

    /// Whether all todos in progress are read. If not, an agent may work on others.
    #[must_use]
    pub fn has_all_in_progress(&self) -> bool {
        self.todos_left_out() == 0
    }

    /// The actors that logged the most activities today, the busiest first, at most
    /// [`BUSIEST_MAX`].
    pub fn busiest_today(&self) -> impl Iterator<Item = ActorId> + use<T> {
        let mut entries = BTreeMap::<ActorId, i64>::new();
        for (actor, _, count) in &self.today {
            let sum = entries.entry(*actor).or_default();
            *sum = sum.saturating_add(*count);
        }
        let mut busiest: Vec<_> = entries.into_iter().collect();
        busiest.sort_by_key(|(actor, count)| (Reverse(*count), *actor));
        busiest.into_iter().take(BUSIEST_MAX).map(|(actor, _)| actor)
    }

    /// The number of active sessions that are not read.
    #[must_use]
    pub fn sessions_left_out(&self) -> i64 {
        let read = i64::try_from(self.sessions.len()).unwrap_or(i64::MAX);
        self.counts.sessions_active.saturating_sub(read).max(0)
    }

    /// Whether all that is in progress, active, overdue or expires soon is read. If not, more of it
    /// may need a person.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let has_all = !self.has_more_overdue && !self.has_more_keys && self.has_all_in_progress();
        has_all && self.sessions_left_out() == 0
    }

    /// The actors of all rows.
    pub fn actors(&self) -> impl Iterator<Item = ActorId> {
        let agents = self.agents.iter().map(|agent| agent.actor.id);
        let sessions = self.sessions.iter().map(|session| session.actor);
        let todos = self.todos.iter().chain(&self.next_up).map(|todo| todo.actor);
        let entries = self.waiting.iter().chain(&self.latest).map(|entry| entry.actor);
        let rest = self.keys.iter().map(|key| key.actor);
        agents.chain(sessions).chain(todos).chain(entries).chain(rest)
    }

    /// The texts of all rows, each with the actor of its row.
    pub fn texts(&self) -> impl Iterator<Item = (ActorId, &T)> {
        let todos = self.todos.iter().chain(&self.next_up).map(|todo| (todo.actor, &todo.title));
        let entries = self.waiting.iter().chain(&self.latest);
        todos.chain(entries.map(|entry| (entry.actor, &entry.description)))
    }

    /// The todo with that id, among those that are read.
    #[must_use]
    pub fn todo(&self, id: TodoId) -> Option<&DashboardTodo<T>> {
        self.todos.iter().find(|todo| todo.id == id)
    }

    /// The active session with that id, among those that are read.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<&OpenSession> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// The name of an actor, if it is read.
    #[must_use]
    pub fn name(&self, actor: ActorId) -> Option<&Name> {
        let found = self.agents.iter().find(|agent| agent.actor.id == actor);
        found.map(|agent| &agent.actor.name)
    }
}
