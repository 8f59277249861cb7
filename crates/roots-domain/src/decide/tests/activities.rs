//! Commands of activities.

use super::*;

fn logged(label: &str, session: Option<SessionId>) -> Activity<Sealed> {
    Activity {
        id: ActivityId(31),
        uid: uid(3),
        actor: ME,
        session,
        activity_type: activity_type(label),
        description: sealed("reviewed"),
        logged_at: now(),
        created_at: now(),
        version: 1,
    }
}

#[test]
fn logging_an_activity_increments_its_type_and_quarter_hour_counters() {
    for session in [None, Some(ACTIVE)] {
        let mut working_set = working_set();
        let decided = working_set.decide(mine(log("review", session)));
        let expected = logged("review", session);
        assert_eq!(decided, Ok(paid_for(AppliedRow::Activity(expected.clone()), 99)));
        let expected = WriteSet {
            activities: inserted(expected),
            quarter_hours: quarter_hours(now(), "review", 1),
            ..paid(&[(31, None)], |ids| ids.activity = 31)
                .and_counters([(Counter::Activities(ME, activity_type("review")), 1)])
        };
        assert_eq!(working_set.into_write_set(), expected);
    }
}

#[test]
fn a_late_activity_counts_in_the_quarter_hour_of_its_logged_time() {
    let mut working_set = working_set();
    let ResourceAction::LogActivity { uid, new } = log("review", None) else { panic!("it logs") };
    let new = NewActivity { logged_at: Some(at(9)), ..new };
    let late = ResourceAction::LogActivity { uid, new };
    let decided = working_set.decide(mine(late));
    let expected = Activity { logged_at: at(9), ..logged("review", None) };
    assert_eq!(decided, Ok(paid_for(AppliedRow::Activity(expected), 99)));
    assert_eq!(working_set.into_write_set().quarter_hours, quarter_hours(at(9), "review", 1));
}

#[test]
fn deleting_an_activity_decrements_its_type_and_quarter_hour_counters() {
    let mut working_set = working_set();
    let decided = working_set.decide(mine(ResourceAction::DeleteActivity(ACTIVITY)));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Deleted, 99)));
    let expected = WriteSet {
        activities: deleted(ACTIVITY),
        quarter_hours: quarter_hours(at(DAY_SECONDS + 5), "deploy", -1),
        ..paid(&[(ACTIVITY.0, None)], |_| ())
            .and_counters([(Counter::Activities(ME, activity_type("deploy")), -1)])
    };
    assert_eq!(working_set.into_write_set(), expected);
}

#[test]
fn an_actor_has_at_most_1000_activity_types() {
    let mut working_set = working_set();
    working_set.load_activity_types(HOME, ME, activity_types(&["deploy"], ACTIVITY_TYPES_MAX - 1));
    apply(&mut working_set, log("thousandth", None));
    assert_refused(&mut working_set, mine(log("one.more", None)), &Refusal::TooManyActivityTypes);
    apply(&mut working_set, log("deploy", None));
    apply(&mut working_set, log("thousandth", None));
}

#[test]
fn an_activity_type_new_in_the_same_batch_counts_once_toward_the_limit() {
    let mut working_set = working_set();
    working_set.load_activity_types(HOME, ME, activity_types(&[], ACTIVITY_TYPES_MAX - 2));
    apply(&mut working_set, log("a", None));
    apply(&mut working_set, log("a", None));
    apply(&mut working_set, log("b", None));
    assert_refused(&mut working_set, mine(log("c", None)), &Refusal::TooManyActivityTypes);
}

#[test]
fn the_limit_on_activity_types_is_per_actor() {
    let mut working_set = working_set();
    working_set.load_activity_types(HOME, ME, activity_types(&[], ACTIVITY_TYPES_MAX));
    working_set.load_activity_types(HOME, PEER, activity_types(&[], ACTIVITY_TYPES_MAX - 1));
    assert_refused(&mut working_set, mine(log("new", None)), &Refusal::TooManyActivityTypes);
    assert!(working_set.decide(by(PEER, log("new", None))).is_ok());
}

#[test]
fn deleting_the_last_activity_of_a_type_frees_room_in_the_same_batch() {
    let mut working_set = working_set();
    let read_set =
        ReadSet::of(&[mine(ResourceAction::DeleteActivity(ACTIVITY)), mine(log("new", None))]);
    let expected = [(HOME, ME, activity_type("deploy")), (HOME, ME, activity_type("new"))];
    let counted: Vec<_> = working_set.activity_types_to_count(&read_set).into_iter().collect();
    assert_eq!(counted, expected, "those of another actor are not counted");
    working_set.load_activity_types(HOME, ME, activity_types(&["deploy"], ACTIVITY_TYPES_MAX));
    assert_refused(&mut working_set, mine(log("new", None)), &Refusal::TooManyActivityTypes);
    assert!(working_set.decide(mine(ResourceAction::DeleteActivity(ACTIVITY))).is_ok());
    apply(&mut working_set, log("new", None));
    assert_refused(&mut working_set, mine(log("deploy", None)), &Refusal::TooManyActivityTypes);
}
