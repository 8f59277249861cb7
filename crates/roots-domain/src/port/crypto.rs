//! The ports for cryptography.

use std::fmt;
use std::sync::Arc;

use secrecy::{SecretSlice, SecretString};

use crate::model::account::{Account, Actor};
use crate::model::api_key::{AnyKeyId, KeyEpoch, LookupHash, Wrap, WrapSubject};
use crate::model::id::{AccountId, ActorId, KeyId, RecoveryId, SignInId, Uid};
use crate::model::sealed::{Sealed, TextPlace};

/// How many earlier epochs an unlocked keyring keeps once they were read: this many keys of its
/// actor and, for an owner, this many of the account.
pub const EARLIER_EPOCHS_KEPT: usize = 64;

/// The identity of an account to which keys are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountIdentity {
    /// Its id. It is part of every API key and recovery code.
    pub id: AccountId,
    /// Its uid. Every ciphertext is bound to it.
    pub uid: Uid,
    /// The epoch of its key that is in force. A renewal makes the next one.
    pub epoch: KeyEpoch,
}

/// The identity of an actor to which keys are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActorIdentity {
    /// Its id.
    pub id: ActorId,
    /// Its uid. Every ciphertext is bound to it.
    pub uid: Uid,
    /// The epoch of its key that is in force, with which texts are sealed. A renewal makes the next
    /// one.
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

/// What a look-up hash was derived from. Hashes of different kinds never match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LookupKind {
    /// An API key.
    ApiKey,
    /// A browser key.
    BrowserKey,
    /// A recovery code.
    RecoveryCode,
}

/// The data by which a presented API key, browser key or recovery code is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// The account in the key or code.
    pub account: AccountId,
    /// Its look-up hash in that account.
    pub hash: LookupHash,
    /// What it is of.
    pub kind: LookupKind,
}

/// An API key or a browser key that a client presented: its form and its checksum are right. Only
/// the store knows whether it is in force.
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

/// A new API key or browser key: the secret to show once, and what is stored.
#[derive(Debug)]
pub struct MintedKey {
    /// The key. It is shown once and stored nowhere.
    pub secret: SecretString,
    /// Its first characters, to tell keys apart.
    pub prefix: String,
    /// The hash it is looked up by.
    pub lookup: LookupHash,
    /// The wraps that it opens.
    pub wraps: Vec<Wrap>,
}

/// A new recovery code: the secret to show once, and what is stored.
#[derive(Debug)]
pub struct MintedCode {
    /// The code. It is shown once and stored nowhere.
    pub secret: SecretString,
    /// The hash it is looked up by.
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
/// The actor's other API keys do not open it: they end when it comes into force, at the latest. A
/// renewal that was never put in force may be repeated; the unused one is then removed completely.
#[derive(Debug)]
pub struct Renewal {
    /// The new epoch.
    pub epoch: KeyEpoch,
    /// The API key that opens it.
    pub key: MintedKey,
    /// The wraps of the new key under the account's key, and of the old key under the new one.
    pub wraps: Vec<Wrap>,
}

/// The next epoch of the account's key and of its owner's.
///
/// The owner's other API keys and earlier recovery codes do not open it: they end when it comes
/// into force, at the latest. Other actors keep their keys, which the account opens with its old
/// key. What they write from now on is safe from a thief of that key once each of them is renewed
/// too.
#[derive(Debug)]
pub struct AccountRenewal {
    /// The new epoch of the account.
    pub account_epoch: KeyEpoch,
    /// The new epoch of the owner.
    pub owner_epoch: KeyEpoch,
    /// The owner's API key.
    pub key: MintedKey,
    /// The recovery code.
    pub code: MintedCode,
    /// The wraps of the old keys under the new ones, and of the owner's key under the account's.
    pub wraps: Vec<Wrap>,
}

/// The purpose of a MAC. MACs of different purposes never match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MacPurpose {
    /// The idempotency key of a write.
    IdempotencyKey,
    /// The fingerprint of a request.
    RequestFingerprint,
}

/// Why cryptography failed. It reveals nothing of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// A ciphertext or wrap is damaged, or belongs to another place.
    #[error("a sealed value does not open in its place")]
    DoesNotOpen,
    /// No wrap leads from the keys at hand to the needed key.
    #[error("a key wrap is missing")]
    WrapMissing,
    /// A wrap leads to a later epoch than the one in force: the epoch was set back, or the read was
    /// not consistent.
    #[error("a key wrap leads to a later epoch than the one in force")]
    EpochWentBack,
    /// The caller does not hold the account key.
    #[error("only an owner's key holds the account key")]
    NotAnOwner,
    /// The system gave no random bytes.
    #[error("the system's random generator failed")]
    NoRandomness,
    /// The cryptography does not support this, such as sealing a text of 4 GiB. The limits on texts
    /// prevent it.
    #[error("the operation is not supported by the cryptography")]
    Unsupported,
}

/// The unlocked keys of one actor; an owner's keyring has the account key too. Its secrets are
/// zeroized when it is dropped, and never printed.
///
/// The caller stores what it makes: nothing that it returns is in force by itself. Any method that
/// makes a key fails with [`CryptoError::NoRandomness`] if the system has none.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Keyring: Send + Sync + fmt::Debug {
    /// Seals `plaintext` for `place`, under the actor's epoch in force. Two seals of one text
    /// differ.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`], [`CryptoError::Unsupported`].
    fn seal(&self, place: TextPlace, plaintext: &str) -> Result<Sealed, CryptoError>;

    /// Opens a text that was sealed for `place`, in any epoch.
    ///
    /// # Errors
    /// [`CryptoError::DoesNotOpen`] if it was sealed for another place or is damaged;
    /// [`CryptoError::WrapMissing`] if the key of its epoch is not at hand.
    fn open(&self, place: TextPlace, sealed: &Sealed) -> Result<String, CryptoError>;

    /// A MAC of `bytes` under the actor's epoch in force, to store instead of them. Without the key
    /// nobody can verify a guess with it.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`].
    fn mac(&self, purpose: MacPurpose, bytes: &[u8]) -> Result<[u8; 32], CryptoError>;

    /// What [`Keyring::mac`] returned in the earlier epochs at hand, the latest first and at most
    /// `most`. Looking up what may have been stored before a renewal needs these too. Empty if the
    /// key was never renewed.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`].
    fn earlier_macs(
        &self,
        purpose: MacPurpose,
        bytes: &[u8],
        most: usize,
    ) -> Result<Vec<[u8; 32]>, CryptoError>;

    /// Makes another API key for the actor: its own rotation, or a new one from the owner with
    /// [`Keyring::for_actor`]. It opens what this keyring opens of the actor; an owner's own key
    /// opens the account key too.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    fn mint_key(&self, key: KeyId) -> Result<MintedKey, CryptoError>;

    /// Makes a browser key for the actor, for a sign-in. It opens what this keyring opens of the
    /// actor; an owner's own opens the account key too.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    fn mint_browser_key(&self, sign_in: SignInId) -> Result<MintedKey, CryptoError>;

    /// The keys of another actor of the account, of each epoch that `wraps` lead to, to read, write
    /// and mint for it. `wraps` are those of that actor's keys under the account's keys at hand.
    /// For the owner's own identity it returns a keyring like the owner's own.
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

    /// The epoch whose key sealed a text, from its header; `None` if it is not a sealed text. This
    /// does not verify the header; opening the text does.
    fn epoch_of(&self, sealed: &Sealed) -> Option<KeyEpoch>;

    /// Whether that key, of this actor or, for an owner, of the account, is of an earlier epoch and
    /// not at hand.
    fn lacks(&self, key: WrapSubject) -> bool;

    /// The same keyring with the earlier keys that `wraps` lead to. This keyring keeps the latest
    /// of them too, at most [`EARLIER_EPOCHS_KEPT`].
    ///
    /// # Errors
    /// [`CryptoError::DoesNotOpen`].
    fn with_earlier(&self, wraps: &[Wrap]) -> Result<Arc<dyn Keyring>, CryptoError>;

    /// Makes the key of a new actor, under the account key.
    ///
    /// # Errors
    /// [`CryptoError::NotAnOwner`].
    fn add_actor(&self, actor: ActorIdentity) -> Result<Vec<Wrap>, CryptoError>;

    /// Makes another recovery code.
    ///
    /// # Errors
    /// [`CryptoError::NotAnOwner`].
    fn mint_code(&self, code: RecoveryId) -> Result<MintedCode, CryptoError>;

    /// Makes the next epoch of the actor's key, after its API key has leaked. The owner calls it on
    /// the keyring of [`Keyring::for_actor`]. If the owner's own API key has leaked, so has the
    /// account key: use [`Keyring::renew_account`].
    ///
    /// # Errors
    /// [`CryptoError::NotAnOwner`].
    fn renew(&self, key: KeyId) -> Result<Renewal, CryptoError>;

    /// Makes the next epoch of the account key and of the owner's, after an owner's API key or the
    /// recovery code has leaked. Its cost does not depend on the number of actors.
    ///
    /// # Errors
    /// [`CryptoError::NotAnOwner`], also for a keyring that [`Keyring::for_actor`] returned for
    /// another actor.
    fn renew_account(&self, key: KeyId, code: RecoveryId) -> Result<AccountRenewal, CryptoError>;
}

/// Makes and opens the keys of the hierarchy. It is pure except for randomness, and stores nothing.
///
/// All parameters `wraps` may have more wraps than needed, in any order. Wraps of other actors, and
/// those under keys that are not at hand, are ignored.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Locksmith: Send + Sync {
    /// Parses an API key and checks its checksum. `None` if it is malformed, without any look-up.
    fn parse_key(&self, text: &SecretString) -> Option<PresentedKey>;

    /// Parses a browser key and checks its checksum. `None` if it is malformed; an API key is.
    fn parse_browser_key(&self, text: &SecretString) -> Option<PresentedKey>;

    /// Parses a recovery code and checks its checksum. `None` if it is malformed.
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

    /// Unlocks the keys of `actor` with its API key or browser key, of each epoch that `wraps` lead
    /// to. The wraps under that key lead to the epochs in force. For texts of earlier epochs see
    /// [`Keyring::with_earlier`].
    ///
    /// # Errors
    /// [`CryptoError::WrapMissing`] (never a reason to make a key) if they do not lead to the epoch
    /// in force, [`CryptoError::EpochWentBack`] if they lead to a later one, or
    /// [`CryptoError::DoesNotOpen`].
    fn unlock(
        &self,
        presented: &PresentedKey,
        account: AccountIdentity,
        actor: ActorIdentity,
        key: AnyKeyId,
        wraps: &[Wrap],
    ) -> Result<Arc<dyn Keyring>, CryptoError>;

    /// Unlocks the keys of `owner` with a recovery code, to make a new API key and a new code.
    /// `wraps` are those under that code, and the one of the owner's key in force under the
    /// account's key.
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
