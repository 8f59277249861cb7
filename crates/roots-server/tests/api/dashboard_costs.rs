//! What requests to the pages may cost the server.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use futures_util::{FutureExt, StreamExt};
use reqwest::header::ORIGIN;
use reqwest::{Method, RequestBuilder};
use roots_domain::model::account::AccountKind;
use roots_http_core::auth::client_ip::TrustedProxy;
use roots_http_core::auth::rate_limit::RateLimits;
use roots_http_core::settings::HttpSettings;
use roots_http_core::surface;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::browser::Browser;
use roots_testkit::database::TestDatabase;
use roots_testkit::on_both;
use roots_web::Dashboard;
use serde_json::json;
use tower::ServiceExt;

on_both! {
    lists_and_statistics_of_pages_wait_for_the_turn_of_their_account,
    a_page_that_holds_a_turn_waits_for_no_other,
    what_fails_before_anything_counts_it_counts_against_the_address,
    forms_are_as_large_as_they_need_to_be,
    an_address_beyond_its_limit_has_no_form_read,
    a_used_up_sign_in_costs_no_look_up_loses_nothing_typed_and_signs_out,
    a_download_counts_each_page_and_ends_with_its_sign_in,
    a_search_is_not_refreshed,
    a_grant_that_is_sent_twice_is_done_once,
    a_key_or_code_that_is_asked_for_twice_is_made_once,
}

/// The pages that read lists and statistics.
const READERS: [&str; 8] =
    ["/", "/sessions", "/todos", "/activity", "/agents", "/agents/1", "/credits", "/access"];

/// What agents read in the turn of their account.
const LISTS_OF_AGENTS: [&str; 9] = [
    "/sessions",
    "/todos",
    "/activities",
    "/activities/stats",
    "/actors",
    "/keys",
    "/credits/ledger",
    "/audit",
    "/usage",
];

fn limited(settings: &mut HttpSettings) {
    let requests_per_minute = NonZeroU32::new(100_000);
    settings.limits = RateLimits { requests_per_minute, ..RateLimits::OFF };
    settings.trusted_proxies = vec![TrustedProxy::parse("127.0.0.1").unwrap()];
}

/// A request of a browser at that address.
fn from(request: RequestBuilder, address: &str) -> RequestBuilder {
    request.header("x-forwarded-for", address)
}

/// Sends requests until one is limited.
async fn until_limited(request: impl Fn() -> RequestBuilder) -> ApiResponse {
    let mut sent = 0;
    loop {
        let answer = send(request()).await;
        if answer.status == 429 {
            return answer;
        }
        sent += 1;
        assert!(sent < 3_000, "nothing limits it");
    }
}

async fn lists_and_statistics_of_pages_wait_for_the_turn_of_their_account(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let permits = &app.shared.list_permits.of_pages;
    let account = app.credentials.account;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(permits.permit(account).await.unwrap());
    }
    // As many wait as may.
    let mut waiting: Vec<_> = (0..200).map(|_| Box::pin(permits.permit(account))).collect();
    waiting.retain_mut(|permit| permit.now_or_never().is_none());
    for path in READERS.into_iter().chain(["/access/audit"]) {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text);
    }
    // No agent waits for them.
    for path in LISTS_OF_AGENTS {
        app.get(path).await.expect(200);
    }
    drop((waiting, held));
    for path in READERS {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
}

async fn a_page_that_holds_a_turn_waits_for_no_other(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({"title": "x"})).await.expect(201);
    app.post("/sessions", &json!({"notes": "x"})).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let permits = &app.shared.list_permits.of_pages;
    let _held = permits.permit(app.credentials.account).await.unwrap();
    for path in READERS.into_iter().chain(["/todos/1", "/sessions/1", "/access/audit"]) {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
}

async fn what_fails_before_anything_counts_it_counts_against_the_address(database: TestDatabase) {
    let app = TestApp::start_with(database, 10, limited).await;
    let browser = Browser::signed_in(&app).await;
    let post = |path: &str| browser.request(Method::POST, path).header(ORIGIN, &app.address);
    let remote = "http://roots.example";
    let kinds: [(&str, u16, &dyn Fn() -> RequestBuilder); 7] = [
        ("10.0.0.1", 413, &|| post("/sign-in").body("x".repeat(9_000))),
        ("10.0.0.2", 400, &|| post("/sign-in").body(&b"\xff"[..])),
        ("10.0.0.3", 404, &|| post("/accounts/x/credits").body("amount=1")),
        ("10.0.0.4", 403, &|| browser.request(Method::POST, "/todos").body("title=x")),
        ("10.0.0.5", 400, &|| browser.request(Method::GET, "/sign-in?x=1")),
        ("10.0.0.6", 403, &|| {
            let request = browser.request(Method::POST, "/sign-in").header(ORIGIN, remote);
            request.header("host", "roots.example").body("api_key=x")
        }),
        ("10.0.0.7", 403, &|| post("/todos").header("sec-fetch-site", "cross-site")),
    ];
    for (address, status, request) in kinds {
        let first = send(from(request(), address)).await;
        assert_eq!(first.status, status, "{address}: {}", first.text);
        let limited = until_limited(|| from(request(), address)).await;
        assert!(limited.text.contains("without a valid key from one address"), "{address}");
    }
    // Each has used up its own address alone.
    assert_eq!(send(browser.request(Method::GET, "/todos")).await.status, 200);
}

async fn forms_are_as_large_as_they_need_to_be(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let form = browser.get("/todos/new").await.text;
    // A browser sends a line break as two characters.
    let title = "\u{10ffff}".repeat(500);
    let longest = "\r\n".repeat(65_536);
    let fields = [("title", title.as_str()), ("description", &longest)];
    let made = browser.submit(&form, "/todos", &fields).await;
    assert_eq!(made.status, 303, "{}", &made.text[..500.min(made.text.len())]);
    let too_large = browser.submit(&form, "/todos", &[("description", &"x".repeat(140_000))]).await;
    assert_eq!(too_large.status, 413);
    let mut anybody = Browser::new(&app);
    for path in ["/sign-in", "/theme"] {
        let too_large = anybody.post(path, &[("next", &"x".repeat(3_000))]).await;
        assert_eq!(too_large.status, 413, "{path}");
    }
}

async fn an_address_beyond_its_limit_has_no_form_read(database: TestDatabase) {
    let app = TestApp::start_with(database, 10, limited).await;
    let browser = Browser::new(&app);
    let post = || {
        let request = browser.request(Method::POST, "/todos").header(ORIGIN, &app.address);
        from(request.body("title=Typed"), "10.0.0.1")
    };
    let first = send(post()).await;
    assert_eq!(first.status, 401);
    assert!(first.text.contains("Typed"), "{}", first.text);
    let last = until_limited(post).await;
    assert!(!last.text.contains("Typed"), "{}", last.text);
}

async fn a_used_up_sign_in_costs_no_look_up_loses_nothing_typed_and_signs_out(
    database: TestDatabase,
) {
    let app = TestApp::start_with(database, 10, limited).await;
    let mut browser = Browser::signed_in(&app).await;
    let kept = browser.cookies.clone();
    until_limited(|| browser.request(Method::HEAD, "/events")).await;
    let post = || {
        let request = browser.request(Method::POST, "/todos").header(ORIGIN, &app.address);
        request.body("title=Typed")
    };
    let limited = until_limited(post).await;
    assert!(limited.text.contains(r#"name="title" value="Typed""#), "{}", limited.text);
    assert!(limited.text.contains("requests a minute of one sign-in"), "{}", limited.text);
    // Beyond its allowance, a request does not ask the database.
    app.database.execute("ALTER TABLE sign_ins RENAME TO sign_ins_away").await;
    until_limited(|| browser.request(Method::HEAD, "/events")).await;
    app.database.execute("ALTER TABLE sign_ins_away RENAME TO sign_ins").await;
    let out = browser.post("/sign-out", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/sign-in")), "{}", out.text);
    assert!(out.header("ratelimit").is_none_or(|limits| !limits.contains("\"sign-in\"")));
    browser.cookies = kept;
    let replayed = browser.get("/todos").await;
    assert_ne!(replayed.status, 200);
}

async fn a_download_counts_each_page_and_ends_with_its_sign_in(database: TestDatabase) {
    let app = TestApp::start_with(database, 1_000, limited).await;
    for _ in 0..501 {
        app.post("/activities", &json!({"description": "x"})).await.expect(201);
    }
    // In this process, so that nothing is read ahead of its reader.
    let services = &app.context.services;
    let pages = roots_web::surface(services, &app.settings, app.shared.clone(), Dashboard::On);
    let router = surface::router(pages, &app.settings, Arc::clone(&services.uids));
    let ask = |browser: &Browser, path: &str| {
        let (name, key) = browser.cookies.iter().next().unwrap();
        let host = app.address.trim_start_matches("http://");
        let request = Request::get(path).header("host", host);
        let request = request.header("cookie", format!("{name}={key}")).body(Body::empty());
        router.clone().oneshot(request.unwrap()).map(Result::unwrap)
    };
    let browser = Browser::signed_in(&app).await;
    let whole = ask(&browser, "/activity.csv").await.into_body().into_data_stream();
    let frames: Vec<_> = whole.map(Result::unwrap).collect().await;
    assert_eq!(frames.len(), 6);
    // What was read ahead keeps its place, of which an account has two.
    drop(frames);

    let mut counted = ask(&browser, "/activity.csv").await.into_body().into_data_stream();
    assert!(counted.next().await.unwrap().is_ok());
    let mut further = Vec::new();
    for _ in 1..6 {
        while ask(&browser, "/events?x").await.status() != 429 {}
        further.push(counted.next().await.unwrap().is_ok());
        if further.ends_with(&[false]) {
            break;
        }
    }
    assert!(further.ends_with(&[false]), "a page beyond the allowance is read: {further:?}");

    let mut other = Browser::signed_in(&app).await;
    let answer = ask(&other, "/activity.csv").await;
    assert_eq!(answer.status(), 200);
    let mut ended = answer.into_body().into_data_stream();
    assert!(ended.next().await.unwrap().is_ok());
    assert!(ended.next().await.unwrap().is_ok());
    other.post("/sign-out", &[]).await;
    assert!(ended.next().await.unwrap().is_err());
}

async fn a_search_is_not_refreshed(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/activities", &json!({"description": "needle"})).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/activity?q=needle").await.text;
    assert!(page.contains("A search is not refreshed") && page.contains("data-still"), "{page}");
    assert!(!page.contains("data-live"), "{page}");
    let live = browser.get("/activity").await.text;
    assert!(!live.contains("data-still") && live.contains("data-live"), "{live}");
    let refresh = browser.request(Method::GET, "/activity?q=needle").header("x-roots-refresh", "1");
    let refresh = send(refresh).await;
    assert_eq!((refresh.status, refresh.text.as_str()), (204, ""));
}

async fn a_grant_that_is_sent_twice_is_done_once(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let operator = app.by(app.context.found_of(AccountKind::Operator, 0).await);
    let mut browser = Browser::new(&app);
    browser.sign_in(operator.key()).await;
    let page = browser.get("/accounts/1").await.text;
    for _ in 0..2 {
        let sent = browser.submit(&page, "/accounts/1/credits", &[("amount", "5")]).await;
        assert_eq!((sent.status, sent.header("location")), (303, Some("/accounts/1")));
    }
    assert_eq!(app.get("/credits").await.expect(200)["balance"], 15);
    // Another amount, typed after "back", is another grant.
    let other = browser.submit(&page, "/accounts/1/credits", &[("amount", "6")]).await;
    assert_eq!(other.status, 303, "{}", other.text);
    assert_eq!(app.get("/credits").await.expect(200)["balance"], 21);
    let page = browser.get("/accounts/1").await.text;
    browser.submit(&page, "/accounts/1/credits", &[("amount", "5")]).await;
    assert_eq!(app.get("/credits").await.expect(200)["balance"], 26);
    // A form without its key is none of ours.
    assert_eq!(browser.post("/accounts/1/credits", &[("amount", "5")]).await.status, 400);
}

async fn a_key_or_code_that_is_asked_for_twice_is_made_once(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/access").await.text;
    let own = [("api_key", app.key())];
    for (action, shown) in [
        ("/access/keys", r#"<code id="api-key">"#),
        ("/access/recovery-code", r#"<code id="code">"#),
        ("/access/keys/rotate", r#"<code id="api-key">"#),
    ] {
        let keys = app.get("/keys").await.expect(200)["total"].as_i64().unwrap();
        let audited = app.get("/audit").await.expect(200)["total"].as_i64().unwrap();
        let first = browser.submit(&page, action, &own).await;
        assert_eq!(first.status, 200, "{action}: {}", first.text);
        assert!(first.text.contains(shown), "{action}");
        let second = browser.submit(&page, action, &own).await;
        assert_eq!(second.status, 409, "{action}: {}", second.text);
        assert!(second.text.contains("is kept nowhere"), "{action}: {}", second.text);
        assert!(!second.text.contains("<code id="), "{action}");
        let made = i64::from(action != "/access/recovery-code");
        assert_eq!(app.get("/keys").await.expect(200)["total"], keys + made, "{action}");
        assert_eq!(app.get("/audit").await.expect(200)["total"], audited + 1, "{action}");
    }
}
