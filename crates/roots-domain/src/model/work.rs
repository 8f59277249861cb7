//! Statistics of todos and credits, from counts by quarter hours.

use std::collections::BTreeMap;

use super::id::ActorId;
use super::time::{DAY_MICROS, Day, QUARTER_HOUR_MICROS, QuarterHour, TimeRange, Timestamp};
use super::zone::Zone;

/// Most days of a window: a year.
pub const WORK_DAYS_MAX: i64 = 366;
/// Days of a window whose start is not given.
pub const WORK_DAYS_DEFAULT: i64 = 30;
/// Most actors that statistics list, those with the most counts.
pub const WORK_ACTORS_MAX: usize = 100;

/// Quarter hours of a day.
const QUARTERS_OF_DAY: i64 = DAY_MICROS / QUARTER_HOUR_MICROS;

/// A window of whole quarter hours, at most [`WORK_DAYS_MAX`] days. It is empty if it ends before
/// it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkWindow {
    /// The first quarter hour.
    pub first: QuarterHour,
    /// The last one.
    pub last: QuarterHour,
}

/// The quarter hours of a window that belong to one day of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaySpan {
    /// The day.
    pub day: Day,
    /// Its first quarter hour.
    pub first: QuarterHour,
    /// The first quarter hour after it.
    pub end: QuarterHour,
}

impl WorkWindow {
    /// The window of a range. The quarter hours in which it begins and ends count whole. An open
    /// end is `now`, an open start is [`WORK_DAYS_DEFAULT`] days before the end. Of a longer range
    /// it is the last [`WORK_DAYS_MAX`] days.
    #[must_use]
    pub fn of(range: TimeRange, now: Timestamp) -> Self {
        let until = range.until.unwrap_or(now);
        let before = |days: i64| until.plus_seconds(-days * DAY_MICROS / 1_000_000);
        let since = range.since.unwrap_or_else(|| before(WORK_DAYS_DEFAULT));
        let last = until.quarter_hour();
        let longest = QuarterHour(last.0 - WORK_DAYS_MAX * QUARTERS_OF_DAY + 1);
        Self { first: since.quarter_hour().max(longest), last }
    }

    /// The same, no later than `now` and within [`WORK_DAYS_MAX`] days before it, so that a balance
    /// can be reckoned back.
    #[must_use]
    pub fn until_now(range: TimeRange, now: Timestamp) -> Self {
        let until = range.until.map_or(now, |until| until.min(now));
        let window = Self::of(TimeRange { until: Some(until), ..range }, now);
        let longest = now.quarter_hour().0 - WORK_DAYS_MAX * QUARTERS_OF_DAY + 1;
        Self { first: QuarterHour(window.first.0.max(longest)), ..window }
    }

    /// The days of a zone, ascending. A quarter hour belongs to the day in which it begins; days
    /// without one are left out.
    #[must_use]
    pub fn days(self, zone: &Zone) -> Vec<DaySpan> {
        let begin = |day: Day| {
            let micros = zone.first_instant(day).micros();
            QuarterHour((micros + QUARTER_HOUR_MICROS - 1).div_euclid(QUARTER_HOUR_MICROS))
        };
        // No zone's date is more than a day from that of UTC.
        let mut day = Day(self.first.day().0 - 1);
        let (mut spans, mut first) = (Vec::new(), begin(day));
        while first <= self.last && day <= Day(self.last.day().0 + 1) {
            let next = Day(day.0 + 1);
            let begins = begin(next);
            let (from, end) = (first.max(self.first), begins.min(QuarterHour(self.last.0 + 1)));
            if from < end {
                spans.push(DaySpan { day, first: from, end });
            }
            (day, first) = (next, begins);
        }
        spans
    }
}

/// Todos, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TodoCounts {
    /// Todos that were made, those included that are deleted since.
    pub made: i64,
    /// How many times a todo was done.
    pub done: i64,
    /// How many times a todo was cancelled.
    pub cancelled: i64,
}

impl TodoCounts {
    /// The sum of counts.
    #[must_use]
    pub fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::default(), |sum, more| Self {
            made: sum.made.saturating_add(more.made),
            done: sum.done.saturating_add(more.done),
            cancelled: sum.cancelled.saturating_add(more.cancelled),
        })
    }
}

/// Todos made, done and cancelled in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoStats {
    /// The window.
    pub window: WorkWindow,
    /// All of them.
    pub total: TodoCounts,
    /// By actor, the highest sum first, then by id; at most [`WORK_ACTORS_MAX`].
    pub by_actor: Vec<(ActorId, TodoCounts)>,
    /// The number of actors that `by_actor` leaves out.
    pub by_actor_omitted: i64,
    /// The days that have any, ascending.
    pub by_day: Vec<(Day, TodoCounts)>,
}

/// Credits, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CreditCounts {
    /// Credits that were spent.
    pub spent: i64,
    /// Credits that were granted.
    pub granted: i64,
}

/// The credits of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditDay {
    /// The day.
    pub day: Day,
    /// Credits that the chosen actors spent.
    pub spent: i64,
    /// Credits that the account was granted.
    pub granted: i64,
    /// The balance of the account at the end of the day, or of the window.
    pub balance: i64,
}

/// Credits spent and granted in a window, and the balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditStats {
    /// The window.
    pub window: WorkWindow,
    /// Credits that the chosen actors spent.
    pub spent: i64,
    /// Credits that the account was granted.
    pub granted: i64,
    /// Spent by actor, the most first, then by id; at most [`WORK_ACTORS_MAX`].
    pub by_actor: Vec<(ActorId, i64)>,
    /// The number of actors that `by_actor` leaves out.
    pub by_actor_omitted: i64,
    /// The days on which the account's balance changed, ascending. On the others it stayed.
    pub by_day: Vec<CreditDay>,
    /// The balance of the account before the window.
    pub balance_before: i64,
    /// The balance of the account at the end of the window.
    pub balance_after: i64,
    /// The balance of the account now.
    pub balance: i64,
}

/// What the balance curve of a window is reckoned from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreditSums {
    /// The balance of the account now.
    pub balance: i64,
    /// What the account spent and was granted after the window.
    pub later: CreditCounts,
    /// What the account spent and was granted, by day.
    pub of_account: BTreeMap<Day, CreditCounts>,
    /// What the chosen actors spent, by day.
    pub spent: BTreeMap<Day, i64>,
}

impl CreditStats {
    /// The statistics of a window. The balance curve is reckoned back from the present balance.
    #[must_use]
    pub fn reckon(
        window: WorkWindow,
        sums: &CreditSums,
        (by_actor, by_actor_omitted): (Vec<(ActorId, i64)>, i64),
    ) -> Self {
        let before = |balance: i64, CreditCounts { spent, granted }| {
            balance.saturating_sub(granted).saturating_add(spent)
        };
        let balance_after = before(sums.balance, sums.later);
        let mut balance = balance_after;
        let mut by_day = Vec::with_capacity(sums.of_account.len());
        for (day, counts) in sums.of_account.iter().rev() {
            let spent = sums.spent.get(day).copied().unwrap_or(0);
            by_day.push(CreditDay { day: *day, spent, granted: counts.granted, balance });
            balance = before(balance, *counts);
        }
        by_day.reverse();
        Self {
            window,
            spent: by_day.iter().map(|day| day.spent).sum(),
            granted: by_day.iter().map(|day| day.granted).sum(),
            by_actor,
            by_actor_omitted,
            by_day,
            balance_before: balance,
            balance_after,
            balance: sums.balance,
        }
    }
}

#[cfg(test)]
mod tests;
