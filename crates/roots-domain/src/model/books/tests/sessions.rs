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
fn deleting_one_unlinks_what_was_linked_to_it() {
    for (id, tally) in [(ACTIVE, MINE_ACTIVE), (ENDED, MINE_ENDED)] {
        let mut books = books();
        let decided = books.decide(mine(Intent::DeleteSession(id)));
        assert_eq!(decided, Ok(paid_for(AppliedRow::Deleted, 99)));
        let expected = Changes {
            sessions: deleted(id),
            unlinked: vec![(HOME, id)],
            ..paid(1, |_| ()).and_tallies([(tally, -1)])
        };
        assert_eq!(books.into_changes(), expected);
    }
}

#[test]
fn only_deleting_one_reaches_beyond_its_row() {
    assert!(Intent::DeleteSession(ACTIVE).reaches_beyond_its_row());
    for near in [
        start(),
        end(ACTIVE),
        new_todo(None),
        step(TODO, TodoStatus::Done),
        Intent::DeleteTodo(TODO),
        log("deploy", None),
        Intent::DeleteActivity(ACTIVITY),
        Intent::ReserveAccount,
        found(founding(HOME)),
        grant(HOME, 1),
    ] {
        assert!(!near.reaches_beyond_its_row(), "{near:?}");
    }
}
