//! What is said of the rows of a dashboard.

use proptest::prelude::*;

use super::*;
use crate::model::account::{Actor, ActorKind, Role};
use crate::model::activity::Activity;
use crate::model::api_key::KeyEpoch;
use crate::model::forecast::Spending;
use crate::model::id::{ActivityId, ActorId, KeyId, SessionId, TodoId, Uid};
use crate::model::quota::Renewals;
use crate::model::text::{ActivityType, Name};
use crate::model::time::Timestamp;
use crate::model::todo::{Priority, TodoStatus};

const NOW: i64 = 100 * 86_400;
const RULES: DashboardRules = DashboardRules { quiet_after_seconds: Some(1_800) };
const NEVER_QUIET: DashboardRules = DashboardRules { quiet_after_seconds: None };

fn at(seconds: i64) -> Timestamp {
    Timestamp::FIRST.plus_seconds(seconds)
}

/// So many seconds before now.
fn ago(seconds: i64) -> Timestamp {
    at(NOW - seconds)
}

fn rows() -> DashboardRows<()> {
    DashboardRows {
        at: at(NOW),
        agents: Vec::new(),
        has_more_agents: false,
        sessions: Vec::new(),
        waiting: Vec::new(),
        todos: Vec::new(),
        has_more_overdue: false,
        has_more_keys: false,
        next_up: Vec::new(),
        next_due_at: None,
        latest: Vec::new(),
        keys: Vec::new(),
        today: Vec::new(),
        spending: Spending { balance: 100, whole_days: 0, last_day: 0 },
        counts: DashboardCounts::default(),
    }
}

fn agent(id: i64, last_entry_at: Option<Timestamp>) -> AgentRow {
    let actor = Actor {
        id: ActorId(id),
        uid: Uid::NIL,
        name: Name::parse(format!("agent-{id}")).unwrap(),
        kind: ActorKind::Agent,
        role: Role::Member,
        is_active: true,
        key_epoch: KeyEpoch::FIRST,
        renewals: Renewals::NONE,
        created_at: at(0),
    };
    AgentRow { actor, last_entry_at }
}

fn session(id: i64, actor: i64, last_active_at: Timestamp) -> OpenSession {
    let started_at = Timestamp::from_micros(last_active_at.micros() - 3_600_000_000);
    OpenSession { id: SessionId(id), actor: ActorId(actor), started_at, last_active_at }
}

fn entry(session: i64, activity_type: &str, logged_at: Timestamp) -> Activity<()> {
    Activity {
        id: ActivityId(session),
        uid: Uid::NIL,
        actor: ActorId(1),
        session: Some(SessionId(session)),
        activity_type: ActivityType::parse(activity_type).unwrap(),
        description: (),
        logged_at,
        created_at: logged_at,
        version: 1,
    }
}

fn todo(id: i64, status: TodoStatus, status_since: Timestamp) -> DashboardTodo<()> {
    DashboardTodo {
        id: TodoId(id),
        uid: Uid::NIL,
        actor: ActorId(1),
        title: (),
        status,
        status_since,
        priority: Priority::default(),
        due_at: None,
        session: TodoSession::None,
        claimed_at: None,
        claim_until: None,
    }
}

fn key(expires_at: Timestamp) -> ExpiringKey {
    ExpiringKey { id: KeyId(1), actor: ActorId(1), prefix: "rk_1".into(), label: None, expires_at }
}

/// The needs as subjects and kinds.
fn told(rows: &DashboardRows<()>, rules: DashboardRules) -> Vec<(NeedSubject, Vec<NeedKind>)> {
    let kinds = |need: Need| (need.subject, need.reasons.iter().map(|one| one.1).collect());
    rows.needs(rules).into_iter().map(kinds).collect()
}

#[test]
fn what_needs_a_person_comes_oldest_first_and_each_once() {
    let in_progress = |id, since| todo(id, TodoStatus::InProgress, since);
    let ended = TodoSession::Ended { id: SessionId(9), at: ago(10_800) };
    let mut rows = rows();
    rows.sessions = vec![
        session(1, 1, ago(2_820)),
        session(2, 1, ago(720)),
        session(3, 1, ago(9_000)),
        session(4, 2, ago(60)),
    ];
    rows.waiting = vec![entry(2, "question", ago(720)), entry(3, "blocked", ago(9_000))];
    rows.todos = vec![
        DashboardTodo { due_at: Some(ago(7_200)), ..todo(1, TodoStatus::Open, ago(99_999)) },
        DashboardTodo { session: ended, ..in_progress(2, ago(20_000)) },
        DashboardTodo { due_at: Some(ago(5)), ..in_progress(3, ago(90_000)) },
        DashboardTodo { session: TodoSession::Active(SessionId(4)), ..in_progress(4, ago(9)) },
        DashboardTodo { session: TodoSession::Deleted, ..in_progress(5, ago(30)) },
    ];
    let day = 86_400;
    rows.keys = vec![key(at(NOW + 7 * day - 20)), ExpiringKey { id: KeyId(2), ..key(ago(0)) }];
    rows.spending = Spending { balance: 69, whole_days: 70, last_day: 0 };
    let (of_session, of_todo) =
        (|id| NeedSubject::Session(SessionId(id)), |id| NeedSubject::Todo(TodoId(id)));
    let expected = [
        (of_todo(3), vec![NeedKind::LongInProgress, NeedKind::Overdue]),
        (of_todo(2), vec![NeedKind::LeftBehind]),
        (of_session(3), vec![NeedKind::Blocked]),
        (NeedSubject::Credits, vec![NeedKind::CreditsEnd]),
        (of_todo(1), vec![NeedKind::Overdue]),
        (of_session(1), vec![NeedKind::Quiet]),
        (of_session(2), vec![NeedKind::Asks]),
        (of_todo(5), vec![NeedKind::LeftBehind]),
        (NeedSubject::Key(KeyId(1)), vec![NeedKind::KeyExpires]),
    ];
    assert_eq!(told(&rows, RULES), expected);
    // An operator can turn the rule off.
    assert!(told(&rows, NEVER_QUIET).iter().all(|(_, kinds)| !kinds.contains(&NeedKind::Quiet)));
}

#[test]
fn an_empty_balance_needs_a_person_although_nothing_was_spent_lately() {
    let mut rows = rows();
    rows.spending = Spending { balance: 0, whole_days: 0, last_day: 0 };
    assert_eq!(told(&rows, RULES), [(NeedSubject::Credits, vec![NeedKind::CreditsEnd])]);
}

#[test]
fn nothing_needs_a_person_before_its_time() {
    let mut rows = rows();
    rows.sessions = vec![session(1, 1, ago(1_859))];
    rows.todos = vec![
        todo(1, TodoStatus::InProgress, ago(86_400)),
        DashboardTodo { due_at: Some(ago(0)), ..todo(2, TodoStatus::Open, ago(9)) },
        DashboardTodo {
            session: TodoSession::Ended { id: SessionId(1), at: ago(5) },
            ..todo(3, TodoStatus::Open, ago(9))
        },
        DashboardTodo { due_at: Some(ago(9)), ..todo(4, TodoStatus::Done, ago(9)) },
    ];
    rows.keys = vec![key(at(NOW + 7 * 86_400))];
    rows.spending = Spending { balance: 70, whole_days: 70, last_day: 0 };
    assert_eq!(told(&rows, RULES), []);
}

#[test]
fn each_agent_has_a_state_a_todo_and_a_last_sign_of_life() {
    let mut rows = rows();
    rows.agents = vec![
        agent(1, None),
        agent(2, Some(ago(300))),
        agent(3, Some(ago(9_000))),
        agent(4, None),
        agent(5, None),
    ];
    rows.sessions = vec![
        session(1, 1, ago(120)),
        session(2, 1, ago(9_000)),
        session(3, 4, ago(2_820)),
        session(4, 5, ago(30)),
        // Its agent is not among those that are read.
        session(5, 77, ago(60)),
    ];
    rows.waiting = vec![entry(4, "question", ago(30))];
    rows.todos = vec![
        todo(1, TodoStatus::InProgress, ago(90_000)),
        DashboardTodo {
            claimed_at: Some(ago(4_320)),
            ..todo(2, TodoStatus::InProgress, ago(5_000))
        },
        DashboardTodo { due_at: Some(ago(9)), ..todo(3, TodoStatus::Open, ago(60)) },
    ];
    let shown: Vec<_> = rows
        .at_work(RULES)
        .into_iter()
        .map(|one| {
            let todos: Vec<_> = one.todos.iter().map(|todo| todo.0).collect();
            (one.actor.0, one.state.name(), todos, one.since, one.last_sign_at)
        })
        .collect();
    let started = |seconds: i64| Some(ago(seconds + 3_600));
    let expected = [
        (5, "waiting", vec![], started(30), Some(ago(30))),
        (77, "working", vec![], started(60), Some(ago(60))),
        (1, "working", vec![2, 1], Some(ago(4_320)), Some(ago(120))),
        (2, "working", vec![], None, Some(ago(300))),
        (4, "quiet", vec![], started(2_820), Some(ago(2_820))),
        (3, "idle", vec![], None, Some(ago(9_000))),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn what_is_not_read_is_counted() {
    let mut rows = rows();
    rows.sessions = vec![session(1, 1, ago(9))];
    rows.todos = vec![
        todo(1, TodoStatus::InProgress, ago(9)),
        DashboardTodo { due_at: Some(ago(5)), ..todo(2, TodoStatus::Open, ago(9)) },
    ];
    rows.counts.sessions_active = 4;
    rows.counts.todos.in_progress = 3;
    assert_eq!((rows.sessions_left_out(), rows.todos_left_out()), (3, 2));
    assert!(!rows.has_all_in_progress() && !rows.is_whole());
    rows.counts.todos.in_progress = 1;
    assert_eq!((rows.todos_left_out(), rows.has_all_in_progress()), (0, true));
    assert!(!rows.is_whole());
    rows.counts.sessions_active = 1;
    assert!(rows.is_whole());
    rows.has_more_overdue = true;
    assert!(!rows.is_whole());
    rows.has_more_overdue = false;
    rows.has_more_keys = true;
    assert!(!rows.is_whole());
}

#[test]
fn the_busiest_of_today_come_first_and_are_few() {
    let mut rows = rows();
    let counted = |actor, name, count| (ActorId(actor), ActivityType::parse(name).unwrap(), count);
    rows.today = (1..=20).map(|actor| counted(actor, "note", actor)).collect();
    rows.today.push(counted(3, "test", 90));
    let busiest: Vec<_> = rows.busiest_today().map(|actor| actor.0).collect();
    assert_eq!(busiest.len(), BUSIEST_MAX);
    assert_eq!(&busiest[..3], [3, 20, 19]);
}

#[test]
fn all_actors_of_the_rows_are_named() {
    let mut rows = rows();
    rows.agents = vec![agent(1, None)];
    rows.sessions = vec![session(1, 2, ago(9))];
    rows.todos = vec![DashboardTodo { actor: ActorId(3), ..todo(1, TodoStatus::Open, ago(9)) }];
    rows.next_up = vec![DashboardTodo { actor: ActorId(4), ..todo(2, TodoStatus::Open, ago(9)) }];
    rows.waiting = vec![Activity { actor: ActorId(5), ..entry(1, "question", ago(9)) }];
    rows.latest = vec![Activity { actor: ActorId(6), ..entry(1, "note", ago(9)) }];
    rows.keys = vec![ExpiringKey { actor: ActorId(7), ..key(ago(-9)) }];
    assert_eq!(rows.actors().map(|actor| actor.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn the_next_flip_is_the_first_rule_that_time_alone_changes() {
    let flip = |change: &dyn Fn(&mut DashboardRows<()>)| {
        let mut rows = rows();
        change(&mut rows);
        rows.next_flip(RULES).micros() - at(NOW).micros()
    };
    let second = 1_000_000;
    assert_eq!(flip(&|_| {}), REFRESH_SECONDS * second);
    assert_eq!(flip(&|rows| rows.next_due_at = Some(at(NOW + 5))), 5 * second + 1);
    assert_eq!(flip(&|rows| rows.keys = vec![key(at(NOW + 7))]), 7 * second);
    assert_eq!(flip(&|rows| rows.sessions = vec![session(1, 1, ago(1_850))]), 10 * second);
    assert_eq!(flip(&|rows| rows.agents = vec![agent(1, Some(ago(1_797)))]), 3 * second);
    let lapsing = DashboardTodo {
        claim_until: Some(at(NOW + 4)),
        ..todo(1, TodoStatus::InProgress, ago(86_400 - 9))
    };
    assert_eq!(flip(&|rows| rows.todos = vec![lapsing.clone()]), 4 * second);
    let long = todo(1, TodoStatus::InProgress, ago(86_400 - 9));
    assert_eq!(flip(&|rows| rows.todos = vec![long.clone()]), 9 * second + 1);
}

fn some_rows() -> impl Strategy<Value = DashboardRows<()>> {
    let near = |center: i64| (center - 90..center + 90).prop_map(ago);
    let sessions = proptest::collection::vec((1_i64..4, near(1_860)), 0..4);
    let entries = proptest::collection::vec((1_i64..4, near(1_800)), 0..3);
    let todos = proptest::collection::vec(
        (near(86_400), proptest::option::of(near(0)), proptest::option::of(near(0)), any::<bool>()),
        0..5,
    );
    let keys = proptest::collection::vec(prop_oneof![near(0), near(-7 * 86_400)], 0..3);
    (sessions, entries, todos, keys, 0_i64..4).prop_map(
        |(sessions, entries, todos, keys, waiting)| {
            let mut rows = rows();
            for (id, (actor, at)) in (1..).zip(sessions) {
                rows.sessions.push(session(id, actor, at));
            }
            if rows.session(SessionId(waiting)).is_some() {
                rows.waiting.push(entry(waiting, "question", ago(3_000)));
            }
            rows.agents = entries.into_iter().map(|(id, at)| agent(id, Some(at))).collect();
            rows.agents.dedup_by_key(|agent| agent.actor.id);
            for (id, (since, due_at, claim_until, is_open)) in (1..).zip(todos) {
                let status = if is_open { TodoStatus::Open } else { TodoStatus::InProgress };
                let claim_until = claim_until.filter(|_| !is_open);
                let todo = DashboardTodo { due_at, claim_until, ..todo(id, status, since) };
                rows.todos.push(todo);
            }
            for (id, expires_at) in (1..).zip(keys) {
                rows.keys.push(ExpiringKey { id: KeyId(id), ..key(expires_at) });
            }
            rows
        },
    )
}

/// What a page says of rows, but for the ages.
fn said(rows: &DashboardRows<()>) -> impl PartialEq + std::fmt::Debug + use<> {
    let states: Vec<_> = rows.at_work(RULES).iter().map(|one| (one.actor, one.state)).collect();
    let lapsed: Vec<_> = rows.todos.iter().map(|todo| todo.is_lapsed(rows.at)).collect();
    (told(rows, RULES), states, lapsed)
}

proptest! {
    #[test]
    fn nothing_changes_before_the_next_flip(rows in some_rows(), part in 0.0..1.0) {
        let flip = rows.next_flip(RULES);
        prop_assert!(flip > rows.at && flip <= rows.at.plus_seconds(REFRESH_SECONDS));
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "60 s")]
        let passed = ((flip.micros() - rows.at.micros() - 1) as f64 * part) as i64;
        for passed in [passed, flip.micros() - rows.at.micros() - 1] {
            let at = Timestamp::from_micros(rows.at.micros() + passed);
            prop_assert_eq!(said(&DashboardRows { at, ..rows.clone() }), said(&rows));
        }
    }

    #[test]
    fn needs_ascend_by_their_oldest_reason_and_name_each_subject_once(rows in some_rows()) {
        let needs = rows.needs(RULES);
        prop_assert!(needs.is_sorted_by_key(super::needs::Need::oldest));
        let mut subjects: Vec<_> = needs.iter().map(|need| need.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        prop_assert_eq!(subjects.len(), needs.len());
        prop_assert!(needs.iter().all(|need| !need.reasons.is_empty()));
        prop_assert!(needs.iter().flat_map(|need| &need.reasons).all(|one| one.0 <= rows.at));
    }
}
