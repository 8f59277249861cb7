//! Sign-ins: browser keys, which are opened by an API key and end with it.

use std::sync::Arc;

use secrecy::SecretString;

use super::access::Caller;
use super::outcome::{ReadError, WriteError};
use crate::command::{Action, Applied, AppliedRow, Command, NewSignIn, Refusal, SignInAction};
use crate::model::account::Role;
use crate::model::id::{ActorId, SignInId};
use crate::model::sign_in::{SignIn, Stay};
use crate::model::text::Name;
use crate::model::time::Timestamp;
use crate::port::clock::Clock;
use crate::port::crypto::MintedKey;
use crate::port::store::{AccountReader, CommandStore, ListedSignIn, SignInQuery};

/// Sign-ins.
#[derive(Clone)]
pub struct SignIns {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Reads.
    pub reader: Arc<dyn AccountReader>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// A new sign-in, with the browser key that is shown only this once.
#[derive(Debug)]
pub struct ShownSignIn {
    /// The sign-in as it is stored.
    pub sign_in: SignIn,
    /// The browser key, for the cookie.
    pub browser_key: SecretString,
    /// The time from which it admits nobody, if it is used often.
    pub ends_at: Timestamp,
}

/// A sign-in of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInEntry {
    /// The sign-in and its actor.
    pub listed: ListedSignIn,
    /// Until when it admits its bearer, if it is not used again.
    pub ends_at: Timestamp,
    /// Whether it is the caller's own.
    pub is_callers: bool,
}

/// A page of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInPage {
    /// The sign-ins, the latest first.
    pub items: Vec<SignInEntry>,
    /// Where the next page begins: before this one. `None` at the end.
    pub next: Option<SignInId>,
}

impl SignIns {
    /// Signs the bearer of an API key in: makes a browser key for its actor.
    ///
    /// # Errors
    /// [`Refusal::NeedsApiKey`] for a browser key; a database error, or no randomness.
    pub async fn sign_in(
        &self,
        caller: &Caller,
        stay: Stay,
        label: Option<Name>,
    ) -> Result<ShownSignIn, WriteError> {
        let AppliedRow::Account(account) = self.apply(caller, SignInAction::ReserveId).await?.row
        else {
            return Err(WriteError::mismatched());
        };
        let id = SignInId(account.last_ids.sign_in);
        let MintedKey { secret: browser_key, lookup, wraps, .. } =
            caller.keys.mint_browser_key(id)?;
        let new = NewSignIn {
            id,
            account_epoch: caller.account.epoch,
            epoch: caller.actor.key_epoch,
            lookup,
            label,
            stay,
            wraps,
        };
        let AppliedRow::SignIn(sign_in) = self.apply(caller, SignInAction::Open(new)).await?.row
        else {
            return Err(WriteError::mismatched());
        };
        let latest = sign_in.created_at.plus_seconds(stay.lasts_seconds());
        let ends_at = caller.ends_at.map_or(latest, |end| end.min(latest));
        Ok(ShownSignIn { sign_in, browser_key, ends_at })
    }

    /// Ends the caller's own sign-in.
    ///
    /// # Errors
    /// The refusal, or a database error. For the bearer of an API key there is nothing to end.
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), WriteError> {
        let own = caller.sign_in.ok_or(Refusal::NotFound("sign-in"))?;
        self.end(caller, own).await
    }

    /// The sign-ins in force that the caller may see, the latest first: those of all actors for the
    /// owner, its own for a member. At most `most`, of those that began before `before`.
    ///
    /// # Errors
    /// A database error.
    pub async fn list(
        &self,
        caller: &Caller,
        before: Option<SignInId>,
        most: u32,
    ) -> Result<SignInPage, ReadError> {
        let actor = match caller.actor.role {
            Role::Owner => None,
            Role::Member => Some(caller.actor.id),
        };
        // One more tells whether others follow.
        let query = SignInQuery { by: caller.admission(), actor, before, most: most + 1 };
        let now = self.clock.now();
        let entry = |listed: ListedSignIn| {
            let ends_at = listed.sign_in.admits_until(&listed.opener.validity(), now).ok()?;
            let is_callers = caller.sign_in == Some(listed.sign_in.id);
            Some(SignInEntry { listed, ends_at, is_callers })
        };
        let mut found = self.reader.sign_ins(&query).await?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let is_cut = found.len() > most;
        found.truncate(most);
        let next = found.last().filter(|_| is_cut).map(|listed| listed.sign_in.id);
        Ok(SignInPage { items: found.into_iter().filter_map(entry).collect(), next })
    }

    /// Ends a sign-in: one of the caller's actor or, for the owner, any of the account.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn end(&self, caller: &Caller, id: SignInId) -> Result<(), WriteError> {
        self.apply(caller, SignInAction::End(id)).await.map(drop)
    }

    /// Ends all sign-ins of the caller's actor, its own included.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn end_all(&self, caller: &Caller) -> Result<(), WriteError> {
        self.end_all_of(caller, caller.actor.id).await
    }

    /// Ends all sign-ins of an actor; of another one's, only the owner may.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn end_all_of(&self, caller: &Caller, actor: ActorId) -> Result<(), WriteError> {
        self.apply(caller, SignInAction::EndAll(actor)).await.map(drop)
    }

    async fn apply(&self, caller: &Caller, action: SignInAction) -> Result<Applied, WriteError> {
        let action = Action::SignIn(caller.bearer(), action);
        Ok(self.commands.apply(Command::uncharged(action, self.clock.now())).await?)
    }
}
