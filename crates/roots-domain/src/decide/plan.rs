//! What a validated command will do, and what the ledger tells of it.

use super::claims::NewClaim;

use crate::model::activity::Activity;
use crate::model::sealed::Sealed;
use crate::model::session::Session;
use crate::model::step::{Steps, Subject};
use crate::model::todo::{StatusChange, Todo};

/// What a validated command will do once it is paid. A new row already has the next id, which is
/// taken then.
pub(super) enum Plan {
    StartSession(Session<Sealed>),
    PutSession(Session<Sealed>),
    DeleteSession(Session<Sealed>),
    CreateTodo(Todo<Sealed>),
    CreateTodos(Vec<Todo<Sealed>>),
    PutTodo(Todo<Sealed>, Option<StatusChange<Sealed>>),
    DeleteTodo(Todo<Sealed>),
    ClaimTodo(NewClaim),
    ClaimNothing,
    LogActivity(Activity<Sealed>),
    DeleteActivity(Activity<Sealed>),
}

impl Plan {
    /// The row that it writes.
    pub(super) fn subject(&self) -> Option<Subject> {
        let (id, actor) = match self {
            Self::StartSession(row) | Self::PutSession(row) | Self::DeleteSession(row) => {
                (row.id.0, Some(row.actor))
            }
            Self::CreateTodo(row) | Self::PutTodo(row, _) | Self::DeleteTodo(row) => {
                (row.id.0, Some(row.actor))
            }
            Self::CreateTodos(rows) => {
                let first = rows.first()?;
                let is_same = rows.iter().all(|row| row.actor == first.actor);
                (first.id.0, is_same.then_some(first.actor))
            }
            Self::ClaimTodo(claim) => (claim.todo.id.0, Some(claim.todo.actor)),
            Self::ClaimNothing => return None,
            Self::LogActivity(row) | Self::DeleteActivity(row) => (row.id.0, Some(row.actor)),
        };
        Some(Subject { id, actor })
    }

    /// The steps that todos take by it.
    pub(super) fn steps(&self) -> Steps {
        match self {
            Self::CreateTodo(todo) => Steps::of_new(todo),
            Self::CreateTodos(todos) => {
                let mut steps = Steps::default();
                for todo in todos {
                    steps.extend(&Steps::of_new(todo));
                }
                steps
            }
            Self::PutTodo(todo, change) => Steps::of_changes(todo.actor, change),
            Self::ClaimTodo(claim) => Steps::of_changes(claim.todo.actor, &claim.logs),
            _ => Steps::default(),
        }
    }
}
