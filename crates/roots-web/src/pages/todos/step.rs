//! `POST /todos/{id}/status` and `POST /todos/{id}/delete`.

use axum::extract::State;
use axum::response::Response;
use maud::html;
use roots_domain::model::Invalid;
use roots_domain::model::id::TodoId;
use roots_domain::model::text::LogNote;
use roots_domain::model::todo::TodoStatus;
use roots_domain::service::todos::TodoChange;
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::request::fields::one_of;
use roots_http_core::request::path::Id;

use super::edit::current;
use super::labels;
use crate::app::App;
use crate::form::{self, Posted, own_path};
use crate::guard::see_other;
use crate::layout::Section;
use crate::pages::conflict::{self, Conflict};
use crate::query::optional;
use crate::rows::Opened;

/// A step to take.
struct Wanted {
    status: TodoStatus,
    note: Option<LogNote>,
}

/// Moves a todo along an allowed step, with an optional note, and leads back.
pub(crate) async fn step(
    State(app): State<App>,
    Id(id): Id<TodoId>,
    mut posted: Posted,
) -> Response {
    let back = posted.typed.get("back").and_then(own_path).unwrap_or("/todos").to_owned();
    match attempt(&app, id, &mut posted).await {
        Ok(None) => see_other(&back),
        Ok(Some(conflict)) => conflict,
        Err(problem) => posted.fail(problem),
    }
}

/// Takes the step; answers the page of a conflict if there is one.
async fn attempt(app: &App, id: TodoId, posted: &mut Posted) -> Result<Option<Response>, Problem> {
    let preconditions = posted.preconditions()?;
    let Wanted { status, note } = read(posted)?;
    let note_text = note.as_ref().map_or("", LogNote::as_str).to_owned();
    let change = TodoChange { status: Some(status), note, ..TodoChange::EMPTY };
    let bearer = &posted.viewer.bearer;
    let moved = app.services.todos.patch(bearer, id, change, preconditions).await;
    let Err(problem) = bearer.checked(moved) else {
        return Ok(None);
    };
    if problem.kind() != ProblemKind::PreconditionFailed {
        return Err(problem);
    }
    let Opened { row: todo, .. } = current(app, &mut posted.viewer, id).await?;
    let mut rows = vec![("Status", labels::status(todo.status), labels::status(status))];
    if !note_text.is_empty() {
        rows.push(("Your note", "", &note_text));
    }
    let is_allowed = todo.status.next().contains(&status);
    let back = format!("/todos/{id}");
    let mine = html! {
        (form::hidden(app, Some(todo.tag())))
        input type="hidden" name="status" value=(status.name());
        input type="hidden" name="note" value=(note_text);
        input type="hidden" name="back" value=(back);
    };
    Ok(Some(conflict::page(
        &posted.viewer,
        &Conflict {
            what: &format!("Todo {id}"),
            path: &back,
            section: Section::Todos,
            rows: &rows,
            action: &format!("/todos/{id}/status"),
            mine: is_allowed.then_some(mine),
        },
    )))
}

fn read(posted: &Posted) -> Result<Wanted, Problem> {
    form::read(&posted.typed, |params| {
        let named = |text: String| one_of(&TodoStatus::ALL, TodoStatus::name, &text);
        let status = params.take("status", named);
        let note = optional(params, "note", |text| LogNote::parse(text));
        let back = params.take("back", |text: String| {
            own_path(&text).map(|_| ()).ok_or_else(|| Invalid::new("must be a path of this server"))
        });
        let Some(status) = status? else {
            return Err(params.error("status", "is required"));
        };
        back?;
        Ok(Wanted { status, note: note? })
    })
}

/// Deletes a todo and leads to the board.
pub(crate) async fn delete(State(app): State<App>, Id(id): Id<TodoId>, posted: Posted) -> Response {
    match try_delete(&app, id, &posted).await {
        Ok(()) => see_other("/todos"),
        Err(problem) => posted.fail(problem),
    }
}

async fn try_delete(app: &App, id: TodoId, posted: &Posted) -> Result<(), Problem> {
    let preconditions = posted.preconditions()?;
    let bearer = &posted.viewer.bearer;
    bearer.checked(app.services.todos.delete(bearer, id, preconditions).await)?;
    Ok(())
}
