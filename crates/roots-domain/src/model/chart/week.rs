//! The hours of a week.

use crate::model::time::QuarterHour;
use crate::model::zone::Zone;

/// What was counted in each hour of each day of the week, Monday first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WeekHours {
    /// By day of the week and by hour of the zone's clock.
    pub hours: [[i64; 24]; 7],
}

impl WeekHours {
    /// Adds up counts of quarter hours, each where the zone's clock shows its beginning.
    #[must_use]
    pub fn of(counts: impl IntoIterator<Item = (QuarterHour, i64)>, zone: &Zone) -> Self {
        let mut week = Self::default();
        for (quarter, count) in counts {
            let clock = zone.wall_clock(quarter.first_instant());
            let day = usize::try_from(clock.day.weekday()).ok();
            let hour = usize::try_from(clock.minute_of_day / 60).ok();
            let place = day.and_then(|day| week.hours.get_mut(day));
            if let Some(place) = place.zip(hour).and_then(|(day, hour)| day.get_mut(hour)) {
                *place = place.saturating_add(count);
            }
        }
        week
    }

    /// All that was counted.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.hours.iter().flatten().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The first hour with the most, as the day of the week, the hour and the count.
    #[must_use]
    pub fn most(&self) -> Option<(usize, usize, i64)> {
        let days = self.hours.iter().enumerate();
        let all = days.flat_map(|(day, hours)| {
            hours.iter().enumerate().map(move |(hour, count)| (day, hour, *count))
        });
        let most = all.reduce(|most, one| if one.2 > most.2 { one } else { most });
        most.filter(|(_, _, count)| *count > 0)
    }

    /// The level of a count: 0 for none, and otherwise 1 to 4 by quarters of the most.
    #[must_use]
    pub fn level(&self, count: i64) -> u8 {
        let most = self.most().map_or(0, |(_, _, count)| count);
        match count {
            ..=0 => 0,
            _ if count.saturating_mul(4) <= most => 1,
            _ if count.saturating_mul(2) <= most => 2,
            _ if count.saturating_mul(4) <= most.saturating_mul(3) => 3,
            _ => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    #[test]
    fn quarter_hours_count_where_the_viewers_clock_shows_them() {
        let quarter = |at| Timestamp::parse(at).unwrap().quarter_hour();
        let counts = [
            (quarter("2026-04-09T21:45:00Z"), 3),
            (quarter("2026-04-09T22:15:00Z"), 4),
            (quarter("2026-04-16T22:30:00Z"), 4),
        ];
        let zone = Zone::parse("Europe/Vienna").unwrap();
        let week = WeekHours::of(counts, &zone);
        // Thursday from 23:00, and Friday from 00:00.
        assert_eq!((week.hours[3][23], week.hours[4][0], week.total()), (3, 8, 11));
        assert_eq!(week.most(), Some((4, 0, 8)));
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 8].map(|n| week.level(n)), [0, 1, 1, 2, 2, 3, 3, 4, 4]);
        assert_eq!(WeekHours::default().most(), None);
    }
}
