//! `GET /sessions/{id}`: one session, and what happened in it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::id::SessionId;
use roots_domain::model::session::{ListedSession, Session, SessionStatus};
use roots_domain::model::session_entries::SessionEntries;
use roots_domain::service::access::Caller;
use roots_http_core::problem::Problem;
use roots_http_core::request::path::Id;
use roots_http_core::request::query::Query;

use super::entries::{self, Before, Entry};
use super::list::status;
use crate::agents::Agents;
use crate::answer::html;
use crate::app::App;
use crate::form::{self, Faults, field};
use crate::layout::{self, Frame, Section};
use crate::rows::{self, Opened};
use crate::text;
use crate::time;
use crate::viewer::Viewer;

/// The session.
pub(crate) async fn show(
    State(app): State<App>,
    mut viewer: Viewer,
    Id(id): Id<SessionId>,
    Query(before): Query<Before>,
) -> Result<Response, Problem> {
    let mut agents = Agents::read(&app, &mut viewer).await?;
    let entries = entries::of_session(&app, &mut viewer, id, before).await?;
    let sessions = &app.services.sessions;
    let find = |caller: Arc<Caller>| async move { sessions.find_listed(&caller, id).await };
    let (listed, room) = rows::one(&app, &mut viewer, "session", find).await?;
    agents.learn(&app, &mut viewer, vec![listed.row.session.actor]).await?;
    let page = Item { app: &app, viewer: &viewer, agents: &agents, listed: &listed };
    let answer = html(page.show(&entries, before));
    Ok(room.hold(answer).await)
}

struct Item<'a> {
    app: &'a App,
    viewer: &'a Viewer,
    agents: &'a Agents,
    listed: &'a Opened<ListedSession>,
}

impl Item<'_> {
    fn session(&self) -> &Session {
        &self.listed.row.session
    }

    fn show(&self, entries: &SessionEntries<Entry>, before: Before) -> Markup {
        let id = self.session().id;
        let quiet_from = self.app.rules.quiet_from(self.listed.row.activity());
        layout::page(
            self.viewer,
            Frame {
                title: &format!("Session {id}"),
                section: Section::Sessions,
                tools: html! {},
                next_change: self.viewer.look.now.next_of(quiet_from),
                content: html! {
                    (self.agents.cost_when_out())
                    div.grid {
                        section.card.c8 #entries data-live="" aria-labelledby="entries-title" {
                            header { h2 id="entries-title" { "What happened" } }
                            (self.entries(entries, before))
                        }
                        section.card.c4 #facts data-live="" { (self.facts()) }
                        section.card.c12 #notes data-live="" aria-labelledby="notes-title" {
                            header { h2 id="notes-title" { "Notes" } }
                            (self.notes())
                        }
                    }
                },
            },
        )
    }

    fn entries(&self, page: &SessionEntries<Entry>, before: Before) -> Markup {
        let look = &self.viewer.look;
        let session = self.session();
        let newest = Before::default();
        html! {
            div.buttons {
                @if page.earlier.is_some() {
                    a.button data-earlier="" href=(Before(page.earlier).path(session.id)) {
                        "Earlier"
                    }
                }
                @if before != newest {
                    a.button data-later="" href=(newest.path(session.id)) { "Newest" }
                }
            }
            ol.rows {
                @if page.earlier.is_none() {
                    li { span.t { (time::clock(look, session.started_at)) } span.grow { "Started" }
                        span.t { (time::date(look, session.started_at)) } }
                }
                @for entry in &page.entries { (entry.show(look)) }
                @if let SessionStatus::Ended { at, .. } = session.status {
                    @if before == newest {
                        li { span.t { (time::clock(look, at)) } span.grow { "Ended" }
                            span.t { (time::date(look, at)) } }
                    }
                }
            }
        }
    }

    fn facts(&self) -> Markup {
        let (session, look) = (self.session(), &self.viewer.look);
        let is_quiet = self.app.rules.is_quiet(self.listed.row.activity(), look.now);
        let end = session.status.ended_at().unwrap_or(look.now);
        html! {
            dl.facts {
                dt { "Agent" }
                dd { a href={ "/agents/" (session.actor) } { (self.agents.name(session.actor)) } }
                dt { "Status" } dd { (status(session.status, is_quiet)) }
                @if session.status == SessionStatus::Active {
                    dt { "Last sign of life" } dd { (time::when(look, self.listed.row.last_active_at)) }
                }
                dt { "Started" } dd { (time::full(look, session.started_at)) }
                @if let Some(at) = session.status.ended_at() {
                    dt { "Ended" } dd { (time::full(look, at)) }
                }
                dt { "Lasted" } dd { (time::span(time::seconds_between(session.started_at, end))) }
            }
            @if session.status == SessionStatus::Active {
                form method="post" action={ "/sessions/" (session.id) "/end" } {
                    (form::hidden(self.app, self.viewer, Some(session.tag())))
                    div.buttons { button { "End it" } (self.agents.cost()) }
                }
            }
        }
    }

    fn notes(&self) -> Markup {
        let session = self.session();
        let notes = session.notes.as_deref().unwrap_or_default();
        html! {
            @if !notes.is_empty() { (text::markdown(notes)) }
            @if self.listed.is_legible {
                details #annotate {
                    summary { (if notes.is_empty() { "Write notes" } else { "Change the notes" }) }
                    (notes_form(session.id, &form::hidden(self.app, self.viewer, Some(session.tag())), notes,
                        &Faults::default()))
                    (self.agents.cost())
                }
            }
        }
    }
}

/// The form of the notes, with its hidden fields and what stands in it.
pub(super) fn notes_form(id: SessionId, hidden: &Markup, typed: &str, faults: &Faults) -> Markup {
    let control = html! {
        textarea #notes-text name="notes" rows="8" dir="auto"
            aria-describedby=[faults.described("notes")] { "\n" (typed) }
    };
    html! {
        form.stack method="post" action={ "/sessions/" (id) "/notes" } {
            (faults.above())
            (hidden)
            (field(faults, "notes-text", "Notes, in Markdown", &control))
            (faults.at("notes"))
            div.buttons { button.primary { "Save the notes" } }
        }
    }
}
