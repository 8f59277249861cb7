use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::FIRST.plus_seconds(seconds)
}

fn todo(status: TodoStatus) -> Todo {
    Todo {
        id: TodoId(1),
        uid: Uid::NIL,
        actor: ActorId(1),
        content: TodoContent {
            title: "Write API docs".into(),
            description: Some("All three".into()),
            session: Some(SessionId(3)),
            priority: Priority(2),
            due_at: Some(at(500)),
        },
        status,
        claims: Claims::NONE,
        created_at: at(100),
        updated_at: at(100),
        status_since: at(100),
        version: 1,
    }
}

#[test]
fn each_status_change_is_allowed_or_refused_as_the_table_says() {
    use TodoStatus::{Cancelled, Done, InProgress, Open};
    let allowed = [
        (Open, InProgress),
        (Open, Done),
        (Open, Cancelled),
        (InProgress, Open),
        (InProgress, Done),
        (InProgress, Cancelled),
        (Done, Open),
        (Done, InProgress),
        (Cancelled, Open),
        (Cancelled, InProgress),
    ];
    for from in TodoStatus::ALL {
        for to in TodoStatus::ALL {
            let patch = TodoPatch { status: Some(to), ..TodoPatch::EMPTY };
            let answer = todo(from).patch(patch, at(200));
            if from == to {
                assert_eq!(answer, Ok(todo(from)), "the same status changes nothing");
            } else if allowed.contains(&(from, to)) {
                let next = answer.unwrap();
                assert_eq!((next.status, next.status_since), (to, at(200)));
            } else {
                assert_eq!(answer, Err(TodoRefusal::Forbidden { from, to }));
            }
        }
    }
}

#[test]
fn a_patch_clears_null_fields_and_keeps_absent_fields() {
    let patch = TodoPatch {
        description: Patch::Clear,
        due_at: Patch::Clear,
        session: Patch::Clear,
        ..TodoPatch::EMPTY
    };
    let next = todo(TodoStatus::Open).patch(patch, at(200)).unwrap();
    let kept =
        TodoContent { priority: Priority(2), ..TodoContent::titled("Write API docs".to_owned()) };
    assert_eq!(next.content, kept);
    assert_eq!((next.updated_at, next.version), (at(200), 2));
    assert_eq!(next.status_since, at(100), "the status did not change");
}

#[test]
fn a_note_requires_a_status_change() {
    let note = Some("All three docs pages deployed".to_owned());
    let alone = TodoPatch { note: note.clone(), title: Some("x".into()), ..TodoPatch::EMPTY };
    let refused = todo(TodoStatus::Open).patch(alone, at(200));
    assert_eq!(refused, Err(TodoRefusal::NoteWithoutChange));
    let same = TodoPatch { note, status: Some(TodoStatus::Open), ..TodoPatch::EMPTY };
    let refused = todo(TodoStatus::Open).patch(same, at(200));
    assert_eq!(refused, Err(TodoRefusal::NoteWithoutChange));
}

#[test]
fn one_write_creates_between_1_and_20_todos() {
    for count in [1_u8, 20] {
        let new = NewTodos::new((0..count).collect()).unwrap();
        assert_eq!(new.count(), count.into());
        let indexed = new.try_map(|index, number| {
            assert_eq!(index, usize::from(number));
            Ok::<_, Invalid>(number + 1)
        });
        assert_eq!(indexed.unwrap().into_iter().sum::<u8>(), (1..=count).sum());
    }
    for count in [0_usize, 21] {
        let refused = NewTodos::new(vec![(); count]).unwrap_err();
        assert_eq!(refused.to_string(), "must be a list of 1 to 20 todos");
    }
}

#[test]
fn priorities_range_from_0_to_3() {
    assert_eq!(Priority::default().level(), 0);
    assert!((0..=3).all(|level| Priority::parse(level).is_ok()));
    for digit in ["0", "1", "2", "3"] {
        assert_eq!(Priority::from_digit(digit).unwrap().level().to_string(), digit);
    }
    for bad in ["", "4", "9", "-1", "00", "1.0", " 1"] {
        assert_eq!(Priority::from_digit(bad), Err(Priority::out_of_range()), "{bad:?}");
    }
    for bad in [-1, 4, i64::MIN, i64::MAX, 65_536] {
        assert!(Priority::parse(bad).is_err());
    }
}

proptest! {
    #[test]
    fn random_status_changes_raise_the_version_and_never_move_updated_at_back(
        steps in proptest::collection::vec((0_usize..4, 0_i64..1000), 0..40)
    ) {
        let mut now = todo(TodoStatus::Open);
        for (to, second) in steps {
            let to = TodoStatus::ALL[to];
            let patch = TodoPatch { status: Some(to), ..TodoPatch::EMPTY };
            match now.patch(patch, at(second)) {
                Ok(next) => {
                    prop_assert_eq!(next.status, to);
                    prop_assert!(next.updated_at >= now.updated_at);
                    let has_moved = next.status != now.status;
                    let since = if has_moved { next.updated_at } else { now.status_since };
                    prop_assert_eq!(next.status_since, since);
                    prop_assert_eq!(next.version > now.version, to != now.status);
                    now = next;
                }
                Err(step) => prop_assert_eq!(step, TodoRefusal::Forbidden { from: now.status, to }),
            }
        }
    }
}

#[test]
fn todo_statuses_have_the_names_of_the_api_contract() {
    let names = ["open", "in_progress", "done", "cancelled"];
    for (status, text) in TodoStatus::ALL.into_iter().zip(names) {
        assert_eq!((status.name(), TodoStatus::from_name(text)), (text, Some(status)));
    }
    assert_eq!(TodoStatus::from_name("canceled"), None);
}

#[test]
fn a_todo_is_overdue_right_after_its_due_date_while_it_is_to_be_done() {
    let due_at = Timestamp::FIRST.plus_seconds(60);
    let overdue_from = |status: TodoStatus| status.overdue_from(Some(due_at));
    for to_be_done in [TodoStatus::Open, TodoStatus::InProgress] {
        assert_eq!(overdue_from(to_be_done), Some(due_at.just_after()));
        assert_eq!(to_be_done.overdue_from(None), None);
    }
    assert_eq!(overdue_from(TodoStatus::Done), None);
    assert_eq!(overdue_from(TodoStatus::Cancelled), None);
}
