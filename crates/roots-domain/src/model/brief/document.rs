//! The brief: which row is in which list, and what to do next.

use std::array;

use super::omitted::{BriefList, Omitted};
use super::reader::{Holder, Reader};
use super::rows::{BriefChange, BriefCounts, BriefRows, WAITING_TYPES, claim_order};
use super::text::BriefText;
use crate::model::activity::Activity;
use crate::model::claim::ClaimToken;
use crate::model::id::{ActorId, SessionId, TodoId};
use crate::model::session::ListedSession;
use crate::model::time::Timestamp;
use crate::model::todo::{ListedTodo, Priority, TodoStatus};

/// A brief. Each todo is in one list only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// When it was read, by the clock that judges deadlines.
    pub at: Timestamp,
    /// The start of what it reports; `None` for everything.
    pub since: Option<Timestamp>,
    /// The session that [`super::BriefSessions::shown`] chooses.
    pub session: Option<ListedSession<BriefText>>,
    /// Todos in progress whose claim lives, or that have none. First those that the reader may go
    /// on with.
    pub in_progress: Vec<ListedTodo<BriefText>>,
    /// Todos in progress whose claim has lapsed, in the order of claims.
    pub left_behind: Vec<ListedTodo<BriefText>>,
    /// Open todos past their due date, in the order of claims.
    pub overdue: Vec<ListedTodo<BriefText>>,
    /// The other open todos, in the order of claims.
    pub next: Vec<ListedTodo<BriefText>>,
    /// What sessions wait for, the newest first.
    pub waiting: Vec<Activity<BriefText>>,
    /// Activities in the reported time, the newest first.
    pub activities: Vec<Activity<BriefText>>,
    /// Status changes in the reported time, the newest first.
    pub status_changes: Vec<BriefChange<BriefText>>,
    /// How many rows there are.
    pub counts: BriefCounts,
    /// What to do next.
    pub next_action: NextAction,
    /// How many rows each list would have, to know what was left out.
    pub totals: BriefTotals,
}

/// What an agent should do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextAction {
    /// Go on with a todo in progress: see [`Reader::may_go_on`].
    Resume(NextTodo),
    /// Claim a todo whose claim has lapsed.
    TakeOver(NextTodo),
    /// Claim an open todo.
    Claim(NextTodo),
    /// There is nothing to do, or others are doing it.
    None,
}

impl NextAction {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Resume(_) => "resume",
            Self::TakeOver(_) => "take_over",
            Self::Claim(_) => "claim",
            Self::None => "none",
        }
    }

    /// The names of all actions.
    pub const NAMES: [&str; 4] = ["resume", "take_over", "claim", "none"];

    /// The todo, if there is one.
    #[must_use]
    pub const fn todo(&self) -> Option<&NextTodo> {
        match self {
            Self::Resume(todo) | Self::TakeOver(todo) | Self::Claim(todo) => Some(todo),
            Self::None => None,
        }
    }

    /// The todo, to shorten its title.
    pub(super) const fn todo_mut(&mut self) -> Option<&mut NextTodo> {
        match self {
            Self::Resume(todo) | Self::TakeOver(todo) | Self::Claim(todo) => Some(todo),
            Self::None => None,
        }
    }
}

/// The todo of the next action, without its long texts: the whole one is in its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextTodo {
    /// Its id.
    pub id: TodoId,
    /// The actor that it belongs to.
    pub actor: ActorId,
    /// The task.
    pub title: BriefText,
    /// Its priority.
    pub priority: Priority,
    /// When it is due.
    pub due_at: Option<Timestamp>,
    /// The token of the claim that stands, if the reader may go on with it.
    pub claim_token: Option<ClaimToken>,
}

impl NextTodo {
    /// The todo, without the token of its claim.
    fn of(ListedTodo { todo, .. }: &ListedTodo<BriefText>) -> Self {
        Self {
            id: todo.id,
            actor: todo.actor,
            title: todo.content.title.clone(),
            priority: todo.content.priority,
            due_at: todo.content.due_at,
            claim_token: None,
        }
    }
}

/// How many rows the lists of a brief would have if nothing were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BriefTotals {
    /// The shown session.
    pub session: Option<SessionId>,
    /// Todos in progress that were not found as left behind.
    pub in_progress: i64,
    /// Todos that were found as left behind.
    pub left_behind: i64,
    /// Open todos past their due date.
    pub overdue: i64,
    /// Other open todos.
    pub next: i64,
    /// Sessions that wait, by the type of the activity. Activities that were not looked at count.
    pub waiting: [i64; WAITING_TYPES.len()],
    /// Activities in the reported time.
    pub activities: i64,
    /// Status changes in the reported time.
    pub status_changes: i64,
}

/// The number of rows as it is counted.
fn count<T>(rows: &[T]) -> i64 {
    i64::try_from(rows.len()).unwrap_or(i64::MAX)
}

/// How many activities there are of each waiting type.
fn by_waiting_type(waiting: &[Activity<BriefText>]) -> [i64; WAITING_TYPES.len()] {
    WAITING_TYPES.map(|name| {
        let of_type = waiting.iter().filter(|entry| entry.activity_type.as_str() == name);
        i64::try_from(of_type.count()).unwrap_or(i64::MAX)
    })
}

impl Brief {
    /// The brief of these rows, with at most `rows_max` rows in each list.
    #[must_use]
    pub fn of(rows: BriefRows<BriefText>, rows_max: usize) -> Self {
        let BriefRows { at, since, reader, session, todos, working, mut waiting, .. } = rows;
        let BriefRows { mut activities, mut status_changes, counts, .. } = rows;
        let reader = Reader { session: reader, active_sessions: counts.sessions_active };
        let holder = |todo: &ListedTodo<BriefText>| match todo.todo.claims.standing {
            None => Holder::Nobody,
            Some(claim) => match claim.session {
                None => Holder::Unnamed,
                Some(session) if working.contains(&session) => Holder::Active(session),
                Some(_) => Holder::Gone,
            },
        };
        let may_go_on = |todo: &ListedTodo<BriefText>| reader.may_go_on(holder(todo));
        let (mut in_progress, mut left_behind) = (Vec::new(), Vec::new());
        let (mut overdue, mut next) = (Vec::new(), Vec::new());
        for todo in todos {
            let is_past = |time: Option<Timestamp>| time.is_some_and(|time| time < at);
            match todo.todo.status {
                // A claim lives before its deadline.
                TodoStatus::InProgress if todo.until.is_some_and(|until| until <= at) => {
                    left_behind.push(todo);
                }
                TodoStatus::InProgress => in_progress.push(todo),
                TodoStatus::Open if is_past(todo.todo.content.due_at) => overdue.push(todo),
                TodoStatus::Open => next.push(todo),
                TodoStatus::Done | TodoStatus::Cancelled => {}
            }
        }
        in_progress.sort_by_key(|todo| (!may_go_on(todo), claim_order(&todo.todo)));
        for list in [&mut left_behind, &mut overdue, &mut next] {
            list.sort_by_key(|todo| claim_order(&todo.todo));
        }
        let to_resume = in_progress.first().filter(|todo| may_go_on(todo));
        let to_claim = overdue.first().into_iter().chain(next.first());
        let to_claim = to_claim.min_by_key(|todo| claim_order(&todo.todo));
        let next_action = if let Some(todo) = to_resume {
            let claim_token = todo.todo.claims.token();
            NextAction::Resume(NextTodo { claim_token, ..NextTodo::of(todo) })
        } else if let Some(todo) = left_behind.first() {
            NextAction::TakeOver(NextTodo::of(todo))
        } else {
            to_claim.map_or(NextAction::None, |todo| NextAction::Claim(NextTodo::of(todo)))
        };
        let lapsed = count(&left_behind);
        let totals = BriefTotals {
            session: session.as_ref().map(|listed| listed.session.id),
            in_progress: counts.todos.in_progress - lapsed,
            left_behind: lapsed,
            overdue: counts.overdue_open,
            next: counts.todos.open - counts.overdue_open,
            waiting: array::from_fn(|place| counts.waiting[place] + counts.older_questions[place]),
            activities: match since {
                Some(_) => counts.activities_since,
                None => counts.activities,
            },
            status_changes: counts.status_changes_since,
        };
        for list in [&mut in_progress, &mut left_behind, &mut overdue, &mut next] {
            list.truncate(rows_max);
        }
        waiting.truncate(rows_max);
        activities.truncate(rows_max);
        status_changes.truncate(rows_max);
        Self {
            at,
            since,
            session,
            in_progress,
            left_behind,
            overdue,
            next,
            waiting,
            activities,
            status_changes,
            counts,
            next_action,
            totals,
        }
    }

    /// Whether any todo is open or in progress.
    #[must_use]
    pub const fn has_work(&self) -> bool {
        self.counts.todos.open > 0 || self.counts.todos.in_progress > 0
    }

    /// What is left out.
    #[must_use]
    pub fn omitted(&self) -> Vec<Omitted> {
        let totals = &self.totals;
        let session = totals.session.filter(|_| self.session.is_none());
        let session = session.map(|id| Omitted { list: BriefList::Session(id), count: 1 });
        let shown = by_waiting_type(&self.waiting);
        let waiting = WAITING_TYPES.into_iter().zip(totals.waiting.into_iter().zip(shown));
        let waiting =
            waiting.map(|(name, (total, shown))| (BriefList::Waiting(name), total, shown));
        let todos = [
            (BriefList::InProgress, totals.in_progress, count(&self.in_progress)),
            (BriefList::LeftBehind, totals.left_behind, count(&self.left_behind)),
            (BriefList::Overdue, totals.overdue, count(&self.overdue)),
            (BriefList::Next, totals.next, count(&self.next)),
        ];
        let reported = [
            (BriefList::Activities, totals.activities, count(&self.activities)),
            (BriefList::StatusChanges, totals.status_changes, count(&self.status_changes)),
        ];
        let lists = todos.into_iter().chain(waiting).chain(reported);
        let omitted = lists.filter(|(_, total, shown)| total > shown);
        let omitted = omitted.map(|(list, total, shown)| Omitted { list, count: total - shown });
        session.into_iter().chain(omitted).collect()
    }

    /// JSON pointers (RFC 6901) to the shortened texts in its JSON form.
    #[must_use]
    pub fn cut(&self) -> Vec<String> {
        let mut cut = Vec::new();
        let mut note = |text: Option<&BriefText>, pointer: &dyn Fn() -> String| {
            if text.is_some_and(BriefText::is_cut) {
                cut.push(pointer());
            }
        };
        let notes = self.session.as_ref().and_then(|listed| listed.session.notes.as_ref());
        note(notes, &|| "/session/notes".to_owned());
        for (name, todos) in [
            ("in_progress", &self.in_progress),
            ("left_behind", &self.left_behind),
            ("overdue", &self.overdue),
            ("next", &self.next),
        ] {
            for (place, ListedTodo { todo, .. }) in todos.iter().enumerate() {
                let content = &todo.content;
                note(Some(&content.title), &|| format!("/{name}/{place}/title"));
                let description = content.description.as_ref();
                note(description, &|| format!("/{name}/{place}/description"));
            }
        }
        for (name, list) in [("waiting", &self.waiting), ("activities", &self.activities)] {
            for (place, entry) in list.iter().enumerate() {
                note(Some(&entry.description), &|| format!("/{name}/{place}/description"));
            }
        }
        for (place, BriefChange { title, change, .. }) in self.status_changes.iter().enumerate() {
            note(Some(title), &|| format!("/status_changes/{place}/title"));
            note(change.note.as_ref(), &|| format!("/status_changes/{place}/note"));
        }
        let title = self.next_action.todo().map(|todo| &todo.title);
        note(title, &|| "/next_action/todo/title".to_owned());
        cut
    }
}
