//! What the system tells of its processors and of processes' memory. Linux tells it in `/proc`.

use std::fs;
use std::time::Duration;

/// How the system counts the time of processors, in milliseconds. Linux has used this unit on every
/// machine since 2.6.
const TICK_MS: u64 = 10;

/// The system does not tell.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not as on Linux, which alone can be measured")]
pub(crate) struct Untold(String);

/// The time that processors have spent on that process.
pub(crate) fn of_process(id: u32) -> Result<Duration, Untold> {
    read(format!("/proc/{id}/stat"), process_ticks)
}

/// The time that processors have spent on all processes.
pub(crate) fn of_machine() -> Result<Duration, Untold> {
    read("/proc/stat".to_owned(), machine_ticks)
}

fn read(path: String, ticks: impl Fn(&str) -> Option<u64>) -> Result<Duration, Untold> {
    let told = fs::read_to_string(&path).ok().and_then(|text| ticks(&text));
    told.map(|ticks| Duration::from_millis(TICK_MS * ticks)).ok_or(Untold(path))
}

/// The time in user and in kernel mode: fields 14 and 15, of which the second is a name in brackets
/// that may hold blanks.
fn process_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// All times of the first line but those of idling, the fourth and the fifth. Guests' times, at its
/// end, are told twice.
fn machine_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).take(8).collect();
    (ticks.len() > 4).then(|| ticks.iter().sum::<u64>() - ticks[3] - ticks[4])
}

/// Resident memory of a process in MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) highest: f64,
}

/// The memory of that process.
pub(crate) fn memory(id: u32) -> Result<Memory, Untold> {
    let path = format!("/proc/{id}/status");
    let told = fs::read_to_string(&path).ok().and_then(|status| resident(&status));
    told.ok_or(Untold(path))
}

fn resident(status: &str) -> Option<Memory> {
    let field = |name| {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u32 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(f64::from(kibibytes) / 1024.0)
    };
    Some(Memory { now: field("VmRSS:")?, highest: field("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_tells_is_read() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 3 0 1 2 3";
        assert_eq!(process_ticks(stat), Some(42));
        assert_eq!(process_ticks("7 (a"), None);
        let stat = "cpu  100 1 20 5000 9 3 2 1 7 7\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(machine_ticks(stat), Some(127));
        assert_eq!(machine_ticks("cpu0 1 2"), None);
        let status = "VmPeak:\t 9 kB\nVmHWM:\t  4096 kB\nVmRSS:\t  2048 kB\n";
        assert_eq!(resident(status), Some(Memory { now: 2.0, highest: 4.0 }));
        assert_eq!(resident("VmRSS:\t 1 kB\n"), None);
    }
}
