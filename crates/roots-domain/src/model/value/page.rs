//! Pages of lists.

use super::invalid::Invalid;

/// Most rows of a page.
pub const LIMIT_MAX: u32 = 100;
/// Rows of a page where nothing is asked for, as the documents' answers have it.
pub const LIMIT_DEFAULT: u32 = 20;

/// Where a row stands in its list: the numbers that the list is ordered by, the most telling first
/// and the id last. A list that is ordered by fewer has zeros before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortKey(pub [i64; 3]);

/// What stands in lists.
pub trait Listed {
    /// Where it stands in any of them.
    fn sort_key(&self) -> SortKey;
}

/// Where a page starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// So many rows behind the first one.
    Offset(i64),
    /// Right behind that place, whether a row still stands there or not.
    After(SortKey),
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Most rows to return: 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// From where on.
    pub start: Start,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::skipping(0, LIMIT_DEFAULT)
    }
}

impl PageRequest {
    /// The page behind the first `offset` rows.
    #[must_use]
    pub const fn skipping(offset: i64, limit: u32) -> Self {
        Self { limit, start: Start::Offset(offset) }
    }

    /// How many rows are skipped: none where the page starts at a place.
    #[must_use]
    pub const fn offset(&self) -> i64 {
        match self.start {
            Start::Offset(offset) => offset,
            Start::After(_) => 0,
        }
    }
}

impl PageRequest {
    /// Reads a `limit`: above [`LIMIT_MAX`] reads as that.
    ///
    /// # Errors
    /// Says the range for 0, negatives and what is no integer.
    pub fn parse_limit(text: &str) -> Result<u32, Invalid> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // Digits that do not fit are a very large number all the same.
        match text.parse::<u32>() {
            Ok(limit) if digits && limit > 0 => Ok(limit.min(LIMIT_MAX)),
            Err(_) if digits => Ok(LIMIT_MAX),
            _ => Err(Invalid::new("must be an integer from 1 (above 100 reads as 100)")),
        }
    }

    /// Reads an `offset`.
    ///
    /// # Errors
    /// Says the range for negatives and what is no integer.
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
    /// How many rows match in all.
    pub total: i64,
    /// What was asked for.
    pub request: PageRequest,
    /// The place of its last row, where another row follows it.
    pub next: Option<SortKey>,
}

impl<T> Page<T> {
    /// The same page of another type.
    ///
    /// # Errors
    /// The first that `change` answers.
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
