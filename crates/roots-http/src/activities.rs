//! `/activities` and their statistics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use roots_domain::model::activity::{Activity, ActivityStats};
use roots_domain::model::id::{ActivityId, ActorId, SessionId};
use roots_domain::model::text::{ActivityText, ActivityType};
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::zone::Zone;
use roots_domain::service::access::{ActorScope, Caller};
use roots_domain::service::activities::{ActivityDraft, ActivitySelection};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::rows;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{FromMembers, Members, NoFields, actor_id, session_id, text};
use roots_http_core::request::pagination::{List, Paging};
use roots_http_core::request::path::Id;
use roots_http_core::request::preconditions::{IfNoneMatch, Tagged, WriteRequest};
use roots_http_core::request::query::{
    FromParams, NoParams, Params, Query, actor_scope, session_filter, time,
};
use roots_http_core::schema::{self, example_with};
use roots_http_core::wire::API_PATH;

/// The activity of the examples.
fn example() -> Value {
    json!({
        "activity_id": 1,
        "session_id": 1,
        "activity_type": "deploy",
        "description": "Deployed docs pages for sessions, todos, activities",
        "logged_at": "2026-04-09T14:00:00Z",
        "created_at": "2026-04-09T14:00:00Z",
        "actor_id": 1
    })
}

/// All activity routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, log))
        .routes(routes!(stats))
        .routes(routes!(get, delete))
}

/// An activity.
#[derive(Serialize, ToSchema)]
#[schema(as = Activity)]
pub(crate) struct ActivityBody {
    /// Numbered per account.
    activity_id: i64,
    /// The session it is linked to.
    #[schema(required)]
    session_id: Option<i64>,
    /// The category.
    activity_type: String,
    /// What happened. Encrypted at rest.
    description: String,
    /// When it happened.
    #[schema(format = DateTime)]
    logged_at: String,
    /// When it was stored.
    #[schema(format = DateTime)]
    created_at: String,
    /// The actor that the activity belongs to.
    actor_id: i64,
}

impl From<Activity> for ActivityBody {
    fn from(activity: Activity) -> Self {
        Self {
            activity_id: activity.id.0,
            session_id: activity.session.map(|session| session.0),
            activity_type: activity.activity_type.into_string(),
            description: activity.description,
            logged_at: activity.logged_at.to_string(),
            created_at: activity.created_at.to_string(),
            actor_id: activity.actor.0,
        }
    }
}

/// A page of activities.
#[derive(Serialize, ToSchema)]
struct ActivityPage {
    activities: Vec<ActivityBody>,
    /// The number of matching rows on all pages.
    total: i64,
    limit: u32,
    /// The number of rows skipped; 0 with `cursor`.
    offset: i64,
    /// Pass it as `cursor` to get the next page; `null` on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// An activity that was deleted.
#[derive(Serialize, ToSchema)]
struct ActivityDeleted {
    /// `deleted`
    status: &'static str,
    activity_id: i64,
}

/// Statistics of activities.
#[derive(Serialize, ToSchema)]
#[schema(as = ActivityStats)]
struct StatsBody {
    total_activities: i64,
    /// Sorted by count, highest first, then by name. It has all types of one actor; for several
    /// actors it has the 1,000 most frequent types.
    by_type: Vec<TypeCount>,
    /// The number of types that `by_type` leaves out: 0 for one actor.
    by_type_omitted: i64,
    /// Ascending. It has the newest 3,660 days with activities; days without any are left out. Days
    /// are those of the time zone `tz`.
    by_day: Vec<DayCount>,
    /// The number of days with activities that `by_day` leaves out. They are older than those it
    /// has.
    by_day_omitted: i64,
    sessions: SessionCountsBody,
}

#[derive(Serialize, ToSchema)]
struct TypeCount {
    activity_type: String,
    count: i64,
}

#[derive(Serialize, ToSchema)]
struct DayCount {
    #[schema(format = Date)]
    day: String,
    count: i64,
}

/// The number of sessions: the actor's, or the one of the filter.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionCounts)]
struct SessionCountsBody {
    total: i64,
    active: i64,
}

impl From<ActivityStats> for StatsBody {
    fn from(stats: ActivityStats) -> Self {
        let of_type = |(activity_type, count): (ActivityType, i64)| TypeCount {
            activity_type: activity_type.into_string(),
            count,
        };
        Self {
            total_activities: stats.total,
            by_type: stats.by_type.into_iter().map(of_type).collect(),
            by_type_omitted: stats.by_type_omitted,
            by_day_omitted: stats.by_day_omitted,
            by_day: stats
                .by_day
                .into_iter()
                .map(|(day, count)| DayCount { day: day.to_string(), count })
                .collect(),
            sessions: SessionCountsBody {
                total: stats.sessions.total,
                active: stats.sessions.active,
            },
        }
    }
}

/// The filter of the list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct ActivityQuery {
    /// Filter by activity type.
    #[param(rename = "type", value_type = Option<schema::ActivityTypeName>)]
    activity_type: Option<ActivityType>,
    #[param(ignore)]
    of: Selection,
}

impl FromParams for ActivityQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let activity_type = params.take("type", ActivityType::parse);
        let of = Selection::from_params(params);
        Ok(Self { activity_type: activity_type?, of: of? })
    }
}

/// The filter that lists and statistics share: everything but the type.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Selection {
    /// Filter by linked session.
    #[param(value_type = Option<i64>, minimum = 1)]
    session_id: Option<SessionId>,
    /// An IANA time zone. Dates without a time in `since` and `until`, and the days of `by_day` in
    /// statistics, are days of this zone. A time without an offset is UTC in any zone.
    #[param(value_type = Option<schema::TimeZone>, example = "Asia/Kathmandu")]
    tz: Zone,
    /// Start of the range, inclusive: an RFC 3339 date or time.
    #[param(value_type = Option<schema::DateOrTime>, example = "2026-04-01")]
    since: Option<Timestamp>,
    /// End of the range, inclusive: an RFC 3339 date or time. A date includes the whole day.
    #[param(value_type = Option<schema::DateOrTime>, example = "2026-04-09")]
    until: Option<Timestamp>,
    /// An actor's id, or `all` for every actor of the account. The default is the caller; only the
    /// owner may ask for others.
    #[param(rename = "actor_id", value_type = Option<schema::ActorFilter>)]
    scope: ActorScope,
}

impl FromParams for Selection {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let session_id = session_filter(params);
        let tz = params.take("tz", |name| Zone::parse(&name));
        // If the zone is unknown, the dates are still checked.
        let zone = tz.as_ref().ok().cloned().flatten().unwrap_or(Zone::UTC);
        let since = params.take("since", |text| Timestamp::parse_since(&time(text), &zone));
        let until = params.take("until", |text| Timestamp::parse_until(&time(text), &zone));
        let scope = actor_scope(params);
        tz?;
        Ok(Self { session_id: session_id?, since: since?, until: until?, tz: zone, scope: scope? })
    }
}

impl Selection {
    fn of(self, activity_type: Option<ActivityType>) -> ActivitySelection {
        let Self { session_id, since, until, tz: _, scope } = self;
        let range = TimeRange { since, until };
        ActivitySelection { scope, activity_type, session: session_id, range }
    }
}

/// An activity to log.
#[derive(ToSchema)]
#[schema(as = NewActivity, example = json!({
    "description": "Deployed sessions, todos, and activities docs",
    "activity_type": "deploy",
    "session_id": 1
}))]
#[serde(deny_unknown_fields)]
struct NewActivityBody {
    /// What happened, up to 65,536 bytes. Encrypted at rest.
    #[schema(value_type = schema::ActivityText)]
    description: ActivityText,
    /// The category, `general` by default. An actor may use up to 1,000 different ones.
    #[schema(value_type = Option<schema::ActivityTypeName>)]
    activity_type: Option<ActivityType>,
    /// The active session to link to.
    #[schema(value_type = Option<i64>, minimum = 1)]
    session_id: Option<SessionId>,
    /// When it happened (RFC 3339); now by default.
    #[schema(value_type = Option<schema::DateOrTime>)]
    logged_at: Option<Timestamp>,
    /// The actor that the activity will belong to: the caller by default. Only an owner may name
    /// another.
    #[schema(value_type = Option<i64>, minimum = 1)]
    actor_id: Option<ActorId>,
}

impl FromMembers for NewActivityBody {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let description = members.required("description", text(ActivityText::parse));
        let activity_type = members.optional("activity_type", text(ActivityType::parse));
        let session_id = members.optional("session_id", session_id);
        let logged_at = members.optional("logged_at", text(|at| Timestamp::parse(&at)));
        let actor_id = members.optional("actor_id", actor_id);
        Ok(Self {
            description: description?,
            activity_type: activity_type?,
            session_id: session_id?,
            logged_at: logged_at?,
            actor_id: actor_id?,
        })
    }
}

/// List activities
///
/// The caller's activities, latest first. The owner may list any actor's. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/activities", operation_id = "listActivities", tag = "activities",
    params(ActivityQuery, Selection, Paging),
    responses((status = 200, description = "A page of activities.", body = ActivityPage, example = json!({
        "activities": [example()],
        "total": 1,
        "limit": 20,
        "offset": 0,
        "next_cursor": null
    })))
)]
async fn list(
    State(app): State<App>,
    caller: Bearer,
    List { query, page }: List<ActivityQuery>,
) -> Result<Response, Problem> {
    let activities = &app.services.activities;
    let selection = &query.of.of(query.activity_type);
    rows::list::<ActivityBody, _, _, _>(
        &app,
        caller,
        &page,
        |caller, request| async move { activities.find(&caller, selection.clone(), request).await },
        |found, next_cursor| ActivityPage {
            activities: Vec::new(),
            total: found.total,
            limit: found.request.limit,
            offset: found.request.offset(),
            next_cursor,
        },
    )
    .await
}

/// Get activity
///
/// One activity with its decrypted description. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/activities/{id}", operation_id = "getActivity", tag = "activities",
    params(Id<ActivityId>),
    responses((status = 200, description = "The activity.", body = ActivityBody, example = json!(example())))
)]
async fn get(
    State(app): State<App>,
    caller: Bearer,
    Id(id): Id<ActivityId>,
    _: Query<NoParams>,
    if_none_match: IfNoneMatch,
) -> Result<Response, Problem> {
    let activities = &app.services.activities;
    let find = |caller: Arc<Caller>| async move { activities.find_one(&caller, id).await };
    let word =
        |activity: Activity| if_none_match.answer(activity.tag(), ActivityBody::from(activity));
    rows::get(&app, caller, "activity", find, word).await
}

/// Log activity
///
/// Logs an activity. Costs 1 credit.
#[utoipa::path(
    post, path = "/api/v1/activities", operation_id = "logActivity", tag = "activities",
    request_body = NewActivityBody,
    responses(
        (status = 201, description = "The new activity.", body = ActivityBody, example = json!(example_with(example(), json!({
        "activity_id": 2,
        "description": "Deployed sessions, todos, and activities docs"
    })))),
        (status = 409, description = "The session to link to has ended.")
    )
)]
async fn log(
    State(app): State<App>,
    caller: Bearer,
    _: Query<NoParams>,
    WriteRequest { body: new, preconditions }: WriteRequest<NewActivityBody>,
) -> Result<Response, Problem> {
    let draft = ActivityDraft {
        actor: new.actor_id,
        description: new.description,
        activity_type: new.activity_type.unwrap_or_default(),
        session: new.session_id,
        logged_at: new.logged_at,
    };
    let (activity, credits) =
        caller.settle(app.services.activities.log(&caller, draft, preconditions).await)?;
    let location = [(LOCATION, format!("{API_PATH}/activities/{}", activity.id))];
    let tag = Tagged(activity.tag());
    let body = axum::Json(ActivityBody::from(activity));
    Ok((StatusCode::CREATED, location, tag, credits, body).into_response())
}

/// Delete activity
///
/// Deletes the activity permanently. Costs 1 credit.
#[utoipa::path(
    delete, path = "/api/v1/activities/{id}", operation_id = "deleteActivity", tag = "activities",
    params(Id<ActivityId>),
    responses((status = 200, description = "It was deleted.", body = ActivityDeleted, example = json!({
        "status": "deleted",
        "activity_id": 1
    })))
)]
async fn delete(
    State(app): State<App>,
    caller: Bearer,
    Id(id): Id<ActivityId>,
    _: Query<NoParams>,
    WriteRequest { preconditions, .. }: WriteRequest<NoFields>,
) -> Result<Response, Problem> {
    let (id, credits) =
        caller.settle(app.services.activities.delete(&caller, id, preconditions).await)?;
    let body = ActivityDeleted { status: "deleted", activity_id: id.0 };
    Ok((credits, axum::Json(body)).into_response())
}

/// Activity stats
///
/// Counts of the matching activities and sessions. No description is decrypted. Totals count
/// everything that matches. `by_day` has the newest 3,660 days with activities, and
/// `by_day_omitted` counts the older ones: get them with `until`. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/activities/stats", operation_id = "getActivityStats", tag = "activities",
    params(Selection),
    responses((status = 200, description = "The statistics.", body = StatsBody, example = json!({
        "total_activities": 47,
        "by_type": [
            {"activity_type": "general", "count": 27},
            {"activity_type": "deploy", "count": 12},
            {"activity_type": "review", "count": 8}
        ],
        "by_type_omitted": 0,
        "by_day": [
            {"day": "2026-04-07", "count": 15},
            {"day": "2026-04-08", "count": 18},
            {"day": "2026-04-09", "count": 14}
        ],
        "by_day_omitted": 0,
        "sessions": {"total": 5, "active": 1}
    })))
)]
async fn stats(
    State(app): State<App>,
    mut caller: Bearer,
    Query(selection): Query<Selection>,
) -> Result<axum::Json<StatsBody>, Problem> {
    let zone = selection.tz.clone();
    let (selection, zone) = (&selection.of(None), &zone);
    let activities = &app.services.activities;
    let stats = caller
        .read_in_turn(
            |caller| async move { activities.stats(&caller, selection.clone(), zone).await },
        )
        .await?;
    Ok(axum::Json(stats.into()))
}
