//! The sync floor: how often the disk makes 4 KiB durable.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::latency::Latencies;

/// Writes 4 KiB and syncs them, again and again for `time`.
///
/// # Errors
/// The disk fails.
pub(crate) fn measure(folder: &Path, time: Duration) -> io::Result<Latencies> {
    let path = folder.join("sync");
    let mut file = File::create(&path)?;
    let mut latencies = Latencies::default();
    let begun = Instant::now();
    while begun.elapsed() < time {
        let since = Instant::now();
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        latencies.record(since.elapsed());
    }
    drop(file);
    std::fs::remove_file(path)?;
    Ok(latencies)
}
