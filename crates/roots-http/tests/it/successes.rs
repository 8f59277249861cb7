//! Every endpoint answers the requests of the seeds, with its whole answer.

use insta::assert_snapshot;

use crate::fixture::{MockedApi, NEW_ACCOUNT, TestRequest, ask, delete, get, patch, post};

async fn answer(request: TestRequest) -> String {
    request.of_the_whole_api().await.summary()
}

#[tokio::test]
async fn sessions_are_listed() {
    assert_snapshot!(answer(get("/api/v1/sessions?status=active")).await, @r#"
    200 OK

    {
      "sessions": [
        {
          "session_id": 1,
          "status": "active",
          "notes": "Working on API docs",
          "started_at": "2026-04-09T10:00:00Z",
          "ended_at": null,
          "ended_reason": null,
          "duration_seconds": null,
          "actor_id": 1,
          "last_active_at": "2026-04-09T10:00:00Z"
        }
      ],
      "total": 1,
      "limit": 20,
      "offset": 0,
      "next_cursor": null
    }
    "#);
}

#[tokio::test]
async fn a_session_is_shown() {
    assert_snapshot!(answer(get("/api/v1/sessions/1")).await, @r#"
    200 OK
    etag: "00000000000000000000000000000000-1"

    {
      "session_id": 1,
      "status": "active",
      "notes": "Working on API docs",
      "started_at": "2026-04-09T10:00:00Z",
      "ended_at": null,
      "ended_reason": null,
      "duration_seconds": null,
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn a_session_is_started() {
    let answer = answer(post("/api/v1/sessions", r#"{"notes": "Starting morning review"}"#)).await;
    assert_snapshot!(answer, @r#"
    201 Created
    etag: "019d728c2e8070008000000000000002-1"
    location: /api/v1/sessions/2
    x-credits-cost: 1
    x-credits-remaining: 98

    {
      "session_id": 2,
      "status": "active",
      "notes": "Starting morning review",
      "started_at": "2026-04-09T14:00:00Z",
      "ended_at": null,
      "ended_reason": null,
      "duration_seconds": null,
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn a_session_is_started_without_a_body() {
    assert_snapshot!(answer(ask("POST", "/api/v1/sessions")).await, @r#"
    201 Created
    etag: "019d728c2e8070008000000000000002-1"
    location: /api/v1/sessions/2
    x-credits-cost: 1
    x-credits-remaining: 98

    {
      "session_id": 2,
      "status": "active",
      "notes": null,
      "started_at": "2026-04-09T14:00:00Z",
      "ended_at": null,
      "ended_reason": null,
      "duration_seconds": null,
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn a_session_is_ended() {
    let answer = answer(patch(
        "/api/v1/sessions/2",
        r#"{"status": "ended", "notes": "Finished morning review. Deployed docs."}"#,
    ))
    .await;
    assert_snapshot!(answer, @r#"
    200 OK
    etag: "00000000000000000000000000000000-2"
    x-credits-cost: 1
    x-credits-remaining: 98

    {
      "session_id": 2,
      "status": "ended",
      "notes": "Finished morning review. Deployed docs.",
      "started_at": "2026-04-09T10:00:00Z",
      "ended_at": "2026-04-09T14:00:00Z",
      "ended_reason": "ended",
      "duration_seconds": 14400,
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn a_session_is_deleted() {
    assert_snapshot!(answer(delete("/api/v1/sessions/2")).await, @r#"
    200 OK
    x-credits-cost: 1
    x-credits-remaining: 98

    {"status": "deleted", "session_id": 2}
    "#);
}

#[tokio::test]
async fn todos_are_listed() {
    assert_snapshot!(answer(get("/api/v1/todos?status=open&priority=2")).await, @r#"
    200 OK

    {
      "todos": [
        {
          "todo_id": 1,
          "session_id": null,
          "title": "Write API docs",
          "description": "Document sessions, todos, and activities endpoints",
          "status": "open",
          "priority": 2,
          "due_at": "2026-04-10T00:00:00Z",
          "created_at": "2026-04-09T10:00:00Z",
          "updated_at": "2026-04-09T10:00:00Z",
          "status_since": "2026-04-09T10:00:00Z",
          "claim": null,
          "actor_id": 1,
          "until": null
        }
      ],
      "total": 1,
      "limit": 20,
      "offset": 0,
      "next_cursor": null
    }
    "#);
}

#[tokio::test]
async fn a_todo_is_shown() {
    assert_snapshot!(answer(get("/api/v1/todos/1")).await, @r#"
    200 OK
    etag: "00000000000000000000000000000000-1"

    {
      "todo_id": 1,
      "session_id": null,
      "title": "Write API docs",
      "description": "Document sessions, todos, and activities endpoints",
      "status": "open",
      "priority": 2,
      "due_at": "2026-04-10T00:00:00Z",
      "created_at": "2026-04-09T10:00:00Z",
      "updated_at": "2026-04-09T10:00:00Z",
      "status_since": "2026-04-09T10:00:00Z",
      "claim": null,
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn a_todo_is_created() {
    let answer = answer(post(
        "/api/v1/todos",
        r#"{
        "title": "Deploy docs pages",
        "description": "Sessions, todos, and activities docs",
        "priority": 2,
        "due_at": "2026-04-10T00:00:00Z"
    }"#,
    ))
    .await;
    assert_snapshot!(answer, @r#"
    201 Created
    etag: "019d728c2e8070008000000000000002-1"
    location: /api/v1/todos/2
    x-credits-cost: 1
    x-credits-remaining: 98

    {
      "todo_id": 2,
      "session_id": null,
      "title": "Deploy docs pages",
      "description": "Sessions, todos, and activities docs",
      "status": "open",
      "priority": 2,
      "due_at": "2026-04-10T00:00:00Z",
      "created_at": "2026-04-09T14:00:00Z",
      "updated_at": "2026-04-09T14:00:00Z",
      "status_since": "2026-04-09T14:00:00Z",
      "claim": null,
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn a_todo_is_created_with_a_title_alone() {
    assert_snapshot!(answer(post("/api/v1/todos", r#"{"title": "Tidy up"}"#)).await, @r#"
    201 Created
    etag: "019d728c2e8070008000000000000002-1"
    location: /api/v1/todos/2
    x-credits-cost: 1
    x-credits-remaining: 98

    {
      "todo_id": 2,
      "session_id": null,
      "title": "Tidy up",
      "description": null,
      "status": "open",
      "priority": 0,
      "due_at": null,
      "created_at": "2026-04-09T14:00:00Z",
      "updated_at": "2026-04-09T14:00:00Z",
      "status_since": "2026-04-09T14:00:00Z",
      "claim": null,
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn a_todo_is_completed() {
    let answer = answer(patch(
        "/api/v1/todos/1",
        r#"{"status": "done", "note": "All three docs pages deployed"}"#,
    ))
    .await;
    assert_snapshot!(answer, @r#"
    200 OK
    etag: "00000000000000000000000000000000-2"
    x-credits-cost: 1
    x-credits-remaining: 98

    {
      "todo_id": 1,
      "session_id": null,
      "title": "Write API docs",
      "description": "Document sessions, todos, and activities endpoints",
      "status": "done",
      "priority": 2,
      "due_at": "2026-04-10T00:00:00Z",
      "created_at": "2026-04-09T10:00:00Z",
      "updated_at": "2026-04-09T14:00:00Z",
      "status_since": "2026-04-09T14:00:00Z",
      "claim": null,
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn a_todo_is_deleted() {
    assert_snapshot!(answer(delete("/api/v1/todos/1")).await, @r#"
    200 OK
    x-credits-cost: 1
    x-credits-remaining: 98

    {"status": "deleted", "todo_id": 1}
    "#);
}

#[tokio::test]
async fn the_log_of_a_todo_is_listed() {
    assert_snapshot!(answer(get("/api/v1/todos/1/logs")).await, @r#"
    200 OK

    {
      "logs": [
        {
          "log_id": 1,
          "old_status": "open",
          "new_status": "in_progress",
          "note": "Starting work",
          "logged_at": "2026-04-09T11:00:00Z"
        },
        {
          "log_id": 2,
          "old_status": "in_progress",
          "new_status": "done",
          "note": "All three docs pages deployed",
          "logged_at": "2026-04-09T14:00:00Z"
        }
      ],
      "todo_id": 1
    }
    "#);
}

#[tokio::test]
async fn activities_are_listed() {
    assert_snapshot!(answer(get("/api/v1/activities?type=deploy&since=2026-04-01")).await, @r#"
    200 OK

    {
      "activities": [
        {
          "activity_id": 1,
          "session_id": 1,
          "activity_type": "deploy",
          "description": "Deployed docs pages for sessions, todos, activities",
          "logged_at": "2026-04-09T14:00:00Z",
          "created_at": "2026-04-09T14:00:00Z",
          "actor_id": 1
        }
      ],
      "total": 1,
      "limit": 20,
      "offset": 0,
      "next_cursor": null
    }
    "#);
}

#[tokio::test]
async fn an_activity_is_shown() {
    assert_snapshot!(answer(get("/api/v1/activities/1")).await, @r#"
    200 OK
    etag: "00000000000000000000000000000000-1"

    {
      "activity_id": 1,
      "session_id": 1,
      "activity_type": "deploy",
      "description": "Deployed docs pages for sessions, todos, activities",
      "logged_at": "2026-04-09T14:00:00Z",
      "created_at": "2026-04-09T14:00:00Z",
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn an_activity_is_logged() {
    let answer = answer(post(
        "/api/v1/activities",
        r#"{
        "description": "Deployed sessions, todos, and activities docs",
        "activity_type": "deploy",
        "session_id": 1
    }"#,
    ))
    .await;
    assert_snapshot!(answer, @r#"
    201 Created
    etag: "019d728c2e8070008000000000000002-1"
    location: /api/v1/activities/2
    x-credits-cost: 1
    x-credits-remaining: 98

    {
      "activity_id": 2,
      "session_id": 1,
      "activity_type": "deploy",
      "description": "Deployed sessions, todos, and activities docs",
      "logged_at": "2026-04-09T14:00:00Z",
      "created_at": "2026-04-09T14:00:00Z",
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn an_activity_is_logged_with_defaults() {
    assert_snapshot!(answer(post("/api/v1/activities", r#"{"description": "Read"}"#)).await, @r#"
    201 Created
    etag: "019d728c2e8070008000000000000002-1"
    location: /api/v1/activities/2
    x-credits-cost: 1
    x-credits-remaining: 98

    {
      "activity_id": 2,
      "session_id": null,
      "activity_type": "general",
      "description": "Read",
      "logged_at": "2026-04-09T14:00:00Z",
      "created_at": "2026-04-09T14:00:00Z",
      "actor_id": 1
    }
    "#);
}

#[tokio::test]
async fn an_activity_is_deleted() {
    assert_snapshot!(answer(delete("/api/v1/activities/1")).await, @r#"
    200 OK
    x-credits-cost: 1
    x-credits-remaining: 98

    {"status": "deleted", "activity_id": 1}
    "#);
}

#[tokio::test]
async fn activities_are_counted_by_the_days_of_a_zone() {
    let answer = answer(get("/api/v1/activities/stats?since=2026-04-07&tz=Asia/Kathmandu")).await;
    assert_snapshot!(answer, @r#"
    200 OK

    {
      "total_activities": 47,
      "by_type": [
        {"activity_type": "general", "count": 27},
        {"activity_type": "deploy", "count": 12},
        {"activity_type": "review", "count": 8}
      ],
      "by_type_omitted": 0,
      "by_day": [
        {"day": "2026-04-07", "count": 15},
        {"day": "2026-04-08", "count": 18},
        {"day": "2026-04-09", "count": 14}
      ],
      "by_day_omitted": 0,
      "sessions": {"total": 5, "active": 1}
    }
    "#);
}

#[tokio::test]
async fn activities_are_counted() {
    assert_snapshot!(answer(get("/api/v1/activities/stats?since=2026-04-07")).await, @r#"
    200 OK

    {
      "total_activities": 47,
      "by_type": [
        {"activity_type": "general", "count": 27},
        {"activity_type": "deploy", "count": 12},
        {"activity_type": "review", "count": 8}
      ],
      "by_type_omitted": 0,
      "by_day": [
        {"day": "2026-04-07", "count": 15},
        {"day": "2026-04-08", "count": 18},
        {"day": "2026-04-09", "count": 14}
      ],
      "by_day_omitted": 0,
      "sessions": {"total": 5, "active": 1}
    }
    "#);
}

#[tokio::test]
async fn todos_are_counted_in_whole_quarter_hours() {
    let asked = "/api/v1/todos/stats?since=2026-04-07&actor_id=all&tz=Asia/Kathmandu";
    assert_snapshot!(answer(get(asked)).await, @r#"
    200 OK

    {
      "since": "2026-04-06T18:15:00Z",
      "until": "2026-04-09T14:14:59.999999Z",
      "made": 5,
      "done": 3,
      "cancelled": 1,
      "by_actor": [
        {"actor_id": 1, "made": 4, "done": 3, "cancelled": 1},
        {"actor_id": 2, "made": 1, "done": 0, "cancelled": 0}
      ],
      "by_actor_omitted": 0,
      "by_day": [
        {"day": "2026-04-07", "made": 3, "done": 0, "cancelled": 0},
        {"day": "2026-04-09", "made": 2, "done": 3, "cancelled": 1}
      ]
    }
    "#);
}

#[tokio::test]
async fn credits_are_counted_with_the_balance_of_each_day() {
    let asked = "/api/v1/credits/stats?since=2020-01-01&until=2030-01-01&actor_id=all";
    assert_snapshot!(answer(get(asked)).await, @r#"
    200 OK

    {
      "since": "2025-04-08T14:15:00Z",
      "until": "2026-04-09T14:14:59.999999Z",
      "spent": 12,
      "granted": 100,
      "balance_before": 0,
      "balance_after": 88,
      "balance": 88,
      "by_actor": [{"actor_id": 1, "spent": 9}, {"actor_id": 2, "spent": 3}],
      "by_actor_omitted": 0,
      "by_day": [
        {"day": "2026-04-07", "spent": 4, "granted": 100, "balance": 96},
        {"day": "2026-04-09", "spent": 8, "granted": 0, "balance": 88}
      ]
    }
    "#);
}

#[tokio::test]
async fn actors_are_listed() {
    assert_snapshot!(answer(get("/api/v1/actors?limit=5")).await, @r#"
    200 OK

    {
      "actors": [
        {
          "actor_id": 1,
          "name": "docs-agent",
          "actor_type": "agent",
          "role": "owner",
          "is_active": true,
          "created_at": "2026-04-09T09:00:00Z"
        },
        {
          "actor_id": 2,
          "name": "Ada",
          "actor_type": "human",
          "role": "member",
          "is_active": true,
          "created_at": "2026-04-09T09:00:00Z"
        }
      ],
      "total": 2,
      "limit": 5,
      "offset": 0,
      "next_cursor": null
    }
    "#);
}

#[tokio::test]
async fn an_actor_is_shown() {
    assert_snapshot!(answer(get("/api/v1/actors/2")).await, @r#"
    200 OK

    {
      "actor_id": 2,
      "name": "Ada",
      "actor_type": "human",
      "role": "member",
      "is_active": true,
      "created_at": "2026-04-09T09:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn an_actor_is_added() {
    let answer =
        answer(post("/api/v1/actors", r#"{"name": "reviewer", "actor_type": "agent"}"#)).await;
    assert_snapshot!(answer, @r#"
    201 Created
    location: /api/v1/actors/3

    {
      "actor_id": 3,
      "name": "reviewer",
      "actor_type": "agent",
      "role": "member",
      "is_active": true,
      "created_at": "2026-04-09T14:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn an_actor_is_renamed() {
    assert_snapshot!(answer(patch("/api/v1/actors/2", r#"{"name": "Ada L."}"#)).await, @r#"
    200 OK

    {
      "actor_id": 2,
      "name": "Ada L.",
      "actor_type": "agent",
      "role": "owner",
      "is_active": true,
      "created_at": "2026-04-09T09:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn an_actor_is_deactivated() {
    assert_snapshot!(answer(delete("/api/v1/actors/2")).await, @r#"
    200 OK

    {"status": "deactivated", "actor_id": 2}
    "#);
}

#[tokio::test]
async fn keys_are_listed() {
    assert_snapshot!(answer(get("/api/v1/keys")).await);
}

#[tokio::test]
async fn a_key_is_created() {
    let answer = answer(post(
        "/api/v1/keys",
        r#"{"actor_id": 2, "label": "laptop", "expires_at": "2027-01-01T00:00:00Z"}"#,
    ))
    .await;
    assert_snapshot!(answer, @r#"
    201 Created
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "key_id": 2,
      "actor_id": 2,
      "api_key": "roots_2_secret",
      "key_prefix": "roots_2_sec",
      "label": "laptop",
      "created_at": "2026-04-09T14:00:00Z",
      "expires_at": "2027-01-01T00:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn a_members_key_is_renewed() {
    assert_snapshot!(answer(post("/api/v1/keys", r#"{"actor_id": 2, "renew": true}"#)).await, @r#"
    201 Created
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "key_id": 2,
      "actor_id": 2,
      "api_key": "roots_2_secret",
      "key_prefix": "roots_2_sec",
      "label": null,
      "created_at": "2026-04-09T14:00:00Z",
      "expires_at": null
    }
    "#);
}

#[tokio::test]
async fn the_owners_key_is_renewed() {
    assert_snapshot!(answer(post("/api/v1/keys", r#"{"actor_id": 1, "renew": true}"#)).await, @r#"
    201 Created
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "key_id": 2,
      "actor_id": 1,
      "api_key": "roots_2_secret",
      "key_prefix": "roots_2_sec",
      "label": null,
      "created_at": "2026-04-09T14:00:00Z",
      "expires_at": null,
      "recovery_code": "00002-CODE"
    }
    "#);
}

#[tokio::test]
async fn a_key_is_rotated() {
    let answer =
        answer(post("/api/v1/keys/rotate", r#"{"label": "new", "grace_seconds": 60}"#)).await;
    assert_snapshot!(answer, @r#"
    201 Created
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "key_id": 2,
      "actor_id": 1,
      "api_key": "roots_2_secret",
      "key_prefix": "roots_2_sec",
      "label": "new",
      "created_at": "2026-04-09T14:00:00Z",
      "expires_at": null
    }
    "#);
}

#[tokio::test]
async fn a_key_is_rotated_without_a_body() {
    assert_snapshot!(answer(ask("POST", "/api/v1/keys/rotate")).await, @r#"
    201 Created
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "key_id": 2,
      "actor_id": 1,
      "api_key": "roots_2_secret",
      "key_prefix": "roots_2_sec",
      "label": null,
      "created_at": "2026-04-09T14:00:00Z",
      "expires_at": null
    }
    "#);
}

#[tokio::test]
async fn a_key_is_revoked() {
    assert_snapshot!(answer(delete("/api/v1/keys/2")).await, @r#"
    200 OK

    {"status": "revoked", "key_id": 2}
    "#);
}

#[tokio::test]
async fn a_signup_creates_an_account() {
    assert_snapshot!(answer(post("/api/v1/bootstrap", NEW_ACCOUNT).without_key()).await, @r#"
    201 Created
    cache-control: no-store

    {
      "account_id": 2,
      "actor_id": 1,
      "actor_name": "docs-agent",
      "actor_type": "agent",
      "api_key": "roots_2_secret",
      "key_prefix": "roots_2_sec",
      "credits": 100,
      "recovery_code": "00002-CODE",
      "warning": "Store the API key and the recovery code now: they are shown only this once. Anybody who has either of them can read everything in this account."
    }
    "#);
}

#[tokio::test]
async fn an_account_is_recovered() {
    let answer =
        answer(post("/api/v1/recover", r#"{"recovery_code": "00001-CODE"}"#).without_key()).await;
    assert_snapshot!(answer, @r#"
    201 Created
    cache-control: no-store

    {
      "account_id": 1,
      "actor_id": 1,
      "key_id": 2,
      "api_key": "roots_2_secret",
      "key_prefix": "roots_2_sec",
      "recovery_code": "00002-CODE",
      "warning": "Store the API key and the recovery code now: they are shown only this once. Anybody who has either of them can read everything in this account."
    }
    "#);
}

#[tokio::test]
async fn a_recovery_code_is_renewed() {
    assert_snapshot!(answer(ask("POST", "/api/v1/recovery-code")).await, @r#"
    201 Created
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "account_id": 1,
      "recovery_code": "00002-CODE",
      "warning": "Store the recovery code now: it is shown only this once, and earlier codes are no longer valid. Anybody who has it can read everything in this account."
    }
    "#);
}

#[tokio::test]
async fn whoami_describes_the_caller() {
    assert_snapshot!(answer(get("/api/v1/whoami")).await, @r#"
    200 OK

    {
      "actor_id": 1,
      "actor_name": "docs-agent",
      "actor_type": "agent",
      "role": "owner",
      "account_id": 1,
      "account_name": "Acme",
      "account_type": "customer",
      "other_actors": [
        {
          "actor_id": 2,
          "name": "Ada",
          "actor_type": "human",
          "role": "member",
          "is_active": true,
          "created_at": "2026-04-09T09:00:00Z"
        }
      ],
      "other_actors_total": 1,
      "credits_remaining": 99
    }
    "#);
}

#[tokio::test]
async fn credits_are_shown() {
    assert_snapshot!(answer(get("/api/v1/credits")).await, @r#"
    200 OK

    {
      "balance": 99,
      "cost_model": {"reads": 0, "writes": 1},
      "recent_ledger": [
        {
          "ledger_id": 2,
          "delta": -1,
          "balance_after": 99,
          "reason": "api_write",
          "related_endpoint": "PATCH /todos/{id}",
          "created_at": "2026-04-09T10:00:00Z"
        },
        {
          "ledger_id": 1,
          "delta": 100,
          "balance_after": 100,
          "reason": "bootstrap_grant",
          "related_endpoint": null,
          "created_at": "2026-04-09T09:00:00Z"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn the_ledger_is_listed() {
    assert_snapshot!(answer(get("/api/v1/credits/ledger?reason=api_write&limit=5")).await, @r#"
    200 OK

    {
      "entries": [
        {
          "ledger_id": 2,
          "delta": -1,
          "balance_after": 99,
          "reason": "api_write",
          "related_endpoint": "PATCH /todos/{id}",
          "created_at": "2026-04-09T10:00:00Z"
        }
      ],
      "total": 1,
      "limit": 5,
      "offset": 0,
      "next_cursor": null
    }
    "#);
}

#[tokio::test]
async fn an_account_is_erased() {
    let answer =
        answer(delete("/api/v1/accounts/me").json(r#"{"recovery_code": "00001-CODE"}"#)).await;
    assert_snapshot!(answer, @r#"
    200 OK
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {"status": "erased", "account_id": 1}
    "#);
}

#[tokio::test]
async fn usage_of_a_month_is_listed() {
    assert_snapshot!(answer(get("/api/v1/usage?period=2026-04")).await, @r#"
    200 OK

    {
      "period": "2026-04",
      "used": 42,
      "top_endpoints": [
        {"endpoint": "/todos", "method": "GET", "calls": 30},
        {"endpoint": "/activities", "method": "POST", "calls": 12}
      ]
    }
    "#);
}

#[tokio::test]
async fn usage_is_listed_by_day() {
    assert_snapshot!(answer(get("/api/v1/usage/history")).await, @r#"
    200 OK

    {
      "period": "2026-04",
      "daily": [{"day": "2026-04-08", "calls": 12}, {"day": "2026-04-09", "calls": 30}]
    }
    "#);
}

#[tokio::test]
async fn a_running_service_is_healthy() {
    assert_snapshot!(answer(get("/health").without_key()).await, @r#"
    200 OK
    cache-control: no-store

    {"status": "ok", "version": "0.1.0"}
    "#);
}

#[tokio::test]
async fn a_service_with_a_database_is_ready() {
    assert_snapshot!(answer(get("/ready").without_key()).await, @r#"
    200 OK
    cache-control: no-store

    {"status": "ready"}
    "#);
}

#[tokio::test]
async fn a_service_that_lost_a_server_of_its_database_is_ready_and_degraded() {
    let mut api = MockedApi::whole();
    api.readiness.checkpoint();
    api.readiness.expect_ping().returning(|| Ok(vec!["db1.example.org:5432".to_owned()]));
    let answer = get("/ready").without_key().of(&api.router()).await;
    assert_snapshot!(answer.summary(), @r#"
    200 OK
    cache-control: no-store

    {"status": "degraded", "away": ["db1.example.org:5432"]}
    "#);
}

#[tokio::test]
async fn every_problem_is_explained_on_a_page() {
    assert_snapshot!(answer(get("/docs/problems").without_key()).await);
}

#[tokio::test]
async fn the_openapi_document_is_served_as_generated() {
    let answer = get("/api/v1/openapi.json").without_key().of_the_whole_api().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.body, roots_http::openapi().to_json().unwrap());
}
