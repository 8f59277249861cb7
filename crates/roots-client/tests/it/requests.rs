//! Conditions, headers and errors of single requests.

use std::time::Duration;

use roots_client::model::{
    ActivityFilter, ActorFilter, NewClaim, NewSession, NewTodo, PageStart, Paging, SessionFilter,
    StatsFilter, TodoChange, TodoFilter, TodoSort, TodoStatus,
};
use roots_client::{ApiKey, Charge, Client, ETag, Error, IdempotencyKey, Patch, RecoveryCode};
use serde_json::{Value, json};

use crate::server::{Server, answer, json_answer};

fn session() -> Value {
    json!({
        "session_id": 1, "status": "active", "notes": null,
        "started_at": "2026-04-09T10:00:00Z", "ended_at": null, "actor_id": 1,
    })
}

#[tokio::test]
async fn a_resource_comes_with_its_tag_and_a_write_with_its_charge() {
    let server = Server::start(|_, _| {
        let headers = [
            ("content-type", "application/json"),
            ("etag", "\"a1\""),
            ("x-credits-cost", "1"),
            ("x-credits-remaining", "98"),
            ("idempotent-replayed", "true"),
            ("x-request-id", "r1"),
        ];
        answer(201, &headers, session().to_string())
    })
    .await;
    let session = server.client().start_session(&NewSession::default()).await.unwrap();
    assert_eq!(session.value.session_id, 1);
    assert_eq!(session.etag.unwrap().as_str(), "\"a1\"");
    assert_eq!(session.charge, Some(Charge { cost: 1, remaining: 98 }));
    assert!(session.is_replay);
    assert_eq!(session.request_id.as_deref(), Some("r1"));
}

#[tokio::test]
async fn an_unchanged_resource_is_none() {
    let server = Server::start(|number, _| match number {
        0 => answer(304, &[("etag", "\"a1\"")], String::new()),
        _ => json_answer(200, &session()),
    })
    .await;
    let client = server.client();
    let tag = ETag::new("\"a1\"").unwrap();
    assert_eq!(client.get_session(1).if_none_match(&tag).await.unwrap(), None);
    assert!(client.get_session(1).if_none_match(&tag).await.unwrap().is_some());
    assert_eq!(server.seen()[0].header("if-none-match"), Some("\"a1\""));
}

#[tokio::test]
async fn a_change_names_the_state_that_it_is_for() {
    let server = Server::start(|_, _| crate::server::problem(412, "precondition-failed")).await;
    let client = server.client();
    let tag = ETag::new("\"a1\"").unwrap();
    let change = TodoChange { due_at: Patch::Clear, ..TodoChange::default() };
    let error = client.update_todo(1, &change).if_match(&tag).await.unwrap_err();
    assert_eq!(error.code(), Some("precondition-failed"));
    let error = client.delete_todo(1).if_match(&tag).await.unwrap_err();
    assert_eq!(error.problem().unwrap().status, 412);
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.header("if-match") == Some("\"a1\"")));
    assert_eq!(seen[0].json(), json!({"due_at": null}));
}

fn claimed_todo() -> Value {
    json!({
        "todo_id": 7, "session_id": null, "title": "t", "description": null,
        "status": "in_progress", "priority": 0, "due_at": null,
        "created_at": "2026-04-09T10:00:00Z", "updated_at": "2026-04-09T14:00:00Z",
        "status_since": "2026-04-09T14:00:00Z",
        "claim": {
            "token": 3, "session_id": null, "claimed_at": "2026-04-09T14:00:00Z",
            "lease_seconds": 7200,
        },
        "actor_id": 1, "until": "2026-04-09T16:01:00Z",
    })
}

#[tokio::test]
async fn a_claim_answers_none_when_no_todo_is_left() {
    let server = Server::start(|number, _| match number {
        0 => json_answer(200, &claimed_todo()),
        _ => answer(204, &[("x-credits-cost", "0")], String::new()),
    })
    .await;
    let client = server.client();
    let claim = NewClaim { min_priority: Some(2), ..NewClaim::default() };
    let key = IdempotencyKey::try_from("mine").unwrap();
    let claimed = client.claim_todo(&claim).idempotency_key(&key).await.unwrap().unwrap().value;
    assert_eq!((claimed.todo.todo_id, claimed.todo.claim.unwrap().token), (7, 3));
    assert_eq!(claimed.until, Some("2026-04-09T16:01:00Z".parse().unwrap()));
    assert_eq!(client.claim_todo(&claim).await.unwrap(), None);
    let seen = server.seen();
    assert_eq!(seen[0].json(), json!({"min_priority": 2}));
    assert_eq!(seen[0].header("idempotency-key"), Some("mine"));
}

#[tokio::test]
async fn writes_of_a_claimed_todo_send_its_token() {
    let server = Server::start(|_, _| crate::server::problem(409, "claim-lost")).await;
    let client = server.client();
    let change = TodoChange { claim_token: Some(3), ..TodoChange::default() };
    let error = client.update_todo(7, &change).await.unwrap_err();
    assert_eq!(error.code(), Some("claim-lost"));
    client.delete_todo(7).claim_token(3).await.unwrap_err();
    let seen = server.seen();
    assert_eq!(seen.len(), 2, "a lost claim stays lost");
    assert_eq!(seen[0].json(), json!({"claim_token": 3}));
    assert_eq!(seen[1].uri, "/api/v1/todos/7?claim_token=3");
}

#[tokio::test]
async fn filters_and_pages_are_in_the_query() {
    let server = Server::start(|_, _| answer(404, &[], String::new())).await;
    let client = server.client();
    let filter = TodoFilter {
        status: Some(TodoStatus::InProgress),
        priority: Some(3),
        session_id: Some(5),
        actor: Some(ActorFilter::All),
        ..TodoFilter::default()
    };
    let paging = Paging { limit: Some(7), start: PageStart::Offset(14) };
    client.list_todos(&filter, &paging).await.unwrap_err();
    let first = Paging::default();
    let (status, sort) = (Some(TodoStatus::Done), Some(TodoSort::StatusSince));
    let filter = TodoFilter { status, sort, ..TodoFilter::default() };
    client.list_todos(&filter, &first).await.unwrap_err();
    let filter = TodoFilter { overdue: true, ..TodoFilter::default() };
    client.list_todos(&filter, &first).await.unwrap_err();
    let (since, until) = ("2026-04-01".parse().ok(), "2026-04-09".parse().ok());
    let filter = SessionFilter { since, until, ..SessionFilter::default() };
    client.list_sessions(&filter, &first).await.unwrap_err();
    let active_since = "2026-04-09T10:00:00Z".parse().ok();
    let filter = SessionFilter { active_since, ..SessionFilter::default() };
    client.list_sessions(&filter, &first).await.unwrap_err();
    let filter = ActivityFilter {
        activity_type: Some("deploy".to_owned()),
        range: StatsFilter {
            session_id: None,
            time_zone: Some("Asia/Kathmandu".to_owned()),
            since: Some("2026-04-01".parse().unwrap()),
            until: Some("2026-04-09T10:00:00Z".parse().unwrap()),
            actor: Some(ActorFilter::One(2)),
        },
    };
    let paging = Paging { limit: None, start: PageStart::Cursor("Ab-_".to_owned()) };
    client.list_activities(&filter, &paging).await.unwrap_err();
    client.get_usage(Some("2026-04")).await.unwrap_err();
    let queries: Vec<_> =
        server.seen().iter().map(|seen| seen.uri.query().unwrap().to_owned()).collect();
    assert_eq!(
        queries,
        [
            "status=in_progress&priority=3&session_id=5&actor_id=all&limit=7&offset=14",
            "status=done&sort=status_since",
            "overdue=true",
            "since=2026-04-01&until=2026-04-09",
            "active_since=2026-04-09T10%3A00%3A00Z",
            "type=deploy&tz=Asia%2FKathmandu&since=2026-04-01&until=2026-04-09T10%3A00%3A00Z\
             &actor_id=2&cursor=Ab-_",
            "period=2026-04",
        ]
    );
}

#[tokio::test]
async fn every_error_of_a_request_is_told() {
    let server = Server::start(|_, _| {
        let body = json!({
            "type": "/docs/problems#invalid-body", "title": "Invalid body", "status": 422,
            "detail": "title is required", "request_id": "r", "error": "title is required",
            "errors": [{"field": "title", "message": "is required"}],
        });
        let kind = [("content-type", "application/problem+json; charset=utf-8")];
        answer(422, &kind, body.to_string())
    })
    .await;
    let error = server.client().create_todo(&NewTodo::default()).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(problem.code(), "invalid-body");
    assert_eq!(problem.errors[0].field, "title");
    assert_eq!(problem.errors[0].message, "is required");
}

#[tokio::test]
async fn an_answer_of_something_else_is_told_from_a_problem() {
    let server = Server::start(|number, _| match number {
        0 => answer(502, &[("content-type", "text/html"), ("retry-after", "9")], "<html>"),
        _ => answer(200, &[("content-type", "text/html")], "<html>\nroots_2_secret"),
    })
    .await;
    let client = server.client();
    let error = client.whoami().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
    assert!(error.to_string().contains("502 Bad Gateway"), "{error}");
    let error = client.whoami().await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { line: 1, column: 1, .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("secret"));
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::builder(&url).timeout(Duration::from_millis(20)).build().unwrap();
    assert!(matches!(client.health().await, Err(Error::TimedOut)));
    assert!(matches!(client.export(None).await.err(), Some(Error::TimedOut)));
}

#[tokio::test]
async fn the_program_names_itself_first() {
    let server = Server::start(|_, _| json_answer(200, &json!({"status": "ready"}))).await;
    let client = Client::builder(&server.url).user_agent("my-agent/1.2").build().unwrap();
    client.ready().await.unwrap();
    let agent = concat!("my-agent/1.2 roots-client/", env!("CARGO_PKG_VERSION"));
    assert_eq!(server.seen()[0].header("user-agent"), Some(agent));
    assert_eq!(server.seen()[0].header("x-api-key"), None);
}

#[test]
fn answers_hide_their_secrets() {
    let shown = json!({
        "key_id": 2, "actor_id": 1, "api_key": "roots_2_secret", "key_prefix": "roots_2_s",
        "label": null, "created_at": "2026-04-09T10:00:00Z", "expires_at": null,
        "recovery_code": "secret",
    });
    let shown: roots_client::model::NewKeyShown = serde_json::from_value(shown).unwrap();
    assert!(!format!("{shown:?}").contains("secret"));
    assert_eq!(shown.api_key.expose(), "roots_2_secret");
    assert_eq!(shown.recovery_code.as_ref().map(RecoveryCode::expose), Some("secret"));
    assert_eq!(ApiKey::from("x").expose(), "x");
}
