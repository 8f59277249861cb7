//! The key hierarchy: which key wraps which other keys.
//!
//! | holder                     | opens                                                        |
//! |----------------------------|--------------------------------------------------------------|
//! | an API key, a browser key  | its actor's key; an owner's also the account key             |
//! | a recovery code            | the account key                                              |
//! | an account key of an epoch | earlier account keys, every actor's keys                     |
//! | an actor key of an epoch   | earlier keys of the same actor                               |
//!
//! There are no other ways, and wraps that claim one are ignored: none leads to a later epoch, from
//! one actor to another, or from an actor to the account.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use roots_domain::model::api_key::{AnyKeyId, KeyEpoch, Wrap, WrapHolder, WrapSubject};
use roots_domain::model::id::{ActorId, KeyId, RecoveryId, SignInId};
use roots_domain::model::sealed::{Sealed, TextPlace};
use roots_domain::port::crypto::{
    AccountIdentity, AccountRenewal, ActorIdentity, CryptoError, EARLIER_EPOCHS_KEPT, Founding,
    Keyring, Locksmith, MacPurpose, MintedCode, MintedKey, PresentedCode, PresentedKey, Renewal,
};
use secrecy::SecretString;

use crate::seal::{
    Entropy, Key, SystemEntropy, account_wrapping_key, actor_wrapping_key, epoch_of, mac,
    open_text, open_wrap, random_key, seal_text, wrap_key,
};
use crate::token::{Form, Token, key_prefix};

/// Implements the domain's locksmith with ring.
pub struct RingLocksmith {
    entropy: Arc<dyn Entropy>,
}

impl RingLocksmith {
    /// A locksmith with random bytes from `entropy`.
    pub fn new(entropy: impl Entropy + 'static) -> Self {
        Self { entropy: Arc::new(entropy) }
    }
}

/// Uses the operating system's random bytes.
impl Default for RingLocksmith {
    fn default() -> Self {
        Self::new(SystemEntropy)
    }
}

impl fmt::Debug for RingLocksmith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingLocksmith").finish_non_exhaustive()
    }
}

impl Locksmith for RingLocksmith {
    fn parse_key(&self, text: &SecretString) -> Option<PresentedKey> {
        let token = Token::read(Form::ApiKey, text)?;
        Some(PresentedKey { lookup: token.lookup().ok()?, secret: token.into_secret() })
    }

    fn parse_browser_key(&self, text: &SecretString) -> Option<PresentedKey> {
        let token = Token::read(Form::BrowserKey, text)?;
        Some(PresentedKey { lookup: token.lookup().ok()?, secret: token.into_secret() })
    }

    fn parse_code(&self, text: &SecretString) -> Option<PresentedCode> {
        let token = Token::read(Form::RecoveryCode, text)?;
        Some(PresentedCode { lookup: token.lookup().ok()?, secret: token.into_secret() })
    }

    fn found(
        &self,
        account: AccountIdentity,
        owner: ActorIdentity,
        key: KeyId,
        code: RecoveryId,
    ) -> Result<Founding, CryptoError> {
        let account_keys = AccountKeys {
            owner: owner.id,
            keys: Epochs::of(account.epoch, random_key(&*self.entropy)?),
        };
        let keyring = RingKeyring {
            entropy: Arc::clone(&self.entropy),
            account,
            actor: owner,
            keys: Epochs::of(owner.epoch, random_key(&*self.entropy)?),
            account_keys: Some(account_keys),
        };
        Ok(Founding {
            wraps: vec![keyring.wrap_under_account(owner, &*keyring.key_in_force()?)?],
            key: keyring.mint_key(key)?,
            code: keyring.mint_code(code)?,
        })
    }

    fn unlock(
        &self,
        presented: &PresentedKey,
        account: AccountIdentity,
        actor: ActorIdentity,
        key: AnyKeyId,
        wraps: &[Wrap],
    ) -> Result<Arc<dyn Keyring>, CryptoError> {
        let form = match key {
            AnyKeyId::Api(_) => Form::ApiKey,
            AnyKeyId::Browser(_) => Form::BrowserKey,
        };
        let wrapping_key = form.wrapping_key(presented.lookup.account, &presented.secret)?;
        let start = (key.holder(), wrapping_key);
        let Reached { account_keys, actor_keys } = reach(account, actor.id, vec![start], wraps)?;
        let account_keys = (!account_keys.is_empty())
            .then(|| AccountKeys { owner: actor.id, keys: account_keys.into() });
        RingKeyring::shared(&self.entropy, account, actor, actor_keys.into(), account_keys)
    }

    fn recover(
        &self,
        presented: &PresentedCode,
        account: AccountIdentity,
        owner: ActorIdentity,
        code: RecoveryId,
        wraps: &[Wrap],
    ) -> Result<Arc<dyn Keyring>, CryptoError> {
        let start = (
            WrapHolder::Recovery(code),
            Form::RecoveryCode.wrapping_key(presented.lookup.account, &presented.secret)?,
        );
        let Reached { account_keys, actor_keys } = reach(account, owner.id, vec![start], wraps)?;
        let account_keys = AccountKeys { owner: owner.id, keys: account_keys.into() };
        RingKeyring::shared(&self.entropy, account, owner, actor_keys.into(), Some(account_keys))
    }
}

/// Keys by epoch.
type KeysByEpoch = BTreeMap<KeyEpoch, Arc<Key>>;

/// The unlocked keys of an account or actor.
#[derive(Clone, Default)]
struct Epochs {
    /// All clones share these keys: the one in force, and up to [`EARLIER_EPOCHS_KEPT`] earlier
    /// ones.
    kept: Arc<RwLock<KeysByEpoch>>,
    /// More earlier keys, which only this clone has.
    beyond: KeysByEpoch,
}

impl From<KeysByEpoch> for Epochs {
    fn from(keys: KeysByEpoch) -> Self {
        Self { kept: Arc::new(RwLock::new(keys)), beyond: KeysByEpoch::new() }
    }
}

impl Epochs {
    fn of(epoch: KeyEpoch, key: Key) -> Self {
        KeysByEpoch::from([(epoch, Arc::new(key))]).into()
    }

    fn get(&self, epoch: KeyEpoch) -> Option<Arc<Key>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(&epoch).cloned();
        kept.or_else(|| self.beyond.get(&epoch).cloned())
    }

    /// Checks that the newest key is the one in force. If there is a later key, it was in force
    /// before, so the epoch in the database went back. The next texts would then be sealed with an
    /// earlier key, which may be stolen.
    fn check_newest(&self, in_force: KeyEpoch) -> Result<(), CryptoError> {
        match self.all().last_key_value() {
            Some((newest, _)) if *newest > in_force => Err(CryptoError::EpochWentBack),
            Some((newest, _)) if *newest == in_force => Ok(()),
            _ => Err(CryptoError::WrapMissing),
        }
    }

    fn all(&self) -> KeysByEpoch {
        let mut all = self.kept.read().unwrap_or_else(PoisonError::into_inner).clone();
        all.extend(self.beyond.iter().map(|(epoch, key)| (*epoch, Arc::clone(key))));
        all
    }

    /// Adds keys. The latest of them are shared with all clones while there is room.
    fn with(&self, found: KeysByEpoch) -> Self {
        let mut more = self.clone();
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        for (epoch, key) in found.into_iter().rev() {
            if kept.len() <= EARLIER_EPOCHS_KEPT || kept.contains_key(&epoch) {
                kept.entry(epoch).or_insert(key);
            } else {
                more.beyond.insert(epoch, key);
            }
        }
        drop(kept);
        more
    }
}

/// The keys that wraps lead to.
struct Reached {
    account_keys: KeysByEpoch,
    actor_keys: KeysByEpoch,
}

/// Follows `wraps` from the wrapping keys in `in_hand` to every key of the account and the actor.
fn reach(
    account: AccountIdentity,
    actor: ActorId,
    mut in_hand: Vec<(WrapHolder, Key)>,
    wraps: &[Wrap],
) -> Result<Reached, CryptoError> {
    let mut held = BTreeMap::<WrapHolder, Vec<&Wrap>>::new();
    for wrap in wraps.iter().filter(|wrap| leads(wrap)) {
        held.entry(wrap.holder).or_default().push(wrap);
    }
    let mut reached = Reached { account_keys: KeysByEpoch::new(), actor_keys: KeysByEpoch::new() };
    while let Some((holder, wrapping_key)) = in_hand.pop() {
        for wrap in held.get(&holder).into_iter().flatten() {
            let (keys, epoch) = match wrap.subject {
                WrapSubject::Account(epoch) => (&mut reached.account_keys, epoch),
                WrapSubject::Actor(of, epoch) if of == actor => (&mut reached.actor_keys, epoch),
                WrapSubject::Actor(..) => continue,
            };
            if keys.contains_key(&epoch) {
                continue;
            }
            let key = open_wrap(account, wrap.subject, (holder, &wrapping_key), &wrap.sealed)?;
            in_hand.push(match wrap.subject {
                WrapSubject::Account(_) => {
                    (WrapHolder::Account(epoch), account_wrapping_key(account, &key)?)
                }
                WrapSubject::Actor(..) => {
                    (WrapHolder::Actor(actor, epoch), actor_wrapping_key(account, &key)?)
                }
            });
            keys.insert(epoch, Arc::new(key));
        }
    }
    Ok(reached)
}

/// Whether the hierarchy allows this holder to wrap this subject.
fn leads(wrap: &Wrap) -> bool {
    use {WrapHolder as Holder, WrapSubject as Subject};
    match (wrap.holder, wrap.subject) {
        (Holder::ApiKey(_) | Holder::Browser(_), _)
        | (Holder::Recovery(_), Subject::Account(_))
        | (Holder::Account(_), Subject::Actor(..)) => true,
        (Holder::Account(later), Subject::Account(earlier)) => earlier < later,
        (Holder::Actor(holder, later), Subject::Actor(subject, earlier)) => {
            holder == subject && earlier < later
        }
        (Holder::Recovery(_), Subject::Actor(..)) | (Holder::Actor(..), Subject::Account(_)) => {
            false
        }
    }
}

/// The account's keys, unlocked by its owner.
#[derive(Clone)]
struct AccountKeys {
    owner: ActorId,
    keys: Epochs,
}

/// The keys of an actor, unlocked by the actor or by the owner.
struct RingKeyring {
    entropy: Arc<dyn Entropy>,
    account: AccountIdentity,
    actor: ActorIdentity,
    keys: Epochs,
    /// Set if the owner unlocked this keyring, for itself or for another actor.
    account_keys: Option<AccountKeys>,
}

impl RingKeyring {
    /// A keyring, after checking that it has the keys in force and none of a later epoch. Each way
    /// into the hierarchy ends here: an API key, a recovery code, and an owner who acts for another
    /// actor.
    fn shared(
        entropy: &Arc<dyn Entropy>,
        account: AccountIdentity,
        actor: ActorIdentity,
        keys: Epochs,
        account_keys: Option<AccountKeys>,
    ) -> Result<Arc<dyn Keyring>, CryptoError> {
        let entropy = Arc::clone(entropy);
        keys.check_newest(actor.epoch)?;
        if let Some(account_keys) = &account_keys {
            account_keys.keys.check_newest(account.epoch)?;
        }
        Ok(Arc::new(Self { entropy, account, actor, keys, account_keys }))
    }

    fn key_of(&self, epoch: KeyEpoch) -> Result<Arc<Key>, CryptoError> {
        self.keys.get(epoch).ok_or(CryptoError::WrapMissing)
    }

    fn key_in_force(&self) -> Result<Arc<Key>, CryptoError> {
        self.key_of(self.actor.epoch)
    }

    fn account_keys(&self) -> Result<&AccountKeys, CryptoError> {
        self.account_keys.as_ref().ok_or(CryptoError::NotAnOwner)
    }

    fn account_key_in_force(&self) -> Result<Arc<Key>, CryptoError> {
        self.account_keys()?.keys.get(self.account.epoch).ok_or(CryptoError::WrapMissing)
    }

    /// The wrapping keys of all unlocked account keys.
    fn account_holders(&self) -> Result<Vec<(WrapHolder, Key)>, CryptoError> {
        let keys = self.account_keys()?.keys.all().into_iter();
        keys.map(|(epoch, key)| {
            Ok((WrapHolder::Account(epoch), account_wrapping_key(self.account, &key)?))
        })
        .collect()
    }

    /// Whether the owner unlocked this keyring for itself.
    fn is_owners_own(&self) -> bool {
        self.account_keys.as_ref().is_some_and(|keys| keys.owner == self.actor.id)
    }

    fn wrap(
        &self,
        (subject, key): (WrapSubject, &Key),
        (holder, wrapping_key): (WrapHolder, &Key),
    ) -> Result<Wrap, CryptoError> {
        let sealed =
            wrap_key(&*self.entropy, self.account, (subject, key), (holder, wrapping_key))?;
        Ok(Wrap { subject, holder, sealed })
    }

    /// Wraps the actor's key under the account key in force.
    fn wrap_under_account(&self, actor: ActorIdentity, key: &Key) -> Result<Wrap, CryptoError> {
        let wrapping_key = account_wrapping_key(self.account, &*self.account_key_in_force()?)?;
        self.wrap(
            (WrapSubject::Actor(actor.id, actor.epoch), key),
            (WrapHolder::Account(self.account.epoch), &wrapping_key),
        )
    }

    /// Wraps the actor's key in force under the key of its next epoch.
    fn wrap_under_next(&self, next: &Self) -> Result<Wrap, CryptoError> {
        let wrapping_key = actor_wrapping_key(self.account, &*next.key_in_force()?)?;
        self.wrap(
            (WrapSubject::Actor(self.actor.id, self.actor.epoch), &*self.key_in_force()?),
            (WrapHolder::Actor(next.actor.id, next.actor.epoch), &wrapping_key),
        )
    }

    /// Makes a key of that form for the actor, which opens the keys in force.
    fn mint(&self, form: Form, holder: WrapHolder) -> Result<MintedKey, CryptoError> {
        let token = Token::draw(form, self.account.id, &*self.entropy)?;
        let wrapping_key = token.wrapping_key()?;
        let holder = (holder, &wrapping_key);
        let actors = WrapSubject::Actor(self.actor.id, self.actor.epoch);
        let mut wraps = vec![self.wrap((actors, &*self.key_in_force()?), holder)?];
        if self.is_owners_own() {
            let accounts = WrapSubject::Account(self.account.epoch);
            wraps.push(self.wrap((accounts, &*self.account_key_in_force()?), holder)?);
        }
        let secret = token.written();
        let prefix = key_prefix(&secret);
        Ok(MintedKey { secret, prefix, lookup: token.lookup()?.hash, wraps })
    }

    /// A keyring that holds only a new key, for the actor's next epoch.
    fn next(
        &self,
        account: AccountIdentity,
        account_keys: AccountKeys,
    ) -> Result<Self, CryptoError> {
        let actor = ActorIdentity { epoch: after(self.actor.epoch)?, ..self.actor };
        Ok(Self {
            entropy: Arc::clone(&self.entropy),
            account,
            actor,
            keys: Epochs::of(actor.epoch, random_key(&*self.entropy)?),
            account_keys: Some(account_keys),
        })
    }
}

/// The next epoch, if there is one.
fn after(epoch: KeyEpoch) -> Result<KeyEpoch, CryptoError> {
    epoch.0.checked_add(1).map(KeyEpoch).ok_or(CryptoError::Unsupported)
}

impl Keyring for RingKeyring {
    fn seal(&self, place: TextPlace, plaintext: &str) -> Result<Sealed, CryptoError> {
        let key = self.key_in_force()?;
        seal_text(&*self.entropy, self.account, self.actor, &key, place, plaintext)
    }

    fn open(&self, place: TextPlace, sealed: &Sealed) -> Result<String, CryptoError> {
        open_text(self.account, self.actor, |epoch| self.key_of(epoch), place, sealed)
    }

    fn mac(&self, purpose: MacPurpose, bytes: &[u8]) -> Result<[u8; 32], CryptoError> {
        mac(self.account, &*self.key_in_force()?, purpose, bytes)
    }

    fn earlier_macs(
        &self,
        purpose: MacPurpose,
        bytes: &[u8],
        most: usize,
    ) -> Result<Vec<[u8; 32]>, CryptoError> {
        let all = self.keys.all();
        let earlier = all.range(..self.actor.epoch).rev().take(most);
        earlier.map(|(_, key)| mac(self.account, key, purpose, bytes)).collect()
    }

    fn mint_key(&self, key: KeyId) -> Result<MintedKey, CryptoError> {
        self.mint(Form::ApiKey, WrapHolder::ApiKey(key))
    }

    fn mint_browser_key(&self, sign_in: SignInId) -> Result<MintedKey, CryptoError> {
        self.mint(Form::BrowserKey, WrapHolder::Browser(sign_in))
    }

    fn for_actor(
        &self,
        actor: ActorIdentity,
        wraps: &[Wrap],
    ) -> Result<Arc<dyn Keyring>, CryptoError> {
        let reached = reach(self.account, actor.id, self.account_holders()?, wraps)?;
        let keys = reached.actor_keys.into();
        Self::shared(&self.entropy, self.account, actor, keys, self.account_keys.clone())
    }

    fn epoch(&self) -> KeyEpoch {
        self.actor.epoch
    }

    fn epoch_of(&self, sealed: &Sealed) -> Option<KeyEpoch> {
        epoch_of(sealed)
    }

    fn lacks(&self, key: WrapSubject) -> bool {
        match key {
            WrapSubject::Actor(actor, epoch) => {
                actor == self.actor.id && epoch < self.actor.epoch && self.keys.get(epoch).is_none()
            }
            WrapSubject::Account(epoch) => {
                let keys = self.account_keys.as_ref();
                epoch < self.account.epoch
                    && keys.is_some_and(|account| account.keys.get(epoch).is_none())
            }
        }
    }

    fn with_earlier(&self, wraps: &[Wrap]) -> Result<Arc<dyn Keyring>, CryptoError> {
        let mut in_hand = Vec::new();
        for (epoch, key) in self.keys.all() {
            let holder = WrapHolder::Actor(self.actor.id, epoch);
            in_hand.push((holder, actor_wrapping_key(self.account, &key)?));
        }
        if self.account_keys.is_some() {
            in_hand.extend(self.account_holders()?);
        }
        let Reached { account_keys, actor_keys } =
            reach(self.account, self.actor.id, in_hand, wraps)?;
        let with = |AccountKeys { owner, keys }: &AccountKeys| {
            let keys = keys.with(account_keys);
            AccountKeys { owner: *owner, keys }
        };
        let account_keys = self.account_keys.as_ref().map(with);
        let keys = self.keys.with(actor_keys);
        Self::shared(&self.entropy, self.account, self.actor, keys, account_keys)
    }

    fn add_actor(&self, actor: ActorIdentity) -> Result<Vec<Wrap>, CryptoError> {
        self.account_keys()?;
        Ok(vec![self.wrap_under_account(actor, &random_key(&*self.entropy)?)?])
    }

    fn mint_code(&self, code: RecoveryId) -> Result<MintedCode, CryptoError> {
        let key = self.account_key_in_force()?;
        let token = Token::draw(Form::RecoveryCode, self.account.id, &*self.entropy)?;
        let wrap = self.wrap(
            (WrapSubject::Account(self.account.epoch), &key),
            (WrapHolder::Recovery(code), &token.wrapping_key()?),
        )?;
        let lookup = token.lookup()?.hash;
        Ok(MintedCode { secret: token.written(), lookup, wraps: vec![wrap] })
    }

    fn renew(&self, key: KeyId) -> Result<Renewal, CryptoError> {
        let next = self.next(self.account, self.account_keys()?.clone())?;
        Ok(Renewal {
            epoch: next.actor.epoch,
            wraps: vec![
                next.wrap_under_account(next.actor, &*next.key_in_force()?)?,
                self.wrap_under_next(&next)?,
            ],
            key: next.mint_key(key)?,
        })
    }

    fn renew_account(&self, key: KeyId, code: RecoveryId) -> Result<AccountRenewal, CryptoError> {
        if !self.is_owners_own() {
            return Err(CryptoError::NotAnOwner);
        }
        let old_key = self.account_key_in_force()?;
        let account = AccountIdentity { epoch: after(self.account.epoch)?, ..self.account };
        let new_key = random_key(&*self.entropy)?;
        let wrapping_key = account_wrapping_key(account, &new_key)?;
        let keys = Epochs::of(account.epoch, new_key);
        let next = self.next(account, AccountKeys { owner: self.actor.id, keys })?;
        Ok(AccountRenewal {
            account_epoch: account.epoch,
            owner_epoch: next.actor.epoch,
            wraps: vec![
                self.wrap(
                    (WrapSubject::Account(self.account.epoch), &old_key),
                    (WrapHolder::Account(account.epoch), &wrapping_key),
                )?,
                next.wrap_under_account(next.actor, &*next.key_in_force()?)?,
                self.wrap_under_next(&next)?,
            ],
            key: next.mint_key(key)?,
            code: next.mint_code(code)?,
        })
    }
}

/// Shows the account and the actor, but no keys.
impl fmt::Debug for RingKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingKeyring")
            .field("account", &self.account.id)
            .field("actor", &self.actor.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use roots_domain::model::id::{AccountId, Uid};

    use super::*;

    /// Only a holder of the key could forge such wraps.
    #[test]
    fn wraps_outside_the_hierarchy_are_ignored() {
        let entropy = SystemEntropy;
        let account = AccountIdentity { id: AccountId(1), uid: Uid::NIL, epoch: KeyEpoch::FIRST };
        let (actor, other) = (ActorId(1), ActorId(2));
        let [first, second] = [KeyEpoch::FIRST, KeyEpoch::FIRST.next()];
        let reached = |subject, holder| {
            let wrapping_key = random_key(&entropy).unwrap();
            let key = random_key(&entropy).unwrap();
            let sealed =
                wrap_key(&entropy, account, (subject, &key), (holder, &wrapping_key)).unwrap();
            let wraps = [Wrap { subject, holder, sealed }];
            let reached = reach(account, actor, vec![(holder, wrapping_key)], &wraps).unwrap();
            reached.account_keys.len() + reached.actor_keys.len()
        };
        for (subject, holder) in [
            (WrapSubject::Actor(actor, second), WrapHolder::Actor(actor, first)),
            (WrapSubject::Actor(actor, first), WrapHolder::Actor(actor, first)),
            (WrapSubject::Actor(actor, first), WrapHolder::Actor(other, second)),
            (WrapSubject::Actor(other, first), WrapHolder::Account(first)),
            (WrapSubject::Account(first), WrapHolder::Actor(actor, second)),
            (WrapSubject::Account(second), WrapHolder::Account(first)),
            (WrapSubject::Actor(actor, first), WrapHolder::Recovery(RecoveryId(1))),
        ] {
            assert_eq!(reached(subject, holder), 0, "{subject:?} under {holder:?}");
        }
        for (subject, holder) in [
            (WrapSubject::Actor(actor, first), WrapHolder::Actor(actor, second)),
            (WrapSubject::Actor(actor, second), WrapHolder::Account(first)),
            (WrapSubject::Account(first), WrapHolder::Account(second)),
            (WrapSubject::Account(first), WrapHolder::ApiKey(KeyId(1))),
            (WrapSubject::Account(first), WrapHolder::Recovery(RecoveryId(1))),
        ] {
            assert_eq!(reached(subject, holder), 1, "{subject:?} under {holder:?}");
        }
    }
}
