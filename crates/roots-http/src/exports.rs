//! `/export`: a file of JSON lines, told as it is read.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use roots_domain::model::Invalid;
use roots_domain::model::account::{Actor, Role};
use roots_domain::model::activity::Activity;
use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::model::session::Session;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{StatusChange, Todo, TodoStatus};
use roots_domain::usecase::exports::{Export, ExportHeader, FORMAT, Legible, Record};
use serde::Serialize;
use tokio::task::yield_now;
use tokio::time::Instant;
use tracing::{Instrument, Span};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::{Bearer, reading};
use crate::ending::Ending;
use crate::fields::Faulty;
use crate::long_requests::Place;
use crate::problem::Problem;
use crate::progress::{Pace, Progress, WINDOW};
use crate::query::{FromParams, Params, Query};
use crate::turns::{TurnLimits, Turns};

/// JSON, a line each.
pub(crate) const NDJSON: &str = "application/x-ndjson";
/// How many bytes are told at a time, and a line more.
const CHUNK_BYTES: usize = 32 * 1024;
/// How often it is looked at whether clients take what they were told.
const WATCH_PERIOD: Duration = Duration::from_secs(5);

/// How many exports read at a time, each a piece of rows. They are few, so that all may wait.
pub(crate) const PIECES_READ: TurnLimits =
    TurnLimits { at_once: 2, at_once_each: 1, waiting: 1_024, waiting_each: 1_024 };

/// The route of exports.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(export))
}

/// What is exported.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// What this actor has and nothing else. Without it, an owner exports the account with all its
    /// actors, and a member what is its own.
    #[param(value_type = Option<i64>, minimum = 1)]
    actor_id: Option<ActorId>,
}

impl FromParams for ExportQuery {
    fn from_params(params: &mut Params) -> Result<Self, Faulty> {
        let actor_id = params.take("actor_id", |text| {
            ActorId::parse(&text).ok_or_else(|| Invalid::new("must be a positive integer"))
        });
        Ok(Self { actor_id: actor_id? })
    }
}

/// A line of an export: its `kind` comes first.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportLine)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Export(HeaderLine),
    Actor(ActorLine),
    Session(SessionLine),
    Todo(TodoLine),
    TodoLog(StepLine),
    Activity(ActivityLine),
    End(EndLine),
    Error(ErrorLine),
}

/// The first line.
#[derive(Serialize, ToSchema)]
struct HeaderLine {
    /// The version of this format: 1.
    format: u32,
    /// Names the account wherever the file goes. Ids in this file are of it.
    #[schema(format = "uuid")]
    source: String,
    account_id: i64,
    account_name: String,
    /// The actor whose rows alone are in the file; null for all.
    #[schema(required)]
    actor_id: Option<i64>,
    /// When the export began. What is newer is not in it.
    #[schema(format = DateTime)]
    exported_at: String,
}

/// An actor, before anything that it has.
#[derive(Serialize, ToSchema)]
struct ActorLine {
    actor_id: i64,
    name: String,
    actor_type: &'static str,
    role: &'static str,
    is_active: bool,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A session. Sessions come before what is linked to them.
#[derive(Serialize, ToSchema)]
struct SessionLine {
    session_id: i64,
    status: &'static str,
    #[schema(required)]
    notes: Option<String>,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(required, format = DateTime)]
    ended_at: Option<String>,
    actor_id: i64,
    /// The texts that can't be read: they are null here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unreadable: Vec<&'static str>,
}

/// A todo. Its log follows it.
#[derive(Serialize, ToSchema)]
struct TodoLine {
    todo_id: i64,
    #[schema(required)]
    session_id: Option<i64>,
    /// Null if it can't be read.
    #[schema(required)]
    title: Option<String>,
    #[schema(required)]
    description: Option<String>,
    /// Where it stands.
    status: &'static str,
    /// Where it stood before the first step of its log.
    first_status: &'static str,
    priority: i16,
    #[schema(required, format = DateTime)]
    due_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    actor_id: i64,
    /// The texts that can't be read: they are null here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unreadable: Vec<&'static str>,
}

/// A step of the log of the todo before it, ascending.
#[derive(Serialize, ToSchema)]
struct StepLine {
    log_id: i64,
    todo_id: i64,
    old_status: &'static str,
    new_status: &'static str,
    #[schema(required)]
    note: Option<String>,
    #[schema(format = DateTime)]
    logged_at: String,
    /// Whose the todo is.
    actor_id: i64,
    /// The texts that can't be read: they are null here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unreadable: Vec<&'static str>,
}

/// An activity.
#[derive(Serialize, ToSchema)]
struct ActivityLine {
    activity_id: i64,
    #[schema(required)]
    session_id: Option<i64>,
    activity_type: String,
    /// Null if it can't be read.
    #[schema(required)]
    description: Option<String>,
    #[schema(format = DateTime)]
    logged_at: String,
    #[schema(format = DateTime)]
    created_at: String,
    actor_id: i64,
    /// The texts that can't be read: they are null here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unreadable: Vec<&'static str>,
}

/// How many lines there are of each kind.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Counts {
    pub(crate) actors: u64,
    pub(crate) sessions: u64,
    pub(crate) todos: u64,
    pub(crate) todo_logs: u64,
    pub(crate) activities: u64,
}

impl Counts {
    const fn of(&mut self, record: &Record) -> &mut u64 {
        match record {
            Record::Actor(_) => &mut self.actors,
            Record::Session(_) => &mut self.sessions,
            Record::Todo(..) => &mut self.todos,
            Record::Step(..) => &mut self.todo_logs,
            Record::Activity(_) => &mut self.activities,
        }
    }
}

/// The last line of a whole export. A file without it was cut off.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct EndLine {
    pub(crate) counts: Counts,
    /// All of them.
    pub(crate) total: u64,
    /// How many of them hold a text that can't be read.
    pub(crate) unreadable: u64,
}

/// The last line of an export that failed on the way. What stands before it is right, but not all.
#[derive(Serialize, ToSchema)]
struct ErrorLine {
    /// Names the kind of problem, and leads to its explanation.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    uri: String,
    error: String,
}

impl ErrorLine {
    fn of(problem: &Problem) -> Line {
        Line::Error(Self { uri: problem.uri(), error: problem.detail().to_owned() })
    }
}

/// Keeps a text that can be read, and notes the name of one that can't.
fn legible(
    field: &'static str,
    text: Option<Legible>,
    unreadable: &mut Vec<&'static str>,
) -> Option<String> {
    let text = text?.ok();
    if text.is_none() {
        unreadable.push(field);
    }
    text
}

impl From<&ExportHeader> for HeaderLine {
    fn from(header: &ExportHeader) -> Self {
        Self {
            format: FORMAT,
            source: header.account.uid.to_string(),
            account_id: header.account.id.0,
            account_name: header.account.name.as_str().to_owned(),
            actor_id: header.actor.map(|actor| actor.0),
            exported_at: header.at.to_string(),
        }
    }
}

impl From<Actor> for ActorLine {
    fn from(actor: Actor) -> Self {
        Self {
            actor_id: actor.id.0,
            name: actor.name.into_string(),
            actor_type: actor.kind.name(),
            role: actor.role.name(),
            is_active: actor.is_active,
            created_at: actor.created_at.to_string(),
        }
    }
}

impl From<Session<Legible>> for SessionLine {
    fn from(session: Session<Legible>) -> Self {
        let mut unreadable = Vec::new();
        Self {
            session_id: session.id.0,
            status: session.status.name(),
            notes: legible("notes", session.notes, &mut unreadable),
            started_at: session.started_at.to_string(),
            ended_at: session.ended_at.as_ref().map(Timestamp::to_string),
            actor_id: session.actor.0,
            unreadable,
        }
    }
}

impl TodoLine {
    fn new(todo: Todo<Legible>, first_status: TodoStatus) -> Self {
        let mut unreadable = Vec::new();
        Self {
            todo_id: todo.id.0,
            session_id: todo.session.map(|session| session.0),
            title: legible("title", Some(todo.title), &mut unreadable),
            description: legible("description", todo.description, &mut unreadable),
            status: todo.status.name(),
            first_status: first_status.name(),
            priority: todo.priority.level(),
            due_at: todo.due_at.as_ref().map(Timestamp::to_string),
            created_at: todo.created_at.to_string(),
            updated_at: todo.updated_at.to_string(),
            actor_id: todo.actor.0,
            unreadable,
        }
    }
}

impl StepLine {
    fn new(actor: ActorId, step: StatusChange<Legible>) -> Self {
        let mut unreadable = Vec::new();
        Self {
            log_id: step.id.0,
            todo_id: step.todo.0,
            old_status: step.old_status.name(),
            new_status: step.new_status.name(),
            note: legible("note", step.note, &mut unreadable),
            logged_at: step.logged_at.to_string(),
            actor_id: actor.0,
            unreadable,
        }
    }
}

impl From<Activity<Legible>> for ActivityLine {
    fn from(activity: Activity<Legible>) -> Self {
        let mut unreadable = Vec::new();
        Self {
            activity_id: activity.id.0,
            session_id: activity.session.map(|session| session.0),
            activity_type: activity.activity_type.into_string(),
            description: legible("description", Some(activity.description), &mut unreadable),
            logged_at: activity.logged_at.to_string(),
            created_at: activity.created_at.to_string(),
            actor_id: activity.actor.0,
            unreadable,
        }
    }
}

impl Line {
    fn of(record: Record) -> Self {
        match record {
            Record::Actor(actor) => Self::Actor(actor.into()),
            Record::Session(session) => Self::Session(session.into()),
            Record::Todo(todo, first_status) => Self::Todo(TodoLine::new(todo, first_status)),
            Record::Step(actor, step) => Self::TodoLog(StepLine::new(actor, step)),
            Record::Activity(activity) => Self::Activity(activity.into()),
        }
    }

    const fn is_readable(&self) -> bool {
        match self {
            Self::Session(SessionLine { unreadable, .. })
            | Self::Todo(TodoLine { unreadable, .. })
            | Self::TodoLog(StepLine { unreadable, .. })
            | Self::Activity(ActivityLine { unreadable, .. }) => unreadable.is_empty(),
            _ => true,
        }
    }

    fn write(&self, chunk: &mut Vec<u8>) {
        // Strings, numbers and lists: there is nothing in it that can't be written.
        let _ = serde_json::to_writer(&mut *chunk, self);
        chunk.push(b'\n');
    }
}

/// An export on its way to its caller: read on as fast as the caller reads.
struct Telling {
    export: Export,
    /// Read, but not told yet.
    records: VecDeque<Record>,
    end: EndLine,
    is_over: bool,
    ending: Ending,
    /// Accounts take turns to read the next piece.
    turns: Turns,
    account: AccountId,
    _place: Place,
}

/// An export between its pieces. Where its client does not ask for the next one, all that it holds is
/// let go, for nothing else would look after it then.
struct Handed(Mutex<Step>);

/// Where an export is.
enum Step {
    /// A piece has gone out, and the client is waited for.
    Waiting(Box<Telling>, Waiting),
    /// The next piece is being read.
    Reading(Progress),
    /// The client took too little: it is told so, should it ask again.
    TooSlow,
    /// Everything has been told.
    Over,
}

/// For how long a client is waited for, and what it takes then.
struct Waiting {
    since: Instant,
    bytes: u64,
    progress: Progress,
}

impl Handed {
    /// An export of which nothing has been told.
    fn new(telling: Telling) -> Arc<Self> {
        let waiting = Waiting { since: Instant::now(), bytes: 0, progress: Progress::over(WINDOW) };
        let handed = Arc::new(Self(Mutex::new(Step::Waiting(Box::new(telling), waiting))));
        tokio::spawn(watch(Arc::downgrade(&handed)));
        handed
    }

    fn step(&self) -> MutexGuard<'_, Step> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next bytes, now that the client asks for them; `None` once the last line has been told.
    async fn next(&self) -> Option<Bytes> {
        let mut telling = match self.resume() {
            Ok(telling) => telling,
            Err(last) => return last,
        };
        let chunk = telling.next().await;
        let mut step = self.step();
        let Step::Reading(progress) = *step else { return chunk };
        let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        let waiting = Waiting { since: Instant::now(), bytes, progress };
        *step = if chunk.is_some() { Step::Waiting(telling, waiting) } else { Step::Over };
        chunk
    }

    /// Goes on with the export, or tells what its last bytes are.
    fn resume(&self) -> Result<Box<Telling>, Option<Bytes>> {
        let mut step = self.step();
        match mem::replace(&mut *step, Step::Over) {
            Step::Waiting(telling, Waiting { since, bytes, mut progress }) => {
                match progress.note(bytes, since.elapsed()) {
                    Pace::KeepsUp => {
                        *step = Step::Reading(progress);
                        Ok(telling)
                    }
                    Pace::TooSlow => Err(Some(too_slow())),
                }
            }
            Step::TooSlow => Err(Some(too_slow())),
            Step::Reading(_) | Step::Over => Err(None),
        }
    }

    /// Lets an export go whose client has taken too little.
    fn look(&self) {
        let mut step = self.step();
        let Step::Waiting(_, Waiting { since, progress, .. }) = &*step else { return };
        let mut progress = *progress;
        if progress.note(0, since.elapsed()) == Pace::TooSlow {
            *step = Step::TooSlow;
        }
    }
}

/// Looks after an export until its body is gone: with its last byte, or with its connection.
async fn watch(handed: Weak<Handed>) {
    loop {
        tokio::time::sleep(WATCH_PERIOD).await;
        let Some(handed) = handed.upgrade() else { return };
        handed.look();
    }
}

/// The last line of an export whose client is too slow.
fn too_slow() -> Bytes {
    let problem = Problem::export_too_slow();
    tracing::warn!("an export ended early: {}", problem.detail());
    let mut chunk = Vec::new();
    ErrorLine::of(&problem).write(&mut chunk);
    chunk.into()
}

impl Telling {
    /// The next bytes; `None` once the last line has been told.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        // Others on this thread come first: a client that takes it as fast as it is made would keep it.
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
        let line = Line::of(record);
        self.end.unreadable += u64::from(!line.is_readable());
        line.write(chunk);
    }

    async fn read_on(&mut self, chunk: &mut Vec<u8>) {
        let in_turn = async {
            let turn = self.turns.take(self.account).await;
            let _turn = turn.map_err(|_| Problem::too_many_wait())?;
            self.export.next().await.map_err(Problem::from)
        };
        let read = tokio::select! {
            biased;
            () = self.ending.begun() => Err(Problem::ending()),
            read = in_turn => read,
        };
        match read {
            Ok(Some(records)) => self.records.extend(records),
            Ok(None) => {
                let counts = std::mem::take(&mut self.end);
                self.finish(&Line::End(counts), chunk);
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

    fn finish(&mut self, last: &Line, chunk: &mut Vec<u8>) {
        last.write(chunk);
        self.is_over = true;
    }
}

/// Export
///
/// Everything that the account has, or an actor of it, as JSON lines: first a header, then actors,
/// sessions, todos each with its log, activities; by id within each kind. The last line counts them;
/// where the export failed on the way it says so instead. A file without either was cut off. Costs
/// nothing, and works while the account is suspended. An account may have two under way at once, and each
/// ends whose client takes less than 1 KiB/s over a minute.
#[utoipa::path(
    get, path = "/api/v1/export", operation_id = "export", tag = "accounts",
    params(ExportQuery),
    responses(
        (status = 200, description = "A line a row, decrypted.", content_type = "application/x-ndjson", body = Line, example = json!({
            "kind": "session",
            "session_id": 2,
            "status": "active",
            "notes": "Working on API docs",
            "started_at": "2026-04-09T10:00:00Z",
            "ended_at": null,
            "actor_id": 1
        })),
        (status = 403, description = "A member named another actor."),
        (status = 429, description = "Two exports of the account are under way, or 16 of the server, or a limit by time is reached. An owner's export counts as a change of keys.")
    )
)]
async fn export(
    State(app): State<App>,
    method: Method,
    mut caller: Bearer,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    if method == Method::HEAD {
        let header = reading!(caller, app.services.exports.header(&caller, query.actor_id))?;
        // How long it would be is not known.
        let body = Body::from_stream(stream::empty::<Result<Bytes, Infallible>>());
        return Ok((headers(&header), body).into_response());
    }
    let place = app.exports.begin(caller.account.id)?;
    if caller.actor.role == Role::Owner {
        caller.count_noted()?;
    }
    let export = reading!(
        caller,
        app.services.exports.begin(caller.caller(), caller.lookup(), query.actor_id)
    )?;
    if let Some(fault) = export.unnoted() {
        let account = export.header().account.id;
        tracing::warn!(%account, %fault, "an owner's export is not noted in the audit trail");
    }
    let headers = headers(export.header());
    let mut head = Vec::new();
    Line::Export(export.header().into()).write(&mut head);
    let telling = Telling {
        turns: app.export_turns.clone(),
        account: export.header().account.id,
        export,
        records: VecDeque::new(),
        end: EndLine::default(),
        is_over: false,
        ending: app.ending.clone(),
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

fn headers(header: &ExportHeader) -> [(HeaderName, HeaderValue); 2] {
    let media_type = (CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    [media_type, (CONTENT_DISPOSITION, file_name(header))]
}

/// Tells whose it is and of when: `roots-2-20260409T140000Z.jsonl`.
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
