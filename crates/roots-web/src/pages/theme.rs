//! `POST /theme`: chooses light, dark or that of the system.

use axum::extract::State;
use axum::http::header::{REFERER, SET_COOKIE};
use axum::http::{Extensions, HeaderMap, HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use roots_http_core::auth::cookie::CookieMode;
use roots_http_core::problem::Problem;

use crate::answer::see_other;
use crate::app::App;
use crate::cookie::THEME;
use crate::form::Sent;
use crate::query::own_path;

/// Sets the cookie and leads back to the page. Over HTTPS it is never sent over plain HTTP.
pub(crate) async fn choose(
    State(app): State<App>,
    extensions: Extensions,
    uri: Uri,
    headers: HeaderMap,
    Sent { typed }: Sent,
) -> Response {
    let cookie = match typed.get("theme") {
        Some(theme @ ("light" | "dark")) => format!("{THEME}={theme}; Max-Age=31536000"),
        Some("system") => format!("{THEME}=; Max-Age=0"),
        _ => return Problem::bad_request("There is no such theme.").into_response(),
    };
    let mode = app.shared.cookies.mode(&extensions, &uri, &headers);
    let secure = if mode == CookieMode::Secure { "; Secure" } else { "" };
    let mut response = see_other(&back(&headers));
    // The name and the value have no character that a header can't hold.
    if let Ok(cookie) = HeaderValue::from_str(&format!("{cookie}; Path=/; SameSite=Lax{secure}")) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// The path of the page that the form was on. Its host does not count: only its path and query do.
fn back(headers: &HeaderMap) -> String {
    let referer = headers.get(REFERER).and_then(|value| value.to_str().ok());
    let uri = referer.and_then(|text| text.parse::<Uri>().ok());
    let path = uri.as_ref().and_then(Uri::path_and_query).map_or("/", |path| path.as_str());
    own_path(path).unwrap_or("/").to_owned()
}
