//! A year of days, each with a level.

use crate::model::time::Day;

/// The weeks of a year: 52 whole ones and the one that runs.
pub const WEEKS: usize = 53;
/// The levels of days with work, from 1.
pub const LEVELS: u8 = 4;

/// The days of a year, by weeks that begin on Monday.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Year {
    /// Its first day, a Monday.
    pub first: Day,
    /// Its last day.
    pub last: Day,
    /// The count and the level of each day from the first to the last: level 0 without work, and
    /// otherwise 1 to [`LEVELS`] by the quartiles of the days with work.
    pub days: Vec<(i64, u8)>,
    /// All that was counted.
    pub total: i64,
    /// How many days have any.
    pub days_with_work: usize,
    /// The newest day that has the most.
    pub most: Option<(Day, i64)>,
}

impl Year {
    /// The first day of a year that ends with that day.
    #[must_use]
    pub fn first_day(last: Day) -> Day {
        let weeks = i64::try_from(WEEKS - 1).unwrap_or_default();
        Day((last.0 - last.weekday() - 7 * weeks).max(Day::FIRST.0))
    }

    /// The year that ends with that day. Counts of other days are left out.
    #[must_use]
    pub fn of(counts: impl IntoIterator<Item = (Day, i64)>, last: Day) -> Self {
        let first = Self::first_day(last);
        let length = usize::try_from(last.0 - first.0 + 1).unwrap_or_default();
        let mut by_day = vec![0_i64; length];
        for (day, count) in counts {
            let place = usize::try_from(day.0 - first.0).ok();
            if let Some(place) = place.and_then(|index| by_day.get_mut(index)) {
                *place = place.saturating_add(count);
            }
        }
        let mut worked: Vec<_> = by_day.iter().copied().filter(|count| *count > 0).collect();
        worked.sort_unstable();
        let bounds = quartiles(&worked);
        let level = |count: i64| match count {
            ..=0 => 0,
            _ => 1 + bounds.iter().map(|bound| u8::from(count > *bound)).sum::<u8>(),
        };
        let most = (first.0..).zip(&by_day).map(|(day, count)| (Day(day), *count));
        let most = most.max_by_key(|(day, count)| (*count, *day)).filter(|(_, count)| *count > 0);
        Self {
            first,
            last,
            total: worked.iter().fold(0, |sum, count| sum.saturating_add(*count)),
            days_with_work: worked.len(),
            most,
            days: by_day.into_iter().map(|count| (count, level(count))).collect(),
        }
    }

    /// The days with their counts and levels.
    pub fn iter(&self) -> impl Iterator<Item = (Day, i64, u8)> {
        (self.first.0..).zip(&self.days).map(|(day, (count, level))| (Day(day), *count, *level))
    }
}

/// The quartiles of ascending counts, by nearest rank.
fn quartiles(ascending: &[i64]) -> [i64; 3] {
    [1, 2, 3].map(|quarter| {
        let rank = (ascending.len() * quarter).div_ceil(4);
        rank.checked_sub(1).and_then(|index| ascending.get(index)).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::time::Timestamp;

    fn day(date: &str) -> Day {
        Timestamp::parse(date).unwrap().day()
    }

    #[test]
    fn a_year_begins_on_a_monday_and_ends_with_its_last_day() {
        for (last, first, days) in [
            ("2026-11-28", "2025-11-24", 370),
            ("2026-11-29", "2025-11-24", 371),
            ("2026-11-30", "2025-12-01", 365),
        ] {
            let year = Year::of([], day(last));
            assert_eq!((year.first, year.days.len()), (day(first), days));
            assert_eq!(year.first.weekday(), 0);
        }
        assert_eq!(Year::of([], Day(3)).days.len(), 4, "there is no day before 1970");
    }

    #[test]
    fn levels_are_the_quartiles_of_the_days_with_work() {
        let last = day("2026-11-29");
        let counts = (0..8).map(|n| (Day(last.0 - n), n + 1)).chain([(Day(last.0 - 400), 9)]);
        let year = Year::of(counts, last);
        assert_eq!((year.total, year.days_with_work), (36, 8));
        assert_eq!(year.most, Some((Day(last.0 - 7), 8)));
        let levels: Vec<_> = year.days.iter().rev().take(9).map(|(_, level)| *level).collect();
        assert_eq!(levels, [1, 1, 2, 2, 3, 3, 4, 4, 0]);
        let even = Year::of([(last, 5), (Day(last.0 - 1), 5)], last);
        assert!(even.days.iter().all(|(count, level)| *level == u8::from(*count > 0)));
        assert_eq!(Year::of([], last).most, None);
    }

    proptest! {
        #[test]
        fn more_work_never_has_a_lower_level(
            counts in proptest::collection::vec((0_i64..371, 0_i64..50), 0..200)
        ) {
            let last = day("2026-11-29");
            let days = counts.iter().map(|(ago, count)| (Day(last.0 - ago), *count));
            let year = Year::of(days, last);
            let mut sorted = year.days.clone();
            sorted.sort_unstable();
            prop_assert!(sorted.is_sorted_by_key(|(_, level)| *level));
            prop_assert_eq!(year.total, counts.iter().map(|(_, count)| count).sum::<i64>());
            for (count, level) in year.days {
                prop_assert!(level <= LEVELS && (level == 0) == (count == 0));
            }
        }
    }
}
