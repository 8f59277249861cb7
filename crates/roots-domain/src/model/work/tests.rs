use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn range(since: &str, until: &str) -> TimeRange {
    TimeRange { since: Timestamp::parse(since).ok(), until: Timestamp::parse(until).ok() }
}

fn bounds(window: WorkWindow) -> (String, String) {
    (window.first.first_instant().to_string(), window.last.first_instant().to_string())
}

#[test]
fn a_window_has_whole_quarter_hours_and_at_most_366_days() {
    let now = at("2026-04-09T10:20:00Z");
    for (since, until, first, last) in [
        ("", "", "2026-03-10T10:15:00Z", "2026-04-09T10:15:00Z"),
        ("2026-04-09T00:01:00Z", "", "2026-04-09T00:00:00Z", "2026-04-09T10:15:00Z"),
        ("", "2026-02-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("2020-01-01", "2026-02-01", "2025-01-31T00:15:00Z", "2026-02-01T00:00:00Z"),
        // Empty.
        ("2026-02-02", "2026-02-01", "2026-02-02T00:00:00Z", "2026-02-01T00:00:00Z"),
    ] {
        let window = WorkWindow::of(range(since, until), now);
        assert_eq!(bounds(window), (first.to_owned(), last.to_owned()), "{since} to {until}");
    }
}

#[test]
fn a_window_of_credits_lies_within_366_days_before_now() {
    let now = at("2026-04-09T10:20:00Z");
    for (since, until, first, last) in [
        ("2020-01-01", "", "2025-04-08T10:30:00Z", "2026-04-09T10:15:00Z"),
        ("2020-01-01", "2025-04-10", "2025-04-08T10:30:00Z", "2025-04-10T00:00:00Z"),
        ("2026-04-09", "2027-01-01", "2026-04-09T00:00:00Z", "2026-04-09T10:15:00Z"),
        // Empty.
        ("2020-01-01", "2020-02-01", "2025-04-08T10:30:00Z", "2020-02-01T00:00:00Z"),
    ] {
        let window = WorkWindow::until_now(range(since, until), now);
        assert_eq!(bounds(window), (first.to_owned(), last.to_owned()), "{since} to {until}");
    }
}

#[test]
fn days_of_a_window_are_those_of_the_zone() {
    let zone = Zone::parse("Europe/Vienna").unwrap();
    let window =
        WorkWindow::of(range("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"), Timestamp::FIRST);
    let days: Vec<_> = window
        .days(&zone)
        .into_iter()
        .map(|span| {
            (
                span.day.to_string(),
                span.first.first_instant().to_string(),
                span.end.0 - span.first.0,
            )
        })
        .collect();
    let expected = [
        ("2026-03-28", "2026-03-28T12:00:00Z", 44),
        // The clock is put forward: 23 hours.
        ("2026-03-29", "2026-03-28T23:00:00Z", 92),
        ("2026-03-30", "2026-03-29T22:00:00Z", 57),
    ];
    let expected = expected.map(|(day, first, length)| (day.to_owned(), first.to_owned(), length));
    assert_eq!(days, expected);
}

proptest! {
    #[test]
    fn days_have_each_quarter_hour_of_a_window_once(
        first in 0_i64..2_000_000,
        length in 0_i64..2_000,
        zone in prop::sample::select(vec![
            "UTC", "Europe/Vienna", "Asia/Kathmandu", "Pacific/Apia", "America/St_Johns", "Africa/Monrovia",
        ]),
    ) {
        let window = WorkWindow { first: QuarterHour(first), last: QuarterHour(first + length) };
        let days = window.days(&Zone::parse(zone).unwrap());
        let mut next = first;
        for span in &days {
            prop_assert_eq!(span.first.0, next);
            prop_assert!(span.end > span.first);
            next = span.end.0;
        }
        prop_assert_eq!(next, first + length + 1);
        prop_assert!(days.windows(2).all(|two| two[0].day < two[1].day));
    }

    #[test]
    fn the_balance_is_reckoned_back_day_by_day(
        start in 0_i64..1_000,
        moves in proptest::collection::btree_map(0_i64..30, (0_i64..9, 0_i64..9), 0..12),
        later in (0_i64..9, 0_i64..9),
    ) {
        // Forwards, day by day.
        let mut balance = start;
        let mut expected = Vec::new();
        for (day, (spent, granted)) in &moves {
            balance += granted - spent;
            expected.push(CreditDay { day: Day(*day), spent: *spent, granted: *granted, balance });
        }
        let of = |(spent, granted)| CreditCounts { spent, granted };
        let sums = CreditSums {
            balance: balance + later.1 - later.0,
            later: of(later),
            of_account: moves.iter().map(|(day, counts)| (Day(*day), of(*counts))).collect(),
            spent: moves.iter().map(|(day, (spent, _))| (Day(*day), *spent)).collect(),
        };
        let window = WorkWindow { first: QuarterHour(0), last: QuarterHour(9) };
        let stats = CreditStats::reckon(window, &sums, (Vec::new(), 0));
        prop_assert_eq!(&stats.by_day, &expected);
        prop_assert_eq!((stats.balance_before, stats.balance_after), (start, balance));
    }
}
