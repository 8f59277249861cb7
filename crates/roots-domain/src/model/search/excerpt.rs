//! The part of a text that a result shows.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Most characters of an excerpt, the dots where it was cut included.
pub(super) const EXCERPT_MAX_CHARS: usize = 200;
/// What stands where a text was cut.
const CUT: char = '…';

/// The part of `text` around the bytes of `found`: the whole text if it is short. It is cut between
/// graphemes, and `…` stands where it was cut. Only a grapheme that does not fit is cut itself.
pub(super) fn excerpt(text: &str, found: Range<usize>) -> String {
    if text.chars().nth(EXCERPT_MAX_CHARS).is_none() {
        return text.to_owned();
    }
    let room = EXCERPT_MAX_CHARS - 2;
    let (before, behind) = text.split_at(found.start);
    let wanted = text[found].chars().count();
    let follow = behind.chars().take(room).count();
    // As much before the match as behind it, and more where the text ends.
    let lead = Ord::max(room.saturating_sub(wanted) / 2, room - follow);
    let mut start = before.len() - bytes_of(before.graphemes(true).rev(), lead);
    let mut end = start + bytes_of(text[start..].graphemes(true), room);
    if end <= before.len() {
        // The match begins with a grapheme that is longer than an excerpt.
        start = before.len();
        end = start + behind.chars().take(room).map(char::len_utf8).sum::<usize>();
    }
    let mut shown = String::new();
    if start > 0 {
        shown.push(CUT);
    }
    shown.push_str(&text[start..end]);
    if end < text.len() {
        shown.push(CUT);
    }
    shown
}

/// The bytes of as many of the graphemes as fit into that number of characters.
fn bytes_of<'a>(graphemes: impl Iterator<Item = &'a str>, most_chars: usize) -> usize {
    let (mut chars, mut bytes) = (0, 0);
    for grapheme in graphemes {
        chars += grapheme.chars().count();
        if chars > most_chars {
            break;
        }
        bytes += grapheme.len();
    }
    bytes
}
