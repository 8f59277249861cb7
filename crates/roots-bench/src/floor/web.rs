//! What the API is compared with: handlers of Axum that answer a fixed JSON, and do nothing else.

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

/// What it is asked for: an answer of so many bytes.
pub(crate) fn path(bytes: usize) -> String {
    format!("/{bytes}")
}

/// Serves answers of those sizes on a free port, whose address is the first line that it prints. It has
/// the runtimes that Roots has: one a processor, each on a thread of its own, to which connections are
/// handed out in turn.
///
/// # Errors
/// The system gives no port or thread, or takes it away.
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
        // As Roots does.
        let _ = stream.set_nodelay(true);
        let _ = server.send((stream.into_std()?, peer));
    }
    Ok(())
}

/// A thread that serves what it is sent.
fn start(router: Router) -> io::Result<mpsc::UnboundedSender<Accepted>> {
    let (sender, incoming) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new()
        .spawn(move || runtime.block_on(async { axum::serve(Incoming(incoming), router).await }))?;
    Ok(sender)
}

type Accepted = (std::net::TcpStream, SocketAddr);

/// Connections that were accepted elsewhere.
struct Incoming(mpsc::UnboundedReceiver<Accepted>);

impl Listener for Incoming {
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

/// A path for each of those sizes.
pub(crate) fn router(sizes: &[usize]) -> Router {
    let mut router = Router::new();
    for bytes in sizes {
        let json = HeaderValue::from_static("application/json");
        let answer = ([(CONTENT_TYPE, json)], Bytes::from(document(*bytes)));
        router = router.route(&path(*bytes), get(async move || answer.clone()));
    }
    router
}

/// A JSON of so many bytes, at least 8.
fn document(bytes: usize) -> String {
    const AROUND: &str = r#"{"a":""}"#;
    let (before, after) = AROUND.split_at(6);
    format!("{before}{}{after}", "x".repeat(bytes.saturating_sub(AROUND.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_json_of_its_size() {
        for bytes in [8, 9, 5_000] {
            let text = document(bytes);
            assert_eq!(text.len(), bytes);
            assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object());
        }
    }
}
