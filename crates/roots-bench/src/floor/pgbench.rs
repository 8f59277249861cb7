//! The store floor on PostgreSQL: `pgbench` writes the rows of an activity, one activity a
//! transaction.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::latency::Latencies;
use crate::process::{self, ProcessError};
use crate::results::Round;

/// Why `pgbench` gave no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PgbenchError {
    #[error("pgbench: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("pgbench printed no rate:\n{0}")]
    Unreadable(String),
}

/// A database with the schema and an account, and the script to write into it.
pub(crate) struct Pgbench {
    program: PathBuf,
    url: String,
    folder: PathBuf,
}

impl Pgbench {
    /// Prepares to write descriptions of this size to this database. `folder` must not exist: it is
    /// created for the files of `pgbench`.
    pub(crate) fn new(
        program: PathBuf,
        url: String,
        folder: PathBuf,
        description_bytes: usize,
    ) -> io::Result<Self> {
        fs::create_dir(&folder)?;
        let made = Self { program, url, folder };
        fs::write(made.script(), script(description_bytes))?;
        Ok(made)
    }

    fn script(&self) -> PathBuf {
        self.folder.join("activity.sql")
    }

    /// Writes with this number of clients for `time`, rounded down to seconds.
    pub(crate) fn measure(&self, clients: usize, time: Duration) -> Result<Round, PgbenchError> {
        let clients = clients.to_string();
        let seconds = time.as_secs().max(1).to_string();
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder);
        command.args(["--no-vacuum", "--protocol=prepared", "--log", "--log-prefix=times"]);
        command.args(["--client", &clients, "--jobs=1", "--time", &seconds, "--file"]);
        command.arg(self.script()).arg(&self.url);
        let output = process::output("pgbench", &mut command)?;
        let rate = rate(&output).ok_or(PgbenchError::Unreadable(output))?;
        let times = take_times(&self.folder)?.quantiles();
        // The rate that pgbench prints does not include the time to connect.
        Ok(Round { rate, ..Round::of(&times, time.as_secs_f64()) })
    }
}

/// Writes one activity with the statements that any program would need.
fn script(description_bytes: usize) -> String {
    const NOW: i64 = 1_750_000_000_000_000;
    let (quarter, day) = (NOW / 900_000_000, NOW / 86_400_000_000);
    let description = "ab".repeat(description_bytes);
    format!(
        "BEGIN;
UPDATE accounts SET balance = balance - 1, last_activity_id = last_activity_id + 1, \
last_ledger_id = last_ledger_id + 1, version = version + 1 WHERE account_id = 1 \
RETURNING last_activity_id AS activity, last_ledger_id AS ledger, balance AS balance \\gset
INSERT INTO activities (account_id, activity_id, uid, actor_id, session_id, activity_type, description, \
logged_at, created_at, version) \
VALUES (1, :activity, gen_random_uuid(), 1, NULL, 'deploy', '\\x{description}', {NOW}, {NOW}, 1);
INSERT INTO ledger (account_id, ledger_id, delta, balance_after, reason, endpoint, actor_id, note, created_at) \
VALUES (1, :ledger, -1, :balance, 'api_write', 'POST /activities', 1, NULL, {NOW});
INSERT INTO counters (account_id, actor_id, subject, label, count) \
VALUES (1, 1, 'activities', 'deploy', 1), (1, 0, 'ledger', 'api_write', 1) \
ON CONFLICT (account_id, actor_id, subject, label) DO UPDATE SET count = counters.count + 1;
INSERT INTO activity_quarter_hours (account_id, actor_id, quarter, activity_type, count) \
VALUES (1, 1, {quarter}, 'deploy', 1) ON CONFLICT (account_id, actor_id, quarter, activity_type) \
DO UPDATE SET count = activity_quarter_hours.count + 1;
INSERT INTO activity_daily (account_id, actor_id, day, activity_type, count) \
VALUES (1, 1, {day}, 'deploy', 1) ON CONFLICT (account_id, actor_id, day, activity_type) \
DO UPDATE SET count = activity_daily.count + 1;
COMMIT;
"
    )
}

/// Reads the rate from `tps = 1234.5 (without initial connection time)`.
fn rate(output: &str) -> Option<f64> {
    let rate = output.lines().find_map(|line| line.strip_prefix("tps = "))?;
    rate.split_whitespace().next()?.parse().ok()
}

/// Reads the times of all transactions from pgbench's logs, where they are the third field of a
/// line, and removes the logs.
fn take_times(folder: &Path) -> io::Result<Latencies> {
    let mut times = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_log = |name: &str| name.starts_with("times.");
        if !path.file_name().and_then(|name| name.to_str()).is_some_and(is_log) {
            continue;
        }
        let micros = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
        times.extend(fs::read_to_string(&path)?.lines().filter_map(micros));
        fs::remove_file(path)?;
    }
    Ok(times.into_iter().map(Duration::from_micros).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgbench_output_yields_the_rate_and_the_latencies() {
        let output = "number of clients: 4\ntps = 1834.250000 (without initial connection time)\n";
        assert_eq!(rate(output), Some(1_834.25));
        assert_eq!(rate("tps was 3"), None);
        let folder = tempfile::tempdir().unwrap();
        let lines = "0 0 3000 0 1412881037 912698\n0 1 1000 0 1412881038 407\n0 2 2000 0 1 2\n";
        fs::write(folder.path().join("times.77"), lines).unwrap();
        fs::write(folder.path().join("activity.sql"), "0 0 9 0 0 0\n").unwrap();
        let times = take_times(folder.path()).unwrap().quantiles();
        assert_eq!((times.count, times.p50_ms), (3, 2.0));
        assert_eq!(take_times(folder.path()).unwrap().quantiles().count, 0);
    }
}
