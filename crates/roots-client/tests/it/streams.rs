//! Lists row by row, exports and imports.

use std::convert::Infallible;
use std::pin::pin;

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures_util::{StreamExt, TryStreamExt, stream};
use roots_client::Error;
use roots_client::model::{ExportLine, ImportOptions, TodoFilter, TodoStatus};
use serde_json::{Value, json};

use crate::server::{Server, answer, json_answer, problem};

const SESSION: &str = r#"{"kind":"session","session_id":2,"status":"active","notes":"é","started_at":"2026-04-09T10:00:00Z","ended_at":null,"actor_id":1,"new_field":1}"#;
const END: &str = r#"{"kind":"end","counts":{"actors":0,"sessions":1,"todos":0,"todo_logs":0,"activities":0},"total":1,"unreadable":0}"#;

fn page(ids: std::ops::Range<i64>, next: Option<&str>) -> Value {
    let todo = |id| {
        json!({
            "todo_id": id, "session_id": null, "title": "t", "description": null, "status": "open",
            "priority": 0, "due_at": null, "created_at": "2026-04-09T10:00:00Z",
            "updated_at": "2026-04-09T10:00:00Z", "status_since": "2026-04-09T10:00:00Z",
            "actor_id": 1,
        })
    };
    json!({
        "todos": ids.map(todo).collect::<Vec<_>>(), "total": 5, "limit": 100, "offset": 0,
        "next_cursor": next,
    })
}

#[tokio::test]
async fn rows_come_page_by_page_in_their_order() {
    let server = Server::start(|number, _| match number {
        0 => json_answer(200, &page(1..3, Some("c1"))),
        1 => json_answer(200, &page(3..5, Some("c2"))),
        _ => json_answer(200, &page(5..6, None)),
    })
    .await;
    let client = server.client();
    let filter = TodoFilter { status: Some(TodoStatus::Open), ..TodoFilter::default() };
    let mut todos = pin!(client.todos(&filter));
    assert_eq!(todos.next().await.unwrap().unwrap().todo.todo_id, 1);
    assert_eq!(todos.next().await.unwrap().unwrap().todo.todo_id, 2);
    assert_eq!(server.seen().len(), 1, "the second page is not needed yet");
    let rest: Vec<i64> = todos.map_ok(|listed| listed.todo.todo_id).try_collect().await.unwrap();
    assert_eq!(rest, [3, 4, 5]);
    let queries: Vec<_> =
        server.seen().iter().map(|seen| seen.uri.query().unwrap().to_owned()).collect();
    assert_eq!(
        queries,
        [
            "status=open&limit=100",
            "status=open&limit=100&cursor=c1",
            "status=open&limit=100&cursor=c2"
        ]
    );
}

#[tokio::test]
async fn rows_end_with_the_first_error() {
    let server = Server::start(|number, _| match number {
        0 => json_answer(200, &page(1..2, Some("c1"))),
        _ => problem(401, "unauthorized"),
    })
    .await;
    let client = server.client();
    let todos: Vec<_> = client.todos(&TodoFilter::default()).collect().await;
    assert_eq!(todos.len(), 2);
    assert_eq!(todos[0].as_ref().unwrap().todo.todo_id, 1);
    assert_eq!(todos[1].as_ref().unwrap_err().code(), Some("unauthorized"));
}

/// A body that comes in small pieces.
fn in_pieces(text: &str) -> Response<Body> {
    let pieces: Vec<_> = text.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
    let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    answer(200, &[("content-type", "application/x-ndjson")], body)
}

#[tokio::test]
async fn an_export_comes_line_by_line_as_it_was_sent() {
    let text = format!("{SESSION}\n{END}\n");
    let sent = text.clone();
    let server = Server::start(move |_, _| in_pieces(&sent)).await;
    let lines = server.client().export(Some(1)).await.unwrap();
    let lines: Vec<_> = lines.try_collect().await.unwrap();
    let raw: Vec<u8> = lines.iter().flat_map(|line| line.raw.clone()).collect();
    assert_eq!(raw, text.as_bytes());
    assert!(matches!(&lines[0].line, ExportLine::Session(it) if it.notes.as_deref() == Some("é")));
    assert!(matches!(&lines[1].line, ExportLine::End(end) if end.total == 1));
    assert_eq!(server.seen()[0].uri.to_string(), "/api/v1/export?actor_id=1");
}

#[tokio::test]
async fn an_export_without_its_last_line_is_an_error() {
    for cut in ["", &SESSION[..20], SESSION, &format!("{SESSION}\n"), &format!("{SESSION}\n{END}")]
    {
        let text = cut.to_owned();
        let server = Server::start(move |_, _| in_pieces(&text)).await;
        let lines = server.client().export(None).await.unwrap();
        let lines: Vec<_> = lines.collect().await;
        assert!(matches!(lines.last(), Some(Err(Error::ExportCutOff))), "{cut}: {lines:?}");
    }
}

#[tokio::test]
async fn an_export_that_failed_is_an_error() {
    let error = r#"{"kind":"error","type":"/docs/problems#unauthorized","error":"The key ended."}"#;
    let text = format!("{SESSION}\n{error}\n");
    let server = Server::start(move |_, _| in_pieces(&text)).await;
    let lines: Vec<_> = server.client().export(None).await.unwrap().collect().await;
    assert_eq!(lines.len(), 2);
    let failure = lines[1].as_ref().unwrap_err();
    assert!(matches!(failure, Error::ExportFailed(_)));
    assert_eq!(failure.to_string(), "the export failed: The key ended.");
}

fn import() -> Value {
    json!({
        "dry_run": false, "lines": 1,
        "imported": {"sessions": 1, "todos": 0, "todo_logs": 0, "activities": 0},
        "already_imported": 0, "updated": 0, "unchanged": 0, "deleted": 0, "faulty": 0,
        "faults": [], "is_whole": false, "cost": 1, "from_line": 2,
    })
}

#[tokio::test]
async fn an_import_sends_its_file_as_it_is() {
    let server = Server::start(|_, _| json_answer(200, &import())).await;
    let client = server.client();
    let text = format!("{SESSION}\n{END}\n");
    let file = std::io::Cursor::new(text.clone().into_bytes());
    let options = ImportOptions {
        actor_id: Some(3),
        from_line: Some(2),
        deletes_missing: true,
        is_dry_run: true,
    };
    assert_eq!(client.import_from(&options, file).await.unwrap().imported.sessions, 1);
    let pieces = [SESSION, "\n", END, "\n"].map(|piece| Ok::<_, Infallible>(Bytes::from(piece)));
    client.import(&ImportOptions::default(), stream::iter(pieces)).await.unwrap();
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.body == text));
    assert!(seen.iter().all(|seen| seen.header("content-type") == Some("application/x-ndjson")));
    assert_eq!(
        seen[0].uri.query(),
        Some("actor_id=3&from_line=2&delete_missing=true&dry_run=true")
    );
    assert_eq!(seen[1].uri.query(), None);
}

#[tokio::test]
async fn an_import_that_ends_early_says_where_to_go_on() {
    let server = Server::start(|_, _| {
        let body = json!({
            "type": "/docs/problems#insufficient-credits", "title": "Insufficient credits",
            "status": 402, "detail": "d", "request_id": "r", "error": "d", "balance": 0, "cost": 1,
            "import": import(),
        });
        answer(402, &[("content-type", "application/problem+json")], body.to_string())
    })
    .await;
    let file = std::io::Cursor::new(SESSION);
    let error = server.client().import_from(&ImportOptions::default(), file).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!((problem.balance, problem.cost), (Some(0), Some(1)));
    assert_eq!(problem.import.as_ref().unwrap().from_line, Some(2));
}
