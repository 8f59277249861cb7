//! Looks for a text in bytes: itself, each longer word of it, and what encodings make of them.

use std::collections::{BTreeSet, HashMap};

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};

/// Words of fewer characters would be found by chance.
const WORD_MIN_CHARS: usize = 6;
/// What starts alike is looked up at once.
const START_BYTES: usize = 4;

/// The disguises that a text is looked for in.
pub(crate) const FORMS: [&str; 8] = [
    "plain",
    "hex, lower case",
    "hex, upper case",
    "base64, from its first byte",
    "base64, from its second byte",
    "base64, from its third byte",
    "UTF-16, little end first",
    "UTF-16, big end first",
];

/// A search for texts.
pub(crate) struct Search {
    needles: HashMap<[u8; START_BYTES], Vec<Needle>>,
}

struct Needle {
    form: &'static str,
    bytes: Vec<u8>,
}

impl Search {
    /// For these texts and for their words.
    pub(crate) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles: HashMap<_, Vec<_>> = HashMap::new();
        for text in texts {
            assert!(text.chars().count() >= WORD_MIN_CHARS, "{text} would be found by chance");
            let words = text.split(|c: char| !c.is_alphanumeric());
            let long = words.filter(|word| word.chars().count() >= WORD_MIN_CHARS);
            for (form, bytes) in long.chain([text]).flat_map(disguised) {
                let start = *bytes.first_chunk().expect("a needle of some length");
                needles.entry(start).or_default().push(Needle { form, bytes });
            }
        }
        Self { needles }
    }

    /// The forms that something is found in.
    pub(crate) fn found_in(&self, haystack: &[u8]) -> BTreeSet<&'static str> {
        let mut found = BTreeSet::new();
        for (at, start) in haystack.array_windows::<START_BYTES>().enumerate() {
            for needle in self.needles.get(start).into_iter().flatten() {
                if haystack[at..].starts_with(&needle.bytes) {
                    found.insert(needle.form);
                }
            }
        }
        found
    }
}

/// A text in each of the [`FORMS`].
fn disguised(text: &str) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let units: Vec<u16> = text.encode_utf16().collect();
    let disguises = [
        bytes.to_vec(),
        HEXLOWER.encode(bytes).into_bytes(),
        HEXUPPER.encode(bytes).into_bytes(),
        inside_base64(bytes, 0),
        inside_base64(bytes, 1),
        inside_base64(bytes, 2),
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ];
    FORMS.into_iter().zip(disguises)
}

/// The digits that `bytes` leave in the base64 of whatever they stand in, when a group of three
/// begins `skipped` bytes into them.
fn inside_base64(bytes: &[u8], skipped: usize) -> Vec<u8> {
    let rest = &bytes[skipped..];
    BASE64.encode(&rest[..rest.len() / 3 * 3]).into_bytes()
}
