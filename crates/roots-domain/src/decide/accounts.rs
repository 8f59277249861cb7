//! Deciding about accounts.

use super::credits::EntryText;
use super::rows::Row;
use super::working_set::WorkingSet;

use crate::command::{Applied, AppliedRow, Charge, NewAccount, Operator, OperatorAction, Refusal};

use crate::model::account::{Account, AccountStatus, Actor, LastIds};
use crate::model::api_key::{ApiKey, KeyEpoch, KeyStatus, RecoveryCode};
use crate::model::audit::AuditAction;
use crate::model::credit::Reason;
use crate::model::id::{AccountId, Uid};
use crate::model::quota::Renewals;
use crate::model::text::Name;
use crate::model::time::Timestamp;
use crate::model::usage::Calls;

impl WorkingSet {
    pub(super) fn reserve_account(&mut self) -> Applied {
        let last = self.directory.last_account;
        let id = last.map_or(NewAccount::FIRST, |last| AccountId(last.0 + 1));
        self.directory.last_account = Some(id);
        self.write_set.directory = Some(self.directory);
        Applied { row: AppliedRow::Reserved(id), cost: 0, balance: 0, is_replay: false }
    }

    pub(super) fn name_installation(&mut self, id: Uid) -> Result<Applied, Refusal> {
        if self.directory.accounts > 0 {
            let last = self.directory.last_account.unwrap_or(NewAccount::FIRST);
            return Err(Refusal::AccountExists(last));
        }
        let named = self.directory.installation.unwrap_or_else(|| {
            self.directory.installation = Some(id);
            self.write_set.directory = Some(self.directory);
            id
        });
        Ok(Applied { row: AppliedRow::Installation(named), cost: 0, balance: 0, is_replay: false })
    }

    pub(super) fn found_account(
        &mut self,
        new: NewAccount,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        // The very first account needs no reserved id: as long as no id was assigned, no erased
        // account can have left rows under it.
        let last = self.directory.last_account;
        let is_given = last.is_some_and(|last| new.id <= last);
        let is_very_first = last.is_none() && new.id == NewAccount::FIRST;
        let fits = if new.must_be_first {
            self.directory.accounts == 0
                && (is_very_first || is_given && new.id != NewAccount::FIRST)
        } else {
            is_given
        };
        if !fits || self.account(new.id).is_some() {
            return Err(Refusal::AccountExists(new.id));
        }
        if is_very_first {
            self.directory.last_account = Some(new.id);
        }
        self.directory.accounts += 1;
        self.write_set.directory = Some(self.directory);
        let mut last_ids = LastIds::default();
        let owner = Actor {
            id: last_ids.next_actor(),
            uid: new.owner_uid,
            name: new.owner_name,
            kind: new.owner_kind,
            role: NewAccount::OWNER_ROLE,
            is_active: true,
            key_epoch: KeyEpoch::FIRST,
            renewals: Renewals::NONE,
            created_at: at,
        };
        let key = ApiKey {
            id: last_ids.next_key(),
            actor: owner.id,
            lookup: new.key_lookup,
            prefix: new.key_prefix,
            label: None,
            created_at: at,
            last_used: None,
            expires_at: None,
            status: KeyStatus::Current,
            succession: None,
            first_used_at: None,
        };
        let code = RecoveryCode {
            id: last_ids.next_recovery(),
            lookup: new.code_lookup,
            created_at: at,
            comes_with: None,
        };
        let account = Account {
            id: new.id,
            uid: new.uid,
            name: new.name,
            kind: new.kind,
            status: AccountStatus::Active,
            balance: 0,
            auth_epoch: 1,
            sign_in_epoch: 0,
            key_epoch: KeyEpoch::FIRST,
            last_ids,
            keys: 1,
            created_at: at,
            version: 1,
        };
        self.accounts.insert(new.id, Row { loaded: None, now: Some(account) });
        self.actors.set((new.id, owner.id), Some(owner));
        self.keys.set((new.id, key.id), Some(key));
        self.codes.set((new.id, code.id), Some(code));
        self.write_set.wraps.extend(new.wraps.into_iter().map(|wrap| (new.id, wrap)));
        if new.credits == 0 {
            return self.account_applied(new.id);
        }
        let text = EntryText::of_grant(Reason::BootstrapGrant, None, None);
        self.credit(new.id, new.credits, text, at)
    }

    /// Decides what an operator asks for, once its key is admitted.
    pub(super) fn operate(
        &mut self,
        operator: Operator,
        action: OperatorAction,
        charge: Option<Charge>,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        if let Some(bearer) = operator.bearer() {
            self.check_operator(bearer)?;
        }
        match action {
            OperatorAction::GrantCredits { account, amount, note } => {
                let endpoint = charge.map(|charge| charge.endpoint.to_owned());
                let note = note.map(Name::into_string);
                let text = EntryText::of_grant(Reason::OperatorGrant, endpoint, note);
                self.credit(account, amount, text, at)?;
                self.note_of_operator(AuditAction::CreditsGranted, account, operator, at);
                self.account_applied(account)
            }
            OperatorAction::SetAccountStatus { account, status } => {
                self.set_status(account, status, operator, at)
            }
        }
    }

    /// Setting the status that it has changes nothing. A suspension moves the auth epoch, so that
    /// callers admitted before are checked again.
    fn set_status(
        &mut self,
        id: AccountId,
        status: AccountStatus,
        operator: Operator,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let is_own = operator.bearer().is_some_and(|bearer| bearer.account == id);
        if is_own && status == AccountStatus::Suspended {
            return Err(Refusal::OwnAccount);
        }
        let account = self.account_mut(id).ok_or(Refusal::NoSuchAccount(id))?;
        if account.status != status {
            account.status = status;
            let action = match status {
                AccountStatus::Active => AuditAction::AccountResumed,
                AccountStatus::Suspended => {
                    account.auth_epoch += 1;
                    AuditAction::AccountSuspended
                }
            };
            self.note_of_operator(action, id, operator, at);
        }
        self.account_applied(id)
    }

    /// These counts are outside the working set: no rule depends on them.
    pub(super) fn count_calls(&mut self, counts: Vec<(Calls, i64)>) -> Applied {
        for (calls, count) in counts {
            if self.account(calls.account).is_some() {
                *self.write_set.calls.entry(calls).or_default() += count;
            }
        }
        Applied { row: AppliedRow::Counted, cost: 0, balance: 0, is_replay: false }
    }
}
