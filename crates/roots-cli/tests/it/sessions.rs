//! The session of a work tree.

use std::fs;

use serde_json::json;

use crate::program::{User, credits, user_of_api};

#[tokio::test]
async fn a_started_session_is_that_of_its_work_tree() {
    let (app, mut user) = user_of_api(10).await;
    fs::create_dir(user.folder.join(".git")).unwrap();
    assert!(user.done(&["start", "what I do"]).await.starts_with("Started session 1 for "));
    assert_eq!(app.get("/sessions/1").await.json()["notes"], "what I do");

    let outer = user.folder.clone();
    user.folder = outer.join("src");
    fs::create_dir(&user.folder).unwrap();
    let logged = user.json(&["log", "here", "-t", "deploy"]).await;
    assert_eq!((&logged["session_id"], &logged["activity_type"]), (&json!(1), &json!("deploy")));
    assert_eq!(user.json(&["todo", "add", "a"]).await["session_id"], 1);
    assert_eq!(user.json(&["log", "no", "--no-session"]).await["session_id"], json!(null));
    assert_eq!(user.json(&["status"]).await["session"]["session_id"], 1);

    // Elsewhere there is none.
    user.folder = user.home().to_owned();
    assert_eq!(user.json(&["log", "there"]).await["session_id"], json!(null));
    user.folder = outer;

    let told = user.refused(5, &["start"]).await;
    assert!(told.contains("roots start --another"), "{told}");
    user.done(&["note", "half done"]).await;
    user.done(&["note", "--append", "and more"]).await;
    let ended = user.json(&["end"]).await;
    assert_eq!(
        (&ended["status"], &ended["notes"]),
        (&json!("ended"), &json!("half done\nand more"))
    );
    let told = user.refused(3, &["end"]).await;
    assert!(told.contains("roots start"), "{told}");
    assert_eq!(user.json(&["start"]).await["session_id"], 2);
}

#[tokio::test]
async fn a_session_that_ended_elsewhere_is_told_and_forgotten() {
    let (app, user) = user_of_api(10).await;
    user.done(&["start"]).await;
    app.patch("/sessions/1", &json!({"status": "ended"})).await;
    let run = user.run(&["log", "still written", "--json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("\"session_id\":null"), "{run:?}");
    assert!(run.stderr.contains("Session 1 of this work tree has ended"), "{run:?}");
    assert_eq!(credits(&app).await, 7, "start, end and one activity");
    let run = user.run(&["log", "again"]).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "it is told once");
}

#[tokio::test]
async fn a_session_that_is_gone_is_told_and_forgotten() {
    let (app, user) = user_of_api(10).await;
    user.done(&["start"]).await;
    app.delete("/sessions/1").await;
    let run = user.run(&["todo", "add", "still written"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("Session 1 of this work tree is gone"), "{run:?}");

    user.done(&["start"]).await;
    app.delete("/sessions/2").await;
    let told = user.refused(3, &["end", "notes"]).await;
    assert!(told.contains("Session 2 of this work tree is gone"), "{told}");
    user.done(&["start"]).await;
}

#[tokio::test]
async fn a_refusal_that_is_not_about_the_session_keeps_it() {
    let (app, user) = user_of_api(10).await;
    user.done(&["start"]).await;
    user.refused(2, &["log", "x", "--type", "NO TYPE"]).await;
    user.refused(3, &["todo", "claim", "99"]).await;
    assert_eq!(user.json(&["log", "x"]).await["session_id"], 1);
    assert_eq!(credits(&app).await, 8);
}

#[tokio::test]
async fn two_keys_in_one_work_tree_have_a_session_each() {
    let (app, user) = user_of_api(10).await;
    let another = app.as_another(10).await;
    let mut other = User::of(&another);
    other.folder = user.folder.clone();
    other.set("XDG_STATE_HOME", user.home().join(".local/state").to_str().unwrap());
    user.done(&["start"]).await;
    assert_eq!(other.json(&["log", "x"]).await["session_id"], json!(null));
    other.done(&["start", "other"]).await;
    user.done(&["end"]).await;
    assert_eq!(other.json(&["log", "x"]).await["session_id"], 1);
}

#[tokio::test]
async fn a_wait_that_nobody_will_see_is_told() {
    let (_app, user) = user_of_api(10).await;
    for kind in ["question", "blocked"] {
        let run = user.run(&["log", "Which region?", "-t", kind]).await;
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stderr.contains("nobody will see that you wait"), "{run:?}");
        assert!(run.stderr.contains("Start a session with `roots start`"), "{run:?}");
    }
    let run = user.run(&["log", "Which region?"]).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    user.done(&["start"]).await;
    let run = user.run(&["log", "Which region?", "-t", "question"]).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
}

#[tokio::test]
async fn texts_come_from_standard_input() {
    let (app, user) = user_of_api(10).await;
    let run = user.run_with(&["log", "-"], "two\nlines\n").await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(app.get("/activities/1").await.json()["description"], "two\nlines");
    let run = user.run_with(&["todo", "add", "-"], "Title\n\nThe rest\n").await;
    assert_eq!(run.code, 0, "{run:?}");
    let todo = app.get("/todos/1").await.json();
    assert_eq!((&todo["title"], &todo["description"]), (&json!("Title"), &json!("The rest")));
    // Without a text and a terminal there is nothing to open an editor at.
    let told = user.refused(2, &["log"]).await;
    assert!(told.contains("`-` to read it from standard input"), "{told}");
    assert_eq!(credits(&app).await, 8);
}
