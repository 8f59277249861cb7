//! `/search`: words in the encrypted texts.

use std::sync::Arc;

use axum::extract::{MatchedPath, State};
use axum::response::{IntoResponse, Response};
use roots_domain::model::Invalid;
use roots_domain::model::id::SessionId;
use roots_domain::model::page::{LIMIT_DEFAULT, PageRequest};
use roots_domain::model::search::{SearchHit, SearchKind, SearchTerms, SearchedKinds};
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::todo::TodoStatus;
use roots_domain::model::zone::Zone;
use roots_domain::service::access::{ActorScope, Caller};
use roots_domain::service::search::SearchSelection;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::choice;
use crate::todo_bodies::TodoStatusName;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::{InvalidNoted, one_of};
use roots_http_core::request::json::{
    FromMembers, Json, Members, actor_scope, integer, session_id, text,
};
use roots_http_core::request::pagination::{Cursor, RequestedPage};
use roots_http_core::request::query::{NoParams, Query};
use roots_http_core::schema;

/// The route of searches.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(search))
}

choice!(KindName, "SearchKind", SearchKind::ALL.map(SearchKind::name));
choice!(FieldName, "SearchField", ["notes", "title", "description", "note"]);

/// What to search for, and where.
#[derive(ToSchema)]
#[schema(as = Search, example = json!({"q": "docs page*", "limit": 10}))]
#[serde(deny_unknown_fields)]
struct SearchBody {
    /// 1 to 8 terms, separated by white space. A term is a word, a phrase in double quotes, or the
    /// beginning of a word with `*` at its end. All of them must be found, in any case.
    #[schema(value_type = schema::SearchText)]
    q: (SearchTerms, String),
    /// Only items of this kind.
    #[schema(value_type = Option<KindName>)]
    kind: Option<SearchKind>,
    /// Start of the range, inclusive: an RFC 3339 date or time.
    #[schema(value_type = Option<schema::DateOrTime>)]
    since: Option<Timestamp>,
    /// End of the range, inclusive: an RFC 3339 date or time. A date includes the whole day.
    #[schema(value_type = Option<schema::DateOrTime>)]
    until: Option<Timestamp>,
    /// Only this session, and the todos and activities that are linked to it.
    #[schema(value_type = Option<i64>, minimum = 1)]
    session_id: Option<SessionId>,
    /// Only todos with this status. Leave it out with another `kind`.
    #[schema(value_type = Option<TodoStatusName>)]
    status: Option<TodoStatus>,
    /// An actor's id, or `all` for every actor of the account. The default is the caller; only the
    /// owner may ask for others.
    #[schema(value_type = Option<schema::ActorFilter>)]
    actor_id: ActorScope,
    /// The maximum number of results, 1 to 100. A larger number counts as 100.
    #[schema(value_type = Option<i64>, minimum = 1, default = 20)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page. All other fields but `limit` must be the same.
    #[schema(value_type = Option<schema::Cursor>)]
    cursor: Option<Cursor>,
    /// The kinds that `kind` and `status` select.
    #[schema(ignore)]
    kinds: SearchedKinds,
}

impl FromMembers for SearchBody {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let terms = |q: String| Ok::<_, Invalid>((SearchTerms::parse(&q)?, q));
        let q = members.required("q", text(terms));
        let kind = |name: String| one_of(&SearchKind::ALL, SearchKind::name, &name);
        let kind = members.optional("kind", text(kind));
        let since = |at: String| Timestamp::parse_since(&at, &Zone::UTC);
        let since = members.optional("since", text(since));
        let until = |at: String| Timestamp::parse_until(&at, &Zone::UTC);
        let until = members.optional("until", text(until));
        let session_id = members.optional("session_id", session_id);
        let status = |name: String| one_of(&TodoStatus::ALL, TodoStatus::name, &name);
        let status = members.optional("status", text(status));
        let actor_id = members.optional("actor_id", actor_scope);
        let limit = |number: i64| PageRequest::parse_limit(&number.to_string());
        let limit = members.optional("limit", integer(limit));
        let cursor = members.optional("cursor", text(|cursor| Cursor::parse(&cursor)));
        let (kind, status) = (kind?, status?);
        let kinds = SearchedKinds::new(kind, status)
            .map_err(|invalid| members.error("status", invalid.to_string()));
        Ok(Self {
            q: q?,
            kind,
            since: since?,
            until: until?,
            session_id: session_id?,
            status,
            actor_id: actor_id?.unwrap_or_default(),
            limit: limit?,
            cursor: cursor?,
            kinds: kinds?,
        })
    }
}

impl SearchBody {
    /// What is searched, how many results a page has, and which page is requested. A cursor belongs
    /// to all fields but itself and the limit.
    fn read(self, path: MatchedPath) -> (SearchSelection, u32, RequestedPage) {
        let Self { q, kind, since, until, session_id, status, actor_id, limit, cursor, kinds } =
            self;
        let (terms, text) = q;
        let actor = match actor_id {
            ActorScope::Own => None,
            ActorScope::Of(actor) => Some(actor.to_string()),
            ActorScope::All => Some("all".to_owned()),
        };
        let filters = [
            ("q", Some(text)),
            ("kind", kind.map(|kind| kind.name().to_owned())),
            ("since", since.map(|at| at.to_string())),
            ("until", until.map(|at| at.to_string())),
            ("session_id", session_id.map(|id| id.to_string())),
            ("status", status.map(|status| status.name().to_owned())),
            ("actor_id", actor),
        ];
        let given = |(name, value): (&str, Option<String>)| Some((name.to_owned(), value?));
        let filters = filters.into_iter().filter_map(given).collect();
        let range = TimeRange { since, until };
        let selection =
            SearchSelection { terms, scope: actor_id, kinds, session: session_id, range };
        let page = RequestedPage::of_body(path, filters, cursor);
        (selection, limit.unwrap_or(LIMIT_DEFAULT), page)
    }
}

/// A page of found items.
#[derive(Serialize, ToSchema)]
struct SearchResults {
    /// The newest first.
    results: Vec<SearchResult>,
    /// Pass it as `cursor` to get the next page; `null` on the last page. The next page may be
    /// empty.
    #[schema(required)]
    next_cursor: Option<String>,
    /// `false` if the call reached its own limits, such as 200,000 texts, before it had found
    /// `limit` results: go on with `next_cursor`.
    complete: bool,
    /// The number of texts that can't be read. They match nothing.
    #[schema(minimum = 0)]
    unreadable: u64,
}

/// A found item. It is listed once, however many of its texts match.
#[derive(Serialize, ToSchema)]
struct SearchResult {
    #[schema(value_type = KindName)]
    kind: &'static str,
    /// The id of the session, the todo or the activity.
    id: i64,
    /// When the session started, the todo was created or the activity happened.
    #[schema(format = DateTime)]
    at: String,
    /// The text that has the most of the terms; `note` is a note of the todo's log.
    #[schema(value_type = FieldName)]
    field: &'static str,
    /// The part of that text around the first match, at most 200 characters. `…` stands where it
    /// was cut.
    excerpt: String,
    /// The title of a todo.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    title: Option<String>,
    /// The actor that the item belongs to.
    actor_id: i64,
}

impl From<SearchHit> for SearchResult {
    fn from(hit: SearchHit) -> Self {
        Self {
            kind: hit.kind.name(),
            id: hit.id,
            at: hit.at.to_string(),
            field: hit.field.column(),
            excerpt: hit.excerpt,
            title: hit.title,
            actor_id: hit.actor.0,
        }
    }
}

/// Search texts
///
/// Finds words in the caller's texts: notes of sessions, titles, descriptions and log notes of
/// todos, and descriptions of activities. The owner may search any actor's. Texts are decrypted one
/// by one and nothing is kept. Writes nothing and costs nothing, also while the account is
/// suspended.
#[utoipa::path(
    post, path = "/api/v1/search", operation_id = "search", tag = "search",
    request_body = SearchBody,
    responses(
        (status = 200, description = "The newest items that have all terms.", body = SearchResults, example = json!({
            "results": [
                {
                    "kind": "activity",
                    "id": 1,
                    "at": "2026-04-09T14:00:00Z",
                    "field": "description",
                    "excerpt": "Deployed docs pages for sessions, todos, activities",
                    "actor_id": 1
                },
                {
                    "kind": "todo",
                    "id": 1,
                    "at": "2026-04-09T10:00:00Z",
                    "field": "note",
                    "excerpt": "All three docs pages deployed",
                    "title": "Write API docs",
                    "actor_id": 1
                }
            ],
            "next_cursor": null,
            "complete": true,
            "unreadable": 0
        })),
        (status = 403, description = "The caller is a member and named another actor."),
        (status = 429, description = "The actor has used up its searches, or a rate limit is reached."),
        (status = 503, description = "Other searches of the actor or of other accounts ran for more than 1 s, or the service is unavailable.")
    )
)]
async fn search(
    State(app): State<App>,
    mut caller: Bearer,
    path: MatchedPath,
    _: Query<NoParams>,
    Json(body): Json<SearchBody>,
) -> Result<Response, Problem> {
    let (selection, limit, page) = body.read(path);
    let after = page.after_of_body(&caller)?;
    caller.count_search()?;
    let find = |caller: Arc<Caller>| {
        let (search, selection) = (app.services.search.clone(), selection.clone());
        async move { search.find(&caller, &selection, limit, after).await }
    };
    let actor = (caller.account.id, caller.actor.id);
    let found = caller.read(|caller| app.shared.searches.run(actor, find(caller))).await??;
    if let Some(error) = &found.broken {
        let account = caller.account.id;
        tracing::warn!(%account, %error, "a search could not read the keys of an actor");
    }
    let body = SearchResults {
        results: found.hits.into_iter().map(SearchResult::from).collect(),
        next_cursor: found.next.map(|last| page.cursor(&caller, last)),
        complete: found.is_complete,
        unreadable: found.unreadable,
    };
    Ok(axum::Json(body).into_response())
}
