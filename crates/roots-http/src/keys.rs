//! `/keys`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use roots_domain::model::id::{ActorId, KeyId};
use roots_domain::model::text::Name;
use roots_domain::model::time::Timestamp;
use roots_domain::service::keys::{Grace, KeyDraft, KeyEntry, ShownKey};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use roots_http_core::auth::authenticate::{Bearer, KeyChanger};
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{
    FromMembers, Json, Members, NoFields, actor_id, boolean, integer, text,
};
use roots_http_core::request::pagination::{List, NextLink, Paging};
use roots_http_core::request::path::Id;
use roots_http_core::request::query::{NoParams, Query};
use roots_http_core::schema;
use roots_http_core::wire::NO_STORE;

/// All key routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, add))
        .routes(routes!(rotate))
        .routes(routes!(revoke))
}

/// An API key, without the key itself.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyBody {
    /// Numbered per account.
    key_id: i64,
    actor_id: i64,
    actor_name: String,
    /// The key's first characters, to tell keys apart.
    key_prefix: String,
    #[schema(required)]
    label: Option<String>,
    /// Whether the key is valid.
    is_active: bool,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last used. The time may lag by some minutes.
    #[schema(required, format = DateTime)]
    last_used: Option<String>,
    /// The key is refused from this time on.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
}

impl From<KeyEntry> for KeyBody {
    fn from(KeyEntry { listed, is_active }: KeyEntry) -> Self {
        let key = listed.key;
        Self {
            key_id: key.id.0,
            actor_id: key.actor.0,
            actor_name: listed.actor_name.into_string(),
            key_prefix: key.prefix,
            label: key.label.map(Name::into_string),
            is_active,
            created_at: key.created_at.to_string(),
            last_used: key.last_used.map(|at| at.to_string()),
            expires_at: key.expires_at.map(|at| at.to_string()),
        }
    }
}

/// A page of keys.
#[derive(Serialize, ToSchema)]
struct KeyPage {
    keys: Vec<KeyBody>,
    /// The number of rows on all pages.
    total: i64,
    limit: u32,
    /// The number of rows skipped; 0 with `cursor`.
    offset: i64,
    /// Pass it as `cursor` to get the next page; `null` on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A new key. It is shown only this once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewKeyShown)]
struct ShownKeyBody<'a> {
    key_id: i64,
    actor_id: i64,
    api_key: &'a str,
    /// The key's first characters, to tell keys apart.
    key_prefix: &'a str,
    #[schema(required)]
    label: Option<&'a str>,
    #[schema(format = DateTime)]
    created_at: String,
    /// The key is refused from this time on.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    /// Only if the owner's own key was renewed: it replaces the earlier code, once the new key is
    /// first used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    recovery_code: Option<&'a str>,
}

fn shown(made: &ShownKey) -> Response {
    let ShownKey { key, api_key, recovery_code } = made;
    let body = ShownKeyBody {
        key_id: key.id.0,
        actor_id: key.actor.0,
        api_key: api_key.expose_secret(),
        key_prefix: &key.prefix,
        label: key.label.as_ref().map(Name::as_str),
        created_at: key.created_at.to_string(),
        expires_at: key.expires_at.map(|at| at.to_string()),
        recovery_code: recovery_code.as_ref().map(SecretString::expose_secret),
    };
    (StatusCode::CREATED, [(CACHE_CONTROL, NO_STORE)], axum::Json(body)).into_response()
}

/// A key that was revoked.
#[derive(Serialize, ToSchema)]
struct KeyRevoked {
    /// `revoked`
    status: &'static str,
    key_id: i64,
}

/// A key to create.
#[derive(ToSchema)]
#[schema(as = NewKey, example = json!({"actor_id": 2, "label": "laptop"}))]
#[serde(deny_unknown_fields)]
struct NewKeyBody {
    /// The actor that the key will belong to.
    #[schema(value_type = i64, minimum = 1)]
    actor_id: ActorId,
    /// 1 to 100 characters, no control characters.
    #[schema(value_type = Option<schema::Name>)]
    label: Option<Name>,
    /// The key is refused from this time on. It must be in the future; without it the key does not
    /// expire.
    #[schema(value_type = Option<schema::DateOrTime>)]
    expires_at: Option<Timestamp>,
    /// After a leak: only the new key decrypts what is written from now on. A member's other keys
    /// end at once. The owner's other keys and the recovery code end once the new key is first
    /// used; the answer then has a new code. `false` by default.
    #[schema(value_type = Option<bool>)]
    renew: bool,
}

impl FromMembers for NewKeyBody {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let actor_id = members.required("actor_id", actor_id);
        let label = members.optional("label", text(Name::parse));
        let expires_at = members.optional("expires_at", text(|at| Timestamp::parse(&at)));
        let renew = members.optional("renew", boolean);
        Ok(Self {
            actor_id: actor_id?,
            label: label?,
            expires_at: expires_at?,
            renew: renew?.unwrap_or(false),
        })
    }
}

/// How a key is rotated.
#[derive(ToSchema)]
#[schema(example = json!({"grace_seconds": 3600}))]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// 1 to 100 characters, no control characters. By default, the old key's label.
    #[schema(value_type = Option<schema::Name>)]
    label: Option<Name>,
    /// How many seconds the old key stays valid after the first use of the new one; 0 by default.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 604_800)]
    grace_seconds: Grace,
}

impl FromMembers for Rotation {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let label = members.optional("label", text(Name::parse));
        let grace = members.optional("grace_seconds", integer(Grace::parse));
        Ok(Self { label: label?, grace_seconds: grace?.unwrap_or_default() })
    }
}

/// List keys
///
/// The owner sees all keys of the account, a member its own. Latest first, ended keys included. An
/// account keeps 50,000 keys: beyond that, a new key replaces the ended one with the lowest id.
/// Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/keys", operation_id = "listKeys", tag = "keys",
    params(Paging),
    responses((status = 200, description = "A page of keys.", body = KeyPage, example = json!({
        "keys": [{
            "key_id": 1,
            "actor_id": 1,
            "actor_name": "docs-agent",
            "key_prefix": "roots_2_4fK9aZ",
            "label": null,
            "is_active": true,
            "created_at": "2026-04-09T09:00:00Z",
            "last_used": "2026-04-09T10:00:00Z",
            "expires_at": null
        }],
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
) -> Result<(NextLink, axum::Json<KeyPage>), Problem> {
    let request = page.request(&caller)?;
    let keys = &app.services.keys;
    let found =
        caller.read_in_turn(|caller| async move { keys.keys(&caller, request).await }).await?;
    let (next_cursor, link) = page.next(&caller, &found);
    let body = KeyPage {
        keys: found.items.into_iter().map(KeyBody::from).collect(),
        total: found.total,
        limit: found.request.limit,
        offset: found.request.offset(),
        next_cursor,
    };
    Ok((link, axum::Json(body)))
}

/// Create key
///
/// Creates a key for any actor of the account: an additional one, or one for an actor that has lost
/// its key. With `renew` it replaces leaked keys, at most 24 times per actor and UTC day. Owner
/// only. Costs nothing.
#[utoipa::path(
    post, path = "/api/v1/keys", operation_id = "addKey", tag = "keys",
    request_body = NewKeyBody,
    responses(
        (status = 201, description = "The key. It is shown only this once.", body = ShownKeyBody, example = json!({
            "key_id": 2,
            "actor_id": 2,
            "api_key": "roots_2_…",
            "key_prefix": "roots_2_9bQx7T",
            "label": "laptop",
            "created_at": "2026-04-09T10:00:00Z",
            "expires_at": null
        })),
        (status = 403, description = "The caller is not the owner."),
        (status = 409, description = "The actor is deactivated or has 1,000 valid keys; the account has 50,000 keys, none of which has ended; or the actor's keys were renewed meanwhile."),
        (status = 429, description = "A rate limit is reached; or, with `renew`, the actor's key was renewed 24 times on this UTC day.")
    )
)]
async fn add(
    State(app): State<App>,
    KeyChanger(caller): KeyChanger,
    _: Query<NoParams>,
    Json(new): Json<NewKeyBody>,
) -> Result<Response, Problem> {
    let NewKeyBody { actor_id: actor, label, expires_at, renew } = new;
    let draft = KeyDraft { actor, label, expires_at, renew };
    let (made, _) = caller.settle(app.services.keys.add(&caller, draft, None).await)?;
    Ok(shown(&made))
}

/// Rotate key
///
/// Creates a key that replaces the key of the request. The old key stays valid until the new one is
/// first used, so a lost answer locks nobody out: rotating again replaces the unused key. The new
/// key expires when the old one would. Costs nothing. The body is optional.
#[utoipa::path(
    post, path = "/api/v1/keys/rotate", operation_id = "rotateKey", tag = "keys",
    request_body = Rotation,
    responses(
        (status = 201, description = "The key. It is shown only this once.", body = ShownKeyBody, example = json!({
            "key_id": 2,
            "actor_id": 1,
            "api_key": "roots_2_…",
            "key_prefix": "roots_2_9bQx7T",
            "label": null,
            "created_at": "2026-04-09T10:00:00Z",
            "expires_at": null
        })),
        (status = 403, description = "The key of the request is in its grace: it manages no keys."),
        (status = 409, description = "With a grace: the actor has 1,000 valid keys, or the account has 50,000 keys, none of which has ended. Or the actor's keys were renewed meanwhile.")
    )
)]
async fn rotate(
    State(app): State<App>,
    KeyChanger(caller): KeyChanger,
    _: Query<NoParams>,
    Json(Rotation { label, grace_seconds }): Json<Rotation>,
) -> Result<Response, Problem> {
    let outcome = app.services.keys.rotate(&caller, label, grace_seconds, None).await;
    let (made, _) = caller.settle(outcome)?;
    Ok(shown(&made))
}

/// Revoke key
///
/// A member may revoke its own keys, the owner any key. Writes stop at once, reads within 5 s. A
/// key that it was rotated to and that was never used ends with it. Costs nothing.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", operation_id = "revokeKey", tag = "keys",
    params(Id<KeyId>),
    responses(
        (status = 200, description = "The key is revoked.", body = KeyRevoked, example = json!({
            "status": "revoked",
            "key_id": 2
        })),
        (status = 403, description = "The key of the request is in its grace: it manages no keys."),
        (status = 409, description = "It is the owner's last valid key.")
    )
)]
async fn revoke(
    State(app): State<App>,
    caller: Bearer,
    Id(id): Id<KeyId>,
    _: Query<NoParams>,
    _: Json<NoFields>,
) -> Result<axum::Json<KeyRevoked>, Problem> {
    let (id, _) = caller.settle(app.services.keys.revoke(&caller, id).await)?;
    Ok(axum::Json(KeyRevoked { status: "revoked", key_id: id.0 }))
}
