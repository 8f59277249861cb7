//! Checks whether a client that sends a long request or reads a long answer keeps up, by bytes and
//! waiting time.

use std::time::Duration;

/// The time over which the pace of the client of a long request is measured. Only time spent
/// waiting for the client counts.
pub const WINDOW: Duration = Duration::from_mins(1);
/// The minimum pace of a client, on average over a window.
const MIN_BYTES_PER_SECOND: u64 = 1024;
/// Shorter waits do not count: buffers had room, and the client did nothing for it.
const NO_WAIT: Duration = Duration::from_millis(10);

/// The pace of a client, in consecutive windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    window: Duration,
    waited: Duration,
    bytes: u64,
}

/// How fast a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Pace {
    /// It is fast enough.
    KeepsUp,
    /// It sent or read less than 1 KiB/s over a window.
    TooSlow,
}

impl Progress {
    /// Measures over windows of this length.
    #[must_use]
    pub const fn over(window: Duration) -> Self {
        Self { window, waited: Duration::ZERO, bytes: 0 }
    }

    /// Records bytes that were moved, and the time spent waiting for the client.
    ///
    /// A window begins with the first wait. What buffers take before it is not the client's pace,
    /// and would otherwise make up for a slow client later.
    pub fn note(&mut self, bytes: u64, waited: Duration) -> Pace {
        if self.waited.is_zero() && waited < NO_WAIT {
            return Pace::KeepsUp;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.waited += waited;
        if self.waited < self.window {
            return Pace::KeepsUp;
        }
        let Self { window, waited, bytes } = *self;
        *self = Self::over(window);
        let least = waited.as_millis() * u128::from(MIN_BYTES_PER_SECOND) / 1000;
        if u128::from(bytes) < least { Pace::TooSlow } else { Pace::KeepsUp }
    }

    /// How much longer to wait for the client before its pace is checked.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.window.saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The second after which a client that moves `bytes_per_second` is too slow.
    fn ends(bytes_per_second: u64) -> Option<u64> {
        let mut progress = Progress::over(WINDOW);
        (1..=600).find(|_| progress.note(bytes_per_second, SECOND) == Pace::TooSlow)
    }

    #[test]
    fn less_than_a_kib_a_second_over_a_minute_is_too_slow() {
        assert_eq!([ends(0), ends(1), ends(1023)], [Some(60); 3]);
        assert_eq!([ends(1024), ends(u64::MAX)], [None, None]);
    }

    #[test]
    fn bytes_of_an_earlier_minute_do_not_count() {
        let mut progress = Progress::over(WINDOW);
        assert_eq!(progress.note(1 << 30, WINDOW), Pace::KeepsUp);
        assert_eq!(progress.note(0, SECOND * 59), Pace::KeepsUp);
        assert_eq!(progress.left(), SECOND);
        assert_eq!(progress.note(60 * 1024 - 1, SECOND), Pace::TooSlow);
    }

    #[test]
    fn only_time_spent_waiting_counts() {
        let mut progress = Progress::over(WINDOW);
        for _ in 0..1_000 {
            assert_eq!(progress.note(1, Duration::ZERO), Pace::KeepsUp);
        }
        assert_eq!(progress.left(), WINDOW);
    }

    #[test]
    fn bytes_buffered_before_the_first_wait_do_not_count() {
        let mut progress = Progress::over(WINDOW);
        for _ in 0..100 {
            assert_eq!(progress.note(1 << 20, Duration::from_micros(50)), Pace::KeepsUp);
        }
        assert_eq!(progress.note(0, WINDOW), Pace::TooSlow);
    }

    #[test]
    fn a_wait_of_several_minutes_is_judged_as_a_whole() {
        let mut progress = Progress::over(WINDOW);
        assert_eq!(progress.note(119 * 1024, 2 * WINDOW), Pace::TooSlow);
        assert_eq!(progress.note(120 * 1024, 2 * WINDOW), Pace::KeepsUp);
    }
}
