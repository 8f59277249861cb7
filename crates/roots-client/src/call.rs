//! A request before it is sent.

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use serde::Serialize;

use crate::answer::ETag;
use crate::error::Error;
use crate::idempotency::IdempotencyKey;
use crate::model::Query;
use crate::operation::{Operation, Repeat};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request. Each try sends it byte for byte, as its idempotency key demands.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

impl Call {
    /// A request to a path without an id.
    pub(crate) fn new(operation: Operation) -> Self {
        Self::at(operation, operation.path().to_owned())
    }

    /// A request about the row with this id.
    pub(crate) fn of_row(operation: Operation, id: i64) -> Self {
        Self::at(operation, operation.path().replace("{id}", &id.to_string()))
    }

    fn at(operation: Operation, path: String) -> Self {
        let headers = HeaderMap::new();
        let call = Self { operation, path, query: Query::new(), headers, body: None };
        match operation.repeat() {
            Repeat::WithKey => call.named(&IdempotencyKey::unique()),
            Repeat::Safe | Repeat::Never => call,
        }
    }

    pub(crate) fn with_query(self, query: Query) -> Self {
        Self { query, ..self }
    }

    pub(crate) fn with_json(self, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|_| Error::Request("the body is not JSON"))?;
        Ok(Self { body: Some(body.into()), ..self })
    }

    /// The same with another idempotency key.
    pub(crate) fn named(mut self, key: &IdempotencyKey) -> Self {
        if let Some(value) = key.header() {
            self.headers.insert(IDEMPOTENCY_KEY, value);
        }
        self
    }

    pub(crate) fn if_match(mut self, tag: &ETag) -> Self {
        self.headers.insert(IF_MATCH, tag.header());
        self
    }

    pub(crate) fn if_none_match(mut self, tag: &ETag) -> Self {
        self.headers.insert(IF_NONE_MATCH, tag.header());
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Its URL on the server at `base`.
    pub(crate) fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        let prefix = base.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}{path}", path = self.path));
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_end_in_a_slash_and_have_a_path() {
        let call = Call::of_row(Operation::GetTodo, 7).with_query(vec![("tz", "a b&c".to_owned())]);
        for (base, url) in [
            ("http://h:1", "http://h:1/api/v1/todos/7?tz=a+b%26c"),
            ("http://h:1/", "http://h:1/api/v1/todos/7?tz=a+b%26c"),
            ("https://h/roots", "https://h/roots/api/v1/todos/7?tz=a+b%26c"),
            ("https://h/roots/", "https://h/roots/api/v1/todos/7?tz=a+b%26c"),
        ] {
            assert_eq!(call.url(&base.parse().unwrap()).as_str(), url);
        }
    }

    #[test]
    fn writes_carry_a_key_of_their_own_where_the_route_takes_one() {
        for operation in Operation::ALL {
            let [one, other] = [0, 1].map(|_| Call::new(*operation).headers);
            let takes_key = operation.repeat() == Repeat::WithKey;
            assert_eq!(one.contains_key(IDEMPOTENCY_KEY), takes_key, "{operation:?}");
            assert_eq!(one != other, takes_key, "{operation:?}");
        }
    }
}
