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
/// The days of the week stand left of the cells, in a drawing of their own.
const LEFT: i64 = 30;
const TOP: i64 = 18;
const HEIGHT: i64 = 112;

/// What the year shows, in words: `4,812 on 214 days`.
pub(crate) fn finding(year: &Year) -> String {
    let days = i64::try_from(year.days_with_work).unwrap_or(i64::MAX);
    format!("{} on {}", number(year.total), plural(days, "day", "days"))
}

/// The rows of the table beside the year.
#[derive(Clone, Copy)]
pub(crate) enum Numbers {
    /// A row a month: the page stays small.
    Months,
    /// A row a week, with each of its days.
    Weeks,
}

/// The heat map with its table. `agent` is the filter of the links.
pub(crate) fn chart(
    look: &Look,
    year: &Year,
    numbers: Numbers,
    id: &str,
    agent: Option<&str>,
) -> Markup {
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
    let width = weeks * PITCH;
    let week_days = html! {
        svg aria-hidden="true" width=(LEFT) height=(HEIGHT)
            viewBox={ "0 0 " (LEFT) " " (HEIGHT) } {
            @for (row, day) in [(0, "Mon"), (2, "Wed"), (4, "Fri")] {
                text x="0" y=(TOP + row * PITCH + 9) { (day) }
            }
        }
    };
    let drawing = html! {
        svg role="img" aria-labelledby={ (id) "-name" } width=(width) height=(HEIGHT)
            viewBox={ "0 0 " (width) " " (HEIGHT) } data-year=(year.first) {
            title id={ (id) "-name" } { (name) }
            @for (x, month) in months(year) { text x=(x) y="10" { (month) } }
            g stroke-width="10" {
                @for level in 0..=LEVELS { path class={ "l" (level) } d=(cells(year, level)) {} }
            }
        }
    };
    html! {
        // Phones show the last 26 of its 53 weeks: the stylesheet cuts the others off.
        div.beside.weeks { (week_days) (scrolling("The year", &drawing)) }
        p.muted.phone { "The last 26 weeks." }
        @match numbers {
            Numbers::Months => (months_table(look, year, id, agent)),
            Numbers::Weeks => (weeks_table(look, year, id, agent)),
        }
    }
}

/// The cells of a level, as one path of strokes that are as wide as they are long.
fn cells(year: &Year, level: u8) -> String {
    let mut path = String::new();
    for (day, ..) in year.iter().filter(|(.., of_day)| *of_day == level) {
        let index = day.0 - year.first.0;
        let (x, y) = (index / 7 * PITCH, TOP + index % 7 * PITCH + 5);
        // Writing to a string never fails.
        let _ = write!(path, "M{x} {y}h10");
    }
    path
}

/// The months, each above the first week that begins in it.
fn months(year: &Year) -> Vec<(i64, &'static str)> {
    let mut found = Vec::<(i64, &'static str)>::new();
    let mut before = None;
    for week in 0..=(year.last.0 - year.first.0) / 7 {
        let (_, month, _) = Day(year.first.0 + week * 7).civil();
        let x = week * PITCH;
        if before != Some(month) {
            // Only the month that the year begins with may be too short for its name.
            found.pop_if(|(last, _)| x - *last < 2 * PITCH);
            found.push((x, time::month_name(month)));
        }
        before = Some(month);
    }
    found
}

/// The weeks that have any, each with its days.
fn weeks_table(look: &Look, year: &Year, id: &str, agent: Option<&str>) -> Markup {
    let heads = ["Week of", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let weeks = year.days.chunks(7).enumerate().rev();
    let weeks = weeks.filter(|(_, days)| days.iter().any(|(count, _)| *count > 0));
    let rows = weeks.map(|(week, days)| {
        let first = year.first.0 + i64::try_from(week).unwrap_or_default() * 7;
        let link = link(Day(first), Day(first + 6), agent);
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

/// The months that have any.
fn months_table(look: &Look, year: &Year, id: &str, agent: Option<&str>) -> Markup {
    let months = year.months();
    let rows = months.iter().rev().map(|month| {
        let link = link(month.first, month.last, agent);
        let (first, last) = (time::day(look, month.first), time::day(look, month.last));
        let name = html! { a href=(link) { (first) " to " (last) } };
        vec![name, html! { (number(month.total)) }, html! { (number(month.days_with_work)) }]
    });
    table(id, &["Month", "Entries", "Days"], rows)
}

/// The link to the activities of some days.
fn link(first: Day, last: Day, agent: Option<&str>) -> String {
    let params = [
        ("since", Some(first.to_string())),
        ("until", Some(last.to_string())),
        ("agent", agent.map(ToOwned::to_owned)),
    ];
    query::link("/activity", &params)
}
