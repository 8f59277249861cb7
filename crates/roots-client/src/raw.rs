//! Requests to endpoints that are no operation of the API, such as that of MCP.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};

use crate::client::Client;
use crate::error::Error;

/// A request that is sent as it is, once, with the client's key.
#[derive(Debug, Clone)]
pub struct RawRequest {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Option<Bytes>,
}

/// An answer of any status.
#[derive(Debug, Clone)]
pub struct RawAnswer {
    /// Its status.
    pub status: StatusCode,
    /// The whole body.
    pub body: Bytes,
    headers: HeaderMap,
}

impl RawRequest {
    /// A request for what is at the path, which begins with `/` and may have a query.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), headers: HeaderMap::new(), body: None }
    }

    /// JSON for the endpoint at the path.
    #[must_use]
    pub fn post(path: &str, body: impl Into<Bytes>) -> Self {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        Self {
            method: Method::POST,
            path: path.to_owned(),
            headers: headers.into_iter().collect(),
            body: Some(body.into()),
        }
    }

    /// The same with one more header.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] if this can be no header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let name = HeaderName::try_from(name).map_err(|_| Error::Request("a header's name"))?;
        let value = HeaderValue::try_from(value).map_err(|_| Error::Request("a header's value"))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// The value of a header, if it is text.
    #[must_use]
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl RawAnswer {
    /// The media type of the body, without its parameters.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        let value = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        Some(value.split(';').next().unwrap_or_default().trim())
    }

    /// The error that this answer is for an operation of the API.
    #[must_use]
    pub fn into_error(self) -> Error {
        Error::of_answer(self.status, &self.headers, &self.body)
    }
}

impl Client {
    /// Sends a request as it is, and reads the whole answer, whatever its status. Nothing is
    /// repeated.
    ///
    /// # Errors
    ///
    /// If there is no whole answer: [`Error::Unreachable`], [`Error::Broken`], [`Error::TimedOut`].
    pub async fn send_raw(&self, request: RawRequest) -> Result<RawAnswer, Error> {
        let RawRequest { method, path, headers, body } = request;
        let mut builder = self.raw(method, &path)?.headers(headers);
        if let Some(body) = body {
            builder = builder.body(body);
        }
        let response = builder.send().await.map_err(Error::of_transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(Error::of_transport)?;
        Ok(RawAnswer { status, body, headers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_has_no_parameters() {
        let answer = |value: &'static str| RawAnswer {
            status: StatusCode::OK,
            body: Bytes::new(),
            headers: [(CONTENT_TYPE, HeaderValue::from_static(value))].into_iter().collect(),
        };
        assert_eq!(
            answer("text/event-stream; charset=utf-8").media_type(),
            Some("text/event-stream")
        );
        assert_eq!(answer("application/json").media_type(), Some("application/json"));
    }

    #[test]
    fn what_can_be_no_header_is_refused() {
        assert!(RawRequest::get("/").header("a b", "c").is_err());
        assert!(RawRequest::get("/").header("a", "b\nc").is_err());
        assert!(RawRequest::get("/").header("Mcp-Name", "x").is_ok());
    }
}
