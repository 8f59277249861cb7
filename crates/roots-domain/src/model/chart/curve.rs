//! The curve of a balance.

use std::collections::BTreeMap;

use crate::model::time::Day;

/// The balance at the end of each day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    /// The first day that was asked for. The points may begin later.
    pub first: Day,
    /// The days on which there was an account, ascending, with the balance at the end of each; that
    /// of the last is the balance now.
    pub points: Vec<(Day, i64)>,
}

impl Curve {
    /// The largest balance.
    #[must_use]
    pub fn highest(&self) -> i64 {
        self.points.iter().map(|(_, balance)| *balance).max().unwrap_or_default()
    }
}

/// The balance at the end of each day from the first to the last. On a day without a change it
/// stays; `before` is the balance before the first day. Before the day on which the account was
/// made there was no balance, which is not one of 0.
#[must_use]
pub fn curve(
    before: i64,
    changed: impl IntoIterator<Item = (Day, i64)>,
    (first, last): (Day, Day),
    made: Day,
) -> Curve {
    let changed: BTreeMap<_, _> = changed.into_iter().collect();
    let mut balance = before;
    let points = (first.0..=last.0).map(|day| {
        balance = changed.get(&Day(day)).copied().unwrap_or(balance);
        (Day(day), balance)
    });
    Curve { first, points: points.filter(|(day, _)| *day >= made).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_stays_on_days_without_a_change() {
        let found = curve(500, [(Day(2), 490), (Day(4), 462)], (Day(1), Day(5)), Day(-9));
        let expected = [(1, 500), (2, 490), (3, 490), (4, 462), (5, 462)];
        assert_eq!(found.points, expected.map(|(day, balance)| (Day(day), balance)));
        assert_eq!(found.highest(), 500);
        assert_eq!(curve(9, [], (Day(2), Day(1)), Day(1)).points.len(), 0);
    }

    #[test]
    fn there_is_no_balance_before_the_account_was_made() {
        let found = curve(0, [(Day(3), 100)], (Day(1), Day(4)), Day(3));
        assert_eq!((found.first, found.points), (Day(1), vec![(Day(3), 100), (Day(4), 100)]));
    }
}
