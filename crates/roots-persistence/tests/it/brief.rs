//! What a brief reads, compared with the lists.

use std::convert::Infallible;
use std::sync::Arc;

use roots_domain::command::{ClaimRequest, Command};
use roots_domain::model::Patch;
use roots_domain::model::activity::Activity;
use roots_domain::model::brief::{
    Brief, BriefChange, BriefCounts, BriefList, BriefRows, BriefText, NextAction, WAITING_TYPES,
};
use roots_domain::model::claim::LeaseSeconds;
use roots_domain::model::id::{ActorId, LogId, SessionId, TodoId};
use roots_domain::model::page::PageRequest;
use roots_domain::model::sealed::{Field, Sealed};
use roots_domain::model::session::{
    ListedSession, SessionStatus, SessionStatusKind, SessionWindow,
};
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::todo::{ListedTodo, TodoPatch, TodoStatus};
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{
    ActivityFilter, ActivityReader, Admission, BriefQuery, BriefReader, LONG_TEXTS_MAX, Mismatch,
    SHORT_TEXTS_MAX_BYTES, SessionQuery, SessionReader, StoreError, TodoQuery, TodoReader,
    Verifier,
};
use roots_persistence::Store;
use roots_testkit::commands::{Issuer, apply_all, apply_each, resealed};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::put_member;

use crate::random_commands::{self, SeededRng};

roots_testkit::on_both! {
    a_brief_has_the_first_rows_of_each_list_and_their_numbers,
    a_session_keeps_the_claims_of_its_todos_alive,
    a_lapsed_claim_is_left_behind_among_many_that_live,
    claims_of_several_active_sessions_are_told_apart,
    a_claim_that_nobody_keeps_is_found_among_many,
    a_named_session_is_one_of_the_actors,
    a_session_waits_until_its_next_entry_or_its_end,
    a_session_that_was_ended_as_idle_still_waits,
    questions_beyond_those_that_are_looked_at_are_counted,
    the_end_of_the_last_session_is_where_the_report_starts,
    only_the_first_long_descriptions_are_read,
    links_to_a_deleted_session_are_not_shown,
    a_brief_is_not_read_once_the_auth_epoch_has_moved,
    a_status_change_that_is_kept_with_another_actor_is_found,
}

const ALL: PageRequest = PageRequest::skipping(0, 1_000_000);

fn query(issuer: &Issuer, actor: Option<i64>, rows: u32) -> BriefQuery {
    let by = issuer.account.into();
    BriefQuery { by, actor: actor.map(ActorId), reader: None, since: None, rows }
}

async fn read(db: &TestDatabase, query: &BriefQuery) -> BriefRows<Option<Sealed>> {
    db.store.brief(query, db.clock.clone()).await.unwrap()
}

/// The ciphertext instead of the text.
#[expect(clippy::unnecessary_wraps, reason = "a mapping may fail")]
fn shown(_: Field, text: Option<Sealed>) -> Result<BriefText, Infallible> {
    Ok(text.map_or_else(BriefText::hidden, |text| BriefText::whole(format!("{:?}", text.0))))
}

fn open(rows: BriefRows<Option<Sealed>>) -> BriefRows<BriefText> {
    let activity = |row: Activity<Option<Sealed>>| {
        let Ok(row) = row.try_map_text(shown);
        row
    };
    let change = |row: BriefChange<Option<Sealed>>| {
        let Ok(title) = shown(Field::TodoTitle, row.title);
        let Ok(change) = row.change.try_map_text(shown);
        BriefChange { actor: row.actor, todo_uid: row.todo_uid, title, change }
    };
    let todo = |ListedTodo { todo, until }: ListedTodo<Option<Sealed>>| {
        let Ok(todo) = todo.try_map_text(shown);
        ListedTodo { todo, until }
    };
    BriefRows {
        at: rows.at,
        since: rows.since,
        reader: rows.reader,
        session: rows.session.map(|ListedSession { session, last_active_at }| {
            let Ok(session) = session.try_map_text(shown);
            ListedSession { session, last_active_at }
        }),
        todos: rows.todos.into_iter().map(todo).collect(),
        working: rows.working,
        waiting: rows.waiting.into_iter().map(activity).collect(),
        activities: rows.activities.into_iter().map(activity).collect(),
        status_changes: rows.status_changes.into_iter().map(change).collect(),
        counts: rows.counts,
    }
}

async fn brief(db: &TestDatabase, query: &BriefQuery) -> Brief {
    let rows = usize::try_from(query.rows).unwrap();
    Brief::of(open(read(db, query).await), rows)
}

#[expect(clippy::unnecessary_wraps, reason = "a mapping may fail")]
fn whole(_: Field, text: Sealed) -> Result<Option<Sealed>, Infallible> {
    // Some texts of these tests are empty even when they are sealed.
    Ok((!text.0.is_empty()).then_some(text))
}

/// All rows that a brief could have, read from the lists.
async fn listed(store: &Store, clock: &dyn Clock, query: &BriefQuery) -> BriefRows<Option<Sealed>> {
    let BriefQuery { by, actor, .. } = *query;
    let at = clock.now();
    let window = SessionWindow::default();
    let of = SessionQuery { by, actor, status: None, window, page: ALL };
    let sessions = store.sessions(&of).await.unwrap().items;
    let active = |one: &&ListedSession<Sealed>| one.session.status == SessionStatus::Active;
    let end = |one: &&ListedSession<Sealed>| (one.session.status.ended_at(), one.session.id);
    let ended = sessions.iter().filter(|one| !active(one)).max_by_key(end);
    let since = query.since.or(ended.and_then(|one| one.session.status.ended_at()));
    let named = |one: &&ListedSession<Sealed>| Some(one.session.id) == query.reader;
    let named = sessions.iter().find(named);
    let reader = named.map(|one| one.session.id);
    let session = match named {
        Some(one) if one.session.notes.is_none() => ended.or(named),
        Some(_) => named,
        None => sessions.iter().find(active).or(ended),
    };
    let session = session.cloned();
    let working = sessions.iter().filter(active).map(|one| one.session.id).collect();
    let mut counts = BriefCounts::default();
    for one in &sessions {
        counts.add_sessions(one.session.status.kind(), 1);
    }
    let of = TodoQuery { by, actor, status: None, priority: None, session: None, page: ALL };
    let mut todos = store.todos(&of).await.unwrap().items;
    let mut changes = Vec::new();
    for ListedTodo { todo, .. } in &todos {
        counts.todos.add(todo.status, 1);
        let is_unfinished = [TodoStatus::Open, TodoStatus::InProgress].contains(&todo.status);
        if is_unfinished && todo.content.due_at.is_some_and(|due| due < at) {
            counts.overdue += 1;
            counts.overdue_open += i64::from(todo.status == TodoStatus::Open);
        }
        let log = store.todo_log(by, todo.id, None).await.unwrap().unwrap();
        assert_eq!(log.next, None);
        changes.extend(log.steps.into_iter().map(|step| {
            let Ok(change) = step.try_map_text(whole);
            let title = Some(todo.content.title.clone());
            BriefChange { actor: todo.actor, todo_uid: todo.uid, title, change }
        }));
    }
    todos.retain(|one| [TodoStatus::Open, TodoStatus::InProgress].contains(&one.todo.status));
    let range = TimeRange::default();
    let of = ActivityFilter { by, actor, activity_type: None, session: None, range };
    let mut activities = store.activities(&of, ALL).await.unwrap().items;
    counts.activities = i64::try_from(activities.len()).unwrap();
    let waits = |row: &&Activity<Sealed>| {
        let of_session = activities.iter().filter(|other| other.session == row.session);
        let newest = of_session.map(|other| other.id).max();
        let is_active =
            |one: &ListedSession<Sealed>| row.session == Some(one.session.id) && active(&one);
        WAITING_TYPES.contains(&row.activity_type.as_str())
            && newest == Some(row.id)
            && sessions.iter().any(is_active)
    };
    let waiting: Vec<_> = activities.iter().filter(waits).cloned().collect();
    counts.waiting = WAITING_TYPES.map(|name| {
        let of_type = waiting.iter().filter(|row| row.activity_type.as_str() == name);
        i64::try_from(of_type.count()).unwrap()
    });
    let since_then = |at: Timestamp| since.is_none_or(|since| at >= since);
    activities.retain(|row| since_then(row.logged_at));
    changes.retain(|row| since_then(row.change.logged_at));
    changes.sort_by_key(|row| std::cmp::Reverse((row.change.logged_at, row.change.id)));
    counts.activities_since = i64::try_from(activities.len()).unwrap();
    counts.status_changes_since = i64::try_from(changes.len()).unwrap();
    let activity = |row: Activity<Sealed>| {
        let Ok(row) = row.try_map_text(whole);
        row
    };
    let todo = |ListedTodo { todo, until }: ListedTodo<Sealed>| {
        let Ok(todo) = todo.try_map_text(whole);
        ListedTodo { todo, until }
    };
    BriefRows {
        at,
        since,
        reader,
        session: session.map(|ListedSession { session, last_active_at }| {
            let Ok(session) = session.try_map_text(whole);
            ListedSession { session, last_active_at }
        }),
        todos: todos.into_iter().map(todo).collect(),
        working,
        waiting: waiting.into_iter().map(activity).collect(),
        activities: activities.into_iter().map(activity).collect(),
        status_changes: changes,
        counts,
    }
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

async fn a_brief_has_the_first_rows_of_each_list_and_their_numbers(db: TestDatabase) {
    let mut rng = SeededRng(14);
    let mut issuer = Issuer::new(&db.store, 2_000).await;
    put_member(&db, issuer.account, 2).await;
    let (mut lapsed, mut waiting, mut overdue) = (0, 0, 0);
    for _ in 0..6 {
        let planned: Vec<_> = (0..150)
            .map(|_| {
                issuer.at = issuer.at.plus_seconds(i64::from(rng.below(8) == 0));
                command(&mut rng, &issuer)
            })
            .collect();
        // Some of the commands are refused.
        let _ = apply_all(&db.store, planned).await;
        // Some claims lapse.
        db.clock.advance_seconds(3_000);
        for actor in [None, Some(1), Some(2), Some(3)] {
            for since in [None, Some(Timestamp::from_micros(issuer.at.micros() - 20_000_000))] {
                let reader = rng.once_in(2).then(|| SessionId(1 + rng.below(6)));
                let all = BriefQuery { since, reader, ..query(&issuer, actor, 1_000) };
                let expected = Brief::of(open(listed(&db.store, &*db.clock, &all).await), 1_000);
                let found = brief(&db, &all).await;
                assert_eq!(found, expected, "{actor:?}");
                lapsed += found.left_behind.len();
                waiting += found.waiting.len();
                overdue += found.overdue.len();
                // A shorter one begins with the same rows.
                let few = brief(&db, &BriefQuery { rows: 3, ..all }).await;
                for (few, all) in [(&few.overdue, &expected.overdue), (&few.next, &expected.next)] {
                    assert!(all.starts_with(few) && few.len() == all.len().min(3), "{actor:?}");
                }
                assert!(expected.activities.starts_with(&few.activities));
                assert!(expected.status_changes.starts_with(&few.status_changes));
                assert!(expected.waiting.starts_with(&few.waiting));
                assert_eq!(few.next_action.name(), expected.next_action.name(), "{actor:?}");
                assert_eq!(few.counts, expected.counts);
            }
        }
    }
    assert!(lapsed > 0 && waiting > 0 && overdue > 0, "{lapsed} {waiting} {overdue}");
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

fn ids(todos: &[ListedTodo<BriefText>]) -> Vec<i64> {
    todos.iter().map(|one| one.todo.id.0).collect()
}

fn claim(issuer: &Issuer, session: Option<i64>, todo: i64, seconds: i64) -> Command {
    let lease = LeaseSeconds::parse(seconds).unwrap();
    let (session, todo) = (session.map(SessionId), Some(TodoId(todo)));
    issuer.claim(ClaimRequest { session, todo, lease, ..issuer.next_claim() })
}

async fn a_session_keeps_the_claims_of_its_todos_alive(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let work = [
        issuer.start_session(),
        issuer.create_todo("of the session"),
        issuer.create_todo("of no session"),
        claim(&issuer, Some(1), 1, 600),
        claim(&issuer, None, 2, 600),
    ];
    apply_each(&db.store, work).await;
    let all = query(&issuer, Some(1), 10);
    let found = brief(&db, &all).await;
    assert_eq!((ids(&found.in_progress), ids(&found.left_behind)), (vec![1, 2], vec![]));
    assert!(matches!(&found.next_action, NextAction::Resume(todo) if todo.id == TodoId(1)));
    db.clock.advance_seconds(600);
    let later = Issuer { at: issuer.at.plus_seconds(600), ..issuer };
    apply_each(&db.store, [later.log_activity_as("a", Some(1), None)]).await;
    db.clock.advance_seconds(60);
    let found = brief(&db, &all).await;
    assert_eq!((ids(&found.in_progress), ids(&found.left_behind)), (vec![1], vec![2]));
    // The session's todo comes first, and its deadline is the later one.
    assert!(found.in_progress[0].until.unwrap() > found.at);
    db.clock.advance_seconds(600);
    let found = brief(&db, &all).await;
    assert_eq!((ids(&found.in_progress), ids(&found.left_behind)), (vec![], vec![1, 2]));
    assert!(matches!(&found.next_action, NextAction::TakeOver(todo) if todo.id == TodoId(1)));
}

async fn a_lapsed_claim_is_left_behind_among_many_that_live(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    let made: Vec<_> = (0..40).map(|_| issuer.create_todo_as("one", 2, None)).collect();
    apply_each(&db.store, made).await;
    let claims: Vec<_> =
        (1..=40).map(|id| claim(&issuer, None, id, if id == 7 { 60 } else { 7_200 })).collect();
    apply_each(&db.store, claims).await;
    db.clock.advance_seconds(120);
    for actor in [Some(1), None] {
        let found = brief(&db, &query(&issuer, actor, 3)).await;
        assert_eq!((ids(&found.left_behind), found.in_progress.len()), (vec![7], 3));
        assert_eq!(found.omitted()[0].count, 36);
    }
}

async fn claims_of_several_active_sessions_are_told_apart(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let work = [
        issuer.start_session(),
        issuer.start_session(),
        issuer.create_todo("of the first"),
        issuer.create_todo("of the second"),
        claim(&issuer, Some(1), 1, 600),
        claim(&issuer, Some(2), 2, 600),
    ];
    apply_each(&db.store, work).await;
    let next = async |reader: Option<i64>| {
        let reader = reader.map(SessionId);
        let found = brief(&db, &BriefQuery { reader, ..query(&issuer, Some(1), 10) }).await;
        assert_eq!(found.in_progress.len(), 2);
        let token = found.next_action.todo().map(|todo| (todo.id.0, todo.claim_token.is_some()));
        (found.next_action.name(), token)
    };
    assert_eq!(next(None).await, ("none", None), "a reader may be either worker");
    assert_eq!(next(Some(1)).await, ("resume", Some((1, true))));
    assert_eq!(next(Some(2)).await, ("resume", Some((2, true))));
    // The claim of a session that has ended is left to all, long before it lapses.
    apply_each(&db.store, [issuer.start_session(), issuer.end_session(1)]).await;
    for reader in [None, Some(1), Some(3)] {
        assert_eq!(next(reader).await, ("resume", Some((1, true))), "{reader:?}");
    }
    assert_eq!(next(Some(2)).await, ("resume", Some((1, true))));
    // So is that of a deleted one.
    apply_each(&db.store, [issuer.delete_session(1)]).await;
    assert_eq!(next(Some(3)).await, ("resume", Some((1, true))));
    // The session 3 is the only active one of the actor, but it has no claim.
    apply_each(&db.store, [issuer.step_todo(1, TodoStatus::Done)]).await;
    let found = brief(&db, &query(&issuer, Some(1), 10)).await;
    assert_eq!(found.next_action, NextAction::None);
    apply_each(&db.store, [issuer.end_session(3)]).await;
    let found = brief(&db, &query(&issuer, Some(1), 10)).await;
    assert!(matches!(&found.next_action, NextAction::Resume(todo) if todo.id == TodoId(2)));
}

async fn a_claim_that_nobody_keeps_is_found_among_many(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    apply_each(&db.store, (0..3).map(|_| issuer.start_session()).collect::<Vec<_>>()).await;
    let made: Vec<_> = (0..40).map(|_| issuer.create_todo_as("one", 2, None)).collect();
    apply_each(&db.store, made).await;
    let session = |id| if id == 20 { 2 } else { 1 };
    let claims: Vec<_> = (1..=40).map(|id| claim(&issuer, Some(session(id)), id, 600)).collect();
    apply_each(&db.store, claims).await;
    apply_each(&db.store, [issuer.end_session(2)]).await;
    for (actor, reader) in [(Some(1), Some(3)), (None, None), (None, Some(3))] {
        let reader = reader.map(SessionId);
        let found = brief(&db, &BriefQuery { reader, ..query(&issuer, actor, 3) }).await;
        assert_eq!(found.in_progress[0].todo.id, TodoId(20), "{actor:?} {reader:?}");
        assert!(matches!(&found.next_action, NextAction::Resume(todo) if todo.id == TodoId(20)));
    }
}

async fn a_named_session_is_one_of_the_actors(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    put_member(&db, issuer.account, 2).await;
    apply_each(&db.store, [issuer.start_session(), issuer.of_actor(2).start_session()]).await;
    for (actor, named, found) in [
        (Some(1), 1, true),
        (Some(1), 2, false),
        (Some(2), 2, true),
        (None, 2, true),
        (None, 3, false),
    ] {
        let reader = Some(SessionId(named));
        let rows = read(&db, &BriefQuery { reader, ..query(&issuer, actor, 10) }).await;
        assert_eq!(rows.reader, reader.filter(|_| found), "{actor:?} {named}");
    }
}

async fn a_session_that_was_ended_as_idle_still_waits(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let work = [
        issuer.start_session(),
        issuer.start_session(),
        issuer.log_activity_as("question", Some(1), None),
        issuer.log_activity_as("question", Some(2), None),
        issuer.end_session(1),
        issuer.end_session(2),
    ];
    apply_each(&db.store, work).await;
    db.execute("UPDATE sessions SET is_idle = 1 WHERE session_id = 2").await;
    let found = brief(&db, &query(&issuer, Some(1), 10)).await;
    let waiting: Vec<_> = found.waiting.iter().map(|entry| entry.session.unwrap().0).collect();
    assert_eq!(waiting, [2]);
}

async fn questions_beyond_those_that_are_looked_at_are_counted(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    apply_each(&db.store, [issuer.start_session(), issuer.start_session()]).await;
    let ask = |session| issuer.log_activity_as("question", Some(session), None);
    apply_each(&db.store, [ask(1)]).await;
    apply_each(&db.store, (0..100).map(|_| ask(2)).collect::<Vec<_>>()).await;
    for actor in [Some(1), None] {
        let found = brief(&db, &query(&issuer, actor, 10)).await;
        assert_eq!(found.waiting.len(), 1, "the last question of the second session");
        let omitted = found.omitted();
        let of_questions = omitted.iter().find(|one| one.list == BriefList::Waiting("question"));
        assert_eq!(of_questions.map(|one| one.count), Some(1), "{actor:?}");
    }
}

async fn a_session_waits_until_its_next_entry_or_its_end(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let ask = |session, seconds, label: &str| {
        issuer.log_activity_as(label, Some(session), Some(issuer.at.plus_seconds(seconds)))
    };
    let work = [
        issuer.start_session(),
        issuer.start_session(),
        issuer.start_session(),
        ask(1, 1, "question"),
        ask(2, 2, "blocked"),
        ask(3, 3, "deploy"),
    ];
    apply_each(&db.store, work).await;
    let waiting = async |actor| -> Vec<_> {
        let found = brief(&db, &query(&issuer, actor, 10)).await.waiting;
        found.iter().map(|entry| entry.session.unwrap().0).collect()
    };
    for actor in [Some(1), None] {
        assert_eq!(waiting(actor).await, [2, 1]);
    }
    apply_each(&db.store, [ask(1, 4, "deploy")]).await;
    assert_eq!(waiting(Some(1)).await, [2]);
    apply_each(&db.store, [ask(3, 5, "question"), issuer.end_session(2)]).await;
    assert_eq!(waiting(Some(1)).await, [3]);
    // What is logged later ends the wait, whatever time it is logged for.
    apply_each(&db.store, [ask(3, -7_200, "deploy")]).await;
    assert_eq!(waiting(Some(1)).await, [0; 0]);
    apply_each(&db.store, [ask(3, 86_400, "question")]).await;
    assert_eq!(waiting(Some(1)).await, [3]);
    apply_each(&db.store, [issuer.log_activity_as("deploy", Some(3), None)]).await;
    assert_eq!(waiting(Some(1)).await, [0; 0]);
    assert_eq!(waiting(Some(2)).await, [0; 0]);
}

async fn the_end_of_the_last_session_is_where_the_report_starts(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let at = |seconds| Issuer { at: issuer.at.plus_seconds(seconds), ..issuer };
    let work = [
        at(0).start_session(),
        at(1).log_activity("early"),
        at(2).create_todo("one"),
        at(3).step_todo(1, TodoStatus::InProgress),
        at(10).end_session(1),
        at(20).start_session(),
        at(21).log_activity("late"),
        at(22).step_todo(1, TodoStatus::Done),
    ];
    apply_each(&db.store, work).await;
    let found = brief(&db, &query(&issuer, Some(1), 10)).await;
    assert_eq!(found.since, Some(at(10).at));
    let session = &found.session.as_ref().unwrap().session;
    assert_eq!((session.id, session.status.kind()), (SessionId(2), SessionStatusKind::Active));
    assert_eq!(found.activities.len(), 1);
    assert_eq!(found.activities[0].activity_type.as_str(), "late");
    assert_eq!(found.status_changes.len(), 1);
    assert_eq!(found.status_changes[0].change.new_status, TodoStatus::Done);
    let all = BriefQuery { since: Some(issuer.at), ..query(&issuer, Some(1), 10) };
    let found = brief(&db, &all).await;
    assert_eq!((found.activities.len(), found.status_changes.len()), (2, 2));
    // Without an active session, the one that ended last is shown.
    apply_each(&db.store, [at(30).end_session(2)]).await;
    let found = brief(&db, &query(&issuer, Some(1), 10)).await;
    assert_eq!(found.session.unwrap().session.id, SessionId(2));
    assert_eq!(found.since, Some(at(30).at));
    let more = [
        at(40).start_session(),
        at(50).start_session(),
        at(60).end_session(4),
        at(70).end_session(3),
    ];
    apply_each(&db.store, more).await;
    for actor in [Some(1), None] {
        let found = brief(&db, &query(&issuer, actor, 10)).await;
        assert_eq!(found.session.unwrap().session.id, SessionId(3), "{actor:?}");
        assert_eq!(found.since, Some(at(70).at));
    }
}

async fn only_the_first_long_descriptions_are_read(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    let many = LONG_TEXTS_MAX + 3;
    let made: Vec<_> = (0..many).map(|_| issuer.create_todo("one")).collect();
    apply_each(&db.store, made).await;
    let long = "x".repeat(usize::try_from(SHORT_TEXTS_MAX_BYTES).unwrap() + 1);
    let describe = |id| {
        let description = Patch::Set(resealed(&long));
        issuer.patch_todo(id, TodoPatch { description, ..TodoPatch::EMPTY })
    };
    let ids = 1..=i64::try_from(many).unwrap();
    apply_each(&db.store, ids.map(describe).collect::<Vec<_>>()).await;
    let rows = read(&db, &query(&issuer, Some(1), 50)).await;
    let read: Vec<_> = rows
        .todos
        .iter()
        .map(|one| one.todo.content.description.as_ref().unwrap().is_some())
        .collect();
    let expected: Vec<_> = (0..many).map(|place| place < LONG_TEXTS_MAX).collect();
    assert_eq!(read, expected);
    let first = rows.todos[0].todo.content.description.clone().unwrap().unwrap();
    let alone = db.store.todo(issuer.account.into(), TodoId(1)).await.unwrap().unwrap();
    assert_eq!(Some(first), alone.content.description);
}

async fn links_to_a_deleted_session_are_not_shown(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let work = [
        issuer.start_session(),
        issuer.create_todo_as("a", 0, Some(1)),
        issuer.log_activity_as("question", Some(1), None),
        issuer.delete_session(1),
    ];
    apply_each(&db.store, work).await;
    // The deletion has not unlinked these rows yet.
    db.execute("UPDATE todos SET session_id = 1").await;
    db.execute("UPDATE activities SET session_id = 1").await;
    let account = issuer.account;
    db.execute(&format!(
        "INSERT INTO session_deletions (account_id, session_id) VALUES ({account}, 1)"
    ))
    .await;
    let found = brief(&db, &query(&issuer, Some(1), 10)).await;
    assert_eq!(found.next[0].todo.content.session, None);
    assert_eq!(found.activities[0].session, None);
    assert_eq!((found.session, found.waiting), (None, vec![]));
}

async fn a_brief_is_not_read_once_the_auth_epoch_has_moved(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let by = Admission { account: issuer.account, auth_epoch: Some(issuer.auth_epoch + 1) };
    let query = BriefQuery { by, ..query(&issuer, Some(1), 10) };
    let found = db.store.brief(&query, Arc::clone(&db.clock) as Arc<dyn Clock>).await;
    assert_eq!(found, Err(StoreError::EpochMoved));
}

async fn a_status_change_that_is_kept_with_another_actor_is_found(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let work = [issuer.create_todo("one"), issuer.step_todo(1, TodoStatus::Done)];
    apply_each(&db.store, work).await;
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
    db.execute("UPDATE todo_logs SET actor_id = 2").await;
    let (_, found) = db.store.verify().await.unwrap();
    let found: Vec<_> = found.into_iter().map(|one| one.mismatch).collect();
    assert_eq!(found, [Mismatch::StatusChange(LogId(1))]);
}
