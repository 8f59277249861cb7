//! The traps of the write path (docs/architecture.md), each with a test. What queues up behind a held
//! lock meets in one batch.

use roots_domain::model::Patch;
use roots_domain::model::id::{AccountId, ActivityId, SessionId};
use roots_domain::model::session::{SessionPatch, SessionStatus};
use roots_domain::model::time::TimeRange;
use roots_domain::model::todo::{TodoPatch, TodoStatus};
use roots_domain::model::unit::{AppliedRow, Author, Intent, Refusal, UnitOfWork};
use roots_domain::port::store::{
    AccountReader, ActivityReader, ApplyError, Auditor, Leftover, LeftoverReader, StoreFault,
    TodoReader, UnitStore,
};
use roots_testkit::database::{TestDatabase, until};
use roots_testkit::model::Model;
use roots_testkit::units::{self, Answer, Desk, answers, begin, begin_all, resealed};

roots_testkit::on_both! {
    a_refusal_that_rests_on_a_batch_mate_is_not_told_when_the_batch_fails,
    only_the_culprit_fails_and_its_batch_mates_are_charged_once,
    a_commit_that_is_refused_falls_on_the_culprit_alone,
    a_caller_that_hangs_up_undoes_nothing_and_poisons_nothing,
    of_two_deletes_of_one_row_one_succeeds,
    units_of_one_batch_see_what_earlier_ones_did,
    a_session_is_deleted_before_or_after_what_links_to_it,
    deleting_a_session_unlinks_thousands_of_rows,
}

/// Has units meet in one batch: they queue up, in their order, behind one that is held up.
async fn together(
    db: &TestDatabase,
    desk: &Desk,
    units: impl IntoIterator<Item = UnitOfWork>,
) -> Vec<Answer> {
    let hold = db.hold(desk.account).await;
    let plug = begin(&db.store, desk.log_activity("plug"));
    hold.until_felt().await;
    let calls = begin_all(&db.store, units);
    hold.release().await;
    plug.await.unwrap().unwrap();
    answers(calls).await
}

/// Makes the database refuse activities of the type `poison`, as it would a value it can't hold.
async fn refuse_poison(db: &TestDatabase) {
    let sql = if db.is_postgres() {
        "ALTER TABLE activities ADD CONSTRAINT no_poison CHECK (activity_type <> 'poison')"
    } else {
        "CREATE TRIGGER no_poison BEFORE INSERT ON activities WHEN NEW.activity_type = 'poison' \
            BEGIN SELECT RAISE(ABORT, 'poison'); END"
    };
    db.execute(sql).await;
}

fn is_broken(answer: &Answer) -> bool {
    matches!(answer, Err(ApplyError::Fault(StoreFault::Broken(_))))
}

fn balances(answers: &[Answer]) -> Vec<Option<i64>> {
    answers.iter().map(|answer| answer.as_ref().ok().map(|applied| applied.balance)).collect()
}

async fn balance(db: &TestDatabase, desk: &Desk) -> i64 {
    db.store.account(desk.account).await.unwrap().unwrap().balance
}

async fn activities(db: &TestDatabase) -> Vec<(String, i64)> {
    let sql = "SELECT activity_type, COUNT(*) FROM activities GROUP BY activity_type ORDER BY 1";
    db.rows(sql).await
}

async fn proves(db: &TestDatabase, accounts: u64) {
    assert_eq!(db.store.audit().await.unwrap(), (accounts, vec![]));
}

/// Trap 1: a refusal may rest on a batch-mate's uncommitted write, so it is held until COMMIT.
async fn a_refusal_that_rests_on_a_batch_mate_is_not_told_when_the_batch_fails(db: TestDatabase) {
    // One credit is left once the plug is paid.
    let desk = Desk::new(&db.store, 2).await;
    refuse_poison(&db).await;
    // In the batch the poison takes the last credit, and the todo is refused for want of it. The
    // batch fails, so the credit was never spent, and saying that it was would be wrong.
    let found = together(&db, &desk, [desk.log_activity("poison"), desk.create_todo("one")]).await;
    assert!(is_broken(&found[0]), "{:?}", found[0]);
    assert_eq!(found[1].as_ref().unwrap().balance, 0);
    // Once it is spent for good, that is said.
    let broke = Refusal::InsufficientCredits { balance: 0, cost: 1 };
    let answer = db.store.apply(desk.create_todo("two")).await;
    assert_eq!(answer, Err(ApplyError::Refused(broke)));
    proves(&db, 1).await;
}

/// Trap 2: where the cause is the data, each unit is tried once alone.
async fn only_the_culprit_fails_and_its_batch_mates_are_charged_once(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    refuse_poison(&db).await;
    let kinds = ["a", "poison", "b", "a", "poison", "c"];
    let mut units: Vec<_> = kinds.iter().map(|kind| desk.log_activity(kind)).collect();
    units.insert(3, desk.end_session(9));
    let found = together(&db, &desk, units).await;
    let missing = ApplyError::Refused(Refusal::NotFound("session"));
    assert_eq!(found[3], Err(missing));
    let told = |answer: &Answer| is_broken(answer);
    assert_eq!(
        found.iter().map(told).collect::<Vec<_>>(),
        [false, true, false, false, false, true, false]
    );
    let paid = [Some(98), None, Some(97), None, Some(96), None, Some(95)];
    assert_eq!(balances(&found), paid);
    let expected = [("a", 2), ("b", 1), ("c", 1), ("plug", 1)];
    assert_eq!(activities(&db).await, expected.map(|(kind, count)| (kind.to_owned(), count)));
    proves(&db, 1).await;
}

/// Trap 2 again, where the database finds out only when it commits. That it refuses is a known
/// outcome: nothing stands.
async fn a_commit_that_is_refused_falls_on_the_culprit_alone(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    let deferred = "CREATE TABLE pledges (redeemed INTEGER NOT NULL PRIMARY KEY);
        CREATE TABLE promises (one INTEGER REFERENCES pledges DEFERRABLE INITIALLY DEFERRED);";
    db.execute(deferred).await;
    let trigger = if db.is_postgres() {
        "CREATE FUNCTION promise() RETURNS trigger LANGUAGE plpgsql AS \
            $$ BEGIN INSERT INTO promises VALUES (1); RETURN NEW; END $$;
        CREATE TRIGGER promise BEFORE INSERT ON activities FOR EACH ROW \
            WHEN (NEW.activity_type = 'poison') EXECUTE FUNCTION promise();"
    } else {
        "CREATE TRIGGER promise BEFORE INSERT ON activities WHEN NEW.activity_type = 'poison' \
            BEGIN INSERT INTO promises VALUES (1); END"
    };
    db.execute(trigger).await;
    let units = ["a", "poison", "b"].map(|kind| desk.log_activity(kind));
    let found = together(&db, &desk, units).await;
    assert_eq!(balances(&found), [Some(98), None, Some(97)]);
    assert!(is_broken(&found[1]), "{:?}", found[1]);
    let expected = [("a", 1), ("b", 1), ("plug", 1)];
    assert_eq!(activities(&db).await, expected.map(|(kind, count)| (kind.to_owned(), count)));
    // The connection is good for more.
    assert_eq!(db.store.apply(desk.log_activity("c")).await.unwrap().balance, 96);
    proves(&db, 1).await;
}

/// Trap 4: a full queue answers soon and does not grow.
/// On SQLite, where nobody who waits for a lock is handed over meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_soon_and_what_it_accepted_is_done() {
    // What a queue holds, and what a batch may have taken off it.
    const QUEUE: usize = 512;
    const BATCH: usize = 64;
    let db = TestDatabase::sqlite().await;
    let desk = Desk::new(&db.store, 2_000).await;
    let hold = db.hold(desk.account).await;
    let plug = begin(&db.store, desk.log_activity("plug"));
    hold.until_felt().await;
    let calls = begin_all(&db.store, (0..QUEUE + BATCH).map(|_| desk.log_activity("a")));
    // The lane is held up all the while: whoever is answered now was refused.
    let late = begin_all(&db.store, (0..BATCH).map(|_| desk.log_activity("b")));
    for refused in answers(late).await {
        assert_eq!(refused, Err(ApplyError::Fault(StoreFault::Busy)));
    }
    hold.release().await;
    plug.await.unwrap().unwrap();
    let found = answers(calls).await;
    let busy = Err(ApplyError::Fault(StoreFault::Busy));
    let accepted = found.iter().filter(|answer| **answer != busy).count();
    assert!((QUEUE..=QUEUE + BATCH).contains(&accepted), "{accepted}");
    let accepted = i64::try_from(accepted).unwrap();
    let paid: Vec<_> = balances(&found).into_iter().flatten().collect();
    assert_eq!(paid, (0..accepted).map(|number| 1_998 - number).collect::<Vec<_>>());
    let expected = [("a", accepted), ("plug", 1)];
    assert_eq!(activities(&db).await, expected.map(|(kind, count)| (kind.to_owned(), count)));
    assert_eq!(db.store.apply(desk.log_activity("a")).await.unwrap().balance, 1_998 - accepted);
    proves(&db, 1).await;
}

/// Trap 5: what was accepted is done, whether or not anyone still waits for the answer.
async fn a_caller_that_hangs_up_undoes_nothing_and_poisons_nothing(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    let hold = db.hold(desk.account).await;
    let plug = begin(&db.store, desk.log_activity("plug"));
    hold.until_felt().await;
    let units = ["a", "gone", "b", "gone"].map(|kind| desk.log_activity(kind));
    let mut calls = begin_all(&db.store, units);
    let (last, second) = (calls.remove(3), calls.remove(1));
    for gone in [last, second] {
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    plug.abort();
    hold.release().await;
    let found = answers(calls).await;
    // The first costs the 100th credit, whoever is there to hear it.
    assert_eq!(balances(&found), [Some(98), Some(96)]);
    until("the last unit is applied", async || balance(&db, &desk).await == 95).await;
    let expected = [("a", 1), ("b", 1), ("gone", 2), ("plug", 1)];
    assert_eq!(activities(&db).await, expected.map(|(kind, count)| (kind.to_owned(), count)));
    proves(&db, 1).await;
}

async fn of_two_deletes_of_one_row_one_succeeds(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    let rows = [desk.start_session(), desk.create_todo("one"), desk.log_activity("a")];
    units::apply_each(&db.store, rows).await;
    let twice = [
        desk.delete_todo(1),
        desk.delete_todo(1),
        desk.delete_activity(1),
        desk.delete_activity(1),
        desk.delete_session(1),
        desk.delete_session(1),
    ];
    let found = together(&db, &desk, twice).await;
    assert_eq!(balances(&found), [Some(95), None, Some(94), None, Some(93), None]);
    for (index, what) in [(1, "todo"), (3, "activity"), (5, "session")] {
        assert_eq!(found[index - 1].as_ref().unwrap().row, AppliedRow::Deleted);
        assert_eq!(found[index], Err(ApplyError::Refused(Refusal::NotFound(what))));
    }
    // Callers of two processes.
    let other = db.another_store().await;
    units::apply_each(&db.store, [desk.create_todo("two")]).await;
    let calls = vec![begin(&db.store, desk.delete_todo(2)), begin(&other, desk.delete_todo(2))];
    let mut found = balances(&answers(calls).await);
    found.sort_unstable();
    assert_eq!(found, [None, Some(91)]);
    proves(&db, 1).await;
}

/// The units of one batch, against what they would be answered one after the other.
async fn units_of_one_batch_see_what_earlier_ones_did(db: TestDatabase) {
    let desk = Desk::new(&db.store, 1_000).await;
    let mut model = Model::new(desk, 1_000);
    let retitled = |title| TodoPatch { title: Some(resealed(title)), ..TodoPatch::EMPTY };
    let both = |title| TodoPatch { status: Some(TodoStatus::Done), ..retitled(title) };
    let noted = |notes| SessionPatch { status: None, notes: Patch::Set(resealed(notes)) };
    let reopen = SessionPatch { status: Some(SessionStatus::Active), notes: Patch::Keep };
    let batches = [
        // Patches of rows that the same batch creates.
        vec![
            desk.create_todo("one"),
            desk.patch_todo(1, both("one, changed")),
            desk.step_todo(1, TodoStatus::Cancelled),
            desk.start_session(),
            desk.patch_session(1, noted("begun")),
            desk.create_todo_as("two", 3, Some(1)),
        ],
        // Two patches of one row, and a step that only the first allows.
        vec![
            desk.patch_todo(1, retitled("a")),
            desk.patch_todo(1, retitled("b")),
            desk.step_todo(1, TodoStatus::InProgress),
            desk.step_todo(1, TodoStatus::Cancelled),
            desk.step_todo(1, TodoStatus::Cancelled),
        ],
        // Patch, then delete; delete, then patch.
        vec![
            desk.patch_todo(1, both("never told")),
            desk.step_todo(1, TodoStatus::Open),
            desk.delete_todo(1),
            desk.delete_todo(2),
            desk.patch_todo(2, retitled("too late")),
        ],
        // Created, changed and deleted before anything was written: not even its log is left.
        vec![
            desk.create_todo("three"),
            desk.step_todo(3, TodoStatus::Done),
            desk.delete_todo(3),
            desk.log_activity("a"),
            desk.delete_activity(1),
            desk.step_todo(3, TodoStatus::Open),
        ],
        // Ended twice, and reopened; a link to it before and after.
        vec![
            desk.log_activity_as("b", Some(1), None),
            desk.end_session(1),
            desk.log_activity_as("b", Some(1), None),
            desk.create_todo_as("four", 0, Some(1)),
            desk.end_session(1),
            desk.patch_session(1, reopen),
            desk.patch_session(1, noted("over")),
        ],
        // A patch may link to a session that has ended.
        vec![
            desk.create_todo("four"),
            desk.patch_todo(4, TodoPatch { session: Patch::Set(SessionId(1)), ..TodoPatch::EMPTY }),
            desk.patch_todo(4, TodoPatch { session: Patch::Clear, ..TodoPatch::EMPTY }),
        ],
    ];
    for units in batches {
        let hold = db.hold(desk.account).await;
        let plug = desk.log_activity("plug");
        model.expect(&plug).unwrap();
        let plug = begin(&db.store, plug);
        hold.until_felt().await;
        let expected: Vec<Answer> =
            units.iter().map(|unit| model.expect(unit).map_err(ApplyError::Refused)).collect();
        let calls = begin_all(&db.store, units.clone());
        hold.release().await;
        plug.await.unwrap().unwrap();
        for ((found, expected), unit) in answers(calls).await.into_iter().zip(expected).zip(units) {
            assert_eq!(found, expected, "{unit:?}");
        }
    }
    model.compare(&db.store, &[1], &[TimeRange::default()], 100).await;
    assert_eq!(db.rows::<(i64,)>("SELECT COUNT(*) FROM todo_logs").await, [(0,)]);
}

/// Trap 6: the deletion ends the batch and is applied alone, in its place.
async fn a_session_is_deleted_before_or_after_what_links_to_it(db: TestDatabase) {
    let desk = Desk::new(&db.store, 1_000).await;
    units::apply_each(&db.store, [desk.start_session(), desk.create_todo("unlinked")]).await;
    let link = TodoPatch { session: Patch::Set(SessionId(1)), ..TodoPatch::EMPTY };
    let links = || {
        [
            desk.create_todo_as("linked", 0, Some(1)),
            desk.log_activity_as("a", Some(1), None),
            desk.patch_todo(1, link.clone()),
        ]
    };
    let mut units = Vec::from(links());
    units.push(desk.delete_session(1));
    units.extend(links());
    // Of what was linked until just now.
    units.extend([desk.step_todo(1, TodoStatus::Done), desk.step_todo(2, TodoStatus::Done)]);
    let found = together(&db, &desk, units).await;
    let missing = || Err(ApplyError::Refused(Refusal::NoSuchSession(SessionId(1))));
    assert_eq!(balances(&found[..4]), [Some(996), Some(995), Some(994), Some(993)]);
    assert_eq!(found[4..7], [missing(), missing(), missing()]);
    // Created or changed, then unlinked, then changed: each shows.
    for (answer, version) in found[7..].iter().zip([4, 3]) {
        let AppliedRow::Todo(todo) = &answer.as_ref().unwrap().row else { panic!("{answer:?}") };
        assert_eq!((todo.session, todo.version), (None, version));
        assert_eq!(db.store.todo(desk.account.into(), todo.id).await.unwrap().as_ref(), Some(todo));
    }
    let linked = db.store.activity(desk.account.into(), ActivityId(2)).await.unwrap().unwrap();
    assert_eq!((linked.session, linked.version), (None, 2));
    proves(&db, 1).await;
}

async fn deleting_a_session_unlinks_thousands_of_rows(db: TestDatabase) {
    const ROWS: i64 = 3_000;
    let desk = Desk::new(&db.store, 2 * ROWS + 10).await;
    units::apply_each(&db.store, [desk.start_session(), desk.start_session()]).await;
    let rows = |session| {
        (0..ROWS / 10).flat_map(move |_| {
            [
                desk.create_todo_as("linked", 2, Some(session)),
                desk.log_activity_as("a", Some(session), None),
            ]
        })
    };
    for _ in 0..9 {
        units::apply_each(&db.store, rows(1)).await;
    }
    units::apply_each(&db.store, rows(2)).await;
    let tallies =
        "SELECT subject || label, count FROM tallies WHERE subject <> 'ledger' ORDER BY 1";
    let counted = db.rows::<(String, i64)>(tallies).await;
    let applied = db.store.apply(desk.delete_session(1)).await.unwrap();
    assert_eq!((applied.cost, applied.balance), (1, 7));
    let mut steps = 0;
    while let Some(left) = db.store.left_over(AccountId(0)).await.unwrap() {
        assert_eq!(left, Leftover::Linked(desk.account, SessionId(1)));
        let (account, session, rows) = (desk.account, SessionId(1), 1_000);
        let intent = Intent::UnlinkSession { account, session, rows };
        db.store.apply(UnitOfWork::free(Author::Program, intent, desk.at)).await.unwrap();
        steps += 1;
    }
    assert_eq!(steps, 5, "of 5400 rows 500 were unlinked at once");
    for table in ["todos", "activities"] {
        let by_link = format!(
            "SELECT COALESCE(session_id, 0), version, COUNT(*) FROM {table} \
                GROUP BY session_id, version ORDER BY 1"
        );
        let found: Vec<(i64, i64, i64)> = db.rows(&by_link).await;
        assert_eq!(found, [(0, 2, ROWS / 10 * 9), (2, 1, ROWS / 10)], "{table}");
    }
    let mut expected = counted;
    let sessions = expected.iter_mut().find(|(what, _)| what == "sessionsactive").unwrap();
    sessions.1 -= 1;
    assert_eq!(db.rows::<(String, i64)>(tallies).await, expected);
    proves(&db, 1).await;
}

/// What can only be done to a server: taking a connection away at a chosen moment.
mod connections {
    use super::*;

    /// Ends whoever is asleep in this database, once someone is.
    async fn end_sleeper(db: &TestDatabase) {
        let sleeper = "SELECT CAST(pg_terminate_backend(pid) AS TEXT) FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event = 'PgSleep'";
        until("a backend sleeps and is ended", async || {
            !db.rows::<(String,)>(sleeper).await.is_empty()
        })
        .await;
    }

    const NAP: &str = "CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;";

    /// Trap 2: a failure of the connection fails the whole batch, and nothing of it is written.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lost_connection_fails_the_whole_batch_and_writes_nothing() {
        let db = TestDatabase::postgres().await;
        let desk = Desk::new(&db.store, 100).await;
        db.execute(NAP).await;
        let trigger = "CREATE TRIGGER nap BEFORE INSERT ON activities FOR EACH ROW \
            WHEN (NEW.activity_type = 'slow') EXECUTE FUNCTION nap()";
        db.execute(trigger).await;
        let hold = db.hold(desk.account).await;
        let plug = begin(&db.store, desk.log_activity("plug"));
        hold.until_felt().await;
        let units = [desk.create_todo("one"), desk.log_activity("slow"), desk.end_session(9)];
        let calls = begin_all(&db.store, units);
        hold.release().await;
        plug.await.unwrap().unwrap();
        let before = db.dump().await;
        end_sleeper(&db).await;
        for answer in answers(calls).await {
            let away = matches!(answer, Err(ApplyError::Fault(StoreFault::Unavailable(_))));
            assert!(away, "{answer:?}");
        }
        assert_eq!(db.dump().await, before);
        // The lane finds itself another connection.
        assert_eq!(db.store.apply(desk.create_todo("two")).await.unwrap().balance, 98);
        proves(&db, 1).await;
    }

    /// Trap 3: whether a COMMIT took place that was not answered nobody knows, and nobody says.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_commit_that_is_not_answered_leaves_the_outcome_unknown() {
        let db = TestDatabase::postgres().await;
        let desk = Desk::new(&db.store, 2).await;
        db.execute(NAP).await;
        let trigger = "CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON activities \
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
            WHEN (NEW.activity_type = 'slow') EXECUTE FUNCTION nap()";
        db.execute(trigger).await;
        let hold = db.hold(desk.account).await;
        let plug = begin(&db.store, desk.log_activity("plug"));
        hold.until_felt().await;
        // The todo is refused for a credit that may or may not be spent: that too is unknown.
        let calls = begin_all(&db.store, [desk.log_activity("slow"), desk.create_todo("one")]);
        hold.release().await;
        plug.await.unwrap().unwrap();
        end_sleeper(&db).await;
        for answer in answers(calls).await {
            let unknown = matches!(answer, Err(ApplyError::Fault(StoreFault::OutcomeUnknown(_))));
            assert!(unknown, "{answer:?}");
        }
        // In this case it did not take place, as its caller can find out.
        assert_eq!(db.store.apply(desk.create_todo("two")).await.unwrap().balance, 0);
        proves(&db, 1).await;
    }

    /// The server ends connections that idle, too, as when it is restarted between two requests.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_connection_that_went_while_it_idled_is_replaced() {
        let db = TestDatabase::postgres().await;
        let desk = Desk::new(&db.store, 100).await;
        let others = "SELECT CAST(pg_terminate_backend(pid) AS TEXT) FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        assert!(db.rows::<(String,)>(others).await.len() >= 3);
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        let applied = db.store.apply(desk.create_todo("one")).await.unwrap();
        assert_eq!(applied.balance, 99);
        assert_eq!(balance(&db, &desk).await, 99);
    }
}
