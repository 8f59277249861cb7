//! Tests of the written forms of API keys and recovery codes.

use proptest::prelude::*;
use roots_crypto::RingLocksmith;
use roots_domain::model::id::{AccountId, KeyId, RecoveryId};
use roots_domain::port::crypto::{Founding, Locksmith, Lookup};
use secrecy::ExposeSecret;

use crate::fixture::{ConstantEntropy, RecordedEntropy, account, actor};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn founded(id: i64, locksmith: &RingLocksmith) -> Founding {
    locksmith.found(account(id), actor(1), KeyId(1), RecoveryId(1)).unwrap()
}

fn key_of(id: i64) -> String {
    let founding = founded(id, &RingLocksmith::new(RecordedEntropy::default()));
    founding.key.secret.expose_secret().to_owned()
}

fn code_of(id: i64) -> String {
    let founding = founded(id, &RingLocksmith::new(RecordedEntropy::default()));
    founding.code.secret.expose_secret().to_owned()
}

fn read_key(text: &str) -> Option<Lookup> {
    Some(RingLocksmith::default().parse_key(&text.into())?.lookup)
}

fn read_code(text: &str) -> Option<Lookup> {
    Some(RingLocksmith::default().parse_code(&text.into())?.lookup)
}

/// All texts that differ from `text` in one character, in the order of two adjacent characters, or
/// by one character more or less.
fn typos(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let others: Vec<char> = (' '..='~').chain(['\n', '\0', 'é', '０', '–']).collect();
    let mut typos = Vec::new();
    for at in 0..characters.len() {
        let mut less = characters.clone();
        less.remove(at);
        typos.push(less);
        if at > 0 {
            let mut swapped = characters.clone();
            swapped.swap(at - 1, at);
            typos.push(swapped);
        }
        for other in &others {
            let mut changed = characters.clone();
            changed[at] = *other;
            typos.push(changed);
            let mut more = characters.clone();
            more.insert(at, *other);
            typos.push(more);
        }
    }
    let texts = typos.into_iter().map(String::from_iter);
    texts.filter(|typo| typo != text).collect()
}

#[test]
fn a_key_is_its_account_and_49_alphanumeric_characters() {
    for id in [1, 42, i64::MAX] {
        for byte in [0, 1, 0xff] {
            let founding = founded(id, &RingLocksmith::new(ConstantEntropy(byte)));
            let text = founding.key.secret.expose_secret();
            let rest = text.strip_prefix(&format!("roots_{id}_")).unwrap();
            assert_eq!(rest.len(), 49);
            assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_eq!(founding.key.prefix, text[..text.len() - 43]);
            let found_by = read_key(text).unwrap();
            assert_eq!((found_by.account, found_by.hash), (AccountId(id), founding.key.lookup));
        }
    }
}

#[test]
fn every_typo_in_a_key_is_refused() {
    for id in [1, 1234] {
        let key = key_of(id);
        assert!(read_key(&key).is_some());
        for typo in typos(&key) {
            assert_eq!(read_key(&typo), None, "{typo} for {key}");
        }
        for bad in [format!(" {key}"), format!("{key}\n"), key.to_lowercase(), key.repeat(2)] {
            assert_eq!(read_key(&bad), None, "{bad}");
        }
    }
}

/// Appends the right checksum.
fn checked(text: &str) -> String {
    let mut check = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(check % 62) as usize];
        check /= 62;
    }
    format!("{text}{}", str::from_utf8(&digits).unwrap())
}

#[test]
fn a_secret_of_more_than_256_bits_is_refused_despite_a_right_checksum() {
    let founding = founded(1, &RingLocksmith::new(ConstantEntropy(0xff)));
    let key = founding.key.secret.expose_secret();
    let largest = &key[..key.len() - 6];
    assert_eq!(checked(largest), key);
    let last = largest.bytes().last().unwrap();
    let after = BASE62[BASE62.iter().position(|digit| *digit == last).unwrap() + 1];
    let beyond = format!("{}{}", &largest[..largest.len() - 1], char::from(after));
    assert_eq!(read_key(&checked(&beyond)), None);
    assert_eq!(read_key(&checked(&format!("roots_1_{}", "z".repeat(43)))), None);
    assert!(read_key(&checked(&format!("roots_1_{}", "0".repeat(43)))).is_some());
}

#[test]
fn an_account_has_exactly_one_written_form() {
    let secret = &key_of(1)["roots_1_".len()..][..43];
    assert!(read_key(&checked(&format!("roots_1_{secret}"))).is_some());
    let long = "1".repeat(200);
    for bad in ["", "0", "01", "+1", "-1", " 1", "1_1", "9223372036854775808", "١", &long] {
        assert_eq!(read_key(&checked(&format!("roots_{bad}_{secret}"))), None, "{bad}");
    }
    for bad in ["ROOTS_1_", "roots1_", "root_1_", "_1_", ""] {
        assert_eq!(read_key(&checked(&format!("{bad}{secret}"))), None, "{bad}");
    }
    // Six digits can hold numbers that are too large for a CRC-32.
    assert_eq!(read_key(&format!("roots_1_{secret}zzzzzz")), None);
}

#[test]
fn keys_of_different_accounts_have_different_hashes_and_no_code_is_a_key() {
    assert_ne!(read_key(&key_of(1)).unwrap().hash, read_key(&key_of(2)).unwrap().hash);
    assert_eq!(read_key(&code_of(1)), None);
    assert_eq!(read_code(&key_of(1)), None);
}

#[test]
fn a_code_has_groups_of_five_plain_characters_and_contains_its_account() {
    for id in [1, 255, 256, 1 << 31, i64::MAX] {
        for byte in [0, 1, 0xff] {
            let founding = founded(id, &RingLocksmith::new(ConstantEntropy(byte)));
            let code = founding.code.secret.expose_secret();
            let mut groups: Vec<&str> = code.split('-').collect();
            let last = groups.pop().unwrap();
            assert!(groups.iter().all(|group| group.len() == 5) && (1..=5).contains(&last.len()));
            assert!(code.chars().all(|c| "-0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(c)));
            let found_by = read_code(code).unwrap();
            assert_eq!((found_by.account, found_by.hash), (AccountId(id), founding.code.lookup));
        }
    }
    assert_eq!(code_of(1).len(), 47, "eight groups for the first 255 accounts");
}

#[test]
fn a_code_is_read_in_lower_case_with_other_separators_and_with_similar_letters() {
    let code = code_of(1);
    let lookup = read_code(&code);
    assert!(lookup.is_some());
    for same in [
        code.to_lowercase(),
        code.replace('-', ""),
        code.replace('-', " "),
        code.replace('-', "\u{a0}"),
        format!("\t{}\r\n", code.replace('-', " - ")),
        code.replace('0', "O").replace('1', "l"),
        code.replace('0', "o").replace('1', "I"),
        code.replace('1', "L").to_lowercase(),
    ] {
        assert_eq!(read_code(&same), lookup, "{same}");
    }
}

#[test]
fn every_other_typo_in_a_code_is_refused() {
    for id in [1, 70_000] {
        let code = code_of(id);
        let lookup = read_code(&code);
        let plain = |text: &str| -> String {
            let kept = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
            kept.map(|c| match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                upper => upper,
            })
            .collect()
        };
        for typo in typos(&code) {
            let read = read_code(&typo);
            if plain(&typo) == plain(&code) {
                assert_eq!(read, lookup, "{typo}");
            } else {
                assert_eq!(read, None, "{typo} for {code}");
            }
        }
    }
}

#[test]
fn a_code_is_accepted_only_with_a_canonical_account_of_1_to_63_bits() {
    let code = |account: &[u8]| {
        let mut bytes = [account, &[7; 20][..]].concat();
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        let rfc_4648 = data_encoding::BASE32HEX_NOPAD.encode(&bytes);
        // The alphabet of base32hex in RFC 4648 is contiguous; Crockford's skips I, L, O and U.
        let from = "0123456789ABCDEFGHIJKLMNOPQRSTUV";
        let to = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        rfc_4648.chars().map(|c| to.as_bytes()[from.find(c).unwrap()] as char).collect::<String>()
    };
    assert!(read_code(&code(&[1])).is_some());
    assert!(read_code(&code(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])).is_some());
    for bad in [&[][..], &[0], &[0, 1], &[0x80, 0, 0, 0, 0, 0, 0, 0], &[1; 9], &[1; 20]] {
        assert_eq!(read_code(&code(bad)), None, "{bad:?}");
    }
    // Unused bits are zero, and lengths that are no whole number of bytes are refused.
    let whole = code(&[1, 1]);
    assert!(
        read_code(&whole).is_some() && whole.ends_with(['0', '4', '8', 'C', 'G', 'M', 'R', 'W'])
    );
    assert_eq!(read_code(&"0".repeat(1000)), None);
    assert_eq!(read_code(""), None);
}

proptest! {
    #[test]
    fn arbitrary_text_is_neither_a_key_nor_a_code(text in any::<String>(), tail in "[ -~]{0,60}") {
        prop_assert_eq!(read_key(&text), None);
        prop_assert_eq!(read_code(&text), None);
        prop_assert_eq!(read_key(&format!("roots_1_{tail}")), None);
    }

    #[test]
    fn a_minted_key_and_code_parse_to_their_account_and_hash(id in 1..=i64::MAX) {
        let founding = founded(id, &RingLocksmith::default());
        let key = read_key(founding.key.secret.expose_secret()).unwrap();
        prop_assert_eq!((key.account, key.hash), (AccountId(id), founding.key.lookup));
        let code = read_code(founding.code.secret.expose_secret()).unwrap();
        prop_assert_eq!((code.account, code.hash), (AccountId(id), founding.code.lookup));
    }
}
