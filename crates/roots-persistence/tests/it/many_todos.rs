//! Commands that create several todos: all or none, paid and kept as one.

use roots_domain::command::{AppliedRow, Command, Refusal};
use roots_domain::model::credit::Reason;
use roots_domain::model::id::SessionId;
use roots_domain::model::idempotency::{Idempotency, IdempotencyMacs, Mac};
use roots_domain::model::page::PageRequest;
use roots_domain::port::store::{AccountReader, ApplyError, CommandStore, StoreError, Verifier};
use roots_testkit::commands::{CommandResult, Issuer, answers, apply_each, begin, begin_all};
use roots_testkit::compare::compare;
use roots_testkit::database::TestDatabase;

roots_testkit::on_both! {
    many_todos_are_stored_in_order_and_paid_by_one_ledger_entry,
    many_todos_of_which_one_is_refused_change_nothing,
    many_todos_of_which_the_database_rejects_one_fail_alone_and_whole,
    claims_of_a_batch_take_the_todos_that_it_creates_in_order,
    a_repeated_creation_of_many_todos_is_replayed_from_one_record,
}

#[track_caller]
fn created(answer: &CommandResult) -> Vec<(i64, i16, Option<i64>)> {
    let AppliedRow::Todos(todos) = &answer.as_ref().unwrap().row else { panic!("{answer:?}") };
    let told = todos.iter().map(|todo| {
        (todo.id.0, todo.content.priority.level(), todo.content.session.map(|id| id.0))
    });
    told.collect()
}

async fn many_todos_are_stored_in_order_and_paid_by_one_ledger_entry(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let mut model = issuer.reference_model(100);
    let new: Vec<_> = (0..20).map(|place| ("one of many", place % 4, Some(1))).collect();
    let commands = [
        issuer.start_session(),
        issuer.create_todos(&[("first", 2, Some(1)), ("second", 0, None), ("third", 3, None)]),
        issuer.create_todos(&[("alone", 1, None)]),
        issuer.create_todos(&new),
    ];
    let expected: Vec<_> = commands.iter().map(|command| model.expect(command)).collect();
    let mut found = Vec::new();
    for command in commands {
        found.push(db.store.apply(command).await);
    }
    let expected: Vec<_> =
        expected.into_iter().map(|answer| answer.map_err(ApplyError::Refused)).collect();
    assert_eq!(found, expected);
    assert_eq!(created(&found[1]), [(1, 2, Some(1)), (2, 0, None), (3, 3, None)]);
    let page = PageRequest::skipping(0, 10);
    let by = issuer.account.into();
    let ledger = db.store.ledger(by, Some(Reason::ApiWrite), page).await.unwrap();
    let entries: Vec<_> = ledger
        .items
        .iter()
        .map(|entry| (entry.delta, entry.balance_after, entry.endpoint.as_deref()))
        .collect();
    let route = Some("POST /todos");
    let start = (-1, 99, Some("POST /sessions"));
    assert_eq!(entries, [(-20, 75, route), (-1, 95, route), (-3, 96, route), start]);
    compare(&model, &db.store, &[1], &[], 100).await;
}

async fn many_todos_of_which_one_is_refused_change_nothing(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 6).await;
    apply_each(&db.store, [issuer.start_session(), issuer.start_session(), issuer.end_session(2)])
        .await;
    let before = db.dump().await;
    let of = |session| issuer.create_todos(&[("fine", 0, Some(1)), ("linked", 0, session)]);
    let four = [("one of four", 0, None); 4];
    for (command, refusal) in [
        (of(Some(2)), Refusal::SessionEnded(SessionId(2)).of_todo(1)),
        (of(Some(9)), Refusal::NoSuchSession(SessionId(9)).of_todo(1)),
        (issuer.create_todos(&four), Refusal::InsufficientCredits { balance: 3, cost: 4 }),
    ] {
        assert_eq!(db.store.apply(command).await, Err(ApplyError::Refused(refusal)));
        assert_eq!(db.dump().await, before);
    }
    assert_eq!(db.store.apply(issuer.create_todos(&four[..3])).await.unwrap().balance, 0);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

/// Applies commands in one batch: they queue up in order behind a command that is blocked.
async fn together(
    db: &TestDatabase,
    issuer: &Issuer,
    commands: Vec<Command>,
) -> Vec<CommandResult> {
    let hold = db.hold(issuer.account).await;
    let plug = begin(&db.store, issuer.log_activity("plug"));
    hold.wait_until_blocking().await;
    let calls = begin_all(&db.store, commands);
    hold.release().await;
    plug.await.unwrap().unwrap();
    answers(calls).await
}

async fn many_todos_of_which_the_database_rejects_one_fail_alone_and_whole(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let poison = if db.is_postgres() {
        "ALTER TABLE todos ADD CONSTRAINT no_poison CHECK (priority <> 3)"
    } else {
        "CREATE TRIGGER no_poison BEFORE INSERT ON todos WHEN NEW.priority = 3 \
            BEGIN SELECT RAISE(ABORT, 'poison'); END"
    };
    db.execute(poison).await;
    let found = together(
        &db,
        &issuer,
        vec![
            issuer.create_todos(&[("one", 0, None), ("two", 1, None)]),
            issuer.create_todos(&[("three", 0, None), ("poison", 3, None), ("four", 0, None)]),
            issuer.create_todos(&[("five", 2, None)]),
        ],
    )
    .await;
    assert_eq!(created(&found[0]), [(1, 0, None), (2, 1, None)]);
    assert!(matches!(found[1], Err(ApplyError::Store(StoreError::Broken(_)))), "{:?}", found[1]);
    assert_eq!(created(&found[2]), [(3, 2, None)]);
    assert_eq!(found[2].as_ref().unwrap().balance, 100 - 4);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

async fn claims_of_a_batch_take_the_todos_that_it_creates_in_order(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let stored = [("stored", 2, None), ("stored", 1, None), ("stored", 0, None)];
    apply_each(&db.store, [issuer.create_todos(&stored)]).await;
    let new = [("new", 1, None), ("new", 3, None), ("new", 0, None)];
    let claims = (0..7).map(|_| issuer.claim_next());
    let commands = std::iter::once(issuer.create_todos(&new)).chain(claims);
    let found = together(&db, &issuer, commands.collect()).await;
    let claimed = found[1..].iter().map(|answer| match &answer.as_ref().unwrap().row {
        AppliedRow::Claimed(todo, _) => Some(todo.id.0),
        _ => None,
    });
    let expected = [Some(5), Some(1), Some(2), Some(4), Some(3), Some(6), None];
    assert_eq!(claimed.collect::<Vec<_>>(), expected);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

async fn a_repeated_creation_of_many_todos_is_replayed_from_one_record(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let new: Vec<_> = (0..20).map(|place| ("one of many", place % 4, None)).collect();
    let now = IdempotencyMacs { key: Mac([1; 32]), request: Mac([2; 32]) };
    let mut create = issuer.create_todos(&new);
    create.conditions.idempotency = Some(Idempotency { now, before: vec![] });
    let first = db.store.apply(create.clone()).await;
    assert_eq!(created(&first).len(), 20);
    apply_each(&db.store, [issuer.delete_todo(7)]).await;
    let before = db.dump().await;
    let other = db.another_store().await;
    for store in [&db.store, &other] {
        let again = store.apply(create.clone()).await.unwrap();
        assert!(again.is_replay);
        assert_eq!((again.cost, again.balance), (20, 79));
        assert_eq!(again.row, first.as_ref().unwrap().row);
    }
    other.close().await;
    assert_eq!(db.dump().await, before, "nothing was done or charged");
    assert_eq!(db.rows::<(i64,)>("SELECT COUNT(*) FROM idempotency").await, [(1,)]);
}
