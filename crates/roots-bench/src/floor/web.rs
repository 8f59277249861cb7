//! The web floor: Axum handlers that return a fixed JSON document and do nothing else.

use std::future;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::thread;

use axum::Router;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::routing::get;
use axum::serve::Listener;
use hyper::body::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// The path of the response of this size.
pub(crate) fn path(bytes: usize) -> String {
    format!("/{bytes}")
}

/// Serves responses of these sizes on a free port, and prints its address on the first line. Like
/// Roots, it has one thread with a runtime for each processor, and hands out connections in turn.
///
/// # Errors
/// The system has no free port or can't start a thread, or accepting a connection fails.
pub(crate) async fn serve(sizes: &[usize]) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut out = io::stdout();
    writeln!(out, "address={}", listener.local_addr()?)?;
    out.flush()?;
    let router = router(sizes);
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let servers: io::Result<Vec<_>> = (0..processors).map(|_| start(router.clone())).collect();
    for server in servers?.iter().cycle() {
        let (stream, peer) = listener.accept().await?;
        // Roots sets this option too.
        let _ = stream.set_nodelay(true);
        let _ = server.send((stream.into_std()?, peer));
    }
    Ok(())
}

/// Starts a thread that serves the connections sent to it.
fn start(router: Router) -> io::Result<mpsc::UnboundedSender<AcceptedStream>> {
    let (sender, incoming) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().spawn(move || {
        runtime.block_on(async { axum::serve(AcceptedStreams(incoming), router).await })
    })?;
    Ok(sender)
}

type AcceptedStream = (std::net::TcpStream, SocketAddr);

/// Connections that another thread accepted.
struct AcceptedStreams(mpsc::UnboundedReceiver<AcceptedStream>);

impl Listener for AcceptedStreams {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let Some((stream, peer)) = self.0.recv().await else { return future::pending().await };
            if let Ok(stream) = TcpStream::from_std(stream) {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }
}

/// Has a path for each size.
pub(crate) fn router(sizes: &[usize]) -> Router {
    let mut router = Router::new();
    for bytes in sizes {
        let json = HeaderValue::from_static("application/json");
        let response = ([(CONTENT_TYPE, json)], Bytes::from(document(*bytes)));
        router = router.route(&path(*bytes), get(async move || response.clone()));
    }
    router
}

/// A JSON document of this size, which is at least 8 bytes.
fn document(bytes: usize) -> String {
    const AROUND: &str = r#"{"a":""}"#;
    let (before, after) = AROUND.split_at(6);
    format!("{before}{}{after}", "x".repeat(bytes.saturating_sub(AROUND.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_json_of_the_requested_size() {
        for bytes in [8, 9, 5_000] {
            let text = document(bytes);
            assert_eq!(text.len(), bytes);
            assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object());
        }
    }
}
