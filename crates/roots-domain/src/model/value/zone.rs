//! Time zones: the instants at which the days of a place begin and end.
//!
//! A zone's clock differs from UTC by an offset, and is put forward or back at times. So a day may
//! last 23 or 25 hours, begin at another hour than midnight, or be skipped. The offsets come from
//! the IANA database, which is part of the program, since hosts have different versions.

use std::fmt;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::invalid::Invalid;
use super::time::{DAY_MICROS, Day, Moment, TimeRange, Timestamp};

/// No zone is further from UTC than this.
const REACH_MICROS: i64 = 2 * DAY_MICROS;

/// A zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// What a clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// The date.
    pub day: Day,
    /// The minutes since 00:00: 0 to 1,439.
    pub minute_of_day: i64,
}

/// `14:02`.
impl WallClock {
    /// Reads `2026-04-09T14:02`, as a browser's form sends it. Seconds are cut off.
    ///
    /// # Errors
    /// Says the form.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // Without an offset it is read as UTC, whose clock it then is.
        let is_local = text.len() >= "2026-04-09T14:02".len()
            && !text.ends_with(['Z', 'z'])
            && !text.chars().skip("2026-04-09".len()).any(|c| matches!(c, '+' | '-'));
        let at = Timestamp::parse(text).ok().filter(|_| is_local);
        let at = at.ok_or_else(|| Invalid::new("must be a date and time such as 2026-04-09T14:02"));
        at.map(|at| Zone::UTC.wall_clock(at))
    }
}

impl fmt::Display for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minute_of_day / 60, self.minute_of_day % 60)
    }
}

/// A part of a UTC day throughout which a zone's clock shows one date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayPart {
    /// Its first and its last instant.
    pub range: TimeRange,
    /// That date. `None` outside of the requested range.
    pub shown: Option<Day>,
}

/// How counts by UTC day become counts by local date: all of a UTC day is counted for the date of
/// its longest part, and then the other parts are moved from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The UTC day.
    pub day: Day,
    /// The date of its longest part.
    pub most: Option<Day>,
    /// The parts with another date. Together they may be longer than the longest one.
    pub rest: Vec<DayPart>,
}

impl Zone {
    /// The zone of UTC days.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone with that name.
    ///
    /// # Errors
    /// The database has no zone with that name. The error says the form.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        let zone = TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown());
        let form = "must be a time zone of the IANA database, such as Europe/Vienna or UTC";
        zone.map(Self).ok_or_else(|| Invalid::new(form))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The first instant of a day; for a skipped day, the first instant after it. The first valid
    /// day begins with the first valid instant.
    #[must_use]
    pub fn first_instant(&self, day: Day) -> Timestamp {
        if day <= Day::FIRST {
            return Timestamp::FIRST;
        }
        let begin = day.0.saturating_mul(DAY_MICROS);
        let spans = self.spans(begin - REACH_MICROS, begin + REACH_MICROS);
        let of_span =
            |span: &Span| Some(span.first.max(begin - span.offset)).filter(|at| *at <= span.last);
        Timestamp::from_micros(spans.iter().find_map(of_span).unwrap_or(begin))
    }

    /// The first instant at which the zone's clock shows that; if it skips it, the first instant
    /// after.
    #[must_use]
    pub fn instant_of(&self, clock: WallClock) -> Timestamp {
        let minutes = clock.minute_of_day.saturating_mul(60_000_000);
        let shown = clock.day.0.saturating_mul(DAY_MICROS).saturating_add(minutes);
        let spans = self.spans(
            shown.saturating_sub(REACH_MICROS),
            shown.saturating_add(REACH_MICROS).min(Timestamp::LAST.micros()),
        );
        let of_span =
            |span: &Span| Some(span.first.max(shown - span.offset)).filter(|at| *at <= span.last);
        Timestamp::from_micros(spans.iter().find_map(of_span).unwrap_or(shown))
    }

    /// The last instant of a day; for a skipped day, the last instant before it. If the clock is
    /// put back past midnight, it lies after the first instant of the next day. The last valid day
    /// ends with the last valid instant.
    #[must_use]
    pub fn last_instant(&self, day: Day) -> Timestamp {
        if day >= Day::LAST {
            return Timestamp::LAST;
        }
        let end = day.0.saturating_add(1).saturating_mul(DAY_MICROS) - 1;
        let spans = self.spans(end - REACH_MICROS, end + REACH_MICROS);
        let of_span =
            |span: &Span| Some(span.last.min(end - span.offset)).filter(|at| *at >= span.first);
        Timestamp::from_micros(spans.iter().rev().find_map(of_span).unwrap_or(end))
    }

    /// Cuts UTC days, one by one, by the local dates in a range. Ascending days are looked up
    /// fastest. If the local date is before the first valid day or after the last, the part belongs
    /// to that day, so that it can be shown and queried.
    pub fn cut(
        &self,
        days: impl IntoIterator<Item = Day>,
        range: TimeRange,
    ) -> impl Iterator<Item = Cut> {
        let since = range.since.unwrap_or(Timestamp::FIRST).micros();
        let until = range.until.unwrap_or(Timestamp::LAST).micros();
        let mut span = self.span(since);
        days.into_iter().map(move |day| {
            let (mut at, end) = (day.first_instant().micros(), day.last_instant().micros());
            let mut parts: Vec<(i64, i64, Option<Day>)> = Vec::new();
            while at <= end {
                if at < span.first || span.last < at {
                    span = self.span(at);
                }
                let date = Day((at + span.offset).div_euclid(DAY_MICROS));
                let nearest = date.clamp(Day::FIRST, Day::LAST);
                let shown = (since <= at && at <= until).then_some(nearest);
                let midnight = (date.0 + 1) * DAY_MICROS - span.offset;
                let bound = match at {
                    _ if at < since => since - 1,
                    _ if at <= until => until,
                    _ => end,
                };
                let last = (midnight - 1).min(span.last).min(bound).min(end);
                match parts.last_mut() {
                    Some((_, until, before)) if *before == shown => *until = last,
                    _ => parts.push((at, last, shown)),
                }
                at = last + 1;
            }
            let longest = parts.iter().enumerate().max_by_key(|(_, (first, last, _))| last - first);
            let longest = longest.map(|(index, _)| index);
            let most = longest.and_then(|index| parts.remove(index).2);
            let rest = parts.into_iter().filter(|(_, _, shown)| *shown != most);
            let rest = rest.map(|(first, last, shown)| {
                let at = |micros| Some(Timestamp::from_micros(micros));
                DayPart { range: TimeRange { since: at(first), until: at(last) }, shown }
            });
            Cut { day, most, rest: rest.collect() }
        })
    }

    /// What the zone's clock shows at an instant.
    #[must_use]
    pub fn wall_clock(&self, at: Timestamp) -> WallClock {
        let shown = at.micros() + self.offset(at.micros());
        let minute_of_day = shown.rem_euclid(DAY_MICROS) / 60_000_000;
        WallClock { day: Day(shown.div_euclid(DAY_MICROS)), minute_of_day }
    }

    /// The spans from one instant to another, in microseconds, which may be before 1970.
    fn spans(&self, first: i64, last: i64) -> Vec<Span> {
        let mut spans = vec![self.span(first)];
        while let Some(ended) = spans.last().map(|span| span.last).filter(|ended| *ended < last) {
            spans.push(self.span(ended + 1));
        }
        spans
    }

    /// The span from an instant on. The next span may have the same offset, since zones also change
    /// their names.
    fn span(&self, first: i64) -> Span {
        let next = self.0.following(instant(first)).next();
        let last = next.map_or(i64::MAX, |change| change.timestamp().as_microsecond() - 1);
        Span { first, last, offset: self.offset(first) }
    }

    fn offset(&self, micros: i64) -> i64 {
        i64::from(self.0.to_offset(instant(micros)).seconds()) * 1_000_000
    }
}

/// A span of time in which a zone's offset does not change. All values are in microseconds.
#[derive(Clone, Copy)]
struct Span {
    first: i64,
    last: i64,
    offset: i64,
}

/// An instant for the zones' rules, which end on 9999-12-30. Later ones are clamped to that end.
fn instant(micros: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX)
}

impl Timestamp {
    /// As [`Timestamp::parse`], for the start of a range: a date alone is a day of that zone. A
    /// time without an offset is UTC in any zone.
    ///
    /// # Errors
    /// As [`Timestamp::parse`].
    pub fn parse_since(text: &str, zone: &Zone) -> Result<Self, Invalid> {
        match Moment::parse(text)? {
            Moment::Instant(at) => Ok(at),
            Moment::Day(day) => Ok(zone.first_instant(day)),
        }
    }

    /// As [`Timestamp::parse_since`], for the end of a range: a date alone is its last instant, so
    /// that the whole day is included.
    ///
    /// # Errors
    /// As [`Timestamp::parse`].
    pub fn parse_until(text: &str, zone: &Zone) -> Result<Self, Invalid> {
        match Moment::parse(text)? {
            Moment::Instant(at) => Ok(at),
            Moment::Day(day) => Ok(zone.last_instant(day)),
        }
    }
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
        let day = Day((at.micros() + zone.offset(at.micros())).div_euclid(DAY_MICROS));
        day.clamp(Day::FIRST, Day::LAST)
    }

    #[test]
    fn a_wall_clock_shows_the_zones_date_and_minute() {
        for (name, at, shown) in [
            ("UTC", "2026-04-09T23:59:59Z", "2026-04-09 23:59"),
            ("Europe/Vienna", "2026-04-09T22:00:00Z", "2026-04-10 00:00"),
            ("Asia/Kathmandu", "2026-04-09T00:00:00Z", "2026-04-09 05:45"),
            ("America/Sao_Paulo", "1970-01-01T00:00:00Z", "1969-12-31 21:00"),
        ] {
            let clock = zone(name).wall_clock(Timestamp::parse(at).unwrap());
            assert_eq!(format!("{} {clock}", clock.day), shown, "{name}");
        }
    }

    #[test]
    fn what_a_clock_shows_is_read_back_as_the_first_such_instant() {
        for (name, shown, at) in [
            ("UTC", "2026-04-09T14:02", "2026-04-09T14:02:00Z"),
            ("Europe/Vienna", "2026-04-09T14:02:59", "2026-04-09T12:02:00Z"),
            // The clock goes from 02:00 to 03:00.
            ("Europe/Vienna", "2026-03-29T02:30", "2026-03-29T01:00:00Z"),
            // It shows 02:30 twice.
            ("Europe/Vienna", "2026-10-25T02:30", "2026-10-25T00:30:00Z"),
        ] {
            let clock = WallClock::parse(shown).unwrap();
            assert_eq!(zone(name).instant_of(clock).to_string(), at, "{name} {shown}");
        }
        for bad in ["", "2026-04-09", "2026-04-09T14:02Z", "2026-04-09T14:02+02:00", "x"] {
            assert!(WallClock::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_day_of_a_zone_begins_and_ends_when_its_clock_says() {
        for (name, date, first, last) in [
            ("UTC", "2026-04-09", "2026-04-09T00:00:00Z", "2026-04-09T23:59:59.999999Z"),
            ("Asia/Kathmandu", "2026-04-09", "2026-04-08T18:15:00Z", "2026-04-09T18:14:59.999999Z"),
            ("asia/kathmandu", "1985-12-31", "1985-12-30T18:30:00Z", "1985-12-31T18:29:59.999999Z"),
            // The clock is put from +05:30 to +05:45 at this midnight, and the day begins a quarter
            // late.
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
            // There are two midnights: the clock goes back to 23:00 of the day before.
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
            // The clock goes back at a minute past midnight: that minute belongs to the next day,
            // the hour after it does not.
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
            // The day before this one was skipped.
            ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", "2011-12-31T09:59:59.999999Z"),
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", "2011-12-30T09:59:59.999999Z"),
            ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z", "2011-12-30T09:59:59.999999Z"),
            // Rules are assumed to stay the same in the future.
            ("Europe/Vienna", "2500-07-01", "2500-06-30T22:00:00Z", "2500-07-01T21:59:59.999999Z"),
            // Times begin and end with the valid years.
            ("Asia/Tokyo", "1970-01-01", "1970-01-01T00:00:00Z", "1970-01-01T14:59:59.999999Z"),
            ("America/Lima", "9999-12-31", "9999-12-31T05:00:00Z", "9999-12-31T23:59:59.999999Z"),
            // Local dates outside of them count for the first and the last valid day.
            ("America/Lima", "1970-01-01", "1970-01-01T00:00:00Z", "1970-01-02T04:59:59.999999Z"),
            ("Asia/Tokyo", "9999-12-31", "9999-12-30T15:00:00Z", "9999-12-31T23:59:59.999999Z"),
        ] {
            let (zone, day) = (zone(name), day(date));
            let found = (zone.first_instant(day).to_string(), zone.last_instant(day).to_string());
            assert_eq!(found, (first.to_owned(), last.to_owned()), "{date} in {name}");
        }
    }

    #[test]
    fn unknown_time_zone_names_are_refused() {
        for bad in ["", "Vienna", "Europe/Wien", "+02:00", "EST5EDT4", "Etc/Unknown", "../UTC", "é"]
        {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
        for good in ["UTC", "Etc/UTC", "Europe/Kyiv", "Europe/Kiev", "US/Pacific", "EST5EDT"] {
            assert!(Zone::parse(good).is_ok(), "{good}");
        }
    }

    /// A cut as text: the date of its longest part, then the other parts.
    fn text_of(cut: &Cut) -> String {
        let date =
            |shown: Option<Day>| shown.map_or_else(|| "no date".to_owned(), |day| day.to_string());
        let rest = cut.rest.iter().map(|part| {
            let (since, until) = (part.range.since.unwrap(), part.range.until.unwrap());
            format!(", {since} to {until}: {}", date(part.shown))
        });
        date(cut.most) + &rest.collect::<String>()
    }

    #[test]
    fn a_utc_day_is_cut_where_the_clock_of_a_zone_shows_another_date() {
        let range = |since, until| TimeRange {
            since: Timestamp::parse(since).ok(),
            until: Timestamp::parse(until).ok(),
        };
        let open = TimeRange::default();
        for (name, date, within, cut_up) in [
            ("UTC", "2026-04-09", open, "2026-04-09"),
            (
                "Asia/Kathmandu",
                "2026-04-09",
                open,
                "2026-04-09, 2026-04-09T18:15:00Z to 2026-04-09T23:59:59.999999Z: 2026-04-10",
            ),
            (
                "America/New_York",
                "2026-07-01",
                open,
                "2026-07-01, 2026-07-01T00:00:00Z to 2026-07-01T03:59:59.999999Z: 2026-06-30",
            ),
            // Most of it has the next date.
            (
                "Pacific/Auckland",
                "2026-01-01",
                open,
                "2026-01-02, 2026-01-01T00:00:00Z to 2026-01-01T10:59:59.999999Z: 2026-01-01",
            ),
            // The clock changes, but not near midnight.
            (
                "Europe/Vienna",
                "2026-03-29",
                open,
                "2026-03-29, 2026-03-29T22:00:00Z to 2026-03-29T23:59:59.999999Z: 2026-03-30",
            ),
            // A date that was skipped.
            (
                "Pacific/Apia",
                "2011-12-30",
                open,
                "2011-12-31, 2011-12-30T00:00:00Z to 2011-12-30T09:59:59.999999Z: 2011-12-29",
            ),
            // The clock goes back at a minute past midnight.
            (
                "America/St_Johns",
                "2010-11-07",
                open,
                "2010-11-07, 2010-11-07T00:00:00Z to 2010-11-07T02:29:59.999999Z: 2010-11-06, \
                 2010-11-07T02:31:00Z to 2010-11-07T03:29:59.999999Z: 2010-11-06",
            ),
            // Parts outside of the range.
            (
                "Asia/Kathmandu",
                "2026-04-09",
                range("2026-04-09T01:00:00Z", "2026-04-09T20:00:00Z"),
                "2026-04-09, 2026-04-09T00:00:00Z to 2026-04-09T00:59:59.999999Z: no date, \
                 2026-04-09T18:15:00Z to 2026-04-09T20:00:00Z: 2026-04-10, \
                 2026-04-09T20:00:00.000001Z to 2026-04-09T23:59:59.999999Z: no date",
            ),
            (
                "Europe/Vienna",
                "2026-04-09",
                range("2026-04-09T21:00:00Z", "2027-01-01"),
                "no date, 2026-04-09T21:00:00Z to 2026-04-09T21:59:59.999999Z: 2026-04-09, \
                 2026-04-09T22:00:00Z to 2026-04-09T23:59:59.999999Z: 2026-04-10",
            ),
            ("Europe/Vienna", "2026-04-09", range("2027-01-01", "2028-01-01"), "no date"),
            ("Europe/Vienna", "2026-04-09", range("2026-04-09T12:00:00Z", "2026-04-09"), "no date"),
        ] {
            let cuts: Vec<_> = zone(name).cut([day(date)], within).collect();
            assert_eq!(cuts.iter().map(text_of).collect::<Vec<_>>(), [cut_up], "{date} in {name}");
        }
    }

    /// Checks a day in a zone: each instant around its bounds is looked up by itself.
    fn assert_day(zone: &Zone, name: &str, day: Day) {
        let (first, last) = (zone.first_instant(day), zone.last_instant(day));
        let near = TimeRange {
            since: Some(Timestamp::from_micros(first.micros() - DAY_MICROS)),
            until: Some(Timestamp::from_micros(last.micros() + DAY_MICROS)),
        };
        let utc = (first.day().0 - 2).max(0)..=(last.day().0 + 2).min(Timestamp::LAST.day().0);
        let cuts: Vec<_> = zone.cut(utc.map(Day), near).collect();
        let parts = cuts.iter().flat_map(|cut| &cut.rest);
        let bounds = parts.flat_map(|part| [part.range.since, part.range.until]).flatten();
        let moves = zone.spans(first.micros() - DAY_MICROS, last.micros() + DAY_MICROS);
        let moves = moves.iter().map(|span| Timestamp::from_micros(span.first));
        let bounds: Vec<_> = bounds.chain(moves).chain([first, last]).collect();
        for at in bounds.iter().flat_map(|at| [-1, 0, 1].map(|by| at.micros() + by)) {
            let at = Timestamp::from_micros(at);
            let is_shown = shown(zone, at);
            if is_shown == day {
                assert!(first <= at && at <= last, "{name} {day} {at}");
            }
            assert!(at >= first || is_shown < day, "{name} {day} {at} is too early");
            assert!(at <= last || is_shown > day, "{name} {day} {at} is too late");
        }
        for at in bounds.iter().flat_map(|at| [-1, 0, 1].map(|by| at.micros() + by)) {
            let at = Timestamp::from_micros(at);
            let around = cuts.iter().find(|cut| cut.day == at.day());
            let Some(cut) = around else { continue };
            let holds =
                |part: &&DayPart| part.range.since <= Some(at) && Some(at) <= part.range.until;
            let holding: Vec<_> = cut.rest.iter().filter(holds).collect();
            assert!(holding.len() <= 1, "{name} {at}");
            let found = holding.first().map_or(cut.most, |part| part.shown);
            let is_within = near.since <= Some(at) && Some(at) <= near.until;
            assert_eq!(found, is_within.then(|| shown(zone, at)), "{name} {at}");
        }
        for cut in &cuts {
            let length = |part: &DayPart| {
                part.range.until.unwrap().micros() - part.range.since.unwrap().micros() + 1
            };
            let rest: i64 = cut.rest.iter().map(length).sum();
            let longest = cut.rest.iter().map(length).max().unwrap_or(0);
            assert!(longest <= DAY_MICROS - rest, "{name} {}", cut.day);
        }
    }

    #[test]
    fn days_around_every_clock_change_of_every_zone_have_right_bounds_and_cuts() {
        let until = Timestamp::parse("2038-01-01").unwrap().micros();
        let mut moves = 0;
        for name in TimeZoneDatabase::bundled().available() {
            let zone = zone(name.as_str());
            for span in zone.spans(0, until) {
                let at = Timestamp::from_micros(span.first);
                for back in -1..=1 {
                    let day = Day(shown(&zone, at).0 + back);
                    if day >= Day::FIRST {
                        assert_day(&zone, name.as_str(), day);
                    }
                }
                moves += 1;
            }
        }
        assert!(moves > 10_000, "{moves}");
    }

    proptest! {
        #[test]
        fn random_days_of_random_zones_have_right_bounds_and_cuts(
            pick in any::<prop::sample::Index>(),
            day in prop_oneof![8 => Day::FIRST.0..=Day::LAST.0, 1 => 0..=2_i64, 1 => Day::LAST.0 - 2..=Day::LAST.0],
        ) {
            let database = TimeZoneDatabase::bundled();
            let names: Vec<_> = database.available().collect();
            let name = names[pick.index(names.len())].as_str().to_owned();
            assert_day(&zone(&name), &name, Day(day));
        }
    }
}
