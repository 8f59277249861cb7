//! Lasting limits: how many actors and keys an account may have, and how often an actor's key may
//! be renewed. They are checked under the account's lock, from rows that the write loads anyway.

use super::time::{Day, Timestamp};

/// Most actors of an account, deactivated ones included, so that work on all of them, such as the
/// erasure of the account, stays quick.
pub const ACTORS_MAX: i64 = 10_000;
/// Most keys that an account keeps, ended ones included. An account that rotates 10,000 keys a day
/// keeps the ended keys of four days.
pub const ACCOUNT_KEYS_MAX: i64 = 50_000;
/// Most renewals of an actor's key in a UTC day. Each lengthens its chain of epochs for ever.
pub const RENEWALS_PER_DAY_MAX: i64 = 24;

/// Whether an account that has assigned `given` actor ids may assign one more. Actors are never
/// deleted, so these are its actors, plus reserved ids that were never used.
#[must_use]
pub const fn may_add_actor(given: i64) -> bool {
    given < ACTORS_MAX
}

/// By how many keys an account exceeds the number that it keeps. So many ended keys are removed.
#[must_use]
pub const fn surplus_keys(keys: i64) -> i64 {
    if keys > ACCOUNT_KEYS_MAX { keys - ACCOUNT_KEYS_MAX } else { 0 }
}

/// How often an actor's key was renewed on the UTC day of its last renewal. An account's renewal
/// counts for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewals {
    /// The day.
    pub day: Day,
    /// How often.
    pub count: i64,
}

impl Renewals {
    /// No renewal so far.
    pub const NONE: Self = Self { day: Day::FIRST, count: 0 };

    /// The count after one more renewal at that time.
    ///
    /// # Errors
    /// [`RenewalRefusal`] after [`RENEWALS_PER_DAY_MAX`] renewals on that day. If the clock went
    /// back to an earlier day, the later day's limit still applies.
    pub fn with_one_more(self, at: Timestamp) -> Result<Self, RenewalRefusal> {
        let day = self.day.max(at.day());
        let count = if day == self.day { self.count } else { 0 };
        if count < RENEWALS_PER_DAY_MAX {
            return Ok(Self { day, count: count + 1 });
        }
        let next_at = Timestamp::from_micros(day.last_instant().micros() + 1);
        let wait_micros = next_at.micros() - at.micros();
        // Rounded up.
        let wait_seconds = u32::try_from((wait_micros + 999_999) / 1_000_000).unwrap_or(u32::MAX);
        Err(RenewalRefusal { next_at, wait_seconds })
    }
}

/// An actor's key was renewed today as often as it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalRefusal {
    /// When the next renewal is possible.
    pub next_at: Timestamp,
    /// The seconds until then, rounded up.
    pub wait_seconds: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn the_25th_renewal_of_a_day_must_wait_until_midnight() {
        let (noon, midnight) = (at("2026-04-09T12:00:00Z"), at("2026-04-10T00:00:00Z"));
        let mut renewals = Renewals::NONE;
        for count in 1..=24 {
            renewals = renewals.with_one_more(noon).unwrap();
            assert_eq!(renewals, Renewals { day: noon.day(), count });
        }
        let refusal = |wait_seconds| Err(RenewalRefusal { next_at: midnight, wait_seconds });
        assert_eq!(renewals.with_one_more(noon), refusal(12 * 3_600));
        let last = Timestamp::from_micros(midnight.micros() - 1);
        assert_eq!(renewals.with_one_more(last), refusal(1));
        let next_day = Renewals { day: midnight.day(), count: 1 };
        assert_eq!(renewals.with_one_more(midnight), Ok(next_day));
        // A process whose clock is behind grants no additional ones.
        let full = Renewals { count: 24, ..next_day };
        assert!(full.with_one_more(noon).is_err());
    }

    #[test]
    fn an_account_at_the_actor_limit_cannot_add_another() {
        assert!(may_add_actor(ACTORS_MAX - 1));
        assert!(!may_add_actor(ACTORS_MAX));
    }

    #[test]
    fn keys_beyond_the_limit_of_an_account_are_surplus() {
        assert_eq!([surplus_keys(0), surplus_keys(ACCOUNT_KEYS_MAX)], [0, 0]);
        assert_eq!(surplus_keys(ACCOUNT_KEYS_MAX + 3), 3);
    }
}
