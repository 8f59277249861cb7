//! The rest of a body that was answered before it had come whole.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use futures_util::{Stream, StreamExt};

use crate::wire::BODY_MAX_BYTES;

/// Most bytes that are read off beyond the largest body, so that whoever sends them sees the answer.
const DRAIN_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Longest time spent on reading them off.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Gives the handler a body whose rest comes back.
pub(super) fn lend_body(request: &mut Request) -> Option<Rest> {
    if request.body().is_end_stream() {
        return None;
    }
    let awaits_leave = request.headers().contains_key(EXPECT);
    let body = std::mem::take(request.body_mut()).into_data_stream();
    let shared =
        Arc::new(Mutex::new(LentBody { body, has_begun: false, has_ended: false, read_bytes: 0 }));
    *request.body_mut() = Body::from_stream(Lent(Arc::clone(&shared)));
    Some(Rest { shared: Lent(shared), awaits_leave })
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

/// What is left of a body once it has been answered. A connection that is closed while the other
/// side still sends takes the answer with it.
pub(super) struct Rest {
    shared: Lent,
    /// The caller sends nothing before it is told to go on, and need not be.
    awaits_leave: bool,
}

impl Rest {
    /// Whether the body has come whole.
    pub(super) fn has_ended(&self) -> bool {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).has_ended
    }

    /// Reads the rest off, and tells whether it came to its end.
    pub(super) async fn drain(mut self) -> bool {
        let is_over = |rest: &Self| {
            let shared = rest.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            shared.has_ended
                || shared.read_bytes > BODY_MAX_BYTES + DRAIN_MAX_BYTES
                || rest.awaits_leave && !shared.has_begun
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
