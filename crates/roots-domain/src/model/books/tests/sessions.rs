//! Units of sessions.

use super::*;

const MINE_ACTIVE: Tally = Tally::Sessions(ME, SessionStatus::Active);
const MINE_ENDED: Tally = Tally::Sessions(ME, SessionStatus::Ended);

#[test]
fn starting_one_writes_it_counts_it_and_charges_for_it() {
    let mut books = books();
    let started = Session {
        id: SessionId(11),
        uid: uid(1),
        actor: ME,
        status: SessionStatus::Active,
        notes: Some(sealed("started")),
        started_at: now(),
        ended_at: None,
        version: 1,
    };
    let decided = books.decide(mine(start()));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Session(started.clone()), 99)));
    let expected = Changes {
        sessions: inserted(started),
        ..paid(1, |ids| ids.session = 11).and_tallies([(MINE_ACTIVE, 1)])
    };
    assert_eq!(books.into_changes(), expected);
}

#[test]
fn ending_one_moves_its_count_and_keeps_its_notes() {
    let mut books = books();
    let ended = Session {
        status: SessionStatus::Ended,
        ended_at: Some(now()),
        version: 2,
        ..session(ACTIVE)
    };
    let decided = books.decide(mine(end(ACTIVE)));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Session(ended.clone()), 99)));
    let expected = Changes {
        sessions: updated(ended),
        ..paid(1, |_| ()).and_tallies([(MINE_ACTIVE, -1), (MINE_ENDED, 1)])
    };
    assert_eq!(books.into_changes(), expected);
}

#[test]
fn new_notes_replace_the_ciphertext_in_either_state() {
    for id in [ACTIVE, ENDED] {
        let mut books = books();
        let notes = Patch::Set(resealed("other notes", None));
        let row = RowPatch {
            id,
            sealed_for: Some(uid(100)),
            patch: SessionPatch { status: None, notes },
        };
        let changed = Session { notes: Some(sealed("other notes")), version: 2, ..session(id) };
        let decided = books.decide(mine(Intent::PatchSession(row)));
        assert_eq!(decided, Ok(paid_for(AppliedRow::Session(changed.clone()), 99)));
        let expected = Changes { sessions: updated(changed), ..paid(1, |_| ()) };
        assert_eq!(books.into_changes(), expected);
    }
}

#[test]
fn the_same_notes_leave_the_row_and_cost_all_the_same() {
    let mut books = books();
    let notes = Patch::Set(resealed("sealed afresh", Some("notes")));
    let same = SessionPatch { status: Some(SessionStatus::Active), notes };
    let decided = books.decide(mine(patch_session(ACTIVE, same)));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Session(session(ACTIVE)), 99)));
    assert_eq!(books.into_changes(), paid(1, |_| ()));
}

#[test]
fn notes_that_were_the_same_as_what_no_longer_stands_replace_it() {
    let mut books = books();
    let notes = Patch::Set(resealed("sealed afresh", Some("notes before")));
    let patch = SessionPatch { status: None, notes };
    let AppliedRow::Session(changed) = apply(&mut books, patch_session(ACTIVE, patch)) else {
        panic!("a session is answered");
    };
    assert_eq!((changed.notes, changed.version), (Some(sealed("sealed afresh")), 2));
}

#[test]
fn deleting_one_leaves_the_rest_to_the_store() {
    for (id, tally) in [(ACTIVE, MINE_ACTIVE), (ENDED, MINE_ENDED)] {
        let mut books = books();
        let decided = books.decide(mine(Intent::DeleteSession(id)));
        assert_eq!(decided, Ok(paid_for(AppliedRow::Deleted, 99)));
        let expected =
            Changes { sessions: deleted(id), ..paid(1, |_| ()).and_tallies([(tally, -1)]) };
        assert_eq!(books.into_changes(), expected);
    }
}

#[test]
fn a_batch_mate_of_a_deletion_finds_its_row_unlinked() {
    let mut books = books();
    let link = TodoPatch { session: Patch::Set(ACTIVE), ..TodoPatch::EMPTY };
    let AppliedRow::Todo(linked) = apply(&mut books, patch_todo(TODO, link)) else {
        panic!("a todo is answered");
    };
    apply(&mut books, Intent::DeleteSession(ACTIVE));
    let AppliedRow::Todo(done) = apply(&mut books, step(TODO, TodoStatus::Done)) else {
        panic!("a todo is answered");
    };
    assert_eq!((done.session, done.version), (None, linked.version + 2));
}

#[test]
fn a_step_unlinks_in_an_account_that_there_is_for_the_program_alone() {
    let step = |account| Intent::UnlinkSession { account, session: UNKNOWN, rows: 7 };
    let mut books = books();
    assert_refused(&mut books, mine(step(HOME)), &Refusal::KeyNotInForce);
    let nowhere = AccountId(9);
    assert_refused(&mut books, program(step(nowhere)), &Refusal::NoSuchAccount(nowhere));
    books.decide(program(step(HOME))).unwrap();
    let changes = Changes { unlinked: vec![((HOME, UNKNOWN), 7)], ..Changes::default() };
    assert_eq!(books.into_changes(), changes);
    assert!(step(HOME).stands_alone() && !Intent::DeleteSession(ACTIVE).stands_alone());
}
