//! The client: where the server is, and how requests get there.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::answer::Answer;
use crate::call::Call;
use crate::error::Error;
use crate::retry::{self, retrying};
use crate::secret::ApiKey;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// How a client calls itself.
const USER_AGENT: &str = concat!("roots-client/", env!("CARGO_PKG_VERSION"));
/// How long a server may take to accept a connection by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take by default. The server ends its own work after 30 s.
const TIMEOUT: Duration = Duration::from_secs(35);

/// A client of one server, for one API key. Clones share its connections.
///
/// See the [crate](crate) for what its methods have in common.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    api_key: Option<HeaderValue>,
    timeout: Duration,
    /// None if nothing is tried again.
    retry_within: Option<Duration>,
}

/// Shows where the server is, and never the key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// The settings of a [`Client`].
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    base_url: String,
    api_key: Option<ApiKey>,
    user_agent: String,
    connect_timeout: Duration,
    timeout: Duration,
    retry_within: Duration,
    vanished_after: Option<Duration>,
}

/// Why there is no such client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The URL is none of a server.
    #[error("the URL of the server must be like https://roots.example.com: {0}")]
    Url(&'static str),
    /// The API key has a character that no key has.
    #[error("the API key has a character that no key has; copy it again")]
    ApiKey,
    /// The name of the program has no place in a header.
    #[error("the user agent can't stand in a header")]
    UserAgent,
    /// The certificates that the system trusts can't be read.
    #[error("the certificates that the system trusts can't be read")]
    Tls(#[from] rustls::Error),
    /// The HTTP client can't be made.
    #[error("the HTTP client can't be made")]
    Http(#[from] reqwest::Error),
}

impl Client {
    /// Begins the settings of a client for the server at `base_url`, with or without a `/` at its
    /// end: `http://127.0.0.1:8080`. It may have a path, if a proxy serves Roots below one.
    #[must_use]
    pub fn builder(base_url: &str) -> ClientBuilder {
        ClientBuilder {
            base_url: base_url.to_owned(),
            api_key: None,
            user_agent: USER_AGENT.to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            timeout: TIMEOUT,
            retry_within: retry::WITHIN,
            vanished_after: None,
        }
    }

    /// A client with the default settings.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub fn new(base_url: &str, api_key: impl Into<ApiKey>) -> Result<Self, BuildError> {
        Self::builder(base_url).api_key(api_key).build()
    }

    /// Sends the request until its answer is complete, or it can't be sent again.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let operation = call.operation;
        retrying(operation.repeat(), self.retry_within, |left| async move {
            let request = self.request(call).timeout(self.time_of_try(left));
            let response = request.send().await.map_err(Error::of_transport)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = response.bytes().await.map_err(Error::of_transport)?;
            let is_success = status.is_success() || status == StatusCode::NOT_MODIFIED;
            if !is_success {
                return Err(Error::of_answer(status, &headers, &body));
            }
            Ok(Answer { operation, status, headers, body })
        })
        .await
    }

    /// Sends the request until an answer begins that is a success. Its body may take any time.
    pub(crate) async fn open(&self, call: &Call) -> Result<Response, Error> {
        retrying(call.operation.repeat(), self.retry_within, |left| async move {
            let answered = tokio::time::timeout(self.time_of_try(left), async {
                let response = self.request(call).send().await.map_err(Error::of_transport)?;
                successful(response).await
            });
            answered.await.unwrap_or(Err(Error::TimedOut))
        })
        .await
    }

    /// Sends the request once with a body of any length, for as long as that takes.
    pub(crate) async fn upload(&self, call: &Call, body: Body) -> Result<Answer, Error> {
        let response = self.request(call).body(body).send().await.map_err(Error::of_transport)?;
        let response = successful(response).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(Error::of_transport)?;
        Ok(Answer { operation: call.operation, status, headers, body })
    }

    /// How long the server may stay silent within an answer.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long a try may take that has this time left, or any if nothing is tried again.
    fn time_of_try(&self, left: Option<Duration>) -> Duration {
        left.map_or(self.timeout, |left| left.min(self.timeout))
    }

    /// Whether the key and all texts go to another machine without encryption: the URL begins with
    /// `http://`, and its host is not this machine.
    #[must_use]
    pub fn is_unencrypted(&self) -> bool {
        self.base.scheme() == "http" && !is_loopback(&self.base)
    }

    /// A request that is no operation of the API, with the key. The path begins with `/`.
    pub(crate) fn raw(&self, method: Method, path: &str) -> Result<RequestBuilder, Error> {
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let url: Url = url.parse().map_err(|_| Error::Request("a path"))?;
        let request = self.http.request(method, url).timeout(self.timeout);
        Ok(match &self.api_key {
            Some(key) => request.header(API_KEY, key.clone()),
            None => request,
        })
    }

    fn request(&self, call: &Call) -> RequestBuilder {
        let request = self.http.request(call.operation.method(), call.url(&self.base));
        let mut headers = call.headers.clone();
        if let Some(key) = self.api_key.as_ref().filter(|_| call.operation.takes_api_key()) {
            headers.insert(API_KEY, key.clone());
        }
        match &call.body {
            Some(body) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                request.headers(headers).body(body.clone())
            }
            None => request.headers(headers),
        }
    }
}

/// The response, if it is a success.
async fn successful(response: Response) -> Result<Response, Error> {
    if response.status().is_success() {
        return Ok(response);
    }
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.map_err(Error::of_transport)?;
    Err(Error::of_answer(status, &headers, &body))
}

impl ClientBuilder {
    /// The key to call with. Without one, only what needs no key works: `bootstrap`, `recover`,
    /// `health` and `ready`.
    #[must_use]
    pub fn api_key(mut self, api_key: impl Into<ApiKey>) -> Self {
        self.api_key = Some(api_key.into());
        self
    }

    /// The name and version of the program, which stand before those of this crate in
    /// `User-Agent`: `my-agent/1.2`.
    #[must_use]
    pub fn user_agent(mut self, program: &str) -> Self {
        self.user_agent = format!("{program} {USER_AGENT}");
        self
    }

    /// How long the server may take to accept a connection: 10 s by default. Looking up its name
    /// and its proof of it count.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one try may take: 35 s by default, 5 s more than the server gives itself. In an
    /// export, it is how long the server may be silent. Imports have no such limit.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long to go on trying: 60 s by default. With zero nothing is tried twice.
    #[must_use]
    pub const fn retry_within(mut self, time: Duration) -> Self {
        self.retry_within = time;
        self
    }

    /// How long the system of the server may confirm nothing before a connection to it is given up
    /// and the request fails. A server that only works for long is not meant.
    /// No connection stays open unused for longer. By default the HTTP client decides.
    ///
    /// Where a server reads slowly, as in an import, it would end connections that are alive.
    #[must_use]
    pub const fn vanished_after(mut self, time: Duration) -> Self {
        self.vanished_after = Some(time);
        self
    }

    /// Makes the client. For an `https` URL it reads the certificates that the system trusts.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub fn build(self) -> Result<Client, BuildError> {
        let base: Url = self.base_url.parse().map_err(|_| BuildError::Url("this is no URL"))?;
        check(&base)?;
        let api_key = self.api_key.as_ref().map(header).transpose()?;
        let user_agent =
            HeaderValue::from_str(&self.user_agent).map_err(|_| BuildError::UserAgent)?;
        let builder = reqwest::Client::builder()
            .user_agent(user_agent)
            .connect_timeout(self.connect_timeout)
            .redirect(Policy::none())
            .tls_backend_preconfigured(tls(&base)?);
        let builder = match self.vanished_after {
            Some(time) => noticing(builder, time),
            None => builder,
        };
        let builder = if is_loopback(&base) { builder.no_proxy() } else { builder };
        Ok(Client {
            http: builder.build()?,
            base,
            api_key,
            timeout: self.timeout,
            retry_within: (!self.retry_within.is_zero()).then_some(self.retry_within),
        })
    }
}

/// The same, which notices after this time that a server has vanished.
fn noticing(builder: reqwest::ClientBuilder, time: Duration) -> reqwest::ClientBuilder {
    let builder = builder
        .pool_idle_timeout(time)
        .tcp_keepalive(time / 2)
        .tcp_keepalive_interval(time / 4)
        .tcp_keepalive_retries(2);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let builder = builder.tcp_user_timeout(time);
    builder
}

fn check(base: &Url) -> Result<(), BuildError> {
    if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
        return Err(BuildError::Url("it begins with http:// or https://"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(BuildError::Url("it has no user and no password"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(BuildError::Url("it has no `?` and no `#`"));
    }
    Ok(())
}

/// The key as a header that logs do not show.
fn header(api_key: &ApiKey) -> Result<HeaderValue, BuildError> {
    let text = api_key.expose();
    let is_visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let header = HeaderValue::from_str(text).ok().filter(|_| is_visible);
    let mut header = header.ok_or(BuildError::ApiKey)?;
    header.set_sensitive(true);
    Ok(header)
}

/// rustls with ring. The system's certificates are read only for a server that shows one.
fn tls(base: &Url) -> Result<ClientConfig, BuildError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = match base.scheme() {
        "https" => config.with_platform_verifier()?,
        _ => config.with_root_certificates(RootCertStore::empty()),
    };
    Ok(config.with_no_client_auth())
}

/// Whether the server is on this machine, where no proxy is of use.
fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_no_server_are_refused() {
        for url in [
            "",
            "localhost:8080",
            "127.0.0.1:8080",
            "ftp://h",
            "http://me:secret@h",
            "http://h?x",
            "http://h#x",
        ] {
            assert!(matches!(Client::new(url, "key"), Err(BuildError::Url(_))), "{url}");
        }
        for url in ["http://127.0.0.1:8080", "http://h/roots/", "https://[::1]"] {
            assert!(Client::new(url, "key").is_ok(), "{url}");
        }
    }

    #[test]
    fn keys_of_no_header_are_refused() {
        for key in ["", "a b", "a\n", "é"] {
            assert!(matches!(Client::new("http://h", key), Err(BuildError::ApiKey)), "{key:?}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let builder = Client::builder("http://h").api_key("roots_2_secret");
        let shown = format!("{builder:?} {client:?}", client = builder.clone().build().unwrap());
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("http://h/"), "{shown}");
    }

    #[test]
    fn a_key_is_readable_on_its_way_to_another_machine_without_tls() {
        for (url, is_unencrypted) in [
            ("http://roots.example.com", true),
            ("HTTP://10.0.0.1:8080/roots", true),
            ("http://localhost.example.com", true),
            ("http://localhost:8080", false),
            ("http://127.0.0.1:8080", false),
            ("http://[::1]:8080", false),
            ("https://roots.example.com", false),
        ] {
            let client = Client::builder(url).build().unwrap();
            assert_eq!(client.is_unencrypted(), is_unencrypted, "{url}");
        }
    }

    #[test]
    fn a_try_at_the_end_of_the_time_gets_only_what_is_left() {
        let client = |within| Client::builder("http://h").retry_within(within).build().unwrap();
        let patient = client(Duration::from_mins(1));
        assert_eq!(patient.time_of_try(Some(Duration::from_secs(2))), Duration::from_secs(2));
        assert_eq!(patient.time_of_try(Some(Duration::ZERO)), Duration::ZERO);
        assert_eq!(patient.time_of_try(Some(Duration::from_mins(1))), TIMEOUT);
        let impatient = client(Duration::ZERO);
        assert_eq!(impatient.retry_within, None);
        assert_eq!(impatient.time_of_try(None), TIMEOUT);
    }

    #[test]
    fn only_this_machine_is_reached_without_a_proxy() {
        for (url, is_here) in [
            ("http://localhost:1", true),
            ("http://127.9.0.1", true),
            ("http://[::1]:8080", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), is_here, "{url}");
        }
    }
}
