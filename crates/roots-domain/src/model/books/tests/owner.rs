//! What an owner may do to another actor's rows, and a member may not.

use super::*;

fn by_owner(intent: Intent) -> UnitOfWork {
    let author = Author::Key(KeyBearer { role: Role::Owner, ..bearer(ME) });
    UnitOfWork { author, intent, ..mine(start()) }
}

/// Every write of what is, or is to be, the peer's.
fn writes_of_the_peers() -> [Intent; 8] {
    let cleared = SessionPatch { status: None, notes: Patch::Clear };
    [
        naming(PEER, start()),
        patch_session(OF_PEER, cleared),
        Intent::DeleteSession(OF_PEER),
        naming(PEER, new_todo(Some(OF_PEER))),
        step(TODO_OF_PEER, TodoStatus::Done),
        Intent::DeleteTodo(TODO_OF_PEER),
        naming(PEER, log("deploy", Some(OF_PEER))),
        Intent::DeleteActivity(ACTIVITY_OF_PEER),
    ]
}

#[test]
fn an_owner_writes_for_any_actor_and_the_ledger_names_who_asked() {
    for intent in writes_of_the_peers() {
        let mut books = books();
        let applied = books.decide(by_owner(intent.clone())).unwrap();
        let actor = match applied.row {
            AppliedRow::Session(row) => Some(row.actor),
            AppliedRow::Todo(row) => Some(row.actor),
            AppliedRow::Activity(row) => Some(row.actor),
            _ => None,
        };
        assert!(actor.is_none_or(|actor| actor == PEER), "{intent:?}");
        let changes = books.into_changes();
        let ledger: Vec<_> = changes.ledger.iter().map(|(_, entry)| entry.actor).collect();
        assert_eq!(ledger, [Some(ME)], "{intent:?}");
        let counted = changes.tallies.keys().filter_map(|(_, tally)| match tally {
            Tally::Sessions(actor, _) | Tally::Todos(actor, ..) | Tally::Activities(actor, _) => {
                Some(*actor)
            }
            Tally::Ledger(_) => None,
        });
        assert!(counted.into_iter().all(|actor| actor == PEER), "{intent:?}");
        assert!(changes.quarters.keys().all(|(_, one)| one.actor == PEER), "{intent:?}");
    }
}

#[test]
fn a_member_makes_nothing_for_another_and_finds_nothing_of_its() {
    for intent in writes_of_the_peers() {
        let refusal = match &intent {
            Intent::StartSession { .. } | Intent::CreateTodo(_) | Intent::LogActivity(_) => {
                Refusal::OwnerOnly
            }
            Intent::PatchSession(_) | Intent::DeleteSession(_) => Refusal::NotFound("session"),
            Intent::PatchTodo { .. } | Intent::DeleteTodo(_) => Refusal::NotFound("todo"),
            _ => Refusal::NotFound("activity"),
        };
        assert!(books().decide(by(PEER, intent.clone())).is_ok(), "it may itself: {intent:?}");
        let unit = UnitOfWork { intent, ..mine(start()) };
        assert_refused(&mut with_balance(0), unit, &refusal);
    }
}

#[test]
fn an_owner_links_no_row_to_another_actors_session() {
    let linked = |id| TodoPatch { session: Patch::Set(id), ..TodoPatch::EMPTY };
    for (intent, session) in [
        (new_todo(Some(OF_PEER)), OF_PEER),
        (naming(PEER, new_todo(Some(ACTIVE))), ACTIVE),
        (log("deploy", Some(OF_PEER)), OF_PEER),
        (naming(PEER, log("deploy", Some(ACTIVE))), ACTIVE),
        (patch_todo(TODO, linked(OF_PEER)), OF_PEER),
        (patch_todo(TODO_OF_PEER, linked(ACTIVE)), ACTIVE),
    ] {
        let refusal = Refusal::NoSuchSession(session);
        assert_refused(&mut books(), by_owner(intent), &refusal);
    }
    assert!(books().decide(by_owner(patch_todo(TODO_OF_PEER, linked(OF_PEER)))).is_ok());
}

#[test]
fn the_kinds_that_are_limited_are_those_of_the_actor_whose_activity_it_is() {
    let mut books = books();
    books.load_kinds(HOME, ME, kinds(&[], KINDS_MAX));
    books.load_kinds(HOME, PEER, kinds(&[], KINDS_MAX - 1));
    assert!(books.decide(by_owner(naming(PEER, log("new", None)))).is_ok());
    let newer = by_owner(naming(PEER, log("newer", None)));
    assert_refused(&mut books, newer, &Refusal::TooManyKinds);
    assert_refused(&mut books, by_owner(log("new", None)), &Refusal::TooManyKinds);
    let needed = Needs::of([&by_owner(naming(PEER, log("new", None)))]).kinds;
    assert_eq!(needed, BTreeSet::from([(HOME, PEER, kind("new"))]));
}
