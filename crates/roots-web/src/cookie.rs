//! The cookies that a request brings.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

/// The cookie with the chosen theme: `light` or `dark`.
pub(crate) const THEME: &str = "roots-theme";
/// The cookie with the name of the viewer's time zone, which the script sets.
pub(crate) const ZONE: &str = "roots-zone";

/// The first cookie of that name in a `Cookie` header.
pub(crate) fn named<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(given, _)| *given == name).map(|(_, value)| value)
}

/// The `Cookie` header of a request, if it is text.
pub(crate) fn header(headers: &HeaderMap) -> &str {
    headers.get(COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cookie_of_a_name_counts_and_no_other_name_does() {
        let header = "a=1; roots-theme=dark;b=2;  roots-theme=light; xroots-zone=UTC";
        assert_eq!(named(header, THEME), Some("dark"));
        assert_eq!(named(header, "b"), Some("2"));
        assert_eq!(named(header, ZONE), None);
        assert_eq!(named("", THEME), None);
    }
}
