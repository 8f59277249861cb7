//! Requests byte for byte, for what no client would send.

use roots_testkit::app::TestApp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub(crate) struct WireReply {
    pub(crate) status: u16,
    /// The head, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Sends a request that says `Connection: close`; `None` if it was not answered.
pub(crate) async fn send(app: &TestApp, request: Vec<u8>) -> Option<WireReply> {
    let address = app.address.strip_prefix("http://").unwrap();
    let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
    // Both at once: the answer may come before all is sent, and then sending may fail.
    let writing = tokio::spawn(async move {
        let _ = to.write_all(&request).await;
        to
    });
    let mut reply = Vec::new();
    let _ = from.read_to_end(&mut reply).await;
    drop(writing.await.unwrap());
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(reply[..end].to_ascii_lowercase()).unwrap();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(WireReply { status, body: reply.split_off(end + 4), head })
}
