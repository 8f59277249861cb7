//! The first start creates the operator, and later starts do not.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use roots_testkit::connection::connect;
use sea_orm::ConnectionTrait;
use serde_json::Value;

use crate::program::{PROGRAM, Server, WorkFolder, finish, mode, text, wait_for};

#[tokio::test]
async fn the_first_start_creates_the_operator_and_a_private_file_with_its_key() {
    let folder = WorkFolder::new();
    let server = folder.serve();
    for file in ["roots-operator.txt", "data/roots.db", "data/roots.db-wal"] {
        assert_eq!(mode(&folder.path().join(file)), 0o600, "{file}");
    }
    let me = server.client(&folder.operator_key()).read("/api/v1/whoami").await;
    assert_eq!((&me["account_type"], &me["role"]), (&"operator".into(), &"owner".into()));
    assert_eq!(me["credits_remaining"], 1_000_000);
    let log = Value::from(server.stop()).to_string();
    let secret = fs::read_to_string(folder.operator_file()).unwrap();
    for secret in secret.lines().filter_map(|line| line.split_once('=')) {
        assert!(!log.contains(secret.1), "a secret in the log");
    }
}

#[tokio::test]
async fn a_later_start_changes_nothing_and_warns_while_the_operator_file_exists() {
    const WARNING: &str = "the file with the operator's key";
    let folder = WorkFolder::new();
    folder.serve().stop();
    let (key, before) = (folder.operator_key(), fs::read(folder.operator_file()).unwrap());

    let server = folder.serve();
    assert_eq!(server.logged(WARNING).len(), 1);
    assert_eq!(server.logged(WARNING)[0]["level"], "WARN");
    server.client(&key).read("/api/v1/whoami").await;
    server.stop();
    assert_eq!(fs::read(folder.operator_file()).unwrap(), before);

    fs::remove_file(folder.operator_file()).unwrap();
    let server = folder.serve();
    assert_eq!(server.logged(WARNING).len(), 0);
    server.client(&key).read("/api/v1/whoami").await;
    server.stop();
    assert!(!folder.operator_file().exists());
    assert_eq!(folder.accounts().await, 1);
}

#[tokio::test]
async fn a_file_that_names_no_database_refuses_the_start_on_an_empty_database() {
    let folder = WorkFolder::new();
    fs::write(folder.operator_file(), "precious").unwrap();
    let refused = folder.run(&[]);
    let message = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{message}");
    assert!(
        message.contains("roots-server: The file roots-operator.txt does not say"),
        "{message}"
    );
    assert!(message.contains("move the file away and start again."), "{message}");
    assert_eq!(fs::read_to_string(folder.operator_file()).unwrap(), "precious");
    assert_eq!(folder.accounts().await, 0);

    fs::rename(folder.operator_file(), folder.path().join("moved")).unwrap();
    folder.serve().client(&folder.operator_key()).read("/api/v1/whoami").await;
}

#[tokio::test]
async fn the_operator_file_of_a_renamed_database_refuses_the_start_on_a_new_one() {
    let folder = WorkFolder::new();
    folder.serve().stop();
    let (key, file) = (folder.operator_key(), fs::read(folder.operator_file()).unwrap());
    let data = folder.path().join("data");
    fs::rename(&data, folder.path().join("elsewhere")).unwrap();
    let refused = folder.run(&[]);
    let message = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{message}");
    for part in ["roots-operator.txt holds", "data/roots.db", "correct ROOTS_DATABASE_URL"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(fs::read(folder.operator_file()).unwrap(), file);

    fs::remove_dir_all(&data).unwrap();
    fs::rename(folder.path().join("elsewhere"), &data).unwrap();
    folder.serve().client(&key).read("/api/v1/whoami").await;
}

/// `hang` makes the insert of the account hang, after the operator file is written. The server is
/// killed there. `go_on` removes the obstacle.
async fn a_killed_first_start_is_completed_by_the_next(
    folder: WorkFolder,
    hang: &[&str],
    go_on: &[&str],
) {
    assert!(folder.run(&["migrate"]).status.success());
    let db = folder.database().await;
    for statement in hang {
        db.execute_unprepared(statement).await.unwrap();
    }
    let mut server = Server::spawn(folder.command(&[]));
    wait_for("the operator's file", || folder.operator_file().exists().then_some(()));
    server.signal(Signal::SIGKILL);
    server.end();
    for statement in go_on {
        db.execute_unprepared(statement).await.unwrap();
    }
    db.close().await.unwrap();
    assert_eq!(folder.accounts().await, 0);
    let dead = folder.operator_key();

    let server = folder.serve();
    assert_eq!(server.logged("a first start was interrupted").len(), 1);
    assert_ne!(folder.operator_key(), dead);
    server.client(&folder.operator_key()).read("/api/v1/whoami").await;
    server.stop();
    assert_eq!((folder.accounts().await, mode(&folder.operator_file())), (1, 0o600));
    assert!(folder.run(&["verify"]).status.success());
}

#[tokio::test]
async fn a_killed_first_start_is_completed_by_the_next_on_sqlite() {
    a_killed_first_start_is_completed_by_the_next(
        WorkFolder::new(),
        &[
            "CREATE VIEW endless AS WITH RECURSIVE n(i) AS \
             (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
            "CREATE TRIGGER hang BEFORE INSERT ON accounts BEGIN SELECT COUNT(*) FROM endless; END",
        ],
        &["DROP TRIGGER hang", "DROP VIEW endless"],
    )
    .await;
}

#[tokio::test]
async fn a_killed_first_start_is_completed_by_the_next_on_postgresql() {
    a_killed_first_start_is_completed_by_the_next(
        WorkFolder::on_postgres().await,
        &[
            "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$",
            "CREATE TRIGGER hang BEFORE INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION hang()",
        ],
        &[
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
            "DROP FUNCTION hang CASCADE",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_first_start_killed_at_any_moment_leads_to_a_working_key() {
    for _ in 0..4 {
        let folder = WorkFolder::new();
        let mut server = Server::spawn(folder.command(&[]));
        wait_for("the operator's file", || folder.operator_file().exists().then_some(()));
        server.signal(Signal::SIGKILL);
        server.end();
        folder.serve().client(&folder.operator_key()).read("/api/v1/whoami").await;
        assert_eq!(folder.accounts().await, 1);
    }
}

#[tokio::test]
async fn no_account_is_created_if_the_operator_file_cannot_be_written() {
    let folder = WorkFolder::new();
    let mut command = folder.command(&[]);
    command.env("ROOTS_OPERATOR_FILE", "missing/operator.txt");
    let refused = finish(command);
    let message = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{message}");
    assert!(
        message.contains("missing/operator.txt") && message.contains("ROOTS_OPERATOR_FILE"),
        "{message}"
    );
    assert_eq!(folder.accounts().await, 0);

    // A start with a valid file succeeds afterwards.
    folder.serve().client(&folder.operator_key()).read("/api/v1/whoami").await;
    assert_eq!(folder.accounts().await, 1);
}

#[test]
fn files_are_created_with_mode_600_under_any_umask() {
    for umask in ["000", "077"] {
        let folder = WorkFolder::new();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("umask {umask} && exec \"$0\""), PROGRAM]);
        let server = Server::start(folder.prepared(shell));
        for file in ["roots-operator.txt", "data/roots.db", "data/roots.db-wal"] {
            assert_eq!(mode(&folder.path().join(file)), 0o600, "{file}, {umask}");
        }
        server.stop();
    }
}

/// Starts two servers at once. Both must serve, and the key of the one operator works on both.
async fn start_two_at_once(one: &WorkFolder, other: &WorkFolder) {
    let mut servers = [Server::spawn(one.command(&[])), Server::spawn(other.command(&[]))];
    for server in &mut servers {
        server.wait_until_it_listens();
    }
    let mut homes = vec![one];
    if one.path() != other.path() {
        homes.push(other);
    }
    homes.retain(|folder| folder.operator_file().exists());
    assert_eq!(homes.len(), 1, "one file with a key");
    let key = homes[0].operator_key();
    for server in servers {
        server.client(&key).read("/api/v1/whoami").await;
        server.stop();
    }
    assert_eq!(one.accounts().await, 1);
}

#[tokio::test]
async fn two_servers_started_at_once_in_one_folder_create_one_operator() {
    for _ in 0..4 {
        let folder = WorkFolder::new();
        start_two_at_once(&folder, &folder).await;
    }
}

#[tokio::test]
async fn two_servers_started_at_once_in_two_folders_create_one_operator() {
    for _ in 0..4 {
        let one = WorkFolder::new();
        let other = WorkFolder::on(one.database_url());
        start_two_at_once(&one, &other).await;
    }
}

#[tokio::test]
async fn two_servers_started_at_once_on_an_empty_postgresql_create_one_operator() {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = roots_testkit::postgres::server_url();
    let admin = connect(&server).await;
    let (base, _) = server.rsplit_once('/').unwrap();
    for _ in 0..4 {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("roots_start_{}_{number}", std::process::id());
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let one = WorkFolder::on(format!("{base}/{name}"));
        let other = WorkFolder::on(one.database_url());
        start_two_at_once(&one, &other).await;
    }
    admin.close().await.unwrap();
}

#[tokio::test]
async fn an_unwritable_database_folder_refuses_the_start() {
    let folder = WorkFolder::new();
    fs::write(folder.path().join("data"), "a file where the folder should be").unwrap();
    let refused = folder.run(&[]);
    let message = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{message}");
    assert!(message.contains("roots.db"), "{message}");
    assert!(!folder.operator_file().exists());
}

/// The first account is a customer's and is erased. The operator that the next start creates gets a
/// new id, and can be erased too.
async fn an_erased_first_account_is_replaced_under_a_new_id(folder: WorkFolder) {
    let (key, code) = folder.bootstrap(&[]);
    let server = folder.serve();
    assert!(!folder.operator_file().exists(), "there is an account");
    server.client(&key).erase(&code).await;
    server.stop();

    let server = folder.serve();
    let operator = server.client(&folder.operator_key());
    let me = operator.read("/api/v1/whoami").await;
    assert_eq!((&me["account_type"], &me["account_id"]), (&"operator".into(), &2.into()));
    folder.bootstrap(&["--operator"]);
    let file = fs::read_to_string(folder.operator_file()).unwrap();
    let code = file.lines().find_map(|line| line.strip_prefix("ROOTS_RECOVERY_CODE=")).unwrap();
    operator.erase(code).await;
    server.stop();
    assert_eq!((folder.accounts().await, folder.count("erasures").await), (1, 2));
    let verified = folder.run(&["verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

#[tokio::test]
async fn an_erased_first_account_is_replaced_under_a_new_id_on_sqlite() {
    an_erased_first_account_is_replaced_under_a_new_id(WorkFolder::new()).await;
}

#[tokio::test]
async fn an_erased_first_account_is_replaced_under_a_new_id_on_postgresql() {
    an_erased_first_account_is_replaced_under_a_new_id(WorkFolder::on_postgres().await).await;
}
