//! Writes with an idempotency key.

use super::*;
use crate::command::Conditions;
use crate::model::idempotency::{EPOCHS_BEFORE_MAX, Mac, oldest_kept};
use crate::model::session::{SessionPatch, SessionStatus};
use crate::port::crypto::MacPurpose;
use crate::port::store::{MockIdempotencyReader, MockSessionReader};
use crate::service::maintenance::Maintenance;
use crate::service::sessions::{SessionDraft, Sessions};
use crate::service::{IdempotentRequest, Preconditions};
use mockall::Sequence;
use mockall::predicate::eq;

/// A MAC of its epoch, its purpose and the first byte of its input.
fn mac(epoch: u8, purpose: MacPurpose, bytes: &[u8]) -> [u8; 32] {
    let mut mac = [epoch; 32];
    mac[1] = u8::from(purpose == MacPurpose::RequestFingerprint);
    mac[2] = bytes[0];
    mac
}

fn renewed_twice() -> Caller {
    let mut keys = keyring();
    keys.expect_mac().returning(|purpose, bytes| Ok(mac(3, purpose, bytes)));
    keys.expect_earlier_macs()
        .withf(|_, _, most| *most == EPOCHS_BEFORE_MAX)
        .returning(|purpose, bytes, _| Ok(vec![mac(2, purpose, bytes), mac(1, purpose, bytes)]));
    Caller { keys: Arc::new(keys), ..caller() }
}

fn preconditions() -> Preconditions {
    Preconditions {
        idempotent: Some(IdempotentRequest { key: "k".into(), request: b"r".into() }),
        ..Preconditions::default()
    }
}

fn sessions(commands: Arc<MockCommandStore>, reader: MockSessionReader) -> Sessions {
    let accounts = no_others();
    Sessions { writes: writes(commands, accounts), reader: Arc::new(reader), uids: uids(1) }
}

fn draft() -> SessionDraft {
    SessionDraft { actor: None, notes: None }
}

#[test]
fn an_idempotency_key_goes_to_the_store_as_macs_of_every_key_epoch() {
    let (commands, sent) = commands(Err(away().into()));
    let _ = ready(sessions(commands, MockSessionReader::new()).start(
        &renewed_twice(),
        draft(),
        preconditions(),
    ));
    let Conditions { idempotency, if_match } = sent.command().conditions;
    assert_eq!(if_match, None);
    let names: Vec<_> = idempotency.unwrap().all().map(|name| (name.key, name.request)).collect();
    let of = |epoch| {
        let key = mac(epoch, MacPurpose::IdempotencyKey, b"k");
        (Mac(key), Mac(mac(epoch, MacPurpose::RequestFingerprint, b"r")))
    };
    assert_eq!(names, [of(3), of(2), of(1)]);
    assert_eq!(format!("{:?}", preconditions().idempotent), "Some(IdempotentRequest(…))");
}

#[test]
fn no_command_is_sent_if_the_idempotency_macs_fail() {
    let mut keys = in_one_epoch();
    keys.expect_mac().returning(|_, _| Err(CryptoError::Unsupported));
    let caller = Caller { keys: Arc::new(keys), ..caller() };
    let failed = ready(sessions(no_commands(), MockSessionReader::new()).start(
        &caller,
        draft(),
        preconditions(),
    ));
    assert_eq!(failed, Err(WriteError::Seal(CryptoError::Unsupported)));
}

/// The store decides whether a request is a replay, so it is asked even for a deleted row.
#[test]
fn a_text_patch_of_a_deleted_row_is_still_replayed() {
    let mut reader = MockSessionReader::new();
    reader.expect_session().returning(|_, _| Ok(None));
    let row = crate::model::session::Session {
        id: SessionId(2),
        uid: uid(7),
        actor: ME,
        status: SessionStatus::ended(at(2)),
        notes: Some(stored(Field::SessionNotes, uid(7), "done")),
        started_at: at(1),
        version: 2,
    };
    let mut commands = MockCommandStore::new();
    let kept = row.clone();
    commands.expect_apply().times(1).returning(move |command| {
        assert!(command.conditions.idempotency.is_some());
        let row = AppliedRow::Session(kept.clone());
        Ok(Applied { row, cost: 1, balance: LEFT, is_replay: true })
    });
    let patch = SessionPatch { status: None, notes: crate::model::Patch::Set(long("done")) };
    let sessions = sessions(Arc::new(commands), reader);
    let answer =
        ready(sessions.patch(&renewed_twice(), SessionId(2), patch, preconditions())).unwrap();
    assert!(answer.is_replay);
    assert_eq!((answer.value.notes.as_deref(), answer.value.version), (Some("done"), 2));
}

#[test]
fn accounts_take_turns_until_no_idempotency_record_has_expired() {
    let before = oldest_kept(now());
    let mut order = Sequence::new();
    let (mut reader, mut commands) = (MockIdempotencyReader::new(), MockCommandStore::new());
    // The first account has more records than one step deletes.
    let looks = [
        (None, Some(3)),
        (Some(3), Some(8)),
        (Some(8), None),
        (None, Some(3)),
        (Some(3), None),
        (None, None),
    ];
    for (after, found) in looks {
        reader
            .expect_account_with_idempotency_records()
            .times(1)
            .in_sequence(&mut order)
            .with(eq(before), eq(after.map(AccountId)))
            .return_once(move |_, _| Ok(found.map(AccountId)));
        if let Some(account) = found {
            let account = AccountId(account);
            let action = SystemAction::ForgetIdempotencyRecords { account, before };
            let expected = Command::uncharged(Action::System(action), now());
            commands
                .expect_apply()
                .times(1)
                .in_sequence(&mut order)
                .withf(move |command| *command == expected)
                .return_once(|_| {
                    let row = AppliedRow::Deleted;
                    Ok(Applied { row, cost: 0, balance: 0, is_replay: false })
                });
        }
    }
    let maintenance =
        Maintenance { commands: Arc::new(commands), reader: Arc::new(reader), clock: clock() };
    assert_eq!(ready(maintenance.forget_idempotency_records()), Ok(()));
}

#[test]
fn an_account_erased_meanwhile_does_not_end_the_sweep() {
    let (mut reader, mut commands) = (MockIdempotencyReader::new(), MockCommandStore::new());
    let mut looks =
        [(None, Some(AccountId(3))), (Some(AccountId(3)), None), (None, None)].into_iter();
    reader.expect_account_with_idempotency_records().times(3).returning(move |_, after| {
        let (expected, found) = looks.next().unwrap();
        assert_eq!(after, expected);
        Ok(found)
    });
    let gone = |_| Err(Refusal::NoSuchAccount(AccountId(3)).into());
    commands.expect_apply().times(1).return_once(gone);
    let maintenance =
        Maintenance { commands: Arc::new(commands), reader: Arc::new(reader), clock: clock() };
    assert_eq!(ready(maintenance.forget_idempotency_records()), Ok(()));
}

#[test]
fn an_unavailable_database_ends_the_sweep_with_its_error() {
    let mut reader = MockIdempotencyReader::new();
    reader.expect_account_with_idempotency_records().times(1).returning(|_, _| Err(away()));
    let maintenance =
        Maintenance { commands: no_commands(), reader: Arc::new(reader), clock: clock() };
    assert_eq!(ready(maintenance.forget_idempotency_records()), Err(WriteError::Store(away())));
}
