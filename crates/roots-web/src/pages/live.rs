//! `GET /events`: tells the script when the account has changed.

use axum::http::Method;
use axum::response::{IntoResponse, Response};
use roots_http_core::auth::page_bearer::{LivePageBearer, NotSignedIn, PageBearer};
use roots_http_core::problem::Problem;
use roots_http_core::streams::open_stream::{OpenStream, StreamKind};
use roots_http_core::streams::{sse, versions::versions};

/// The stream. Without a sign-in it is 401, which a stream of a browser takes for its end; a page
/// would be followed.
pub(crate) async fn events(
    method: Method,
    bearer: Result<LivePageBearer, NotSignedIn>,
) -> Result<Response, Problem> {
    let LivePageBearer(PageBearer(bearer)) = bearer.map_err(|refused| match refused {
        NotSignedIn::Refused(problem) => problem,
        NotSignedIn::NoCookie | NotSignedIn::Ended(_) => {
            Problem::unauthorized("You are not signed in.", false)
        }
    })?;
    if method == Method::HEAD {
        return Ok(sse::headers().into_response());
    }
    Ok(versions(OpenStream::open(bearer, StreamKind::Page)?))
}
