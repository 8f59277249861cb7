//! How much memory large answers and bodies may hold.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::BodyExt;
use insta::assert_snapshot;
use roots_domain::model::id::{AccountId, LogId, Uid};
use roots_domain::model::page::Page;
use roots_domain::model::sealed::Sealed;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{StatusChange, TodoStatus};
use roots_domain::port::store::{LOG_CHUNK_STEPS, TodoLog};
use roots_http_core::auth::client_ip::TrustedProxy;
use roots_http_core::middleware::memory_budget::MemoryBudget;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::yield_now;
use tower::ServiceExt;

use crate::fixture::{
    KEY, MockedApi, TestRequest, TestResponse, ask, get, listed, listed_todo, patch, post, session,
    todo,
};

const KIB: usize = 1024;
/// A budget that is more than enough for one large answer.
const ROOMY: usize = 64 * 1024 * KIB;
/// With descriptions of this length, a page of ten todos is large.
const LONG: usize = 64 * KIB;
/// The memory that such a page holds: its texts and 1 MiB, and a little more.
const LONG_PAGE: std::ops::RangeInclusive<usize> = 1664 * KIB..=1680 * KIB;

/// An API with a budget for answers, and a list of ten todos with descriptions of `bytes` bytes.
fn listing(budget: usize, bytes: usize) -> (MockedApi, MemoryBudget) {
    let mut api = MockedApi::whole();
    api.todos.checkpoint();
    api.todos.expect_todo().returning(|_, id| Ok(todo(id.0)));
    api.todos.expect_todos().returning(move |query| {
        let mut one = todo(1);
        if let Some(todo) = &mut one {
            todo.content.description = Some(Sealed(vec![b'x'; bytes]));
        }
        let items = std::iter::repeat_n(one, 10).flatten().map(listed_todo).collect();
        Ok(Page { items, total: 10, request: query.page, next: None })
    });
    let budget = MemoryBudget::of(budget);
    api.settings.large_answers = budget.clone();
    (api, budget)
}

/// The status and the body of an answer whose body is not read.
async fn unread(ask: &TestRequest, router: &Router) -> (u16, Body) {
    let response = router.clone().oneshot(ask.clone().request()).await.unwrap();
    (response.status().as_u16(), response.into_body())
}

#[tokio::test(start_paused = true)]
async fn a_third_large_answer_at_a_time_is_429() {
    let (api, budget) = listing(ROOMY, LONG);
    let router = api.router();
    let large = get("/api/v1/todos");
    let (_, first) = unread(&large, &router).await;
    let (_, second) = unread(&large, &router).await;
    let taken = ROOMY - budget.left_bytes();
    assert!(LONG_PAGE.contains(&(taken / 2)), "{taken}");
    // The third request waits 5 s before it is refused.
    assert_snapshot!(large.clone().of(&router).await.summary(), @r#"
    429 Too Many Requests
    retry-after: 1

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "An account may receive 2 large answers at a time. Read those to their end, or request fewer rows.",
      "request_id": "019d728c-2e80-7000-8000-000000000003",
      "error": "An account may receive 2 large answers at a time. Read those to their end, or request fewer rows."
    }
    "#);
    // Small answers are not limited.
    assert_eq!(get("/api/v1/todos/1").of(&router).await.status, 200);
    assert_eq!(get("/api/v1/sessions").of(&router).await.status, 200);
    assert_eq!(budget.left_bytes(), ROOMY - taken);

    // A request that waits goes on when another answer has been read to its end.
    for ends in [first, second] {
        let mut waiting = pin!(unread(&large, &router));
        assert!((&mut waiting).now_or_never().is_none());
        drop(ends.collect().await.unwrap());
        let (status, body) = waiting.await;
        assert_eq!(status, 200);
        drop(body);
    }
    assert_eq!(budget.left_bytes(), ROOMY);
}

#[tokio::test]
async fn a_list_without_memory_is_503_before_any_text_is_opened() {
    let (mut api, budget) = listing(2 * 1024 * KIB, LONG);
    api.sessions.checkpoint();
    api.sessions.expect_sessions().returning(|query| {
        let mut one = session(1);
        if let Some(session) = &mut one {
            // This text does not open.
            session.notes = Some(Sealed(vec![0xff; LONG]));
        }
        let items = std::iter::repeat_n(one, 10).flatten().map(listed).collect();
        Ok(Page { items, total: 10, request: query.page, next: None })
    });
    let router = api.router();
    let (status, held) = unread(&get("/api/v1/todos"), &router).await;
    assert_eq!(status, 200);
    let refused = get("/api/v1/sessions").of(&router).await;
    assert_snapshot!(refused.summary(), @r#"
    503 Service Unavailable
    retry-after: 1

    {
      "type": "/docs/problems#unavailable",
      "title": "Temporarily unavailable",
      "status": 503,
      "detail": "The server is sending too many large answers. Try again shortly, or request fewer rows.",
      "request_id": "019d728c-2e80-7000-8000-000000000002",
      "error": "The server is sending too many large answers. Try again shortly, or request fewer rows."
    }
    "#);
    drop(held);
    assert_eq!(get("/api/v1/sessions").of(&router).await.status, 500);
    assert_eq!(budget.left_bytes(), 2 * 1024 * KIB);
}

#[tokio::test]
async fn a_small_answer_returns_the_memory_it_does_not_need() {
    // The texts could become six times as long in JSON.
    let (api, budget) = listing(ROOMY, 20 * KIB);
    let router = api.router();
    let response = router.clone().oneshot(get("/api/v1/todos").request()).await.unwrap();
    assert_eq!(budget.left_bytes(), ROOMY);
    let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let whole = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!((whole.len(), whole.len() > 200 * KIB), (length, true));
}

#[tokio::test]
async fn an_answer_larger_than_the_budget_takes_all_of_it() {
    let (api, budget) = listing(64 * KIB, LONG);
    let router = api.router();
    let (status, body) = unread(&get("/api/v1/todos"), &router).await;
    assert_eq!((status, budget.left_bytes()), (200, 0));
    drop(body);
    assert_eq!(budget.left_bytes(), 64 * KIB);
    assert_eq!(ask("HEAD", "/api/v1/todos").of(&router).await.status, 200);
    assert_eq!(budget.left_bytes(), 64 * KIB);
}

#[tokio::test]
async fn head_of_a_streamed_list_has_the_headers_of_get() {
    let router = listing(ROOMY, LONG).0.router();
    let headers_of = async |method| {
        let answer = ask(method, "/api/v1/todos").of(&router).await;
        let mut headers = answer.headers.clone();
        headers.remove("x-request-id");
        (answer, headers)
    };
    let (get, of_get) = headers_of("GET").await;
    let (head, of_head) = headers_of("HEAD").await;
    assert!(get.body.len() > 10 * LONG && head.body.is_empty());
    // The length is unknown until the list is read.
    assert!(!of_get.contains_key("content-length"));
    assert!(of_get.get_all("vary").iter().any(|vary| vary == "accept-encoding"));
    assert_eq!(of_head, of_get);
}

#[tokio::test]
async fn a_long_text_holds_its_memory_until_it_is_sent() {
    let (mut api, budget) = listing(ROOMY, LONG);
    api.todos.checkpoint();
    api.todos.expect_todo().returning(|_, id| {
        let mut one = todo(id.0);
        if let Some(todo) = &mut one {
            let text = if id.0 == 1 { "\u{1}" } else { "x" };
            todo.content.description = Some(Sealed(text.repeat(LONG).into()));
        }
        Ok(one)
    });
    let router = api.router();
    let (_, body) = unread(&get("/api/v1/todos/1"), &router).await;
    let whole = body.size_hint().exact().unwrap();
    assert!(whole > 384 * KIB as u64);
    assert_eq!((ROOMY - budget.left_bytes()) as u64, whole.next_multiple_of(KIB as u64));
    drop(body);
    let (_, body) = unread(&get("/api/v1/todos/2"), &router).await;
    assert_eq!((budget.left_bytes(), body.size_hint().exact().unwrap() / 1024), (ROOMY, 64));
}

#[tokio::test]
async fn a_compressed_stream_holds_the_memory_of_its_source() {
    let (api, budget) = listing(ROOMY, LONG);
    let router = api.router();
    let ask = get("/api/v1/todos").header("accept-encoding", "gzip");
    let response = router.oneshot(ask.request()).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(LONG_PAGE.contains(&(ROOMY - budget.left_bytes())));
    let packed = response.into_body().collect().await.unwrap().to_bytes();
    assert!(packed.len() < LONG);
    assert_eq!(budget.left_bytes(), ROOMY);
}

#[tokio::test]
async fn a_large_page_is_the_same_document_as_a_small_one() {
    let document = async |bytes| {
        let (api, _) = listing(ROOMY, bytes);
        let mut page = get("/api/v1/todos?limit=10").of(&api.router()).await.json();
        for todo in page["todos"].as_array_mut().unwrap() {
            let text = todo["description"].take();
            assert_eq!(text.as_str().unwrap(), "x".repeat(bytes));
        }
        page
    };
    assert_eq!(document(LONG).await, document(1).await);
}

#[tokio::test]
async fn a_large_page_yields_to_other_tasks_between_its_rows() {
    let (api, _) = listing(ROOMY, LONG);
    let router = api.router();
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
        }
    });
    let (_, body) = unread(&get("/api/v1/todos"), &router).await;
    let (opened, rows) = (turns.load(Ordering::Relaxed), 10);
    assert!(opened >= rows, "{opened}");
    let bytes = body.collect().await.unwrap().to_bytes().len();
    let turns_taken = turns.load(Ordering::Relaxed) - opened;
    // The rest after the first 256 KiB comes in one chunk per row.
    assert!(bytes > 10 * LONG && turns_taken >= 5, "{turns_taken}");
    other.abort();
}

/// An API with a todo of `steps` log entries, whose notes have `note_bytes` bytes. The list has the
/// last id before each chunk that was read. The todo is deleted after entry `deleted_at`.
fn logging(steps: i64, note_bytes: usize, deleted_at: i64) -> (MockedApi, Arc<Mutex<Vec<i64>>>) {
    let mut api = MockedApi::whole();
    api.todos.checkpoint();
    let read = Arc::new(Mutex::new(Vec::new()));
    let note_read = Arc::clone(&read);
    api.todos.expect_todo_log().returning(move |_, id, after| {
        let after = after.map_or(0, |step| step.0);
        note_read.lock().unwrap().push(after);
        if after > deleted_at {
            return Ok(None);
        }
        let last = steps.min(after + i64::from(LOG_CHUNK_STEPS));
        let step = |number| StatusChange {
            id: LogId(number),
            uid: Uid::NIL,
            todo: id,
            old_status: TodoStatus::Open,
            new_status: TodoStatus::Done,
            note: Some(Sealed(vec![b'x'; note_bytes])),
            logged_at: Timestamp::FIRST,
        };
        let next = (last < steps).then_some(LogId(last));
        let steps = (after + 1..=last).map(step).collect();
        Ok(todo(id.0).map(|todo| TodoLog { todo, steps, next }))
    });
    (api, read)
}

#[tokio::test]
async fn a_long_log_is_read_as_fast_as_its_client_reads() {
    let (mut api, read) = logging(1_000, 4 * KIB, i64::MAX);
    let budget = MemoryBudget::of(ROOMY);
    api.settings.large_answers = budget.clone();
    let (status, body) = unread(&get("/api/v1/todos/1/logs"), &api.router()).await;
    assert_eq!((status, read.lock().unwrap().clone()), (200, vec![0]));
    let taken = ROOMY - budget.left_bytes();
    assert!(taken < 2 * 1024 * KIB, "{taken}");
    let log: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    let ids: Vec<_> = log["logs"].as_array().unwrap().iter().map(|step| &step["log_id"]).collect();
    assert_eq!(ids, (1..=1_000).collect::<Vec<_>>());
    assert_eq!((&log["todo_id"], read.lock().unwrap().len()), (&json!(1), 16));
    assert_eq!(budget.left_bytes(), ROOMY);
}

/// Requests that hold a turn and wait for another could all wait for each other.
#[tokio::test(start_paused = true)]
async fn a_log_that_is_read_in_parts_holds_no_turn_between_them() {
    let (api, read) = logging(65, 4 * KIB, i64::MAX);
    let (router, shared) = api.router_and_state();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(shared.list_permits.of_agents.permit(AccountId(1)).await.unwrap());
    }
    let log = get("/api/v1/todos/1/logs").of(&router).await;
    assert_eq!((log.status.as_u16(), read.lock().unwrap().len()), (200, 2));
}

#[tokio::test]
async fn a_streamed_log_is_whole_unless_its_todo_is_deleted() {
    let (api, _) = logging(65, 4 * KIB, i64::MAX);
    let log = get("/api/v1/todos/1/logs").of(&api.router()).await.json();
    assert_eq!(log["logs"].as_array().unwrap().len(), 65);

    let (api, _) = logging(1_000, 4 * KIB, 500);
    let (status, body) = unread(&get("/api/v1/todos/1/logs"), &api.router()).await;
    assert_eq!((status, body.collect().await.is_err()), (200, true));

    // If the todo is gone before the first chunk is sent, the status can still be 404.
    let (api, _) = logging(1_000, KIB, 0);
    assert_eq!(get("/api/v1/todos/1/logs").of(&api.router()).await.status, 404);
}

#[tokio::test]
async fn the_129th_waiting_list_of_an_account_is_503() {
    let mut api = MockedApi::whole();
    api.is_stuck = true;
    let router = api.router();
    let list = || Box::pin(get("/api/v1/sessions").of(&router));
    // After this request the caller is cached, so the next ones reach their permit at the first
    // poll.
    assert_eq!(get("/api/v1/actors").of(&router).await.status, 200);
    // Four lists are being read and never end, and 128 wait.
    let mut stuck: Vec<_> = (0..132).map(|_| list()).collect();
    for asking in &mut stuck {
        assert!(asking.now_or_never().is_none());
    }
    let refused = list().now_or_never().unwrap();
    assert_snapshot!(refused.summary(), @r#"
    503 Service Unavailable
    retry-after: 1

    {
      "type": "/docs/problems#unavailable",
      "title": "Temporarily unavailable",
      "status": 503,
      "detail": "Too many requests are waiting to read. Try again shortly.",
      "request_id": "019d728c-2e80-7000-8000-000000000086",
      "error": "Too many requests are waiting to read. Try again shortly."
    }
    "#);
    stuck.pop();
    assert!(list().now_or_never().is_none());
}

#[tokio::test]
async fn a_write_is_answered_even_without_memory() {
    let (api, budget) = listing(KIB, LONG);
    let router = api.router();
    let (_, _held) = unread(&get("/api/v1/todos"), &router).await;
    assert_eq!(budget.left_bytes(), 0);
    // The longest texts: each character becomes six bytes of JSON.
    let text = "\u{1}".repeat(65_536);
    let todo = json!({ "title": "\u{1}".repeat(500), "description": text }).to_string();
    for ask in [post("/api/v1/todos", &todo), patch("/api/v1/todos/1", &todo)] {
        let answer = ask.of(&router).await;
        assert!(answer.status.is_success(), "{}", answer.status);
        assert!((384 * KIB..400 * KIB).contains(&answer.body.len()), "{}", answer.body.len());
    }
}

#[tokio::test]
async fn bytes_hold_memory_until_they_are_sent() {
    // More than the operating system buffers.
    let (api, budget) = listing(ROOMY, 1024 * KIB);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, api.router()).into_future());
    let ask = format!(
        "GET /api/v1/todos HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {KEY}\r\n\r\n"
    );
    let slow = async || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(ask.as_bytes()).await.unwrap();
        // The answer has begun.
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

/// A request whose body stalls after `bytes` bytes. It announces 1 MiB if `is_announced`.
fn begun(ask: TestRequest, bytes: usize, is_announced: bool, router: &Router) -> SentRequest {
    let ask = if is_announced { ask.header("content-length", "1048576") } else { ask };
    sending(ask, Some(Bytes::from(vec![b' '; bytes])), router)
}

/// A request whose body stalls after that piece, or before its first byte.
fn sending(ask: TestRequest, piece: Option<Bytes>, router: &Router) -> SentRequest {
    let mut request = ask.request();
    let come = stream::iter(piece.map(Ok::<_, std::io::Error>));
    *request.body_mut() = Body::from_stream(come.chain(stream::pending()));
    let router = router.clone();
    Box::pin(async move { TestResponse::of(router.oneshot(request).await.unwrap()).await })
}

type SentRequest = Pin<Box<dyn Future<Output = TestResponse>>>;

/// Polls each request until it waits.
async fn poll_each(all: &mut [SentRequest]) {
    for one in all {
        assert!(one.now_or_never().is_none());
        yield_now().await;
    }
}

/// An API that has cached its callers, so that a request reaches its body at the first poll.
async fn receiving(settle: impl FnOnce(&mut MockedApi)) -> Router {
    let mut api = MockedApi::whole();
    settle(&mut api);
    let router = api.router();
    assert_eq!(get("/api/v1/actors").of(&router).await.status, 200);
    router
}

fn sent() -> TestRequest {
    post("/api/v1/todos", "")
}

/// A todo with `bytes` blanks before its JSON.
fn long_todo(bytes: usize) -> String {
    format!("{}{}", " ".repeat(bytes), json!({ "title": "x" }))
}

/// The status of a request whose body has no announced length.
async fn chunked(ask: TestRequest, todo: String, router: &Router) -> u16 {
    let mut request = ask.request();
    let todo = stream::once(async { Ok::<_, std::io::Error>(Bytes::from(todo)) });
    *request.body_mut() = Body::from_stream(todo);
    router.clone().oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn an_address_at_its_quarter_of_the_permits_does_not_block_others() {
    // Requests from an attacker's addresses, and from another client.
    type AskFrom = fn(usize) -> TestRequest;
    let cases: [(AskFrom, AskFrom); 3] = [
        (|_| sent().from("203.0.113.1"), |_| sent().from("203.0.113.2")),
        (
            |number| sent().from(&format!("2001:db8:0:1::{number:x}")),
            |_| sent().from("2001:db8:0:2::1"),
        ),
        (
            |_| sent().from("10.0.0.1").header("x-forwarded-for", "203.0.113.1"),
            |_| sent().from("10.0.0.1").header("x-forwarded-for", "203.0.113.2"),
        ),
    ];
    for (own, other) in cases {
        let router = receiving(|api| {
            api.settings.trusted_proxies = vec![TrustedProxy::parse("10.0.0.0/8").unwrap()];
        })
        .await;
        let mut stuck: Vec<_> =
            (0..64).map(|number| begun(own(number), 200 * KIB, true, &router)).collect();
        poll_each(&mut stuck).await;
        assert_eq!(chunked(other(0), long_todo(200 * KIB), &router).await, 201);
        assert_eq!(chunked(other(0), long_todo(0), &router).await, 201);
        // Sixteen bodies, a quarter of all, stall until their timeout. The others wait 5 s for a
        // permit and are refused.
        let statuses: Vec<_> =
            join_all(stuck).await.iter().map(|answer| answer.status.as_u16()).collect();
        assert_eq!((&statuses[..16], &statuses[16..]), (&[408; 16][..], &[503; 48][..]));
        assert_eq!(chunked(own(0), long_todo(200 * KIB), &router).await, 201);
    }
}

#[tokio::test(start_paused = true)]
async fn an_announced_length_takes_no_memory() {
    let router = receiving(|api| api.settings.large_bodies = 1).await;
    let mut stuck: Vec<_> = [(1, true), (1, false), (128 * KIB, true), (128 * KIB, false)]
        .map(|(bytes, is_announced)| begun(sent(), bytes, is_announced, &router))
        .into();
    stuck.push(sending(sent(), None, &router));
    poll_each(&mut stuck).await;
    assert_eq!(chunked(sent(), long_todo(1000 * KIB), &router).await, 201);
}

#[tokio::test(start_paused = true)]
async fn small_chunked_bodies_need_no_permit_beside_large_ones() {
    let router = receiving(|api| api.settings.large_bodies = 1).await;
    let mut stuck = [begun(sent(), 128 * KIB + 1, false, &router)];
    poll_each(&mut stuck).await;
    let large = long_todo(128 * KIB);
    let length = large.len().to_string();
    let refused = post("/api/v1/todos", &large).header("content-length", &length);
    let refused = refused.of(&router).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    assert!(refused.body.contains("Nothing was done"), "{}", refused.body);

    assert_eq!(chunked(sent(), long_todo(100 * KIB), &router).await, 201);
    // Small bodies, bodies that are too large, and requests without a body need no permit.
    let todo = json!({ "title": "x", "description": "x".repeat(65_536) }).to_string();
    let length = todo.len().to_string();
    let small = post("/api/v1/todos", &todo).header("content-length", &length);
    assert_eq!(small.of(&router).await.status, 201);
    let too_large = sent().header("content-length", "2000000").header("expect", "100-continue");
    assert_eq!(too_large.cut_off(&router).await.status, 413);
    assert_eq!(get("/api/v1/todos/1").of(&router).await.status, 200);

    // A request that waits goes on once another has returned its permit.
    let mut waiting: [SentRequest; 1] = [Box::pin({
        let router = router.clone();
        async move { post("/api/v1/todos", &large).of(&router).await }
    })];
    poll_each(&mut waiting).await;
    drop(stuck);
    let [waiting] = waiting;
    assert_eq!(waiting.await.status, 201);
}
