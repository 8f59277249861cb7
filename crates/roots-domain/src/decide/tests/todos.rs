//! Commands of todos.

use super::*;

fn counter(status: TodoStatus, level: i64) -> Counter {
    Counter::Todos(ME, status, priority(level))
}

#[test]
fn creating_a_todo_inserts_and_counts_the_row_with_or_without_a_session() {
    for session in [None, Some(ACTIVE)] {
        let mut working_set = working_set();
        let created = Todo {
            id: TodoId(21),
            uid: uid(2),
            actor: ME,
            content: TodoContent {
                session,
                title: sealed("new title"),
                description: None,
                priority: priority(3),
                due_at: Some(at(7)),
            },
            status: TodoStatus::Open,
            claims: Claims::NONE,
            created_at: now(),
            updated_at: now(),
            status_since: now(),
            version: 1,
        };
        let decided = working_set.decide(mine(new_todo(session)));
        assert_eq!(decided, Ok(paid_for(AppliedRow::Todo(created.clone()), 99)));
        let expected = WriteSet {
            todos: inserted(created),
            ..paid(&[(21, MADE)], |ids| ids.todo = 21)
                .and_counters([(counter(TodoStatus::Open, 3), 1)])
        };
        assert_eq!(working_set.into_write_set(), expected);
    }
}

#[test]
fn a_status_change_writes_a_log_entry_with_its_note_and_uid() {
    let mut working_set = working_set();
    let patch = TodoPatch {
        status: Some(TodoStatus::Done),
        note: Some(resealed("all deployed", None)),
        priority: Some(priority(0)),
        ..TodoPatch::EMPTY
    };
    let done = Todo {
        content: TodoContent { priority: priority(0), ..todo(TODO).content },
        status: TodoStatus::Done,
        updated_at: now(),
        status_since: now(),
        version: 5,
        ..todo(TODO)
    };
    let decided = working_set.decide(mine(patch_todo(TODO, patch)));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Todo(done.clone()), 99)));
    let logged = StatusChange {
        id: LogId(41),
        uid: uid(4),
        todo: TODO,
        old_status: TodoStatus::Open,
        new_status: TodoStatus::Done,
        note: Some(sealed("all deployed")),
        logged_at: now(),
    };
    let moves = [(counter(TodoStatus::Open, 2), -1), (counter(TodoStatus::Done, 0), 1)];
    let expected = WriteSet {
        todos: updated(done),
        logs: vec![(HOME, ME, logged)],
        ..paid(&[(TODO.0, Some(TodoStep::Moved(TodoStatus::Done)))], |ids| ids.log = 41)
            .and_counters(moves)
    };
    assert_eq!(working_set.into_write_set(), expected);
}

#[test]
fn a_patch_sets_and_clears_texts_times_and_links_without_a_log_entry() {
    let mut working_set = working_set();
    let patch = TodoPatch {
        title: Some(resealed("other title", Some("a title before"))),
        description: Patch::Clear,
        due_at: Patch::Set(at(1)),
        session: Patch::Set(ENDED),
        ..TodoPatch::EMPTY
    };
    let row = RowPatch { id: TODO, sealed_for: Some(uid(200)), patch };
    let changed = Todo {
        content: TodoContent {
            title: sealed("other title"),
            description: None,
            due_at: Some(at(1)),
            session: Some(ENDED),
            ..todo(TODO).content
        },
        updated_at: now(),
        version: 5,
        ..todo(TODO)
    };
    let decided = working_set.decide(mine(ResourceAction::PatchTodo {
        row,
        log_uid: uid(4),
        claim_token: None,
    }));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Todo(changed.clone()), 99)));
    let expected = WriteSet { todos: updated(changed), ..paid(&[(TODO.0, None)], |_| ()) };
    assert_eq!(working_set.into_write_set(), expected);
}

#[test]
fn a_patch_with_unchanged_values_leaves_the_todo_as_is_but_is_charged() {
    let mut working_set = working_set();
    let patch = TodoPatch {
        title: Some(resealed("sealed afresh", Some("title"))),
        description: Patch::Set(resealed("sealed afresh", Some("description"))),
        status: Some(TodoStatus::Open),
        priority: Some(priority(2)),
        due_at: Patch::Set(at(900)),
        session: Patch::Set(ACTIVE),
        note: None,
    };
    let decided = working_set.decide(mine(patch_todo(TODO, patch)));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Todo(todo(TODO)), 99)));
    assert_eq!(working_set.into_write_set(), paid(&[(TODO.0, None)], |_| ()));
}

#[test]
fn a_description_set_where_none_was_stored_is_a_change() {
    let mut working_set = working_set();
    working_set.load_todo(
        HOME,
        Todo { content: TodoContent { description: None, ..todo(TODO).content }, ..todo(TODO) },
    );
    let description = Patch::Set(resealed("sealed afresh", None));
    let patch = TodoPatch { description, ..TodoPatch::EMPTY };
    let AppliedRow::Todo(described) = apply(&mut working_set, patch_todo(TODO, patch)) else {
        panic!("a todo is answered");
    };
    assert_eq!(
        (described.content.description, described.version),
        (Some(sealed("sealed afresh")), 5)
    );
}

#[test]
fn deleting_a_todo_decrements_its_counter() {
    let mut working_set = working_set();
    let decided =
        working_set.decide(mine(ResourceAction::DeleteTodo { id: TODO, claim_token: None }));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Deleted, 99)));
    let expected = WriteSet {
        todos: deleted(TODO),
        ..paid(&[(TODO.0, None)], |_| ()).and_counters([(counter(TodoStatus::Open, 2), -1)])
    };
    assert_eq!(working_set.into_write_set(), expected);
}
