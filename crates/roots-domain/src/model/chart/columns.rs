//! Counts of quarter hours, added up by the days of a zone.

use std::collections::BTreeMap;

use crate::model::time::{Day, QuarterHour};
use crate::model::zone::Zone;

/// A day, with what was counted on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayColumn<const N: usize> {
    /// The day.
    pub day: Day,
    /// The counts.
    pub counts: [i64; N],
}

/// The days from the first to the last, those without any included. Each quarter hour counts for
/// the day that the zone's clock shows at its beginning; others than these days are left out.
#[must_use]
pub fn columns<const N: usize>(
    counts: impl IntoIterator<Item = (QuarterHour, [i64; N])>,
    (first, last): (Day, Day),
    zone: &Zone,
) -> Vec<DayColumn<N>> {
    let mut days: BTreeMap<_, _> =
        (first.0..=last.0).map(|day| (Day(day), [0_i64; N])).collect();
    for (quarter, counts) in counts {
        if let Some(sums) = days.get_mut(&zone.wall_clock(quarter.first_instant()).day) {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.saturating_add(count);
            }
        }
    }
    days.into_iter().map(|(day, counts)| DayColumn { day, counts }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    #[test]
    fn quarter_hours_add_up_to_the_viewers_days() {
        let quarter = |at| Timestamp::parse(at).unwrap().quarter_hour();
        let day = |date| Timestamp::parse(date).unwrap().day();
        let counts = [
            (quarter("2026-04-08T21:45:00Z"), [1, 0]),
            (quarter("2026-04-08T22:00:00Z"), [2, 1]),
            (quarter("2026-04-09T21:45:00Z"), [4, 0]),
            (quarter("2026-04-30T22:00:00Z"), [9, 9]),
        ];
        let zone = Zone::parse("Europe/Vienna").unwrap();
        let found = columns(counts, (day("2026-04-08"), day("2026-04-10")), &zone);
        let found: Vec<_> = found.iter().map(|one| (one.day.to_string(), one.counts)).collect();
        let expected = [("2026-04-08", [1, 0]), ("2026-04-09", [6, 1]), ("2026-04-10", [0, 0])];
        assert_eq!(found, expected.map(|(day, counts)| (day.to_owned(), counts)));
    }
}
