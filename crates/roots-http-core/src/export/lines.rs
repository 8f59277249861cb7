//! The lines of an export.

use std::borrow::Cow;

use roots_domain::model::account::Actor;
use roots_domain::model::activity::Activity;
use roots_domain::model::id::ActorId;
use roots_domain::model::session::{EndReason, Session};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{StatusChange, Todo, TodoStatus};
use roots_domain::service::exports::{ExportHeader, FORMAT, Legible, Record};
use serde::Serialize;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Ref, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::Problem;
use crate::wire::NDJSON;

/// A line of an export: its `kind` comes first.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum ExportLine {
    Export(HeaderLine),
    Actor(ActorLine),
    Session(SessionLine),
    Todo(TodoLine),
    TodoLog(StepLine),
    Activity(ActivityLine),
    End(EndLine),
    Error(ErrorLine),
}

/// A whole export. This type only describes it.
pub enum ExportBody {}

impl PartialSchema for ExportBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .content_media_type(NDJSON)
            .content_schema(Some(Ref::from_schema_name(ExportLine::name())))
            .description(Some("Lines of JSON (NDJSON), each an `ExportLine`."))
            .into()
    }
}

impl ToSchema for ExportBody {
    fn name() -> Cow<'static, str> {
        "Export".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ExportLine::name().into_owned(), ExportLine::schema()));
        ExportLine::schemas(schemas);
    }
}

/// The first line.
#[derive(Serialize, ToSchema)]
pub(crate) struct HeaderLine {
    /// The version of the format: 1.
    format: u32,
    /// The universal id of the account that was exported. The ids in this file are ids of that
    /// account.
    #[schema(format = "uuid")]
    source: String,
    account_id: i64,
    account_name: String,
    /// The only actor whose rows are in the file; null for all actors.
    #[schema(required)]
    actor_id: Option<i64>,
    /// When the export began. Newer rows are not in it.
    #[schema(format = DateTime)]
    exported_at: String,
}

/// An actor. Its line comes before its rows.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActorLine {
    actor_id: i64,
    name: String,
    actor_type: &'static str,
    role: &'static str,
    is_active: bool,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A session. Its line comes before the rows that are linked to it.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionLine {
    session_id: i64,
    status: &'static str,
    #[schema(required)]
    notes: Option<String>,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(required, format = DateTime)]
    ended_at: Option<String>,
    /// `ended` or `idle`; null while it is active. Exports of older versions lack it.
    #[schema(required)]
    ended_reason: Option<&'static str>,
    actor_id: i64,
    /// The names of the texts that can't be read; they are null in this line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unreadable: Vec<&'static str>,
}

/// A todo. Its log follows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TodoLine {
    todo_id: i64,
    #[schema(required)]
    session_id: Option<i64>,
    /// Null if it can't be read.
    #[schema(required)]
    title: Option<String>,
    #[schema(required)]
    description: Option<String>,
    /// Its current status.
    status: &'static str,
    /// Its status before the first step of its log.
    first_status: &'static str,
    priority: i16,
    #[schema(required, format = DateTime)]
    due_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    actor_id: i64,
    /// The names of the texts that can't be read; they are null in this line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unreadable: Vec<&'static str>,
}

/// A step of the log of the preceding todo. Steps are in ascending order.
#[derive(Serialize, ToSchema)]
pub(crate) struct StepLine {
    log_id: i64,
    todo_id: i64,
    old_status: &'static str,
    new_status: &'static str,
    #[schema(required)]
    note: Option<String>,
    #[schema(format = DateTime)]
    logged_at: String,
    /// The actor that the todo belongs to.
    actor_id: i64,
    /// The names of the texts that can't be read; they are null in this line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unreadable: Vec<&'static str>,
}

/// An activity.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActivityLine {
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
    /// The names of the texts that can't be read; they are null in this line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unreadable: Vec<&'static str>,
}

/// The number of lines of each kind.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Counts)]
pub(crate) struct LineCounts {
    pub(crate) actors: u64,
    pub(crate) sessions: u64,
    pub(crate) todos: u64,
    pub(crate) todo_logs: u64,
    pub(crate) activities: u64,
}

impl LineCounts {
    pub(crate) const fn of(&mut self, record: &Record) -> &mut u64 {
        match record {
            Record::Actor(_) => &mut self.actors,
            Record::Session(_) => &mut self.sessions,
            Record::Todo(..) => &mut self.todos,
            Record::Step(..) => &mut self.todo_logs,
            Record::Activity(_) => &mut self.activities,
        }
    }
}

/// The last line of a complete export. A file without it was cut off.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct EndLine {
    pub(crate) counts: LineCounts,
    /// The number of lines of all kinds.
    pub(crate) total: u64,
    /// The number of lines with a text that can't be read.
    pub(crate) unreadable: u64,
}

/// The last line of an export that failed. The lines before it are correct but incomplete.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorLine {
    /// The kind of problem: a link to its explanation.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    uri: String,
    error: String,
}

impl ErrorLine {
    pub(crate) fn of(problem: &Problem) -> ExportLine {
        ExportLine::Error(Self { uri: problem.uri(), error: problem.detail().to_owned() })
    }
}

/// Returns a text that can be read, or notes its name if it can't.
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
            status: session.status.kind().name(),
            notes: legible("notes", session.notes, &mut unreadable),
            started_at: session.started_at.to_string(),
            ended_at: session.status.ended_at().as_ref().map(Timestamp::to_string),
            ended_reason: session.status.end_reason().map(EndReason::name),
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
            session_id: todo.content.session.map(|session| session.0),
            title: legible("title", Some(todo.content.title), &mut unreadable),
            description: legible("description", todo.content.description, &mut unreadable),
            status: todo.status.name(),
            first_status: first_status.name(),
            priority: todo.content.priority.level(),
            due_at: todo.content.due_at.as_ref().map(Timestamp::to_string),
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

impl ExportLine {
    pub(crate) fn of(record: Record) -> Self {
        match record {
            Record::Actor(actor) => Self::Actor(actor.into()),
            Record::Session(session) => Self::Session(session.into()),
            Record::Todo(todo, first_status) => Self::Todo(TodoLine::new(todo, first_status)),
            Record::Step(actor, step) => Self::TodoLog(StepLine::new(actor, step)),
            Record::Activity(activity) => Self::Activity(activity.into()),
        }
    }

    pub(crate) const fn is_readable(&self) -> bool {
        match self {
            Self::Session(SessionLine { unreadable, .. })
            | Self::Todo(TodoLine { unreadable, .. })
            | Self::TodoLog(StepLine { unreadable, .. })
            | Self::Activity(ActivityLine { unreadable, .. }) => unreadable.is_empty(),
            _ => true,
        }
    }

    pub(crate) fn write(&self, chunk: &mut Vec<u8>) {
        // Strings, numbers and lists always serialize.
        let _ = serde_json::to_writer(&mut *chunk, self);
        chunk.push(b'\n');
    }
}
