//! `/accounts`: the requests of operators.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use roots_domain::model::account::AccountStatus;
use roots_domain::model::id::AccountId;
use roots_domain::model::text::Name;
use roots_domain::port::store::AccountOverview;
use roots_domain::service::accounts::Grant;
use roots_domain::service::{Written, operators};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::AccountKindName;
use crate::app::App;
use crate::openapi::choice;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{FromMembers, Json, Members, NoFields, integer, text};
use roots_http_core::request::pagination::{List, NextLink, Paging};
use roots_http_core::request::path::Id;
use roots_http_core::request::preconditions::WriteRequest;
use roots_http_core::request::query::{NoParams, Query};
use roots_http_core::schema;
use roots_http_core::wire::IDEMPOTENT_REPLAYED;

/// The account of the examples.
fn example() -> Value {
    json!({
        "account_id": 2,
        "name": "Acme",
        "account_type": "customer",
        "status": "active",
        "balance": 97,
        "actors": 1,
        "writes": 3,
        "last_write_at": "2026-04-09T14:00:00Z",
        "created_at": "2026-04-09T09:00:00Z"
    })
}

/// All operator routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(grant))
        .routes(routes!(suspend))
        .routes(routes!(resume))
}

/// The bearer of a key of an operator's account. Other callers learn nothing from a request:
/// neither whether an account exists nor what is wrong with a body. The store checks this again.
struct OperatorBearer(Bearer);

impl FromRequestParts<App> for OperatorBearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Bearer::from_request_parts(parts, app).await?;
        operators::check(&caller)?;
        Ok(Self(caller))
    }
}

choice!(
    AccountStatusName,
    "AccountStatus",
    AccountStatus::ALL.iter().copied().map(AccountStatus::name)
);

/// An account, as operators see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
struct AccountBody {
    account_id: i64,
    name: String,
    #[schema(value_type = AccountKindName)]
    account_type: &'static str,
    #[schema(value_type = AccountStatusName)]
    status: &'static str,
    balance: i64,
    /// The number of its actors, deactivated ones included.
    actors: i64,
    /// The number of single writes that it has paid for. Imported rows are not counted.
    writes: i64,
    /// When it last paid for a write, single or in an import.
    #[schema(required, format = DateTime)]
    last_write_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<AccountOverview> for AccountBody {
    fn from(AccountOverview { account, writes, last_write_at }: AccountOverview) -> Self {
        Self {
            account_id: account.id.0,
            name: account.name.into_string(),
            account_type: account.kind.name(),
            status: account.status.name(),
            balance: account.balance,
            actors: account.last_ids.actor,
            writes,
            last_write_at: last_write_at.map(|at| at.to_string()),
            created_at: account.created_at.to_string(),
        }
    }
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
struct AccountPage {
    accounts: Vec<AccountBody>,
    /// The number of rows on all pages.
    total: i64,
    limit: u32,
    /// The number of rows skipped; 0 with `cursor`.
    offset: i64,
    /// Pass it as `cursor` to get the next page; `null` on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Credits to give.
#[derive(ToSchema)]
#[schema(example = json!({"amount": 1000, "note": "April"}))]
#[serde(deny_unknown_fields)]
struct NewCredits {
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000)]
    amount: Grant,
    /// A note for the ledger entry, 1 to 100 characters, no control characters.
    #[schema(value_type = Option<schema::Name>)]
    note: Option<Name>,
}

impl FromMembers for NewCredits {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let amount = members.required("amount", integer(Grant::parse));
        let note = members.optional("note", text(Name::parse));
        Ok(Self { amount: amount?, note: note? })
    }
}

/// The credits that were granted.
#[derive(Serialize, ToSchema)]
struct CreditsGranted {
    account_id: i64,
    /// The account's balance after the grant.
    balance: i64,
}

/// Whether an account may write now.
#[derive(Serialize, ToSchema)]
struct AccountState {
    #[schema(value_type = AccountStatusName)]
    status: &'static str,
    account_id: i64,
}

/// List accounts
///
/// All accounts, newest first, with names, balances and activity, but without any data of actors.
/// Operators only. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/accounts", operation_id = "listAccounts", tag = "operators",
    params(Paging),
    responses(
        (status = 200, description = "A page of accounts.", body = AccountPage, example = json!({
        "accounts": [example()],
        "total": 1,
        "limit": 20,
        "offset": 0,
        "next_cursor": null
    })),
        (status = 403, description = "The caller's account is not an operator's.")
    )
)]
async fn list(
    State(app): State<App>,
    OperatorBearer(mut caller): OperatorBearer,
    List { query: NoParams, page }: List<NoParams>,
) -> Result<(NextLink, axum::Json<AccountPage>), Problem> {
    let request = page.request(&caller)?;
    let operators = &app.services.operators;
    let found =
        caller.read_in_turn(|caller| async move { operators.list(&caller, request).await }).await?;
    let (next_cursor, link) = page.next(&caller, &found);
    let body = AccountPage {
        accounts: found.items.into_iter().map(AccountBody::from).collect(),
        total: found.total,
        limit: found.request.limit,
        offset: found.request.offset(),
        next_cursor,
    };
    Ok((link, axum::Json(body)))
}

/// Get account
///
/// One account. Operators only. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}", operation_id = "getAccount", tag = "operators",
    params(Id<AccountId>),
    responses(
        (status = 200, description = "The account.", body = AccountBody, example = json!(example())),
        (status = 403, description = "The caller's account is not an operator's.")
    )
)]
async fn get(
    State(app): State<App>,
    OperatorBearer(mut caller): OperatorBearer,
    Id(id): Id<AccountId>,
    _: Query<NoParams>,
) -> Result<axum::Json<AccountBody>, Problem> {
    let operators = &app.services.operators;
    let found = caller.read(|caller| async move { operators.get(&caller, id).await }).await?;
    let found = found.ok_or_else(|| Problem::not_found("account"))?;
    Ok(axum::Json(found.into()))
}

/// Grant credits
///
/// Adds credits to an account: any account, the caller's own and suspended ones included. Operators
/// only. Costs nothing.
#[utoipa::path(
    post, path = "/api/v1/accounts/{id}/credits", operation_id = "grantCredits", tag = "operators",
    params(Id<AccountId>),
    request_body = NewCredits,
    responses(
        (status = 201, description = "What the account has now.", body = CreditsGranted, example = json!({
            "account_id": 2,
            "balance": 1097
        })),
        (status = 403, description = "The caller's account is not an operator's, or is suspended."),
        (status = 409, description = "The balance would exceed the largest number of 63 bits.")
    )
)]
async fn grant(
    State(app): State<App>,
    OperatorBearer(caller): OperatorBearer,
    Id(id): Id<AccountId>,
    _: Query<NoParams>,
    WriteRequest { body: new, preconditions }: WriteRequest<NewCredits>,
) -> Result<Response, Problem> {
    let (NewCredits { amount, note }, repeat) = (new, preconditions.idempotent);
    let outcome = app.services.operators.grant(&caller, id, amount, note, repeat).await;
    let Written { value: account, is_replay, .. } = caller.checked(outcome)?;
    let body = CreditsGranted { account_id: account.id.0, balance: account.balance };
    let replayed = is_replay.then_some([(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"))]);
    let mut response = (StatusCode::CREATED, axum::Json(body)).into_response();
    response.headers_mut().extend(replayed.into_iter().flatten());
    Ok(response)
}

/// Suspend account
///
/// A suspended account can still read, export and revoke keys; any other write is 403, for all its
/// keys, at once. Suspending it again changes nothing. Operators only, and not for their own
/// account. Costs nothing.
#[utoipa::path(
    post, path = "/api/v1/accounts/{id}/suspend", operation_id = "suspendAccount", tag = "operators",
    params(Id<AccountId>),
    responses(
        (status = 200, description = "The account is suspended.", body = AccountState, example = json!({
            "status": "suspended",
            "account_id": 2
        })),
        (status = 403, description = "The caller's account is not an operator's, or is suspended."),
        (status = 409, description = "It is the caller's own account.")
    )
)]
async fn suspend(
    State(app): State<App>,
    OperatorBearer(caller): OperatorBearer,
    Id(id): Id<AccountId>,
    _: Query<NoParams>,
    _: Json<NoFields>,
) -> Result<axum::Json<AccountState>, Problem> {
    set_status(&app, &caller, id, AccountStatus::Suspended).await
}

/// Resume account
///
/// The account can write again. Resuming an active account changes nothing. Operators only. Costs
/// nothing.
#[utoipa::path(
    post, path = "/api/v1/accounts/{id}/resume", operation_id = "resumeAccount", tag = "operators",
    params(Id<AccountId>),
    responses(
        (status = 200, description = "The account is active.", body = AccountState, example = json!({
            "status": "active",
            "account_id": 2
        })),
        (status = 403, description = "The caller's account is not an operator's, or is suspended.")
    )
)]
async fn resume(
    State(app): State<App>,
    OperatorBearer(caller): OperatorBearer,
    Id(id): Id<AccountId>,
    _: Query<NoParams>,
    _: Json<NoFields>,
) -> Result<axum::Json<AccountState>, Problem> {
    set_status(&app, &caller, id, AccountStatus::Active).await
}

async fn set_status(
    app: &App,
    caller: &Bearer,
    id: AccountId,
    status: AccountStatus,
) -> Result<axum::Json<AccountState>, Problem> {
    let outcome = app.services.operators.set_status(caller, id, status).await;
    let account = caller.checked(outcome)?;
    Ok(axum::Json(AccountState { status: account.status.name(), account_id: account.id.0 }))
}
