//! Columns by day: todos made against todos done.

use maud::{Markup, html};
use roots_domain::model::chart::DayColumn;

use super::frame::{number, scaled, scrolling, table};
use crate::look::Look;
use crate::time;

const HEIGHT: i64 = 112;
const ZERO: i64 = 90;
const RISE: i64 = 80;
/// The width of a day, and of each of its two columns.
const DAY: i64 = 24;
const COLUMN: i64 = 9;
/// Most marks of the axis.
const MARKS: usize = 4;

/// Two columns a day, each from 0: those that were made, and those that were done.
pub(crate) fn chart(look: &Look, days: &[DayColumn<2>], id: &str) -> Markup {
    let sums = days.iter().fold([0_i64; 2], |sums, one| {
        [sums[0].saturating_add(one.counts[0]), sums[1].saturating_add(one.counts[1])]
    });
    let highest = days.iter().flat_map(|one| one.counts).max().unwrap_or_default().max(1);
    let length = i64::try_from(days.len()).unwrap_or_default();
    let width = (length * DAY).max(DAY);
    let name = format!(
        "Todos of {length} days: {} made, {} done",
        number(sums[0]),
        number(sums[1])
    );
    let each = days.len().div_ceil(MARKS).max(1);
    let drawing = html! {
        svg role="img" aria-labelledby={ (id) "-name" } width=(width) height=(HEIGHT)
            viewBox={ "0 0 " (width) " " (HEIGHT) } {
            title id={ (id) "-name" } { (name) }
            path.axis d={ "M0 " (ZERO) "H" (width) } {}
            @for (index, one) in days.iter().enumerate() {
                @let x = i64::try_from(index).unwrap_or_default() * DAY;
                @for (place, class) in [(0, "made"), (1, "bar")] {
                    @let height = scaled(one.counts[place as usize], highest, RISE);
                    @if height > 0 || one.counts[place as usize] > 0 {
                        rect class=(class) x=(x + place * (COLUMN + 1) + 2)
                            y=(ZERO - height.max(1)) width=(COLUMN) height=(height.max(1)) {}
                    }
                }
                @if index % each == 0 { text x=(x) y="106" { (time::day(look, one.day)) } }
            }
        }
    };
    html! {
        p.key { span.k.made {} "Made " (number(sums[0])) " " span.k.bar {} "Done " (number(sums[1])) }
        (scrolling("Todos by day", drawing))
        (table(id, &["Day", "Made", "Done"], days.iter().rev().map(|one| {
            let day = html! { (time::day(look, one.day)) };
            std::iter::once(day).chain(one.counts.map(|count| html! { (number(count)) })).collect()
        })))
    }
}
