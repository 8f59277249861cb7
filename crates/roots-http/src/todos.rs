//! `/todos` and their logs.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use roots_domain::model::claim::ClaimToken;
use roots_domain::model::id::{ActorId, LogId, SessionId, TodoId};
use roots_domain::model::text::{LogNote, LongText, Title};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{Priority, StatusChange, Todo, TodoContent, TodoStatus};
use roots_domain::model::{Invalid, Patch};
use roots_domain::service::access::Caller;
use roots_domain::service::todos::{LogChunk, TodoChange, TodoDraft, TodoFilter};
use roots_domain::service::{Preconditions, SealedRow};
use serde::Serialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::rows;
use crate::todo_bodies::{ListedTodoBody, TodoBody, TodoStatusName, example, status};
use crate::todo_query::TodoParams;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::middleware::list_permits::{AnswerChunks, FoundRows, JsonRows, Room};
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{
    FromMembers, Members, NoFields, actor_id, claim_token, integer, session_id, text,
};
use roots_http_core::request::pagination::{List, Paging};
use roots_http_core::request::path::Id;
use roots_http_core::request::preconditions::{IfNoneMatch, Tagged, WriteRequest};
use roots_http_core::request::query::{FromParams, NoParams, Params, Query};
use roots_http_core::schema::{self, MERGE_PATCH, example_with};
use roots_http_core::wire::API_PATH;

/// All todo routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(logs))
}

/// A page of todos.
#[derive(Serialize, ToSchema)]
struct TodoPage {
    todos: Vec<ListedTodoBody>,
    /// The number of matching rows on all pages. Overdue todos are counted up to 1,000.
    total: i64,
    limit: u32,
    /// The number of rows skipped; 0 with `cursor`.
    offset: i64,
    /// Pass it as `cursor` to get the next page; `null` on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A todo that was deleted.
#[derive(Serialize, ToSchema)]
struct TodoDeleted {
    /// `deleted`
    status: &'static str,
    todo_id: i64,
}

/// One change of a todo's status.
#[derive(Serialize, ToSchema)]
#[schema(as = StatusChange)]
pub(crate) struct StatusChangeBody {
    /// Numbered per account.
    log_id: i64,
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

impl From<StatusChange> for StatusChangeBody {
    fn from(change: StatusChange) -> Self {
        Self {
            log_id: change.id.0,
            old_status: change.old_status.name(),
            new_status: change.new_status.name(),
            note: change.note,
            logged_at: change.logged_at.to_string(),
        }
    }
}

/// The complete status history of a todo.
#[derive(Serialize, ToSchema)]
#[schema(as = TodoLog)]
struct TodoLogBody {
    logs: Vec<StatusChangeBody>,
    todo_id: i64,
}

/// A todo to create.
#[derive(ToSchema)]
#[schema(as = NewTodo, example = json!({
    "title": "Deploy docs pages",
    "description": "Sessions, todos, and activities docs",
    "priority": 2,
    "due_at": "2026-04-10T00:00:00Z"
}))]
#[serde(deny_unknown_fields)]
struct NewTodoBody {
    /// Task title, 1 to 500 characters. Encrypted at rest.
    #[schema(value_type = schema::Title)]
    title: Title,
    /// Task description, up to 65,536 bytes. Encrypted at rest.
    #[schema(value_type = Option<schema::LongText>)]
    description: Option<LongText>,
    /// The active session to link to.
    #[schema(value_type = Option<i64>, minimum = 1)]
    session_id: Option<SessionId>,
    /// 0 (lowest, the default) to 3 (highest).
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 3)]
    priority: Option<Priority>,
    /// The due date (RFC 3339).
    #[schema(value_type = Option<schema::DateOrTime>)]
    due_at: Option<Timestamp>,
    /// The actor that the todo will belong to: the caller by default. Only an owner may name
    /// another.
    #[schema(value_type = Option<i64>, minimum = 1)]
    actor_id: Option<ActorId>,
}

impl FromMembers for NewTodoBody {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let title = members.required("title", text(Title::parse));
        let description = members.optional("description", text(LongText::parse));
        let session_id = members.optional("session_id", session_id);
        let priority = members.optional("priority", integer(Priority::parse));
        let due_at = members.optional("due_at", text(|at| Timestamp::parse(&at)));
        let actor_id = members.optional("actor_id", actor_id);
        Ok(Self {
            title: title?,
            description: description?,
            session_id: session_id?,
            priority: priority?,
            due_at: due_at?,
            actor_id: actor_id?,
        })
    }
}

/// A change to a todo: a merge patch (RFC 7396).
#[derive(ToSchema)]
#[schema(as = TodoChange, example = json!({"status": "done", "note": "All three docs pages deployed"}))]
#[serde(deny_unknown_fields)]
struct TodoChangeBody {
    /// New title, 1 to 500 characters.
    #[schema(value_type = schema::Title, required = false)]
    title: Option<Title>,
    /// New description, up to 65,536 bytes; `null` clears it.
    #[schema(value_type = Option<schema::LongText>)]
    description: Patch<LongText>,
    /// The new status. The change is logged.
    #[schema(value_type = TodoStatusName, required = false)]
    status: Option<TodoStatus>,
    /// 0 (lowest) to 3 (highest).
    #[schema(value_type = i64, required = false, minimum = 0, maximum = 3)]
    priority: Option<Priority>,
    /// The due date (RFC 3339); `null` clears it.
    #[schema(value_type = Option<schema::DateOrTime>)]
    due_at: Patch<Timestamp>,
    /// The session to link to, active or ended; `null` unlinks.
    #[schema(value_type = Option<i64>, minimum = 1)]
    session_id: Patch<SessionId>,
    /// A note for the entry of the status change log, up to 8,192 bytes. Encrypted at rest. Without
    /// a change of status it is refused, because it would be lost.
    #[schema(value_type = Option<schema::LogNote>)]
    note: Option<LogNote>,
    /// The token of the claim that you hold. If that claim does not stand, the patch is refused
    /// (`claim-lost`). Otherwise it keeps the claim alive, also without any other field.
    #[schema(value_type = i64, required = false, minimum = 1)]
    claim_token: Option<ClaimToken>,
}

impl FromMembers for TodoChangeBody {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let title = members.replacement("title", text(Title::parse));
        let description = members.patch("description", text(LongText::parse));
        let status = members.replacement("status", text(|name| status(&name)));
        let priority = members.replacement("priority", integer(Priority::parse));
        let due_at = members.patch("due_at", text(|at| Timestamp::parse(&at)));
        let session_id = members.patch("session_id", session_id);
        let note = members.optional("note", text(LogNote::parse));
        let claim_token = members.replacement("claim_token", claim_token);
        Ok(Self {
            title: title?,
            description: description?,
            status: status?,
            priority: priority?,
            due_at: due_at?,
            session_id: session_id?,
            note: note?,
            claim_token: claim_token?,
        })
    }
}

/// The claim that must stand for a deletion.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct ClaimParams {
    /// The token of the claim that you hold. If that claim does not stand, nothing is deleted
    /// (`claim-lost`).
    #[param(value_type = Option<i64>, minimum = 1)]
    claim_token: Option<ClaimToken>,
}

impl FromParams for ClaimParams {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let claim_token = params.take("claim_token", |text| {
            let token = TodoId::parse(&text).map(|number| ClaimToken(number.0));
            token.ok_or_else(|| Invalid::new("must be a positive integer"))
        });
        Ok(Self { claim_token: claim_token? })
    }
}

/// List todos
///
/// The caller's todos, by descending priority, then latest first. `sort` and `overdue` have orders
/// of their own. The owner may list any actor's. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/todos", operation_id = "listTodos", tag = "todos",
    params(TodoParams, Paging),
    responses((status = 200, description = "A page of todos.", body = TodoPage, example = json!({
        "todos": [example_with(example(), json!({"until": null}))],
        "total": 1,
        "limit": 20,
        "offset": 0,
        "next_cursor": null
    })))
)]
async fn list(
    State(app): State<App>,
    caller: Bearer,
    List { query, page }: List<TodoParams>,
) -> Result<Response, Problem> {
    let rows = query.rows().map_err(|invalid| Problem::invalid_parameters(vec![invalid]))?;
    let filter = TodoFilter { scope: query.scope, rows };
    let todos = &app.services.todos;
    rows::list::<ListedTodoBody, _, _, _>(
        &app,
        caller,
        &page,
        |caller, request| async move { todos.find(&caller, filter, request).await },
        |found, next_cursor| TodoPage {
            todos: Vec::new(),
            total: found.total,
            limit: found.request.limit,
            offset: found.request.offset(),
            next_cursor,
        },
    )
    .await
}

/// Get todo
///
/// One todo with its decrypted title and description. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/todos/{id}", operation_id = "getTodo", tag = "todos",
    params(Id<TodoId>),
    responses((status = 200, description = "The todo.", body = TodoBody, example = json!(example())))
)]
async fn get(
    State(app): State<App>,
    caller: Bearer,
    Id(id): Id<TodoId>,
    _: Query<NoParams>,
    if_none_match: IfNoneMatch,
) -> Result<Response, Problem> {
    let todos = &app.services.todos;
    let find = |caller: Arc<Caller>| async move { todos.find_one(&caller, id).await };
    let word = |todo: Todo| if_none_match.answer(todo.tag(), TodoBody::from(todo));
    rows::get(&app, caller, "todo", find, word).await
}

/// Create todo
///
/// Creates a todo. Costs 1 credit.
#[utoipa::path(
    post, path = "/api/v1/todos", operation_id = "createTodo", tag = "todos",
    request_body = NewTodoBody,
    responses(
        (status = 201, description = "The new todo.", body = TodoBody, example = json!(example_with(example(), json!({
        "todo_id": 2,
        "title": "Deploy docs pages",
        "description": "Sessions, todos, and activities docs",
        "created_at": "2026-04-09T14:00:00Z",
        "updated_at": "2026-04-09T14:00:00Z",
        "status_since": "2026-04-09T14:00:00Z"
    })))),
        (status = 409, description = "The session to link to has ended.")
    )
)]
async fn create(
    State(app): State<App>,
    caller: Bearer,
    _: Query<NoParams>,
    WriteRequest { body: new, preconditions }: WriteRequest<NewTodoBody>,
) -> Result<Response, Problem> {
    let draft = TodoDraft {
        actor: new.actor_id,
        content: TodoContent {
            title: new.title,
            description: new.description,
            session: new.session_id,
            priority: new.priority.unwrap_or_default(),
            due_at: new.due_at,
        },
    };
    let (todo, credits) =
        caller.settle(app.services.todos.create(&caller, draft, preconditions).await)?;
    let location = [(LOCATION, format!("{API_PATH}/todos/{}", todo.id))];
    let tag = Tagged(todo.tag());
    let body = axum::Json(TodoBody::from(todo));
    Ok((StatusCode::CREATED, location, tag, credits, body).into_response())
}

/// Update todo
///
/// Changes any combination of fields. A change of status is logged. Costs 1 credit. An agent that
/// has claimed the todo sends its `claim_token`: the patch is refused if the claim was lost, and
/// keeps it alive otherwise.
#[utoipa::path(
    patch, path = "/api/v1/todos/{id}", operation_id = "updateTodo", tag = "todos",
    params(Id<TodoId>),
    request_body(content = TodoChangeBody, description = MERGE_PATCH),
    responses(
        (status = 200, description = "The todo as it is now.", body = TodoBody, example = json!(example_with(example(), json!({"status": "done", "updated_at": "2026-04-09T14:00:00Z", "status_since": "2026-04-09T14:00:00Z"})))),
        (status = 409, description = "The todo's current status does not allow this step, or the claim of `claim_token` does not stand.")
    )
)]
async fn update(
    State(app): State<App>,
    caller: Bearer,
    Id(id): Id<TodoId>,
    _: Query<NoParams>,
    WriteRequest { body: change, preconditions }: WriteRequest<TodoChangeBody>,
) -> Result<Response, Problem> {
    let TodoChangeBody {
        title,
        description,
        status,
        priority,
        due_at,
        session_id,
        note,
        claim_token,
    } = change;
    let preconditions = Preconditions { claim_token, ..preconditions };
    let session = session_id;
    let change = TodoChange { title, description, status, priority, due_at, session, note };
    let (todo, credits) =
        caller.settle(app.services.todos.patch(&caller, id, change, preconditions).await)?;
    Ok((Tagged(todo.tag()), credits, axum::Json(TodoBody::from(todo))).into_response())
}

/// Delete todo
///
/// Deletes the todo and its status change log permanently. Costs 1 credit.
#[utoipa::path(
    delete, path = "/api/v1/todos/{id}", operation_id = "deleteTodo", tag = "todos",
    params(Id<TodoId>, ClaimParams),
    responses(
        (status = 200, description = "It was deleted.", body = TodoDeleted, example = json!({
            "status": "deleted",
            "todo_id": 1
        })),
        (status = 409, description = "The claim of `claim_token` does not stand.")
    )
)]
async fn delete(
    State(app): State<App>,
    caller: Bearer,
    Id(id): Id<TodoId>,
    Query(ClaimParams { claim_token }): Query<ClaimParams>,
    WriteRequest { preconditions, .. }: WriteRequest<NoFields>,
) -> Result<Response, Problem> {
    let preconditions = Preconditions { claim_token, ..preconditions };
    let (id, credits) =
        caller.settle(app.services.todos.delete(&caller, id, preconditions).await)?;
    let body = TodoDeleted { status: "deleted", todo_id: id.0 };
    Ok((credits, axum::Json(body)).into_response())
}

/// Get status change logs
///
/// All status changes of a todo, earliest first. Costs nothing.
#[utoipa::path(
    get, path = "/api/v1/todos/{id}/logs", operation_id = "getTodoLogs", tag = "todos",
    params(Id<TodoId>),
    responses((status = 200, description = "The history.", body = TodoLogBody, example = json!({
        "logs": [
            {
                "log_id": 1,
                "old_status": "open",
                "new_status": "in_progress",
                "note": "Starting work",
                "logged_at": "2026-04-09T11:00:00Z"
            },
            {
                "log_id": 2,
                "old_status": "in_progress",
                "new_status": "done",
                "note": "All three docs pages deployed",
                "logged_at": "2026-04-09T14:00:00Z"
            }
        ],
        "todo_id": 1
    })))
)]
async fn logs(
    State(app): State<App>,
    mut caller: Bearer,
    Id(id): Id<TodoId>,
    _: Query<NoParams>,
) -> Result<Response, Problem> {
    let todos = &app.services.todos;
    let find =
        |caller: Arc<Caller>| async move { todos.log_after(&caller, id, None).await.map(FoundLog) };
    let (FoundLog(found), room) = caller.read_rows(find).await?;
    let LogChunk { steps, next } = found.ok_or_else(|| Problem::not_found("todo"))?;
    let opening = app.services.accounts.opening(&caller, steps).await?;
    let rows = room.open(opening).await?;
    let rows = JsonRows::new(&TodoLogBody { logs: Vec::new(), todo_id: id.0 }, rows);
    room.tell(LogChunks { rows, next, app, caller, id }).await
}

/// The first chunk of a log, if there is such a todo.
struct FoundLog(Option<LogChunk>);

impl FoundRows for FoundLog {
    fn rows(&self) -> usize {
        self.0.as_ref().map_or(0, |chunk| chunk.steps.len())
    }

    fn sealed_bytes(&self) -> usize {
        self.0.iter().flat_map(|chunk| &chunk.steps).map(SealedRow::sealed_bytes).sum()
    }

    fn goes_on(&self) -> bool {
        self.0.as_ref().is_some_and(|chunk| chunk.next.is_some())
    }
}

/// A log that is being sent. Each chunk of a long one is read when the client has taken the one
/// before.
struct LogChunks {
    rows: JsonRows<StatusChangeBody>,
    /// The step to continue after.
    next: Option<LogId>,
    app: App,
    caller: Bearer,
    id: TodoId,
}

impl LogChunks {
    async fn read_on(&mut self, room: &Room, after: LogId) -> Result<(), Problem> {
        let (services, id) = (&self.app.services, self.id);
        services.access.check_expiry(&self.caller)?;
        let find = |caller: Arc<Caller>| async move {
            services.todos.log_after(&caller, id, Some(after)).await.map(FoundLog)
        };
        let (FoundLog(chunk), _permit) = self.caller.read_rows_on(room, find).await?;
        // If the todo was deleted meanwhile, the log must not look complete.
        let chunk = chunk.ok_or_else(|| Problem::not_found("todo"))?;
        let mut rows = VecDeque::new();
        for step in services.accounts.opening(&self.caller, chunk.steps).await? {
            rows.push_back(StatusChangeBody::from(step?));
        }
        self.rows.extend(rows);
        self.next = chunk.next;
        Ok(())
    }
}

impl AnswerChunks for LogChunks {
    async fn next(&mut self, room: &Room) -> Option<Result<Bytes, Problem>> {
        loop {
            if let Some(chunk) = self.rows.chunk(self.next.is_none()) {
                return Some(Ok(chunk));
            }
            let after = self.next?;
            if let Err(problem) = self.read_on(room, after).await {
                return Some(Err(problem));
            }
        }
    }
}
