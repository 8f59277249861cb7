//! Statistics of todos and credits: counted as they are written, by quarter hour and actor.

use roots_domain::command::{Action, Command, Operator, OperatorAction};
use roots_domain::model::id::{ActorId, LogId, TodoId};
use roots_domain::model::import::ImportRow;
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::todo::{StatusChange, Todo, TodoContent, TodoStatus};
use roots_domain::model::work::{CreditDay, CreditStats, TodoCounts, TodoStats, WorkWindow};
use roots_domain::model::zone::Zone;
use roots_domain::port::store::{AccountReader, CommandStore, TodoReader, Verifier, WorkQuery};
use roots_testkit::commands::{Issuer, apply_each, text, uid};
use roots_testkit::database::TestDatabase;

roots_testkit::on_both! {
    deleted_todos_stay_counted_and_repeated_steps_count_again,
    days_are_those_of_the_zone,
    the_balance_of_each_day_is_reckoned_back_from_the_present_one,
    imported_todos_count_when_they_were_made_and_done,
    a_write_makes_cached_statistics_stale,
    the_100_busiest_actors_are_listed,
}

fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).unwrap()
}

/// The same issuer at another time.
fn later(issuer: Issuer, time: &str) -> Issuer {
    Issuer { at: at(time), ..issuer }
}

fn window(since: &str, until: &str) -> WorkWindow {
    WorkWindow::of(TimeRange { since: Some(at(since)), until: Some(at(until)) }, Timestamp::FIRST)
}

async fn todos(db: &TestDatabase, of: &Issuer, window: WorkWindow, zone: &str) -> TodoStats {
    let query = WorkQuery { by: of.account.into(), actor: None, window };
    db.store.todo_stats(&query, &Zone::parse(zone).unwrap()).await.unwrap()
}

async fn credits(
    db: &TestDatabase,
    of: &Issuer,
    actor: Option<i64>,
    window: WorkWindow,
) -> CreditStats {
    let query = WorkQuery { by: of.account.into(), actor: actor.map(ActorId), window };
    db.store.credit_stats(&query, &Zone::UTC).await.unwrap()
}

const fn counts(made: i64, done: i64, cancelled: i64) -> TodoCounts {
    TodoCounts { made, done, cancelled }
}

async fn deleted_todos_stay_counted_and_repeated_steps_count_again(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let peer = issuer.of_actor(2);
    let other = Issuer::new(&db.store, 100).await;
    apply_each(
        &db.store,
        [
            issuer.create_todos(&[("one", 0, None), ("two", 0, None), ("three", 0, None)]),
            issuer.step_todo(1, TodoStatus::Done),
            issuer.step_todo(1, TodoStatus::Open),
            issuer.step_todo(1, TodoStatus::Done),
            issuer.step_todo(2, TodoStatus::Cancelled),
            issuer.delete_todo(1),
            issuer.claim_next(),
            peer.create_todo("four"),
            peer.step_todo(4, TodoStatus::InProgress),
            other.create_todo("another account's"),
        ],
    )
    .await;
    let of_day = window("2026-04-09", "2026-04-09T23:59:59Z");
    let stats = todos(&db, &issuer, of_day, "UTC").await;
    assert_eq!(stats.total, counts(4, 2, 1));
    assert_eq!(stats.by_day, [(at("2026-04-09").day(), counts(4, 2, 1))]);
    assert_eq!(stats.by_actor, [(ActorId(1), counts(3, 2, 1)), (ActorId(2), counts(1, 0, 0))]);
    let stats = credits(&db, &issuer, None, of_day).await;
    assert_eq!(stats.by_actor, [(ActorId(1), 9), (ActorId(2), 2)]);
    assert_eq!((stats.spent, stats.granted, stats.balance), (11, 100, 89));
    let steps = "SELECT COALESCE(step, '-') FROM ledger WHERE account_id = 1 ORDER BY ledger_id";
    let steps: Vec<String> =
        db.rows::<(String,)>(steps).await.into_iter().map(|row| row.0).collect();
    let made = format!("1/{}/made/3", issuer.at.quarter_hour().0);
    assert_eq!(
        steps,
        [
            "-",
            &made,
            "done",
            "open",
            "done",
            "cancelled",
            "-",
            "in_progress",
            "made",
            "in_progress"
        ]
    );
    let subjects = "SELECT COALESCE(subject_id, 0), COALESCE(subject_actor_id, 0) FROM ledger \
        WHERE account_id = 1 ORDER BY ledger_id";
    let subjects: Vec<(i64, i64)> = db.rows(subjects).await;
    let expected = [(0, 0), (1, 1), (1, 1), (1, 1), (1, 1), (2, 1), (1, 1), (3, 1), (4, 2), (4, 2)];
    assert_eq!(subjects, expected);
    assert_eq!(db.store.verify().await.unwrap(), (2, vec![]));
}

async fn days_are_those_of_the_zone(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    // The clock of Vienna is put forward on the 29th: that day has 23 hours.
    for time in [
        "2026-03-28T22:59:59Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T21:59:59Z",
        "2026-03-29T22:00:00Z",
        "2026-04-02T22:00:00Z",
        // Outside of the window.
        "2026-04-03T00:00:00Z",
        "2026-03-27T23:59:59Z",
    ] {
        apply_each(&db.store, [later(issuer, time).create_todo("one")]).await;
    }
    let asked = window("2026-03-28", "2026-04-02T23:59:59Z");
    for (zone, days) in [
        ("UTC", vec![("2026-03-28", 2), ("2026-03-29", 2), ("2026-04-02", 1)]),
        (
            "Europe/Vienna",
            vec![("2026-03-28", 1), ("2026-03-29", 2), ("2026-03-30", 1), ("2026-04-03", 1)],
        ),
        ("Asia/Kathmandu", vec![("2026-03-29", 2), ("2026-03-30", 2), ("2026-04-03", 1)]),
    ] {
        let stats = todos(&db, &issuer, asked, zone).await;
        let expected = days.iter().map(|(day, made)| (at(day).day(), counts(*made, 0, 0)));
        assert_eq!(stats.by_day, expected.collect::<Vec<_>>(), "{zone}");
        assert_eq!(stats.total.made, 5);
    }
    // A quarter hour counts whole.
    let narrow = window("2026-03-28T22:50:00Z", "2026-03-28T22:50:00Z");
    assert_eq!(todos(&db, &issuer, narrow, "UTC").await.total.made, 1);
    let empty = window("2026-04-02", "2026-03-28");
    let none = todos(&db, &issuer, empty, "UTC").await;
    assert_eq!((none.total, none.by_day, none.by_actor), (counts(0, 0, 0), vec![], vec![]));
}

async fn the_balance_of_each_day_is_reckoned_back_from_the_present_one(db: TestDatabase) {
    // It is granted 100 credits on 2026-04-09.
    let issuer = Issuer::new(&db.store, 100).await;
    let grant = |time| {
        let (account, note) = (issuer.account, None);
        let grant = OperatorAction::GrantCredits { account, amount: 50, note };
        Command::uncharged(Action::Operate(Operator::CommandLine, grant), at(time))
    };
    apply_each(
        &db.store,
        [
            later(issuer, "2026-04-09T20:00:00Z").start_session(),
            later(issuer, "2026-04-11T00:00:00Z").create_todo("one"),
            later(issuer.of_actor(2), "2026-04-11T23:59:59Z").create_todo("two"),
            grant("2026-04-11T12:00:00Z"),
            later(issuer, "2026-04-13T10:00:00Z").create_todo("three"),
        ],
    )
    .await;
    let day = |date: &str, spent, granted, balance| CreditDay {
        day: at(date).day(),
        spent,
        granted,
        balance,
    };
    let stats = credits(&db, &issuer, None, window("2026-04-09", "2026-04-13T10:00:00Z")).await;
    let all = [
        day("2026-04-09", 1, 100, 99),
        day("2026-04-11", 2, 50, 147),
        day("2026-04-13", 1, 0, 146),
    ];
    assert_eq!(stats.by_day, all);
    assert_eq!((stats.spent, stats.granted), (4, 150));
    assert_eq!((stats.balance_before, stats.balance_after, stats.balance), (0, 146, 146));
    // A part of it, and of one actor: the balance stays that of the account.
    let part = window("2026-04-10", "2026-04-11T23:59:59Z");
    let stats = credits(&db, &issuer, Some(2), part).await;
    assert_eq!(stats.by_day, [day("2026-04-11", 1, 50, 147)]);
    assert_eq!((stats.balance_before, stats.balance_after, stats.balance), (99, 147, 146));
    assert_eq!(stats.by_actor, [(ActorId(2), 1)]);
    // Nothing happened in it.
    let quiet = credits(&db, &issuer, None, window("2026-04-12", "2026-04-12T12:00:00Z")).await;
    assert_eq!((quiet.by_day, quiet.balance_before, quiet.balance_after), (vec![], 147, 147));
}

async fn imported_todos_count_when_they_were_made_and_done(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let old = |id, status, time| Todo {
        id: TodoId(id),
        uid: uid(),
        actor: issuer.actor,
        content: TodoContent::titled(text("imported")),
        status,
        claims: roots_domain::model::claim::Claims::NONE,
        created_at: at(time),
        updated_at: at(time),
        status_since: at(time),
        version: 1,
    };
    let done = StatusChange {
        id: LogId(5),
        uid: uid(),
        todo: TodoId(70),
        old_status: TodoStatus::Open,
        new_status: TodoStatus::Done,
        note: None,
        logged_at: at("2026-02-03T09:00:00Z"),
    };
    let rows = vec![
        ImportRow::Todo(old(70, TodoStatus::Open, "2026-02-01T08:00:00Z")),
        ImportRow::Todo(old(71, TodoStatus::Open, "2026-02-01T08:05:00Z")),
        ImportRow::Step(issuer.actor, done),
    ];
    let import = issuer.import(uid(), rows);
    db.store.apply(import.clone()).await.unwrap();
    // The same rows again write nothing.
    db.store.apply(import).await.unwrap();
    let stats = todos(&db, &issuer, window("2026-02-01", "2026-04-09T23:59:59Z"), "UTC").await;
    let day = |date: &str| at(date).day();
    let expected = [(day("2026-02-01"), counts(2, 0, 0)), (day("2026-02-03"), counts(0, 1, 0))];
    assert_eq!(stats.by_day, expected);
    let spent = credits(&db, &issuer, None, window("2026-04-09", "2026-04-09T23:59:59Z")).await;
    assert_eq!((spent.spent, spent.balance), (3, 97));
    let steps = "SELECT step FROM ledger WHERE reason = 'import'";
    let quarter = |time: &str| at(time).quarter_hour().0;
    let (made, done) = (quarter("2026-02-01T08:00:00Z"), quarter("2026-02-03T09:00:00Z"));
    let expected = format!("1/{made}/made/2,1/{done}/done/1");
    assert_eq!(db.rows::<(String,)>(steps).await, [(expected,)]);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

async fn a_write_makes_cached_statistics_stale(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let of_day = window("2026-04-09", "2026-04-09T23:59:59Z");
    for made in 1..4 {
        apply_each(&db.store, [issuer.create_todo("one")]).await;
        for _ in 0..2 {
            assert_eq!(todos(&db, &issuer, of_day, "UTC").await.total, counts(made, 0, 0));
            assert_eq!(credits(&db, &issuer, None, of_day).await.balance, 100 - made);
        }
    }
}

async fn the_100_busiest_actors_are_listed(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let quarter = issuer.at.quarter_hour().0;
    db.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 131) \
            INSERT INTO work_quarter_hours SELECT 1, {quarter}, i, i, 1, 0, 2 * i, 0 FROM n"
    ))
    .await;
    let of_day = window("2026-04-09", "2026-04-09T23:59:59Z");
    let stats = todos(&db, &issuer, of_day, "UTC").await;
    assert_eq!((stats.by_actor.len(), stats.by_actor_omitted), (100, 30));
    assert_eq!(stats.by_actor[0], (ActorId(131), counts(131, 1, 0)));
    let stats = credits(&db, &issuer, None, of_day).await;
    assert_eq!((stats.by_actor.len(), stats.by_actor_omitted), (100, 30));
    assert_eq!(stats.by_actor[99], (ActorId(32), 64));
}
