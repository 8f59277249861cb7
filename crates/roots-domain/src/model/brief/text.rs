//! Texts of a brief.

use unicode_segmentation::GraphemeCursor;

/// What a shortened text ends in.
const CUT: char = '…';

/// A text of a brief: whole, or shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BriefText {
    text: String,
    is_cut: bool,
}

impl BriefText {
    /// A whole text.
    #[must_use]
    pub const fn whole(text: String) -> Self {
        Self { text, is_cut: false }
    }

    /// A text of which nothing is shown.
    #[must_use]
    pub fn hidden() -> Self {
        Self { text: CUT.to_string(), is_cut: true }
    }

    /// What is shown of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it was shortened. It then ends in `…`.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The same text with at most `most_bytes` bytes, cut between graphemes. A text that is cut has
    /// at least the three bytes of the `…`.
    #[must_use]
    pub fn shortened(&self, most_bytes: usize) -> Self {
        if self.text.len() <= most_bytes {
            return self.clone();
        }
        let whole = match self.text.strip_suffix(CUT) {
            Some(shown) if self.is_cut => shown,
            _ => &self.text,
        };
        let room = most_bytes.saturating_sub(CUT.len_utf8());
        let mut text = whole[..boundary(whole, room)].to_owned();
        text.push(CUT);
        Self { text, is_cut: true }
    }
}

/// The last boundary between graphemes in the first `most_bytes` bytes.
fn boundary(text: &str, most_bytes: usize) -> usize {
    let at = text.floor_char_boundary(most_bytes);
    // The cursor has the whole text, so it never asks for more of it.
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    match cursor.is_boundary(text, 0) {
        Ok(true) => at,
        _ => cursor.prev_boundary(text, 0).ok().flatten().unwrap_or(0),
    }
}
