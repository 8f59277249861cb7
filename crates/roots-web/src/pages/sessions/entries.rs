//! What happened in a session, in one order: its todos and its activities.

use std::sync::Arc;

use maud::{Markup, html};
use roots_domain::model::activity::Activity;
use roots_domain::model::id::{ActivityId, SessionId, TodoId};
use roots_domain::model::page::PageRequest;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{ListedTodo, TodoStatus};
use roots_domain::model::todo_list::TodoRows;
use roots_domain::service::access::{ActorScope, Caller};
use roots_domain::service::activities::ActivitySelection;
use roots_domain::service::todos::TodoFilter;
use roots_http_core::problem::Problem;

use crate::app::App;
use crate::look::Look;
use crate::rows::{self, Opened};
use crate::text;
use crate::time;
use crate::viewer::Viewer;

/// Rows of each kind that a page of a session shows.
const ROWS: u32 = 100;
/// How much of an activity shows, in characters.
const SHOWN_CHARS: usize = rows::KEPT_CHARS - 1;

/// Something that happened in a session.
enum What {
    Todo(TodoId, String, TodoStatus),
    Activity { id: ActivityId, kind: String, text: String, is_cut: bool },
}

/// What happened, and when.
pub(super) struct Entry {
    at: Timestamp,
    what: What,
}

impl Entry {
    fn of_todo(Opened { row: ListedTodo { todo, .. }, .. }: Opened<ListedTodo>) -> Self {
        Self { at: todo.created_at, what: What::Todo(todo.id, todo.content.title, todo.status) }
    }

    fn of_activity(Opened { row, .. }: Opened<Activity>) -> Self {
        let end = row.description.char_indices().nth(SHOWN_CHARS).map(|(end, _)| end);
        let text = end.map_or(row.description.as_str(), |end| &row.description[..end]).to_owned();
        let kind = row.activity_type.into_string();
        Self {
            at: row.logged_at,
            what: What::Activity { id: row.id, kind, text, is_cut: end.is_some() },
        }
    }

    /// A row of the page.
    pub(super) fn show(&self, look: &Look) -> Markup {
        html! {
            li data-row="" {
                span.t { (time::clock(look, self.at)) }
                span.grow {
                    @match &self.what {
                        What::Todo(id, title, status) => {
                            "Todo " a href={ "/todos/" (id) } { (text::line(title)) }
                            " " span.tag { (status.name().replace('_', " ")) }
                        }
                        What::Activity { id, kind, text, is_cut } => {
                            span.tag { (kind) }
                            (text::markdown(text))
                            @if *is_cut { a href={ "/activity/" (id) } { "All of activity " (id) } }
                        }
                    }
                }
                span.t { (time::date(look, self.at)) }
            }
        }
    }
}

/// What happened in a session, earliest first, and how many activities are left out before that,
/// which has `offset` of the latest left out.
pub(super) async fn of_session(
    app: &App,
    viewer: &mut Viewer,
    session: SessionId,
    offset: i64,
) -> Result<(Vec<Entry>, i64), Problem> {
    let scope = if viewer.is_owner() { ActorScope::All } else { ActorScope::Own };
    let rows = TodoRows::ByPriority { status: None, priority: None, session: Some(session) };
    let filter = TodoFilter { scope, rows };
    let request = PageRequest::skipping(0, ROWS);
    let todos = &app.services.todos;
    let find = |caller: Arc<Caller>| async move { todos.find(&caller, filter, request).await };
    let mut entries = if offset == 0 {
        rows::page(app, viewer, find, Entry::of_todo).await?.items
    } else {
        Vec::new()
    };
    let selection =
        ActivitySelection { scope, session: Some(session), ..ActivitySelection::default() };
    let request = PageRequest::skipping(offset, ROWS);
    let (activities, selection) = (&app.services.activities, &selection);
    let find = |caller: Arc<Caller>| async move {
        activities.find(&caller, selection.clone(), request).await
    };
    let found = rows::page(app, viewer, find, Entry::of_activity).await?;
    let shown = i64::try_from(found.items.len()).unwrap_or_default();
    entries.extend(found.items);
    entries.sort_by_key(|entry| entry.at);
    Ok((entries, (found.total - offset - shown).max(0)))
}

/// The activities of one page.
pub(super) const fn rows_of_page() -> i64 {
    ROWS as i64
}
