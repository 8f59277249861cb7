//! Tests that moved, changed and cut bytes do not open.

use proptest::prelude::*;
use roots_domain::model::api_key::{KeyEpoch, WrapHolder, WrapSubject};
use roots_domain::model::id::{AccountId, KeyId, RecoveryId};
use roots_domain::model::sealed::{Field, Sealed};
use roots_domain::port::crypto::{CryptoError, Locksmith};

use crate::fixture::{AccountFixture, ActorKeyrings, actor, place, uid};

/// An account in which the member and then the account were renewed, with texts of each epoch.
fn renewed(id: i64) -> AccountFixture {
    let mut fixture = AccountFixture::founded(id);
    fixture.write();
    let owner = fixture.owner().unwrap();
    let renewal = owner.for_actor(fixture.member, &fixture.wraps).unwrap().renew(KeyId(3)).unwrap();
    fixture.wraps.extend(renewal.wraps);
    fixture.member.epoch = renewal.epoch;
    fixture.member_key = fixture.keep_key(KeyId(3), renewal.key);
    let renewal = fixture.owner().unwrap().renew_account(KeyId(4), RecoveryId(2)).unwrap();
    fixture.wraps.extend(renewal.wraps);
    (fixture.account.epoch, fixture.owner.epoch) = (renewal.account_epoch, renewal.owner_epoch);
    fixture.owner_key = fixture.keep_key(KeyId(4), renewal.key);
    fixture.code = fixture.keep_code(RecoveryId(2), renewal.code);
    fixture.write();
    fixture.assert_all_texts_open();
    fixture
}

#[test]
fn a_text_opens_only_in_its_own_slot() {
    let fixtures = [renewed(7), renewed(8)];
    let mut refused = 0;
    for (from, fixture) in fixtures.iter().enumerate() {
        for (number, written) in fixture.texts.iter().enumerate() {
            for (to, other) in fixtures.iter().enumerate() {
                for (of, keyring) in other.keyrings() {
                    let keyring = keyring.unwrap();
                    for (target, place) in other.texts.iter().enumerate() {
                        let at_home = (from, number) == (to, target) && of == written.actor;
                        let opened = keyring.open(place.place, &written.sealed);
                        if at_home {
                            assert_eq!(opened.as_deref(), Ok(written.text.as_str()));
                        } else if opened.is_ok() {
                            // Other keyrings of the same actor open it only in the same place.
                            panic!("{from}.{number} opened at {to}.{target} of {of}");
                        } else {
                            refused += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(refused, 2 * 20 * (2 * 6 * 20) - 2 * 20 * 3);
}

#[test]
fn a_text_is_bound_to_its_field_row_actor_and_epoch_even_under_its_own_key() {
    let fixture = AccountFixture::founded(7);
    let keyring = fixture.owner().unwrap();
    let home = place(Field::TodoDescription, 1);
    let sealed = keyring.seal(home, "here").unwrap();
    for field in Field::ALL {
        for row in [1, 2] {
            let at = place(field, row);
            assert_eq!(keyring.open(at, &sealed).is_ok(), at == home, "{at:?}");
        }
    }
    // The wrap is bound to the actor's id; the text is also bound to its uid.
    let mut other = fixture.without_entropy();
    other.owner.uid = uid(99);
    assert_eq!(other.owner().unwrap().open(home, &sealed), Err(CryptoError::DoesNotOpen));
    // The text is also bound to the epoch in its header: with another known epoch it does not open.
    let mut fixture = fixture;
    let renewal = fixture.owner().unwrap().renew(KeyId(9)).unwrap();
    fixture.wraps.extend(renewal.wraps);
    fixture.owner.epoch = renewal.epoch;
    fixture.owner_key = fixture.keep_key(KeyId(9), renewal.key);
    let keyring = fixture.owner().unwrap();
    for (epoch, outcome) in [
        (1, Ok("here".to_owned())),
        (2, Err(CryptoError::DoesNotOpen)),
        (3, Err(CryptoError::WrapMissing)),
        (0, Err(CryptoError::WrapMissing)),
        (-1, Err(CryptoError::WrapMissing)),
    ] {
        let mut moved = sealed.clone();
        moved.0[1..5].copy_from_slice(&i32::to_be_bytes(epoch));
        assert_eq!(keyring.open(home, &moved), outcome, "{epoch}");
    }
}

#[test]
fn a_wrap_opens_only_in_its_own_slot() {
    // Both accounts have the same random bytes, so only the binding distinguishes them.
    let stages: [fn(i64) -> AccountFixture; 2] = [AccountFixture::founded, renewed];
    for stage in stages {
        let (mut fixture, other) = (stage(7), stage(8));
        fixture.write();
        let foreign = other.wraps.iter().map(|wrap| wrap.sealed.clone());
        let mut all: Vec<_> = fixture.wraps.iter().map(|wrap| wrap.sealed.clone()).collect();
        all.extend(foreign);
        let mut needed = 0;
        for (target, wrap) in fixture.wraps.iter().enumerate() {
            // Some wraps are not needed: those of ended keys, and second ways to the same key.
            let mut damaged = fixture.without_entropy();
            damaged.wraps[target].sealed = Sealed(Vec::new());
            let is_needed = damaged.keyrings().iter().any(|(_, keyring)| keyring.is_err());
            needed += usize::from(is_needed);
            for (source, sealed) in all.iter().enumerate() {
                let mut swapped = fixture.without_entropy();
                swapped.wraps[target].sealed = sealed.clone();
                let keyrings = swapped.keyrings();
                let refused = keyrings.iter().any(|(_, keyring)| keyring.is_err());
                let expected = is_needed && source != target;
                assert_eq!(refused, expected, "{source} in the place of {target}, {wrap:?}");
                assert_right_keys_or_does_not_open(&fixture, keyrings);
            }
        }
        assert!(needed >= 6, "{needed}");
    }
}

/// Asserts that each keyring opens all texts of its actor, and that every error is `DoesNotOpen`.
fn assert_right_keys_or_does_not_open(fixture: &AccountFixture, keyrings: ActorKeyrings) {
    for (of, keyring) in keyrings {
        match keyring {
            Ok(keyring) => {
                for written in fixture.texts.iter().filter(|written| written.actor == of) {
                    let opened = keyring.open(written.place, &written.sealed);
                    assert_eq!(opened.as_deref(), Ok(written.text.as_str()));
                }
            }
            Err(error) => assert_eq!(error, CryptoError::DoesNotOpen),
        }
    }
}

#[test]
fn a_wrap_is_bound_to_its_account_subject_holder_and_epochs() {
    // The account and its owner have the same number, 1, and must still be distinguished.
    let fixture = AccountFixture::founded(1);
    let owner = fixture.owner().unwrap();
    let minted = owner.mint_key(KeyId(5)).unwrap();
    let key = fixture.locksmith.parse_key(&minted.secret).unwrap();
    let unlock = |fixture: &AccountFixture, id: KeyId, account, actor, wraps: &[_]| {
        fixture.locksmith.unlock(&key, account, actor, id.into(), wraps).map(drop)
    };
    assert_eq!(unlock(&fixture, KeyId(5), fixture.account, fixture.owner, &minted.wraps), Ok(()));
    let refused = Err(CryptoError::DoesNotOpen);

    let mut account = fixture.account;
    account.uid = uid(99);
    assert_eq!(unlock(&fixture, KeyId(5), account, fixture.owner, &minted.wraps), refused);
    let mut account = fixture.account;
    account.id = AccountId(8);
    assert_eq!(unlock(&fixture, KeyId(5), account, fixture.owner, &minted.wraps), refused);

    let relabelled = |change: &dyn Fn(&mut WrapSubject, &mut WrapHolder)| {
        let mut wraps = minted.wraps.clone();
        for wrap in &mut wraps {
            change(&mut wrap.subject, &mut wrap.holder);
        }
        wraps
    };
    let wraps = relabelled(&|_, holder| *holder = WrapHolder::ApiKey(KeyId(6)));
    assert_eq!(unlock(&fixture, KeyId(6), fixture.account, fixture.owner, &wraps), refused);
    let wraps = relabelled(&|subject, _| {
        if let WrapSubject::Actor(actor, _) = subject {
            actor.0 = 2;
        }
    });
    assert_eq!(unlock(&fixture, KeyId(5), fixture.account, actor(2), &wraps), refused);
    let wraps = relabelled(&|subject, _| {
        if let WrapSubject::Actor(_, epoch) = subject {
            *epoch = KeyEpoch(2);
        }
    });
    let mut later = fixture.owner;
    later.epoch = KeyEpoch(2);
    assert_eq!(unlock(&fixture, KeyId(5), fixture.account, later, &wraps), refused);
    let wraps = relabelled(&|subject, _| {
        if let WrapSubject::Account(epoch) = subject {
            *epoch = KeyEpoch(2);
        }
    });
    assert_eq!(unlock(&fixture, KeyId(5), fixture.account, fixture.owner, &wraps), refused);
    let wraps = relabelled(&|subject, _| {
        *subject = match *subject {
            WrapSubject::Actor(..) => WrapSubject::Account(KeyEpoch(1)),
            WrapSubject::Account(_) => WrapSubject::Actor(fixture.owner.id, KeyEpoch(1)),
        };
    });
    assert_eq!(unlock(&fixture, KeyId(5), fixture.account, fixture.owner, &wraps), refused);

    // A key of another account. A text that is no key and a recovery code are no `PresentedKey`.
    let foreign = AccountFixture::founded(8).owner_key.1;
    let foreign = fixture.locksmith.parse_key(&foreign).unwrap();
    let with_foreign = fixture.locksmith.unlock(
        &foreign,
        fixture.account,
        fixture.owner,
        KeyId(5).into(),
        &minted.wraps,
    );
    assert_eq!(with_foreign.map(drop), refused);
    assert!(fixture.locksmith.parse_key(&"roots_7_".into()).is_none());
    assert!(fixture.locksmith.parse_key(&fixture.code.1).is_none());
    assert!(fixture.locksmith.parse_code(&minted.secret).is_none());
}

#[test]
fn a_sealed_text_with_a_flipped_bit_or_a_cut_or_added_byte_does_not_open() {
    let keyring = AccountFixture::founded(7).owner().unwrap();
    for text in ["", "A note of some length, to fill more than one block of padding."] {
        let at = place(Field::LogNote, 1);
        let sealed = keyring.seal(at, text).unwrap();
        for bit in 0..sealed.0.len() * 8 {
            let mut flipped = sealed.clone();
            flipped.0[bit / 8] ^= 1 << (bit % 8);
            assert!(keyring.open(at, &flipped).is_err(), "bit {bit}");
        }
        for length in 0..sealed.0.len() {
            assert!(keyring.open(at, &Sealed(sealed.0[..length].to_vec())).is_err());
            assert!(keyring.open(at, &Sealed(sealed.0[length + 1..].to_vec())).is_err());
        }
        let longer = [&sealed.0[..], &[0]].concat();
        assert!(keyring.open(at, &Sealed(longer)).is_err());
        assert_eq!(keyring.open(at, &sealed).as_deref(), Ok(text));
    }
}

#[test]
fn a_wrap_with_a_flipped_bit_or_a_cut_or_added_byte_does_not_open() {
    let fixture = AccountFixture::founded(7);
    let minted = fixture.owner().unwrap().mint_key(KeyId(5)).unwrap();
    let key = fixture.locksmith.parse_key(&minted.secret).unwrap();
    let unlock = |sealed: Vec<u8>| {
        let mut wraps = minted.wraps.clone();
        wraps[0].sealed = Sealed(sealed);
        let outcome =
            fixture.locksmith.unlock(&key, fixture.account, fixture.owner, KeyId(5).into(), &wraps);
        outcome.map(drop)
    };
    let sealed = &minted.wraps[0].sealed.0;
    assert_eq!(unlock(sealed.clone()), Ok(()));
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(unlock(flipped), Err(CryptoError::DoesNotOpen), "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert_eq!(unlock(sealed[..length].to_vec()), Err(CryptoError::DoesNotOpen));
    }
    assert_eq!(unlock([sealed, &[0][..]].concat()), Err(CryptoError::DoesNotOpen));
}

proptest! {
    #[test]
    fn bytes_that_were_never_sealed_do_not_open(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let keyring = AccountFixture::founded(7).owner().unwrap();
        let mut bytes = bytes;
        prop_assert!(keyring.open(place(Field::LogNote, 1), &Sealed(bytes.clone())).is_err());
        bytes.splice(0..0, [1, 0, 0, 0, 1]);
        let opened = keyring.open(place(Field::LogNote, 1), &Sealed(bytes));
        prop_assert_eq!(opened, Err(CryptoError::DoesNotOpen));
    }
}
