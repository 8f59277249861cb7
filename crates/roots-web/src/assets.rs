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
    fn new(stem: &str, extension: &str, media_type: &'static str, content: String) -> Self {
        let digest = Sha256::digest(content.as_bytes());
        let first = digest.first_chunk().copied().unwrap_or_default();
        let hash = format!("{:016x}", u64::from_be_bytes(first));
        Self { path: format!("/assets/{stem}-{hash}.{extension}"), media_type, content }
    }
}

/// A source without its indents, its empty lines, its lines that are comments, and the blanks and
/// ends of lines that `parts` says part nothing. Texts in quotes stay as they are.
///
/// It knows no regular expressions: a quote in one would begin a text.
fn minified(source: &str, parts: fn(char, char) -> bool) -> String {
    let mut result = String::with_capacity(source.len());
    // The quote that ends the text which the position is in.
    let mut quote = None;
    for line in source.lines() {
        let line = if quote.is_none() { line.trim() } else { line };
        let is_comment = line.starts_with("//") || line.starts_with("/*") && line.ends_with("*/");
        if quote.is_none() && (line.is_empty() || is_comment) {
            continue;
        }
        let mut rest = line.chars().peekable();
        let (mut before, mut is_escaped) = ('\n', false);
        while let Some(char) = rest.next() {
            let after = rest.peek().copied().unwrap_or('\n');
            if quote.is_none() && char == ' ' && !parts(before, after) {
                continue;
            }
            quote = match quote {
                None if matches!(char, '\'' | '"' | '`') => Some(char),
                Some(end) if char == end && !is_escaped => None,
                quote => quote,
            };
            is_escaped = quote.is_some() && char == '\\' && !is_escaped;
            result.push(char);
            before = char;
        }
        if quote.is_some() || parts(before, '\n') {
            result.push('\n');
        }
    }
    result
}

/// A blank of a script parts two words, or two signs that would be another one together. The end of
/// a line may end a statement, where no sign says that one has ended or goes on.
fn parts_script(before: char, after: char) -> bool {
    let is_word = |char: char| char.is_alphanumeric() || matches!(char, '_' | '$');
    after == '\n' && !matches!(before, ';' | '{' | ',')
        || is_word(before) && is_word(after)
        || before == after && matches!(before, '+' | '-' | '/')
}

/// A blank of a stylesheet parts nothing beside these signs. Elsewhere it may be a combinator, or
/// stand in a list or a sum.
fn parts_style(before: char, after: char) -> bool {
    let is_mark = |char: char| matches!(char, '{' | '}' | ',' | ';' | '>');
    !is_mark(before) && !is_mark(after) && before != ':'
}

/// The stylesheet.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let content = minified(include_str!("../assets/app.css"), parts_style);
    Asset::new("app", "css", "text/css; charset=utf-8", content)
});
/// The script.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let content = minified(include_str!("../assets/app.js"), parts_script);
    Asset::new("app", "js", "text/javascript; charset=utf-8", content)
});
/// The icon of the site.
pub(crate) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg").to_owned())
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
    fn what_parts_nothing_is_left_out_of_what_is_served() {
        let script = "// no\nif (a) {\n  return b + +c;\n\n}\nconst d = `e  f ${g} \\` h`;\n";
        let served = "if(a){return b+ +c;}\nconst d=`e  f ${g} \\` h`;";
        assert_eq!(minified(script, parts_script), served);
        let style =
            "/* no */\na > b, .c :focus { top: calc(1px + 2px); font: 1rem \"A  B\", serif }\n";
        let served = "a>b,.c :focus{top:calc(1px + 2px);font:1rem \"A  B\",serif}";
        assert_eq!(minified(style, parts_style), served);
    }
}
