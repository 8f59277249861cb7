//! The lines of an imported file.

use std::mem;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::StreamExt;
use roots_domain::model::Invalid;
use roots_domain::model::account::{ActorKind, Role};
use roots_domain::model::id::{ActivityId, ActorId, LogId, SessionId, TodoId, Uid};
use roots_domain::model::import::{OriginKind, imported_status, imported_updated_at};
use roots_domain::model::import_file::FileCounts;
use roots_domain::model::session::{EndReason, SessionStatusKind};
use roots_domain::model::source_row::{
    SourceActivity, SourceActor, SourceRow, SourceSession, SourceStep, SourceTodo,
};
use roots_domain::model::text::{ActivityText, ActivityType, LogNote, LongText, Name, Title};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{Priority, TodoContent, TodoStatus};
use roots_domain::service::exports::FORMAT;
use tokio::time::{Instant, timeout};

use roots_http_core::middleware::progress::{Pace, Progress, WINDOW};
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::request::fields::{InvalidField, InvalidNoted, one_of};
use roots_http_core::request::json::{
    BYTE_ORDER_MARK, Members, Value, integer, nested, object, positive, text,
};
use roots_http_core::wire::BODY_MAX_BYTES;

/// The longest line: as long as a whole body may be elsewhere.
const LINE_MAX_BYTES: usize = BODY_MAX_BYTES;
/// The error of a longer line.
pub(crate) const TOO_LONG: &str = "must be at most 1 MiB long";

/// Reads the lines of a body as it arrives. The length of a line is bounded.
pub(crate) struct LineReader {
    body: BodyDataStream,
    /// Bytes that arrived and were not read yet.
    rest: Bytes,
    begun: Vec<u8>,
    pub(crate) is_too_long: bool,
    pub(crate) count: u64,
    progress: Progress,
}

/// What a read of a body returned.
pub(crate) enum Came {
    /// A line that is not blank, and its number.
    ImportLine(u64, RawLine),
    /// The end.
    End,
    /// No complete line within the time.
    Nothing,
}

/// A line, or `Err` if it was too long.
pub(crate) type RawLine = Result<Vec<u8>, ()>;

/// The client is too slow.
fn too_slow() -> Problem {
    Problem::new(
        ProblemKind::RequestTimeout,
        "The body arrived at less than 1 KiB/s over a minute. Nothing was done.",
    )
}

impl LineReader {
    pub(crate) fn new(body: Body) -> Self {
        let body = body.into_data_stream();
        Self {
            body,
            rest: Bytes::new(),
            begun: Vec::new(),
            is_too_long: false,
            count: 0,
            progress: Progress::over(WINDOW),
        }
    }

    /// The next line that is not blank. Waits until `until`.
    ///
    /// # Errors
    /// The body broke off or arrives too slowly. Blank lines count as no progress.
    pub(crate) async fn next(&mut self, until: Instant) -> Result<Came, Problem> {
        loop {
            let (line, is_last) = if let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let piece = self.rest.split_to(end + 1);
                self.add(&piece);
                (self.take(), false)
            } else {
                let piece = mem::take(&mut self.rest);
                self.add(&piece);
                let began = Instant::now();
                let Some(left) = until.checked_duration_since(began).filter(|it| !it.is_zero())
                else {
                    return Ok(Came::Nothing);
                };
                let came = timeout(left.min(self.progress.left()), self.body.next()).await;
                let pace = self.progress.note(0, began.elapsed());
                match came {
                    Ok(Some(Err(_))) => return Err(Problem::bad_request("The body broke off.")),
                    Ok(None) => (self.take(), true),
                    _ if pace == Pace::TooSlow => return Err(too_slow()),
                    Ok(Some(Ok(bytes))) => {
                        self.rest = bytes;
                        continue;
                    }
                    Err(_) => continue,
                }
            };
            let is_blank = line.as_ref().is_ok_and(|line| line.trim_ascii().is_empty());
            if !(is_last && is_blank) {
                self.count += 1;
            }
            match (is_blank, is_last) {
                (true, true) => return Ok(Came::End),
                (true, false) => {}
                _ => return Ok(Came::ImportLine(self.count, line)),
            }
        }
    }

    /// A line that is too long is read but not kept. Only bytes that are not blank count as
    /// progress.
    fn add(&mut self, piece: &[u8]) {
        if !piece.trim_ascii().is_empty() {
            // No time passes, so the pace can't be too slow.
            let _ = self.progress.note(piece.len() as u64, Duration::ZERO);
        }
        let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
        if self.begun.len() + piece.len() > LINE_MAX_BYTES {
            self.is_too_long = true;
            self.begun = Vec::new();
        }
        if !self.is_too_long {
            self.begun.extend_from_slice(piece);
        }
    }

    /// The line that was read, without a byte-order mark if it is the first.
    fn take(&mut self) -> RawLine {
        let mut line = mem::take(&mut self.begun);
        if self.count == 0 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if mem::take(&mut self.is_too_long) { Err(()) } else { Ok(line) }
    }
}

/// A parsed line.
pub(crate) enum ImportLine {
    Header(Header),
    Actor(SourceActor),
    Row(Box<SourceRow>),
    /// The last line of a complete export: the counts of its rows, and their sum.
    End(FileCounts, u64),
    Error,
}

/// The parsed first line.
pub(crate) struct Header {
    pub(crate) source: Uid,
    /// The only actor whose rows were exported; `None` for all actors.
    pub(crate) actor: Option<ActorId>,
}

fn id<T>(wrap: fn(i64) -> T) -> impl FnOnce(Value) -> Result<T, Invalid> {
    move |value| positive(value).map(wrap)
}

fn count(value: Value) -> Result<u64, Invalid> {
    integer(|number| u64::try_from(number).map_err(|_| Invalid::new("must be an integer from 0")))(
        value,
    )
}

fn time(value: Value) -> Result<Timestamp, Invalid> {
    text(|text| Timestamp::parse(&text))(value)
}

fn todo_status(value: Value) -> Result<TodoStatus, Invalid> {
    text(|name| one_of(&TodoStatus::ALL, TodoStatus::name, &name))(value)
}

/// The kinds of lines in an export.
const KINDS: [&str; 8] =
    ["export", "actor", "session", "todo", "todo_log", "activity", "end", "error"];

/// Parses a line of that kind.
fn line_of(kind: &str, members: &mut Members) -> Result<ImportLine, InvalidNoted> {
    match kind {
        "export" => header(members),
        "actor" => actor(members),
        "session" => session(members),
        "todo" => todo(members),
        "todo_log" => step(members),
        "activity" => activity(members),
        "end" => end(members),
        _ => {
            for name in ["type", "error"] {
                members.take(name, Ok)?;
            }
            Ok(ImportLine::Error)
        }
    }
}

fn header(members: &mut Members) -> Result<ImportLine, InvalidNoted> {
    let format =
        members.required(
            "format",
            integer(|format| {
                if format == i64::from(FORMAT) { Ok(()) } else { Err(Invalid::new("must be 1")) }
            }),
        );
    let source = members.required(
        "source",
        text(|text| Uid::parse(&text).ok_or_else(|| Invalid::new("must be a UUID"))),
    );
    let actor = members.optional("actor_id", id(ActorId));
    // The other fields of an export's header.
    for name in ["account_id", "account_name", "exported_at"] {
        members.take(name, Ok)?;
    }
    format?;
    Ok(ImportLine::Header(Header { source: source?, actor: actor? }))
}

fn actor(members: &mut Members) -> Result<ImportLine, InvalidNoted> {
    let id = members.required("actor_id", id(ActorId));
    let name = members.required("name", text(Name::parse));
    let kind =
        members.required("actor_type", text(|name| one_of(ActorKind::ALL, ActorKind::name, &name)));
    let role = members.required("role", text(|name| one_of(Role::ALL, Role::name, &name)));
    for name in ["is_active", "created_at"] {
        members.take(name, Ok)?;
    }
    Ok(ImportLine::Actor(SourceActor { id: id?, name: name?, kind: kind?, role: role? }))
}

/// Reads the names of the texts that could not be exported. If the row needs that text, the text
/// itself is reported as an error.
fn unreadable(members: &mut Members) -> Result<(), InvalidNoted> {
    members.take("unreadable", |value| match value {
        Value::Array(_) => Ok(()),
        _ => Err(Invalid::new("must be an array")),
    })?;
    Ok(())
}

fn session(members: &mut Members) -> Result<ImportLine, InvalidNoted> {
    let id = members.required("session_id", self::id(SessionId));
    let kind = members.required(
        "status",
        text(|name| one_of(&SessionStatusKind::ALL, SessionStatusKind::name, &name)),
    );
    let notes = members.optional("notes", text(LongText::parse));
    let started_at = members.required("started_at", time);
    let ended_at = members.optional("ended_at", time);
    let reason = members
        .optional("ended_reason", text(|name| one_of(EndReason::ALL, EndReason::name, &name)));
    let actor = members.required("actor_id", self::id(ActorId));
    let unreadable = unreadable(members);
    let (kind, started_at, ended_at, reason) = (kind?, started_at?, ended_at?, reason?);
    if reason.is_some() && kind == SessionStatusKind::Active {
        return Err(members.error("ended_reason", "must be null while it is active"));
    }
    let status = imported_status(kind, started_at, ended_at, reason)
        .map_err(|invalid| members.error("ended_at", invalid.to_string()))?;
    unreadable?;
    Ok(ImportLine::Row(Box::new(SourceRow::Session(SourceSession {
        id: id?,
        actor: actor?,
        status,
        notes: notes?,
        started_at,
    }))))
}

fn todo(members: &mut Members) -> Result<ImportLine, InvalidNoted> {
    let id = members.required("todo_id", self::id(TodoId));
    let session = members.optional("session_id", self::id(SessionId));
    let title = members.required("title", text(Title::parse));
    let description = members.optional("description", text(LongText::parse));
    let status = members.required("status", todo_status);
    let first_status = members.optional("first_status", todo_status);
    let priority = members.optional("priority", integer(Priority::parse));
    let due_at = members.optional("due_at", time);
    let created_at = members.required("created_at", time);
    let updated_at = members.optional("updated_at", time);
    let actor = members.required("actor_id", self::id(ActorId));
    let unreadable = unreadable(members);
    let (created_at, updated_at) = (created_at?, updated_at?);
    let updated_at = imported_updated_at(created_at, updated_at)
        .map_err(|invalid| members.error("updated_at", invalid.to_string()))?;
    unreadable?;
    Ok(ImportLine::Row(Box::new(SourceRow::Todo(SourceTodo {
        id: id?,
        actor: actor?,
        content: TodoContent {
            title: title?,
            description: description?,
            session: session?,
            priority: priority?.unwrap_or_default(),
            due_at: due_at?,
        },
        status: first_status?.unwrap_or(status?),
        created_at,
        updated_at,
    }))))
}

fn step(members: &mut Members) -> Result<ImportLine, InvalidNoted> {
    let id = members.required("log_id", self::id(LogId));
    let todo = members.required("todo_id", self::id(TodoId));
    let old_status = members.required("old_status", todo_status);
    let new_status = members.required("new_status", todo_status);
    let note = members.optional("note", text(LogNote::parse));
    let logged_at = members.required("logged_at", time);
    let actor = members.required("actor_id", self::id(ActorId));
    unreadable(members)?;
    Ok(ImportLine::Row(Box::new(SourceRow::Step(SourceStep {
        id: id?,
        actor: actor?,
        todo: todo?,
        old_status: old_status?,
        new_status: new_status?,
        note: note?,
        logged_at: logged_at?,
    }))))
}

fn activity(members: &mut Members) -> Result<ImportLine, InvalidNoted> {
    let id = members.required("activity_id", self::id(ActivityId));
    let session = members.optional("session_id", self::id(SessionId));
    let activity_type = members.optional("activity_type", text(ActivityType::parse));
    let description = members.required("description", text(ActivityText::parse));
    let logged_at = members.required("logged_at", time);
    let created_at = members.optional("created_at", time);
    let actor = members.required("actor_id", self::id(ActorId));
    unreadable(members)?;
    let logged_at = logged_at?;
    Ok(ImportLine::Row(Box::new(SourceRow::Activity(SourceActivity {
        id: id?,
        actor: actor?,
        session: session?,
        activity_type: activity_type?.unwrap_or_default(),
        description: description?,
        logged_at,
        created_at: created_at?.unwrap_or(logged_at),
    }))))
}

fn end(members: &mut Members) -> Result<ImportLine, InvalidNoted> {
    let counts = members.required(
        "counts",
        nested(|members| {
            let actors = members.required("actors", count);
            let sessions = members.required("sessions", count);
            let todos = members.required("todos", count);
            let steps = members.required("todo_logs", count);
            let activities = members.required("activities", count);
            Ok(FileCounts {
                actors: actors?,
                sessions: sessions?,
                todos: todos?,
                steps: steps?,
                activities: activities?,
            })
        }),
    );
    let total = members.required("total", count);
    members.optional("unreadable", count)?;
    Ok(ImportLine::End(counts?, total?))
}

/// A parsed line, or all its errors.
pub(crate) type ReadLine = Result<ImportLine, Vec<InvalidField>>;

/// The kind of the row in a line of that kind; `None` if it has none.
fn row_kind(line: &str) -> Option<OriginKind> {
    match line {
        "actor" => Some(OriginKind::Actor),
        "session" => Some(OriginKind::Session),
        "todo" => Some(OriginKind::Todo),
        "todo_log" => Some(OriginKind::Step),
        "activity" => Some(OriginKind::Activity),
        _ => None,
    }
}

/// Parses a line, and returns the kind of its row if it has one and that can be read.
pub(crate) fn read(number: u64, line: &RawLine) -> (Option<OriginKind>, ReadLine) {
    let invalid = match line.as_deref().map(object) {
        Ok(Ok(given)) => return validate(given),
        Ok(Err(invalid)) => invalid.at_line(number).to_string(),
        Err(()) => TOO_LONG.to_owned(),
    };
    (None, Err(vec![InvalidField { field: "line".to_owned(), message: invalid }]))
}

pub(crate) fn validate(given: Vec<(String, Value)>) -> (Option<OriginKind>, ReadLine) {
    let mut members = Members::new("field", given);
    let kind = members.required("kind", text(|name| one_of(&KINDS, |kind| kind, &name))).ok();
    let read = kind.ok_or(InvalidNoted).and_then(|kind| line_of(kind, &mut members));
    let read = match (read, members.finish()) {
        (Ok(read), errors) if errors.is_empty() => Ok(read),
        (_, errors) => Err(errors.listed),
    };
    (kind.and_then(row_kind), read)
}
