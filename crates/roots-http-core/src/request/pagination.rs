//! Pagination of lists: the requested page, and the link to the next one.
//!
//! A cursor holds the sort key of a page's last row and a checksum over that, the list, its filters
//! and the caller. It holds no secret and grants no access: a forged one only moves its maker to
//! another place in a list they may read anyway.

use std::fmt;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::HeaderValue;
use axum::http::header::LINK;
use axum::http::request::Parts;
use axum::response::{IntoResponseParts, ResponseParts};
use crc32fast::Hasher;
use data_encoding::BASE64URL_NOPAD;
use roots_domain::model::Invalid;
use roots_domain::model::page::{LIMIT_DEFAULT, Page, PageRequest, SortKey, Start};
use roots_domain::service::access::Caller;
use utoipa::IntoParams;

use super::fields::{InvalidField, InvalidNoted};
use super::query::{FromParams, Params, encoded, pairs, read};
use crate::problem::Problem;
use crate::schema;

/// The parameters that choose a page. All other parameters of a list choose rows.
const PAGING: [&str; 3] = ["limit", "offset", "cursor"];
/// The version of the cursors' format.
const FORM: u8 = 1;

/// The query of a list: which rows, and which page of them.
pub struct List<T> {
    /// Which rows.
    pub query: T,
    /// Which page of them.
    pub page: RequestedPage,
}

/// The parameters of every list.
#[derive(Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// The maximum number of results, 1 to 100. A larger number counts as 100.
    #[param(schema_with = schema::limit, required = false)]
    limit: u32,
    /// The number of results to skip.
    #[param(value_type = Option<i64>, minimum = 0, default = 0)]
    offset: i64,
    /// The `next_cursor` of the previous page, instead of `offset`. The filters must be the same;
    /// `limit` may change.
    #[param(value_type = Option<schema::Cursor>)]
    cursor: Option<Cursor>,
}

impl FromParams for Paging {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let limit = params.take("limit", |text| PageRequest::parse_limit(&text));
        let offset = params.take("offset", |text| PageRequest::parse_offset(&text));
        let cursor = params.take("cursor", |text| Cursor::parse(&text));
        if let (Ok(Some(_)), Ok(Some(_))) = (&offset, &cursor) {
            return Err(params.error("cursor", "must not be given together with offset"));
        }
        Ok(Self {
            limit: limit?.unwrap_or(LIMIT_DEFAULT),
            offset: offset?.unwrap_or(0),
            cursor: cursor?,
        })
    }
}

impl<T: FromParams + Send, S: Sync> FromRequestParts<S> for List<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut filters = pairs(&parts.uri)?;
        let both = |params: &mut Params| {
            let (query, paging) = (T::from_params(params), Paging::from_params(params));
            Ok((query?, paging?))
        };
        let (query, paging) = read(filters.clone(), both)?;
        filters.retain(|(name, _)| !PAGING.contains(&name.as_str()));
        let path = parts.extensions.get::<MatchedPath>().cloned();
        Ok(Self { query, page: RequestedPage { path, filters, paging } })
    }
}

/// The requested page of a list. The filters of a search are in its body.
pub struct RequestedPage {
    path: Option<MatchedPath>,
    filters: Vec<(String, String)>,
    paging: Paging,
}

impl RequestedPage {
    /// A page of a list whose filters and cursor are in the body. `filters` are all fields that
    /// choose rows, by their names.
    #[must_use]
    pub fn of_body(
        path: MatchedPath,
        filters: Vec<(String, String)>,
        cursor: Option<Cursor>,
    ) -> Self {
        let paging = Paging { limit: LIMIT_DEFAULT, offset: 0, cursor };
        Self { path: Some(path), filters, paging }
    }

    /// What the core is asked for.
    ///
    /// # Errors
    /// The cursor belongs to another list, other filters or another caller.
    pub fn request(&self, caller: &Caller) -> Result<PageRequest, Problem> {
        let Paging { limit, offset, .. } = self.paging;
        match self.after(caller) {
            Ok(None) => Ok(PageRequest::skipping(offset, limit)),
            Ok(Some(sort_key)) => Ok(PageRequest { limit, start: Start::After(sort_key) }),
            Err(error) => Err(Problem::invalid_parameters(vec![error])),
        }
    }

    /// The position to start after, of a page whose cursor is in the body.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn after_of_body(&self, caller: &Caller) -> Result<Option<SortKey>, Problem> {
        self.after(caller).map_err(|error| Problem::invalid_body(vec![error]))
    }

    fn after(&self, caller: &Caller) -> Result<Option<SortKey>, InvalidField> {
        let Some(cursor) = self.paging.cursor else { return Ok(None) };
        if cursor.checksum != self.checksum(caller, cursor.sort_key) {
            let message =
                "must be the next_cursor of a page of this list, with the same filters and caller";
            return Err(InvalidField { field: "cursor".to_owned(), message: message.to_owned() });
        }
        Ok(Some(cursor.sort_key))
    }

    /// The cursor of the page after that position.
    #[must_use]
    pub fn cursor(&self, caller: &Caller, sort_key: SortKey) -> String {
        Cursor { checksum: self.checksum(caller, sort_key), sort_key }.to_string()
    }

    /// The cursor of the next page, and the link to that page.
    pub fn next<R>(&self, caller: &Caller, found: &Page<R>) -> (Option<String>, NextLink) {
        let Some(sort_key) = found.next else { return (None, NextLink(None)) };
        let link = self.after_link(caller, sort_key, found.request.limit);
        // All these characters are allowed in a header.
        let link = HeaderValue::try_from(format!("<{link}>; rel=\"next\"")).ok();
        (Some(self.cursor(caller, sort_key)), NextLink(link))
    }

    /// The path and the query of the page after a position, with the filters as they were sent.
    #[must_use]
    pub fn after_link(&self, caller: &Caller, sort_key: SortKey, limit: u32) -> String {
        let filter = |(name, value): &(String, String)| encoded(name) + "=" + &encoded(value) + "&";
        let filters: String = self.filters.iter().map(filter).collect();
        let (path, cursor) = (self.path(), self.cursor(caller, sort_key));
        format!("{path}?{filters}limit={limit}&cursor={cursor}")
    }

    fn path(&self) -> &str {
        self.path.as_ref().map_or("", MatchedPath::as_str)
    }

    /// A checksum over everything that a position in a list depends on. It covers the filters as
    /// they were sent, in any order, so that none can be forgotten.
    fn checksum(&self, caller: &Caller, sort_key: SortKey) -> u32 {
        let mut filters: Vec<_> = self.filters.iter().collect();
        filters.sort();
        let texts = filters.into_iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let mut hasher = Hasher::new();
        for text in [self.path()].into_iter().chain(texts) {
            hasher.update(&text.len().to_be_bytes());
            hasher.update(text.as_bytes());
        }
        for number in [caller.account.id.0, caller.actor.id.0].into_iter().chain(sort_key.0) {
            hasher.update(&number.to_be_bytes());
        }
        hasher.finalize()
    }
}

/// The `Link` header to the next page (RFC 8288), if there is one.
pub struct NextLink(Option<HeaderValue>);

impl IntoResponseParts for NextLink {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.headers_mut().extend(self.0.map(|link| (LINK, link)));
        Ok(parts)
    }
}

/// A position in a list, which a caller sends back to continue after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    checksum: u32,
    sort_key: SortKey,
}

impl Cursor {
    /// Parses a cursor. Whether it belongs to the request is checked later.
    ///
    /// # Errors
    /// It has another form.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let read = bytes.and_then(|bytes| Self::read(&bytes));
        read.ok_or_else(|| Invalid::new("must be the next_cursor of a page, unchanged"))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(&[FORM])?;
        let (checksum, mut rest) = bytes.split_first_chunk()?;
        let mut sort_key = SortKey([0; 3]);
        for number in &mut sort_key.0 {
            let (first, behind) = rest.split_first_chunk()?;
            (*number, rest) = (i64::from_be_bytes(*first), behind);
        }
        rest.is_empty().then_some(Self { checksum: u32::from_be_bytes(*checksum), sort_key })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![FORM];
        bytes.extend(self.checksum.to_be_bytes());
        bytes.extend(self.sort_key.0.into_iter().flat_map(i64::to_be_bytes));
        f.write_str(&BASE64URL_NOPAD.encode(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_round_trips_and_another_length_is_refused(checksum: u32, sort_key: [i64; 3]) {
            let cursor = Cursor { checksum, sort_key: SortKey(sort_key) };
            let text = cursor.to_string();
            prop_assert_eq!(encoded(&text), text.as_str());
            prop_assert_eq!(Cursor::parse(&text), Ok(cursor));
            prop_assert!(Cursor::parse(&text[1..]).is_err());
            let longer = text + "A";
            prop_assert!(Cursor::parse(&longer).is_err());
        }

        #[test]
        fn arbitrary_text_is_refused_as_a_cursor(text in "\\PC{0,50}") {
            prop_assert!(Cursor::parse(&text).is_err());
        }
    }
}
