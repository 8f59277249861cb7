//! Searches.

use std::sync::Arc;

use roots_domain::model::Invalid;
use roots_domain::model::page::LIMIT_DEFAULT;
use roots_domain::model::search::{SearchHit, SearchKind, SearchTerms, SearchedKinds};
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::todo::TodoStatus;
use roots_domain::model::zone::Zone;
use roots_domain::service::access::Caller;
use roots_domain::service::search::SearchSelection;
use roots_http_core::middleware::list_permits::Room;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{FromMembers, Members, integer, session_id, text};
use roots_http_core::request::pagination::Cursor;

use super::call::{Answer, Call, name};
use super::todos::{actors, limit, scope_text};
use crate::documents::{Omitted, SearchPage, SearchResult};
use crate::fit::{Fitted, fit, max_bytes};

struct Search {
    selection: SearchSelection,
    /// What a cursor belongs to.
    filters: [(&'static str, Option<String>); 7],
    limit: u32,
    cursor: Option<Cursor>,
    max_bytes: usize,
}

impl FromMembers for Search {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let terms = |q: String| Ok::<_, Invalid>((SearchTerms::parse(&q)?, q));
        let q = members.required("q", text(terms));
        let kind = members.optional("kind", text(name(&SearchKind::ALL, SearchKind::name)));
        let since = |at: String| Timestamp::parse_since(&at, &Zone::UTC);
        let since = members.optional("since", text(since));
        let until = |at: String| Timestamp::parse_until(&at, &Zone::UTC);
        let until = members.optional("until", text(until));
        let session = members.optional("session_id", session_id);
        let status = members.optional("status", text(name(&TodoStatus::ALL, TodoStatus::name)));
        let scope = members.optional("actor_id", actors);
        let limit = members.optional("limit", integer(limit));
        let cursor = members.optional("cursor", text(|cursor| Cursor::parse(&cursor)));
        let max_bytes = max_bytes(members);
        let (kind, status) = (kind?, status?);
        let kinds = SearchedKinds::new(kind, status)
            .map_err(|invalid| members.error("status", invalid.to_string()));
        let ((terms, q), since, until) = (q?, since?, until?);
        let (session, scope) = (session?, scope?.unwrap_or_default());
        let filters = [
            ("q", Some(q)),
            ("kind", kind.map(|kind| kind.name().to_owned())),
            ("since", since.map(|at| at.to_string())),
            ("until", until.map(|at| at.to_string())),
            ("session_id", session.map(|id| id.to_string())),
            ("status", status.map(|status| status.name().to_owned())),
            ("actor_id", scope_text(scope)),
        ];
        let range = TimeRange { since, until };
        let selection = SearchSelection { terms, scope, kinds: kinds?, session, range };
        Ok(Self {
            selection,
            filters,
            limit: limit?.unwrap_or(LIMIT_DEFAULT),
            cursor: cursor?,
            max_bytes: max_bytes?,
        })
    }
}

/// Searches texts. A page has as many results as fit, and the cursor goes on after the last of
/// them.
pub(super) async fn search_work(mut call: Call) -> Result<Answer, Problem> {
    let Search { selection, filters, limit, cursor, max_bytes } = call.read()?;
    let page = call.page("search_work", &filters, cursor);
    let after = page.after_of_body(&call.bearer)?;
    call.bearer.count_search()?;
    let services = Arc::clone(&call.services);
    let find = |caller: Arc<Caller>| {
        let (search, selection) = (services.search.clone(), selection.clone());
        async move { search.find(&caller, &selection, limit, after).await }
    };
    let actor = (call.bearer.account.id, call.bearer.actor.id);
    let searches = &call.shared.searches;
    let found = call.bearer.read(|caller| searches.run(actor, find(caller))).await??;
    if let Some(error) = &found.broken {
        let account = call.bearer.account.id;
        tracing::warn!(%account, %error, "a search could not read the keys of an actor");
    }
    let positions: Vec<_> = found.hits.iter().map(SearchHit::position).collect();
    let count = found.hits.len();
    let fitted = fit("results", found.hits.into_iter().map(SearchResult::from), max_bytes);
    let Fitted { rows, cut } = fitted.map_err(|error| Problem::internal(error.to_string()))?;
    let left_out = count - rows.len();
    let last = rows.len().checked_sub(1).and_then(|last| positions.get(last).copied());
    let next = if left_out > 0 { last } else { found.next };
    let omitted = (left_out > 0).then(|| Omitted {
        what: "results",
        count: Some(left_out),
        request: "search_work with cursor = next_cursor".to_owned(),
    });
    let document = SearchPage {
        results: rows,
        next_cursor: next.map(|last| page.cursor(&call.bearer, last)),
        complete: found.is_complete,
        unreadable: found.unreadable,
        omitted: omitted.into_iter().collect(),
        cut,
    };
    call.answer(document, Room::default()).await
}
