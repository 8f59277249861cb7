//! An account with an owner and a member, and everything that a store keeps of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ring::digest::{SHA256, digest};
use roots_crypto::{Entropy, RingLocksmith};
use roots_domain::model::api_key::{KeyEpoch, Wrap};
use roots_domain::model::id::{AccountId, ActorId, KeyId, RecoveryId, Uid};
use roots_domain::model::sealed::{Field, Sealed, TextPlace};
use roots_domain::port::crypto::{
    AccountIdentity, ActorIdentity, CryptoError, Keyring, Locksmith, MintedCode, MintedKey,
};
use secrecy::SecretString;
use uuid::Uuid;

/// Gives the same bytes each time and for every account: SHA-256 of a name and a counter. Records
/// them.
#[derive(Clone, Default)]
pub(crate) struct RecordedEntropy {
    next_block: Arc<AtomicU32>,
    given: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl RecordedEntropy {
    pub(crate) const RULE: &'static str =
        "Draw n, from 0, is the first bytes of SHA-256('roots entropy ' || u32be(n)).";

    /// The bytes that were given since the last call.
    pub(crate) fn take_given(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.given.lock().unwrap())
    }
}

impl Entropy for RecordedEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        let block = self.next_block.fetch_add(1, Ordering::Relaxed);
        let hash = digest(&SHA256, &[b"roots entropy ", &block.to_be_bytes()[..]].concat());
        bytes.copy_from_slice(&hash.as_ref()[..bytes.len()]);
        self.given.lock().unwrap().push(bytes.to_vec());
        Ok(())
    }
}

/// Repeats one byte.
pub(crate) struct ConstantEntropy(pub(crate) u8);

impl Entropy for ConstantEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        bytes.fill(self.0);
        Ok(())
    }
}

/// Always fails, so a locksmith with it can make no key.
pub(crate) struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _: &mut [u8]) -> Result<(), CryptoError> {
        Err(CryptoError::NoRandomness)
    }
}

pub(crate) fn uid(number: u128) -> Uid {
    Uid(Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0000 | number))
}

pub(crate) fn account(id: i64) -> AccountIdentity {
    let uid = uid(0xacc0_0000 + u128::try_from(id).unwrap());
    AccountIdentity { id: AccountId(id), uid, epoch: KeyEpoch::FIRST }
}

pub(crate) fn actor(id: i64) -> ActorIdentity {
    let uid = uid(0xac10_0000 + u128::try_from(id).unwrap());
    ActorIdentity { id: ActorId(id), uid, epoch: KeyEpoch::FIRST }
}

pub(crate) fn place(field: Field, row: u128) -> TextPlace {
    TextPlace { field, row: uid(row) }
}

/// A text that an actor sealed.
pub(crate) struct SealedText {
    pub(crate) actor: ActorId,
    pub(crate) place: TextPlace,
    pub(crate) text: String,
    pub(crate) sealed: Sealed,
}

/// Keyrings, each with its actor.
pub(crate) type ActorKeyrings = Vec<(ActorId, Result<Arc<dyn Keyring>, CryptoError>)>;

/// An account as a store keeps it, and the secrets that people keep.
pub(crate) struct AccountFixture {
    pub(crate) entropy: RecordedEntropy,
    pub(crate) locksmith: RingLocksmith,
    pub(crate) account: AccountIdentity,
    pub(crate) owner: ActorIdentity,
    pub(crate) member: ActorIdentity,
    pub(crate) wraps: Vec<Wrap>,
    pub(crate) texts: Vec<SealedText>,
    pub(crate) owner_key: (KeyId, SecretString),
    pub(crate) member_key: (KeyId, SecretString),
    pub(crate) code: (RecoveryId, SecretString),
}

impl AccountFixture {
    /// Account `id` with its owner, and a member that got a key from the owner.
    pub(crate) fn founded(id: i64) -> Self {
        let entropy = RecordedEntropy::default();
        let locksmith = RingLocksmith::new(entropy.clone());
        let (account, owner, member) = (account(id), actor(1), actor(2));
        let founding = locksmith.found(account, owner, KeyId(1), RecoveryId(1)).unwrap();
        let mut fixture = Self {
            entropy,
            locksmith,
            account,
            owner,
            member,
            wraps: founding.wraps,
            texts: Vec::new(),
            owner_key: (KeyId(1), founding.key.secret),
            member_key: (KeyId(0), SecretString::default()),
            code: (RecoveryId(1), founding.code.secret),
        };
        fixture.wraps.extend(founding.key.wraps);
        fixture.wraps.extend(founding.code.wraps);
        let owner = fixture.owner().unwrap();
        fixture.wraps.extend(owner.add_actor(member).unwrap());
        let minted = owner.for_actor(member, &fixture.wraps).unwrap().mint_key(KeyId(2)).unwrap();
        fixture.member_key = fixture.keep_key(KeyId(2), minted);
        fixture
    }

    /// The same account without a source of random bytes.
    pub(crate) fn without_entropy(&self) -> Self {
        Self {
            entropy: RecordedEntropy::default(),
            locksmith: RingLocksmith::new(NoEntropy),
            account: self.account,
            owner: self.owner,
            member: self.member,
            wraps: self.wraps.clone(),
            texts: Vec::new(),
            owner_key: self.owner_key.clone(),
            member_key: self.member_key.clone(),
            code: self.code.clone(),
        }
    }

    pub(crate) fn keep_key(&mut self, id: KeyId, minted: MintedKey) -> (KeyId, SecretString) {
        let found_by = self.locksmith.parse_key(&minted.secret).unwrap().lookup;
        assert_eq!((found_by.account, found_by.hash), (self.account.id, minted.lookup));
        self.wraps.extend(minted.wraps);
        (id, minted.secret)
    }

    pub(crate) fn keep_code(
        &mut self,
        id: RecoveryId,
        minted: MintedCode,
    ) -> (RecoveryId, SecretString) {
        let found_by = self.locksmith.parse_code(&minted.secret).unwrap().lookup;
        assert_eq!((found_by.account, found_by.hash), (self.account.id, minted.lookup));
        self.wraps.extend(minted.wraps);
        (id, minted.secret)
    }

    fn unlock(
        &self,
        (id, key): &(KeyId, SecretString),
        actor: ActorIdentity,
    ) -> Result<Arc<dyn Keyring>, CryptoError> {
        let key = self.locksmith.parse_key(key).unwrap();
        self.locksmith.unlock(&key, self.account, actor, (*id).into(), &self.wraps)
    }

    /// Unlocks the owner's keyring with its API key.
    pub(crate) fn owner(&self) -> Result<Arc<dyn Keyring>, CryptoError> {
        self.unlock(&self.owner_key, self.owner)
    }

    /// Unlocks the member's keyring with its API key.
    pub(crate) fn member(&self) -> Result<Arc<dyn Keyring>, CryptoError> {
        self.unlock(&self.member_key, self.member)
    }

    /// Unlocks the owner's keyring with the recovery code.
    pub(crate) fn recovered(&self) -> Result<Arc<dyn Keyring>, CryptoError> {
        let (id, code) = &self.code;
        let code = self.locksmith.parse_code(code).unwrap();
        self.locksmith.recover(&code, self.account, self.owner, *id, &self.wraps)
    }

    /// The keyrings of both actors, unlocked in every possible way.
    pub(crate) fn keyrings(&self) -> ActorKeyrings {
        let for_member = |owner: Result<Arc<dyn Keyring>, CryptoError>| {
            owner.and_then(|owner| owner.for_actor(self.member, &self.wraps))
        };
        vec![
            (self.owner.id, self.owner()),
            (self.owner.id, self.recovered()),
            (self.owner.id, self.owner().and_then(|o| o.for_actor(self.owner, &self.wraps))),
            (self.member.id, self.member()),
            (self.member.id, for_member(self.owner())),
            (self.member.id, for_member(self.recovered())),
        ]
    }

    /// Both actors seal a text for every field.
    pub(crate) fn write(&mut self) {
        let (owner, member) = (self.owner().unwrap(), self.member().unwrap());
        for (actor, keyring) in [(self.owner.id, owner), (self.member.id, member)] {
            for field in Field::ALL {
                let number = self.texts.len();
                let text = format!("{number}: {field:?} of {actor} \u{1f331}\r\n");
                let place = place(field, 0x1000 + number as u128);
                let sealed = keyring.seal(place, &text).unwrap();
                self.texts.push(SealedText { actor, place, text, sealed });
            }
        }
    }

    /// Asserts that every keyring opens all texts of its actor, those of earlier calls included.
    pub(crate) fn assert_all_texts_open(&self) {
        for (number, (of, keyring)) in self.keyrings().into_iter().enumerate() {
            let keyring = keyring.unwrap();
            for written in self.texts.iter().filter(|written| written.actor == of) {
                let opened = keyring.open(written.place, &written.sealed);
                assert_eq!(opened.as_deref(), Ok(written.text.as_str()), "keyring {number}");
            }
        }
    }
}
