//! Sessions.

use super::*;
use crate::command::{Resealed, RowPatch};
use crate::model::Patch;
use crate::model::session::{
    Session, SessionPatch, SessionStatus, SessionStatusKind, SessionWindow,
};
use crate::port::store::{MockSessionReader, SessionQuery};
use crate::service::access::ActorScope;
use crate::service::sessions::{SessionDraft, SessionFilter, Sessions};

const ID: SessionId = SessionId(2);

fn row(actor: ActorId, notes: Option<Sealed>) -> Session<Sealed> {
    Session {
        id: ID,
        uid: uid(20),
        actor,
        status: SessionStatus::Active,
        notes,
        started_at: at(5),
        version: 3,
    }
}

fn opened(notes: Option<&str>) -> Session {
    Session {
        id: ID,
        uid: uid(20),
        actor: ME,
        status: SessionStatus::Active,
        notes: notes.map(Into::into),
        started_at: at(5),
        version: 3,
    }
}

fn notes(text: &str) -> Sealed {
    stored(Field::SessionNotes, uid(20), text)
}

fn resealed(row: Uid, text: &str, same_as: Option<Sealed>) -> Resealed {
    Resealed { sealed: cipher(Field::SessionNotes, row, 1, text), same_as }
}

fn sessions(commands: Arc<MockCommandStore>, reader: MockSessionReader) -> Sessions {
    Sessions { writes: writes(commands, no_others()), reader: Arc::new(reader), uids: uids(50) }
}

fn draft(notes: Option<&str>) -> SessionDraft {
    SessionDraft { actor: None, notes: notes.map(long) }
}

/// A reader that fails the test when it is asked.
fn no_reads() -> MockSessionReader {
    MockSessionReader::new()
}

/// A reader that is asked once for the session.
fn finding(found: Result<Option<Session<Sealed>>, StoreError>) -> MockSessionReader {
    let mut reader = MockSessionReader::new();
    reader
        .expect_session()
        .times(1)
        .withf(|by, id| (by.account, *id) == (HOME, ID))
        .return_once(|_, _| found);
    reader
}

fn noted(text: &str) -> SessionPatch<LongText> {
    SessionPatch { status: None, notes: Patch::Set(long(text)) }
}

fn kept(answer: Session<Sealed>) -> (Arc<MockCommandStore>, SentCommand) {
    commands(Ok(AppliedRow::Session(answer)))
}

#[test]
fn starting_a_session_seals_its_notes_for_the_new_row() {
    let (commands, sent) = kept(row(ME, Some(notes("morning"))));
    let sessions = sessions(commands, no_reads());
    let started =
        ready(sessions.start(&caller(), draft(Some("morning")), Preconditions::default()));
    assert_eq!(started, Ok(written(opened(Some("morning")))));
    let notes = Some(cipher(Field::SessionNotes, uid(50), 1, "morning"));
    assert_eq!(
        sent.action("POST /sessions"),
        ResourceAction::StartSession { actor: ME, uid: uid(50), notes }
    );
}

#[test]
fn starting_a_session_without_notes_seals_nothing() {
    let (commands, sent) = kept(row(ME, None));
    let started = ready(sessions(commands, no_reads()).start(
        &sealing_nothing(),
        draft(None),
        Preconditions::default(),
    ));
    assert_eq!(started, Ok(written(opened(None))));
    let action = ResourceAction::StartSession { actor: ME, uid: uid(50), notes: None };
    assert_eq!(sent.action("POST /sessions"), action);
}

#[test]
fn a_patch_without_a_text_reads_nothing() {
    for (status, change) in [
        (Some(SessionStatusKind::Ended), Patch::Keep),
        (None, Patch::Clear),
        (Some(SessionStatusKind::Ended), Patch::Clear),
    ] {
        let (commands, sent) = kept(row(ME, None));
        let asked = SessionPatch { status, notes: change.clone() };
        let patched = ready(sessions(commands, no_reads()).patch(
            &caller(),
            ID,
            asked,
            Preconditions::default(),
        ));
        assert_eq!(patched, Ok(written(opened(None))));
        let notes = if change.is_keep() { Patch::Keep } else { Patch::Clear };
        let patch = SessionPatch { status, notes };
        let action = ResourceAction::PatchSession(RowPatch { id: ID, sealed_for: None, patch });
        assert_eq!(sent.action("PATCH /sessions/{id}"), action);
    }
}

#[test]
fn a_patch_with_a_text_reads_the_row_once_and_seals_for_it() {
    for (why, stands, same_as) in [
        ("nothing stood there", None, None),
        ("another text stood there", Some(notes("before")), None),
        ("the same text stood there", Some(notes("after")), Some(notes("after"))),
        ("what stood there does not open", Some(damaged()), None),
    ] {
        let (commands, sent) = kept(row(ME, Some(notes("after"))));
        let sessions = sessions(commands, finding(Ok(Some(row(ME, stands)))));
        let patched =
            ready(sessions.patch(&caller(), ID, noted("after"), Preconditions::default()));
        assert_eq!(patched, Ok(written(opened(Some("after")))), "{why}");
        let notes = Patch::Set(resealed(uid(20), "after", same_as));
        let patch = SessionPatch { status: None, notes };
        let action =
            ResourceAction::PatchSession(RowPatch { id: ID, sealed_for: Some(uid(20)), patch });
        assert_eq!(sent.action("PATCH /sessions/{id}"), action, "{why}");
    }
}

#[test]
fn a_text_for_a_missing_or_invisible_session_is_sealed_for_a_fresh_uid_and_refused() {
    for found in [None, Some(row(PEER, Some(notes("after"))))] {
        let refusal = Refusal::NotFound("session");
        let (commands, sent) = commands(Err(refusal.clone().into()));
        let sessions = sessions(commands, finding(Ok(found)));
        let patched =
            ready(sessions.patch(&caller(), ID, noted("after"), Preconditions::default()));
        assert_eq!(patched, Err(WriteError::Refused(refusal)));
        let notes = Patch::Set(resealed(uid(50), "after", None));
        let patch = SessionPatch { status: None, notes };
        let action =
            ResourceAction::PatchSession(RowPatch { id: ID, sealed_for: Some(uid(50)), patch });
        assert_eq!(sent.action("PATCH /sessions/{id}"), action);
    }
}

#[test]
fn an_empty_patch_is_refused_without_a_command() {
    let nothing = SessionPatch { status: None, notes: Patch::Keep };
    let patched = ready(sessions(no_commands(), no_reads()).patch(
        &caller(),
        ID,
        nothing,
        Preconditions::default(),
    ));
    assert_eq!(patched, Err(WriteError::EmptyPatch));
}

#[test]
fn no_command_is_sent_if_the_row_cannot_be_read_or_the_text_not_sealed() {
    let cut_off = sessions(no_commands(), finding(Err(away())));
    let patched = ready(cut_off.patch(&caller(), ID, noted("after"), Preconditions::default()));
    assert_eq!(patched, Err(WriteError::Store(away())));

    let unsealed = Err(WriteError::Seal(CryptoError::NoRandomness));
    let reads = finding(Ok(Some(row(ME, None))));
    let patched = ready(sessions(no_commands(), reads).patch(
        &sealing_nothing(),
        ID,
        noted("after"),
        Preconditions::default(),
    ));
    assert_eq!(patched, unsealed);
    let sessions = sessions(no_commands(), no_reads());
    assert_eq!(
        ready(sessions.start(&sealing_nothing(), draft(Some("x")), Preconditions::default())),
        unsealed
    );
}

#[test]
fn a_session_saved_with_unreadable_notes_is_reported_as_saved() {
    let (commands, _) = kept(row(ME, Some(damaged())));
    let ended = SessionPatch { status: Some(SessionStatusKind::Ended), notes: Patch::Keep };
    let patched =
        ready(sessions(commands, no_reads()).patch(&caller(), ID, ended, Preconditions::default()));
    assert_eq!(patched, Err(saved_unreadable("session", 2)));
}

#[test]
fn deleting_a_session_sends_its_id_and_reads_nothing() {
    let (commands, sent) = commands(Ok(AppliedRow::Deleted));
    let deleted =
        ready(sessions(commands, no_reads()).delete(&caller(), ID, Preconditions::default()));
    assert_eq!(deleted, Ok(written(ID)));
    assert_eq!(sent.action("DELETE /sessions/{id}"), ResourceAction::DeleteSession(ID));
}

#[test]
fn refusals_and_store_errors_are_passed_on() {
    for (answer, expected) in failures() {
        let store = || commands(Err(answer.clone())).0;
        let started = ready(sessions(store(), no_reads()).start(
            &caller(),
            draft(None),
            Preconditions::default(),
        ));
        assert_eq!(started, Err(expected.clone()));
        let ended = SessionPatch { status: Some(SessionStatusKind::Ended), notes: Patch::Keep };
        let patched = ready(sessions(store(), no_reads()).patch(
            &caller(),
            ID,
            ended,
            Preconditions::default(),
        ));
        assert_eq!(patched, Err(expected.clone()));
        let deleted =
            ready(sessions(store(), no_reads()).delete(&caller(), ID, Preconditions::default()));
        assert_eq!(deleted, Err(expected));
    }
}

#[test]
fn a_row_of_another_table_in_the_outcome_is_a_store_error() {
    let store = || commands(Ok(AppliedRow::Deleted)).0;
    assert_mismatched(ready(sessions(store(), no_reads()).start(
        &caller(),
        draft(None),
        Preconditions::default(),
    )));
    let ended = SessionPatch { status: Some(SessionStatusKind::Ended), notes: Patch::Keep };
    assert_mismatched(ready(sessions(store(), no_reads()).patch(
        &caller(),
        ID,
        ended,
        Preconditions::default(),
    )));
}

#[test]
fn only_the_callers_own_session_is_found() {
    let get = |found| ready(sessions(no_commands(), finding(found)).get(&caller(), ID));
    let own = row(ME, Some(notes("morning")));
    assert_eq!(get(Ok(Some(own))), Ok(Some(opened(Some("morning")))));
    assert_eq!(get(Ok(Some(row(ME, None)))), Ok(Some(opened(None))));
    assert_eq!(get(Ok(None)), Ok(None));
    // The text is not opened either, because that would be an error.
    assert_eq!(get(Ok(Some(row(PEER, Some(damaged()))))), Ok(None));
    assert_eq!(get(Ok(Some(row(ME, Some(damaged()))))), Err(unreadable("session", 2)));
    assert_eq!(get(Err(away())), Err(ReadError::Store(away())));
}

#[test]
fn notes_of_another_row_do_not_open() {
    let elsewhere = stored(Field::SessionNotes, uid(21), "morning");
    let reads = finding(Ok(Some(row(ME, Some(elsewhere)))));
    let found = ready(sessions(no_commands(), reads).get(&caller(), ID));
    assert_eq!(found, Err(unreadable("session", 2)));
}

#[test]
fn a_page_has_only_the_callers_sessions_with_their_notes_opened() {
    let list = |answer: Vec<Session<Sealed>>| {
        let mut reader = MockSessionReader::new();
        let status = Some(SessionStatusKind::Active);
        let window = SessionWindow::ActiveSince(now());
        let filter = SessionFilter { scope: ActorScope::Own, status, window };
        let query = SessionQuery { by: BY, actor: Some(ME), status, window, page: PAGE };
        reader
            .expect_sessions()
            .times(1)
            .withf(move |asked| *asked == query)
            .return_once(|_| Ok(page(answer.into_iter().map(listed).collect())));
        ready(sessions(no_commands(), reader).list(&caller(), filter, PAGE))
    };
    let rows = vec![row(ME, Some(notes("morning"))), row(ME, None)];
    assert_eq!(
        list(rows.clone()),
        Ok(page(vec![listed(opened(Some("morning"))), listed(opened(None))]))
    );
    let one_damaged = [rows, vec![row(ME, Some(damaged()))]].concat();
    assert_eq!(list(one_damaged), Err(unreadable("session", 2)));
}
