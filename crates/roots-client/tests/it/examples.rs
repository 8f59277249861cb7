//! The examples run, against a server that replays the answers of the OpenAPI document.

use std::fmt::Write;

use roots_client::Operation;
use serde_json::Value;

use crate::document::{described, document};
use crate::server::{Server, answer};

#[expect(dead_code, reason = "`main` is for the command line")]
#[path = "../../examples/export.rs"]
mod export;
#[expect(dead_code, reason = "`main` is for the command line")]
#[path = "../../examples/first_session.rs"]
mod first_session;

/// A server that gives each operation its example.
async fn replaying() -> Server {
    let document = document();
    let described = described(&document);
    Server::start(move |_, seen| {
        let path = seen.uri.path();
        let is_it = |operation: &Operation| {
            let (start, end) =
                operation.path().split_once("{id}").unwrap_or((operation.path(), ""));
            let id = path.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            let fits = |id: &str| id.is_empty() || id.bytes().all(|byte| byte.is_ascii_digit());
            operation.method() == seen.method && id.is_some_and(fits)
        };
        let operation = Operation::ALL.iter().find(|operation| is_it(operation)).unwrap();
        let (status, kind, _, example) = described[operation.id()].success();
        let body = match example {
            Value::String(line) => {
                let mut lines = line + "\n";
                let counts = r#""actors":0,"sessions":1,"todos":0,"todo_logs":0,"activities":0"#;
                writeln!(
                    lines,
                    r#"{{"kind":"end","counts":{{{counts}}},"total":1,"unreadable":0}}"#
                )
                .unwrap();
                lines
            }
            example => example.to_string(),
        };
        answer(status, &[("content-type", &kind), ("etag", "\"fAXC1S0kB1k\"")], body)
    })
    .await
}

#[tokio::test]
async fn the_first_session_works() {
    let server = replaying().await;
    first_session::run(&server.client()).await.unwrap();
    let seen = server.seen();
    let requests: Vec<_> =
        seen.iter().map(|seen| format!("{} {}", seen.method, seen.uri.path())).collect();
    assert_eq!(
        requests,
        [
            "POST /api/v1/sessions",
            "POST /api/v1/todos",
            "PATCH /api/v1/todos/2",
            "POST /api/v1/activities",
            "PATCH /api/v1/sessions/2",
            "GET /api/v1/todos",
            "GET /api/v1/activities/stats",
        ]
    );
    assert_eq!(seen[2].header("if-match"), Some("\"fAXC1S0kB1k\""));
}

#[tokio::test]
async fn the_export_works() {
    let server = replaying().await;
    let mut file = Vec::new();
    export::run(&server.client(), &mut file).await.unwrap();
    assert_eq!(String::from_utf8(file).unwrap().lines().count(), 2);
}
