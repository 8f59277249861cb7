//! Times as a viewer reads them, in the viewer's zone.

use maud::{Markup, html};
use roots_domain::model::time::{Day, Timestamp};

use crate::look::Look;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time of the past or the future, in words up to a day away and as a date beyond: `2 min ago`,
/// `in 3 h`, `9 Apr`, `9 Apr 2025`. The full time shows on hover.
pub(crate) fn when(look: &Look, at: Timestamp) -> Markup {
    let seconds = seconds_between(at, look.now);
    let text = match seconds {
        0..MINUTE => "just now".to_owned(),
        MINUTE..DAY => format!("{} ago", span(seconds)),
        _ if seconds < 0 && -DAY < seconds => format!("in {}", span(-seconds)),
        _ => date(look, at),
    };
    titled(look, at, &text)
}

/// The hour and minute of a time: `14:02`.
pub(crate) fn clock(look: &Look, at: Timestamp) -> Markup {
    titled(look, at, &look.zone().wall_clock(at).to_string())
}

/// The hour and minute of a time of today: `14:02`. The date of any other: `9 Apr`.
pub(crate) fn clock_or_date(look: &Look, at: Timestamp) -> Markup {
    let day_of = |at| look.zone().wall_clock(at).day;
    if day_of(at) == day_of(look.now) { clock(look, at) } else { titled(look, at, &date(look, at)) }
}

/// The date and time in full: `9 Apr 2026, 14:02`.
pub(crate) fn full(look: &Look, at: Timestamp) -> String {
    let clock = look.zone().wall_clock(at);
    let (year, month, day) = clock.day.civil();
    format!("{day} {} {year}, {clock}", month_name(month))
}

/// The date of a time, with its year if that is not the current one.
pub(crate) fn date(look: &Look, at: Timestamp) -> String {
    day(look, look.zone().wall_clock(at).day)
}

/// A date of the viewer's zone, with its year if that is not the current one: `9 Apr`.
pub(crate) fn day(look: &Look, day: Day) -> String {
    let (year, month, of_month) = day.civil();
    let (this_year, _, _) = look.zone().wall_clock(look.now).day.civil();
    if year == this_year {
        format!("{of_month} {}", month_name(month))
    } else {
        format!("{of_month} {} {year}", month_name(month))
    }
}

/// A length of time in words, cut to its largest units: `0 min`, `47 min`, `5 h 2 min`, `12 h`,
/// `3 d`.
pub(crate) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..=35_999 if seconds % HOUR >= MINUTE => {
            format!("{} h {} min", seconds / HOUR, seconds % HOUR / MINUTE)
        }
        HOUR..DAY => format!("{} h", seconds / HOUR),
        _ => format!("{} d", seconds / DAY),
    }
}

/// The whole seconds from one time to another; negative if `to` is earlier.
pub(crate) const fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    (to.micros() - from.micros()).div_euclid(1_000_000)
}

fn titled(look: &Look, at: Timestamp, text: &str) -> Markup {
    let zone = look.zone().name();
    html! { time datetime=(at) title={ (full(look, at)) " (" (zone) ")" } { (text) } }
}

/// The short name of a month, counted from 1.
pub(crate) fn month_name(month: u32) -> &'static str {
    let index = usize::try_from(month).unwrap_or_default().saturating_sub(1);
    MONTHS.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(zone: &str, now: &str) -> Look {
        Look::of(&format!("roots-zone={zone}"), Timestamp::parse(now).unwrap())
    }

    #[test]
    fn times_read_as_words_up_to_a_day_away_and_as_dates_beyond() {
        let look = look("Europe/Vienna", "2026-04-09T12:00:00Z");
        for (at, text) in [
            ("2026-04-09T12:00:00Z", "just now"),
            ("2026-04-09T11:59:01Z", "just now"),
            ("2026-04-09T11:58:00Z", "2 min ago"),
            ("2026-04-09T06:58:00Z", "5 h 2 min ago"),
            ("2026-04-08T12:00:01Z", "23 h ago"),
            ("2026-04-08T12:00:00Z", "8 Apr"),
            ("2026-04-09T12:47:00Z", "in 47 min"),
            ("2026-04-10T12:00:00Z", "10 Apr"),
            ("2025-12-31T23:30:00Z", "1 Jan"),
            ("2025-12-31T22:30:00Z", "31 Dec 2025"),
        ] {
            let at = Timestamp::parse(at).unwrap();
            let shown = when(&look, at).into_string();
            assert!(shown.contains(&format!(">{text}</time>")), "{text}: {shown}");
        }
    }

    #[test]
    fn a_time_of_another_day_shows_its_date() {
        let look = look("Asia/Kathmandu", "2026-04-09T12:00:00Z");
        for (at, text) in [
            ("2026-04-08T18:14:59Z", "8 Apr"),
            ("2026-04-08T18:15:00Z", "00:00"),
            ("2026-04-09T12:00:00Z", "17:45"),
        ] {
            let shown = clock_or_date(&look, Timestamp::parse(at).unwrap()).into_string();
            assert!(shown.contains(&format!(">{text}</time>")), "{text}: {shown}");
        }
    }

    #[test]
    fn a_time_has_its_full_form_in_the_viewers_zone() {
        let look = look("Asia/Kathmandu", "2026-04-09T12:00:00Z");
        let at = Timestamp::parse("2026-04-09T11:00:00Z").unwrap();
        assert_eq!(
            clock(&look, at).into_string(),
            "<time datetime=\"2026-04-09T11:00:00Z\" title=\"9 Apr 2026, 16:45 (Asia/Kathmandu)\">16:45</time>"
        );
    }

    #[test]
    fn an_unknown_zone_is_utc_and_says_so() {
        let now = Timestamp::parse("2026-04-09T12:00:00Z").unwrap();
        for cookies in ["", "roots-zone=", "roots-zone=Nowhere/None", "roots-zone=../../etc"] {
            let look = Look::of(cookies, now);
            assert!(look.is_zone_unknown(), "{cookies}");
            assert_eq!(look.zone().name(), "UTC");
        }
    }
}
