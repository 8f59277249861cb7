//! Counters that are updated with each write, so that totals and statistics never scan.

use super::activity::Activity;
use super::credit::Reason;
use super::id::ActorId;
use super::session::{Session, SessionStatusKind};
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
