//! Computes the figures of the dashboard, and sets their targets.

use crate::figures::name::{LARGE, SMALL};
use crate::figures::{GROWTH, ratios, rounds_of};
use crate::latency::Latencies;
use crate::results::{Engine, Figure, FigureTarget, Series};

/// The names of loads.
pub(crate) mod name {
    pub(crate) const WRITES: &str = "POST /activities, 150 a second";
    pub(crate) const WRITES_AT_MOST: &str = "POST /activities, 3 accounts";
    /// Ends the name of a load beside streams.
    pub(crate) const BESIDE: &str = " beside 300 streams";
    pub(crate) const TOLD: &str = "pieces that 300 streams told";
    pub(crate) const SHOWN: &str = "a write until a page shows it";
}

/// The limit for the p99 of writes beside streams, against that without.
const BESIDE_STREAMS: f64 = 1.5;
/// The limit for the time until a page shows a write.
const SHOWN_SECONDS: f64 = 1.5;

/// Computes the figures of one database. `shown` has the times until a page showed a write.
pub(crate) fn compute(engine: Engine, series: &[Series], shown: &Latencies) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut figure = |name: String, unit: &str, values, most| {
        let target = FigureTarget::AtMost(most);
        figures.push(Figure { engine, name, unit: unit.to_owned(), values, target });
    };
    for large in series.iter().filter(|series| series.engine == Some(engine)) {
        let Some(what) = large.name.strip_suffix(LARGE) else { continue };
        let small = rounds_of(series, Some(engine), &format!("{what}{SMALL}"));
        let values = ratios(&large.rounds, small, |round| round.p50_ms);
        figure(format!("{what}, large against small: p50"), " ×", values, GROWTH);
    }
    let beside = format!("{}{}", name::WRITES, name::BESIDE);
    let with = rounds_of(series, Some(engine), &beside);
    let without = rounds_of(series, Some(engine), name::WRITES);
    let values = ratios(with, without, |round| round.p99_ms);
    figure(format!("{beside}: p99, against none"), " ×", values, BESIDE_STREAMS);
    let processes = match engine {
        Engine::Sqlite => "one process",
        Engine::Postgres => "two processes",
    };
    let worst = format!("{}, {processes}: worst of {}", name::SHOWN, shown.count());
    figure(worst, " s", vec![shown.worst_ms() / 1_000.0], SHOWN_SECONDS);
    figures
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::results::Round;

    #[test]
    fn figures_of_the_dashboard_compare_rounds_and_take_the_worst_time_until_shown() {
        let series = |name: &str, values: [f64; 2]| {
            let round = |ms| Round { p50_ms: Some(ms), p99_ms: Some(ms * 2.0), ..Round::default() };
            let rounds = values.map(round).into();
            Series { engine: Some(Engine::Postgres), name: name.to_owned(), rounds }
        };
        let all = [
            series("GET /, small", [2.0, 4.0]),
            series("GET /, large", [3.0, 4.0]),
            series(name::WRITES, [1.0, 1.0]),
            series(&format!("{}{}", name::WRITES, name::BESIDE), [1.5, 1.75]),
        ];
        let shown: Latencies = [300, 1_600, 700].map(Duration::from_millis).into_iter().collect();
        let figures = compute(Engine::Postgres, &all, &shown);
        let values: Vec<_> = figures.iter().map(|one| (&*one.name, &*one.values)).collect();
        let expected: [(&str, &[f64]); 3] = [
            ("GET /, large against small: p50", &[1.5, 1.0]),
            ("POST /activities, 150 a second beside 300 streams: p99, against none", &[1.5, 1.75]),
            ("a write until a page shows it, two processes: worst of 3", &[1.6]),
        ];
        assert_eq!(values, expected);
        assert!(!figures[2].is_reached());
    }
}
