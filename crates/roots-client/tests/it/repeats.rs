//! What the client sends again, over real connections. `src/retry.rs` has the tests of when.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use roots_client::model::{ActorType, NewActor, NewCredits, NewTodo};
use roots_client::{Client, Error, IdempotencyKey};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::server::{KEY, Server, answer, json_answer, problem};

fn todo() -> Value {
    json!({
        "todo_id": 1, "session_id": null, "title": "t", "description": null, "status": "open",
        "priority": 0, "due_at": null, "created_at": "2026-04-09T10:00:00Z",
        "updated_at": "2026-04-09T10:00:00Z", "status_since": "2026-04-09T10:00:00Z",
        "actor_id": 1,
    })
}

fn new_todo() -> NewTodo {
    NewTodo { title: "t".to_owned(), ..NewTodo::default() }
}

#[tokio::test]
async fn a_repeated_write_has_the_same_key_and_body() {
    let server = Server::start(|number, _| match number {
        0 => problem(503, "outcome-unknown"),
        1 => problem(409, "still-in-flight"),
        _ => json_answer(201, &todo()),
    })
    .await;
    let client = server.client();
    client.create_todo(&new_todo()).await.unwrap();
    client.create_todo(&new_todo()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    let key = |number: usize| seen[number].header("idempotency-key").unwrap();
    assert!(key(0) == key(1) && key(1) == key(2), "one key an intent");
    assert_ne!(key(2), key(3), "another intent");
    assert!(seen.iter().all(|seen| seen.body == r#"{"title":"t"}"#));
}

#[tokio::test]
async fn a_key_of_the_caller_replaces_the_own_one() {
    let server = Server::start(|_, _| json_answer(201, &todo())).await;
    let key = IdempotencyKey::try_from("mine").unwrap();
    server.client().create_todo(&new_todo()).idempotency_key(&key).await.unwrap();
    let keys: Vec<_> =
        server.seen()[0].headers.get_all("idempotency-key").iter().cloned().collect();
    assert_eq!(keys, ["mine"]);
}

#[tokio::test]
async fn a_refusal_is_final() {
    let server = Server::start(|_, _| problem(409, "conflict")).await;
    let error = server.client().create_todo(&new_todo()).await.unwrap_err();
    assert_eq!(error.code(), Some("conflict"));
    assert_eq!(error.to_string(), "What is wrong.");
    assert_eq!(server.seen().len(), 1);
}

/// A server that closes its first `broken` connections after it has read a request, and then
/// answers with `body`. It keeps the requests.
async fn breaking(broken: usize, body: Value) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = requests.clone();
    tokio::spawn(async move {
        let body = body.to_string();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let read = socket.read(&mut request).await.unwrap();
            if read == 0 {
                continue;
            }
            let number = {
                let mut kept = kept.lock().unwrap();
                kept.push(String::from_utf8_lossy(&request[..read]).into_owned());
                kept.len() - 1
            };
            // An answer that is cut within its body is broken too.
            let cut = if number < broken { body.len() / 2 * (number % 2) } else { body.len() };
            if number >= broken || cut > 0 {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                socket.write_all(head.as_bytes()).await.unwrap();
                socket.write_all(&body.as_bytes()[..cut]).await.unwrap();
            }
            socket.shutdown().await.unwrap();
        }
    });
    (url, requests)
}

fn actor() -> Value {
    json!({
        "actor_id": 2, "name": "a", "actor_type": "agent", "role": "member", "is_active": true,
        "created_at": "2026-04-09T10:00:00Z",
    })
}

fn new_actor() -> NewActor {
    NewActor { name: "a".to_owned(), actor_type: ActorType::Agent }
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
    let (url, requests) = breaking(2, todo()).await;
    let client = Client::new(&url, KEY).unwrap();
    assert_eq!(client.create_todo(&new_todo()).await.unwrap().value.todo_id, 1);
    assert_eq!(requests.lock().unwrap().len(), 3);
    let (url, requests) = breaking(1, todo()).await;
    let client = Client::new(&url, KEY).unwrap();
    assert_eq!(client.get_todo(1).await.unwrap().value.todo_id, 1);
    assert_eq!(requests.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_grant_whose_connection_breaks_is_tried_again_with_the_same_key() {
    let granted = json!({ "account_id": 7, "balance": 5 });
    let (url, requests) = breaking(2, granted).await;
    let client = Client::new(&url, KEY).unwrap();
    let credits = NewCredits { amount: 5, note: None };
    client.grant_credits(7, &credits).await.unwrap();
    client.grant_credits(7, &credits).await.unwrap();
    let requests = requests.lock().unwrap();
    let keys: Vec<_> = requests
        .iter()
        .map(|request| {
            let header = |line: &&str| line.to_lowercase().starts_with("idempotency-key: ");
            request.lines().find(header).expect("a key")
        })
        .collect();
    assert_eq!(keys.len(), 4);
    assert!(keys[0] == keys[1] && keys[1] == keys[2], "one key an intent: {keys:?}");
    assert_ne!(keys[2], keys[3], "another intent");
}

#[tokio::test]
async fn a_write_without_a_key_is_not_tried_again_once_it_was_sent() {
    let (url, requests) = breaking(1, actor()).await;
    let client = Client::new(&url, KEY).unwrap();
    assert!(matches!(client.add_actor(&new_actor()).await, Err(Error::Broken(_))));
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_write_without_a_key_is_tried_again_if_it_was_not_done() {
    let server = Server::start(move |number, _| match number {
        0 => problem(429, "too-many-requests"),
        _ => json_answer(201, &actor()),
    })
    .await;
    assert_eq!(server.client().add_actor(&new_actor()).await.unwrap().actor_id, 2);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::builder(&url).retry_within(std::time::Duration::ZERO).build().unwrap();
    assert!(matches!(client.health().await, Err(Error::Unreachable(_))));
}

/// A TLS server with a certificate that nobody trusts.
#[tokio::test]
async fn a_server_that_cannot_prove_its_name_is_tried_once() {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let handshakes = Arc::new(AtomicUsize::new(0));
    let count = handshakes.clone();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            assert!(acceptor.accept(socket).await.is_err(), "the client sent its key");
        }
    });
    let error = Client::new(&url, KEY).unwrap().whoami().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    assert_eq!(handshakes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Server::start(|_, _| json_answer(200, &todo())).await;
    let location = format!("{}/api/v1/todos/1", other.url);
    let server =
        Server::start(move |_, _| answer(307, &[("location", &location)], String::new())).await;
    let error = server.client().get_todo(1).await.unwrap_err();
    assert!(matches!(error, Error::Redirected { location } if location.starts_with(&other.url)));
    assert!(other.seen().is_empty(), "the key went to another server");
}
