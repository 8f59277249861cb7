//! Requests as raw bytes, which an HTTP client would refuse to send.

use std::time::Duration;

use roots_testkit::app::TestApp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_mins(2);

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct WireReply {
    pub(crate) status: u16,
    /// The head, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Sends a request with `Connection: close`. Returns `None` if the connection ends without an
/// answer. Panics after two minutes.
pub(crate) async fn send(app: &TestApp, request: Vec<u8>) -> Option<WireReply> {
    let address = app.address.strip_prefix("http://").unwrap();
    let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
    // Writing runs beside reading. The server may answer and close before everything is sent.
    let writing = tokio::spawn(async move {
        let _ = to.write_all(&request).await;
        to
    });
    let mut reply = Vec::new();
    let _ = timeout(PATIENCE, from.read_to_end(&mut reply)).await.expect("an answer in time");
    drop(writing.await.unwrap());
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(reply[..end].to_ascii_lowercase()).unwrap();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(WireReply { status, body: reply.split_off(end + 4), head })
}
