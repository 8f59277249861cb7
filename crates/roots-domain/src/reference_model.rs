//! A second, simple implementation of the rules of writes, for tests.
//!
//! The model shares no rule with [`crate::decide`]. It tries each command on a copy, and it goes
//! through every row for every question. The property tests of `decide` compare the working set
//! with it, and the tests of stores compare a store's answers with it.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "it is for tests, and a test that asks for what the model does not know has to fail"
)]

use std::collections::BTreeMap;

use crate::command::{
    Action, Applied, AppliedRow, Command, Operator, OperatorAction, Refusal, Resealed,
    ResourceAction, RowPatch, TransferAction,
};
use crate::model::Patch;
use crate::model::account::{Account, AccountKind, AccountStatus, LastIds, Role};
use crate::model::activity::Activity;
use crate::model::api_key::{ApiKey, KeyEpoch, KeyStatus};
use crate::model::bearer::KeyBearer;
use crate::model::claim::Claims;
use crate::model::credit::{LedgerEntry, Reason};
use crate::model::id::{AccountId, ActivityId, ActorId, LedgerId, LogId, SessionId, TodoId, Uid};
use crate::model::import::{Import, ImportRow, Imported, Origin};
use crate::model::sealed::Sealed;
use crate::model::session::{Session, SessionPatch, SessionStatus, SessionStatusKind};
use crate::model::step::{Steps, Subject};
use crate::model::text::Name;
use crate::model::time::Timestamp;
use crate::model::todo::{NewTodo, StatusChange, Todo, TodoPatch, TodoStatus};

mod claims;
mod lists;
mod rows;
mod told;

pub use rows::{ReferenceModel, counts};
use rows::{WriteResult, check_maker, find, is_idle, later, next};

/// What a ledger entry tells beside its amounts and texts.
#[derive(Default)]
struct Told {
    actor: Option<ActorId>,
    subject: Option<Subject>,
    steps: Steps,
}

/// The commands.
impl ReferenceModel {
    /// A new account with that many credits.
    #[must_use]
    pub fn new(id: AccountId, auth_epoch: i64, credits: i64, at: Timestamp) -> Self {
        let account = Account {
            id,
            uid: Uid::NIL,
            name: Name::parse("Model").expect("a name"),
            kind: AccountKind::Customer,
            status: AccountStatus::Active,
            balance: 0,
            auth_epoch,
            key_epoch: KeyEpoch::FIRST,
            last_ids: LastIds::default(),
            keys: 0,
            created_at: at,
            version: 1,
        };
        let mut model = Self {
            account,
            keys: BTreeMap::new(),
            sessions: BTreeMap::new(),
            activity: BTreeMap::new(),
            todos: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            shared_now: None,
            logs: BTreeMap::new(),
            activities: BTreeMap::new(),
            ledger: BTreeMap::new(),
            imported: BTreeMap::new(),
        };
        if credits > 0 {
            model.enter(credits, Reason::BootstrapGrant, [None, None], Told::default(), at);
        }
        model
    }

    /// What must be answered to a command of this account, which then counts as applied. The model
    /// knows writes of resources, imports, and grants of the command line; it panics on any other.
    ///
    /// # Errors
    /// The refusal that must be answered.
    pub fn expect(&mut self, command: &Command) -> Result<Applied, Refusal> {
        assert_eq!(command.account(), Some(self.account.id), "a command of another account");
        // Tried on a copy: a refused command changes nothing.
        let mut next = self.clone();
        let (row, cost) = next.attempt(command)?;
        *self = next;
        Ok(Applied { row, cost, balance: self.account.balance, is_replay: false })
    }

    fn attempt(&mut self, command: &Command) -> Result<(AppliedRow, i64), Refusal> {
        let at = command.at;
        match &command.action {
            Action::Resource(bearer, action) => {
                self.admit(bearer, at)?;
                let before = self.clone();
                let row = self.write(bearer, action.clone(), at)?;
                if row == AppliedRow::NothingToClaim {
                    return Ok((row, 0));
                }
                self.beat(&row, action, at);
                let Some(charge) = command.charge else { return Ok((row, 0)) };
                let (balance, cost) = (self.account.balance, charge.cost);
                if balance < cost {
                    return Err(Refusal::InsufficientCredits { balance, cost });
                }
                let told = Told {
                    actor: Some(bearer.actor),
                    subject: before.subject(action, &row),
                    steps: self.steps_since(before.account.last_ids),
                };
                self.enter(-cost, Reason::ApiWrite, [Some(charge.endpoint), None], told, at);
                Ok((row, cost))
            }
            Action::Transfer(bearer, TransferAction::Import(import)) => {
                self.admit(bearer, at)?;
                self.import(bearer, import, at)
            }
            Action::Operate(
                Operator::CommandLine,
                OperatorAction::GrantCredits { amount, note, .. },
            ) => {
                let text = [None, note.as_ref().map(Name::as_str)];
                self.enter(*amount, Reason::OperatorGrant, text, Told::default(), at);
                self.account.last_ids.audit += 1;
                Ok((AppliedRow::Account(Box::new(self.account.clone())), 0))
            }
            other => panic!("the model knows nothing of {other:?}"),
        }
    }

    /// The auth epoch moves with everything that ends keys, so a key is looked at only then.
    fn admit(&self, by: &KeyBearer, now: Timestamp) -> Result<(), Refusal> {
        let is_good = |key: &ApiKey| {
            let is_in_force = match key.status {
                KeyStatus::Current => true,
                KeyStatus::InGrace { until } => now < until,
                KeyStatus::Ended => false,
            };
            key.actor == by.actor && is_in_force && key.expires_at.is_none_or(|end| now < end)
        };
        if by.auth_epoch != self.account.auth_epoch && !self.keys.get(&by.key).is_some_and(is_good)
        {
            return Err(Refusal::KeyNotInForce);
        }
        match self.account.status {
            AccountStatus::Active => Ok(()),
            AccountStatus::Suspended => Err(Refusal::Suspended),
        }
    }

    /// Moves the balance, and tells of it in the ledger.
    fn enter(
        &mut self,
        delta: i64,
        reason: Reason,
        [endpoint, note]: [Option<&str>; 2],
        Told { actor, subject, steps }: Told,
        created_at: Timestamp,
    ) {
        self.account.balance += delta;
        let id = LedgerId(next(&mut self.account.last_ids.ledger));
        let entry = LedgerEntry {
            id,
            delta,
            balance_after: self.account.balance,
            reason,
            endpoint: endpoint.map(Into::into),
            actor,
            note: note.map(Into::into),
            subject,
            steps,
            created_at,
        };
        self.ledger.insert(id, entry);
    }

    fn write(&mut self, by: &KeyBearer, action: ResourceAction, now: Timestamp) -> WriteResult {
        match action {
            ResourceAction::StartSession { actor, uid, notes } => {
                check_maker(by, actor)?;
                let id = SessionId(next(&mut self.account.last_ids.session));
                let (status, started_at, version) = (SessionStatus::Active, now, 1);
                let row = Session { id, uid, actor, status, notes, started_at, version };
                self.begin(&row, now);
                self.sessions.insert(id, row.clone());
                Ok(AppliedRow::Session(row))
            }
            ResourceAction::PatchSession(patch) => self.patch_session(by, patch, now),
            ResourceAction::DeleteSession(id) => {
                find(&self.sessions, id, by, |row| row.actor, "session")?;
                self.sessions.remove(&id);
                self.activity.remove(&id);
                self.leave_claims(id, now);
                self.unlink(id);
                Ok(AppliedRow::Deleted)
            }
            ResourceAction::CreateTodo { uid, new } => {
                Ok(AppliedRow::Todo(self.create_todo(by, uid, new, now)?))
            }
            ResourceAction::CreateTodos(new) => {
                let mut rows = Vec::new();
                for (uid, new) in new {
                    let (index, row) = (rows.len(), self.create_todo(by, uid, new, now));
                    let refused = |error| Refusal::OfTodo { index, refusal: Box::new(error) };
                    rows.push(row.map_err(refused)?);
                }
                Ok(AppliedRow::Todos(rows))
            }
            ResourceAction::PatchTodo { row, log_uid, claim_token } => {
                self.check_claim(by, row.id, claim_token)?;
                self.patch_todo(by, row, log_uid, now)
            }
            ResourceAction::ClaimTodo(claim) => self.claim(by, claim, now),
            ResourceAction::ReleaseTodo { id, claim_token, log_uid } => {
                self.check_claim(by, id, Some(claim_token))?;
                let patch = TodoPatch { status: Some(TodoStatus::Open), ..TodoPatch::EMPTY };
                self.patch_todo(by, RowPatch { id, sealed_for: None, patch }, log_uid, now)
            }
            ResourceAction::DeleteTodo { id, claim_token } => {
                find(&self.todos, id, by, |row| row.actor, "todo")?;
                self.check_claim(by, id, claim_token)?;
                self.todos.remove(&id);
                self.deadlines.remove(&id);
                self.logs.retain(|_, log| log.todo != id);
                Ok(AppliedRow::Deleted)
            }
            ResourceAction::LogActivity { uid, new } => {
                let actor = new.actor.unwrap_or(by.actor);
                check_maker(by, actor)?;
                self.check_active_link(actor, new.session)?;
                let row = Activity {
                    id: ActivityId(next(&mut self.account.last_ids.activity)),
                    uid,
                    actor,
                    session: new.session,
                    activity_type: new.activity_type,
                    description: new.description,
                    logged_at: new.logged_at.unwrap_or(now),
                    created_at: now,
                    version: 1,
                };
                self.activities.insert(row.id, row.clone());
                Ok(AppliedRow::Activity(row))
            }
            ResourceAction::DeleteActivity(id) => {
                find(&self.activities, id, by, |row| row.actor, "activity")?;
                self.activities.remove(&id);
                Ok(AppliedRow::Deleted)
            }
        }
    }

    fn create_todo(
        &mut self,
        by: &KeyBearer,
        uid: Uid,
        new: NewTodo<Sealed>,
        now: Timestamp,
    ) -> Result<Todo<Sealed>, Refusal> {
        let actor = new.actor.unwrap_or(by.actor);
        check_maker(by, actor)?;
        self.check_active_link(actor, new.content.session)?;
        let row = Todo {
            id: TodoId(next(&mut self.account.last_ids.todo)),
            uid,
            actor,
            content: new.content,
            status: TodoStatus::Open,
            claims: Claims::NONE,
            created_at: now,
            updated_at: now,
            status_since: now,
            version: 1,
        };
        self.todos.insert(row.id, row.clone());
        Ok(row)
    }

    fn patch_session(
        &mut self,
        by: &KeyBearer,
        RowPatch { id, sealed_for, patch }: RowPatch<SessionId, SessionPatch<Resealed>>,
        now: Timestamp,
    ) -> WriteResult {
        use SessionStatusKind::{Active, Ended};
        let before = find(&self.sessions, id, by, |row| row.actor, "session")?.clone();
        if sealed_for.is_some_and(|uid| uid != before.uid) {
            return Err(Refusal::NotFound("session"));
        }
        if is_idle(&before) {
            return Err(Refusal::SessionIdle(id));
        }
        let mut row = before.clone();
        match (before.status.kind(), patch.status) {
            (Ended, Some(Ended)) => return Err(Refusal::AlreadyEnded(id)),
            (Ended, Some(Active)) => return Err(Refusal::CannotReopen(id)),
            (Active, Some(Ended)) => {
                row.status = SessionStatus::ended(later(now, row.started_at));
                if let Some(activity) = self.activity.get_mut(&id) {
                    activity.is_open = false;
                }
            }
            (Active, Some(Active)) | (_, None) => {}
        }
        put_text(&mut row.notes, patch.notes);
        row.version += i64::from(row != before);
        self.sessions.insert(id, row.clone());
        Ok(AppliedRow::Session(row))
    }

    fn patch_todo(
        &mut self,
        by: &KeyBearer,
        RowPatch { id, sealed_for, patch }: RowPatch<TodoId, TodoPatch<Resealed>>,
        log_uid: Uid,
        now: Timestamp,
    ) -> WriteResult {
        let before = find(&self.todos, id, by, |row| row.actor, "todo")?.clone();
        if sealed_for.is_some_and(|uid| uid != before.uid) {
            return Err(Refusal::NotFound("todo"));
        }
        if let Patch::Set(link) = patch.session {
            let session = self.linkable(before.actor, link)?;
            if is_idle(session) && before.content.session != Some(link) {
                return Err(Refusal::SessionIdle(link));
            }
        }
        let (from, to) = (before.status, patch.status.unwrap_or(before.status));
        let has_moved = from != to;
        if has_moved && !may_go(from, to) {
            return Err(Refusal::ForbiddenStep { from, to });
        }
        if patch.note.is_some() && !has_moved {
            return Err(Refusal::NoteWithoutChange);
        }
        let mut row = Todo { status: to, ..before.clone() };
        if to != TodoStatus::InProgress {
            row.claims.standing = None;
            self.deadlines.remove(&id);
        }
        let content = &mut row.content;
        match patch.title {
            Some(title) if title.same_as.as_ref() != Some(&content.title) => {
                content.title = title.sealed;
            }
            _ => {}
        }
        put_text(&mut content.description, patch.description);
        content.priority = patch.priority.unwrap_or(content.priority);
        put(&mut content.due_at, patch.due_at);
        put(&mut content.session, patch.session);
        if row != before {
            row.version += 1;
            row.updated_at = later(now, before.updated_at);
        }
        if has_moved {
            row.status_since = row.updated_at;
            let log = StatusChange {
                id: LogId(next(&mut self.account.last_ids.log)),
                uid: log_uid,
                todo: id,
                old_status: from,
                new_status: to,
                note: patch.note.map(|note| note.sealed),
                logged_at: row.updated_at,
            };
            self.logs.insert(log.id, log);
        }
        if let Some(deadline) = self.deadlines.get_mut(&id) {
            deadline.priority = row.content.priority;
            deadline.due_at = row.content.due_at;
        }
        self.todos.insert(id, row.clone());
        Ok(AppliedRow::Todo(row))
    }

    /// Takes away every link to a session.
    pub fn unlink(&mut self, id: SessionId) {
        for row in self.todos.values_mut().filter(|row| row.content.session == Some(id)) {
            (row.content.session, row.version) = (None, row.version + 1);
        }
        for row in self.activities.values_mut().filter(|row| row.session == Some(id)) {
            (row.session, row.version) = (None, row.version + 1);
        }
    }

    /// Tries each row on a copy, and keeps the copy if the row can be paid.
    fn import(
        &mut self,
        by: &KeyBearer,
        import: &Import,
        at: Timestamp,
    ) -> Result<(AppliedRow, i64), Refusal> {
        if by.role != Role::Owner {
            return Err(Refusal::OwnerOnly);
        }
        let (mut outcomes, mut cost) = (Vec::new(), 0);
        let before = self.account.last_ids;
        for row in &import.rows {
            let key = (import.source, row.origin());
            if let Some(id) = self.imported.get(&key) {
                outcomes.push(Ok(Imported::Unchanged(*id)));
                continue;
            }
            let mut next = self.clone();
            let outcome = next.bring_in(import, row.clone(), at);
            if outcome.is_ok() && cost == self.account.balance {
                outcomes.push(Err(Refusal::InsufficientCredits { balance: 0, cost: 1 }));
                break;
            }
            if let Ok(id) = outcome {
                next.imported.insert(key, id);
                *self = next;
                cost += 1;
            }
            outcomes.push(outcome.map(Imported::New));
        }
        if cost > 0 {
            let text = [Some("POST /import"), None];
            let steps = self.steps_since(before);
            let told = Told { actor: Some(by.actor), subject: None, steps };
            self.enter(-cost, Reason::Import, text, told, at);
        }
        Ok((AppliedRow::Imported(outcomes), cost))
    }

    fn bring_in(&mut self, import: &Import, row: ImportRow, at: Timestamp) -> Result<i64, Refusal> {
        let (source, here) = (import.source, row.actor());
        if let Some(there) = import.actors.get(&here)
            && *self.imported.entry((source, Origin::Actor(*there))).or_insert(here.0) != here.0
        {
            return Err(Refusal::NoSuchActor(*there));
        }
        match row {
            ImportRow::Session(row) => {
                let id = SessionId(next(&mut self.account.last_ids.session));
                let row = Session { id, ..row };
                self.begin(&row, at);
                self.sessions.insert(id, row);
                Ok(id.0)
            }
            ImportRow::Todo(row) => {
                let session = self.imported_link(source, row.content.session, here)?;
                let id = TodoId(next(&mut self.account.last_ids.todo));
                self.todos.insert(id, Todo { id, ..row.linked_to(session) });
                Ok(id.0)
            }
            ImportRow::Activity(row) => {
                let session = self.imported_link(source, row.session, here)?;
                let id = ActivityId(next(&mut self.account.last_ids.activity));
                self.activities.insert(id, Activity { id, session, ..row });
                Ok(id.0)
            }
            ImportRow::Step(_, step) => {
                let found = self.imported.get(&(source, Origin::Todo(step.todo)));
                let found = found.and_then(|id| self.todos.get_mut(&TodoId(*id)));
                let todo = found.filter(|row| row.actor == here);
                let todo = todo.ok_or(Refusal::NotFound("todo"))?;
                let (from, to) = (step.old_status, step.new_status);
                if todo.status != from {
                    return Err(Refusal::StepFromOtherStatus { from, current: todo.status });
                }
                if !may_go(from, to) {
                    return Err(Refusal::ForbiddenStep { from, to });
                }
                (todo.status, todo.version) = (to, todo.version + 1);
                if to != TodoStatus::InProgress {
                    todo.claims.standing = None;
                    self.deadlines.remove(&todo.id);
                }
                todo.updated_at = later(step.logged_at, todo.updated_at);
                todo.status_since = step.logged_at;
                let id = LogId(next(&mut self.account.last_ids.log));
                self.logs.insert(id, StatusChange { id, todo: todo.id, ..step });
                Ok(id.0)
            }
            ImportRow::SessionAgain(_) => Err(Refusal::NotFound("session")),
            ImportRow::TodoAgain(_) => Err(Refusal::NotFound("todo")),
        }
    }

    /// The session here that a link there is to. It is none if that session was deleted since.
    fn imported_link(
        &self,
        source: Uid,
        link: Option<SessionId>,
        actor: ActorId,
    ) -> Result<Option<SessionId>, Refusal> {
        let Some(there) = link else { return Ok(None) };
        let here = self.imported.get(&(source, Origin::Session(there)));
        let here = SessionId(*here.ok_or(Refusal::NoSuchSession(there))?);
        match self.sessions.get(&here) {
            Some(row) if row.actor != actor => Err(Refusal::NoSuchSession(there)),
            row => Ok(row.map(|row| row.id)),
        }
    }
}

/// Whether a todo may take that step.
fn may_go(from: TodoStatus, to: TodoStatus) -> bool {
    use TodoStatus::{Cancelled, Done, InProgress, Open};
    match from {
        Open => to != Open,
        InProgress => to != InProgress,
        Done | Cancelled => matches!(to, Open | InProgress),
    }
}

fn put<T>(field: &mut Option<T>, patch: Patch<T>) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *field = None,
        Patch::Set(new) => *field = Some(new),
    }
}

/// An unchanged text keeps the stored ciphertext.
fn put_text(field: &mut Option<Sealed>, patch: Patch<Resealed>) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *field = None,
        Patch::Set(new) if new.same_as.is_some() && new.same_as == *field => {}
        Patch::Set(new) => *field = Some(new.sealed),
    }
}
