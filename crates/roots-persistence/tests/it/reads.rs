//! Lists, totals and statistics agree with a scan of every row.

use roots_domain::model::id::{ActivityId, ActorId, SessionId, TodoId};
use roots_domain::model::page::PageRequest;
use roots_domain::model::session::SessionWindow;
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::zone::Zone;
use roots_domain::port::store::{
    AccountReader, ActivityFilter, ActivityReader, SessionQuery, SessionReader, StoreError,
    TodoQuery, TodoReader,
};
use roots_testkit::commands::{Issuer, apply_all, apply_each};
use roots_testkit::compare::{compare, compare_stats};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::put_member;

use crate::random_commands::{self, SeededRng};

roots_testkit::on_both! {
    lists_and_stats_agree_with_the_reference_model,
    stats_are_by_the_days_that_the_clock_of_a_zone_shows,
    stats_by_the_days_of_random_zones_agree_with_the_reference_model,
    a_page_ends_at_the_end_of_its_list,
    an_account_cannot_read_rows_of_another_account,
    a_row_with_invalid_content_is_reported_as_broken,
}

/// Ranges that begin and end within days, or at the first and last instants of days.
fn ranges(issuer: &Issuer) -> Vec<TimeRange> {
    let between = |since, until| TimeRange { since, until };
    let day = |back: i64| roots_domain::model::time::Day(issuer.at.day().0 - back);
    let first = |back| Some(day(back).first_instant());
    let last = |back| Some(day(back).last_instant());
    let within = |back, seconds| Some(day(back).first_instant().plus_seconds(seconds));
    let micro = |at: Option<Timestamp>, by| {
        at.map(|at: Timestamp| Timestamp::from_micros(at.micros() + by))
    };
    vec![
        TimeRange::default(),
        between(first(2), None),
        between(within(2, 40_000), None),
        between(None, last(1)),
        between(None, within(1, 40_000)),
        between(first(3), last(0)),
        // The start, the end or both are within a day, with whole days or none between them.
        between(within(3, 40_000), last(0)),
        between(first(3), within(0, 40_000)),
        between(within(3, 40_000), within(0, 40_000)),
        between(within(1, 10), within(0, 80_000)),
        between(within(1, 30_000), within(1, 60_000)),
        // One microsecond beside the first and last instants of days.
        between(micro(first(2), 1), micro(last(1), -1)),
        between(last(3), first(1)),
        between(first(2), first(2)),
        between(Some(Timestamp::FIRST), Some(Timestamp::LAST)),
        // An empty range.
        between(first(1), last(2)),
    ]
}

async fn lists_and_stats_agree_with_the_reference_model(db: TestDatabase) {
    let mut rng = SeededRng(7);
    let mut issuer = Issuer::new(&db.store, 1_000).await;
    put_member(&db, issuer.account, 2).await;
    let mut model = issuer.reference_model(1_000);
    let planned: Vec<_> = (0..260)
        .map(|_| {
            // Most rows share their time with others, so their ids decide the order.
            issuer.at = issuer.at.plus_seconds(i64::from(rng.below(8) == 0));
            random_commands::command(&mut rng, &issuer, 60)
        })
        .collect();
    for command in &planned {
        let _ = model.expect(command);
    }
    apply_all(&db.store, planned).await;
    compare(&model, &db.store, &random_commands::ACTORS, &ranges(&issuer), 30).await;
    // This actor has no rows.
    compare(&model, &db.store, &[3], &ranges(&issuer), 30).await;
}

/// Instants at which a zone's clock was moved. The test logs activities around them and around the
/// midnights beside them.
const MOVES: [(&str, &str); 9] = [
    ("Asia/Kathmandu", "1985-12-31T18:30:00Z"),
    ("Africa/Monrovia", "1972-01-07T00:44:30Z"),
    ("Europe/Vienna", "2026-03-29T01:00:00Z"),
    ("Europe/Vienna", "2025-10-26T01:00:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    ("America/Sao_Paulo", "2017-10-15T03:00:00Z"),
    ("America/St_Johns", "2010-11-07T02:31:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Pacific/Chatham", "2026-04-04T14:00:00Z"),
];

async fn stats_are_by_the_days_that_the_clock_of_a_zone_shows(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 10_000).await;
    let mut model = issuer.reference_model(10_000);
    let moved = |at: Timestamp, by: i64| Timestamp::from_micros(at.micros() + by);
    let mut commands = vec![issuer.start_session()];
    let mut ranges = vec![TimeRange::default()];
    for (name, at) in MOVES {
        let (zone, at) = (Zone::parse(name).unwrap(), Timestamp::parse(at).unwrap());
        let mut bounds = vec![at];
        for back in -1..=1 {
            let day = roots_domain::model::time::Day(at.day().0 + back);
            let (since, until) = (zone.first_instant(day), zone.last_instant(day));
            bounds.extend([since, moved(until, 1)]);
            ranges.push(TimeRange { since: Some(since), until: Some(until) });
        }
        ranges.push(TimeRange { since: Some(moved(at, -7_000_000)), until: Some(moved(at, 1)) });
        ranges.push(TimeRange { since: None, until: Some(at) });
        ranges.push(TimeRange { since: Some(at), until: None });
        for (count, bound) in (0_i64..).zip(bounds) {
            for by in [-3_600_000_000, -1_000_000, -1, 0, 1, 899_000_000, 3_600_000_000] {
                let link = (count % 3 == 0).then_some(1);
                let kind = random_commands::ACTIVITY_TYPES[usize::try_from(count % 2).unwrap()];
                commands.push(issuer.log_activity_as(kind, link, Some(moved(bound, by))));
            }
        }
    }
    // The first day that a timestamp can have.
    for at in [Timestamp::FIRST, Timestamp::FIRST.plus_seconds(50_000)] {
        commands.push(issuer.log_activity_as("a", None, Some(at)));
    }
    for command in &commands {
        model.expect(command).unwrap();
    }
    apply_all(&db.store, commands).await;
    let names: std::collections::BTreeSet<_> =
        MOVES.iter().map(|(name, _)| *name).chain(["UTC", "Asia/Tokyo", "Etc/UTC"]).collect();
    let filter = |session, range| ActivityFilter {
        by: issuer.account.into(),
        actor: Some(issuer.actor),
        activity_type: None,
        session,
        range,
    };
    for name in names {
        for range in &ranges {
            compare_stats(&model, &db.store, &filter(None, *range), name).await;
        }
        compare_stats(&model, &db.store, &filter(Some(SessionId(1)), ranges[0]), name).await;
    }
    // The totals of lists use the same counts.
    compare(&model, &db.store, &[1], &ranges, 100).await;
}

/// Random zones and random activities, many around midnights and moved clocks.
async fn stats_by_the_days_of_random_zones_agree_with_the_reference_model(db: TestDatabase) {
    let mut rng = SeededRng(2_026);
    let issuer = Issuer::new(&db.store, 10_000).await;
    put_member(&db, issuer.account, 2).await;
    let mut model = issuer.reference_model(10_000);
    let mut zones = roots_testkit::time_zones::zones();
    // Half-hour offsets, both sides of the date line, and a clock that is moved by half an hour.
    let named = ["Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Niue"];
    let mut picked: Vec<_> = named.map(str::to_owned).to_vec();
    while picked.len() < 24 {
        let at = rng.below(i64::try_from(zones.len()).unwrap());
        picked.push(zones.swap_remove(usize::try_from(at).unwrap()));
    }
    let mut bounds = vec![Timestamp::FIRST, Timestamp::LAST];
    let mut commands: Vec<_> =
        random_commands::ACTORS.map(|actor| issuer.of_actor(actor).start_session()).into();
    for name in &picked {
        let zone = Zone::parse(name).unwrap();
        let turns = roots_testkit::time_zones::moves(name, 400);
        for _ in 0..12 {
            let any = Timestamp::from_micros(rng.below(253_402_300_800) * 1_000_000);
            let recent = issuer.at.plus_seconds(-rng.below(1_000_000_000));
            let moved = rng.one(&turns.iter().copied().chain([recent]).collect::<Vec<_>>());
            let midnight = zone.first_instant(rng.one(&[any, recent, moved]).day());
            let bound = rng.one(&[any, recent, moved, moved, midnight, midnight]);
            bounds.push(bound);
            for _ in 0..2 {
                let seconds = [-3_600, -1_800, -900, -1, 0, 1, 899, 900, 1_800, 3_600];
                let at = bound.plus_seconds(rng.one(&seconds)).micros() + rng.below(3) - 1;
                let issuer = issuer.of_actor(rng.one(&random_commands::ACTORS));
                let link = (rng.below(3) == 0).then_some(issuer.actor.0);
                let kind = rng.one(&random_commands::ACTIVITY_TYPES);
                let at = Some(Timestamp::from_micros(at));
                commands.push(issuer.log_activity_as(kind, link, at));
            }
        }
    }
    for command in &commands {
        model.expect(command).unwrap();
    }
    apply_all(&db.store, commands).await;
    for name in &picked {
        for _ in 0..8 {
            let (one, other) = (rng.one(&bounds), rng.one(&bounds));
            let range = rng.one(&[
                TimeRange::default(),
                TimeRange { since: Some(one), until: None },
                TimeRange { since: None, until: Some(one) },
                TimeRange { since: Some(one.min(other)), until: Some(one.max(other)) },
            ]);
            let actor = rng.one(&[None, Some(ActorId(1)), Some(ActorId(2)), Some(ActorId(3))]);
            let kind =
                roots_testkit::context::activity_type(rng.one(&random_commands::ACTIVITY_TYPES));
            let filter = ActivityFilter {
                by: issuer.account.into(),
                actor,
                activity_type: rng.one(&[None, None, Some(kind)]),
                session: rng.one(&[None, None, Some(SessionId(1)), Some(SessionId(2))]),
                range,
            };
            compare_stats(&model, &db.store, &filter, name).await;
        }
    }
}

async fn a_page_ends_at_the_end_of_its_list(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    apply_each(&db.store, (0..20).map(|_| issuer.log_activity("a"))).await;
    let filter = ActivityFilter {
        by: issuer.account.into(),
        actor: Some(issuer.actor),
        activity_type: None,
        session: None,
        range: TimeRange::default(),
    };
    for (limit, offset, ids) in [
        (20, 0, (1..=20).rev().collect::<Vec<_>>()),
        (100, 0, (1..=20).rev().collect()),
        (19, 0, (2..=20).rev().collect()),
        (20, 19, vec![1]),
        (20, 20, vec![]),
        (20, 21, vec![]),
        (20, i64::MAX, vec![]),
    ] {
        let request = PageRequest::skipping(offset, limit);
        let page = db.store.activities(&filter, request).await.unwrap();
        let found: Vec<_> = page.items.iter().map(|one| one.id.0).collect();
        assert_eq!((found, page.total, page.request), (ids, 20, request));
    }
    let far = PageRequest::skipping(i64::MAX, 100);
    let account = issuer.account;
    for actor in [Some(issuer.actor), None] {
        let (by, window) = (account.into(), SessionWindow::default());
        let query = SessionQuery { by, actor, status: None, window, page: far };
        assert_eq!(db.store.sessions(&query).await.unwrap().items, []);
        let query = TodoQuery {
            by: account.into(),
            actor,
            status: None,
            priority: None,
            session: None,
            page: far,
        };
        assert_eq!(db.store.todos(&query).await.unwrap().items, []);
        let filter = ActivityFilter { actor, ..filter.clone() };
        let page = db.store.activities(&filter, far).await.unwrap();
        assert_eq!((page.items, page.total), (vec![], 20));
    }
    let ledger = db.store.ledger(account.into(), None, far).await.unwrap();
    assert_eq!((ledger.items, ledger.total), (vec![], 21));
}

async fn an_account_cannot_read_rows_of_another_account(db: TestDatabase) {
    let ours = Issuer::new(&db.store, 100).await;
    let theirs = Issuer::new(&db.store, 100).await;
    let work = [
        theirs.start_session(),
        theirs.create_todo_as("theirs", 1, Some(1)),
        theirs.log_activity_as("a", Some(1), None),
    ];
    apply_each(&db.store, work).await;
    // Both accounts have the same ids, actors and times.
    compare(&ours.reference_model(100), &db.store, &[1], &ranges(&ours), 10).await;
    let store = &db.store;
    assert_eq!(store.session(ours.account.into(), SessionId(1)).await.unwrap(), None);
    assert_eq!(store.todo(ours.account.into(), TodoId(1)).await.unwrap(), None);
    assert_eq!(store.todo_log(ours.account.into(), TodoId(1), None).await.unwrap(), None);
    assert_eq!(store.activity(ours.account.into(), ActivityId(1)).await.unwrap(), None);
    assert!(store.activity(theirs.account.into(), ActivityId(1)).await.unwrap().is_some());
    let actors = store.actors(ours.account).await.unwrap();
    assert_eq!(actors.iter().map(|actor| actor.id).collect::<Vec<_>>(), [ActorId(1)]);
}

async fn a_row_with_invalid_content_is_reported_as_broken(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    apply_each(&db.store, [issuer.log_activity("a"), issuer.log_activity("b")]).await;
    db.execute("UPDATE activities SET activity_type = 'Not One' WHERE activity_id = 2").await;
    db.execute("UPDATE actors SET name = ''").await;
    let activity = |id| db.store.activity(issuer.account.into(), ActivityId(id));
    assert!(activity(1).await.unwrap().is_some());
    let found = activity(2).await;
    let message = "activities.activity_type holds a value that Roots never writes";
    assert_eq!(found, Err(StoreError::Broken(message.to_owned())));
    let found = db.store.actors(issuer.account).await;
    let message = "actors.name holds a value that Roots never writes";
    assert_eq!(found, Err(StoreError::Broken(message.to_owned())));
}
