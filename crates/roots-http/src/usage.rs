//! Usage: how often an account calls each endpoint.

use axum::extract::State;
use roots_domain::model::time::Day;
use roots_domain::model::usage::{Endpoint, Month};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params, Query};
use roots_http_core::schema;

/// All usage routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(usage)).routes(routes!(history))
}

/// The month of the report.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct UsageQuery {
    /// The month, in UTC: `2026-04`. The current month by default.
    #[param(value_type = Option<schema::Month>, example = "2026-04")]
    period: Option<Month>,
}

impl FromParams for UsageQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        Ok(Self { period: params.take("period", |text| Month::parse(&text))? })
    }
}

/// The calls of an account in a month.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
struct UsageBody {
    /// The month.
    period: String,
    /// The number of all calls.
    used: i64,
    /// The ten most called endpoints.
    top_endpoints: Vec<EndpointCalls>,
}

/// The number of calls of an endpoint.
#[derive(Serialize, ToSchema)]
struct EndpointCalls {
    /// The route: `/todos/{id}`.
    endpoint: String,
    method: String,
    calls: i64,
}

impl From<(Endpoint, i64)> for EndpointCalls {
    fn from((Endpoint { route, method }, calls): (Endpoint, i64)) -> Self {
        Self { endpoint: route, method, calls }
    }
}

/// An account's calls by day.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageHistory)]
struct HistoryBody {
    /// The month.
    period: String,
    /// Ascending; days without calls are left out.
    daily: Vec<DayCalls>,
}

/// The calls of a day.
#[derive(Serialize, ToSchema)]
struct DayCalls {
    #[schema(format = Date)]
    day: String,
    calls: i64,
}

impl From<(Day, i64)> for DayCalls {
    fn from((day, calls): (Day, i64)) -> Self {
        Self { day: day.to_string(), calls }
    }
}

/// Usage
///
/// How often the account called the API in a month, and its most called endpoints. Every call with
/// a valid key within the rate limits counts, whatever its result. Counts are written every few
/// seconds, so the latest calls may be missing. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/usage", operation_id = "getUsage", tag = "accounts",
    params(UsageQuery),
    responses((status = 200, description = "The month.", body = UsageBody, example = json!({
        "period": "2026-04",
        "used": 42,
        "top_endpoints": [
            {"endpoint": "/todos", "method": "GET", "calls": 30},
            {"endpoint": "/activities", "method": "POST", "calls": 12}
        ]
    })))
)]
async fn usage(
    State(app): State<App>,
    mut caller: Bearer,
    Query(query): Query<UsageQuery>,
) -> Result<axum::Json<UsageBody>, Problem> {
    let usage = &app.services.usage;
    let (period, found) = caller
        .read_in_turn(|caller| async move { usage.of_month(&caller, query.period).await })
        .await?;
    Ok(axum::Json(UsageBody {
        period: period.to_string(),
        used: found.used,
        top_endpoints: found.top.into_iter().map(EndpointCalls::from).collect(),
    }))
}

/// Usage by day
///
/// How often the account called the API on each day of a month, in UTC. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/usage/history", operation_id = "getUsageHistory", tag = "accounts",
    params(UsageQuery),
    responses((status = 200, description = "The month's days.", body = HistoryBody, example = json!({
        "period": "2026-04",
        "daily": [{"day": "2026-04-08", "calls": 12}, {"day": "2026-04-09", "calls": 30}]
    })))
)]
async fn history(
    State(app): State<App>,
    mut caller: Bearer,
    Query(query): Query<UsageQuery>,
) -> Result<axum::Json<HistoryBody>, Problem> {
    let usage = &app.services.usage;
    let (period, days) = caller
        .read_in_turn(|caller| async move { usage.by_day(&caller, query.period).await })
        .await?;
    Ok(axum::Json(HistoryBody {
        period: period.to_string(),
        daily: days.into_iter().map(DayCalls::from).collect(),
    }))
}
