//! Named requests: kept with their write, told again, forgotten after a day.

use roots_domain::model::idempotency::{
    FORGET_MAX_ROWS, Idempotency, KEPT_SECONDS, Mac, NamedRequest, oldest_kept,
};
use roots_domain::model::todo::TodoStatus;
use roots_domain::model::unit::{Applied, Author, Conditions, Intent, Refusal, UnitOfWork};
use roots_domain::port::ambient::Clock;
use roots_domain::port::store::{ApplyError, Auditor, UnitStore};
use roots_testkit::database::TestDatabase;
use roots_testkit::units::{self, Answer, Desk, answers, begin, begin_all};

roots_testkit::on_both! {
    an_answer_is_told_again_as_it_was,
    an_answer_stands_with_its_write_or_not_at_all,
    a_twin_in_flight_is_refused_in_the_same_process,
    twins_in_two_processes_are_charged_once,
    a_name_is_new_again_after_a_day_swept_or_not,
    what_is_forgotten_is_old_and_little_at_a_time,
}

fn mac(number: u32) -> Mac {
    let mut mac = [0; 32];
    mac[..4].copy_from_slice(&number.to_be_bytes());
    Mac(mac)
}

fn named(key: u32, request: u32, mut unit: UnitOfWork) -> UnitOfWork {
    let now = NamedRequest { key: mac(key), request: mac(request) };
    unit.conditions.idempotency = Some(Idempotency { now, before: vec![] });
    unit
}

fn replayed(first: &Answer, balance: i64) -> Applied {
    Applied { balance, is_replay: true, ..first.clone().unwrap() }
}

async fn kept(db: &TestDatabase) -> i64 {
    db.rows::<(i64,)>("SELECT COUNT(*) FROM idempotency").await[0].0
}

async fn an_answer_is_told_again_as_it_was(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    let writes = [
        desk.start_session(),
        desk.create_todo_as("a title", 3, Some(1)),
        desk.log_activity_as("deploy", Some(1), None),
        desk.step_todo(1, TodoStatus::Done),
        desk.end_session(1),
        desk.delete_activity(1),
        desk.delete_todo(1),
        desk.delete_session(1),
    ];
    let writes: Vec<_> = (0_u32..).zip(writes).map(|(key, unit)| named(key, key, unit)).collect();
    let mut firsts = Vec::new();
    for unit in &writes {
        let first = db.store.apply(unit.clone()).await;
        assert!(first.is_ok(), "{first:?}");
        firsts.push(first);
    }
    let before = db.dump().await;
    // In one batch and from another process, though nothing of it is there any more.
    let hold = db.hold(desk.account).await;
    let calls = begin_all(&db.store, writes.clone());
    hold.until_felt().await;
    hold.release().await;
    let again = answers(calls).await;
    let other = db.another_store().await;
    for ((unit, first), again) in writes.into_iter().zip(firsts).zip(again) {
        let expected = Ok(replayed(&first, 92));
        assert_eq!(again, expected);
        assert_eq!(other.apply(unit).await, expected);
    }
    other.close().await;
    assert_eq!(db.dump().await, before, "nothing was done or charged");
    assert_eq!(kept(&db).await, 8);
    assert_eq!(db.store.audit().await.unwrap(), (1, vec![]));
}

async fn an_answer_stands_with_its_write_or_not_at_all(db: TestDatabase) {
    let desk = Desk::new(&db.store, 1).await;
    let none = ApplyError::Refused(Refusal::NotFound("todo"));
    assert_eq!(db.store.apply(named(1, 1, desk.delete_todo(1))).await, Err(none.clone()));
    assert_eq!(kept(&db).await, 0, "a refusal is not kept");
    let first = db.store.apply(named(1, 2, desk.create_todo("x"))).await;
    assert!(first.is_ok(), "its name was still free");
    // The last credit is spent, and the answer is told all the same.
    assert_eq!(db.store.apply(named(1, 2, desk.create_todo("x"))).await, Ok(replayed(&first, 0)));
    let other = ApplyError::Refused(Refusal::KeyOfAnotherRequest);
    assert_eq!(db.store.apply(named(1, 3, desk.create_todo("x"))).await, Err(other));
    let broke = ApplyError::Refused(Refusal::InsufficientCredits { balance: 0, cost: 1 });
    assert_eq!(db.store.apply(named(2, 2, desk.create_todo("x"))).await, Err(broke));
    // What a disk has damaged is a fault, and no reason to do it again.
    db.execute("UPDATE idempotency SET answer = request_mac").await;
    let damaged = db.store.apply(named(1, 2, desk.create_todo("x"))).await;
    assert!(matches!(damaged, Err(ApplyError::Fault(_))), "{damaged:?}");
    assert_eq!(kept(&db).await, 1);
}

async fn a_twin_in_flight_is_refused_in_the_same_process(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    let create = || named(1, 1, desk.create_todo("x"));
    let hold = db.hold(desk.account).await;
    let first = begin(&db.store, create());
    hold.until_felt().await;
    let busy = Err(ApplyError::Refused(Refusal::StillInFlight));
    assert_eq!(db.store.apply(create()).await, busy);
    assert_eq!(db.store.apply(named(1, 2, desk.start_session())).await, busy, "whatever it asks");
    let others = [named(2, 1, desk.start_session()), desk.start_session()];
    let of_peer = named(1, 1, desk.of_actor(2).start_session());
    let others = begin_all(&db.store, others.into_iter().chain([of_peer]));
    // Whoever hangs up does not free the name.
    first.abort();
    assert_eq!(db.store.apply(create()).await, busy);
    hold.release().await;
    assert!(answers(others).await.iter().all(Result::is_ok));
    // It was done.
    let again = db.store.apply(create()).await.unwrap();
    assert!(again.is_replay);
    assert_eq!(db.rows::<(i64,)>("SELECT COUNT(*) FROM todos").await, [(1,)]);
}

async fn twins_in_two_processes_are_charged_once(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    let other = db.another_store().await;
    let hold = db.hold(desk.account).await;
    let twins = [&db.store, &other].map(|store| begin(store, named(1, 1, desk.create_todo("x"))));
    hold.until_felt().await;
    hold.release().await;
    let told = answers(twins.into()).await;
    let mut replays: Vec<_> = told.iter().map(|told| told.as_ref().unwrap().is_replay).collect();
    replays.sort_unstable();
    assert_eq!(replays, [false, true]);
    assert_eq!(told[0].as_ref().unwrap().row, told[1].as_ref().unwrap().row);
    other.close().await;
    assert_eq!(db.store.audit().await.unwrap(), (1, vec![]));
    assert_eq!(db.rows::<(i64,)>("SELECT COUNT(*) FROM ledger WHERE delta < 0").await, [(1,)]);
}

async fn a_name_is_new_again_after_a_day_swept_or_not(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    let first = db.store.apply(named(1, 1, desk.create_todo("x"))).await;
    let later = |seconds| Desk { at: desk.at.plus_seconds(seconds), ..desk };
    let in_time = later(KEPT_SECONDS).create_todo("x");
    assert_eq!(db.store.apply(named(1, 1, in_time)).await, Ok(replayed(&first, 99)));
    let late = db.store.apply(named(1, 2, later(KEPT_SECONDS + 1).create_todo("y"))).await;
    assert!(!late.unwrap().is_replay);
    assert_eq!(kept(&db).await, 1, "it has taken the place of the other");
}

async fn what_is_forgotten_is_old_and_little_at_a_time(db: TestDatabase) {
    let world = db.world();
    let rows = i64::from(FORGET_MAX_ROWS) + 7;
    let mut desks = Vec::new();
    for _ in 0..3 {
        desks.push(Desk { at: world.clock.now(), ..Desk::new(&db.store, 10_000).await });
    }
    // The account between has nothing that is old.
    for desk in [&desks[0], &desks[2]] {
        let units =
            (0..u32::try_from(rows).unwrap()).map(|key| named(key, 1, desk.start_session()));
        units::apply_each(&db.store, units).await;
    }
    world.clock.advance_seconds(KEPT_SECONDS);
    for desk in &desks {
        let young = Desk { at: world.clock.now(), ..*desk };
        units::apply_each(&db.store, [named(u32::MAX, 1, young.start_session())]).await;
    }
    world.upkeep.forget_answers().await.unwrap();
    assert_eq!(kept(&db).await, 2 * rows + 3, "all of it is still kept");

    world.clock.advance_seconds(1);
    let before = oldest_kept(world.clock.now());
    let step = UnitOfWork {
        author: Author::Program,
        intent: Intent::ForgetAnswers { account: desks[0].account, before },
        charge: None,
        conditions: Conditions::default(),
        at: world.clock.now(),
    };
    db.store.apply(step).await.unwrap();
    assert_eq!(kept(&db).await, 2 * rows + 3 - i64::from(FORGET_MAX_ROWS), "one step is bounded");
    world.upkeep.forget_answers().await.unwrap();
    assert_eq!(kept(&db).await, 3, "what is young is kept");
    let youngest = Desk { at: world.clock.now(), ..desks[0] };
    let again = db.store.apply(named(u32::MAX, 1, youngest.start_session())).await.unwrap();
    assert!(again.is_replay);
    world.upkeep.forget_answers().await.unwrap();
    assert_eq!(db.store.audit().await.unwrap(), (3, vec![]));
}
