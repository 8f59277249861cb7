//! `GET /access`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::Invalid;
use roots_domain::model::id::{ActorId, SignInId};
use roots_domain::model::page::PageRequest;
use roots_domain::service::access::Caller;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params, Query};

use super::export;
use super::overview::{self, Filled};
use crate::address::Address;
use crate::agents::Agents;
use crate::answer::html;
use crate::app::App;
use crate::form::Faults;
use crate::layout::{self, Frame, Section};
use crate::query::{agent, link, optional};
use crate::viewer::Viewer;

/// Keys of a page.
const KEY_ROWS: u32 = 50;
/// Sign-ins of a page.
const SIGN_IN_ROWS: u32 = 50;

/// Where the lists of a page begin.
#[derive(Default)]
pub(super) struct Begin {
    /// How many keys are skipped.
    offset: i64,
    /// The sign-in that the list begins behind.
    before: Option<SignInId>,
}

/// Where the lists begin, and for whom a key is to be made.
pub(crate) struct AccessQuery {
    begin: Begin,
    agent: Option<ActorId>,
}

impl FromParams for AccessQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let offset = optional(params, "offset", PageRequest::parse_offset);
        let before = optional(params, "before", |text| {
            SignInId::parse(text).ok_or_else(|| Invalid::new("must be the id of a sign-in"))
        });
        let agent = agent(params);
        let begin = Begin { offset: offset?.unwrap_or_default(), before: before? };
        Ok(Self { begin, agent: agent? })
    }
}

/// The page.
pub(crate) async fn show(
    State(app): State<App>,
    mut viewer: Viewer,
    Query(AccessQuery { begin, agent }): Query<AccessQuery>,
    address: Address,
) -> Result<Response, Problem> {
    let zone = viewer.look.zone().name().to_owned();
    let filled = Filled { zone, actor: agent, ..Filled::default() };
    Ok(html(page(&app, &mut viewer, (begin, &address), &filled, &Faults::default()).await?))
}

/// The page, with the form of a new key as it was typed.
pub(super) async fn page(
    app: &App,
    viewer: &mut Viewer,
    (Begin { offset, before }, Address(address)): (Begin, &Address),
    filled: &Filled,
    faults: &Faults,
) -> Result<Markup, Problem> {
    let mut agents = Agents::read(app, viewer).await?;
    agents.learn(app, viewer, filled.actor.into_iter().collect()).await?;
    let request = PageRequest::skipping(offset, KEY_ROWS);
    let keys = &app.services.keys;
    let find = |caller: Arc<Caller>| async move { keys.keys(&caller, request).await };
    let keys = viewer.bearer.read_in_turn(find).await?;
    let sign_ins = &app.services.sign_ins;
    let find =
        |caller: Arc<Caller>| async move { sign_ins.list(&caller, before, SIGN_IN_ROWS).await };
    let sign_ins = viewer.bearer.read_in_turn(find).await?;
    let end = offset + i64::try_from(keys.items.len()).unwrap_or_default();
    let at = |offset: i64| link("/access", &[("offset", Some(offset.to_string()))]);
    let older = |next: SignInId| {
        let keys = (offset > 0).then(|| offset.to_string());
        link("/access", &[("offset", keys), ("before", Some(next.to_string()))])
    };
    let look = &viewer.look;
    let ends = keys.items.iter().filter_map(|entry| entry.listed.key.validity().end());
    let ends = ends.chain(sign_ins.items.iter().map(|entry| entry.ends_at));
    Ok(layout::page(
        viewer,
        Frame {
            title: "Access",
            section: Section::Access,
            tools: html! {
                @if viewer.is_owner() { a.button href="/access/audit" { "Audit log" } }
            },
            next_change: look.now.next_of(ends),
            content: html! {
                (agents.suspension())
                div.grid.even {
                    section.card.c12 #keys data-live="" aria-labelledby="keys-title" {
                        header { h2 id="keys-title" { "Keys" } span.muted { (keys.total) } }
                        (overview::keys(viewer, &keys))
                        div.buttons {
                            @if offset > 0 {
                                a.button href=(at((offset - i64::from(KEY_ROWS)).max(0))) { "Back" }
                            }
                            @if end < keys.total { a.button href=(at(end)) { "More" } }
                        }
                    }
                    section.card.c12 #sign-ins data-live="" aria-labelledby="sign-ins-title" {
                        header { h2 id="sign-ins-title" { "Sign-ins" } }
                        (overview::sign_ins(viewer, &sign_ins.items))
                        div.buttons {
                            @if before.is_some() { a.button href=(at(offset)) { "Latest" } }
                            @if let Some(next) = sign_ins.next { a.button href=(older(next)) { "Older" } }
                        }
                    }
                    @if viewer.is_owner() {
                        section.card.c6.tall aria-labelledby="new-key-title" {
                            header { h2 id="new-key-title" { "New key" } }
                            (overview::new_key((app, viewer), &agents, filled, faults))
                        }
                    }
                    section.card.c6 aria-labelledby="rotate-title" {
                        header { h2 id="rotate-title" { "Rotate a key" } }
                        (overview::rotation(app, viewer, &Faults::default()))
                    }
                    @if viewer.is_owner() {
                        section.card.c6 aria-labelledby="code-title" {
                            header { h2 id="code-title" { "Recovery code" } }
                            (overview::recovery_code(app, viewer, &Faults::default()))
                        }
                    }
                    section.card.c6 aria-labelledby="export-title" {
                        header { h2 id="export-title" { "Export" } }
                        (export::form(address, viewer, &Faults::default()))
                    }
                }
            },
        },
    ))
}
