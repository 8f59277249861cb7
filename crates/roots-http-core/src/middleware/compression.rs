//! Which answers are compressed.

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LENGTH, ETAG};
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

use super::apply_layer::{apply_layer, same_headers};

/// Below this size, compressing gains nothing.
const COMPRESSED_MIN_BYTES: u64 = 1_024;

/// The minimum size of an answer that is sent in chunks. It stays with the answer to a HEAD, whose
/// body is removed.
#[derive(Debug, Clone, Copy)]
pub struct AtLeast(pub u64);

/// Selects the answers to compress. They are known to be long enough to gain from it, have no
/// `ETag` (which identifies the uncompressed bytes), and do not forbid storing (as answers with
/// secrets do).
#[derive(Debug, Clone, Copy)]
pub struct Compressible;

impl Predicate for Compressible {
    fn should_compress<B: HttpBody>(&self, response: &axum::http::Response<B>) -> bool {
        let headers = response.headers();
        let is_secret = headers.get(CACHE_CONTROL).is_some_and(|control| control == "no-store");
        // A HEAD has no body any more, but states its length or its minimum.
        let stated =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let at_least = || response.extensions().get().map(|AtLeast(bytes)| *bytes);
        let length =
            stated.or_else(at_least).unwrap_or_else(|| response.body().size_hint().lower());
        length >= COMPRESSED_MIN_BYTES && !headers.contains_key(ETAG) && !is_secret
    }
}

/// The layer that compresses answers.
#[must_use]
pub fn compression_layer() -> CompressionLayer<Compressible> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(Compressible)
}

/// Compresses answers to reads, where that gains anything and the caller accepts it. The layer
/// answers 406 to a caller that forbids the `identity` coding, so a request that mentions
/// `identity` is not compressed.
pub(super) async fn compress<F: Future<Output = Response>>(
    layer: &CompressionLayer<Compressible>,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let is_head = request.method() == Method::HEAD;
    if request.method() != Method::GET && !is_head {
        return next(request).await;
    }
    let mut asked = same_headers(&request, &ACCEPT_ENCODING);
    let is_choosy = |value: &HeaderValue| {
        let text = value.to_str().map(str::to_ascii_lowercase);
        text.map_or(true, |text| text.contains('*') || text.contains("identity"))
    };
    // A HEAD has nothing to compress, but its answer varies as that of the GET does.
    if is_head || asked.headers().get_all(ACCEPT_ENCODING).iter().any(is_choosy) {
        asked.headers_mut().remove(ACCEPT_ENCODING);
    }
    let response = next(request).await;
    if Compressible.should_compress(&response) {
        return apply_layer(layer, asked, response).await;
    }
    response
}
