//! Keys that come to their end while their units wait.

use roots_domain::model::id::KeyId;
use roots_domain::model::idempotency::{Idempotency, Mac, NamedRequest};
use roots_domain::model::time::Timestamp;
use roots_domain::model::unit::{Author, Conditions, KeyBearer, Refusal, UnitOfWork};
use roots_domain::port::ambient::Clock;
use roots_domain::port::store::{ApplyError, Auditor, UnitStore};
use roots_testkit::database::TestDatabase;
use roots_testkit::units::{Desk, answers, begin_all};

roots_testkit::on_both! {
    a_key_that_expires_while_its_unit_waits_is_refused_and_charged_nothing,
    a_replay_by_a_key_that_has_expired_is_refused,
}

const REFUSED: Result<(), ApplyError> = Err(ApplyError::Refused(Refusal::KeyNotInForce));

/// The unit of a key that ends then.
fn ending(end: Timestamp, unit: UnitOfWork) -> UnitOfWork {
    let Author::Key(bearer) = unit.author else { panic!("{unit:?} is no key's") };
    UnitOfWork { author: Author::Key(KeyBearer { ends_at: Some(end), ..bearer }), ..unit }
}

async fn balance(db: &TestDatabase) -> (i64, i64) {
    let found = "SELECT balance, (SELECT COUNT(*) FROM sessions) FROM accounts";
    db.rows::<(i64, i64)>(found).await[0]
}

async fn a_key_that_expires_while_its_unit_waits_is_refused_and_charged_nothing(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    let end = db.clock.now().plus_seconds(60);
    let hold = db.hold(desk.account).await;
    let units = [ending(end, desk.start_session()), desk.start_session()];
    let calls = begin_all(&db.store, units);
    hold.until_felt().await;
    // Both were asked for in time; one key has expired when the batch gets its lock.
    db.clock.advance_seconds(60);
    hold.release().await;
    let answers = answers(calls).await;
    assert_eq!(answers[0].clone().map(drop), REFUSED);
    assert!(answers[1].is_ok(), "{answers:?}");
    assert_eq!(balance(&db).await, (99, 1));
    assert_eq!(db.store.audit().await.unwrap(), (1, vec![]));
}

async fn a_replay_by_a_key_that_has_expired_is_refused(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    let end = db.clock.now().plus_seconds(60);
    let now = NamedRequest { key: Mac([1; 32]), request: Mac([2; 32]) };
    let idempotency = Some(Idempotency { now, before: vec![] });
    let conditions = Conditions { if_match: None, idempotency };
    let unit = UnitOfWork { conditions, ..ending(end, desk.start_session()) };
    assert!(!db.store.apply(unit.clone()).await.unwrap().is_replay);
    assert!(db.store.apply(unit.clone()).await.unwrap().is_replay);
    db.clock.advance_seconds(60);
    assert_eq!(db.store.apply(unit.clone()).await.map(drop), REFUSED);
    // Another key of the same actor, still good, hears the answer.
    let Author::Key(bearer) = unit.author else { panic!("{unit:?} is no key's") };
    let other = KeyBearer { key: KeyId(2), ends_at: None, ..bearer };
    let again = UnitOfWork { author: Author::Key(other), ..unit };
    assert!(db.store.apply(again).await.unwrap().is_replay);
    assert_eq!(balance(&db).await, (99, 1));
}
