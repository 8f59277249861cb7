//! The brief.

use std::sync::Arc;

use roots_domain::model::brief::{Brief, fit};
use roots_domain::model::time::Timestamp;
use roots_domain::model::zone::Zone;
use roots_domain::service::access::{ActorScope, Caller};
use roots_domain::service::brief::{BriefRequest, SealedBrief};
use roots_http_core::middleware::list_permits::FoundRows;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{FromMembers, Members, text};

use super::call::{Answer, Call};
use super::todos::actors;
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
        let (max_bytes, since) = (max_bytes?, since?);
        Ok(Self(BriefRequest { since, scope: scope?.unwrap_or_default(), max_bytes }))
    }
}

/// Tells what an agent has to know when it wakes.
pub(super) async fn work_brief(mut call: Call) -> Result<Answer, Problem> {
    let Arguments(request) = call.read()?;
    let services = Arc::clone(&call.services);
    let briefs = &services.briefs;
    let find =
        |caller: Arc<Caller>| async move { briefs.find(&caller, request).await.map(FoundBrief) };
    let (FoundBrief(rows), room) = call.bearer.read_rows(find).await?;
    let brief = briefs.open(&call.bearer, request, rows).await?;
    let brief = fit(brief, request.max_bytes - CREDITS_BYTES, |brief| bytes(brief, request.scope));
    call.answer(BriefDocument::new(&brief, request.scope), room).await
}

fn bytes(brief: &Brief, scope: ActorScope) -> usize {
    // Strings, numbers and lists always serialize.
    let document = serde_json::to_vec(&BriefDocument::new(brief, scope));
    document.map_or(usize::MAX, |json| json.len())
}

/// The rows of a brief. It is shortened before it becomes JSON.
struct FoundBrief(SealedBrief);

impl FoundRows for FoundBrief {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn sealed_bytes(&self) -> usize {
        self.0.texts().filter_map(|(_, text)| text.as_ref()).map(|text| text.0.len()).sum()
    }
}
