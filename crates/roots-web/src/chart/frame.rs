//! What all charts have: a name, a region that scrolls, and a table of the numbers.

use maud::{Markup, html};

/// A drawing that scrolls by itself where it is wider than the page.
pub(super) fn scrolling(name: &str, drawing: &Markup) -> Markup {
    html! {
        div.scroll.chart tabindex="0" role="region" aria-label={ (name) ", scrolls sideways" } {
            (drawing)
        }
    }
}

/// The numbers of a chart, behind a summary. Each row begins with its name.
pub(super) fn table(id: &str, heads: &[&str], rows: impl Iterator<Item = Vec<Markup>>) -> Markup {
    html! {
        details.numbers id={ (id) "-numbers" } {
            summary { "As a table" }
            div.scroll tabindex="0" role="region" aria-labelledby={ (id) "-name" } {
                table {
                    thead { tr { @for head in heads { th scope="col" { (head) } } } }
                    tbody {
                        @for cells in rows {
                            tr {
                                @for (index, cell) in cells.into_iter().enumerate() {
                                    @if index == 0 { th scope="row" { (cell) } }
                                    @else { td { (cell) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A number as people write it: `4,812`.
pub(crate) fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "−".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 session`, `4,812 sessions`.
pub(crate) fn plural(count: i64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// The beginning of a text, at most so many characters with the `…`.
pub(crate) fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some(_) => text.chars().take(chars.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// `part` of `whole`, on a scale of so many units; 0 if there is no whole.
pub(super) fn scaled(part: i64, whole: i64, units: i64) -> i64 {
    if whole <= 0 {
        return 0;
    }
    let scaled = i128::from(part.clamp(0, whole)) * i128::from(units) / i128::from(whole);
    i64::try_from(scaled).unwrap_or(units)
}
