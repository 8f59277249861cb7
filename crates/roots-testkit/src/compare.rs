//! Compares a store with the reference model.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Debug;

use roots_domain::model::activity::SessionCounts;
use roots_domain::model::credit::{LedgerEntry, Reason};
use roots_domain::model::id::{ActorId, SessionId};
use roots_domain::model::page::{Listed, Page, PageRequest, SortKey, Start};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{Session, SessionStatusKind, SessionWindow};
use roots_domain::model::time::{Day, QuarterHour, TimeRange, Timestamp};
use roots_domain::model::todo::{ListedTodo, Priority, Todo, TodoStatus};
use roots_domain::model::todo_list::FinishedStatus;
use roots_domain::model::work::{TodoCounts, WorkWindow};
use roots_domain::model::zone::Zone;
use roots_domain::port::store::{
    AccountReader, ActivityFilter, ActivityReader, FinishedTodos, OverdueTodos, SessionQuery,
    SessionReader, SessionTodos, TodoQuery, TodoReader, Verifier, WorkQuery,
};
use roots_domain::reference_model::{ReferenceModel, counts};
use roots_persistence::Store;

/// Compares every list, total and statistic of the store with the model, and verifies the store.
pub async fn compare(
    model: &ReferenceModel,
    store: &Store,
    actors: &[i64],
    ranges: &[TimeRange],
    limit: u32,
) {
    compare_ledger(model, store, limit).await;
    let one_by_one = actors.iter().map(|actor| Some(ActorId(*actor)));
    for actor in one_by_one.chain([None]) {
        compare_sessions(model, store, actor, limit).await;
        compare_todos(model, store, actor, limit).await;
        compare_todo_lists(model, store, actor, limit).await;
        compare_activities(model, store, actor, ranges, limit).await;
        compare_work(model, store, actor).await;
    }
    let (_, errors) = store.verify().await.expect("a verification");
    assert_eq!(errors, []);
}

/// Compares the balance and the ledger.
async fn compare_ledger(model: &ReferenceModel, store: &Store, limit: u32) {
    let id = model.account.id;
    let account = store.account(id).await.expect("a read").expect("the account");
    assert_eq!(account.balance, model.account.balance);
    for reason in [None].into_iter().chain(Reason::ALL.map(Some)) {
        let what = format!("the ledger of {reason:?}");
        compare_pages(&what, &model.ledger(reason), limit, async |page| {
            store.ledger(id.into(), reason, page).await.expect("a read")
        })
        .await;
    }
}

/// Compares the counts of todos and credits, of the whole year before the last write.
async fn compare_work(model: &ReferenceModel, store: &Store, actor: Option<ActorId>) {
    let by = model.account.id.into();
    let now = model.ledger.values().map(|row| row.created_at).max();
    let window = WorkWindow::until_now(
        TimeRange { since: Some(Timestamp::FIRST), until: None },
        now.unwrap_or(Timestamp::LAST),
    );
    let work: Vec<_> = model
        .work()
        .into_iter()
        .filter(|(counter, _)| {
            window.first <= counter.quarter_hour && counter.quarter_hour <= window.last
        })
        .collect();
    let is_asked = |of: Option<ActorId>| of.is_some() && (actor.is_none() || of == actor);
    let query = WorkQuery { by, actor, window };
    for zone in ["UTC", "Asia/Kathmandu", "America/St_Johns"] {
        let zone = Zone::parse(zone).expect("a zone");
        let days = window.days(&zone);
        let day = |at: QuarterHour| {
            days.iter()
                .find(|span| span.first <= at && at < span.end)
                .map(|span| span.day)
                .expect("a day of the window")
        };
        let mut todos = BTreeMap::<Day, TodoCounts>::new();
        let mut of_actors = BTreeMap::<ActorId, TodoCounts>::new();
        for (counter, counts) in work.iter().filter(|(counter, _)| is_asked(counter.actor)) {
            let counts = TodoCounts {
                made: counts.todos_made,
                done: counts.todos_done,
                cancelled: counts.todos_cancelled,
            };
            if counts == TodoCounts::default() {
                continue;
            }
            let sum = todos.entry(day(counter.quarter_hour)).or_default();
            *sum = TodoCounts::sum([*sum, counts]);
            let sum = of_actors.entry(counter.actor.expect("an actor")).or_default();
            *sum = TodoCounts::sum([*sum, counts]);
        }
        let stats = store.todo_stats(&query, &zone).await.expect("a read");
        assert_eq!(stats.total, TodoCounts::sum(todos.values().copied()));
        assert_eq!(stats.by_day, todos.into_iter().collect::<Vec<_>>());
        let mut by_actor: Vec<_> = of_actors.into_iter().collect();
        by_actor.sort_by_key(|(_, counts)| Reverse(counts.made + counts.done + counts.cancelled));
        assert_eq!(stats.by_actor, by_actor);

        let mut spent = BTreeMap::<ActorId, i64>::new();
        for (counter, counts) in work.iter().filter(|(counter, _)| is_asked(counter.actor)) {
            *spent.entry(counter.actor.expect("an actor")).or_default() += counts.credits_spent;
        }
        spent.retain(|_, spent| *spent != 0);
        let stats = store.credit_stats(&query, &zone).await.expect("a read");
        assert_eq!((stats.spent, stats.balance), (spent.values().sum(), model.account.balance));
        let mut spent: Vec<_> = spent.into_iter().collect();
        spent.sort_by_key(|(_, spent)| Reverse(*spent));
        assert_eq!(stats.by_actor, spent);
        // The balance after each day is that of the last ledger row up to its end.
        for of_day in &stats.by_day {
            let until = |entry: &&LedgerEntry| day(entry.created_at.quarter_hour()) <= of_day.day;
            let deltas = model.ledger.values().filter(until).map(|entry| entry.delta);
            assert_eq!(of_day.balance, deltas.sum::<i64>(), "{}", of_day.day);
        }
    }
}

async fn compare_sessions(
    model: &ReferenceModel,
    store: &Store,
    actor: Option<ActorId>,
    limit: u32,
) {
    let by = model.account.id.into();
    for status in [None, Some(SessionStatusKind::Active), Some(SessionStatusKind::Ended)] {
        for window in windows(model) {
            let what = format!("sessions of {actor:?}, {status:?}, {window:?}");
            let sort_key = match window {
                SessionWindow::Started(_) => Session::sort_key,
                SessionWindow::ActiveSince(_) => Session::position_by_end,
            };
            let expected = model.sessions(actor, status, window);
            compare_sorted_pages(&what, &expected, limit, sort_key, async |page| {
                let query = SessionQuery { by, actor, status, window, page };
                let page = store.sessions(&query).await.expect("a read");
                let Ok(page) = page.try_map(|listed| Ok::<_, Infallible>(listed.session));
                page
            })
            .await;
        }
    }
}

/// All sessions, and windows that begin or end with the middle one.
fn windows(model: &ReferenceModel) -> Vec<SessionWindow> {
    let mut times: Vec<_> = model.sessions.values().map(|row| row.started_at).collect();
    times.extend(model.sessions.values().filter_map(|row| row.status.ended_at()));
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied();
    let started = |since, until| SessionWindow::Started(TimeRange { since, until });
    let mut windows = vec![started(None, None), started(middle, None), started(None, middle)];
    windows.push(started(middle, middle));
    windows.extend(middle.map(SessionWindow::ActiveSince));
    windows
}

/// Compares the lists of todos that have an order of their own.
async fn compare_todo_lists(
    model: &ReferenceModel,
    store: &Store,
    actor: Option<ActorId>,
    limit: u32,
) {
    let by = model.account.id.into();
    let todos = |page: Page<ListedTodo<Sealed>>| {
        let Ok(page) = page.try_map(|listed| Ok::<_, Infallible>(listed.todo));
        page
    };
    for session in links(model).into_iter().flatten() {
        let what = format!("todos of {actor:?} in session {session}");
        let (expected, sort_key) =
            (model.session_todos(actor, session), Todo::position_by_creation);
        compare_sorted_pages(&what, &expected, limit, sort_key, async |page| {
            let query = SessionTodos { by, actor, session, page };
            todos(store.session_todos(&query).await.expect("a read"))
        })
        .await;
    }
    let finished = FinishedStatus::ALL.into_iter().flat_map(|status| {
        let all = [None].into_iter().chain(Priority::ALL.map(Some));
        all.map(move |priority| (status, priority))
    });
    for (status, priority) in finished {
        let what = format!("todos of {actor:?} that are {status:?}, of {priority:?}");
        let (expected, sort_key) =
            (model.finished_todos(actor, status, priority), Todo::position_by_status_since);
        compare_sorted_pages(&what, &expected, limit, sort_key, async |page| {
            let query = FinishedTodos { by, actor, status, priority, page };
            todos(store.finished_todos(&query).await.expect("a read"))
        })
        .await;
    }
    let mut due: Vec<_> = model.todos.values().filter_map(|row| row.content.due_at).collect();
    due.sort_unstable();
    for now in [due.get(due.len() / 2).copied().unwrap_or(Timestamp::FIRST), Timestamp::LAST] {
        let what = format!("todos of {actor:?} that are overdue at {now}");
        let (expected, sort_key) = (model.overdue_todos(actor, now), Todo::position_by_due_date);
        compare_sorted_pages(&what, &expected, limit, sort_key, async |page| {
            let query = OverdueTodos { by, actor, now, page };
            todos(store.overdue_todos(&query).await.expect("a read"))
        })
        .await;
    }
}

async fn compare_todos(model: &ReferenceModel, store: &Store, actor: Option<ActorId>, limit: u32) {
    let by = model.account.id.into();
    let priorities = [0, 1, 2, 3].map(|level| Priority::parse(level).expect("a priority"));
    for status in [None].into_iter().chain(TodoStatus::ALL.map(Some)) {
        for priority in [None].into_iter().chain(priorities.map(Some)) {
            for session in links(model) {
                let query = |page| TodoQuery { by, actor, status, priority, session, page };
                let all = query(PageRequest::default());
                let what = format!("todos {all:?}");
                compare_pages(&what, &model.todos(&all), limit, async |page| {
                    let page = store.todos(&query(page)).await.expect("a read");
                    let listed = |listed: ListedTodo<_>| {
                        assert_eq!(listed.until, model.lives_until(listed.todo.id));
                        Ok::<_, Infallible>(listed.todo)
                    };
                    let Ok(page) = page.try_map(listed);
                    page
                })
                .await;
            }
        }
    }
    for todo in model.todos.values().filter(|row| actor.is_none_or(|actor| actor == row.actor)) {
        let log = store.todo_log(by, todo.id, None).await.expect("a read").expect("a todo");
        let steps = model.logs.values().filter(|step| step.todo == todo.id);
        assert_eq!(log.todo, *todo);
        assert_eq!(log.steps, steps.cloned().collect::<Vec<_>>());
    }
}

async fn compare_activities(
    model: &ReferenceModel,
    store: &Store,
    actor: Option<ActorId>,
    ranges: &[TimeRange],
    limit: u32,
) {
    let by = model.account.id.into();
    let types = counts(model.activities.values().map(|row| row.activity_type.clone())).into_keys();
    for activity_type in types.map(Some).chain([None]) {
        for session in links(model) {
            // The store counts nothing by session, so it does not split ranges: every fourth one is
            // enough.
            let step = if session.is_some() { 4 } else { 1 };
            for range in ranges.iter().copied().step_by(step) {
                let activity_type = activity_type.clone();
                let filter = ActivityFilter { by, actor, activity_type, session, range };
                let what = format!("activities {filter:?}");
                compare_pages(&what, &model.activities(&filter), limit, async |page| {
                    store.activities(&filter, page).await.expect("a read")
                })
                .await;
                compare_stats(model, store, &filter, "UTC").await;
            }
        }
    }
}

/// Compares the statistics of the activities that a filter selects, by the days of a zone.
pub async fn compare_stats(
    model: &ReferenceModel,
    store: &Store,
    filter: &ActivityFilter,
    zone: &str,
) {
    let clock = jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("a zone");
    let rows = model.activities(filter);
    let by_day = counts(rows.iter().map(|row| {
        let at = jiff::Timestamp::from_microsecond(row.logged_at.micros()).expect("a time");
        let shown = at.to_zoned(clock.clone()).date();
        // Days before 1970 and after 9999 count as the first and the last day.
        let shown = shown.clamp(jiff::civil::date(1970, 1, 1), jiff::civil::date(9999, 12, 31));
        shown.to_string()
    }));
    let by_type = counts(rows.iter().map(|row| row.activity_type.clone()));
    let mut by_type: Vec<_> = by_type.into_iter().collect();
    by_type.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let sessions = |status| {
        let sessions = model.sessions(filter.actor, status, SessionWindow::default()).into_iter();
        count(sessions.filter(|row| filter.session.is_none_or(|is| is == row.id)).count())
    };
    let sessions =
        SessionCounts { total: sessions(None), active: sessions(Some(SessionStatusKind::Active)) };
    let parsed = Zone::parse(zone).expect("a zone");
    let stats = store.activity_stats(filter, &parsed).await.expect("a read");
    let what = format!("{filter:?} by the days of {zone}");
    assert_eq!((stats.total, stats.by_type), (count(rows.len()), by_type), "{what}");
    let days = stats.by_day.into_iter().map(|(day, count)| (day.to_string(), count));
    assert_eq!(days.collect::<Vec<_>>(), by_day.into_iter().collect::<Vec<_>>(), "{what}");
    assert_eq!(stats.sessions, sessions, "{what}");
}

/// No session, one that never existed, and two existing ones.
fn links(model: &ReferenceModel) -> Vec<Option<SessionId>> {
    let some = model.sessions.keys().take(2).copied().map(Some);
    let none = Some(SessionId(model.account.last_ids.session + 1));
    [None, none].into_iter().chain(some).collect()
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).expect("few rows")
}

/// Compares every page of a list, by its offset and by the cursor of the page before.
async fn compare_pages<T: Listed + Clone + PartialEq + Debug>(
    what: &str,
    expected: &[T],
    limit: u32,
    page: impl AsyncFnMut(PageRequest) -> Page<T>,
) {
    compare_sorted_pages(what, expected, limit, Listed::sort_key, page).await;
}

/// The same for a list that is sorted by other positions than usual.
async fn compare_sorted_pages<T: Clone + PartialEq + Debug>(
    what: &str,
    expected: &[T],
    limit: u32,
    sort_key: fn(&T) -> SortKey,
    mut page: impl AsyncFnMut(PageRequest) -> Page<T>,
) {
    let total = count(expected.len());
    let mut rows = Vec::new();
    let mut next = None;
    loop {
        let request = PageRequest::skipping(count(rows.len()), limit);
        let skipping = page(request).await;
        assert_eq!(skipping.total, total, "the total of {what} at {request:?}");
        assert_eq!(skipping.request, request);
        let left = expected.len() - rows.len();
        let shown = left.min(limit as usize);
        assert_eq!(skipping.items.len(), shown, "a page of {what} at {request:?}");
        let last = skipping.items.last().filter(|_| shown < left);
        assert_eq!(skipping.next, last.map(sort_key), "what follows {request:?} of {what}");
        if let Some(sort_key) = next {
            let request = PageRequest { limit, start: Start::After(sort_key) };
            let expected = Page { items: skipping.items.clone(), request, ..skipping };
            assert_eq!(page(request).await, expected, "{what}");
        }
        next = skipping.next;
        rows.extend(skipping.items);
        if next.is_none() {
            assert_eq!(rows, expected, "{what}");
            return;
        }
    }
}
