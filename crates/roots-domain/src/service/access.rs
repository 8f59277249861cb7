//! Authentication: from a presented key to a caller with unlocked keys.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::outcome::ReadError;
use crate::command::{Action, AppliedRow, Command, Refusal, SystemAction};
use crate::model::account::{AccountKind, Actor, Role};
use crate::model::api_key::{AnyKeyId, Succession, WrapSubject};
use crate::model::bearer::KeyBearer;
use crate::model::id::{ActorId, KeyId, SignInId};
use crate::model::text::Name;
use crate::model::time::Timestamp;
use crate::port::clock::Clock;
use crate::port::crypto::{
    AccountIdentity, ActorIdentity, Keyring, Locksmith, Lookup, PresentedKey,
};
use crate::port::store::{
    AccountReader, Admission, ApplyError, CommandStore, Credentials, StoreError,
};

/// The bearer of an API key or a browser key in force, as of when it was looked up.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account.
    pub account: AccountIdentity,
    /// The account's name.
    pub account_name: Name,
    /// The account's kind.
    pub account_kind: AccountKind,
    /// The actor.
    pub actor: Actor,
    /// The API key that it used, or that opened its sign-in.
    pub key: KeyId,
    /// The sign-in, for the bearer of a browser key. It does not manage keys.
    pub sign_in: Option<SignInId>,
    /// The account's auth epoch.
    pub auth_epoch: i64,
    /// The time from which the key admits nobody.
    pub ends_at: Option<Timestamp>,
    /// The actor's keys.
    pub keys: Arc<dyn Keyring>,
}

impl Caller {
    /// The admission that this caller's reads are checked against.
    #[must_use]
    pub const fn admission(&self) -> Admission {
        Admission { account: self.account.id, auth_epoch: Some(self.auth_epoch) }
    }

    /// The bearer of its key, who asks for this caller's commands.
    #[must_use]
    pub const fn bearer(&self) -> KeyBearer {
        KeyBearer {
            account: self.account.id,
            actor: self.actor.id,
            role: self.actor.role,
            key: self.key,
            sign_in: self.sign_in,
            auth_epoch: self.auth_epoch,
            ends_at: self.ends_at,
        }
    }

    /// The actor whose rows `scope` selects; `None` for all actors of the account. An actor that
    /// does not exist has no rows.
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`] for a member, unless it names itself.
    pub fn choose(&self, scope: ActorScope) -> Result<Option<ActorId>, Refusal> {
        let chosen = match scope {
            ActorScope::Own => Some(self.actor.id),
            ActorScope::Of(actor) => Some(actor),
            ActorScope::All => None,
        };
        let may = chosen.map_or(self.actor.role == Role::Owner, |actor| self.reaches(actor));
        if may { Ok(chosen) } else { Err(Refusal::OwnerOnly) }
    }

    /// Checks that it has shown an API key, for what a browser key may not do.
    ///
    /// # Errors
    /// [`Refusal::NeedsApiKey`].
    pub fn check_api_key(&self) -> Result<(), Refusal> {
        if self.sign_in.is_some() { Err(Refusal::NeedsApiKey) } else { Ok(()) }
    }

    /// Checks that an API key that was typed for one act is of the same actor as the sign-in. The
    /// bearer of that key then does the act.
    ///
    /// # Errors
    /// [`Refusal::OtherActorsKey`].
    pub fn check_same_actor(&self, typed: &Self) -> Result<(), Refusal> {
        let own = (self.account.id, self.actor.id);
        if own == (typed.account.id, typed.actor.id) {
            return typed.check_api_key();
        }
        Err(Refusal::OtherActorsKey)
    }

    /// Whether it may read and write rows of that actor.
    #[must_use]
    pub fn reaches(&self, actor: ActorId) -> bool {
        self.actor.role.reaches(self.actor.id, actor)
    }
}

/// The actors whose rows a list or statistics include.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ActorScope {
    /// The caller's own rows.
    #[default]
    Own,
    /// That actor's rows.
    Of(ActorId),
    /// The rows of all actors of the account.
    All,
}

/// A caller whose key was checked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillAdmitted {
    /// The admission that its further reads are checked against.
    pub admission: Admission,
    /// The time from which the key admits nobody, as known now. A sign-in that is used ends later.
    pub ends_at: Option<Timestamp>,
}

/// How often a key is looked up if the parts of the result do not match.
const LOOKS_MAX: u32 = 3;

/// Whether the wraps of a key lead to the epochs in force, as those of every valid key do: a
/// renewal ends the others. Checked before anything is opened, it shows that the read was
/// consistent. The locksmith checks that no wrap leads to a later epoch, for codes too.
fn opens_what_is_in_force(found: &Credentials) -> bool {
    let own = found.used_key().holder();
    found.wraps.iter().filter(|wrap| wrap.holder == own).all(|wrap| match wrap.subject {
        WrapSubject::Account(epoch) => epoch == found.account.key_epoch,
        WrapSubject::Actor(actor, epoch) => {
            actor != found.actor.id || epoch == found.actor.key_epoch
        }
    })
}

/// Admits callers.
#[derive(Clone)]
pub struct Access {
    /// Parses keys and opens their wraps.
    pub locksmith: Arc<dyn Locksmith>,
    /// Looks keys up.
    pub reader: Arc<dyn AccountReader>,
    /// Records their first use.
    pub commands: Arc<dyn CommandStore>,
    /// Tells the time, to check whether they have expired.
    pub clock: Arc<dyn Clock>,
}

impl Access {
    /// Parses a presented key. It refuses a malformed key without a look-up.
    ///
    /// # Errors
    /// [`Refusal::KeyNotInForce`].
    pub fn parse_key(&self, text: &SecretString) -> Result<PresentedKey, ReadError> {
        self.locksmith.parse_key(text).ok_or(ReadError::Refused(Refusal::KeyNotInForce))
    }

    /// Parses a presented browser key. It refuses a malformed one without a look-up.
    ///
    /// # Errors
    /// [`Refusal::KeyNotInForce`].
    pub fn parse_browser_key(&self, text: &SecretString) -> Result<PresentedKey, ReadError> {
        self.locksmith.parse_browser_key(text).ok_or(ReadError::Refused(Refusal::KeyNotInForce))
    }

    /// Looks up a presented API key or browser key and unlocks the keys of its actor.
    ///
    /// # Errors
    /// [`Refusal::KeyNotInForce`], [`Refusal::SignInEnded`], or a database error. A key whose wraps
    /// are missing or do not open is a database error: no key is ever made to replace it.
    pub async fn admit(&self, presented: &PresentedKey) -> Result<Caller, ReadError> {
        let lookup = presented.lookup;
        let (mut found, ends_at) = self.look_up(lookup).await?;
        // The key that opened a sign-in was used then.
        let is_unseen = found.key.is_unseen() && found.sign_in.is_none();
        let used = found.used_key();
        let account = found.account.identity();
        let actor = ActorIdentity::from(&found.actor);
        let unlocked = self.locksmith.unlock(presented, account, actor, used, &found.wraps);
        let keys = match unlocked {
            Ok(keys) => keys,
            Err(error) => {
                // A key's wraps are deleted when it ends: it may have ended between two reads.
                self.check_again(lookup).await?;
                let account = found.account.id;
                let key = match used {
                    AnyKeyId::Api(key) => format!("key {key}"),
                    AnyKeyId::Browser(sign_in) => format!("sign-in {sign_in}"),
                };
                let cause = format!("{key} of account {account}: {error}");
                return Err(StoreError::Broken(cause).into());
            }
        };
        if is_unseen {
            // A key ends others only if it unlocked the keys of its actor.
            found.account.auth_epoch = self.note_first_use(&found).await?;
        }
        Ok(Caller {
            account,
            account_name: found.account.name,
            account_kind: found.account.kind,
            actor: found.actor,
            key: found.key.id,
            sign_in: found.sign_in.map(|sign_in| sign_in.id),
            auth_epoch: found.account.auth_epoch,
            ends_at,
            keys,
        })
    }

    /// The data of a valid key, with the epochs that are in force after its use, and its end.
    ///
    /// If a renewal comes into force between two reads of one look-up, its parts do not match, and
    /// what the bearer wraps would be wrapped under an old key. So the look-up is repeated.
    async fn look_up(&self, lookup: Lookup) -> Result<(Credentials, Option<Timestamp>), ReadError> {
        for _ in 0..LOOKS_MAX {
            let found = self.reader.credentials(lookup).await?;
            let mut found = found.ok_or(Refusal::KeyNotInForce)?;
            let ends_at = self.check(&found)?;
            let is_unseen = found.key.is_unseen() && found.sign_in.is_none();
            if is_unseen && found.key.succession == Some(Succession::Renewal) {
                found.account.key_epoch = found.account.key_epoch.next();
                found.actor.key_epoch = found.actor.key_epoch.next();
            }
            if opens_what_is_in_force(&found) {
                return Ok((found, ends_at));
            }
        }
        let account = lookup.account;
        let cause = format!("a key of account {account} opens an epoch that is not in force");
        Err(StoreError::Broken(cause).into())
    }

    /// Ends what a key succeeds, now that it is used. Returns the account's auth epoch after that.
    async fn note_first_use(&self, found: &Credentials) -> Result<i64, ReadError> {
        let (account, actor, key) = (found.account.id, found.actor.id, found.key.id);
        let action = Action::System(SystemAction::UseKey { account, actor, key });
        let command = Command::uncharged(action, self.clock.now());
        match self.commands.apply(command).await {
            Ok(applied) => match applied.row {
                AppliedRow::Account(account) => Ok(account.auth_epoch),
                _ => Err(StoreError::Broken("a use was answered with another row".into()).into()),
            },
            Err(ApplyError::Refused(_)) => Err(Refusal::KeyNotInForce.into()),
            Err(ApplyError::Store(error)) => Err(error.into()),
        }
    }

    /// Checks that a key admits its bearer, and returns the time from which it does not.
    fn check(&self, found: &Credentials) -> Result<Option<Timestamp>, Refusal> {
        let now = self.clock.now();
        if let Some(sign_in) = &found.sign_in {
            let end = sign_in.admits_until(&found.key, now).map_err(Refusal::SignInEnded)?;
            return if found.actor.is_active { Ok(Some(end)) } else { Err(Refusal::KeyNotInForce) };
        }
        let is_good = found.actor.is_active && found.key.in_force(now);
        if is_good { Ok(found.key.end()) } else { Err(Refusal::KeyNotInForce) }
    }

    /// Checks that the key still admits its bearer.
    ///
    /// # Errors
    /// [`Refusal::KeyNotInForce`] or [`Refusal::SignInEnded`] if it does not, or a database error.
    pub async fn check_again(&self, lookup: Lookup) -> Result<StillAdmitted, ReadError> {
        let found = self.reader.credentials(lookup).await?.ok_or(Refusal::KeyNotInForce)?;
        let ends_at = self.check(&found)?;
        let auth_epoch = Some(found.account.auth_epoch);
        Ok(StillAdmitted { admission: Admission { account: lookup.account, auth_epoch }, ends_at })
    }

    /// The time until a caller's key ends by itself, if it does.
    #[must_use]
    pub fn lasts(&self, caller: &Caller) -> Option<Duration> {
        let now = self.clock.now().micros();
        let left = caller.ends_at.map(|end| end.micros().saturating_sub(now));
        left.map(|left| Duration::from_micros(u64::try_from(left).unwrap_or(0)))
    }

    /// Checks without a look-up that a caller admitted earlier is still admitted. Called on every
    /// use.
    ///
    /// # Errors
    /// [`Refusal::KeyNotInForce`] if its key has expired.
    pub fn check_expiry(&self, caller: &Caller) -> Result<(), ReadError> {
        if self.has_ended(caller.ends_at) { Err(Refusal::KeyNotInForce.into()) } else { Ok(()) }
    }

    /// Whether the time from which a key admits nobody has come.
    #[must_use]
    pub fn has_ended(&self, ends_at: Option<Timestamp>) -> bool {
        ends_at.is_some_and(|end| end <= self.clock.now())
    }
}
