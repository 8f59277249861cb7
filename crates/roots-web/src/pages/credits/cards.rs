//! The cards of the page.

use maud::{Markup, html};
use roots_domain::model::chart::{Curve, Mix, columns, mix};
use roots_domain::model::credit::{LedgerEntry, Reason};
use roots_domain::model::forecast::Forecast;
use roots_domain::model::page::{Page, Start};
use roots_domain::model::time::Day;
use roots_domain::model::usage::{Month, MonthUsage};
use roots_domain::model::work::CreditStats;

use crate::agents::Agents;
use crate::chart::columns::Series;
use crate::chart::mix::Part;
use crate::chart::{self, number, plural};
use crate::look::Look;
use crate::text;
use crate::time;

/// Width of the curve of the balance.
const CURVE_WIDTH: i64 = 350;

/// The balance, its rate, and the day on which nothing is left.
pub(super) fn balance(look: &Look, curve: &Curve, forecast: Option<Forecast>) -> Markup {
    let balance = curve.points.last().map_or(0, |(_, balance)| *balance);
    html! {
        section.card.c8 #balance data-live aria-labelledby="balance-h" {
            header { h2 #balance-h { "Balance" } span.muted { "90 days, and how long it lasts" } }
            div.num {
                (number(balance))
                @if let Some(forecast) = forecast {
                    " · empty on " (time::date(look, forecast.ends_at))
                }
            }
            @match forecast {
                Some(forecast) => p.muted {
                    (number(forecast.per_day())) " a day: the mean of seven whole days, or the "
                    "last 24 hours where that is more"
                },
                None => p.muted { "Nothing was spent in the last seven days." },
            }
            (chart::balance::chart(look, curve, forecast, "curve", CURVE_WIDTH))
        }
    }
}

/// The credits of the curve, by the agent that spent them.
pub(super) fn by_agent(agents: &Agents, spent: &CreditStats) -> Markup {
    let shares = spent.by_actor.iter().map(|(actor, credits)| (*actor, *credits));
    let omitted = usize::try_from(spent.by_actor_omitted).unwrap_or_default();
    let shares = mix(shares).map_names(|actor| Part {
        name: agents.plain_name(actor),
        link: format!("/agents/{actor}"),
    });
    let shares = Mix { others: shares.others + omitted, ..shares };
    html! {
        section.card.c4 #spent data-live aria-labelledby="spent-h" {
            header { h2 #spent-h { "Spent by agent" } span.muted { "90 days" } }
            @if spent.spent == 0 { p.muted { "Nothing was spent." } }
            @else { (chart::mix::chart(&shares, ("credit", "credits"), "shares")) }
        }
    }
}

/// What was spent on each day.
pub(super) fn by_day(look: &Look, spent: &CreditStats, days: (Day, Day)) -> Markup {
    const SPENT: Series<1> = Series { what: "Credits", names: [("bar", "spent")] };
    let by_day = columns(spent.by_day.iter().map(|day| (day.day, [day.spent])), days);
    html! {
        section.card.c8 #daily data-live aria-labelledby="daily-h" {
            header { h2 #daily-h { "Spent by day" } span.muted { "30 days" } }
            (chart::columns::chart(look, &by_day, &SPENT, "spent-by-day"))
        }
    }
}

/// The ledger, newest first.
pub(super) fn ledger(
    look: &Look,
    agents: &Agents,
    found: &Page<LedgerEntry>,
    next: Option<&str>,
) -> Markup {
    html! {
        section.card.c12 #ledger data-live aria-labelledby="ledger-h" {
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
                                th.n scope="col" { "Change" }
                                th.n scope="col" { "Balance" }
                                th scope="col" { "For" }
                                th scope="col" { "Agent" }
                            }
                        }
                        tbody { @for entry in &found.items { (row(look, agents, entry)) } }
                    }
                }
            }
            p.buttons {
                @if let Some(next) = next { a.earlier href=(next) { "Earlier" } }
                @if matches!(found.request.start, Start::After(_)) {
                    a.button data-later="" href="/credits" { "Newest" }
                }
            }
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
        Reason::BootstrapGrant => "the first credits",
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
            @if calls.top.is_empty() { p.muted { "No calls in this month yet." } }
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
