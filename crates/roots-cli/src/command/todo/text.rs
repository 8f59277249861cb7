//! Todos as text.

use chrono::{DateTime, Utc};
use roots_client::model::{Todo, TodoLog, TodoPage};

use crate::dates::{shown, shown_short};
use crate::output::{Table, one_line, printable};

/// A page of todos, as a table.
pub(super) fn list(page: &TodoPage) -> String {
    let mut table = Table::new(&["ID", "STATUS", "PRIORITY", "DUE", "CLAIMED UNTIL", "TITLE"]);
    for listed in &page.todos {
        let todo = &listed.todo;
        table.row([
            todo.todo_id.to_string(),
            todo.status.to_string(),
            todo.priority.to_string(),
            todo.due_at.map(shown_short).unwrap_or_default(),
            listed.until.map(shown_short).unwrap_or_default(),
            todo.title.clone(),
        ]);
    }
    table.of_total(page.total)
}

/// The log of a todo, as a table.
pub(super) fn log(log: &TodoLog) -> String {
    let mut table = Table::new(&["TIME", "FROM", "TO", "NOTE"]);
    for change in &log.logs {
        table.row([
            shown_short(change.logged_at),
            change.old_status.to_string(),
            change.new_status.to_string(),
            change.note.clone().unwrap_or_default(),
        ]);
    }
    table.of_total(i64::try_from(log.logs.len()).unwrap_or(i64::MAX))
}

/// What was done to a todo, in a line.
pub(super) fn in_short(done: &str, todo: &Todo) -> String {
    let mut line =
        format!("{done} todo {id}: {title}", id = todo.todo_id, title = one_line(&todo.title));
    if let Some(due) = todo.due_at {
        line.push_str(", due ");
        line.push_str(&shown(due));
    }
    line
}

/// A claim, with all that its worker needs.
pub(super) fn claimed(todo: &Todo, until: Option<DateTime<Utc>>) -> String {
    let mut text = in_short("Claimed", todo);
    if let Some(until) = until {
        text.push_str("\nIt is yours until ");
        text.push_str(&shown(until));
        text.push_str(", and longer if you write meanwhile.");
    }
    if let Some(description) = &todo.description {
        text.push_str("\n\n");
        text.push_str(&printable(description));
    }
    text
}

/// All of a todo.
pub(super) fn details(todo: &Todo) -> String {
    let mut lines = vec![
        format!("Todo {id}: {title}", id = todo.todo_id, title = one_line(&todo.title)),
        format!("Status    {}", todo.status),
        format!("Priority  {}", todo.priority),
    ];
    let mut add = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{name:<10}{value}")));
    };
    add("Due", todo.due_at.map(shown));
    add("Session", todo.session_id.map(|id| id.to_string()));
    add(
        "Claim",
        todo.claim.as_ref().map(|claim| {
            let session =
                claim.session_id.map(|id| format!(" for session {id}")).unwrap_or_default();
            format!("{token}{session}, {time}", token = claim.token, time = shown(claim.claimed_at))
        }),
    );
    add("Actor", Some(todo.actor_id.to_string()));
    add("Created", Some(shown(todo.created_at)));
    add("Updated", Some(shown(todo.updated_at)));
    if let Some(description) = &todo.description {
        lines.push(String::new());
        lines.push(printable(description));
    }
    lines.join("\n")
}
