//! Tests of lost, rotated and renewed keys, and of what each key opens.

use proptest::prelude::*;
use roots_crypto::RingLocksmith;
use roots_domain::model::api_key::{KeyEpoch, WrapHolder, WrapSubject};
use roots_domain::model::id::{KeyId, RecoveryId};
use roots_domain::model::sealed::Field;
use roots_domain::port::crypto::{CryptoError, Keyring, Locksmith, MacPurpose};

use crate::fixture::{AccountFixture, ConstantEntropy, NoEntropy, account, actor, place};

#[test]
fn every_text_still_opens_after_keys_are_rotated_lost_renewed_and_recovered() {
    let mut fixture = AccountFixture::founded(7);
    fixture.write();
    fixture.assert_all_texts_open();

    // The member rotates its key, and the wraps of the old key are deleted.
    let minted = fixture.member().unwrap().mint_key(KeyId(3)).unwrap();
    fixture.wraps.retain(|wrap| wrap.holder != WrapHolder::ApiKey(fixture.member_key.0));
    fixture.member_key = fixture.keep_key(KeyId(3), minted);
    fixture.write();
    fixture.assert_all_texts_open();

    // The owner does the same.
    let minted = fixture.owner().unwrap().mint_key(KeyId(4)).unwrap();
    fixture.wraps.retain(|wrap| wrap.holder != WrapHolder::ApiKey(fixture.owner_key.0));
    fixture.owner_key = fixture.keep_key(KeyId(4), minted);
    fixture.write();
    fixture.assert_all_texts_open();

    // The member loses its key, and the owner gives it another.
    fixture.wraps.retain(|wrap| wrap.holder != WrapHolder::ApiKey(fixture.member_key.0));
    assert_eq!(fixture.member().unwrap_err(), CryptoError::WrapMissing);
    let owner = fixture.owner().unwrap();
    let members = owner.for_actor(fixture.member, &fixture.wraps).unwrap();
    let minted = members.mint_key(KeyId(5)).unwrap();
    fixture.member_key = fixture.keep_key(KeyId(5), minted);
    fixture.write();
    fixture.assert_all_texts_open();

    // The member's key leaks, and the owner renews it, twice.
    for id in [KeyId(6), KeyId(7)] {
        let owner = fixture.owner().unwrap();
        let members = owner.for_actor(fixture.member, &fixture.wraps).unwrap();
        let renewal = members.renew(id).unwrap();
        assert_eq!(renewal.epoch, fixture.member.epoch.next());
        fixture.wraps.extend(renewal.wraps);
        let minted = fixture.keep_key(id, renewal.key);
        // The wraps are stored, but not yet the new epoch. The old key still works, and the owner
        // gets an error, because there is a later key than the one in force.
        assert!(fixture.member().is_ok());
        let held = owner.for_actor(fixture.member, &fixture.wraps);
        assert_eq!(held.map(drop), Err(CryptoError::EpochWentBack));
        fixture.member.epoch = renewal.epoch;
        assert_eq!(
            fixture.member().unwrap_err(),
            CryptoError::WrapMissing,
            "the old key has ended"
        );
        fixture.wraps.retain(|wrap| wrap.holder != WrapHolder::ApiKey(fixture.member_key.0));
        fixture.member_key = minted;
        fixture.write();
        fixture.assert_all_texts_open();
    }

    // The owner loses every key and recovers.
    fixture.wraps.retain(|wrap| wrap.holder != WrapHolder::ApiKey(fixture.owner_key.0));
    assert_eq!(fixture.owner().unwrap_err(), CryptoError::WrapMissing);
    let recovered = fixture.recovered().unwrap();
    let minted = recovered.mint_key(KeyId(8)).unwrap();
    let code = recovered.mint_code(RecoveryId(2)).unwrap();
    fixture.owner_key = fixture.keep_key(KeyId(8), minted);
    fixture.assert_all_texts_open();
    fixture.wraps.retain(|wrap| wrap.holder != WrapHolder::Recovery(fixture.code.0));
    fixture.code = fixture.keep_code(RecoveryId(2), code);
    fixture.write();
    fixture.assert_all_texts_open();

    // The owner renews its own key, but not the account key.
    let renewal = fixture.owner().unwrap().renew(KeyId(9)).unwrap();
    fixture.wraps.extend(renewal.wraps);
    fixture.owner.epoch = renewal.epoch;
    fixture.owner_key = fixture.keep_key(KeyId(9), renewal.key);
    fixture.write();
    fixture.assert_all_texts_open();

    // The owner's key leaks: the account key and the owner's are renewed, twice.
    for (key, code) in [(KeyId(10), RecoveryId(3)), (KeyId(11), RecoveryId(4))] {
        let renewal = fixture.owner().unwrap().renew_account(key, code).unwrap();
        assert_eq!(renewal.account_epoch, fixture.account.epoch.next());
        assert_eq!(renewal.owner_epoch, fixture.owner.epoch.next());
        fixture.wraps.extend(renewal.wraps);
        let minted = fixture.keep_key(key, renewal.key);
        let code = fixture.keep_code(code, renewal.code);
        fixture.assert_all_texts_open();
        fixture.account.epoch = renewal.account_epoch;
        fixture.owner.epoch = renewal.owner_epoch;
        assert_eq!(fixture.owner().unwrap_err(), CryptoError::WrapMissing, "the old key has ended");
        assert_eq!(fixture.recovered().unwrap_err(), CryptoError::WrapMissing, "and the old code");
        (fixture.owner_key, fixture.code) = (minted, code);
        fixture.write();
        fixture.assert_all_texts_open();
    }

    // The member's key is renewed under the new account key.
    let owner = fixture.owner().unwrap();
    let members = owner.for_actor(fixture.member, &fixture.wraps).unwrap();
    let renewal = members.renew(KeyId(12)).unwrap();
    fixture.wraps.extend(renewal.wraps);
    fixture.member.epoch = renewal.epoch;
    fixture.member_key = fixture.keep_key(KeyId(12), renewal.key);
    fixture.write();
    fixture.assert_all_texts_open();
}

#[test]
fn old_keys_with_a_new_copy_of_the_database_open_no_texts_of_the_next_epoch() {
    let mut fixture = AccountFixture::founded(7);
    let then = fixture.without_entropy();
    let owner = fixture.owner().unwrap();
    let account = owner.renew_account(KeyId(3), RecoveryId(2)).unwrap();
    fixture.wraps.extend(account.wraps);
    (fixture.account.epoch, fixture.owner.epoch) = (account.account_epoch, account.owner_epoch);
    fixture.owner_key = fixture.keep_key(KeyId(3), account.key);
    fixture.code = fixture.keep_code(RecoveryId(2), account.code);
    let owner = fixture.owner().unwrap();
    let member = owner.for_actor(fixture.member, &fixture.wraps).unwrap().renew(KeyId(4)).unwrap();
    fixture.wraps.extend(member.wraps);
    fixture.member.epoch = member.epoch;
    fixture.member_key = fixture.keep_key(KeyId(4), member.key);
    fixture.write();
    fixture.assert_all_texts_open();

    let old_keys = AccountFixture { wraps: fixture.wraps.clone(), ..then };
    for (of, keyring) in old_keys.keyrings() {
        let keyring = keyring.unwrap();
        for written in fixture.texts.iter().filter(|written| written.actor == of) {
            let opened = keyring.open(written.place, &written.sealed);
            assert_eq!(opened, Err(CryptoError::WrapMissing));
        }
    }
}

#[test]
fn nothing_can_be_unlocked_after_an_epoch_went_back() {
    let mut fixture = AccountFixture::founded(7);
    let renewal = fixture.owner().unwrap().renew_account(KeyId(3), RecoveryId(2)).unwrap();
    fixture.wraps.extend(renewal.wraps);
    (fixture.account.epoch, fixture.owner.epoch) = (renewal.account_epoch, renewal.owner_epoch);
    fixture.owner_key = fixture.keep_key(KeyId(3), renewal.key);
    fixture.code = fixture.keep_code(RecoveryId(2), renewal.code);
    let owner = fixture.owner().unwrap();
    let renewal = owner.for_actor(fixture.member, &fixture.wraps).unwrap().renew(KeyId(4)).unwrap();
    fixture.wraps.extend(renewal.wraps);
    fixture.member.epoch = renewal.epoch;
    fixture.member_key = fixture.keep_key(KeyId(4), renewal.key);
    let went_back = Some(CryptoError::EpochWentBack);

    let in_force = fixture.account.epoch;
    fixture.account.epoch = KeyEpoch::FIRST;
    assert_eq!(fixture.owner().err(), went_back);
    assert_eq!(fixture.recovered().err(), went_back);
    fixture.account.epoch = in_force;
    fixture.owner.epoch = KeyEpoch::FIRST;
    assert_eq!(fixture.owner().err(), went_back);
    assert_eq!(fixture.recovered().err(), went_back);
    fixture.owner.epoch = in_force;
    fixture.member.epoch = KeyEpoch::FIRST;
    assert_eq!(fixture.member().err(), went_back);
    assert_eq!(owner.for_actor(fixture.member, &fixture.wraps).err(), went_back);
}

#[test]
fn a_missing_wrap_is_an_error_and_no_key_is_made_in_its_place() {
    let mut fixture = AccountFixture::founded(7);
    fixture.write();
    let owner = fixture.owner().unwrap();
    let renewal = owner.for_actor(fixture.member, &fixture.wraps).unwrap().renew(KeyId(3)).unwrap();
    fixture.wraps.extend(renewal.wraps);
    fixture.member.epoch = renewal.epoch;
    fixture.member_key = fixture.keep_key(KeyId(3), renewal.key);
    let mut missed = 0;
    for gone in 0..fixture.wraps.len() {
        let mut no_entropy = fixture.without_entropy();
        no_entropy.wraps.remove(gone);
        for (of, keyring) in no_entropy.keyrings() {
            match keyring {
                Err(error) => {
                    // Without the account key, an owner's key opens only what a member's key opens.
                    assert!(matches!(error, CryptoError::WrapMissing | CryptoError::NotAnOwner));
                    missed += 1;
                }
                Ok(keyring) => {
                    for written in fixture.texts.iter().filter(|written| written.actor == of) {
                        match keyring.open(written.place, &written.sealed) {
                            Ok(text) => assert_eq!(text, written.text),
                            Err(error) => assert_eq!(error, CryptoError::WrapMissing),
                        }
                    }
                }
            }
        }
    }
    assert!(missed > fixture.wraps.len(), "{missed}");
    // An owner's key from an earlier epoch of the account has ended, and does not act as a
    // member's.
    let mut no_entropy = fixture.without_entropy();
    no_entropy.account.epoch = no_entropy.account.epoch.next();
    assert_eq!(no_entropy.owner().unwrap_err(), CryptoError::WrapMissing);
    assert_eq!(no_entropy.recovered().unwrap_err(), CryptoError::WrapMissing);
    no_entropy.member().unwrap();
    let mut no_entropy = fixture.without_entropy();
    no_entropy.wraps.clear();
    assert_eq!(no_entropy.owner().unwrap_err(), CryptoError::WrapMissing);
    assert_eq!(no_entropy.member().unwrap_err(), CryptoError::WrapMissing);
    assert_eq!(no_entropy.recovered().unwrap_err(), CryptoError::WrapMissing);
}

#[test]
fn without_random_bytes_no_key_code_or_seal_is_made() {
    let fixture = AccountFixture::founded(7);
    let no_entropy = fixture.without_entropy();
    let refused = Err(CryptoError::NoRandomness);
    let locksmith = RingLocksmith::new(NoEntropy);
    let founded = locksmith.found(account(1), actor(1), KeyId(1), RecoveryId(1));
    assert_eq!(founded.map(drop), refused);
    let owner = no_entropy.owner().unwrap();
    assert_eq!(owner.seal(place(Field::LogNote, 1), "x").map(drop), refused);
    assert_eq!(owner.mint_key(KeyId(9)).map(drop), refused);
    assert_eq!(owner.mint_code(RecoveryId(9)).map(drop), refused);
    assert_eq!(owner.add_actor(actor(9)).map(drop), refused);
    assert_eq!(owner.renew(KeyId(9)).map(drop), refused);
    assert_eq!(owner.renew_account(KeyId(9), RecoveryId(9)).map(drop), refused);
}

fn assert_holds_no_account_key(keyring: &dyn Keyring, fixture: &AccountFixture) {
    let refused = Err(CryptoError::NotAnOwner);
    assert_eq!(keyring.for_actor(fixture.owner, &fixture.wraps).map(drop), refused);
    assert_eq!(keyring.for_actor(fixture.member, &fixture.wraps).map(drop), refused);
    assert_eq!(keyring.add_actor(actor(9)).map(drop), refused);
    assert_eq!(keyring.mint_code(RecoveryId(9)).map(drop), refused);
    assert_eq!(keyring.renew(KeyId(9)).map(drop), refused);
    assert_eq!(keyring.renew_account(KeyId(9), RecoveryId(9)).map(drop), refused);
}

#[test]
fn no_key_of_a_member_leads_to_the_account_key_even_if_the_owner_made_it() {
    let mut fixture = AccountFixture::founded(7);
    assert_holds_no_account_key(&*fixture.member().unwrap(), &fixture);
    let by_itself = fixture.member().unwrap().mint_key(KeyId(3)).unwrap();
    let owner = fixture.owner().unwrap();
    let in_owners_hands = owner.for_actor(fixture.member, &fixture.wraps).unwrap();
    let by_owner = in_owners_hands.mint_key(KeyId(4)).unwrap();
    let renewed = in_owners_hands.renew(KeyId(5)).unwrap();
    let members = |epoch| WrapSubject::Actor(fixture.member.id, epoch);
    for (minted, subject) in [
        (&by_itself, members(KeyEpoch(1))),
        (&by_owner, members(KeyEpoch(1))),
        (&renewed.key, members(KeyEpoch(2))),
    ] {
        assert_eq!(minted.wraps.iter().map(|wrap| wrap.subject).collect::<Vec<_>>(), [subject]);
    }
    for (id, minted) in [(KeyId(3), by_itself), (KeyId(4), by_owner)] {
        fixture.member_key = fixture.keep_key(id, minted);
        assert_holds_no_account_key(&*fixture.member().unwrap(), &fixture);
    }
    // The owner can mint and renew keys for the member, but can't renew the account as the member.
    let refused = in_owners_hands.renew_account(KeyId(9), RecoveryId(9)).map(drop);
    assert_eq!(refused, Err(CryptoError::NotAnOwner));
    // A key that the owner makes for itself in the same way is an owner's key.
    let own = owner.for_actor(fixture.owner, &fixture.wraps).unwrap().mint_key(KeyId(6)).unwrap();
    fixture.owner_key = fixture.keep_key(KeyId(6), own);
    assert!(fixture.owner().unwrap().mint_code(RecoveryId(9)).is_ok());
}

#[test]
fn an_actor_that_was_never_added_has_no_keyring() {
    let fixture = AccountFixture::founded(7);
    let owner = fixture.owner().unwrap();
    let other = owner.for_actor(actor(3), &fixture.wraps);
    assert_eq!(other.map(drop), Err(CryptoError::WrapMissing));
}

#[test]
fn a_mac_depends_on_its_purpose_its_actor_and_its_epoch() {
    let fixture = AccountFixture::founded(7);
    let (owner, member) = (fixture.owner().unwrap(), fixture.member().unwrap());
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

    let mut fixture = fixture;
    for epoch in 2..=3 {
        let owner = fixture.owner().unwrap();
        let members = owner.for_actor(fixture.member, &fixture.wraps).unwrap();
        let renewal = members.renew(KeyId(i64::from(epoch) + 10)).unwrap();
        fixture.wraps.extend(renewal.wraps);
        fixture.member.epoch = renewal.epoch;
        let id = KeyId(i64::from(epoch) + 10);
        fixture.member_key = fixture.keep_key(id, renewal.key);
    }
    let member = fixture.member().unwrap();
    let earlier = member.earlier_macs(key, b"once", 8).unwrap();
    assert_eq!(member.earlier_macs(key, b"once", 1).unwrap(), earlier[..1], "the latest first");
    assert_eq!(earlier.len(), 2);
    assert_eq!(earlier[1], first);
    assert_ne!(earlier[0], first);
    assert!(!earlier.contains(&of(&*member, key, "once")));
}

#[test]
fn sealing_a_text_twice_gives_different_bytes() {
    let keyring = AccountFixture::founded(7).owner().unwrap();
    let at = place(Field::TodoTitle, 1);
    assert_ne!(keyring.seal(at, "same").unwrap(), keyring.seal(at, "same").unwrap());
}

#[test]
fn a_key_of_the_last_epoch_cannot_be_renewed() {
    let locksmith = RingLocksmith::new(ConstantEntropy(7));
    let last = KeyEpoch(i32::MAX);
    let mut account = account(1);
    account.epoch = last;
    let mut owner = actor(1);
    owner.epoch = last;
    let founding = locksmith.found(account, owner, KeyId(1), RecoveryId(1)).unwrap();
    let key = founding.key;
    let presented = locksmith.parse_key(&key.secret).unwrap();
    let keyring =
        locksmith.unlock(&presented, account, owner, KeyId(1).into(), &key.wraps).unwrap();
    assert_eq!(keyring.renew(KeyId(2)).map(drop), Err(CryptoError::Unsupported));
    let renewed = keyring.renew_account(KeyId(2), RecoveryId(2)).map(drop);
    assert_eq!(renewed, Err(CryptoError::Unsupported));
}

/// Asserts that `output` contains no long part of a secret, in hexadecimal, decimal or plain text.
fn assert_contains_no_secret(output: &str, secrets: &[Vec<u8>], shown: &[&str]) {
    for secret in secrets {
        let hex = data_encoding::HEXLOWER.encode(secret);
        assert!(!output.to_lowercase().contains(&hex[..16]), "{output}");
        let decimal = format!("{:?}", &secret[..4]);
        assert!(!output.contains(decimal.trim_matches(['[', ']'])), "{output}");
    }
    for secret in shown {
        assert!(!output.contains(&secret[secret.len() - 20..]), "{output}");
    }
}

#[test]
fn debug_output_contains_no_secret() {
    use secrecy::ExposeSecret;

    let fixture = AccountFixture::founded(7);
    let owner = fixture.owner().unwrap();
    let member = owner.for_actor(fixture.member, &fixture.wraps).unwrap();
    let founding = fixture.locksmith.found(account(8), actor(1), KeyId(1), RecoveryId(1)).unwrap();
    let renewal = member.renew(KeyId(5)).unwrap();
    let account_renewal = owner.renew_account(KeyId(6), RecoveryId(7)).unwrap();
    let recovered = fixture.recovered().unwrap();
    let sealed = owner.seal(place(Field::TodoTitle, 1), "the plain text").unwrap();
    let presented = fixture.locksmith.parse_key(&founding.key.secret).unwrap();
    let output = format!(
        "{:?} {owner:?} {member:#?} {founding:?} {renewal:#?} {account_renewal:?} {recovered:?} \
         {sealed:?} {:?} {presented:?}",
        fixture.locksmith, fixture.wraps
    );
    let shown = [
        founding.key.secret.expose_secret(),
        founding.code.secret.expose_secret(),
        renewal.key.secret.expose_secret(),
        account_renewal.key.secret.expose_secret(),
        account_renewal.code.secret.expose_secret(),
    ];
    assert_contains_no_secret(&output, &fixture.entropy.take_given(), &shown);
    assert_contains_no_secret(&output, &[presented.lookup.hash.0.to_vec(), sealed.0], &[]);
    assert!(!output.contains("plain text"));
    // The assertion itself finds a secret.
    let leaky = format!("{:?}", founding.key.secret.expose_secret());
    assert!(std::panic::catch_unwind(|| assert_contains_no_secret(&leaky, &[], &shown)).is_err());
}

proptest! {
    #[test]
    fn any_text_opens_again_and_shows_its_length_rounded_to_32_bytes(
        text in any::<String>(),
        row in any::<u128>(),
        field in 0..5_usize,
    ) {
        let locksmith = RingLocksmith::default();
        let founding = locksmith.found(account(1), actor(1), KeyId(1), RecoveryId(1)).unwrap();
        let key = founding.key;
        let presented = locksmith.parse_key(&key.secret).unwrap();
        let keyring =
            locksmith.unlock(&presented, account(1), actor(1), KeyId(1).into(), &key.wraps).unwrap();
        let at = place(Field::ALL[field], row);
        let sealed = keyring.seal(at, &text).unwrap();
        prop_assert_eq!(sealed.0.len(), 17 + (4 + text.len()).next_multiple_of(32) + 16);
        prop_assert_eq!(keyring.open(at, &sealed), Ok(text));
    }
}

#[test]
fn texts_of_all_lengths_around_the_padding_and_the_limit_open_again() {
    let keyring = AccountFixture::founded(7).owner().unwrap();
    let at = place(Field::SessionNotes, 1);
    for length in (0..100).chain([65_535, 65_536]) {
        let text = "x".repeat(length);
        assert_eq!(keyring.open(at, &keyring.seal(at, &text).unwrap()), Ok(text));
    }
}
