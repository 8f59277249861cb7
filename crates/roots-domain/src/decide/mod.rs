//! Deciding a batch of commands in memory.
//!
//! A store applies a batch in three steps inside one transaction: it locks the batch's accounts and
//! loads [`ReadSet`] into [`WorkingSet`]; it decides the commands in order with
//! [`WorkingSet::decide_at`], so that later commands see the changes of earlier ones; it writes the
//! difference, [`WriteSet`], with one statement for each table. The rules are here once, for every
//! database.
//!
//! A refused command changes nothing in the working set, so there is nothing to roll back.

mod accounts;
mod activities;
mod admission;
mod audit;
mod claims;
mod counters;
mod credits;
mod deadlines;
mod dry_run;
mod erasure;
mod heartbeats;
mod idle_sessions;
mod imports;
mod keys;
mod plan;
mod read_set;
mod resources;
mod rows;
mod sessions;
mod sign_ins;
mod succession;
mod todos;
mod working_set;
mod write_set;

pub use claims::ClaimScope;
pub use dry_run::DryRun;
pub use read_set::{ImportKey, ReadSet};
pub use rows::{Difference, RowKey};
pub use working_set::{ActivityTypes, UnchangedRows, WorkingSet};
pub use write_set::{Directory, WriteSet};

use crate::command::{Action, Applied, AppliedRow, Command, Conditions, Refusal, SystemAction};
use crate::model::time::Timestamp;

impl WorkingSet {
    /// Decides one command. It checks in this order: the caller's key is in force, the request is
    /// not a repeat, the caller may still write, the row is in a required state, the rules, the
    /// balance.
    ///
    /// `now` is the time of the decision. A command may have waited since [`Command::at`], and a
    /// key may have expired meanwhile, so keys are checked against `now` everywhere. Rows get the
    /// time of asking, and the age of idempotency records is measured by it.
    ///
    /// # Errors
    /// The refusal; the working set is then unchanged.
    pub fn decide_at(&mut self, command: Command, now: Timestamp) -> Result<Applied, Refusal> {
        self.decided_at = now;
        let Command { action, charge, conditions: Conditions { if_match, idempotency }, at } =
            command;
        if let Some(bearer) = action.bearer() {
            self.admit(bearer)?;
            if bearer.sign_in.is_some() && action.needs_api_key() {
                return Err(Refusal::NeedsApiKey);
            }
        }
        match action {
            Action::Resource(bearer, action) => self.decide_once(bearer, idempotency, at, |set| {
                set.decide_resource(bearer, action, charge, if_match.as_deref(), at)
            }),
            Action::Manage(bearer, action) => {
                self.decide_once(bearer, idempotency, at, |set| set.manage(bearer, action, at))
            }
            Action::SignIn(bearer, action) => self.decide_sign_in(bearer, action, at),
            Action::Transfer(bearer, action) => self.transfer(bearer, action, at),
            Action::Recover(bearer, action) => self.recover(bearer, action, at),
            Action::Operate(operator, action) => match operator.bearer() {
                Some(bearer) => self.decide_once(bearer, idempotency, at, |set| {
                    set.operate(operator, action, charge, at)
                }),
                None => self.operate(operator, action, charge, at),
            },
            Action::System(action) => self.decide_system(action, at),
        }
    }

    fn decide_system(&mut self, action: SystemAction, at: Timestamp) -> Result<Applied, Refusal> {
        match action {
            SystemAction::ReserveAccount => Ok(self.reserve_account()),
            SystemAction::NameInstallation(id) => self.name_installation(id),
            SystemAction::FoundAccount(new) => self.found_account(new, at),
            SystemAction::UseKey { account, actor, key } => self.use_key(account, actor, key, at),
            SystemAction::MaintainKeys { account, used, over } => {
                self.maintain_keys(account, &used, &over)
            }
            SystemAction::UnlinkSession { account, session, rows } => {
                let owner = self.account(account).ok_or(Refusal::NoSuchAccount(account))?;
                let balance = owner.balance;
                self.write_set.unlinked.push(((account, session), rows));
                Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance, is_replay: false })
            }
            SystemAction::EndIdleSessions { account, sessions, idle_seconds } => {
                self.end_idle_sessions(account, &sessions, idle_seconds, at)
            }
            SystemAction::SweepErased(account) => self.sweep_erased(account, at),
            SystemAction::CountCalls(counts) => Ok(self.count_calls(counts)),
            SystemAction::ForgetIdempotencyRecords { account, before } => {
                let owner = self.account(account).ok_or(Refusal::NoSuchAccount(account))?;
                let balance = owner.balance;
                self.write_set.forgotten.push((account, before));
                Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance, is_replay: false })
            }
        }
    }
}

#[cfg(test)]
mod tests;
