//! Connections are shared: where all places are taken, one that is idle or slow makes room.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roots_testkit::app::http_client;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::program::{Server, WorkFolder, wait_for};

/// Addresses of this machine that stand for clients.
const NEIGHBOUR: &str = "127.0.0.1:0";
const CLIENT: &str = "127.0.0.2:0";
const BYSTANDER: &str = "127.0.0.3:0";
const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server with `places` places for connections.
fn server(folder: &WorkFolder, places: usize, more: &[(&str, &str)]) -> Server {
    let mut command = folder.command(&[]);
    command.env("ROOTS_CONNECTIONS", places.to_string());
    command.env("ROOTS_METRICS_BIND", "127.0.0.1:0").envs(more.iter().copied());
    Server::start(command)
}

/// A connection of a client.
async fn connect(server: &Server, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    socket.connect(server.address.parse().unwrap()).await.unwrap()
}

/// Reads the head of an answer and as much of its body as it announces.
async fn read_answer(stream: &mut TcpStream) -> Option<(u16, Vec<u8>)> {
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

/// Asks on a connection that stays open. The status of the answer, if one comes.
async fn ask(stream: &mut TcpStream) -> Option<u16> {
    stream.write_all(HEALTH.as_bytes()).await.ok()?;
    read_answer(stream).await.map(|(status, _)| status)
}

/// What the server tells of itself.
async fn metrics(server: &Server) -> String {
    let line = wait_for("the metrics", || server.logged("metrics are served").pop());
    let url = format!("http://{}/metrics", line["address"].as_str().unwrap());
    let answer = http_client().build().unwrap().get(url).send().await;
    answer.unwrap().text().await.unwrap()
}

/// Waits until that many requests are arriving, and the server has nothing to do for any
/// connection. A client has an answer before the server knows that its connection is idle.
async fn until_unfinished(server: &Server, count: usize) {
    let states = [
        format!("roots_connections{{state=\"unfinished\"}} {count}\n"),
        "roots_connections{state=\"served\"} 0\n".to_owned(),
    ];
    loop {
        let page = metrics(server).await;
        if states.iter().all(|state| page.contains(state)) {
            return;
        }
    }
}

/// Waits until every connection is idle.
async fn until_idle(server: &Server) {
    until_unfinished(server, 0).await;
}

/// Opens that many connections, which have been answered, the longest idle first.
async fn answered(server: &Server, from: &str, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = connect(server, from).await;
        assert_eq!(ask(&mut stream).await, Some(200));
        streams.push(stream);
    }
    streams
}

/// Opens that many connections, which lie idle when all others do, the longest idle first.
async fn idle(server: &Server, from: &str, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.extend(answered(server, from, 1).await);
        until_idle(server).await;
    }
    streams
}

/// Which of these connections no longer answer.
async fn closed(streams: &mut [TcpStream]) -> Vec<usize> {
    let mut closed = Vec::new();
    for (at, stream) in streams.iter_mut().enumerate() {
        if ask(stream).await.is_none() {
            closed.push(at);
        }
    }
    closed
}

/// Waits until the server has closed a connection.
async fn is_closed(stream: &mut TcpStream) {
    let read = stream.read(&mut [0]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "it was told something");
}

#[tokio::test]
async fn the_longest_idle_connection_of_a_neighbour_makes_room_for_a_client() {
    let folder = WorkFolder::new();
    let server = server(&folder, 6, &[]);
    let mut bystander = idle(&server, BYSTANDER, 1).await;
    let mut neighbour = idle(&server, NEIGHBOUR, 5).await;
    let mut client = idle(&server, CLIENT, 1).await;
    is_closed(&mut neighbour[0]).await;
    // The neighbour takes a place of its own.
    let mut again = idle(&server, NEIGHBOUR, 1).await;
    is_closed(&mut neighbour[1]).await;
    assert_eq!(closed(&mut neighbour).await, [0, 1]);
    for others in [&mut bystander, &mut client, &mut again] {
        assert!(closed(others).await.is_empty());
    }
    let page = metrics(&server).await;
    assert!(page.contains("roots_connections_given_up_total{reason=\"idle\"} 2"), "{page}");
    wait_for("the log to tell", || server.logged("all places for connections were taken").pop());
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
                // Until it is closed.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        });
    }
    wait_for("places to be short", || server.logged("all places for connections were taken").pop());
    for round in 0..100 {
        let ask_anew = async || ask(&mut connect(&server, CLIENT).await).await;
        let mut answered = ask_anew().await;
        // A machine that is so busy that no thread comes to close what was given up may refuse it.
        for _ in 0..10 {
            if answered != Some(200) {
                answered = ask_anew().await;
            }
        }
        assert_eq!(answered, Some(200), "{round}");
    }
    is_over.store(true, Ordering::Relaxed);
    neighbours.shutdown().await;
    Arc::into_inner(server).unwrap().stop();
}

#[tokio::test]
async fn a_connection_with_half_a_request_head_makes_room_for_a_client() {
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
    // All of the bystander's are idle; but it does not hold the most.
    let _client = answered(&server, CLIENT, 1).await;
    is_closed(&mut heads[5]).await;
    for (at, stream) in heads.iter_mut().enumerate() {
        let sent = stream.write_all(b"\r\nHost: x\r\n\r\n").await;
        let answer = if sent.is_ok() { read_answer(stream).await } else { None };
        assert_eq!(answer.map(|(status, _)| status), (at != 5).then_some(200), "{at}");
    }
    assert!(closed(&mut bystander).await.is_empty());
    server.stop();
}

#[tokio::test]
async fn a_connection_with_half_a_request_body_makes_room_for_a_client() {
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
        // The server asks for it.
        let (status, _) = read_answer(&mut stream).await.unwrap();
        assert_eq!(status, 100);
        bodies.push(stream);
    }
    until_unfinished(&server, bodies.len()).await;
    let mut client = answered(&server, CLIENT, 1).await;
    is_closed(&mut bodies[2]).await;
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
async fn an_answer_that_has_begun_is_never_cut() {
    let folder = WorkFolder::new();
    let server = server(&folder, 2, &[]);
    let key = folder.operator_key();
    let api = server.client(&key);
    // Each of its characters becomes six: a page of 9.4 MiB.
    let todo = json!({ "title": "x", "description": "\u{1}".repeat(65_536) });
    for _ in 0..25 {
        assert_eq!(api.post("/api/v1/todos", &todo).send().await.unwrap().status(), 201);
    }
    drop(api);
    let mut owed = Vec::new();
    for _ in 0..2 {
        let socket = TcpSocket::new_v4().unwrap();
        // The system takes little off the server's hands.
        socket.set_recv_buffer_size(4096).unwrap();
        let address: SocketAddr = server.address.parse().unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let ask =
            format!("GET /api/v1/todos?limit=25 HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.unwrap();
        // It has begun.
        assert_eq!(stream.read_u8().await.unwrap(), b'H');
        owed.push(stream);
    }
    // The neighbour's own newcomers are told that there is no place.
    for _ in 0..3 {
        let mut refused = connect(&server, NEIGHBOUR).await;
        let (status, body) = read_answer(&mut refused).await.unwrap();
        assert_eq!(status, 503);
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["status"], 503);
        is_closed(&mut refused).await;
    }
    // Others find one all the same, for there are spare ones.
    let _client = answered(&server, CLIENT, 1).await;
    for mut stream in owed {
        let mut begun = [0; 3];
        stream.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"TTP");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("/1.1 200"), "{head}");
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let (mut body, mut piece) = (Vec::new(), [0; 8_192]);
        while !body.ends_with(b"}\r\n0\r\n\r\n") {
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "it was cut after {} bytes", body.len());
            body.extend_from_slice(&piece[..read]);
        }
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
    // The proxy holds the most, and its are idle for longer.
    let client = answered(&server, CLIENT, 1).await;
    is_closed(&mut neighbour[0]).await;
    for stream in &mut of_proxy {
        assert_eq!(ask(stream).await, Some(200));
        until_unfinished(&server, 1).await;
    }
    drop(client);
    // With four of its own, one makes room.
    of_proxy.extend(answered(&server, proxy, 1).await);
    until_unfinished(&server, 1).await;
    let _client = answered(&server, CLIENT, 1).await;
    is_closed(&mut of_proxy[0]).await;
    assert_eq!(closed(&mut of_proxy).await, [0]);
    unfinished.write_all(b"Host: x\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut unfinished).await.unwrap().0, 200);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_applied_write_is_answered_however_scarce_connections_are() {
    const CLIENTS: usize = 40;
    const WRITES: usize = 15;
    let folder = WorkFolder::new();
    let server = server(&folder, 10, &[]);
    let key = folder.operator_key();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (address, key) = (server.address.clone(), key.clone());
        clients.spawn(async move {
            let (mut connection, mut cut) = (None, 0);
            for write in 0..WRITES {
                let body = json!({ "description": format!("{number} {write}") }).to_string();
                let (length, mut is_done) = (body.len(), false);
                while !is_done {
                    let mut stream = match connection.take() {
                        Some(stream) => stream,
                        None => TcpStream::connect(&address).await.unwrap(),
                    };
                    let head = format!(
                        "POST /api/v1/activities HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\
                         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
                    );
                    // In two pieces, so that it is cut in the middle as well.
                    let is_sent = stream.write_all(head.as_bytes()).await.is_ok();
                    tokio::task::yield_now().await;
                    let _ = is_sent && stream.write_all(body.as_bytes()).await.is_ok();
                    match read_answer(&mut stream).await {
                        Some((201, _)) => {
                            is_done = true;
                            connection = Some(stream);
                        }
                        Some((503, _)) => {}
                        Some((status, body)) => {
                            panic!("{status}: {}", String::from_utf8_lossy(&body))
                        }
                        None => cut += 1,
                    }
                }
            }
            cut
        });
    }
    let cut: usize = clients.join_all().await.into_iter().sum();
    assert!(cut > 0, "places were never short");
    let total = server.client(&key).read("/api/v1/activities").await["total"].clone();
    assert_eq!(total, CLIENTS * WRITES, "some were done whose answers were cut");
    server.stop();
}
