//! `/sessions`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use roots_domain::model::id::{ActorId, SessionId};
use roots_domain::model::session::{
    EndReason, ListedSession, Session, SessionPatch, SessionStatusKind, SessionWindow,
};
use roots_domain::model::text::LongText;
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::zone::Zone;
use roots_domain::model::{Invalid, Patch};
use roots_domain::service::access::{ActorScope, Caller};
use roots_domain::service::sessions::{SessionDraft, SessionFilter};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::listed::Listed;
use crate::openapi::choice;
use crate::rows;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::{InvalidField, InvalidNoted, one_of};
use roots_http_core::request::json::{FromMembers, Members, NoFields, actor_id, text};
use roots_http_core::request::pagination::{List, Paging};
use roots_http_core::request::path::Id;
use roots_http_core::request::preconditions::{IfNoneMatch, Tagged, WriteRequest};
use roots_http_core::request::query::{FromParams, NoParams, Params, Query, actor_scope, time};
use roots_http_core::schema::{self, MERGE_PATCH, example_with};
use roots_http_core::wire::API_PATH;

/// The session of the examples.
fn example() -> Value {
    json!({
        "session_id": 1,
        "status": "active",
        "notes": "Working on API docs",
        "started_at": "2026-04-09T10:00:00Z",
        "ended_at": null,
        "ended_reason": null,
        "duration_seconds": null,
        "actor_id": 1
    })
}

/// All session routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list, start)).routes(routes!(get, update, delete))
}

/// A work session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionBody {
    /// Numbered per account.
    session_id: i64,
    #[schema(value_type = SessionStatusName)]
    status: &'static str,
    /// The agent's notes. Encrypted at rest.
    #[schema(required)]
    notes: Option<String>,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(required, format = DateTime)]
    ended_at: Option<String>,
    /// `ended` if a caller ended it, `idle` if nothing was written to it for too long; `null` while
    /// it is active.
    #[schema(required, value_type = Option<EndReasonName>)]
    ended_reason: Option<&'static str>,
    /// How long it lasted, in whole seconds; `null` while it is active.
    #[schema(required, minimum = 0)]
    duration_seconds: Option<i64>,
    /// The actor that the session belongs to.
    actor_id: i64,
}

impl From<Session> for SessionBody {
    fn from(session: Session) -> Self {
        Self {
            session_id: session.id.0,
            status: session.status.kind().name(),
            started_at: session.started_at.to_string(),
            ended_at: session.status.ended_at().map(|at| at.to_string()),
            ended_reason: session.status.end_reason().map(EndReason::name),
            duration_seconds: session.duration_seconds(),
            notes: session.notes,
            actor_id: session.actor.0,
        }
    }
}

/// A work session in a list. Only a list tells when it was last active: the `ETag` of a session
/// does not change with it.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedSession)]
pub(crate) struct LastActivity {
    /// Its start, or the last write that named the session while it was active. May be up to a
    /// minute behind.
    #[schema(format = DateTime)]
    last_active_at: String,
}

pub(crate) type ListedSessionBody = Listed<SessionBody, LastActivity>;

impl From<ListedSession> for ListedSessionBody {
    fn from(ListedSession { session, last_active_at }: ListedSession) -> Self {
        let last_active_at = last_active_at.to_string();
        Self { row: session.into(), more: LastActivity { last_active_at } }
    }
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
struct SessionPage {
    sessions: Vec<ListedSessionBody>,
    /// The number of matching rows on all pages. With `since`, `until` or `active_since` they are
    /// counted up to 1,000.
    total: i64,
    limit: u32,
    /// The number of rows skipped; 0 with `cursor`.
    offset: i64,
    /// Pass it as `cursor` to get the next page; `null` on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A session that was deleted.
#[derive(Serialize, ToSchema)]
struct SessionDeleted {
    /// `deleted`
    status: &'static str,
    session_id: i64,
}

/// The filter of the list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct SessionParams {
    /// Only sessions with this status.
    #[param(value_type = Option<SessionStatusName>, inline)]
    status: Option<SessionStatusKind>,
    /// Only sessions that started at this time or later: an RFC 3339 date or time.
    #[param(value_type = Option<schema::DateOrTime>, example = "2026-04-01")]
    since: Option<Timestamp>,
    /// Only sessions that started at this time or earlier: an RFC 3339 date or time. A date
    /// includes the whole day.
    #[param(value_type = Option<schema::DateOrTime>, example = "2026-04-09")]
    until: Option<Timestamp>,
    /// Only sessions that were active at this time or later, however long ago they started: those
    /// that are active now, and then those that ended at this time or later, the latest end first.
    /// It does not go with `since` or `until`.
    #[param(value_type = Option<schema::DateOrTime>, example = "2026-04-09T08:00:00Z")]
    active_since: Option<Timestamp>,
    /// An actor's id, or `all` for every actor of the account. The default is the caller; only the
    /// owner may ask for others.
    #[param(rename = "actor_id", value_type = Option<schema::ActorFilter>)]
    scope: ActorScope,
}

impl FromParams for SessionParams {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let status = params.take("status", |name| status(&name));
        let from = |text| Timestamp::parse_since(&time(text), &Zone::UTC);
        let since = params.take("since", from);
        let until = params.take("until", |text| Timestamp::parse_until(&time(text), &Zone::UTC));
        let active_since = params.take("active_since", from);
        let scope = actor_scope(params);
        let read = Self {
            status: status?,
            since: since?,
            until: until?,
            active_since: active_since?,
            scope: scope?,
        };
        match read.window() {
            Ok(_) => Ok(read),
            Err(InvalidField { field, message }) => Err(params.error(&field, message)),
        }
    }
}

impl SessionParams {
    /// The window of time, and the order.
    ///
    /// # Errors
    /// The parameters ask for both orders.
    fn window(&self) -> Result<SessionWindow, InvalidField> {
        let started = TimeRange { since: self.since, until: self.until };
        SessionWindow::new(started, self.active_since).ok_or_else(|| InvalidField {
            field: "active_since".to_owned(),
            message: "must not be given together with since or until".to_owned(),
        })
    }
}

/// A session to start.
#[derive(ToSchema)]
#[schema(example = json!({"notes": "Starting morning review"}))]
#[serde(deny_unknown_fields)]
struct NewSession {
    /// Notes, up to 65,536 bytes. Encrypted at rest.
    #[schema(value_type = Option<schema::LongText>)]
    notes: Option<LongText>,
    /// The actor that the session will belong to: the caller by default. Only an owner may name
    /// another.
    #[schema(value_type = Option<i64>, minimum = 1)]
    actor_id: Option<ActorId>,
}

impl FromMembers for NewSession {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let notes = members.optional("notes", text(LongText::parse));
        let actor_id = members.optional("actor_id", actor_id);
        Ok(Self { notes: notes?, actor_id: actor_id? })
    }
}

/// A change to a session: a merge patch (RFC 7396).
#[derive(ToSchema)]
#[schema(example = json!({"status": "ended", "notes": "Finished morning review. Deployed docs."}))]
#[serde(deny_unknown_fields)]
struct SessionChange {
    /// `ended` ends the session for good.
    #[schema(value_type = SessionStatusName, required = false)]
    status: Option<SessionStatusKind>,
    /// New notes, up to 65,536 bytes; `null` clears them.
    #[schema(value_type = Option<schema::LongText>)]
    notes: Patch<LongText>,
}

impl FromMembers for SessionChange {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let status = members.replacement("status", text(|name| status(&name)));
        let notes = members.patch("notes", text(LongText::parse));
        Ok(Self { status: status?, notes: notes? })
    }
}

fn status(name: &str) -> Result<SessionStatusKind, Invalid> {
    one_of(&SessionStatusKind::ALL, SessionStatusKind::name, name)
}

choice!(SessionStatusName, "SessionStatus", SessionStatusKind::ALL.map(SessionStatusKind::name));
choice!(EndReasonName, "EndReason", EndReason::ALL.iter().copied().map(EndReason::name));

/// List sessions
///
/// The caller's sessions, the latest start first. `active_since` has an order of its own. The owner
/// may list any actor's. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/sessions", operation_id = "listSessions", tag = "sessions",
    params(SessionParams, Paging),
    responses((status = 200, description = "A page of sessions.", body = SessionPage, example = json!({
        "sessions": [example_with(example(), json!({"last_active_at": "2026-04-09T10:30:00Z"}))],
        "total": 1,
        "limit": 20,
        "offset": 0,
        "next_cursor": null
    })))
)]
async fn list(
    State(app): State<App>,
    caller: Bearer,
    List { query, page }: List<SessionParams>,
) -> Result<Response, Problem> {
    let window = query.window().map_err(|invalid| Problem::invalid_parameters(vec![invalid]))?;
    let SessionParams { status, scope, .. } = query;
    let filter = SessionFilter { scope, status, window };
    let sessions = &app.services.sessions;
    rows::list::<ListedSessionBody, _, _, _>(
        &app,
        caller,
        &page,
        |caller, request| async move { sessions.find(&caller, filter, request).await },
        |found, next_cursor| SessionPage {
            sessions: Vec::new(),
            total: found.total,
            limit: found.request.limit,
            offset: found.request.offset(),
            next_cursor,
        },
    )
    .await
}

/// Get session
///
/// One session with its decrypted notes. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", operation_id = "getSession", tag = "sessions",
    params(Id<SessionId>),
    responses((status = 200, description = "The session.", body = SessionBody, example = json!(example())))
)]
async fn get(
    State(app): State<App>,
    caller: Bearer,
    Id(id): Id<SessionId>,
    _: Query<NoParams>,
    if_none_match: IfNoneMatch,
) -> Result<Response, Problem> {
    let sessions = &app.services.sessions;
    let find = |caller: Arc<Caller>| async move { sessions.find_one(&caller, id).await };
    let word = |session: Session| if_none_match.answer(session.tag(), SessionBody::from(session));
    rows::get(&app, caller, "session", find, word).await
}

/// Start session
///
/// Starts a session. Costs 1 credit. The body is optional.
#[utoipa::path(
    post, path = "/api/v1/sessions", operation_id = "startSession", tag = "sessions",
    request_body = NewSession,
    responses((status = 201, description = "The new session.", body = SessionBody, example = json!(example_with(example(), json!({
        "session_id": 2,
        "notes": "Starting morning review",
        "started_at": "2026-04-09T14:00:00Z"
    })))))
)]
async fn start(
    State(app): State<App>,
    caller: Bearer,
    _: Query<NoParams>,
    WriteRequest { body: new, preconditions }: WriteRequest<NewSession>,
) -> Result<Response, Problem> {
    let draft = SessionDraft { actor: new.actor_id, notes: new.notes };
    let outcome = app.services.sessions.start(&caller, draft, preconditions).await;
    let (session, credits) = caller.settle(outcome)?;
    let location = [(LOCATION, format!("{API_PATH}/sessions/{}", session.id))];
    let tag = Tagged(session.tag());
    let body = axum::Json(SessionBody::from(session));
    Ok((StatusCode::CREATED, location, tag, credits, body).into_response())
}

/// Update session
///
/// Ends a session, changes its notes, or both. An ended session can't be reopened. Costs 1 credit.
#[utoipa::path(
    patch, path = "/api/v1/sessions/{id}", operation_id = "updateSession", tag = "sessions",
    params(Id<SessionId>),
    request_body(content = SessionChange, description = MERGE_PATCH),
    responses(
        (status = 200, description = "The session as it is now.", body = SessionBody, example = json!({
            "session_id": 2,
            "status": "ended",
            "notes": "Finished morning review. Deployed docs.",
            "started_at": "2026-04-09T14:00:00Z",
            "ended_at": "2026-04-09T15:30:00Z",
            "ended_reason": "ended",
            "duration_seconds": 5400,
            "actor_id": 1
        })),
        (status = 409, description = "The session has already ended: it can't be ended again or reopened. Or it was ended because nothing was written to it for too long: it takes no more writes.")
    )
)]
async fn update(
    State(app): State<App>,
    caller: Bearer,
    Id(id): Id<SessionId>,
    _: Query<NoParams>,
    WriteRequest { body: change, preconditions }: WriteRequest<SessionChange>,
) -> Result<Response, Problem> {
    let patch = SessionPatch { status: change.status, notes: change.notes };
    let (session, credits) =
        caller.settle(app.services.sessions.patch(&caller, id, patch, preconditions).await)?;
    Ok((Tagged(session.tag()), credits, axum::Json(SessionBody::from(session))).into_response())
}

/// Delete session
///
/// Deletes the session permanently. Its activities and todos are unlinked, not deleted: from then
/// on their `session_id` is null and their `ETag` is different. Costs 1 credit.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", operation_id = "deleteSession", tag = "sessions",
    params(Id<SessionId>),
    responses((status = 200, description = "It was deleted.", body = SessionDeleted, example = json!({
        "status": "deleted",
        "session_id": 2
    })))
)]
async fn delete(
    State(app): State<App>,
    caller: Bearer,
    Id(id): Id<SessionId>,
    _: Query<NoParams>,
    WriteRequest { preconditions, .. }: WriteRequest<NoFields>,
) -> Result<Response, Problem> {
    let (id, credits) =
        caller.settle(app.services.sessions.delete(&caller, id, preconditions).await)?;
    app.work_off();
    let body = SessionDeleted { status: "deleted", session_id: id.0 };
    Ok((credits, axum::Json(body)).into_response())
}
