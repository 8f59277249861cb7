//! All agents, and how old their work is.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::Invalid;
use roots_domain::model::chart::Ages;
use roots_domain::model::dashboard::{DashboardRows, DashboardRules, ShownText};
use roots_domain::model::id::ActorId;
use roots_domain::model::todo::TodoStatus;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params, Query};

use crate::address::Address;
use crate::agents::Agents;
use crate::answer;
use crate::app::App;
use crate::chart::{self, number};
use crate::first_steps;
use crate::layout::{self, Frame, Section};
use crate::look::Look;
use crate::query;
use crate::rows;
use crate::viewer::Viewer;
use crate::work;

/// Which agents are listed.
pub(crate) struct AgentsQuery {
    /// Those after this one, by id.
    after: Option<ActorId>,
}

impl FromParams for AgentsQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let after = query::optional(params, "after", |text| {
            ActorId::parse(text).ok_or_else(|| Invalid::new("must be the id of an agent"))
        });
        Ok(Self { after: after? })
    }
}

/// `GET /agents`.
pub(crate) async fn show(
    State(app): State<App>,
    address: Address,
    mut viewer: Viewer,
    Query(AgentsQuery { after }): Query<AgentsQuery>,
) -> Result<Response, Problem> {
    let mut agents = Agents::read(&app, &mut viewer).await?;
    let scope = query::scope(None, viewer.is_owner());
    let zone = &viewer.look.zone().clone();
    let dashboards = &app.services.dashboards;
    let find =
        |caller: Arc<_>| async move { dashboards.find(&caller, scope, after, zone.clone()).await };
    let (found, room) = rows::read(&mut viewer, find).await?;
    agents.learn(&app, &mut viewer, found.actors().collect()).await?;
    let rows = dashboards.open(&viewer.bearer, found).await?;
    let answer = answer::html(layout::page(
        &viewer,
        Frame {
            title: "Agents",
            section: Section::Agents,
            tools: html! {
                @if viewer.is_owner() { a.button href="/access" { "Keys and new agents" } }
            },
            next_change: Some(rows.next_flip(app.rules)),
            content: html! {
                div.grid {
                    (all(&viewer.look, app.rules, &agents, &rows))
                    @if after.is_none() { (ages(&rows)) }
                    @if rows.is_empty() {
                        section.card.c8 #first data-live aria-labelledby="first-h" {
                            header { h2 #first-h { "No agent has written anything" } }
                            p { "This request starts a session:" }
                            (first_steps::start_a_session(&address))
                        }
                    }
                }
            },
        },
    ));
    Ok(room.hold(answer).await)
}

/// The agents of this page, and the way to the next one.
fn all(
    look: &Look,
    rules: DashboardRules,
    agents: &Agents,
    rows: &DashboardRows<ShownText>,
) -> Markup {
    let of_page: BTreeSet<_> = rows.agents.iter().map(|agent| agent.actor.id).collect();
    let mut shown = rows.at_work(rules);
    shown.retain(|agent| of_page.contains(&agent.actor));
    let last = of_page.last().filter(|_| rows.has_more_agents).map(ActorId::to_string);
    let next = last.map(|last| query::link("/agents", &[("after", Some(last))]));
    html! {
        section.card.c12 #agents data-live aria-labelledby="agents-h" {
            header {
                h2 #agents-h { "Agents (" (shown.len()) @if next.is_some() { " of more" } ")" }
                span.muted { "latest sign of life first" }
            }
            @if shown.is_empty() { p.muted { "No more agents." } }
            ul.rows { @for agent in &shown { (work::row(look, agents, rows, agent)) } }
            @if let Some(next) = next { p { a.earlier href=(next) { "More agents" } } }
        }
    }
}

fn ages(rows: &DashboardRows<ShownText>) -> Markup {
    let in_progress = rows.todos.iter().filter(|todo| todo.status == TodoStatus::InProgress);
    let ages = Ages::of(in_progress.map(|todo| todo.status_since), rows.at);
    let read: i64 = ages.0.iter().sum();
    html! {
        @if read > 0 {
            section.card.c4 #ages data-live aria-labelledby="ages-h" {
                header { h2 #ages-h { "Age of what is in progress" } }
                (chart::ages::chart(&ages, "age"))
                @if rows.counts.todos.in_progress > read {
                    p.muted {
                        "The oldest " (number(read)) " of "
                        (number(rows.counts.todos.in_progress)) "."
                    }
                }
            }
        }
    }
}
