//! One agent: now, its week, what it spent, and its keys.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::activity::ActivityStats;
use roots_domain::model::chart::{DayColumn, columns, mix};
use roots_domain::model::id::ActorId;
use roots_domain::model::page::{LIMIT_MAX, PageRequest};
use roots_domain::model::time::{Day, TimeRange};
use roots_domain::model::work::CreditStats;
use roots_domain::service::access::ActorScope;
use roots_domain::service::activities::ActivitySelection;
use roots_domain::service::keys::KeyEntry;
use roots_http_core::problem::Problem;
use roots_http_core::request::path::Id;
use roots_http_core::request::query::{NoParams, Query};

use crate::agents::Agents;
use crate::answer;
use crate::app::App;
use crate::balance;
use crate::chart::columns::Series;
use crate::chart::mix::Part;
use crate::chart::{self, plural};
use crate::layout::{self, Frame, Section};
use crate::look::Look;
use crate::query;
use crate::rows;
use crate::text;
use crate::time;
use crate::viewer::Viewer;
use crate::work;

/// The days whose entries the page tells.
const DAYS: i64 = 7;
/// The days of what was spent.
const SPENT_DAYS: i64 = 30;

/// The pages that can show an agent alone.
const PAGES: [(&str, &str); 4] =
    [("/", "Now"), ("/sessions", "Sessions"), ("/todos", "Todos"), ("/activity", "Activity")];

/// The link to a page with an agent chosen.
fn with_agent(path: &str, id: ActorId) -> String {
    query::link(path, &[("agent", Some(id.to_string()))])
}

/// `GET /agents/{id}`.
pub(crate) async fn show(
    State(app): State<App>,
    mut viewer: Viewer,
    Id(id): Id<ActorId>,
    _: Query<NoParams>,
) -> Result<Response, Problem> {
    if !viewer.bearer.reaches(id) {
        return Err(Problem::not_found("agent"));
    }
    let mut agents = Agents::read(&app, &mut viewer).await?;
    let scope = ActorScope::Of(id);
    let zone = &viewer.look.zone().clone();
    let dashboards = &app.services.dashboards;
    let today = zone.wall_clock(viewer.look.now).day;
    let first = Day(today.0 - DAYS + 1);
    let range = TimeRange { since: Some(zone.first_instant(first)), until: None };
    let activities = &app.services.activities;
    let stats = |caller: Arc<_>| async move {
        let selection = ActivitySelection { scope, range, ..ActivitySelection::default() };
        activities.stats(&caller, selection, zone).await
    };
    let week = viewer.bearer.read_in_turn(stats).await?;
    let keys = &app.services.keys;
    let of_agent = |caller: Arc<_>| async move {
        keys.keys_of_actor(&caller, id, PageRequest::skipping(0, LIMIT_MAX)).await
    };
    let keys = viewer.bearer.read_in_turn(of_agent).await?.items;
    let spent = balance::spent(&app, &mut viewer, scope, SPENT_DAYS).await?;
    let spent_days = balance::window(&viewer, SPENT_DAYS);
    // The rows come last: a request that holds their room waits for nothing.
    let find =
        |caller: Arc<_>| async move { dashboards.find(&caller, scope, None, zone.clone()).await };
    let (found, room) = rows::read(&mut viewer, find).await?;
    if found.name(id).is_none() {
        return Err(Problem::not_found("agent"));
    }
    agents.learn(&app, &mut viewer, vec![id]).await?;
    let rows = dashboards.open(&viewer.bearer, found).await?;
    let look = &viewer.look;
    let at_work = rows.at_work(app.rules);
    let name = agents.plain_name(id);
    let ends = keys.iter().filter_map(|entry| entry.listed.key.validity().end());
    let answer = answer::html(layout::page(
        &viewer,
        Frame {
            title: &name,
            section: Section::Agents,
            tools: html! {
                @for (path, what) in PAGES { a href=(with_agent(path, id)) { (what) } }
                @if viewer.is_owner() {
                    a href=(with_agent("/access", id)) { "New key" }
                    a.button href=(with_agent("/todos/new", id)) { "New todo" }
                }
            },
            next_change: look.now.next_of(ends.chain([rows.next_flip(app.rules)])),
            content: html! {
                div.grid.even {
                    section.card.c12 #now data-live aria-labelledby="now-h" {
                        header { h2 #now-h { "Now" } }
                        ul.rows {
                            @for agent in at_work.iter().filter(|one| one.actor == id) {
                                (work::row(look, &agents, &rows, agent))
                            }
                        }
                    }
                    (of_week(look, &week, (first, today)))
                    (of_credits(look, &spent, spent_days))
                    (of_types(id, &week))
                    (of_keys(&viewer, &keys))
                }
            },
        },
    ));
    Ok(room.hold(answer).await)
}

/// The entries of the week, by day.
fn of_week(look: &Look, week: &ActivityStats, days: (Day, Day)) -> Markup {
    const ENTRIES: Series<1> = Series { what: "Entries", names: [("bar", "entries")] };
    let by_day = week.by_day.iter().map(|(day, count)| (*day, [*count]));
    let by_day: Vec<DayColumn<1>> = columns(by_day, days);
    html! {
        section.card.c4 #week data-live aria-labelledby="week-h" {
            header {
                h2 #week-h { "Seven days" }
                span.muted { (plural(week.total, "entry", "entries")) }
            }
            (chart::columns::chart(look, &by_day, &ENTRIES, "entries"))
        }
    }
}

/// The entries of the week, by type.
fn of_types(id: ActorId, week: &ActivityStats) -> Markup {
    let types = week.by_type.iter().map(|(name, count)| (name.as_str(), *count));
    let by_type = mix(types).map_names(|name| Part {
        name: name.to_owned(),
        link: query::link(
            "/activity",
            &[("agent", Some(id.to_string())), ("type", Some(name.to_owned()))],
        ),
    });
    html! {
        section.card.c4 #mix data-live aria-labelledby="mix-h" {
            header { h2 #mix-h { "By type" } }
            @if week.total == 0 { p.muted { "Nothing was logged in these days." } }
            @else { (chart::mix::chart(&by_type, ("entry", "entries"), "types")) }
        }
    }
}

/// What it spent on each day.
fn of_credits(look: &Look, spent: &CreditStats, days: (Day, Day)) -> Markup {
    const SPENT: Series<1> = Series { what: "Credits", names: [("bar", "spent")] };
    let by_day = columns(spent.by_day.iter().map(|day| (day.day, [day.spent])), days);
    html! {
        section.card.c8 #spent data-live aria-labelledby="spent-h" {
            header { h2 #spent-h { "Spent" } span.muted { "30 days" } }
            (chart::columns::chart(look, &by_day, &SPENT, "spent-by-day"))
        }
    }
}

/// The keys that are not ended.
fn of_keys(viewer: &Viewer, keys: &[KeyEntry]) -> Markup {
    let look = &viewer.look;
    let in_force = keys.iter().filter(|entry| entry.is_active).map(|entry| &entry.listed.key);
    let in_force: Vec<_> = in_force.collect();
    html! {
        section.card.c8 #keys data-live aria-labelledby="keys-h" {
            header { h2 #keys-h { "Keys (" (in_force.len()) ")" } a href="/access" { "Access" } }
            @if in_force.is_empty() { p.muted { "No key is in force: this agent can't write." } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Keys, scrolls sideways" {
                    table {
                        thead {
                            tr {
                                @for head in ["Key", "Label", "Made", "Last used", "Ends"] {
                                    th scope="col" { (head) }
                                }
                            }
                        }
                        tbody {
                            @for key in in_force {
                                tr {
                                    th.mono scope="row" { (key.prefix) "…" }
                                    td {
                                        @if let Some(label) = &key.label {
                                            (text::line(label.as_str()))
                                        }
                                    }
                                    td { (time::when(look, key.created_at)) }
                                    td {
                                        @match key.last_used {
                                            Some(at) => (time::when(look, at)),
                                            None => "never",
                                        }
                                    }
                                    td {
                                        @match key.validity().end() {
                                            Some(at) => (time::when(look, at)),
                                            None => "never",
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
