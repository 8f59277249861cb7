//! The machine and the day of a measurement.

use std::fs;
use std::num::NonZeroUsize;
use std::thread;

use jiff::Timestamp;

use crate::results::Machine;

/// Describes this machine. What the system does not show stays empty.
pub(crate) fn this() -> Machine {
    let field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()));
        value.unwrap_or_default()
    };
    let memory = field("/proc/meminfo", "MemTotal");
    let kibibytes: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = release.split(['-', '\n']).next().unwrap_or_default();
    Machine {
        processor: field("/proc/cpuinfo", "model name"),
        processors: thread::available_parallelism().map_or(1, NonZeroUsize::get),
        memory_mib: kibibytes / 1_024,
        system: format!("Linux {version}"),
    }
}

/// Today's date, in UTC.
pub(crate) fn today() -> String {
    Timestamp::now().strftime("%Y-%m-%d").to_string()
}
