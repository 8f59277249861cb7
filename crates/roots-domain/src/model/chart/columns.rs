//! Counts by day, without gaps.

use std::collections::BTreeMap;

use crate::model::time::Day;

/// A day, with what was counted on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayColumn<const N: usize> {
    /// The day.
    pub day: Day,
    /// The counts.
    pub counts: [i64; N],
}

/// The days from the first to the last, those without any included. Counts of other days are left
/// out.
#[must_use]
pub fn columns<const N: usize>(
    counts: impl IntoIterator<Item = (Day, [i64; N])>,
    (first, last): (Day, Day),
) -> Vec<DayColumn<N>> {
    let mut days: BTreeMap<_, _> = (first.0..=last.0).map(|day| (Day(day), [0; N])).collect();
    for (day, counts) in counts {
        if let Some(of_day) = days.get_mut(&day) {
            *of_day = counts;
        }
    }
    days.into_iter().map(|(day, counts)| DayColumn { day, counts }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_without_any_are_columns_of_0() {
        let counts = [(Day(2), [1, 0]), (Day(4), [2, 1]), (Day(9), [9, 9])];
        let found = columns(counts, (Day(2), Day(5)));
        let found: Vec<_> = found.iter().map(|one| (one.day.0, one.counts)).collect();
        assert_eq!(found, [(2, [1, 0]), (3, [0, 0]), (4, [2, 1]), (5, [0, 0])]);
    }
}
