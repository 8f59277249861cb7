//! Draining: reads the rest of a body whose request was answered before all of it arrived.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use futures_util::{Stream, StreamExt};

use crate::wire::BODY_MAX_BYTES;

/// Most bytes that are read and dropped beyond the largest body, so that their sender sees the
/// answer.
const DRAIN_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Longest time spent on draining.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Lends the handler the body. What it leaves unread comes back.
pub(super) fn lend_body(request: &mut Request) -> Option<UnreadBody> {
    if request.body().is_end_stream() {
        return None;
    }
    let awaits_leave = request.headers().contains_key(EXPECT);
    let body = std::mem::take(request.body_mut()).into_data_stream();
    let shared =
        Arc::new(Mutex::new(LentBody { body, has_begun: false, has_ended: false, read_bytes: 0 }));
    *request.body_mut() = Body::from_stream(Lent(Arc::clone(&shared)));
    Some(UnreadBody { shared: Lent(shared), awaits_leave })
}

struct LentBody {
    body: BodyDataStream,
    has_begun: bool,
    has_ended: bool,
    read_bytes: usize,
}

struct Lent(Arc<Mutex<LentBody>>);

impl Stream for Lent {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.has_begun = true;
        let polled = shared.body.poll_next_unpin(cx);
        match &polled {
            Poll::Ready(Some(Ok(bytes))) => shared.read_bytes += bytes.len(),
            Poll::Ready(_) => shared.has_ended = true,
            Poll::Pending => {}
        }
        polled
    }
}

/// The unread rest of a body after its request was answered. Closing a connection while the client
/// still sends loses the answer.
pub(super) struct UnreadBody {
    shared: Lent,
    /// The client waits for `100 Continue` before it sends anything, and does not get it.
    awaits_leave: bool,
}

impl UnreadBody {
    /// Whether the whole body was read.
    pub(super) fn has_ended(&self) -> bool {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).has_ended
    }

    /// Reads and drops the rest, and returns whether it ended.
    pub(super) async fn drain(mut self) -> bool {
        let is_over = |unread: &Self| {
            let shared = unread.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            shared.has_ended
                || shared.read_bytes > BODY_MAX_BYTES + DRAIN_MAX_BYTES
                || unread.awaits_leave && !shared.has_begun
        };
        let drained = async {
            while !is_over(&self) {
                let _ = self.shared.next().await;
            }
        };
        // When it takes too long, the connection is closed while the client still sends.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, drained).await;
        self.has_ended()
    }
}
