//! The mix of types, and shares by agent.

use maud::{Markup, html};
use roots_domain::model::chart::Mix;

use super::frame::{number, plural, scaled, shortened};
use crate::text;

const WIDTH: i64 = 600;

/// A part of a mix: its name, a link to what it counts, and the count.
pub(crate) struct Part {
    /// Its name.
    pub(crate) name: String,
    /// Where its rows are.
    pub(crate) link: String,
}

/// One bar of parts, and a list that names each. `noun` is what is counted, one and many.
pub(crate) fn chart(mix: &Mix<Part>, noun: (&str, &str), id: &str) -> Markup {
    let total = mix.total();
    let most = mix.parts.first().map(|(part, count)| {
        format!(", most of them {}: {}", shortened(&part.name, 40), number(*count))
    });
    let name = format!("{}{}", plural(total, noun.0, noun.1), most.unwrap_or_default());
    let mut x = 0;
    let mut counts: Vec<_> = mix.parts.iter().map(|(_, count)| *count).collect();
    if mix.others > 0 {
        counts.push(mix.other);
    }
    let bars: Vec<_> = counts
        .iter()
        .map(|count| {
            let (left, width) = (x, scaled(*count, total, WIDTH));
            x += width;
            (left, (width - 1).max(1))
        })
        .collect();
    let class = |index: usize| if index < mix.parts.len() { index + 1 } else { 0 };
    html! {
        svg.wide role="img" aria-labelledby={ (id) "-name" } width=(WIDTH) height="16"
            viewBox={ "0 0 " (WIDTH) " 16" } preserveAspectRatio="none" {
            title id={ (id) "-name" } { (name) }
            @for (index, (left, width)) in bars.into_iter().enumerate() {
                rect class={ "m" (class(index)) } x=(left) y="0" width=(width) height="16" {}
            }
        }
        ul.rows.legend {
            @for (index, (part, count)) in mix.parts.iter().enumerate() {
                li {
                    svg width="12" height="12" aria-hidden="true" {
                        rect class={ "m" (class(index)) } width="12" height="12" rx="3" {}
                    }
                    a.grow href=(part.link) { (text::line(&part.name)) }
                    span.t { (number(*count)) }
                }
            }
            @if mix.others > 0 {
                li {
                    svg width="12" height="12" aria-hidden="true" {
                        rect.m0 width="12" height="12" rx="3" {}
                    }
                    span.grow { "other (" (mix.others) ")" }
                    span.t { (number(mix.other)) }
                }
            }
        }
    }
}
