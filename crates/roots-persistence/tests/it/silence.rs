//! When sessions were last active, and the end of silent ones.

use std::sync::Arc;

use roots_domain::model::audit::AuditAction;
use roots_domain::model::page::PageRequest;
use roots_domain::model::session::{EndReason, SessionStatus, SessionWindow};
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{
    AccountReader, Mismatch, SessionQuery, SessionReader, SilenceReader, Verifier,
};
use roots_domain::service::idle_sessions::IdleSessions;
use roots_persistence::Store;
use roots_testkit::commands::{Issuer, apply_each};
use roots_testkit::database::TestDatabase;

roots_testkit::on_both! {
    a_list_shows_the_last_activity_up_to_a_minute_behind,
    silent_sessions_of_all_accounts_are_ended_once_by_any_process,
    activity_that_does_not_fit_its_session_is_found,
}

const IDLE_SECONDS: i64 = 300;

fn idle_sessions(db: &TestDatabase, store: &Store) -> IdleSessions {
    let store = Arc::new(store.clone());
    IdleSessions { commands: store.clone(), reader: store, clock: db.clock.clone() }
}

/// How many seconds after the start of the test each session was last active, latest first.
async fn last_active(db: &TestDatabase, issuer: &Issuer) -> Vec<i64> {
    let (by, page) = (issuer.account.into(), PageRequest::default());
    let (actor, window) = (Some(issuer.actor), SessionWindow::default());
    let query = SessionQuery { by, actor, status: None, window, page };
    let found = db.store.sessions(&query).await.unwrap().items.into_iter();
    found.map(|row| (row.last_active_at.micros() - issuer.at.micros()) / 1_000_000).collect()
}

async fn a_list_shows_the_last_activity_up_to_a_minute_behind(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    apply_each(&db.store, [issuer.start_session(), issuer.start_session()]).await;
    let before = db.dump().await["sessions"].clone();
    for (seconds, expected) in [(59, [0, 0]), (1, [0, 60]), (59, [0, 60]), (61, [0, 180])] {
        db.clock.advance_seconds(seconds);
        apply_each(&db.store, [issuer.log_activity_as("a", Some(1), None)]).await;
        assert_eq!(last_active(&db, &issuer).await, expected);
    }
    apply_each(&db.store, [issuer.create_todo_as("one", 0, Some(2))]).await;
    assert_eq!(last_active(&db, &issuer).await, [180, 180]);
    assert_eq!(db.dump().await["sessions"], before, "a heartbeat writes no session");
    apply_each(&db.store, [issuer.delete_session(1)]).await;
    assert_eq!(db.rows::<(i64,)>("SELECT session_id FROM session_activity").await, [(2,)]);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

async fn silent_sessions_of_all_accounts_are_ended_once_by_any_process(db: TestDatabase) {
    // More than one command ends.
    const SESSIONS: usize = 130;
    let issuers = [Issuer::new(&db.store, 1_000).await, Issuer::new(&db.store, 1_000).await];
    for issuer in &issuers {
        apply_each(&db.store, (0..SESSIONS).map(|_| issuer.start_session())).await;
        apply_each(&db.store, [issuer.end_session(1)]).await;
    }
    db.clock.advance_seconds(100);
    let mut later = issuers[0];
    later.at = db.clock.now();
    // The second has a newer heartbeat. The third has an entry within the minute before one.
    apply_each(&db.store, [later.log_activity_as("a", Some(2), None)]).await;
    db.clock.advance_seconds(IDLE_SECONDS - 41);
    let version = db.store.account(issuers[0].account).await.unwrap().unwrap().version;
    idle_sessions(&db, &db.store).end_silent(IDLE_SECONDS).await.unwrap();
    let active = "SELECT COUNT(*) FROM sessions WHERE status = 'active'";
    let most = i64::try_from(2 * (SESSIONS - 1)).unwrap();
    assert_eq!(db.rows::<(i64,)>(active).await, [(most,)], "one second is missing");

    db.clock.advance_seconds(1);
    let other = db.another_store().await;
    let (one, two) = (idle_sessions(&db, &db.store), idle_sessions(&db, &db.store));
    let (first, second) = tokio::join!(one.end_silent(IDLE_SECONDS), two.end_silent(IDLE_SECONDS));
    first.unwrap();
    second.unwrap();
    assert_eq!(db.rows::<(i64,)>(active).await, [(1,)]);
    for issuer in &issuers {
        let (by, page) =
            (issuer.account.into(), PageRequest { limit: 100, ..PageRequest::default() });
        let (actor, window) = (Some(issuer.actor), SessionWindow::default());
        let query = SessionQuery { by, actor, status: None, window, page };
        let rows = db.store.sessions(&query).await.unwrap().items;
        assert!(rows.iter().all(|row| match row.session.status {
            SessionStatus::Ended { at, reason } => {
                reason == EndReason::Idle && at == issuer.at && row.session.version == 2
            }
            SessionStatus::Active => false,
        }));
        let audit = db.store.audit_log(by, page).await.unwrap();
        let mut ended = audit.items.iter().map(|entry| entry.event.action);
        assert!(ended.all(|action| action == AuditAction::SessionIdled));
    }
    let account = db.store.account(issuers[0].account).await.unwrap().unwrap();
    assert!(account.version > version, "readers see the change");
    assert_eq!(account.last_ids.audit, i64::try_from(SESSIONS).unwrap() - 2);
    assert_eq!(account.balance, 1_000 - i64::try_from(SESSIONS).unwrap() - 2);
    let found = other.silent_sessions(db.clock.now().plus_seconds(-IDLE_SECONDS), None, 9).await;
    assert_eq!(found, Ok(None));
    other.close().await;
    assert_eq!(db.store.verify().await.unwrap(), (2, vec![]));
}

async fn activity_that_does_not_fit_its_session_is_found(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    apply_each(&db.store, (0..3).map(|_| issuer.start_session())).await;
    db.execute("DELETE FROM session_activity WHERE session_id = 1").await;
    db.execute("UPDATE session_activity SET is_open = 0 WHERE session_id = 2").await;
    db.execute("UPDATE session_activity SET session_id = 9 WHERE session_id = 3").await;
    let (_, found) = db.store.verify().await.unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|one| match one.mismatch {
            Mismatch::SessionActivity(session) => session.0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, [1, 2, 3, 9]);
}
