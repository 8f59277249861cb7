//! Which rows a dashboard asks for, and how it opens them.

use super::*;
use crate::model::activity::Activity;
use crate::model::dashboard::{
    DashboardCounts, DashboardRows, DashboardTodo, ShownText, TodoSession,
};
use crate::model::forecast::Spending;
use crate::model::id::{ActivityId, TodoId};
use crate::model::text::ActivityType;
use crate::model::time::QuarterHour;
use crate::model::todo::{Priority, TodoStatus};
use crate::model::zone::Zone;
use crate::port::store::{DashboardQuery, MockDashboardReader, QuarterHourQuery};
use crate::service::access::ActorScope;
use crate::service::dashboard::{Dashboards, SealedDashboard};

fn todo(id: i64, actor: ActorId, title: Sealed) -> DashboardTodo<Option<Sealed>> {
    DashboardTodo {
        id: TodoId(id),
        uid: uid(id.unsigned_abs().into()),
        actor,
        title: Some(title),
        status: TodoStatus::InProgress,
        status_since: at(5),
        priority: Priority::default(),
        due_at: None,
        session: TodoSession::None,
        claimed_at: None,
        claim_until: None,
    }
}

fn entry(description: Option<Sealed>) -> Activity<Option<Sealed>> {
    Activity {
        id: ActivityId(9),
        uid: uid(9),
        actor: ME,
        session: None,
        activity_type: ActivityType::parse("note").unwrap(),
        description,
        logged_at: at(6),
        created_at: at(6),
        version: 1,
    }
}

fn rows() -> SealedDashboard {
    let title = |id| stored(Field::TodoTitle, uid(id), "a title");
    DashboardRows {
        at: now(),
        agents: Vec::new(),
        has_more_agents: false,
        sessions: Vec::new(),
        waiting: vec![entry(None)],
        todos: vec![todo(1, ME, title(1)), todo(2, ME, damaged())],
        has_more_overdue: false,
        has_more_keys: false,
        next_up: vec![todo(3, PEER, of_peer(&title(3)))],
        next_due_at: None,
        latest: vec![entry(Some(stored(Field::ActivityDescription, uid(9), "done")))],
        keys: Vec::new(),
        today: Vec::new(),
        spending: Spending { balance: 7, whole_days: 7, last_day: 0 },
        counts: DashboardCounts::default(),
    }
}

fn dashboards(reader: MockDashboardReader, accounts: Arc<MockAccountReader>) -> Dashboards {
    Dashboards { accounts, reader: Arc::new(reader), clock: clock() }
}

#[test]
fn a_dashboard_is_of_the_actors_that_the_caller_may_see() {
    for (caller, scope, expected) in [
        (caller(), ActorScope::Own, Ok(Some(ME))),
        (caller(), ActorScope::All, Err(Refusal::OwnerOnly)),
        (caller(), ActorScope::Of(PEER), Err(Refusal::OwnerOnly)),
        (owner(), ActorScope::All, Ok(None)),
        (owner(), ActorScope::Of(PEER), Ok(Some(PEER))),
    ] {
        let mut reader = MockDashboardReader::new();
        if let Ok(actor) = expected {
            let query = DashboardQuery { by: BY, actor, agents_after: None, zone: Zone::UTC };
            let asked = reader.expect_dashboard().once();
            asked.withf(move |asked, _| *asked == query).returning(|_, _| Ok(rows()));
        }
        let found = ready(dashboards(reader, no_others()).find(&caller, scope, None, Zone::UTC));
        match expected {
            Ok(_) => assert_eq!(found, Ok(rows())),
            Err(refusal) => assert_eq!(found, Err(ReadError::Refused(refusal))),
        }
    }
}

#[test]
fn a_text_that_does_not_open_spoils_no_other() {
    let opened = ready(dashboards(MockDashboardReader::new(), the_peer()).open(&owner(), rows()));
    let opened = opened.unwrap();
    let open = |text: &str| ShownText::Open(text.to_owned());
    let titles: Vec<_> = opened.todos.iter().map(|todo| todo.title.clone()).collect();
    assert_eq!(titles, [open("a title"), ShownText::Unreadable]);
    assert_eq!(opened.next_up.first().unwrap().title, open("a title"));
    assert_eq!(opened.latest.first().unwrap().description, open("done"));
    assert_eq!(opened.waiting.first().unwrap().description, ShownText::TooLong);
}

#[test]
fn texts_of_an_actor_whose_keys_are_broken_are_unreadable_and_the_rest_is_not() {
    let accounts = others(Err(StoreError::Broken("no wrap".to_owned())));
    let opened = ready(dashboards(MockDashboardReader::new(), accounts).open(&owner(), rows()));
    let opened = opened.unwrap();
    assert_eq!(opened.next_up.first().unwrap().title, ShownText::Unreadable);
    assert_eq!(opened.todos.first().unwrap().title, ShownText::Open("a title".to_owned()));
}

#[test]
fn the_hours_of_the_week_are_those_of_the_last_four_weeks() {
    let mut reader = MockDashboardReader::new();
    let last = now().quarter_hour();
    let query = QuarterHourQuery { by: BY, actor: Some(ME), quarter_hours: (QuarterHour(0), last) };
    let asked = reader.expect_activities_by_quarter_hour().once();
    asked.withf(move |asked| *asked == query).returning(move |_| Ok(vec![(last, 3)]));
    let dashboards = dashboards(reader, no_others());
    let week = ready(dashboards.week_hours(&caller(), ActorScope::Own, &Zone::UTC)).unwrap();
    // 1970-01-01 was a Thursday.
    assert_eq!(week.most(), Some((3, 0, 3)));
}

#[test]
fn a_forecast_is_reckoned_from_what_the_account_spent() {
    let mut reader = MockDashboardReader::new();
    let spending = Spending { balance: 7, whole_days: 7, last_day: 0 };
    reader.expect_spending().once().returning(move |_, _| Ok(spending));
    let forecast = ready(dashboards(reader, no_others()).forecast(&caller(), &Zone::UTC));
    assert_eq!(forecast.unwrap().unwrap().ends_at, now().plus_seconds(7 * 86_400));
}
