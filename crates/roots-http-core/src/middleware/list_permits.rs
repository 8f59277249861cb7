//! Answers to reads: what each is granted before any text is decrypted, and how a large one is
//! sent.
//!
//! The maximum size of an answer follows from the lengths of the sealed texts. An answer that may
//! be large first needs a place of its account and memory. It is then decrypted row by row, and
//! turned into JSON as its client reads it: so the server holds the texts, not their JSON, which
//! may be six times as long.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use roots_domain::model::brief::{TOKEN_BYTES, TOKENS_MAX};
use roots_domain::model::id::AccountId;
use roots_domain::model::page::Page;
use roots_domain::service::access::Caller;
use roots_domain::service::accounts::Accounts;
use roots_domain::service::brief::SealedBrief;
use roots_domain::service::dashboard::SealedDashboard;
use roots_domain::service::{Opening, ReadError, SealedRow};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::yield_now;

use super::compression::AtLeast;
use super::fair_permits::{FairPermit, FairPermits, PermitLimits};
use super::memory_budget::MemoryBudget;
use crate::problem::Problem;

/// An answer up to this size needs no grant: a page of ordinary rows, or one text of ordinary
/// length.
pub(super) const SMALL_MAX_BYTES: u64 = 256 * 1024;
/// Size of a chunk of JSON; its last row may exceed it.
const CHUNK_BYTES: usize = 64 * 1024;
/// Most bytes of JSON for one byte of text, as in `\\u0001`.
const ESCAPED_MAX_BYTES: usize = 6;
/// Most bytes of JSON of a row beside its texts: names, ids, times.
const ROW_MAX_BYTES: usize = 512;
/// Most bytes of JSON of a page beside its rows: totals and a cursor.
const PAGE_MAX_BYTES: usize = 512;
/// Memory of a decrypted row beside its texts.
const ROW_HELD_BYTES: usize = 1024;
/// Memory of an answer that is being sent, beside its rows: the connection's buffers, and the next
/// chunk, which has up to one row of the longest texts.
const TELLING_HELD_BYTES: usize = 1024 * 1024;
/// Longest time that a request waits for a large answer of its account to end.
const PLACE_PATIENCE: Duration = Duration::from_secs(5);
/// Most large answers that an account has at once.
const LARGE_AT_ONCE_EACH: usize = 2;

/// How many reads of rows run at once for agents. Each holds up to 6.5 MiB of sealed texts, and as
/// much again while the database returns them.
const READS: PermitLimits =
    PermitLimits { at_once: 6, at_once_each: 4, waiting: 512, waiting_each: 128 };
/// The same for pages. One account so has six at once, fewer than the eight connections that each
/// thread reaches at least.
const READS_OF_PAGES: PermitLimits = PermitLimits { at_once: 4, at_once_each: 2, ..READS };
/// How many large answers an account's agents may have at once, and its pages. Their total number
/// is limited by memory only.
const LARGE: PermitLimits = PermitLimits {
    at_once: usize::MAX,
    at_once_each: LARGE_AT_ONCE_EACH,
    waiting: 512,
    waiting_each: 128,
};

/// Limits on lists: how many are read at once, and how much memory their answers may hold. Pages
/// have permits of their own, so no agent waits for people who look.
pub struct ListPermits {
    /// The permits of requests with an API key.
    pub of_agents: ReadPermits,
    /// The permits of requests with a browser key.
    pub of_pages: ReadPermits,
}

impl ListPermits {
    /// Permits with this memory for large answers, which agents and pages share.
    #[must_use]
    pub fn new(memory: MemoryBudget) -> Self {
        let of = |reads, memory| ReadPermits {
            reads: FairPermits::new(reads),
            large: FairPermits::new(LARGE),
            memory,
        };
        Self { of_agents: of(READS, memory.clone()), of_pages: of(READS_OF_PAGES, memory) }
    }

    /// The permits of that caller.
    #[must_use]
    pub const fn of(&self, caller: &Caller) -> &ReadPermits {
        if caller.sign_in.is_some() { &self.of_pages } else { &self.of_agents }
    }
}

/// The permits of agents, or those of pages.
pub struct ReadPermits {
    reads: FairPermits,
    large: FairPermits,
    memory: MemoryBudget,
}

/// Rows that were read and not decrypted yet.
pub trait FoundRows {
    /// Whether the read waits for the account's turn. A single row does not.
    const IN_TURN: bool = true;

    /// The number of rows.
    fn rows(&self) -> usize;
    /// The size of their sealed texts in bytes.
    fn sealed_bytes(&self) -> usize;
    /// Whether more rows follow in the same answer.
    fn goes_on(&self) -> bool {
        false
    }
    /// The most memory that an answer takes that is made as a whole: by default its size in JSON.
    fn whole_max_bytes(&self) -> usize {
        json_max_bytes(self.rows(), self.sealed_bytes())
    }
}

impl<S: SealedRow> FoundRows for Page<S> {
    fn rows(&self) -> usize {
        self.items.len()
    }

    fn sealed_bytes(&self) -> usize {
        self.items.iter().map(SealedRow::sealed_bytes).sum()
    }
}

impl<S: SealedRow> FoundRows for Option<S> {
    const IN_TURN: bool = false;

    fn rows(&self) -> usize {
        usize::from(self.is_some())
    }

    fn sealed_bytes(&self) -> usize {
        self.as_ref().map_or(0, SealedRow::sealed_bytes)
    }
}

impl FoundRows for SealedDashboard {
    fn rows(&self) -> usize {
        self.todos.len() + self.next_up.len() + self.waiting.len() + self.latest.len()
    }

    fn sealed_bytes(&self) -> usize {
        self.texts().filter_map(|(_, text)| text.as_ref()).map(|text| text.0.len()).sum()
    }
}

impl FoundRows for SealedBrief {
    fn rows(&self) -> usize {
        SealedBrief::rows(self)
    }

    fn sealed_bytes(&self) -> usize {
        self.texts().filter_map(|(_, text)| text.as_ref()).map(|text| text.0.len()).sum()
    }

    /// A brief is shortened before it becomes JSON. Beside that, its texts are held: sealed,
    /// opened, and with less of each.
    fn whole_max_bytes(&self) -> usize {
        const ANSWER_MAX_BYTES: usize = (TOKENS_MAX * TOKEN_BYTES) as usize;
        2 * ANSWER_MAX_BYTES + 3 * self.sealed_bytes()
    }
}

/// The maximum size in JSON of `rows` rows with `text_bytes` bytes of text.
#[must_use]
pub const fn json_max_bytes(rows: usize, text_bytes: usize) -> usize {
    PAGE_MAX_BYTES + rows * ROW_MAX_BYTES + text_bytes * ESCAPED_MAX_BYTES
}

/// The maximum memory of an answer while it is sent in chunks.
#[must_use]
pub const fn streamed_max_bytes(rows: usize, text_bytes: usize) -> usize {
    TELLING_HELD_BYTES + rows * ROW_HELD_BYTES + text_bytes
}

impl ReadPermits {
    /// Waits for the account's turn to read rows. Keep the permit while they are read and
    /// decrypted.
    ///
    /// # Errors
    /// 503: the queue is full.
    pub async fn permit(&self, account: AccountId) -> Result<FairPermit, Problem> {
        self.reads.take(account).await.map_err(|_| Problem::too_many_wait())
    }

    /// Reads rows, in the account's turn if they need one, and reserves room for the answer before
    /// anything is decrypted. If the account already has its large answers, the rows are dropped
    /// and read again once there is a place.
    ///
    /// Inside: 503 if the queue is full or no memory is left; 429 if the account's large answers
    /// took too long.
    ///
    /// # Errors
    /// The error of `find`.
    pub async fn read<T, E, F>(
        &self,
        account: AccountId,
        find: impl Fn() -> F,
    ) -> Result<Result<(T, Room), Problem>, ReadError>
    where
        T: FoundRows,
        F: Future<Output = Result<T, E>>,
        ReadError: From<E>,
    {
        let mut permit = match self.permit_of::<T>(account).await {
            Ok(permit) => permit,
            Err(problem) => return Ok(Err(problem)),
        };
        let mut found = find().await?;
        if !is_perhaps_large(&found) {
            return Ok(Ok((found, Room { permit, large: None })));
        }
        let place = if let Some(place) = self.large.try_take(account) {
            place
        } else {
            drop((found, permit));
            let place = match self.place(account).await {
                Ok(place) => place,
                Err(problem) => return Ok(Err(problem)),
            };
            permit = match self.permit_of::<T>(account).await {
                Ok(permit) => permit,
                Err(problem) => return Ok(Err(problem)),
            };
            found = find().await?;
            place
        };
        let (rows, texts) = (found.rows(), found.sealed_bytes());
        let whole = if found.goes_on() { usize::MAX } else { found.whole_max_bytes() };
        let bytes = whole.min(streamed_max_bytes(rows, texts)) as u64;
        let Some(taken) = self.memory.take(bytes) else {
            return Ok(Err(Problem::no_room_for_answer()));
        };
        let (taken, memory) = (Mutex::new(taken), self.memory.clone());
        let large = Some(Arc::new(Large { taken, memory, _place: place }));
        Ok(Ok((found, Room { permit, large })))
    }

    /// Reads further rows of an answer that has this room, in the account's turn, and makes the
    /// room large enough for them. Keep the permit while they are decrypted.
    ///
    /// Inside: 503 if the queue is full or no memory is left.
    ///
    /// # Errors
    /// The error of `find`.
    pub async fn read_on<T, E, F>(
        &self,
        account: AccountId,
        room: &Room,
        find: impl Fn() -> F,
    ) -> Result<Result<(T, FairPermit), Problem>, ReadError>
    where
        T: FoundRows,
        F: Future<Output = Result<T, E>>,
        ReadError: From<E>,
    {
        let permit = match self.permit(account).await {
            Ok(permit) => permit,
            Err(problem) => return Ok(Err(problem)),
        };
        let found = find().await?;
        let bytes = streamed_max_bytes(found.rows(), found.sealed_bytes()) as u64;
        let has_room = room.large.as_ref().is_none_or(|large| large.grow(bytes));
        let found = (found, permit);
        Ok(if has_room { Ok(found) } else { Err(Problem::no_room_for_answer()) })
    }

    async fn permit_of<T: FoundRows>(
        &self,
        account: AccountId,
    ) -> Result<Option<FairPermit>, Problem> {
        if T::IN_TURN { self.permit(account).await.map(Some) } else { Ok(None) }
    }

    async fn place(&self, account: AccountId) -> Result<FairPermit, Problem> {
        let place = tokio::time::timeout(PLACE_PATIENCE, self.large.take(account)).await;
        place
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| Problem::too_many_large(LARGE_AT_ONCE_EACH, "answers"))
    }
}

fn is_perhaps_large(found: &impl FoundRows) -> bool {
    found.goes_on() || found.whole_max_bytes() as u64 > SMALL_MAX_BYTES
}

/// The memory reserved for an answer, until it is sent or its connection is closed.
#[derive(Default)]
pub struct Room {
    permit: Option<FairPermit>,
    /// `None` for a small answer.
    large: Option<Arc<Large>>,
}

/// What a large answer has reserved. Each chunk of it shares that until it is sent.
struct Large {
    _place: FairPermit,
    memory: MemoryBudget,
    taken: Mutex<OwnedSemaphorePermit>,
}

impl Large {
    /// Reserves what is missing to `bytes`. Returns whether it was free.
    fn grow(&self, bytes: u64) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.memory.grow(&mut taken, bytes)
    }

    /// Reserves exactly `bytes`. Returns whether they were free.
    fn fit(&self, bytes: u64) -> bool {
        let is_enough = self.grow(bytes);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        MemoryBudget::shrink(&mut taken, bytes);
        is_enough
    }
}

/// Marks an answer for which a [`Room`] has reserved memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roomed;

impl Room {
    /// Decrypts rows and converts them to their JSON form. If they may be large, it yields the
    /// thread after each row.
    ///
    /// # Errors
    /// A row can't be decrypted.
    pub async fn open<S: SealedRow, B: From<S::Open>>(
        &self,
        opening: Opening<S>,
    ) -> Result<VecDeque<B>, ReadError> {
        let mut rows = VecDeque::new();
        for row in opening {
            rows.push_back(B::from(row?));
            if self.large.is_some() {
                yield_now().await;
            }
        }
        Ok(rows)
    }

    /// Holds an answer that is complete. Memory reserved beyond its size is given back, and all of
    /// it if the answer is small. What is missing is reserved too; without it, the answer is 503.
    pub async fn hold(self, response: Response) -> Response {
        let Some(large) = self.large else { return response };
        let length = response.body().size_hint().exact().unwrap_or(u64::MAX);
        if length <= SMALL_MAX_BYTES {
            return response;
        }
        if !large.fit(length) {
            return Problem::no_room_for_answer().into_response();
        }
        hold_until_sent(response, large).await
    }

    /// A chunk of the answer, which keeps what is reserved for the answer until it was sent.
    fn held(&self, bytes: Bytes) -> Bytes {
        match self.large.clone() {
            Some(large) => Bytes::from_owner(SentBytes { bytes, _reserved: large }),
            None => bytes,
        }
    }

    /// Ends the turn of the first read: further reads take turns of their own, and requests that
    /// hold one and wait for another could all wait for each other.
    fn without_turn(self) -> Self {
        let Self { permit, large } = self;
        drop(permit);
        Self { permit: None, large }
    }

    /// Sends an answer in chunks, each made when its client has taken the one before.
    ///
    /// # Errors
    /// The error of the first chunk.
    pub async fn stream(self, mut chunks: impl AnswerChunks) -> Result<Response, Problem> {
        let room = self.without_turn();
        let first = chunks.next(&room).await.transpose()?;
        Ok(tell_on(Vec::from_iter(first), chunks, room))
    }

    /// Sends an answer in chunks: at once if it is small, or else as its client reads it.
    ///
    /// # Errors
    /// The error of a chunk, before anything is sent.
    pub async fn tell(self, mut chunks: impl AnswerChunks) -> Result<Response, Problem> {
        let room = self.without_turn();
        let mut made = Vec::new();
        let mut bytes = 0;
        while let Some(chunk) = chunks.next(&room).await {
            let chunk = chunk?;
            bytes += chunk.len();
            made.push(chunk);
            if room.large.is_some() {
                if bytes as u64 > SMALL_MAX_BYTES {
                    return Ok(tell_on(made, chunks, room));
                }
                yield_now().await;
            }
        }
        let whole = if made.len() == 1 { made.remove(0) } else { made.concat().into() };
        Ok(as_json(Body::from(whole)))
    }
}

/// Sends the chunks that are ready, and then the rest.
fn tell_on(made: Vec<Bytes>, chunks: impl AnswerChunks, room: Room) -> Response {
    let at_least = made.iter().map(Bytes::len).sum::<usize>() as u64;
    let made: Vec<_> = made.into_iter().map(|chunk| Ok(room.held(chunk))).collect();
    let rest = stream::unfold((chunks, room), |(mut chunks, room)| async {
        // Other tasks of this thread come first: a client that reads as fast as this writes would
        // occupy the thread.
        yield_now().await;
        let chunk = match chunks.next(&room).await? {
            Ok(chunk) => Ok(room.held(chunk)),
            Err(problem) => {
                let cause = problem.cause().unwrap_or_default();
                tracing::warn!(cause, "an answer broke off: {}", problem.detail());
                // The connection is closed, so that the answer is not taken for complete.
                Err(io::Error::other("the answer broke off"))
            }
        };
        Some((chunk, (chunks, room)))
    });
    let chunks = stream::iter(made).chain(rest).fuse();
    let mut response = as_json(Body::from_stream(chunks));
    response.extensions_mut().insert(AtLeast(at_least));
    response
}

fn as_json(body: Body) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], body).into_response()
}

/// Keeps what an answer has reserved until its bytes were sent or its connection is closed.
pub(super) async fn hold_until_sent<T: Send + 'static>(
    response: Response,
    reserved: T,
) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.extensions.insert(Roomed);
    // The body is one chunk, which is not copied.
    match body.collect().await {
        Ok(whole) => {
            let held = SentBytes { bytes: whole.to_bytes(), _reserved: reserved };
            Response::from_parts(parts, Body::from(Bytes::from_owner(held)))
        }
        Err(_) => Problem::internal("a whole answer could not be read").into_response(),
    }
}

/// Bytes with what was reserved for them. A body is dropped when it was handed over, its bytes when
/// they were sent.
struct SentBytes<T> {
    bytes: Bytes,
    _reserved: T,
}

impl<T> AsRef<[u8]> for SentBytes<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// An answer that is produced in chunks.
pub trait AnswerChunks: Send + 'static {
    /// The next chunk of the answer, which has this room; `None` at the end.
    fn next(&mut self, room: &Room) -> impl Future<Output = Option<Result<Bytes, Problem>>> + Send;
}

/// A document that holds a list of rows, each turned into JSON when it is asked for.
pub struct JsonRows<B> {
    buffer: Vec<u8>,
    left: VecDeque<B>,
    has_begun: bool,
    /// What follows the rows; `None` once it was sent.
    tail: Option<Vec<u8>>,
}

impl<B: Serialize> JsonRows<B> {
    /// Puts these rows into the list of `document`, which must be its first member and empty.
    pub fn new(document: &impl Serialize, rows: VecDeque<B>) -> Self {
        // Strings, numbers and lists always serialize.
        let mut head = serde_json::to_vec(document).unwrap_or_default();
        let list = head.windows(2).position(|two| two == b"[]").map_or(head.len(), |at| at + 1);
        let tail = head.split_off(list);
        Self { buffer: head, left: rows, has_begun: false, tail: Some(tail) }
    }

    /// Adds rows to the end of the list.
    pub fn extend(&mut self, rows: VecDeque<B>) {
        self.left.extend(rows);
    }

    /// The next chunk, with the end of the document if no rows follow; `None` if there is nothing
    /// to send.
    pub fn chunk(&mut self, is_last: bool) -> Option<Bytes> {
        while self.buffer.len() < CHUNK_BYTES {
            let Some(row) = self.left.pop_front() else {
                if is_last {
                    self.buffer.extend(self.tail.take().unwrap_or_default());
                }
                break;
            };
            if self.has_begun {
                self.buffer.push(b',');
            }
            self.has_begun = true;
            let _ = serde_json::to_writer(&mut self.buffer, &row);
        }
        let chunk = std::mem::take(&mut self.buffer);
        (!chunk.is_empty()).then(|| chunk.into())
    }
}

impl<B: Serialize + Send + 'static> AnswerChunks for JsonRows<B> {
    async fn next(&mut self, _: &Room) -> Option<Result<Bytes, Problem>> {
        self.chunk(true).map(Ok)
    }
}

/// Sends a page of a list whose rows have texts.
///
/// # Errors
/// A row can't be decrypted.
pub async fn tell_page<S: SealedRow, B>(
    accounts: &Accounts,
    caller: &Caller,
    (found, room): (Vec<S>, Room),
    page: &impl Serialize,
) -> Result<Response, Problem>
where
    B: From<S::Open> + Serialize + Send + 'static,
{
    let opening = accounts.opening(caller, found).await?;
    let rows = room.open::<_, B>(opening).await?;
    room.tell(JsonRows::new(page, rows)).await
}

/// Sends a row: decrypted, and converted by `word`.
///
/// # Errors
/// A row can't be decrypted.
pub async fn tell_one<S: SealedRow>(
    accounts: &Accounts,
    caller: &Caller,
    (found, room): (S, Room),
    word: impl FnOnce(S::Open) -> Response,
) -> Result<Response, Problem> {
    let mut opening = accounts.opening(caller, vec![found]).await?;
    let opened = opening.next().transpose()?;
    let opened = opened.ok_or_else(|| Problem::internal("a row was lost"))?;
    Ok(room.hold(word(opened)).await)
}
