//! What each agent works on.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::rows::{AgentRow, DashboardRows, DashboardRules, DashboardTodo, OpenSession};
use crate::model::id::{ActorId, SessionId, TodoId};
use crate::model::time::Timestamp;
use crate::model::todo::TodoStatus;

/// What an agent does, by what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgentState {
    /// One of its sessions waits for a person.
    Waiting,
    /// It writes.
    Working,
    /// It has an active session, but writes nothing.
    Quiet,
    /// It has no active session and has written nothing of late.
    Idle,
}

impl AgentState {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Working => "working",
            Self::Quiet => "quiet",
            Self::Idle => "idle",
        }
    }
}

/// An agent and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentAtWork {
    /// The agent.
    pub actor: ActorId,
    /// What it does.
    pub state: AgentState,
    /// Its todos in progress that are read, the one that was begun last first.
    pub todos: Vec<TodoId>,
    /// Its active session that was written to last.
    pub session: Option<SessionId>,
    /// Since when it works: on the first of the todos, or else in the session.
    pub since: Option<Timestamp>,
    /// The last thing that it wrote.
    pub last_sign_at: Option<Timestamp>,
}

impl AgentAtWork {
    /// Whether it has anything to do with work now.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        !matches!(self.state, AgentState::Idle) || !self.todos.is_empty()
    }
}

/// The rows of one agent.
struct Work<'a, T> {
    agent: Option<&'a AgentRow>,
    sessions: Vec<&'a OpenSession>,
    todos: Vec<&'a DashboardTodo<T>>,
}

impl<T> Default for Work<'_, T> {
    fn default() -> Self {
        Self { agent: None, sessions: Vec::new(), todos: Vec::new() }
    }
}

impl<T> DashboardRows<T> {
    /// Each agent and what it does, the oldest sign of life last. Those that have active sessions
    /// or todos in progress are told even if the agents that are read lack them.
    #[must_use]
    pub fn at_work(&self, rules: DashboardRules) -> Vec<AgentAtWork> {
        let mut by_actor = BTreeMap::<ActorId, Work<'_, T>>::new();
        for agent in &self.agents {
            by_actor.entry(agent.actor.id).or_default().agent = Some(agent);
        }
        for session in &self.sessions {
            by_actor.entry(session.actor).or_default().sessions.push(session);
        }
        for todo in self.todos.iter().filter(|todo| todo.status == TodoStatus::InProgress) {
            by_actor.entry(todo.actor).or_default().todos.push(todo);
        }
        let works = by_actor.into_iter().map(|(actor, work)| self.of_agent(actor, work, rules));
        let mut agents: Vec<_> = works.collect();
        agents.sort_by_key(|agent| (Reverse(agent.last_sign_at), agent.actor));
        agents
    }

    fn of_agent(
        &self,
        actor: ActorId,
        mut work: Work<'_, T>,
        rules: DashboardRules,
    ) -> AgentAtWork {
        work.todos.sort_by_key(|todo| (Reverse(todo.status_since), todo.id));
        let latest = work.sessions.iter().max_by_key(|one| (one.last_active_at, one.id));
        let last_entry_at = work.agent.and_then(|agent| agent.last_entry_at);
        let in_session = latest.map(|session| session.last_active_at);
        let claimed = work.todos.iter().filter_map(|todo| todo.claimed_at).max();
        let begun = work.todos.first().map(|todo| todo.claimed_at.unwrap_or(todo.status_since));
        AgentAtWork {
            actor,
            state: self.state(&work.sessions, last_entry_at, rules),
            todos: work.todos.iter().map(|todo| todo.id).collect(),
            session: latest.map(|session| session.id),
            since: begun.or(latest.map(|session| session.started_at)),
            last_sign_at: [in_session, last_entry_at, claimed].into_iter().flatten().max(),
        }
    }

    fn state(
        &self,
        sessions: &[&OpenSession],
        last_entry_at: Option<Timestamp>,
        rules: DashboardRules,
    ) -> AgentState {
        let waits = |session: &&&OpenSession| {
            self.waiting.iter().any(|entry| entry.session == Some(session.id))
        };
        let writes = |session: &&&OpenSession| !rules.is_quiet(session.activity(), self.at);
        if sessions.iter().any(|session| waits(&session)) {
            return AgentState::Waiting;
        }
        if sessions.iter().any(|session| writes(&session)) {
            return AgentState::Working;
        }
        if !sessions.is_empty() {
            return AgentState::Quiet;
        }
        let until = rules.quiet_after_seconds.zip(last_entry_at);
        match until.map(|(seconds, at)| at.plus_seconds(seconds)) {
            Some(until) if self.at < until => AgentState::Working,
            _ => AgentState::Idle,
        }
    }
}
