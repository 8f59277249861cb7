//! What is moved, changed or cut does not open.

use proptest::prelude::*;
use roots_domain::model::id::{AccountId, KeyId, RecoveryId};
use roots_domain::model::key::{KeyEpoch, WrapHolder, WrapSubject};
use roots_domain::model::sealed::{Field, Sealed};
use roots_domain::port::keys::{KeyError, Locksmith};

use crate::world::{Doors, World, actor, place, uid};

/// A founded account whose member and whose account have been renewed, with texts of each epoch.
fn renewed(id: i64) -> World {
    let mut world = World::founded(id);
    world.write();
    let owner = world.owner().unwrap();
    let renewal = owner.for_actor(world.member, &world.wraps).unwrap().renew(KeyId(3)).unwrap();
    world.wraps.extend(renewal.wraps);
    world.member.epoch = renewal.epoch;
    world.member_key = world.keep_key(KeyId(3), renewal.key);
    let renewal = world.owner().unwrap().renew_account(KeyId(4), RecoveryId(2)).unwrap();
    world.wraps.extend(renewal.wraps);
    (world.account.epoch, world.owner.epoch) = (renewal.account_epoch, renewal.owner_epoch);
    world.owner_key = world.keep_key(KeyId(4), renewal.key);
    world.code = world.keep_code(RecoveryId(2), renewal.code);
    world.write();
    world.assert_all_is_readable();
    world
}

#[test]
fn a_text_opens_in_its_own_place_only() {
    let worlds = [renewed(7), renewed(8)];
    let mut refused = 0;
    for (from, world) in worlds.iter().enumerate() {
        for (number, written) in world.texts.iter().enumerate() {
            for (to, other) in worlds.iter().enumerate() {
                for (of, keyring) in other.doors() {
                    let keyring = keyring.unwrap();
                    for (target, place) in other.texts.iter().enumerate() {
                        let at_home = (from, number) == (to, target) && of == written.actor;
                        let opened = keyring.open(place.place, &written.sealed);
                        if at_home {
                            assert_eq!(opened.as_deref(), Ok(written.text.as_str()));
                        } else if opened.is_ok() {
                            // Through another of the same actor's doors: the same place.
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
fn a_text_is_bound_to_each_part_of_its_place_even_under_its_own_key() {
    let world = World::founded(7);
    let keyring = world.owner().unwrap();
    let home = place(Field::TodoDescription, 1);
    let sealed = keyring.seal(home, "here").unwrap();
    for field in Field::ALL {
        for row in [1, 2] {
            let at = place(field, row);
            assert_eq!(keyring.open(at, &sealed).is_ok(), at == home, "{at:?}");
        }
    }
    // The actor's key is wrapped for its id; the text is bound to its uid as well.
    let mut other = world.dry();
    other.owner.uid = uid(99);
    assert_eq!(other.owner().unwrap().open(home, &sealed), Err(KeyError::DoesNotOpen));
    // The header's epoch is bound too: with another that is held, it does not open.
    let mut world = world;
    let renewal = world.owner().unwrap().renew(KeyId(9)).unwrap();
    world.wraps.extend(renewal.wraps);
    world.owner.epoch = renewal.epoch;
    world.owner_key = world.keep_key(KeyId(9), renewal.key);
    let keyring = world.owner().unwrap();
    for (epoch, outcome) in [
        (1, Ok("here".to_owned())),
        (2, Err(KeyError::DoesNotOpen)),
        (3, Err(KeyError::WrapMissing)),
        (0, Err(KeyError::WrapMissing)),
        (-1, Err(KeyError::WrapMissing)),
    ] {
        let mut moved = sealed.clone();
        moved.0[1..5].copy_from_slice(&i32::to_be_bytes(epoch));
        assert_eq!(keyring.open(home, &moved), outcome, "{epoch}");
    }
}

#[test]
fn a_wrap_opens_in_its_own_place_only() {
    // Both accounts are made of the same random bytes: what tells them apart is the binding.
    let stages: [fn(i64) -> World; 2] = [World::founded, renewed];
    for stage in stages {
        let (mut world, stranger) = (stage(7), stage(8));
        world.write();
        let foreign = stranger.wraps.iter().map(|wrap| wrap.sealed.clone());
        let mut all: Vec<_> = world.wraps.iter().map(|wrap| wrap.sealed.clone()).collect();
        all.extend(foreign);
        let mut needed = 0;
        for (target, wrap) in world.wraps.iter().enumerate() {
            // Some wraps nobody needs: of keys that have ended, or a second way to the same key.
            let mut damaged = world.dry();
            damaged.wraps[target].sealed = Sealed(Vec::new());
            let is_needed = damaged.doors().iter().any(|(_, keyring)| keyring.is_err());
            needed += usize::from(is_needed);
            for (source, sealed) in all.iter().enumerate() {
                let mut swapped = world.dry();
                swapped.wraps[target].sealed = sealed.clone();
                let doors = swapped.doors();
                let refused = doors.iter().any(|(_, keyring)| keyring.is_err());
                let expected = is_needed && source != target;
                assert_eq!(refused, expected, "{source} in the place of {target}, {wrap:?}");
                assert_doors_mistake_no_key(&world, doors);
            }
        }
        assert!(needed >= 6, "{needed}");
    }
}

/// Who is let in has the right keys, and the others are told no more than that.
fn assert_doors_mistake_no_key(world: &World, doors: Doors) {
    for (of, keyring) in doors {
        match keyring {
            Ok(keyring) => {
                for written in world.texts.iter().filter(|written| written.actor == of) {
                    let opened = keyring.open(written.place, &written.sealed);
                    assert_eq!(opened.as_deref(), Ok(written.text.as_str()));
                }
            }
            Err(error) => assert_eq!(error, KeyError::DoesNotOpen),
        }
    }
}

#[test]
fn a_wrap_is_bound_to_its_account_subject_holder_and_epochs() {
    // The account and its owner are both number 1: that alone must not make them alike.
    let world = World::founded(1);
    let owner = world.owner().unwrap();
    let minted = owner.mint_key(KeyId(5)).unwrap();
    let unlock = |world: &World, id, account, actor, wraps: &[_]| {
        world.locksmith.unlock(&minted.secret, account, actor, id, wraps).map(drop)
    };
    assert_eq!(unlock(&world, KeyId(5), world.account, world.owner, &minted.wraps), Ok(()));
    let refused = Err(KeyError::DoesNotOpen);

    let mut account = world.account;
    account.uid = uid(99);
    assert_eq!(unlock(&world, KeyId(5), account, world.owner, &minted.wraps), refused);
    let mut account = world.account;
    account.id = AccountId(8);
    assert_eq!(unlock(&world, KeyId(5), account, world.owner, &minted.wraps), refused);

    let relabelled = |change: &dyn Fn(&mut WrapSubject, &mut WrapHolder)| {
        let mut wraps = minted.wraps.clone();
        for wrap in &mut wraps {
            change(&mut wrap.subject, &mut wrap.holder);
        }
        wraps
    };
    let wraps = relabelled(&|_, holder| *holder = WrapHolder::ApiKey(KeyId(6)));
    assert_eq!(unlock(&world, KeyId(6), world.account, world.owner, &wraps), refused);
    let wraps = relabelled(&|subject, _| {
        if let WrapSubject::Actor(actor, _) = subject {
            actor.0 = 2;
        }
    });
    assert_eq!(unlock(&world, KeyId(5), world.account, actor(2), &wraps), refused);
    let wraps = relabelled(&|subject, _| {
        if let WrapSubject::Actor(_, epoch) = subject {
            *epoch = KeyEpoch(2);
        }
    });
    let mut later = world.owner;
    later.epoch = KeyEpoch(2);
    assert_eq!(unlock(&world, KeyId(5), world.account, later, &wraps), refused);
    let wraps = relabelled(&|subject, _| {
        if let WrapSubject::Account(epoch) = subject {
            *epoch = KeyEpoch(2);
        }
    });
    assert_eq!(unlock(&world, KeyId(5), world.account, world.owner, &wraps), refused);
    let wraps = relabelled(&|subject, _| {
        *subject = match *subject {
            WrapSubject::Actor(..) => WrapSubject::Account(KeyEpoch(1)),
            WrapSubject::Account(_) => WrapSubject::Actor(world.owner.id, KeyEpoch(1)),
        };
    });
    assert_eq!(unlock(&world, KeyId(5), world.account, world.owner, &wraps), refused);

    // What is no key of the account, or no key at all.
    let (mine, no_key) = (World::founded(8).owner_key.1, "roots_7_".into());
    let with =
        |key| world.locksmith.unlock(key, world.account, world.owner, KeyId(5), &minted.wraps);
    assert_eq!(with(&mine).map(drop), refused);
    assert_eq!(with(&no_key).map(drop), refused);
    assert_eq!(with(&world.code.1).map(drop), refused);
    let recovered =
        world.locksmith.recover(&minted.secret, world.account, world.owner, RecoveryId(1), &[]);
    assert_eq!(recovered.map(drop), refused);
}

#[test]
fn no_bit_of_a_sealed_text_can_be_flipped_and_no_byte_cut_or_added() {
    let keyring = World::founded(7).owner().unwrap();
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
fn no_bit_of_a_wrap_can_be_flipped_and_no_byte_cut_or_added() {
    let world = World::founded(7);
    let minted = world.owner().unwrap().mint_key(KeyId(5)).unwrap();
    let unlock = |sealed: Vec<u8>| {
        let mut wraps = minted.wraps.clone();
        wraps[0].sealed = Sealed(sealed);
        let outcome =
            world.locksmith.unlock(&minted.secret, world.account, world.owner, KeyId(5), &wraps);
        outcome.map(drop)
    };
    let sealed = &minted.wraps[0].sealed.0;
    assert_eq!(unlock(sealed.clone()), Ok(()));
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(unlock(flipped), Err(KeyError::DoesNotOpen), "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert_eq!(unlock(sealed[..length].to_vec()), Err(KeyError::DoesNotOpen));
    }
    assert_eq!(unlock([sealed, &[0][..]].concat()), Err(KeyError::DoesNotOpen));
}

proptest! {
    #[test]
    fn no_bytes_open_that_were_not_sealed(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let keyring = World::founded(7).owner().unwrap();
        let mut bytes = bytes;
        prop_assert!(keyring.open(place(Field::LogNote, 1), &Sealed(bytes.clone())).is_err());
        bytes.splice(0..0, [1, 0, 0, 0, 1]);
        let opened = keyring.open(place(Field::LogNote, 1), &Sealed(bytes));
        prop_assert_eq!(opened, Err(KeyError::DoesNotOpen));
    }
}
