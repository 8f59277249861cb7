//! Which routes support `If-Match` and `Idempotency-Key`, and which requests only read.

use axum::http::Uri;
use roots_http_core::request::query::pairs;

use crate::wire::{DRY_RUN, IMPORT_PATH, SEARCH_PATH};

/// The lists whose resources have entity tags.
const TAGGED: [&str; 3] = ["/sessions", "/todos", "/activities"];

/// The writes of todos that are neither a list nor a single resource.
const OF_CLAIMS: [&str; 2] = ["/todos/claim", "/todos/{id}/release"];

/// The grant of credits, which costs nothing and must not be done twice.
const GRANT: &str = "/accounts/{id}/credits";

/// Whether a route below the API's prefix is one of a single resource with an entity tag.
pub(crate) fn is_tagged(route: &str) -> bool {
    route.strip_suffix("/{id}").is_some_and(|list| TAGGED.contains(&list))
}

/// Whether the writes of a route below the API's prefix take an `Idempotency-Key`.
pub(crate) fn is_idempotent(route: &str) -> bool {
    TAGGED.contains(&route) || OF_CLAIMS.contains(&route) || is_tagged(route) || route == GRANT
}

/// Which requests to a path write nothing although they are sent with POST, because they have a
/// body: searches, and dry runs of imports.
pub(crate) fn only_reads(path: &str) -> fn(&Uri) -> bool {
    match path {
        SEARCH_PATH => |_| true,
        IMPORT_PATH => is_dry_run,
        _ => |_| false,
    }
}

fn is_dry_run(uri: &Uri) -> bool {
    let given = pairs(uri).unwrap_or_default();
    given.iter().any(|(name, value)| name == DRY_RUN && value == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_resources_have_tags_and_their_writes_may_be_repeated() {
        for list in TAGGED {
            let one = format!("{list}/{{id}}");
            assert!(!is_tagged(list) && is_tagged(&one), "{one}");
            assert!(is_idempotent(list) && is_idempotent(&one), "{one}");
        }
        for of_claims in OF_CLAIMS {
            assert!(!is_tagged(of_claims) && is_idempotent(of_claims), "{of_claims}");
        }
        assert!(!is_tagged(GRANT) && is_idempotent(GRANT));
        for other in ["/todos/{id}/logs", "/actors/{id}", "/keys", ""] {
            assert!(!is_tagged(other) && !is_idempotent(other), "{other}");
        }
    }

    #[test]
    fn searches_and_dry_runs_of_imports_only_read() {
        let reads = |path, query: &str| only_reads(path)(&format!("/?{query}").parse().unwrap());
        assert!(reads(SEARCH_PATH, "") && reads(IMPORT_PATH, "dry_run=true"));
        for query in ["dry_run=false", "x=%zz", ""] {
            assert!(!reads(IMPORT_PATH, query), "{query}");
        }
        assert!(!reads("/api/v1/todos", "dry_run=true"));
    }
}
