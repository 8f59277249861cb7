//! Commands that share a batch: refusals, bad data, a full queue, a lost connection, and callers
//! that hang up. Commands that queue up behind a held lock are applied in one batch.

use futures_util::stream::{FuturesUnordered, StreamExt};
use roots_domain::command::{Action, AppliedRow, Command, Refusal, SystemAction};
use roots_domain::model::Patch;
use roots_domain::model::id::{ActivityId, SessionId};
use roots_domain::model::session::{SessionPatch, SessionStatusKind};
use roots_domain::model::time::TimeRange;
use roots_domain::model::todo::{TodoPatch, TodoStatus};
use roots_domain::port::store::{
    AccountReader, ActivityReader, ApplyError, CommandStore, Leftover, LeftoverReader, StoreError,
    TodoReader, Verifier,
};
use roots_testkit::commands::{self, CommandResult, Issuer, answers, begin, begin_all, resealed};
use roots_testkit::compare::compare;
use roots_testkit::database::{TestDatabase, until};

roots_testkit::on_both! {
    a_refusal_based_on_an_uncommitted_write_is_not_sent_when_the_batch_fails,
    only_a_command_with_bad_data_fails_and_the_rest_of_its_batch_is_charged_once,
    a_commit_refused_by_a_constraint_fails_only_the_command_that_broke_it,
    a_caller_that_hangs_up_neither_undoes_nor_fails_a_write,
    exactly_one_of_two_deletes_of_a_row_succeeds,
    commands_of_a_batch_see_the_effects_of_earlier_commands,
    a_session_deletion_keeps_its_order_among_the_links_of_its_batch,
    deleting_a_session_unlinks_thousands_of_rows,
}

/// Applies commands in one batch: they queue up in order behind a command that is blocked.
async fn together(
    db: &TestDatabase,
    issuer: &Issuer,
    commands: impl IntoIterator<Item = Command>,
) -> Vec<CommandResult> {
    let hold = db.hold(issuer.account).await;
    let plug = begin(&db.store, issuer.log_activity("plug"));
    hold.wait_until_blocking().await;
    let calls = begin_all(&db.store, commands);
    hold.release().await;
    plug.await.unwrap().unwrap();
    answers(calls).await
}

/// Makes the database reject activities of the type `poison`, like a value that it can't store.
async fn refuse_poison(db: &TestDatabase) {
    let sql = if db.is_postgres() {
        "ALTER TABLE activities ADD CONSTRAINT no_poison CHECK (activity_type <> 'poison')"
    } else {
        "CREATE TRIGGER no_poison BEFORE INSERT ON activities WHEN NEW.activity_type = 'poison' \
            BEGIN SELECT RAISE(ABORT, 'poison'); END"
    };
    db.execute(sql).await;
}

fn is_broken(answer: &CommandResult) -> bool {
    matches!(answer, Err(ApplyError::Store(StoreError::Broken(_))))
}

fn balances(answers: &[CommandResult]) -> Vec<Option<i64>> {
    answers.iter().map(|answer| answer.as_ref().ok().map(|applied| applied.balance)).collect()
}

async fn balance(db: &TestDatabase, issuer: &Issuer) -> i64 {
    db.store.account(issuer.account).await.unwrap().unwrap().balance
}

async fn activities(db: &TestDatabase) -> Vec<(String, i64)> {
    let sql = "SELECT activity_type, COUNT(*) FROM activities GROUP BY activity_type ORDER BY 1";
    db.rows(sql).await
}

async fn assert_verified(db: &TestDatabase, accounts: u64) {
    assert_eq!(db.store.verify().await.unwrap(), (accounts, vec![]));
}

/// A refusal may depend on an uncommitted write of its batch, so it is held until COMMIT.
async fn a_refusal_based_on_an_uncommitted_write_is_not_sent_when_the_batch_fails(
    db: TestDatabase,
) {
    // The plug leaves one credit.
    let issuer = Issuer::new(&db.store, 2).await;
    refuse_poison(&db).await;
    // In the batch, `poison` spends the last credit, so the todo is refused. Then the batch fails
    // and the credit was never spent. That refusal must not be sent.
    let found =
        together(&db, &issuer, [issuer.log_activity("poison"), issuer.create_todo("one")]).await;
    assert!(is_broken(&found[0]), "{:?}", found[0]);
    assert_eq!(found[1].as_ref().unwrap().balance, 0);
    // Now the credit is spent, and the refusal is right.
    let broke = Refusal::InsufficientCredits { balance: 0, cost: 1 };
    let answer = db.store.apply(issuer.create_todo("two")).await;
    assert_eq!(answer, Err(ApplyError::Refused(broke)));
    assert_verified(&db, 1).await;
}

/// If bad data fails a batch, each of its commands is retried alone.
async fn only_a_command_with_bad_data_fails_and_the_rest_of_its_batch_is_charged_once(
    db: TestDatabase,
) {
    let issuer = Issuer::new(&db.store, 100).await;
    refuse_poison(&db).await;
    let kinds = ["a", "poison", "b", "a", "poison", "c"];
    let mut commands: Vec<_> = kinds.iter().map(|kind| issuer.log_activity(kind)).collect();
    commands.insert(3, issuer.end_session(9));
    let found = together(&db, &issuer, commands).await;
    let missing = ApplyError::Refused(Refusal::NotFound("session"));
    assert_eq!(found[3], Err(missing));
    let broken = |answer: &CommandResult| is_broken(answer);
    assert_eq!(
        found.iter().map(broken).collect::<Vec<_>>(),
        [false, true, false, false, false, true, false]
    );
    let paid = [Some(98), None, Some(97), None, Some(96), None, Some(95)];
    assert_eq!(balances(&found), paid);
    let expected = [("a", 2), ("b", 1), ("c", 1), ("plug", 1)];
    assert_eq!(activities(&db).await, expected.map(|(kind, count)| (kind.to_owned(), count)));
    assert_verified(&db, 1).await;
}

/// The database rejects the data only at COMMIT. The outcome is known: nothing was written.
async fn a_commit_refused_by_a_constraint_fails_only_the_command_that_broke_it(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
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
    let commands = ["a", "poison", "b"].map(|kind| issuer.log_activity(kind));
    let found = together(&db, &issuer, commands).await;
    assert_eq!(balances(&found), [Some(98), None, Some(97)]);
    assert!(is_broken(&found[1]), "{:?}", found[1]);
    let expected = [("a", 1), ("b", 1), ("plug", 1)];
    assert_eq!(activities(&db).await, expected.map(|(kind, count)| (kind.to_owned(), count)));
    // The connection can still be used.
    assert_eq!(db.store.apply(issuer.log_activity("c")).await.unwrap().balance, 96);
    assert_verified(&db, 1).await;
}

/// A full queue refuses new writes soon and does not grow. The test runs on SQLite, where a
/// command that waits for a lock stays in its queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_new_writes_and_applies_every_accepted_write() {
    // The capacity of the queue, and of a batch that may already have left it.
    const QUEUE: usize = 512;
    const BATCH: usize = 64;
    let db = TestDatabase::sqlite().await;
    let issuer = Issuer::new(&db.store, 2_000).await;
    let hold = db.hold(issuer.account).await;
    let commands = (0..QUEUE + 2 * BATCH).map(|_| issuer.log_activity("a"));
    let mut calls: FuturesUnordered<_> = begin_all(&db.store, commands).into_iter().collect();
    let busy = Err(ApplyError::Store(StoreError::Busy));
    // The writer is blocked, so an answer now can only be a refusal.
    for _ in 0..BATCH {
        assert_eq!(calls.next().await.unwrap().unwrap(), busy);
    }
    hold.release().await;
    let found: Vec<CommandResult> = calls.map(Result::unwrap).collect().await;
    assert!(found.iter().all(|answer| answer.is_ok() || *answer == busy), "{found:?}");
    let mut left: Vec<_> = balances(&found).into_iter().flatten().collect();
    left.sort_unstable_by_key(|left| std::cmp::Reverse(*left));
    assert!(left.len() >= QUEUE, "{}", left.len());
    let accepted = i64::try_from(left.len()).unwrap();
    assert_eq!(left, (0..accepted).map(|number| 1_999 - number).collect::<Vec<_>>());
    assert_eq!(activities(&db).await, [("a".to_owned(), accepted)]);
    assert_eq!(db.store.apply(issuer.log_activity("a")).await.unwrap().balance, 1_999 - accepted);
    assert_verified(&db, 1).await;
}

/// An accepted write is applied even if its caller no longer waits for the answer.
async fn a_caller_that_hangs_up_neither_undoes_nor_fails_a_write(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let hold = db.hold(issuer.account).await;
    let plug = begin(&db.store, issuer.log_activity("plug"));
    hold.wait_until_blocking().await;
    let commands = ["a", "gone", "b", "gone"].map(|kind| issuer.log_activity(kind));
    let mut calls = begin_all(&db.store, commands);
    let (last, second) = (calls.remove(3), calls.remove(1));
    for gone in [last, second] {
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    plug.abort();
    hold.release().await;
    let found = answers(calls).await;
    // The plug costs the 100th credit, even if nobody receives its reply.
    assert_eq!(balances(&found), [Some(98), Some(96)]);
    until("the last command is applied", async || balance(&db, &issuer).await == 95).await;
    let expected = [("a", 1), ("b", 1), ("gone", 2), ("plug", 1)];
    assert_eq!(activities(&db).await, expected.map(|(kind, count)| (kind.to_owned(), count)));
    assert_verified(&db, 1).await;
}

async fn exactly_one_of_two_deletes_of_a_row_succeeds(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let rows = [issuer.start_session(), issuer.create_todo("one"), issuer.log_activity("a")];
    commands::apply_each(&db.store, rows).await;
    let twice = [
        issuer.delete_todo(1),
        issuer.delete_todo(1),
        issuer.delete_activity(1),
        issuer.delete_activity(1),
        issuer.delete_session(1),
        issuer.delete_session(1),
    ];
    let found = together(&db, &issuer, twice).await;
    assert_eq!(balances(&found), [Some(95), None, Some(94), None, Some(93), None]);
    for (index, what) in [(1, "todo"), (3, "activity"), (5, "session")] {
        assert_eq!(found[index - 1].as_ref().unwrap().row, AppliedRow::Deleted);
        assert_eq!(found[index], Err(ApplyError::Refused(Refusal::NotFound(what))));
    }
    // Two processes delete the same row.
    let other = db.another_store().await;
    commands::apply_each(&db.store, [issuer.create_todo("two")]).await;
    let calls = vec![begin(&db.store, issuer.delete_todo(2)), begin(&other, issuer.delete_todo(2))];
    let mut found = balances(&answers(calls).await);
    found.sort_unstable();
    assert_eq!(found, [None, Some(91)]);
    assert_verified(&db, 1).await;
}

/// Each command of a batch gets the answer that it would get if they were applied one by one.
async fn commands_of_a_batch_see_the_effects_of_earlier_commands(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    let mut model = issuer.reference_model(1_000);
    let retitled = |title| TodoPatch { title: Some(resealed(title)), ..TodoPatch::EMPTY };
    let both = |title| TodoPatch { status: Some(TodoStatus::Done), ..retitled(title) };
    let noted = |notes| SessionPatch { status: None, notes: Patch::Set(resealed(notes)) };
    let reopen = SessionPatch { status: Some(SessionStatusKind::Active), notes: Patch::Keep };
    let batches = [
        // Patches of rows that the same batch creates.
        vec![
            issuer.create_todo("one"),
            issuer.patch_todo(1, both("one, changed")),
            issuer.step_todo(1, TodoStatus::Cancelled),
            issuer.start_session(),
            issuer.patch_session(1, noted("begun")),
            issuer.create_todo_as("two", 3, Some(1)),
        ],
        // Two patches of one row, then steps that depend on the steps before.
        vec![
            issuer.patch_todo(1, retitled("a")),
            issuer.patch_todo(1, retitled("b")),
            issuer.step_todo(1, TodoStatus::InProgress),
            issuer.step_todo(1, TodoStatus::Cancelled),
            issuer.step_todo(1, TodoStatus::Cancelled),
        ],
        // Patch, then delete; delete, then patch.
        vec![
            issuer.patch_todo(1, both("never told")),
            issuer.step_todo(1, TodoStatus::Open),
            issuer.delete_todo(1),
            issuer.delete_todo(2),
            issuer.patch_todo(2, retitled("too late")),
        ],
        // A row that is created, changed and deleted in one batch leaves nothing, not even its log.
        vec![
            issuer.create_todo("three"),
            issuer.step_todo(3, TodoStatus::Done),
            issuer.delete_todo(3),
            issuer.log_activity("a"),
            issuer.delete_activity(1),
            issuer.step_todo(3, TodoStatus::Open),
        ],
        // A session is ended twice and reopened. Rows are linked to it before and after.
        vec![
            issuer.log_activity_as("b", Some(1), None),
            issuer.end_session(1),
            issuer.log_activity_as("b", Some(1), None),
            issuer.create_todo_as("four", 0, Some(1)),
            issuer.end_session(1),
            issuer.patch_session(1, reopen),
            issuer.patch_session(1, noted("over")),
        ],
        // A patch may link to a session that has ended.
        vec![
            issuer.create_todo("four"),
            issuer
                .patch_todo(4, TodoPatch { session: Patch::Set(SessionId(1)), ..TodoPatch::EMPTY }),
            issuer.patch_todo(4, TodoPatch { session: Patch::Clear, ..TodoPatch::EMPTY }),
        ],
    ];
    for commands in batches {
        let hold = db.hold(issuer.account).await;
        let plug = issuer.log_activity("plug");
        model.expect(&plug).unwrap();
        let plug = begin(&db.store, plug);
        hold.wait_until_blocking().await;
        let expected: Vec<CommandResult> = commands
            .iter()
            .map(|command| model.expect(command).map_err(ApplyError::Refused))
            .collect();
        let calls = begin_all(&db.store, commands.clone());
        hold.release().await;
        plug.await.unwrap().unwrap();
        for ((found, expected), command) in
            answers(calls).await.into_iter().zip(expected).zip(commands)
        {
            assert_eq!(found, expected, "{command:?}");
        }
    }
    compare(&model, &db.store, &[1], &[TimeRange::default()], 100).await;
    assert_eq!(db.rows::<(i64,)>("SELECT COUNT(*) FROM todo_logs").await, [(0,)]);
}

/// The deletion ends the batch and is applied alone, in its place.
async fn a_session_deletion_keeps_its_order_among_the_links_of_its_batch(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    commands::apply_each(&db.store, [issuer.start_session(), issuer.create_todo("unlinked")]).await;
    let link = TodoPatch { session: Patch::Set(SessionId(1)), ..TodoPatch::EMPTY };
    let links = || {
        [
            issuer.create_todo_as("linked", 0, Some(1)),
            issuer.log_activity_as("a", Some(1), None),
            issuer.patch_todo(1, link.clone()),
        ]
    };
    let mut commands = Vec::from(links());
    commands.push(issuer.delete_session(1));
    commands.extend(links());
    // The deletion has just unlinked these todos.
    commands.extend([issuer.step_todo(1, TodoStatus::Done), issuer.step_todo(2, TodoStatus::Done)]);
    let found = together(&db, &issuer, commands).await;
    let missing = || Err(ApplyError::Refused(Refusal::NoSuchSession(SessionId(1))));
    assert_eq!(balances(&found[..4]), [Some(996), Some(995), Some(994), Some(993)]);
    assert_eq!(found[4..7], [missing(), missing(), missing()]);
    // Each write and the unlinking raise the version by one.
    for (answer, version) in found[7..].iter().zip([4, 3]) {
        let AppliedRow::Todo(todo) = &answer.as_ref().unwrap().row else { panic!("{answer:?}") };
        assert_eq!((todo.content.session, todo.version), (None, version));
        assert_eq!(
            db.store.todo(issuer.account.into(), todo.id).await.unwrap().as_ref(),
            Some(todo)
        );
    }
    let linked = db.store.activity(issuer.account.into(), ActivityId(2)).await.unwrap().unwrap();
    assert_eq!((linked.session, linked.version), (None, 2));
    assert_verified(&db, 1).await;
}

async fn deleting_a_session_unlinks_thousands_of_rows(db: TestDatabase) {
    const ROWS: i64 = 3_000;
    let issuer = Issuer::new(&db.store, 2 * ROWS + 10).await;
    commands::apply_each(&db.store, [issuer.start_session(), issuer.start_session()]).await;
    let rows = |session| {
        (0..ROWS / 10).flat_map(move |_| {
            [
                issuer.create_todo_as("linked", 2, Some(session)),
                issuer.log_activity_as("a", Some(session), None),
            ]
        })
    };
    for _ in 0..9 {
        commands::apply_each(&db.store, rows(1)).await;
    }
    commands::apply_each(&db.store, rows(2)).await;
    let counters =
        "SELECT subject || label, count FROM counters WHERE subject <> 'ledger' ORDER BY 1";
    let counted = db.rows::<(String, i64)>(counters).await;
    let applied = db.store.apply(issuer.delete_session(1)).await.unwrap();
    assert_eq!((applied.cost, applied.balance), (1, 7));
    let mut steps = 0;
    while let Some(left) = db.store.left_over(None).await.unwrap() {
        assert_eq!(left, Leftover::Linked(issuer.account, SessionId(1)));
        let (account, session, rows) = (issuer.account, SessionId(1), 1_000);
        let action = Action::System(SystemAction::UnlinkSession { account, session, rows });
        db.store.apply(Command::uncharged(action, issuer.at)).await.unwrap();
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
    assert_eq!(db.rows::<(String, i64)>(counters).await, expected);
    assert_verified(&db, 1).await;
}

/// Tests that terminate a connection to PostgreSQL at a chosen moment.
mod connections {
    use roots_testkit::commands::UnderWay;

    use super::*;

    /// The backends of this database that are in `pg_sleep`.
    const ASLEEP: &str = "FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event = 'PgSleep'";

    /// Waits until a backend sleeps in this database, and terminates it.
    async fn end_sleeper(db: &TestDatabase) {
        let sleeper = format!("SELECT CAST(pg_terminate_backend(pid) AS TEXT) {ASLEEP}");
        until("a backend sleeps and is ended", async || {
            !db.rows::<(String,)>(&sleeper).await.is_empty()
        })
        .await;
    }

    const NAP: &str = "CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;";

    /// Makes a batch with a `plug` wait until the gate is opened. A held lock would not gather a
    /// batch, because a writer waits half a second for it and then continues with other accounts.
    const GATE: &str = "CREATE TABLE gate (is_open BOOLEAN NOT NULL);
        INSERT INTO gate VALUES (FALSE);
        CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            WHILE NOT (SELECT is_open FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP; \
            RETURN NEW; END $$;
        CREATE TRIGGER gate BEFORE INSERT ON activities FOR EACH ROW \
            WHEN (NEW.activity_type = 'plug') EXECUTE FUNCTION wait_at_gate();";

    /// Applies commands in one batch, which has begun when this returns.
    async fn in_one_batch(
        db: &TestDatabase,
        issuer: &Issuer,
        commands: impl IntoIterator<Item = Command>,
    ) -> Vec<UnderWay> {
        db.execute(GATE).await;
        let plug = begin(&db.store, issuer.log_activity("plug"));
        let waiting = format!("SELECT COUNT(*) {ASLEEP}");
        until("the plug waits at the gate", async || db.rows::<(i64,)>(&waiting).await != [(0,)])
            .await;
        let calls = begin_all(&db.store, commands);
        db.execute("UPDATE gate SET is_open = TRUE").await;
        plug.await.unwrap().unwrap();
        calls
    }

    /// A lost connection fails the whole batch, and nothing of it is written.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lost_connection_fails_the_whole_batch_and_writes_nothing() {
        let db = TestDatabase::on_one_server().await;
        let issuer = Issuer::new(&db.store, 100).await;
        db.execute(NAP).await;
        let trigger = "CREATE TRIGGER nap BEFORE INSERT ON activities FOR EACH ROW \
            WHEN (NEW.activity_type = 'slow') EXECUTE FUNCTION nap()";
        db.execute(trigger).await;
        let commands =
            [issuer.create_todo("one"), issuer.log_activity("slow"), issuer.end_session(9)];
        let calls = in_one_batch(&db, &issuer, commands).await;
        let before = db.dump().await;
        end_sleeper(&db).await;
        for answer in answers(calls).await {
            let away = matches!(answer, Err(ApplyError::Store(StoreError::Unavailable(_))));
            assert!(away, "{answer:?}");
        }
        assert_eq!(db.dump().await, before);
        // The writer opens another connection.
        assert_eq!(db.store.apply(issuer.create_todo("two")).await.unwrap().balance, 98);
        assert_verified(&db, 1).await;
    }

    /// If a COMMIT gets no answer, its outcome is unknown, and the errors say so.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_commit_that_is_not_answered_leaves_the_outcome_unknown() {
        let db = TestDatabase::on_one_server().await;
        let issuer = Issuer::new(&db.store, 2).await;
        db.execute(NAP).await;
        let trigger = "CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON activities \
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
            WHEN (NEW.activity_type = 'slow') EXECUTE FUNCTION nap()";
        db.execute(trigger).await;
        // The todo is refused for lack of a credit that may or may not be spent: its outcome is
        // unknown too.
        let commands = [issuer.log_activity("slow"), issuer.create_todo("one")];
        let calls = in_one_batch(&db, &issuer, commands).await;
        end_sleeper(&db).await;
        for answer in answers(calls).await {
            let unknown = matches!(answer, Err(ApplyError::Store(StoreError::OutcomeUnknown(_))));
            assert!(unknown, "{answer:?}");
        }
        // Here the COMMIT did not take place: the credits are still there.
        assert_eq!(db.store.apply(issuer.create_todo("two")).await.unwrap().balance, 0);
        assert_verified(&db, 1).await;
    }

    /// A server also ends idle connections, for example when it restarts between two requests.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_connection_that_ended_while_idle_is_replaced() {
        let db = TestDatabase::on_one_server().await;
        let issuer = Issuer::new(&db.store, 100).await;
        // A connection that was idle for less than a second is used without a test. The server sees
        // it idle a little earlier than the pool does, hence two seconds.
        let idle = "SELECT COUNT(*), COUNT(*) FILTER (WHERE state = 'idle' \
            AND clock_timestamp() - state_change > INTERVAL '2 seconds') FROM pg_stat_activity \
            WHERE datname = current_database() AND application_name = 'roots'";
        until("all connections have been idle for two seconds", async || {
            let found = db.rows::<(i64, i64)>(idle).await;
            matches!(found[..], [(connections, idle)] if connections > 0 && idle == connections)
        })
        .await;
        // `pg_terminate_backend` returns after the processes have ended.
        let others = "SELECT CAST(pg_terminate_backend(pid, 60000) AS TEXT) FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        assert!(db.rows::<(String,)>(others).await.len() >= 3);
        let applied = db.store.apply(issuer.create_todo("one")).await.unwrap();
        assert_eq!(applied.balance, 99);
        assert_eq!(balance(&db, &issuer).await, 99);
    }
}
