//! Commands of sessions.

use super::*;

const MINE_ACTIVE: Counter = Counter::Sessions(ME, SessionStatusKind::Active);
const MINE_ENDED: Counter = Counter::Sessions(ME, SessionStatusKind::Ended);

#[test]
fn starting_a_session_inserts_counts_and_charges() {
    let mut working_set = working_set();
    let started = Session {
        id: SessionId(11),
        uid: uid(1),
        actor: ME,
        status: SessionStatus::Active,
        notes: Some(sealed("started")),
        started_at: now(),
        version: 1,
    };
    let decided = working_set.decide(mine(start()));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Session(started.clone()), 99)));
    let activity = SessionActivity { session: SessionId(11), last_active_at: now(), is_open: true };
    let expected = WriteSet {
        sessions: inserted(started),
        session_activity: inserted(activity),
        ..paid(&[(11, None)], |ids| ids.session = 11).and_counters([(MINE_ACTIVE, 1)])
    };
    assert_eq!(working_set.into_write_set(), expected);
}

#[test]
fn ending_a_session_moves_its_counter_and_keeps_its_notes() {
    let mut working_set = working_set();
    let ended = Session { status: SessionStatus::ended(now()), version: 2, ..session(ACTIVE) };
    let decided = working_set.decide(mine(end(ACTIVE)));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Session(ended.clone()), 99)));
    let expected = WriteSet {
        sessions: updated(ended),
        ..paid(&[(ACTIVE.0, None)], |_| ()).and_counters([(MINE_ACTIVE, -1), (MINE_ENDED, 1)])
    };
    assert_eq!(working_set.into_write_set(), expected);
}

#[test]
fn new_notes_replace_the_ciphertext_of_active_and_ended_sessions() {
    for id in [ACTIVE, ENDED] {
        let mut working_set = working_set();
        let notes = Patch::Set(resealed("other notes", None));
        let row = RowPatch {
            id,
            sealed_for: Some(uid(100)),
            patch: SessionPatch { status: None, notes },
        };
        let changed = Session { notes: Some(sealed("other notes")), version: 2, ..session(id) };
        let decided = working_set.decide(mine(ResourceAction::PatchSession(row)));
        assert_eq!(decided, Ok(paid_for(AppliedRow::Session(changed.clone()), 99)));
        let expected = WriteSet { sessions: updated(changed), ..paid(&[(id.0, None)], |_| ()) };
        assert_eq!(working_set.into_write_set(), expected);
    }
}

#[test]
fn unchanged_notes_leave_the_session_as_is_but_are_charged() {
    let mut working_set = working_set();
    let notes = Patch::Set(resealed("sealed afresh", Some("notes")));
    let same = SessionPatch { status: Some(SessionStatusKind::Active), notes };
    let decided = working_set.decide(mine(patch_session(ACTIVE, same)));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Session(session(ACTIVE)), 99)));
    assert_eq!(working_set.into_write_set(), paid(&[(ACTIVE.0, None)], |_| ()));
}

#[test]
fn notes_compared_with_outdated_ciphertext_replace_the_stored_notes() {
    let mut working_set = working_set();
    let notes = Patch::Set(resealed("sealed afresh", Some("notes before")));
    let patch = SessionPatch { status: None, notes };
    let AppliedRow::Session(changed) = apply(&mut working_set, patch_session(ACTIVE, patch)) else {
        panic!("a session is answered");
    };
    assert_eq!((changed.notes, changed.version), (Some(sealed("sealed afresh")), 2));
}

#[test]
fn deleting_a_session_deletes_its_row_and_decrements_its_counter() {
    for (id, counter) in [(ACTIVE, MINE_ACTIVE), (ENDED, MINE_ENDED)] {
        let mut working_set = working_set();
        let decided = working_set.decide(mine(ResourceAction::DeleteSession(id)));
        assert_eq!(decided, Ok(paid_for(AppliedRow::Deleted, 99)));
        let expected = WriteSet {
            sessions: deleted(id),
            claims_left: BTreeMap::from([((HOME, id), now())]),
            ..paid(&[(id.0, None)], |_| ()).and_counters([(counter, -1)])
        };
        assert_eq!(working_set.into_write_set(), expected);
    }
}

#[test]
fn a_todo_is_unlinked_for_later_commands_of_the_batch_that_deletes_its_session() {
    let mut working_set = working_set();
    let link = TodoPatch { session: Patch::Set(ACTIVE), ..TodoPatch::EMPTY };
    let AppliedRow::Todo(linked) = apply(&mut working_set, patch_todo(TODO, link)) else {
        panic!("a todo is answered");
    };
    apply(&mut working_set, ResourceAction::DeleteSession(ACTIVE));
    let AppliedRow::Todo(done) = apply(&mut working_set, step(TODO, TodoStatus::Done)) else {
        panic!("a todo is answered");
    };
    assert_eq!((done.content.session, done.version), (None, linked.version + 2));
}

#[test]
fn a_step_of_unlinking_needs_an_account_that_exists() {
    let step = |account| SystemAction::UnlinkSession { account, session: UNKNOWN, rows: 7 };
    let mut working_set = working_set();
    let nowhere = AccountId(9);
    assert_refused(&mut working_set, program(step(nowhere)), &Refusal::NoSuchAccount(nowhere));
    working_set.decide(program(step(HOME))).unwrap();
    let write_set = WriteSet { unlinked: vec![((HOME, UNKNOWN), 7)], ..WriteSet::default() };
    assert_eq!(working_set.into_write_set(), write_set);
    let delete = mine(ResourceAction::DeleteSession(ACTIVE));
    assert!(program(step(HOME)).action.stands_alone() && !delete.action.stands_alone());
}
