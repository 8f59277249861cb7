//! Where readers of events go on, and which rows are read for them.

use mockall::predicate::eq;

use super::*;
use crate::model::event::{EventPosition, Resumption};
use crate::model::id::{AuditId, LedgerId};
use crate::port::store::{AccountState, MockEventReader};
use crate::service::events::Events;

const fn position(ledger: i64, audit: i64) -> EventPosition {
    EventPosition { ledger: LedgerId(ledger), audit: AuditId(audit) }
}

/// Events of an account that has come to that position, under that auth epoch.
fn events_at(position: EventPosition, auth_epoch: i64) -> Events {
    let mut reader = MockEventReader::new();
    let state = AccountState { account: HOME, version: 9, auth_epoch, position };
    reader.expect_account_states().returning(move |accounts| {
        assert_eq!(accounts, [HOME]);
        Ok(vec![state])
    });
    Events { reader: Arc::new(reader) }
}

#[test]
fn a_reader_goes_on_where_it_was_or_begins_now() {
    let now = position(20, 3);
    let resume = |last| ready(events_at(now, EPOCH).resume(&caller(), last)).unwrap();
    assert_eq!(resume(None), (Resumption::From(now), now));
    assert_eq!(resume(Some(position(4, 1))), (Resumption::From(position(4, 1)), now));
    assert_eq!(resume(Some(position(21, 3))), (Resumption::Reset(now), now));
}

#[test]
fn a_reader_of_another_auth_epoch_or_of_no_account_is_admitted_again() {
    let moved = ready(events_at(position(1, 0), EPOCH + 1).resume(&caller(), None));
    assert!(matches!(moved, Err(ReadError::Store(StoreError::EpochMoved))), "{moved:?}");
    let mut reader = MockEventReader::new();
    reader.expect_account_states().returning(|_| Ok(Vec::new()));
    let gone = ready(Events { reader: Arc::new(reader) }.resume(&caller(), None));
    assert!(matches!(gone, Err(ReadError::Store(StoreError::EpochMoved))), "{gone:?}");
}

#[test]
fn one_read_takes_a_hundred_rows_of_each_log_and_asks_no_log_without_new_rows() {
    let mut reader = MockEventReader::new();
    reader
        .expect_ledger_between()
        .with(eq(BY), eq(LedgerId(10)), eq(LedgerId(110)))
        .times(1)
        .returning(|_, _, _| Ok(Vec::new()));
    reader
        .expect_audit_between()
        .with(eq(BY), eq(AuditId(1)), eq(AuditId(3)))
        .times(1)
        .returning(|_, _, _| Ok(Vec::new()));
    let events = Events { reader: Arc::new(reader) };
    let chunk = ready(events.next(&caller(), position(10, 1), position(500, 3))).unwrap();
    assert_eq!(chunk.position, position(110, 3));
    // Nothing is new.
    let chunk = ready(events.next(&caller(), position(500, 3), position(500, 3))).unwrap();
    assert_eq!((chunk.position, chunk.events.len()), (position(500, 3), 0));
}
