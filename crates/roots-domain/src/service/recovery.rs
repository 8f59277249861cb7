//! Recovery of an account whose owner has lost its key, with the recovery code.
//!
//! As with keys, ids are reserved first, by a command of its own.

use secrecy::SecretString;

use super::access::Caller;
use super::accounts::Accounts;
use super::outcome::WriteError;
use super::write::{IdempotentRequest, idempotency};
use crate::command::{
    Action, AppliedRow, Command, Conditions, ManageAction, NewCode, NewKey, RecoverAction, Refusal,
    RenewedCode, Reservation,
};
use crate::model::account::LastIds;
use crate::model::api_key::{ApiKey, Succession};
use crate::model::bearer::CodeBearer;
use crate::model::id::{AccountId, ActorId, KeyId, RecoveryId};
use crate::port::crypto::{AccountIdentity, ActorIdentity, Keyring, MintedCode, PresentedCode};
use crate::port::store::{Recoverable, StoreError};

/// The result of a recovery, with the secrets that are shown only this once.
#[derive(Debug)]
pub struct Recovered {
    /// The account.
    pub account: AccountId,
    /// Its owner.
    pub owner: ActorId,
    /// The owner's key.
    pub key: KeyId,
    /// The key itself.
    pub api_key: SecretString,
    /// Its first characters.
    pub key_prefix: String,
    /// The recovery code that replaces the used one, once the key is used.
    pub recovery_code: SecretString,
}

/// The keys that a recovery code opens.
struct Unlocked {
    account: AccountIdentity,
    owner: ActorIdentity,
    code: RecoveryId,
    keys: std::sync::Arc<dyn Keyring>,
}

impl Accounts {
    /// Makes a key for the owner of the account that the recovery code belongs to. If an account is
    /// given, it must be that one. The owner's other keys end at once. The code stays valid until
    /// the new key is used; recovering again before that replaces the unused key.
    ///
    /// # Errors
    /// [`Refusal::CodeNotInForce`], a database error, or no randomness.
    pub async fn recover(
        &self,
        code: &SecretString,
        account: Option<AccountId>,
    ) -> Result<Recovered, WriteError> {
        let presented = self.locksmith.parse_code(code);
        let presented = presented.filter(|code| account.is_none_or(|id| id == code.lookup.account));
        let presented = presented.ok_or(Refusal::CodeNotInForce)?;
        let Unlocked { account, owner, code, keys } = self.unlock(&presented).await?;
        let bearer = CodeBearer { account: account.id, code };
        let taken = self.reserve_ids(Action::Recover(bearer, RecoverAction::ReserveIds)).await?;
        let (id, code_id) = (KeyId(taken.key), RecoveryId(taken.recovery));
        let mut key = keys.mint_key(id)?;
        let code = keys.mint_code(code_id)?;
        key.wraps.extend(code.wraps);
        let new = NewKey {
            id,
            actor: owner.id,
            account_epoch: account.epoch,
            epoch: owner.epoch,
            lookup: key.lookup,
            prefix: key.prefix.clone(),
            label: None,
            expires_at: None,
            wraps: key.wraps,
        };
        let new_code = NewCode { id: code_id, lookup: code.lookup };
        let action = RecoverAction::AddKey { new, code: new_code };
        self.apply(Action::Recover(bearer, action)).await?;
        Ok(Recovered {
            account: account.id,
            owner: owner.id,
            key: id,
            api_key: key.secret,
            key_prefix: key.prefix,
            recovery_code: code.secret,
        })
    }

    /// Makes a recovery code that replaces all others at once. Owner only. A repeat with the same
    /// idempotency key is [`Refusal::ShownOnce`].
    ///
    /// # Errors
    /// The refusal, a database error, or no randomness.
    pub async fn renew_code(
        &self,
        caller: &Caller,
        idempotent: Option<IdempotentRequest>,
    ) -> Result<SecretString, WriteError> {
        let idempotency = idempotency(&*self.reader, caller, idempotent).await?;
        let manage = |action| Action::Manage(caller.bearer(), action);
        let reserve = manage(ManageAction::ReserveIds(Reservation::Code));
        let taken = self.reserve_ids(reserve).await?;
        let id = RecoveryId(taken.recovery);
        let MintedCode { secret, lookup, wraps } = caller.keys.mint_code(id)?;
        let code = NewCode { id, lookup };
        let renewed = RenewedCode { code, account_epoch: caller.account.epoch, wraps };
        let renew = Command::uncharged(manage(ManageAction::RenewCode(renewed)), self.clock.now());
        let conditions = Conditions { idempotency, ..Conditions::default() };
        self.commands.apply(Command { conditions, ..renew }).await?;
        Ok(secret)
    }

    /// Looks a presented code up and unlocks what it opens.
    async fn unlock(&self, presented: &PresentedCode) -> Result<Unlocked, WriteError> {
        let lookup = presented.lookup;
        let found = self.reader.recoverable(lookup).await?.ok_or(Refusal::CodeNotInForce)?;
        let (account, owner) = put_in_force(&found);
        let code = found.code.id;
        let unlocked = self.locksmith.recover(presented, account, owner, code, &found.wraps);
        let error = match unlocked {
            Ok(keys) => return Ok(Unlocked { account, owner, code, keys }),
            Err(error) => error,
        };
        // A code's wraps are deleted when it ends: it may have ended, or a renewal may have come
        // into force, between two reads.
        let again = self.reader.recoverable(lookup).await?.ok_or(Refusal::CodeNotInForce)?;
        if put_in_force(&again) != (account, owner) {
            return Err(Refusal::KeysRenewed(owner.id).into());
        }
        let cause = format!("recovery code {code} of account {}: {error}", account.id);
        Err(StoreError::Broken(cause).into())
    }

    async fn reserve_ids(&self, action: Action) -> Result<LastIds, WriteError> {
        match self.apply(action).await? {
            AppliedRow::Account(account) => Ok(account.last_ids),
            _ => Err(WriteError::mismatched()),
        }
    }
}

/// The account and its owner, with the epochs that are in force after the use of the code.
fn put_in_force(found: &Recoverable) -> (AccountIdentity, ActorIdentity) {
    let mut account = AccountIdentity::from(&found.account);
    let mut owner = ActorIdentity::from(&found.owner);
    let is_unseen_renewal =
        |key: &ApiKey| key.is_unseen() && key.succession == Some(Succession::Renewal);
    if found.came_with.as_ref().is_some_and(is_unseen_renewal) {
        account.epoch = account.epoch.next();
        owner.epoch = owner.epoch.next();
    }
    (account, owner)
}
