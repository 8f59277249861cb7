//! What a dashboard reads, compared with the lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roots_domain::command::{ClaimRequest, Command};
use roots_domain::model::brief::{WAITING_TYPES, WaitingSessions};
use roots_domain::model::dashboard::{
    DashboardRows, DashboardRules, DashboardSpans, Need, NeedKind, NeedSubject, OpenSession,
    SOON_SECONDS, TodoSession,
};
use roots_domain::model::id::{ActorId, SessionId, TodoId};
use roots_domain::model::page::PageRequest;
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{ListedSession, SessionStatus, SessionWindow};
use roots_domain::model::time::{QuarterHour, TimeRange, Timestamp};
use roots_domain::model::todo::{ListedTodo, TodoPatch, TodoStatus};
use roots_domain::model::zone::Zone;
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{
    AccountReader, ActivityFilter, ActivityReader, Admission, DashboardQuery, DashboardReader,
    EXPIRING_KEYS_MAX, IN_PROGRESS_MAX, LANE_SESSIONS_MAX, OVERDUE_MAX, QuarterHourQuery,
    SessionQuery, SessionReader, StoreError, TimelineQuery, TodoQuery, TodoReader, Verifier,
};
use roots_domain::service::idle_sessions::IdleSessions;
use roots_testkit::commands::{Issuer, apply_all, apply_each};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::put_member;

use crate::random_commands::{self, SeededRng};

roots_testkit::on_both! {
    a_dashboard_has_what_the_lists_have,
    the_oldest_of_what_is_in_progress_and_overdue_is_read,
    a_question_is_found_among_many_newer_ones_that_were_answered,
    a_question_is_found_among_many_active_sessions,
    a_session_that_was_ended_for_its_silence_asks_no_more,
    all_agents_are_read_page_by_page_and_all_of_their_work_at_once,
    of_more_sessions_than_a_timeline_draws_the_newest_are_read,
    a_todo_tells_how_its_session_is,
    only_keys_that_expire_within_a_week_are_read,
    a_timeline_has_the_sessions_that_overlap_it,
    quarter_hours_have_the_numbers_of_their_activities,
    a_dashboard_is_not_read_once_the_auth_epoch_has_moved,
}

const ALL: PageRequest = PageRequest::skipping(0, 1_000_000);
const RULES: DashboardRules = DashboardRules { quiet_after_seconds: Some(1_800) };

type Rows = DashboardRows<Option<Sealed>>;

fn query(issuer: &Issuer, actor: Option<i64>) -> DashboardQuery {
    let zone = Zone::parse("Asia/Kathmandu").unwrap();
    DashboardQuery {
        by: issuer.account.into(),
        actor: actor.map(ActorId),
        agents_after: None,
        zone,
    }
}

async fn read(db: &TestDatabase, query: &DashboardQuery) -> Rows {
    db.store.dashboard(query, db.clock.clone()).await.unwrap()
}

async fn sessions(db: &TestDatabase, query: &DashboardQuery) -> Vec<ListedSession<Sealed>> {
    let DashboardQuery { by, actor, .. } = *query;
    let window = SessionWindow::default();
    let of = SessionQuery { by, actor, status: None, window, page: ALL };
    db.store.sessions(&of).await.unwrap().items
}

async fn todos(db: &TestDatabase, query: &DashboardQuery) -> Vec<ListedTodo<Sealed>> {
    let DashboardQuery { by, actor, .. } = *query;
    let of = TodoQuery { by, actor, status: None, priority: None, session: None, page: ALL };
    db.store.todos(&of).await.unwrap().items
}

/// The credits that were spent in some quarter hours, by the ledger.
async fn spent(db: &TestDatabase, by: Admission, span: (QuarterHour, QuarterHour)) -> i64 {
    let ledger = db.store.ledger(by, None, ALL).await.unwrap().items;
    let inside = |at: Timestamp| (span.0..=span.1).contains(&at.quarter_hour());
    ledger.iter().filter(|row| inside(row.created_at)).map(|row| -row.delta.min(0)).sum()
}

/// A random command, or an activity by which a session waits.
fn command(rng: &mut SeededRng, issuer: &Issuer) -> Command {
    if rng.once_in(8) {
        let issuer = issuer.of_actor(rng.one(&random_commands::ACTORS));
        let session = rng.once_in(2).then(|| 1 + rng.below(6));
        return issuer.log_activity_as(rng.one(&WAITING_TYPES), session, None);
    }
    random_commands::command(rng, issuer, 60)
}

async fn compare(db: &TestDatabase, query: &DashboardQuery) -> Vec<Need> {
    let found = read(db, query).await;
    assert_eq!(found.at, db.clock.now());
    let DashboardQuery { by, actor, .. } = *query;
    let spans = DashboardSpans::of(found.at, &query.zone);
    let listed = sessions(db, query).await;
    let active: BTreeMap<_, _> = listed
        .iter()
        .filter(|one| one.session.status == SessionStatus::Active)
        .map(|one| (one.session.id, one))
        .collect();
    let mut open = found.sessions.clone();
    open.sort_by_key(|one| one.id);
    let expected: Vec<_> = active
        .values()
        .map(|one| OpenSession {
            id: one.session.id,
            actor: one.session.actor,
            started_at: one.session.started_at,
            last_active_at: one.last_active_at,
        })
        .collect();
    assert_eq!(open, expected);

    let all = todos(db, query).await;
    let is_shown = |one: &&ListedTodo<Sealed>| {
        let is_overdue = one.todo.content.due_at.is_some_and(|due| due < found.at);
        match one.todo.status {
            TodoStatus::InProgress => true,
            TodoStatus::Open => is_overdue,
            TodoStatus::Done | TodoStatus::Cancelled => false,
        }
    };
    let mut expected: Vec<_> = all.iter().filter(is_shown).collect();
    expected.sort_by_key(|one| one.todo.id);
    let mut shown: Vec<_> = found.todos.iter().collect();
    shown.sort_by_key(|todo| todo.id);
    assert_eq!(shown.len(), expected.len());
    for (shown, listed) in shown.into_iter().zip(expected) {
        let todo = &listed.todo;
        assert_eq!((shown.id, shown.uid, shown.actor), (todo.id, todo.uid, todo.actor));
        assert_eq!(shown.title.as_ref(), Some(&todo.content.title));
        assert_eq!((shown.status, shown.status_since), (todo.status, todo.status_since));
        assert_eq!((shown.due_at, shown.claim_until), (todo.content.due_at, listed.until));
        assert_eq!(shown.priority, todo.content.priority);
    }
    let open = all.iter().filter(|one| one.todo.status == TodoStatus::Open);
    let mut open: Vec<_> = open.map(|one| &one.todo).collect();
    open.sort_by_key(|todo| roots_domain::model::brief::claim_order(todo));
    let next: Vec<_> = found.next_up.iter().map(|todo| todo.id).collect();
    assert_eq!(next, open.iter().take(5).map(|todo| todo.id).collect::<Vec<_>>());
    let unfinished = [TodoStatus::Open, TodoStatus::InProgress];
    let due = all.iter().filter(|one| unfinished.contains(&one.todo.status));
    let due = due.filter_map(|one| one.todo.content.due_at).filter(|due| *due >= found.at).min();
    assert_eq!(found.next_due_at, due);

    let range = TimeRange::default();
    let of = ActivityFilter { by, actor, activity_type: None, session: None, range };
    let activities = db.store.activities(&of, ALL).await.unwrap().items;
    let latest: Vec<_> = found.latest.iter().map(|entry| entry.id).collect();
    assert_eq!(latest, activities.iter().take(30).map(|entry| entry.id).collect::<Vec<_>>());
    let mut waiting: Vec<_> = found.waiting.iter().map(|entry| entry.id).collect();
    waiting.sort_unstable();
    let waits = listed.iter().filter(|one| WaitingSessions::Active.has(one.session.status));
    let waits: BTreeSet<_> = waits.map(|one| one.session.id).collect();
    let mut expected: Vec<_> = activities
        .iter()
        .filter(|entry| WAITING_TYPES.contains(&entry.activity_type.as_str()))
        .filter(|entry| entry.session.is_some_and(|id| waits.contains(&id)))
        .filter(|entry| {
            let of_session = activities.iter().filter(|other| other.session == entry.session);
            of_session.map(|other| other.id).max() == Some(entry.id)
        })
        .map(|entry| entry.id)
        .collect();
    expected.sort_unstable();
    assert_eq!(waiting, expected);
    let today = activities
        .iter()
        .filter(|entry| (spans.today.0..=spans.today.1).contains(&entry.logged_at.quarter_hour()));
    let counted: i64 = found.today.iter().map(|(.., count)| count).sum();
    assert_eq!(counted, i64::try_from(today.count()).unwrap());

    assert_eq!(found.spending.whole_days, spent(db, by, spans.whole_days).await);
    assert_eq!(found.spending.last_day, spent(db, by, spans.last_day).await);
    let account = db.store.account(by.account).await.unwrap().unwrap();
    assert_eq!(found.spending.balance, account.balance);
    let sessions_active = i64::try_from(active.len()).unwrap();
    assert_eq!(found.counts.sessions_active, sessions_active);
    assert_eq!(found.counts.activities, i64::try_from(activities.len()).unwrap());
    found.needs(RULES)
}

async fn a_dashboard_has_what_the_lists_have(db: TestDatabase) {
    let mut rng = SeededRng(15);
    let mut issuer = Issuer::new(&db.store, 3_000).await;
    put_member(&db, issuer.account, 2).await;
    let mut kinds = Vec::new();
    for _ in 0..6 {
        let planned: Vec<_> = (0..120)
            .map(|_| {
                issuer.at = issuer.at.plus_seconds(i64::from(rng.below(8) == 0));
                command(&mut rng, &issuer)
            })
            .collect();
        // Some of the commands are refused.
        let _ = apply_all(&db.store, planned).await;
        db.clock.advance_seconds(3_000);
        for actor in [None, Some(1), Some(2), Some(3)] {
            let needs = compare(&db, &query(&issuer, actor)).await;
            kinds.extend(needs.iter().flat_map(|need| &need.reasons).map(|(_, kind)| *kind));
        }
    }
    for kind in [NeedKind::Asks, NeedKind::Blocked, NeedKind::Quiet, NeedKind::Overdue] {
        assert!(kinds.contains(&kind), "{kind:?}");
    }
    assert!(kinds.contains(&NeedKind::LeftBehind));
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

async fn the_oldest_of_what_is_in_progress_and_overdue_is_read(db: TestDatabase) {
    let mut issuer = Issuer::new(&db.store, 3_000).await;
    let begin = issuer.at;
    let count = i64::from(IN_PROGRESS_MAX) + 20;
    let mut work = Vec::new();
    for id in 1..=count {
        issuer.at = begin.plus_seconds(id);
        let due_at = roots_domain::model::Patch::Set(begin.plus_seconds(-1_000 + id));
        work.push(issuer.create_todo("one"));
        work.push(issuer.patch_todo(id, TodoPatch { due_at, ..TodoPatch::EMPTY }));
        work.push(issuer.step_todo(id, TodoStatus::InProgress));
    }
    apply_each(&db.store, work).await;
    db.clock.advance_seconds(100_000);
    for actor in [None, Some(1)] {
        let found = read(&db, &query(&issuer, actor)).await;
        assert!(found.has_more_overdue);
        assert_eq!(found.todos.len(), IN_PROGRESS_MAX as usize);
        assert!(found.todos.iter().all(|todo| todo.id.0 <= i64::from(IN_PROGRESS_MAX)));
        assert_eq!(found.counts.todos.in_progress, count);
        let overdue = found.needs(RULES);
        assert_eq!(overdue.first().unwrap().subject, NeedSubject::Todo(TodoId(1)));
    }
    // Open ones are only read if they are overdue.
    let open = (1..=count).map(|id| issuer.step_todo(id, TodoStatus::Open));
    apply_each(&db.store, open.collect::<Vec<_>>()).await;
    let found = read(&db, &query(&issuer, None)).await;
    assert_eq!(found.todos.len(), OVERDUE_MAX as usize);
    assert!(found.todos.iter().all(|todo| todo.id.0 <= i64::from(OVERDUE_MAX)));
}

async fn a_question_is_found_among_many_newer_ones_that_were_answered(db: TestDatabase) {
    let mut issuer = Issuer::new(&db.store, 1_000).await;
    let begin = issuer.at;
    let ask = |issuer: &Issuer, session| issuer.log_activity_as("question", Some(session), None);
    let mut work = vec![issuer.start_session(), issuer.start_session(), ask(&issuer, 1)];
    for second in 1..=130 {
        issuer.at = begin.plus_seconds(second * 60);
        work.extend([ask(&issuer, 2), issuer.log_activity_as("note", Some(2), None)]);
    }
    apply_each(&db.store, work).await;
    db.clock.advance_seconds(130 * 60);
    for actor in [None, Some(1)] {
        let found = read(&db, &query(&issuer, actor)).await;
        let waiting: Vec<_> = found.waiting.iter().filter_map(|entry| entry.session).collect();
        assert_eq!(waiting, [SessionId(1)]);
    }
    // What is logged for an earlier time answers it too.
    let answer = issuer.log_activity_as("note", Some(1), Some(begin.plus_seconds(-5)));
    apply_each(&db.store, [answer]).await;
    assert_eq!(read(&db, &query(&issuer, None)).await.waiting, []);
}

/// The session is neither among those that show, silent longest or written to last, nor is its
/// question among the newest.
async fn a_question_is_found_among_many_active_sessions(db: TestDatabase) {
    let mut issuer = Issuer::new(&db.store, 1_000).await;
    let begin = issuer.at;
    let ask = |issuer: &Issuer, session| issuer.log_activity_as("question", Some(session), None);
    let mut work = vec![];
    for session in 1..=220 {
        issuer.at = begin.plus_seconds(session * 60);
        work.push(issuer.start_session());
        if session == 110 {
            work.push(ask(&issuer, session));
        }
    }
    for _ in 0..101 {
        work.extend([ask(&issuer, 220), issuer.log_activity_as("note", Some(220), None)]);
    }
    apply_each(&db.store, work).await;
    db.clock.advance_seconds(220 * 60);
    for actor in [None, Some(1)] {
        let found = read(&db, &query(&issuer, actor)).await;
        let waiting: Vec<_> = found.waiting.iter().filter_map(|entry| entry.session).collect();
        assert_eq!(waiting, [SessionId(110)], "{actor:?}");
        assert_eq!((found.sessions_left_out(), found.is_whole()), (20, false), "{actor:?}");
    }
}

async fn a_session_that_was_ended_for_its_silence_asks_no_more(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let ask = |session| issuer.log_activity_as("blocked", Some(session), None);
    let work = [issuer.start_session(), ask(1), issuer.start_session(), ask(2)];
    apply_each(&db.store, work).await;
    db.clock.advance_seconds(600);
    let mut later = issuer;
    later.at = db.clock.now();
    // Only the first one is silent.
    apply_each(&db.store, [later.log_activity_as("question", Some(2), None)]).await;
    let store = Arc::new(db.store.clone());
    let idle = IdleSessions { commands: store.clone(), reader: store, clock: db.clock.clone() };
    idle.end_silent(300).await.unwrap();
    for actor in [None, Some(1)] {
        let found = read(&db, &query(&issuer, actor)).await;
        let waiting: Vec<_> = found.waiting.iter().filter_map(|entry| entry.session).collect();
        assert_eq!(waiting, [SessionId(2)]);
        let needs: Vec<_> = found.needs(RULES).into_iter().map(|need| need.subject).collect();
        assert_eq!(needs, [NeedSubject::Session(SessionId(2))]);
    }
}

async fn all_agents_are_read_page_by_page_and_all_of_their_work_at_once(db: TestDatabase) {
    const AGENTS: i64 = 150;
    let issuer = Issuer::new(&db.store, 3_000).await;
    for id in 2..=AGENTS {
        put_member(&db, issuer.account, id).await;
    }
    let work = (1..=AGENTS).flat_map(|id| {
        let agent = issuer.of_actor(id);
        [
            agent.start_session(),
            agent.create_todo("one"),
            agent.step_todo(id, TodoStatus::InProgress),
        ]
    });
    apply_each(&db.store, work.collect::<Vec<_>>()).await;
    let mut query = query(&issuer, None);
    let first = read(&db, &query).await;
    assert!(first.has_more_agents);
    let at_work = first.at_work(RULES);
    let busy = at_work.iter().filter(|one| one.session.is_some() && one.todos.len() == 1);
    assert_eq!(busy.count(), usize::try_from(AGENTS).unwrap());
    assert!(first.has_all_in_progress());
    assert_eq!(first.sessions_left_out(), 0);
    query.agents_after = first.agents.last().map(|agent| agent.actor.id);
    let second = read(&db, &query).await;
    let ids = |rows: &Rows| rows.agents.iter().map(|agent| agent.actor.id.0).collect::<Vec<_>>();
    assert_eq!([ids(&first), ids(&second)].concat(), (1..=AGENTS).collect::<Vec<_>>());
    assert!(!second.has_more_agents);
}

async fn of_more_sessions_than_a_timeline_draws_the_newest_are_read(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let (account, start) = (issuer.account, issuer.at.micros());
    let uid = if db.is_postgres() {
        "'00000000-0000-0000-0000-000000000000'"
    } else {
        "x'00000000000000000000000000000000'"
    };
    let most = i64::from(LANE_SESSIONS_MAX);
    db.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= {most}) \
            INSERT INTO sessions SELECT {account}, i, {uid}, 1, 'ended', NULL, {start} + i, \
            {start} + i, 1, 0 FROM n"
    ))
    .await;
    for (until, expected, are_cut) in [(most + 1, most, true), (most, most, false)] {
        let range = (issuer.at, Timestamp::from_micros(start + until));
        let query = TimelineQuery { by: account.into(), actor: None, range };
        let found = db.store.lane_sessions(&query).await.unwrap();
        assert_eq!((i64::try_from(found.sessions.len()), found.are_cut), (Ok(expected), are_cut));
        assert_eq!(found.sessions.first().unwrap().id.0, until);
    }
}

async fn a_todo_tells_how_its_session_is(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let linked = |session| issuer.create_todo_as("one", 0, Some(session));
    let claim = |todo, session: i64| {
        let (session, todo) = (Some(SessionId(session)), Some(TodoId(todo)));
        issuer.claim(ClaimRequest { session, todo, ..issuer.next_claim() })
    };
    let begin = |id| issuer.step_todo(id, TodoStatus::InProgress);
    let work = [
        issuer.start_session(),
        issuer.start_session(),
        issuer.start_session(),
        issuer.create_todo("no session"),
        linked(1),
        linked(2),
        linked(3),
        issuer.create_todo("claimed"),
        begin(1),
        begin(2),
        begin(3),
        begin(4),
        claim(5, 3),
        issuer.end_session(2),
        issuer.delete_session(3),
    ];
    Box::pin(apply_each(&db.store, work)).await;
    let found = read(&db, &query(&issuer, None)).await;
    let session = |id| found.todo(TodoId(id)).unwrap().session;
    assert_eq!(session(1), TodoSession::None);
    assert_eq!(session(2), TodoSession::Active(SessionId(1)));
    assert_eq!(session(3), TodoSession::Ended { id: SessionId(2), at: issuer.at });
    // The link of the deleted session is gone; the claim still names it.
    assert_eq!(session(4), TodoSession::None);
    assert_eq!(session(5), TodoSession::Deleted);
}

async fn only_keys_that_expire_within_a_week_are_read(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let query = query(&issuer, None);
    let now = db.clock.now();
    assert_eq!(read(&db, &query).await.keys, []);
    for (seconds, expected) in [(SOON_SECONDS - 1, 1), (SOON_SECONDS, 0), (1, 1), (0, 0)] {
        let at = now.plus_seconds(seconds).micros();
        db.execute(&format!("UPDATE api_keys SET expires_at = {at}")).await;
        let keys = read(&db, &query).await.keys;
        assert_eq!(keys.len(), expected, "{seconds}");
    }
    let at = now.plus_seconds(60).micros();
    // A key that was rotated is in grace: its end is meant.
    db.execute(&format!("UPDATE api_keys SET expires_at = {at}, ends_at = {at}")).await;
    assert_eq!(read(&db, &query).await.keys, []);
    db.execute(&format!("UPDATE api_keys SET expires_at = {at}, ends_at = NULL")).await;
    for key in 2..=EXPIRING_KEYS_MAX + 1 {
        assert!(!read(&db, &query).await.has_more_keys, "{key}");
        let hash = format!("{key:064x}");
        let hash = if db.is_postgres() {
            format!("decode('{hash}', 'hex')")
        } else {
            format!("X'{hash}'")
        };
        let another = format!(
            "INSERT INTO api_keys (account_id, key_id, actor_id, lookup, prefix, created_at, expires_at, is_ended) \
             SELECT account_id, {key}, actor_id, {hash}, prefix, created_at, expires_at, 0 FROM api_keys WHERE key_id = 1"
        );
        db.execute(&another).await;
    }
    let found = read(&db, &query).await;
    assert_eq!((found.keys.len(), found.has_more_keys), (EXPIRING_KEYS_MAX as usize, true));
}

async fn a_timeline_has_the_sessions_that_overlap_it(db: TestDatabase) {
    let mut issuer = Issuer::new(&db.store, 100).await;
    put_member(&db, issuer.account, 2).await;
    let begin = issuer.at;
    let mut work = Vec::new();
    // Sessions of two agents that last 100 s each, every 60 s; the last three stay active.
    for id in 1..=12 {
        issuer.at = begin.plus_seconds(id * 60);
        work.push(issuer.of_actor(1 + id % 2).start_session());
        if id <= 9 {
            issuer.at = begin.plus_seconds(id * 60 + 100);
            work.push(issuer.of_actor(1 + id % 2).end_session(id));
        }
    }
    apply_each(&db.store, work).await;
    let found = |actor: Option<i64>, since: i64, until: i64| {
        let range = (begin.plus_seconds(since), begin.plus_seconds(until));
        let (by, actor) = (issuer.account.into(), actor.map(ActorId));
        let (query, store) = (TimelineQuery { by, actor, range }, &db.store);
        async move {
            let found = store.lane_sessions(&query).await.unwrap();
            assert!(!found.are_cut);
            let mut found = found.sessions;
            found.sort_by_key(|one| one.id);
            found.iter().map(|one| one.id.0).collect::<Vec<_>>()
        }
    };
    assert_eq!(found(None, 0, 1_000).await, (1..=12).collect::<Vec<_>>());
    assert_eq!(found(None, 285, 310).await, [4, 5]);
    assert_eq!(found(Some(2), 285, 310).await, [5]);
    assert_eq!(found(None, 2_000, 3_000).await, [10, 11, 12]);
    assert_eq!(found(None, 0, 59).await, Vec::<i64>::new());
}

async fn quarter_hours_have_the_numbers_of_their_activities(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    put_member(&db, issuer.account, 2).await;
    let at = |quarter: i64| Some(QuarterHour(quarter).first_instant().plus_seconds(7));
    let work = [
        issuer.log_activity_as("a", None, at(100)),
        issuer.log_activity_as("b", None, at(100)),
        issuer.of_actor(2).log_activity_as("a", None, at(100)),
        issuer.log_activity_as("a", None, at(101)),
        issuer.log_activity_as("a", None, at(102)),
    ];
    apply_each(&db.store, work).await;
    for (actor, expected) in [(None, [(100, 3), (101, 1)]), (Some(1), [(100, 2), (101, 1)])] {
        let quarter_hours = (QuarterHour(99), QuarterHour(101));
        let (by, actor) = (issuer.account.into(), actor.map(ActorId));
        let query = QuarterHourQuery { by, actor, quarter_hours };
        let mut found = db.store.activities_by_quarter_hour(&query).await.unwrap();
        found.sort_unstable();
        assert_eq!(found, expected.map(|(quarter, count)| (QuarterHour(quarter), count)));
    }
}

async fn a_dashboard_is_not_read_once_the_auth_epoch_has_moved(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let by = Admission { account: issuer.account, auth_epoch: Some(issuer.auth_epoch + 1) };
    let query = DashboardQuery { by, ..query(&issuer, None) };
    let found = db.store.dashboard(&query, Arc::clone(&db.clock) as Arc<dyn Clock>).await;
    assert_eq!(found, Err(StoreError::EpochMoved));
    let quarter_hours = (QuarterHour(0), QuarterHour(9));
    let query = QuarterHourQuery { by, actor: None, quarter_hours };
    let found = db.store.activities_by_quarter_hour(&query).await;
    assert_eq!(found, Err(StoreError::EpochMoved));
    let range = (Timestamp::FIRST, Timestamp::LAST);
    let query = TimelineQuery { by, actor: None, range };
    assert_eq!(db.store.lane_sessions(&query).await, Err(StoreError::EpochMoved));
}
