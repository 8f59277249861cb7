//! `/brief`.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use roots_domain::model::Invalid;
use roots_domain::model::activity::Activity;
use roots_domain::model::brief::{
    Brief, BriefActors, BriefChange, BriefList, BriefText, NextAction, NextTodo, Omitted, Resource,
    TOKEN_BYTES, TOKENS_DEFAULT, TOKENS_MAX, TOKENS_MIN, fit,
};
use roots_domain::model::id::SessionId;
use roots_domain::model::session::ListedSession;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::ListedTodo;
use roots_domain::model::zone::Zone;
use roots_domain::service::ReadError;
use roots_domain::service::access::{ActorScope, Caller};
use roots_domain::service::brief::BriefRequest;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{
    FromParams, Params, Query, actor_scope, session_filter, time,
};
use roots_http_core::schema;
use roots_http_core::wire::API_PATH;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::activities::ActivityBody;
use crate::app::App;
use crate::openapi::choice;
use crate::sessions::ListedSessionBody;
use crate::todo_bodies::{ClaimBody, TodoStatusName};

/// The route of the brief.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(brief))
}

/// What the brief is about, and how long it may be.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct BriefParams {
    /// The size: the answer has at most 4 bytes for each token.
    #[param(value_type = Option<u32>, minimum = 500, maximum = 8000, default = 2000)]
    max_tokens: u32,
    /// The start of the time whose activities and status changes are reported, inclusive: an RFC
    /// 3339 date or time. The default is the end of the last session that has ended.
    #[param(value_type = Option<schema::DateOrTime>, example = "2026-04-09")]
    since: Option<Timestamp>,
    /// An actor's id, or `all` for every actor of the account. The default is the caller; only the
    /// owner may ask for others.
    #[param(rename = "actor_id", value_type = Option<schema::ActorFilter>)]
    scope: ActorScope,
    /// The session that you work in, if you have one. The brief then tells your claims from those
    /// of other workers. 404 if there is no such session of these actors.
    #[param(rename = "session_id", value_type = Option<i64>, minimum = 1)]
    session: Option<SessionId>,
}

impl FromParams for BriefParams {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let max_tokens = params.take("max_tokens", |text| tokens(&text));
        let since = params.take("since", |text| Timestamp::parse_since(&time(text), &Zone::UTC));
        let scope = actor_scope(params);
        let session = session_filter(params);
        let max_tokens = max_tokens?.unwrap_or(TOKENS_DEFAULT);
        Ok(Self { max_tokens, since: since?, scope: scope?, session: session? })
    }
}

fn tokens(text: &str) -> Result<u32, Invalid> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number =
        text.parse().ok().filter(|number| is_plain && (TOKENS_MIN..=TOKENS_MAX).contains(number));
    number.ok_or_else(|| Invalid::new(format!("must be {TOKENS_MIN} to {TOKENS_MAX}")))
}

choice!(pub(crate) ActionName, "Action", NextAction::NAMES);
choice!(pub(crate) BriefListName, "BriefList", BriefList::NAMES);

/// What an agent has to know when it wakes. Each todo is in one list only.
#[derive(Serialize, ToSchema)]
#[schema(as = Brief)]
struct BriefBody {
    /// When it was read.
    #[schema(format = DateTime)]
    at: String,
    /// The start of the time whose activities and status changes are reported; `null` for
    /// everything.
    #[schema(required, format = DateTime)]
    since: Option<String>,
    /// The named session if it has notes, else the one that ended last. If no session is named, the
    /// active one that started last, else the one that ended last.
    #[schema(required)]
    session: Option<ListedSessionBody>,
    /// Todos in progress whose claim lives, or that nobody has claimed. First those to go on with.
    in_progress: Vec<BriefTodoBody>,
    /// Todos in progress whose claim has lapsed, in the order of claims.
    left_behind: Vec<BriefTodoBody>,
    /// Open todos past their due date, in the order of claims.
    overdue: Vec<BriefTodoBody>,
    /// The other open todos, in the order of claims.
    next: Vec<BriefTodoBody>,
    /// Activities of the type `question` or `blocked` that were not followed by a later activity of
    /// their session: it waits for a person. It is active, or was ended as idle. The newest first.
    waiting: Vec<ActivityBody>,
    /// Activities since then, the newest first.
    activities: Vec<ActivityBody>,
    /// Status changes since then, the newest first.
    status_changes: Vec<BriefChangeBody>,
    counts: BriefCountsBody,
    /// Whether any todo is open or in progress.
    has_work: bool,
    next_action: NextActionBody,
    /// What was left out, and where it is.
    omitted: Vec<OmittedBody>,
    /// JSON pointers (RFC 6901) to the texts that were shortened. Each ends in `…`.
    cut: Vec<String>,
}

/// A todo of a brief.
#[derive(Serialize, ToSchema)]
#[schema(as = BriefTodo)]
struct BriefTodoBody {
    /// Numbered per account.
    todo_id: i64,
    /// The session it is linked to.
    #[schema(required)]
    session_id: Option<i64>,
    /// Encrypted at rest.
    title: String,
    /// Encrypted at rest.
    #[schema(required)]
    description: Option<String>,
    #[schema(value_type = TodoStatusName)]
    status: &'static str,
    /// 0 (lowest) to 3 (highest).
    #[schema(minimum = 0, maximum = 3)]
    priority: i16,
    #[schema(required, format = DateTime)]
    due_at: Option<String>,
    /// The claim that stands, alive or lapsed.
    #[schema(required)]
    claim: Option<ClaimBody>,
    /// The actor that the todo belongs to.
    actor_id: i64,
    /// Until when nobody else can claim it, if nothing more is written; `null` without a claim.
    #[schema(required, format = DateTime)]
    until: Option<String>,
}

/// A status change of a brief.
#[derive(Serialize, ToSchema)]
#[schema(as = BriefChange)]
struct BriefChangeBody {
    todo_id: i64,
    /// The todo's title.
    title: String,
    #[schema(value_type = TodoStatusName)]
    old_status: &'static str,
    #[schema(value_type = TodoStatusName)]
    new_status: &'static str,
    /// Encrypted at rest.
    #[schema(required)]
    note: Option<String>,
    #[schema(format = DateTime)]
    logged_at: String,
}

/// How many rows there are.
#[derive(Serialize, ToSchema)]
#[schema(as = BriefCounts)]
struct BriefCountsBody {
    todos: TodoCountsBody,
    sessions: BriefSessionCountsBody,
    activities: i64,
    /// Todos past their due date, open or in progress. 1,000 also stands for more.
    #[schema(minimum = 0, maximum = 1000)]
    overdue: i64,
}

/// Todos by their status.
#[derive(Serialize, ToSchema)]
#[schema(as = TodoCounts)]
struct TodoCountsBody {
    open: i64,
    in_progress: i64,
    done: i64,
    cancelled: i64,
}

/// Sessions by their status.
#[derive(Serialize, ToSchema)]
#[schema(as = BriefSessionCounts)]
struct BriefSessionCountsBody {
    active: i64,
    ended: i64,
}

/// What to do next, as the rows tell it.
#[derive(Serialize, ToSchema)]
#[schema(as = NextAction)]
struct NextActionBody {
    /// `resume`: go on with a todo in progress that is yours, that nobody has claimed, or whose
    /// session has ended. `take_over`: claim one whose claim has lapsed. `claim`: claim an open
    /// one. `none`: there is nothing to do, or others are doing it.
    #[schema(value_type = ActionName)]
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    todo: Option<NextTodoBody>,
}

/// The todo of the next action. It is also the first one of its list.
#[derive(Serialize, ToSchema)]
#[schema(as = NextTodo)]
struct NextTodoBody {
    todo_id: i64,
    title: String,
    /// 0 (lowest) to 3 (highest).
    #[schema(minimum = 0, maximum = 3)]
    priority: i16,
    #[schema(required, format = DateTime)]
    due_at: Option<String>,
    /// With `resume`, the token of the claim that stands, if there is one.
    #[schema(required, minimum = 1)]
    claim_token: Option<i64>,
    /// The actor that the todo belongs to.
    actor_id: i64,
}

/// Rows that a brief leaves out.
#[derive(Serialize, ToSchema)]
#[schema(as = Omitted)]
struct OmittedBody {
    /// The list, or `session`. Todos of `in_progress` may be left behind too, and those of `next`
    /// overdue, where there are many.
    #[schema(value_type = BriefListName)]
    what: &'static str,
    /// Counted to 1,000 where no count is kept. For `waiting`, all activities of the type that are
    /// older than its newest 100 count, answered or not.
    #[schema(minimum = 1)]
    count: i64,
    /// The request that shows them.
    request: String,
}

impl From<ListedTodo<BriefText>> for BriefTodoBody {
    fn from(ListedTodo { todo, until }: ListedTodo<BriefText>) -> Self {
        Self {
            todo_id: todo.id.0,
            session_id: todo.content.session.map(|session| session.0),
            title: shown(&todo.content.title),
            description: todo.content.description.as_ref().map(shown),
            status: todo.status.name(),
            priority: todo.content.priority.level(),
            due_at: todo.content.due_at.map(|at| at.to_string()),
            claim: ClaimBody::of(&todo.claims),
            actor_id: todo.actor.0,
            until: until.map(|until| until.to_string()),
        }
    }
}

fn shown(text: &BriefText) -> String {
    text.as_str().to_owned()
}

fn activity(activity: &Activity<BriefText>) -> ActivityBody {
    let Ok(activity) = activity.clone().try_map_text(|_, text| Ok::<_, Infallible>(shown(&text)));
    activity.into()
}

fn session(
    ListedSession { session, last_active_at }: &ListedSession<BriefText>,
) -> ListedSessionBody {
    let Ok(session) = session.clone().try_map_text(|_, text| Ok::<_, Infallible>(shown(&text)));
    ListedSession { session, last_active_at: *last_active_at }.into()
}

fn status_change(BriefChange { title, change, .. }: &BriefChange<BriefText>) -> BriefChangeBody {
    BriefChangeBody {
        todo_id: change.todo.0,
        title: shown(title),
        old_status: change.old_status.name(),
        new_status: change.new_status.name(),
        note: change.note.as_ref().map(shown),
        logged_at: change.logged_at.to_string(),
    }
}

fn next_todo(todo: &NextTodo) -> NextTodoBody {
    NextTodoBody {
        todo_id: todo.id.0,
        title: shown(&todo.title),
        priority: todo.priority.level(),
        due_at: todo.due_at.map(|at| at.to_string()),
        claim_token: todo.claim_token.map(|token| token.0),
        actor_id: todo.actor.0,
    }
}

/// A brief of these actors as a document.
fn body(brief: &Brief, actors: BriefActors) -> BriefBody {
    let todos =
        |list: &[ListedTodo<BriefText>]| list.iter().cloned().map(BriefTodoBody::from).collect();
    let counts = &brief.counts;
    let next_action = &brief.next_action;
    BriefBody {
        at: brief.at.to_string(),
        since: brief.since.map(|since| since.to_string()),
        session: brief.session.as_ref().map(session),
        in_progress: todos(&brief.in_progress),
        left_behind: todos(&brief.left_behind),
        overdue: todos(&brief.overdue),
        next: todos(&brief.next),
        waiting: brief.waiting.iter().map(activity).collect(),
        activities: brief.activities.iter().map(activity).collect(),
        status_changes: brief.status_changes.iter().map(status_change).collect(),
        counts: BriefCountsBody {
            todos: TodoCountsBody {
                open: counts.todos.open,
                in_progress: counts.todos.in_progress,
                done: counts.todos.done,
                cancelled: counts.todos.cancelled,
            },
            sessions: BriefSessionCountsBody {
                active: counts.sessions_active,
                ended: counts.sessions_ended,
            },
            activities: counts.activities,
            overdue: counts.overdue,
        },
        has_work: brief.has_work(),
        next_action: NextActionBody {
            action: next_action.name(),
            todo: next_action.todo().map(next_todo),
        },
        omitted: brief.omitted().into_iter().map(|one| omitted(one, actors, brief.since)).collect(),
        cut: brief.cut(),
    }
}

fn omitted(omitted: Omitted, actors: BriefActors, since: Option<Timestamp>) -> OmittedBody {
    let (resource, filters) = omitted.shown_by(actors, since);
    let path = match resource {
        Resource::Session(id) => format!("sessions/{id}"),
        Resource::Todos => "todos".to_owned(),
        Resource::Activities => "activities".to_owned(),
        Resource::Export => "export".to_owned(),
    };
    let mut request = format!("GET {API_PATH}/{path}");
    for (place, (name, value)) in filters.iter().enumerate() {
        let _ = write!(request, "{}{name}={value}", if place == 0 { '?' } else { '&' });
    }
    OmittedBody { what: omitted.list.name(), count: omitted.count, request }
}

/// The bytes of a document.
fn bytes(document: &impl Serialize) -> usize {
    // Strings, numbers and lists always serialize.
    serde_json::to_vec(document).map_or(usize::MAX, |json| json.len())
}

/// Brief
///
/// What to know on waking, in one answer of limited size: the session with its notes, todos in
/// progress, left behind, overdue and next, what sessions wait for, activities and status changes
/// since the last session, counts, and what to do next. All of it is of one moment. `counts`,
/// `has_work` and `next_action` come from the rows, never from a text. What does not fit is counted
/// in `omitted`, and shortened texts are named in `cut`. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/brief", operation_id = "brief", tag = "brief",
    params(BriefParams),
    responses((status = 404, description = "These actors have no session `session_id`."),
    (status = 200, description = "The brief.", body = BriefBody, example = json!({
        "at": "2026-04-09T14:00:00Z",
        "since": null,
        "session": {
            "session_id": 1,
            "status": "active",
            "notes": "Working on API docs",
            "started_at": "2026-04-09T10:00:00Z",
            "ended_at": null,
            "ended_reason": null,
            "duration_seconds": null,
            "actor_id": 1,
            "last_active_at": "2026-04-09T14:00:00Z"
        },
        "in_progress": [],
        "left_behind": [],
        "overdue": [],
        "next": [{
            "todo_id": 1,
            "session_id": null,
            "title": "Write API docs",
            "description": "Document sessions, todos, and…",
            "status": "open",
            "priority": 2,
            "due_at": "2026-04-10T00:00:00Z",
            "claim": null,
            "actor_id": 1,
            "until": null
        }],
        "waiting": [],
        "activities": [{
            "activity_id": 1,
            "session_id": 1,
            "activity_type": "deploy",
            "description": "Deployed docs pages for sessions, todos, activities",
            "logged_at": "2026-04-09T14:00:00Z",
            "created_at": "2026-04-09T14:00:00Z",
            "actor_id": 1
        }],
        "status_changes": [{
            "todo_id": 2,
            "title": "Deploy docs pages",
            "old_status": "in_progress",
            "new_status": "done",
            "note": "All three docs pages deployed",
            "logged_at": "2026-04-09T14:00:00Z"
        }],
        "counts": {
            "todos": {"open": 4, "in_progress": 0, "done": 1, "cancelled": 0},
            "sessions": {"active": 1, "ended": 0},
            "activities": 1,
            "overdue": 0
        },
        "has_work": true,
        "next_action": {
            "action": "claim",
            "todo": {
                "todo_id": 1,
                "title": "Write API docs",
                "priority": 2,
                "due_at": "2026-04-10T00:00:00Z",
                "claim_token": null,
                "actor_id": 1
            }
        },
        "omitted": [
            {"what": "next", "count": 3, "request": "GET /api/v1/todos?status=open"}
        ],
        "cut": ["/next/0/description"]
    })))
)]
async fn brief(
    State(app): State<App>,
    mut caller: Bearer,
    Query(params): Query<BriefParams>,
) -> Result<Response, Problem> {
    let BriefParams { max_tokens, since, scope, session } = params;
    let max_bytes = usize::try_from(max_tokens * TOKEN_BYTES).unwrap_or(usize::MAX);
    let request = BriefRequest { since, scope, session, max_bytes };
    let actors = request.actors(&caller).map_err(ReadError::from)?;
    let briefs = &app.services.briefs;
    let find = |caller: Arc<Caller>| async move { briefs.find(&caller, request).await };
    let (rows, room) = caller.read_rows(find).await?;
    let brief = briefs.open(&caller, request, rows).await?;
    let brief = fit(brief, max_bytes, |brief| bytes(&body(brief, actors)));
    Ok(room.hold(axum::Json(body(&brief, actors)).into_response()).await)
}
