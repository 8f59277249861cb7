//! Migrations of databases that have rows.

use roots_migrations::Migrator;
use roots_testkit::connection::connect;
use roots_testkit::database::TestDatabase;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use sea_orm_migration::MigratorTrait;

roots_testkit::on_both! {
    the_import_migration_keeps_the_rows_constraints_and_index_of_the_ledger,
    later_migrations_keep_rows_count_keys_and_let_links_outlive_their_session,
}

/// An empty database beside the test's own.
async fn empty(db: &TestDatabase) -> DatabaseConnection {
    if db.is_postgres() {
        let beside = db.connection().await;
        beside.execute_unprepared("CREATE SCHEMA beside").await.unwrap();
        beside.execute_unprepared("SET search_path TO beside").await.unwrap();
        return beside;
    }
    let file = db.folder.path().join("beside.db");
    connect(&format!("sqlite://{}?mode=rwc", file.display())).await
}

async fn texts(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn the_import_migration_keeps_the_rows_constraints_and_index_of_the_ledger(db: TestDatabase) {
    const ROWS: &str = "SELECT account_id || '|' || ledger_id || '|' || delta || '|' \
        || balance_after || '|' || reason || '|' || COALESCE(endpoint, '-') || '|' \
        || COALESCE(CAST(actor_id AS TEXT), '-') || '|' || COALESCE(note, '-') || '|' || created_at \
        FROM ledger ORDER BY account_id, ledger_id";
    let beside = empty(&db).await;
    Migrator::up(&beside, Some(9)).await.unwrap();
    let insert = |values: &str| format!("INSERT INTO ledger VALUES {values}");
    let old = "(1, 1, 100, 100, 'bootstrap_grant', NULL, NULL, NULL, 5), \
        (1, 2, -1, 99, 'api_write', 'POST /todos', 3, NULL, 6), \
        (2, 1, 7, 7, 'operator_grant', NULL, NULL, 'thanks', 7)";
    beside.execute_unprepared(&insert(old)).await.unwrap();
    let by_import = insert("(1, 3, -9, 90, 'import', 'POST /import', 1, NULL, 8)");
    beside.execute_unprepared(&by_import).await.unwrap_err();
    let before = texts(&beside, ROWS).await;
    Migrator::up(&beside, Some(1)).await.unwrap();
    assert_eq!(texts(&beside, ROWS).await, before);
    beside.execute_unprepared(&by_import).await.unwrap();
    // The other constraints of the table still hold.
    for wrong in [
        "(1, 4, -9, 81, 'letter', NULL, NULL, NULL, 9)",
        "(1, 4, -91, -1, 'import', NULL, NULL, NULL, 9)",
        "(1, 3, -9, 81, 'import', NULL, NULL, NULL, 9)",
        "(1, 4, NULL, 81, 'import', NULL, NULL, NULL, 9)",
    ] {
        beside.execute_unprepared(&insert(wrong)).await.unwrap_err();
    }
    let index = if db.is_postgres() {
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'beside' AND indexname = 'ledger_by_reason'"
    } else {
        "SELECT sql FROM sqlite_master WHERE name = 'ledger_by_reason'"
    };
    let index = texts(&beside, index).await;
    assert!(index.len() == 1 && index[0].contains("(account_id, reason, ledger_id)"), "{index:?}");
    // Credits from before are counted; of todos the ledger told nothing.
    Migrator::up(&beside, None).await.unwrap();
    let work = "SELECT account_id || '|' || quarter || '|' || actor_id || '|' || todos_made || '|' \
        || credits_spent || '|' || credits_granted FROM work_quarter_hours \
        ORDER BY account_id, quarter, actor_id";
    let counted = ["1|0|0|0|0|100", "1|0|1|0|9|0", "1|0|3|0|1|0", "2|0|0|0|0|7"];
    assert_eq!(texts(&beside, work).await, counted);
    beside.close().await.unwrap();
}

/// The rows of an account before the migration that counts its keys.
async fn fill(db: &TestDatabase, beside: &DatabaseConnection) {
    let (uid, bytes) = if db.is_postgres() {
        ("'019d728c-2e80-7000-8000-000000000001'::uuid", "'\\x01'::bytea")
    } else {
        ("x'019d728c2e8070008000000000000001'", "x'01'")
    };
    for insert in [
        format!(
            "accounts (account_id, uid, name, kind, status, balance, auth_epoch, key_epoch, \
             last_actor_id, last_key_id, last_recovery_id, last_session_id, last_todo_id, \
             last_activity_id, last_log_id, last_ledger_id, created_at, version) \
             VALUES (1, {uid}, 'a', 'customer', 'active', 5, 1, 1, 1, 3, 1, 1, 1, 1, 0, 0, 1, 1)"
        ),
        format!(
            "actors (account_id, actor_id, uid, name, kind, role, is_active, key_epoch, created_at) \
             VALUES (1, 1, {uid}, 'a', 'agent', 'owner', 1, 1, 1)"
        ),
        format!(
            "api_keys (account_id, key_id, actor_id, lookup, prefix, created_at, is_ended) VALUES \
             (1, 1, 1, {bytes}, 'p', 1, 0), (1, 3, 1, {other}, 'p', 1, 1)",
            other = bytes.replace("01", "02")
        ),
        format!(
            "key_wraps (account_id, holder_kind, holder_id, holder_epoch, subject_kind, \
             subject_id, subject_epoch, sealed) VALUES (1, 'api_key', 1, 0, 'account', 0, 1, {bytes})"
        ),
        format!(
            "sessions (account_id, session_id, uid, actor_id, status, started_at, version) \
             VALUES (1, 1, {uid}, 1, 'active', 1, 1)"
        ),
        format!(
            "todos (account_id, todo_id, uid, actor_id, session_id, title, status, priority, \
             created_at, updated_at, version) VALUES (1, 1, {uid}, 1, 1, {bytes}, 'open', 0, 1, 1, 1), \
             (1, 2, {uid}, 1, NULL, {bytes}, 'open', 0, 3, 4, 1)"
        ),
        format!(
            "todo_logs (account_id, todo_id, log_id, uid, old_status, new_status, logged_at) \
             VALUES (1, 1, 1, {uid}, 'open', 'done', 9), (1, 1, 2, {uid}, 'done', 'open', 7)"
        ),
        format!(
            "activities (account_id, activity_id, uid, actor_id, session_id, activity_type, \
             description, logged_at, created_at, version) VALUES (1, 1, {uid}, 1, 1, 'a', {bytes}, 1, 1, 1)"
        ),
    ] {
        beside.execute_unprepared(&format!("INSERT INTO {insert}")).await.unwrap();
    }
}

async fn later_migrations_keep_rows_count_keys_and_let_links_outlive_their_session(
    db: TestDatabase,
) {
    const LINKS: &str = "SELECT 'todo ' || session_id || ' ' || version FROM todos \
        WHERE session_id IS NOT NULL \
        UNION ALL SELECT 'activity ' || session_id || ' ' || version FROM activities ORDER BY 1";
    let beside = empty(&db).await;
    Migrator::up(&beside, Some(9)).await.unwrap();
    fill(&db, &beside).await;
    Migrator::up(&beside, None).await.unwrap();
    assert_eq!(texts(&beside, LINKS).await, ["activity 1 1", "todo 1 1"]);
    // Ended keys count too.
    // An active session counts as silent from the migration on.
    let silent = "SELECT 'session ' || session_id || ' ' || is_open FROM session_activity \
        WHERE last_active_at > 1700000000000000";
    assert_eq!(texts(&beside, silent).await, ["session 1 1"]);
    // A status change is kept with the actor of its todo.
    let actors = "SELECT 'actor ' || actor_id FROM todo_logs";
    assert_eq!(texts(&beside, actors).await, ["actor 1", "actor 1"]);
    // A todo has its status since the last entry of its log, or since it was made.
    let since = "SELECT 'todo ' || todo_id || ' ' || status_since FROM todos ORDER BY todo_id";
    assert_eq!(texts(&beside, since).await, ["todo 1 7", "todo 2 3"]);
    let counted = "SELECT 'keys ' || keys FROM accounts";
    assert_eq!(texts(&beside, counted).await, ["keys 2"]);
    if !db.is_postgres() {
        assert_eq!(texts(&beside, "PRAGMA integrity_check").await, ["ok"]);
        let broken = "SELECT \"table\" FROM pragma_foreign_key_check";
        assert_eq!(texts(&beside, broken).await, [""; 0]);
    }
    // The foreign key from keys to actors still holds.
    beside.execute_unprepared("UPDATE api_keys SET actor_id = 9").await.unwrap_err();
    // Sessions and accounts can be deleted before the rows that refer to them.
    beside.execute_unprepared("DELETE FROM todo_logs").await.unwrap();
    beside.execute_unprepared("DELETE FROM sessions").await.unwrap();
    beside.execute_unprepared("DELETE FROM recovery_codes").await.unwrap();
    beside.execute_unprepared("DELETE FROM accounts").await.unwrap();
    assert_eq!(texts(&beside, LINKS).await, ["activity 1 1", "todo 1 1"]);
    beside.close().await.unwrap();
}
