//! `GET /access/audit`: what was done to the account, latest first. For owners.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::audit::AuditEntry;
use roots_domain::model::page::PageRequest;
use roots_domain::service::access::Caller;
use roots_http_core::problem::Problem;
use roots_http_core::request::query::Query;

use crate::agents::Agents;
use crate::answer::html;
use crate::app::App;
use crate::layout::{self, Frame, Section};
use crate::look::Look;
use crate::query::{Skip, link};
use crate::time;
use crate::viewer::Viewer;

/// Entries of a page.
const PAGE_ROWS: u32 = 100;

/// The page.
pub(crate) async fn show(
    State(app): State<App>,
    mut viewer: Viewer,
    Query(Skip(offset)): Query<Skip>,
) -> Result<Response, Problem> {
    let mut agents = Agents::read(&app, &mut viewer).await?;
    let request = PageRequest::skipping(offset, PAGE_ROWS);
    let accounts = &app.services.accounts;
    let find = |caller: Arc<Caller>| async move { accounts.audit_log(&caller, request).await };
    let page = viewer.bearer.read_in_turn(find).await?;
    let named = page.items.iter().flat_map(|entry| [entry.event.subject_actor, entry.event.actor]);
    agents.learn(&app, &mut viewer, named.flatten().collect()).await?;
    let end = offset + i64::try_from(page.items.len()).unwrap_or_default();
    let at = |offset: i64| link("/access/audit", &[("offset", Some(offset.to_string()))]);
    Ok(html(layout::page(
        &viewer,
        Frame {
            title: "Audit log",
            section: Section::Access,
            tools: html! { a.button href="/access" { "Keys and sign-ins" } },
            next_change: None,
            content: html! {
                section.card #audit data-live="" aria-label="Audit log" {
                    ul.rows { @for entry in &page.items { (row(&viewer.look, &agents, entry)) } }
                    div.buttons {
                        @if offset > 0 {
                            a.button data-later="" href=(at((offset - i64::from(PAGE_ROWS)).max(0))) { "Later" }
                        }
                        @if end < page.total { a.button data-earlier="" href=(at(end)) { "Earlier" } }
                        span.muted { (page.total) " in all" }
                    }
                }
            },
        },
    )))
}

fn row(look: &Look, agents: &Agents, AuditEntry { event, created_at, .. }: &AuditEntry) -> Markup {
    html! {
        li {
            span.grow {
                strong { (event.action.name().replace('_', " ")) }
                @if let Some(actor) = event.subject_actor { " " (agents.name(actor)) }
                @if let Some(key) = event.subject_key { ", key " (key) }
                @if let Some(account) = event.subject_account { ", account " (account) }
            }
            span.t {
                @match (event.actor, event.by_account) {
                    (Some(actor), _) => { "by " (agents.name(actor)) }
                    (None, Some(account)) => { "by account " (account) }
                    (None, None) => { "by the server" }
                }
            }
            span.t { (time::when(look, *created_at)) }
        }
    }
}
