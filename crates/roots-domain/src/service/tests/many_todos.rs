//! Creating several todos at once.

use super::*;
use crate::model::claim::Claims;
use crate::model::id::TodoId;
use crate::model::text::Title;
use crate::model::todo::{NewTodo, NewTodos, TodoContent, TodoStatus};
use crate::port::store::MockTodoReader;
use crate::service::todos::{TodoDraft, TodoDrafts, Todos};

/// The uid of the first new todo.
const FRESH: u128 = 50;

fn todos(commands: Arc<MockCommandStore>, accounts: Arc<MockAccountReader>) -> Todos {
    let reader = Arc::new(MockTodoReader::new());
    Todos { writes: writes(commands, accounts), reader, uids: uids(FRESH) }
}

fn drafts<const N: usize>(drafts: [(Option<ActorId>, &str); N]) -> TodoDrafts {
    let draft = |(actor, title)| TodoDraft {
        actor,
        content: TodoContent::titled(Title::parse(title).unwrap()),
    };
    NewTodos::new(drafts.map(draft).into()).unwrap()
}

/// A todo as the store answers it.
fn row<T>(id: TodoId, actor: ActorId, title: T) -> Todo<T> {
    Todo {
        id,
        uid: uid(20),
        actor,
        content: TodoContent::titled(title),
        status: TodoStatus::Open,
        claims: Claims::NONE,
        created_at: at(5),
        updated_at: at(5),
        status_since: at(5),
        version: 1,
    }
}

const FIRST: TodoId = TodoId(7);
const SECOND: TodoId = TodoId(8);

fn at_rest(title: &str) -> Sealed {
    stored(Field::TodoTitle, uid(20), title)
}

/// A store that answers with two todos of these titles.
fn creating(titles: [Sealed; 2]) -> (Arc<MockCommandStore>, SentCommand) {
    let [first, second] = titles;
    commands(Ok(AppliedRow::Todos(vec![row(FIRST, ME, first), row(SECOND, ME, second)])))
}

fn new(actor: Option<ActorId>, title: Sealed) -> NewTodo<Sealed> {
    NewTodo { actor, content: TodoContent::titled(title) }
}

#[test]
fn creating_many_todos_seals_each_for_its_own_row_and_answers_in_their_order() {
    let (commands, sent) = creating([at_rest("Write docs"), at_rest("Deploy")]);
    let drafts = drafts([(None, "Write docs"), (Some(ME), "Deploy")]);
    let todos = todos(commands, no_others());
    let created = ready(todos.create_many(&caller(), drafts, Preconditions::default()));
    let opened =
        vec![row(FIRST, ME, "Write docs".to_owned()), row(SECOND, ME, "Deploy".to_owned())];
    assert_eq!(created, Ok(written(opened)));
    let title = |row, when, text| cipher(Field::TodoTitle, row, when, text);
    let expected = vec![
        (uid(FRESH), new(None, title(uid(FRESH), 1, "Write docs"))),
        (uid(FRESH + 1), new(Some(ME), title(uid(FRESH + 1), 2, "Deploy"))),
    ];
    let expected = ResourceAction::CreateTodos(NewTodos::new(expected).unwrap());
    assert_eq!(sent.action("POST /todos"), expected);
    assert_eq!(sent.command().charge, Some(Charge { cost: 2, endpoint: "POST /todos" }));
}

#[test]
fn an_owner_seals_each_of_many_todos_with_the_keys_of_its_actor() {
    let theirs = of_peer(&at_rest("Deploy"));
    let rows = vec![row(FIRST, ME, at_rest("Write docs")), row(SECOND, PEER, theirs)];
    let (commands, sent) = commands(Ok(AppliedRow::Todos(rows)));
    let drafts = drafts([(None, "Write docs"), (Some(PEER), "Deploy")]);
    let todos = todos(commands, the_peer());
    let created = ready(todos.create_many(&owner(), drafts, Preconditions::default())).unwrap();
    let titles: Vec<_> =
        created.value.iter().map(|todo| (todo.actor, todo.content.title.as_str())).collect();
    assert_eq!(titles, [(ME, "Write docs"), (PEER, "Deploy")]);
    let ResourceAction::CreateTodos(sealed) = sent.action_as(Role::Owner, "POST /todos") else {
        panic!("it creates todos")
    };
    let second = sealed.into_iter().nth(1).unwrap();
    let title = of_peer(&cipher(Field::TodoTitle, uid(FRESH + 1), 1, "Deploy"));
    assert_eq!(second, (uid(FRESH + 1), new(Some(PEER), title)));
}

#[test]
fn many_todos_are_refused_by_index_if_the_caller_has_no_keys_of_an_actor() {
    let drafts = || drafts([(None, "Write docs"), (Some(PEER), "Deploy")]);
    let todos_of = |accounts| todos(no_commands(), accounts);
    let refused =
        ready(todos_of(no_others()).create_many(&caller(), drafts(), Preconditions::default()));
    assert_eq!(refused, Err(Refusal::OwnerOnly.of_todo(1).into()));
    let nobody = others(Ok(Vec::new()));
    let refused = ready(todos_of(nobody).create_many(&owner(), drafts(), Preconditions::default()));
    assert_eq!(refused, Err(Refusal::NoSuchActor(PEER).of_todo(1).into()));
    let refused = ready(todos_of(others(Err(away()))).create_many(
        &owner(),
        drafts(),
        Preconditions::default(),
    ));
    assert_eq!(refused, Err(WriteError::Store(away())));
}

#[test]
fn a_failure_to_create_many_todos_is_passed_on() {
    let create = |commands, caller: Caller| {
        let todos = todos(commands, no_others());
        let drafts = drafts([(None, "Write docs"), (None, "Deploy")]);
        ready(todos.create_many(&caller, drafts, Preconditions::default()))
    };
    for (failure, expected) in failures() {
        assert_eq!(create(commands(Err(failure)).0, caller()), Err(expected));
    }
    let unsealed = Err(WriteError::Seal(CryptoError::NoRandomness));
    assert_eq!(create(no_commands(), sealing_nothing()), unsealed);
    let other_rows = [
        AppliedRow::Deleted,
        AppliedRow::Todo(row(FIRST, ME, at_rest("x"))),
        AppliedRow::Todos(vec![]),
    ];
    for row in other_rows {
        assert_mismatched(create(commands(Ok(row)).0, caller()));
    }
    let (commands, _) = creating([at_rest("Write docs"), damaged()]);
    assert_eq!(create(commands, caller()), Err(saved_unreadable("todo", SECOND.0)));
}
