//! What answers to pages hold until they are sent, and what a client can make them hold.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, Response};
use futures_util::StreamExt;
use reqwest::Method;
use reqwest::header::ORIGIN;
use roots_http_core::auth::rate_limit::RateLimits;
use roots_http_core::middleware::memory_budget::MemoryBudget;
use roots_http_core::state::HttpState;
use roots_http_core::surface;
use roots_testkit::app::{TestApp, send};
use roots_testkit::browser::Browser;
use roots_testkit::database::TestDatabase;
use roots_testkit::on_both;
use roots_web::Dashboard;
use serde_json::json;
use tower::ServiceExt;

on_both! {
    a_download_holds_its_memory_until_its_last_chunk_is_sent,
    a_download_without_memory_is_503,
    a_large_page_holds_its_memory_until_it_is_sent_and_counts_once,
    a_large_page_without_memory_is_503,
    a_form_that_fails_is_not_multiplied,
    wrong_keys_keep_nobody_from_the_form_to_sign_in,
}

const KIB: usize = 1024;
/// A budget that is more than enough.
const ROOMY: usize = 64 * KIB * KIB;

/// The pages in this process, so that nothing is read ahead of its reader.
struct Pages {
    app: TestApp,
    budget: MemoryBudget,
    router: Router,
    browser: Browser,
}

impl Pages {
    async fn start(database: TestDatabase, budget: usize) -> Self {
        let budget = MemoryBudget::of(budget);
        let answers = budget.clone();
        let app = TestApp::start_with(database, 1_000, |it| it.large_answers = answers).await;
        let services = &app.context.services;
        let shared = HttpState::new(services, &app.settings);
        let pages = roots_web::surface(services, &app.settings, shared, Dashboard::On);
        let router = surface::router(pages, &app.settings, Arc::clone(&services.uids));
        let browser = Browser::signed_in(&app).await;
        Self { app, budget, router, browser }
    }

    /// The answer to a request for a page, not read.
    async fn ask(&self, path: &str) -> Response<Body> {
        self.send(Request::get(path), Body::empty()).await
    }

    /// The answer to a form, not read.
    async fn post(&self, path: &str, form: String) -> Response<Body> {
        self.send(Request::post(path).header(ORIGIN, &self.app.address), form.into()).await
    }

    async fn send(&self, request: Builder, body: Body) -> Response<Body> {
        let (name, key) = self.browser.cookies.iter().next().unwrap();
        let host = self.app.address.trim_start_matches("http://");
        let request = request.header("host", host).header("cookie", format!("{name}={key}"));
        self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    fn taken(&self, budget: usize) -> usize {
        budget - self.budget.left_bytes()
    }

    /// More activities than a page of a download has, of 8 KiB each.
    async fn log_activities(&self) {
        let text = "\"".repeat(8 * KIB);
        for _ in 0..101 {
            self.app.post("/activities", &json!({ "description": text })).await.expect(201);
        }
    }

    /// A todo whose pages are large.
    async fn make_long_todo(&self) {
        let todo = json!({ "title": "x", "description": "&".repeat(64 * KIB) });
        self.app.post("/todos", &todo).await.expect(201);
    }
}

fn retry_after(answer: &Response<Body>) -> Option<&str> {
    answer.headers().get("retry-after").map(|value| value.to_str().unwrap())
}

fn length(answer: &Response<Body>) -> usize {
    answer.headers()["content-length"].to_str().unwrap().parse().unwrap()
}

async fn a_download_holds_its_memory_until_its_last_chunk_is_sent(database: TestDatabase) {
    let pages = Pages::start(database, ROOMY).await;
    pages.log_activities().await;
    let first = pages.ask("/activity.csv").await;
    assert_eq!(first.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    let of_one = pages.taken(ROOMY);
    assert!(of_one > 100 * 8 * KIB, "{of_one}");
    let second = pages.ask("/activity.csv").await;
    assert_eq!(pages.taken(ROOMY), 2 * of_one);
    drop(second);
    assert_eq!(pages.taken(ROOMY), of_one);

    let mut chunks = first.into_body().into_data_stream();
    let (mut read, mut lines, mut last) = (0, 0, None);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.unwrap();
        assert!(chunk.len() < 64 * KIB + 17 * KIB, "{}", chunk.len());
        read += chunk.len();
        lines += String::from_utf8_lossy(&chunk).matches('\n').count();
        last = Some(chunk);
        assert!(pages.taken(ROOMY) >= of_one);
    }
    assert_eq!((lines, read > 101 * 16 * KIB), (102, true));
    drop(chunks);
    assert!(pages.taken(ROOMY) >= of_one, "the last chunk is not sent yet");
    drop(last);
    assert_eq!(pages.taken(ROOMY), 0);
}

async fn a_download_without_memory_is_503(database: TestDatabase) {
    let budget = 1_024 * KIB;
    let pages = Pages::start(database, budget).await;
    pages.log_activities().await;
    let held = pages.ask("/activity.csv").await;
    assert_eq!((held.status().as_u16(), pages.taken(budget)), (200, budget));
    let refused = pages.ask("/activity.csv").await;
    assert_eq!((refused.status().as_u16(), retry_after(&refused)), (503, Some("1")));
    drop(held);
    assert_eq!(pages.ask("/activity.csv").await.status(), 200);
    assert_eq!(pages.taken(budget), 0);
}

async fn a_large_page_holds_its_memory_until_it_is_sent_and_counts_once(database: TestDatabase) {
    let pages = Pages::start(database, ROOMY).await;
    pages.make_long_todo().await;
    // The first has a room of its own, the second has none.
    for path in ["/todos/1", "/todos/1/edit"] {
        let page = pages.ask(path).await;
        assert_eq!(page.status(), 200);
        let bytes = length(&page);
        assert!(bytes > 5 * 64 * KIB, "{path}: {bytes}");
        assert_eq!(pages.taken(ROOMY), bytes.next_multiple_of(KIB), "{path}");
        let whole = page.into_body().into_data_stream().next().await.unwrap().unwrap();
        assert_eq!(whole.len(), bytes);
        assert_eq!(pages.taken(ROOMY), bytes.next_multiple_of(KIB), "{path}: not sent yet");
        drop(whole);
        assert_eq!(pages.taken(ROOMY), 0, "{path}");
    }
    let small = pages.ask("/agents").await;
    assert_eq!((small.status().as_u16(), pages.taken(ROOMY)), (200, 0));

    let first = pages.ask("/todos/1/edit").await;
    let second = pages.ask("/todos/1/edit").await;
    assert_eq!([first.status(), second.status()], [200, 200]);
    let third = pages.ask("/todos/1/edit").await;
    assert_eq!((third.status().as_u16(), retry_after(&third)), (429, Some("1")));
    assert_eq!(pages.ask("/agents").await.status(), 200);
    drop(first);
    assert_eq!(pages.ask("/todos/1/edit").await.status(), 200);
}

async fn a_large_page_without_memory_is_503(database: TestDatabase) {
    let budget = 500 * KIB;
    let pages = Pages::start(database, budget).await;
    pages.make_long_todo().await;
    // A form with a fault, which reads no rows.
    let form = format!("title=&description={}", "%26".repeat(64 * KIB));
    let held = pages.post("/todos", form.clone()).await;
    assert!(held.status().is_client_error(), "{}", held.status());
    assert_eq!(pages.taken(budget), length(&held).next_multiple_of(KIB));
    for refused in [pages.post("/todos", form).await, pages.ask("/todos/1").await] {
        assert_eq!((refused.status().as_u16(), retry_after(&refused)), (503, Some("1")));
        assert_eq!(refused.headers()["content-type"], "text/html; charset=utf-8");
        let page = refused.into_body().into_data_stream().next().await.unwrap().unwrap();
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert!(page.contains("too many large answers"), "{page}");
    }
    drop(held);
    assert_eq!(pages.ask("/todos/1/edit").await.status(), 200);
}

async fn a_form_that_fails_is_not_multiplied(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let hostile = "%22=%22&".repeat(12 * KIB) + "x=";
    let send_by = |browser: &Browser, body: &str| {
        let request = browser.request(Method::POST, "/todos").header(ORIGIN, &app.address);
        send(request.body(body.to_owned()))
    };
    let (anybody, member) = (Browser::new(&app), Browser::signed_in(&app).await);
    for (browser, status) in [(&anybody, 401), (&member, 400)] {
        let answer = send_by(browser, &hostile).await;
        assert_eq!(answer.status, status);
        assert!(answer.text.len() < 16 * KIB, "{}", answer.text.len());
        assert!(answer.text.contains("Go back in your browser"), "{}", answer.text);
        let short = send_by(browser, "title=Typed").await;
        assert!(short.text.contains("Typed"), "{}", short.text);
    }
}

async fn wrong_keys_keep_nobody_from_the_form_to_sign_in(database: TestDatabase) {
    let app = TestApp::start_with(database, 10, |settings| {
        let requests_per_minute = NonZeroU32::new(100_000);
        settings.limits = RateLimits { requests_per_minute, ..RateLimits::OFF };
    })
    .await;
    let mut is_limited = false;
    for _ in 0..1_000 {
        let wrong = app.unauthenticated(Method::GET, "/api/v1/todos").header("x-api-key", "x");
        is_limited |= send(wrong).await.status == 429;
        if is_limited {
            break;
        }
    }
    assert!(is_limited);
    let mut browser = Browser::new(&app);
    let sent = browser.get("/").await;
    assert_eq!((sent.status, sent.header("location")), (303, Some("/sign-in")));
    let form = browser.get("/sign-in").await;
    assert_eq!(form.status, 200);
    // Both are limited as files are.
    for answer in [sent, form] {
        let limit = answer.header("ratelimit").unwrap();
        assert!(limit.starts_with("\"static\";r=") && !limit.contains(','), "{limit}");
    }
    assert_eq!(browser.sign_in(app.key()).await.status, 303);
    assert_eq!(browser.get("/").await.status, 200);
}
