//! The pages of `/docs`, their files and the OpenAPI document: their security and cache headers.

use std::io::Read;

use axum::Router;
use axum::http::HeaderMap;
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::fixture::{MockedApi, TestRequest, ask, get};

/// The paths of the files that the page loads, for a client at that address.
pub(crate) async fn files(router: &Router, from: &str) -> Vec<String> {
    let page = get("/docs/").without_key().from(from).of(router).await;
    let quoted = page.body.split('"').filter(|text| text.starts_with("/docs/"));
    quoted.map(str::to_owned).collect()
}

async fn raw(ask: TestRequest, router: &Router) -> (u16, HeaderMap, Vec<u8>) {
    let (parts, body) = router.clone().oneshot(ask.request()).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes().to_vec();
    (parts.status.as_u16(), parts.headers, bytes)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

const ALL: [&str; 3] = ["/docs/", "/docs/problems", "/api/v1/openapi.json"];

#[tokio::test]
async fn the_docs_page_loads_only_own_files_and_cannot_be_framed() {
    let router = MockedApi::bare().router();
    let moved = get("/docs").of(&router).await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (303, "/docs/"));
    let page = get("/docs/").of(&router).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("swagger-ui") && !page.body.contains("http"), "{}", page.body);
    assert_eq!(page.header("cache-control"), "no-cache");
    let files = files(&router, "203.0.113.7").await;
    assert_eq!(files.len(), 3);
    for path in files.iter().map(String::as_str).chain(ALL) {
        let answer = get(path).of(&router).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ] {
            assert!(policy.split("; ").any(|directive| directive == part), "{path}: {policy}");
        }
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(!answer.body.contains("sourceMappingURL"), "{path}");
    }
    for missing in ["nothing.js", "swagger-ui-bundle.js", "swagger-ui-bundle.js.map", "index.html"]
    {
        let missing = get(&format!("/docs/{missing}")).of(&router).await;
        assert_eq!(missing.status, 404);
        assert_eq!(missing.header("content-type"), "application/problem+json");
    }
    let start = get(files.iter().find(|path| path.contains("start")).unwrap()).of(&router).await;
    assert!(start.body.contains("/api/v1/openapi.json") && start.body.contains("validatorUrl"));
}

#[tokio::test]
async fn files_are_cached_for_a_year_and_pages_are_revalidated() {
    let router = MockedApi::bare().router();
    for file in files(&router, "203.0.113.7").await {
        let answer = get(&file).of(&router).await;
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    }
    for page in ALL {
        assert_eq!(get(page).of(&router).await.header("cache-control"), "no-cache", "{page}");
    }
}

#[tokio::test]
async fn pages_and_files_are_compressed_only_if_accepted() {
    let router = MockedApi::bare().router();
    let files = files(&router, "203.0.113.7").await;
    for path in files.iter().map(String::as_str).chain(ALL) {
        let (status, headers, plain) = raw(get(path), &router).await;
        assert_eq!((status, header(&headers, "content-encoding")), (200, ""), "{path}");
        assert_eq!(header(&headers, "vary"), "accept-encoding", "{path}");
        let tag = header(&headers, "etag").to_owned();
        let taken = get(path).header("accept-encoding", "br, gzip;q=0.8");
        let (status, headers, packed) = raw(taken.clone(), &router).await;
        assert_eq!((status, header(&headers, "content-encoding")), (200, "gzip"), "{path}");
        assert_eq!(header(&headers, "content-length"), packed.len().to_string(), "{path}");
        assert_eq!(header(&headers, "vary"), "accept-encoding", "{path}");
        assert!(packed.len() < plain.len(), "{path}");
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain, "{path}");
        // The compressed file needs its own tag, because a strong ETag identifies the bytes.
        let packed_tag = header(&headers, "etag").to_owned();
        assert_ne!(packed_tag, tag, "{path}");
        for refusing in ["gzip;q=0", "identity", "br"] {
            let ask = get(path).header("accept-encoding", refusing);
            assert_eq!(raw(ask, &router).await.2, plain, "{path} {refusing}");
        }
        for (ask, tag) in [(get(path), &tag), (taken, &packed_tag)] {
            for known in [format!("\"x\", W/{tag}"), tag.clone(), "*".to_owned()] {
                let again = ask.clone().header("if-none-match", &known);
                let (status, headers, body) = raw(again, &router).await;
                assert_eq!((status, body.len()), (304, 0), "{path} {known}");
                assert_eq!(
                    (header(&headers, "etag"), header(&headers, "vary")),
                    (tag.as_str(), "accept-encoding")
                );
                assert_ne!(header(&headers, "cache-control"), "no-store", "{path}");
            }
            let other = ask.header("if-none-match", "\"x\"");
            assert_eq!(raw(other, &router).await.0, 200, "{path}");
        }
        let (status, headers, body) = raw(ask("HEAD", path), &router).await;
        assert_eq!((status, body.len()), (200, 0), "{path}");
        assert_eq!(header(&headers, "content-length"), plain.len().to_string(), "{path}");
    }
}
