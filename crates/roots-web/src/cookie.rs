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

/// Whether a `Cookie` header has a cookie by which one may be signed in. Nobody asks whether it
/// opens anything.
pub(crate) fn is_signed_in(header: &str) -> bool {
    let names = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    names.into_iter().any(|(name, _)| {
        let port = name.strip_prefix("roots-");
        matches!(name, "__Host-roots" | "roots")
            || port.is_some_and(|port| port.parse::<u16>().is_ok())
    })
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

    #[test]
    fn a_cookie_of_any_mode_may_be_a_sign_in_and_a_theme_is_none() {
        for header in ["__Host-roots=x", "a=1; roots-8080=x", "roots=x"] {
            assert!(is_signed_in(header), "{header}");
        }
        for header in ["", "roots-theme=dark; roots-zone=UTC", "xroots=1", "roots-99999=x"] {
            assert!(!is_signed_in(header), "{header}");
        }
    }
}
