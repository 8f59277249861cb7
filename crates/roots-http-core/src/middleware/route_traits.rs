//! What the middleware must know of a route.

use std::collections::HashMap;

use axum::extract::{MatchedPath, Request};
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use axum::response::Response;

use crate::auth::rate_limit::RouteLimit;
use crate::problem::Problem;
use crate::wire::IDEMPOTENCY_KEY;

/// What a route knows of a request when it writes a problem.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// The first `Cookie` header.
    pub cookie: Option<&'a HeaderValue>,
}

/// Writes a problem into its answer: the status, the body and the headers that belong to it. The
/// answer still has the extensions that the handler gave it.
pub type WriteProblem = fn(&Problem, &Asked<'_>, &mut Response);

/// What the middleware must know of a route. By default it is a page: read with GET, the same for
/// everyone, and counted against the client's address.
#[expect(clippy::struct_excessive_bools, reason = "each is a trait of its own")]
#[derive(Debug, Clone)]
pub struct RouteTraits {
    /// Its methods.
    pub methods: Vec<Method>,
    /// What its requests count against; the client's address if absent.
    pub limit: Option<RouteLimit>,
    /// Whether its answers depend on the caller.
    pub is_private: bool,
    /// Whether its bodies may have any length.
    pub is_endless: bool,
    /// Whether it is a single resource with an entity tag, so that writes take `If-Match`.
    pub is_tagged: bool,
    /// Whether its writes take an `Idempotency-Key`.
    pub is_idempotent: bool,
    /// Whether a request to it writes nothing although its method is not safe.
    pub only_reads: fn(&Uri) -> bool,
    /// How its problems are written; as JSON if absent.
    pub write_problem: Option<WriteProblem>,
}

impl Default for RouteTraits {
    fn default() -> Self {
        Self {
            methods: vec![Method::GET, Method::HEAD],
            limit: None,
            is_private: false,
            is_endless: false,
            is_tagged: false,
            is_idempotent: false,
            only_reads: |_| false,
            write_problem: None,
        }
    }
}

impl RouteTraits {
    /// Whether a request writes nothing.
    pub(super) fn writes_nothing(&self, method: &Method, uri: &Uri) -> bool {
        method.is_safe() || (self.only_reads)(uri)
    }

    /// A header that would change the meaning of a request but is not supported, if there is one:
    /// ignoring it would mislead the caller. Methods that the route lacks are reported elsewhere.
    ///
    /// On requests that write nothing, `Idempotency-Key` is harmless and allowed: clients send it
    /// with every request.
    pub(super) fn misplaced(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<HeaderName> {
        if !self.methods.contains(method) {
            return None;
        }
        let is_write = !method.is_safe();
        let takes_key = self.is_idempotent || self.writes_nothing(method, uri);
        let fits = [
            (IDEMPOTENCY_KEY, takes_key),
            (IF_MATCH, is_write && self.is_tagged),
            (IF_NONE_MATCH, !is_write),
        ];
        let is_misplaced = |(name, fits): &(HeaderName, bool)| !fits && headers.contains_key(name);
        fits.into_iter().find(is_misplaced).map(|(name, _)| name)
    }
}

/// The traits of all routes.
#[derive(Default)]
pub struct RouteTable {
    by_path: HashMap<String, RouteTraits>,
    page: RouteTraits,
}

impl RouteTable {
    /// A table of the routes that differ from the default.
    #[must_use]
    pub fn new(by_path: HashMap<String, RouteTraits>) -> Self {
        Self { by_path, page: RouteTraits::default() }
    }

    /// The traits of the route that a request matches, if there is one.
    pub(super) fn of(&self, request: &Request) -> Option<&RouteTraits> {
        let route = request.extensions().get::<MatchedPath>()?;
        Some(self.by_path.get(route.as_str()).unwrap_or(&self.page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misplaced(traits: &RouteTraits, method: &Method, uri: &'static str) -> Vec<HeaderName> {
        let names = [IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH];
        let is_misplaced = |name: &HeaderName| {
            let headers = HeaderMap::from_iter([(name.clone(), "*".parse().unwrap())]);
            traits.misplaced(method, &Uri::from_static(uri), &headers).is_some()
        };
        names.into_iter().filter(is_misplaced).collect()
    }

    #[test]
    fn a_precondition_is_misplaced_where_it_has_no_meaning() {
        let all = vec![Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE];
        let plain = RouteTraits { methods: all.clone(), ..RouteTraits::default() };
        let list = RouteTraits { is_idempotent: true, ..plain.clone() };
        let one = RouteTraits { is_tagged: true, ..list.clone() };
        for read in [Method::GET, Method::HEAD] {
            for traits in [&plain, &list, &one] {
                assert_eq!(misplaced(traits, &read, "/"), [IF_MATCH]);
            }
        }
        for write in [Method::POST, Method::PATCH, Method::DELETE] {
            let every = [IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH];
            assert_eq!(misplaced(&plain, &write, "/"), every);
            assert_eq!(misplaced(&list, &write, "/"), [IF_MATCH, IF_NONE_MATCH]);
            assert_eq!(misplaced(&one, &write, "/"), [IF_NONE_MATCH]);
        }
        let headers = HeaderMap::new();
        assert_eq!(plain.misplaced(&Method::POST, &Uri::from_static("/"), &headers), None);
    }

    #[test]
    fn a_write_that_only_reads_may_carry_an_idempotency_key() {
        let only_reads = |uri: &Uri| uri.query() == Some("dry");
        let methods = vec![Method::POST];
        let import = RouteTraits { methods, only_reads, ..RouteTraits::default() };
        assert_eq!(misplaced(&import, &Method::POST, "/?dry"), [IF_MATCH, IF_NONE_MATCH]);
        assert_eq!(
            misplaced(&import, &Method::POST, "/"),
            [IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH]
        );
    }

    #[test]
    fn headers_of_a_method_that_a_route_lacks_are_not_judged() {
        assert!(misplaced(&RouteTraits::default(), &Method::POST, "/").is_empty());
    }
}
