//! The cards of the page.

use maud::{Markup, html};
use roots_domain::model::credit::{LedgerEntry, Reason};
use roots_domain::model::page::Page;
use roots_domain::model::usage::{Month, MonthUsage};

use crate::agents::Agents;
use crate::chart::{number, plural};
use crate::look::Look;
use crate::text;
use crate::time;

/// The ledger, newest first.
pub(super) fn ledger(
    look: &Look,
    agents: &Agents,
    found: &Page<LedgerEntry>,
    next: Option<&str>,
) -> Markup {
    html! {
        section.card.c8 #ledger data-live aria-labelledby="ledger-h" {
            header {
                h2 #ledger-h { "Ledger" }
                span.muted { (plural(found.total, "entry", "entries")) }
            }
            @if found.items.is_empty() { p.muted { "This account never had credits." } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Ledger, scrolls sideways" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "When" }
                                th scope="col" { "Change" }
                                th scope="col" { "Balance" }
                                th scope="col" { "For" }
                                th scope="col" { "Agent" }
                            }
                        }
                        tbody { @for entry in &found.items { (row(look, agents, entry)) } }
                    }
                }
            }
            @if let Some(next) = next { p { a.earlier href=(next) { "Earlier" } } }
        }
    }
}

fn row(look: &Look, agents: &Agents, entry: &LedgerEntry) -> Markup {
    let sign = if entry.delta > 0 { "+" } else { "" };
    html! {
        tr {
            th scope="row" { (time::when(look, entry.created_at)) }
            td.n { (sign) (number(entry.delta)) }
            td.n { (number(entry.balance_after)) }
            td {
                @match (&entry.endpoint, &entry.note) {
                    (Some(endpoint), _) => span.mono { (endpoint) },
                    (None, Some(note)) => (text::start_of(note, 120)),
                    (None, None) => (reason(entry.reason)),
                }
            }
            td { @if let Some(actor) = entry.actor { (agents.name(actor)) } }
        }
    }
}

const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::BootstrapGrant => "the credits of the start",
        Reason::OperatorGrant => "granted",
        Reason::ApiWrite => "a write",
        Reason::Import => "an import",
    }
}

/// The calls of the month by endpoint.
pub(super) fn calls(month: Month, calls: &MonthUsage) -> Markup {
    html! {
        section.card.c4 #calls data-live aria-labelledby="calls-h" {
            header {
                h2 #calls-h { "Calls in " (month) " (UTC)" }
                span.muted { (number(calls.used)) }
            }
            @if calls.top.is_empty() { p.muted { "No call was counted yet." } }
            ul.rows {
                @for (endpoint, count) in &calls.top {
                    li {
                        span.grow.mono { (endpoint.method) " " (endpoint.route) }
                        span.t { (number(*count)) }
                    }
                }
            }
        }
    }
}
