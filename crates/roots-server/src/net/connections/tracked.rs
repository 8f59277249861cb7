//! The wrappers that report a connection's progress: its stream, and the bodies of its requests and
//! answers.

use std::error::Error;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::HttpBody;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::progress::{GivenUp, RequestNumber};
use super::{Connection, Slotted};

/// A request of a connection.
#[derive(Clone)]
struct Served {
    connection: Arc<Connection>,
    request: RequestNumber,
}

/// Records that a request was read up to its body, and wraps its body and its answer to report
/// their progress.
///
/// # Errors
/// The connection was given up: ignore the request.
pub(crate) fn track<B: HttpBody>(
    connection: &Arc<Connection>,
    body: B,
) -> Result<(RequestBody<B>, Owed), GivenUp> {
    let is_whole = body.is_end_stream();
    let request = connection.progress.request_began(is_whole)?;
    let served = Served { connection: Arc::clone(connection), request };
    let unfinished = (!is_whole).then(|| served.clone());
    Ok((RequestBody { body, unfinished }, Owed(served)))
}

/// The body of a request.
pub(crate) struct RequestBody<B> {
    body: B,
    unfinished: Option<Served>,
}

impl<B> HttpBody for RequestBody<B>
where
    B: HttpBody + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx).map_err(Into::into);
        let Some(Served { connection, request }) = &self.unfinished else { return polled };
        connection.progress.body_waits(*request, polled.is_pending());
        let frame = ready!(polled);
        if frame.is_none() || self.body.is_end_stream() {
            connection.progress.body_ended(*request)?;
            self.unfinished = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for RequestBody<B> {
    fn drop(&mut self) {
        if let Some(Served { connection, request }) = &self.unfinished {
            // The rest is not needed: only the server's work stands before the answer.
            let _ = connection.progress.body_ended(*request);
        }
    }
}

/// An answer that is owed until this is dropped.
pub(crate) struct Owed(Served);

impl Drop for Owed {
    fn drop(&mut self) {
        let Served { connection, request } = &self.0;
        connection.progress.answer_handed_over(*request);
    }
}

impl Owed {
    /// Wraps the answer's body, which is dropped once all of it was handed over.
    pub(crate) fn by<B>(self, body: B) -> AnswerBody<B> {
        AnswerBody { body, _owed: self }
    }
}

/// The body of an answer.
pub(crate) struct AnswerBody<B> {
    body: B,
    _owed: Owed,
}

impl<B: HttpBody + Unpin> HttpBody for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Slotted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) else {
            self.connection().progress.read_waits();
            return Poll::Pending;
        };
        let count = buf.filled().len() - before;
        if count > 0
            && let Err(given_up) = self.connection().progress.bytes_came(count)
        {
            buf.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, given_up)));
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Slotted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            self.connection().progress.all_sent();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
