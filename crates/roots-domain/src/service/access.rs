//! Authentication: from a presented key to a caller with unlocked keys.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::outcome::ReadError;
use crate::command::{Action, AppliedRow, Command, Refusal, SystemAction};
use crate::model::account::{AccountKind, Actor, Role};
use crate::model::api_key::{Succession, WrapHolder, WrapSubject};
use crate::model::bearer::KeyBearer;
use crate::model::id::{ActorId, KeyId};
use crate::model::text::Name;
use crate::model::time::Timestamp;
use crate::port::clock::Clock;
use crate::port::crypto::{
    AccountIdentity, ActorIdentity, Keyring, Locksmith, Lookup, PresentedKey,
};
use crate::port::store::{
    AccountReader, Admission, ApplyError, CommandStore, Credentials, StoreError,
};

/// The bearer of a key in force, as of when it was looked up.
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
    /// The key that it used.
    pub key: KeyId,
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

/// How often a key is looked up if the parts of the result do not match.
const LOOKS_MAX: u32 = 3;

/// Whether the wraps of a key lead to the epochs in force, as those of every valid key do: a
/// renewal ends the others. Checked before anything is opened, it shows that the read was
/// consistent. The locksmith checks that no wrap leads to a later epoch, for codes too.
fn opens_what_is_in_force(found: &Credentials) -> bool {
    let own = WrapHolder::ApiKey(found.key.id);
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

    /// Looks up a presented key and unlocks the keys of its actor.
    ///
    /// # Errors
    /// [`Refusal::KeyNotInForce`], or a database error. A key whose wraps are missing or do not
    /// open is a database error: no key is ever made to replace it.
    pub async fn admit(&self, presented: &PresentedKey) -> Result<Caller, ReadError> {
        let lookup = presented.lookup;
        let mut found = self.look_up(lookup).await?;
        let is_unseen = found.key.is_unseen();
        let account = found.account.identity();
        let actor = ActorIdentity::from(&found.actor);
        let unlocked = self.locksmith.unlock(presented, account, actor, found.key.id, &found.wraps);
        let keys = match unlocked {
            Ok(keys) => keys,
            // A key's wraps are deleted when it ends: it may have ended between two reads.
            Err(_) if !self.is_in_force(lookup).await? => return Err(Refusal::KeyNotInForce.into()),
            Err(error) => {
                let (account, key) = (found.account.id, found.key.id);
                let cause = format!("key {key} of account {account}: {error}");
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
            auth_epoch: found.account.auth_epoch,
            ends_at: found.key.end(),
            keys,
        })
    }

    /// The data of a valid key, with the epochs that are in force after its use.
    ///
    /// If a renewal comes into force between two reads of one look-up, its parts do not match, and
    /// what the bearer wraps would be wrapped under an old key. So the look-up is repeated.
    async fn look_up(&self, lookup: Lookup) -> Result<Credentials, ReadError> {
        for _ in 0..LOOKS_MAX {
            let found = self.reader.credentials(lookup).await?;
            let mut found = found.ok_or(Refusal::KeyNotInForce)?;
            if !self.admits(&found) {
                return Err(Refusal::KeyNotInForce.into());
            }
            if found.key.is_unseen() && found.key.succession == Some(Succession::Renewal) {
                found.account.key_epoch = found.account.key_epoch.next();
                found.actor.key_epoch = found.actor.key_epoch.next();
            }
            if opens_what_is_in_force(&found) {
                return Ok(found);
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

    fn admits(&self, found: &Credentials) -> bool {
        found.actor.is_active && found.key.in_force(self.clock.now())
    }

    async fn is_in_force(&self, lookup: Lookup) -> Result<bool, StoreError> {
        Ok(self.reader.credentials(lookup).await?.is_some_and(|found| self.admits(&found)))
    }

    /// Checks that the key still admits its bearer, and returns the auth epoch.
    ///
    /// # Errors
    /// [`Refusal::KeyNotInForce`] if it does not, or a database error.
    pub async fn check_again(&self, lookup: Lookup) -> Result<Admission, ReadError> {
        let found = self.reader.credentials(lookup).await?;
        let found = found.filter(|found| self.admits(found)).ok_or(Refusal::KeyNotInForce)?;
        let auth_epoch = Some(found.account.auth_epoch);
        Ok(Admission { account: lookup.account, auth_epoch })
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
        match caller.ends_at {
            Some(end) if end <= self.clock.now() => Err(Refusal::KeyNotInForce.into()),
            _ => Ok(()),
        }
    }
}
