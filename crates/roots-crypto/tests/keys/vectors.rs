//! Known-answer tests of format 1. The vectors never change, because databases hold such bytes.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use roots_crypto::RingLocksmith;
use roots_domain::model::api_key::{KeyEpoch, LookupHash, Wrap, WrapHolder, WrapSubject};
use roots_domain::model::id::{ActorId, KeyId, RecoveryId, SignInId, Uid};
use roots_domain::model::sealed::{Field, Sealed};
use roots_domain::port::crypto::{
    AccountIdentity, ActorIdentity, Keyring, Locksmith, MacPurpose, MintedCode, MintedKey,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::fixture::{ConstantEntropy, NoEntropy, RecordedEntropy, account, actor, place};

const COMMITTED: &str = include_str!("../vectors_1.json");

const TEXTS: [(Field, &str); 5] = [
    (Field::SessionNotes, ""),
    (Field::TodoTitle, "Water the roots"),
    (Field::TodoDescription, "Exactly twenty-eight bytes.."),
    (Field::LogNote, "Exactly twenty-nine bytes...."),
    (Field::ActivityDescription, "\u{1f331} any Unicode, e\u{301} and \u{e9},\r\n\tas it comes"),
];

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn wrap_json(wrap: &Wrap) -> Value {
    let subject = match wrap.subject {
        WrapSubject::Account(epoch) => json!(["account", epoch.0]),
        WrapSubject::Actor(actor, epoch) => json!(["actor", actor.0, epoch.0]),
    };
    let holder = match wrap.holder {
        WrapHolder::ApiKey(key) => json!(["api-key", key.0]),
        WrapHolder::Browser(sign_in) => json!(["browser-key", sign_in.0]),
        WrapHolder::Recovery(code) => json!(["recovery-code", code.0]),
        WrapHolder::Account(epoch) => json!(["account", epoch.0]),
        WrapHolder::Actor(actor, epoch) => json!(["actor", actor.0, epoch.0]),
    };
    json!({ "subject": subject, "holder": holder, "sealed": hex(&wrap.sealed.0) })
}

pub(crate) fn wraps_json(wraps: &[Wrap]) -> Value {
    wraps.iter().map(wrap_json).collect()
}

pub(crate) fn key_json(key: &MintedKey) -> Value {
    json!({
        "text": key.secret.expose_secret(),
        "prefix": key.prefix,
        "lookup": hex(key.lookup.0),
        "wraps": wraps_json(&key.wraps),
    })
}

fn code_json(code: &MintedCode) -> Value {
    json!({
        "text": code.secret.expose_secret(),
        "lookup": hex(code.lookup.0),
        "wraps": wraps_json(&code.wraps),
    })
}

fn texts_json(keyring: &dyn Keyring, entropy: &RecordedEntropy, first_row: u128) -> Value {
    let rows = first_row..;
    let texts = TEXTS.iter().zip(rows).map(|((field, text), row)| {
        let place = place(*field, row);
        let sealed = keyring.seal(place, text).unwrap();
        json!({
            "table": field.table(),
            "column": field.column(),
            "row": place.row.0,
            "text": text,
            "drawn": drawn_json(entropy),
            "sealed": hex(sealed.0),
        })
    });
    texts.collect()
}

fn macs_json(keyring: &dyn Keyring) -> Value {
    let of = |purpose| hex(keyring.mac(purpose, b"4f1c").unwrap());
    json!({
        "of": hex("4f1c"),
        "idempotency-key": of(MacPurpose::IdempotencyKey),
        "request-fingerprint": of(MacPurpose::RequestFingerprint),
    })
}

pub(crate) fn drawn_json(entropy: &RecordedEntropy) -> Value {
    entropy.take_given().iter().map(hex).collect()
}

/// The history of an account. Each step has the random bytes that it used, and its output.
fn vectors() -> Value {
    let entropy = RecordedEntropy::default();
    let locksmith = RingLocksmith::new(entropy.clone());
    let (mut account, mut owner, mut member) = (account(12), actor(1), actor(2));
    let identities = json!({ "account": account.id.0, "account_uid": account.uid.0,
        "owner": owner.id.0, "owner_uid": owner.uid.0, "member": member.id.0, "member_uid": member.uid.0 });

    let founding = locksmith.found(account, owner, KeyId(1), RecoveryId(1)).unwrap();
    let found = json!({ "drawn": drawn_json(&entropy), "key": key_json(&founding.key),
        "code": code_json(&founding.code), "wraps": wraps_json(&founding.wraps) });
    let wraps = [founding.wraps, founding.key.wraps].concat();
    let key = locksmith.parse_key(&founding.key.secret).unwrap();
    let keyring = locksmith.unlock(&key, account, owner, KeyId(1).into(), &wraps).unwrap();
    let owners_texts = texts_json(&*keyring, &entropy, 0x100);

    let mut wraps = keyring.add_actor(member).unwrap();
    let added = json!({ "drawn": drawn_json(&entropy), "wraps": wraps_json(&wraps) });
    let members = keyring.for_actor(member, &wraps).unwrap();
    let key = members.mint_key(KeyId(2)).unwrap();
    let minted = json!({ "drawn": drawn_json(&entropy), "key": key_json(&key) });
    let members_texts = texts_json(&*members, &entropy, 0x200);
    let macs = macs_json(&*members);

    let renewal = members.renew(KeyId(3)).unwrap();
    let renewed = json!({ "drawn": drawn_json(&entropy), "epoch": renewal.epoch.0,
        "key": key_json(&renewal.key), "wraps": wraps_json(&renewal.wraps) });
    member.epoch = renewal.epoch;
    wraps.extend(renewal.wraps);
    let members = keyring.for_actor(member, &wraps).unwrap();
    let renewed_texts = texts_json(&*members, &entropy, 0x300);

    let renewal = keyring.renew_account(KeyId(4), RecoveryId(2)).unwrap();
    let account_renewed = json!({ "drawn": drawn_json(&entropy),
        "account_epoch": renewal.account_epoch.0, "owner_epoch": renewal.owner_epoch.0,
        "key": key_json(&renewal.key), "code": code_json(&renewal.code),
        "wraps": wraps_json(&renewal.wraps) });
    account.epoch = renewal.account_epoch;
    owner.epoch = renewal.owner_epoch;
    let wraps = [renewal.wraps, renewal.key.wraps].concat();
    let key = locksmith.parse_key(&renewal.key.secret).unwrap();
    let keyring = locksmith.unlock(&key, account, owner, KeyId(4).into(), &wraps).unwrap();
    let account_renewed_texts = texts_json(&*keyring, &entropy, 0x400);

    json!({
        "format": 1,
        "entropy": RecordedEntropy::RULE,
        "forms": forms_json(),
        "identities": identities,
        "steps": [
            { "step": "found", "answer": found, "texts": owners_texts },
            { "step": "add_actor", "answer": added },
            { "step": "mint_key", "answer": minted, "texts": members_texts, "macs": macs },
            { "step": "renew", "answer": renewed, "texts": renewed_texts },
            { "step": "renew_account", "answer": account_renewed,
              "texts": account_renewed_texts },
        ],
    })
}

/// Keys and codes whose secrets repeat one byte.
fn forms_json() -> Value {
    let mut forms = Vec::new();
    for id in [1, 255, 256, i64::MAX] {
        for byte in [0x00, 0x01, 0xff] {
            let locksmith = RingLocksmith::new(ConstantEntropy(byte));
            let founding = locksmith.found(account(id), actor(1), KeyId(1), RecoveryId(1)).unwrap();
            forms.push(json!({ "account": id, "byte": byte,
                "key": founding.key.secret.expose_secret(),
                "key_lookup": hex(founding.key.lookup.0),
                "code": founding.code.secret.expose_secret(),
                "code_lookup": hex(founding.code.lookup.0) }));
        }
    }
    Value::Array(forms)
}

#[test]
fn format_1_still_produces_the_committed_vectors() {
    let vectors = vectors();
    if serde_json::from_str::<Value>(COMMITTED).ok() != Some(vectors.clone()) {
        let to = concat!(env!("CARGO_TARGET_TMPDIR"), "/vectors_1.json");
        std::fs::write(to, format!("{}\n", serde_json::to_string_pretty(&vectors).unwrap()))
            .unwrap();
        panic!("format 1 has changed, so existing databases no longer open; see {to}");
    }
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

pub(crate) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

fn epoch(value: &Value) -> KeyEpoch {
    KeyEpoch(i32::try_from(number(value)).unwrap())
}

pub(crate) fn secret(value: &Value) -> SecretString {
    value["text"].as_str().unwrap().into()
}

/// Collects all wraps in the vectors.
pub(crate) fn read_wraps(value: &Value, wraps: &mut Vec<Wrap>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| read_wraps(value, wraps)),
        Value::Object(object) if object.contains_key("holder") => {
            let (subject, holder) = (&value["subject"], &value["holder"]);
            let subject = match subject[0].as_str().unwrap() {
                "account" => WrapSubject::Account(epoch(&subject[1])),
                _ => WrapSubject::Actor(ActorId(number(&subject[1])), epoch(&subject[2])),
            };
            let holder = match holder[0].as_str().unwrap() {
                "account" => WrapHolder::Account(epoch(&holder[1])),
                "api-key" => WrapHolder::ApiKey(KeyId(number(&holder[1]))),
                "browser-key" => WrapHolder::Browser(SignInId(number(&holder[1]))),
                "recovery-code" => WrapHolder::Recovery(RecoveryId(number(&holder[1]))),
                _ => WrapHolder::Actor(ActorId(number(&holder[1])), epoch(&holder[2])),
            };
            wraps.push(Wrap { subject, holder, sealed: Sealed(bytes(&value["sealed"])) });
        }
        Value::Object(object) => object.values().for_each(|value| read_wraps(value, wraps)),
        _ => {}
    }
}

fn assert_texts_open(keyring: &dyn Keyring, texts: &Value) {
    let texts = texts.as_array().unwrap();
    assert_eq!(texts.len(), Field::ALL.len());
    for (text, field) in texts.iter().zip(Field::ALL) {
        assert_eq!(
            (&text["table"], &text["column"]),
            (&field.table().into(), &field.column().into())
        );
        let mut place = place(field, 0);
        place.row = Uid(serde_json::from_value(text["row"].clone()).unwrap());
        let opened = keyring.open(place, &Sealed(bytes(&text["sealed"]))).unwrap();
        assert_eq!(opened, text["text"].as_str().unwrap());
    }
}

#[test]
fn committed_texts_still_open_with_the_committed_keys_and_code() {
    let vectors: Value = serde_json::from_str(COMMITTED).unwrap();
    let mut wraps = Vec::new();
    read_wraps(&vectors, &mut wraps);
    assert_eq!(wraps.len(), 15);
    let locksmith = RingLocksmith::new(NoEntropy);
    let [found, added, minted, renewed, account_renewed] =
        vectors["steps"].as_array().unwrap().as_slice()
    else {
        panic!("five steps");
    };
    assert_eq!(added["step"], "add_actor");

    let unlock = |step: &Value, account: AccountIdentity, actor: ActorIdentity, id: i64| {
        let key = secret(&step["answer"]["key"]);
        let key = locksmith.parse_key(&key).unwrap();
        assert_eq!(key.lookup.account, account.id);
        assert_eq!(
            key.lookup.hash,
            LookupHash(bytes(&step["answer"]["key"]["lookup"]).try_into().unwrap())
        );
        locksmith.unlock(&key, account, actor, KeyId(id).into(), &wraps).unwrap()
    };
    let second = KeyEpoch::FIRST.next();
    let (account, owner, member) = (account(12), actor(1), actor(2));
    let renewed_account = AccountIdentity { epoch: second, ..account };
    let renewed_owner = ActorIdentity { epoch: second, ..owner };
    let renewed_member = ActorIdentity { epoch: second, ..member };

    assert_texts_open(&*unlock(found, account, owner, 1), &found["texts"]);
    let members = unlock(minted, account, member, 2);
    assert_texts_open(&*members, &minted["texts"]);
    assert_eq!(macs_json(&*members), minted["macs"]);
    let members = unlock(renewed, account, renewed_member, 3);
    let owners = unlock(account_renewed, renewed_account, renewed_owner, 4);
    let code = secret(&account_renewed["answer"]["code"]);
    let code = locksmith.parse_code(&code).unwrap();
    assert_eq!(code.lookup.account, account.id);
    let recovered =
        locksmith.recover(&code, renewed_account, renewed_owner, RecoveryId(2), &wraps).unwrap();
    for keyring in [owners, recovered] {
        assert_texts_open(&*keyring, &found["texts"]);
        assert_texts_open(&*keyring, &account_renewed["texts"]);
        let in_owners_hands = keyring.for_actor(renewed_member, &wraps).unwrap();
        for members in [&in_owners_hands, &members] {
            assert_texts_open(&**members, &minted["texts"]);
            assert_texts_open(&**members, &renewed["texts"]);
        }
    }
}
