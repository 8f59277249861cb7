//! Deciding a batch of commands in memory.
//!
//! A store applies a batch in three steps inside one transaction: it locks the batch's accounts and
//! loads [`ReadSet`] into [`WorkingSet`]; it decides each command with [`WorkingSet::decide_at`] in
//! its order, later commands seeing what earlier ones did; it writes [`WriteSet`], the difference,
//! with one statement a table. The rules stand here once, whatever the database.
//!
//! A refused command changes nothing in the working set, so there is nothing to roll back.

mod accounts;
mod activities;
mod admission;
mod audit;
mod counters;
mod credits;
mod dry_run;
mod erasure;
mod imports;
mod keys;
mod read_set;
mod resources;
mod rows;
mod sessions;
mod succession;
mod todos;
mod working_set;
mod write_set;

pub use dry_run::DryRun;
pub use read_set::{ImportKey, ReadSet};
pub use rows::{Difference, RowKey};
pub use working_set::{Kinds, UnchangedRows, WorkingSet};
pub use write_set::{Directory, WriteSet};

use admission::Scope;

use crate::command::{
    Action, Applied, AppliedRow, Command, Conditions, Principal, Refusal, RowPatch,
};

use crate::model::audit::{AuditAction, AuditEvent};
use crate::model::bearer::KeyBearer;
use crate::model::etag::EntityTag;
use crate::model::time::Timestamp;

impl WorkingSet {
    /// Decides one command: that its caller's key is in force, then whether it was done before,
    /// then that its caller may still write, then the state that it insists on, then the rules,
    /// then the balance.
    ///
    /// `now` is the time at which it is decided. A command may have waited since [`Command::at`],
    /// and a key may have expired meanwhile, so whether a key is in force is judged by `now`
    /// everywhere. What is written carries the time of asking, and an answer that is kept for a day
    /// is judged by that.
    ///
    /// # Errors
    /// Why it is refused; the working set is then as it was.
    pub fn decide_at(&mut self, command: Command, now: Timestamp) -> Result<Applied, Refusal> {
        self.decided_at = now;
        let Command { principal, action, charge, conditions, at } = command;
        if let Principal::Key(bearer) = principal {
            self.admit(bearer)?;
        }
        match (principal, action) {
            (Principal::Key(bearer), Action::GrantCredits { account, amount, note }) => {
                self.check_operator(bearer)?;
                let endpoint = charge.map(|charge| charge.endpoint.to_owned());
                self.grant_credits(account, amount, note, endpoint, at)?;
                self.note_of_operator(AuditAction::CreditsGranted, account, bearer, at);
                self.account_applied(account)
            }
            (Principal::Key(bearer), Action::SetAccountStatus { account, status }) => {
                self.check_operator(bearer)?;
                self.set_status(account, status, bearer, at)
            }
            (Principal::Key(bearer), action) => {
                let Conditions { if_match, idempotency } = conditions;
                if let Some(idempotency) = &idempotency
                    && let Some(answered) = self.answered(idempotency, bearer, at)
                {
                    return answered;
                }
                if !action.is_open_to_suspended() {
                    self.check_not_suspended(bearer.account)?;
                }
                let KeyBearer { account, actor, role, .. } = bearer;
                let scope = Scope { account, actor, role, at };
                self.check_state(&action, if_match.as_deref(), &scope)?;
                match action {
                    Action::Manage(management) => self.manage(*management, bearer, at),
                    Action::EraseAccount { code } => self.erase_account(code, bearer, at),
                    Action::NoteExport { actor } => {
                        self.note_of_owner(AuditAction::Exported, actor, bearer, at)
                    }
                    Action::NoteImport { source, actor } => {
                        self.check_not_own(source, bearer.account)?;
                        self.note_of_owner(AuditAction::Imported, actor, bearer, at)
                    }
                    Action::Import(import) => self.import(import, &scope),
                    action => {
                        let applied = self.decide_resource(action, &scope, charge)?;
                        if let Some(idempotency) = idempotency {
                            self.keep(idempotency.now, bearer, &applied, at);
                        }
                        Ok(applied)
                    }
                }
            }
            (Principal::Code(bearer), Action::Manage(management)) => {
                self.manage_by_code(*management, bearer, at)
            }
            (Principal::Code(_), _) => Err(Refusal::CodeNotInForce),
            (Principal::Program, Action::UseKey { account, actor, key }) => {
                self.use_key(account, actor, key, at)
            }
            (Principal::Program, Action::TendKeys { account, used, over }) => {
                self.tend_keys(account, &used, &over)
            }
            (Principal::Program, Action::SweepErased(account)) => self.sweep_erased(account, at),
            (Principal::Program, Action::UnlinkSession { account, session, rows }) => {
                let owner = self.account(account).ok_or(Refusal::NoSuchAccount(account))?;
                let balance = owner.balance;
                self.write_set.unlinked.push(((account, session), rows));
                Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance, is_replay: false })
            }
            (Principal::Program, Action::ReserveAccount) => Ok(self.reserve_account()),
            (Principal::Program, Action::NameInstallation(id)) => self.name_installation(id),
            (Principal::Program, Action::FoundAccount(new)) => self.found_account(*new, at),
            (Principal::Program, Action::GrantCredits { account, amount, note }) => {
                self.grant_credits(account, amount, note, None, at)?;
                self.note(account, AuditEvent::of_program(AuditAction::CreditsGranted), at);
                self.account_applied(account)
            }
            (Principal::Program, Action::CountCalls(counts)) => Ok(self.count_calls(counts)),
            (Principal::Program, Action::ForgetIdempotencyRecords { account, before }) => {
                let owner = self.account(account).ok_or(Refusal::NoSuchAccount(account))?;
                let balance = owner.balance;
                self.write_set.forgotten.push((account, before));
                Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance, is_replay: false })
            }
            // What belongs to an actor is written by its key alone.
            (Principal::Program, _) => Err(Refusal::KeyNotInForce),
        }
    }

    /// Whether the row that a command changes or deletes is in a state that its caller insists on.
    /// A new row has none before.
    fn check_state(
        &self,
        action: &Action,
        if_match: Option<&[EntityTag]>,
        scope: &Scope,
    ) -> Result<(), Refusal> {
        let Some(allowed) = if_match else { return Ok(()) };
        let (what, stands) = match action {
            Action::PatchSession(RowPatch { id, .. }) | Action::DeleteSession(id) => {
                ("session", self.session(*id, scope)?.tag())
            }
            Action::PatchTodo { row: RowPatch { id, .. }, .. } | Action::DeleteTodo(id) => {
                ("todo", self.todo(*id, scope)?.tag())
            }
            Action::DeleteActivity(id) => ("activity", self.activity(*id, scope)?.tag()),
            _ => return Ok(()),
        };
        if allowed.contains(&stands) { Ok(()) } else { Err(Refusal::HasChanged(what)) }
    }
}

#[cfg(test)]
mod tests;
