//! `GET /todos/{id}/edit` and `POST /todos/{id}`: changing a todo.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;
use roots_domain::model::Patch;
use roots_domain::model::id::TodoId;
use roots_domain::model::todo::Todo;
use roots_domain::service::access::Caller;
use roots_domain::service::todos::TodoChange;
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::request::path::Id;
use roots_http_core::request::query::{NoParams, Query};

use super::fields::{self, Filled, NAMES, ReadTodo};
use crate::agents::Agents;
use crate::answer::{html, see_other};
use crate::app::App;
use crate::form::{self, Faults, Posted, again};
use crate::layout::{self, Frame, Section};
use crate::once::done_once;
use crate::pages::conflict::{self, Conflict};
use crate::rows::{self, Opened};
use crate::viewer::Viewer;

/// The form, with the todo as it is.
pub(crate) async fn form(
    State(app): State<App>,
    mut viewer: Viewer,
    Id(id): Id<TodoId>,
    Query(NoParams): Query<NoParams>,
) -> Result<Response, Problem> {
    let agents = Agents::read(&app, &mut viewer).await?;
    let Opened { row: todo, is_legible } = current(&app, &mut viewer, id).await?;
    if !is_legible {
        let detail = "A text of this todo can't be read, so it can't be changed here. It can be \
                      overwritten through the API, or deleted.";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    let filled = Filled::of(&todo, viewer.look.zone());
    let tag = form::hidden(&app, &viewer, Some(todo.tag()));
    Ok(page(&viewer, &agents, id, &filled, &tag, &Faults::default()))
}

/// Changes what differs from the todo that the form showed, and leads to it. If it has changed
/// meanwhile, both states are shown.
pub(crate) async fn save(
    State(app): State<App>,
    Id(id): Id<TodoId>,
    mut posted: Posted,
) -> Response {
    let problem = match attempt(&app, id, &mut posted).await {
        Ok(None) => return see_other(&format!("/todos/{id}")),
        Ok(Some(conflict)) => return conflict,
        Err(problem) => problem,
    };
    let status = problem.status();
    let faults = match Faults::of(problem, &NAMES) {
        Ok(faults) => faults,
        Err(problem) => return posted.fail(problem),
    };
    let agents = match Agents::read(&app, &mut posted.viewer).await {
        Ok(agents) => agents,
        Err(problem) => return posted.fail(problem),
    };
    let filled = Filled::typed(&posted.typed);
    let tag = form::hidden(&app, &posted.viewer, posted.tag());
    again(status, page(&posted.viewer, &agents, id, &filled, &tag, &faults))
}

/// Saves; answers the page of a conflict if there is one.
async fn attempt(app: &App, id: TodoId, posted: &mut Posted) -> Result<Option<Response>, Problem> {
    let preconditions = posted.preconditions_of_row()?;
    let read = fields::read(&posted.typed)?;
    let mine = Filled::typed(&posted.typed);
    let Opened { row: todo, .. } = current(app, &mut posted.viewer, id).await?;
    let theirs = Filled::of(&todo, &mine.zone());
    let change = change(&theirs, &mine, read);
    if change.is_empty() {
        return Ok(None);
    }
    let bearer = &posted.viewer.bearer;
    let todos = &app.services.todos;
    let save = || todos.patch(bearer, id, change.clone(), preconditions.clone());
    match done_once(app, bearer, save).await {
        Ok(_) => Ok(None),
        // Only the write tells: a form that is sent twice is done once, and its state is gone then.
        Err(problem) if problem.kind() == ProblemKind::PreconditionFailed => {
            let Opened { row: todo, .. } = current(app, &mut posted.viewer, id).await?;
            let theirs = Filled::of(&todo, &mine.zone());
            Ok(Some(show_conflict(app, &posted.viewer, &todo, &theirs, &mine)))
        }
        Err(problem) => Err(problem),
    }
}

/// The fields that were changed.
fn change(theirs: &Filled, mine: &Filled, read: ReadTodo) -> TodoChange {
    let ReadTodo { title, description, priority, due_at, .. } = read;
    let has_changed = |name: &str| !theirs.has_same(mine, name);
    let set = |name, value: Option<_>| match value {
        _ if !has_changed(name) => Patch::Keep,
        None => Patch::Clear,
        Some(value) => Patch::Set(value),
    };
    let due_at = match due_at {
        _ if !has_changed("due_at") => Patch::Keep,
        None => Patch::Clear,
        Some(at) => Patch::Set(at),
    };
    TodoChange {
        title: has_changed("title").then_some(title),
        description: set("description", description),
        priority: has_changed("priority").then_some(priority),
        due_at,
        ..TodoChange::EMPTY
    }
}

fn show_conflict(
    app: &App,
    viewer: &Viewer,
    todo: &Todo,
    theirs: &Filled,
    mine: &Filled,
) -> Response {
    let rows = theirs.differences(mine);
    conflict::page(
        viewer,
        &Conflict {
            what: &format!("Todo {}", todo.id),
            path: &format!("/todos/{}", todo.id),
            section: Section::Todos,
            rows: &rows,
            action: &format!("/todos/{}", todo.id),
            now: html! {},
            mine: Some((
                "Use mine",
                html! { (form::hidden(app, viewer, Some(todo.tag()))) (mine.hidden()) },
            )),
        },
    )
}

/// The todo as it is now.
pub(super) async fn current(
    app: &App,
    viewer: &mut Viewer,
    id: TodoId,
) -> Result<Opened<Todo>, Problem> {
    let todos = &app.services.todos;
    let find = |caller: Arc<Caller>| async move { todos.find_one(&caller, id).await };
    let (todo, _room) = rows::one(app, viewer, "todo", find).await?;
    Ok(todo)
}

fn page(
    viewer: &Viewer,
    agents: &Agents,
    id: TodoId,
    filled: &Filled,
    tag: &maud::Markup,
    faults: &Faults,
) -> Response {
    html(layout::page(
        viewer,
        Frame {
            title: &format!("Edit todo {id}"),
            section: Section::Todos,
            tools: html! {},
            next_change: None,
            content: html! {
                form.stack.card method="post" action={ "/todos/" (id) } {
                    (faults.above())
                    (tag)
                    (filled.controls(faults, None))
                    div.buttons {
                        button.primary { "Save" }
                        a.button href={ "/todos/" (id) } { "Cancel" }
                        (agents.cost())
                    }
                }
            },
        },
    ))
}
