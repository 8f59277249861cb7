//! Erasing accounts.

use super::rows::Row;
use super::working_set::WorkingSet;
use crate::command::{Applied, AppliedRow, Refusal};
use crate::model::account::AccountKind;
use crate::model::api_key::LookupHash;
use crate::model::id::AccountId;
use crate::model::time::Timestamp;

impl WorkingSet {
    /// Ends an account. Its keys and wraps are deleted at once, its other rows later.
    pub(super) fn erase_account(
        &mut self,
        id: AccountId,
        code: LookupHash,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        if !self.codes.of(id).any(|known| known.lookup == code) {
            return Err(Refusal::WrongRecoveryCode);
        }
        let account = self.account(id).ok_or(Refusal::KeyNotInForce)?;
        if account.kind == AccountKind::Operator && !self.other_operator {
            return Err(Refusal::LastOperator);
        }
        self.accounts.insert(id, Row { loaded: None, now: None });
        self.directory.accounts -= 1;
        self.write_set.directory = Some(self.directory);
        self.write_set.erased.push((id, at));
        Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance: 0, is_replay: false })
    }

    /// Never for an account that exists.
    pub(super) fn sweep_erased(
        &mut self,
        id: AccountId,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        if self.account(id).is_some() {
            return Err(Refusal::AccountExists(id));
        }
        self.write_set.swept.push((id, at));
        Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance: 0, is_replay: false })
    }
}
