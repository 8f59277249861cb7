//! Answers with rows whose texts are encrypted: pages and single rows.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use roots_domain::model::page::{Page, PageRequest};
use roots_domain::port::store::StoreError;
use roots_domain::service::access::Caller;
use roots_domain::service::{ReadError, SealedRow};
use serde::Serialize;

use crate::app::App;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::middleware::list_permits::{tell_one, tell_page};
use roots_http_core::problem::Problem;
use roots_http_core::request::pagination::RequestedPage;

/// Answers with the page that `find` reads. `body` makes the document from that page and the cursor
/// of the next one; its first member is the list of rows, which must be empty: they are added as
/// `B`.
///
/// # Errors
/// The cursor belongs to another list, the read failed, or a row can't be decrypted.
pub(crate) async fn list<B, S, P, F>(
    app: &App,
    mut caller: Bearer,
    page: &RequestedPage,
    find: impl Fn(Arc<Caller>, PageRequest) -> F,
    body: impl FnOnce(&Page<S>, Option<String>) -> P,
) -> Result<Response, Problem>
where
    B: From<S::Open> + Serialize + Send + 'static,
    S: SealedRow,
    P: Serialize,
    F: Future<Output = Result<Page<S>, ReadError>>,
{
    let request = page.request(&caller)?;
    let (found, room) = caller.read_rows(|caller| find(caller, request)).await?;
    let (next_cursor, link) = page.next(&caller, &found);
    let body = body(&found, next_cursor);
    let rows = (found.items, room);
    let answer = tell_page::<_, B>(&app.services.accounts, &caller, rows, &body).await?;
    Ok((link, answer).into_response())
}

/// Answers with the row that `find` reads, decrypted and converted by `word`. `what` names its kind
/// for the 404.
///
/// # Errors
/// There is no such row, the read failed, or the row can't be decrypted.
pub(crate) async fn get<S, F>(
    app: &App,
    mut caller: Bearer,
    what: &'static str,
    find: impl Fn(Arc<Caller>) -> F,
    word: impl FnOnce(S::Open) -> Response,
) -> Result<Response, Problem>
where
    S: SealedRow,
    F: Future<Output = Result<Option<S>, StoreError>>,
{
    let (found, room) = caller.read_rows(find).await?;
    let found = found.ok_or_else(|| Problem::not_found(what))?;
    tell_one(&app.services.accounts, &caller, (found, room), word).await
}
