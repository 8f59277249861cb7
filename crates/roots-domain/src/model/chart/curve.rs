//! The curve of a balance.

use std::collections::BTreeMap;

use crate::model::time::Day;

/// The balance at the end of each day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    /// The days, ascending, with the balance at the end of each; that of the last is the balance
    /// now.
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
/// stays; `before` is the balance before the first day.
#[must_use]
pub fn curve(
    before: i64,
    changed: impl IntoIterator<Item = (Day, i64)>,
    (first, last): (Day, Day),
) -> Curve {
    let changed: BTreeMap<_, _> = changed.into_iter().collect();
    let mut balance = before;
    let points = (first.0..=last.0).map(|day| {
        balance = changed.get(&Day(day)).copied().unwrap_or(balance);
        (Day(day), balance)
    });
    Curve { points: points.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_stays_on_days_without_a_change() {
        let found = curve(500, [(Day(2), 490), (Day(4), 462)], (Day(1), Day(5)));
        let expected = [(1, 500), (2, 490), (3, 490), (4, 462), (5, 462)];
        assert_eq!(found.points, expected.map(|(day, balance)| (Day(day), balance)));
        assert_eq!((found.highest(), curve(9, [], (Day(2), Day(1))).points.len()), (500, 0));
    }
}
