//! What large bodies hold together.

use axum::Router;
use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use insta::assert_snapshot;
use roots_domain::model::page::Page;
use roots_domain::model::sealed::Sealed;
use roots_http::Budget;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::yield_now;
use tower::ServiceExt;

use crate::world::{Answer, Ask, KEY, World, ask, get, patch, post, todo};

const KIB: usize = 1024;
/// A page whose texts are so long takes this much.
const LONG: usize = 64 * KIB;
const LONG_PAGE: std::ops::RangeInclusive<usize> = 641 * KIB..=647 * KIB;

/// A world with a budget for answers, and a list of ten todos whose descriptions have so many bytes.
fn listing(budget: usize, bytes: usize) -> (World, Budget) {
    let mut world = World::whole();
    world.todos.checkpoint();
    world.todos.expect_todo().returning(|_, id| Ok(todo(id.0)));
    world.todos.expect_todos().returning(move |query| {
        let mut one = todo(1);
        if let Some(todo) = &mut one {
            todo.description = Some(Sealed(vec![b'x'; bytes]));
        }
        let items = std::iter::repeat_n(one, 10).flatten().collect();
        Ok(Page { items, total: 10, request: query.page, next: None })
    });
    let budget = Budget::of(budget);
    world.settings.large_answers = budget.clone();
    (world, budget)
}

/// The status of an answer that is not read, and its body.
async fn unread(ask: &Ask, router: &Router) -> (u16, Body) {
    let response = router.clone().oneshot(ask.clone().request()).await.unwrap();
    (response.status().as_u16(), response.into_body())
}

#[tokio::test]
async fn large_answers_that_are_not_read_hold_no_more_than_the_budget() {
    let (world, budget) = listing(2 * 1024 * KIB, LONG);
    let router = world.router();
    let large = get("/api/v1/todos");
    let mut held = Vec::new();
    let mut statuses = Vec::new();
    for _ in 0..30 {
        let (status, body) = unread(&large, &router).await;
        statuses.push(status);
        if status == 200 {
            held.push(body);
        }
    }
    statuses.dedup();
    assert_eq!((statuses, held.len()), (vec![200, 503], 3));
    let taken = 2 * 1024 * KIB - budget.left_bytes();
    assert!(LONG_PAGE.contains(&(taken / 3)), "{taken}");
    assert_snapshot!(
        "a_large_answer_that_there_is_no_room_for",
        large.clone().of(&router).await.told()
    );
    // What is small is answered.
    assert_eq!(get("/api/v1/todos/1").of(&router).await.status, 200);
    assert_eq!(get("/health").of(&router).await.status, 200);

    // Whoever hangs up makes room, and whoever reads to the end.
    held.pop();
    assert_eq!(large.clone().of(&router).await.status, 200);
    assert_eq!((budget.left_bytes() + taken / 3 * 2) / KIB, 2 * 1024);
    let last = held.pop().unwrap().collect().await.unwrap().to_bytes();
    assert_eq!(budget.left_bytes() / KIB, (2 * 1024 * KIB - taken / 3 * 2) / KIB);
    assert!(last.len() > 10 * LONG);
    drop((last, held));
    assert_eq!(budget.left_bytes(), 2 * 1024 * KIB);
}

#[tokio::test]
async fn small_answers_take_nothing_and_one_larger_than_the_budget_takes_it_all() {
    let (world, budget) = listing(64 * KIB, 20 * KIB);
    assert_eq!(unread(&get("/api/v1/todos"), &world.router()).await.0, 200);
    assert_eq!(budget.left_bytes(), 64 * KIB);

    let (world, budget) = listing(64 * KIB, LONG);
    let router = world.router();
    let (status, body) = unread(&get("/api/v1/todos"), &router).await;
    assert_eq!((status, budget.left_bytes()), (200, 0));
    assert_eq!(unread(&get("/api/v1/todos"), &router).await.0, 503);
    drop(body);
    assert_eq!(budget.left_bytes(), 64 * KIB);
    assert_eq!(ask("HEAD", "/api/v1/todos").of(&router).await.status, 200);
    assert_eq!(budget.left_bytes(), 64 * KIB);
}

#[tokio::test]
async fn an_answer_that_is_compressed_as_it_goes_holds_what_it_is_made_from() {
    let (world, budget) = listing(1024 * KIB, LONG);
    let router = world.router();
    let ask = get("/api/v1/todos").header("accept-encoding", "gzip");
    let response = router.oneshot(ask.request()).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(LONG_PAGE.contains(&(1024 * KIB - budget.left_bytes())));
    let packed = response.into_body().collect().await.unwrap().to_bytes();
    assert!(packed.len() < LONG);
    assert_eq!(budget.left_bytes(), 1024 * KIB);
}

#[tokio::test]
async fn a_write_is_never_refused_its_answer() {
    let (world, budget) = listing(KIB, LONG);
    let router = world.router();
    let (_, _held) = unread(&get("/api/v1/todos"), &router).await;
    assert_eq!(budget.left_bytes(), 0);
    // The longest that there is: each character becomes six.
    let text = "\u{1}".repeat(65_536);
    let todo = json!({ "title": "\u{1}".repeat(500), "description": text }).to_string();
    for ask in [post("/api/v1/todos", &todo), patch("/api/v1/todos/1", &todo)] {
        let answer = ask.of(&router).await;
        assert!(answer.status.is_success(), "{}", answer.status);
        assert!((384 * KIB..400 * KIB).contains(&answer.body.len()), "{}", answer.body.len());
    }
}

#[tokio::test]
async fn bytes_count_until_they_are_sent_not_until_they_are_handed_on() {
    // More than the system takes off the server's hands.
    let (world, budget) = listing(64 * 1024 * KIB, 1024 * KIB);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, world.router()).into_future());
    let ask = format!(
        "GET /api/v1/todos HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {KEY}\r\n\r\n"
    );
    let slow = async || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(ask.as_bytes()).await.unwrap();
        // It has begun.
        stream.read_exact(&mut [0; 12]).await.unwrap();
        stream
    };
    let (mut first, second) = (slow().await, slow().await);
    assert!(budget.left_bytes() < 45 * 1024 * KIB, "{}", budget.left_bytes());
    drop(second);
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() > 10 * 1024 * KIB);
    while budget.left_bytes() < 64 * 1024 * KIB {
        yield_now().await;
    }
    serving.abort();
}

/// A request whose body has begun and says how long it will be.
async fn begun(ask: Ask, length: Option<usize>, router: &Router) -> Answer {
    let ask = match length {
        Some(length) => ask.header("content-length", &length.to_string()),
        None => ask,
    };
    let mut request = ask.request();
    let begun = stream::once(async { Ok::<_, std::io::Error>(Bytes::from("{")) });
    *request.body_mut() = Body::from_stream(begun.chain(stream::pending()));
    Answer::of(router.clone().oneshot(request).await.unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn large_bodies_that_do_not_arrive_hold_no_more_than_the_budget() {
    let mut world = World::whole();
    let budget = Budget::of(1024 * KIB);
    world.settings.large_bodies = budget.clone();
    let router = world.router();
    let sent = || post("/api/v1/todos", "");
    let stuck = [Some(600 * KIB), Some(300 * KIB)].map(|length| {
        let router = router.clone();
        tokio::spawn(async move { begun(sent(), length, &router).await.status })
    });
    while budget.left_bytes() > 124 * KIB {
        yield_now().await;
    }
    // One of unknown length may come to be the largest.
    for length in [Some(200 * KIB), None] {
        let answer = begun(sent(), length, &router).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
        assert!(answer.body.contains("Nothing was done"), "{}", answer.body);
    }
    // What is small comes in, what is too large is told so, and what has no body needs nothing.
    let todo = json!({ "title": "x", "description": "x".repeat(65_536) }).to_string();
    let length = todo.len().to_string();
    let small = post("/api/v1/todos", &todo).header("content-length", &length);
    assert_eq!(small.of(&router).await.status, 201);
    let large = sent().header("content-length", "2000000").header("expect", "100-continue");
    assert_eq!(large.cut_off(&router).await.status, 413);
    assert_eq!(get("/api/v1/todos/1").of(&router).await.status, 200);
    // They end by their time, and what waited goes on.
    for stuck in stuck {
        assert_eq!(stuck.await.unwrap(), 408);
    }
    assert_eq!(budget.left_bytes(), 1024 * KIB);
}
