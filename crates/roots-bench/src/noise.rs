//! What a neighbour does: load without regard for others, in a process of its own and of the lowest
//! priority, so that it takes of the machine what the server leaves.
//!
//! What to do comes in on the standard input as an [`Order`]; what it was answered goes out on the
//! standard output as [`Answers`].

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

use crate::client::{Ask, Client};

/// Rows of an import before the next one begins, and those that are sent at a time.
const IMPORT_ROWS: u64 = 20_000;
const ROWS_AT_ONCE: u64 = 64;
/// How often an import that drips sends a newline.
const DRIP_EVERY: Duration = Duration::from_secs(12);
/// Where nobody listens, the next try comes so much later.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);
/// What is counted where there was no whole answer.
const CUT: &str = "cut";

/// What to do, and for how long.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Each connection asks again as soon as it is answered, whatever the answer.
    Ask(Vec<Ask>),
    /// As [`Kind::Ask`], and takes the answers compressed.
    AskCompressed(Vec<Ask>),
    /// As [`Kind::Ask`], each request once, and then nothing.
    AskOnce(Vec<Ask>),
    /// `GET /sessions` with keys of the right form that no account has.
    WrongKeys,
    /// Imports with these owners' keys in turn, one after the other.
    Import(Vec<String>),
    /// Imports that send a newline every 12 s and nothing else.
    Drip(Vec<String>),
    /// Connects, says nothing, and connects again once the server has closed.
    Idle,
}

/// What was answered: how often each status, and how often there was no whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answers(pub(crate) BTreeMap<String, u64>);

impl Answers {
    fn count(&mut self, answer: &str) {
        *self.0.entry(answer.to_owned()).or_default() += 1;
    }
}

/// Why there is no neighbour.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoiseError {
    #[error("no order: {0}")]
    Order(String),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("this can't be asked: {0}")]
    Ask(#[from] hyper::http::Error),
    #[error("this can't be a key: {0}")]
    Key(#[from] InvalidHeaderValue),
    #[error("an import was answered {0}")]
    Import(String),
}

/// Carries out the order on the standard input.
///
/// # Errors
/// See [`NoiseError`]. Nothing that the server answers is one.
pub(crate) fn perform() -> Result<Answers, NoiseError> {
    let mut order = String::new();
    io::stdin().read_to_string(&mut order)?;
    let order: Order =
        serde_json::from_str(&order).map_err(|error| NoiseError::Order(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(make(&order))
}

async fn make(order: &Order) -> Result<Answers, NoiseError> {
    let answers = Arc::<Mutex<Answers>>::default();
    let mut tasks = JoinSet::new();
    for number in 0..order.connections {
        let noise = Noise { address: order.address, number, answers: Arc::clone(&answers) };
        let owner = |keys: &[String]| keys[number % keys.len()].clone();
        match &order.kind {
            Kind::Ask(asks) => {
                let requests = requests(asks)?;
                tasks.spawn(async move { noise.ask(requests.into_iter().cycle()).await })
            }
            Kind::AskCompressed(asks) => {
                let mut requests = requests(asks)?;
                for request in &mut requests {
                    let value = HeaderValue::from_static("gzip, br");
                    request.headers_mut().insert(ACCEPT_ENCODING, value);
                }
                tasks.spawn(async move { noise.ask(requests.into_iter().cycle()).await })
            }
            Kind::AskOnce(asks) => {
                let requests = requests(asks)?;
                tasks.spawn(async move { noise.ask(requests.into_iter()).await })
            }
            Kind::WrongKeys => {
                let request = Ask::plain("/api/v1/sessions".to_owned()).request()?;
                tasks.spawn(async move { noise.ask(guesses(number, &request)).await })
            }
            Kind::Import(keys) => {
                let key = owner(keys);
                tasks.spawn(async move { noise.import(&key).await })
            }
            Kind::Drip(keys) => {
                let key = owner(keys);
                tasks.spawn(async move { noise.drip(&key).await })
            }
            Kind::Idle => tasks.spawn(async move { noise.idle().await }),
        };
    }
    // What was asked once may end early, and is over then all the same.
    sleep(order.time).await;
    tasks.shutdown().await;
    Ok(std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn requests(asks: &[Ask]) -> Result<Vec<Request<Full<Bytes>>>, NoiseError> {
    Ok(asks.iter().map(Ask::request).collect::<Result<_, _>>()?)
}

/// Requests with wrong keys, none of which was sent before.
fn guesses(
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

/// A key of the right form and with the right checksum.
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
struct Noise {
    address: SocketAddr,
    number: usize,
    answers: Arc<Mutex<Answers>>,
}

impl Noise {
    fn count(&self, answer: &str) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).count(answer);
    }

    async fn ask(self, mut requests: impl Iterator<Item = Request<Full<Bytes>>>) {
        loop {
            let Ok(mut client) = Client::open(self.address).await else {
                self.count(CUT);
                sleep(REFUSED_PAUSE).await;
                continue;
            };
            loop {
                let Some(request) = requests.next() else { return };
                let Ok(status) = client.pass(request).await else {
                    self.count(CUT);
                    break;
                };
                self.count(status.as_str());
            }
        }
    }

    async fn import(self, key: &str) {
        loop {
            let lines = Lines::new(activity);
            let answered = import(self.address, key, lines.take(IMPORT_ROWS)).await;
            self.count_import(answered).await;
        }
    }

    async fn drip(self, key: &str) {
        // They do not all come in the same moment of the 12 s.
        sleep(Duration::from_millis(self.number as u64 % 100)).await;
        loop {
            let answered = async {
                let (mut answer, mut body) = begin_import(self.address, key).await?;
                let dripping = async {
                    loop {
                        send(&mut body, b"\n").await?;
                        sleep(DRIP_EVERY).await;
                    }
                };
                tokio::select! {
                    answered = heard(&mut answer) => answered,
                    failed = dripping => failed,
                }
            };
            let answered = answered.await;
            self.count_import(answered).await;
        }
    }

    async fn count_import(&self, answered: io::Result<String>) {
        if let Ok(answer) = answered {
            self.count(status(&answer));
        } else {
            self.count(CUT);
            sleep(REFUSED_PAUSE).await;
        }
    }

    async fn idle(self) {
        loop {
            if let Ok(mut stream) = TcpStream::connect(self.address).await {
                // Nothing comes but the end.
                let _ = stream.read(&mut [0; 64]).await;
                self.count("closed");
            } else {
                self.count(CUT);
                sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

/// Rows of an export of an account that is nowhere else.
pub(crate) struct Lines {
    source: u64,
    row: fn(u64) -> String,
    next: u64,
    rows: u64,
}

impl Lines {
    pub(crate) fn new(row: fn(u64) -> String) -> Self {
        Self { source: RandomState::new().hash_one(0), row, next: 1, rows: 0 }
    }

    pub(crate) const fn take(mut self, rows: u64) -> Self {
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

    /// The next rows, none at the end.
    fn next(&mut self) -> Option<String> {
        let end = (self.next + ROWS_AT_ONCE).min(self.rows + 1);
        let rows: String = (self.next..end).map(self.row).collect();
        self.next = end;
        (!rows.is_empty()).then_some(rows)
    }
}

/// The line of an activity.
fn activity(id: u64) -> String {
    format!(
        "{{\"kind\":\"activity\",\"activity_id\":{id},\"session_id\":null,\"activity_type\":\"deploy\",\
         \"description\":\"Deployed it, and looked through the logs of the last hour.\",\
         \"logged_at\":\"2025-06-01T10:00:00Z\",\"actor_id\":1}}\n"
    )
}

/// Imports rows as the owner that `key` is of, and answers the whole answer.
///
/// # Errors
/// The connection failed, or was closed without an answer.
pub(crate) async fn import(address: SocketAddr, key: &str, mut lines: Lines) -> io::Result<String> {
    let (mut answer, mut body) = begin_import(address, key).await?;
    let sending = async {
        send(&mut body, lines.header().as_bytes()).await?;
        while let Some(rows) = lines.next() {
            send(&mut body, rows.as_bytes()).await?;
        }
        body.write_all(b"0\r\n\r\n").await?;
        // The rest is the server's to say.
        std::future::pending::<io::Result<String>>().await
    };
    tokio::select! {
        biased;
        answered = heard(&mut answer) => answered,
        failed = sending => match failed {
            // It may have been answered before it was cut off.
            Err(error) => timeout(REFUSED_PAUSE, heard(&mut answer)).await.unwrap_or(Err(error)),
            answered => answered,
        },
    }
}

/// Imports rows while nothing else is done.
///
/// # Errors
/// It was not answered, or not with 200.
pub(crate) fn import_alone(address: SocketAddr, key: &str, lines: Lines) -> Result<(), NoiseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(import(address, key, lines))?;
    if status(&answer) == "200" { Ok(()) } else { Err(NoiseError::Import(answer)) }
}

/// Sends the head of an import, whose body comes in pieces.
async fn begin_import(
    address: SocketAddr,
    key: &str,
) -> io::Result<(tokio::net::tcp::OwnedReadHalf, OwnedWriteHalf)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (answer, mut body) = stream.into_split();
    let mut head = "POST /api/v1/import?actor_id=1 HTTP/1.1\r\nhost: localhost\r\n".to_owned();
    let _ = write!(head, "x-api-key: {key}\r\ncontent-type: application/x-ndjson\r\n");
    head.push_str("transfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    body.write_all(head.as_bytes()).await?;
    Ok((answer, body))
}

async fn send(body: &mut OwnedWriteHalf, piece: &[u8]) -> io::Result<()> {
    body.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
    body.write_all(piece).await?;
    body.write_all(b"\r\n").await
}

/// Waits for the answer, to its end.
async fn heard(answer: &mut tokio::net::tcp::OwnedReadHalf) -> io::Result<String> {
    let mut all = Vec::new();
    let read = answer.read_to_end(&mut all).await;
    if all.is_empty() {
        return Err(read.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}

/// The status of an answer, as it stands in its first line.
fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(CUT)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;
    use crate::floor::web;

    async fn made(kind: Kind, connections: usize, time: Duration) -> Answers {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, web::router(&[8])).await });
        make(&Order { address, connections, time, kind }).await.unwrap()
    }

    #[tokio::test]
    async fn every_answer_is_counted_by_its_status() {
        let asks = [8, 9].map(|bytes| Ask::plain(web::path(bytes))).to_vec();
        let answers = made(Kind::AskOnce(asks), 3, Duration::from_millis(500)).await;
        let expected = [("200", 3), ("404", 3)].map(|(status, count)| (status.to_owned(), count));
        assert_eq!(answers, Answers(expected.into()));
    }

    #[test]
    fn a_wrong_key_has_the_form_of_a_key() {
        let key = wrong_key(7);
        assert_eq!(key.len(), "roots_1_".len() + 43 + 6);
        assert!(key.starts_with("roots_1_0000"), "{key}");
        assert_ne!(wrong_key(8)[51..], key[51..], "the checksum depends on the secret");
    }

    #[test]
    fn an_import_sends_its_rows_once() {
        let mut lines = Lines::new(activity).take(ROWS_AT_ONCE + 1);
        let lengths: Vec<_> =
            std::iter::from_fn(|| lines.next()).map(|rows| rows.lines().count()).collect();
        assert_eq!(lengths, [64, 1]);
        let header: serde_json::Value = serde_json::from_str(&lines.header()).unwrap();
        assert_eq!(header["source"].as_str().unwrap().len(), 36);
    }
}
