//! Every endpoint, asked as the seeds ask it, and the whole of what it answers.

use insta::assert_snapshot;

use crate::fixture::{NEW_ACCOUNT, ask, delete, get, patch, post};

macro_rules! answers {
    ($($name:ident: $ask:expr;)+) => {$(
        #[tokio::test]
        async fn $name() {
            assert_snapshot!($ask.of_the_whole_api().await.told());
        }
    )+};
}

answers! {
    sessions_are_listed: get("/api/v1/sessions?status=active");
    a_session_is_shown: get("/api/v1/sessions/1");
    a_session_starts: post("/api/v1/sessions", r#"{"notes": "Starting morning review"}"#);
    a_session_starts_without_a_body: ask("POST", "/api/v1/sessions");
    a_session_ends: patch(
        "/api/v1/sessions/2",
        r#"{"status": "ended", "notes": "Finished morning review. Deployed docs."}"#
    );
    a_session_is_deleted: delete("/api/v1/sessions/2");

    todos_are_listed: get("/api/v1/todos?status=open&priority=2");
    a_todo_is_shown: get("/api/v1/todos/1");
    a_todo_is_created: post(
        "/api/v1/todos",
        r#"{
            "title": "Deploy docs pages",
            "description": "Sessions, todos, and activities docs",
            "priority": 2,
            "due_at": "2026-04-10T00:00:00Z"
        }"#
    );
    a_todo_is_created_with_a_title_alone: post("/api/v1/todos", r#"{"title": "Tidy up"}"#);
    a_todo_is_done: patch(
        "/api/v1/todos/1",
        r#"{"status": "done", "note": "All three docs pages deployed"}"#
    );
    a_todo_is_deleted: delete("/api/v1/todos/1");
    a_todo_has_a_log: get("/api/v1/todos/1/logs");

    activities_are_listed: get("/api/v1/activities?type=deploy&since=2026-04-01");
    an_activity_is_shown: get("/api/v1/activities/1");
    an_activity_is_logged: post(
        "/api/v1/activities",
        r#"{
            "description": "Deployed sessions, todos, and activities docs",
            "activity_type": "deploy",
            "session_id": 1
        }"#
    );
    an_activity_is_logged_by_default: post("/api/v1/activities", r#"{"description": "Read"}"#);
    an_activity_is_deleted: delete("/api/v1/activities/1");
    activities_are_counted_by_the_days_of_a_zone: get(
        "/api/v1/activities/stats?since=2026-04-07&tz=Asia/Kathmandu"
    );
    activities_are_counted: get("/api/v1/activities/stats?since=2026-04-07");

    actors_are_listed: get("/api/v1/actors?limit=5");
    an_actor_is_shown: get("/api/v1/actors/2");
    an_actor_is_added: post("/api/v1/actors", r#"{"name": "reviewer", "actor_type": "agent"}"#);
    an_actor_is_renamed: patch("/api/v1/actors/2", r#"{"name": "Ada L."}"#);
    an_actor_is_deactivated: delete("/api/v1/actors/2");

    keys_are_listed: get("/api/v1/keys");
    a_key_is_made: post(
        "/api/v1/keys",
        r#"{"actor_id": 2, "label": "laptop", "expires_at": "2027-01-01T00:00:00Z"}"#
    );
    a_members_key_is_renewed: post("/api/v1/keys", r#"{"actor_id": 2, "renew": true}"#);
    the_owners_key_is_renewed: post("/api/v1/keys", r#"{"actor_id": 1, "renew": true}"#);
    a_key_is_rotated: post("/api/v1/keys/rotate", r#"{"label": "new", "grace_seconds": 60}"#);
    a_key_is_rotated_without_a_body: ask("POST", "/api/v1/keys/rotate");
    a_key_is_revoked: delete("/api/v1/keys/2");

    an_account_is_made: post("/api/v1/bootstrap", NEW_ACCOUNT).without_key();
    an_account_is_recovered: post("/api/v1/recover", r#"{"recovery_code": "00001-CODE"}"#)
        .without_key();
    a_recovery_code_is_renewed: ask("POST", "/api/v1/recovery-code");
    the_caller_is_told_who_it_is: get("/api/v1/whoami");
    credits_are_shown: get("/api/v1/credits");
    the_ledger_is_listed: get("/api/v1/credits/ledger?reason=api_write&limit=5");

    an_account_is_erased: delete("/api/v1/accounts/me").json(r#"{"recovery_code": "00001-CODE"}"#);

    usage_is_told: get("/api/v1/usage?period=2026-04");
    usage_is_told_by_day: get("/api/v1/usage/history");
    health: get("/health").without_key();
    readiness: get("/ready").without_key();
    problems_are_explained: get("/docs/problems").without_key();
}

#[tokio::test]
async fn the_description_is_served_as_it_is_made() {
    let answer = get("/api/v1/openapi.json").without_key().of_the_whole_api().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.body, roots_http::openapi().to_json().unwrap());
}
