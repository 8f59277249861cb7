//! The brief.

use std::sync::Arc;

use roots_domain::model::brief::{Brief, BriefActors, fit};
use roots_domain::model::time::Timestamp;
use roots_domain::model::zone::Zone;
use roots_domain::service::ReadError;
use roots_domain::service::access::Caller;
use roots_domain::service::brief::BriefRequest;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{FromMembers, Members, session_id, text};

use super::call::{Answer, Call};
use super::selection::actors;
use crate::brief_document::BriefDocument;
use crate::fit::max_bytes;

/// Most bytes of the members that tell the credits.
const CREDITS_BYTES: usize = 64;

struct Arguments(BriefRequest);

impl FromMembers for Arguments {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let max_bytes = max_bytes(members);
        let since = |at: String| Timestamp::parse_since(&at, &Zone::UTC);
        let since = members.optional("since", text(since));
        let scope = members.optional("actor_id", actors);
        let session = members.optional("session_id", session_id);
        let (max_bytes, since, session) = (max_bytes?, since?, session?);
        Ok(Self(BriefRequest { since, scope: scope?.unwrap_or_default(), session, max_bytes }))
    }
}

/// Tells what an agent has to know when it wakes.
pub(super) async fn work_brief(mut call: Call) -> Result<Answer, Problem> {
    let Arguments(request) = call.read()?;
    let services = Arc::clone(&call.services);
    let briefs = &services.briefs;
    let actors = request.actors(&call.bearer).map_err(ReadError::from)?;
    let find = |caller: Arc<Caller>| async move { briefs.find(&caller, request).await };
    let (rows, room) = call.bearer.read_rows(find).await?;
    let brief = briefs.open(&call.bearer, request, rows).await?;
    let brief = fit(brief, request.max_bytes - CREDITS_BYTES, |brief| bytes(brief, actors));
    call.answer(BriefDocument::new(&brief, actors), room).await
}

fn bytes(brief: &Brief, actors: BriefActors) -> usize {
    // Strings, numbers and lists always serialize.
    let document = serde_json::to_vec(&BriefDocument::new(brief, actors));
    document.map_or(usize::MAX, |json| json.len())
}
