//! `/audit`: what owners and operators did.

use axum::extract::State;
use roots_domain::model::audit::{AuditAction, AuditEntry};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::choice;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::problem::Problem;
use roots_http_core::request::pagination::{List, NextLink, Paging};
use roots_http_core::request::query::NoParams;

/// The route of the audit log.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list))
}

choice!(ActionName, "AuditAction", AuditAction::ALL.iter().copied().map(AuditAction::name));

/// An action on the account. It holds only ids.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct EntryBody {
    /// Numbered per account, without gaps.
    audit_id: i64,
    #[schema(value_type = ActionName)]
    action: &'static str,
    /// The actor that did it; null if it was not an actor of this account.
    #[schema(required)]
    actor_id: Option<i64>,
    /// The key that the actor used.
    #[schema(required)]
    key_id: Option<i64>,
    /// The operator's account that did it to this one. If this and `actor_id` are null, it was done
    /// on the server's command line or with the recovery code.
    #[schema(required)]
    by_account_id: Option<i64>,
    /// In an operator's audit log: the account it was done to.
    #[schema(required)]
    subject_account_id: Option<i64>,
    /// The actor it was done to.
    #[schema(required)]
    subject_actor_id: Option<i64>,
    /// The key it was done to.
    #[schema(required)]
    subject_key_id: Option<i64>,
    /// The session it was done to.
    #[schema(required)]
    subject_session_id: Option<i64>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<AuditEntry> for EntryBody {
    fn from(AuditEntry { id, event, created_at }: AuditEntry) -> Self {
        Self {
            audit_id: id.0,
            action: event.action.name(),
            actor_id: event.actor.map(|id| id.0),
            key_id: event.key.map(|id| id.0),
            by_account_id: event.by_account.map(|id| id.0),
            subject_account_id: event.subject_account.map(|id| id.0),
            subject_actor_id: event.subject_actor.map(|id| id.0),
            subject_key_id: event.subject_key.map(|id| id.0),
            subject_session_id: event.subject_session.map(|id| id.0),
            created_at: created_at.to_string(),
        }
    }
}

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
struct AuditPage {
    entries: Vec<EntryBody>,
    /// The number of rows on all pages.
    total: i64,
    limit: u32,
    /// The number of rows skipped; 0 with `cursor`.
    offset: i64,
    /// Pass it as `cursor` to get the next page; `null` on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Audit log
///
/// What owners and operators did to the account, newest first: changes of actors, keys and the
/// recovery code, the owner's exports and imports, credits, suspensions. It holds only ids and
/// actions. Owner only. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "listAudit", tag = "accounts",
    params(Paging),
    responses(
        (status = 200, description = "A page of the audit log.", body = AuditPage, example = json!({
            "entries": [{
                "audit_id": 1,
                "action": "credits_granted",
                "actor_id": null,
                "key_id": null,
                "by_account_id": 1,
                "subject_account_id": null,
                "subject_actor_id": null,
                "subject_key_id": null,
                "subject_session_id": null,
                "created_at": "2026-04-09T10:00:00Z"
            }],
            "total": 1,
            "limit": 20,
            "offset": 0,
            "next_cursor": null
        })),
        (status = 403, description = "The caller is not the owner.")
    )
)]
async fn list(
    State(app): State<App>,
    mut caller: Bearer,
    List { query: NoParams, page }: List<NoParams>,
) -> Result<(NextLink, axum::Json<AuditPage>), Problem> {
    let request = page.request(&caller)?;
    let accounts = &app.services.accounts;
    let found = caller
        .read_in_turn(|caller| async move { accounts.audit_log(&caller, request).await })
        .await?;
    let (next_cursor, link) = page.next(&caller, &found);
    let body = AuditPage {
        entries: found.items.into_iter().map(EntryBody::from).collect(),
        total: found.total,
        limit: found.request.limit,
        offset: found.request.offset(),
        next_cursor,
    };
    Ok((link, axum::Json(body)))
}
