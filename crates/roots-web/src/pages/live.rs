//! `GET /events`: tells the script when the account has changed.

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use roots_http_core::auth::page_bearer::{LivePageBearer, NotSignedIn, PageBearer};
use roots_http_core::problem::Problem;
use roots_http_core::streams::open_stream::{OpenStream, StreamKind};
use roots_http_core::streams::{sse, versions::versions};

/// The stream. Without a sign-in it is 204, which tells a browser to connect no more and puts no
/// error on its console. The page then asks for itself and is led to the sign-in page.
pub(crate) async fn events(
    method: Method,
    bearer: Result<LivePageBearer, NotSignedIn>,
) -> Result<Response, Problem> {
    let LivePageBearer(PageBearer(bearer)) = match bearer {
        Ok(bearer) => bearer,
        Err(NotSignedIn::Refused(problem)) => return Err(problem),
        Err(NotSignedIn::NoCookie | NotSignedIn::Ended(_)) => {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    };
    if method == Method::HEAD {
        return Ok(sse::headers().into_response());
    }
    Ok(versions(OpenStream::open(&bearer, StreamKind::Page)?))
}
