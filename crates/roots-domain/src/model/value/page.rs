//! Pages of lists.

use super::invalid::Invalid;

/// Most rows of a page.
pub const LIMIT_MAX: u32 = 100;
/// Rows of a page if no limit is given.
pub const LIMIT_DEFAULT: u32 = 20;
/// Up to this many rows are counted for the total of a list that has no stored count.
pub const TOTAL_COUNTED_MAX: i64 = 1_000;

/// The position of a row in its list: the numbers that the list is sorted by, the most significant
/// first and the id last. Lists with fewer sort columns have leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortKey(pub [i64; 3]);

/// A row that is listed.
pub trait Listed {
    /// Its position in every list.
    fn sort_key(&self) -> SortKey;
}

/// Where a page starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After this number of rows.
    Offset(i64),
    /// Right after that position, whether a row is still there or not.
    After(SortKey),
}

/// The requested part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Most rows to return: 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// The start of the page.
    pub start: Start,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::skipping(0, LIMIT_DEFAULT)
    }
}

impl PageRequest {
    /// The page after the first `offset` rows.
    #[must_use]
    pub const fn skipping(offset: i64, limit: u32) -> Self {
        Self { limit, start: Start::Offset(offset) }
    }

    /// The number of skipped rows: 0 if the page starts at a position.
    #[must_use]
    pub const fn offset(&self) -> i64 {
        match self.start {
            Start::Offset(offset) => offset,
            Start::After(_) => 0,
        }
    }
}

impl PageRequest {
    /// Parses a `limit`. Numbers above [`LIMIT_MAX`] count as that.
    ///
    /// # Errors
    /// Says the range, for 0, negative numbers and text that is not an integer.
    pub fn parse_limit(text: &str) -> Result<u32, Invalid> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // Digits that do not fit into 32 bits are a very large number.
        match text.parse::<u32>() {
            Ok(limit) if digits && limit > 0 => Ok(limit.min(LIMIT_MAX)),
            Err(_) if digits => Ok(LIMIT_MAX),
            _ => Err(Invalid::new("must be an integer from 1 (above 100 reads as 100)")),
        }
    }

    /// Parses an `offset`.
    ///
    /// # Errors
    /// Says the range, for negative numbers and text that is not an integer.
    pub fn parse_offset(text: &str) -> Result<i64, Invalid> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let offset = if digits { text.parse().ok() } else { None };
        offset.ok_or_else(|| Invalid::new("must be an integer from 0"))
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// The number of all matching rows. Without a stored count it is at most
    /// [`TOTAL_COUNTED_MAX`].
    pub total: i64,
    /// The request.
    pub request: PageRequest,
    /// The position of its last row, if another row follows.
    pub next: Option<SortKey>,
}

impl<T> Page<T> {
    /// Maps the rows with `change`.
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn try_map<U, E>(self, change: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        let items = self.items.into_iter().map(change).collect::<Result<_, _>>()?;
        Ok(Page { items, total: self.total, request: self.request, next: self.next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_above_100_is_capped_and_a_limit_below_1_is_refused() {
        assert_eq!(PageRequest::parse_limit("1"), Ok(1));
        assert_eq!(PageRequest::parse_limit("100"), Ok(100));
        assert_eq!(PageRequest::parse_limit("101"), Ok(100));
        assert_eq!(PageRequest::parse_limit("99999999999999999999999"), Ok(100));
        for bad in ["", "0", "00", "-1", "+1", "1.5", "ten", " 1"] {
            assert!(PageRequest::parse_limit(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_offset_is_a_plain_integer_from_0() {
        assert_eq!(PageRequest::parse_offset("0"), Ok(0));
        assert_eq!(PageRequest::parse_offset("9223372036854775807"), Ok(i64::MAX));
        for bad in ["", "-1", "+1", "x", "9223372036854775808"] {
            assert!(PageRequest::parse_offset(bad).is_err(), "{bad:?}");
        }
    }
}
