//! `GET /sessions`: sessions, latest first.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::chart::LaneSpan;
use roots_domain::model::id::{ActorId, SessionId};
use roots_domain::model::page::{Page, PageRequest};
use roots_domain::model::session::{
    EndReason, ListedSession, SessionActivity, SessionStatus, SessionStatusKind, SessionWindow,
};
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::service::access::Caller;
use roots_domain::service::sessions::SessionFilter;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::{InvalidNoted, one_of};
use roots_http_core::request::query::{FromParams, Params, Query, time as time_of_query};

use super::timeline::Lanes;
use crate::address::Address;
use crate::agents::Agents;
use crate::answer::html;
use crate::app::App;
use crate::chart::number;
use crate::first_steps;
use crate::layout::{self, Frame, Section};
use crate::look::Look;
use crate::query::{agent, link, optional, scope};
use crate::rows::{self, Opened};
use crate::text;
use crate::time;
use crate::viewer::Viewer;

/// Sessions of a page.
const PAGE_ROWS: u32 = 50;
/// How much of its notes a row shows, in characters.
const NOTES_CHARS: usize = 120;

/// The query of the list.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionsQuery {
    agent: Option<ActorId>,
    status: Option<SessionStatusKind>,
    span: LaneSpan,
    /// The end of the span; `None` for now. Sessions that started later are left out.
    until: Option<Timestamp>,
    offset: i64,
}

impl FromParams for SessionsQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let agent = agent(params);
        let named = |text: &str| one_of(&SessionStatusKind::ALL, SessionStatusKind::name, text);
        let status = optional(params, "status", named);
        let named = |text: &str| one_of(&LaneSpan::ALL, LaneSpan::name, text);
        let span = optional(params, "span", named);
        let until =
            optional(params, "until", |text| Timestamp::parse(&time_of_query(text.to_owned())));
        let offset = optional(params, "offset", PageRequest::parse_offset);
        Ok(Self {
            agent: agent?,
            status: status?,
            span: span?.unwrap_or_default(),
            until: until?,
            offset: offset?.unwrap_or_default(),
        })
    }
}

impl SessionsQuery {
    /// Whether it leaves any session out.
    const fn has_filter(&self) -> bool {
        self.offset > 0 || self.status.is_some() || self.agent.is_some() || self.until.is_some()
    }

    fn path(&self) -> String {
        let is_other_span = self.span != LaneSpan::default();
        link(
            "/sessions",
            &[
                ("agent", self.agent.map(|id| id.to_string())),
                ("status", self.status.map(|status| status.name().to_owned())),
                ("span", is_other_span.then(|| self.span.name().to_owned())),
                ("until", self.until.map(|at| at.to_string())),
                ("offset", (self.offset > 0).then(|| self.offset.to_string())),
            ],
        )
    }
}

/// What a row shows.
struct Row {
    id: SessionId,
    actor: ActorId,
    status: SessionStatus,
    started_at: Timestamp,
    activity: SessionActivity,
    notes: String,
}

impl Row {
    fn of(Opened { row, .. }: Opened<ListedSession>) -> Self {
        let activity = row.activity();
        let ListedSession { session, .. } = row;
        let notes = session.notes.unwrap_or_default();
        Self {
            id: session.id,
            actor: session.actor,
            status: session.status,
            started_at: session.started_at,
            activity,
            notes: notes.chars().take(4 * NOTES_CHARS).collect(),
        }
    }
}

/// The list.
pub(crate) async fn show(
    State(app): State<App>,
    mut viewer: Viewer,
    Query(query): Query<SessionsQuery>,
    address: Address,
) -> Result<Response, Problem> {
    let mut agents = Agents::read(&app, &mut viewer).await?;
    agents.choose(&app, &mut viewer, query.agent).await?;
    let shown = scope(query.agent, viewer.is_owner());
    let now = viewer.look.now;
    let until = query.until.map_or(now, |until| until.min(now));
    let lanes = if query.offset == 0 {
        Some(Lanes::read(&app, &mut viewer, shown, query.span, until).await?)
    } else {
        None
    };
    let request = PageRequest::skipping(query.offset, PAGE_ROWS);
    let window = SessionWindow::Started(TimeRange { since: None, until: query.until });
    let filter = SessionFilter { scope: shown, status: query.status, window };
    let sessions = &app.services.sessions;
    let find = |caller: Arc<Caller>| async move { sessions.find(&caller, filter, request).await };
    let page = rows::page(&app, &mut viewer, find, Row::of).await?;
    let of_rows = page.items.iter().map(|row| row.actor);
    let drawn = lanes.iter().flat_map(Lanes::agents);
    agents.learn(&app, &mut viewer, of_rows.chain(drawn).collect()).await?;
    let flips = page.items.iter().filter_map(|row| app.rules.quiet_from(row.activity));
    let flips = flips.chain(lanes.as_ref().and_then(Lanes::next_change));
    let frame = Frame {
        title: "Sessions",
        section: Section::Sessions,
        tools: controls(&query, &agents, viewer.is_owner()),
        next_change: now.next_of(flips),
        content: html! {
            @if let Some(lanes) = &lanes {
                (lanes.show(&viewer.look, &agents, |span, until| {
                    SessionsQuery { span, until, ..query.clone() }.path()
                }))
            }
            section.card #sessions data-live="" aria-label="Sessions" {
                @if page.items.is_empty() { (empty(&query, &address)) }
                ul.rows {
                    @for row in &page.items { (show_row(&app, &viewer.look, &agents, row)) }
                }
                (pager(&query, &page))
            }
        },
    };
    Ok(html(layout::page(&viewer, frame)))
}

fn controls(query: &SessionsQuery, agents: &Agents, is_owner: bool) -> Markup {
    html! {
        form.filters method="get" action="/sessions" data-filter="" {
            @if is_owner {
                label.vh for="agent" { "Agent" }
                (agents.choice("agent", "All agents", query.agent))
            }
            label.vh for="status" { "Status" }
            select name="status" id="status" {
                option value="" { "Any status" }
                @for status in SessionStatusKind::ALL {
                    option value=(status.name()) selected[query.status == Some(status)] {
                        (status.name())
                    }
                }
            }
            input type="hidden" name="span" value=(query.span.name());
            @if let Some(until) = query.until { input type="hidden" name="until" value=(until); }
            button { "Filter" }
        }
    }
}

fn show_row(app: &App, look: &Look, agents: &Agents, row: &Row) -> Markup {
    let is_quiet = app.rules.is_quiet(row.activity, look.now);
    let end = row.status.ended_at().unwrap_or(look.now);
    html! {
        li id={ "row-session-" (row.id) } data-row="" {
            span.grow {
                a href={ "/sessions/" (row.id) } { "Session " (row.id) }
                " " (agents.name(row.actor)) " " (status(row.status, is_quiet))
                @if !row.notes.is_empty() {
                    br; span.muted { (text::excerpt(&row.notes, NOTES_CHARS)) }
                }
            }
            span.t { (time::span(time::seconds_between(row.started_at, end))) }
            span.t {
                @if row.status.ended_at().is_none() {
                    "last sign of life " (time::when(look, row.activity.last_active_at))
                } @else { (time::when(look, row.started_at)) }
            }
        }
    }
}

/// The status of a session, and whether an active one is quiet.
pub(super) fn status(status: SessionStatus, is_quiet: bool) -> Markup {
    html! {
        @match status {
            SessionStatus::Active if is_quiet => span.tag.warn { "active, quiet" },
            SessionStatus::Active => span.tag.ok { "active" },
            SessionStatus::Ended { reason: EndReason::Ended, .. } => span.tag { "ended" },
            SessionStatus::Ended { reason: EndReason::Idle, .. } => {
                span.tag.warn { "ended as idle" }
            }
        }
    }
}

fn empty(query: &SessionsQuery, address: &Address) -> Markup {
    html! {
        @if query.has_filter() {
            p { "No session matches. " a href="/sessions" { "All sessions" } }
        } @else {
            p { "No session yet. An agent starts one like this:" }
            (first_steps::start_a_session(address))
        }
    }
}

fn pager(query: &SessionsQuery, page: &Page<Row>) -> Markup {
    let rows = i64::from(PAGE_ROWS);
    let end = query.offset + i64::try_from(page.items.len()).unwrap_or_default();
    let at = |offset: i64| SessionsQuery { offset, ..query.clone() }.path();
    html! {
        div.buttons {
            @if query.offset > 0 {
                a.button data-later="" href=(at((query.offset - rows).max(0))) { "Later" }
            }
            @if end < page.total { a.button data-earlier="" href=(at(end)) { "Earlier" } }
            @if page.total > 0 { span.muted { (number(page.total)) " in all" } }
        }
    }
}
