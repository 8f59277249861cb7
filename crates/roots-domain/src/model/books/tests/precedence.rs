//! Of several faults of a unit, which one it is refused for.

use super::*;

type Mend = fn(&mut Books, &mut UnitOfWork);

/// Asserts that a unit which breaks several rules is refused for the first of them, and so on
/// as they are mended one by one.
#[track_caller]
fn assert_order<const N: usize>(
    mut books: Books,
    mut unit: UnitOfWork,
    steps: [(Refusal, Mend); N],
) {
    for (refusal, mend) in steps {
        assert_refused(&mut books, unit.clone(), &refusal);
        mend(&mut books, &mut unit);
    }
    assert_eq!(books.decide(unit).map(|applied| applied.balance), Ok(0));
}

fn row_of(unit: &mut UnitOfWork) -> &mut RowPatch<TodoId, TodoPatch<Resealed>> {
    match &mut unit.intent {
        Intent::PatchTodo { row, .. } => row,
        other => panic!("{other:?} patches no todo"),
    }
}

fn refill(books: &mut Books, _: &mut UnitOfWork) {
    books.account_mut(HOME).unwrap().balance = 1;
}

const TOO_LITTLE: Refusal = Refusal::InsufficientCredits { balance: 0, cost: 1 };

#[test]
fn a_key_not_in_force_comes_before_a_suspension_before_a_rule_before_the_balance() {
    let patch = TodoPatch {
        status: Some(TodoStatus::Cancelled),
        note: Some(resealed("note", None)),
        session: Patch::Set(OF_PEER),
        ..TodoPatch::EMPTY
    };
    let row = RowPatch { id: TODO_OF_PEER, sealed_for: Some(uid(7)), patch };
    let mut unit = mine(Intent::PatchTodo { row, log_uid: uid(4) });
    unit.author = Author::Key(KeyBearer { account: AccountId(9), auth_epoch: 1, ..bearer(ME) });
    let mut books = with_balance(0);
    books.account_mut(HOME).unwrap().status = AccountStatus::Suspended;
    books.load_todo(HOME, Todo { status: TodoStatus::Done, ..todo(TODO) });
    let forbidden = Refusal::ForbiddenStep { from: TodoStatus::Done, to: TodoStatus::Cancelled };
    assert_order(
        books,
        unit,
        [
            // No such account.
            (Refusal::KeyNotInForce, |_, unit| {
                unit.author = Author::Key(KeyBearer { auth_epoch: 1, ..bearer(ME) });
            }),
            // Another auth epoch, and no such key.
            (Refusal::KeyNotInForce, |_, unit| unit.author = Author::Key(bearer(ME))),
            (Refusal::Suspended, |books, _| {
                books.account_mut(HOME).unwrap().status = AccountStatus::Active;
            }),
            // Another actor's.
            (Refusal::NotFound("todo"), |_, unit| row_of(unit).id = TODO),
            // Sealed for another row.
            (Refusal::NotFound("todo"), |_, unit| row_of(unit).sealed_for = Some(uid(200))),
            // Another actor's.
            (Refusal::NoSuchSession(OF_PEER), |_, unit| {
                row_of(unit).patch.session = Patch::Set(ENDED);
            }),
            (forbidden, |_, unit| row_of(unit).patch.status = None),
            (Refusal::NoteWithoutChange, |_, unit| {
                row_of(unit).patch.status = Some(TodoStatus::Open);
            }),
            (TOO_LITTLE, refill),
        ],
    );
}

#[test]
fn of_a_session_its_being_there_comes_before_its_state_before_the_balance() {
    fn row(unit: &mut UnitOfWork) -> &mut RowPatch<SessionId, SessionPatch<Resealed>> {
        match &mut unit.intent {
            Intent::PatchSession(row) => row,
            other => panic!("{other:?} patches no session"),
        }
    }
    let patch = SessionPatch {
        status: Some(SessionStatus::Ended),
        notes: Patch::Set(resealed("notes", None)),
    };
    let intent = RowPatch { id: OF_PEER, sealed_for: Some(Uid::NIL), patch };
    assert_order(
        with_balance(0),
        mine(Intent::PatchSession(intent)),
        [
            (Refusal::NotFound("session"), |_, unit| row(unit).id = UNKNOWN),
            (Refusal::NotFound("session"), |_, unit| row(unit).id = ENDED),
            // Sealed for another row.
            (Refusal::NotFound("session"), |_, unit| row(unit).sealed_for = Some(uid(100))),
            (Refusal::AlreadyEnded(ENDED), |_, unit| {
                row(unit).patch.status = Some(SessionStatus::Active);
            }),
            (Refusal::CannotReopen(ENDED), |_, unit| row(unit).patch.status = None),
            (TOO_LITTLE, refill),
        ],
    );
}

#[test]
fn a_new_todo_needs_its_session_before_the_balance() {
    fn link(unit: &mut UnitOfWork, to: SessionId) {
        unit.intent = new_todo(Some(to));
    }
    assert_order(
        with_balance(0),
        mine(new_todo(Some(UNKNOWN))),
        [
            (Refusal::NoSuchSession(UNKNOWN), |_, unit| link(unit, OF_PEER)),
            (Refusal::NoSuchSession(OF_PEER), |_, unit| link(unit, ENDED)),
            (Refusal::SessionEnded(ENDED), |_, unit| link(unit, ACTIVE)),
            (TOO_LITTLE, refill),
        ],
    );
}

#[test]
fn a_new_activity_needs_its_session_before_its_kind_before_the_balance() {
    fn link(unit: &mut UnitOfWork, to: SessionId) {
        unit.intent = log("new", Some(to));
    }
    let mut books = with_balance(0);
    books.load_kinds(HOME, ME, kinds(&[], KINDS_MAX));
    assert_order(
        books,
        mine(log("new", Some(UNKNOWN))),
        [
            (Refusal::NoSuchSession(UNKNOWN), |_, unit| link(unit, OF_PEER)),
            (Refusal::NoSuchSession(OF_PEER), |_, unit| link(unit, ENDED)),
            (Refusal::SessionEnded(ENDED), |_, unit| link(unit, ACTIVE)),
            (Refusal::TooManyKinds, |books, _| {
                books.load_kinds(HOME, ME, kinds(&["new"], KINDS_MAX));
            }),
            (TOO_LITTLE, refill),
        ],
    );
}

#[test]
fn what_is_not_there_or_not_the_callers_is_not_found_before_the_balance_is_looked_at() {
    let other_row = |id| patch_session(id, SessionPatch { status: None, notes: Patch::Clear });
    for (intent, what) in [
        (other_row(UNKNOWN), "session"),
        (other_row(OF_PEER), "session"),
        (Intent::DeleteSession(UNKNOWN), "session"),
        (Intent::DeleteSession(OF_PEER), "session"),
        (step(TodoId(9), TodoStatus::Done), "todo"),
        (step(TODO_OF_PEER, TodoStatus::Done), "todo"),
        (Intent::DeleteTodo(TodoId(9)), "todo"),
        (Intent::DeleteTodo(TODO_OF_PEER), "todo"),
        (Intent::DeleteActivity(ActivityId(9)), "activity"),
        (Intent::DeleteActivity(ACTIVITY_OF_PEER), "activity"),
    ] {
        assert_refused(&mut with_balance(0), mine(intent), &Refusal::NotFound(what));
    }
}

#[test]
fn every_write_is_refused_without_credits_when_suspended_and_when_the_key_has_ended() {
    let row_patch = SessionPatch { status: None, notes: Patch::Clear };
    for intent in [
        start(),
        patch_session(ACTIVE, row_patch),
        Intent::DeleteSession(ACTIVE),
        new_todo(None),
        step(TODO, TodoStatus::Done),
        Intent::DeleteTodo(TODO),
        log("deploy", None),
        Intent::DeleteActivity(ACTIVITY),
    ] {
        let unit = mine(intent);
        assert_refused(&mut with_balance(0), unit.clone(), &TOO_LITTLE);
        let mut suspended = books();
        suspended.account_mut(HOME).unwrap().status = AccountStatus::Suspended;
        assert_refused(&mut suspended, unit.clone(), &Refusal::Suspended);
        let mut moved = books();
        moved.account_mut(HOME).unwrap().auth_epoch += 1;
        assert_refused(&mut moved, unit.clone(), &Refusal::KeyNotInForce);
        assert!(books().decide(unit).is_ok());
    }
}

#[test]
fn a_refusal_moves_nothing_of_what_batch_mates_did() {
    let mut books = with_balance(2);
    apply(&mut books, step(TODO, TodoStatus::Done));
    apply(&mut books, log("review", Some(ACTIVE)));
    for (intent, refusal) in [
        (step(TODO, TodoStatus::InProgress), TOO_LITTLE),
        (Intent::DeleteTodo(TODO), TOO_LITTLE),
        (Intent::DeleteActivity(ActivityId(31)), TOO_LITTLE),
        (Intent::DeleteTodo(TodoId(9)), Refusal::NotFound("todo")),
    ] {
        assert_refused(&mut books, mine(intent), &refusal);
    }
}
