//! Claims: an agent takes a todo for itself, for a limited time.
//!
//! A claim is a lease. It lives until some seconds after the last write that carried its token or
//! named its session. A claim whose lease is over has lapsed. It still stands until somebody takes
//! the todo again, and a write with its token revives it.

use std::fmt;

use super::Invalid;
use super::id::SessionId;
use super::session::HEARTBEAT_EVERY_SECONDS;
use super::time::Timestamp;

/// The number of a claim: it counts the claims of a todo from 1, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimToken(pub i64);

impl fmt::Display for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How long a claim lives after the last write: 60 to 86,400 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseSeconds(i64);

impl LeaseSeconds {
    /// The shortest.
    pub const MIN: i64 = 60;
    /// The longest.
    pub const MAX: i64 = 86_400;

    /// A lease of that length.
    ///
    /// # Errors
    /// Says the range.
    pub fn parse(seconds: i64) -> Result<Self, Invalid> {
        if (Self::MIN..=Self::MAX).contains(&seconds) {
            return Ok(Self(seconds));
        }
        Err(Invalid::new("must be 60 to 86400 seconds"))
    }

    /// The seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The deadline after a write at that time. A stored heartbeat may be a minute behind the last
    /// write, so the deadline has that minute too.
    #[must_use]
    pub fn deadline(self, written_at: Timestamp) -> Timestamp {
        written_at.plus_seconds(self.0).plus_seconds(HEARTBEAT_EVERY_SECONDS)
    }
}

impl Default for LeaseSeconds {
    /// Two hours.
    fn default() -> Self {
        Self(7_200)
    }
}

/// The claim that stands on a todo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The session that it was made for. It may be deleted since.
    pub session: Option<SessionId>,
    /// When the todo was claimed.
    pub claimed_at: Timestamp,
    /// How long it lives after the last write.
    pub lease: LeaseSeconds,
}

/// The claims of a todo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claims {
    /// How many there were, the one that stands included.
    pub count: i64,
    /// The one that stands, alive or lapsed. The todo is then in progress.
    pub standing: Option<Claim>,
}

impl Claims {
    /// None yet.
    pub const NONE: Self = Self { count: 0, standing: None };

    /// The token of the claim that stands.
    #[must_use]
    pub fn token(&self) -> Option<ClaimToken> {
        self.standing.map(|_| ClaimToken(self.count))
    }

    /// The same after the claim that stands has ended.
    #[must_use]
    pub const fn ended(self) -> Self {
        Self { standing: None, ..self }
    }

    /// The same after another claim.
    #[must_use]
    pub const fn claimed(self, claim: Claim) -> Self {
        Self { count: self.count + 1, standing: Some(claim) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::FIRST.plus_seconds(seconds)
    }

    #[test]
    fn a_lease_is_60_to_86400_seconds() {
        for seconds in [60, 7_200, 86_400] {
            assert_eq!(LeaseSeconds::parse(seconds).map(LeaseSeconds::seconds), Ok(seconds));
        }
        for bad in [59, 0, -60, 86_401, i64::MAX] {
            assert!(LeaseSeconds::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(LeaseSeconds::default().seconds(), 7_200);
    }

    #[test]
    fn a_claims_token_counts_the_claims_of_its_todo_and_ends_with_it() {
        let claim = Claim { session: None, claimed_at: at(1), lease: LeaseSeconds::default() };
        let once = Claims::NONE.claimed(claim);
        assert_eq!((Claims::NONE.token(), once.token()), (None, Some(ClaimToken(1))));
        assert_eq!(once.ended(), Claims { count: 1, standing: None });
        assert_eq!(once.ended().claimed(claim).token(), Some(ClaimToken(2)));
    }
}
