//! The brief as JSON: the document of `GET /brief`. Only the requests for what is left out are
//! calls of tools, where there is one.

use roots_domain::model::activity::Activity;
use roots_domain::model::brief::{
    Brief, BriefActors, BriefChange, BriefCounts, BriefText, NextTodo, Omitted, Resource,
};
use roots_domain::model::session::{EndReason, ListedSession};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::ListedTodo;
use roots_http_core::wire::API_PATH;
use serde::Serialize;

use crate::documents::ClaimDocument;

/// A brief.
#[derive(Serialize)]
pub(crate) struct BriefDocument<'a> {
    at: String,
    since: Option<String>,
    session: Option<LastSession<'a>>,
    in_progress: Vec<Item<'a>>,
    left_behind: Vec<Item<'a>>,
    overdue: Vec<Item<'a>>,
    next: Vec<Item<'a>>,
    waiting: Vec<Entry<'a>>,
    activities: Vec<Entry<'a>>,
    status_changes: Vec<Change<'a>>,
    counts: Counts,
    has_work: bool,
    next_action: Action<'a>,
    omitted: Vec<LeftOut>,
    cut: Vec<String>,
}

#[derive(Serialize)]
struct LastSession<'a> {
    session_id: i64,
    status: &'static str,
    notes: Option<&'a str>,
    started_at: String,
    ended_at: Option<String>,
    ended_reason: Option<&'static str>,
    duration_seconds: Option<i64>,
    actor_id: i64,
    last_active_at: String,
}

#[derive(Serialize)]
struct Item<'a> {
    todo_id: i64,
    session_id: Option<i64>,
    title: &'a str,
    description: Option<&'a str>,
    status: &'static str,
    priority: i16,
    due_at: Option<String>,
    claim: Option<ClaimDocument>,
    actor_id: i64,
    until: Option<String>,
}

#[derive(Serialize)]
struct Entry<'a> {
    activity_id: i64,
    session_id: Option<i64>,
    activity_type: &'a str,
    description: &'a str,
    logged_at: String,
    created_at: String,
    actor_id: i64,
}

#[derive(Serialize)]
struct Change<'a> {
    todo_id: i64,
    title: &'a str,
    old_status: &'static str,
    new_status: &'static str,
    note: Option<&'a str>,
    logged_at: String,
}

#[derive(Serialize)]
struct Counts {
    todos: TodoCounts,
    sessions: SessionCounts,
    activities: i64,
    overdue: i64,
}

#[derive(Serialize)]
struct TodoCounts {
    open: i64,
    in_progress: i64,
    done: i64,
    cancelled: i64,
}

#[derive(Serialize)]
struct SessionCounts {
    active: i64,
    ended: i64,
}

#[derive(Serialize)]
struct Action<'a> {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<Next<'a>>,
}

#[derive(Serialize)]
struct Next<'a> {
    todo_id: i64,
    title: &'a str,
    priority: i16,
    due_at: Option<String>,
    claim_token: Option<i64>,
    actor_id: i64,
}

#[derive(Serialize)]
struct LeftOut {
    what: &'static str,
    count: i64,
    request: String,
}

impl<'a> BriefDocument<'a> {
    /// The document of a brief of these actors.
    pub(crate) fn new(brief: &'a Brief, actors: BriefActors) -> Self {
        let items = |list: &'a [ListedTodo<BriefText>]| list.iter().map(Item::of).collect();
        let entries = |list: &'a [Activity<BriefText>]| list.iter().map(Entry::of).collect();
        let omitted = brief.omitted().into_iter();
        Self {
            at: brief.at.to_string(),
            since: brief.since.map(|since| since.to_string()),
            session: brief.session.as_ref().map(LastSession::of),
            in_progress: items(&brief.in_progress),
            left_behind: items(&brief.left_behind),
            overdue: items(&brief.overdue),
            next: items(&brief.next),
            waiting: entries(&brief.waiting),
            activities: entries(&brief.activities),
            status_changes: brief.status_changes.iter().map(Change::of).collect(),
            counts: Counts::of(&brief.counts),
            has_work: brief.has_work(),
            next_action: Action {
                action: brief.next_action.name(),
                todo: brief.next_action.todo().map(Next::of),
            },
            omitted: omitted.map(|one| LeftOut::of(one, actors, brief.since)).collect(),
            cut: brief.cut(),
        }
    }
}

impl<'a> LastSession<'a> {
    fn of(ListedSession { session, last_active_at }: &'a ListedSession<BriefText>) -> Self {
        Self {
            session_id: session.id.0,
            status: session.status.kind().name(),
            notes: session.notes.as_ref().map(BriefText::as_str),
            started_at: session.started_at.to_string(),
            ended_at: session.status.ended_at().map(|at| at.to_string()),
            ended_reason: session.status.end_reason().map(EndReason::name),
            duration_seconds: session.duration_seconds(),
            actor_id: session.actor.0,
            last_active_at: last_active_at.to_string(),
        }
    }
}

impl<'a> Item<'a> {
    fn of(ListedTodo { todo, until }: &'a ListedTodo<BriefText>) -> Self {
        Self {
            todo_id: todo.id.0,
            session_id: todo.content.session.map(|session| session.0),
            title: todo.content.title.as_str(),
            description: todo.content.description.as_ref().map(BriefText::as_str),
            status: todo.status.name(),
            priority: todo.content.priority.level(),
            due_at: todo.content.due_at.map(|at| at.to_string()),
            claim: ClaimDocument::of(&todo.claims),
            actor_id: todo.actor.0,
            until: until.map(|until| until.to_string()),
        }
    }
}

impl<'a> Entry<'a> {
    fn of(activity: &'a Activity<BriefText>) -> Self {
        Self {
            activity_id: activity.id.0,
            session_id: activity.session.map(|session| session.0),
            activity_type: activity.activity_type.as_str(),
            description: activity.description.as_str(),
            logged_at: activity.logged_at.to_string(),
            created_at: activity.created_at.to_string(),
            actor_id: activity.actor.0,
        }
    }
}

impl<'a> Change<'a> {
    fn of(BriefChange { title, change, .. }: &'a BriefChange<BriefText>) -> Self {
        Self {
            todo_id: change.todo.0,
            title: title.as_str(),
            old_status: change.old_status.name(),
            new_status: change.new_status.name(),
            note: change.note.as_ref().map(BriefText::as_str),
            logged_at: change.logged_at.to_string(),
        }
    }
}

impl Counts {
    const fn of(counts: &BriefCounts) -> Self {
        Self {
            todos: TodoCounts {
                open: counts.todos.open,
                in_progress: counts.todos.in_progress,
                done: counts.todos.done,
                cancelled: counts.todos.cancelled,
            },
            sessions: SessionCounts {
                active: counts.sessions_active,
                ended: counts.sessions_ended,
            },
            activities: counts.activities,
            overdue: counts.overdue,
        }
    }
}

impl<'a> Next<'a> {
    fn of(todo: &'a NextTodo) -> Self {
        Self {
            todo_id: todo.id.0,
            title: todo.title.as_str(),
            priority: todo.priority.level(),
            due_at: todo.due_at.map(|at| at.to_string()),
            claim_token: todo.claim_token.map(|token| token.0),
            actor_id: todo.actor.0,
        }
    }
}

impl LeftOut {
    fn of(omitted: Omitted, actors: BriefActors, since: Option<Timestamp>) -> Self {
        let (resource, filters) = omitted.shown_by(actors, since);
        let joined = |between: &str| {
            let filters = filters.iter().map(|(name, value)| format!("{name}={value}"));
            filters.collect::<Vec<_>>().join(between)
        };
        // No tool lists activities or exports.
        let by_api = |path: &str| match joined("&") {
            filters if filters.is_empty() => format!("GET {API_PATH}/{path}"),
            filters => format!("GET {API_PATH}/{path}?{filters}"),
        };
        let request = match resource {
            Resource::Session(id) => format!("get_item kind=session id={id}"),
            Resource::Todos => format!("list_todos {}", joined(" ")),
            Resource::Activities => by_api("activities"),
            Resource::Export => by_api("export"),
        };
        Self { what: omitted.list.name(), count: omitted.count, request }
    }
}
