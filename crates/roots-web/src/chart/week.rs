//! The hours of a week as a heat map.

use std::fmt::Write;

use maud::{Markup, html};
use roots_domain::model::chart::{LEVELS, WeekHours};

use super::frame::{number, scrolling, table};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAYS_IN_FULL: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const LEFT: usize = 34;
const TOP: usize = 18;
const CELL: usize = 20;
const PITCH_X: usize = 23;
const PITCH_Y: usize = 15;

/// The hours of each day of the week, in the viewer's zone.
pub(crate) fn chart(week: &WeekHours, weeks: i64, id: &str) -> Markup {
    let most = week.most().map(|(day, hour, count)| {
        let day = DAYS_IN_FULL.get(day).copied().unwrap_or_default();
        format!(", most on {day}s from {hour:02}:00: {}", number(count))
    });
    let name = format!(
        "Activities of {weeks} weeks by hour and day: {}{}",
        number(week.total()),
        most.unwrap_or_default()
    );
    let (width, height) = (LEFT + 24 * PITCH_X, TOP + 7 * PITCH_Y);
    let drawing = html! {
        svg role="img" aria-labelledby={ (id) "-name" } width=(width) height=(height)
            viewBox={ "0 0 " (width) " " (height) } {
            title id={ (id) "-name" } { (name) }
            @for hour in [0, 6, 12, 18] {
                text x=(LEFT + hour * PITCH_X) y="11" { (format!("{hour:02}")) }
            }
            @for (row, day) in DAYS.iter().enumerate() {
                text x="0" y=(TOP + row * PITCH_Y + 10) { (day) }
            }
            g stroke-width="12" {
                @for level in 0..=LEVELS { path class={ "l" (level) } d=(cells(week, level)) {} }
            }
        }
    };
    let heads: Vec<_> = std::iter::once("Hour").chain(DAYS).collect();
    let count = |day: &[i64; 24], hour: usize| day.get(hour).copied().unwrap_or_default();
    let has_any = |hour: &usize| week.hours.iter().any(|day| count(day, *hour) > 0);
    let rows = (0..24).filter(has_any).map(|hour| {
        let name = html! { (format!("{hour:02}")) };
        let counts = week.hours.iter().map(|day| match count(day, hour) {
            0 => html! {},
            count => html! { (number(count)) },
        });
        std::iter::once(name).chain(counts).collect()
    });
    html! {
        (scrolling("Hours of the week", &drawing))
        (table(id, &heads, rows))
    }
}

fn cells(week: &WeekHours, level: u8) -> String {
    let mut path = String::new();
    for (row, hours) in week.hours.iter().enumerate() {
        for (hour, count) in hours.iter().enumerate() {
            if week.level(*count) == level {
                let (x, y) = (LEFT + hour * PITCH_X, TOP + row * PITCH_Y + 6);
                // Writing to a string never fails.
                let _ = write!(path, "M{x} {y}h{CELL}");
            }
        }
    }
    path
}
