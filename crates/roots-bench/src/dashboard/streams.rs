//! Streams that stay open beside a load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::client::{Client, ClientError, RequestSpec};

/// All streams must have begun within this time.
const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// Why streams did not stay open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("a stream ended while it was to stay open")]
    Ended,
    #[error("not all streams began within 30 s")]
    Late,
    #[error("the thread of the streams panicked")]
    Panicked,
}

/// Streams that are open, and are read by a thread of this process.
pub(crate) struct OpenStreams {
    /// Ends the thread when it is dropped.
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), StreamError>>,
    told: Arc<AtomicUsize>,
}

impl OpenStreams {
    /// Opens a stream for each request, and waits until all have begun.
    ///
    /// # Errors
    /// One was refused or ended.
    pub(crate) fn open(
        address: SocketAddr,
        requests: Vec<RequestSpec>,
    ) -> Result<Self, StreamError> {
        let ((stop, stopped), (begun, all_begun)) = (oneshot::channel(), mpsc::channel());
        let (many, told) = (requests.len(), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&told);
        let thread = thread::spawn(move || read(address, requests, stopped, &begun, &counted));
        let open = Self { stop, thread, told };
        for _ in 0..many {
            if all_begun.recv_timeout(OPEN_WITHIN).is_err() {
                open.close()?;
                return Err(StreamError::Late);
            }
        }
        Ok(open)
    }

    /// Closes the streams, and returns how many pieces they told.
    ///
    /// # Errors
    /// One had ended before.
    pub(crate) fn close(self) -> Result<usize, StreamError> {
        drop(self.stop);
        self.thread.join().map_err(|_| StreamError::Panicked)??;
        Ok(self.told.load(Ordering::Relaxed))
    }
}

/// Reads the streams until one ends, or the other side of `stopped` is dropped. Sends to `begun`
/// at the first piece of each.
fn read(
    address: SocketAddr,
    requests: Vec<RequestSpec>,
    stopped: oneshot::Receiver<()>,
    begun: &Sender<()>,
    told: &Arc<AtomicUsize>,
) -> Result<(), StreamError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(ClientError::from)?.block_on(async {
        let mut streams = JoinSet::new();
        for request in requests {
            let (begun, told) = (begun.clone(), Arc::clone(told));
            streams.spawn(async move {
                let mut begun = Some(begun);
                let mut client = Client::open(address).await?;
                let followed = client.follow(&request, |_| {
                    told.fetch_add(1, Ordering::Relaxed);
                    // Nobody waits any more if another stream was refused.
                    let _ = begun.take().map(|begun| begun.send(()));
                });
                followed.await
            });
        }
        tokio::select! {
            _ = stopped => Ok(()),
            ended = streams.join_next() => match ended {
                Some(Ok(Err(error))) => Err(error.into()),
                _ => Err(StreamError::Ended),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Serves streams of two pieces, which stay open or end.
    async fn server(stay_open: bool) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1_024]).await.unwrap();
                let text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                    3\r\n:\n\n\r\n9\r\ndata: 1\n\n\r\n";
                stream.write_all(text.as_bytes()).await.unwrap();
                if stay_open {
                    open.push(stream);
                } else {
                    stream.write_all(b"0\r\n\r\n").await.unwrap();
                }
            }
        });
        address
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn streams_are_open_once_each_has_told_something() {
        let address = server(true).await;
        let requests = vec![RequestSpec::get("/".to_owned()); 3];
        let open = OpenStreams::open(address, requests).unwrap();
        let told = open.close().unwrap();
        assert!((3..=6).contains(&told), "{told}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stream_that_ends_is_an_error() {
        let address = server(false).await;
        let open = OpenStreams::open(address, vec![RequestSpec::get("/".to_owned())]);
        let closed = open.and_then(|open| {
            // The end arrives with the pieces or after them.
            while !open.thread.is_finished() {
                thread::yield_now();
            }
            open.close()
        });
        // The connection may be seen to close before the end of the stream is.
        let closed_first = StreamError::Client(ClientError::Closed).to_string();
        let error = closed.unwrap_err().to_string();
        assert!([closed_first, StreamError::Ended.to_string()].contains(&error), "{error}");
    }
}
