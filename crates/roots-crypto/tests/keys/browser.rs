//! Browser keys: known answers of format 1, and that neither kind of key is taken for the other.

use std::sync::Arc;

use roots_crypto::RingLocksmith;
use roots_domain::model::api_key::{AnyKeyId, KeyEpoch, Wrap, WrapHolder, WrapSubject};
use roots_domain::model::id::{KeyId, RecoveryId, SignInId};
use roots_domain::model::sealed::{Field, Sealed};
use roots_domain::port::crypto::{CryptoError, Keyring, Locksmith, LookupKind, PresentedKey};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::fixture::{
    AccountFixture, ConstantEntropy, NoEntropy, RecordedEntropy, account, actor, place,
};
use crate::vectors::{bytes, drawn_json, hex, key_json, number, read_wraps, secret, wraps_json};

const COMMITTED: &str = include_str!("../vectors_browser_1.json");

/// An owner and a member sign in. Each step has the random bytes that it used, and its output.
fn vectors() -> Value {
    let entropy = RecordedEntropy::default();
    let locksmith = RingLocksmith::new(entropy.clone());
    let (account, owner, member) = (account(12), actor(1), actor(2));
    let founding = locksmith.found(account, owner, KeyId(1), RecoveryId(1)).unwrap();
    let founded = json!({ "drawn": drawn_json(&entropy), "key": key_json(&founding.key),
        "wraps": wraps_json(&founding.wraps) });
    let wraps = [founding.wraps, founding.key.wraps].concat();
    let key = locksmith.parse_key(&founding.key.secret).unwrap();
    let owners = locksmith.unlock(&key, account, owner, KeyId(1).into(), &wraps).unwrap();
    let browser_key = owners.mint_browser_key(SignInId(1)).unwrap();
    let signed_in = json!({ "drawn": drawn_json(&entropy), "key": key_json(&browser_key) });
    let wraps = owners.add_actor(member).unwrap();
    let added = json!({ "drawn": drawn_json(&entropy), "wraps": wraps_json(&wraps) });
    let members = owners.for_actor(member, &wraps).unwrap();
    let browser_key = members.mint_browser_key(SignInId(2)).unwrap();
    let member_signed_in = json!({ "drawn": drawn_json(&entropy), "key": key_json(&browser_key) });
    let sealed = owners.seal(place(Field::TodoTitle, 0x100), "Water the roots").unwrap();
    json!({
        "format": 1,
        "entropy": RecordedEntropy::RULE,
        "forms": forms_json(),
        "steps": [founded, signed_in, added, member_signed_in],
        "sealed": hex(sealed.0),
    })
}

/// Keys whose secrets repeat one byte.
fn forms_json() -> Value {
    let mut forms = Vec::new();
    for id in [1, 256, i64::MAX] {
        for byte in [0x00, 0x01, 0xff] {
            let locksmith = RingLocksmith::new(ConstantEntropy(byte));
            let founding = locksmith.found(account(id), actor(1), KeyId(1), RecoveryId(1)).unwrap();
            let wraps = [founding.wraps, founding.key.wraps].concat();
            let key = locksmith.parse_key(&founding.key.secret).unwrap();
            let keyring = locksmith.unlock(&key, account(id), actor(1), KeyId(1).into(), &wraps);
            let browser_key = keyring.unwrap().mint_browser_key(SignInId(1)).unwrap();
            forms.push(
                json!({ "account": id, "byte": byte, "key": browser_key.secret.expose_secret(),
                "prefix": browser_key.prefix, "lookup": hex(browser_key.lookup.0) }),
            );
        }
    }
    Value::Array(forms)
}

#[test]
fn browser_keys_are_still_those_of_the_committed_vectors() {
    let vectors = vectors();
    if serde_json::from_str::<Value>(COMMITTED).ok() != Some(vectors.clone()) {
        let to = concat!(env!("CARGO_TARGET_TMPDIR"), "/vectors_browser_1.json");
        std::fs::write(to, format!("{}\n", serde_json::to_string_pretty(&vectors).unwrap()))
            .unwrap();
        panic!("browser keys of format 1 have changed, so sign-ins no longer open; see {to}");
    }
}

#[test]
fn committed_browser_keys_still_open_what_they_opened() {
    let vectors: Value = serde_json::from_str(COMMITTED).unwrap();
    let mut wraps = Vec::new();
    read_wraps(&vectors, &mut wraps);
    let locksmith = RingLocksmith::new(NoEntropy);
    let unlock = |step: usize, of: i64, id: i64| {
        let key = locksmith.parse_browser_key(&secret(&vectors["steps"][step]["key"])).unwrap();
        assert_eq!(key.lookup.account.0, 12);
        assert_eq!(hex(key.lookup.hash.0), vectors["steps"][step]["key"]["lookup"]);
        locksmith.unlock(&key, account(12), actor(of), SignInId(id).into(), &wraps).unwrap()
    };
    let owners = unlock(1, 1, 1);
    let sealed = Sealed(bytes(&vectors["sealed"]));
    assert_eq!(owners.open(place(Field::TodoTitle, 0x100), &sealed).unwrap(), "Water the roots");
    // An owner's opens the account key: it acts for its members.
    assert!(owners.for_actor(actor(2), &wraps).is_ok());
    let members = unlock(3, 2, 2);
    assert_eq!(members.for_actor(actor(2), &wraps).err(), Some(CryptoError::NotAnOwner));
    assert!(number(&vectors["format"]) == 1);
}

fn signed_in(fixture: &AccountFixture) -> (secrecy::SecretString, Arc<dyn Keyring>) {
    let keyring = fixture.owner().unwrap();
    (keyring.mint_browser_key(SignInId(1)).unwrap().secret, keyring)
}

#[test]
fn neither_kind_of_key_is_taken_for_the_other() {
    let fixture = AccountFixture::founded(7);
    let (browser_key, _) = signed_in(&fixture);
    let api_key = &fixture.owner_key.1;
    let locksmith = &fixture.locksmith;
    assert!(browser_key.expose_secret().starts_with("roots-browser_7_"));
    assert!(locksmith.parse_key(&browser_key).is_none());
    assert!(locksmith.parse_browser_key(api_key).is_none());
    assert!(locksmith.parse_code(&browser_key).is_none());
    let kind = |key: Option<PresentedKey>| key.unwrap().lookup.kind;
    assert_eq!(kind(locksmith.parse_key(api_key)), LookupKind::ApiKey);
    assert_eq!(kind(locksmith.parse_browser_key(&browser_key)), LookupKind::BrowserKey);
}

#[test]
fn the_same_secret_derives_other_keys_for_each_kind() {
    // All secrets are the same bytes, so only the labels and the holders differ.
    let locksmith = RingLocksmith::new(ConstantEntropy(0x5a));
    let founding = locksmith.found(account(7), actor(1), KeyId(1), RecoveryId(1)).unwrap();
    let wraps = [founding.wraps, founding.key.wraps].concat();
    let api_key = locksmith.parse_key(&founding.key.secret).unwrap();
    let unlock = |key: &PresentedKey, id: AnyKeyId, wraps: &[Wrap]| {
        locksmith.unlock(key, account(7), actor(1), id, wraps).map(drop)
    };
    let keyring =
        locksmith.unlock(&api_key, account(7), actor(1), KeyId(1).into(), &wraps).unwrap();
    let minted = keyring.mint_browser_key(SignInId(1)).unwrap();
    let browser_key = locksmith.parse_browser_key(&minted.secret).unwrap();
    assert_eq!(api_key.secret.expose_secret(), browser_key.secret.expose_secret());
    assert_ne!(api_key.lookup.hash, browser_key.lookup.hash);
    assert_eq!(unlock(&browser_key, SignInId(1).into(), &minted.wraps), Ok(()));
    // With the secret in hand, but in the place of the other kind.
    let moved = |holder| {
        let wraps = minted.wraps.iter().cloned();
        wraps.map(|wrap| Wrap { holder, ..wrap }).collect::<Vec<_>>()
    };
    let as_api_key = moved(WrapHolder::ApiKey(KeyId(1)));
    let broken = Err(CryptoError::DoesNotOpen);
    assert_eq!(unlock(&api_key, KeyId(1).into(), &as_api_key), broken);
    let of_another = moved(WrapHolder::Browser(SignInId(2)));
    assert_eq!(unlock(&browser_key, SignInId(2).into(), &of_another), broken);
    assert_eq!(
        unlock(&browser_key, SignInId(2).into(), &minted.wraps),
        Err(CryptoError::WrapMissing)
    );
}

#[test]
fn a_browser_key_opens_the_epochs_in_force() {
    let fixture = AccountFixture::founded(7);
    let subjects = |keyring: &dyn Keyring| {
        let minted = keyring.mint_browser_key(SignInId(3)).unwrap();
        assert!(minted.wraps.iter().all(|wrap| wrap.holder == WrapHolder::Browser(SignInId(3))));
        minted.wraps.iter().map(|wrap| wrap.subject).collect::<Vec<_>>()
    };
    let actor = |id| WrapSubject::Actor(actor(id).id, KeyEpoch::FIRST);
    let of_account = WrapSubject::Account(KeyEpoch::FIRST);
    assert_eq!(subjects(&*fixture.owner().unwrap()), [actor(1), of_account]);
    assert_eq!(subjects(&*fixture.member().unwrap()), [actor(2)]);
}
