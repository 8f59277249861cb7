//! Claims that are made in a work tree.

use serde_json::json;

use crate::program::{credits, user_of_api};

#[tokio::test]
async fn a_claim_of_a_work_tree_sends_its_token() {
    let (app, user) = user_of_api(20).await;
    user.done(&["start"]).await;
    user.done(&["todo", "add", "shared", "--no-session"]).await;
    let claimed = user.json(&["todo", "claim", "--lease", "30m"]).await;
    assert_eq!(claimed["claim"]["lease_seconds"], 1800);
    assert_eq!((&claimed["session_id"], &claimed["claim"]["token"]), (&json!(1), &json!(1)));
    assert!(claimed["until"].is_string());
    user.done(&["todo", "edit", "1", "--priority", "3"]).await;

    // Another worker takes it over.
    app.post("/todos/1/release", &json!({"claim_token": 1})).await;
    app.post("/todos/claim", &json!({"todo_id": 1})).await;
    let before = credits(&app).await;
    let told = user.refused(5, &["todo", "done", "1"]).await;
    assert!(told.contains("Stop working on this todo"), "{told}");
    assert_eq!(credits(&app).await, before);
    assert_eq!(app.get("/todos/1").await.json()["status"], "in_progress");

    // The lost token is kept, so no command ends the claim of the other worker by being repeated.
    assert!(told.contains("gives --without-claim"), "{told}");
    for command in ["done", "cancel", "reopen", "release", "start"] {
        user.refused(5, &["todo", command, "1"]).await;
    }
    user.refused(5, &["todo", "edit", "1", "--priority", "0"]).await;
    user.done(&["todo", "show", "1"]).await;
    user.refused(5, &["todo", "done", "1"]).await;
    let todo = app.get("/todos/1").await.json();
    assert_eq!((&todo["status"], &todo["claim"]["token"]), (&json!("in_progress"), &json!(2)));

    // What a person means to do is done.
    user.done(&["todo", "edit", "1", "--priority", "0", "--without-claim"]).await;
    user.refused(5, &["todo", "done", "1"]).await;
    user.done(&["todo", "release", "1", "--without-claim"]).await;
    assert_eq!(app.get("/todos/1").await.json()["status"], "open");
    user.refused(2, &["todo", "done", "1", "--without-claim", "--token", "2"]).await;
    user.done(&["todo", "done", "1"]).await;
}

#[tokio::test]
async fn a_new_claim_replaces_the_token_of_a_lost_one() {
    let (app, user) = user_of_api(20).await;
    user.done(&["todo", "add", "one"]).await;
    user.done(&["todo", "claim"]).await;
    app.post("/todos/1/release", &json!({"claim_token": 1})).await;
    user.refused(5, &["todo", "done", "1"]).await;
    assert_eq!(user.json(&["todo", "claim"]).await["claim"]["token"], 2);
    user.done(&["todo", "done", "1"]).await;

    // A todo that is seen to be finished has no claim to protect.
    user.done(&["todo", "reopen", "1"]).await;
    user.done(&["todo", "claim"]).await;
    app.patch("/todos/1", &json!({"status": "done"})).await;
    user.refused(5, &["todo", "reopen", "1"]).await;
    user.done(&["todo", "show", "1"]).await;
    user.done(&["todo", "reopen", "1"]).await;
}

#[tokio::test]
async fn a_claim_can_be_given_up_and_finished() {
    let (app, user) = user_of_api(20).await;
    let told = user.refused(3, &["todo", "claim"]).await;
    assert!(told.contains("no todo is left to claim"), "{told}");
    user.done(&["todo", "add", "one"]).await;
    let told = user.refused(3, &["todo", "release", "1"]).await;
    assert!(told.contains("no claim of todo 1"), "{told}");
    user.done(&["todo", "claim", "1"]).await;
    let told = user.refused(5, &["todo", "claim", "1"]).await;
    assert!(told.contains("claimed"), "{told}");
    user.done(&["todo", "release", "1"]).await;
    assert_eq!(app.get("/todos/1").await.json()["status"], "open");

    user.done(&["todo", "claim"]).await;
    user.done(&["todo", "done", "1", "--note", "shipped"]).await;
    let log = user.json(&["todo", "show", "1", "--log"]).await;
    assert_eq!(log["logs"][3]["note"], "shipped");
    // The claim has ended with it. A token that is given counts.
    user.done(&["todo", "reopen", "1"]).await;
    user.refused(5, &["todo", "start", "1", "--token", "2"]).await;
    user.done(&["todo", "start", "1"]).await;
    user.done(&["todo", "cancel", "1"]).await;
    assert_eq!(app.get("/todos/1").await.json()["status"], "cancelled");
}

#[tokio::test]
async fn the_rm_of_a_claimed_todo_sends_the_token() {
    let (app, user) = user_of_api(20).await;
    user.done(&["todo", "add", "one"]).await;
    user.done(&["todo", "claim"]).await;
    app.post("/todos/1/release", &json!({"claim_token": 1})).await;
    user.refused(5, &["todo", "rm", "1", "--yes"]).await;
    user.refused(5, &["todo", "rm", "1", "--yes"]).await;
    user.done(&["todo", "rm", "1", "--yes", "--without-claim"]).await;
    assert_eq!(app.get("/todos/1").await.status, 404);
}
