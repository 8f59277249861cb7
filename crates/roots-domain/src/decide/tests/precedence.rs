//! Of several errors of a command, which one it is refused for.

use super::*;

type Mend = fn(&mut WorkingSet, &mut Command);

/// Asserts that a command which breaks several rules is refused for the first of them, and so on
/// as they are mended one by one.
#[track_caller]
fn assert_order<const N: usize>(
    mut working_set: WorkingSet,
    mut command: Command,
    steps: [(Refusal, Mend); N],
) {
    for (refusal, mend) in steps {
        assert_refused(&mut working_set, command.clone(), &refusal);
        mend(&mut working_set, &mut command);
    }
    assert_eq!(working_set.decide(command).map(|applied| applied.balance), Ok(0));
}

fn row_of(command: &mut Command) -> &mut RowPatch<TodoId, TodoPatch<Resealed>> {
    match &mut command.action {
        Action::Resource(_, ResourceAction::PatchTodo { row, .. }) => row,
        other => panic!("{other:?} patches no todo"),
    }
}

fn refill(working_set: &mut WorkingSet, _: &mut Command) {
    working_set.account_mut(HOME).unwrap().balance = 1;
}

const TOO_LITTLE: Refusal = Refusal::InsufficientCredits { balance: 0, cost: 1 };

#[test]
fn a_todo_patch_is_refused_for_its_key_then_suspension_then_rules_then_balance() {
    let patch = TodoPatch {
        status: Some(TodoStatus::Cancelled),
        note: Some(resealed("note", None)),
        session: Patch::Set(OF_PEER),
        ..TodoPatch::EMPTY
    };
    let row = RowPatch { id: TODO_OF_PEER, sealed_for: Some(uid(7)), patch };
    let nowhere = KeyBearer { account: AccountId(9), auth_epoch: 1, ..bearer(ME) };
    let command =
        of(nowhere, ResourceAction::PatchTodo { row, log_uid: uid(4), claim_token: None });
    let mut working_set = with_balance(0);
    working_set.account_mut(HOME).unwrap().status = AccountStatus::Suspended;
    working_set.load_todo(HOME, Todo { status: TodoStatus::Done, ..todo(TODO) });
    let forbidden = Refusal::ForbiddenStep { from: TodoStatus::Done, to: TodoStatus::Cancelled };
    assert_order(
        working_set,
        command,
        [
            // There is no such account.
            (Refusal::KeyNotInForce, |_, command| {
                *bearer_of(command) = KeyBearer { auth_epoch: 1, ..bearer(ME) };
            }),
            // Another auth epoch, and no such key.
            (Refusal::KeyNotInForce, |_, command| *bearer_of(command) = bearer(ME)),
            (Refusal::Suspended, |working_set, _| {
                working_set.account_mut(HOME).unwrap().status = AccountStatus::Active;
            }),
            // Another actor's.
            (Refusal::NotFound("todo"), |_, command| row_of(command).id = TODO),
            // Sealed for another row.
            (Refusal::NotFound("todo"), |_, command| row_of(command).sealed_for = Some(uid(200))),
            // Another actor's.
            (Refusal::NoSuchSession(OF_PEER), |_, command| {
                row_of(command).patch.session = Patch::Set(ENDED);
            }),
            (forbidden, |_, command| row_of(command).patch.status = None),
            (Refusal::NoteWithoutChange, |_, command| {
                row_of(command).patch.status = Some(TodoStatus::Open);
            }),
            (TOO_LITTLE, refill),
        ],
    );
}

#[test]
fn a_session_patch_is_refused_as_not_found_then_for_its_state_then_balance() {
    fn row(command: &mut Command) -> &mut RowPatch<SessionId, SessionPatch<Resealed>> {
        match &mut command.action {
            Action::Resource(_, ResourceAction::PatchSession(row)) => row,
            other => panic!("{other:?} patches no session"),
        }
    }
    let patch = SessionPatch {
        status: Some(SessionStatusKind::Ended),
        notes: Patch::Set(resealed("notes", None)),
    };
    let action = RowPatch { id: OF_PEER, sealed_for: Some(Uid::NIL), patch };
    assert_order(
        with_balance(0),
        mine(ResourceAction::PatchSession(action)),
        [
            (Refusal::NotFound("session"), |_, command| row(command).id = UNKNOWN),
            (Refusal::NotFound("session"), |_, command| row(command).id = ENDED),
            // Sealed for another row.
            (Refusal::NotFound("session"), |_, command| row(command).sealed_for = Some(uid(100))),
            (Refusal::AlreadyEnded(ENDED), |_, command| {
                row(command).patch.status = Some(SessionStatusKind::Active);
            }),
            (Refusal::CannotReopen(ENDED), |_, command| row(command).patch.status = None),
            (TOO_LITTLE, refill),
        ],
    );
}

#[test]
fn a_new_todo_is_refused_for_its_session_before_the_balance() {
    fn link(command: &mut Command, to: SessionId) {
        *command = mine(new_todo(Some(to)));
    }
    assert_order(
        with_balance(0),
        mine(new_todo(Some(UNKNOWN))),
        [
            (Refusal::NoSuchSession(UNKNOWN), |_, command| link(command, OF_PEER)),
            (Refusal::NoSuchSession(OF_PEER), |_, command| link(command, ENDED)),
            (Refusal::SessionEnded(ENDED), |_, command| link(command, ACTIVE)),
            (TOO_LITTLE, refill),
        ],
    );
}

#[test]
fn a_new_activity_is_refused_for_its_session_then_its_type_then_the_balance() {
    fn link(command: &mut Command, to: SessionId) {
        *command = mine(log("new", Some(to)));
    }
    let mut working_set = with_balance(0);
    working_set.load_activity_types(HOME, ME, activity_types(&[], ACTIVITY_TYPES_MAX));
    assert_order(
        working_set,
        mine(log("new", Some(UNKNOWN))),
        [
            (Refusal::NoSuchSession(UNKNOWN), |_, command| link(command, OF_PEER)),
            (Refusal::NoSuchSession(OF_PEER), |_, command| link(command, ENDED)),
            (Refusal::SessionEnded(ENDED), |_, command| link(command, ACTIVE)),
            (Refusal::TooManyActivityTypes, |working_set, _| {
                working_set.load_activity_types(
                    HOME,
                    ME,
                    activity_types(&["new"], ACTIVITY_TYPES_MAX),
                );
            }),
            (TOO_LITTLE, refill),
        ],
    );
}

#[test]
fn missing_and_invisible_rows_are_not_found_before_the_balance_is_checked() {
    let other_row = |id| patch_session(id, SessionPatch { status: None, notes: Patch::Clear });
    for (action, what) in [
        (other_row(UNKNOWN), "session"),
        (other_row(OF_PEER), "session"),
        (ResourceAction::DeleteSession(UNKNOWN), "session"),
        (ResourceAction::DeleteSession(OF_PEER), "session"),
        (step(TodoId(9), TodoStatus::Done), "todo"),
        (step(TODO_OF_PEER, TodoStatus::Done), "todo"),
        (ResourceAction::DeleteTodo { id: TodoId(9), claim_token: None }, "todo"),
        (ResourceAction::DeleteTodo { id: TODO_OF_PEER, claim_token: None }, "todo"),
        (ResourceAction::DeleteActivity(ActivityId(9)), "activity"),
        (ResourceAction::DeleteActivity(ACTIVITY_OF_PEER), "activity"),
    ] {
        assert_refused(&mut with_balance(0), mine(action), &Refusal::NotFound(what));
    }
}

#[test]
fn every_write_is_refused_without_credits_while_suspended_and_after_its_key_ended() {
    let row_patch = SessionPatch { status: None, notes: Patch::Clear };
    for action in [
        start(),
        patch_session(ACTIVE, row_patch),
        ResourceAction::DeleteSession(ACTIVE),
        new_todo(None),
        step(TODO, TodoStatus::Done),
        ResourceAction::DeleteTodo { id: TODO, claim_token: None },
        log("deploy", None),
        ResourceAction::DeleteActivity(ACTIVITY),
    ] {
        let command = mine(action);
        assert_refused(&mut with_balance(0), command.clone(), &TOO_LITTLE);
        let mut suspended = working_set();
        suspended.account_mut(HOME).unwrap().status = AccountStatus::Suspended;
        assert_refused(&mut suspended, command.clone(), &Refusal::Suspended);
        let mut moved = working_set();
        moved.account_mut(HOME).unwrap().auth_epoch += 1;
        assert_refused(&mut moved, command.clone(), &Refusal::KeyNotInForce);
        assert!(working_set().decide(command).is_ok());
    }
}

#[test]
fn a_refused_command_leaves_the_effects_of_its_batch_unchanged() {
    let mut working_set = with_balance(2);
    apply(&mut working_set, step(TODO, TodoStatus::Done));
    apply(&mut working_set, log("review", Some(ACTIVE)));
    for (action, refusal) in [
        (step(TODO, TodoStatus::InProgress), TOO_LITTLE),
        (ResourceAction::DeleteTodo { id: TODO, claim_token: None }, TOO_LITTLE),
        (ResourceAction::DeleteActivity(ActivityId(31)), TOO_LITTLE),
        (
            ResourceAction::DeleteTodo { id: TodoId(9), claim_token: None },
            Refusal::NotFound("todo"),
        ),
    ] {
        assert_refused(&mut working_set, mine(action), &refusal);
    }
}
