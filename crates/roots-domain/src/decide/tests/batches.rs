//! What later commands of a batch see of earlier ones, and what is left of them.

use super::*;

#[test]
fn the_second_delete_of_a_row_in_a_batch_finds_nothing_and_is_not_charged() {
    for (delete, what) in [
        (ResourceAction::DeleteSession(ACTIVE), "session"),
        (ResourceAction::DeleteTodo { id: TODO, claim_token: None }, "todo"),
        (ResourceAction::DeleteActivity(ACTIVITY), "activity"),
    ] {
        let mut twice = working_set();
        apply(&mut twice, delete.clone());
        assert_refused(&mut twice, mine(delete.clone()), &Refusal::NotFound(what));
        let mut once = working_set();
        apply(&mut once, delete);
        assert_eq!(twice.into_write_set(), once.into_write_set());
    }
}

#[test]
fn creates_cannot_link_to_a_session_ended_in_the_same_batch_but_patches_can() {
    let mut working_set = working_set();
    apply(&mut working_set, end(ACTIVE));
    let ended = Refusal::SessionEnded(ACTIVE);
    assert_refused(&mut working_set, mine(new_todo(Some(ACTIVE))), &ended);
    assert_refused(&mut working_set, mine(log("deploy", Some(ACTIVE))), &ended);
    assert_refused(&mut working_set, mine(end(ACTIVE)), &Refusal::AlreadyEnded(ACTIVE));
    let link = TodoPatch { session: Patch::Set(ACTIVE), ..TodoPatch::EMPTY };
    apply(&mut working_set, patch_todo(TODO, link));
}

#[test]
fn nothing_can_link_to_a_session_deleted_in_the_same_batch() {
    let mut working_set = working_set();
    apply(&mut working_set, ResourceAction::DeleteSession(ACTIVE));
    let gone = Refusal::NoSuchSession(ACTIVE);
    assert_refused(&mut working_set, mine(new_todo(Some(ACTIVE))), &gone);
    assert_refused(&mut working_set, mine(log("deploy", Some(ACTIVE))), &gone);
    let link = TodoPatch { session: Patch::Set(ACTIVE), ..TodoPatch::EMPTY };
    assert_refused(&mut working_set, mine(patch_todo(TODO, link)), &gone);
    assert_refused(&mut working_set, mine(end(ACTIVE)), &Refusal::NotFound("session"));
}

#[test]
fn a_session_started_in_the_same_batch_can_be_linked_to() {
    let mut working_set = working_set();
    apply(&mut working_set, start());
    apply(&mut working_set, new_todo(Some(SessionId(11))));
    apply(&mut working_set, log("deploy", Some(SessionId(11))));
    let write_set = working_set.into_write_set();
    assert_eq!(write_set.todos.inserted[0].1.content.session, Some(SessionId(11)));
    assert_eq!(write_set.activities.inserted[0].1.session, Some(SessionId(11)));
}

#[test]
fn a_patch_after_a_delete_in_the_same_batch_finds_no_todo() {
    let mut working_set = working_set();
    apply(&mut working_set, ResourceAction::DeleteTodo { id: TODO, claim_token: None });
    let command = mine(step(TODO, TodoStatus::Done));
    assert_refused(&mut working_set, command, &Refusal::NotFound("todo"));
}

#[test]
fn rows_created_and_deleted_in_one_batch_leave_only_ledger_rows_and_used_ids() {
    let mut working_set = working_set();
    apply(&mut working_set, new_todo(None));
    apply(&mut working_set, step(TodoId(21), TodoStatus::InProgress));
    apply(&mut working_set, step(TodoId(21), TodoStatus::Done));
    apply(&mut working_set, ResourceAction::DeleteTodo { id: TodoId(21), claim_token: None });
    apply(&mut working_set, log("review", None));
    apply(&mut working_set, ResourceAction::DeleteActivity(ActivityId(31)));
    let ids = |ids: &mut LastIds| (ids.todo, ids.log, ids.activity) = (21, 42, 31);
    let moved = |status| Some(TodoStep::Moved(status));
    let writes = [
        (21, MADE),
        (21, moved(TodoStatus::InProgress)),
        (21, moved(TodoStatus::Done)),
        (21, None),
        (31, None),
        (31, None),
    ];
    // What was done is counted, although the todo is gone.
    assert_eq!(working_set.into_write_set(), paid(&writes, ids));
}

#[test]
fn deleting_a_todo_drops_its_log_entries_of_the_same_batch() {
    let mut working_set = working_set();
    apply(&mut working_set, step(TODO, TodoStatus::Done));
    apply(&mut working_set, ResourceAction::DeleteTodo { id: TODO, claim_token: None });
    let open = Counter::Todos(ME, TodoStatus::Open, priority(2));
    let writes = [(TODO.0, Some(TodoStep::Moved(TodoStatus::Done))), (TODO.0, None)];
    let paid = paid(&writes, |ids| ids.log = 41);
    let expected = WriteSet { todos: deleted(TODO), ..paid.and_counters([(open, -1)]) };
    assert_eq!(working_set.into_write_set(), expected);
}

#[test]
fn several_status_changes_of_a_todo_leave_a_chain_of_log_entries_and_one_update() {
    use TodoStatus::{Done, InProgress, Open};
    let mut working_set = working_set();
    for to in [InProgress, InProgress, Done, Open, Done] {
        apply(&mut working_set, step(TODO, to));
    }
    let write_set = working_set.into_write_set();
    let steps: Vec<_> = write_set
        .logs
        .iter()
        .map(|(.., log)| (log.id.0, log.todo, log.old_status, log.new_status))
        .collect();
    let expected = [
        (41, TODO, Open, InProgress),
        (42, TODO, InProgress, Done),
        (43, TODO, Done, Open),
        (44, TODO, Open, Done),
    ];
    assert_eq!(steps, expected);
    let (at, version) = (now(), 8);
    let done = Todo { status: Done, updated_at: at, status_since: at, version, ..todo(TODO) };
    assert_eq!(write_set.todos, updated(done));
    let moves = [
        (Counter::Todos(ME, Open, priority(2)), -1),
        (Counter::Todos(ME, Done, priority(2)), 1),
        (Counter::Ledger(Reason::ApiWrite), 5),
    ];
    assert_eq!(write_set.counters, counters(moves));
}

#[test]
fn the_last_credit_is_spent_once() {
    let mut working_set = with_balance(1);
    let spent = working_set.decide(mine(start())).unwrap();
    assert_eq!((spent.cost, spent.balance), (1, 0));
    let too_little = Refusal::InsufficientCredits { balance: 0, cost: 1 };
    assert_refused(&mut working_set, by(PEER, start()), &too_little);
    let write_set = working_set.into_write_set();
    assert_eq!(write_set.accounts_changed[0].balance, 0);
    assert_eq!(write_set.accounts_changed[0].last_ids.session, 11);
    assert_eq!(write_set.ledger.len(), 1);
}

#[test]
fn a_grant_can_be_spent_in_the_same_batch() {
    let mut working_set = with_balance(0);
    working_set.decide(by_command_line(grant(HOME, 1))).unwrap();
    assert_eq!(working_set.decide(mine(start())).map(|applied| applied.balance), Ok(0));
    let after: Vec<_> =
        working_set.into_write_set().ledger.iter().map(|(_, row)| row.balance_after).collect();
    assert_eq!(after, [1, 0]);
}

#[test]
fn equal_ids_in_two_accounts_of_a_batch_are_kept_apart() {
    let abroad = |action| of(KeyBearer { account: ABROAD, ..bearer(ME) }, action);
    let mut working_set = working_set();
    apply(&mut working_set, ResourceAction::DeleteTodo { id: TODO, claim_token: None });
    working_set.decide(abroad(step(TODO, TodoStatus::Done))).unwrap();
    working_set.decide(abroad(start())).unwrap();
    apply(&mut working_set, start());
    let write_set = working_set.into_write_set();
    let ids: Vec<_> =
        write_set.sessions.inserted.iter().map(|(home, row)| (*home, row.id.0)).collect();
    assert_eq!(ids, [(HOME, 11), (ABROAD, 11)]);
    assert_eq!(write_set.todos.deleted, [(HOME, TODO)]);
    assert_eq!(write_set.todos.updated[0].0, ABROAD);
    assert_eq!(write_set.logs[0].0, ABROAD);
    let balances: Vec<_> =
        write_set.accounts_changed.iter().map(|row| (row.id, row.balance)).collect();
    assert_eq!(balances, [(HOME, BALANCE - 2), (ABROAD, BALANCE - 2)]);
    let ledger: Vec<_> =
        write_set.ledger.iter().map(|(home, row)| (*home, row.id.0, row.balance_after)).collect();
    assert_eq!(ledger, [(HOME, 51, 99), (ABROAD, 51, 99), (ABROAD, 52, 98), (HOME, 52, 98)]);
}

#[test]
fn an_id_is_never_given_twice() {
    let mut working_set = working_set();
    for id in [21, 22] {
        let AppliedRow::Todo(created) = apply(&mut working_set, new_todo(None)) else {
            panic!("a todo is answered");
        };
        assert_eq!(created.id, TodoId(id));
        apply(&mut working_set, ResourceAction::DeleteTodo { id: created.id, claim_token: None });
    }
    let unknown = mine(new_todo(Some(UNKNOWN)));
    assert_refused(&mut working_set, unknown, &Refusal::NoSuchSession(UNKNOWN));
    let AppliedRow::Todo(created) = apply(&mut working_set, new_todo(None)) else {
        panic!("a todo is answered");
    };
    assert_eq!(created.id, TodoId(23), "a refused create takes no id");
}

#[test]
fn a_command_without_a_charge_costs_nothing_and_leaves_no_ledger_row() {
    let mut working_set = with_balance(0);
    let free = Command { charge: None, ..mine(start()) };
    let applied = working_set.decide(free).unwrap();
    assert_eq!((applied.cost, applied.balance), (0, 0));
    let write_set = working_set.into_write_set();
    assert_eq!(write_set.ledger, []);
    assert_eq!(
        write_set.counters,
        counters([(Counter::Sessions(ME, SessionStatusKind::Active), 1)])
    );
}

#[test]
fn a_command_that_costs_3_credits_is_refused_on_a_balance_of_2() {
    let dear = Command { charge: Some(Charge { cost: 3, endpoint: ROUTE }), ..mine(start()) };
    let too_little = Refusal::InsufficientCredits { balance: 2, cost: 3 };
    assert_refused(&mut with_balance(2), dear.clone(), &too_little);
    let mut working_set = with_balance(3);
    let applied = working_set.decide(dear).unwrap();
    assert_eq!((applied.cost, applied.balance), (3, 0));
    assert_eq!(working_set.into_write_set().ledger[0].1.delta, -3);
}

#[test]
fn a_working_set_without_commands_has_an_empty_write_set() {
    assert_eq!(working_set().into_write_set(), WriteSet::default());
}
