//! What a command is tied to.

use super::*;

/// Every kind of command that changes or deletes a row, with the current tag of that row.
fn tied() -> [(ResourceAction, EntityTag, &'static str); 5] {
    [
        (end(ACTIVE), session(ACTIVE).tag(), "session"),
        (ResourceAction::DeleteSession(ACTIVE), session(ACTIVE).tag(), "session"),
        (step(TODO, TodoStatus::Done), todo(TODO).tag(), "todo"),
        (ResourceAction::DeleteTodo { id: TODO, claim_token: None }, todo(TODO).tag(), "todo"),
        (ResourceAction::DeleteActivity(ACTIVITY), activity(ACTIVITY).tag(), "activity"),
    ]
}

fn if_match(tags: &[EntityTag], action: ResourceAction) -> Command {
    let conditions = Conditions { if_match: Some(tags.to_vec()), ..Conditions::default() };
    Command { conditions, ..mine(action) }
}

fn next(tag: EntityTag) -> EntityTag {
    EntityTag { version: tag.version + 1, ..tag }
}

#[test]
fn a_write_with_a_matching_tag_acts_like_an_unconditional_write() {
    for (action, stands, _) in tied() {
        let (mut tied, mut free) = (working_set(), working_set());
        let answer = tied.decide(if_match(&[next(stands), stands], action.clone()));
        assert_eq!(answer, free.decide(mine(action)));
        assert!(answer.is_ok());
        assert_eq!(tied.into_write_set(), free.into_write_set());
    }
}

#[test]
fn a_write_without_a_matching_tag_changes_and_charges_nothing() {
    for (action, stands, what) in tied() {
        let of_another_row = EntityTag { uid: uid(7), ..stands };
        for tags in [&[][..], &[next(stands)], &[of_another_row, next(stands)]] {
            let command = if_match(tags, action.clone());
            assert_refused(&mut working_set(), command, &Refusal::HasChanged(what));
        }
    }
}

#[test]
fn a_tag_no_longer_matches_after_an_update_in_the_same_batch() {
    let mut working_set = working_set();
    let begin = step(TODO, TodoStatus::InProgress);
    let stands = todo(TODO).tag();
    working_set.decide(if_match(&[stands], begin.clone())).unwrap();
    assert_refused(&mut working_set, if_match(&[stands], begin), &Refusal::HasChanged("todo"));
    let done = if_match(&[next(stands)], step(TODO, TodoStatus::Done));
    assert!(working_set.decide(done).is_ok());
}

#[test]
fn a_missing_or_invisible_row_is_not_found_whatever_tag_is_given() {
    let of_peer = [
        (end(OF_PEER), session(OF_PEER).tag(), "session"),
        (ResourceAction::DeleteSession(UNKNOWN), session(ACTIVE).tag(), "session"),
        (step(TODO_OF_PEER, TodoStatus::Done), todo(TODO_OF_PEER).tag(), "todo"),
        (ResourceAction::DeleteTodo { id: TodoId(9), claim_token: None }, todo(TODO).tag(), "todo"),
        (
            ResourceAction::DeleteActivity(ACTIVITY_OF_PEER),
            activity(ACTIVITY_OF_PEER).tag(),
            "activity",
        ),
    ];
    for (action, stands, what) in of_peer {
        for tags in [&[stands][..], &[]] {
            let command = if_match(tags, action.clone());
            assert_refused(&mut working_set(), command, &Refusal::NotFound(what));
        }
    }
}

#[test]
fn a_tag_is_checked_after_suspension_but_before_rules_and_balance() {
    let stale = |action| if_match(&[], action);
    assert_refused(&mut working_set(), stale(end(ENDED)), &Refusal::HasChanged("session"));
    let changed = Refusal::HasChanged("todo");
    assert_refused(
        &mut with_balance(0),
        stale(ResourceAction::DeleteTodo { id: TODO, claim_token: None }),
        &changed,
    );
    let suspended = Account { status: AccountStatus::Suspended, ..account(HOME) };
    let mut working_set = working_set();
    working_set.load_account(suspended);
    assert_refused(&mut working_set, stale(end(ACTIVE)), &Refusal::Suspended);
}
