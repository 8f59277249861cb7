//! The name of a write, under which it is done once.

use reqwest::header::HeaderValue;
use uuid::Uuid;

/// The most characters of a key.
const MAX_CHARS: usize = 255;

/// Names one write of one actor. The server does and charges the write once, however often it
/// comes with the same key within 24 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The text is no idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 255 visible ASCII characters and does not begin with a quote")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// A key that nobody has used: a `UUIDv7`.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a client has no Uids port to ask")]
    pub fn unique() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the value of its header.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = InvalidIdempotencyKey;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_valid = (1..=MAX_CHARS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && !text.starts_with('"');
        if is_valid { Ok(Self(text)) } else { Err(InvalidIdempotencyKey) }
    }
}

impl TryFrom<&str> for IdempotencyKey {
    type Error = InvalidIdempotencyKey;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.to_owned().try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii() {
        for good in ["a", "7f-!~", &"x".repeat(255)] {
            assert_eq!(IdempotencyKey::try_from(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "é", "\"a\"", &"x".repeat(256)] {
            assert_eq!(IdempotencyKey::try_from(bad), Err(InvalidIdempotencyKey), "{bad}");
        }
        assert_ne!(IdempotencyKey::unique(), IdempotencyKey::unique());
    }
}
