//! The whole API on its own port, over the test's own database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use roots_domain::service::accounts::NewCredentials;
use roots_http::Signup;
use roots_http_core::auth::rate_limit::RateLimits;
use roots_http_core::settings::HttpSettings;
use roots_http_core::state::{HttpState, SharedState};
use roots_http_core::surface;
use roots_web::Dashboard;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::answer;
use crate::context::TestContext;
use crate::database::TestDatabase;

/// A running API.
pub struct TestApp {
    /// Where the API listens: `http://127.0.0.1:…`
    pub address: String,
    /// The services behind the API, with their clock.
    pub context: TestContext,
    /// The database of the API.
    pub database: Arc<TestDatabase>,
    /// The account that calls the API.
    pub credentials: Arc<NewCredentials>,
    /// The settings of the API.
    pub settings: HttpSettings,
    /// What its surfaces share.
    pub shared: SharedState,
    /// The client that calls the API.
    pub client: reqwest::Client,
}

/// The credits of an account that signs up.
pub const SIGNUP_CREDITS: i64 = 100;
/// The request id that [`TestApp::call`] sends, so that answers are the same each time.
pub const REQUEST_ID: &str = "a-test";

/// The settings of a client for servers on this machine.
///
/// If `roots-client` is in the same build, its features give every client TLS without a provider of
/// cryptography, and such a client panics.
pub fn http_client() -> reqwest::ClientBuilder {
    // Another test of the process may have installed the provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

impl TestApp {
    /// Starts the API with an account of `credits` credits. Sign-up is open and no limits apply.
    pub async fn start(database: TestDatabase, credits: i64) -> Self {
        Self::start_with(database, credits, |_| {}).await
    }

    /// The same, with settings that `set` changes.
    pub async fn start_with(
        database: TestDatabase,
        credits: i64,
        set: impl FnOnce(&mut HttpSettings),
    ) -> Self {
        let mut settings = HttpSettings { limits: RateLimits::OFF, ..HttpSettings::default() };
        set(&mut settings);
        let context = database.context();
        let credentials = context.found(credits).await;
        Self::serve(context, Arc::new(database), Arc::new(credentials), settings).await
    }

    /// Starts another API for the same database and account, like a second process: with its own
    /// store, clock and caches.
    pub async fn another(&self) -> Self {
        self.another_remembering(self.settings.caller_ttl).await
    }

    /// The same, with callers cached for `caller_ttl`.
    pub async fn another_remembering(&self, caller_ttl: Duration) -> Self {
        let (database, credentials) = (self.database.clone(), self.credentials.clone());
        let settings = HttpSettings { caller_ttl, ..self.settings.clone() };
        let context = self.database.another_context().await;
        Self::serve(context, database, credentials, settings).await
    }

    /// The same API, called with the key of another account.
    #[must_use]
    pub fn by(&self, credentials: NewCredentials) -> Self {
        Self {
            address: self.address.clone(),
            context: self.context.clone(),
            database: self.database.clone(),
            credentials: Arc::new(credentials),
            client: self.client.clone(),
            settings: self.settings.clone(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// The same API, called by another account with `credits` credits.
    pub async fn as_another(&self, credits: i64) -> Self {
        Self {
            address: self.address.clone(),
            context: self.context.clone(),
            database: self.database.clone(),
            credentials: Arc::new(self.context.found(credits).await),
            settings: self.settings.clone(),
            shared: Arc::clone(&self.shared),
            client: self.client.clone(),
        }
    }

    async fn serve(
        context: TestContext,
        database: Arc<TestDatabase>,
        credentials: Arc<NewCredentials>,
        settings: HttpSettings,
    ) -> Self {
        let services = context.services.clone();
        let shared = HttpState::new(&services, &settings);
        let uids = Arc::clone(&services.uids);
        let signup = Signup::Open { credits: SIGNUP_CREDITS };
        let mcp = roots_mcp::surface(&services, &settings, Arc::clone(&shared));
        let pages = roots_web::surface(&services, &settings, Arc::clone(&shared), Dashboard::On);
        let api = roots_http::surface(services, signup, Arc::clone(&shared));
        let router = surface::router([api, mcp].into_iter().chain(pages), &settings, uids);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        // A request that is never answered fails its test instead of hanging it.
        let client = http_client().timeout(Duration::from_mins(2)).build().expect("a client");
        Self { address, context, database, credentials, settings, shared, client }
    }

    /// The API key of the calling account.
    #[must_use]
    pub fn key(&self) -> &str {
        self.credentials.api_key.expose_secret()
    }

    /// A request of the account's owner to a path below `/api/v1`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.unauthenticated(method, &format!("/api/v1{path}"))
            .header("X-API-Key", self.key())
            .header("X-Request-Id", REQUEST_ID)
    }

    /// A request without a key, to a path from the root.
    pub fn unauthenticated(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.address))
    }

    /// Calls a path below `/api/v1` as the account's owner.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> ApiResponse {
        let request = self.request(method, path);
        send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// `GET`s a path below `/api/v1`.
    pub async fn get(&self, path: &str) -> ApiResponse {
        self.call(Method::GET, path, None).await
    }

    /// `POST`s to a path below `/api/v1`.
    pub async fn post(&self, path: &str, body: &Value) -> ApiResponse {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `PATCH`es a path below `/api/v1`.
    pub async fn patch(&self, path: &str, body: &Value) -> ApiResponse {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`s a path below `/api/v1`.
    pub async fn delete(&self, path: &str) -> ApiResponse {
        self.call(Method::DELETE, path, None).await
    }
}

/// Sends a request and reads the whole answer.
pub async fn send(request: RequestBuilder) -> ApiResponse {
    let response: Response = request.send().await.expect("an answer");
    ApiResponse {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.expect("a whole answer"),
    }
}

/// An answer of the API.
#[derive(Debug)]
pub struct ApiResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl ApiResponse {
    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| {
            unreachable!("an answer {} that is no JSON: {:?}", self.status, self.text)
        })
    }

    /// The answer as text, for a snapshot.
    #[must_use]
    pub fn summary(&self) -> String {
        let status = StatusCode::from_u16(self.status).expect("a status of HTTP");
        let mut headers = self.headers.clone();
        // It contains a uid, which is random here.
        headers.remove("etag");
        answer::summary(status, &headers, &self.text)
    }

    /// The body, after checking the status.
    #[expect(clippy::must_use_candidate, reason = "that the status is right is enough for many")]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The value of a header that must not occur twice.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        assert!(values.next().is_none(), "{name} stands there more than once");
        Some(first.to_str().expect("a header of visible characters"))
    }
}
