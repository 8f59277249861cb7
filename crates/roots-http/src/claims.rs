//! `/todos/claim` and `/todos/{id}/release`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use roots_domain::model::claim::{ClaimToken, LeaseSeconds};
use roots_domain::model::id::{ActorId, SessionId, TodoId};
use roots_domain::model::todo::{ListedTodo, Priority};
use roots_domain::service::todos::{ClaimDraft, ClaimedTodo};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::todo_bodies::{ListedTodoBody, TodoBody, example};
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{
    FromMembers, Members, actor_id, claim_token, integer, positive, session_id,
};
use roots_http_core::request::path::Id;
use roots_http_core::request::preconditions::{Tagged, WriteRequest};
use roots_http_core::request::query::{NoParams, Query};
use roots_http_core::schema::example_with;

/// The claimed todo of the examples.
fn claimed() -> Value {
    example_with(
        example(),
        json!({
            "session_id": 2,
            "status": "in_progress",
            "updated_at": "2026-04-09T14:00:00Z",
            "status_since": "2026-04-09T14:00:00Z",
            "claim": {
                "token": 1,
                "session_id": 2,
                "claimed_at": "2026-04-09T14:00:00Z",
                "lease_seconds": 7200
            }
        }),
    )
}

/// All routes of claims.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(claim)).routes(routes!(release))
}

/// A claim to make. Every field is optional.
#[derive(ToSchema)]
#[schema(as = NewClaim, example = json!({"session_id": 2}))]
#[serde(deny_unknown_fields)]
struct NewClaimBody {
    /// The active session to link the todo to. Its writes keep the claim alive.
    #[schema(value_type = Option<i64>, minimum = 1)]
    session_id: Option<SessionId>,
    /// The todo to claim; the next one by default.
    #[schema(value_type = Option<i64>, minimum = 1)]
    todo_id: Option<TodoId>,
    /// The lowest priority of the next one, 0 by default.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 3)]
    min_priority: Option<Priority>,
    /// How long the claim lives after the last write: 60 to 86,400 seconds, 7,200 by default.
    #[schema(value_type = Option<i64>, minimum = 60, maximum = 86400)]
    lease_seconds: Option<LeaseSeconds>,
    /// The actor whose todo to claim: the caller by default. Only an owner may name another.
    #[schema(value_type = Option<i64>, minimum = 1)]
    actor_id: Option<ActorId>,
}

impl FromMembers for NewClaimBody {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let session_id = members.optional("session_id", session_id);
        let todo_id = members.optional("todo_id", |value| positive(value).map(TodoId));
        let min_priority = members.optional("min_priority", integer(Priority::parse));
        let lease_seconds = members.optional("lease_seconds", integer(LeaseSeconds::parse));
        let actor_id = members.optional("actor_id", actor_id);
        Ok(Self {
            session_id: session_id?,
            todo_id: todo_id?,
            min_priority: min_priority?,
            lease_seconds: lease_seconds?,
            actor_id: actor_id?,
        })
    }
}

/// A claim to give up.
#[derive(ToSchema)]
#[schema(as = Release, example = json!({"claim_token": 1}))]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    /// The token of the claim.
    #[schema(value_type = i64, minimum = 1)]
    claim_token: ClaimToken,
}

impl FromMembers for ReleaseBody {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        Ok(Self { claim_token: members.required("claim_token", claim_token)? })
    }
}

/// Claim todo
///
/// Takes the next open todo in progress for one of any number of workers: by priority, then by due
/// date (none last), then by age. A todo whose claim has lapsed comes after the open ones of its
/// priority. With `todo_id` it takes that todo. The claim is a lease: it lives until
/// `lease_seconds` after the last write with its token or of its session. Costs 1 credit, or
/// nothing if there is no todo to claim (204).
#[utoipa::path(
    post, path = "/api/v1/todos/claim", operation_id = "claimTodo", tag = "todos",
    request_body = NewClaimBody,
    responses(
        (status = 200, description = "The claimed todo. `claim.token` names the claim.", body = ListedTodoBody, example = json!(example_with(claimed(), json!({"until": "2026-04-09T16:01:00Z"})))),
        (status = 204, description = "There is no todo to claim."),
        (status = 404, description = "The actor has no todo `todo_id`."),
        (status = 409, description = "The todo is claimed (`until` says until when), done or cancelled, or the session to link to has ended.")
    )
)]
async fn claim(
    State(app): State<App>,
    caller: Bearer,
    _: Query<NoParams>,
    WriteRequest { body: claim, preconditions }: WriteRequest<NewClaimBody>,
) -> Result<Response, Problem> {
    let draft = ClaimDraft {
        actor: claim.actor_id,
        session: claim.session_id,
        todo: claim.todo_id,
        min_priority: claim.min_priority.unwrap_or_default(),
        lease: claim.lease_seconds.unwrap_or_default(),
    };
    let (claimed, credits) =
        caller.settle(app.services.todos.claim(&caller, draft, preconditions).await)?;
    let Some(ClaimedTodo { todo, until }) = claimed else {
        return Ok((StatusCode::NO_CONTENT, credits, ()).into_response());
    };
    let tag = Tagged(todo.tag());
    let body = ListedTodoBody::from(ListedTodo { todo, until: Some(until) });
    Ok((tag, credits, axum::Json(body)).into_response())
}

/// Release todo
///
/// Gives up a claim: the todo is open again. Costs 1 credit.
#[utoipa::path(
    post, path = "/api/v1/todos/{id}/release", operation_id = "releaseTodo", tag = "todos",
    params(Id<TodoId>),
    request_body = ReleaseBody,
    responses(
        (status = 200, description = "The todo as it is now.", body = TodoBody, example = json!(example_with(example(), json!({"updated_at": "2026-04-09T14:00:00Z", "status_since": "2026-04-09T14:00:00Z"})))),
        (status = 409, description = "The claim does not stand.")
    )
)]
async fn release(
    State(app): State<App>,
    caller: Bearer,
    Id(id): Id<TodoId>,
    _: Query<NoParams>,
    WriteRequest { body: ReleaseBody { claim_token }, preconditions }: WriteRequest<ReleaseBody>,
) -> Result<Response, Problem> {
    let released = app.services.todos.release(&caller, id, claim_token, preconditions).await;
    let (todo, credits) = caller.settle(released)?;
    Ok((Tagged(todo.tag()), credits, axum::Json(TodoBody::from(todo))).into_response())
}
