//! The stylesheet, the script and the icon. Each is served under a name that has a hash of its
//! content, so that it may be kept forever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use roots_http_core::problem::Problem;
use sha2::{Digest, Sha256};

/// The route of the assets.
pub(crate) const ASSETS_PATH: &str = "/assets/{name}";
/// A browser that has an asset need not ask for it again.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// An asset.
pub(crate) struct Asset {
    /// Its path, with its hash.
    pub(crate) path: String,
    media_type: &'static str,
    content: String,
}

impl Asset {
    fn new(stem: &str, extension: &str, media_type: &'static str, source: &str) -> Self {
        let content = without_indents(source);
        let digest = Sha256::digest(content.as_bytes());
        let first = digest.first_chunk().copied().unwrap_or_default();
        let hash = format!("{:016x}", u64::from_be_bytes(first));
        Self { path: format!("/assets/{stem}-{hash}.{extension}"), media_type, content }
    }
}

/// A source without its indents, empty lines and lines that are comments. It has no text of several
/// lines that this could change.
fn without_indents(source: &str) -> String {
    let lines = source.lines().map(str::trim);
    let kept = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// The stylesheet.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("app", "css", "text/css; charset=utf-8", include_str!("../assets/app.css"))
});
/// The script.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("app", "js", "text/javascript; charset=utf-8", include_str!("../assets/app.js"))
});
/// The icon of the site.
pub(crate) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg"))
});

/// Answers an asset.
pub(crate) async fn get(Path(name): Path<String>) -> Result<Response, Problem> {
    let all: [&Asset; 3] = [&STYLE, &SCRIPT, &ICON];
    let is_it = |asset: &&&Asset| asset.path.strip_prefix("/assets/") == Some(&name);
    let asset = all.iter().find(is_it).ok_or_else(Problem::no_such_path)?;
    let headers = [
        (CACHE_CONTROL, FOREVER),
        (CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (NOSNIFF, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, asset.content.as_str()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_assets_of_a_first_visit_stay_small() {
        assert!(STYLE.content.len() <= 16 * 1024, "{}", STYLE.content.len());
        assert!(SCRIPT.content.len() <= 16 * 1024, "{}", SCRIPT.content.len());
    }

    #[test]
    fn the_policy_lets_the_assets_work() {
        for forbidden in ["eval(", "new Function", "innerHTML", "setAttribute('style'", "import("] {
            assert!(!SCRIPT.content.contains(forbidden), "{forbidden}");
        }
        for forbidden in ["@import", "url("] {
            assert!(!STYLE.content.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn indents_empty_lines_and_comments_are_left_out_of_what_is_served() {
        assert_eq!(without_indents("a {\n  b: c;\n\n  // no\n}\n"), "a {\nb: c;\n}\n");
    }
}
