//! What a unit is tied to.

use super::*;

/// Every unit of mine that changes or deletes a row, with the state that the row is in.
fn tied() -> [(Intent, EntityTag, &'static str); 5] {
    [
        (end(ACTIVE), session(ACTIVE).tag(), "session"),
        (Intent::DeleteSession(ACTIVE), session(ACTIVE).tag(), "session"),
        (step(TODO, TodoStatus::Done), todo(TODO).tag(), "todo"),
        (Intent::DeleteTodo(TODO), todo(TODO).tag(), "todo"),
        (Intent::DeleteActivity(ACTIVITY), activity(ACTIVITY).tag(), "activity"),
    ]
}

fn if_match(tags: &[EntityTag], intent: Intent) -> UnitOfWork {
    let conditions = Conditions { if_match: Some(tags.to_vec()), ..Conditions::default() };
    UnitOfWork { conditions, ..mine(intent) }
}

fn next(tag: EntityTag) -> EntityTag {
    EntityTag { version: tag.version + 1, ..tag }
}

#[test]
fn a_row_in_a_named_state_is_written_as_ever() {
    for (intent, stands, _) in tied() {
        let (mut tied, mut free) = (books(), books());
        let answer = tied.decide(if_match(&[next(stands), stands], intent.clone()));
        assert_eq!(answer, free.decide(mine(intent)));
        assert!(answer.is_ok());
        assert_eq!(tied.into_changes(), free.into_changes());
    }
}

#[test]
fn a_row_in_another_state_is_left_alone_and_nothing_is_charged() {
    for (intent, stands, what) in tied() {
        let of_another_row = EntityTag { uid: uid(7), ..stands };
        for tags in [&[][..], &[next(stands)], &[of_another_row, next(stands)]] {
            let unit = if_match(tags, intent.clone());
            assert_refused(&mut books(), unit, &Refusal::HasChanged(what));
        }
    }
}

#[test]
fn a_state_that_a_batch_mate_left_is_no_longer_the_one_before() {
    let mut books = books();
    let begin = step(TODO, TodoStatus::InProgress);
    let stands = todo(TODO).tag();
    books.decide(if_match(&[stands], begin.clone())).unwrap();
    assert_refused(&mut books, if_match(&[stands], begin), &Refusal::HasChanged("todo"));
    let done = if_match(&[next(stands)], step(TODO, TodoStatus::Done));
    assert!(books.decide(done).is_ok());
}

#[test]
fn what_is_not_there_is_not_found_whatever_state_is_named() {
    let of_peer = [
        (end(OF_PEER), session(OF_PEER).tag(), "session"),
        (Intent::DeleteSession(UNKNOWN), session(ACTIVE).tag(), "session"),
        (step(TODO_OF_PEER, TodoStatus::Done), todo(TODO_OF_PEER).tag(), "todo"),
        (Intent::DeleteTodo(TodoId(9)), todo(TODO).tag(), "todo"),
        (Intent::DeleteActivity(ACTIVITY_OF_PEER), activity(ACTIVITY_OF_PEER).tag(), "activity"),
    ];
    for (intent, stands, what) in of_peer {
        for tags in [&[stands][..], &[]] {
            let unit = if_match(tags, intent.clone());
            assert_refused(&mut books(), unit, &Refusal::NotFound(what));
        }
    }
}

#[test]
fn the_state_comes_before_the_rules_and_the_balance() {
    let stale = |intent| if_match(&[], intent);
    assert_refused(&mut books(), stale(end(ENDED)), &Refusal::HasChanged("session"));
    let changed = Refusal::HasChanged("todo");
    assert_refused(&mut with_balance(0), stale(Intent::DeleteTodo(TODO)), &changed);
    let suspended = Account { status: AccountStatus::Suspended, ..account(HOME) };
    let mut books = books();
    books.load_account(suspended);
    assert_refused(&mut books, stale(end(ACTIVE)), &Refusal::Suspended);
}
