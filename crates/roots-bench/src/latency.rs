//! Response times and their quantiles.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// All response times. A measurement has so few that it needs no histogram.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies(Vec<Duration>);

/// The number of times, and their quantiles in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) count: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Latencies {
    pub(crate) fn record(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    /// The sum of all times, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.0.iter().sum::<Duration>().as_secs_f64()
    }

    /// The longest time, in milliseconds.
    pub(crate) fn worst_ms(&self) -> f64 {
        self.0.iter().max().map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    }

    pub(crate) fn quantiles(mut self) -> Quantiles {
        self.0.sort_unstable();
        let within = |hundredths: usize| {
            let rank = (self.0.len() * hundredths).div_ceil(100).max(1);
            self.0.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
        };
        Quantiles { count: self.0.len(), p50_ms: within(50), p99_ms: within(99) }
    }
}

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        Self(times.into_iter().collect())
    }
}

/// A count as a floating-point number.
pub(crate) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_measured_times() {
        let quantiles = |many: u64| -> Quantiles {
            let times: Latencies = (1..=many).rev().map(Duration::from_millis).collect();
            times.quantiles()
        };
        assert_eq!(quantiles(100), Quantiles { count: 100, p50_ms: 50.0, p99_ms: 99.0 });
        assert_eq!(quantiles(1), Quantiles { count: 1, p50_ms: 1.0, p99_ms: 1.0 });
        assert_eq!(quantiles(0), Quantiles::default());
    }
}
