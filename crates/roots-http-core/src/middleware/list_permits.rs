//! Answers to reads: what is granted to each before any text is opened, and how a large one is told.
//!
//! The most that an answer may come to is known from the lengths of the sealed texts. One that may be
//! large needs a place of its account and its memory first. It is then opened row by row, and turned into
//! JSON as its client takes it: what is held are its texts, not six times as much.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use roots_domain::model::activity::Activity;
use roots_domain::model::id::AccountId;
use roots_domain::model::page::Page;
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::Session;
use roots_domain::model::todo::Todo;
use roots_domain::service::access::Caller;
use roots_domain::service::accounts::Accounts;
use roots_domain::service::todos::LogChunk;
use roots_domain::service::{Opening, ReadError, SealedRow};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::yield_now;

use super::compression::AtLeast;
use super::fair_permits::{FairPermit, FairPermits, PermitLimits};
use super::memory_budget::MemoryBudget;
use crate::problem::Problem;

/// An answer up to this needs no grant: a page of ordinary rows, or any one text as people write.
const SMALL_MAX_BYTES: u64 = 256 * 1024;
/// JSON is handed on in chunks of so many bytes, and a row more.
const CHUNK_BYTES: usize = 64 * 1024;
/// Most bytes of JSON for one byte of text: `\\u0001`.
const ESCAPED_MAX_BYTES: usize = 6;
/// Most bytes of JSON of a row beside its texts: names, ids, times.
const ROW_MAX_BYTES: usize = 512;
/// Most bytes of JSON of a page beside its rows: totals and a cursor.
const PAGE_MAX_BYTES: usize = 512;
/// What an opened row holds beside its texts.
const ROW_HELD_BYTES: usize = 1024;
/// What an answer that is being told holds beside its rows: what the connection has buffered, and the
/// chunk that is next, which has up to one row of the longest texts.
const TELLING_HELD_BYTES: usize = 1024 * 1024;
/// Longest time that a request waits until its account may have another large answer.
const PLACE_PATIENCE: Duration = Duration::from_secs(5);
/// Most large answers at a time that an account gets.
const LARGE_AT_ONCE_EACH: usize = 2;

/// How many reads of rows run at a time. Each holds up to 6.5 MiB of sealed texts, and once more as much
/// while the database hands them over.
const READS: PermitLimits =
    PermitLimits { at_once: 6, at_once_each: 4, waiting: 512, waiting_each: 128 };
/// How many answers are large at a time. How many there are in all is for the memory to say.
const LARGE: PermitLimits = PermitLimits {
    at_once: usize::MAX,
    at_once_each: LARGE_AT_ONCE_EACH,
    waiting: 512,
    waiting_each: 128,
};

/// Who may read, and what answers may hold.
pub struct ListPermits {
    reads: FairPermits,
    large: FairPermits,
    memory: MemoryBudget,
}

/// What was read, and not opened yet.
pub trait FoundRows {
    /// How many rows it has.
    fn rows(&self) -> usize;
    /// How many bytes their sealed texts have.
    fn sealed_bytes(&self) -> usize;
    /// Whether more rows follow, which will be told in the same answer.
    fn goes_on(&self) -> bool {
        false
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

macro_rules! found_alone {
    ($($row:ident),+) => {
        $(
            impl FoundRows for Option<$row<Sealed>> {
                fn rows(&self) -> usize {
                    usize::from(self.is_some())
                }

                fn sealed_bytes(&self) -> usize {
                    self.as_ref().map_or(0, SealedRow::sealed_bytes)
                }
            }
        )+
    };
}

found_alone!(Session, Todo, Activity);

impl FoundRows for Option<LogChunk> {
    fn rows(&self) -> usize {
        self.as_ref().map_or(0, |chunk| chunk.steps.len())
    }

    fn sealed_bytes(&self) -> usize {
        self.iter().flat_map(|chunk| &chunk.steps).map(SealedRow::sealed_bytes).sum()
    }

    fn goes_on(&self) -> bool {
        self.as_ref().is_some_and(|chunk| chunk.next.is_some())
    }
}

/// Most bytes of JSON that so many rows may become, whose texts have so many bytes.
#[must_use]
pub const fn json_max_bytes(rows: usize, text_bytes: usize) -> usize {
    PAGE_MAX_BYTES + rows * ROW_MAX_BYTES + text_bytes * ESCAPED_MAX_BYTES
}

/// Most bytes that are held of an answer while it is told chunk by chunk.
#[must_use]
pub const fn told_max_bytes(rows: usize, text_bytes: usize) -> usize {
    TELLING_HELD_BYTES + rows * ROW_HELD_BYTES + text_bytes
}

impl ListPermits {
    /// With so much memory for what is large.
    #[must_use]
    pub fn new(memory: MemoryBudget) -> Self {
        Self { reads: FairPermits::new(READS), large: FairPermits::new(LARGE), memory }
    }

    /// The account's turn to read rows, kept while they are read and opened.
    ///
    /// # Errors
    /// 503: as many wait as may.
    pub async fn permit(&self, account: AccountId) -> Result<FairPermit, Problem> {
        self.reads.take(account).await.map_err(|_| Problem::too_many_wait())
    }

    /// Reads rows in the account's turn, and has room made for the answer before anything is opened.
    /// Where the account has its large answers already, what was read is let go, and read again once
    /// there is a place.
    ///
    /// Inside: 503, as many wait as may, or there is no memory left; 429, the account's large answers took
    /// too long.
    ///
    /// # Errors
    /// What `find` answers.
    pub async fn read<'a, T, E, F>(
        &self,
        caller: &'a Caller,
        find: impl Fn(&'a Caller) -> F,
    ) -> Result<Result<(T, Room), Problem>, ReadError>
    where
        T: FoundRows,
        F: Future<Output = Result<T, E>>,
        ReadError: From<E>,
    {
        self.with_room(caller.account.id, || find(caller), true).await
    }

    /// The same of one row, which waits for no turn.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_one<'a, T, E, F>(
        &self,
        caller: &'a Caller,
        find: impl Fn(&'a Caller) -> F,
    ) -> Result<Result<(T, Room), Problem>, ReadError>
    where
        T: FoundRows,
        F: Future<Output = Result<T, E>>,
        ReadError: From<E>,
    {
        self.with_room(caller.account.id, || find(caller), false).await
    }

    async fn with_room<T, E, F>(
        &self,
        account: AccountId,
        find: impl Fn() -> F,
        in_turn: bool,
    ) -> Result<Result<(T, Room), Problem>, ReadError>
    where
        T: FoundRows,
        F: Future<Output = Result<T, E>>,
        ReadError: From<E>,
    {
        let mut permit = match self.permit_of(account, in_turn).await {
            Ok(permit) => permit,
            Err(problem) => return Ok(Err(problem)),
        };
        let mut found = find().await?;
        if !is_perhaps_large(&found) {
            return Ok(Ok((found, Room { _permit: permit, large: None })));
        }
        let place = if let Some(place) = self.large.try_take(account) {
            place
        } else {
            drop((found, permit));
            let place = match self.place(account).await {
                Ok(place) => place,
                Err(problem) => return Ok(Err(problem)),
            };
            permit = match self.permit_of(account, in_turn).await {
                Ok(permit) => permit,
                Err(problem) => return Ok(Err(problem)),
            };
            found = find().await?;
            place
        };
        let (rows, texts) = (found.rows(), found.sealed_bytes());
        let whole = if found.goes_on() { usize::MAX } else { json_max_bytes(rows, texts) };
        let bytes = whole.min(told_max_bytes(rows, texts)) as u64;
        let Some(taken) = self.memory.take(bytes) else {
            return Ok(Err(Problem::no_room_for_answer()));
        };
        Ok(Ok((found, Room { _permit: permit, large: Some(Large { taken, _place: place }) })))
    }

    async fn permit_of(
        &self,
        account: AccountId,
        in_turn: bool,
    ) -> Result<Option<FairPermit>, Problem> {
        if in_turn { self.permit(account).await.map(Some) } else { Ok(None) }
    }

    async fn place(&self, account: AccountId) -> Result<FairPermit, Problem> {
        let place = tokio::time::timeout(PLACE_PATIENCE, self.large.take(account)).await;
        place.ok().and_then(Result::ok).ok_or_else(|| Problem::too_many_large(LARGE_AT_ONCE_EACH))
    }
}

fn is_perhaps_large(found: &impl FoundRows) -> bool {
    let whole = json_max_bytes(found.rows(), found.sealed_bytes()) as u64;
    found.goes_on() || whole > SMALL_MAX_BYTES
}

/// Room for an answer, until it is sent or its connection is gone.
#[derive(Default)]
pub struct Room {
    _permit: Option<FairPermit>,
    /// `None` for one that is small.
    large: Option<Large>,
}

/// What a large answer has taken.
struct Large {
    _place: FairPermit,
    taken: OwnedSemaphorePermit,
}

impl Room {
    /// Opens rows and makes them what is told of them. Where they may be large, the thread is left to
    /// others after each.
    ///
    /// # Errors
    /// A row that does not open.
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

    /// An answer that is there as a whole. What was taken for more than it has is given back, and all of
    /// it where it turned out to be small.
    pub async fn hold(self, response: Response) -> Response {
        let Some(mut large) = self.large else { return response };
        let length = response.body().size_hint().exact().unwrap_or(u64::MAX);
        if length <= SMALL_MAX_BYTES {
            return response;
        }
        MemoryBudget::shrink(&mut large.taken, length);
        let (parts, body) = response.into_parts();
        // It is in one chunk, which is not copied.
        match body.collect().await {
            Ok(whole) => {
                let held = SentBytes { bytes: whole.to_bytes(), _large: large };
                Response::from_parts(parts, Body::from(Bytes::from_owner(held)))
            }
            Err(_) => Problem::internal("a whole answer could not be read").into_response(),
        }
    }

    /// An answer in chunks: whole if it turns out to be small, or else told as its client takes it.
    ///
    /// # Errors
    /// What a chunk fails with, before anything is told.
    pub async fn tell(self, mut chunks: impl AnswerChunks) -> Result<Response, Problem> {
        let Self { _permit: permit, large } = self;
        // What is read on takes a turn of its own.
        drop(permit);
        let mut made = Vec::new();
        let mut bytes = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            bytes += chunk.len();
            made.push(chunk);
            if large.is_some() {
                if bytes as u64 > SMALL_MAX_BYTES {
                    return Ok(tell_on(made, chunks, large));
                }
                yield_now().await;
            }
        }
        let whole = if made.len() == 1 { made.remove(0) } else { made.concat().into() };
        Ok(as_json(Body::from(whole)))
    }
}

/// Tells what was made, and then the rest.
fn tell_on(made: Vec<Bytes>, chunks: impl AnswerChunks, large: Option<Large>) -> Response {
    let at_least = made.iter().map(Bytes::len).sum::<usize>() as u64;
    let rest = stream::unfold((chunks, large), |(mut chunks, large)| async {
        // Others on this thread come first: a client that takes it as fast as it is made would keep it.
        yield_now().await;
        let chunk = match chunks.next().await? {
            Ok(chunk) => Ok(chunk),
            Err(problem) => {
                let cause = problem.cause().unwrap_or_default();
                tracing::warn!(cause, "an answer broke off: {}", problem.detail());
                // The connection is closed without an end of the answer.
                Err(io::Error::other("the answer broke off"))
            }
        };
        Some((chunk, (chunks, large)))
    });
    let chunks = stream::iter(made).map(Ok).chain(rest).fuse();
    let mut response = as_json(Body::from_stream(chunks));
    response.extensions_mut().insert(AtLeast(at_least));
    response
}

fn as_json(body: Body) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], body).into_response()
}

/// Bytes, and what they take. A body is dropped once it has been handed on, its bytes once they are sent.
struct SentBytes {
    bytes: Bytes,
    _large: Large,
}

impl AsRef<[u8]> for SentBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// An answer that is made chunk by chunk.
pub trait AnswerChunks: Send + 'static {
    /// The next chunk; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Option<Result<Bytes, Problem>>> + Send;
}

/// A document that holds a list of rows, each turned into JSON when it is asked for.
pub struct JsonRows<B> {
    buffer: Vec<u8>,
    left: VecDeque<B>,
    has_begun: bool,
    /// What follows the rows; `None` once it was told.
    tail: Option<Vec<u8>>,
}

impl<B: Serialize> JsonRows<B> {
    /// These rows in the list of `document`, which is its first member and is empty there.
    pub fn new(document: &impl Serialize, rows: VecDeque<B>) -> Self {
        // Strings, numbers and lists: there is nothing in it that can't be written.
        let mut head = serde_json::to_vec(document).unwrap_or_default();
        let list = head.windows(2).position(|two| two == b"[]").map_or(head.len(), |at| at + 1);
        let tail = head.split_off(list);
        Self { buffer: head, left: rows, has_begun: false, tail: Some(tail) }
    }

    /// Adds rows to the end of the list.
    pub fn extend(&mut self, rows: VecDeque<B>) {
        self.left.extend(rows);
    }

    /// The next chunk, the end of the document included where no rows follow; `None` where there is
    /// nothing to tell.
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
    async fn next(&mut self) -> Option<Result<Bytes, Problem>> {
        self.chunk(true).map(Ok)
    }
}

/// A page of a list whose rows hold texts.
///
/// # Errors
/// A row that does not open.
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

/// A row that was found: opened, and worded by `word`.
///
/// # Errors
/// A row that does not open.
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
