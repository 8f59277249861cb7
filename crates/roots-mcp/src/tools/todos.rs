//! Todos: lists, new ones and changes.

use std::sync::Arc;

use roots_domain::model::Patch;
use roots_domain::model::claim::ClaimToken;
use roots_domain::model::id::{SessionId, TodoId};
use roots_domain::model::page::{LIMIT_DEFAULT, PageRequest, Start};
use roots_domain::model::text::{LogNote, LongText, Title};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{NewTodos, Priority, TodoContent, TodoStatus};
use roots_domain::model::todo_list::{TodoChoice, TodoRows, TodoSort};
use roots_domain::service::Preconditions;
use roots_domain::service::access::ActorScope;
use roots_domain::service::todos::{TodoChange, TodoDraft, TodoDrafts, TodoFilter};
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{
    FromMembers, Members, actor_id, array, boolean, claim_token, integer, positive, session_id,
    text,
};
use roots_http_core::request::pagination::Cursor;

use super::call::{Answer, Call, answer_with, name, request_id};
use super::selection::{actors, limit, scope_text};
use crate::documents::{CreatedTodos, ListedTodoDocument, Omitted, TodoDocument, TodoPage};
use crate::fit::{Fitted, fit, max_bytes};

struct List {
    scope: ActorScope,
    choice: TodoChoice,
    rows: TodoRows,
    limit: u32,
    cursor: Option<Cursor>,
    max_bytes: usize,
}

impl FromMembers for List {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let status = members.optional("status", text(name(&TodoStatus::ALL, TodoStatus::name)));
        let priority = members.optional("priority", integer(Priority::parse));
        let session = members.optional("session_id", session_id);
        let overdue = members.optional("overdue", boolean);
        let sort = members.optional("sort", text(name(TodoSort::ALL, TodoSort::name)));
        let scope = members.optional("actor_id", actors);
        let limit = members.optional("limit", integer(limit));
        let cursor = members.optional("cursor", text(|cursor| Cursor::parse(&cursor)));
        let max_bytes = max_bytes(members);
        let choice = TodoChoice {
            status: status?,
            priority: priority?,
            session: session?,
            overdue: overdue?.unwrap_or_default(),
            sort: sort?,
        };
        let rows = TodoRows::try_from(choice).map_err(|unserved| {
            let (argument, message) = unserved.explained();
            members.error(argument, message)
        });
        Ok(Self {
            scope: scope?.unwrap_or_default(),
            choice,
            rows: rows?,
            limit: limit?.unwrap_or(LIMIT_DEFAULT),
            cursor: cursor?,
            max_bytes: max_bytes?,
        })
    }
}

/// Lists todos. A page has as many as fit, and the cursor goes on after the last of them.
pub(super) async fn list_todos(mut call: Call) -> Result<Answer, Problem> {
    let List { scope, choice, rows, limit, cursor, max_bytes } = call.read()?;
    let filter = TodoFilter { scope, rows };
    let TodoChoice { status, priority, session, overdue, sort } = choice;
    let filters = [
        ("status", status.map(|status| status.name().to_owned())),
        ("priority", priority.map(|priority| priority.level().to_string())),
        ("session_id", session.map(|session| session.to_string())),
        ("overdue", overdue.then(|| "true".to_owned())),
        ("sort", sort.map(|sort| sort.name().to_owned())),
        ("actor_id", scope_text(scope)),
    ];
    let page = call.page("list_todos", &filters, cursor);
    let request = match page.after_of_body(&call.bearer)? {
        None => PageRequest::skipping(0, limit),
        Some(after) => PageRequest { limit, start: Start::After(after) },
    };
    let services = Arc::clone(&call.services);
    let find = |caller| {
        let todos = &services.todos;
        async move { todos.find(&Arc::clone(&caller), filter, request).await }
    };
    let balance = call.balance();
    let (found, balance) = tokio::join!(call.bearer.read_rows(find), balance);
    let ((found, room), balance) = (found?, balance?);
    let keys: Vec<_> = found.items.iter().map(|listed| rows.position(&listed.todo)).collect();
    let (total, count, next) = (found.total, found.items.len(), found.next);
    let opening = services.accounts.opening(&call.bearer, found.items).await?;
    let rows = room.open::<_, ListedTodoDocument>(opening).await?;
    let fitted = fit("todos", rows, max_bytes);
    let Fitted { rows, cut } = fitted.map_err(|error| Problem::internal(error.to_string()))?;
    let left_out = count - rows.len();
    let last = rows.len().checked_sub(1).and_then(|last| keys.get(last).copied());
    let next = if left_out > 0 { last } else { next };
    let omitted = (left_out > 0).then(|| Omitted {
        what: "todos",
        count: Some(left_out),
        request: "list_todos with cursor = next_cursor".to_owned(),
    });
    let document = TodoPage {
        todos: rows,
        total,
        limit,
        next_cursor: next.map(|after| page.cursor(&call.bearer, after)),
        omitted: omitted.into_iter().collect(),
        cut,
    };
    answer_with(document, room, balance)
}

struct Add {
    drafts: TodoDrafts,
    request_id: Option<String>,
}

impl FromMembers for Add {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let drafts = members.objects("todos", draft);
        let request_id = request_id(members);
        let drafts = drafts.and_then(|drafts| {
            NewTodos::new(drafts).map_err(|invalid| members.error("todos", invalid.to_string()))
        });
        Ok(Self { drafts: drafts?, request_id: request_id? })
    }
}

fn draft(members: &mut Members) -> Result<TodoDraft, InvalidNoted> {
    let title = members.required("title", text(Title::parse));
    let description = members.optional("description", text(LongText::parse));
    let priority = members.optional("priority", integer(Priority::parse));
    let due_at = members.optional("due_at", text(|at| Timestamp::parse(&at)));
    let session = members.optional("session_id", session_id);
    let actor = members.optional("actor_id", actor_id);
    let content = TodoContent {
        title: title?,
        description: description?,
        session: session?,
        priority: priority?.unwrap_or_default(),
        due_at: due_at?,
    };
    Ok(TodoDraft { actor: actor?, content })
}

/// Creates todos.
pub(super) async fn add_todos(call: Call) -> Result<Answer, Problem> {
    let Add { drafts, request_id } = call.read()?;
    let preconditions = call.preconditions("add_todos", request_id);
    let created = call.services.todos.create_many(&call.bearer, drafts, preconditions).await;
    call.settle(created, |todos| CreatedTodos {
        todos: todos.into_iter().map(TodoDocument::from).collect(),
    })
}

struct Update {
    id: TodoId,
    change: TodoChange,
    claim_token: Option<ClaimToken>,
    request_id: Option<String>,
}

/// A field that can be emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clearable {
    Description,
    DueAt,
    Session,
}

impl Clearable {
    const ALL: [Self; 3] = [Self::Description, Self::DueAt, Self::Session];

    const fn name(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::DueAt => "due_at",
            Self::Session => "session_id",
        }
    }
}

impl FromMembers for Update {
    /// A member that is `null` is one that was left out: many clients send `null` for what an agent
    /// did not give. What is to be emptied is named in `clear`.
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let id = members.required("todo_id", |value| positive(value).map(TodoId));
        let title = members.optional("title", text(Title::parse));
        let description = members.optional("description", text(LongText::parse));
        let status = members.optional("status", text(name(&TodoStatus::ALL, TodoStatus::name)));
        let priority = members.optional("priority", integer(Priority::parse));
        let due_at = members.optional("due_at", text(|at| Timestamp::parse(&at)));
        let session = members.optional("session_id", session_id);
        let note = members.optional("note", text(LogNote::parse));
        let claim_token = members.optional("claim_token", claim_token);
        let clearable = |value| text(name(&Clearable::ALL, Clearable::name))(value);
        let clear = members.optional("clear", array(clearable));
        let request_id = request_id(members);
        let clear = clear?.unwrap_or_default();
        let description = patch(members, Clearable::Description, description?, &clear);
        let due_at = patch(members, Clearable::DueAt, due_at?, &clear);
        let session: Result<Patch<SessionId>, _> =
            patch(members, Clearable::Session, session?, &clear);
        let change = TodoChange {
            title: title?,
            description: description?,
            status: status?,
            priority: priority?,
            due_at: due_at?,
            session: session?,
            note: note?,
        };
        Ok(Self { id: id?, change, claim_token: claim_token?, request_id: request_id? })
    }
}

fn patch<T>(
    members: &mut Members,
    field: Clearable,
    given: Option<T>,
    clear: &[Clearable],
) -> Result<Patch<T>, InvalidNoted> {
    match (given, clear.contains(&field)) {
        (Some(_), true) => Err(members
            .error("clear", format!("must not name {}, which has a new value", field.name()))),
        (Some(value), false) => Ok(Patch::Set(value)),
        (None, true) => Ok(Patch::Clear),
        (None, false) => Ok(Patch::Keep),
    }
}

/// Changes a todo.
pub(super) async fn update_todo(call: Call) -> Result<Answer, Problem> {
    let Update { id, change, claim_token, request_id } = call.read()?;
    let preconditions = call.preconditions("update_todo", request_id);
    let preconditions = Preconditions { claim_token, ..preconditions };
    let changed = call.services.todos.patch(&call.bearer, id, change, preconditions).await;
    call.settle(changed, TodoDocument::from)
}
