//! Operators list accounts, grant credits, suspend and resume.
//!
//! Any actor of an operator's account may do this. Nothing here decrypts texts: an operator's
//! account has no keys of other accounts.

use std::sync::Arc;

use super::access::Caller;
use super::accounts::Grant;
use super::outcome::{ReadError, WriteError, Written};
use super::write::{IdempotentRequest, idempotency};
use crate::command::{
    Action, AppliedRow, Charge, Command, Conditions, Operator, OperatorAction, Refusal,
};
use crate::model::account::{Account, AccountKind, AccountStatus};
use crate::model::id::AccountId;
use crate::model::page::{Page, PageRequest};
use crate::model::text::Name;
use crate::port::clock::Clock;
use crate::port::store::{AccountOverview, AccountReader, AccountsReader, CommandStore};

/// The route that the ledger names for a grant.
const GRANT: &str = "POST /accounts/{id}/credits";

/// Operators suspend and resume accounts, and manage their credits.
#[derive(Clone)]
pub struct Operators {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Reads accounts.
    pub reader: Arc<dyn AccountsReader>,
    /// Reads the keys of operators.
    pub accounts: Arc<dyn AccountReader>,
    /// Tells the time of a write.
    pub clock: Arc<dyn Clock>,
}

impl Operators {
    /// A page of all accounts, newest first.
    ///
    /// # Errors
    /// [`Refusal::OperatorOnly`], or a database error.
    pub async fn list(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Page<AccountOverview>, ReadError> {
        check(caller)?;
        Ok(self.reader.accounts(caller.admission(), page).await?)
    }

    /// An account.
    ///
    /// # Errors
    /// [`Refusal::OperatorOnly`], or a database error.
    pub async fn get(
        &self,
        caller: &Caller,
        id: AccountId,
    ) -> Result<Option<AccountOverview>, ReadError> {
        check(caller)?;
        Ok(self.reader.account_overview(caller.admission(), id).await?)
    }

    /// Grants credits to an account, once for each idempotency key, and returns the state that it
    /// had then.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn grant(
        &self,
        caller: &Caller,
        account: AccountId,
        amount: Grant,
        note: Option<Name>,
        idempotent: Option<IdempotentRequest>,
    ) -> Result<Written<Account>, WriteError> {
        let action = OperatorAction::GrantCredits { account, amount: amount.credits(), note };
        let idempotency = idempotency(&*self.accounts, caller, idempotent).await?;
        let conditions = Conditions { idempotency, ..Conditions::default() };
        self.apply(caller, action, Some(Charge::nothing(GRANT)), conditions).await
    }

    /// Suspends or resumes an account, and returns its new state.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn set_status(
        &self,
        caller: &Caller,
        account: AccountId,
        status: AccountStatus,
    ) -> Result<Account, WriteError> {
        let action = OperatorAction::SetAccountStatus { account, status };
        Ok(self.apply(caller, action, None, Conditions::default()).await?.value)
    }

    async fn apply(
        &self,
        caller: &Caller,
        action: OperatorAction,
        charge: Option<Charge>,
        conditions: Conditions,
    ) -> Result<Written<Account>, WriteError> {
        let action = Action::Operate(Operator::Key(caller.bearer()), action);
        let command = Command { action, charge, conditions, at: self.clock.now() };
        let applied = self.commands.apply(command).await?;
        match &applied.row {
            AppliedRow::Account(account) => Ok(Written::of(Account::clone(account), &applied)),
            _ => Err(WriteError::mismatched()),
        }
    }
}

/// Checks that the caller is an operator. An account's kind never changes, so for reads it is
/// enough that it was an operator's when the caller was admitted.
///
/// # Errors
/// [`Refusal::OperatorOnly`].
pub fn check(caller: &Caller) -> Result<(), Refusal> {
    match caller.account_kind {
        AccountKind::Operator => Ok(()),
        AccountKind::Customer => Err(Refusal::OperatorOnly),
    }
}
