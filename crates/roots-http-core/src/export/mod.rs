//! Exports: a file of JSON lines, sent while it is read. The API answers one to a key, and the
//! pages to a key that is typed.

mod lines;
pub mod running;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::service::exports::{Export, ExportHeader, Exports, Record};
use tokio::task::yield_now;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use self::lines::{EndLine, ErrorLine, ExportLine};
use self::running::RunningExports;
use crate::auth::authenticate::Bearer;
use crate::middleware::fair_permits::FairPermits;
use crate::middleware::long_requests::LongRequestPermit;
use crate::middleware::progress::{Pace, Progress, WINDOW};
use crate::problem::{Problem, ProblemKind};
use crate::shutdown::Shutdown;
use crate::wire::NDJSON;

pub use self::lines::ExportBody;

/// Size of a chunk; the last line may exceed it.
const CHUNK_BYTES: usize = 32 * 1024;
/// How often the server checks that clients still read their exports.
const WATCH_PERIOD: Duration = Duration::from_secs(5);
/// Begins an export of what the caller, or that actor, has, and answers it. It ends with the
/// caller's key. `place` comes from [`RunningExports::begin`].
///
/// # Errors
/// The refusal, or a database error.
pub async fn answer(
    running: &RunningExports,
    place: LongRequestPermit,
    exports: &Exports,
    caller: &mut Bearer,
    actor: Option<ActorId>,
) -> Result<Response, Problem> {
    let lookup = caller.lookup();
    let export = caller.read(|caller| exports.begin(caller, lookup, actor)).await?;
    if let Some(error) = export.unnoted() {
        let account = export.header().account.id;
        tracing::warn!(%account, %error, "an owner's export is not noted in the audit log");
    }
    let headers = headers(export.header());
    let mut head = Vec::new();
    ExportLine::Export(export.header().into()).write(&mut head);
    let telling = Telling {
        permits: running.permits.clone(),
        account: export.header().account.id,
        export,
        records: VecDeque::new(),
        end: EndLine::default(),
        is_over: false,
        shutdown: running.shutdown.clone(),
        _place: place,
    };
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from(head)) });
    let span = Span::current();
    let rest = stream::unfold(Handed::new(telling), move |handed| {
        let next = async {
            let chunk = handed.next().await?;
            Some((Ok(chunk), handed))
        };
        next.instrument(span.clone())
    });
    Ok((headers, Body::from_stream(first.chain(rest))).into_response())
}

/// The answer without the export: only its headers.
#[must_use]
pub fn head(header: &ExportHeader) -> Response {
    // Its length is not known.
    let body = Body::from_stream(stream::empty::<Result<Bytes, Infallible>>());
    (headers(header), body).into_response()
}

/// A running export. It reads as fast as its caller does.
struct Telling {
    export: Export,
    /// Records that were read but not sent yet.
    records: VecDeque<Record>,
    end: EndLine,
    is_over: bool,
    shutdown: Shutdown,
    /// Accounts take turns to read the next chunk.
    permits: FairPermits,
    account: AccountId,
    _place: LongRequestPermit,
}

/// An export between two chunks. If its client does not ask for the next one, everything that it
/// holds is released, since nothing else would do that.
struct Handed(Mutex<ExportStage>);

/// The stage of an export.
enum ExportStage {
    /// A chunk was sent, and the export waits for the client.
    Waiting(Box<Telling>, WaitedFor),
    /// The next chunk is being read.
    Reading(Progress),
    /// The client was too slow. If it asks again, it is told so.
    TooSlow,
    /// The last line was sent.
    Over,
}

/// How long the export has waited for its client, and how much the client takes.
struct WaitedFor {
    since: Instant,
    bytes: u64,
    progress: Progress,
}

impl Handed {
    /// An export that has sent nothing yet.
    fn new(telling: Telling) -> Arc<Self> {
        let waiting =
            WaitedFor { since: Instant::now(), bytes: 0, progress: Progress::over(WINDOW) };
        let handed = Arc::new(Self(Mutex::new(ExportStage::Waiting(Box::new(telling), waiting))));
        tokio::spawn(watch(Arc::downgrade(&handed)));
        handed
    }

    fn step(&self) -> MutexGuard<'_, ExportStage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next bytes, when the client asks for them; `None` after the last line.
    async fn next(&self) -> Option<Bytes> {
        let mut telling = match self.resume() {
            Ok(telling) => telling,
            Err(last) => return last,
        };
        let chunk = telling.next().await;
        let mut step = self.step();
        let ExportStage::Reading(progress) = *step else { return chunk };
        let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        let waiting = WaitedFor { since: Instant::now(), bytes, progress };
        *step = if chunk.is_some() {
            ExportStage::Waiting(telling, waiting)
        } else {
            ExportStage::Over
        };
        chunk
    }

    /// Continues the export, or returns its last bytes.
    fn resume(&self) -> Result<Box<Telling>, Option<Bytes>> {
        let mut step = self.step();
        match mem::replace(&mut *step, ExportStage::Over) {
            ExportStage::Waiting(telling, WaitedFor { since, bytes, mut progress }) => {
                match progress.note(bytes, since.elapsed()) {
                    Pace::KeepsUp => {
                        *step = ExportStage::Reading(progress);
                        Ok(telling)
                    }
                    Pace::TooSlow => Err(Some(too_slow())),
                }
            }
            ExportStage::TooSlow => Err(Some(too_slow())),
            ExportStage::Reading(_) | ExportStage::Over => Err(None),
        }
    }

    /// Releases an export whose client is too slow.
    fn look(&self) {
        let mut step = self.step();
        let ExportStage::Waiting(_, WaitedFor { since, progress, .. }) = &mut *step else { return };
        let now = Instant::now();
        if progress.note(0, now - mem::replace(since, now)) == Pace::TooSlow {
            *step = ExportStage::TooSlow;
        }
    }
}

/// Watches an export until its body is dropped: after the last byte, or with the connection.
async fn watch(handed: Weak<Handed>) {
    loop {
        tokio::time::sleep(WATCH_PERIOD).await;
        let Some(handed) = handed.upgrade() else { return };
        handed.look();
    }
}

/// The last line of an export whose client is too slow.
fn too_slow() -> Bytes {
    let problem = Problem::new(
        ProblemKind::RequestTimeout,
        "The client took less than 1 KiB/s of the export over a minute.",
    );
    tracing::warn!("an export ended early: {}", problem.detail());
    let mut chunk = Vec::new();
    ErrorLine::of(&problem).write(&mut chunk);
    chunk.into()
}

impl Telling {
    /// The next bytes; `None` after the last line.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        // Other tasks of this thread come first: a client that reads as fast as this writes would
        // occupy the thread.
        yield_now().await;
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK_BYTES && !self.is_over {
            match self.records.pop_front() {
                Some(record) => self.tell(record, &mut chunk),
                None if chunk.is_empty() => self.read_on(&mut chunk).await,
                None => break,
            }
        }
        Some(chunk.into())
    }

    fn tell(&mut self, record: Record, chunk: &mut Vec<u8>) {
        *self.end.counts.of(&record) += 1;
        self.end.total += 1;
        let line = ExportLine::of(record);
        self.end.unreadable += u64::from(!line.is_readable());
        line.write(chunk);
    }

    async fn read_on(&mut self, chunk: &mut Vec<u8>) {
        let in_turn = async {
            let permit = self.permits.take(self.account).await;
            let _permit = permit.map_err(|_| Problem::too_many_wait())?;
            self.export.next().await.map_err(Problem::from)
        };
        let read = tokio::select! {
            biased;
            () = self.shutdown.begun() => Err(Problem::shutting_down()),
            read = in_turn => read,
        };
        match read {
            Ok(Some(records)) => self.records.extend(records),
            Ok(None) => {
                let counts = std::mem::take(&mut self.end);
                self.finish(&ExportLine::End(counts), chunk);
            }
            Err(problem) => {
                tracing::warn!(
                    cause = problem.cause().unwrap_or_default(),
                    "an export ended early: {}",
                    problem.detail()
                );
                self.finish(&ErrorLine::of(&problem), chunk);
            }
        }
    }

    fn finish(&mut self, last: &ExportLine, chunk: &mut Vec<u8>) {
        last.write(chunk);
        self.is_over = true;
    }
}

fn headers(header: &ExportHeader) -> [(HeaderName, HeaderValue); 2] {
    let media_type = (CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    [media_type, (CONTENT_DISPOSITION, file_name(header))]
}

/// The file name, with the account and the time: `roots-2-20260409T140000Z.jsonl`.
fn file_name(header: &ExportHeader) -> HeaderValue {
    let mut name = format!("attachment; filename=\"roots-{}", header.account.id);
    if let Some(actor) = header.actor {
        // Writing to a string does not fail.
        let _ = write!(name, "-actor-{actor}");
    }
    let at: String = header.at.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let whole_seconds = at.split('.').next().unwrap_or_default().trim_end_matches('Z');
    let _ = write!(name, "-{whole_seconds}Z.jsonl\"");
    HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("attachment"))
}
