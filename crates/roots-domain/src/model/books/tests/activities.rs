//! Units of activities.

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
        let mut books = books();
        let decided = books.decide(mine(log("review", session)));
        let expected = logged("review", session);
        assert_eq!(decided, Ok(paid_for(AppliedRow::Activity(expected.clone()), 99)));
        let expected = Changes {
            activities: inserted(expected),
            quarters: quarters(now(), "review", 1),
            ..paid(1, |ids| ids.activity = 31)
                .and_tallies([(Tally::Activities(ME, kind("review")), 1)])
        };
        assert_eq!(books.into_changes(), expected);
    }
}

#[test]
fn one_logged_late_counts_in_the_quarter_it_happened_in() {
    let mut books = books();
    let Intent::LogActivity(new) = log("review", None) else { panic!("it logs") };
    let late = Intent::LogActivity(NewActivity { logged_at: Some(at(9)), ..new });
    let decided = books.decide(mine(late));
    let expected = Activity { logged_at: at(9), ..logged("review", None) };
    assert_eq!(decided, Ok(paid_for(AppliedRow::Activity(expected), 99)));
    assert_eq!(books.into_changes().quarters, quarters(at(9), "review", 1));
}

#[test]
fn deleting_one_uncounts_it_in_the_quarter_it_happened_in() {
    let mut books = books();
    let decided = books.decide(mine(Intent::DeleteActivity(ACTIVITY)));
    assert_eq!(decided, Ok(paid_for(AppliedRow::Deleted, 99)));
    let expected = Changes {
        activities: deleted(ACTIVITY),
        quarters: quarters(at(DAY_SECONDS + 5), "deploy", -1),
        ..paid(1, |_| ()).and_tallies([(Tally::Activities(ME, kind("deploy")), -1)])
    };
    assert_eq!(books.into_changes(), expected);
}

#[test]
fn an_actor_has_at_most_a_thousand_kinds() {
    let mut books = books();
    books.load_kinds(HOME, ME, kinds(&["deploy"], KINDS_MAX - 1));
    apply(&mut books, log("thousandth", None));
    assert_refused(&mut books, mine(log("one.more", None)), &Refusal::TooManyKinds);
    apply(&mut books, log("deploy", None));
    apply(&mut books, log("thousandth", None));
}

#[test]
fn a_kind_that_a_batch_mate_brought_counts_once() {
    let mut books = books();
    books.load_kinds(HOME, ME, kinds(&[], KINDS_MAX - 2));
    apply(&mut books, log("a", None));
    apply(&mut books, log("a", None));
    apply(&mut books, log("b", None));
    assert_refused(&mut books, mine(log("c", None)), &Refusal::TooManyKinds);
}

#[test]
fn the_limit_on_kinds_is_each_actors_own() {
    let mut books = books();
    books.load_kinds(HOME, ME, kinds(&[], KINDS_MAX));
    books.load_kinds(HOME, PEER, kinds(&[], KINDS_MAX - 1));
    assert_refused(&mut books, mine(log("new", None)), &Refusal::TooManyKinds);
    assert!(books.decide(by(PEER, log("new", None))).is_ok());
}

#[test]
fn a_kind_that_a_batch_mate_emptied_makes_room() {
    let mut books = books();
    let needs = Needs::of(&[mine(Intent::DeleteActivity(ACTIVITY)), mine(log("new", None))]);
    let expected = [(HOME, ME, kind("deploy")), (HOME, ME, kind("new"))];
    let counted: Vec<_> = books.kinds_to_count(&needs).into_iter().collect();
    assert_eq!(counted, expected, "those of another actor are left aside");
    books.load_kinds(HOME, ME, kinds(&["deploy"], KINDS_MAX));
    assert_refused(&mut books, mine(log("new", None)), &Refusal::TooManyKinds);
    assert!(books.decide(mine(Intent::DeleteActivity(ACTIVITY))).is_ok());
    apply(&mut books, log("new", None));
    assert_refused(&mut books, mine(log("deploy", None)), &Refusal::TooManyKinds);
}
