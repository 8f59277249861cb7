//! Documents that are the same for everyone: the pages of `/docs`, their files, and the OpenAPI
//! document.
//!
//! Each is compressed once, at build time or when it is created. Its entity tag is a hash of its
//! content. An answer costs a look-up and a few headers.

use axum::body::Bytes;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::read::GzEncoder;
use sha2::{Digest, Sha256};
use std::io::Read;

/// The content security policy of files and of pages that load nothing: nothing is allowed.
const POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The policy of a page with inline styles.
const STYLED_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";
/// The policy of the page that renders the OpenAPI document: its own scripts and styles, images
/// inside them, and calls of this API.
const RENDERED_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// For files that a browser may keep for ever: their names change with their content.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// For documents that a browser must revalidate by their entity tag.
const REVALIDATED: &str = "no-cache";

/// A file that was made at build time (`build.rs`).
struct StaticFile {
    name: &'static str,
    media_type: &'static str,
    hash: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// A document that is the same for everyone.
pub(crate) struct Document {
    media_type: &'static str,
    cache_control: &'static str,
    policy: &'static str,
    /// The tag of the uncompressed document. The compressed one has another, since a strong tag
    /// identifies the bytes.
    tag: String,
    gzip_tag: String,
    plain: Bytes,
    gzip: Bytes,
}

impl Document {
    /// An HTML page with inline styles and no scripts.
    pub(crate) fn page(html: String) -> Self {
        Self::made("text/html; charset=utf-8", STYLED_POLICY, html)
    }

    /// A JSON document.
    pub(crate) fn json(json: String) -> Self {
        Self::made("application/json", POLICY, json)
    }

    fn made(media_type: &'static str, policy: &'static str, content: String) -> Self {
        let mut gzip = Vec::new();
        // Reading from memory does not fail. If it did, the content would be empty, and its tag
        // would say so.
        let _ = GzEncoder::new(content.as_bytes(), Compression::best()).read_to_end(&mut gzip);
        let hash: [u8; 32] = Sha256::digest(content.as_bytes()).into();
        let hash = data_encoding::HEXLOWER.encode(&hash[..8]);
        Self::of(media_type, REVALIDATED, policy, &hash, content.into(), gzip.into())
    }

    fn of_file(file: &StaticFile, cache_control: &'static str, policy: &'static str) -> Self {
        let (plain, gzip) = (Bytes::from_static(file.plain), Bytes::from_static(file.gzip));
        Self::of(file.media_type, cache_control, policy, file.hash, plain, gzip)
    }

    fn of(
        media_type: &'static str,
        cache_control: &'static str,
        policy: &'static str,
        hash: &str,
        plain: Bytes,
        gzip: Bytes,
    ) -> Self {
        let (tag, gzip_tag) = (format!("\"{hash}\""), format!("\"{hash}-gzip\""));
        Self { media_type, cache_control, policy, tag, gzip_tag, plain, gzip }
    }

    /// Answers a request with these headers: 304 if the caller has the document, compressed if the
    /// caller accepts that.
    pub(crate) fn answer(&self, asked: &HeaderMap) -> Response {
        let is_gzip = takes_gzip(asked);
        let tag = if is_gzip { &self.gzip_tag } else { &self.tag };
        let fixed = [
            (CACHE_CONTROL, self.cache_control),
            (CONTENT_SECURITY_POLICY, self.policy),
            (REFERRER_POLICY, "no-referrer"),
            (VARY, "accept-encoding"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (ETAG, tag),
        ];
        if self.is_known(asked) {
            return (StatusCode::NOT_MODIFIED, fixed).into_response();
        }
        let mut response = if is_gzip {
            let encoding = [(CONTENT_ENCODING, "gzip")];
            (fixed, encoding, self.gzip.clone()).into_response()
        } else {
            (fixed, self.plain.clone()).into_response()
        };
        let media_type = HeaderValue::from_static(self.media_type);
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        response
    }

    /// Whether `If-None-Match` names the document. The tags of both forms count, since they have
    /// the same content.
    fn is_known(&self, asked: &HeaderMap) -> bool {
        items(asked, &IF_NONE_MATCH).any(|given| {
            let given = given.strip_prefix("W/").unwrap_or(given);
            given == "*" || given == self.tag || given == self.gzip_tag
        })
    }
}

/// The page that renders the OpenAPI document, and its files.
pub(crate) struct Pages {
    page: Document,
    files: Vec<(&'static str, Document)>,
}

impl Pages {
    pub(crate) fn new() -> Self {
        let file = |file: &StaticFile| (file.name, Document::of_file(file, IMMUTABLE, POLICY));
        Self {
            page: Document::of_file(&PAGE, REVALIDATED, RENDERED_POLICY),
            files: FILES.iter().map(file).collect(),
        }
    }

    /// The page.
    pub(crate) const fn page(&self) -> &Document {
        &self.page
    }

    /// The file of that name.
    pub(crate) fn file(&self, name: &str) -> Option<&Document> {
        self.files.iter().find(|(known, _)| *known == name).map(|(_, file)| file)
    }
}

/// The items of a list header, which may have several lines. Values that are not text are skipped.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Whether a caller accepts gzip, and prefers it or has no preference (RFC 9110, 12.5.3). A caller
/// that forbids both gets the plain document.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for item in items(asked, &ACCEPT_ENCODING) {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let quality = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().ok())
        });
        // An unreadable quality counts as not accepted.
        let quality = quality.map_or(1.0, |given| given.unwrap_or(0.0));
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(quality),
            "identity" => identity = Some(quality),
            "*" => any = Some(quality),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::DOCS_PATH;

    fn accepting(lines: &[&'static str]) -> HeaderMap {
        let line = |line: &&'static str| (ACCEPT_ENCODING, HeaderValue::from_static(line));
        lines.iter().map(line).collect()
    }

    #[test]
    fn gzip_is_sent_only_to_callers_that_take_it() {
        for taken in [
            &["gzip"][..],
            &["GZIP"],
            &["br, gzip;q=0.8, deflate"],
            &["br", "x-gzip"],
            &["*"],
            &["gzip;q=1.0, identity; q=0.5, *;q=0"],
            &["identity;q=0, *"],
        ] {
            assert!(takes_gzip(&accepting(taken)), "{taken:?}");
        }
        for refused in [
            &[][..],
            &[""],
            &["br"],
            &["gzip;q=0"],
            &["gzip; Q=0.0"],
            &["*;q=0"],
            &["gzip;q=0, *"],
            &["gzip;q=0.5, identity"],
            &["gzip;q=x"],
            &["identity;q=0"],
        ] {
            assert!(!takes_gzip(&accepting(refused)), "{refused:?}");
        }
    }

    #[test]
    fn a_page_refers_to_its_files_by_the_names_that_they_are_served_under() {
        let page = std::str::from_utf8(PAGE.plain).unwrap();
        for file in FILES {
            assert!(page.contains(&format!("\"{DOCS_PATH}/{}\"", file.name)), "{}", file.name);
            assert!(file.name.contains(file.hash));
            assert!(file.gzip.len() < file.plain.len() || file.plain.len() < 300, "{}", file.name);
        }
        assert!(!page.contains('{'), "{page}");
    }
}
