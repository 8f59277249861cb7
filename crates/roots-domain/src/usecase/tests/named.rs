//! Writes that their callers name.

use super::*;
use crate::model::idempotency::{EPOCHS_BEFORE_MAX, Mac, oldest_kept};
use crate::model::session::{SessionPatch, SessionStatus};
use crate::model::unit::Conditions;
use crate::port::keys::MacPurpose;
use crate::port::store::{MockAnswerReader, MockSessionReader};
use crate::usecase::sessions::{SessionDraft, Sessions};
use crate::usecase::upkeep::Upkeep;
use crate::usecase::{Named, Terms};
use mockall::Sequence;
use mockall::predicate::eq;

/// A MAC that tells its epoch, its purpose and the first byte of what it is of.
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

fn terms() -> Terms {
    Terms { named: Some(Named { key: "k".into(), request: b"r".into() }), ..Terms::default() }
}

fn sessions(units: Arc<MockUnitStore>, reader: MockSessionReader) -> Sessions {
    let accounts = no_others();
    Sessions { units, reader: Arc::new(reader), accounts, clock: clock(), uids: uids(1) }
}

fn draft() -> SessionDraft {
    SessionDraft { actor: None, notes: None }
}

#[test]
fn a_name_goes_to_the_store_as_macs_of_every_epoch() {
    let (units, sent) = units(Err(away().into()));
    let _ =
        ready(sessions(units, MockSessionReader::new()).start(&renewed_twice(), draft(), terms()));
    let Conditions { idempotency, if_match } = sent.unit().conditions;
    assert_eq!(if_match, None);
    let told: Vec<_> = idempotency.unwrap().all().map(|told| (told.key, told.request)).collect();
    let of = |epoch| {
        let key = mac(epoch, MacPurpose::IdempotencyKey, b"k");
        (Mac(key), Mac(mac(epoch, MacPurpose::RequestFingerprint, b"r")))
    };
    assert_eq!(told, [of(3), of(2), of(1)]);
    assert_eq!(format!("{:?}", terms().named), "Some(Named(…))");
}

#[test]
fn without_macs_nothing_is_sent() {
    let mut keys = in_one_epoch();
    keys.expect_mac().returning(|_, _| Err(KeyError::Unsupported));
    let caller = Caller { keys: Arc::new(keys), ..caller() };
    let failed =
        ready(sessions(no_units(), MockSessionReader::new()).start(&caller, draft(), terms()));
    assert_eq!(failed, Err(WriteError::Seal(KeyError::Unsupported)));
}

/// The store decides whether it was done before, so what is gone is no reason not to ask it.
#[test]
fn a_patch_with_text_of_a_row_that_is_gone_is_still_told_again() {
    let mut reader = MockSessionReader::new();
    reader.expect_session().returning(|_, _| Ok(None));
    let row = crate::model::session::Session {
        id: SessionId(2),
        uid: uid(7),
        actor: ME,
        status: SessionStatus::Ended,
        notes: Some(stored(Field::SessionNotes, uid(7), "done")),
        started_at: at(1),
        ended_at: Some(at(2)),
        version: 2,
    };
    let mut units = MockUnitStore::new();
    let kept = row.clone();
    units.expect_apply().times(1).returning(move |unit| {
        assert!(unit.conditions.idempotency.is_some());
        let row = AppliedRow::Session(kept.clone());
        Ok(Applied { row, cost: 1, balance: LEFT, is_replay: true })
    });
    let patch = SessionPatch { status: None, notes: crate::model::Patch::Set(long("done")) };
    let sessions = sessions(Arc::new(units), reader);
    let told = ready(sessions.patch(&renewed_twice(), SessionId(2), patch, terms())).unwrap();
    assert!(told.is_replay);
    assert_eq!((told.value.notes.as_deref(), told.value.version), (Some("done"), 2));
}

#[test]
fn accounts_take_turns_until_no_answer_is_due() {
    let before = oldest_kept(now());
    let mut order = Sequence::new();
    let (mut reader, mut units) = (MockAnswerReader::new(), MockUnitStore::new());
    // The first has more than goes in one step.
    let looks = [(0, Some(3)), (4, Some(8)), (9, None), (0, Some(3)), (4, None), (0, None)];
    for (from, found) in looks {
        reader
            .expect_account_with_answers()
            .times(1)
            .in_sequence(&mut order)
            .with(eq(before), eq(AccountId(from)))
            .return_once(move |_, _| Ok(found.map(AccountId)));
        if let Some(account) = found {
            let intent = Intent::ForgetAnswers { account: AccountId(account), before };
            units
                .expect_apply()
                .times(1)
                .in_sequence(&mut order)
                .withf(move |unit| unit.intent == intent && unit.author == Author::Program)
                .return_once(|_| {
                    let row = AppliedRow::Deleted;
                    Ok(Applied { row, cost: 0, balance: 0, is_replay: false })
                });
        }
    }
    let upkeep = Upkeep { units: Arc::new(units), reader: Arc::new(reader), clock: clock() };
    assert_eq!(ready(upkeep.forget_answers()), Ok(()));
}

#[test]
fn an_account_that_was_erased_meanwhile_does_not_end_the_sweep() {
    let (mut reader, mut units) = (MockAnswerReader::new(), MockUnitStore::new());
    let mut looks = [(0, Some(AccountId(3))), (4, None), (0, None)].into_iter();
    reader.expect_account_with_answers().times(3).returning(move |_, from| {
        let (expected, found) = looks.next().unwrap();
        assert_eq!(from.0, expected);
        Ok(found)
    });
    let gone = |_| Err(Refusal::NoSuchAccount(AccountId(3)).into());
    units.expect_apply().times(1).return_once(gone);
    let upkeep = Upkeep { units: Arc::new(units), reader: Arc::new(reader), clock: clock() };
    assert_eq!(ready(upkeep.forget_answers()), Ok(()));
}

#[test]
fn a_database_that_is_away_is_swept_another_time() {
    let mut reader = MockAnswerReader::new();
    reader.expect_account_with_answers().times(1).returning(|_, _| Err(away()));
    let upkeep = Upkeep { units: no_units(), reader: Arc::new(reader), clock: clock() };
    assert_eq!(ready(upkeep.forget_answers()), Err(WriteError::Store(away())));
}
