//! A neighbour: a process of the lowest priority, so that it takes only the processor time that the
//! server leaves.
//!
//! It reads a [`NoiseRequest`] from the standard input and writes [`ResponseCounts`] to the
//! standard output.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{ACCEPT_ENCODING, HeaderValue, InvalidHeaderValue};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::{Client, RequestSpec};

/// Rows of an import, and rows that are sent at a time.
const IMPORT_ROWS: u64 = 20_000;
const ROWS_AT_ONCE: u64 = 64;
/// How often a dripping import sends a newline.
const DRIP_EVERY: Duration = Duration::from_secs(12);
/// The pause before the next attempt when the server refuses a connection.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);
/// The key of [`ResponseCounts`] for a connection that ended before its response.
const CUT: &str = "cut";

/// The noise to make.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NoiseRequest {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    pub(crate) kind: NoiseKind,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum NoiseKind {
    /// Each connection sends its next request when it has a response, whatever its status.
    Requests(Vec<RequestSpec>),
    /// As [`NoiseKind::Requests`], but accepts compressed responses.
    CompressedRequests(Vec<RequestSpec>),
    /// Each connection sends each request once.
    RequestsOnce(Vec<RequestSpec>),
    /// `GET /sessions` with well-formed keys that do not exist.
    WrongKeys,
    /// Each connection imports with one of these owners' keys, one import after the other.
    Imports(Vec<String>),
    /// Imports that send a newline every 12 s and nothing else.
    DrippingImports(Vec<String>),
    /// Connections that send nothing, and reconnect when the server closes them.
    IdleSockets,
}

/// How often each status was returned, and how often a response was cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResponseCounts(pub(crate) BTreeMap<String, u64>);

impl ResponseCounts {
    fn count(&mut self, response: &str) {
        *self.0.entry(response.to_owned()).or_default() += 1;
    }
}

/// Why a neighbour failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoiseError {
    #[error("invalid noise request: {0}")]
    InvalidRequest(String),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("this is no valid request: {0}")]
    Http(#[from] hyper::http::Error),
    #[error("this is not a valid key: {0}")]
    Key(#[from] InvalidHeaderValue),
    #[error("an import returned {0}")]
    Import(String),
}

/// Makes the noise that the standard input requests.
///
/// # Errors
/// See [`NoiseError`]. No response of the server is an error.
pub(crate) fn run() -> Result<ResponseCounts, NoiseError> {
    let mut request = String::new();
    io::stdin().read_to_string(&mut request)?;
    let request: NoiseRequest = serde_json::from_str(&request)
        .map_err(|error| NoiseError::InvalidRequest(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(make_noise(&request))
}

async fn make_noise(request: &NoiseRequest) -> Result<ResponseCounts, NoiseError> {
    let counts = Arc::<Mutex<ResponseCounts>>::default();
    let mut tasks = JoinSet::new();
    for number in 0..request.connections {
        let connection =
            NoiseConnection { address: request.address, number, counts: Arc::clone(&counts) };
        let owner = |keys: &[String]| keys[number % keys.len()].clone();
        match &request.kind {
            NoiseKind::Requests(specs) => {
                let requests = to_http(specs)?;
                tasks.spawn(async move { connection.send_all(requests.into_iter().cycle()).await })
            }
            NoiseKind::CompressedRequests(specs) => {
                let mut requests = to_http(specs)?;
                for request in &mut requests {
                    let value = HeaderValue::from_static("gzip, br");
                    request.headers_mut().insert(ACCEPT_ENCODING, value);
                }
                tasks.spawn(async move { connection.send_all(requests.into_iter().cycle()).await })
            }
            NoiseKind::RequestsOnce(specs) => {
                let requests = to_http(specs)?;
                tasks.spawn(async move { connection.send_all(requests.into_iter()).await })
            }
            NoiseKind::WrongKeys => {
                let request = RequestSpec::get("/api/v1/sessions".to_owned()).to_http()?;
                tasks
                    .spawn(async move { connection.send_all(unknown_keys(number, &request)).await })
            }
            NoiseKind::Imports(keys) => {
                let key = owner(keys);
                tasks.spawn(async move { connection.import(&key).await })
            }
            NoiseKind::DrippingImports(keys) => {
                let key = owner(keys);
                tasks.spawn(async move { connection.drip(&key).await })
            }
            NoiseKind::IdleSockets => tasks.spawn(async move { connection.idle().await }),
        };
    }
    // Requests that are sent once end by themselves. All others are stopped after `request.time`.
    let ended = async { while tasks.join_next().await.is_some() {} };
    let _ = timeout(request.time, ended).await;
    tasks.shutdown().await;
    Ok(std::mem::take(&mut *counts.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn to_http(specs: &[RequestSpec]) -> Result<Vec<Request<Full<Bytes>>>, NoiseError> {
    Ok(specs.iter().map(RequestSpec::to_http).collect::<Result<_, _>>()?)
}

/// Requests with wrong keys, each with another one.
fn unknown_keys(
    number: usize,
    request: &Request<Full<Bytes>>,
) -> impl Iterator<Item = Request<Full<Bytes>>> + Send + use<> {
    let (request, first) = (request.clone(), (number as u64) << 40);
    (first..).filter_map(move |secret| {
        let mut request = request.clone();
        request.headers_mut().insert("x-api-key", HeaderValue::from_str(&wrong_key(secret)).ok()?);
        Some(request)
    })
}

/// A key that is well-formed, with the right checksum, but does not exist.
fn wrong_key(secret: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut key = format!("roots_1_{secret:043}");
    let check = crc32fast::hash(key.as_bytes());
    for place in (0..6).rev() {
        let digit = check / 62_u32.pow(place) % 62;
        key.push(char::from(DIGITS[digit as usize]));
    }
    key
}

/// One connection of a neighbour.
struct NoiseConnection {
    address: SocketAddr,
    number: usize,
    counts: Arc<Mutex<ResponseCounts>>,
}

impl NoiseConnection {
    fn count(&self, response: &str) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).count(response);
    }

    async fn send_all(self, mut requests: impl Iterator<Item = Request<Full<Bytes>>>) {
        loop {
            let Ok(mut client) = Client::open(self.address).await else {
                self.count(CUT);
                sleep(REFUSED_PAUSE).await;
                continue;
            };
            loop {
                let Some(request) = requests.next() else { return };
                let Ok(status) = client.send_and_discard(request).await else {
                    self.count(CUT);
                    break;
                };
                self.count(status.as_str());
            }
        }
    }

    async fn import(self, key: &str) {
        loop {
            let lines = ImportLines::new(activity);
            let response = import(self.address, key, lines.take(IMPORT_ROWS)).await;
            self.count_import(response).await;
        }
    }

    async fn drip(self, key: &str) {
        // Without this, all imports would send their newlines at the same moment.
        sleep(Duration::from_millis(self.number as u64 % 100)).await;
        loop {
            let response = async {
                let (mut response, mut body) = begin_import(self.address, key).await?;
                let dripping = async {
                    loop {
                        send(&mut body, b"\n").await?;
                        sleep(DRIP_EVERY).await;
                    }
                };
                tokio::select! {
                    response = read_response(&mut response) => response,
                    failed = dripping => failed,
                }
            };
            let response = response.await;
            self.count_import(response).await;
        }
    }

    async fn count_import(&self, response: io::Result<String>) {
        if let Ok(response) = response {
            self.count(status(&response));
        } else {
            self.count(CUT);
            sleep(REFUSED_PAUSE).await;
        }
    }

    async fn idle(self) {
        loop {
            if let Ok(mut stream) = TcpStream::connect(self.address).await {
                // The server sends nothing before it closes the connection.
                let _ = stream.read(&mut [0; 64]).await;
                self.count("closed");
            } else {
                self.count(CUT);
                sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

/// The lines of an import from an account that exists nowhere else, so no row is a repetition.
pub(crate) struct ImportLines {
    source: u64,
    row: Box<dyn Fn(u64) -> String + Send>,
    next: u64,
    rows: u64,
}

impl ImportLines {
    pub(crate) fn new(row: impl Fn(u64) -> String + Send + 'static) -> Self {
        Self { source: RandomState::new().hash_one(0), row: Box::new(row), next: 1, rows: 0 }
    }

    pub(crate) fn take(mut self, rows: u64) -> Self {
        self.rows = rows;
        self
    }

    fn header(&self) -> String {
        let [high, low] = [self.source >> 48, self.source & 0xffff_ffff_ffff];
        format!(
            "{{\"kind\":\"export\",\"format\":1,\"source\":\"01a202b4-0000-7000-8000-{low:012x}\",\
             \"account_name\":\"{high}\"}}\n"
        )
    }

    /// The next rows, or none at the end.
    fn next(&mut self) -> Option<String> {
        let end = (self.next + ROWS_AT_ONCE).min(self.rows + 1);
        let rows: String = (self.next..end).map(&self.row).collect();
        self.next = end;
        (!rows.is_empty()).then_some(rows)
    }
}

/// The import line of an activity.
fn activity(id: u64) -> String {
    format!(
        "{{\"kind\":\"activity\",\"activity_id\":{id},\"session_id\":null,\"activity_type\":\"deploy\",\
         \"description\":\"Deployed it, and looked through the logs of the last hour.\",\
         \"logged_at\":\"2025-06-01T10:00:00Z\",\"actor_id\":1}}\n"
    )
}

/// Imports rows with an owner's key, and returns the complete response.
///
/// # Errors
/// The connection failed, or was closed without a response.
pub(crate) async fn import(
    address: SocketAddr,
    key: &str,
    mut lines: ImportLines,
) -> io::Result<String> {
    let (mut response, mut body) = begin_import(address, key).await?;
    let sending = async {
        send(&mut body, lines.header().as_bytes()).await?;
        while let Some(rows) = lines.next() {
            send(&mut body, rows.as_bytes()).await?;
        }
        body.write_all(b"0\r\n\r\n").await?;
        // Nothing is left to send: only the response ends the import.
        std::future::pending::<io::Result<String>>().await
    };
    tokio::select! {
        biased;
        response = read_response(&mut response) => response,
        failed = sending => match failed {
            // The server may have sent a response before it closed the connection.
            Err(error) => timeout(REFUSED_PAUSE, read_response(&mut response)).await.unwrap_or(Err(error)),
            response => response,
        },
    }
}

/// Imports rows and blocks until the import has ended.
///
/// # Errors
/// The connection failed, the status is not 200, or a line was faulty.
pub(crate) fn import_blocking(
    address: SocketAddr,
    key: &str,
    lines: ImportLines,
) -> Result<(), NoiseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let response = runtime.block_on(import(address, key, lines))?;
    let is_whole = status(&response) == "200" && response.contains("\"faulty\":0");
    if is_whole { Ok(()) } else { Err(NoiseError::Import(response)) }
}

/// Sends the head of an import with a chunked body.
async fn begin_import(
    address: SocketAddr,
    key: &str,
) -> io::Result<(tokio::net::tcp::OwnedReadHalf, OwnedWriteHalf)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (response, mut body) = stream.into_split();
    let mut head = "POST /api/v1/import?actor_id=1 HTTP/1.1\r\nhost: localhost\r\n".to_owned();
    let _ = write!(head, "x-api-key: {key}\r\ncontent-type: application/x-ndjson\r\n");
    head.push_str("transfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    body.write_all(head.as_bytes()).await?;
    Ok((response, body))
}

async fn send(body: &mut OwnedWriteHalf, piece: &[u8]) -> io::Result<()> {
    body.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
    body.write_all(piece).await?;
    body.write_all(b"\r\n").await
}

/// Reads the complete response.
async fn read_response(response: &mut tokio::net::tcp::OwnedReadHalf) -> io::Result<String> {
    let mut all = Vec::new();
    let read = response.read_to_end(&mut all).await;
    if all.is_empty() {
        return Err(read.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}

/// The status in the first line of a response.
fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or(CUT)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;
    use crate::floor::web;

    async fn run_noise(kind: NoiseKind, connections: usize, time: Duration) -> ResponseCounts {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, web::router(&[8])).await });
        make_noise(&NoiseRequest { address, connections, time, kind }).await.unwrap()
    }

    #[tokio::test]
    async fn responses_are_counted_by_status() {
        let specs = [8, 9].map(|bytes| RequestSpec::get(web::path(bytes))).to_vec();
        let counts = run_noise(NoiseKind::RequestsOnce(specs), 3, Duration::from_mins(1)).await;
        let expected = [("200", 3), ("404", 3)].map(|(status, count)| (status.to_owned(), count));
        assert_eq!(counts, ResponseCounts(expected.into()));
    }

    #[test]
    fn a_wrong_key_is_well_formed() {
        let key = wrong_key(7);
        assert_eq!(key.len(), "roots_1_".len() + 43 + 6);
        assert!(key.starts_with("roots_1_0000"), "{key}");
        assert_ne!(wrong_key(8)[51..], key[51..], "the checksum depends on the secret");
    }

    #[test]
    fn an_import_sends_its_rows_once() {
        let mut lines = ImportLines::new(activity).take(ROWS_AT_ONCE + 1);
        let lengths: Vec<_> =
            std::iter::from_fn(|| lines.next()).map(|rows| rows.lines().count()).collect();
        assert_eq!(lengths, [64, 1]);
        let header: serde_json::Value = serde_json::from_str(&lines.header()).unwrap();
        assert_eq!(header["source"].as_str().unwrap().len(), 36);
    }
}
