//! Searches bytes for texts and their longer words, plain and in several encodings.

use std::collections::{BTreeSet, HashMap};

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};

/// Shorter words would be found in random bytes.
const WORD_MIN_CHARS: usize = 6;
/// Encoded texts are looked up by their first bytes.
const START_BYTES: usize = 4;

/// The encodings in which a text is searched for.
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
    /// A search for these texts and for their words of at least 6 characters.
    pub(crate) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles: HashMap<_, Vec<_>> = HashMap::new();
        for text in texts {
            assert!(text.chars().count() >= WORD_MIN_CHARS, "{text} would be found by chance");
            let words = text.split(|c: char| !c.is_alphanumeric());
            let long = words.filter(|word| word.chars().count() >= WORD_MIN_CHARS);
            for (form, bytes) in long.chain([text]).flat_map(encoded) {
                let start = *bytes.first_chunk().expect("at least four bytes");
                needles.entry(start).or_default().push(Needle { form, bytes });
            }
        }
        Self { needles }
    }

    /// The encodings in which any of the texts occurs.
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
fn encoded(text: &str) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let units: Vec<u16> = text.encode_utf16().collect();
    let encodings = [
        bytes.to_vec(),
        HEXLOWER.encode(bytes).into_bytes(),
        HEXUPPER.encode(bytes).into_bytes(),
        inside_base64(bytes, 0),
        inside_base64(bytes, 1),
        inside_base64(bytes, 2),
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ];
    FORMS.into_iter().zip(encodings)
}

/// The base64 digits of `bytes` inside a longer base64 text, if a group of three bytes starts
/// `skipped` bytes after the first.
fn inside_base64(bytes: &[u8], skipped: usize) -> Vec<u8> {
    let rest = &bytes[skipped..];
    BASE64.encode(&rest[..rest.len() / 3 * 3]).into_bytes()
}
