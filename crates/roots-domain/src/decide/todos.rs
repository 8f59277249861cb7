//! Deciding about todos.

use super::admission::Scope;
use super::working_set::WorkingSet;

use crate::command::{AppliedRow, Refusal, Resealed, RowPatch};

use crate::model::counter::Counter;
use crate::model::id::{TodoId, Uid};
use crate::model::sealed::Sealed;
use crate::model::todo::{NewTodo, StatusChange, Todo, TodoPatch, TodoRefusal, TodoStatus};

impl WorkingSet {
    pub(super) fn todo(&self, id: TodoId, scope: &Scope) -> Result<&Todo<Sealed>, Refusal> {
        let found = self.todos.get((scope.account, id));
        found.filter(|todo| scope.reaches(todo.actor)).ok_or(Refusal::NotFound("todo"))
    }

    pub(super) fn new_todo(
        &self,
        uid: Uid,
        new: NewTodo<Sealed>,
        scope: &Scope,
    ) -> Result<Todo<Sealed>, Refusal> {
        let actor = new.actor.unwrap_or(scope.actor);
        scope.check_reach(actor)?;
        self.check_active_link(new.session, actor, scope)?;
        Ok(Todo {
            id: self.next_ids(scope.account)?.next_todo(),
            uid,
            actor,
            session: new.session,
            title: new.title,
            description: new.description,
            status: TodoStatus::Open,
            priority: new.priority,
            due_at: new.due_at,
            created_at: scope.at,
            updated_at: scope.at,
            version: 1,
        })
    }

    pub(super) fn patched_todo(
        &self,
        row: RowPatch<TodoId, TodoPatch<Resealed>>,
        log_uid: Uid,
        scope: &Scope,
    ) -> Result<(Todo<Sealed>, Option<StatusChange<Sealed>>), Refusal> {
        let todo = self.todo(row.id, scope)?;
        if row.sealed_for.is_some_and(|uid| uid != todo.uid) {
            return Err(Refusal::NotFound("todo"));
        }
        if let crate::model::Patch::Set(id) = row.patch.session {
            self.linkable(id, todo.actor, scope)?;
        }
        let TodoPatch { title, description, status, priority, due_at, session, note } = row.patch;
        let note = note.map(|note| note.sealed);
        let patch = TodoPatch {
            title: title
                .map_or(crate::model::Patch::Keep, crate::model::Patch::Set)
                .against(Some(&todo.title))
                .apply(None),
            description: description.against(todo.description.as_ref()),
            status,
            priority,
            due_at,
            session,
            note: note.clone(),
        };
        let next = todo.patch(patch, scope.at).map_err(|step| match step {
            TodoRefusal::Forbidden { from, to } => Refusal::ForbiddenStep { from, to },
            TodoRefusal::NoteWithoutChange => Refusal::NoteWithoutChange,
        })?;
        if next.status == todo.status {
            return Ok((next, None));
        }
        let log = StatusChange {
            id: self.next_ids(scope.account)?.next_log(),
            uid: log_uid,
            todo: todo.id,
            old_status: todo.status,
            new_status: next.status,
            note,
            logged_at: next.updated_at,
        };
        Ok((next, Some(log)))
    }

    /// Adds a todo, which takes the next id.
    pub(super) fn insert_todo(
        &mut self,
        todo: Todo<Sealed>,
        scope: &Scope,
    ) -> Result<AppliedRow, Refusal> {
        let account = scope.account;
        self.last_ids(account)?.todo = todo.id.0;
        self.count(account, Counter::of_todo(&todo), 1);
        self.todos.set((account, todo.id), Some(todo.clone()));
        Ok(AppliedRow::Todo(todo))
    }

    /// Replaces a todo by its new state, and logs the change of status.
    pub(super) fn put_todo(
        &mut self,
        todo: Todo<Sealed>,
        log: Option<StatusChange<Sealed>>,
        scope: &Scope,
    ) -> Result<AppliedRow, Refusal> {
        let account = scope.account;
        if let Some(log) = log {
            self.last_ids(account)?.log = log.id.0;
            self.write_set.logs.push((account, log));
        }
        if let Some(before) = self.todos.get((account, todo.id)) {
            let left = Counter::of_todo(before);
            self.count(account, left, -1);
        }
        self.count(account, Counter::of_todo(&todo), 1);
        self.todos.set((account, todo.id), Some(todo.clone()));
        Ok(AppliedRow::Todo(todo))
    }

    /// Deletes a todo.
    pub(super) fn delete_todo(&mut self, todo: &Todo<Sealed>, scope: &Scope) -> AppliedRow {
        let account = scope.account;
        self.count(account, Counter::of_todo(todo), -1);
        self.todos.set((account, todo.id), None);
        AppliedRow::Deleted
    }
}
