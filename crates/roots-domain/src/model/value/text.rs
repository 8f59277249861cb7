//! The texts that callers write, and their limits.
//!
//! Text is any Unicode except NUL, which PostgreSQL and C programs that read an export can't hold.
//! It is returned byte for byte.

use std::fmt;

use super::invalid::Invalid;

/// Most characters of a todo's title.
pub const TITLE_MAX_CHARS: usize = 500;
/// Most bytes of a session's notes and of a description.
pub const LONG_TEXT_MAX_BYTES: usize = 65_536;
/// Most bytes of the note on a status change.
pub const LOG_NOTE_MAX_BYTES: usize = 8_192;
/// Most characters of an activity's type.
pub const ACTIVITY_TYPE_MAX_CHARS: usize = 50;
/// Most characters of the name of an account or an actor, of a key's label, of a grant's note.
pub const NAME_MAX_CHARS: usize = 100;

fn without_nul(text: String) -> Result<String, Invalid> {
    if text.contains('\0') {
        return Err(Invalid::new("must not contain the character NUL"));
    }
    Ok(text)
}

fn at_most_bytes(text: String, limit_bytes: usize) -> Result<String, Invalid> {
    if text.len() > limit_bytes {
        return Err(Invalid::new(format!(
            "must be at most {limit_bytes} bytes of UTF-8, and is {}",
            text.len()
        )));
    }
    without_nul(text)
}

fn one_to_chars(text: String, limit_chars: usize) -> Result<String, Invalid> {
    let length = text.chars().count();
    if length == 0 {
        return Err(Invalid::new("must not be empty"));
    }
    if length > limit_chars {
        return Err(Invalid::new(format!(
            "must be at most {limit_chars} characters, and is {length}"
        )));
    }
    without_nul(text)
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $check:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        /// Prints only the length, so that no log line has a text.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} bytes)", stringify!($name), self.0.len())
            }
        }

        impl $name {
            /// Checks `text` against its rule.
            ///
            /// # Errors
            /// One sentence that says which rule it breaks; never the text itself.
            pub fn parse(text: impl Into<String>) -> Result<Self, Invalid> {
                let check: fn(String) -> Result<String, Invalid> = $check;
                check(text.into()).map(Self)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

texts! {
    /// A todo's title: 1 to [`TITLE_MAX_CHARS`] characters.
    Title: |text| one_to_chars(text, TITLE_MAX_CHARS);
    /// A session's notes or a todo's description: up to [`LONG_TEXT_MAX_BYTES`] bytes.
    LongText: |text| at_most_bytes(text, LONG_TEXT_MAX_BYTES);
    /// An activity's description: as [`LongText`], but not empty.
    ActivityText: |text| {
        if text.is_empty() {
            return Err(Invalid::new("must not be empty"));
        }
        at_most_bytes(text, LONG_TEXT_MAX_BYTES)
    };
    /// The note on a status change: up to [`LOG_NOTE_MAX_BYTES`] bytes.
    LogNote: |text| at_most_bytes(text, LOG_NOTE_MAX_BYTES);
    /// A category label: 1 to [`ACTIVITY_TYPE_MAX_CHARS`] of `a-z`, `0-9`, `_`, `.` and `-`.
    ActivityType: |text| {
        let fits = (1..=ACTIVITY_TYPE_MAX_CHARS).contains(&text.len());
        let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
        if fits && text.bytes().all(plain) {
            return Ok(text);
        }
        Err(Invalid::new("must be 1 to 50 of the characters a-z, 0-9, '_', '.' and '-'"))
    };
    /// The name of an account or an actor, or a label: 1 to [`NAME_MAX_CHARS`] characters, no
    /// control characters, not only blanks.
    Name: |text| {
        if text.chars().any(char::is_control) {
            return Err(Invalid::new("must not contain control characters"));
        }
        if text.trim().is_empty() {
            return Err(Invalid::new("must not be empty"));
        }
        one_to_chars(text, NAME_MAX_CHARS)
    };
}

impl Default for ActivityType {
    /// `general`.
    fn default() -> Self {
        Self("general".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_limits_are_inclusive_in_characters_or_bytes() {
        assert!(Title::parse("é".repeat(500)).is_ok());
        assert!(Title::parse("é".repeat(501)).is_err());
        assert!(Title::parse("").is_err());
        assert!(LongText::parse("").is_ok());
        assert!(LongText::parse("é".repeat(32_768)).is_ok());
        assert!(LongText::parse("a".repeat(65_537)).is_err());
        assert!(LogNote::parse("a".repeat(8_192)).is_ok());
        assert!(LogNote::parse("a".repeat(8_193)).is_err());
        assert!(ActivityText::parse("").is_err());
        assert!(ActivityText::parse(" ").is_ok());
    }

    #[test]
    fn texts_accept_any_unicode_but_nul() {
        for text in ["\u{1f980}\u{200d}\u{301}", "\r\n\t\u{7}\u{7f}", "  blanks  "] {
            assert_eq!(LongText::parse(text).unwrap().as_str(), text);
        }
        assert!(LongText::parse("a\0b").is_err());
        assert!(Title::parse("a\0b").is_err());
        assert!(ActivityText::parse("\0").is_err());
        assert!(LogNote::parse("\0").is_err());
    }

    #[test]
    fn an_activity_type_is_a_plain_ascii_label_of_at_most_50_characters() {
        assert_eq!(ActivityType::default(), ActivityType::parse("general").unwrap());
        assert!(ActivityType::parse("code-review_2.0").is_ok());
        for bad in ["", "Deploy", "a b", "é", "a/b", &"a".repeat(51)] {
            assert!(ActivityType::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_refused_if_blank_too_long_or_with_control_characters() {
        assert!(Name::parse("Ada's agent \u{1f916}").is_ok());
        for bad in ["", "  ", "a\nb", "a\u{7f}", "a\u{85}", &"a".repeat(101)] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn debug_output_of_a_text_shows_only_its_length() {
        assert_eq!(format!("{:?}", Title::parse("secret").unwrap()), "Title(6 bytes)");
    }

    #[test]
    fn the_error_of_an_invalid_text_does_not_contain_the_text() {
        let error = Title::parse(format!("secret{}", "x".repeat(500))).unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
