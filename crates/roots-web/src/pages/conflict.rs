//! The page of a conflict: somebody else has changed the row since the form showed it.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use crate::form::again;
use crate::guard::html;
use crate::layout::{self, Frame, Section};
use crate::text;
use crate::viewer::Viewer;

/// Two states of a row.
pub(crate) struct Conflict<'a> {
    /// What it is called: `Todo 7`.
    pub(crate) what: &'a str,
    /// The path of its page.
    pub(crate) path: &'a str,
    /// The part of the site that it belongs to.
    pub(crate) section: Section,
    /// What differs: the label, theirs and mine.
    pub(crate) rows: &'a [(&'static str, &'a str, &'a str)],
    /// Where mine is sent to.
    pub(crate) action: &'a str,
    /// The hidden fields of the form that writes mine over theirs; `None` if that is no allowed
    /// step any more.
    pub(crate) mine: Option<Markup>,
}

/// Both states side by side, theirs left, and the choice.
pub(crate) fn page(viewer: &Viewer, conflict: &Conflict<'_>) -> Response {
    let Conflict { what, path, section, rows, action, mine } = conflict;
    let page = html(layout::page(
        viewer,
        Frame {
            title: &format!("{what} has changed"),
            section: *section,
            tools: html! {},
            next_change: None,
            content: html! {
                p role="alert" {
                    "Somebody has changed it since you opened it. What you sent was not written, and "
                    "nothing was charged."
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
        },
    ));
    again(StatusCode::PRECONDITION_FAILED, page)
}

fn side(value: &str) -> Markup {
    html! {
        @if value.is_empty() { p.muted { "empty" } } @else { div.md.lines dir="auto" { (text::line(value)) } }
    }
}
