//! The figures, and what they are to reach.

use crate::load::Told;
use crate::measure::OVERLOAD;
use crate::results::{Engine, Figure, Round, Series, Spread, Target};
use crate::stage::Cold;

/// How loads and floors are named.
pub(crate) mod name {
    pub(crate) const LOG: &str = "POST /activities, one account";
    pub(crate) const LOG_ALL: &str = "POST /activities, many accounts";
    pub(crate) const LOG_ALONE: &str = "POST /activities, one client";
    pub(crate) const CREATE_TODO: &str = "POST /todos";
    pub(crate) const STEP_TODO: &str = "PATCH /todos/{id}, next status";
    pub(crate) const GET_SESSION: &str = "GET /sessions/{id}";
    pub(crate) const LIST: &str = "GET /activities?limit=20";
    pub(crate) const STATS: &str = "GET /activities/stats of a year";
    pub(crate) const LOG_MOST: &str = "POST /activities, 128 connections";
    pub(crate) const OVERLOADED: &str = "POST /activities, more than it sustains";
    pub(crate) const SYNC: &str = "fdatasync";
    pub(crate) const STORE: &str = "store floor";
    pub(crate) const STORE_ALONE: &str = "store floor, one client";
    /// Behind the names of what is compared in two sizes.
    pub(crate) const SMALL: &str = ", small";
    pub(crate) const LARGE: &str = ", large";

    /// The web floor of answers of so many bytes.
    pub(crate) fn web(bytes: usize) -> String {
        format!("bare Axum, {bytes} bytes")
    }
}

/// Loads that are to reach a part of the web floor: on SQLite, and on PostgreSQL.
const OF_WEB: [(&str, [f64; 2]); 6] = [
    (name::LOG, [0.20, 0.12]),
    (name::LOG_ALL, [0.10, 0.08]),
    (name::CREATE_TODO, [0.12, 0.08]),
    (name::STEP_TODO, [0.12, 0.08]),
    (name::GET_SESSION, [0.20, 0.10]),
    (name::LIST, [0.07, 0.05]),
];
/// What logging is to reach of the store floor.
const OF_STORE: [f64; 2] = [0.20, 5.0];
/// Milliseconds within which 99 of 100 are logged, on SQLite.
const LOG_P99_MS: f64 = 15.0;
/// What one client may wait for a write: on SQLite so many syncs and a bit, on PostgreSQL so much more
/// than one of pgbench.
const ALONE_SYNCS: f64 = 1.5;
const ALONE_MS: f64 = 0.8;
const ALONE_OF_PGBENCH: f64 = 2.0;
const STATS_MS: [f64; 2] = [2.0, 4.0];
/// How much longer the large database may take than the small one.
const GROWTH: f64 = 1.25;
const IDLE_MIB: f64 = 40.0;
const HIGHEST_MIB: f64 = 150.0;
/// How much more processor time a request may take whose key is cold than the same with a warm one.
const COLD: f64 = 1.5;
const START_SECONDS: [f64; 2] = [0.3, 0.5];
/// What is to be left of the peak where more is asked, and the milliseconds within which 99 of 100
/// refusals come.
const OVERLOADED_GOOD: f64 = 0.9;
const REFUSED_P99_MS: f64 = 50.0;

/// What a database's figures are made of.
pub(crate) struct Measured<'a> {
    /// Everything that was entered.
    pub(crate) series: &'a [Series],
    /// How many rounds this database had. Floors had others before.
    pub(crate) rounds: usize,
    /// Loads that are compared with the web floor, and how many bytes they are answered with.
    pub(crate) floors: &'a [(&'static str, usize)],
    /// More than it sustains, round by round.
    pub(crate) overload: &'a [Told],
    /// Seconds from a start to the first answer.
    pub(crate) starts: &'a [f64],
    /// What a cold key costs, start by start.
    pub(crate) cold: &'a [Cold],
    /// Resident memory: idle, and at its highest.
    pub(crate) idle_mib: f64,
    pub(crate) highest_mib: f64,
}

impl Measured<'_> {
    /// As many as there were rounds, the last ones.
    fn rounds(&self, engine: Option<Engine>, name: &str) -> &[Round] {
        let rounds = self.turns(engine, name);
        &rounds[rounds.len().saturating_sub(self.rounds)..]
    }

    /// All there are.
    fn turns(&self, engine: Option<Engine>, name: &str) -> &[Round] {
        let found = self.series.iter().find(|one| one.engine == engine && one.name == name);
        found.map_or(&[], |series| &series.rounds)
    }

    /// The web floor of a load.
    fn web(&self, load: &str) -> &[Round] {
        let found = self.floors.iter().find(|(name, _)| *name == load);
        found.map_or(&[], |(_, bytes)| self.rounds(None, &name::web(*bytes)))
    }
}

/// The figures of a database.
pub(crate) fn of(engine: Engine, measured: &Measured) -> Vec<Figure> {
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
        let target = Target::AtLeast(on(targets));
        figures.push(figure(format!("{load}: of the web floor"), " ×", values, target));
    }
    let values = ratios(own(name::LOG), own(name::STORE), rate);
    let target = Target::AtLeast(on(OF_STORE));
    figures.insert(1, figure(format!("{}: {of_store}", name::LOG), " ×", values, target));
    if engine == Engine::Sqlite {
        let values = each(own(name::LOG), |round| round.p99_ms);
        let target = Target::AtMost(LOG_P99_MS);
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
    figures.push(figure(format!("{}: p50", name::LOG_ALONE), " ms", values, Target::AtMost(most)));
    let values = each(own(name::STATS), p50);
    let target = Target::AtMost(on(STATS_MS));
    figures.push(figure(format!("{}, 16 connections: p50", name::STATS), " ms", values, target));
    for series in measured.series.iter().filter(|series| series.engine == Some(engine)) {
        let Some(what) = series.name.strip_suffix(name::LARGE) else { continue };
        let small = measured.turns(Some(engine), &format!("{what}{}", name::SMALL));
        let values = ratios(&series.rounds, small, p50);
        let target = Target::AtMost(GROWTH);
        figures.push(figure(format!("{what}, large against small: p50"), " ×", values, target));
    }
    let memory = |what: &str, value, most| {
        figure(format!("resident memory, {what}"), " MiB", vec![value], Target::AtMost(most))
    };
    figures.push(memory("idle", measured.idle_mib, IDLE_MIB));
    figures.push(memory("at its highest", measured.highest_mib, HIGHEST_MIB));
    let target = Target::AtMost(on(START_SECONDS));
    let starts = measured.starts.to_vec();
    figures.push(figure("from a start to the first answer".to_owned(), " s", starts, target));

    let ratio = |cost: &Cold| cost.cold_micros / cost.warm_micros;
    let values = measured.cold.iter().map(ratio).collect();
    let name = "GET /sessions/1, a cold key against a warm one: processor time".to_owned();
    figures.push(figure(name, " ×", values, Target::AtMost(COLD)));

    let too_much = |what: &str| format!("asked {OVERLOAD} × of what it sustains: {what}");
    let values = ratios(own(name::OVERLOADED), own(name::LOG_MOST), rate);
    let target = Target::AtLeast(OVERLOADED_GOOD);
    figures.push(figure(too_much("good answers, of the peak"), " ×", values, target));
    // Where nothing was refused there is nothing to tell.
    let refused = measured.overload.iter().filter(|told| told.refused.count > 0);
    let refused: Vec<f64> = refused.map(|told| told.refused.p99_ms).collect();
    if !refused.is_empty() {
        let target = Target::AtMost(REFUSED_P99_MS);
        figures.push(figure(too_much("p99 of a refusal"), " ms", refused, target));
    }
    figures
}

fn each(rounds: &[Round], of: impl Fn(&Round) -> Option<f64>) -> Vec<f64> {
    rounds.iter().filter_map(of).collect()
}

/// Round by round, one by the other.
fn ratios(ours: &[Round], theirs: &[Round], of: impl Fn(&Round) -> Option<f64>) -> Vec<f64> {
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

    fn told(refused: usize, unsent: u64) -> Told {
        let good = Quantiles { count: 60, p50_ms: 1.0, p99_ms: 2.0 };
        let refused = Quantiles { count: refused, p50_ms: 0.0, p99_ms: number(refused) };
        Told {
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
            series(ours, name::LOG_MOST, [50.0, 50.0], 1.0),
            series(ours, name::OVERLOADED, [45.0, 25.0], 1.0),
            series(ours, name::STORE, [100.0, 400.0], 1.0),
            series(ours, name::LOG_ALONE, [1.0, 1.0], 3.8),
            series(ours, "a page, small", [1.0, 1.0], 2.0),
            series(ours, "a page, large", [1.0, 1.0], 3.0),
            series(Some(Engine::Postgres), name::LOG, [1.0, 1.0], 1.0),
        ];
        let measured = Measured {
            series: &all,
            rounds: 2,
            floors: &[(name::LOG, 300)],
            overload: &[told(40, 0), told(20, 20)],
            starts: &[0.1, 0.4, 0.2],
            cold: &[
                Cold { cold_micros: 130.0, warm_micros: 100.0 },
                Cold { cold_micros: 180.0, warm_micros: 100.0 },
                Cold { cold_micros: 140.0, warm_micros: 100.0 },
            ],
            idle_mib: 41.0,
            highest_mib: 100.0,
        };
        let figures = of(Engine::Sqlite, &measured);
        let named = |part: &str| figures.iter().find(|one| one.name.contains(part)).unwrap();
        assert_eq!(named("one account: of the web floor").values, [0.3, 0.2]);
        assert!(named("one account: of the web floor").is_reached());
        assert_eq!(named("of the store floor").values, [0.3, 0.1]);
        assert!(!named("of the store floor").is_reached());
        assert_eq!(named("one client").target, Target::AtMost(3.8));
        assert!(named("one client").is_reached());
        assert_eq!(named("a page, large").values, [1.5, 1.5]);
        assert!(!named("memory, idle").is_reached() && named("at its highest").is_reached());
        assert!(named("first answer").is_reached());
        assert_eq!(named("a cold key").values, [1.3, 1.8, 1.4]);
        assert!(named("a cold key").is_reached());
        assert_eq!(named("of the peak").values, [0.9, 0.5]);
        assert_eq!(named("refusal").values, [40.0, 20.0]);
        assert!(!named("POST /todos").is_reached(), "what was not measured is not reached");
    }
}
