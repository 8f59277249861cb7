//! Todos and their logs.

use std::sync::Arc;

use super::access::{ActorScope, Caller};
use super::keyrings::Keyrings;
use super::outcome::{ReadError, WriteError, Written};
use super::sealing::{Opened, SealedRow, Sealer, open_text};
use super::write::{Preconditions, Writes};
use crate::command::{
    Applied, AppliedRow, ClaimRequest, LAPSE_NOTE, Refusal, Resealed, ResourceAction, RowPatch,
};
use crate::model::Patch;
use crate::model::account::Role;
use crate::model::claim::{ClaimToken, LeaseSeconds};
use crate::model::id::{ActorId, LogId, SessionId, TodoId, Uid};
use crate::model::page::{Page, PageRequest};
use crate::model::sealed::{Field, Sealed};
use crate::model::text::{LogNote, LongText, Title};
use crate::model::time::{TimeRange, Timestamp};
use crate::model::todo::{
    ListedTodo, NewTodo, NewTodos, Priority, StatusChange, Todo, TodoPatch, TodoStatus,
};
use crate::model::todo_list::TodoRows;
use crate::model::work::{TodoStats, WorkWindow};
use crate::model::zone::Zone;
use crate::port::clock::Uids;
use crate::port::crypto::{CryptoError, Keyring};
use crate::port::store::{
    Admission, FinishedTodos, OverdueTodos, SessionTodos, StoreResult, TodoLog, TodoQuery,
    TodoReader, WorkQuery,
};

/// Todos, with the log of their status changes.
#[derive(Clone)]
pub struct Todos {
    /// Applies writes.
    pub writes: Writes,
    /// Reads.
    pub reader: Arc<dyn TodoReader>,
    /// Makes the uids of new rows.
    pub uids: Arc<dyn Uids>,
}

/// A query for todos.
#[derive(Debug, Clone, Copy, Default)]
pub struct TodoFilter {
    /// The actors.
    pub scope: ActorScope,
    /// The rows, and their order.
    pub rows: TodoRows,
}

/// A claim to make.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClaimDraft {
    /// The actor whose todo it is; the caller if absent.
    pub actor: Option<ActorId>,
    /// The active session to link the todo to.
    pub session: Option<SessionId>,
    /// The todo; the next one if absent.
    pub todo: Option<TodoId>,
    /// The lowest priority of the next one.
    pub min_priority: Priority,
    /// How long the claim lives after the last write.
    pub lease: LeaseSeconds,
}

/// A todo that was claimed, and until when the claim lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedTodo {
    /// The todo.
    pub todo: Todo,
    /// Nobody else can claim it before then, without further writes.
    pub until: Timestamp,
}

/// A todo to create, with plain texts.
pub type TodoDraft = NewTodo<Title, LongText>;

/// The todos that one write creates, with plain texts.
pub type TodoDrafts = NewTodos<TodoDraft>;

/// A change to a todo, with plain texts.
pub type TodoChange = TodoPatch<Title, LongText, LogNote>;

impl Todos {
    /// A page of todos.
    ///
    /// # Errors
    /// The refusal, a database error, or an unreadable text.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: TodoFilter,
        page: PageRequest,
    ) -> Opened<ListedTodo> {
        let found = self.find(caller, filter, page).await?;
        super::sealing::opened(&*self.writes.accounts, caller, found).await
    }

    /// The same page with sealed texts.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn find(
        &self,
        caller: &Caller,
        filter: TodoFilter,
        page: PageRequest,
    ) -> Result<Page<ListedTodo<Sealed>>, ReadError> {
        let TodoFilter { scope, rows } = filter;
        let (by, actor) = (caller.admission(), caller.choose(scope)?);
        let found = match rows {
            TodoRows::ByPriority { status, priority, session } => {
                let query = TodoQuery { by, actor, status, priority, session, page };
                self.reader.todos(&query).await
            }
            TodoRows::OfSession(session) => {
                self.reader.session_todos(&SessionTodos { by, actor, session, page }).await
            }
            TodoRows::Finished { status, priority } => {
                let query = FinishedTodos { by, actor, status, priority, page };
                self.reader.finished_todos(&query).await
            }
            TodoRows::Overdue => {
                let now = self.writes.clock.now();
                self.reader.overdue_todos(&OverdueTodos { by, actor, now, page }).await
            }
        };
        Ok(found?)
    }

    /// The time from which the next todo is overdue that is not yet.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn next_overdue(
        &self,
        caller: &Caller,
        scope: ActorScope,
    ) -> Result<Option<Timestamp>, ReadError> {
        let (by, actor) = (caller.admission(), caller.choose(scope)?);
        let due = self.reader.next_due(by, actor, self.writes.clock.now()).await?;
        Ok(TodoStatus::Open.overdue_from(due))
    }

    /// Todos made, done and cancelled in a window, by actor and by the days of a zone. Those that
    /// are deleted since count. [`WorkWindow::of`] says what the window of a range is.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn stats(
        &self,
        caller: &Caller,
        scope: ActorScope,
        range: TimeRange,
        zone: &Zone,
    ) -> Result<TodoStats, ReadError> {
        let (by, actor) = (caller.admission(), caller.choose(scope)?);
        let window = WorkWindow::of(range, self.writes.clock.now());
        Ok(self.reader.todo_stats(&WorkQuery { by, actor, window }, zone).await?)
    }

    /// The todo with that id, if the caller may read it.
    ///
    /// # Errors
    /// A database error, or an unreadable text.
    pub async fn get(&self, caller: &Caller, id: TodoId) -> Result<Option<Todo>, ReadError> {
        let found = self.find_one(caller, id).await?;
        super::sealing::opened_one(&*self.writes.accounts, caller, found).await
    }

    /// The todo with that id and sealed texts, if the caller may read it.
    ///
    /// # Errors
    /// A database error.
    pub async fn find_one(&self, caller: &Caller, id: TodoId) -> StoreResult<Option<Todo<Sealed>>> {
        self.sealed(caller, caller.admission(), id).await
    }

    /// Until when the claim of that todo lives, for a caller who may read the todo; `None` if no
    /// claim stands on it.
    ///
    /// # Errors
    /// A database error.
    pub async fn claim_until(
        &self,
        caller: &Caller,
        id: TodoId,
    ) -> Result<Option<Timestamp>, ReadError> {
        Ok(self.reader.claim_until(caller.admission(), id).await?)
    }

    /// The steps of that todo's history after `after`, or the first ones, ascending and with sealed
    /// notes, at most [`crate::port::store::LOG_CHUNK_STEPS`]; `None` if there is no such todo, or
    /// the caller may not read it.
    ///
    /// # Errors
    /// A database error.
    pub async fn log_after(
        &self,
        caller: &Caller,
        id: TodoId,
        after: Option<LogId>,
    ) -> StoreResult<Option<LogChunk>> {
        let found = self.reader.todo_log(caller.admission(), id, after).await?;
        let reached = found.filter(|log| caller.reaches(log.todo.actor));
        let Some(TodoLog { todo, steps, next }) = reached else { return Ok(None) };
        let steps = steps.into_iter().map(|step| LogStep { actor: todo.actor, step });
        Ok(Some(LogChunk { steps: steps.collect(), next }))
    }

    /// Creates a todo.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn create(
        &self,
        caller: &Caller,
        draft: TodoDraft,
        preconditions: Preconditions,
    ) -> Result<Written<Todo>, WriteError> {
        let actor = draft.actor.unwrap_or(caller.actor.id);
        let keys = super::sealing::sealing_keys(&*self.writes.accounts, caller, actor).await?;
        let (uid, new) = self.seal_draft(&keys, draft)?;
        let action = ResourceAction::CreateTodo { uid, new };
        let applied = self.writes.apply(caller, action, preconditions, "POST /todos").await?;
        self.written(caller, &applied).await
    }

    /// Creates several todos, all or none. They cost as much as if each were created by itself, and
    /// are answered in the order of the drafts.
    ///
    /// # Errors
    /// The refusal, or a database error. If one of the drafts is refused, the refusal is
    /// [`Refusal::OfTodo`], which names it.
    pub async fn create_many(
        &self,
        caller: &Caller,
        drafts: TodoDrafts,
        preconditions: Preconditions,
    ) -> Result<Written<Vec<Todo>>, WriteError> {
        let actor_of = |draft: &TodoDraft| draft.actor.unwrap_or(caller.actor.id);
        // The store refuses it too, but without that actor's keys nothing could be submitted.
        if let Some(index) =
            drafts.as_slice().iter().position(|draft| !caller.reaches(actor_of(draft)))
        {
            return Err(Refusal::OwnerOnly.of_todo(index).into());
        }
        let actors: Vec<_> = drafts.as_slice().iter().map(|draft| (actor_of(draft), [])).collect();
        let keys = Keyrings::of(&*self.writes.accounts, caller, actors).await?;
        let new = drafts.try_map(|index, draft| {
            let actor = actor_of(&draft);
            let keys = keys.find(actor);
            let keys = keys.ok_or_else(|| Refusal::NoSuchActor(actor).of_todo(index))?;
            Ok::<_, WriteError>(self.seal_draft(keys, draft)?)
        })?;
        let action = ResourceAction::CreateTodos(new);
        let applied = self.writes.apply(caller, action, preconditions, "POST /todos").await?;
        let AppliedRow::Todos(todos) = &applied.row else {
            return Err(WriteError::mismatched());
        };
        self.writes.written_rows(caller, todos, &applied).await
    }

    /// Seals the texts of a draft for a new row.
    fn seal_draft(
        &self,
        keys: &Arc<dyn Keyring>,
        draft: TodoDraft,
    ) -> Result<(Uid, NewTodo<Sealed>), CryptoError> {
        let uid = self.uids.next();
        let sealer = Sealer { keys, row: uid };
        let content = draft.content.try_seal(|field, text| sealer.seal(field, text))?;
        Ok((uid, NewTodo { actor: draft.actor, content }))
    }

    /// Changes a todo. A change of status is logged with it. With a claim's token alone it only
    /// keeps that claim alive.
    ///
    /// # Errors
    /// [`WriteError::EmptyPatch`], the refusal, or a database error.
    pub async fn patch(
        &self,
        caller: &Caller,
        id: TodoId,
        change: TodoChange,
        preconditions: Preconditions,
    ) -> Result<Written<Todo>, WriteError> {
        let claim_token = preconditions.claim_token;
        let log_uid = self.uids.next();
        let row = self.seal_patch(caller, id, change, log_uid).await?;
        if row.patch.is_empty() && claim_token.is_none() {
            return Err(WriteError::EmptyPatch);
        }
        let action = ResourceAction::PatchTodo { row, log_uid, claim_token };
        let applied = self.writes.apply(caller, action, preconditions, "PATCH /todos/{id}").await?;
        self.written(caller, &applied).await
    }

    /// Deletes a todo and its log for good.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn delete(
        &self,
        caller: &Caller,
        id: TodoId,
        preconditions: Preconditions,
    ) -> Result<Written<TodoId>, WriteError> {
        let claim_token = preconditions.claim_token;
        let action = ResourceAction::DeleteTodo { id, claim_token };
        let applied =
            self.writes.apply(caller, action, preconditions, "DELETE /todos/{id}").await?;
        Ok(Written::of(id, &applied))
    }

    /// Claims a todo for the caller, or for another actor if the caller is an owner: the one that
    /// is named, or the next one. `None` if there is no todo to claim; that costs nothing.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn claim(
        &self,
        caller: &Caller,
        draft: ClaimDraft,
        preconditions: Preconditions,
    ) -> Result<Written<Option<ClaimedTodo>>, WriteError> {
        let ClaimDraft { session, todo, min_priority, lease, .. } = draft;
        let actor = self.claiming_actor(caller, draft).await?;
        let keys = super::sealing::sealing_keys(&*self.writes.accounts, caller, actor).await?;
        let log_uids = [self.uids.next(), self.uids.next()];
        let sealer = Sealer { keys: &keys, row: log_uids[0] };
        let lapse_note = sealer.seal(Field::LogNote, LAPSE_NOTE)?;
        let claim =
            ClaimRequest { actor, session, todo, min_priority, lease, log_uids, lapse_note };
        let action = ResourceAction::ClaimTodo(claim);
        let applied = self.writes.apply(caller, action, preconditions, "POST /todos/claim").await?;
        match &applied.row {
            AppliedRow::Claimed(todo, until) => {
                let until = *until;
                let Written { value, cost, balance, is_replay } =
                    self.writes.written(caller, todo, &applied).await?;
                let value = Some(ClaimedTodo { todo: value, until });
                Ok(Written { value, cost, balance, is_replay })
            }
            AppliedRow::NothingToClaim => Ok(Written::of(None, &applied)),
            _ => Err(WriteError::mismatched()),
        }
    }

    /// The actor whose todo a claim takes. The log of a todo is sealed with the keys of its actor,
    /// so an owner that names a todo and no actor has the todo looked up. The store checks the
    /// result.
    async fn claiming_actor(
        &self,
        caller: &Caller,
        ClaimDraft { actor, todo, .. }: ClaimDraft,
    ) -> Result<ActorId, WriteError> {
        let looked_up = match (actor, todo) {
            (None, Some(id)) if caller.actor.role == Role::Owner => {
                self.sealed(caller, caller.account.id.into(), id).await?
            }
            _ => None,
        };
        let of_todo = looked_up.map(|todo| todo.actor);
        Ok(actor.or(of_todo).unwrap_or(caller.actor.id))
    }

    /// Gives up a claim: its todo is open again.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn release(
        &self,
        caller: &Caller,
        id: TodoId,
        claim_token: ClaimToken,
        preconditions: Preconditions,
    ) -> Result<Written<Todo>, WriteError> {
        let log_uid = self.uids.next();
        let action = ResourceAction::ReleaseTodo { id, claim_token, log_uid };
        let endpoint = "POST /todos/{id}/release";
        let applied = self.writes.apply(caller, action, preconditions, endpoint).await?;
        self.written(caller, &applied).await
    }

    async fn sealed(
        &self,
        caller: &Caller,
        by: Admission,
        id: TodoId,
    ) -> StoreResult<Option<Todo<Sealed>>> {
        let found = self.reader.todo(by, id).await?;
        Ok(found.filter(|todo| caller.reaches(todo.actor)))
    }

    /// A text is sealed for one row, so a patch with a text first looks up the row. The store
    /// checks the result (the uid, and the ciphertexts that were compared) again. A note is sealed
    /// for its own new log row, with the keys of the todo's actor. A member writes only its own
    /// todos, so it needs no look-up for a note.
    async fn seal_patch(
        &self,
        caller: &Caller,
        id: TodoId,
        change: TodoChange,
        log_uid: Uid,
    ) -> Result<RowPatch<TodoId, TodoPatch<Resealed>>, WriteError> {
        let looks_up = change.title.is_some()
            || matches!(change.description, Patch::Set(_))
            || change.note.is_some() && caller.actor.role == Role::Owner;
        let of_account = caller.account.id.into();
        let current = if looks_up { self.sealed(caller, of_account, id).await? } else { None };
        let current = current.as_ref();
        let actor = current.map_or(caller.actor.id, |todo| todo.actor);
        let texts = current.into_iter().flat_map(Todo::texts);
        let keys = super::sealing::row_keys(&*self.writes.accounts, caller, actor, texts).await?;
        // No todo has the uid of a log row, so the store refuses texts for one that was not found.
        let row = current.map_or(log_uid, |todo| todo.uid);
        let sealer = Sealer { keys: &keys, row };
        let log_sealer = Sealer { keys: &keys, row: log_uid };
        let patch = change.try_map_texts(
            |title| {
                let current = current.map(|todo| &todo.content.title);
                sealer.reseal(Field::TodoTitle, title.as_str(), current)
            },
            |description| {
                let current = current.and_then(|todo| todo.content.description.as_ref());
                sealer.reseal(Field::TodoDescription, description.as_str(), current)
            },
            |note| log_sealer.reseal(Field::LogNote, note.as_str(), None),
        )?;
        Ok(RowPatch { id, sealed_for: looks_up.then_some(row), patch })
    }

    async fn written(
        &self,
        caller: &Caller,
        applied: &Applied,
    ) -> Result<Written<Todo>, WriteError> {
        let AppliedRow::Todo(todo) = &applied.row else {
            return Err(WriteError::mismatched());
        };
        self.writes.written(caller, todo, applied).await
    }
}

/// Some steps of a todo's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// The steps, ascending.
    pub steps: Vec<LogStep>,
    /// The step to continue after; `None` at the end.
    pub next: Option<LogId>,
}

/// A step of a todo's history, and the todo's actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStep {
    /// The actor.
    pub actor: ActorId,
    /// The step.
    pub step: StatusChange<Sealed>,
}

impl SealedRow for LogStep {
    type Open = StatusChange;

    fn named(&self) -> (&'static str, i64) {
        ("todo", self.step.todo.0)
    }

    fn actor(&self) -> ActorId {
        self.actor
    }

    fn texts(&self) -> impl Iterator<Item = &Sealed> {
        self.step.note.iter()
    }

    fn open(self, keys: &dyn Keyring) -> Result<StatusChange, ReadError> {
        let row = (self.step.uid, self.named());
        self.step.try_map_text(|field, text| open_text(keys, row, field, &text))
    }
}

impl SealedRow for Todo<Sealed> {
    type Open = Todo;

    fn named(&self) -> (&'static str, i64) {
        ("todo", self.id.0)
    }

    fn actor(&self) -> ActorId {
        self.actor
    }

    fn texts(&self) -> impl Iterator<Item = &Sealed> {
        Todo::texts(self)
    }

    fn open(self, keys: &dyn Keyring) -> Result<Todo, ReadError> {
        let row = (self.uid, self.named());
        self.try_map_text(|field, text| open_text(keys, row, field, &text))
    }
}

impl SealedRow for ListedTodo<Sealed> {
    type Open = ListedTodo;

    fn named(&self) -> (&'static str, i64) {
        self.todo.named()
    }

    fn actor(&self) -> ActorId {
        self.todo.actor
    }

    fn texts(&self) -> impl Iterator<Item = &Sealed> {
        self.todo.texts()
    }

    fn open(self, keys: &dyn Keyring) -> Result<ListedTodo, ReadError> {
        let Self { todo, until } = self;
        Ok(ListedTodo { todo: todo.open(keys)?, until })
    }
}
