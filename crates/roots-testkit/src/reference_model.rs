//! A second opinion: what an account must hold after its writes, told plainly.
//!
//! It shares no rule with the core. It goes through every row for every question, and so can say
//! what a store must answer that goes through none.

use std::collections::BTreeMap;

use roots_domain::command::{
    Action, Applied, AppliedRow, Command, Refusal, Resealed, ResourceAction, RowPatch,
    TransferAction,
};
use roots_domain::model::Patch;
use roots_domain::model::activity::Activity;
use roots_domain::model::credit::{LedgerEntry, Reason};
use roots_domain::model::id::{ActivityId, ActorId, LedgerId, LogId, SessionId, TodoId, Uid};
use roots_domain::model::import::{Import, ImportRow, Imported, Origin};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{Session, SessionPatch, SessionStatus, SessionStatusKind};
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::todo::{StatusChange, Todo, TodoPatch, TodoStatus};
use roots_domain::port::store::{ActivityFilter, TodoQuery};

use crate::commands::Issuer;

mod compare;

/// What an account must hold.
#[derive(Debug, Clone)]
pub struct ReferenceModel {
    issuer: Issuer,
    balance: i64,
    ledger: Vec<LedgerEntry>,
    last: Last,
    sessions: BTreeMap<i64, Session<Sealed>>,
    todos: BTreeMap<i64, Todo<Sealed>>,
    activities: BTreeMap<i64, Activity<Sealed>>,
    logs: Vec<StatusChange<Sealed>>,
    imported: BTreeMap<(Uid, Origin), i64>,
}

/// The last id given of each kind.
#[derive(Debug, Clone, Default)]
struct Last {
    session: i64,
    todo: i64,
    activity: i64,
    log: i64,
}

type ApplyResult = Result<AppliedRow, Refusal>;

impl ReferenceModel {
    /// A new account with that many credits.
    #[must_use]
    pub fn new(issuer: Issuer, credits: i64) -> Self {
        let mut model = Self {
            issuer,
            balance: 0,
            ledger: Vec::new(),
            last: Last::default(),
            sessions: BTreeMap::new(),
            todos: BTreeMap::new(),
            activities: BTreeMap::new(),
            logs: Vec::new(),
            imported: BTreeMap::new(),
        };
        if credits > 0 {
            model.enter(credits, Reason::BootstrapGrant, None, None, issuer.at);
        }
        model
    }

    /// The credits left.
    #[must_use]
    pub const fn balance(&self) -> i64 {
        self.balance
    }

    fn enter(
        &mut self,
        delta: i64,
        reason: Reason,
        endpoint: Option<&str>,
        actor: Option<ActorId>,
        at: Timestamp,
    ) {
        self.balance += delta;
        self.ledger.push(LedgerEntry {
            id: LedgerId(i64::try_from(self.ledger.len()).expect("few rows") + 1),
            delta,
            balance_after: self.balance,
            reason,
            endpoint: endpoint.map(str::to_owned),
            actor,
            note: None,
            created_at: at,
        });
    }

    /// What the store must answer to a command of this account, which then counts as applied. It
    /// knows writes of resources and imports.
    ///
    /// # Errors
    /// The refusal that it must answer.
    ///
    /// # Panics
    /// On a command of another account or of another kind.
    pub fn expect(&mut self, command: &Command) -> Result<Applied, Refusal> {
        assert_eq!(command.account(), Some(self.issuer.account), "a command of another account");
        let (bearer, action) = match &command.action {
            Action::Resource(bearer, action) => (bearer, action),
            Action::Transfer(bearer, TransferAction::Import(import)) => {
                return Ok(self.import(bearer.actor, import, command.at));
            }
            other => unreachable!("the model knows nothing of {other:?}"),
        };
        // Tried on a copy: whatever is refused changes nothing.
        let mut next = self.clone();
        let row = next.perform(bearer.actor, action, command.at)?;
        if let Some(charge) = command.charge {
            if self.balance < charge.cost {
                let balance = self.balance;
                return Err(Refusal::InsufficientCredits { balance, cost: charge.cost });
            }
            let (endpoint, actor) = (Some(charge.endpoint), Some(bearer.actor));
            next.enter(-charge.cost, Reason::ApiWrite, endpoint, actor, command.at);
        }
        *self = next;
        let cost = command.charge.map_or(0, |charge| charge.cost);
        Ok(Applied { row, cost, balance: self.balance, is_replay: false })
    }

    /// Each row is tried on a copy, which is kept if the row is paid for. An owner imports.
    fn import(&mut self, actor: ActorId, import: &Import, at: Timestamp) -> Applied {
        let (mut outcomes, mut cost) = (Vec::new(), 0);
        for row in &import.rows {
            let key = (import.source, row.origin());
            if let Some(id) = self.imported.get(&key) {
                outcomes.push(Ok(Imported::Known(*id)));
                continue;
            }
            let mut next = self.clone();
            let outcome = next.bring_in(import.source, row);
            if outcome.is_ok() && cost == self.balance {
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
            self.enter(-cost, Reason::Import, Some("POST /import"), Some(actor), at);
        }
        let row = AppliedRow::Imported(outcomes);
        Applied { row, cost, balance: self.balance, is_replay: false }
    }

    fn bring_in(&mut self, source: Uid, row: &ImportRow) -> Result<i64, Refusal> {
        let found = |model: &Self, origin| model.imported.get(&(source, origin)).copied();
        let link = |model: &Self, link: Option<SessionId>, actor| {
            let Some(there) = link else { return Ok(None) };
            let here = found(model, Origin::Session(there)).ok_or(Refusal::NoSuchSession(there))?;
            match model.sessions.get(&here) {
                Some(session) if session.actor != actor => Err(Refusal::NoSuchSession(there)),
                session => Ok(session.map(|session| session.id)),
            }
        };
        match row.clone() {
            ImportRow::Session(session) => {
                self.last.session += 1;
                let id = self.last.session;
                self.sessions.insert(id, Session { id: SessionId(id), ..session });
                Ok(id)
            }
            ImportRow::Todo(todo) => {
                let session = link(self, todo.session, todo.actor)?;
                self.last.todo += 1;
                let id = self.last.todo;
                self.todos.insert(id, Todo { id: TodoId(id), session, ..todo });
                Ok(id)
            }
            ImportRow::Activity(activity) => {
                let session = link(self, activity.session, activity.actor)?;
                self.last.activity += 1;
                let id = self.last.activity;
                self.activities.insert(id, Activity { id: ActivityId(id), session, ..activity });
                Ok(id)
            }
            ImportRow::Step(actor, step) => {
                use TodoStatus::{Cancelled, Done, InProgress, Open};
                let here = found(self, Origin::Todo(step.todo));
                let todo = here.and_then(|id| self.todos.get_mut(&id));
                let todo = todo.filter(|todo| todo.actor == actor);
                let todo = todo.ok_or(Refusal::NotFound("todo"))?;
                let (from, to) = (step.old_status, step.new_status);
                if from != todo.status {
                    return Err(Refusal::StepFromElsewhere { from, stands: todo.status });
                }
                let is_step = match from {
                    Open => to != Open,
                    InProgress => to != InProgress,
                    Done | Cancelled => matches!(to, Open | InProgress),
                };
                if !is_step {
                    return Err(Refusal::ForbiddenStep { from, to });
                }
                todo.status = to;
                todo.version += 1;
                if step.logged_at > todo.updated_at {
                    todo.updated_at = step.logged_at;
                }
                self.last.log += 1;
                let (id, todo) = (LogId(self.last.log), todo.id);
                self.logs.push(StatusChange { id, todo, ..step });
                Ok(id.0)
            }
            ImportRow::SessionAgain(_) => Err(Refusal::NotFound("session")),
            ImportRow::TodoAgain(_) => Err(Refusal::NotFound("todo")),
        }
    }

    fn own_session(&self, actor: ActorId, id: SessionId) -> Option<&Session<Sealed>> {
        self.sessions.get(&id.0).filter(|session| session.actor == actor)
    }

    fn check_link(&self, actor: ActorId, link: Option<SessionId>) -> Result<(), Refusal> {
        let Some(id) = link else { return Ok(()) };
        match self.own_session(actor, id) {
            None => Err(Refusal::NoSuchSession(id)),
            Some(session) if session.status != SessionStatus::Active => {
                Err(Refusal::SessionEnded(id))
            }
            Some(_) => Ok(()),
        }
    }

    fn perform(&mut self, actor: ActorId, action: &ResourceAction, at: Timestamp) -> ApplyResult {
        match action {
            ResourceAction::StartSession { actor: whose, uid, notes } => {
                check_maker(actor, *whose)?;
                self.last.session += 1;
                let session = Session {
                    id: SessionId(self.last.session),
                    uid: *uid,
                    actor,
                    status: SessionStatus::Active,
                    notes: notes.clone(),
                    started_at: at,
                    version: 1,
                };
                self.sessions.insert(self.last.session, session.clone());
                Ok(AppliedRow::Session(session))
            }
            ResourceAction::PatchSession(row) => self.patch_session(actor, row, at),
            ResourceAction::DeleteSession(id) => {
                self.own_session(actor, *id).ok_or(Refusal::NotFound("session"))?;
                self.sessions.remove(&id.0);
                for todo in self.todos.values_mut().filter(|todo| todo.session == Some(*id)) {
                    todo.session = None;
                    todo.version += 1;
                }
                for one in self.activities.values_mut().filter(|one| one.session == Some(*id)) {
                    one.session = None;
                    one.version += 1;
                }
                Ok(AppliedRow::Deleted)
            }
            ResourceAction::CreateTodo { uid, new } => {
                check_maker(actor, new.actor.unwrap_or(actor))?;
                self.check_link(actor, new.session)?;
                self.last.todo += 1;
                let todo = Todo {
                    id: TodoId(self.last.todo),
                    uid: *uid,
                    actor,
                    session: new.session,
                    title: new.title.clone(),
                    description: new.description.clone(),
                    status: TodoStatus::Open,
                    priority: new.priority,
                    due_at: new.due_at,
                    created_at: at,
                    updated_at: at,
                    version: 1,
                };
                self.todos.insert(self.last.todo, todo.clone());
                Ok(AppliedRow::Todo(todo))
            }
            ResourceAction::PatchTodo { row, log_uid } => self.patch_todo(actor, row, *log_uid, at),
            ResourceAction::DeleteTodo(id) => {
                self.todos
                    .get(&id.0)
                    .filter(|todo| todo.actor == actor)
                    .ok_or(Refusal::NotFound("todo"))?;
                self.todos.remove(&id.0);
                self.logs.retain(|log| log.todo != *id);
                Ok(AppliedRow::Deleted)
            }
            ResourceAction::LogActivity { uid, new } => {
                check_maker(actor, new.actor.unwrap_or(actor))?;
                self.check_link(actor, new.session)?;
                self.last.activity += 1;
                let activity = Activity {
                    id: ActivityId(self.last.activity),
                    uid: *uid,
                    actor,
                    session: new.session,
                    activity_type: new.activity_type.clone(),
                    description: new.description.clone(),
                    logged_at: new.logged_at.unwrap_or(at),
                    created_at: at,
                    version: 1,
                };
                self.activities.insert(self.last.activity, activity.clone());
                Ok(AppliedRow::Activity(activity))
            }
            ResourceAction::DeleteActivity(id) => {
                self.activities
                    .get(&id.0)
                    .filter(|activity| activity.actor == actor)
                    .ok_or(Refusal::NotFound("activity"))?;
                self.activities.remove(&id.0);
                Ok(AppliedRow::Deleted)
            }
        }
    }

    fn patch_session(
        &mut self,
        actor: ActorId,
        row: &RowPatch<SessionId, SessionPatch<Resealed>>,
        at: Timestamp,
    ) -> ApplyResult {
        use SessionStatusKind::{Active, Ended};
        let session = self.own_session(actor, row.id).ok_or(Refusal::NotFound("session"))?;
        let mut next = session.clone();
        match (session.status.kind(), row.patch.status) {
            (Ended, Some(Ended)) => return Err(Refusal::AlreadyEnded(row.id)),
            (Ended, Some(Active)) => return Err(Refusal::CannotReopen(row.id)),
            (Active, Some(Ended)) => next.status = SessionStatus::Ended { at },
            _ => {}
        }
        next.notes = patched(session.notes.as_ref(), &row.patch.notes);
        next.version += i64::from(next != *session);
        self.sessions.insert(row.id.0, next.clone());
        Ok(AppliedRow::Session(next))
    }

    fn patch_todo(
        &mut self,
        actor: ActorId,
        row: &RowPatch<TodoId, TodoPatch<Resealed>>,
        log_uid: roots_domain::model::id::Uid,
        at: Timestamp,
    ) -> ApplyResult {
        use TodoStatus::{Cancelled, Done, InProgress, Open};
        let found = self.todos.get(&row.id.0).filter(|todo| todo.actor == actor);
        let todo = found.ok_or(Refusal::NotFound("todo"))?;
        let patch = &row.patch;
        if let Patch::Set(id) = patch.session {
            self.own_session(actor, id).ok_or(Refusal::NoSuchSession(id))?;
        }
        let mut next = todo.clone();
        let from = todo.status;
        if let Some(to) = patch.status {
            let steps = match from {
                Open => [InProgress, Done, Cancelled].as_slice(),
                InProgress => &[Open, Done, Cancelled],
                Done | Cancelled => &[Open, InProgress],
            };
            if to != from && !steps.contains(&to) {
                return Err(Refusal::ForbiddenStep { from, to });
            }
            next.status = to;
        }
        if patch.note.is_some() && next.status == from {
            return Err(Refusal::NoteWithoutChange);
        }
        if let Some(title) = &patch.title
            && title.same_as.as_ref() != Some(&todo.title)
        {
            next.title = title.sealed.clone();
        }
        next.description = patched(todo.description.as_ref(), &patch.description);
        next.priority = patch.priority.unwrap_or(todo.priority);
        match patch.due_at {
            Patch::Keep => {}
            Patch::Clear => next.due_at = None,
            Patch::Set(due) => next.due_at = Some(due),
        }
        match patch.session {
            Patch::Keep => {}
            Patch::Clear => next.session = None,
            Patch::Set(id) => next.session = Some(id),
        }
        if next != *todo {
            next.version += 1;
            next.updated_at = at;
        }
        if next.status != from {
            self.last.log += 1;
            self.logs.push(StatusChange {
                id: LogId(self.last.log),
                uid: log_uid,
                todo: row.id,
                old_status: from,
                new_status: next.status,
                note: patch.note.as_ref().map(|note| note.sealed.clone()),
                logged_at: at,
            });
        }
        self.todos.insert(row.id.0, next.clone());
        Ok(AppliedRow::Todo(next))
    }
}

/// The commands of this kit are members' commands.
fn check_maker(actor: ActorId, whose: ActorId) -> Result<(), Refusal> {
    if actor == whose { Ok(()) } else { Err(Refusal::OwnerOnly) }
}

fn patched(current: Option<&Sealed>, patch: &Patch<Resealed>) -> Option<Sealed> {
    match patch {
        Patch::Keep => current.cloned(),
        Patch::Clear => None,
        Patch::Set(new) if new.same_as.is_some() && new.same_as.as_ref() == current => {
            current.cloned()
        }
        Patch::Set(new) => Some(new.sealed.clone()),
    }
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).expect("few rows")
}

/// Whether what is of that actor is asked for, where no actor asks for all.
fn is_of(actor: ActorId, asked: Option<ActorId>) -> bool {
    asked.is_none_or(|asked| asked == actor)
}

/// The lists, each in its order.
impl ReferenceModel {
    /// The ledger.
    #[must_use]
    pub fn ledger(&self, reason: Option<Reason>) -> Vec<LedgerEntry> {
        let matches = |entry: &&LedgerEntry| reason.is_none_or(|one| one == entry.reason);
        self.ledger.iter().rev().filter(matches).cloned().collect()
    }

    /// The sessions of an actor, or of all.
    #[must_use]
    pub fn sessions(
        &self,
        actor: Option<ActorId>,
        status: Option<SessionStatusKind>,
    ) -> Vec<Session<Sealed>> {
        let mut found: Vec<_> = self
            .sessions
            .values()
            .filter(|one| {
                is_of(one.actor, actor) && status.is_none_or(|is| is == one.status.kind())
            })
            .cloned()
            .collect();
        found.sort_by_key(|one| std::cmp::Reverse((one.started_at, one.id)));
        found
    }

    /// The todos that a query asks for, on whatever page.
    #[must_use]
    pub fn todos(&self, query: &TodoQuery) -> Vec<Todo<Sealed>> {
        let mut found: Vec<_> = self
            .todos
            .values()
            .filter(|one| is_of(one.actor, query.actor))
            .filter(|one| query.status.is_none_or(|is| is == one.status))
            .filter(|one| query.priority.is_none_or(|is| is == one.priority))
            .filter(|one| query.session.is_none() || query.session == one.session)
            .cloned()
            .collect();
        found.sort_by_key(|one| std::cmp::Reverse((one.priority, one.created_at, one.id)));
        found
    }

    /// The activities that a filter selects.
    #[must_use]
    pub fn activities(&self, filter: &ActivityFilter) -> Vec<Activity<Sealed>> {
        let TimeRange { since, until } = filter.range;
        let is_kind =
            |kind: &ActivityType| filter.activity_type.as_ref().is_none_or(|is| is == kind);
        let mut found: Vec<_> = self
            .activities
            .values()
            .filter(|one| is_of(one.actor, filter.actor) && is_kind(&one.activity_type))
            .filter(|one| filter.session.is_none() || filter.session == one.session)
            .filter(|one| since.is_none_or(|since| since <= one.logged_at))
            .filter(|one| until.is_none_or(|until| one.logged_at <= until))
            .cloned()
            .collect();
        found.sort_by_key(|one| std::cmp::Reverse((one.logged_at, one.id)));
        found
    }
}
