//! Identifiers.
//!
//! Ids are positive integers counted per account, so that an agent sees "todo 7"; only account ids
//! are global. A [`Uid`] is what cryptography and entity tags bind to. The domain makes it, and
//! callers see it only in entity tags.

use std::fmt;

use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl $name {
            /// Parses a positive integer of at most 63 bits, without sign, blanks or leading zeros.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                positive(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// An account: the tenant. The only id that is global.
    AccountId,
    /// An actor of an account: an agent or a human.
    ActorId,
    /// An API key of an account.
    KeyId,
    /// A recovery code of an account.
    RecoveryId,
    /// A sign-in of an account, and its browser key.
    SignInId,
    /// A work session.
    SessionId,
    /// A todo.
    TodoId,
    /// An activity.
    ActivityId,
    /// A status change of a todo.
    LogId,
    /// A row of the ledger.
    LedgerId,
    /// An entry of the audit log.
    AuditId,
}

/// A positive integer of at most 63 bits, without sign, blanks or leading zeros.
#[must_use]
pub fn positive(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().ok() } else { None }
}

/// A row's unguessable, time-ordered identity (`UUIDv7`, RFC 9562), made by the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub Uuid);

impl Uid {
    /// Parses a uid.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The uid of no row.
    pub const NIL: Self = Self(Uuid::nil());

    /// The 16 bytes that cryptography binds to.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_positive_integer_in_plain_digits() {
        assert_eq!(TodoId::parse("7"), Some(TodoId(7)));
        assert_eq!(TodoId::parse("9223372036854775807"), Some(TodoId(i64::MAX)));
        for bad in ["", "0", "-1", "+1", "07", "1.0", "9223372036854775808", "x", " 1", "1 "] {
            assert_eq!(TodoId::parse(bad), None, "{bad:?}");
        }
    }
}
