//! Deciding about sessions, todos and activities: validate, pay, apply.

use super::admission::Scope;
use super::working_set::WorkingSet;

use crate::command::{Action, Applied, AppliedRow, Charge, Refusal};

use crate::model::activity::Activity;
use crate::model::sealed::Sealed;
use crate::model::session::Session;
use crate::model::todo::{StatusChange, Todo};

/// What a validated command will do, once paid. New rows get their id then.
pub(super) enum Plan {
    StartSession(Session<Sealed>),
    PutSession(Session<Sealed>),
    DeleteSession(Session<Sealed>),
    CreateTodo(Todo<Sealed>),
    PutTodo(Todo<Sealed>, Option<StatusChange<Sealed>>),
    DeleteTodo(Todo<Sealed>),
    LogActivity(Activity<Sealed>),
    DeleteActivity(Activity<Sealed>),
}

impl WorkingSet {
    /// Validates the command, then charges for it, then does it: nothing is done that is not paid,
    /// and nothing is paid that is not done.
    pub(super) fn decide_resource(
        &mut self,
        action: Action,
        scope: &Scope,
        charge: Option<Charge>,
    ) -> Result<Applied, Refusal> {
        let plan = self.validate(action, scope)?;
        let cost = charge.map_or(0, |charge| charge.cost);
        self.pay(scope, charge)?;
        let row = self.apply(plan, scope)?;
        let balance = self.account(scope.account).map_or(0, |account| account.balance);
        Ok(Applied { row, cost, balance, is_replay: false })
    }

    pub(super) fn validate(&self, action: Action, scope: &Scope) -> Result<Plan, Refusal> {
        Ok(match action {
            Action::StartSession { actor, uid, notes } => {
                Plan::StartSession(Self::new_session(actor, uid, notes, scope)?)
            }
            Action::PatchSession(row) => Plan::PutSession(self.patched_session(row, scope)?),
            Action::DeleteSession(id) => Plan::DeleteSession(self.session(id, scope)?.clone()),
            Action::CreateTodo { uid, new } => Plan::CreateTodo(self.new_todo(uid, new, scope)?),
            Action::PatchTodo { row, log_uid } => {
                let (todo, log) = self.patched_todo(row, log_uid, scope)?;
                Plan::PutTodo(todo, log)
            }
            Action::DeleteTodo(id) => Plan::DeleteTodo(self.todo(id, scope)?.clone()),
            Action::LogActivity(new) => Plan::LogActivity(self.new_activity(new, scope)?),
            Action::DeleteActivity(id) => Plan::DeleteActivity(self.activity(id, scope)?.clone()),
            // No key makes accounts or counts.
            Action::ReserveAccount
            | Action::NameInstallation(_)
            | Action::FoundAccount(_)
            | Action::UseKey { .. }
            | Action::TendKeys { .. }
            | Action::CountCalls(_)
            | Action::ForgetIdempotencyRecords { .. }
            | Action::SweepErased(_)
            | Action::UnlinkSession { .. }
            // Decided elsewhere.
            | Action::GrantCredits { .. }
            | Action::SetAccountStatus { .. }
            | Action::EraseAccount { .. }
            | Action::NoteExport { .. }
            | Action::NoteImport { .. }
            | Action::Import(_)
            | Action::Manage(_) => return Err(Refusal::KeyNotInForce),
        })
    }

    pub(super) fn apply(&mut self, plan: Plan, scope: &Scope) -> Result<AppliedRow, Refusal> {
        match plan {
            Plan::StartSession(session) => self.insert_session(session, scope),
            Plan::PutSession(session) => Ok(self.put_session(session, scope)),
            Plan::DeleteSession(session) => Ok(self.delete_session(&session, scope)),
            Plan::CreateTodo(todo) => self.insert_todo(todo, scope),
            Plan::PutTodo(todo, log) => self.put_todo(todo, log, scope),
            Plan::DeleteTodo(todo) => Ok(self.delete_todo(&todo, scope)),
            Plan::LogActivity(activity) => self.insert_activity(activity, scope),
            Plan::DeleteActivity(activity) => Ok(self.delete_activity(&activity, scope)),
        }
    }
}
