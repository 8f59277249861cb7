//! How statuses, priorities and due dates read.

use maud::{Markup, html};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{Priority, TodoStatus};

use crate::look::Look;
use crate::time;

/// The name of a status for people.
pub(super) const fn status(status: TodoStatus) -> &'static str {
    match status {
        TodoStatus::Open => "Open",
        TodoStatus::InProgress => "In progress",
        TodoStatus::Done => "Done",
        TodoStatus::Cancelled => "Cancelled",
    }
}

/// What a button says that moves a todo there.
pub(super) const fn step_to(status: TodoStatus) -> &'static str {
    match status {
        TodoStatus::Open => "Open",
        TodoStatus::InProgress => "In progress",
        TodoStatus::Done => "Done",
        TodoStatus::Cancelled => "Cancel",
    }
}

/// A priority: `P2`.
pub(super) fn priority(priority: Priority) -> Markup {
    html! { span.tag title="Priority, 3 is highest" { "P" (priority.level()) } }
}

/// A priority in words.
pub(super) const fn priority_name(priority: Priority) -> &'static str {
    match priority.level() {
        0 => "0, lowest",
        1 => "1",
        2 => "2",
        _ => "3, highest",
    }
}

/// When a todo of that status is due: in red if it is overdue.
pub(super) fn due(look: &Look, due_at: Timestamp, status: TodoStatus) -> Markup {
    let is_overdue = status.overdue_from(Some(due_at)).is_some_and(|from| from <= look.now);
    html! {
        @if is_overdue {
            @let late = time::seconds_between(due_at, look.now);
            span.tag.bad { span aria-hidden="true" { "!" } "overdue " (time::span(late)) }
        } @else {
            span.tag { "due " (time::when(look, due_at)) }
        }
    }
}
