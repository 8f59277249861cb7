//! What happened in a session, in one order: its todos and its activities.

use std::sync::Arc;

use maud::{Markup, html};
use roots_domain::model::Invalid;
use roots_domain::model::activity::Activity;
use roots_domain::model::id::{ActivityId, SessionId, TodoId};
use roots_domain::model::page::{PageRequest, SortKey, Start};
use roots_domain::model::search::SearchKind;
use roots_domain::model::session_entries::SessionEntries;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{ListedTodo, TodoStatus};
use roots_domain::model::todo_list::TodoRows;
use roots_domain::service::access::{ActorScope, Caller};
use roots_domain::service::activities::ActivitySelection;
use roots_domain::service::todos::TodoFilter;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params};

use crate::app::App;
use crate::look::Look;
use crate::query::optional;
use crate::rows::{self, Opened};
use crate::text;
use crate::time;
use crate::viewer::Viewer;

/// Entries that a page of a session shows.
const ROWS: u32 = 100;
/// How much of an activity shows, in characters.
const SHOWN_CHARS: usize = rows::KEPT_CHARS - 1;

/// The query of the page: the position that its entries come before; none for the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Before(pub(super) Option<SortKey>);

impl FromParams for Before {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        optional(params, "before", |text| {
            let number = |text: &str| {
                let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                if is_plain { text.parse::<i64>().ok() } else { None }
            };
            let numbers: Option<Vec<_>> = text.split('-').map(number).collect();
            let position = numbers.and_then(|numbers| numbers.try_into().ok()).map(SortKey);
            position.ok_or_else(|| Invalid::new("must be as a link of this page has it"))
        })
        .map(Self)
    }
}

impl Before {
    /// The link to the page with this query.
    pub(super) fn path(self, session: SessionId) -> String {
        let page = format!("/sessions/{session}");
        match self.0 {
            None => page,
            Some(SortKey([at, kind, id])) => format!("{page}?before={at}-{kind}-{id}"),
        }
    }
}

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

    /// Where it stands among the entries.
    fn position(&self) -> SortKey {
        match &self.what {
            What::Todo(id, ..) => SearchKind::Todo.position(self.at, id.0),
            What::Activity { id, .. } => SearchKind::Activity.position(self.at, id.0),
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

/// A page of what happened in a session. A todo stands where it was made.
pub(super) async fn of_session(
    app: &App,
    viewer: &mut Viewer,
    session: SessionId,
    before: Before,
) -> Result<SessionEntries<Entry>, Problem> {
    let scope = if viewer.is_owner() { ActorScope::All } else { ActorScope::Own };
    let request = |kind: SearchKind| {
        let start = before.0.map(|position| Start::After(kind.after(position)));
        PageRequest { limit: ROWS, start: start.unwrap_or(Start::Offset(0)) }
    };
    let filter = TodoFilter { scope, rows: TodoRows::OfSession(session) };
    let (services, of_todos) = (&app.services, request(SearchKind::Todo));
    let find =
        |caller: Arc<Caller>| async move { services.todos.find(&caller, filter, of_todos).await };
    let todos = rows::page(app, viewer, find, Entry::of_todo).await?;
    let selection =
        ActivitySelection { scope, session: Some(session), ..ActivitySelection::default() };
    let (selection, of_activities) = (&selection, request(SearchKind::Activity));
    let find = |caller: Arc<Caller>| async move {
        services.activities.find(&caller, selection.clone(), of_activities).await
    };
    let activities = rows::page(app, viewer, find, Entry::of_activity).await?;
    Ok(SessionEntries::merged([todos, activities], Entry::position))
}

#[cfg(test)]
mod tests {
    use roots_http_core::request::query::read;

    use super::*;

    fn query(text: &str) -> Result<Before, Problem> {
        read(vec![("before".to_owned(), text.to_owned())], Before::from_params)
    }

    #[test]
    fn the_link_to_earlier_entries_is_read_again_and_anything_else_is_refused() {
        let before = Before(Some(SortKey([1_767_225_600_000_000, 2, 7])));
        let path = before.path(SessionId(3));
        let (page, text) = path.split_once("?before=").unwrap();
        assert_eq!((page, query(text).ok()), ("/sessions/3", Some(before)));
        assert_eq!(query("").ok(), Some(Before(None)));
        for bad in ["1", "1-2", "1-2-3-4", "1-2-x", "-1-2-3", "1--3", "99999999999999999999-1-1"] {
            assert!(query(bad).is_err(), "{bad}");
        }
    }
}
