//! Single items, whole.

use std::sync::Arc;

use roots_domain::model::Invalid;
use roots_domain::model::id::{ActivityId, SessionId, TodoId};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::todo::Todo;
use roots_domain::port::store::StoreResult;
use roots_domain::service::SealedRow;
use roots_domain::service::access::Caller;
use roots_domain::service::todos::{LogStep, Todos};
use roots_http_core::middleware::list_permits::FoundRows;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{FromMembers, Members, positive, text};
use roots_http_core::wire::API_PATH;

use super::call::{Answer, Call, name};
use crate::documents::{
    ActivityDocument, LoggedTodo, Omitted, SessionDocument, StatusChangeDocument, TodoDocument,
};

/// A log is read until it has so many bytes of sealed notes or so many steps: the answer is one
/// message, which can't be sent piece by piece.
const LOG_MAX_BYTES: usize = 256 * 1024;
/// The same as a number of steps.
const LOG_MAX_STEPS: usize = 1_000;

/// A kind of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ItemKind {
    Todo,
    Session,
    Activity,
}

impl ItemKind {
    const ALL: [Self; 3] = [Self::Todo, Self::Session, Self::Activity];

    const fn name(self) -> &'static str {
        match self {
            Self::Todo => "todo",
            Self::Session => "session",
            Self::Activity => "activity",
        }
    }
}

struct Item {
    kind: ItemKind,
    id: i64,
}

impl FromMembers for Item {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let kind =
            |given: String| -> Result<_, Invalid> { name(&ItemKind::ALL, ItemKind::name)(given) };
        let kind = members.required("kind", text(kind));
        let id = members.required("id", positive);
        Ok(Self { kind: kind?, id: id? })
    }
}

/// Gets an item.
pub(super) async fn get_item(mut call: Call) -> Result<Answer, Problem> {
    let Item { kind, id } = call.read()?;
    let services = Arc::clone(&call.services);
    match kind {
        ItemKind::Todo => todo(call, TodoId(id)).await,
        ItemKind::Session => {
            let sessions = &services.sessions;
            let find = |caller: Arc<Caller>| async move {
                sessions.find_one(&caller, SessionId(id)).await
            };
            let (found, room) = call.bearer.read_rows(find).await?;
            let session = open(&call, kind, found).await?;
            call.answer(SessionDocument::from(session), room).await
        }
        ItemKind::Activity => {
            let activities = &services.activities;
            let find = |caller: Arc<Caller>| async move {
                activities.find_one(&caller, ActivityId(id)).await
            };
            let (found, room) = call.bearer.read_rows(find).await?;
            let activity = open(&call, kind, found).await?;
            call.answer(ActivityDocument::from(activity), room).await
        }
    }
}

/// Opens the row that was found.
async fn open<S: SealedRow>(
    call: &Call,
    kind: ItemKind,
    found: Option<S>,
) -> Result<S::Open, Problem> {
    let found = found.ok_or_else(|| Problem::not_found(kind.name()))?;
    let mut opening = call.services.accounts.opening(&call.bearer, vec![found]).await?;
    let opened = opening.next().transpose()?;
    opened.ok_or_else(|| Problem::internal("a row was lost"))
}

/// A todo with its log.
async fn todo(mut call: Call, id: TodoId) -> Result<Answer, Problem> {
    let services = Arc::clone(&call.services);
    let todos = &services.todos;
    let find = |caller: Arc<Caller>| async move { find_todo(todos, &caller, id).await };
    let (FoundTodo(found), room) = call.bearer.read_rows(find).await?;
    let LoggedRow { todo, steps, is_whole } = found.ok_or_else(|| Problem::not_found("todo"))?;
    let todo = open(&call, ItemKind::Todo, Some(todo)).await?;
    let opening = services.accounts.opening(&call.bearer, steps).await?;
    let logs = room.open::<_, StatusChangeDocument>(opening).await?;
    let omitted = (!is_whole).then(|| Omitted {
        what: "logs",
        count: None,
        request: format!("GET {API_PATH}/todos/{id}/logs"),
    });
    let document = LoggedTodo {
        todo: TodoDocument::from(todo),
        logs: logs.into(),
        omitted: omitted.into_iter().collect(),
    };
    call.answer(document, room).await
}

/// Reads a todo and its log, up to its limits.
async fn find_todo(todos: &Todos, caller: &Caller, id: TodoId) -> StoreResult<FoundTodo> {
    let Some(todo) = todos.find_one(caller, id).await? else { return Ok(FoundTodo(None)) };
    let (mut steps, mut bytes, mut after) = (Vec::new(), 0, None);
    loop {
        // It may have been deleted meanwhile.
        let Some(chunk) = todos.log_after(caller, id, after).await? else {
            return Ok(FoundTodo(None));
        };
        bytes += chunk.steps.iter().map(SealedRow::sealed_bytes).sum::<usize>();
        steps.extend(chunk.steps);
        after = chunk.next;
        if after.is_none() || bytes >= LOG_MAX_BYTES || steps.len() >= LOG_MAX_STEPS {
            let is_whole = after.is_none();
            return Ok(FoundTodo(Some(LoggedRow { todo, steps, is_whole })));
        }
    }
}

/// A todo and its log, sealed.
struct LoggedRow {
    todo: Todo<Sealed>,
    steps: Vec<LogStep>,
    /// Whether the log has no more steps.
    is_whole: bool,
}

/// They, if there is such a todo.
struct FoundTodo(Option<LoggedRow>);

impl FoundRows for FoundTodo {
    fn rows(&self) -> usize {
        self.0.as_ref().map_or(0, |found| 1 + found.steps.len())
    }

    fn sealed_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |LoggedRow { todo, steps, .. }| {
            todo.sealed_bytes() + steps.iter().map(SealedRow::sealed_bytes).sum::<usize>()
        })
    }
}
