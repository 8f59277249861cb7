//! What the reference model lists and counts.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::rows::{ReferenceModel, counts};
use crate::model::activity::Activity;
use crate::model::counter::{Counter, QuarterHourCounter};
use crate::model::credit::{LedgerEntry, Reason};
use crate::model::id::{ActorId, SessionId};
use crate::model::sealed::Sealed;
use crate::model::session::{Session, SessionStatusKind, SessionWindow};
use crate::model::time::{QuarterHour, TimeRange, Timestamp};
use crate::model::todo::{Priority, Todo, TodoStatus};
use crate::model::todo_list::FinishedStatus;
use crate::port::store::{ActivityFilter, TodoQuery};

/// The lists, each in its order, and the counts.
impl ReferenceModel {
    /// The ledger.
    #[must_use]
    pub fn ledger(&self, reason: Option<Reason>) -> Vec<LedgerEntry> {
        listed(&self.ledger, |row| row.id, |row| is_asked(reason, row.reason))
    }

    /// The sessions of an actor, or of all.
    #[must_use]
    pub fn sessions(
        &self,
        actor: Option<ActorId>,
        status: Option<SessionStatusKind>,
        window: SessionWindow,
    ) -> Vec<Session<Sealed>> {
        let is_listed = |row: &Session<_>| {
            is_asked(actor, row.actor)
                && is_asked(status, row.status.kind())
                && match window {
                    SessionWindow::Started(TimeRange { since, until }) => {
                        since.is_none_or(|since| since <= row.started_at)
                            && until.is_none_or(|until| row.started_at <= until)
                    }
                    SessionWindow::ActiveSince(since) => {
                        row.status.ended_at().is_none_or(|ended_at| since <= ended_at)
                    }
                }
        };
        let end = |row: &Session<_>| match window {
            SessionWindow::Started(_) => None,
            // An active one comes before all that have ended.
            SessionWindow::ActiveSince(_) => {
                Some((row.status.kind() == SessionStatusKind::Active, row.status.ended_at()))
            }
        };
        listed(&self.sessions, |row| (end(row), row.started_at, row.id), is_listed)
    }

    /// The todos of an actor, or of all, that are linked to a session.
    #[must_use]
    pub fn session_todos(&self, actor: Option<ActorId>, session: SessionId) -> Vec<Todo<Sealed>> {
        let is_listed =
            |row: &Todo<_>| is_asked(actor, row.actor) && row.content.session == Some(session);
        listed(&self.todos, |row| (row.created_at, row.id), is_listed)
    }

    /// The finished todos of an actor, or of all.
    #[must_use]
    pub fn finished_todos(
        &self,
        actor: Option<ActorId>,
        status: FinishedStatus,
        priority: Option<Priority>,
    ) -> Vec<Todo<Sealed>> {
        let is_listed = |row: &Todo<_>| {
            is_asked(actor, row.actor)
                && row.status == status.status()
                && priority.is_none_or(|priority| row.content.priority == priority)
        };
        let since = |row: &Todo<_>| {
            let mut steps = self.logs.values().filter(|step| step.todo == row.id);
            steps.next_back().map_or(row.created_at, |step| step.logged_at)
        };
        listed(&self.todos, |row| (since(row), row.id), is_listed)
    }

    /// The todos of an actor, or of all, that are overdue then.
    #[must_use]
    pub fn overdue_todos(&self, actor: Option<ActorId>, now: Timestamp) -> Vec<Todo<Sealed>> {
        let is_listed = |row: &Todo<_>| {
            is_asked(actor, row.actor)
                && !matches!(row.status, TodoStatus::Done | TodoStatus::Cancelled)
                && row.content.due_at.is_some_and(|due_at| due_at < now)
        };
        listed(&self.todos, |row| Reverse((row.content.due_at, row.id)), is_listed)
    }

    /// The todos that a query asks for, on all pages.
    #[must_use]
    pub fn todos(&self, query: &TodoQuery) -> Vec<Todo<Sealed>> {
        let is_listed = |row: &Todo<_>| {
            is_asked(query.actor, row.actor)
                && is_asked(query.status, row.status)
                && is_asked(query.priority, row.content.priority)
                && (query.session.is_none() || query.session == row.content.session)
        };
        listed(&self.todos, |row| (row.content.priority, row.created_at, row.id), is_listed)
    }

    /// The activities that a filter selects.
    #[must_use]
    pub fn activities(&self, filter: &ActivityFilter) -> Vec<Activity<Sealed>> {
        let TimeRange { since, until } = filter.range;
        let is_listed = |row: &Activity<_>| {
            is_asked(filter.actor, row.actor)
                && is_asked(filter.activity_type.as_ref(), &row.activity_type)
                && (filter.session.is_none() || filter.session == row.session)
                && since.is_none_or(|since| since <= row.logged_at)
                && until.is_none_or(|until| row.logged_at <= until)
        };
        listed(&self.activities, |row| (row.logged_at, row.id), is_listed)
    }

    /// The value of each counter.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<Counter, i64> {
        let sessions = self.sessions.values();
        let sessions = sessions.map(|row| Counter::Sessions(row.actor, row.status.kind()));
        let todos = self.todos.values();
        let todos = todos.map(|row| Counter::Todos(row.actor, row.status, row.content.priority));
        let activities = self.activities.values();
        let activities =
            activities.map(|row| Counter::Activities(row.actor, row.activity_type.clone()));
        let ledger = self.ledger.values().map(|row| Counter::Ledger(row.reason));
        counts(sessions.chain(todos).chain(activities).chain(ledger))
    }

    /// How many activities there are in each quarter hour.
    #[must_use]
    pub fn quarter_hours(&self) -> BTreeMap<QuarterHourCounter, i64> {
        counts(self.activities.values().map(|row| QuarterHourCounter {
            actor: row.actor,
            quarter_hour: QuarterHour(row.logged_at.micros().div_euclid(900_000_000)),
            activity_type: row.activity_type.clone(),
        }))
    }
}

fn is_asked<T: PartialEq + Copy>(asked: Option<T>, is: T) -> bool {
    asked.is_none_or(|asked| asked == is)
}

/// The rows that are listed, those of the highest place first.
fn listed<I, T: Clone, P: Ord>(
    rows: &BTreeMap<I, T>,
    place: impl Fn(&T) -> P,
    is_listed: impl Fn(&T) -> bool,
) -> Vec<T> {
    let mut found: Vec<T> = rows.values().filter(|row| is_listed(row)).cloned().collect();
    found.sort_by_key(|row| Reverse(place(row)));
    found
}
