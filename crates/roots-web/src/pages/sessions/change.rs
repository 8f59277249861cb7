//! `POST /sessions/{id}/end` and `POST /sessions/{id}/notes`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;
use roots_domain::model::Patch;
use roots_domain::model::id::SessionId;
use roots_domain::model::session::{Session, SessionPatch, SessionStatus, SessionStatusKind};
use roots_domain::model::text::LongText;
use roots_domain::service::access::Caller;
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::request::path::Id;

use super::item::notes_form;
use crate::answer::{html, see_other};
use crate::app::App;
use crate::form::{self, Faults, Posted, again};
use crate::layout::{self, Frame, Section};
use crate::once::done_once;
use crate::pages::conflict::{self, Conflict};
use crate::rows;

/// Ends a session.
pub(crate) async fn end(
    State(app): State<App>,
    Id(id): Id<SessionId>,
    mut posted: Posted,
) -> Response {
    let patch = SessionPatch { status: Some(SessionStatusKind::Ended), notes: Patch::Keep };
    let problem = match write(&app, id, &posted, patch).await {
        Ok(()) => return see_other(&format!("/sessions/{id}")),
        Err(problem) => problem,
    };
    if problem.kind() != ProblemKind::PreconditionFailed {
        return posted.fail(problem);
    }
    match current(&app, id, &mut posted).await {
        Ok(session) => {
            let is_active = session.status == SessionStatus::Active;
            let theirs = if is_active { "active" } else { "ended" };
            let mine = html! { (form::hidden(&app, &posted.viewer, Some(session.tag()))) };
            let notes = session.notes.as_deref().unwrap_or("It has no notes.");
            conflict::page(
                &posted.viewer,
                &Conflict {
                    what: &format!("Session {id}"),
                    path: &format!("/sessions/{id}"),
                    section: Section::Sessions,
                    rows: &[("Status", theirs, "ended")],
                    now: conflict::now(&[("Notes", notes)]),
                    action: &format!("/sessions/{id}/end"),
                    mine: is_active.then_some(("End it anyway", mine)),
                },
            )
        }
        Err(problem) => posted.fail(problem),
    }
}

/// Sets the notes of a session.
pub(crate) async fn notes(
    State(app): State<App>,
    Id(id): Id<SessionId>,
    mut posted: Posted,
) -> Response {
    let typed = posted.typed.get("notes").unwrap_or_default().to_owned();
    let problem = match save(&app, id, &posted).await {
        Ok(()) => return see_other(&format!("/sessions/{id}")),
        Err(problem) => problem,
    };
    let status = problem.status();
    if problem.kind() == ProblemKind::PreconditionFailed {
        let session = match current(&app, id, &mut posted).await {
            Ok(session) => session,
            Err(problem) => return posted.fail(problem),
        };
        let theirs = session.notes.clone().unwrap_or_default().replace("\r\n", "\n");
        let rows = [("Notes", theirs.as_str(), typed.as_str())];
        let mine = html! {
            (form::hidden(&app, &posted.viewer, Some(session.tag())))
            input type="hidden" name="notes" value=(typed);
        };
        return conflict::page(
            &posted.viewer,
            &Conflict {
                what: &format!("Session {id}"),
                path: &format!("/sessions/{id}"),
                section: Section::Sessions,
                rows: if theirs == typed { &[] } else { &rows },
                now: html! {},
                action: &format!("/sessions/{id}/notes"),
                mine: Some(("Use mine", mine)),
            },
        );
    }
    let faults = match Faults::of(problem, &["notes"]) {
        Ok(faults) => faults,
        Err(problem) => return posted.fail(problem),
    };
    // The state that the form showed: a person who types on has not seen another.
    let hidden = form::hidden(&app, &posted.viewer, posted.tag());
    again(
        status,
        html(layout::page(
            &posted.viewer,
            Frame {
                title: &format!("Notes of session {id}"),
                section: Section::Sessions,
                tools: html! {},
                next_change: None,
                content: html! { section.card { (notes_form(id, &hidden, &typed, &faults)) } },
            },
        )),
    )
}

async fn save(app: &App, id: SessionId, posted: &Posted) -> Result<(), Problem> {
    let notes = form::read(&posted.typed, |params| {
        let notes = params.take("notes", |text: String| LongText::parse(text));
        match notes? {
            Some(notes) if notes.as_str().is_empty() => Ok(Patch::Clear),
            Some(notes) => Ok(Patch::Set(notes)),
            None => Err(params.error("notes", "is required")),
        }
    })?;
    write(app, id, posted, SessionPatch { status: None, notes }).await
}

async fn write(
    app: &App,
    id: SessionId,
    posted: &Posted,
    patch: SessionPatch<LongText>,
) -> Result<(), Problem> {
    let preconditions = posted.preconditions_of_row()?;
    let bearer = &posted.viewer.bearer;
    let sessions = &app.services.sessions;
    done_once(app, bearer, || sessions.patch(bearer, id, patch.clone(), preconditions.clone()))
        .await?;
    Ok(())
}

async fn current(app: &App, id: SessionId, posted: &mut Posted) -> Result<Session, Problem> {
    let sessions = &app.services.sessions;
    let find = |caller: Arc<Caller>| async move { sessions.find_one(&caller, id).await };
    let (found, _room) = rows::one(app, &mut posted.viewer, "session", find).await?;
    Ok(found.row)
}
