//! Conditions of a request: the states that the caller knows (`If-None-Match`) or requires
//! (`If-Match`, RFC 9110), and the key that makes a write safe to repeat (`Idempotency-Key`).

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use roots_domain::model::Invalid;
use roots_domain::model::etag::EntityTag;
use roots_domain::service::{IdempotentRequest, Preconditions};
use serde::Serialize;

use super::json::{FromMembers, receive, validate};
use crate::problem::Problem;
use crate::wire::IDEMPOTENCY_KEY;

/// The longest `Idempotency-Key`.
const KEY_MAX_CHARS: usize = 255;

/// The header `ETag`, always a strong tag.
pub struct Tagged(pub EntityTag);

impl IntoResponseParts for Tagged {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        // A tag has only letters, digits and hyphens.
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.0)) {
            parts.headers_mut().insert(ETAG, tag);
        }
        Ok(parts)
    }
}

/// The states of a resource that the caller already has: `If-None-Match`.
pub struct IfNoneMatch(Option<Tags>);

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        tags(&parts.headers, &IF_NONE_MATCH).map(Self)
    }
}

impl IfNoneMatch {
    /// Answers a resource, or 304 if the caller has its current state. Weak and strong tags compare
    /// equal.
    pub fn answer(self, tag: EntityTag, body: impl Serialize) -> Response {
        let is_known = match self.0 {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::Of(given)) => given.iter().any(|given| given.tag == Some(tag)),
        };
        if is_known {
            return (StatusCode::NOT_MODIFIED, Tagged(tag), ()).into_response();
        }
        (Tagged(tag), axum::Json(body)).into_response()
    }
}

/// A write with a JSON body and its conditions.
pub struct WriteRequest<T> {
    /// The parsed body.
    pub body: T,
    /// The states that it requires, and its idempotency key.
    pub preconditions: Preconditions,
}

impl<T: FromMembers, S: Sync> FromRequest<S> for WriteRequest<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let (if_match, key) = (if_match(&parts.headers)?, idempotency_key(&parts.headers)?);
        let bytes = receive(&parts, body).await?;
        let idempotent =
            key.map(|key| IdempotentRequest { key, request: fingerprinted(&parts, &bytes) });
        let preconditions = Preconditions { if_match, idempotent, claim_token: None };
        Ok(Self { body: validate(&bytes)?, preconditions })
    }
}

/// The states that a write requires, if any.
fn if_match(headers: &HeaderMap) -> Result<Option<Vec<EntityTag>>, Problem> {
    Ok(match tags(headers, &IF_MATCH)? {
        // Any state: a write requires the row to exist anyway.
        None | Some(Tags::Any) => None,
        // A weak tag matches nothing here, nor does a tag that this server does not make.
        Some(Tags::Of(given)) => {
            Some(given.into_iter().filter(|given| !given.is_weak).filter_map(|it| it.tag).collect())
        }
    })
}

/// The identity of a request: method, path, query and body, byte for byte. The first three have no
/// line breaks. The host is not part of it, though it may be written before the path (RFC 9112,
/// 3.2.2).
fn fingerprinted(parts: &Parts, body: &[u8]) -> Vec<u8> {
    let target = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
    let head = format!("{}\n{target}\n", parts.method);
    [head.as_bytes(), body].concat()
}

/// The idempotency key of a write, if it has one: visible ASCII, bare or as a string (RFC 9651,
/// 3.3.3).
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(only) = given.next() else { return Ok(None) };
    let key = only.to_str().ok().map(str::trim).and_then(unquoted).filter(|key| is_key(key));
    match key {
        Some(key) if given.next().is_none() => Ok(Some(key)),
        _ => Err(Problem::invalid_idempotency_key()),
    }
}

/// Whether a text can be an idempotency key.
fn is_key(text: &str) -> bool {
    (1..=KEY_MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Reads an idempotency key that is sent in a body.
///
/// # Errors
/// Says the form.
pub fn key_in_body(text: String) -> Result<String, Invalid> {
    let invalid = || Invalid::new("must be 1 to 255 visible ASCII characters");
    if is_key(&text) { Ok(text) } else { Err(invalid()) }
}

/// Removes the quotes, if there are any, and the backslashes that escape quotes and backslashes.
fn unquoted(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let mut inner = quoted.strip_suffix('"')?.chars();
    let mut plain = String::new();
    while let Some(c) = inner.next() {
        plain.push(match c {
            '"' => return None,
            '\\' => inner.next().filter(|escaped| matches!(escaped, '"' | '\\'))?,
            c => c,
        });
    }
    Some(plain)
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, PartialEq)]
enum Tags {
    /// `*`
    Any,
    /// A list.
    Of(Vec<GivenTag>),
}

/// A tag in a header.
#[derive(Debug, PartialEq)]
struct GivenTag {
    is_weak: bool,
    /// `None` for a tag that this server does not make.
    tag: Option<EntityTag>,
}

/// Parses the header. Several headers of one name are one list (RFC 9110, 5.3).
fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let mut lines = Vec::new();
    for value in headers.get_all(name) {
        lines.push(value.as_bytes());
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let list = lines.join(&b","[..]);
    if list.trim_ascii() == b"*" {
        return Ok(Some(Tags::Any));
    }
    let invalid = || Problem::invalid_tags(name);
    let given = read_list(&list).filter(|given| !given.is_empty()).ok_or_else(invalid)?;
    Ok(Some(Tags::Of(given)))
}

/// Parses a list such as `"a", W/"b"`. Elements may be empty. A tag may have commas, but no blanks
/// or quotes.
fn read_list(list: &[u8]) -> Option<Vec<GivenTag>> {
    let mut given = Vec::new();
    let mut rest = list.trim_ascii_start();
    while let Some(first) = rest.first() {
        if *first != b',' {
            let (is_weak, quoted) = match rest.strip_prefix(b"W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            let opened = quoted.strip_prefix(b"\"")?;
            let (opaque, after) = opened.split_at(opened.iter().position(|byte| *byte == b'"')?);
            if opaque.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
                return None;
            }
            let tag = std::str::from_utf8(opaque).ok().and_then(EntityTag::parse);
            given.push(GivenTag { is_weak, tag });
            rest = after.get(1..).unwrap_or_default().trim_ascii_start();
        }
        match rest.split_first() {
            None => break,
            Some((b',', after)) => rest = after.trim_ascii_start(),
            Some(_) => return None,
        }
    }
    Some(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "00000000000000000000000000000001-1";
    const TWO: &str = "00000000000000000000000000000002-7";

    fn of(tag: &str, is_weak: bool) -> GivenTag {
        GivenTag { is_weak, tag: EntityTag::parse(tag) }
    }

    fn read(lines: &[&str]) -> Result<Option<Tags>, u16> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        tags(&headers, &IF_MATCH).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn tags_are_one_list_over_all_lines_of_the_header() {
        let quoted = |tag: &str| format!("\"{tag}\"");
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(Some(Tags::Any)));
        assert_eq!(read(&[" * "]), Ok(Some(Tags::Any)));
        let one = Ok(Some(Tags::Of(vec![of(ONE, false)])));
        for list in [quoted(ONE), format!(" {} ", quoted(ONE)), format!(",\t{},,", quoted(ONE))] {
            assert_eq!(read(&[&list]), one, "{list}");
        }
        let two = Ok(Some(Tags::Of(vec![of(ONE, false), of(TWO, true)])));
        let (first, second) = (quoted(ONE), format!("W/{}", quoted(TWO)));
        for lines in [
            &[format!("{first},{second}")][..],
            &[format!("{first} , {second}")],
            &[first.clone(), second.clone()],
        ] {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            assert_eq!(read(&lines), two, "{lines:?}");
        }
    }

    #[test]
    fn a_tag_of_another_server_is_accepted_and_matches_nothing() {
        for other in [r#""""#, r#""xyzzy""#, r#""a,b""#, r#""a\""#, "\"\u{e9}\"", r#"W/"x""#] {
            let expected = GivenTag { is_weak: other.starts_with('W'), tag: None };
            assert_eq!(read(&[other]), Ok(Some(Tags::Of(vec![expected]))), "{other}");
        }
    }

    #[test]
    fn a_malformed_list_of_tags_is_refused() {
        for bad in [
            "",
            ",",
            " , ",
            ONE,
            "\"",
            "\"a",
            "a\"",
            "\"a\"b",
            "\"a\" \"b\"",
            "\"a b\"",
            "w/\"a\"",
            "W/a",
            "W/",
            "*, \"a\"",
            "\"a\", *",
            "**",
        ] {
            assert_eq!(read(&[bad]), Err(400), "{bad:?}");
        }
        assert_eq!(read(&["*", "*"]), Err(400));
    }

    #[test]
    fn an_idempotency_key_is_the_same_bare_and_quoted() {
        let read = |value: &str| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, value)]);
            idempotency_key(&headers).map_err(|problem| problem.status().as_u16())
        };
        let longest = "k".repeat(KEY_MAX_CHARS);
        for (given, key) in [
            ("a", "a"),
            ("\"a\"", "a"),
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            (" a ", "a"),
            ("a\"b\\c", "a\"b\\c"),
            (r#""a\"b\\c""#, "a\"b\\c"),
            ("!~,;=", "!~,;="),
            (&longest, &longest),
            (&format!("\"{longest}\""), &longest),
        ] {
            assert_eq!(read(given), Ok(Some(key.to_owned())), "{given}");
        }
        for bad in [
            "",
            " ",
            "\"\"",
            "\"",
            "\"a",
            "\"a\"b\"",
            r#""a\""#,
            r#""a\b""#,
            "a b",
            "\"a b\"",
            "a\tb",
            "\u{e9}",
            &format!("{longest}k"),
            &format!("\"{longest}k\""),
        ] {
            assert_eq!(read(bad), Err(400), "{bad}");
        }
        assert_eq!(idempotency_key(&HeaderMap::new()).map_err(|_| ()), Ok(None));
        let mut twice = HeaderMap::new();
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        assert!(idempotency_key(&twice).is_err());
    }
}
