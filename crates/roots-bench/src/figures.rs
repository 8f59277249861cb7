//! Computes the figures and sets their targets.

use crate::fixture::ColdKeyCost;
use crate::load::{LoadReport, OVERLOAD};
use crate::results::{Engine, Figure, FigureTarget, Round, Series, Spread};

/// The names of loads and floors.
pub(crate) mod name {
    pub(crate) const LOG: &str = "POST /activities, one account";
    pub(crate) const LOG_ALL: &str = "POST /activities, many accounts";
    pub(crate) const LOG_ALONE: &str = "POST /activities, one client";
    pub(crate) const CREATE_TODO: &str = "POST /todos";
    pub(crate) const STEP_TODO: &str = "PATCH /todos/{id}, next status";
    pub(crate) const GET_SESSION: &str = "GET /sessions/{id}";
    pub(crate) const LIST: &str = "GET /activities?limit=20";
    pub(crate) const STATS: &str = "GET /activities/stats of a year";
    pub(crate) const LOG_PEAK: &str = "POST /activities, 128 connections";
    pub(crate) const OVERLOADED: &str = "POST /activities, overload";
    pub(crate) const SYNC: &str = "fdatasync";
    pub(crate) const STORE: &str = "store floor";
    pub(crate) const STORE_ALONE: &str = "store floor, one client";
    /// Suffixes of the series that are compared between the two database sizes.
    pub(crate) const SMALL: &str = ", small";
    pub(crate) const LARGE: &str = ", large";

    /// The web floor with responses of this size.
    pub(crate) fn web(bytes: usize) -> String {
        format!("bare Axum, {bytes} bytes")
    }
}

/// The share of the web floor that a load must reach: on SQLite, and on PostgreSQL.
const OF_WEB: [(&str, [f64; 2]); 6] = [
    (name::LOG, [0.20, 0.12]),
    (name::LOG_ALL, [0.10, 0.08]),
    (name::CREATE_TODO, [0.12, 0.08]),
    (name::STEP_TODO, [0.12, 0.08]),
    (name::GET_SESSION, [0.20, 0.10]),
    (name::LIST, [0.07, 0.05]),
];
/// The share of the store floor that logging activities must reach.
const OF_STORE: [f64; 2] = [0.20, 5.0];
/// The limit for the p99 of logging an activity on SQLite.
const LOG_P99_MS: f64 = 15.0;
/// The limit for one client's write: on SQLite 1.5 syncs and 0.8 ms, on PostgreSQL twice the time
/// of one pgbench client.
const ALONE_SYNCS: f64 = 1.5;
const ALONE_MS: f64 = 0.8;
const ALONE_OF_PGBENCH: f64 = 2.0;
const STATS_MS: [f64; 2] = [2.0, 4.0];
/// The limit for the time in the large database against that in the small one.
pub(crate) const GROWTH: f64 = 1.25;
const IDLE_MIB: f64 = 40.0;
const PEAK_MIB: f64 = 150.0;
/// The limit for the processor time of a request with a cold key against one with a warm key.
const COLD: f64 = 1.5;
const START_SECONDS: [f64; 2] = [0.3, 0.5];
/// The share of the peak rate that must still succeed under overload, and the limit for the p99 of
/// a refusal.
const OVERLOADED_GOOD: f64 = 0.9;
const REFUSED_P99_MS: f64 = 50.0;

/// The measurements that one database's figures are computed from.
pub(crate) struct EngineMeasurements<'a> {
    /// All series.
    pub(crate) series: &'a [Series],
    /// How many rounds this database had. The floors of the machine may have earlier rounds, of
    /// another database.
    pub(crate) rounds: usize,
    /// Loads that are compared with the web floor, with the sizes of their responses.
    pub(crate) floors: &'a [(&'static str, usize)],
    /// The overload, by round.
    pub(crate) overload: &'a [LoadReport],
    /// Seconds from each start to the first response.
    pub(crate) starts: &'a [f64],
    /// The cost of a cold key, by start.
    pub(crate) cold: &'a [ColdKeyCost],
    /// Resident memory when idle, and its peak.
    pub(crate) idle_mib: f64,
    pub(crate) peak_mib: f64,
}

impl EngineMeasurements<'_> {
    /// The rounds of this database: the last ones.
    fn rounds(&self, engine: Option<Engine>, name: &str) -> &[Round] {
        let rounds = self.all_rounds(engine, name);
        &rounds[rounds.len().saturating_sub(self.rounds)..]
    }

    /// All rounds.
    fn all_rounds(&self, engine: Option<Engine>, name: &str) -> &[Round] {
        rounds_of(self.series, engine, name)
    }

    /// The web floor of a load.
    fn web(&self, load: &str) -> &[Round] {
        let found = self.floors.iter().find(|(name, _)| *name == load);
        found.map_or(&[], |(_, bytes)| self.rounds(None, &name::web(*bytes)))
    }
}

/// Computes the figures of one database.
pub(crate) fn compute(engine: Engine, measured: &EngineMeasurements) -> Vec<Figure> {
    let own = |name: &str| measured.rounds(Some(engine), name);
    let figure = |name: String, unit: &str, values: Vec<f64>, target| Figure {
        engine,
        name,
        unit: unit.to_owned(),
        values,
        target,
    };
    let on = |targets: [f64; 2]| match engine {
        Engine::Sqlite => targets[0],
        Engine::Postgres => targets[1],
    };
    let of_store = match engine {
        Engine::Sqlite => "of the store floor",
        Engine::Postgres => "of pgbench",
    };
    let rate = |round: &Round| Some(round.rate);
    let p50 = |round: &Round| round.p50_ms;

    let mut figures = Vec::new();
    for (load, targets) in OF_WEB {
        let values = ratios(own(load), measured.web(load), rate);
        let target = FigureTarget::AtLeast(on(targets));
        figures.push(figure(format!("{load}: of the web floor"), " ×", values, target));
    }
    let values = ratios(own(name::LOG), own(name::STORE), rate);
    let target = FigureTarget::AtLeast(on(OF_STORE));
    figures.insert(1, figure(format!("{}: {of_store}", name::LOG), " ×", values, target));
    if engine == Engine::Sqlite {
        let values = each(own(name::LOG), |round| round.p99_ms);
        let target = FigureTarget::AtMost(LOG_P99_MS);
        figures.insert(2, figure(format!("{}: p99", name::LOG), " ms", values, target));
    }
    let most = match engine {
        Engine::Sqlite => {
            let syncs = each(measured.rounds(None, name::SYNC), p50);
            ALONE_SYNCS * Spread::of(&syncs).median + ALONE_MS
        }
        Engine::Postgres => {
            ALONE_OF_PGBENCH * Spread::of(&each(own(name::STORE_ALONE), p50)).median
        }
    };
    let values = each(own(name::LOG_ALONE), p50);
    figures.push(figure(
        format!("{}: p50", name::LOG_ALONE),
        " ms",
        values,
        FigureTarget::AtMost(most),
    ));
    let values = each(own(name::STATS), p50);
    let target = FigureTarget::AtMost(on(STATS_MS));
    figures.push(figure(format!("{}, 16 connections: p50", name::STATS), " ms", values, target));
    for series in measured.series.iter().filter(|series| series.engine == Some(engine)) {
        let Some(what) = series.name.strip_suffix(name::LARGE) else { continue };
        let small = measured.all_rounds(Some(engine), &format!("{what}{}", name::SMALL));
        let values = ratios(&series.rounds, small, p50);
        let target = FigureTarget::AtMost(GROWTH);
        figures.push(figure(format!("{what}, large against small: p50"), " ×", values, target));
    }
    let memory = |what: &str, value, most| {
        figure(format!("resident memory, {what}"), " MiB", vec![value], FigureTarget::AtMost(most))
    };
    figures.push(memory("idle", measured.idle_mib, IDLE_MIB));
    figures.push(memory("peak", measured.peak_mib, PEAK_MIB));
    let target = FigureTarget::AtMost(on(START_SECONDS));
    let starts = measured.starts.to_vec();
    figures.push(figure("from start to first response".to_owned(), " s", starts, target));

    let ratio = |cost: &ColdKeyCost| cost.cold_micros / cost.warm_micros;
    let values = measured.cold.iter().map(ratio).collect();
    let name = "GET /sessions/1, cold key against warm: processor time".to_owned();
    figures.push(figure(name, " ×", values, FigureTarget::AtMost(COLD)));

    let too_much = |what: &str| format!("overload, {OVERLOAD} × the peak: {what}");
    let values = ratios(own(name::OVERLOADED), own(name::LOG_PEAK), rate);
    let target = FigureTarget::AtLeast(OVERLOADED_GOOD);
    figures.push(figure(too_much("successful, of the peak"), " ×", values, target));
    // A round without a refusal has no time of a refusal.
    let refused = measured.overload.iter().filter(|report| report.refused.count > 0);
    let refused: Vec<f64> = refused.map(|report| report.refused.p99_ms).collect();
    if !refused.is_empty() {
        let target = FigureTarget::AtMost(REFUSED_P99_MS);
        figures.push(figure(too_much("p99 of a refusal"), " ms", refused, target));
    }
    figures
}

/// The rounds of a series, or none if there is no series of this name.
pub(crate) fn rounds_of<'a>(
    series: &'a [Series],
    engine: Option<Engine>,
    name: &str,
) -> &'a [Round] {
    let found = series.iter().find(|one| one.engine == engine && one.name == name);
    found.map_or(&[], |series| &series.rounds)
}

/// The values of all rounds that have one.
pub(crate) fn each(rounds: &[Round], of: impl Fn(&Round) -> Option<f64>) -> Vec<f64> {
    rounds.iter().filter_map(of).collect()
}

/// The ratio of our value to theirs in each round.
pub(crate) fn ratios(
    ours: &[Round],
    theirs: &[Round],
    of: impl Fn(&Round) -> Option<f64>,
) -> Vec<f64> {
    let both = ours.iter().zip(theirs);
    both.filter_map(|(ours, theirs)| Some(of(ours)? / of(theirs)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::{Quantiles, number};

    fn series(engine: Option<Engine>, name: &str, rates: [f64; 2], p50_ms: f64) -> Series {
        let round = |rate| Round { rate, p50_ms: Some(p50_ms), ..Round::default() };
        Series { engine, name: name.to_owned(), rounds: rates.map(round).into() }
    }

    fn report(refused: usize, unsent: u64) -> LoadReport {
        let good = Quantiles { count: 60, p50_ms: 1.0, p99_ms: 2.0 };
        let refused = Quantiles { count: refused, p50_ms: 0.0, p99_ms: number(refused) };
        LoadReport {
            next: 0,
            seconds: 1.0,
            good,
            refused,
            unsent,
            load_cpu: 0.0,
            server_cpu: 0.0,
            machine_cpu: 0.0,
            processors: 1,
        }
    }

    #[test]
    fn a_figure_is_compared_with_the_floor_of_its_round() {
        let ours = Some(Engine::Sqlite);
        let mut floors_of_two_databases = series(None, &name::web(300), [100.0, 200.0], 1.0);
        floors_of_two_databases.rounds.insert(0, Round { rate: 7.0, ..Round::default() });
        let all = [
            floors_of_two_databases,
            series(None, name::SYNC, [1.0, 1.0], 2.0),
            series(ours, name::LOG, [30.0, 40.0], 1.0),
            series(ours, name::LOG_PEAK, [50.0, 50.0], 1.0),
            series(ours, name::OVERLOADED, [45.0, 25.0], 1.0),
            series(ours, name::STORE, [100.0, 400.0], 1.0),
            series(ours, name::LOG_ALONE, [1.0, 1.0], 3.8),
            series(ours, "a page, small", [1.0, 1.0], 2.0),
            series(ours, "a page, large", [1.0, 1.0], 3.0),
            series(Some(Engine::Postgres), name::LOG, [1.0, 1.0], 1.0),
        ];
        let measured = EngineMeasurements {
            series: &all,
            rounds: 2,
            floors: &[(name::LOG, 300)],
            overload: &[report(40, 0), report(20, 20)],
            starts: &[0.1, 0.4, 0.2],
            cold: &[
                ColdKeyCost { cold_micros: 130.0, warm_micros: 100.0 },
                ColdKeyCost { cold_micros: 180.0, warm_micros: 100.0 },
                ColdKeyCost { cold_micros: 140.0, warm_micros: 100.0 },
            ],
            idle_mib: 41.0,
            peak_mib: 100.0,
        };
        let figures = compute(Engine::Sqlite, &measured);
        let named = |part: &str| figures.iter().find(|one| one.name.contains(part)).unwrap();
        assert_eq!(named("one account: of the web floor").values, [0.3, 0.2]);
        assert!(named("one account: of the web floor").is_reached());
        assert_eq!(named("of the store floor").values, [0.3, 0.1]);
        assert!(!named("of the store floor").is_reached());
        assert_eq!(named("one client").target, FigureTarget::AtMost(3.8));
        assert!(named("one client").is_reached());
        assert_eq!(named("a page, large").values, [1.5, 1.5]);
        assert!(!named("memory, idle").is_reached() && named("memory, peak").is_reached());
        assert!(named("first response").is_reached());
        assert_eq!(named("cold key").values, [1.3, 1.8, 1.4]);
        assert!(named("cold key").is_reached());
        assert_eq!(named("of the peak").values, [0.9, 0.5]);
        assert_eq!(named("refusal").values, [40.0, 20.0]);
        assert!(!named("POST /todos").is_reached(), "a figure without values is not reached");
    }
}
