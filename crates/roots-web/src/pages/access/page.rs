//! `GET /access`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::page::PageRequest;
use roots_domain::service::access::Caller;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params, Query};

use super::overview::{self, Filled};
use crate::address::Address;
use crate::agents::Agents;
use crate::app::App;
use crate::form::Faults;
use crate::guard::html;
use crate::layout::{self, Frame, Section};
use crate::query::{link, optional};
use crate::viewer::Viewer;

/// Keys of a page.
const KEY_ROWS: u32 = 50;
/// Most sign-ins that are shown.
const SIGN_INS: u32 = 100;

/// Where the keys begin.
pub(crate) struct AccessQuery {
    offset: i64,
}

impl FromParams for AccessQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let offset = optional(params, "offset", PageRequest::parse_offset);
        Ok(Self { offset: offset?.unwrap_or_default() })
    }
}

/// The page.
pub(crate) async fn show(
    State(app): State<App>,
    mut viewer: Viewer,
    Query(AccessQuery { offset }): Query<AccessQuery>,
    address: Address,
) -> Result<Response, Problem> {
    let zone = viewer.look.zone().name().to_owned();
    let filled = Filled { zone, ..Filled::default() };
    Ok(html(page(&app, &mut viewer, (offset, &address), &filled, &Faults::default()).await?))
}

/// The page, with the form of a new key as it was typed.
pub(super) async fn page(
    app: &App,
    viewer: &mut Viewer,
    (offset, Address(address)): (i64, &Address),
    filled: &Filled,
    faults: &Faults,
) -> Result<Markup, Problem> {
    let agents = Agents::read(app, viewer).await?;
    let request = PageRequest::skipping(offset, KEY_ROWS);
    let permit = app.shared.list_permits.permit(viewer.bearer.account.id).await?;
    let keys = &app.services.keys;
    let find = |caller: Arc<Caller>| async move { keys.keys(&caller, request).await };
    let keys = viewer.bearer.read(find).await?;
    let sign_ins = &app.services.sign_ins;
    let find = |caller: Arc<Caller>| async move { sign_ins.list(&caller, SIGN_INS).await };
    let sign_ins = viewer.bearer.read(find).await?;
    drop(permit);
    let end = offset + i64::try_from(keys.items.len()).unwrap_or_default();
    let at = |offset: i64| link("/access", &[("offset", Some(offset.to_string()))]);
    let look = &viewer.look;
    Ok(layout::page(
        viewer,
        Frame {
            title: "Access",
            section: Section::Access,
            tools: html! {
                @if viewer.is_owner() { a.button href="/access/audit" { "Audit log" } }
            },
            next_change: keys
                .items
                .iter()
                .filter_map(|it| it.listed.key.expires_at)
                .filter(|at| *at > look.now)
                .min(),
            content: html! {
                (agents.suspension())
                div.grid {
                    section.card.c12 #keys data-live="" aria-labelledby="keys-title" {
                        header { h2 id="keys-title" { "Keys" } span.muted { (keys.total) } }
                        (overview::keys(look, &keys))
                        div.buttons {
                            @if offset > 0 {
                                a.button href=(at((offset - i64::from(KEY_ROWS)).max(0))) { "Back" }
                            }
                            @if end < keys.total { a.button href=(at(end)) { "More" } }
                        }
                    }
                    section.card.c12 #sign-ins data-live="" aria-labelledby="sign-ins-title" {
                        header { h2 id="sign-ins-title" { "Sign-ins" } }
                        (overview::sign_ins(look, &sign_ins))
                    }
                    @if viewer.is_owner() {
                        section.card.c6 aria-labelledby="new-key-title" {
                            header { h2 id="new-key-title" { "New key" } }
                            (overview::new_key(&agents, filled, faults))
                        }
                    }
                    section.card.c6 aria-labelledby="rotate-title" {
                        header { h2 id="rotate-title" { "Rotate a key" } }
                        (overview::rotation(&Faults::default()))
                    }
                    @if viewer.is_owner() {
                        section.card.c6 aria-labelledby="code-title" {
                            header { h2 id="code-title" { "Recovery code" } }
                            (overview::recovery_code(&Faults::default()))
                        }
                        section.card.c6 aria-labelledby="export-title" {
                            header { h2 id="export-title" { "Export" } }
                            p { "All rows with their texts, one JSON object a line. It needs an API key, \
                                 so a command fetches it:" }
                            pre { "curl -H \"X-API-Key: $ROOTS_API_KEY\" " (address)
                                "/api/v1/export > roots.jsonl" }
                        }
                    }
                }
            },
        },
    ))
}
