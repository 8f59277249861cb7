//! The charts of activities: the mix by type, the hours of the week, and the year.

use std::sync::Arc;

use maud::{Markup, html};
use roots_domain::model::activity::ActivityStats;
use roots_domain::model::chart::{Mix, WeekHours, Year, columns, mix};
use roots_domain::model::time::{Day, TimeRange};
use roots_domain::service::access::Caller;
use roots_domain::service::activities::ActivitySelection;
use roots_domain::service::dashboard::WEEKS;
use roots_http_core::problem::Problem;

use super::filter::Filter;
use crate::app::App;
use crate::chart;
use crate::chart::columns::Series;
use crate::chart::mix::Part;
use crate::chart::year::Numbers;
use crate::query;
use crate::viewer::Viewer;

/// The days of todos made and done.
const FLOW_DAYS: i64 = 30;
const TODOS: Series<2> = Series { what: "Todos", names: [("made", "made"), ("bar", "done")] };

/// Reads the charts that fit the filters and draws them.
///
/// # Errors
/// The refusal, or a database error.
pub(super) async fn read(
    app: &App,
    viewer: &mut Viewer,
    filter: &Filter,
) -> Result<Markup, Problem> {
    let zone = &viewer.look.zone().clone();
    let scope = query::scope(filter.agent, viewer.is_owner());
    let today = zone.wall_clock(viewer.look.now).day;
    let since = zone.first_instant(Year::first_day(today));
    let of_year = &ActivitySelection {
        range: TimeRange { since: Some(since), until: None },
        ..filter.selection(viewer)?
    };
    let selected = &filter.selection(viewer)?;
    let activities = &app.services.activities;
    let stats = |selection: &ActivitySelection| {
        let selection = selection.clone();
        move |caller: Arc<_>| {
            let selection = selection.clone();
            async move { activities.stats(&caller, selection, zone).await }
        }
    };
    let found = viewer.bearer.read_in_turn(stats(selected)).await?;
    let year = viewer.bearer.read_in_turn(stats(of_year)).await?;
    // Hours are counted for agents, not for types and sessions.
    let has_hours = filter.activity_type.is_none() && filter.session.is_none();
    let dashboards = &app.services.dashboards;
    let week = if has_hours {
        let week =
            |caller: Arc<_>| async move { dashboards.week_hours(&caller, scope, zone).await };
        Some(viewer.bearer.read_in_turn(week).await?)
    } else {
        None
    };
    let (first, range) = last_days(viewer);
    let todos = &app.services.todos;
    let flow = |caller: Arc<Caller>| async move { todos.stats(&caller, scope, range, zone).await };
    let flow = viewer.bearer.read_in_turn(flow).await?;
    let flow = flow.by_day.iter().map(|(day, counts)| (*day, [counts.made, counts.done]));
    let flow = columns(flow, (first, today));
    let year = Year::of(year.by_day, today);
    Ok(html! {
        (drawn(viewer, filter, &found, week.as_ref()))
        section.card.c8 #flow data-live aria-labelledby="flow-h" {
            header {
                h2 #flow-h { "Todos made and done" }
                span.muted { "the last " (FLOW_DAYS) " days" }
            }
            (chart::columns::chart(&viewer.look, &flow, &TODOS, "made-and-done"))
        }
        (drawn_year(viewer, filter, &year))
    })
}

/// The first of the last days, and the time since it began.
fn last_days(viewer: &Viewer) -> (Day, TimeRange) {
    let zone = viewer.look.zone();
    let first = Day(zone.wall_clock(viewer.look.now).day.0 - FLOW_DAYS + 1);
    (first, TimeRange { since: Some(zone.first_instant(first)), until: None })
}

fn drawn(
    viewer: &Viewer,
    filter: &Filter,
    stats: &ActivityStats,
    week: Option<&WeekHours>,
) -> Markup {
    html! {
        @if stats.total > 0 {
            section.card.c4.tall #mix data-live aria-labelledby="mix-h" {
                header { h2 #mix-h { "By type" } }
                (chart::mix::chart(&by_type(filter, stats), ("entry", "entries"), "types"))
            }
        }
        @if let Some(week) = week {
            section.card.c8 #hours data-live aria-labelledby="hours-h" {
                header {
                    h2 #hours-h { "Hours of the week" }
                    span.muted { "the last " (WEEKS) " weeks, in " (viewer.look.zone().name()) }
                }
                (chart::week::chart(week, WEEKS, "week"))
            }
        }
    }
}

fn drawn_year(viewer: &Viewer, filter: &Filter, year: &Year) -> Markup {
    let agent = filter.agent.map(|agent| agent.to_string());
    html! {
        section.card.c12 #year data-live aria-labelledby="year-h" {
            header {
                h2 #year-h { "A year of work" }
                span.muted { (chart::year::finding(year)) }
            }
            (chart::year::chart(
                &viewer.look, year, Numbers::Weeks, "days", agent.as_deref()
            ))
        }
    }
}

/// The types, each with a link to its entries.
fn by_type(filter: &Filter, stats: &ActivityStats) -> Mix<Part> {
    let types = stats.by_type.iter().map(|(name, count)| (name.as_str(), *count));
    let omitted = usize::try_from(stats.by_type_omitted).unwrap_or_default();
    let found = mix(types).map_names(|name| Part {
        name: name.to_owned(),
        link: filter.link("/activity", &[("type", Some(name.to_owned())), ("q", None)]),
    });
    Mix { others: found.others + omitted, ..found }
}
