//! Calls the API as an agent does.

use reqwest::{Client, Method};
use serde_json::{Value, json};

/// A client with an API key.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    url: String,
    /// The key that it sends.
    pub key: String,
}

impl Api {
    /// A client of the server at this URL.
    #[must_use]
    pub fn new(url: &str, key: &str) -> Self {
        Self { client: http_client(), url: url.to_owned(), key: key.to_owned() }
    }

    /// The same with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// Signs up an account of a customer, and returns its owner's client.
    pub async fn sign_up(url: &str, account: &str, owner: &str) -> Self {
        let nobody = Self::new(url, "none");
        let body = json!({ "account_name": account, "actor_name": owner, "actor_type": "human" });
        let made = nobody.post("/bootstrap", &body).await;
        let key = made["api_key"].as_str().expect("an API key");
        nobody.with_key(key)
    }

    /// Adds a member with a key, and returns its id and its client.
    pub async fn add_member(&self, name: &str) -> (i64, Self) {
        let body = json!({ "name": name, "actor_type": "agent" });
        let made = self.post("/actors", &body).await;
        let actor = made["actor_id"].as_i64().expect("an id");
        let key = self.post("/keys", &json!({ "actor_id": actor })).await;
        (actor, self.with_key(key["api_key"].as_str().expect("an API key")))
    }

    /// Reads a path.
    pub async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, None).await
    }

    /// Posts a body.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Patches a row.
    pub async fn patch(&self, path: &str, body: &Value) -> Value {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// Deletes a row.
    pub async fn delete(&self, path: &str) -> Value {
        self.send(Method::DELETE, path, None).await
    }

    /// Imports a file, of which every line must be right.
    pub async fn import(&self, file: String) {
        let url = format!("{}/api/v1/import", self.url);
        let request = self.client.post(url).header("X-API-Key", &self.key);
        let sent = request.header("Content-Type", "application/x-ndjson").body(file).send().await;
        let report = sent.expect("an answer").text().await.expect("a report");
        let read: Value = serde_json::from_str(&report).unwrap_or_default();
        assert_eq!(read["faulty"], 0, "{report}");
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/api/v1{path}", self.url);
        let request = self.client.request(method.clone(), url).header("X-API-Key", &self.key);
        let request = body.into_iter().fold(request, reqwest::RequestBuilder::json);
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// A client for servers on this machine, that follows no redirect.
///
/// If `roots-client` is in the same build, its features give every client TLS without a provider of
/// cryptography, and such a client panics.
#[must_use]
pub fn http_client() -> Client {
    // Another test of the process may have installed the provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.build().expect("a client")
}
