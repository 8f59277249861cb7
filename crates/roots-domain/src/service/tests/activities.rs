//! Activities and their statistics.

use super::*;
use crate::model::activity::{Activity, ActivityStats, NewActivity, SessionCounts};
use crate::model::id::ActivityId;
use crate::model::text::{ActivityText, ActivityType};
use crate::model::time::{Day, TimeRange};
use crate::model::zone::Zone;
use crate::port::store::{ActivityFilter, MockActivityReader};
use crate::service::access::ActorScope;
use crate::service::activities::{Activities, ActivityDraft, ActivitySelection};

const ID: ActivityId = ActivityId(5);

fn activity<T>(actor: ActorId, description: T) -> Activity<T> {
    Activity {
        id: ID,
        uid: uid(20),
        actor,
        session: Some(SessionId(2)),
        activity_type: activity_type("deploy"),
        description,
        logged_at: at(4),
        created_at: at(5),
        version: 1,
    }
}

fn activity_type(text: &str) -> ActivityType {
    ActivityType::parse(text).unwrap()
}

fn row(actor: ActorId) -> Activity<Sealed> {
    activity(actor, stored(Field::ActivityDescription, uid(20), "Deployed"))
}

fn opened() -> Activity {
    activity(ME, "Deployed".into())
}

fn activities(commands: Arc<MockCommandStore>, reader: MockActivityReader) -> Activities {
    Activities { writes: writes(commands, no_others()), reader: Arc::new(reader), uids: uids(50) }
}

/// A reader that fails the test when it is asked.
fn no_reads() -> MockActivityReader {
    MockActivityReader::new()
}

fn draft(logged_at: Option<Timestamp>) -> ActivityDraft {
    ActivityDraft {
        actor: None,
        description: ActivityText::parse("Deployed").unwrap(),
        activity_type: activity_type("deploy"),
        session: Some(SessionId(2)),
        logged_at,
    }
}

fn selection() -> ActivitySelection {
    ActivitySelection {
        scope: ActorScope::Own,
        activity_type: Some(activity_type("deploy")),
        session: Some(SessionId(2)),
        range: TimeRange { since: Some(at(1)), until: None },
    }
}

fn filter() -> ActivityFilter {
    ActivityFilter {
        by: BY,
        actor: Some(ME),
        activity_type: Some(activity_type("deploy")),
        session: Some(SessionId(2)),
        range: TimeRange { since: Some(at(1)), until: None },
    }
}

#[test]
fn logging_an_activity_seals_its_description_for_the_new_row() {
    for logged_at in [None, Some(at(4))] {
        let (commands, sent) = commands(Ok(AppliedRow::Activity(row(ME))));
        let logged = ready(activities(commands, no_reads()).log(
            &caller(),
            draft(logged_at),
            Preconditions::default(),
        ));
        assert_eq!(logged, Ok(written(opened())));
        let new = NewActivity {
            actor: None,
            session: Some(SessionId(2)),
            activity_type: activity_type("deploy"),
            description: cipher(Field::ActivityDescription, uid(50), 1, "Deployed"),
            logged_at,
        };
        let action = ResourceAction::LogActivity { uid: uid(50), new };
        assert_eq!(sent.action("POST /activities"), action);
    }
}

#[test]
fn no_command_is_sent_if_the_description_cannot_be_sealed() {
    let activities = activities(no_commands(), no_reads());
    let logged = ready(activities.log(&sealing_nothing(), draft(None), Preconditions::default()));
    assert_eq!(logged, Err(WriteError::Seal(CryptoError::NoRandomness)));
}

#[test]
fn an_activity_saved_with_an_unreadable_text_is_reported_as_saved() {
    let (commands, _) = commands(Ok(AppliedRow::Activity(activity(ME, damaged()))));
    let logged = ready(activities(commands, no_reads()).log(
        &caller(),
        draft(None),
        Preconditions::default(),
    ));
    assert_eq!(logged, Err(saved_unreadable("activity", 5)));
}

#[test]
fn deleting_an_activity_sends_its_id_and_reads_nothing() {
    let (commands, sent) = commands(Ok(AppliedRow::Deleted));
    let deleted =
        ready(activities(commands, no_reads()).delete(&caller(), ID, Preconditions::default()));
    assert_eq!(deleted, Ok(written(ID)));
    assert_eq!(sent.action("DELETE /activities/{id}"), ResourceAction::DeleteActivity(ID));
}

#[test]
fn refusals_and_store_errors_are_passed_on() {
    for (answer, expected) in failures() {
        let store = || commands(Err(answer.clone())).0;
        let logged = ready(activities(store(), no_reads()).log(
            &caller(),
            draft(None),
            Preconditions::default(),
        ));
        assert_eq!(logged, Err(expected.clone()));
        let deleted =
            ready(activities(store(), no_reads()).delete(&caller(), ID, Preconditions::default()));
        assert_eq!(deleted, Err(expected));
    }
}

#[test]
fn a_row_of_another_table_in_the_outcome_is_a_store_error() {
    let (commands, _) = commands(Ok(AppliedRow::Deleted));
    assert_mismatched(ready(activities(commands, no_reads()).log(
        &caller(),
        draft(None),
        Preconditions::default(),
    )));
}

#[test]
fn only_the_callers_own_activity_is_found() {
    let get = |found: Result<Option<Activity<Sealed>>, StoreError>| {
        let mut reader = MockActivityReader::new();
        reader
            .expect_activity()
            .times(1)
            .withf(|by, id| (by.account, *id) == (HOME, ID))
            .return_once(|_, _| found);
        ready(activities(no_commands(), reader).get(&caller(), ID))
    };
    assert_eq!(get(Ok(Some(row(ME)))), Ok(Some(opened())));
    assert_eq!(get(Ok(None)), Ok(None));
    // The text is not opened either, because that would be an error.
    assert_eq!(get(Ok(Some(activity(PEER, damaged())))), Ok(None));
    assert_eq!(get(Ok(Some(activity(ME, damaged())))), Err(unreadable("activity", 5)));
    assert_eq!(get(Err(away())), Err(ReadError::Store(away())));
}

#[test]
fn a_page_has_only_the_callers_activities_with_their_texts_opened() {
    let list = |answer: Vec<Activity<Sealed>>| {
        let mut reader = MockActivityReader::new();
        reader
            .expect_activities()
            .times(1)
            .withf(|asked, page| (asked, *page) == (&filter(), PAGE))
            .return_once(|_, _| Ok(page(answer)));
        ready(activities(no_commands(), reader).list(&caller(), selection(), PAGE))
    };
    assert_eq!(list(vec![row(ME), row(ME)]), Ok(page(vec![opened(), opened()])));
    assert_eq!(list(vec![activity(ME, damaged())]), Err(unreadable("activity", 5)));
}

#[test]
fn stats_cover_only_the_callers_activities_and_open_no_text() {
    let sessions = SessionCounts { total: 3, active: 1 };
    let mut reader = MockActivityReader::new();
    let zone = Zone::parse("Asia/Kathmandu").unwrap();
    let (of, in_zone) = (filter(), zone.clone());
    let is_asked = move |asked: &ActivityFilter, by: &Zone| *asked == of && *by == in_zone;
    let expected = ActivityStats {
        total: 7,
        by_type: vec![(activity_type("deploy"), 7)],
        by_type_omitted: 0,
        by_day: vec![(Day(1), 6), (Day(2), 1)],
        by_day_omitted: 0,
        sessions,
    };
    let found = expected.clone();
    let asked = reader.expect_activity_stats().times(1).withf(is_asked);
    asked.return_once(move |_, _| Ok(found));
    let blind = Caller { keys: Arc::new(MockKeyring::new()), ..caller() };
    let stats = ready(activities(no_commands(), reader).stats(&blind, selection(), &zone));
    assert_eq!(stats, Ok(expected));
}
