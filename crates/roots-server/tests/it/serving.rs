//! The server under signals, malformed requests, short resources and slow clients.

use std::io::{ErrorKind, Read, Write};
use std::process::Command;

use nix::sys::signal::Signal;
use roots_testkit::app::http_client;
use roots_testkit::database::until;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::program::{PROGRAM, Server, WorkFolder, in_time, text, wait_for};

#[tokio::test]
async fn metrics_are_served_only_on_their_own_address() {
    let folder = WorkFolder::new();
    let mut command = folder.command(&[]);
    command.env("ROOTS_METRICS_BIND", "127.0.0.1:0");
    let server = Server::start(command);
    let key = folder.operator_key();
    let api = server.client(&key);
    api.read("/api/v1/whoami").await;
    api.get("/api/v1/no-such-thing/secret-path").send().await.unwrap();

    let line = wait_for("the metrics", || server.logged("metrics are served").pop());
    let metrics = line["address"].as_str().unwrap();
    let answer = http_client().build().unwrap();
    let answer = answer.get(format!("http://{metrics}/metrics")).send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    let body = answer.text().await.unwrap();
    assert!(body.contains("/api/v1/whoami"), "{body}");
    assert!(!body.contains("secret-path") && !body.contains(&key), "{body}");
    assert_eq!(api.get("/metrics").send().await.unwrap().status(), 404);
    server.stop();
}

#[test]
fn an_idle_connection_does_not_delay_the_shutdown() {
    let folder = WorkFolder::new();
    let server = folder.serve();
    let (mut fresh, mut used) = (server.connect(), server.connect());
    used.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut some = [0; 12];
    used.read_exact(&mut some).unwrap();
    assert_eq!(&some, b"HTTP/1.1 200");
    // If the server had waited for them, it would log that it cut them off after 10 s.
    let log = server.stop();
    let cut_off = |line: &Value| line["message"].as_str().unwrap().contains("cut off");
    assert!(!log.iter().any(cut_off), "{log:?}");
    assert_eq!(fresh.read(&mut some).unwrap_or(0), 0);
}

/// On a very busy machine the server may handle the second signal only after the 10 s that it waits
/// for requests in flight. The test then tries again with another server.
#[test]
fn a_second_signal_ends_the_server_at_once() {
    wait_for("a server that a second signal ends", || ends_by_a_second_signal().then_some(()));
}

/// Sends signals to a server with a request in flight until it exits. Returns whether a second
/// signal ended it, and not the end of its 10 s.
fn ends_by_a_second_signal() -> bool {
    let folder = WorkFolder::new();
    let mut server = folder.serve();
    // The 100 says that the server waits for the body, which is never sent.
    let mut stuck = server.connect();
    let head = format!(
        "POST /api/v1/activities HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\
         Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        folder.operator_key()
    );
    stuck.write_all(head.as_bytes()).unwrap();
    let mut asked_for = [0; 12];
    stuck.read_exact(&mut asked_for).unwrap();
    assert_eq!(&asked_for, b"HTTP/1.1 100");
    server.signal(Signal::SIGINT);
    wait_for("the server to handle the signal", || server.logged("stopping").pop());
    // A signal within 500 ms of the first counts as the same one, so later ones are sent too.
    wait_for("the server to exit", || {
        if server.has_ended() {
            return Some(());
        }
        server.signal(Signal::SIGINT);
        None
    });
    let status = server.end();
    if status.success() {
        return false;
    }
    assert_eq!(status.code(), Some(1), "{:?}", server.log());
    assert_eq!(server.logged("stopped at once").len(), 1, "{:?}", server.log());
    true
}

#[test]
fn malformed_requests_are_refused_or_dropped_without_harm_to_the_server() {
    let folder = WorkFolder::new();
    let server = folder.serve();
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X-Many: a\r\n".repeat(5_000));
    for junk in ["\x16\x03\x01\x02\0", "nonsense\r\n\r\n", &long, &many] {
        let mut stream = server.connect();
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(junk.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the server keeps the connection");
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    server.stop();
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ran_out_of_files_recovers() {
    let folder = WorkFolder::new();
    let server = folder.serve();
    // The server checks its limit of open files only at the start, so the limit is lowered now.
    let pid = format!("--pid={}", server.pid());
    assert!(Command::new("prlimit").args([&pid, "--nofile=64"]).status().unwrap().success());
    let connections: Vec<_> = (0..100).map(|_| server.connect()).collect();
    wait_for("the server to run out of files", || {
        server.logged("connections can't be accepted").pop()
    });
    drop(connections);
    // Until the server has closed them, a request may also find no free file.
    let api = server.client(&folder.operator_key());
    until("it serves again", async || api.log_activity("still there").await).await;
    server.stop();
}

/// A limit of the file size makes every write fail, as on a full disk. Reads still work, and
/// `/ready` answers 503. Once the limit is lifted, `/ready` answers 200 without a write in between.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn ready_reports_a_disk_that_takes_no_writes_until_writes_succeed_again() {
    let folder = WorkFolder::new();
    // The trap makes a write beyond the limit fail instead of ending the process with a signal.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "trap '' XFSZ && exec \"$0\"", PROGRAM]);
    let server = Server::start(folder.prepared(shell));
    let api = server.client(&folder.operator_key());
    assert!(api.log_activity("before").await);
    let pid = format!("--pid={}", server.pid());
    let limit = |most: &str| {
        let limit = format!("--fsize={most}:unlimited");
        assert!(Command::new("prlimit").args([&pid, &limit]).status().unwrap().success());
    };
    let ready = async || api.get("/ready").send().await.unwrap().status().as_u16();
    assert_eq!(ready().await, 200);
    limit("1024");
    assert!(!api.log_activity("meanwhile").await);
    until("it is not ready", async || ready().await == 503).await;
    // Further requests of `/ready` change nothing, and reads still work.
    for _ in 0..3 {
        assert_eq!(ready().await, 503);
        assert_eq!(api.read("/api/v1/activities").await["total"], 1);
    }
    limit("unlimited");
    until("it is ready again", async || ready().await == 200).await;
    assert!(api.log_activity("after").await);
    assert_eq!(api.activities().await, ["after", "before"]);
    server.stop();
    let verified = folder.run(&["verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

/// Requests a page and reads only the status of the answer.
async fn request_unread(address: &str, path: &str, key: &str) -> (u16, tokio::net::TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    // A small buffer keeps most of the answer on the server.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let ask = format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    in_time("the start of the answer", stream.read_exact(&mut begin)).await.unwrap();
    let begin = str::from_utf8(&begin).unwrap();
    (begin.strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap(), stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn large_unread_answers_do_not_block_other_requests() {
    let folder = WorkFolder::new();
    let server = folder.serve();
    let key = folder.operator_key();
    let api = server.client(&key);
    // JSON writes each of these characters as six bytes, so a page of 25 todos is 9.4 MiB. An
    // account gets two such pages at a time.
    let todo = json!({ "title": "x", "description": "\u{1}".repeat(65_536) });
    for _ in 0..25 {
        let answer = api.post("/api/v1/todos", &todo).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }
    let page = "/api/v1/todos?limit=25";
    let mut held = Vec::new();
    for _ in 0..2 {
        let (status, stream) = request_unread(&server.address, page, &key).await;
        assert_eq!(status, 200);
        held.push(stream);
    }
    let refused = api.get(page).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert!(api.log_activity("others write").await);
    assert_eq!(api.read("/api/v1/activities").await["total"], 1);

    drop(held);
    until("the account gets another page", async || {
        let answer = api.get(page).send().await.unwrap();
        let is_answered = answer.status() == 200;
        if is_answered {
            assert!(answer.bytes().await.unwrap().len() > 9 * 1024 * 1024);
        }
        is_answered
    })
    .await;
    server.stop();
}

#[tokio::test]
async fn usage_survives_the_end_of_the_process() {
    let folder = WorkFolder::new();
    for run in 1..=2 {
        let server = folder.serve();
        let api = server.client(&folder.operator_key());
        for _ in 0..3 {
            api.read("/api/v1/whoami").await;
        }
        server.stop();
        let server = folder.serve();
        let usage = server.client(&folder.operator_key()).read("/api/v1/usage").await;
        let whoami = &usage["top_endpoints"][0];
        assert_eq!(whoami["endpoint"], "/whoami");
        assert_eq!(whoami["calls"], 3 * run);
        server.stop();
    }
}

#[tokio::test]
async fn a_trace_log_contains_no_key_and_no_text() {
    let folder = WorkFolder::new();
    let mut command = folder.command(&[]);
    command.env("ROOTS_LOG", "trace").env("ROOTS_SIGNUP", "open");
    let server = Server::start(command);
    let key = folder.operator_key();
    let api = server.client(&key);
    assert!(api.log_activity("a-text-that-is-nobodys-business").await);
    api.get("/api/v1/activities/1?nobodys-business=1").send().await.unwrap();
    let broken = json!({ "title": 7, "nobodys-business": true });
    api.post("/api/v1/todos", &broken).send().await.unwrap();
    let asked = json!({ "account_name": "x", "actor_name": "y", "actor_type": "agent" });
    let answer = api.post("/api/v1/bootstrap", &asked).send().await.unwrap();
    let made: Value = answer.json().await.unwrap();
    let log = Value::from(server.stop()).to_string();
    assert!(log.contains("/api/v1/bootstrap"));
    assert!(!log.contains("nobodys-business"));
    for secret in [&key, made["api_key"].as_str().unwrap(), made["recovery_code"].as_str().unwrap()]
    {
        assert!(!log.contains(secret));
    }
}
