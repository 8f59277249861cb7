//! The API key that a request brings.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::problem::Problem;
use crate::wire::API_KEY;

/// Takes the key out of the headers, so that nothing further on can print it.
pub(super) fn key_text(headers: &mut HeaderMap) -> Result<SecretString, Problem> {
    let ambiguous = || Problem::unauthorized("The request has several API keys: send one.", true);
    let mut keys = Vec::new();
    let presented = headers.get_all(API_KEY).iter().map(HeaderValue::as_bytes);
    for value in presented.chain(headers.get_all(AUTHORIZATION).iter().filter_map(bearer_token)) {
        // A client whose setting is empty sends the header all the same.
        if !value.trim_ascii().is_empty() {
            keys.push(secret(value));
        }
    }
    headers.remove(API_KEY);
    headers.remove(AUTHORIZATION);
    let mut keys = keys.into_iter();
    let Some(key) = keys.next() else {
        let how = "An API key is required, in X-API-Key or as Authorization: Bearer.";
        return Err(Problem::unauthorized(how, false));
    };
    if keys.any(|other| other.expose_secret() != key.expose_secret()) {
        return Err(ambiguous());
    }
    Ok(key)
}

/// A value that is not text is no key either.
fn secret(bytes: &[u8]) -> SecretString {
    SecretString::from(std::str::from_utf8(bytes).unwrap_or_default().trim())
}

/// The token of a `Bearer` header. Other schemes are ignored: a proxy in front may use its own.
fn bearer_token(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}
