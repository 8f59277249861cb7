//! `GET /todos/{id}`: one todo, with its history.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::claim::Claim;
use roots_domain::model::id::{LogId, TodoId};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{StatusChange, Todo};
use roots_domain::service::access::Caller;
use roots_domain::service::todos::LogChunk;
use roots_domain::service::{ReadError, SealedRow};
use roots_http_core::middleware::list_permits::FoundRows;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::path::Id;
use roots_http_core::request::query::{FromParams, Params, Query};

use super::card::step_form;
use super::labels;
use crate::agents::Agents;
use crate::answer::html;
use crate::app::App;
use crate::form;
use crate::layout::{self, Frame, Section};
use crate::query::optional;
use crate::rows::{self, Opened};
use crate::text;
use crate::time;
use crate::viewer::Viewer;

/// Where the history begins.
pub(crate) struct ItemQuery {
    after: Option<LogId>,
}

impl FromParams for ItemQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let after = optional(params, "after", |text| {
            let form = || roots_domain::model::Invalid::new("must be the id of a step");
            LogId::parse(text).ok_or_else(form)
        });
        Ok(Self { after: after? })
    }
}

/// A todo with steps of its history. One read has both: the page holds the texts of both.
struct FoundItem(Todo<Sealed>, LogChunk);

/// It, if there is such a todo.
struct Found(Option<FoundItem>);

impl FoundRows for Found {
    fn rows(&self) -> usize {
        self.0.as_ref().map_or(0, |FoundItem(_, log)| 1 + log.steps.len())
    }

    fn sealed_bytes(&self) -> usize {
        let of_item = |FoundItem(todo, log): &FoundItem| {
            todo.sealed_bytes() + log.steps.iter().map(SealedRow::sealed_bytes).sum::<usize>()
        };
        self.0.as_ref().map_or(0, of_item)
    }
}

/// The todo.
pub(crate) async fn show(
    State(app): State<App>,
    mut viewer: Viewer,
    Id(id): Id<TodoId>,
    Query(query): Query<ItemQuery>,
) -> Result<Response, Problem> {
    let mut agents = Agents::read(&app, &mut viewer).await?;
    let todos = &app.services.todos;
    let until = |caller: Arc<Caller>| async move { todos.claim_until(&caller, id).await };
    let until = viewer.bearer.read(until).await?;
    // The rows come last: a request that holds their room waits for nothing.
    let (Found(found), room) =
        rows::read(&mut viewer, |caller| find(&app, caller, id, query.after)).await?;
    let FoundItem(todo, log) = found.ok_or_else(|| Problem::not_found("todo"))?;
    let todo = rows::open(&app, &viewer, vec![todo]).await?.pop();
    let todo = todo.ok_or_else(|| Problem::internal("a row was lost"))?;
    let steps = rows::open(&app, &viewer, log.steps).await?;
    agents.learn(&app, &mut viewer, vec![todo.row.actor]).await?;
    let item = Item { app: &app, viewer: &viewer, agents: &agents, todo: &todo, until };
    let row = &todo.row;
    let next_change = viewer.look.now.next_of(row.overdue_from().into_iter().chain(until));
    let page = Frame {
        title: &format!("Todo {id}"),
        section: Section::Todos,
        tools: html! {
            @if todo.is_legible { a.button href={ "/todos/" (id) "/edit" } { "Edit" } }
        },
        next_change,
        content: html! {
            (agents.cost_when_out())
            div.grid {
                section.card.c8 #todo data-live="" { (item.content()) }
                section.card.c4 #facts data-live="" { (item.facts()) }
                section.card.c8 #history data-live="" aria-labelledby="history-title" {
                    header { h2 id="history-title" { "History" } }
                    (item.history(&steps, log.next, query.after))
                }
                section.card.c4 #move data-live="" aria-labelledby="move-title" {
                    header { h2 id="move-title" { "Move" } }
                    (step_form((&app, &viewer), (id, row.tag(), row.status), &format!("/todos/{id}"), &agents, None))
                    (item.deletion())
                }
            }
        },
    };
    let answer = html(layout::page(&viewer, page));
    Ok(room.hold(answer).await)
}

/// The todo, and the steps after one.
async fn find(
    app: &App,
    caller: Arc<Caller>,
    id: TodoId,
    after: Option<LogId>,
) -> Result<Found, ReadError> {
    let todos = &app.services.todos;
    let log = todos.log_after(&caller, id, after).await?;
    Ok(Found(todos.find_one(&caller, id).await?.zip(log).map(|(todo, log)| FoundItem(todo, log))))
}

struct Item<'a> {
    app: &'a App,
    viewer: &'a Viewer,
    agents: &'a Agents,
    todo: &'a Opened<Todo>,
    /// Until when its claim lives.
    until: Option<Timestamp>,
}

impl Item<'_> {
    fn content(&self) -> Markup {
        let content = &self.todo.row.content;
        html! {
            h2.title { (text::line(&content.title)) }
            @match content.description.as_deref().filter(|text| !text.is_empty()) {
                Some(description) => { (text::markdown(description)) }
                None => { p.muted { "It has no description." } }
            }
        }
    }

    fn facts(&self) -> Markup {
        let (todo, look) = (&self.todo.row, &self.viewer.look);
        html! {
            dl.facts {
                dt { "Status" } dd { span.tag { (labels::status(todo.status)) } }
                dt { "Priority" } dd { (labels::priority_name(todo.content.priority)) }
                dt { "Agent" }
                dd { a href={ "/agents/" (todo.actor) } { (self.agents.name(todo.actor)) } }
                @if let Some(due_at) = todo.content.due_at {
                    dt { "Due" }
                    dd { (labels::due(look, due_at, todo.status)) " " (time::full(look, due_at)) }
                }
                @if let Some(session) = todo.content.session {
                    dt { "Session" } dd { a href={ "/sessions/" (session) } { (session) } }
                }
                @if let Some(claim) = todo.claims.standing { (self.claim(claim)) }
                dt { "Made" } dd { (time::when(look, todo.created_at)) }
                dt { "Changed" } dd { (time::when(look, todo.updated_at)) }
            }
        }
    }

    /// The session that holds the todo, since when and until when.
    fn claim(&self, Claim { session, claimed_at, .. }: Claim) -> Markup {
        let look = &self.viewer.look;
        html! {
            dt { "Claimed" }
            dd {
                (time::when(look, claimed_at))
                @if let Some(session) = session {
                    " by " a href={ "/sessions/" (session) } { "session " (session) }
                }
            }
            @if let Some(until) = self.until {
                dt { "Claim ends" }
                dd {
                    (time::when(look, until))
                    @if until <= look.now { " " span.tag.warn { "lapsed" } }
                    @else { " without another write" }
                }
            }
        }
    }

    fn history(
        &self,
        steps: &[Opened<StatusChange>],
        next: Option<LogId>,
        after: Option<LogId>,
    ) -> Markup {
        let look = &self.viewer.look;
        let todo = &self.todo.row;
        html! {
            ol.rows {
                @if after.is_none() {
                    li { span.grow { "Made" } span.t { (time::when(look, todo.created_at)) } }
                }
                @for Opened { row: change, .. } in steps {
                    li {
                        span.grow {
                            (labels::status(change.old_status)) " to "
                            strong { (labels::status(change.new_status)) }
                            @if let Some(note) = &change.note { (text::as_written(note)) }
                        }
                        span.t { (time::when(look, change.logged_at)) }
                    }
                }
            }
            @if let Some(next) = next {
                p { a href={ "/todos/" (todo.id) "?after=" (next) } { "Later steps" } }
            }
        }
    }

    fn deletion(&self) -> Markup {
        let todo = &self.todo.row;
        html! {
            details.danger {
                summary { "Delete" }
                form.stack method="post" action={ "/todos/" (todo.id) "/delete" } {
                    (form::hidden(self.app, self.viewer, Some(todo.tag())))
                    p { "This deletes the todo with its history. It can't be undone." }
                    div.buttons { button.bad { "Delete todo " (todo.id) } (self.agents.cost()) }
                }
            }
        }
    }
}
