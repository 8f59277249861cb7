//! Idempotency records are stored with their write, replayed, and deleted after a day.

use roots_domain::command::{Action, Applied, Command, Refusal, SystemAction};
use roots_domain::model::idempotency::{
    FORGET_MAX_ROWS, Idempotency, IdempotencyMacs, KEPT_SECONDS, Mac, oldest_kept,
};
use roots_domain::model::todo::TodoStatus;
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{ApplyError, CommandStore, Verifier};
use roots_testkit::commands::{self, CommandResult, Issuer, answers, begin, begin_all};
use roots_testkit::database::TestDatabase;

roots_testkit::on_both! {
    a_repeated_request_is_replayed_unchanged_even_after_its_row_is_deleted,
    an_idempotency_record_is_stored_only_together_with_its_write,
    a_duplicate_in_flight_is_refused_in_the_same_process,
    duplicates_in_two_processes_are_charged_once,
    an_idempotency_key_is_free_after_a_day_even_if_its_record_is_not_swept,
    only_expired_idempotency_records_are_deleted_and_in_bounded_steps,
}

fn mac(number: u32) -> Mac {
    let mut mac = [0; 32];
    mac[..4].copy_from_slice(&number.to_be_bytes());
    Mac(mac)
}

fn idempotent(key: u32, request: u32, mut command: Command) -> Command {
    let now = IdempotencyMacs { key: mac(key), request: mac(request) };
    command.conditions.idempotency = Some(Idempotency { now, before: vec![] });
    command
}

fn replayed(first: &CommandResult, balance: i64) -> Applied {
    Applied { balance, is_replay: true, ..first.clone().unwrap() }
}

async fn kept(db: &TestDatabase) -> i64 {
    db.rows::<(i64,)>("SELECT COUNT(*) FROM idempotency").await[0].0
}

async fn a_repeated_request_is_replayed_unchanged_even_after_its_row_is_deleted(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let writes = [
        issuer.start_session(),
        issuer.create_todo_as("a title", 3, Some(1)),
        issuer.log_activity_as("deploy", Some(1), None),
        issuer.step_todo(1, TodoStatus::Done),
        issuer.end_session(1),
        issuer.delete_activity(1),
        issuer.delete_todo(1),
        issuer.delete_session(1),
    ];
    let writes: Vec<_> =
        (0_u32..).zip(writes).map(|(key, command)| idempotent(key, key, command)).collect();
    let mut firsts = Vec::new();
    for command in &writes {
        let first = db.store.apply(command.clone()).await;
        assert!(first.is_ok(), "{first:?}");
        firsts.push(first);
    }
    let before = db.dump().await;
    // The requests are replayed in one batch and in another process, although their rows are
    // deleted.
    let hold = db.hold(issuer.account).await;
    let calls = begin_all(&db.store, writes.clone());
    hold.wait_until_blocking().await;
    hold.release().await;
    let again = answers(calls).await;
    let other = db.another_store().await;
    for ((command, first), again) in writes.into_iter().zip(firsts).zip(again) {
        let expected = Ok(replayed(&first, 92));
        assert_eq!(again, expected);
        assert_eq!(other.apply(command).await, expected);
    }
    other.close().await;
    assert_eq!(db.dump().await, before, "nothing was done or charged");
    assert_eq!(kept(&db).await, 8);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

async fn an_idempotency_record_is_stored_only_together_with_its_write(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1).await;
    let none = ApplyError::Refused(Refusal::NotFound("todo"));
    assert_eq!(db.store.apply(idempotent(1, 1, issuer.delete_todo(1))).await, Err(none.clone()));
    assert_eq!(kept(&db).await, 0, "a refusal is not kept");
    let first = db.store.apply(idempotent(1, 2, issuer.create_todo("x"))).await;
    assert!(first.is_ok(), "the refusal left its key unused");
    // The last credit is spent, but a replay costs nothing.
    assert_eq!(
        db.store.apply(idempotent(1, 2, issuer.create_todo("x"))).await,
        Ok(replayed(&first, 0))
    );
    let other = ApplyError::Refused(Refusal::KeyOfAnotherRequest);
    assert_eq!(db.store.apply(idempotent(1, 3, issuer.create_todo("x"))).await, Err(other));
    let broke = ApplyError::Refused(Refusal::InsufficientCredits { balance: 0, cost: 1 });
    assert_eq!(db.store.apply(idempotent(2, 2, issuer.create_todo("x"))).await, Err(broke));
    // A damaged record is an error: the write is not applied again.
    db.execute("UPDATE idempotency SET answer = request_mac").await;
    let damaged = db.store.apply(idempotent(1, 2, issuer.create_todo("x"))).await;
    assert!(matches!(damaged, Err(ApplyError::Store(_))), "{damaged:?}");
    assert_eq!(kept(&db).await, 1);
}

async fn a_duplicate_in_flight_is_refused_in_the_same_process(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let create = || idempotent(1, 1, issuer.create_todo("x"));
    let hold = db.hold(issuer.account).await;
    let first = begin(&db.store, create());
    hold.wait_until_blocking().await;
    let busy = Err(ApplyError::Refused(Refusal::StillInFlight));
    assert_eq!(db.store.apply(create()).await, busy);
    assert_eq!(
        db.store.apply(idempotent(1, 2, issuer.start_session())).await,
        busy,
        "whatever it asks"
    );
    let others = [idempotent(2, 1, issuer.start_session()), issuer.start_session()];
    let of_peer = idempotent(1, 1, issuer.of_actor(2).start_session());
    let others = begin_all(&db.store, others.into_iter().chain([of_peer]));
    // A client that disconnects does not free its idempotency key.
    first.abort();
    assert_eq!(db.store.apply(create()).await, busy);
    hold.release().await;
    assert!(answers(others).await.iter().all(Result::is_ok));
    // The write was applied.
    let again = db.store.apply(create()).await.unwrap();
    assert!(again.is_replay);
    assert_eq!(db.rows::<(i64,)>("SELECT COUNT(*) FROM todos").await, [(1,)]);
}

async fn duplicates_in_two_processes_are_charged_once(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let other = db.another_store().await;
    let hold = db.hold(issuer.account).await;
    let duplicates =
        [&db.store, &other].map(|store| begin(store, idempotent(1, 1, issuer.create_todo("x"))));
    hold.wait_until_blocking().await;
    hold.release().await;
    let results = answers(duplicates.into()).await;
    let mut replays: Vec<_> =
        results.iter().map(|result| result.as_ref().unwrap().is_replay).collect();
    replays.sort_unstable();
    assert_eq!(replays, [false, true]);
    assert_eq!(results[0].as_ref().unwrap().row, results[1].as_ref().unwrap().row);
    other.close().await;
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
    assert_eq!(db.rows::<(i64,)>("SELECT COUNT(*) FROM ledger WHERE delta < 0").await, [(1,)]);
}

async fn an_idempotency_key_is_free_after_a_day_even_if_its_record_is_not_swept(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let first = db.store.apply(idempotent(1, 1, issuer.create_todo("x"))).await;
    let later = |seconds| Issuer { at: issuer.at.plus_seconds(seconds), ..issuer };
    let in_time = later(KEPT_SECONDS).create_todo("x");
    assert_eq!(db.store.apply(idempotent(1, 1, in_time)).await, Ok(replayed(&first, 99)));
    let late = db.store.apply(idempotent(1, 2, later(KEPT_SECONDS + 1).create_todo("y"))).await;
    assert!(!late.unwrap().is_replay);
    assert_eq!(kept(&db).await, 1, "it has taken the place of the other");
}

async fn only_expired_idempotency_records_are_deleted_and_in_bounded_steps(db: TestDatabase) {
    let context = db.context();
    let rows = i64::from(FORGET_MAX_ROWS) + 7;
    let mut issuers = Vec::new();
    for _ in 0..3 {
        issuers.push(Issuer { at: context.clock.now(), ..Issuer::new(&db.store, 10_000).await });
    }
    // The second account has no old records.
    for issuer in [&issuers[0], &issuers[2]] {
        let commands =
            (0..u32::try_from(rows).unwrap()).map(|key| idempotent(key, 1, issuer.start_session()));
        commands::apply_each(&db.store, commands).await;
    }
    context.clock.advance_seconds(KEPT_SECONDS);
    for issuer in &issuers {
        let young = Issuer { at: context.clock.now(), ..*issuer };
        commands::apply_each(&db.store, [idempotent(u32::MAX, 1, young.start_session())]).await;
    }
    context.maintenance.forget_idempotency_records().await.unwrap();
    assert_eq!(kept(&db).await, 2 * rows + 3, "all of it is still kept");

    context.clock.advance_seconds(1);
    let before = oldest_kept(context.clock.now());
    let step = SystemAction::ForgetIdempotencyRecords { account: issuers[0].account, before };
    let step = Command::uncharged(Action::System(step), context.clock.now());
    db.store.apply(step).await.unwrap();
    assert_eq!(kept(&db).await, 2 * rows + 3 - i64::from(FORGET_MAX_ROWS), "one step is bounded");
    context.maintenance.forget_idempotency_records().await.unwrap();
    assert_eq!(kept(&db).await, 3, "what is young is kept");
    let youngest = Issuer { at: context.clock.now(), ..issuers[0] };
    let again = db.store.apply(idempotent(u32::MAX, 1, youngest.start_session())).await.unwrap();
    assert!(again.is_replay);
    context.maintenance.forget_idempotency_records().await.unwrap();
    assert_eq!(db.store.verify().await.unwrap(), (3, vec![]));
}
