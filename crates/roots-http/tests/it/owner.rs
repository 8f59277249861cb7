//! What an owner may read and write for another actor, and a member may not.

use insta::assert_snapshot;

use crate::fixture::{ANOTHERS, MockedApi, TestRequest, get, post};

async fn answer(request: TestRequest) -> String {
    request.of_the_whole_api().await.summary()
}

#[tokio::test]
async fn an_owner_reads_a_members_session() {
    assert_snapshot!(answer(get("/api/v1/sessions/9")).await, @r#"
    200 OK
    etag: "00000000000000000000000000000000-1"

    {
      "session_id": 9,
      "status": "active",
      "notes": "Working on API docs",
      "started_at": "2026-04-09T10:00:00Z",
      "ended_at": null,
      "ended_reason": null,
      "duration_seconds": null,
      "actor_id": 2
    }
    "#);
}

#[tokio::test]
async fn an_owner_creates_a_todo_for_a_member() {
    let answer = answer(post("/api/v1/todos", r#"{"title": "Tidy up", "actor_id": 2}"#)).await;
    assert_snapshot!(answer, @r#"
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
      "actor_id": 2
    }
    "#);
}

#[tokio::test]
async fn a_write_for_an_unknown_actor_is_422() {
    let answer =
        answer(post("/api/v1/activities", r#"{"description": "Read", "actor_id": 7}"#)).await;
    assert_snapshot!(answer, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "There is no actor 7.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "There is no actor 7.",
      "errors": [{"field": "actor_id", "message": "There is no actor 7."}]
    }
    "#);
}

#[tokio::test]
async fn sessions_of_all_actors_are_listed() {
    assert_snapshot!(answer(get("/api/v1/sessions?actor_id=all&status=active")).await, @r#"
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
async fn a_members_todos_are_listed() {
    assert_snapshot!(answer(get("/api/v1/todos?actor_id=2&limit=1")).await, @r#"
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
      "limit": 1,
      "offset": 0,
      "next_cursor": null
    }
    "#);
}

#[tokio::test]
async fn activities_of_all_actors_are_counted() {
    assert_snapshot!(answer(get("/api/v1/activities/stats?actor_id=all")).await, @r#"
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
async fn a_members_list_of_all_todos_is_403() {
    assert_snapshot!(answer(get("/api/v1/todos?actor_id=all").by_the_member()).await, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#owner-only",
      "title": "Only the owner may do this",
      "status": 403,
      "detail": "Only the account's owner may do this: a member reads and writes only its own data.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Only the account's owner may do this: a member reads and writes only its own data."
    }
    "#);
}

#[tokio::test]
async fn an_actor_id_in_a_query_is_a_number_or_all() {
    assert_snapshot!(answer(get("/api/v1/sessions?actor_id=ALL")).await, @r#"
    400 Bad Request

    {
      "type": "/docs/problems#invalid-parameters",
      "title": "Invalid query parameters",
      "status": 400,
      "detail": "actor_id must be a positive integer, or all.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "actor_id must be a positive integer, or all.",
      "errors": [{"field": "actor_id", "message": "must be a positive integer, or all"}]
    }
    "#);
}

#[tokio::test]
async fn a_members_write_for_another_actor_is_403() {
    let answer = answer(post("/api/v1/sessions", r#"{"actor_id": 1}"#).by_the_member()).await;
    assert_snapshot!(answer, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#owner-only",
      "title": "Only the owner may do this",
      "status": 403,
      "detail": "Only the account's owner may do this: a member reads and writes only its own data.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Only the account's owner may do this: a member reads and writes only its own data."
    }
    "#);
}

#[tokio::test]
async fn a_member_may_name_itself() {
    let router = MockedApi::whole().router();
    for (path, body) in [
        ("/api/v1/sessions", r#"{"actor_id": 2}"#),
        ("/api/v1/todos", r#"{"title": "Tidy up", "actor_id": 2}"#),
        ("/api/v1/activities", r#"{"description": "Read", "actor_id": 2}"#),
    ] {
        let made = post(path, body).by_the_member().of(&router).await;
        assert_eq!((made.status.as_u16(), made.json()["actor_id"].as_i64()), (201, Some(2)));
    }
}

#[tokio::test]
async fn rows_of_other_actors_are_404_to_a_member() {
    let router = MockedApi::whole().router();
    for (path, status) in [
        (format!("/api/v1/sessions/{ANOTHERS}"), 200),
        (format!("/api/v1/todos/{ANOTHERS}"), 200),
        (format!("/api/v1/todos/{ANOTHERS}/logs"), 200),
        (format!("/api/v1/activities/{ANOTHERS}"), 200),
        ("/api/v1/sessions/1".to_owned(), 404),
        ("/api/v1/todos/1".to_owned(), 404),
        ("/api/v1/todos/1/logs".to_owned(), 404),
        ("/api/v1/activities/1".to_owned(), 404),
    ] {
        assert_eq!(get(&path).by_the_member().of(&router).await.status, status, "{path}");
        // The owner may read all of them.
        assert_eq!(get(&path).of(&router).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_actor_is_named_by_a_positive_integer() {
    let router = MockedApi::keyed().router();
    for (value, error) in [
        ("0", "actor_id must be a positive integer"),
        ("-2", "actor_id must be a positive integer"),
        (r#""2""#, "actor_id must be an integer, not a string"),
        ("2.5", "actor_id must be an integer, not a number with a fraction"),
        (r#""all""#, "actor_id must be an integer, not a string"),
    ] {
        for (path, rest) in [
            ("/api/v1/sessions", ""),
            ("/api/v1/todos", r#""title": "x", "#),
            ("/api/v1/activities", r#""description": "x", "#),
        ] {
            let body = format!(r#"{{{rest}"actor_id": {value}}}"#);
            let answer = post(path, &body).of(&router).await;
            assert_eq!((answer.status.as_u16(), answer.errors()), (422, vec![error.to_owned()]));
        }
    }
}

#[tokio::test]
async fn lists_and_stats_of_other_actors_are_403_to_a_member() {
    let router = MockedApi::whole().router();
    for path in
        ["sessions", "todos", "activities", "activities/stats", "todos/stats", "credits/stats"]
    {
        for (actor, owner, member) in [
            ("1", 200, 403),
            ("2", 200, 200),
            // No actor has this id, so the owner's list is empty.
            ("7", 200, 403),
            ("all", 200, 403),
            ("0", 400, 400),
            ("-1", 400, 400),
            ("01", 400, 400),
            ("All", 400, 400),
            ("1,2", 400, 400),
            ("", 400, 400),
            ("9223372036854775808", 400, 400),
        ] {
            let ask = || get(&format!("/api/v1/{path}?actor_id={actor}"));
            let answers = (ask().of(&router).await, ask().by_the_member().of(&router).await);
            let statuses = (answers.0.status.as_u16(), answers.1.status.as_u16());
            assert_eq!(statuses, (owner, member), "{path} of {actor}");
        }
        let twice = format!("/api/v1/{path}?actor_id=1&actor_id=all");
        assert_eq!(get(&twice).of(&router).await.status, 400);
    }
    for path in ["sessions/1", "todos/1", "todos/1/logs", "activities/1", "credits", "whoami"] {
        let path = format!("/api/v1/{path}?actor_id=1");
        assert_eq!(get(&path).of(&router).await.status, 400, "{path}");
    }
}
