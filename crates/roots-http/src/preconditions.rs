//! Which routes support `If-Match`, `If-None-Match` and `Idempotency-Key`.

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, Method, Uri};
use roots_http_core::request::query::pairs;
use roots_http_core::wire::{API_PATH, IDEMPOTENCY_KEY};

use crate::wire::{DRY_RUN, IMPORT_PATH, SEARCH_PATH};

/// The lists whose resources have entity tags.
const TAGGED: [&str; 3] = ["/sessions", "/todos", "/activities"];

/// The writes of todos that are neither a list nor a single resource.
const OF_CLAIMS: [&str; 2] = ["/todos/claim", "/todos/{id}/release"];

/// Whether an import is a dry run, which writes nothing.
fn is_dry_run(uri: &Uri) -> bool {
    let given = pairs(uri).unwrap_or_default();
    given.iter().any(|(name, value)| name == DRY_RUN && value == "true")
}

/// Whether a request writes nothing. Searches and dry runs of imports are sent with POST because
/// they have a body.
pub(crate) fn only_reads(method: &Method, route: &str, uri: &Uri) -> bool {
    method.is_safe() || route == SEARCH_PATH || route == IMPORT_PATH && is_dry_run(uri)
}

/// Whether a route below [`API_PATH`] is one of a single resource with an entity tag.
pub(crate) fn is_tagged(route: &str) -> bool {
    route.strip_suffix("/{id}").is_some_and(|list| TAGGED.contains(&list))
}

/// A header that would change the meaning of a request but is not supported there, if there is one:
/// ignoring it would mislead the caller. Unknown paths and methods are reported elsewhere.
///
/// On requests that write nothing, `Idempotency-Key` is harmless and allowed: clients send it with
/// every request.
pub(crate) fn misplaced(
    method: &Method,
    route: &str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<HeaderName> {
    let is_write = !method.is_safe();
    let only_reads = only_reads(method, route, uri);
    let route = route.strip_prefix(API_PATH).unwrap_or_default();
    let fits = [
        (
            IDEMPOTENCY_KEY,
            only_reads || TAGGED.contains(&route) || OF_CLAIMS.contains(&route) || is_tagged(route),
        ),
        (IF_MATCH, is_write && is_tagged(route)),
        (IF_NONE_MATCH, !is_write),
    ];
    fits.into_iter().find_map(|(name, fits)| (!fits && headers.contains_key(&name)).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precondition_is_misplaced_on_routes_and_methods_without_a_meaning_for_it() {
        let header =
            |name: &HeaderName| HeaderMap::from_iter([(name.clone(), "*".parse().unwrap())]);
        let fits = |name: &HeaderName, method: &Method, route: &str| {
            misplaced(method, route, &Uri::from_static("/"), &header(name)).is_none()
        };
        for list in ["/api/v1/sessions", "/api/v1/todos", "/api/v1/activities"] {
            let one = format!("{list}/{{id}}");
            for method in [Method::PATCH, Method::DELETE] {
                assert!(fits(&IF_MATCH, &method, &one) && !fits(&IF_NONE_MATCH, &method, &one));
            }
            assert!(
                !fits(&IF_MATCH, &Method::GET, &one) && fits(&IF_NONE_MATCH, &Method::GET, &one)
            );
            assert!(!fits(&IF_MATCH, &Method::POST, list));
            assert!(!fits(&IF_NONE_MATCH, &Method::POST, list));
            assert!(fits(&IDEMPOTENCY_KEY, &Method::POST, list));
            assert!(fits(&IDEMPOTENCY_KEY, &Method::DELETE, &one));
            assert!(fits(&IDEMPOTENCY_KEY, &Method::GET, &one));
            assert!(fits(&IDEMPOTENCY_KEY, &Method::HEAD, list));
        }
        for of_claims in ["/api/v1/todos/claim", "/api/v1/todos/{id}/release"] {
            assert!(fits(&IDEMPOTENCY_KEY, &Method::POST, of_claims), "{of_claims}");
            assert!(!fits(&IF_MATCH, &Method::POST, of_claims), "{of_claims}");
        }
        for other in ["/api/v1/todos/{id}/logs", "/todos/{id}", "/api/v1/actors/{id}", "/health"] {
            assert!(!fits(&IF_MATCH, &Method::DELETE, other), "{other}");
            assert!(!fits(&IDEMPOTENCY_KEY, &Method::POST, other), "{other}");
            assert!(fits(&IF_NONE_MATCH, &Method::HEAD, other), "{other}");
        }
        let key = header(&IDEMPOTENCY_KEY);
        for (query, fits) in [("dry_run=true", true), ("dry_run=false", false), ("x=%zz", false)] {
            let uri = format!("{IMPORT_PATH}?{query}").parse().unwrap();
            assert_eq!(misplaced(&Method::POST, IMPORT_PATH, &uri, &key).is_none(), fits);
            assert_eq!(misplaced(&Method::POST, SEARCH_PATH, &uri, &key), None);
            assert!(misplaced(&Method::POST, "/api/v1/keys", &uri, &key).is_some());
        }
        let uri = Uri::from_static("/");
        assert_eq!(misplaced(&Method::POST, "/api/v1/sessions", &uri, &HeaderMap::new()), None);
    }
}
