//! The page of a conflict: somebody else has changed the todo since the form showed it.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::id::TodoId;

use super::create::again;
use crate::guard::html;
use crate::layout::{self, Frame, Section};
use crate::text;
use crate::viewer::Viewer;

/// Two states of a todo.
pub(super) struct Conflict<'a> {
    pub(super) id: TodoId,
    /// What differs: the label, theirs and mine.
    pub(super) rows: &'a [(&'static str, &'a str, &'a str)],
    /// Where mine is sent to.
    pub(super) action: &'a str,
    /// The hidden fields of the form that writes mine over theirs; `None` if that is no allowed
    /// step any more.
    pub(super) mine: Option<Markup>,
}

/// Both states side by side, theirs left, and the choice.
pub(super) fn page(viewer: &Viewer, conflict: &Conflict<'_>) -> Response {
    let Conflict { id, rows, action, mine } = conflict;
    let path = format!("/todos/{id}");
    let page = html(layout::page(viewer, Frame {
        title: &format!("Todo {id} has changed"),
        section: Section::Todos,
        tools: html! {},
        next_change: None,
        content: html! {
            p role="alert" {
                "Somebody has changed this todo since you opened it. Nothing of yours was written yet, \
                 and nothing was charged."
            }
            @if rows.is_empty() { p { "Both say the same now." } }
            @for (label, theirs, yours) in *rows {
                section.card {
                    h2 { (label) }
                    div.two {
                        div { h3 { "Theirs" } (side(theirs)) }
                        div { h3 { "Yours" } (side(yours)) }
                    }
                }
            }
            div.buttons {
                a.button href=(path) { "Keep theirs" }
                @if let Some(mine) = mine {
                    form method="post" action=(action) { (mine) button.primary { "Use mine" } }
                }
            }
        },
    }));
    again(StatusCode::PRECONDITION_FAILED, page)
}

fn side(value: &str) -> Markup {
    html! {
        @if value.is_empty() { p.muted { "empty" } } @else { div.md dir="auto" { (text::line(value)) } }
    }
}
