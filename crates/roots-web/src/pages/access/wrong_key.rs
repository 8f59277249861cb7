//! A form of Access that is shown again, alone, with its fault: mostly that the API key is wrong.

use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::request::fields::InvalidField;

use crate::answer;
use crate::form::{Faults, Posted, again};
use crate::layout::{self, Frame, Section};
use crate::viewer::Viewer;

/// A wrong key is a fault of its field.
pub(super) fn at_key(problem: Problem) -> Problem {
    if problem.kind() != ProblemKind::Unauthorized {
        return problem;
    }
    let message = "must be a valid API key of yours".to_owned();
    Problem::invalid_body(vec![InvalidField { field: "api_key".to_owned(), message }])
}

/// The form alone, with its fault: the page that it was on may be another one by now.
pub(super) fn show_again(
    posted: Posted,
    problem: Problem,
    title: &str,
    form: impl Fn(&Viewer, &Faults) -> Markup,
) -> Response {
    // What its state does not allow, or what was done already, it does not help to send again.
    if problem.kind() == ProblemKind::Conflict {
        return problem.into_response();
    }
    let problem = at_key(problem);
    let status = problem.status();
    let faults = match Faults::of(problem, &["api_key"]) {
        Ok(faults) => faults,
        Err(problem) => return posted.fail(problem),
    };
    let page = Frame {
        title,
        section: Section::Access,
        tools: html! {},
        next_change: None,
        content: html! {
            section.card aria-label=(title) { (form(&posted.viewer, &faults)) }
            p { a href="/access" { "Leave it" } }
        },
    };
    again(status, answer::html(layout::page(&posted.viewer, page)))
}
