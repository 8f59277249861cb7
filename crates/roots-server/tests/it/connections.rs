//! Connections when all places are taken: the server closes an idle or unfinished one for a new
//! client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use roots_testkit::app::http_client;
use roots_testkit::database::until;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time;

use crate::program::{Server, WorkFolder, in_time, wait_for};

/// Loopback addresses of three clients. The server counts connections by address.
const NEIGHBOUR: &str = "127.0.0.1:0";
const CLIENT: &str = "127.0.0.2:0";
const BYSTANDER: &str = "127.0.0.3:0";
const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server with `places` places for connections and the further settings `more`.
fn server(folder: &WorkFolder, places: usize, more: &[(&str, &str)]) -> Server {
    let mut command = folder.command(&[]);
    command.env("ROOTS_CONNECTIONS", places.to_string());
    command.env("ROOTS_METRICS_BIND", "127.0.0.1:0").envs(more.iter().copied());
    Server::start(command)
}

/// Opens a connection from a loopback address.
async fn connect(server: &Server, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    in_time("a connection", socket.connect(server.address.parse().unwrap())).await.unwrap()
}

/// Reads an answer with a Content-Length. Returns `None` if the connection ends before.
async fn read_answer(stream: &mut TcpStream) -> Option<(u16, Vec<u8>)> {
    in_time("an answer", read_complete_answer(stream)).await
}

async fn read_complete_answer(stream: &mut TcpStream) -> Option<(u16, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let status = head.strip_prefix("http/1.1 ").unwrap()[..3].parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some((status, body))
}

/// Requests `/health` on an open connection. Returns the status, or `None` if the connection ends.
async fn ask(stream: &mut TcpStream) -> Option<u16> {
    stream.write_all(HEALTH.as_bytes()).await.ok()?;
    read_answer(stream).await.map(|(status, _)| status)
}

/// The page of the server's metrics.
async fn metrics(server: &Server) -> String {
    let line = wait_for("the metrics", || server.logged("metrics are served").pop());
    let url = format!("http://{}/metrics", line["address"].as_str().unwrap());
    let answer = in_time("the metrics", http_client().build().unwrap().get(url).send()).await;
    in_time("the page of metrics", answer.unwrap().text()).await.unwrap()
}

/// Waits until `count` requests are unfinished and the server is serving no connection. A client
/// can read an answer before the server counts its connection as idle.
async fn until_unfinished(server: &Server, count: usize) {
    let states = [
        format!("roots_connections{{state=\"unfinished\"}} {count}\n"),
        "roots_connections{state=\"served\"} 0\n".to_owned(),
    ];
    until(&format!("{count} requests are unfinished"), async || {
        let page = metrics(server).await;
        states.iter().all(|state| page.contains(state))
    })
    .await;
}

/// Waits until every connection is idle.
async fn until_idle(server: &Server) {
    until_unfinished(server, 0).await;
}

/// Opens `count` connections and makes one request on each, in order.
async fn answered(server: &Server, from: &str, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = connect(server, from).await;
        assert_eq!(ask(&mut stream).await, Some(200));
        streams.push(stream);
    }
    streams
}

/// Opens `count` connections, the longest idle first. Each is idle before the next one opens.
async fn idle(server: &Server, from: &str, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.extend(answered(server, from, 1).await);
        until_idle(server).await;
    }
    streams
}

/// The indexes of the connections that no longer answer.
async fn closed(streams: &mut [TcpStream]) -> Vec<usize> {
    let mut closed = Vec::new();
    for (at, stream) in streams.iter_mut().enumerate() {
        if ask(stream).await.is_none() {
            closed.push(at);
        }
    }
    closed
}

/// Waits until the server closes a connection, without sending anything before.
async fn assert_closed(stream: &mut TcpStream) {
    let read = in_time("the server to close the connection", stream.read(&mut [0])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "the server sent something");
}

#[tokio::test]
async fn a_new_client_closes_the_longest_idle_connection_of_the_address_with_the_most() {
    let folder = WorkFolder::new();
    let server = server(&folder, 6, &[]);
    let mut bystander = idle(&server, BYSTANDER, 1).await;
    let mut neighbour = idle(&server, NEIGHBOUR, 5).await;
    let mut client = idle(&server, CLIENT, 1).await;
    assert_closed(&mut neighbour[0]).await;
    // A new connection of the neighbour closes one of its own.
    let mut again = idle(&server, NEIGHBOUR, 1).await;
    assert_closed(&mut neighbour[1]).await;
    assert_eq!(closed(&mut neighbour).await, [0, 1]);
    for others in [&mut bystander, &mut client, &mut again] {
        assert!(closed(others).await.is_empty());
    }
    let page = metrics(&server).await;
    assert!(page.contains("roots_connections_given_up_total{reason=\"idle\"} 2"), "{page}");
    wait_for("the line of the log", || {
        server.logged("all places for connections were taken").pop()
    });
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_that_reconnect_keep_no_client_out() {
    let folder = WorkFolder::new();
    let server = Arc::new(server(&folder, 20, &[]));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut neighbours = JoinSet::new();
    for _ in 0..60 {
        let (server, is_over) = (Arc::clone(&server), Arc::clone(&is_over));
        neighbours.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let mut stream = connect(&server, NEIGHBOUR).await;
                // The read ends when the server closes the connection.
                let _ = stream.read_to_end(&mut Vec::new()).await;
                time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    wait_for("all places to be taken", || {
        server.logged("all places for connections were taken").pop()
    });
    for round in 0..100 {
        // On a busy machine the server may refuse a client before it has closed the connection that
        // it gave up. The client then connects again.
        until(&format!("client {round} is answered"), async || {
            ask(&mut connect(&server, CLIENT).await).await == Some(200)
        })
        .await;
    }
    is_over.store(true, Ordering::Relaxed);
    neighbours.shutdown().await;
    Arc::into_inner(server).unwrap().stop();
}

#[tokio::test]
async fn a_new_client_closes_the_unfinished_request_head_with_the_fewest_bytes() {
    let folder = WorkFolder::new();
    let server = server(&folder, 20, &[]);
    let mut bystander = idle(&server, BYSTANDER, 8).await;
    let mut heads = Vec::new();
    for at in 0..12 {
        let mut stream = connect(&server, NEIGHBOUR).await;
        let pad = "x".repeat(if at == 5 { 1 } else { 10 });
        stream.write_all(format!("GET /health HTTP/1.1\r\nX-Pad: {pad}").as_bytes()).await.unwrap();
        heads.push(stream);
    }
    until_unfinished(&server, heads.len()).await;
    // All connections of the bystander are idle, but the neighbour holds more.
    let _client = answered(&server, CLIENT, 1).await;
    assert_closed(&mut heads[5]).await;
    for (at, stream) in heads.iter_mut().enumerate() {
        let sent = stream.write_all(b"\r\nHost: x\r\n\r\n").await;
        let answer = if sent.is_ok() { read_answer(stream).await } else { None };
        assert_eq!(answer.map(|(status, _)| status), (at != 5).then_some(200), "{at}");
    }
    assert!(closed(&mut bystander).await.is_empty());
    server.stop();
}

#[tokio::test]
async fn a_new_client_closes_the_unfinished_request_body_with_the_fewest_bytes() {
    let folder = WorkFolder::new();
    let server = server(&folder, 5, &[]);
    let key = folder.operator_key();
    let body = json!({ "description": "x" }).to_string();
    let mut bodies = Vec::new();
    for at in 0..5 {
        let mut stream = connect(&server, NEIGHBOUR).await;
        let (pad, length) = ("x".repeat(if at == 2 { 1 } else { 10 }), body.len());
        let head = format!(
            "POST /api/v1/activities HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nX-Pad: {pad}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The 100 says that the server waits for the body.
        let (status, _) = read_answer(&mut stream).await.unwrap();
        assert_eq!(status, 100);
        bodies.push(stream);
    }
    until_unfinished(&server, bodies.len()).await;
    let mut client = answered(&server, CLIENT, 1).await;
    assert_closed(&mut bodies[2]).await;
    for (at, stream) in bodies.iter_mut().enumerate() {
        let sent = stream.write_all(body.as_bytes()).await;
        let answer = if sent.is_ok() { read_answer(stream).await } else { None };
        assert_eq!(answer.map(|(status, _)| status), (at != 2).then_some(201), "{at}");
    }
    assert!(closed(&mut client).await.is_empty());
    drop((bodies, client));
    assert_eq!(server.client(&key).read("/api/v1/activities").await["total"], 4);
    server.stop();
}

#[tokio::test]
async fn the_server_never_closes_a_connection_in_the_middle_of_an_answer() {
    let folder = WorkFolder::new();
    let server = server(&folder, 2, &[]);
    let key = folder.operator_key();
    let api = server.client(&key);
    // JSON writes each of these characters as six bytes, so a page of 25 todos is 9.4 MiB.
    let todo = json!({ "title": "x", "description": "\u{1}".repeat(65_536) });
    for _ in 0..25 {
        assert_eq!(api.post("/api/v1/todos", &todo).send().await.unwrap().status(), 201);
    }
    drop(api);
    let mut owed = Vec::new();
    for _ in 0..2 {
        let socket = TcpSocket::new_v4().unwrap();
        // A small buffer keeps most of the answer on the server.
        socket.set_recv_buffer_size(4096).unwrap();
        let address: SocketAddr = server.address.parse().unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let ask =
            format!("GET /api/v1/todos?limit=25 HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.unwrap();
        let first = in_time("the start of the answer", stream.read_u8()).await;
        assert_eq!(first.unwrap(), b'H');
        owed.push(stream);
    }
    // Both connections are being served, so a third one of the same address gets 503.
    for _ in 0..3 {
        let mut refused = connect(&server, NEIGHBOUR).await;
        let (status, body) = read_answer(&mut refused).await.unwrap();
        assert_eq!(status, 503);
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["status"], 503);
        assert_closed(&mut refused).await;
    }
    // A client of another address gets a spare place.
    let _client = answered(&server, CLIENT, 1).await;
    for mut stream in owed {
        in_time("the rest of the answer", async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap().to_lowercase();
            assert!(head.starts_with("ttp/1.1 200"), "{head}");
            assert!(head.contains("transfer-encoding: chunked"), "{head}");
            let (mut body, mut piece) = (Vec::new(), vec![0; 8_192]);
            while !body.ends_with(b"}\r\n0\r\n\r\n") {
                let read = stream.read(&mut piece).await.unwrap();
                assert!(read > 0, "the answer was cut after {} bytes", body.len());
                body.extend_from_slice(&piece[..read]);
            }
        })
        .await;
    }
    server.stop();
}

#[tokio::test]
async fn a_trusted_proxy_yields_only_idle_connections_and_last() {
    let folder = WorkFolder::new();
    let server = server(&folder, 4, &[("ROOTS_TRUSTED_PROXIES", "127.0.0.3")]);
    let proxy = BYSTANDER;
    let mut of_proxy = idle(&server, proxy, 2).await;
    let mut neighbour = idle(&server, NEIGHBOUR, 1).await;
    let mut unfinished = connect(&server, proxy).await;
    unfinished.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
    until_unfinished(&server, 1).await;
    // The proxy holds more connections, and they are idle for longer.
    let client = answered(&server, CLIENT, 1).await;
    assert_closed(&mut neighbour[0]).await;
    for stream in &mut of_proxy {
        assert_eq!(ask(stream).await, Some(200));
        until_unfinished(&server, 1).await;
    }
    drop(client);
    // If the proxy holds all four places, the server closes one of its idle connections.
    of_proxy.extend(answered(&server, proxy, 1).await);
    until_unfinished(&server, 1).await;
    let _client = answered(&server, CLIENT, 1).await;
    assert_closed(&mut of_proxy[0]).await;
    assert_eq!(closed(&mut of_proxy).await, [0]);
    unfinished.write_all(b"Host: x\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut unfinished).await.unwrap().0, 200);
    server.stop();
}

/// Sends a new activity until the answer is 201, on `connection` if it is open. Returns how often
/// the connection ended without an answer.
async fn log_until_answered(
    address: &str,
    key: &str,
    body: &str,
    connection: &mut Option<TcpStream>,
) -> usize {
    let length = body.len();
    let head = format!(
        "POST /api/v1/activities HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut cuts = 0;
    loop {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => TcpStream::connect(address).await.unwrap(),
        };
        // The request is sent in two pieces, so the server may close the connection between them.
        let is_sent = stream.write_all(head.as_bytes()).await.is_ok();
        tokio::task::yield_now().await;
        let _ = is_sent && stream.write_all(body.as_bytes()).await.is_ok();
        match read_answer(&mut stream).await {
            Some((201, _)) => {
                *connection = Some(stream);
                return cuts;
            }
            Some((503, _)) => time::sleep(Duration::from_millis(1)).await,
            Some((status, body)) => panic!("{status}: {}", String::from_utf8_lossy(&body)),
            None => cuts += 1,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_applied_write_is_answered_while_connections_are_scarce() {
    const CLIENTS: usize = 40;
    /// The least number of writes of each client.
    const WRITES: usize = 15;
    let folder = WorkFolder::new();
    let server = server(&folder, 10, &[]);
    let key = folder.operator_key();
    let cuts = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (address, key, cuts) = (server.address.clone(), key.clone(), Arc::clone(&cuts));
        clients.spawn(async move {
            let (mut connection, mut write) = (None, 0);
            // Clients go on until the server has closed a connection in the middle of a request.
            while write < WRITES || cuts.load(Ordering::Relaxed) == 0 {
                assert!(write < 1_000, "the server never closed a connection");
                let body = json!({ "description": format!("{number} {write}") }).to_string();
                let sent = log_until_answered(&address, &key, &body, &mut connection);
                let cut = in_time("a write to be answered", sent).await;
                cuts.fetch_add(cut, Ordering::Relaxed);
                write += 1;
            }
            write
        });
    }
    let writes: usize = clients.join_all().await.into_iter().sum();
    let total = server.client(&key).read("/api/v1/activities").await["total"].clone();
    assert_eq!(total, writes, "a write was applied whose answer was cut");
    server.stop();
}
