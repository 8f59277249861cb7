//! The balance of the credits, and how long they last.

use std::fmt::Write;

use maud::{Markup, html};
use roots_domain::model::chart::Curve;
use roots_domain::model::forecast::Forecast;
use roots_domain::model::time::Day;

use super::frame::{number, scaled, table};
use crate::look::Look;
use crate::time;

const HEIGHT: i64 = 110;
/// Where the axis of 0 lies, and how high the largest balance stands above it.
const ZERO: i64 = 88;
const RISE: i64 = 80;
/// About the width of a character of a mark, in units.
const CHAR: i64 = 7;
/// A forecast beyond so many days is cut, so that the curve stays visible.
const AHEAD_MAX_DAYS: i64 = 60;

/// The curve of past days, dotted from today to the day on which nothing is left.
pub(crate) fn chart(
    look: &Look,
    curve: &Curve,
    forecast: Option<Forecast>,
    id: &str,
    width: i64,
) -> Markup {
    let Some(((known, begin), (today, now))) = curve.points.first().zip(curve.points.last()) else {
        return html! {};
    };
    // Before the account was made there was no balance: that part stays blank.
    let first = curve.first;
    let ends = forecast.map(|one| look.zone().wall_clock(one.ends_at).day);
    let ahead = ends.map_or(0, |day| (day.0 - today.0).clamp(0, AHEAD_MAX_DAYS));
    let days = (today.0 - first.0 + ahead).max(1);
    let highest = curve.highest().max(1);
    let x = |day: Day| scaled(day.0 - first.0, days, width);
    let y = |balance: i64| ZERO - scaled(balance, highest, RISE);
    let path = curve.points.iter().enumerate().fold(String::new(), |mut path, (index, point)| {
        let step = if index == 0 { 'M' } else { 'L' };
        // Writing to a string never fails.
        let _ = write!(path, "{step}{} {}", x(point.0), y(point.1));
        path
    });
    let end = match ends {
        Some(day) => format!("at this rate empty on {}", time::day(look, day)),
        None => "nothing was spent lately".to_owned(),
    };
    let name = format!(
        "Balance since {}: {} to {}; {end}",
        time::day(look, *known),
        number(*begin),
        number(*now),
    );
    let is_cut = ends.is_some_and(|day| day.0 - today.0 > AHEAD_MAX_DAYS);
    let left = if is_cut { remaining(*now, ends.map_or(0, |day| day.0 - today.0)) } else { 0 };
    let start = time::day(look, first);
    let last = match time::day(look, Day(today.0 + ahead)) {
        _ if ahead == 0 => "today".to_owned(),
        day if is_cut => format!("cut at {day}"),
        day => day,
    };
    // Between the two, where it touches neither.
    let room = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX).saturating_mul(CHAR);
    let half = room("today") / 2 + CHAR;
    let shows_today =
        ahead > 0 && (room(&start) + half..width - room(&last) - half).contains(&x(*today));
    html! {
        svg.wide role="img" aria-labelledby={ (id) "-name" } width=(width) height=(HEIGHT)
            viewBox={ "0 0 " (width) " " (HEIGHT) } {
            title id={ (id) "-name" } { (name) }
            path.axis d={ "M0 " (ZERO) "H" (width) } {}
            path.curve d=(path) {}
            @if forecast.is_some() {
                path.proj d={ "M" (x(*today)) " " (y(*now)) "L" (width) " " (y(left)) } {}
            }
            text x="0" y="106" { (start) }
            @if shows_today {
                text x=(x(*today)) y="106" text-anchor="middle" { "today" }
            }
            text x=(width) y="106" text-anchor="end" { (last) }
        }
        (table(id, &["Day", "Balance"], curve.points.iter().rev().map(|(day, balance)| {
            vec![html! { (time::day(look, *day)) }, html! { (number(*balance)) }]
        })))
    }
}

/// What is left of a balance where a forecast of so many days is cut.
fn remaining(balance: i64, days: i64) -> i64 {
    balance - scaled(AHEAD_MAX_DAYS, days, balance)
}
