//! `GET /todos/new` and `POST /todos`: a new todo.

use axum::extract::State;
use axum::response::Response;
use maud::html;
use roots_domain::model::id::ActorId;
use roots_domain::model::todo::TodoContent;
use roots_domain::service::todos::TodoDraft;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params, Query};

use super::fields::{self, Filled, NAMES, ReadTodo};
use crate::agents::Agents;
use crate::answer::{html, see_other};
use crate::app::App;
use crate::form::{self, Faults, Posted, again};
use crate::layout::{self, Frame, Section};
use crate::once::done_once;
use crate::query;
use crate::viewer::Viewer;

/// For whom a todo is to be made.
pub(crate) struct NewQuery {
    agent: Option<ActorId>,
}

impl FromParams for NewQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        Ok(Self { agent: query::agent(params)? })
    }
}

/// The empty form.
pub(crate) async fn form(
    State(app): State<App>,
    mut viewer: Viewer,
    Query(NewQuery { agent }): Query<NewQuery>,
) -> Result<Response, Problem> {
    let mut agents = Agents::read(&app, &mut viewer).await?;
    agents.choose(&app, &mut viewer, agent).await?;
    let filled = Filled::empty(&viewer.look, agent);
    Ok(page(&app, &viewer, &agents, &filled, &Faults::default()))
}

/// Creates the todo and leads to the board. Faults are shown at their fields.
pub(crate) async fn create(State(app): State<App>, mut posted: Posted) -> Response {
    let problem = match attempt(&app, &posted).await {
        Ok(()) => return see_other("/todos"),
        Err(problem) => problem,
    };
    let status = problem.status();
    let faults = match Faults::of(problem, &NAMES) {
        Ok(faults) => faults,
        Err(problem) => return posted.fail(problem),
    };
    let filled = Filled::typed(&posted.typed);
    match named(&app, &mut posted.viewer, &filled).await {
        Ok(agents) => again(status, page(&app, &posted.viewer, &agents, &filled, &faults)),
        Err(problem) => posted.fail(problem),
    }
}

async fn attempt(app: &App, posted: &Posted) -> Result<(), Problem> {
    let preconditions = posted.preconditions()?;
    let ReadTodo { title, description, actor, priority, due_at } = fields::read(&posted.typed)?;
    let content = TodoContent { title, description, session: None, priority, due_at };
    let bearer = &posted.viewer.bearer;
    let draft = TodoDraft { actor, content };
    let todos = &app.services.todos;
    let create = || todos.create(bearer, draft.clone(), preconditions.clone());
    done_once(app, bearer, create).await?;
    Ok(())
}

/// The agents, among them the one that was chosen.
async fn named(app: &App, viewer: &mut Viewer, filled: &Filled) -> Result<Agents, Problem> {
    let mut agents = Agents::read(app, viewer).await?;
    agents.learn(app, viewer, filled.agent().into_iter().collect()).await?;
    Ok(agents)
}

fn page(app: &App, viewer: &Viewer, agents: &Agents, filled: &Filled, faults: &Faults) -> Response {
    let offered = viewer.is_owner().then_some(agents);
    html(layout::page(
        viewer,
        Frame {
            title: "New todo",
            section: Section::Todos,
            tools: html! {},
            next_change: None,
            content: html! {
                form.stack.card method="post" action="/todos" {
                    (faults.above())
                    (form::hidden(app, viewer, None))
                    (filled.controls(faults, offered))
                    div.buttons {
                        button.primary { "Make the todo" }
                        a.button href="/todos" { "Cancel" }
                        (agents.cost())
                    }
                }
            },
        },
    ))
}
