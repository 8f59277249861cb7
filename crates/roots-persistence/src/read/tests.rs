//! What reads cost: a page, a total and statistics touch as many rows of a large account as of a
//! small one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex};

use roots_domain::model::activity::STATS_DAYS_MAX;
use roots_domain::model::api_key::LookupHash;
use roots_domain::model::credit::Reason;
use roots_domain::model::id::{AccountId, ActorId, KeyId, LogId, SessionId, TodoId};
use roots_domain::model::page::{PageRequest, SortKey, Start};
use roots_domain::model::session::{SessionStatusKind, SessionWindow};
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::{
    DAY_MICROS, Day, QUARTER_HOUR_MICROS, QuarterHour, TimeRange, Timestamp,
};
use roots_domain::model::todo::{Priority, TodoStatus};
use roots_domain::model::todo_list::FinishedStatus;
use roots_domain::model::work::WorkWindow;
use roots_domain::model::zone::Zone;
use roots_domain::port::crypto::{Lookup, LookupKind};
use roots_domain::port::store::{
    AccountReader, ActivityFilter, ActivityReader, BriefQuery, BriefReader, DashboardQuery,
    DashboardReader, FinishedTodos, ItemFilter, ItemPosition, ItemSource, OverdueTodos,
    QuarterHourQuery, SearchReader, SessionQuery, SessionReader, SessionTodos, StoreError,
    TodoQuery, TodoReader, WorkQuery,
};
use roots_domain::service::access::Access;
use roots_domain::service::keyrings::Keyrings;
use roots_domain::service::sessions::Sessions;
use roots_domain::service::{Preconditions, Writes};
use roots_testkit::ambient::TestClock;
use roots_testkit::commands::{Issuer, apply_each};
use roots_testkit::context::session_draft;
use roots_testkit::database::TestDatabase;
use roots_testkit::members::{add_member, renew_member};
use sea_orm::sea_query::{ArrayType, PostgresQueryBuilder, QueryBuilder};
use sea_orm::{ConnectionTrait, Statement, Value};

use crate::store::Store;

const DAYS: i64 = 40;
/// The smaller of two accounts has as many rows as any list shows.
const SMALL: i64 = 4_000;
/// How what dashboards read is named.
const DASHBOARD: &str = "a dashboard";
/// The actors of an account, of whatever size it is. Statistics of all of them take a look at each.
const MEMBERS: i64 = 40;

/// Fills an account with `each` todos and activities of its owner and as many of another actor, a
/// tenth of sessions, and `each` ledger rows. The activities of a day all lie in its first hours;
/// ten of them, of whatever size the account is, are linked to session 1.
async fn fill(db: &TestDatabase, each: i64) -> Issuer {
    let issuer = Issuer::new(&db.store, 1).await;
    let (account, start) = (issuer.account.0, (issuer.at.day().0 - DAYS) * DAY_MICROS);
    let uid = if db.is_postgres() {
        "'00000000-0000-0000-0000-000000000000'"
    } else {
        "x'00000000000000000000000000000000'"
    };
    let bytes = if db.is_postgres() { "'\\x00'" } else { "x'00'" };
    let lookup = if db.is_postgres() { "decode(repeat('00', 32), 'hex')" } else { "zeroblob(32)" };
    let n = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {each})"
    );
    let both = format!("{n}, whose (peer) AS (VALUES (0), (1))");
    // The row's id, which rises with its time, and whose it is.
    let (id, whose) = ("2 * i + peer", "peer + 1");
    let link = format!("CASE WHEN i % {} = 0 AND peer = 0 THEN 1 END", each / 10);
    // As many are overdue in an account of any size.
    let due = format!("CASE WHEN i > {} THEN {start} + i END", each - 60);
    // A few hours of each day, spread evenly.
    let time = format!("{start} + (i % {DAYS}) * {DAY_MICROS} + (i / {DAYS}) * 1000000");
    for sql in [
        format!(
            "{both} INSERT INTO sessions SELECT {account}, {id} - 1, {uid}, {whose}, \
                CASE WHEN i % 2 = 0 THEN 'active' ELSE 'ended' END, NULL, {start} + i, CASE WHEN i % 2 = 0 THEN NULL ELSE {start} + i END, 1, 0 \
                FROM n CROSS JOIN whose WHERE i <= {}",
            each / 10
        ),
        format!(
            "{both} INSERT INTO todos SELECT {account}, {id}, {uid}, {whose}, {link}, {bytes}, NULL, \
                CASE i / 4 % 4 WHEN 0 THEN 'open' WHEN 1 THEN 'done' WHEN 2 THEN 'cancelled' \
                ELSE 'in_progress' END, i % 4, {due}, {start} + i, 0, 1, 0, NULL, NULL, NULL, \
                {start} + i \
                FROM n CROSS JOIN whose"
        ),
        format!(
            "INSERT INTO session_activity SELECT account_id, session_id, started_at, \
                CASE WHEN status = 'active' THEN 1 ELSE 0 END FROM sessions \
                WHERE account_id = {account}"
        ),
        format!(
            "{both} INSERT INTO activities SELECT {account}, {id}, {uid}, {whose}, {link}, \
                'kind-' || CAST(i % 5 AS TEXT), {bytes}, {time}, 0, 1 FROM n CROSS JOIN whose"
        ),
        format!(
            "{both} INSERT INTO todo_logs SELECT {account}, {id}, {id}, {uid}, 'open', 'done', \
                NULL, {time}, {whose} FROM n CROSS JOIN whose WHERE i > 100"
        ),
        format!(
            "{n} INSERT INTO ledger SELECT {account}, i + 1, 1, i, \
                CASE WHEN i % 2 = 0 THEN 'api_write' ELSE 'operator_grant' END, \
                NULL, NULL, NULL, 0, NULL, NULL, NULL FROM n"
        ),
        format!(
            "{both} INSERT INTO work_quarter_hours SELECT {account}, {} - i, {whose}, 1, 1, 0, 3, 0 \
                FROM n CROSS JOIN whose",
            issuer.at.quarter_hour().0
        ),
        format!(
            "{n} INSERT INTO actors SELECT {account}, i + 1, {uid}, 'a', 'agent', 'member', 1, 1, 0, 0, 0 \
                FROM n WHERE i < {MEMBERS}"
        ),
        format!(
            "{n} INSERT INTO key_wraps SELECT {account}, 'account', 0, 1, 'actor', i + 1, 1, {bytes} \
                FROM n"
        ),
        format!(
            "{n} INSERT INTO key_wraps SELECT {account}, 'api_key', i + 1, 0, 'actor', i + 1, 1, \
                {bytes} FROM n"
        ),
        format!("UPDATE api_keys SET lookup = {lookup} WHERE account_id = {account}"),
        format!(
            "INSERT INTO counters SELECT {account}, actor_id, 'activities', activity_type, COUNT(*) \
                FROM activities WHERE account_id = {account} GROUP BY actor_id, activity_type"
        ),
        format!(
            "INSERT INTO activity_quarter_hours SELECT {account}, actor_id, logged_at / {QUARTER_HOUR_MICROS}, \
                activity_type, COUNT(*) FROM activities WHERE account_id = {account} GROUP BY 2, 3, 4"
        ),
        format!(
            "INSERT INTO activity_daily SELECT {account}, actor_id, logged_at / {DAY_MICROS}, \
                activity_type, COUNT(*) FROM activities WHERE account_id = {account} GROUP BY 2, 3, 4"
        ),
    ] {
        db.execute(&sql).await;
    }
    issuer
}

/// A store that reads and does not write, and how many statements it has made.
async fn reading_aloud(db: &TestDatabase) -> (Store, Arc<AtomicU64>) {
    let mut readers = if db.is_postgres() {
        crate::connect::postgres::readers(
            &crate::connect::postgres::PostgresServer::alone(db.url.clone()),
            1,
        )
        .await
        .unwrap()
    } else {
        crate::connect::sqlite::readers(&db.folder.path().join("roots.db")).await.unwrap()
    };
    let statements = Arc::new(AtomicU64::new(0));
    let tell = statements.clone();
    readers.set_metric_callback(move |_| {
        tell.fetch_add(1, Ordering::Relaxed);
    });
    (Store::reading(readers, &db.url), statements)
}

/// Asks an account that was filled with `each` for everything that has no bound of its own, and
/// tells after each what was asked.
#[expect(clippy::too_many_lines, reason = "a list of everything that can be asked")]
async fn ask(store: &Store, issuer: &Issuer, each: i64, mut asked: impl FnMut(String)) {
    let first = (issuer.at.day().0 - DAYS) * DAY_MICROS;
    // By when the row of an id started or was created.
    let early = |i: i64| [first + i, 2 * i];
    let start = |place| PageRequest { start: Start::After(place), ..PageRequest::default() };
    let [at, id] = early(each / 20);
    let deep_session = start(SortKey([0, at, id]));
    let [at, id] = early(each / 2);
    let deep_todo = start(SortKey([1, at, id]));
    let deep_high_todo = start(SortKey([3, at, id]));
    let deep_activity = start(SortKey([0, first + DAYS / 2 * DAY_MICROS + 5_000_000, each]));
    let deep_entry = start(SortKey([0, 0, each / 2]));
    let top = PageRequest::default();
    let account = issuer.account;
    let actors = [("", Some(ActorId(1))), (" of all", None)];
    for (what, status) in
        [("sessions", None), ("sessions, active", Some(SessionStatusKind::Active))]
    {
        for (page, (whose, actor)) in product(&[top, deep_session], &actors) {
            let window = SessionWindow::default();
            let query = SessionQuery { by: account.into(), actor, status, window, page };
            assert_eq!(store.sessions(&query).await.unwrap().items.len(), 20);
            asked(format!("{what}{whose}, {page:?}"));
        }
    }
    let (done, high) = (Some(TodoStatus::Done), Priority::parse(3).ok());
    for (what, status, priority, session) in [
        ("todos", None, None, None),
        ("todos, done", done, None, None),
        ("todos, high", None, high, None),
        ("todos, done and high", done, high, None),
        ("todos of a session", None, None, Some(SessionId(1))),
        ("todos of a session, done", done, None, Some(SessionId(1))),
        ("todos of a session, high", None, high, Some(SessionId(1))),
        ("todos of a session, done and high", done, high, Some(SessionId(1))),
    ] {
        let deep = if priority.is_some() { deep_high_todo } else { deep_todo };
        for (page, (whose, actor)) in product(&[top, deep], &actors) {
            let query = TodoQuery { by: account.into(), actor, status, priority, session, page };
            let found = store.todos(&query).await.unwrap().items.len();
            assert!(found == 20 || session.is_some(), "{what}{whose}");
            asked(format!("{what}{whose}, {page:?}"));
        }
    }
    ask_by_time(store, account, each, &mut asked).await;
    ask_for_work(store, issuer, &mut asked).await;
    for (what, reason) in
        [("the ledger", None), ("the ledger, grants", Some(Reason::OperatorGrant))]
    {
        for page in [top, deep_entry] {
            assert_eq!(store.ledger(account.into(), reason, page).await.unwrap().items.len(), 20);
            asked(format!("{what}, {page:?}"));
        }
    }
    // As much has happened since then in an account of any size.
    let lately = first + (DAYS - 1) * DAY_MICROS + (each / DAYS - 20) * 1_000_000;
    for (whose, actor) in actors {
        let since = Some(Timestamp::from_micros(lately));
        let query = BriefQuery { by: account.into(), actor, reader: None, since, rows: 8 };
        let brief = store.brief(&query, Arc::<TestClock>::default()).await.unwrap();
        assert_eq!((brief.activities.len(), brief.status_changes.len()), (8, 8), "{whose}");
        asked(format!("a brief{whose}"));
    }
    ask_for_dashboards(store, issuer, &mut asked).await;
    let deep = [deep_session, deep_todo, deep_activity];
    ask_for_searches(store, account, deep, &mut asked).await;
    let lookup = Lookup { account, hash: LookupHash([0; 32]), kind: LookupKind::ApiKey };
    store.credentials(lookup).await.unwrap().unwrap();
    asked("a key".to_owned());
    let held = store.held_actors(account, &[ActorId(2), ActorId(MEMBERS)]).await.unwrap();
    assert!(held.iter().all(|held| held.wraps.len() == 1) && held.len() == 2);
    asked("actors and their wraps".to_owned());
    let day = |back: i64| Day(issuer.at.day().0 - back);
    // Nothing happened in the evening before, and one thing in the first instant after.
    let ragged = TimeRange {
        since: Some(day(DAYS - 2).first_instant().plus_seconds(80_000)),
        until: Some(day(2).first_instant()),
    };
    let whole = TimeRange { since: Some(day(DAYS).first_instant()), until: None };
    let kind = ActivityType::parse("kind-0").ok();
    for (what, activity_type, session, range) in [
        ("activities", None, None, TimeRange::default()),
        ("activities of a type", kind.clone(), None, TimeRange::default()),
        ("activities of a session", None, Some(SessionId(1)), TimeRange::default()),
        (
            "activities of a session, of a type",
            kind.clone(),
            Some(SessionId(1)),
            TimeRange::default(),
        ),
        ("activities of a session, of days", None, Some(SessionId(1)), whole),
        ("activities of whole days", None, None, whole),
        ("activities with ragged ends", None, None, ragged),
        ("activities of a type with ragged ends", kind, None, ragged),
    ] {
        // Of a session there are few, wherever they stand.
        let deep = if session.is_some() { start(SortKey([0, i64::MAX, 0])) } else { deep_activity };
        for (whose, actor) in actors {
            let activity_type = activity_type.clone();
            let filter =
                ActivityFilter { by: account.into(), actor, activity_type, session, range };
            for page in [top, deep] {
                let found = store.activities(&filter, page).await.unwrap();
                assert!(found.total >= 1, "{what}{whose}");
                assert!(found.items.len() == 20 || session.is_some(), "{what}{whose}");
                asked(format!("{what}{whose}, {page:?}"));
            }
            store.activity_stats(&filter, &Zone::UTC).await.unwrap();
            asked(format!("{what}{whose}, counted"));
            for name in ["Asia/Kathmandu", "Europe/Vienna"] {
                store.activity_stats(&filter, &Zone::parse(name).unwrap()).await.unwrap();
                asked(format!("{what}{whose}, counted by the days of {name}"));
            }
        }
    }
}

/// Asks for the lists of sessions and todos that are chosen or sorted by a time, from the top and
/// from deep in the lists. As many sessions have started or ended in the last time in an account of
/// any size.
async fn ask_by_time(store: &Store, account: AccountId, each: i64, asked: &mut impl FnMut(String)) {
    let by = account.into();
    let page = |place| PageRequest { start: Start::After(place), ..PageRequest::default() };
    let top = PageRequest::default();
    let actors = [("", Some(ActorId(1))), (" of all", None)];
    let first = (store.session(by, SessionId(1)).await.unwrap().unwrap().started_at).micros() - 1;
    let early = |i: i64| (first + i, 2 * i);
    let since = Timestamp::from_micros(early(each / 10 - 48).0);
    let until = Timestamp::from_micros(early(each / 10 - 8).0);
    let started = SessionWindow::Started(TimeRange { since: Some(since), until: Some(until) });
    let active = SessionWindow::ActiveSince(since);
    let (at, id) = early(each / 10 - 12);
    let deep_start = page(SortKey([0, at, id]));
    let deep_end = page(SortKey([at, at, id]));
    let (at, id) = early(each / 20);
    let deep_active = page(SortKey([i64::MAX, at, id]));
    let (is_active, is_ended) = (Some(SessionStatusKind::Active), Some(SessionStatusKind::Ended));
    for (what, window, status, deep) in [
        ("started", started, None, deep_start),
        ("started, ended", started, is_ended, deep_start),
        ("active", active, None, deep_active),
        ("active, active", active, is_active, deep_active),
        ("active, ended", active, is_ended, deep_end),
    ] {
        for (page, (whose, actor)) in product(&[top, deep], &actors) {
            let query = SessionQuery { by, actor, status, window, page };
            let found = store.sessions(&query).await.unwrap();
            assert!(found.items.len() >= 16, "{what}{whose}, {page:?}");
            asked(format!("sessions by time, {what}{whose}, {page:?}"));
        }
    }
    let (at, id) = early(each / 2);
    for (page, (whose, actor)) in product(&[top, page(SortKey([0, at, id]))], &actors) {
        let query = SessionTodos { by, actor, session: SessionId(1), page };
        // Ten todos are linked to it, of which half are older than the middle.
        let found = store.session_todos(&query).await.unwrap().items.len();
        assert!((4..=10).contains(&found), "{whose}, {page:?}: {found}");
        asked(format!("todos of a session by creation{whose}, {page:?}"));
        for priority in [None, Some(Priority::default())] {
            let query = FinishedTodos { by, actor, status: FinishedStatus::Done, priority, page };
            let found = store.finished_todos(&query).await.unwrap().items.len();
            assert!(found == 20 || priority.is_some(), "{found}");
            asked(format!("finished todos{whose}, {priority:?}, {page:?}"));
        }
    }
    let (at, id) = early(each - 40);
    for (page, (whose, actor)) in product(&[top, page(SortKey([0, at, id]))], &actors) {
        let query = OverdueTodos { by, actor, now: Timestamp::LAST, page };
        assert!(store.overdue_todos(&query).await.unwrap().items.len() >= 16);
        asked(format!("overdue todos{whose}, {page:?}"));
        store.next_due(by, actor, Timestamp::from_micros(at)).await.unwrap();
        asked(format!("the next due date{whose}"));
    }
}

/// Asks for all that dashboards read.
async fn ask_for_dashboards(store: &Store, issuer: &Issuer, asked: &mut impl FnMut(String)) {
    let by = issuer.account.into();
    for (whose, actor) in [("", Some(ActorId(1))), (" of all", None)] {
        let query = DashboardQuery { by, actor, agents_after: None, zone: Zone::UTC };
        let rows = store.dashboard(&query, Arc::<TestClock>::default()).await.unwrap();
        assert_eq!((rows.latest.len(), rows.next_up.len()), (30, 5), "{whose}");
        assert!(rows.todos.len() >= 200, "{whose}");
        asked(format!("{DASHBOARD}{whose}"));
        let day = Day(issuer.at.day().0 - DAYS + 3);
        let quarter_hours = (day.first_instant().quarter_hour(), issuer.at.quarter_hour());
        let query = QuarterHourQuery { by, actor, quarter_hours };
        assert!(store.activities_by_quarter_hour(&query).await.unwrap().len() > 30);
        asked(format!("{DASHBOARD} by the hours of the week{whose}"));
    }
}

/// Asks for statistics of todos and credits of one day and a half.
async fn ask_for_work(store: &Store, issuer: &Issuer, asked: &mut impl FnMut(String)) {
    let last = issuer.at.quarter_hour();
    let window = WorkWindow { first: QuarterHour(last.0 - 144), last };
    for (whose, actor) in [("", Some(ActorId(1))), (" of all", None)] {
        let query = WorkQuery { by: issuer.account.into(), actor, window };
        for zone in ["UTC", "Asia/Kathmandu"] {
            let zone = Zone::parse(zone).unwrap();
            let actors: i64 = if actor.is_some() { 1 } else { 2 };
            let todos = store.todo_stats(&query, &zone).await.unwrap();
            assert_eq!(
                (todos.total.made, todos.by_actor.len()),
                (144 * actors, usize::try_from(actors).unwrap())
            );
            asked(format!("todos counted{whose}, {}", zone.name()));
            let credits = store.credit_stats(&query, &zone).await.unwrap();
            assert_eq!((credits.spent, credits.by_day.len()), (3 * 144 * actors, 2));
            asked(format!("credits counted{whose}, {}", zone.name()));
        }
    }
}

/// Asks for all that a search reads, from the top and from deep in the lists.
async fn ask_for_searches(
    store: &Store,
    account: AccountId,
    [sessions, todos, activities]: [PageRequest; 3],
    asked: &mut impl FnMut(String),
) {
    let actors = [("", Some(ActorId(1))), (" of all", None)];
    let of_todos = |status| ItemSource::Todos { priority: Priority::default(), status };
    let top_item = ItemPosition { at: Timestamp::LAST, id: i64::MAX };
    for (source, deep) in [
        (ItemSource::Sessions, sessions),
        (of_todos(None), todos),
        (of_todos(Some(TodoStatus::Done)), todos),
        (ItemSource::Activities, activities),
    ] {
        let Start::After(SortKey([_, at, id])) = deep.start else { unreachable!("it is deep") };
        let deep_item = ItemPosition { at: Timestamp::from_micros(at), id };
        for (session, (whose, actor)) in product(&[None, Some(SessionId(1))], &actors) {
            let filter = ItemFilter { by: account.into(), actor, session, since: None };
            // Of a session there are few, wherever they stand.
            let places = if session.is_some() { [top_item; 2] } else { [top_item, deep_item] };
            for before in places {
                let found = store.items_before(&filter, source, before, 20).await.unwrap().len();
                assert!(found == 20 || session.is_some(), "{source:?}{whose}");
                asked(format!("to search {source:?}{whose}, {session:?}, {before:?}"));
            }
        }
    }
    let logs: Vec<_> = (1..=128).map(TodoId).collect();
    assert_eq!(store.notes_before(account.into(), &logs, None).await.unwrap(), []);
    asked("to search logs".to_owned());
}

/// A clock is moved twice a year, for ever. Neither the years between two activities nor the days
/// that have any make for more statements.
#[tokio::test]
async fn stats_by_the_days_of_a_zone_take_a_few_statements_however_long_the_time() {
    const STATEMENTS_MAX: usize = 8;
    for db in [TestDatabase::sqlite().await, TestDatabase::postgres().await] {
        let issuer = Issuer::new(&db.store, 1_000).await;
        let times = ["1970-01-01T00:30:00Z", "9999-12-31T23:00:00Z"].into_iter();
        let times = times.map(|at| Timestamp::parse(at).unwrap());
        // Once a month for thirty years, at all times of a day.
        let months = (0..360).map(|month| issuer.at.plus_seconds(-month * 2_635_200));
        let times = times.chain(months).map(|at| issuer.log_activity_as("a", Some(1), Some(at)));
        apply_each(&db.store, std::iter::once(issuer.start_session()).chain(times)).await;
        let (store, statements) = reading_aloud(&db).await;
        let ragged = TimeRange {
            since: Timestamp::parse("1970-01-01T00:07:30Z").ok(),
            until: Timestamp::parse("9999-12-31T23:07:30Z").ok(),
        };
        for name in ["UTC", "Europe/Vienna", "America/New_York", "Africa/Monrovia"] {
            for session in [None, Some(SessionId(1))] {
                for range in [TimeRange::default(), ragged] {
                    let (account, actor) = (issuer.account, Some(issuer.actor));
                    let filter = ActivityFilter {
                        by: account.into(),
                        actor,
                        activity_type: None,
                        session,
                        range,
                    };
                    let zone = Zone::parse(name).unwrap();
                    let stats = store.activity_stats(&filter, &zone).await.unwrap();
                    assert_eq!(stats.total, 362, "{name} {session:?} {range:?}");
                    let asked = statements.swap(0, Ordering::Relaxed);
                    let asked = usize::try_from(asked).unwrap();
                    assert!((1..=STATEMENTS_MAX).contains(&asked), "{name}: {asked} statements");
                }
            }
        }
    }
}

/// Every second day had something at noon, and the days between in the evening, when the clock of
/// Kathmandu shows the next date: there, every second date has both.
#[tokio::test]
async fn the_newest_days_of_a_long_history_are_listed_and_the_others_counted() {
    const HISTORY_DAYS: i64 = 10_000;
    let listed_days = i64::try_from(STATS_DAYS_MAX).unwrap();
    for db in [TestDatabase::sqlite().await, TestDatabase::postgres().await] {
        let issuer = fill(&db, 1_000).await;
        let account = issuer.account;
        for table in ["activity_daily", "activity_quarter_hours", "counters"] {
            db.execute(&format!("DELETE FROM {table}")).await;
        }
        let days = format!(
            "WITH RECURSIVE days (day) AS (SELECT 1 UNION ALL SELECT day + 1 FROM days \
                WHERE day < {HISTORY_DAYS}), whose (actor) AS (VALUES (1), (2))"
        );
        let all = "FROM days CROSS JOIN whose";
        for sql in [
            format!("{days} INSERT INTO activity_daily SELECT {account}, actor, day, 'a', 1 {all}"),
            format!(
                "{days} INSERT INTO activity_quarter_hours SELECT {account}, actor, \
                    day * 96 + CASE WHEN day % 2 = 0 THEN 48 ELSE 90 END, 'a', 1 {all}"
            ),
            format!(
                "INSERT INTO counters VALUES ({account}, 1, 'activities', 'a', {HISTORY_DAYS}), \
                    ({account}, 2, 'activities', 'a', {HISTORY_DAYS})"
            ),
        ] {
            db.execute(&sql).await;
        }
        let (store, _) = reading_aloud(&db).await;
        for (actor, actors) in [(Some(ActorId(2)), 1), (None, 2)] {
            let range = TimeRange::default();
            let filter = ActivityFilter {
                by: account.into(),
                actor,
                activity_type: None,
                session: None,
                range,
            };
            for (zone, dates, each) in
                [("UTC", HISTORY_DAYS, 1), ("Asia/Kathmandu", HISTORY_DAYS / 2, 2)]
            {
                let stats =
                    store.activity_stats(&filter, &Zone::parse(zone).unwrap()).await.unwrap();
                assert_eq!(stats.total, actors * HISTORY_DAYS);
                assert_eq!(stats.by_day_omitted, dates - listed_days, "{zone}");
                let apart = HISTORY_DAYS / dates;
                let newest = (0..listed_days).rev().map(|back| HISTORY_DAYS - back * apart);
                let newest: Vec<_> = newest.map(|day| (Day(day), actors * each)).collect();
                assert_eq!(stats.by_day, newest, "{zone}");
            }
        }
    }
}

#[tokio::test]
async fn the_1000_most_frequent_types_are_listed_and_all_types_are_in_the_total() {
    for db in [TestDatabase::sqlite().await, TestDatabase::postgres().await] {
        let issuer = Issuer::new(&db.store, 1).await;
        let account = issuer.account;
        db.execute(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) \
                INSERT INTO counters SELECT {account}, 1, 'activities', 'k' || i, i FROM n"
        ))
        .await;
        let (store, _) = reading_aloud(&db).await;
        let (actor, range) = (None, TimeRange::default());
        let filter =
            ActivityFilter { by: account.into(), actor, activity_type: None, session: None, range };
        let stats = store.activity_stats(&filter, &Zone::UTC).await.unwrap();
        assert_eq!((stats.total, stats.by_type_omitted), (1_500 * 1_501 / 2, 500));
        let counts: Vec<_> = stats.by_type.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, (501..=1_500).rev().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_log_is_read_in_chunks_of_64_and_actors_from_the_lowest_id_on() {
    for db in [TestDatabase::sqlite().await, TestDatabase::postgres().await] {
        let issuer = fill(&db, 1_000).await;
        let (account, todo) = (issuer.account, TodoId(2));
        let uid = if db.is_postgres() {
            "'00000000-0000-0000-0000-000000000000'"
        } else {
            "x'00000000000000000000000000000000'"
        };
        db.execute(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 128) \
                INSERT INTO todo_logs SELECT {account}, 2, 2 * i, {uid}, 'open', 'done', NULL, 0, 1 FROM n"
        ))
        .await;
        let mut after = None;
        for (first, next) in [(2, Some(LogId(128))), (130, None)] {
            let log = db.store.todo_log(account.into(), todo, after).await.unwrap().unwrap();
            let ids: Vec<_> = log.steps.iter().map(|step| step.id.0).collect();
            assert_eq!(ids, (0..64).map(|step| first + 2 * step).collect::<Vec<_>>());
            assert_eq!(log.next, next);
            after = next;
        }
        let actors = db.store.first_actors(account, 3).await.unwrap();
        assert_eq!(actors.iter().map(|actor| actor.id.0).collect::<Vec<_>>(), [1, 2, 3]);
        let wanted = [ActorId(3), ActorId(1), ActorId(99)];
        let actors = db.store.actors_of_ids(account, &wanted).await.unwrap();
        let mut ids: Vec<_> = actors.iter().map(|actor| actor.id.0).collect();
        ids.sort_unstable();
        assert_eq!(ids, [1, 3]);
        assert_eq!(db.store.actors_of_ids(account, &[]).await.unwrap(), []);
    }
}

/// Each of these with each of those.
fn product<A: Copy, B: Copy>(some: &[A], others: &[B]) -> Vec<(A, B)> {
    some.iter().flat_map(|a| others.iter().map(move |b| (*a, *b))).collect()
}

/// On SQLite, by the steps of its virtual machine, which are the same each time.
#[tokio::test]
async fn sqlite_reads_take_no_more_steps_in_a_large_account_than_in_a_small_one() {
    const STEPS_OF_ANOTHER: u64 = 2_000;
    let db = TestDatabase::sqlite().await;
    let (small, large) = (fill(&db, SMALL).await, fill(&db, 20_000).await);
    let readers =
        crate::connect::sqlite::readers(&db.folder.path().join("roots.db")).await.unwrap();
    let steps = Arc::new(AtomicU64::new(0));
    let pool = readers.get_sqlite_connection_pool();
    let mut all = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        let mut connection = pool.acquire().await.unwrap();
        let steps = steps.clone();
        connection.lock_handle().await.unwrap().set_progress_handler(1, move || {
            steps.fetch_add(1, Ordering::Relaxed);
            true
        });
        all.push(connection);
    }
    drop(all);
    let store = Store::reading(readers, &db.url);
    let mut taken = Vec::new();
    for (issuer, each) in [(small, SMALL), (large, 20_000)] {
        let mut of_account = Vec::new();
        ask(&store, &issuer, each, |what| {
            of_account.push((what, steps.swap(0, Ordering::Relaxed)));
        })
        .await;
        taken.push(of_account);
    }
    let mut grown = Vec::new();
    for ((what, small), (_, large)) in taken[0].iter().zip(&taken[1]) {
        // The end of a statement may be counted with the next one, since it runs in a thread of its
        // own. What reads a whole account takes tens of thousands of steps more.
        if *large > 2 * small + STEPS_OF_ANOTHER {
            grown.push((what, small, large));
        }
    }
    assert_eq!(grown, [], "steps in a small account, and in a large one");
}

/// On PostgreSQL, by the rows that the plans of the very statements touch. Before it has statistics
/// it can't tell its indexes apart, but does not read a whole account to sort it.
#[tokio::test]
async fn postgres_reads_touch_a_bounded_number_of_rows() {
    const ROWS_TOUCHED_MAX: [(&str, f64); 2] = [("SELECT 1", 5_000.0), ("ANALYZE", 400.0)];
    // A dashboard shows hundreds of rows, of an account of any size.
    const OF_DASHBOARDS: f64 = 3_500.0;
    let db = TestDatabase::postgres().await;
    let issuer = fill(&db, 20_000).await;
    let mut readers = crate::connect::postgres::readers(
        &crate::connect::postgres::PostgresServer::alone(db.url.clone()),
        1,
    )
    .await
    .unwrap();
    let statements = Arc::new(StdMutex::new(Vec::new()));
    let tell = statements.clone();
    readers.set_metric_callback(move |info| tell.lock().unwrap().push(info.statement.clone()));
    let store = Store::reading(readers, &db.url);
    let mut asked = Vec::new();
    ask(&store, &issuer, 20_000, |what| {
        asked.extend(
            statements.lock().unwrap().drain(..).map(|statement| (what.clone(), statement)),
        );
    })
    .await;
    assert!(asked.len() > 80);
    for (first, most) in ROWS_TOUCHED_MAX {
        db.execute(first).await;
        for (what, statement) in &asked {
            let plan = plan(&store, statement).await;
            let touched = rows_touched(&plan["Plan"]);
            let most = if what.starts_with(DASHBOARD) { most.max(OF_DASHBOARDS) } else { most };
            assert!(
                touched <= most,
                "after {first}, {what}: {touched} rows by {statement}: {plan:#}"
            );
        }
    }
}

/// How a statement is executed that was prepared on a connection that reads.
async fn plan(store: &Store, statement: &Statement) -> serde_json::Value {
    let tx = store.readers_of_all().begin().await.unwrap();
    tx.execute_unprepared(&format!("PREPARE asked AS {}", statement.sql)).await.unwrap();
    let values = statement.values.iter().flat_map(|values| &values.0);
    let written = |value: &Value| {
        let text = PostgresQueryBuilder.value_to_string(value);
        // An array of bytes is written as one of texts.
        let is_bytes = matches!(value, Value::Array(ArrayType::Bytes, _));
        if is_bytes { format!("{text}::bytea[]") } else { text }
    };
    let values: Vec<_> = values.map(written).collect();
    let explain = format!("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked({})", values.join(", "));
    let explain = Statement::from_string(tx.get_database_backend(), explain);
    let row = tx.query_one_raw(explain).await.unwrap().unwrap();
    let plans: serde_json::Value = row.try_get_by_index(0).unwrap();
    tx.execute_unprepared("DEALLOCATE asked").await.unwrap();
    tx.commit().await.unwrap();
    plans[0].clone()
}

/// The rows that the scans of a plan found, those that they threw away among them.
fn rows_touched(plan: &serde_json::Value) -> f64 {
    let number = |name: &str| plan[name].as_f64().unwrap_or(0.0);
    let below = plan["Plans"].as_array().map_or(0.0, |plans| plans.iter().map(rows_touched).sum());
    let is_scan = plan["Node Type"].as_str().is_some_and(|node| node.contains("Scan"));
    if !is_scan {
        return below;
    }
    let removed = number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
    below + (number("Actual Rows") + removed) * number("Actual Loops")
}

/// Each renewal makes one more epoch. Neither an ordinary request nor one for a text of the first
/// epoch may ask more statements, or of other texts, for an actor that was renewed a hundred times.
#[tokio::test]
async fn a_hundred_renewals_do_not_change_the_statements_of_admissions_and_reads() {
    for db in [TestDatabase::sqlite().await, TestDatabase::postgres().await] {
        let context = db.context();
        let owner = context.caller(10).await;
        let member = context.bearer(&add_member(&db, &owner, 2).await).await;
        let draft = session_draft("of the first epoch");
        let early = context
            .sessions
            .start(&member, draft, Preconditions::default())
            .await
            .unwrap()
            .value
            .id;
        let mut key = 2;
        let mut asked = Vec::new();
        for renewals in [2, 98] {
            let mut secret = None;
            for _ in 0..renewals {
                key += 1;
                let keys = Keyrings::in_force(&db.store, &owner, ActorId(2)).await.unwrap();
                let renewal = keys.of_row(ActorId(2)).unwrap().renew(KeyId(key)).unwrap();
                renew_member(&db, &owner, 2, &renewal).await;
                secret = Some(renewal.key.secret);
            }
            let (store, statements) = telling_texts(&db).await;
            let texts = move || std::mem::take(&mut *statements.lock().unwrap());
            let here = Arc::new(store.clone());
            let access = Access { reader: here.clone(), ..context.access.clone() };
            let sessions = context.sessions.clone();
            let writes = Writes { accounts: here.clone(), ..sessions.writes.clone() };
            let sessions = Sessions { writes, reader: here, ..sessions };
            let secret = secret.unwrap();
            let key = access.parse_key(&secret).unwrap();
            let wraps = store.credentials(key.lookup).await.unwrap().unwrap().wraps.len();
            let mut steps = vec![(wraps, texts())];
            let member = access.admit(&key).await.unwrap();
            for caller in [&owner, &member] {
                texts();
                let found = sessions.get(caller, early).await.unwrap().unwrap();
                assert_eq!(found.notes.as_deref(), Some("of the first epoch"));
                steps.push((0, texts()));
            }
            assert_eq!(steps[0].1.len(), 1, "one statement admits");
            asked.push(steps);
        }
        assert_eq!(asked[0], asked[1]);
    }
}

#[tokio::test]
async fn keys_that_arrive_together_are_looked_up_by_one_statement() {
    for db in [TestDatabase::sqlite().await, TestDatabase::postgres().await] {
        let context = db.context();
        let mut lookups = Vec::new();
        for _ in 0..3 {
            let owner = context.caller(10).await;
            let secret = add_member(&db, &owner, 2).await;
            lookups.push(context.access.parse_key(&secret).unwrap().lookup);
        }
        let [first, second, damaged] = lookups[..] else { unreachable!() };
        let foreign = Lookup { account: second.account, ..first };
        let damage =
            format!("UPDATE accounts SET name = '' WHERE account_id = {}", damaged.account);
        db.execute(&damage).await;
        let (store, statements) = telling_texts(&db).await;
        let asked = [second, foreign, damaged, first, second].map(|key| store.credentials(key));
        let found = futures_util::future::join_all(asked).await;
        assert_eq!(statements.lock().unwrap().len(), 1);
        let accounts: Vec<_> = found
            .into_iter()
            .map(|found| found.map(|found| found.map(|found| (found.account.id, found.actor.id))))
            .collect();
        let of = |lookup: Lookup| Ok(Some((lookup.account, ActorId(2))));
        assert_eq!(accounts[0], of(second));
        assert_eq!(accounts[1], Ok(None));
        assert!(matches!(accounts[2], Err(StoreError::Broken(_))), "{:?}", accounts[2]);
        assert_eq!([&accounts[3], &accounts[4]], [&of(first), &of(second)]);
    }
}

/// A store that reads and does not write, and the statements that it has made.
async fn telling_texts(db: &TestDatabase) -> (Store, Arc<StdMutex<Vec<String>>>) {
    let mut readers = if db.is_postgres() {
        crate::connect::postgres::readers(
            &crate::connect::postgres::PostgresServer::alone(db.url.clone()),
            1,
        )
        .await
        .unwrap()
    } else {
        crate::connect::sqlite::readers(&db.folder.path().join("roots.db")).await.unwrap()
    };
    let statements = Arc::new(StdMutex::new(Vec::new()));
    let tell = statements.clone();
    readers.set_metric_callback(move |info| tell.lock().unwrap().push(info.statement.sql.clone()));
    (Store::reading(readers, &db.url), statements)
}

/// Statistics that still hold cost one look-up, and no write is missed, from whatever process it
/// comes: `store` does not write itself.
#[tokio::test]
async fn stats_are_counted_anew_once_their_account_was_written_to() {
    for db in [TestDatabase::sqlite().await, TestDatabase::postgres().await] {
        let issuer = Issuer::new(&db.store, 100).await;
        let (store, statements) = reading_aloud(&db).await;
        let filter = ActivityFilter {
            by: issuer.account.into(),
            actor: Some(issuer.actor),
            activity_type: None,
            session: None,
            range: TimeRange::default(),
        };
        let total = async |zone: &str| {
            let zone = Zone::parse(zone).unwrap();
            let stats = store.activity_stats(&filter, &zone).await.unwrap();
            (stats.total, stats.sessions.total, statements.swap(0, Ordering::Relaxed))
        };
        apply_each(&db.store, [issuer.log_activity("a"), issuer.start_session()]).await;
        assert_eq!(total("UTC").await, (1, 1, 4));
        assert_eq!(total("UTC").await, (1, 1, 1));
        assert!(total("Asia/Tokyo").await.2 > 1);
        apply_each(&db.store, [issuer.log_activity("b")]).await;
        assert_eq!(total("UTC").await, (2, 1, 4));
        apply_each(&db.store, [issuer.start_session()]).await;
        assert_eq!(total("UTC").await, (2, 2, 4));
        assert_eq!(total("UTC").await, (2, 2, 1));
    }
}

/// The same of the total of a range, without a look-up beside it: a count that was moved without a
/// write is not looked at before there is one.
#[tokio::test]
async fn a_cached_total_of_days_is_counted_anew_after_a_write_to_its_account() {
    for db in [TestDatabase::sqlite().await, TestDatabase::postgres().await] {
        let issuer = Issuer::new(&db.store, 100).await;
        let (store, statements) = reading_aloud(&db).await;
        let since = Some(issuer.at.day().first_instant());
        let filter = |actor| ActivityFilter {
            by: issuer.account.into(),
            actor,
            activity_type: None,
            session: None,
            range: TimeRange { since, until: None },
        };
        let totals = async || {
            let mut totals = Vec::new();
            for actor in [Some(issuer.actor), None, Some(ActorId(2))] {
                let page = store.activities(&filter(actor), PageRequest::default()).await.unwrap();
                assert_eq!(page.items.is_empty(), page.total == 0);
                totals.push(page.total);
            }
            (totals, statements.swap(0, Ordering::Relaxed))
        };
        // One statement a page, and one more where there is no row that a total could stand in.
        apply_each(&db.store, [issuer.log_activity("a")]).await;
        assert_eq!(totals().await, (vec![1, 1, 0], 4));
        db.execute("UPDATE activity_daily SET count = count + 10").await;
        assert_eq!(totals().await, (vec![1, 1, 0], 4));
        apply_each(&db.store, [issuer.log_activity("b")]).await;
        assert_eq!(totals().await, (vec![12, 12, 0], 4));
        apply_each(&db.store, [issuer.start_session()]).await;
        assert_eq!(totals().await, (vec![12, 12, 0], 4));
    }
}
