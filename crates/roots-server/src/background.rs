//! Background tasks of the server, outside of requests.

use std::time::Duration;

use roots_domain::port::store::StoreError;
use roots_domain::service::Services;
use roots_domain::service::idle_sessions::IdleSessions;
use roots_domain::service::key_usage::KeyUsage;
use roots_domain::service::leftovers::Leftovers;
use roots_domain::service::maintenance::Maintenance;
use roots_domain::service::usage::Usage;
use tokio::select;
use tokio::task::JoinHandle;
use tokio::time::{self, MissedTickBehavior};
use tracing::warn;

use crate::stop::Stop;

/// How often expired records are deleted.
const MAINTAIN_EVERY: Duration = Duration::from_mins(10);
/// How often usage is written.
const USAGE_EVERY: Duration = Duration::from_secs(5);
/// How often the last uses of keys are written, and expired keys are ended.
const MAINTAIN_KEYS_EVERY: Duration = Duration::from_mins(1);
/// How often the server looks for silent sessions, if it ends them.
const END_SILENT_EVERY: Duration = Duration::from_mins(1);
/// How often the server looks for deletions that a stopped process left unfinished.
const WORK_OFF_EVERY: Duration = Duration::from_mins(1);

/// The tasks that run until the server stops.
pub(crate) struct Background {
    usage: Usage,
    key_usage: KeyUsage,
    maintaining: JoinHandle<()>,
    writing_usage: JoinHandle<()>,
    maintaining_keys: JoinHandle<()>,
}

impl Background {
    /// Starts them. Sessions that are silent for `session_idle_seconds` are ended, if it is set.
    pub(crate) fn start(
        services: &Services,
        session_idle_seconds: Option<i64>,
        stop: &Stop,
    ) -> Self {
        let (usage, key_usage) = (services.usage.clone(), services.key_usage.clone());
        tokio::spawn(work_off(services.leftovers.clone()));
        if let Some(seconds) = session_idle_seconds {
            tokio::spawn(end_silent(services.idle_sessions.clone(), seconds));
        }
        Self {
            maintaining: tokio::spawn(maintain(services.maintenance.clone())),
            writing_usage: tokio::spawn(write_usage(usage.clone(), stop.clone())),
            maintaining_keys: tokio::spawn(maintain_keys(key_usage.clone(), stop.clone())),
            usage,
            key_usage,
        }
    }

    /// Waits for the tasks, which end on `stop`, and writes the remaining counts. It sweeps no more
    /// keys.
    pub(crate) async fn finish(self) {
        self.maintaining.abort();
        let _ = self.writing_usage.await;
        let _ = self.maintaining_keys.await;
        flush(&self.usage).await;
        note_key_usage(self.key_usage.flush().await);
    }
}

/// Deletes expired records, from the start on, until it is dropped. Failures are retried the next
/// time.
async fn maintain(maintenance: Maintenance) {
    let mut ticks = time::interval(MAINTAIN_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = maintenance.forget_idempotency_records().await {
            warn!(cause = %error, "some expired idempotency records could not be deleted");
        }
    }
}

/// Writes the counts of usage every few seconds, until the server stops.
async fn write_usage(usage: Usage, mut stop: Stop) {
    loop {
        select! {
            _ = stop.requested() => return,
            () = time::sleep(USAGE_EVERY) => flush(&usage).await,
        }
    }
}

async fn flush(usage: &Usage) {
    if let Err(error) = usage.flush().await {
        warn!(cause = %error, "usage could not be written");
    }
}

/// Writes the last uses of keys at intervals, and ends expired keys, until the server stops.
async fn maintain_keys(key_usage: KeyUsage, mut stop: Stop) {
    loop {
        select! {
            _ = stop.requested() => return,
            () = time::sleep(MAINTAIN_KEYS_EVERY) => note_key_usage(key_usage.maintain().await),
        }
    }
}

fn note_key_usage(written: Result<(), StoreError>) {
    if let Err(error) = written {
        warn!(cause = %error, "the times of the keys' last use could not be written");
    }
}

/// Ends silent sessions at intervals. Failures are retried the next time.
async fn end_silent(idle_sessions: IdleSessions, idle_seconds: i64) {
    loop {
        if let Err(error) = idle_sessions.end_silent(idle_seconds).await {
            warn!(cause = %error, "some silent sessions could not be ended");
        }
        time::sleep(END_SILENT_EVERY).await;
    }
}

/// Does the rest of deletions that another process has not finished.
async fn work_off(leftovers: Leftovers) {
    loop {
        if let Err(error) = leftovers.work_off().await {
            warn!(cause = %error, "a deletion is left for later");
        }
        time::sleep(WORK_OFF_EVERY).await;
    }
}
