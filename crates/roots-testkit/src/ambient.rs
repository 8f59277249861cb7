//! A clock and uids that a test controls.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use roots_domain::model::id::Uid;
use roots_domain::model::time::Timestamp;
use roots_domain::port::clock::{Clock, Uids};

/// A clock that a test moves. It starts at 2026-04-09T14:00:00Z, the time in the documents'
/// examples.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_775_743_200_000_000))
    }
}

impl TestClock {
    /// Moves the clock forward.
    pub fn advance_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    /// The test's clock counts on PostgreSQL too, so that a test can move the time there.
    fn shared_now(&self, _: Option<Timestamp>) -> Timestamp {
        self.now()
    }
}

/// Uids that count up from 1.
#[derive(Debug, Default)]
pub struct CountingUids(AtomicU64);

impl Uids for CountingUids {
    fn next(&self) -> Uid {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Uid(uuid::Uuid::from_u64_pair(0, number))
    }
}

/// Random uids, for tests that share a database with other processes.
#[derive(Debug, Default)]
pub struct RandomUids;

impl Uids for RandomUids {
    #[expect(clippy::disallowed_methods, reason = "this is what the port is for")]
    fn next(&self) -> Uid {
        Uid(uuid::Uuid::now_v7())
    }
}
