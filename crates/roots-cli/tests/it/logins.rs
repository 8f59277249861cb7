//! Which key is used, and where it is kept.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::json;

use crate::program::{User, user_of_api};

fn logins(user: &User) -> PathBuf {
    user.home().join(".config/roots/logins.json")
}

#[tokio::test]
async fn a_login_is_checked_and_kept_in_a_private_file_without_a_keyring() {
    let app = TestApp::start(TestDatabase::sqlite().await, 10).await;
    let user = User::new();
    let run = user.run_with(&["login", &app.address], &format!("{}\n", app.key())).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("Logged in to http://127.0.0.1:"), "{run:?}");
    assert!(run.stderr.contains("The system has no keyring that works."), "{run:?}");
    assert!(run.stderr.contains("logins.json, which only you can read"), "{run:?}");
    assert!(!run.stdout.contains(app.key()) && !run.stderr.contains(app.key()), "{run:?}");
    let mode = fs::metadata(logins(&user)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let status = user.json(&["status"]).await;
    assert_eq!(status["url"], app.address);
    assert_eq!(status["key_from"], "file");
    assert_eq!(status["whoami"]["credits_remaining"], 10);

    user.done(&["logout"]).await;
    assert!(!fs::read_to_string(logins(&user)).unwrap().contains(app.key()));
    let told = user.refused(4, &["todo", "list"]).await;
    assert!(told.contains("run `roots login"), "{told}");
    user.refused(3, &["logout"]).await;
}

#[tokio::test]
async fn a_key_that_the_server_refuses_is_not_kept() {
    let app = TestApp::start(TestDatabase::sqlite().await, 10).await;
    let user = User::new();
    let run = user.run_with(&["login", &app.address], "roots_1_wrong").await;
    assert_eq!((run.code, run.stdout.as_str()), (4, ""), "{run:?}");
    assert!(run.stderr.contains("Run `roots login` with a valid key"), "{run:?}");
    assert!(!logins(&user).exists());
    assert_eq!(user.run_with(&["login", &app.address], " \n").await.code, 2);
    // A key as the argument is no URL, and is not told.
    let run = user.run_with(&["login", app.key()], "").await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(!logins(&user).exists());
}

#[tokio::test]
async fn a_key_goes_to_another_machine_without_encryption_only_if_that_is_wanted() {
    let app = TestApp::start(TestDatabase::sqlite().await, 10).await;
    let mut user = User::new();
    for command in [&["login"][..], &["keys", "recover"]] {
        let run = user.run_with(&[command, &["http://192.0.2.1"]].concat(), app.key()).await;
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(run.stderr.contains("without encryption"), "{run:?}");
        assert!(run.stderr.contains("use https://, or give --plain-http"), "{run:?}");
    }
    assert!(!logins(&user).exists());

    // This address is not known to be that of this machine, and leads to it all the same.
    let address = app.address.replace("127.0.0.1", "0.0.0.0");
    let run = user.run_with(&["login", "--plain-http", &address], app.key()).await;
    assert_eq!(run.code, 0, "{run:?}");
    let run = user.run(&["todo", "list"]).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");

    user.set("ROOTS_URL", &address);
    user.set("ROOTS_API_KEY", app.key());
    let run = user.run(&["todo", "list"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.starts_with("Warning: ROOTS_URL: http://0.0.0.0:"), "{run:?}");
}

#[tokio::test]
async fn variables_win_over_a_login_and_its_key_goes_to_no_other_server() {
    let app = TestApp::start(TestDatabase::sqlite().await, 10).await;
    let other = TestApp::start(TestDatabase::sqlite().await, 20).await;
    let mut user = User::new();
    user.run_with(&["login", "--in-file", &app.address], app.key()).await;
    assert_eq!(user.json(&["status"]).await["whoami"]["credits_remaining"], 10);

    user.set("ROOTS_URL", &format!("{}/", other.address));
    let told = user.refused(4, &["status"]).await;
    assert!(told.contains("there is no API key for"), "{told}");
    user.set("ROOTS_API_KEY", other.key());
    let status = user.json(&["status"]).await;
    assert_eq!(status["key_from"], "environment");
    assert_eq!(status["whoami"]["credits_remaining"], 20);

    user.unset("ROOTS_URL");
    user.set("ROOTS_API_KEY", app.key());
    assert_eq!(user.json(&["status"]).await["url"], app.address);
}

#[tokio::test]
async fn the_keyring_is_asked_only_where_no_other_key_is_set() {
    let (app, mut user) = user_of_api(10).await;
    let path = user.home().join("bus");
    let bus = UnixListener::bind(&path).unwrap();
    bus.set_nonblocking(true).unwrap();
    user.set("DBUS_SESSION_BUS_ADDRESS", &format!("unix:path={}", path.display()));
    fs::create_dir_all(logins(&user).parent().unwrap()).unwrap();
    let servers = json!({app.address.as_str(): {"kept_in": "keyring"}});
    fs::write(logins(&user), json!({"current": app.address, "servers": servers}).to_string())
        .unwrap();

    user.unset("ROOTS_URL");
    user.done(&["log", "with the key of the environment"]).await;
    assert_eq!(bus.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody connected");

    // Without it, the keyring is asked: a bus that hangs up at once makes that fail.
    user.unset("ROOTS_API_KEY");
    bus.set_nonblocking(false).unwrap();
    let hangs_up = std::thread::spawn(move || drop(bus.accept().unwrap()));
    let told = user.refused(1, &["log", "with the key of the keyring"]).await;
    assert!(told.contains("the system's keyring failed"), "{told}");
    hangs_up.join().unwrap();
}
