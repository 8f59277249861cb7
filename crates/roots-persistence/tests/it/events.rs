//! How far accounts have come, and the rows of their logs between two positions.

use roots_domain::model::account::Account;
use roots_domain::model::credit::LedgerEntry;
use roots_domain::model::event::EventPosition;
use roots_domain::model::id::{AccountId, AuditId, LedgerId};
use roots_domain::port::store::{
    AccountReader, AccountState, Admission, EventReader, STATES_MAX, StoreError,
};
use roots_testkit::commands::{Issuer, apply_each};
use roots_testkit::database::TestDatabase;

roots_testkit::on_both! {
    each_account_tells_how_far_it_has_come,
    the_rows_between_two_positions_are_read_in_their_order,
    logs_are_read_only_under_the_auth_epoch_of_the_caller,
}

const NOBODY: AccountId = AccountId(9_999);

async fn each_account_tells_how_far_it_has_come(db: TestDatabase) {
    let one = Issuer::new(&db.store, 1_000).await;
    let other = Issuer::new(&db.store, 1_000).await;
    apply_each(&db.store, (0..3).map(|_| one.start_session())).await;
    let state = async |account| {
        let states = db.store.account_states(&[account]).await.unwrap();
        let [state] = states[..] else { panic!("{states:?}") };
        state
    };
    let before = state(one.account).await;
    let of_row = db.store.account(one.account).await.unwrap().unwrap();
    let position = EventPosition {
        ledger: LedgerId(of_row.last_ids.ledger),
        audit: AuditId(of_row.last_ids.audit),
    };
    let Account { version, auth_epoch, .. } = of_row;
    assert_eq!(before, AccountState { account: one.account, version, auth_epoch, position });
    assert_eq!(before.position.ledger, LedgerId(4), "the first credits and three writes");

    let others = state(other.account).await;
    apply_each(&db.store, [one.start_session()]).await;
    let after = state(one.account).await;
    assert_eq!(after.version, before.version + 1);
    assert_eq!(after.position.ledger, LedgerId(5));
    assert_eq!(state(other.account).await, others);

    // As many as one statement asks about, most of which are not there.
    let mut asked = vec![NOBODY; STATES_MAX - 2];
    asked.extend([one.account, other.account]);
    let mut found = db.store.account_states(&asked).await.unwrap();
    found.sort_by_key(|state| state.account);
    assert_eq!(found, [after, others]);
    assert_eq!(db.store.account_states(&[]).await.unwrap(), []);
    asked.push(NOBODY);
    assert!(db.store.account_states(&asked).await.is_err());
}

fn ids(rows: &[LedgerEntry]) -> Vec<i64> {
    rows.iter().map(|row| row.id.0).collect()
}

async fn the_rows_between_two_positions_are_read_in_their_order(db: TestDatabase) {
    let one = Issuer::new(&db.store, 1_000).await;
    let other = Issuer::new(&db.store, 1_000).await;
    for _ in 0..5 {
        apply_each(&db.store, [one.start_session(), other.start_session()]).await;
    }
    let by = one.account.into();
    let between = async |after, until| {
        ids(&db.store.ledger_between(by, LedgerId(after), LedgerId(until)).await.unwrap())
    };
    assert_eq!(between(0, 6).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(between(2, 4).await, [3, 4]);
    assert_eq!(between(5, 6).await, [6]);
    let written = db.store.ledger_between(by, LedgerId(1), LedgerId(2)).await.unwrap();
    assert_eq!(
        written[0].subject.map(|subject| (subject.id, subject.actor)),
        Some((1, Some(one.actor)))
    );

    db.execute(&format!(
        "INSERT INTO audit_log (account_id, audit_id, action, subject_session_id, created_at) \
            VALUES ({0}, 1, 'session_idled', 7, 5), ({0}, 2, 'account_suspended', NULL, 6)",
        one.account
    ))
    .await;
    let audit = db.store.audit_between(by, AuditId(0), AuditId(2)).await.unwrap();
    let sessions: Vec<_> = audit
        .iter()
        .map(|entry| (entry.id.0, entry.event.subject_session.map(|id| id.0)))
        .collect();
    assert_eq!(sessions, [(1, Some(7)), (2, None)]);
    assert_eq!(db.store.audit_between(by, AuditId(1), AuditId(2)).await.unwrap(), audit[1..]);
}

async fn logs_are_read_only_under_the_auth_epoch_of_the_caller(db: TestDatabase) {
    let one = Issuer::new(&db.store, 1_000).await;
    let epoch = db.store.account(one.account).await.unwrap().unwrap().auth_epoch;
    let read = async |account, auth_epoch| {
        let by = Admission { account, auth_epoch: Some(auth_epoch) };
        db.store.ledger_between(by, LedgerId(0), LedgerId(1)).await.map(|rows| rows.len())
    };
    assert_eq!(read(one.account, epoch).await.unwrap(), 1);
    let moved = read(one.account, epoch + 1).await.unwrap_err();
    assert!(matches!(moved, StoreError::EpochMoved), "{moved}");
    let gone = read(NOBODY, epoch).await.unwrap_err();
    assert!(matches!(gone, StoreError::EpochMoved), "{gone}");
}
