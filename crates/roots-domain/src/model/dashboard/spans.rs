//! The spans of time that a dashboard counts in.

use crate::model::forecast::FORECAST_DAYS;
use crate::model::time::{Day, QUARTER_HOUR_MICROS, QuarterHour, Timestamp};
use crate::model::zone::Zone;

/// The spans that a dashboard counts in, as quarters of an hour, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DashboardSpans {
    /// Today in the viewer's zone.
    pub today: (QuarterHour, QuarterHour),
    /// The last [`FORECAST_DAYS`] whole days in that zone.
    pub whole_days: (QuarterHour, QuarterHour),
    /// The last 24 hours.
    pub last_day: (QuarterHour, QuarterHour),
}

impl DashboardSpans {
    /// The spans at that time.
    #[must_use]
    pub fn of(now: Timestamp, zone: &Zone) -> Self {
        let today = zone.wall_clock(now).day;
        let first = |days_ago: i64| zone.first_instant(Day(today.0 - days_ago)).quarter_hour();
        let before = |quarter: QuarterHour| QuarterHour(quarter.0 - 1);
        let this = now.quarter_hour();
        let day_ago = Timestamp::from_micros(now.micros() - 96 * QUARTER_HOUR_MICROS);
        Self {
            today: (first(0), this),
            whole_days: (first(FORECAST_DAYS), before(first(0))),
            last_day: (QuarterHour(day_ago.quarter_hour().0 + 1), this),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spans_follow_the_viewers_days() {
        let zone = Zone::parse("Europe/Vienna").unwrap();
        let now = Timestamp::parse("2026-04-09T14:05:00Z").unwrap();
        let of = DashboardSpans::of(now, &zone);
        let shown = |(first, last): (QuarterHour, QuarterHour)| {
            (first.first_instant().to_string(), last.first_instant().to_string())
        };
        let expected = |first: &str, last: &str| (first.to_owned(), last.to_owned());
        assert_eq!(shown(of.today), expected("2026-04-08T22:00:00Z", "2026-04-09T14:00:00Z"));
        assert_eq!(shown(of.whole_days), expected("2026-04-01T22:00:00Z", "2026-04-08T21:45:00Z"));
        assert_eq!(shown(of.last_day), expected("2026-04-08T14:15:00Z", "2026-04-09T14:00:00Z"));
    }
}
