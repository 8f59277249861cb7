//! `/import`: a file of JSON lines, taken in as it comes.

use std::mem;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{AppendHeaders, IntoResponse, Response};
use futures_util::StreamExt;
use roots_domain::model::Invalid;
use roots_domain::model::account::{ActorKind, Role};
use roots_domain::model::activity::Activity;
use roots_domain::model::id::{ActivityId, ActorId, LogId, SessionId, TodoId, Uid};
use roots_domain::model::import::{IMPORT_MAX_ROWS, Imported, check_session_end};
use roots_domain::model::session::{Session, SessionStatus};
use roots_domain::model::text::{ActivityText, ActivityType, LogNote, LongText, Name, Title};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{Priority, StatusChange, Todo, TodoStatus};
use roots_domain::model::unit::Refusal;
use roots_domain::usecase::exports::FORMAT;
use roots_domain::usecase::imports::{ActorDraft, Batch, ImportMode, Importing, RowDraft};
use serde::Serialize;
use tokio::time::{Instant, timeout};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Bearer;
use crate::body::{BODY_MAX_BYTES, Members, Value, integer, nested, object, positive, text};
use crate::ending::Ending;
use crate::exports::{Counts, EndLine, NDJSON};
use crate::fields::{FAULTS_MAX, Fault, Faulty, one_of};
use crate::problem::{Problem, credit_headers};
use crate::progress::{Pace, Progress, WINDOW};
use crate::query::{FromParams, Params, Query};

/// Where files come in.
pub(crate) const IMPORT_PATH: &str = "/api/v1/import";
/// Most bytes of a line: as many as a body by itself may have.
const LINE_MAX_BYTES: usize = BODY_MAX_BYTES;
/// What a line is told that has more.
const TOO_LONG: &str = "must be at most 1 MiB long";
/// How many bytes of lines are taken in at a time, and a line more.
const TAKEN_BYTES: usize = 512 * 1024;
/// Longest time after which the caller's key is checked again, and rows that wait are written.
const CHECK_PERIOD: Duration = Duration::from_secs(5);

/// The route of imports.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(import))
}

/// How a file is imported.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct ImportQuery {
    /// Everything becomes this actor's. Without it, what was the owner's becomes the owner's, and what
    /// was a member's goes to a member of the same name and kind.
    #[param(value_type = Option<i64>, minimum = 1)]
    actor_id: Option<ActorId>,
    /// Rows before this line are left out. The header and the actors are read all the same.
    #[param(value_type = Option<i64>, minimum = 1, default = 1)]
    from_line: u64,
    /// Checks the whole file as an import would and says what it would cost. Nothing is written or
    /// charged.
    #[param(value_type = Option<bool>, default = false)]
    dry_run: bool,
}

impl FromParams for ImportQuery {
    fn from_params(params: &mut Params) -> Result<Self, Faulty> {
        let positive = || Invalid::new("must be a positive integer");
        let actor_id = params.take("actor_id", |text| ActorId::parse(&text).ok_or_else(positive));
        let from_line = params.take("from_line", |text| {
            // A line is counted as ids are.
            TodoId::parse(&text).map(|line| line.0.unsigned_abs()).ok_or_else(positive)
        });
        let dry_run = params.take("dry_run", |text| match text.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Invalid::new("must be true or false")),
        });
        Ok(Self {
            actor_id: actor_id?,
            from_line: from_line?.unwrap_or(1),
            dry_run: dry_run?.unwrap_or_default(),
        })
    }
}

/// What became of a file, or would become of it.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = Import)]
pub(crate) struct ImportBody {
    /// Whether nothing was written or charged: the counts say what an import would do.
    dry_run: bool,
    /// How many lines were read.
    lines: u64,
    imported: ImportedCounts,
    /// Rows that had come in before, and were left as they are.
    already_imported: u64,
    /// Lines with faults. Nothing of them was written.
    faulty: u64,
    /// The first of them, at most 100.
    faults: Vec<LineFaults>,
    /// Whether the file is a whole export: its last line counts the lines of each kind, and as many
    /// came. False for a file that holds only what was left of one.
    is_whole: bool,
    /// What the rows that were written cost, in credits; of a dry run, what they would cost.
    cost: i64,
    /// What the account has left. Missing where an import ended before it was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    balance: Option<i64>,
    /// Whether the balance covers the cost. Told by a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    is_covered: Option<bool>,
    /// The line to go on with. Told where an import ended before the end of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    from_line: Option<u64>,
}

impl ImportBody {
    /// Whether nothing was written.
    pub(crate) const fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// What was charged and what is left, as far as it is known.
    pub(crate) fn credit_headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let cost = if self.dry_run { 0 } else { self.cost };
        self.balance.map(|balance| credit_headers(cost, balance)).into_iter().flatten().collect()
    }
}

/// Rows that were written.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
struct ImportedCounts {
    sessions: u64,
    todos: u64,
    todo_logs: u64,
    activities: u64,
}

/// Everything that is wrong with a line.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct LineFaults {
    /// Counted from 1.
    line: u64,
    errors: Vec<Fault>,
}

/// Lines of a body as it comes, each of a bounded length.
struct Lines {
    body: BodyDataStream,
    /// What has come and was not read yet.
    rest: Bytes,
    begun: Vec<u8>,
    is_too_long: bool,
    count: u64,
    progress: Progress,
}

/// What has come of a body.
enum Came {
    /// A line that is not blank, and its number.
    Line(u64, RawLine),
    /// The end.
    End,
    /// No whole line, until the time that it was waited for.
    Nothing,
}

/// A line, or that it was too long.
type RawLine = Result<Vec<u8>, ()>;

impl Lines {
    fn new(body: Body) -> Self {
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

    /// The next line that is not blank, waited for until then.
    ///
    /// # Errors
    /// The body broke off, or comes too slowly. Blank lines are no progress.
    async fn next(&mut self, until: Instant) -> Result<Came, Problem> {
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
                    _ if pace == Pace::TooSlow => return Err(Problem::import_too_slow()),
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
                _ => return Ok(Came::Line(self.count, line)),
            }
        }
    }

    /// What is too long is read on, and not kept. Only what is not blank is progress.
    fn add(&mut self, piece: &[u8]) {
        if !piece.trim_ascii().is_empty() {
            // No time passes, so that there is nothing to judge.
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

    fn take(&mut self) -> RawLine {
        let line = mem::take(&mut self.begun);
        if mem::take(&mut self.is_too_long) { Err(()) } else { Ok(line) }
    }
}

/// What a line says.
enum Line {
    Header(Uid),
    Actor(ActorDraft),
    Row(Box<RowDraft>),
    End(EndLine),
    Error,
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

/// The kinds of lines, as an export has them.
const KINDS: [&str; 8] =
    ["export", "actor", "session", "todo", "todo_log", "activity", "end", "error"];

/// A line of that kind.
fn line_of(kind: &str, members: &mut Members) -> Result<Line, Faulty> {
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
            Ok(Line::Error)
        }
    }
}

fn header(members: &mut Members) -> Result<Line, Faulty> {
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
    // What else an export tells of itself.
    for name in ["account_id", "account_name", "actor_id", "exported_at"] {
        members.take(name, Ok)?;
    }
    format?;
    Ok(Line::Header(source?))
}

fn actor(members: &mut Members) -> Result<Line, Faulty> {
    let id = members.required("actor_id", id(ActorId));
    let name = members.required("name", text(Name::parse));
    let kind =
        members.required("actor_type", text(|name| one_of(ActorKind::ALL, ActorKind::name, &name)));
    let role = members.required("role", text(|name| one_of(Role::ALL, Role::name, &name)));
    for name in ["is_active", "created_at"] {
        members.take(name, Ok)?;
    }
    Ok(Line::Actor(ActorDraft { id: id?, name: name?, kind: kind?, role: role? }))
}

/// Names the texts of a row that could not be exported. Where the row can't be without, that is a
/// fault of the text itself.
fn unreadable(members: &mut Members) -> Result<(), Faulty> {
    members.take("unreadable", |value| match value {
        Value::Array => Ok(()),
        _ => Err(Invalid::new("must be an array")),
    })?;
    Ok(())
}

fn session(members: &mut Members) -> Result<Line, Faulty> {
    let id = members.required("session_id", self::id(SessionId));
    let status = members
        .required("status", text(|name| one_of(&SessionStatus::ALL, SessionStatus::name, &name)));
    let notes = members.optional("notes", text(LongText::parse));
    let started_at = members.required("started_at", time);
    let ended_at = members.optional("ended_at", time);
    let actor = members.required("actor_id", self::id(ActorId));
    let unreadable = unreadable(members);
    let (status, started_at, ended_at) = (status?, started_at?, ended_at?);
    check_session_end(status, started_at, ended_at)
        .map_err(|invalid| members.fault("ended_at", invalid.to_string()))?;
    unreadable?;
    Ok(Line::Row(Box::new(RowDraft::Session(Session {
        id: id?,
        uid: Uid::NIL,
        actor: actor?,
        status,
        notes: notes?,
        started_at,
        ended_at,
        version: 1,
    }))))
}

fn todo(members: &mut Members) -> Result<Line, Faulty> {
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
    if updated_at.is_some_and(|updated_at| updated_at < created_at) {
        return Err(members.fault("updated_at", "must not be before created_at"));
    }
    unreadable?;
    let todo = Todo {
        id: id?,
        uid: Uid::NIL,
        actor: actor?,
        session: session?,
        title: title?,
        description: None,
        status: first_status?.unwrap_or(status?),
        priority: priority?.unwrap_or_default(),
        due_at: due_at?,
        created_at,
        updated_at: updated_at.unwrap_or(created_at),
        version: 1,
    };
    Ok(Line::Row(Box::new(RowDraft::Todo(todo, description?))))
}

fn step(members: &mut Members) -> Result<Line, Faulty> {
    let id = members.required("log_id", self::id(LogId));
    let todo = members.required("todo_id", self::id(TodoId));
    let old_status = members.required("old_status", todo_status);
    let new_status = members.required("new_status", todo_status);
    let note = members.optional("note", text(LogNote::parse));
    let logged_at = members.required("logged_at", time);
    let actor = members.required("actor_id", self::id(ActorId));
    unreadable(members)?;
    let step = StatusChange {
        id: id?,
        uid: Uid::NIL,
        todo: todo?,
        old_status: old_status?,
        new_status: new_status?,
        note: note?,
        logged_at: logged_at?,
    };
    Ok(Line::Row(Box::new(RowDraft::Step(actor?, step))))
}

fn activity(members: &mut Members) -> Result<Line, Faulty> {
    let id = members.required("activity_id", self::id(ActivityId));
    let session = members.optional("session_id", self::id(SessionId));
    let activity_type = members.optional("activity_type", text(ActivityType::parse));
    let description = members.required("description", text(ActivityText::parse));
    let logged_at = members.required("logged_at", time);
    let created_at = members.optional("created_at", time);
    let actor = members.required("actor_id", self::id(ActorId));
    unreadable(members)?;
    let logged_at = logged_at?;
    Ok(Line::Row(Box::new(RowDraft::Activity(Activity {
        id: id?,
        uid: Uid::NIL,
        actor: actor?,
        session: session?,
        activity_type: activity_type?.unwrap_or_default(),
        description: description?,
        logged_at,
        created_at: created_at?.unwrap_or(logged_at),
        version: 1,
    }))))
}

fn end(members: &mut Members) -> Result<Line, Faulty> {
    let counts = members.required(
        "counts",
        nested(|members| {
            let actors = members.required("actors", count);
            let sessions = members.required("sessions", count);
            let todos = members.required("todos", count);
            let todo_logs = members.required("todo_logs", count);
            let activities = members.required("activities", count);
            Ok(Counts {
                actors: actors?,
                sessions: sessions?,
                todos: todos?,
                todo_logs: todo_logs?,
                activities: activities?,
            })
        }),
    );
    let total = members.required("total", count);
    let unreadable = members.optional("unreadable", count);
    Ok(Line::End(EndLine {
        counts: counts?,
        total: total?,
        unreadable: unreadable?.unwrap_or_default(),
    }))
}

/// What is wrong with a row in the account that it comes to.
fn fault_of(refusal: &Refusal) -> Fault {
    let field = match refusal {
        Refusal::NoSuchSession(_) => "session_id",
        Refusal::NotFound("todo") => "todo_id",
        Refusal::NoSuchActor(_) => "actor_id",
        Refusal::TooManyKinds => "activity_type",
        Refusal::StepFromElsewhere { .. } => "old_status",
        Refusal::ForbiddenStep { .. } => "new_status",
        _ => "line",
    };
    Fault { field: field.to_owned(), message: refusal.to_string() }
}

/// A file on its way in.
struct Taking {
    caller: Bearer,
    importing: Importing,
    from_line: u64,
    told: ImportBody,
    /// The lines that have come, those with faults and those that are left out too.
    came: EndLine,
    /// Lines that wait to be written, or to be told with their faults, in their order.
    waiting: Vec<(u64, Result<RowDraft, Vec<Fault>>)>,
    waiting_bytes: usize,
    /// The last line that is through.
    through: u64,
    /// When the caller's key was last checked.
    checked_at: Instant,
}

impl Taking {
    async fn take_all(&mut self, lines: &mut Lines, ending: &mut Ending) -> Result<(), Problem> {
        loop {
            match next(lines, ending, self.checked_at + CHECK_PERIOD).await? {
                Came::Line(number, line) => {
                    let bytes = line.as_ref().map_or(0, Vec::len);
                    let (kind, line) = read(number, &line);
                    self.came(kind);
                    match line {
                        Ok(line) => self.take(number, bytes, line).await?,
                        Err(faults) => self.wait(number, bytes, Err(faults)).await?,
                    }
                    if self.waiting.is_empty() {
                        self.through = number;
                    }
                }
                Came::Nothing => self.write().await?,
                // The key and the balance stand at the end, whatever came.
                Came::End => return self.write().await,
            }
        }
    }

    /// A line of that kind has come, or one whose kind can't be read.
    fn came(&mut self, kind: Option<&str>) {
        self.told.is_whole = false;
        let EndLine { counts, total, .. } = &mut self.came;
        let count = match kind {
            Some("actor") => &mut counts.actors,
            Some("session") => &mut counts.sessions,
            Some("todo") => &mut counts.todos,
            Some("todo_log") => &mut counts.todo_logs,
            Some("activity") => &mut counts.activities,
            _ => return,
        };
        *count += 1;
        *total += 1;
    }

    fn faulty(&mut self, line: u64, errors: Vec<Fault>) {
        self.told.faulty += 1;
        if self.told.faults.len() < FAULTS_MAX {
            self.told.faults.push(LineFaults { line, errors });
        }
    }

    async fn take(&mut self, number: u64, bytes: usize, line: Line) -> Result<(), Problem> {
        match line {
            Line::Header(_) => {
                let message = "is the kind of the first line alone".to_owned();
                let fault = Fault { field: "kind".to_owned(), message };
                self.wait(number, bytes, Err(vec![fault])).await?;
            }
            Line::Actor(actor) => {
                if !self.waiting.is_empty() {
                    self.write().await?;
                }
                if let Err(refusal) = self.importing.actor(actor).await? {
                    self.faulty(number, vec![fault_of(&refusal)]);
                }
            }
            Line::Row(row) if number >= self.from_line => {
                self.wait(number, bytes, Ok(*row)).await?;
            }
            Line::End(end) => {
                self.told.is_whole = end.counts == self.came.counts && end.total == self.came.total;
            }
            Line::Row(_) | Line::Error => {}
        }
        Ok(())
    }

    /// Has a line wait for others, as many as are written together.
    async fn wait(
        &mut self,
        number: u64,
        bytes: usize,
        line: Result<RowDraft, Vec<Fault>>,
    ) -> Result<(), Problem> {
        match line {
            Err(faults) if self.waiting.is_empty() => {
                self.faulty(number, faults);
                return Ok(());
            }
            line => self.waiting.push((number, line)),
        }
        self.waiting_bytes += bytes;
        if self.waiting.len() >= IMPORT_MAX_ROWS || self.waiting_bytes >= TAKEN_BYTES {
            self.write().await?;
        }
        Ok(())
    }

    /// Writes the rows that wait, and tells what became of each line, up to the one for which there are
    /// no credits. Where none wait, the caller's key is checked.
    async fn write(&mut self) -> Result<(), Problem> {
        self.waiting_bytes = 0;
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        for (number, line) in mem::take(&mut self.waiting) {
            match line {
                Ok(row) => {
                    lines.push((number, Ok(counter(&row))));
                    rows.push(row);
                }
                Err(faults) => lines.push((number, Err(faults))),
            }
        }
        let written = self.importing.rows(rows).await;
        let Batch { outcomes, cost, balance } = self.caller.checked(written)?;
        self.checked_at = Instant::now();
        self.told.cost += cost;
        self.told.balance = Some(balance);
        let mut outcomes = outcomes.into_iter();
        for (number, line) in lines {
            match line {
                Err(faults) => self.faulty(number, faults),
                Ok(counter) => match outcomes.next() {
                    Some(Ok(Imported::New(_))) => *counter(&mut self.told.imported) += 1,
                    Some(Ok(Imported::Known(_))) => self.told.already_imported += 1,
                    Some(Err(refusal @ Refusal::InsufficientCredits { .. })) => {
                        return Err(refusal.into());
                    }
                    Some(Err(refusal)) => self.faulty(number, vec![fault_of(&refusal)]),
                    None => return Err(Problem::internal("a row of an import has no outcome")),
                },
            }
            self.through = number;
        }
        Ok(())
    }
}

fn counter(row: &RowDraft) -> fn(&mut ImportedCounts) -> &mut u64 {
    match row {
        RowDraft::Session(_) => |counts| &mut counts.sessions,
        RowDraft::Todo(..) => |counts| &mut counts.todos,
        RowDraft::Step(..) => |counts| &mut counts.todo_logs,
        RowDraft::Activity(_) => |counts| &mut counts.activities,
    }
}

/// What a line says, or everything that is wrong with it.
type ReadLine = Result<Line, Vec<Fault>>;

/// What a line of bytes says, and its kind as far as that can be read.
fn read(number: u64, line: &RawLine) -> (Option<&'static str>, ReadLine) {
    let malformed = match line.as_deref().map(object) {
        Ok(Ok(given)) => return judge(given),
        Ok(Err(malformed)) => malformed.at_line(number).to_string(),
        Err(()) => TOO_LONG.to_owned(),
    };
    (None, Err(vec![Fault { field: "line".to_owned(), message: malformed }]))
}

fn judge(given: Vec<(String, Value)>) -> (Option<&'static str>, ReadLine) {
    let mut members = Members::new("field", given);
    let kind = members.required("kind", text(|name| one_of(&KINDS, |kind| kind, &name))).ok();
    let read = kind.ok_or(Faulty).and_then(|kind| line_of(kind, &mut members));
    let read = match (read, members.finish()) {
        (Ok(read), faults) if faults.is_empty() => Ok(read),
        (_, faults) => Err(faults.listed),
    };
    (kind, read)
}

/// Import
///
/// Takes in a file of JSON lines as an export tells them: times and links are kept, ids are given anew.
/// Each line is written whole or not at all; one with faults is told, and those that follow go on. What
/// has come in before is left as it is, so after a cut the same file can be sent again.
///
/// Each row that is written costs 1 credit: a session, a todo, a step of its log, an activity. Actors,
/// faulty lines and what is there already cost nothing. Where credits end, the import ends with 402: what
/// was written stands and is paid for, and `import.from_line` is the line to go on with once there are
/// more. `dry_run=true` checks the whole file and says what it would cost.
#[utoipa::path(
    post, path = IMPORT_PATH, operation_id = "import", tag = "accounts",
    params(ImportQuery),
    request_body(content = String, content_type = "application/x-ndjson", description = "An export, from its first line on. A line may have up to 1 MiB; there may be any number of them."),
    responses(
        (status = 200, description = "What became of it.", body = ImportBody, example = json!({
            "dry_run": false,
            "lines": 8,
            "imported": {"sessions": 1, "todos": 1, "todo_logs": 2, "activities": 1},
            "already_imported": 0,
            "faulty": 0,
            "faults": [],
            "is_whole": true,
            "cost": 5,
            "balance": 95
        })),
        (status = 402, description = "Credits ended. The lines before `import.from_line` are through."),
        (status = 403, description = "A member's key, or a suspended account."),
        (status = 422, description = "The first line is no header, or that of an export of this very account."),
        (status = 429, description = "Two imports of the account are under way, or 16 of the server, or a limit by time is reached. An import that is no dry run counts as a change of keys.")
    )
)]
async fn import(
    State(app): State<App>,
    caller: Bearer,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_media_type(&headers)?;
    let _place = app.imports.begin(caller.account.id)?;
    if !query.dry_run {
        caller.count_noted()?;
    }
    let mode = if query.dry_run { ImportMode::DryRun } else { ImportMode::Write };
    let mut lines = Lines::new(body);
    let mut ending = app.ending.clone();
    let first = first(&mut lines, &mut ending, &app, &caller, mode).await?;
    let source = header_of(first)?;
    let begun = app.services.imports.begin(caller.caller(), source, query.actor_id, mode).await;
    let mut taking = Taking {
        importing: caller.checked(begun)?,
        caller,
        from_line: query.from_line,
        told: ImportBody { dry_run: query.dry_run, ..ImportBody::default() },
        came: EndLine::default(),
        waiting: Vec::new(),
        waiting_bytes: 0,
        through: 1,
        checked_at: Instant::now(),
    };
    let outcome = taking.take_all(&mut lines, &mut ending).await;
    let Taking { mut told, through, .. } = taking;
    match outcome {
        Ok(()) => {
            told.lines = lines.count;
            told.is_covered = told.balance.filter(|_| told.dry_run).map(|left| told.cost <= left);
            Ok((AppendHeaders(told.credit_headers()), axum::Json(told)).into_response())
        }
        Err(problem) => {
            told.lines = through;
            told.from_line = Some(through + 1);
            Err(problem.after_line(through, told))
        }
    }
}

/// The first line, if there is any. One that gets too long is not waited for to its end. The caller's key
/// is checked before anything is waited for, and at least every [`CHECK_PERIOD`] while nothing comes.
async fn first(
    lines: &mut Lines,
    ending: &mut Ending,
    app: &App,
    caller: &Bearer,
    mode: ImportMode,
) -> Result<Option<(u64, RawLine)>, Problem> {
    loop {
        caller.checked(app.services.imports.check(caller.caller(), mode).await)?;
        match next(lines, ending, Instant::now() + CHECK_PERIOD).await? {
            Came::Line(number, line) => return Ok(Some((number, line))),
            Came::End => return Ok(None),
            Came::Nothing if lines.is_too_long => return Ok(Some((lines.count + 1, Err(())))),
            // It is too slow, or it will come.
            Came::Nothing => {}
        }
    }
}

/// What comes next, unless the service ends before.
async fn next(lines: &mut Lines, ending: &mut Ending, until: Instant) -> Result<Came, Problem> {
    tokio::select! {
        biased;
        () = ending.begun() => Err(Problem::ending()),
        came = lines.next(until) => came,
    }
}

/// The source that a first line names.
fn header_of(first: Option<(u64, RawLine)>) -> Result<Uid, Problem> {
    let fault = |field: &str, message: &str| {
        vec![Fault { field: field.to_owned(), message: message.to_owned() }]
    };
    let faults = match first {
        Some((_, Err(()))) => fault("line", TOO_LONG),
        Some((number, Ok(line))) => {
            match judge(object(&line).map_err(|malformed| malformed.at_line(number))?) {
                (_, Ok(Line::Header(source))) => return Ok(source),
                (_, Ok(_)) => fault("kind", "must be export on the first line"),
                (_, Err(faults)) => faults,
            }
        }
        None => fault("kind", "must be export on the first line"),
    };
    Err(Problem::invalid_body(faults))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let mut given = headers.get_all(CONTENT_TYPE).iter();
    let fits = match (given.next().and_then(|only| only.to_str().ok()), given.next()) {
        (Some(only), None) => {
            let essence = only.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case(NDJSON)
        }
        _ => false,
    };
    let is_plain = headers.get_all(CONTENT_ENCODING).iter().all(|coding| coding == "identity");
    if fits && is_plain {
        return Ok(());
    }
    Err(Problem::no_json_lines())
}
