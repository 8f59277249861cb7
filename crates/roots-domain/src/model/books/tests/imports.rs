//! Rows that come in from elsewhere.

use super::super::super::import::{Import, ImportRow, Imported, Origin};
use super::*;

/// The account that rows come from.
fn source() -> Uid {
    uid(7_000)
}

fn import(rows: Vec<ImportRow>) -> UnitOfWork {
    let author = Author::Key(KeyBearer { role: Role::Owner, ..bearer(ME) });
    let intent = Intent::Import(Import { source: source(), rows });
    UnitOfWork { author, charge: None, ..mine(intent) }
}

/// What became of rows that come in together.
fn imported(books: &mut Books, rows: Vec<ImportRow>) -> Vec<Result<Imported, Refusal>> {
    let applied = books.decide(import(rows)).unwrap();
    assert_eq!((applied.cost, applied.balance), (0, BALANCE));
    match applied.row {
        AppliedRow::Imported(outcomes) => outcomes,
        row => panic!("{row:?}"),
    }
}

fn of(id: i64) -> Session<Sealed> {
    Session { id: SessionId(id), ..session(ENDED) }
}

fn linked(id: i64, session: Option<i64>) -> Todo<Sealed> {
    Todo { id: TodoId(id), session: session.map(SessionId), version: 1, ..todo(TODO) }
}

fn moved(id: i64, todo: i64, from: TodoStatus, to: TodoStatus) -> ImportRow {
    ImportRow::Step(
        ME,
        StatusChange {
            id: LogId(id),
            uid: uid(4),
            todo: TodoId(todo),
            old_status: from,
            new_status: to,
            note: None,
            logged_at: at(40),
        },
    )
}

#[test]
fn times_and_links_are_kept_and_ids_given_anew() {
    let mut books = books();
    let rows = vec![
        ImportRow::Actor(ActorId(9), ME),
        ImportRow::Session(of(70)),
        ImportRow::Todo(linked(80, Some(70))),
        moved(90, 80, TodoStatus::Open, TodoStatus::Done),
        ImportRow::Activity(Activity { session: Some(SessionId(70)), ..activity(ACTIVITY) }),
    ];
    let outcomes = imported(&mut books, rows.clone());
    assert_eq!(outcomes, [1, 11, 21, 41, 31].map(|id| Ok(Imported::New(id))));
    // The same again is known.
    let again = imported(&mut books, rows);
    assert_eq!(again, [1, 11, 21, 41, 31].map(|id| Ok(Imported::Known(id))));
    let changes = books.into_changes();
    let session = Session { id: SessionId(11), ..of(70) };
    assert_eq!(changes.sessions, inserted(session));
    let done =
        Todo { id: TodoId(21), status: TodoStatus::Done, version: 2, ..linked(80, Some(11)) };
    assert_eq!(changes.todos, inserted(done));
    assert_eq!(changes.logs.len(), 1);
    assert_eq!((changes.logs[0].1.id.0, changes.logs[0].1.todo), (41, TodoId(21)));
    assert_eq!(changes.activities.inserted[0].1.session, Some(SessionId(11)));
    assert_eq!(changes.imported.len(), 5);
    assert_eq!(changes.ledger, [], "it costs nothing");
    let tallies = tallies([
        (Tally::Sessions(ME, SessionStatus::Ended), 1),
        (Tally::Todos(ME, TodoStatus::Done, priority(2)), 1),
        (Tally::Activities(ME, kind("deploy")), 1),
    ]);
    assert_eq!(changes.tallies, tallies);
}

#[test]
fn a_row_with_a_fault_leaves_the_others_alone() {
    let mut books = books();
    books.load_imported((HOME, source(), Origin::Session(SessionId(5))), OF_PEER.0);
    books.load_imported((HOME, source(), Origin::Session(SessionId(6))), 1_000);
    let outcomes = imported(
        &mut books,
        vec![
            ImportRow::Todo(linked(1, Some(4))),
            ImportRow::Todo(linked(2, Some(5))),
            ImportRow::Todo(linked(3, Some(6))),
            moved(1, 3, TodoStatus::Done, TodoStatus::Open),
            moved(2, 3, TodoStatus::Open, TodoStatus::InProgress),
            moved(3, 3, TodoStatus::InProgress, TodoStatus::InProgress),
            moved(4, 1, TodoStatus::Open, TodoStatus::Done),
        ],
    );
    let expected = [
        Err(Refusal::NoSuchSession(SessionId(4))),
        Err(Refusal::NoSuchSession(SessionId(5))),
        // Its session was deleted here, which takes the link.
        Ok(Imported::New(21)),
        Err(Refusal::StepFromElsewhere { from: TodoStatus::Done, stands: TodoStatus::Open }),
        Ok(Imported::New(41)),
        Err(Refusal::ForbiddenStep { from: TodoStatus::InProgress, to: TodoStatus::InProgress }),
        Err(Refusal::NotFound("todo")),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(books.into_changes().todos.inserted[0].1.session, None);
}

#[test]
fn kinds_are_limited_as_they_are_for_whoever_logs() {
    let mut books = books();
    books.load_kinds(HOME, ME, kinds(&[], KINDS_MAX));
    let outcomes = imported(&mut books, vec![ImportRow::Activity(activity(ACTIVITY))]);
    assert_eq!(outcomes, [Err(Refusal::NoSuchSession(ACTIVE))]);
    let unlinked = Activity { session: None, ..activity(ACTIVITY) };
    let outcomes = imported(&mut books, vec![ImportRow::Activity(unlinked)]);
    assert_eq!(outcomes, [Err(Refusal::TooManyKinds)]);
}

#[test]
fn it_is_the_owners() {
    let mut books = books();
    let unit = mine(Intent::Import(Import { source: source(), rows: vec![] }));
    assert_refused(&mut books, unit, &Refusal::OwnerOnly);
}

#[test]
fn it_needs_what_it_is_linked_to_once_it_is_known_what_that_is() {
    let rows = vec![
        ImportRow::Todo(linked(80, Some(70))),
        moved(90, 81, TodoStatus::Open, TodoStatus::Done),
        ImportRow::Activity(Activity { session: None, ..activity(ACTIVITY) }),
    ];
    let unit = import(rows);
    let mut needs = Needs::of([&unit]);
    let origins = [
        Origin::Session(SessionId(70)),
        Origin::Todo(TodoId(80)),
        Origin::Todo(TodoId(81)),
        Origin::Step(LogId(90)),
        Origin::Activity(ACTIVITY),
    ];
    let expected = Needs {
        accounts: BTreeSet::from([HOME]),
        imported: origins.map(|origin| (HOME, source(), origin)).into(),
        kinds: BTreeSet::from([(HOME, ME, kind("deploy"))]),
        ..Needs::default()
    };
    assert_eq!(needs, expected);
    let mut books = books();
    books.load_imported((HOME, source(), origins[0]), 4);
    books.load_imported((HOME, source(), origins[2]), 5);
    books.follow_imports([&unit], &mut needs);
    let expected = Needs {
        sessions: BTreeSet::from([(HOME, SessionId(4))]),
        todos: BTreeSet::from([(HOME, TodoId(5))]),
        ..expected
    };
    assert_eq!(needs, expected);
}
