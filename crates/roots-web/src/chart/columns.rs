//! Columns by day: todos made against todos done, credits spent.

use maud::{Markup, html};
use roots_domain::model::chart::DayColumn;

use super::frame::{number, scaled, scrolling, table};
use crate::look::Look;
use crate::time;

const HEIGHT: i64 = 112;
const ZERO: i64 = 90;
const RISE: i64 = 80;
/// The width of a day, in which its columns stand side by side.
const DAY: i64 = 24;
/// Most marks of the axis.
const MARKS: usize = 4;
/// The width of a character of a mark, at most.
const CHARACTER: usize = 7;

/// What the columns of each day count.
pub(crate) struct Series<const N: usize> {
    /// What is counted: `Todos`.
    pub(crate) what: &'static str,
    /// For each column its class and its name: `made`.
    pub(crate) names: [(&'static str, &'static str); N],
}

/// The columns of each day, from 0.
pub(crate) fn chart<const N: usize>(
    look: &Look,
    days: &[DayColumn<N>],
    series: &Series<N>,
    id: &str,
) -> Markup {
    let mut sums = [0_i64; N];
    for one in days {
        for (sum, count) in sums.iter_mut().zip(one.counts) {
            *sum = sum.saturating_add(count);
        }
    }
    let highest = days.iter().flat_map(|one| one.counts).max().unwrap_or_default().max(1);
    let length = i64::try_from(days.len()).unwrap_or_default();
    // A mark stands below the middle of its day. It is wider than the day.
    let marked = |day| time::day(look, day);
    let widest = days.iter().map(|one| CHARACTER * marked(one.day).len()).max().unwrap_or_default();
    let mark = i64::try_from(widest).unwrap_or(DAY).max(DAY);
    let margin = (mark - DAY + 1) / 2;
    let width = (length * DAY).max(DAY) + 2 * margin;
    let column = (DAY - 4) / i64::try_from(N).unwrap_or(1).max(1);
    let told = series.names.iter().zip(sums);
    let told: Vec<_> = told.map(|((_, name), sum)| format!("{} {name}", number(sum))).collect();
    let name = format!("{} of {length} days: {}", series.what, told.join(", "));
    let apart = usize::try_from((mark + DAY - 1) / DAY).unwrap_or(2);
    let each = days.len().div_ceil(MARKS).max(apart);
    let drawing = html! {
        svg role="img" aria-labelledby={ (id) "-name" } width=(width) height=(HEIGHT)
            viewBox={ "0 0 " (width) " " (HEIGHT) } {
            title id={ (id) "-name" } { (name) }
            path.axis d={ "M0 " (ZERO) "H" (width) } {}
            @for ((index, one), x) in days.iter().enumerate().zip((margin..).step_by(24)) {
                @let columns = series.names.iter().zip(one.counts).zip(0_i64..);
                @for (((class, _), count), place) in columns {
                    @let height = scaled(count, highest, RISE).max(1);
                    @if count > 0 {
                        rect class=(class) x=(x + 2 + place * column) y=(ZERO - height)
                            width=(column - 1) height=(height) {}
                    }
                }
                @if index % each == 0 {
                    text x=(x + DAY / 2) y="106" text-anchor="middle" { (marked(one.day)) }
                }
            }
        }
    };
    let heads: Vec<_> =
        std::iter::once("Day").chain(series.names.iter().map(|(_, name)| *name)).collect();
    html! {
        p.key {
            @for ((class, name), sum) in series.names.iter().zip(sums) {
                svg width="12" height="12" aria-hidden="true" {
                    rect class=(class) width="12" height="12" rx="3" {}
                }
                span { (number(sum)) " " (name) }
            }
        }
        (scrolling(series.what, &drawing))
        (table(id, &heads, days.iter().rev().map(|one| {
            let day = html! { (time::day(look, one.day)) };
            std::iter::once(day).chain(one.counts.map(|count| html! { (number(count)) })).collect()
        })))
    }
}
