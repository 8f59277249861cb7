//! Walks through lists by cursors, while everything is written to that they list.

use std::collections::BTreeSet;
use std::convert::Infallible;

use roots_domain::model::credit::Reason;
use roots_domain::model::id::SessionId;
use roots_domain::model::page::{Listed, Page, PageRequest, Place, Start};
use roots_domain::model::session::SessionStatus;
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::TimeRange;
use roots_domain::model::todo::{Priority, TodoStatus};
use roots_domain::port::store::{
    AccountReader, ActivityFilter, ActivityReader, ApplyError, SessionQuery, SessionReader,
    TodoQuery, TodoReader,
};
use roots_testkit::database::TestDatabase;
use roots_testkit::model::Model;
use roots_testkit::units::{Desk, answers, begin_all};

use crate::chance::{self, Dice};

roots_testkit::on_both! {
    what_stands_still_is_seen_once_by_whoever_walks_past,
    a_place_outside_of_the_range_asked_for_widens_it_by_nothing,
}

const IDS: i64 = 90;
/// Walks that start one after the other.
const WALKS: i64 = 3;

/// A list, its filters, and what is known of a walk through it.
struct Walk {
    list: List,
    /// The rows that have stood where they stand since the walk began.
    still: BTreeSet<Place>,
    seen: Vec<Place>,
    /// Where it goes on, before it has come to its end.
    start: Option<Start>,
}

enum List {
    Sessions(Option<SessionStatus>),
    Todos(Option<TodoStatus>, Option<Priority>, Option<SessionId>),
    Activities(Option<&'static str>, Option<SessionId>, TimeRange),
    Ledger(Option<Reason>),
}

fn places<T: Listed>(page: Page<T>) -> Page<Place> {
    let Ok(page) = page.try_map(|row| Ok::<_, Infallible>(row.place()));
    page
}

fn todos(desk: &Desk, list: &List, page: PageRequest) -> Option<TodoQuery> {
    let List::Todos(status, priority, session) = *list else { return None };
    let (account, actor) = (desk.account, Some(desk.actor));
    Some(TodoQuery { by: account.into(), actor, status, priority, session, page })
}

fn activities(desk: &Desk, list: &List) -> Option<ActivityFilter> {
    let List::Activities(kind, session, range) = *list else { return None };
    let (account, actor) = (desk.account, Some(desk.actor));
    let activity_type = kind.map(|kind| ActivityType::parse(kind).unwrap());
    Some(ActivityFilter { by: account.into(), actor, activity_type, session, range })
}

impl List {
    async fn page(&self, db: &TestDatabase, desk: &Desk, page: PageRequest) -> Page<Place> {
        let (store, account, actor) = (&db.store, desk.account, Some(desk.actor));
        if let Some(query) = todos(desk, self, page) {
            return places(store.todos(&query).await.unwrap());
        }
        if let Some(filter) = activities(desk, self) {
            return places(store.activities(&filter, page).await.unwrap());
        }
        if let Self::Ledger(reason) = *self {
            return places(store.ledger(account.into(), reason, page).await.unwrap());
        }
        let status = if let Self::Sessions(status) = *self { status } else { None };
        let query = SessionQuery { by: account.into(), actor, status, page };
        places(store.sessions(&query).await.unwrap())
    }

    /// Where its rows stand by a look at all of them.
    fn standing(&self, model: &Model, desk: &Desk) -> Vec<Place> {
        fn of<T: Listed>(rows: &[T]) -> Vec<Place> {
            rows.iter().map(Listed::place).collect()
        }
        match self {
            Self::Sessions(status) => of(&model.sessions(Some(desk.actor), *status)),
            Self::Todos(..) => {
                of(&model.todos(&todos(desk, self, PageRequest::default()).unwrap()))
            }
            Self::Activities(..) => of(&model.activities(&activities(desk, self).unwrap())),
            Self::Ledger(reason) => of(&model.ledger(*reason)),
        }
    }
}

impl Walk {
    fn begin(list: List, model: &Model, desk: &Desk) -> Self {
        let still = list.standing(model, desk).into_iter().collect();
        Self { list, still, seen: Vec::new(), start: Some(Start::Offset(0)) }
    }

    /// Takes in one more page.
    async fn step(&mut self, db: &TestDatabase, model: &Model, desk: &Desk, limit: u32) {
        let Some(start) = self.start else { return };
        let page = self.list.page(db, desk, PageRequest { limit, start }).await;
        let standing = self.list.standing(model, desk);
        let behind: Vec<_> = match start {
            Start::Offset(_) => standing.clone(),
            Start::After(place) => standing.iter().copied().filter(|one| *one < place).collect(),
        };
        let shown = usize::try_from(limit).unwrap().min(behind.len());
        assert_eq!(page.items, behind[..shown]);
        assert_eq!(page.next, page.items.last().copied().filter(|_| shown < behind.len()));
        assert_eq!(page.total, i64::try_from(standing.len()).unwrap());
        self.seen.extend(page.items);
        self.start = page.next.map(Start::After);
        if self.start.is_none() {
            let seen: BTreeSet<_> = self.seen.iter().copied().collect();
            assert_eq!(seen.len(), self.seen.len(), "no place is shown twice");
            let missed: Vec<_> = self.still.difference(&seen).collect();
            assert!(missed.is_empty(), "{missed:?} were skipped");
        }
    }

    /// Notes what moved, came or went.
    fn note(&mut self, model: &Model, desk: &Desk) {
        let standing = self.list.standing(model, desk);
        self.still.retain(|place| standing.contains(place));
    }
}

fn every_list(desk: &Desk) -> Vec<List> {
    let (done, high) = (Some(TodoStatus::Done), Priority::parse(2).ok());
    let day = |back: i64| roots_domain::model::time::Day(desk.at.day().0 - back);
    let days = TimeRange {
        since: Some(day(3).first_instant().plus_seconds(30_000)),
        until: Some(day(1).last_instant()),
    };
    let link = Some(SessionId(1));
    vec![
        List::Sessions(None),
        List::Sessions(Some(SessionStatus::Active)),
        List::Todos(None, None, None),
        List::Todos(Some(TodoStatus::Open), None, None),
        List::Todos(None, high, None),
        List::Todos(done, high, None),
        List::Todos(None, None, link),
        List::Todos(None, high, link),
        List::Activities(None, None, TimeRange::default()),
        List::Activities(Some("deploy"), None, TimeRange::default()),
        List::Activities(None, None, days),
        List::Activities(Some("a"), None, days),
        List::Activities(None, link, TimeRange::default()),
        List::Ledger(None),
        List::Ledger(Some(Reason::ApiWrite)),
    ]
}

/// Applies writes by chance, all at once, to a store and to what it must hold.
async fn write(db: &TestDatabase, model: &mut Model, desk: &mut Desk, dice: &mut Dice, many: i64) {
    let planned: Vec<_> = (0..many)
        .map(|_| {
            // Most rows share their time with others: then it is the id that orders them.
            desk.at = desk.at.plus_seconds(i64::from(dice.below(8) == 0));
            chance::unit(dice, desk, IDS)
        })
        .collect();
    let expected: Vec<_> =
        planned.iter().map(|unit| model.expect(unit).map_err(ApplyError::Refused)).collect();
    assert_eq!(answers(begin_all(&db.store, planned)).await, expected);
}

async fn what_stands_still_is_seen_once_by_whoever_walks_past(db: TestDatabase) {
    let mut dice = Dice(11);
    let mut desk = Desk::new(&db.store, 10_000).await;
    let mut model = Model::new(desk, 10_000);
    write(&db, &mut model, &mut desk, &mut dice, 250).await;
    let mut unmoved = 0;
    for _ in 0..WALKS {
        let mut walks: Vec<_> =
            every_list(&desk).into_iter().map(|list| Walk::begin(list, &model, &desk)).collect();
        while walks.iter().any(|walk| walk.start.is_some()) {
            for walk in &mut walks {
                let limit = u32::try_from(1 + dice.below(9)).unwrap();
                walk.step(&db, &model, &desk, limit).await;
            }
            write(&db, &mut model, &mut desk, &mut dice, 4).await;
            for walk in &mut walks {
                walk.note(&model, &desk);
            }
        }
        unmoved += walks.iter().map(|walk| walk.still.len()).sum::<usize>();
    }
    assert!(unmoved > 100, "too little stood still for this to say anything: {unmoved}");
}

async fn a_place_outside_of_the_range_asked_for_widens_it_by_nothing(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    let day = |back: i64| roots_domain::model::time::Day(desk.at.day().0 - back);
    let log = (0..9).map(|back| desk.log_activity_as("a", None, Some(day(back).last_instant())));
    roots_testkit::units::apply_each(&db.store, log).await;
    let range =
        TimeRange { since: Some(day(6).first_instant()), until: Some(day(3).last_instant()) };
    let list = List::Activities(None, None, range);
    for (at, expected) in [
        (i64::MAX, &[4, 5, 6, 7][..]),
        (day(1).last_instant().micros(), &[4, 5, 6, 7]),
        (day(4).last_instant().micros(), &[6, 7]),
        (day(7).last_instant().micros(), &[]),
        (i64::MIN, &[]),
    ] {
        let page = PageRequest { limit: 100, start: Start::After(Place([0, at, 0])) };
        let found = list.page(&db, &desk, page).await;
        let ids: Vec<_> = found.items.iter().map(|Place([_, _, id])| *id).collect();
        assert_eq!((ids.as_slice(), found.total), (expected, 4), "{at}");
    }
}
