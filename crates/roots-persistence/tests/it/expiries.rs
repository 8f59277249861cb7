//! Keys that expire while their commands wait in the queue.

use roots_domain::command::{Action, Command, Conditions, Refusal};

use roots_domain::model::bearer::KeyBearer;
use roots_domain::model::id::KeyId;
use roots_domain::model::idempotency::{Idempotency, IdempotencyMacs, Mac};
use roots_domain::model::time::Timestamp;
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{ApplyError, CommandStore, Verifier};
use roots_testkit::commands::{Issuer, answers, begin_all};
use roots_testkit::database::TestDatabase;

roots_testkit::on_both! {
    a_command_whose_key_expires_in_the_queue_is_refused_and_not_charged,
    a_replay_by_a_key_that_has_expired_is_refused,
}

const REFUSED: Result<(), ApplyError> = Err(ApplyError::Refused(Refusal::KeyNotInForce));

/// The same write with a changed bearer.
fn borne_by(other: impl FnOnce(KeyBearer) -> KeyBearer, command: Command) -> Command {
    let Action::Resource(bearer, action) = command.action else {
        panic!("{command:?} writes no resource")
    };
    Command { action: Action::Resource(other(bearer), action), ..command }
}

/// The command of a key that expires at `end`.
fn ending(end: Timestamp, command: Command) -> Command {
    borne_by(|bearer| KeyBearer { ends_at: Some(end), ..bearer }, command)
}

async fn balance(db: &TestDatabase) -> (i64, i64) {
    let found = "SELECT balance, (SELECT COUNT(*) FROM sessions) FROM accounts";
    db.rows::<(i64, i64)>(found).await[0]
}

async fn a_command_whose_key_expires_in_the_queue_is_refused_and_not_charged(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let end = db.clock.now().plus_seconds(60);
    let hold = db.hold(issuer.account).await;
    let commands = [ending(end, issuer.start_session()), issuer.start_session()];
    let calls = begin_all(&db.store, commands);
    hold.wait_until_blocking().await;
    // Both commands were sent in time. One key has expired when the batch gets its lock.
    db.clock.advance_seconds(60);
    hold.release().await;
    let answers = answers(calls).await;
    assert_eq!(answers[0].clone().map(drop), REFUSED);
    assert!(answers[1].is_ok(), "{answers:?}");
    assert_eq!(balance(&db).await, (99, 1));
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

async fn a_replay_by_a_key_that_has_expired_is_refused(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let end = db.clock.now().plus_seconds(60);
    let now = IdempotencyMacs { key: Mac([1; 32]), request: Mac([2; 32]) };
    let idempotency = Some(Idempotency { now, before: vec![] });
    let conditions = Conditions { if_match: None, idempotency };
    let command = Command { conditions, ..ending(end, issuer.start_session()) };
    assert!(!db.store.apply(command.clone()).await.unwrap().is_replay);
    assert!(db.store.apply(command.clone()).await.unwrap().is_replay);
    db.clock.advance_seconds(60);
    assert_eq!(db.store.apply(command.clone()).await.map(drop), REFUSED);
    // Another key of the same actor is still in force and gets the answer.
    let other = |bearer| KeyBearer { key: KeyId(2), ends_at: None, ..bearer };
    let again = borne_by(other, command);
    assert!(db.store.apply(again).await.unwrap().is_replay);
    assert_eq!(balance(&db).await, (99, 1));
}
