//! What an owner may do to another actor's rows, and a member may not.

use super::*;

fn by_owner(action: ResourceAction) -> Command {
    of(KeyBearer { role: Role::Owner, ..bearer(ME) }, action)
}

/// Every kind of write to a row that belongs to the peer, or will belong to it.
fn writes_of_the_peers() -> [ResourceAction; 9] {
    let cleared = SessionPatch { status: None, notes: Patch::Clear };
    [
        naming(PEER, start()),
        patch_session(OF_PEER, cleared),
        ResourceAction::DeleteSession(OF_PEER),
        naming(PEER, new_todo(Some(OF_PEER))),
        naming(PEER, new_todos([Some(OF_PEER)])),
        step(TODO_OF_PEER, TodoStatus::Done),
        ResourceAction::DeleteTodo { id: TODO_OF_PEER, claim_token: None },
        naming(PEER, log("deploy", Some(OF_PEER))),
        ResourceAction::DeleteActivity(ACTIVITY_OF_PEER),
    ]
}

#[test]
fn an_owner_can_write_for_any_actor_and_the_ledger_names_the_owner() {
    for action in writes_of_the_peers() {
        let mut working_set = working_set();
        let applied = working_set.decide(by_owner(action.clone())).unwrap();
        let actor = match applied.row {
            AppliedRow::Session(row) => Some(row.actor),
            AppliedRow::Todo(row) => Some(row.actor),
            AppliedRow::Activity(row) => Some(row.actor),
            _ => None,
        };
        assert!(actor.is_none_or(|actor| actor == PEER), "{action:?}");
        let write_set = working_set.into_write_set();
        let ledger: Vec<_> = write_set.ledger.iter().map(|(_, entry)| entry.actor).collect();
        assert_eq!(ledger, [Some(ME)], "{action:?}");
        let counted = write_set.counters.keys().filter_map(|(_, counter)| match counter {
            Counter::Sessions(actor, _)
            | Counter::Todos(actor, ..)
            | Counter::Activities(actor, _) => Some(*actor),
            Counter::Ledger(_) => None,
        });
        assert!(counted.into_iter().all(|actor| actor == PEER), "{action:?}");
        assert!(write_set.quarter_hours.keys().all(|(_, one)| one.actor == PEER), "{action:?}");
    }
}

#[test]
fn a_member_can_neither_create_rows_for_another_actor_nor_find_its_rows() {
    for action in writes_of_the_peers() {
        let refusal = match &action {
            ResourceAction::StartSession { .. }
            | ResourceAction::CreateTodo { .. }
            | ResourceAction::LogActivity { .. } => Refusal::OwnerOnly,
            ResourceAction::CreateTodos(_) => Refusal::OwnerOnly.of_todo(0),
            ResourceAction::PatchSession(_) | ResourceAction::DeleteSession(_) => {
                Refusal::NotFound("session")
            }
            ResourceAction::PatchTodo { .. }
            | ResourceAction::DeleteTodo { .. }
            | ResourceAction::ClaimTodo(_)
            | ResourceAction::ReleaseTodo { .. } => Refusal::NotFound("todo"),
            ResourceAction::DeleteActivity(_) => Refusal::NotFound("activity"),
        };
        assert!(
            working_set().decide(by(PEER, action.clone())).is_ok(),
            "it may itself: {action:?}"
        );
        assert_refused(&mut with_balance(0), of(bearer(ME), action), &refusal);
    }
}

#[test]
fn an_owner_cannot_link_a_row_to_a_session_of_another_actor() {
    let linked = |id| TodoPatch { session: Patch::Set(id), ..TodoPatch::EMPTY };
    for (action, session) in [
        (new_todo(Some(OF_PEER)), OF_PEER),
        (naming(PEER, new_todo(Some(ACTIVE))), ACTIVE),
        (log("deploy", Some(OF_PEER)), OF_PEER),
        (naming(PEER, log("deploy", Some(ACTIVE))), ACTIVE),
        (patch_todo(TODO, linked(OF_PEER)), OF_PEER),
        (patch_todo(TODO_OF_PEER, linked(ACTIVE)), ACTIVE),
    ] {
        let refusal = Refusal::NoSuchSession(session);
        assert_refused(&mut working_set(), by_owner(action), &refusal);
    }
    assert!(working_set().decide(by_owner(patch_todo(TODO_OF_PEER, linked(OF_PEER)))).is_ok());
}

#[test]
fn an_activity_logged_by_the_owner_counts_toward_its_actors_type_limit() {
    let mut working_set = working_set();
    working_set.load_activity_types(HOME, ME, activity_types(&[], ACTIVITY_TYPES_MAX));
    working_set.load_activity_types(HOME, PEER, activity_types(&[], ACTIVITY_TYPES_MAX - 1));
    assert!(working_set.decide(by_owner(naming(PEER, log("new", None)))).is_ok());
    let newer = by_owner(naming(PEER, log("newer", None)));
    assert_refused(&mut working_set, newer, &Refusal::TooManyActivityTypes);
    assert_refused(&mut working_set, by_owner(log("new", None)), &Refusal::TooManyActivityTypes);
    let needed = ReadSet::of([&by_owner(naming(PEER, log("new", None)))]).activity_types;
    assert_eq!(needed, BTreeSet::from([(HOME, PEER, activity_type("new"))]));
}
