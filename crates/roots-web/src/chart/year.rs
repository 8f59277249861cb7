//! The year as a heat map: a cell a day, a column a week.

use std::fmt::Write;

use maud::{Markup, html};
use roots_domain::model::chart::{LEVELS, Year};
use roots_domain::model::time::Day;

use super::frame::{number, plural, scrolling, table};
use crate::look::Look;
use crate::query;
use crate::time;

/// A cell and the gap after it, in units.
const PITCH: i64 = 13;
/// Where the cells begin.
const LEFT: i64 = 30;
const TOP: i64 = 18;

/// What the year shows, in words: `4,812 on 214 days`.
pub(crate) fn finding(year: &Year) -> String {
    let days = i64::try_from(year.days_with_work).unwrap_or(i64::MAX);
    format!("{} on {}", number(year.total), plural(days, "day", "days"))
}

/// The heat map with its table.
pub(crate) fn chart(look: &Look, year: &Year, id: &str, agent: Option<String>) -> Markup {
    let most = year
        .most
        .map(|(day, count)| format!(", most on {}: {}", time::day(look, day), number(count)));
    let name = format!(
        "Activities by day, {} to {}: {}{}",
        time::day(look, year.first),
        time::day(look, year.last),
        finding(year),
        most.unwrap_or_default(),
    );
    let weeks = (year.last.0 - year.first.0) / 7 + 1;
    let width = LEFT + weeks * PITCH;
    let drawing = html! {
        svg role="img" aria-labelledby={ (id) "-name" } width=(width) height="112"
            viewBox={ "0 0 " (width) " 112" } data-year=(year.first) {
            title id={ (id) "-name" } { (name) }
            @for (x, month) in months(year) { text x=(x) y="10" { (month) } }
            @for (row, day) in [(0, "Mon"), (2, "Wed"), (4, "Fri")] {
                text x="0" y=(TOP + row * PITCH + 9) { (day) }
            }
            @for level in 0..=LEVELS { path class={ "l" (level) } d=(cells(year, level)) {} }
        }
    };
    html! {
        (scrolling("The year", drawing))
        (numbers(look, year, id, agent.as_deref()))
    }
}

/// The cells of a level, as one path.
fn cells(year: &Year, level: u8) -> String {
    let mut path = String::new();
    for (day, ..) in year.iter().filter(|(.., of_day)| *of_day == level) {
        let index = day.0 - year.first.0;
        let (x, y) = (LEFT + index / 7 * PITCH, TOP + index % 7 * PITCH);
        // Writing to a string never fails.
        let _ = write!(path, "M{x} {y}h10v10h-10z");
    }
    path
}

/// The months, each above the first week that begins in it, unless the one before is too close.
fn months(year: &Year) -> Vec<(i64, &'static str)> {
    let mut found = Vec::<(i64, &'static str)>::new();
    let mut before = None;
    for week in 0..=(year.last.0 - year.first.0) / 7 {
        let (_, month, _) = Day(year.first.0 + week * 7).civil();
        let x = LEFT + week * PITCH;
        let has_room = found.last().is_none_or(|(last, _)| x - last >= 2 * PITCH);
        if before != Some(month) && has_room {
            found.push((x, time::month_name(month)));
        }
        before = Some(month);
    }
    found
}

/// The weeks that have any, each with its days.
fn numbers(look: &Look, year: &Year, id: &str, agent: Option<&str>) -> Markup {
    let heads = ["Week of", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let weeks = year.days.chunks(7).enumerate().rev();
    let weeks = weeks.filter(|(_, days)| days.iter().any(|(count, _)| *count > 0));
    let rows = weeks.map(|(week, days)| {
        let first = year.first.0 + i64::try_from(week).unwrap_or_default() * 7;
        let params = [
            ("since", Some(Day(first).to_string())),
            ("until", Some(Day(first + 6).to_string())),
            ("agent", agent.map(ToOwned::to_owned)),
        ];
        let link = query::link("/activity", &params);
        let name = html! { a href=(link) { (time::day(look, Day(first))) } };
        let days = days.iter().map(|(count, _)| {
            if *count == 0 {
                html! {}
            } else {
                html! { (number(*count)) }
            }
        });
        std::iter::once(name).chain(days).collect()
    });
    table(id, &heads, rows)
}
