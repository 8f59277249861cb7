//! Commands that create several todos.

use super::*;

fn created(id: i64, uid_number: u128, session: Option<SessionId>) -> Todo<Sealed> {
    Todo {
        id: TodoId(id),
        uid: uid(uid_number),
        actor: ME,
        content: draft(session).content,
        status: TodoStatus::Open,
        claims: Claims::NONE,
        created_at: now(),
        updated_at: now(),
        status_since: now(),
        version: 1,
    }
}

#[test]
fn many_todos_get_the_next_ids_in_order_and_are_paid_with_one_ledger_entry() {
    let mut working_set = working_set();
    let decided = working_set.decide(mine(new_todos([None, Some(ACTIVE), None])));
    let todos = vec![created(21, 70, None), created(22, 71, Some(ACTIVE)), created(23, 72, None)];
    let row = AppliedRow::Todos(todos.clone());
    assert_eq!(decided, Ok(Applied { row, cost: 3, balance: 97, is_replay: false }));
    let one = paid(&[(21, MADE)], |ids| ids.todo = 23);
    let steps = steps([(ME, now(), TodoStep::Made, 3)]);
    let (home, entry) = one.ledger[0].clone();
    let expected = WriteSet {
        accounts_changed: vec![Account { balance: 97, ..one.accounts_changed[0].clone() }],
        ledger: vec![(home, LedgerEntry { delta: -3, balance_after: 97, steps, ..entry })],
        todos: Difference {
            inserted: todos.into_iter().map(|todo| (HOME, todo)).collect(),
            ..Difference::default()
        },
        work: work(
            Some(ME),
            WorkCounts { todos_made: 3, credits_spent: 3, ..WorkCounts::default() },
        ),
        ..one.and_counters([(Counter::Todos(ME, TodoStatus::Open, priority(3)), 3)])
    };
    assert_eq!(working_set.into_write_set(), expected);
}

#[test]
fn the_first_refused_todo_is_named_and_none_of_many_is_created() {
    let of_peer = |index: usize| {
        let ResourceAction::CreateTodos(new) = new_todos([None; 3]) else { panic!("it creates") };
        let new = new.try_map(|number, (uid, new)| {
            let actor = if number == index { PEER } else { ME };
            Ok::<_, Refusal>((uid, NewTodo { actor: Some(actor), ..new }))
        });
        ResourceAction::CreateTodos(new.unwrap())
    };
    for (action, refusal) in [
        (new_todos([None, Some(ENDED), None]), Refusal::SessionEnded(ENDED).of_todo(1)),
        (
            new_todos([Some(ACTIVE), None, Some(UNKNOWN)]),
            Refusal::NoSuchSession(UNKNOWN).of_todo(2),
        ),
        (new_todos([Some(ENDED), Some(UNKNOWN)]), Refusal::SessionEnded(ENDED).of_todo(0)),
        (of_peer(0), Refusal::OwnerOnly.of_todo(0)),
        (of_peer(2), Refusal::OwnerOnly.of_todo(2)),
    ] {
        assert_refused(&mut working_set(), of(bearer(ME), action), &refusal);
    }
}

#[test]
fn an_owner_creates_many_todos_of_several_actors_at_once() {
    let of_both = [(70, draft(Some(ACTIVE))), (71, NewTodo { actor: Some(PEER), ..draft(None) })];
    let new = of_both.map(|(number, new)| (uid(number), new));
    let action = ResourceAction::CreateTodos(NewTodos::new(new.into()).unwrap());
    let owner = KeyBearer { role: Role::Owner, ..bearer(ME) };
    let mut working_set = working_set();
    let applied = working_set.decide(of(owner, action)).unwrap();
    let theirs = Todo { actor: PEER, ..created(22, 71, None) };
    assert_eq!(applied.row, AppliedRow::Todos(vec![created(21, 70, Some(ACTIVE)), theirs]));
}

#[test]
fn a_balance_that_covers_only_some_of_many_todos_pays_for_none() {
    let refusal = Refusal::InsufficientCredits { balance: 2, cost: 3 };
    assert_refused(&mut with_balance(2), mine(new_todos([None; 3])), &refusal);
    let applied = with_balance(3).decide(mine(new_todos([None; 3]))).unwrap();
    assert_eq!((applied.cost, applied.balance), (3, 0));
}

#[test]
fn creating_many_todos_is_a_heartbeat_of_each_session_they_name() {
    let mut working_set = working_set();
    let other = SessionId(4);
    working_set.load_session(HOME, Session { id: other, ..session(ACTIVE) });
    for id in [ACTIVE, other] {
        let activity = SessionActivity { session: id, last_active_at: at(0), is_open: true };
        working_set.load_session_activity(HOME, activity);
    }
    apply(&mut working_set, new_todos([Some(ACTIVE), None, Some(other)]));
    let stored = working_set.into_write_set().session_activity.updated;
    let seen: Vec<_> = stored.iter().map(|(_, row)| (row.session, row.last_active_at)).collect();
    assert_eq!(seen, [(ACTIVE, now()), (other, now())]);
}

#[test]
fn claims_after_many_todos_take_them_in_the_order_of_claims() {
    let mut working_set = working_set();
    let ResourceAction::CreateTodos(new) = new_todos([None; 3]) else { panic!("it creates") };
    let new = new.try_map(|index, (uid, mut new)| {
        new.content.priority = priority([1, 3, 0][index]);
        Ok::<_, Refusal>((uid, new))
    });
    apply(&mut working_set, ResourceAction::CreateTodos(new.unwrap()));
    let mut taken = Vec::new();
    while let AppliedRow::Claimed(todo, _) = apply(&mut working_set, claims::claim_next()) {
        taken.push(todo.id.0);
    }
    // The todo that was there before has priority 2.
    assert_eq!(taken, [22, TODO.0, 21, 23]);
}
