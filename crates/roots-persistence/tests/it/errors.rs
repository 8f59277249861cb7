//! The limit on activity types, and databases that are unavailable, migrated twice, backed up or
//! closed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use roots_domain::command::{AppliedRow, Refusal};
use roots_domain::model::activity::ACTIVITY_TYPES_MAX;
use roots_domain::model::id::ActivityId;
use roots_domain::port::store::{
    AccountReader, ActivityReader, ApplyError, CommandStore, Readiness, SessionReader, StoreError,
    Verifier,
};
use roots_persistence::{BackupError, DatabaseUrl, OpenError, Store, Threads};
use roots_testkit::ambient::TestClock;
use roots_testkit::commands::{CommandResult, Issuer, answers, apply_each, begin_all};
use roots_testkit::database::TestDatabase;

roots_testkit::on_both! {
    deleting_the_last_activity_of_a_type_frees_room_for_a_new_type,
    repeated_and_concurrent_migrations_change_nothing,
    writes_accepted_before_closing_are_durable,
}

async fn deleting_the_last_activity_of_a_type_frees_room_for_a_new_type(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 2_000).await;
    let kinds = (1..=ACTIVITY_TYPES_MAX).map(|kind| issuer.log_activity(&format!("kind-{kind}")));
    apply_each(&db.store, kinds).await;
    let full = || Err(ApplyError::Refused(Refusal::TooManyActivityTypes));
    // A new type is refused, alone and in a batch. A known type in the same batch is not.
    assert_eq!(db.store.apply(issuer.log_activity("new")).await, full());
    let commands = ["new", "kind-1", "newer", "kind-1"].map(|kind| issuer.log_activity(kind));
    let found = answers(begin_all(&db.store, commands)).await;
    assert_eq!((&found[0], &found[2]), (&full(), &full()));
    assert!(found[1].is_ok() && found[3].is_ok(), "{found:?}");
    // Each actor has its own limit.
    apply_each(&db.store, [issuer.of_actor(2).log_activity("new")]).await;

    // Another activity of that type is left, so there is no room yet.
    apply_each(&db.store, [issuer.delete_activity(1)]).await;
    assert_eq!(db.store.apply(issuer.log_activity("new")).await, full());
    apply_each(&db.store, [issuer.delete_activity(2)]).await;
    apply_each(&db.store, [issuer.log_activity("new")]).await;
    assert_eq!(db.store.apply(issuer.log_activity("kind-2")).await, full());
    // The deletion and the new type may be in one batch.
    let swap = [issuer.delete_activity(3), issuer.log_activity("newer")];
    assert!(answers(begin_all(&db.store, swap)).await.iter().all(Result::is_ok));
    // Deletions also free the type of an activity that was logged just now.
    let logged = db.store.apply(issuer.log_activity("kind-5")).await.unwrap();
    let AppliedRow::Activity(logged) = logged.row else { panic!("{logged:?}") };
    for id in [5, logged.id.0] {
        apply_each(&db.store, [issuer.delete_activity(id)]).await;
    }
    apply_each(&db.store, [issuer.log_activity("newest")]).await;
    assert_eq!(db.store.apply(issuer.log_activity("kind-5")).await, full());
    let counts = "SELECT COUNT(*) FROM counters WHERE subject = 'activities' AND actor_id = 1";
    assert_eq!(db.rows::<(i64,)>(counts).await, [(ACTIVITY_TYPES_MAX,)]);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

fn clock() -> Arc<TestClock> {
    Arc::default()
}

/// The URL of a database without tables. On PostgreSQL it is the test's own, emptied.
async fn emptied(db: &TestDatabase) -> String {
    if db.is_postgres() {
        db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
        return db.url.clone();
    }
    format!("sqlite://{}?mode=rwc", db.folder.path().join("empty.db").display())
}

async fn repeated_and_concurrent_migrations_change_nothing(db: TestDatabase) {
    let url = DatabaseUrl::parse(&emptied(&db).await).unwrap();
    let (one, other) =
        (Store::open(&url, clock()).await.unwrap(), Store::open(&url, clock()).await.unwrap());
    // Without tables, a read is an error.
    assert!(matches!(one.has_accounts().await, Err(StoreError::Broken(_))));
    let (first, second) = tokio::join!(one.migrate(), other.migrate());
    first.unwrap();
    second.unwrap();
    let issuer = Issuer::new(&one, 100).await;
    apply_each(&other, [issuer.start_session()]).await;
    one.migrate().await.unwrap();
    other.migrate().await.unwrap();
    let account = one.account(issuer.account).await.unwrap().unwrap();
    assert_eq!(account.balance, 99);
    assert_eq!(one.verify().await.unwrap(), (1, vec![]));
}

async fn writes_accepted_before_closing_are_durable(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    let hold = db.hold(issuer.account).await;
    let calls = begin_all(&db.store, (0..200).map(|_| issuer.log_activity("a")));
    let closing = tokio::spawn({
        let store = db.store.clone();
        async move { store.close().await }
    });
    hold.wait_until_blocking().await;
    assert!(!closing.is_finished());
    hold.release().await;
    closing.await.unwrap();
    for (number, answer) in (0..).zip(answers(calls).await) {
        assert_eq!(answer.unwrap().balance, 999 - number);
    }
    let late = db.store.apply(issuer.log_activity("late")).await;
    assert!(is_away(&late), "{late:?}");
    let late = db.store.activity(issuer.account.into(), ActivityId(1)).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    // Closing again does nothing.
    db.store.close().await;

    let again = db.another_store().await;
    let account = again.account(issuer.account).await.unwrap().unwrap();
    assert_eq!((account.balance, account.last_ids.activity), (800, 200));
    assert_eq!(again.verify().await.unwrap(), (1, vec![]));
}

fn is_away(answer: &CommandResult) -> bool {
    matches!(answer, Err(ApplyError::Store(StoreError::Unavailable(_))))
}

/// Tests that need a PostgreSQL server.
mod server {
    use super::*;

    async fn on_the_server(sql: &str) {
        let server = roots_testkit::postgres::server_url();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::parse(&server).unwrap(), clock()).await.unwrap();
        TestDatabase {
            store,
            clock: clock(),
            url: server,
            folder,
            sql_proxy: None,
            cluster: None,
            nodes: Vec::new(),
        }
        .execute(sql)
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_unavailable_database_is_reported_as_such_and_used_again_once_back() {
        let db = TestDatabase::on_one_server().await;
        let issuer = Issuer::new(&db.store, 100).await;
        apply_each(&db.store, [issuer.start_session()]).await;
        let before = db.dump().await;
        let name = db.url.rsplit('/').next().unwrap();
        let admit = |whom| format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {whom}");
        on_the_server(&admit("false")).await;
        // The statement returns after the connections have ended.
        let everyone = format!(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        on_the_server(&everyone).await;
        for _ in 0..3 {
            let found = db.store.apply(issuer.create_todo("one")).await;
            assert!(is_away(&found), "{found:?}");
            let id = roots_domain::model::id::SessionId(1);
            let found = db.store.session(issuer.account.into(), id).await;
            assert!(matches!(found, Err(StoreError::Unavailable(_))), "{found:?}");
            let found = db.store.ping().await;
            assert!(matches!(found, Err(StoreError::Unavailable(_))), "{found:?}");
            let found = db.store.verify().await;
            assert!(matches!(found, Err(StoreError::Unavailable(_))), "{found:?}");
        }
        on_the_server(&admit("true")).await;
        // Nothing was half written, and the next request is served.
        db.store.ping().await.unwrap();
        assert_eq!(db.dump().await, before);
        assert_eq!(db.store.apply(issuer.create_todo("one")).await.unwrap().balance, 98);
        assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
    }

    /// Another process keeps an account locked, as the deletion of a large session does.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_locked_account_delays_only_its_own_callers() {
        let db = TestDatabase::postgres().await;
        // All accounts share one writer queue.
        let mut issuers = Vec::new();
        for _ in 0..3 {
            issuers.push(Issuer::new(&db.store, 100).await);
        }
        let (one, locked, other) = (issuers[0], issuers[1], issuers[2]);
        // Commands that queue up behind a blocked write are applied in one batch.
        let gathering = db.hold(one.account).await;
        let first = begin_all(&db.store, [one.start_session()]);
        gathering.wait_until_blocking().await;
        let hold = db.hold(locked.account).await;
        let late = begin_all(&db.store, (0..5).map(|_| locked.start_session()));
        let both = (0..10).map(|turn| if turn % 2 == 0 { one } else { other });
        let calls = begin_all(&db.store, both.map(|issuer| issuer.start_session()));
        gathering.release().await;
        for answer in answers(first).await.into_iter().chain(answers(calls).await) {
            answer.unwrap();
        }
        // Later commands do not wait either, even while others ask for the locked account.
        let later = begin_all(&db.store, [locked.end_session(1)]);
        for _ in 0..3 {
            db.store.apply(other.start_session()).await.unwrap();
        }
        hold.release().await;
        for (left, answer) in (0..5).rev().zip(answers(late).await) {
            assert_eq!(answer.unwrap().balance, 95 + left, "in their order");
        }
        for answer in answers(later).await {
            assert_eq!(answer.unwrap().balance, 94);
        }
        assert_eq!(db.store.verify().await.unwrap(), (3, vec![]));
    }

    /// Eight threads serve, so there are two writer queues and the blocked queue.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn accounts_of_several_writer_queues_are_written_side_by_side() {
        let db = TestDatabase::postgres().await;
        let threads = Threads { serving: 8, ..Threads::default() };
        let store = Store::open_for(&DatabaseUrl::parse(&db.url).unwrap(), clock(), &threads)
            .await
            .unwrap();
        let mut issuers = Vec::new();
        for _ in 0..4 {
            issuers.push(Issuer::new(&db.store, 100).await);
        }
        // One writer is blocked, and the other is not.
        let hold = db.hold(issuers[0].account).await;
        let late = begin_all(&store, [issuers[0].start_session()]);
        hold.wait_until_blocking().await;
        store.apply(issuers[1].start_session()).await.unwrap();
        hold.release().await;
        let calls = (0..40).map(|turn| issuers[turn % 4].log_activity("a"));
        for answer in answers(late).await.into_iter().chain(answers(begin_all(&store, calls)).await)
        {
            answer.unwrap();
        }
        store.close().await;
        assert_eq!(db.store.verify().await.unwrap(), (4, vec![]));
    }

    #[tokio::test]
    async fn a_backup_of_a_postgresql_database_is_refused() {
        let db = TestDatabase::postgres().await;
        let file = db.folder.path().join("backup.db");
        let answer = db.store.backup(&file).await;
        assert!(matches!(answer, Err(BackupError::Postgres)), "{answer:?}");
        assert!(!file.exists());
    }
}

/// Tests of SQLite files: their modes, copies, and locks of other processes.
mod file {
    use super::*;

    fn mode(file: &Path) -> u32 {
        std::fs::metadata(file).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_file_locked_by_another_process_is_unavailable_only_for_writes() {
        let db = TestDatabase::sqlite().await;
        let issuer = Issuer::new(&db.store, 100).await;
        let before = db.dump().await;
        let hold = db.hold(issuer.account).await;
        let found = db.store.apply(issuer.start_session()).await;
        assert!(is_away(&found), "{found:?}");
        let account = db.store.account(issuer.account).await.unwrap().unwrap();
        assert_eq!(account.balance, 100);
        hold.release().await;
        assert_eq!(db.dump().await, before);
        assert_eq!(db.store.apply(issuer.start_session()).await.unwrap().balance, 99);
    }

    /// Writes to a file that has no name any more would be lost when the process ends.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_moved_or_replaced_file_is_unavailable_until_put_back() {
        let db = TestDatabase::sqlite().await;
        let issuer = Issuer::new(&db.store, 100).await;
        let (file, moved) = (db.folder.path().join("roots.db"), db.folder.path().join("moved.db"));
        let away = async || {
            let found = db.store.apply(issuer.start_session()).await;
            assert!(is_away(&found), "{found:?}");
            assert!(matches!(db.store.ping().await, Err(StoreError::Unavailable(_))));
        };
        std::fs::rename(&file, &moved).unwrap();
        away().await;
        std::fs::write(&file, "").unwrap();
        away().await;
        std::fs::rename(&moved, &file).unwrap();
        db.store.ping().await.unwrap();
        assert_eq!(db.store.apply(issuer.start_session()).await.unwrap().balance, 99);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_database_file_is_private_and_created_only_in_mode_rwc() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/data/roots.db");
        let url = DatabaseUrl::parse(&format!("sqlite://{}?mode=rwc", file.display())).unwrap();
        let store = Store::open(&url, clock()).await.unwrap();
        store.migrate().await.unwrap();
        let issuer = Issuer::new(&store, 100).await;
        apply_each(&store, [issuer.start_session()]).await;
        for name in ["roots.db", "roots.db-wal", "roots.db-shm"] {
            assert_eq!(mode(&file.with_file_name(name)), 0o600, "{name}");
        }
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        // Only the mode `rwc` of the URL creates a file.
        let missing = folder.path().join("missing.db");
        let url = DatabaseUrl::parse(&format!("sqlite://{}", missing.display())).unwrap();
        let opened = Store::open(&url, clock()).await.err();
        assert!(matches!(opened, Some(OpenError::File(_))), "{opened:?}");
        assert!(!missing.exists());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_backup_is_complete_and_private_while_writes_go_on() {
        let db = TestDatabase::sqlite().await;
        let issuer = Issuer::new(&db.store, 1_000).await;
        apply_each(&db.store, (0..100).map(|_| issuer.log_activity("a"))).await;
        let before = db.dump().await;
        let file = db.folder.path().join("backup of today's.db");
        db.store.backup(&file).await.unwrap();
        assert_eq!(mode(&file), 0o600);
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", file.display());
        let store = Store::open(&DatabaseUrl::parse(&url).unwrap(), clock()).await.unwrap();
        let copy = TestDatabase {
            store,
            clock: clock(),
            url,
            folder,
            sql_proxy: None,
            cluster: None,
            nodes: Vec::new(),
        };
        assert_eq!(copy.dump().await, before);
        assert_eq!(copy.store.verify().await.unwrap(), (1, vec![]));
        apply_each(&copy.store, [issuer.log_activity("a")]).await;

        // A backup that is made during writes has the state of one moment.
        let calls = begin_all(&db.store, (0..250).map(|_| issuer.log_activity("a")));
        let file = db.folder.path().join("amid.db");
        db.store.backup(&file).await.unwrap();
        assert!(answers(calls).await.iter().all(Result::is_ok));
        let store = Store::open(
            &DatabaseUrl::parse(&format!("sqlite://{}?mode=rwc", file.display())).unwrap(),
            clock(),
        )
        .await
        .unwrap();
        assert_eq!(store.verify().await.unwrap(), (1, vec![]));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_backup_never_overwrites_a_file() {
        let db = TestDatabase::sqlite().await;
        let folder = db.folder.path();
        let (taken, empty, link) =
            (folder.join("taken"), folder.join("empty"), folder.join("link"));
        std::fs::write(&taken, "something dear").unwrap();
        std::fs::write(&empty, "").unwrap();
        // The target of this link does not exist.
        let elsewhere = folder.join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        for file in [&taken, &empty, &link, &folder.to_owned(), &folder.join("roots.db")] {
            let answer = db.store.backup(file).await;
            assert!(matches!(answer, Err(BackupError::File { .. })), "{file:?}: {answer:?}");
        }
        assert_eq!(std::fs::read_to_string(&taken).unwrap(), "something dear");
        assert_eq!(std::fs::read(&empty).unwrap(), b"");
        assert!(!elsewhere.exists() && link.is_symlink());
        db.store.ping().await.unwrap();
    }
}
