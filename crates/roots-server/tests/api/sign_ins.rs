//! Pages: a browser key in a cookie lets its bearer in on pages alone, an API key on the API alone.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, Request, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use reqwest::Method;
use roots_domain::model::id::ActorId;
use roots_domain::model::sign_in::{SignInEnd, Stay};
use roots_domain::service::Services;
use roots_http_core::auth::cookie::browser_label;
use roots_http_core::auth::page_bearer::{LivePageBearer, NotSignedIn, PageBearer, typed_key};
use roots_http_core::auth::rate_limit::{RateLimits, RouteLimit};
use roots_http_core::middleware::route_traits::RouteTraits;
use roots_http_core::problem::Problem;
use roots_http_core::state::{HttpState, SharedState};
use roots_http_core::surface::{self, Surface};
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::context::TestContext;
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::net::TcpListener;

roots_testkit::on_both! {
    a_browser_key_is_unknown_to_the_api_and_an_api_key_to_the_pages,
    signing_out_shuts_the_cookie_here_and_in_another_process_with_the_next_request,
    what_a_browser_key_may_not_do_is_done_by_an_api_key_that_is_typed_again,
    pages_have_an_allowance_of_their_own,
    sign_ins_are_limited_by_actor_and_wrong_keys_by_address,
    live_requests_are_no_use_and_a_page_is,
    a_cookie_is_set_only_where_a_browser_keeps_it,
}

/// The state of a few pages, as a dashboard has it.
#[derive(Clone)]
struct PagesState {
    services: Services,
    shared: SharedState,
}

impl FromRef<PagesState> for SharedState {
    fn from_ref(state: &PagesState) -> Self {
        Arc::clone(&state.shared)
    }
}

/// A few pages in front of the services of a process.
struct Pages {
    address: String,
    client: reqwest::Client,
}

async fn page(signed_in: Result<PageBearer, NotSignedIn>) -> Response {
    match signed_in {
        Ok(bearer) => axum::Json(json!({
            "actor": bearer.actor.id.0,
            "sign_in": bearer.sign_in.map(|id| id.0),
            "key": bearer.key.0,
        }))
        .into_response(),
        Err(NotSignedIn::NoCookie) => (StatusCode::SEE_OTHER, "/sign-in").into_response(),
        Err(NotSignedIn::Ended(why)) => {
            let why = why.map_or("unknown".to_owned(), |why: SignInEnd| why.to_string());
            (StatusCode::SEE_OTHER, format!("/sign-in: {why}")).into_response()
        }
        Err(NotSignedIn::Refused(problem)) => problem.into_response(),
    }
}

async fn live(bearer: LivePageBearer) -> String {
    bearer.actor.id.to_string()
}

async fn whoami(State(state): State<PagesState>, mut bearer: PageBearer) -> Response {
    let accounts = &state.services.accounts;
    let read = |caller: Arc<_>| async move { accounts.whoami(&caller).await };
    match bearer.0.read(read).await {
        Ok(whoami) => whoami.credits_remaining.to_string().into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn sign_in(State(state): State<PagesState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let mode = state.shared.cookies.mode(&parts.extensions, &parts.uri, &parts.headers);
    let body = axum::body::to_bytes(body, 1_000).await.unwrap();
    let text = SecretString::from(String::from_utf8(body.to_vec()).unwrap());
    let bearer = typed_key(&state.shared, &parts.extensions, text).await?;
    let label = browser_label(&parts.headers);
    let shown = state.services.sign_ins.sign_in(&bearer, Stay::Usual, label).await?;
    let Some(cookie) = mode.set(&shown.browser_key, Stay::Usual) else {
        return Ok("dropped".into_response());
    };
    let cookie: [(_, HeaderValue); 1] = [(SET_COOKIE, cookie)];
    Ok((StatusCode::SEE_OTHER, cookie).into_response())
}

async fn sign_out(State(state): State<PagesState>, bearer: PageBearer) -> Result<(), Problem> {
    Ok(state.services.sign_ins.sign_out(&bearer).await?)
}

async fn renew_code(
    State(state): State<PagesState>,
    bearer: PageBearer,
    text: String,
) -> Result<String, Problem> {
    let caller = if text.is_empty() {
        bearer.caller()
    } else {
        bearer.authorize(SecretString::from(text)).await?.caller()
    };
    let code = state.services.accounts.renew_code(&caller, None).await?;
    Ok(code.expose_secret().len().to_string())
}

impl Pages {
    async fn of(context: &TestContext, app: &TestApp) -> Self {
        let services = context.services.clone();
        let shared = HttpState::new(&services, &app.settings);
        let uids = Arc::clone(&services.uids);
        let routes = Router::new()
            .route("/", get(page))
            .route("/live", get(live))
            .route("/whoami", get(whoami))
            .route("/sign-in", post(sign_in))
            .route("/sign-out", post(sign_out))
            .route("/code", post(renew_code))
            .with_state(PagesState { services, shared });
        let methods = vec![Method::GET, Method::HEAD, Method::POST];
        let limit = Some(RouteLimit::Caller);
        let traits = RouteTraits { methods, limit, is_private: true, ..RouteTraits::default() };
        let paths = ["/", "/live", "/whoami", "/sign-in", "/sign-out", "/code"];
        let traits = paths.map(|path| (path.to_owned(), traits.clone())).into();
        let served =
            surface::router([Surface { routes, traits, no_such_page: None }], &app.settings, uids);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let service = served.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, client: app.client.clone() }
    }

    /// The cookie of this server with that value. Another process has another port, and so another
    /// cookie.
    fn cookie(&self, value: &str) -> String {
        let port = self.address.rsplit(':').next().unwrap();
        format!("zone=UTC; roots-{port}={value}")
    }

    async fn call(&self, method: Method, path: &str, cookie: &str, body: &str) -> ApiResponse {
        let request = self.client.request(method, format!("{}{path}", self.address));
        send(request.header(COOKIE, self.cookie(cookie)).body(body.to_owned())).await
    }

    async fn get(&self, path: &str, cookie: &str) -> ApiResponse {
        self.call(Method::GET, path, cookie, "").await
    }

    async fn post(&self, path: &str, cookie: &str, body: &str) -> ApiResponse {
        self.call(Method::POST, path, cookie, body).await
    }

    /// Signs in, and returns the browser key.
    async fn sign_in(&self, api_key: &str) -> String {
        let answer = self.post("/sign-in", "", api_key).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let cookie = answer.header("set-cookie").unwrap();
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
        pair.split_once('=').unwrap().1.to_owned()
    }
}

async fn started(database: TestDatabase) -> (TestApp, Pages) {
    started_with(database, RateLimits::OFF).await
}

async fn started_with(database: TestDatabase, limits: RateLimits) -> (TestApp, Pages) {
    let app = TestApp::start_with(database, 100, |settings| settings.limits = limits).await;
    let pages = Pages::of(&app.context, &app).await;
    (app, pages)
}

async fn api_status(app: &TestApp, key: &str, header: &str) -> u16 {
    let request = app.unauthenticated(Method::GET, "/api/v1/whoami").header(header, key);
    send(request).await.status
}

async fn a_browser_key_is_unknown_to_the_api_and_an_api_key_to_the_pages(database: TestDatabase) {
    let (app, pages) = started(database).await;
    let browser_key = pages.sign_in(app.key()).await;
    let found: Value = pages.get("/", &browser_key).await.expect(200);
    assert_eq!(found, json!({ "actor": 1, "sign_in": 1, "key": 1 }));
    assert_eq!(pages.get("/whoami", &browser_key).await.text, "100");
    assert_eq!(api_status(&app, app.key(), "X-API-Key").await, 200);
    assert_eq!(api_status(&app, &browser_key, "X-API-Key").await, 401);
    assert_eq!(api_status(&app, &format!("Bearer {browser_key}"), "Authorization").await, 401);
    // The API takes no cookie, and the pages no header.
    for value in [&browser_key, app.key()] {
        for name in ["roots", "__Host-roots", &format!("roots-{}", app.address.len())] {
            let cookie = format!("{name}={value}");
            assert_eq!(api_status(&app, &cookie, "Cookie").await, 401);
        }
    }
    let with_header = pages.client.get(&pages.address).header("X-API-Key", app.key());
    let answer = send(with_header).await;
    assert_eq!((answer.status, answer.text.as_str()), (303, "/sign-in"));
    // An API key in the cookie is none, and cannot be signed in with by a browser key.
    let answer = pages.get("/", app.key()).await;
    assert_eq!((answer.status, answer.text.as_str()), (303, "/sign-in: unknown"));
    for wrong in [browser_key.as_str(), "", "roots_1_x", "x"] {
        let answer = pages.post("/sign-in", "", wrong).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None), "{wrong}");
    }
    let changed = format!("{}0", &browser_key[..browser_key.len() - 1]);
    assert_eq!(pages.get("/", &changed).await.status, 303);
}

async fn signing_out_shuts_the_cookie_here_and_in_another_process_with_the_next_request(
    database: TestDatabase,
) {
    let (app, pages) = started(database).await;
    let elsewhere = app.database.another_context().await;
    let there = Pages::of(&elsewhere, &app).await;
    let [first, second] = [pages.sign_in(app.key()).await, there.sign_in(app.key()).await];
    for process in [&pages, &there] {
        for key in [&first, &second] {
            assert_eq!(process.get("/whoami", key).await.status, 200);
        }
    }
    // The API is warm, and stays so.
    app.get("/whoami").await.expect(200);
    pages.post("/sign-out", &first, "").await;
    for process in [&there, &pages] {
        let answer = process.get("/", &first).await;
        assert_eq!((answer.status, answer.text.as_str()), (303, "/sign-in: unknown"));
        assert_eq!(process.get("/whoami", &first).await.status, 401);
        assert_eq!(process.get("/whoami", &second).await.status, 200);
    }
    // A rotation signs out, and says so.
    let rotated = app.post("/keys/rotate", &json!({})).await.expect(201);
    let next = rotated["api_key"].as_str().unwrap();
    assert_eq!(there.get("/", &second).await.status, 200);
    assert_eq!(api_status(&app, next, "X-API-Key").await, 200);
    // Whatever asks first, the page is told why, and so is the next one.
    assert_eq!(there.get("/live", &second).await.status, 401);
    assert_eq!(there.get("/", &second).await.status, 303);
    let answer = there.get("/", &second).await;
    let why =
        "/sign-in: The API key that you signed in with was rotated: sign in with the new one.";
    assert_eq!((answer.status, answer.text.as_str()), (303, why));
    assert_eq!(pages.post("/sign-in", "", app.key()).await.status, 401);
    pages.sign_in(next).await;
}

async fn what_a_browser_key_may_not_do_is_done_by_an_api_key_that_is_typed_again(
    database: TestDatabase,
) {
    let (app, pages) = started(database).await;
    let owner = app.context.bearer(&SecretString::from(app.key())).await;
    let members_key = add_member(&app.database, &owner, 2).await;
    let browser_key = pages.sign_in(app.key()).await;
    let refused = pages.post("/code", &browser_key, "").await.expect(401);
    assert_eq!(refused["detail"], "A sign-in can't do this: enter an API key once more.");
    let refused = pages.post("/code", &browser_key, members_key.expose_secret()).await.expect(401);
    let other = "This API key belongs to another actor than the one that is signed in.";
    assert_eq!(refused["detail"], other);
    for wrong in ["x", &browser_key] {
        assert_eq!(pages.post("/code", &browser_key, wrong).await.status, 401);
    }
    assert_eq!(pages.post("/code", &browser_key, app.key()).await.status, 200);
    let log = app.get("/audit").await.expect(200);
    let newest = &log["entries"][0];
    assert_eq!(
        (&newest["action"], &newest["key_id"]),
        (&json!("recovery_code_renewed"), &json!(1))
    );
    assert_eq!(log["entries"][1]["action"], "signed_in");
    assert_eq!(owner.actor.id, ActorId(1));
}

async fn pages_have_an_allowance_of_their_own(database: TestDatabase) {
    let limits = RateLimits {
        requests_per_minute: NonZeroU32::new(2),
        account_requests_per_minute: NonZeroU32::new(2),
        ..RateLimits::OFF
    };
    let (app, pages) = started_with(database, limits).await;
    let browser_key = pages.sign_in(app.key()).await;
    for left in (597..600).rev() {
        let answer = pages.get("/", &browser_key).await;
        assert_eq!(answer.status, 200);
        let limit = answer.header("ratelimit").unwrap();
        assert!(limit.starts_with(&format!("\"sign-in\";r={left};")), "{limit}");
        assert!(!limit.contains("actor"), "{limit}");
    }
    // The agent has all of its own.
    for status in [200, 200, 429] {
        let request = app.unauthenticated(Method::GET, "/api/v1/whoami");
        assert_eq!(send(request.header("X-API-Key", app.key())).await.status, status);
    }
    assert_eq!(pages.get("/", &browser_key).await.status, 200);
    // Another sign-in has its own.
    let second = pages.sign_in(app.key()).await;
    let answer = pages.get("/", &second).await;
    assert!(answer.header("ratelimit").unwrap().starts_with("\"sign-in\";r=599;"));
}

async fn sign_ins_are_limited_by_actor_and_wrong_keys_by_address(database: TestDatabase) {
    let limits = RateLimits {
        sign_ins_per_hour: NonZeroU32::new(2),
        requests_per_minute: NonZeroU32::new(1_000),
        ..RateLimits::OFF
    };
    let (app, pages) = started_with(database, limits).await;
    let owner = app.context.bearer(&SecretString::from(app.key())).await;
    let members_key = add_member(&app.database, &owner, 2).await;
    for _ in 0..2 {
        pages.sign_in(app.key()).await;
    }
    let refused = pages.post("/sign-in", "", app.key()).await;
    assert_eq!((refused.status, refused.header("set-cookie")), (429, None));
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("2 sign-ins an hour of one actor"), "{detail}");
    assert!(detail.contains("ROOTS_SIGN_INS_PER_HOUR raises it."), "{detail}");
    pages.sign_in(members_key.expose_secret()).await;
    let mut statuses = Vec::new();
    for _ in 0..61 {
        statuses.push(pages.post("/sign-in", "", "no key").await.status);
    }
    assert_eq!((statuses[0], statuses[60]), (401, 429));
    // What brings something wrong counts with them. What brings nothing is led to the form.
    assert_eq!(pages.get("/", "no cookie").await.status, 429);
    assert_eq!(send(pages.client.get(&pages.address)).await.status, 303);
}

async fn live_requests_are_no_use_and_a_page_is(database: TestDatabase) {
    let (app, pages) = started(database).await;
    let browser_key = pages.sign_in(app.key()).await;
    let used = async || {
        app.context.key_usage.flush().await.unwrap();
        let used = "SELECT COUNT(*) FROM sign_ins WHERE last_used > created_at";
        app.database.rows::<(i64,)>(used).await[0].0 == 1
    };
    app.context.clock.advance_seconds(60);
    assert_eq!(pages.get("/live", &browser_key).await.text, "1");
    assert!(!used().await);
    assert_eq!(pages.get("/", &browser_key).await.status, 200);
    assert!(used().await);
    app.context.clock.advance_seconds(12 * 3_600);
    assert_eq!(pages.get("/live", &browser_key).await.status, 401);
    let lapsed = pages.get("/", &browser_key).await;
    assert_eq!(lapsed.status, 303);
}

async fn a_cookie_is_set_only_where_a_browser_keeps_it(database: TestDatabase) {
    let (app, pages) = started(database).await;
    let mut headers = HeaderMap::new();
    headers.insert("host", "roots.example".parse().unwrap());
    let to_another_host = |path: &str, method| {
        let request = pages.client.request(method, format!("{}{path}", pages.address));
        request.headers(headers.clone())
    };
    let answer = send(to_another_host("/sign-in", Method::POST).body(app.key().to_owned())).await;
    assert_eq!((answer.text.as_str(), answer.header("set-cookie")), ("dropped", None));
    // Nor is one read.
    let browser_key = pages.sign_in(app.key()).await;
    let request = to_another_host("/", Method::GET);
    let cookies = format!("roots={browser_key}; __Host-roots={browser_key}");
    let answer = send(request.header(COOKIE, cookies)).await;
    assert_eq!((answer.status, answer.text.as_str()), (303, "/sign-in"));
}
