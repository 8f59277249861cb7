//! The feed, by day.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use roots_domain::model::activity::Activity;
use roots_domain::model::feed::{self, FeedRow};
use roots_domain::model::page::{Page, Start};
use roots_domain::model::search::{SearchHit, SearchKind, SearchedKinds};
use roots_domain::model::time::Day;
use roots_domain::service::search::SearchSelection;
use roots_http_core::problem::Problem;
use roots_http_core::request::pagination::List;

use super::charts;
use super::download::ROWS_MAX;
use super::filter::Filter;
use crate::address::Address;
use crate::agents::Agents;
use crate::answer;
use crate::app::App;
use crate::chart::{number, plural, shortened};
use crate::entries;
use crate::first_steps;
use crate::form::again;
use crate::layout::{self, Frame, Section};
use crate::query;
use crate::rows::{self, Opened};
use crate::text;
use crate::time;
use crate::viewer::Viewer;

/// Most characters of an entry that are kept of its text: more than show, as some are marks.
const LINE_CHARS: usize = 640;
/// Most results of a search on a page.
const HITS: u32 = 20;

/// `GET /activity`.
pub(crate) async fn show(
    State(app): State<App>,
    address: Address,
    mut viewer: Viewer,
    list: List<Filter>,
) -> Result<Response, Problem> {
    let is_search = list.query.search.is_some();
    if is_search && viewer.is_refresh {
        // The page of a search does not ask again, and whatever else does shall not search.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut agents = Agents::read(&app, &mut viewer).await?;
    agents.choose(&app, &mut viewer, list.query.agent).await?;
    if is_search {
        return search(&app, &mut viewer, &mut agents, &list).await;
    }
    let List { query: filter, page } = &list;
    let selection = filter.selection(&viewer)?;
    let request = page.request(&viewer.bearer)?;
    let activities = &app.services.activities;
    let find = |caller: std::sync::Arc<_>| {
        let selection = selection.clone();
        async move { activities.find(&caller, selection, request).await }
    };
    let found = rows::page(&app, &mut viewer, find, line).await?;
    let shown = found.items.iter().map(|entry| entry.actor);
    agents.learn(&app, &mut viewer, shown.collect()).await?;
    let charts = charts::read(&app, &mut viewer, filter).await?;
    Ok(answer::html(layout::page(
        &viewer,
        Frame {
            title: "Activity",
            section: Section::Activity,
            tools: html! {
                a href=(filter.link("/activity.csv", &[])) download="activity.csv" {
                    "Newest " (number(i64::from(ROWS_MAX))) " as CSV"
                }
            },
            next_change: None,
            content: html! {
                (filter.form(&agents, viewer.is_owner()))
                div.grid.even {
                    section.card.c12 #feed data-live aria-labelledby="feed-h" {
                        header {
                            h2 #feed-h { (plural(found.total, "entry", "entries")) }
                            span.muted { "entries of a session in the same ten minutes are one row" }
                        }
                        @if found.items.is_empty() {
                            @if !filter.is_open() { p.muted { "Nothing matches." } }
                            @else {
                                p { "Nothing was logged yet. This request logs an activity:" }
                                (first_steps::log_an_activity(&address))
                            }
                        }
                        (days(&viewer, &agents, &found))
                        (next(&viewer, &list, &found))
                    }
                    (charts)
                }
            },
        },
    )))
}

/// An entry with no more of its text than its line shows.
fn line(item: Opened<Activity>) -> Activity {
    let description = shortened(&item.row.description, LINE_CHARS);
    Activity { description, ..item.row }
}

/// The rows of each day under its date.
fn days(viewer: &Viewer, agents: &Agents, found: &Page<Activity>) -> Markup {
    let zone = viewer.look.zone();
    let rows = feed::fold(found.items.iter().cloned());
    let mut by_day = Vec::<(Day, Vec<FeedRow<Activity>>)>::new();
    for row in rows {
        let day = zone.wall_clock(row.newest.logged_at).day;
        match by_day.last_mut() {
            Some((last, rows)) if *last == day => rows.push(row),
            _ => by_day.push((day, vec![row])),
        }
    }
    let write = |text: &String, _: i64, chars| text::excerpt(text, chars);
    html! {
        @for (day, rows) in &by_day {
            h3.day { (time::day(&viewer.look, *day)) }
            (entries::feed(&viewer.look, rows, time::clock, &write, &|entry| {
                agents.name(entry.actor)
            }))
        }
    }
}

/// The links to what happened earlier, and back to the newest.
fn next(viewer: &Viewer, list: &List<Filter>, found: &Page<Activity>) -> Markup {
    let (limit, start) = (found.request.limit, found.request.start);
    let link = found.next.map(|last| list.page.after_link(&viewer.bearer, last, limit));
    html! {
        p.buttons {
            @if let Some(link) = link { a.earlier href=(link) { "Earlier" } }
            @if matches!(start, Start::After(_)) {
                a.button data-later="" href=(list.query.link("/activity", &[])) { "Newest" }
            }
        }
    }
}

/// What a search for activities has found.
async fn search(
    app: &App,
    viewer: &mut Viewer,
    agents: &mut Agents,
    list: &List<Filter>,
) -> Result<Response, Problem> {
    let List { query: filter, page } = list;
    let Some((terms, _)) = &filter.search else {
        return Err(Problem::bad_request("There is nothing to search for."));
    };
    if filter.activity_type.is_some() {
        // The search opens texts and looks at no types.
        let fault = "A search goes through all types: leave out the type, or the text.";
        let form = html! {
            p.fault role="alert" { (fault) }
            (filter.form(agents, viewer.is_owner()))
        };
        let page = layout::still_page(viewer, frame(form), "Nothing was searched");
        return Ok(again(StatusCode::BAD_REQUEST, answer::html(page)));
    }
    let after = match page.request(&viewer.bearer)?.start {
        Start::After(place) => Some(place),
        Start::Offset(_) => None,
    };
    viewer.bearer.count_search()?;
    let selection = SearchSelection {
        terms: terms.clone(),
        scope: query::scope(filter.agent, viewer.is_owner()),
        kinds: SearchedKinds::new(Some(SearchKind::Activity), None).unwrap_or_default(),
        session: filter.session,
        range: filter.range(viewer.look.zone())?,
    };
    let actor = (viewer.bearer.account.id, viewer.bearer.actor.id);
    let find = |caller: std::sync::Arc<_>| {
        let (search, selection) = (app.services.search.clone(), selection.clone());
        async move { search.find(&caller, &selection, HITS, after).await }
    };
    let searches = &app.shared.searches;
    let found = viewer.bearer.read(|caller| searches.run(actor, find(caller))).await??;
    let shown = found.hits.iter().map(|hit| hit.actor);
    agents.learn(app, viewer, shown.collect()).await?;
    let further = found.next.map(|last| page.after_link(&viewer.bearer, last, HITS));
    let look = &viewer.look;
    let found = frame(html! {
            (filter.form(agents, viewer.is_owner()))
            div.grid.even {
                section.card.c12 #feed aria-labelledby="feed-h" {
                    header { h2 #feed-h { "Found" } span.muted { "latest first" } }
                    @if found.hits.is_empty() { p.muted { "No entry has these words." } }
                    ul.rows { @for hit in &found.hits { (hit_row(look, agents, hit)) } }
                    @if found.unreadable > 0 {
                        p.muted {
                            (number(i64::try_from(found.unreadable).unwrap_or(i64::MAX)))
                            " texts can't be read: they are damaged, and were not searched."
                        }
                    }
                    @if let Some(link) = further {
                        p { a.earlier href=(link) { "Search further back" } }
                    }
                }
            }
    });
    Ok(answer::html(layout::still_page(viewer, found, "A search is not refreshed")))
}

/// The frame of a search.
fn frame(content: Markup) -> Frame<'static> {
    let (title, section) = ("Activity", Section::Activity);
    Frame { title, section, tools: html! {}, next_change: None, content }
}

fn hit_row(look: &crate::look::Look, agents: &Agents, hit: &SearchHit) -> Markup {
    html! {
        li.feedrow {
            span.t { (time::when(look, hit.at)) }
            span.what { a href={ "/activity/" (hit.id) } { (text::excerpt(&hit.excerpt, 240)) } }
            span.t { (agents.name(hit.actor)) }
        }
    }
}
