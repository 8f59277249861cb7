//! Activities: what was done, with statistics that need no decryption.

use super::id::{ActivityId, ActorId, SessionId, Uid};
use super::page::{Listed, Place};
use super::session::SessionStatus;
use super::tag::EntityTag;
use super::text::ActivityType;
use super::time::{Day, Timestamp};

/// Most kinds of activity that one actor may have at a time, so that statistics stay small.
pub const KINDS_MAX: i64 = 1_000;

/// An activity. `T` is its text: [`String`] when open, [`super::sealed::Sealed`] at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity<T = String> {
    /// Its id within the account.
    pub id: ActivityId,
    /// Its identity.
    pub uid: Uid,
    /// Whose it is.
    pub actor: ActorId,
    /// The session it is linked to, of the same actor.
    pub session: Option<SessionId>,
    /// Its category.
    pub activity_type: ActivityType,
    /// What happened.
    pub description: T,
    /// When it happened.
    pub logged_at: Timestamp,
    /// When it was written down.
    pub created_at: Timestamp,
    /// Counts its changes (it can only be unlinked), from 1.
    pub version: i64,
}

impl<T> Activity<T> {
    /// The state that it is in.
    pub const fn tag(&self) -> EntityTag {
        EntityTag { uid: self.uid, version: self.version }
    }

    /// Removes its link, if it is to that session, which was deleted. What is shown of it changes, so
    /// its version does.
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

impl<T> Listed for Activity<T> {
    fn place(&self) -> Place {
        Place([0, self.logged_at.micros(), self.id.0])
    }
}

/// Activities in figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActivityStats {
    /// How many there are.
    pub total: i64,
    /// How many of each type, falling by count, then by name.
    pub by_type: Vec<(ActivityType, i64)>,
    /// How many on each day that has any, ascending.
    pub by_day: Vec<(Day, i64)>,
    /// The sessions beside them.
    pub sessions: SessionCounts,
}

/// Sessions in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionCounts {
    /// How many there are.
    pub total: i64,
    /// How many of them are active.
    pub active: i64,
}

impl SessionCounts {
    /// Counts `count` more sessions of that status.
    pub fn add(&mut self, status: SessionStatus, count: i64) {
        self.total += count;
        if status == SessionStatus::Active {
            self.active += count;
        }
    }
}

impl ActivityStats {
    /// Adds up counts by day and type, each of which may come in parts, some of which take away.
    #[must_use]
    pub fn sum(
        counts: impl IntoIterator<Item = (Day, ActivityType, i64)>,
        sessions: SessionCounts,
    ) -> Self {
        use std::collections::BTreeMap;
        let (mut by_type, mut by_day) = (BTreeMap::new(), BTreeMap::new());
        let mut total = 0;
        for (day, activity_type, count) in counts {
            total += count;
            *by_type.entry(activity_type).or_insert(0) += count;
            *by_day.entry(day).or_insert(0) += count;
        }
        by_type.retain(|_, count| *count != 0);
        by_day.retain(|_, count| *count != 0);
        let mut by_type: Vec<_> = by_type.into_iter().collect();
        by_type.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self { total, by_type, by_day: by_day.into_iter().collect(), sessions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up_and_are_in_order() {
        let kind = |name: &str| ActivityType::parse(name).unwrap();
        let counts = [
            (Day(3), kind("review"), 8),
            (Day(1), kind("general"), 20),
            (Day(1), kind("deploy"), 5),
            (Day(3), kind("deploy"), 3),
            (Day(2), kind("ghost"), 0),
            // Moved from one day to another.
            (Day(4), kind("review"), 2),
            (Day(4), kind("review"), -2),
            (Day(3), kind("review"), 2),
            (Day(1), kind("general"), -2),
        ];
        let stats = ActivityStats::sum(counts, SessionCounts { total: 5, active: 1 });
        assert_eq!(stats.total, 36);
        assert_eq!(
            stats.by_type,
            [(kind("general"), 18), (kind("review"), 10), (kind("deploy"), 8)]
        );
        assert_eq!(stats.by_day, [(Day(1), 23), (Day(3), 13)]);
    }
}
