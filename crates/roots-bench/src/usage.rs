//! Processor time and memory of processes, from Linux's `/proc`.

use std::fs;
use std::time::Duration;

/// The unit of processor time in `/proc`, in milliseconds. Linux uses it on every machine since
/// 2.6.
const TICK_MS: u64 = 10;

/// A file in `/proc` is missing, refuses a write or is not in Linux's format.
#[derive(Debug, thiserror::Error)]
#[error("can't use {0}; the benchmark requires Linux")]
pub(crate) struct UsageError(String);

/// The processor time of a process.
pub(crate) fn of_process(id: u32) -> Result<Duration, UsageError> {
    read(format!("/proc/{id}/stat"), process_ticks)
}

/// The processor time of all processes.
pub(crate) fn of_machine() -> Result<Duration, UsageError> {
    read("/proc/stat".to_owned(), machine_ticks)
}

fn read(path: String, ticks: impl Fn(&str) -> Option<u64>) -> Result<Duration, UsageError> {
    let ticks = fs::read_to_string(&path).ok().and_then(|text| ticks(&text));
    ticks.map(|ticks| Duration::from_millis(TICK_MS * ticks)).ok_or(UsageError(path))
}

/// The time in user and in kernel mode: fields 14 and 15. The second field is a name in brackets,
/// which may contain spaces and brackets.
fn process_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// All times of the first line, except the idle times in fields four and five. The times of guests,
/// at its end, are already part of others.
fn machine_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).take(8).collect();
    (ticks.len() > 4).then(|| ticks.iter().sum::<u64>() - ticks[3] - ticks[4])
}

/// Resident memory of a process in MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ResidentMemory {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

/// The resident memory of a process.
pub(crate) fn memory(id: u32) -> Result<ResidentMemory, UsageError> {
    let path = format!("/proc/{id}/status");
    let memory = fs::read_to_string(&path).ok().and_then(|status| resident(&status));
    memory.ok_or(UsageError(path))
}

/// Makes the peak memory of a process count anew, from what it uses now.
pub(crate) fn reset_peak(id: u32) -> Result<(), UsageError> {
    let path = format!("/proc/{id}/clear_refs");
    fs::write(&path, "5").map_err(|_| UsageError(path))
}

fn resident(status: &str) -> Option<ResidentMemory> {
    let field = |name| {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u32 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(f64::from(kibibytes) / 1024.0)
    };
    Some(ResidentMemory { now: field("VmRSS:")?, peak: field("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_and_memory_are_parsed_from_proc_files() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 3 0 1 2 3";
        assert_eq!(process_ticks(stat), Some(42));
        assert_eq!(process_ticks("7 (a"), None);
        let stat = "cpu  100 1 20 5000 9 3 2 1 7 7\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(machine_ticks(stat), Some(127));
        assert_eq!(machine_ticks("cpu0 1 2"), None);
        let status = "VmPeak:\t 9 kB\nVmHWM:\t  4096 kB\nVmRSS:\t  2048 kB\n";
        assert_eq!(resident(status), Some(ResidentMemory { now: 2.0, peak: 4.0 }));
        assert_eq!(resident("VmRSS:\t 1 kB\n"), None);
    }
}
