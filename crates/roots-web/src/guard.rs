//! What every page's request must pass, and the headers of every page.

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use roots_http_core::auth::client_context::ClientContext;
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::wire::NO_STORE;

use crate::app::App;
use crate::layout::{Framed, Section};
use crate::viewer::Found;

/// Nothing but our own stylesheet, script and icons loads, nothing inline runs or styles, forms
/// lead to us, and no page holds us in a frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Refuses requests that call the server by a foreign name, and writes of which nothing says where
/// they come from. Whatever fails before anything has counted it, these and others, counts against
/// the client's address.
pub(crate) async fn check(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let client = match ClientContext::of(request.extensions()) {
        Ok(client) => client.clone(),
        Err(problem) => return problem.into_response(),
    };
    let (found, section) = (Found::default(), Section::of_path(request.uri().path()));
    request.extensions_mut().insert(found.clone());
    let (uri, headers) = (request.uri(), request.headers());
    let is_of_unknown_origin = !request.method().is_safe()
        && !headers.contains_key(SEC_FETCH_SITE)
        && !headers.contains_key(ORIGIN);
    let checked = match app.hosts.check(uri, headers) {
        Ok(()) if is_of_unknown_origin => Err(of_another_site()),
        checked => checked,
    };
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if is_error(&response) {
        if let Err(limited) = client.count_unless_counted() {
            response = limited.into_response();
        }
        if let Some(viewer) = found.get() {
            response.extensions_mut().insert(Framed { viewer: viewer.clone(), section });
        }
    }
    seal(&mut response);
    response
}

fn is_error(response: &Response) -> bool {
    response.status().is_client_error() || response.status().is_server_error()
}

/// The problem of a form that another site sent, or of which nothing says that we did.
pub(crate) fn of_another_site() -> Problem {
    Problem::new(
        ProblemKind::ForeignOrigin,
        "This form was not sent by a page of this server, so nothing was done. Open the page here \
         and send it again. If a proxy stands in front, it must pass on the headers Origin, Host \
         and Sec-Fetch-Site.",
    )
}

/// Adds the headers that every page has.
pub(crate) fn seal(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, SAME_ORIGIN);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(COOP, SAME_ORIGIN);
    headers.insert(CORP, SAME_ORIGIN);
    // A page mixes secrets with other people's text: what may not be stored is not compressed.
    headers.insert(CACHE_CONTROL, NO_STORE);
}
