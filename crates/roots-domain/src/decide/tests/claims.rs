//! Claims of todos.

use super::*;

use TodoStatus::{InProgress, Open};

const LEASE_SECONDS: i64 = 600;
const TOKEN: ClaimToken = ClaimToken(1);

fn lease() -> LeaseSeconds {
    LeaseSeconds::parse(LEASE_SECONDS).unwrap()
}

fn request() -> ClaimRequest {
    ClaimRequest {
        actor: ME,
        session: None,
        todo: None,
        min_priority: priority(0),
        lease: lease(),
        log_uids: [uid(5), uid(6)],
        lapse_note: sealed("claim lapsed"),
    }
}

fn claim(request: ClaimRequest) -> ResourceAction {
    ResourceAction::ClaimTodo(request)
}

pub(super) fn claim_next() -> ResourceAction {
    claim(request())
}

fn claim_one(id: TodoId) -> ResourceAction {
    claim(ClaimRequest { todo: Some(id), ..request() })
}

fn release(id: TodoId, claim_token: ClaimToken) -> ResourceAction {
    ResourceAction::ReleaseTodo { id, claim_token, log_uid: uid(7) }
}

fn with_token(action: ResourceAction, token: ClaimToken) -> ResourceAction {
    match action {
        ResourceAction::PatchTodo { row, log_uid, .. } => {
            ResourceAction::PatchTodo { row, log_uid, claim_token: Some(token) }
        }
        ResourceAction::DeleteTodo { id, .. } => {
            ResourceAction::DeleteTodo { id, claim_token: Some(token) }
        }
        other => other,
    }
}

/// The end of a lease that begins now.
fn deadline() -> Timestamp {
    now().plus_seconds(LEASE_SECONDS + 60)
}

/// A working set with only these todos of `ME`: their ids, priorities, due dates and ages.
fn list(todos: &[(i64, i64, Option<i64>, i64)]) -> WorkingSet {
    let mut working_set = working_set();
    working_set.todos = super::super::rows::Rows::new();
    for (id, level, due_at, created_at) in todos {
        let content = TodoContent {
            priority: priority(*level),
            due_at: due_at.map(at),
            session: None,
            ..todo(TODO).content
        };
        let created_at = at(*created_at);
        working_set.load_todo(HOME, Todo { id: TodoId(*id), content, created_at, ..todo(TODO) });
    }
    working_set
}

#[track_caller]
fn claimed(working_set: &mut WorkingSet, action: ResourceAction) -> (Todo<Sealed>, Timestamp) {
    match apply(working_set, action) {
        AppliedRow::Claimed(todo, until) => (todo, until),
        other => panic!("{other:?} is no claim"),
    }
}

fn ids_in_order(working_set: &mut WorkingSet) -> Vec<i64> {
    let mut ids = Vec::new();
    while let AppliedRow::Claimed(todo, _) = apply(working_set, claim_next()) {
        ids.push(todo.id.0);
    }
    ids
}

#[test]
fn a_claim_takes_the_todo_in_progress_and_logs_it() {
    let mut working_set = working_set();
    working_set.load_session_activity(
        HOME,
        SessionActivity { session: ACTIVE, last_active_at: now(), is_open: true },
    );
    let session = Some(ACTIVE);
    let decided = working_set.decide(mine(claim(ClaimRequest { session, ..request() })));
    let standing = Some(Claim { session, claimed_at: now(), lease: lease() });
    let next = Todo {
        status: TodoStatus::InProgress,
        claims: Claims { count: 1, standing },
        updated_at: now(),
        status_since: now(),
        version: 5,
        ..todo(TODO)
    };
    let row = AppliedRow::Claimed(next.clone(), deadline());
    assert_eq!(decided, Ok(paid_for(row, 99)));
    let step = StatusChange {
        id: LogId(41),
        uid: uid(6),
        todo: TODO,
        old_status: TodoStatus::Open,
        new_status: TodoStatus::InProgress,
        note: None,
        logged_at: now(),
    };
    let kept = Deadline::of(&next, deadline()).unwrap();
    let counts = [
        (Counter::Todos(ME, TodoStatus::Open, priority(2)), -1),
        (Counter::Todos(ME, TodoStatus::InProgress, priority(2)), 1),
    ];
    let expected = WriteSet {
        todos: updated(next),
        logs: vec![(HOME, ME, step)],
        deadlines: inserted(kept),
        ..paid(&[(TODO.0, Some(TodoStep::Moved(TodoStatus::InProgress)))], |ids| ids.log = 41)
            .and_counters(counts)
    };
    assert_eq!(working_set.into_write_set(), expected);
}

#[test]
fn todos_are_claimed_by_priority_then_due_date_then_age() {
    let mut working_set = list(&[
        (1, 0, Some(1), 1),
        (2, 3, None, 1),
        (3, 3, Some(90), 2),
        (4, 3, Some(80), 9),
        (5, 3, None, 0),
        (6, 3, Some(80), 8),
        (7, 1, None, 5),
        (8, 1, None, 5),
    ]);
    assert_eq!(ids_in_order(&mut working_set), [6, 4, 3, 5, 2, 7, 8, 1]);
}

#[test]
fn a_claim_takes_no_todo_below_its_priority_and_none_of_another_actor() {
    let mut working_set = list(&[(1, 1, None, 1)]);
    working_set.load_todo(HOME, todo(TODO_OF_PEER));
    let above = claim(ClaimRequest { min_priority: priority(2), ..request() });
    assert_eq!(apply(&mut working_set, above), AppliedRow::NothingToClaim);
    assert_eq!(ids_in_order(&mut working_set), [1]);
}

#[test]
fn a_claim_that_finds_no_todo_is_free_and_is_not_kept() {
    let mut working_set = list(&[]);
    working_set.load_account(Account { balance: 0, ..account(HOME) });
    let before = stands(&working_set);
    let decided = working_set.decide(mine(claim_next()));
    let row = AppliedRow::NothingToClaim;
    assert_eq!(decided, Ok(Applied { row, cost: 0, balance: 0, is_replay: false }));
    assert_eq!(stands(&working_set), before);
}

#[test]
fn a_batch_that_finishes_one_todo_claims_the_next_one() {
    let mut working_set = list(&[(1, 3, None, 1), (2, 0, None, 1)]);
    apply(&mut working_set, step(TodoId(1), TodoStatus::Done));
    assert_eq!(claimed(&mut working_set, claim_next()).0.id, TodoId(2));
    let AppliedRow::Todo(created) = apply(&mut working_set, new_todo(None)) else { panic!() };
    assert_eq!(claimed(&mut working_set, claim_next()).0.id, created.id);
    assert_eq!(apply(&mut working_set, claim_next()), AppliedRow::NothingToClaim);
    apply(&mut working_set, step(TodoId(1), TodoStatus::Open));
    assert_eq!(claimed(&mut working_set, claim_next()).0.id, TodoId(1));
}

#[test]
fn the_candidates_of_an_actor_are_one_for_each_claim_and_one_for_each_todo_that_is_named() {
    let commands = [
        mine(claim(ClaimRequest { min_priority: priority(2), ..request() })),
        mine(claim_next()),
        mine(claim_one(TODO)),
        by(PEER, claim(ClaimRequest { actor: PEER, ..request() })),
        mine(step(TODO, TodoStatus::Done)),
        mine(new_todo(None)),
        mine(ResourceAction::DeleteTodo { id: TODO, claim_token: None }),
        mine(release(TODO, TOKEN)),
        mine(log("deploy", None)),
        mine(start()),
    ];
    let read_set = ReadSet::of(&commands);
    let scope = |actor| ClaimScope { account: HOME, actor, min_priority: priority(0) };
    let candidates = working_set().claim_candidates(&commands, &read_set);
    assert_eq!(candidates, [(scope(ME), 4), (scope(PEER), 1)]);
    assert_eq!(read_set.todos, BTreeSet::from([(HOME, TODO)]));
    let named = &commands[2..3];
    assert_eq!(working_set().claim_candidates(named, &ReadSet::of(named)), []);
}

#[test]
fn a_held_todo_is_refused_to_everyone_and_told_until_when() {
    let mut working_set = working_set();
    claimed(&mut working_set, claim_one(TODO));
    let refusal = Refusal::ClaimHeld { todo: TODO, until: deadline() };
    assert_refused(&mut working_set, mine(claim_one(TODO)), &refusal);
    assert_eq!(apply(&mut working_set, claim_next()), AppliedRow::NothingToClaim);
}

#[test]
fn a_named_todo_in_progress_without_a_claim_is_taken_without_a_log_row() {
    let mut working_set = working_set();
    apply(&mut working_set, step(TODO, TodoStatus::InProgress));
    assert_eq!(apply(&mut working_set, claim_next()), AppliedRow::NothingToClaim);
    let (todo, _) = claimed(&mut working_set, claim_one(TODO));
    assert_eq!((todo.status, todo.claims.token()), (TodoStatus::InProgress, Some(TOKEN)));
    assert_eq!(working_set.into_write_set().logs.len(), 1);
}

#[test]
fn a_named_todo_that_is_over_or_of_another_actor_is_refused() {
    for status in [TodoStatus::Done, TodoStatus::Cancelled] {
        let mut working_set = working_set();
        apply(&mut working_set, step(TODO, status));
        let refusal = Refusal::NotClaimable { todo: TODO, status };
        assert_refused(&mut working_set, mine(claim_one(TODO)), &refusal);
    }
    let mut working_set = working_set();
    let not_found = Refusal::NotFound("todo");
    assert_refused(&mut working_set, mine(claim_one(TODO_OF_PEER)), &not_found);
    let of_peer = || claim(ClaimRequest { actor: PEER, todo: Some(TODO_OF_PEER), ..request() });
    assert_refused(&mut working_set, mine(of_peer()), &Refusal::OwnerOnly);
    let owner = KeyBearer { role: Role::Owner, ..bearer(ME) };
    assert_refused(&mut working_set, of(owner, claim_one(TODO_OF_PEER)), &not_found);
    assert!(working_set.decide(of(owner, of_peer())).is_ok());
}

#[test]
fn a_claim_is_linked_to_an_active_session_of_the_actor() {
    for (session, refusal) in [
        (ENDED, Refusal::SessionEnded(ENDED)),
        (OF_PEER, Refusal::NoSuchSession(OF_PEER)),
        (UNKNOWN, Refusal::NoSuchSession(UNKNOWN)),
    ] {
        let action = claim(ClaimRequest { session: Some(session), ..request() });
        assert_refused(&mut working_set(), mine(action), &refusal);
    }
}

/// A claimed todo, and the time so many seconds after its claim.
fn after(seconds: i64) -> WorkingSet {
    let mut working_set = working_set();
    claimed(&mut working_set, claim_one(TODO));
    working_set.set_shared_now(now().plus_seconds(seconds));
    working_set
}

#[test]
fn a_lapsed_claim_is_taken_again_and_the_log_tells_so() {
    for action in [claim_next(), claim_one(TODO)] {
        let refused = Refusal::ClaimHeld { todo: TODO, until: deadline() };
        let mut early = after(LEASE_SECONDS + 59);
        assert_refused(&mut early, mine(claim_one(TODO)), &refused);
        assert_eq!(apply(&mut early, claim_next()), AppliedRow::NothingToClaim);

        let mut working_set = after(LEASE_SECONDS + 60);
        let (todo, until) = claimed(&mut working_set, action);
        assert_eq!(todo.claims.token(), Some(ClaimToken(2)));
        assert_eq!(until, deadline().plus_seconds(LEASE_SECONDS + 60));
        let logs = working_set.into_write_set().logs;
        let steps: Vec<_> = logs
            .iter()
            .map(|(.., log)| (log.id.0, log.uid, log.old_status, log.new_status, log.note.clone()))
            .collect();
        assert_eq!(
            steps,
            [
                (41, uid(6), Open, InProgress, None),
                (42, uid(5), InProgress, Open, Some(sealed("claim lapsed"))),
                (43, uid(6), Open, InProgress, None),
            ]
        );
        assert_eq!(todo.status_since, logs[2].2.logged_at);
    }
}

#[test]
fn lapsed_todos_come_after_the_open_ones_of_their_priority() {
    let mut working_set =
        list(&[(1, 1, Some(1), 1), (2, 1, None, 9), (3, 0, Some(1), 0), (4, 1, Some(0), 0)]);
    claimed(&mut working_set, claim_one(TodoId(1)));
    claimed(&mut working_set, claim_one(TodoId(4)));
    working_set.set_shared_now(deadline());
    assert_eq!(ids_in_order(&mut working_set), [2, 4, 1, 3]);
}

#[test]
fn a_write_with_its_token_keeps_a_claim_alive_and_revives_a_lapsed_one() {
    for age in [LEASE_SECONDS, 10 * LEASE_SECONDS] {
        let mut working_set = after(age);
        let note = patch_todo(TODO, TodoPatch { due_at: Patch::Clear, ..TodoPatch::EMPTY });
        apply(&mut working_set, with_token(note, TOKEN));
        let until = deadline().plus_seconds(age);
        let refusal = Refusal::ClaimHeld { todo: TODO, until };
        assert_refused(&mut working_set, mine(claim_one(TODO)), &refusal);
    }
}

#[test]
fn a_patch_with_nothing_but_a_token_keeps_its_claim_alive_and_its_tag() {
    let mut working_set = after(LEASE_SECONDS);
    let alone = with_token(patch_todo(TODO, TodoPatch::EMPTY), TOKEN);
    let AppliedRow::Todo(todo) = apply(&mut working_set, alone) else { panic!() };
    assert_eq!(todo.version, 5);
    let write_set = working_set.into_write_set();
    assert_eq!(write_set.deadlines.inserted[0].1.until, deadline().plus_seconds(LEASE_SECONDS));
}

#[test]
fn a_write_of_its_session_keeps_a_claim_alive_and_revives_a_lapsed_one() {
    let mut working_set = working_set();
    let last_active_at = now();
    let activity = SessionActivity { session: ACTIVE, last_active_at, is_open: true };
    working_set.load_session_activity(HOME, activity);
    let session = Some(ACTIVE);
    claimed(&mut working_set, claim(ClaimRequest { session, ..request() }));
    working_set.set_shared_now(now().plus_seconds(9 * LEASE_SECONDS));
    apply(&mut working_set, log("deploy", session));
    let until = deadline().plus_seconds(9 * LEASE_SECONDS);
    let refusal = Refusal::ClaimHeld { todo: TODO, until };
    assert_refused(&mut working_set, mine(claim_one(TODO)), &refusal);

    // Its deletion is the last write of it, and the claim is left to its lease.
    working_set.set_shared_now(now().plus_seconds(10 * LEASE_SECONDS));
    apply(&mut working_set, ResourceAction::DeleteSession(ACTIVE));
    let until = deadline().plus_seconds(10 * LEASE_SECONDS);
    let refusal = Refusal::ClaimHeld { todo: TODO, until };
    assert_refused(&mut working_set, mine(claim_one(TODO)), &refusal);
    working_set.set_shared_now(until);
    assert_eq!(claimed(&mut working_set, claim_next()).0.claims.count, 2);
}

#[test]
fn a_token_of_a_claim_that_does_not_stand_is_refused_free_and_told_what_happened() {
    let writes = |token| {
        let delete = ResourceAction::DeleteTodo { id: TODO, claim_token: None };
        [
            with_token(step(TODO, TodoStatus::Done), token),
            with_token(delete, token),
            release(TODO, token),
        ]
    };
    let lost = |token, fate| Refusal::ClaimLost { todo: TODO, token, fate };
    let check = |working_set: &WorkingSet, token, fate| {
        for action in writes(token) {
            assert_refused(&mut working_set.clone(), mine(action), &lost(token, fate));
        }
    };
    check(&working_set(), TOKEN, ClaimFate::NotYet { count: 0 });
    let mut working_set = after(LEASE_SECONDS + 60);
    check(&working_set, ClaimToken(2), ClaimFate::NotYet { count: 1 });
    claimed(&mut working_set, claim_next());
    check(&working_set, TOKEN, ClaimFate::Retaken { standing: ClaimToken(2) });
    apply(&mut working_set, step(TODO, TodoStatus::Open));
    check(&working_set, ClaimToken(2), ClaimFate::Ended { status: TodoStatus::Open });
}

#[test]
fn leaving_in_progress_ends_the_claim_and_its_deadline() {
    for to in [TodoStatus::Open, TodoStatus::Done, TodoStatus::Cancelled] {
        let mut working_set = after(1);
        let AppliedRow::Todo(todo) = apply(&mut working_set, step(TODO, to)) else { panic!() };
        assert_eq!(todo.claims, Claims { count: 1, standing: None });
        assert_eq!(working_set.into_write_set().deadlines, Difference::default());
    }
}

#[test]
fn a_release_opens_the_todo_and_logs_it() {
    let mut working_set = after(1);
    let AppliedRow::Todo(todo) = apply(&mut working_set, release(TODO, TOKEN)) else { panic!() };
    assert_eq!((todo.status, todo.claims.token()), (TodoStatus::Open, None));
    assert_eq!(claimed(&mut working_set, claim_next()).0.claims.count, 2);
    let logs = working_set.into_write_set().logs;
    let steps: Vec<_> = logs.iter().map(|(.., log)| (log.old_status, log.new_status)).collect();
    assert_eq!(steps, [(Open, InProgress), (InProgress, Open), (Open, InProgress)]);
}

#[test]
fn a_deleted_todo_takes_its_deadline_with_it() {
    let mut working_set = working_set();
    let standing = Some(Claim { session: None, claimed_at: at(1), lease: lease() });
    let claims = Claims { count: 1, standing };
    let claimed = Todo { status: TodoStatus::InProgress, claims, ..todo(TODO) };
    working_set.load_deadline(HOME, Deadline::of(&claimed, at(2)).unwrap());
    working_set.load_todo(HOME, claimed);
    assert_eq!(working_set.claimed_todos(), BTreeSet::from([(HOME, TODO)]));
    let delete = ResourceAction::DeleteTodo { id: TODO, claim_token: None };
    apply(&mut working_set, with_token(delete, TOKEN));
    assert_eq!(working_set.into_write_set().deadlines, deleted(TODO));
}
