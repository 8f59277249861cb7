//! Collects the rounds of all loads, and the remarks about them.

use crate::latency::number;
use crate::load::{LoadReport, OVERLOAD};
use crate::results::{Engine, Round, Series, Spread};

/// A machine is saturated if more than this share of its processor time is used.
const SATURATED: f64 = 0.95;
/// On a saturated machine, a load generator with more than this share of the used time is the
/// bottleneck. A client costs about as much as a bare server, so one half is normal.
const LOAD_SHARE: f64 = 0.6;
/// Figures are unreliable if other work takes more than this share of the machine.
const DISTURBED: f64 = 0.05;

/// Linux counts processor time in steps of 10 ms, too coarse for shorter rounds.
const LONG_SECONDS: f64 = 0.4;

/// Collects the rounds of all series.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) series: Vec<Series>,
    /// For each series, the rounds in which the load generator was the bottleneck.
    bottlenecks: Vec<usize>,
    /// The share of the machine that other work took in each round of the web floor.
    other_work: Vec<f64>,
}

impl Recorder {
    /// Adds a round to the series of this name.
    pub(crate) fn record(&mut self, engine: Option<Engine>, name: &str, round: Round) {
        let at = self.index(engine, name);
        self.series[at].rounds.push(round);
    }

    /// Adds a round of a load.
    pub(crate) fn record_load(&mut self, engine: Option<Engine>, name: &str, report: &LoadReport) {
        let at = self.index(engine, name);
        let responses = number(report.good.count + report.refused.count);
        let is_long = report.seconds >= LONG_SECONDS && responses > 0.0;
        let each = |cpu: f64| is_long.then(|| cpu / responses * 1_000_000.0);
        self.series[at].rounds.push(Round {
            server_micros: each(report.server_cpu),
            load_micros: each(report.load_cpu),
            busy: is_long.then(|| report.busy()),
            ..Round::of(&report.good, report.seconds)
        });
        self.bottlenecks[at] += usize::from(is_load_the_bottleneck(report));
        if engine.is_none() {
            let spent = report.seconds * number(report.processors);
            self.other_work
                .push((report.machine_cpu - report.load_cpu - report.server_cpu) / spent);
        }
    }

    fn index(&mut self, engine: Option<Engine>, name: &str) -> usize {
        let is_it = |series: &Series| series.engine == engine && series.name == name;
        self.series.iter().position(is_it).unwrap_or_else(|| {
            self.series.push(Series { engine, name: name.to_owned(), rounds: Vec::new() });
            self.bottlenecks.push(0);
            self.series.len() - 1
        })
    }

    /// The remarks that a reader of the figures needs.
    pub(crate) fn remarks(&self, is_quick: bool) -> Vec<String> {
        let mut remarks = Vec::new();
        if is_quick {
            remarks.push("This was a quick run. Its figures mean nothing.".to_owned());
        }
        let other_work = Spread::of(&self.other_work).median;
        if other_work > DISTURBED {
            let percent = other_work * 100.0;
            remarks.push(format!(
                "Other work took {percent:.0} % of the processors. The figures are unreliable."
            ));
        }
        for (series, bottlenecks) in self.series.iter().zip(&self.bottlenecks) {
            if bottlenecks * 2 > series.rounds.len() {
                let engine = series.engine.map_or("", Engine::name);
                remarks.push(format!(
                    "The load generator was the bottleneck, not the server: {engine} {}.",
                    series.name
                ));
            }
        }
        remarks
    }
}

/// A remark on how much of the overload was really sent, if 1 % or more was not.
pub(crate) fn unsent_remark(engine: Engine, reports: &[LoadReport]) -> Option<String> {
    let share = |report: &LoadReport| {
        let unsent = number(usize::try_from(report.unsent).unwrap_or(usize::MAX));
        unsent / (unsent + number(report.good.count + report.refused.count)).max(1.0)
    };
    let percent = 100.0 * Spread::of(&reports.iter().map(share).collect::<Vec<_>>()).median;
    (percent >= 1.0).then(|| {
        format!(
            "{} was sent {:.1} × its peak, not {OVERLOAD} ×: for {percent:.0} % no connection was free.",
            engine.name(),
            OVERLOAD * (1.0 - percent / 100.0)
        )
    })
}

/// Whether the load generator, and not the server, limited the rate.
fn is_load_the_bottleneck(report: &LoadReport) -> bool {
    report.busy() > SATURATED && report.load_cpu > LOAD_SHARE * report.machine_cpu
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Quantiles;

    fn report(load_cpu: f64, server_cpu: f64, machine_cpu: f64) -> LoadReport {
        LoadReport {
            next: 0,
            seconds: 2.0,
            good: Quantiles { count: 1_000, p50_ms: 1.0, p99_ms: 2.0 },
            refused: Quantiles::default(),
            unsent: 0,
            load_cpu,
            server_cpu,
            machine_cpu,
            processors: 2,
        }
    }

    #[test]
    fn a_load_generator_with_most_of_a_saturated_machine_is_the_bottleneck() {
        assert!(is_load_the_bottleneck(&report(3.9, 0.0, 3.9)));
        assert!(is_load_the_bottleneck(&report(2.4, 1.5, 3.9)));
        assert!(!is_load_the_bottleneck(&report(2.0, 1.9, 3.9)));
        // The machine was not saturated: the server limited the rate.
        assert!(!is_load_the_bottleneck(&report(1.0, 0.5, 1.6)));
    }

    #[test]
    fn quick_runs_other_work_and_a_busy_load_generator_give_remarks() {
        let mut recorder = Recorder::default();
        recorder.record_load(None, "floor", &report(1.0, 2.0, 3.0));
        recorder.record_load(Some(Engine::Sqlite), "a", &report(1.0, 2.0, 4.0));
        assert_eq!(recorder.remarks(false), Vec::<String>::new());
        assert_eq!(recorder.series[1].rounds[0].server_micros, Some(2_000.0));
        for _ in 0..3 {
            recorder.record_load(None, "floor", &report(1.0, 2.0, 4.0));
            recorder.record_load(Some(Engine::Sqlite), "a", &report(3.0, 1.0, 4.0));
        }
        let remarks = recorder.remarks(true);
        assert_eq!(remarks.len(), 3, "{remarks:?}");
        assert!(remarks[1].starts_with("Other work took 25 %"), "{remarks:?}");
        assert!(remarks[2].ends_with("SQLite a."), "{remarks:?}");
    }

    #[test]
    fn an_overload_that_was_not_fully_sent_gives_a_remark() {
        let all = report(1.0, 1.0, 2.0);
        assert_eq!(unsent_remark(Engine::Sqlite, &[all]), None);
        let half = LoadReport { unsent: 1_000, ..all };
        let remark = unsent_remark(Engine::Sqlite, &[half]).unwrap();
        assert!(remark.starts_with("SQLite was sent 1.0 × its peak"), "{remark}");
    }
}
