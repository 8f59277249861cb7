//! The address of this server, as the browser calls it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::header::HOST;
use axum::http::request::Parts;

use crate::app::App;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The address of this server, to show in examples: `http://localhost:8080`. The guard has checked
/// the host. The scheme is what a proxy tells: it is shown to the one who sent it, and used for
/// nothing else.
pub(crate) struct Address(pub(crate) String);

impl FromRequestParts<App> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let of_uri = parts.uri.authority().map(|authority| authority.as_str().to_owned());
        let host = of_uri.or_else(|| header(HOST).map(ToOwned::to_owned));
        let is_https = header(FORWARDED_PROTO).is_some_and(|proto| proto.trim() == "https");
        let scheme = if is_https { "https" } else { "http" };
        Ok(Self(format!("{scheme}://{}", host.as_deref().unwrap_or("localhost"))))
    }
}
