//! What a caller ties a request to: the states that it knows (`If-None-Match`) or insists on
//! (`If-Match`, RFC 9110), and the name that makes a write safe to repeat (`Idempotency-Key`).

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use roots_domain::model::tag::EntityTag;
use roots_domain::usecase::{Named, Terms};
use serde::Serialize;

use crate::API_PATH;
use crate::body::{self, FromMembers};
use crate::problem::Problem;

/// The lists whose resources carry entity tags.
const TAGGED: [&str; 3] = ["/sessions", "/todos", "/activities"];

/// The header that names a write.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that tells an answer which was given before.
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Longest name of a write.
const KEY_MAX_CHARS: usize = 255;

/// Whether a route, below [`API_PATH`], is that of one resource with an entity tag.
pub(crate) fn is_tagged(route: &str) -> bool {
    route.strip_suffix("/{id}").is_some_and(|list| TAGGED.contains(&list))
}

/// The header that changes what a request means and has no meaning where it stands, if there is one:
/// ignoring it would be a lie. What a path does not have is for others to tell.
pub(crate) fn misplaced(method: &Method, route: &str, headers: &HeaderMap) -> Option<HeaderName> {
    let is_write = !method.is_safe();
    let route = route.strip_prefix(API_PATH).unwrap_or_default();
    let fits = [
        (IDEMPOTENCY_KEY, is_write && (TAGGED.contains(&route) || is_tagged(route))),
        (IF_MATCH, is_write && is_tagged(route)),
        (IF_NONE_MATCH, !is_write),
    ];
    fits.into_iter().find_map(|(name, fits)| (!fits && headers.contains_key(&name)).then_some(name))
}

/// The header `ETag`: always a strong one.
pub(crate) struct Tagged(pub(crate) EntityTag);

impl IntoResponseParts for Tagged {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        // A tag is of letters, digits and a hyphen.
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.0)) {
            parts.headers_mut().insert(ETAG, tag);
        }
        Ok(parts)
    }
}

/// The states of a resource that the caller has already: `If-None-Match`.
pub(crate) struct Known(Option<Tags>);

impl<S: Sync> FromRequestParts<S> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        tags(&parts.headers, &IF_NONE_MATCH).map(Self)
    }
}

impl Known {
    /// Answers a resource, unless the caller has it as it is. Weak and strong tags compare alike.
    pub(crate) fn answer(self, tag: EntityTag, body: impl Serialize) -> Response {
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

/// A write with a JSON body, and what it is tied to.
pub(crate) struct Sent<T> {
    pub(crate) body: T,
    pub(crate) terms: Terms,
}

impl<T: FromMembers, S: Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let (if_match, key) = (if_match(&parts.headers)?, idempotency_key(&parts.headers)?);
        let bytes = body::receive(&parts, body).await?;
        let named = key.map(|key| Named { key, request: fingerprinted(&parts, &bytes) });
        Ok(Self { body: body::judge(&bytes)?, terms: Terms { if_match, named } })
    }
}

/// The states that a write insists on, if it does.
fn if_match(headers: &HeaderMap) -> Result<Option<Vec<EntityTag>>, Problem> {
    Ok(match tags(headers, &IF_MATCH)? {
        // Whatever state it is in: that it must be there goes without saying.
        None | Some(Tags::Any) => None,
        // A weak tag matches nothing here, and so does a tag that is none of ours.
        Some(Tags::Of(given)) => {
            Some(given.into_iter().filter(|given| !given.is_weak).filter_map(|it| it.tag).collect())
        }
    })
}

/// What makes a request this one and no other: method, path, query and body, byte for byte. Neither
/// of the first three holds a line break. Which host it was sent to is no part of it, though it may stand
/// before the path (RFC 9112, 3.2.2).
fn fingerprinted(parts: &Parts, body: &[u8]) -> Vec<u8> {
    let target = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
    let head = format!("{}\n{target}\n", parts.method);
    [head.as_bytes(), body].concat()
}

/// The name of a write, if it has one: visible ASCII, bare or as a string of RFC 9651, 3.3.3.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(only) = given.next() else { return Ok(None) };
    let key = only.to_str().ok().map(str::trim).and_then(unquoted).filter(|key| {
        (1..=KEY_MAX_CHARS).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    });
    match key {
        Some(key) if given.next().is_none() => Ok(Some(key)),
        _ => Err(Problem::malformed_idempotency_key()),
    }
}

/// What stands between quotes, if there are any. There a backslash goes before a quote or another.
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

/// What `If-Match` and `If-None-Match` name.
#[derive(Debug, PartialEq)]
enum Tags {
    /// `*`
    Any,
    /// A list.
    Of(Vec<Given>),
}

/// A tag that was given.
#[derive(Debug, PartialEq)]
struct Given {
    is_weak: bool,
    /// `None` for a tag that is none of ours.
    tag: Option<EntityTag>,
}

/// Several headers of one name are one list (RFC 9110, 5.3).
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
    let malformed = || Problem::malformed_tags(name);
    let given = read_list(&list).filter(|given| !given.is_empty()).ok_or_else(malformed)?;
    Ok(Some(Tags::Of(given)))
}

/// `"a", W/"b"`. Elements of a list may be empty. A tag may hold commas, but neither blanks nor
/// quotes.
fn read_list(list: &[u8]) -> Option<Vec<Given>> {
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
            given.push(Given { is_weak, tag });
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

    fn of(tag: &str, is_weak: bool) -> Given {
        Given { is_weak, tag: EntityTag::parse(tag) }
    }

    fn read(lines: &[&str]) -> Result<Option<Tags>, u16> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        tags(&headers, &IF_MATCH).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn tags_are_a_list_over_all_its_lines() {
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
    fn a_tag_of_another_server_is_a_tag_and_matches_nothing() {
        for other in [r#""""#, r#""xyzzy""#, r#""a,b""#, r#""a\""#, "\"\u{e9}\"", r#"W/"x""#] {
            let expected = Given { is_weak: other.starts_with('W'), tag: None };
            assert_eq!(read(&[other]), Ok(Some(Tags::Of(vec![expected]))), "{other}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
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
    fn a_key_is_the_same_bare_and_quoted() {
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

    #[test]
    fn a_header_is_misplaced_where_it_has_no_meaning() {
        let header =
            |name: &HeaderName| HeaderMap::from_iter([(name.clone(), "*".parse().unwrap())]);
        let fits = |name: &HeaderName, method: &Method, route: &str| {
            misplaced(method, route, &header(name)).is_none()
        };
        for list in ["/api/v1/sessions", "/api/v1/todos", "/api/v1/activities"] {
            let one = format!("{list}/{{id}}");
            for method in [Method::PATCH, Method::DELETE] {
                assert!(fits(&IF_MATCH, &method, &one) && !fits(&IF_NONE_MATCH, &method, &one));
            }
            assert!(
                !fits(&IF_MATCH, &Method::GET, &one) && fits(&IF_NONE_MATCH, &Method::GET, &one)
            );
            assert!(!fits(&IF_MATCH, &Method::POST, list));
            assert!(!fits(&IF_NONE_MATCH, &Method::POST, list));
            assert!(fits(&IDEMPOTENCY_KEY, &Method::POST, list));
            assert!(fits(&IDEMPOTENCY_KEY, &Method::DELETE, &one));
            assert!(!fits(&IDEMPOTENCY_KEY, &Method::GET, &one));
            assert!(!fits(&IDEMPOTENCY_KEY, &Method::GET, list));
        }
        for other in ["/api/v1/todos/{id}/logs", "/todos/{id}", "/api/v1/actors/{id}", "/health"] {
            assert!(!fits(&IF_MATCH, &Method::DELETE, other), "{other}");
            assert!(!fits(&IDEMPOTENCY_KEY, &Method::POST, other), "{other}");
            assert!(fits(&IF_NONE_MATCH, &Method::HEAD, other), "{other}");
        }
        assert_eq!(misplaced(&Method::POST, "/api/v1/sessions", &HeaderMap::new()), None);
    }
}
