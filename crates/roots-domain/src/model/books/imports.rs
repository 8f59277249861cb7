//! Deciding what comes in from elsewhere.

use super::{Books, Desk, Needs, Verdict};
use crate::model::account::Role;
use crate::model::activity::Activity;
use crate::model::id::{AccountId, ActorId, LogId, SessionId, TodoId, Uid};
use crate::model::import::{Import, ImportRow, Imported, Origin, StepFault};
use crate::model::sealed::Sealed;
use crate::model::todo::{StatusChange, Todo};
use crate::model::unit::{Applied, AppliedRow, Author, Intent, KeyBearer, Refusal, UnitOfWork};

/// What an imported row is known by, and in which account.
pub type ImportKey = (AccountId, Uid, Origin);

impl Needs {
    pub(super) fn add_import(&mut self, account: AccountId, import: &Import) {
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

    /// Each row by itself: one that is refused leaves the others alone.
    pub(super) fn import(&mut self, import: Import, desk: &Desk) -> Result<Applied, Refusal> {
        if desk.role != Role::Owner {
            return Err(Refusal::OwnerOnly);
        }
        let Import { source, rows } = import;
        let outcomes = rows.into_iter().map(|row| self.import_row(source, row, desk)).collect();
        let balance = self.account(desk.account).map_or(0, |account| account.balance);
        Ok(Applied { row: AppliedRow::Imported(outcomes), cost: 0, balance, is_replay: false })
    }

    fn import_row(
        &mut self,
        source: Uid,
        row: ImportRow,
        desk: &Desk,
    ) -> Result<Imported, Refusal> {
        let key = (desk.account, source, row.origin());
        if let Some(id) = self.imported.get(&key) {
            return Ok(Imported::Known(*id));
        }
        let id = match row {
            ImportRow::Actor(_, here) => here.0,
            ImportRow::Session(session) => {
                match self.carry_out(Verdict::StartSession(session), desk)? {
                    AppliedRow::Session(session) => session.id.0,
                    _ => 0,
                }
            }
            ImportRow::Todo(todo) => self.import_todo(source, todo, desk)?,
            ImportRow::Step(actor, step) => self.import_step(source, actor, step, desk)?,
            ImportRow::Activity(activity) => self.import_activity(source, activity, desk)?,
        };
        self.imported.insert(key, id);
        self.changes.imported.push((key, id));
        Ok(Imported::New(id))
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

    fn import_todo(
        &mut self,
        source: Uid,
        todo: Todo<Sealed>,
        desk: &Desk,
    ) -> Result<i64, Refusal> {
        let session = self.imported_link(source, todo.session, todo.actor, desk)?;
        match self.carry_out(Verdict::CreateTodo(Todo { session, ..todo }), desk)? {
            AppliedRow::Todo(todo) => Ok(todo.id.0),
            _ => Ok(0),
        }
    }

    /// The log grows as it grew: each step begins where its todo stands.
    fn import_step(
        &mut self,
        source: Uid,
        actor: ActorId,
        step: StatusChange<Sealed>,
        desk: &Desk,
    ) -> Result<i64, Refusal> {
        let found = self.imported.get(&(desk.account, source, Origin::Todo(step.todo)));
        let todo = found.and_then(|id| self.todos.get((desk.account, TodoId(*id))));
        let todo = todo.filter(|todo| todo.actor == actor).ok_or(Refusal::NotFound("todo"))?;
        let (from, to) = (step.old_status, step.new_status);
        let next = todo.relive(from, to).map_err(|fault| match fault {
            StepFault::Elsewhere => Refusal::StepFromElsewhere { from, stands: todo.status },
            StepFault::Forbidden => Refusal::ForbiddenStep { from, to },
        })?;
        let step = StatusChange { id: LogId(0), todo: next.id, ..step };
        self.carry_out(Verdict::PutTodo(next, Some(step)), desk)?;
        Ok(self.account(desk.account).map_or(0, |account| account.counters.log))
    }

    fn import_activity(
        &mut self,
        source: Uid,
        activity: Activity<Sealed>,
        desk: &Desk,
    ) -> Result<i64, Refusal> {
        let session = self.imported_link(source, activity.session, activity.actor, desk)?;
        self.check_kind(desk.account, activity.actor, &activity.activity_type)?;
        match self.carry_out(Verdict::LogActivity(Activity { session, ..activity }), desk)? {
            AppliedRow::Activity(activity) => Ok(activity.id.0),
            _ => Ok(0),
        }
    }
}
