//! The other cards of the page.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use roots_domain::model::activity::Activity;
use roots_domain::model::dashboard::ShownText;
use roots_domain::model::feed;
use roots_domain::model::id::ActorId;
use roots_domain::model::session::SessionStatusKind;
use roots_domain::model::todo::TodoStatus;

use super::shown::Shown;
use crate::chart::year::Numbers;
use crate::chart::{self, number, plural};
use crate::entries;
use crate::query;
use crate::text;
use crate::time;
use crate::work;

const TITLE_CHARS: usize = 120;
/// Most rows of the last entries.
const FEED_ROWS: usize = 8;
/// Most idle agents that show at once.
const IDLE_ROWS: usize = 8;
/// Width of the small curve of the balance.
const CURVE_WIDTH: i64 = 330;

/// The balance, its rate and the day on which nothing is left.
pub(super) fn credits(shown: &Shown<'_>) -> Markup {
    let forecast = shown.rows.forecast();
    let balance = shown.rows.spending.balance;
    html! {
        section.card.c4 #credits data-live aria-labelledby="credits-h" {
            header { h2 #credits-h { "Credits" } a href="/credits" { "Ledger" } }
            div.num { (number(balance)) }
            @match forecast {
                Some(forecast) => p.muted {
                    (number(forecast.per_day())) " a day · empty on "
                    strong { (time::date(shown.look, forecast.ends_at)) }
                    " (" (time::span(time::seconds_between(shown.look.now, forecast.ends_at))) ")"
                },
                None => p.muted { "Nothing was spent in the last seven days." },
            }
            (chart::balance::chart(shown.look, shown.balance, forecast, "balance", CURVE_WIDTH))
        }
    }
}

/// Each agent, what it works on, and its last sign of life.
pub(super) fn at_work(shown: &Shown<'_>) -> Markup {
    let agents = shown.rows.at_work(shown.rules);
    let busy = agents.iter().filter(|agent| agent.is_busy()).count();
    let (busy_rows, idle): (Vec<_>, Vec<_>) = agents.iter().partition(|agent| agent.is_busy());
    let (first, rest) = idle.split_at(idle.len().min(IDLE_ROWS));
    let (todos_left, sessions_left) = (shown.rows.todos_left_out(), shown.rows.sessions_left_out());
    let agent = || shown.agent.map(|agent| agent.to_string());
    let of_status = |path, status: &str| {
        query::link(path, &[("agent", agent()), ("status", Some(status.to_owned()))])
    };
    html! {
        section.card.c12 #work data-live aria-labelledby="work-h" {
            header {
                h2 #work-h {
                    "At work (" (busy) " of " (agents.len())
                    @if shown.rows.has_more_agents { " or more" } ")"
                }
                span.muted { "latest sign of life first" }
            }
            ul.rows {
                @for agent in busy_rows { (work::row(shown.look, shown.agents, shown.rows, agent)) }
                @for agent in first { (work::row(shown.look, shown.agents, shown.rows, agent)) }
            }
            @if !rest.is_empty() {
                details #work-rest {
                    summary { "and " (plural(count(rest.len()), "idle agent", "idle agents")) }
                    ul.rows { @for agent in rest { (work::row(shown.look, shown.agents, shown.rows, agent)) } }
                }
            }
            @if todos_left > 0 {
                p {
                    a href=(of_status("/todos", TodoStatus::InProgress.name())) {
                        "All in progress: " (number(todos_left)) " newer todos do not show here"
                    }
                }
            }
            @if sessions_left > 0 {
                p {
                    a href=(of_status("/sessions", SessionStatusKind::Active.name())) {
                        "All active sessions: " (number(sessions_left)) " do not show here"
                    }
                }
            }
            @if shown.rows.has_more_agents { p { a href="/agents" { "All agents" } } }
        }
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// The sessions of today, and what was logged.
pub(super) fn today(shown: &Shown<'_>) -> Markup {
    let busiest: Vec<_> = shown.rows.busiest_today().collect();
    let mut by_agent = BTreeMap::<ActorId, Vec<(&str, i64)>>::new();
    let mut others = BTreeSet::new();
    for (actor, activity_type, entries) in &shown.rows.today {
        if busiest.contains(actor) {
            by_agent.entry(*actor).or_default().push((activity_type.as_str(), *entries));
        } else {
            others.insert(*actor);
        }
    }
    let total: i64 = shown.rows.today.iter().map(|(.., entries)| entries).sum();
    let names = |actor| shown.name(actor);
    html! {
        section.card.c12 #today data-live aria-labelledby="today-h" {
            header {
                h2 #today-h { "Today by agent" }
                span.muted { (shown.look.zone().name()) }
                a href="/sessions?span=day" { "Timeline" }
            }
            @if shown.today.lanes.is_empty() { p.muted { "No session today." } }
            @else { (chart::lanes::chart(shown.look, &names, shown.today, "lanes")) }
            @if total > 0 {
                p.sums {
                    (plural(total, "entry", "entries"))
                    @for (actor, types) in &mut by_agent {
                        (of_agent(&shown.name(*actor), types))
                    }
                    @if !others.is_empty() {
                        " · " (plural(count(others.len()), "other agent", "other agents"))
                    }
                }
            }
        }
    }
}

/// What an agent logged, by type, the most frequent first.
fn of_agent(name: &str, types: &mut [(&str, i64)]) -> Markup {
    types.sort_by_key(|(name, entries)| (-entries, *name));
    let total = types.iter().map(|(_, entries)| entries).sum();
    html! {
        " · " strong { (text::line(name)) } " " (number(total)) " ("
        @for (index, (name, entries)) in types.iter().take(3).enumerate() {
            @if index > 0 { ", " }
            (text::line(name)) " " (number(*entries))
        }
        @if types.len() > 3 { ", …" }
        ")"
    }
}

/// The newest entries.
pub(super) fn latest(shown: &Shown<'_>) -> Markup {
    let mut rows = feed::fold(shown.rows.latest.iter().cloned());
    rows.truncate(FEED_ROWS);
    let write = |text: &ShownText, id, chars| entries::description(text, ("activity", id), chars);
    let who = |entry: &Activity<ShownText>| text::line(&shown.name(entry.actor));
    let agent = shown.agent.map(|agent| agent.to_string());
    html! {
        section.card.c8 #latest data-live aria-labelledby="latest-h" {
            header {
                h2 #latest-h { "Last entries" }
                a href=(query::link("/activity", &[("agent", agent)])) { "Activity" }
            }
            @if rows.is_empty() { p.muted { "Nothing was logged yet." } }
            (entries::feed(shown.look, &rows, time::clock_or_date, &write, &who))
        }
    }
}

/// The first open todos in the order in which agents claim them.
pub(super) fn next_up(shown: &Shown<'_>) -> Markup {
    html! {
        section.card.c4 #next data-live aria-labelledby="next-h" {
            header { h2 #next-h { "Next up" } a href="/todos" { "Board" } }
            @if shown.rows.next_up.is_empty() { p.muted { "No open todo." } }
            ul.rows {
                @for todo in &shown.rows.next_up {
                    li.feedrow {
                        span.tag { "P" (todo.priority.level()) }
                        span.what {
                            a href={ "/todos/" (todo.id) } {
                                (entries::title(&todo.title, todo.id.0, TITLE_CHARS))
                            }
                        }
                        span.t {
                            @if let Some(due_at) = todo.due_at { (time::when(shown.look, due_at)) }
                        }
                    }
                }
            }
        }
    }
}

/// The year.
pub(super) fn year(shown: &Shown<'_>) -> Markup {
    let agent = shown.agent.map(|agent| agent.to_string());
    html! {
        section.card.c12 #year data-live aria-labelledby="year-h" {
            header {
                h2 #year-h { "A year of work" }
                span.muted { (chart::year::finding(shown.year)) }
            }
            (chart::year::chart(
                shown.look, shown.year, Numbers::Months, "days", agent.as_deref()
            ))
        }
    }
}
