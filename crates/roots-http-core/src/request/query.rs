//! Query strings. They are read strictly, since an ignored filter would give a wrong answer.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use roots_domain::model::Invalid;
use roots_domain::model::id::{ActorId, SessionId};
use roots_domain::service::access::ActorScope;

use super::fields::{Fields, InvalidNoted};
use crate::problem::Problem;

/// The parameters of a query.
pub type Params = Fields<String>;

/// The query of a request, parsed as `T`. Unknown parameters are refused.
pub struct Query<T>(pub T);

/// A type that can be read from a query.
pub trait FromParams: Sized {
    /// Reads every parameter, even after one was invalid.
    ///
    /// # Errors
    /// A parameter is invalid.
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted>;
}

/// No parameters at all.
pub struct NoParams;

impl FromParams for NoParams {
    fn from_params(_: &mut Params) -> Result<Self, InvalidNoted> {
        Ok(Self)
    }
}

/// Reads an `actor_id`. An id that no actor has matches nothing; a value that is not an id is an
/// error.
///
/// # Errors
/// The value is neither an id nor `all`.
pub fn actor_scope(params: &mut Params) -> Result<ActorScope, InvalidNoted> {
    let read = |text: String| match text.as_str() {
        "all" => Ok(ActorScope::All),
        id => ActorId::parse(id)
            .map(ActorScope::Of)
            .ok_or_else(|| Invalid::new("must be a positive integer, or all")),
    };
    Ok(params.take("actor_id", read)?.unwrap_or_default())
}

/// Reads a `session_id`. An id that no session has matches nothing; a value that is not an id is an
/// error.
///
/// # Errors
/// The value is not an id.
pub fn session_filter(params: &mut Params) -> Result<Option<SessionId>, InvalidNoted> {
    params.take("session_id", |text| {
        SessionId::parse(&text).ok_or_else(|| Invalid::new("must be a positive integer"))
    })
}

/// Reads a flag.
///
/// # Errors
/// It is neither `true` nor `false`.
pub fn flag(text: &str) -> Result<bool, Invalid> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Invalid::new("must be true or false")),
    }
}

/// Restores the `+` of a time's offset: if it was not escaped it arrives as a blank, which no valid
/// time has after its date.
#[must_use]
pub fn time(mut text: String) -> String {
    const DATE_LENGTH: usize = "2026-04-09".len();
    if let Some(at) = text.rfind(' ').filter(|at| *at > DATE_LENGTH) {
        text.replace_range(at..=at, "+");
    }
    text
}

impl<T: FromParams, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(read(pairs(&parts.uri)?, T::from_params)?))
    }
}

/// Reads the given parameters with `from`.
///
/// # Errors
/// Lists every error and every unknown parameter.
pub fn read<T>(
    given: Vec<(String, String)>,
    from: impl FnOnce(&mut Params) -> Result<T, InvalidNoted>,
) -> Result<T, Problem> {
    let mut params = Params::new("parameter", given);
    let read = from(&mut params);
    let errors = params.finish();
    match read {
        Ok(read) if errors.is_empty() => Ok(read),
        _ => Err(Problem::invalid_parameters(errors)),
    }
}

/// The given parameters, in their order.
///
/// # Errors
/// The query is not valid percent-encoded UTF-8.
pub fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    let pieces = uri.query().unwrap_or_default().split('&').filter(|piece| !piece.is_empty());
    let pair = |piece: &str| {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        Some((decoded(name)?, decoded(value)?))
    };
    pieces
        .map(pair)
        .collect::<Option<_>>()
        .ok_or_else(|| Problem::bad_request("The query string is not valid percent-encoded UTF-8."))
}

/// Decodes a part of a query, in which `+` is a blank.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Encodes a part of a query, so that none of its characters has a meaning in a URI.
#[must_use]
pub fn encoded(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let byte = |b| if is_plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use roots_domain::model::time::Timestamp;

    use super::*;

    #[test]
    fn a_query_is_decoded_strictly() {
        assert_eq!(decoded("a+b%20c%2B%C3%A9").as_deref(), Some("a b c+é"));
        for bad in ["%", "%4", "%zz", "%+1", "%ff", "%C3"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
        for text in ["a b+c é%&=<>\"", "code-review_2.0~"] {
            assert_eq!(decoded(&encoded(text)).as_deref(), Some(text));
        }
        let given = pairs(&Uri::from_static("/?a=1&&b&c=x=y&")).unwrap();
        let expected = [("a", "1"), ("b", ""), ("c", "x=y")];
        assert_eq!(given, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_utc_offset_with_an_unescaped_plus_is_still_read() {
        for (text, expected) in [
            ("2026-04-10T02:00:00 02:00", "2026-04-10T00:00:00Z"),
            ("2026-04-10 02:00 0200", "2026-04-10T00:00:00Z"),
            ("2026-04-10T02:00 02", "2026-04-10T00:00:00Z"),
            ("2026-04-10 02:00", "2026-04-10T02:00:00Z"),
            ("2026-04-10T02:00:00+02:00", "2026-04-10T00:00:00Z"),
        ] {
            let read = Timestamp::parse(&time(text.to_owned())).unwrap();
            assert_eq!(read.to_string(), expected, "{text}");
        }
        assert!(Timestamp::parse(&time("2026-04-10 ".to_owned())).is_err());
        assert!(Timestamp::parse(&time(" ".to_owned())).is_err());
    }
}
