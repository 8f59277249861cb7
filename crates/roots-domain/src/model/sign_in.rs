//! Sign-ins: browser keys, and the rules on what they may do and when they end.
//!
//! A person who looks at the pages signs in with an API key, once. That makes a browser key for the
//! same actor, and the cookie holds it. It opens what the API key opens, lives for hours or days,
//! and ends with the API key that opened it.

use super::api_key::{AnyKeyId, KeyStatus, KeyValidity, LookupHash, Wrap};
use super::id::{ActorId, KeyId, SignInId};
use super::text::Name;
use super::time::Timestamp;

/// Most sign-ins of an actor. The next one replaces the one that was unused for longest.
pub const SIGN_INS_MAX: usize = 20;

const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;

/// How long a sign-in may last, and how long it may stay unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// 7 days, and 12 hours after its last use.
    Usual,
    /// "Stay signed in": 30 days, and 7 days after its last use.
    Long,
}

impl Stay {
    /// The most seconds from its begin to its end.
    #[must_use]
    pub const fn lasts_seconds(self) -> i64 {
        match self {
            Self::Usual => 7 * DAY_SECONDS,
            Self::Long => 30 * DAY_SECONDS,
        }
    }

    /// The most seconds from its last use to its end.
    #[must_use]
    pub const fn unused_seconds(self) -> i64 {
        match self {
            Self::Usual => 12 * HOUR_SECONDS,
            Self::Long => 7 * DAY_SECONDS,
        }
    }
}

/// A sign-in as it is stored. Its browser key is shown once, in the cookie, and stored nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Its id within the account.
    pub id: SignInId,
    /// The actor that signed in.
    pub actor: ActorId,
    /// The API key that opened it.
    pub opener: KeyId,
    /// The hash by which its browser key is looked up.
    pub lookup: LookupHash,
    /// What the browser calls itself, in short.
    pub label: Option<Name>,
    /// How long it may last.
    pub stay: Stay,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, as of the last flush.
    pub last_used: Timestamp,
    /// Why it ended, if its opener ended. Other sign-ins are deleted when they end.
    pub ended: Option<OpenerEnd>,
    /// The wraps that its browser key opens: of its actor's key and, for an owner, of the
    /// account's. None are left once it has ended.
    pub wraps: Vec<Wrap>,
}

/// How the key that opened a sign-in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenerEnd {
    /// It was rotated, and its successor was used.
    Rotated,
    /// It was revoked, has expired, or was ended by a renewal or a recovery.
    Ended,
}

/// Why a browser key does not admit its bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInEnd {
    /// The key that opened it was rotated.
    #[error("The API key that you signed in with was rotated: sign in with the new one.")]
    KeyRotated,
    /// The key that opened it has ended otherwise.
    #[error("The API key that you signed in with is not valid any more: sign in with another one.")]
    KeyEnded,
    /// It was not used for too long, or has lasted for as long as it may.
    #[error("Your sign-in has ended, as every sign-in does after some time: sign in again.")]
    Lapsed,
}

impl OpenerEnd {
    /// How a key with that status ends: a key in its grace was rotated.
    #[must_use]
    pub const fn of(status: KeyStatus) -> Self {
        match status {
            KeyStatus::InGrace { .. } => Self::Rotated,
            KeyStatus::Current | KeyStatus::Ended => Self::Ended,
        }
    }
}

impl From<OpenerEnd> for SignInEnd {
    fn from(end: OpenerEnd) -> Self {
        match end {
            OpenerEnd::Rotated => Self::KeyRotated,
            OpenerEnd::Ended => Self::KeyEnded,
        }
    }
}

impl SignIn {
    /// The time from which it admits nobody, whatever becomes of its opener: the earlier of its
    /// longest life and of the end of its rest since the last use.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        let latest = self.created_at.plus_seconds(self.stay.lasts_seconds());
        latest.min(self.last_used.plus_seconds(self.stay.unused_seconds()))
    }

    /// Whether it admits its bearer, as far as it knows by itself. If its opener has ended, that
    /// was noted here in the same transaction.
    #[must_use]
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.ended.is_none() && at < self.ends_at()
    }

    /// Until when it admits its bearer: the earlier of its own end and its opener's. `opener` is
    /// the key that opened it.
    ///
    /// # Errors
    /// Why it does not admit its bearer at that time.
    pub fn admits_until(
        &self,
        opener: &KeyValidity,
        at: Timestamp,
    ) -> Result<Timestamp, SignInEnd> {
        if let Some(end) = self.ended {
            return Err(end.into());
        }
        if !opener.in_force(at) {
            return Err(OpenerEnd::of(opener.status).into());
        }
        if at >= self.ends_at() {
            return Err(SignInEnd::Lapsed);
        }
        let own = self.ends_at();
        Ok(opener.end().map_or(own, |end| end.min(own)))
    }

    /// The same sign-in, ended with its opener. It opens nothing any more.
    #[must_use]
    pub fn ended_by(self, end: OpenerEnd) -> Self {
        Self { ended: Some(end), wraps: Vec::new(), ..self }
    }

    /// The same sign-in, used at that time. Time never goes back.
    #[must_use]
    pub fn used(self, at: Timestamp) -> Self {
        Self { last_used: self.last_used.max(at), ..self }
    }

    /// Its key, among all kinds of keys.
    #[must_use]
    pub const fn key(&self) -> AnyKeyId {
        AnyKeyId::Browser(self.id)
    }
}

/// Those of an actor's sign-ins that give way to a new one: as many as exceed [`SIGN_INS_MAX`] with
/// it. Ended ones go first, then those that were unused for longest.
#[must_use]
pub fn give_way<'a>(of_actor: impl IntoIterator<Item = &'a SignIn>) -> Vec<SignInId> {
    let mut order: Vec<_> = of_actor
        .into_iter()
        .map(|sign_in| (sign_in.ended.is_none(), sign_in.last_used, sign_in.id))
        .collect();
    order.sort_unstable();
    let surplus = (order.len() + 1).saturating_sub(SIGN_INS_MAX);
    order.into_iter().take(surplus).map(|(.., id)| id).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::FIRST.plus_seconds(seconds)
    }

    fn sign_in(id: i64, stay: Stay, created: i64, last_used: i64) -> SignIn {
        SignIn {
            id: SignInId(id),
            actor: ActorId(1),
            opener: KeyId(1),
            lookup: LookupHash([0; 32]),
            label: None,
            stay,
            created_at: at(created),
            last_used: at(last_used),
            ended: None,
            wraps: Vec::new(),
        }
    }

    fn opener(expires_at: Option<i64>, status: KeyStatus) -> KeyValidity {
        KeyValidity {
            id: KeyId(1),
            expires_at: expires_at.map(at),
            status,
            succession: None,
            first_used_at: None,
        }
    }

    const ANY: KeyStatus = KeyStatus::Current;

    #[test]
    fn a_sign_in_ends_after_its_rest_and_after_its_longest_life() {
        let usual = sign_in(1, Stay::Usual, 0, 0);
        assert_eq!(usual.ends_at(), at(12 * HOUR_SECONDS));
        assert_eq!(usual.clone().used(at(7 * DAY_SECONDS)).ends_at(), at(7 * DAY_SECONDS));
        let used = usual.clone().used(at(HOUR_SECONDS));
        assert_eq!(used.ends_at(), at(13 * HOUR_SECONDS));
        assert_eq!(used.clone().used(at(60)), used, "time never goes back");
        let long = sign_in(1, Stay::Long, 0, 0);
        assert_eq!(long.ends_at(), at(7 * DAY_SECONDS));
        assert_eq!(long.used(at(29 * DAY_SECONDS)).ends_at(), at(30 * DAY_SECONDS));
        assert!(usual.in_force(at(12 * HOUR_SECONDS - 1)));
        assert!(!usual.in_force(at(12 * HOUR_SECONDS)));
        assert!(!usual.ended_by(OpenerEnd::Rotated).in_force(at(1)));
    }

    #[test]
    fn it_admits_until_the_earlier_of_its_own_end_and_its_openers_and_says_why_not() {
        let usual = sign_in(1, Stay::Usual, 0, 0);
        let until = |opener, now| usual.admits_until(&opener, at(now));
        assert_eq!(until(opener(None, ANY), 5), Ok(at(12 * HOUR_SECONDS)));
        assert_eq!(until(opener(Some(60), ANY), 5), Ok(at(60)));
        let grace = KeyStatus::InGrace { until: at(30) };
        assert_eq!(until(opener(Some(60), grace), 5), Ok(at(30)));
        assert_eq!(until(opener(Some(60), grace), 30), Err(SignInEnd::KeyRotated));
        assert_eq!(until(opener(Some(60), ANY), 60), Err(SignInEnd::KeyEnded));
        assert_eq!(until(opener(None, KeyStatus::Ended), 5), Err(SignInEnd::KeyEnded));
        assert_eq!(until(opener(None, ANY), 12 * HOUR_SECONDS), Err(SignInEnd::Lapsed));
        for (end, why) in
            [(OpenerEnd::Rotated, SignInEnd::KeyRotated), (OpenerEnd::Ended, SignInEnd::KeyEnded)]
        {
            let ended = usual.clone().ended_by(end);
            assert_eq!(ended.admits_until(&opener(None, ANY), at(5)), Err(why));
        }
    }

    fn any_stay() -> impl Strategy<Value = Stay> {
        prop_oneof![Just(Stay::Usual), Just(Stay::Long)]
    }

    proptest! {
        #[test]
        fn however_it_is_used_it_ends_in_time_and_never_after_its_opener(
            stay in any_stay(),
            uses in proptest::collection::vec(0..40 * DAY_SECONDS, 0..20),
            expires in proptest::option::of(1..40 * DAY_SECONDS),
            now in 0..40 * DAY_SECONDS,
        ) {
            let mut sign_in = sign_in(1, stay, 0, 0);
            for used in uses {
                let before = sign_in.ends_at();
                sign_in = sign_in.used(at(used));
                prop_assert!(sign_in.ends_at() >= before);
            }
            let last = sign_in.last_used;
            prop_assert!(sign_in.ends_at() <= at(stay.lasts_seconds()));
            prop_assert!(sign_in.ends_at() <= last.plus_seconds(stay.unused_seconds()));
            let opener = opener(expires, ANY);
            let found = sign_in.admits_until(&opener, at(now));
            let is_good = sign_in.in_force(at(now)) && opener.in_force(at(now));
            prop_assert_eq!(found.is_ok(), is_good);
            if let Ok(until) = found {
                prop_assert!(at(now) < until && until <= sign_in.ends_at());
                prop_assert!(opener.end().is_none_or(|end| until <= end));
                // The very end is the first moment that is refused.
                prop_assert!(sign_in.admits_until(&opener, until).is_err());
            }
        }

        #[test]
        fn with_a_new_one_there_are_never_more_than_the_maximum(
            used in proptest::collection::vec((0..50_i64, any::<bool>()), 0..40),
        ) {
            let all: Vec<_> = (1..).zip(&used).map(|(id, (last, ended))| {
                let one = sign_in(id, Stay::Usual, 0, *last);
                if *ended { one.ended_by(OpenerEnd::Ended) } else { one }
            }).collect();
            let gone = give_way(&all);
            prop_assert_eq!(all.len() - gone.len(), all.len().min(SIGN_INS_MAX - 1));
            let rank = |one: &SignIn| (one.ended.is_none(), one.last_used, one.id);
            let is_gone = |one: &&SignIn| gone.contains(&one.id);
            let last_gone = all.iter().filter(is_gone).map(rank).max();
            let first_kept = all.iter().filter(|one| !is_gone(one)).map(rank).min();
            if let (Some(gone), Some(kept)) = (last_gone, first_kept) {
                prop_assert!(gone < kept);
            }
        }
    }
}
