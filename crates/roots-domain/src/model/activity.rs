//! Activities: what was done, with statistics that need no decryption.

use std::collections::BTreeMap;
use std::mem;

use super::etag::EntityTag;
use super::id::{ActivityId, ActorId, SessionId, Uid};
use super::page::{Listed, SortKey};
use super::sealed::Field;
use super::session::SessionStatusKind;
use super::text::{ActivityText, ActivityType};
use super::time::{Day, Timestamp};

/// Most activity types that one actor may have at a time, so that statistics stay small.
pub const ACTIVITY_TYPES_MAX: i64 = 1_000;
/// Most days in statistics, the newest ones: ten years and a week.
pub const STATS_DAYS_MAX: usize = 3_660;
/// Most types in statistics, those with the most activities. One actor never has more.
pub const STATS_TYPES_MAX: usize = 1_000;

/// An activity. `T` is its text: [`String`] when open, [`super::sealed::Sealed`] at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity<T = String> {
    /// Its id within the account.
    pub id: ActivityId,
    /// Its identity.
    pub uid: Uid,
    /// The actor that the activity belongs to.
    pub actor: ActorId,
    /// The session it is linked to, of the same actor.
    pub session: Option<SessionId>,
    /// Its category.
    pub activity_type: ActivityType,
    /// What happened.
    pub description: T,
    /// When it happened.
    pub logged_at: Timestamp,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Counts its changes (it can only be unlinked), from 1.
    pub version: i64,
}

impl<T> Activity<T> {
    /// The tag of its current state.
    pub const fn tag(&self) -> EntityTag {
        EntityTag { uid: self.uid, version: self.version }
    }

    /// Removes its link if it is to that deleted session. Callers see the change, so the version
    /// rises.
    pub fn unlink(&mut self, deleted: SessionId) {
        if self.session == Some(deleted) {
            self.session = None;
            self.version += 1;
        }
    }
}

impl<T> Activity<T> {
    /// Its texts.
    pub fn texts(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.description)
    }
}

impl<T> Activity<T> {
    /// Maps its text with `change`.
    ///
    /// # Errors
    /// The error of `change`.
    pub fn try_map_text<U, E>(
        self,
        mut change: impl FnMut(Field, T) -> Result<U, E>,
    ) -> Result<Activity<U>, E> {
        let Self { id, uid, actor, session, activity_type, description, .. } = self;
        let Self { logged_at, created_at, version, .. } = self;
        let description = change(Field::ActivityDescription, description)?;
        Ok(Activity {
            id,
            uid,
            actor,
            session,
            activity_type,
            description,
            logged_at,
            created_at,
            version,
        })
    }
}

/// An activity to log. `T` is its description: plain, or
/// [`super::sealed::Sealed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewActivity<T> {
    /// The actor that the activity will belong to; the caller if absent. Its text is sealed with
    /// that actor's keys.
    pub actor: Option<ActorId>,
    /// What happened.
    pub description: T,
    /// Its category.
    pub activity_type: ActivityType,
    /// The active session to link it to.
    pub session: Option<SessionId>,
    /// When it happened, if not now.
    pub logged_at: Option<Timestamp>,
}

impl NewActivity<ActivityText> {
    /// The same with its text sealed.
    ///
    /// # Errors
    /// The error of `seal`.
    pub fn try_seal<U, E>(
        self,
        seal: impl FnOnce(Field, &str) -> Result<U, E>,
    ) -> Result<NewActivity<U>, E> {
        let Self { actor, description, activity_type, session, logged_at } = self;
        let description = seal(Field::ActivityDescription, description.as_str())?;
        Ok(NewActivity { actor, description, activity_type, session, logged_at })
    }
}

impl<T> Listed for Activity<T> {
    fn sort_key(&self) -> SortKey {
        SortKey([0, self.logged_at.micros(), self.id.0])
    }
}

/// Statistics of activities.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActivityStats {
    /// Their number.
    pub total: i64,
    /// The number of activities of each type, by descending count, then by name; at most
    /// [`STATS_TYPES_MAX`] types.
    pub by_type: Vec<(ActivityType, i64)>,
    /// The number of types that are left out.
    pub by_type_omitted: i64,
    /// The number of activities on each of the newest [`STATS_DAYS_MAX`] days that have any,
    /// ascending.
    pub by_day: Vec<(Day, i64)>,
    /// The number of older days that have any.
    pub by_day_omitted: i64,
    /// The matching sessions.
    pub sessions: SessionCounts,
}

/// Counts of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionCounts {
    /// Their number.
    pub total: i64,
    /// The number of active ones.
    pub active: i64,
}

impl SessionCounts {
    /// Counts `count` more sessions of that status.
    pub fn add(&mut self, status: SessionStatusKind, count: i64) {
        self.total += count;
        if status == SessionStatusKind::Active {
            self.active += count;
        }
    }
}

/// Counts activities by day, from the newest day to the oldest, and keeps the newest days that have
/// any. It holds at most the days of the result, and those that are not settled.
#[derive(Debug, Default)]
pub struct DayCounter {
    /// Days whose counts may change.
    open: BTreeMap<Day, i64>,
    /// Settled days that have any, descending.
    newest: Vec<(Day, i64)>,
    omitted: i64,
}

impl DayCounter {
    /// Adds to a day that is not settled. A negative count corrects an earlier one.
    pub fn add(&mut self, day: Day, count: i64) {
        *self.open.entry(day).or_insert(0) += count;
    }

    /// Settles the days after that one: their counts no longer change.
    pub fn settle_after(&mut self, last_open: Day) {
        let settled = self.open.split_off(&Day(last_open.0 + 1));
        self.settle(settled);
    }

    fn settle(&mut self, days: BTreeMap<Day, i64>) {
        for (day, count) in days.into_iter().rev().filter(|(_, count)| *count != 0) {
            if self.newest.len() < STATS_DAYS_MAX {
                self.newest.push((day, count));
            } else {
                self.omitted += 1;
            }
        }
    }

    /// The newest days that have any, ascending, and the number of older ones that have any.
    #[must_use]
    pub fn finish(mut self) -> (Vec<(Day, i64)>, i64) {
        let open = mem::take(&mut self.open);
        self.settle(open);
        self.newest.reverse();
        (self.newest, self.omitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_days_are_listed_and_the_others_only_counted() {
        let mut days = DayCounter::default();
        let all = 2 * i64::try_from(STATS_DAYS_MAX).unwrap();
        for day in (1..=all).rev() {
            days.add(Day(day), 2);
            // One is moved to the day before, so that the last day has only one.
            days.add(Day(day), -1);
            days.add(Day(day - 1), 1);
            days.settle_after(Day(day - 1));
        }
        assert!(days.open.len() <= 2);
        let (by_day, omitted) = days.finish();
        // Day 0 has the one that was moved to it.
        assert_eq!((by_day.len(), omitted), (STATS_DAYS_MAX, all + 1 - all / 2));
        assert_eq!(by_day[0], (Day(all / 2 + 1), 2));
        assert_eq!(by_day.last(), Some(&(Day(all), 1)));
    }

    #[test]
    fn a_day_whose_activities_were_all_moved_to_other_days_is_left_out() {
        let mut days = DayCounter::default();
        for (day, count) in [(4, 2), (4, -2), (3, 2), (1, 5)] {
            days.add(Day(day), count);
        }
        assert_eq!(days.finish(), (vec![(Day(1), 5), (Day(3), 2)], 0));
    }
}
