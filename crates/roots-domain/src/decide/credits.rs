//! Charging for writes, and the ledger.

use super::admission::Scope;
use super::plan::Plan;
use super::working_set::WorkingSet;

use crate::command::{Applied, Charge, Refusal};

use crate::model::counter::{Counter, WorkCounts};
use crate::model::credit::{BalanceRefusal, LedgerEntry, Reason};
use crate::model::id::{AccountId, ActorId};
use crate::model::step::{Steps, Subject};
use crate::model::time::Timestamp;

/// What a ledger row tells beside its amounts.
pub(super) struct EntryText {
    pub(super) reason: Reason,
    pub(super) endpoint: Option<String>,
    pub(super) actor: Option<ActorId>,
    pub(super) note: Option<String>,
    pub(super) subject: Option<Subject>,
    pub(super) steps: Steps,
}

impl EntryText {
    /// That of a grant.
    pub(super) fn of_grant(reason: Reason, endpoint: Option<String>, note: Option<String>) -> Self {
        Self { reason, endpoint, actor: None, note, subject: None, steps: Steps::default() }
    }
}

const fn refused_balance(error: BalanceRefusal) -> Refusal {
    match error {
        BalanceRefusal::TooLow { balance, cost } => Refusal::InsufficientCredits { balance, cost },
        BalanceRefusal::TooHigh => Refusal::BalanceTooHigh,
    }
}

impl WorkingSet {
    /// Charges for a plan. Its steps are counted with the ledger row that tells of them, so a plan
    /// without a charge counts none.
    pub(super) fn pay(
        &mut self,
        scope: &Scope,
        charge: Option<Charge>,
        plan: &Plan,
    ) -> Result<(), Refusal> {
        let Some(Charge { cost, endpoint }) = charge else {
            return Ok(());
        };
        self.debit(scope.account, cost)?;
        let row = EntryText {
            reason: Reason::ApiWrite,
            endpoint: Some(endpoint.to_owned()),
            actor: Some(scope.actor),
            note: None,
            subject: plan.subject(),
            steps: plan.steps(),
        };
        self.enter(scope.account, -cost, row, scope.at);
        Ok(())
    }

    /// Takes a cost from an account's balance. A dry run takes nothing and needs no balance.
    pub(super) fn debit(&mut self, id: AccountId, cost: i64) -> Result<(), Refusal> {
        let is_charged = self.is_charged;
        let account = self.account_mut(id).ok_or(Refusal::KeyNotInForce)?;
        if is_charged { account.debit(cost).map_err(refused_balance) } else { Ok(()) }
    }

    /// Appends the latest change of the account's balance to the ledger, and counts what the new
    /// row tells.
    pub(super) fn enter(&mut self, account: AccountId, delta: i64, text: EntryText, at: Timestamp) {
        let Some(owner) = self.account_mut(account) else {
            return;
        };
        let entry = LedgerEntry {
            id: owner.last_ids.next_ledger(),
            delta,
            balance_after: owner.balance,
            reason: text.reason,
            endpoint: text.endpoint,
            actor: text.actor,
            note: text.note,
            subject: text.subject,
            steps: text.steps,
            created_at: at,
        };
        self.count(account, Counter::Ledger(text.reason), 1);
        for (counter, counts) in WorkCounts::of(&entry) {
            self.write_set.work.entry((account, counter)).or_default().add(counts);
        }
        self.write_set.ledger.push((account, entry));
    }

    pub(super) fn credit(
        &mut self,
        id: AccountId,
        amount: i64,
        text: EntryText,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let account = self.account_mut(id).ok_or(Refusal::NoSuchAccount(id))?;
        account.grant(amount).map_err(refused_balance)?;
        self.enter(id, amount, text, at);
        self.account_applied(id)
    }
}
