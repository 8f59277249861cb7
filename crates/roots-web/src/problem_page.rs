//! The page of an error.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use maud::html;
use roots_domain::model::time::Timestamp;
use roots_http_core::middleware::route_traits::Asked;
use roots_http_core::problem::{Problem, ProblemKind};

use crate::form::Typed;
use crate::guard::seal;
use crate::layout;
use crate::look::Look;

/// Writes a problem as a page. What was typed into the form that failed stands on it, to be sent
/// again.
pub(crate) fn write(problem: &Problem, asked: &Asked<'_>, response: &mut Response) {
    let cookies = asked.cookie.and_then(|value| value.to_str().ok()).unwrap_or_default();
    // The page shows no time.
    let look = Look::of(cookies, Timestamp::FIRST);
    let typed = response.extensions_mut().remove::<Typed>();
    // It is the sign-in that is missing, unless an API key was typed.
    let has_key = typed.as_ref().is_some_and(|typed| typed.get("api_key").is_some());
    let is_signed_out = problem.kind() == ProblemKind::Unauthorized && !has_key;
    let title = if is_signed_out { "Not signed in" } else { problem.kind().title() };
    let page = layout::bare(
        &look,
        title,
        &html! {
            p { (problem.detail()) }
            @if problem.errors().len() > 1 {
                ul { @for error in problem.errors() { li { code { (error.field) } " " (error.message) } } }
            }
            @if let Some(seconds) = problem.retry_seconds() { p { "Try again in " (seconds) " s." } }
            @if is_signed_out {
                p { a href="/sign-in" target="_blank" rel="noopener" { "Sign in in a new tab" } }
            }
            @if let Some(typed) = &typed { (typed.again()) }
            p { a href="/" { "To the first page" } }
            p.muted { "Request " code { (asked.request_id) } }
        },
    );
    let body = page.into_string();
    *response.status_mut() = problem.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, body.len().into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    seal(response);
    *response.body_mut() = Body::from(body);
}
