//! What an owner reads and writes for another actor, and whose keys open and seal it.

use super::*;
use crate::model::Patch;
use crate::model::account::Role::Owner;
use crate::model::activity::{Activity, ActivityStats};
use crate::model::id::{ActivityId, LogId, TodoId};
use crate::model::session::{Session, SessionPatch, SessionStatus};
use crate::model::text::{ActivityText, ActivityType, LogNote, Title};
use crate::model::todo::{Priority, StatusChange, Todo, TodoPatch, TodoStatus};
use crate::model::unit::{NewActivity, NewTodo, Resealed, RowPatch};
use crate::model::zone::Zone;
use crate::port::store::{
    ActivityFilter, MockActivityReader, MockSessionReader, MockTodoReader, SessionQuery, TodoLog,
    TodoQuery,
};
use crate::usecase::access::Whose;
use crate::usecase::activities::{Activities, ActivityDraft, ActivitySelection};
use crate::usecase::opening;
use crate::usecase::sessions::{SessionDraft, SessionFilter, Sessions};
use crate::usecase::todos::{TodoChange, TodoDraft, TodoFilter, Todos};

const SESSION: SessionId = SessionId(2);
const TODO: TodoId = TodoId(7);
const ACTIVITY: ActivityId = ActivityId(5);
/// The first uid that a use case is given.
const FRESH: u128 = 50;

type Units = Arc<MockUnitStore>;
type Others = Arc<MockAccountReader>;

/// What stands in the store at that place, sealed by the peer.
fn theirs(field: Field, row: Uid, text: &str) -> Sealed {
    of_peer(&stored(field, row, text))
}

fn session<T>(actor: ActorId, notes: T) -> Session<T> {
    Session {
        id: SESSION,
        uid: uid(20),
        actor,
        status: SessionStatus::Active,
        notes: Some(notes),
        started_at: at(5),
        ended_at: None,
        version: 3,
    }
}

fn todo<T>(actor: ActorId, title: T) -> Todo<T> {
    Todo {
        id: TODO,
        uid: uid(20),
        actor,
        session: None,
        title,
        description: None,
        status: TodoStatus::Done,
        priority: Priority::default(),
        due_at: None,
        created_at: at(5),
        updated_at: at(6),
        version: 3,
    }
}

fn activity<T>(actor: ActorId, description: T) -> Activity<T> {
    Activity {
        id: ACTIVITY,
        uid: uid(20),
        actor,
        session: None,
        activity_type: ActivityType::default(),
        description,
        logged_at: at(5),
        created_at: at(6),
        version: 1,
    }
}

fn their_session() -> Session<Sealed> {
    session(PEER, theirs(Field::SessionNotes, uid(20), "morning"))
}

fn their_todo() -> Todo<Sealed> {
    todo(PEER, theirs(Field::TodoTitle, uid(20), "Write docs"))
}

fn their_activity() -> Activity<Sealed> {
    activity(PEER, theirs(Field::ActivityDescription, uid(20), "deployed"))
}

fn sessions(units: Units, found: Option<Session<Sealed>>, accounts: Others) -> Sessions {
    let mut reader = MockSessionReader::new();
    reader.expect_session().return_once(|_, _| Ok(found));
    Sessions { units, reader: Arc::new(reader), accounts, clock: clock(), uids: uids(FRESH) }
}

fn todos(units: Units, found: Option<Todo<Sealed>>, accounts: Others) -> Todos {
    let mut reader = MockTodoReader::new();
    reader.expect_todo().return_once(|_, _| Ok(found));
    Todos { units, reader: Arc::new(reader), accounts, clock: clock(), uids: uids(FRESH) }
}

fn activities(units: Units, found: Option<Activity<Sealed>>, accounts: Others) -> Activities {
    let mut reader = MockActivityReader::new();
    reader.expect_activity().return_once(|_, _| Ok(found));
    Activities { units, reader: Arc::new(reader), accounts, clock: clock(), uids: uids(FRESH) }
}

fn session_of(actor: ActorId) -> SessionDraft {
    SessionDraft { actor: Some(actor), notes: Some(long("morning")) }
}

fn todo_of(actor: ActorId) -> TodoDraft {
    TodoDraft {
        actor: Some(actor),
        title: Title::parse("Write docs").unwrap(),
        description: None,
        session: None,
        priority: Priority::default(),
        due_at: None,
    }
}

fn activity_of(actor: ActorId) -> ActivityDraft {
    ActivityDraft {
        actor: Some(actor),
        description: ActivityText::parse("deployed").unwrap(),
        activity_type: ActivityType::default(),
        session: None,
        logged_at: None,
    }
}

#[test]
fn an_owner_opens_another_actors_row_with_that_actors_keys() {
    let found = sessions(no_units(), Some(their_session()), the_peer());
    let opened = ready(found.get(&owner(), SESSION));
    assert_eq!(opened, Ok(Some(session(PEER, "morning".to_owned()))));
    let found = todos(no_units(), Some(their_todo()), the_peer());
    let opened = ready(found.get(&owner(), TODO));
    assert_eq!(opened, Ok(Some(todo(PEER, "Write docs".to_owned()))));
    let found = activities(no_units(), Some(their_activity()), the_peer());
    let opened = ready(found.get(&owner(), ACTIVITY));
    assert_eq!(opened, Ok(Some(activity(PEER, "deployed".to_owned()))));
}

#[test]
fn what_one_actor_sealed_does_not_open_in_anothers_row() {
    let own = stored(Field::SessionNotes, uid(20), "morning");
    let found = sessions(no_units(), Some(session(PEER, own)), the_peer());
    assert_eq!(ready(found.get(&owner(), SESSION)), Err(unreadable("session", 2)));
    let theirs = their_session().notes.unwrap();
    let found = sessions(no_units(), Some(session(ME, theirs)), no_others());
    assert_eq!(ready(found.get(&owner(), SESSION)), Err(unreadable("session", 2)));
}

fn step<T>(note: T) -> StatusChange<T> {
    StatusChange {
        id: LogId(1),
        uid: uid(30),
        todo: TODO,
        old_status: TodoStatus::Open,
        new_status: TodoStatus::Done,
        note: Some(note),
        logged_at: at(7),
    }
}

#[test]
fn an_owner_reads_another_actors_log() {
    let mut reader = MockTodoReader::new();
    let sealed = theirs(Field::LogNote, uid(30), "at last");
    let log = TodoLog { todo: their_todo(), steps: vec![step(sealed)], next: None };
    reader.expect_todo_log().return_once(|_, _, _| Ok(Some(log)));
    let todos = Todos { reader: Arc::new(reader), ..todos(no_units(), None, the_peer()) };
    let piece = ready(todos.log_after(&owner(), TODO, LogId(0))).unwrap().unwrap();
    let mut opening = ready(opening(&*todos.accounts, &owner(), piece.steps)).unwrap();
    assert_eq!(opening.next(), Some(Ok(step("at last".to_owned()))));
    assert_eq!((opening.next(), piece.next), (None, None));
}

#[test]
fn what_an_owner_makes_for_another_is_sealed_with_that_actors_keys() {
    let fresh = |field, text: &str| of_peer(&cipher(field, uid(FRESH), 1, text));
    let (units, sent) = units(Ok(AppliedRow::Session(their_session())));
    let made = ready(sessions(units, None, the_peer()).start(
        &owner(),
        session_of(PEER),
        Terms::default(),
    ));
    assert_eq!(made, Ok(written(session(PEER, "morning".to_owned()))));
    let notes = Some(fresh(Field::SessionNotes, "morning"));
    let intent = Intent::StartSession { actor: PEER, uid: uid(FRESH), notes };
    assert_eq!(sent.intent_of(Owner, "POST /sessions"), intent);

    let (units, sent) = super::units(Ok(AppliedRow::Todo(their_todo())));
    let made =
        ready(todos(units, None, the_peer()).create(&owner(), todo_of(PEER), Terms::default()));
    assert_eq!(made, Ok(written(todo(PEER, "Write docs".to_owned()))));
    let intent = Intent::CreateTodo(NewTodo {
        actor: PEER,
        uid: uid(FRESH),
        session: None,
        title: fresh(Field::TodoTitle, "Write docs"),
        description: None,
        priority: Priority::default(),
        due_at: None,
    });
    assert_eq!(sent.intent_of(Owner, "POST /todos"), intent);

    let (units, sent) = super::units(Ok(AppliedRow::Activity(their_activity())));
    let made = ready(activities(units, None, the_peer()).log(
        &owner(),
        activity_of(PEER),
        Terms::default(),
    ));
    assert_eq!(made, Ok(written(activity(PEER, "deployed".to_owned()))));
    let intent = Intent::LogActivity(NewActivity {
        actor: PEER,
        uid: uid(FRESH),
        session: None,
        activity_type: ActivityType::default(),
        description: fresh(Field::ActivityDescription, "deployed"),
        logged_at: None,
    });
    assert_eq!(sent.intent_of(Owner, "POST /activities"), intent);
}

#[test]
fn a_member_may_name_itself_and_nobody_else() {
    let refused = || WriteError::Refused(Refusal::OwnerOnly);
    let service = sessions(no_units(), None, no_others());
    assert_eq!(ready(service.start(&caller(), session_of(PEER), Terms::default())), Err(refused()));
    let service = todos(no_units(), None, no_others());
    assert_eq!(ready(service.create(&caller(), todo_of(PEER), Terms::default())), Err(refused()));
    let service = activities(no_units(), None, no_others());
    assert_eq!(ready(service.log(&caller(), activity_of(PEER), Terms::default())), Err(refused()));

    let own = session(ME, stored(Field::SessionNotes, uid(20), "morning"));
    let (units, sent) = units(Ok(AppliedRow::Session(own)));
    let service = sessions(units, None, no_others());
    assert!(ready(service.start(&caller(), session_of(ME), Terms::default())).is_ok());
    let notes = Some(cipher(Field::SessionNotes, uid(FRESH), 1, "morning"));
    let intent = Intent::StartSession { actor: ME, uid: uid(FRESH), notes };
    assert_eq!(sent.intent("POST /sessions"), intent);
}

#[test]
fn nothing_is_made_for_an_actor_that_there_is_not() {
    let nobody = || others(Ok(Vec::new()));
    let refusal = || WriteError::Refused(Refusal::NoSuchActor(PEER));
    let service = sessions(no_units(), None, nobody());
    assert_eq!(ready(service.start(&owner(), session_of(PEER), Terms::default())), Err(refusal()));
    let service = todos(no_units(), None, nobody());
    assert_eq!(ready(service.create(&owner(), todo_of(PEER), Terms::default())), Err(refusal()));
    let service = activities(no_units(), None, nobody());
    assert_eq!(ready(service.log(&owner(), activity_of(PEER), Terms::default())), Err(refusal()));
}

#[test]
fn a_text_for_another_actors_row_is_sealed_with_that_actors_keys() {
    let sealed = |field| of_peer(&cipher(field, uid(20), 1, "after"));
    let (units, sent) = units(Ok(AppliedRow::Session(their_session())));
    let notes = Patch::Set(long("after"));
    let patch = SessionPatch { status: None, notes };
    let service = sessions(units, Some(their_session()), the_peer());
    assert!(ready(service.patch(&owner(), SESSION, patch, Terms::default())).is_ok());
    let resealed = Resealed { sealed: sealed(Field::SessionNotes), same_as: None };
    let patch = SessionPatch { status: None, notes: Patch::Set(resealed) };
    let row = RowPatch { id: SESSION, sealed_for: Some(uid(20)), patch };
    assert_eq!(sent.intent_of(Owner, "PATCH /sessions/{id}"), Intent::PatchSession(row));

    let (units, sent) = super::units(Ok(AppliedRow::Todo(their_todo())));
    let title = Some(Title::parse("Write docs").unwrap());
    let service = todos(units, Some(their_todo()), the_peer());
    let change = TodoChange { title, ..TodoChange::default() };
    assert!(ready(service.patch(&owner(), TODO, change, Terms::default())).is_ok());
    let Intent::PatchTodo { row, .. } = sent.intent_of(Owner, "PATCH /todos/{id}") else {
        panic!("no patch of a todo")
    };
    // What stands there opens with that actor's keys, and so is known to be the same.
    let title = row.patch.title.unwrap();
    assert_eq!(title.sealed, of_peer(&cipher(Field::TodoTitle, uid(20), 1, "Write docs")));
    assert_eq!(title.same_as, Some(their_todo().title));
}

#[test]
fn an_owner_looks_up_whose_todo_a_note_is_for() {
    for (found, sealed_for, sealed) in [
        (Some(their_todo()), uid(20), of_peer(&cipher(Field::LogNote, uid(FRESH), 1, "at last"))),
        (None, Uid::NIL, cipher(Field::LogNote, uid(FRESH), 1, "at last")),
    ] {
        let (units, sent) = units(Ok(AppliedRow::Todo(their_todo())));
        let note = Some(LogNote::parse("at last").unwrap());
        let status = Some(TodoStatus::Done);
        let change = TodoChange { status, note, ..TodoChange::default() };
        ready(todos(units, found, the_peer()).patch(&owner(), TODO, change, Terms::default()))
            .unwrap();
        let note = Some(Resealed { sealed, same_as: None });
        let patch = TodoPatch { status, note, ..TodoPatch::EMPTY };
        let row = RowPatch { id: TODO, sealed_for: Some(sealed_for), patch };
        let intent = Intent::PatchTodo { row, log_uid: uid(FRESH) };
        assert_eq!(sent.intent_of(Owner, "PATCH /todos/{id}"), intent);
    }
}

#[test]
fn once_a_write_stands_no_answer_says_that_it_does_not() {
    let ended = || SessionPatch { status: Some(SessionStatus::Ended), notes: Patch::Keep };
    let patched = |accounts| {
        let (units, _) = units(Ok(AppliedRow::Session(their_session())));
        ready(sessions(units, None, accounts).patch(&owner(), SESSION, ended(), Terms::default()))
    };
    assert_eq!(patched(the_peer()), Ok(written(session(PEER, "morning".to_owned()))));
    let unknown = patched(others(Err(away()))).unwrap_err();
    assert!(matches!(unknown, WriteError::Store(StoreFault::OutcomeUnknown(_))), "{unknown:?}");
    let broken = StoreFault::Broken("odd".into());
    assert_eq!(patched(others(Err(broken))), Err(saved_unreadable("session", 2)));
    assert_eq!(patched(others(Ok(Vec::new()))), Err(saved_unreadable("session", 2)));
}

/// Whose rows an owner may choose, and which actor the store is then asked for.
const CHOICES: [(Whose, Option<ActorId>); 4] = [
    (Whose::Own, Some(ME)),
    (Whose::Of(ME), Some(ME)),
    (Whose::Of(PEER), Some(PEER)),
    (Whose::All, None),
];

fn own_session() -> Session<Sealed> {
    session(ME, stored(Field::SessionNotes, uid(20), "evening"))
}

#[test]
fn an_owner_chooses_any_actor_and_a_member_only_itself() {
    for (whose, actor) in CHOICES {
        assert_eq!(owner().choose(whose), Ok(actor));
        let own = actor == Some(ME);
        let chosen = if own { Ok(actor) } else { Err(Refusal::OwnerOnly) };
        assert_eq!(caller().choose(whose), chosen, "{whose:?}");
    }
}

#[test]
fn a_list_is_of_whom_it_was_asked_for_and_each_row_opened_with_its_actors_keys() {
    for (whose, actor) in CHOICES {
        let mut reader = MockSessionReader::new();
        let query = SessionQuery { by: BY, actor, status: None, page: PAGE };
        let asked = reader.expect_sessions().times(1).withf(move |asked| *asked == query);
        asked.return_once(|_| Ok(page(vec![their_session(), own_session(), their_session()])));
        let service = sessions(no_units(), None, the_peer());
        let service = Sessions { reader: Arc::new(reader), ..service };
        let filter = SessionFilter { whose, ..SessionFilter::default() };
        let theirs = || session(PEER, "morning".to_owned());
        let opened = page(vec![theirs(), session(ME, "evening".to_owned()), theirs()]);
        assert_eq!(ready(service.list(&owner(), filter, PAGE)), Ok(opened));

        let mut reader = MockTodoReader::new();
        let query =
            TodoQuery { by: BY, actor, status: None, priority: None, session: None, page: PAGE };
        let asked = reader.expect_todos().times(1).withf(move |asked| *asked == query);
        asked.return_once(|_| Ok(page(vec![their_todo()])));
        let service = Todos { reader: Arc::new(reader), ..todos(no_units(), None, the_peer()) };
        let filter = TodoFilter { whose, ..TodoFilter::default() };
        let opened = page(vec![todo(PEER, "Write docs".to_owned())]);
        assert_eq!(ready(service.list(&owner(), filter, PAGE)), Ok(opened));

        let mut reader = MockActivityReader::new();
        let filter = ActivityFilter {
            by: BY,
            actor,
            activity_type: None,
            session: None,
            range: crate::model::time::TimeRange::default(),
        };
        let asked = filter.clone();
        reader
            .expect_activities()
            .times(1)
            .withf(move |filter, _| *filter == asked)
            .return_once(|_, _| Ok(page(vec![their_activity()])));
        reader
            .expect_activity_stats()
            .times(1)
            .withf(move |asked, _| *asked == filter)
            .return_once(|_, _| Ok(ActivityStats::default()));
        let service = activities(no_units(), None, the_peer());
        let service = Activities { reader: Arc::new(reader), ..service };
        let selection = ActivitySelection { whose, ..ActivitySelection::default() };
        let opened = page(vec![activity(PEER, "deployed".to_owned())]);
        assert_eq!(ready(service.list(&owner(), selection.clone(), PAGE)), Ok(opened));
        assert!(ready(service.stats(&owner(), selection, &Zone::UTC)).is_ok());
    }
}

#[test]
fn a_page_with_one_text_that_does_not_open_names_its_row() {
    let mut reader = MockSessionReader::new();
    // Sealed by the caller, but it stands in the peer's row.
    let swapped = session(PEER, stored(Field::SessionNotes, uid(20), "evening"));
    reader.expect_sessions().return_once(|_| Ok(page(vec![own_session(), swapped])));
    let service = sessions(no_units(), None, the_peer());
    let service = Sessions { reader: Arc::new(reader), ..service };
    let filter = SessionFilter { whose: Whose::All, status: None };
    let list = ready(service.list(&owner(), filter, PAGE));
    assert_eq!(list, Err(unreadable("session", 2)));
}

#[test]
fn a_member_that_asks_for_others_rows_reads_nothing() {
    let refused = || ReadError::Refused(Refusal::OwnerOnly);
    for whose in [Whose::Of(PEER), Whose::All] {
        let service = sessions(no_units(), None, no_others());
        let filter = SessionFilter { whose, ..SessionFilter::default() };
        assert_eq!(ready(service.list(&caller(), filter, PAGE)), Err(refused()));
        let service = todos(no_units(), None, no_others());
        let filter = TodoFilter { whose, ..TodoFilter::default() };
        assert_eq!(ready(service.list(&caller(), filter, PAGE)), Err(refused()));
        let service = activities(no_units(), None, no_others());
        let selection = ActivitySelection { whose, ..ActivitySelection::default() };
        assert_eq!(ready(service.list(&caller(), selection.clone(), PAGE)), Err(refused()));
        assert_eq!(ready(service.stats(&caller(), selection, &Zone::UTC)), Err(refused()));
    }
}
