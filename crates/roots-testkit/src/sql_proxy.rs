//! A proxy to PostgreSQL that records and checks every statement.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::tenant_lint;

/// A proxy to PostgreSQL that records every statement. On drop it fails the test if a statement
/// does not name its tenant: see [`tenant_lint::check`].
pub struct SqlProxy {
    /// The URL to connect to instead of the server's.
    pub url: String,
    /// The port of this machine that it listens on.
    pub port: u16,
    statements: Arc<Mutex<BTreeSet<String>>>,
    is_cut: watch::Sender<bool>,
}

impl SqlProxy {
    /// Starts a proxy to the database with that URL.
    pub async fn on(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (authority, path) = rest.split_once('/').expect("a URL with a database");
        let (user, server) = authority.rsplit_once('@').expect("a URL with a user");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let statements = Arc::new(Mutex::new(BTreeSet::new()));
        let (server, notes) = (server.to_owned(), statements.clone());
        let (is_cut, cut) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (mut cut, passing) = (cut.clone(), pass(near, server.clone(), notes.clone()));
                tokio::spawn(async move {
                    tokio::select! {
                        biased;
                        _ = cut.wait_for(|cut| *cut) => {}
                        () = passing => {}
                    }
                });
            }
        });
        let url = format!("{scheme}://{user}@{address}/{path}");
        Self { url, port: address.port(), statements, is_cut }
    }

    /// The statements that it recorded so far.
    #[must_use]
    pub fn statements(&self) -> BTreeSet<String> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Cuts all connections and takes no more, as a server does that was killed, or takes them
    /// again.
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }

    /// Forgets the recorded statements.
    pub fn forget(&self) {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for SqlProxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let errors = self.statements().into_iter().filter_map(|sql| {
            tenant_lint::check(&sql).err().map(|error| format!("{error}: {sql}"))
        });
        assert_eq!(errors.collect::<Vec<_>>(), [""; 0], "statements without a tenant");
    }
}

/// Forwards data between one connection and the server until either of them closes.
async fn pass(near: TcpStream, server: String, statements: Arc<Mutex<BTreeSet<String>>>) {
    // If the server can't be reached, the client sees its connection close.
    let Ok(far) = TcpStream::connect(server).await else { return };
    for stream in [&near, &far] {
        // Without this option the connection is only slower.
        let _ = stream.set_nodelay(true);
    }
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let asks = async {
        let mut messages = ClientMessages::default();
        let mut bytes = vec![0; 16_384];
        while let Ok(count @ 1..) = from_near.read(&mut bytes).await {
            let complete = messages.read(&bytes[..count]);
            statements.lock().unwrap_or_else(PoisonError::into_inner).extend(complete);
            if to_far.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    };
    let answers = tokio::io::copy(&mut from_far, &mut to_near);
    tokio::select! {
        () = asks => {}
        // The client and the server report errors of the connection themselves.
        _ = answers => {}
    }
}

/// The messages of a client, of which `rest` is not complete yet. A message has a kind, a length
/// and a body. The messages before the start have no kind.
#[derive(Default)]
struct ClientMessages {
    rest: Vec<u8>,
    has_started: bool,
}

impl ClientMessages {
    /// Adds bytes and returns the statements that are now complete.
    fn read(&mut self, bytes: &[u8]) -> Vec<String> {
        const START: u32 = 196_608;
        self.rest.extend_from_slice(bytes);
        let mut statements = Vec::new();
        loop {
            let kind_bytes = usize::from(self.has_started);
            let Some(length) = number(&self.rest, kind_bytes) else { return statements };
            let end = kind_bytes + length as usize;
            if self.rest.len() < end {
                return statements;
            }
            let body = &self.rest[kind_bytes + 4..end];
            if self.has_started {
                let mut words = body.split(|byte| *byte == 0).map(String::from_utf8_lossy);
                // `Query` has only a statement, `Parse` has a name before it.
                let statement = match self.rest[0] {
                    b'Q' => words.next(),
                    b'P' => words.nth(1),
                    _ => None,
                };
                statements.extend(statement.map(std::borrow::Cow::into_owned));
            } else {
                // Messages before the start message ask for encryption, which the test server does
                // not offer.
                self.has_started = number(body, 0) == Some(START);
            }
            self.rest.drain(..end);
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}
