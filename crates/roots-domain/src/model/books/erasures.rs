//! Deciding that an account ends.

use super::{AccountKind, Books, Row};
use crate::model::account::Role;
use crate::model::id::AccountId;
use crate::model::key::LookupHash;
use crate::model::time::Timestamp;
use crate::model::unit::{Applied, AppliedRow, KeyBearer, Refusal};

impl Books {
    /// Whether an operator's account is left besides those that a batch ends.
    pub const fn load_other_operator(&mut self, is_there: bool) {
        self.other_operator = is_there;
    }

    /// Ends an account: what opens it goes with it, and so does whatever is left of it, in time.
    pub(super) fn erase_account(
        &mut self,
        code: LookupHash,
        bearer: KeyBearer,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let id = bearer.account;
        if bearer.role != Role::Owner {
            return Err(Refusal::OwnerOnly);
        }
        let shown = self.keys.get((id, bearer.key)).ok_or(Refusal::KeyNotInForce)?;
        if shown.ends_at.is_some() {
            return Err(Refusal::KeyInGrace);
        }
        if !self.codes.of(id).any(|known| known.lookup == code) {
            return Err(Refusal::WrongRecoveryCode);
        }
        let account = self.account(id).ok_or(Refusal::KeyNotInForce)?;
        if account.kind == AccountKind::Operator && !self.other_operator {
            return Err(Refusal::LastOperator);
        }
        self.accounts.insert(id, Row { loaded: None, now: None });
        self.directory.accounts -= 1;
        self.changes.directory = Some(self.directory);
        self.changes.erased.push((id, at));
        Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance: 0, is_replay: false })
    }

    /// Never of an account that there is.
    pub(super) fn sweep_erased(
        &mut self,
        id: AccountId,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        if self.account(id).is_some() {
            return Err(Refusal::AccountExists(id));
        }
        self.changes.swept.push((id, at));
        Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance: 0, is_replay: false })
    }
}
