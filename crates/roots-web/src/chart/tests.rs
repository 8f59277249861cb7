//! Charts as they are written into a page.

use maud::Markup;
use roots_domain::model::chart::{
    Ages, DayColumn, LaneSession, Timeline, WeekHours, Year, curve, mix,
};
use roots_domain::model::forecast::{Forecast, Spending};
use roots_domain::model::id::{ActorId, SessionId};
use roots_domain::model::time::{Day, QuarterHour, Timestamp};
use roots_domain::model::zone::Zone;

use super::columns::Series;
use super::mix::Part;
use super::year::Numbers;
use super::{ages, balance, columns, lanes, mix as mixes, number, plural, shortened, week, year};
use crate::look::Look;

const NOW: &str = "2026-11-28T18:45:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn look() -> Look {
    Look::of("roots-zone=Europe/Vienna", at(NOW))
}

fn today() -> Day {
    Zone::parse("Europe/Vienna").unwrap().wall_clock(at(NOW)).day
}

/// One tag a line, so that a changed one stands out.
fn lines(drawn: Markup) -> String {
    drawn.into_string().replace("><", ">\n<")
}

fn name(actor: ActorId) -> String {
    if actor == ActorId(1) { "<b>builder".to_owned() } else { format!("a-very-long-name-{actor}") }
}

fn session(id: i64, actor: i64, from: &str, to: Option<&str>, active: &str) -> LaneSession {
    let on_the_day = |clock: &str| at(&format!("2026-11-28T{clock}:00Z"));
    LaneSession {
        id: SessionId(id),
        actor: ActorId(actor),
        started_at: on_the_day(from),
        ended_at: to.map(on_the_day),
        last_active_at: on_the_day(active),
    }
}

#[test]
fn lanes_have_bars_a_quiet_tail_and_a_table_with_links() {
    let sessions = [
        session(1, 1, "07:00", Some("10:00"), "10:00"),
        session(2, 1, "10:05", None, "18:44"),
        session(3, 2, "12:00", None, "17:58"),
        session(4, 3, "15:00", Some("15:01"), "15:01"),
        session(5, 3, "15:02", Some("15:03"), "15:03"),
    ];
    let range = (at("2026-11-27T23:00:00Z"), at("2026-11-28T22:59:59Z"));
    let timeline = Timeline::of(sessions, range, Some(1_800), at(NOW));
    insta::assert_snapshot!("lanes", lines(lanes::chart(&look(), &name, &timeline, "lanes")));
    let cut = Timeline { is_cut: true, ..timeline };
    let drawn = lanes::chart(&look(), &name, &cut, "lanes").into_string();
    assert!(drawn.contains("The newest 5 of these sessions are drawn."), "{drawn}");
}

#[test]
fn an_axis_has_at_most_four_marks() {
    for hours in [6, 24, 7 * 24, 30 * 24, 90 * 24] {
        let range = (at(NOW).plus_seconds(-hours * 3_600), at(NOW));
        let timeline = Timeline::of([], range, None, at(NOW));
        let drawn = lanes::chart(&look(), &name, &timeline, "lanes").into_string();
        let marks = drawn.matches("<text ").count();
        assert!((2..=4).contains(&marks), "{hours} h: {marks}");
    }
}

#[test]
fn a_year_is_a_path_a_level() {
    let days = (0..60).map(|ago| (Day(today().0 - ago * 5), 1 + ago % 7));
    let year = Year::of(days, today());
    let drawn = year::chart(&look(), &year, Numbers::Weeks, "days", Some("3"));
    assert_eq!(year::finding(&year), "234 on 60 days");
    insta::assert_snapshot!("year", lines(drawn));
}

#[test]
fn the_largest_year_has_at_most_7_kb_with_the_numbers_of_its_months() {
    let days = (0..371).map(|ago| (Day(today().0 - ago), 1_000 + ago * 7));
    let year = Year::of(days, today());
    let drawn = year::chart(&look(), &year, Numbers::Months, "days", None);
    assert!(drawn.0.len() <= 7 * 1024, "{}", drawn.0.len());
    assert!(drawn.0.contains("since=2026-11-01&amp;until=2026-11-28"), "{}", drawn.0);
}

#[test]
fn a_balance_has_a_curve_and_the_dotted_rest() {
    let first = Day(today().0 - 4);
    let days = curve(600, [(first, 590), (today(), 462)], (first, today()), first);
    let spending = Spending { balance: 462, whole_days: 98, last_day: 0 };
    let forecast = Forecast::of(spending, at(NOW));
    let drawn = balance::chart(&look(), &days, forecast, "balance", 330);
    insta::assert_snapshot!("balance", lines(drawn));
    // Nothing was spent: no date and no line.
    let drawn = balance::chart(&look(), &days, None, "balance", 330).into_string();
    assert!(!drawn.contains("proj") && drawn.contains("nothing was spent lately"));
    // A forecast of years is cut, and says so.
    let forecast = Forecast::of(Spending { balance: 462, whole_days: 1, last_day: 0 }, at(NOW));
    let drawn = balance::chart(&look(), &days, forecast, "balance", 330).into_string();
    assert!(drawn.contains("cut at 27 Jan 2027"), "{drawn}");
}

#[test]
fn today_is_marked_where_it_touches_no_other_mark() {
    for (days, spent_in_seven_days, is_marked) in [(5, 98, false), (30, 98, true), (90, 900, false)]
    {
        let first = Day(today().0 - days);
        let curve = curve(600, [(first, 590), (today(), 462)], (first, today()), first);
        let spending = Spending { balance: 462, whole_days: spent_in_seven_days, last_day: 0 };
        let forecast = Forecast::of(spending, at(NOW));
        let drawn = balance::chart(&look(), &curve, forecast, "balance", 330).into_string();
        assert_eq!(drawn.contains(">today</text>"), is_marked, "{days}: {drawn}");
    }
}

#[test]
fn the_days_before_an_account_was_made_stay_blank() {
    let (first, made) = (Day(today().0 - 9), Day(today().0 - 1));
    let days = curve(0, [(made, 500), (today(), 462)], (first, today()), made);
    let drawn = balance::chart(&look(), &days, None, "balance", 330).into_string();
    // The curve begins at the 8th of 9 days, not at 0.
    assert!(drawn.contains(r#"<path class="curve" d="M293 8L330 15">"#), "{drawn}");
    assert!(drawn.contains("Balance since 27 Nov: 500 to 462"), "{drawn}");
    assert!(drawn.contains(">19 Nov</text>") && !drawn.contains("<td>0</td>"), "{drawn}");
}

#[test]
fn columns_begin_at_0_and_say_what_they_count() {
    const TODOS: Series<2> = Series { what: "Todos", names: [("made", "made"), ("bar", "done")] };
    let days = [(3, 1), (0, 0), (5, 6)];
    let days: Vec<_> = (0..)
        .zip(days)
        .map(|(index, (made, done))| DayColumn {
            day: Day(today().0 - 2 + index),
            counts: [made, done],
        })
        .collect();
    insta::assert_snapshot!("columns", lines(columns::chart(&look(), &days, &TODOS, "flow")));
}

#[test]
fn every_mark_of_columns_is_inside_and_none_covers_another() {
    const ONE: Series<1> = Series { what: "Entries", names: [("bar", "entries")] };
    for (length, last) in [(7, "2026-11-29"), (30, "2026-11-29"), (7, "2027-01-02"), (1, NOW)] {
        let last = Zone::parse("Europe/Vienna").unwrap().wall_clock(at(last)).day;
        let days = (0..length).map(|index| Day(last.0 - length + 1 + index));
        let days: Vec<_> = days.map(|day| DayColumn { day, counts: [1] }).collect();
        let drawn = columns::chart(&look(), &days, &ONE, "entries").into_string();
        let number = |text: &str, after: &str| -> i64 {
            let (_, rest) = text.split_once(after).unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        };
        let (_, drawing) = drawn.split_once("<svg role=\"img\"").unwrap();
        let width = number(drawing, "width=\"");
        let mut end = 0;
        for text in drawing.split("<text ").skip(1) {
            let label = text.split(['>', '<']).nth(1).unwrap();
            let half = i64::try_from(label.len()).unwrap() * 6 / 2;
            let middle = number(text, "x=\"");
            assert!(middle - half >= end && middle + half <= width, "{label} of {length}: {drawn}");
            end = middle + half;
        }
        assert!(end > 0);
    }
}

#[test]
fn a_mix_names_eight_types_and_the_rest() {
    let types = (1..=10).map(|count| (format!("type-{count}"), count));
    let found = mix(types).map_names(|name| Part { link: format!("/activity?type={name}"), name });
    insta::assert_snapshot!("mix", lines(mixes::chart(&found, ("entry", "entries"), "types")));
}

#[test]
fn the_hours_of_a_week_have_levels() {
    let quarter = at("2026-11-28T18:00:00Z").quarter_hour();
    let counts = (0..40).map(|ago| (QuarterHour(quarter.0 - ago * 5), 1 + ago % 4));
    let week = WeekHours::of(counts, &Zone::parse("Europe/Vienna").unwrap());
    insta::assert_snapshot!("week", lines(week::chart(&week, 4, "week")));
}

#[test]
fn ages_have_a_bar_each() {
    let begun = [60, 5_000, 90_000, 90_001, 900_000].map(|ago| at(NOW).plus_seconds(-ago));
    let ages = Ages::of(begun, at(NOW));
    insta::assert_snapshot!("ages", lines(ages::chart(&ages, "age")));
}

#[test]
fn numbers_are_written_in_groups_of_three() {
    let written = [0, 7, 999, 1_000, 4_812, 1_234_567, -1_000].map(number);
    assert_eq!(written, ["0", "7", "999", "1,000", "4,812", "1,234,567", "−1,000"]);
    assert_eq!(
        (plural(1, "day", "days"), plural(2, "day", "days")),
        ("1 day".into(), "2 days".into())
    );
    assert_eq!(shortened("abcdef", 6), "abcdef");
    assert_eq!(shortened("abcdefg", 6), "abcde…");
}
