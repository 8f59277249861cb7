//! A session is deleted in steps, but every read shows it as deleted at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use roots_crypto::RingLocksmith;
use roots_domain::command::{
    Action, Applied, AppliedRow, Command, Conditions, Refusal, ResourceAction, SystemAction,
};
use roots_domain::model::Patch;
use roots_domain::model::id::{AccountId, ActivityId, SessionId, TodoId};
use roots_domain::model::page::PageRequest;
use roots_domain::model::session::UNLINKED_AT_ONCE_MAX;
use roots_domain::model::time::TimeRange;
use roots_domain::model::todo::{TodoPatch, TodoStatus};
use roots_domain::model::zone::Zone;
use roots_domain::port::archive::{ArchiveReader, ExportScope};
use roots_domain::port::crypto::Locksmith;
use roots_domain::port::store::{
    AccountReader, ActivityFilter, ActivityReader, ApplyError, CommandStore, Leftover,
    LeftoverReader, Mismatch, SessionReader, TodoQuery, TodoReader, Verifier,
};
use roots_domain::service::leftovers::{Leftovers, SingleFlight};
use roots_persistence::Store;
use roots_testkit::ambient::TestClock;
use roots_testkit::commands::{self, Issuer};
use roots_testkit::compare::compare;
use roots_testkit::context::TestContext;
use roots_testkit::database::TestDatabase;
use roots_testkit::members::{add_member, put_member};
use tokio::sync::{mpsc, oneshot};

use crate::random_commands::{self, SeededRng};

roots_testkit::on_both! {
    a_session_with_few_links_is_deleted_in_one_step,
    rows_linked_to_a_deleted_session_read_as_unlinked_at_once,
    an_interrupted_session_deletion_reads_as_done_and_is_finished_by_another_store,
    other_accounts_write_between_the_steps_of_a_session_deletion,
    an_erased_account_leaves_no_links_to_work_off,
    an_erasure_destroys_the_wraps_of_keys_and_codes_at_once_and_sweeps_the_rest,
    links_to_a_missing_session_are_found,
}

const AT_ONCE: i64 = UNLINKED_AT_ONCE_MAX as i64;

fn leftovers(commands: Arc<dyn CommandStore>, store: &Store) -> Leftovers {
    let (reader, clock) = (Arc::new(store.clone()), Arc::new(TestClock::default()));
    Leftovers { commands, reader, clock, single_flight: SingleFlight::default() }
}

fn step(issuer: &Issuer, session: i64, rows: u32) -> Command {
    let (account, session) = (issuer.account, SessionId(session));
    let action = SystemAction::UnlinkSession { account, session, rows };
    Command::uncharged(Action::System(action), issuer.at)
}

/// Links `rows` more activities to a session, without counting them.
async fn link(db: &TestDatabase, issuer: &Issuer, session: i64, rows: i64) {
    let uid = if db.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
    let text = if db.is_postgres() { "'\\x00'::bytea" } else { "x'00'" };
    let (of, actor) = (issuer.account, issuer.actor);
    db.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
         INSERT INTO activities SELECT {of}, 1000 + i, {uid}, {actor}, {session}, 'filler', {text}, i, i, 1 \
         FROM n"
    ))
    .await;
}

/// The number of activities whose row links to a session, even if reads show them as unlinked.
async fn links(db: &TestDatabase, session: i64) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM activities WHERE session_id = {session}");
    db.rows::<(i64,)>(&sql).await[0].0
}

async fn a_session_with_few_links_is_deleted_in_one_step(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let linked =
        [issuer.create_todo_as("a", 0, Some(1)), issuer.log_activity_as("a", Some(1), None)];
    commands::apply_each(&db.store, [issuer.start_session()].into_iter().chain(linked)).await;
    db.store.apply(issuer.delete_session(1)).await.unwrap();
    for table in ["todos", "activities"] {
        let sql = format!("SELECT version, COALESCE(session_id, 0) FROM {table}");
        assert_eq!(db.rows::<(i64, i64)>(&sql).await, [(2, 0)], "{table}");
    }
    assert_eq!(db.store.left_over(None).await, Ok(None));
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

async fn rows_linked_to_a_deleted_session_read_as_unlinked_at_once(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let linked = |session| {
        [
            issuer.create_todo_as("a", 0, Some(session)),
            issuer.log_activity_as("a", Some(session), None),
        ]
    };
    commands::apply_each(&db.store, [issuer.start_session(), issuer.start_session()]).await;
    commands::apply_each(&db.store, linked(1).into_iter().chain(linked(2))).await;
    link(&db, &issuer, 1, 3 * AT_ONCE).await;
    db.store.apply(issuer.delete_session(1)).await.unwrap();
    assert_eq!(links(&db, 1).await, 3 * AT_ONCE + 1 - (AT_ONCE - 1));
    let expected = Some(Leftover::Linked(issuer.account, SessionId(1)));
    assert_eq!(db.store.left_over(None).await, Ok(expected));
    // The deletion unlinks todos first. This one is linked again by hand.
    db.execute("UPDATE todos SET session_id = 1, version = 1 WHERE todo_id = 1").await;

    // No caller can read, change or link to the session.
    assert_eq!(db.store.session(issuer.account.into(), SessionId(1)).await, Ok(None));
    let missing = || Err(ApplyError::Refused(Refusal::NoSuchSession(SessionId(1))));
    let gone = || Err(ApplyError::Refused(Refusal::NotFound("session")));
    let relink = TodoPatch { session: Patch::Set(SessionId(1)), ..TodoPatch::EMPTY };
    let refused =
        [issuer.create_todo_as("b", 0, Some(1)), issuer.log_activity_as("b", Some(1), None)];
    for command in refused.into_iter().chain([issuer.patch_todo(2, relink)]) {
        assert_eq!(db.store.apply(command).await, missing());
    }
    assert_eq!(db.store.apply(issuer.delete_session(1)).await, gone());
    assert_eq!(db.store.apply(issuer.end_session(1)).await, gone());

    // Its links are gone from lists, statistics and exports.
    let page = PageRequest::default();
    for (session, rows, items) in [(1, 0, 0), (2, 1, 1)] {
        let session = Some(SessionId(session));
        for actor in [Some(issuer.actor), None] {
            let query = TodoQuery {
                by: issuer.account.into(),
                actor,
                status: None,
                priority: None,
                session,
                page,
            };
            let found = db.store.todos(&query).await.unwrap();
            assert_eq!((found.total, found.items.len()), (rows, items));
            let filter = ActivityFilter {
                by: issuer.account.into(),
                actor,
                activity_type: None,
                session,
                range: TimeRange::default(),
            };
            let found = db.store.activities(&filter, page).await.unwrap();
            assert_eq!((found.total, found.items.len()), (rows, items));
            let stats = db.store.activity_stats(&filter, &Zone::UTC).await.unwrap();
            assert_eq!((stats.total, stats.sessions.total), (rows, rows));
        }
    }
    let given = db.store.account(issuer.account).await.unwrap().unwrap().last_ids;
    let of = ExportScope { account: issuer.account, actor: None, given };
    let exported = db.store.todos_after(of, None).await.unwrap().rows;
    let shown: Vec<_> = exported.iter().map(|todo| (todo.content.session, todo.version)).collect();
    assert_eq!(shown, [(None, 2), (Some(SessionId(2)), 1)]);
    let given = roots_domain::model::account::LastIds { activity: 10_000, ..given };
    let of = ExportScope { given, ..of };
    let (mut after, mut exported) = (None, 0);
    loop {
        let piece = db.store.activities_after(of, after).await.unwrap();
        assert!(piece.rows.iter().all(|one| one.session != Some(SessionId(1))));
        assert!(piece.rows.iter().all(|one| one.session.is_some() || one.version == 2));
        exported += i64::try_from(piece.rows.len()).unwrap();
        after = piece.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(exported, 3 * AT_ONCE + 2);

    // A write and its precondition start from the row as it is read.
    let todo = db.store.todo(issuer.account.into(), TodoId(1)).await.unwrap().unwrap();
    assert_eq!((todo.content.session, todo.version), (None, 2));
    let patched = Command {
        conditions: Conditions { if_match: Some(vec![todo.tag()]), ..Conditions::default() },
        ..issuer.step_todo(1, TodoStatus::Done)
    };
    let Applied { row: AppliedRow::Todo(done), .. } = db.store.apply(patched).await.unwrap() else {
        panic!("a todo is answered");
    };
    assert_eq!((done.content.session, done.version), (None, 3));
    let activity =
        db.store.activity(issuer.account.into(), ActivityId(1500)).await.unwrap().unwrap();
    assert_eq!((activity.session, activity.version), (None, 2));

    leftovers(Arc::new(db.store.clone()), &db.store).work_off().await.unwrap();
    assert_eq!(links(&db, 1).await, 0);
    assert_eq!(db.store.left_over(None).await, Ok(None));
    let still = db.store.activity(issuer.account.into(), ActivityId(1500)).await.unwrap().unwrap();
    assert_eq!(still, activity);
    assert_eq!(db.store.todo(issuer.account.into(), TodoId(1)).await.unwrap(), Some(done));
}

/// The rows that the tables link to a session, as table and id.
async fn linked(db: &TestDatabase, of: AccountId, session: i64) -> Vec<(&'static str, i64)> {
    let mut found = Vec::new();
    for (table, id) in [("todos", "todo_id"), ("activities", "activity_id")] {
        let sql = format!(
            "SELECT {id} FROM {table} WHERE account_id = {of} AND session_id = {session} ORDER BY 1"
        );
        found.extend(db.rows::<(i64,)>(&sql).await.into_iter().map(|(id,)| (table, id)));
    }
    found
}

/// Restores the state of an interrupted deletion: `rows` are still linked to the session.
async fn cut_off(db: &TestDatabase, issuer: &Issuer, session: i64, rows: &[(&str, i64)]) {
    let account = issuer.account;
    for (table, row) in rows {
        let id = if *table == "todos" { "todo_id" } else { "activity_id" };
        db.execute(&format!(
            "UPDATE {table} SET session_id = {session}, version = version - 1 \
             WHERE account_id = {account} AND {id} = {row} AND session_id IS NULL"
        ))
        .await;
    }
    db.execute(&format!("INSERT INTO session_deletions VALUES ({account}, {session})")).await;
}

/// The model unlinks at once. The store must agree with it after each write and each step.
async fn an_interrupted_session_deletion_reads_as_done_and_is_finished_by_another_store(
    db: TestDatabase,
) {
    let mut cuts = 0;
    for seed in 0..4 {
        let mut rng = SeededRng(seed);
        let issuer = Issuer::new(&db.store, 10_000).await;
        put_member(&db, issuer.account, 2).await;
        let account = issuer.account;
        let mut model = issuer.reference_model(10_000);
        let mut cut = BTreeSet::new();
        let other = db.another_store().await;
        for number in 0..120 {
            // Random commands alone would have too few sessions, links and deletions.
            let actor = issuer.of_actor(1 + rng.below(2));
            let command = match rng.below(16) {
                _ if number < 4 => actor.start_session(),
                0 => actor.start_session(),
                1..=5 => actor.create_todo_as("linked", 1, Some(1 + rng.below(8))),
                6..=9 => actor.log_activity_as("a", Some(1 + rng.below(8)), None),
                10 | 11 => actor.delete_session(1 + rng.below(8)),
                _ => random_commands::command(&mut rng, &issuer, 30),
            };
            let deleted = match &command.action {
                Action::Resource(_, ResourceAction::DeleteSession(id)) => Some(id.0),
                _ => None,
            };
            let before = match deleted {
                Some(id) => linked(&db, issuer.account, id).await,
                None => Vec::new(),
            };
            let store = if rng.once_in(2) { &db.store } else { &other };
            let expected = model.expect(&command).map_err(ApplyError::Refused);
            assert_eq!(store.apply(command.clone()).await, expected, "{command:?}");
            if let Some(session) = deleted.filter(|_| expected.is_ok()) {
                let left: Vec<_> = before.into_iter().filter(|_| !rng.once_in(4)).collect();
                if !left.is_empty() {
                    cut_off(&db, &issuer, session, &left).await;
                    cut.insert(session);
                    cuts += 1;
                }
            }
            if let Some(session) = cut.first().filter(|_| rng.once_in(4)) {
                store.apply(step(&issuer, *session, 1 + u32::from(rng.once_in(2)))).await.unwrap();
                let mark = format!(
                    "SELECT COUNT(*) FROM session_deletions WHERE account_id = {account} AND session_id = {session}"
                );
                if db.rows::<(i64,)>(&mark).await == [(0,)] {
                    let session = *session;
                    assert_eq!(linked(&db, issuer.account, session).await, []);
                    cut.remove(&session);
                }
            }
            if number % 10 == 9 {
                compare(&model, &db.store, &[1, 2], &[TimeRange::default()], 7).await;
            }
        }
        leftovers(Arc::new(other.clone()), &other).work_off().await.unwrap();
        assert_eq!(db.store.left_over(None).await, Ok(None));
        compare(&model, &db.store, &[1, 2], &[TimeRange::default()], 50).await;
        other.close().await;
        db.execute("DELETE FROM session_deletions").await;
    }
    assert!(cuts >= 4, "{cuts} deletions were cut off");
}

/// After each step it notifies the test, and waits for a signal before it returns.
struct StepNotifier(Store, mpsc::UnboundedSender<oneshot::Sender<()>>);

#[async_trait]
impl CommandStore for StepNotifier {
    async fn apply(&self, command: Command) -> Result<Applied, ApplyError> {
        let is_step = matches!(command.action, Action::System(SystemAction::UnlinkSession { .. }));
        let applied = self.0.apply(command).await;
        if is_step {
            let (go_on, signal) = oneshot::channel();
            let _ = self.1.send(go_on);
            let _ = signal.await;
        }
        applied
    }
}

/// The test checks the order of events: writes of another account are answered before the deletion
/// ends.
async fn other_accounts_write_between_the_steps_of_a_session_deletion(db: TestDatabase) {
    const LINKS: i64 = 20_000;
    let (issuer, other) = (Issuer::new(&db.store, 10).await, Issuer::new(&db.store, 1_000).await);
    commands::apply_each(&db.store, [issuer.start_session()]).await;
    link(&db, &issuer, 1, LINKS).await;
    db.store.apply(issuer.delete_session(1)).await.unwrap();
    assert_eq!(links(&db, 1).await, LINKS - AT_ONCE, "what is answered with the deletion");
    let (tell, mut requests) = mpsc::unbounded_channel();
    let telling = Arc::new(StepNotifier(db.store.clone(), tell));
    let leftovers = leftovers(telling, &db.store);
    let working = tokio::spawn(async move { leftovers.work_off().await });
    let (mut between, mut steps) = (0, 0);
    while let Some(go_on) = requests.recv().await {
        steps += 1;
        let before = links(&db, 1).await;
        let write = commands::begin(&db.store, other.create_todo("between"));
        go_on.send(()).unwrap();
        write.await.unwrap().unwrap();
        // The write was answered while links were left.
        between += i64::from(before > 0 && links(&db, 1).await > 0);
    }
    working.await.unwrap().unwrap();
    assert_eq!(steps, LINKS / AT_ONCE, "steps of {AT_ONCE} rows");
    // After the last steps no links may be left.
    assert!(between >= steps - 3, "{between} writes were answered between {steps} steps");
    assert_eq!(links(&db, 1).await, 0);
}

async fn an_erased_account_leaves_no_links_to_work_off(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 10).await;
    commands::apply_each(&db.store, [issuer.start_session()]).await;
    link(&db, &issuer, 1, 2 * AT_ONCE).await;
    db.store.apply(issuer.delete_session(1)).await.unwrap();
    let id = issuer.account;
    for table in ["recovery_codes", "accounts"] {
        db.execute(&format!("DELETE FROM {table} WHERE account_id = {id}")).await;
    }
    db.execute(&format!("INSERT INTO erasures VALUES ({id}, 1, NULL)")).await;
    db.execute("UPDATE directory SET accounts = 0").await;
    assert_eq!(db.store.left_over(None).await, Ok(Some(Leftover::Erased(id))));
    let gone = Err(ApplyError::Refused(Refusal::NoSuchAccount(id)));
    // This store has not cached the account.
    let other = db.another_store().await;
    assert_eq!(other.apply(step(&issuer, 1, 10)).await, gone);
    leftovers(Arc::new(other.clone()), &other).work_off().await.unwrap();
    assert_eq!(db.rows::<(i64,)>("SELECT COUNT(*) FROM session_deletions").await, [(0,)]);
    assert_eq!(db.rows::<(i64,)>("SELECT COUNT(*) FROM key_wraps").await, [(0,)]);
    assert_eq!(db.store.verify().await.unwrap(), (0, vec![]));
}

async fn an_erasure_destroys_the_wraps_of_keys_and_codes_at_once_and_sweeps_the_rest(
    db: TestDatabase,
) {
    let context = TestContext::new(db.store.clone(), db.clock.clone());
    let credentials = context.found(10).await;
    let owner = context.admit(&credentials).await;
    let member = add_member(&db, &owner, 2).await;
    let key = context.access.parse_key(&member).unwrap().lookup;
    let code = RingLocksmith::default().parse_code(&credentials.recovery_code).unwrap().lookup;
    assert!(db.store.credentials(key).await.unwrap().is_some());
    assert!(db.store.recoverable(code).await.unwrap().is_some());
    context.erasures.erase(&owner, &credentials.recovery_code).await.unwrap();
    let count =
        async |rows: &str| db.rows::<(i64,)>(&format!("SELECT COUNT(*) FROM {rows}")).await[0].0;
    for rows in [
        "accounts",
        "recovery_codes",
        "key_wraps WHERE holder_kind = 'api_key' OR holder_kind = 'recovery'",
    ] {
        assert_eq!(count(rows).await, 0, "{rows}");
    }
    // The sweep deletes the rest later.
    for rows in ["actors", "api_keys", "key_wraps WHERE holder_kind = 'account'"] {
        assert!(count(rows).await > 0, "{rows}");
    }
    assert!(db.store.credentials(key).await.unwrap().is_none());
    assert!(db.store.recoverable(code).await.unwrap().is_none());
    assert_eq!(db.store.verify().await.unwrap(), (0, vec![]));
    context.leftovers.work_off().await.unwrap();
    for rows in ["actors", "api_keys", "key_wraps"] {
        assert_eq!(count(rows).await, 0, "{rows}");
    }
}

async fn links_to_a_missing_session_are_found(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 10).await;
    let made = [issuer.start_session(), issuer.log_activity_as("a", Some(1), None)];
    commands::apply_each(&db.store, made).await;
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
    db.execute("UPDATE activities SET session_id = 7").await;
    let (_, found) = db.store.verify().await.unwrap();
    let found: Vec<_> = found.into_iter().map(|one| one.mismatch).collect();
    let expected =
        Mismatch::LinkedToNothing { table: "activities", session: SessionId(7), rows: 1 };
    assert_eq!(found, [expected]);
    db.execute("INSERT INTO session_deletions VALUES (1, 7)").await;
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]), "it is being deleted");
}
