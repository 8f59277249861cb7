//! A stream of events opens itself again.

use std::pin::pin;

use axum::body::Body;
use axum::http::Response;
use futures_util::{StreamExt, TryStreamExt};
use roots_client::model::{EventOptions, EventUpdate};
use serde_json::json;

use crate::server::{Server, answer, problem};

fn event(id: &str) -> String {
    let data = json!({
        "id": id, "kind": "todo", "action": "updated", "actor_id": 1, "subject_id": 7,
        "subject_actor_id": 1, "rows": 1, "status": "done", "credits": -1,
        "created_at": "2026-04-09T10:00:00Z", "new_field": 1,
    });
    format!("id: {id}\ndata: {data}\n\n")
}

fn stream(text: String) -> Response<Body> {
    answer(200, &[("content-type", "text/event-stream")], text)
}

fn id(update: &EventUpdate) -> String {
    match update {
        EventUpdate::Event(event) => event.id.clone(),
        EventUpdate::Reset { id } => format!("reset at {id}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_that_was_cut_goes_on_behind_the_last_whole_event() {
    let server = Server::start(|number, _| match number {
        // Cut off in the middle of its second event.
        0 => stream(format!("retry: 1\n\nid: 1.1\n\n{}id: 3.1\ndata: {{", event("2.1"))),
        1 => problem(503, "unavailable"),
        2 => stream(format!("{}event: reset\nid: 9.1\ndata: {{}}\n\n", event("3.1"))),
        3 => stream(event("10.1")),
        _ => problem(401, "unauthorized"),
    })
    .await;
    let updates: Vec<_> = server.client().events(&EventOptions::default()).collect().await;
    let (last, told) = updates.split_last().unwrap();
    let told: Vec<_> = told.iter().map(|update| id(update.as_ref().unwrap())).collect();
    assert_eq!(told, ["2.1", "3.1", "reset at 9.1", "10.1"]);
    assert_eq!(last.as_ref().unwrap_err().code(), Some("unauthorized"));
    let seen = server.seen();
    let asked: Vec<_> = seen.iter().map(|seen| seen.header("last-event-id")).collect();
    assert_eq!(asked, [None, Some("2.1"), Some("2.1"), Some("9.1"), Some("10.1")]);
}

#[tokio::test]
async fn a_stream_that_does_not_follow_ends_with_what_is_there() {
    let server = Server::start(|_, _| stream(format!("retry: 1\n\n{}", event("5.1")))).await;
    let options = EventOptions { last_event_id: Some("4.1".to_owned()), ends_now: true };
    let client = server.client();
    let updates: Vec<_> = pin!(client.events(&options)).try_collect().await.unwrap();
    assert_eq!(updates.iter().map(id).collect::<Vec<_>>(), ["5.1"]);
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].uri.to_string(), "/api/v1/events?follow=false");
    assert_eq!(seen[0].header("last-event-id"), Some("4.1"));
}
