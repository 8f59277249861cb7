//! The commands of the program other than `serve`.

use std::fs;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::program::{Server, WorkFolder, mode, text};

/// The folder, after the operator has written a session, todos and activities.
async fn with_rows(folder: WorkFolder) -> WorkFolder {
    let server = folder.serve();
    let api = server.client(&folder.operator_key());
    for (path, body) in [
        ("sessions", json!({ "notes": "at work" })),
        ("todos", json!({ "title": "first", "session_id": 1 })),
        ("todos", json!({ "title": "second" })),
        ("activities", json!({ "description": "done", "activity_type": "deploy" })),
        ("activities", json!({ "description": "done", "logged_at": "2026-04-09" })),
    ] {
        let answer = api.post(&format!("/api/v1/{path}"), &body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{path}");
    }
    server.stop();
    folder
}

#[tokio::test]
async fn verify_succeeds_on_an_unchanged_database() {
    let folder = with_rows(WorkFolder::new()).await;
    let output = folder.run(&["verify"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "1 account was verified; no mismatch was found.\n");
    // `verify` also runs while a server has the database open.
    let server = folder.serve();
    assert!(folder.run(&["verify"]).status.success());
    server.stop();
}

#[tokio::test]
async fn verify_finds_each_change_made_by_hand_on_sqlite() {
    verify_finds_each_change_made_by_hand(with_rows(WorkFolder::new()).await).await;
}

#[tokio::test]
async fn verify_finds_each_change_made_by_hand_on_postgresql() {
    verify_finds_each_change_made_by_hand(with_rows(WorkFolder::on_postgres().await).await).await;
}

/// Each change in `broken` makes `verify` exit with 1. After `mended` reverts it, `verify` exits
/// with 0 again.
async fn verify_finds_each_change_made_by_hand(folder: WorkFolder) {
    assert_eq!(folder.run(&["verify"]).status.code(), Some(0));
    let db = folder.database().await;
    for (broken, mended) in [
        ("UPDATE ledger SET delta = delta - 1 WHERE ledger_id = 3", "delta = delta + 1"),
        (
            "UPDATE ledger SET balance_after = balance_after + 1 WHERE ledger_id = 3",
            "balance_after = balance_after - 1",
        ),
        ("UPDATE accounts SET balance = balance + 1 WHERE account_id = 1", "balance = balance - 1"),
        ("UPDATE counters SET count = count + 1 WHERE subject = 'sessions'", "count = count - 1"),
        ("UPDATE counters SET count = count - 1 WHERE subject = 'todos'", "count = count + 1"),
        ("UPDATE counters SET count = count + 1 WHERE subject = 'activities'", "count = count - 1"),
        ("UPDATE counters SET count = count + 1 WHERE subject = 'ledger'", "count = count - 1"),
        (
            "UPDATE activity_quarter_hours SET count = count + 1 WHERE activity_type = 'deploy'",
            "count = count - 1",
        ),
        (
            "UPDATE work_quarter_hours SET todos_made = todos_made + 1 WHERE todos_made > 0",
            "todos_made = todos_made - 1",
        ),
        (
            "UPDATE work_quarter_hours SET credits_spent = credits_spent - 1 WHERE actor_id > 0",
            "credits_spent = credits_spent + 1",
        ),
        (
            "UPDATE activity_daily SET count = count + 1 WHERE activity_type = 'deploy'",
            "count = count - 1",
        ),
    ] {
        let met = db.execute_unprepared(broken).await.unwrap().rows_affected();
        assert!(met > 0, "{broken}");
        let output = folder.run(&["verify"]);
        let message = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{broken}: {message}");
        assert!(message.starts_with("Account 1: "), "{broken}: {message}");
        assert!(
            message.lines().last().unwrap().starts_with("1 account was verified; "),
            "{message}"
        );

        let (table, condition) = broken.split_once(" SET ").unwrap();
        let condition = condition.split_once(" WHERE ").unwrap().1;
        db.execute_unprepared(&format!("{table} SET {mended} WHERE {condition}")).await.unwrap();
        assert!(folder.run(&["verify"]).status.success(), "mended: {broken}");
    }
    // A deleted ledger entry is found too.
    db.execute_unprepared("DELETE FROM ledger WHERE ledger_id = 2").await.unwrap();
    assert_eq!(folder.run(&["verify"]).status.code(), Some(1));
    db.close().await.unwrap();
}

#[tokio::test]
async fn distribute_says_what_a_plain_postgresql_lacks_and_changes_nothing() {
    let folder = WorkFolder::on_postgres().await;
    let url = folder.database_url();
    let (_, database) = url.rsplit_once('/').unwrap();
    let lacking = format!(
        "The coordinator has no extension citus in the database {database}. As a superuser, in \
         psql on that database of that machine: CREATE EXTENSION citus;\n1 thing is missing.\n"
    );
    for (args, error) in [
        (
            &["distribute"][..],
            "roots-server: Nothing was changed, because the cluster is not ready.\n",
        ),
        (
            &["distribute", "--check"],
            "roots-server: The tables are not spread as they should be.\n",
        ),
    ] {
        let output = folder.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert_eq!(text(&output.stdout), lacking, "{args:?}");
        assert_eq!(text(&output.stderr), error, "{args:?}");
    }
    assert!(folder.run(&["verify"]).status.success());
}

#[test]
fn distribute_refuses_sqlite_and_creates_no_file() {
    let folder = WorkFolder::new();
    for args in [&["distribute"][..], &["distribute", "--check"], &["distribute", "--shards=64"]] {
        let output = folder.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert_eq!(
            text(&output.stderr),
            "roots-server: A SQLite database is one file and can't be spread over machines: use \
             PostgreSQL with Citus.\n"
        );
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    for args in [
        &["distribute", "--shards", "0"][..],
        &["distribute", "--shards", "1025"],
        &["distribute", "--check", "--shards", "8"],
    ] {
        assert_eq!(folder.run(args).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn credits_can_be_granted_while_a_server_runs() {
    let folder = with_rows(WorkFolder::new()).await;
    let server = folder.serve();
    let args = ["credits", "grant", "--account", "1", "--amount", "5", "--note", "thanks"];
    let output = folder.run(&args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "Account 1 has 1000000 credits now.\n");
    let credits = server.client(&folder.operator_key()).read("/api/v1/credits").await;
    assert_eq!(credits["balance"], 1_000_000);
    assert_eq!(credits["recent_ledger"][0]["reason"], "operator_grant");
    assert_eq!(credits["recent_ledger"][0]["delta"], 5);
    server.stop();

    let nobody = folder.run(&["credits", "grant", "--account", "9", "--amount", "5"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert_eq!(text(&nobody.stderr), "roots-server: There is no account 9.\n");
    for (account, amount) in [("1", "0"), ("1", "-5"), ("1", "1000000001"), ("0", "5"), ("x", "5")]
    {
        let output = folder.run(&["credits", "grant", "--account", account, "--amount", amount]);
        assert_eq!(output.status.code(), Some(2), "{account} {amount}");
    }
}

#[tokio::test]
async fn bootstrap_creates_an_account_while_sign_up_is_closed() {
    let folder = WorkFolder::new();
    let server = folder.serve();
    let strange = json!({ "account_name": "x", "actor_name": "y", "actor_type": "agent" });
    let refused = server.client("none").post("/api/v1/bootstrap", &strange).send().await.unwrap();
    assert_eq!(refused.status(), 403);

    let args = ["bootstrap", "--account-name", "Acme", "--actor-name", "Ada"];
    for (more, account_type, actor_type, credits) in [
        (&[][..], "customer", "agent", 100),
        (&["--operator", "--actor-type", "human"], "operator", "human", 1_000_000),
    ] {
        let output = folder.run(&[&args[..], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&made["actor_type"], &made["credits"]), (&actor_type.into(), &credits.into()));
        let me = server.client(made["api_key"].as_str().unwrap()).read("/api/v1/whoami").await;
        assert_eq!(me["account_type"], account_type);
        assert_eq!((&me["account_name"], &me["actor_name"]), (&"Acme".into(), &"Ada".into()));
        assert_eq!(me["account_id"], made["account_id"]);
        assert!(!text(&output.stderr).contains(made["api_key"].as_str().unwrap()));
    }
    server.stop();

    let unnamed = folder.run(&["bootstrap", "--account-name", "", "--actor-name", "Ada"]);
    assert_eq!(unnamed.status.code(), Some(2));
}

#[tokio::test]
async fn bootstrap_prints_the_same_fields_that_the_api_answers() {
    let folder = WorkFolder::new();
    let mut command = folder.command(&[]);
    command.env("ROOTS_SIGNUP", "open");
    let server = Server::start(command);
    let asked = json!({ "account_name": "x", "actor_name": "y", "actor_type": "agent" });
    let answer = server.client("none").post("/api/v1/bootstrap", &asked).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let answered: Value = answer.json().await.unwrap();
    let output = folder.run(&["bootstrap", "--account-name", "x", "--actor-name", "y"]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fields = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&printed), fields(&answered));
    assert_eq!(printed["warning"], answered["warning"]);
    server.stop();
}

#[tokio::test]
async fn a_server_can_start_on_a_backup() {
    let folder = with_rows(WorkFolder::new()).await;
    let server = folder.serve();
    let output = folder.run(&["backup", "copy.db"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    server.stop();
    let copy = folder.path().join("copy.db");
    assert_eq!(mode(&copy), 0o600);

    let restored = WorkFolder::on(format!("sqlite://{}?mode=rw", copy.display()));
    assert!(restored.run(&["verify"]).status.success());
    let server = restored.serve();
    let api = server.client(&folder.operator_key());
    assert_eq!(api.read("/api/v1/sessions/1").await["notes"], "at work");
    assert_eq!(api.read("/api/v1/todos").await["total"], 2);
    server.stop();

    let empty = WorkFolder::new();
    assert!(empty.run(&["migrate"]).status.success());
    let nothing = empty.run(&["backup", "copy.db"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text(&nothing.stderr).ends_with("so there is nothing to copy.\n"));

    let before = fs::read(&copy).unwrap();
    let refused = folder.run(&["backup", "copy.db"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert_eq!(fs::read(&copy).unwrap(), before);
}

#[test]
fn commands_on_a_missing_database_fail_and_create_nothing() {
    for args in [
        &["backup", "copy.db"][..],
        &["verify"],
        &["credits", "grant", "--account", "1", "--amount", "5"],
    ] {
        let folder = WorkFolder::new();
        let refused = folder.run(args);
        let message = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {message}");
        assert!(message.starts_with("roots-server: The database file "), "{args:?}: {message}");
        assert!(
            message.contains("data/roots.db") && message.ends_with(".\n"),
            "{args:?}: {message}"
        );
        assert_eq!(message.lines().count(), 1, "{args:?}: {message}");
        assert!(refused.stdout.is_empty(), "{args:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{args:?} made something");
    }
}

#[test]
fn migrate_creates_the_schema_and_nothing_else() {
    let folder = WorkFolder::new();
    for _ in 0..2 {
        let output = folder.run(&["migrate"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert!(folder.path().join("data/roots.db").exists());
    assert!(!folder.operator_file().exists());
}

#[test]
fn openapi_prints_the_document_and_touches_no_database() {
    let folder = WorkFolder::new();
    let output = folder.run(&["openapi"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"].as_object().is_some_and(|paths| !paths.is_empty()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
