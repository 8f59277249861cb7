//! Which answers are compressed.

use std::io::Read;

use axum::Router;
use axum::http::HeaderMap;
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use roots_domain::model::page::Page;
use roots_domain::model::sealed::Sealed;
use tower::ServiceExt;

use crate::fixture::{MockedApi, NEW_ACCOUNT, TestRequest, activity, get, post, session};

/// The answer's headers and its bytes, not decompressed.
async fn raw(ask: TestRequest, router: &Router) -> (HeaderMap, Vec<u8>) {
    let (parts, body) = router.clone().oneshot(ask.request()).await.unwrap().into_parts();
    (parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

fn encoding(headers: &HeaderMap) -> &str {
    headers.get("content-encoding").map_or("", |value| value.to_str().unwrap())
}

fn varies(headers: &HeaderMap) -> bool {
    headers.get_all("vary").iter().any(|value| value == "accept-encoding")
}

fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

/// An API with long lists and long sessions.
fn long() -> Router {
    let mut api = MockedApi::whole();
    api.activities.checkpoint();
    api.activities.expect_activities().returning(|_, page| {
        let items = (0..20).filter_map(|_| activity(1)).collect();
        Ok(Page { items, total: 20, request: page, next: None })
    });
    api.sessions.checkpoint();
    api.sessions.expect_session().returning(|_, id| {
        Ok(session(id.0).map(|mut one| {
            one.notes = Some(Sealed(vec![b'x'; 5_000]));
            one
        }))
    });
    api.router()
}

#[tokio::test]
async fn long_answers_without_an_etag_are_compressed_if_accepted() {
    let router = long();
    for path in ["/api/v1/activities", "/api/v1/activities?limit=5"] {
        let (headers, plain) = raw(get(path), &router).await;
        assert_eq!(encoding(&headers), "", "{path}");
        assert!(varies(&headers), "{path}");
        let taken = get(path).header("accept-encoding", "br, gzip;q=0.8, deflate");
        let (headers, packed) = raw(taken, &router).await;
        assert_eq!(encoding(&headers), "gzip", "{path}");
        assert!(varies(&headers) && !headers.contains_key("content-length"), "{path}");
        assert!(packed.len() < plain.len() / 2, "{path}");
        assert_eq!(unpacked(&packed).into_bytes(), plain, "{path}");
    }
}

#[tokio::test]
async fn answers_with_an_etag_or_a_secret_and_short_ones_are_not_compressed() {
    let router = long();
    let single = get("/api/v1/sessions/1");
    assert!(raw(single.clone(), &router).await.1.len() > 5_000);
    let signup = post("/api/v1/bootstrap", NEW_ACCOUNT).without_key();
    let missing = get("/api/v1/sessions/7");
    for ask in [single, signup, get("/health"), get("/api/v1/whoami"), missing] {
        let (headers, _) = raw(ask.header("accept-encoding", "gzip"), &router).await;
        assert_eq!(encoding(&headers), "");
    }
}

#[tokio::test]
async fn no_value_of_accept_encoding_is_refused() {
    let router = long();
    for odd in [
        "",
        "identity",
        "identity;q=0",
        "Identity;q=0",
        "*;q=0",
        "gzip;q=0, identity;q=0",
        "zstd",
        "é",
    ] {
        let ask = get("/api/v1/activities").header("accept-encoding", odd);
        let (headers, body) = raw(ask, &router).await;
        assert_eq!(encoding(&headers), "", "{odd}");
        assert!(body.starts_with(b"{\"activities\""), "{odd}");
    }
}
