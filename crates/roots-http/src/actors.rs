//! `/actors`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use roots_domain::model::Invalid;
use roots_domain::model::account::{Actor, ActorKind, Role};
use roots_domain::model::id::ActorId;
use roots_domain::model::text::Name;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::choice;
use roots_http_core::auth::authenticate::{Bearer, KeyChanger};
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::{InvalidNoted, one_of};
use roots_http_core::request::json::{FromMembers, Json, Members, NoFields, boolean, text};
use roots_http_core::request::pagination::{List, NextLink, Paging};
use roots_http_core::request::path::Id;
use roots_http_core::request::query::{NoParams, Query};
use roots_http_core::schema::{self, MERGE_PATCH, example_with};
use roots_http_core::wire::API_PATH;

/// The actor of the examples.
fn example() -> Value {
    json!({
        "actor_id": 1,
        "name": "docs-agent",
        "actor_type": "agent",
        "role": "owner",
        "is_active": true,
        "created_at": "2026-04-09T09:00:00Z"
    })
}

/// All actor routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list, add)).routes(routes!(get, update, deactivate))
}

choice!(pub(crate) ActorKindName, "ActorType", ActorKind::ALL.iter().copied().map(ActorKind::name));

choice!(pub(crate) RoleName, "Role", Role::ALL.iter().copied().map(Role::name));

/// Parses the name of an actor's kind.
pub(crate) fn actor_kind(name: &str) -> Result<ActorKind, Invalid> {
    one_of(ActorKind::ALL, ActorKind::name, name)
}

/// An actor of an account.
#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
pub(crate) struct ActorBody {
    /// Numbered per account.
    actor_id: i64,
    name: String,
    #[schema(value_type = ActorKindName)]
    actor_type: &'static str,
    #[schema(value_type = RoleName)]
    role: &'static str,
    /// Whether its keys are valid.
    is_active: bool,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Actor> for ActorBody {
    fn from(actor: Actor) -> Self {
        Self {
            actor_id: actor.id.0,
            name: actor.name.into_string(),
            actor_type: actor.kind.name(),
            role: actor.role.name(),
            is_active: actor.is_active,
            created_at: actor.created_at.to_string(),
        }
    }
}

/// A page of actors.
#[derive(Serialize, ToSchema)]
struct ActorPage {
    actors: Vec<ActorBody>,
    /// The number of rows on all pages.
    total: i64,
    limit: u32,
    /// The number of rows skipped; 0 with `cursor`.
    offset: i64,
    /// Pass it as `cursor` to get the next page; `null` on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// An actor that was deactivated.
#[derive(Serialize, ToSchema)]
struct ActorDeactivated {
    /// `deactivated`
    status: &'static str,
    actor_id: i64,
}

/// An actor to add.
#[derive(ToSchema)]
#[schema(as = NewActor, example = json!({"name": "review-agent", "actor_type": "agent"}))]
#[serde(deny_unknown_fields)]
struct NewActorBody {
    /// 1 to 100 characters, no control characters.
    #[schema(value_type = schema::Name)]
    name: Name,
    #[schema(value_type = ActorKindName)]
    actor_type: ActorKind,
}

impl FromMembers for NewActorBody {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let name = members.required("name", text(Name::parse));
        let actor_type = members.required("actor_type", text(|name| actor_kind(&name)));
        Ok(Self { name: name?, actor_type: actor_type? })
    }
}

/// A change to an actor: a merge patch (RFC 7396).
#[derive(ToSchema)]
#[schema(example = json!({"name": "reviewer"}))]
#[serde(deny_unknown_fields)]
struct ActorChange {
    /// 1 to 100 characters, no control characters.
    #[schema(value_type = schema::Name, required = false)]
    name: Option<Name>,
    /// `false` ends its keys for good. `true` lets it have new keys.
    #[schema(value_type = bool, required = false)]
    is_active: Option<bool>,
}

impl FromMembers for ActorChange {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let name = members.replacement("name", text(Name::parse));
        let is_active = members.replacement("is_active", boolean);
        Ok(Self { name: name?, is_active: is_active? })
    }
}

/// List actors
///
/// The actors of the caller's account, latest first. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/actors", operation_id = "listActors", tag = "keys",
    params(Paging),
    responses((status = 200, description = "A page of actors.", body = ActorPage, example = json!({
        "actors": [example()],
        "total": 1,
        "limit": 20,
        "offset": 0,
        "next_cursor": null
    })))
)]
async fn list(
    State(app): State<App>,
    mut caller: Bearer,
    List { page, .. }: List<NoParams>,
) -> Result<(NextLink, axum::Json<ActorPage>), Problem> {
    let request = page.request(&caller)?;
    let keys = &app.services.keys;
    let found =
        caller.read_in_turn(|caller| async move { keys.actors(&caller, request).await }).await?;
    let (next_cursor, link) = page.next(&caller, &found);
    let body = ActorPage {
        actors: found.items.into_iter().map(ActorBody::from).collect(),
        total: found.total,
        limit: found.request.limit,
        offset: found.request.offset(),
        next_cursor,
    };
    Ok((link, axum::Json(body)))
}

/// Get actor
///
/// One actor of the account. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/actors/{id}", operation_id = "getActor", tag = "keys",
    params(Id<ActorId>),
    responses((status = 200, description = "The actor.", body = ActorBody, example = json!(example_with(example(), json!({
        "actor_id": 2,
        "name": "review-agent",
        "role": "member",
        "created_at": "2026-04-09T10:00:00Z"
    })))))
)]
async fn get(
    State(app): State<App>,
    mut caller: Bearer,
    Id(id): Id<ActorId>,
    _: Query<NoParams>,
) -> Result<axum::Json<ActorBody>, Problem> {
    let keys = &app.services.keys;
    let actor = caller.read(|caller| async move { keys.actor(&caller, id).await }).await?;
    Ok(axum::Json(actor.ok_or_else(|| Problem::not_found("actor"))?.into()))
}

/// Add actor
///
/// Adds a member to the account. It has no key yet: `POST /keys` creates one. Owner only. Costs
/// nothing.
#[utoipa::path(
    post, path = "/api/v1/actors", operation_id = "addActor", tag = "keys",
    request_body = NewActorBody,
    responses(
        (status = 201, description = "The actor.", body = ActorBody, example = json!(example_with(example(), json!({
        "actor_id": 2,
        "name": "review-agent",
        "role": "member",
        "created_at": "2026-04-09T10:00:00Z"
    })))),
        (status = 403, description = "The caller is not the owner."),
        (status = 409, description = "The account has 10,000 actors, deactivated ones included; or its keys were renewed meanwhile.")
    )
)]
async fn add(
    State(app): State<App>,
    KeyChanger(caller): KeyChanger,
    _: Query<NoParams>,
    Json(new): Json<NewActorBody>,
) -> Result<Response, Problem> {
    let outcome = app.services.keys.add_actor(&caller, new.name, new.actor_type).await;
    let (actor, _) = caller.settle(outcome)?;
    let location = [(LOCATION, format!("{API_PATH}/actors/{}", actor.id))];
    Ok((StatusCode::CREATED, location, axum::Json(ActorBody::from(actor))).into_response())
}

/// Update actor
///
/// Renames, deactivates or reactivates an actor. Owner only. Costs nothing.
#[utoipa::path(
    patch, path = "/api/v1/actors/{id}", operation_id = "updateActor", tag = "keys",
    params(Id<ActorId>),
    request_body(content = ActorChange, description = MERGE_PATCH),
    responses(
        (status = 200, description = "The actor as it is now.", body = ActorBody, example = json!(example_with(example(), json!({
        "actor_id": 2,
        "name": "reviewer",
        "role": "member",
        "created_at": "2026-04-09T10:00:00Z"
    })))),
        (status = 403, description = "The caller is not the owner."),
        (status = 409, description = "The owner can't be deactivated.")
    )
)]
async fn update(
    State(app): State<App>,
    KeyChanger(caller): KeyChanger,
    Id(id): Id<ActorId>,
    _: Query<NoParams>,
    Json(ActorChange { name, is_active }): Json<ActorChange>,
) -> Result<axum::Json<ActorBody>, Problem> {
    let outcome = app.services.keys.patch_actor(&caller, id, name, is_active).await;
    let (actor, _) = caller.settle(outcome)?;
    Ok(axum::Json(actor.into()))
}

/// Deactivate actor
///
/// The actor's keys end, its data stays. Owner only. Costs nothing.
#[utoipa::path(
    delete, path = "/api/v1/actors/{id}", operation_id = "deactivateActor", tag = "keys",
    params(Id<ActorId>),
    responses(
        (status = 200, description = "The actor is deactivated.", body = ActorDeactivated, example = json!({
            "status": "deactivated",
            "actor_id": 2
        })),
        (status = 403, description = "The caller is not the owner."),
        (status = 409, description = "The owner can't be deactivated.")
    )
)]
async fn deactivate(
    State(app): State<App>,
    caller: Bearer,
    Id(id): Id<ActorId>,
    _: Query<NoParams>,
    _: Json<NoFields>,
) -> Result<axum::Json<ActorDeactivated>, Problem> {
    let outcome = app.services.keys.patch_actor(&caller, id, None, Some(false)).await;
    let (actor, _) = caller.settle(outcome)?;
    Ok(axum::Json(ActorDeactivated { status: "deactivated", actor_id: actor.id.0 }))
}
