//! Sessions.

use roots_domain::model::Patch;
use roots_domain::model::id::SessionId;
use roots_domain::model::session::{SessionPatch, SessionStatusKind};
use roots_domain::model::text::LongText;
use roots_domain::service::sessions::SessionDraft;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{FromMembers, Members, actor_id, session_id, text};

use super::call::{Answer, Call, request_id};
use crate::documents::SessionDocument;

struct NewSession {
    draft: SessionDraft,
    request_id: Option<String>,
}

impl FromMembers for NewSession {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let notes = members.optional("notes", text(LongText::parse));
        let actor = members.optional("actor_id", actor_id);
        let request_id = request_id(members);
        let draft = SessionDraft { actor: actor?, notes: notes? };
        Ok(Self { draft, request_id: request_id? })
    }
}

struct End {
    id: SessionId,
    notes: Option<LongText>,
    request_id: Option<String>,
}

impl FromMembers for End {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let id = members.required("session_id", session_id);
        let notes = members.optional("notes", text(LongText::parse));
        let request_id = request_id(members);
        Ok(Self { id: id?, notes: notes?, request_id: request_id? })
    }
}

/// Starts a session.
pub(super) async fn start_session(call: Call) -> Result<Answer, Problem> {
    let NewSession { draft, request_id } = call.read()?;
    let preconditions = call.preconditions("start_session", request_id);
    let started = call.services.sessions.start(&call.bearer, draft, preconditions).await;
    call.settle(started, SessionDocument::from)
}

/// Ends a session. Without notes, those that it has stay.
pub(super) async fn end_session(call: Call) -> Result<Answer, Problem> {
    let End { id, notes, request_id } = call.read()?;
    let preconditions = call.preconditions("end_session", request_id);
    let notes = notes.map_or(Patch::Keep, Patch::Set);
    let patch = SessionPatch { status: Some(SessionStatusKind::Ended), notes };
    let ended = call.services.sessions.patch(&call.bearer, id, patch, preconditions).await;
    call.settle(ended, SessionDocument::from)
}
