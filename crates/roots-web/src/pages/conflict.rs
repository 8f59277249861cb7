//! The page of a conflict: somebody else has changed the row since the form showed it.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use crate::answer::html;
use crate::form::again;
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
    /// What else it says now, where the rows don't tell what has changed.
    pub(crate) now: Markup,
    /// Where mine is sent to.
    pub(crate) action: &'a str,
    /// What the button says that writes mine over theirs, and the hidden fields of its form; `None`
    /// if that is no allowed step any more.
    pub(crate) mine: Option<(&'static str, Markup)>,
}

/// Both states side by side, theirs left, and the choice.
pub(crate) fn page(viewer: &Viewer, conflict: &Conflict<'_>) -> Response {
    let Conflict { what, path, section, rows, now, action, mine } = conflict;
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
                (now)
                div.buttons {
                    a.button href=(path) { "Keep theirs" }
                    @if let Some((says, mine)) = mine {
                        form method="post" action=(action) { (mine) button.primary { (says) } }
                    }
                }
            },
        },
    ));
    again(StatusCode::PRECONDITION_FAILED, page)
}

/// What a row says now, field by field.
pub(crate) fn now(fields: &[(&str, &str)]) -> Markup {
    html! {
        section.card aria-labelledby="now-title" {
            header { h2 #now-title { "As it is now" } }
            @for (label, value) in fields { h3 { (label) } (side(value)) }
        }
    }
}

fn side(value: &str) -> Markup {
    html! {
        @if value.is_empty() { p.muted { "empty" } } @else { div.md.lines dir="auto" { (text::line(value)) } }
    }
}
