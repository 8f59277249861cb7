//! The page, from the request to the answer.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::chart::{Timeline, Year};
use roots_domain::model::id::ActorId;
use roots_domain::model::time::TimeRange;
use roots_domain::service::activities::ActivitySelection;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params, Query};

use super::cards;
use super::needs::card as needs_card;
use super::shown::Shown;
use crate::address::Address;
use crate::agents::Agents;
use crate::answer;
use crate::app::App;
use crate::balance;
use crate::first_steps;
use crate::layout::{self, Frame, Section};
use crate::query;
use crate::rows;
use crate::viewer::Viewer;

/// The days of the small curve of the balance.
const BALANCE_DAYS: i64 = 30;

/// At the start of a day its sessions are drawn on a span of this length.
const SHORTEST_TODAY_SECONDS: i64 = 3_600;

/// What the page is asked for.
pub(crate) struct NowQuery {
    agent: Option<ActorId>,
}

impl FromParams for NowQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        Ok(Self { agent: query::agent(params)? })
    }
}

/// `GET /`.
pub(crate) async fn show(
    State(app): State<App>,
    address: Address,
    mut viewer: Viewer,
    Query(query): Query<NowQuery>,
) -> Result<Response, Problem> {
    let mut agents = Agents::read(&app, &mut viewer).await?;
    agents.choose(&app, &mut viewer, query.agent).await?;
    let scope = query::scope(query.agent, viewer.is_owner());
    let zone = &viewer.look.zone().clone();
    let dashboards = &app.services.dashboards;
    let today = zone.wall_clock(viewer.look.now).day;
    let since = zone.first_instant(Year::first_day(today));
    let range = TimeRange { since: Some(since), until: None };
    let activities = &app.services.activities;
    let stats = viewer.bearer.read_in_turn(|caller| async move {
        let selection = ActivitySelection { scope, range, ..ActivitySelection::default() };
        activities.stats(&caller, selection, zone).await
    });
    let stats = stats.await?;
    // Until now: on a phone the end of the drawing shows.
    let of_today = zone.first_instant(today);
    let of_today = (of_today, viewer.look.now.max(of_today.plus_seconds(SHORTEST_TODAY_SECONDS)));
    let lanes =
        |caller: Arc<_>| async move { dashboards.lane_sessions(&caller, scope, of_today).await };
    let sessions = viewer.bearer.read_in_turn(lanes).await?;
    let spent = balance::spent(&app, &mut viewer, scope, BALANCE_DAYS).await?;
    let balance = balance::of_days(&viewer, &spent, BALANCE_DAYS, agents.account_made);
    // The rows come last: a request that holds their room waits for nothing.
    let find =
        |caller: Arc<_>| async move { dashboards.find(&caller, scope, None, zone.clone()).await };
    let (found, room) = rows::read(&mut viewer, find).await?;
    let drawn = sessions.sessions.iter().map(|session| session.actor);
    let named = found.actors().chain(drawn).chain(found.busiest_today());
    agents.learn(&app, &mut viewer, named.collect()).await?;
    let rows = dashboards.open(&viewer.bearer, found).await?;
    let year = Year::of(stats.by_day, today);
    let quiet = app.rules.quiet_after_seconds;
    let timeline = Timeline::of_read(sessions, of_today, quiet, rows.at);
    let shown = Shown {
        look: &viewer.look,
        rules: app.rules,
        rows: &rows,
        agents: &agents,
        today: &timeline,
        year: &year,
        balance: &balance,
        agent: query.agent,
    };
    let answer = answer::html(layout::page(
        &viewer,
        Frame {
            title: "Now",
            section: Section::Now,
            tools: tools(&agents, query.agent, viewer.is_owner()),
            next_change: Some(rows.next_flip(app.rules)),
            content: content(&shown, &address),
        },
    ));
    Ok(room.hold(answer).await)
}

/// The choice of an agent, and the way to a new todo.
fn tools(agents: &Agents, chosen: Option<ActorId>, is_owner: bool) -> Markup {
    html! {
        @if is_owner && agents.are_several() {
            form.filters method="get" action="/" data-filter="" {
                label.vh for="agent" { "Agent" }
                (agents.choice("agent", "All agents", chosen))
                button { "Show" }
            }
        }
        a.button.primary href="/todos/new" { "New todo" }
    }
}

/// The cards of the page.
pub(super) fn content(shown: &Shown<'_>, address: &Address) -> Markup {
    if shown.rows.is_empty() && shown.agent.is_none() {
        return html! {
            div.grid.even {
                @if !shown.rows.needs(shown.rules).is_empty() {
                    (needs_card(shown))
                    (cards::credits(shown))
                }
                section.card.c12 #first data-live aria-labelledby="first-h" {
                    header { h2 #first-h { "Nothing here yet" } }
                    p { "No agent has written anything. This request starts its first session:" }
                    (first_steps::start_a_session(address))
                }
            }
        };
    }
    html! {
        div.grid.even {
            (needs_card(shown))
            (cards::credits(shown))
            (cards::at_work(shown))
            (cards::today(shown))
            (cards::latest(shown))
            (cards::next_up(shown))
            (cards::year(shown))
        }
    }
}
