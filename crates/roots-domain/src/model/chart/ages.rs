//! How old things are.

use crate::model::time::Timestamp;

/// The bounds between the ages: 1 hour, 4 hours, a day, 3 days and a week.
pub const AGE_BOUNDS_SECONDS: [i64; 5] = [3_600, 4 * 3_600, 86_400, 3 * 86_400, 7 * 86_400];

/// How many are younger than each of [`AGE_BOUNDS_SECONDS`], and how many are older than all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ages(pub [i64; AGE_BOUNDS_SECONDS.len() + 1]);

impl Ages {
    /// Counts what began at these times.
    #[must_use]
    pub fn of(begun: impl IntoIterator<Item = Timestamp>, now: Timestamp) -> Self {
        let mut ages = Self::default();
        for at in begun {
            let seconds = (now.micros() - at.micros()) / 1_000_000;
            let place = AGE_BOUNDS_SECONDS.iter().filter(|bound| seconds >= **bound).count();
            if let Some(count) = ages.0.get_mut(place) {
                *count += 1;
            }
        }
        ages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_counted_below_the_first_bound_that_it_has_not_reached() {
        let now = Timestamp::FIRST.plus_seconds(100 * 86_400);
        let ages = [0, 3_599, 3_600, 86_399, 86_400, 6 * 86_400, 7 * 86_400, 99 * 86_400, -5];
        let ages = Ages::of(ages.map(|seconds| now.plus_seconds(-seconds)), now);
        assert_eq!(ages.0, [3, 1, 1, 1, 1, 2]);
    }
}
