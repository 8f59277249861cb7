//! Streams of events of the real program.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::program::{Api, WorkFolder, in_time};

/// Opens a stream and reads what it begins with.
async fn open(api: &Api) -> Response {
    let mut stream = api.get("/api/v1/events").send().await.unwrap();
    assert_eq!(stream.status(), 200);
    read_until(&mut stream, "id: ").await;
    stream
}

/// Reads until the text came.
async fn read_until(stream: &mut Response, text: &str) {
    let mut told = String::new();
    while !told.contains(text) {
        let piece = in_time("the next event", stream.chunk()).await.unwrap();
        told.push_str(std::str::from_utf8(&piece.expect(text)).unwrap());
    }
}

/// Reads to the end, which need not be a clean one.
async fn read_to_end(mut stream: Response) {
    while in_time("the end of a stream", stream.chunk()).await.is_ok_and(|piece| piece.is_some()) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_the_server_stops_and_do_not_hold_it_up() {
    let folder = WorkFolder::new();
    let server = folder.serve();
    let api = server.client(&folder.operator_key());
    let streams = [open(&api).await, open(&api).await];
    // It expects a clean end: with a stream left, the server would be cut off after 10 s.
    let log = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    assert!(log.iter().all(|line| line["level"] != "ERROR"), "{log:?}");
    for stream in streams {
        read_to_end(stream).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_what_another_process_writes_and_ends_when_it_revokes_the_key() {
    let folder = WorkFolder::on_postgres().await;
    let servers = [folder.serve(), folder.serve()];
    let owners = servers.each_ref().map(|server| server.client(&folder.operator_key()));
    let made = owners[1].post("/api/v1/keys", &json!({ "actor_id": 1 })).send().await.unwrap();
    let made: Value = serde_json::from_str(&made.text().await.unwrap()).unwrap();
    let follower = servers[0].client(made["api_key"].as_str().unwrap());
    let mut stream = open(&follower).await;
    let todo = owners[1].post("/api/v1/todos", &json!({ "title": "t" })).send().await.unwrap();
    assert_eq!(todo.status(), 201);
    read_until(&mut stream, r#""kind":"todo","action":"created""#).await;
    let revoked = owners[1].ask(Method::DELETE, &format!("/api/v1/keys/{}", made["key_id"]));
    assert_eq!(revoked.send().await.unwrap().status(), 200);
    read_to_end(stream).await;
    for server in servers {
        tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_no_event() {
    let folder = WorkFolder::new();
    let server = folder.serve();
    let api = server.client(&folder.operator_key());
    let mut stream = open(&api).await;
    let write = async |api: &Api| {
        let request = api.post("/api/v1/todos", &json!({ "title": "t" }));
        assert_eq!(request.send().await.unwrap().status(), 201);
    };
    write(&api).await;
    read_until(&mut stream, "id: 2.0").await;
    write(&api).await;
    // Killed.
    drop(server);
    read_to_end(stream).await;
    let server = folder.serve();
    let api = server.client(&folder.operator_key());
    write(&api).await;
    let again = api.get("/api/v1/events?follow=false").header("Last-Event-ID", "2.0");
    let told = again.send().await.unwrap().text().await.unwrap();
    let ids: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(ids, ["2.0", "3.0", "4.0"]);
}
