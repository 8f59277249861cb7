//! Deciding about sessions, todos and activities: validate, pay, apply.

use super::admission::Scope;
use super::plan::Plan;
use super::working_set::WorkingSet;

use crate::command::{Applied, AppliedRow, Charge, Refusal, ResourceAction, RowPatch};

use crate::model::bearer::KeyBearer;
use crate::model::etag::EntityTag;
use crate::model::time::Timestamp;

impl WorkingSet {
    /// Validates an action, then charges for it, then does it: nothing is done that is not paid,
    /// and nothing is paid that is not done.
    pub(super) fn decide_resource(
        &mut self,
        bearer: KeyBearer,
        action: ResourceAction,
        charge: Option<Charge>,
        if_match: Option<&[EntityTag]>,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        self.check_not_suspended(bearer.account)?;
        let scope = Scope::of(bearer, at);
        self.check_state(&action, if_match, &scope)?;
        self.check_claim(&action, &scope)?;
        let carries_token =
            matches!(action, ResourceAction::PatchTodo { claim_token: Some(_), .. });
        let plan = self.validate(action, &scope)?;
        if matches!(plan, Plan::ClaimNothing) {
            // Nothing is charged.
            let balance = self.account(scope.account).map_or(0, |account| account.balance);
            let row = AppliedRow::NothingToClaim;
            return Ok(Applied { row, cost: 0, balance, is_replay: false });
        }
        let cost = charge.map_or(0, |charge| charge.cost);
        self.pay(&scope, charge, &plan)?;
        let row = self.apply(plan, &scope)?;
        match &row {
            AppliedRow::Todo(todo) => {
                self.touch(scope.account, todo.content.session);
                if carries_token {
                    self.touch_claim(scope.account, todo.id);
                }
            }
            AppliedRow::Todos(todos) => {
                for todo in todos {
                    self.touch(scope.account, todo.content.session);
                }
            }
            // Not the session that the todo was linked to before, which may be dead.
            AppliedRow::Claimed(todo, _) => {
                let session = todo.claims.standing.and_then(|claim| claim.session);
                self.touch(scope.account, session);
            }
            AppliedRow::Activity(activity) => self.touch(scope.account, activity.session),
            _ => {}
        }
        let balance = self.account(scope.account).map_or(0, |account| account.balance);
        Ok(Applied { row, cost, balance, is_replay: false })
    }

    /// Whether the row that an action changes or deletes is in a state that its caller insists on.
    /// A new row has none before.
    fn check_state(
        &self,
        action: &ResourceAction,
        if_match: Option<&[EntityTag]>,
        scope: &Scope,
    ) -> Result<(), Refusal> {
        let Some(allowed) = if_match else { return Ok(()) };
        let (what, current) = match action {
            ResourceAction::PatchSession(RowPatch { id, .. })
            | ResourceAction::DeleteSession(id) => ("session", self.session(*id, scope)?.tag()),
            ResourceAction::PatchTodo { row: RowPatch { id, .. }, .. }
            | ResourceAction::DeleteTodo { id, .. }
            | ResourceAction::ReleaseTodo { id, .. } => ("todo", self.todo(*id, scope)?.tag()),
            ResourceAction::DeleteActivity(id) => ("activity", self.activity(*id, scope)?.tag()),
            ResourceAction::StartSession { .. }
            | ResourceAction::CreateTodo { .. }
            | ResourceAction::CreateTodos(_)
            | ResourceAction::ClaimTodo(_)
            | ResourceAction::LogActivity { .. } => return Ok(()),
        };
        if allowed.contains(&current) { Ok(()) } else { Err(Refusal::HasChanged(what)) }
    }

    fn validate(&self, action: ResourceAction, scope: &Scope) -> Result<Plan, Refusal> {
        Ok(match action {
            ResourceAction::StartSession { actor, uid, notes } => {
                Plan::StartSession(self.new_session(actor, uid, notes, scope)?)
            }
            ResourceAction::PatchSession(row) => {
                Plan::PutSession(self.patched_session(row, scope)?)
            }
            ResourceAction::DeleteSession(id) => {
                Plan::DeleteSession(self.session(id, scope)?.clone())
            }
            ResourceAction::CreateTodo { uid, new } => {
                Plan::CreateTodo(self.new_todo(uid, new, scope)?)
            }
            ResourceAction::CreateTodos(new) => Plan::CreateTodos(self.new_todos(new, scope)?),
            ResourceAction::PatchTodo { row, log_uid, .. } => {
                let (todo, log) = self.patched_todo(row, log_uid, scope)?;
                Plan::PutTodo(todo, log)
            }
            ResourceAction::DeleteTodo { id, .. } => {
                Plan::DeleteTodo(self.todo(id, scope)?.clone())
            }
            ResourceAction::ClaimTodo(claim) => {
                self.new_claim(claim, scope)?.map_or(Plan::ClaimNothing, Plan::ClaimTodo)
            }
            ResourceAction::ReleaseTodo { id, log_uid, .. } => {
                let (todo, log) = self.released_todo(id, log_uid, scope)?;
                Plan::PutTodo(todo, log)
            }
            ResourceAction::LogActivity { uid, new } => {
                Plan::LogActivity(self.new_activity(uid, new, scope)?)
            }
            ResourceAction::DeleteActivity(id) => {
                Plan::DeleteActivity(self.activity(id, scope)?.clone())
            }
        })
    }

    pub(super) fn apply(&mut self, plan: Plan, scope: &Scope) -> Result<AppliedRow, Refusal> {
        match plan {
            Plan::StartSession(session) => self.insert_session(session, scope),
            Plan::PutSession(session) => Ok(self.put_session(session, scope)),
            Plan::DeleteSession(session) => Ok(self.delete_session(&session, scope)),
            Plan::CreateTodo(todo) => self.insert_todo(todo, scope),
            Plan::CreateTodos(todos) => self.insert_todos(todos, scope),
            Plan::PutTodo(todo, log) => self.put_todo(todo, log, scope),
            Plan::DeleteTodo(todo) => Ok(self.delete_todo(&todo, scope)),
            Plan::ClaimTodo(claim) => self.put_claim(claim, scope),
            Plan::ClaimNothing => Ok(AppliedRow::NothingToClaim),
            Plan::LogActivity(activity) => self.insert_activity(activity, scope),
            Plan::DeleteActivity(activity) => Ok(self.delete_activity(&activity, scope)),
        }
    }
}
