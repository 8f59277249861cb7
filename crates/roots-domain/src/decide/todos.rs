//! Deciding about todos.

use std::convert::Infallible;

use super::admission::Scope;
use super::working_set::WorkingSet;

use crate::command::{AppliedRow, Refusal, Resealed, RowPatch};

use crate::model::Patch;
use crate::model::claim::Claims;
use crate::model::counter::Counter;
use crate::model::id::{TodoId, Uid};
use crate::model::sealed::Sealed;
use crate::model::session::EndReason;
use crate::model::todo::{
    NewTodo, NewTodos, StatusChange, Todo, TodoPatch, TodoRefusal, TodoStatus,
};

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
        self.check_active_link(new.content.session, actor, scope)?;
        Ok(Todo {
            id: self.next_ids(scope.account)?.next_todo(),
            uid,
            actor,
            content: new.content,
            status: TodoStatus::Open,
            claims: Claims::NONE,
            created_at: scope.at,
            updated_at: scope.at,
            status_since: scope.at,
            version: 1,
        })
    }

    /// Several new todos with ids in their order. The first one that is refused refuses them all.
    pub(super) fn new_todos(
        &self,
        new: NewTodos<(Uid, NewTodo<Sealed>)>,
        scope: &Scope,
    ) -> Result<Vec<Todo<Sealed>>, Refusal> {
        let mut ids = self.next_ids(scope.account)?;
        let todos = new.into_iter().enumerate().map(|(index, (uid, new))| {
            let todo = self.new_todo(uid, new, scope);
            let todo = todo.map_err(|refusal| refusal.of_todo(index))?;
            Ok(Todo { id: ids.next_todo(), ..todo })
        });
        todos.collect()
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
        if let Patch::Set(id) = row.patch.session {
            let session = self.linkable(id, todo.actor, scope)?;
            let is_idle = session.status.end_reason() == Some(EndReason::Idle);
            if is_idle && todo.content.session != Some(id) {
                return Err(Refusal::SessionIdle(id));
            }
        }
        let here = &todo.content;
        let Ok(patch) = row.patch.try_map_texts(
            |title| Ok::<_, Infallible>(title.against(Some(&here.title))),
            |description| Ok(description.against(here.description.as_ref())),
            |note| Ok(note.against(None)),
        );
        let note = patch.note.clone();
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

    /// Adds several todos, which take the next ids.
    pub(super) fn insert_todos(
        &mut self,
        todos: Vec<Todo<Sealed>>,
        scope: &Scope,
    ) -> Result<AppliedRow, Refusal> {
        for todo in &todos {
            self.insert_todo(todo.clone(), scope)?;
        }
        Ok(AppliedRow::Todos(todos))
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
            self.write_set.logs.push((account, todo.actor, log));
        }
        if let Some(before) = self.todos.get((account, todo.id)) {
            let left = Counter::of_todo(before);
            self.count(account, left, -1);
        }
        self.count(account, Counter::of_todo(&todo), 1);
        self.follow_claim(account, &todo);
        self.todos.set((account, todo.id), Some(todo.clone()));
        Ok(AppliedRow::Todo(todo))
    }

    /// Deletes a todo.
    pub(super) fn delete_todo(&mut self, todo: &Todo<Sealed>, scope: &Scope) -> AppliedRow {
        let account = scope.account;
        self.count(account, Counter::of_todo(todo), -1);
        self.end_deadline(account, todo.id);
        self.todos.set((account, todo.id), None);
        AppliedRow::Deleted
    }
}
