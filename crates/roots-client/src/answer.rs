//! An answer with what its headers tell.

use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;

use bytes::Bytes;

use crate::error::Error;
use crate::operation::Operation;

const CREDITS_COST: HeaderName = HeaderName::from_static("x-credits-cost");
const CREDITS_REMAINING: HeaderName = HeaderName::from_static("x-credits-remaining");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The state of a resource, as the server names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(HeaderValue);

impl ETag {
    /// A tag that was kept as text, with its quotes.
    ///
    /// # Errors
    ///
    /// If the text can't stand in a header.
    pub fn new(text: &str) -> Result<Self, Error> {
        let value = HeaderValue::from_str(text);
        value.map(Self).map_err(|_| Error::Request("this is no entity tag"))
    }

    /// Its text, with its quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// What a write cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Its cost in credits.
    pub cost: i64,
    /// The account's credits after it.
    pub remaining: i64,
}

/// A value, and what the headers of its answer tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged<T> {
    /// The value.
    pub value: T,
    /// The state that the resource is in. Deletions have none.
    pub etag: Option<ETag>,
    /// What it cost. Reads have none.
    pub charge: Option<Charge>,
    /// Whether the server had done this write before, under the same idempotency key.
    pub is_replay: bool,
    /// The id of the request, as in the server's log.
    pub request_id: Option<String>,
}

/// A successful answer, complete and not yet read.
pub(crate) struct Answer {
    pub(crate) operation: Operation,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Its body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::unreadable(self.operation, &error))
    }

    /// Its body as JSON, and its headers.
    pub(crate) fn tagged<T: DeserializeOwned>(&self) -> Result<Tagged<T>, Error> {
        self.json().map(|value| self.tag(value))
    }

    /// Its body as text, and its headers.
    pub(crate) fn tagged_text(&self) -> Tagged<String> {
        self.tag(String::from_utf8_lossy(&self.body).into_owned())
    }

    fn tag<T>(&self, value: T) -> Tagged<T> {
        let cost = self.number(&CREDITS_COST).zip(self.number(&CREDITS_REMAINING));
        Tagged {
            value,
            etag: self.headers.get(ETAG).cloned().map(ETag),
            charge: cost.map(|(cost, remaining)| Charge { cost, remaining }),
            is_replay: self.text(&IDEMPOTENT_REPLAYED) == Some("true"),
            request_id: self.text(&REQUEST_ID).map(str::to_owned),
        }
    }

    fn text(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn number(&self, name: &HeaderName) -> Option<i64> {
        self.text(name)?.parse().ok()
    }
}
