//! What was measured, as it is kept.

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

/// Everything that a run measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) run: Run,
    pub(crate) machine: Machine,
    /// Loads and floors, round by round.
    pub(crate) series: Vec<Series>,
    /// What they come to, and what was to be reached.
    pub(crate) figures: Vec<Figure>,
    /// What is to be known when reading them.
    pub(crate) remarks: Vec<String>,
}

/// How it was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The day, in UTC.
    pub(crate) day: String,
    /// What was measured, where that is known.
    pub(crate) commit: Option<String>,
    /// A smoke run: too short for its figures to mean anything.
    pub(crate) is_quick: bool,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) connections: usize,
    /// Activities of one actor in the large database.
    pub(crate) rows: u64,
    /// Accounts that a load is spread over.
    pub(crate) accounts: usize,
}

/// Where it was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) memory_mib: u64,
    pub(crate) system: String,
}

/// One load or floor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Series {
    /// Whose; none is the machine's own.
    pub(crate) engine: Option<Engine>,
    pub(crate) name: String,
    pub(crate) rounds: Vec<Round>,
}

/// What a round of a load came to. What was not measured is not there.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Round {
    /// A second.
    pub(crate) rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    /// What one cost the processors in the server, and in the load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_micros: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load_micros: Option<f64>,
    /// How much of the machine was busy, of 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) busy: Option<f64>,
}

impl Round {
    /// One of which it is only known how long each took.
    pub(crate) fn of(times: &Quantiles, seconds: f64) -> Self {
        let told = |ms| (times.count > 0).then_some(ms);
        Self {
            rate: number(times.count) / seconds,
            p50_ms: told(times.p50_ms),
            p99_ms: told(times.p99_ms),
            ..Self::default()
        }
    }
}

impl Series {
    /// The middle of its rounds.
    pub(crate) fn median(&self, of: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        let values: Option<Vec<f64>> = self.rounds.iter().map(of).collect();
        values.map(|values| Spread::of(&values).median)
    }
}

/// One figure of the table, and what it is to reach.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) engine: Engine,
    pub(crate) name: String,
    /// What stands behind a value, a blank before it where one belongs there.
    pub(crate) unit: String,
    /// Round by round, or time by time.
    pub(crate) values: Vec<f64>,
    pub(crate) target: Target,
}

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// The middle of some values, and the least and the most of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of no values, nothing but 0.
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

    /// How far it goes: 1 is just what was to be reached, 2 twice as good. What was not measured goes
    /// nowhere.
    pub(crate) fn surplus(&self) -> f64 {
        if self.values.is_empty() {
            return 0.0;
        }
        let median = self.spread().median;
        match self.target {
            Target::AtLeast(target) => median / target,
            Target::AtMost(target) => target / median,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_judged_by_the_middle_of_its_rounds() {
        let figure = |values: &[f64], target| Figure {
            engine: Engine::Sqlite,
            name: "a".to_owned(),
            unit: String::new(),
            values: values.to_vec(),
            target,
        };
        let least = figure(&[0.1, 0.3, 0.2], Target::AtLeast(0.2));
        assert_eq!(least.spread(), Spread { median: 0.2, least: 0.1, most: 0.3 });
        assert!(least.is_reached());
        assert!(!figure(&[0.1, 0.3, 0.19], Target::AtLeast(0.2)).is_reached());
        assert!(figure(&[9.0, 1.0, 1.25], Target::AtMost(1.25)).is_reached());
        assert!(!figure(&[9.0, 1.0, 1.26], Target::AtMost(1.25)).is_reached());
        for target in [Target::AtLeast(0.2), Target::AtMost(0.2)] {
            assert!(!figure(&[], target).is_reached());
        }
    }
}
