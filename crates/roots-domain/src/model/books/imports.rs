//! Deciding what comes in from elsewhere.

use std::collections::BTreeMap;

use super::{Books, Desk, EntryText, Needs, Verdict, refused_balance};
use crate::model::account::Role;
use crate::model::activity::Activity;
use crate::model::credit::Reason;
use crate::model::id::{AccountId, ActorId, LogId, SessionId, TodoId, Uid};
use crate::model::import::{
    IMPORT_ENDPOINT, Import, ImportEffect, ImportRow, Imported, Origin, StepFault,
};
use crate::model::sealed::Sealed;
use crate::model::todo::{StatusChange, Todo};
use crate::model::unit::{Applied, AppliedRow, Author, Intent, KeyBearer, Refusal, UnitOfWork};

/// What an imported row is known by, and in which account.
pub type ImportKey = (AccountId, Uid, Origin);

impl Needs {
    pub(super) fn add_import(&mut self, account: AccountId, import: &Import) {
        let actors = import.actors.values().map(|there| Origin::Actor(*there));
        self.imported.extend(actors.map(|origin| (account, import.source, origin)));
        for row in &import.rows {
            let origins = [Some(row.origin()), row.link()].into_iter().flatten();
            self.imported.extend(origins.map(|origin| (account, import.source, origin)));
            if let ImportRow::Activity(activity) = row {
                self.kinds.insert((account, activity.actor, activity.activity_type.clone()));
            }
        }
    }
}

impl Books {
    /// A row that has come in before, and the id that it was given.
    pub fn load_imported(&mut self, key: ImportKey, id: i64) {
        self.imported.insert(key, id);
    }

    /// Adds the rows that imported ones are linked to, once it is loaded which those are.
    pub fn follow_imports<'a>(
        &self,
        units: impl IntoIterator<Item = &'a UnitOfWork>,
        needs: &mut Needs,
    ) {
        for unit in units {
            let (Author::Key(KeyBearer { account, .. }), Intent::Import(import)) =
                (unit.author, &unit.intent)
            else {
                continue;
            };
            for link in import.rows.iter().filter_map(ImportRow::link) {
                match (link, self.imported.get(&(account, import.source, link))) {
                    (Origin::Session(_), Some(id)) => {
                        needs.sessions.insert((account, SessionId(*id)));
                    }
                    (Origin::Todo(_), Some(id)) => {
                        needs.todos.insert((account, TodoId(*id)));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Ids are given anew, so what an account has would be there twice.
    pub(super) fn check_not_own(&self, source: Uid, account: AccountId) -> Result<(), Refusal> {
        match self.account(account) {
            Some(account) if account.uid == source => Err(Refusal::OwnExport),
            _ => Ok(()),
        }
    }

    /// Each row by itself: one that is refused leaves the others alone. The first that the balance does
    /// not cover is refused, and ends it. What is written before it stands and is paid for.
    pub(super) fn import(&mut self, import: Import, desk: &Desk) -> Result<Applied, Refusal> {
        if desk.role != Role::Owner {
            return Err(Refusal::OwnerOnly);
        }
        let Import { source, actors, rows } = import;
        let (mut outcomes, mut cost) = (Vec::with_capacity(rows.len()), 0);
        for row in rows {
            let outcome = self.import_row(source, &actors, row, desk);
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
                actor: Some(desk.actor),
                note: None,
            };
            self.enter(desk.account, -cost, text, desk.at);
        }
        let balance = self.account(desk.account).map_or(0, |account| account.balance);
        Ok(Applied { row: AppliedRow::Imported(outcomes), cost, balance, is_replay: false })
    }

    /// Judges a row, then pays for it, then writes it.
    fn import_row(
        &mut self,
        source: Uid,
        actors: &BTreeMap<ActorId, ActorId>,
        row: ImportRow,
        desk: &Desk,
    ) -> Result<Imported, Refusal> {
        let origin = row.origin();
        let key = (desk.account, source, origin);
        if let Some(id) = self.imported.get(&key) {
            return Ok(Imported::Known(*id));
        }
        let here = row.actor();
        let new_actor = self.new_actor(source, actors.get(&here).copied(), here, desk)?;
        let verdict = self.judge_import(source, row, desk)?;
        let account = self.account_mut(desk.account).ok_or(Refusal::KeyNotInForce)?;
        account.debit(ImportEffect::Added.cost()).map_err(refused_balance)?;
        let id = match self.carry_out(verdict, desk)? {
            AppliedRow::Session(session) => session.id.0,
            AppliedRow::Todo(_) if matches!(origin, Origin::Step(_)) => {
                self.account(desk.account).map_or(0, |account| account.counters.log)
            }
            AppliedRow::Todo(todo) => todo.id.0,
            AppliedRow::Activity(activity) => activity.id.0,
            _ => 0,
        };
        let actor = new_actor.map(|key| (key, here.0));
        for (key, id) in actor.into_iter().chain([(key, id)]) {
            self.imported.insert(key, id);
            self.changes.imported.push((key, id));
        }
        Ok(Imported::New(id))
    }

    /// What is to be remembered of the actor there that a row's actor here stands for, if that is new.
    /// Another import may have found another one for it in the meantime: then the row is refused.
    fn new_actor(
        &self,
        source: Uid,
        there: Option<ActorId>,
        here: ActorId,
        desk: &Desk,
    ) -> Result<Option<ImportKey>, Refusal> {
        let Some(there) = there else { return Ok(None) };
        let key = (desk.account, source, Origin::Actor(there));
        match self.imported.get(&key) {
            None => Ok(Some(key)),
            Some(id) if *id == here.0 => Ok(None),
            Some(_) => Err(Refusal::NoSuchActor(there)),
        }
    }

    fn judge_import(&self, source: Uid, row: ImportRow, desk: &Desk) -> Result<Verdict, Refusal> {
        let link = |link, actor| self.imported_link(source, link, actor, desk);
        Ok(match row {
            ImportRow::Session(session) => Verdict::StartSession(session),
            ImportRow::Todo(todo) => {
                let session = link(todo.session, todo.actor)?;
                Verdict::CreateTodo(Todo { session, ..todo })
            }
            ImportRow::Step(actor, step) => self.judge_step(source, actor, step, desk)?,
            ImportRow::Activity(activity) => {
                let session = link(activity.session, activity.actor)?;
                self.check_kind(desk.account, activity.actor, &activity.activity_type)?;
                Verdict::LogActivity(Activity { session, ..activity })
            }
        })
    }

    /// Where a link leads here: nowhere, once the session was deleted, as it is with every link to it.
    fn imported_link(
        &self,
        source: Uid,
        link: Option<SessionId>,
        actor: ActorId,
        desk: &Desk,
    ) -> Result<Option<SessionId>, Refusal> {
        let Some(there) = link else { return Ok(None) };
        let found = self.imported.get(&(desk.account, source, Origin::Session(there)));
        let here = SessionId(*found.ok_or(Refusal::NoSuchSession(there))?);
        match self.sessions.get((desk.account, here)) {
            Some(session) if session.actor != actor => Err(Refusal::NoSuchSession(there)),
            session => Ok(session.map(|session| session.id)),
        }
    }

    /// The log grows as it grew: each step begins where its todo stands.
    fn judge_step(
        &self,
        source: Uid,
        actor: ActorId,
        step: StatusChange<Sealed>,
        desk: &Desk,
    ) -> Result<Verdict, Refusal> {
        let found = self.imported.get(&(desk.account, source, Origin::Todo(step.todo)));
        let todo = found.and_then(|id| self.todos.get((desk.account, TodoId(*id))));
        let todo = todo.filter(|todo| todo.actor == actor).ok_or(Refusal::NotFound("todo"))?;
        let (from, to) = (step.old_status, step.new_status);
        let next = todo.relive(from, to).map_err(|fault| match fault {
            StepFault::Elsewhere => Refusal::StepFromElsewhere { from, stands: todo.status },
            StepFault::Forbidden => Refusal::ForbiddenStep { from, to },
        })?;
        let step = StatusChange { id: LogId(0), todo: next.id, ..step };
        Ok(Verdict::PutTodo(next, Some(step)))
    }
}
