//! Answers: a page, or the way to another one.

use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::Markup;
use roots_http_core::problem::Problem;

/// A page as an answer.
pub(crate) fn html(markup: Markup) -> Response {
    axum::response::Html(markup.into_string()).into_response()
}

/// Leads to another page after a write, so that a reload does not send the form again.
pub(crate) fn see_other(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response(),
        Err(_) => Problem::internal("a path is no header").into_response(),
    }
}
