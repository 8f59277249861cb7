//! Query strings: read strictly, for a filter that is ignored answers the wrong question.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use roots_domain::model::Invalid;
use roots_domain::model::id::SessionId;
use roots_domain::model::page::{LIMIT_DEFAULT, PageRequest};
use utoipa::IntoParams;

use crate::fields::{Faulty, Fields};
use crate::problem::Problem;

/// The parameters of a query.
pub(crate) type Params = Fields<String>;

/// What an endpoint reads from its query. Whatever else stands there is refused.
pub(crate) struct Query<T>(pub(crate) T);

/// What can be read from a query.
pub(crate) trait FromParams: Sized {
    /// Reads every parameter that there is, also after one was faulty.
    fn from_params(params: &mut Params) -> Result<Self, Faulty>;
}

/// No parameters at all.
pub(crate) struct NoParams;

impl FromParams for NoParams {
    fn from_params(_: &mut Params) -> Result<Self, Faulty> {
        Ok(Self)
    }
}

/// The parameters of every list.
#[derive(Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// Max results to return: 1 to 100. Above 100 reads as 100, and the answer says so.
    #[param(value_type = Option<i64>, minimum = 1, default = 20)]
    limit: u32,
    /// Number of results to skip.
    #[param(value_type = Option<i64>, minimum = 0, default = 0)]
    offset: i64,
}

impl FromParams for Paging {
    fn from_params(params: &mut Params) -> Result<Self, Faulty> {
        let limit = params.take("limit", |text| PageRequest::parse_limit(&text));
        let offset = params.take("offset", |text| PageRequest::parse_offset(&text));
        Ok(Self { limit: limit?.unwrap_or(LIMIT_DEFAULT), offset: offset?.unwrap_or(0) })
    }
}

impl From<Paging> for PageRequest {
    fn from(Paging { limit, offset }: Paging) -> Self {
        Self { limit, offset }
    }
}

/// Reads a `session_id`. One that no session has matches nothing; what no session can have is a slip.
pub(crate) fn session_filter(params: &mut Params) -> Result<Option<SessionId>, Faulty> {
    params.take("session_id", |text| {
        SessionId::parse(&text).ok_or_else(|| Invalid::new("must be a positive integer"))
    })
}

/// Reads a time by `parse`. Where a time zone's `+` was not escaped it arrives as a blank, which no
/// time holds behind its date.
pub(crate) fn time<T>(
    mut text: String,
    parse: fn(&str) -> Result<T, Invalid>,
) -> Result<T, Invalid> {
    const DATE_LENGTH: usize = "2026-04-09".len();
    if let Some(at) = text.rfind(' ').filter(|at| *at > DATE_LENGTH) {
        text.replace_range(at..=at, "+");
    }
    parse(&text)
}

impl<T: FromParams, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let given = pairs(parts.uri.query().unwrap_or_default()).ok_or_else(|| {
            Problem::bad_request("The query string is not valid percent-encoded UTF-8.")
        })?;
        let mut params = Params::new("parameter", given);
        let read = T::from_params(&mut params);
        let faults = params.finish();
        match read {
            Ok(read) if faults.is_empty() => Ok(Self(read)),
            _ => Err(Problem::invalid_parameters(faults)),
        }
    }
}

fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            Some((decoded(name)?, decoded(value)?))
        })
        .collect()
}

/// Decodes a part of a query, in which `+` stands for a blank.
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
        let given = pairs("a=1&&b&c=x=y&").unwrap();
        let expected = [("a", "1"), ("b", ""), ("c", "x=y")];
        assert_eq!(given, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn an_unescaped_plus_is_still_a_time_zone() {
        for (text, expected) in [
            ("2026-04-10T02:00:00 02:00", "2026-04-10T00:00:00Z"),
            ("2026-04-10 02:00 0200", "2026-04-10T00:00:00Z"),
            ("2026-04-10T02:00 02", "2026-04-10T00:00:00Z"),
            ("2026-04-10 02:00", "2026-04-10T02:00:00Z"),
            ("2026-04-10T02:00:00+02:00", "2026-04-10T00:00:00Z"),
        ] {
            let read = time(text.to_owned(), Timestamp::parse).unwrap();
            assert_eq!(read.to_string(), expected, "{text}");
        }
        assert!(time("2026-04-10 ".to_owned(), Timestamp::parse).is_err());
        assert!(time(" ".to_owned(), Timestamp::parse).is_err());
    }
}
