//! The page of an error.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::time::Timestamp;
use roots_http_core::middleware::route_traits::Asked;
use roots_http_core::problem::{Problem, ProblemKind};

use crate::cookie;
use crate::form::Typed;
use crate::guard::seal;
use crate::layout::{self, Framed};
use crate::look::Look;

/// Writes a problem as a page. What was typed into the form that failed stands on it, to be sent
/// again if that may help.
///
/// It has the frame of the other pages if the request came far enough to find its viewer. Nothing
/// is looked up for it: a server that is busy, or a client beyond its limit, gets a bare page.
pub(crate) fn write(problem: &Problem, asked: &Asked<'_>, response: &mut Response) {
    let cookies = asked.cookie.and_then(|value| value.to_str().ok()).unwrap_or_default();
    // The page shows no time.
    let look = Look::of(cookies, Timestamp::FIRST);
    let typed = response.extensions_mut().remove::<Typed>();
    let framed = response.extensions_mut().remove::<Framed>();
    // Of a viewer who was found, it may be an API key that is wrong.
    let has_key = typed.as_ref().is_some_and(|typed| typed.get("api_key").is_some());
    let may_be_key = framed.is_some() && has_key;
    let is_signed_out = problem.kind() == ProblemKind::Unauthorized && !may_be_key;
    let title = if is_signed_out { "Not signed in" } else { problem.kind().title() };
    let content = html! {
        p role="alert" { (problem.detail()) }
        @if problem.errors().len() > 1 {
            ul { @for error in problem.errors() { li { code { (error.field) } " " (error.message) } } }
        }
        @if let Some(seconds) = problem.retry_seconds() { p { "Try again in " (seconds) " s." } }
        @if is_signed_out {
            p { a href="/sign-in" target="_blank" rel="noopener" { "Sign in in a new tab" } }
        }
        @if let Some(typed) = &typed {
            @if may_pass_later(problem.kind()) { (typed.again()) }
            @else { (typed.kept(problem.kind() == ProblemKind::NotFound)) }
        }
        p { a href="/" { "To the first page" } }
        p.muted { "Request " code { (asked.request_id) } }
    };
    let page = match framed {
        Some(Framed { viewer, section }) if !is_signed_out => {
            layout::error(&viewer, section, title, &content)
        }
        _ => layout::bare(
            &look,
            title,
            &bare(&content, !is_signed_out && cookie::is_signed_in(cookies)),
        ),
    };
    let body = page.into_string();
    *response.status_mut() = problem.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, body.len().into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    seal(response);
    *response.body_mut() = Body::from(body);
}

/// The content of a page without the frame. A person who may be signed in can sign out there too.
fn bare(content: &Markup, is_signed_in: bool) -> Markup {
    html! { (content) @if is_signed_in { (layout::sign_out()) } }
}

/// Whether a form that was refused so may be taken later as it is, but for secrets, which are typed
/// again. Any other must not be sent again: it would be refused for ever.
const fn may_pass_later(kind: ProblemKind) -> bool {
    match kind {
        // After signing in, with another key, or once there are credits again.
        ProblemKind::Unauthorized
        | ProblemKind::WrongCode
        | ProblemKind::WrongRecoveryCode
        | ProblemKind::KeyInGrace
        | ProblemKind::InsufficientCredits
        | ProblemKind::Suspended
        // After a while.
        | ProblemKind::StillInFlight
        | ProblemKind::RequestTimeout
        | ProblemKind::TooManyRequests
        | ProblemKind::Internal
        | ProblemKind::Unavailable
        | ProblemKind::OutcomeUnknown => true,
        ProblemKind::BadRequest
        | ProblemKind::MalformedJson
        | ProblemKind::InvalidParameters
        | ProblemKind::SignupClosed
        | ProblemKind::OwnerOnly
        | ProblemKind::OperatorOnly
        | ProblemKind::ForeignHost
        | ProblemKind::ForeignOrigin
        | ProblemKind::NotFound
        | ProblemKind::MethodNotAllowed
        | ProblemKind::Conflict
        | ProblemKind::ClaimLost
        | ProblemKind::PreconditionFailed
        | ProblemKind::BodyTooLarge
        | ProblemKind::UnsupportedMediaType
        | ProblemKind::InvalidBody
        | ProblemKind::KeyOfAnotherRequest
        | ProblemKind::Unreadable => false,
    }
}
