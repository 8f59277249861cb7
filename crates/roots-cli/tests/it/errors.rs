//! Exit codes, and what is told.

use std::net::TcpListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{User, user_of_api};

#[tokio::test]
async fn exit_codes_say_what_went_wrong() {
    let (app, mut user) = user_of_api(1).await;
    user.refused(2, &["todo", "add", ""]).await;
    user.refused(2, &["todo", "frobnicate"]).await;
    user.refused(3, &["todo", "show", "99"]).await;
    user.done(&["todo", "add", "a"]).await;
    user.refused(6, &["todo", "add", "b"]).await;
    user.set("ROOTS_API_KEY", "roots_1_wrong");
    user.refused(4, &["todo", "list"]).await;
    user.set("ROOTS_URL", "localhost:8080");
    user.refused(2, &["todo", "list"]).await;
    drop(app);
}

#[tokio::test]
async fn a_server_that_is_away_is_to_be_tried_later() {
    let mut user = User::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    user.set("ROOTS_URL", &format!("http://{}", free.local_addr().unwrap()));
    user.set("ROOTS_API_KEY", "roots_1_any");
    drop(free);
    let told = user.refused(7, &["todo", "list"]).await;
    assert!(told.contains("the server can't be reached"), "{told}");
    assert!(told.contains("Nothing was done."), "{told}");
}

#[tokio::test]
async fn an_error_says_what_to_do() {
    let (_app, user) = user_of_api(0).await;
    let told = user.refused(6, &["log", "x"]).await;
    assert!(told.starts_with("error: "), "{told}");
    assert!(told.contains("Ask the operator of the server for credits."), "{told}");
    let told = user.refused(2, &["todo", "add", "x", "--session", "0"]).await;
    assert!(told.contains("session_id"), "{told}");
}

#[tokio::test]
async fn with_json_an_error_is_the_problem_on_standard_error() {
    let (_app, mut user) = user_of_api(0).await;
    let told = user.refused(6, &["log", "x", "--json"]).await;
    let problem: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(problem["type"], "/docs/problems#insufficient-credits");
    assert_eq!((&problem["balance"], &problem["cost"]), (&json!(0), &json!(1)));
    let told = user.refused(2, &["todo", "add", "x", "--due", "1/2/26", "--json"]).await;
    let problem: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(problem["title"], "Wrong usage");
    user.unset("ROOTS_API_KEY");
    let told = user.refused(4, &["log", "x", "--json"]).await;
    let problem: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(problem["title"], "No good key");
}

#[tokio::test]
async fn output_that_nobody_reads_is_no_error() {
    let user = User::new();
    let run = tokio::task::spawn_blocking(move || {
        let mut child = user.command(&["completions", "bash"]).spawn().unwrap();
        drop(child.stdout.take());
        child.wait_with_output().unwrap()
    });
    let run = run.await.unwrap();
    assert_eq!((run.status.code(), run.stderr.as_slice()), (Some(0), [].as_slice()));
}

#[tokio::test]
async fn data_that_can_not_be_written_is_an_error() {
    let user = User::new();
    let run = tokio::task::spawn_blocking(move || {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = user.command(&["completions", "bash"]);
        command.stdout(Stdio::from(full)).output().unwrap()
    });
    let run = run.await.unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8(run.stderr).unwrap().contains("the output can't be written"));
}
