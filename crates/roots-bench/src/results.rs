//! What was measured, as it is kept.

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
    /// What a quiet account feels of its neighbours, which is measured by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) neighbours: Option<Neighbours>,
}

/// What a quiet account felt of its neighbours.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Neighbours {
    /// The day, in UTC.
    pub(crate) day: String,
    /// What was measured, where that is known.
    pub(crate) commit: Option<String>,
    pub(crate) machine: Machine,
    /// A smoke run: too short for its figures to mean anything.
    pub(crate) is_quick: bool,
    /// How long beside each neighbour.
    pub(crate) seconds: f64,
    pub(crate) rows: Vec<Beside>,
}

/// A quiet account beside one neighbour.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Beside {
    pub(crate) engine: Engine,
    pub(crate) neighbour: String,
    /// Whether both come from one address.
    pub(crate) shares_address: bool,
    /// How many requests of the quiet account count.
    pub(crate) requests: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) worst_ms: f64,
    pub(crate) failed: usize,
    /// How many were asked once more, for the connection was closed just when they were sent.
    pub(crate) asked_again: usize,
    /// The first failures, in words.
    pub(crate) failures: Vec<String>,
    /// The server's resident memory at its highest.
    pub(crate) memory_mib: f64,
    /// What the neighbour was answered: how often each status, and `cut` where there was no whole answer.
    pub(crate) answers: BTreeMap<String, u64>,
}

impl Beside {
    /// Below this, in milliseconds, are to be 99 of 100 requests of the quiet account.
    pub(crate) const P99_MS: f64 = 150.0;
    /// Below this all of them, in milliseconds.
    pub(crate) const WORST_MS: f64 = 1_000.0;
    /// Below this the server's memory, in MiB.
    pub(crate) const MEMORY_MIB: f64 = 256.0;

    /// Whether the neighbour took nothing that matters.
    pub(crate) fn is_reached(&self) -> bool {
        self.requests > 0
            && self.p99_ms < Self::P99_MS
            && self.worst_ms < Self::WORST_MS
            && self.failed == 0
            && self.memory_mib < Self::MEMORY_MIB
    }

    /// What it stood beside, in words.
    pub(crate) fn name(&self) -> String {
        let whence = if self.shares_address { ", of the same address" } else { "" };
        format!("{}{whence}", self.neighbour)
    }

    /// What the neighbour was answered, the most frequent first.
    pub(crate) fn answered(&self) -> String {
        let mut answers: Vec<_> = self.answers.iter().collect();
        answers.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let told: Vec<_> =
            answers.iter().map(|(status, count)| format!("{count} × {status}")).collect();
        told.join(", ")
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50_ms, p99_ms, worst_ms, failed, memory_mib, .. } = self;
        write!(
            f,
            "{}: p50 {p50_ms:.2}, p99 {p99_ms:.1}, worst {worst_ms:.0} ms, {failed} of {} failed, \
             {memory_mib:.0} MiB; it was answered {}",
            self.name(),
            self.requests,
            self.answered()
        )?;
        for failure in &self.failures {
            write!(f, "\n    {failure}")?;
        }
        Ok(())
    }
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
    fn a_quiet_account_is_to_be_served_in_time_and_without_failure() {
        let good = Beside {
            engine: Engine::Sqlite,
            neighbour: "a flood".to_owned(),
            shares_address: true,
            requests: 480,
            p50_ms: 1.0,
            p99_ms: 149.0,
            worst_ms: 999.0,
            failed: 0,
            asked_again: 0,
            failures: Vec::new(),
            memory_mib: 255.0,
            answers: [("200".to_owned(), 2), ("429".to_owned(), 30)].into(),
        };
        assert!(good.is_reached());
        assert_eq!(good.name(), "a flood, of the same address");
        assert_eq!(good.answered(), "30 × 429, 2 × 200");
        for bad in [
            Beside { requests: 0, ..good.clone() },
            Beside { p99_ms: 150.0, ..good.clone() },
            Beside { worst_ms: 1_000.0, ..good.clone() },
            Beside { failed: 1, ..good.clone() },
            Beside { memory_mib: 256.0, ..good.clone() },
        ] {
            assert!(!bad.is_reached(), "{bad}");
        }
    }

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
