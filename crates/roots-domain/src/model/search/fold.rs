//! Text without differences of case and of encoding, to compare it.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// Appends `text` with Unicode's full case folding, in NFC. Texts that differ only in case, or in
/// how their characters are composed, become equal.
pub(super) fn fold_into(text: &str, folded: &mut String) {
    let mut rest = text;
    while !rest.is_empty() {
        let plain_bytes = if rest.is_ascii() {
            rest.len()
        } else {
            // The last ASCII character may be composed with the one that follows.
            rest.bytes().take_while(u8::is_ascii).count().saturating_sub(1)
        };
        let (plain, behind) = rest.split_at(plain_bytes);
        let start = folded.len();
        folded.push_str(plain);
        folded[start..].make_ascii_lowercase();
        // An ASCII character is never composed with one before it.
        let mut marked = behind.char_indices().skip(1);
        let end = marked.find(|(_, c)| c.is_ascii()).map_or(behind.len(), |(at, _)| at);
        let (marked, behind) = behind.split_at(end);
        // Folded in NFD, as Unicode's canonical caseless matching (D145) asks.
        folded.extend(marked.nfd().default_case_fold().nfc());
        rest = behind;
    }
}
