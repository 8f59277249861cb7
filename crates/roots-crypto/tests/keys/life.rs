//! Lose a key, lose nothing; and who reaches what.

use proptest::prelude::*;
use roots_crypto::RingLocksmith;
use roots_domain::model::id::{KeyId, RecoveryId};
use roots_domain::model::key::{KeyEpoch, WrapHolder, WrapSubject};
use roots_domain::model::sealed::Field;
use roots_domain::port::keys::{KeyError, Keyring, Locksmith, MacPurpose};

use crate::world::{Constant, Dry, World, account, actor, place};

#[test]
fn whatever_becomes_of_the_keys_every_text_opens_byte_for_byte() {
    let mut world = World::founded(7);
    world.write();
    world.assert_all_is_readable();

    // The member rotates: its old key's wraps go.
    let minted = world.member().unwrap().mint_key(KeyId(3)).unwrap();
    world.wraps.retain(|wrap| wrap.holder != WrapHolder::ApiKey(world.member_key.0));
    world.member_key = world.keep_key(KeyId(3), minted);
    world.write();
    world.assert_all_is_readable();

    // So does the owner.
    let minted = world.owner().unwrap().mint_key(KeyId(4)).unwrap();
    world.wraps.retain(|wrap| wrap.holder != WrapHolder::ApiKey(world.owner_key.0));
    world.owner_key = world.keep_key(KeyId(4), minted);
    world.write();
    world.assert_all_is_readable();

    // The member loses its key, and the owner gives it another.
    world.wraps.retain(|wrap| wrap.holder != WrapHolder::ApiKey(world.member_key.0));
    assert_eq!(world.member().unwrap_err(), KeyError::WrapMissing);
    let owner = world.owner().unwrap();
    let members = owner.for_actor(world.member, &world.wraps).unwrap();
    let minted = members.mint_key(KeyId(5)).unwrap();
    world.member_key = world.keep_key(KeyId(5), minted);
    world.write();
    world.assert_all_is_readable();

    // The member's key leaks, and the owner renews it, twice.
    for id in [KeyId(6), KeyId(7)] {
        let owner = world.owner().unwrap();
        let members = owner.for_actor(world.member, &world.wraps).unwrap();
        let renewal = members.renew(id).unwrap();
        assert_eq!(renewal.epoch, world.member.epoch.next());
        world.wraps.extend(renewal.wraps);
        let minted = world.keep_key(id, renewal.key);
        // Its wraps stand before its epoch does: the old key opens what it opened, and the owner is
        // told that the two do not go together.
        assert!(world.member().is_ok());
        let held = owner.for_actor(world.member, &world.wraps);
        assert_eq!(held.map(drop), Err(KeyError::EpochWentBack));
        world.member.epoch = renewal.epoch;
        assert_eq!(world.member().unwrap_err(), KeyError::WrapMissing, "the old key has ended");
        world.wraps.retain(|wrap| wrap.holder != WrapHolder::ApiKey(world.member_key.0));
        world.member_key = minted;
        world.write();
        world.assert_all_is_readable();
    }

    // The owner loses every key and recovers.
    world.wraps.retain(|wrap| wrap.holder != WrapHolder::ApiKey(world.owner_key.0));
    assert_eq!(world.owner().unwrap_err(), KeyError::WrapMissing);
    let recovered = world.recovered().unwrap();
    let minted = recovered.mint_key(KeyId(8)).unwrap();
    let code = recovered.mint_code(RecoveryId(2)).unwrap();
    world.owner_key = world.keep_key(KeyId(8), minted);
    world.assert_all_is_readable();
    world.wraps.retain(|wrap| wrap.holder != WrapHolder::Recovery(world.code.0));
    world.code = world.keep_code(RecoveryId(2), code);
    world.write();
    world.assert_all_is_readable();

    // The owner's own key is renewed under the account key as it is.
    let renewal = world.owner().unwrap().renew(KeyId(9)).unwrap();
    world.wraps.extend(renewal.wraps);
    world.owner.epoch = renewal.epoch;
    world.owner_key = world.keep_key(KeyId(9), renewal.key);
    world.write();
    world.assert_all_is_readable();

    // The owner's key leaks: the account key and the owner's are renewed, twice.
    for (key, code) in [(KeyId(10), RecoveryId(3)), (KeyId(11), RecoveryId(4))] {
        let renewal = world.owner().unwrap().renew_account(key, code).unwrap();
        assert_eq!(renewal.account_epoch, world.account.epoch.next());
        assert_eq!(renewal.owner_epoch, world.owner.epoch.next());
        world.wraps.extend(renewal.wraps);
        let minted = world.keep_key(key, renewal.key);
        let code = world.keep_code(code, renewal.code);
        world.assert_all_is_readable();
        world.account.epoch = renewal.account_epoch;
        world.owner.epoch = renewal.owner_epoch;
        assert_eq!(world.owner().unwrap_err(), KeyError::WrapMissing, "the old key has ended");
        assert_eq!(world.recovered().unwrap_err(), KeyError::WrapMissing, "and the old code");
        (world.owner_key, world.code) = (minted, code);
        world.write();
        world.assert_all_is_readable();
    }

    // And then the member's, under the new account key.
    let owner = world.owner().unwrap();
    let members = owner.for_actor(world.member, &world.wraps).unwrap();
    let renewal = members.renew(KeyId(12)).unwrap();
    world.wraps.extend(renewal.wraps);
    world.member.epoch = renewal.epoch;
    world.member_key = world.keep_key(KeyId(12), renewal.key);
    world.write();
    world.assert_all_is_readable();
}

#[test]
fn a_thief_of_old_keys_with_the_whole_store_reads_nothing_of_the_next_epoch() {
    let mut world = World::founded(7);
    let then = world.dry();
    let owner = world.owner().unwrap();
    let account = owner.renew_account(KeyId(3), RecoveryId(2)).unwrap();
    world.wraps.extend(account.wraps);
    (world.account.epoch, world.owner.epoch) = (account.account_epoch, account.owner_epoch);
    world.owner_key = world.keep_key(KeyId(3), account.key);
    world.code = world.keep_code(RecoveryId(2), account.code);
    let owner = world.owner().unwrap();
    let member = owner.for_actor(world.member, &world.wraps).unwrap().renew(KeyId(4)).unwrap();
    world.wraps.extend(member.wraps);
    world.member.epoch = member.epoch;
    world.member_key = world.keep_key(KeyId(4), member.key);
    world.write();
    world.assert_all_is_readable();

    let thief = World { wraps: world.wraps.clone(), ..then };
    for (of, keyring) in thief.doors() {
        let keyring = keyring.unwrap();
        for written in world.texts.iter().filter(|written| written.actor == of) {
            let opened = keyring.open(written.place, &written.sealed);
            assert_eq!(opened, Err(KeyError::WrapMissing));
        }
    }
}

#[test]
fn an_epoch_that_went_back_opens_no_door() {
    let mut world = World::founded(7);
    let renewal = world.owner().unwrap().renew_account(KeyId(3), RecoveryId(2)).unwrap();
    world.wraps.extend(renewal.wraps);
    (world.account.epoch, world.owner.epoch) = (renewal.account_epoch, renewal.owner_epoch);
    world.owner_key = world.keep_key(KeyId(3), renewal.key);
    world.code = world.keep_code(RecoveryId(2), renewal.code);
    let owner = world.owner().unwrap();
    let renewal = owner.for_actor(world.member, &world.wraps).unwrap().renew(KeyId(4)).unwrap();
    world.wraps.extend(renewal.wraps);
    world.member.epoch = renewal.epoch;
    world.member_key = world.keep_key(KeyId(4), renewal.key);
    let went_back = Some(KeyError::EpochWentBack);

    let in_force = world.account.epoch;
    world.account.epoch = KeyEpoch::FIRST;
    assert_eq!(world.owner().err(), went_back);
    assert_eq!(world.recovered().err(), went_back);
    world.account.epoch = in_force;
    world.owner.epoch = KeyEpoch::FIRST;
    assert_eq!(world.owner().err(), went_back);
    assert_eq!(world.recovered().err(), went_back);
    world.owner.epoch = in_force;
    world.member.epoch = KeyEpoch::FIRST;
    assert_eq!(world.member().err(), went_back);
    assert_eq!(owner.for_actor(world.member, &world.wraps).err(), went_back);
}

#[test]
fn a_missing_wrap_is_an_error_and_never_a_reason_to_make_a_key() {
    let mut world = World::founded(7);
    world.write();
    let owner = world.owner().unwrap();
    let renewal = owner.for_actor(world.member, &world.wraps).unwrap().renew(KeyId(3)).unwrap();
    world.wraps.extend(renewal.wraps);
    world.member.epoch = renewal.epoch;
    world.member_key = world.keep_key(KeyId(3), renewal.key);
    let mut missed = 0;
    for gone in 0..world.wraps.len() {
        let mut dry = world.dry();
        dry.wraps.remove(gone);
        for (of, keyring) in dry.doors() {
            match keyring {
                Err(error) => {
                    // Without the account key, an owner's key is as good as a member's.
                    assert!(matches!(error, KeyError::WrapMissing | KeyError::NotAnOwner));
                    missed += 1;
                }
                Ok(keyring) => {
                    for written in world.texts.iter().filter(|written| written.actor == of) {
                        match keyring.open(written.place, &written.sealed) {
                            Ok(text) => assert_eq!(text, written.text),
                            Err(error) => assert_eq!(error, KeyError::WrapMissing),
                        }
                    }
                }
            }
        }
    }
    assert!(missed > world.wraps.len(), "{missed}");
    // An owner's key of before the account's epoch in force is no member's key: it has ended.
    let mut dry = world.dry();
    dry.account.epoch = dry.account.epoch.next();
    assert_eq!(dry.owner().unwrap_err(), KeyError::WrapMissing);
    assert_eq!(dry.recovered().unwrap_err(), KeyError::WrapMissing);
    dry.member().unwrap();
    let mut dry = world.dry();
    dry.wraps.clear();
    assert_eq!(dry.owner().unwrap_err(), KeyError::WrapMissing);
    assert_eq!(dry.member().unwrap_err(), KeyError::WrapMissing);
    assert_eq!(dry.recovered().unwrap_err(), KeyError::WrapMissing);
}

#[test]
fn without_random_bytes_nothing_is_made() {
    let world = World::founded(7);
    let dry = world.dry();
    let refused = Err(KeyError::NoRandomness);
    let locksmith = RingLocksmith::new(Dry);
    let founded = locksmith.found(account(1), actor(1), KeyId(1), RecoveryId(1));
    assert_eq!(founded.map(drop), refused);
    let owner = dry.owner().unwrap();
    assert_eq!(owner.seal(place(Field::LogNote, 1), "x").map(drop), refused);
    assert_eq!(owner.mint_key(KeyId(9)).map(drop), refused);
    assert_eq!(owner.mint_code(RecoveryId(9)).map(drop), refused);
    assert_eq!(owner.add_actor(actor(9)).map(drop), refused);
    assert_eq!(owner.renew(KeyId(9)).map(drop), refused);
    assert_eq!(owner.renew_account(KeyId(9), RecoveryId(9)).map(drop), refused);
}

fn assert_holds_no_account_key(keyring: &dyn Keyring, world: &World) {
    let refused = Err(KeyError::NotAnOwner);
    assert_eq!(keyring.for_actor(world.owner, &world.wraps).map(drop), refused);
    assert_eq!(keyring.for_actor(world.member, &world.wraps).map(drop), refused);
    assert_eq!(keyring.add_actor(actor(9)).map(drop), refused);
    assert_eq!(keyring.mint_code(RecoveryId(9)).map(drop), refused);
    assert_eq!(keyring.renew(KeyId(9)).map(drop), refused);
    assert_eq!(keyring.renew_account(KeyId(9), RecoveryId(9)).map(drop), refused);
}

#[test]
fn a_members_keys_do_not_lead_to_the_account_key_whoever_made_them() {
    let mut world = World::founded(7);
    assert_holds_no_account_key(&*world.member().unwrap(), &world);
    let by_itself = world.member().unwrap().mint_key(KeyId(3)).unwrap();
    let owner = world.owner().unwrap();
    let in_owners_hands = owner.for_actor(world.member, &world.wraps).unwrap();
    let by_owner = in_owners_hands.mint_key(KeyId(4)).unwrap();
    let renewed = in_owners_hands.renew(KeyId(5)).unwrap();
    let members = |epoch| WrapSubject::Actor(world.member.id, epoch);
    for (minted, subject) in [
        (&by_itself, members(KeyEpoch(1))),
        (&by_owner, members(KeyEpoch(1))),
        (&renewed.key, members(KeyEpoch(2))),
    ] {
        assert_eq!(minted.wraps.iter().map(|wrap| wrap.subject).collect::<Vec<_>>(), [subject]);
    }
    for (id, minted) in [(KeyId(3), by_itself), (KeyId(4), by_owner)] {
        world.member_key = world.keep_key(id, minted);
        assert_holds_no_account_key(&*world.member().unwrap(), &world);
    }
    // The owner's hands may mint and renew for the member, but not renew the account as it.
    let refused = in_owners_hands.renew_account(KeyId(9), RecoveryId(9)).map(drop);
    assert_eq!(refused, Err(KeyError::NotAnOwner));
    // A key made for the owner by the same way is an owner's key.
    let own = owner.for_actor(world.owner, &world.wraps).unwrap().mint_key(KeyId(6)).unwrap();
    world.owner_key = world.keep_key(KeyId(6), own);
    assert!(world.owner().unwrap().mint_code(RecoveryId(9)).is_ok());
}

#[test]
fn a_member_that_was_never_added_is_not_made_up() {
    let world = World::founded(7);
    let owner = world.owner().unwrap();
    let stranger = owner.for_actor(actor(3), &world.wraps);
    assert_eq!(stranger.map(drop), Err(KeyError::WrapMissing));
}

#[test]
fn a_mac_is_of_its_purpose_its_actor_and_its_epoch() {
    let world = World::founded(7);
    let (owner, member) = (world.owner().unwrap(), world.member().unwrap());
    let of = |keyring: &dyn Keyring, purpose, bytes: &str| {
        keyring.mac(purpose, bytes.as_bytes()).unwrap()
    };
    let [key, print] = [MacPurpose::IdempotencyKey, MacPurpose::RequestFingerprint];
    let first = of(&*member, key, "once");
    assert_eq!(first, of(&*member, key, "once"));
    assert_ne!(first, of(&*member, key, "twice"));
    assert_ne!(first, of(&*member, print, "once"));
    assert_ne!(first, of(&*owner, key, "once"));
    assert!(member.earlier_macs(key, b"once", 8).unwrap().is_empty());

    let mut world = world;
    for epoch in 2..=3 {
        let owner = world.owner().unwrap();
        let members = owner.for_actor(world.member, &world.wraps).unwrap();
        let renewal = members.renew(KeyId(i64::from(epoch) + 10)).unwrap();
        world.wraps.extend(renewal.wraps);
        world.member.epoch = renewal.epoch;
        let id = KeyId(i64::from(epoch) + 10);
        world.member_key = world.keep_key(id, renewal.key);
    }
    let member = world.member().unwrap();
    let earlier = member.earlier_macs(key, b"once", 8).unwrap();
    assert_eq!(member.earlier_macs(key, b"once", 1).unwrap(), earlier[..1], "the latest first");
    assert_eq!(earlier.len(), 2);
    assert_eq!(earlier[1], first);
    assert_ne!(earlier[0], first);
    assert!(!earlier.contains(&of(&*member, key, "once")));
}

#[test]
fn two_seals_of_one_text_differ() {
    let keyring = World::founded(7).owner().unwrap();
    let at = place(Field::TodoTitle, 1);
    assert_ne!(keyring.seal(at, "same").unwrap(), keyring.seal(at, "same").unwrap());
}

#[test]
fn epochs_end_where_their_numbers_do() {
    let locksmith = RingLocksmith::new(Constant(7));
    let last = KeyEpoch(i32::MAX);
    let mut account = account(1);
    account.epoch = last;
    let mut owner = actor(1);
    owner.epoch = last;
    let founding = locksmith.found(account, owner, KeyId(1), RecoveryId(1)).unwrap();
    let key = founding.key;
    let keyring = locksmith.unlock(&key.secret, account, owner, KeyId(1), &key.wraps).unwrap();
    assert_eq!(keyring.renew(KeyId(2)).map(drop), Err(KeyError::Unsupported));
    let renewed = keyring.renew_account(KeyId(2), RecoveryId(2)).map(drop);
    assert_eq!(renewed, Err(KeyError::Unsupported));
}

/// Every run of characters long enough to matter.
fn assert_tells_nothing(told: &str, secrets: &[Vec<u8>], shown: &[&str]) {
    for secret in secrets {
        let hex = data_encoding::HEXLOWER.encode(secret);
        assert!(!told.to_lowercase().contains(&hex[..16]), "{told}");
        let decimal = format!("{:?}", &secret[..4]);
        assert!(!told.contains(decimal.trim_matches(['[', ']'])), "{told}");
    }
    for secret in shown {
        assert!(!told.contains(&secret[secret.len() - 20..]), "{told}");
    }
}

#[test]
fn what_is_printed_tells_no_secret() {
    use secrecy::ExposeSecret;

    let world = World::founded(7);
    let owner = world.owner().unwrap();
    let member = owner.for_actor(world.member, &world.wraps).unwrap();
    let founding = world.locksmith.found(account(8), actor(1), KeyId(1), RecoveryId(1)).unwrap();
    let renewal = member.renew(KeyId(5)).unwrap();
    let account_renewal = owner.renew_account(KeyId(6), RecoveryId(7)).unwrap();
    let recovered = world.recovered().unwrap();
    let sealed = owner.seal(place(Field::TodoTitle, 1), "the plain text").unwrap();
    let lookup = world.locksmith.recognize_key(&founding.key.secret).unwrap();
    let told = format!(
        "{:?} {owner:?} {member:#?} {founding:?} {renewal:#?} {account_renewal:?} {recovered:?} \
         {sealed:?} {:?} {lookup:?}",
        world.locksmith, world.wraps
    );
    let shown = [
        founding.key.secret.expose_secret(),
        founding.code.secret.expose_secret(),
        renewal.key.secret.expose_secret(),
        account_renewal.key.secret.expose_secret(),
        account_renewal.code.secret.expose_secret(),
    ];
    assert_tells_nothing(&told, &world.tape.given(), &shown);
    assert_tells_nothing(&told, &[lookup.hash.0.to_vec(), sealed.0], &[]);
    assert!(!told.contains("plain text"));
    // The check itself sees a secret where there is one.
    let leaky = format!("{:?}", founding.key.secret.expose_secret());
    assert!(std::panic::catch_unwind(|| assert_tells_nothing(&leaky, &[], &shown)).is_err());
}

proptest! {
    #[test]
    fn any_text_opens_to_itself_and_shows_its_length_to_32_bytes(
        text in any::<String>(),
        row in any::<u128>(),
        field in 0..5_usize,
    ) {
        let locksmith = RingLocksmith::default();
        let founding = locksmith.found(account(1), actor(1), KeyId(1), RecoveryId(1)).unwrap();
        let key = founding.key;
        let keyring =
            locksmith.unlock(&key.secret, account(1), actor(1), KeyId(1), &key.wraps).unwrap();
        let at = place(Field::ALL[field], row);
        let sealed = keyring.seal(at, &text).unwrap();
        prop_assert_eq!(sealed.0.len(), 17 + (4 + text.len()).next_multiple_of(32) + 16);
        prop_assert_eq!(keyring.open(at, &sealed), Ok(text));
    }
}

#[test]
fn texts_at_the_edges_of_the_padding_and_of_the_limits_open_to_themselves() {
    let keyring = World::founded(7).owner().unwrap();
    let at = place(Field::SessionNotes, 1);
    for length in (0..100).chain([65_535, 65_536]) {
        let text = "x".repeat(length);
        assert_eq!(keyring.open(at, &keyring.seal(at, &text).unwrap()), Ok(text));
    }
}
