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
