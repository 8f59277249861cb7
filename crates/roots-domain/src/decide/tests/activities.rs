//! Commands of activities.

use super::*;

fn logged(label: &str, session: Option<SessionId>) -> Activity<Sealed> {
    Activity {
        id: ActivityId(31),
        uid: uid(3),
        actor: ME,
        session,
        activity_type: kind(label),
        description: sealed("reviewed"),
        logged_at: now(),
        created_at: now(),
        version: 1,
    }
}

#[test]
fn logging_one_counts_it_by_type_and_in_its_quarter() {
    for session in [None, Some(ACTIVE)] {
        let mut working_set = working_set();
        let decided = working_set.decide(mine(log("review", session)));
        let expected = logged("review", session);
        assert_eq!(decided, Ok(paid_for(AppliedRow::Activity(expected.clone()), 99)));
        let expected = WriteSet {
            activities: inserted(expected),
            quarter_hours: quarter_hours(now(), "review", 1),
            ..paid(1, |ids| ids.activity = 31)
                .and_counters([(Counter::Activities(ME, kind("review")), 1)])
        };
        assert_eq!(working_set.into_write_set(), expected);
    }
}

#[test]
fn one_logged_late_counts_in_the_quarter_it_happened_in() {
    let mut working_set = working_set();
    let Action::LogActivity(new) = log("review", None) else { panic!("it logs") };
    let late = Action::LogActivity(NewActivity { logged_at: Some(at(9)), ..new });
    let decided = working_set.decide(mine(late));
    let expected = Activity { logged_at: at(9), ..logged("review", None) };
    assert_eq!(decided, Ok(paid_for(AppliedRow::Activity(expected), 99)));
    assert_eq!(working_set.into_write_set().quarter_hours, quarter_hours(at(9), "review", 1));
}

#[test]
fn deleting_one_uncounts_it_in_the_quarter_it_happened_in() {
    let mut working_set = working_set();
    let decided = working_set.decide(mine(Action::DeleteActivity(ACTIVITY)));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Deleted, 99)));
    let expected = WriteSet {
        activities: deleted(ACTIVITY),
        quarter_hours: quarter_hours(at(DAY_SECONDS + 5), "deploy", -1),
        ..paid(1, |_| ()).and_counters([(Counter::Activities(ME, kind("deploy")), -1)])
    };
    assert_eq!(working_set.into_write_set(), expected);
}

#[test]
fn an_actor_has_at_most_a_thousand_kinds() {
    let mut working_set = working_set();
    working_set.load_kinds(HOME, ME, kinds(&["deploy"], KINDS_MAX - 1));
    apply(&mut working_set, log("thousandth", None));
    assert_refused(&mut working_set, mine(log("one.more", None)), &Refusal::TooManyKinds);
    apply(&mut working_set, log("deploy", None));
    apply(&mut working_set, log("thousandth", None));
}

#[test]
fn a_kind_that_a_batch_mate_brought_counts_once() {
    let mut working_set = working_set();
    working_set.load_kinds(HOME, ME, kinds(&[], KINDS_MAX - 2));
    apply(&mut working_set, log("a", None));
    apply(&mut working_set, log("a", None));
    apply(&mut working_set, log("b", None));
    assert_refused(&mut working_set, mine(log("c", None)), &Refusal::TooManyKinds);
}

#[test]
fn the_limit_on_kinds_is_each_actors_own() {
    let mut working_set = working_set();
    working_set.load_kinds(HOME, ME, kinds(&[], KINDS_MAX));
    working_set.load_kinds(HOME, PEER, kinds(&[], KINDS_MAX - 1));
    assert_refused(&mut working_set, mine(log("new", None)), &Refusal::TooManyKinds);
    assert!(working_set.decide(by(PEER, log("new", None))).is_ok());
}

#[test]
fn a_kind_that_a_batch_mate_emptied_makes_room() {
    let mut working_set = working_set();
    let read_set = ReadSet::of(&[mine(Action::DeleteActivity(ACTIVITY)), mine(log("new", None))]);
    let expected = [(HOME, ME, kind("deploy")), (HOME, ME, kind("new"))];
    let counted: Vec<_> = working_set.kinds_to_count(&read_set).into_iter().collect();
    assert_eq!(counted, expected, "those of another actor are left aside");
    working_set.load_kinds(HOME, ME, kinds(&["deploy"], KINDS_MAX));
    assert_refused(&mut working_set, mine(log("new", None)), &Refusal::TooManyKinds);
    assert!(working_set.decide(mine(Action::DeleteActivity(ACTIVITY))).is_ok());
    apply(&mut working_set, log("new", None));
    assert_refused(&mut working_set, mine(log("deploy", None)), &Refusal::TooManyKinds);
}
