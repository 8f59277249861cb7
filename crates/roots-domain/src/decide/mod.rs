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

use crate::command::{Action, Applied, AppliedRow, Command, Refusal, SystemAction};
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
        let Command { action, charge, conditions, at } = command;
        if let Some(bearer) = action.bearer() {
            self.admit(bearer)?;
        }
        match action {
            Action::Resource(bearer, action) => {
                self.decide_resource(bearer, action, charge, conditions, at)
            }
            Action::Manage(bearer, action) => self.manage(bearer, action, at),
            Action::Transfer(bearer, action) => self.transfer(bearer, action, at),
            Action::Recover(bearer, action) => self.recover(bearer, action, at),
            Action::Operate(operator, action) => self.operate(operator, action, charge, at),
            Action::System(action) => self.decide_system(action, at),
        }
    }

    fn decide_system(&mut self, action: SystemAction, at: Timestamp) -> Result<Applied, Refusal> {
        match action {
            SystemAction::ReserveAccount => Ok(self.reserve_account()),
            SystemAction::NameInstallation(id) => self.name_installation(id),
            SystemAction::FoundAccount(new) => self.found_account(new, at),
            SystemAction::UseKey { account, actor, key } => self.use_key(account, actor, key, at),
            SystemAction::TendKeys { account, used, over } => self.tend_keys(account, &used, &over),
            SystemAction::UnlinkSession { account, session, rows } => {
                let owner = self.account(account).ok_or(Refusal::NoSuchAccount(account))?;
                let balance = owner.balance;
                self.write_set.unlinked.push(((account, session), rows));
                Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance, is_replay: false })
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
