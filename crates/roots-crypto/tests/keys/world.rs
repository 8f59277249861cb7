//! An account with an owner and a member, and all that a store would keep of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ring::digest::{SHA256, digest};
use roots_crypto::{Entropy, RingLocksmith};
use roots_domain::model::id::{AccountId, ActorId, KeyId, RecoveryId, Uid};
use roots_domain::model::key::{KeyEpoch, Wrap};
use roots_domain::model::sealed::{Field, Sealed, TextPlace};
use roots_domain::port::keys::{
    AccountIdentity, ActorIdentity, KeyError, Keyring, Locksmith, MintedCode, MintedKey,
};
use secrecy::SecretString;
use uuid::Uuid;

/// The same bytes each time, for every account: SHA-256 of a name and a counter. Remembers what it gave.
#[derive(Clone, Default)]
pub(crate) struct Tape {
    next_block: Arc<AtomicU32>,
    given: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tape {
    pub(crate) const RULE: &'static str =
        "Draw n, from 0, is the first bytes of SHA-256('roots entropy ' || u32be(n)).";

    /// What it gave since it was last asked.
    pub(crate) fn given(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.given.lock().unwrap())
    }
}

impl Entropy for Tape {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), KeyError> {
        let block = self.next_block.fetch_add(1, Ordering::Relaxed);
        let hash = digest(&SHA256, &[b"roots entropy ", &block.to_be_bytes()[..]].concat());
        bytes.copy_from_slice(&hash.as_ref()[..bytes.len()]);
        self.given.lock().unwrap().push(bytes.to_vec());
        Ok(())
    }
}

/// One byte, over and over.
pub(crate) struct Constant(pub(crate) u8);

impl Entropy for Constant {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), KeyError> {
        bytes.fill(self.0);
        Ok(())
    }
}

/// None at all: whoever works with it makes no key.
pub(crate) struct Dry;

impl Entropy for Dry {
    fn fill(&self, _: &mut [u8]) -> Result<(), KeyError> {
        Err(KeyError::NoRandomness)
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

/// A text that an actor wrote.
pub(crate) struct Written {
    pub(crate) actor: ActorId,
    pub(crate) place: TextPlace,
    pub(crate) text: String,
    pub(crate) sealed: Sealed,
}

/// Ways to keyrings, and whose they are.
pub(crate) type Doors = Vec<(ActorId, Result<Arc<dyn Keyring>, KeyError>)>;

/// An account as it stands in a store, and the secrets in people's hands.
pub(crate) struct World {
    pub(crate) tape: Tape,
    pub(crate) locksmith: RingLocksmith,
    pub(crate) account: AccountIdentity,
    pub(crate) owner: ActorIdentity,
    pub(crate) member: ActorIdentity,
    pub(crate) wraps: Vec<Wrap>,
    pub(crate) texts: Vec<Written>,
    pub(crate) owner_key: (KeyId, SecretString),
    pub(crate) member_key: (KeyId, SecretString),
    pub(crate) code: (RecoveryId, SecretString),
}

impl World {
    /// Account `id` with its owner, and a member that the owner minted a key for.
    pub(crate) fn founded(id: i64) -> Self {
        let tape = Tape::default();
        let locksmith = RingLocksmith::new(tape.clone());
        let (account, owner, member) = (account(id), actor(1), actor(2));
        let founding = locksmith.found(account, owner, KeyId(1), RecoveryId(1)).unwrap();
        let mut world = Self {
            tape,
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
        world.wraps.extend(founding.key.wraps);
        world.wraps.extend(founding.code.wraps);
        let owner = world.owner().unwrap();
        world.wraps.extend(owner.add_actor(member).unwrap());
        let minted = owner.for_actor(member, &world.wraps).unwrap().mint_key(KeyId(2)).unwrap();
        world.member_key = world.keep_key(KeyId(2), minted);
        world
    }

    /// The same account where no random byte can be had.
    pub(crate) fn dry(&self) -> Self {
        Self {
            tape: Tape::default(),
            locksmith: RingLocksmith::new(Dry),
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
        let found_by = self.locksmith.recognize_key(&minted.secret).unwrap();
        assert_eq!((found_by.account, found_by.hash), (self.account.id, minted.lookup));
        self.wraps.extend(minted.wraps);
        (id, minted.secret)
    }

    pub(crate) fn keep_code(
        &mut self,
        id: RecoveryId,
        minted: MintedCode,
    ) -> (RecoveryId, SecretString) {
        let found_by = self.locksmith.recognize_code(&minted.secret).unwrap();
        assert_eq!((found_by.account, found_by.hash), (self.account.id, minted.lookup));
        self.wraps.extend(minted.wraps);
        (id, minted.secret)
    }

    fn unlock(
        &self,
        (id, key): &(KeyId, SecretString),
        actor: ActorIdentity,
    ) -> Result<Arc<dyn Keyring>, KeyError> {
        self.locksmith.unlock(key, self.account, actor, *id, &self.wraps)
    }

    /// With the owner's API key.
    pub(crate) fn owner(&self) -> Result<Arc<dyn Keyring>, KeyError> {
        self.unlock(&self.owner_key, self.owner)
    }

    /// With the member's API key.
    pub(crate) fn member(&self) -> Result<Arc<dyn Keyring>, KeyError> {
        self.unlock(&self.member_key, self.member)
    }

    /// With the recovery code, as the owner.
    pub(crate) fn recovered(&self) -> Result<Arc<dyn Keyring>, KeyError> {
        let (id, code) = &self.code;
        self.locksmith.recover(code, self.account, self.owner, *id, &self.wraps)
    }

    /// Every way there is.
    pub(crate) fn doors(&self) -> Doors {
        let of_member = |owner: Result<Arc<dyn Keyring>, KeyError>| {
            owner.and_then(|owner| owner.for_actor(self.member, &self.wraps))
        };
        vec![
            (self.owner.id, self.owner()),
            (self.owner.id, self.recovered()),
            (self.owner.id, self.owner().and_then(|o| o.for_actor(self.owner, &self.wraps))),
            (self.member.id, self.member()),
            (self.member.id, of_member(self.owner())),
            (self.member.id, of_member(self.recovered())),
        ]
    }

    /// Both actors write a text into every field.
    pub(crate) fn write(&mut self) {
        let (owner, member) = (self.owner().unwrap(), self.member().unwrap());
        for (actor, keyring) in [(self.owner.id, owner), (self.member.id, member)] {
            for field in Field::ALL {
                let number = self.texts.len();
                let text = format!("{number}: {field:?} of {actor} \u{1f331}\r\n");
                let place = place(field, 0x1000 + number as u128);
                let sealed = keyring.seal(place, &text).unwrap();
                self.texts.push(Written { actor, place, text, sealed });
            }
        }
    }

    /// Every text of every stage so far, through every door.
    pub(crate) fn assert_all_is_readable(&self) {
        for (door, (of, keyring)) in self.doors().into_iter().enumerate() {
            let keyring = keyring.unwrap();
            for written in self.texts.iter().filter(|written| written.actor == of) {
                let opened = keyring.open(written.place, &written.sealed);
                assert_eq!(opened.as_deref(), Ok(written.text.as_str()), "door {door}");
            }
        }
    }
}
