//! The page, of rows that were read.

use std::collections::BTreeSet;

use roots_domain::model::account::{Actor, ActorKind, Role};
use roots_domain::model::activity::Activity;
use roots_domain::model::api_key::KeyEpoch;
use roots_domain::model::brief::TodoCounts;
use roots_domain::model::chart::{Curve, LaneSession, Timeline, Year};
use roots_domain::model::dashboard::{
    AgentRow, DashboardCounts, DashboardRows, DashboardRules, DashboardTodo, ExpiringKey,
    OpenSession, ShownText, TodoSession,
};
use roots_domain::model::forecast::Spending;
use roots_domain::model::id::{ActivityId, ActorId, KeyId, SessionId, TodoId, Uid};
use roots_domain::model::quota::Renewals;
use roots_domain::model::text::{ActivityType, Name};
use roots_domain::model::time::{Day, Timestamp};
use roots_domain::model::todo::{Priority, TodoStatus};

use super::page::content;
use super::shown::Shown;
use crate::address::Address;
use crate::agents::Agents;
use crate::look::Look;

const RULES: DashboardRules = DashboardRules { quiet_after_seconds: Some(1_800) };
const HOUR: i64 = 3_600;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-28T18:45:00Z").unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now().plus_seconds(-seconds)
}

fn look() -> Look {
    Look::of("roots-zone=Europe/Vienna", now())
}

fn open(text: &str) -> ShownText {
    ShownText::Open(text.to_owned())
}

fn agent(id: i64, name: &str, last_entry_at: Option<Timestamp>) -> AgentRow {
    let actor = Actor {
        id: ActorId(id),
        uid: Uid::NIL,
        name: Name::parse(name).unwrap(),
        kind: ActorKind::Agent,
        role: Role::Member,
        is_active: true,
        key_epoch: KeyEpoch::FIRST,
        renewals: Renewals::NONE,
        created_at: ago(99 * 86_400),
    };
    AgentRow { actor, last_entry_at }
}

fn session(id: i64, actor: i64, started: i64, active: i64) -> OpenSession {
    OpenSession {
        id: SessionId(id),
        actor: ActorId(actor),
        started_at: ago(started),
        last_active_at: ago(active),
    }
}

fn todo(id: i64, actor: i64, title: ShownText, since: i64) -> DashboardTodo<ShownText> {
    DashboardTodo {
        id: TodoId(id),
        uid: Uid::NIL,
        actor: ActorId(actor),
        title,
        status: TodoStatus::InProgress,
        status_since: ago(since),
        priority: Priority::default(),
        due_at: None,
        session: TodoSession::None,
        claimed_at: None,
        claim_until: None,
    }
}

fn entry(
    id: i64,
    actor: i64,
    session: Option<i64>,
    seconds_ago: i64,
    activity_type: &str,
    description: ShownText,
) -> Activity<ShownText> {
    Activity {
        id: ActivityId(id),
        uid: Uid::NIL,
        actor: ActorId(actor),
        session: session.map(SessionId),
        activity_type: ActivityType::parse(activity_type).unwrap(),
        description,
        logged_at: ago(seconds_ago),
        created_at: ago(seconds_ago),
        version: 1,
    }
}

fn nothing() -> DashboardRows<ShownText> {
    DashboardRows {
        at: now(),
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
        spending: Spending { balance: 462, whole_days: 98, last_day: 0 },
        counts: DashboardCounts::default(),
    }
}

/// Four agents on a usual day.
fn usual() -> DashboardRows<ShownText> {
    let question = "Which <b>region</b>: eu-west or eu-north?";
    let ended = TodoSession::Ended { id: SessionId(117), at: ago(3 * HOUR) };
    let open_todo = |id, title, level| DashboardTodo {
        status: TodoStatus::Open,
        priority: Priority::parse(level).unwrap(),
        ..todo(id, 1, open(title), 9 * HOUR)
    };
    let counted = |actor, name, count| (ActorId(actor), ActivityType::parse(name).unwrap(), count);
    DashboardRows {
        agents: vec![
            agent(1, "builder", Some(ago(120))),
            agent(2, "tester", Some(ago(540))),
            agent(3, "docs-agent", None),
            agent(4, "scout", Some(ago(26 * HOUR))),
        ],
        sessions: vec![
            session(121, 1, 5 * HOUR, 120),
            session(120, 2, 4 * HOUR, 540),
            session(118, 3, 5 * HOUR, 47 * 60),
        ],
        waiting: vec![entry(904, 2, Some(120), 540, "question", open(question))],
        todos: vec![
            DashboardTodo {
                claimed_at: Some(ago(4_320)),
                claim_until: Some(ago(-HOUR)),
                session: TodoSession::Active(SessionId(121)),
                ..todo(1, 1, open("Add rate limits to the import"), 4_320)
            },
            DashboardTodo {
                claimed_at: Some(ago(5 * HOUR)),
                claim_until: Some(ago(60)),
                due_at: Some(ago(2 * HOUR)),
                ..todo(2, 3, open("Deploy the docs pages"), 5 * HOUR)
            },
            DashboardTodo { session: ended, ..todo(3, 2, ShownText::Unreadable, 4 * HOUR) },
            todo(4, 2, open("Fix the flaky login test"), 48 * 60),
        ],
        next_up: vec![
            DashboardTodo {
                due_at: Some(now().plus_seconds(20 * HOUR)),
                ..open_todo(5, "Write the migration guide", 2)
            },
            open_todo(6, "Profile the import of 10⁶ rows", 1),
        ],
        latest: vec![
            entry(905, 1, Some(121), 120, "commit", open("Split the parser from the lexer")),
            entry(904, 2, Some(120), 540, "question", open(question)),
            entry(903, 1, Some(121), 600, "test", ShownText::TooLong),
            entry(902, 1, Some(121), 700, "note", open("Read RFC 9110")),
            entry(901, 3, Some(118), 47 * 60, "note", open("Waiting for the certificate")),
        ],
        keys: vec![ExpiringKey {
            id: KeyId(7),
            actor: ActorId(4),
            prefix: "roots_4f21".into(),
            label: Some(Name::parse("laptop").unwrap()),
            expires_at: now().plus_seconds(3 * 86_400),
        }],
        today: vec![counted(1, "commit", 12), counted(1, "note", 2), counted(2, "test", 9)],
        counts: DashboardCounts {
            todos: TodoCounts { open: 12, in_progress: 4, done: 214, cancelled: 9 },
            sessions_active: 3,
            sessions_ended: 118,
            activities: 4_812,
        },
        ..nothing()
    }
}

/// The content of the page.
fn page(rows: &DashboardRows<ShownText>, days: &[(Day, i64)]) -> String {
    let look = look();
    let today = look.zone().wall_clock(now()).day;
    let range = (look.zone().first_instant(today), look.zone().last_instant(today));
    let open = rows.sessions.iter().map(|one| LaneSession {
        id: one.id,
        actor: one.actor,
        started_at: one.started_at,
        ended_at: None,
        last_active_at: one.last_active_at,
    });
    let earlier = (0..8).map(|index| LaneSession {
        id: SessionId(100 + index),
        actor: ActorId(1 + index % 4),
        started_at: ago((16 - index) * HOUR),
        ended_at: Some(ago((15 - index) * HOUR)),
        last_active_at: ago((15 - index) * HOUR),
    });
    let sessions = open.chain(earlier).filter(|_| !rows.agents.is_empty());
    let timeline = Timeline::of(sessions, range, RULES.quiet_after_seconds, now());
    let year = Year::of(days.iter().copied(), today);
    let points = (0..30).map(|day| (Day(today.0 - 29 + day), 1_000 - 18 * day)).collect();
    let shown = Shown {
        look: &look,
        rules: RULES,
        rows,
        agents: &Agents::of(rows.agents.iter().map(|agent| agent.actor.clone())),
        today: &timeline,
        year: &year,
        balance: &Curve { first: Day(today.0 - 29), points },
        agent: None,
    };
    content(&shown, &Address("http://localhost:8080".to_owned())).into_string()
}

fn days(count: i64) -> Vec<(Day, i64)> {
    let today = look().zone().wall_clock(now()).day;
    (0..count).map(|ago| (Day(today.0 - ago), 1 + ago * 7 % 96)).collect()
}

#[test]
fn now_tells_what_needs_a_person_and_who_works_on_what() {
    let drawn = page(&usual(), &days(3)).replace("><", ">\n<");
    insta::assert_snapshot!("usual", drawn);
}

#[test]
fn a_first_visit_teaches_the_first_request() {
    insta::assert_snapshot!("empty", page(&nothing(), &[]).replace("><", ">\n<"));
}

#[test]
fn what_needs_a_person_shows_before_anything_was_written() {
    let rows = DashboardRows {
        spending: Spending { balance: 0, whole_days: 0, last_day: 0 },
        keys: usual().keys,
        ..nothing()
    };
    let drawn = page(&rows, &[]);
    for shown in ["Needs you (2)", "No credits are left", "laptop", "Nothing here yet"] {
        assert!(drawn.contains(shown), "{shown}: {drawn}");
    }
}

#[test]
fn where_not_all_is_read_more_may_need_a_person() {
    let mut rows = nothing();
    rows.counts.sessions_active = 1;
    let drawn = page(&rows, &[]);
    assert!(
        drawn.contains("Nothing shown here needs you, but not everything is shown."),
        "{drawn}"
    );
    let mut rows = usual();
    rows.counts.sessions_active += 9;
    assert!(page(&rows, &[]).contains("+)</h2>"));
}

#[test]
fn where_nothing_needs_a_person_the_page_says_so() {
    let rows = DashboardRows {
        latest: vec![entry(905, 1, None, 120, "commit", open("Split the parser"))],
        counts: DashboardCounts { activities: 1, ..DashboardCounts::default() },
        ..nothing()
    };
    let drawn = page(&rows, &[]);
    assert!(drawn.contains("Nothing needs you. Last entry <time"), "{drawn}");
    assert!(!drawn.contains("class=\"card c8 need\""));
}

/// The frame of a page takes 8 KB at most, and the bound for a first visit is 32 KB.
#[test]
fn the_page_of_four_agents_and_a_full_year_has_at_most_24_kb() {
    let drawn = page(&usual(), &days(371));
    assert!(drawn.len() <= 24 * 1024, "{} bytes", drawn.len());
}

#[test]
fn no_text_of_an_agent_is_markup_and_no_element_has_a_style() {
    let drawn = page(&usual(), &days(9));
    assert!(drawn.contains("&lt;b&gt;region&lt;/b&gt;") && !drawn.contains("<b>region"));
    assert!(!drawn.contains(concat!("sty", "le=")) && !drawn.contains("onclick"));
    assert!(drawn.contains("The text of todo 3 can't be read"));
}

#[test]
fn each_part_that_is_swapped_has_an_id_of_its_own() {
    let drawn = page(&usual(), &days(9));
    let ids: Vec<_> =
        drawn.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    for tag in drawn.split('<').filter(|tag| tag.contains(" data-live")) {
        assert!(tag.contains(" id=\""), "{tag}");
    }
}
