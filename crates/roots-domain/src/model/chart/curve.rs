//! The curve of a balance.

use crate::model::time::Day;

use super::columns::DayColumn;

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

/// The balance at the end of each day, reckoned back from the balance now: what was spent on a day
/// was still there before it, and what was granted was not.
#[must_use]
pub fn curve(balance: i64, spent_and_granted: &[DayColumn<2>]) -> Curve {
    let mut after = balance;
    let mut points: Vec<_> = spent_and_granted
        .iter()
        .rev()
        .map(|DayColumn { day, counts: [spent, granted] }| {
            let point = (*day, after);
            after = after.saturating_add(*spent).saturating_sub(*granted);
            point
        })
        .collect();
    points.reverse();
    Curve { points }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_reckoned_back_from_the_balance() {
        let day = |day, spent, granted| DayColumn { day: Day(day), counts: [spent, granted] };
        let found = curve(462, &[day(1, 10, 500), day(2, 0, 0), day(3, 38, 0)]);
        assert_eq!(found.points, [(Day(1), 500), (Day(2), 500), (Day(3), 462)]);
        assert_eq!((found.highest(), curve(9, &[]).points.len()), (500, 0));
    }
}
