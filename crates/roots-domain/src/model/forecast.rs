//! How long the credits of an account last.

use super::time::{DAY_MICROS, Timestamp};

/// The whole days of which the mean is taken.
pub const FORECAST_DAYS: i64 = 7;

/// What an account has and spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spending {
    /// The balance.
    pub balance: i64,
    /// The credits that were spent in the last [`FORECAST_DAYS`] whole days.
    pub whole_days: i64,
    /// The credits that were spent in the last 24 hours.
    pub last_day: i64,
}

impl Spending {
    /// When nothing is left: now if nothing is, and otherwise as forecast. `None` where nothing was
    /// spent.
    #[must_use]
    pub fn ends_at(self, now: Timestamp) -> Option<Timestamp> {
        if self.balance <= 0 {
            return Some(now);
        }
        Forecast::of(self, now).map(|forecast| forecast.ends_at)
    }
}

/// A forecast of the day on which nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// The credits that are spent in [`FORECAST_DAYS`] days, more than 0.
    per_days: i64,
    /// When nothing is left at that rate; the last valid instant if that is later.
    pub ends_at: Timestamp,
}

impl Forecast {
    /// The forecast at the rate of the whole days, or at that of the last 24 hours where that is
    /// more. `None` where nothing was spent: then there is no date.
    #[must_use]
    pub fn of(spending: Spending, now: Timestamp) -> Option<Self> {
        let of_last_day = spending.last_day.saturating_mul(FORECAST_DAYS);
        let per_days = spending.whole_days.max(of_last_day);
        if per_days <= 0 {
            return None;
        }
        let micros = i128::from(spending.balance.max(0)) * i128::from(FORECAST_DAYS * DAY_MICROS)
            / i128::from(per_days);
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        let ends_at = Timestamp::from_micros(now.micros().saturating_add(micros));
        Some(Self { per_days, ends_at })
    }

    /// The credits a day, rounded up: less than 1 a day is 1.
    #[must_use]
    pub const fn per_day(&self) -> i64 {
        self.per_days / FORECAST_DAYS + (self.per_days % FORECAST_DAYS != 0) as i64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 86_400 * 100;

    fn of(balance: i64, whole_days: i64, last_day: i64) -> Option<Forecast> {
        let now = Timestamp::FIRST.plus_seconds(NOW);
        Forecast::of(Spending { balance, whole_days, last_day }, now)
    }

    fn days(forecast: Forecast) -> i64 {
        (forecast.ends_at.micros() - NOW * 1_000_000) / DAY_MICROS
    }

    #[test]
    fn the_rate_is_that_of_a_week_or_of_the_last_day_where_that_is_more() {
        let week = of(462, 98, 3).unwrap();
        assert_eq!((week.per_day(), days(week)), (14, 33));
        let day = of(462, 98, 42).unwrap();
        assert_eq!((day.per_day(), days(day)), (42, 11));
        let slow = of(10, 1, 0).unwrap();
        assert_eq!((slow.per_day(), days(slow)), (1, 70));
    }

    #[test]
    fn without_spending_there_is_no_date_and_without_credits_it_is_now() {
        assert_eq!(of(462, 0, 0), None);
        assert_eq!(of(0, 7, 0).map(days), Some(0));
        assert_eq!(of(i64::MAX, 1, 0).unwrap().ends_at, Timestamp::LAST);
    }

    #[test]
    fn an_empty_balance_has_ended_however_long_nothing_was_spent() {
        let now = Timestamp::FIRST.plus_seconds(NOW);
        let ends = |balance, whole_days| Spending { balance, whole_days, last_day: 0 }.ends_at(now);
        assert_eq!(ends(0, 0), Some(now));
        assert_eq!(ends(1, 0), None);
        assert_eq!(ends(1, 1), Some(now.plus_seconds(7 * 86_400)));
    }

    proptest! {
        #[test]
        fn more_spending_never_lasts_longer(
            balance in 0_i64..i64::MAX,
            (week, last, more) in (0_i64..10_000, 0_i64..10_000, 0_i64..10_000),
        ) {
            let less = of(balance, week, last).map_or(Timestamp::LAST, |one| one.ends_at);
            let of_more = of(balance, week + more, last).map_or(Timestamp::LAST, |one| one.ends_at);
            prop_assert!(of_more <= less);
            prop_assert!(less >= Timestamp::FIRST.plus_seconds(NOW));
        }
    }
}
