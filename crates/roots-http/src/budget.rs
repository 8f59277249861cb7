//! What large bodies may hold of the memory together, whoever reads or sends them slowly.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequestParts, Request};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::App;
use crate::body::BODY_MAX_BYTES;
use crate::edge::takes_its_time;
use crate::problem::Problem;

/// What is held together where nothing else is said.
const BUDGET_BYTES: usize = 64 * 1024 * 1024;
/// An answer up to this takes nothing of it: a page of ordinary rows, or any one text as people write.
const SMALL_ANSWER_MAX_BYTES: u64 = 256 * 1024;
/// A request's body up to this takes nothing of it: the longest text with all that stands beside it.
const SMALL_BODY_MAX_BYTES: u64 = 128 * 1024;
/// Longest time that a request waits for what its body takes. It is not read before.
const BODY_PATIENCE: Duration = Duration::from_secs(5);
/// How many lists are made at the same time: about as many as there are connections to read by.
const LISTS_AT_ONCE: usize = 16;
/// What is counted by.
const KIB: usize = 1024;

/// Bytes of memory that large bodies share. Clones are one and the same budget; by default it is
/// 64 MiB.
#[derive(Debug, Clone)]
pub struct Budget {
    /// A permit for each KiB that is left.
    left: Arc<Semaphore>,
    whole: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(BUDGET_BYTES)
    }
}

impl Budget {
    /// One of so many bytes, in whole KiB.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        let whole = u32::try_from(bytes / KIB).unwrap_or(u32::MAX);
        Self { left: Arc::new(Semaphore::new(bytes / KIB)), whole }
    }

    /// How many bytes are not taken.
    #[must_use]
    pub fn left_bytes(&self) -> usize {
        self.left.available_permits() * KIB
    }

    /// What is larger than the whole budget takes all of it.
    fn permits(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(KIB as u64)).unwrap_or(u32::MAX).min(self.whole)
    }

    fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.left).try_acquire_many_owned(self.permits(bytes)).ok()
    }

    async fn take_in_time(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let taking = Arc::clone(&self.left).acquire_many_owned(self.permits(bytes));
        tokio::time::timeout(BODY_PATIENCE, taking).await.ok()?.ok()
    }
}

/// Has a large answer take what it holds, until the last byte of it has gone or its connection has.
/// Nothing is waited for between making it and this, so that those which are not held yet are no more
/// than there are threads.
pub(crate) async fn hold_answer(budget: &Budget, response: Response) -> Response {
    let length = response.body().size_hint().exact();
    let Some(bytes) = length.filter(|bytes| *bytes > SMALL_ANSWER_MAX_BYTES) else {
        return response;
    };
    let Some(taken) = budget.take(bytes) else {
        return Problem::no_room_for_answer().into_response();
    };
    let (parts, body) = response.into_parts();
    // It is there already, in one piece, which is not copied.
    match body.collect().await {
        Ok(whole) => {
            let held = Held { bytes: whole.to_bytes(), _taken: taken };
            Response::from_parts(parts, Body::from(Bytes::from_owner(held)))
        }
        Err(_) => Problem::internal("an answer that is whole could not be read").into_response(),
    }
}

/// Bytes, and what they take of a budget. A body is dropped once it has been handed on, its bytes once
/// they are sent.
struct Held {
    bytes: Bytes,
    _taken: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Has the large body of a request take what it may come to, before anything of it is read. An import
/// is read line by line, and takes nothing.
pub(crate) async fn hold_body<F: Future<Output = Response>>(
    budget: &Budget,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let max = BODY_MAX_BYTES as u64;
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced: Option<u64> = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    let bytes = match announced {
        _ if request.body().is_end_stream() || takes_its_time(&request) => 0,
        // It is refused without being read.
        Some(bytes) if bytes > max => 0,
        Some(bytes) => bytes,
        None => max,
    };
    if bytes <= SMALL_BODY_MAX_BYTES {
        return next(request).await;
    }
    let Some(_taken) = budget.take_in_time(bytes).await else {
        return Problem::no_room_for_body().into_response();
    };
    next(request).await
}

/// The turns of lists.
pub(crate) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LISTS_AT_ONCE)))
    }
}

/// A list's turn, kept while it is read, opened and made: what has been read waits for nothing but the
/// keys of others, and only so many do.
pub(crate) struct Turn {
    _place: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Waits for it, as long as the request may take.
    pub(crate) async fn of(turns: &Turns) -> Self {
        // It is never closed, so that a turn always comes.
        Self { _place: Arc::clone(&turns.0).acquire_owned().await.ok() }
    }
}

impl FromRequestParts<App> for Turn {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self::of(&app.turns).await)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn only_so_many_lists_are_made_at_the_same_time() {
        let turns = Turns::default();
        let mut made: Vec<_> =
            std::iter::repeat_with(|| Turn::of(&turns).now_or_never().unwrap()).take(16).collect();
        assert!(Turn::of(&turns).now_or_never().is_none());
        made.pop();
        assert!(Turn::of(&turns).now_or_never().is_some());
    }

    #[test]
    fn a_budget_counts_begun_kib_and_no_more_than_it_has() {
        let budget = Budget::of(10 * KIB);
        assert_eq!([1, 1024, 1025, u64::MAX].map(|bytes| budget.permits(bytes)), [1, 1, 2, 10]);
        let taken = budget.take(9 * 1024 + 1);
        assert_eq!((taken.is_some(), budget.left_bytes()), (true, 0));
        assert!(budget.take(1).is_none());
        drop(taken);
        assert_eq!(budget.left_bytes(), 10 * KIB);
    }
}
