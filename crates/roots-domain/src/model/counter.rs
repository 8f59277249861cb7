//! What is counted as it is written, so that a total or a statistic never scans.

use super::activity::Activity;
use super::credit::Reason;
use super::id::ActorId;
use super::session::{Session, SessionStatus};
use super::text::ActivityType;
use super::time::QuarterHour;
use super::todo::{Priority, Todo, TodoStatus};

/// Something that is counted in an account. Its count is kept in the same transaction as what it
/// counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// An actor's sessions of a status.
    Sessions(ActorId, SessionStatus),
    /// An actor's todos of a status and a priority.
    Todos(ActorId, TodoStatus, Priority),
    /// An actor's activities of a type.
    Activities(ActorId, ActivityType),
    /// The account's ledger rows of a reason.
    Ledger(Reason),
}

impl Counter {
    /// Where a session is counted.
    pub fn of_session<T>(session: &Session<T>) -> Self {
        Self::Sessions(session.actor, session.status)
    }

    /// Where a todo is counted.
    pub fn of_todo<T>(todo: &Todo<T>) -> Self {
        Self::Todos(todo.actor, todo.status, todo.priority)
    }

    /// Where an activity is counted.
    pub fn of_activity<T>(activity: &Activity<T>) -> Self {
        Self::Activities(activity.actor, activity.activity_type.clone())
    }
}

/// An actor's activities of a type in a quarter hour. What is counted by days adds these up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuarterHourCounter {
    /// Whose.
    pub actor: ActorId,
    /// In which quarter.
    pub quarter_hour: QuarterHour,
    /// Of which type.
    pub activity_type: ActivityType,
}

impl QuarterHourCounter {
    /// Where an activity is counted.
    pub fn of<T>(activity: &Activity<T>) -> Self {
        Self {
            actor: activity.actor,
            quarter_hour: activity.logged_at.quarter_hour(),
            activity_type: activity.activity_type.clone(),
        }
    }
}
