//! A browser without script: it keeps cookies, follows no redirect by itself and fills in forms.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};

use crate::app::{ApiResponse, TestApp, http_client, send};

/// A browser that looks at the pages of a server.
pub struct Browser {
    client: reqwest::Client,
    address: String,
    /// Its cookies, by name.
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A new one, without cookies.
    #[must_use]
    pub fn new(app: &TestApp) -> Self {
        let client = http_client().redirect(Policy::none()).build().expect("a client");
        Self { client, address: app.address.clone(), cookies: BTreeMap::new() }
    }

    /// One that has signed in as the account's owner.
    pub async fn signed_in(app: &TestApp) -> Self {
        let mut browser = Self::new(app);
        let answer = browser.sign_in(app.key()).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        browser
    }

    /// Types a key into the form to sign in.
    pub async fn sign_in(&mut self, key: &str) -> ApiResponse {
        self.post("/sign-in", &[("api_key", key)]).await
    }

    /// A request with its cookies.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let request = self.client.request(method, format!("{}{path}", self.address));
        match cookies.collect::<Vec<_>>().join("; ") {
            none if none.is_empty() => request,
            cookies => request.header(COOKIE, cookies),
        }
    }

    /// Opens a page.
    pub async fn get(&mut self, path: &str) -> ApiResponse {
        let answer = send(self.request(Method::GET, path)).await;
        self.keep_cookies(&answer);
        answer
    }

    /// Sends a form with these fields.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> ApiResponse {
        let answer = send(self.form(path, fields)).await;
        self.keep_cookies(&answer);
        answer
    }

    /// The request that sends a form with these fields.
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let request = self.request(Method::POST, path).header(ORIGIN, &self.address);
        request.body(encoded(fields)).header("content-type", "application/x-www-form-urlencoded")
    }

    /// Fills in the form of `page` that leads to `action`, with these fields beside its hidden
    /// ones, and sends it.
    pub async fn submit(
        &mut self,
        page: &str,
        action: &str,
        fields: &[(&str, &str)],
    ) -> ApiResponse {
        let hidden = hidden(page, action);
        let mut all: Vec<_> =
            hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.extend_from_slice(fields);
        self.post(action, &all).await
    }

    fn keep_cookies(&mut self, answer: &ApiResponse) {
        for set in answer.headers.get_all(SET_COOKIE) {
            let set = set.to_str().expect("a cookie of visible characters");
            let (pair, attributes) = set.split_once(';').unwrap_or((set, ""));
            let (name, value) = pair.split_once('=').expect("a name and a value");
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// The hidden fields of the form that leads to `action`.
#[must_use]
pub fn hidden(page: &str, action: &str) -> Vec<(String, String)> {
    let start = page.find(&format!("action=\"{action}\"")).expect("a form that leads there");
    let form = &page[start..];
    let form = &form[..form.find("</form>").expect("its end")];
    let inputs = form.split("<input ").skip(1).filter(|input| input.contains("type=\"hidden\""));
    let attribute = |input: &str, name: &str| {
        let (_, rest) = input.split_once(&format!("{name}=\"")).expect("the attribute");
        let (value, _) = rest.split_once('"').expect("its end");
        let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
        plain.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    inputs.map(|input| (attribute(input, "name"), attribute(input, "value"))).collect()
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let part =
        |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", part(name), part(value)));
    pairs.collect::<Vec<_>>().join("&")
}
