//! Todos and their logs.

use super::*;
use crate::command::{ClaimRequest, Resealed, RowPatch};
use crate::model::Patch;
use crate::model::claim::{ClaimToken, Claims, LeaseSeconds};
use crate::model::id::{LogId, TodoId};
use crate::model::text::{LogNote, Title};
use crate::model::todo::{
    NewTodo, Priority, StatusChange, Todo, TodoContent, TodoPatch, TodoStatus,
};
use crate::model::todo_list::{FinishedStatus, TodoRows};
use crate::port::store::{FinishedTodos, MockTodoReader, OverdueTodos, TodoLog, TodoQuery};
use crate::service::access::ActorScope;
use crate::service::sealing::opening;
use crate::service::todos::{ClaimDraft, ClaimedTodo, TodoChange, TodoDraft, TodoFilter, Todos};

const ID: TodoId = TodoId(7);
/// The first uid that a service is given: for a new todo or a log entry.
const FRESH: u128 = 50;

fn todo<T>(actor: ActorId, title: T, description: Option<T>) -> Todo<T> {
    Todo {
        id: ID,
        uid: uid(20),
        actor,
        content: TodoContent {
            session: Some(SessionId(2)),
            title,
            description,
            priority: Priority::default(),
            due_at: Some(at(9)),
        },
        status: TodoStatus::Done,
        claims: Claims::NONE,
        created_at: at(5),
        updated_at: at(6),
        status_since: at(6),
        version: 3,
    }
}

fn row(actor: ActorId) -> Todo<Sealed> {
    todo(actor, title("Write docs"), Some(description("All three")))
}

fn opened() -> Todo {
    todo(ME, "Write docs".into(), Some("All three".into()))
}

fn title(text: &str) -> Sealed {
    stored(Field::TodoTitle, uid(20), text)
}

fn description(text: &str) -> Sealed {
    stored(Field::TodoDescription, uid(20), text)
}

fn todos(commands: Arc<MockCommandStore>, reader: MockTodoReader) -> Todos {
    Todos { writes: writes(commands, no_others()), reader: Arc::new(reader), uids: uids(FRESH) }
}

/// A reader that fails the test when it is asked.
fn no_reads() -> MockTodoReader {
    MockTodoReader::new()
}

/// A reader that is asked once for the todo.
fn finding(found: Result<Option<Todo<Sealed>>, StoreError>) -> MockTodoReader {
    let mut reader = MockTodoReader::new();
    reader
        .expect_todo()
        .times(1)
        .withf(|by, id| (by.account, *id) == (HOME, ID))
        .return_once(|_, _| found);
    reader
}

fn kept() -> (Arc<MockCommandStore>, SentCommand) {
    commands(Ok(AppliedRow::Todo(row(ME))))
}

fn draft(description: Option<&str>) -> TodoDraft {
    TodoDraft {
        actor: None,
        content: TodoContent {
            title: Title::parse("Deploy").unwrap(),
            description: description.map(long),
            session: Some(SessionId(2)),
            priority: Priority::parse(2).unwrap(),
            due_at: Some(at(9)),
        },
    }
}

fn retitled(text: &str) -> TodoChange {
    TodoChange { title: Some(Title::parse(text).unwrap()), ..TodoChange::EMPTY }
}

fn done() -> TodoChange {
    TodoChange { status: Some(TodoStatus::Done), ..TodoChange::EMPTY }
}

fn patch_action(sealed_for: Option<Uid>, patch: TodoPatch<Resealed>) -> ResourceAction {
    ResourceAction::PatchTodo {
        row: RowPatch { id: ID, sealed_for, patch },
        log_uid: uid(FRESH),
        claim_token: None,
    }
}

const PATCH: &str = "PATCH /todos/{id}";

#[test]
fn creating_a_todo_seals_each_text_for_its_field_of_the_new_row() {
    for text in [Some("Docs"), None] {
        let (commands, sent) = kept();
        let created = ready(todos(commands, no_reads()).create(
            &caller(),
            draft(text),
            Preconditions::default(),
        ));
        assert_eq!(created, Ok(written(opened())));
        let action = ResourceAction::CreateTodo {
            uid: uid(FRESH),
            new: NewTodo {
                actor: None,
                content: TodoContent {
                    session: Some(SessionId(2)),
                    title: cipher(Field::TodoTitle, uid(FRESH), 1, "Deploy"),
                    description: text
                        .map(|text| cipher(Field::TodoDescription, uid(FRESH), 2, text)),
                    priority: Priority::parse(2).unwrap(),
                    due_at: Some(at(9)),
                },
            },
        };
        assert_eq!(sent.action("POST /todos"), action);
    }
}

#[test]
fn a_patch_without_title_or_description_text_reads_nothing() {
    let (commands, sent) = kept();
    let change = TodoChange {
        description: Patch::Clear,
        priority: Some(Priority::parse(3).unwrap()),
        due_at: Patch::Set(at(8)),
        session: Patch::Clear,
        ..done()
    };
    let patched =
        ready(todos(commands, no_reads()).patch(&caller(), ID, change, Preconditions::default()));
    assert_eq!(patched, Ok(written(opened())));
    let patch = TodoPatch {
        title: None,
        description: Patch::Clear,
        status: Some(TodoStatus::Done),
        priority: Some(Priority::parse(3).unwrap()),
        due_at: Patch::Set(at(8)),
        session: Patch::Clear,
        note: None,
    };
    assert_eq!(sent.action(PATCH), patch_action(None, patch));
}

#[test]
fn a_note_is_sealed_for_its_log_entry_and_reads_nothing() {
    let (commands, sent) = kept();
    let change = TodoChange { note: Some(LogNote::parse("deployed").unwrap()), ..done() };
    let patched =
        ready(todos(commands, no_reads()).patch(&caller(), ID, change, Preconditions::default()));
    assert_eq!(patched, Ok(written(opened())));
    let sealed = cipher(Field::LogNote, uid(FRESH), 1, "deployed");
    let note = Some(Resealed { sealed, same_as: None });
    let patch = TodoPatch { status: Some(TodoStatus::Done), note, ..TodoPatch::EMPTY };
    assert_eq!(sent.action(PATCH), patch_action(None, patch));
}

#[test]
fn a_patch_with_texts_reads_the_row_once_and_seals_each_for_its_field() {
    let (commands, sent) = kept();
    let change = TodoChange {
        description: Patch::Set(long("All three")),
        note: Some(LogNote::parse("deployed").unwrap()),
        status: Some(TodoStatus::Done),
        ..retitled("Write the docs")
    };
    let patched = ready(todos(commands, finding(Ok(Some(row(ME))))).patch(
        &caller(),
        ID,
        change,
        Preconditions::default(),
    ));
    assert_eq!(patched, Ok(written(opened())));
    let patch = TodoPatch {
        title: Some(Resealed {
            sealed: cipher(Field::TodoTitle, uid(20), 1, "Write the docs"),
            same_as: None,
        }),
        description: Patch::Set(Resealed {
            sealed: cipher(Field::TodoDescription, uid(20), 2, "All three"),
            same_as: Some(description("All three")),
        }),
        status: Some(TodoStatus::Done),
        note: Some(Resealed {
            sealed: cipher(Field::LogNote, uid(FRESH), 3, "deployed"),
            same_as: None,
        }),
        ..TodoPatch::EMPTY
    };
    assert_eq!(sent.action(PATCH), patch_action(Some(uid(20)), patch));
}

#[test]
fn a_patch_of_only_the_description_reads_the_row() {
    let (commands, sent) = kept();
    let todos = todos(commands, finding(Ok(Some(row(ME)))));
    let description = Patch::Set(long("All of them"));
    let change = TodoChange { description, ..TodoChange::EMPTY };
    assert_eq!(
        ready(todos.patch(&caller(), ID, change, Preconditions::default())),
        Ok(written(opened()))
    );
    let sealed = cipher(Field::TodoDescription, uid(20), 1, "All of them");
    let description = Patch::Set(Resealed { sealed, same_as: None });
    let patch = TodoPatch { description, ..TodoPatch::EMPTY };
    assert_eq!(sent.action(PATCH), patch_action(Some(uid(20)), patch));
}

#[test]
fn an_unchanged_title_is_sent_with_the_stored_ciphertext_it_equals() {
    let (commands, sent) = kept();
    let todos = todos(commands, finding(Ok(Some(row(ME)))));
    let patched =
        ready(todos.patch(&caller(), ID, retitled("Write docs"), Preconditions::default()));
    assert_eq!(patched, Ok(written(opened())));
    let title = Some(Resealed {
        sealed: cipher(Field::TodoTitle, uid(20), 1, "Write docs"),
        same_as: Some(title("Write docs")),
    });
    let patch = TodoPatch { title, ..TodoPatch::EMPTY };
    assert_eq!(sent.action(PATCH), patch_action(Some(uid(20)), patch));
}

#[test]
fn an_unreadable_title_can_be_overwritten() {
    let (commands, sent) = kept();
    let broken = todo(ME, damaged(), None);
    let todos = todos(commands, finding(Ok(Some(broken))));
    let patched =
        ready(todos.patch(&caller(), ID, retitled("Write docs"), Preconditions::default()));
    assert_eq!(patched, Ok(written(opened())));
    let sealed = cipher(Field::TodoTitle, uid(20), 1, "Write docs");
    let title = Some(Resealed { sealed, same_as: None });
    let patch = TodoPatch { title, ..TodoPatch::EMPTY };
    assert_eq!(sent.action(PATCH), patch_action(Some(uid(20)), patch));
}

#[test]
fn a_text_for_a_missing_or_invisible_todo_is_sealed_for_a_fresh_uid_and_refused() {
    for found in [None, Some(row(PEER))] {
        let refusal = Refusal::NotFound("todo");
        let (commands, sent) = commands(Err(refusal.clone().into()));
        let todos = todos(commands, finding(Ok(found)));
        let patched =
            ready(todos.patch(&caller(), ID, retitled("Write docs"), Preconditions::default()));
        assert_eq!(patched, Err(WriteError::Refused(refusal)));
        let sealed = cipher(Field::TodoTitle, uid(FRESH), 1, "Write docs");
        let title = Some(Resealed { sealed, same_as: None });
        let patch = TodoPatch { title, ..TodoPatch::EMPTY };
        assert_eq!(sent.action(PATCH), patch_action(Some(uid(FRESH)), patch));
    }
}

#[test]
fn an_empty_patch_is_refused_without_a_command() {
    let todos = todos(no_commands(), no_reads());
    let patched = ready(todos.patch(&caller(), ID, TodoChange::EMPTY, Preconditions::default()));
    assert_eq!(patched, Err(WriteError::EmptyPatch));
}

#[test]
fn no_command_is_sent_if_the_row_cannot_be_read_or_a_text_not_sealed() {
    let cut_off = todos(no_commands(), finding(Err(away())));
    let patched = ready(cut_off.patch(&caller(), ID, retitled("x"), Preconditions::default()));
    assert_eq!(patched, Err(WriteError::Store(away())));

    let unsealed = Err(WriteError::Seal(CryptoError::NoRandomness));
    let todos = todos(no_commands(), no_reads());
    assert_eq!(
        ready(todos.create(&sealing_nothing(), draft(None), Preconditions::default())),
        unsealed
    );
    let change = TodoChange { note: Some(LogNote::parse("deployed").unwrap()), ..done() };
    assert_eq!(
        ready(todos.patch(&sealing_nothing(), ID, change, Preconditions::default())),
        unsealed
    );
}

#[test]
fn a_todo_saved_with_an_unreadable_text_is_reported_as_saved() {
    for broken in [
        todo(ME, damaged(), None),
        todo(ME, title("Write docs"), Some(damaged())),
        // Each text is in the other's field.
        todo(ME, description("All three"), None),
        todo(ME, title("Write docs"), Some(title("Write docs"))),
    ] {
        let (commands, _) = commands(Ok(AppliedRow::Todo(broken)));
        let patched = ready(todos(commands, no_reads()).patch(
            &caller(),
            ID,
            done(),
            Preconditions::default(),
        ));
        assert_eq!(patched, Err(saved_unreadable("todo", 7)));
    }
}

#[test]
fn deleting_a_todo_sends_its_id_and_reads_nothing() {
    let (commands, sent) = commands(Ok(AppliedRow::Deleted));
    let deleted =
        ready(todos(commands, no_reads()).delete(&caller(), ID, Preconditions::default()));
    assert_eq!(deleted, Ok(written(ID)));
    assert_eq!(
        sent.action("DELETE /todos/{id}"),
        ResourceAction::DeleteTodo { id: ID, claim_token: None }
    );
}

#[test]
fn refusals_and_store_errors_are_passed_on() {
    for (answer, expected) in failures() {
        let store = || commands(Err(answer.clone())).0;
        let created = ready(todos(store(), no_reads()).create(
            &caller(),
            draft(None),
            Preconditions::default(),
        ));
        assert_eq!(created, Err(expected.clone()));
        let patched = ready(todos(store(), no_reads()).patch(
            &caller(),
            ID,
            done(),
            Preconditions::default(),
        ));
        assert_eq!(patched, Err(expected.clone()));
        let deleted =
            ready(todos(store(), no_reads()).delete(&caller(), ID, Preconditions::default()));
        assert_eq!(deleted, Err(expected));
    }
}

#[test]
fn a_row_of_another_table_in_the_outcome_is_a_store_error() {
    let store = || commands(Ok(AppliedRow::Deleted)).0;
    assert_mismatched(ready(todos(store(), no_reads()).create(
        &caller(),
        draft(None),
        Preconditions::default(),
    )));
    assert_mismatched(ready(todos(store(), no_reads()).patch(
        &caller(),
        ID,
        done(),
        Preconditions::default(),
    )));
}

#[test]
fn only_the_callers_own_todo_is_found() {
    let get = |found| ready(todos(no_commands(), finding(found)).get(&caller(), ID));
    assert_eq!(get(Ok(Some(row(ME)))), Ok(Some(opened())));
    assert_eq!(get(Ok(None)), Ok(None));
    // The text is not opened either, because that would be an error.
    assert_eq!(get(Ok(Some(todo(PEER, damaged(), None)))), Ok(None));
    assert_eq!(get(Ok(Some(todo(ME, damaged(), None)))), Err(unreadable("todo", 7)));
    assert_eq!(get(Err(away())), Err(ReadError::Store(away())));
}

#[test]
fn a_page_has_only_the_callers_todos_with_their_texts_opened() {
    let list = |answer: Vec<Todo<Sealed>>| {
        let (status, priority) = (Some(TodoStatus::Open), Some(Priority::default()));
        let session = Some(SessionId(2));
        let query = TodoQuery { by: BY, actor: Some(ME), status, priority, session, page: PAGE };
        let mut reader = MockTodoReader::new();
        reader
            .expect_todos()
            .times(1)
            .withf(move |asked| *asked == query)
            .return_once(|_| Ok(page(answer.into_iter().map(listed_todo).collect())));
        let rows = TodoRows::ByPriority { status, priority, session };
        let filter = TodoFilter { scope: ActorScope::Own, rows };
        ready(todos(no_commands(), reader).list(&caller(), filter, PAGE))
    };
    assert_eq!(
        list(vec![row(ME), row(ME)]),
        Ok(page(vec![listed_todo(opened()), listed_todo(opened())]))
    );
    assert_eq!(list(vec![todo(ME, damaged(), None)]), Err(unreadable("todo", 7)));
}

#[test]
fn finished_and_overdue_todos_are_lists_of_their_own() {
    let actor = Some(ME);
    let answer = || Ok(page(vec![listed_todo(row(ME))]));
    let list = |reader, rows| {
        let filter = TodoFilter { scope: ActorScope::Own, rows };
        ready(todos(no_commands(), reader).list(&caller(), filter, PAGE))
    };
    let mut reader = MockTodoReader::new();
    let status = FinishedStatus::Done;
    let priority = Some(Priority::default());
    let query = FinishedTodos { by: BY, actor, status, priority, page: PAGE };
    let asked = reader.expect_finished_todos().times(1).withf(move |asked| *asked == query);
    asked.return_once(move |_| answer());
    let finished = list(reader, TodoRows::Finished { status, priority });
    assert_eq!(finished, Ok(page(vec![listed_todo(opened())])));
    let mut reader = MockTodoReader::new();
    let query = OverdueTodos { by: BY, actor, now: now(), page: PAGE };
    let asked = reader.expect_overdue_todos().times(1).withf(move |asked| *asked == query);
    asked.return_once(move |_| answer());
    assert_eq!(list(reader, TodoRows::Overdue), Ok(page(vec![listed_todo(opened())])));
}

#[test]
fn the_next_todo_is_overdue_after_its_due_date() {
    let mut reader = MockTodoReader::new();
    let due = now().plus_seconds(60);
    let asked = reader
        .expect_next_due()
        .times(1)
        .withf(|by, actor, at| (*by, *actor, *at) == (BY, Some(ME), now()));
    asked.return_once(move |_, _, _| Ok(Some(due)));
    let service = todos(no_commands(), reader);
    let next = ready(service.next_overdue(&caller(), ActorScope::Own)).unwrap().unwrap();
    assert!(due < next && next <= due.plus_seconds(1), "{next}");
}

fn step<T>(id: i64, note: Option<T>) -> StatusChange<T> {
    StatusChange {
        id: LogId(id),
        uid: uid(30),
        todo: ID,
        old_status: TodoStatus::Open,
        new_status: TodoStatus::Done,
        note,
        logged_at: at(7),
    }
}

fn log(actor: ActorId, note: Option<Sealed>) -> TodoLog {
    // Reading the log does not open the texts of the todo.
    let todo = todo(actor, damaged(), None);
    TodoLog { todo, steps: vec![step(1, None), step(2, note)], next: Some(LogId(2)) }
}

#[test]
fn only_the_log_of_the_callers_own_todo_is_found_and_its_notes_opened() {
    let get = |found: Result<Option<TodoLog>, StoreError>| {
        let mut reader = MockTodoReader::new();
        reader
            .expect_todo_log()
            .times(1)
            .withf(|by, id, after| (by.account, *id, *after) == (HOME, ID, Some(LogId(7))))
            .return_once(|_, _, _| found);
        let todos = todos(no_commands(), reader);
        let Some(chunk) = ready(todos.log_after(&caller(), ID, Some(LogId(7))))? else {
            return Ok(None);
        };
        assert_eq!(chunk.next, Some(LogId(2)));
        let opening = ready(opening(&*todos.writes.accounts, &caller(), chunk.steps))?;
        opening.collect::<Result<Vec<_>, _>>().map(Some)
    };
    let note = stored(Field::LogNote, uid(30), "deployed");
    let opened = vec![step(1, None), step(2, Some("deployed".to_owned()))];
    assert_eq!(get(Ok(Some(log(ME, Some(note))))), Ok(Some(opened)));
    assert_eq!(get(Ok(None)), Ok(None));
    assert_eq!(get(Ok(Some(log(PEER, Some(damaged()))))), Ok(None));
    assert_eq!(get(Ok(Some(log(ME, Some(damaged()))))), Err(unreadable("todo", 7)));
    assert_eq!(get(Err(away())), Err(ReadError::Store(away())));
}

fn claim_of(actor: ActorId, todo: Option<TodoId>, lapse_note: Sealed) -> ResourceAction {
    ResourceAction::ClaimTodo(ClaimRequest {
        actor,
        session: Some(SessionId(2)),
        todo,
        min_priority: Priority::parse(1).unwrap(),
        lease: LeaseSeconds::default(),
        log_uids: [uid(FRESH), uid(FRESH + 1)],
        lapse_note,
    })
}

fn claim_draft() -> ClaimDraft {
    let min_priority = Priority::parse(1).unwrap();
    ClaimDraft { session: Some(SessionId(2)), min_priority, ..ClaimDraft::default() }
}

/// The note of a lapse, as it is sealed for the first of the log rows.
fn lapse_note() -> Sealed {
    cipher(Field::LogNote, uid(FRESH), 1, "claim lapsed")
}

#[test]
fn a_claim_brings_the_note_for_the_log_of_a_lapse() {
    let (commands, sent) = commands(Ok(AppliedRow::Claimed(row(ME), at(99))));
    let claimed = ready(todos(commands, no_reads()).claim(
        &caller(),
        claim_draft(),
        Preconditions::default(),
    ));
    let value = Some(ClaimedTodo { todo: opened(), until: at(99) });
    assert_eq!(claimed, Ok(written(value)));
    assert_eq!(sent.action("POST /todos/claim"), claim_of(ME, None, lapse_note()));
}

#[test]
fn a_claim_that_finds_no_todo_is_no_error() {
    let (commands, _) = commands(Ok(AppliedRow::NothingToClaim));
    let claimed = ready(todos(commands, no_reads()).claim(
        &caller(),
        claim_draft(),
        Preconditions::default(),
    ));
    assert_eq!(claimed.map(|written| written.value), Ok(None));
}

#[test]
fn an_owner_that_names_a_todo_claims_it_for_the_actor_of_the_todo() {
    for (reader, draft, todo) in [
        (finding(Ok(Some(row(PEER)))), ClaimDraft { todo: Some(ID), ..claim_draft() }, Some(ID)),
        (no_reads(), ClaimDraft { actor: Some(PEER), ..claim_draft() }, None),
    ] {
        let (commands, sent) = commands(Ok(AppliedRow::NothingToClaim));
        let service =
            Todos { writes: writes(commands, the_peer()), ..todos(no_commands(), reader) };
        ready(service.claim(&owner(), draft, Preconditions::default())).unwrap();
        let claim = claim_of(PEER, todo, of_peer(&lapse_note()));
        let ResourceAction::ClaimTodo(sent) = sent.action_as(Role::Owner, "POST /todos/claim")
        else {
            panic!("no claim")
        };
        assert_eq!(ResourceAction::ClaimTodo(sent), claim);
    }
}

#[test]
fn a_member_claims_for_no_other_actor_and_reads_nothing() {
    let draft = ClaimDraft { actor: Some(PEER), ..claim_draft() };
    let service = todos(no_commands(), no_reads());
    let refused = ready(service.claim(&caller(), draft, Preconditions::default()));
    assert_eq!(refused, Err(WriteError::Refused(Refusal::OwnerOnly)));
}

#[test]
fn a_release_sends_the_token_of_its_claim() {
    let (commands, sent) = kept();
    let token = ClaimToken(4);
    let released =
        ready(todos(commands, no_reads()).release(&caller(), ID, token, Preconditions::default()));
    assert_eq!(released, Ok(written(opened())));
    let action = ResourceAction::ReleaseTodo { id: ID, claim_token: token, log_uid: uid(FRESH) };
    assert_eq!(sent.action("POST /todos/{id}/release"), action);
}

#[test]
fn a_token_goes_with_patches_and_deletions_and_is_a_patch_by_itself() {
    let with_token =
        || Preconditions { claim_token: Some(ClaimToken(4)), ..Preconditions::default() };
    let (commands, sent) = kept();
    let patched =
        ready(todos(commands, no_reads()).patch(&caller(), ID, TodoChange::EMPTY, with_token()));
    assert_eq!(patched, Ok(written(opened())));
    let ResourceAction::PatchTodo { claim_token, .. } = sent.action(PATCH) else {
        panic!("no patch")
    };
    assert_eq!(claim_token, Some(ClaimToken(4)));
    let (commands, sent) = super::commands(Ok(AppliedRow::Deleted));
    ready(todos(commands, no_reads()).delete(&caller(), ID, with_token())).unwrap();
    let deletion = ResourceAction::DeleteTodo { id: ID, claim_token: Some(ClaimToken(4)) };
    assert_eq!(sent.action("DELETE /todos/{id}"), deletion);
}
