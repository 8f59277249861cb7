//! What an owner reads and writes for another actor, and whose keys seal and open it.

use super::*;
use crate::command::{Resealed, RowPatch};
use crate::model::Patch;
use crate::model::account::Role::Owner;
use crate::model::activity::{Activity, ActivityStats, NewActivity};
use crate::model::claim::Claims;
use crate::model::id::{ActivityId, LogId, TodoId};
use crate::model::session::{
    Session, SessionPatch, SessionStatus, SessionStatusKind, SessionWindow,
};
use crate::model::text::{ActivityText, ActivityType, LogNote, Title};
use crate::model::todo::{NewTodo, StatusChange, Todo, TodoContent, TodoPatch, TodoStatus};
use crate::model::zone::Zone;
use crate::port::store::{
    ActivityFilter, MockActivityReader, MockSessionReader, MockTodoReader, SessionQuery, TodoLog,
    TodoQuery,
};
use crate::service::access::ActorScope;
use crate::service::activities::{Activities, ActivityDraft, ActivitySelection};
use crate::service::sealing::opening;
use crate::service::sessions::{SessionDraft, SessionFilter, Sessions};
use crate::service::todos::{TodoChange, TodoDraft, TodoFilter, Todos};

const SESSION: SessionId = SessionId(2);
const TODO: TodoId = TodoId(7);
const ACTIVITY: ActivityId = ActivityId(5);
/// The first uid that a service is given.
const FRESH: u128 = 50;

type Commands = Arc<MockCommandStore>;
type Others = Arc<MockAccountReader>;

/// The ciphertext that the store has at that place, sealed by the peer.
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
        version: 3,
    }
}

fn todo<T>(actor: ActorId, title: T) -> Todo<T> {
    Todo {
        id: TODO,
        uid: uid(20),
        actor,
        content: TodoContent::titled(title),
        status: TodoStatus::Done,
        claims: Claims::NONE,
        created_at: at(5),
        updated_at: at(6),
        status_since: at(6),
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

fn sessions(commands: Commands, found: Option<Session<Sealed>>, accounts: Others) -> Sessions {
    let mut reader = MockSessionReader::new();
    reader.expect_session().return_once(|_, _| Ok(found));
    Sessions { writes: writes(commands, accounts), reader: Arc::new(reader), uids: uids(FRESH) }
}

fn todos(commands: Commands, found: Option<Todo<Sealed>>, accounts: Others) -> Todos {
    let mut reader = MockTodoReader::new();
    reader.expect_todo().return_once(|_, _| Ok(found));
    Todos { writes: writes(commands, accounts), reader: Arc::new(reader), uids: uids(FRESH) }
}

fn activities(commands: Commands, found: Option<Activity<Sealed>>, accounts: Others) -> Activities {
    let mut reader = MockActivityReader::new();
    reader.expect_activity().return_once(|_, _| Ok(found));
    Activities { writes: writes(commands, accounts), reader: Arc::new(reader), uids: uids(FRESH) }
}

fn session_of(actor: ActorId) -> SessionDraft {
    SessionDraft { actor: Some(actor), notes: Some(long("morning")) }
}

fn todo_of(actor: ActorId) -> TodoDraft {
    TodoDraft {
        actor: Some(actor),
        content: TodoContent::titled(Title::parse("Write docs").unwrap()),
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
    let found = sessions(no_commands(), Some(their_session()), the_peer());
    let opened = ready(found.get(&owner(), SESSION));
    assert_eq!(opened, Ok(Some(session(PEER, "morning".to_owned()))));
    let found = todos(no_commands(), Some(their_todo()), the_peer());
    let opened = ready(found.get(&owner(), TODO));
    assert_eq!(opened, Ok(Some(todo(PEER, "Write docs".to_owned()))));
    let found = activities(no_commands(), Some(their_activity()), the_peer());
    let opened = ready(found.get(&owner(), ACTIVITY));
    assert_eq!(opened, Ok(Some(activity(PEER, "deployed".to_owned()))));
}

#[test]
fn a_text_sealed_by_one_actor_does_not_open_in_another_actors_row() {
    let own = stored(Field::SessionNotes, uid(20), "morning");
    let found = sessions(no_commands(), Some(session(PEER, own)), the_peer());
    assert_eq!(ready(found.get(&owner(), SESSION)), Err(unreadable("session", 2)));
    let theirs = their_session().notes.unwrap();
    let found = sessions(no_commands(), Some(session(ME, theirs)), no_others());
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
fn an_owner_can_read_the_log_of_another_actors_todo() {
    let mut reader = MockTodoReader::new();
    let sealed = theirs(Field::LogNote, uid(30), "at last");
    let log = TodoLog { todo: their_todo(), steps: vec![step(sealed)], next: None };
    reader.expect_todo_log().return_once(|_, _, _| Ok(Some(log)));
    let todos = Todos { reader: Arc::new(reader), ..todos(no_commands(), None, the_peer()) };
    let chunk = ready(todos.log_after(&owner(), TODO, None)).unwrap().unwrap();
    let mut opening = ready(opening(&*todos.writes.accounts, &owner(), chunk.steps)).unwrap();
    assert_eq!(opening.next(), Some(Ok(step("at last".to_owned()))));
    assert_eq!((opening.next(), chunk.next), (None, None));
}

#[test]
fn a_row_created_by_the_owner_is_sealed_with_its_actors_keys() {
    let fresh = |field, text: &str| of_peer(&cipher(field, uid(FRESH), 1, text));
    let (commands, sent) = commands(Ok(AppliedRow::Session(their_session())));
    let made = ready(sessions(commands, None, the_peer()).start(
        &owner(),
        session_of(PEER),
        Preconditions::default(),
    ));
    assert_eq!(made, Ok(written(session(PEER, "morning".to_owned()))));
    let notes = Some(fresh(Field::SessionNotes, "morning"));
    let action = ResourceAction::StartSession { actor: PEER, uid: uid(FRESH), notes };
    assert_eq!(sent.action_as(Owner, "POST /sessions"), action);

    let (commands, sent) = super::commands(Ok(AppliedRow::Todo(their_todo())));
    let made = ready(todos(commands, None, the_peer()).create(
        &owner(),
        todo_of(PEER),
        Preconditions::default(),
    ));
    assert_eq!(made, Ok(written(todo(PEER, "Write docs".to_owned()))));
    let action = ResourceAction::CreateTodo {
        uid: uid(FRESH),
        new: NewTodo {
            actor: Some(PEER),
            content: TodoContent::titled(fresh(Field::TodoTitle, "Write docs")),
        },
    };
    assert_eq!(sent.action_as(Owner, "POST /todos"), action);

    let (commands, sent) = super::commands(Ok(AppliedRow::Activity(their_activity())));
    let made = ready(activities(commands, None, the_peer()).log(
        &owner(),
        activity_of(PEER),
        Preconditions::default(),
    ));
    assert_eq!(made, Ok(written(activity(PEER, "deployed".to_owned()))));
    let new = NewActivity {
        actor: Some(PEER),
        session: None,
        activity_type: ActivityType::default(),
        description: fresh(Field::ActivityDescription, "deployed"),
        logged_at: None,
    };
    let action = ResourceAction::LogActivity { uid: uid(FRESH), new };
    assert_eq!(sent.action_as(Owner, "POST /activities"), action);
}

#[test]
fn a_member_can_create_rows_only_for_itself() {
    let refused = || WriteError::Refused(Refusal::OwnerOnly);
    let service = sessions(no_commands(), None, no_others());
    assert_eq!(
        ready(service.start(&caller(), session_of(PEER), Preconditions::default())),
        Err(refused())
    );
    let service = todos(no_commands(), None, no_others());
    assert_eq!(
        ready(service.create(&caller(), todo_of(PEER), Preconditions::default())),
        Err(refused())
    );
    let service = activities(no_commands(), None, no_others());
    assert_eq!(
        ready(service.log(&caller(), activity_of(PEER), Preconditions::default())),
        Err(refused())
    );

    let own = session(ME, stored(Field::SessionNotes, uid(20), "morning"));
    let (commands, sent) = commands(Ok(AppliedRow::Session(own)));
    let service = sessions(commands, None, no_others());
    assert!(ready(service.start(&caller(), session_of(ME), Preconditions::default())).is_ok());
    let notes = Some(cipher(Field::SessionNotes, uid(FRESH), 1, "morning"));
    let action = ResourceAction::StartSession { actor: ME, uid: uid(FRESH), notes };
    assert_eq!(sent.action("POST /sessions"), action);
}

#[test]
fn no_row_can_be_created_for_an_unknown_actor() {
    let nobody = || others(Ok(Vec::new()));
    let refusal = || WriteError::Refused(Refusal::NoSuchActor(PEER));
    let service = sessions(no_commands(), None, nobody());
    assert_eq!(
        ready(service.start(&owner(), session_of(PEER), Preconditions::default())),
        Err(refusal())
    );
    let service = todos(no_commands(), None, nobody());
    assert_eq!(
        ready(service.create(&owner(), todo_of(PEER), Preconditions::default())),
        Err(refusal())
    );
    let service = activities(no_commands(), None, nobody());
    assert_eq!(
        ready(service.log(&owner(), activity_of(PEER), Preconditions::default())),
        Err(refusal())
    );
}

#[test]
fn a_patched_text_of_another_actors_row_is_sealed_with_that_actors_keys() {
    let sealed = |field| of_peer(&cipher(field, uid(20), 1, "after"));
    let (commands, sent) = commands(Ok(AppliedRow::Session(their_session())));
    let notes = Patch::Set(long("after"));
    let patch = SessionPatch { status: None, notes };
    let service = sessions(commands, Some(their_session()), the_peer());
    assert!(ready(service.patch(&owner(), SESSION, patch, Preconditions::default())).is_ok());
    let resealed = Resealed { sealed: sealed(Field::SessionNotes), same_as: None };
    let patch = SessionPatch { status: None, notes: Patch::Set(resealed) };
    let row = RowPatch { id: SESSION, sealed_for: Some(uid(20)), patch };
    assert_eq!(sent.action_as(Owner, "PATCH /sessions/{id}"), ResourceAction::PatchSession(row));

    let (commands, sent) = super::commands(Ok(AppliedRow::Todo(their_todo())));
    let title = Some(Title::parse("Write docs").unwrap());
    let service = todos(commands, Some(their_todo()), the_peer());
    let change = TodoChange { title, ..TodoChange::EMPTY };
    assert!(ready(service.patch(&owner(), TODO, change, Preconditions::default())).is_ok());
    let ResourceAction::PatchTodo { row, .. } = sent.action_as(Owner, "PATCH /todos/{id}") else {
        panic!("no patch of a todo")
    };
    // The stored title opens with that actor's keys, so the service knows that it is unchanged.
    let title = row.patch.title.unwrap();
    assert_eq!(title.sealed, of_peer(&cipher(Field::TodoTitle, uid(20), 1, "Write docs")));
    assert_eq!(title.same_as, Some(their_todo().content.title));
}

#[test]
fn an_owners_log_note_is_sealed_for_the_actor_of_the_todo() {
    for (found, sealed_for, sealed) in [
        (Some(their_todo()), uid(20), of_peer(&cipher(Field::LogNote, uid(FRESH), 1, "at last"))),
        (None, uid(FRESH), cipher(Field::LogNote, uid(FRESH), 1, "at last")),
    ] {
        let (commands, sent) = commands(Ok(AppliedRow::Todo(their_todo())));
        let note = Some(LogNote::parse("at last").unwrap());
        let status = Some(TodoStatus::Done);
        let change = TodoChange { status, note, ..TodoChange::EMPTY };
        ready(todos(commands, found, the_peer()).patch(
            &owner(),
            TODO,
            change,
            Preconditions::default(),
        ))
        .unwrap();
        let note = Some(Resealed { sealed, same_as: None });
        let patch = TodoPatch { status, note, ..TodoPatch::EMPTY };
        let row = RowPatch { id: TODO, sealed_for: Some(sealed_for), patch };
        let action = ResourceAction::PatchTodo { row, log_uid: uid(FRESH), claim_token: None };
        assert_eq!(sent.action_as(Owner, "PATCH /todos/{id}"), action);
    }
}

#[test]
fn a_saved_write_that_cannot_be_opened_is_never_reported_as_not_saved() {
    let ended = || SessionPatch { status: Some(SessionStatusKind::Ended), notes: Patch::Keep };
    let patched = |accounts| {
        let (commands, _) = commands(Ok(AppliedRow::Session(their_session())));
        ready(sessions(commands, None, accounts).patch(
            &owner(),
            SESSION,
            ended(),
            Preconditions::default(),
        ))
    };
    assert_eq!(patched(the_peer()), Ok(written(session(PEER, "morning".to_owned()))));
    let unknown = patched(others(Err(away()))).unwrap_err();
    assert!(matches!(unknown, WriteError::Store(StoreError::OutcomeUnknown(_))), "{unknown:?}");
    let broken = StoreError::Broken("odd".into());
    assert_eq!(patched(others(Err(broken))), Err(saved_unreadable("session", 2)));
    assert_eq!(patched(others(Ok(Vec::new()))), Err(saved_unreadable("session", 2)));
}

/// The actor scopes that an owner may choose, and the actor in the store's query.
const CHOICES: [(ActorScope, Option<ActorId>); 4] = [
    (ActorScope::Own, Some(ME)),
    (ActorScope::Of(ME), Some(ME)),
    (ActorScope::Of(PEER), Some(PEER)),
    (ActorScope::All, None),
];

fn own_session() -> Session<Sealed> {
    session(ME, stored(Field::SessionNotes, uid(20), "evening"))
}

#[test]
fn an_owner_can_select_any_actor_and_a_member_only_itself() {
    for (scope, actor) in CHOICES {
        assert_eq!(owner().choose(scope), Ok(actor));
        let own = actor == Some(ME);
        let chosen = if own { Ok(actor) } else { Err(Refusal::OwnerOnly) };
        assert_eq!(caller().choose(scope), chosen, "{scope:?}");
    }
}

#[test]
fn a_list_has_the_selected_actors_rows_opened_with_their_own_actors_keys() {
    for (scope, actor) in CHOICES {
        let mut reader = MockSessionReader::new();
        let window = SessionWindow::default();
        let query = SessionQuery { by: BY, actor, status: None, window, page: PAGE };
        let asked = reader.expect_sessions().times(1).withf(move |asked| *asked == query);
        asked.return_once(|_| {
            Ok(page([their_session(), own_session(), their_session()].map(listed).into()))
        });
        let service = sessions(no_commands(), None, the_peer());
        let service = Sessions { reader: Arc::new(reader), ..service };
        let filter = SessionFilter { scope, ..SessionFilter::default() };
        let theirs = || session(PEER, "morning".to_owned());
        let opened =
            page([theirs(), session(ME, "evening".to_owned()), theirs()].map(listed).into());
        assert_eq!(ready(service.list(&owner(), filter, PAGE)), Ok(opened));

        let mut reader = MockTodoReader::new();
        let query =
            TodoQuery { by: BY, actor, status: None, priority: None, session: None, page: PAGE };
        let asked = reader.expect_todos().times(1).withf(move |asked| *asked == query);
        asked.return_once(|_| Ok(page(vec![listed_todo(their_todo())])));
        let service = Todos { reader: Arc::new(reader), ..todos(no_commands(), None, the_peer()) };
        let filter = TodoFilter { scope, ..TodoFilter::default() };
        let opened = page(vec![listed_todo(todo(PEER, "Write docs".to_owned()))]);
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
        let service = activities(no_commands(), None, the_peer());
        let service = Activities { reader: Arc::new(reader), ..service };
        let selection = ActivitySelection { scope, ..ActivitySelection::default() };
        let opened = page(vec![activity(PEER, "deployed".to_owned())]);
        assert_eq!(ready(service.list(&owner(), selection.clone(), PAGE)), Ok(opened));
        assert!(ready(service.stats(&owner(), selection, &Zone::UTC)).is_ok());
    }
}

#[test]
fn a_page_with_an_unreadable_text_names_its_row() {
    let mut reader = MockSessionReader::new();
    // The text was sealed by the caller, but it is in the peer's row.
    let swapped = session(PEER, stored(Field::SessionNotes, uid(20), "evening"));
    reader.expect_sessions().return_once(|_| Ok(page([own_session(), swapped].map(listed).into())));
    let service = sessions(no_commands(), None, the_peer());
    let service = Sessions { reader: Arc::new(reader), ..service };
    let filter = SessionFilter { scope: ActorScope::All, ..SessionFilter::default() };
    let list = ready(service.list(&owner(), filter, PAGE));
    assert_eq!(list, Err(unreadable("session", 2)));
}

#[test]
fn a_member_that_selects_rows_of_others_is_refused_without_a_read() {
    let refused = || ReadError::Refused(Refusal::OwnerOnly);
    for scope in [ActorScope::Of(PEER), ActorScope::All] {
        let service = sessions(no_commands(), None, no_others());
        let filter = SessionFilter { scope, ..SessionFilter::default() };
        assert_eq!(ready(service.list(&caller(), filter, PAGE)), Err(refused()));
        let service = todos(no_commands(), None, no_others());
        let filter = TodoFilter { scope, ..TodoFilter::default() };
        assert_eq!(ready(service.list(&caller(), filter, PAGE)), Err(refused()));
        let service = activities(no_commands(), None, no_others());
        let selection = ActivitySelection { scope, ..ActivitySelection::default() };
        assert_eq!(ready(service.list(&caller(), selection.clone(), PAGE)), Err(refused()));
        assert_eq!(ready(service.stats(&caller(), selection, &Zone::UTC)), Err(refused()));
    }
}
