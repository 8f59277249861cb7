//! `/todos/stats` and `/credits/stats`.

use axum::extract::State;
use roots_domain::model::id::ActorId;
use roots_domain::model::time::{Day, TimeRange, Timestamp};
use roots_domain::model::work::{CreditDay, CreditStats, TodoCounts, TodoStats, WorkWindow};
use roots_domain::model::zone::Zone;
use roots_domain::service::access::ActorScope;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params, Query, actor_scope, time};
use roots_http_core::schema;

/// The routes of statistics of todos and credits.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(todo_stats)).routes(routes!(credit_stats))
}

/// The window, and whose counts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Window {
    /// An IANA time zone. Dates without a time in `since` and `until`, and the days of `by_day`,
    /// are days of this zone. A time without an offset is UTC in any zone.
    #[param(value_type = Option<schema::TimeZone>, example = "Asia/Kathmandu")]
    tz: Zone,
    /// Start of the window: an RFC 3339 date or time. It is 30 days before its end by default.
    #[param(value_type = Option<schema::DateOrTime>, example = "2026-04-01")]
    since: Option<Timestamp>,
    /// End of the window: an RFC 3339 date or time. A date includes the whole day. The default is
    /// now.
    #[param(value_type = Option<schema::DateOrTime>, example = "2026-04-09")]
    until: Option<Timestamp>,
    /// An actor's id, or `all` for every actor of the account. The default is the caller; only the
    /// owner may ask for others.
    #[param(rename = "actor_id", value_type = Option<schema::ActorFilter>)]
    scope: ActorScope,
}

impl FromParams for Window {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let tz = params.take("tz", |name| Zone::parse(&name));
        // If the zone is unknown, the dates are still checked.
        let zone = tz.as_ref().ok().cloned().flatten().unwrap_or(Zone::UTC);
        let since = params.take("since", |text| Timestamp::parse_since(&time(text), &zone));
        let until = params.take("until", |text| Timestamp::parse_until(&time(text), &zone));
        let scope = actor_scope(params);
        tz?;
        Ok(Self { since: since?, until: until?, tz: zone, scope: scope? })
    }
}

impl Window {
    const fn range(&self) -> TimeRange {
        TimeRange { since: self.since, until: self.until }
    }
}

/// Statistics of todos.
#[derive(Serialize, ToSchema)]
#[schema(as = TodoStats)]
struct TodoStatsBody {
    /// The beginning of the first quarter hour that was counted.
    #[schema(format = DateTime)]
    since: String,
    /// The last instant of the last quarter hour that was counted.
    #[schema(format = DateTime)]
    until: String,
    /// Todos that were made, those included that are deleted since.
    made: i64,
    /// How many times a todo was done. One that is opened again and done again counts twice.
    done: i64,
    /// How many times a todo was cancelled.
    cancelled: i64,
    /// Sorted by the sum of the counts, highest first, then by id: at most 100 actors.
    by_actor: Vec<ActorTodos>,
    /// The number of actors that `by_actor` leaves out.
    by_actor_omitted: i64,
    /// Ascending; days without any are left out. Days are those of the time zone `tz`.
    by_day: Vec<DayTodos>,
}

#[derive(Serialize, ToSchema)]
struct ActorTodos {
    /// The actor that the todos belong to.
    actor_id: i64,
    made: i64,
    done: i64,
    cancelled: i64,
}

#[derive(Serialize, ToSchema)]
struct DayTodos {
    #[schema(format = Date)]
    day: String,
    made: i64,
    done: i64,
    cancelled: i64,
}

impl From<TodoStats> for TodoStatsBody {
    fn from(stats: TodoStats) -> Self {
        let (since, until) = bounds(stats.window);
        let of_actor =
            |(ActorId(actor_id), TodoCounts { made, done, cancelled }): (ActorId, TodoCounts)| {
                ActorTodos { actor_id, made, done, cancelled }
            };
        let of_day = |(day, TodoCounts { made, done, cancelled }): (Day, TodoCounts)| DayTodos {
            day: day.to_string(),
            made,
            done,
            cancelled,
        };
        Self {
            since,
            until,
            made: stats.total.made,
            done: stats.total.done,
            cancelled: stats.total.cancelled,
            by_actor: stats.by_actor.into_iter().map(of_actor).collect(),
            by_actor_omitted: stats.by_actor_omitted,
            by_day: stats.by_day.into_iter().map(of_day).collect(),
        }
    }
}

/// The first and the last instant of a window.
fn bounds(window: WorkWindow) -> (String, String) {
    (window.first.first_instant().to_string(), window.last.last_instant().to_string())
}

/// Statistics of credits.
#[derive(Serialize, ToSchema)]
#[schema(as = CreditStats)]
struct CreditStatsBody {
    /// The beginning of the first quarter hour that was counted.
    #[schema(format = DateTime)]
    since: String,
    /// The last instant of the last quarter hour that was counted.
    #[schema(format = DateTime)]
    until: String,
    /// Credits that the chosen actors spent.
    spent: i64,
    /// Credits that the account was granted.
    granted: i64,
    /// The balance of the account before the window.
    balance_before: i64,
    /// The balance of the account at the end of the window.
    balance_after: i64,
    /// The balance of the account now.
    balance: i64,
    /// Sorted by what they spent, the most first, then by id: at most 100 actors.
    by_actor: Vec<ActorCredits>,
    /// The number of actors that `by_actor` leaves out.
    by_actor_omitted: i64,
    /// The days on which the account spent or was granted credits, ascending. On the others its
    /// balance stayed. Days are those of the time zone `tz`.
    by_day: Vec<DayCredits>,
}

#[derive(Serialize, ToSchema)]
struct ActorCredits {
    /// The actor that spent them.
    actor_id: i64,
    spent: i64,
}

#[derive(Serialize, ToSchema)]
struct DayCredits {
    #[schema(format = Date)]
    day: String,
    /// Credits that the chosen actors spent.
    spent: i64,
    /// Credits that the account was granted.
    granted: i64,
    /// The balance of the account at the end of the day, or of the window.
    balance: i64,
}

impl From<CreditStats> for CreditStatsBody {
    fn from(stats: CreditStats) -> Self {
        let of_day = |CreditDay { day, spent, granted, balance }: CreditDay| DayCredits {
            day: day.to_string(),
            spent,
            granted,
            balance,
        };
        let (since, until) = bounds(stats.window);
        Self {
            since,
            until,
            spent: stats.spent,
            granted: stats.granted,
            balance_before: stats.balance_before,
            balance_after: stats.balance_after,
            balance: stats.balance,
            by_actor: stats
                .by_actor
                .into_iter()
                .map(|(actor, spent)| ActorCredits { actor_id: actor.0, spent })
                .collect(),
            by_actor_omitted: stats.by_actor_omitted,
            by_day: stats.by_day.into_iter().map(of_day).collect(),
        }
    }
}

/// Todo stats
///
/// Counts of the todos that were made, done and cancelled in a window, by actor and by day. They
/// are counted as they are written, so deleting a todo takes nothing back. Imported todos count
/// when they were made and done in their source. The quarter hours in which the window begins and
/// ends count whole. Of a window of more than 366 days its end is counted: `since` says from when.
/// Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/todos/stats", operation_id = "getTodoStats", tag = "todos",
    params(Window),
    responses((status = 200, description = "The statistics.", body = TodoStatsBody, example = json!({
        "since": "2026-04-07T00:00:00Z",
        "until": "2026-04-09T14:14:59.999999Z",
        "made": 5,
        "done": 3,
        "cancelled": 1,
        "by_actor": [
            {"actor_id": 1, "made": 4, "done": 3, "cancelled": 1},
            {"actor_id": 2, "made": 1, "done": 0, "cancelled": 0}
        ],
        "by_actor_omitted": 0,
        "by_day": [
            {"day": "2026-04-07", "made": 3, "done": 0, "cancelled": 0},
            {"day": "2026-04-09", "made": 2, "done": 3, "cancelled": 1}
        ]
    })))
)]
async fn todo_stats(
    State(app): State<App>,
    mut caller: Bearer,
    Query(window): Query<Window>,
) -> Result<axum::Json<TodoStatsBody>, Problem> {
    let (todos, window) = (&app.services.todos, &window);
    let stats = caller
        .read_in_turn(|caller| async move {
            todos.stats(&caller, window.scope, window.range(), &window.tz).await
        })
        .await?;
    Ok(axum::Json(stats.into()))
}

/// Credit stats
///
/// Credits spent and granted in a window, by actor and by day, and the balance of the account at
/// the end of each day, reckoned back from its present balance. The window ends now at the latest
/// and reaches at most 366 days back: `since` says from when. The quarter hours in which it begins
/// and ends count whole. What was granted and the balances are the account's, whatever `actor_id`
/// is. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/credits/stats", operation_id = "getCreditStats", tag = "accounts",
    params(Window),
    responses((status = 200, description = "The statistics.", body = CreditStatsBody, example = json!({
        "since": "2026-04-07T00:00:00Z",
        "until": "2026-04-09T14:14:59.999999Z",
        "spent": 12,
        "granted": 100,
        "balance_before": 0,
        "balance_after": 88,
        "balance": 88,
        "by_actor": [{"actor_id": 1, "spent": 9}, {"actor_id": 2, "spent": 3}],
        "by_actor_omitted": 0,
        "by_day": [
            {"day": "2026-04-07", "spent": 4, "granted": 100, "balance": 96},
            {"day": "2026-04-09", "spent": 8, "granted": 0, "balance": 88}
        ]
    })))
)]
async fn credit_stats(
    State(app): State<App>,
    mut caller: Bearer,
    Query(window): Query<Window>,
) -> Result<axum::Json<CreditStatsBody>, Problem> {
    let (accounts, window) = (&app.services.accounts, &window);
    let stats = caller
        .read_in_turn(|caller| async move {
            accounts.credit_stats(&caller, window.scope, window.range(), &window.tz).await
        })
        .await?;
    Ok(axum::Json(stats.into()))
}
