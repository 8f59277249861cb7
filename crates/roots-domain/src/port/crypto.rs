//! What the core needs of cryptography.

use std::fmt;
use std::sync::Arc;

use secrecy::{SecretSlice, SecretString};

use crate::model::account::{Account, Actor};
use crate::model::api_key::{KeyEpoch, LookupHash, Wrap, WrapSubject};
use crate::model::id::{AccountId, ActorId, KeyId, RecoveryId, Uid};
use crate::model::sealed::{Sealed, TextPlace};

/// How many epochs before the one in force an unlocked keyring keeps, once they were read: as many
/// keys of its actor, and of an owner as many of the account.
pub const EARLIER_EPOCHS_KEPT: usize = 64;

/// An account, as keys are bound to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountIdentity {
    /// Its id: part of every API key and recovery code.
    pub id: AccountId,
    /// Its uid: part of what every ciphertext is bound to.
    pub uid: Uid,
    /// The epoch of its key that is in force. A renewal makes the next.
    pub epoch: KeyEpoch,
}

/// An actor, as keys are bound to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActorIdentity {
    /// Its id.
    pub id: ActorId,
    /// Its uid: part of what every ciphertext is bound to.
    pub uid: Uid,
    /// The epoch of its key that is in force: the one that seals. A renewal makes the next.
    pub epoch: KeyEpoch,
}

impl From<&Account> for AccountIdentity {
    fn from(account: &Account) -> Self {
        Self { id: account.id, uid: account.uid, epoch: account.key_epoch }
    }
}

impl From<&Actor> for ActorIdentity {
    fn from(actor: &Actor) -> Self {
        Self { id: actor.id, uid: actor.uid, epoch: actor.key_epoch }
    }
}

/// Where a presented API key or recovery code is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// The account that it names.
    pub account: AccountId,
    /// What it is found by there.
    pub hash: LookupHash,
}

/// An API key that a client presented: its form and its checksum are right. Only the store knows
/// whether it is in force.
#[derive(Debug, Clone)]
pub struct PresentedKey {
    /// Where it is looked up.
    pub lookup: Lookup,
    /// Its secret bytes, which unlock what the store keeps of it.
    pub secret: SecretSlice<u8>,
}

/// A recovery code that a client presented: its form and its checksum are right. Only the store
/// knows whether it is in force.
#[derive(Debug, Clone)]
pub struct PresentedCode {
    /// Where it is looked up.
    pub lookup: Lookup,
    /// Its secret bytes, which unlock what the store keeps of it.
    pub secret: SecretSlice<u8>,
}

/// A new API key: the secret to show once, and what the store keeps of it.
#[derive(Debug)]
pub struct MintedKey {
    /// The key. Shown once, kept nowhere.
    pub secret: SecretString,
    /// Its first characters, for people to tell keys apart.
    pub prefix: String,
    /// What it is found by.
    pub lookup: LookupHash,
    /// The wraps that it opens.
    pub wraps: Vec<Wrap>,
}

/// A new recovery code: the secret to show once, and what the store keeps of it.
#[derive(Debug)]
pub struct MintedCode {
    /// The code. Shown once, kept nowhere.
    pub secret: SecretString,
    /// What it is found by.
    pub lookup: LookupHash,
    /// The wraps that it opens.
    pub wraps: Vec<Wrap>,
}

/// The keys of a new account.
#[derive(Debug)]
pub struct Founding {
    /// Its owner's first key.
    pub key: MintedKey,
    /// Its recovery code.
    pub code: MintedCode,
    /// The wraps that the account key opens.
    pub wraps: Vec<Wrap>,
}

/// The next epoch of an actor's key.
///
/// The actor's other API keys do not lead to it: they end when it comes into force, at the latest.
/// A renewal that was never put in force may be made again; then all of the unseen one goes.
#[derive(Debug)]
pub struct Renewal {
    /// The epoch that is in force once this is.
    pub epoch: KeyEpoch,
    /// The API key that opens it.
    pub key: MintedKey,
    /// The wraps that lead from the account to the new key, and from the new key to the old.
    pub wraps: Vec<Wrap>,
}

/// The next epoch of the account's key and of its owner's.
///
/// The owner's other API keys and the recovery codes before do not lead to it: they end when it
/// comes into force, at the latest. Other actors keep their keys, which the account reaches
/// through its old key; what they write from now on is safe from a thief of that key once each of
/// them is renewed too.
#[derive(Debug)]
pub struct AccountRenewal {
    /// The epoch of the account that is in force once this is.
    pub account_epoch: KeyEpoch,
    /// The epoch of the owner that is in force once this is.
    pub owner_epoch: KeyEpoch,
    /// The owner's API key.
    pub key: MintedKey,
    /// The recovery code.
    pub code: MintedCode,
    /// The wraps that lead from the new keys to the old, and from the account to its owner.
    pub wraps: Vec<Wrap>,
}

/// What a MAC is of. One never stands for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MacPurpose {
    /// The key that a caller gave to a write, to repeat it safely.
    IdempotencyKey,
    /// All that makes a request this request and no other.
    RequestFingerprint,
}

/// Why cryptography failed. Says nothing of what it failed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// A ciphertext or wrap that is damaged, or is not of the place it stands in.
    #[error("a sealed value does not open where it stands")]
    DoesNotOpen,
    /// No wrap leads from what is held to the key that is needed.
    #[error("a key wrap is missing")]
    WrapMissing,
    /// A wrap leads to a later epoch than the one in force: the epoch was set back, or what was read is
    /// of two moments.
    #[error("a key wrap leads to a later epoch than the one in force")]
    EpochWentBack,
    /// The caller does not hold the account key.
    #[error("only an owner's key holds the account key")]
    NotAnOwner,
    /// The system gave no random bytes.
    #[error("the system's random generator failed")]
    NoRandomness,
    /// What the cryptography can't do, such as sealing a text of 4 GiB. The limits on texts keep
    /// callers from ever getting here.
    #[error("beyond what the cryptography can do")]
    Unsupported,
}

/// The unlocked keys of one actor; an owner's hold the account key too. Secrets inside are zeroized
/// when it is dropped and never printed.
///
/// What it makes is for the caller to store: nothing that it answers is in force by itself. Any
/// method that makes a key fails with [`CryptoError::NoRandomness`] when there is none.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Keyring: Send + Sync + fmt::Debug {
    /// Seals `plaintext` for `place`, under the actor's epoch in force. Two seals of one text
    /// differ.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`], [`CryptoError::Unsupported`].
    fn seal(&self, place: TextPlace, plaintext: &str) -> Result<Sealed, CryptoError>;

    /// Opens what was sealed for `place`, in whatever epoch.
    ///
    /// # Errors
    /// [`CryptoError::DoesNotOpen`] when it was sealed for another place, or is damaged;
    /// [`CryptoError::WrapMissing`] when its epoch is not held.
    fn open(&self, place: TextPlace, sealed: &Sealed) -> Result<String, CryptoError>;

    /// What stands for `bytes` in the store and does not confirm a guess of them: a MAC under the
    /// actor's epoch in force.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`].
    fn mac(&self, purpose: MacPurpose, bytes: &[u8]) -> Result<[u8; 32], CryptoError>;

    /// What [`Keyring::mac`] answered in the epochs before that are at hand, the latest of them first
    /// and no more than `most`: a look-up of what may have been stored before a renewal tries these
    /// too. Empty for a key never renewed.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`].
    fn earlier_macs(
        &self,
        purpose: MacPurpose,
        bytes: &[u8],
        most: usize,
    ) -> Result<Vec<[u8; 32]>, CryptoError>;

    /// Makes one more API key for the actor: its own rotation, or a new one from the owner by way
    /// of [`Keyring::for_actor`]. Opens what this keyring opens of the actor; an owner's own key
    /// opens the account key too.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    fn mint_key(&self, key: KeyId) -> Result<MintedKey, CryptoError>;

    /// The keys of another actor of the account, of each epoch that `wraps` lead to, to read, write and
    /// mint for it. `wraps` are those by which the account's keys at hand hold that actor's. For the
    /// owner's own identity it answers a keyring like the owner's own.
    ///
    /// # Errors
    /// [`CryptoError::NotAnOwner`]; [`CryptoError::WrapMissing`] (never a reason to make a key),
    /// [`CryptoError::EpochWentBack`] or [`CryptoError::DoesNotOpen`].
    fn for_actor(
        &self,
        actor: ActorIdentity,
        wraps: &[Wrap],
    ) -> Result<Arc<dyn Keyring>, CryptoError>;

    /// The actor's epoch in force, under which this keyring seals.
    fn epoch(&self) -> KeyEpoch;

    /// The epoch whose key sealed a text, as its header tells; `None` for what is no sealed text. The
    /// header is not proved by this, but by opening the text.
    fn epoch_of(&self, sealed: &Sealed) -> Option<KeyEpoch>;

    /// Whether that key, of this actor or, for an owner, of the account, is of an epoch before the one
    /// in force and not at hand.
    fn lacks(&self, key: WrapSubject) -> bool;

    /// The same keyring, with the earlier keys that `wraps` lead to. The latest of them are kept by
    /// this one too, [`EARLIER_EPOCHS_KEPT`] at most.
    ///
    /// # Errors
    /// [`CryptoError::DoesNotOpen`].
    fn with_earlier(&self, wraps: &[Wrap]) -> Result<Arc<dyn Keyring>, CryptoError>;

    /// Makes the key of an actor that has none yet, under the account key. Only for a new actor.
    ///
    /// # Errors
    /// [`CryptoError::NotAnOwner`].
    fn add_actor(&self, actor: ActorIdentity) -> Result<Vec<Wrap>, CryptoError>;

    /// Makes one more recovery code.
    ///
    /// # Errors
    /// [`CryptoError::NotAnOwner`].
    fn mint_code(&self, code: RecoveryId) -> Result<MintedCode, CryptoError>;

    /// Makes the next epoch of the actor's key, after its API key has leaked: the owner's act, by
    /// way of [`Keyring::for_actor`]. When the owner's own API key has leaked, so has the account
    /// key: that is what [`Keyring::renew_account`] is for.
    ///
    /// # Errors
    /// [`CryptoError::NotAnOwner`].
    fn renew(&self, key: KeyId) -> Result<Renewal, CryptoError>;

    /// Makes the next epoch of the account key and of the owner's, after an owner's API key or the
    /// recovery code has leaked. Its cost does not depend on the number of actors.
    ///
    /// # Errors
    /// [`CryptoError::NotAnOwner`], also for a keyring that [`Keyring::for_actor`] gave for another.
    fn renew_account(&self, key: KeyId, code: RecoveryId) -> Result<AccountRenewal, CryptoError>;
}

/// Makes and opens the keys of the hierarchy. Pure but for randomness: it stores nothing.
///
/// Wherever `wraps` are asked for, more than the needed ones may be given, in any order: what does
/// not concern the actor, or is held by a key that is not reached, is left aside.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Locksmith: Send + Sync {
    /// Parses an API key and checks its checksum. `None` for what is no key, without any look-up.
    fn parse_key(&self, text: &SecretString) -> Option<PresentedKey>;

    /// Parses a recovery code and checks its checksum. `None` for what is no code.
    fn parse_code(&self, text: &SecretString) -> Option<PresentedCode>;

    /// Makes all keys of a new account and of its owner.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    fn found(
        &self,
        account: AccountIdentity,
        owner: ActorIdentity,
        key: KeyId,
        code: RecoveryId,
    ) -> Result<Founding, CryptoError>;

    /// Unlocks the keys of `actor` with its API key, of each epoch that `wraps` lead to. Those held by
    /// that key lead to the epochs in force, which is enough until a text of an earlier one is at hand:
    /// [`Keyring::with_earlier`].
    ///
    /// # Errors
    /// [`CryptoError::WrapMissing`] (never a reason to make a key) when they do not lead to the epoch
    /// in force, [`CryptoError::EpochWentBack`] when they lead to a later one, or
    /// [`CryptoError::DoesNotOpen`].
    fn unlock(
        &self,
        presented: &PresentedKey,
        account: AccountIdentity,
        actor: ActorIdentity,
        key: KeyId,
        wraps: &[Wrap],
    ) -> Result<Arc<dyn Keyring>, CryptoError>;

    /// Unlocks the keys of `owner` with a recovery code: from them a new API key and a new code are
    /// made. `wraps` are those held by that code, and the one by which the account's key holds the
    /// owner's key in force.
    ///
    /// # Errors
    /// As [`Locksmith::unlock`].
    fn recover(
        &self,
        presented: &PresentedCode,
        account: AccountIdentity,
        owner: ActorIdentity,
        code: RecoveryId,
        wraps: &[Wrap],
    ) -> Result<Arc<dyn Keyring>, CryptoError>;
}
