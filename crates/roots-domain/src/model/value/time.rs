//! Instants and days, and their text forms.
//!
//! Times are UTC, to the microsecond, in the years 1970 to 9999. They are stored as one integer, so
//! that every database orders and compares them alike.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Timelike};

use super::invalid::Invalid;

/// Microseconds in a day.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// Microseconds in a quarter hour.
pub const QUARTER_HOUR_MICROS: i64 = 900_000_000;

/// 9999-12-31T23:59:59.999999Z.
const LAST_MICROS: i64 = 253_402_300_799_999_999;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first valid instant.
    pub const FIRST: Self = Self(0);
    /// The last valid instant.
    pub const LAST: Self = Self(LAST_MICROS);

    /// The instant `micros` microseconds after 1970, clamped to the valid years.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(0, LAST_MICROS))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The UTC day it falls on.
    #[must_use]
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(DAY_MICROS))
    }

    /// The quarter hour it falls on.
    #[must_use]
    pub const fn quarter_hour(self) -> QuarterHour {
        QuarterHour(self.0.div_euclid(QUARTER_HOUR_MICROS))
    }

    /// The instant right after it.
    #[must_use]
    pub fn just_after(self) -> Self {
        Self::from_micros(self.0.saturating_add(1))
    }

    /// The first of these times that is still to come.
    pub fn next_of(self, times: impl IntoIterator<Item = Self>) -> Option<Self> {
        times.into_iter().filter(|time| *time > self).min()
    }

    /// The instant `seconds` later, clamped to the valid years.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_micros(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Parses a date or time of RFC 3339, in UTC if it has no offset. A date alone is the instant
    /// at which the day begins. Anything finer than a microsecond is cut off. The seconds may be
    /// missing, an offset may lack the colon or the minutes, and the decimal point may be a comma.
    /// A leap second is read as the second after it.
    ///
    /// # Errors
    /// Says the form, or that the year is out of range.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match Moment::parse(text)? {
            Moment::Instant(at) => Ok(at),
            Moment::Day(day) => Ok(day.first_instant()),
        }
    }
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(at: std::time::SystemTime) -> Self {
        let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::from_micros(i64::try_from(since.as_micros()).unwrap_or(LAST_MICROS))
    }
}

/// RFC 3339 in UTC with `Z`; whole seconds print without a fraction.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = DateTime::from_timestamp_micros(self.0).unwrap_or_default();
        let fraction =
            if at.nanosecond() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
        f.write_str(&at.to_rfc3339_opts(fraction, true))
    }
}

/// A calendar day, of UTC or of a zone: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// The first one of the valid years.
    pub const FIRST: Self = Self(0);
    /// The last one of the valid years.
    pub const LAST: Self = Self(LAST_MICROS / DAY_MICROS);

    /// Its first microsecond in UTC.
    #[must_use]
    pub fn first_instant(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_mul(DAY_MICROS))
    }

    /// Its last microsecond in UTC.
    #[must_use]
    pub fn last_instant(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_mul(DAY_MICROS).saturating_add(DAY_MICROS - 1))
    }
}

impl Day {
    /// The day of a date.
    pub(in crate::model) fn of(date: NaiveDate) -> Self {
        Self(date.signed_duration_since(DateTime::UNIX_EPOCH.date_naive()).num_days())
    }

    /// Its year, its month (1 to 12) and its day of the month (1 to 31).
    #[must_use]
    pub fn civil(self) -> (i32, u32, u32) {
        let date = self.date();
        (date.year(), date.month(), date.day())
    }

    /// Its day of the week: 0 for Monday to 6 for Sunday.
    #[must_use]
    pub const fn weekday(self) -> i64 {
        // 1970-01-01 was a Thursday.
        (self.0 + 3).rem_euclid(7)
    }

    /// Its date, clamped to the valid years.
    pub(in crate::model) fn date(self) -> NaiveDate {
        // A zone's day may lie just outside of the valid years.
        let seconds = self.0.saturating_mul(DAY_MICROS / 1_000_000);
        DateTime::from_timestamp(seconds, 0).unwrap_or_default().date_naive()
    }
}

/// `2026-04-09`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

/// A quarter hour: quarters since 1970-01-01T00:00:00Z. The days of most zones begin and end
/// with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuarterHour(pub i64);

impl QuarterHour {
    /// The first one of the valid years.
    pub const FIRST: Self = Timestamp::FIRST.quarter_hour();
    /// The last one of the valid years.
    pub const LAST: Self = Timestamp::LAST.quarter_hour();

    /// The UTC day it falls on.
    #[must_use]
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(DAY_MICROS / QUARTER_HOUR_MICROS))
    }

    /// Its first microsecond.
    #[must_use]
    pub fn first_instant(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_mul(QUARTER_HOUR_MICROS))
    }

    /// Its last microsecond.
    #[must_use]
    pub fn last_instant(self) -> Timestamp {
        let first = self.0.saturating_mul(QUARTER_HOUR_MICROS);
        Timestamp::from_micros(first.saturating_add(QUARTER_HOUR_MICROS - 1))
    }
}

/// A span of time, both ends included. A missing end is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TimeRange {
    /// From here.
    pub since: Option<Timestamp>,
    /// To here.
    pub until: Option<Timestamp>,
}

/// A range, split into whole spans of one length, whose counts are stored, and the partial spans at
/// its ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// First and last of the whole spans, counted since 1970.
    pub whole: Option<(i64, i64)>,
    /// The partial spans, at most two. Each is shorter than a span, unless there is no whole span
    /// between them.
    pub ends: Vec<TimeRange>,
}

impl TimeRange {
    /// Whether both ends are open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// Splits it into whole days and partial ones. A range that ends before it begins is empty.
    #[must_use]
    pub fn by_day(&self) -> Split {
        self.by_spans_of(DAY_MICROS)
    }

    /// Splits it into whole quarter hours and partial ones, as [`TimeRange::by_day`].
    #[must_use]
    pub fn by_quarter_hour(&self) -> Split {
        self.by_spans_of(QUARTER_HOUR_MICROS)
    }

    fn by_spans_of(&self, micros: i64) -> Split {
        let since = self.since.unwrap_or(Timestamp::FIRST).0;
        let until = self.until.unwrap_or(Timestamp::LAST).0;
        if since > until {
            return Split::default();
        }
        let range =
            |first, last| Self { since: Some(Timestamp(first)), until: Some(Timestamp(last)) };
        let starts_whole = since % micros == 0;
        let ends_whole = (until + 1) % micros == 0;
        let first = since / micros + i64::from(!starts_whole);
        let last = until / micros - i64::from(!ends_whole);
        if first > last {
            return Split { whole: None, ends: vec![range(since, until)] };
        }
        let head = (!starts_whole).then(|| range(since, first * micros - 1));
        let tail = (!ends_whole).then(|| range((last + 1) * micros, until));
        Split { whole: Some((first, last)), ends: head.into_iter().chain(tail).collect() }
    }
}

/// A parsed text: a whole day, or an instant.
pub(super) enum Moment {
    Day(Day),
    Instant(Timestamp),
}

impl Moment {
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let form = || {
            Invalid::new(
                "must be a date or time of RFC 3339, such as 2026-04-09 or 2026-04-09T14:00:00Z",
            )
        };
        if !text.is_ascii() {
            return Err(form());
        }
        let (date, rest) = text.split_at_checked(10).ok_or_else(form)?;
        let date = read_date(date).ok_or_else(form)?;
        if rest.is_empty() {
            let day = in_range(date.and_time(NaiveTime::MIN), 0)?.day();
            return Ok(Self::Day(day));
        }
        let rest = rest.strip_prefix(['T', 't', ' ']).ok_or_else(form)?;
        let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
            Some(at) => rest.split_at(at),
            None => (rest, "Z"),
        };
        let clock = read_clock(clock).ok_or_else(form)?;
        let offset_seconds = read_offset(offset).ok_or_else(form)?;
        let local = date.and_time(clock);
        if is_leap_second(local) && !ends_a_month(local, offset_seconds) {
            return Err(form());
        }
        in_range(local, offset_seconds).map(Self::Instant)
    }
}

/// Whether a time is the 61st second of its minute, which chrono represents in the nanoseconds.
fn is_leap_second(local: NaiveDateTime) -> bool {
    local.nanosecond() >= 1_000_000_000
}

/// Whether a leap second is where RFC 3339, 5.7 allows one: at the end of a month of UTC. Leap
/// seconds are announced at most half a year ahead, so a program can't know the months.
fn ends_a_month(local: NaiveDateTime, offset_seconds: i64) -> bool {
    let after = local.and_utc().timestamp() + 1 - offset_seconds;
    DateTime::from_timestamp(after, 0)
        .is_some_and(|after| after.day() == 1 && after.time() == NaiveTime::MIN)
}

fn in_range(local: NaiveDateTime, offset_seconds: i64) -> Result<Timestamp, Invalid> {
    let micros = local.and_utc().timestamp_micros() - offset_seconds * 1_000_000;
    if (0..=LAST_MICROS).contains(&micros) {
        Ok(Timestamp(micros))
    } else {
        Err(Invalid::new("must lie in the years 1970 to 9999"))
    }
}

fn digits(text: &str, length: usize) -> Option<u32> {
    let plain = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn read_date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let year = i32::try_from(digits(year, 4)?).ok()?;
    NaiveDate::from_ymd_opt(year, digits(month, 2)?, digits(day, 2)?)
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fraction`.
fn read_clock(text: &str) -> Option<NaiveTime> {
    let mut parts = text.splitn(3, ':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let (second, micros) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once(['.', ',']) {
            None => (digits(seconds, 2)?, 0),
            Some((whole, fraction)) => (digits(whole, 2)?, read_fraction(fraction)?),
        },
    };
    if second == 60 {
        return NaiveTime::from_hms_micro_opt(hour, minute, 59, 1_000_000 + micros);
    }
    NaiveTime::from_hms_micro_opt(hour, minute, second, micros)
}

fn read_fraction(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kept = &text[..text.len().min(6)];
    format!("{kept:0<6}").parse().ok()
}

/// `Z`, `±HH:MM`, `±HHMM` or `±HH`, in seconds east of UTC.
fn read_offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.len() {
        2 => (rest, "00"),
        4 => rest.split_at(2),
        5 => rest.split_once(':')?,
        _ => return None,
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then(|| sign * i64::from(hours * 3_600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::zone::Zone;
    use super::*;

    fn message_of(text: &str) -> String {
        Timestamp::parse(text).map_or_else(|error| error.to_string(), |at| at.to_string())
    }

    #[test]
    fn the_next_of_some_times_is_the_first_that_is_still_to_come() {
        let at = |micros| Timestamp::from_micros(micros);
        assert_eq!(at(5).next_of([at(9), at(7), at(5), at(1)]), Some(at(7)));
        assert_eq!(at(9).next_of([at(9), at(7)]), None);
        assert_eq!(at(5).just_after(), at(6));
        assert_eq!(Timestamp::LAST.just_after(), Timestamp::LAST);
    }

    #[test]
    fn times_are_parsed_in_any_offset_and_printed_in_utc() {
        for (text, expected) in [
            ("2026-04-10T00:00:00Z", "2026-04-10T00:00:00Z"),
            ("2026-04-10t00:00:00z", "2026-04-10T00:00:00Z"),
            ("2026-04-10 00:00:00", "2026-04-10T00:00:00Z"),
            ("2026-04-10T02:00+02:00", "2026-04-10T00:00:00Z"),
            ("2026-04-09T19:00:00-0500", "2026-04-10T00:00:00Z"),
            ("2026-04-10T05:30:00+05:30", "2026-04-10T00:00:00Z"),
            ("2026-04-10", "2026-04-10T00:00:00Z"),
            ("2026-04-10T00:00:00.5Z", "2026-04-10T00:00:00.500000Z"),
            ("2026-04-10T00:00:00.1234569Z", "2026-04-10T00:00:00.123456Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00Z"),
            ("2017-01-01T05:29:60.5+05:30", "2017-01-01T00:00:00.500000Z"),
            ("2024-02-29T23:59:60Z", "2024-03-01T00:00:00Z"),
            ("1970-01-01", "1970-01-01T00:00:00Z"),
            ("1969-12-31T23:30:00-01:00", "1970-01-01T00:30:00Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(message_of(text), expected, "{text}");
        }
    }

    #[test]
    fn malformed_times_and_times_outside_1970_to_9999_are_refused() {
        for bad in [
            "",
            "now",
            "2026",
            "2026-04",
            "2026-4-9",
            "2026-13-01",
            "2026-02-30",
            "20260409",
            "20260409T100000Z",
            "2026-04-09T100000Z",
            "2026-W15-4",
            "2026-099",
            "2026-04-09T24:00:00Z",
            "2026-04-10T12:30:60Z",
            "2026-04-30T23:58:60Z",
            "2026-04-29T23:59:60Z",
            "2026-04-30T22:59:60Z",
            "2026-04-30T23:59:60+01:00",
            "2026-04-10T",
            "2026-04-10T25:00Z",
            "2026-04-10T00:60Z",
            "2026-04-10T00:00:61Z",
            "2026-04-10T00:00:00.Z",
            "2026-04-10T00:00:00+24:00",
            "2026-04-10T00:00:00+1",
            "2026-04-10T00:00:00ZZ",
            "2026-04-10X00:00",
            "2026-04-10T00:00:00é",
            "1 2026-04-10",
            "+026-04-10",
            "１２３４",
        ] {
            assert!(message_of(bad).contains("RFC 3339"), "{bad}: {}", message_of(bad));
        }
        for far in ["1969-12-31", "0001-01-01", "1970-01-01T00:00:00+01:00"] {
            assert!(message_of(far).contains("1970 to 9999"), "{far}");
        }
        assert!(message_of("9999-12-31T23:59:59-01:00").contains("1970 to 9999"));
    }

    #[test]
    fn a_plain_date_as_until_includes_the_whole_day() {
        let until = Timestamp::parse_until("2026-04-09", &Zone::UTC).unwrap();
        assert_eq!(until.to_string(), "2026-04-09T23:59:59.999999Z");
        let exact = Timestamp::parse_until("2026-04-09T00:00Z", &Zone::UTC).unwrap();
        assert_eq!(exact.to_string(), "2026-04-09T00:00:00Z");
        assert_eq!(until.day(), exact.day());
        assert_eq!(until.day().to_string(), "2026-04-09");
    }

    proptest! {
        #[test]
        fn a_timestamp_round_trips_and_lies_in_its_day_and_quarter_hour(micros in 0..=LAST_MICROS) {
            let at = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse(&at.to_string()).unwrap(), at);
            let day = at.day();
            prop_assert!(day.first_instant() <= at && at <= day.last_instant());
            let quarter_hour = at.quarter_hour();
            prop_assert!(quarter_hour.first_instant() <= at && at <= quarter_hour.last_instant());
            prop_assert_eq!(quarter_hour.day(), day);
        }

        #[test]
        fn a_split_covers_each_instant_of_its_range_once(
            since in proptest::option::of(0..6 * DAY_MICROS),
            until in proptest::option::of(0..6 * DAY_MICROS),
            whole_since in any::<bool>(),
            whole_until in any::<bool>(),
            probe in 0..7 * DAY_MICROS,
        ) {
            let at = Timestamp::from_micros;
            let since = since.map(at).map(|t| if whole_since { t.day().first_instant() } else { t });
            let until = until.map(at).map(|t| if whole_until { t.day().last_instant() } else { t });
            let range = TimeRange { since, until };
            let probes = [since, until, Some(at(probe))];
            for (split, micros) in [(range.by_day(), DAY_MICROS), (range.by_quarter_hour(), QUARTER_HOUR_MICROS)] {
                for probe in probes.into_iter().flatten() {
                    let is_in = |range: &TimeRange| {
                        range.since.is_none_or(|s| s <= probe) && range.until.is_none_or(|u| probe <= u)
                    };
                    let span = probe.micros() / micros;
                    let by_span = split.whole.is_some_and(|(f, l)| f <= span && span <= l);
                    let by_end = split.ends.iter().filter(|end| is_in(end)).count();
                    prop_assert_eq!(usize::from(by_span) + by_end, usize::from(is_in(&range)));
                }
                prop_assert!(split.ends.len() <= 2);
            }
        }

        #[test]
        fn parsing_arbitrary_text_as_a_time_does_not_panic(text in "\\PC{0,40}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
