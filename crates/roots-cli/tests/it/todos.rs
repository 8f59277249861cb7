//! Lists, selections and changes of todos.

use serde_json::json;

use crate::program::{credits, user_of_api};

#[tokio::test]
async fn a_list_says_how_many_of_all_it_shows() {
    let (_app, user) = user_of_api(10).await;
    for (title, priority, due) in [
        ("Deploy the docs", "3", "2030-07-01 12:00"),
        ("Hidden by the limit", "0", "2030-12-31T23:00:00Z"),
        ("Escape \u{1b}[31m", "0", "2030-12-31"),
    ] {
        user.done(&["todo", "add", title, "-p", priority, "--due", due]).await;
    }
    let run = user.run(&["todo", "list", "-n", "2"]).await;
    insta::assert_snapshot!(run.stdout, @r"
    ID  STATUS  PRIORITY  DUE               CLAIMED UNTIL  TITLE
    1   open    3         2030-07-01 12:00                 Deploy the docs
    3   open    0         2030-12-31 00:00                 Escape �[31m
    2 of 3
    ");
    assert!(run.stderr.starts_with("The next page: --cursor "), "{run:?}");
    let cursor = run.stderr.trim().rsplit_once(' ').unwrap().1;
    let rest = user.done(&["todo", "list", "-n", "2", "--cursor", cursor]).await;
    assert!(rest.ends_with("1 of 3\n"), "{rest}");
    assert_eq!(user.done(&["todo", "list", "--status", "done"]).await, "0 of 0\n");
    insta::assert_snapshot!(user.done(&["todo", "show", "1"]).await, @r"
    Todo 1: Deploy the docs
    Status    open
    Priority  3
    Due       Mon 2030-07-01 12:00 +02:00
    Actor     1
    Created   Thu 2026-04-09 16:00 +02:00
    Updated   Thu 2026-04-09 16:00 +02:00
    ");
}

#[tokio::test]
async fn overdue_todos_and_those_finished_last_are_listed() {
    let (app, user) = user_of_api(20).await;
    for (title, priority, due) in
        [("first", "3", "2026-01-02"), ("second", "0", "2026-01-01"), ("third", "3", "2030-01-01")]
    {
        user.done(&["todo", "add", title, "-p", priority, "--due", due]).await;
    }
    let listed = async |arguments: &[&str]| -> Vec<serde_json::Value> {
        let page = user.json(&[&["todo", "list"], arguments].concat()).await;
        page["todos"].as_array().unwrap().iter().map(|todo| todo["todo_id"].clone()).collect()
    };
    assert_eq!(listed(&["--overdue"]).await, [2, 1]);
    for id in ["3", "2", "1"] {
        app.context.clock.advance_seconds(1);
        user.done(&["todo", "done", id]).await;
    }
    assert_eq!(listed(&["--status", "done", "--latest"]).await, [1, 2, 3]);
    assert_eq!(listed(&["--status", "done", "--latest", "-p", "3"]).await, [1, 3]);
    user.refused(2, &["todo", "list", "--overdue", "-p", "3"]).await;
}

#[tokio::test]
async fn json_is_the_whole_answer_or_the_selected_fields() {
    let (app, user) = user_of_api(10).await;
    user.done(&["todo", "add", "a"]).await;
    let page = user.json(&["todo", "list"]).await;
    assert_eq!(page, app.get("/todos").await.json());
    assert_eq!(user.json(&["todo", "show", "1"]).await, app.get("/todos/1").await.json());
    let selected = user.done(&["todo", "list", "--json=todo_id,title"]).await;
    let selected: serde_json::Value = serde_json::from_str(&selected).unwrap();
    assert_eq!(selected["todos"], json!([{"todo_id": 1, "title": "a"}]));
    assert_eq!(selected["total"], 1);
}

#[tokio::test]
async fn an_unknown_field_is_refused_before_anything_is_written() {
    let (app, user) = user_of_api(10).await;
    let told = user.refused(2, &["log", "x", "--json=activity_id,text"]).await;
    let problem: serde_json::Value = serde_json::from_str(&told).unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("\"text\"") && detail.contains("activity_id, session_id"), "{detail}");
    assert_eq!(credits(&app).await, 10);
}

#[tokio::test]
async fn the_answer_shows_the_time_that_was_understood() {
    let (app, user) = user_of_api(10).await;
    let added = user.done(&["todo", "add", "a", "--due", "1 July 2030 12:00"]).await;
    assert_eq!(added, "Added todo 1: a, due Mon 2030-07-01 12:00 +02:00\n");
    assert_eq!(app.get("/todos/1").await.json()["due_at"], "2030-07-01T10:00:00Z");
    let logged = user.done(&["log", "x", "--at", "2026-01-02 03:04"]).await;
    assert_eq!(logged, "Logged activity 1 (general), at Fri 2026-01-02 03:04 +01:00\n");
    let told = user.refused(2, &["todo", "add", "b", "--due", "01/12/2026"]).await;
    assert!(told.contains("has several meanings; write 2026-12-31"), "{told}");
    assert_eq!(credits(&app).await, 8);
}

#[tokio::test]
async fn an_edit_changes_what_was_given_and_clears_what_is_to_go() {
    let (app, user) = user_of_api(10).await;
    user.done(&["todo", "add", "a", "-d", "text", "--due", "2030-07-01", "-p", "1"]).await;
    user.done(&["todo", "edit", "1", "--title", "b", "--no-description", "--no-due"]).await;
    let todo = app.get("/todos/1").await.json();
    assert_eq!(
        (&todo["title"], &todo["description"], &todo["due_at"], &todo["priority"]),
        (&json!("b"), &json!(null), &json!(null), &json!(1))
    );
    user.refused(2, &["todo", "edit", "1"]).await;
    user.refused(2, &["todo", "edit", "1", "--due", "2h", "--no-due"]).await;
}

#[tokio::test]
async fn rm_without_a_terminal_wants_yes() {
    let (app, user) = user_of_api(10).await;
    user.done(&["todo", "add", "a"]).await;
    let told = user.run_with(&["todo", "rm", "1"], "y\n").await;
    assert_eq!(told.code, 2, "{told:?}");
    assert!(told.stderr.contains("`roots todo rm 1 --yes`"), "{told:?}");
    assert_eq!(app.get("/todos/1").await.status, 200);
    user.done(&["todo", "rm", "1", "--yes"]).await;
    assert_eq!(app.get("/todos/1").await.status, 404);
}
