//! All agents, and how old their work is.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::chart::Ages;
use roots_domain::model::dashboard::{DashboardRows, DashboardRules, ShownText};
use roots_domain::model::todo::TodoStatus;
use roots_http_core::problem::Problem;
use roots_http_core::request::query::{NoParams, Query};

use crate::address::Address;
use crate::agents::Agents;
use crate::app::App;
use crate::chart::{self, number};
use crate::first_steps;
use crate::guard;
use crate::layout::{self, Frame, Section};
use crate::look::Look;
use crate::query;
use crate::rows;
use crate::viewer::Viewer;
use crate::work;

/// `GET /agents`.
pub(crate) async fn show(
    State(app): State<App>,
    address: Address,
    mut viewer: Viewer,
    _: Query<NoParams>,
) -> Result<Response, Problem> {
    Agents::read(&app, &mut viewer).await?;
    let scope = query::scope(None, viewer.is_owner());
    let zone = &viewer.look.zone().clone();
    let dashboards = &app.services.dashboards;
    let find = |caller: Arc<_>| async move { dashboards.find(&caller, scope, zone.clone()).await };
    let (found, room) = rows::read(&mut viewer, find).await?;
    let rows = dashboards.open(&viewer.bearer, found).await?;
    let answer = guard::html(layout::page(
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
                    (all(&viewer.look, app.rules, &rows))
                    (ages(&rows))
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

fn all(look: &Look, rules: DashboardRules, rows: &DashboardRows<ShownText>) -> Markup {
    let agents = rows.at_work(rules);
    html! {
        section.card.c12 #agents data-live aria-labelledby="agents-h" {
            header {
                h2 #agents-h { "All agents (" (agents.len()) ")" }
                span.muted { "oldest sign of life last" }
            }
            ul.rows { @for agent in &agents { (work::row(look, rows, agent)) } }
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
                        "The oldest " (number(read)) " of " (number(rows.counts.todos.in_progress)) "."
                    }
                }
            }
        }
    }
}
