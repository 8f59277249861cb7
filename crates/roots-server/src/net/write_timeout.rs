//! A limit on writing: a client that takes its answer too slowly loses its connection.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use roots_http_core::middleware::progress::Pace;
use roots_http_core::middleware::progress::Progress;
use roots_http_core::middleware::progress::WINDOW as PROGRESS_WINDOW;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{self, Instant, Sleep};

/// How long a client may be slow: twice as long as for an export, so that an export that ends for
/// this reason has a minute for its error line.
const WINDOW: Duration = PROGRESS_WINDOW.saturating_mul(2);

/// A stream whose writes fail after its client has read less than 1 KiB/s over two minutes of
/// waiting for it (ADR 30). Bytes count when the system has accepted them.
pub(crate) struct WriteTimeout<S> {
    stream: S,
    progress: Progress,
    /// Set while the stream waits for the client.
    waiting: Option<WriteWaiting>,
}

/// A wait for the client.
struct WriteWaiting {
    since: Instant,
    /// The end of the time window.
    until: Pin<Box<Sleep>>,
}

impl<S> WriteTimeout<S> {
    /// Limits how slowly the client may read what is written to `stream`.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, progress: Progress::over(WINDOW), waiting: None }
    }

    /// Records the result of a write. Fails if the client is too slow.
    fn limit<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(written) = written {
            let bytes = written.as_ref().map_or(0, bytes);
            return Poll::Ready(self.note(bytes).and(written));
        }
        loop {
            let left = self.progress.left();
            let waiting = self.waiting.get_or_insert_with(|| WriteWaiting {
                since: Instant::now(),
                until: Box::pin(time::sleep(left)),
            });
            ready!(waiting.until.as_mut().poll(cx));
            if let Err(too_slow) = self.note(0) {
                return Poll::Ready(Err(too_slow));
            }
        }
    }

    /// Records that `bytes` bytes were written, and that the wait has ended.
    fn note(&mut self, bytes: usize) -> io::Result<()> {
        let waited = self.waiting.take().map_or(Duration::ZERO, |waiting| waiting.since.elapsed());
        match self.progress.note(bytes as u64, waited) {
            Pace::KeepsUp => Ok(()),
            Pace::TooSlow => {
                let message = "the client takes less than 1 KiB/s of its answer";
                Err(io::Error::new(io::ErrorKind::TimedOut, message))
            }
        }
    }
}

impl<S: AsRawFd> AsRawFd for WriteTimeout<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.limit(cx, written, |count| *count)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.limit(cx, written, |count| *count)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.limit(cx, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.limit(cx, shut, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    /// The seconds after which writing fails to a client that reads `bytes` bytes after each pause,
    /// if it fails within ten minutes.
    async fn fails_after(bytes: usize, pause: Duration) -> Option<u64> {
        let (ours, mut theirs) = tokio::io::duplex(8 * 1024);
        let reader = tokio::spawn(async move {
            let mut piece = vec![0; bytes];
            loop {
                time::sleep(pause).await;
                if theirs.read_exact(&mut piece).await.is_err() {
                    return;
                }
            }
        });
        let begun = Instant::now();
        let mut ours = WriteTimeout::new(ours);
        let writing = async {
            loop {
                if let Err(failed) = ours.write_all(&[0; 512]).await {
                    return failed.kind();
                }
            }
        };
        let failed = time::timeout(Duration::from_mins(10), writing).await.ok();
        reader.abort();
        failed.map(|kind| {
            assert_eq!(kind, io::ErrorKind::TimedOut);
            begun.elapsed().as_secs()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_read_at_less_than_a_kib_a_second_fails_after_two_minutes() {
        let millis = Duration::from_millis;
        for (bytes, pause) in [(1, Duration::MAX), (1, millis(100)), (512, millis(1_000))] {
            assert_eq!(fails_after(bytes, pause).await, Some(120), "{bytes} bytes each {pause:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_read_at_more_than_a_kib_a_second_does_not_time_out() {
        for (bytes, pause) in [(128, 100), (2_048, 1_000), (128 * 1024, 119_000)] {
            let pause = Duration::from_millis(pause);
            assert_eq!(fails_after(bytes, pause).await, None, "{bytes} bytes each {pause:?}");
        }
    }
}
