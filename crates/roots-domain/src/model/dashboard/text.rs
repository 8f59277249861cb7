//! Texts of a page.

/// A text as a page shows it. One that does not open spoils nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShownText {
    /// The text.
    Open(String),
    /// It was too long to be read with the others.
    TooLong,
    /// It does not open.
    Unreadable,
}

impl ShownText {
    /// The text, if it is shown.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Open(text) => Some(text),
            Self::TooLong | Self::Unreadable => None,
        }
    }
}
