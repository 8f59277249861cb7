//! Accounts and their credits: `/bootstrap`, `/recover`, `/recovery-code`, `/whoami`, `/credits`.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use roots_domain::model::account::{AccountKind, ActorKind};
use roots_domain::model::credit::{LedgerEntry, Reason, WRITE_COST};
use roots_domain::model::id::AccountId;
use roots_domain::model::text::Name;
use roots_domain::service::accounts::{AccountDraft, NewCredentials};
use roots_domain::service::recovery::Recovered;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::actors::{ActorBody, ActorKindName, RoleName, actor_kind};
use crate::app::App;
use crate::openapi::choice;
use crate::settings::Signup;
use roots_http_core::auth::authenticate::{Bearer, KeyChanger};
use roots_http_core::auth::client_context::Attempt;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::{InvalidNoted, one_of};
use roots_http_core::request::json::{FromMembers, Json, Members, NoFields, account_id, text};
use roots_http_core::request::pagination::{List, NextLink, Paging};
use roots_http_core::request::query::{FromParams, NoParams, Params, Query};
use roots_http_core::schema;
use roots_http_core::wire::NO_STORE;

/// The account routes that need a key.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(whoami))
        .routes(routes!(credits))
        .routes(routes!(ledger))
        .routes(routes!(renew_code))
}

/// The route that creates accounts. It needs no key.
pub(crate) fn signup_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(bootstrap))
}

/// The route that recovers an account. It needs no key.
pub(crate) fn recovery_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(recover))
}

/// An account to create.
#[derive(ToSchema)]
#[schema(as = NewAccount, example = json!({
    "account_name": "Acme",
    "actor_name": "docs-agent",
    "actor_type": "agent"
}))]
#[serde(deny_unknown_fields)]
struct NewAccountBody {
    /// 1 to 100 characters, no control characters.
    #[schema(value_type = schema::Name)]
    account_name: Name,
    /// The name of the account's owner: 1 to 100 characters, no control characters.
    #[schema(value_type = schema::Name)]
    actor_name: Name,
    #[schema(value_type = ActorKindName)]
    actor_type: ActorKind,
}

impl FromMembers for NewAccountBody {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let account_name = members.required("account_name", text(Name::parse));
        let actor_name = members.required("actor_name", text(Name::parse));
        let actor_type = members.required("actor_type", text(|name| actor_kind(&name)));
        Ok(Self { account_name: account_name?, actor_name: actor_name?, actor_type: actor_type? })
    }
}

choice!(
    pub(crate) AccountKindName,
    "AccountType",
    AccountKind::ALL.iter().copied().map(AccountKind::name)
);

choice!(ReasonName, "LedgerReason", Reason::ALL.map(Reason::name));

/// Checks that sign-up is open. If it is closed, the request is refused before anything else of it
/// is read.
struct OpenSignup {
    credits: i64,
}

impl FromRequestParts<App> for OpenSignup {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Problem> {
        match app.signup {
            Signup::Open { credits } => Ok(Self { credits }),
            Signup::Closed => Err(Problem::signup_closed()),
        }
    }
}

/// A new account with its secrets, which are shown only this once: the answer to `POST /bootstrap`.
#[derive(Serialize, ToSchema)]
#[schema(as = Bootstrapped)]
pub struct Bootstrapped<'a> {
    account_id: i64,
    actor_id: i64,
    actor_name: &'a str,
    #[schema(value_type = ActorKindName)]
    actor_type: &'static str,
    api_key: &'a str,
    /// The key's first characters, to tell keys apart.
    key_prefix: &'a str,
    /// The credits that the account starts with.
    credits: i64,
    /// It decrypts what the API key decrypts, and `POST /recover` exchanges it for a new key. If
    /// both are lost, the account can't be recovered.
    recovery_code: &'a str,
    warning: &'static str,
}

impl<'a> From<&'a NewCredentials> for Bootstrapped<'a> {
    fn from(made: &'a NewCredentials) -> Self {
        Self {
            account_id: made.account.0,
            actor_id: made.owner.0,
            actor_name: made.owner_name.as_str(),
            actor_type: made.owner_kind.name(),
            api_key: made.api_key.expose_secret(),
            key_prefix: &made.key_prefix,
            credits: made.credits,
            recovery_code: made.recovery_code.expose_secret(),
            warning: WARNING,
        }
    }
}

/// The warning in answers whose secrets are stored nowhere.
const WARNING: &str = "Store the API key and the recovery code now: they are shown only this once. Anybody who has either of them can read everything in this account.";

/// A recovery code to exchange for a new key.
#[derive(ToSchema)]
#[schema(example = json!({"recovery_code": "…"}))]
#[serde(deny_unknown_fields)]
struct Recovery {
    /// The recovery code. It identifies its account.
    #[schema(value_type = String)]
    recovery_code: SecretString,
    /// The account that the code must belong to. Optional.
    #[schema(value_type = Option<i64>, minimum = 1)]
    account_id: Option<AccountId>,
}

impl FromMembers for Recovery {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let recovery_code = members.required("recovery_code", text(|code| Ok(code.into())));
        let account_id = members.optional("account_id", account_id);
        Ok(Self { recovery_code: recovery_code?, account_id: account_id? })
    }
}

/// A new key of an account's owner and a new recovery code. Both are shown only this once.
#[derive(Serialize, ToSchema)]
#[schema(as = Recovered)]
struct RecoveredBody<'a> {
    account_id: i64,
    actor_id: i64,
    key_id: i64,
    api_key: &'a str,
    /// The key's first characters, to tell keys apart.
    key_prefix: &'a str,
    /// It replaces the code that was sent, once the new key is first used.
    recovery_code: &'a str,
    warning: &'static str,
}

impl<'a> From<&'a Recovered> for RecoveredBody<'a> {
    fn from(made: &'a Recovered) -> Self {
        Self {
            account_id: made.account.0,
            actor_id: made.owner.0,
            key_id: made.key.0,
            api_key: made.api_key.expose_secret(),
            key_prefix: &made.key_prefix,
            recovery_code: made.recovery_code.expose_secret(),
            warning: WARNING,
        }
    }
}

/// A new recovery code. It is shown only this once.
#[derive(Serialize, ToSchema)]
struct RecoveryCodeRenewed<'a> {
    account_id: i64,
    recovery_code: &'a str,
    warning: &'static str,
}

const CODE_WARNING: &str = "Store the recovery code now: it is shown only this once, and earlier codes are no longer valid. Anybody who has it can read everything in this account.";

/// The caller's account, actor and key.
#[derive(Serialize, ToSchema)]
#[schema(as = Whoami)]
struct WhoamiBody {
    actor_id: i64,
    actor_name: String,
    #[schema(value_type = ActorKindName)]
    actor_type: &'static str,
    #[schema(value_type = RoleName)]
    role: &'static str,
    account_id: i64,
    account_name: String,
    #[schema(value_type = AccountKindName)]
    account_type: &'static str,
    /// The first 100 other actors of the account, by id. `GET /actors` lists all, page by page.
    other_actors: Vec<ActorBody>,
    /// How many other actors the account has.
    other_actors_total: i64,
    credits_remaining: i64,
}

/// The account's balance and its newest ledger entries.
#[derive(Serialize, ToSchema)]
#[schema(as = Credits)]
struct CreditsBody {
    balance: i64,
    cost_model: CostModel,
    /// The newest 20 ledger entries.
    recent_ledger: Vec<LedgerRow>,
}

/// What requests cost, in credits.
#[derive(Serialize, ToSchema)]
struct CostModel {
    reads: i64,
    writes: i64,
}

/// An entry of the ledger.
#[derive(Serialize, ToSchema)]
#[schema(as = LedgerEntry)]
struct LedgerRow {
    /// Numbered per account, without gaps.
    ledger_id: i64,
    /// The change of the balance.
    delta: i64,
    /// The balance after it.
    balance_after: i64,
    #[schema(value_type = ReasonName)]
    reason: &'static str,
    /// The route of the write: `PATCH /todos/{id}`.
    #[schema(required)]
    related_endpoint: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<LedgerEntry> for LedgerRow {
    fn from(entry: LedgerEntry) -> Self {
        Self {
            ledger_id: entry.id.0,
            delta: entry.delta,
            balance_after: entry.balance_after,
            reason: entry.reason.name(),
            related_endpoint: entry.endpoint,
            created_at: entry.created_at.to_string(),
        }
    }
}

/// A page of the ledger.
#[derive(Serialize, ToSchema)]
struct LedgerPage {
    entries: Vec<LedgerRow>,
    /// The number of matching rows on all pages.
    total: i64,
    limit: u32,
    /// The number of rows skipped; 0 with `cursor`.
    offset: i64,
    /// Pass it as `cursor` to get the next page; `null` on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// The filter of the ledger.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct LedgerQuery {
    /// Only entries with this reason.
    #[param(value_type = Option<ReasonName>, inline)]
    reason: Option<Reason>,
}

impl FromParams for LedgerQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let reason = params.take("reason", |name| one_of(&Reason::ALL, Reason::name, &name));
        Ok(Self { reason: reason? })
    }
}

/// Create an account
///
/// Creates an account with its owner, a first key and a recovery code. Key and code are shown only
/// this once. The request needs no key. It is refused if sign-up is closed, which is the default.
#[utoipa::path(
    post, path = "/api/v1/bootstrap", operation_id = "bootstrap", tag = "accounts",
    request_body = NewAccountBody,
    security(()),
    responses(
        (status = 201, description = "The account and its secrets.", body = Bootstrapped, example = json!({
            "account_id": 2,
            "actor_id": 1,
            "actor_name": "docs-agent",
            "actor_type": "agent",
            "api_key": "roots_2_…",
            "key_prefix": "roots_2_4fK9aZ",
            "credits": 100,
            "recovery_code": "…",
            "warning": "Store the API key and the recovery code now: they are shown only this once. Anybody who has either of them can read everything in this account."
        })),
        (status = 403, description = "Sign-up is closed.")
    )
)]
async fn bootstrap(
    State(app): State<App>,
    OpenSignup { credits }: OpenSignup,
    _: Query<NoParams>,
    Json(new): Json<NewAccountBody>,
) -> Result<Response, Problem> {
    let draft = AccountDraft {
        name: new.account_name,
        kind: AccountKind::Customer,
        owner_name: new.actor_name,
        owner_kind: new.actor_type,
        credits,
    };
    let made = app.services.accounts.bootstrap(draft).await?;
    Ok((StatusCode::CREATED, axum::Json(Bootstrapped::from(&made))).into_response())
}

/// Recover an account
///
/// Exchanges a recovery code for a new key of the account's owner and a new code. Both are shown
/// only this once. The request needs no key. The owner's other keys end at once; members' keys and
/// all data stay. The old code stays valid until the new key is first used: if the answer is lost,
/// recover again, which replaces the unused key and code. A suspended account can be recovered too.
/// Costs nothing.
#[utoipa::path(
    post, path = "/api/v1/recover", operation_id = "recover", tag = "accounts",
    request_body = Recovery,
    security(()),
    responses(
        (status = 201, description = "The new key and the new code.", body = RecoveredBody, example = json!({
            "account_id": 2,
            "actor_id": 1,
            "key_id": 3,
            "api_key": "roots_2_…",
            "key_prefix": "roots_2_9bQx7T",
            "recovery_code": "…",
            "warning": "Store the API key and the recovery code now: they are shown only this once. Anybody who has either of them can read everything in this account."
        })),
        (status = 401, description = "The code is wrong, has been used, or belongs to another account."),
        (status = 409, description = "The owner's keys were renewed meanwhile.")
    )
)]
async fn recover(
    State(app): State<App>,
    _: Attempt,
    _: Query<NoParams>,
    Json(Recovery { recovery_code, account_id }): Json<Recovery>,
) -> Result<Response, Problem> {
    let made = app.services.accounts.recover(&recovery_code, account_id).await?;
    Ok((StatusCode::CREATED, axum::Json(RecoveredBody::from(&made))).into_response())
}

/// Renew recovery code
///
/// Creates a new code and ends all others at once. A renewal of the owner's key that was never used
/// ends with them. Owner only. Costs nothing.
#[utoipa::path(
    post, path = "/api/v1/recovery-code", operation_id = "renewRecoveryCode", tag = "accounts",
    responses(
        (status = 201, description = "The new code.", body = RecoveryCodeRenewed, example = json!({
            "account_id": 2,
            "recovery_code": "…",
            "warning": "Store the recovery code now: it is shown only this once, and earlier codes are no longer valid. Anybody who has it can read everything in this account."
        })),
        (status = 403, description = "The caller is not the owner, its key is in its grace, or the account is suspended."),
        (status = 409, description = "The owner's keys were renewed meanwhile.")
    )
)]
async fn renew_code(
    State(app): State<App>,
    KeyChanger(caller): KeyChanger,
    _: Query<NoParams>,
    _: Json<NoFields>,
) -> Result<Response, Problem> {
    let code = caller.checked(app.services.accounts.renew_code(&caller, None).await)?;
    let body = RecoveryCodeRenewed {
        account_id: caller.account.id.0,
        recovery_code: code.expose_secret(),
        warning: CODE_WARNING,
    };
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, NO_STORE)], axum::Json(body)).into_response())
}

/// Caller
///
/// The key's actor, its account and the account's balance. It names the first 100 other actors of
/// the account and counts them; `GET /actors` lists them all. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/whoami", operation_id = "whoami", tag = "accounts",
    responses((status = 200, description = "The caller.", body = WhoamiBody, example = json!({
        "actor_id": 1,
        "actor_name": "docs-agent",
        "actor_type": "agent",
        "role": "owner",
        "account_id": 2,
        "account_name": "Acme",
        "account_type": "customer",
        "other_actors": [],
        "other_actors_total": 0,
        "credits_remaining": 97
    })))
)]
async fn whoami(
    State(app): State<App>,
    mut caller: Bearer,
    _: Query<NoParams>,
) -> Result<axum::Json<WhoamiBody>, Problem> {
    let accounts = &app.services.accounts;
    let found = caller.read(|caller| async move { accounts.whoami(&caller).await }).await?;
    Ok(axum::Json(WhoamiBody {
        actor_id: caller.actor.id.0,
        actor_name: caller.actor.name.as_str().to_owned(),
        actor_type: caller.actor.kind.name(),
        role: caller.actor.role.name(),
        account_id: caller.account.id.0,
        account_name: caller.account_name.as_str().to_owned(),
        account_type: caller.account_kind.name(),
        other_actors: found.other_actors.into_iter().map(ActorBody::from).collect(),
        other_actors_total: found.other_actors_total,
        credits_remaining: found.credits_remaining,
    }))
}

/// Credits
///
/// The balance of the account, what requests cost, and the newest entries of the ledger. Costs
/// nothing.
#[utoipa::path(
    get, path = "/api/v1/credits", operation_id = "getCredits", tag = "accounts",
    responses((status = 200, description = "The credits.", body = CreditsBody, example = json!({
        "balance": 99,
        "cost_model": {"reads": 0, "writes": 1},
        "recent_ledger": [
            {
                "ledger_id": 2,
                "delta": -1,
                "balance_after": 99,
                "reason": "api_write",
                "related_endpoint": "POST /sessions",
                "created_at": "2026-04-09T10:00:00Z"
            },
            {
                "ledger_id": 1,
                "delta": 100,
                "balance_after": 100,
                "reason": "bootstrap_grant",
                "related_endpoint": null,
                "created_at": "2026-04-09T09:00:00Z"
            }
        ]
    })))
)]
async fn credits(
    State(app): State<App>,
    mut caller: Bearer,
    _: Query<NoParams>,
) -> Result<axum::Json<CreditsBody>, Problem> {
    let accounts = &app.services.accounts;
    let credits = caller.read(|caller| async move { accounts.credits(&caller).await }).await?;
    Ok(axum::Json(CreditsBody {
        balance: credits.balance,
        cost_model: CostModel { reads: 0, writes: WRITE_COST },
        recent_ledger: credits.recent.into_iter().map(LedgerRow::from).collect(),
    }))
}

/// Ledger
///
/// All ledger entries, newest first. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/credits/ledger", operation_id = "listLedger", tag = "accounts",
    params(LedgerQuery, Paging),
    responses((status = 200, description = "A page of the ledger.", body = LedgerPage, example = json!({
        "entries": [{
            "ledger_id": 2,
            "delta": -1,
            "balance_after": 99,
            "reason": "api_write",
            "related_endpoint": "POST /sessions",
            "created_at": "2026-04-09T10:00:00Z"
        }],
        "total": 1,
        "limit": 20,
        "offset": 0,
        "next_cursor": null
    })))
)]
async fn ledger(
    State(app): State<App>,
    mut caller: Bearer,
    List { query, page }: List<LedgerQuery>,
) -> Result<(NextLink, axum::Json<LedgerPage>), Problem> {
    let request = page.request(&caller)?;
    let accounts = &app.services.accounts;
    let found = caller
        .read_in_turn(|caller| async move { accounts.ledger(&caller, query.reason, request).await })
        .await?;
    let (next_cursor, link) = page.next(&caller, &found);
    let body = LedgerPage {
        entries: found.items.into_iter().map(LedgerRow::from).collect(),
        total: found.total,
        limit: found.request.limit,
        offset: found.request.offset(),
        next_cursor,
    };
    Ok((link, axum::Json(body)))
}
