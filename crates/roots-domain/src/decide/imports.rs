//! Deciding what an owner takes out of its account and brings in.

use std::collections::BTreeMap;

use super::admission::Scope;
use super::credits::EntryText;
use super::plan::Plan;
use super::read_set::ImportKey;
use super::working_set::WorkingSet;
use crate::command::{Applied, AppliedRow, Refusal, TransferAction};
use crate::model::account::Role;
use crate::model::activity::Activity;
use crate::model::audit::AuditAction;
use crate::model::bearer::KeyBearer;
use crate::model::credit::Reason;
use crate::model::id::{AccountId, ActorId, SessionId, TodoId, Uid};
use crate::model::import::{
    IMPORT_ENDPOINT, Import, ImportEffect, ImportRow, Imported, Origin, StepRefusal,
};
use crate::model::sealed::Sealed;
use crate::model::session::Session;
use crate::model::step::Steps;
use crate::model::time::Timestamp;
use crate::model::todo::{StatusChange, Todo};

impl WorkingSet {
    pub(super) fn transfer(
        &mut self,
        bearer: KeyBearer,
        action: TransferAction,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        if !action.is_open_to_suspended() {
            self.check_not_suspended(bearer.account)?;
        }
        if bearer.role != Role::Owner {
            return Err(Refusal::OwnerOnly);
        }
        match action {
            TransferAction::CheckImport => self.account_applied(bearer.account),
            TransferAction::Import(import) => Ok(self.import(import, &Scope::of(bearer, at))),
            TransferAction::NoteImport { source, actor } => {
                self.check_not_own(source, bearer.account)?;
                self.note_of_owner(AuditAction::Imported, actor, bearer, at)
            }
            TransferAction::NoteExport { actor } => {
                self.note_of_owner(AuditAction::Exported, actor, bearer, at)
            }
        }
    }

    /// Imported rows get new ids, so an account's own export would duplicate its rows.
    fn check_not_own(&self, source: Uid, account: AccountId) -> Result<(), Refusal> {
        match self.account(account) {
            Some(account) if account.uid == source => Err(Refusal::OwnExport),
            _ => Ok(()),
        }
    }

    /// Decides each row by itself: a refused row does not affect the others. The first row that the
    /// balance does not cover is refused and ends the import. Rows written before it stay and are
    /// paid for.
    fn import(&mut self, import: Import, scope: &Scope) -> Applied {
        let Import { source, actors, rows } = import;
        let (mut outcomes, mut cost) = (Vec::with_capacity(rows.len()), 0);
        let mut steps = Steps::default();
        for row in rows {
            let outcome = self.import_row(source, &actors, row, &mut steps, scope);
            cost += outcome.as_ref().map_or(0, |imported| imported.effect().cost());
            let is_over = matches!(outcome, Err(Refusal::InsufficientCredits { .. }));
            outcomes.push(outcome);
            if is_over {
                break;
            }
        }
        if cost > 0 {
            let text = EntryText {
                reason: Reason::Import,
                endpoint: Some(IMPORT_ENDPOINT.to_owned()),
                actor: Some(scope.actor),
                note: None,
                subject: None,
                steps,
            };
            self.enter(scope.account, -cost, text, scope.at);
        }
        let balance = self.account(scope.account).map_or(0, |account| account.balance);
        Applied { row: AppliedRow::Imported(outcomes), cost, balance, is_replay: false }
    }

    /// Validates a row, then charges for it, then writes it and adds its steps.
    fn import_row(
        &mut self,
        source: Uid,
        actors: &BTreeMap<ActorId, ActorId>,
        row: ImportRow,
        steps: &mut Steps,
        scope: &Scope,
    ) -> Result<Imported, Refusal> {
        let origin = row.origin();
        let key = (scope.account, source, origin);
        if let Some(id) = self.imported.get(&key) {
            return self.import_again(source, *id, row, scope);
        }
        let here = row.actor();
        let new_actor = self.new_actor(source, actors.get(&here).copied(), here, scope)?;
        let (plan, id) = self.validate_import(source, row, scope)?;
        self.debit(scope.account, ImportEffect::Added.cost())?;
        let taken = plan.steps();
        self.apply(plan, scope)?;
        steps.extend(&taken);
        let actor = new_actor.map(|key| (key, here.0));
        for (key, id) in actor.into_iter().chain([(key, id)]) {
            self.imported.insert(key, id);
            self.write_set.imported.push((key, id));
        }
        Ok(Imported::New(id))
    }

    /// Updates a row of an earlier import with the changes in its source.
    fn import_again(
        &mut self,
        source: Uid,
        id: i64,
        row: ImportRow,
        scope: &Scope,
    ) -> Result<Imported, Refusal> {
        let plan = match row {
            ImportRow::SessionAgain(there) => {
                let here = self.sessions.get((scope.account, SessionId(id)));
                let here = here.filter(|here| here.uid == there.uid);
                here.and_then(|here| here.caught_up(&there)).map(Plan::PutSession)
            }
            ImportRow::TodoAgain(there) => {
                let here = self.todos.get((scope.account, TodoId(id)));
                match here.filter(|here| here.uid == there.uid) {
                    None => None,
                    Some(here) => {
                        let session = if there.updated_at > here.updated_at {
                            self.imported_link(source, there.content.session, here.actor, scope)?
                        } else {
                            here.content.session
                        };
                        let origin = Origin::Todo(there.id);
                        let next = here.caught_up(&there.linked_to(session));
                        let next = next.map_err(|_| Refusal::Contradicts(origin))?;
                        next.map(|next| Plan::PutTodo(next, None))
                    }
                }
            }
            _ => None,
        };
        let Some(plan) = plan else { return Ok(Imported::Unchanged(id)) };
        self.debit(scope.account, ImportEffect::Updated.cost())?;
        self.apply(plan, scope)?;
        Ok(Imported::Updated(id))
    }

    /// The pair of source actor and local actor to remember for a row, if it is new. If another
    /// import has paired the source actor otherwise meanwhile, the row is refused.
    fn new_actor(
        &self,
        source: Uid,
        there: Option<ActorId>,
        here: ActorId,
        scope: &Scope,
    ) -> Result<Option<ImportKey>, Refusal> {
        let Some(there) = there else { return Ok(None) };
        let key = (scope.account, source, Origin::Actor(there));
        match self.imported.get(&key) {
            None => Ok(Some(key)),
            Some(id) if *id == here.0 => Ok(None),
            Some(_) => Err(Refusal::NoSuchActor(there)),
        }
    }

    /// What a row that has not come in before will do, and the id that it gets here.
    fn validate_import(
        &self,
        source: Uid,
        row: ImportRow,
        scope: &Scope,
    ) -> Result<(Plan, i64), Refusal> {
        let link = |link, actor| self.imported_link(source, link, actor, scope);
        let mut ids = self.next_ids(scope.account)?;
        Ok(match row {
            ImportRow::Session(session) => {
                let id = ids.next_session();
                (Plan::StartSession(Session { id, ..session }), id.0)
            }
            ImportRow::Todo(todo) => {
                let session = link(todo.content.session, todo.actor)?;
                let id = ids.next_todo();
                (Plan::CreateTodo(Todo { id, ..todo.linked_to(session) }), id.0)
            }
            ImportRow::Step(actor, step) => {
                let next = self.replay_step(source, actor, &step, scope)?;
                let step = StatusChange { id: ids.next_log(), todo: next.id, ..step };
                let id = step.id.0;
                (Plan::PutTodo(next, Some(step)), id)
            }
            ImportRow::Activity(activity) => {
                let session = link(activity.session, activity.actor)?;
                self.check_activity_type(scope.account, activity.actor, &activity.activity_type)?;
                let id = ids.next_activity();
                (Plan::LogActivity(Activity { id, session, ..activity }), id.0)
            }
            // It was imported before, and that is never forgotten.
            ImportRow::SessionAgain(_) => return Err(Refusal::NotFound("session")),
            ImportRow::TodoAgain(_) => return Err(Refusal::NotFound("todo")),
        })
    }

    /// The local target of a link: none if the session was deleted here, like all links to it.
    fn imported_link(
        &self,
        source: Uid,
        link: Option<SessionId>,
        actor: ActorId,
        scope: &Scope,
    ) -> Result<Option<SessionId>, Refusal> {
        let Some(there) = link else { return Ok(None) };
        let found = self.imported.get(&(scope.account, source, Origin::Session(there)));
        let here = SessionId(*found.ok_or(Refusal::NoSuchSession(there))?);
        match self.sessions.get((scope.account, here)) {
            Some(session) if session.actor != actor => Err(Refusal::NoSuchSession(there)),
            session => Ok(session.map(|session| session.id)),
        }
    }

    /// The todo after an imported log entry. The log grows as in the source: each entry must start
    /// from the todo's current status.
    fn replay_step(
        &self,
        source: Uid,
        actor: ActorId,
        step: &StatusChange<Sealed>,
        scope: &Scope,
    ) -> Result<Todo<Sealed>, Refusal> {
        let found = self.imported.get(&(scope.account, source, Origin::Todo(step.todo)));
        let todo = found.and_then(|id| self.todos.get((scope.account, TodoId(*id))));
        let todo = todo.filter(|todo| todo.actor == actor).ok_or(Refusal::NotFound("todo"))?;
        let (from, to) = (step.old_status, step.new_status);
        todo.relive(step).map_err(|error| match error {
            StepRefusal::OtherStatus => Refusal::StepFromOtherStatus { from, current: todo.status },
            StepRefusal::Forbidden => Refusal::ForbiddenStep { from, to },
        })
    }
}
