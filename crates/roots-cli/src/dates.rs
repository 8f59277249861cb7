//! Times as people give them, in the local time zone, and as they are shown to people.

use std::fmt;

use chrono::{DateTime, Utc};
use interim::{Dialect, Interval, parse_date_string, parse_duration};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned, civil};

/// A time that was given, as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct When {
    time: Zoned,
    /// Whether only the day was given.
    is_day: bool,
}

/// The text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTime {
    /// It has several meanings.
    #[error("{0:?} has several meanings; write 2026-12-31, or \"2026-12-31 17:00\"")]
    Ambiguous(String),
    /// It is no time.
    #[error(
        "{0:?} is no time; write 2026-12-31T17:00:00Z, \"2026-12-31 17:00\", \"tomorrow 17:00\", \
         \"friday 9:00\" or 2h"
    )]
    Unknown(String),
}

/// A time to come, such as that at which a todo is due: `2h` is in two hours.
pub(crate) fn coming(text: &str) -> Result<When, InvalidTime> {
    understood(text, &Zoned::now())
}

/// A time that is past, such as the start of a list: `2h` is two hours ago.
pub(crate) fn past(text: &str) -> Result<When, InvalidTime> {
    understood_as_past(text, &Zoned::now())
}

/// The name of the local time zone in the IANA database, if it has one.
pub(crate) fn zone_name() -> Option<String> {
    TimeZone::system().iana_name().map(str::to_owned)
}

impl When {
    /// The time, or the beginning of the day.
    pub(crate) fn start(&self) -> DateTime<Utc> {
        instant(self.time.timestamp())
    }

    /// The time, or the end of the day.
    pub(crate) fn end(&self) -> DateTime<Utc> {
        let end = if self.is_day {
            let next = self.time.tomorrow().and_then(|day| day.start_of_day());
            next.and_then(|next| next.checked_sub(1.microsecond()))
        } else {
            Ok(self.time.clone())
        };
        end.map_or_else(|_| self.start(), |end| instant(end.timestamp()))
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_weekday(&self.time))
    }
}

/// A time in the local zone, for people: `Tue 2026-12-01 17:00 +01:00`.
pub(crate) fn shown(time: DateTime<Utc>) -> String {
    with_weekday(&local(time))
}

/// A time in the local zone, for tables: `2026-12-01 17:00`.
pub(crate) fn shown_short(time: DateTime<Utc>) -> String {
    local(time).strftime("%Y-%m-%d %H:%M").to_string()
}

fn with_weekday(time: &Zoned) -> String {
    time.strftime("%a %Y-%m-%d %H:%M %:z").to_string()
}

fn local(time: DateTime<Utc>) -> Zoned {
    let nanoseconds = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default();
    let time = Timestamp::new(time.timestamp(), nanoseconds).unwrap_or(Timestamp::MAX);
    time.to_zoned(TimeZone::system())
}

fn instant(time: Timestamp) -> DateTime<Utc> {
    let nanoseconds = u32::try_from(time.subsec_nanosecond()).unwrap_or_default();
    DateTime::from_timestamp(time.as_second(), nanoseconds).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn understood_as_past(text: &str, now: &Zoned) -> Result<When, InvalidTime> {
    // This refuses what the parser can't take, before it is asked for a duration.
    let when = understood(text, now)?;
    let text = text.trim().to_lowercase();
    let is_ahead = match parse_duration(&text) {
        Ok(Interval::Seconds(n) | Interval::Days(n) | Interval::Months(n)) => n > 0,
        Err(_) => false,
    };
    // `tomorrow` is a duration for the parser.
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    if is_ahead && is_number { understood(&format!("{text} ago"), now) } else { Ok(when) }
}

fn understood(text: &str, now: &Zoned) -> Result<When, InvalidTime> {
    let text = text.trim();
    let zone = now.time_zone();
    let unknown = || InvalidTime::Unknown(text.to_owned());
    let at = |time: Zoned| When { time, is_day: false };
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        let nanoseconds = i32::try_from(time.timestamp_subsec_nanos()).map_err(|_| unknown())?;
        let time = Timestamp::new(time.timestamp(), nanoseconds).map_err(|_| unknown())?;
        return Ok(at(time.to_zoned(zone.clone())));
    }
    if is_iso_date(text) {
        let day = text.parse::<civil::Date>().and_then(|day| day.to_zoned(zone.clone()));
        return day.map(|time| When { time, is_day: true }).map_err(|_| unknown());
    }
    if text.get(..10).is_some_and(is_iso_date) {
        let time = text.parse::<civil::DateTime>().and_then(|time| time.to_zoned(zone.clone()));
        return time.map(at).map_err(|_| unknown());
    }
    let text = text.to_lowercase();
    if let Some((_, days)) = DAYS.into_iter().find(|(name, _)| *name == text) {
        let day = now.date().checked_add(days.days()).and_then(|day| day.to_zoned(zone.clone()));
        return day.map(|time| When { time, is_day: true }).map_err(|_| unknown());
    }
    if is_ambiguous(&text) {
        return Err(InvalidTime::Ambiguous(text));
    }
    if is_misread(&text) {
        return Err(unknown());
    }
    parse_date_string(&text, now.clone(), Dialect::Uk).map(at).map_err(|_| unknown())
}

/// Days by their distance from this one. The parser would give them the present time of day.
const DAYS: [(&str, i64); 3] = [("yesterday", -1), ("today", 0), ("tomorrow", 1)];

/// Whether it has the form of `2026-12-31`.
fn is_iso_date(text: &str) -> bool {
    let form = |(place, byte): (usize, u8)| match place {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 10 && text.bytes().enumerate().all(form)
}

/// Whether it can be read in several ways: a date in numbers whose day and month have no fixed
/// places (`01/12/2026`, `1.12.26`), 12 am and 12 pm, and `next friday`.
fn is_ambiguous(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_date = |word: &&str| {
        ['.', '-'].into_iter().any(|separator| {
            let parts: Vec<&str> = word.split(separator).collect();
            parts.len() == 3 && parts.iter().all(|part| is_number(part))
        })
    };
    let is_next_weekday = |pair: &[&str]| {
        pair[0] == "next"
            && WEEKDAYS.iter().any(|day| pair[1].len() >= 3 && day.starts_with(pair[1]))
    };
    text.contains('/')
        || words.iter().any(is_date)
        || words.windows(2).any(is_next_weekday)
        || hours_of_half_days(&words).any(|hour| hour == "12")
}

const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Whether the parser would take it for another time than it says, or can't take it: a number alone
/// (the first day of that year), an hour past 23 (the next day), a time after hours (left out), and
/// words that no date has.
fn is_misread(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let hour_of = |word: &&str| word.split_once([':', '.']).map(|(hour, _)| hour.to_owned());
    let is_no_hour = |hour: &str| !hour.parse::<u8>().is_ok_and(|hour| hour < 24);
    let is_no_half_hour = |hour: &str| !hour.parse::<u8>().is_ok_and(|hour| hour < 12);
    let is_hours = |text: &str| matches!(parse_duration(text), Ok(Interval::Seconds(_)));
    words.is_empty()
        || is_number(text)
        || words.iter().any(|word| word.len() > 15 || !word.is_ascii())
        || words.iter().filter_map(hour_of).any(|hour| is_no_hour(&hour))
        || hours_of_half_days(&words).any(is_no_half_hour)
        || text
            .rsplit_once(' ')
            .is_some_and(|(start, end)| end.contains([':', '.']) && is_hours(start))
}

/// The hours that `am` or `pm` follows, in the same word or in the next one.
fn hours_of_half_days<'t>(words: &[&'t str]) -> impl Iterator<Item = &'t str> {
    let halves = words.iter().enumerate().filter_map(|(place, word)| {
        let time = word.strip_suffix("am").or_else(|| word.strip_suffix("pm"))?;
        match time {
            "" => place.checked_sub(1).map(|before| words[before]),
            time => time.starts_with(|c: char| c.is_ascii_digit()).then_some(time),
        }
    });
    halves.filter_map(|time| time.split([':', '.']).next()).collect::<Vec<_>>().into_iter()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday, in a zone with summer time.
    fn now() -> Zoned {
        "2026-11-29T15:30:00+01:00[Europe/Vienna]".parse().unwrap()
    }

    fn shown_of(text: &str) -> String {
        understood(text, &now()).unwrap().to_string()
    }

    #[test]
    fn times_are_read_in_local_time() {
        for (text, time) in [
            ("tomorrow 17:00", "Mon 2026-11-30 17:00 +01:00"),
            ("Tomorrow", "Mon 2026-11-30 00:00 +01:00"),
            ("today", "Sun 2026-11-29 00:00 +01:00"),
            ("2h", "Sun 2026-11-29 17:30 +01:00"),
            ("3 days", "Wed 2026-12-02 15:30 +01:00"),
            ("2 hours ago", "Sun 2026-11-29 13:30 +01:00"),
            ("friday 9:00", "Fri 2026-12-04 09:00 +01:00"),
            ("2026-12-31", "Thu 2026-12-31 00:00 +01:00"),
            ("2026-12-31 17:00", "Thu 2026-12-31 17:00 +01:00"),
            ("24 December 2026 18:00", "Thu 2026-12-24 18:00 +01:00"),
            ("17:00", "Sun 2026-11-29 17:00 +01:00"),
            ("Tomorrow 9AM", "Mon 2026-11-30 09:00 +01:00"),
            ("tomorrow 9:30 pm", "Mon 2026-11-30 21:30 +01:00"),
            ("2026-12-31T17:00", "Thu 2026-12-31 17:00 +01:00"),
            ("last friday 8:00", "Fri 2026-11-27 08:00 +01:00"),
            // Summer time.
            ("2027-07-01 12:00", "Thu 2027-07-01 12:00 +02:00"),
        ] {
            assert_eq!(shown_of(text), time, "{text}");
        }
    }

    #[test]
    fn rfc_3339_is_an_instant() {
        for (text, time) in [
            ("2026-12-31T17:00:00Z", "Thu 2026-12-31 18:00 +01:00"),
            ("2026-12-31T17:00:00-05:00", "Thu 2026-12-31 23:00 +01:00"),
        ] {
            assert_eq!(shown_of(text), time, "{text}");
        }
        let precise = understood("2026-12-31T17:00:00.250Z", &now()).unwrap();
        assert_eq!(precise.start().to_rfc3339(), "2026-12-31T17:00:00.250+00:00");
    }

    #[test]
    fn times_of_several_meanings_are_refused() {
        for text in [
            "01/12/2026",
            "1/12",
            "2026/12/01",
            "01/12/2026 17:00",
            "1.12.2026",
            "01-12-2026",
            "next friday",
            "next Fri 9:00",
            "tomorrow 12pm",
            "tomorrow 12:30 AM",
        ] {
            let refused = understood(text, &now());
            assert!(matches!(refused, Err(InvalidTime::Ambiguous(_))), "{text}: {refused:?}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            " ",
            "2026",
            "5",
            "soon",
            "tomorrow 24:00",
            "tomorrow 25.00",
            "tomorrow 13pm",
            "tomorrow 9:61",
            "tomorrow 9:00 foo",
            "tomorrow 9 PleaseDoNotPanicHere",
            "2026-02-30",
            "2026-02-30 17:00",
            "2026-12-31 25:00",
            "12 foo",
            "2h 17:30",
            "2h 30m",
            "übermorgen",
        ] {
            let refused = understood(text, &now());
            assert!(matches!(refused, Err(InvalidTime::Unknown(_))), "{text}: {refused:?}");
        }
    }

    #[test]
    fn a_duration_counts_back_where_the_past_is_meant() {
        let shown_as_past = |text| understood_as_past(text, &now()).unwrap().to_string();
        assert_eq!(shown_as_past("2h"), "Sun 2026-11-29 13:30 +01:00");
        assert_eq!(shown_as_past("3 days"), "Thu 2026-11-26 15:30 +01:00");
        assert_eq!(shown_as_past("2h ago"), "Sun 2026-11-29 13:30 +01:00");
        assert_eq!(shown_as_past("yesterday 8:00"), "Sat 2026-11-28 08:00 +01:00");
        assert_eq!(shown_as_past("yesterday"), "Sat 2026-11-28 00:00 +01:00");
        assert_eq!(shown_as_past("Yesterday 8 AM"), "Sat 2026-11-28 08:00 +01:00");
        assert!(understood_as_past("yesterday 9 PleaseDoNotPanicHere", &now()).is_err());
    }

    #[test]
    fn a_day_ends_before_the_next_one_begins() {
        let day = understood("2026-12-31", &now()).unwrap();
        assert_eq!(day.start().to_rfc3339(), "2026-12-30T23:00:00+00:00");
        assert_eq!(day.end().to_rfc3339(), "2026-12-31T22:59:59.999999+00:00");
        let time = understood("2026-12-31 10:00", &now()).unwrap();
        assert_eq!(time.start(), time.end());
    }
}
