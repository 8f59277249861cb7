//! `GET /todos`: the board, a column for each status.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::page::{Page, PageRequest};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::TodoStatus;
use roots_domain::service::access::Caller;
use roots_http_core::problem::Problem;
use roots_http_core::request::query::Query;

use super::card::Card;
use super::filter::BoardQuery;
use super::labels;
use crate::agents::Agents;
use crate::answer::html;
use crate::app::App;
use crate::chart::number;
use crate::layout::{self, Frame, Section};
use crate::rows;
use crate::viewer::Viewer;

/// Cards of a column of the board.
const COLUMN_CARDS: u32 = 50;
/// Cards of a page of one column alone.
const PAGE_CARDS: u32 = 100;

/// A column: its status, and a page of its cards.
type Column = (TodoStatus, Page<Card>);

/// The board, or one of its columns alone.
pub(crate) async fn show(
    State(app): State<App>,
    mut viewer: Viewer,
    Query(query): Query<BoardQuery>,
) -> Result<Response, Problem> {
    let mut agents = Agents::read(&app, &mut viewer).await?;
    agents.choose(&app, &mut viewer, query.agent).await?;
    let (columns, overdue) = if query.is_overdue {
        let (columns, overdue) = overdue(&app, &mut viewer, &query).await?;
        (columns, Some(overdue))
    } else {
        (by_status(&app, &mut viewer, &query).await?, None)
    };
    let shown = columns.iter().flat_map(|(_, page)| &page.items).map(|card| card.actor);
    agents.learn(&app, &mut viewer, shown.collect()).await?;
    let next_change = match &overdue {
        Some(page) => page.next_overdue,
        None => next_due(&columns, viewer.look.now),
    };
    let board = Board { app: &app, viewer: &viewer, agents: &agents, query: &query };
    let page = Frame {
        title: "Todos",
        section: Section::Todos,
        tools: html! {
            (query.controls(&agents, viewer.is_owner()))
            a.button.primary href="/todos/new" data-new="" { "New todo" }
        },
        next_change,
        content: html! {
            (agents.cost_when_out())
            div.board #board data-live role="region" aria-label="Board" tabindex="0"
                data-one[query.status.is_some()] {
                @for column in &columns { (board.column(column)) }
            }
            @if let Some(overdue) = overdue { (overdue.steps(&query)) }
        },
    };
    Ok(html(layout::page(&viewer, page)))
}

/// A page of each column that is asked for.
async fn by_status(
    app: &App,
    viewer: &mut Viewer,
    query: &BoardQuery,
) -> Result<Vec<Column>, Problem> {
    let statuses = query.status.map_or(TodoStatus::ALL.to_vec(), |status| vec![status]);
    let limit = if query.status.is_some() { PAGE_CARDS } else { COLUMN_CARDS };
    let request = PageRequest::skipping(query.offset, limit);
    let mut columns = Vec::new();
    for status in statuses {
        let filter = query.column(status, viewer.is_owner());
        let todos = &app.services.todos;
        let find = |caller: Arc<Caller>| async move { todos.find(&caller, filter, request).await };
        columns.push((status, rows::page(app, viewer, find, Card::of).await?));
    }
    Ok(columns)
}

/// A page of all overdue todos, the earliest due first. Its cards stand in the columns of the
/// board, and of one status or priority only those of the page: no index has them alone.
struct OverduePage {
    /// How many were read before it, and with it.
    before: i64,
    end: i64,
    total: i64,
    /// When another one becomes overdue.
    next_overdue: Option<Timestamp>,
}

impl OverduePage {
    /// Which of all overdue todos these are, and the ways to the pages before and after.
    fn steps(&self, query: &BoardQuery) -> Markup {
        let Self { before, end, total, .. } = *self;
        let at = |offset| BoardQuery { offset, ..query.clone() }.path();
        let rows = i64::from(PAGE_CARDS);
        html! {
            @if before > 0 || end < total {
                p.buttons {
                    @if before > 0 {
                        a.button data-earlier="" href=(at((before - rows).max(0))) { "Due earlier" }
                    }
                    @if end < total { a.button data-later="" href=(at(end)) { "Due later" } }
                    span.muted {
                        "Overdue " (number(before + 1)) " to " (number(end)) " of " (number(total))
                    }
                }
            }
        }
    }
}

/// A page of the overdue cards, in their columns.
async fn overdue(
    app: &App,
    viewer: &mut Viewer,
    query: &BoardQuery,
) -> Result<(Vec<Column>, OverduePage), Problem> {
    let filter = query.overdue(viewer.is_owner());
    let request = PageRequest::skipping(query.offset, PAGE_CARDS);
    let todos = &app.services.todos;
    let find = |caller: Arc<Caller>| async move { todos.find(&caller, filter, request).await };
    let found = rows::page(app, viewer, find, Card::of).await?;
    let (total, mut rest) = (found.total, found.items);
    let read = i64::try_from(rest.len()).unwrap_or_default();
    let next = |caller: Arc<Caller>| async move { todos.next_overdue(&caller, filter.scope).await };
    let next_overdue = viewer.bearer.read(next).await?;
    let page = OverduePage { before: query.offset, end: query.offset + read, total, next_overdue };
    rest.retain(|card| query.priority.is_none_or(|priority| priority == card.priority));
    let mut columns = Vec::new();
    for status in [TodoStatus::Open, TodoStatus::InProgress] {
        if query.status.is_some_and(|asked| asked != status) {
            continue;
        }
        let items: Vec<_> = rest.extract_if(.., |card| card.status == status).collect();
        let total = i64::try_from(items.len()).unwrap_or_default();
        columns.push((status, Page { items, total, request, next: None }));
    }
    Ok((columns, page))
}

/// When the next card becomes overdue.
fn next_due(columns: &[Column], now: Timestamp) -> Option<Timestamp> {
    let cards = columns.iter().flat_map(|(_, page)| &page.items);
    now.next_of(cards.filter_map(|card| card.status.overdue_from(card.due_at)))
}

struct Board<'a> {
    app: &'a App,
    viewer: &'a Viewer,
    agents: &'a Agents,
    query: &'a BoardQuery,
}

impl Board<'_> {
    fn column(&self, (status, page): &Column) -> Markup {
        let Self { app, viewer, agents, query } = self;
        let back = query.path();
        html! {
            section.col id={ "column-" (status.name()) } data-column=(status.name())
                aria-labelledby={ "title-" (status.name()) } {
                header {
                    h2 id={ "title-" (status.name()) } { (labels::status(*status)) }
                    span.muted { (number(page.total)) }
                }
                @for card in &page.items { (card.show(app, viewer, agents, &back)) }
                @if page.items.is_empty() { p.muted.empty { (nothing(*status)) } }
                (self.more(*status, page))
            }
        }
    }

    /// The link to the rest of a column.
    fn more(&self, status: TodoStatus, page: &Page<Card>) -> Markup {
        let shown = i64::try_from(page.items.len()).unwrap_or_default();
        let begin = page.request.offset();
        let end = begin + shown;
        let is_alone = self.query.status.is_some();
        let at = |status, offset| BoardQuery { status, offset, ..self.query.clone() }.path();
        let next = at(Some(status), if is_alone { end } else { 0 });
        let before = at(Some(status), (begin - i64::from(PAGE_CARDS)).max(0));
        // The pages of overdue todos go through all columns.
        let is_paged = !self.query.is_overdue;
        html! {
            @if is_paged && begin > 0 {
                p { a.earlier data-earlier="" href=(before) { "The cards before" } }
            }
            @if is_paged && end < page.total {
                p {
                    a.earlier data-later=[is_alone.then_some("")] href=(next) {
                        (number(page.total - end)) " more"
                    }
                }
            }
            @if is_alone { p { a.earlier href=(at(None, 0)) { "The whole board" } } }
        }
    }
}

const fn nothing(status: TodoStatus) -> &'static str {
    match status {
        TodoStatus::Open => "Nothing is open.",
        TodoStatus::InProgress => "No todo is in progress.",
        TodoStatus::Done => "Nothing is done yet.",
        TodoStatus::Cancelled => "Nothing was cancelled.",
    }
}
