//! Ending sign-ins: the only thing that a sign-in may do to what lets people in.

use axum::extract::State;
use axum::response::Response;
use roots_domain::model::id::SignInId;
use roots_domain::service::WriteError;
use roots_http_core::request::path::Id;

use crate::answer::see_other;
use crate::app::App;
use crate::form::Posted;

/// Ends one.
pub(crate) async fn end(State(app): State<App>, Id(id): Id<SignInId>, posted: Posted) -> Response {
    let ended = app.services.sign_ins.end(&posted.viewer.bearer, id).await;
    answer(posted, ended)
}

/// Ends all of the viewer's own.
pub(crate) async fn end_all(State(app): State<App>, posted: Posted) -> Response {
    let ended = app.services.sign_ins.end_all(&posted.viewer.bearer).await;
    answer(posted, ended)
}

/// Leads back. If it was the viewer's own, that page leads to the one to sign in.
fn answer(posted: Posted, ended: Result<(), WriteError>) -> Response {
    match posted.viewer.bearer.checked(ended) {
        Ok(()) => see_other("/access"),
        Err(problem) => posted.fail(problem),
    }
}
