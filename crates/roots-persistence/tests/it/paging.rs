//! Walks through lists by cursor while other writes change the lists.

use std::collections::BTreeSet;
use std::convert::Infallible;

use roots_domain::model::credit::Reason;
use roots_domain::model::id::SessionId;
use roots_domain::model::page::{Listed, Page, PageRequest, SortKey, Start};
use roots_domain::model::session::{Session, SessionStatusKind, SessionWindow};
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::todo::{Priority, Todo, TodoStatus};
use roots_domain::model::todo_list::FinishedStatus;
use roots_domain::port::store::{
    AccountReader, ActivityFilter, ActivityReader, ApplyError, FinishedTodos, OverdueTodos,
    SessionQuery, SessionReader, SessionTodos, TodoQuery, TodoReader,
};
use roots_domain::reference_model::ReferenceModel;
use roots_testkit::commands::{Issuer, answers, begin_all};
use roots_testkit::database::TestDatabase;

use crate::random_commands::{self, SeededRng};

roots_testkit::on_both! {
    paging_amid_writes_sees_each_unmoved_row_exactly_once,
    a_sort_key_outside_the_requested_range_does_not_widen_the_range,
}

const IDS: i64 = 90;
/// The number of walks. They start one after the other.
const WALKS: i64 = 3;

/// A walk through a list: the list with its filters, and the pages so far.
struct Walk {
    list: WalkedList,
    /// The rows that have not moved since the walk began.
    still: BTreeSet<SortKey>,
    seen: Vec<SortKey>,
    /// The start of the next page; `None` at the end.
    start: Option<Start>,
}

enum WalkedList {
    Sessions(Option<SessionStatusKind>, SessionWindow),
    Finished(FinishedStatus, Option<Priority>),
    Overdue(Timestamp),
    InSession(SessionId),
    Todos(Option<TodoStatus>, Option<Priority>, Option<SessionId>),
    Activities(Option<&'static str>, Option<SessionId>, TimeRange),
    Ledger(Option<Reason>),
}

fn sort_keys<T: Listed>(page: Page<T>) -> Page<SortKey> {
    positions(page, Listed::sort_key)
}

fn positions<T>(page: Page<T>, position: impl Fn(&T) -> SortKey) -> Page<SortKey> {
    let Ok(page) = page.try_map(|row| Ok::<_, Infallible>(position(&row)));
    page
}

fn todos(issuer: &Issuer, list: &WalkedList, page: PageRequest) -> Option<TodoQuery> {
    let WalkedList::Todos(status, priority, session) = *list else { return None };
    let (account, actor) = (issuer.account, Some(issuer.actor));
    Some(TodoQuery { by: account.into(), actor, status, priority, session, page })
}

fn activities(issuer: &Issuer, list: &WalkedList) -> Option<ActivityFilter> {
    let WalkedList::Activities(kind, session, range) = *list else { return None };
    let (account, actor) = (issuer.account, Some(issuer.actor));
    let activity_type = kind.map(|kind| ActivityType::parse(kind).unwrap());
    Some(ActivityFilter { by: account.into(), actor, activity_type, session, range })
}

impl WalkedList {
    async fn page(&self, db: &TestDatabase, issuer: &Issuer, page: PageRequest) -> Page<SortKey> {
        let (store, account, actor) = (&db.store, issuer.account, Some(issuer.actor));
        if let Some(query) = todos(issuer, self, page) {
            return sort_keys(store.todos(&query).await.unwrap());
        }
        if let Some(filter) = activities(issuer, self) {
            return sort_keys(store.activities(&filter, page).await.unwrap());
        }
        if let Self::Ledger(reason) = *self {
            return sort_keys(store.ledger(account.into(), reason, page).await.unwrap());
        }
        let by = account.into();
        if let Self::Finished(status, priority) = *self {
            let found =
                store.finished_todos(&FinishedTodos { by, actor, status, priority, page }).await;
            return positions(found.unwrap(), |row| row.todo.position_by_status_since());
        }
        if let Self::InSession(session) = *self {
            let found = store.session_todos(&SessionTodos { by, actor, session, page }).await;
            return positions(found.unwrap(), |row| row.todo.position_by_creation());
        }
        if let Self::Overdue(now) = *self {
            let found = store.overdue_todos(&OverdueTodos { by, actor, now, page }).await;
            return positions(found.unwrap(), |row| row.todo.position_by_due_date());
        }
        let Self::Sessions(status, window) = *self else { unreachable!("no other list is left") };
        let query = SessionQuery { by, actor, status, window, page };
        let found = store.sessions(&query).await.unwrap();
        match window {
            SessionWindow::Started(_) => sort_keys(found),
            SessionWindow::ActiveSince(_) => positions(found, |row| row.session.position_by_end()),
        }
    }

    /// The sort keys of all its rows in the model.
    fn expected_sort_keys(&self, model: &ReferenceModel, issuer: &Issuer) -> Vec<SortKey> {
        fn of<T: Listed>(rows: &[T]) -> Vec<SortKey> {
            rows.iter().map(Listed::sort_key).collect()
        }
        match self {
            Self::Sessions(status, window) => {
                let rows = model.sessions(Some(issuer.actor), *status, *window);
                match window {
                    SessionWindow::Started(_) => of(&rows),
                    SessionWindow::ActiveSince(_) => {
                        rows.iter().map(Session::position_by_end).collect()
                    }
                }
            }
            Self::Finished(status, priority) => {
                let rows = model.finished_todos(Some(issuer.actor), *status, *priority);
                rows.iter().map(Todo::position_by_status_since).collect()
            }
            Self::InSession(session) => {
                let rows = model.session_todos(Some(issuer.actor), *session);
                rows.iter().map(Todo::position_by_creation).collect()
            }
            Self::Overdue(now) => {
                let rows = model.overdue_todos(Some(issuer.actor), *now);
                rows.iter().map(Todo::position_by_due_date).collect()
            }
            Self::Todos(..) => {
                of(&model.todos(&todos(issuer, self, PageRequest::default()).unwrap()))
            }
            Self::Activities(..) => of(&model.activities(&activities(issuer, self).unwrap())),
            Self::Ledger(reason) => of(&model.ledger(*reason)),
        }
    }
}

impl Walk {
    fn begin(list: WalkedList, model: &ReferenceModel, issuer: &Issuer) -> Self {
        let still = list.expected_sort_keys(model, issuer).into_iter().collect();
        Self { list, still, seen: Vec::new(), start: Some(Start::Offset(0)) }
    }

    /// Reads one more page and checks it.
    async fn step(
        &mut self,
        db: &TestDatabase,
        model: &ReferenceModel,
        issuer: &Issuer,
        limit: u32,
    ) {
        let Some(start) = self.start else { return };
        let page = self.list.page(db, issuer, PageRequest { limit, start }).await;
        let existing = self.list.expected_sort_keys(model, issuer);
        let behind: Vec<_> = match start {
            Start::Offset(_) => existing.clone(),
            Start::After(place) => {
                let is_behind = |one: &SortKey| match self.list {
                    WalkedList::Overdue(_) => *one > place,
                    _ => *one < place,
                };
                existing.iter().copied().filter(is_behind).collect()
            }
        };
        let shown = usize::try_from(limit).unwrap().min(behind.len());
        assert_eq!(page.items, behind[..shown]);
        assert_eq!(page.next, page.items.last().copied().filter(|_| shown < behind.len()));
        assert_eq!(page.total, i64::try_from(existing.len()).unwrap());
        self.seen.extend(page.items);
        self.start = page.next.map(Start::After);
        if self.start.is_none() {
            let seen: BTreeSet<_> = self.seen.iter().copied().collect();
            assert_eq!(seen.len(), self.seen.len(), "no place is shown twice");
            let missed: Vec<_> = self.still.difference(&seen).collect();
            assert!(missed.is_empty(), "{missed:?} were skipped");
        }
    }

    /// Removes the rows that have moved or been deleted from `still`.
    fn note(&mut self, model: &ReferenceModel, issuer: &Issuer) {
        let existing = self.list.expected_sort_keys(model, issuer);
        self.still.retain(|place| existing.contains(place));
    }
}

fn every_list(issuer: &Issuer) -> Vec<WalkedList> {
    let (done, high) = (Some(TodoStatus::Done), Priority::parse(2).ok());
    let day = |back: i64| roots_domain::model::time::Day(issuer.at.day().0 - back);
    let days = TimeRange {
        since: Some(day(3).first_instant().plus_seconds(30_000)),
        until: Some(day(1).last_instant()),
    };
    let link = Some(SessionId(1));
    let shortly = issuer.at.plus_seconds(-20);
    let recent = TimeRange { since: Some(shortly), until: Some(issuer.at.plus_seconds(-5)) };
    vec![
        WalkedList::Sessions(None, SessionWindow::default()),
        WalkedList::Sessions(Some(SessionStatusKind::Active), SessionWindow::default()),
        WalkedList::Sessions(None, SessionWindow::Started(recent)),
        WalkedList::Sessions(None, SessionWindow::ActiveSince(shortly)),
        WalkedList::Sessions(Some(SessionStatusKind::Ended), SessionWindow::ActiveSince(shortly)),
        WalkedList::Finished(FinishedStatus::Done, None),
        WalkedList::Finished(FinishedStatus::Done, Some(Priority::default())),
        WalkedList::Finished(FinishedStatus::Cancelled, None),
        WalkedList::Overdue(Timestamp::LAST),
        WalkedList::InSession(SessionId(1)),
        WalkedList::Todos(None, None, None),
        WalkedList::Todos(Some(TodoStatus::Open), None, None),
        WalkedList::Todos(None, high, None),
        WalkedList::Todos(done, high, None),
        WalkedList::Todos(None, None, link),
        WalkedList::Todos(None, high, link),
        WalkedList::Activities(None, None, TimeRange::default()),
        WalkedList::Activities(Some("deploy"), None, TimeRange::default()),
        WalkedList::Activities(None, None, days),
        WalkedList::Activities(Some("a"), None, days),
        WalkedList::Activities(None, link, TimeRange::default()),
        WalkedList::Ledger(None),
        WalkedList::Ledger(Some(Reason::ApiWrite)),
    ]
}

/// Applies random writes to the store, all at once, and compares the answers with the model's.
async fn write(
    db: &TestDatabase,
    model: &mut ReferenceModel,
    issuer: &mut Issuer,
    rng: &mut SeededRng,
    many: i64,
) {
    let planned: Vec<_> = (0..many)
        .map(|_| {
            // Most rows share their time with others, so their ids decide the order.
            issuer.at = issuer.at.plus_seconds(i64::from(rng.below(8) == 0));
            random_commands::command(rng, issuer, IDS)
        })
        .collect();
    let expected: Vec<_> =
        planned.iter().map(|command| model.expect(command).map_err(ApplyError::Refused)).collect();
    assert_eq!(answers(begin_all(&db.store, planned)).await, expected);
}

async fn paging_amid_writes_sees_each_unmoved_row_exactly_once(db: TestDatabase) {
    let mut rng = SeededRng(11);
    let mut issuer = Issuer::new(&db.store, 10_000).await;
    let mut model = issuer.reference_model(10_000);
    write(&db, &mut model, &mut issuer, &mut rng, 250).await;
    let mut unmoved = 0;
    for _ in 0..WALKS {
        let mut walks: Vec<_> = every_list(&issuer)
            .into_iter()
            .map(|list| Walk::begin(list, &model, &issuer))
            .collect();
        while walks.iter().any(|walk| walk.start.is_some()) {
            for walk in &mut walks {
                let limit = u32::try_from(1 + rng.below(9)).unwrap();
                walk.step(&db, &model, &issuer, limit).await;
            }
            write(&db, &mut model, &mut issuer, &mut rng, 4).await;
            for walk in &mut walks {
                walk.note(&model, &issuer);
            }
        }
        unmoved += walks.iter().map(|walk| walk.still.len()).sum::<usize>();
    }
    assert!(unmoved > 100, "too little stood still for this to say anything: {unmoved}");
}

async fn a_sort_key_outside_the_requested_range_does_not_widen_the_range(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let day = |back: i64| roots_domain::model::time::Day(issuer.at.day().0 - back);
    let log = (0..9).map(|back| issuer.log_activity_as("a", None, Some(day(back).last_instant())));
    roots_testkit::commands::apply_each(&db.store, log).await;
    let range =
        TimeRange { since: Some(day(6).first_instant()), until: Some(day(3).last_instant()) };
    let list = WalkedList::Activities(None, None, range);
    for (at, expected) in [
        (i64::MAX, &[4, 5, 6, 7][..]),
        (day(1).last_instant().micros(), &[4, 5, 6, 7]),
        (day(4).last_instant().micros(), &[6, 7]),
        (day(7).last_instant().micros(), &[]),
        (i64::MIN, &[]),
    ] {
        let page = PageRequest { limit: 100, start: Start::After(SortKey([0, at, 0])) };
        let found = list.page(&db, &issuer, page).await;
        let ids: Vec<_> = found.items.iter().map(|SortKey([_, _, id])| *id).collect();
        assert_eq!((ids.as_slice(), found.total), (expected, 4), "{at}");
    }
}
