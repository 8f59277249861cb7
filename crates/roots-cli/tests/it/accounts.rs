//! Keys, actors, credits and statistics.

use serde_json::Value;

use crate::program::{User, user_of_api};

#[tokio::test]
async fn a_new_key_is_all_of_standard_output_and_works() {
    let (app, user) = user_of_api(20).await;
    let run = user.run(&["keys", "create", "--label", "laptop", "--expires", "2030-07-01"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let key = run.stdout.trim();
    assert!(key.starts_with("roots_") && !key.contains(char::is_whitespace), "{run:?}");
    assert!(!run.stderr.contains(key), "{run:?}");
    assert!(run.stderr.contains("Key 2 (laptop) of actor 1, valid until Mon 2030-07-01 00:00"));
    let mut other = User::new();
    other.set("ROOTS_URL", &app.address);
    other.set("ROOTS_API_KEY", key);
    let keys = other.done(&["keys", "list"]).await;
    assert!(keys.ends_with("2 of 2\n"), "{keys}");
    let own = keys.lines().find(|line| line.contains("in use now")).unwrap();
    assert!(own.starts_with("2 ") && own.contains("laptop"), "{keys}");
}

#[tokio::test]
async fn a_rotated_key_is_kept_where_the_login_kept_the_old_one() {
    let (app, user) = user_of_api(20).await;
    let told = user.refused(2, &["keys", "rotate", "--keep"]).await;
    assert!(told.contains("ROOTS_API_KEY"), "{told}");
    let mut logged_in = User::new();
    let login = logged_in.run_with(&["login", &app.address, "--in-file"], app.key()).await;
    assert_eq!(login.code, 0, "{login:?}");
    logged_in.set("ROOTS_URL", &app.address);
    let kept = logged_in.done(&["keys", "rotate", "--keep"]).await;
    assert_eq!(kept, "Kept key 2, which replaces the old one when it is first used\n");
    let keys = logged_in.json(&["keys", "list"]).await;
    let is_active = |id: i64| {
        let keys = keys["keys"].as_array().unwrap();
        keys.iter().find(|key| key["key_id"] == id).map(|key| key["is_active"].clone())
    };
    assert_eq!(is_active(2), Some(Value::Bool(true)));
    assert_eq!(is_active(1), Some(Value::Bool(false)), "{keys}");
    user.refused(4, &["keys", "list"]).await;
}

#[tokio::test]
async fn a_rotation_in_json_names_no_key_that_is_kept() {
    let (app, _) = user_of_api(20).await;
    let logged_in = User::new();
    logged_in.run_with(&["login", &app.address, "--in-file"], app.key()).await;
    let document = logged_in.json(&["keys", "rotate", "--keep", "--grace", "1h"]).await;
    assert_eq!(document["key_id"], 2);
    assert_eq!(document.get("api_key"), None);
}

#[tokio::test]
async fn to_revoke_a_key_wants_yes() {
    let (_app, user) = user_of_api(20).await;
    user.done(&["keys", "create"]).await;
    let told = user.refused(2, &["keys", "revoke", "2"]).await;
    assert!(told.contains("`roots keys revoke 2 --yes`"), "{told}");
    assert_eq!(user.done(&["keys", "revoke", "2", "--yes"]).await, "Revoked key 2\n");
    user.refused(3, &["keys", "revoke", "9"]).await;
    user.refused(3, &["keys", "revoke", "9", "--yes"]).await;
    user.refused(5, &["keys", "revoke", "1", "--yes"]).await;
}

#[tokio::test]
async fn a_recovery_code_is_told_beside_the_key_and_opens_the_account() {
    let (app, user) = user_of_api(20).await;
    user.refused(2, &["keys", "recovery-code"]).await;
    let code = user.done(&["keys", "recovery-code", "--yes"]).await;
    let user_of = |key: &str| {
        let mut user = User::new();
        user.set("ROOTS_URL", &app.address);
        user.set("ROOTS_API_KEY", key);
        user
    };
    let recovered = user.run_with(&["keys", "recover", &app.address], &code).await;
    assert_eq!(recovered.code, 0, "{recovered:?}");
    let owner = user_of(recovered.stdout.trim());
    let renewed = owner.run(&["keys", "renew", "--yes"]).await;
    assert_eq!(renewed.code, 0, "{renewed:?}");
    let code = renewed.stderr.trim().lines().last().unwrap();
    user_of(renewed.stdout.trim()).done(&["status"]).await;
    let again = user.run_with(&["keys", "recover", &app.address], code).await;
    assert_eq!(again.code, 0, "{again:?}");
    let wrong = user.run_with(&["keys", "recover", &app.address], "wrong").await;
    assert_ne!(wrong.code, 0, "{wrong:?}");
}

#[tokio::test]
async fn an_actor_is_added_renamed_deactivated_and_activated() {
    let (app, user) = user_of_api(20).await;
    let added = user.done(&["actors", "add", "worker"]).await;
    assert_eq!(
        added,
        "Added actor 2: worker (agent, member)\nMake its key: roots keys create --actor 2\n"
    );
    let key = user.done(&["keys", "create", "--actor", "2"]).await;
    let mut worker = User::new();
    worker.set("ROOTS_URL", &app.address);
    worker.set("ROOTS_API_KEY", key.trim());
    worker.refused(4, &["actors", "add", "another"]).await;
    user.done(&["actors", "rename", "2", "builder"]).await;
    assert_eq!(app.get("/actors/2").await.json()["name"], "builder");
    let told = user.refused(2, &["actors", "deactivate", "2"]).await;
    assert!(told.contains("`roots actors deactivate 2 --yes`"), "{told}");
    user.done(&["actors", "deactivate", "2", "--yes"]).await;
    worker.refused(4, &["status"]).await;
    user.done(&["actors", "activate", "2"]).await;
    let actor = user.json(&["actors", "show", "2"]).await;
    assert_eq!(actor, app.get("/actors/2").await.json());
    let list = user.done(&["actors", "list"]).await;
    assert!(list.ends_with("2 of 2\n"), "{list}");
    user.refused(3, &["actors", "show", "9"]).await;
}

#[tokio::test]
async fn credits_show_the_balance_the_ledger_and_the_calls() {
    let (app, user) = user_of_api(20).await;
    user.done(&["log", "a"]).await;
    user.done(&["todo", "add", "b"]).await;
    let shown = user.done(&["credits"]).await;
    assert!(shown.starts_with("18 credits; a write costs 1, a read 0\n"), "{shown}");
    let writes = user.run(&["credits", "--ledger", "--reason", "api_write", "-n", "1"]).await;
    assert!(writes.stdout.ends_with("1 of 2\n"), "{writes:?}");
    assert!(writes.stdout.contains("POST /todos"), "{writes:?}");
    assert!(writes.stderr.starts_with("The next page: --cursor "), "{writes:?}");
    assert_eq!(user.json(&["credits"]).await, app.get("/credits").await.json());
    let usage = user.json(&["credits", "--usage", "--month", "2026-01"]).await;
    assert_eq!(usage["period"], "2026-01");
    let by_day = user.json(&["credits", "--usage", "--by-day", "--month", "2026-01"]).await;
    assert_eq!(by_day["period"], "2026-01");
    user.refused(2, &["credits", "--usage", "--month", "soon"]).await;
    user.refused(2, &["credits", "-n", "5"]).await;
    user.refused(2, &["credits", "--ledger", "--usage"]).await;
}

#[tokio::test]
async fn statistics_count_by_the_days_of_the_zone() {
    let (_app, user) = user_of_api(20).await;
    // In Vienna it is the next day.
    user.done(&["log", "a", "-t", "deploy", "--at", "2026-01-02T23:30:00Z"]).await;
    user.done(&["log", "b", "--at", "2026-01-02T10:00:00Z"]).await;
    user.done(&["log", "c", "--at", "2026-01-02T11:00:00Z"]).await;
    insta::assert_snapshot!(user.done(&["stats"]).await, @"");
    let utc = user.json(&["stats", "--tz", "UTC"]).await;
    assert_eq!(utc["by_day"].as_array().unwrap().len(), 1);
    let day = user.json(&["stats", "--until", "2026-01-02"]).await;
    assert_eq!(day["total_activities"], 2);
    user.refused(2, &["stats", "--tz", "Nowhere/At_All"]).await;
}
