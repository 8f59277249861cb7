//! How long the texts of an answer of limited size may be.

/// The part of the answer that one text may have: the largest one with which all rows fit, or else
/// the last one.
const SHARES: [usize; 6] = [1, 4, 8, 16, 24, 48];
/// The session's notes may be so much longer than another text.
const NOTES_FACTOR: usize = 4;
/// Texts of a row that else would not fit have so many bytes.
const SHORT_BYTES: usize = 40;

/// How many bytes the texts of a row may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLimits {
    /// A title.
    pub title: usize,
    /// Any other text.
    pub text: usize,
    /// The notes of the session.
    pub notes: usize,
}

impl TextLimits {
    /// A title is shortened to fewer bytes only where its row else would not fit.
    pub const TITLE_BYTES: usize = 120;
    /// The limits of a row that else would not fit.
    pub const SHORT: Self = Self { title: SHORT_BYTES, text: SHORT_BYTES, notes: SHORT_BYTES };

    /// The limits to try for an answer of `max_bytes` bytes, the longest first.
    pub fn of(max_bytes: usize) -> impl Iterator<Item = Self> {
        SHARES.into_iter().map(move |share| {
            let text = max_bytes / share;
            Self { title: text.max(Self::TITLE_BYTES), text, notes: text * NOTES_FACTOR }
        })
    }
}
