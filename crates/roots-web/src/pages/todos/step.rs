//! `POST /todos/{id}/status` and `POST /todos/{id}/delete`.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::Invalid;
use roots_domain::model::id::TodoId;
use roots_domain::model::text::LogNote;
use roots_domain::model::todo::{Todo, TodoStatus};
use roots_domain::service::todos::TodoChange;
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::request::fields::one_of;
use roots_http_core::request::path::Id;

use super::card::step_form;
use super::edit::current;
use super::labels;
use crate::agents::Agents;
use crate::answer::{html, see_other};
use crate::app::App;
use crate::form::{self, Faults, Posted, again};
use crate::layout::{self, Frame, Section};
use crate::look::Look;
use crate::once::done_once;
use crate::pages::conflict::{self, Conflict};
use crate::query::{optional, own_path};
use crate::rows::Opened;
use crate::text;
use crate::time;

/// A step to take.
struct Wanted {
    status: TodoStatus,
    note: Option<LogNote>,
}

/// Moves a todo along an allowed step, with an optional note, and leads back. A fault is shown at
/// its field, with what was typed.
pub(crate) async fn step(
    State(app): State<App>,
    Id(id): Id<TodoId>,
    mut posted: Posted,
) -> Response {
    let back = posted.typed.get("back").and_then(own_path).unwrap_or("/todos").to_owned();
    let problem = match attempt(&app, id, &mut posted).await {
        Ok(None) => return see_other(&back),
        Ok(Some(conflict)) => return conflict,
        Err(problem) => problem,
    };
    let status = problem.status();
    let shown = match Faults::of(problem, &["note"]) {
        Ok(faults) => show_again(&app, id, &back, &mut posted, &faults).await,
        Err(problem) => Err(problem),
    };
    match shown {
        Ok(page) => again(status, html(page)),
        Err(problem) => posted.fail(problem),
    }
}

/// The form again, for the todo as it is now.
async fn show_again(
    app: &App,
    id: TodoId,
    back: &str,
    posted: &mut Posted,
    faults: &Faults,
) -> Result<Markup, Problem> {
    let agents = Agents::read(app, &mut posted.viewer).await?;
    let Opened { row: todo, .. } = current(app, &mut posted.viewer, id).await?;
    let note = posted.typed.get("note").unwrap_or_default();
    let shown = (id, todo.tag(), todo.status);
    Ok(layout::page(
        &posted.viewer,
        Frame {
            title: &format!("Move todo {id}"),
            section: Section::Todos,
            tools: html! {},
            next_change: None,
            content: html! {
                (faults.above())
                section.card aria-labelledby="move-title" {
                    header { h2 #move-title { (text::line(&todo.content.title)) } }
                    p { "It is " strong { (labels::status(todo.status)) } "." }
                    (step_form((app, &posted.viewer), shown, back, &agents, Some((note, faults))))
                }
                p { a href=(back) { "Leave it" } }
            },
        },
    ))
}

/// Takes the step; answers the page of a conflict if there is one.
async fn attempt(app: &App, id: TodoId, posted: &mut Posted) -> Result<Option<Response>, Problem> {
    let preconditions = posted.preconditions_of_row()?;
    let Wanted { status, note } = read(posted)?;
    let note_text = note.as_ref().map_or("", LogNote::as_str).to_owned();
    let change = TodoChange { status: Some(status), note, ..TodoChange::EMPTY };
    let bearer = &posted.viewer.bearer;
    let todos = &app.services.todos;
    let take = || todos.patch(bearer, id, change.clone(), preconditions.clone());
    let Err(problem) = done_once(app, bearer, take).await else {
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
        (form::hidden(app, &posted.viewer, Some(todo.tag())))
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
            now: now(&posted.viewer.look, &todo),
            action: &format!("/todos/{id}/status"),
            mine: is_allowed.then_some(("Use mine", mine)),
        },
    )))
}

/// What a todo says now, beside its status.
fn now(look: &Look, Todo { content, updated_at, .. }: &Todo) -> Markup {
    let due = content.due_at.map(|at| time::full(look, at));
    conflict::now(&[
        ("Title", &content.title),
        ("Description", content.description.as_deref().unwrap_or_default()),
        ("Priority", labels::priority_name(content.priority)),
        ("Due", due.as_deref().unwrap_or_default()),
        ("Changed", &time::full(look, *updated_at)),
    ])
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
pub(crate) async fn delete(
    State(app): State<App>,
    Id(id): Id<TodoId>,
    mut posted: Posted,
) -> Response {
    match try_delete(&app, id, &mut posted).await {
        Ok(None) => see_other("/todos"),
        Ok(Some(conflict)) => conflict,
        Err(problem) => posted.fail(problem),
    }
}

/// Deletes it; answers the page of a conflict if it has changed meanwhile.
async fn try_delete(
    app: &App,
    id: TodoId,
    posted: &mut Posted,
) -> Result<Option<Response>, Problem> {
    let preconditions = posted.preconditions_of_row()?;
    let bearer = &posted.viewer.bearer;
    let delete = || app.services.todos.delete(bearer, id, preconditions.clone());
    let Err(problem) = done_once(app, bearer, delete).await else {
        return Ok(None);
    };
    if problem.kind() != ProblemKind::PreconditionFailed {
        return Err(problem);
    }
    let Opened { row: todo, .. } = current(app, &mut posted.viewer, id).await?;
    Ok(Some(conflict::page(
        &posted.viewer,
        &Conflict {
            what: &format!("Todo {id}"),
            path: &format!("/todos/{id}"),
            section: Section::Todos,
            rows: &[("Status", labels::status(todo.status), "Deleted, with its history")],
            now: now(&posted.viewer.look, &todo),
            action: &format!("/todos/{id}/delete"),
            mine: Some(("Delete anyway", form::hidden(app, &posted.viewer, Some(todo.tag())))),
        },
    )))
}
