//! Counters that are updated with each write, so that totals and statistics never scan.

use super::activity::Activity;
use super::credit::{LedgerEntry, Reason};
use super::id::ActorId;
use super::session::{Session, SessionStatusKind};
use super::step::{StepKey, TodoStep};
use super::text::ActivityType;
use super::time::QuarterHour;
use super::todo::{Priority, Todo, TodoStatus};

/// A counter of an account. It changes in the same transaction as the rows that it counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// An actor's sessions of a status.
    Sessions(ActorId, SessionStatusKind),
    /// An actor's todos of a status and a priority.
    Todos(ActorId, TodoStatus, Priority),
    /// An actor's activities of a type.
    Activities(ActorId, ActivityType),
    /// The account's ledger rows of a reason.
    Ledger(Reason),
}

impl Counter {
    /// The counter of a session.
    pub fn of_session<T>(session: &Session<T>) -> Self {
        Self::Sessions(session.actor, session.status.kind())
    }

    /// The counter of a todo.
    pub fn of_todo<T>(todo: &Todo<T>) -> Self {
        Self::Todos(todo.actor, todo.status, todo.content.priority)
    }

    /// The counter of an activity.
    pub fn of_activity<T>(activity: &Activity<T>) -> Self {
        Self::Activities(activity.actor, activity.activity_type.clone())
    }
}

/// Counts an actor's activities of a type in a quarter hour. Statistics by day add these up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuarterHourCounter {
    /// The actor whose rows are counted.
    pub actor: ActorId,
    /// The quarter hour.
    pub quarter_hour: QuarterHour,
    /// The type.
    pub activity_type: ActivityType,
}

impl QuarterHourCounter {
    /// The counter of an activity.
    pub fn of<T>(activity: &Activity<T>) -> Self {
        Self {
            actor: activity.actor,
            quarter_hour: activity.logged_at.quarter_hour(),
            activity_type: activity.activity_type.clone(),
        }
    }
}

/// Names the counts of an actor's todos and credits in a quarter hour. They only ever rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkCounter {
    /// The quarter hour.
    pub quarter_hour: QuarterHour,
    /// The actor that the todos belong to, or that spent the credits. Credits that are granted
    /// belong to `None`, the account itself.
    pub actor: Option<ActorId>,
}

/// Todos and credits, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkCounts {
    /// Todos that were made, those included that are deleted since.
    pub todos_made: i64,
    /// How many times a todo was done.
    pub todos_done: i64,
    /// How many times a todo was cancelled.
    pub todos_cancelled: i64,
    /// Credits that were spent.
    pub credits_spent: i64,
    /// Credits that were granted.
    pub credits_granted: i64,
}

impl WorkCounts {
    /// What a ledger entry raises.
    pub fn of(entry: &LedgerEntry) -> impl Iterator<Item = (WorkCounter, Self)> + '_ {
        let actor = entry.actor.filter(|_| entry.delta < 0);
        let quarter_hour = entry.created_at.quarter_hour();
        let credits = Self {
            credits_spent: entry.delta.min(0).saturating_neg(),
            credits_granted: entry.delta.max(0),
            ..Self::default()
        };
        let credits = (WorkCounter { quarter_hour, actor }, credits);
        let steps = entry.steps.iter().map(|(StepKey { actor, quarter_hour, step }, count)| {
            (WorkCounter { quarter_hour, actor: Some(actor) }, Self::of_steps(step, count))
        });
        std::iter::once(credits).chain(steps)
    }

    fn of_steps(step: TodoStep, count: i64) -> Self {
        let none = Self::default();
        match step {
            TodoStep::Made => Self { todos_made: count, ..none },
            TodoStep::Moved(TodoStatus::Done) => Self { todos_done: count, ..none },
            TodoStep::Moved(TodoStatus::Cancelled) => Self { todos_cancelled: count, ..none },
            TodoStep::Moved(TodoStatus::Open | TodoStatus::InProgress) => none,
        }
    }

    /// Adds others.
    pub fn add(&mut self, others: Self) {
        for (count, more) in [
            (&mut self.todos_made, others.todos_made),
            (&mut self.todos_done, others.todos_done),
            (&mut self.todos_cancelled, others.todos_cancelled),
            (&mut self.credits_spent, others.credits_spent),
            (&mut self.credits_granted, others.credits_granted),
        ] {
            *count = count.saturating_add(more);
        }
    }
}
