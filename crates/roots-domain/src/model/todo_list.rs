//! Which todos a list has, and in which order.
//!
//! Each order has an index of its own, so that a page costs as much in a large account as in a
//! small one. So only the combinations of filters that an index serves can be asked for.

use super::id::SessionId;
use super::named::named;
use super::page::{Listed, SortKey};
use super::todo::{Priority, Todo, TodoStatus};

named! {
    /// The order of a list of todos.
    TodoSort {
        /// The highest priority first, then the newest.
        Priority = "priority",
        /// The latest change of status first.
        StatusSince = "status_since",
    }
}

/// The status of a todo on which no work is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishedStatus {
    /// Finished.
    Done,
    /// Given up.
    Cancelled,
}

impl FinishedStatus {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Done, Self::Cancelled];

    /// That status, if it is one of a finished todo.
    #[must_use]
    pub const fn of(status: TodoStatus) -> Option<Self> {
        match status {
            TodoStatus::Done => Some(Self::Done),
            TodoStatus::Cancelled => Some(Self::Cancelled),
            TodoStatus::Open | TodoStatus::InProgress => None,
        }
    }

    /// It among all statuses.
    #[must_use]
    pub const fn status(self) -> TodoStatus {
        match self {
            Self::Done => TodoStatus::Done,
            Self::Cancelled => TodoStatus::Cancelled,
        }
    }
}

/// The filters and the order of a list of todos, as they were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TodoChoice {
    /// Only this status.
    pub status: Option<TodoStatus>,
    /// Only this priority.
    pub priority: Option<Priority>,
    /// Only rows linked to this session.
    pub session: Option<SessionId>,
    /// Only todos that are open or in progress and whose due date is past.
    pub overdue: bool,
    /// The order.
    pub sort: Option<TodoSort>,
}

/// A choice that no list serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnservedChoice {
    /// Overdue todos have their own order and no other, and no filter but the actor.
    OverdueAndMore,
    /// Only done or cancelled todos are sorted by their last change of status, and not within one
    /// session.
    SortOfOthers,
}

impl UnservedChoice {
    /// The parameter that is at fault, and what is wrong with it.
    #[must_use]
    pub const fn explained(self) -> (&'static str, &'static str) {
        match self {
            Self::OverdueAndMore => {
                ("overdue", "must not be given together with sort, or with a filter but actor_id")
            }
            Self::SortOfOthers => (
                "sort",
                "status_since needs status=done or status=cancelled, and can't be combined with \
                 session_id",
            ),
        }
    }
}

/// The rows of a list of todos, in one of the orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TodoRows {
    /// Todos that fit all filters: the highest priority first, then the newest.
    ByPriority {
        /// Only this status.
        status: Option<TodoStatus>,
        /// Only this priority.
        priority: Option<Priority>,
        /// Only rows linked to this session.
        session: Option<SessionId>,
    },
    /// Todos that are linked to a session, the newest first.
    OfSession(SessionId),
    /// Finished todos, the latest change of status first.
    Finished {
        /// How they were finished.
        status: FinishedStatus,
        /// Only this priority.
        priority: Option<Priority>,
    },
    /// Todos that are open or in progress and past their due date, the earliest due date first.
    Overdue,
}

impl Default for TodoRows {
    fn default() -> Self {
        Self::ByPriority { status: None, priority: None, session: None }
    }
}

impl TodoRows {
    /// The position of one of them in their order.
    #[must_use]
    pub fn position<T>(self, todo: &Todo<T>) -> SortKey {
        match self {
            Self::ByPriority { .. } => todo.sort_key(),
            Self::OfSession(_) => todo.position_by_creation(),
            Self::Finished { .. } => todo.position_by_status_since(),
            Self::Overdue => todo.position_by_due_date(),
        }
    }
}

impl TryFrom<TodoChoice> for TodoRows {
    type Error = UnservedChoice;

    fn try_from(choice: TodoChoice) -> Result<Self, UnservedChoice> {
        let TodoChoice { status, priority, session, overdue, sort } = choice;
        if overdue {
            let alone = TodoChoice { overdue, ..TodoChoice::default() };
            return if choice == alone {
                Ok(Self::Overdue)
            } else {
                Err(UnservedChoice::OverdueAndMore)
            };
        }
        match (sort, status.and_then(FinishedStatus::of)) {
            (None | Some(TodoSort::Priority), _) => {
                Ok(Self::ByPriority { status, priority, session })
            }
            (Some(TodoSort::StatusSince), Some(status)) if session.is_none() => {
                Ok(Self::Finished { status, priority })
            }
            (Some(TodoSort::StatusSince), _) => Err(UnservedChoice::SortOfOthers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_choices_that_an_index_serves_are_lists() {
        let done = TodoChoice { status: Some(TodoStatus::Done), ..TodoChoice::default() };
        let overdue = TodoChoice { overdue: true, ..TodoChoice::default() };
        let by_status = |choice| TodoChoice { sort: Some(TodoSort::StatusSince), ..choice };
        let (priority, session) = (Some(Priority::default()), Some(SessionId(3)));
        assert_eq!(TodoRows::try_from(TodoChoice::default()), Ok(TodoRows::default()));
        assert_eq!(TodoRows::try_from(overdue), Ok(TodoRows::Overdue));
        let sorted = TodoRows::try_from(TodoChoice { sort: Some(TodoSort::Priority), ..done });
        assert_eq!(sorted, TodoRows::try_from(done));
        for status in TodoStatus::ALL {
            let choice = TodoChoice { status: Some(status), ..TodoChoice::default() };
            let (by_priority, sorted) = (choice.try_into(), by_status(choice).try_into());
            let rows = TodoRows::ByPriority { status: Some(status), priority: None, session: None };
            assert_eq!(by_priority, Ok::<TodoRows, UnservedChoice>(rows));
            let finished = FinishedStatus::ALL.into_iter().find(|one| one.status() == status);
            let rows = finished.map(|status| TodoRows::Finished { status, priority: None });
            assert_eq!(sorted, rows.ok_or(UnservedChoice::SortOfOthers));
        }
        let rows = TodoRows::Finished { status: FinishedStatus::Done, priority };
        assert_eq!(TodoRows::try_from(by_status(TodoChoice { priority, ..done })), Ok(rows));
        for choice in [by_status(TodoChoice::default()), by_status(TodoChoice { session, ..done })]
        {
            assert_eq!(TodoRows::try_from(choice), Err(UnservedChoice::SortOfOthers));
        }
        for choice in [
            TodoChoice { status: Some(TodoStatus::Open), ..overdue },
            TodoChoice { priority, ..overdue },
            TodoChoice { session, ..overdue },
            TodoChoice { sort: Some(TodoSort::Priority), ..overdue },
            by_status(TodoChoice { overdue: true, ..done }),
        ] {
            assert_eq!(TodoRows::try_from(choice), Err(UnservedChoice::OverdueAndMore));
        }
    }
}
