//! How long todos have been in progress.

use maud::{Markup, html};
use roots_domain::model::chart::Ages;

use super::frame::{number, plural, scaled};

const NAMES: [&str; 6] =
    ["under 1 h", "1 to 4 h", "4 to 24 h", "1 to 3 days", "3 to 7 days", "over a week"];
/// The first of the ages that need a person.
const LONG: usize = 3;
const LEFT: i64 = 90;
const BARS: i64 = 200;
const STEP: i64 = 20;

/// A bar for each age, with its count beside it.
pub(crate) fn chart(ages: &Ages, id: &str) -> Markup {
    let total = ages.0.iter().sum();
    let long = ages.0.iter().skip(LONG).sum();
    let highest = ages.0.iter().copied().max().unwrap_or_default();
    let (width, height) = (LEFT + BARS + 40, STEP * i64::try_from(NAMES.len()).unwrap_or_default());
    let name = format!(
        "{} in progress, {} for more than a day",
        plural(total, "todo", "todos"),
        number(long)
    );
    html! {
        svg.wide role="img" aria-labelledby={ (id) "-name" } width=(width) height=(height)
            viewBox={ "0 0 " (width) " " (height) } {
            title id={ (id) "-name" } { (name) }
            @for ((index, age), count) in (0_i64..).zip(NAMES).zip(ages.0) {
                @let bar = scaled(count, highest, BARS);
                text x="0" y=(index * STEP + 13) { (age) }
                @if count > 0 {
                    rect.bar x=(LEFT) y=(index * STEP + 2) width=(bar.max(1)) height="14" rx="3" {}
                }
                text x=(LEFT + bar + 6) y=(index * STEP + 13) { (number(count)) }
            }
        }
    }
}
