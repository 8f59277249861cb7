//! `/export`: a file of JSON lines, sent while it is read.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use roots_domain::model::Invalid;
use roots_domain::model::account::Role;
use roots_domain::model::id::ActorId;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::export::{ExportBody, answer, head};
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params, Query};

/// The route of exports.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(export))
}

/// The scope of the export.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// Export only this actor's rows. Without it, an owner exports the account with all its actors,
    /// and a member its own rows.
    #[param(value_type = Option<i64>, minimum = 1)]
    actor_id: Option<ActorId>,
}

impl FromParams for ExportQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let actor_id = params.take("actor_id", |text| {
            ActorId::parse(&text).ok_or_else(|| Invalid::new("must be a positive integer"))
        });
        Ok(Self { actor_id: actor_id? })
    }
}

/// Export
///
/// Everything of the account, or of one actor, as JSON lines: a header, then actors, sessions,
/// todos each with its log, and activities, by id within each kind. The last line counts them or,
/// if the export failed, says so. A file without such a line was cut off. Costs nothing, and works
/// while the account is suspended. An account may have two exports running at once. An export ends
/// if its client takes less than 1 KiB/s over a minute.
#[utoipa::path(
    get, path = "/api/v1/export", operation_id = "export", tag = "accounts",
    params(ExportQuery),
    responses(
        (status = 200, description = "One line for each row, decrypted.", content_type = "application/x-ndjson", body = ExportBody, example = json!(concat!(
            r#"{"kind":"session","session_id":2,"status":"active","notes":"Working on API docs","#,
            r#""started_at":"2026-04-09T10:00:00Z","ended_at":null,"ended_reason":null,"actor_id":1}"#,
        ))),
        (status = 403, description = "The caller is a member and named another actor."),
        (status = 429, description = "The account has two exports running, or the server has 16, or a rate limit is reached. An owner's export counts as a change of keys.")
    )
)]
async fn export(
    State(app): State<App>,
    method: Method,
    mut caller: Bearer,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let exports = &app.services.exports;
    if method == Method::HEAD {
        let header = caller
            .read(|caller| async move { exports.header(&caller, query.actor_id).await })
            .await?;
        return Ok(head(&header));
    }
    let running = &app.shared.exports;
    let place = running.begin(caller.account.id)?;
    if caller.actor.role == Role::Owner {
        caller.count_noted()?;
    }
    answer(running, place, exports, &mut caller, query.actor_id).await
}
