//! Time zones: at which instants the days of a place begin and end.
//!
//! A zone's clock is ahead of UTC by some offset, and is put forward or back at times. So a day may
//! last 23 hours or 25, begin at another hour than midnight, or be left out. Which offset holds when
//! is the IANA database's to say; it is part of the program, for what a host has differs.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::Invalid;
use super::time::{DAY_MICROS, Day, TimeRange, Timestamp};

/// No clock is further from UTC than this.
const REACH_MICROS: i64 = 2 * DAY_MICROS;

/// A zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A span of time throughout which a zone's clock is ahead of UTC by the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Its first and its last instant.
    pub range: TimeRange,
    /// By how many seconds; negative where the clock is behind.
    pub offset_seconds: i64,
}

impl Zone {
    /// The zone of plain days.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of that name.
    ///
    /// # Errors
    /// Says the form. The database has no zone of that name.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        let zone = TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown());
        let form = "must be a time zone of the IANA database, such as Europe/Vienna or UTC";
        zone.map(Self).ok_or_else(|| Invalid::new(form))
    }

    /// The first instant of a day: of one that the clock left out, the first after it.
    #[must_use]
    pub fn first_instant(&self, day: Day) -> Timestamp {
        let begin = day.0.saturating_mul(DAY_MICROS);
        let spans = self.spans(begin - REACH_MICROS, begin + REACH_MICROS);
        let of_span =
            |span: &Span| Some(span.first.max(begin - span.offset)).filter(|at| *at <= span.last);
        Timestamp::from_micros(spans.iter().find_map(of_span).unwrap_or(begin))
    }

    /// The last instant of a day: of one that the clock left out, the last before it. Where the clock
    /// is put back past midnight it lies after the first instant of the next day.
    #[must_use]
    pub fn last_instant(&self, day: Day) -> Timestamp {
        let end = day.0.saturating_add(1).saturating_mul(DAY_MICROS) - 1;
        let spans = self.spans(end - REACH_MICROS, end + REACH_MICROS);
        let of_span =
            |span: &Span| Some(span.last.min(end - span.offset)).filter(|at| *at >= span.first);
        Timestamp::from_micros(spans.iter().rev().find_map(of_span).unwrap_or(end))
    }

    /// The stretches that make up a range, ascending. There are two a year where the clock goes by
    /// the seasons.
    #[must_use]
    pub fn stretches(&self, range: TimeRange) -> Vec<Stretch> {
        let since = range.since.unwrap_or(Timestamp::FIRST).micros();
        let until = range.until.unwrap_or(Timestamp::LAST).micros();
        let at = |micros| Some(Timestamp::from_micros(micros));
        let stretch = |span: Span| Stretch {
            range: TimeRange { since: at(span.first), until: at(span.last) },
            offset_seconds: span.offset / 1_000_000,
        };
        self.spans(since, until).into_iter().map(stretch).collect()
    }

    /// The same in microseconds, which may lie before 1970.
    fn spans(&self, first: i64, last: i64) -> Vec<Span> {
        let mut spans = Vec::new();
        if first > last {
            return spans;
        }
        let mut span = Span { first, last, offset: self.offset(first) };
        let changes = self.0.following(instant(first));
        let changes = changes.map(|change| change.timestamp().as_microsecond());
        for at in changes.take_while(|at| *at <= last) {
            let offset = self.offset(at);
            if offset != span.offset {
                spans.push(Span { last: at - 1, ..span });
                span = Span { first: at, last, offset };
            }
        }
        spans.push(span);
        spans
    }

    fn offset(&self, micros: i64) -> i64 {
        i64::from(self.0.to_offset(instant(micros)).seconds()) * 1_000_000
    }
}

/// All in microseconds.
#[derive(Clone, Copy)]
struct Span {
    first: i64,
    last: i64,
    offset: i64,
}

/// The zones' rules are known up to the last days of 9999: those go by the same.
fn instant(micros: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::parse(name).unwrap()
    }

    fn day(date: &str) -> Day {
        Timestamp::parse(date).unwrap().day()
    }

    /// The day that the clock of a zone shows.
    fn shown(zone: &Zone, at: Timestamp) -> Day {
        Day((at.micros() + zone.offset(at.micros())).div_euclid(DAY_MICROS))
    }

    #[test]
    fn days_begin_and_end_when_the_clock_says() {
        for (name, date, first, last) in [
            ("UTC", "2026-04-09", "2026-04-09T00:00:00Z", "2026-04-09T23:59:59.999999Z"),
            ("Asia/Kathmandu", "2026-04-09", "2026-04-08T18:15:00Z", "2026-04-09T18:14:59.999999Z"),
            ("asia/kathmandu", "1985-12-31", "1985-12-30T18:30:00Z", "1985-12-31T18:29:59.999999Z"),
            // The clock is put from +05:30 to +05:45 at this midnight, and the day begins a quarter late.
            ("Asia/Kathmandu", "1986-01-01", "1985-12-31T18:30:00Z", "1986-01-01T18:14:59.999999Z"),
            (
                "Pacific/Chatham",
                "2026-07-01",
                "2026-06-30T11:15:00Z",
                "2026-07-01T11:14:59.999999Z",
            ),
            (
                "Africa/Monrovia",
                "1971-06-01",
                "1971-06-01T00:44:30Z",
                "1971-06-02T00:44:29.999999Z",
            ),
            (
                "Africa/Monrovia",
                "1972-01-07",
                "1972-01-07T00:44:30Z",
                "1972-01-07T23:59:59.999999Z",
            ),
            // 23 hours, and 25.
            ("Europe/Vienna", "2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59.999999Z"),
            ("Europe/Vienna", "2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59.999999Z"),
            // There is no midnight: the clock goes from 23:59:59 to 01:00.
            (
                "America/Sao_Paulo",
                "2017-10-15",
                "2017-10-15T03:00:00Z",
                "2017-10-16T01:59:59.999999Z",
            ),
            // There are two: it goes back to 23:00 of the day before.
            (
                "America/Sao_Paulo",
                "2018-02-17",
                "2018-02-17T02:00:00Z",
                "2018-02-18T02:59:59.999999Z",
            ),
            (
                "America/Sao_Paulo",
                "2018-02-18",
                "2018-02-18T03:00:00Z",
                "2018-02-19T02:59:59.999999Z",
            ),
            // It goes back at a minute past midnight: that minute is the next day's, the hour after it is not.
            (
                "America/St_Johns",
                "2010-11-06",
                "2010-11-06T02:30:00Z",
                "2010-11-07T03:29:59.999999Z",
            ),
            (
                "America/St_Johns",
                "2010-11-07",
                "2010-11-07T02:30:00Z",
                "2010-11-08T03:29:59.999999Z",
            ),
            // The day before this one was left out, from its first instant to its last.
            ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", "2011-12-31T09:59:59.999999Z"),
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", "2011-12-30T09:59:59.999999Z"),
            ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z", "2011-12-30T09:59:59.999999Z"),
            // The rules go on, though nobody knows whether they will.
            ("Europe/Vienna", "2500-07-01", "2500-06-30T22:00:00Z", "2500-07-01T21:59:59.999999Z"),
            // Time begins and ends with the years that can be told.
            ("Asia/Tokyo", "1970-01-01", "1970-01-01T00:00:00Z", "1970-01-01T14:59:59.999999Z"),
            ("America/Lima", "9999-12-31", "9999-12-31T05:00:00Z", "9999-12-31T23:59:59.999999Z"),
        ] {
            let (zone, day) = (zone(name), day(date));
            let found = (zone.first_instant(day).to_string(), zone.last_instant(day).to_string());
            assert_eq!(found, (first.to_owned(), last.to_owned()), "{date} in {name}");
        }
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for bad in ["", "Vienna", "Europe/Wien", "+02:00", "EST5EDT4", "Etc/Unknown", "../UTC", "é"]
        {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
        for good in ["UTC", "Etc/UTC", "Europe/Kyiv", "Europe/Kiev", "US/Pacific", "EST5EDT"] {
            assert!(Zone::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_zone_has_two_stretches_a_year_and_utc_has_one_for_ever() {
        assert_eq!(Zone::UTC.stretches(TimeRange::default()).len(), 1);
        let year = TimeRange {
            since: Timestamp::parse("2026-01-01").ok(),
            until: Timestamp::parse("2027-01-01").ok(),
        };
        let offsets = |name| -> Vec<_> {
            zone(name).stretches(year).iter().map(|stretch| stretch.offset_seconds).collect()
        };
        assert_eq!(offsets("Europe/Vienna"), [3_600, 7_200, 3_600]);
        assert_eq!(offsets("Asia/Kathmandu"), [20_700]);
        let empty = TimeRange { since: year.until, until: year.since };
        assert_eq!(zone("Europe/Vienna").stretches(empty), []);
    }

    /// Every zone that exists, a day of any year in which clocks were moved about, and instants around
    /// its bounds: each is looked up by itself.
    fn judge(zone: &Zone, name: &str, day: Day) {
        let (first, last) = (zone.first_instant(day), zone.last_instant(day));
        let near = TimeRange {
            since: Some(Timestamp::from_micros(first.micros() - DAY_MICROS)),
            until: Some(Timestamp::from_micros(last.micros() + DAY_MICROS)),
        };
        let stretches = zone.stretches(near);
        let bounds = stretches.iter().flat_map(|one| [one.range.since, one.range.until]).flatten();
        for at in bounds.chain([first, last]).flat_map(|at| [-1, 0, 1].map(|by| at.micros() + by)) {
            let at = Timestamp::from_micros(at);
            let is_shown = shown(zone, at);
            if is_shown == day {
                assert!(first <= at && at <= last, "{name} {day} {at}");
            }
            assert!(at >= first || is_shown < day, "{name} {day} {at} is too early");
            assert!(at <= last || is_shown > day, "{name} {day} {at} is too late");
            let covers =
                |one: &&Stretch| one.range.since <= Some(at) && Some(at) <= one.range.until;
            let inside = near.since <= Some(at) && Some(at) <= near.until;
            let covering: Vec<_> = stretches.iter().filter(covers).collect();
            assert_eq!(covering.len(), usize::from(inside), "{name} {at}");
            for one in covering {
                assert_eq!(one.offset_seconds * 1_000_000, zone.offset(at.micros()), "{name} {at}");
            }
        }
    }

    #[test]
    fn every_zone_is_cut_up_where_its_clock_is_moved() {
        let until = Timestamp::parse("2038-01-01").ok();
        let mut moves = 0;
        for name in TimeZoneDatabase::bundled().available() {
            let zone = zone(name.as_str());
            for stretch in zone.stretches(TimeRange { since: None, until }) {
                let at = stretch.range.since.unwrap();
                for back in -1..=1 {
                    let day = Day(shown(&zone, at).0 + back);
                    if day.0 > 0 {
                        judge(&zone, name.as_str(), day);
                    }
                }
                moves += 1;
            }
        }
        assert!(moves > 10_000, "{moves}");
    }

    proptest! {
        #[test]
        fn any_day_of_any_zone_is_bounded_by_its_first_and_last_instant(
            pick in any::<prop::sample::Index>(),
            day in 1_i64..2_900_000,
        ) {
            let database = TimeZoneDatabase::bundled();
            let names: Vec<_> = database.available().collect();
            let name = names[pick.index(names.len())].as_str().to_owned();
            judge(&zone(&name), &name, Day(day));
        }
    }
}
