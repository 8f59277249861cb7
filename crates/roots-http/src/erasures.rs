//! `DELETE /accounts/me`: the end of an account.

use axum::extract::State;
use secrecy::SecretString;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::auth::client_context::Attempt;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{FromMembers, Json, Members, text};
use roots_http_core::request::query::{NoParams, Query};

/// The route of erasures.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(erase))
}

/// What confirms that an account is to be erased.
#[derive(ToSchema)]
#[schema(as = Erasure, example = json!({"recovery_code": "…"}))]
#[serde(deny_unknown_fields)]
struct Confirmation {
    /// The account's recovery code.
    #[schema(value_type = String)]
    recovery_code: SecretString,
}

impl FromMembers for Confirmation {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let code = members.required("recovery_code", text(|code| Ok(SecretString::from(code))));
        Ok(Self { recovery_code: code? })
    }
}

/// An account that is no more.
#[derive(Serialize, ToSchema)]
struct AccountErased {
    /// `erased`
    status: &'static str,
    account_id: i64,
}

/// Erase the account
///
/// For good: every key and code of it ends, and nothing opens any of its texts; then its rows go. The
/// owner's, and confirmed by the recovery code. Costs nothing. The last operator's account stays.
#[utoipa::path(
    delete, path = "/api/v1/accounts/me", operation_id = "eraseAccount", tag = "accounts",
    request_body = Confirmation,
    responses(
        (status = 200, description = "It is erased.", body = AccountErased, example = json!({
            "status": "erased",
            "account_id": 2
        })),
        (status = 403, description = "A member's key, a wrong code, or a suspended account."),
        (status = 409, description = "It is the last operator's account.")
    )
)]
async fn erase(
    State(app): State<App>,
    caller: Bearer,
    _: Attempt,
    _: Query<NoParams>,
    Json(confirmation): Json<Confirmation>,
) -> Result<axum::Json<AccountErased>, Problem> {
    caller.checked(app.services.erasures.erase(&caller, &confirmation.recovery_code).await)?;
    app.work_off();
    Ok(axum::Json(AccountErased { status: "erased", account_id: caller.account.id.0 }))
}
