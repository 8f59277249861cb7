//! Usage: how often an account calls each endpoint. These statistics are not part of the ledger.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{Datelike, Months, NaiveDate};

use super::Invalid;
use super::id::AccountId;
use super::time::{Day, Timestamp};

/// The number of endpoints in a summary.
pub const TOP_ENDPOINTS: usize = 10;

/// An endpoint: a method and a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The template of the route, never an address with ids: `/todos/{id}`.
    pub route: String,
    /// The method.
    pub method: String,
}

/// The key by which calls are counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Calls {
    /// The account that made the calls.
    pub account: AccountId,
    /// The UTC day of the calls.
    pub day: Day,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// A calendar month in UTC, of the years 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// Its first day.
    first: NaiveDate,
}

impl Month {
    /// The month of an instant.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let date = at.day().date();
        Self { first: date.with_day(1).unwrap_or(date) }
    }

    /// Parses `2026-04`.
    ///
    /// # Errors
    /// Says the form.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let form = || Invalid::new("must be a month of the years 1970 to 9999, such as 2026-04");
        let (year, month) = text.split_once('-').ok_or_else(form)?;
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if year.len() != 4 || month.len() != 2 || !plain(year) || !plain(month) {
            return Err(form());
        }
        let year = year.parse().ok().filter(|year| *year >= 1970).ok_or_else(form)?;
        let month = month.parse().map_err(|_| form())?;
        NaiveDate::from_ymd_opt(year, month, 1).map(|first| Self { first }).ok_or_else(form)
    }

    /// Its first and its last day.
    #[must_use]
    pub fn days(self) -> (Day, Day) {
        let next = self.first.checked_add_months(Months::new(1)).unwrap_or(self.first);
        (Day::of(self.first), Day(Day::of(next).0 - 1))
    }
}

/// `2026-04`.
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

/// The calls of an account in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthUsage {
    /// The number of all calls.
    pub used: i64,
    /// The most called endpoints, at most [`TOP_ENDPOINTS`], by descending calls, then by name.
    pub top: Vec<(Endpoint, i64)>,
}

impl MonthUsage {
    /// Adds counts up.
    #[must_use]
    pub fn of(counts: impl IntoIterator<Item = (Day, Endpoint, i64)>) -> Self {
        let mut by_endpoint = BTreeMap::<Endpoint, i64>::new();
        for (_, endpoint, calls) in counts {
            *by_endpoint.entry(endpoint).or_default() += calls;
        }
        let used = by_endpoint.values().sum();
        let mut top: Vec<_> = by_endpoint.into_iter().collect();
        top.sort_by_key(|(_, calls)| -calls);
        top.truncate(TOP_ENDPOINTS);
        Self { used, top }
    }
}

/// The calls of each day, ascending; days without any are left out.
#[must_use]
pub fn by_day(counts: impl IntoIterator<Item = (Day, Endpoint, i64)>) -> Vec<(Day, i64)> {
    let mut by_day = BTreeMap::<Day, i64>::new();
    for (day, _, calls) in counts {
        *by_day.entry(day).or_default() += calls;
    }
    by_day.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(route: &str) -> Endpoint {
        Endpoint { route: route.to_owned(), method: "GET".to_owned() }
    }

    #[test]
    fn a_month_is_parsed_strictly_and_round_trips() {
        for good in ["1970-01", "2026-04", "9999-12"] {
            assert_eq!(Month::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "2026",
            "2026-4",
            "2026-13",
            "2026-00",
            "26-04",
            "2026-04-01",
            "1969-12",
            "+026-04",
            "2026-+4",
            "10000-01",
            " 2026-04",
            "2026/04",
            "２０２６-04",
        ] {
            assert!(Month::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_month_spans_its_first_to_its_last_day() {
        for (month, first, last) in [
            ("2026-04", "2026-04-01", "2026-04-30"),
            ("2024-02", "2024-02-01", "2024-02-29"),
            ("1970-01", "1970-01-01", "1970-01-31"),
            ("9999-12", "9999-12-01", "9999-12-31"),
        ] {
            let (from, to) = Month::parse(month).unwrap().days();
            assert_eq!((from.to_string(), to.to_string()), (first.to_owned(), last.to_owned()));
            assert_eq!(Month::of(from.first_instant()).to_string(), month);
            assert_eq!(Month::of(to.last_instant()).to_string(), month);
        }
    }

    #[test]
    fn top_endpoints_descend_by_calls_and_then_ascend_by_route() {
        let counts =
            (0..12_u8).map(|n| (Day(1), endpoint(&format!("/{}", char::from(b'a' + n))), 1));
        let more =
            [(Day(2), endpoint("/z"), 2), (Day(3), endpoint("/z"), 3), (Day(3), endpoint("/y"), 4)];
        let usage = MonthUsage::of(counts.chain(more));
        assert_eq!(usage.used, 21);
        let names: Vec<_> = usage.top.iter().map(|(one, _)| one.route.as_str()).collect();
        assert_eq!(names, ["/z", "/y", "/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"]);
        assert_eq!(usage.top[0].1, 5);
        assert_eq!(MonthUsage::of([]), MonthUsage { used: 0, top: Vec::new() });
    }

    #[test]
    fn daily_calls_ascend_and_omit_days_without_calls() {
        let counts = [(3, "/a", 1), (1, "/b", 2), (3, "/c", 4)];
        let counts = counts.map(|(day, route, calls)| (Day(day), endpoint(route), calls));
        assert_eq!(by_day(counts), [(Day(1), 2), (Day(3), 5)]);
    }
}
