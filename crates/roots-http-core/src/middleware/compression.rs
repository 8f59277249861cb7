//! Which answers are compressed.

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LENGTH, ETAG};
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

use super::look_over::{look_over, same_headers};

/// Below that, compressing gains nothing.
const COMPRESSED_MIN_BYTES: u64 = 1_024;

/// How many bytes an answer has at least that comes in chunks. It stays with the answer to a HEAD, whose
/// body is gone.
#[derive(Debug, Clone, Copy)]
pub struct AtLeast(pub u64);

/// What is compressed: what is long enough to gain by it, has no `ETag` (which names the bytes as they
/// are), is not kept from being stored (as what holds a secret is), and is known to be so long.
#[derive(Debug, Clone, Copy)]
pub struct Compressible;

impl Predicate for Compressible {
    fn should_compress<B: HttpBody>(&self, response: &axum::http::Response<B>) -> bool {
        let headers = response.headers();
        let is_secret = headers.get(CACHE_CONTROL).is_some_and(|control| control == "no-store");
        // A HEAD has no body left by now, but says how long it would be, or at least.
        let told =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let at_least = || response.extensions().get().map(|AtLeast(bytes)| *bytes);
        let length = told.or_else(at_least).unwrap_or_else(|| response.body().size_hint().lower());
        length >= COMPRESSED_MIN_BYTES && !headers.contains_key(ETAG) && !is_secret
    }
}

/// Compresses what may be.
#[must_use]
pub fn compression_layer() -> CompressionLayer<Compressible> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(Compressible)
}

/// Compresses what is read, where that gains anything and the caller takes it. The layer refuses whoever
/// forbids it to answer plainly, so who speaks of that is answered plainly.
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
    // There is nothing of a HEAD to compress, but its answer varies as that of the GET does.
    if is_head || asked.headers().get_all(ACCEPT_ENCODING).iter().any(is_choosy) {
        asked.headers_mut().remove(ACCEPT_ENCODING);
    }
    let response = next(request).await;
    if Compressible.should_compress(&response) {
        return look_over(layer, asked, response).await;
    }
    response
}
