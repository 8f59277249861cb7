//! All uses of AES-256-GCM, HKDF-SHA256 and HMAC, and the byte layouts of format 1.

use std::sync::Arc;

use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use roots_domain::model::api_key::{KeyEpoch, WrapHolder, WrapSubject};
use roots_domain::model::id::{ActorId, Uid};
use roots_domain::model::sealed::{Sealed, TextPlace};
use roots_domain::port::crypto::{AccountIdentity, ActorIdentity, CryptoError, MacPurpose};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox};
use zeroize::Zeroizing;

/// The first byte of all sealed bytes.
const FORMAT: u8 = 1;
const EPOCH_BYTES: usize = 4;
const NONCE_BYTES: usize = aead::NONCE_LEN;
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// Format, epoch, nonce.
const TEXT_HEADER_BYTES: usize = 1 + EPOCH_BYTES + NONCE_BYTES;
/// Format, nonce.
const WRAP_HEADER_BYTES: usize = 1 + NONCE_BYTES;
const WRAP_BYTES: usize = WRAP_HEADER_BYTES + KEY_BYTES + TAG_BYTES;
/// The length that precedes a text and is sealed with it.
const LENGTH_BYTES: usize = 4;
/// Sealed texts show their length rounded up to a multiple of this.
const PADDING_BYTES: usize = 32;

/// A source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError>;
}

/// The operating system's random bytes.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        SystemRandom::new().fill(bytes).map_err(|_| CryptoError::NoRandomness)
    }
}

/// A key of the hierarchy, or one derived from it. It is zeroized when dropped and never printed.
pub(crate) type Key = SecretBox<[u8; KEY_BYTES]>;

/// A new random key.
pub(crate) fn random_key(entropy: &dyn Entropy) -> Result<Key, CryptoError> {
    let mut key = Key::default();
    entropy.fill(key.expose_secret_mut())?;
    Ok(key)
}

/// Joins `parts`, each preceded by its length, so that different lists give different bytes.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// HKDF-Extract of a secret, with a salt that names the kind of secret.
pub(crate) fn extract(salt: &'static str, secret: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, salt.as_bytes()).extract(secret)
}

/// HKDF-Expand for the purpose that `label` names, bound to `parts`.
pub(crate) fn expand(prk: &Prk, label: &'static str, parts: &[&[u8]]) -> Result<Key, CryptoError> {
    let info = [&joined(&[label.as_bytes()]), &*joined(parts)].concat();
    let mut key = Key::default();
    prk.expand(&[&info], HKDF_SHA256)
        .and_then(|okm| okm.fill(key.expose_secret_mut()))
        .map_err(|_| CryptoError::Unsupported)?;
    Ok(key)
}

/// [`expand`] for a key of the hierarchy, which is 32 random bytes and needs no extraction.
fn subkey(key: &Key, label: &'static str, parts: &[&[u8]]) -> Result<Key, CryptoError> {
    expand(&Prk::new_less_safe(HKDF_SHA256, key.expose_secret()), label, parts)
}

fn cipher(key: &Key) -> Result<LessSafeKey, CryptoError> {
    UnboundKey::new(&aead::AES_256_GCM, key.expose_secret())
        .map(LessSafeKey::new)
        .map_err(|_| CryptoError::Unsupported)
}

/// Writes a random nonce at the end of the header, encrypts the rest in place and appends the tag.
fn encrypt(
    entropy: &dyn Entropy,
    key: &Key,
    aad: &[u8],
    bytes: &mut Vec<u8>,
    header_bytes: usize,
) -> Result<(), CryptoError> {
    let mut nonce = [0; NONCE_BYTES];
    entropy.fill(&mut nonce)?;
    bytes[header_bytes - NONCE_BYTES..header_bytes].copy_from_slice(&nonce);
    let tag = cipher(key)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            &mut bytes[header_bytes..],
        )
        .map_err(|_| CryptoError::Unsupported)?;
    bytes.extend_from_slice(tag.as_ref());
    Ok(())
}

/// Decrypts what [`encrypt`] encrypted, into a zeroized buffer. `body` starts with the nonce.
fn decrypt(key: &Key, aad: &[u8], body: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let (nonce, ciphertext) = body.split_first_chunk().ok_or(CryptoError::DoesNotOpen)?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let plain_bytes = cipher(key)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut buffer)
        .map_err(|_| CryptoError::DoesNotOpen)?
        .len();
    buffer.truncate(plain_bytes);
    Ok(buffer)
}

/// The key derived from an account key that wraps other keys.
pub(crate) fn account_wrapping_key(
    account: AccountIdentity,
    key: &Key,
) -> Result<Key, CryptoError> {
    subkey(key, "roots/1/account/wrap", &[account.uid.as_bytes()])
}

/// The key derived from an actor's key that wraps the actor's keys of earlier epochs.
pub(crate) fn actor_wrapping_key(account: AccountIdentity, key: &Key) -> Result<Key, CryptoError> {
    subkey(key, "roots/1/actor/wrap", &[account.uid.as_bytes()])
}

/// The MAC of `bytes` with a subkey of an actor's key.
pub(crate) fn mac(
    account: AccountIdentity,
    key: &Key,
    purpose: MacPurpose,
    bytes: &[u8],
) -> Result<[u8; 32], CryptoError> {
    let label = match purpose {
        MacPurpose::IdempotencyKey => "roots/1/actor/mac/idempotency-key",
        MacPurpose::RequestFingerprint => "roots/1/actor/mac/request-fingerprint",
    };
    let key = subkey(key, label, &[account.uid.as_bytes()])?;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret()), bytes);
    tag.as_ref().try_into().map_err(|_| CryptoError::Unsupported)
}

fn wrap_aad(account: AccountIdentity, subject: WrapSubject, holder: WrapHolder) -> Vec<u8> {
    const ACCOUNT: &str = "account";
    const ACTOR: &str = "actor";
    const NO_EPOCH: KeyEpoch = KeyEpoch(0);
    let of_actor = |actor: ActorId, epoch| (ACTOR, actor.0, epoch);
    let (subject, subject_id, subject_epoch) = match subject {
        WrapSubject::Account(epoch) => (ACCOUNT, account.id.0, epoch),
        WrapSubject::Actor(actor, epoch) => of_actor(actor, epoch),
    };
    let (holder, holder_id, holder_epoch) = match holder {
        WrapHolder::ApiKey(key) => ("api-key", key.0, NO_EPOCH),
        WrapHolder::Browser(sign_in) => ("browser-key", sign_in.0, NO_EPOCH),
        WrapHolder::Recovery(code) => ("recovery-code", code.0, NO_EPOCH),
        WrapHolder::Account(epoch) => (ACCOUNT, account.id.0, epoch),
        WrapHolder::Actor(actor, epoch) => of_actor(actor, epoch),
    };
    joined(&[
        &[FORMAT],
        account.uid.as_bytes(),
        subject.as_bytes(),
        &subject_id.to_be_bytes(),
        &subject_epoch.0.to_be_bytes(),
        holder.as_bytes(),
        &holder_id.to_be_bytes(),
        &holder_epoch.0.to_be_bytes(),
    ])
}

/// Wraps the subject's key under the holder's wrapping key.
pub(crate) fn wrap_key(
    entropy: &dyn Entropy,
    account: AccountIdentity,
    (subject, key): (WrapSubject, &Key),
    (holder, wrapping_key): (WrapHolder, &Key),
) -> Result<Sealed, CryptoError> {
    // Allocated in its final size: a reallocation would leave a copy of the key in memory.
    let mut bytes = Vec::with_capacity(WRAP_BYTES);
    bytes.push(FORMAT);
    bytes.resize(WRAP_HEADER_BYTES, 0);
    bytes.extend_from_slice(key.expose_secret());
    let aad = wrap_aad(account, subject, holder);
    encrypt(entropy, wrapping_key, &aad, &mut bytes, WRAP_HEADER_BYTES)?;
    Ok(Sealed(bytes))
}

/// Opens a key that [`wrap_key`] wrapped.
pub(crate) fn open_wrap(
    account: AccountIdentity,
    subject: WrapSubject,
    (holder, wrapping_key): (WrapHolder, &Key),
    sealed: &Sealed,
) -> Result<Key, CryptoError> {
    let Some((&FORMAT, body)) = sealed.0.split_first() else {
        return Err(CryptoError::DoesNotOpen);
    };
    let plain = decrypt(wrapping_key, &wrap_aad(account, subject, holder), body)?;
    let mut key = Key::default();
    let bytes: &[u8; KEY_BYTES] =
        plain.as_slice().try_into().map_err(|_| CryptoError::DoesNotOpen)?;
    key.expose_secret_mut().copy_from_slice(bytes);
    Ok(key)
}

fn row_key(account: AccountIdentity, key: &Key, row: Uid) -> Result<Key, CryptoError> {
    subkey(key, "roots/1/actor/row", &[account.uid.as_bytes(), row.as_bytes()])
}

fn text_aad(
    account: AccountIdentity,
    actor: ActorIdentity,
    epoch: KeyEpoch,
    place: TextPlace,
) -> Vec<u8> {
    joined(&[
        &[FORMAT],
        &epoch.0.to_be_bytes(),
        account.uid.as_bytes(),
        actor.uid.as_bytes(),
        place.field.table().as_bytes(),
        place.field.column().as_bytes(),
        place.row.as_bytes(),
    ])
}

/// Seals a text with a subkey for its row. `key` is the actor's key in force.
pub(crate) fn seal_text(
    entropy: &dyn Entropy,
    account: AccountIdentity,
    actor: ActorIdentity,
    key: &Key,
    place: TextPlace,
    text: &str,
) -> Result<Sealed, CryptoError> {
    let length = u32::try_from(text.len()).map_err(|_| CryptoError::Unsupported)?;
    let padded_bytes = (LENGTH_BYTES + text.len()).next_multiple_of(PADDING_BYTES);
    // Allocated in its final size: a reallocation would leave a copy of the text in memory.
    let mut bytes = Vec::with_capacity(TEXT_HEADER_BYTES + padded_bytes + TAG_BYTES);
    bytes.push(FORMAT);
    bytes.extend_from_slice(&actor.epoch.0.to_be_bytes());
    bytes.resize(TEXT_HEADER_BYTES, 0);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(TEXT_HEADER_BYTES + padded_bytes, 0);
    let key = row_key(account, key, place.row)?;
    let aad = text_aad(account, actor, actor.epoch, place);
    encrypt(entropy, &key, &aad, &mut bytes, TEXT_HEADER_BYTES)?;
    Ok(Sealed(bytes))
}

/// The epoch in the header of a sealed text, and the bytes after it.
fn header(sealed: &Sealed) -> Option<(KeyEpoch, &[u8])> {
    let Some((&FORMAT, rest)) = sealed.0.split_first() else { return None };
    let (epoch, body) = rest.split_first_chunk()?;
    Some((KeyEpoch(i32::from_be_bytes(*epoch)), body))
}

/// The epoch of the key that sealed a text, from its header.
pub(crate) fn epoch_of(sealed: &Sealed) -> Option<KeyEpoch> {
    header(sealed).map(|(epoch, _)| epoch)
}

/// Opens what [`seal_text`] sealed. `key_of` returns the actor's key of the epoch in the header.
pub(crate) fn open_text(
    account: AccountIdentity,
    actor: ActorIdentity,
    key_of: impl FnOnce(KeyEpoch) -> Result<Arc<Key>, CryptoError>,
    place: TextPlace,
    sealed: &Sealed,
) -> Result<String, CryptoError> {
    let (epoch, body) = header(sealed).ok_or(CryptoError::DoesNotOpen)?;
    let key = row_key(account, &*key_of(epoch)?, place.row)?;
    let plain = decrypt(&key, &text_aad(account, actor, epoch, place), body)?;
    unpadded(&plain).map(str::to_owned).ok_or(CryptoError::DoesNotOpen)
}

/// The text before the padding. The padding must be exactly what [`seal_text`] writes.
fn unpadded(plain: &[u8]) -> Option<&str> {
    let (length, rest) = plain.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (text, padding) = rest.split_at_checked(length)?;
    let whole = plain.len() == (LENGTH_BYTES + length).next_multiple_of(PADDING_BYTES)
        && padding.iter().all(|&byte| byte == 0);
    if whole { std::str::from_utf8(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_lists_of_parts_give_different_bytes() {
        assert_ne!(joined(&[b"ab", b"c"]), joined(&[b"a", b"bc"]));
        assert_ne!(joined(&[b"a", b""]), joined(&[b"", b"a"]));
        assert_ne!(joined(&[b""]), joined(&[]));
    }

    #[test]
    fn only_zeros_up_to_the_next_multiple_are_accepted_as_padding() {
        let mut plain = [0_u8; 64];
        plain[3] = 2;
        plain[4..6].copy_from_slice(b"hi");
        assert_eq!(unpadded(&plain[..32]), Some("hi"));
        assert_eq!(unpadded(&plain), None, "a block too many");
        assert_eq!(unpadded(&plain[..31]), None);
        assert_eq!(unpadded(&plain[..3]), None);
        assert_eq!(unpadded(&[]), None);
        plain[31] = 1;
        assert_eq!(unpadded(&plain[..32]), None, "not zeros");
        plain[31] = 0;
        plain[3] = 1;
        assert_eq!(unpadded(&plain[..32]), None, "a shorter length");
        plain[0] = 255;
        assert_eq!(unpadded(&plain[..32]), None, "a length beyond the end");
        plain[0] = 0;
        plain[3] = 2;
        plain[4] = 0xff;
        assert_eq!(unpadded(&plain[..32]), None, "no UTF-8");
    }

    #[test]
    fn system_entropy_gives_different_bytes_each_time() {
        let (mut one, mut other) = ([0; 32], [0; 32]);
        SystemEntropy.fill(&mut one).unwrap();
        SystemEntropy.fill(&mut other).unwrap();
        assert_ne!(one, other);
    }
}
