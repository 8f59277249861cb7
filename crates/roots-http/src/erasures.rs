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

/// The confirmation that an account is to be erased.
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

/// An erased account.
#[derive(Serialize, ToSchema)]
struct AccountErased {
    /// `erased`
    status: &'static str,
    account_id: i64,
}

/// Erase the account
///
/// Erases the account permanently. All its keys and codes end, so that nothing decrypts its texts
/// any more; then its rows are deleted. Owner only, confirmed by the recovery code. The last
/// operator's account can't be erased. Costs nothing.
#[utoipa::path(
    delete, path = "/api/v1/accounts/me", operation_id = "eraseAccount", tag = "accounts",
    request_body = Confirmation,
    responses(
        (status = 200, description = "The account is erased.", body = AccountErased, example = json!({
            "status": "erased",
            "account_id": 2
        })),
        (status = 403, description = "The caller is not the owner, the code is wrong, or the account is suspended."),
        (status = 409, description = "This is the last operator's account.")
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
