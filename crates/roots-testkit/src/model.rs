//! A second opinion: what an account must hold after its writes, told plainly.
//!
//! It shares no rule with the core. It goes through every row for every question, and so can say
//! what a store must answer that goes through none.

use std::collections::BTreeMap;

use roots_domain::model::Patch;
use roots_domain::model::activity::{Activity, SessionCounts};
use roots_domain::model::credit::{LedgerEntry, Reason};
use roots_domain::model::id::{ActivityId, ActorId, LedgerId, LogId, SessionId, TodoId, Uid};
use roots_domain::model::import::{Import, ImportRow, Imported, Origin};
use roots_domain::model::page::{Listed, Page, PageRequest, Start};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{Session, SessionPatch, SessionStatus};
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::todo::{Priority, StatusChange, Todo, TodoPatch, TodoStatus};
use roots_domain::model::unit::{
    Applied, AppliedRow, Author, Intent, Refusal, Resealed, RowPatch, UnitOfWork,
};
use roots_domain::model::zone::Zone;
use roots_domain::port::store::{
    AccountReader, ActivityFilter, ActivityReader, Auditor, SessionQuery, SessionReader, TodoQuery,
    TodoReader,
};
use roots_persistence::Store;

use crate::units::Desk;

/// What an account must hold.
#[derive(Debug, Clone)]
pub struct Model {
    desk: Desk,
    balance: i64,
    ledger: Vec<LedgerEntry>,
    last: Last,
    sessions: BTreeMap<i64, Session<Sealed>>,
    todos: BTreeMap<i64, Todo<Sealed>>,
    activities: BTreeMap<i64, Activity<Sealed>>,
    logs: Vec<StatusChange<Sealed>>,
    imported: BTreeMap<(Uid, Origin), i64>,
}

/// The last id given of each kind.
#[derive(Debug, Clone, Default)]
struct Last {
    session: i64,
    todo: i64,
    activity: i64,
    log: i64,
}

type Outcome = Result<AppliedRow, Refusal>;

impl Model {
    /// A new account with that many credits.
    #[must_use]
    pub fn new(desk: Desk, credits: i64) -> Self {
        let mut model = Self {
            desk,
            balance: 0,
            ledger: Vec::new(),
            last: Last::default(),
            sessions: BTreeMap::new(),
            todos: BTreeMap::new(),
            activities: BTreeMap::new(),
            logs: Vec::new(),
            imported: BTreeMap::new(),
        };
        if credits > 0 {
            model.enter(credits, Reason::BootstrapGrant, None, None, desk.at);
        }
        model
    }

    /// The credits left.
    #[must_use]
    pub const fn balance(&self) -> i64 {
        self.balance
    }

    fn enter(
        &mut self,
        delta: i64,
        reason: Reason,
        endpoint: Option<&str>,
        actor: Option<ActorId>,
        at: Timestamp,
    ) {
        self.balance += delta;
        self.ledger.push(LedgerEntry {
            id: LedgerId(i64::try_from(self.ledger.len()).expect("few rows") + 1),
            delta,
            balance_after: self.balance,
            reason,
            endpoint: endpoint.map(str::to_owned),
            actor,
            note: None,
            created_at: at,
        });
    }

    /// What the store must answer to a unit of this account, which then counts as applied.
    ///
    /// # Errors
    /// The refusal that it must answer.
    pub fn expect(&mut self, unit: &UnitOfWork) -> Result<Applied, Refusal> {
        let Author::Key(bearer) = unit.author else { return Err(Refusal::KeyNotInForce) };
        assert_eq!(bearer.account, self.desk.account, "a unit of another account");
        if let Intent::Import(import) = &unit.intent {
            return Ok(self.import(bearer.actor, import, unit.at));
        }
        // Tried on a copy: whatever is refused changes nothing.
        let mut next = self.clone();
        let row = next.perform(bearer.actor, &unit.intent, unit.at)?;
        if let Some(charge) = unit.charge {
            if self.balance < charge.cost {
                let balance = self.balance;
                return Err(Refusal::InsufficientCredits { balance, cost: charge.cost });
            }
            let (endpoint, actor) = (Some(charge.endpoint), Some(bearer.actor));
            next.enter(-charge.cost, Reason::ApiWrite, endpoint, actor, unit.at);
        }
        *self = next;
        let cost = unit.charge.map_or(0, |charge| charge.cost);
        Ok(Applied { row, cost, balance: self.balance, is_replay: false })
    }

    /// Each row is tried on a copy, which is kept if the row is paid for. An owner imports.
    fn import(&mut self, actor: ActorId, import: &Import, at: Timestamp) -> Applied {
        let (mut outcomes, mut cost) = (Vec::new(), 0);
        for row in &import.rows {
            let key = (import.source, row.origin());
            if let Some(id) = self.imported.get(&key) {
                outcomes.push(Ok(Imported::Known(*id)));
                continue;
            }
            let mut next = self.clone();
            let outcome = next.bring_in(import.source, row);
            if outcome.is_ok() && cost == self.balance {
                outcomes.push(Err(Refusal::InsufficientCredits { balance: 0, cost: 1 }));
                break;
            }
            if let Ok(id) = outcome {
                next.imported.insert(key, id);
                *self = next;
                cost += 1;
            }
            outcomes.push(outcome.map(Imported::New));
        }
        if cost > 0 {
            self.enter(-cost, Reason::Import, Some("POST /import"), Some(actor), at);
        }
        let row = AppliedRow::Imported(outcomes);
        Applied { row, cost, balance: self.balance, is_replay: false }
    }

    fn bring_in(&mut self, source: Uid, row: &ImportRow) -> Result<i64, Refusal> {
        let found = |model: &Self, origin| model.imported.get(&(source, origin)).copied();
        let link = |model: &Self, link: Option<SessionId>, actor| {
            let Some(there) = link else { return Ok(None) };
            let here = found(model, Origin::Session(there)).ok_or(Refusal::NoSuchSession(there))?;
            match model.sessions.get(&here) {
                Some(session) if session.actor != actor => Err(Refusal::NoSuchSession(there)),
                session => Ok(session.map(|session| session.id)),
            }
        };
        match row.clone() {
            ImportRow::Session(session) => {
                self.last.session += 1;
                let id = self.last.session;
                self.sessions.insert(id, Session { id: SessionId(id), ..session });
                Ok(id)
            }
            ImportRow::Todo(todo) => {
                let session = link(self, todo.session, todo.actor)?;
                self.last.todo += 1;
                let id = self.last.todo;
                self.todos.insert(id, Todo { id: TodoId(id), session, ..todo });
                Ok(id)
            }
            ImportRow::Activity(activity) => {
                let session = link(self, activity.session, activity.actor)?;
                self.last.activity += 1;
                let id = self.last.activity;
                self.activities.insert(id, Activity { id: ActivityId(id), session, ..activity });
                Ok(id)
            }
            ImportRow::Step(actor, step) => {
                use TodoStatus::{Cancelled, Done, InProgress, Open};
                let here = found(self, Origin::Todo(step.todo));
                let todo = here.and_then(|id| self.todos.get_mut(&id));
                let todo = todo.filter(|todo| todo.actor == actor);
                let todo = todo.ok_or(Refusal::NotFound("todo"))?;
                let (from, to) = (step.old_status, step.new_status);
                if from != todo.status {
                    return Err(Refusal::StepFromElsewhere { from, stands: todo.status });
                }
                let is_step = match from {
                    Open => to != Open,
                    InProgress => to != InProgress,
                    Done | Cancelled => matches!(to, Open | InProgress),
                };
                if !is_step {
                    return Err(Refusal::ForbiddenStep { from, to });
                }
                todo.status = to;
                todo.version += 1;
                self.last.log += 1;
                let (id, todo) = (LogId(self.last.log), todo.id);
                self.logs.push(StatusChange { id, todo, ..step });
                Ok(id.0)
            }
        }
    }

    fn own_session(&self, actor: ActorId, id: SessionId) -> Option<&Session<Sealed>> {
        self.sessions.get(&id.0).filter(|session| session.actor == actor)
    }

    fn check_link(&self, actor: ActorId, link: Option<SessionId>) -> Result<(), Refusal> {
        let Some(id) = link else { return Ok(()) };
        match self.own_session(actor, id) {
            None => Err(Refusal::NoSuchSession(id)),
            Some(session) if session.status == SessionStatus::Ended => {
                Err(Refusal::SessionEnded(id))
            }
            Some(_) => Ok(()),
        }
    }

    fn perform(&mut self, actor: ActorId, intent: &Intent, at: Timestamp) -> Outcome {
        match intent {
            Intent::StartSession { actor: whose, uid, notes } => {
                check_maker(actor, *whose)?;
                self.last.session += 1;
                let session = Session {
                    id: SessionId(self.last.session),
                    uid: *uid,
                    actor,
                    status: SessionStatus::Active,
                    notes: notes.clone(),
                    started_at: at,
                    ended_at: None,
                    version: 1,
                };
                self.sessions.insert(self.last.session, session.clone());
                Ok(AppliedRow::Session(session))
            }
            Intent::PatchSession(row) => self.patch_session(actor, row, at),
            Intent::DeleteSession(id) => {
                self.own_session(actor, *id).ok_or(Refusal::NotFound("session"))?;
                self.sessions.remove(&id.0);
                for todo in self.todos.values_mut().filter(|todo| todo.session == Some(*id)) {
                    todo.session = None;
                    todo.version += 1;
                }
                for one in self.activities.values_mut().filter(|one| one.session == Some(*id)) {
                    one.session = None;
                    one.version += 1;
                }
                Ok(AppliedRow::Deleted)
            }
            Intent::CreateTodo(new) => {
                check_maker(actor, new.actor)?;
                self.check_link(actor, new.session)?;
                self.last.todo += 1;
                let todo = Todo {
                    id: TodoId(self.last.todo),
                    uid: new.uid,
                    actor,
                    session: new.session,
                    title: new.title.clone(),
                    description: new.description.clone(),
                    status: TodoStatus::Open,
                    priority: new.priority,
                    due_at: new.due_at,
                    created_at: at,
                    updated_at: at,
                    version: 1,
                };
                self.todos.insert(self.last.todo, todo.clone());
                Ok(AppliedRow::Todo(todo))
            }
            Intent::PatchTodo { row, log_uid } => self.patch_todo(actor, row, *log_uid, at),
            Intent::DeleteTodo(id) => {
                self.todos
                    .get(&id.0)
                    .filter(|todo| todo.actor == actor)
                    .ok_or(Refusal::NotFound("todo"))?;
                self.todos.remove(&id.0);
                self.logs.retain(|log| log.todo != *id);
                Ok(AppliedRow::Deleted)
            }
            Intent::LogActivity(new) => {
                check_maker(actor, new.actor)?;
                self.check_link(actor, new.session)?;
                self.last.activity += 1;
                let activity = Activity {
                    id: ActivityId(self.last.activity),
                    uid: new.uid,
                    actor,
                    session: new.session,
                    activity_type: new.activity_type.clone(),
                    description: new.description.clone(),
                    logged_at: new.logged_at.unwrap_or(at),
                    created_at: at,
                    version: 1,
                };
                self.activities.insert(self.last.activity, activity.clone());
                Ok(AppliedRow::Activity(activity))
            }
            Intent::DeleteActivity(id) => {
                self.activities
                    .get(&id.0)
                    .filter(|activity| activity.actor == actor)
                    .ok_or(Refusal::NotFound("activity"))?;
                self.activities.remove(&id.0);
                Ok(AppliedRow::Deleted)
            }
            // What no actor asks for, or not of its rows.
            _ => Err(Refusal::KeyNotInForce),
        }
    }

    fn patch_session(
        &mut self,
        actor: ActorId,
        row: &RowPatch<SessionId, SessionPatch<Resealed>>,
        at: Timestamp,
    ) -> Outcome {
        use SessionStatus::{Active, Ended};
        let session = self.own_session(actor, row.id).ok_or(Refusal::NotFound("session"))?;
        let mut next = session.clone();
        match (session.status, row.patch.status) {
            (Ended, Some(Ended)) => return Err(Refusal::AlreadyEnded(row.id)),
            (Ended, Some(Active)) => return Err(Refusal::CannotReopen(row.id)),
            (Active, Some(Ended)) => {
                next.status = Ended;
                next.ended_at = Some(at);
            }
            _ => {}
        }
        next.notes = patched(session.notes.as_ref(), &row.patch.notes);
        next.version += i64::from(next != *session);
        self.sessions.insert(row.id.0, next.clone());
        Ok(AppliedRow::Session(next))
    }

    fn patch_todo(
        &mut self,
        actor: ActorId,
        row: &RowPatch<TodoId, TodoPatch<Resealed>>,
        log_uid: roots_domain::model::id::Uid,
        at: Timestamp,
    ) -> Outcome {
        use TodoStatus::{Cancelled, Done, InProgress, Open};
        let found = self.todos.get(&row.id.0).filter(|todo| todo.actor == actor);
        let todo = found.ok_or(Refusal::NotFound("todo"))?;
        let patch = &row.patch;
        if let Patch::Set(id) = patch.session {
            self.own_session(actor, id).ok_or(Refusal::NoSuchSession(id))?;
        }
        let mut next = todo.clone();
        let from = todo.status;
        if let Some(to) = patch.status {
            let steps = match from {
                Open => [InProgress, Done, Cancelled].as_slice(),
                InProgress => &[Open, Done, Cancelled],
                Done | Cancelled => &[Open, InProgress],
            };
            if to != from && !steps.contains(&to) {
                return Err(Refusal::ForbiddenStep { from, to });
            }
            next.status = to;
        }
        if patch.note.is_some() && next.status == from {
            return Err(Refusal::NoteWithoutChange);
        }
        if let Some(title) = &patch.title
            && title.same_as.as_ref() != Some(&todo.title)
        {
            next.title = title.sealed.clone();
        }
        next.description = patched(todo.description.as_ref(), &patch.description);
        next.priority = patch.priority.unwrap_or(todo.priority);
        match patch.due_at {
            Patch::Keep => {}
            Patch::Clear => next.due_at = None,
            Patch::Set(due) => next.due_at = Some(due),
        }
        match patch.session {
            Patch::Keep => {}
            Patch::Clear => next.session = None,
            Patch::Set(id) => next.session = Some(id),
        }
        if next != *todo {
            next.version += 1;
            next.updated_at = at;
        }
        if next.status != from {
            self.last.log += 1;
            self.logs.push(StatusChange {
                id: LogId(self.last.log),
                uid: log_uid,
                todo: row.id,
                old_status: from,
                new_status: next.status,
                note: patch.note.as_ref().map(|note| note.sealed.clone()),
                logged_at: at,
            });
        }
        self.todos.insert(row.id.0, next.clone());
        Ok(AppliedRow::Todo(next))
    }
}

/// The units of this kit are members' units.
fn check_maker(actor: ActorId, whose: ActorId) -> Result<(), Refusal> {
    if actor == whose { Ok(()) } else { Err(Refusal::OwnerOnly) }
}

fn patched(current: Option<&Sealed>, patch: &Patch<Resealed>) -> Option<Sealed> {
    match patch {
        Patch::Keep => current.cloned(),
        Patch::Clear => None,
        Patch::Set(new) if new.same_as.is_some() && new.same_as.as_ref() == current => {
            current.cloned()
        }
        Patch::Set(new) => Some(new.sealed.clone()),
    }
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).expect("few rows")
}

/// The rows of every page of a list, each of which is asked for by its offset and behind the place
/// where the one before it ended.
async fn paged<T: Listed + Clone + PartialEq + std::fmt::Debug>(
    what: &str,
    total: i64,
    limit: u32,
    mut page: impl AsyncFnMut(PageRequest) -> Page<T>,
) -> Vec<T> {
    let mut rows = Vec::new();
    let mut next = None;
    loop {
        let request = PageRequest::skipping(count(rows.len()), limit);
        let skipping = page(request).await;
        assert_eq!(skipping.total, total, "the total of {what} at {request:?}");
        assert_eq!(skipping.request, request);
        let left = usize::try_from(total).expect("a count") - rows.len();
        let expected = left.min(limit as usize);
        assert_eq!(skipping.items.len(), expected, "a page of {what} at {request:?}");
        let last = skipping.items.last().filter(|_| expected < left);
        assert_eq!(skipping.next, last.map(Listed::place), "what follows {request:?} of {what}");
        if let Some(place) = next {
            let request = PageRequest { limit, start: Start::After(place) };
            let following = page(request).await;
            assert_eq!(
                following,
                Page { items: skipping.items.clone(), request, ..skipping },
                "{what}"
            );
        }
        next = skipping.next;
        rows.extend(skipping.items);
        if next.is_none() {
            return rows;
        }
    }
}

/// Whether what is of that actor is asked for, where no actor asks for all.
fn is_of(actor: ActorId, asked: Option<ActorId>) -> bool {
    asked.is_none_or(|asked| asked == actor)
}

/// The lists, each in its order.
impl Model {
    /// The ledger.
    #[must_use]
    pub fn ledger(&self, reason: Option<Reason>) -> Vec<LedgerEntry> {
        let matches = |entry: &&LedgerEntry| reason.is_none_or(|one| one == entry.reason);
        self.ledger.iter().rev().filter(matches).cloned().collect()
    }

    /// The sessions of an actor, or of all.
    #[must_use]
    pub fn sessions(
        &self,
        actor: Option<ActorId>,
        status: Option<SessionStatus>,
    ) -> Vec<Session<Sealed>> {
        let mut found: Vec<_> = self
            .sessions
            .values()
            .filter(|one| is_of(one.actor, actor) && status.is_none_or(|is| is == one.status))
            .cloned()
            .collect();
        found.sort_by_key(|one| std::cmp::Reverse((one.started_at, one.id)));
        found
    }

    /// The todos that a query asks for, on whatever page.
    #[must_use]
    pub fn todos(&self, query: &TodoQuery) -> Vec<Todo<Sealed>> {
        let mut found: Vec<_> = self
            .todos
            .values()
            .filter(|one| is_of(one.actor, query.actor))
            .filter(|one| query.status.is_none_or(|is| is == one.status))
            .filter(|one| query.priority.is_none_or(|is| is == one.priority))
            .filter(|one| query.session.is_none() || query.session == one.session)
            .cloned()
            .collect();
        found.sort_by_key(|one| std::cmp::Reverse((one.priority, one.created_at, one.id)));
        found
    }

    /// The activities that a filter selects.
    #[must_use]
    pub fn activities(&self, filter: &ActivityFilter) -> Vec<Activity<Sealed>> {
        let TimeRange { since, until } = filter.range;
        let is_kind =
            |kind: &ActivityType| filter.activity_type.as_ref().is_none_or(|is| is == kind);
        let mut found: Vec<_> = self
            .activities
            .values()
            .filter(|one| is_of(one.actor, filter.actor) && is_kind(&one.activity_type))
            .filter(|one| filter.session.is_none() || filter.session == one.session)
            .filter(|one| since.is_none_or(|since| since <= one.logged_at))
            .filter(|one| until.is_none_or(|until| one.logged_at <= until))
            .cloned()
            .collect();
        found.sort_by_key(|one| std::cmp::Reverse((one.logged_at, one.id)));
        found
    }
}

/// Comparing with a store.
impl Model {
    /// Asks the store for everything in every way, and compares.
    pub async fn compare(&self, store: &Store, actors: &[i64], ranges: &[TimeRange], limit: u32) {
        self.compare_books(store, limit).await;
        let one_by_one = actors.iter().map(|actor| Some(ActorId(*actor)));
        for actor in one_by_one.chain([None]) {
            self.compare_sessions(store, actor, limit).await;
            self.compare_todos(store, actor, limit).await;
            self.compare_activities(store, actor, ranges, limit).await;
        }
        let (_, faults) = store.audit().await.expect("an audit");
        assert_eq!(faults, []);
    }

    /// Compares the balance and the ledger.
    pub async fn compare_books(&self, store: &Store, limit: u32) {
        let id = self.desk.account;
        let account = store.account(id).await.expect("a read").expect("the account");
        assert_eq!(account.balance, self.balance);
        for reason in [None].into_iter().chain(Reason::ALL.map(Some)) {
            let expected = self.ledger(reason);
            let found = paged("the ledger", count(expected.len()), limit, async |page| {
                store.ledger(id.into(), reason, page).await.expect("a read")
            })
            .await;
            assert_eq!(found, expected, "the ledger of {reason:?}");
        }
    }

    async fn compare_sessions(&self, store: &Store, actor: Option<ActorId>, limit: u32) {
        let account = self.desk.account;
        for status in [None, Some(SessionStatus::Active), Some(SessionStatus::Ended)] {
            let expected = self.sessions(actor, status);
            let found = paged("sessions", count(expected.len()), limit, async |page| {
                let query = SessionQuery { by: account.into(), actor, status, page };
                store.sessions(&query).await.expect("a read")
            })
            .await;
            assert_eq!(found, expected, "sessions of {actor:?}, {status:?}");
        }
    }

    async fn compare_todos(&self, store: &Store, actor: Option<ActorId>, limit: u32) {
        let account = self.desk.account;
        let statuses = [None].into_iter().chain(TodoStatus::ALL.map(Some));
        let levels = [0, 1, 2, 3].map(|level| Priority::parse(level).expect("a priority"));
        for status in statuses {
            for priority in [None].into_iter().chain(levels.map(Some)) {
                for session in self.links() {
                    let query = |page| TodoQuery {
                        by: account.into(),
                        actor,
                        status,
                        priority,
                        session,
                        page,
                    };
                    let expected = self.todos(&query(PageRequest::default()));
                    let what = format!("todos {:?}", query(PageRequest::default()));
                    let found = paged(&what, count(expected.len()), limit, async |page| {
                        store.todos(&query(page)).await.expect("a read")
                    })
                    .await;
                    assert_eq!(found, expected, "{what}");
                }
            }
        }
        for todo in self.todos.values().filter(|todo| is_of(todo.actor, actor)) {
            let log = store
                .todo_log(account.into(), todo.id, LogId(0))
                .await
                .expect("a read")
                .expect("a todo");
            let steps = self.logs.iter().filter(|step| step.todo == todo.id);
            assert_eq!(log.todo, *todo);
            assert_eq!(log.steps, steps.cloned().collect::<Vec<_>>());
        }
    }

    async fn compare_activities(
        &self,
        store: &Store,
        actor: Option<ActorId>,
        ranges: &[TimeRange],
        limit: u32,
    ) {
        let account = self.desk.account;
        let mut kinds: Vec<_> =
            self.activities.values().map(|one| Some(one.activity_type.clone())).collect();
        kinds.sort();
        kinds.dedup();
        kinds.push(None);
        for activity_type in kinds {
            for session in self.links() {
                // By session nothing is kept, and so no range is split: some will do.
                let step = if session.is_some() { 4 } else { 1 };
                for range in ranges.iter().step_by(step) {
                    let activity_type = activity_type.clone();
                    let range = *range;
                    let filter =
                        ActivityFilter { by: account.into(), actor, activity_type, session, range };
                    self.compare_selected(store, &filter, limit).await;
                }
            }
        }
    }

    async fn compare_selected(&self, store: &Store, filter: &ActivityFilter, limit: u32) {
        let expected = self.activities(filter);
        let what = format!("activities {filter:?}");
        let found = paged(&what, count(expected.len()), limit, async |page| {
            store.activities(filter, page).await.expect("a read")
        })
        .await;
        assert_eq!(found, expected, "{what}");

        self.compare_figures(store, filter, "UTC").await;
    }

    /// Compares the figures of what a filter selects, by the days of a zone.
    pub async fn compare_figures(&self, store: &Store, filter: &ActivityFilter, zone: &str) {
        let clock = jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("a zone");
        let (mut by_type, mut by_day) = (BTreeMap::new(), BTreeMap::new());
        let rows = self.activities(filter);
        for one in &rows {
            let at = jiff::Timestamp::from_microsecond(one.logged_at.micros()).expect("a time");
            let shown = at.to_zoned(clock.clone()).date();
            // Days outside of the years that can be told are of the first and the last.
            let shown = shown.clamp(jiff::civil::date(1970, 1, 1), jiff::civil::date(9999, 12, 31));
            let shown = shown.to_string();
            *by_type.entry(one.activity_type.clone()).or_insert(0) += 1;
            *by_day.entry(shown).or_insert(0) += 1;
        }
        let mut by_type: Vec<(ActivityType, i64)> = by_type.into_iter().collect();
        by_type.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let sessions = self.sessions.values().filter(|one| {
            is_of(one.actor, filter.actor) && filter.session.is_none_or(|is| is == one.id)
        });
        let sessions: Vec<_> = sessions.map(|one| one.status == SessionStatus::Active).collect();
        let sessions = SessionCounts {
            total: count(sessions.len()),
            active: count(sessions.iter().filter(|is_active| **is_active).count()),
        };
        let is = Zone::parse(zone).expect("a zone");
        let figures = store.activity_stats(filter, &is).await.expect("a read");
        let what = format!("{filter:?} by the days of {zone}");
        assert_eq!((figures.total, figures.by_type), (count(rows.len()), by_type), "{what}");
        let days = figures.by_day.into_iter().map(|(day, count)| (day.to_string(), count));
        assert_eq!(days.collect::<Vec<_>>(), by_day.into_iter().collect::<Vec<_>>(), "{what}");
        assert_eq!(figures.sessions, sessions, "{what}");
    }

    /// No link, some of the sessions there are, and one there never was.
    fn links(&self) -> Vec<Option<SessionId>> {
        let some = self.sessions.keys().take(2).map(|id| Some(SessionId(*id)));
        [None, Some(SessionId(self.last.session + 1))].into_iter().chain(some).collect()
    }
}

/// The names of all time zones there are.
#[must_use]
pub fn zones() -> Vec<String> {
    jiff::tz::TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}

/// The instants at which the clock of a zone is moved, from 1970 on, as many as that.
///
/// # Panics
/// There is no such zone.
#[must_use]
pub fn moves(zone: &str, count: usize) -> Vec<Timestamp> {
    let clock = jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("a zone");
    let moves = clock.following(jiff::Timestamp::UNIX_EPOCH).take(count);
    moves.map(|one| Timestamp::from_micros(one.timestamp().as_microsecond())).collect()
}
