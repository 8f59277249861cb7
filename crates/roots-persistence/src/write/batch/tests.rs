//! How many statements a batch takes, and what becomes of one that meets a full disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roots_domain::command::{Action, KeyOrigin, ManageAction, NewKey, Reservation, SystemAction};
use roots_domain::model::Patch;
use roots_domain::model::account::Role;
use roots_domain::model::api_key::{KeyEpoch, LookupHash, Wrap, WrapHolder, WrapSubject};
use roots_domain::model::id::KeyId;
use roots_domain::model::session::SessionPatch;
use roots_domain::model::todo::TodoStatus;
use roots_domain::port::store::Verifier;
use roots_testkit::ambient::TestClock;
use roots_testkit::commands::{Issuer, apply_each, resealed, text};
use roots_testkit::database::TestDatabase;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement};

use super::*;
use crate::table::todo_logs;
use crate::write::store::put;
use crate::write::upsert::OnConflict::New;

roots_testkit::on_both! {
    the_statements_of_a_batch_do_not_depend_on_its_length,
    no_statement_of_a_batch_of_many_todos_binds_more_than_the_maximum_of_values,
    deleting_a_session_takes_the_same_statements_however_many_rows_are_linked,
    a_key_rotation_costs_the_same_however_many_rows_an_account_has,
    a_batch_of_many_accounts_changes_each_accounts_own_rows,
    account_rows_are_remembered_across_batches_until_another_connection_writes,
    a_foreign_key_violation_is_a_data_error_at_commit_and_blocks_no_later_batch,
    a_statement_of_too_many_values_is_a_data_error_and_not_unavailability,
}

/// Applies a batch at the hour at which tests begin.
async fn apply(
    db: &DatabaseConnection,
    memory: &mut AccountMemory,
    commands: &[Command],
    wait: Wait,
) -> Result<Decisions, BatchError> {
    let (database, parts) = ((db, dialect_of(db)), [Part { commands, shard: None }]);
    super::apply(database, memory, &TestClock::default(), &mut None, &parts, wait).await
}

/// The forms of statements of a database that is not spread.
fn dialect_of(db: &DatabaseConnection) -> Dialect {
    match db.get_database_backend() {
        DbBackend::Postgres => Dialect::Postgres,
        _ => Dialect::Sqlite,
    }
}

/// A connection that writes.
async fn connected(db: &TestDatabase) -> DatabaseConnection {
    if db.is_postgres() {
        crate::connect::postgres::writer(&crate::connect::postgres::PostgresServer::alone(
            db.url.clone(),
        ))
        .await
        .unwrap()
    } else {
        crate::connect::sqlite::writer(&db.folder.path().join("roots.db")).await.unwrap()
    }
}

/// A connection that writes, and how many statements it has run.
async fn counting(db: &TestDatabase) -> (DatabaseConnection, Arc<AtomicUsize>) {
    let mut writer = connected(db).await;
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    writer.set_metric_callback(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    (writer, count)
}

/// Applies one batch whose commands all succeed, and answers how many statements it took.
async fn statements(
    (db, count): &(DatabaseConnection, Arc<AtomicUsize>),
    commands: Vec<Command>,
) -> usize {
    let before = count.load(Ordering::SeqCst);
    for answer in apply(db, &mut AccountMemory::default(), &commands, Wait::Out).await.unwrap() {
        answer.unwrap();
    }
    count.load(Ordering::SeqCst) - before
}

async fn the_statements_of_a_batch_do_not_depend_on_its_length(db: TestDatabase) {
    const LENGTHS: [i64; 3] = [1, 2, 64];
    let issuer = Issuer::new(&db.store, 10_000).await;
    apply_each(&db.store, [issuer.log_activity("a")]).await;
    let noted = || SessionPatch { status: None, notes: Patch::Set(resealed("noted")) };
    let writer = counting(&db).await;
    // Of each kind of command as many as are asked for, on rows of its own.
    let kinds: [(&str, &dyn Fn(i64) -> Command); 9] = [
        ("POST /sessions", &|_| issuer.start_session()),
        ("POST /todos", &|id| issuer.create_todo_as("one", 1, Some(id))),
        ("POST /activities", &|id| issuer.log_activity_as("a", Some(id), None)),
        ("POST /activities, of new types", &|id| issuer.log_activity(&format!("new-{id}"))),
        ("PATCH /sessions/{id}", &|id| issuer.patch_session(id, noted())),
        ("PATCH /sessions/{id}, ended", &|id| issuer.end_session(id)),
        ("PATCH /todos/{id}", &|id| issuer.step_todo(id, TodoStatus::Done)),
        ("DELETE /todos/{id}", &|id| issuer.delete_todo(id)),
        ("DELETE /activities/{id}", &|id| issuer.delete_activity(id)),
    ];
    let most = if db.is_postgres() { 15 } else { 14 };
    for (what, command) in &kinds {
        let mut taken = Vec::new();
        let mut next = 1;
        for length in LENGTHS {
            taken.push(statements(&writer, (next..next + length).map(command).collect()).await);
            next += length;
        }
        assert!(taken.iter().all(|one| *one == taken[0]), "{what}: {taken:?}");
        assert!((4..=most).contains(&taken[0]), "{what}: {taken:?}");
    }
    let all = i64::try_from(kinds.len()).unwrap() * LENGTHS.iter().sum::<i64>() + 1;
    let balance = db.rows::<(i64,)>("SELECT balance FROM accounts").await;
    assert_eq!(balance, [(10_000 - all,)]);
}

/// The longest batch, of commands that each create as many todos as they may, and another one that
/// deletes a todo of each.
async fn no_statement_of_a_batch_of_many_todos_binds_more_than_the_maximum_of_values(
    db: TestDatabase,
) {
    const COMMANDS: i64 = 128;
    const SESSIONS: i64 = 300;
    let todos = COMMANDS * 20;
    let issuer = Issuer::new(&db.store, 10_000).await;
    apply_each(&db.store, (0..SESSIONS).map(|_| issuer.start_session())).await;
    // So that the batch writes each session that it names.
    db.execute("UPDATE session_activity SET last_active_at = 0").await;
    let mut writer = connected(&db).await;
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    writer.set_metric_callback(move |told| {
        let bound = told.statement.values.as_ref().map_or(0, |values| values.0.len());
        seen.fetch_max(bound, Ordering::SeqCst);
    });
    let create = |command: i64| {
        let new = (0..20).map(|place| {
            let number = command * 20 + place;
            ("one of many", number % 4, Some(1 + number % SESSIONS))
        });
        issuer.create_todos(&new.collect::<Vec<_>>())
    };
    let delete = |command: i64| issuer.delete_todo(command * 20 + 1);
    let kinds: [&dyn Fn(i64) -> Command; 2] = [&create, &delete];
    for kind in kinds {
        let commands: Vec<_> = (0..COMMANDS).map(kind).collect();
        let memory = &mut AccountMemory::default();
        for answer in apply(&writer, memory, &commands, Wait::Out).await.unwrap() {
            answer.unwrap();
        }
    }
    let most = most.load(Ordering::SeqCst);
    assert!((64..=crate::write::sql::VALUES_MAX).contains(&most), "{most}");
    let written = "SELECT COUNT(*), MAX(todo_id) FROM todos";
    assert_eq!(db.rows::<(i64, i64)>(written).await, [(todos - COMMANDS, todos)]);
    let named = "SELECT COUNT(*) FROM session_activity WHERE last_active_at > 0";
    assert_eq!(db.rows::<(i64,)>(named).await, [(SESSIONS,)]);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

async fn deleting_a_session_takes_the_same_statements_however_many_rows_are_linked(
    db: TestDatabase,
) {
    let issuer = Issuer::new(&db.store, 10_000).await;
    let sessions = [issuer.start_session(), issuer.start_session(), issuer.start_session()];
    apply_each(&db.store, sessions).await;
    let linked = |session, rows: i64| {
        (0..rows).flat_map(move |_| {
            [
                issuer.create_todo_as("one", 1, Some(session)),
                issuer.log_activity_as("a", Some(session), None),
            ]
        })
    };
    apply_each(&db.store, linked(2, 1).chain(linked(3, 200))).await;
    let writer = counting(&db).await;
    let mut taken = Vec::new();
    for session in 1..=3 {
        taken.push(statements(&writer, vec![issuer.delete_session(session)]).await);
    }
    assert!(taken.iter().all(|one| *one == taken[0]), "{taken:?}");
}

/// An account whose owner has logged `rows` activities.
async fn account_with_rows(db: &TestDatabase, rows: i64) -> Issuer {
    let issuer = Issuer::new(&db.store, 1).await;
    let account = issuer.account;
    let (uid, bytes) = if db.is_postgres() {
        ("'00000000-0000-0000-0000-000000000000'::uuid", "'\\x00'::bytea")
    } else {
        ("x'00000000000000000000000000000000'", "x'00'")
    };
    db.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
            INSERT INTO activities SELECT {account}, i, {uid}, 1, NULL, 'a', {bytes}, i, i, 1 FROM n"
    ))
    .await;
    issuer
}

/// The rotation of an owner's first key, and the first use of the new one.
fn rotation(issuer: &Issuer) -> [Command; 3] {
    let new = KeyId(issuer.key.0 + 1);
    let holder = WrapHolder::ApiKey(new);
    let wraps =
        [WrapSubject::Account(KeyEpoch::FIRST), WrapSubject::Actor(issuer.actor, KeyEpoch::FIRST)];
    let new_key = NewKey {
        id: new,
        actor: issuer.actor,
        account_epoch: KeyEpoch::FIRST,
        epoch: KeyEpoch::FIRST,
        lookup: LookupHash([9; 32]),
        prefix: "roots_1_new".to_owned(),
        label: None,
        expires_at: None,
        wraps: wraps.map(|subject| Wrap { subject, holder, sealed: text("wrap") }).into(),
    };
    let bearer = issuer.bearer(Role::Member);
    let origin = KeyOrigin::Rotation { grace_seconds: 0 };
    let used = SystemAction::UseKey { account: issuer.account, actor: issuer.actor, key: new };
    [
        Action::Manage(bearer, ManageAction::ReserveIds(Reservation::OwnKey)),
        Action::Manage(bearer, ManageAction::AddKey { new: new_key, origin }),
        Action::System(used),
    ]
    .map(|action| Command::uncharged(action, issuer.at))
}

/// Counted in statements and, on SQLite, in steps of its virtual machine.
async fn a_key_rotation_costs_the_same_however_many_rows_an_account_has(db: TestDatabase) {
    let (small, large) = (account_with_rows(&db, 10).await, account_with_rows(&db, 100_000).await);
    let writer = counting(&db).await;
    let steps = Arc::new(AtomicUsize::new(0));
    if !db.is_postgres() {
        let pool = writer.0.get_sqlite_connection_pool();
        let mut connection = pool.acquire().await.unwrap();
        let steps = steps.clone();
        connection.lock_handle().await.unwrap().set_progress_handler(1, move || {
            steps.fetch_add(1, Ordering::Relaxed);
            true
        });
    }
    let mut taken = Vec::new();
    for issuer in [small, large] {
        let mut of_account = Vec::new();
        for command in rotation(&issuer) {
            steps.store(0, Ordering::Relaxed);
            let statements = statements(&writer, vec![command]).await;
            of_account.push((statements, steps.load(Ordering::Relaxed)));
        }
        let keys: Vec<(i64, i64)> = db
            .rows(&format!(
                "SELECT key_id, CAST(is_ended AS BIGINT) FROM api_keys WHERE account_id = {} ORDER BY 1",
                issuer.account
            ))
            .await;
        assert_eq!(keys, [(1, 1), (2, 0)]);
        taken.push(of_account);
    }
    for (small, large) in taken[0].iter().zip(&taken[1]) {
        assert_eq!(small.0, large.0, "statements: {taken:?}");
        assert!(large.1 * 100 <= small.1 * 105, "steps: {taken:?}");
        assert!(db.is_postgres() || small.1 > 0);
    }
}

async fn a_batch_of_many_accounts_changes_each_accounts_own_rows(db: TestDatabase) {
    const ACCOUNTS: usize = 40;
    let mut issuers = Vec::new();
    for _ in 0..ACCOUNTS {
        issuers.push(Issuer::new(&db.store, 100).await);
    }
    let writer = counting(&db).await;
    let mut taken = Vec::new();
    for many in [&issuers[..2], &issuers[2..]] {
        let of_each =
            |command: fn(&Issuer) -> Vec<Command>| many.iter().flat_map(command).collect();
        let made = of_each(|issuer| {
            vec![
                issuer.start_session(),
                issuer.create_todo_as("one", 1, Some(1)),
                issuer.create_todo("two"),
                issuer.log_activity("a"),
                issuer.log_activity("b"),
            ]
        });
        let moved = of_each(|issuer| {
            vec![
                issuer.step_todo(1, TodoStatus::Done),
                issuer.step_todo(2, TodoStatus::InProgress),
                issuer.end_session(1),
                issuer.log_activity("a"),
                issuer.log_activity("c"),
            ]
        });
        let removed = of_each(|issuer| vec![issuer.delete_todo(1), issuer.delete_activity(2)]);
        let mut these = Vec::new();
        for commands in [made, moved, removed] {
            these.push(statements(&writer, commands).await);
        }
        taken.push(these);
    }
    if db.is_postgres() {
        assert_eq!(taken[0], taken[1]);
    }
    for issuer in issuers {
        let of = |sql: &str| sql.replace('?', &issuer.account.to_string());
        let todos: Vec<(i64, String, Option<i64>)> = db
            .rows(&of("SELECT todo_id, status, session_id FROM todos WHERE account_id = ?"))
            .await;
        assert_eq!(todos, [(2, "in_progress".to_owned(), None)]);
        let counted: Vec<(String, i64)> = db
            .rows(&of("SELECT label, count FROM counters WHERE account_id = ? \
                AND subject = 'activities' ORDER BY label"))
            .await;
        assert_eq!(counted, [("a", 2), ("c", 1)].map(|(label, count)| (label.to_owned(), count)));
        let balance: Vec<(i64,)> =
            db.rows(&of("SELECT balance FROM accounts WHERE account_id = ?")).await;
        assert_eq!(balance, [(100 - 12,)]);
    }
}

/// What one batch has left the next one need not read, unless another connection wrote in between.
async fn account_rows_are_remembered_across_batches_until_another_connection_writes(
    db: TestDatabase,
) {
    let issuers = [Issuer::new(&db.store, 100).await, Issuer::new(&db.store, 100).await];
    let (writer, count) = counting(&db).await;
    let mut memory = AccountMemory::default();
    let mut balances = async || {
        let before = count.load(Ordering::SeqCst);
        let commands: Vec<_> = issuers.iter().map(|issuer| issuer.log_activity("a")).collect();
        let answers = apply(&writer, &mut memory, &commands, Wait::Out).await.unwrap();
        let balances: Vec<_> = answers.into_iter().map(|one| one.unwrap().balance).collect();
        (balances, count.load(Ordering::SeqCst) - before)
    };
    // New kinds, then a kind that each has.
    let (_, first) = balances().await;
    let (left, second) = balances().await;
    assert_eq!(left, [98, 98]);
    assert_eq!(first - second, if db.is_postgres() { 1 } else { 3 });
    db.execute(&format!(
        "UPDATE accounts SET balance = 51, version = version + 1 WHERE account_id = {}",
        issuers[1].account
    ))
    .await;
    let (left, third) = balances().await;
    assert_eq!(left, [97, 50]);
    assert_eq!(third - second, if db.is_postgres() { 0 } else { 2 });
    assert_eq!(balances().await, (vec![96, 49], second));
}

/// The rules allow no such row; should one come, its batch fails for its data.
async fn a_foreign_key_violation_is_a_data_error_at_commit_and_blocks_no_later_batch(
    db: TestDatabase,
) {
    let issuer = Issuer::new(&db.store, 100).await;
    apply_each(&db.store, [issuer.create_todo("one"), issuer.step_todo(1, TodoStatus::Done)]).await;
    let (writer, _) = counting(&db).await;
    let before = db.dump().await;
    let mut rows = todo_logs::Entity::find().all(&writer).await.unwrap();
    for (id, row) in (2..).zip(&mut rows) {
        (row.todo_id, row.log_id) = (99, id);
    }
    let dialect = dialect_of(&writer);
    let tx = BatchTransaction::new(writer.begin().await.unwrap(), dialect);
    put(&tx, rows.into_iter(), New).await.unwrap();
    let error = tx.transaction.commit().await.map_err(errors::of_commit).unwrap_err();
    assert!(matches!(error, BatchError::Data(_)), "{error:?}");
    assert_eq!(db.dump().await, before);
    let next =
        apply(&writer, &mut AccountMemory::default(), &[issuer.log_activity("a")], Wait::Out)
            .await
            .unwrap();
    assert_eq!(next[0].as_ref().unwrap().balance, 97);
}

/// As it would be against a list of `IN`, for every row anew.
#[tokio::test]
async fn no_insert_opens_an_ephemeral_table_for_its_checks() {
    let db = TestDatabase::sqlite().await;
    let (writer, _) = counting(&db).await;
    let tables: Vec<(String, i64)> = db
        .rows(
            "SELECT s.name, (SELECT COUNT(*) FROM pragma_table_info(s.name)) FROM sqlite_schema AS s \
            WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        )
        .await;
    assert!(tables.len() > 15);
    for (table, columns) in tables {
        let places = vec!["?"; usize::try_from(columns).unwrap()].join(", ");
        let sql = format!("EXPLAIN INSERT INTO \"{table}\" VALUES ({places})");
        let asked = Statement::from_string(writer.get_database_backend(), sql);
        let steps = writer.query_all_raw(asked).await.unwrap();
        let steps: Vec<String> =
            steps.iter().map(|step| step.try_get("", "opcode").unwrap()).collect();
        assert!(steps.iter().any(|step| step == "MakeRecord"), "{table}: {steps:?}");
        assert!(steps.iter().all(|step| step != "OpenEphemeral"), "{table}: {steps:?}");
    }
}

/// Counted in steps of SQLite's virtual machine.
#[tokio::test]
async fn changing_a_session_costs_the_same_however_many_rows_are_linked() {
    let db = TestDatabase::sqlite().await;
    let issuer = Issuer::new(&db.store, 10_000).await;
    apply_each(&db.store, [issuer.start_session(), issuer.start_session()]).await;
    apply_each(&db.store, (0..500).map(|_| issuer.log_activity_as("a", Some(2), None))).await;
    let (writer, _) = counting(&db).await;
    let steps = Arc::new(AtomicUsize::new(0));
    let counter = steps.clone();
    let mut connection = writer.get_sqlite_connection_pool().acquire().await.unwrap();
    connection.lock_handle().await.unwrap().set_progress_handler(1, move || {
        counter.fetch_add(1, Ordering::Relaxed);
        true
    });
    drop(connection);
    let mut taken = Vec::new();
    for session in [1, 2] {
        let before = steps.load(Ordering::Relaxed);
        apply(&writer, &mut AccountMemory::default(), &[issuer.end_session(session)], Wait::Out)
            .await
            .unwrap()[0]
            .clone()
            .unwrap();
        taken.push(steps.load(Ordering::Relaxed) - before);
    }
    assert!(taken[0] > 0 && taken[1] < taken[0] + 50, "{taken:?}");
}

/// What is too much for one statement is the data's error: commands are then tried alone.
async fn a_statement_of_too_many_values_is_a_data_error_and_not_unavailability(db: TestDatabase) {
    const VALUES: usize = 70_000;
    let (writer, _) = counting(&db).await;
    let backend = writer.get_database_backend();
    let places: Vec<_> = (1..=VALUES).map(|number| format!("${number}")).collect();
    let sql = format!("SELECT 1 WHERE 1 IN ({})", places.join(", "));
    let values = (0_i64..).take(VALUES).map(sea_orm::Value::from);
    let statement = Statement::from_sql_and_values(backend, sql, values);
    let error = BatchError::from(writer.query_all_raw(statement).await.unwrap_err());
    let BatchError::Data(message) = error else { panic!("{error:?}") };
    assert!(message.len() < 100, "it quotes the statement");
}

/// Trap 2: where the disk fails, no command of the batch stands.
#[tokio::test]
async fn a_full_disk_fails_the_whole_batch_and_later_batches_succeed() {
    let db = TestDatabase::sqlite().await;
    let issuer = Issuer::new(&db.store, 1_000).await;
    let (writer, _) = counting(&db).await;
    let mut memory = AccountMemory::default();
    // What is remembered from before is not to be gone on from twice.
    apply(&writer, &mut memory, &[issuer.log_activity("a")], Wait::Out).await.unwrap()[0]
        .clone()
        .unwrap();
    let before = db.dump().await;
    // SQLite's own way to run out of room: no page more than there are.
    writer.execute_unprepared("PRAGMA max_page_count = 1").await.unwrap();
    let large = "x".repeat(60_000);
    let commands = [issuer.start_session(), issuer.create_todo(&large), issuer.log_activity("a")];
    let full = BatchError::Away("the disk is full (database error 13)".to_owned());
    for _ in 0..2 {
        assert_eq!(apply(&writer, &mut memory, &commands, Wait::Out).await, Err(full.clone()));
        assert_eq!(db.dump().await, before);
    }
    writer.execute_unprepared("PRAGMA max_page_count = 1000000").await.unwrap();
    let balances: Vec<_> = apply(&writer, &mut memory, &commands, Wait::Out)
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.unwrap().balance)
        .collect();
    assert_eq!(balances, [998, 997, 996]);
}
