//! The stored results.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::latency::{Quantiles, number};

/// The two databases that Roots runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(crate) const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// All results of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) run: RunInfo,
    pub(crate) machine: Machine,
    /// The rounds of loads and floors.
    pub(crate) series: Vec<Series>,
    /// The figures, with their targets.
    pub(crate) figures: Vec<Figure>,
    /// Remarks that a reader of the figures needs.
    pub(crate) remarks: Vec<String>,
    /// The quiet account beside its neighbours, which a separate run measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) neighbours: Option<NeighbourResults>,
    /// What agents use, which a separate run measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agents: Option<PartResults>,
    /// What people who look at the dashboard use, which a separate run measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dashboard: Option<PartResults>,
    /// The writes of this build against those of another one, which a separate run measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) against: Option<PartResults>,
    /// A cluster against one PostgreSQL, which a separate run measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cluster: Option<PartResults>,
}

/// The parts of the benchmark that are measured in a run of their own, and look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Agents,
    Dashboard,
    Against,
    Cluster,
}

impl Part {
    pub(crate) const ALL: [Self; 4] = [Self::Agents, Self::Dashboard, Self::Against, Self::Cluster];

    /// The end of the headings of its tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Agents => "for agents",
            Self::Dashboard => "for the dashboard",
            Self::Against => "against another build",
            Self::Cluster => "on a cluster",
        }
    }

    /// The place of its results.
    pub(crate) const fn of(self, results: &mut Results) -> &mut Option<PartResults> {
        match self {
            Self::Agents => &mut results.agents,
            Self::Dashboard => &mut results.dashboard,
            Self::Against => &mut results.against,
            Self::Cluster => &mut results.cluster,
        }
    }
}

/// The results of a part of the benchmark that a separate run measures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PartResults {
    /// The day, in UTC.
    pub(crate) day: String,
    /// The commit of the program, if known.
    pub(crate) commit: Option<String>,
    pub(crate) machine: Machine,
    /// How much was measured, as the tables tell it.
    pub(crate) extent: String,
    pub(crate) series: Vec<Series>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) remarks: Vec<String>,
}

/// The results of a quiet account beside its neighbours.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NeighbourResults {
    /// The day, in UTC.
    pub(crate) day: String,
    /// The commit of the program, if known.
    pub(crate) commit: Option<String>,
    pub(crate) machine: Machine,
    /// Whether it was a smoke test, whose figures mean nothing.
    pub(crate) is_quick: bool,
    /// The measured time for each neighbour.
    pub(crate) seconds: f64,
    pub(crate) rows: Vec<NeighbourResult>,
}

/// The result of a quiet account beside one neighbour.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NeighbourResult {
    pub(crate) engine: Engine,
    pub(crate) neighbour: String,
    /// Whether both use the same address.
    pub(crate) shares_address: bool,
    /// The measured requests of the quiet account.
    pub(crate) requests: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) worst_ms: f64,
    pub(crate) failed: usize,
    /// Requests that were sent again because the server closed their connection as they were sent.
    pub(crate) retried: usize,
    /// Descriptions of the first failures.
    pub(crate) failures: Vec<String>,
    /// The server's peak resident memory.
    pub(crate) memory_mib: f64,
    /// The responses to the neighbour by status. `cut` counts connections that ended before their
    /// response, `closed` those that ended without a request.
    pub(crate) responses: BTreeMap<String, u64>,
}

impl NeighbourResult {
    /// The target for the p99 of the quiet account's requests.
    pub(crate) const P99_MS: f64 = 150.0;
    /// The target for its slowest request.
    pub(crate) const WORST_MS: f64 = 1_000.0;
    /// The target for the server's peak resident memory.
    pub(crate) const MEMORY_MIB: f64 = 256.0;

    /// Whether the quiet account reached all targets.
    pub(crate) fn is_reached(&self) -> bool {
        self.requests > 0
            && self.p99_ms < Self::P99_MS
            && self.worst_ms < Self::WORST_MS
            && self.failed == 0
            && self.memory_mib < Self::MEMORY_MIB
    }

    /// The neighbour's name, with a note on its address.
    pub(crate) fn name(&self) -> String {
        let address = if self.shares_address { ", same address" } else { "" };
        format!("{}{address}", self.neighbour)
    }

    /// The responses to the neighbour, the most frequent status first.
    pub(crate) fn responses_by_frequency(&self) -> String {
        let mut responses: Vec<_> = self.responses.iter().collect();
        responses.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let counts: Vec<_> =
            responses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
        counts.join(", ")
    }
}

impl fmt::Display for NeighbourResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50_ms, p99_ms, worst_ms, failed, memory_mib, .. } = self;
        write!(
            f,
            "{}: p50 {p50_ms:.2}, p99 {p99_ms:.1}, worst {worst_ms:.0} ms, {failed} of {} failed, \
             {memory_mib:.0} MiB; responses to the neighbour: {}",
            self.name(),
            self.requests,
            self.responses_by_frequency()
        )?;
        for failure in &self.failures {
            write!(f, "\n    {failure}")?;
        }
        Ok(())
    }
}

/// How the results were measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunInfo {
    /// The day, in UTC.
    pub(crate) day: String,
    /// The commit of the program, if known.
    pub(crate) commit: Option<String>,
    /// Whether it was a smoke test, whose figures mean nothing.
    pub(crate) is_quick: bool,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) connections: usize,
    /// Activities of one actor in the large database.
    pub(crate) rows: u64,
    /// Accounts that the load over many accounts uses.
    pub(crate) accounts: usize,
}

/// The machine that was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) memory_mib: u64,
    pub(crate) system: String,
}

/// The rounds of one load or floor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Series {
    /// The database, or none for the floors of the machine.
    pub(crate) engine: Option<Engine>,
    pub(crate) name: String,
    pub(crate) rounds: Vec<Round>,
}

/// The measurements of one round. A field that was not measured is left out.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Responses, writes or syncs per second.
    pub(crate) rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    /// The processor time of one response in the server, and in the load generator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_micros: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load_micros: Option<f64>,
    /// The share of the machine's processor time that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) busy: Option<f64>,
}

impl Round {
    /// A round with a rate and quantiles, but without processor time.
    pub(crate) fn of(times: &Quantiles, seconds: f64) -> Self {
        let if_any = |ms| (times.count > 0).then_some(ms);
        Self {
            rate: number(times.count) / seconds,
            p50_ms: if_any(times.p50_ms),
            p99_ms: if_any(times.p99_ms),
            ..Self::default()
        }
    }

    /// The processor time of one response in the servers and in their databases: that of the whole
    /// machine without the load generator.
    pub(crate) fn micros_with_database(&self, processors: usize) -> Option<f64> {
        let machine = self.busy? * number(processors) / self.rate * 1_000_000.0;
        Some(machine - self.load_micros?)
    }
}

impl Series {
    /// The median of a value over all rounds, if every round has it.
    pub(crate) fn median(&self, of: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        let values: Option<Vec<f64>> = self.rounds.iter().map(of).collect();
        values.map(|values| Spread::of(&values).median)
    }
}

/// One figure, with its target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) engine: Engine,
    pub(crate) name: String,
    /// The unit that follows a value, with a leading space.
    pub(crate) unit: String,
    /// One value for each round or start.
    pub(crate) values: Vec<f64>,
    pub(crate) target: FigureTarget,
}

/// The target of a figure's median, if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FigureTarget {
    AtLeast(f64),
    AtMost(f64),
    /// The figure only tells what something costs.
    Unset,
}

/// The median, the least and the greatest of some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// All are 0 if there are no values.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        let last = sorted.len().saturating_sub(1);
        Self { median: at(last / 2), least: at(0), most: at(last) }
    }
}

impl Figure {
    pub(crate) fn spread(&self) -> Spread {
        Spread::of(&self.values)
    }

    pub(crate) fn is_reached(&self) -> bool {
        self.surplus() >= 1.0
    }

    /// How good the figure is against its target: 1 reaches the target, 2 is twice as good. A
    /// figure without values is 0, one without a target 1.
    pub(crate) fn surplus(&self) -> f64 {
        if self.values.is_empty() {
            return 0.0;
        }
        let median = self.spread().median;
        match self.target {
            FigureTarget::AtLeast(target) => median / target,
            FigureTarget::AtMost(target) => target / median,
            FigureTarget::Unset => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_failed_or_missing_request_misses_the_target_of_the_quiet_account() {
        let good = NeighbourResult {
            engine: Engine::Sqlite,
            neighbour: "a flood".to_owned(),
            shares_address: true,
            requests: 480,
            p50_ms: 1.0,
            p99_ms: 149.0,
            worst_ms: 999.0,
            failed: 0,
            retried: 0,
            failures: Vec::new(),
            memory_mib: 255.0,
            responses: [("200".to_owned(), 2), ("429".to_owned(), 30)].into(),
        };
        assert!(good.is_reached());
        assert_eq!(good.name(), "a flood, same address");
        assert_eq!(good.responses_by_frequency(), "30 × 429, 2 × 200");
        for bad in [
            NeighbourResult { requests: 0, ..good.clone() },
            NeighbourResult { p99_ms: 150.0, ..good.clone() },
            NeighbourResult { worst_ms: 1_000.0, ..good.clone() },
            NeighbourResult { failed: 1, ..good.clone() },
            NeighbourResult { memory_mib: 256.0, ..good.clone() },
        ] {
            assert!(!bad.is_reached(), "{bad}");
        }
    }

    #[test]
    fn the_median_of_its_rounds_decides_whether_a_figure_is_reached() {
        let figure = |values: &[f64], target| Figure {
            engine: Engine::Sqlite,
            name: "a".to_owned(),
            unit: String::new(),
            values: values.to_vec(),
            target,
        };
        let least = figure(&[0.1, 0.3, 0.2], FigureTarget::AtLeast(0.2));
        assert_eq!(least.spread(), Spread { median: 0.2, least: 0.1, most: 0.3 });
        assert!(least.is_reached());
        assert!(!figure(&[0.1, 0.3, 0.19], FigureTarget::AtLeast(0.2)).is_reached());
        assert!(figure(&[9.0, 1.0, 1.25], FigureTarget::AtMost(1.25)).is_reached());
        assert!(!figure(&[9.0, 1.0, 1.26], FigureTarget::AtMost(1.25)).is_reached());
        for target in [FigureTarget::AtLeast(0.2), FigureTarget::AtMost(0.2)] {
            assert!(!figure(&[], target).is_reached());
        }
    }
}
